"""``fastimap pull --accounts`` as its user meets it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from fastimap import archive
from fastimap.cli import main
from tests.archive.crowd import SECRET, Crowd, crowded
from tests.archive.started import Started
from tests.cli.conftest import Ended, Run, complaints


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    with crowded(tmp_path, monkeypatch, users=4) as made:
        yield made


def table(crowd: Crowd, user: str, more: str = "", *, port: int = 0, password: str = "") -> str:
    """Return an account as the file has it."""
    url = f"imap://{user}@127.0.0.1:{port or crowd.server.port}"
    password = password or f'password_file = "{crowd.file}"'
    return f'[accounts.{user}]\nurl = "{url}"\n{password}\n{more}\n'


def written(tmp_path: Path, *tables: str) -> str:
    path = tmp_path / "accounts.toml"
    path.write_text("".join(tables))
    return str(path)


def pull(run: Run, accounts: str, *arguments: str, **variables: str) -> Ended:
    return run("pull", "--insecure", "--accounts", accounts, *arguments, **variables)


def stored(crowd: Crowd, root: Path) -> dict[str, Counter[bytes]]:
    return {
        user: Counter(path.read_bytes() for path in (root / user).rglob("*fastimap,*"))
        for user in crowd.users
    }  # fmt: skip


def test_a_store_that_can_not_be_made(run: Run, crowd: Crowd, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    ended = pull(run, written(tmp_path, table(crowd, "u0")), str(tmp_path / "file" / "below"))
    assert (ended.returncode, ended.stderr) == (1, f"u0: {tmp_path}/file/below/u0: Not a directory (exit code 1)\n")


@pytest.mark.parametrize("how", [(), ("--jobs", "2", "--per-host", "2")])
@pytest.mark.slow
def test_failures_stand_at_the_end_with_their_codes(
    run: Run, crowd: Crowd, tmp_path: Path, how: tuple[str, ...], refused_port: int
) -> None:
    accounts = written(
        tmp_path,
        table(crowd, "u0"),
        table(crowd, "u1", password='password_command = ["echo", "wrong"]'),
        table(crowd, "u2", port=refused_port),
        table(crowd, "u3", password='password_variable = "OF_U3"'),
    )
    ended = pull(run, accounts, str(tmp_path / "Mail"), *how, OF_U3=SECRET)
    assert ended.returncode == 3
    first, second = sorted(ended.stderr.splitlines())
    assert first.startswith("u1: ")
    assert first.endswith("(exit code 12)")
    assert second.startswith("u2: ")
    assert second.endswith("(exit code 10)")
    assert ended.stdout.startswith("NOT complete: 4 accounts, 20 messages found, 20 written, 0 there")
    assert "2 of 4 accounts failed" in ended.stdout
    accounts = written(tmp_path, *(table(crowd, user) for user in crowd.users))
    again = pull(run, accounts, str(tmp_path / "Mail"), *how)
    assert (again.returncode, complaints(again.stderr)) == (0, "")
    assert again.stdout.startswith("complete: 4 accounts, 40 messages found, 20 written, 20 there")
    assert stored(crowd, tmp_path / "Mail") == crowd.sent
    assert pull(run, accounts, str(tmp_path / "Mail"), *how, "--quiet").stdout == ""


@pytest.mark.slow
def test_json(run: Run, crowd: Crowd, tmp_path: Path) -> None:
    accounts = written(tmp_path, table(crowd, "u0"), table(crowd, "u1", password='password_command = "echo wrong"'))
    ended = pull(run, accounts, str(tmp_path / "Mail"), "--json")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, ended.stderr) == (3, "")
    assert [(line["account"], line["code"]) for line in lines if line["message_type"] == "account"] == [
        ("u0", 0), ("u1", 12),
    ]  # fmt: skip
    assert [(line["account"], line["code"]) for line in lines if line["message_type"] == "error"] == [("u1", 12)]
    summary = lines[-1]
    assert summary["message_type"] == "summary"
    assert (summary["accounts"], summary["ended"], summary["written"], summary["code"]) == (2, 2, 10, 3)
    assert list(summary["failed"]) == ["u1"]
    assert pull(run, accounts, str(tmp_path / "Mail"), "--json", "-a", "u1").returncode == 12


@pytest.mark.slow
def test_options_of_each_account(run: Run, crowd: Crowd, tmp_path: Path) -> None:
    accounts = written(
        tmp_path,
        table(crowd, "u0", f'pull = {{store = "{tmp_path}/a", exclude = ["Sent"]}}'),
        table(crowd, "u1", f'pull = {{store = "{tmp_path}/b.sqlite", format = "sqlite", limit = 2}}'),
    )
    ended = pull(run, accounts)
    assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    assert len([*(tmp_path / "a").rglob("*fastimap,*")]) == 5
    assert (tmp_path / "b.sqlite").is_file()
    assert "9 written" in ended.stdout
    # What the command line says counts more, for all of them.
    ended = pull(run, accounts, str(tmp_path / "c"), "--limit", "1", "--format", "eml", "--dry-run")
    assert ended.stdout == "would write 3 of 15 messages of 2 accounts; nothing was done\n"
    assert not (tmp_path / "c").exists()


URL = '[accounts.a]\nurl = "imaps://ann@localhost"\n'


@pytest.mark.slow
def test_parquet(run: Run, crowd: Crowd, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet can't be installed on this Python")
    more = f'pull = {{store = "{tmp_path}/mail", format = "parquet"}}'
    accounts = written(tmp_path, *(table(crowd, user, more) for user in crowd.users))
    for arguments in ((), (f"{tmp_path}/mail",), (f"{tmp_path}/other", "--format", "parquet", "--jobs", "2")):
        ended = pull(run, accounts, *arguments)
        assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    for directory in ("mail", "other"):
        names = archive.read(tmp_path / directory).to_table().column("account").to_pylist()
        assert Counter(names) == dict.fromkeys(crowd.users, 10)


GOOD = URL + 'password_file = "/p"\n'


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("", ["x"], "has no account"),
        ("accounts = 1", ["x"], "[accounts.NAME]"),
        ("accounts.a = 1", ["x"], "accounts.a: it is no table"),
        ("[accounts.a\n", ["x"], "accounts.toml"),
        (b"\xff\xfe", ["x"], "accounts.toml"),
        (None, ["x"], "there is no such file"),
        ('[accounts.a]\npassword_file = "/p"\n', ["x"], "accounts.a: it has no url"),
        (URL + 'password = "p"\n', ["x"], "accounts.a: 'password' is not known; known are ca, "),
        ('[accounts.a]\nurl = "imaps://ann@localhost"\n', ["x"], "accounts.a: nothing says how its password"),
        ('[accounts.a]\nurl = "imaps://ann:secret@localhost"\n', ["x"], "accounts.a: a password does not belong"),
        (URL + "password_command = [1]\n", ["x"], "accounts.a: password_command"),
        (URL + 'password_command = "\'"\n', ["x"], "password_command: No closing"),
        (GOOD, [], "accounts.a: where to?"),
        (GOOD, ["x", "y"], "STORE alone"),
        (GOOD, ["x", "-a", "b"], "no account 'b'"),
        (GOOD, ["x", "--password-file", "/p"], "the file says it of each"),
        (GOOD, ["x", "--connections", "20"], "a: connections=20, but per_host=10"),
        (GOOD, ["x", "--dask", "tcp://localhost:1", "--jobs", "2"], "one of them"),
        (GOOD + '[accounts.a.pull]\nlimit = "many"\n', ["x"], "accounts.a.pull: limit"),
        (GOOD + '[accounts.a.pull]\nmailboxes = "INBOX"\n', ["x"], "accounts.a.pull: mailboxes"),
        (GOOD + "[accounts.a.pull]\nspeed = 1\n", ["x"], "accounts.a.pull: 'speed' is not known"),
        (GOOD + '[accounts.a.pull]\nstore = 5\n', [], "accounts.a.pull: store: 5 is not a text"),
        (GOOD + '[accounts.a.pull]\nstore = "x"\n' + GOOD.replace("accounts.a", "accounts.b")
         + '[accounts.b.pull]\nstore = "x/../x/"\n', [], "a and b would have one store"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_mistakes(run: Run, tmp_path: Path, text: str | bytes | None, arguments: list[str], said: str) -> None:
    path = tmp_path / "accounts.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ended = run("pull", "--accounts", str(path), *arguments)
    assert said in ended.stderr
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert not Path("x").exists()


def test_a_scheduler_that_is_none(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra dask can't be installed on this Python")
    path = tmp_path / "accounts.toml"
    path.write_text(GOOD)
    ended = run("pull", "--accounts", str(path), "x", "--dask", "what://localhost")
    assert "what://localhost" in ended.stderr
    assert (ended.returncode, len(ended.stderr.splitlines())) == (10, 1)
    assert not Path("x").exists()


def test_options_of_many_accounts_need_them(run: Run) -> None:
    ended = run("pull", "imaps://ann@localhost", "x", "--jobs", "2")
    assert (ended.returncode, "--accounts" in ended.stderr) == (2, True)


def left(group: int) -> str:
    """Return the processes of a group that still run."""
    command = ["pgrep", "-a", "-g", str(group), "--runstates", "R,S,D"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.slow
def test_a_signal(run: Run, crowd: Crowd, tmp_path: Path, jobs: str, number: signal.Signals, code: int) -> None:
    crowd.linger = 0.3
    # The last account is not done before the signal, however long that takes.
    signalled = crowd.held["Held"] = threading.Event()
    crowd.server.create("Held", user="u3")
    crowd.fill("u3", 1, 9000, mailboxes=("Held",))
    accounts = written(tmp_path, *(table(crowd, user) for user in crowd.users))
    arguments = ["pull", "--insecure", "--accounts", accounts, str(tmp_path / "Mail"), "--jobs", jobs]
    program = subprocess.Popen(
        [sys.executable, "-m", "fastimap", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert crowd.fetching.wait(60)
    if number is signal.SIGINT:
        os.killpg(program.pid, number)  # as a terminal does
    else:
        program.send_signal(number)
    _, said = program.communicate(timeout=60)
    signalled.set()
    assert program.returncode == code
    assert len(said.splitlines()) == 1
    assert "the same command goes on" in said
    end = time.monotonic() + 30
    while left(program.pid):  # that which looks after the others' semaphores needs a moment
        assert time.monotonic() < end, left(program.pid)
        time.sleep(0.05)
    crowd.linger = 0
    assert pull(run, accounts, str(tmp_path / "Mail")).returncode == 0
    assert stored(crowd, tmp_path / "Mail") == crowd.sent


@pytest.mark.slow
def test_the_sums_are_those_of_the_messages_found_and_say_what_is_gone(run: Run, crowd: Crowd, tmp_path: Path) -> None:
    accounts = written(tmp_path, *(table(crowd, user) for user in crowd.users))
    assert pull(run, accounts, str(tmp_path / "Mail")).returncode == 0
    crowd.expunge("u0", "INBOX", [1, 2])
    crowd.expunge("u1", "INBOX", [1])
    crowd.fill("u1", 2, 5000, mailboxes=("INBOX",))
    options = (accounts, str(tmp_path / "Mail"), "--deleted", "delete")
    dry = pull(run, *options, "--dry-run").stdout
    assert dry == "would write 2 of 39 messages of 4 accounts, and 3 there would be gone; nothing was done\n"
    ended = pull(run, *options, "--max-size", "1", "--json")
    summary = json.loads(ended.stdout.splitlines()[-1])
    named = [summary[name] for name in ("found", "written", "present", "excluded", "parked", "deleted")]
    assert named == [39, 0, 37, 2, 0, 3]
    crowd.expunge("u2", "Sent", [3])
    again = pull(run, *options, "--max-size", "1").stdout
    assert again == "complete: 4 accounts, 38 messages found, 0 written, 36 there, 2 excluded; 0 octets; 1 gone\n"


@pytest.mark.slow
def test_processes_end_with_a_program_that_is_killed(crowd: Crowd, tmp_path: Path) -> None:
    """They would wait for work for ever, and nobody is there to give it."""
    held = crowd.held["Held"] = threading.Event()
    crowd.server.create("Held", user="u3")
    crowd.fill("u3", 1, 9000, mailboxes=("Held",))
    accounts = written(tmp_path, *(table(crowd, user) for user in crowd.users))
    arguments = ["pull", "--insecure", "--accounts", accounts, str(tmp_path / "Mail"), "--jobs", "2"]
    program = subprocess.Popen([sys.executable, "-m", "fastimap", *arguments], start_new_session=True)
    try:
        assert crowd.fetching.wait(60)
        program.kill()
        program.wait()
        held.set()
        end = time.monotonic() + 30
        while left(program.pid):
            assert time.monotonic() < end, left(program.pid)
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)


@pytest.mark.slow
def test_ctrl_c_as_the_processes_begin(crowd: Crowd, tmp_path: Path) -> None:
    """Python itself begins in them, and says nothing of it."""
    accounts = written(tmp_path, *(table(crowd, user) for user in crowd.users))
    arguments = ["pull", "--insecure", "--accounts", accounts, str(tmp_path / "Mail"), "--jobs", "2"]
    program = subprocess.Popen(
        [sys.executable, "-m", "fastimap", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    command = ["pgrep", "-P", str(program.pid), "-f", "spawn_main"]
    while program.poll() is None and len(subprocess.run(command, capture_output=True, check=False).stdout.split()) < 1:
        pass
    os.killpg(program.pid, signal.SIGINT)
    _, said = program.communicate(timeout=60)
    assert program.returncode == 130
    assert len(said.splitlines()) == 1
    assert "the same command goes on" in said


SIGNALLED = """
import multiprocessing.util, os, signal, threading, time
from fastimap.cli.exits import ended_by
from fastimap.cli.processes import Processes

