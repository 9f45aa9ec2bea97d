"""Search keys that compose (RFC 9051, section 6.4.4, and the extensions that add keys).

    from fastimap.search import from_, since, unseen
    unseen & since(date(2024, 2, 1)) & ~from_("boss@example.com")

``&``, ``|`` and ``~`` are AND, OR and NOT; all_of() and any_of() take many keys at once. Keys are immutable and can
be compared and hashed. encode_search() turns one into the parts of a SEARCH command: the same messages, by a program
as short as the rules below make it, and in which OR is nested no deeper than it has to be.

Every function raises ValueError for an argument that the grammar has no room for, such as one with CR, LF or NUL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, NoReturn, TypeAlias, final

from .model import mailbox_name
from .model.sequence_set import SequenceSet, UIDSet
from .wire import encode
from .wire.encode import IfUTF8, Literal, Part, astring, atom, date_text, header_list, number, number64, string

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
    "email_id",
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
        for token in _tokens(self):
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
            for token in _tokens(self)
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SearchKey):
            return NotImplemented
        return self is other or list(_tokens(self)) == list(_tokens(other))

    def __hash__(self) -> int:
        return hash(tuple(_tokens(self)))

    def __repr__(self) -> str:
        return "".join(_shown(self))


Argument: TypeAlias = bytes | str
"""Of a key: octets that are ready, or text that is encoded in the charset of the search."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class Key(SearchKey):
    """A key that is not made of others: its name and arguments."""

    name: str
    arguments: tuple[Argument, ...] = ()
    numbers: UIDSet | SequenceSet | None = None
    bound: int | None = None
    """Of a comparison: the greater, the fewer messages match the key of this name."""
    shown: str = field(default="", compare=False)
    capabilities: frozenset[str] = field(default=frozenset(), compare=False)


@final
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class And(SearchKey):
    """What matches all of `keys`: every message, where there are none."""

    keys: tuple[SearchKey, ...]


@final
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Or(SearchKey):
    """What matches at least one of `keys`: nothing, where there are none."""

    keys: tuple[SearchKey, ...]


@final
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Not(SearchKey):
    """What does not match `key`."""

    key: SearchKey


@final
@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Fuzzy(SearchKey):
    """What matches `key` about, as the server sees fit (RFC 6203)."""

    key: SearchKey


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
        raise TypeError(
            f"a search key is no str: use the keys of fastimap.search, such as unseen, or search.raw({key!r:.100})"
        )
    if callable(key):
        raise TypeError(f"{getattr(key, '__name__', key)} is no search key, but makes one: call it with its argument")
    raise TypeError(f"not a search key: {key!r:.100}")


def _key(name: str, shown: str, *arguments: Argument, requires: str | None = None, bound: int | None = None) -> Key:
    return Key(name, arguments, None, bound, shown, frozenset({requires} if requires else ()))


# Flags (RFC 9051, section 6.4.4; RECENT, NEW and OLD: RFC 3501).

all_: Final = _key("ALL", "all_")
answered: Final = _key("ANSWERED", "answered")
deleted: Final = _key("DELETED", "deleted")
draft: Final = _key("DRAFT", "draft")
flagged: Final = _key("FLAGGED", "flagged")
seen: Final = _key("SEEN", "seen")
unanswered: Final = _key("UNANSWERED", "unanswered")
undeleted: Final = _key("UNDELETED", "undeleted")
undraft: Final = _key("UNDRAFT", "undraft")
unflagged: Final = _key("UNFLAGGED", "unflagged")
unseen: Final = _key("UNSEEN", "unseen")
recent: Final = _key("RECENT", "recent")
new: Final = _key("NEW", "new")
old: Final = _key("OLD", "old")


