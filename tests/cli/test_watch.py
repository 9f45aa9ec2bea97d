"""``fastimap watch`` as its user meets it: what the command gets, what its exit code does, signals, health."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.archive.conftest import Mail, mail
from tests.cli.conftest import Ended, Run

__all__ = ["mail"]

Watch = Callable[..., Ended]


@pytest.fixture
def variables(mail: Mail, tmp_path: Path) -> dict[str, str]:
    return {
        "FASTIMAP_PASSWORD": mail.server.password,
        "SSL_CERT_FILE": str(mail.server.ca_file),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


@pytest.fixture
def watch(run: Run, mail: Mail, variables: dict[str, str]) -> Watch:
    """A function that watches once what is there."""

    def watch(*arguments: str, **more: str) -> Ended:
        return run("watch", mail.url, *arguments, **variables | more)

    return watch


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """A function that makes a command of a shell's program."""

    def script(text: str) -> str:
        path = tmp_path / "ticket.sh"
        path.write_text(f"#!/bin/sh\ncd {tmp_path}\n{text}\n")
        path.chmod(0o700)
        return str(path)

    return script


def lines(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def of_messages(ended: Ended) -> list[tuple[int, str]]:
    return [(line["uid"], line["outcome"]) for line in lines(ended) if line["message_type"] == "message"]


def test_the_command_has_the_message_and_its_names(
    watch: Watch, mail: Mail, tmp_path: Path, script: Callable[[str], str]
) -> None:
    (first,) = mail.fill("INBOX", 1)
    (second,) = mail.fill("a b", 1, create=True)
    command = script('cat >"$FASTIMAP_MAILBOX.$FASTIMAP_UID"; env >env; test -z "$FASTIMAP_PASSWORD"')
    ended = watch("INBOX", "a b", "--exec", command, "--start", "all", "--once")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (tmp_path / "INBOX.1").read_bytes() == first
    assert (tmp_path / "a b.1").read_bytes() == second
    environment = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines() if "=" in line)
    assert environment["FASTIMAP_ACCOUNT"] == f"{mail.user}@localhost"
    assert environment["FASTIMAP_DELIVERY"] == "1"
    assert int(environment["FASTIMAP_UIDVALIDITY"]) > 0
    (tmp_path / "INBOX.1").unlink()
    assert watch("INBOX", "a b", "--exec", command, "--once").returncode == 0
    assert not (tmp_path / "INBOX.1").exists()


def test_it_begins_with_what_is_new(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 2)
    assert of_messages(watch("--exec", "true", "--once", "--json")) == []
    mail.fill("INBOX", 1)
    ended = watch("--exec", "true", "--once", "--json")
    assert of_messages(ended) == [(3, "done")]
    assert lines(ended)[-1] == {
        "message_type": "summary",
        "code": 0,
        "done": 1,
        "later": 0,
        "failed": 0,
        "parked": 0,
        "left": 0,
        "owed": 0,
        "gone": [],
    }


def test_later_is_not_counted_and_failures_are_parked(
    watch: Watch, mail: Mail, script: Callable[[str], str], tmp_path: Path
) -> None:
    mail.fill("INBOX", 2)
    command = script('exit $(cat "code.$FASTIMAP_UID")')
    (tmp_path / "code.1").write_text("75")
    (tmp_path / "code.2").write_text("4")
    options = ("--exec", command, "--start", "all", "--later", "0.001", "--deliveries", "2", "--once", "--json")
    ended = watch(*options)
    assert (ended.returncode, of_messages(ended)) == (3, [(1, "later"), (2, "failed")])
    cursor = next((tmp_path / "state").rglob("*.sqlite"))
    subprocess.run(["sqlite3", cursor, "UPDATE fastimap_messages SET until = 0"], check=True)
    ended = watch(*options)
    assert (ended.returncode, of_messages(ended)) == (3, [(1, "later"), (2, "parked")])
    assert (lines(ended)[-1]["parked"], lines(ended)[-1]["left"], ended.stderr) == (1, 0, "")
    (tmp_path / "code.1").write_text("0")
    ended = watch(*options)
    assert (ended.returncode, of_messages(ended)) == (3, [(1, "done")])  # one is parked

    assert watch("--parked", FASTIMAP_PASSWORD="").stdout == "INBOX UID 2: exit code 4; tried 2 times\n"
    (line,) = lines(watch("--parked", "--json"))
    assert line == {
        "message_type": "parked",
        "mailbox": "INBOX",
        "uid": 2,
        "deliveries": 2,
        "reason": "exit code 4",
    }
    assert watch("--retry-parked").stderr == "delivered again: 1 message\n"
    assert watch("--parked").stdout == ""
    (tmp_path / "code.2").write_text("0")
    assert of_messages(watch(*options)) == [(2, "done")]


