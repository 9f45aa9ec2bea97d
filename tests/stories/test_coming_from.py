"""Each row of docs/coming-from.md: the old library's call and the new one, on accounts that are alike, on one Dovecot.

After each row both accounts hold the same, as the standard library's imaplib sees them; what the two calls returned
holds the same facts, where a row asks for some.
"""

from __future__ import annotations

import ast
import asyncio
import imaplib
import importlib
import inspect
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from fastimap import AsyncClient, Client, errors, search
from fastimap.commands.base import State
from fastimap.testing import IMAPServer
from tests.servers.dovecot import Dovecot
from tests.support import PROJECT

PAGE = (PROJECT / "docs" / "coming-from.md").read_text("utf-8")
MESSAGES = (
    b"From: Ann <ann@example.org>\r\nSubject: hello\r\n\r\nworld\r\n",
    b"From: Bob <bob@example.org>\r\nSubject: the second\r\n\r\nmore\r\n",
)
WHEN = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
NEW = b"From: Cem <cem@example.org>\r\nSubject: new\r\n\r\ntext\r\n"


def rows(library: str) -> list[tuple[str, str]]:
    section = re.split(r"^##+ ", PAGE.partition(f"# {library}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", section, re.MULTILINE)


LIBRARIES = ("imaplib", "IMAPClient", "imap_tools", "aioimaplib")


def value(source: str, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Any:
    """Return what a call gives; `await` may stand in it."""
    result = eval(compile(source, "coming-from.md", "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    return loop.run_until_complete(result) if inspect.iscoroutine(result) else result


def facts(result: Any) -> set[int | str]:
    """The words and numbers in what a call returned, whatever its shape."""
    lines = getattr(result, "lines", result)
    text = str(lines) if not isinstance(lines, bytes) else lines.decode()
    text = text.replace("\\r\\n", " ")  # as a repr shows the ends of lines
    return {int(word) if word.isdigit() else word for word in re.findall(r"\w+", text)}


def numbers(result: Any) -> list[int]:
    """The UIDs in a list that a call returned, in its order."""
    return [int(each) for each in result]


def holds(account: imaplib.IMAP4) -> list[Any]:
    """What is in an account: its mailboxes, the flags and octets of their messages."""
    found: list[Any] = []
    for name in sorted(str(line).split()[-1].strip("'") for line in account.list()[1]):
        account.select(name, readonly=True)
        data = account.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        found.append((name, [part[1] for part in data if isinstance(part, tuple)]))
        found.append([b"\\Seen" in (part[0] if isinstance(part, tuple) else part or b"") for part in data])
        dates = [imaplib.Internaldate2tuple(part[0]) for part in data if isinstance(part, tuple)]
        found.append(["when" for each in dates if each and time.mktime(each) == WHEN.timestamp()])
    return found


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def old_imaplib(server: Dovecot, user: str) -> dict[str, Any]:
    imap = imaplib.IMAP4(server.host, server.port)
    imap.login(user, server.password)
    return {"imap": imap}


def old_imapclient(server: Dovecot, user: str) -> dict[str, Any]:
    imap = pytest.importorskip("imapclient").IMAPClient(server.host, server.port, ssl=False)
    imap.login(user, server.password)
    return {"imap": imap}


def old_imap_tools(server: Dovecot, user: str) -> dict[str, Any]:
    tools = pytest.importorskip("imap_tools")
    mailbox = tools.MailBoxUnencrypted(server.host, server.port).login(user, server.password)
    return {**vars(tools), "mailbox": mailbox}


def old_aioimaplib(server: Dovecot, user: str) -> dict[str, Any]:
    pytest.importorskip("aioimaplib")
    return {}


OLD: dict[str, Callable[[Dovecot, str], dict[str, Any]]] = {
    "imaplib": old_imaplib,
    "IMAPClient": old_imapclient,
    "imap_tools": old_imap_tools,
    "aioimaplib": old_aioimaplib,
}
# What both results have to name, by a part of the old call.
SAID: dict[str, set[int | str]] = {
    "list": {"INBOX"},
    "search": {1},
    "uids": {1},
    "limit=1": {2},
    "sort": {1, 2},
    "folder.get": {"INBOX"},
    "exists": {"True"},
    "has_capability": {"True"},
    "FLAGS": set(),
    "tatus": {2, 3},
    "ENVELOPE": {"hello"},
    "subject for": {"hello", "the", "second"},
    "text for": {"world", "more"},
    "BODY.PEEK": {"Ann", "hello", "world"},
}


# The other libraries leave sockets open where a row ends by an error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("library", LIBRARIES)
def test_old_and_new_do_the_same(dovecot: Dovecot, loop: asyncio.AbstractEventLoop, library: str) -> None:
    users = dovecot.new_user(), dovecot.new_user()
    witnesses = []
    for user in users:
        witness = imaplib.IMAP4(dovecot.host, dovecot.port)
        witness.login(user, dovecot.password)
        for message in MESSAGES:
            witness.append("INBOX", "", "", message)
        witnesses.append(witness)
    given_both = {"message": NEW, "date": date, "when": WHEN, "imaplib": imaplib}
    old = {**OLD[library](dovecot, users[0]), **given_both}
    given: dict[str, Any] = {"user": users[1], "password": dovecot.password, "tls": False, "mechanism": "PLAIN"}
    new: dict[str, Any] = {**vars(search), **given_both}
    if library == "aioimaplib":
        module = importlib.import_module("aioimaplib")

        async def connect() -> None:
            old["imap"] = module.IMAP4(host=dovecot.host, port=dovecot.port)
            await old["imap"].wait_hello_from_server()
            await old["imap"].login(users[0], dovecot.password)
            new["client"] = await AsyncClient(dovecot.host, dovecot.port, **given).__aenter__()

        loop.run_until_complete(connect())
    else:
        new["client"] = Client(dovecot.host, dovecot.port, **given)
    found = rows(library)
    assert len(found) > 10
    for old_call, new_call in found:
        before, after = value(old_call, old, loop), value(new_call, new, loop)
        said = next((facts for part, facts in SAID.items() if part in old_call), set())
        assert said <= facts(before), (old_call, before)
        assert said <= facts(after), (new_call, after)
        assert ("when" in old_call) <= (["when"] in holds(witnesses[0])), old_call
        if "sort" in old_call or "reverse" in old_call:
            assert len(numbers(before)) > 0
            assert numbers(before) == numbers(after), (old_call, new_call)
        assert holds(witnesses[0]) == holds(witnesses[1]), (old_call, new_call)
    assert found[-1][0].endswith("logout()")
    assert new["client"].session.state is State.LOGOUT
    for witness in witnesses:
        witness.logout()


RICH = (
    b"Date: Fri, 6 Nov 2026 10:11:12 +0100\r\nFrom: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>\r\n"
    b"To: ann@example.org, bob@example.org\r\nSubject: =?utf-8?q?gr=C3=BCn?=\r\nX-Spam: no\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n"
    b"--y\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain words\r\n"
    b"--y\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<b>bold words</b>\r\n--y--\r\n"
    b'--x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename="list.csv"\r\n'
    b"Content-ID: <list@example.org>\r\n\r\n1;2\r\n--x--\r\n"
)


def test_a_message_of_imap_tools(dovecot: Dovecot) -> None:
    user = dovecot.new_user()
    new: dict[str, Any] = {}
    given: dict[str, Any] = {"user": user, "password": dovecot.password, "tls": False, "mechanism": "PLAIN"}
    with Client(dovecot.host, dovecot.port, **given) as client:
        client.append("INBOX", RICH, flags=["\\Flagged"])
        client.select("INBOX")
        [new["message"]] = client.fetch_iter("1:*", "ENVELOPE", "FLAGS", "RFC822.SIZE", "BODY.PEEK[]")
    mailbox = old_imap_tools(dovecot, user)["mailbox"]
    [msg] = mailbox.fetch(mark_seen=False)
    mailbox.logout()
    found = rows("What a message has")
    assert len(found) > 10
    for old_call, new_call in found:
        before, after = eval(old_call, {"msg": msg}), eval(new_call, new)
        assert facts(before), old_call
        # Flags beside \\Recent, which a first session alone sees.
        assert facts(before) - {"Recent"} == facts(after) - {"Recent", "frozenset"}, (old_call, before, after)


NOBODY = "nobody listens there"


def failing(old: dict[str, Any], server: IMAPServer, port: int, library: str, wrong: str) -> Any:
    """Do what is wrong by an old library; return what it returns."""
    password = "wrong" if wrong == "the password" else "password"
    if library == "imap_tools":
        mailbox = old["imap_tools"].MailBoxUnencrypted(server.host, port).login("user", password)
        if wrong == "no such mailbox":
            return mailbox.folder.set("Nowhere")
        server.close()
        return mailbox.folder.status("INBOX")
    imap = (
        imaplib.IMAP4(server.host, port)
        if library == "imaplib"
        else old["imapclient"].IMAPClient(server.host, port, ssl=False)
    )
    imap.login("user", password)
    if wrong == "no such mailbox":
        return imap.select("Nowhere") if library == "imaplib" else imap.select_folder("Nowhere")
    server.close()
    return imap.noop()


def failing_here(client: Client, server: IMAPServer, wrong: str) -> None:
    with client:
        client.select("Nowhere" if wrong == "no such mailbox" else "INBOX")
        server.close()
        client.noop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_errors(refused_port: int) -> None:
    (table,) = re.findall(r"^## Errors\n\n(.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    head, _, *lines = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table.split("\n")]
    old: dict[str, Any] = {name: pytest.importorskip(name) for name in ("imapclient", "imap_tools")}
    known = {**vars(imaplib.IMAP4), **vars(old["imapclient"].exceptions), **vars(old["imap_tools"])}
    known |= {"IMAP4.error": imaplib.IMAP4.error, "IMAP4.abort": imaplib.IMAP4.abort, "OSError": OSError}
    assert len(lines) == 4
    for wrong, *cells, here in lines:
        for library, cell in zip(("imaplib", "imapclient", "imap_tools"), cells, strict=True):
            with IMAPServer() as server:
                port = refused_port if wrong == NOBODY else server.port
                if cell == '"NO"` is returned':
                    assert failing(old, server, port, library, wrong)[0] == "NO"
                else:
                    with pytest.raises(known[cell]):
                        failing(old, server, port, library, wrong)
        with IMAPServer() as server:
            port = refused_port if wrong == NOBODY else server.port
            password = "wrong" if wrong == "the password" else "password"
            client = Client(server.host, port, user="user", password=password, tls=False, mechanism="PLAIN")
            with pytest.raises(getattr(errors, here)):
                failing_here(client, server, wrong)
    assert [name.lower() for name in head[1:]] == ["imaplib", "imapclient", "imap_tools", "fastimap"]
