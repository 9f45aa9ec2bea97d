"""What can't be meant is refused, in one line that has the command line's own words, and with the exit code 2."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import fastimap
from fastimap import archive
from fastimap.cli import COMMANDS, command_parser, main, words
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, mail
from tests.archive.test_migrate import other
from tests.cli.conftest import Run

__all__ = ["mail", "other"]

Said = Callable[..., str]
PULL = ("pull", "imaps://ann@localhost", "store")


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PASSWORD_COMMAND", "CONFIG"):
        monkeypatch.delenv(f"FASTIMAP_{name}", raising=False)
    monkeypatch.setenv("FASTIMAP_PASSWORD", "password")
    for name in ("CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer() as made:
        made.append("INBOX", b"Subject: x\r\n\r\n")
        yield made


@pytest.fixture
def url(server: IMAPServer) -> str:
    return f"imap://user@{server.host}:{server.port}"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """A function that runs a command, which is to end with a code; the one line that it says."""

    def said(*arguments: str, code: int = 2) -> str:
        assert main([*arguments]) == code, capsys.readouterr()
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        return str(line)

    return said


# Names that are empty, as of a script's variable that is not set.


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("completion", "demo")])
def test_an_empty_name(said: Said, tmp_path: Path, command: str) -> None:
    """Whatever is a text of any command is refused where it is empty, but for what is looked for in messages."""
    looked_for = {"from", "to", "subject", "text", "program"} if command == "search" else set()
    for action in command_parser(command)._actions:
        if action.nargs == 0 or action.dest in looked_for:
            continue
        if action.option_strings:
            given, name = [f"{action.option_strings[-1]}="], action.option_strings[-1]
        else:
            positionals = [each.dest for each in command_parser(command)._actions if not each.option_strings]
            given = ["x"] * positionals.index(action.dest) + [""]
            name = str(action.metavar)
        line = said(command, *given)
        assert name in line
        assert "''" in line
    assert [*tmp_path.iterdir()] == []


def test_an_empty_text_is_looked_for(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", url, "--insecure", "--subject", "", "--uids"]) == 0
    assert main(["search", url, "--insecure", "--uids", "SUBJECT", ""]) == 0
    assert capsys.readouterr().out == "1\n1\n"


# A choice of nothing.


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--mailbox", "inbox", "--exclude", "INBOX"), "no mailbox is left"),
        (("--since", "2024-02-01", "--before", "2024-02-01"), "no message came since 2024-02-01 and before 2024-02-01"),
        (("--min-size", "2K", "--max-size", "2047"), "no message has 2048 octets at least and 2047 at most"),
    ],
)
@pytest.mark.parametrize("command", ["pull", "push", "migrate"])
def test_an_empty_choice(said: Said, url: str, tmp_path: Path, command: str, options: list[str], text: str) -> None:
    """It was complete, of nothing."""
    (tmp_path / "secret").write_text("secret\n")
    if command == "push":
        assert main(["pull", url, "store", "--insecure", "-q"]) == 0
    ends = {
        "pull": [url, "store"],
        "push": ["store", url],
        "migrate": [url, "imap://ann@localhost", "--to-insecure", "--to-password-file", "secret"],
    }
    if command != "pull" and "--min-size" in options:
        return  # they have no such option
    assert text in said(command, *ends[command], "--insecure", *options)


def test_an_empty_choice_in_python(tmp_path: Path) -> None:
    account = fastimap.Account("localhost", user="ann", password="x")
    wrong: list[dict[str, Any]] = [{"mailboxes": []}, {"since": date(2024, 2, 1), "before": date(2024, 1, 1)}]
    for options in wrong:
        with pytest.raises(ValueError, match="no m"):
            archive.pull(account, tmp_path / "store", **options)
        with pytest.raises(ValueError, match="no m"):
            archive.migrate(account, account, **options)


# The configuration.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[accounts.work.pull]\nmailboxes = []", "no mailbox is left"),
        ("[accounts.work.pull]\nbudget = 0", "accounts.work.pull: budget: 0 is nothing: leave it out for no limit"),
        ("[accounts.work.pull]\ndeleted = 3", "accounts.work.pull: deleted: 3 is none of keep, mark, delete"),
        ("[account.work]\nurl = 'imaps://a@b'", "'account' is not known; [accounts.NAME] is what it holds"),
        ("[accounts.work.migrate]\nacl = 'no'", "accounts.work.migrate: acl: 'no' is neither true nor false"),
        ("[accounts.work.migrate]\nrename = ['ab']", "accounts.work.migrate: rename: ['ab'] is no table of names"),
    ],
)
def test_the_configuration(said: Said, url: str, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "config.toml").write_text(f"[accounts.work]\nurl = '{url}'\n{text}\n")
    where = ["store"] if "migrate" not in text else ["imap://ann@localhost"]
    command = "migrate" if "migrate" in text else "pull"
    assert expected in said(command, "work", *where, "--insecure", "-c", "config.toml")
    if command == "pull" and "account." not in text:
        text = text.replace("]\n", "]\nstore = 'one'\n")
        (tmp_path / "config.toml").write_text(f"[accounts.work]\nurl = '{url}'\npassword_file = 'x'\n{text}\n")
        assert expected in said("pull", "--accounts", "config.toml", "--insecure")


def test_the_octets_of_a_configuration(said: Said, url: str, tmp_path: Path) -> None:
    """Windows' editors begin a file of UTF-8 with U+FEFF."""
    (tmp_path / "config.toml").write_text(f"\ufeff[accounts.work]\nurl = '{url}'\n", "utf-8")
    assert main(["search", "work", "--insecure", "-c", "config.toml", "--uids", "SUBJECT", "none"]) == 0
    (tmp_path / "config.toml").write_bytes(b"\xff")
    assert said("ls", "work", "-c", "config.toml").endswith("config.toml: it is not text in UTF-8")


