"""Whatever the arguments, a server sees one command with just these, or the call raises and nothing is sent.

The server's side is written from RFC 9051, section 9, and knows nothing of the client's. It takes octets as servers do
that read by lines: what stands like a literal at the end of a line is one, whatever stands before it.

Arguments that the caller has put in double quotes go as they are, with lenient escapes: CPython's own suite wants
that. Some arguments are IMAP's syntax: they go as they are, in their place, and as one argument (class Single). Search
keys, and what xatom() and uid() take for commands that have no method, may be several in one str, by design
(class Syntax).
"""

from __future__ import annotations

import base64
import hmac
import random
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import pytest

from fastimap import imaplib
from tests.support.command_line import Received
from tests.support.effort import effort

CALLS = effort(100_000)  # in all
SEED = 20261123
CHALLENGE = b"<1896.697170952@example.org>"

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(rb"\\(.)")
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\]+')  # with "]" as in real keywords
_NUMBER = re.compile(rb"0|[1-9][0-9]*")
_SEQUENCE_NUMBER = re.compile(rb"[0-9]+|\*")
_LITERAL = re.compile(rb"~?\{([0-9]+)([+-]?)\}\Z")  # "-" in the oldest drafts of LITERAL+
_SHIFT = re.compile(rb"&([A-Za-z0-9+,]*)-")

TEXT = [
    "\0", "\r", "\n", "\r\n", "\r\nA1 DELETE INBOX", "\r\nA1 DELETE INBOX\r\n", '"', '"', "\\", '\\"', "\\Seen", "{3}",
    "{3+}", "~{3}", "{0}", "{3-}", "{99999999999}", "{", "}", "(", ")", "()", "%", "*", " ", " ", "a", "INBOX",
    "Sent/2026", "NIL", "1:*", "[", "]", "BODY[HEADER.FIELDS (DATE)]", "&", "&-", "&AOk-", "\t", "\x7f", "\x1b", "é",
    "日本", "😀", "\x80", "\ud800", "\udcff", "+", "~", "?", "??", "?f", "?s", ",", ":", "=", "ALL",
]  # fmt: skip


class Command(NamedTuple):
    """What the server has read: the line with its announcements, the literals, and lines that it asked for."""

    line: bytes
    literals: list[bytes]
    answers: list[bytes]


