"""Each row of docs/coming-from-mbsync.md: mbsync and fastimap, from the same account of the same Dovecot.

After the first run something changes on the server: a message comes, one is deleted, one is read. After the second,
both Maildirs have to hold the same messages, by mailbox, octets (but for line ends) and flags.
"""

from __future__ import annotations

import mailbox
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from fastimap import Account, Client
from tests.servers.dovecot import Dovecot
from tests.support import PROJECT, Unavailable, debian

PAGE = (PROJECT / "docs" / "coming-from-mbsync.md").read_text("utf-8")
ROWS = re.findall(r"^\| (`.+`) \| `(.+?)` \|$", PAGE, re.MULTILINE)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ARRIVED = datetime(2026, 3, 14, 15, 9, tzinfo=UTC)
Found = set[tuple[str, bytes, str]]


@pytest.fixture(scope="module")
def mbsync(unavailable: Callable[..., NoReturn]) -> list[str]:
    """The beginning of mbsync's command line."""
    try:
        root = debian.unpacked_root("bookworm", "isync")
    except Unavailable as reason:
        unavailable("mbsync", reason)
    (loader,) = (path for path in root.glob("usr/lib*/ld-linux-*.so.*") if path.exists())
    (libraries,) = root.glob("usr/lib/*-linux-gnu")
    return [str(loader), "--library-path", str(libraries), str(root / "usr" / "bin" / "mbsync")]


def mail(subject: str) -> bytes:
    head = f"From: Ann <ann@example.org>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n"
    return f"{head}\r\nThe text of {subject}.\r\n".encode()


def replaced(text: str, *changes: tuple[str, str]) -> str:
    """Change what stands in a block of the page, which it has to."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def held(root: Path) -> Found:
    """What is in the Maildirs below a directory, as Python's mailbox sees it; hidden files are the programs' own."""
    found: Found = set()
    for directory in sorted(path.parent for path in root.rglob("cur")):
        box = mailbox.Maildir(directory, create=False)
        for key in box.keys():  # noqa: SIM118 - it is no dictionary
            octets = box.get_bytes(key).replace(b"\r\n", b"\n")
            octets = re.sub(rb"^X-TUID: .*\n", b"", octets, flags=re.MULTILINE)  # mbsync's mark
            flags = box.get_message(key).get_flags()
            found.add((directory.relative_to(root).as_posix(), octets, flags))
    return found


def times(root: Path) -> set[int]:
    return {int(path.stat().st_mtime) for path in root.rglob("cur/*")}


def in_environment(command: list[str], home: Path) -> str:
    variables = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PYTHONPATH": str(PROJECT / "src")}
    ended = subprocess.run(
        command, env=os.environ | variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize(("old", "new"), ROWS, ids=[old for old, _ in ROWS])
def test_both_hold_the_same(dovecot: Dovecot, mbsync: list[str], tmp_path: Path, old: str, new: str) -> None:
    user = dovecot.new_user()
    account = Account(dovecot.host, dovecot.port, user=user, password=dovecot.password, tls=False, mechanism="PLAIN")
    with Client(account) as client:
        for name in ("Sent", "Trash", "Work/2026"):
            client.create_mailbox(name)
        for name, subject in (
            ("INBOX", "one"),
            ("INBOX", "two"),
            ("INBOX", "three"),
            ("Sent", "four"),
            ("Trash", "five"),
            ("Work/2026", "six"),
        ):
            client.append(name, mail(subject), flags=["\\Seen"] if subject == "two" else [], internal_date=ARRIVED)

    homes = tmp_path / "mbsync", tmp_path / "fastimap"
    (language, mbsyncrc), (toml, configuration) = BLOCKS
    assert (language, toml) == ("", "toml")
    for home in homes:
        (home / "Mail").mkdir(parents=True)
    lines = [line for line in re.findall(r"`(.+?)`", old) if not line.startswith("mbsync")]
    for line in lines:  # it takes the place of the line with that name, or is one more
        name = line.split()[0]
        mbsyncrc = re.sub(rf"^{name} .*\n", "", mbsyncrc, flags=re.MULTILINE) + f"{line}\n"
    (homes[0] / ".mbsyncrc").write_text(
        replaced(
            mbsyncrc,
            ("Host imap.example.org", f"Host {dovecot.host}\nPort {dovecot.port}\nAuthMechs LOGIN"),
            ("User me", f"User {user}"),
            ('PassCmd "pass show work"', f"Pass {dovecot.password}"),
            ("TLSType IMAPS", "SSLType None"),  # its older name
        )
    )
    password = tmp_path / "password"
    password.write_text(f"{dovecot.password}\n")
    made = homes[1] / ".config" / "fastimap" / "config.toml"
    made.parent.mkdir(parents=True)
    made.write_text(
        replaced(
            configuration,
            ("imaps://me@imap.example.org", f"imap://{user}@{dovecot.host}:{dovecot.port}"),
            ('password_command = ["pass", "show", "work"]', f"password_file = '{password}'"),
        )
    )
    first = re.findall(r"`(.+?)`", old)[0]
    theirs = [*mbsync, *shlex.split(first if first.startswith("mbsync") else "mbsync work")[1:]]
    ours = [sys.executable, "-m", *shlex.split(new), "--insecure"]

    in_environment(theirs, homes[0])
    in_environment(ours, homes[1])
    before = held(homes[0] / "Mail")
    assert before
    assert held(homes[1] / "Mail") == before
    assert ("INBOX", mail("three").replace(b"\r\n", b"\n"), "") in before

    with Client(account) as client:
        client.append("INBOX", mail("seven"), internal_date=ARRIVED)
        client.select("INBOX")
        client.add_flags(1, "\\Flagged")
        client.delete_messages(2)
    in_environment(theirs, homes[0])
    in_environment(ours, homes[1])
    after = held(homes[0] / "Mail")
    assert after != before
    if "Expunge" in old:  # unless asked for, the one keeps what is gone, the other marks it
        assert held(homes[1] / "Mail") == after
    else:
        assert {(name, octets) for name, octets, _ in held(homes[1] / "Mail")} == {
            (name, octets) for name, octets, _ in after
        }
    if "CopyArrivalDate" in old:
        assert times(homes[0]) == times(homes[1]) == {int(ARRIVED.timestamp())}
    if old == "`mbsync work`":  # what it has pulled need not be fetched again
        assert "`fastimap pull --adopt-from ~/OldMail work`" in PAGE
        other = homes[1] / "Other"
        options = ["--adopt-from", str(homes[0] / "Mail"), "--insecure"]
        printed = in_environment([sys.executable, "-m", "fastimap", "pull", *options, "work", str(other)], homes[1])
        assert "6 found = 0 written + 6 there; 0 octets" in printed
        gone = mail("two").replace(b"\r\n", b"\n")
        assert held(other) == {found for found in after if found[1] != gone}


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 8
