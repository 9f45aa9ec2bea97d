"""What `fastimap watch` does, and says, where not all goes well: commands, marks, servers, signals, arguments."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.archive.conftest import Mail, mail
from tests.cli.conftest import Ended, Run
from tests.cli.test_watch import Watch, lines, of_messages, script, until, variables, watch, watching

__all__ = ["mail", "script", "variables", "watch"]

ALL = ("--start", "all", "--once")


def kinds(ended: Ended, kind: str) -> list[dict[str, Any]]:
    return [line for line in lines(ended) if line["message_type"] == kind]


def flags(mail: Mail, mailbox: str = "INBOX") -> list[tuple[str, ...]]:
    return [found for _, _, found, _ in mail.all()[mailbox]]


# What is done on the server to messages that are done.


@pytest.mark.parametrize("wrong", [("--mark", "bad flag"), ("--mark", "Seen"), ("--move-to", "inbox")])
def test_arguments_of_actions_are_mistakes_before_anything_runs(
    watch: Watch, mail: Mail, tmp_path: Path, wrong: tuple[str, str]
) -> None:
    mail.fill("INBOX", 1)
    ended = watch("--exec", f"touch {tmp_path}/ran", *ALL, *wrong)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_mailbox_to_move_to_that_is_not_there(watch: Watch, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    ended = watch("--exec", f"touch {tmp_path}/ran", *ALL, "--move-to", "Nowhere")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("fastimap watch: --move-to: ")
    assert "Nowhere" in line
    assert not (tmp_path / "ran").exists()
    assert watch("--exec", "true", *ALL, "--move-to", r"\Trash").returncode == 0
    assert (len(mail.all()["INBOX"]), len(mail.all()["Trash"])) == (0, 1)


@pytest.mark.slow
def test_a_mark_that_is_refused_wedges_nothing(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 1)
    ended = watch("--exec", "true", *ALL, "--mark", r"\Odd", "--json")  # which Dovecot does not know
    assert (ended.returncode, of_messages(ended)) == (3, [(1, "done")])
    (action,) = kinds(ended, "action")
    assert (action["uids"], action["action"], action["argument"], action["outcome"]) == ("1", "mark", r"\Odd", "failed")
    assert (lines(ended)[-1]["owed"], lines(ended)[-1]["code"]) == (1, 3)

    mail.fill("INBOX", 1)
    ended = watch("--exec", "true", "--once", "--mark", r"\Odd")
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith(r"INBOX UID 1:2: done, but not marked with \Odd: ")

    mail.fill("INBOX", 1)
    ended = watch("--exec", "true", "--once", "--mark", r"\Seen")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert flags(mail) == [("\\Seen",)] * 3


@pytest.mark.slow
def test_a_mark_that_is_wanted_no_more_is_dropped(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 1)
    watch("--exec", "true", *ALL, "--mark", r"\Odd")
    mail.fill("INBOX", 1)
    ended = watch("--exec", "true", "--once", "--json")
    assert (ended.returncode, of_messages(ended)) == (0, [(2, "done")])
    assert [(line["uids"], line["outcome"]) for line in kinds(ended, "action")] == [("1", "dropped")]
    assert watch("--exec", "true", "--once").stderr == ""


def test_health_says_what_is_owed(mail: Mail, variables: dict[str, str], tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    path = tmp_path / "health"
    arguments = ("--exec", "true", "--start", "all", "--mark", r"\Odd", "--health", str(path))
    with watching(mail, variables, *arguments) as process:
        until(lambda: path.exists() and json.loads(path.read_text())["owed"], process)
        until(lambda: json.loads(path.read_text())["state"] == "waiting", process)
        now = json.loads(path.read_text())
        assert (now["ok"], now["owed"], now["counts"]["done"]) == (False, 1, 1)
        assert "the server answered" in now["error"]


# The command.


@pytest.mark.slow
def test_a_command_that_can_not_be_started_is_no_failure_of_the_message(
    watch: Watch, mail: Mail, tmp_path: Path, script: Callable[[str], str]
) -> None:
    mail.fill("INBOX", 1)
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o700)
    for _ in range(3):
        ended = watch("--exec", str(broken), *ALL, "--deliveries", "2")
        said = f"fastimap watch: {broken}: what its first line (#!) names to run it is not there\n"
        assert (ended.returncode, ended.stderr) == (1, said)
    broken.write_text("echo\n")
    assert "first line such as #!/bin/sh" in watch("--exec", str(broken), *ALL).stderr
    ended = watch("--exec", "true", *ALL, "--json", "--deliveries", "2")
    assert [line["delivery"] for line in kinds(ended, "message")] == [1]


def shell(variables: dict[str, str], mail: Mail, arguments: str, redirected: str) -> Ended:
    command = f"{shlex.quote(sys.executable)} -m fastimap watch {mail.url} {arguments} {redirected}"
    return subprocess.run(
        ["sh", "-c", command], env=os.environ | variables, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.mark.parametrize("json_too", ["", "--json"])
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(
    variables: dict[str, str], mail: Mail, tmp_path: Path, script: Callable[[str], str], closed: str, json_too: str
) -> None:
    (octets,) = mail.fill("INBOX", 1)
    command = script("cat >came; echo out; echo err >&2; touch ran")
    ended = shell(variables, mail, f"--exec {command} --start all --once {json_too}", closed)
    assert (ended.returncode, (tmp_path / "came").read_bytes()) == (0, octets)
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "ran").exists()
    if json_too and closed == "2>&-":
        assert of_messages(ended) == [(1, "done")]


def test_what_a_command_leaves_behind_does_not_count(
    watch: Watch, mail: Mail, tmp_path: Path, script: Callable[[str], str]
) -> None:
    """It exits 0 at once, having read nothing; a child of its keeps its standard input open, and lives on."""
    mail.client.append("INBOX", b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 200_000)
    mail.fill("INBOX", 1)
    command = script("exec 3<&0; (while test ! -e go; do sleep 0.05; done; wc -c <&3 >size) >/dev/null 2>&1 & exit 0")
    ended = watch("--exec", command, *ALL, "--timeout", "60", "--json")
    assert (ended.returncode, of_messages(ended)) == (0, [(1, "done"), (2, "done")])
    assert not (tmp_path / "size").exists()
    (tmp_path / "go").touch()
    while not (tmp_path / "size").exists():
        pass


@pytest.mark.slow
def test_what_a_command_that_takes_too_long_has_started_is_ended(
    watch: Watch, mail: Mail, tmp_path: Path, script: Callable[[str], str]
) -> None:
    mail.fill("INBOX", 1)
    command = script("(trap '' TERM; echo $$ >pid; sleep 60) & sleep 60")
    ended = watch("--exec", command, *ALL, "--timeout", "0.5")
    assert ended.returncode == 3
    listed = subprocess.run(["ps", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
    assert [line for line in listed.splitlines() if command in line and not line.startswith("Z")] == []


def test_secrets_are_not_in_the_commands_environment(
    run: Run, mail: Mail, variables: dict[str, str], tmp_path: Path, script: Callable[[str], str]
) -> None:
    mail.fill("INBOX", 1)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[accounts.work]\nurl = "{mail.url}"\npassword_variable = "WORK"\n'
        '[accounts.other]\nurl = "imaps://b@example.org"\npassword_variable = "OTHER"\n'
    )
    secrets = {"WORK": mail.server.password, "OTHER": "a", "FASTIMAP_TO_PASSWORD": "b", "FASTIMAP_PASSWORD": "c"}
    arguments = ("watch", "work", "--exec", script("env >env"), *ALL)
    ended = run(*arguments, **{**variables, **secrets}, FASTIMAP_CONFIG=str(config))
    assert (ended.returncode, ended.stderr) == (0, "")
    there = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert there & set(secrets) == set()
    assert "FASTIMAP_UID" in there


@pytest.mark.parametrize("option", ["--parked", "--retry-parked"])
def test_parked_messages_need_no_command(
    watch: Watch, run: Run, mail: Mail, variables: dict[str, str], tmp_path: Path, option: str
) -> None:
    mail.fill("INBOX", 1)
    ended = watch("--exec", "false", *ALL, "--deliveries", "1")
    assert ended.stderr == "INBOX UID 1: parked (exit code 1), 1 of 1 times\n"  # once
    config = tmp_path / "config.toml"
    config.write_text(f'[accounts.work]\nurl = "{mail.url}"\n[accounts.work.watch]\nexec = ["./gone"]\n')
    assert run("watch", "work", option, **variables, FASTIMAP_CONFIG=str(config)).returncode == 0


@pytest.mark.slow
def test_messages_that_were_parked_before_are_said(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 1)
    watch("--exec", "false", *ALL, "--deliveries", "1")
    ended = watch("--exec", "true", "--once")
    assert (ended.returncode, ended.stderr) == (3, "parked before: 1 message; see --parked\n")


# Outages, and mailboxes that are gone.


def test_an_outage_is_said_at_its_first_failure(variables: dict[str, str], mail: Mail, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]  # which nobody listens on afterwards
    path = tmp_path / "health"
    command = [sys.executable, "-m", "fastimap", "watch", f"imaps://ann@localhost:{port}", "--exec", "true"]
    process = subprocess.Popen(
        [*command, "--health", str(path)], env=os.environ | variables, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("connecting: ConnectFailed: ")
        assert f"port {port}" in line
        assert line.endswith("; it is tried again, for 86400 s at most (--max-outage)\n")
        until(lambda: json.loads(path.read_text())["error"], process)
        now = json.loads(path.read_text())
        assert (now["ok"], now["state"]) == (False, "connecting")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_mailbox_that_is_deleted_is_not_well(mail: Mail, variables: dict[str, str], tmp_path: Path) -> None:
    mail.fill("Work", 1, create=True)
    path = tmp_path / "health"
    with watching(mail, variables, "Work", "--exec", "true", "--start", "all", "--health", str(path)) as process:
        until(lambda: path.exists() and json.loads(path.read_text())["state"] == "waiting", process)
        mail.client.delete_mailbox("Work")
        until(lambda: json.loads(path.read_text())["gone"], process)
        now = json.loads(path.read_text())
        assert (now["ok"], now["gone"], now["error"]) == (False, ["Work"], "gone: Work")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert "Work: it is gone (" in said
    assert said.count("is gone") == 1


# Signals.


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_the_end_by_a_signal_is_the_last_that_is_said(
    mail: Mail, variables: dict[str, str], script: Callable[[str], str], tmp_path: Path, number: signal.Signals
) -> None:
    mail.fill("INBOX", 2)
    command = script("touch begun; while test ! -e go; do sleep 0.05; done; touch ended")
    with watching(mail, variables, "--exec", command, "--start", "all", "--json") as process:
        until((tmp_path / "begun").exists, process)
        process.send_signal(number)
        (tmp_path / "go").touch()
        output, _ = process.communicate(timeout=60)
    code = 128 + number
    assert process.returncode == code
    assert (tmp_path / "ended").exists()
    said = [json.loads(line) for line in output.splitlines()]
    word = {signal.SIGHUP: "hung up", signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}[number]
    assert said[-2] == {"message_type": "error", "error": word, "code": code}
    assert (said[-1]["message_type"], said[-1]["code"], said[-1]["done"]) == ("summary", code, 1)


def test_a_hangup_that_is_ignored_is_none(
    mail: Mail, variables: dict[str, str], script: Callable[[str], str], tmp_path: Path
) -> None:
    mail.fill("INBOX", 2)
    command = script("touch begun; while test ! -e go; do sleep 0.05; done")
    process = subprocess.Popen(
        [sys.executable, "-m", "fastimap", "watch", mail.url, "--exec", command, *ALL, "--json"],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    until((tmp_path / "begun").exists, process)
    process.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(output.splitlines()[-1])["done"] == 2


# SIGTERM comes when a message was handed out, and its command was not started yet.
SIGNAL_BEFORE_THE_COMMAND = """
import signal, sys
from fastimap.cli import main, watch