def test_what_a_killed_watch_had_is_not_called_done(watch: Watch, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    cursor = tmp_path / "cursor"
    arguments = ("--start", "all", "--once", "--cursor", str(cursor), "--exec")
    killed = watch(*arguments, "sh -c 'kill -9 $PPID'")
    assert killed.returncode == -signal.SIGKILL
    ended = watch(*arguments, "true")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "left: 3 messages" in ended.stderr
    assert "was killed" in ended.stderr
    ended = watch(*arguments, "true", "--json")
    assert ended.returncode == 3
    assert lines(ended)[-1]["left"] == 3


def test_done_messages_are_marked_and_moved(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 1)
    ended = watch("--exec", "true", "--start", "all", "--once", "--mark", "\\Seen", "--move-to", r"Trash")
    assert ended.returncode == 0
    everything = mail.all()
    assert everything["INBOX"] == []
    assert everything["Trash"][0][2] == ("\\Seen",)


def test_what_the_command_prints_does_not_disturb_json(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 1)
    ended = watch("--exec", "echo hello", "--start", "all", "--once", "--json")
    assert of_messages(ended) == [(1, "done")]
    assert ended.stderr == "hello\n"
    mail.fill("INBOX", 1)
    assert watch("--exec", "echo hello", "--once").stdout == "hello\n"


def test_a_command_that_hangs_has_failed(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 1)
    ended = watch("--exec", "sleep 60", "--start", "all", "--once", "--timeout", "0.1")
    assert ended.returncode == 3
    assert ended.stderr == "INBOX UID 1: failed (it did not end in 0.1 seconds), 1 of 5 times\n"


def test_a_mailbox_is_named_by_its_use(watch: Watch, mail: Mail) -> None:
    mail.fill("Trash", 1)
    assert of_messages(watch(r"\Trash", "--exec", "true", "--start", "all", "--once", "--json")) == [(1, "done")]
    ended = watch(r"\Junk", "--exec", "true", "--once")
    assert (ended.returncode, ended.stderr) == (
        1,
        "fastimap watch: the account has no mailbox with the special use \\Junk\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "--exec COMMAND"),
        (["--exec", "no-such-command"], 2, "no-such-command: there is no such command"),
        (["--exec", "'"], 2, "No closing quotation"),
        (["--exec", "true", "--start", "yesterday"], 2, "not a date"),
        (["--exec", "true", "--later", "-1"], 2, "not a number of seconds over 0"),
        (["--parked"], 2, "nothing was watched yet"),
        (["nowhere", "--exec", "true", "--once"], 1, "nowhere"),
    ],
)
def test_mistakes(watch: Watch, arguments: list[str], code: int, said: str) -> None:
    ended = watch(*arguments)
    assert ended.returncode == code
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_refused_credentials(watch: Watch) -> None:
    ended = watch("--exec", "true", "--once", FASTIMAP_PASSWORD="wrong")
    assert ended.returncode == 12


