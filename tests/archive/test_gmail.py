"""Gmail: each message once, with its labels; known again by its own number. An odd server stands in for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastimap import Account, archive
from fastimap.archive.stores import store_at
from fastimap.testing import IMAPServer
from tests.archive.conftest import message
from tests.support.odd import odd

LABELS = {1: rb'"\\Inbox"', 2: b"Work", 3: b""}


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer(users={"me": "secret"}) as made:
        for name in ("Everything", "Bin", "Work"):
            made.create(name)
        for number in (1, 2, 3):
            made.append("Everything", message(number))
        made.append("INBOX", message(1))
        made.append("Work", message(2))
        made.append("Bin", message(4))
        yield made


@pytest.fixture
def account(server: IMAPServer) -> Iterator[Account]:
    """Gmail's lines: its capability, its attributes, its data items."""

    def says(line: bytes) -> bytes:
        line = line.replace(b" IDLE", b" IDLE X-GM-EXT-1")
        line = re.sub(rb'^(\* LIST \()([^)]*\) "/" "?Everything)', rb"\1\\All \2", line)
        line = re.sub(rb'^(\* LIST \()([^)]*\) "/" "?Bin)', rb"\1\\Trash \2", line)
        if b" FETCH (" in line and (found := re.search(rb"UID (\d+)", line)):
            uid = int(found[1])
            about = b"X-GM-MSGID %d X-GM-LABELS (%b) " % (1000 + uid, LABELS.get(uid, b""))
            line = line.replace(b" FETCH (", b" FETCH (" + about)
        return line

    def hears(line: bytes) -> bytes:
        return line.replace(b" X-GM-MSGID", b"").replace(b" X-GM-LABELS", b"")

    with odd(server, says=says, hears=hears) as port:
        yield Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")


def extras(root: Path) -> dict[int, tuple[list[str], str]]:
    """Return labels and Gmail's number, of the messages of All Mail."""
    store = store_at(root)
    state = archive.State(store.state_path, store.kind)
    try:
        (place,) = (place for place in state.places() if place.name == "Everything")
        read = {entry.uid: json.loads(entry.extra or "{}") for entry in state.entries(place)}
        return {uid: (extra["labels"], extra["gmail_id"]) for uid, extra in read.items()}
    finally:
        state.close()


@pytest.mark.slow
def test_each_message_once_with_its_labels(account: Account, tmp_path: Path) -> None:
    report = archive.pull(account, tmp_path)
    assert report.complete
    assert sorted(report.mailboxes) == ["Bin", "Everything"]
    assert sorted(report.excluded) == ["INBOX", "Work"]
    assert report.written == 4
    assert extras(tmp_path) == {1: (["\\Inbox"], "1001"), 2: (["Work"], "1002"), 3: ([], "1003")}


@pytest.mark.slow
def test_labels_are_verified(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.pull(account, tmp_path)
    assert archive.verify(tmp_path, account).differences == []
    monkeypatch.setitem(LABELS, 2, b"")
    monkeypatch.setitem(LABELS, 3, b"Work")
    found = archive.verify(tmp_path, account, repair=True)
    assert [(each.mailbox, each.uid, each.what, each.repaired) for each in found.differences] == [
        ("Everything", 2, "labels", True),
        ("Everything", 3, "labels", True),
    ]
    assert (found.good, found.not_in_store) == (True, [])
    assert extras(tmp_path) == {1: (["\\Inbox"], "1001"), 2: ([], "1002"), 3: (["Work"], "1003")}
    assert archive.verify(tmp_path, account).differences == []


@pytest.mark.slow
def test_labels_follow(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.pull(account, tmp_path)
    monkeypatch.setitem(LABELS, 3, b'"Two words" Work')
    report = archive.pull(account, tmp_path)
    assert report.flags == 1
    assert report.written == 0
    assert extras(tmp_path)[3] == (["Two words", "Work"], "1003")


def test_a_label_may_be_pulled_by_name(account: Account, tmp_path: Path) -> None:
    report = archive.pull(account, tmp_path, mailboxes=["Work"])
    assert report.complete
    assert report.written == 1


@pytest.mark.slow
def test_without_all_mail_labels_are_mailboxes(account: Account, tmp_path: Path) -> None:
    report = archive.pull(account, tmp_path, exclude=["\\All"])
    assert report.excluded == {"Everything": "exclude"}
    assert {name: each.written for name, each in report.mailboxes.items()} == {"INBOX": 1, "Bin": 1, "Work": 1}
    assert (report.complete, report.notes) == (True, [])


@pytest.mark.slow
def test_all_mail_that_is_hidden_is_said(server: IMAPServer, tmp_path: Path) -> None:
    def says(line: bytes) -> bytes:
        return b"" if b"Everything" in line else line.replace(b" IDLE", b" IDLE X-GM-EXT-1")

    def hears(line: bytes) -> bytes:
        return re.sub(rb" X-GM-(MSGID|LABELS)", b"", line)

    with odd(server, says=says, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        report = archive.pull(account, tmp_path)
    assert sorted(report.mailboxes) == ["Bin", "INBOX", "Work"]
    assert "messages without a label are not there" in report.notes[0]


@pytest.mark.slow
def test_what_is_excluded_and_pulled_all_the_same_is_said(account: Account, tmp_path: Path) -> None:
    report = archive.pull(account, tmp_path, exclude=["Work", "Spam"])
    assert report.written == 4
    assert report.notes == [
        "exclude: Work is a label: its messages are in All Mail, and are pulled from there",
        "exclude: there is no mailbox Spam",
    ]


@pytest.mark.slow
def test_labels_that_the_server_leaves_out_are_kept(server: IMAPServer, tmp_path: Path) -> None:
    leaves_out: list[bool] = []

    def says(line: bytes) -> bytes:
        line = line.replace(b" IDLE", b" IDLE X-GM-EXT-1")
        if b" FETCH (" in line and (found := re.search(rb"UID (\d+)", line)):
            labels = b"" if leaves_out else b"X-GM-LABELS (Work) "
            line = line.replace(b" FETCH (", b" FETCH (X-GM-MSGID %d %b" % (1000 + int(found[1]), labels))
        return re.sub(rb'^(\* LIST \()([^)]*\) "/" "?Everything)', rb"\1\\All \2", line)

    def hears(line: bytes) -> bytes:
        return re.sub(rb" X-GM-(MSGID|LABELS)", b"", line)

    with odd(server, says=says, hears=hears) as port:
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        archive.pull(account, tmp_path)
        leaves_out.append(True)
        server.set_flags("Everything", 2, ["\\Seen"])
        assert archive.pull(account, tmp_path).flags == 1
    assert extras(tmp_path) == {uid: (["Work"], str(1000 + uid)) for uid in (1, 2, 3)}