def keyword(name: str) -> Key:
    """Messages with the keyword `name`, such as ``$Forwarded``; for system flags there are keys of their own."""
    return _key("KEYWORD", f"keyword({name!r})", atom(encode.text(name)))


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
    bound = None if name.endswith("ON") else -day.toordinal() if name.endswith("BEFORE") else day.toordinal()
    return _key(name, shown, octets, requires=requires, bound=bound)


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
    bound = whole if name == "OLDER" else -whole
    return _key(name, f"{name.lower()}({whole})", octets, requires="WITHIN", bound=bound)


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
        raise TypeError(f"what is looked for is given as str, not as {value!r:.100}")
    string(value)


# Numbers.


def larger(octets: int) -> Key:
    """Messages of more than `octets` octets."""
    return _key("LARGER", f"larger({octets})", number64(octets), bound=octets)


def smaller(octets: int) -> Key:
    """Messages of fewer than `octets` octets."""
    return _key("SMALLER", f"smaller({octets})", number64(octets), bound=-octets)


def uid(numbers: UIDSet | int | str | range | Iterable[int | range]) -> Key:
    """Messages with these UIDs; none, where the set is empty."""
    return Key("UID", (), UIDSet(numbers), shown="uid")


def sequence(numbers: SequenceSet | int | str | range | Iterable[int | range]) -> Key:
    """Messages with these sequence numbers; none, where the set is empty."""
    return Key("", (), SequenceSet(numbers), shown="sequence")


saved: Final = _key("$", "saved", requires="SEARCHRES")
"""The messages that the last SEARCH with the return option SAVE found (RFC 5182)."""


# Extensions.


def mod_sequence(value: int, flag: str | None = None, kind: str = "all") -> Key:
    """Messages that were changed at the mod-sequence `value` or later (CONDSTORE, RFC 7162, section 3.1.5).

    With `flag`, where the server keeps mod-sequences by flag: those whose private, shared or any such flag changed.
    """
    octets = encode.mod_sequence(value, zero=True)
    if flag is None:
        return _key("MODSEQ", f"mod_sequence({value})", octets, requires="CONDSTORE", bound=value)
    if kind not in ("all", "priv", "shared"):
        raise ValueError(f"neither all, priv nor shared: {kind!r}")
    atom(encode.text(flag).removeprefix("\\"))
    entry = string(f"/flags/{flag}")
    if not isinstance(entry, bytes):
        raise ValueError(f"not a flag: {flag[:100]!r}")
    shown = f"mod_sequence({value}, {flag!r}, {kind!r})"
    return _key("MODSEQ", shown, entry, kind.encode("ascii"), octets, requires="CONDSTORE")


def email_id(value: str) -> Key:
    """The messages whose content has this EMAILID (OBJECTID, RFC 8474)."""
    return _key("EMAILID", f"email_id({value!r})", _object_id(value), requires="OBJECTID")


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


_QUOTED = re.compile(rb'"(?:[^"\\]|\\["\\])*+"')
_PARENTHESIS = re.compile(rb"[()]")


def raw(program: str) -> Key:
    """A search program in IMAP's own syntax, for keys that this module lacks; US-ASCII.

    It is sent in parentheses, so that it can't run into its neighbours. Raises ValueError where its quotes or
    parentheses do not close, and for the announcement of a literal.
    """
    _check_text(program)
    if not program.strip() or not program.isascii() or not program.isprintable():
        raise ValueError(f"not a search program in printable US-ASCII: {program[:100]!r}")
    octets = program.strip().encode("ascii")
    rest = _QUOTED.sub(b"", octets)
    depth = 0
    for parenthesis in _PARENTHESIS.findall(rest):
        depth += 1 if parenthesis == b"(" else -1
        if depth < 0:
            break
    if depth or b'"' in rest or b"{" in rest:
        raise ValueError(f"quotes or parentheses do not close, or there is a literal: {program[:100]!r}")
    return _key("(", f"raw({program!r})", octets)


# Keys as sequences of tokens: without recursion, as programs nest keys as deep as they like.

_Token: TypeAlias = Key | str


def _tokens(key: SearchKey) -> Iterator[_Token]:
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


# The program: keys that are combined by AND and OR alone, NOT pushed down to single keys, and back up where it is
# shorter there. A node stands once for each meaning, so that equal ones are one and the same.

