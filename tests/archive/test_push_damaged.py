"""Push sends what was pulled, and nothing else: what a disk or a person has made of it since is parked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastimap import archive
from fastimap.archive.stores import FORMATS, store_at
from tests.archive.conftest import Mail, message
from tests.archive.test_migrate import other

__all__ = ["other"]

Harm = Callable[[bytes], bytes]


def harm(root: Path, kind: str, by: Harm) -> None:
    """Change UID 2 of a store; its last message, and the file of which, where others are in it too."""
    if kind == "sqlite":
        with sqlite3.connect(root / "mail.sqlite") as db:
            ((octets,),) = db.execute("SELECT octets FROM body WHERE uid = 2").fetchall()
            db.execute("UPDATE body SET octets = ? WHERE uid = 2", (by(octets),))
        db.close()
        return
    name = {"maildir": "2.*.fastimap,*", "eml": "2.*.eml", "parquet": "*.parquet"}.get(kind, f"INBOX.{kind}")
    for file in [file for file in root.rglob(name) if file.is_file()]:
        file.write_bytes(by(file.read_bytes()))


def cut(octets: bytes) -> bytes:
    return octets[: len(octets) // 2]


def emptied(octets: bytes) -> bytes:
    return b""


def altered(octets: bytes) -> bytes:
    """Return as many octets, of the last message others."""
    at = octets.rfind(b"message 2")
    at = at if at >= 0 else len(octets) - len(octets) // 6
    return octets[:at] + bytes(octet ^ 1 for octet in octets[at : at + 7]) + octets[at + 7 :]


@pytest.mark.slow
@pytest.mark.parametrize("by", [cut, emptied, altered])
@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_what_is_damaged_is_not_sent(mail: Mail, other: Mail, tmp_path: Path, kind: str, by: Harm) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    made = [message(number, 4000) for number in (1, 2)]
    for octets in made:
        mail.client.append("INBOX", octets)
    path = tmp_path / "store"
    archive.pull(mail.account, archive.Parquet(path, body=True) if kind == "parquet" else store_at(path, kind))
    harm(path, kind, by)
    try:
        dry = archive.push(path, other.account, dry_run=True)
        report = archive.push(path, other.account)
    except archive.StoreError:  # the store as a whole is not what was written
        assert kind not in ("maildir", "eml", "sqlite")
        assert other.all()["INBOX"] == []
        return
    inbox = report.mailboxes["INBOX"]
    sent = [body for _, body, _, _ in other.all()["INBOX"]]
    assert all(octets in made for octets in sent)
    assert report.complete == (len(sent) == 2)
    if kind != "parquet":
        assert (inbox.found, inbox.written, list(inbox.parked), inbox.accounted) == (2, 1, [2], 2)
        assert (dry.written, dry.mailboxes["INBOX"].parked) == (1, inbox.parked)
        assert not archive.verify(path).good


@pytest.mark.slow
def test_what_a_store_does_not_know_of_any_more_is_not_gone(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """Of a file of Parquet that is damaged not even the UIDs are known: nothing is complete, and nothing deleted."""
    pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    store = archive.Parquet(tmp_path, body=True)
    mail.fill("INBOX", 2)
    archive.pull(mail.account, store)
    before = {*tmp_path.rglob("*.parquet")}
    mail.fill("INBOX", 2)
    archive.pull(mail.account, store)
    assert archive.push(tmp_path, other.account).complete
    for file in before:
        file.write_bytes(b"")
    for dry_run in (True, False):
        report = archive.push(tmp_path, other.account, deleted="delete", max_delete="100%", dry_run=dry_run)
        assert not report.complete
        assert "the store is damaged: 2 messages of" in report.failed["INBOX"]
        assert report.held_back is not None
    assert len(other.all()["INBOX"]) == 4


@pytest.mark.slow
def test_once_it_is_repaired_it_is_sent(mail: Mail, other: Mail, tmp_path: Path) -> None:
    made = mail.fill("INBOX", 3)
    archive.pull(mail.account, tmp_path)
    harm(tmp_path, "maildir", cut)
    (reason,) = archive.push(tmp_path, other.account).mailboxes["INBOX"].parked.values()
    assert reason.startswith("the store's copy is damaged")
    assert archive.verify(tmp_path, mail.account, repair=True).good
    assert archive.push(tmp_path, other.account).complete
    assert sorted(body for _, body, _, _ in other.all()["INBOX"]) == sorted(made)


def test_a_message_that_a_rule_leaves_out_now_is_not_parked(mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    archive.pull(mail.account, tmp_path)
    next((tmp_path / "INBOX/cur").glob("2.*")).unlink()

    def push(**options: Any) -> tuple[Any, ...]:
        report = archive.push(tmp_path, other.account, **options)
        inbox = report.mailboxes["INBOX"]
        return report.complete, inbox.written, inbox.present, inbox.excluded, list(inbox.parked), inbox.error

    assert push() == (False, 2, 0, {}, [2], None)
    for _ in range(2):
        assert push(max_size=10) == (True, 0, 2, {"max-size": 1}, [], None)
    assert push() == (False, 0, 2, {}, [2], None)


def test_other_flags_are_carried_over_without_reading_a_message(mail: Mail, other: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    archive.pull(mail.account, tmp_path)
    assert archive.push(tmp_path, other.account).complete
    mail.client.select("INBOX")
    mail.client.add_flags("1:3", "\\Flagged")
    mail.client.unselect()
    archive.pull(mail.account, tmp_path)
    for file in (tmp_path / "INBOX/cur").iterdir():
        file.unlink()
    report = archive.push(tmp_path, other.account)
    assert (report.complete, report.flags) == (True, 3)
    assert all("\\Flagged" in flags for _, _, flags, _ in other.all()["INBOX"])


def test_a_ledger_that_is_damaged_far_from_its_beginning(mail: Mail, other: Mail, tmp_path: Path) -> None:
    """What is there is known without it, too."""
    mail.fill("INBOX", 2)
    archive.pull(mail.account, tmp_path)
    assert archive.push(tmp_path, other.account).written == 2
    file = tmp_path / ".fastimap.push.sqlite"
    with sqlite3.connect(file) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'pair'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with open(file, "r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xff" * 8)
    with pytest.raises(archive.StoreError, match=rf"{file} is damaged"):
        archive.push(tmp_path, other.account)
    file.unlink()
    assert archive.push(tmp_path, other.account).present == 2
