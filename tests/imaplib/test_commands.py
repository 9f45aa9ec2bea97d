"""Each command: what it sends, and what it makes of the answer. Answers are from the RFC that defines the command."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.canned import Canned

Call = Callable[[imaplib.IMAP4], Any]

OK = b"<tag> OK done\r\n"
DONE = ("OK", [b"done"])
NONE = ("OK", [None])
FLAGS = b"* 2 FETCH (FLAGS (\\Deleted \\Seen))\r\n* 3 FETCH (FLAGS (\\Deleted))\r\n"
FLAGS_DATA = ("OK", [b"2 (FLAGS (\\Deleted \\Seen))", b"3 (FLAGS (\\Deleted))"])
EXPUNGED = b"* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n* 5 EXPUNGE\r\n* 8 EXPUNGE\r\n"
EXPUNGED_DATA = ("OK", [b"3", b"3", b"5", b"8"])
SEARCH = b"* SEARCH 2 84 882\r\n"
NUMBERS = ("OK", [b"2 84 882"])
SORT = b"* SORT 5 3 4 1 2\r\n"
THREADS = b"* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"

# name: the call, the states it is allowed in, what it sends after the tag, the answer, the result.
CASES: dict[str, tuple[Call, str, bytes, bytes, Any]] = {
    "capability": (
        lambda m: m.capability(),
        "ANY",
        b"CAPABILITY",
        b"* CAPABILITY IMAP4rev1 X\r\n",
        ("OK", [b"IMAP4rev1 X"]),
    ),
    "check": (lambda m: m.check(), "SELECTED", b"CHECK", b"", DONE),
    "close": (lambda m: m.close(), "SELECTED", b"CLOSE", b"", DONE),
    "copy": (lambda m: m.copy("2:4", "MEETING"), "SELECTED", b"COPY 2:4 MEETING", b"", DONE),
    "copy structured": (lambda m: m.copy([2, (3, 4)], "A B"), "SELECTED", b'COPY 2,3:4 "A B"', b"", DONE),
    "copy uid=": (lambda m: m.copy(range(2, 5), "MEETING", uid=True), "SELECTED", b"UID COPY 2:4 MEETING", b"", DONE),
    "create": (lambda m: m.create("owatagusiam/"), "AUTH", b"CREATE owatagusiam/", b"", DONE),
    "create non-ASCII": (lambda m: m.create("Entwürfe"), "AUTH", b"CREATE Entw&APw-rfe", b"", DONE),
    "delete": (lambda m: m.delete("foo"), "AUTH", b"DELETE foo", b"", DONE),
    "deleteacl": (lambda m: m.deleteacl("INBOX", "Fred X"), "AUTH", b'DELETEACL INBOX "Fred X"', b"", DONE),
    "examine by readonly": (
        lambda m: m.select("blurdybloop", readonly=True),
        "AUTH",
        b"EXAMINE blurdybloop",
        b"* 17 EXISTS\r\n* OK [READ-ONLY] x\r\n",
        ("OK", [b"17"]),
    ),
    "expunge": (lambda m: m.expunge(), "SELECTED", b"EXPUNGE", EXPUNGED, EXPUNGED_DATA),
    "expunge uid=": (
        lambda m: m.expunge("3000:3002", uid=True),
        "SELECTED",
        b"UID EXPUNGE 3000:3002",
        EXPUNGED,
        EXPUNGED_DATA,
    ),
    "fetch": (lambda m: m.fetch("2:3", "(FLAGS)"), "SELECTED", b"FETCH 2:3 (FLAGS)", FLAGS, FLAGS_DATA),
    "fetch bare item": (lambda m: m.fetch("2:3", "FLAGS"), "SELECTED", b"FETCH 2:3 (FLAGS)", FLAGS, FLAGS_DATA),
    "fetch items": (
        lambda m: m.fetch([2, 3], ["UID", "FLAGS"]),
        "SELECTED",
        b"FETCH 2,3 (UID FLAGS)",
        FLAGS,
        FLAGS_DATA,
    ),
    "fetch macro": (lambda m: m.fetch(2, "fast"), "SELECTED", b"FETCH 2 fast", FLAGS, FLAGS_DATA),
    "fetch params=": (
        lambda m: m.fetch("1", "FLAGS BODY[HEADER.FIELDS ?]", params=[["DATE", "FROM"]]),
        "SELECTED",
        b"FETCH 1 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
        b"* 1 FETCH (BODY[HEADER.FIELDS (DATE FROM)] {9}\r\nDate: x\r\n)\r\n",
        ("OK", [(b"1 (BODY[HEADER.FIELDS (DATE FROM)] {9}", b"Date: x\r\n"), b")"]),
    ),
    "fetch uid=": (
        lambda m: m.fetch("2:3", "FLAGS", uid=True),
        "SELECTED",
        b"UID FETCH 2:3 (FLAGS)",
        FLAGS,
        FLAGS_DATA,
    ),
    "fetch none": (lambda m: m.fetch("9", "FLAGS"), "SELECTED", b"FETCH 9 (FLAGS)", b"", NONE),
    "getacl": (
        lambda m: m.getacl("INBOX"),
        "AUTH",
        b"GETACL INBOX",
        b"* ACL INBOX Fred rwipslxetad\r\n",
        ("OK", [b"INBOX Fred rwipslxetad"]),
    ),
    "getannotation": (
        lambda m: m.getannotation("INBOX", '"/comment"', '"value.shared"'),
        "AUTH",
        b'GETANNOTATION INBOX "/comment" "value.shared"',
        b'* ANNOTATION "INBOX" "/comment" ("value.shared" "My comment")\r\n',
        ("OK", [b'"INBOX" "/comment" ("value.shared" "My comment")']),
    ),
    "getquota": (
        lambda m: m.getquota(""),
        "AUTH",
        b'GETQUOTA ""',
        b'* QUOTA "" (STORAGE 10 512)\r\n',
        ("OK", [b'"" (STORAGE 10 512)']),
    ),
    "getquotaroot": (
        lambda m: m.getquotaroot("INBOX"),
        "AUTH",
        b"GETQUOTAROOT INBOX",
        b'* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 10 512)\r\n',
        ("OK", [[b'INBOX ""'], [b'"" (STORAGE 10 512)']]),
    ),
    "id": (
        lambda m: m.id({"name": 'so"dr', "version": None}),
        "ANY",
        b'ID ("name" "so\\"dr" "version" NIL)',
        b'* ID ("name" "Cyrus" "version" "1.5")\r\n',
        ("OK", [b'("name" "Cyrus" "version" "1.5")']),
    ),
    "id of nobody": (lambda m: m.id(), "ANY", b"ID NIL", b"* ID NIL\r\n", ("OK", [b"NIL"])),
    "list": (
        lambda m: m.list("~/Mail/", "%"),
        "AUTH",
        b"LIST ~/Mail/ %",
        b'* LIST (\\Noselect) "/" ~/Mail/foo\r\n',
        ("OK", [b'(\\Noselect) "/" ~/Mail/foo']),
    ),
    "list all": (lambda m: m.list(), "AUTH", b'LIST "" *', b"", NONE),
    "lsub": (
        lambda m: m.lsub("A B", "*"),
        "AUTH",
        b'LSUB "A B" *',
        b'* LSUB () "." #news\r\n',
        ("OK", [b'() "." #news']),
    ),
    "move": (lambda m: m.move("42:69", "foo"), "SELECTED", b"MOVE 42:69 foo", b"* OK [COPYUID 1 42:69 1:28]\r\n", DONE),
    "move uid=": (lambda m: m.move([42], "foo", uid=True), "SELECTED", b"UID MOVE 42 foo", b"", DONE),
    "myrights": (
        lambda m: m.myrights("INBOX"),
        "AUTH",
        b"MYRIGHTS INBOX",
        b"* MYRIGHTS INBOX rwiptsldaex\r\n",
        ("OK", [b"INBOX rwiptsldaex"]),
    ),
    "namespace": (
        lambda m: m.namespace(),
        "AUTH",
        b"NAMESPACE",
        b'* NAMESPACE (("" "/")) NIL NIL\r\n',
        ("OK", [b'(("" "/")) NIL NIL']),
    ),
    "noop": (lambda m: m.noop(), "ANY", b"NOOP", b"* 22 EXPUNGE\r\n", DONE),
    "partial": (
        lambda m: m.partial("1", "RFC822.TEXT", "0", "10"),
        "SELECTED",
        b"PARTIAL 1 RFC822.TEXT 0 10",
        b"* 1 FETCH (RFC822.TEXT {10}\r\n0123456789)\r\n",
        ("OK", [(b"1 (RFC822.TEXT {10}", b"0123456789"), b")"]),
    ),
    "partial of numbers": (lambda m: m.partial(1, "RFC822", 0, 10), "SELECTED", b"PARTIAL 1 RFC822 0 10", b"", NONE),
    "proxyauth": (lambda m: m.proxyauth("other"), "AUTH", b"PROXYAUTH other", b"", DONE),
    "recent": (lambda m: m.recent(), "ANY", b"NOOP", b"* 5 RECENT\r\n", ("OK", [b"5"])),
    "recent none": (lambda m: m.recent(), "ANY", b"NOOP", b"", NONE),
    "rename": (lambda m: m.rename("R&D", "Tests 2"), "AUTH", b'RENAME R&-D "Tests 2"', b"", DONE),
    "search": (
        lambda m: m.search(None, "FLAGGED", "SINCE", "1-Feb-1994", "NOT", "FROM", '"Smith"'),
        "SELECTED",
        b'SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
        SEARCH,
        NUMBERS,
    ),
    "search nothing found": (
        lambda m: m.search(None, "ALL"),
        "SELECTED",
        b"SEARCH ALL",
        b"* SEARCH\r\n",
        ("OK", [b""]),
    ),
    "search charset": (
        lambda m: m.search("KOI8-U", "SUBJECT", '"Київ"'),
        "SELECTED",
        b"SEARCH CHARSET KOI8-U SUBJECT " + '"Київ"'.encode("koi8-u"),
        SEARCH,
        NUMBERS,
    ),
    "search octets in a charset": (
        lambda m: m.search(b"SHIFT_JIS", b"TEXT", '"日本"'.encode("shift_jis")),
        "SELECTED",
        b"SEARCH CHARSET SHIFT_JIS TEXT " + '"日本"'.encode("shift_jis"),
        SEARCH,
        NUMBERS,
    ),
    "search unknown charset": (
        lambda m: m.search("X-(1)", "TEXT", "x"),
        "SELECTED",
        b'SEARCH CHARSET "X-(1)" TEXT x',
        SEARCH,
        NUMBERS,
    ),
    "search params=": (
        lambda m: m.search("UTF-8", "FROM ?", "SUBJECT ?", params=["me@host", "größer als"]),
        "SELECTED",
        b'SEARCH CHARSET UTF-8 FROM me@host SUBJECT "gr\xc3\xb6\xc3\x9fer als"',
        SEARCH,
        NUMBERS,
    ),
    "search question mark": (
        lambda m: m.search(None, 'SUBJECT "?"'),
        "SELECTED",
        b'SEARCH SUBJECT "?"',
        SEARCH,
        NUMBERS,
    ),
    "search uid=": (lambda m: m.search(None, "ALL", uid=True), "SELECTED", b"UID SEARCH ALL", SEARCH, NUMBERS),
    "select": (lambda m: m.select(), "AUTH", b"SELECT INBOX", b"* 172 EXISTS\r\n", ("OK", [b"172"])),
    "select no EXISTS": (lambda m: m.select(b"INBOX"), "AUTH", b"SELECT INBOX", b"", NONE),
    "setacl": (lambda m: m.setacl("A B", "J D", "+lr"), "AUTH", b'SETACL "A B" "J D" +lr', b"", DONE),
    "setannotation": (
        lambda m: m.setannotation("INBOX", '"/comment"', '("value.priv" "My new comment")'),
        "AUTH",
        b'SETANNOTATION INBOX "/comment" ("value.priv" "My new comment")',
        b"",
        NONE,
    ),
    "setquota": (
        lambda m: m.setquota("", "STORAGE 512"),
        "AUTH",
        b'SETQUOTA "" (STORAGE 512)',
        b'* QUOTA "" (STORAGE 10 512)\r\n',
        ("OK", [b'"" (STORAGE 10 512)']),
    ),
    "sort": (
        lambda m: m.sort("REVERSE DATE", "US-ASCII", "ALL"),
        "SELECTED",
        b"SORT (REVERSE DATE) US-ASCII ALL",
        SORT,
        ("OK", [b"5 3 4 1 2"]),
    ),
    "sort uid= params=": (
        lambda m: m.sort(["REVERSE", "DATE"], "UTF-8", "SUBJECT ?", uid=True, params=["trip report"]),
        "SELECTED",
        b'UID SORT (REVERSE DATE) UTF-8 SUBJECT "trip report"',
        SORT,
        ("OK", [b"5 3 4 1 2"]),
    ),
    "status": (
        lambda m: m.status("blurdybloop", "UIDNEXT MESSAGES"),
        "AUTH",
        b"STATUS blurdybloop (UIDNEXT MESSAGES)",
        b"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n",
        ("OK", [b"blurdybloop (MESSAGES 231 UIDNEXT 44292)"]),
    ),
    "status items": (lambda m: m.status("x", ["UIDNEXT"]), "AUTH", b"STATUS x (UIDNEXT)", b"", NONE),
    "store": (
        lambda m: m.store("2:4", "+FLAGS", "\\Deleted"),
        "SELECTED",
        b"STORE 2:4 +FLAGS (\\Deleted)",
        FLAGS,
        FLAGS_DATA,
    ),
    "store list": (
        lambda m: m.store([2, 3], "-FLAGS", ["\\Seen", "x"]),
        "SELECTED",
        b"STORE 2,3 -FLAGS (\\Seen x)",
        FLAGS,
        FLAGS_DATA,
    ),
    "store uid=": (
        lambda m: m.store(b"2", "FLAGS", "(\\Seen)", uid=True),
        "SELECTED",
        b"UID STORE 2 FLAGS (\\Seen)",
        FLAGS,
        FLAGS_DATA,
    ),
    "subscribe": (lambda m: m.subscribe("#news.comp.mail.mime"), "AUTH", b"SUBSCRIBE #news.comp.mail.mime", b"", DONE),
    "thread": (
        lambda m: m.thread("REFERENCES", "UTF-8", 'SUBJECT "é"'),
        "SELECTED",
        b'THREAD REFERENCES UTF-8 SUBJECT "\xc3\xa9"',
        THREADS,
        ("OK", [b"(2)(3 6 (4 23)(44 7 96))"]),
    ),
    "thread uid=": (
        lambda m: m.thread("ORDEREDSUBJECT", "UTF-8", "ALL", uid=True),
        "SELECTED",
        b"UID THREAD ORDEREDSUBJECT UTF-8 ALL",
        THREADS,
        ("OK", [b"(2)(3 6 (4 23)(44 7 96))"]),
    ),
    "uid copy": (lambda m: m.uid("copy", [1, (3, 5)], "A B"), "SELECTED", b'UID COPY 1,3:5 "A B"', b"", NONE),
    "uid move": (lambda m: m.uid("move", "1", "Entwürfe"), "SELECTED", b"UID MOVE 1 Entw&APw-rfe", b"", NONE),
    "uid expunge": (lambda m: m.uid("EXPUNGE", [3]), "SELECTED", b"UID EXPUNGE 3", EXPUNGED, NONE),
    "uid fetch": (lambda m: m.uid("fetch", "2:3", "FLAGS"), "SELECTED", b"UID FETCH 2:3 (FLAGS)", FLAGS, FLAGS_DATA),
    "uid fetch modifier": (
        lambda m: m.uid("FETCH", "2:3", "(FLAGS)", "(CHANGEDSINCE 12345)"),
        "SELECTED",
        b"UID FETCH 2:3 (FLAGS) (CHANGEDSINCE 12345)",
        FLAGS,
        FLAGS_DATA,
    ),
    "uid fetch params=": (
        lambda m: m.uid("FETCH", "2", ["FLAGS", "BODY[HEADER.FIELDS ?]"], params=[["DATE"]]),
        "SELECTED",
        b"UID FETCH 2 (FLAGS BODY[HEADER.FIELDS (DATE)])",
        FLAGS,
        FLAGS_DATA,
    ),
    "uid search": (
        lambda m: m.uid("SEARCH", "CHARSET", "UTF-8", "TEXT", "x"),
        "SELECTED",
        b"UID SEARCH CHARSET UTF-8 TEXT x",
        SEARCH,
        NUMBERS,
    ),
    "uid search none": (lambda m: m.uid("SEARCH", None, "ALL"), "SELECTED", b"UID SEARCH ALL", SEARCH, NUMBERS),
    "uid search params=": (
        lambda m: m.uid("SEARCH", "FROM ?", params=["a b"]),
        "SELECTED",
        b'UID SEARCH FROM "a b"',
        SEARCH,
        NUMBERS,
    ),
    "uid sort": (
        lambda m: m.uid("sort", "DATE", "UTF-8", "é"),
        "SELECTED",
        b"UID SORT (DATE) UTF-8 \xc3\xa9",
        SORT,
        ("OK", [b"5 3 4 1 2"]),
    ),
    "uid sort no charset": (
        lambda m: m.uid("SORT", "(DATE)", None, "ALL"),
        "SELECTED",
        b"UID SORT (DATE) ALL",
        SORT,
        ("OK", [b"5 3 4 1 2"]),
    ),
    "uid store": (
        lambda m: m.uid("STORE", "2:3", "+FLAGS", ["\\Deleted"]),
        "SELECTED",
        b"UID STORE 2:3 +FLAGS (\\Deleted)",
        FLAGS,
        FLAGS_DATA,
    ),
    "uid store modifier": (
        lambda m: m.uid("STORE", "2", "(UNCHANGEDSINCE 7)", "FLAGS", "\\Seen"),
        "SELECTED",
        b"UID STORE 2 (UNCHANGEDSINCE 7) FLAGS (\\Seen)",
        FLAGS,
        FLAGS_DATA,
    ),
    "uid thread": (
        lambda m: m.uid("THREAD", "REFERENCES", "UTF-8", "ALL"),
        "SELECTED",
        b"UID THREAD REFERENCES UTF-8 ALL",
        THREADS,
        ("OK", [b"(2)(3 6 (4 23)(44 7 96))"]),
    ),
    "unselect": (lambda m: m.unselect(), "SELECTED", b"UNSELECT", b"", DONE),
    "unsubscribe": (lambda m: m.unsubscribe("a"), "AUTH", b"UNSUBSCRIBE a", b"", DONE),
}
STATES = {
    "ANY": ("NONAUTH", "AUTH", "SELECTED"),
    "AUTH": ("AUTH", "SELECTED"),
    "SELECTED": ("SELECTED",),
}


@pytest.mark.parametrize("case", CASES)
def test_commands(case: str, implementation: str) -> None:
    call, states, sent, answer, result = CASES[case]
    client = Canned(answer + OK)
    client.state = STATES[states][0] if case != "proxyauth" else "AUTH"
    assert call(client) == result
    assert client.canned.sent == client.tagpre + b"0 " + sent + b"\r\n"


@pytest.mark.parametrize("case", CASES)
def test_states(case: str) -> None:
    call, states, _, _, _ = CASES[case]
    allowed = ("AUTH",) if case == "proxyauth" else STATES[states]
    for state in {"NONAUTH", "AUTH", "SELECTED", "IDLING"} - set(allowed):
        client = Canned()
        client.state = state
        with pytest.raises(imaplib.IMAP4.error, match=f"illegal in state {state}"):
            call(client)
        assert client.canned.sent == b""


@pytest.mark.parametrize("case", CASES)
def test_refusals(case: str, implementation: str) -> None:
    """NO is a result, BAD an error; the connection goes on after both."""
    call, states, _, _, _ = CASES[case]
    client = Canned(b"<tag> NO [X] not now\r\n", b"<tag> BAD what?\r\n", b"<tag> OK still here\r\n")
    client.state = STATES[states][0] if case != "proxyauth" else "AUTH"
    state = client.state
    refusal: list[Any] = [b"[X] not now"]
    assert call(client) == ("NO", [refusal, refusal] if case == "getquotaroot" else refusal)
    client.state = state
    with pytest.raises(imaplib.IMAP4.error, match=r"command error: BAD \[b'what\?'\]") as caught:
        call(client)
    assert not isinstance(caught.value, imaplib.IMAP4.abort)
    assert client.noop() == ("OK", [b"still here"])


# Logging in.


def logged_in(client: imaplib.IMAP4) -> bool:
    return client.state == "AUTH"


def test_login() -> None:
    client = Canned(b"<tag> OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")
    assert client.login("a b", 'p"w\\') == ("OK", [b"[CAPABILITY IMAP4rev1 IDLE] in"])
    assert client.canned.sent == client.tagpre + b'0 LOGIN "a b" "p\\"w\\\\"\r\n'
    assert logged_in(client)
    assert client.capabilities == ("IMAP4REV1", "IDLE")
    assert client.response("CAPABILITY") == ("CAPABILITY", [b"IMAP4rev1 IDLE"])
    with pytest.raises(imaplib.IMAP4.error, match="command LOGIN illegal in state AUTH"):
        client.login("a", "b")


def test_capabilities_are_asked_for_after_login() -> None:
    client = Canned(OK, b"* CAPABILITY IMAP4rev1 ENABLE\r\n" + OK)
    client.login("a", "b")
    assert client.capabilities == ("IMAP4REV1", "ENABLE")


class Dialogue(Canned):
    """Answers each line of AUTHENTICATE in turn; `<tag>` is that of the command."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        tag = self.tagpre + b"0"
        self.canned.replies = iter([reply.replace(b"<tag>", tag) for reply in replies])


