"""Messages that can't be had, whatever the server does instead of sending them: all others come."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from fastimap import Account, Client, Limits, Retry, archive
from fastimap.archive.compare import Change
from fastimap.archive.copies import Copies
from fastimap.archive.state import Place
from fastimap.archive.stores import store_at
from fastimap.model.sequence_set import UIDSet
from fastimap.sessions.retry import no_waits
from fastimap.testing import IMAPServer
from tests.archive.conftest import message, stored
from tests.support.odd import odd

RETRY = Retry(attempts=2, first=0.0, longest=0.0, burst=1000)
BAD = 4


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer(users={"me": "secret"}) as made:
        made.create("Other")
        for number in range(1, 9):
            made.append("INBOX", message(number, 100_000 if number == BAD else 200))
        made.append("Other", message(9))
        yield made


def cut(line: bytes) -> bytes:
    raise ConnectionResetError


def refuse(line: bytes) -> bytes:
    return line.split(b" ")[0] + b" NOSUCHCOMMAND\r\n"


def when_bad(act: Callable[[bytes], bytes], mended: list[bool]) -> Callable[[bytes], bytes]:
    def hears(line: bytes) -> bytes:
        is_bad = not mended and b"BODY.PEEK[]" in line and BAD in UIDSet(line.split(b" ")[3].decode())
        return act(line) if is_bad else line

    return hears


def account_at(port: int, literal: int = 1_000_000) -> Account:
    limits = Limits(literal=literal)
    return Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN", limits=limits)


def in_inbox(root: Path) -> list[int]:
    return [uid for uid, *_ in stored(root)["INBOX"]]


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("act", [cut, refuse])
def test_all_others_come(server: IMAPServer, tmp_path: Path, act: Callable[[bytes], bytes], connections: int) -> None:
    mended: list[bool] = []
    with odd(server, hears=when_bad(act, mended)) as port:
        for _ in range(2):  # in the second run there is nothing else to be had
            report = archive.pull(account_at(port), tmp_path, retry=RETRY, connections=connections)
            assert (report.complete, report.failed) == (False, {})
            assert list(report.mailboxes["INBOX"].parked) == [BAD]
            assert report.mailboxes["Other"].complete
            assert in_inbox(tmp_path) == [1, 2, 3, 5, 6, 7, 8]
        mended.append(True)
        report = archive.pull(account_at(port), tmp_path)
    assert (report.complete, report.written) == (True, 1)
    assert in_inbox(tmp_path) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_one_that_ends_each_connection_leaves_logins_for_the_others(server: IMAPServer, tmp_path: Path) -> None:
    """There are six at once, and then one a minute: four attempts, one at it alone, and one for those after it."""
    sent: list[bytes] = []
    waited: list[float] = []

    def says(line: bytes) -> bytes:
        if b"BODY[]" in line and line.startswith(b"* %d " % BAD):
            sent.append(line)
            raise ConnectionResetError
        return line

    retry = Retry(attempts=4, first=0.0, longest=0.0, burst=6, sleep=waited.append)
    with odd(server, says=says) as port:
        report = archive.pull(account_at(port), tmp_path, mailboxes=["INBOX"], retry=retry)
    assert list(report.mailboxes["INBOX"].parked) == [BAD]
    assert in_inbox(tmp_path) == [1, 2, 3, 5, 6, 7, 8]
    assert len(sent) == 5
    assert sum(waited) == 0.0


@pytest.mark.slow
def test_one_that_is_larger_than_the_limits(server: IMAPServer, tmp_path: Path) -> None:
    account = account_at(server.port, literal=50_000)
    for _ in range(2):
        report = archive.pull(account, tmp_path)
        assert "more than 50000" in report.mailboxes["INBOX"].parked[BAD]
        assert (report.failed, report.mailboxes["Other"].complete) == ({}, True)
    assert in_inbox(tmp_path) == [1, 2, 3, 5, 6, 7, 8]


@pytest.mark.slow
def test_a_mailbox_in_which_many_end_the_connection_keeps_no_other_away(server: IMAPServer, tmp_path: Path) -> None:
    def hears(line: bytes) -> bytes:
        return cut(line) if b"BODY.PEEK[]" in line and max(UIDSet(line.split(b" ")[3].decode())) > 1 else line

    with odd(server, hears=hears) as port:
        report = archive.pull(account_at(port), tmp_path, retry=RETRY)
        assert list(report.failed) == ["INBOX"]
        assert list(report.mailboxes["INBOX"].parked) == [2, 3, 4]
        assert in_inbox(tmp_path) == [1]
        assert report.mailboxes["Other"].complete


@pytest.mark.slow
@pytest.mark.parametrize("deleted", ["keep", "delete"])
def test_what_the_server_lists_comes_where_it_says_that_there_are_more(
    server: IMAPServer, tmp_path: Path, deleted: Literal["keep", "delete"]
) -> None:
    def says(line: bytes) -> bytes:
        if line.startswith((b"* SEARCH", b"* ESEARCH")):
            return re.sub(rb" 8\b", b"", line.replace(b"1:8", b"1:7"))
        return line

    with odd(server, says=says) as port:
        report = archive.pull(account_at(port), tmp_path)
        assert "the server has 8 messages; 7 written" in report.failed["INBOX"]
        assert in_inbox(tmp_path) == [1, 2, 3, 4, 5, 6, 7]
    assert archive.pull(account_at(server.port), tmp_path).complete
    server.expunge("INBOX", [2])
    with odd(server, says=lambda line: says(line.replace(b"1,3:8", b"1,3:7"))) as port:
        report = archive.pull(account_at(port), tmp_path, deleted=deleted)
        assert (report.complete, report.deleted) == (False, 0)
    assert in_inbox(tmp_path) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("act", [cut, refuse])
def test_all_others_are_sent(
    server: IMAPServer, tmp_path: Path, act: Callable[[bytes], bytes], connections: int
) -> None:
    mended: list[bool] = []
    with IMAPServer(users={"me": "secret"}) as other, odd(server, hears=when_bad(act, mended)) as port:
        for _ in range(2):
            report = archive.migrate(
                account_at(port), account_at(other.port), state=tmp_path, retry=RETRY, connections=connections
            )
            assert (report.complete, report.failed) == (False, {})
            assert list(report.mailboxes["INBOX"].parked) == [BAD]
            assert [len(other.messages(name)) for name in ("INBOX", "Other")] == [7, 1]
        mended.append(True)
        report = archive.migrate(account_at(port), account_at(other.port), state=tmp_path)
        assert (report.complete, report.written) == (True, 1)
        sent, there = ({each.octets for each in made.messages("INBOX")} for made in (server, other))
        assert (sent, len(other.messages("INBOX"))) == (there, 8)


@pytest.mark.slow
def test_a_mailbox_that_can_not_be_read_keeps_no_other_from_being_sent(server: IMAPServer, tmp_path: Path) -> None:
    def hears(line: bytes) -> bytes:
        return cut(line) if b"BODY.PEEK[]" in line and max(UIDSet(line.split(b" ")[3].decode())) > 1 else line

    with IMAPServer(users={"me": "secret"}) as other, odd(server, hears=hears) as port:
        report = archive.migrate(account_at(port), account_at(other.port), state=tmp_path, retry=RETRY)
        assert list(report.failed) == ["INBOX"]
        assert [len(other.messages(name)) for name in ("INBOX", "Other")] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 2])
def test_a_server_that_refuses_all_after_it_ended_a_connection_has_not_all_of_them_parked(
    server: IMAPServer, tmp_path: Path, connections: int
) -> None:
    """It is not the messages."""
    for number in range(10, 40):
        server.append("INBOX", message(number))
    cuts: list[bytes] = []

    def hears(line: bytes) -> bytes:
        if b"BODY.PEEK[]" not in line:
            return line
        if len(cuts) < RETRY.attempts:
            cuts.append(line)
            raise ConnectionResetError
        return refuse(line)

    with IMAPServer(users={"me": "secret"}) as other, odd(server, hears=hears) as port:
        report = archive.pull(account_at(port), tmp_path / "store", retry=RETRY, connections=connections)
        assert "BAD" in report.failed["INBOX"]
        assert len(report.mailboxes["INBOX"].parked) == 8
        cuts.clear()
        report = archive.migrate(
            account_at(port), account_at(other.port), state=tmp_path / "state", retry=RETRY, connections=connections
        )
        assert "BAD" in report.failed["INBOX"]
        assert len(report.mailboxes["INBOX"].parked) == 8


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mbox", "jsonl", "maildir", "sqlite"])
def test_what_came_before_a_mailbox_failed_is_noted_before_others_are_changed(
    server: IMAPServer, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that dies then would have it in a file without a note of it, and the next one would append it again."""
    follow = Copies.follow
    noted: list[list[int]] = []

    def changed(copies: Copies, place: Place, changes: Iterable[Change]) -> int:
        count = follow(copies, place, changes)
        noted.append(in_inbox(tmp_path))
        return count

    def hears(line: bytes) -> bytes:
        return cut(line) if b"BODY.PEEK[]" in line and max(UIDSet(line.split(b" ")[3].decode())) > 9 else line

    assert archive.pull(account_at(server.port), store_at(tmp_path, kind)).complete
    for number in range(20, 28):
        server.append("INBOX", message(number, 200))
    with Client(account_at(server.port)) as client:
        client.select("Other")
        client.add_flags([1], ["\\Flagged"])
    monkeypatch.setattr(Copies, "follow", changed)
    with odd(server, hears=hears) as port:
        report = archive.pull(account_at(port), store_at(tmp_path, kind), retry=RETRY)
    assert (list(report.failed), report.mailboxes["Other"].flags) == (["INBOX"], 1)
    assert noted == [[1, 2, 3, 4, 5, 6, 7, 8, 9]]