@pytest.mark.parametrize("option", ["--budget", "--bwlimit", "--max-octets"])
def test_a_limit_of_nothing(said: Said, option: str) -> None:
    assert f"{option}: '0' is nothing: leave it out for no limit" in said(*PULL, option, "0")


def test_a_profile_is_not_for_what_is_sent(said: Said) -> None:
    """It says what may be received."""
    line = said("push", "store", "imaps://ann@localhost", "--budget", "gmail")
    assert "--budget: 'gmail' is not a size" in line


# Accounts.


@pytest.mark.parametrize(
    ("mechanism", "options", "text"),
    [
        ("FOO", [], "mechanism: unknown SASL mechanism 'FOO'; known are "),
        ("XOAUTH2", [], "mechanism: XOAUTH2 needs a token; "),
        ("oauthbearer", ["--password-command", "echo x"], "mechanism: OAUTHBEARER needs a token; "),
        ("PLAIN", ["--token-command", "echo x"], "mechanism: PLAIN needs a password; "),
    ],
)
@pytest.mark.parametrize("in_url", [False, True])
def test_a_mechanism_and_what_it_needs(
    said: Said, tmp_path: Path, mechanism: str, options: list[str], text: str, in_url: bool
) -> None:
    url, more = (f"imaps://u;AUTH={mechanism}@h", "") if in_url else ("imaps://u@h", f'mechanism = "{mechanism}"')
    (tmp_path / "config.toml").write_text(f"[accounts.work]\nurl = '{url}'\n{more}\n")
    line = said("ls", "work", "-c", "config.toml", *options)
    assert text in line
    assert line.endswith("a password comes by password_command and the like, a token by token_command")


