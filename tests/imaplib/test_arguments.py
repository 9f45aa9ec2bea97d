"""What goes on the wire for an argument, and what does not go at all."""

from __future__ import annotations

import mmap
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from pickle import PickleBuffer
from typing import Any
from uuid import UUID

import pytest

from fastimap import imaplib
from tests.imaplib.canned import Canned

Call = Callable[[imaplib.IMAP4, Any], Any]

# Every public method that sends an argument, and each of its arguments.
CALLS: dict[str, Call] = {
    "append mailbox": lambda m, x: m.append(x, None, None, b"x"),
    "append flags": lambda m, x: m.append("INBOX", x, None, b"x"),
    "append list of flags": lambda m, x: m.append("INBOX", [x, x], None, b"x"),
    "authenticate": lambda m, x: m.authenticate(x, lambda challenge: b""),
    "copy set": lambda m, x: m.copy(x, "INBOX"),
    "copy mailbox": lambda m, x: m.copy("1", x),
    "uid copy": lambda m, x: m.copy("1", x, uid=True),
    "create": lambda m, x: m.create(x),
    "delete": lambda m, x: m.delete(x),
    "deleteacl mailbox": lambda m, x: m.deleteacl(x, "me"),
    "deleteacl who": lambda m, x: m.deleteacl("INBOX", x),
    "expunge": lambda m, x: m.expunge(x, uid=True),
    "fetch set": lambda m, x: m.fetch(x, "FLAGS"),
    "fetch parts": lambda m, x: m.fetch("1", x),
    "fetch list of parts": lambda m, x: m.fetch("1", ["UID", x]),
    "getacl": lambda m, x: m.getacl(x),
    "getannotation mailbox": lambda m, x: m.getannotation(x, "/comment", "value"),
    "getannotation entry": lambda m, x: m.getannotation("INBOX", x, "value"),
    "getannotation attribute": lambda m, x: m.getannotation("INBOX", "/comment", x),
    "getquota": lambda m, x: m.getquota(x),
    "getquotaroot": lambda m, x: m.getquotaroot(x),
    "id field": lambda m, x: m.id({x: "1"}),
    "id value": lambda m, x: m.id({"name": x}),
    "list directory": lambda m, x: m.list(x),
    "list pattern": lambda m, x: m.list("", x),
    "login user": lambda m, x: m.login(x, "secret"),
    "login password": lambda m, x: m.login("user", x),
    "lsub directory": lambda m, x: m.lsub(x),
    "lsub pattern": lambda m, x: m.lsub("", x),
    "move set": lambda m, x: m.move(x, "INBOX"),
    "move mailbox": lambda m, x: m.move("1", x),
    "myrights": lambda m, x: m.myrights(x),
    "partial number": lambda m, x: m.partial(x, "RFC822", "0", "1"),
    "partial part": lambda m, x: m.partial("1", x, "0", "1"),
    "partial start": lambda m, x: m.partial("1", "RFC822", x, "1"),
    "partial length": lambda m, x: m.partial("1", "RFC822", "0", x),
    "proxyauth": lambda m, x: m.proxyauth(x),
    "rename old": lambda m, x: m.rename(x, "new"),
    "rename new": lambda m, x: m.rename("old", x),
    "search charset": lambda m, x: m.search(x, "ALL"),
    "search criterion": lambda m, x: m.search(None, x),
    "search criterion in a charset": lambda m, x: m.search("UTF-8", "ä", x),
    "search param": lambda m, x: m.search(None, "FROM ?", params=[x]),
    "search list of params": lambda m, x: m.search(None, "X ?", params=[["a", x]]),
    "search set": lambda m, x: m.search(None, "UID ?s", params=[x]),
    "search flag": lambda m, x: m.search(None, "KEYWORD ?f", params=[x]),
    "select": lambda m, x: m.select(x),
    "examine": lambda m, x: m.select(x, readonly=True),
    "setacl mailbox": lambda m, x: m.setacl(x, "me", "lr"),
    "setacl who": lambda m, x: m.setacl("INBOX", x, "lr"),
    "setacl what": lambda m, x: m.setacl("INBOX", "me", x),
    "setannotation mailbox": lambda m, x: m.setannotation(x),
    "setannotation entry": lambda m, x: m.setannotation("INBOX", x),
    "setquota root": lambda m, x: m.setquota(x, "STORAGE 1"),
    "setquota limits": lambda m, x: m.setquota("root", x),
    "sort criteria": lambda m, x: m.sort(x, "UTF-8", "ALL"),
    "sort charset": lambda m, x: m.sort("DATE", x, "ALL"),
    "sort criterion": lambda m, x: m.sort("DATE", "UTF-8", x),
    "status mailbox": lambda m, x: m.status(x, "MESSAGES"),
    "status names": lambda m, x: m.status("INBOX", x),
    "store set": lambda m, x: m.store(x, "FLAGS", "\\Seen"),
    "store command": lambda m, x: m.store("1", x, "\\Seen"),
    "store flags": lambda m, x: m.store("1", "FLAGS", x),
    "subscribe": lambda m, x: m.subscribe(x),
    "thread algorithm": lambda m, x: m.thread(x, "UTF-8", "ALL"),
    "thread charset": lambda m, x: m.thread("REFERENCES", x, "ALL"),
    "thread criterion": lambda m, x: m.thread("REFERENCES", "UTF-8", x),
    "uid fetch": lambda m, x: m.uid("FETCH", x, "FLAGS"),
    "uid store": lambda m, x: m.uid("STORE", "1", "FLAGS", x),
    "uid search": lambda m, x: m.uid("SEARCH", x),
    "uid of another command": lambda m, x: m.uid("NOOP", x),
    "unsubscribe": lambda m, x: m.unsubscribe(x),
    "xatom name": lambda m, x: m.xatom(x),
    "xatom argument": lambda m, x: m.xatom("X", x),
}
IN_STATE = {"login": "NONAUTH", "authenticate": "NONAUTH", "enable": "AUTH", "proxyauth": "AUTH"}
NO_ARGUMENT_SENT = {
    "capability", "check", "close", "idle", "logout", "namespace", "noop", "recent", "response", "starttls", "unselect",
    "login_cram_md5", "login_plain",  # in base64
    "open", "read", "readline", "send", "shutdown", "socket", "ssl",
}  # fmt: skip


