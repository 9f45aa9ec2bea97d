"""The server as its user starts, fills and ends it: object, process, program, fixture."""

import ast
import imaplib
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fastimap.testing import IMAPServer, IMAPServerProcess, StoredMessage
from tests.support import PROJECT

DATE = datetime(2024, 2, 29, 12, tzinfo=UTC)


def test_methods_of_the_server() -> None:
    with IMAPServer(users={"ann": "1", "bob": "2"}) as server:
        server.create("Übung/Tiefe", user="bob")
        assert server.append("Übung/Tiefe", b"x", ["\\seen"], DATE, user="bob") == 1
        assert server.append("inbox", b"y") == 1
        assert server.messages("Übung/Tiefe", user="bob") == [StoredMessage(1, b"x", frozenset({"\\Seen"}), DATE)]
        server.set_flags("INBOX", 1, ["$Label"])
        assert server.messages("INBOX")[0].flags == {"$Label"}
        server.expunge("INBOX", [1, 7])
        assert server.messages("INBOX") == []
        assert server.append("INBOX", b"z") == 2
        assert server.messages("INBOX", user="bob") == []


def test_mistakes_in_its_use() -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        IMAPServer(host="0.0.0.0")
    with IMAPServer() as server:
        with pytest.raises(ValueError, match="NONEXISTENT"):
            server.append("Missing", b"x")
        with pytest.raises(ValueError, match="ALREADYEXISTS"):
            server.create("INBOX")
        with pytest.raises(ValueError, match="not a flag"):
            server.append("INBOX", b"x", ["\\Nonsense"])
        with pytest.raises(ValueError, match="time zone"):
            server.append("INBOX", b"x", internal_date=datetime(2024, 1, 1))
        with pytest.raises(ValueError, match="no user called 'nobody'"):
            server.messages("INBOX", user="nobody")
        with pytest.raises(ValueError, match="a user called 'user'"):
            server.add_user("user", "x")
        with pytest.raises(OSError, match="in use"), IMAPServer(port=server.port):
            pass


def test_close_ends_every_session_and_thread() -> None:
    before = set(threading.enumerate())
    server = IMAPServer()
    server.close()
    with server:
        idle = imaplib.IMAP4(server.host, server.port, timeout=10)
        idle.login("user", "password")
        idle.send(b"x IDLE\r\n")
        idle.readline()
        silent = imaplib.IMAP4(server.host, server.port, timeout=10)
    assert set(threading.enumerate()) <= before  # of those, some may just end
    assert idle.readline() == silent.readline() == b""
    idle.shutdown()
    silent.shutdown()
    server.close()


def test_a_client_that_reads_nothing_does_not_hold_up_the_end() -> None:
    with IMAPServer() as server:
        server.append("INBOX", bytes(20_000_000))
        client = imaplib.IMAP4(server.host, server.port, timeout=10)
        client.login("user", "password")
        client.select()
        client.send(b"x FETCH 1 BODY[]\r\n")
        assert client.readline().startswith(b"* 1 FETCH")
    client.shutdown()


def test_disconnect_all() -> None:
    with IMAPServer() as server:
        client = imaplib.IMAP4(server.host, server.port, timeout=10)
        server.disconnect_all()
        with pytest.raises(imaplib.IMAP4.abort):
            client.noop()
        client.shutdown()
        with imaplib.IMAP4(server.host, server.port, timeout=10) as again:
            assert again.login("user", "password")[0] == "OK"


def test_loopback_of_ipv6() -> None:
    try:
        server = IMAPServer(host="::1")
        server.start()
    except OSError:
        pytest.skip("this machine has no loopback address of IPv6")
    with imaplib.IMAP4(server.host, server.port, timeout=10) as client:
        assert client.login("user", "password")[0] == "OK"
    server.close()


def test_process() -> None:
    with IMAPServerProcess(users={"ann": "secret"}) as server:
        with imaplib.IMAP4(server.host, server.port, timeout=10) as client:
            client.login("ann", "secret")
            assert client.append("INBOX", None, None, b"Subject: x\r\n\r\n")[0] == "OK"
        port = server.port
    with pytest.raises(ConnectionRefusedError):
        imaplib.IMAP4("127.0.0.1", port, timeout=10)


def test_process_that_can_not_start(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        IMAPServerProcess(certfile=tmp_path / "missing.pem").start()
    assert "the server can't start" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--starttls"], "TLS needs --certfile"),
        (["--user", "ann"], "--user ann: write NAME:PASSWORD"),
        (["--host", "192.0.2.1"], "192.0.2.1 is not a loopback address"),
        (["--host", "nonsense"], "the server can't start"),
        (["--port", "70000"], "the server can't start"),
    ],
)
def test_program_says_what_is_wrong(arguments: list[str], message: str) -> None:
    command = [sys.executable, "-m", "fastimap.testing", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert message in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(
        "import imaplib\n"
        "def test_it(imap_server):\n"
        "    imap_server.append('INBOX', b'x')\n"
        "    with imaplib.IMAP4(imap_server.host, imap_server.port) as client:\n"
        "        client.login('user', 'password')\n"
        "        assert client.select() == ('OK', [b'1'])\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "fastimap.testing.pytest_plugin", "-q", str(tmp_path)]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


def test_server_is_an_independent_witness() -> None:
    """It must share no code with what it is a witness against: of fastimap it may import mailbox_name alone."""
    imported = set()
    for module in (PROJECT / "src" / "fastimap" / "testing").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "sessions.retry":
                # Not the server's: a user's test switches waiting off with it.
                assert module.name == "__init__.py"
                assert [alias.name for alias in node.names] == ["no_waits"]
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= (2 if module.parent.name == "commands" else 1), module
    assert {name for name in imported if name.startswith("fastimap")} == {"fastimap.model.mailbox_name"}
    assert "imaplib" not in imported
