"""Push and migrate: exactly once, with flags and dates, whatever was there and whatever comes in between."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap import Account, Client, archive, errors
from fastimap.archive.moving.ledger import Ledger
from fastimap.archive.moving.names import Shape, mapped
from fastimap.archive.moving.sources import StoreSource
from fastimap.archive.state import State
from fastimap.archive.stores import store_at
from fastimap.archive.stores.maildir import Maildir
from fastimap.sessions.retry import Retry, no_waits
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, message
from tests.client.conftest import serve
from tests.client.peers import DONE, converse
from tests.servers import dovecot
from tests.servers.dovecot import Dovecot
from tests.support.cuts import Cut, proxied

__all__ = ["serve"]

Kept = dict[str, list[tuple[bytes, tuple[str, ...], int]]]


@pytest.fixture
def other(dovecot: Dovecot) -> Iterator[Mail]:
    """The account that mail goes to."""
    user = dovecot.new_user()
    login: dict[str, Any] = {"user": user, "password": dovecot.password, "tls": False, "mechanism": "LOGIN"}
    with Client(dovecot.host, dovecot.port, **login, timeout=20) as client:
        yield Mail(dovecot, user, client)


def kept(mail: Mail) -> Kept:
    """Return what an account has, without UIDs: of each mailbox octets, flags and dates."""
    return {name: sorted(each[1:] for each in messages) for name, messages in mail.all().items()}


def fill(mail: Mail) -> None:
    mail.fill("INBOX", 12, flags=("\\Seen", "$Forwarded"))
    mail.fill("Work", 5, flags=("\\Flagged",), create=True)
    mail.fill("Work/2024", 3, create=True)
    mail.fill("Trash", 2)


def test_an_account_is_copied(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """The ten lines: all is there, and the second time nothing is done."""
    fill(mail)
    report = archive.migrate(mail.account, other.account, state=tmp_path)
    assert report.complete, report.failed
    assert (report.found, report.written, report.present) == (22, 22, 0)
    assert kept(other) == kept(mail)

    again = archive.migrate(mail.account, other.account, state=tmp_path)
    assert again.complete
    assert (again.found, again.written, again.present) == (22, 0, 22)
    assert kept(other) == kept(mail)


def test_a_store_is_pushed(mail: Mail, other: Mail, tmp_path: Path) -> None:
    fill(mail)
    archive.pull(mail.account, tmp_path)
    report = archive.push(tmp_path, other.account)
    assert report.complete, report.failed
    assert (report.found, report.written) == (22, 22)
    assert {name: held for name, held in kept(other).items() if held} == {n: h for n, h in kept(mail).items() if h}
    assert archive.push(tmp_path, other.account).written == 0


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("kind", ["maildir", "sqlite"])
def test_a_store_of_which_all_mailboxes_are_gone_is_pushed(
    mail: Mail, other: Mail, tmp_path: Path, kind: str, dry_run: bool
) -> None:
    """A pull need not be of INBOX, and is complete when the account has nothing more of what it is about."""
    mail.fill("Work", 3, create=True)
    store = store_at(tmp_path, kind)
    about: dict[str, Any] = {"exclude": ["INBOX", "Drafts", "Trash"]}
    assert archive.pull(mail.account, store, **about).complete
    assert archive.push(store, other.account).written == 3
    mail.client.delete_mailbox("Work")
    assert archive.pull(mail.account, store, **about).complete
    for account in (None, f"{mail.user}@{mail.server.host}"):
        report = archive.push(store, other.account, account=account, dry_run=dry_run, deleted="delete", max_delete=9)
        assert (report.failed, report.complete, report.deleted) == ({}, not dry_run, 0)
        assert report.notes == ["the source has Work no more; Work stays at the destination"]
    assert len(kept(other)["Work"]) == 3


def test_a_store_into_which_nothing_was_pulled(mail: Mail, other: Mail, tmp_path: Path) -> None:
    archive.pull(mail.account, tmp_path, exclude=["INBOX", "Drafts", "Trash"])
    with pytest.raises(archive.StoreError, match="lists no mailbox at all"):
        archive.push(tmp_path, other.account)


def test_awaited(mail: Mail, other: Mail, tmp_path: Path) -> None:
    fill(mail)

    async def main() -> None:
        await archive.aio.pull(mail.account, tmp_path / "mail")
        report = await archive.aio.push(tmp_path / "mail", other.account)
        assert report.written == 22
        report = await archive.aio.migrate(mail.account, other.account, state=tmp_path / "state")
        assert (report.written, report.present) == (0, 22)

    asyncio.run(main())


def test_what_changes_at_the_source_is_carried_over(mail: Mail, other: Mail, tmp_path: Path) -> None:
    fill(mail)
    archive.migrate(mail.account, other.account, state=tmp_path)
    other.client.select("INBOX")
    other.client.add_flags(3, "\\Answered")  # somebody works there already
    other.client.unselect()
    mail.fill("INBOX", 2)
    mail.client.select("INBOX")
    mail.client.remove_flags([1, 2], "\\Seen")
    mail.client.add_flags([2, 3], ("\\Flagged", "$Junk"))
    mail.client.unselect()
    mail.expunge("INBOX", [5, 6])
    report = archive.migrate(mail.account, other.account, state=tmp_path)
    inbox = report.mailboxes["INBOX"]
    assert (inbox.found, inbox.written, inbox.present, inbox.gone, inbox.flags) == (12, 2, 10, 2, 3)
    assert report.deleted == 0
    flags = {uid: set(flags) - {"\\Recent"} for uid, _, flags, _ in other.all()["INBOX"]}
    assert flags[1] == {"$Forwarded"}
    assert flags[2] == {"$Forwarded", "\\Flagged", "$Junk"}
    assert flags[3] == {"\\Seen", "$Forwarded", "\\Flagged", "$Junk", "\\Answered"}
    assert len(flags) == 14

    report = archive.migrate(mail.account, other.account, state=tmp_path, deleted="delete", max_delete=1)
    assert report.deleted == 0
    assert report.held_back is not None
    report = archive.migrate(mail.account, other.account, state=tmp_path, deleted="delete")
    assert report.deleted == 2
    assert {uid for uid, *_ in other.all()["INBOX"]} == set(range(1, 15)) - {5, 6}
    assert archive.migrate(mail.account, other.account, state=tmp_path, deleted="delete").deleted == 0


def test_what_another_program_has_copied_is_not_sent(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """With other dates and without flags; twins count each; what is unlike is sent."""
    twin = b"Subject: a twin without Message-ID\r\n\r\ntext\r\n"
    octets = mail.fill("INBOX", 6, flags=("\\Seen",))
    for _ in range(3):
        mail.client.append("INBOX", twin)
    other.client.append("INBOX", message(99_999))
    for each in (*octets[:4], twin, twin):
        other.client.append("INBOX", each)
    report = archive.migrate(mail.account, other.account, state=tmp_path)
    assert report.complete
    assert (report.found, report.written, report.present) == (9, 3, 6)
    held = [body for _, body, _, _ in other.all()["INBOX"]]
    assert sorted(held) == sorted([*octets, twin, twin, twin, message(99_999)])
    assert all("\\Seen" in flags for _, body, flags, _ in other.all()["INBOX"] if body in octets)


def test_the_same_size_and_message_id_are_not_enough_for_two(mail: Mail, other: Mail, tmp_path: Path) -> None:
    one = b"Message-ID: <same@example.org>\r\n\r\none copy\r\n"
    two = b"Message-ID: <same@example.org>\r\n\r\ntwo copy\r\n"
    for each in (one, two):
        mail.client.append("INBOX", each)
    other.client.append("INBOX", two)
    report = archive.migrate(mail.account, other.account, state=tmp_path)
    assert (report.written, report.present) == (1, 1)
    assert sorted(body for _, body, _, _ in other.all()["INBOX"]) == [one, two]


@pytest.mark.parametrize(("way", "to_client"), [("rst", True), ("fin", False)])
def test_a_cut_link_to_the_destination(mail: Mail, dovecot: Dovecot, tmp_path: Path, way: Any, to_client: bool) -> None:
    fill(mail)
    for after in range(900, 20_000, 3500):
        user = dovecot.new_user()
        with proxied(dovecot.host, dovecot.port) as proxy, no_waits():
            proxy.cuts.append(Cut(after if not to_client else after // 6 + 700, to_client, way))
            account = Account(
                proxy.host, proxy.port, user=user, password="secret", tls=False, mechanism="LOGIN", timeout=5
            )
            report = archive.migrate(mail.account, account, state=tmp_path / user, names=(None, user))
            assert report.complete, (after, report.failed)
        with Client(dovecot.host, dovecot.port, user=user, password="secret", tls=False, mechanism="LOGIN") as client:
            there = kept(Mail(dovecot, user, client))
        assert {n: h for n, h in there.items() if h} == {n: h for n, h in kept(mail).items() if h}, after


def test_a_run_that_was_stopped_goes_on(mail: Mail, other: Mail, tmp_path: Path) -> None:
    fill(mail)
    report = archive.migrate(mail.account, other.account, state=tmp_path, stopping=iter([False, False, True]).__next__)
    assert report.stopped == "asked to stop"
    assert not report.complete
    report = archive.migrate(mail.account, other.account, state=tmp_path)
    assert report.complete
    assert kept(other) == kept(mail)


def intend(ledger: Ledger, uid: int, uid_next: int, octets: bytes, flags: str = "") -> None:
    name = octets.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]
    row = (uid, uid_next, len(octets), name, hashlib.sha256(octets).digest(), flags)
    ledger.db.execute("INSERT INTO intent SELECT id, ?, ?, ?, ?, ?, ? FROM pair WHERE name = 'INBOX'", row)


def test_what_was_being_sent_and_is_gone_at_the_source_is_known_there(mail: Mail, other: Mail, tmp_path: Path) -> None:
    octets = mail.fill("INBOX", 4)
    archive.migrate(mail.account, other.account, state=tmp_path)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.db.execute("DELETE FROM message WHERE uid = 3")
    intend(ledger, 3, 3, octets[2])
    ledger.close()
    mail.expunge("INBOX", [3])
    with no_waits():
        report = archive.migrate(mail.account, other.account, state=tmp_path, deleted="delete")
    assert (report.complete, report.written, report.deleted) == (True, 0, 1)
    assert kept(other) == kept(mail)


def test_nobody_knows_whether_it_was_sent(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """A run was killed between sending and noting: what is there is found, what is not is sent."""
    octets = mail.fill("INBOX", 4)
    archive.migrate(mail.account, other.account, state=tmp_path)
    mail.client.append("INBOX", octets[0])  # the same again, which is to be there twice
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.db.execute("DELETE FROM message WHERE uid > 1")
    intend(ledger, 2, 2, octets[1])
    intend(ledger, 5, 2, octets[0])
    ledger.close()
    with no_waits():
        report = archive.migrate(mail.account, other.account, state=tmp_path)
    inbox = report.mailboxes["INBOX"]
    assert (inbox.found, inbox.written, inbox.present) == (5, 1, 4)
    assert sorted(body for _, body, _, _ in other.all()["INBOX"]) == sorted([*octets, octets[0]])


def test_flags_that_were_sent_and_are_gone_since_follow(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """A run was killed after it had sent a message; then a flag of it was taken away at the source."""
    octets = mail.fill("INBOX", 2, flags=("\\Seen", "$Junk"))
    archive.migrate(mail.account, other.account, state=tmp_path)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.db.execute("DELETE FROM message WHERE uid = 2")
    intend(ledger, 2, 2, octets[1], "$Junk \\Seen")
    ledger.close()
    mail.client.select("INBOX")
    mail.client.set_flags(2, ("$Junk", "\\Flagged"))
    mail.client.unselect()
    other.client.select("INBOX")
    other.client.add_flags(2, "\\Answered")  # by others
    other.client.unselect()
    with no_waits():
        report = archive.migrate(mail.account, other.account, state=tmp_path)
    assert (report.complete, report.written) == (True, 0)
    flags = {uid: set(flags) for uid, _, flags, _ in other.all()["INBOX"]}
    assert flags[2] == {"$Junk", "\\Flagged", "\\Answered"}


@pytest.mark.parametrize(("first", "then"), [((), ("\\Seen",)), (("\\Seen", "$Junk"), ())])
def test_flags_that_a_run_died_of_and_that_are_back_at_the_source(
    mail: Mail, other: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Any, then: Any
) -> None:
    """The destination was told of a change, the run died before that was noted, and the change was taken back."""
    mail.fill("INBOX", 3, flags=first)
    archive.migrate(mail.account, other.account, state=tmp_path)
    mail.client.select("INBOX")
    mail.client.set_flags(2, then)
    tell = Client.store

    def die(self: Client, *args: Any, **kwargs: Any) -> Any:
        tell(self, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Client, "store", die)
        with pytest.raises(KeyboardInterrupt):
            archive.migrate(mail.account, other.account, state=tmp_path)
    assert [flags for _, _, flags, _ in other.all()["INBOX"]][1] == then
    mail.client.set_flags(2, first)
    mail.client.unselect()
    other.client.select("INBOX")
    other.client.add_flags(2, "\\Answered")  # by others
    other.client.unselect()
    archive.migrate(mail.account, other.account, state=tmp_path)
    flags = {uid: set(flags) for uid, _, flags, _ in other.all()["INBOX"]}
    assert flags == {1: set(first), 2: {*first, "\\Answered"}, 3: set(first)}


@pytest.mark.parametrize(
    "dies", [KeyboardInterrupt, errors.CommandError("STORE", b"a", "NO", None, "not now")], ids=["dies", "refused"]
)
def test_flags_of_what_was_found_are_told_though_a_run_dies_of_them(
    mail: Mail, other: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: Any
) -> None:
    """The source has said nothing of them since a run that was complete, and never will."""
    octets = mail.fill("INBOX", 3, flags=("\\Flagged",))
    archive.migrate(mail.account, other.account, state=tmp_path)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.db.execute("DELETE FROM message WHERE uid = 2")  # of another program, as it seems
    ledger.close()
    other.client.select("INBOX")
    other.client.remove_flags(2, "\\Flagged")
    other.client.unselect()

    def die(*args: Any, **kwargs: Any) -> Any:
        raise dies

    with no_waits(), monkeypatch.context() as patched:
        patched.setattr(Client, "store", die)
        if dies is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                archive.migrate(mail.account, other.account, state=tmp_path)
        else:
            assert not archive.migrate(mail.account, other.account, state=tmp_path).complete
    assert archive.migrate(mail.account, other.account, state=tmp_path).complete
    assert kept(other) == kept(mail)
    assert len(octets) == 3


@pytest.mark.parametrize("on_doubt", ["report", "send"])
def test_what_the_server_may_have_changed_is_never_sent_in_silence(
    mail: Mail, other: Mail, tmp_path: Path, on_doubt: Any
) -> None:
    octets = mail.fill("INBOX", 2)
    archive.migrate(mail.account, other.account, state=tmp_path)
    mail.client.append("INBOX", message(77_777))
    other.client.append("INBOX", b"Received: by the server\r\n" + message(77_777))
    ledger = Ledger(tmp_path / "ledger.sqlite")
    intend(ledger, 3, 3, message(77_777))
    ledger.close()
    with no_waits():
        report = archive.migrate(mail.account, other.account, state=tmp_path, on_doubt=on_doubt)
    inbox = report.mailboxes["INBOX"]
    if on_doubt == "report":
        assert list(inbox.parked) == [3]
        assert "UID 3" in inbox.parked[3]
        assert not report.complete
        assert len(other.all()["INBOX"]) == 3
        with no_waits():  # later runs know no more of it, until somebody has decided
            left_out = archive.migrate(mail.account, other.account, state=tmp_path, max_size=1)
            again = archive.migrate(mail.account, other.account, state=tmp_path)
            other.expunge("INBOX", [3])
            sent = archive.migrate(mail.account, other.account, state=tmp_path)
        assert (left_out.complete, left_out.mailboxes["INBOX"].excluded) == (True, {"max-size": 1})
        assert again.mailboxes["INBOX"].parked == inbox.parked
        assert (sent.complete, sent.written) == (True, 1)
        assert kept(other) == kept(mail)
    else:
        assert (inbox.written, inbox.parked) == (1, {})
        assert sum(body == message(77_777) for _, body, _, _ in other.all()["INBOX"]) == 1
    assert len(octets) == 2


def test_a_dry_run_says_it_and_does_nothing(mail: Mail, other: Mail, tmp_path: Path) -> None:
    fill(mail)
    before = kept(other)
    report = archive.migrate(mail.account, other.account, state=tmp_path / "state", dry_run=True)
    assert (report.found, report.written, report.dry_run) == (22, 22, True)
    assert "Work would be made" in report.mailboxes["Work"].notes
    assert report.octets == sum(len(body) for held in kept(mail).values() for body, *_ in held)
    assert kept(other) == before
    assert not (tmp_path / "state").exists()


def test_a_budget(mail: Mail, other: Mail, tmp_path: Path) -> None:
    fill(mail)
    report = archive.migrate(mail.account, other.account, state=tmp_path, budget=100)
    assert report.stopped is not None
    assert report.go_on_at is not None
    assert report.go_on_at > datetime.now(UTC)
    assert archive.migrate(mail.account, other.account, state=tmp_path, budget=0).complete


def test_a_destination_that_refuses_some(mail: Mail, serve: Any, tmp_path: Path) -> None:
    """A keyword, a date, a message that is too big, one that is called a virus: noted, or parked."""
    head = b"Message-ID: <%d@x>\r\n\r\n"
    mail.client.append("INBOX", head % 1 + b"plain\r\n", flags=("\\Seen", "$Odd"))
    mail.client.append("INBOX", head % 2 + b"old\r\n", internal_date=datetime(1971, 1, 1, tzinfo=UTC))
    mail.client.append("INBOX", head % 3 + b"VIRUS\r\n")
    mail.client.append("INBOX", head % 4 + b"big\r\n" * 400)
    mail.client.append("INBOX", head % 5 + b"limited keyword\r\n", flags=("\\Flagged", "$Fine"))
    sent: list[bytes] = []

    def reply(command: bytes) -> bytes | None:
        if command.startswith(b"APPEND"):
            sent.append(command)
            if b"VIRUS" in command or b"1971" in command or (b"limited" in command and b"$Fine" in command):
                return b"<tag> NO not this one\r\n"
            return b"<tag> OK [APPENDUID 7 %d] done\r\n" % len(sent)
        if command.startswith(b"SELECT"):
            flags = b"* OK [PERMANENTFLAGS (\\Seen \\Flagged $Fine)] kept\r\n"
            return b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 1] next\r\n" + flags + DONE
        if command.startswith(b"LIST"):
            return b'* LIST () "/" INBOX\r\n' + DONE
        return DONE

    script = converse(reply, b"IMAP4rev1 LITERAL+ UIDPLUS APPENDLIMIT=1000", selects=True)
    account = Account("127.0.0.1", serve(script).port, user="ann", password="x", tls=False, timeout=10)
    report = archive.migrate(mail.account, account, state=tmp_path, mailboxes=["INBOX"])
    inbox = report.mailboxes["INBOX"]
    assert (inbox.found, inbox.written, inbox.accounted) == (5, 3, 5)
    assert set(inbox.parked) == {3, 4}
    assert "refuses it" in inbox.parked[3]
    assert "1000 at most" in inbox.parked[4]
    assert "$Odd: not taken by the destination, left out of 1" in inbox.notes
    assert "$Fine: not taken by the destination, left out of 1" in inbox.notes
    assert "1 dates were not taken by the destination, and left out" in inbox.notes
    assert not report.complete


def test_a_full_destination_stops_it(mail: Mail, serve: Any, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    count = iter(range(1, 9))

    def reply(command: bytes) -> bytes | None:
        if command.startswith(b"APPEND"):
            number = next(count)
            return b"<tag> OK [APPENDUID 7 1] ok\r\n" if number == 1 else b"<tag> NO [OVERQUOTA] full\r\n"
        if command.startswith(b"SELECT"):
            return b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 1] next\r\n" + DONE
        if command.startswith(b"LIST"):
            return b'* LIST () "/" INBOX\r\n' + DONE
        return DONE

    script = converse(reply, b"IMAP4rev1 LITERAL+ UIDPLUS", selects=True)
    account = Account("127.0.0.1", serve(script).port, user="ann", password="x", tls=False, timeout=10)
    report = archive.migrate(mail.account, account, state=tmp_path, mailboxes=["INBOX"])
    assert report.stopped is not None
    assert "full" in report.stopped
    assert report.written == 1
    assert not report.complete


def test_names_and_choices(mail: Mail, other: Mail, tmp_path: Path) -> None:
    fill(mail)
    report = archive.migrate(
        mail.account,
        other.account,
        state=tmp_path,
        mailboxes=["INBOX", "Work", "nowhere", "\\Trash"],
        exclude=["\\Trash"],
        rename={"Work": "Old/Work"},
    )
    assert set(kept(other)) - {"Drafts", "Trash", "Sent", "Junk"} >= {"INBOX", "Old/Work"}
    assert kept(other)["Old/Work"] == kept(mail)["Work"]
    assert report.failed == {"nowhere": "there is no such mailbox"}
    assert kept(other)["Trash"] == []


def test_names_that_the_source_does_not_have_are_said(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """Else a slip of the pen copies a mailbox that was to be left out, or under a name that it was not to have."""
    mail.fill("INBOX", 1)
    choice: dict[str, Any] = {"exclude": ["Trahs", "\\Trash"], "rename": {"INBOX": "Old", "Werk": "Old/Work"}}
    said = ["exclude: there is no mailbox Trahs", "rename: there is no mailbox Werk"]
    assert archive.migrate(mail.account, other.account, state=tmp_path, dry_run=True, **choice).notes == said
    archive.pull(mail.account, tmp_path / "store")
    said.insert(1, "exclude: there is no mailbox \\Trash")  # a store does not know special uses
    assert archive.push(tmp_path / "store", other.account, dry_run=True, **choice).notes == said


@pytest.mark.slow
def test_a_day_may_be_a_datetime(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """Of a TOML file for instance; the day counts, as in a pull."""
    mail.fill("INBOX", 2)
    archive.pull(mail.account, tmp_path / "store")
    for kind in (date, datetime):
        cases: list[tuple[dict[str, Any], int]] = [({"since": kind(1980, 1, 1)}, 2), ({"before": kind(1980, 1, 1)}, 0)]
        for choice, found in cases:
            report = archive.push(tmp_path / "store", other.account, dry_run=True, **choice)
            assert report.written == found


def test_a_name_that_the_destination_refuses(other: Mail, tmp_path: Path) -> None:
    """Dovecot's Maildir++ takes no dot in a name, although its delimiter is another."""
    with IMAPServer(users={"me": "secret"}) as server:
        server.append("INBOX", message(1))
        server.create("example.org")
        server.append("example.org", message(2))
        source = Account("127.0.0.1", server.port, user="me", password="secret", tls=False, mechanism="PLAIN")
        report = archive.migrate(source, other.account, state=tmp_path)
        assert "(rename can give it another name there)" in report.failed["example.org"]
        assert (report.complete, report.written) == (False, 1)
        report = archive.migrate(source, other.account, state=tmp_path, rename={"example.org": "example_org"})
        assert (report.complete, report.written, len(kept(other)["example_org"])) == (True, 1, 1)


