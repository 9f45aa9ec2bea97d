"""Courier gives a mailbox that no client has opened for writing another UIDVALIDITY each second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, archive
from fastimap.archive.compare import compare
from fastimap.archive.stores import FORMATS, store_at
from tests.archive.conftest import instead_of_compare, message
from tests.servers.courier import Courier

NEVER_OPENED = ["INBOX.Drafts", "INBOX.Trash"]
PATIENCE = 60  # seconds

Next = Callable[[], None]


@pytest.fixture
def account(courier_5_0: Courier) -> Account:
    """A new user with a message in INBOX; nobody has opened the other mailboxes."""
    server = courier_5_0
    user: dict[str, Any] = {"user": server.new_user(), "password": server.password}
    made = Account(server.host, server.port, **user, tls=False, mechanism="LOGIN")
    with Client(made) as client:
        client.append("INBOX", message(1))
    return made


@contextmanager
def made_up(account: Account) -> Iterator[Next]:
    """Yield what waits until the server makes up another UIDVALIDITY than the one that it has now."""
    with Client(account) as client:

        def now() -> int | None:
            return client.mailbox_status("INBOX.Trash", "UIDVALIDITY").uid_validity

        def later() -> None:
            before, end = now(), time.monotonic() + PATIENCE
            while now() == before:
                assert time.monotonic() < end
                time.sleep(0.05)

        yield later


@pytest.mark.parametrize("kind", sorted({*FORMATS} - {"jsonl.zst"}))
def test_a_mailbox_that_was_never_opened(account: Account, tmp_path: Path, kind: str) -> None:
    """Runs of which each sees another UIDVALIDITY leave nothing behind, and have nothing to say."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    with made_up(account) as later:
        for _ in range(4):
            report = archive.pull(account, store_at(tmp_path, kind), budget=10**6)
            assert (report.complete, report.found) == (True, 1)
            assert [note for each in report.mailboxes.values() for note in each.notes] == []
            later()
    store = store_at(tmp_path, kind)
    state = store.load(None)
    assert [place.name for place in state.places(former=True)] == ["INBOX", *NEVER_OPENED]
    state.close()
    if kind == "parquet":
        assert len([*tmp_path.glob("_fastimap/*/*.json")]) == 3


def test_another_one_after_it_was_looked_at(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty mailbox has nothing that could be mistaken for something else."""
    with made_up(account) as later:

        def then_later(*arguments: Any) -> Any:
            found = compare(*arguments)
            arguments[0].select("INBOX", read_only=True)  # as to look at another mailbox
            later()
            return found

        instead_of_compare(monkeypatch, then_later)
        report = archive.pull(account, tmp_path)
    assert (report.failed, report.complete) == ({}, True)


def test_mail_in_a_mailbox_that_was_never_opened(account: Account, courier_5_0: Courier, tmp_path: Path) -> None:
    """It is recognised each time, and of what the mailbox was before one remains at most."""
    home = courier_5_0.directory / "mail" / (account.user or "") / "Maildir" / ".Drafts" / "new"
    (home / "1700000000.1.host").write_bytes(message(2).replace(b"\r\n", b"\n"))
    (home / "1700000000.1.host").chmod(0o666)
    written = []
    with made_up(account) as later:
        for _ in range(4):
            report = archive.pull(account, tmp_path)
            assert (report.complete, report.found) == (True, 2)
            written.append(report.written)
            later()
    assert written == [2, 0, 0, 0]
    state = store_at(tmp_path).load(None)
    places = [place for place in state.places(former=True) if place.name == "INBOX.Drafts"]
    assert sorted(map(state.count, places)) == [0, 1]
    state.close()
