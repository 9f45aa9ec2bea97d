"""FETCH and UID FETCH (RFC 9051, section 6.4.5)."""

from __future__ import annotations

import functools
import io
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, BinaryIO, ClassVar, NamedTuple, Self

from ..errors import MessageNotFound, ParseError
from ..model import words
from ..model._patterns import pattern
from ..model.response_codes import MessageLimit
from ..model.responses import Tagged
from ..model.row import (
    PRESENCE,
    PRESENT_FLAGS,
    PRESENT_MODSEQ,
    PRESENT_OTHER,
    PRESENT_UID,
    FetchedMessage,
    Streamed,
    canonical_section,
    has_uid,
)
from ..model.sequence_set import SAVED, Messages, MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..parser import last_ascending, split_rows
from ..wire import encode
from ..wire.encode import Part
from ._shared import by, last_limit, limit, names, parts_of, piece, ranges
from .base import SELECTED, Command, Session

__all__ = ["Fetch", "FetchInto", "FetchResult", "answers_of", "merged", "refused"]

_NAMES = {bit: name for name, bit in PRESENCE.items() if name not in ("BODY", "RFC822")}
_SHOWN = 3
# What servers send unsolicited (RFC 9051, section 7.5.2; RFC 7162, section 3.1): such a row alone answers nothing.
_UNASKED = PRESENT_UID | PRESENT_FLAGS | PRESENT_MODSEQ
NOT_SENT = "asked for, and not sent"
"""Why a row of an answer has a defect for an item that it has not."""
_REQUIRED = {
    "MODSEQ": "CONDSTORE",
    "EMAILID": "OBJECTID",
    "THREADID": "OBJECTID",
    "PREVIEW": "PREVIEW",
    "SAVEDATE": "SAVEDATE",
    "X-GM-MSGID": "X-GM-EXT-1",
    "X-GM-THRID": "X-GM-EXT-1",
    "X-GM-LABELS": "X-GM-EXT-1",
}
_UID_OF = operator.attrgetter("uid")
_SEQUENCE_NUMBER_OF = operator.attrgetter("sequence_number")


class _Items(NamedTuple):
    """What the data items of a FETCH come to."""

    list: bytes
    """As it is sent."""
    list_by_uid: bytes
    """The same for UID FETCH, which sends the UID anyway."""
    need: int
    """The sum of PRESENT_... that a whole answer has."""
    answers: tuple[str, ...]
    """Their names in answers."""
    keys: tuple[str, ...]
    """The names in answers of those that have no bit of their own."""
    requires: frozenset[str]


