"""Mistakes and mishaps: each is one line that says what happened and what to do, and the right exit status."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from fastimap import cli
from fastimap.demo.comparison import check
from fastimap.demo.errors import DemoError
from fastimap.testing import IMAPServer
from tests.cli.conftest import Ended, Run, complaints


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer() as server:
        server.append("INBOX", b"Subject: x\r\n\r\n")
        yield server


def said(ended: Ended, status: int) -> str:
    """The one line on standard error."""
    assert ended.returncode == status, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "the following arguments are required: command"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["demo", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["demo", "--messages", "0"], "'0' is not a number from 1 to 999999"),
        (["demo", "--rounds", "many"], "'many' is not a number from 1 to 999999"),
        (["demo", "--limit", "5"], "--limit and --insecure need a URL"),
        (["demo", "--insecure"], "--limit and --insecure need a URL"),
        (["demo", "imaps://u@h", "--messages", "5"], "with one, use --limit"),
        (["demo", "imaps://u@h", "--insecure"], "--insecure needs an imap:// URL"),
        (["demo", "https://u@h/"], "https://u@h/: not a URL of IMAP; write imaps://user@host/mailbox"),
        (["demo", "host"], "host: not a URL of IMAP"),
        (["demo", "imaps://h/INBOX"], "the user is missing"),
        (["demo", "imaps://u@/INBOX"], "the host is missing"),
        (["demo", "imaps://u@h:port/"], "write imaps://user@host/mailbox"),
        (["demo", "imaps://u@h:70000/"], "write imaps://user@host/mailbox"),
        (["demo", "imaps://u@[::1/"], "write imaps://user@host/mailbox"),
        (["demo", "imaps://u@h/a?b"], "'?' and '#' are not understood here"),
        (["demo", "imaps://u@h/INBOX;UIDVALIDITY=1"], "';', '?' and '#' are not understood here"),
        (["demo", "imaps://u@h/%FF"], "its percent-encoding is not that of UTF-8"),
        (["demo", "imaps://u@h/a%0D%0Ab"], "NUL, CR or LF"),
    ],
)
def test_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    monkeypatch.setenv("FASTIMAP_PASSWORD", "x")
    try:
        status: object = cli.main(arguments)
    except SystemExit as exc:
        status = exc.code
    captured = capsys.readouterr()
    assert (status, captured.out) == (2, "")
    (line,) = captured.err.splitlines()
    assert text in line


@pytest.mark.slow
def test_a_password_in_the_url_is_refused_and_not_repeated(run: Run) -> None:
    line = said(run("demo", "imaps://user:secret@host/"), 2)
    assert "FASTIMAP_PASSWORD" in line
    assert "secret" not in line


def test_no_password_and_no_terminal(run: Run) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FASTIMAP_PASSWORD"}
    ended = subprocess.run(
        [sys.executable, "-m", "fastimap", "demo", "imaps://user@localhost/"],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    assert said(ended, 2).endswith("set FASTIMAP_PASSWORD")


def demo(run: Run, url: str, *arguments: str, password: str = "password", **variables: str) -> str:
    return said(run("demo", url, "--rounds=1", *arguments, FASTIMAP_PASSWORD=password, **variables), 1)


@pytest.mark.slow
def test_wrong_host(run: Run) -> None:
    assert "there is no host 'nowhere.invalid'" in demo(run, "imaps://user@nowhere.invalid/")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_refused_port(run: Run, scheme: str, refused_port: int) -> None:
    line = demo(run, f"{scheme}://user@127.0.0.1:{refused_port}/")
    assert f"127.0.0.1:{refused_port} refuses the connection: check the port" in line


@pytest.mark.slow
def test_wrong_password(run: Run, server: IMAPServer) -> None:
    line = demo(run, f"imap://user@127.0.0.1:{server.port}/", password="wrong")
    assert "user can't log in" in line
    assert line.endswith("check the user name and the password")


@pytest.mark.slow
@pytest.mark.parametrize("url_name", ["Missing", "M%C3%BCssing"])
def test_missing_mailbox(run: Run, server: IMAPServer, url_name: str) -> None:
    line = demo(run, f"imap://user@127.0.0.1:{server.port}/{url_name}")
    assert line.endswith("ssing' can't be opened: [NONEXISTENT] No mailbox of that name; check its name")


@pytest.mark.slow
def test_empty_mailbox(run: Run, server: IMAPServer) -> None:
    server.create("Empty")
    assert "'Empty' holds no messages" in demo(run, f"imap://user@127.0.0.1:{server.port}/Empty")


@pytest.fixture(scope="module")
def certificate() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.slow
@pytest.mark.parametrize("starttls", [False, True])
def test_certificate_of_an_unknown_authority(run: Run, certificate: ssl.SSLContext, starttls: bool) -> None:
    with IMAPServer(tls=None if starttls else certificate, starttls=certificate if starttls else None) as server:
        line = demo(run, f"imap{'' if starttls else 's'}://user@127.0.0.1:{server.port}/")
    assert "is not trusted" in line
    assert "SSL_CERT_FILE" in line


@pytest.mark.slow
def test_tls_to_a_port_without(run: Run, server: IMAPServer) -> None:
    line = demo(run, f"imaps://user@127.0.0.1:{server.port}/")
    assert "does not speak TLS" in line
    assert line.endswith("check the port, or try imap://")


@contextlib.contextmanager
def scripted(*pieces: bytes) -> Iterator[int]:
    """A server that says the first piece at once, one more for each command, and hangs up; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), client, client.makefile("rb") as lines:
                    client.sendall(pieces[0])
                    for piece in pieces[1:]:
                        tag = lines.readline().partition(b" ")[0]
                        client.sendall(piece.replace(b"TAG", tag))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