def test_the_configuration(run: Run, mail: Mail, variables: dict[str, str], tmp_path: Path) -> None:
    mail.fill("Drafts", 1)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[accounts.work]\nurl = "{mail.url}"\n[accounts.work.watch]\nmailboxes = ["Drafts"]\n'
        f'exec = ["cp", "/dev/stdin", "{tmp_path}/it came"]\nstart = "all"\n'
    )
    ended = run("watch", "work", "--once", **variables, FASTIMAP_CONFIG=str(config))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "it came").exists()
    config.write_text(config.read_text() + "colour = 1\n")
    ended = run("watch", "work", "--once", **variables, FASTIMAP_CONFIG=str(config))
    said = "fastimap watch: accounts.work.watch: 'colour' is not known; known are cursor, deliveries, exec, health, "
    assert (ended.returncode, ended.stderr.startswith(said)) == (2, True)


@contextmanager
def watching(mail: Mail, variables: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "fastimap", "watch", mail.url, *arguments],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_waits_for_the_command(
    mail: Mail,
    variables: dict[str, str],
    watch: Watch,
    script: Callable[[str], str],
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    mail.fill("INBOX", 2)
    command = script("touch begun; while test ! -e go; do sleep 0.05; done; touch ended")
    health = tmp_path / "health"
    with watching(mail, variables, "--exec", command, "--start", "all", "--health", str(health)) as process:
        until((tmp_path / "begun").exists, process)
        process.send_signal(number)
        (tmp_path / "go").touch()
        _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said == f"fastimap watch: {'interrupted' if number == signal.SIGINT else 'terminated'}\n"
    assert (tmp_path / "ended").exists()
    now = json.loads(health.read_text())
    assert (now["ok"], now["state"], now["counts"]["done"]) == (False, "stopped", 1)
    assert of_messages(watch("--exec", "true", "--once", "--json")) == [(2, "done")]


def test_a_second_signal_ends_the_command(
    mail: Mail, variables: dict[str, str], watch: Watch, script: Callable[[str], str], tmp_path: Path
) -> None:
    mail.fill("INBOX", 1)
    command = script("touch begun; sleep 60; touch ended")
    with watching(mail, variables, "--exec", command, "--start", "all", "--json") as process:
        until((tmp_path / "begun").exists, process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode in (130, 143)  # which comes last is the kernel's to know
    outcomes = [line["outcome"] for line in map(json.loads, output.splitlines()) if line["message_type"] == "message"]
    assert outcomes == ["later"]
    assert not (tmp_path / "ended").exists()
    ended = watch("--exec", "true", "--once", "--json")
    assert [line["delivery"] for line in lines(ended) if line["message_type"] == "message"] == [1]


# Two signals come when the command has begun, and the program does not know its process yet.
SIGNALS_AT_ITS_START = """
import signal, subprocess, sys
from fastimap.cli import main

class Popen(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)

subprocess.Popen = Popen
sys.exit(main(sys.argv[1:]))
"""


def test_a_second_signal_while_the_command_is_started_ends_it(
    mail: Mail, variables: dict[str, str], script: Callable[[str], str], tmp_path: Path
) -> None:
    mail.fill("INBOX", 1)
    arguments = ("watch", mail.url, "--exec", script("sleep 100; touch ended"), "--start", "all", "--json")
    ended = subprocess.run(
        [sys.executable, "-c", SIGNALS_AT_ITS_START, *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert (ended.returncode, ended.stderr) == (143, "fastimap watch: terminated\n")
    assert of_messages(ended) == [(1, "later")]
    assert not (tmp_path / "ended").exists()


def test_what_comes_is_handled_and_health_says_how_it_is(mail: Mail, variables: dict[str, str], tmp_path: Path) -> None:
    health = tmp_path / "health"
    with watching(mail, variables, "--exec", f"cp /dev/stdin {tmp_path}/came", "--health", str(health)) as process:
        until(lambda: health.exists() and json.loads(health.read_text())["ok"], process)
        (octets,) = mail.fill("INBOX", 1)
        until(lambda: (tmp_path / "came").exists() and (tmp_path / "came").read_bytes() == octets, process)
        assert json.loads(health.read_text())["pid"] == process.pid
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
