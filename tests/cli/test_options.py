"""The options of ``fastimap pull``, one by one: which messages come, whose password is sent, what a run may do."""

from __future__ import annotations

import base64
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fastimap.archive.locks import locked
from fastimap.cli import main
from fastimap.testing import IMAPServer
from tests.archive.conftest import message, stored
from tests.support.odd import odd

SIZES = (100, 1_000, 5_000, 20_000)
"""Of the messages of INBOX, the first of January 2024, the second of February, ..."""
SECRET = "s3cret-of-ann"
Pull = Callable[..., tuple[int, dict[str, list[int]]]]


def octets(number: int, size: int) -> bytes:
    head = b"Subject: number %d\r\n\r\n" % number
    return head + b"x" * (size - len(head))


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer(users={"ann": SECRET}) as made:
        for number, size in enumerate(SIZES, 1):
            made.append("INBOX", octets(number, size), internal_date=datetime(2024, number, 1, 12, tzinfo=UTC))
        for name in ("a,b", "Other"):
            made.create(name)
            made.append(name, octets(9, 200), internal_date=datetime(2024, 9, 1, tzinfo=UTC))
        yield made


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PASSWORD_COMMAND", "CONFIG"):
        monkeypatch.delenv(f"FASTIMAP_{name}", raising=False)
    monkeypatch.setenv("FASTIMAP_PASSWORD", SECRET)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))


@pytest.fixture
def url(server: IMAPServer) -> str:
    return f"imap://ann@{server.host}:{server.port}"


@pytest.fixture
def pull(url: str, tmp_path: Path) -> Pull:
    """A function that pulls with these options; the exit code, and the UIDs that are in the store by mailbox."""

    def pull(*options: str, account: str = url, store: Path = tmp_path / "Mail") -> tuple[int, dict[str, list[int]]]:
        code = main(["pull", account, str(store), "--insecure", "-q", *options])
        found = stored(store) if store.exists() else {}
        return code, {name: [uid for uid, *_ in messages] for name, messages in found.items() if messages}

    return pull


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"INBOX": [1, 2, 3, 4], "a,b": [1], "Other": [1]}),
        ("--mailbox|a,b", {"a,b": [1]}),
        ("--mailbox|inbox|--mailbox|Other", {"INBOX": [1, 2, 3, 4], "Other": [1]}),
        ("--exclude|INBOX|--exclude|a,b", {"Other": [1]}),
        ("--mailbox|INBOX|--since|2024-02-01", {"INBOX": [2, 3, 4]}),
        ("--mailbox|INBOX|--before|2024-02-01", {"INBOX": [1]}),
        ("--since|2024-02-01|--before|2024-04-01", {"INBOX": [2, 3]}),
        ("--mailbox|INBOX|--min-size|1000", {"INBOX": [2, 3, 4]}),
        ("--mailbox|INBOX|--min-size|1001", {"INBOX": [3, 4]}),
        ("--mailbox|INBOX|--max-size|5000", {"INBOX": [1, 2, 3]}),
        ("--mailbox|INBOX|--max-size|4K", {"INBOX": [1, 2]}),
        ("--mailbox|INBOX|--search|OR SUBJECT 2 SUBJECT 4", {"INBOX": [2, 4]}),
        ("--limit|2", {"INBOX": [3, 4], "a,b": [1], "Other": [1]}),
        ("--limit|1|--max-size|5K|--mailbox|INBOX", {"INBOX": [3]}),
        ("--dry-run", {}),
        ("--connections|3", {"INBOX": [1, 2, 3, 4], "a,b": [1], "Other": [1]}),
        ("--oldest-first", {"INBOX": [1, 2, 3, 4], "a,b": [1], "Other": [1]}),
    ],
)
def test_which_messages(pull: Pull, options: str, expected: dict[str, list[int]]) -> None:
    assert pull(*filter(None, options.split("|"))) == (0, expected)


def test_rules_of_a_later_run_do_not_take_out(pull: Pull) -> None:
    assert pull("--mailbox", "INBOX", "--limit", "1")[1] == {"INBOX": [4]}
    assert pull("--mailbox", "INBOX", "--max-size", "1000")[1] == {"INBOX": [1, 2, 4]}
    assert pull()[1] == {"INBOX": [1, 2, 3, 4], "a,b": [1], "Other": [1]}