def test_every_method_is_here() -> None:
    methods = {name for name in dir(imaplib.IMAP4_SSL) if name.islower() and not name.startswith("_")}
    methods = {name for name in methods if callable(getattr(imaplib.IMAP4_SSL, name))} - {
        "error",
        "abort",
        "readonly",
        "print_log",
    }
    assert methods - {"enable"} == {name.split()[0] for name in CALLS} - {"examine"} | NO_ARGUMENT_SENT


@pytest.mark.parametrize("octet", ["\0", "\r", "\n"])
@pytest.mark.parametrize("call", CALLS)
def test_what_would_end_a_line_is_refused(call: str, octet: str) -> None:
    commands = dict(imaplib.Commands)
    injected = f"a{octet}X LOGOUT"
    arguments: list[Any] = [injected]
    if call != "id field":
        arguments.append(injected.encode())
    if call.partition(" ")[2] in ("mailbox", "directory", "old", "new"):
        arguments += [f'"{injected}"', f"ä{injected}", f"&{injected}"]
    client = Canned(b"+ go\r\n")
    client.state = IN_STATE.get(call.split()[0], "SELECTED")
    for argument in arguments:
        with pytest.raises(ValueError, match=r"NUL, CR and LF not allowed|not a(n atom| flag| message set)"):
            CALLS[call](client, argument)
        assert client.canned.sent == b""
        assert client.tagged_commands == {}
        assert client.literal is None
    assert imaplib.Commands == commands