class Server(Received):
    """The client's socket, with a server at once behind it that says OK to every command."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[Command] = []
        self.sent = 0
        self._answers = bytearray(b"* OK [CAPABILITY IMAP4rev1 ENABLE] ready\r\n")
        self._conversation = self._converse()
        next(self._conversation)

    def sendall(self, octets: bytes) -> None:
        self.sent += len(octets)
        self._received += octets
        next(self._conversation)

    def recv_into(self, buffer: memoryview) -> int:
        size = min(len(buffer), len(self._answers))
        buffer[:size] = self._answers[:size]
        del self._answers[:size]
        return size

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        pass

    def _converse(self) -> Generator[None, None, None]:
        while True:
            line = last = yield from self._line()
            literals = []
            while announced := _LITERAL.search(last):
                assert not announced[2], f"a literal without waiting, which the server does not offer: {line!r}"
                self._answers += b"+ go on\r\n"
                literals.append((yield from self._octets(int(announced[1]))))
                last = yield from self._line()
                line += last
            tag, _, command = line.partition(b" ")
            answers = []
            if command.startswith(b"AUTHENTICATE "):
                self._answers += b"+ " + base64.b64encode(CHALLENGE) + b"\r\n"
                answers.append((yield from self._line()))
            self.commands.append(Command(command, literals, answers))
            if command.startswith((b"LOGIN ", b"AUTHENTICATE ")):
                self._answers += b"* CAPABILITY IMAP4rev1 ENABLE\r\n"
            self._answers += tag + b" OK done\r\n"


class Client(imaplib.IMAP4):
    def __init__(self) -> None:
        self.server = Server()
        super().__init__()

    def _create_socket(self, timeout: float | None) -> Any:
        return self.server


class Arguments:
    """The arguments of a command, read from left to right as the grammar has them."""

    def __init__(self, command: Command, utf8: bool) -> None:
        self.utf8 = utf8
        self._octets = b" " + command.line
        self._answers = iter(command.answers)
        self._literals = iter(command.literals)
        self._position = 0

    def take(self, octets: bytes) -> None:
        assert self._octets.startswith(octets, self._position), f"{octets!r} is not next in {self.left()!r}"
        self._position += len(octets)

    def take_if(self, octets: bytes) -> bool:
        if not self._octets.startswith(octets, self._position):
            return False
        self._position += len(octets)
        return True

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        found = pattern.match(self._octets, self._position)
        assert found is not None, f"{pattern.pattern!r} does not match {self.left()!r}"
        self._position = found.end()
        return found

    def atom(self) -> bytes:
        return self.match(_ATOM)[0]

    def string(self) -> bytes:
        return _ESCAPED.sub(rb"\1", self.match(_QUOTED)[1])

    def astring(self, atom: re.Pattern[bytes] = _ASTRING_ATOM) -> bytes:
        return self.string() if self._octets.startswith(b'"', self._position) else self.match(atom)[0]

    def literal(self) -> bytes:
        size = int(self.match(re.compile(rb"~?\{([0-9]+)\}"))[1])
        literal = next(self._literals)
        assert len(literal) == size
        return literal

    def answer(self) -> bytes:
        """What the client has answered the challenge with."""
        return base64.b64decode(next(self._answers), validate=True)

    def left(self) -> bytes:
        return self._octets[self._position :]

    def end(self) -> None:
        assert not self.left()
        assert not [*self._literals, *self._answers]


def draw_text(rng: random.Random) -> str:
    text = "".join(rng.choices(TEXT, k=rng.randrange(6)))
    if rng.random() < 0.003:
        text *= 5_000
    return f'"{text}"' if rng.random() < 0.15 else text


def draw_argument(rng: random.Random) -> str | bytes:
    text = draw_text(rng)
    if rng.random() < 0.6:
        return text
    return text.encode("utf-8", "surrogatepass") if rng.random() < 0.7 else rng.randbytes(rng.randrange(12))


def octets_of(value: str | bytes, utf8: bool) -> bytes:
    return value.encode("utf-8" if utf8 else "ascii") if isinstance(value, str) else value


def unquoted(octets: bytes) -> bytes:
    """What an argument stands for, which the caller may have quoted."""
    return _ESCAPED.sub(rb"\1", octets[1:-1]) if _QUOTED.fullmatch(octets) else octets


def mailbox_name(octets: bytes) -> str:
    """Decode modified UTF-7 by Python's own codec for UTF-7."""
    pieces = []
    position = 0
    for shift in _SHIFT.finditer(octets):
        pieces.append(octets[position : shift.start()].decode("ascii"))
        pieces.append((b"+" + shift[1].replace(b",", b"/") + b"-").decode("utf-7") if shift[1] else "&")
        position = shift.end()
    last = octets[position:].decode("ascii")
    if "&" in "".join([*pieces[::2], last]):
        raise ValueError(f"a shift that is not closed: {octets!r}")
    return "".join([*pieces, last])


class Kind:
    """One kind of argument: an astring."""

    def draw(self, rng: random.Random) -> Any:
        return draw_argument(rng)

    def read(self, arguments: Arguments, value: Any) -> None:
        """Step over `value`; AssertionError unless it stands next."""
        arguments.take(b" ")
        assert arguments.astring() == unquoted(octets_of(value, arguments.utf8))


Read: TypeAlias = Callable[[Arguments, list[Any]], None]


class Password(Kind):
    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        assert arguments.string() == octets_of(value, arguments.utf8)


class Atom(Kind):
    """One that can't be quoted; in capitals."""

    def draw(self, rng: random.Random) -> Any:
        return rng.choice(["", "X", "x-a"]) + draw_text(rng)

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        assert arguments.atom().upper() == octets_of(value.upper(), arguments.utf8)


