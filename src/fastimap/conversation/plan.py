"""Which messages of a long FETCH are still owed, and in which commands to ask for them."""

from __future__ import annotations

import operator
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import accumulate, repeat
from typing import Any

from ..errors import CommandError, Unavailable
from ..model._patterns import pattern
from ..model.sequence_set import SequenceSet, UIDSet

__all__ = ["BUDGET", "HOPELESS", "Chunk", "FetchPlan", "guess", "numbered", "throttles"]

BUDGET = 16 * 1024 * 1024
"""Octets that are asked for and not used yet, at most; a single message that is larger goes alone."""

HOPELESS = 8
"""Refusals after which one gives up when no message has succeeded, or after the last that did."""

_LARGEST_PART = 64 * 1024  # of a message, which is taken for its size; a message rarely has all of a larger one
_FIRST_CHUNK = 32 * 1024
_WINDOW = 1024  # messages whose sizes are asked for at once
_FIRST_WINDOW = 256

Numbers = UIDSet | SequenceSet


class Chunk:
    """Messages that one command asks for."""

    __slots__ = ("delivered", "numbers", "octets")

    def __init__(self, numbers: Numbers, octets: int) -> None:
        self.numbers: Numbers = numbers
        self.octets: int = octets
        """What they have together, as far as that is known."""
        self.delivered: list[int] = []
        """Of these the caller has the row."""

    @property
    def rest(self) -> Numbers:
        """The messages that were not delivered."""
        if not self.delivered:
            return self.numbers
        rest: Numbers = _without(self.numbers, type(self.numbers)(self.delivered))
        return rest


class _Sized:
    """Messages whose sizes are known, ascending: in this order they are asked for."""

    __slots__ = ("_before", "_numbers", "_taken")

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._before = [0]
        """Octets of all rows before each message's, and of all."""
        self._taken = 0

    def __len__(self) -> int:
        return len(self._numbers) - self._taken

    @property
    def numbers(self) -> list[int]:
        """The messages."""
        return self._numbers[self._taken :]

    @property
    def first(self) -> int:
        """Octets of the first message's row."""
        return self._before[self._taken + 1] - self._before[self._taken]

    def extend(self, numbers: Iterable[int], sizes: Iterable[int]) -> None:
        """Add messages. They stay in ascending order, as the sets do that are cut: a server may give the last first."""
        before = self._before[self._taken :]
        known = [*zip(self.numbers, map(operator.sub, before[1:], before), strict=False)]
        known += zip(numbers, map(operator.add, sizes, repeat(_AROUND)), strict=False)
        known.sort()
        self._numbers = [number for number, _ in known]
        self._before = [*accumulate((octets for _, octets in known), initial=0)]
        self._taken = 0

    def take(self, octets: int, most: int | None) -> tuple[list[int], int]:
        """Return the first messages that have so many octets together, at least one, and how many these have."""
        first = self._taken
        before = self._before
        stop = max(bisect_right(before, before[first] + octets, first) - 1, first + 1)
        if most is not None:
            stop = min(stop, first + most)
        self._taken = stop
        return self._numbers[first:stop], before[stop] - before[first]

    def put_back(self, messages: int) -> int:
        """Have the last of those that were taken back; return their octets."""
        stop = self._taken
        self._taken -= messages
        return self._before[stop] - self._before[self._taken]


