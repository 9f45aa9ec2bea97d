"""Mailboxes that go away and come back, are renamed, restored from a backup, or can't be looked at."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, archive
from fastimap.archive.choosing import chosen
from fastimap.archive.compare import compare
from fastimap.archive.stores import FORMATS, store_at
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, instead_of_compare, message, stored
from tests.support.odd import odd

KINDS = sorted({*FORMATS} - {"jsonl.zst", "parquet"})


def pulled(mail: Mail, root: Path, kind: str = "maildir", **options: Any) -> archive.Report:
    store = archive.Parquet(root, body=True) if kind == "parquet" else store_at(root, kind)
    return archive.pull(mail.account, store, **options)


def home(mail: Mail, name: str) -> Path:
    """Return the directory in which the server has a mailbox, which is not selected."""
    if mail.client.session.mailbox is not None:
        mail.client.unselect()
    return mail.server.directory / "mail" / mail.user / "Maildir" / f".{name}"


def copies(root: Path, kind: str) -> int:
    """Return how many messages whoever reads a file of the store finds in it."""
    if kind == "mbox":
        return sum(file.read_bytes().count(b"\nMessage-ID:") for file in root.glob("*.mbox"))
    if kind == "jsonl":
        return sum(not line.get("deleted") for file in root.glob("*.jsonl") for line in archive.read_jsonlines(file))
    return sum(map(len, stored(root).values()))


@pytest.mark.slow
@pytest.mark.parametrize("deleted", ["keep", "mark"])
@pytest.mark.parametrize("kind", [*KINDS, "parquet"])
def test_a_mailbox_that_was_away(mail: Mail, tmp_path: Path, kind: str, deleted: Any) -> None:
    """One that was shared, say, and is again: UIDVALIDITY and UIDs are what they were."""
    mail.fill("a", 3, create=True)
    mail.fill("INBOX", 1)
    assert pulled(mail, tmp_path, kind).written == 4
    there = home(mail, "a")
    there.rename(there.with_name("away"))
    assert pulled(mail, tmp_path, kind, deleted=deleted, max_delete=10).mailboxes["a"].gone == 3
    there.with_name("away").rename(there)
    mail.fill("INBOX", 1)
    report = pulled(mail, tmp_path, kind)
    assert (report.complete, report.found) == (True, 5)
    assert (report.written, report.mailboxes["a"].moved) == (1, 0)
    assert copies(tmp_path, kind) == 5
    assert stored(tmp_path) == mail.all()
    assert archive.verify(tmp_path, mail.account, octets=True).good
    if kind == "maildir":
        assert [path.name.rpartition(",")[2] for path in (tmp_path / "a" / "cur").iterdir()] == [""] * 3
    assert pulled(mail, tmp_path, kind).written == 0


@pytest.fixture
def one_validity() -> Iterator[Account]:
    """A server that gives each mailbox the same UIDVALIDITY; two have the same UIDs, sizes and dates."""
    with IMAPServer(users={"me": "secret"}) as server:
        for name, first in (("a", 10), ("b", 20)):
            server.create(name)
            for number in range(first, first + 3):
                server.append(name, message(number), internal_date=datetime(2024, 1, 1, tzinfo=UTC))
        server.append("INBOX", message(1))
        with odd(server, says=lambda line: re.sub(rb"UIDVALIDITY \d+", b"UIDVALIDITY 7", line)) as port:
            yield Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["renamed", "made anew"])
def test_a_mailbox_under_the_name_of_one_that_was_kept(
    one_validity: Account, tmp_path: Path, kind: str, how: str
) -> None:
    """What was kept stays, and is not taken for what has its UIDs now."""
    archive.pull(one_validity, store_at(tmp_path, kind))
    kept = stored(tmp_path)["a"]
    with Client(one_validity) as client:
        client.delete_mailbox("a")
        archive.pull(one_validity, store_at(tmp_path, kind))
        if how == "renamed":
            client.rename_mailbox("b", "a")
        else:
            client.create_mailbox("a")
            for number in range(30, 33):
                client.append("a", message(number))
    for _ in range(2):
        report = archive.pull(one_validity, store_at(tmp_path, kind))
        assert "UIDs mean other messages now" in str(report.mailboxes["a"].error)
        assert stored(tmp_path, gone=None)["a"] == kept
    assert archive.verify(tmp_path).good


def test_an_empty_mailbox_that_is_renamed_filled_and_renamed_back(mail: Mail, tmp_path: Path) -> None:
    """RENAME keeps UIDVALIDITY, and without MAILBOXID nothing tells that it is the same."""

    def says(line: bytes) -> bytes:
        line = line.replace(b" OBJECTID", b"") if b"CAPABILITY" in line else line
        return re.sub(rb"\* OK \[MAILBOXID.*", b"* OK hi\r", line)

    server: Any = mail.server  # it has a host and a port
    with odd(server, says=says) as port:
        account = mail.account.__replace__(port=port)
        mail.client.create_mailbox("a")
        for old, new in (("a", "b"), ("b", "a"), ("a", "b")):
            assert archive.pull(account, tmp_path).complete
            mail.client.rename_mailbox(old, new)
            mail.fill(new, 2)
        assert archive.pull(account, tmp_path).complete
    assert {name: found for name, found in stored(tmp_path).items() if found} == {
        name: found for name, found in mail.all().items() if found
    }


@pytest.mark.parametrize("kind", ["maildir", "mbox", "jsonl"])
@pytest.mark.parametrize("wrong", ["RFC822.SIZE", "INTERNALDATE"])
def test_a_mailbox_that_was_away_on_a_server_that_is_wrong(
    one_validity: Account, tmp_path: Path, kind: str, wrong: str
) -> None:
    """About sizes or dates: that the messages are the same is told by their octets."""
    hidden: list[bool] = []

    def says(line: bytes) -> bytes:
        if hidden and b'"/" a' in line.replace(b'"a"', b"a"):
            return b""
        line = re.sub(rb"RFC822.SIZE (\d+)", rb"RFC822.SIZE 7\1", line) if wrong == "RFC822.SIZE" else line
        return re.sub(rb'INTERNALDATE "..', b'INTERNALDATE "0%d' % (2 + len(hidden)), line) if wrong[0] == "I" else line

    server: Any = one_validity  # it has a host and a port
    with odd(server, says=says) as port:
        account = one_validity.__replace__(port=port)
        archive.pull(account, store_at(tmp_path, kind))
        hidden.append(True)
        assert archive.pull(account, store_at(tmp_path, kind)).mailboxes["a"].gone == 3
        hidden.clear()
        report = archive.pull(account, store_at(tmp_path, kind))
        assert (report.complete, report.written) == (True, 0)
        assert copies(tmp_path, kind) == 7


def test_what_was_away_and_is_not_in_the_store_any_more_is_fetched(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a", 3, create=True)
    pulled(mail, tmp_path, "eml")
    there = home(mail, "a")
    there.rename(there.with_name("away"))
    pulled(mail, tmp_path, "eml")
    next((tmp_path / "a").glob("2.*.eml")).unlink()
    there.with_name("away").rename(there)
    report = pulled(mail, tmp_path, "eml")
    assert (report.complete, report.written, report.mailboxes["a"].present) == (True, 1, 2)
    assert stored(tmp_path) == mail.all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "parquet"])
def test_a_uidvalidity_that_is_what_it_was_before(mail: Mail, tmp_path: Path, kind: str) -> None:
    """As of a mailbox that was put away, and taken back, while deletions were held back."""
    mail.fill("a", 3, create=True)
    rules: dict[str, Any] = {"mailboxes": ["a"], "deleted": "mark"}
    pulled(mail, tmp_path, kind, **rules)
    mail.client.rename_mailbox("a", "other")
    mail.fill("a", 2, create=True)
    assert "new UIDVALIDITY" in str(pulled(mail, tmp_path, kind, **rules).held_back)
    mail.client.delete_mailbox("a")
    mail.client.rename_mailbox("other", "a")
    for _ in range(2):
        report = pulled(mail, tmp_path, kind, **rules)
        assert (report.written, report.mailboxes["a"].moved, report.mailboxes["a"].present) == (0, 0, 3)
        assert {*mail.all()["a"]} <= {*stored(tmp_path)["a"]}
        assert copies(tmp_path, kind) == 5  # those of the other UIDVALIDITY are held back
    assert archive.verify(tmp_path, mail.account, mailboxes=["a"], octets=True).good


@pytest.mark.parametrize("kind", ["maildir", "eml", "sqlite"])
def test_a_copy_that_was_damaged_while_its_mailbox_was_away(mail: Mail, tmp_path: Path, kind: str) -> None:
    mail.fill("a", 3, create=True)
    pulled(mail, tmp_path, kind)
    there = home(mail, "a")
    there.rename(there.with_name("away"))
    pulled(mail, tmp_path, kind)
    if kind == "sqlite":
        with contextlib.closing(sqlite3.connect(tmp_path / "mail.sqlite", isolation_level=None)) as db:
            db.execute("UPDATE body SET octets = zeroblob(length(octets)) WHERE uid = 3")
    else:
        file = next(path for path in (tmp_path / "a").rglob("3.*") if path.is_file())
        octets = file.read_bytes()
        file.write_bytes(octets[:120] + bytes(len(octets) - 120))
    there.with_name("away").rename(there)
    report = pulled(mail, tmp_path, kind)
    assert (report.complete, report.written, report.mailboxes["a"].present) == (True, 1, 2)
    assert stored(tmp_path) == mail.all()
    assert archive.verify(tmp_path, mail.account, octets=True).good


def test_a_mailbox_that_is_back_is_no_mailbox_of_the_store_yet(mail: Mail, tmp_path: Path) -> None:
    mail.fill("work", 3, create=True)
    pulled(mail, tmp_path)
    mail.client.delete_mailbox("work")
    pulled(mail, tmp_path)
    mail.fill("work", 5, create=True)
    assert archive.verify(tmp_path, mail.account).not_in_store == ["work"]
    checked = archive.verify(tmp_path, mail.account, mailboxes=["work"])
    assert not checked.good
    assert "not pulled since" in checked.failed["work"]
    pulled(mail, tmp_path)
    assert archive.verify(tmp_path, mail.account, mailboxes=["work"], octets=True).good


# Messages that are gone, and may be where nobody could look.


@pytest.mark.parametrize("max_delete", [None, "100%"])
def test_nothing_is_deleted_while_a_mailbox_fails(mail: Mail, tmp_path: Path, max_delete: str | None) -> None:
    mail.fill("INBOX", 5)
    mail.fill("a", 2, create=True)
    pulled(mail, tmp_path)
    mail.client.select("INBOX")
    mail.client.move("1:2", "a")
    mail.client.set_acl("a", mail.user, "lia")
    for dry_run in (True, False):
        report = pulled(mail, tmp_path, deleted="delete", max_delete=max_delete, dry_run=dry_run)
        assert report.deleted == 0
        assert report.held_back is not None
        assert "a failed" in report.held_back
    assert len([*tmp_path.rglob("cur/*")]) == 7
    mail.client.set_acl("a", mail.user, "lrwstipekxa")
    report = pulled(mail, tmp_path, deleted="delete")
    assert (report.complete, report.mailboxes["a"].moved, report.deleted) == (True, 2, 0)
    assert stored(tmp_path) == mail.all()


def test_nothing_is_deleted_while_messages_can_not_be_fetched(tmp_path: Path) -> None:
    """One of these may be the message that is gone: without a Message-ID only its octets could tell."""
    broken: list[bool] = []

    def hears(line: bytes) -> bytes:
        return line.replace(b"UID FETCH 1 ", b"UID FETCH 99 ") if broken and b"BODY.PEEK[]" in line else line

    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        server.create("a")
        for number in range(3):
            server.append("INBOX", b"Subject: %d\r\n\r\ntext\r\n" % number)
        archive.pull(account, tmp_path)
        with Client(account) as client:
            client.select("INBOX")
            client.move("3", "a")
        broken.append(True)
        report = archive.pull(account, tmp_path, deleted="delete", max_delete="100%")
        assert (report.deleted, report.parked) == (0, 1)
        assert "messages of a could not be fetched" in str(report.held_back)
        broken.clear()
        report = archive.pull(account, tmp_path, deleted="delete", max_delete="100%")
        assert (report.complete, report.written, report.deleted) == (True, 1, 1)


@pytest.mark.parametrize("dry_run", [True, False])
def test_nothing_is_deleted_that_moved_while_it_was_looked_for(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    mail.fill("a", 1, create=True)
    mail.fill("b", 2, create=True)
    pulled(mail, tmp_path)
    mail.fill("a", 1)
    mail.fill("b", 1)

    def late(client: Client, name: Any, *arguments: Any) -> Any:
        if name.name == "b":  # a was looked at
            mail.client.select("b")
            mail.client.move("1", "a")
            mail.client.unselect()
        return compare(client, name, *arguments)

    with monkeypatch.context() as patched:
        instead_of_compare(patched, late)
        report = pulled(mail, tmp_path, deleted="delete", max_delete="100%", dry_run=dry_run)
    assert (report.deleted, report.mailboxes["b"].gone) == (0, 1)
    assert "a is new, or has others since it was looked at" in str(report.held_back)
    report = pulled(mail, tmp_path, deleted="delete", max_delete="100%")
    assert (report.complete, report.mailboxes["a"].moved, report.deleted) == (True, 1, 0)
    assert stored(tmp_path) == mail.all()


@pytest.mark.parametrize("named", ["work", "nowhere"])
def test_a_mailbox_that_is_not_there_holds_nothing_back(mail: Mail, tmp_path: Path, named: str) -> None:
    """One that was named, and is gone, or never was."""
    mail.fill("work", 3, create=True)
    mail.fill("INBOX", 3)
    pulled(mail, tmp_path)
    mail.expunge("INBOX", [1])
    if named == "work":
        mail.client.delete_mailbox("work")
    report = pulled(mail, tmp_path, mailboxes=["INBOX", named], deleted="delete", max_delete="100%")
    assert (report.deleted, report.held_back) == (4 if named == "work" else 1, None)


@pytest.mark.parametrize("how", ["mailbox deleted", "mailbox left out", "message expunged"])
def test_what_is_parked_elsewhere_holds_nothing_back(tmp_path: Path, how: str) -> None:
    selected = [b""]

    def hears(line: bytes) -> bytes:
        selected.extend([line] if b"EXAMINE" in line else [])
        if b"BODY" not in line or b"old" not in selected[-1]:
            return line
        return line.replace(b"UID FETCH 1:3", b"UID FETCH 1,3").replace(b"UID FETCH 2 ", b"UID FETCH 99 ")

    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        server.create("old")
        for number in range(3):
            server.append("old", message(number))
            server.append("INBOX", message(10 + number))
        assert archive.pull(account, tmp_path).parked == 1
        server.expunge("INBOX", [1])
        if how == "message expunged":
            server.expunge("old", [2])
        elif how == "mailbox deleted":
            with Client(account) as client:
                client.delete_mailbox("old")
        exclude = ["old"] if how == "mailbox left out" else []
        count = 3 if how == "mailbox deleted" else 1
        for dry_run in (True, False):
            report = archive.pull(
                account, tmp_path, exclude=exclude, deleted="delete", max_delete="100%", dry_run=dry_run
            )
            assert (report.deleted, report.held_back) == (count, None)


def test_what_a_rule_left_out_in_the_run_before_is_not_deleted(mail: Mail, tmp_path: Path) -> None:
    """The mailbox that it is in by now is as that run left it, and need not be looked at but for this."""
    mail.fill("INBOX", 4)
    mail.fill("a", 3, create=True)
    pulled(mail, tmp_path)
    mail.client.select("INBOX")
    mail.client.move("1", "a")
    mail.fill("a", 2)
    rules: dict[str, Any] = {"limit": 2, "deleted": "delete", "max_delete": "100%"}
    assert pulled(mail, tmp_path, mailboxes=["a"], **rules).mailboxes["a"].excluded == {"limit": 1}
    for dry_run in (True, False):
        report = pulled(mail, tmp_path, **rules, dry_run=dry_run)
        assert (report.deleted, report.mailboxes["a"].moved) == (0, 1)
    assert stored(tmp_path) == mail.all()


def test_what_a_rule_leaves_out_where_it_is_now_is_not_deleted(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 4)
    mail.fill("a", 3, create=True)
    pulled(mail, tmp_path)
    mail.client.select("INBOX")
    mail.client.move("1", "a")
    mail.fill("a", 2)
    report = pulled(mail, tmp_path, limit=2, deleted="delete", max_delete="100%")
    assert (report.complete, report.deleted, report.mailboxes["a"].moved) == (True, 0, 1)
    assert stored(tmp_path) == mail.all()


@pytest.mark.parametrize("deleted", ["keep", "delete"])
def test_what_was_not_noted_and_a_rule_leaves_out_stays(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deleted: Any
) -> None:
    mail.fill("INBOX", 3)

    def die(self: archive.Maildir) -> None:
        raise OSError("it dies before what it wrote is noted")

    with monkeypatch.context() as patched:
        patched.setattr(archive.Maildir, "sync", die)
        with pytest.raises(OSError, match="it dies"):
            pulled(mail, tmp_path)
    report = pulled(mail, tmp_path, limit=1, deleted=deleted, max_delete="100%")
    assert (report.complete, report.deleted, report.mailboxes["INBOX"].gone) == (True, 0, 0)
    assert len([*tmp_path.rglob("cur/*")]) == 3
    assert stored(tmp_path, gone=True)["INBOX"] == []
    report = pulled(mail, tmp_path)  # what was written last before it died may not be durable
    assert (report.complete, report.written) == (True, 2)
    assert stored(tmp_path) == mail.all()


def test_what_was_not_durable_is_not_believed_after_a_run_with_a_rule(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves files that have their lengths, and no content."""
    mail.fill("INBOX", 3)

    def die(self: archive.Maildir) -> None:
        raise OSError("the power is cut")

    with monkeypatch.context() as patched:
        patched.setattr(archive.Maildir, "sync", die)
        with pytest.raises(OSError, match="power"):
            pulled(mail, tmp_path)
    for file in tmp_path.rglob("cur/*"):
        file.write_bytes(bytes(file.stat().st_size))
    assert pulled(mail, tmp_path, limit=1).complete
    report = pulled(mail, tmp_path)
    assert (report.complete, report.written) == (True, 2)
    assert stored(tmp_path) == mail.all()