def test_what_makes_no_sense(mail: Mail, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="to itself"):
        archive.migrate(mail.account, mail.account, state=tmp_path)
    with pytest.raises(archive.StoreError, match="no store"):
        archive.push(tmp_path, mail.account)
    with pytest.raises(ValueError, match="on_doubt"):
        archive.migrate(mail.account, mail.account, on_doubt="maybe")  # type: ignore[arg-type]


def test_names_are_mapped_by_a_rule_that_can_be_undone() -> None:
    dots, slashes, prefixed = Shape("", "."), Shape("", "/"), Shape("INBOX.", ".")
    assert mapped("Work/2024", slashes, dots) == "Work.2024"
    assert mapped("Work/v1.2", slashes, dots) == "Work.v1%2E2"
    assert mapped("100%2E", slashes, dots) == "100%252E"
    assert mapped("100% sure", slashes, dots) == "100% sure"
    assert mapped("INBOX", slashes, prefixed) == "INBOX"
    assert mapped("INBOX.Sent", prefixed, slashes) == "Sent"
    assert mapped("Sent", slashes, prefixed) == "INBOX.Sent"
    assert mapped("INBOX/old", slashes, prefixed) == "INBOX.INBOX.old"
    assert mapped("a.b", dots, Shape("", None)) == "a%2Fb"
    assert mapped("INBOX.INBOX", prefixed, slashes) == "%49NBOX"
    assert mapped("Work/100%2E", slashes, slashes) == "Work/100%2E"
    assert mapped("Work.v1%2E2", dots, slashes) == "Work/v1.2"
    assert mapped("100%252E", dots, slashes) == "100%2E"


