"""Every block of every page runs as it stands, and does what the page says.

A page's function here prepares the mail that the page speaks of, runs the blocks in their order, and looks at what
came of it; what a block prints is held by the block of text after it, where there is one.
"""

from __future__ import annotations

import shutil
import sqlite3
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, UIDSet, follow
from fastimap.testing import IMAPServer
from tests.pages.blocks import Block, blocks, run_command
from tests.pages.conftest import Stage
from tests.support import PROJECT

ELSEWHERE = {
    "coming-from-imapsync.md": "tests/stories/test_coming_from_imapsync.py, against Dovecot",
    "guide.md": "tests/stories/test_guide.py, against Dovecot",
    "oauth.md": "tests/pages/test_oauth.py, against a token endpoint",
}
TESTED: dict[str, Callable[[Stage, IMAPServer, list[Block]], None]] = {}
HELLO = b"From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nworld\r\n"
Page = Callable[[Stage, IMAPServer, list[Block]], None]


def page(name: str) -> Callable[[Page], Page]:
    def note(function: Page) -> Page:
        TESTED[name] = function
        return function

    return note


def mail(sender: str, subject: str, text: str = "") -> bytes:
    return f"From: {sender}\r\nSubject: {subject}\r\n\r\n{text}".encode()


def python(found: list[Block]) -> list[Block]:
    return [block for block in found if block.language == "python"]


