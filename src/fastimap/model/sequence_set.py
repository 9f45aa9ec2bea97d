"""Sets of message numbers: UIDs and sequence numbers (RFC 9051, section 9, sequence-set).

A set is kept as sorted ranges that neither touch nor overlap, and is never expanded: ``1:4294967295`` costs as
much as ``1``. ``*`` is the largest number in use in the mailbox, whatever that is when the server reads it; so
``7:*`` holds all numbers from 7 on, and the largest one even where that is 5.
"""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import accumulate, chain
from typing import Any, Final, Self, SupportsIndex, TypeAlias, final, overload

__all__ = [
    "LARGEST_NUMBER",
    "SAVED",
    "MessageSet",
    "Messages",
    "SavedResult",
    "SequenceSet",
    "UIDSet",
    "uid_set",
]

LARGEST_NUMBER: Final = 2**32 - 1
"""The largest sequence number or UID that there can be."""

_LONGEST_ITEM: Final = len("4294967294:4294967295")
_NOT_FOR_STAR = "the answer depends on the mailbox's largest number: replace * first, by with_largest()"


class _Packed:
    """Ranges as a tuple has them, in the 8 octets each that their numbers need: a tuple of pairs takes 130."""

    __slots__ = ("_bounds",)

    def __init__(self, bounds: array[int]) -> None:
        self._bounds = bounds

    def __len__(self) -> int:
        return len(self._bounds) // 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        bounds = iter(self._bounds)
        return zip(bounds, bounds, strict=True)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[int, int], ...]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | tuple[tuple[int, int], ...]:
        bounds, place = self._bounds, range(len(self._bounds) // 2)[index]
        if isinstance(place, range):
            return tuple((bounds[2 * at], bounds[2 * at + 1]) for at in place)
        return bounds[2 * place], bounds[2 * place + 1]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Packed):
            return self._bounds == other._bounds
        return tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))


_Ranges: TypeAlias = tuple[tuple[int, int], ...] | _Packed

_FEW: Final = 64
"""So many ranges are kept as pairs, which are the faster to use."""