_AND: Final = "AND"
_OR: Final = "OR"
_OTHER: Final = {_AND: _OR, _OR: _AND}

_NEGATED: Final = {
    "ANSWERED": "UNANSWERED",
    "DELETED": "UNDELETED",
    "DRAFT": "UNDRAFT",
    "FLAGGED": "UNFLAGGED",
    "SEEN": "UNSEEN",
    "RECENT": "OLD",
    "KEYWORD": "UNKEYWORD",
    # Every message has an internal date; the same is not true of Date fields and save dates.
    "SINCE": "BEFORE",
}
_POSITIVE: Final = {negative: positive for positive, negative in _NEGATED.items()}


@dataclass(slots=True, eq=False)
class _Node:
    """A part of the program: a key, keys combined, or nothing at all: the AND of no keys is ALL, the OR is NOT ALL.

    What stands in pairs is first for the node, then for its opposite.
    """

    op: str
    """_AND, _OR, FUZZY, or the name of a key."""
    children: tuple[_Node, ...] = ()
    key: Key | None = None
    negated: bool = False
    parts: tuple[tuple[Part, ...], tuple[Part, ...]] = ((), ())
    """Of a key."""
    octets: tuple[int, int] = (0, 0)
    """What the node takes in the command."""
    by_not: tuple[bool, bool] = (False, False)
    """Whether it is shorter as the NOT of its opposite."""


class _Program:
    """Makes the nodes of one program."""

    def __init__(self, charset: str, *, utf8: bool) -> None:
        self._charset = charset
        self._utf8 = utf8
        self._known: dict[object, _Node] = {}

    def constant(self, op: str) -> _Node:
        return self._known.setdefault(op, _Node(op))

    def single(self, key: Key, negated: bool) -> _Node:
        """Return the node of `key`, or of what does not match it."""
        if key.name == "ALL" or (key.numbers is not None and not key.numbers):
            return self.constant(_AND if (key.name == "ALL") != negated else _OR)
        key, negated = _positive(key, negated)
        known = self._known.get((key, negated))
        if known is None:
            plain = self._parts(key)
            opposite = _negative(key)
            negative = (b"NOT", *plain) if opposite is None else self._parts(opposite)
            parts = (negative, plain) if negated else (plain, negative)
            known = _Node(key.name, (), key, negated, parts, (_octets(parts[0]), _octets(parts[1])))
            self._known[key, negated] = known
        return known

    def fuzzy(self, child: _Node, negated: bool) -> _Node:
        if not child.children and child.key is None:
            return self.constant(_OTHER[child.op] if negated else child.op)
        known = self._known.get(("FUZZY", child, negated))
        if known is None:
            positive = len("FUZZY ") + child.octets[0]
            negative = len("NOT ") + positive
            octets = (negative, positive) if negated else (positive, negative)
            known = self._known["FUZZY", child, negated] = _Node("FUZZY", (child,), None, negated, octets=octets)
        return known

    def combined(self, op: str, nodes: Iterable[_Node]) -> _Node:
        """Return the AND or OR of `nodes`, without what adds nothing to it."""
        members: dict[_Node, None] = {}
        for node in nodes:
            members.update(dict.fromkeys(node.children if node.op == op else (node,)))
        members = self._merged(op, _without_weaker(op, members))
        members.pop(self.constant(op), None)
        if self.constant(_OTHER[op]) in members or any(self._opposite(node) in members for node in members):
            return self.constant(_OTHER[op])
        # a & (a | b) is a, a | (a & b) as well.
        kept = tuple(node for node in members if node.op != _OTHER[op] or members.keys().isdisjoint(node.children))
        if len(kept) == 1:
            return kept[0]
        if not kept:
            return self.constant(op)
        identity = (op, frozenset(kept))
        known = self._known.get(identity)
        if known is None:
            ors = len("OR ") * (len(kept) - 1)
            signs = (len("()"), ors) if op == _AND else (ors, len("()"))
            one, other = (sum(node.octets[side] for node in kept) + signs[side] for side in (0, 1))
            by_not = (len("NOT ") + other < one, len("NOT ") + one < other)
            octets = (min(one, len("NOT ") + other), min(other, len("NOT ") + one))
            known = self._known[identity] = _Node(op, kept, octets=octets, by_not=by_not)
        return known

    def _opposite(self, node: _Node) -> _Node | None:
        return None if node.key is None else self._known.get((node.key, not node.negated))

    def _merged(self, op: str, members: dict[_Node, None]) -> dict[_Node, None]:
        """Return `members` with sets of one kind made one: ``UID 1 UID 1:5`` is UID 1, the OR of the two is UID 1:5."""
        kinds: dict[tuple[str, bool], dict[_Node, UIDSet | SequenceSet]] = {}
        for node in members:
            if node.key is not None and node.key.numbers is not None:
                kinds.setdefault((node.op, node.negated), {})[node] = node.key.numbers
        replaced: dict[_Node, _Node | None] = {}
        for (name, negated), sets in kinds.items():
            try:
                numbers = _reduced(list(sets.values()), union=(op == _OR) != negated)
            except ValueError:  # what these have in common only the server knows: there is a * in them
                continue
            replaced |= dict.fromkeys(sets)
            replaced[next(iter(sets))] = self.single(Key(name, (), numbers), negated)
        found = (replaced.get(node, node) for node in members)
        return {node: None for node in found if node is not None}

    def _parts(self, key: Key) -> tuple[Part, ...]:
        if key.numbers is not None:
            octets = str(key.numbers).encode("ascii")
            return (b"UID", octets) if key.name else (octets,)
        arguments = [argument if isinstance(argument, bytes) else self._text(argument) for argument in key.arguments]
        return (tuple(arguments),) if key.name == "(" else (key.name.encode("ascii"), *arguments)

    def _text(self, value: str) -> Part:
        octets = value.encode(self._charset)
        if value.isascii():
            return astring(octets)
        if not self._utf8:
            return Literal(octets)
        part = string(value)
        return IfUTF8(part.then if isinstance(part, IfUTF8) else part, Literal(octets))