GREETING = b"* OK [CAPABILITY IMAP4rev1] hello\r\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([b"220 mail.example.org ESMTP\r\n"], "does not answer as an IMAP server should: invalid greeting: 220"),
        ([b"* BYE go away\r\n"], "does not answer as an IMAP server should"),
        ([b""], "socket error: EOF"),
        # The first connection asks for STARTTLS alone, and sees it is not offered.
        (
            [
                GREETING,
                b"TAG OK [CAPABILITY IMAP4rev1] in\r\n",
                b"* 1 EXISTS\r\nTAG OK selected\r\n",
                b"* 1 FETCH (UID 1 X {99}\r\ncut",
            ],
            "EOF",
        ),
        (
            [b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\r\n"] * 2,
            "takes no password on this connection: try imaps://",
        ),
    ],
)
def test_servers_that_are_none(run: Run, pieces: list[bytes], text: str) -> None:
    with scripted(*pieces) as port:
        assert text in demo(run, f"imap://user@127.0.0.1:{port}/")


@pytest.mark.slow
def test_no_tls_is_offered_beyond_loopback(run: Run, server: IMAPServer) -> None:
    """A name that is no loopback name leads to the server, by a resolver of the test's own."""
    name = "testserver.example"
    code = (
        "import socket, sys\n"
        "connect = socket.create_connection\n"
        "socket.create_connection = lambda address, *rest: connect(('127.0.0.1', address[1]), *rest)\n"
        "from fastimap.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "demo", f"imap://user@{name}:{server.port}/"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"FASTIMAP_PASSWORD": "password"},
    )
    assert "testserver.example offers no STARTTLS: try imaps://" in said(ended, 1)


def test_differences_are_found() -> None:
    sizes = {1: 10, 2: 20}
    check("imaplib", {1: "a", 2: "b"}, {1: "a", 2: "b"}, sizes)
    with pytest.raises(DemoError, match="got no octets of 1 messages, as of UID 2"):
        check("imaplib", {1: "a", 2: "b"}, {1: "a"}, sizes)
    with pytest.raises(DemoError, match="differ in 1 messages, as in UID 2"):
        check("imaplib", {1: "a", 2: "b"}, {1: "a", 2: "c"}, sizes)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_interrupt() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "fastimap", "demo", "--rounds=999"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"},  # SIGABRT has it say where it is
        # A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        # It is at work when it has started its server; before that, on a busy machine, even Python may not be there.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        end = time.monotonic() + 60
        while children.exists() and not children.read_text():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.01)
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=3)
        os.killpg(process.pid, signal.SIGINT)
        output, complaint = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        pytest.fail(f"it runs on: {process.communicate()[1]}")
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, output) == (130, "")
    assert complaint.splitlines()[-1] in ("fastimap demo: interrupted", "fastimap: interrupted")  # while it imports
    assert "Traceback" not in complaint