class _NumberSet:
    """What UIDSet and SequenceSet have in common. The two never mix: no operator takes one of each."""

    __slots__ = ("_counted", "_has_star", "_joined", "_known")

    _counted: array[int]
    """How many numbers there are up to the end of each range; made when a number is asked for by its position."""
    _has_star: bool
    _known: _Ranges
    _joined: tuple[_NumberSet, ...]
    """The sets that this one is the union of, until somebody asks for its ranges: numbers are added one by one."""

    def __init__(
        self, numbers: Self | SupportsIndex | str | range | Iterable[SupportsIndex | range | str] = ()
    ) -> None:
        """A set of `numbers`: one, an iterable of numbers and ranges, text such as ``"1,2:5,7:*"``, or a set.

        The result of a search is taken for the set that it has. In an iterable, too, numbers may be text:
        ``["5", "7:9"]``.

        Raises ValueError for text that is no sequence set and for numbers below 1 or above 4294967295, TypeError
        for what is no number (``True`` is none).
        """
        self._has_star = False
        self._joined = ()
        numbers = _found(numbers)
        if isinstance(numbers, type(self)):
            self._known, self._has_star = numbers._ranges, numbers._has_star
        elif isinstance(numbers, _NumberSet):
            raise TypeError(f"a {type(numbers).__name__} is not a {type(self).__name__}")
        elif isinstance(numbers, str):
            pairs, self._has_star = _parsed(numbers)
            self._known = _coalesced(pairs)
        elif isinstance(numbers, (bytes, bytearray, memoryview)):
            raise TypeError(f"a message number is an int or a str, not {bytes(numbers[:60])!r}: decode() it")
        elif isinstance(numbers, Iterable):
            self._known = _compressed(list(numbers) if not isinstance(numbers, range) else [numbers])
        else:
            self._known = _compressed([numbers])

    @classmethod
    def _of(cls, ranges: _Ranges, has_star: bool = False) -> Self:
        made = cls.__new__(cls)
        made._known = ranges
        made._joined = ()
        made._has_star = has_star
        return made

    @property
    def _ranges(self) -> _Ranges:
        if self._joined:
            found: list[_Ranges] = []
            waiting = [*self._joined]
            while waiting:
                each = waiting.pop()
                joined = each._joined
                if joined:
                    waiting += joined
                else:
                    found.append(each._known)
            found.sort(key=len)
            self._known = _union(_coalesced([pair for ranges in found[:-1] for pair in ranges]), found[-1])
            self._joined = ()
        return self._known

    @classmethod
    def from_ranges(cls, ranges: tuple[tuple[int, int], ...]) -> Self:
        """Return the set of `ranges`: pairs (low, high), ascending and disjoint, as `ranges` gives them."""
        return cls._of(ranges)

    @classmethod
    def from_bounds(cls, bounds: array[int]) -> Self:
        """Return the set whose ranges are `bounds`: low, high, low, high, ascending and disjoint; it keeps them."""
        packed = _Packed(bounds)
        return cls._of(packed if len(packed) > _FEW else tuple(packed))

    def as_uids(self) -> UIDSet:
        """Return the same numbers as UIDs: the answer to UID SEARCH does not say that they are."""
        return UIDSet._of(self._ranges, self._has_star)

    @classmethod
    def parse(cls, text: bytes | str) -> Self:
        """Return the set that `text` is in IMAP's syntax, such as ``b"4,1:2,9:*"``.

        Ranges may be reversed and may overlap. Raises ValueError for anything that is not a sequence-set of
        RFC 9051: nothing at all, 0, a leading zero, a number above 4294967295.
        """
        pairs, has_star = _parsed(text)
        return cls._of(_coalesced(pairs), has_star)

    @staticmethod
    def parse_ordered(text: bytes | str) -> tuple[range, ...]:
        """Return the ranges of `text` as they stand in it, for sets that are paired number by number: COPYUID.

        Each range ascends, as ``4:2`` is ``2:4`` (RFC 9051, section 9, uid-range). Raises ValueError as parse()
        does, and for ``*``.
        """
        pairs, has_star = _parsed(text)
        if has_star:
            raise ValueError("* stands for no certain number")
        return tuple(range(low, high + 1) for low, high in pairs)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The ranges, ascending and disjoint, as (low, high), both included. ``7:*`` is (7, 4294967295)."""
        ranges = self._ranges if self._joined else self._known
        return ranges if isinstance(ranges, tuple) else tuple(ranges)

    @property
    def has_star(self) -> bool:
        """Whether the largest number of the mailbox belongs to the set, whatever it is."""
        return self._has_star

    @property
    def first(self) -> int:
        """The smallest number; ValueError where there is none."""
        if not self._ranges:
            raise ValueError(f"{self!r} has no first number")
        return self._ranges[0][0]

    @property
    def last(self) -> int:
        """The largest number; ValueError where there is none, or ``*`` is in the set."""
        if self._has_star or not self._ranges:
            raise ValueError(f"{self!r} has no last number")
        return self._ranges[-1][1]

    def with_largest(self, number: int) -> Self:
        """Return the part of this set that a mailbox has whose largest number is `number`: no ``*``, none above it."""
        largest = type(self)(number)
        below = self._of(_intersection(self._ranges, ((1, number),)))
        return below | largest if self._has_star else below

    def split(self, octets: int) -> Iterator[Self]:
        """Yield sets that make up this one in ascending order, the text of each at most `octets` octets long.

        Raises ValueError if `octets` is less than 21, the longest that a single range can be.
        """
        if octets < _LONGEST_ITEM:
            raise ValueError(f"a range can be {_LONGEST_ITEM} octets long, so no set fits into {octets}")
        return self._split(octets)

    def _split(self, octets: int) -> Iterator[Self]:
        start = length = 0
        for index, item in enumerate(self._items(self._ranges)):
            if length + len(item) > octets:
                yield self._of(self._ranges[start:index])
                start, length = index, 0
            length += len(item) + 1
        if self:
            yield self._of(self._ranges[start:], self._has_star)

    def chunks(self, count: int) -> Iterator[Self]:
        """Yield sets of `count` numbers each, the last perhaps of fewer, that make up this one in ascending order.

        Raises ValueError if `count` is less than 1, or ``*`` is in the set.
        """
        if count < 1:
            raise ValueError(f"a chunk has at least 1 number, not {count}")
        self._refuse_star()
        return self._chunks(count)

    def _chunks(self, count: int) -> Iterator[Self]:
        chunk: list[tuple[int, int]] = []
        room = count
        for low, high in self._ranges:
            while high - low >= room:
                chunk.append((low, low + room - 1))
                yield self._of(tuple(chunk))
                low += room
                chunk.clear()
                room = count
            chunk.append((low, high))
            room -= high - low + 1
            if not room:
                yield self._of(tuple(chunk))
                chunk.clear()
                room = count
        if chunk:
            yield self._of(tuple(chunk))

    def __len__(self) -> int:
        self._refuse_star()
        return sum(high - low + 1 for low, high in self._ranges)

    def __bool__(self) -> bool:
        return self._has_star or bool(self._ranges)

    def __contains__(self, number: object) -> bool:
        """Whether `number` is in the set for certain: ``*`` might stand for it, and does not count."""
        if not isinstance(number, int):
            return False
        index = bisect_left(self._ranges, number, key=_high)
        return index < len(self._ranges) and self._ranges[index][0] <= number

    def __iter__(self) -> Iterator[int]:
        self._refuse_star()
        return chain.from_iterable(range(low, high + 1) for low, high in self._ranges)

    def __reversed__(self) -> Iterator[int]:
        self._refuse_star()
        return chain.from_iterable(range(high, low - 1, -1) for low, high in reversed(self._ranges))

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | Self:
        """The number at a position of the ascending order, or the set of those of a slice: ``uids[-10:]``.

        Nothing is expanded. Raises ValueError for a slice with a negative step: ``reversed()`` yields them descending.
        """
        positions = range(len(self))
        if not isinstance(index, slice):
            try:
                return self._at(positions[index])
            except IndexError:
                raise IndexError(f"position {index} of {len(positions)} numbers") from None
        chosen = positions[index]
        if chosen.step < 0:
            raise ValueError("a set has one order, which ascends: reversed() yields the numbers of a slice descending")
        if chosen.step > 1:
            return type(self)(map(self._at, chosen))
        return self._of(_within(self._ranges, self._at(chosen[0]), self._at(chosen[-1])) if chosen else ())

    def _at(self, position: int) -> int:
        try:
            counted = self._counted
        except AttributeError:
            counted = self._counted = array("Q", accumulate(high - low + 1 for low, high in self._ranges))
        index = bisect_right(counted, position)
        return self._ranges[index][1] + 1 - (counted[index] - position)

    def __or__(self, other: Self) -> Self:
        if not isinstance(other, type(self)):
            return NotImplemented
        made = self._of((), self._has_star or other._has_star)
        made._joined = (self, other)
        return made

    def __and__(self, other: Self) -> Self:
        """Raises ValueError where the result depends on the number that ``*`` stands for."""
        if not isinstance(other, type(self)):
            return NotImplemented
        ranges = _intersection(self._ranges, other._ranges)
        # With * on one side alone the largest number may be one of the other side's that this side lacks.
        if (self._has_star and not other._has_star and ranges != other._ranges) or (
            other._has_star and not self._has_star and ranges != self._ranges
        ):
            raise ValueError(_NOT_FOR_STAR)
        return self._of(ranges, self._has_star and other._has_star)

    def __sub__(self, other: Self) -> Self:
        """Raises ValueError if ``*`` is in one of the sets: the result depends on the number it stands for."""
        if not isinstance(other, type(self)):
            return NotImplemented
        if self._has_star or other._has_star:
            raise ValueError(_NOT_FOR_STAR)
        return self._of(_difference(self._ranges, other._ranges))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return self._ranges == other._ranges and self._has_star == other._has_star

    def __reduce__(self) -> tuple[Any, ...]:
        return self._of, (self.ranges, self._has_star)

    def __hash__(self) -> int:
        return hash((type(self), self._ranges, self._has_star))

    def __str__(self) -> str:
        """The set in IMAP's syntax, as short as it can be; nothing where the set is empty."""
        ranges = self._ranges if self._joined else self._known
        if len(ranges) == 1 and not self._has_star:  # as of programs that ask for message by message
            return _item(ranges[0])
        return ",".join(self._items(ranges))

    def __repr__(self) -> str:
        shown = self._ranges if len(self._ranges) <= 8 else self._ranges[:6]
        text = ",".join(self._items(shown)) if shown is self._ranges else ",".join(map(_item, shown)) + ",..."
        if shown is self._ranges:
            return f'{type(self).__name__}("{text}")' if text else f"{type(self).__name__}()"
        return f'<{type(self).__name__} "{text}" of {len(self._ranges)} ranges>'

    def _items(self, ranges: _Ranges) -> Iterator[str]:
        up_to_star = self._has_star and bool(ranges) and ranges[-1][1] == LARGEST_NUMBER
        yield from map(_item, ranges[:-1] if up_to_star else ranges)
        if self._has_star:
            yield f"{ranges[-1][0]}:*" if up_to_star else "*"

    def _refuse_star(self) -> None:
        if self._has_star:
            raise ValueError(f"{self!r} has * in it: which numbers these are only the server knows")


