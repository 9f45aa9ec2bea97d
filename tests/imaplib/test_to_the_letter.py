"""What the documentation of the standard library's module says of arguments, to the letter."""

from __future__ import annotations

import pickle
import re
from collections import UserString
from typing import Any

import pytest

from fastimap import imaplib
from tests.imaplib.canned import Canned

pytestmark = pytest.mark.usefixtures("implementation")

DONE = b"<tag> OK done\r\n"


class Talking(Canned):
    """Asks for each literal, and completes each command."""

    def __init__(self) -> None:
        super().__init__()
        self.state = "SELECTED"
        self.canned.replies = self._replies()

    def _replies(self) -> Any:
        while True:
            done = self.canned.sent.rpartition(self.tagpre)[2]
            number = re.match(rb"\d*", done)
            assert number is not None
            tag = self.tagpre + number[0]
            yield b"+ go on\r\n" if re.search(rb"\{\d+\}\r\n\Z", done) else tag + b" OK done\r\n"

    def line(self) -> bytes:
        """What was sent, without its tag and the last CRLF."""
        return re.sub(rb"\A[A-P]{6}\d+ |\r\n\Z", b"", self.canned.sent)


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        (lambda m: m.search(None, "LARGER", 50000, "SEEN"), b"SEARCH LARGER 50000 SEEN"),
        (lambda m: m.create(2024), b"CREATE 2024"),
        (lambda m: m.rename(2024, "2025 old"), b'RENAME 2024 "2025 old"'),
        (lambda m: m.copy(1, 2024), b"COPY 1 2024"),
        (lambda m: m.partial(1, "RFC822", 0, 10), b"PARTIAL 1 RFC822 0 10"),
        (lambda m: m.uid(b"FETCH", 5, "FLAGS"), b"UID FETCH 5 (FLAGS)"),
        (lambda m: m.uid("COPY", 5, 2024), b"UID COPY 5 2024"),
        (lambda m: m.getquota(5), b"GETQUOTA 5"),
        (lambda m: m.xatom("X-Y", 1, 2.5), b"X-Y 1 2.5"),
        (lambda m: m.xatom("X-Y", "two words"), b'X-Y "two words"'),
        (lambda m: m.xatom("X-Y", '"two words"'), b'X-Y "two words"'),
        (lambda m: m.xatom("X-Y", "(two words)"), b"X-Y (two words)"),
        (lambda m: m.xatom("X-Y", '"/a" (b c)'), b'X-Y "/a" (b c)'),
        (lambda m: m.xatom("X-Y", "BODY[HEADER.FIELDS (DATE)]"), b"X-Y BODY[HEADER.FIELDS (DATE)]"),
        (lambda m: m.xatom("X-Y", ""), b'X-Y ""'),
        (lambda m: m.xatom("X-Y", 'a"b'), b'X-Y "a\\"b"'),
        # Octets are octets, whatever holds them.
        (lambda m: m.fetch(bytearray(b"1"), bytearray(b"FLAGS")), b"FETCH 1 (FLAGS)"),
        (lambda m: m.copy(memoryview(b"1:2"), bytearray(b"a b")), b'COPY 1:2 "a b"'),
        (lambda m: m.store(bytearray(b"1"), bytearray(b"FLAGS"), bytearray(b"x y")), b"STORE 1 FLAGS (x y)"),
        (lambda m: m.store("1", "FLAGS", [bytearray(b"x")]), b"STORE 1 FLAGS (x)"),
        (lambda m: m.uid(bytearray(b"SEARCH"), bytearray(b"SUBJECT"), bytearray(b"a b")), b'UID SEARCH SUBJECT "a b"'),
        (lambda m: m.search(None, UserString('SUBJECT "a b"')), b'SEARCH SUBJECT "a b"'),  # as imap_tools' keys are
        # RFC 7162, section 3.1.3: modifiers come before the item.
        (lambda m: m.store("1", "(UNCHANGEDSINCE 5) +FLAGS", "x"), b"STORE 1 (UNCHANGEDSINCE 5) +FLAGS (x)"),
        (lambda m: m.uid("STORE", "1", "(UNCHANGEDSINCE 5) FLAGS", "x"), b"UID STORE 1 (UNCHANGEDSINCE 5) FLAGS (x)"),
    ],
)
def test_arguments_become_strings(call: Any, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))  # xatom() adds to it
    client = Talking()
    call(client)
    assert client.line() == sent