handle = watch._Watcher._handle

def early(self, message):
    signal.raise_signal(signal.SIGTERM)
    return handle(self, message)

watch._Watcher._handle = early
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_signal_before_the_command_is_no_delivery(mail: Mail, variables: dict[str, str], watch: Watch) -> None:
    mail.fill("INBOX", 1)
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", SIGNAL_BEFORE_THE_COMMAND, "watch", mail.url, "--exec", "true", *ALL],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert (ended.returncode, ended.stderr) == (143, "fastimap watch: terminated\n")
    ended = watch("--exec", "true", "--once", "--json")
    assert [line["delivery"] for line in kinds(ended, "message")] == [1]


# What is said.


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nowhere", "--exec", "true", "--once"], 1),
        (["--exec", "true", "--once", "--mark", "Seen"], 2),
        (["--exec", "true", "--once", "--later", "x"], 2),
        (["--exec", "true", "--once", "--no-such-option"], 2),
        (["--exec", "./no-such-command", "--once"], 2),
        (["--once"], 2),
    ],
)
def test_why_it_ends_is_a_line_of_json_with_the_exit_code(watch: Watch, arguments: list[str], code: int) -> None:
    ended = watch(*arguments, "--json")
    assert ended.returncode == code
    (error,) = kinds(ended, "error")
    assert error["code"] == code
    assert {line.get("code", code) for line in lines(ended)} == {code}
    if kinds(ended, "summary"):
        assert lines(ended)[-1]["message_type"] == "summary"
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.slow
def test_refused_credentials_are_in_the_summary(watch: Watch) -> None:
    ended = watch("--exec", "true", "--once", "--json", FASTIMAP_PASSWORD="wrong")
    assert [line["code"] for line in lines(ended) if "code" in line] == [12, 12]
    assert lines(ended)[-1]["message_type"] == "summary"


