"""What a migration deletes at the destination, and what holds that back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, archive
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail
from tests.archive.test_migrate import kept, other
from tests.support.odd import odd

__all__ = ["other"]

DELETE: dict[str, Any] = {"deleted": "delete"}


def move(mail: Mail, uids: str, source: str, target: str) -> None:
    mail.client.select(source)
    mail.client.move(uids, target)
    mail.client.unselect()


@pytest.fixture
def both(mail: Mail, other: Mail, tmp_path: Path) -> Any:
    """A function that migrates, of an account with messages that were migrated already."""
    mail.fill("INBOX", 5)
    mail.fill("Archive", 2, create=True)
    assert archive.migrate(mail.account, other.account, state=tmp_path).complete
    return lambda **options: archive.migrate(mail.account, other.account, state=tmp_path, **options)


@pytest.mark.parametrize("moved", ["1:3", "1:5"])
def test_what_moved_to_a_mailbox_that_fails_stays(mail: Mail, other: Mail, both: Any, moved: str) -> None:
    """Its old copy is the only one there, whatever max_delete says."""
    before = kept(other)
    move(mail, moved, "INBOX", "Archive")
    mail.client.set_acl("Archive", mail.user, "lia")
    for options in (DELETE, DELETE | {"max_delete": "100%"}):
        for dry_run in (True, False):
            report = both(dry_run=dry_run, **options)
            assert (report.deleted, list(report.failed)) == (0, ["Archive"])
            assert "nothing was deleted" in report.held_back
            assert "Archive failed" in report.held_back
    assert kept(other) == before
    mail.client.set_acl("Archive", mail.user, "lrswipkxtea")
    report = both(max_delete=5, **DELETE)
    assert (report.complete, report.deleted, report.held_back) == (True, int(moved[2:]), None)
    assert kept(other) == kept(mail)


@pytest.mark.slow
def test_what_moved_and_can_not_be_sent_stays(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 5)
    mail.client.create_mailbox("Archive")
    limit: list[bytes] = []

    def says(line: bytes) -> bytes:
        return line.replace(b"IMAP4rev1", b"IMAP4rev1 APPENDLIMIT=100" if limit else b"IMAP4rev1", 1)

    with IMAPServer(users={"me": "secret"}) as server, odd(server, says=says) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")

        def migrate(**options: Any) -> archive.Report:
            return archive.migrate(mail.account, account, state=tmp_path, **DELETE, **options)

        assert migrate().complete
        move(mail, "2:3", "INBOX", "Archive")
        limit.append(b"there is one")
        for dry_run in (True, False, True):
            report = migrate(dry_run=dry_run)
            assert report.mailboxes["Archive"].accounted == report.mailboxes["Archive"].found == 2
            assert (report.parked, report.written, report.deleted) == (2, 0, 0)
            assert "the destination takes 100 at most" in report.mailboxes["Archive"].parked[1]
            assert report.held_back is not None
            assert "Archive has 2 messages that were not sent" in report.held_back
        assert len(server.messages("INBOX")) == 5
        limit.clear()
        report = migrate()
        assert (report.complete, report.deleted) == (True, 2)
        assert (len(server.messages("INBOX")), len(server.messages("Archive"))) == (3, 2)


def test_a_mailbox_that_is_suddenly_empty(mail: Mail, other: Mail, both: Any) -> None:
    before = kept(other)
    mail.expunge("INBOX", [1, 2, 3, 4, 5])
    for dry_run in (True, False):
        report = both(dry_run=dry_run, **DELETE)
        assert report.deleted == 0
        assert report.held_back == "nothing was deleted: INBOX had 5 messages, and is empty now"
    assert kept(other) == before
    assert "5 of 7 messages would be gone, more than 4" in both(max_delete=4, **DELETE).held_back
    assert both(max_delete=5, dry_run=True, **DELETE).deleted == 5
    assert kept(other) == before
    report = both(max_delete=5, **DELETE)
    assert (report.deleted, report.held_back, report.complete) == (5, None, True)
    assert kept(other) == kept(mail)


@pytest.mark.parametrize("target", ["Archive", "Fresh"])
def test_what_moves_while_it_runs_to_a_mailbox_that_was_looked_at(
    mail: Mail, other: Mail, both: Any, target: str
) -> None:
    """Or to one that was not there."""
    mail.fill("Work", 3, create=True)
    assert both().complete
    before = kept(other)

    def progress(now: archive.Progress) -> None:
        if now.mailbox == "Work" and "2" in moved:
            if target == "Fresh":
                mail.client.create_mailbox(target)
            move(mail, moved.pop(), "Work", target)

    moved = ["2"]
    report = both(progress=progress, **DELETE)
    assert (report.deleted, moved) == (0, [])
    said = "Archive has others since it was looked at" if target == "Archive" else "Fresh is new"
    assert said in report.held_back
    assert kept(other) == before
    assert both(**DELETE).deleted == 1
    assert kept(other) == kept(mail)


def test_a_mailbox_that_is_gone_holds_back_until_somebody_says_that_it_is_right(
    mail: Mail, other: Mail, both: Any
) -> None:
    """As one that the server does not list for once, and to which messages were moved."""
    move(mail, "2:3", "INBOX", "Archive")
    mail.client.delete_mailbox("Archive")
    before = kept(other)
    for dry_run in (True, False):
        report = both(dry_run=dry_run, **DELETE)
        assert (report.deleted, report.held_back) == (0, "nothing was deleted: Archive is gone")
        assert "the source has Archive no more; Archive stays at the destination" in report.notes
    assert kept(other) == before
    assert both(dry_run=True, exclude=["Archive"], **DELETE).deleted == 2
    report = both(max_delete=2, **DELETE)
    assert (report.deleted, report.held_back) == (2, None)
    mail.expunge("INBOX", [4])
    report = both(**DELETE)
    assert (report.deleted, report.held_back, report.notes) == (1, None, [])
    assert len(kept(other)["INBOX"]) == 2


def test_what_was_copied_before_a_mailbox_was_made_anew_is_said_to_stay(mail: Mail, other: Mail, both: Any) -> None:
    mail.client.delete_mailbox("Archive")
    mail.client.create_mailbox("Archive")
    new = mail.fill("Archive", 1)
    for dry_run in (True, False, False):
        report = both(dry_run=dry_run, **DELETE)
        said = "2 copied before it was made anew (UIDVALIDITY) stay at the destination"
        assert (report.deleted, report.mailboxes["Archive"].notes) == (0, [said])
    assert report.complete
    assert new[0] in [octets for octets, *_ in kept(other)["Archive"]]
    assert both().mailboxes["Archive"].notes == []  # nothing is to be deleted
    other.expunge("Archive", [1])
    (note,) = both(**DELETE).mailboxes["Archive"].notes
    assert note.startswith("1 copied before")
    other.expunge("Archive", [2])
    assert both(**DELETE).mailboxes["Archive"].notes == []
