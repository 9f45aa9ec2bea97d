"""Flags that change by the thousand follow, whichever way they are found, and whatever readers did with the names."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fastimap import archive
from fastimap.archive.stores import store_at
from tests.archive.conftest import Mail, stored
from tests.archive.test_pull import without

__all__ = ["without"]

MANY = 1280  # more than are changed together


def many(mail: Mail) -> None:
    mail.fill("INBOX", 20)
    mail.client.select("INBOX")
    for _ in range(6):
        mail.client.copy("1:*", "INBOX")
    mail.client.unselect()


@pytest.mark.parametrize("kind", ["maildir", "sqlite"])
@pytest.mark.parametrize("hidden", [(), ("QRESYNC",), ("QRESYNC", "CONDSTORE")], ids=str)
def test_flags_of_all_change(mail: Mail, tmp_path: Path, hidden: tuple[str, ...], kind: str, without: Any) -> None:
    without(*hidden)
    many(mail)
    archive.pull(mail.account, store_at(tmp_path, kind))
    mail.client.select("INBOX")
    mail.client.set_flags("1:*", ["\\Seen", "$Junk"])
    mail.client.set_flags("100:1099", ["\\Flagged"])
    mail.client.unselect()
    report = archive.pull(mail.account, store_at(tmp_path, kind))
    assert (report.complete, report.written, report.flags) == (True, 0, MANY)
    assert stored(tmp_path) == mail.all()
    assert archive.pull(mail.account, store_at(tmp_path, kind)).flags == 0
    if kind == "maildir":
        letters = Counter(path.name.rpartition(",")[2] for path in (tmp_path / "INBOX/cur").iterdir())
        assert letters == {"F": 1000, "S": MANY - 1000}


@pytest.mark.parametrize("kind", ["maildir", "jsonl", "sqlite"])
@pytest.mark.parametrize("hidden", [(), ("QRESYNC", "CONDSTORE")], ids=str)
@pytest.mark.parametrize(("first", "then"), [((), ("\\Seen",)), (("\\Seen", "$Junk"), ())], ids=["set", "taken"])
def test_flags_that_a_run_died_of_and_that_are_back_at_the_server(
    mail: Mail,
    tmp_path: Path,
    hidden: tuple[str, ...],
    kind: str,
    first: Any,
    then: Any,
    without: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store has a change, the run died before that was noted, and the change was taken back."""
    without(*hidden)
    mail.fill("INBOX", 3, flags=first)
    archive.pull(mail.account, store_at(tmp_path, kind))
    mail.client.select("INBOX")
    mail.client.set_flags(2, then)
    store = store_at(tmp_path, kind)
    change = store.set_flags

    def die(*args: Any) -> None:
        change(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "set_flags", die)
    with pytest.raises(KeyboardInterrupt):
        archive.pull(mail.account, store)
    mail.client.set_flags(2, first)
    mail.client.unselect()
    report = archive.pull(mail.account, store_at(tmp_path, kind))
    assert (report.complete, report.written) == (True, 0)
    assert stored(tmp_path) == mail.all()
    assert archive.pull(mail.account, store_at(tmp_path, kind)).flags == 0
    if kind == "maildir":
        letters = [path.name.rpartition(",")[2] for path in (tmp_path / "INBOX/cur").iterdir()]
        assert letters == ["S" if first else ""] * 3


@pytest.mark.parametrize("taken_out", [0, 600])
def test_a_directory_is_not_listed_for_each(
    mail: Mail, tmp_path: Path, taken_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader has renamed all files, or removed some: looking for each in the whole directory would take hours."""
    many(mail)
    archive.pull(mail.account, tmp_path)
    cur = tmp_path / "INBOX/cur"
    for number, path in enumerate(sorted(cur.iterdir())):
        if number < taken_out:
            path.unlink()
        else:
            path.rename(f"{path}R")
    mail.client.select("INBOX")
    mail.client.set_flags("1:*", ["\\Seen"])
    mail.client.unselect()
    listed: list[Any] = []
    listdir = os.listdir

    def noting(path: Any) -> list[str]:
        listed.append(path)
        return listdir(path)

    monkeypatch.setattr("os.listdir", noting)
    assert archive.pull(mail.account, tmp_path).flags == MANY
    assert len(listed) <= 8  # two directories, twice, for each thousand that are changed together
    assert Counter(path.name.rpartition(",")[2] for path in cur.iterdir()) == {"S": MANY - taken_out}


def test_flags_of_all_are_one_file_of_changes(mail: Mail, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    many(mail)
    archive.pull(mail.account, archive.Parquet(tmp_path))
    mail.client.select("INBOX")
    mail.client.set_flags("1:*", ["\\Seen"])
    mail.client.unselect()
    assert archive.pull(mail.account, archive.Parquet(tmp_path)).flags == MANY
    assert len([*tmp_path.rglob("changes/*.parquet")]) == 1
    assert archive.read(tmp_path).to_table(columns=["flags"])["flags"].to_pylist() == [["\\Seen"]] * MANY
