"""What verify makes of servers that leave something out or say what is wrong, and of runs that did not end."""

from __future__ import annotations

import contextlib
import itertools
import re
import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from fastimap import Account, archive, cli
from fastimap.archive.stores import store_at
from fastimap.errors import AuthenticationFailed
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, message, stored
from tests.support.odd import Change, odd

Serve = Callable[..., Account]


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer(users={"me": "secret"}) as made:
        for number in range(4):
            made.append("INBOX", message(number))
        yield made


@pytest.fixture
def through(server: IMAPServer) -> Iterator[Serve]:
    """A function that gives an account whose lines are changed on their way."""
    with contextlib.ExitStack() as stack:

        def make(says: Change = bytes, hears: Change = bytes) -> Account:
            port = stack.enter_context(odd(server, says=says, hears=hears))
            return Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN", timeout=20)

        yield make


def differences(result: archive.Verification) -> list[tuple[int, str]]:
    return [(each.uid, each.what) for each in result.differences]


def without(item: bytes) -> Change:
    """Return what has a server not hear of a data item."""
    return lambda line: line.replace(item + b" ", b"").replace(b" " + item, b"")


@pytest.mark.slow
@pytest.mark.parametrize("sample", [None, 4])
@pytest.mark.parametrize("octets", [False, True])
def test_a_message_that_the_server_leaves_out(
    server: IMAPServer, through: Serve, tmp_path: Path, octets: bool, sample: int | None
) -> None:
    """It is not compared, unless it was expunged meanwhile."""
    archive.pull(through(), tmp_path)
    account = through(hears=lambda line: line.replace(b"UID FETCH 1:4", b"UID FETCH 1,3:4"))
    result = archive.verify(tmp_path, account, octets=octets, sample=sample)
    assert (result.good, result.compared, differences(result)) == (False, 3, [(2, "not compared")])
    assert "leaves it out" in result.differences[0].detail
    assert not archive.verify(tmp_path, account, octets=octets, sample=sample, repair=True).good

    def hears(line: bytes) -> bytes:
        if b"UID FETCH" in line and len(server.messages("INBOX")) == 4:
            server.expunge("INBOX", [2])
        return line.replace(b"UID FETCH 1:4", b"UID FETCH 1,3:4")

    result = archive.verify(tmp_path, through(hears=hears), octets=octets, sample=sample)
    assert (result.good, result.compared, result.differences) == (True, 3, [])


def test_a_message_that_the_server_leaves_out_and_lists_no_more(through: Serve, tmp_path: Path) -> None:
    """It is there as long as EXISTS counts it."""
    archive.pull(through(), tmp_path)
    fetched: list[bytes] = []

    def hears(line: bytes) -> bytes:
        fetched.extend([line] * (b"UID FETCH" in line))
        line = line.replace(b"UID FETCH 1:4", b"UID FETCH 1,3:4")
        return re.sub(rb"UID SEARCH .*", rb"UID SEARCH UID 1,3:4\r", line) if fetched else line

    result = archive.verify(tmp_path, through(hears=hears))
    assert (result.good, differences(result)) == (False, [(2, "not compared")])


@pytest.mark.slow
@pytest.mark.parametrize("item", [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"BODY.PEEK[]"])
def test_an_item_that_the_server_does_not_send(through: Serve, tmp_path: Path, item: bytes) -> None:
    """The octets tell of the size too; else what can't be compared is named."""
    archive.pull(through(), tmp_path)
    account = through(hears=without(item))
    result = archive.verify(tmp_path, account, octets=True)
    if item == b"RFC822.SIZE":
        assert (result.good, result.compared) == (True, 4)
        result = archive.verify(tmp_path, account)
    assert (result.good, result.compared) == (False, 0)
    assert differences(result) == [(uid, "not compared") for uid in (1, 2, 3, 4)]
    assert item.replace(b".PEEK", b"").decode() in result.differences[0].detail


