"""Files of Parquet become fewer, and what is in them stays as it was, wherever that is cut short."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastimap import UIDSet, archive
from fastimap.archive import Parquet
from fastimap.archive.filesystems import Files
from fastimap.archive.shards import Manifest, manifests
from fastimap.archive.stores import parquet
from tests.archive.conftest import Mail, stored
from tests.archive.test_parquet import pulled, rows

pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")


def files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.parquet"))


def content(store: Any) -> list[dict[str, Any]]:
    """Return all rows; `changed` says where they are read from, which may be another place by now."""
    return [row | {"changed": None} for row in rows(store, expunged=True)]


@pytest.fixture
def store(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parquet:
    """Mail that came in many runs, and changed in many ways."""
    store = Parquet(tmp_path / "store", body=True)
    mail.fill("a", 2, create=True)
    for number in range(4):
        mail.fill("INBOX", 3)
        pulled(mail, store)
        mail.client.select("INBOX")
        mail.client.set_flags([1 + number, 3 * number + 2], ["\\Seen", f"$Label{number}"])
        mail.client.unselect()
        pulled(mail, store)
    mail.expunge("INBOX", [2, 3])
    mail.client.select("INBOX")
    mail.client.move([4], "a")
    mail.client.unselect()
    pulled(mail, store)
    with store.held(None, 0):  # as if a server had left it out of its answers: its file is not the only one then
        state = store.load(None)
        (place,) = (place for place in state.places() if place.name == "INBOX")
        state.begin()
        state.set_gone(place, [7])
        state.set_mark(place, None)
        state.commit()
        state.close()
    with monkeypatch.context() as patched:  # nor is it known that it is back, as where a server's dates are wrong
        patched.setattr("fastimap.archive.receiving.returned", lambda *arguments: [])
        assert pulled(mail, store).written == 1
    assert stored(tmp_path / "store") == mail.all()
    return store


def test_files_become_fewer(mail: Mail, store: Parquet, tmp_path: Path) -> None:
    before = content(store)
    counted = len(files(tmp_path))
    done = archive.compact(store)
    assert (done.files_before, done.files, done.rows_removed) == (counted, len(files(tmp_path)), 1)
    assert len(files(tmp_path)) == 3  # one of each mailbox, and one of what INBOX has no more
    assert content(store) == before
    assert stored(tmp_path / "store") == mail.all()
    assert archive.verify(tmp_path / "store").good
    assert pulled(mail, store).written == 0
    there = files(tmp_path)
    assert archive.compact(tmp_path / "store").files == 3
    assert files(tmp_path) == there
    mail.fill("INBOX", 1)
    assert pulled(mail, store).written == 1
    assert stored(tmp_path / "store") == mail.all()


def test_what_is_expunged_can_be_removed(mail: Mail, store: Parquet, tmp_path: Path) -> None:
    before = rows(store)
    gone = [row["body"] for row in rows(store, expunged=True, mailboxes=["INBOX"]) if row["expunged"]]
    assert len(gone) == 3
    assert archive.compact(store, expunged=False).rows_removed == 4
    assert [row | {"changed": None} for row in before] == content(store)
    assert len(files(tmp_path)) == 2
    assert pulled(mail, store).written == 0
    assert stored(tmp_path / "store") == mail.all()


def test_wherever_it_is_cut_short(mail: Mail, store: Parquet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put, remove = Files.put, Files.remove
    for last in itertools.count():
        mail.fill("INBOX", 2)
        pulled(mail, store)
        before = content(store)

        left = [last]

        def cut(name: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt(name)

        def put_or_not(self: Files, name: str, octets: Any, cut: Any = cut) -> None:
            cut(name)
            put(self, name, octets)

        def remove_or_not(self: Files, name: str, cut: Any = cut) -> None:
            cut(name)
            remove(self, name)

        with monkeypatch.context() as patched:
            patched.setattr(Files, "put", put_or_not)
            patched.setattr(Files, "remove", remove_or_not)
            try:
                archive.compact(store)
            except KeyboardInterrupt:
                ended = False
            else:
                ended = True
        assert content(store) == before
        if ended:
            break
        assert pulled(mail, store).written == 0
    assert last >= 4
    assert stored(tmp_path / "store") == mail.all()


def test_a_reader_that_begins_beside_it(store: Parquet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are gone that the manifests name which it has read; but where one is lost, that is said."""
    before = content(store)
    counted = len(files(tmp_path))

    def read_and_compacted(*arguments: Any) -> list[Manifest]:
        found = manifests(*arguments)
        archive.compact(store)
        return found

    with monkeypatch.context() as patched:
        patched.setattr("fastimap.archive._read.manifests", read_and_compacted)
        assert content(store) == before
    assert len(files(tmp_path)) < counted
    next(file for file in files(tmp_path) if file.parent.name == "changes").unlink()
    with pytest.raises(FileNotFoundError):
        archive.read(store)


