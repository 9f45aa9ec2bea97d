"""The stdlib's imaplib and fastimap.imaplib hold the same session with a real server; every step must end alike.

There are two references: the imaplib of the running Python, and that of CPython 3.15, which fastimap.imaplib follows
on every Python. Rows that 3.15 changed are compared with 3.15 alone, those that only 3.16 has with neither.

Alike means: the same result or the same exception with the same text, and behind it the same state and the same
untagged responses. What can't be equal (user names, UIDVALIDITY, the server's times) is replaced first.
"""

from __future__ import annotations

import imaplib as stdlib
import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from fastimap import imaplib as fast
from tests.servers.connections import plain, starttls, tls
from tests.servers.dovecot import Dovecot
from tests.support import IMPLEMENTATIONS, READERS

DATE = '"25-Jan-2024 10:20:30 +0100"'
MESSAGES = [
    b"From: a@example.org\r\nSubject: one\r\nMessage-ID: <1@example.org>\r\n\r\nfirst\r\n",
    b"From: b@example.org\r\nSubject: two\r\nReferences: <1@example.org>\r\n\r\nsecond\r\n",
    b"From: c@example.org\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n",
]
VARIABLE = [
    # a UIDVALIDITY is the time; no other number here has ten digits
    (rb"\b\d{10}\b", b"UIDVALIDITY"),
    # fastimap says in which command a connection broke
    (rb"\Acommand: [A-Z]+ => ", b""),
    (rb" \(\d+\.\d+ \+ [0-9. +]*secs\)", b""),
]


@dataclass
class Session:
    """One side of the comparison."""

    module: Any
    dovecot: Dovecot
    user: str
    client: Any = None

    def normalised(self, value: Any) -> Any:
        """Return the value with everything that can't be equal on both sides replaced."""
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.normalised, value))
        if isinstance(value, dict):
            return {key: self.normalised(values) for key, values in value.items()}
        if isinstance(value, str):
            return self.normalised(value.encode()).decode()
        if not isinstance(value, bytes):
            return value
        value = value.replace(self.user.encode(), b"USER")
        for pattern, replacement in VARIABLE:
            value = re.sub(pattern, replacement, value)
        return value


@dataclass(frozen=True)
class Change:
    """A change of the stdlib's imaplib: the version of Python that brought it, and what it is."""

    version: tuple[int, int]
    what: str


@dataclass(frozen=True)
class Step:
    """One call and what it is called in the report."""

    name: str
    call: Callable[[Session], Any]
    reference_call: Callable[[Session], Any] | None = None
    """What says the same to the server by a reference that lacks the method."""
    changed: Change | None = None
    """Since when the outcome is this one; before, it was another."""


def opened(connect: Callable[[Any, Dovecot, str], Any]) -> Callable[[Session], Any]:
    """Return a call that opens the session that the following steps use, logged in."""

    def call(session: Session) -> Any:
        session.client = connect(session.module, session.dovecot, session.user)
        return session.client.welcome

    return call


def connected(session: Session) -> Any:
    """Open a session without logging in."""
    session.client = session.module.IMAP4(session.dovecot.host, session.dovecot.port)
    return session.client.welcome, session.client.PROTOCOL_VERSION, session.client.capabilities


def command(name: str, *arguments: str, data_name: str = "") -> Callable[[Session], Any]:
    """Return a call that sends a command by its name; it returns the untagged data of `data_name`, if that is given."""

    def call(session: Session) -> Any:
        session.module.Commands.setdefault(name, ("AUTH", "SELECTED"))
        typ, data = session.client._simple_command(name, *arguments)
        return session.client._untagged_response(typ, data, data_name) if data_name else (typ, data)

    return call


def appended(session: Session) -> Any:
    """Append the messages, with flags, with a date, with neither."""
    client = session.client
    return [
        client.append("INBOX", r"(\Seen)", DATE, MESSAGES[0]),
        client.append("INBOX", r"\Flagged", DATE, MESSAGES[1]),
        client.append("INBOX", None, DATE, MESSAGES[2]),
        client.append(None, None, DATE, MESSAGES[0].replace(b"\r\n", b"\n")),
    ]


def plain_credentials(session: Session) -> Any:
    """Log in by the SASL mechanism PLAIN."""
    credentials = f"\0{session.user}\0{session.dovecot.password}"
    return session.client.authenticate("PLAIN", lambda challenge: credentials.encode())


