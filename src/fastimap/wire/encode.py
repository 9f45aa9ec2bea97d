"""Arguments to octets: the parts of a command, and the one place where they become what is sent.

A command is a sequence of parts that single spaces join; a tuple of parts is a parenthesised list. A part is made
by the function named after its construct in the grammar of RFC 9051, section 9; every function raises ValueError
for a value that the construct can't hold. NUL, CR and LF are refused everywhere but in a literal given as such.
Most parts are octets already. What depends on the connection is an IfUTF8, so that commands can be built before
its state is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from functools import cached_property
from io import IOBase
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from ..model import mailbox_name, words
from ..model._patterns import pattern
from ..model._shown import Value

if TYPE_CHECKING:
    from ..model.responses import MailboxInfo, MailboxName

__all__ = [
    "Encoded",
    "Encoding",
    "Fragment",
    "IfUTF8",
    "Literal",
    "Part",
    "Readable",
    "Secret",
    "Wait",
    "astring",
    "atom",
    "capability",
    "date_text",
    "date_time",
    "encode",
    "fetch_item",
    "fetch_items",
    "flag",
    "flags",
    "header_list",
    "list_mailbox",
    "mailbox",
    "mod_sequence",
    "nstring",
    "number",
    "number64",
    "partial",
    "quoted",
    "section",
    "string",
    "text",
]

LONGEST_QUOTED: Final = 1000
"""Octets of text beyond which a literal is sent: servers bound the length of a line, RFC 7162 advises 8192."""

LONGEST_LITERAL_MINUS: Final = 4096
"""Octets that a non-synchronizing literal may have under LITERAL- (RFC 7888, section 5)."""

_LONGEST_JOINED: Final = 65536
_CHUNK: Final = 65536

_ATOM = pattern(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = pattern(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_MAILBOX = pattern(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_PRINTABLE = pattern(rb"[ -~]*")
_NUL = pattern(rb"\0")
_UNSENDABLE = pattern(rb"[\0\r\n]")
_ESCAPED = pattern(rb'["\\]')
_ANNOUNCEMENT = pattern(rb"\{[0-9]+[+-]?\}\Z")


class Readable(Protocol):
    """A binary file, as far as a literal needs it."""

    def read(self, size: int, /) -> bytes: ...


class Literal(Value):
    """Octets that are sent as they are, announced by their number (RFC 9051, section 4.3).

    `data` is octets, or a file from which `size` octets are read while the command is sent. `binary` makes it a
    literal8, which alone may hold NUL (RFC 3516). One that `waits` is sent when the server asks for it, and not before,
    whatever else the server takes. Raises ValueError for NUL in other octets, and for a file without
    a size.

    Memory that may change, a bytearray's or a view of one, is copied where it is small; where it is large, it is read
    while the command is sent, like a file, and must not change until then.
    """

    data: bytes | bytearray | memoryview | Readable
    size: int = -1
    binary: bool = False
    waits: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.data, (bytes, bytearray, memoryview)):
            length = memoryview(self.data).nbytes
            if self.size not in (-1, length):
                raise ValueError(f"size is {self.size}, but there are {length} octets")
            object.__setattr__(self, "size", length)
            if length <= _LONGEST_JOINED and _may_change(self.data):
                object.__setattr__(self, "data", bytes(self.data))
            if not self.binary and _NUL.search(self.data):
                raise ValueError("NUL is allowed in a binary literal alone (BINARY, RFC 3516)")
        elif self.size < 0:
            raise ValueError("a literal that is read from a file needs its size")

    def __repr__(self) -> str:
        return f"<Literal of {self.size} octets{', binary' if self.binary else ''}>"


class IfUTF8(Value):
    """One part where the connection takes UTF-8 in quoted strings (RFC 6855; RFC 9051), else another; None: no part."""

    then: Part | None
    otherwise: Part | None


class Secret(Value):
    """A part that no log shows."""

    part: Part

    def __repr__(self) -> str:
        return "Secret(***)"


Part: TypeAlias = "bytes | Literal | IfUTF8 | Secret | tuple[Part, ...]"


class Encoding(Value):
    """What the connection takes."""

    utf8: bool = False
    """UTF-8 in quoted strings and mailbox names: UTF8=ACCEPT or IMAP4rev2 is enabled."""
    literal_plus: bool = False
    """Non-synchronizing literals of any size (LITERAL+, RFC 7888)."""
    literal_minus: bool = False
    """The same up to 4096 octets (LITERAL-)."""


_PLAIN = Encoding()


class Wait(Enum):
    """Stands where nothing more may be sent before the server's continuation request."""

    CONTINUATION_REQUEST = "+"