def end_by(number, frame):
    raise ended_by(number)

def spawn(*arguments, begin=multiprocessing.util.spawnv_passfds):
    begun = begin(*arguments)
    os.kill(os.getpid(), NUMBER)
    time.sleep(0.2)  # another thread takes it, as that of a pool or of the progress does
    return begun

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_by)
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    multiprocessing.util.spawnv_passfds = spawn
    process = Processes().Process(target=print, args=("done",))
    try:
        process.start()
    except KeyboardInterrupt as exc:
        process.join()
        print(type(exc).__name__, process.exitcode)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "raised"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "Terminated")], ids=["sigint", "sigterm"]
)
def test_a_signal_amid_the_start_of_a_process(tmp_path: Path, name: str, raised: str) -> None:
    """It waits until the process has all that it needs, or that would end with a traceback."""
    program = tmp_path / "program.py"
    program.write_text(SIGNALLED.replace("NUMBER", f"signal.{name}"))
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"done\n{raised} 0\n", "")


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced(crowd: Crowd, tmp_path: Path) -> None:
    crowd.linger = 0.3
    # The last account is not done before the process is killed, however long that takes.
    killed = crowd.held["Held"] = threading.Event()
    crowd.server.create("Held", user="u3")
    crowd.fill("u3", 1, 9000, mailboxes=("Held",))
    accounts = written(tmp_path, *(table(crowd, user) for user in crowd.users))
    arguments = ["pull", "--insecure", "--accounts", accounts, str(tmp_path / "Mail"), "--jobs", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "fastimap", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert crowd.fetching.wait(60)
        command = f"pgrep -P {program.pid} -f spawn_main"
        children = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(children[-1]), signal.SIGKILL)
        killed.set()
        out, err = program.communicate(timeout=60)
    assert (program.returncode, complaints(err)) == (0, "")
    assert out.startswith("complete: 4 accounts, 41 messages found")
    assert stored(crowd, tmp_path / "Mail") == crowd.sent