@pytest.mark.slow
def test_what_is_different_beside_what_is_not_sent(server: IMAPServer, through: Serve, tmp_path: Path) -> None:
    archive.pull(through(), tmp_path)
    server.set_flags("INBOX", 3, ["\\Flagged"])
    result = archive.verify(tmp_path, through(hears=without(b"BODY.PEEK[]")), octets=True)
    assert (3, "flags") in differences(result)
    assert [uid for uid, what in differences(result) if what == "not compared"] == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_search_that_lists_too_few(through: Serve, tmp_path: Path) -> None:
    archive.pull(through(), tmp_path)

    def says(line: bytes) -> bytes:
        return re.sub(rb"^\* (ESEARCH .*ALL) 1:4", rb"* \1 1:3", line).replace(b"* SEARCH 1 2 3 4", b"* SEARCH 1 2 3")

    result = archive.verify(tmp_path, through(says))
    assert result.failed == {"INBOX": "the server says that there are 4 messages, and lists 3"}
    assert not result.good


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["maildir", "mbox", "jsonl", "sqlite", "eml"])
def test_sizes_that_are_wrong(server: IMAPServer, through: Serve, tmp_path: Path, kind: str) -> None:
    """Where the octets are the same, nothing is written, however often; what is different beside is repaired."""
    account = through(lambda line: re.sub(rb"RFC822.SIZE (\d+)", lambda found: b"RFC822.SIZE 7" + found[1], line))
    store = store_at(tmp_path / "store", kind)
    archive.pull(account, store)
    result = archive.verify(store, account)
    assert differences(result) == [(uid, "size") for uid in (1, 2, 3, 4)]
    assert (result.good, result.notes) == (False, [])
    mail = {path: path.read_bytes() for path in store.root.rglob("*.*") if path.is_file() and path.name[0] != "."}
    wrong = ["INBOX: the server's RFC822.SIZE is wrong for 4 messages, whose octets are the same"]
    for octets, repair in ((True, False), (False, True), (True, True), (False, True)):
        result = archive.verify(store, account, octets=octets, repair=repair)
        assert (result.good, result.differences, result.notes) == (True, [], wrong)
    if kind != "sqlite":  # whose messages are beside the state
        assert {path: path.read_bytes() for path in mail} == mail
    server.set_flags("INBOX", 3, ["\\Flagged"])
    result = archive.verify(store, account, repair=True)
    assert [(each.uid, each.what, each.repaired) for each in result.differences] == [(3, "flags", True)]
    assert [flags for _, _, flags, _ in stored(store.root)["INBOX"]] == [(), (), ("\\Flagged",), ()]


@pytest.mark.slow
def test_a_size_that_is_right_for_other_octets(server: IMAPServer, through: Serve, tmp_path: Path) -> None:
    """A server that had another message, as one that was restored from a backup."""
    store = archive.EmlDirectory(tmp_path)
    archive.pull(through(), store)
    (file,) = (tmp_path / "INBOX").glob("2.*.eml")
    octets = file.read_bytes() + b"more\r\n"
    file.write_bytes(octets)
    with sqlite3.connect(store.state_path) as db:
        db.execute("UPDATE message SET digest = ?, size = ? WHERE uid = 2", (sha256(octets).digest(), len(octets)))
    db.close()
    assert archive.verify(tmp_path).good
    result = archive.verify(tmp_path, through())
    assert (result.good, differences(result)) == (False, [(2, "size")])
    result = archive.verify(tmp_path, through(), repair=True)
    assert (result.good, result.notes, differences(result)) == (True, [], [(2, "size")])
    assert archive.verify(tmp_path, through(), octets=True).differences == []
    assert [body for _, body, _, _ in stored(tmp_path)["INBOX"]] == [each.octets for each in server.messages("INBOX")]


# Runs that did not end, and rules.


def test_a_verification_that_is_stopped(mail: Mail, tmp_path: Path) -> None:
    """It is not good, wherever that was, and names what it has seen."""
    mail.fill("INBOX", 4)
    archive.pull(mail.account, tmp_path)
    for file in (tmp_path / "INBOX/cur").iterdir():
        file.unlink()
    seen = []
    for times in range(20):
        stopping = itertools.chain([False] * times, itertools.repeat(True)).__next__
        result = archive.verify(tmp_path, mail.account, octets=True, repair=True, stopping=stopping)
        if result.stopped is None:
            break
        assert (result.good, result.stopped, result.as_dict()["stopped"]) == (False, "asked to stop", "asked to stop")
        seen.append((result.checked, sum(not each.repaired for each in result.differences)))
    assert seen[:3] == [(0, 0), (1, 1), (2, 2)]
    assert result.good
    assert stored(tmp_path) == mail.all()
    assert archive.verify(tmp_path, stopping=lambda: True).stopped == "asked to stop"


