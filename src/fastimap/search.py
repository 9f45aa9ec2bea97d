"""Search keys that compose (RFC 9051, section 6.4.4, and the extensions that add keys).

    from fastimap.search import from_, since, unseen
    unseen & since(date(2024, 2, 1)) & ~from_("boss@example.com")

``&``, ``|`` and ``~`` are AND, OR and NOT; all_of() and any_of() take many keys at once. Keys are immutable and can
be compared and hashed.

Every function raises ValueError for an argument that the grammar has no room for, such as one with CR, LF or NUL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn, SupportsIndex, TypeAlias, final

from .model import mailbox_name
from .model._patterns import pattern
from .model._shown import Value
from .model.sequence_set import Messages, SavedResult, SequenceSet, UIDSet
from .wire import encode
from .wire.encode import astring, atom, date_text, header_list, number, number64, string

# Only what makes search keys, and their types: the rest is for the commands.
__all__ = [
    "And",
    "Fuzzy",
    "Key",
    "Not",
    "Or",
    "SearchKey",
    "SortKey",
    "all_",
    "all_of",
    "answered",
    "any_of",
    "bcc",
    "before",
    "body",
    "cc",
    "deleted",
    "draft",
    "filter_",
    "flagged",
    "from_",
    "fuzzy",
    "gmail_labels",
    "gmail_message_id",
    "gmail_raw",
    "gmail_thread_id",
    "header",
    "keyword",
    "larger",
    "mod_sequence",
    "new",
    "object_id",
    "old",
    "older",
    "on",
    "raw",
    "recent",
    "save_date_supported",
    "saved",
    "saved_before",
    "saved_on",
    "saved_since",
    "seen",
    "sent_before",
    "sent_on",
    "sent_since",
    "sequence",
    "since",
    "smaller",
    "subject",
    "text",
    "thread_id",
    "to",
    "uid",
    "unanswered",
    "undeleted",
    "undraft",
    "unflagged",
    "unseen",
    "younger",
]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


class SearchKey:
    """A condition on messages."""

    __slots__ = ()

    def __and__(self, other: SearchKey) -> SearchKey:
        return And((self, other)) if isinstance(other, SearchKey) else NotImplemented

    def __or__(self, other: SearchKey) -> SearchKey:
        return Or((self, other)) if isinstance(other, SearchKey) else NotImplemented

    def __invert__(self) -> SearchKey:
        return self.key if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError("search keys are combined by &, | and ~: Python's and, or and not can't do that")

    @property
    def requires(self) -> frozenset[str]:
        """The names of the capabilities that a server must have for this key, upper case."""
        names: set[str] = set()
        for token in tokens(self):
            if isinstance(token, Key):
                names |= token.capabilities
            elif token == "fuzzy":
                names.add("SEARCH=FUZZY")
        return frozenset(names)

    @property
    def by_position(self) -> bool:
        """Whether it may name messages by their sequence numbers, which an EXPUNGE shifts."""
        return any(
            isinstance(token, Key) and (token.name == "(" or isinstance(token.numbers, SequenceSet))
            for token in tokens(self)
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchKey):
            return NotImplemented
        return self is other or list(tokens(self)) == list(tokens(other))

    def __hash__(self) -> int:
        return hash(tuple(tokens(self)))

    def __repr__(self) -> str:
        return "".join(_shown(self))


Argument: TypeAlias = bytes | str
"""Of a key: octets that are ready, or text that is encoded in the charset of the search."""


@final
class Key(SearchKey, Value, uncompared=("shown", "capabilities")):
    """A key that is not made of others: its name and arguments."""

    name: str
    arguments: tuple[Argument, ...] = ()
    numbers: UIDSet | SequenceSet | None = None
    shown: str = ""
    capabilities: frozenset[str] = frozenset()

    if not TYPE_CHECKING:
        __eq__ = Value.__eq__
        __hash__ = Value.__hash__


@final
class And(SearchKey, Value):
    """What matches all of `keys`: every message, where there are none."""

    keys: tuple[SearchKey, ...]


@final
class Or(SearchKey, Value):
    """What matches at least one of `keys`: nothing, where there are none."""

    keys: tuple[SearchKey, ...]


@final
class Not(SearchKey, Value):
    """What does not match `key`."""

    key: SearchKey


@final
class Fuzzy(SearchKey, Value):
    """What matches `key` about, as the server sees fit (RFC 6203)."""

    key: SearchKey


def uid_sets(key: SearchKey) -> list[UIDSet]:
    """Return the sets of UIDs in `key`."""
    return [token.numbers for token in tokens(key) if isinstance(token, Key) and isinstance(token.numbers, UIDSet)]


def among(key: SearchKey, uids: UIDSet) -> SearchKey:
    """Return a key that matches the same messages among `uids`: its sets of UIDs have no others."""
    if isinstance(key, Key):
        return uid(key.numbers & uids) if isinstance(key.numbers, UIDSet) else key
    if isinstance(key, (And, Or)):
        return type(key)(tuple(among(each, uids) for each in key.keys))
    assert isinstance(key, (Not, Fuzzy))
    return type(key)(among(key.key, uids))


def all_of(keys: Iterable[SearchKey]) -> SearchKey:
    """Return the key that matches what all of `keys` match; every message, where there are none."""
    return _combined(And, keys)


def any_of(keys: Iterable[SearchKey]) -> SearchKey:
    """Return the key that matches what at least one of `keys` matches; no message, where there are none."""
    return _combined(Or, keys)


def _combined(made: type[And] | type[Or], keys: Iterable[SearchKey]) -> SearchKey:
    every = tuple(keys)
    for key in every:
        search_key(key)
    return every[0] if len(every) == 1 else made(every)


def search_key(key: SearchKey) -> SearchKey:
    """Return `key`; TypeError that says how to make one where it is none."""
    if isinstance(key, SearchKey):
        return key
    if isinstance(key, str):
        names = (key.lower(), f"{key.lower()}_")
        named = next((name for name in names if isinstance(globals().get(name), Key)), None)
        such = f"fastimap.search.{named}" if named else "a key of fastimap.search, such as unseen"
        raise TypeError(f"a search key is no str: use {such}, or search.raw({key!r:.100})")
    if key is all:
        raise TypeError("all is Python's function: the key for every message is search.all_, or none: client.search()")
    if key is any:
        raise TypeError("any is Python's function: search.any_of([...]) is the key for at least one of several")
    if isinstance(key, (list, tuple, set, frozenset)):
        raise TypeError("keys are combined by & and |, or by search.all_of() and any_of(), not by a list of them")
    if callable(key) and getattr(key, "__module__", None) == __name__:
        raise TypeError(f"{getattr(key, '__name__', key)} is no search key, but makes one: call it with its argument")
    raise TypeError(f"not a search key: {key!r:.100}")


def _key(name: str, shown: str, *arguments: Argument, requires: str | None = None) -> Key:
    return Key(name, arguments, None, shown, frozenset({requires} if requires else ()))


# Flags (RFC 9051, section 6.4.4; RECENT, NEW and OLD: RFC 3501).

all_: Final = _key("ALL", "all_")
"""Every message."""
answered: Final = _key("ANSWERED", "answered")
r"""Messages with the flag ``\Answered``."""
deleted: Final = _key("DELETED", "deleted")
r"""Messages with the flag ``\Deleted``."""
draft: Final = _key("DRAFT", "draft")
r"""Messages with the flag ``\Draft``."""
flagged: Final = _key("FLAGGED", "flagged")
r"""Messages with the flag ``\Flagged``."""
seen: Final = _key("SEEN", "seen")
r"""Messages with the flag ``\Seen``."""
unanswered: Final = _key("UNANSWERED", "unanswered")
r"""Messages without the flag ``\Answered``."""
undeleted: Final = _key("UNDELETED", "undeleted")
r"""Messages without the flag ``\Deleted``."""
undraft: Final = _key("UNDRAFT", "undraft")
r"""Messages without the flag ``\Draft``."""
unflagged: Final = _key("UNFLAGGED", "unflagged")
r"""Messages without the flag ``\Flagged``."""
unseen: Final = _key("UNSEEN", "unseen")
r"""Messages without the flag ``\Seen``."""
recent: Final = _key("RECENT", "recent")
r"""Messages with the flag ``\Recent``, which IMAP4rev2 has no more."""
new: Final = _key("NEW", "new")
"""Messages that are recent and unseen (not in IMAP4rev2)."""
old: Final = _key("OLD", "old")
"""Messages that are not recent (not in IMAP4rev2)."""


def keyword(name: str) -> Key:
    """Messages with the keyword `name`, such as ``$Forwarded``; for system flags there are keys of their own."""
    _check_text(name)
    return _key("KEYWORD", f"keyword({name!r})", atom(name))


# Dates: of arrival, and of the Date field. Both without regard to time and zone.


def before(day: date) -> Key:
    """Messages whose internal date is before `day`."""
    return _dated("BEFORE", "before", day)


def on(day: date) -> Key:
    """Messages whose internal date is `day`."""
    return _dated("ON", "on", day)


def since(day: date) -> Key:
    """Messages whose internal date is `day` or later."""
    return _dated("SINCE", "since", day)


def sent_before(day: date) -> Key:
    """Messages whose Date field is before `day`."""
    return _dated("SENTBEFORE", "sent_before", day)


def sent_on(day: date) -> Key:
    """Messages whose Date field is `day`."""
    return _dated("SENTON", "sent_on", day)


def sent_since(day: date) -> Key:
    """Messages whose Date field is `day` or later."""
    return _dated("SENTSINCE", "sent_since", day)


def saved_before(day: date) -> Key:
    """Messages that were saved in this mailbox before `day` (SAVEDATE, RFC 8514)."""
    return _dated("SAVEDBEFORE", "saved_before", day, "SAVEDATE")


def saved_on(day: date) -> Key:
    """Messages that were saved in this mailbox on `day` (SAVEDATE, RFC 8514)."""
    return _dated("SAVEDON", "saved_on", day, "SAVEDATE")


def saved_since(day: date) -> Key:
    """Messages that were saved in this mailbox on `day` or later (SAVEDATE, RFC 8514)."""
    return _dated("SAVEDSINCE", "saved_since", day, "SAVEDATE")


save_date_supported: Final = _key("SAVEDATESUPPORTED", "save_date_supported", requires="SAVEDATE")
"""All messages of a mailbox that keeps save dates, else none (SAVEDATE, RFC 8514)."""


def _dated(name: str, function: str, day: date, requires: str | None = None) -> Key:
    octets = date_text(day)
    shown = f"{function}(date({day.year}, {day.month}, {day.day}))"
    return _key(name, shown, octets, requires=requires)


def older(seconds: int | timedelta) -> Key:
    """Messages that arrived at least `seconds` before now (WITHIN, RFC 5032)."""
    return _interval("OLDER", seconds)


def younger(seconds: int | timedelta) -> Key:
    """Messages that arrived at most `seconds` before now (WITHIN, RFC 5032)."""
    return _interval("YOUNGER", seconds)


def _interval(name: str, seconds: int | timedelta) -> Key:
    whole = int(seconds.total_seconds()) if isinstance(seconds, timedelta) else seconds
    octets = number(whole)
    if not whole:
        raise ValueError("the interval is at least one second")
    return _key(name, f"{name.lower()}({whole})", octets, requires="WITHIN")


# Text. The server compares without regard to case, and finds parts of words if it likes.


def from_(value: str) -> Key:
    """Messages with `value` in the From field of the envelope."""
    return _text("FROM", "from_", value)


def to(value: str) -> Key:
    """Messages with `value` in the To field of the envelope."""
    return _text("TO", "to", value)


def cc(value: str) -> Key:
    """Messages with `value` in the Cc field of the envelope."""
    return _text("CC", "cc", value)


def bcc(value: str) -> Key:
    """Messages with `value` in the Bcc field of the envelope."""
    return _text("BCC", "bcc", value)


def subject(value: str) -> Key:
    """Messages with `value` in the subject."""
    return _text("SUBJECT", "subject", value)


def body(value: str) -> Key:
    """Messages with `value` in the body."""
    return _text("BODY", "body", value)


def text(value: str) -> Key:
    """Messages with `value` in the header or the body."""
    return _text("TEXT", "text", value)


def header(name: str, value: str = "") -> Key:
    """Messages with a header field `name` that holds `value`; any such field, where that is empty."""
    _check_text(value)
    shown = f"header({name!r}, {value!r})" if value else f"header({name!r})"
    return _key("HEADER", shown, header_list([name])[1:-1], value)


def _text(name: str, function: str, value: str) -> Key:
    _check_text(value)
    return _key(name, f"{function}({value!r})", value)


def _check_text(value: str) -> None:
    """Refuse what can't be sent now, not when the command is built."""
    if not isinstance(value, str):
        several = isinstance(value, (list, tuple, set, frozenset))
        way = ": for several make a key of each, and combine them by search.any_of() or all_of()" if several else ""
        raise TypeError(f"what is looked for is given as str, not as {value!r:.100}{way}")
    string(value)


