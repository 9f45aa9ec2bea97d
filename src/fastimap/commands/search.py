"""Messages that match: SEARCH, SORT, THREAD, and searches of many mailboxes (RFC 9051, section 6.4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, SupportsIndex, TypeVar, overload

from .._search_program import RETURN_OPTIONS, encode_search, return_options, search_program, sort_criteria
from ..errors import FastimapError
from ..model._shown import Value
from ..model.responses import (
    ESearch,
    Partial,
    Response,
    SearchResponse,
    SortResponse,
    Tagged,
    ThreadNode,
    ThreadResponse,
)
from ..model.sequence_set import LARGEST_NUMBER, SequenceSet, UIDSet
from ..search import SearchKey, all_, among, search_key, uid, uid_sets
from ..wire import encode
from ..wire.encode import Part
from ._shared import Instruction, by, last_limit, limit, several
from .base import SELECTED, Command, Session
from .notify import MailboxFilter

__all__ = [
    "CancelUpdate",
    "MailboxSearchResult",
    "MultiSearch",
    "Search",
    "SearchResult",
    "Sort",
    "SortResult",
    "Thread",
]

R = TypeVar("R")

# A few octets can stand for 4,294,967,295 messages, and here each takes memory.
_MOST_SORTED = 10_000_000
# What the client can work out by itself from the answer of a server that has no ESEARCH.
_WITHOUT_ESEARCH = frozenset({"ALL", "COUNT", "MAX", "MIN"})


class SearchResult(Value, unshown=("tag",), uncompared=("tag",)):
    """What SEARCH found; what was not asked for is empty or None.

    It can stand where a command takes messages. Its length is the number of messages found, its items are the messages
    in ascending order; a slice is a set of them. All raise ValueError where `returns` did not ask for them::

        found = client.search(unseen)
        newest = client.fetch(found[-10:], "ENVELOPE")
    """

    uids: UIDSet = UIDSet()
    """The messages, by UID (return option ALL)."""
    numbers: SequenceSet = SequenceSet()
    """The messages, by sequence number (ALL, with `sequence=True`)."""
    min: int | None = None
    """The lowest number found (MIN); None where nothing was."""
    max: int | None = None
    """The highest number found (MAX); None where nothing was."""
    count: int | None = None
    """How many were found (COUNT)."""
    partial: Partial | None = None
    """A part of the result (PARTIAL)."""
    mod_sequence: int | None = None
    """The highest mod-sequence of what was found, where a key was about mod-sequences (RFC 7162, section 3.1.5)."""
    relevancy: tuple[int, ...] = ()
    """Scores from 1 to 100, for each message in ascending order (RELEVANCY, RFC 6203, section 4)."""
    tag: bytes = b""
    """Of this search, for its updates: `ESearch` events with this tag (UPDATE, RFC 5267, section 4.3)."""
    limit: int | None = None
    """The lowest UID that was processed, where the server stopped early (MESSAGELIMIT, RFC 9738)."""
    listed: bool = True
    """Whether the messages were asked for (ALL)."""
    sequence: bool = False
    """Whether they were asked for by sequence number."""

    def message_set(self) -> UIDSet | SequenceSet:
        """Return `uids`, or `numbers` with `sequence=True`; ValueError where they were not asked for."""
        if not self.listed:
            raise ValueError(f'which messages were found was not asked for: add "ALL" to returns= ({self!r})')
        return self.numbers if self.sequence else self.uids

    def __bool__(self) -> bool:
        """Whether anything was found, as far as was asked for."""
        return bool(self.uids or self.numbers or self.count or self.min or self.max or _has_any(self.partial))

    def __len__(self) -> int:
        return len(self.message_set()) if self.listed or self.count is None else self.count

    def __iter__(self) -> Iterator[int]:
        return iter(self.message_set())

    def __reversed__(self) -> Iterator[int]:
        return reversed(self.message_set())

    def __contains__(self, number: object) -> bool:
        return number in self.message_set()

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> UIDSet | SequenceSet: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | UIDSet | SequenceSet:
        return self.message_set()[index]


class SortResult(Value, unshown=("tag",), uncompared=("tag",)):
    """What SORT found, in the order asked for; what was not asked for is empty or None.

    It can stand where a command takes messages, which then loses the order. Its length is the number of messages found,
    its items are the messages in order, a slice is a tuple of them; all raise ValueError where `returns` did not ask
    for them.
    """

    numbers: tuple[int, ...] = ()
    """UIDs; with `sequence=True`, sequence numbers (return option ALL)."""
    min: int | None = None
    """The lowest number found (MIN)."""
    max: int | None = None
    """The highest number found (MAX)."""
    count: int | None = None
    """How many were found (COUNT)."""
    partial: tuple[int, ...] = ()
    """A part of the result (PARTIAL)."""
    mod_sequence: int | None = None
    """As in `SearchResult`."""
    tag: bytes = b""
    """As in `SearchResult`."""
    listed: bool = True
    """As in `SearchResult`."""
    sequence: bool = False
    """As in `SearchResult`."""

    def message_set(self) -> UIDSet | SequenceSet:
        """Return the messages as a set, without their order; ValueError where they were not asked for."""
        found = self._in_order()
        return SequenceSet(found) if self.sequence else UIDSet(found)

    def __bool__(self) -> bool:
        """Whether anything was found, as far as was asked for."""
        return bool(self.numbers or self.count or self.min or self.max or self.partial)

    def __len__(self) -> int:
        return len(self._in_order()) if self.listed or self.count is None else self.count

    def __iter__(self) -> Iterator[int]:
        return iter(self._in_order())

    def __reversed__(self) -> Iterator[int]:
        return reversed(self._in_order())

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | tuple[int, ...]:
        return self._in_order()[index]

    def _in_order(self) -> tuple[int, ...]:
        if not self.listed:
            raise ValueError(f'which messages were found was not asked for: add "ALL" to returns= ({self!r})')
        return self.numbers


class MailboxSearchResult(Value):
    """What a search of many mailboxes found in one of them."""

    mailbox: str
    uid_validity: int | None
    """Of this mailbox."""
    result: SearchResult


# Octets of a line besides the sets: the tag, the other keys, the UIDs that a piece is about.
_AROUND = 500


class _Searching(Command[R]):
    """What SEARCH and SORT have in common: a search key, return options, and answers of two kinds."""

    states = SELECTED
    repeatable = True
    answers: ClassVar[frozenset[str]] = frozenset({"SEARCH", "SORT", "ESEARCH"})
    answered_by: ClassVar[type[SearchResponse] | type[SortResponse]]

    def __init__(
        self,
        key: SearchKey,
        returns: Iterable[str],
        partial: tuple[int, int] | None,
        sequence: bool,
    ) -> None:
        self._returns = tuple(dict.fromkeys(option.upper() for option in several(returns)))
        self._options = return_options(self._returns, partial=partial)
        if not self._returns and partial is None:
            raise ValueError(f"nothing to return: choose among {', '.join(RETURN_OPTIONS)}, or partial=")
        self._key = search_key(key)
        self._partial = partial
        self._sequence = sequence
        self._saves = "SAVE" in self._returns or "SEARCHRES" in key.requires
        # Sequence numbers may change while another command runs, and $ is what the last search left.
        self.kind = None if sequence or key.by_position or self._saves else "search"
        self.positional: bool = key.by_position or "SEARCHRES" in key.requires
        self._answer: ESearch | None = None
        self._numbers: list[int] = []
        self._found = SequenceSet()
        self._mod_sequence: int | None = None

    def ranges(self, session: Session) -> tuple[tuple[int, int], ...]:
        # A plain response does not say which search it answers, an ESEARCH response does.
        return ((0, 0),) if self.is_plain(session) else ()

    def is_plain(self, session: Session) -> bool:
        """Whether the answer will be SEARCH or SORT, without the tag, and not ESEARCH."""
        raise NotImplementedError

    def take(self, response: Response) -> bool:
        if isinstance(response, ESearch):
            # Updates belong to searches that were answered long ago.
            if response.updates or response.mailbox is not None or response.tag not in (None, self.tag):
                return False
            self._answer = response
            return True
        if not isinstance(response, self.answered_by):
            return False
        if isinstance(response, SearchResponse):
            self._found = self._found | response.numbers if self._found else response.numbers
        else:
            self._numbers += response.numbers
        if response.mod_sequence is not None:
            self._mod_sequence = response.mod_sequence
        return True

    def _wants(self, option: str) -> bool:
        return option in self._returns


class Search(_Searching[SearchResult]):
    """Search the selected mailbox.

    :param key: what to look for: search keys of `fastimap.search`, combined by ``&``, ``|`` and ``~``; unless given,
        all messages.
    :param returns: what to return of it: ``"ALL"`` the messages, ``"MIN"``, ``"MAX"``, ``"COUNT"`` (each on every
        server: without ESEARCH they are worked out here); ``"SAVE"``, to have the result as `SAVED` in the commands
        that follow (SEARCHRES, RFC 5182); ``"CONTEXT"`` and ``"UPDATE"``, to be told when it changes (CONTEXT=SEARCH,
        RFC 5267); ``"RELEVANCY"``, with `fuzzy` keys (SEARCH=FUZZY, RFC 6203).
    :param partial: return the messages from this position of the result to that one, counted from 1, or from -1
        backwards (PARTIAL, RFC 9394). Usually with ``returns=()``.
    :param sequence: find message sequence numbers, not UIDs.
    :param charset: in which text that is not US-ASCII is sent.

    Raises UnicodeEncodeError where `charset` lacks a character, LookupError where Python lacks `charset`, and
    CommandError with code BADCHARSET where the server does. (RFC 9051, section 6.4.4)
    """

    name = "SEARCH"
    answered_by: ClassVar[type[SearchResponse] | type[SortResponse]] = SearchResponse

    def __init__(
        self,
        key: SearchKey = all_,
        *,
        returns: Iterable[str] = ("ALL",),
        partial: tuple[int, int] | None = None,
        sequence: bool = False,
        charset: str = "UTF-8",
    ) -> None:
        super().__init__(key, returns, partial, sequence)
        self._charset = charset
        self._program = encode_search(key, charset=charset)

    def pieces(self, octets: int) -> Sequence[Search]:
        # Whatever the key is, what it finds among the first UIDs and among the others is all that it finds: in each
        # piece the sets have only the UIDs that the piece is about.
        sets = uid_sets(self._key)
        if sum(len(numbers.ranges) for numbers in sets) * len("4294967294:4294967295,") <= octets - _AROUND:
            return ()
        if not _WITHOUT_ESEARCH.issuperset(self._returns) or self._partial or any(s.has_star for s in sets):
            return ()
        room = max(octets - _AROUND, 1000)
        length = sum(len(str(numbers)) for numbers in sets)
        largest = max(sets, key=lambda numbers: len(numbers.ranges))
        parts = [*largest.split(max((room - 100) * len(str(largest)) // length, 100))] if length > room else []
        pieces: list[Search] = []
        low = 1
        for part in parts if len(parts) > 1 else ():
            high = LARGEST_NUMBER if part is parts[-1] else part.last
            about = UIDSet(range(low, high + 1))
            key = uid(about) & among(self._key, about)
            pieces.append(Search(key, returns=self._returns, sequence=self._sequence, charset=self._charset))
            pieces[-1].by_sequence = self._sequence
            low = high + 1
        return pieces

    def join(self, results: Sequence[SearchResult]) -> SearchResult:
        uids, numbers = UIDSet(), SequenceSet()
        for result in results:
            uids |= result.uids
            numbers |= result.numbers
        return SearchResult(
            uids,
            numbers,
            min((r.min for r in results if r.min is not None), default=None),
            max((r.max for r in results if r.max is not None), default=None),
            sum(r.count or 0 for r in results) if self._wants("COUNT") else None,
            mod_sequence=max((r.mod_sequence for r in results if r.mod_sequence is not None), default=None),
            limit=last_limit(results),
            listed=self._wants("ALL"),
            sequence=self._sequence,
        )

    def requires(self, session: Session) -> Iterable[str]:
        yield from sorted(self._key.requires)
        if self._partial is not None and not (session.has("CONTEXT=SEARCH") and self._partial[0] > 0):
            yield "PARTIAL"
        for option in self._returns:
            if option not in _WITHOUT_ESEARCH:
                yield RETURN_OPTIONS[option]
        if not self.is_plain(session):
            yield "ESEARCH"

    def is_plain(self, session: Session) -> bool:
        can_be = self._partial is None and _WITHOUT_ESEARCH.issuperset(self._returns)
        return can_be and not session.has("ESEARCH")

    def parts(self, session: Session) -> Sequence[Part]:
        options = () if self.is_plain(session) else self._options
        program = _with_charset(self._program, session)
        return [by(self.name, self._sequence, session), *options, *program]

    def succeed(self, tagged: Tagged, session: Session) -> SearchResult:
        answer = self._answer
        if answer is not None:
            return _result(answer, self._sequence, tagged, self._wants("ALL"))
        # Without ESEARCH, or from a server that has it and answers as ever.
        found = self._found
        messages = found if self._wants("ALL") else SequenceSet()
        return SearchResult(
            UIDSet() if self._sequence else messages.as_uids(),
            messages if self._sequence else SequenceSet(),
            found.first if found and self._wants("MIN") else None,
            found.last if found and self._wants("MAX") else None,
            len(found) if self._wants("COUNT") else None,
            mod_sequence=self._mod_sequence,
            tag=tagged.tag,
            limit=limit(tagged),
            listed=self._wants("ALL"),
            sequence=self._sequence,
        )


class Sort(_Searching[SortResult]):
    """Search the selected mailbox; return what is found in an order.

    That order is the result's alone: `fetch` of it answers in the server's own.

    :param criteria: sort keys such as ``"SUBJECT"``, ``"REVERSE DATE"``, the first one first; see
        `fastimap.search.SortKey`.
    :param key: as for `search`.
    :param returns: as for `search`; more than ``"ALL"`` needs ESORT (RFC 5267), and CONTEXT=SORT where there is
        ``"CONTEXT"`` or ``"UPDATE"``.
    :param partial: as for `search`, from 1 only (CONTEXT=SORT, RFC 5267, section 4.4).
    :param sequence: find message sequence numbers, not UIDs.
    :param charset: as for `search`.

    (SORT: RFC 5256, section 3)
    """

    name = "SORT"
    answered_by: ClassVar[type[SearchResponse] | type[SortResponse]] = SortResponse

    def __init__(
        self,
        criteria: Iterable[str],
        key: SearchKey = all_,
        *,
        returns: Iterable[str] = ("ALL",),
        partial: tuple[int, int] | None = None,
        sequence: bool = False,
        charset: str = "UTF-8",
    ) -> None:
        super().__init__(key, returns, partial, sequence)
        self._criteria = sort_criteria(criteria)
        self._program = (self._criteria, encode.atom(charset), *search_program(key, charset=charset))

    def requires(self, session: Session) -> Iterable[str]:
        yield "SORT"
        yield from sorted(self._key.requires)
        for criterion in self._criteria:
            if criterion.removeprefix(b"REVERSE ").startswith(b"DISPLAY"):
                yield "SORT=DISPLAY"
            elif criterion.endswith(b"RELEVANCY"):
                yield "SEARCH=FUZZY"
        if not self.is_plain(session):
            yield "ESORT"
        for option in self._returns:
            if option not in _WITHOUT_ESEARCH:
                yield RETURN_OPTIONS[option].replace("CONTEXT=SEARCH", "CONTEXT=SORT")
        if self._partial is not None:
            yield "CONTEXT=SORT"

    def is_plain(self, session: Session) -> bool:
        return self._partial is None and self._returns == ("ALL",)

    def parts(self, session: Session) -> Sequence[Part]:
        options = () if self.is_plain(session) else self._options
        return [by(self.name, self._sequence, session), *options, *self._program]

    def succeed(self, tagged: Tagged, session: Session) -> SortResult:
        answer = self._answer
        if answer is None:
            return SortResult(
                tuple(self._numbers),
                mod_sequence=self._mod_sequence,
                tag=tagged.tag,
                listed=self._wants("ALL"),
                sequence=self._sequence,
            )
        return SortResult(
            _ordered(answer.all, answer),
            answer.min,
            answer.max,
            answer.count,
            _ordered(answer.partial.messages, answer.partial) if answer.partial is not None else (),
            answer.mod_sequence,
            tagged.tag,
            self._wants("ALL"),
            self._sequence,
        )


class Thread(Command[tuple[ThreadNode, ...]]):
    """Search the selected mailbox; return what is found as threads of messages and the answers to them.

    :param algorithm: ``"REFERENCES"``, ``"ORDEREDSUBJECT"``, or another that the server has.
    :param key: as for `search`.
    :param sequence: find message sequence numbers, not UIDs.
    :param charset: as for `search`.

    (THREAD=...: RFC 5256, section 3)
    """

    name = "THREAD"
    repeatable = True
    states = SELECTED
    answers: ClassVar[frozenset[str]] = frozenset({"THREAD"})

    def __init__(
        self, algorithm: str, key: SearchKey = all_, *, sequence: bool = False, charset: str = "UTF-8"
    ) -> None:
        self._algorithm = encode.atom(encode.text(algorithm).upper())
        self._sequence = sequence
        self._key = search_key(key)
        self._program = (self._algorithm, encode.atom(charset), *search_program(key, charset=charset))
        self.kind = None if sequence or "SEARCHRES" in key.requires else "search"
        self.positional: bool = key.by_position or "SEARCHRES" in key.requires
        self._threads: list[ThreadNode] = []

    def requires(self, session: Session) -> Iterable[str]:
        return (f"THREAD={self._algorithm.decode('ascii')}", *sorted(self._key.requires))

    def parts(self, session: Session) -> Sequence[Part]:
        return [by(self.name, self._sequence, session), *self._program]

    def ranges(self, session: Session) -> tuple[tuple[int, int], ...]:
        return ((0, 0),)  # the answer does not say which search it is of

    def take(self, response: Response) -> bool:
        if not isinstance(response, ThreadResponse):
            return False
        self._threads += response.threads
        return True

    def succeed(self, tagged: Tagged, session: Session) -> tuple[ThreadNode, ...]:
        return tuple(self._threads)


class MultiSearch(Command[tuple[MailboxSearchResult, ...]]):
    """Search several mailboxes, selected or not; return what is found in each, by UIDs.

    :param mailboxes: which mailboxes; ``MailboxFilter("subtree", ("Lists",))``, for example.
    :param key: as for `search`.
    :param returns: as for `search`.
    :param charset: as for `search`.

    Mailboxes where nothing is found, and those that can't be read, are left out. (MULTISEARCH: RFC 7377, section 2)
    """

    name = "ESEARCH"
    repeatable = True

    def __init__(
        self,
        mailboxes: MailboxFilter | Iterable[MailboxFilter],
        key: SearchKey,
        *,
        returns: Iterable[str] = ("ALL",),
        charset: str = "UTF-8",
    ) -> None:
        filters = (mailboxes,) if isinstance(mailboxes, MailboxFilter) else tuple(mailboxes)
        if not filters:
            raise ValueError("no mailboxes: MULTISEARCH needs at least one filter")
        for chosen in filters:
            if not isinstance(chosen, MailboxFilter):
                raise TypeError(f'mailboxes are chosen by MailboxFilter("mailboxes", names), not by {chosen!r:.100}')
        if any(chosen.kind == "selected-delayed" for chosen in filters):
            raise ValueError("selected-delayed is for NOTIFY alone")
        self._returns = tuple(option.upper() for option in several(returns))
        self._key = search_key(key)
        self._sources = tuple(part for chosen in filters for part in chosen.parts())
        self._options = return_options(self._returns)
        self._program = encode_search(key, charset=charset)
        self._found: list[ESearch] = []

    def requires(self, session: Session) -> Iterable[str]:
        yield "MULTISEARCH"
        yield from sorted(self._key.requires)
        yield from (RETURN_OPTIONS[option] for option in self._returns if option not in _WITHOUT_ESEARCH)

    def parts(self, session: Session) -> Sequence[Part]:
        return [b"ESEARCH IN", self._sources, *self._options, *_with_charset(self._program, session)]

    def take(self, response: Response) -> bool:
        if not isinstance(response, ESearch) or response.updates or response.mailbox is None:
            return False
        self._found.append(response)
        return True

    def succeed(self, tagged: Tagged, session: Session) -> tuple[MailboxSearchResult, ...]:
        return tuple(
            MailboxSearchResult(
                answer.mailbox or "", answer.uid_validity, _result(answer, False, tagged, "ALL" in self._returns)
            )
            for answer in self._found
        )


class CancelUpdate(Instruction):
    """Have searches with the return option UPDATE updated no longer.

    :param tags: `SearchResult.tag` of each.

    (CONTEXT=SEARCH: RFC 5267, section 4.3.5)
    """

    name = "CANCELUPDATE"
    repeatable = True
    states = SELECTED

    def __init__(self, *tags: bytes) -> None:
        if not tags:
            raise ValueError("no tags: CANCELUPDATE needs at least one")
        if not all(isinstance(tag, bytes) for tag in tags):
            raise TypeError(f"tags are bytes: {tags!r}")
        super().__init__(*(encode.quoted(tag.decode("ascii")) for tag in tags))

    def requires(self, session: Session) -> Iterable[str]:
        return () if session.has("CONTEXT=SORT") else ("CONTEXT=SEARCH",)


def _has_any(partial: Partial | None) -> bool:
    return partial is not None and bool(partial.messages)


def _ordered(found: UIDSet | SequenceSet | None, answer: ESearch | Partial) -> tuple[int, ...]:
    """Return the numbers of `answer` in its order; `found` is their set, whose size is known before they are listed."""
    if found is None:
        return ()
    if len(found) > _MOST_SORTED:
        raise FastimapError(f"the server's answer to SORT is too large: {found!r}")
    return tuple(answer.in_order())


def _with_charset(program: Sequence[Part], session: Session) -> Sequence[Part]:
    """Return `program` with CHARSET where the connection has UTF-8 by IMAP4rev2 alone.

    There UTF-8 goes without saying (RFC 9051, section 6.4.4), yet Cyrus 3.10 finds nothing unless it is said. It
    must not be said once UTF8=ACCEPT is enabled (RFC 6855, section 3).
    """
    first = program[0]
    if isinstance(first, encode.IfUTF8) and first.then is None and "UTF8=ACCEPT" not in session.enabled:
        return [encode.IfUTF8(b"CHARSET UTF-8", first.otherwise), *program[1:]]
    return program


def _result(answer: ESearch, sequence: bool, tagged: Tagged, listed: bool) -> SearchResult:
    """Return the result that an ESEARCH response is; what it lacks was not asked for, or nothing was found."""
    uids, numbers = UIDSet(), SequenceSet()
    if answer.all is not None and answer.all.has_star:
        raise FastimapError("the server's answer to a search has * in it, which is no message")
    if answer.all is not None and sequence:
        numbers = SequenceSet.parse(answer.all_octets)
    elif answer.all is not None:
        # A server that leaves the word UID out means UIDs all the same.
        uids = answer.all if isinstance(answer.all, UIDSet) else UIDSet.parse(answer.all_octets)
    return SearchResult(
        uids,
        numbers,
        answer.min,
        answer.max,
        answer.count,
        answer.partial,
        answer.mod_sequence,
        answer.relevancy,
        tagged.tag,
        limit(tagged),
        listed,
        sequence,
    )