Fragment: TypeAlias = bytes | memoryview | Wait


# The parts, in the order of the grammar.


def text(value: str) -> str:
    """Return `value`; TypeError where it is no str."""
    if not isinstance(value, str):
        raise TypeError(f"not a str: {value!r}")
    return value


def atom(text: str) -> bytes:
    """Return `text` as an atom: printable US-ASCII without the characters that have a meaning."""
    octets = _sendable(text)
    if _ATOM.fullmatch(octets) is None:
        raise ValueError(f"not an atom: {text!r}")
    return octets


def quoted(text: str) -> Part:
    """Return `text` as a quoted string; non-ASCII text goes through only where the connection takes UTF-8."""
    octets = _sendable(text)
    return _quote(octets) if octets.isascii() else IfUTF8(_quote(octets), Literal(octets))


def string(text: str | bytes) -> Part:
    """Return `text` as a quoted string, or as a literal where that is too long for one or not printable.

    As str it is sent in UTF-8, quoted where the connection takes that; as bytes as it is.
    """
    octets = _sendable(text)
    if len(octets) > LONGEST_QUOTED:
        return Literal(octets)
    if _PRINTABLE.fullmatch(octets):
        return _quote(octets)
    if isinstance(text, str) and not octets.isascii() and text.isprintable():
        return IfUTF8(_quote(octets), Literal(octets))
    return Literal(octets)


def astring(text: str | bytes) -> Part:
    """Return `text` as an atom where it can't be misread, else as string() does."""
    octets = _sendable(text)
    if len(octets) <= LONGEST_QUOTED and _ASTRING.fullmatch(octets) and octets.upper() != b"NIL":
        return octets
    return string(text)


def nstring(text: str | bytes | None) -> Part:
    """Return `text` as string() does; NIL for None."""
    return b"NIL" if text is None else string(text)


def mailbox(name: MailboxName) -> Part:
    """Return a mailbox name: in modified UTF-7, or in UTF-8 where the connection takes it.

    INBOX is INBOX in any case. A name as bytes is sent as it is, for one that a server gave and that can't be decoded;
    of what LIST said, the octets.
    """
    if not isinstance(name, (str, bytes)):
        name = _octets_of(name)
    if isinstance(name, bytes):
        return b"INBOX" if name.upper() == b"INBOX" else astring(name)
    _check_name(name)
    return _mailbox(name, astring)


def _octets_of(mailbox: MailboxInfo) -> bytes:
    from ..model.responses import MailboxInfo  # not at import: the drop-in needs none of the responses

    if not isinstance(mailbox, MailboxInfo):
        raise TypeError(f"a mailbox is given by its name, a str, not by {mailbox!r:.100}")
    if not mailbox.octets:
        raise ValueError(f"the server sent no name that can be read: {mailbox!r:.200}")
    return mailbox.octets


def list_mailbox(pattern: str) -> Part:
    """Return a pattern for LIST: a mailbox name in which ``*`` and ``%`` are wildcards."""
    _check_name(pattern)

    def part(text: str | bytes) -> Part:
        octets = _sendable(text)
        return octets if _LIST_MAILBOX.fullmatch(octets) and octets.upper() != b"NIL" else string(text)

    return _mailbox(pattern, part)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a mailbox is given by its name, a str, not by {name!r:.100}")


class _Encoder(Protocol):
    def __call__(self, text: str | bytes, /) -> Part: ...