def through(server: IMAPServer, command: str, tmp_path: Path) -> Ended:
    """Run a command by a shell, which can close and redirect; URL and FASTIMAP in it stand for what they are called."""
    whole = command.replace("FASTIMAP", f"{sys.executable} -m fastimap")
    whole = whole.replace("URL", f"--insecure imap://user@{server.host}:{server.port}")
    environment = os.environ | {"FASTIMAP_PASSWORD": "password", "HOME": str(tmp_path)}
    return subprocess.run(
        ["bash", "-c", whole], capture_output=True, text=True, timeout=120, env=environment, cwd=tmp_path
    )


ONES = ["ls URL", "search URL", "cat URL INBOX 1", "doctor URL", "pull URL store", "status store"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ONES)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed(server: IMAPServer, tmp_path: Path, command: str, closed: str) -> None:
    if command.startswith("status"):
        assert through(server, "FASTIMAP pull URL store", tmp_path).returncode == 0
    ended = through(server, f"FASTIMAP {command} {closed}", tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    if closed != "2>&-":
        assert ended.stdout == ""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", [*ONES[:-1], "ls --json URL", "search --json URL", "pull --json URL store"])
def test_output_that_can_not_be_written(server: IMAPServer, tmp_path: Path, command: str) -> None:
    ended = through(server, f"FASTIMAP {command} > /dev/full", tmp_path)
    assert ended.returncode == 1, ended
    (line,) = complaints(ended.stderr).splitlines()
    assert "full" in line or "No space" in line


@pytest.mark.slow
@pytest.mark.parametrize("command", ["search URL --all", "ls URL", "cat URL INBOX '1:*'", "search --json URL --all"])
def test_a_reader_that_has_enough(server: IMAPServer, tmp_path: Path, command: str) -> None:
    for number in range(3000):
        server.append("INBOX", b"Subject: %d\r\n\r\n%b" % (number, b"x" * 60))
        if command.startswith("ls"):
            server.create(f"mailbox {number}")
    ended = through(server, f"FASTIMAP {command} | head -1; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert len(ended.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["cat", "URL", "--headers", "INBOX", "1"], "Subject: x"),
        (["cat", "--headers", "URL", "INBOX", "1"], "Subject: x"),
        (["search", "URL", "--uids", "SUBJECT", "x"], "1"),
        (["search", "URL", "SUBJECT", "--uids", "x"], "1"),
        (["search", "URL", "--uids", "SUBJECT", "a b"], "2"),
        (["search", "URL", "--uids", "OR", "SUBJECT", 'the "a b"', "HEADER", "subject", "a b"], "2"),
        (["ls", "URL", "--names", "IN*"], "INBOX"),
    ],
)
def test_options_stand_where_people_put_them(server: IMAPServer, run: Run, arguments: list[str], expected: str) -> None:
    server.append("INBOX", b"Subject: see a b\r\n\r\n")
    server.append("INBOX", b"Subject: b and a\r\n\r\n")
    given = [f"imap://user@{server.host}:{server.port}" if each == "URL" else each for each in arguments]
    ended = run(*given, "--insecure", FASTIMAP_PASSWORD="password")
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, expected, "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["search", "imaps://u@h", "--everywhere", "--mailbox", "a"], "not allowed with argument"),
        (["cat", "imaps://u@h", "INBOX", "1", "--headers", "--readable"], "not allowed with argument"),
    ],
)
def test_options_that_do_not_go_together(run: Run, arguments: list[str], text: str) -> None:
    assert text in said(run(*arguments), 2)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["pull", "imaps://u@h", "s", "--max-size", "9" * 400], "a size is less than 8,000,000T"),
        (["pull", "imaps://u@h", "s", "--bwlimit", "8388608T"], "a size is less than 8,000,000T"),
        (["pull", "imaps://u@h", "s", "--wait", "nan"], "'nan' is not a number of seconds from 0"),
        (["verify", "s", "--wait", "-5"], "'-5' is not a number of seconds from 0"),
        (["compact", "s", "--wait=soon"], "'soon' is not a number of seconds from 0"),
        (["migrate", "imaps://u@h", "imaps://u@i", "--wait", "inf"], "'inf' is not a number of seconds from 0"),
        (["ls", "imaps://u@h", "--password-command", ""], "--password-command: '' is not a text"),
        (["ls", "imaps://u@h", "--password-file", ""], "--password-file: '' is not a text"),
        (["ls", "imaps://u@h", "--token-command", ""], "--token-command: '' is not a text"),
    ],
)
def test_values_that_make_no_sense(run: Run, arguments: list[str], text: str) -> None:
    """An option that is empty, as by a variable that is not set, is a mistake, and not as if it were not given."""
    assert text in said(run(*arguments, FASTIMAP_PASSWORD="of another account"), 2)