def test_enable_refuses_it_too() -> None:
    client = Canned()
    client.capabilities = ("ENABLE",)
    client.state = "AUTH"
    with pytest.raises(ValueError, match=r"NUL, CR and LF not allowed"):
        client.enable("UTF8=ACCEPT\r\nX LOGOUT")
    assert client.canned.sent == b""
    assert not client.utf8_enabled


@pytest.mark.parametrize("secret", ["a\0b", b"a\0b"])
def test_plain_refuses_what_separates_its_parts(secret: Any) -> None:
    client = Canned()
    for arguments in ((secret, "x"), ("x", secret)):
        with pytest.raises(ValueError, match="NUL not allowed"):
            client.login_plain(*arguments)
    assert client.canned.sent == b""


@pytest.mark.parametrize("argument", [5, 1.5, memoryview(b"5")])
def test_what_is_no_text_becomes_a_string(argument: Any) -> None:
    client = Canned(b"<tag> OK done\r\n")
    client.xatom("NOOP", argument)
    octets = bytes(argument) if isinstance(argument, memoryview) else str(argument).encode()
    assert client.canned.sent == client.tagpre + b"0 NOOP " + octets + b"\r\n"


class Loud(str):
    """Text that shows itself as something else."""

    def __str__(self) -> str:
        return "LOUD"

    def __format__(self, spec: str) -> str:
        return "LOUD"


def member(text: str) -> Any:
    return Enum("Word", {"MEMBER": text}, type=str).MEMBER  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [Loud, member])
@pytest.mark.parametrize("text", ["1", "FLAGS", "\\Seen", "two words", 'FROM "x y"'])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_text_is_sent_as_what_it_holds(
    call: str, text: str, kind: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a member of a `class Word(str, Enum)` that is its value, also where imaplib's "(%s)" makes it its name."""
    sent = []
    for argument in (text, kind(text)):
        monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))  # xatom() adds to it
        client = Canned(b"+ go\r\n")
        client.state = IN_STATE.get(call.split()[0], "SELECTED")
        with suppress(imaplib.IMAP4.error):  # refused, or not answered
            CALLS[call](client, argument)
        sent.append(client.canned.sent.partition(b" ")[2])
    assert sent[0] == sent[1]


@pytest.mark.parametrize("kind", [Loud, member])
def test_search_text_that_shows_itself_as_something_else_is_quoted(kind: Callable[[str], Any]) -> None:
    for key, text in ((kind("SUBJECT"), "trip report"), ("SUBJECT", kind("trip report"))):
        client = Canned(b"* SEARCH\r\n<tag> OK done\r\n")
        client.state = "SELECTED"
        client.search(None, key, text)
        assert client.canned.sent.endswith(b' SEARCH SUBJECT "trip report"\r\n')


def test_the_name_of_a_command_is_an_argument_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))
    client = Canned(b"<tag> OK done\r\n")
    with pytest.raises(TypeError):
        client.xatom(None)  # type: ignore[arg-type]
    assert client.canned.sent == b""
    client.xatom(b"noop")
    assert client.canned.sent.endswith(b" NOOP\r\n")


class Plain(Enum):
    ALL = "ALL"


class Size(int, Enum):
    BIG = 50000


class IntSize(IntEnum):
    BIG = 50000


def mapped(octets: bytes) -> mmap.mmap:
    mapping = mmap.mmap(-1, len(octets))
    mapping[:] = octets
    return mapping


@pytest.mark.parametrize(
    "argument", [array("b", b"Work"), PickleBuffer(b"Work"), memoryview(b"W.o.r.k.")[::2], mapped(b"Work")]
)
def test_all_that_holds_octets_is_sent_as_those(argument: Any) -> None:
    """imaplib concatenates octets and the argument, for which a buffer will do."""
    client = Canned(b"<tag> OK done\r\n")
    client.state = "AUTH"
    client.create(argument)
    assert client.canned.sent.endswith(b" CREATE Work\r\n")


