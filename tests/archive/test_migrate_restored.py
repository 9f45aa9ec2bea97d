"""Mailboxes that go back under their UIDVALIDITY, at either side of a migration: UIDs mean other messages by then."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fastimap import Account, archive
from fastimap.sessions.retry import no_waits
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, message
from tests.archive.test_mailboxes_that_change import home
from tests.archive.test_migrate import kept, other
from tests.support.odd import odd

__all__ = ["other"]

MADE_ANEW = "its UIDs mean other messages than before, as after a backup: it was matched anew"


def account_at(port: int) -> Account:
    return Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")


@pytest.fixture
def kept_back(tmp_path: Path) -> Callable[[Mail, str], Callable[[], None]]:
    """A function that makes a backup of a mailbox, and returns one that restores it."""

    def backup(mail: Mail, name: str) -> Callable[[], None]:
        there, copy = home(mail, name), tmp_path / f"{mail.user} {name}"
        subprocess.run(["cp", "-a", there, copy], check=True)

        def restore() -> None:
            home(mail, name)
            shutil.rmtree(there)
            subprocess.run(["cp", "-a", copy, there], check=True)

        return restore

    return backup


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2])
def test_a_source_from_a_backup(
    mail: Mail, other: Mail, tmp_path: Path, kept_back: Callable[[Mail, str], Callable[[], None]], after: int
) -> None:
    """What came since has UIDs of messages that were copied; it is sent, and flags go to the right ones."""
    mail.fill("a", 3, create=True)
    restore = kept_back(mail, "a")
    lost = mail.fill("a", 2)
    mail.client.select("a")
    for flag in ("$one", "$two", "$three"):
        mail.client.set_flags([4, 5], [flag])
    mail.client.unselect()
    assert archive.migrate(mail.account, other.account, state=tmp_path / "state").complete
    restore()
    new = mail.fill("a", after, flags=("\\Flagged",))
    for dry_run in (True, False):
        report = archive.migrate(mail.account, other.account, state=tmp_path / "state", dry_run=dry_run)
        assert report.mailboxes["a"].written == after
        assert MADE_ANEW in report.mailboxes["a"].notes
    assert report.complete
    there = {octets: flags for octets, flags, _ in kept(other)["a"]}
    assert len(kept(other)["a"]) == len(there) == 5 + after
    assert [there[octets] for octets in new] == [("\\Flagged",)] * after
    assert [there[octets] for octets in lost] == [("$three",)] * 2
    report = archive.migrate(mail.account, other.account, state=tmp_path / "state")
    assert (report.written, report.mailboxes["a"].notes) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_destination_from_a_backup(
    mail: Mail, other: Mail, tmp_path: Path, kept_back: Callable[[Mail, str], Callable[[], None]], after: int
) -> None:
    """What came there since stays, whatever is deleted at the source, and what was copied is sent again."""
    mail.fill("a", 3, create=True)
    assert archive.migrate(mail.account, other.account, state=tmp_path / "state").complete
    restore = kept_back(other, "a")
    mail.fill("a", 4)
    assert archive.migrate(mail.account, other.account, state=tmp_path / "state").complete
    restore()
    theirs = other.fill("a", after)
    mail.expunge("a", [4, 5])
    report = archive.migrate(mail.account, other.account, state=tmp_path / "state", deleted="delete")
    assert (report.complete, report.deleted, report.mailboxes["a"].written) == (True, 0, 2)
    there = [octets for octets, *_ in kept(other)["a"]]
    assert sorted(there) == sorted([*(octets for octets, *_ in kept(mail)["a"]), *theirs])


def test_a_source_whose_counters_alone_went_back(
    mail: Mail, other: Mail, tmp_path: Path, kept_back: Callable[[Mail, str], Callable[[], None]]
) -> None:
    """As where a server lost its index: the messages are those that were copied, and their flags follow."""
    mail.fill("a", 3, create=True)
    restore = kept_back(mail, "a")
    mail.client.select("a")
    mail.client.set_flags([1, 2], ["\\Flagged"])
    mail.client.set_flags([1, 2], ["\\Seen"])
    mail.client.unselect()
    assert archive.migrate(mail.account, other.account, state=tmp_path / "state").complete
    restore()
    report = archive.migrate(mail.account, other.account, state=tmp_path / "state")
    assert (report.complete, report.written, report.mailboxes["a"].notes) == (True, 0, [])
    assert kept(other)["a"] == kept(mail)["a"]


@pytest.mark.parametrize("by_store", [False, True])
def test_a_destination_that_changes_message_ids_is_no_other_mailbox(tmp_path: Path, by_store: bool) -> None:
    def says(line: bytes) -> bytes:
        return re.sub(rb"(?i)(message-id: <)\d@", rb"\1X@", line)

    with IMAPServer(users={"me": "secret"}) as server, IMAPServer(users={"me": "secret"}) as there:
        for number in range(1, 6):
            server.append("INBOX", message(number))
        with odd(there, says=says) as port:
            for written in (5, 0, 0):
                if by_store:
                    archive.pull(account_at(server.port), tmp_path / "store")
                    report = archive.push(tmp_path / "store", account_at(port))
                else:
                    report = archive.migrate(account_at(server.port), account_at(port), state=tmp_path / "state")
                assert (report.complete, report.written) == (True, written)
                assert report.mailboxes["INBOX"].notes == []
        assert len(there.messages("INBOX")) == 5


@pytest.mark.slow
def test_what_is_as_it_was_is_not_sent_again_to_a_server_that_changes_sizes(
    mail: Mail, tmp_path: Path, kept_back: Callable[[Mail, str], Callable[[], None]]
) -> None:
    def says(line: bytes) -> bytes:
        return re.sub(rb"RFC822.SIZE (\d+)", lambda size: b"RFC822.SIZE %d" % (int(size[1]) + 40), line)

    first = mail.fill("a", 3, create=True)
    restore = kept_back(mail, "a")
    lost = mail.fill("a", 2)
    with IMAPServer(users={"me": "secret"}) as server, odd(server, says=says) as port:
        assert archive.migrate(mail.account, account_at(port), state=tmp_path / "state").complete
        restore()
        new = mail.fill("a", 1)
        report = archive.migrate(mail.account, account_at(port), state=tmp_path / "state")
        assert (report.complete, report.mailboxes["a"].written, report.mailboxes["a"].present) == (True, 1, 3)
        assert report.mailboxes["a"].notes == [MADE_ANEW]
        assert sorted(each.octets for each in server.messages("a")) == sorted([*first, *lost, *new])


@pytest.mark.slow
def test_what_is_in_doubt_stays_so_where_a_mailbox_is_matched_anew(tmp_path: Path) -> None:
    back: list[bool] = []
    lost: list[bool] = []

    def of_source(line: bytes) -> bytes:
        return re.sub(rb"UIDNEXT \d+", b"UIDNEXT 2", line) if back else line

    def of_destination(line: bytes) -> bytes:
        if lost and b"APPENDUID" in line:
            lost.pop()
            raise ConnectionResetError
        return re.sub(rb"RFC822.SIZE (\d+)", lambda size: b"RFC822.SIZE %d" % (int(size[1]) + 40), line)

    with (
        no_waits(),
        IMAPServer(users={"me": "secret"}) as server,
        IMAPServer(users={"me": "secret"}) as other,
        odd(server, says=of_source) as source,
        odd(other, says=of_destination) as destination,
    ):
        for number in (1, 2, 3):
            server.append("INBOX", message(number))
            lost += [True] * (number == 3)
            report = archive.migrate(account_at(source), account_at(destination), state=tmp_path)
        for notes in ([], [MADE_ANEW], [MADE_ANEW]):
            back += [True] * bool(notes)
            report = archive.migrate(account_at(source), account_at(destination), state=tmp_path)
            assert (report.written, report.mailboxes["INBOX"].notes) == (0, notes)
            assert "perhaps it is there as UID 3" in report.mailboxes["INBOX"].parked[3]
        assert len(other.messages("INBOX")) == 3


@pytest.mark.parametrize("lists", [b" 1", b" 1 2", None])
def test_a_destination_that_does_not_list_all_gets_nothing_twice(tmp_path: Path, lists: bytes | None) -> None:
    """EXISTS says that it has more than its search lists: what is to be sent may be among these."""

    def says(line: bytes) -> bytes:
        if not line.startswith((b"* SEARCH", b"* ESEARCH")):
            return line
        return b"" if lists is None else re.sub(rb"(SEARCH|ALL) \d.*\r", rb"\1" + lists + b"\r", line)

    with (
        IMAPServer(users={"me": "secret"}) as server,
        IMAPServer(users={"me": "secret"}) as other,
        odd(other, says=says) as destination,
    ):
        for number in (1, 2, 3):
            server.append("INBOX", message(number))
            other.append("INBOX", message(number))
        report = archive.migrate(account_at(server.port), account_at(destination), state=tmp_path)
        assert (report.complete, len(other.messages("INBOX"))) == (False, 3)
        assert "the destination says that there are 3 messages, and lists" in report.failed["INBOX"]
        report = archive.migrate(account_at(server.port), account_at(other.port), state=tmp_path)
        assert (report.complete, report.written, len(other.messages("INBOX"))) == (True, 0, 3)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_source_that_lists_nothing_any_more(tmp_path: Path, dry_run: bool) -> None:
    """It is not complete, as for a pull."""
    hidden: list[bool] = []

    def says(line: bytes) -> bytes:
        return b"" if hidden and line.startswith(b"* LIST ") else line

    with (
        IMAPServer(users={"me": "secret"}) as server,
        IMAPServer(users={"me": "secret"}) as other,
        odd(server, says=says) as source,
    ):
        server.append("INBOX", message(1))
        assert archive.migrate(account_at(source), account_at(other.port), state=tmp_path).complete
        hidden.append(True)
        with pytest.raises(archive.StoreError, match="the source lists no mailbox at all, and had 1: nothing was done"):
            archive.migrate(account_at(source), account_at(other.port), state=tmp_path, dry_run=dry_run)
        with pytest.raises(archive.StoreError, match="the source lists no mailbox at all: nothing was done"):
            archive.migrate(account_at(source), account_at(other.port), state=tmp_path / "first", dry_run=dry_run)
