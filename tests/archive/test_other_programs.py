"""What other programs read in a store: Dovecot, the standard library, jq, sqlite3."""

from __future__ import annotations

import base64
import contextlib
import json
import mailbox
import os
import pwd
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fastimap import Client, archive
from tests.archive.conftest import Mail, stored
from tests.conftest import started
from tests.servers import dovecot as dovecot_server
from tests.servers.dovecot import Dovecot

Found = dict[str, Counter[tuple[bytes, tuple[str, ...], int]]]


@pytest.fixture(scope="module")
def mbox_dovecot(unavailable: Callable[..., NoReturn]) -> Iterator[Dovecot]:
    """A Dovecot that keeps mail as mbox."""
    settings = "mail_location = mbox:~/mail:INBOX=~/mail/INBOX.mbox\n"
    with started(dovecot_server.running(settings), unavailable, "Dovecot 2.3") as server:
        yield server


def fill(mail: Mail, real_messages: list[bytes]) -> None:
    """Append real mail, with flags, dates and names of mailboxes that people have."""
    mail.fill("INBOX", 3, flags=("\\Seen", "\\Flagged"))
    mail.fill("Lists/größe & co", 2, create=True)
    mail.client.multi_append("INBOX", real_messages[:60])


def seen_by(server: Dovecot, user: str) -> Found:
    """Return what a Dovecot reads, but for keywords, which a Maildir's names have no letters for."""
    login: dict[str, Any] = {"user": user, "password": server.password, "tls": False, "mechanism": "LOGIN"}
    with Client(server.host, server.port, **login, timeout=60) as client:
        everything = Mail(server, user, client).all()
    return {
        name: Counter((octets, flags, date) for _, octets, flags, date in messages)
        for name, messages in everything.items()
        if messages
    }