SHAPES = st.builds(Shape, st.sampled_from(["", "INBOX.", "Mail/"]), st.sampled_from([".", "/", "\\", None]))


@given(st.text("ab%25EFf./\\INBOXinbox", min_size=1), SHAPES, SHAPES)
def test_every_name_comes_back(name: str, source: Shape, destination: Shape) -> None:
    name = source.prefix + name if name != "INBOX" else name
    if name.upper() == "INBOX":
        name = "INBOX"
    assert mapped(mapped(name, source, destination), destination, source) == name


def test_one_mailbox_of_another_name_space_takes_no_levels_from_the_others(tmp_path: Path) -> None:
    """RFC 2342, section 5, example 4: a server with "/" whose news have "."."""
    with State(None, "maildir") as state:
        for name, delimiter in [("#news.comp.mail", "."), ("INBOX", "/"), ("Work/v1.2", "/"), ("Work/x/y", "/")]:
            state.place("a", name, 1, delimiter=delimiter, mailbox_id=None)
        source = StoreSource(Maildir(tmp_path), state, "a")
        boxes = source.boxes()
        names = [mapped(box.name, source.shape, Shape("", "/")) for box in boxes]
        assert names == ["#news.comp.mail", "INBOX", "Work/v1.2", "Work/x/y"]