def _mailbox(name: str, part: _Encoder) -> Part:
    if mailbox_name.folded(name) == "INBOX":
        return b"INBOX"
    _sendable(name)
    plain = part(mailbox_name.encode(name))
    utf8 = part(name)
    if isinstance(utf8, IfUTF8):
        return IfUTF8(utf8.then, plain)
    return plain if utf8 == plain else IfUTF8(utf8, plain)


def flag(name: str) -> bytes:
    r"""Return a flag or keyword, such as ``\Seen`` or ``$Forwarded``. ``\Recent`` is the server's alone to set.

    A keyword that has the name of a system flag is refused: its backslash was forgotten.
    """
    if not isinstance(name, str):
        raise TypeError(f"a flag is a str, not {name!r:.100}")
    octets = _sendable(name)
    if _ATOM.fullmatch(octets.removeprefix(b"\\")) is None:
        raise ValueError(f"not a flag: {name!r}")
    if octets.lower() == b"\\recent":
        raise ValueError("\\Recent can't be set by clients: leave it out")
    if (meant := _FORGOTTEN_BACKSLASH.get(name.lower())) is not None:
        raise ValueError(f"system flags begin with a backslash: {meant!r}, not {name!r}")
    return octets


_FORGOTTEN_BACKSLASH = {flag.removeprefix("\\").lower(): flag for flag in words.SYSTEM_FLAGS}


def flags(names: Iterable[str]) -> Part:
    """Return a parenthesised list of flags, each as flag() does, in the order given."""
    if isinstance(names, str):
        raise TypeError(f"flags are given as a list, not as one str: {names!r}")
    return tuple(map(flag, names))


def date_text(day: date) -> bytes:
    """Return `day`, such as ``1-Feb-1994``; of a datetime its own calendar day, whatever its zone."""
    if not isinstance(day, date):
        raise TypeError(f"a day is a datetime.date, such as date(2026, 11, 1), not {day!r:.100}")
    return b"%d-%s-%04d" % (day.day, words.MONTHS[day.month - 1].encode(), day.year)


def date_time(moment: datetime) -> bytes:
    """Return `moment`, which must be aware, such as ``"01-Feb-1994 21:52:25 -0800"``."""
    if not isinstance(moment, datetime):
        raise TypeError(f"a date-time is a datetime.datetime that is aware, not {moment!r:.100}")
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError(f"a date-time has a time zone, {moment!r} has none: say which, as by .astimezone()")
    if offset.total_seconds() % 60:
        moment, offset = moment.astimezone(UTC), UTC.utcoffset(None)
    minutes = int(offset.total_seconds()) // 60
    sign = b"-" if minutes < 0 else b"+"
    zone = b"%s%02d%02d" % (sign, *divmod(abs(minutes), 60))
    day = date_text(moment).rjust(11, b"0")
    return b'"%s %02d:%02d:%02d %s"' % (day, moment.hour, moment.minute, moment.second, zone)


def number(value: int) -> bytes:
    """Return `value`, from 0 to 4294967295."""
    return _number(value, 0, 2**32 - 1)


def number64(value: int) -> bytes:
    """Return `value`, from 0 to 2^63 - 1."""
    return _number(value, 0, 2**63 - 1)


def mod_sequence(value: int, *, zero: bool = False) -> bytes:
    """Return a mod-sequence, from 1 (or 0, where the grammar has mod-sequence-valzer) to 2^63 - 1 (RFC 7162)."""
    return _number(value, 0 if zero else 1, 2**63 - 1)


def _number(value: int, least: int, most: int) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"not a number: {value!r}")
    if not least <= value <= most:
        raise ValueError(f"not from {least} to {most}: {value}")
    return b"%d" % value


def capability(name: str) -> bytes:
    """Return the name of a capability, in upper case."""
    return atom(name).upper()


# FETCH's data items (RFC 9051, section 6.4.5).

