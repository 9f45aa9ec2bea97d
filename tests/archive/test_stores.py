"""Every store: what goes in comes out, other programs read it, and a crash leaves nothing that is not known."""

from __future__ import annotations

import json
import mailbox
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, UIDSet, archive
from fastimap.archive.names import file_key
from fastimap.archive.state import STATE_FILE, State
from fastimap.archive.stores import FORMATS, appending, kind_of, mbox, store_at
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, message, stored

KINDS = sorted(FORMATS.keys() - {"parquet"})  # which has tests of its own
ODD = [
    b"",
    b"\r\n",
    b"no line end",
    b"From here\r\n>From there\r\nFrom \r\n\r\nFrom \x00\xff\xfe end",
    b"Subject: \xe9\r\n\r\nbare\nline\rends\n\n",
    b"Subject: x\r\n\r\n" + bytes(range(256)) * 40,
    b"Subject: quoted\r\n\r\n" + b">From \r\n" * 3000,
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_octets_come_back(tmp_path: Path, kind: str, real_messages: list[bytes]) -> None:
    store = store_at(tmp_path / "s", kind)
    store.make()
    state = archive.State(store.state_path, kind)
    store.open(state)
    place = state.place("a@h", "INBOX", 1, delimiter="/", mailbox_id=None)
    store.begin(place, UIDSet())
    octets = [*ODD, *real_messages[:150]]
    messages = [
        archive.Message(uid, each, 1_700_000_000 + uid, "\\Seen", sha256(each).digest())
        for uid, each in enumerate(octets, 1)
    ]
    places = store.write(place, messages)
    state.insert(
        (place.id, uid, len(each), date, flags, digest, where, None)
        for (uid, each, date, flags, digest, *_), where in zip(messages, places, strict=True)
    )
    store.sync()
    state.commit()
    store.committed()
    assert [store.read(place, entry) for entry in state.entries(place)] == octets
    store.close()
    state.close()


@pytest.mark.parametrize("places", [[None] * 250, [*range(249), None]])
def test_many_rows_are_noted_together(places: list[int | None]) -> None:
    with State(None, "maildir") as state:
        place = state.place("a@h", "INBOX", 1, delimiter="/", mailbox_id=None)
        rows: list[tuple[Any, ...]] = [
            (uid, uid + 1000, None, f"f{uid}", bytes([uid]) * 32, where, None) for uid, where in enumerate(places, 1)
        ]
        state.insert((place.id, *row) for row in rows)
        rows[104] = (105, 5, 1_700_000_000, "", b"\0" * 32, 7, "{}")  # in the place of the one before
        state.insert([(place.id, *rows[104])])
        state.insert([])
        assert [tuple(entry) for entry in state.entries(place)] == [(*row, 0) for row in rows]


def test_what_a_run_left_unfinished_in_a_maildir_is_taken_out(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    archive.pull(mail.account, archive.Maildir(tmp_path))
    inbox = tmp_path / "INBOX"
    key = next((inbox / "cur").iterdir()).name.split(".")[1]
    # Under the one name that there is now; under one for each message, as there were; and what is another program's.
    for name in (f"{key}.fastimap", f"2.{key}.fastimap,S=5,U=2", "1700000000.M1P1.host"):
        (inbox / "tmp" / name).write_bytes(b"Subject: half a message, and longer than any that is to come\r\n" * 100)
    mail.fill("INBOX", 2)
    assert archive.pull(mail.account, archive.Maildir(tmp_path)).complete
    assert [path.name for path in (inbox / "tmp").iterdir()] == ["1700000000.M1P1.host"]
    assert len(list((inbox / "cur").iterdir())) == 3
    assert archive.verify(tmp_path, mail.account, octets=True).good


def test_what_is_unfinished_in_a_maildir_is_known_after_its_mailbox_was_renamed(tmp_path: Path) -> None:
    store = archive.Maildir(tmp_path)
    with State(None, "maildir") as state:
        store.open(state)
        place = state.place("a@h", "before", 1, delimiter="/", mailbox_id=None)
        store.begin(place, UIDSet())
        (tmp_path / "before" / "tmp" / f"{place.key}.fastimap").touch()
        path, key = store.rename(place, "after", "after")
        assert [each.name for each in tmp_path.glob("*/tmp/*")] == [f"{key}.fastimap"]
        state.rename(place, "after", path, key)
        store.begin(place, UIDSet())
        assert [*tmp_path.glob("*/tmp/*")] == []
        store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pull_into_every_store(mail: Mail, tmp_path: Path, kind: str) -> None:
    root = tmp_path / "s"
    mail.fill("INBOX", 12, flags=("\\Seen",))
    mail.fill("a/b", 4, create=True)
    assert archive.pull(mail.account, store_at(root, kind)).complete
    assert stored(root) == mail.all()
    mail.fill("INBOX", 2)
    mail.client.select("INBOX")
    mail.client.add_flags(3, "\\Flagged")
    mail.client.move("5:7", "a/b")
    mail.client.unselect()
    mail.expunge("INBOX", [1])
    mail.client.rename_mailbox("a/b", "c")
    report = archive.pull(mail.account, store_at(root), deleted="mark")
    assert report.complete
    assert report.written == 2
    assert stored(root) == mail.all()
    assert archive.pull(mail.account, store_at(root)).written == 0
    assert archive.verify(root, mail.account, octets=True).good


def test_what_takes_nothing_out_refuses_to(mail: Mail, tmp_path: Path) -> None:
    for kind in ("mbox", "jsonl"):
        with pytest.raises(ValueError, match="nothing is taken out"):
            archive.pull(mail.account, store_at(tmp_path, kind), deleted="delete")


def test_a_store_has_one_format(mail: Mail, tmp_path: Path) -> None:
    archive.pull(mail.account, archive.Mbox(tmp_path))
    with pytest.raises(archive.StoreError, match="of kind mbox"):
        archive.pull(mail.account, archive.Maildir(tmp_path))


def test_mbox_by_the_standard_library(mail: Mail, tmp_path: Path) -> None:
    made = mail.fill("INBOX", 5)
    mail.client.append("INBOX", b"Subject: x\r\n\r\nFrom me\r\n>From you\r\n")
    archive.pull(mail.account, archive.Mbox(tmp_path))
    box = mailbox.mbox(tmp_path / "INBOX.mbox")
    assert len(box) == 6
    assert [message["Subject"] for message in box][:5] == [f"message {number}" for number in range(1, 6)]
    assert made[0] in (tmp_path / "INBOX.mbox").read_bytes()
    box.close()


@pytest.mark.parametrize("way", ["dot", "fcntl"])
def test_a_mbox_that_another_program_has_locked(
    mail: Mail, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mbox, "_PATIENCE", 0.2)
    made = mail.fill("INBOX", 2)
    archive.pull(mail.account, archive.Mbox(tmp_path))
    mail.fill("INBOX", 1)
    file = tmp_path / "INBOX.mbox"
    if way == "dot":
        program = "import sys; open(sys.argv[1] + '.lock', 'x').write(''); print(flush=True); sys.stdin.read()"
    else:
        program = (
            "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); "
            "print(flush=True); sys.stdin.read()"
        )
    with subprocess.Popen(
        [sys.executable, "-c", program, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(archive.StoreError, match="locked"):
            archive.pull(mail.account, archive.Mbox(tmp_path))
        assert file.read_bytes().count(b"\nSubject: ") == len(made)
    file.with_name("INBOX.mbox.lock").unlink(missing_ok=True)
    assert archive.pull(mail.account, archive.Mbox(tmp_path)).written == 1
    assert stored(tmp_path) == mail.all()


@pytest.mark.slow
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("call", ["open", "write", "close", "link", "unlink"])
def test_a_lock_of_a_run_that_was_killed_is_none(
    tmp_path: Path, call: str, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was about to do; where there are no links it may leave a lock that does not say whose it is."""
    monkeypatch.setattr(mbox, "_PATIENCE", 0.0)
    program = (
        "import os, sys; from pathlib import Path; from fastimap.archive.stores import mbox\n"
        "def die(*arguments, **more): os._exit(9)\n"
        f"os.{call} = die\n"
        "with mbox._dot_lock(Path(sys.argv[1])): os._exit(9)"
    )

    def no_link(*arguments: Any) -> None:
        raise PermissionError

    assert subprocess.run([sys.executable, "-c", program, tmp_path / "a.mbox"], check=False).returncode == 9
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    with mbox._dot_lock(tmp_path / "a.mbox"):
        assert (tmp_path / "a.mbox.lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(archive.StoreError, match="locked"), mbox._dot_lock(tmp_path / "a.mbox"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_json_lines_fold(mail: Mail, tmp_path: Path) -> None:
    made = mail.fill("INBOX", 3)
    mail.client.append("INBOX", b"Subject: \xff\r\n\r\n", internal_date=datetime.now(UTC))
    archive.pull(mail.account, archive.JSONLines(tmp_path))
    mail.client.select("INBOX")
    mail.client.add_flags(2, "\\Flagged")
    mail.client.unselect()
    mail.expunge("INBOX", [1])
    archive.pull(mail.account, archive.JSONLines(tmp_path), deleted="mark")
    lines = [json.loads(line) for line in (tmp_path / "INBOX.jsonl").read_text().splitlines()]
    assert [line.get("change") for line in lines] == [None, None, None, None, "flags", "deleted"]
    folded = {line["uid"]: line for line in archive.read_jsonlines(tmp_path / "INBOX.jsonl")}
    assert folded[2]["flags"] == ["\\Flagged"]
    assert folded[1]["deleted"]
    assert folded[3]["message"].encode() == made[2]
    assert "message_base64" in folded[4]


def test_sqlite_by_itself(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    mail.client.append("INBOX", "Subject: Grüße\r\n\r\nder Zaunkönig singt\r\n".encode())
    archive.pull(mail.account, archive.SQLite(tmp_path / "mail.sqlite"))
    database = sqlite3.connect(tmp_path / "mail.sqlite")
    found = database.execute(
        "SELECT mailbox, uid FROM words JOIN mail ON mail.number = words.rowid WHERE words MATCH 'zaunkönig'"
    ).fetchall()
    assert found == [("INBOX", 4)]
    database.close()


@pytest.mark.parametrize("kind", ["mbox", "jsonl"])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_tail_is_cut_only_if_it_is_ours(
    mail: Mail, tmp_path: Path, kind: str, part: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies while it appends; after that another program may have delivered mail into the file."""
    mail.fill("INBOX", 5)
    archive.pull(mail.account, store_at(tmp_path, kind))
    mail.fill("INBOX", 5)
    process = os.fork()
    if not process:
        write = os.write

        def dying(file: int, octets: Any) -> int:
            if os.readlink(f"/proc/self/fd/{file}").endswith((".mbox", ".jsonl")):
                write(file, octets[: int(part * len(octets))])
                os._exit(9)
            return write(file, octets)

        appending.os.write = dying  # type: ignore[attr-defined]
        try:
            archive.pull(mail.account, store_at(tmp_path, kind))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    file = next(path for path in tmp_path.iterdir() if path.name.startswith("INBOX") and path.suffix != ".lock")
    torn = file.read_bytes()
    with file.open("ab") as other:
        other.write(b"From another program\n\n")
    with pytest.raises(archive.StoreError, match=r"refused|another program"):
        archive.pull(mail.account, store_at(tmp_path, kind))
    assert file.read_bytes() == torn + b"From another program\n\n"
    file.write_bytes(torn)
    report = archive.pull(mail.account, store_at(tmp_path))
    assert (report.complete, report.written) == (True, 5)
    assert stored(tmp_path) == mail.all()


def test_a_store_whose_run_died_as_it_began_is_none_yet(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).touch()
    assert kind_of(tmp_path) is None


def test_a_commit_that_was_cut_short_is_taken_back(tmp_path: Path) -> None:
    State(tmp_path / STATE_FILE, "maildir").close()
    died = tmp_path / "died"
    died.mkdir()
    writing = sqlite3.connect(tmp_path / STATE_FILE, isolation_level=None)
    writing.execute("PRAGMA cache_size = 1")  # pages are written before the commit, the old ones to the journal
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("UPDATE about SET value = 'mbox' WHERE name = 'kind'")
    writing.execute("CREATE TABLE more (octets)")
    writing.executemany("INSERT INTO more VALUES (?)", [(bytes(4000),)] * 100)
    for name in (STATE_FILE, f"{STATE_FILE}-journal"):
        shutil.copy(tmp_path / name, died / name)
    writing.close()
    assert (died / f"{STATE_FILE}-journal").stat().st_size
    assert kind_of(died) == "maildir"
    State(died / STATE_FILE, "maildir", read_only=True).close()


@pytest.mark.parametrize("kind", ["maildir", "eml", "mbox", "jsonl"])
def test_directories_are_the_owners_alone(mail: Mail, tmp_path: Path, kind: str) -> None:
    """Names of mailboxes say something, too."""
    mail.fill("clients/secret/project", 1, create=True)
    before = os.umask(0o022)
    try:
        archive.pull(mail.account, store_at(tmp_path, kind))
    finally:
        os.umask(before)
    assert [path for path in tmp_path.rglob("*") if path.is_dir() and path.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("kind", ["mbox", "jsonl"])
def test_a_journal_that_has_a_long_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """What was appended and not noted is known after a crash, however long the path is in JSON."""
    name = "/".join([chr(0x430 + level) * 70 for level in range(12)])
    sync = appending.AppendingStore.sync

    def die(self: appending.AppendingStore) -> None:
        writes = bool(self._pending)
        sync(self)
        if writes:
            raise KeyboardInterrupt

    with IMAPServer(users={"me": "secret"}) as server:
        account = Account(server.host, server.port, user="me", password="secret", tls=False, mechanism="PLAIN")
        server.create(name)
        server.append(name, message(1))
        with monkeypatch.context() as patched:
            patched.setattr(appending.AppendingStore, "sync", die)
            with pytest.raises(KeyboardInterrupt):
                archive.pull(account, store_at(tmp_path, kind))
        (file,) = tmp_path.rglob(f"*.{kind}")
        size = file.stat().st_size
        assert size
        report = archive.pull(account, store_at(tmp_path, kind))
        assert (report.complete, report.written, file.stat().st_size) == (True, 1, size)


@pytest.mark.parametrize("what", ["flags", "move", "mark"])
@pytest.mark.parametrize("kind", ["mbox", "jsonl"])
def test_a_disk_that_is_full_when_a_change_is_noted(
    mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, what: str
) -> None:
    """What was appended by then is taken back by the next run, which has room again."""
    mail.fill("INBOX", 4)
    mail.fill("Work", 1, create=True)
    options: Any = {"deleted": "mark", "max_delete": "100%"}
    assert archive.pull(mail.account, store_at(tmp_path, kind)).complete
    mail.client.select("INBOX")
    if what == "flags":
        mail.client.add_flags("1:3", "\\Seen")
    elif what == "move":
        mail.client.move("1:2", "Work")
    else:
        mail.client.delete_messages("1:2")
    mail.client.unselect()
    appended: list[str] = []
    sync, commit = appending.AppendingStore.sync, State.commit

    def noting(self: appending.AppendingStore) -> None:
        appended.extend(self._pending)
        sync(self)

    def full(self: State) -> None:
        if appended and self.db.in_transaction:
            appended.clear()
            self.db.execute("ROLLBACK")  # as SQLite does by itself
            raise sqlite3.OperationalError("database or disk is full")
        commit(self)

    with monkeypatch.context() as patched:
        patched.setattr(appending.AppendingStore, "sync", noting)
        patched.setattr(State, "commit", full)
        if kind == "mbox" and what != "move":  # nothing of it is in the file
            assert archive.pull(mail.account, tmp_path, **options).complete
        else:
            with pytest.raises(sqlite3.OperationalError, match="full"):
                archive.pull(mail.account, tmp_path, **options)
    assert archive.pull(mail.account, tmp_path, **options).complete
    assert stored(tmp_path) == mail.all()
    assert archive.verify(tmp_path, mail.account).good


@pytest.mark.parametrize("suffix", ["mbox", "mbox.lock", "MBOX", "jsonl", "jsonl.zst", "eml"])
def test_a_mailbox_whose_directory_would_be_another_s_file(tmp_path: Path, suffix: str) -> None:
    names = ["a", f"a.{suffix}/b", f"a.{suffix}", "z"]
    if suffix == "eml":  # for which the server has to know what the account is called in the store
        names[1] = f"a/1.{file_key('me@127.0.0.1', 'a', 2)}.eml/b"
    with IMAPServer(users={"me": "secret"}) as server:
        account = Account("127.0.0.1", server.port, user="me", password="secret", tls=False, mechanism="PLAIN")
        for name in names:
            server.create(name)
        store = store_at(tmp_path, suffix.lower().removesuffix(".lock"))
        for number in range(2):
            for name in names:
                server.append(name, message(number))
            assert archive.pull(account, store).complete
    assert {name: len(messages) for name, messages in stored(tmp_path).items() if messages} == dict.fromkeys(names, 2)
    assert archive.verify(tmp_path).good