class Mailbox(Kind):
    atom = _ASTRING_ATOM

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        name = arguments.astring(self.atom)
        if isinstance(value, bytes) or arguments.utf8 or (value.isascii() and "&" not in value):
            assert name == unquoted(octets_of(value, arguments.utf8))
            return
        expected = unquoted(value.encode("utf-8")).decode("utf-8")
        # A name in modified UTF-7 goes as it is, since LIST gives such.
        assert mailbox_name(name) == expected or name == expected.encode("ascii")


class ListMailbox(Mailbox):
    atom = _LIST_ATOM


class Syntax(Kind):
    """IMAP's own syntax, which goes as it is; at the end, a word that looks like a literal is quoted."""

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        octets = octets_of(value, arguments.utf8)
        if not arguments.take_if(octets):
            assert _LITERAL.search(octets)
            assert arguments.string() == octets


class Word(Syntax):
    """The same, or text, which is quoted."""

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        octets = octets_of(value, arguments.utf8)
        if not arguments.take_if(b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'):
            assert octets
            arguments.take(octets)


class Single(Syntax):
    """The same, and one argument."""

    def draw(self, rng: random.Random) -> Any:
        good = ["7", "RFC822", "BODY[HEADER.FIELDS (DATE)]<0.5>", '("value.shared" "x")', '"/a b"', b"(CHANGEDSINCE 7)"]
        return rng.choice(good) if rng.random() < 0.5 else draw_argument(rng)

    def read(self, arguments: Arguments, value: Any) -> None:
        super().read(arguments, value)
        octets = octets_of(value, arguments.utf8)
        assert octets
        assert end_of_argument(octets) == len(octets), f"more than one argument: {value!r}"


class Names(Kind):
    """Atoms with spaces between them."""

    def draw(self, rng: random.Random) -> Any:
        return " ".join(rng.choice(["CONDSTORE", "UTF8=ACCEPT", draw_text(rng)]) for _ in range(rng.randint(1, 2)))

    def read(self, arguments: Arguments, value: Any) -> None:
        for name in octets_of(value, arguments.utf8).split(b" "):
            arguments.take(b" ")
            assert arguments.atom() == name


class StoreItem(Kind):
    """FLAGS and its like."""

    def draw(self, rng: random.Random) -> Any:
        return rng.choice(["FLAGS", "+FLAGS.SILENT", "-X-GM-LABELS", draw_text(rng)])

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        assert arguments.atom() == octets_of(value, arguments.utf8)


def end_of_argument(octets: bytes) -> int:
    """Return where a server sees the end of the argument that `octets` begin with: at a space that nothing holds."""
    opened: list[int] = []
    position = 0
    while position < len(octets):
        octet = octets[position]
        if octet == ord('"'):
            quoted = _QUOTED.match(octets, position)
            assert quoted is not None, f"a quote that nothing closes: {octets!r}"
            position = quoted.end()
            continue
        if octet == ord(" ") and not opened:
            return position
        if octet in b"([":
            opened.append(octet)
        elif octet in b")]":
            assert opened, f"more is closed than was opened: {octets!r}"
            opened.pop()
        position += 1
    assert not opened, f"nothing closes what is opened: {octets!r}"
    return position


class SyntaxList(Kind):
    """Syntax that is put in parentheses unless it has them; or a list of items."""

    def draw(self, rng: random.Random) -> Any:
        return [draw_argument(rng) for _ in range(rng.randint(1, 3))] if rng.random() < 0.5 else draw_argument(rng)

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        if isinstance(value, list):
            octets = b" ".join(octets_of(item, arguments.utf8) for item in value)
            assert _is_balanced(octets), f"not one list: {value!r}"
            arguments.take(b"(" + octets + b")")
            return
        octets = octets_of(value, arguments.utf8)
        if octets.startswith(b"(") and octets.endswith(b")"):
            octets = octets[1:-1]
        assert _is_balanced(octets), f"not one list: {value!r}"
        arguments.take(b"(" + octets + b")")


class FetchParts(SyntaxList):
    def read(self, arguments: Arguments, value: Any) -> None:
        if value in ("ALL", b"ALL"):
            arguments.take(b" ALL")
        else:
            super().read(arguments, value)


def _is_balanced(octets: bytes) -> bool:
    """Whether no parenthesis of an outer list is closed by `octets`, nor one left open."""
    depth = 0
    for found in re.finditer(rb'"(?:[^"\\]|\\.)*"|["()]', octets):
        if found[0] == b'"':
            return False
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if depth < 0:
            return False
    return depth == 0


class MessageSet(Kind):
    """A sequence set, or numbers, ranges and pairs."""

    def draw(self, rng: random.Random) -> Any:
        if rng.random() < 0.2:
            return draw_argument(rng)
        if rng.random() < 0.2:
            return rng.choice(["$", "1:*", b"1,2:3", "".join(rng.choices("0123456789:,*$ \n", k=4))])
        number = rng.choice([-1, 0, 1, 2, 77, 2**32 - 1])
        if rng.random() < 0.3:
            return number
        return [
            rng.choice([number, "*", draw_text(rng), range(number, number + 5), range(9, 1, -3), range(0), (number, 9),
                        (number, None), (3, "*"), (draw_text(rng), 1), (1, draw_text(rng))])
            for _ in range(rng.randint(0, 4))
        ]  # fmt: skip

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        if isinstance(value, (str, bytes)):
            octets = octets_of(value, arguments.utf8)
            assert re.fullmatch(rb"[0-9:,*]+|\$", octets), f"not a message set: {value!r}"
            arguments.take(octets)
            return
        expected: list[tuple[Any, Any]] = []
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, tuple):
                expected.append((item[0], "*" if item[1] is None else item[1]))
            elif isinstance(item, range) and item.step == 1:
                expected += [(item[0], item[-1])] if item else []
            else:
                expected += [(number, number) for number in (item if isinstance(item, range) else [item])]
        seen: list[tuple[bytes, bytes]] = []
        while not seen or arguments.take_if(b","):
            first = arguments.match(_SEQUENCE_NUMBER)[0]
            seen.append((first, arguments.match(_SEQUENCE_NUMBER)[0] if arguments.take_if(b":") else first))
        assert seen == [(str(first).encode(), str(last).encode()) for first, last in expected]