@pytest.mark.slow
def test_one_that_may_be_there_already_keeps_no_others_away(tmp_path: Path) -> None:
    """It has no Message-ID, and the size of one that is there: its octets are asked for before anything is sent."""

    def without(number: int) -> bytes:
        return b"Subject: message %d\r\n\r\nof one size\r\n" % number

    def hears(line: bytes) -> bytes:
        is_bad = not mended and b"BODY.PEEK[]" in line and {4, 5} & set(UIDSet(line.split(b" ")[3].decode()))
        return cut(line) if is_bad else line

    mended: list[bool] = []
    with IMAPServer(users={"me": "secret"}) as server, IMAPServer(users={"me": "secret"}) as other:
        for number in range(1, 9):
            server.append("INBOX", without(number))
        other.append("INBOX", without(7))
        with odd(server, hears=hears) as port:
            for present in (1, 6):
                report = archive.migrate(account_at(port), account_at(other.port), state=tmp_path, retry=RETRY)
                assert (report.failed, report.mailboxes["INBOX"].present) == ({}, present)
                assert list(report.mailboxes["INBOX"].parked) == [4, 5]
            assert len(other.messages("INBOX")) == 6
            mended.append(True)
            assert archive.migrate(account_at(port), account_at(other.port), state=tmp_path).complete
        assert sorted(each.octets for each in other.messages("INBOX")) == [without(number) for number in range(1, 9)]


