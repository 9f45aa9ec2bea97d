"""SEARCH: keys read from the command into a test of one message (RFC 3501, section 6.4.4)."""

from __future__ import annotations

import email
import email.errors
import email.header
import email.utils
import re
from collections.abc import Callable
from datetime import date
from email.message import Message as ParsedMessage

from .grammar import Arguments, Bad, No
from .mailbox import Message, View

_KEY_NAME = re.compile(rb"[A-Za-z]+")
_CHARSETS = ("US-ASCII", "UTF-8")

# So deep may parentheses, NOT and OR nest; beyond, the client can only mean harm to Python's stack.
MAX_DEPTH = 100

Test = Callable[[int, Message], bool]
"""Whether a message matches, given with its sequence number."""


def read_search(arguments: Arguments, view: View) -> Test:
    """Read all arguments of SEARCH; `view` gives sequence numbers and ``\\Recent`` their meaning."""
    charset = "US-ASCII"
    arguments.space()
    if arguments.take(b"CHARSET "):
        charset = arguments.astring().decode("ascii", "replace").upper()
        arguments.space()
    if charset not in _CHARSETS:
        raise No(f"[BADCHARSET ({' '.join(_CHARSETS)})] That charset is not supported")
    reader = _KeyReader(arguments, view, charset)
    tests = [reader.key()]
    while arguments.take(b" "):
        tests.append(reader.key())
    arguments.end()
    return _all_of(tests)


def _all_of(tests: list[Test]) -> Test:
    return lambda number, message: all(test(number, message) for test in tests)


class _KeyReader:
    """Reads search keys, each into a Test."""

    def __init__(self, arguments: Arguments, view: View, charset: str) -> None:
        self._arguments = arguments
        self._view = view
        self._charset = charset
        self._depth = 0

    def key(self) -> Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Bad("The search keys are nested too deep")
        try:
            return self._key()
        finally:
            self._depth -= 1

    def _key(self) -> Test:
        if self._arguments.take(b"("):
            tests = [self.key()]
            while not self._arguments.take(b")"):
                self._arguments.space()
                tests.append(self.key())
            return _all_of(tests)
        if self._arguments.next_is(b"0123456789*"):
            return self._sequence(uid=False)
        name = self._arguments.match(_KEY_NAME, "a search key")[0].decode().upper()
        if name in _FLAG_KEYS:
            flag, wanted = _FLAG_KEYS[name]
            return lambda number, message: (flag in message.flags) is wanted
        if name in _DATE_KEYS:
            return self._dated(_DATE_KEYS[name])
        try:
            return _OTHER_KEYS[name](self)
        except KeyError:
            raise Bad(f"SEARCH has no key {name}") from None

    def everything(self) -> Test:
        return lambda number, message: True

    def recent(self) -> Test:
        recent = self._view.recent
        return lambda number, message: message in recent

    def old(self) -> Test:
        recent = self._view.recent
        return lambda number, message: message not in recent

    def new(self) -> Test:
        recent = self._view.recent
        return lambda number, message: message in recent and "\\Seen" not in message.flags

    def keyword(self) -> Test:
        self._arguments.space()
        flag = self._arguments.flag()
        return lambda number, message: flag in message.flags

    def negation(self) -> Test:
        self._arguments.space()
        test = self.key()
        return lambda number, message: not test(number, message)

    def unkeyword(self) -> Test:
        keyword = self.keyword()
        return lambda number, message: not keyword(number, message)

    def alternative(self) -> Test:
        self._arguments.space()
        one = self.key()
        self._arguments.space()
        other = self.key()
        return lambda number, message: one(number, message) or other(number, message)

    def larger(self) -> Test:
        size = self._number()
        return lambda number, message: len(message.content.octets) > size

    def smaller(self) -> Test:
        size = self._number()
        return lambda number, message: len(message.content.octets) < size

    def uid(self) -> Test:
        self._arguments.space()
        return self._sequence(uid=True)

    def header(self) -> Test:
        self._arguments.space()
        return self.field(self._arguments.astring().lower())

    def field(self, name: bytes) -> Test:
        text = self._text()
        return lambda number, message: any(
            text in _decoded(found.value) for found in message.content.root.fields if found.name == name
        )

    def body(self) -> Test:
        text = self._text()
        return lambda number, message: text in _body_text(message)

    def text(self) -> Test:
        text = self._text()
        return lambda number, message: (
            text in _decoded(message.content.root.header_octets()) or text in _body_text(message)
        )

    def _sequence(self, *, uid: bool) -> Test:
        chosen = {message for _, message in self._view.select(self._arguments.sequence_set(), uid=uid)}
        return lambda number, message: message in chosen

    def _dated(self, key: tuple[Callable[[Message], date | None], Callable[[date, date], bool]]) -> Test:
        self._arguments.space()
        wanted = self._arguments.date()
        date_of, compare = key

        def test(number: int, message: Message) -> bool:
            found = date_of(message)
            return found is not None and compare(found, wanted)

        return test

    def _number(self) -> int:
        self._arguments.space()
        return self._arguments.number()

    def _text(self) -> str:
        self._arguments.space()
        octets = self._arguments.astring()
        try:
            return octets.decode(self._charset).casefold()
        except UnicodeDecodeError:
            raise Bad(f"A search text is not {self._charset}") from None


