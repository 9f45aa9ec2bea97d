"""Where a pull stops before it does harm, and what it recognises only if it is certain."""

from __future__ import annotations

import contextlib
import mailbox
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, archive
from fastimap.archive.stores import store_at
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, message, stored
from tests.cli.conftest import Run, run
from tests.client.conftest import serve
from tests.client.peers import DONE, asked_for, converse
from tests.support.odd import Change, odd

__all__ = ["run", "serve"]

# Another program's mail.


def another_program(root: Path, messages: list[bytes]) -> list[Path]:
    """Deliver messages into a Maildir by the standard library; return the files."""
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True, exist_ok=True)
    box = mailbox.Maildir(root)
    for octets in messages:
        box.add(octets)
    return sorted((root / "new").iterdir())


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("where", ["", "INBOX", "a/b"])
def test_a_maildir_of_another_program_is_not_pulled_into(mail: Mail, tmp_path: Path, where: str, dry_run: bool) -> None:
    mail.fill("INBOX", 2)
    (file,) = another_program(tmp_path / "Mail" / where, [message(7)])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(archive.StoreError, match=rf"{file.name} is mail of another program: .*--adopt"):
        archive.pull(mail.account, tmp_path / "Mail", dry_run=dry_run)
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(archive.StoreError, match="another program"):  # what is adopted is elsewhere
        archive.pull(mail.account, tmp_path / "Mail", dry_run=dry_run, adopt=tmp_path)


