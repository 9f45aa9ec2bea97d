"""What a pull does with a mailbox that changes: exactly once, and every message accounted for."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fastimap import Client, Retry, archive, search
from fastimap.archive import receiving
from fastimap.archive.compare import compare
from fastimap.archive.state import Mark, State
from fastimap.archive.stores import maildir, store_at
from fastimap.cli import main
from fastimap.errors import FastimapError
from tests.archive.conftest import Mail, instead_of_compare, message, stored


def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note in a list by which way each mailbox is compared."""
    noted: list[str] = []

    def noting(*arguments: Any, **options: Any) -> Any:
        found = compare(*arguments, **options)
        noted.append(found.way)
        return found

    instead_of_compare(monkeypatch, noting)
    return noted


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that has the client not see capabilities."""
    from fastimap.commands.base import Session

    def hide(*names: str) -> None:
        has = Session.has
        monkeypatch.setattr(Session, "has", lambda session, name: name.upper() not in names and has(session, name))

    return hide


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("hidden", [(), ("QRESYNC",), ("QRESYNC", "CONDSTORE"), ("LIST-STATUS",)], ids=str)
def test_it_follows(
    mail: Mail, tmp_path: Path, hidden: tuple[str, ...], without: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(*hidden)
    noted = ways(monkeypatch)
    mail.fill("INBOX", 20)
    mail.fill("a", 4, create=True)
    archive.pull(mail.account, tmp_path)
    noted.clear()
    mail.fill("INBOX", 3)
    mail.expunge("INBOX", [2, 5, 6])
    mail.client.select("INBOX")
    mail.client.add_flags([1, 7], ("\\Flagged", "$Junk"))
    mail.client.unselect()
    report = archive.pull(mail.account, tmp_path)
    inbox = report.mailboxes["INBOX"]
    assert (inbox.found, inbox.written, inbox.present, inbox.gone, inbox.flags) == (20, 3, 17, 3, 2)
    assert report.complete
    assert stored(tmp_path) == mail.all()
    assert {uid for uid, *_ in stored(tmp_path, gone=True)["INBOX"]} == {2, 5, 6}
    if "CONDSTORE" in hidden:
        assert set(noted) == {"UIDs and flags", "all UIDs"}  # an empty mailbox has no flags to compare
    else:
        assert noted == ["CONDSTORE" if hidden == ("QRESYNC",) else "QRESYNC"]
    noted.clear()
    assert archive.pull(mail.account, tmp_path).written == 0
    if "CONDSTORE" not in hidden:
        assert not noted


@pytest.mark.parametrize("by_command", [False, True])
def test_what_the_last_run_noted_need_not_be_trusted(
    mail: Mail, tmp_path: Path, by_command: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags that somebody changed in the store and its state are set right, though the server says nothing is new."""
    mail.fill("INBOX", 4)
    options: dict[str, Any] = {"name": f"{mail.user}@localhost"}
    archive.pull(mail.account, tmp_path, **options)
    store = store_at(tmp_path)
    state = store.load(None)
    (place,) = (each for each in state.places() if each.name == "INBOX")
    store.open(state)
    for entry in list(state.entries(place)):
        store.set_flags(place, [(entry, "\\Flagged", None)])
        state.set_flags(place, [("\\Flagged", None, entry.uid)])
    state.commit()
    store.close()
    state.close()
    assert archive.pull(mail.account, tmp_path, **options).flags == 0
    assert stored(tmp_path) != mail.all()
    if by_command:
        monkeypatch.setenv("FASTIMAP_PASSWORD", mail.server.password)
        monkeypatch.setenv("SSL_CERT_FILE", str(mail.server.ca_file))
        assert main(["pull", mail.url, str(tmp_path), "--no-resume", "-q"]) == 0
    else:
        report = archive.pull(mail.account, tmp_path, resume=False, **options)
        assert (report.complete, report.flags, report.written, report.present) == (True, 4, 0, 4)
    assert stored(tmp_path) == mail.all()
    assert all(path.name.endswith(":2,") for path in (tmp_path / "INBOX/cur").iterdir())