def test_a_mechanism_in_a_url_as_it_may_be_written(said: Said, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Literals of a grammar are of either case (RFC 5234, section 2.3), and %41 is A (RFC 5092, section 5)."""
    assert "XOAUTH2 needs a token" in said("ls", "imaps://u;auth=XOAUTH2@h")
    for written in (";auth=PLAIN", ";AUTH=PL%41IN", ";AUTH=*"):
        given = url.replace("@", f"{written}@")
        assert main(["ls", given, "--insecure", "--names"]) == 0
        assert capsys.readouterr() == ("INBOX\n", "")


def test_a_mechanism_without_a_secret(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for no password; nobody listens there."""
    monkeypatch.delenv("FASTIMAP_PASSWORD")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        line = said("ls", f"imaps://u;auth=external@127.0.0.1:{taken.getsockname()[1]}", code=10)
    assert "can't connect: no connection to 127.0.0.1" in line


@pytest.mark.parametrize("command", ["ls", "doctor"])
def test_a_host_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def looked_up(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    assert main([command, "imaps://ann@nowhere.invalid"]) == 10
    captured = capsys.readouterr()
    assert captured.err.endswith("can't connect: there is no host 'nowhere.invalid': Name or service not known\n")
    assert command == "ls" or "the name nowhere.invalid can't be resolved" in captured.out


@pytest.mark.parametrize("host", ["x..y", ".example.org", "x" * 64 + ".example.org"])
@pytest.mark.parametrize("command", ["ls", "doctor", "demo"])
def test_a_host_that_can_be_none(said: Said, command: str, host: str) -> None:
    assert f"{host!r} can't be the name of a host" in said(command, f"imaps://ann@{host}")


@pytest.mark.parametrize("ends", ["status", "verify", "compact", "pull", "push", "config"])
def test_a_home_directory_of_nobody(said: Said, url: str, ends: str) -> None:
    """And an argument that is a directory may be any octets, but not all others."""
    where = "~no-such-user/x"
    given = {"pull": [url, where, "--insecure"], "push": [where, url, "--insecure"], "config": ["work", "-c", where]}
    assert "there is no home directory" in said("ls" if ends == "config" else ends, *given.get(ends, [where]))


def test_a_flag_is_named_as_a_shell_takes_it(said: Said, url: str) -> None:
    """And not as Python's source has it, with two backslashes."""
    line = said("watch", url, "--insecure", "--exec", "true", "--once", "--mark", "Seen")
    assert line.endswith(r"system flags begin with a backslash: '\Seen', not 'Seen'")


def test_a_directory_in_the_place_of_an_account(said: Said, url: str, tmp_path: Path) -> None:
    """As when the archive is to be searched, or the two arguments have changed places."""
    (tmp_path / "mail").mkdir()
    for arguments in (["search", "mail", "UNSEEN"], ["push", "mail", "mail"], ["verify", "mail", "mail"]):
        line = said(*arguments)
        assert "has no account 'mail'" in line
        assert line.endswith("It is a directory: an account, whose mail is on a server, is wanted in that place")


def test_an_account_as_it_is_said_elsewhere(said: Said) -> None:
    assert said("ls", "ann@imap.example.org").endswith(". Of a server say the URL: imaps://ann@imap.example.org")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ls", "URL", "\udcff"], "an argument is not text in UTF-8"),
        (["search", "URL", "--from", "\udcff"], "an argument is not text in UTF-8"),
        (["ls", "imaps://u%FF@h"], "its percent-encoding is not that of UTF-8"),
        (["ls", "imaps://u@h?x"], "not the URL of an account"),
        (["ls", "imaps://u@" + "\u00fc" * 60], "the host can't be the name of one"),
    ],
)
def test_text_that_is_none(said: Said, url: str, arguments: list[str], text: str) -> None:
    first, *others = [url if each == "URL" else each for each in arguments]
    assert text in said(first, *others, *(["--insecure"] if "URL" in arguments else []))


@pytest.mark.parametrize("many", [False, True])
def test_a_password_that_can_not_be_had(
    capsys: pytest.CaptureFixture[str], url: str, tmp_path: Path, many: bool
) -> None:
    """It is one exit code, whether one account is pulled or many."""
    for ways in ('password_command = "false"', 'password_file = "none"', 'password_variable = "NOT_SET"'):
        (tmp_path / "config.toml").write_text(f"[accounts.work]\nurl = '{url}'\n{ways}\n")
        how = ["--accounts", "config.toml", "store"] if many else ["work", "store", "-c", "config.toml"]
        assert main(["pull", *how, "--insecure"]) == 12, capsys.readouterr()