# Numbers.


def larger(octets: int) -> Key:
    """Messages of more than `octets` octets."""
    return _key("LARGER", f"larger({octets})", number64(octets))


def smaller(octets: int) -> Key:
    """Messages of fewer than `octets` octets."""
    return _key("SMALLER", f"smaller({octets})", number64(octets))


def uid(numbers: UIDSet | SupportsIndex | str | range | Iterable[SupportsIndex | range | str]) -> Key:
    """Messages with these UIDs; none, where the set is empty."""
    return Key("UID", (), UIDSet(numbers), shown="uid")


def sequence(numbers: SequenceSet | SupportsIndex | str | range | Iterable[SupportsIndex | range | str]) -> Key:
    """Messages with these sequence numbers; none, where the set is empty."""
    return Key("", (), SequenceSet(numbers), shown="sequence")


saved: Final = _key("$", "saved", requires="SEARCHRES")
"""The messages that the last SEARCH with the return option SAVE found (RFC 5182)."""


def key_for(messages: Messages) -> Key:
    """Return the key for messages as a command takes them."""
    if isinstance(messages, SavedResult):
        return saved
    return sequence(messages) if isinstance(messages, SequenceSet) else uid(messages)


# Extensions.


def mod_sequence(value: int, flag: str | None = None, kind: str = "all") -> Key:
    """Messages that were changed at the mod-sequence `value` or later (CONDSTORE, RFC 7162, section 3.1.5).

    With `flag`, where the server keeps mod-sequences by flag: those whose private, shared or any such flag changed.
    """
    octets = encode.mod_sequence(value, zero=True)
    if flag is None:
        return _key("MODSEQ", f"mod_sequence({value})", octets, requires="CONDSTORE")
    if kind not in ("all", "priv", "shared"):
        raise ValueError(f"neither all, priv nor shared: {kind!r}")
    atom(encode.text(flag).removeprefix("\\"))
    entry = string(f"/flags/{flag}")
    if not isinstance(entry, bytes):
        raise ValueError(f"not a flag: {flag[:100]!r}")
    shown = f"mod_sequence({value}, {flag!r}, {kind!r})"
    return _key("MODSEQ", shown, entry, kind.encode("ascii"), octets, requires="CONDSTORE")


