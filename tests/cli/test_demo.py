"""The demo that goes well: on synthetic mail and on a mailbox, with its table read back."""

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from ssl import Purpose, create_default_context

import pytest
import trustme

from fastimap import parser
from fastimap.testing import IMAPServer
from tests.cli.conftest import Run

NUMBER = r"[\d,]+(?:\.\d+)?"
COLUMNS = ["messages/s", "client CPU s", "times less CPU", "peak memory MiB"]
DATE = datetime(2024, 1, 1, tzinfo=UTC)


def read_table(text: str) -> dict[str, list[float]]:
    """The rows of one of the demo's tables: the name, and a figure for each column."""
    header, rule, *rows = text.splitlines()
    assert re.split(r"\s{2,}", header.strip()) == COLUMNS
    assert set(rule) == {"-"}
    table = {}
    for row in rows:
        name, *cells = re.split(r"\s{2,}", row.strip())
        assert all(re.fullmatch(NUMBER, cell) for cell in cells), row
        table[name] = [float(cell.replace(",", "")) for cell in cells]
    return table


def check_tables(output: str) -> None:
    _, *tables = output.split("\n\n")
    titles = []
    for text in tables:
        title, _, text = text.partition("\n")
        titles.append(title)
        table = read_table(text)
        assert list(table) == ["imaplib", "fastimap.imaplib", "fastimap.Client"]
        for rate, cpu, times_less, memory in table.values():
            assert min(rate, memory) > 0
            if cpu > 0.01:  # else too few digits are shown
                assert table["imaplib"][1] / cpu == pytest.approx(times_less, rel=0.05, abs=0.06)
        assert table["imaplib"][2] == 1
    assert titles == [
        "FETCH (UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
        "FETCH (UID BODY.PEEK[])",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 2])
def test_synthetic_mail(run: Run, rounds: int) -> None:
    ended = run("demo", "--messages", "30", "--rounds", str(rounds))
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0].startswith(f"{platform.python_implementation()} {platform.python_version()}, ")
    assert f"parser implementation: {parser.IMPLEMENTATION} (" in lines[0]
    assert re.match(rf"30 messages, {NUMBER} MB, ", lines[1])
    assert ("one round" in lines[1]) is (rounds == 1)
    assert lines[1].endswith("Every message came with the same octets through each.")
    tables, _, story = ended.stdout.rpartition("\n\n")
    check_tables(tables)
    if os.name == "posix":
        found = re.fullmatch(
            r"fastimap pull, into a Maildir: (?:interrupted when (\d+) messages were there|it had ended before .+)\.\n"
            r"The same command again: (\d+) were there, (\d+) were fetched\. Now each message is there once, .+\.\n",
            story,
        )
        assert found is not None, story
        stopped_at, present, fetched = found.groups()
        assert int(present) + int(fetched) == 30
        assert int(present) <= int(stopped_at or 30)


@pytest.mark.slow
def test_implementation_is_named(run: Run) -> None:
    ended = run("demo", "--messages", "3", "--rounds", "1", FASTIMAP_IMPL="py")
    assert "parser implementation: py (pure Python)" in ended.stdout


@pytest.mark.slow
def test_version(run: Run) -> None:
    ended = run("--version")
    assert re.fullmatch(r"fastimap \d+\.\d+.*\n", ended.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["plain", "starttls", "tls"])
def test_own_mailbox(run: Run, tmp_path: Path, way: str) -> None:
    authority = trustme.CA()
    authority_file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(authority_file))
    context = create_default_context(Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with IMAPServer(
        users={"ann@example.org": 'ü "pass"\\word'},
        tls=context if way == "tls" else None,
        starttls=context if way == "starttls" else None,
        require_tls=way != "plain",
    ) as server:
        server.create("Größe/a&b")
        for number in range(12):
            server.append("Größe/a&b", b"Subject: %d\r\n\r\n" % number + os.urandom(1000 * number), [], DATE)
        server.expunge("Größe/a&b", [3, 4])
        before = server.messages("Größe/a&b")
        scheme = "imaps" if way == "tls" else "imap"
        ended = run(
            "demo",
            f"{scheme}://ann%40example.org@localhost:{server.port}/Gr%C3%B6%C3%9Fe/a&b",
            "--limit=9",
            "--rounds=1",
            FASTIMAP_PASSWORD='ü "pass"\\word',
            SSL_CERT_FILE=str(authority_file),
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.splitlines()[1].startswith("9 messages, ")
        check_tables(ended.stdout)
        assert server.messages("Größe/a&b") == before


@pytest.mark.slow
def test_insecure_goes_without_starttls(run: Run, tmp_path: Path) -> None:
    context = create_default_context(Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with IMAPServer(starttls=context) as server:
        server.append("INBOX", b"Subject: x\r\n\r\n")
        url = f"imap://user@127.0.0.1:{server.port}"
        arguments = ("demo", url, "--rounds=1")
        assert "is not trusted" in run(*arguments, FASTIMAP_PASSWORD="password").stderr
        assert run(*arguments, "--insecure", FASTIMAP_PASSWORD="password").returncode == 0


def on_terminal(code: str) -> tuple[int, bytes]:
    """Run Python code with standard error on a terminal; return the exit status and what the terminal got."""
    pty = pytest.importorskip("pty", reason="there are no terminals of POSIX here")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        shown = b""
        # At the end of the other side, Linux raises EIO where others return nothing.
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass
        os.close(ours)
        return process.wait(), shown


@pytest.mark.slow
def test_bar_on_a_terminal() -> None:
    pytest.importorskip("rich")
    status, shown = on_terminal(
        "import sys, fastimap.cli; sys.exit(fastimap.cli.main(['demo', '--messages=20', '--rounds=1']))"
    )
    assert status == 0
    assert b"filling the mailbox" in shown
    assert b"fastimap.imaplib" in shown


@pytest.mark.slow
def test_no_bar_without_rich() -> None:
    status, shown = on_terminal(
        "import sys; sys.modules['rich'] = None; import fastimap.cli; "
        "sys.exit(fastimap.cli.main(['demo', '--messages=20', '--rounds=1']))"
    )
    assert (status, shown) == (0, b"")