@final
class UIDSet(_NumberSet):
    """An immutable set of UIDs. A command that is given one is sent as its UID form: UID FETCH."""

    __slots__ = ()


@final
class SequenceSet(_NumberSet):
    """An immutable set of message sequence numbers. A command that is given one is sent as it is: FETCH."""

    __slots__ = ()


@final
class SavedResult(Enum):
    """The type of SAVED."""

    SAVED = "$"

    def __str__(self) -> str:
        return "$"

    def __repr__(self) -> str:
        return "SAVED"


SAVED: Final = SavedResult.SAVED
"""The messages that the last SEARCH with the return option SAVE found (RFC 5182); can stand where a set can."""

Messages: TypeAlias = UIDSet | SequenceSet | SavedResult
"""Messages as a command takes them."""

MessageSet: TypeAlias = Messages | SupportsIndex | str | range | Iterable[SupportsIndex | range | str]
"""Messages as a user may give them; numbers and text are UIDs. What a search found is UIDs or sequence numbers, as it
was asked for."""


def uid_set(messages: MessageSet) -> Messages:
    """Return what `messages`, the argument of any command on messages, are: numbers and text are taken as UIDs.

    The result of a search knows which of the two it has. Raises ValueError for numbers out of range and for text that
    is no sequence set, the empty one too; TypeError for anything that is no number.
    """
    if type(messages) is int and 0 < messages <= LARGEST_NUMBER:  # as programs do that ask for message by message
        return UIDSet._of(((messages, messages),))
    if isinstance(messages, SavedResult) or (isinstance(messages, str) and messages == "$"):  # an array's == is no bool
        return SAVED
    found = _found(messages)
    return found if isinstance(found, (UIDSet, SequenceSet)) else UIDSet(found)