class Charset(Kind):
    """An astring, if it is there; `keyword` before it."""

    def __init__(self, keyword: bytes) -> None:
        self.keyword = keyword

    def draw(self, rng: random.Random) -> Any:
        return rng.choice([None, "UTF-8", draw_text(rng)])

    def read(self, arguments: Arguments, value: Any) -> None:
        if value is not None:
            arguments.take(self.keyword)
            super().read(arguments, value)


class EncodedKey(Syntax):
    """Of any text, in UTF-8."""

    def draw(self, rng: random.Random) -> Any:
        return draw_text(rng)

    def read(self, arguments: Arguments, value: Any) -> None:
        super().read(arguments, value.encode("utf-8"))


class SearchKey(Syntax):
    """In US-ASCII, which needs no charset that Python knows."""

    def draw(self, rng: random.Random) -> Any:
        return draw_text(rng).encode("ascii", "ignore").decode("ascii")


class Response(Kind):
    """What the client answers a challenge with; any octets."""

    def draw(self, rng: random.Random) -> Any:
        response = rng.randbytes(rng.randrange(40))
        return lambda challenge: response

    def read(self, arguments: Arguments, value: Any) -> None:
        assert arguments.answer() == value(CHALLENGE)


class Fields(Kind):
    """Those of ID."""

    def draw(self, rng: random.Random) -> Any:
        return {draw_text(rng): rng.choice([None, draw_text(rng)]) for _ in range(rng.randint(0, 3))}

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" ")
        if not value:
            arguments.take(b"NIL")
            return
        arguments.take(b"(")
        for number, (name, text) in enumerate(value.items()):
            if number:
                arguments.take(b" ")
            assert arguments.string() == octets_of(name, arguments.utf8)
            arguments.take(b" ")
            if text is None:
                arguments.take(b"NIL")
            else:
                assert arguments.string() == octets_of(text, arguments.utf8)
        arguments.take(b")")