def test_what_makes_no_sense_or_is_in_use(mail: Mail, store: Parquet, tmp_path: Path) -> None:
    with pytest.raises(archive.StoreError, match="is no Parquet store"):
        archive.compact(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="list of names"):
        archive.compact(store, accounts="ann")
    (account,) = {row["account"] for row in rows(store)}
    for held in (store, store.shard(account, "INBOX")):
        with held.held(account, 0), pytest.raises(archive.StoreInUse):
            archive.compact(store)
    counted = len(files(tmp_path))
    with pytest.raises(ValueError, match="the store has nothing of nobody"):
        archive.compact(store, accounts=[account, "nobody"])
    assert len(files(tmp_path)) == counted


def test_nothing_is_compacted_while_all_is_read(mail: Mail, store: Parquet, tmp_path: Path) -> None:
    """Else the files of before would be missing."""
    for lock in (tmp_path / "store" / "_fastimap").glob("*/.fastimap.lock"):
        lock.unlink()  # as where workers have pulled it in parts, or a copy is without
    tried: list[str] = []

    def meanwhile() -> bool:
        if not tried:
            with pytest.raises(archive.StoreInUse) as raised:
                archive.compact(store)
            tried.append(str(raised.value))
        return False

    assert archive.verify(store, stopping=meanwhile).good
    assert len(tried) == 1
    assert archive.compact(store).files_before > 0


def test_who_reads_all_waits_no_longer_for_many_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Parquet(tmp_path)
    for name in ("ann", "bob", "eve"):
        with store.shard(name).held(name, 0):
            pass
    now = 1000.0
    waits: list[float | None] = []

    @contextlib.contextmanager
    def locked(root: Path, wait: float | None) -> Iterator[None]:
        nonlocal now
        waits.append(wait)
        now += 4
        yield

    monkeypatch.setattr(parquet, "locked", locked)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with store.held(None, 10):
        assert waits == [10, 6, 2, 0]
    waits.clear()
    with store.held(None, None):
        assert waits == [None] * 4


def test_files_of_runs_that_were_killed_are_removed(mail: Mail, store: Parquet, tmp_path: Path) -> None:
    """A run that dies between its files and its manifest leaves files that nobody names."""
    before = content(store)
    account = before[0]["account"]
    archive.compact(store)
    named = files(tmp_path)
    changes = [file for file in named if file.parent.name == "changes"]
    messages = [file for file in named if file not in changes]
    assert changes
    assert messages
    orphans = [shutil.copy(file, file.with_name("0" * 64 + ".parquet")) for file in (changes[0], messages[0])]
    manifest = next(changes[0].parent.parent.glob("*.json"))
    parts = [file.with_name(f".{file.name}.{'f' * 32}.part") for file in (*changes, messages[0], manifest)]
    for part in parts:
        part.write_bytes(b"half of it")
    with store.shard(account, "INBOX", UIDSet([range(1000, 2000)])).held(account, 0):  # it may be yet to note them
        assert archive.compact(store).orphans_removed == 0
    assert files(tmp_path) == sorted([*named, *orphans])
    mine = Path(shutil.copy(messages[0], messages[0].with_name("mine.parquet")))
    assert archive.compact(store).orphans_removed == 2 + len(parts)
    assert files(tmp_path) == sorted([*named, mine])
    assert not any(part.exists() for part in parts)
    mine.unlink()
    assert content(store) == before


def test_where_nothing_locks_they_are_removed_after_a_day(mail: Mail, tmp_path: Path) -> None:
    pa_fs = pytest.importorskip("pyarrow.fs")
    filesystem = pa_fs.SubTreeFileSystem(str(tmp_path), pa_fs.LocalFileSystem())
    store = Parquet("mail", filesystem=filesystem)
    mail.fill("INBOX", 2)
    pulled(mail, store)
    named = files(tmp_path)
    new, old = (shutil.copy(named[0], named[0].with_name(digit * 64 + ".parquet")) for digit in "01")
    yesterday = time.time() - 90_000
    os.utime(old, (yesterday, yesterday))
    os.utime(named[0], (yesterday, yesterday))
    assert archive.compact(store).orphans_removed == 1
    assert files(tmp_path) == sorted([*named, new])
    assert len(content(store)) == 2