@pytest.mark.parametrize("command", ["compact", "verify", "status"])
def test_a_store_that_is_some_file(run: Run, tmp_path: Path, command: str) -> None:
    path = tmp_path / "file"
    path.write_text("text\n" * 1000)
    assert f"{path} is damaged, or no store of fastimap's" in said(run(command, str(path)), 1)


def test_json_is_not_for_people(run: Run) -> None:
    ended = run("cat", "imaps://u@h", "INBOX", "1", "--json", "--readable")
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert "give one of them" in ended.stderr
    assert json.loads(ended.stdout)["code"] == 2


def test_a_command_for_the_password_that_is_not_there(server: IMAPServer, run: Run) -> None:
    url = f"imap://user@{server.host}:{server.port}"
    line = said(run("ls", url, "--insecure", "--password-command", "no-such-thing"), 12)
    assert line.startswith("fastimap ls: no-such-thing, which is to print the password, can't be run: ")
    line = said(run("ls", url, "--insecure", "--password-file", "/nowhere"), 12)
    assert line.endswith("the password file /nowhere can't be read: No such file or directory")


def test_a_set_of_uids_that_is_none(server: IMAPServer, run: Run) -> None:
    url = f"imap://user@{server.host}:{server.port}"
    line = said(run("cat", url, "INBOX", "0", "--insecure", FASTIMAP_PASSWORD="password"), 2)
    assert line == "fastimap cat: not a sequence set: '0' (such as '5', '1:9,12' or '1:*')"


def test_a_doctor_that_is_stopped_does_not_say_that_all_is_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"imap://user@127.0.0.1:{silent.getsockname()[1]}"
        with (
            subprocess.Popen(
                [sys.executable, "-m", "fastimap", "doctor", url, "--insecure"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"FASTIMAP_PASSWORD": "password"},
            ) as doctor,
            silent.accept()[0],
        ):  # it is connected, and waits
            doctor.send_signal(signal.SIGTERM)
            out, errors = doctor.communicate(timeout=60)
    assert (doctor.returncode, errors) == (143, "fastimap doctor: terminated\n")
    assert "It ended: it was stopped before it was done" in out
    assert "nothing was found" not in out
    assert "the defaults fit" not in out


def test_a_port_that_has_no_tls(server: IMAPServer, run: Run) -> None:
    url = f"imaps://user@{server.host}:{server.port}"
    line = said(run("ls", url, FASTIMAP_PASSWORD="password"), 10)
    assert line.endswith("does not speak TLS from the start: try a URL imap://user@host:port (STARTTLS), or port 993")
    ended = run("doctor", url, FASTIMAP_PASSWORD="password")
    assert f"imap://USER@{server.host}:{server.port} (STARTTLS)" in ended.stdout
    assert "certificate" not in ended.stdout