def hand_rolled_idle(session: Session) -> Any:
    """IDLE as programs did it before there was a method: send and readline on the open session."""
    client = session.client
    tag = client._new_tag()
    client.send(tag + b" IDLE\r\n")
    continuation = client.readline()
    client.send(b"DONE\r\n")
    line = client.readline()
    return continuation, line.replace(tag, b"TAG")


def read_by_hand(session: Session) -> Any:
    """FETCH by send, readline and read."""
    client = session.client
    tag = client._new_tag()
    client.send(tag + b" FETCH 1 (BODY.PEEK[])\r\n")
    line = client.readline()
    size = int(line[line.index(b"{") + 1 : line.index(b"}")])
    return line, client.read(size), client.readline(), client.readline().replace(tag, b"TAG")


GREETING = Change((3, 15), "capabilities come from the greeting, which stays among the untagged responses")
LOGGED_IN = Change((3, 15), "capabilities come from the response to the login, whose text is kept whole")
QUOTED = Change((3, 15), "an argument that needs it is quoted")
TEXT = Change((3, 15), "the text of the exception is another one")
NAMES = Change((3, 16), "a mailbox name that isn't ASCII is sent as modified UTF-7, before it was refused")

STEPS = [
    Step("connect", connected, changed=GREETING),
    Step("capability", lambda s: s.client.capability()),
    Step("noop before login", lambda s: s.client.noop()),
    Step("select before login", lambda s: s.client.select()),
    Step("login, wrong password", lambda s: s.client.login(s.user, "wrong"), changed=TEXT),
    Step("login", lambda s: s.client.login(s.user, s.dovecot.password)),
    Step("login again", lambda s: s.client.login(s.user, s.dovecot.password)),
    Step("capability after login", lambda s: s.client.capability()),
    Step("fetch before select", lambda s: s.client.fetch("1", "(FLAGS)")),
    Step("append", appended),
    Step("append, no such mailbox", lambda s: s.client.append("nowhere", None, None, MESSAGES[0])),
    Step("select", lambda s: s.client.select()),
    Step("recent", lambda s: s.client.recent()),
    Step("response", lambda s: [s.client.response(c) for c in ("EXISTS", "UIDNEXT", "FLAGS", "NOTHING")]),
    Step("check", lambda s: s.client.check()),
    Step("fetch flags", lambda s: s.client.fetch("1:*", "(FLAGS)")),
    Step("fetch body", lambda s: s.client.fetch("1:2", "(BODY.PEEK[] UID)")),
    Step("fetch two literals", lambda s: s.client.fetch("3", "(BODY.PEEK[HEADER] BODY.PEEK[TEXT] FLAGS)")),
    Step("fetch envelope", lambda s: s.client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE INTERNALDATE)")),
    Step("fetch section", lambda s: s.client.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]<0.10>)")),
    Step("fetch RFC822", lambda s: s.client.fetch("1", "(RFC822.SIZE RFC822)")),
    Step("fetch ALL", lambda s: s.client.fetch("1", "ALL")),
    Step("fetch nothing", lambda s: s.client.fetch("100", "(FLAGS)")),
    Step("fetch, bad items", lambda s: s.client.fetch("1", "(NONSENSE)")),
    Step("partial", lambda s: s.client.partial("1", "RFC822", "1", "10")),
    Step("search", lambda s: s.client.search(None, "ALL")),
    Step("search, several keys", lambda s: s.client.search(None, "SEEN", "SUBJECT", '"one"')),
    Step("search, charset", lambda s: s.client.search("UTF-8", "UNSEEN")),
    Step("search, nothing found", lambda s: s.client.search(None, "DELETED")),
    Step("search, bad key", lambda s: s.client.search(None, "NONSENSE")),
    Step("sort", lambda s: s.client.sort("(REVERSE SUBJECT)", "UTF-8", "ALL")),
    Step("thread", lambda s: s.client.thread("REFERENCES", "UTF-8", "ALL")),
    Step("store", lambda s: s.client.store("1", "+FLAGS", r"(\Answered)")),
    Step("store silently", lambda s: s.client.store("1", "-FLAGS.SILENT", r"\Answered")),
    Step("uid fetch", lambda s: s.client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[TEXT])")),
    Step("uid search", lambda s: s.client.uid("SEARCH", None, "ALL")),
    Step("uid store", lambda s: s.client.uid("store", "2", "+FLAGS", "(keyword)")),
    Step("uid sort", lambda s: s.client.uid("SORT", "(DATE)", "UTF-8", "ALL")),
    Step("uid thread", lambda s: s.client.uid("THREAD", "REFERENCES", "UTF-8", "ALL")),
    Step("uid, bad command", lambda s: s.client.uid("NONSENSE", "1"), changed=TEXT),
    Step("list by defaults", lambda s: sorted(s.client.list()[1])),
    Step("create", lambda s: [s.client.create(name) for name in ("work", "work/old", "work/new")]),
    Step("create again", lambda s: s.client.create("work")),
    Step("create, quoted by the caller", lambda s: s.client.create('"with space"')),
    Step("create, space in the name", lambda s: s.client.create("two words"), changed=QUOTED),
    Step("create, not ASCII", lambda s: s.client.create("Entwürfe"), changed=NAMES),
    Step("select, space in the name", lambda s: s.client.select("two words"), changed=QUOTED),
    Step("select INBOX again", lambda s: s.client.select("INBOX")),
    Step("rename", lambda s: s.client.rename("work/old", "work/older")),
    Step("list", lambda s: s.client.list('""', '"work*"')),
    Step("list, nothing quoted by the caller", lambda s: s.client.list("", "two*"), changed=QUOTED),
    Step("list, not ASCII", lambda s: s.client.list('""', '"Entw*"'), changed=NAMES),
    Step("subscribe", lambda s: [s.client.subscribe("work"), s.client.subscribe("work/new")]),
    Step("lsub", lambda s: s.client.lsub()),
    Step("unsubscribe", lambda s: s.client.unsubscribe("work/new")),
    Step("status", lambda s: s.client.status("INBOX", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)")),
    Step("status, no such mailbox", lambda s: s.client.status("nowhere", "(MESSAGES)")),
    Step("namespace", lambda s: s.client.namespace()),
    Step("copy", lambda s: s.client.copy("1:2", "work")),
    Step("copy, no such mailbox", lambda s: s.client.copy("1", "nowhere")),
    Step("uid copy", lambda s: s.client.uid("COPY", "1", "work")),
    Step("move", lambda s: s.client.move("4", "work"), reference_call=command("MOVE", "4", "work")),
    Step("setacl", lambda s: s.client.setacl("work", "somebody", "lr")),
    Step("getacl", lambda s: s.client.getacl("work")),
    Step("myrights", lambda s: s.client.myrights("work")),
    Step("deleteacl", lambda s: s.client.deleteacl("work", "somebody")),
    Step("getquotaroot", lambda s: s.client.getquotaroot("INBOX")),
    Step("getquota", lambda s: s.client.getquota('"User quota"')),
    Step("setquota, refused", lambda s: s.client.setquota('"User quota"', "(STORAGE 5000)")),
    Step("setannotation, unknown to the server", lambda s: s.client.setannotation("INBOX", "/c", '("v.priv" "x")')),
    Step("getannotation, unknown to the server", lambda s: s.client.getannotation("INBOX", "/c", "v.priv")),
    Step("proxyauth, unknown to the server", lambda s: s.client.proxyauth("somebody")),
    Step(
        "id",
        lambda s: s.client.id({"name": "test"}),
        reference_call=command("ID", '("name" "test")', data_name="ID"),
    ),
    Step("xatom", lambda s: s.client.xatom("NOOP")),
    Step("xatom, unknown to the server", lambda s: s.client.xatom("XNONSENSE", "1")),
    Step("enable", lambda s: s.client.enable("CONDSTORE")),
    Step("idle by hand", hand_rolled_idle),
    Step("fetch by hand", read_by_hand),
    Step("upper-case alias", lambda s: s.client.NOOP()),
    Step("unknown method", lambda s: hasattr(s.client, "nonsense")),
    Step("store deleted", lambda s: s.client.store("1,2", "+FLAGS", r"(\Deleted)")),
    Step("expunge", lambda s: s.client.expunge()),
    Step("select read-only", lambda s: s.client.select("INBOX", readonly=True)),
    Step("store, read-only", lambda s: s.client.store("1", "+FLAGS", r"(\Seen)")),
    Step("unselect", lambda s: s.client.unselect()),
    Step("select, no such mailbox", lambda s: s.client.select("nowhere")),
    Step("select work", lambda s: s.client.select("work")),
    Step("close", lambda s: s.client.close()),
    Step("delete", lambda s: [s.client.delete("work/new"), s.client.delete("nowhere")]),
    Step("socket", lambda s: s.client.socket() is s.client.sock),
    Step("logout", lambda s: s.client.logout()),
    Step("noop after logout", lambda s: s.client.noop()),
    Step("connect for CRAM-MD5", connected, changed=GREETING),
    Step("login_cram_md5", lambda s: s.client.login_cram_md5(s.user, s.dovecot.password), changed=LOGGED_IN),
    Step("shutdown", lambda s: s.client.shutdown()),
    Step("connect for PLAIN", connected, changed=GREETING),
    Step("authenticate, unknown mechanism", lambda s: s.client.authenticate("NONSENSE", lambda challenge: b"x")),
    Step("authenticate, given up", lambda s: s.client.authenticate("PLAIN", lambda challenge: None)),
    Step("authenticate", plain_credentials, changed=LOGGED_IN),
    Step("logout after authenticate", lambda s: s.client.logout()),
    Step("connect for login_plain", connected, changed=GREETING),
    Step(
        "login_plain",
        lambda s: s.client.login_plain(s.user, s.dovecot.password),
        reference_call=plain_credentials,
        changed=LOGGED_IN,
    ),
    Step("logout after login_plain", lambda s: s.client.logout()),
    Step("TLS", opened(tls)),
    Step("fetch over TLS", lambda s: [s.client.select(), s.client.fetch("1:*", "(UID BODY.PEEK[])")]),
    Step("logout over TLS", lambda s: s.client.logout()),
    Step("STARTTLS", opened(starttls)),
    Step("STARTTLS again", lambda s: s.client.starttls()),
    Step("logout after STARTTLS", lambda s: s.client.logout()),
    Step("with", lambda s: plain(s.module, s.dovecot, s.user).__exit__(None, None, None)),
]