def object_id(value: str) -> Key:
    """The messages whose content has this EMAILID (OBJECTID, RFC 8474)."""
    return _key("EMAILID", f"object_id({value!r})", _object_id(value), requires="OBJECTID")


def thread_id(value: str) -> Key:
    """The messages of this THREADID (OBJECTID, RFC 8474)."""
    return _key("THREADID", f"thread_id({value!r})", _object_id(value), requires="OBJECTID")


def _object_id(value: str) -> bytes:
    if re.fullmatch(r"[A-Za-z0-9_-]{1,255}", value) is None:
        raise ValueError(f"not an object id: {value[:100]!r}")
    return value.encode("ascii")


def fuzzy(key: SearchKey) -> SearchKey:
    """What matches `key` about, as the server sees fit (SEARCH=FUZZY, RFC 6203)."""
    return Fuzzy(search_key(key))


def filter_(name: str) -> Key:
    """Messages that the filter `name`, which is stored on the server, matches (FILTERS, RFC 5466)."""
    if "/" in name:
        raise ValueError(f"the name of a filter has no slash: {name!r}")
    return _key("FILTER", f"filter_({name!r})", atom(name), requires="FILTERS")


_GMAIL: Final = "X-GM-EXT-1"


def gmail_raw(query: str) -> Key:
    """Messages that Gmail's own search finds for `query`."""
    _check_text(query)
    return _key("X-GM-RAW", f"gmail_raw({query!r})", query, requires=_GMAIL)