def test_authenticate() -> None:
    challenges: list[bytes] = []

    def answer(challenge: bytes) -> Any:
        challenges.append(challenge)
        return [b"first", "zweites ä", b""][len(challenges) - 1]

    client = Dialogue(
        b"* OK wait\r\n+ " + base64.b64encode(b"one") + b"\r\n",
        b"+\r\n",
        b"+ \r\n",
        b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n",
    )
    assert client.authenticate("mymech", answer)[0] == "OK"
    assert challenges == [b"one", b"", b""]
    lines = client.canned.sent.split(b"\r\n")
    assert lines == [
        client.tagpre + b"0 AUTHENTICATE MYMECH",
        base64.b64encode(b"first"),
        base64.b64encode("zweites ä".encode()),
        b"",
        b"",
    ]
    assert logged_in(client)


@pytest.mark.parametrize("empty", [b'+ ""', b"+ =", b"+", b"+ ", b'+ "" '])
def test_an_empty_challenge(empty: bytes) -> None:
    """``""`` is Stalwart's (stalwartlabs/stalwart#234), ``=`` that of RFC 4959."""
    challenges: list[bytes] = []
    client = Dialogue(empty + b"\r\n", b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")

    def answer(challenge: bytes) -> bytes:
        challenges.append(challenge)
        return b"me"

    assert client.authenticate("X-TEST", answer)[0] == "OK"
    assert challenges == [b""]
    assert logged_in(client)


def test_a_challenge_in_quotes() -> None:
    """The standard library takes it too."""
    challenges: list[bytes] = []
    client = Dialogue(b'+ "VXNlcm5hbWU6"\r\n', b'+ "UGFzc3dvcmQ6" \r\n', b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")

    def answer(challenge: bytes) -> bytes:
        challenges.append(challenge)
        return b"me"

    assert client.authenticate("LOGIN", answer)[0] == "OK"
    assert challenges == [b"Username:", b"Password:"]
    assert logged_in(client)


def test_a_long_answer_is_one_line() -> None:
    client = Dialogue(b"+ \r\n", b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")
    token = 5000 * b"x"
    client.authenticate("XOAUTH2", lambda challenge: token)
    assert client.canned.sent.split(b"\r\n")[1] == base64.b64encode(token)


def test_authenticate_refused() -> None:
    client = Dialogue(b"+ \r\n", b"<tag> NO [AUTHENTICATIONFAILED] no\r\n")
    with pytest.raises(imaplib.IMAP4.error, match=r"\A\[AUTHENTICATIONFAILED\] no\Z"):
        client.authenticate("PLAIN", lambda challenge: b"x")
    assert not logged_in(client)


def test_authenticate_unknown_mechanism() -> None:
    client = Dialogue(b"<tag> NO unknown\r\n")
    with pytest.raises(imaplib.IMAP4.error, match="unknown"):
        client.authenticate("PLAIN", lambda challenge: b"x")


def test_authenticate_cancelled() -> None:
    client = Dialogue(b"+ \r\n", b"<tag> BAD cancelled\r\n")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATE command error: BAD"):
        client.authenticate("PLAIN", lambda challenge: None)
    assert client.canned.sent.endswith(b"\r\n*\r\n")


@pytest.mark.parametrize(
    ("challenge", "exception", "text"),
    [
        (base64.b64encode(b"x"), ValueError, "no such token"),
        (b"not base64!=", imaplib.IMAP4.error, "a challenge that is not base64"),
        (b"AAAAA", imaplib.IMAP4.error, "a challenge that is not base64"),
        (b"AA=A", imaplib.IMAP4.error, "a challenge that is not base64"),
        (b"AA==AAAA", imaplib.IMAP4.error, "a challenge that is not base64"),
        (b"AA__", imaplib.IMAP4.error, "a challenge that is not base64"),
        (b"\xff\xfe\x80\x81", imaplib.IMAP4.error, "a challenge that is not base64"),
        (b"<1896.697170952@mail.example>", imaplib.IMAP4.error, "a challenge that is not base64"),
    ],
)
def test_an_exception_of_the_callers_function_cancels(challenge: bytes, exception: type[Exception], text: str) -> None:
    client = Dialogue(b"+ " + challenge + b"\r\n", b"<tag> BAD cancelled\r\n", b"")

    def fail(octets: bytes) -> bytes:
        raise ValueError("no such token")

    with pytest.raises(exception, match=text):
        client.authenticate("XOAUTH2", fail)
    assert client.canned.sent.endswith(b"\r\n*\r\n")
    client.canned.octets = b"* 1 EXISTS\r\n"
    assert client._get_response() == b"* 1 EXISTS"  # in step
    assert client.tagged_commands == {}
    assert client.state == "NONAUTH"


def test_an_interrupt_of_the_callers_function_ends_the_connection() -> None:
    client = Dialogue(b"+ \r\n")

    def interrupt(octets: bytes) -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.authenticate("XOAUTH2", interrupt)
    assert client.canned.closed
    with pytest.raises(
        imaplib.IMAP4.abort, match="connection is dead: KeyboardInterrupt in the middle of AUTHENTICATE"
    ):
        client.noop()


def test_cram_md5() -> None:
    """The example of RFC 2195, section 2."""
    challenge = b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"
    for password in ("tanstaaftanstaaf", b"tanstaaftanstaaf"):
        client = Dialogue(b"+ " + challenge + b"\r\n", b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")
        client.login_cram_md5("tim", password)
        answer = client.canned.sent.split(b"\r\n")[1]
        assert answer == b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
        assert (client.user, client.password) == ("tim", password)  # as they were given
    client = Dialogue(b"+ " + challenge + b"\r\n", b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")
    client.user, client.password = "tim", "tanstaaftanstaaf"
    client.authenticate("CRAM-MD5", client._CRAM_MD5_AUTH)
    assert client.canned.sent.split(b"\r\n")[1] == answer


def test_cram_md5_without_md5(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: object) -> None:
        raise ValueError("[digital envelope routines] unsupported")

    monkeypatch.setattr(hmac, "HMAC", forbidden)
    client = Dialogue(b"+ eA==\r\n", b"<tag> BAD cancelled\r\n")
    with pytest.raises(imaplib.IMAP4.error, match=r"\ACRAM-MD5 authentication is not supported\Z"):
        client.login_cram_md5("tim", "x")


@pytest.mark.parametrize(("user", "password"), [("pręm", "żółć"), ("pręm".encode(), "żółć".encode())])
def test_plain(user: Any, password: Any) -> None:
    client = Dialogue(b"+ \r\n", b"<tag> OK [CAPABILITY IMAP4rev1] in\r\n")
    client.login_plain(user, password)
    command, answer, _ = client.canned.sent.split(b"\r\n")
    assert command.endswith(b" AUTHENTICATE PLAIN")
    assert base64.b64decode(answer) == "\0pręm\0żółć".encode()


# State.


def test_select_and_what_follows() -> None:
    """The example of RFC 3501, section 6.3.1."""
    client = Canned(
        b"* 172 EXISTS\r\n* 1 RECENT\r\n* OK [UNSEEN 12] first\r\n* OK [UIDVALIDITY 3857529045] valid\r\n"
        b"* FLAGS (\\Seen)\r\n<tag> OK [READ-WRITE] done\r\n",
        b"<tag> NO [NONEXISTENT] no\r\n",
    )
    client.state = "AUTH"
    client.untagged_responses = {"OLD": [b"x"]}
    assert client.select() == ("OK", [b"172"])
    assert client.state == "SELECTED"
    assert client.response("UIDVALIDITY") == ("UIDVALIDITY", [b"3857529045"])
    assert client.response("uidvalidity") == ("uidvalidity", [None])
    assert client.response("OLD") == ("OLD", [None])
    assert client.recent() == ("OK", [b"1"])
    assert not client.is_readonly
    assert client.select("nowhere") == ("NO", [b"[NONEXISTENT] no"])
    assert client.state == "AUTH"


@pytest.mark.parametrize(
    ("mailbox", "text"), [("INBOX", "'INBOX' is not writable"), (b"INBOX", r"b'INBOX' is not writable")]
)
def test_select_of_what_cannot_be_written(mailbox: Any, text: str) -> None:
    client = Canned(b"<tag> OK [READ-ONLY] done\r\n")
    client.state = "AUTH"
    with pytest.raises(imaplib.IMAP4.readonly) as caught:
        client.select(mailbox)
    assert str(caught.value) == text
    assert client.state == "SELECTED"


def test_examine() -> None:
    client = Canned(b"* 1 EXISTS\r\n<tag> OK [READ-ONLY] done\r\n", OK)
    client.state = "AUTH"
    client.select("INBOX", readonly=True)
    assert client.is_readonly
    assert client.noop() == DONE


@pytest.mark.parametrize("name", ["close", "unselect"])
def test_leaving_a_mailbox(name: str) -> None:
    for answer in (OK, b"<tag> NO x\r\n"):
        client = Canned(answer)
        client.state = "SELECTED"
        getattr(client, name)()
        assert client.state == "AUTH"
    with pytest.raises(imaplib.IMAP4.error, match="illegal in state NONAUTH"):
        getattr(Canned(), name)()
    client = Canned()
    with pytest.raises(imaplib.IMAP4.error):
        getattr(client, name)()
    assert client.state == "NONAUTH"


def test_logout() -> None:
    client = Canned(b"* BYE see you\r\n" + OK)
    assert client.logout() == ("BYE", [b"see you"])
    assert client.state == "LOGOUT"
    assert client.canned.closed


def test_logout_in_a_with_block() -> None:
    with Canned(b"* BYE see you\r\n" + OK) as client:
        client.logout()
    sent = client.canned.sent
    assert sent.count(b"LOGOUT") == 1


def test_enable() -> None:
    client = Canned(b"* ENABLED UTF8=ACCEPT\r\n" + OK, b"* 1 EXISTS\r\n" + OK, b"* 1 EXISTS\r\n" + OK)
    client.state = "AUTH"
    with pytest.raises(imaplib.IMAP4.error, match="Server does not support ENABLE"):
        client.enable("UTF8=ACCEPT")
    client.capabilities = ("ENABLE", "UTF8=ACCEPT")
    assert client.enable("CONDSTORE utf8=accept") == DONE
    assert client.utf8_enabled
    assert client._encoding == "utf-8"
    client.select("Entwürfe")
    assert client.canned.sent.endswith(' SELECT "Entwürfe"\r\n'.encode())
    with pytest.raises(imaplib.IMAP4.error, match="charset not valid in UTF8 mode"):
        client.search("UTF-8", "ALL")


def test_enable_of_something_else_changes_nothing() -> None:
    client = Canned(OK)
    client.state = "AUTH"
    client.capabilities = ("ENABLE",)
    client.enable("CONDSTORE")
    assert not client.utf8_enabled


@pytest.mark.parametrize(("arguments", "uid"), [(("1",), False), ((), True)])
def test_expunge_of_what_it_cannot(arguments: tuple[str, ...], uid: bool) -> None:
    client = Canned()
    client.state = "SELECTED"
    with pytest.raises(imaplib.IMAP4.error, match="message set"):
        client.expunge(*arguments, uid=uid)
    assert client.canned.sent == b""


@pytest.mark.parametrize("command", ["BOGUS", b"BOGUS"])
def test_uid_of_what_it_does_not_know(command: Any) -> None:
    with pytest.raises(imaplib.IMAP4.error, match=f"Unknown IMAP4 UID command: {command!r}"):
        Canned().uid(command, "1")


@pytest.mark.parametrize(
    "arguments", [("COPY", "1"), ("MOVE", "1"), ("FETCH", "1"), ("STORE", "1", "FLAGS"), ("SORT", "x")]
)
def test_uid_with_too_few_arguments(arguments: tuple[str, ...]) -> None:
    client = Canned()
    client.state = "SELECTED"
    with pytest.raises(ValueError, match="takes at least") as caught:
        client.uid(*arguments)
    assert isinstance(caught.value, imaplib.IMAP4.error)
    assert client.canned.sent == b""


def test_uid_with_params_for_nothing() -> None:
    client = Canned()
    client.state = "SELECTED"
    with pytest.raises(TypeError, match="UID COPY takes no params"):
        client.uid("COPY", "1", "x", params=[1])


def test_search_text_outside_the_charset() -> None:
    client = Canned()
    client.state = "SELECTED"
    with pytest.raises(UnicodeEncodeError):
        client.search("ISO-8859-1", "SUBJECT", "Київ")
    with pytest.raises(LookupError):
        client.search("X-UNKNOWN", "SUBJECT", "ä")
    with pytest.raises(UnicodeEncodeError):
        client.search(None, "SUBJECT", "ä")
    assert client.canned.sent == b""


def test_encode_criteria() -> None:
    client = imaplib.IMAP4.__new__(imaplib.IMAP4)
    assert client._encode_criteria(None, ("ä",)) == ("ä",)
    assert client._encode_criteria("UTF-8", ("ä", b"\xe4")) == (b"\xc3\xa4", b"\xe4")
    with pytest.raises(LookupError):
        client._encode_criteria("no-such-charset", ("x",))


def test_xatom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))
    client = Canned(OK, OK)
    assert client.xatom("x-mine", "a", None, b"(b c)") == DONE
    assert client.canned.sent == client.tagpre + b"0 X-MINE a (b c)\r\n"
    assert imaplib.Commands["X-MINE"] == ("NONAUTH",)
    assert client.xatom("NOOP") == DONE


# Literals out.


def appending(*replies: bytes) -> Dialogue:
    client = Dialogue(*replies)
    client.state = "AUTH"
    return client


def test_append() -> None:
    client = appending(b"+ go\r\n", b"<tag> OK [APPENDUID 1 2] done\r\n")
    date_time = datetime(1996, 7, 17, 2, 44, 25, tzinfo=UTC)
    assert client.append("Sent Items", ["\\Seen", "x"], date_time, b"a\rb\nc\r\nd") == ("OK", [b"[APPENDUID 1 2] done"])
    assert client.canned.sent == (
        client.tagpre + b'0 APPEND "Sent Items" (\\Seen x) "17-Jul-1996 02:44:25 +0000" {10}\r\na\r\nb\r\nc\r\nd\r\n'
    )
    assert client.response("APPENDUID") == ("APPENDUID", [b"1 2"])


def test_append_as_it_is() -> None:
    client = appending(b"+ go\r\n", b"<tag> OK done\r\n")
    client.append(None, None, None, b"a\rb\n", translate_line_endings=False)
    assert client.canned.sent == client.tagpre + b"0 APPEND INBOX {4}\r\na\rb\n\r\n"


@pytest.mark.parametrize("literal", [bytearray(b"abc"), memoryview(b"abc")])
def test_append_of_other_octets(literal: Any) -> None:
    client = appending(b"+ go\r\n", b"<tag> OK done\r\n")
    client.append(None, None, None, literal, translate_line_endings=False)
    assert client.canned.sent.endswith(b"{3}\r\nabc\r\n")


def test_append_in_utf8_mode() -> None:
    """RFC 6855, section 4."""
    client = appending(b"+ go\r\n", b"<tag> OK done\r\n")
    client._mode_utf8()
    client.append("Entwürfe", None, None, b"ab")
    assert client.canned.sent == client.tagpre + '0 APPEND "Entwürfe" UTF8 (~{2}\r\nab)\r\n'.encode()


def test_other_literals_in_utf8_mode_are_plain() -> None:
    client = appending(b"+ go\r\n", b"<tag> OK done\r\n")
    client._mode_utf8()
    client.state = "SELECTED"
    client.literal = b"ab"
    client.search(None, "SUBJECT")
    assert client.canned.sent == client.tagpre + b"0 SEARCH SUBJECT {2}\r\nab\r\n"


def test_a_literal_refused(implementation: str) -> None:
    client = appending(b"* OK hm\r\n<tag> NO [TRYCREATE] no such mailbox\r\n")
    assert client.append("x", None, None, b"ab") == ("NO", [b"[TRYCREATE] no such mailbox"])
    assert client.canned.sent == client.tagpre + b"0 APPEND x {2}\r\n"
    client = appending(b"<tag> BAD no\r\n")
    with pytest.raises(imaplib.IMAP4.error, match="APPEND command error: BAD"):
        client.append("x", None, None, b"ab")


def test_append_of_a_message_that_is_text() -> None:
    client = appending()
    text: Any = "text"
    with pytest.raises(TypeError):
        client.append(None, None, None, text)
    with pytest.raises(TypeError):
        client.append(None, None, None, text, translate_line_endings=False)
    assert client.canned.sent == b""
    assert client.literal is None


def test_append_with_a_date_of_the_callers_own() -> None:
    client = appending(b"+ go\r\n", b"<tag> OK done\r\n")
    client.append(None, "(\\Seen)", '"17-Jul-1996 02:44:25 -0700"', b"x")
    assert b' APPEND INBOX (\\Seen) "17-Jul-1996 02:44:25 -0700" {1}\r\n' in client.canned.sent