def test_an_empty_maildir_and_other_formats_are_pulled_into(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    another_program(tmp_path / "empty" / "INBOX", [])
    assert archive.pull(mail.account, tmp_path / "empty").complete
    another_program(tmp_path / "eml" / "INBOX", [message(7)])
    assert archive.pull(mail.account, archive.EmlDirectory(tmp_path / "eml")).complete


def test_mail_that_a_reader_adds_later_stops_nothing(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 2)
    archive.pull(mail.account, tmp_path)
    another_program(tmp_path / "INBOX", [message(7)])
    mail.fill("INBOX", 1)
    assert archive.pull(mail.account, tmp_path).complete
    assert stored(tmp_path) == mail.all()


def test_the_command_says_what_to_do(mail: Mail, tmp_path: Path, run: Run) -> None:
    another_program(tmp_path / "INBOX", [message(7)])
    environment = {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    ended = run("pull", mail.url, str(tmp_path), **environment)
    assert ended.returncode == 1
    assert "--adopt" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_adoption_is_tried_without_doing_it(mail: Mail, tmp_path: Path, run: Run) -> None:
    made = mail.fill("INBOX", 5)
    another_program(tmp_path / "INBOX", [*made[:3], message(99)])
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    report = archive.pull(mail.account, tmp_path, adopt=True, dry_run=True)
    inbox = report.mailboxes["INBOX"]
    assert (inbox.found, inbox.written, inbox.adopted, inbox.present) == (5, 2, 3, 3)
    environment = {"FASTIMAP_PASSWORD": mail.server.password, "SSL_CERT_FILE": str(mail.server.ca_file)}
    ended = run("pull", mail.url, str(tmp_path), "--adopt", "--dry-run", **environment)
    assert ended.returncode == 0
    assert "would write 2 of 5 messages" in ended.stdout
    assert "adopt 3" in ended.stdout
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    report = archive.pull(mail.account, tmp_path, adopt=True)
    assert (report.complete, report.written) == (True, 2)


# Servers that have what Dovecot 2.3 lacks, or leave something out.


@pytest.fixture
def server() -> Iterator[IMAPServer]:
    with IMAPServer(users={"me": "secret"}) as made:
        yield made


Serve = Callable[..., Account]


@pytest.fixture
def through(server: IMAPServer) -> Iterator[Serve]:
    """A function that gives an account whose lines are changed on their way."""
    with contextlib.ExitStack() as stack:

        def make(says: Change = bytes, hears: Change = bytes) -> Account:
            port = stack.enter_context(odd(server, says=says, hears=hears))
            return Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")

        yield make


def rename(server: IMAPServer, old: str, new: str) -> None:
    with Client(server.host, server.port, user="me", password="secret", tls=False, mechanism="PLAIN") as client:
        client.rename_mailbox(old, new)


@pytest.mark.parametrize("same", [True, False])
def test_a_renamed_mailbox_is_known_by_its_mailboxid(
    server: IMAPServer, through: Serve, tmp_path: Path, same: bool
) -> None:
    server.create("old")
    for number in range(4):
        server.append("old", message(number))
    ids = {b"old": b"F1", b"new": b"F1" if same else b"F2"}
    selected: list[bytes] = []

    def hears(line: bytes) -> bytes:
        if found := re.search(rb'EXAMINE "?(\w+)', line):
            selected.append(found[1])
        return line.replace(b" EMAILID", b"")

    def says(line: bytes) -> bytes:
        line = line.replace(b" IDLE", b" IDLE OBJECTID")
        if b"[UIDVALIDITY" in line:
            line += b"* OK [MAILBOXID (%b)] ok\r\n" % ids.get(selected[-1], b"F0")
        return line

    account = through(says, hears)
    assert archive.pull(account, tmp_path).complete
    rename(server, "old", "new")
    report = archive.pull(account, tmp_path)
    assert report.complete
    assert report.mailboxes["new"].renamed_from == ("old" if same else None)
    # One that is not the same has its messages all the same: they are recognised one by one.
    assert (report.mailboxes["new"].found, report.written) == (4, 0)
    assert len(stored(tmp_path)["new"]) == 4


@pytest.mark.parametrize("known", [True, False])
def test_after_a_new_uidvalidity_messages_are_known_by_their_emailid(
    server: IMAPServer, through: Serve, tmp_path: Path, known: bool
) -> None:
    """Without Message-IDs, so that nothing else could tell them."""
    when = datetime(2024, 1, 1, tzinfo=UTC)
    octets = [b"Subject: %d\r\n\r\n%b\r\n" % (number, b"x" * number) for number in range(5)]

    def fill(messages: list[bytes]) -> None:
        server.create("a")
        for each in messages:
            server.append("a", each, internal_date=when)

    def says(line: bytes) -> bytes:
        line = line.replace(b" IDLE", b" IDLE OBJECTID") if known else line
        if known and b" FETCH (" in line and (found := re.search(rb"RFC822.SIZE (\d+)|\{(\d+)\}", line)):
            line = line.replace(b" FETCH (", b" FETCH (EMAILID (M%b) " % (found[1] or found[2]))
        return line

    account = through(says, lambda line: line.replace(b" EMAILID", b""))
    fill(octets)
    archive.pull(account, tmp_path)
    with Client(server.host, server.port, user="me", password="secret", tls=False, mechanism="PLAIN") as client:
        client.delete_mailbox("a")
    fill(octets[2:])
    report = archive.pull(account, tmp_path)
    assert "new UIDVALIDITY" in report.mailboxes["a"].notes[0]
    assert (report.mailboxes["a"].moved, report.written) == ((3, 0) if known else (0, 3))
    assert [each[1] for each in stored(tmp_path)["a"] if each[0]][-3:] == octets[2:]


def test_what_the_server_leaves_out_is_parked_and_tried_again(
    server: IMAPServer, through: Serve, tmp_path: Path
) -> None:
    for number in range(4):
        server.append("INBOX", message(number))
    broken = [True]

    def hears(line: bytes) -> bytes:
        if not broken or b"BODY" not in line:
            return line
        return line.replace(b"UID FETCH 1:4", b"UID FETCH 1,3:4").replace(b"UID FETCH 2 ", b"UID FETCH 99 ")

    account = through(hears=hears)
    for tried in ("", " (tried 2 times)"):
        report = archive.pull(account, tmp_path)
        inbox = report.mailboxes["INBOX"]
        assert not report.complete
        assert (inbox.found, inbox.accounted, list(inbox.parked)) == (4, 4, [2])
        assert inbox.parked[2].endswith(f"leaves it out of its answers{tried}")
    broken.clear()
    report = archive.pull(account, tmp_path)
    assert (report.complete, report.written, report.parked) == (True, 1, 0)
    assert [uid for uid, *_ in stored(tmp_path)["INBOX"]] == [1, 2, 3, 4]


def test_a_server_that_lists_nothing_any_more(server: IMAPServer, through: Serve, tmp_path: Path) -> None:
    server.append("INBOX", message(1))
    empty: list[bool] = []
    account = through(lambda line: b"" if empty and line.startswith(b"* LIST") else line)
    archive.pull(account, tmp_path)
    empty.append(True)
    with pytest.raises(archive.StoreError, match="lists no mailbox at all"):
        archive.pull(account, tmp_path, deleted="delete", max_delete="100%")
    assert len(stored(tmp_path)["INBOX"]) == 1
    with pytest.raises(archive.StoreError, match="the server lists no mailbox at all: nothing was done"):
        archive.pull(account, tmp_path / "another")  # each account has an INBOX (RFC 9051, section 5.1)


@pytest.mark.parametrize("kind", ["maildir", "sqlite", "jsonl", "mbox"])
def test_a_server_does_not_fill_the_disk_beyond_a_limit(
    server: IMAPServer, through: Serve, tmp_path: Path, kind: str
) -> None:
    """It sends messages that nobody asked for, some of them twice, and keywords without end."""
    for number in range(1, 31):
        server.append("INBOX", message(number, 1000))
    text = b"From: x\r\n\r\n" + b"x" * 5000
    unasked = b"* 1 FETCH (UID 900 FLAGS () BODY[] {%d}\r\n%b)\r\n" % (len(text), text)

    def says(line: bytes) -> bytes:
        if b" FETCH (" in line and b"BODY[]" in line:
            line = unasked * 2 + line.replace(b"FLAGS (", b"FLAGS (" + b"k" * 900 + b" ")
        return line

    account = through(says)
    for _ in range(4):
        report = archive.pull(account, store_at(tmp_path, kind), max_octets=20_000)
        if report.stopped is None:
            break
    found = stored(tmp_path)["INBOX"]
    assert {uid for uid, *_ in found} <= set(range(1, 31))
    assert sum(len(octets) + sum(map(len, flags)) for _, octets, flags, _ in found) <= 4 * 20_000
    written = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".sqlite")
    assert written <= 4 * 20_000 * 3 / 2  # JSON has a name for each value


def test_names_of_a_server_do_not_lead_out_of_the_store(server: IMAPServer, through: Serve, tmp_path: Path) -> None:
    server.create("x")
    server.append("x", message(1))
    name = b"../../../outside"
    account = through(
        lambda line: line.replace(b'"/" x', b'"/" "%b"' % name) if line.startswith((b"* LIST", b"* STATUS")) else line,
        lambda line: line.replace(b'"%b"' % name, b"x").replace(name, b"x"),
    )
    report = archive.pull(account, tmp_path / "deep" / "store")
    assert report.complete
    assert report.written == 1
    assert sorted(tmp_path.iterdir()) == [tmp_path / "deep"]
    assert sorted((tmp_path / "deep").iterdir()) == [tmp_path / "deep" / "store"]


# What a run is not about.


@pytest.mark.parametrize(
    "rules", [{"mailboxes": ["INBOX"]}, {"mailboxes": ["inbox"]}, {"exclude": ["b"]}, {"exclude": ["a", "b"]}]
)
@pytest.mark.parametrize("change", ["renamed", "deleted"])
def test_mailboxes_that_a_run_leaves_out_are_left_alone(
    mail: Mail, tmp_path: Path, rules: dict[str, Any], change: str
) -> None:
    mail.fill("INBOX", 3)
    mail.fill("a", 5, create=True)
    archive.pull(mail.account, tmp_path)
    before = stored(tmp_path)
    if change == "renamed":
        mail.client.rename_mailbox("a", "b")
    else:
        mail.client.delete_mailbox("a")
    report = archive.pull(mail.account, tmp_path, deleted="delete", max_delete=100, **rules)
    about_it = rules == {"exclude": ["b"]} and change == "deleted"
    assert report.complete
    assert report.deleted == (5 if about_it else 0)
    assert stored(tmp_path).get("a") == (None if about_it else before["a"])
    if change == "renamed":
        assert archive.pull(mail.account, tmp_path, deleted="delete").mailboxes["b"].renamed_from == "a"
        assert stored(tmp_path) == mail.all()


def test_a_mailbox_that_was_held_back_is_left_alone_by_a_run_on_another(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 3)
    mail.fill("a", 5, create=True)
    archive.pull(mail.account, tmp_path)
    mail.client.delete_mailbox("a")
    mail.client.create_mailbox("a")
    assert archive.pull(mail.account, tmp_path, deleted="delete").held_back is not None
    report = archive.pull(mail.account, tmp_path, mailboxes=["INBOX"], deleted="delete", max_delete=100)
    assert (report.deleted, report.held_back) == (0, None)
    assert len(stored(tmp_path)["a"]) == 5
    assert archive.pull(mail.account, tmp_path, deleted="delete", max_delete=100).deleted == 5


@pytest.mark.parametrize("rules", [{"mailboxes": ["\\Trash"]}, {"exclude": ["\\Trash"]}])
def test_special_uses_name_former_mailboxes_too(mail: Mail, tmp_path: Path, rules: dict[str, Any]) -> None:
    """What was held back is of the mailbox that has that use now."""
    mail.fill("Trash", 5)
    archive.pull(mail.account, tmp_path)
    mail.client.delete_mailbox("Trash")
    mail.client.create_mailbox("Trash")
    assert archive.pull(mail.account, tmp_path, deleted="delete").held_back is not None
    report = archive.pull(mail.account, tmp_path, deleted="delete", max_delete=100, **rules)
    assert report.deleted == (5 if "mailboxes" in rules else 0)


def test_a_named_mailbox_that_is_called_otherwise_by_now(mail: Mail, tmp_path: Path) -> None:
    """It fails, in each run, and the report says where it is."""
    mail.fill("w", 3, create=True)
    archive.pull(mail.account, tmp_path, mailboxes=["w"])
    mail.client.rename_mailbox("w", "w2")
    for _ in range(2):
        report = archive.pull(mail.account, tmp_path, mailboxes=["w"], deleted="delete", max_delete=100)
        assert (report.complete, report.deleted) == (False, 0)
        assert report.failed == {"w": "there is no such mailbox"}
        assert report.mailboxes["w"].notes == ["the server has it as w2, which this run leaves out"]
    assert len(stored(tmp_path)["w"]) == 3


def test_a_mailbox_that_is_left_out_and_may_not_be_looked_at(tmp_path: Path) -> None:
    with served(range(1, 4)) as server:
        server.create("a")
        server.create("secret")
        server.append("a", message(9))
        asked: list[bytes] = []

        def hears(line: bytes) -> bytes:
            asked.append(line)
            return line.replace(b"STATUS secret", b'STATUS "no such"')

        with odd(server, hears=hears) as port:
            account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="LOGIN")
            assert archive.pull(account, tmp_path, exclude=["secret"]).complete
            with Client(account_of(server)) as client:
                client.delete_mailbox("a")
            server.append("INBOX", message(5))
            report = archive.pull(account, tmp_path, exclude=["secret"])
            assert (report.complete, report.written) == (True, 1)
            assert any(b"STATUS secret" in line for line in asked)
            report = archive.pull(account, tmp_path, exclude=["secret"], deleted="delete", max_delete=100)
            assert report.deleted == 0  # nobody knows what that is
            assert report.mailboxes["a"].notes == ["it may be secret, which can't be looked at"]