def _found(messages: Any) -> Any:
    """Return the set that `messages` has, if it is what a search found; else itself."""
    message_set = getattr(messages, "message_set", None)
    if message_set is not None:
        return message_set()
    if hasattr(messages, "by_position"):  # SearchKey, which is on a floor above
        raise TypeError(f"{messages!r:.100} is a search key: pass what client.search({messages!r:.100}) found")
    return messages


_low = operator.itemgetter(0)
_high = operator.itemgetter(1)


def _item(pair: tuple[int, int]) -> str:
    low, high = pair
    return str(low) if low == high else f"{low}:{high}"


def _parsed(text: bytes | str) -> tuple[list[tuple[int, int]], bool]:
    """Return the ranges of `text` in their order, and whether there is a ``*``."""
    octets = text.encode("ascii", "replace") if isinstance(text, str) else bytes(text)
    # With these three int() has nothing left to misread: no sign, space or underscore, no zero, no long number.
    if octets.translate(None, b"0123456789:,*") or octets.startswith(b"0") or b",0" in octets or b":0" in octets:
        raise ValueError(_no_set(text))
    pairs = []
    has_star = False
    for item in octets.split(b","):
        if len(item) > _LONGEST_ITEM:
            raise ValueError(_no_set(text))
        one, colon, other = item.partition(b":")
        try:
            if item == b"*" or item == b"*:*":
                has_star = True
                continue
            if one == b"*" or other == b"*":
                has_star = True
                low, high = int(other if one == b"*" else one), LARGEST_NUMBER
            else:
                low = int(one)
                high = int(other) if colon else low
        except ValueError:
            raise ValueError(_no_set(text)) from None
        if low > high:
            low, high = high, low
        if high > LARGEST_NUMBER:
            raise ValueError(f"message numbers end at {LARGEST_NUMBER}: {high}")
        pairs.append((low, high))
    return pairs, has_star


def _no_set(text: bytes | str) -> str:
    if len(text) > 60:
        text = f"{text[:57]}..." if isinstance(text, str) else bytes(text[:57]) + b"..."
    return f"not a sequence set: {text!r} (such as '5', '1:9,12' or '1:*')"


def _compressed(numbers: Sequence[Any]) -> _Ranges:
    """Return the ranges that `numbers`, each a number or a range, make up."""
    if set(map(type, numbers)) <= {int}:
        ordered = sorted(numbers)
        pairs = []
        if ordered:
            _check(ordered[0])
            _check(ordered[-1])
            low = high = ordered[0]
            if len({*ordered}) == ordered[-1] - low + 1:
                return ((low, ordered[-1]),)  # as most are, and then there is no need to look at each
            for number in ordered:
                if number > high + 1:
                    pairs.append((low, high))
                    low = number
                high = number
            pairs.append((low, high))
        return tuple(pairs)
    return _coalesced([pair for number in numbers for pair in _pairs(number)])