def test_ints_at_login() -> None:
    client = Talking()
    client.state = "NONAUTH"
    client.capabilities = ("IMAP4REV1",)
    client.untagged_responses["CAPABILITY"] = [b"IMAP4rev1"]
    client.login(4711, 1234)
    assert client.line() == b'LOGIN 4711 "1234"'


KEYS = [
    (("SUBJECT", "trip report"), b'SUBJECT "trip report"'),
    (("SUBJECT", "report"), b"SUBJECT report"),
    (("X-GM-RAW", "has:attachment in:unread"), b'X-GM-RAW "has:attachment in:unread"'),
    (("X-GM-RAW", 'subject:"a b" -from:c'), b'X-GM-RAW "subject:\\"a b\\" -from:c"'),
    (("SUBJECT", 'no"thing"'), b'SUBJECT "no\\"thing\\""'),
    (("FROM", 'x OR SUBJECT "a b" SEEN'), b'FROM x OR SUBJECT "a b" SEEN'),
    (("SUBJECT", ""), b'SUBJECT ""'),
    (("SUBJECT", '"trip report"'), b'SUBJECT "trip report"'),
    (("SUBJECT", "(trip report)"), b"SUBJECT (trip report)"),
    (("SUBJECT", '5" disk'), b'SUBJECT "5\\" disk"'),
    (("SUBJECT", "FROM", "UNSEEN"), b"SUBJECT FROM UNSEEN"),
    (("UNSEEN SUBJECT", "trip report", "FROM", "A B"), b'UNSEEN SUBJECT "trip report" FROM "A B"'),
    (("(OR TO", "A B", "CC C)"), b'(OR TO "A B" CC C)'),
    (("HEADER", "X-Mailer", "Some Thing 1.0"), b'HEADER X-Mailer "Some Thing 1.0"'),
    (("HEADER Message-ID", "<a b@c>"), b'HEADER Message-ID "<a b@c>"'),
    (("HEADER", 'Message-ID "<x>"'), b'HEADER Message-ID "<x>"'),
    (("HEADER", 'Message-ID "<x>"', "SEEN"), b'HEADER Message-ID "<x>" SEEN'),
    (("KEYWORD", "$Forwarded"), b"KEYWORD $Forwarded"),
    (("SINCE 1-Jan-2024", "BODY", "x y"), b'SINCE 1-Jan-2024 BODY "x y"'),
    (("TEXT", b"a b"), b'TEXT "a b"'),
    (("TEXT", "\u00e4 b"), b"TEXT {4}\r\n\xc3\xa4 b"),
    (("TEXT", "\u00e4 b", "SEEN"), b"TEXT {4}\r\n\xc3\xa4 b SEEN"),
    (("TEXT", "\u00e4", "TEXT", "\u00fc"), b"TEXT {2}\r\n\xc3\xa4 TEXT {2}\r\n\xc3\xbc"),
    (("TEXT", b"\xc3\xa4"), b"TEXT {2}\r\n\xc3\xa4"),
    (('SUBJECT "\u00e4" SEEN',), b'SUBJECT "\xc3\xa4" SEEN'),
    (("SUBJECT trip report",), b"SUBJECT trip report"),
]


@pytest.mark.parametrize(("keys", "sent"), KEYS)
def test_search_text_is_quoted(keys: tuple[Any, ...], sent: bytes) -> None:
    calls: list[tuple[Any, bytes]] = [
        (lambda m: m.search("UTF-8", *keys), b"SEARCH CHARSET UTF-8 "),
        (lambda m: m.search("UTF-8", *keys, uid=True), b"UID SEARCH CHARSET UTF-8 "),
        (lambda m: m.sort("DATE", "UTF-8", *keys), b"SORT (DATE) UTF-8 "),
        (lambda m: m.thread("REFERENCES", "UTF-8", *keys), b"THREAD REFERENCES UTF-8 "),
        (lambda m: m.uid("SORT", "DATE", "UTF-8", *keys), b"UID SORT (DATE) UTF-8 "),
    ]
    for call, start in calls:
        client = Talking()
        assert call(client)[0] == "OK"
        # Between a literal's announcement and its octets the server is waited for.
        assert client.line() == start + sent
    if all(isinstance(key, str) and key.isascii() for key in keys):
        client = Talking()
        client.uid("SEARCH", *keys)
        assert client.line() == b"UID SEARCH " + sent