def given_to(server: Dovecot, root: Path, name: str) -> str:
    """Give a copy of a directory to a new user of a Dovecot; return the user."""
    user = server.new_user()
    home = server.directory / "mail" / user
    shutil.copytree(root, home / name)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (home, *home.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return user


def test_maildir_plus_plus_by_dovecot(mail: Mail, dovecot: Dovecot, tmp_path: Path, real_messages: list[bytes]) -> None:
    fill(mail, real_messages)
    assert archive.pull(mail.account, archive.Maildir(tmp_path, plus_plus=True)).complete
    theirs = seen_by(dovecot, given_to(dovecot, tmp_path, "Maildir"))
    ours = seen_by(dovecot, mail.user)
    assert sorted(theirs) == ["INBOX", "Lists/größe & co"]
    assert theirs == ours


def test_maildir_plus_plus_goes_on(mail: Mail, tmp_path: Path) -> None:
    """Known again by its names, after the state is lost."""
    mail.fill("INBOX", 3)
    mail.fill("a/größe", 2, create=True)
    assert archive.pull(mail.account, archive.Maildir(tmp_path, plus_plus=True)).complete
    (tmp_path / ".fastimap.sqlite").unlink()
    report = archive.pull(mail.account, archive.Maildir(tmp_path, plus_plus=True))
    assert (report.complete, report.written, report.present) == (True, 0, 5)
    mail.fill("a/größe", 1)
    report = archive.pull(mail.account, tmp_path)  # the state says what it is
    assert (report.complete, report.written) == (True, 1)
    assert stored(tmp_path) == mail.all()


def test_names_of_maildir_plus_plus(tmp_path: Path) -> None:
    store = archive.Maildir(tmp_path, plus_plus=True)
    names = {path: store.directory_of(path).removeprefix(f"{tmp_path}") for path in ("INBOX", "a/b", "a.b", "größe/&")}
    assert names == {"INBOX": "", "a/b": "/.a.b", "a.b": "/.a%2Eb", "größe/&": "/.gr&APYA3w-e.&-"}
    long = ["/".join(["größe" * 20] * 8) + end for end in ("a", "b")]
    found = [store.directory_of(path) for path in long]
    assert len({*found}) == 2
    assert all(len(os.path.basename(path).encode()) <= 255 for path in found)


def test_maildir_by_the_standard_library(mail: Mail, tmp_path: Path, real_messages: list[bytes]) -> None:
    fill(mail, real_messages)
    archive.pull(mail.account, tmp_path)
    for name, path in {"INBOX": "INBOX", "Lists/größe & co": "Lists/größe & co"}.items():
        box = mailbox.Maildir(tmp_path / path, create=False)
        keys = box.keys()
        assert Counter(box.get_bytes(key).replace(b"\r\n", b"\n") for key in keys) == Counter(
            octets.replace(b"\r\n", b"\n") for _, octets, *_ in mail.all()[name]
        )
        flags = Counter("".join(sorted(box[key].get_flags())) for key in keys)
        letters = {"\\Seen": "S", "\\Flagged": "F"}
        assert flags == Counter("".join(sorted(letters[flag] for flag in each)) for _, _, each, _ in mail.all()[name])


def test_mbox_by_dovecot(mail: Mail, mbox_dovecot: Dovecot, tmp_path: Path) -> None:
    mail.fill("INBOX", 4, flags=("\\Seen",))
    mail.client.append("INBOX", b"Subject: x\r\n\r\nFrom me\r\n>From you\r\n\r\nbye\r\n")
    archive.pull(mail.account, archive.Mbox(tmp_path))
    user = given_to(mbox_dovecot, tmp_path, "mail")
    login: dict[str, Any] = {"user": user, "password": mbox_dovecot.password, "tls": False, "mechanism": "LOGIN"}
    with Client(mbox_dovecot.host, mbox_dovecot.port, **login, timeout=60) as client:
        client.select("INBOX", read_only=True)
        theirs = Counter(row.body for row in client.fetch("1:*", "BODY.PEEK[]"))
    ours = mail.all()["INBOX"]
    # Dovecot reads mboxo: what this package quotes is still quoted there.
    quoted = b"Subject: x\r\n\r\n>From me\r\n>>From you\r\n\r\nbye\r\n"
    assert quoted in theirs
    assert theirs - Counter([quoted]) == Counter(octets for _, octets, *_ in ours if b">From you" not in octets)


@pytest.mark.skipif(shutil.which("localedef") is None, reason="there is no localedef")
def test_mbox_has_english_dates_in_any_locale(tmp_path: Path) -> None:
    """A program may have set its user's: a German March has an umlaut, and a Monday is Mo."""
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "de_DE.UTF-8"], capture_output=True, check=False
    )
    if not (tmp_path / "de_DE.UTF-8").is_dir():
        pytest.skip(f"no German locale can be made: {made.stderr!r}")
    program = """
import locale, sys
from fastimap.archive import Mbox, Message
from fastimap.archive.state import State
locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
store, state = Mbox(sys.argv[1]), State(None, "mbox")
store.open(state)
place = state.place("a", "INBOX", 1, delimiter="/", mailbox_id=None)
store.make()
store.write(place, [Message(1, b"Subject: x\\r\\n\\r\\n", 1709900000, "", b"", None)])
store.sync()
"""
    environment = os.environ | {"LOCPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "mail")], check=True, env=environment)
    with contextlib.closing(mailbox.mbox(tmp_path / "mail" / "INBOX.mbox")) as box:
        (read,) = box
    assert read.get_from() == "MAILER-DAEMON Fri Mar  8 12:13:20 2024"  # as RFC 4155 has it, appendix A


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
def test_json_lines_by_jq(mail: Mail, tmp_path: Path, real_messages: list[bytes]) -> None:
    fill(mail, real_messages)
    archive.pull(mail.account, archive.JSONLines(tmp_path))
    program = "[.uid, .mailbox, (if .message then (.message | @base64) else .message_base64 end)]"
    ended = subprocess.run(["jq", "-c", program, str(tmp_path / "INBOX.jsonl")], capture_output=True, check=True)
    read = [json.loads(line) for line in ended.stdout.splitlines()]
    expected = {uid: octets for uid, octets, *_ in mail.all()["INBOX"]}
    assert {uid for uid, *_ in read} == set(expected)
    assert {name for _, name, _ in read} == {"INBOX"}
    assert {uid: base64.b64decode(text) for uid, _, text in read} == expected


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3")
def test_sqlite_by_its_command_line(mail: Mail, tmp_path: Path, real_messages: list[bytes]) -> None:
    fill(mail, real_messages)
    archive.pull(mail.account, archive.SQLite(tmp_path / "mail.sqlite"))
    query = "SELECT mailbox, uid, hex(octets) FROM mail ORDER BY mailbox, uid"
    ended = subprocess.run(
        ["sqlite3", "-separator", "\t", str(tmp_path / "mail.sqlite"), query],
        capture_output=True,
        text=True,
        check=True,
    )
    read = [line.split("\t") for line in ended.stdout.splitlines()]
    assert [(name, int(uid), bytes.fromhex(text)) for name, uid, text in read] == sorted(
        (name, uid, octets) for name, messages in mail.all().items() for uid, octets, *_ in messages
    )