@pytest.mark.slow
def test_dask(run: Run, crowd: Crowd, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra dask can't be installed on this Python")
    accounts = written(tmp_path, *(table(crowd, user) for user in crowd.users))
    cluster = Started()
    try:
        cluster.worker()
        ended = pull(run, accounts, str(tmp_path / "Mail"), "--dask", cluster.address)
    finally:
        cluster.kill()
    assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    assert ended.stdout.startswith("complete: 4 accounts, 40 messages found, 40 written")
    assert stored(crowd, tmp_path / "Mail") == crowd.sent


@pytest.mark.slow
def test_an_account_that_its_process_dies_of_stops_no_other(run: Run, crowd: Crowd, tmp_path: Path) -> None:
    """As one whose mail takes more memory than there is. It comes first, and its pool breaks before another ends."""
    deadly = table(crowd, "u0", password='password_command = ["sh", "-c", "kill -9 $PPID"]')
    accounts = written(tmp_path, deadly, *(table(crowd, user) for user in crowd.users[1:]))
    crowd.linger = 0.5
    ended = pull(run, accounts, str(tmp_path / "Mail"), "--jobs", "2", "--json")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, lines[-1]["message_type"], lines[-1]["code"]) == (3, "summary", 3)
    assert [*lines[-1]["failed"]] == ["u0"]
    codes = {line["account"]: line["code"] for line in lines if line["message_type"] == "account"}
    assert codes == {"u0": 1, "u1": 0, "u2": 0, "u3": 0}
    assert stored(crowd, tmp_path / "Mail") == crowd.sent | {"u0": Counter()}


def test_the_summary_has_the_exit_code_where_the_scheduler_is_lost(
    crowd: Crowd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*arguments: object) -> NoReturn:
        raise archive.WorkersLost("the scheduler is gone")

    monkeypatch.setattr("fastimap.cli.many._reports", lost)
    accounts = written(tmp_path, table(crowd, "u0"))
    code = main(["pull", "--insecure", "--accounts", accounts, str(tmp_path / "Mail"), "--dask", "tcp://x:1", "--json"])
    summary, error = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (code, summary["code"], error["code"]) == (1, 1, 1)