def gmail_labels(label: str) -> Key:
    r"""Messages with Gmail's label `label`; its own labels begin with a backslash, such as ``\Inbox``."""
    _check_text(label)
    part = atom(label[1:]) if label.startswith("\\") else astring(mailbox_name.encode(label))
    if not isinstance(part, bytes):
        raise ValueError(f"not a label: {label[:100]!r}")
    octets = b"\\" + part if label.startswith("\\") else part
    return _key("X-GM-LABELS", f"gmail_labels({label!r})", octets, requires=_GMAIL)


def gmail_message_id(value: int) -> Key:
    """The message with Gmail's X-GM-MSGID `value`."""
    return _key("X-GM-MSGID", f"gmail_message_id({value})", _gmail_number(value), requires=_GMAIL)


def gmail_thread_id(value: int) -> Key:
    """The messages with Gmail's X-GM-THRID `value`."""
    return _key("X-GM-THRID", f"gmail_thread_id({value})", _gmail_number(value), requires=_GMAIL)


def _gmail_number(value: int) -> bytes:
    if not isinstance(value, int):
        raise TypeError(f"not a number: {value!r}")
    if isinstance(value, bool) or not 0 <= value < 2**64:
        raise ValueError(f"not an unsigned number of 64 bits: {value!r}")
    return b"%d" % value