_FIELD_NAME = pattern(r"[!-9;-~]+")
_FIELD_IN_LIST = pattern(r' *(?:"((?:[^"\\]|\\["\\])*+)"|([!#$&\'+-\[\]-z|}~]+))(?= |\Z)')
_PART_NUMBER = r"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*+"
_SECTION = pattern(
    rf"(?P<fields>(?:{_PART_NUMBER}\.)?HEADER\.FIELDS(?:\.NOT)?) ?\((?P<list>.*)\)"
    rf"|(?:{_PART_NUMBER}\.)?(?:HEADER|TEXT)|{_PART_NUMBER}(?:\.MIME)?|",
    re.ASCII | re.IGNORECASE,
)
_SECTIONED = pattern(
    r"(?P<name>BODY(?:\.PEEK)?|BINARY(?:\.PEEK|\.SIZE)?)\[(?P<section>.*)\]"
    r"(?P<partial><(?P<origin>[0-9]{1,19})\.(?P<count>[1-9][0-9]{0,18})>)?",
    re.ASCII | re.IGNORECASE,
)
_PREVIEW_LAZY = pattern(r"PREVIEW \(LAZY\)", re.ASCII | re.IGNORECASE)
_NEEDS_SECTION = frozenset({b"BODY.PEEK", b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE"})


def partial(positions: tuple[int, int]) -> bytes:
    """Return the first and the last of some positions, both from 1, or both from -1, the last one, down (RFC 9394)."""
    first, last = positions
    for position in (first, last) if isinstance(first, int) and first > 0 else (-first, -last):
        _number(position, 1, 2**32 - 1)
    return b"%d:%d" % (first, last)


def fetch_item(item: str) -> bytes:
    """Return the name of a message data item, upper case, such as ``BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.1024>``.

    A name that the RFCs don't have is let through where it is an atom, for the extensions to come.
    """
    octets = _sendable(item)
    if sectioned := _SECTIONED.fullmatch(item):
        name = sectioned["name"].upper().encode("ascii")
        of = section(sectioned["section"])
        if name.startswith(b"BINARY") and of.strip(b"0123456789."):
            raise ValueError(f"BINARY takes a part number alone: {item!r}")
        if sectioned["partial"] is None:
            return b"%s[%s]" % (name, of)
        if name == b"BINARY.SIZE":
            raise ValueError(f"BINARY.SIZE takes no partial: {item!r}")
        return b"%s[%s]<%s.%s>" % (name, of, number64(int(sectioned["origin"])), number64(int(sectioned["count"])))
    if _PREVIEW_LAZY.fullmatch(item):
        return octets.upper()
    if _ATOM.fullmatch(octets) is None or b"[" in octets or b"<" in octets or octets.upper() in _NEEDS_SECTION:
        several = ' (each is an argument of its own: "FLAGS", "ENVELOPE")' if set(item) & set(" ()") else ""
        raise ValueError(f"not a message data item: {item!r}{several}")
    return octets.upper()


def fetch_items(items: str | Iterable[str]) -> tuple[bytes, ...]:
    """Return the list of `items`, each as fetch_item() does; the macros ALL, FAST and FULL are written out."""
    names: list[bytes] = []
    for item in (items,) if isinstance(items, str) else items:
        names += map(fetch_item, words.FETCH_MACROS.get(item.upper(), (item,)))
    if not names:
        raise ValueError("no message data items: a FETCH needs at least one")
    return tuple(dict.fromkeys(names))


def section(spec: str) -> bytes:
    """Return what stands in the brackets of BODY[...], such as ``1.2.HEADER.FIELDS (DATE FROM)``; "" is the whole."""
    octets = _sendable(spec)
    found = _SECTION.fullmatch(spec)
    if found is None:
        raise ValueError(f"not a section: {spec!r}")
    if found["fields"] is None:
        return octets.upper()
    return b"%s %s" % (found["fields"].upper().encode("ascii"), header_list(_field_names(found["list"])))


def header_list(names: Iterable[str]) -> bytes:
    """Return a parenthesised list of the names of header fields, in upper case; they can't be empty or non-ASCII."""
    if isinstance(names, str):
        raise TypeError(f"header fields are given as a list, not as one str: {names!r}")
    encoded = []
    for name in names:
        # Quoted, brackets can't be taken for the section's.
        part = string(name.upper()) if "[" in text(name) or "]" in name else astring(name.upper())
        if not isinstance(part, bytes) or _FIELD_NAME.fullmatch(name) is None:
            raise ValueError(f"not the name of a header field: {name[:100]!r}")
        encoded.append(part)
    if not encoded:
        raise ValueError("no header fields: the list needs at least one")
    return b"(%s)" % b" ".join(encoded)


def _field_names(text: str) -> Iterator[str]:
    position = 0
    text = text.rstrip(" ")
    while position < len(text):
        found = _FIELD_IN_LIST.match(text, position)
        if found is None:
            raise ValueError(f"not a list of header fields: {text!r}")
        yield found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])
        position = found.end()