def _without_weaker(op: str, members: dict[_Node, None]) -> dict[_Node, None]:
    """Return `members` without comparisons that another of their kind implies: of ``LARGER 5 LARGER 9`` the last.

    Dovecot 2.3 does so as well, but takes ``NOT (SMALLER 17 SMALLER 16)`` for LARGER 16: that must not be sent.
    """
    kinds: dict[tuple[str, bool], dict[_Node, int]] = {}
    for node in members:
        if node.key is not None and node.key.bound is not None:
            kinds.setdefault((node.op, node.negated), {})[node] = node.key.bound
    weaker: set[_Node] = set()
    for (_, negated), bounds in kinds.items():
        choose = max if (op == _AND) != negated else min
        weaker |= bounds.keys() - {choose(bounds, key=bounds.__getitem__)}
    return {node: None for node in members if node not in weaker}


def _reduced(sets: Sequence[UIDSet | SequenceSet], union: bool) -> UIDSet | SequenceSet:
    """Return the union or intersection of `sets`, all of one type; by halves, so that many small ones cost little."""
    reduced: list[UIDSet | SequenceSet] = list(sets)
    while len(reduced) > 1:
        pairs = zip(reduced[::2], reduced[1::2], strict=False)
        rest = reduced[-1:] if len(reduced) % 2 else []
        reduced = [_both(one, other, union) for one, other in pairs] + rest
    return reduced[0]


def _both(one: UIDSet | SequenceSet, other: UIDSet | SequenceSet, union: bool) -> UIDSet | SequenceSet:
    if isinstance(one, UIDSet):
        assert isinstance(other, UIDSet)
        return one | other if union else one & other
    assert isinstance(other, SequenceSet)
    return one | other if union else one & other