def test_a_mailbox_that_has_the_name_of_another_one_by_now(mail: Mail, tmp_path: Path) -> None:
    """B is gone, A is called B, and this run leaves B out."""
    mail.fill("a", 5, create=True)
    mail.fill("b", 2, create=True)
    archive.pull(mail.account, tmp_path)
    mail.client.delete_mailbox("b")
    mail.client.rename_mailbox("a", "b")
    some: list[dict[str, Any]] = [{"exclude": ["b"]}, {"mailboxes": ["a", "INBOX"]}]
    for rules in some:
        report = archive.pull(mail.account, tmp_path, deleted="delete", max_delete=100, **rules)
        assert report.deleted == 0
        assert report.mailboxes["a"].notes == ["the server has it as b, which this run leaves out"]


# Another server of the same host.


def served(messages: Iterable[int], *, dates: int = 0) -> IMAPServer:
    """Return a server whose INBOX has these messages, from UID 1 on."""
    made = IMAPServer(users={"me": "secret"})
    for number in messages:
        when = datetime.fromtimestamp(10_000 * number + dates, UTC)
        made.append("INBOX", message(number, 30 * number), internal_date=when)
    return made


def account_of(server: IMAPServer) -> Account:
    return Account(server.host, server.port, user="me", password="secret", tls=False, mechanism="LOGIN")