def test_names_stay_as_they_are_where_nothing_is_to_be_escaped(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """There and back, and again: no % is another one's escape between servers with one delimiter."""
    names = ("100%2E", "50%25", "a%2Fb", "100% sure", "%49NBOX", "x%2E/y%252E")
    for name in names:
        mail.fill(name, 1, create=True)
    for way in (1, 2):
        for source, destination in ((mail, other), (other, mail)):
            report = archive.migrate(source.account, destination.account, state=tmp_path / f"{way}{source.user}")
            assert report.complete
        assert {*names} <= {*kept(other)} == {*kept(mail)}
    archive.pull(mail.account, tmp_path / "store")
    assert archive.push(tmp_path / "store", other.account).complete
    assert {*kept(other)} == {*kept(mail)}


def test_nobody_there(mail: Mail, tmp_path: Path) -> None:
    gone = Account("127.0.0.1", 9, user="ann", password="secret", tls=False, mechanism="LOGIN", timeout=2)
    with pytest.raises(errors.ConnectFailed):
        archive.migrate(mail.account, gone, state=tmp_path, retry=Retry())


def test_several_connections(mail: Mail, other: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small groups, so that each connection has something to do; twins, so that a message can be taken for another."""
    monkeypatch.setattr("fastimap.archive.moving.sending._GROUP", 5)
    fill(mail)
    twin = b"Subject: a twin without Message-ID\r\n\r\ntext\r\n"
    for _ in range(30):
        mail.client.append("INBOX", twin)
    mail.fill("INBOX", 220)
    with proxied(mail.server.host, mail.server.port) as proxy:
        account = dataclasses.replace(other.account, port=proxy.port)
        report = archive.migrate(mail.account, account, state=tmp_path, connections=3, names=("a", "b"))
        assert report.complete, report.failed
        assert 1 < proxy.connections <= 3
    assert kept(other) == kept(mail)
    store = tmp_path / "store"
    archive.pull(mail.account, store)
    pushed = archive.push(store, other.account, connections=3)
    assert (pushed.written, pushed.present) == (0, 272)


@pytest.mark.parametrize("seed", range(6))
def test_links_are_cut_of_several_connections(mail: Mail, other: Mail, tmp_path: Path, seed: int) -> None:
    """Equal messages are under way by all of them, and answers are lost: none is taken for another's."""
    twin = b"Subject: a twin without Message-ID\r\n\r\n%s\r\n" % (b"text " * 100)
    mail.client.multi_append("INBOX", [twin] * 240)
    mail.fill("Work", 20, create=True)
    chance = random.Random(seed)
    with proxied(mail.server.host, mail.server.port) as proxy, no_waits(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastimap.archive.moving.sending._GROUP", 8)
        for _ in range(8):
            to_client = chance.random() < 0.5
            after = chance.randrange(1_300, 3_000) if to_client else chance.randrange(2_000, 50_000)
            proxy.cuts.append(Cut(after, to_client, chance.choice(("rst", "fin"))))
        account = dataclasses.replace(other.account, port=proxy.port, timeout=5)
        report = archive.migrate(mail.account, account, state=tmp_path, connections=3, names=("a", "b"))
    if not report.complete:  # cut more often than is tried
        report = archive.migrate(mail.account, other.account, state=tmp_path, connections=3, names=("a", "b"))
    assert report.complete, report.as_dict()
    assert kept(other) == kept(mail)


def test_fewer_connections_than_asked_for(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The destination takes one alone: it is done by that."""
    mail.fill("INBOX", 220)
    monkeypatch.setattr("fastimap.archive.moving.sending._GROUP", 5)
    with dovecot.running("mail_max_userip_connections = 1\n") as server, no_waits():
        user = server.new_user()
        login: dict[str, Any] = {"password": server.password, "tls": False, "mechanism": "LOGIN"}
        account = Account(server.host, server.port, user=user, **login, timeout=20)
        report = archive.migrate(mail.account, account, state=tmp_path, connections=3, names=("a", "b"))
        assert report.complete, report.as_dict()
        with Client(account) as client:
            assert kept(Mail(server, user, client))["INBOX"] == kept(mail)["INBOX"]


def test_the_link_to_another_machine_is_compressed(
    mail: Mail, other: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastimap.archive.moving.sources.is_here", lambda host: False)
    fill(mail)
    with (
        proxied(mail.server.host, mail.server.port) as ours,
        proxied(mail.server.host, mail.server.port) as theirs,
    ):
        text = b"Subject: long\r\n\r\n" + b"the same line again and again\r\n" * 10_000
        mail.client.append("INBOX", text)
        source = dataclasses.replace(mail.account, port=ours.port)
        destination = dataclasses.replace(other.account, port=theirs.port)
        report = archive.migrate(source, destination, state=tmp_path, names=("a", "b"))
        assert report.complete
        assert 0 < ours.octets[1] < len(text)  # to the client
        assert 0 < theirs.octets[0] < len(text)
    assert kept(other) == kept(mail)


def test_the_rights_of_others(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """Given where they are not there; a second time nothing is to be said; a dry run says it."""
    mail.fill("Work", 2, create=True)
    mail.client.set_acl("Work", "bob", "lrs")
    mail.client.set_acl("Work", "eve", "l")
    wanted = {who: set(what) for who, what in mail.client.get_acl("Work").rights.items() if who in ("bob", "eve")}
    assert len(wanted) == 2
    tried = archive.migrate(mail.account, other.account, state=tmp_path, acl=True, dry_run=True)
    assert any("bob" in note and "would be given" in note for note in tried.mailboxes["Work"].notes)
    report = archive.migrate(mail.account, other.account, state=tmp_path, acl=True)
    assert report.complete
    rights = other.client.get_acl("Work").rights
    assert {who: set(rights[who]) for who in wanted} == wanted
    assert not any("rights" in note for note in report.mailboxes["Work"].notes)
    assert mail.user not in rights
    again = archive.migrate(mail.account, other.account, state=tmp_path, acl=True)
    assert not any("rights" in note for note in again.mailboxes["Work"].notes)


def test_annotations(mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.fill("Work", 2, create=True)
    values = {"/private/comment": b"of mine", "/shared/comment": b"of all", "/private/vendor/x/y": b"two\r\nlines"}
    mail.client.set_metadata("Work", values)
    report = archive.migrate(mail.account, other.account, state=tmp_path, metadata=True)
    assert report.complete
    assert dict(other.client.get_metadata("Work", *values).entries) == values
    assert report.mailboxes["Work"].notes == []


def test_what_is_beside_the_messages_and_refused_is_said(mail: Mail, serve: Any, tmp_path: Path) -> None:
    mail.client.set_acl("INBOX", "bob", "lrs")
    mail.client.set_acl("INBOX", "eve", "lr")
    mail.client.set_metadata("INBOX", {"/private/comment": "mine", "/shared/comment": "ours"})

    def reply(command: bytes) -> bytes | None:
        if command.startswith(b"SELECT"):
            return b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 1] next\r\n" + DONE
        if command.startswith(b"LIST"):
            return b'* LIST () "/" INBOX\r\n' + DONE
        if command.startswith(b"SETACL INBOX bob"):
            return b"<tag> NO [CANNOT] there is no bob here\r\n"
        if command.startswith(b"GETACL"):
            return b"* ACL INBOX ann lrswipkxtea eve l\r\n" + DONE
        if command.startswith(b"SETMETADATA INBOX (/shared"):
            return b"<tag> NO [NOPERM] not yours\r\n"
        return DONE

    script = converse(reply, b"IMAP4rev1 LITERAL+ UIDPLUS ACL METADATA", selects=True)
    account = Account("127.0.0.1", serve(script).port, user="ann", password="x", tls=False, timeout=10)
    report = archive.migrate(
        mail.account, account, state=tmp_path, mailboxes=["INBOX"], acl=True, metadata=True, names=("a", "there")
    )
    notes = "\n".join(report.mailboxes["INBOX"].notes)
    assert "rights of bob, lrs: refused by the destination" in notes
    assert "there is no bob here" in notes
    assert "rights of eve: r not kept by the destination" in notes
    assert "annotations /shared/comment: refused by the destination" in notes
    assert "/private/comment" not in notes

    poor = converse(reply, b"IMAP4rev1 LITERAL+ UIDPLUS", selects=True)
    account = Account("127.0.0.1", serve(poor).port, user="ann", password="x", tls=False, timeout=10)
    report = archive.migrate(
        mail.account, account, state=tmp_path, mailboxes=["INBOX"], acl=True, metadata=True, names=("a", "poor")
    )
    notes = "\n".join(report.mailboxes["INBOX"].notes)
    assert "rights of bob, eve: the destination knows none" in notes
    assert "annotations /private/comment, /shared/comment: the destination knows none" in notes


def test_subscriptions(mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.client.create_mailbox("Read")
    mail.client.create_mailbox("Unread")
    mail.client.subscribe("Read")
    archive.migrate(mail.account, other.account, state=tmp_path)
    subscribed = {info.name for info in other.client.list_mailboxes(subscribed=True)}
    assert "Read" in subscribed
    assert "Unread" not in subscribed


def test_a_mailbox_that_the_source_has_no_more_is_told_of(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """It stays, and so is there under both names where it was renamed: nobody should find that out later."""
    for name in ("Work", "Gone"):
        mail.fill(name, 2, create=True)
    assert archive.migrate(mail.account, other.account, state=tmp_path).notes == []
    mail.client.rename_mailbox("Work", "Work2")
    mail.client.delete_mailbox("Gone")
    report = archive.migrate(mail.account, other.account, state=tmp_path, deleted="delete")
    assert (report.complete, report.deleted) == (True, 0)
    assert report.notes == [
        f"the source has {name} no more; {name} stays at the destination" for name in ("Gone", "Work")
    ]
    assert {"Gone", "Work", "Work2"} <= kept(other).keys()


def odd_port(server: IMAPServer) -> Account:
    return Account("127.0.0.1", server.port, user="me", password="secret", tls=False, mechanism="PLAIN")


def test_two_sources_of_one_host(other: Mail, tmp_path: Path) -> None:
    """Two tunnels, say. What the one has is not taken for what the other has, though all numbers are the same."""
    for number in (1, 2):
        with IMAPServer(users={"me": "secret"}) as server:
            for each in (number, 3):
                server.append("INBOX", message(each), internal_date=datetime(2024, 1, 1, tzinfo=UTC))
            assert archive.migrate(odd_port(server), other.account, state=tmp_path).written == 2
    assert sorted(octets for octets, *_ in kept(other)["INBOX"]) == sorted(message(each) for each in (1, 2, 3, 3))


@pytest.mark.parametrize("how", ["migrate", "push"])
def test_two_destinations_of_one_host(mail: Mail, tmp_path: Path, how: str) -> None:
    made = mail.fill("INBOX", 3)
    archive.pull(mail.account, tmp_path)
    for before in ([], [message(8001), message(8002), made[2]]):
        with IMAPServer(users={"me": "secret"}) as server:
            for each in before:
                server.append("INBOX", each)
            if how == "migrate":
                archive.migrate(mail.account, odd_port(server), state=tmp_path / "migrate")
            else:
                archive.push(tmp_path, odd_port(server))
            with Client(odd_port(server)) as client:
                client.select("INBOX")
                there = sorted(row.body or b"" for row in client.fetch("1:*", "BODY.PEEK[]"))
            assert there == sorted([*before[:2], *made])


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("state", ["state", None])
def test_a_server_by_another_port(
    mail: Mail, other: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, state: str | None
) -> None:
    """A tunnel that was made anew: nothing is sent a second time, nor what was deleted there since."""
    mail.fill("INBOX", 3)
    mail.fill("Work", 2, create=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for number in range(3):
        server = mail.server if side == "source" else other.server
        with proxied(server.host, server.port) as proxy:
            source, destination = mail.account, other.account
            if side == "source":
                source = dataclasses.replace(source, port=proxy.port)
            else:
                destination = dataclasses.replace(destination, port=proxy.port)
            report = archive.migrate(source, destination, state=state and tmp_path / state)
        assert (report.complete, report.written) == (True, 0 if number else 5)
        if not number:
            other.expunge("INBOX", [1])
    assert len(kept(other)["INBOX"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        b"<tag> BAD command syntax error\r\n",  # imap.189.cn (mailcore2#1471)
        b'* CAPABILITY (("" "/")) NIL NIL\r\n' + DONE,  # imap.sohu.com (MailKit#2006)
    ],
)
def test_a_server_that_offers_namespaces_and_has_none(serve: Any, tmp_path: Path, answer: bytes) -> None:
    pulled = tmp_path / "store"
    with IMAPServer(users={"me": "secret"}) as server:
        account = Account(server.host, server.port, user="me", password="secret", mechanism="PLAIN", tls=False)
        with Client(account) as client:
            client.append("INBOX", b"Message-ID: <1@x>\r\n\r\nx\r\n")
        archive.pull(account, pulled)

    def reply(command: bytes) -> bytes | None:
        if command.startswith(b"NAMESPACE"):
            return answer
        if command.startswith(b"APPEND"):
            return b"<tag> OK [APPENDUID 7 1] done\r\n"
        if command.startswith(b"LIST"):
            return b'* LIST () "/" INBOX\r\n' + DONE
        if command.startswith(b"SELECT"):
            return b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 1] next\r\n" + DONE
        return DONE

    script = converse(reply, b"IMAP4rev1 LITERAL+ UIDPLUS NAMESPACE", selects=True)
    there = Account("127.0.0.1", serve(script).port, user="ann", password="x", tls=False, timeout=10)
    assert archive.push(pulled, there).mailboxes["INBOX"].written == 1


def test_flags_of_what_is_found_there_are_counted_where_there_are_any(mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    mail.fill("INBOX", 2, flags=("\\Seen",))
    archive.migrate(mail.account, other.account, state=tmp_path / "lost")
    report = archive.migrate(mail.account, other.account, state=tmp_path / "new")
    assert (report.complete, report.present, report.flags) == (True, 5, 2)
    assert archive.migrate(mail.account, other.account, state=tmp_path / "new").flags == 0
    assert kept(other) == kept(mail)
