"""What verify finds, and repairs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, archive, cli
from fastimap.archive._pull import _Pull
from fastimap.archive.jobs import Job
from fastimap.archive.state import Entry, Place, State
from fastimap.archive.stores import FORMATS, store_at
from fastimap.errors import ConnectionLost
from tests.archive.conftest import Mail, stored


def differences(result: archive.Verification) -> list[tuple[str, int, str]]:
    return [(each.mailbox, each.uid, each.what) for each in result.differences]


@pytest.mark.usefixtures("implementation")
def test_damage_is_found_and_repaired(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 6)
    archive.pull(mail.account, tmp_path)
    assert archive.verify(tmp_path).good
    files = {int(path.name.partition(".")[0]): path for path in (tmp_path / "INBOX/cur").iterdir()}
    files[2].unlink()
    files[3].write_bytes(files[4].read_bytes())
    files[5].rename(tmp_path / "INBOX/new" / files[5].name)  # that is no damage
    result = archive.verify(tmp_path)
    assert differences(result) == [("INBOX", 2, "missing"), ("INBOX", 3, "octets")]
    assert not result.good
    assert differences(archive.verify(tmp_path, mail.account)) == differences(result)
    repaired = archive.verify(tmp_path, mail.account, repair=True)
    assert repaired.good
    assert all(each.repaired for each in repaired.differences)
    assert archive.verify(tmp_path, mail.account, octets=True).differences == []
    assert stored(tmp_path) == mail.all()


def test_what_the_account_has_else(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 4)
    archive.pull(mail.account, tmp_path)
    mail.fill("INBOX", 1)
    mail.client.select("INBOX")
    mail.client.add_flags(1, "\\Flagged")
    mail.client.unselect()
    mail.expunge("INBOX", [2])
    result = archive.verify(tmp_path, mail.account)
    assert sorted(differences(result)) == [("INBOX", 1, "flags"), ("INBOX", 5, "not pulled")]
    assert (result.checked, result.compared) == (4, 3)


def test_awaited(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 100)
    archive.pull(mail.account, tmp_path)
    seen: list[tuple[str, int]] = []
    result = asyncio.run(archive.aio.verify(tmp_path, progress=lambda *what: seen.append(what)))
    assert (result.checked, result.good, seen) == (100, True, [("INBOX", 100)])


def test_what_the_store_lacks_is_said_without_the_account(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    assert archive.pull(mail.account, tmp_path, max_octets=1).stopped is not None
    result = archive.verify(tmp_path)
    assert (result.checked, result.notes) == (
        0,
        [
            "Drafts: nothing of it has been pulled yet: pull again",
            "Trash: nothing of it has been pulled yet: pull again",
            "INBOX: the last pull did not come to its end: pull again",
        ],
    )
    archive.pull(mail.account, tmp_path)
    state = State(tmp_path / ".fastimap.sqlite", "maildir")
    state.park(state.places()[1], 7, "it is not sent")
    state.commit()
    state.close()
    result = archive.verify(tmp_path)
    assert (result.checked, result.notes) == (2, ["INBOX: 1 message is parked, and not in the store"])


def test_a_sample(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 9)
    archive.pull(mail.account, tmp_path)
    result = archive.verify(tmp_path, mail.account, sample=4)
    assert (result.checked, result.compared, result.sampled, result.good) == (4, 4, True, True)


def test_an_empty_text_is_not_the_directory_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    account = Account("localhost", user="ann", password="x")
    for run in (archive.verify, lambda path: archive.pull(account, path), lambda path: archive.push(path, account)):
        with pytest.raises(ValueError, match="an empty text"):
            run("")
    assert not any(tmp_path.iterdir())


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(archive.StoreError, match="no store"):
        archive.verify(tmp_path)
    with pytest.raises(ValueError, match="repair needs the account"):
        archive.verify(tmp_path, repair=True)
    with pytest.raises(ValueError, match="octets needs the account"):
        archive.verify(tmp_path, octets=True)
    sample: Any
    for sample in (0, -1, 1.5):
        with pytest.raises(ValueError, match="sample is a number from 1"):
            archive.verify(tmp_path, sample=sample)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_store_is_verified(mail: Mail, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    mail.fill("INBOX", 3)
    store = store_at(tmp_path / "store", kind)
    archive.pull(mail.account, store)
    assert archive.verify(tmp_path / "store", mail.account, octets=True).good


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_other_flags_are_repaired_without_a_second_copy(mail: Mail, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    mail.fill("INBOX", 4)
    path = tmp_path / "store"
    store = archive.Parquet(path, body=True) if kind == "parquet" else store_at(path, kind)
    archive.pull(mail.account, store)
    before = {path.name: path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.suffix == ".mbox"}
    mail.client.select("INBOX")
    mail.client.add_flags("2:3", "\\Seen")
    mail.client.unselect()
    result = archive.verify(tmp_path / "store", mail.account, repair=True)
    assert [(each.uid, each.what, each.repaired) for each in result.differences] == [
        (2, "flags", True),
        (3, "flags", True),
    ]
    assert archive.verify(tmp_path / "store", mail.account).differences == []
    assert stored(tmp_path / "store") == mail.all()
    after = {path.name: path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.suffix == ".mbox"}
    assert after == before
    if kind == "maildir":
        assert len([*(tmp_path / "store/INBOX").glob("*/*")]) == 4


def test_what_is_written_anew_takes_the_place_of_what_was_there(mail: Mail, tmp_path: Path) -> None:
    """Also where a reader has renamed the file, and its octets are as long as they should be."""
    mail.fill("INBOX", 3)
    archive.pull(mail.account, tmp_path)
    (file,) = (tmp_path / "INBOX/cur").glob("2.*")
    file.write_bytes(b"x" * file.stat().st_size)
    file.rename(file.with_name(file.name + "S"))
    assert archive.verify(tmp_path, mail.account, repair=True).good
    assert len([*(tmp_path / "INBOX").glob("*/*")]) == 3
    assert stored(tmp_path) == mail.all()


def test_a_line_is_that_of_its_message(mail: Mail, tmp_path: Path) -> None:
    """What programs read that know no state."""
    mail.fill("a", 3, create=True)
    archive.pull(mail.account, archive.JSONLines(tmp_path))
    file = tmp_path / "a.jsonl"
    whole = file.read_bytes()
    for was, now in ((b'"uid": 2,', b'"uid": 3,'), (b'"date": 1', b'"date": 2'), (b'"sha256": "', b'"sha25_": "')):
        file.write_bytes(whole.replace(was, now, 1))
        result = archive.verify(tmp_path)
        assert [each.what for each in result.differences] == ["octets"], was
        assert was.split(b'"')[1].decode() in result.differences[0].detail
        assert archive.read_jsonlines(file) != []
    assert archive.verify(tmp_path, mail.account, repair=True).good
    mail.client.rename_mailbox("a", "b")  # its lines have the former name
    assert archive.pull(mail.account, tmp_path).complete
    assert archive.verify(tmp_path, mail.account).good


def test_each_line_is_read_once(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is most of the work."""
    mail.fill("INBOX", 5)
    archive.pull(mail.account, archive.JSONLines(tmp_path))
    read: list[int] = []
    piece = archive.JSONLines.piece

    def counted(self: archive.JSONLines, place: Place, entry: Entry) -> Iterator[bytes]:
        read.append(entry.uid)
        return piece(self, place, entry)

    monkeypatch.setattr(archive.JSONLines, "piece", counted)
    assert archive.verify(tmp_path).good
    assert read == [1, 2, 3, 4, 5]


