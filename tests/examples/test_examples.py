"""The programs of examples/, as a user runs them: a process, an address over TLS, a password in the environment."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from fastimap.testing import IMAPServer
from tests.imaplib.scripted import Peer, Server
from tests.support import PROJECT
from tests.support.tokens import endpoint

EXAMPLES = sorted((PROJECT / "examples").glob("*.py"))
PATIENCE = 60  # seconds in which a program has to do what is waited for
WITH_PICTURE = b"""From: Bob <bob@example.org>
Subject: a picture
Date: Sat, 28 Nov 2026 10:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain; charset=utf-8

Look at this.
--x
Content-Type: image/png; name="dot.png"
Content-Transfer-Encoding: base64

iVBORw==
--x--
""".replace(b"\n", b"\r\n")


def mail(subject: str) -> bytes:
    return f"From: Ann <ann@example.org>\r\nSubject: {subject}\r\n\r\nHelp!\r\n".encode()


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """What a server shows; the authority behind it is in authority.pem, which the programs trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(made)
    return made


@pytest.fixture
def server(context: ssl.SSLContext) -> Iterator[IMAPServer]:
    with IMAPServer(users={"me": "secret"}, tls=context) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts an example in `tmp_path`, which is its home too."""
    started = []

    def start(name: str, port: int, *arguments: str) -> subprocess.Popen[str]:
        variables = {
            "FASTIMAP_PASSWORD": "secret",
            "FASTIMAP_TO_PASSWORD": "other",
            "SSL_CERT_FILE": str(tmp_path / "authority.pem"),
        }
        home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONUNBUFFERED": "1"}
        program = subprocess.Popen(
            [sys.executable, str(PROJECT / "examples" / name), f"imaps://me@localhost:{port}", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(PROJECT / "src")} | variables | home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(program)
        return program

    yield start
    for program in started:
        program.kill()
        program.communicate()


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """A function that runs an example, which has to end well, and returns what it printed."""

    def run(name: str, port: int, *arguments: str) -> str:
        program = start(name, port, *arguments)
        printed, _ = program.communicate(timeout=PATIENCE)
        assert program.returncode == 0, printed
        return printed

    return run


def until(condition: Callable[[], object], program: subprocess.Popen[str]) -> None:
    """Wait until the program has brought something about."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert program.poll() is None, program.communicate()[0]
        assert time.monotonic() < end, "the program did not do it"
        time.sleep(0.02)


def test_every_example_is_short_and_in_the_list() -> None:
    page = (PROJECT / "examples" / "README.md").read_text("utf-8")
    assert set(re.findall(r"\]\((\w+\.py)\)", page)) == {path.name for path in EXAMPLES}
    for path in EXAMPLES:
        assert len(path.read_text("utf-8").splitlines()) < 60, path.name


def test_read_mailbox(server: IMAPServer, run: Callable[..., str]) -> None:
    server.append("INBOX", mail("read already"), ["\\Seen"])
    server.append("INBOX", WITH_PICTURE)
    lines = run("read_mailbox.py", server.port).splitlines()
    assert lines[0] == "INBOX: 1 unread"
    assert lines[1].strip() == "2 2026-11-28 10:00:00+01:00 Bob <bob@example.org>: a picture"
    assert [line.strip() for line in lines[2:]] == ["Look at this.", "dot.png (image/png, 4 octets)"]
    assert server.messages("INBOX")[1].flags == frozenset()