@page("coming-from.md")
def coming_from(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    server.append("INBOX", HELLO)
    connect, wait = python(found)
    assert stage.run(connect) == "1 hello\n"
    with Client("imap.example.org", user="me", password="secret") as stage.names["client"]:
        stage.names["client"].select("INBOX")
        server.append("INBOX", mail("ann@example.org", "before"))
        stage.names["client"].noop()  # brings the events of an earlier command
        commands = stage.names["client"].counters.commands
        stage.when(  # it waits, and has forgotten what the SELECT has brought
            lambda: stage.names["client"].counters.commands >= commands + 2,
            lambda: server.append("INBOX", mail("bob@example.org", "new")),
        )
        assert stage.run(wait) == "1 hello\n2 before\n3 new\n"
        assert not stage.names["client"].search(stage.names["unseen"])


@page("index.md")
def index(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    server.append("INBOX", HELLO)
    server.create("Archive")
    server.append("Archive", mail("bob@example.org", "kept"))
    read, copy, drop_in = python(found)
    (shell,) = (block for block in found if block.commands)
    assert stage.run(read) == "1 hello world\n\n"
    assert "complete: 2 found = 2 written" in stage.run(shell)
    assert stage.run(copy) == "True 0\n"
    assert HELLO in [path.read_bytes() for path in (stage.directory / "Mail" / "INBOX").rglob("*fastimap,*")]
    assert "fastimap" in stage.run(drop_in)
    assert server.messages("INBOX")[0].flags == frozenset()


@page("imaplib.md")
def drop_in(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    server.append("INBOX", HELLO)
    (session,) = python(found)
    assert stage.run(session) == "OK 1\n"
    assert server.messages("INBOX")[0].flags == frozenset()


@page("limits.md")
def limits(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    (block,) = python(found)
    stage.run(block)
    with stage.names["client"] as client:
        assert client._settings.limits.literal == 2**30
        assert client.select("INBOX").exists == 0


@page("install.md")
def install(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    (which,) = python(found)
    assert stage.run(which) in ("c\n", "py\n")


@page("providers.md")
def providers(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    special, name = python(found)
    stage.names["client"] = client = Client("imap.example.org", user="me", password="secret")
    with client:
        assert stage.run(special) == "no such mailbox here\n"
    exec("import fastimap", stage.names)
    stage.run(name)
    with stage.names["client"] as client:
        assert client.connect() is None
        assert client._settings.client_id == {"name": "my-program", "version": "1.0"}


@page("connections.md")
def connections(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    proxy, certificate = python(found)
    stage.run(proxy)  # it asserts
    server.append("INBOX", HELLO, user="ann")
    stage.names |= {"certificate": stage.directory.parent / "certificate.pem", "host": "localhost", "port": server.port}
    source = certificate.source.replace('user="user", password="password"', 'user="ann", password="secret"')
    assert source != certificate.source
    assert stage.run(certificate._replace(source=source)) == "1\n"


@page("testing.md")
def of_testing(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    program, fixture = python(found)
    stage.run(program)  # it asserts
    assert "\\Seen" in stage.names["server"].messages("INBOX")[0].flags
    stage.run(fixture)
    with IMAPServer() as fresh:
        stage.names["test_the_inbox_is_empty_at_first"](fresh)
        fresh.append("INBOX", HELLO)
        with pytest.raises(AssertionError):
            stage.names["test_the_inbox_is_empty_at_first"](fresh)


@page("throttles.md")
def throttles(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    server.append("INBOX", HELLO)
    loop, limits = python(found)
    assert stage.run(loop) == f"1 {len(HELLO)}\n"
    stage.run(limits)
    with stage.names["client"] as client:
        assert client._settings.limits.literal == 16 * 1024 * 1024
        client.select("INBOX")


@page("errors.md")
def errors(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    (block,) = python(found)
    with Client("imap.example.org", user="me", password="secret") as stage.names["client"]:
        assert stage.run(block) == "MailboxNotFound True\n"


@page("archive.md")
def archive(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    for name in ("INBOX", "Sent", "Trash"):
        if name != "INBOX":
            server.create(name, user="ann")
            server.create(name)
        server.append(name, mail("bob@example.org", name), user="ann")
        server.append(name, mail("bob@example.org", name))
    shell, program = [block for block in found if block.commands or block.language == "python"]
    printed = stage.run(shell)
    assert "complete: 3 found = 3 written" in printed
    shutil.rmtree(stage.directory / "Mail")
    stage.run(program)
    report, checked = stage.names["report"], stage.names["checked"]
    assert report.complete
    assert (report.written, list(report.excluded)) == (2, ["Trash"])
    assert (checked.good, checked.checked) == (True, 2)


@page("dataframes.md")
def dataframes(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    for name in ("polars", "duckdb", "dask.dataframe"):
        pytest.importorskip(name)
    server.create("Work")
    listed = b"From: Ann <ann@example.org>\r\nSubject: x\r\nList-Id: <news.example.org>\r\n\r\nHello\r\n"
    server.append("INBOX", listed)
    server.append("INBOX", mail("ann@example.org", "Two", "Again\r\n"))
    server.append("INBOX", mail("bob@example.org", "Three", "A text of an ordinary length.\r\n"))
    server.append("INBOX", mail("ann@example.org", "Four", "Text\r\n"))
    server.append("Work", mail("carl@example.org", "Accounts", "The invoice is late.\r\n"))
    stage.names["password"] = "secret"
    for block in found:
        if block.commands or block.language == "python":
            stage.run(block)


@page("migrate.md")
def migrate(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    # Both accounts are on imap.example.org here, and have the same password.
    server.append("INBOX", mail("bob@example.org", "one"))
    server.create("Work")
    server.append("Work", mail("bob@example.org", "two"))

    def here(block: Block) -> Block:
        source = block.source.replace("me@new.example.org", "ann@imap.example.org")
        source = source.replace('"new.example.org", user="me"', '"imap.example.org", user="ann"')
        return block._replace(source=source.replace("old.example.org", "imap.example.org"))

    stage.environment("FASTIMAP_TO_PASSWORD", "secret")
    stage.environment("XDG_STATE_HOME", str(stage.directory))
    blocks_here = [here(block) for block in found if block.commands or block.language == "python"]
    shell, program, again, check, restored = blocks_here
    printed = stage.run(shell)
    assert "would send 2 of 2 messages" in printed
    assert "complete: 2 found = 2 sent + 0 there" in printed
    assert [len(server.messages(name, user="ann")) for name in ("INBOX", "Work")] == [1, 1]
    server.append("INBOX", mail("bob@example.org", "three"))
    stage.run(program)
    assert (stage.names["report"].written, stage.names["report"].present) == (2, 1)  # Work has another name now
    stage.run(again)
    assert stage.names["report"].complete
    assert [len(server.messages(name, user="ann")) for name in ("INBOX", "Work")] == [2, 1]
    assert "would send 0 of 3 messages" in stage.run(check)
    assert "would send 0 of 3 messages" in stage.run(restored)
    with Client("imap.example.org", user="ann", password="secret") as client:
        client.select("INBOX")
        client.delete_messages(1)
    assert "would send 0 of 3 messages" in stage.run(restored)  # by the ledger's word
    (stage.directory / "Mail" / ".fastimap.push.sqlite").rename(stage.directory / "ledger")
    assert "would send 1 of 3 messages" in stage.run(restored)


@page("many-accounts.md")
def many_accounts(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra dask can't be installed on this Python")
    for user, count in (("ann", 2), ("bob", 1), ("eve", 0)):
        if user != "ann":
            server.add_user(user, "secret")
        for number in range(count):
            server.append("INBOX", mail("me@example.org", f"{number}"), user=user)
        secret = stage.directory / "secrets" / user
        secret.parent.mkdir(exist_ok=True)
        secret.write_text("secret\n" if count else "wrong\n")
    pytest.importorskip("pyarrow", reason="the extra parquet can't be installed on this Python")
    first, pool, dask, parquet = python(found)
    stage.run(first)
    for user in ("ann", "bob"):
        server.append("INBOX", mail("me@example.org", "more"), user=user)
    # Other processes do not know that imap.example.org is on this machine.
    stage.names |= {"__name__": "__main__"}
    pool = pool._replace(source=pool.source.replace("ProcessPoolExecutor", "ThreadPoolExecutor"))
    assert "ann@imap.example.org 1 None\n" in stage.run(pool)
    with distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
        stage.names["address"] = cluster
        dask = dask._replace(source=dask.source.replace("/mnt/mail", str(stage.directory / "shared")))
        assert "ann@imap.example.org 3 None\n" in stage.run(dask)
    source = parquet.source.replace("/mnt/tables", str(stage.directory / "tables"))
    assert stage.run(parquet._replace(source=source)).endswith("5\n")
    (settings,) = [block for block in found if block.language == "toml"]
    text = settings.source.replace(
        'password_command = ["pass", "show", "ann"]', 'password_variable = "FASTIMAP_PASSWORD"'
    )
    (stage.directory / "accounts.toml").write_text(
        text.replace("/run/", f"{stage.directory}/").replace("secrets", "s2")
    )
    (stage.directory / "s2").mkdir()
    (stage.directory / "s2" / "bob").write_text("secret\n")
    (shell,) = [block for block in found if "--accounts" in block.source]
    processes, cluster_line = shell.commands
    assert "--dask" in cluster_line
    printed = run_command(processes.split("#")[0].replace("--jobs 4", "--jobs 1"))
    assert "complete: 2 accounts, 5 messages found, 5 written" in printed


@page("command-line.md")
def command_line(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    for name in ("Support", "Sent", "Trash"):
        server.create(name)
    for name in ("INBOX", "Support", "Trash"):
        server.append(name, mail("bob@example.org", name))
    first, settings, pull, watch, ls, search, cat = [
        block for block in found if block.commands or block.language == "toml"
    ]
    ticket = stage.directory / "ticket.sh"
    ticket.write_text('#!/bin/sh\ncat >"$HOME/$FASTIMAP_MAILBOX.$FASTIMAP_UID"\n')
    ticket.chmod(0o700)
    configuration = stage.directory / "fastimap" / "config.toml"
    configuration.parent.mkdir()
    password = stage.directory / "pass"
    password.write_text("secret\n")
    wanted = settings.source.replace('password_command = ["pass", "show", "work"]', f"password_file = '{password}'")
    assert wanted != settings.source
    configuration.write_text(wanted.replace('"~/Mail"', '"~/Other"'))
    assert "complete: 2 found = 2 written" in run_command("fastimap pull work")
    run_command("fastimap watch work --once --start all")
    assert (stage.directory / "Support.1").read_bytes() == mail("bob@example.org", "Support")
    server.append("INBOX", mail("bob@example.org", "more"))
    printed = [run_command(f"{line.split('#')[0]} --once" if "watch" in line else line) for line in first.commands]
    assert "complete: 4 found = 4 written" in printed[0]
    assert (stage.directory / "INBOX.2").exists()
    assert "complete: 2 found = 2 written" in run_command(pull.commands[0].replace(r" --mailbox '\Sent'", ""))
    for block in (ls, search, cat):
        server.append("Sent", mail("bob@example.org", "sent"))
        for line in block.commands:
            run_command(line.replace("'\\Sent'", "Sent").split(" >")[0])
    (line,) = watch.commands
    server.append("INBOX", mail("bob@example.org", "again"))
    run_command(f"{line.replace('/run/', f'{stage.directory}/')} --once")
    assert (stage.directory / "INBOX.3").exists()
    assert (stage.directory / "ticket.json").exists()


@page("sessions.md")
def sessions(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    for name in ("Archive", "Drafts", "Sent", "Support"):
        server.create(name, user="ann")
    for name, subject in (("INBOX", "one"), ("INBOX", "two"), ("Drafts", "three")):
        server.append(name, mail("bob@example.org", subject), user="ann")
    saved: list[int] = []
    stage.names |= {"uids": UIDSet("1:*"), "save": lambda message: saved.append(message.uid)}
    retry, writes, held, pool, tickets = python(found)
    stage.run(retry)
    assert saved == [1, 2]

    server.append("INBOX", mail("bob@example.org", "to be kept"), user="ann")
    stage.names |= {"message": HELLO, "uids": UIDSet(3)}
    stage.run(writes)
    assert [(sent.octets, set(sent.flags)) for sent in server.messages("Sent", user="ann")] == [(HELLO, {"\\Seen"})]
    assert len(server.messages("Archive", user="ann")) == 1
    stage.names["uids"] = UIDSet("1:*")

    printed = stage.run(held)
    assert sorted(printed.splitlines()) == ["Drafts 1", "INBOX 2"]
    assert (stage.names["inbox"], stage.names["drafts"]) == (["one", "two"], ["three"])

    saved.clear()
    jobs: list[int] = []
    account = Account("imap.example.org", user="ann", password="secret")
    stage.names |= {
        "account": account,
        "names": ["INBOX", "Drafts"],
        "job": lambda client: jobs.append(len(client.search().uids)),
    }
    assert "lent=5, opened=" in stage.run(pool)  # for the two blocks, fetch_iter, and two jobs
    assert sorted(jobs) == [1, 2]
    assert sorted(saved) == [1, 2]

    made: list[str] = []

    def create_ticket(db: sqlite3.Connection, message: Any) -> None:
        made.append(message.envelope.subject)
        if len(made) == 2:
            stage.names["mail"].stop()

    with follow(account, ["INBOX", "Support"], cursor="tickets.sqlite", start="new", once=True) as before:
        assert list(before) == []
    server.append("INBOX", mail("bob@example.org", "four"), user="ann")
    stage.when(lambda: made, lambda: server.append("Support", mail("bob@example.org", "five"), user="ann"))
    stage.names["create_ticket"] = create_ticket
    stage.run(tickets)
    assert made == ["four", "five"]
    with follow(account, ["INBOX", "Support"], cursor="tickets.sqlite", start="new", once=True) as after:
        assert list(after) == []


INVOICE = b"""From: billing@shop.example
Subject: Your invoice
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain; charset=utf-8

Dear customer, please find your invoice attached.
--x
Content-Type: application/pdf
Content-Disposition: attachment; filename="../invoice.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjA=
--x--
""".replace(b"\n", b"\r\n")


@page("tutorials/read-a-mailbox.md")
def read_a_mailbox(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    server.create("Archive")
    server.append("INBOX", mail("Ann <ann@example.org>", "Minutes of Monday", "What we said.\r\n"), ["\\Seen"])
    server.append("INBOX", INVOICE)
    server.append("INBOX", mail("newsletter@shop.example", "Only today!", "Buy.\r\n"))
    *reading, change = python(found)
    for block in reading:
        stage.run(block)
    assert [message.flags for message in server.messages("INBOX")] == [{"\\Seen"}, set(), set()]
    (attachment,) = (stage.directory / "attachments").iterdir()
    assert attachment.read_bytes() == b"%PDF-1.0"
    stage.run(change)
    assert [message.uid for message in server.messages("INBOX")] == [1, 3]
    (moved,) = server.messages("Archive")
    assert (moved.octets, set(moved.flags)) == (INVOICE, {"\\Seen"})


@page("tutorials/archive-an-account.md")
def archive_an_account(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    server.create("Sent")
    for name, subject in (("INBOX", "Minutes"), ("INBOX", "Invoice"), ("Sent", "Re: Minutes")):
        server.append(name, mail("ann@example.org", subject, "The text.\r\n"))
    for block in found:
        if block.commands or block.language == "python":
            stage.run(block)
    assert sum(block.output is not None for block in found) == 4
    (settings,) = [block for block in found if block.language == "toml"]
    configuration = stage.directory / "fastimap" / "config.toml"
    configuration.parent.mkdir()
    (stage.directory / "pass").write_text("secret\n")
    wanted = settings.source.replace('["pass", "show", "work"]', f'["cat", "{stage.directory}/pass"]')
    assert wanted != settings.source
    configuration.write_text(wanted)
    server.append("INBOX", mail("bob@example.org", "Tonight"))
    nightly = [line.split("/bin/")[1] for block in found for line in block.source.splitlines() if "* *" in line]
    assert len(nightly) == 2
    stage.environment("FASTIMAP_PASSWORD", "")
    for line in nightly:
        assert run_command(line.replace("$HOME", f"{stage.directory}")) == ""
    assert len(list((stage.directory / "Mail" / "INBOX").rglob("*fastimap,*"))) == 3


def tickets(file: Path) -> list[tuple[str, str]]:
    db = sqlite3.connect(file)
    try:
        return db.execute("SELECT subject, body FROM tickets ORDER BY id").fetchall()
    except sqlite3.OperationalError:
        return []
    finally:
        db.close()


@page("tutorials/tickets.md")
def a_ticket_inbox(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    for subject in ("one", "two"):
        server.append("INBOX", mail("ann@example.org", subject, "Help!\r\n"))
    program, refusing, service = python(found)
    file = stage.directory / "tickets.sqlite"
    stage.when(
        lambda: len(tickets(file)) == 2, lambda: server.append("INBOX", mail("bob@example.org", "three", "Help!\r\n"))
    )
    stage.when(lambda: len(tickets(file)) == 3, lambda: stage.names["mail"].stop())
    assert stage.run(program) == "ticket: INBOX 1\nticket: INBOX 2\nticket: INBOX 3\n"

    server.append("INBOX", mail("ann@example.org", "four", "Help!\r\n"))
    server.append("INBOX", mail("ann@example.org", "five"))
    stage.run(refusing)
    assert [subject for subject, _ in tickets(file)] == ["one", "two", "three", "four"]

    class Service:
        """It takes nothing at first."""

        def __init__(self) -> None:
            self.taken: dict[str, str] = {}
            self.asked = 0

        def create_ticket(self, key: str, text: str) -> None:
            self.asked += 1
            if self.asked == 1:
                raise ConnectionError
            self.taken[key] = text

    stage.names["service"] = there = Service()
    stage.run(service)
    assert len(there.taken) == 4
    stage.names["db"].close()


@page("tutorials/many-mailboxes.md")
def many_mailboxes(stage: Stage, server: IMAPServer, found: list[Block]) -> None:
    for number in range(200):
        server.create(f"Lists/{number:03}")
        for count in range(number % 3):
            server.append(f"Lists/{number:03}", mail("a@b.c", f"news {number}.{count}"))
    for block in python(found):
        stage.run(block)


@pytest.mark.parametrize("name", sorted(TESTED))
def test_a_page(name: str, stage: Callable[[int], Stage], server: IMAPServer, context: ssl.SSLContext) -> None:
    TESTED[name](stage(server.port), server, blocks(name))


def test_no_page_is_left_out() -> None:
    pages = {path.relative_to(PROJECT / "docs").as_posix() for path in (PROJECT / "docs").rglob("*.md")}
    with_blocks = {
        name for name in pages if any(block.language == "python" or block.commands for block in blocks(name))
    }
    assert with_blocks == {*TESTED, *ELSEWHERE}