def test_deletions(pull: Pull, server: IMAPServer, capsys: pytest.CaptureFixture[str]) -> None:
    pull()
    server.expunge("INBOX", [1, 2])
    assert pull()[1]["INBOX"] == [3, 4]  # those that are gone stay as files
    assert pull("--deleted", "delete", "--max-delete", "1")[0] == 0
    server.expunge("INBOX", [3])
    server.expunge("Other", [1])
    code, found = pull("--deleted", "delete", "--max-delete", "1")
    assert (code, found) == (3, {"INBOX": [3, 4], "a,b": [1], "Other": [1]})
    assert "2 of " in capsys.readouterr().err
    assert pull("--deleted", "delete", "--max-delete", "100%") == (0, {"INBOX": [4], "a,b": [1]})


def test_waiting_for_another_run(pull: Pull, url: str, tmp_path: Path) -> None:
    (tmp_path / "Mail").mkdir()
    with locked(tmp_path / "Mail"):
        assert main(["pull", url, str(tmp_path / "Mail"), "--insecure", "-q"]) == 11
        end = threading.Event()
        codes: list[int] = []
        waits = threading.Thread(target=lambda: codes.append(pull("--wait", "60")[0]))
        waits.start()
        assert not end.wait(0.3)
        assert codes == []
    waits.join(60)
    assert codes == [0]


# Whose password is sent.


