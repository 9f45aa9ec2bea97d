"""What searches found: SEARCH, SORT, ESEARCH, THREAD."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal, cast

from ..model._patterns import pattern
from ..model.responses import (
    ContextUpdate,
    ESearch,
    Partial,
    ReadOnlyDict,
    Response,
    SearchResponse,
    SortResponse,
    ThreadNode,
    ThreadResponse,
    Value,
)
from ..model.sequence_set import LARGEST_NUMBER, SequenceSet, UIDSet
from ..parser import Atom, Token, number_bounds, plain
from ._values import MAX_OBJECTS, Data, SetType, is_nil, nstring_of, number_of, number_set, octets_of, pairs

__all__ = ["DECODERS"]

_MODSEQ = pattern(rb"\( *MODSEQ +([0-9]+) *\)", re.IGNORECASE)
_RANGE = pattern(rb"(-?[0-9]{1,10}):(-?[0-9]{1,10})")


def _search(data: Data) -> SearchResponse:
    octets, mod_sequence = _without_mod_sequence(data.line)
    return SearchResponse(SequenceSet.from_bounds(number_bounds(octets)), mod_sequence)


def _sort(data: Data) -> SortResponse:
    octets, mod_sequence = _without_mod_sequence(data.line)
    if octets.translate(None, b"0123456789 "):
        raise ValueError("not numbers alone")
    numbers = tuple(map(int, octets.split()))
    if numbers and not (min(numbers) >= 1 and max(numbers) <= LARGEST_NUMBER):
        raise ValueError(f"message numbers go from 1 to {LARGEST_NUMBER}")
    return SortResponse(numbers, mod_sequence)


def _without_mod_sequence(octets: bytes) -> tuple[bytes, int | None]:
    """Return the numbers, and the mod-sequence after them (RFC 7162, section 3.1.5), or among them."""
    mod_sequence = None
    if b"(" in octets:
        if found := _MODSEQ.findall(octets):
            mod_sequence = max(map(number_of, found))
        octets = _MODSEQ.sub(b" ", octets)
    return octets, mod_sequence


def _esearch(data: Data) -> ESearch:
    members = data.tokens()
    fields: dict[str, Any] = {}
    other: dict[str, Value] = {}
    if members and isinstance(members[0], tuple):
        for name, token in pairs(members[0]):
            if name == "TAG":
                fields["tag"] = octets_of(token)
            elif name == "MAILBOX":
                fields["mailbox"], fields["mailbox_octets"] = data.mailbox(token)
            elif name == "UIDVALIDITY":
                fields["uid_validity"] = number_of(token)
            else:
                other[name] = plain(token)
        members = members[1:]
    uid = bool(members) and isinstance(members[0], Atom) and members[0].upper() == b"UID"
    set_type: SetType = UIDSet if uid else SequenceSet
    updates: list[ContextUpdate] = []
    for name, token in pairs(members[1:] if uid else members):
        # What is asked for and can't be read makes the whole unreadable: half a result would pass for all of it.
        if name.isdigit():
            raise ValueError("numbers that belong to no item")
        if is_nil(token):
            other[name] = None
        elif name in ("MIN", "MAX"):
            if number := number_of(token):  # 0 is a server's word for nothing
                fields[name.lower()] = number
        elif name == "COUNT":
            fields["count"] = number_of(token)
        elif name == "MODSEQ":
            fields["mod_sequence"] = number_of(token)
        elif name == "ALL":
            if octets := octets_of(token):
                fields["all"], fields["all_octets"] = number_set(set_type, octets), octets
        elif name == "PARTIAL":
            fields["partial"] = _partial(token, set_type)
        elif name == "ADDTO" or name == "REMOVEFROM":
            updates += _context_updates(cast('Literal["ADDTO", "REMOVEFROM"]', name), token, set_type)
            if len(updates) > MAX_OBJECTS:
                raise ValueError(f"more than {MAX_OBJECTS} updates")
        elif name == "RELEVANCY" and isinstance(token, tuple):
            fields["relevancy"] = tuple(map(number_of, token))
        else:
            other[name] = plain(token)
    return ESearch(uid=uid, updates=tuple(updates), other=ReadOnlyDict(other), **fields)


def _partial(token: Token, set_type: SetType) -> Partial:
    match token:
        case (bytes(text), messages) if range_ := _RANGE.fullmatch(text):
            octets = nstring_of(messages) or b""
            return Partial(
                int(range_[1]), int(range_[2]), number_set(set_type, octets) if octets else set_type(), octets
            )
    raise ValueError("not a range and a set")


def _context_updates(kind: Literal["ADDTO", "REMOVEFROM"], token: Token, set_type: SetType) -> list[ContextUpdate]:
    if not isinstance(token, tuple) or len(token) % 2:
        raise ValueError("not positions and sets in turn")
    if len(token) > 2 * MAX_OBJECTS:
        raise ValueError(f"more than {MAX_OBJECTS} updates")
    updates = []
    for position, messages in zip(token[::2], token[1::2], strict=True):
        octets = octets_of(messages)
        updates.append(ContextUpdate(kind, number_of(position), number_set(set_type, octets), octets))
    return updates


def _thread(data: Data) -> ThreadResponse:
    """Threads nest as deep as a discussion goes, so this neither recurses nor counts the depth."""
    if data.line.translate(None, b"0123456789() "):
        raise ValueError("not numbers and parentheses alone")
    # For each open parenthesis: a run of messages, each the answer to the one before it, and the threads after it.
    numbers: list[int] = []
    threads: list[ThreadNode] = []
    waiting: list[tuple[list[int], list[ThreadNode]]] = []
    for word in re.findall(rb"[0-9]+|[()]", data.line):
        if word == b"(":
            waiting.append((numbers, threads))
            numbers, threads = [], []
        elif word == b")":
            if not waiting or not (numbers or threads):
                raise ValueError("a thread without messages, or one parenthesis too many")
            node = ThreadNode(numbers.pop() if numbers else None, tuple(threads))
            while numbers:
                node = ThreadNode(numbers.pop(), (node,))
            numbers, threads = waiting.pop()
            threads.append(node)
        elif threads or not waiting:
            raise ValueError("a message after or outside threads")
        else:
            if not 1 <= int(word[:11]) <= LARGEST_NUMBER:
                raise ValueError(f"message numbers go from 1 to {LARGEST_NUMBER}")
            numbers.append(int(word))
    if waiting:
        raise ValueError(f"{len(waiting)} parentheses not closed")
    return ThreadResponse(tuple(threads))


DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    "ESEARCH": _esearch,
    "SEARCH": _search,
    "SORT": _sort,
    "THREAD": _thread,
}