class DateTime(Kind):
    """Of APPEND: None, a number, or a string in quotes."""

    def draw(self, rng: random.Random) -> Any:
        return rng.choice([None, 1e9, '"17-Jul-1996 02:44:25 -0700"', f'"{draw_text(rng)}"', draw_text(rng)])

    def read(self, arguments: Arguments, value: Any) -> None:
        if not value:
            return
        arguments.take(b" ")
        date_time = arguments.string()
        if isinstance(value, str):
            assert date_time == unquoted(octets_of(value, arguments.utf8))
        else:
            assert re.fullmatch(rb"0[89]-Sep-2001 \d\d:\d\d:\d\d [+-]\d{4}", date_time)


class AppendMailbox(Mailbox):
    def read(self, arguments: Arguments, value: Any) -> None:
        super().read(arguments, value or "INBOX")


class AppendFlags(SyntaxList):
    def read(self, arguments: Arguments, value: Any) -> None:
        if value:
            super().read(arguments, value)


class Message(Kind):
    def draw(self, rng: random.Random) -> Any:
        return "".join(rng.choices(TEXT, k=rng.randrange(12))).encode("utf-8", "surrogatepass")

    def read(self, arguments: Arguments, value: Any) -> None:
        arguments.take(b" UTF8 (" if arguments.utf8 else b" ")
        assert arguments.literal() == value.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        if arguments.utf8:
            arguments.take(b")")