def test_a_literal_that_the_server_refuses() -> None:
    client = Talking()
    client.canned.replies = iter([b"<tag> NO [BADCHARSET (US-ASCII)] what?\r\n", DONE])
    assert client.search("KOI8-R", "TEXT", "\u044f") == ("NO", [b"[BADCHARSET (US-ASCII)] what?"])
    assert client.line() == b"SEARCH CHARSET KOI8-R TEXT {1}"
    assert client.noop() == ("OK", [b"done"])


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda m: m.copy("1 2", "x"), ValueError),
        (lambda m: m.copy([0], "x"), ValueError),
        (lambda m: m.copy(2.5, "x"), TypeError),
        (lambda m: m.create("a\nb"), ValueError),
        (lambda m: m.store("1", "FLAGS x", "y"), ValueError),
        (lambda m: m.store("1", "(UNCHANGEDSINCE 5) (x) FLAGS", "y"), ValueError),
        (lambda m: m.uid("STORE", "1", "FLAGS.SILENT x", "y"), ValueError),
        (lambda m: m.search(None, ["ALL"]), TypeError),
        (lambda m: m.search(None, "FROM", ("a", "b")), TypeError),
        (lambda m: m.select(["INBOX"]), TypeError),
        (lambda m: m.xatom("X-Y", {"a": 1}), TypeError),
        (lambda m: m.store("1", "FLAGS", [["x"]]), TypeError),
        (lambda m: m.store("1", "FLAGS", "a) (b"), ValueError),
        (lambda m: m.fetch("1", "?", params=[]), TypeError),
        (lambda m: m.fetch("1", "?", params=[1.5]), TypeError),
        (lambda m: m.search(None, "SUBJECT", "\u00e4"), UnicodeEncodeError),
        (lambda m: m.search("no-such-charset", "SUBJECT", "\u00e4"), LookupError),
        (lambda m: m.append("x", None, "no date", b""), ValueError),
        (lambda m: m.append("x", None, None, "text"), TypeError),
        (lambda m: m.append("x", None, None, None), TypeError),
        (lambda m: m.append("x", None, float("nan"), b""), ValueError),
        (lambda m: m.append("x", None, 1e99, b""), OverflowError),
        (lambda m: m.append("x", None, (2024, 13, 1, 0, 0, 0, 0, 1, 0), b""), ValueError),
        (lambda m: m.create("\ud800"), UnicodeEncodeError),
        (lambda m: m.create(None), TypeError),
        (lambda m: m.copy("1", None), TypeError),
        (lambda m: m.select(None), TypeError),
        (lambda m: m.fetch("1", None), TypeError),
        (lambda m: m.fetch("1", None, params=[1]), TypeError),
        (lambda m: m.store("1", "FLAGS", None), TypeError),
        (lambda m: m.store("1", "FLAGS", [b"\xff"]), ValueError),
        (lambda m: m.id("name"), TypeError),
        (lambda m: m.uid("COPY", "1"), ValueError),
        (lambda m: m.uid(None, "1"), TypeError),
        (lambda m: m.uid("FETCH", "1", "?", params=[b"\xff"]), ValueError),
        (lambda m: m.uid("STORE", "1", "FLAGS"), ValueError),
        (lambda m: m.uid("STORE", "1", "FLAGS", "x", params=["y"]), TypeError),
        (lambda m: m.xatom("no atom"), ValueError),
        (lambda m: m.login("\u00e4", "x"), UnicodeEncodeError),
        (lambda m: m.login_plain("a\0b", "x"), ValueError),
    ],
)
def test_a_refused_argument_is_an_error_of_both_kinds(call: Any, kind: type[Exception]) -> None:
    client = Canned()
    client.state = "NONAUTH" if "login" in call.__code__.co_names[0] else "SELECTED"
    with pytest.raises(imaplib.IMAP4.error) as caught:
        call(client)
    assert isinstance(caught.value, kind)
    assert not isinstance(caught.value, imaplib.IMAP4.abort)
    assert client.canned.sent == b""
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