@pytest.mark.parametrize("mark", ['[2, 3, 4, "", {}]', "", "2 3", "2 3 x", "2 3 4 {", "2 3 4 null", "- 3 4"])
def test_a_mark_that_can_not_be_read_has_all_compared(
    mail: Mail, tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.fill("INBOX", 2)
    archive.pull(mail.account, tmp_path, mailboxes=["INBOX"])
    with contextlib.closing(sqlite3.connect(tmp_path / ".fastimap.sqlite")) as database, database:
        database.execute("UPDATE mailbox SET mark = ?", (mark,))
    noted = ways(monkeypatch)
    for compared in (1, 1):  # it is noted anew
        report = archive.pull(mail.account, tmp_path, mailboxes=["INBOX"])
        assert (report.complete, report.present, report.written) == (True, 2, 0)
        assert len(noted) == compared


@pytest.mark.parametrize(
    "mark",
    [
        Mark(),
        Mark(5, 6, 0),
        Mark(2**32 - 1, 2**32 - 1, 2**63 - 1),
        Mark(5, None, 7, 'search: SUBJECT "é"', {"since 2024-01-31": 3, "search: a b": 1}),
        Mark(5, 6, None, "", {"labels": 2}),
    ],
)
def test_a_mark_is_kept_as_it_is(mark: Mark) -> None:
    assert Mark.of(mark.text()) == mark


def test_nothing_is_changed_on_the_server(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    before = mail.client.mailbox_status("INBOX", "HIGHESTMODSEQ", "UNSEEN", "RECENT")
    archive.pull(mail.account, tmp_path)
    assert mail.client.mailbox_status("INBOX", "HIGHESTMODSEQ", "UNSEEN", "RECENT") == before


@pytest.mark.usefixtures("implementation")
@pytest.mark.parametrize("connections", [1, 3])
def test_several_connections(mail: Mail, tmp_path: Path, connections: int) -> None:
    mail.fill("INBOX", 250)
    report = archive.pull(mail.account, tmp_path, connections=connections)
    assert report.complete
    assert stored(tmp_path) == mail.all()


def test_rules_account_for_what_they_leave_out(mail: Mail, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for number, days in enumerate((400, 300, 200, 100)):
        mail.client.append("INBOX", message(number, 1000 * number), internal_date=now - timedelta(days=days))
    since = (now - timedelta(days=350)).date()
    report = archive.pull(mail.account, tmp_path, since=since, max_size=2500, limit=1, mailboxes=["inbox"])
    assert report.mailboxes["INBOX"].excluded == {"since": 1, "max-size": 1, "limit": 1}
    assert report.complete
    assert report.written == 1
    report = archive.pull(mail.account, tmp_path, search="SUBJECT 0", mailboxes=["INBOX"])
    assert report.mailboxes["INBOX"].excluded == {"search": 2}
    assert (report.written, report.present) == (1, 1)
    report = archive.pull(mail.account, tmp_path, search=search.subject("message 3"), before=date(1990, 1, 1))
    assert report.mailboxes["INBOX"].excluded == {"before": 2}
    report = archive.pull(mail.account, tmp_path)
    assert (report.written, report.present) == (2, 2)


def test_mailboxes_are_chosen(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    mail.fill("a,b", 1, create=True)
    report = archive.pull(mail.account, tmp_path, exclude=["\\Trash", "a,b"])
    assert report.excluded == {"Trash": "exclude", "a,b": "exclude"}
    assert [*report.mailboxes] == ["INBOX", "Drafts"]
    report = archive.pull(mail.account, tmp_path, mailboxes=["a,b", "\\Drafts", "nowhere"])
    assert report.mailboxes["a,b"].written == 1
    assert report.failed == {"nowhere": "there is no such mailbox"}
    assert not report.complete


def test_a_name_that_only_looks_like_inbox(mail: Mail, tmp_path: Path) -> None:
    """Its first letter has no dot, and becomes an I in capitals."""
    mail.fill("INBOX", 1)
    mail.fill("\u0131nbox", 2, create=True)
    assert mail.client.mailbox_status("\u0131nbox", "MESSAGES").messages == 2
    assert mail.client.select("\u0131nbox").exists == 2
    assert mail.client.session.mailbox == "\u0131nbox"
    report = archive.pull(mail.account, tmp_path, mailboxes=["\u0131nbox"])
    assert (report.complete, [*report.mailboxes], report.written) == (True, ["\u0131nbox"], 2)
    assert archive.pull(mail.account, tmp_path, exclude=["\u0131nbox"]).mailboxes["INBOX"].written == 1
    assert archive.pull(mail.account, tmp_path, mailboxes=["inBox"]).mailboxes["INBOX"].present == 1
    assert stored(tmp_path) == mail.all()


def test_names_are_mapped_and_never_merged(mail: Mail, tmp_path: Path) -> None:
    names = ["Work", "work", "WORK/x", "a:b", "CON", "x" * 200, "trailing ", "a~tilde", "%41", "INBOX/a"]
    for name in names:
        mail.fill(name, 2, create=True)
    assert archive.pull(mail.account, tmp_path / "store").complete
    assert stored(tmp_path / "store") == mail.all()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    state = tmp_path / "store" / ".fastimap.sqlite"
    state.unlink()
    report = archive.pull(mail.account, tmp_path / "store")
    assert (report.written, report.present) == (0, 2 * len(names))
    assert stored(tmp_path / "store") == mail.all()


def test_a_state_that_is_lost_is_rebuilt_from_names(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 10, flags=("$Label1", "\\Seen"))
    archive.pull(mail.account, tmp_path)
    (tmp_path / ".fastimap.sqlite").unlink()
    cur = tmp_path / "INBOX" / "cur"
    read, cut, *_ = sorted(cur.iterdir())
    read.rename(tmp_path / "INBOX" / "new" / read.name.partition(":")[0])
    cut.write_bytes(b"")
    for path in cur.iterdir():  # a copy that keeps no times
        os.utime(path)
    report = archive.pull(mail.account, tmp_path)
    assert report.complete
    assert (report.written, report.present) == (1, 9)
    dates = {int(path.name.partition(".")[0]): int(path.stat().st_mtime) for path in (tmp_path / "INBOX").glob("*/*")}
    assert dates == {uid: date for uid, _, _, date in mail.all()["INBOX"]}
    assert stored(tmp_path) == mail.all()
    assert len([*cur.iterdir(), *(tmp_path / "INBOX" / "new").iterdir()]) == 10


def test_what_was_not_committed_is_written_over(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.fill("INBOX", 30)

    with monkeypatch.context() as patched:
        patched.setattr(maildir, "make_durable", full)
        with pytest.raises(OSError, match="No space"):
            archive.pull(mail.account, tmp_path)
    cur = tmp_path / "INBOX" / "cur"
    assert len([*cur.iterdir()]) == 30
    for path in cur.iterdir():  # a mail program has read them meanwhile
        path.rename(f"{path.parent}/{path.name.partition(':')[0]}:2,RS")
    report = archive.pull(mail.account, tmp_path)
    assert (report.complete, report.written) == (True, 30)
    assert len([*cur.iterdir()]) == 30
    assert stored(tmp_path) == mail.all()


@pytest.mark.slow
@pytest.mark.parametrize("call", ["open", "write", "utime", "rename", "unlink"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_run_that_dies_as_it_writes_over_another_leaves_no_message_twice(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, before: int
) -> None:
    """The first one wrote them with other flags, so under other names."""
    mail.fill("INBOX", 3)
    with monkeypatch.context() as patched:
        patched.setattr(archive.Maildir, "sync", full)
        with pytest.raises(OSError, match="No space"):
            archive.pull(mail.account, tmp_path)
    mail.client.select("INBOX")
    mail.client.add_flags("1:*", "\\Flagged")
    mail.client.unselect()
    left = iter(range(before))
    write, done = archive.Maildir.write, getattr(os, call)

    def dying(*arguments: Any, **options: Any) -> Any:
        if next(left, None) is None:
            full()
        return done(*arguments, **options)

    def written(*arguments: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(os, call, dying)
            return write(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(archive.Maildir, "write", written)
        with contextlib.suppress(OSError):
            archive.pull(mail.account, tmp_path)
    assert len([*tmp_path.glob("INBOX/cur/*")]) == 3
    report = archive.pull(mail.account, tmp_path)
    assert report.complete
    assert stored(tmp_path) == mail.all()


def test_a_reader_that_renames_what_was_just_written(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.fill("INBOX", 3)
    sync = archive.Maildir.sync

    def read(self: archive.Maildir) -> None:
        for path in (tmp_path / "INBOX" / "cur").glob("*:2,"):
            path.rename(f"{path}S")
        sync(self)

    monkeypatch.setattr(archive.Maildir, "sync", read)
    report = archive.pull(mail.account, tmp_path)
    assert (report.complete, report.written) == (True, 3)
    assert [octets for _, octets, *_ in stored(tmp_path)["INBOX"]] == [octets for _, octets, *_ in mail.all()["INBOX"]]


@pytest.fixture(params=["maildir", "eml"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    return Files(tmp_path / "store", request.param)


@dataclass
class Files:
    """A store of one file a message."""

    root: Path
    kind: str

    def pull(self, mail: Mail, **options: Any) -> archive.Report:
        return archive.pull(mail.account, store_at(self.root, self.kind), **options)

    def all(self) -> list[str]:
        """Return the mailboxes' directories that the files are in, one for each file."""
        found = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return sorted(path.parts[0] for path in found if path.name[0] != "." and "tmp" not in path.parts)

    def die(self, mail: Mail, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        """Pull, and find the disk full after a method of the store was called."""
        kind = type(store_at(self.root, self.kind))
        done = getattr(kind, method)

        def last(*arguments: Any) -> None:
            done(*arguments)
            full()

        with monkeypatch.context() as patched:
            patched.setattr(kind, method, last)
            with pytest.raises(OSError, match="No space"):
                self.pull(mail)


def full(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("deleted", ["keep", "delete"])
@pytest.mark.parametrize("change", ["moved", "deleted", "mailbox deleted", "mailbox made anew"])
def test_what_was_not_committed_and_is_not_there_by_now(
    mail: Mail, files: Files, monkeypatch: pytest.MonkeyPatch, change: str, deleted: Any
) -> None:
    """It is a message that was pulled, though nothing knew of it, and goes the way of those that are gone."""
    mail.fill("a", 1, create=True)
    files.pull(mail)
    made = mail.fill("a", 2)
    files.die(mail, monkeypatch, "sync")
    assert files.all() == ["a"] * 3
    mail.client.select("a")
    if change == "moved":
        mail.client.move("2:3", "INBOX")
    elif change == "deleted":
        mail.client.delete_messages("2:3")
    mail.client.unselect()
    if change.startswith("mailbox"):
        mail.client.delete_mailbox("a")
    if change == "mailbox made anew":
        mail.client.create_mailbox("a")
    report = files.pull(mail, deleted=deleted, max_delete=10)
    assert (report.complete, report.written) == (True, 0)
    ours, theirs = stored(files.root), mail.all()
    assert {name: messages for name, messages in ours.items() if messages or theirs.get(name)} == {
        name: messages for name, messages in theirs.items() if messages
    }
    known = [octets for messages in stored(files.root, gone=None).values() for _, octets, *_ in messages]
    assert len(files.all()) == len(known)
    assert archive.verify(files.root).good
    if change == "moved":
        assert report.mailboxes["INBOX"].moved == 2
        assert files.all() == ["INBOX", "INBOX", "a"]
    elif deleted == "keep":
        assert {*made} <= {*known}


def test_a_move_that_was_cut_short_goes_back(mail: Mail, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    made = mail.fill("INBOX", 3)
    mail.client.create_mailbox("a")
    files.pull(mail)
    mail.client.select("INBOX")
    mail.client.move("1:3", "a")
    files.die(mail, monkeypatch, "move")
    assert files.all() == ["INBOX", "INBOX", "a"]
    mail.client.select("a")
    mail.client.delete_messages("1:2")
    mail.client.unselect()
    report = files.pull(mail)
    assert (report.complete, report.written, report.mailboxes["a"].moved) == (True, 0, 1)
    assert stored(files.root) == mail.all()
    assert files.all() == ["INBOX", "INBOX", "a"]
    assert {octets for _, octets, *_ in stored(files.root, gone=True)["INBOX"]} == {*made[:2]}
    assert archive.verify(files.root).good


def test_what_a_lost_state_knew_outlives_a_run_that_dies(
    mail: Mail, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = mail.fill("INBOX", 4)
    files.pull(mail)
    mail.expunge("INBOX", [1, 2])
    files.pull(mail)
    (files.root / ".fastimap.sqlite").unlink()
    mail.fill("INBOX", 1)
    files.die(mail, monkeypatch, "sync")
    report = files.pull(mail)
    assert report.complete
    assert stored(files.root) == mail.all()
    assert {octets for _, octets, *_ in stored(files.root, gone=True)["INBOX"]} == {*made[:2]}
    assert files.all() == ["INBOX"] * 5


def test_what_a_state_of_yesterday_does_not_know_stays(
    mail: Mail, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a backup that copied the state while a pull wrote, and the mail after it."""
    made = mail.fill("INBOX", 1)
    files.pull(mail)
    mail.fill("INBOX", 1)
    files.die(mail, monkeypatch, "write")
    yesterday = (files.root / ".fastimap.sqlite").read_bytes()
    made += mail.fill("INBOX", 10)
    files.pull(mail)
    mail.expunge("INBOX", [*range(3, 12)])
    (files.root / ".fastimap.sqlite").write_bytes(yesterday)
    report = files.pull(mail)
    assert report.complete
    assert files.all() == ["INBOX"] * 12
    assert stored(files.root) == mail.all()
    assert {*made} <= {octets for _, octets, *_ in stored(files.root, gone=None)["INBOX"]}


def test_files_that_can_not_be_read_stop_nothing(mail: Mail, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.fill("INBOX", 2)
    files.die(mail, monkeypatch, "sync")
    one = min(path for path in files.root.rglob("*") if path.is_file() and path.name.startswith("1."))
    one.unlink()
    one.with_name(one.name.replace("1.", "7.", 1).replace("U=1", "U=7")).mkdir()
    report = files.pull(mail)
    assert report.complete
    assert stored(files.root) == mail.all()


def test_a_file_that_was_cut_is_not_taken_for_whole(mail: Mail, files: Files) -> None:
    mail.fill("INBOX", 3)
    files.pull(mail)
    one, *_ = (path for path in files.root.rglob("*") if path.is_file() and path.parent.name in ("cur", "INBOX"))
    one.write_bytes(one.read_bytes()[:10])
    (files.root / ".fastimap.sqlite").unlink()
    assert files.pull(mail).complete
    assert stored(files.root) == mail.all()


def test_messages_of_a_former_mailbox_stay_where_they_are_when_it_is_renamed(mail: Mail, files: Files) -> None:
    mail.fill("a", 3, create=True)
    files.pull(mail)
    mail.client.delete_mailbox("a")
    mail.fill("a", 2, create=True)
    files.pull(mail)
    mail.client.rename_mailbox("a", "b")
    report = files.pull(mail)
    assert (report.complete, report.written, report.mailboxes["b"].renamed_from) == (True, 0, "a")
    assert archive.verify(files.root).good
    assert {name: len(messages) for name, messages in stored(files.root, gone=None).items() if messages} == {
        "a": 3,
        "b": 2,
    }


def test_another_file_system(mail: Mail, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.fill("INBOX", 2)
    mail.client.create_mailbox("a")
    files.pull(mail)
    mail.client.select("INBOX")
    mail.client.move("1:2", "a")
    mail.client.unselect()

    rename = os.rename

    def elsewhere(source: Any, target: Any, **options: Any) -> None:
        """Rename within a mailbox alone."""
        if {"INBOX", "a"} == {
            mailbox_of(source, options.get("src_dir_fd")),
            mailbox_of(target, options.get("dst_dir_fd")),
        }:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(source, target, **options)

    def mailbox_of(path: str, directory: int | None) -> str:
        where = Path(path).parent if directory is None else Path(os.readlink(f"/proc/self/fd/{directory}"))
        return where.relative_to(files.root).parts[0]

    monkeypatch.setattr(os, "rename", elsewhere)
    report = files.pull(mail)
    assert (report.complete, report.written, report.mailboxes["a"].moved) == (True, 2, 0)
    assert stored(files.root) == mail.all()


def test_a_directory_that_is_not_there_any_more(mail: Mail, files: Files) -> None:
    mail.fill("a", 2, create=True)
    files.pull(mail)
    shutil.rmtree(files.root / "a")
    mail.expunge("a", [1, 2])
    report = files.pull(mail, deleted="delete", max_delete=10)
    assert (report.complete, report.deleted) == (True, 2)
    assert stored(files.root) == mail.all()


def test_a_new_uidvalidity(mail: Mail, tmp_path: Path) -> None:
    made = mail.fill("a", 6, create=True)
    archive.pull(mail.account, tmp_path)
    mail.client.rename_mailbox("a", "b")
    mail.client.create_mailbox("a")
    mail.client.select("b")
    mail.client.copy("1:4", "a")
    mail.client.unselect()
    mail.client.delete_mailbox("b")
    mail.fill("a", 1)
    report = archive.pull(mail.account, tmp_path, deleted="delete")
    one = report.mailboxes["a"]
    assert (one.found, one.moved, one.present, one.written) == (5, 4, 4, 1)
    assert "new UIDVALIDITY" in one.notes[0]
    assert report.held_back is not None
    assert len(stored(tmp_path)["a"]) == 7
    assert {octets for _, octets, *_ in stored(tmp_path)["a"]} == {
        *made,
        *(octets for _, octets, *_ in mail.all()["a"]),
    }
    report = archive.pull(mail.account, tmp_path, deleted="delete", max_delete=10)
    assert (report.held_back, report.deleted, report.complete) == (None, 2, True)
    assert stored(tmp_path) == mail.all()


def test_a_renamed_mailbox_costs_no_download(mail: Mail, tmp_path: Path) -> None:
    mail.fill("old/name", 5, create=True)
    mail.fill("old/name/below", 2, create=True)
    archive.pull(mail.account, tmp_path)
    mail.client.rename_mailbox("old/name", "new")
    mail.fill("new", 1)
    report = archive.pull(mail.account, tmp_path)
    assert report.complete
    assert (report.written, report.present) == (1, 7)
    assert report.mailboxes["new"].renamed_from == "old/name"
    assert stored(tmp_path) == mail.all()


def test_a_moved_message_is_moved(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 6)
    mail.client.create_mailbox("a")
    archive.pull(mail.account, tmp_path)
    mail.client.select("INBOX")
    mail.client.move("2:4", "a")
    mail.client.unselect()
    report = archive.pull(mail.account, tmp_path)
    assert report.complete
    assert (report.written, report.mailboxes["a"].moved) == (0, 3)
    assert stored(tmp_path) == mail.all()
    assert not stored(tmp_path, gone=True)["INBOX"][3:]


def test_copies_and_messages_without_an_id_stay_as_many_as_they_were(mail: Mail, tmp_path: Path) -> None:
    for _ in range(3):
        mail.client.append("INBOX", b"Message-ID: <1@example.org>\r\n\r\nsame\r\n", internal_date=datetime.now(UTC))
        mail.client.append("INBOX", b"Subject: none\r\n\r\n", internal_date=datetime.now(UTC))
    mail.client.create_mailbox("a")
    archive.pull(mail.account, tmp_path)
    assert stored(tmp_path) == mail.all()
    mail.client.select("INBOX")
    mail.client.move("1:4", "a")
    mail.client.unselect()
    assert archive.pull(mail.account, tmp_path).complete
    assert stored(tmp_path) == mail.all()


@pytest.mark.parametrize("deleted", ["keep", "mark", "delete"])
def test_what_becomes_of_deleted_mail(mail: Mail, tmp_path: Path, deleted: Any) -> None:
    mail.fill("INBOX", 5)
    archive.pull(mail.account, tmp_path)
    mail.expunge("INBOX", [1, 2])
    report = archive.pull(mail.account, tmp_path, deleted=deleted)
    assert report.complete
    assert stored(tmp_path) == mail.all()
    names = [path.name for path in (tmp_path / "INBOX/cur").iterdir()]
    assert len(names) == (3 if deleted == "delete" else 5)
    assert sum(name.endswith("T") for name in names) == (2 if deleted == "mark" else 0)
    assert report.deleted == (0 if deleted == "keep" else 2)


def test_too_many_deletions_are_held_back(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 130)
    archive.pull(mail.account, tmp_path)
    mail.expunge("INBOX", list(range(1, 121)))
    report = archive.pull(mail.account, tmp_path, deleted="delete")
    assert report.held_back is not None
    assert "120 of 130 messages" in report.held_back
    assert not report.complete
    assert len([*(tmp_path / "INBOX/cur").iterdir()]) == 130
    assert archive.pull(mail.account, tmp_path, deleted="delete", max_delete=120).deleted == 120


def test_a_source_that_is_suddenly_empty_holds_back(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 5)
    archive.pull(mail.account, tmp_path)
    mail.expunge("INBOX", [1, 2, 3, 4, 5])
    report = archive.pull(mail.account, tmp_path, deleted="delete")
    assert report.held_back is not None
    assert "empty" in report.held_back
    assert len([*(tmp_path / "INBOX/cur").iterdir()]) == 5
    mail.fill("INBOX", 1)
    assert archive.pull(mail.account, tmp_path, deleted="delete", max_delete="100%").deleted == 5


def test_a_dry_run_leaves_no_trace(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 4)
    report = archive.pull(mail.account, tmp_path / "store", dry_run=True)
    assert (report.found, report.written) == (4, 4)
    assert not (tmp_path / "store").exists()
    archive.pull(mail.account, tmp_path / "store")
    mail.fill("INBOX", 2)
    before = stored(tmp_path / "store")
    assert archive.pull(mail.account, tmp_path / "store", dry_run=True).written == 2
    assert stored(tmp_path / "store") == before


def test_one_run_at_a_time(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)

    def second(progress: archive.Progress) -> None:
        with pytest.raises(archive.StoreInUse, match=str(os.getpid())):
            archive.pull(mail.account, tmp_path)

    assert archive.pull(mail.account, tmp_path, progress=second).complete
    assert archive.pull(mail.account, tmp_path).complete


def test_limits_stop_it_and_the_next_run_goes_on(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 30)
    report = archive.pull(mail.account, tmp_path, max_octets=0)
    assert report.stopped is not None
    assert report.written == 0
    kept = stored(tmp_path).get("INBOX", [])
    assert kept == []
    report = archive.pull(mail.account, tmp_path, budget=10_000)
    assert report.stopped is not None
    assert report.go_on_at is not None
    assert not report.complete
    assert archive.pull(mail.account, tmp_path, budget=10_000).written == 0
    report = archive.pull(mail.account, tmp_path)
    assert report.complete
    assert stored(tmp_path) == mail.all()


def test_a_disk_that_is_full_amid_a_note(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any statement of the transaction may be the one, here that of a message that can't be had."""
    mail.client.multi_append("INBOX", [message(number, 3000) for number in range(6)])
    made, park = archive.SQLite.message, State.park

    def one_by_one(batches: Any, *arguments: Any) -> Iterator[Any]:
        return ([row] for rows in batches for row in rows)

    def full_from_here_on(self: State, place: archive.Place, uid: int, reason: str) -> None:
        (pages,) = self.db.execute("PRAGMA page_count").fetchone()
        self.db.execute(f"PRAGMA max_page_count = {pages}")
        try:
            park(self, place, uid, reason * 10_000)
        finally:
            assert not self.db.in_transaction
            self.db.execute("PRAGMA max_page_count = 1000000")

    with monkeypatch.context() as patched:
        patched.setattr(receiving, "gathered", one_by_one)
        patched.setattr(archive.SQLite, "message", lambda self, row: made(self, row) if row.uid != 3 else None)
        patched.setattr(State, "park", full_from_here_on)
        with pytest.raises(sqlite3.OperationalError, match="full"):
            archive.pull(mail.account, archive.SQLite(tmp_path), mailboxes=["INBOX"])
    report = archive.pull(mail.account, tmp_path, mailboxes=["INBOX"])
    assert (report.complete, report.written) == (True, 6)
    assert stored(tmp_path)["INBOX"] == mail.all()["INBOX"]


def test_a_run_writes_what_its_limit_has_room_for(mail: Mail, tmp_path: Path) -> None:
    """However little that is: each run goes on, and says what has no room alone."""
    for number in range(4):
        mail.client.append("INBOX", message(number, 1000))
    mail.client.append("INBOX", message(9, 5000))
    written = []
    for _ in range(3):
        report = archive.pull(mail.account, tmp_path, max_octets=2800, newest_first=False)
        written.append(report.written)
        assert report.stopped is not None
    assert written == [2, 2, 0]
    assert report.stopped is not None
    assert re.match(r"it would write more than 2800 octets; UID 5 of INBOX alone takes 5\d\d\d: ", report.stopped)
    assert archive.pull(mail.account, tmp_path).complete
    assert stored(tmp_path) == mail.all()


@pytest.mark.parametrize("deleted", ["keep", "mark", "delete"])
def test_a_dry_run_says_what_would_be_gone(mail: Mail, tmp_path: Path, deleted: Any) -> None:
    """As the run after it does: messages that were moved are not."""
    mail.fill("INBOX", 8)
    mail.fill("a", 2, create=True)
    archive.pull(mail.account, tmp_path)
    mail.client.select("INBOX")
    mail.client.move("1:3", "a")
    mail.client.delete_messages("4:5")
    mail.client.unselect()
    before = stored(tmp_path, gone=None)
    dry = archive.pull(mail.account, tmp_path, deleted=deleted, dry_run=True)
    assert stored(tmp_path, gone=None) == before
    real = archive.pull(mail.account, tmp_path, deleted=deleted)
    assert (dry.deleted, dry.held_back) == (real.deleted, real.held_back) == (0 if deleted == "keep" else 2, None)
    assert dry.mailboxes["a"].moved == real.mailboxes["a"].moved == 3


def test_a_dry_run_is_held_back_as_the_real_one(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    archive.pull(mail.account, tmp_path)
    mail.expunge("INBOX", [1, 2, 3])
    dry = archive.pull(mail.account, tmp_path, deleted="delete", dry_run=True)
    assert dry.held_back == archive.pull(mail.account, tmp_path, deleted="delete").held_back
    assert dry.held_back is not None
    assert len(stored(tmp_path)["INBOX"]) == 3


def test_a_dry_run_counts_what_would_be_new(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 5)
    archive.pull(mail.account, tmp_path)
    mail.expunge("INBOX", [1, 2, 3, 4, 5])
    mail.fill("INBOX", 3)
    dry = archive.pull(mail.account, tmp_path, deleted="delete", dry_run=True)
    real = archive.pull(mail.account, tmp_path, deleted="delete")
    assert (dry.deleted, dry.held_back) == (real.deleted, real.held_back) == (5, None)


@pytest.mark.parametrize("kind", ["sqlite", "maildir"])
def test_a_mailbox_that_fails_costs_no_other(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What had come of it is kept, and the others are whole."""
    for name in "abc":
        mail.fill(name, 20, create=True)
    fetch = archive.Store.fetch

    def fails(self: archive.Store, client: Any, uids: Any) -> Iterator[Any]:
        for rows in fetch(self, client, uids):
            if client.session.mailbox == "a":
                yield rows[:10]
                raise FastimapError("no more of this one")
            yield rows

    with monkeypatch.context() as patched:
        patched.setattr(archive.Store, "fetch", fails)
        for _ in range(2):
            report = archive.pull(mail.account, store_at(tmp_path, kind))
            assert report.failed == {"a": "no more of this one"}
            assert len(stored(tmp_path)["b"]) == len(stored(tmp_path)["c"]) == 20
    assert len(stored(tmp_path)["a"]) >= 10
    assert archive.pull(mail.account, tmp_path).complete
    assert stored(tmp_path) == mail.all()


def test_a_dry_run_looks_at_what_is_left_as_the_real_one(mail: Mail, tmp_path: Path) -> None:
    """A mailbox of which some messages were moved, and all others deleted, is empty."""
    mail.fill("INBOX", 8)
    mail.fill("a", 2, create=True)
    archive.pull(mail.account, tmp_path)
    mail.client.select("INBOX")
    mail.client.move("1:3", "a")
    mail.client.delete_messages("4:8")
    mail.client.unselect()
    dry = archive.pull(mail.account, tmp_path, deleted="delete", dry_run=True)
    real = archive.pull(mail.account, tmp_path, deleted="delete")
    assert (dry.deleted, dry.held_back) == (real.deleted, real.held_back)
    assert real.held_back is not None


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_order(mail: Mail, tmp_path: Path, newest_first: bool) -> None:
    """A run that is stopped after the first block has the newest messages, or the oldest."""
    mail.fill("INBOX", 300)
    seen: list[int] = []

    def progress(now: archive.Progress) -> None:
        seen.append(now.done)

    report = archive.pull(
        mail.account,
        tmp_path,
        newest_first=newest_first,
        progress=progress,
        stopping=lambda: bool(seen) and seen[-1] >= 20,
    )
    assert report.stopped is not None
    uids = [uid for uid, *_ in stored(tmp_path)["INBOX"]]
    assert 20 <= len(uids) < 300
    assert (min(uids) > 200) if newest_first else (uids == list(range(1, len(uids) + 1)))


def test_a_bandwidth_is_kept(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 10)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert signal.getsignal(signal.SIGINT) is before  # Ctrl-C is not held back meanwhile
        assert seconds <= 0.5  # nor is `stopping`

    before = signal.getsignal(signal.SIGINT)
    report = archive.pull(mail.account, tmp_path, bwlimit=1000, retry=Retry(sleep=sleep))
    assert report.complete
    assert 0 < sum(slept) <= report.octets_received / 1000
    asked = len(slept)
    slept.clear()
    mail.fill("INBOX", 10)
    options: dict[str, Any] = {"bwlimit": 1000, "retry": Retry(sleep=sleep), "stopping": lambda: len(slept) > 2}
    assert archive.pull(mail.account, tmp_path, **options).stopped == "asked to stop"
    assert len(slept) == 3 < asked


def test_wrong_arguments(mail: Mail, tmp_path: Path) -> None:
    for wrong in ({"deleted": "burn"}, {"max_delete": "many"}, {"connections": 0}, {"connections": 1.5}, {"limit": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            archive.pull(mail.account, tmp_path, **wrong)
    with pytest.raises(TypeError, match="lists of names"):
        archive.pull(mail.account, tmp_path, mailboxes="INBOX")
    with pytest.raises(ValueError, match="connections"):
        archive.pull(mail.account, tmp_path, connections="4")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Mbox is a class: .*Mbox\(directory\)"):
        archive.pull(mail.account, archive.Mbox)  # type: ignore[arg-type]
    client: Any = Client(mail.account)
    calls: list[Callable[[], object]] = [
        lambda: archive.pull(client, tmp_path),
        lambda: archive.verify(tmp_path, client),
        lambda: archive.push(tmp_path, client),
        lambda: archive.migrate(client, mail.account, state=tmp_path),
        lambda: archive.migrate(mail.account, client, state=tmp_path),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"an account is a fastimap\.Account or its URL, not Client"):
            call()
    assert not (tmp_path / ".fastimap.sqlite").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
@pytest.mark.parametrize("kind", ["sqlite", "mbox"])
def test_a_disk_that_is_full_amid_a_transaction(mail: Mail, tmp_path: Path, kind: str) -> None:
    """A database takes back all of it, what was written well before included: none of that may be noted."""
    mail.client.multi_append("INBOX", [message(number, 10_000) for number in range(1200)])
    program = (
        "import resource, sys\n"
        "from fastimap import Account, archive\n"
        "from fastimap.archive.stores import store_at\n"
        "host, port, user, password, path, kind, most = sys.argv[1:]\n"
        "if int(most):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), resource.RLIM_INFINITY))\n"
        "account = Account(host, int(port), user=user, password=password, tls=False, mechanism='LOGIN')\n"
        "print(archive.pull(account, store_at(path, kind), mailboxes=['INBOX']).complete)\n"
    )
    server = mail.server
    login = [server.host, str(server.port), mail.user, server.password]

    def run(most: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, *login, str(tmp_path), kind, str(most)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for most in (3_000_000, 6_000_000):
        assert run(most).returncode == 1
    assert run(0).stdout == "True\n"
    assert stored(tmp_path)["INBOX"] == mail.all()["INBOX"]