@dataclass(frozen=True)
class Case:
    """A call: the method, what it sends for its name, its arguments, those in front and those by keyword."""

    method: str
    command: bytes
    kinds: list[Kind]
    first: tuple[str, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


SET, BOX, SYNTAX, LIST, SINGLE = MessageSet(), Mailbox(), Syntax(), SyntaxList(), Single()

METHODS: dict[str, list[Kind]] = {
    "append": [AppendMailbox(), AppendFlags(), DateTime(), Message()],
    "authenticate": [Atom(), Response()],
    "copy": [SET, BOX],
    "create": [BOX],
    "delete": [BOX],
    "deleteacl": [BOX, Kind()],
    "enable": [Names()],
    "fetch": [SET, FetchParts()],
    "getacl": [BOX],
    "getannotation": [BOX, SINGLE, SINGLE],
    "getquota": [Kind()],
    "getquotaroot": [BOX],
    "id": [Fields()],
    "list": [BOX, ListMailbox()],
    "login": [Kind(), Password()],
    "lsub": [BOX, ListMailbox()],
    "move": [SET, BOX],
    "myrights": [BOX],
    "partial": [SINGLE, SINGLE, SINGLE, SINGLE],
    "proxyauth": [Kind()],
    "rename": [BOX, BOX],
    "search": [Charset(b" CHARSET"), SearchKey(), SearchKey()],
    "select": [BOX],
    "setacl": [BOX, Kind(), Kind()],
    "setannotation": [BOX, SINGLE, SINGLE],
    "setquota": [Kind(), LIST],
    "sort": [LIST, Charset(b""), SearchKey()],
    "status": [BOX, LIST],
    "store": [SET, StoreItem(), LIST],
    "subscribe": [BOX],
    "thread": [Atom(), Charset(b""), SearchKey()],
    "unsubscribe": [BOX],
}
BY_UID = METHODS | {"expunge": [SET]}
CASES = {
    **{name: Case(name, name.upper().encode(), kinds) for name, kinds in METHODS.items()},
    "select readonly": Case("select", b"EXAMINE", [BOX], keywords={"readonly": True}),
    "xatom": Case("xatom", b"", [Atom(), Word(), Word()]),
    **{
        f"{name} by uid=": Case(name, b"UID " + name.upper().encode(), BY_UID[name], keywords={"uid": True})
        for name in ("copy", "expunge", "fetch", "move", "search", "sort", "store", "thread")
    },
    **{
        f"uid {name}": Case("uid", b"UID " + name.upper().encode(), BY_UID[name], first=(name,))
        for name in ("copy", "expunge", "fetch", "move", "sort", "thread")
    },
    "uid store": Case("uid", b"UID STORE", [SET, SINGLE, SINGLE, LIST], first=("STORE",)),
    "uid fetch with modifiers": Case("uid", b"UID FETCH", [SET, FetchParts(), SINGLE], first=("FETCH",)),
    "uid search": Case("uid", b"UID SEARCH", [SYNTAX, SYNTAX], first=("SEARCH",)),
    "search in UTF-8": Case("search", b"SEARCH CHARSET UTF-8", [EncodedKey()], first=("UTF-8",)),
}
WITHOUT = {
    *("capability", "check", "close", "idle", "logout", "namespace", "noop", "recent", "starttls", "unselect"),
    *("open", "print_log", "read", "readline", "response", "shutdown", "socket"),  # send nothing
    "send",  # sends octets, whatever they are
    *("login_cram_md5", "login_plain"),  # have tests of their own
}
"""The methods that put no argument into a command."""
MORE = 4  # tests, besides CASES
STATES = {"enable": "AUTH", "proxyauth": "AUTH"}
STATES |= dict.fromkeys(("authenticate", "login", "login_cram_md5", "login_plain"), "NONAUTH")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(imaplib, "Commands", dict(imaplib.Commands))  # xatom() adds to it
    return Client()


def test_every_method() -> None:
    public = (name for name in dir(imaplib.IMAP4) if not name.startswith("_"))
    methods = {name for name in public if callable(getattr(imaplib.IMAP4, name))}
    methods -= {"error", "abort", "readonly"}
    assert methods == {case.method for case in CASES.values()} | WITHOUT


class Trial:
    """Random calls on one client, and what the server saw of each."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.rng = random.Random(f"{SEED} {name}")
        self.sent = 0

    def run(
        self, draw: Callable[[random.Random], tuple[list[Any], dict[str, Any]]], read: Read, **options: Any
    ) -> None:
        """Call with what `draw` gives, over and over; `read` compares what came with what was given."""
        for _ in range(CALLS // (len(CASES) + MORE) + 1):
            values, keywords = draw(self.rng)
            try:
                self.call(values, keywords, read, **options)
            except Exception as exc:
                exc.add_note(f"arguments: {values!r:.600} {keywords!r:.600} in {self.client._encoding}")
                exc.add_note(f"sent: {self.client.server.commands!r:.600}")
                raise
        assert self.sent > min(100, CALLS // 5_000), "hardly any was sent"

    def call(
        self, values: list[Any], keywords: dict[str, Any], read: Read, *, method: str, command: bytes, utf8: bool
    ) -> None:
        client, server = self.client, self.client.server
        client.state = STATES.get(method, "SELECTED")
        utf8 = utf8 and self.rng.random() < 0.5
        client._mode_utf8() if utf8 else client._mode_ascii()
        server.commands.clear()
        sent = server.sent
        try:
            getattr(client, method)(*values, **keywords)
        except (TypeError, ValueError):
            assert server.sent == sent, "refused, and yet something was sent"
            assert client.literal is None
            assert not client.tagged_commands
            return
        self.sent += 1
        (seen,) = server.commands
        arguments = Arguments(seen, utf8)
        if command:
            arguments.take(b" " + command)
        read(arguments, [*values, keywords])
        arguments.end()


@pytest.mark.parametrize("name", CASES)
def test_one_command_with_these_arguments(client: Client, name: str) -> None:
    case = CASES[name]

    def draw(rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
        return [*case.first, *(kind.draw(rng) for kind in case.kinds)], case.keywords

    def read(arguments: Arguments, values: list[Any]) -> None:
        for kind, value in zip(case.kinds, values[len(case.first) :], strict=False):
            kind.read(arguments, value)

    # A charset is refused in UTF-8 mode.
    utf8 = not any(isinstance(kind, (Charset, EncodedKey)) for kind in case.kinds)
    Trial(client, name).run(draw, read, method=case.method, command=case.command, utf8=utf8)


def test_plain_login(client: Client) -> None:
    def draw(rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
        return [draw_argument(rng), draw_argument(rng)], {}

    def read(arguments: Arguments, values: list[Any]) -> None:
        user, password = (octets_of(value, utf8=True) for value in values[:2])
        assert arguments.answer() == b"\0" + user + b"\0" + password

    Trial(client, "login_plain").run(draw, read, method="login_plain", command=b"AUTHENTICATE PLAIN", utf8=True)


def test_cram_md5_login(client: Client) -> None:
    def draw(rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
        return [draw_text(rng), draw_argument(rng)], {}

    def read(arguments: Arguments, values: list[Any]) -> None:
        user, password = (octets_of(value, utf8=True) for value in values[:2])
        assert arguments.answer() == user + b" " + hmac.new(password, CHALLENGE, "md5").hexdigest().encode()

    Trial(client, "login_cram_md5").run(
        draw, read, method="login_cram_md5", command=b"AUTHENTICATE CRAM-MD5", utf8=True
    )


def draw_param(rng: random.Random, depth: int = 0) -> Any:
    if depth < 2 and rng.random() < 0.25:
        return [draw_param(rng, depth + 1) for _ in range(rng.randrange(4))]
    return rng.choice([draw_text(rng), draw_argument(rng), rng.randrange(2**32)])


def read_param(arguments: Arguments, param: Any) -> None:
    if isinstance(param, list):
        arguments.take(b"(")
        for number, item in enumerate(param):
            if number:
                arguments.take(b" ")
            read_param(arguments, item)
        arguments.take(b")")
    elif isinstance(param, int):
        assert arguments.match(_NUMBER)[0] == b"%d" % param
    else:
        assert arguments.astring() == octets_of(param, arguments.utf8)


def draw_params(rng: random.Random) -> list[Any]:
    flag = rng.choice(["\\Seen", "$Junk", draw_text(rng)])
    return [draw_param(rng), draw_param(rng), rng.choice([flag, [flag, "x"]]), SET.draw(rng)]


def read_params(arguments: Arguments, params: list[Any]) -> None:
    first, second, flags, message_set = params
    arguments.take(b"FROM ")
    read_param(arguments, first)
    arguments.take(b" ? ")
    read_param(arguments, second)
    arguments.take(b" KEYWORD ")
    if isinstance(flags, list):
        arguments.take(b"(")
        assert arguments.match(_FLAG)[0] == octets_of(flags[0], arguments.utf8)
        arguments.take(b" x)")
    else:
        assert arguments.match(_FLAG)[0] == octets_of(flags, arguments.utf8)
    arguments.take(b" UID")
    SET.read(arguments, message_set)


def test_params_of_search(client: Client) -> None:
    def draw(rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
        return [None, "FROM ? ??", "? KEYWORD ?f UID ?s"], {"params": draw_params(rng)}

    def read(arguments: Arguments, values: list[Any]) -> None:
        arguments.take(b" ")
        read_params(arguments, values[-1]["params"])

    Trial(client, "params of search").run(draw, read, method="search", command=b"SEARCH", utf8=True)


def test_params_of_fetch(client: Client) -> None:
    def draw(rng: random.Random) -> tuple[list[Any], dict[str, Any]]:
        return ["1", "FROM ? ?? ? KEYWORD ?f UID ?s"], {"params": draw_params(rng)}

    def read(arguments: Arguments, values: list[Any]) -> None:
        arguments.take(b" (")
        read_params(arguments, values[-1]["params"])
        arguments.take(b")")

    Trial(client, "params of fetch").run(draw, read, method="fetch", command=b"FETCH 1", utf8=True)