def test_a_caller_s_own_database_that_is_damaged(mail: Mail, tmp_path: Path) -> None:
    """The state is not what its error is about: who believed that would move it away."""
    mail.fill("INBOX", 1)
    archive.pull(mail.account, tmp_path / "store")
    own = tmp_path / "own.sqlite"
    own.write_bytes(b"no database" * 100)

    def stopping() -> bool:
        with contextlib.closing(sqlite3.connect(own)) as database:
            return bool(database.execute("SELECT 1 FROM sqlite_master").fetchone())

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        archive.verify(tmp_path / "store", stopping=stopping)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["maildir", "sqlite"])
def test_a_state_that_is_damaged_far_from_its_beginning(
    mail: Mail, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mail.fill("INBOX", 1)
    path = tmp_path / "store"
    archive.pull(mail.account, store_at(path, kind))
    file = store_at(path).state_path
    with sqlite3.connect(file) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'message'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with open(file, "r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xff" * 8)
    for run in (archive.verify, lambda path: archive.pull(mail.account, path, resume=False)):
        with pytest.raises(archive.StoreError, match="is damaged"):
            run(path)
    assert cli.main(["status", str(path)]) == 1
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["jsonl", "mbox"])
def test_what_was_damaged_stays_in_a_file_that_grows(mail: Mail, tmp_path: Path, kind: str) -> None:
    mail.fill("INBOX", 2)
    archive.pull(mail.account, store_at(tmp_path, kind))
    file = tmp_path / f"INBOX.{kind}"
    file.write_bytes(file.read_bytes().replace(b"Ann <", b'\xff"<{}', 1))
    result = archive.verify(tmp_path, mail.account, repair=True)
    assert (result.good, len(result.notes)) == (True, 1)
    assert result.notes[0].startswith("INBOX: what was damaged stays in its file")
    assert b'\xff"<{}' in file.read_bytes()
    mail.client.select("INBOX")
    mail.client.add_flags(1, "\\Seen")
    mail.client.unselect()
    assert archive.verify(tmp_path, mail.account, repair=True).notes == []  # flags are no damage