# Which store, which account, which mailbox.


@pytest.mark.parametrize("kind", ["maildir", "parquet"])
def test_verify_by_a_name_alone(
    said: Said, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """The mail of one account of a store is checked without its server; a name that the store does not have is none."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    more = ["--body"] if kind == "parquet" else []
    for name in ("one", "two"):
        assert main(["pull", url, "store", "--insecure", "--name", name, "-q", "--format", kind, *more]) == 0
    before = {*tmp_path.rglob("*")}
    for chosen, count in (((), "2 messages"), (("--name", "one"), "1 message")):
        assert main(["verify", "store", *chosen]) == 0
        assert capsys.readouterr().out == f"{count} checked: all is well\n"
    line = said("verify", "store", "--name", "three")
    assert line.endswith("has nothing of three; it has mail of one, two (--name says what an account is called in it)")
    assert {path for path in {*tmp_path.rglob("*")} - before if path.name != ".fastimap.lock"} == set()
    with pytest.raises(ValueError, match="the store has nothing of three"):
        archive.verify(tmp_path / "store", name="three")
    assert archive.verify(tmp_path / "store", name="two").checked == 1
    if kind == "maildir":
        assert "several accounts, --of says which: one, two" in said("push", "store", url, "--insecure")


def test_the_library_says_what_is_called_otherwise_here() -> None:
    """What is replaced is what the library says, so that no advice on Python is left on the command line."""
    root = Path(fastimap.__file__).parent
    texts = "\n".join(
        file.read_text("utf-8") for file in root.rglob("*.py") if file.relative_to(root).parts[0] != "cli"
    )
    for word, here in words._HERE.items():
        assert word in texts
        assert words.here(f"x {word} y") == f"x {here} y"


@pytest.mark.slow
def test_the_account_and_the_mailbox_are_named(run: Run, mail: Mail, other: Mail, tmp_path: Path) -> None:
    given = {"FASTIMAP_PASSWORD": "secret", "FASTIMAP_TO_PASSWORD": "secret", "XDG_STATE_HOME": str(tmp_path)}
    given["SSL_CERT_FILE"] = str(mail.server.ca_file)
    for variable, which, end in (
        ("FASTIMAP_PASSWORD", mail, "the source"),
        ("FASTIMAP_TO_PASSWORD", other, "the destination"),
    ):
        ended = run("migrate", mail.url, other.url, **given | {variable: "wrong"})
        assert ended.returncode == 12
        port = f":{which.server.tls_port}"  # where the two have one name else
        assert ended.stderr.replace(port, "").endswith(f"(the account is {which.user}@localhost, {end})\n")
    mail.client.create_mailbox("Closed")
    mail.client.set_acl("Closed", mail.user, "la")
    ended = run("cat", mail.url, "Closed", "1", **given)
    assert (ended.returncode, ended.stderr[:40]) == (1, "fastimap cat: Closed: EXAMINE: the server a"[:40])
    for names in (["Closed"], ["INBOX", "Closed"]):
        ended = run("watch", mail.url, *names, "--exec", "true", "--once", **given)
        assert ended.returncode == 1
        assert ended.stderr.endswith("(mailbox Closed)\n")


@pytest.mark.slow
def test_a_search_goes_on_past_a_closed_mailbox(run: Run, mail: Mail) -> None:
    given = {"FASTIMAP_PASSWORD": "secret", "SSL_CERT_FILE": str(mail.server.ca_file)}
    for name in ("Closed", "Open"):
        mail.fill(name, 1, create=True)
    mail.client.set_acl("Closed", mail.user, "la")
    names = ("--mailbox", "Closed", "--mailbox", r"\Archive", "--mailbox", "Open")
    ended = run("search", mail.url, "--uids", *names, **given)
    assert (ended.returncode, ended.stdout) == (3, "Open 1\n")
    closed, nothing = ended.stderr.splitlines()
    assert closed.startswith("Closed: EXAMINE: the server answered NO [NOPERM]")
    assert nothing == r"the account has no mailbox with the special use \Archive"
    ended = run("search", mail.url, "--mailbox", "Closed", **given)
    assert (ended.returncode, ended.stdout) == (1, "")


@pytest.mark.parametrize("arguments", [("cat", "INBOX", "1"), ("search", "--everywhere")])
def test_credentials_that_are_refused_after_a_cut(said: Said, arguments: list[str]) -> None:
    """No mailbox is to blame, and others can't be looked into either."""
    logins: list[bytes] = []

    class Peer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello\r\n")
            for line in self.rfile:
                tag, command = line.split()[:2]
                if command == b"EXAMINE":
                    return
                answer = b"OK done"
                if command == b"LIST":
                    self.wfile.write(b'* LIST () "/" INBOX\r\n')
                elif command == b"AUTHENTICATE":
                    logins.append(line)
                    answer = answer if len(logins) == 1 else b"NO [AUTHENTICATIONFAILED] it has changed"
                self.wfile.write(tag + b" " + answer + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Peer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        command, *others = arguments
        line = said(command, f"imap://ann@127.0.0.1:{server.server_address[1]}", *others, "--insecure", code=12)
        server.shutdown()
        thread.join()
    assert "the server refuses the credentials: AUTHENTICATE PLAIN: " in line


def test_the_mailbox_is_named_once(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("--mailbox", "none", "--mailbox", "INBOX")
    assert main(["search", url, "--insecure", "--json", "--uids", *names]) == 3
    error, found = map(json.loads, capsys.readouterr().out.splitlines())
    assert (error["mailbox"], error["error"][:8], found["uids"]) == ("none", "EXAMINE:", "1")


# Standard streams.


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("how", ["full", "unread"])
@pytest.mark.parametrize(
    ("command", "stream", "code", "text"),
    [
        ("pull --nonsense", "stderr", 2, None),
        ("status /nowhere", "stderr", 2, None),
        ("--version", "stdout", 1, ""),
        ("pull --help", "stdout", 1, ""),
        ("ls URL", "stdout", 1, "fastimap ls: standard output: No space left on device\n"),
        ("ls URL --json", "stdout", 1, "fastimap ls: the disk is full\n"),
        ("pull URL store -v", "stderr", 0, None),
        ("pull URL store --mailbox none", "stderr", 3, None),
    ],
)
def test_streams_that_are_full(url: str, how: str, command: str, stream: str, code: int, text: str | None) -> None:
    """Python itself ends with 120 where it can't write at its end what was printed."""
    words = command.replace("URL", f"{url} --insecure").split()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if how == "full":
        nowhere = os.open("/dev/full", os.O_WRONLY)
    else:
        reads, nowhere = os.pipe()
        os.close(reads)
    ended = subprocess.run(
        [sys.executable, "-m", "fastimap", *words],
        stdout=nowhere if stream == "stdout" else subprocess.PIPE,
        stderr=nowhere if stream == "stderr" else subprocess.PIPE,
        text=True,
        timeout=120,
        env=environment,
    )
    os.close(nowhere)
    assert (ended.returncode, ended.stderr) == (code, text if how == "full" or text is None else "")


@pytest.mark.slow
def test_letters_that_a_locale_does_not_have(run: Run, server: IMAPServer, url: str, tmp_path: Path) -> None:
    """The locale C of a cron job, of which Python lets pass octets that it could not read, and no letters."""
    server.create("größe")
    given = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run("pull", url, str(tmp_path), "--insecure", "-q", **given).returncode == 0
    ended = run("status", str(tmp_path), **given)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "gr\\xf6\\xdfe" in ended.stdout
