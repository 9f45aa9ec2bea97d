"""``fastimap ls``, ``search``, ``cat``, ``doctor`` and ``completion`` as their users meet them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastimap import Client, cli
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, mail
from tests.cli.conftest import Ended, Run
from tests.support.odd import odd

__all__ = ["mail"]

Look = Callable[..., Ended]
HELLO = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\nTo: me@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Fri, 1 Mar 2024 10:00:00 +0000\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nSch\xf6n\x1b[31m\r\n"
)


@pytest.fixture
def look(run: Run, mail: Mail) -> Look:
    """A function that runs a command with the account."""

    def look(command: str, *arguments: str) -> Ended:
        variables = {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
        return run(command, mail.url, *arguments, **variables)

    return look


def lines(ended: Ended) -> list[dict[str, object]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_ls(look: Look, mail: Mail) -> None:
    mail.fill("INBOX", 2)
    mail.fill("Lists größe", 1, create=True, flags=("\\Seen",))
    mail.client.subscribe("Lists größe")
    rows = [line.split() for line in look("ls").stdout.splitlines()]
    assert rows[0][:2] == ["2", "2"]
    assert rows[0][-1] == "INBOX"
    (row,) = (row for row in rows if row[-2:] == ["Lists", "größe"])
    assert row[:2] == ["1", "0"]
    (trash,) = (row for row in rows if row[-1] == "Trash")
    assert "\\Trash" in trash
    assert look("ls", "Lists*", "--names").stdout.splitlines()[-1] == "Lists größe"
    assert look("ls", "--names", "--subscribed").stdout == "Lists größe\n"
    found = {line["mailbox"]: line for line in lines(look("ls", "--json"))}
    assert (found["INBOX"]["messages"], found["INBOX"]["unseen"]) == (2, 2)
    status = mail.client.mailbox_status("INBOX", "SIZE", "UIDVALIDITY")
    assert (found["INBOX"]["size"], found["INBOX"]["uid_validity"]) == (status.size, status.uid_validity)
    assert found["Trash"]["special_use"] == ["\\Trash"]


def test_search(look: Look, mail: Mail) -> None:
    mail.fill("INBOX", 3)
    mail.client.append("INBOX", HELLO, flags=["\\Seen"])
    mail.client.append("Trash", HELLO)
    (line,) = look("search", "--from", "joerg").stdout.splitlines()
    assert line.startswith("INBOX       4 ")
    assert line.endswith("Jörg                      Grüße")
    assert look("search", "UNSEEN", "OR", "FROM", "ann", "FROM", "joerg", "--uids").stdout == "1:3\n"
    assert look("search", "--unseen", "--text", "message 2", "--uids").stdout == "2\n"
    assert look("search", "--from", "joerg", "--everywhere", "--uids").stdout == "INBOX 4\nTrash 1\n"
    assert look("search", "--from", "nobody").stdout == ""
    (row,) = lines(look("search", "--mailbox", r"\Trash", "--json"))
    assert (row["mailbox"], row["uid"], row["from"], row["subject"], row["size"]) == (
        "Trash",
        1,
        "joerg@example.org",
        "Grüße",
        len(HELLO),
    )
    ended = look("search", "INBOX", "UNSEEN")
    assert (ended.returncode, ended.stderr) == (
        2,
        "fastimap search: INBOX is no search key: a mailbox is named by --mailbox\n",
    )
    ended = look("search", "--limit", "2")
    assert [line.split()[1] for line in ended.stdout.splitlines()] == ["4", "3"]
    assert ended.stderr == "INBOX: 2 of 4 found; --all lists them\n"
    assert len(look("search", "--limit", "2", "--all").stdout.splitlines()) == 4
    assert look("search", "FROM").returncode in (1, 2)
    assert look("search", "--mailbox", "nowhere").returncode == 1


def test_letters_that_the_output_does_not_have(look: Look, run: Run, mail: Mail, tmp_path: Path) -> None:
    """A pipe of Windows, say, or a locale that is not UTF-8; ``é`` is one octet in Latin 1."""
    mail.client.create_mailbox("é 日")
    mail.client.append("é 日", HELLO.replace(b"Gr=C3=BC=C3=9Fe", b"=E6=97=A5"))
    variables = {
        "FASTIMAP_PASSWORD": mail.server.password,
        "SSL_CERT_FILE": str(mail.server.ca_file),
        "PYTHONIOENCODING": "latin-1",
    }

    def said(*arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "fastimap", *arguments], capture_output=True, env=os.environ | variables, timeout=120
        )
        assert (ended.returncode, ended.stderr) == (0, b"")
        return ended.stdout.decode("latin-1")

    assert "é \\u65e5" in said("ls", mail.url, "--names").splitlines()
    assert said("search", mail.url, "--everywhere").endswith("Jörg                      \\u65e5\n")
    assert "complete: 1 found" in said("pull", mail.url, str(tmp_path))
    assert "é \\u65e5: 1 message\n" in said("status", str(tmp_path))


def test_search_goes_on_where_a_mailbox_can_not_be_read(look: Look, mail: Mail) -> None:
    mail.fill("a", 1, create=True)
    mail.fill("b", 1, create=True)
    mail.client.set_acl("a", mail.user, "la")
    ended = look("search", "--everywhere", "--uids")
    assert (ended.returncode, ended.stdout) == (3, "b 1\n")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("a: EXAMINE: the server answered NO [NOPERM]")
    ended = look("search", "--everywhere", "--uids", "--json")
    assert (ended.returncode, ended.stderr) == (3, "")
    found = {line["mailbox"]: line for line in lines(ended)}
    assert (found["a"]["message_type"], found["b"]["uids"]) == ("error", "1")
    assert look("search", "--mailbox", "a").returncode == 1


def test_cat(look: Look, mail: Mail, run: Run) -> None:
    (first,) = mail.fill("INBOX", 1)
    mail.client.append("INBOX", HELLO)
    command = [sys.executable, "-m", "fastimap", "cat", mail.url, "INBOX"]
    variables = os.environ | {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    octets = subprocess.run([*command, "1:*"], capture_output=True, check=True, env=variables).stdout
    assert octets == first + HELLO
    octets = subprocess.run([*command, "1", "--headers"], capture_output=True, check=True, env=variables).stdout
    assert octets == first.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    read = look("cat", "INBOX", "2", "--readable").stdout
    assert read.splitlines() == [
        "From: Jörg <joerg@example.org>",
        "To: me@example.org",
        "Date: Fri, 1 Mar 2024 10:00:00 +0000",
        "Subject: Grüße",
        "",
        "Schön [31m",  # no escapes for the terminal
        "",
    ]
    plain, other = lines(look("cat", "INBOX", "1,2", "--json"))
    assert plain["message"] == first.decode()
    assert "message_base64" in other
    ended = look("cat", "INBOX", "1,9")
    assert (ended.returncode, ended.stderr) == (1, "fastimap cat: INBOX has no message with UID 9\n")
    assert look("cat", "INBOX").returncode == 2
    assert look("cat", "INBOX", "one").returncode == 2
    assert mail.client.mailbox_status("INBOX", "UNSEEN").unseen == 2


def test_doctor(look: Look, mail: Mail) -> None:
    mail.fill("INBOX", 3)
    mail.fill("Very private", 1, create=True)
    ended = look("doctor")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"^TLS +TLSv1\.[23], ", ended.stdout, re.MULTILINE)
    assert re.search(r"^mailboxes +\d+ \(\d+ selectable\), 4 messages$", ended.stdout, re.MULTILINE)
    assert "  QRESYNC           pull: " in ended.stdout
    for secret in (mail.user, mail.server.password, "Very private", "message 1", "example.org"):
        assert secret not in ended.stdout
    (report,) = lines(look("doctor", "--json"))
    assert (report["message_type"], report["error"]) == ("report", None)
    assert sorted(mail.client.capabilities) == report["capabilities"]


def test_doctor_where_it_can_not_look(run: Run, mail: Mail) -> None:
    variables = {"FASTIMAP_PASSWORD": "wrong-one", "SSL_CERT_FILE": str(mail.server.ca_file)}
    ended = run("doctor", mail.url, **variables)
    assert ended.returncode == 12
    assert "app password" in ended.stdout
    assert "wrong-one" not in ended.stdout + ended.stderr
    ended = run("doctor", mail.url, FASTIMAP_PASSWORD=mail.server.password)  # its certificate is not known
    assert ended.returncode == 10
    assert "connections.md" in ended.stdout


@pytest.fixture
def memory() -> Iterator[IMAPServer]:
    with IMAPServer(users={"me": "secret"}) as server:
        for _ in range(4):
            server.append("INBOX", HELLO)
        yield server


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (rb"RFC822.SIZE \d+", b"RFC822.SIZE 1", "RFC822.SIZE is wrong for 4 of the newest 4 messages"),
        (rb"^\* SEARCH 1 2", b"* SEARCH 1", "INBOX has 4 messages, and SEARCH lists 3"),
        (rb"UIDNEXT 5", b"UIDNEXT 3", "UIDNEXT is 3, and the highest UID 4"),
        (rb"UIDVALIDITY \d+\)", b"UIDVALIDITY 0)", "1 mailboxes have no UIDVALIDITY"),
        (rb"ENVELOPE \(NIL|ENVELOPE \(\"", b'ENVELOPE ("x', None),
        (rb"^\* LIST \(", b"* LIST x(", "lines of LIST are not in the grammar"),
        (rb"IMAP4rev1", b"", "neither IMAP4rev1 nor IMAP4rev2 is listed"),
    ],
    ids=str,
)
def test_doctor_finds_what_is_odd(run: Run, memory: IMAPServer, before: bytes, after: bytes, said: str | None) -> None:
    with odd(memory, says=lambda line: re.sub(before, after, line)) as port:
        ended = run("doctor", f"imap://me@127.0.0.1:{port}", "--insecure", FASTIMAP_PASSWORD="secret")
    assert ended.returncode == 0, ended
    if said is not None:
        assert said in ended.stdout


def test_ls_of_a_server_that_has_lsub_alone(run: Run, memory: IMAPServer) -> None:
    """LIST (SUBSCRIBED) is of RFC 5258, LSUB of RFC 3501, section 6.3.9."""
    url = f"imap://me@{memory.host}:{memory.port}"
    for name in ("Sent", "Sent/Old"):
        memory.create(name)
    with Client(memory.host, memory.port, user="me", password="secret", tls=False, mechanism="PLAIN") as client:
        client.subscribe("Sent/Old")
        assert not client.session.has("LIST-EXTENDED")
    ended = run("ls", url, "S*", "--insecure", "--subscribed", "--names", FASTIMAP_PASSWORD="secret")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "Sent/Old\n", "")


@pytest.mark.slow
def test_doctor_says_what_to_set_at_gmail(run: Run, memory: IMAPServer) -> None:
    with odd(memory, says=lambda line: line.replace(b" IDLE", b" IDLE X-GM-EXT-1")) as port:
        ended = run("doctor", f"imap://me@127.0.0.1:{port}", "--insecure", FASTIMAP_PASSWORD="secret")
    assert 'budget = "gmail"' in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (["fastimap", "wa"], ["watch"]),
        (["fastimap", "pull", "--for"], ["--format"]),
        (["fastimap", "pull", "--format", "jso"], ["jsonl", "jsonl.zst"]),
        (["fastimap", "completion", ""], ["bash", "fish", "zsh"]),
    ],
    ids=str,
)
def test_completion_of_bash(run: Run, tmp_path: Path, words: list[str], proposed: list[str]) -> None:
    made = run("completion", "bash").stdout
    quoted = " ".join(f'"{word}"' for word in words)
    program = (
        f'{made}\nCOMP_WORDS=({quoted})\nCOMP_CWORD={len(words) - 1}\n_fastimap\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert sorted(ended.stdout.split()) == proposed


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(run: Run, shell: str) -> None:
    ended = run("completion", shell)
    assert ended.returncode == 0
    for name in cli.COMMANDS:
        assert re.search(rf"\b{name}\b", ended.stdout), name
    if shutil.which(shell) is not None:
        assert subprocess.run([shell, "-n"], input=ended.stdout, text=True, check=True).returncode == 0