def test_a_run_that_was_stopped_costs_later_ones_nothing(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not where a rule leaves messages out, of which nothing was written."""
    mail.fill("INBOX", 6)
    assert pulled(mail, tmp_path, limit=3, max_octets=300).stopped
    assert pulled(mail, tmp_path, limit=3).complete
    looked: list[str] = []

    def noting(client: Client, name: Any, *arguments: Any) -> Any:
        looked.append(name.name)
        return compare(client, name, *arguments)

    instead_of_compare(monkeypatch, noting)
    assert pulled(mail, tmp_path, limit=3).complete
    assert looked == []


def test_what_moved_from_a_mailbox_made_anew_to_where_a_rule_leaves_it_out(mail: Mail, tmp_path: Path) -> None:
    """Each run before this one saw a part of it, and held the deletion back."""
    made = mail.fill("a", 3, create=True)
    mail.fill("m", 2, create=True)
    pulled(mail, tmp_path)
    mail.client.select("a")
    mail.client.move("2:3", "m")
    mail.client.unselect()
    rules: dict[str, Any] = {"max_size": 20, "deleted": "delete"}
    assert pulled(mail, tmp_path, mailboxes=["m"], **rules).mailboxes["m"].excluded == {"max-size": 2}
    mail.client.delete_mailbox("a")
    mail.client.create_mailbox("a")
    assert pulled(mail, tmp_path, mailboxes=["a"], **rules).held_back is not None
    report = pulled(mail, tmp_path, max_delete=10, **rules)
    assert (report.complete, report.deleted, report.mailboxes["m"].moved) == (True, 1, 2)
    assert {*made[1:]} <= {octets for _, octets, *_ in stored(tmp_path)["m"]}


def test_all_may_be_deleted_of_a_mailbox_that_was_made_anew(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a", 3, create=True)
    mail.fill("INBOX", 1)
    pulled(mail, tmp_path)
    mail.client.delete_mailbox("a")
    mail.client.create_mailbox("a")
    assert pulled(mail, tmp_path, deleted="delete").held_back is not None
    assert pulled(mail, tmp_path, deleted="delete", max_delete="100%").deleted == 3


@pytest.mark.parametrize("how", ["new", "new, and a use that nobody has is excluded", "renamed"])
def test_nothing_is_deleted_that_moved_into_a_mailbox_nobody_looked_at(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    mail.fill("INBOX", 4)
    mail.fill("a", 2, create=True)
    pulled(mail, tmp_path)
    mail.fill("INBOX", 1)
    mail.fill("a", 1)

    def late(client: Client, name: Any, *arguments: Any) -> Any:
        found = compare(client, name, *arguments)
        if name.name == "INBOX":
            return found
        if how != "renamed":
            mail.client.create_mailbox("fresh")
        mail.client.select("INBOX")
        mail.client.move("2", "a" if how == "renamed" else "fresh")
        mail.client.unselect()
        if how == "renamed":
            mail.client.rename_mailbox("a", "fresh")
        return found

    def in_turn(*arguments: Any) -> Any:
        return sorted(chosen(*arguments), key=lambda info: info.name == "INBOX")

    with monkeypatch.context() as patched:
        instead_of_compare(patched, late)
        patched.setattr("fastimap.archive._pull.chosen", in_turn)
        report = pulled(
            mail,
            tmp_path,
            mailboxes=None,
            exclude=["\\Junk"] if "," in how else [],
            deleted="delete",
            max_delete="100%",
        )
    assert report.deleted == 0
    assert report.mailboxes["INBOX"].gone == 1
    assert ("a failed" if how == "renamed" else "fresh is new") in str(report.held_back)
    assert pulled(mail, tmp_path, deleted="delete", max_delete="100%").complete
    assert stored(tmp_path)["INBOX"] == mail.all()["INBOX"]
    assert stored(tmp_path)["fresh"] == mail.all()["fresh"]


def test_a_server_whose_select_gives_no_uidnext(tmp_path: Path) -> None:
    with (
        IMAPServer(users={"me": "secret"}) as server,
        odd(server, says=lambda line: b"* OK hello\r\n" if b"[UIDNEXT" in line else line) as port,
    ):
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        for number in range(5):
            server.append("INBOX", message(number))
        archive.pull(account, tmp_path)
        server.expunge("INBOX", [2])
        report = archive.pull(account, tmp_path, deleted="delete")
        assert (report.complete, report.deleted, report.held_back) == (True, 1, None)


def test_a_parked_message_that_is_recognised(tmp_path: Path) -> None:
    """It was a copy, which could not be fetched; the original is gone, and what was pulled of it is the copy's."""
    selected = [b""]

    def hears(line: bytes) -> bytes:
        selected.extend([line] if b"EXAMINE" in line else [])
        broken = b"BODY.PEEK[]" in line and b"a" in selected[-1].split()[-1]
        return line.replace(b"UID FETCH 1 ", b"UID FETCH 99 ") if broken else line

    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        server.create("a")
        when = datetime(2024, 1, 1, tzinfo=UTC)
        for number in range(3):
            server.append("INBOX", message(number), internal_date=when)
        server.append("a", message(1), internal_date=when)
        assert archive.pull(account, tmp_path).parked == 1
        server.expunge("INBOX", [2])
        report = archive.pull(account, tmp_path)
        assert (report.complete, report.parked, report.mailboxes["a"].moved) == (True, 0, 1)


# Servers that go back, or contradict themselves.


@pytest.mark.slow
def test_a_mailbox_from_a_backup(mail: Mail, tmp_path: Path) -> None:
    """UIDVALIDITY is the same, and UIDs are given again: those from before are not written over, nor hide the new."""
    mail.fill("a", 3, create=True)
    there = home(mail, "a")
    subprocess.run(["cp", "-a", there, tmp_path / "backup"], check=True)
    mail.fill("a", 2)
    root = tmp_path / "store"
    pulled(mail, root)
    before = stored(root)
    for after in (0, 2):
        home(mail, "a")
        shutil.rmtree(there)
        subprocess.run(["cp", "-a", tmp_path / "backup", there], check=True)
        mail.fill("a", after)
        report = pulled(mail, root)
        if not after:  # what is there is as it was, two are gone
            assert (report.complete, report.written, report.mailboxes["a"].gone) == (True, 0, 2)
        else:
            assert "UIDs mean other messages now" in str(report.mailboxes["a"].error)
        assert stored(root, gone=None) == before
    assert archive.pull(mail.account, root, name="since the backup").complete


def test_a_mailbox_of_another_mailboxid(tmp_path: Path) -> None:
    """Made anew, under a UIDVALIDITY that it had before."""
    ids = {b"a": b"F1"}
    selected: list[bytes] = []

    def hears(line: bytes) -> bytes:
        if found := re.search(rb'(?:EXAMINE|SELECT) "?(\w+)', line):
            selected.append(found[1])
        return line.replace(b" EMAILID", b"")

    def says(line: bytes) -> bytes:
        line = re.sub(rb"UIDVALIDITY \d+", b"UIDVALIDITY 7", line.replace(b" IDLE", b" IDLE OBJECTID"))
        more = b"* OK [MAILBOXID (%b)] ok\r\n" % ids.get(selected[-1], b"F0") if b"[UIDVALIDITY" in line else b""
        return line + more

    with IMAPServer(users={"me": "secret"}) as server, odd(server, says=says, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        server.create("a")
        for number in range(3):
            server.append("a", message(number))
        assert archive.pull(account, tmp_path).written == 3
        with Client(server.host, server.port, user="me", password="secret", tls=False, mechanism="PLAIN") as client:
            client.delete_mailbox("a")
        server.create("a")
        ids[b"a"] = b"F2"
        for number in range(3):
            server.append("a", message(100 + number))
        report = archive.pull(account, tmp_path)
        assert not report.complete
        assert "UIDs mean other messages now" in str(report.mailboxes["a"].error)
        assert b"<100@" not in b"".join(octets for _, octets, *_ in stored(tmp_path)["a"])


@pytest.mark.parametrize("connections", [1, 2])
def test_a_message_that_is_listed_is_not_taken_for_expunged(tmp_path: Path, connections: int) -> None:
    def hears(line: bytes) -> bytes:
        if b"BODY" in line:
            return line.replace(b"UID FETCH 1:4", b"UID FETCH 1,3:4").replace(b"UID FETCH 2 ", b"UID FETCH 99 ")
        return line.replace(b"UID 2", b"UID 99") if b"SEARCH" in line else line

    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        for number in range(4):
            server.append("INBOX", message(number))
        for _ in range(2):
            report = archive.pull(account, tmp_path, connections=connections)
            assert not report.complete
            assert list(report.mailboxes["INBOX"].parked) == [2]


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("is_gone", [True, False])
def test_what_the_server_lists_no_more_is_expunged_where_it_has_fewer(
    tmp_path: Path, connections: int, is_gone: bool
) -> None:
    """EXISTS says whether it has; a search that leaves a message out says nothing."""
    fetched: list[bytes] = []

    def hears(line: bytes) -> bytes:
        if b"BODY" in line and not fetched:
            fetched.append(line)
            if is_gone:
                server.expunge("INBOX", [2])
        line = line.replace(b"UID FETCH 1:4 (FLAGS INT", b"UID FETCH 1,3:4 (FLAGS INT")
        return line.replace(b"SEARCH ALL", b"SEARCH UID 1,3:4") if fetched else line

    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        for number in range(4):
            server.append("INBOX", message(number))
        report = archive.pull(account, tmp_path, connections=connections)
        found = report.mailboxes["INBOX"]
        assert fetched
        assert (report.complete, found.written) == (is_gone, 3)
        assert found.excluded == ({"expunged meanwhile": 1} if is_gone else {})
        assert list(found.parked) == ([] if is_gone else [2])
        assert archive.pull(account.__replace__(port=server.port), tmp_path).complete
        assert [uid for uid, *_ in stored(tmp_path)["INBOX"]] == ([1, 3, 4] if is_gone else [1, 2, 3, 4])


@pytest.mark.parametrize("after", ["expunged", "limit", "max_size"])
def test_a_message_that_was_parked_and_is_not_wanted_any_more(tmp_path: Path, after: str) -> None:
    def hears(line: bytes) -> bytes:
        if b"BODY" not in line:
            return line
        return line.replace(b"UID FETCH 1:4", b"UID FETCH 1,3:4").replace(b"UID FETCH 2 ", b"UID FETCH 99 ")

    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        for number in range(4):
            server.append("INBOX", message(number))
        assert archive.pull(account, tmp_path).parked == 1
        options: dict[str, Any] = {} if after == "expunged" else {after: 1}
        if after == "expunged":
            server.expunge("INBOX", [2])
        for resume in (True, True, False):
            report = archive.pull(account, tmp_path, resume=resume, **options)
            assert (report.complete, report.parked) == (True, 0)
            assert report.mailboxes["INBOX"].present == 3


def test_a_search_is_asked_anew_though_the_mailbox_is_as_it_was(mail: Mail, tmp_path: Path) -> None:
    """What OLDER finds depends on the time."""
    mail.fill("INBOX", 3)
    old = [b"UID 1"]

    def hears(line: bytes) -> bytes:
        return line.replace(b"OLDER 1000000000", old[-1])

    with odd(mail.server, hears=hears) as port:  # type: ignore[arg-type]  # it has a host and a port, too
        account = mail.account.__replace__(port=port)
        for search, written in ((b"UID 1", 1), (b"UID 1", 0), (b"UID 1:2", 1), (b"ALL", 1)):
            old.append(search)
            report = archive.pull(account, tmp_path, search="OLDER 1000000000")
            assert (report.complete, report.written) == (True, written)


def test_another_server_of_which_a_new_mailbox_is_pulled_first(tmp_path: Path) -> None:
    accounts = []
    with IMAPServer(users={"me": "secret"}) as one, IMAPServer(users={"me": "secret"}) as other:
        for server, first in ((one, 0), (other, 100)):
            for number in range(first, first + 3):
                server.append("INBOX", message(number, number), internal_date=datetime.fromtimestamp(number, UTC))
            accounts.append(
                Account(server.host, server.port, user="me", password="secret", tls=False, mechanism="PLAIN")
            )
        other.create("new")
        other.append("new", message(200))
        archive.pull(accounts[0], tmp_path)
        for mailboxes in (["new"], None):
            with pytest.raises(archive.StoreError, match="INBOX has other messages under the same UIDs"):
                archive.pull(accounts[1], tmp_path, mailboxes=mailboxes)
        with Client(accounts[1]) as client:
            client.rename_mailbox("INBOX", "elsewhere")
        with pytest.raises(archive.StoreError, match="no message that is known is there"):
            archive.pull(accounts[1], tmp_path, mailboxes=["fresh"])


# Names.


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_mailboxes_of_one_name_have_a_path_each(mail: Mail, tmp_path: Path, kind: str) -> None:
    """INBOX of three accounts, and one that is put away each month, and made anew."""
    for number in range(3):
        user = mail.server.new_user()
        account = mail.account.__replace__(user=user)
        with Client(account) as client:
            client.append("INBOX", message(1000 + number))
        assert archive.pull(account, store_at(tmp_path, kind), mailboxes=["INBOX"]).complete
    mail.fill("Sent", 1, create=True)
    for month in range(4):
        assert pulled(mail, tmp_path, kind).complete
        mail.client.rename_mailbox("Sent", f"Sent-{month}")
        assert pulled(mail, tmp_path, kind).complete
        mail.fill("Sent", 1, create=True)
    assert pulled(mail, tmp_path, kind).complete
    state = store_at(tmp_path).look()
    paths = [place.path for place in state.places(former=True)]
    state.close()
    assert len({*paths}) == len(paths) == 3 + 3 + 5  # INBOX, Drafts and Trash of the one user, and Sent five times
    assert archive.verify(tmp_path).good


def test_json_lines_of_a_renamed_mailbox(mail: Mail, tmp_path: Path) -> None:
    mail.fill("old", 3, create=True)
    pulled(mail, tmp_path, "jsonl")
    mail.client.rename_mailbox("old", "new")
    pulled(mail, tmp_path, "jsonl")
    mail.client.select("new")
    mail.client.move("1", "INBOX")
    mail.client.add_flags("2", "\\Flagged")
    assert pulled(mail, tmp_path, "jsonl").complete
    lines = [line for file in tmp_path.glob("*.jsonl") for line in archive.read_jsonlines(file)]
    expected = {(name, uid, octets, flags) for name, found in mail.all().items() for uid, octets, flags, _ in found}
    assert {
        (line["mailbox"], line["uid"], line["message"].encode(), tuple(line["flags"])) for line in lines
    } == expected
    assert len(lines) == len(expected)


def test_a_state_that_is_lost_after_a_mailbox_was_renamed(mail: Mail, tmp_path: Path) -> None:
    mail.fill("old", 3, create=True)
    pulled(mail, tmp_path)
    mail.client.rename_mailbox("old", "new")
    assert pulled(mail, tmp_path).complete
    (tmp_path / ".fastimap.sqlite").unlink()
    report = pulled(mail, tmp_path)
    assert (report.complete, report.written) == (True, 0)
    assert len([*tmp_path.rglob("cur/*")]) == 3
    assert stored(tmp_path) == mail.all()


@pytest.mark.slow
@pytest.mark.parametrize("then", ["old", "new", "newer"])
@pytest.mark.parametrize("moved", [0, 2, 4])
def test_a_rename_that_was_cut_short_comes_to_its_end(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int, then: str
) -> None:
    """Whatever the server calls the mailbox by then."""
    mail.fill("old", 4, create=True)
    pulled(mail, tmp_path)
    mail.client.rename_mailbox("old", "new")
    done = iter(range(moved))
    rename = os.rename

    def die(*arguments: Any, **options: Any) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        rename(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr("os.rename", die)
        with contextlib.suppress(KeyboardInterrupt):
            pulled(mail, tmp_path)
    if then != "new":
        mail.client.rename_mailbox("new", then)
    report = pulled(mail, tmp_path)
    assert (report.complete, report.written) == (True, 0)
    assert stored(tmp_path) == mail.all()
    assert {path.parts[-3] for path in tmp_path.rglob("cur/*")} == {then if then != "new" else "%6Eew"}
    assert archive.verify(tmp_path, mail.account, octets=True).good


def test_known_mailboxes_cost_one_round_trip(mail: Mail, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b"):
        mail.fill(name, 2, create=True)
    pulled(mail, tmp_path)
    with caplog.at_level(logging.DEBUG, "fastimap"):
        assert pulled(mail, tmp_path).complete
    lines = [record.getMessage() for record in caplog.records]
    said = [found[1] or found[2] for line in lines if (found := re.match(r"C: \w+ (\w+)|S: \* (\w+)", line))]
    count = len(mail.client.list_mailboxes())
    assert count > 2
    status, listed = ["STATUS"] * count, ["LIST"] * count
    assert said[said.index("STATUS") : said.index("LOGOUT")] == [*status, "LIST", *status, *listed]


@pytest.mark.parametrize("kind", ["maildir", "jsonl"])
def test_a_dry_run_on_a_mailbox_that_was_renamed(mail: Mail, tmp_path: Path, kind: str) -> None:
    mail.fill("old", 4, create=True)
    mail.client.create_mailbox("other")
    pulled(mail, tmp_path, kind)
    mail.client.select("old")
    mail.client.move("1", "other")
    mail.client.unselect()
    mail.client.rename_mailbox("old", "fresh")
    for dry_run in (True, False):
        report = pulled(mail, tmp_path, kind, dry_run=dry_run)
        assert (report.written, report.mailboxes["other"].moved, report.mailboxes["fresh"].present) == (0, 1, 3)


def test_a_dry_run_on_a_maildir_plus_plus(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a", 2, create=True)
    mail.client.create_mailbox("b")
    archive.pull(mail.account, archive.Maildir(tmp_path, plus_plus=True))
    mail.client.select("a")
    mail.client.move("1", "b")
    mail.client.unselect()
    before = sorted(tmp_path.rglob("*"))
    report = archive.pull(mail.account, tmp_path, dry_run=True)
    assert (report.written, report.mailboxes["b"].moved) == (0, 1)
    assert sorted(tmp_path.rglob("*")) == before
    assert archive.pull(mail.account, tmp_path).mailboxes["b"].moved == 1


@pytest.fixture
def durable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The directories whose entries were made durable."""
    found: set[str] = set()
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        found.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors have no names here")
def test_directories_are_durable_before_it_is_noted(mail: Mail, tmp_path: Path, durable: set[str]) -> None:
    mail.fill("x/old", 2, create=True)
    pulled(mail, tmp_path / "store", mailboxes=["x/old"])
    made = [tmp_path / "store", tmp_path / "store/x", tmp_path / "store/x/old", tmp_path / "store/x/old/cur"]
    assert {*map(str, made)} <= durable
    durable.clear()
    mail.client.rename_mailbox("x/old", "fresh")
    pulled(mail, tmp_path / "store", mailboxes=["fresh"])
    assert {*map(str, (tmp_path / "store", tmp_path / "store/fresh", tmp_path / "store/fresh/cur"))} <= durable


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_uidvalidity_each_time_makes_no_second_copy(tmp_path: Path, kind: str) -> None:
    """A reader of the store's file would see each message twice; the store rewrites nothing, and takes nothing out."""
    with IMAPServer(users={"me": "secret"}) as server:
        for number in range(1, 4):
            server.append("INBOX", message(number), internal_date=datetime(2024, 1, 1, tzinfo=UTC))
        for validity in (b"UIDVALIDITY 7", b"UIDVALIDITY 8", b"UIDVALIDITY 9"):
            with odd(server, says=partial(re.compile(rb"UIDVALIDITY \d+").sub, validity)) as port:
                account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
                archive.pull(account, store_at(tmp_path, kind), name="me@host")
    assert copies(tmp_path, kind) == 3
    assert [(uid, octets) for uid, octets, *_ in stored(tmp_path)["INBOX"]] == [(n, message(n)) for n in (1, 2, 3)]
    assert archive.verify(tmp_path).good


def test_a_name_that_a_server_has_in_another_case(tmp_path: Path) -> None:
    """One that does not tell cases apart answers with the name that it has now."""

    def hears(line: bytes) -> bytes:
        return line.replace(b"Archive", b"archive") if renamed else line

    renamed: list[bool] = []
    with IMAPServer(users={"me": "secret"}) as server, odd(server, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        server.create("Archive")
        server.append("Archive", message(1))
        assert archive.pull(account, tmp_path).written == 1
        with Client(account) as client:
            client.create_mailbox("kept")
            client.rename_mailbox("Archive", "kept/archive")
            client.rename_mailbox("kept/archive", "archive")
            client.delete_mailbox("kept")
        renamed.append(True)
        report = archive.pull(account, tmp_path)
        assert (report.complete, report.written) == (True, 0)
        assert [octets for _, octets, *_ in stored(tmp_path)["archive"]] == [message(1)]


def test_a_name_that_can_be_sent_only_as_it_came(tmp_path: Path) -> None:
    """A line feed in modified UTF-7: as text it would end the command."""

    def hears(line: bytes) -> bytes:
        return line.replace(b"one&AAo-two", b"both")

    def says(line: bytes) -> bytes:
        return line.replace(b"both", b"one&AAo-two")

    with IMAPServer(users={"me": "secret"}) as server, odd(server, says=says, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        server.create("both")
        for number in range(2):
            server.append("both", message(number))
            report = archive.pull(account, tmp_path)
            assert (report.complete, report.written) == (True, 1)
            assert len(stored(tmp_path)["one\ntwo"]) == number + 1