def test_messages_that_a_person_took_out_of_the_database(mail: Mail, tmp_path: Path) -> None:
    """And not out of the table of words, which their numbers are free for."""
    mail.fill("INBOX", 3)
    archive.pull(mail.account, archive.SQLite(tmp_path))
    with contextlib.closing(sqlite3.connect(tmp_path / "mail.sqlite")) as database, database:
        database.execute("DELETE FROM body WHERE uid > 1")
    result = archive.verify(tmp_path, mail.account, repair=True)
    assert (result.good, differences(result)) == (True, [("INBOX", 2, "missing"), ("INBOX", 3, "missing")])
    assert stored(tmp_path) == mail.all()
    with contextlib.closing(sqlite3.connect(tmp_path / "mail.sqlite")) as database:
        query = "SELECT uid, octets FROM mail WHERE number IN (SELECT rowid FROM words WHERE words MATCH 'ann')"
        assert [uid for uid, _ in database.execute(f"{query} ORDER BY uid")] == [1, 2, 3]


def test_which_mailboxes(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    archive.pull(mail.account, tmp_path, mailboxes=["INBOX", "Trash"])
    for names in (["inbox"], ["INBOX"], ["inbox", "\\Trash"]):
        result = archive.verify(tmp_path, mail.account, mailboxes=names)
        assert (result.checked, result.compared, result.good) == (2, 2, True), names
    assert archive.verify(tmp_path, mailboxes=["inbox"]).checked == 2
    for account in (None, mail.account):
        result = archive.verify(tmp_path, account, mailboxes=["Nope", "INBOX"])
        assert (result.failed, result.checked) == ({"Nope": "the store has no such mailbox"}, 2)
        assert not result.good
    assert "Drafts" in archive.verify(tmp_path, mail.account, mailboxes=["Drafts"]).failed
    result = archive.verify(tmp_path, mail.account)
    assert (result.good, result.not_in_store) == (True, ["Drafts"])


def test_an_account_that_the_store_has_nothing_of(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    archive.pull(mail.account, tmp_path)
    theirs = mail.account.__replace__(user=mail.server.new_user())
    with pytest.raises(ValueError, match=f"nothing of {theirs.user}@.*it has mail of {mail.user}@"):
        archive.verify(tmp_path, theirs)


def test_a_new_uidvalidity_is_that_mailbox_s_alone(mail: Mail, tmp_path: Path) -> None:
    mail.fill("a", 2, create=True)
    mail.fill("INBOX", 2)
    mail.client.create_mailbox("without mail")
    archive.pull(mail.account, tmp_path)
    for name in ("a", "without mail"):
        mail.client.delete_mailbox(name)
        mail.client.create_mailbox(name)
    next((tmp_path / "INBOX/cur").iterdir()).unlink()
    result = archive.verify(tmp_path, mail.account, repair=True)
    assert result.failed == {"a": "it has a new UIDVALIDITY: pull first"}
    assert [(each.mailbox, each.what, each.repaired) for each in result.differences] == [("INBOX", "missing", True)]


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_disk_that_is_read_only(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """As that of an archive may be: there is nothing to keep others from."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    mail.fill("INBOX", 3)
    path = tmp_path / "store"
    archive.pull(mail.account, archive.Parquet(path, body=True) if kind == "parquet" else store_at(path, kind))

    def refused(*arguments: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    before = {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    monkeypatch.setattr(os, "ftruncate", refused)
    result = archive.verify(path, mail.account, octets=True)
    assert (result.good, result.checked, result.compared) == (True, 3, 3)
    with pytest.raises(OSError, match="Read-only"):
        archive.verify(path, mail.account, repair=True)
    assert {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()} == before


@pytest.mark.slow
def test_a_mailbox_that_has_another_name_by_now_is_none_to_come(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the run that found it so dies then."""
    mail.fill("Work", 1, create=True)
    archive.pull(mail.account, tmp_path)
    mail.client.rename_mailbox("Work", "Job")

    whole = _Pull._renamed

    def dying(run: _Pull, place: Place, job: Job) -> None:
        whole(run, place, job)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(_Pull, "_renamed", dying)
        with pytest.raises(KeyboardInterrupt):
            archive.pull(mail.account, tmp_path)
    assert (tmp_path / "Job").is_dir()
    assert archive.verify(tmp_path).notes == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_dry_runs_on_what_may_only_be_read(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, number: int
) -> None:
    """They write nothing, so they need no leave to write. Files of mode 0 stop no root: the lock says it for them."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    mail.fill("INBOX", 3)
    path = tmp_path / "store"
    archive.pull(mail.account, archive.Parquet(path, body=True) if kind == "parquet" else store_at(path, kind))
    assert archive.push(path, mail.account).present == 3
    mail.fill("INBOX", 1)
    mail.client.rename_mailbox("Trash", "Bin")

    def refused(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    before = {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    monkeypatch.setattr(os, "ftruncate", refused)
    with monkeypatch.context() as patched:
        patched.setattr("fastimap.archive.state.make_private", refused)
        patched.setattr("fastimap.archive.moving.ledger.make_private", refused)
        assert archive.pull(mail.account, path, dry_run=True).written == 1
        report = archive.push(path, mail.account, dry_run=True)
        assert (report.found, report.written, report.present) == (3, 0, 3)
    with pytest.raises(OSError, match=os.strerror(number)):
        archive.pull(mail.account, path)
    assert {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()} == before


@pytest.mark.parametrize("kind", ["maildir", "mbox", "jsonl", "sqlite"])
def test_a_connection_that_is_lost_amid_a_repair(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What had come is in the store and noted, both or neither; another run does the rest."""
    mail.fill("INBOX", 5)
    mail.fill("a", 5, create=True)
    store = store_at(tmp_path / "store", kind)
    archive.pull(mail.account, store)
    with sqlite3.connect(store.state_path) as db:
        db.execute("UPDATE message SET digest = x'00'")
    db.close()
    fetch = archive.Store.fetch

    def cut(self: archive.Store, client: Any, uids: Any) -> Iterator[Any]:
        rows = [row for some in fetch(self, client, uids) for row in some]
        yield rows[:2]
        raise ConnectionLost("cut")

    with monkeypatch.context() as patched:
        patched.setattr(archive.Store, "fetch", cut)
        result = archive.verify(tmp_path / "store", mail.account, repair=True)
    assert result.failed == {"INBOX": "cut", "a": "cut"}
    left = archive.verify(tmp_path / "store", mail.account)
    assert differences(left) == [(name, uid, "octets") for name in ("INBOX", "a") for uid in (3, 4, 5)]
    assert archive.verify(tmp_path / "store", mail.account, repair=True).good
    assert stored(tmp_path / "store") == mail.all()


def test_other_flags_and_another_date(mail: Mail, tmp_path: Path) -> None:
    """Both are named, and repaired."""
    mail.fill("INBOX", 3)
    archive.pull(mail.account, tmp_path)
    with sqlite3.connect(tmp_path / ".fastimap.sqlite") as db:
        db.execute("UPDATE message SET flags = ?, date = 5 WHERE uid = 2", ("\\Flagged",))
    db.close()
    result = archive.verify(tmp_path, mail.account, repair=True)
    assert [(each.uid, each.what, each.repaired) for each in result.differences] == [
        (2, "date", True),
        (2, "flags", True),
    ]
    assert archive.verify(tmp_path, mail.account).differences == []
    assert stored(tmp_path) == mail.all()