# A parenthesis, or an atom or quoted string and what ends it.
_WORD = pattern(rb' *+(?:([()])|("(?:[^"\\]|\\["\\])*+"|[^\x00-\x20\x7f-\xff(){"]++)(?=[ )]|\Z))')


def raw(program: str) -> Key:
    """A search program in IMAP's own syntax, for keys that this module lacks; US-ASCII.

    It is sent in parentheses, so that it can't run into its neighbours. Raises ValueError where it is not a list of
    atoms, quoted strings and lists with spaces between them, and for the announcement of a literal.
    """
    _check_text(program)
    if not program.strip() or not program.isascii() or not program.isprintable():
        raise ValueError(f"not a search program in printable US-ASCII: {program[:100]!r}")
    octets = _separated(program.strip().encode("ascii"))
    if octets is None:
        raise ValueError(f"quotes or parentheses do not close, or there is no space between: {program[:100]!r}")
    return _key("(", f"raw({program!r})", octets)


def _separated(program: bytes) -> bytes | None:
    """Return `program` with single spaces between its words; None where it is no list of words."""
    pieces: list[bytes] = []
    depth = position = 0
    begins = True  # at the start of a list, where no space is needed
    while position < len(program):
        word = _WORD.match(program, position)
        if word is None:
            return None
        spaced = program.startswith(b" ", position)
        position = word.end()
        if word[1] == b")":
            depth -= 1
            if depth < 0:
                return None
            pieces.append(b")")
            begins = False
            continue
        if not begins:
            if not spaced:
                return None
            pieces.append(b" ")
        pieces.append(word[1] or word[2])
        begins = word[1] == b"("
        depth += begins
    return None if depth else b"".join(pieces)


# Keys as sequences of tokens: without recursion, as programs nest keys as deep as they like.

_Token: TypeAlias = Key | str


def tokens(key: SearchKey) -> Iterator[_Token]:
    """Yield the keys that `key` is made of, and what combines them; alike for ``a & (b & c)`` and ``(a & b) & c``."""
    stack: list[tuple[SearchKey | str, type[SearchKey] | None]] = [(key, None)]
    while stack:
        item, parent = stack.pop()
        if isinstance(item, (And, Or)):
            if type(item) is not parent:
                yield "all(" if isinstance(item, And) else "any("
                stack.append((")", None))
            stack.extend((part, type(item)) for part in reversed(item.keys))
        elif isinstance(item, (Not, Fuzzy)):
            yield "not" if isinstance(item, Not) else "fuzzy"
            stack.append((item.key, type(item)))
        else:
            assert isinstance(item, (Key, str))
            yield item


def _shown(key: SearchKey) -> Iterator[str]:
    """Yield the pieces of the code that makes `key`."""
    stack: list[tuple[SearchKey | str, type[SearchKey] | None]] = [(key, None)]
    while stack:
        item, parent = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Key):
            if item.numbers is None:
                yield item.shown
            else:
                yield f'{item.shown}("{item.numbers}")' if item.numbers else f"{item.shown}([])"
        elif isinstance(item, Not):
            yield "~"
            stack.append((item.key, Not))
        elif isinstance(item, Fuzzy):
            stack += ((")", None), (item.key, None), ("fuzzy(", None))
        else:
            assert isinstance(item, (And, Or))
            if not item.keys:
                yield "all_of([])" if isinstance(item, And) else "any_of([])"
                continue
            if parent is Not or (parent is And and isinstance(item, Or)):
                yield "("
                stack.append((")", None))
            operator = " & " if isinstance(item, And) else " | "
            for index, part in enumerate(reversed(item.keys)):
                stack += ((operator, None), (part, type(item))) if index else ((part, type(item)),)


class SortKey(StrEnum):
    """Sort keys (RFC 5256, section 3; DISPLAYFROM and DISPLAYTO: RFC 5957; RELEVANCY: RFC 6203)."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    DISPLAY_FROM = "DISPLAYFROM"
    DISPLAY_TO = "DISPLAYTO"
    FROM = "FROM"
    RELEVANCY = "RELEVANCY"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"

    @property
    def reverse(self) -> str:
        """This key in descending order."""
        return f"REVERSE {self}"