def test_what_the_program_says_of_it(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mail.fill("INBOX", 4)
    archive.pull(mail.account, tmp_path)
    verify = archive.verify
    monkeypatch.setattr(archive, "verify", lambda *args, **options: verify(*args, stopping=lambda: True, **options))
    parsed = cli.command_parser("verify").parse_args([str(tmp_path)])
    assert parsed.run(parsed) == 13
    said = capsys.readouterr()
    assert said.err == "stopped: asked to stop; run it again\n"
    assert "all is well" not in said.out


def test_nothing_is_well_of_a_store_whose_first_login_was_refused(
    through: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AuthenticationFailed):
        archive.pull(through().__replace__(password="wrong"), tmp_path)
    for account in (None, through()):
        with pytest.raises(ValueError, match="nothing was ever pulled into the store"):
            archive.verify(tmp_path, account)
    assert cli.main(["verify", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "fastimap verify: nothing was ever pulled into the store\n")
    archive.pull(through(), tmp_path)
    assert archive.verify(tmp_path).good


def test_what_rules_leave_out_is_not_pulled_by_a_repair(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 8)
    assert archive.pull(mail.account, tmp_path, limit=2).complete
    assert archive.verify(tmp_path, mail.account, repair=True).differences == []
    mail.fill("INBOX", 2)
    result = archive.verify(tmp_path, mail.account, repair=True)
    assert (result.good, differences(result)) == (False, [(9, "not pulled"), (10, "not pulled")])
    assert archive.pull(mail.account, tmp_path, limit=2, max_octets=10).stopped is not None
    result = archive.verify(tmp_path, mail.account, repair=True)  # which of them the rules leave out, nobody knows
    assert not result.good
    assert {9, 10} <= {uid for uid, what in differences(result) if what == "not pulled"}
    assert not any(each.repaired for each in result.differences)
    assert len(stored(tmp_path)["INBOX"]) == 2
    assert archive.pull(mail.account, tmp_path, limit=2).complete
    assert archive.verify(tmp_path, mail.account, repair=True).differences == []
    assert len(stored(tmp_path)["INBOX"]) == 4


def test_more_are_missing_than_the_rules_left_out(mail: Mail, tmp_path: Path) -> None:
    """As where a server has messages back that were deleted, under their UIDs."""
    mail.fill("INBOX", 8)
    assert archive.pull(mail.account, tmp_path, limit=5).complete
    store = store_at(tmp_path)
    state = store.load(None)
    (place,) = (place for place in state.places() if place.name == "INBOX")
    state.remove(place, [6])
    state.commit()
    state.close()
    result = archive.verify(tmp_path, mail.account)
    assert (result.good, differences(result)) == (False, [(0, "not pulled")])
    assert "4 messages are not here, and the last pull left out 3" in result.differences[0].detail


@pytest.mark.slow
def test_rules_and_a_message_that_could_not_be_had(server: IMAPServer, through: Serve, tmp_path: Path) -> None:
    def hears(line: bytes) -> bytes:
        return re.sub(rb"UID FETCH 1:4 (.*BODY)", rb"UID FETCH 1,3:4 \1", line)

    report = archive.pull(through(hears=hears), tmp_path, max_size=10_000)
    assert list(report.mailboxes["INBOX"].parked) == [2]
    result = archive.verify(tmp_path, through())
    assert (result.good, differences(result)) == (False, [(2, "not pulled")])
    assert "leaves it out" in result.differences[0].detail


def test_what_is_missing_in_a_mailbox_that_can_not_be_compared(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a", 2, create=True)
    archive.pull(mail.account, tmp_path)
    next((tmp_path / "a/cur").glob("2.*")).unlink()
    mail.client.delete_mailbox("a")
    mail.client.create_mailbox("a")
    result = archive.verify(tmp_path, mail.account)
    assert list(result.failed) == ["a"]
    assert differences(result) == [(2, "missing")]