@pytest.mark.parametrize("dates", [0, 5])
def test_another_port_of_the_same_server(tmp_path: Path, dates: int) -> None:
    """As the end of a tunnel. Dates of files may be wrong, by a copy that keeps none: sizes tell, too."""
    with served(range(1, 4)) as one, served(range(1, 5), dates=dates) as other:
        assert archive.pull(account_of(one), tmp_path).written == 3
        report = archive.pull(account_of(other), tmp_path)
        assert (report.complete, report.written, report.present) == (True, 1, 3)


def test_another_server_at_another_port(tmp_path: Path) -> None:
    with served(range(1, 4)) as one, served(range(11, 14)) as other:
        assert archive.pull(account_of(one), tmp_path).written == 3
        before = stored(tmp_path)
        for _ in range(2):
            with pytest.raises(
                archive.StoreError, match=r"not that of me@.* in the store, and INBOX has other messages"
            ):
                archive.pull(account_of(other), tmp_path, deleted="delete", max_delete=100)
        assert stored(tmp_path) == before
        assert archive.pull(account_of(other), tmp_path, name="the other").written == 3
        assert archive.verify(tmp_path, account_of(other), name="the other", octets=True).good
        assert archive.verify(tmp_path, account_of(one), octets=True).good


def test_another_port_where_nothing_is_to_tell_by(tmp_path: Path) -> None:
    """None of the known messages is there: who knows that it is the same server says so by the name."""
    with served(range(1, 31)) as one, served(range(1, 11)) as other:
        with Client(account_of(one)) as client:
            client.select("INBOX")
            client.delete_messages("1:10")
        assert archive.pull(account_of(one), tmp_path).written == 20
        for _ in range(2):
            with pytest.raises(archive.StoreError, match=r"no message .* is there\. .* by its name: me@127\.0\.0\.1"):
                archive.pull(account_of(other), tmp_path, deleted="delete")
        assert len(stored(tmp_path)["INBOX"]) == 20
        assert archive.pull(account_of(other), tmp_path, name="me@127.0.0.1").written == 10
        assert archive.pull(account_of(other), tmp_path).complete


