"""The command line on a real terminal: progress, and Ctrl-C at any time."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastimap.cli import exits
from tests.archive.conftest import Mail, mail, stored

__all__ = ["mail"]

PATIENCE = 90  # seconds


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, *arguments: str, **variables: str) -> None:
        ours, theirs = pty.openpty()
        self.ours = ours
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastimap", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120", **variables},
            preexec_fn=_own_terminal,
        )
        os.close(theirs)

    def read(self, seconds: float = 0.05) -> bool:
        """Take what it has written; return whether there is more to come."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return True
        try:
            octets = os.read(self.ours, 65536)
        except OSError:  # its other end is closed
            return False
        self.seen += octets
        return bool(octets)

    def until(self, text: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert self.read(), self.seen
            assert time.monotonic() < end, self.seen

    def type(self, octets: bytes) -> None:
        os.write(self.ours, octets)

    def until_python_handles_ctrl_c(self) -> None:
        """Wait while the kernel would end the process: on a busy machine that is long."""
        end = time.monotonic() + PATIENCE
        status = Path(f"/proc/{self.process.pid}/status")
        while not int(status.read_text().partition("SigCgt:")[2].split()[0], 16) & 1 << signal.SIGINT - 1:
            assert time.monotonic() < end
            time.sleep(0.001)

    def end(self) -> int:
        while self.read(PATIENCE):
            pass
        return self.process.wait(PATIENCE)


def _own_terminal() -> None:
    os.setsid()
    import fcntl
    import termios

    # As a shell starts what runs in its foreground; these tests may run in the background, where SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def on_a_terminal(mail: Mail, *arguments: str, **variables: str) -> Iterator[Terminal]:
    made = Terminal(*arguments, SSL_CERT_FILE=str(mail.server.ca_file), **variables)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        os.close(made.ours)


def test_progress_is_shown(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 300)
    arguments = ("pull", mail.url, str(tmp_path), "--bwlimit", "300K")  # a second, so that there is something to see
    with on_a_terminal(mail, *arguments, FASTIMAP_PASSWORD=mail.server.password) as terminal:
        assert terminal.end() == 0
    assert b"INBOX" in terminal.seen
    assert b"/300" in terminal.seen
    assert b"complete: 300 found = 300 written" in terminal.seen
    assert b"\x1b[?25h" in terminal.seen  # the cursor is shown again


def test_the_password_is_asked_for_and_not_shown(mail: Mail, tmp_path: Path) -> None:
    environment = {"FASTIMAP_CONFIG": ""}
    with on_a_terminal(mail, "ls", mail.url, **environment) as terminal:
        terminal.until(f"Password of {mail.user} at localhost: ".encode())
        terminal.type(mail.server.password.encode() + b"\n")
        assert terminal.end() == 0
    assert b"INBOX" in terminal.seen
    assert mail.server.password.encode() not in terminal.seen


@pytest.mark.parametrize("after", [0.0, 0.1, 0.4], ids=str)
def test_ctrl_c_in_the_first_second(mail: Mail, tmp_path: Path, after: float) -> None:
    mail.fill("INBOX", 5)
    arguments = ("pull", mail.url, str(tmp_path), "--bwlimit", "100")
    with on_a_terminal(mail, *arguments, FASTIMAP_PASSWORD=mail.server.password) as terminal:
        if after:
            terminal.until_python_handles_ctrl_c()
        time.sleep(after)
        terminal.type(b"\x03")
        code = terminal.end()
    its_own = (b"to import the site module", b"import runpy", b"Exception ignored in")
    if code == -signal.SIGINT or any(text in terminal.seen for text in its_own):
        # The interpreter's own end, before the first line of the command: on a busy machine that takes its time.
        assert b"__main__.py" not in terminal.seen
        return
    assert code == 130
    assert b"Traceback" not in terminal.seen


@pytest.mark.parametrize(
    ("early", "number", "code", "said"),
    [
        (True, signal.SIGINT, 130, "fastimap: interrupted\n"),
        (False, signal.SIGINT, 130, "fastimap ls: interrupted\n"),
        (False, signal.SIGTERM, 143, "fastimap ls: terminated\n"),
    ],
)
def test_a_signal_that_python_drops(early: bool, number: int, code: int, said: str) -> None:
    """CPython drops an exception that is raised in a callback, as the end of each import has one."""
    program = f"""
import signal, sys, time, weakref
from fastimap import __main__, cli
from fastimap.cli import ls

class Lock: pass

def imports(options):
    lock = Lock()
    callback = weakref.ref(lock, lambda _: signal.raise_signal({number}))
    del lock
    time.sleep(60)
    return 0

if {early}:
    cli.main = lambda: imports(None)
ls.run = imports
sys.argv = ["fastimap", "ls", "imaps://me@imap.example.org"]
sys.exit(__main__.main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", said)


def test_a_second_signal_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\n"
        "from fastimap import __main__, cli\n"
        "from fastimap.cli.exits import Terminated\n"
        "def ends(): raise Terminated\n"
        "cli.main = ends\n"
        "sys.exit(__main__.main())\n"
    )
    ended = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "", "fastimap: terminated\n")


def test_an_interrupt_in_an_eval(tmp_path: Path) -> None:
    """`python -m` ends by SIGINT after that, though it was handled: where it came should not decide the exit code."""
    (tmp_path / "program.py").write_text(
        "import signal, sys\n"
        "from fastimap import __main__, cli\n"
        "cli.main = lambda: eval('signal.raise_signal(signal.SIGINT)')\n"
        "sys.exit(__main__.main())\n"
    )
    command = [sys.executable, "-m", "program"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "fastimap: interrupted\n")


@pytest.mark.parametrize(
    ("before", "said"), [("", "written\ncalled\n"), ("atexit.register(print, 'first')", "written\ncalled\nfirst\n")]
)
def test_what_others_do_at_the_end_is_done(tmp_path: Path, before: str, said: str) -> None:
    (tmp_path / "program.py").write_text(
        "import atexit, sys, threading, time\n"
        f"{before}\n"
        "from fastimap import __main__, cli\n"
        "def slow(): time.sleep(0.05); print('written')\n"
        "def main():\n"
        "    atexit.register(print, 'called')\n"
        "    threading.Thread(target=slow).start()\n"
        "    return 7\n"
        "cli.main = main\n"
        "sys.exit(__main__.program())\n"
    )
    ended = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, said, "")


def test_a_program_that_calls_it_goes_on(tmp_path: Path) -> None:
    """Its files are written at its end, and its exit status is its own."""
    (tmp_path / "program.py").write_text(
        "import sys\n"
        "from fastimap.__main__ import main\n"
        "sys.argv[1:] = ['--version']\n"
        "file = open('log', 'w')\n"
        "file.write(f'it said {main()}')\n"
        "sys.exit(7)\n"
    )
    ended = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, check=False)
    assert ended.returncode == 7
    assert (tmp_path / "log").read_text() == "it said 0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_python_itself_drops_if_it_is_another_exception(number: int) -> None:
    """A KeyboardInterrupt alone gets out of compile(): see make_const() in CPython's ast_opt.c."""
    assert isinstance(exits.ended_by(number), KeyboardInterrupt)


@pytest.mark.parametrize("becomes", [ImportError, AttributeError])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_becomes_another_error(
    monkeypatch: pytest.MonkeyPatch, number: int, code: int, becomes: type[Exception]
) -> None:
    """CPython's `PyCapsule_Import`, by which ssl gets at socket, makes an ImportError of whatever is raised in it.

    And argparse an AttributeError: left before it has begun, it puts back what it has not taken.
    """
    from fastimap import cli
    from fastimap.cli import ls

    def imports(options: object) -> int:
        try:
            signal.raise_signal(number)
        except BaseException:
            raise becomes('PyCapsule_Import could not import module "_socket"') from None
        return 0

    monkeypatch.setattr(ls, "run", imports)
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert cli.main(["ls", "imaps://me@imap.example.org"]) == code
        monkeypatch.setattr(ls, "run", lambda options: exec("import fastimap.not_there"))
        with pytest.raises(ImportError, match="not_there"):
            cli.main(["ls", "imaps://me@imap.example.org"])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_ctrl_c_later_and_the_next_run_goes_on(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 400)
    arguments = ("pull", mail.url, str(tmp_path))
    with on_a_terminal(mail, *arguments, "--bwlimit", "20K", FASTIMAP_PASSWORD=mail.server.password) as terminal:
        terminal.until(b"/400")
        cur = tmp_path / "INBOX" / "cur"
        while not any(cur.iterdir()):
            terminal.read()
        terminal.type(b"\x03")
        assert terminal.end() == 130
    assert b"interrupted; what was done stays done, the same command goes on" in terminal.seen
    assert b"Traceback" not in terminal.seen
    before = len(stored(tmp_path)["INBOX"])
    assert 0 < before < 400
    with on_a_terminal(mail, *arguments, FASTIMAP_PASSWORD=mail.server.password) as terminal:
        assert terminal.end() == 0
    assert f"complete: 400 found = {400 - before} written + {before} there".encode() in terminal.seen
    assert stored(tmp_path) == mail.all()