@pytest.mark.parametrize("argument", [Size.BIG, IntSize.BIG])
def test_a_number_stands_for_its_digits(argument: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))  # xatom() adds to it
    for name, call in CALLS.items():
        if name in ("partial start", "search criterion", "search param", "store set", "xatom argument"):
            client = Canned()
            client.state = "SELECTED"
            with suppress(imaplib.IMAP4.abort):  # EOF
                call(client, argument)
            assert b" 50000" in client.canned.sent, name


class Named:
    """What says itself what it is as a string."""

    def __str__(self) -> str:
        return "Work"


@pytest.mark.parametrize("argument", [Decimal(5), UUID(int=5), PurePosixPath("a/b"), Named(), True])
def test_what_has_a_string_of_its_own_is_sent_as_that(argument: Any) -> None:
    client = Canned(b"<tag> OK done\r\n")
    client.xatom("NOOP", argument)
    assert client.canned.sent == client.tagpre + b"0 NOOP " + str(argument).encode() + b"\r\n"


@pytest.mark.parametrize(
    "name", ["search criterion", "create", "login password", "status mailbox", "id value", "xatom argument"]
)
@pytest.mark.parametrize(
    "argument",
    [
        (key for key in ("SUBJECT", "x")), iter(["ALL"]), map(str, (1, 2)), {"ALL": 1}.keys(), {"SEEN": True}, {"SEEN"},
        ["ALL"], ("ALL",), range(3), object(), len, str, 1j, ..., Plain.ALL,
    ],
)  # fmt: skip
def test_what_is_no_argument(name: str, argument: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """imaplib's is a TypeError too, as octets and such an object can't be concatenated."""
    monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))  # xatom() adds to it
    client = Canned()
    client.state = "NONAUTH" if name.startswith("login") else "SELECTED"
    with pytest.raises(imaplib.IMAP4.error, match="arguments are str, bytes or numbers, not") as caught:
        CALLS[name](client, argument)
    assert isinstance(caught.value, TypeError)
    assert client.canned.sent == b""
    assert client.tagged_commands == {}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("FETCH", "1", "FLAGS", None), b"UID FETCH 1 (FLAGS)"),
        (("STORE", "1", None, "+FLAGS", "x"), b"UID STORE 1 +FLAGS (x)"),
        (("COPY", "1", "INBOX", None), b"UID COPY 1 INBOX"),
        (("EXPUNGE", "1", None), b"UID EXPUNGE 1"),
        (("SEARCH", None, "ALL", None), b"UID SEARCH ALL"),
        (("SORT", "DATE", None, "ALL", None), b"UID SORT (DATE) ALL"),
        (("THREAD", "REFERENCES", None, None, "ALL"), b"UID THREAD REFERENCES ALL"),
    ],
)
def test_uid_leaves_none_out(arguments: tuple[Any, ...], sent: bytes) -> None:
    """As imaplib does, for a modifier that a program has or has not."""
    client = Canned(b"<tag> OK done\r\n")
    client.state = "SELECTED"
    client.uid(*arguments)
    assert client.canned.sent.partition(b" ")[2] == sent + b"\r\n"


def test_a_password_is_not_shown() -> None:
    """By a comma at the end of the line, a password is a tuple with a password."""
    client = Canned()
    client.state = "NONAUTH"
    for call in (client.login, client.login_plain, client.login_cram_md5):
        with pytest.raises(TypeError) as caught:
            call("me", ("secret",))  # type: ignore[arg-type]
        assert "secret" not in str(caught.value)
        assert client.canned.sent == b""


def test_a_literal_of_text_is_refused() -> None:
    client = Canned()
    client.literal = "text"
    with pytest.raises(TypeError, match="bytes-like"):
        client.noop()
    assert client.canned.sent == b""
    assert client.literal is None