@pytest.mark.slow
@pytest.mark.parametrize("act", [cut, refuse])
def test_one_of_which_nothing_can_be_had_keeps_no_others_away(
    server: IMAPServer, tmp_path: Path, act: Callable[[bytes], bytes]
) -> None:
    """Not even its size, which is asked for where the destination has mail of its own."""
    mended: list[bool] = []

    def hears(line: bytes) -> bytes:
        is_bad = not mended and (b"RFC822.SIZE" in line or b"BODY.PEEK[]" in line)
        return act(line) if is_bad and BAD in UIDSet(line.split(b" ")[3].decode()) else line

    with IMAPServer(users={"me": "secret"}) as other, odd(server, hears=hears) as port:
        other.append("INBOX", message(99))
        for _ in range(2):
            report = archive.migrate(account_at(port), account_at(other.port), state=tmp_path, retry=RETRY)
            assert report.failed == {}
            assert list(report.mailboxes["INBOX"].parked) == [BAD]
            assert len(other.messages("INBOX")) == 8
        mended.append(True)
        assert archive.migrate(account_at(port), account_at(other.port), state=tmp_path).complete
        assert len(other.messages("INBOX")) == 9


@pytest.mark.slow
def test_one_that_is_in_doubt_stays_so_where_it_can_not_be_had(server: IMAPServer, tmp_path: Path) -> None:
    """Its answer was lost, and the destination changed it."""
    bad: list[bool] = []
    lost = [True]

    def hears(line: bytes) -> bytes:
        is_bad = bad and (b"RFC822.SIZE" in line or b"BODY.PEEK[]" in line)
        return cut(line) if is_bad and BAD in UIDSet(line.split(b" ")[3].decode()) else line

    def says(line: bytes) -> bytes:
        if lost and b"[APPENDUID 1 %d]" % BAD in line:
            lost.pop()
            raise ConnectionResetError
        return re.sub(rb"RFC822.SIZE (\d+)", lambda size: b"RFC822.SIZE %d" % (int(size[1]) + 40), line)

    with (
        no_waits(),
        IMAPServer(users={"me": "secret"}) as other,
        odd(server, hears=hears) as source,
        odd(other, says=says) as destination,
    ):
        for is_bad in (False, True, False):
            bad[:] = [True] * is_bad
            report = archive.migrate(account_at(source), account_at(destination), state=tmp_path, retry=RETRY)
            assert (report.failed, lost) == ({}, [])
            assert "perhaps it is there as UID 4" in report.mailboxes["INBOX"].parked[BAD]
            assert len(other.messages("INBOX")) == 8