def run(session: Session, step: Step) -> Any:
    """Return the outcome of a step, normalised: what it returns or raises, the state, the untagged responses."""
    call = step.reference_call if step.reference_call and session.module is not fast else step.call
    try:
        outcome = call(session)
    except Exception as exc:  # whatever it is, it must be the same on both sides
        outcome = (type(exc).__name__, str(exc))
    return session.normalised((outcome, session.client.state, session.client.untagged_responses))


def run_all(module: Any, dovecot: Dovecot) -> dict[str, Any]:
    """Return the outcome of every step by its name, in one session of a new user."""
    session = Session(module, dovecot, dovecot.new_user())
    return {step.name: run(session, step) for step in STEPS}


@pytest.fixture(scope="module")
def stdlib_outcomes(dovecot: Dovecot) -> dict[str, Any]:
    """The outcome of each step with the imaplib of the running Python."""
    return run_all(stdlib, dovecot)


@pytest.fixture(scope="module")
def newest_outcomes(dovecot: Dovecot, newest_imaplib: ModuleType) -> dict[str, Any]:
    """The outcome of each step with CPython 3.15's imaplib."""
    return run_all(newest_imaplib, dovecot)


@pytest.fixture(scope="module", params=IMPLEMENTATIONS)
def fast_outcomes(request: pytest.FixtureRequest, dovecot: Dovecot) -> dict[str, Any]:
    """The outcome of each step with fastimap.imaplib, by each implementation of the parser."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "ResponseReader", importlib.import_module(READERS[request.param]).ResponseReader)
        return run_all(fast, dovecot)


def steps_unchanged_since(version: tuple[int, ...]) -> list[Step]:
    """Return the steps whose outcome is the same in that version of Python."""
    return [step for step in STEPS if step.changed is None or step.changed.version <= version]


def name(step: Step) -> str:
    """Return what pytest calls the step."""
    return step.name


@pytest.mark.parametrize("step", steps_unchanged_since(sys.version_info[:2]), ids=name)
def test_like_running_stdlib(step: Step, stdlib_outcomes: dict[str, Any], fast_outcomes: dict[str, Any]) -> None:
    assert fast_outcomes[step.name] == stdlib_outcomes[step.name]


@pytest.mark.parametrize("step", steps_unchanged_since((3, 15)), ids=name)
def test_like_newest_stdlib(step: Step, newest_outcomes: dict[str, Any], fast_outcomes: dict[str, Any]) -> None:
    assert fast_outcomes[step.name] == newest_outcomes[step.name]


def test_mailbox_name_not_ascii(fast_outcomes: dict[str, Any]) -> None:
    result, _state, _untagged = fast_outcomes["list, not ASCII"]
    assert result == ("OK", [rb'(\HasNoChildren) "/" Entw&APw-rfe'])