def test_a_command_in_the_wrong_state_leaves_nothing_behind() -> None:
    client = Canned(b"<tag> OK done\r\n")
    with pytest.raises(
        imaplib.IMAP4.error, match="command APPEND illegal in state NONAUTH, only allowed in states AUTH, SELECTED"
    ):
        client.append("INBOX", None, None, b"x")
    assert client.literal is None
    assert client.tagged_commands == {}
    assert client.noop() == ("OK", [b"done"])


def test_a_mailbox_gone_read_only_leaves_nothing_behind() -> None:
    client = Canned(b"* OK [READ-ONLY] now\r\n<tag> OK done\r\n", b"* BYE x\r\n")
    client.noop()
    client.state = "SELECTED"
    with pytest.raises(imaplib.IMAP4.readonly, match="mailbox status changed to READ-ONLY"):
        client.append("INBOX", None, None, b"x")
    assert client.tagged_commands == {}
    assert client.logout() == ("BYE", [b"x"])


def bare(encoding: str = "ascii") -> imaplib.IMAP4:
    client = imaplib.IMAP4.__new__(imaplib.IMAP4)
    client._encoding = encoding
    return client


@pytest.mark.parametrize(
    ("argument", "sent"),
    [
        ("INBOX", b"INBOX"),
        (b"INBOX", b"INBOX"),
        ("a]b", b"a]b"),  # RFC 9051: ASTRING-CHAR has it
        ("", b'""'),
        ("two words", b'"two words"'),
        ('a"b\\c', b'"a\\"b\\\\c"'),
        ("(a)", b'"(a)"'),
        ("{1}", b'"{1}"'),
        ("50%", b'"50%"'),
        ("*", b'"*"'),
        ("a\x01\x7f", b'"a\x01\x7f"'),
        ('"quoted by the caller"', b'"quoted by the caller"'),
        ('"a\\"b"', b'"a\\"b"'),
        ('""', b'""'),
        ('"', b'"\\""'),
        ('"a" X "b"', b'"\\"a\\" X \\"b\\""'),
        ('"a\\', b'"\\"a\\\\"'),
        (b"\xc3\xa4", b'"\xc3\xa4"'),
    ],
)
def test_astring(argument: Any, sent: bytes) -> None:
    assert bare()._astring(argument) == sent
    assert bare()._astring(sent) == sent


def test_astring_in_utf8_mode() -> None:
    assert bare("utf-8")._astring("ä") == b'"\xc3\xa4"'
    with pytest.raises(UnicodeEncodeError):
        bare()._astring("ä")


@pytest.mark.parametrize(
    ("name", "ascii_mode", "utf8_mode"),
    [
        # RFC 3501, section 5.1.3 has the last three.
        ("Entwürfe", b"Entw&APw-rfe", '"Entwürfe"'.encode()),
        ("Entw&APw-rfe", b"Entw&APw-rfe", b"Entw&APw-rfe"),
        (b"Entw&APw-rfe", b"Entw&APw-rfe", b"Entw&APw-rfe"),
        ('"Entw&APw-rfe"', b'"Entw&APw-rfe"', b'"Entw&APw-rfe"'),
        ('"Entwürfe 2"', b'"Entw&APw-rfe 2"', '"Entwürfe 2"'.encode()),
        ("R&D", b"R&-D", b"R&D"),
        ("R&-D", b"R&-D", b"R&-D"),
        ("R & D", b'"R &- D"', b'"R & D"'),
        ("tab\there", b'"tab\there"', b'"tab\there"'),
        ("", b'""', b'""'),
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", '"~peter/mail/台北/日本語"'.encode()),
        ("&U,BTFw-&ZeVnLIqe-", b"&U,BTFw-&ZeVnLIqe-", b"&U,BTFw-&ZeVnLIqe-"),
        ("😀", b"&2D3eAA-", '"😀"'.encode()),
    ],
)
def test_mailbox(name: Any, ascii_mode: bytes, utf8_mode: bytes) -> None:
    assert bare()._mailbox(name) == ascii_mode
    assert bare("utf-8")._mailbox(name) == utf8_mode