def answers_of(items: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that data items have in responses, macros resolved. Raises as `Fetch` does."""
    return _asked(items).answers


@functools.lru_cache(maxsize=256)
def _asked(items: tuple[str, ...]) -> _Items:
    """Read data items. Programs ask for the same few again and again, often for each message."""
    names = tuple(
        dict.fromkeys(
            name
            for item in items
            for name in words.FETCH_MACROS.get(encode.text(item).upper()) or (encode.fetch_item(item).decode("ascii"),)
        )
    )
    answers = tuple(map(_response_name, names))
    bits = [PRESENCE.get(answer, PRESENT_OTHER) for answer in answers]
    requires = {_REQUIRED[answer] for answer in answers if answer in _REQUIRED}
    if any(name.startswith("BINARY") for name in names):
        requires.add("BINARY")
    return _Items(
        list=_parenthesised(names),
        list_by_uid=_parenthesised([name for name in names if name != "UID"] or names),
        need=functools.reduce(operator.or_, bits, 0),
        answers=answers,
        keys=tuple(answer for answer, bit in zip(answers, bits, strict=True) if bit == PRESENT_OTHER),
        requires=frozenset(requires),
    )


def _parenthesised(names: Iterable[str]) -> bytes:
    return f"({' '.join(names)})".encode("ascii")


class FetchResult(tuple[FetchedMessage, ...]):
    """What FETCH returned: a tuple of the messages, in the order in which the server sent them."""

    limit: int | None
    """The lowest UID that was processed, where the server stopped early (MESSAGELIMIT, RFC 9738): of the messages below
    it there is nothing here, and they can be asked for again."""

    _wanted: UIDSet | SequenceSet | None

    def __new__(
        cls,
        rows: Iterable[FetchedMessage] = (),
        limit: int | None = None,
        wanted: UIDSet | SequenceSet | None = None,
    ) -> Self:
        self = super().__new__(cls, rows)
        self.limit = limit
        self._wanted = wanted
        return self

    @property
    def missing(self) -> UIDSet | SequenceSet | None:
        """The messages that were asked for and left out of the answer: expunged meanwhile, or never there.

        None where only the server knows what was asked for: ``*``, `SAVED`, and with `changed_since` or `partial`.
        """
        if isinstance(self._wanted, SequenceSet):
            return self._wanted - SequenceSet(row.sequence_number for row in self if row.sequence_number is not None)
        return None if self._wanted is None else self._wanted - UIDSet(row.uid for row in self if has_uid(row))

    def by_uid(self) -> dict[int, FetchedMessage]:
        """Return the messages by UID, those without one left out."""
        return {row.uid: row for row in self if has_uid(row)}

    def __repr__(self) -> str:
        # asyncio.run() has a repr made of what the main task returns.
        more = f", ... {len(self)} messages" if len(self) > _SHOWN else ""
        return f"({', '.join(map(repr, self[:_SHOWN]))}{more})"


class Fetch(Command[FetchResult]):
    """Return the data items of messages, in the order in which the server sent them.

    :param messages: a UID, UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param items: data items such as ``"FLAGS"``, ``"ENVELOPE"``, ``"BODYSTRUCTURE"``, ``"BODY.PEEK[HEADER]"``,
        ``"BODY.PEEK[]<0.1024>"`` (1024 octets from the first), ``"BINARY.PEEK[1]"``; the macros ``"ALL"``, ``"FAST"``,
        ``"FULL"`` too. Each is an argument of its own. Without PEEK the messages get the flag ``\\Seen``.
    :param changed_since: only messages whose mod-sequence is greater (CONDSTORE, RFC 7162, section 3.1.4.1).
    :param vanished: with `changed_since`, also ask which of them are gone: they come as a `Vanished` event
        (QRESYNC, RFC 7162, section 3.2.6).
    :param partial: only these of the messages, counted from 1, or from -1 backwards (PARTIAL, RFC 9394).

    A message that does not exist is left out, and no messages at all are nothing to do. An item that the server did
    not send, or sent broken, is None, and ``message.defects`` says so. Where the server stopped early (MESSAGELIMIT,
    RFC 9738), the result's `limit` says where; `fetch_iter` asks for the rest. (RFC 9051, section 6.4.5)
    """

    name: ClassVar[str] = "FETCH"
    repeatable = True
    states = SELECTED
    fetches = True

    def __init__(
        self,
        messages: MessageSet,
        *items: str,
        changed_since: int | None = None,
        vanished: bool = False,
        partial: tuple[int, int] | None = None,
    ) -> None:
        if not items:
            raise ValueError('name the data items, such as "FLAGS" or "BODY.PEEK[]"')
        names(items, "data items")
        if vanished and changed_since is None:
            raise ValueError("vanished=True needs changed_since=")
        self._items = _asked(items)
        self._changed_since = changed_since
        self._vanished = vanished
        self._partial = None if partial is None else encode.partial(partial)
        self._keys = self._items.keys
        self._key = self._keys[0] if len(self._keys) == 1 else None
        self.begin(uid_set(messages))

    def begin(self, messages: Messages) -> None:
        """Be about `messages`."""
        self._set = messages
        by_uid = self._by_uid = not isinstance(messages, SequenceSet)
        # Of every row of a large mailbox: a look-up in C. split_rows() sees to it that there is a number.
        self._number: Callable[[FetchedMessage], int] = _UID_OF if by_uid else _SEQUENCE_NUMBER_OF
        self.positional: bool = not by_uid or messages is SAVED
        self._ranges = ranges(messages)
        self.nothing_to_do: bool = not self._ranges
        self._need = self._items.need
        if by_uid:
            self._need |= PRESENT_UID
        if self._changed_since is not None:
            self._need |= PRESENT_MODSEQ
        self._is_news_alone = not self._need & ~_UNASKED  # whether it may all be sent unsolicited
        self.kind: str | None = "fetch" if self._by_uid else "fetch-by-number"
        self._last = 0
        """The number of the last row, while they come in ascending order."""
        self._seen: set[int] | None = None
        """The numbers of all rows, where they do not."""
        self._incomplete: dict[int, FetchedMessage] = {}
        self.rows: list[FetchedMessage] = []
        self.numbers: list[int] = []
        """The numbers of the rows that were taken."""
        self.stopped_early: bool = False
        """Whether the server stopped at its MESSAGELIMIT (RFC 9738)."""
        self.limit: int | None = None
        """The lowest UID that it has processed then."""

    def hand_on(self, again: Fetch) -> list[FetchedMessage]:
        """Return the rows that came before the connection was lost, and have `again` be about the other messages."""
        if not isinstance(self._set, UIDSet) or self._set.has_star or self._partial is not None:
            return []
        rows = self.taken()
        again.begin(self._set - UIDSet(self.numbers))
        return rows

    def requires(self, session: Session) -> Iterable[str]:
        if not self._items.requires and self._changed_since is None and self._partial is None:
            return ()
        needed = set(self._items.requires)
        if self._changed_since is not None:
            needed.add("QRESYNC" if self._vanished else "CONDSTORE")
        if self._partial is not None:
            needed.add("PARTIAL")
        if "CONDSTORE" in needed and "QRESYNC" in session.capabilities:
            needed.discard("CONDSTORE")  # QRESYNC includes it
        return sorted(needed)

    def parts(self, session: Session) -> Sequence[Part]:
        name: Part = b"UID FETCH" if self._by_uid else by("FETCH", sequence=True, session=session)
        parts: list[Part] = [name, str(self._set).encode("ascii")]
        parts.append(self._items.list_by_uid if self._by_uid else self._items.list)
        modifiers: list[Part] = []
        if self._partial is not None:
            modifiers += (b"PARTIAL", self._partial)
        if self._changed_since is not None:
            modifiers += (b"CHANGEDSINCE", encode.mod_sequence(self._changed_since, zero=True))
            if self._vanished:
                modifiers.append(b"VANISHED")
        if modifiers:
            parts.append(tuple(modifiers))
        return parts

    @property
    def messages(self) -> Messages:
        """The messages that it is about."""
        return self._set

    @property
    def _is_single(self) -> bool:
        """Whether it can be about one message only."""
        if isinstance(self._set, SavedResult):
            return False
        return not self._set.ranges if self._set.has_star else len(self._set) == 1

    def pieces(self, octets: int) -> Sequence[Fetch]:
        if self._partial is not None or len(self._ranges) == 1:
            return ()
        return [piece(self, part) for part in parts_of(self._set, max(octets - self.octets_around_set(), 1000))]

    def join(self, results: Sequence[FetchResult]) -> FetchResult:
        return FetchResult(chain.from_iterable(results), last_limit(results), self._wanted())

    def _wanted(self) -> UIDSet | SequenceSet | None:
        """Return the messages that have to come; None where only the server knows."""
        if isinstance(self._set, SavedResult) or self._set.has_star:
            return None
        return self._set if self._changed_since is None and self._partial is None else None

    def octets_around_set(self) -> int:
        """Return how many octets its line has at most besides the set, the tag's included."""
        return len(self._items.list) + len("T123456789abcdef UID FETCH  () (CHANGEDSINCE 12345678901234567890)\r\n")

    def ranges(self, session: Session) -> tuple[tuple[int, int], ...]:
        return self._ranges

    def take_rows(self, rows: list[FetchedMessage]) -> list[FetchedMessage]:
        if self.abandoned:
            self._let_go()
        claimed, others = split_rows(rows, self._by_uid, self._ranges, self._need)
        key = self._key
        if self._keys and not all(row.items[0][0] == key or self._has_keys(row) for row in claimed):
            if len(rows) == 1:  # what has no bit of its own may be lacking among the items of a row that has such
                return self._take_incomplete(rows)
            return [other for row in rows for other in self.take_rows([row])]
        if (len(rows) > 1 and others and self._may_shuffle(others)) or not self._are_new(claimed):
            return rows if len(rows) == 1 else [other for row in rows for other in self.take_rows([row])]
        self.rows += claimed
        return self._take_incomplete(others) if others else others

    def taken(self) -> list[FetchedMessage]:
        """Return the rows that have come since the last call; then they are the caller's."""
        rows, self.rows = self.rows, []
        self.numbers += map(self._number, rows)
        return rows

    def empty(self) -> FetchResult:
        return FetchResult()

    def succeed(self, tagged: Tagged, session: Session) -> FetchResult:
        self.stopped_early = isinstance(tagged.response_code, MessageLimit)
        self.limit = limit(tagged)
        if self.abandoned:
            self._let_go()
        if self._incomplete:
            rest = [row for row in self._incomplete.values() if not self._is_news(row) and self._are_new([row])]
            self.rows += map(self._with_missing, rest)
            self._incomplete.clear()
        return FetchResult(self.rows, self.limit, self._wanted())

    def _let_go(self) -> None:
        """Keep no rows: nobody awaits them any more."""
        self.rows.clear()
        self._incomplete.clear()

    def _are_new(self, rows: list[FetchedMessage]) -> bool:
        """Whether `rows` are the first ones of their messages, which count; later ones are news."""
        if self._seen is None:
            last = last_ascending(rows, self._by_uid, self._last)
            if last is not None:  # as nearly all servers send them
                self._last = last
                return True
        seen = self._all_seen()
        numbers = [*map(self._number, rows)]
        if len({*numbers}) < len(numbers) or not seen.isdisjoint(numbers):
            return False
        seen.update(numbers)
        return True

    def _is_seen(self, number: int) -> bool:
        """Whether there is a row of a message already."""
        return (self._seen is not None or number <= self._last) and number in self._all_seen()

    def _all_seen(self) -> set[int]:
        if self._seen is None:
            self._seen = {*self.numbers, *map(self._number, self.rows)}
        return self._seen

    def _may_shuffle(self, others: list[FetchedMessage]) -> bool:
        """Whether rows of both kinds, taken at one go, would come out in another order than they came in."""
        return self._is_news_alone or bool(self._partly_ours(others)[0])

    def _partly_ours(self, rows: list[FetchedMessage]) -> tuple[list[FetchedMessage], list[FetchedMessage]]:
        """Part `rows` in those of messages that were asked for, whatever items they have, and all others."""
        return split_rows(rows, self._by_uid, self._ranges, PRESENT_UID if self._by_uid else 0)

    def _take_incomplete(self, rows: list[FetchedMessage]) -> list[FetchedMessage]:
        """Collect rows of wanted messages that lack items: a server may send a message's items in several responses.

        A row that may as well be news (flags alone) is both.
        """
        ours, others = self._partly_ours(rows)
        for row in ours:
            if self._is_news_alone:
                others.append(row)
                continue
            number = self._number(row)
            earlier = self._incomplete.get(number)
            if row._present & ~_UNASKED == 0:
                others.append(row)
            elif self._is_seen(number) or (earlier is not None and not self._brings(row, earlier)):
                others.append(row)
                continue  # else a server could have ever larger rows copied, once for each octet or two that it sends
            whole = merged(earlier, row) if earlier is not None else row
            if whole._present & self._need != self._need or not self._has_keys(whole):
                self._incomplete[number] = whole
                continue
            self._incomplete.pop(number, None)
            if self._are_new([whole]):
                self.rows.append(whole)
            else:
                others.append(whole)
        return others

    def _brings(self, row: FetchedMessage, earlier: FetchedMessage) -> bool:
        """Whether `row` has an item that was asked for and is not in `earlier`."""
        if row._present & self._need & ~earlier._present & ~PRESENT_OTHER:
            return True
        names = {name for name, _ in row.items}.difference(name for name, _ in earlier.items)
        return any(key in names for key in self._keys)

    def _is_news(self, row: FetchedMessage) -> bool:
        """Whether `row` has no more than servers send unsolicited, and nothing of that was asked for."""
        return not row._present & ~_UNASKED and not row._present & self._need & ~PRESENT_UID

    def _has_keys(self, row: FetchedMessage) -> bool:
        names = {name for name, _ in row.items}
        return all(key in names for key in self._keys)

    def _with_missing(self, row: FetchedMessage) -> FetchedMessage:
        """Return `row`, with a defect for each item that was asked for and is not there."""
        lacking = self._need & ~row._present & ~PRESENT_OTHER
        names = {name for name, _ in row.items}
        missing = [name for bit, name in _NAMES.items() if lacking & bit] + [k for k in self._keys if k not in names]
        if not missing:
            return row
        from ..model.message import Defect  # whose module is imported where a program asks for its types

        defects = tuple(Defect(name, NOT_SENT, b"") for name in missing)
        return row.replace(defects=row.defects + defects)


class FetchInto(Fetch):
    """Fetch one message (or several), its literals going to files as they arrive, never whole in memory.

    :param messages: as for `fetch`.
    :param items: data items; at least one body section, such as ``"BODY.PEEK[]"``.
    :param into: a binary file that the body section of a single message is written to; or, for several sections or
        messages, a function that gets the number of the message (UID, or sequence number with a `SequenceSet`; None
        where the server sends it after the literal, or far after another one), the item's name as answered
        (``"BODY[]"``) and its size in octets, and returns the file to write to, or None to keep it in memory.
    :param progress: called with the octets written so far and the size of the literal, at most once a buffer
        (256 KiB).

    Returns the messages as `fetch` does; ``message.streamed`` holds the number of octets written by item. An exception
    of a file's `write` ends the call; the connection stays in step. Raises ValueError where there is no body section
    to write, or several would go into one file; MessageNotFound where the one message for a file is not there, or has
    no such section (NIL; some servers send no octets then). Messages that are not there among others are `missing` of
    the result; what one has no such section of is None. A client goes on where the server refuses one message
    among others: that one comes last, with a defect and nothing else. (RFC 9051, section 6.4.5)
    """

    streams = True

    def __init__(
        self,
        messages: MessageSet,
        *items: str,
        into: BinaryIO | Callable[[int | None, str, int], BinaryIO | None],
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        self._files: dict[tuple[int, str], tuple[Any, int]] = {}  # of the command that this is a piece of, too
        super().__init__(messages, *items)
        sections = [name for name in self._items.answers if _SECTION.fullmatch(name)]
        if not sections:
            raise ValueError('no body section, such as "BODY.PEEK[]", is among the items: there is nothing to write')
        if not callable(into):
            if not hasattr(into, "write") or isinstance(into, io.TextIOBase):
                raise TypeError(f'into= is a file that is open in binary mode ("wb"), or a function, not {into!r:.100}')
            if len(sections) > 1 or not self._is_single:
                raise ValueError("several sections would go into one file: pass a function, which gives each its own")
        self._into = into
        self._progress = progress
        self._sections = {"BODY[]", "RFC822", *sections} if {"BODY[]", "RFC822"} & {*sections} else {*sections}

    def begin(self, messages: Messages) -> None:
        super().begin(messages)
        self._kept: set[tuple[int, str]] = set()  # literals that stay in memory, as `into` said
        self._begun: set[tuple[int, str]] = set()
        # Of the rows that were begun to be written: the number that they begin with, and the number of the message
        # that they were taken for; None where its UID was not known.
        self._written: set[tuple[int, int | None]] = set()
        self._unnamed: dict[tuple[int, str], tuple[Any, int]] = {}  # of those, by the number that they begin with
        self._earlier: list[FetchedMessage] = []
        self.kind: str | None = None

    def sink(self, sequence_number: int | None, uid: int | None, name: str, size: int) -> Any:
        if sequence_number is None and not self._by_uid:  # UIDFETCH: RFC 9586
            return None
        number = uid if self._by_uid else sequence_number
        if number is not None and not self._is_wanted(number):
            return None
        announced = sequence_number if sequence_number is not None else uid
        assert announced is not None  # one of the two is the number in front
        literal = (announced, name)
        if literal in self._begun or not (callable(self._into) or self._is_for_file(name)):
            return None
        self._begun.add(literal)
        file = self._file(number, name, size)
        if file is None:
            self._kept.add(literal)
            return None
        self._written.add((announced, number))
        if self.notes_files:
            self._note(file, number, announced, name)
        return self._writer(file, size)

    def _is_wanted(self, number: int) -> bool:
        return any(low <= number <= high for low, high in self._ranges)

    def _is_for_file(self, name: str) -> bool:
        """Whether the only file there is is for the section `name`: the one that was asked for, and once."""
        return name in self._sections and not self._begun

    def _file(self, number: int | None, name: str, size: int) -> Any:
        """Return the file for a section: the one that it has already, where it was cut short."""
        if not callable(self._into):
            return self._into
        begun = None if number is None else self._files.get((number, _response_name(name)))
        return self._into(number, name, size) if begun is None else begun[0]

    def _note(self, file: Any, number: int | None, announced: int, name: str) -> None:
        if number is None:
            self._unnamed[announced, name] = file, _position(file)
        elif (number, _response_name(name)) not in self._files:
            self._files[number, _response_name(name)] = file, _position(file)

    def _writer(self, file: Any, size: int) -> Callable[[Any], object]:
        write = file.write
        if self._progress is not None:
            write = _counted(write, size, functools.partial(self.tell, self._progress))
        return write if self.write_by is None else functools.partial(self.write_by, write)

    def take_rows(self, rows: list[FetchedMessage]) -> list[FetchedMessage]:
        before = len(self.rows)
        others = super().take_rows(rows)
        if self.notes_files:  # those of whole messages are the caller's alone: many leave it to Python to close them
            for row in self.rows[before:]:
                for name, _ in row.items:
                    self._files.pop((self._number(row), _response_name(name)), None)
                    self._unnamed.pop((_announced(row) or 0, name), None)
        return others

    def hand_on(self, again: Fetch) -> list[FetchedMessage]:
        """As of `Fetch`; a file that has a part of a message is cut to where the message began.

        Raises OSError or ValueError where it can't be.
        """
        assert isinstance(again, FetchInto)
        rows = super().hand_on(again)
        for row in rows:
            streamed = [value for _, value in row.items if isinstance(value, Streamed)]
            for value in streamed:
                if value.error is not None:
                    raise value.error
            if streamed and self._written.isdisjoint({(_announced(row), self._number(row)), (_announced(row), None)}):
                raise ParseError("what was written is of another message: the server said so after it")
        whole = {self._number(row) for row in rows}
        again._files = {}  # not those of messages that were cut short once and have come since
        for (number, name), (file, start) in self._files.items():
            if number not in whole and self._is_wanted(number):  # others are not this piece's
                _cut(file, start)
                again._files[number, name] = file, start
        begun_by = {_announced(row) for row in rows}
        for (announced, _), (file, start) in self._unnamed.items():
            if announced not in begun_by:
                _cut(file, start)
        return [*map(self._with_quoted_written, rows)]

    def delivered(self) -> list[FetchedMessage]:
        """Return the messages that came before the server refused the command, and were written."""
        rows, self._earlier = self._earlier, []
        return [*rows, *map(self._with_quoted_written, self.taken())]

    def was_sent_again(self, rows: list[FetchedMessage], last: FetchInto) -> None:
        """Note that the server has refused `last`, which was sent in the place of this one after `rows` had come."""
        self._earlier = [*rows, *last.delivered()]
        self.numbers[:] = map(self._number, self._earlier)

    def succeed(self, tagged: Tagged, session: Session) -> FetchResult:
        rows = super().succeed(tagged, session)
        if self.abandoned:  # the files may be used for something else now
            return rows
        known = {(_announced(row), number) for row in rows for number in (self._number(row), None)}
        if not self._written <= known:
            raise ParseError("what was written is of another message: the server said so after it")
        for row in rows:
            for _, value in row.items:
                error = getattr(value, "error", None)
                if error is not None:
                    raise error
        if not rows and not callable(self._into):
            raise MessageNotFound(
                f"{self.name}: the server answered OK and sent no message {self._set}: nothing written"
            )
        return FetchResult(map(self._with_quoted_written, rows), rows.limit, self._wanted())

    def _with_quoted_written(self, row: FetchedMessage) -> FetchedMessage:
        """Write the sections that came as quoted strings too: literal or quoted is the server's choice."""
        number = self._number(row)
        announced = _announced(row)
        items: list[tuple[str, object]] = []
        found: list[tuple[str, object]] = [*row.items]
        if row.body is not None:
            whole = b"RFC822" if b"RFC822" in self._items.list.strip(b"()").split() else b"BODY[]"
            found.append((whole.decode("ascii"), row.body))
        for name, value in found:
            if (
                isinstance(value, bytes)
                and _SECTION.fullmatch(name)
                and (announced, name) not in self._kept
                and (callable(self._into) or self._is_for_file(name))
            ):
                file = self._file(number, name, len(value))
                if file is not None:
                    if value:
                        self._writer(file, len(value))(value)
                    value = Streamed(len(value))
            items.append((name, value))
        if not callable(self._into) and not any(isinstance(value, Streamed) for _, value in items):
            others = {*self._items.answers} - self._sections
            reasons = [f"{defect.item}: {defect.reason}" for defect in row.defects if defect.item not in others]
            why = "; ".join(reasons) or "its answer is NIL"
            raise MessageNotFound(f"{self.name}: the server sent nothing to write of message {self._set}: {why}")
        if row.body is not None:
            _, body = items[-1]
            return (
                row.replace(items=tuple(items[:-1])) if body is row.body else row.replace(body=None, items=tuple(items))
            )
        return row.replace(items=tuple(items))


_SECTION = pattern(r"(?:BODY|BINARY)\[.*|RFC822(?:\.HEADER|\.TEXT)?", re.DOTALL)


def _position(file: Any) -> int:
    """Return where a file is; -1 where it can't tell, as a pipe can't."""
    try:
        return int(file.tell())
    except (AttributeError, OSError, ValueError):
        return -1


def _cut(file: Any, start: int) -> None:
    """Cut a file to where it was. Raises OSError or ValueError where it can't be."""
    if start < 0:
        raise io.UnsupportedOperation("a file that has no position")
    file.seek(start)
    file.truncate()


def _announced(row: FetchedMessage) -> int | None:
    """Return the number before a row."""
    return row.sequence_number if row.sequence_number is not None else row.uid if has_uid(row) else None


def refused(number: int, by_uid: bool, reason: str) -> FetchedMessage:
    """Return the row of a message that the server would not give."""
    from ..model.message import Defect

    defect = Defect("FETCH", reason, b"")
    if by_uid:
        return FetchedMessage(uid=number, defects=(defect,))
    return FetchedMessage(sequence_number=number, defects=(defect,))


def merged(earlier: FetchedMessage, later: FetchedMessage) -> FetchedMessage:
    """Return what two FETCH responses say of one message; the later one counts where both speak."""
    news: dict[str, Any] = {name: value for name in _FIELDS if (value := getattr(later, name)) is not None}
    if has_uid(later):
        news["uid"] = later.uid
    return earlier.replace(
        sequence_number=later.sequence_number,
        items=tuple({**dict(earlier.items), **dict(later.items)}.items()),
        defects=earlier.defects + later.defects,
        present=[name for name in PRESENCE if name in earlier or name in later],
        **news,
    )


_FIELDS = ("flags", "size", "internal_date", "mod_sequence", "envelope", "body_structure", "body")


def _counted(
    write: Callable[[Any], object], size: int, progress: Callable[[int, int], object]
) -> Callable[[Any], None]:
    done = 0

    def counting(octets: Any) -> None:
        nonlocal done
        write(octets)
        done += len(octets)
        progress(done, size)

    return counting


def _response_name(item: str) -> str:
    """Return the name under which the server answers the data item `item`."""
    name, bracket, rest = item.partition("[")
    name = name.removesuffix(".PEEK")
    section, closing, origin = rest.partition("]")
    if origin.startswith("<"):
        origin = "<" + origin[1:].partition(".")[0].rstrip(">") + ">"
    if not bracket:
        name = name.partition(" ")[0]  # PREVIEW (LAZY)
    return name + bracket + canonical_section(section) + closing + origin