class FetchPlan:
    """A plan for a resolved set of messages: no ``*``, and not many more numbers than messages.

    Example: 1,000 messages of 5 KB each, by size. `next_window` names the first 256, whose sizes are asked for; with
    these `next_chunk` returns 6 messages (32 KiB), then 13, 26, ... until the budget is in flight. What of a chunk
    is delivered frees nothing yet, `finished` does. A chunk that is refused comes back in halves, first of all.

    :param wanted: the messages.
    :param guess: octets of a row, as long as nothing is known; None where their sizes are to be asked for.
    :param room: octets that a set may have in a command.
    :param chunk: messages in a chunk at most; None to go by octets alone.
    :param budget: octets that are asked for and not used yet, at most.
    """

    def __init__(
        self, wanted: Numbers, *, guess: int | None, room: int, chunk: int | None = None, budget: int = BUDGET
    ) -> None:
        self._kind = type(wanted)
        self._unsent: deque[tuple[int, int]] = deque(wanted.ranges)
        self._sized = guess is None
        self._known = _Sized()
        self._again: deque[Chunk] = deque()
        self._in_flight: list[Chunk] = []
        self._window: Numbers | None = None
        self._window_size = _FIRST_WINDOW
        self._row = guess or 4096
        self._room = room
        self._chunk = chunk
        self._budget = budget
        self._target = _FIRST_CHUNK if chunk is None else budget // 4
        self._lost: list[Numbers] = []

    @property
    def done(self) -> bool:
        """Whether nothing is left to ask for, or in flight."""
        return not (self._unsent or self._known or self._again or self._in_flight or self._window)

    @property
    def owed(self) -> UIDSet | SequenceSet:
        """The messages that were neither delivered, nor reported as missing or refused."""
        parts = [*self._unsent, *((number, number) for number in self._known.numbers)]
        if self._window is not None:
            parts += self._window.ranges
        for chunk in (*self._again, *self._in_flight):
            parts += chunk.rest.ranges
        return _union(self._kind, parts)

    @property
    def missing(self) -> UIDSet | SequenceSet:
        """The messages that the server left out of its answers: they were expunged, or never existed."""
        return _union(self._kind, [pair for lost in self._lost for pair in lost.ranges])

    # Sizes.

    def next_window(self) -> Numbers | None:
        """Return the messages whose sizes are to be asked for now, or None."""
        if not self._sized or self._window is not None or not self._unsent or len(self._known) > _WINDOW // 2:
            return None
        self._window = self._fitting(self._front(self._window_size))
        self._window_size = _WINDOW
        return self._window

    def sizes(self, numbers: list[int], sizes: list[int | None] | None, *, whole: bool = True) -> None:
        """Note the sizes of the messages of the window.

        :param numbers: the messages whose sizes the server gave.
        :param sizes: their octets, None or 0 for one that has none; or None where it gives no sizes.
        :param whole: whether that is its whole answer; else the other messages are asked for again.
        """
        window, self._window = self._window, None
        if window is None:
            return
        if not whole and not numbers:
            sizes = None  # it came to none of them
        elif not whole:
            known = self._kind(numbers)
            self._unsent.extendleft(reversed(_without(window, known).ranges))
            window = known
        wanted = list(window)
        if sizes is None:  # one by one, as nothing bounds them
            self._known.extend(wanted, [self._budget // 4] * len(wanted))
            return
        octets = [size or self._budget for size in sizes]  # no message has 0: the server does not know
        if numbers != wanted:  # one that is not there has none
            found = dict(zip(numbers, octets, strict=True))
            octets = [found.get(number, 0) for number in wanted]
        self._known.extend(wanted, octets)

    # Chunks.

    @property
    def octets_in_flight(self) -> int:
        """Octets that are asked for."""
        return sum(chunk.octets for chunk in self._in_flight)

    def next_chunk(self, held: int = 0) -> Chunk | None:
        """Return what to ask for now, or None: nothing is left, or the budget is used up.

        :param held: octets that have arrived and were not used yet.
        """
        free = self._budget - held - self.octets_in_flight
        if self._again:
            chunk = self._again[0]
            if self._in_flight and chunk.octets > free:
                return None
            self._again.popleft()
        elif self._sized:
            if not self._known or (free < self._known.first and (self._in_flight or held)):
                return None
            chunk = self._by_size(min(self._target, free))
            self._target = min(self._target * 2, self._budget // 4)
        else:
            if not self._unsent:
                return None
            count = max(1, self._target // self._row)
            if self._chunk is not None:
                count = min(count, self._chunk)
            if count * self._row > free and (self._in_flight or held):
                return None
            numbers = self._fitting(self._front(count))
            chunk = Chunk(numbers, len(numbers) * self._row)
            self._target = min(self._target * 2, self._budget // 4)
        self._in_flight.append(chunk)
        return chunk

    def _by_size(self, target: int) -> Chunk:
        numbers, octets = self._known.take(target, self._chunk)
        chosen = self._kind(numbers)
        first = self._cut(chosen)
        if first is not None:
            octets -= self._known.put_back(len(numbers) - len(first))
            chosen = first
        return Chunk(chosen, octets)

    def _fitting(self, numbers: Numbers) -> Numbers:
        """Return the first of `numbers`, as many as have room in a command; the others are unsent again."""
        first = self._cut(numbers)
        if first is None:
            return numbers
        self._unsent.extendleft(reversed(_without(numbers, first).ranges))
        return first

    def _cut(self, numbers: Numbers) -> Numbers | None:
        """Return the first of `numbers` that have room in a command, None where all have."""
        if len(numbers.ranges) * len("4294967295:4294967295,") <= self._room:
            return None
        first: Numbers = next(iter(numbers.split(self._room)))  # type: ignore[assignment]
        return None if len(first) == len(numbers) else first

    def _front(self, count: int) -> Numbers:
        """Remove the first `count` numbers of what is unsent; return them."""
        taken: list[range] = []
        while count and self._unsent:
            low, high = self._unsent[0]
            if high - low >= count:
                self._unsent[0] = (low + count, high)
                high = low + count - 1
            else:
                self._unsent.popleft()
            taken.append(range(low, high + 1))
            count -= high - low + 1
        return self._kind(taken)

    # What became of a chunk.

    def finished(
        self,
        chunk: Chunk,
        *,
        octets: int = 0,
        stopped_early: bool = False,
        limit: int | None = None,
        reports: bool = True,
    ) -> None:
        """Note that the server has answered OK.

        :param octets: what the answer had, for the size of the next chunks.
        :param stopped_early: whether the server stopped at its limit: the rest is asked for again.
        :param limit: the lowest UID that it has processed then.
        :param reports: whether messages that were left out are missing, and not only unchanged.
        """
        self._in_flight.remove(chunk)
        rows = len(chunk.delivered)
        if rows:
            self._row = max(octets // rows, self._row // 2, 16)
        if len({*chunk.delivered}) == len(chunk.numbers):
            return
        rest = chunk.rest
        again: Any = self._kind()
        if stopped_early and chunk.delivered:
            again = rest
        elif limit is not None and limit <= rest.last and self._kind is UIDSet:  # nothing of the others has changed
            again = _below(rest, limit)
        if again:
            self._again.append(Chunk(again, chunk.octets * len(again) // len(chunk.numbers)))
        if reports and (lost := _without(rest, again)):
            self._lost.append(lost)

    def interrupted(self) -> None:
        """Note that nothing in flight will be answered: what was not delivered is asked for again, before all else."""
        self._again.extendleft(
            Chunk(rest, chunk.octets * len(rest) // len(chunk.numbers))
            for chunk in reversed(self._in_flight)
            if (rest := chunk.rest)
        )
        self._in_flight.clear()
        if self._window is not None:
            self._unsent.extendleft(reversed(self._window.ranges))
            self._window = None

    def refused(self, chunk: Chunk) -> int | None:
        """Note that the server has answered NO or BAD; return the message at fault where that is known.

        What was not delivered is asked for again in halves, until the message at fault stands alone.
        """
        self._in_flight.remove(chunk)
        rest = chunk.rest
        if len(rest) == 1:
            return rest.first
        octets = chunk.octets // len(chunk.numbers)
        if rest:
            halves = [Chunk(half, octets * len(half)) for half in rest.chunks((len(rest) + 1) // 2)]
            self._again.extendleft(halves)  # the higher half first: to the single message before all else
        return None


def numbered(wanted: SequenceSet, exists: int) -> SequenceSet:
    """Return those of `wanted` that there are in a mailbox of `exists` messages: servers refuse larger numbers."""
    return wanted.with_largest(exists) if exists else SequenceSet()


def throttles(error: CommandError) -> bool:
    """Whether the server refuses for now, whatever the messages: UNAVAILABLE may be about one of them."""
    return isinstance(error, Unavailable) and (error.code != "UNAVAILABLE" or error.delay is not None)


_AROUND = 64  # octets of a row besides its literal


def _without(numbers: Any, others: Any) -> Any:
    """Return what is in `numbers` and not in `others`, a set of the same kind."""
    return numbers - others


def _below(numbers: Any, limit: int) -> Any:
    """Return those of `numbers` that are less than `limit`."""
    return numbers & type(numbers)(range(1, limit))


def _union(kind: type[UIDSet] | type[SequenceSet], ranges: Iterable[tuple[int, int]]) -> UIDSet | SequenceSet:
    return kind(range(low, high + 1) for low, high in ranges)


# How many octets the items of a row usually have, more rather than less. A section of the body may have any number.
_GUESSES = (
    (pattern(r"(?:BODY|BINARY)(?:\.PEEK)?\[.*\]<\d+\.(\d+)>", re.IGNORECASE | re.DOTALL), None),
    (pattern(r"BODY(?:\.PEEK)?\[(?:HEADER|[\d.]*MIME)|RFC822\.HEADER", re.IGNORECASE), 8192),
    (pattern(r"BODY(?:\.PEEK)?\[|BINARY(?:\.PEEK)?\[|RFC822\Z|RFC822\.TEXT", re.IGNORECASE), 0),
    (pattern(r"ENVELOPE|BODY|ALL\Z|FULL\Z|PREVIEW", re.IGNORECASE), 1024),
)


def guess(items: Sequence[str]) -> int | None:
    """Return about how many octets a row with these data items has; None where only the message's size bounds that."""
    octets = 96
    for item in items:
        for item_of, usual in _GUESSES:
            if found := item_of.match(item):
                if usual == 0 or (usual is None and int(found[1]) > _LARGEST_PART):
                    return None
                octets += int(found[1]) if usual is None else usual
                break
        else:
            octets += 32
    return min(octets, BUDGET)