def _positive(key: Key, negated: bool) -> tuple[Key, bool]:
    """Return `key` as the opposite of another, where it is shown as such in _NEGATED."""
    if key.name in _POSITIVE:
        bound = None if key.bound is None else -key.bound
        return Key(_POSITIVE[key.name], key.arguments, bound=bound), not negated
    if key.name == "SMALLER" and key.bound:
        size = -key.bound - 1
        return Key("LARGER", (b"%d" % size,), bound=size), not negated
    return key, negated


def _negative(key: Key) -> Key | None:
    """Return the key that matches what `key` does not, where there is one."""
    if key.name in _NEGATED:
        return Key(_NEGATED[key.name], key.arguments)
    if key.name == "LARGER" and key.bound is not None and key.bound < 2**32 - 1:
        return Key("SMALLER", (b"%d" % (key.bound + 1),))
    return None


def _octets(parts: Iterable[Part]) -> int:
    """Return what `parts` take in a command, a space behind each included."""
    total = 0
    for part in parts:
        shown = part.then if isinstance(part, IfUTF8) else part
        if isinstance(shown, tuple):
            total += len("()") + _octets(shown)
        elif isinstance(shown, bytes):
            total += len(shown) + 1
        elif isinstance(shown, Literal):
            total += shown.size + len("{1000}\r\n ")
    return total


@dataclass(slots=True)
class _Group:
    """Keys that AND or OR combine, or the one of a FUZZY, on their way to a node."""

    op: str
    negated: bool
    nodes: list[_Node | None]
    parent: list[_Node | None]
    place: int
    """Where in the parent's nodes the result belongs."""


def _node(key: SearchKey, charset: str, *, utf8: bool) -> _Node:
    """Return the root of the program of `key`; `utf8`: text in UTF-8, whatever `charset` is, where that is enabled."""
    program = _Program(charset, utf8=utf8)
    root = _Group(_AND, False, [], [None], 0)
    groups = [root]
    stack = [(key, False, root)]
    while stack:
        key, negated, group = stack.pop()
        if isinstance(key, Not):
            stack.append((key.key, not negated, group))
            continue
        if isinstance(key, Key):
            group.nodes.append(program.single(key, negated))
            continue
        if isinstance(key, (And, Or)):
            op = _AND if isinstance(key, And) != negated else _OR
            if group.op != op:
                group = _Group(op, False, [], group.nodes, len(group.nodes))
                group.parent.append(None)
                groups.append(group)
            stack.extend((part, negated, group) for part in reversed(key.keys))
        else:
            assert isinstance(key, Fuzzy)
            group = _Group("FUZZY", negated, [], group.nodes, len(group.nodes))
            group.parent.append(None)
            groups.append(group)
            stack.append((key.key, False, group))
    for group in reversed(groups):
        nodes = [node for node in group.nodes if node is not None]
        if group.op == "FUZZY":
            group.parent[group.place] = program.fuzzy(nodes[0], group.negated)
        else:
            group.parent[group.place] = program.combined(group.op, nodes)
    result = root.parent[0]
    assert result is not None
    return result


def _parts(root: _Node) -> tuple[Part, ...]:
    """Return the arguments of SEARCH that `root` is."""
    if not root.children and root.key is None:
        return (b"ALL",) if root.op == _AND else (b"NOT", b"ALL")
    lists: list[list[Part]] = [[]]
    # What is to come, last first: nodes with their sides, and the end of a list.
    stack: list[tuple[Sequence[_Node], int] | None] = []
    if root.op == _AND and sum(node.octets[0] for node in root.children) <= root.octets[0]:  # without parentheses
        stack += (((node,), 0) for node in reversed(root.children))
    else:
        stack.append(((root,), 0))
    while stack:
        item = stack.pop()
        if item is None:
            done = tuple(lists.pop())
            lists[-1].append(done)
            continue
        nodes, side = item
        if len(nodes) > 1:  # of an OR, which takes two: halves, so that it is nested log n deep
            middle = (len(nodes) + 1) // 2
            lists[-1].append(b"OR")
            stack += ((nodes[middle:], side), (nodes[:middle], side))
            continue
        node = nodes[0]
        if node.key is not None:
            lists[-1] += node.parts[side]
        elif node.op == "FUZZY":
            lists[-1] += (b"NOT", b"FUZZY") if node.negated != bool(side) else (b"FUZZY",)
            stack.append((node.children, 0))
        else:
            if node.by_not[side]:
                lists[-1].append(b"NOT")
                side = 1 - side
            if (node.op == _AND) == (side == 0):
                lists.append([])
                stack.append(None)
                stack += (((child,), side) for child in reversed(node.children))
            else:
                stack.append((node.children, side))
    return tuple(lists[0])


