"""Each row of docs/coming-from-imapsync.md: between two accounts of a Dovecot, with what imapsync's option stands for.

imapsync itself is in no Debian, so what it does is here as its documentation has it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fastimap import Account, Client
from tests.servers.dovecot import Dovecot
from tests.support import PROJECT

PAGE = (PROJECT / "docs" / "coming-from-imapsync.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `(.+)` \| `(.+?)` \|$", PAGE, re.MULTILINE))
OLD, NEW = datetime(2025, 6, 1, 12, tzinfo=UTC), datetime(2026, 6, 1, 12, tzinfo=UTC)

Held = dict[str, set[tuple[bytes, bool]]]
"""By mailbox, the messages' subjects, and whether they are seen."""

# Mailbox, subject, date, octets of the text.
MAIL = [
    ("INBOX", "old", OLD, 100),
    ("INBOX", "large", NEW, 20_000),
    ("Work", "work", NEW, 100),
    ("Sent", "sent", NEW, 100),
    ("Trash", "trash", NEW, 100),
]
ALL: Held = {
    "INBOX": {(b"old", False), (b"large", False)},
    "Work": {(b"work", False)},
    "Sent": {(b"sent", False)},
    "Trash": {(b"trash", False)},
}


def only(*names: str) -> Held:
    return {name: ALL[name] for name in names}


# What is at the destination after the first run.
EXPECTED: dict[str, Held] = {
    "--dry": {},
    "--folder Work": only("Work"),
    "--folder Work --folder Sent": only("Work", "Sent"),
    '--exclude "^Trash$"': only("INBOX", "Work", "Sent"),
    '--f1f2 "Work=Old/Work"': {**only("INBOX", "Sent", "Trash"), "Old/Work": ALL["Work"]},
    "--maxsize 10000": {**ALL, "INBOX": {(b"old", False)}},
    '--search "SINCE 1-Jan-2026"': {**ALL, "INBOX": {(b"large", False)}},
    '--search "BEFORE 1-Jan-2026"': {"INBOX": {(b"old", False)}},
}


def held(account: Account) -> Held:
    found: Held = {}
    with Client(account) as client:
        for info in client.list_mailboxes():
            if info.is_selectable:
                client.select(info, read_only=True)
                rows = client.fetch("1:*", "FLAGS", "ENVELOPE")
                messages = set()
                for row in rows:
                    assert row.envelope is not None
                    assert row.flags is not None
                    messages.add((str(row.envelope.subject).encode(), "\\Seen" in row.flags))
                if messages:
                    found[str(info.name)] = messages
    return found


@pytest.fixture
def accounts(dovecot: Dovecot) -> list[Account]:
    made = [
        Account(dovecot.host, dovecot.port, user=dovecot.new_user(), password=dovecot.password, tls=False)
        for _ in range(2)
    ]
    with Client(made[0]) as client:
        for name in ("Work", "Sent", "Trash"):
            client.create_mailbox(name)
        client.subscribe("Work")
        for name, subject, date, octets in MAIL:
            text = f"From: Ann <ann@example.org>\r\nSubject: {subject}\r\n\r\n{'x' * octets}\r\n"
            client.append(name, text.encode(), internal_date=date)
    return made


@pytest.fixture
def migrate(dovecot: Dovecot, accounts: list[Account], tmp_path: Path) -> Callable[[str], tuple[int, str]]:
    password = tmp_path / "password"
    password.write_text(f"{dovecot.password}\n")
    urls = [f"imap://{account.user}@{dovecot.host}:{dovecot.port}" for account in accounts]

    def run(command: str) -> tuple[int, str]:
        assert command.endswith(" FROM TO")
        options = ["--insecure", "--to-insecure", f"--password-file={password}", f"--to-password-file={password}"]
        words = [sys.executable, "-m", *shlex.split(command.removesuffix("FROM TO")), *options, *urls]
        variables = {
            "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "PYTHONPATH": str(PROJECT / "src"),
        }
        ended = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, timeout=120)
        return ended.returncode, ended.stdout + ended.stderr

    return run


@pytest.mark.slow
@pytest.mark.parametrize("option", ROWS)
def test_it_leaves_there_what_imapsync_would(
    accounts: list[Account], migrate: Callable[[str], tuple[int, str]], option: str
) -> None:
    source, destination = accounts
    if option == "--syncacls":
        with Client(source) as client:
            client.set_acl("Work", "bob", "lr")
    code, printed = migrate(ROWS[option])
    if option == "--maxbytesafter 1000":  # the large one is not among what could be sent
        assert code == 13, printed
        assert (b"large", False) not in held(destination).get("INBOX", set())
        return
    assert code == 0, printed
    assert held(destination) == EXPECTED.get(option, ALL)
    with Client(destination) as client:
        if option == "--subscribed --subscribe":
            subscribed = {str(info.name) for info in client.list_mailboxes(subscribed=True)}
            assert "Work" in subscribed
            assert "Trash" not in subscribed
        if option == "--syncacls":
            assert client.get_acl("Work").rights["bob"] == "lr"
    if option == "--nolog":
        assert printed == ""
    if option in ("--resyncflags", "--delete2"):
        with Client(source) as client:
            client.select("INBOX")
            client.add_flags(1, "\\Seen")
            client.delete_messages(2)
        code, printed = migrate(ROWS[option])
        assert code == 0, printed
        left = {(b"old", True)} if option == "--delete2" else {(b"old", True), (b"large", False)}
        assert held(destination) == {**ALL, "INBOX": left}


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 12
    assert {*EXPECTED} <= {*ROWS}