@pytest.mark.slow
def test_inbox_is_one_mailbox_in_any_case(watch: Watch, mail: Mail) -> None:
    mail.fill("INBOX", 1)
    assert of_messages(watch("inbox", "INBOX", "Inbox", "--exec", "true", *ALL, "--json")) == [(1, "done")]
    assert of_messages(watch("iNBOX", "--exec", "true", *ALL, "--json")) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("exec = 5", "exec: 5 is no command: a text, or a list of texts"),
        ('exec = ["true", 5]', "exec: ['true', 5] is no command: a text, or a list of texts"),
        ("mailboxes = [1]", "mailboxes: [1] is not a list of names"),
        ("mailboxes = []", "mailboxes is a list of names"),
        ("start = 5", "start: 5 is not a date such as 2024-01-31"),
        ('once = "no"', "once: 'no' is neither true nor false"),
        ("later = []", "later: [] is not a number of seconds over 0"),
        ("cursor = 5", "cursor: 5 is not a text"),
    ],
)
def test_a_configuration_of_other_types(
    run: Run, mail: Mail, variables: dict[str, str], tmp_path: Path, line: str, said: str
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[accounts.work]\nurl = "{mail.url}"\n[accounts.work.watch]\n{line}\n')
    exec_ = () if line.startswith("exec") else ("--exec", "true")
    ended = run("watch", "work", *exec_, "--once", **variables, FASTIMAP_CONFIG=str(config))
    if not line.startswith("once"):
        assert ended.stderr == f"fastimap watch: accounts.work.watch: {said}\n"
    ended = run("watch", "work", *exec_, **variables, FASTIMAP_CONFIG=str(config))
    assert (ended.returncode, ended.stderr) == (2, f"fastimap watch: accounts.work.watch: {said}\n")


def test_commands_that_are_none(watch: Watch, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert watch("--exec", str(plain)).stderr == f"fastimap watch: {plain}: it may not be executed; chmod +x {plain}\n"
    assert watch("--exec", str(tmp_path)).stderr == f"fastimap watch: {tmp_path}: it is a directory, not a command\n"


def test_a_health_file_that_can_not_be(watch: Watch, tmp_path: Path) -> None:
    ended = watch("--exec", "true", "--once", "--health", str(tmp_path / "no" / "file"))
    said = f"fastimap watch: --health {tmp_path}/no/file: there is no directory {tmp_path}/no\n"
    assert (ended.returncode, ended.stderr) == (2, said)
    (tmp_path / "directory").mkdir()
    ended = watch("--exec", "true", "--once", "--health", str(tmp_path / "directory"))
    assert (ended.returncode, "it is a directory" in ended.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("directory")] == ["directory"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_without_a_home_directory(mail: Mail, variables: dict[str, str]) -> None:
    nobody = next(uid for uid in range(50_000, 60_000) if uid not in {entry.pw_uid for entry in pwd.getpwall()})
    code = f"import os, sys; os.setuid({nobody}); from fastimap.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {name: value for name, value in (os.environ | variables).items() if name != "XDG_STATE_HOME"}
    environment.pop("HOME", None)
    ended = subprocess.run(
        [sys.executable, "-c", "from fastimap.cli import main, watch\n" + code, "watch", mail.url, "--exec", "true"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = "~/.local/state: there is no home directory; set HOME, or name a file by --cursor"
    assert (ended.returncode, ended.stderr) == (2, f"fastimap watch: {said}\n")


def test_a_cursor_that_can_not_be_made(watch: Watch) -> None:
    ended = watch("--exec", "true", "--once", XDG_STATE_HOME="/proc/no")
    assert ended.returncode == 1
    assert ended.stderr.endswith("; name another file by --cursor\n")


@pytest.mark.slow
def test_another_uidvalidity_names_the_option(watch: Watch, mail: Mail, tmp_path: Path) -> None:
    arguments = ("--exec", "true", *ALL, "--cursor", str(tmp_path / "cursor"))
    assert watch(*arguments).returncode == 0
    subprocess.run(
        ["sqlite3", tmp_path / "cursor", "UPDATE fastimap_mailboxes SET uid_validity = uid_validity + 1"], check=True
    )
    ended = watch(*arguments)
    assert (ended.returncode, "--on-reset" in ended.stderr) == (1, True)
    mail.fill("INBOX", 1)
    ended = watch(*arguments, "--on-reset", "all")
    assert ended.returncode == 0
    assert "it was begun anew, as --on-reset says" in ended.stderr
    assert "on_reset" not in ended.stderr
    for path in tmp_path.glob("cursor*"):
        if not path.name.endswith("-began"):
            path.unlink()
    ended = watch(*arguments)
    assert "say by --on-reset where to begin" in ended.stderr
    assert "on_reset" not in ended.stderr


def test_servers_of_one_host_have_a_cursor_each(watch: Watch, mail: Mail, tmp_path: Path) -> None:
    port, state = mail.server.tls_port, tmp_path / "state" / "fastimap"
    assert watch("--exec", "true", *ALL).returncode == 0
    (path,) = state.glob("*.sqlite")
    assert path.name == f"watch-{mail.user}@localhost-{port}.sqlite"
    before = state / f"watch-{mail.user}@localhost.sqlite"  # of a version that did not know ports
    for file in state.iterdir():
        file.rename(state / file.name.replace(path.name, before.name))
    assert watch("--exec", "true", *ALL).returncode == 0
    assert not path.exists()