def _pairs(number: Any) -> Iterator[tuple[int, int]]:
    if isinstance(number, range):
        if number:
            low, high = sorted((number[0], number[-1]))
            _check(low)
            _check(high)
            if abs(number.step) == 1:
                yield low, high
            else:
                yield from zip(number, number, strict=True)
    elif isinstance(number, str):
        pairs, has_star = _parsed(number)
        if has_star:
            raise ValueError(f"{number!r} in a list: * belongs in a set that is one text, such as '5,7:*'")
        yield from pairs
    elif isinstance(number, bool):
        raise TypeError(f"{number} is not a message number")
    else:
        try:
            value = operator.index(number)
        except TypeError:
            raise TypeError(f"{number!r:.200} is not a message number{_instead(number)}") from None
        _check(value)
        yield value, value


def _instead(wrong: Any) -> str:
    """What to pass in the place of something that is no number."""
    if isinstance(wrong, (bytes, bytearray)):
        return ": decode() it"
    return ": pass its uid" if hasattr(type(wrong), "uid") else ""


def _check(number: int) -> None:
    if number < 1:
        raise ValueError(f"message numbers begin at 1: {number}")
    if number > LARGEST_NUMBER:
        raise ValueError(f"message numbers end at {LARGEST_NUMBER}: {number}")


def _coalesced(pairs: list[tuple[int, int]]) -> _Ranges:
    """Return `pairs` sorted, those that overlap or touch made one."""
    pairs.sort()
    joined: list[tuple[int, int]] = []
    low, high = 0, -1
    for pair in pairs:
        if pair[0] > high + 1:
            if low:
                joined.append((low, high))
            low, high = pair
        elif pair[1] > high:
            high = pair[1]
    if low:
        joined.append((low, high))
    return tuple(joined)


# An operation with a few ranges looks them up among the many, and takes over what is between as it is: numbers that are
# added one by one cost a copy of references each.
_MANY: Final = 16


def _union(ours: _Ranges, theirs: _Ranges) -> _Ranges:
    few, many = sorted((ours, theirs), key=len)
    if not few:
        return many
    if len(few) * _MANY > len(many):
        return _coalesced([*ours, *theirs])
    joined: list[tuple[int, int]] = []
    start = 0
    for low, high in few:
        if joined and joined[-1][1] >= low - 1:  # touches what the one before it was joined with
            before = joined.pop()
            low, high = before[0], max(high, before[1])
        first = bisect_left(many, low - 1, start, key=_high)
        stop = bisect_right(many, high + 1, first, key=_low)
        joined += many[start:first]
        if first < stop:
            low, high = min(low, many[first][0]), max(high, many[stop - 1][1])
        joined.append((low, high))
        start = stop
    joined += many[start:]
    return tuple(joined)


def _intersection(ours: _Ranges, theirs: _Ranges) -> _Ranges:
    few, many = sorted((ours, theirs), key=len)
    common: list[tuple[int, int]] = []
    if len(few) * _MANY > len(many):
        one = other = 0
        while one < len(ours) and other < len(theirs):
            low = max(ours[one][0], theirs[other][0])
            high = min(ours[one][1], theirs[other][1])
            if low <= high:
                common.append((low, high))
            if ours[one][1] == high:
                one += 1
            else:
                other += 1
        return tuple(common)
    for low, high in few:
        common += _within(many, low, high)
    return tuple(common)


def _difference(ours: _Ranges, theirs: _Ranges) -> _Ranges:
    if len(ours) * _MANY > len(theirs):
        return _intersection(ours, _complement(theirs, 1, LARGEST_NUMBER))
    return tuple(rest for low, high in ours for rest in _complement(_within(theirs, low, high), low, high))


def _within(ranges: _Ranges, low: int, high: int) -> _Ranges:
    """Return the part of `ranges` from `low` to `high`."""
    first = bisect_left(ranges, low, key=_high)
    found = ranges[first : bisect_right(ranges, high, first, key=_low)]
    if not found or (found[0][0] >= low and found[-1][1] <= high):
        return found
    cut = [*found]
    cut[0] = (max(low, cut[0][0]), cut[0][1])
    cut[-1] = (cut[-1][0], min(high, cut[-1][1]))
    return tuple(cut)


def _complement(ranges: _Ranges, least: int, most: int) -> _Ranges:
    """Return what is not in `ranges`, from `least` to `most`."""
    lows = [least, *(high + 1 for _, high in ranges)]
    highs = [*(low - 1 for low, _ in ranges), most]
    return tuple((low, high) for low, high in zip(lows, highs, strict=True) if low <= high)