def test_list_mailbox_keeps_wildcards() -> None:
    assert bare()._list_mailbox("Entwürfe/%") == b"Entw&APw-rfe/%"
    assert bare()._list_mailbox("a b*") == b'"a b*"'
    assert bare()._list_mailbox("*") == b"*"
    assert bare("utf-8")._list_mailbox("Entwürfe/%") == '"Entwürfe/%"'.encode()


@pytest.mark.parametrize(
    ("message_set", "sent"),
    [
        ("1:3,7", "1:3,7"),
        (b"1", b"1"),
        (5, "5"),
        ([1, 2, 5], "1,2,5"),
        ((3, 5), "3,5"),
        ([(3, 5)], "3:5"),
        ([1, (3, 5), (8, "*"), "*"], "1,3:5,8:*,*"),
        ([(5, None)], "5:*"),
        (range(1, 4), "1:3"),
        ([range(1, 4), 7], "1:3,7"),
        ([range(1, 10, 4)], "1,5,9"),
        ([range(3, 0, -1)], "3,2,1"),
        ([range(0), 7], "7"),
        ({4: "a"}, "4"),
        ((n for n in (1, 2)), "1,2"),
    ],
)
def test_message_set(message_set: Any, sent: Any) -> None:
    assert bare()._sequence_set(message_set) == sent


@pytest.mark.parametrize(
    ("message_set", "exception"),
    [
        (["7"], TypeError),
        ([2.9], TypeError),
        (2.9, TypeError),
        ([(1, 2.9)], TypeError),
        ([None], TypeError),
        (None, TypeError),
        ([(1,)], ValueError),
        ([(1, 2, 3)], ValueError),
        ([], ValueError),
        (range(0), ValueError),
        (0, ValueError),
        (-1, ValueError),
        ([range(3)], ValueError),
        ([range(1, -3, -2)], ValueError),
        ([(0, "*")], ValueError),
    ],
)
def test_what_is_no_message_set(message_set: Any, exception: type[Exception]) -> None:
    with pytest.raises(exception):
        bare()._sequence_set(message_set)


@pytest.mark.parametrize(
    ("argument", "sent"),
    [
        ("\\Seen", "(\\Seen)"),
        ("(\\Seen)", "(\\Seen)"),
        (b"(\\Seen)", b"(\\Seen)"),
        (b"\\Seen", b"(\\Seen)"),
        ("", "()"),
        (["\\Seen", "x"], "(\\Seen x)"),
        (("a", b"b"), "(a b)"),
        ([], "()"),
    ],
)
def test_parenthesised(argument: Any, sent: Any) -> None:
    assert bare()._set_quote(argument) == sent


@pytest.mark.parametrize("items", [["a", ""], ["a)", "(b"], ["a)"], ["(a"], ['"a'], ['a"b', 'c"'], [b"\xe4"]])
def test_what_is_no_list(items: Any) -> None:
    with pytest.raises(ValueError, match=r"not the items of a list|not ASCII"):
        bare()._set_quote(items)


def test_items_with_lists_and_strings_of_their_own() -> None:
    items = ["BODY[HEADER.FIELDS (DATE FROM)]", '"a) (b"', "(c (d))"]
    assert bare()._set_quote(items) == f"({' '.join(items)})"