def _internal_date(message: Message) -> date | None:
    return message.internal_date.date()


def _sent_date(message: Message) -> date | None:
    """The day in the Date field, without regard to time and zone; None if there is none to be read."""
    value = message.content.root.value(b"date")
    parsed = email.utils.parsedate(value.decode("ascii", "replace")) if value else None
    try:
        return date(*parsed[:3]) if parsed else None
    except ValueError:
        return None


def _decoded(header: bytes) -> str:
    """Header text with its encoded words decoded, for comparison without case."""
    text = header.decode("utf-8", "replace")
    try:
        return str(email.header.make_header(email.header.decode_header(text))).casefold()
    except (email.errors.HeaderParseError, LookupError, ValueError):
        return text.casefold()


def _body_text(message: Message) -> str:
    """The text of every text part, its encoding and charset undone, for comparison without case."""
    return "\n".join(
        _part_text(part)
        for part in email.message_from_bytes(message.content.octets).walk()
        if part.get_content_maintype() == "text"
    )


def _part_text(part: ParsedMessage) -> str:
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    try:
        return octets.decode(part.get_content_charset("utf-8"), "replace").casefold()
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace").casefold()


_FLAG_KEYS = {
    "ANSWERED": ("\\Answered", True),
    "DELETED": ("\\Deleted", True),
    "DRAFT": ("\\Draft", True),
    "FLAGGED": ("\\Flagged", True),
    "SEEN": ("\\Seen", True),
    "UNANSWERED": ("\\Answered", False),
    "UNDELETED": ("\\Deleted", False),
    "UNDRAFT": ("\\Draft", False),
    "UNFLAGGED": ("\\Flagged", False),
    "UNSEEN": ("\\Seen", False),
}

_DATE_KEYS: dict[str, tuple[Callable[[Message], date | None], Callable[[date, date], bool]]] = {
    "BEFORE": (_internal_date, date.__lt__),
    "ON": (_internal_date, date.__eq__),
    "SINCE": (_internal_date, date.__ge__),
    "SENTBEFORE": (_sent_date, date.__lt__),
    "SENTON": (_sent_date, date.__eq__),
    "SENTSINCE": (_sent_date, date.__ge__),
}

_OTHER_KEYS: dict[str, Callable[[_KeyReader], Test]] = {
    "ALL": _KeyReader.everything,
    "BCC": lambda reader: reader.field(b"bcc"),
    "BODY": _KeyReader.body,
    "CC": lambda reader: reader.field(b"cc"),
    "FROM": lambda reader: reader.field(b"from"),
    "HEADER": _KeyReader.header,
    "KEYWORD": _KeyReader.keyword,
    "LARGER": _KeyReader.larger,
    "NEW": _KeyReader.new,
    "NOT": _KeyReader.negation,
    "OLD": _KeyReader.old,
    "OR": _KeyReader.alternative,
    "RECENT": _KeyReader.recent,
    "SMALLER": _KeyReader.smaller,
    "SUBJECT": lambda reader: reader.field(b"subject"),
    "TEXT": _KeyReader.text,
    "TO": lambda reader: reader.field(b"to"),
    "UID": _KeyReader.uid,
    "UNKEYWORD": _KeyReader.unkeyword,
}