class Wrapping(Talking):
    """Looks at commands on their way, as programs do that try again or write logs."""

    commands: list[tuple[Any, ...]]

    def _simple_command(self, name: str, *args: Any) -> Any:
        self.commands.append((name, *args))
        return super()._simple_command(name, *args)


def test_what_was_given_as_str_reaches_an_overridden_method_as_str() -> None:
    """As with the standard library: a comparison with "FETCH" would fail in silence for octets."""
    client = Wrapping()
    client.commands = []
    client.uid("FETCH", "1", "FLAGS")
    client.store("1", "+FLAGS", "x")
    client.uid("STORE", "1", "(UNCHANGEDSINCE 5)", "+FLAGS", "x")
    client.thread("REFERENCES", None, "ALL")
    client.getannotation("INBOX", "/comment", '"value.priv"')
    assert client.commands == [
        ("UID", "FETCH", "1", "(FLAGS)"),
        ("STORE", "1", "+FLAGS", "(x)"),
        ("UID", "STORE", "1", "(UNCHANGEDSINCE 5)", "+FLAGS", "(x)"),
        ("THREAD", "REFERENCES", None, "ALL"),
        ("GETANNOTATION", b"INBOX", "/comment", '"value.priv"'),
    ]
    client.commands = []
    client.state = "NONAUTH"
    client.untagged_responses["CAPABILITY"] = [b"IMAP4rev1"]
    client.authenticate("plain", lambda challenge: None)
    assert client.commands[0] == ("AUTHENTICATE", "PLAIN")


@pytest.mark.parametrize(
    ("parts", "sent"),
    [
        ("(FLAGS) (CHANGEDSINCE 12)", b"(FLAGS) (CHANGEDSINCE 12)"),
        (b"(FLAGS) (CHANGEDSINCE 12)", b"(FLAGS) (CHANGEDSINCE 12)"),
        ("FLAGS (CHANGEDSINCE 12 VANISHED)", b"(FLAGS) (CHANGEDSINCE 12 VANISHED)"),
        ("ALL (CHANGEDSINCE 12)", b"ALL (CHANGEDSINCE 12)"),
        ("BODY[HEADER.FIELDS (DATE)]", b"(BODY[HEADER.FIELDS (DATE)])"),
        ("(BODY[HEADER.FIELDS (DATE)])", b"(BODY[HEADER.FIELDS (DATE)])"),
        ("BODY[HEADER.FIELDS (DATE)] (CHANGEDSINCE 1)", b"(BODY[HEADER.FIELDS (DATE)]) (CHANGEDSINCE 1)"),
    ],
)
def test_modifiers_of_fetch(parts: Any, sent: bytes) -> None:
    client = Talking()
    client.fetch("1:*", parts)
    assert client.line() == b"FETCH 1:* " + sent
    client = Talking()
    client.uid("FETCH", "1:*", parts)
    assert client.line() == b"UID FETCH 1:* " + sent


class Old(Canned):
    """Written for Python 3.8: open() takes no timeout."""

    def open(self, host: str = "", port: int = 143) -> None:  # type: ignore[override]
        super().open(host, port)


def test_an_open_without_a_timeout() -> None:
    client = Old(DONE)
    assert client.noop() == ("OK", [b"done"])


def test_an_empty_challenge_in_quotes() -> None:
    challenges = []

    def answer(challenge: bytes) -> bytes:
        challenges.append(challenge)
        return b"secret"

    client = Talking()
    client.state = "NONAUTH"
    tag = client.tagpre + b"0"
    client.canned.replies = iter([b'+ ""\r\n', tag + b" OK [CAPABILITY IMAP4rev1] in\r\n"])
    assert client.authenticate("X-TOKEN", answer)[0] == "OK"
    assert challenges == [b""]


@pytest.mark.parametrize("line", [b"* OK Searched 39% of the mailbox\r\n", b"+ go on\r\n"])
def test_unsolicited_requests_to_go_on_are_few(line: bytes) -> None:
    client = Canned(line * 17 + DONE)
    if line.startswith(b"+"):
        with pytest.raises(imaplib.IMAP4.abort, match="more than 16 unsolicited requests"):
            client.noop()
    else:
        assert client.noop() == ("OK", [b"done"])