@pytest.mark.parametrize("end", ["{3}", "{3+}", "{0-}", "~{3}", "x{99999999999}"])
def test_a_command_cannot_end_like_a_literal(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server would wait for a literal, and take the next command for that."""
    monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))
    client = Canned(b"<tag> OK done\r\n")
    for refused in (f"(a) {end}", f'"a" {end}', f"\\{end}"):
        with pytest.raises(ValueError, match="a command cannot end like the announcement of a literal"):
            client.xatom("X", refused)
    assert client.canned.sent == b""
    assert client.tagged_commands == {}
    assert client.xatom("X", end) == ("OK", [b"done"])
    assert client.canned.sent.endswith(b' X "%b"\r\n' % end.encode())


def test_a_word_that_ends_like_a_literal_is_quoted() -> None:
    client = Canned(b"* SEARCH\r\n<tag> OK done\r\n")
    client.state = "SELECTED"
    client.search(None, "SUBJECT", "caf\xe9 {3}".encode("ascii", "ignore").decode().replace(" ", ""))
    assert client.canned.sent.endswith(b' SEARCH SUBJECT "caf{3}"\r\n')


@pytest.mark.parametrize(
    "call",
    [
        lambda client, text: client.fetch(text, "FLAGS"),
        lambda client, text: client.fetch(text, "FLAGS", uid=True),
        lambda client, text: client.copy(text, "INBOX"),
        lambda client, text: client.move(text, "INBOX"),
        lambda client, text: client.store(text, "+FLAGS", "\\Seen"),
        lambda client, text: client.expunge(text, uid=True),
        lambda client, text: client.uid("FETCH", text, "FLAGS"),
        lambda client, text: client.uid("COPY", text, "INBOX"),
        lambda client, text: client.uid("MOVE", text, "INBOX"),
        lambda client, text: client.uid("STORE", text, "+FLAGS", "\\Seen"),
        lambda client, text: client.uid("EXPUNGE", text),
    ],
)
@pytest.mark.parametrize(
    "text", ["1 elsewhere", "1,2 3", " 1", "1 ", "1\n", "1:*\r\nx", "a", "", "$1", "$,1", "(1)", '"1"', "{1}", "\u0661"]
)
def test_a_message_set_is_one_argument(call: Any, text: str) -> None:
    client = Canned()
    client.state = "SELECTED"
    for argument in (text, text.encode()):
        with pytest.raises(ValueError, match="not a message set"):
            call(client, argument)
    assert client.canned.sent == b""


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.store("1", "+FLAGS", "\\Seen) (x"),
        lambda client: client.store("1", "+FLAGS", b"(\\Seen) (x)"),
        lambda client: client.store("1", "+FLAGS (x)", "\\Seen"),
        lambda client: client.append("INBOX", "(\\Seen) {3}\r\n (x)", None, b"x"),
        lambda client: client.append("INBOX", "(\\Seen) (x)", None, b"x"),
        lambda client: client.append("INBOX", None, '"x" "y"', b"x"),
        lambda client: client.fetch("1", "FLAGS) (UID"),
        lambda client: client.status("INBOX", "(MESSAGES) (UNSEEN)"),
        lambda client: client.setquota("", "(STORAGE 1) (MESSAGE 2)"),
        lambda client: client.sort("(DATE) (SUBJECT)", "UTF-8", "ALL"),
        lambda client: client.getannotation("INBOX", "/comment /x", "value"),
        lambda client: client.setannotation("INBOX", '"/comment" ("value.shared" "x")'),
        lambda client: client.partial("1 2", "RFC822", "1", "2"),
        lambda client: client.partial("1", "RFC822 1", "1", "2"),
        lambda client: client.partial("1", "BODY[HEADER.FIELDS (DATE]) x", "1", "2"),
        lambda client: client.uid("FETCH", "1", "FLAGS", "(CHANGEDSINCE 1) (VANISHED)"),
        lambda client: client.uid("STORE", "1", "(UNCHANGEDSINCE 1) x", "+FLAGS", "\\Seen"),
        lambda client: client.enable("CONDSTORE {3}"),
    ],
)
def test_a_second_argument_in_one(call: Any) -> None:
    client = Canned()
    client.state = "SELECTED"
    client.capabilities = ("ENABLE",)
    with pytest.raises(ValueError, match=r"not |one"):
        call(client)
    assert client.canned.sent == b""
    assert client.literal is None


@pytest.mark.slow
@pytest.mark.parametrize("unit", ['\\"', '"', "(", "[", '"\\" ', ") "])
def test_long_arguments_take_linear_time(unit: str) -> None:
    def seconds(size: int) -> float:
        text = '"' + unit * (size // len(unit))
        start = time.process_time()
        for quote in (bare()._set_quote, bare()._single, lambda text: bare()._set_quote([text])):
            with suppress(ValueError):
                quote(text)
        return time.process_time() - start

    seconds(1000)
    assert seconds(2_000_000) < 1  # quadratic: hours


@pytest.mark.parametrize(
    "single",
    ["a", '"a b"', '"a\\" b"', "(a (b c))", '("a) (b" c)', "BODY[HEADER.FIELDS (DATE FROM)]<0.5>", "()", "\\Seen"],
)
def test_one_argument(single: str) -> None:
    assert bare()._single(single) == single


@pytest.mark.parametrize("macro", ["ALL", "fast", "Full", b"all"])
def test_macros_are_no_items(macro: Any) -> None:
    assert bare()._fetch_parts(macro) == macro
    assert str(bare()._fetch_parts([macro, macro])).upper() in ("(ALL ALL)", "(FAST FAST)", "(FULL FULL)")


@pytest.mark.parametrize(
    ("template", "params", "result"),
    [
        ("FROM ?", ["me@host"], "FROM me@host"),
        ("FROM ?", [b"me@host"], "FROM me@host"),
        ("SUBJECT ?", ["two words"], 'SUBJECT "two words"'),
        ("SUBJECT ?", ['"as data"'], 'SUBJECT "\\"as data\\""'),
        ("SUBJECT ?", [""], 'SUBJECT ""'),
        ("SUBJECT ?", ["ä"], 'SUBJECT "ä"'),
        ("SUBJECT ?", ["?"], "SUBJECT ?"),
        ("LARGER ?", [1000], "LARGER 1000"),
        ("BODY[HEADER.FIELDS ?]", [["DATE", "FROM"]], "BODY[HEADER.FIELDS (DATE FROM)]"),
        ("X ?", [("a", ["b c", 2])], 'X (a ("b c" 2))'),
        ("KEYWORD ?f", ["$Junk"], "KEYWORD $Junk"),
        ("?f", [["\\Seen", "x[y]"]], "(\\Seen x[y])"),
        ("UID ?s NOT FROM ?", [[1, (3, "*")], "x"], "UID 1,3:* NOT FROM x"),
        ("?s", [b"1:2"], "1:2"),
        ("a?? ??b", [], "a? ?b"),
        ("(?)", ["x"], "(x)"),
        ("?sender", ["x"], "xsender"),
    ],
)
def test_params(template: str, params: list[Any], result: str) -> None:
    assert imaplib._substitute(template, params) == result


@pytest.mark.parametrize(
    ("template", "params", "exception", "text"),
    [
        ("? ?", ["x"], TypeError, "more placeholders than params"),
        ("?", ["x", "y"], TypeError, "1 of 2 params have no placeholder"),
        ("?", [True], TypeError, "not bool"),
        ("?", [1.5], TypeError, "not float"),
        ("?", [None], TypeError, "not NoneType"),
        ("?", ["a\r\nb"], ValueError, "NUL, CR and LF"),
        ("?f", ["a b"], ValueError, "not a flag"),
        ("?f", ["\\"], ValueError, "not a flag"),
        ("?f", [5], ValueError, "not a flag"),
        ("?f", ["ä"], ValueError, "not a flag"),
        ("?s", [["a"]], TypeError, "cannot be interpreted as an integer"),
        ("?s", [[(1,)]], ValueError, "a range of messages is a pair"),
        ("?s", ["1\r\n"], ValueError, "not a message set"),
        ("?s", ["1 OR ALL"], ValueError, "not a message set"),
    ],
)
def test_params_that_are_no_good(template: str, params: list[Any], exception: type[Exception], text: str) -> None:
    with pytest.raises(exception, match=text):
        imaplib._substitute(template, params)