def test_another_server_that_has_one_mailbox_alike(tmp_path: Path) -> None:
    """A message of welcome, say."""
    with served([1]) as one, served([1]) as other:
        for server, first in ((one, 20), (other, 30)):
            server.create("work")
            for number in range(first, first + 5):
                server.append("work", message(number, 40 * number), internal_date=datetime.fromtimestamp(number, UTC))
        assert archive.pull(account_of(one), tmp_path).written == 6
        with pytest.raises(archive.StoreError, match="work has other messages under the same UIDs"):
            archive.pull(account_of(other), tmp_path)


@pytest.mark.parametrize("kind", ["maildir", "sqlite", "jsonl", "mbox"])
def test_a_message_that_a_server_sends_twice_is_stored_once(serve: Any, tmp_path: Path, kind: str) -> None:
    text = b"Subject: x\r\n\r\nx\r\n"

    def reply(command: bytes) -> bytes | None:
        if command.startswith(b"LIST"):
            return b'* LIST () "/" INBOX\r\n' + DONE
        if command.startswith((b"EXAMINE", b"SELECT")):
            return b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 4] next\r\n" + DONE
        if b" SEARCH " in command:
            return b"* SEARCH 1 2 3\r\n" + DONE
        if b" FETCH " in command and b"BODY" in command:
            rest = b'FLAGS () INTERNALDATE "01-Jan-2024 00:00:00 +0000"'
            row = b"* %%d FETCH (UID %%d %b BODY[] {%d}\r\n%b)\r\n" % (rest, len(text), text)
            return b"".join(2 * (row % (uid, uid)) for uid in asked_for(command)) + DONE
        if b" FETCH " in command:
            row = b"* %%d FETCH (UID %%d RFC822.SIZE %d FLAGS ())\r\n" % len(text)
            return b"".join(2 * (row % (uid, uid)) for uid in asked_for(command)) + DONE
        return DONE

    script = converse(reply, b"IMAP4rev1", selects=True)
    account = Account("127.0.0.1", serve(script).port, user="me", password="x", tls=False, timeout=10)
    report = archive.pull(account, store_at(tmp_path, kind))
    assert report.complete
    assert report.written == 3
    assert len(stored(tmp_path)["INBOX"]) == 3
    if kind == "mbox":
        (file,) = tmp_path.glob("*.mbox")
        assert file.read_bytes().count(b"Subject: x") == 3