def encode_search(key: SearchKey, *, charset: str = "UTF-8") -> tuple[Part, ...]:
    """Return the arguments of SEARCH: CHARSET where it is needed, and the search keys that `key` is.

    Text that is not US-ASCII is sent in `charset`, or as UTF-8 without CHARSET where the connection has UTF-8
    enabled (RFC 6855, section 3). Raises UnicodeEncodeError where `charset` lacks a character, LookupError where
    Python lacks `charset`.
    """
    named = atom(charset)  # refused here, whether it is sent or not
    if not _has_foreign_text(key):
        return _parts(_node(key, "US-ASCII", utf8=False))
    return (IfUTF8(None, b"CHARSET " + named), *_parts(_node(key, charset, utf8=True)))


def search_program(key: SearchKey, *, charset: str = "UTF-8") -> tuple[Part, ...]:
    """Return the search keys of `key` alone, for SORT and THREAD, which always name the charset (RFC 5256).

    Raises what encode_search() raises.
    """
    return _parts(_node(key, charset, utf8=charset.upper() == "UTF-8"))


def _has_foreign_text(key: SearchKey) -> bool:
    texts = (argument for token in _tokens(key) if isinstance(token, Key) for argument in token.arguments)
    return not all(argument.isascii() for argument in texts)


# What SEARCH and SORT return, and in which order.

RETURN_OPTIONS: Final = {
    "ALL": "ESEARCH",
    "COUNT": "ESEARCH",
    "MAX": "ESEARCH",
    "MIN": "ESEARCH",
    "SAVE": "SEARCHRES",
    "CONTEXT": "CONTEXT=SEARCH",
    "UPDATE": "CONTEXT=SEARCH",
    "RELEVANCY": "SEARCH=FUZZY",
}
"""The return options without arguments, and the capability that each of them needs (RFC 4731, 5182, 5267, 6203)."""


def return_options(options: Iterable[str], *, partial: tuple[int, int] | None = None) -> tuple[Part, ...]:
    """Return ``RETURN (...)``: of `options`, the keys of RETURN_OPTIONS, and of PARTIAL.

    `partial` are the first and last position wanted among the results, both from 1, or both from -1, the last
    result, down (RFC 9394, section 3.1; RFC 5267 has no negative ones). Raises ValueError for any other.
    """
    if isinstance(options, str):
        raise TypeError(f"return options are given as a list, not as one str: {options!r}")
    words: list[Part] = []
    for option in options:
        if encode.text(option).upper() not in RETURN_OPTIONS:
            raise ValueError(f"not a return option: {option!r}")
        words.append(option.upper().encode("ascii"))
    if partial is not None:
        words += (b"PARTIAL", encode.partial(partial))
    return (b"RETURN", tuple(words))


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


def sort_criteria(keys: Iterable[str]) -> tuple[bytes, ...]:
    """Return the list of sort keys `keys`, such as ``("REVERSE DATE", SortKey.SUBJECT)``; at least one."""
    if isinstance(keys, str):
        raise TypeError(f"sort keys are given as a list, not as one str: {keys!r}")
    words = []
    for key in keys:
        name = encode.text(key).upper()
        if name.removeprefix("REVERSE ") not in list(SortKey):
            raise ValueError(f"not a sort key: {key!r}")
        words.append(name.encode("ascii"))
    if not words:
        raise ValueError("no sort keys: a SORT needs at least one")
    return tuple(words)
