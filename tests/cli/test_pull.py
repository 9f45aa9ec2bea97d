"""``fastimap pull`` as its user meets it: exit codes, what it says, what it never says."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastimap import archive
from fastimap.archive import state
from fastimap.archive.locks import locked
from tests.archive.conftest import Mail, mail, stored
from tests.cli.conftest import Ended, Run, complaints

__all__ = ["mail"]


def pull(run: Run, mail: Mail, *arguments: str, **variables: str) -> Ended:
    variables.setdefault("FASTIMAP_PASSWORD", mail.server.password)
    return run("pull", *arguments, SSL_CERT_FILE=str(mail.server.ca_file), **variables)


def test_json(run: Run, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    ended = pull(run, mail, mail.url, str(tmp_path), "--json")
    assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    *_, summary = map(json.loads, ended.stdout.splitlines())
    assert summary["message_type"] == "summary"
    assert (summary["complete"], summary["found"], summary["written"], summary["code"]) == (True, 3, 3, 0)


def test_quiet(run: Run, mail: Mail, tmp_path: Path) -> None:
    assert pull(run, mail, mail.url, str(tmp_path), "-q").stdout == ""


def test_what_a_run_with_nothing_new_does_not_need_is_not_imported(run: Run, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    assert pull(run, mail, mail.url, str(tmp_path)).returncode == 0
    program = "import sys; from fastimap import cli; status = cli.main(sys.argv[1:]); print(status, *sys.modules)"
    environment = os.environ | {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    ended = subprocess.run(
        [sys.executable, "-c", program, "pull", mail.url, str(tmp_path), "-q"],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    status, *imported = ended.stdout.split()
    assert status == "0"
    assert "fastimap.commands.mailbox" in imported
    assert {*imported}.isdisjoint(
        {"asyncio", "encodings.idna", "json", "stringprep", "fastimap.archive.matching", "fastimap.archive.receiving"}
        | {"fastimap.clients.rows", "fastimap.commands.fetch", "fastimap.commands.select", "fastimap.model.codes"}
    )


def test_configuration(run: Run, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    (tmp_path / "secret").write_text("secret\nmore\n")
    (tmp_path / "config.toml").write_text(
        f'[accounts.work]\nurl = "{mail.url}"\npassword_command = ["cat", "{tmp_path}/secret"]\n'
        f'[accounts.work.pull]\nstore = "{tmp_path}/Mail"\nexclude = ["Trash"]\n'
    )
    environment = {name: value for name, value in os.environ.items() if name != "FASTIMAP_PASSWORD"}
    environment |= {"SSL_CERT_FILE": str(mail.server.ca_file), "FASTIMAP_CONFIG": str(tmp_path / "config.toml")}
    command = [sys.executable, "-m", "fastimap", "pull", "work"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    assert [*stored(tmp_path / "Mail")] == ["Drafts", "INBOX"]
    ended = subprocess.run([*command[:-1], "-a", "home"], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "no account 'home'; there are work" in ended.stderr


def test_an_authority_of_ones_own(run: Run, mail: Mail, tmp_path: Path) -> None:
    """It is trusted by an option, and by the configuration; without either the message says how."""
    mail.fill("INBOX", 2)
    authority, store = str(mail.server.ca_file), tmp_path / "Mail"
    configuration = tmp_path / "config.toml"
    configuration.write_text(f'[accounts.work]\nurl = "{mail.url}"\nca = "{authority}"\npassword_variable = "SECRET"\n')
    secret = {"FASTIMAP_PASSWORD": mail.server.password, "SECRET": mail.server.password}
    refused = run("pull", mail.url, str(store), **secret)
    assert refused.returncode == 10
    assert "--ca FILE" in refused.stderr
    for arguments in (["--ca", authority, mail.url], ["-c", str(configuration), "work"]):
        ended = run("pull", *arguments, str(store), **secret)
        assert (ended.returncode, complaints(ended.stderr)) == (0, "")
    assert stored(store) == mail.all()
    if os.name == "posix":  # it names mailboxes
        assert {file.stat().st_mode & 0o77 for file in store.glob(".fastimap*")} == {0}
    no_authority = tmp_path / "no.pem"
    for said in (f"there is no file {no_authority}", f"{no_authority} holds no certificate in PEM"):
        ended = run("pull", "--ca", str(no_authority), mail.url, str(store), **secret)
        assert ended.returncode == 2
        assert said in ended.stderr
        no_authority.write_text("no certificate")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which account"),
        (["imaps://ann@localhost"], "where to"),
        (["imaps://ann:password@localhost", "x"], "does not belong in the URL"),
        (["imaps://localhost", "x"], "user is missing"),
        (["http://ann@localhost", "x"], "not the URL"),
        (["imaps://ann@localhost", "x", "--since", "yesterday"], "not a date"),
        (["imaps://ann@localhost", "x", "--max-size", "big"], "not a size"),
        (["imaps://ann@localhost", "x", "--max-delete", "some"], "--max-delete is a number"),
        (["imaps://ann@localhost", "x", "--insecure"], "needs an imap:// URL"),
        (["work", "x", "-c", "/"], "fastimap pull: /: Is a directory"),
        (["imaps://ann@localhost", "x", "--ca", ""], "--ca: '' is not a text"),
        (["imaps://ann@localhost", "x", "--ca", "~nobody-of-this-name/x"], "there is no file ~nobody-of-this-name/x"),
        (["nobody", "x"], "no account 'nobody'"),
    ],
)
def test_mistakes(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    ended = run("pull", *arguments, FASTIMAP_PASSWORD="x", XDG_CONFIG_HOME=str(tmp_path))
    assert ended.returncode == 2
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not Path("x").exists()


@pytest.mark.parametrize("kind", ["maildir", "sqlite"])
def test_a_store_where_a_file_is(run: Run, mail: Mail, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "mail"
    file.write_text("mine")
    ended = pull(run, mail, mail.url, str(file), "--format", kind)
    assert (ended.returncode, file.read_text()) == (1, "mine")
    assert ended.stderr.startswith(f"fastimap pull: {file} is damaged, or no store of fastimap's")
    with pytest.raises(archive.StoreError, match="is damaged, or no store of fastimap's"):
        archive.pull(mail.account, archive.Maildir(file))
    below = pull(run, mail, mail.url, str(file / "below"), "--format", kind)
    assert (below.returncode, "Errno" in below.stderr) == (1, False)
    assert below.stderr.startswith(f"fastimap pull: {file}")


def test_a_password_that_is_no_text(run: Run, mail: Mail, tmp_path: Path) -> None:
    ended = pull(run, mail, mail.url, str(tmp_path / "mail"), "--password-command", "printf '\\377'")
    assert ended.returncode == 12
    assert ended.stderr == "fastimap pull: what printf printed is not UTF-8, so there is no password\n"


def test_nobody_listens(run: Run, tmp_path: Path, refused_port: int) -> None:
    ended = run("pull", f"imaps://ann@127.0.0.1:{refused_port}", str(tmp_path), FASTIMAP_PASSWORD="x")
    assert ended.returncode == 10
    assert ended.stderr.startswith("fastimap pull: can't connect: ")


def test_credentials_refused(run: Run, mail: Mail, tmp_path: Path) -> None:
    ended = pull(run, mail, mail.url, str(tmp_path), FASTIMAP_PASSWORD="wrong-one")
    assert ended.returncode == 12
    assert "refuses the credentials" in ended.stderr
    assert "wrong-one" not in ended.stderr


def test_in_use(run: Run, mail: Mail, tmp_path: Path) -> None:
    with locked(tmp_path):
        ended = pull(run, mail, mail.url, str(tmp_path))
    assert ended.returncode == 11
    assert str(os.getpid()) in ended.stderr


def test_not_all_and_a_limit(run: Run, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    assert pull(run, mail, mail.url, str(tmp_path), "--mailbox", "INBOX", "--mailbox", "x,y").returncode == 3
    ended = pull(run, mail, mail.url, str(tmp_path / "b"), "--max-octets", "1")
    assert ended.returncode == 13
    assert "stopped: " in ended.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(mail: Mail, tmp_path: Path, number: signal.Signals, code: int) -> None:
    mail.fill("INBOX", 60)
    environment = os.environ | {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    command = [sys.executable, "-m", "fastimap", "pull", mail.url, str(tmp_path), "--bwlimit", "2K"]
    process = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    cur = tmp_path / "INBOX" / "cur"
    while not (cur.is_dir() and any(cur.iterdir())) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert said.splitlines()[-1].endswith("what was done stays done, the same command goes on")
    assert "Traceback" not in said
    kept = stored(tmp_path).get("INBOX", [])
    assert kept == [message for message in mail.all()["INBOX"] if message in kept]


def test_a_full_disk(mail: Mail, tmp_path: Path) -> None:
    """What came before is kept; the next run, with room, goes on."""
    mail.client.append("INBOX", b"Subject: large\r\n\r\n" + b"x" * 400_000)
    mail.fill("INBOX", 5)
    environment = os.environ | {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    command = [sys.executable, "-m", "fastimap", "pull", mail.url, str(tmp_path)]

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))

    for program in (["--mailbox", "INBOX", "--limit", "5"], []):
        ended = subprocess.run(
            [*command, *program], env=environment, capture_output=True, text=True, check=False, preexec_fn=small
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("fastimap pull: ")
    assert len(ended.stderr.splitlines()) == 1
    assert len(stored(tmp_path)["INBOX"]) == 5
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout.startswith("complete: 6 found = 1 written + 5 there")
    assert stored(tmp_path) == mail.all()


def test_parquet(run: Run, mail: Mail, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    mail.fill("INBOX", 3)
    store = str(tmp_path / "mail")
    first = pull(run, mail, mail.url, store, "--format", "parquet", "--text", "--header", "List-Id")
    assert first.returncode == 0
    said = r"complete: 3 found = 3 written \+ 0 there; [1-9][0-9.,]* (octets|KiB) received, to "
    assert re.match(said, first.stdout), first.stdout
    mail.fill("INBOX", 1)
    assert pull(run, mail, mail.url, store).returncode == 0
    found = archive.read(store).to_table()
    assert found["text"].null_count == 0
    assert found["header_list_id"].to_pylist() == [None] * 4
    lines = [json.loads(line) for line in run("status", store, "--json").stdout.splitlines()]
    assert {line["mailbox"]: line["messages"] for line in lines} == {"Drafts": 0, "INBOX": 4, "Trash": 0}
    assert all(line["complete"] for line in lines)
    assert run("verify", store).returncode == 0
    ended = run("compact", store)
    assert (ended.returncode, ended.stdout) == (0, "2 files became 1; 0 rows removed\n")
    assert archive.read(store).count_rows() == 4
    ended = run("compact", store, "--json", "--of", "nobody")
    assert (ended.returncode, json.loads(ended.stdout)["error"]) == (2, "the store has nothing of nobody")
    wrong = pull(run, mail, mail.url, str(tmp_path / "maildir"), "--text")
    assert (wrong.returncode, "go with --format parquet" in wrong.stderr) == (2, True)
    wrong = run("compact", str(tmp_path))
    assert (wrong.returncode, "is no Parquet store: there is none" in wrong.stderr) == (2, True)


def test_status(run: Run, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    pull(run, mail, mail.url, str(tmp_path))
    ended = run("status", str(tmp_path))
    assert ended.returncode == 0
    assert f"{mail.user}@localhost INBOX: 2 messages\n" in ended.stdout
    lines = [json.loads(line) for line in run("status", str(tmp_path), "--json").stdout.splitlines()]
    assert {line["mailbox"]: line["messages"] for line in lines} == {"Drafts": 0, "INBOX": 2, "Trash": 0}
    assert run("status", str(tmp_path / "nowhere")).returncode == 2
    refused = run("pull", mail.url, str(tmp_path / "refused"), FASTIMAP_PASSWORD="wrong")
    assert refused.returncode != 0
    ended = run("status", str(tmp_path / "refused"))
    assert (ended.returncode, ended.stdout) == (3, "nothing was ever pulled into it\n")


def test_status_of_a_run_that_died_before_it_came_to_all(run: Run, mail: Mail, tmp_path: Path) -> None:
    """Mailboxes that it did not come to are not there at all, and all that is there is whole."""
    dying = (
        "import os, sys; from fastimap import cli; from fastimap.archive.receiving import Receiver as R\n"
        "whole = R.receive; R.receive = lambda self, job: os._exit(9) if job.name == 'Trash' else whole(self, job)\n"
        "cli.main(sys.argv[1:])"
    )
    variables = {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    command = [sys.executable, "-c", dying, "pull", mail.url, str(tmp_path), "--mailbox", "INBOX", "--mailbox", "Trash"]
    assert subprocess.run(command, env=os.environ | variables, timeout=120, check=False).returncode == 9
    ended = run("status", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (
        3,
        f"{mail.user}@localhost INBOX: 0 messages\n{mail.user}@localhost Trash: nothing of it has been pulled yet\n",
    )
    line = json.loads(run("status", str(tmp_path), "--json").stdout.splitlines()[-1])
    assert (line["mailbox"], line["complete"]) == ("Trash", False)
    assert run("verify", str(tmp_path)).stderr == "Trash: nothing of it has been pulled yet: pull again\n"
    pull(run, mail, mail.url, str(tmp_path))
    assert run("status", str(tmp_path)).returncode == 0


def test_verify(run: Run, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    pull(run, mail, mail.url, str(tmp_path))
    variables = {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    ended = run("verify", str(tmp_path))
    assert (ended.returncode, ended.stdout) == (0, "3 messages checked: all is well\n")
    next((tmp_path / "INBOX/cur").iterdir()).unlink()
    ended = run("verify", str(tmp_path), mail.url, **variables)
    assert ended.returncode == 3
    assert "missing" in ended.stderr
    ended = run("verify", str(tmp_path), mail.url, "--repair", "--json", **variables)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["differences"][0]["repaired"]
    assert run("verify", str(tmp_path), "--repair").returncode == 2
    assert run("verify", str(tmp_path / "nowhere")).returncode == 2


def test_a_budget(run: Run, mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    ended = pull(run, mail, mail.url, str(tmp_path), "--budget", "1K/day")
    assert ended.returncode == 13
    assert "stopped: the budget of 24 hours is used up; go on at 20" in ended.stderr
    assert pull(run, mail, mail.url, str(tmp_path), "--budget", "gmail").returncode == 0
    ended = pull(run, mail, mail.url, str(tmp_path), "--budget", "yahoo")
    assert ended.returncode == 2
    assert "'yahoo' is no size, and no profile: gmail, microsoft" in ended.stderr


def test_mistakes_in_the_configuration(run: Run, tmp_path: Path) -> None:
    configuration = tmp_path / "config.toml"
    for line, said in (
        ("exclude = [1]", "accounts.work.pull: exclude: [1] is not a list of names"),
        ('mailboxes = "INBOX"', "accounts.work.pull: mailboxes: 'INBOX' is not a list of names"),
        ("store = 5", "accounts.work.pull: store: 5 is not a text"),
        ('format = "zip"', "format: 'zip' is none; there are eml, jsonl"),
        ('mailbox = ["INBOX"]', "accounts.work.pull: 'mailbox' is not known; known are before, "),
    ):
        configuration.write_text(f'[accounts.work]\nurl = "imaps://ann@localhost"\n[accounts.work.pull]\n{line}\n')
        more = [] if "store" in line else [str(tmp_path / "Mail")]
        ended = run("pull", "-c", str(configuration), "--account", "work", *more, FASTIMAP_PASSWORD="x")
        assert (ended.returncode, said in ended.stderr, len(ended.stderr.splitlines())) == (2, True, 1), ended.stderr


def test_a_store_of_another_format(run: Run, mail: Mail, tmp_path: Path) -> None:
    """It is what it is, whoever names another format; a plain path is taken for that."""
    mail.fill("INBOX", 2)
    assert archive.pull(mail.account, archive.Mbox(tmp_path)).complete
    ended = pull(run, mail, mail.url, str(tmp_path), "--format", "maildir")
    assert (ended.returncode, "is a store of format mbox, not maildir" in ended.stderr) == (2, True)
    for other in (archive.Maildir, archive.EmlDirectory):
        with pytest.raises(archive.StoreError, match="of kind mbox"):
            archive.pull(mail.account, other(tmp_path))
    assert archive.pull(mail.account, tmp_path).written == 0
    assert archive.pull(mail.account, archive.SQLite(tmp_path / "one")).complete
    assert archive.pull(mail.account, tmp_path / "one").written == 0


def test_a_state_that_is_damaged(run: Run, mail: Mail, tmp_path: Path) -> None:
    """What to do is said, and does it."""
    mail.fill("INBOX", 2)
    archive.pull(mail.account, tmp_path)
    state = tmp_path / ".fastimap.sqlite"
    for octets in (state.read_bytes()[:3000], b"nothing of the kind" * 100):
        state.write_bytes(octets)
        for command in (["status"], ["verify"], ["pull", mail.url]):
            ended = run(*command, str(tmp_path), FASTIMAP_PASSWORD=mail.server.password)
            assert ended.returncode == 1
            assert f"{state} is damaged" in ended.stderr
            assert len(ended.stderr.splitlines()) == 1
    state.unlink()
    assert archive.pull(mail.account, tmp_path).written == 0
    assert stored(tmp_path) == mail.all()


def test_a_database_of_another_program_is_in_nobody_s_way(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    with sqlite3.connect(tmp_path / "mail.sqlite") as theirs:
        theirs.execute("CREATE TABLE mail (body)")
    theirs.close()
    assert archive.pull(mail.account, tmp_path).complete
    assert archive.pull(mail.account, archive.SQLite(tmp_path / "one.sqlite")).complete
    assert archive.pull(mail.account, archive.Maildir(tmp_path)).written == 0


def test_an_sqlite_store_that_is_damaged_is_no_place_for_a_maildir(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 1)
    archive.pull(mail.account, archive.SQLite(tmp_path))
    file = tmp_path / "mail.sqlite"
    file.write_bytes(b"x" * 100 + file.read_bytes()[100:])
    for store in (tmp_path, archive.Maildir(tmp_path)):
        with pytest.raises(archive.StoreError, match="is damaged"):
            archive.pull(mail.account, store)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_state_that_is_locked_is_not_damaged(mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.fill("INBOX", 1)
    archive.pull(mail.account, tmp_path)
    monkeypatch.setattr(state, "_PATIENCE", 0.2)
    holder = sqlite3.connect(tmp_path / ".fastimap.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(archive.StoreError, match="can't be read now: database is locked"):
        archive.pull(mail.account, tmp_path)
    holder.close()