@pytest.fixture
def sent(server: IMAPServer) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server that has XOAUTH2 besides, and the secrets that it heard."""
    heard: list[bytes] = []
    about = itertools.count()

    def hears(line: bytes) -> bytes:
        if b"AUTHENTICATE" in line:
            heard.append(base64.b64decode(line.split()[-1]))
        elif next(about) and len(line.split()) == 1 and len(line) > 8:
            heard.append(base64.b64decode(line))
        return line

    with odd(server, hears=hears, says=lambda line: line.replace(b"AUTH=PLAIN", b"AUTH=PLAIN AUTH=XOAUTH2")) as port:
        yield f"imap://ann@{server.host}:{port}", heard


@pytest.mark.parametrize(
    ("options", "given", "table", "expected"),
    [
        (["--password-file", "{dir}/one"], {}, "", b"one"),
        (["--password-command", "cat '{dir}/one'"], {}, "", b"one"),
        ([], {"PASSWORD_COMMAND": "cat {dir}/one"}, "", b"one"),
        ([], {"PASSWORD": "one"}, "", b"one"),
        ([], {}, 'password_command = ["cat", "{dir}/one"]', b"one"),
        ([], {}, 'password_command = "cat {dir}/one"', b"one"),
        ([], {}, 'password_file = "{dir}/one"', b"one"),
        ([], {"X": "one"}, 'password_variable = "FASTIMAP_X"', b"one"),
        ([], {}, 'mechanism = "XOAUTH2"\ntoken_command = ["cat", "{dir}/one"]', b"user=ann\1auth=Bearer one\1\1"),
        (["--token-command", "cat {dir}/one"], {}, 'mechanism = "XOAUTH2"', b"user=ann\1auth=Bearer one\1\1"),
        # What the command line says counts more, then the environment's command, then the configuration.
        (["--password-file", "{dir}/one"], {"PASSWORD_COMMAND": "echo two"}, 'password_command = "echo three"', b"one"),
        ([], {"PASSWORD_COMMAND": "cat {dir}/one", "PASSWORD": "x"}, 'password_command = "echo three"', b"one"),
        ([], {"PASSWORD": "x"}, 'password_command = "cat {dir}/one"', b"one"),
    ],
)
def test_where_the_password_comes_from(
    sent: tuple[str, list[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    given: dict[str, str],
    table: str,
    expected: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, heard = sent
    monkeypatch.delenv("FASTIMAP_PASSWORD")
    (tmp_path / "one").write_text("one\nand more\n")
    (tmp_path / "config.toml").write_text(
        f'[accounts.work]\nurl = "{url}"\n' + table.replace("{dir}", str(tmp_path)) + "\n"
    )
    for name, value in given.items():
        monkeypatch.setenv(f"FASTIMAP_{name}", value.replace("{dir}", str(tmp_path)))
    arguments = [each.replace("{dir}", str(tmp_path)) for each in options]
    code = main(["pull", "work", str(tmp_path / "Mail"), "--insecure", "-c", str(tmp_path / "config.toml"), *arguments])
    assert code == 12
    wanted = expected if expected.startswith(b"user=") else b"\0ann\0" + expected
    assert heard[0] == wanted
    said = capsys.readouterr()
    assert "and more" not in said.out + said.err


@pytest.mark.parametrize("way", ["-c", "--config", "FASTIMAP_CONFIG", "XDG_CONFIG_HOME"])
@pytest.mark.parametrize("account", ["-a", "--account", ""])
def test_the_configuration_and_its_account(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, account: str
) -> None:
    config = tmp_path / "fastimap" / "config.toml"
    config.parent.mkdir()
    config.write_text(f'[accounts.work]\nurl = "{url}"\n[accounts.work.pull]\nmailboxes = ["a,b"]\n')
    if way.startswith("-"):
        arguments = [way, str(config)]
    else:
        arguments = []
        monkeypatch.setenv(way, str(config if way == "FASTIMAP_CONFIG" else tmp_path))
    named = [account, "work"] if account else ["work"]
    assert main(["pull", *named, str(tmp_path / "Mail"), "--insecure", "-q", *arguments]) == 0
    assert [*stored(tmp_path / "Mail")] == ["a,b"]


# What is said.


def test_json_is_lines_of_one_kind_each(pull: Pull, capsys: pytest.CaptureFixture[str]) -> None:
    assert pull("--json", "--mailbox", "INBOX", "--mailbox", "none")[0] == 3
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["message_type"] for line in lines} <= {"status", "error", "summary"}
    assert lines[-1]["message_type"] == "summary"
    assert (lines[-1]["code"], lines[-1]["found"], lines[-1]["written"]) == (3, 4, 4)
    (error,) = (line for line in lines if line["message_type"] == "error")
    assert "no such mailbox" in json.dumps(error)


def test_progress_is_lines_where_there_is_no_terminal(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fastimap.cli.show._EVERY", 0.0)
    assert main(["pull", url, str(tmp_path / "Mail"), "--insecure", "--mailbox", "INBOX"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("complete: 4 found = 4 written + 0 there")
    assert re.search(r"^INBOX: 4 of 4 messages, [\d.]+ KiB, [\d,]+/s$", said.err, re.MULTILINE)
    assert "\x1b" not in said.err


@pytest.mark.parametrize("verbose", [[], ["-v"], ["-vv"]], ids=str)
def test_a_password_is_never_said(
    pull: Pull, verbose: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull(*verbose)[0] == 0
    said = capsys.readouterr()
    encoded = base64.b64encode(f"\0ann\0{SECRET}".encode()).decode()
    for text in (
        said.out,
        said.err,
        caplog.text,
        *(file.read_bytes().decode("latin-1") for file in (tmp_path / "Mail").rglob("*") if file.is_file()),
    ):
        assert SECRET not in text
        assert encoded not in text


def test_of_mailboxes_one_that_fails_stops_no_other(
    server: IMAPServer, url: str, pull: Pull, capsys: pytest.CaptureFixture[str]
) -> None:
    def hears(line: bytes) -> bytes:
        return line.replace(b'EXAMINE "a,b"', b"EXAMINE nowhere").replace(b"EXAMINE a,b", b"EXAMINE nowhere")

    with odd(server, hears=hears) as port:
        code, found = pull(account=url.rpartition(":")[0] + f":{port}")
    assert (code, found) == (3, {"INBOX": [1, 2, 3, 4], "Other": [1]})
    assert "a,b" in capsys.readouterr().err
    assert pull() == (0, {"INBOX": [1, 2, 3, 4], "a,b": [1], "Other": [1]})


def test_the_first_messages_are_written_before_others_are_looked_for(
    server: IMAPServer, url: str, pull: Pull, tmp_path: Path
) -> None:
    """The newest hundred are there when the others are asked for, and when the second mailbox is opened."""
    for number in range(5, 301):
        server.append("INBOX", message(number))
    heard: list[tuple[bytes, list[int]]] = []

    def hears(line: bytes) -> bytes:
        files = sorted(int(file.name.partition(".")[0]) for file in tmp_path.glob("Mail/INBOX/cur/*"))
        heard.append((b" ".join(line.split()[1:4]), files))
        return line

    with odd(server, hears=hears) as port:
        assert pull(account=url.rpartition(":")[0] + f":{port}")[0] == 0
    of_inbox = [(command, files) for command, files in heard if command.startswith(b"UID FETCH")]
    older = next(files for command, files in of_inbox if int(re.findall(rb"\d+", command)[0]) <= 200)
    assert older == list(range(201, 301))
    opened = next(files for command, files in heard if command.startswith(b"EXAMINE Other"))
    assert opened == list(range(1, 301))