# What is sent.


class Encoded:
    """A command as it goes out: iterate it, write what comes, and stop at each Wait for the continuation request.

    Small literals are part of the octets around them; large ones come as views of the caller's memory, or piece by
    piece as copies of memory that may change. A literal that is a file is read during the iteration, which raises what
    its read() raises, EOFError where it ends too early, TypeError where it gives no bytes: the command is half sent
    then, and the connection is lost.
    """

    def __init__(
        self,
        fragments: tuple[bytes | memoryview | Wait | Literal, ...],
        tag: bytes,
        parts: Sequence[Part],
        encoding: Encoding,
    ) -> None:
        self._fragments = fragments
        self._tag = tag
        self._parts = parts
        self._encoding = encoding

    def __iter__(self) -> Iterator[Fragment]:
        for fragment in self._fragments:
            # What is announced has to be sent: that a file gives text must turn out before.
            if isinstance(fragment, Literal) and not isinstance(fragment.data, (bytes, bytearray, memoryview)):
                _check_binary(fragment.data)
        for fragment in self._fragments:
            if isinstance(fragment, Literal) and isinstance(fragment.data, (bytearray, memoryview)):
                yield from _copied(fragment.data)
            elif isinstance(fragment, Literal):
                yield from _file_octets(fragment)
            else:
                yield fragment

    @property
    def line(self) -> bytes | None:
        """The whole command, where it is one line."""
        first = self._fragments[0]
        return first if len(self._fragments) == 1 and isinstance(first, bytes) else None

    @property
    def may_change(self) -> bool:
        """Whether what the caller may use for something else, a file or memory, is read during the iteration."""
        return any(isinstance(fragment, Literal) for fragment in self._fragments)

    @cached_property
    def log_form(self) -> str:
        """The command on one line, for people: long strings and literals cut short, secrets left out."""
        texts = [self._tag.decode("ascii", "backslashreplace")]
        texts += [_log_form(token) for token in _tokens(self._parts, self._encoding, hide=True)]
        return "".join(texts)

    def __repr__(self) -> str:
        return f"<Encoded {self.log_form}>"


def encoded_line(tag: bytes, parts: Sequence[Part]) -> bytes | None:
    """Return the command of `parts` as the line that it is; None where `encode` has to look closer."""
    try:
        line = b" ".join((tag, *parts))  # type: ignore[arg-type]
    except TypeError:  # a part is not ready octets
        return None
    # As numbers, for which octets are searched at once: "}", NUL, CR, LF.
    if 125 in line or 10 in line or 13 in line or 0 in line:
        return None
    return line + b"\r\n"


def encode(tag: bytes, parts: Sequence[Part], encoding: Encoding = _PLAIN) -> Encoded:
    """Return the command of `parts` under `tag`, as a connection that takes `encoding` must have it.

    Raises ValueError where ready octets hold NUL, CR or LF or end like the announcement of a literal: nothing that
    a part holds can end the command or begin another. Also for a literal that has another size than it had.
    """
    fragments: list[bytes | memoryview | Wait | Literal] = []
    run = bytearray(tag)
    _refuse_unsendable(tag)
    for token in _tokens(parts, encoding):
        if isinstance(token, bytes):
            _refuse_unsendable(token)
            if _ANNOUNCEMENT.search(token):
                raise ValueError(f"an argument can't end like the announcement of a literal: {token[-60:]!r}")
            run += token
            continue
        at_once = encoding.literal_plus or (encoding.literal_minus and token.size <= LONGEST_LITERAL_MINUS)
        at_once = at_once and not token.waits
        if isinstance(token.data, (bytearray, memoryview)) and memoryview(token.data).nbytes != token.size:
            raise ValueError(f"the literal had {token.size} octets, and now has {memoryview(token.data).nbytes}")
        run += b"%s{%d%s}\r\n" % (b"~" if token.binary else b"", token.size, b"+" if at_once else b"")
        if not at_once:
            fragments += (bytes(run), Wait.CONTINUATION_REQUEST)
            run.clear()
        if not isinstance(token.data, (bytes, bytearray, memoryview)) or _may_change(token.data):
            fragments += (bytes(run), token)
            run.clear()
        elif token.size > _LONGEST_JOINED:
            fragments += (bytes(run), memoryview(token.data).cast("B"))
            run.clear()
        else:
            run += token.data
    fragments.append(bytes(run + b"\r\n"))
    return Encoded(tuple(fragment for fragment in fragments if fragment != b""), tag, parts, encoding)