@pytest.mark.slow
def test_many_accounts(
    server: IMAPServer, run: Callable[..., str], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    pytest.importorskip("distributed", reason="the extra dask can't be installed on this Python")
    secrets, store = tmp_path / "secrets", tmp_path / "Mail"
    secrets.mkdir()
    for user in ("ann", "bob"):
        server.add_user(user, f"of {user}")
        server.append("INBOX", mail(f"for {user}"), user=user)
        (secrets / user).write_text(f"of {user}\n")
    (secrets / "bob").write_text("wrong\n")
    program = start("many_accounts.py", server.port, str(secrets), str(store))  # the cluster is this machine
    printed, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 1
    assert "ann: 1 new of 1" in printed
    assert "bob: AUTHENTICATE PLAIN: the server answered NO" in printed
    (secrets / "bob").write_text("of bob\n")
    printed = run("many_accounts.py", server.port, str(secrets), str(store))
    assert {line.partition(": ")[2] for line in printed.splitlines()} >= {"ann: 0 new of 1", "bob: 1 new of 1"}
    for user in ("ann", "bob"):
        (message,) = (store / user).rglob("*fastimap,*")
        assert message.read_bytes() == mail(f"for {user}")


@pytest.mark.slow
def test_archive_account(
    server: IMAPServer, run: Callable[..., str], start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    server.create("Work/2026")
    kept = [mail("one"), WITH_PICTURE, mail("three")]
    for mailbox, octets in zip(("INBOX", "INBOX", "Work/2026"), kept, strict=True):
        server.append(mailbox, octets)
    store = tmp_path / "Mail"
    assert run("archive_account.py", server.port, str(store)).splitlines() == [
        "3 messages on the server: 3 written, 0 there already",
        "3 messages looked at: all as they came",
    ]
    server.append("INBOX", mail("four"))
    assert "4 messages on the server: 1 written, 3 there already" in run("archive_account.py", server.port, str(store))
    (one,) = (path for path in store.rglob("*fastimap,*") if path.read_bytes() == kept[0])
    one.write_bytes(mail("tampered with"))
    program = start("archive_account.py", server.port, str(store))
    printed, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 1
    assert "4 messages looked at: NOT as they came" in printed
    assert "INBOX, UID 1: " in printed
    one.write_bytes(kept[0])
    there = sorted(path.read_bytes() for path in store.rglob("*fastimap,*"))
    assert there == sorted([*kept, mail("four")])


def test_mail_to_polars(server: IMAPServer, run: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    pytest.importorskip("polars", reason="there is no polars for this Python")
    kept = [mail("one"), WITH_PICTURE, b"List-Id: <x.y>\r\nFrom: x@y.z\r\n\r\nYour Invoice\r\n"]
    for octets in kept:
        server.append("INBOX", octets)
    first, *senders, last = run("mail_to_polars.py", server.port, str(tmp_path / "mail")).splitlines()
    assert first == "3 messages on the server: 3 written, 0 there already"
    assert last == "1 by mailing lists; 1 speak of an invoice"
    assert senders[-1] == f"      1 {len(kept[2]):>12} octets     0 files  x@y.z"
    assert sum(int(line.split()[0]) for line in senders) == 3
    server.append("INBOX", mail("four"))
    assert run("mail_to_polars.py", server.port, str(tmp_path / "mail")).startswith(
        "4 messages on the server: 1 written, 3 there already"
    )


@pytest.mark.slow
def test_migrate(server: IMAPServer, context: ssl.SSLContext, run: Callable[..., str]) -> None:
    server.create("Work")
    kept = {"INBOX": [mail("one"), WITH_PICTURE], "Work": [mail("three")]}
    for name, messages in kept.items():
        for octets in messages:
            server.append(name, octets, ["\\Seen"])
    with IMAPServer(users={"you": "other"}, tls=context) as new:
        arguments = ("migrate.py", server.port, f"imaps://you@localhost:{new.port}")
        assert run(*arguments) == "3 messages at the source: 3 sent, 0 there already\n"
        server.append("Work", mail("four"))
        assert run(*arguments) == "4 messages at the source: 1 sent, 3 there already\n"
        kept["Work"].append(mail("four"))
        for name, messages in kept.items():
            assert sorted(message.octets for message in new.messages(name)) == sorted(messages)
        assert all("\\Seen" in message.flags for message in new.messages("INBOX"))


def tasks(file: Path) -> list[tuple[str, str, str]]:
    db = sqlite3.connect(file)
    try:
        return db.execute("SELECT sender, subject, body FROM tasks ORDER BY id").fetchall()
    except sqlite3.OperationalError:  # the program has only begun
        return []
    finally:
        db.close()


@pytest.mark.slow
def test_tasks_from_mail(server: IMAPServer, start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Killed while mail is there and while it comes; each mail is one task."""
    file = tmp_path / "tasks.sqlite"
    server.create("Support")
    server.append("INBOX", mail("first"))
    program = start("tasks_from_mail.py", server.port, str(file), "INBOX", "Support")
    until(lambda: len(tasks(file)) == 1, program)
    server.append("Support", mail("second"))
    until(lambda: len(tasks(file)) == 2, program)
    program.kill()
    program.wait()
    server.append("INBOX", mail("while it was dead"))
    program = start("tasks_from_mail.py", server.port, str(file), "INBOX", "Support")
    until(lambda: len(tasks(file)) == 3, program)
    program.send_signal(signal.SIGTERM)
    if os.name == "posix":
        assert program.wait(PATIENCE) == 0
    expected = [("ann@example.org", subject, "Help!\n") for subject in ("first", "second", "while it was dead")]
    assert [(sender, subject, body.replace("\r\n", "\n")) for sender, subject, body in tasks(file)] == expected


def test_notify(server: IMAPServer, start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    server.append("INBOX", mail("an old one"))
    shown = tmp_path / "shown"
    write = f"import sys; open({str(shown)!r}, 'a').write('|'.join(sys.argv[1:]) + chr(10))"
    program = start("notify.py", server.port, sys.executable, "-c", write)
    assert program.stdout is not None
    assert program.stdout.readline() == "waiting for mail\n"
    # It waits as soon as it knows where the mailbox ends.
    cursor = tmp_path / ".cache" / "fastimap-notify.sqlite"
    until(lambda: knows_the_mailbox(cursor), program)
    server.append("INBOX", mail("a new one"))
    until(shown.exists, program)
    until(lambda: shown.read_text().endswith("\n"), program)
    assert shown.read_text() == "Ann <ann@example.org>|a new one\n"


def knows_the_mailbox(cursor: Path) -> bool:
    db = sqlite3.connect(cursor)
    try:
        (tables,) = zip(*db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%mailbox%'"), strict=True)
        return any(db.execute(f"SELECT 1 FROM {table}").fetchone() for table in tables)
    except (sqlite3.OperationalError, ValueError):
        return False
    finally:
        db.close()


@pytest.mark.slow
def test_many_mailboxes(server: IMAPServer, run: Callable[..., str]) -> None:
    names = [f"Lists/{number:03}" for number in range(200)]
    for number, name in enumerate(names):
        server.create(name)
        for count in range(number % 3):
            server.append(name, mail(f"{number}.{count}"))
    lines = run("many_mailboxes.py", server.port).splitlines()
    head, *rest = lines
    expected = {f"{name}: {number}.{number % 3 - 1}" for number, name in enumerate(names) if number % 3}
    assert head.startswith("20")
    assert head.endswith(f" mailboxes, {len(expected)} with mail")
    assert sorted(rest) == sorted(expected)


def test_google_oauth(context: ssl.SSLContext, run: Callable[..., str], tmp_path: Path) -> None:
    pytest.importorskip("google.oauth2", reason="it needs google-auth-oauthlib")

    def script(peer: Peer) -> None:
        peer.start_tls(context)
        peer.greet(b"IMAP4rev1 SASL-IR AUTH=XOAUTH2")
        # base64 of "user=me\1auth=Bearer a-fresh-token\1\1", by another program
        peer.answer(
            b"AUTHENTICATE XOAUTH2 dXNlcj1tZQFhdXRoPUJlYXJlciBhLWZyZXNoLXRva2VuAQE=",
            status=b"OK [CAPABILITY IMAP4rev1] welcome",
        )
        peer.answer(b'LIST "" *', b'* LIST () "/" INBOX', b'* LIST (\\Noselect) "/" [Gmail]')
        peer.answer(b"STATUS INBOX (MESSAGES)", b"* STATUS INBOX (MESSAGES 17)")
        peer.log_out()

    with endpoint() as tokens, Server(script) as imap:
        kept = {"refresh_token": "kept", "client_id": "id", "client_secret": "hidden", "token_uri": tokens.url}
        (tmp_path / "token.json").write_text(json.dumps(kept))
        printed = run("google_oauth.py", imap.port, "client.json")
        (asked,) = tokens.asked
    assert (asked["grant_type"], asked["refresh_token"]) == ("refresh_token", "kept")
    assert printed == "INBOX 17\n"