def _tokens(parts: Sequence[Part], encoding: Encoding, hide: bool = False) -> Iterator[bytes | Literal]:
    """Yield `parts` without their nesting: octets, the spaces and parentheses among them, and literals.

    A stack instead of recursion: search keys may be nested as deep as a user's program makes them.
    """
    stack: list[Iterator[Part]] = [iter(parts)]
    space = True  # after the tag
    while stack:
        part = next(stack[-1], None)
        if part is None:
            stack.pop()
            if stack:
                yield b")"
                space = True
            continue
        while isinstance(part, (IfUTF8, Secret)):
            if isinstance(part, Secret):
                part = b"***" if hide else part.part
            else:
                part = part.then if encoding.utf8 else part.otherwise
        if part is None:
            continue
        if space:
            yield b" "
        if isinstance(part, tuple):
            yield b"("
            stack.append(iter(part))
            space = False
        else:
            yield part
            space = True


def _log_form(token: bytes | Literal) -> str:
    if isinstance(token, Literal):
        return f"{'~' if token.binary else ''}{{{token.size}}}"
    shown = token if len(token) <= 200 else token[:200] + b"..."
    return shown.decode("utf-8", "backslashreplace")


def _may_change(data: bytes | bytearray | memoryview) -> bool:
    """Whether it is somebody's to write to; a view that is read-only itself may be of such memory all the same."""
    return not isinstance(memoryview(data).obj, bytes)


def _copied(data: bytearray | memoryview) -> Iterator[bytes]:
    """Yield the octets in pieces that nobody can change. While this goes on, a bytearray can't be resized."""
    view = memoryview(data).cast("B")
    for start in range(0, len(view), _CHUNK):
        yield bytes(view[start : start + _CHUNK])


def _check_binary(file: Readable) -> None:
    if not isinstance(file, IOBase) and not isinstance(file.read(0), bytes):
        raise TypeError('the file is open in text mode: a message is octets, so open it with mode "rb"')


def _file_octets(literal: Literal) -> Iterator[bytes]:
    assert not isinstance(literal.data, (bytes, bytearray, memoryview))
    left = literal.size
    while left:
        wanted = min(left, _CHUNK)
        octets = literal.data.read(wanted)
        if not octets:
            raise EOFError(f"a literal of {literal.size} octets was announced, but the file ended {left} octets before")
        if not isinstance(octets, bytes):
            raise TypeError(f"read() gave {type(octets).__name__}, not bytes: the file is not open in binary mode")
        if len(octets) > wanted:
            raise ValueError(f"read({wanted}) gave {len(octets)} octets")
        left -= len(octets)
        yield octets


def _sendable(text: str | bytes) -> bytes:
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"neither str nor bytes: {text!r}")
    octets = text.encode("utf-8") if isinstance(text, str) else text
    _refuse_unsendable(octets)
    return octets


def _refuse_unsendable(octets: bytes) -> None:
    if _UNSENDABLE.search(octets):
        raise ValueError("NUL, CR and LF are not allowed in commands")


def _quote(octets: bytes) -> bytes:
    return b'"%s"' % _ESCAPED.sub(rb"\\\g<0>", octets)
