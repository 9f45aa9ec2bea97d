"""Sets of message numbers against plain Python sets, and against the RFC's reading of their text."""

from __future__ import annotations

import copy
import pickle
from array import array
from functools import reduce
from itertools import chain, islice, pairwise
from operator import or_
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastimap.model.sequence_set import LARGEST_NUMBER, SAVED, SequenceSet, UIDSet, uid_set

UNIVERSE = 40
NUMBERS = st.sets(st.integers(1, UNIVERSE))


def read(text: str, largest: int) -> set[int]:
    """The messages that `text` names where they are numbered 1 to `largest` (RFC 9051, section 9, seq-range)."""
    found: set[int] = set()
    for item in text.split(",") if text else ():
        ends = [largest if end == "*" else int(end) for end in item.split(":")]
        found.update(range(min(ends), max(ends) + 1))
    return {number for number in found if number <= largest}


def item_texts() -> st.SearchStrategy[str]:
    end = st.one_of(st.integers(1, UNIVERSE).map(str), st.just("*"))
    return st.one_of(end, st.tuples(end, end).map(":".join))


TEXTS = st.lists(item_texts(), min_size=1, max_size=6).map(",".join)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (1, "1"),
        (LARGEST_NUMBER, "4294967295"),
        ([3, 1, 2, 2, 8], "1:3,8"),
        (range(5, 10), "5:9"),
        (range(9, 4, -1), "5:9"),
        (range(1, 8, 3), "1,4,7"),
        ([range(1, 3), 7, range(3, 5)], "1:4,7"),
        ((number for number in (2, 1)), "1:2"),
        ("5,1:2,4", "1:2,4:5"),
        ("4:2", "2:4"),
        ("*", "*"),
        ("*:*", "*"),
        ("7:*", "7:*"),
        ("*:7", "7:*"),
        ("9,7:*,*", "7:*"),
        ("1,*", "1,*"),
        ("1:4294967295", "1:4294967295"),
        ([], ""),
        (range(0), ""),
        ({1, 2}, "1:2"),
        ({1: "a"}, "1"),
    ],
)
def test_text(given: object, text: str) -> None:
    assert str(UIDSet(given)) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "00",
        "01",
        "1:0",
        "1,0",
        "1:01",
        "4294967296",
        "1:4294967296",
        "99999999999999999999999",
        "a",
        "1 2",
        " 1",
        "1,",
        ",1",
        "1,,2",
        "1:",
        ":1",
        "1:2:3",
        ":",
        "**",
        "*1",
        "1*",
        "-1",
        "+1",
        "1_0",
        "1.0",
        "$",
        "1\r\n",
        "1\0",
        "٣",
    ],
)
def test_text_that_is_no_set(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a sequence set|message numbers end"):
        UIDSet(text)
    with pytest.raises(ValueError, match=r"not a sequence set|message numbers end"):
        UIDSet.parse(text.encode())
    with pytest.raises(ValueError, match=r"not a sequence set|message numbers end"):
        SequenceSet.parse_ordered(text)


def test_what_to_write_instead_is_said() -> None:
    for wrong in ("ALL", "1-5", "1, 5"):
        with pytest.raises(ValueError, match=r"not a sequence set: '.*' \(such as '5', '1:9,12' or '1:\*'\)"):
            uid_set(wrong)
    for octets in (b"5", bytearray(b"5"), memoryview(b"5")):
        with pytest.raises(TypeError, match=r"a message number is an int or a str, not b'5': decode\(\) it"):
            uid_set(octets)


@pytest.mark.parametrize("number", [0, -1, LARGEST_NUMBER + 1, range(3), range(1, 2**33), [5, 0], [range(-2, 0)]])
def test_numbers_out_of_range(number: object) -> None:
    with pytest.raises(ValueError, match="message numbers"):
        UIDSet(number)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [True, [True], 1.0, [1, 1.0], None, [None], [b"1"], [[1]], b"1", bytearray(b"1")])
def test_what_is_no_number(number: object) -> None:
    with pytest.raises(TypeError):
        UIDSet(number)  # type: ignore[arg-type]


@given(st.lists(st.one_of(st.integers(1, UNIVERSE), st.builds(range, st.integers(1, 9), st.integers(1, 30)))))
def test_members(numbers: list[int | range]) -> None:
    expected = set(chain.from_iterable([number] if isinstance(number, int) else number for number in numbers))
    made = UIDSet(numbers)
    assert list(made) == sorted(expected)
    assert len(made) == len(expected)
    assert bool(made) == bool(expected)
    assert {number for number in range(-1, UNIVERSE + 2) if number in made} == expected
    assert read(str(made), UNIVERSE) == expected
    assert all(low <= high for low, high in made.ranges)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(made.ranges))
    assert made == UIDSet(expected)
    assert hash(made) == hash(UIDSet(expected))
    if expected:
        assert (made.first, made.last) == (min(expected), max(expected))
        assert UIDSet.parse(str(made)) == made


@given(NUMBERS, NUMBERS)
def test_operators(one: set[int], other: set[int]) -> None:
    assert set(UIDSet(one) | UIDSet(other)) == one | other
    assert set(UIDSet(one) & UIDSet(other)) == one & other
    assert set(UIDSet(one) - UIDSet(other)) == one - other
    assert (UIDSet(one) == UIDSet(other)) == (one == other)


@given(TEXTS)
def test_any_text_keeps_its_meaning_in_every_mailbox(text: str) -> None:
    made = UIDSet(text)
    assert UIDSet.parse(text.encode()) == made == UIDSet.parse(str(made))
    for largest in range(1, UNIVERSE + 5):
        assert read(str(made), largest) == read(text, largest)
        assert set(made.with_largest(largest)) == read(text, largest)
    assert made.has_star == ("*" in text)
    assert len(str(made)) <= len(text)


@given(TEXTS, TEXTS)
def test_operators_with_a_star_are_right_in_every_mailbox_or_refuse(one: str, other: str) -> None:
    union = UIDSet(one) | UIDSet(other)
    for largest in range(1, UNIVERSE + 5):
        assert read(str(union), largest) == read(one, largest) | read(other, largest)
    try:
        common = UIDSet(one) & UIDSet(other)
    except ValueError:
        assert ("*" in one) != ("*" in other)
    else:
        for largest in range(1, UNIVERSE + 5):
            assert read(str(common), largest) == read(one, largest) & read(other, largest)
    if "*" in one + other:
        with pytest.raises(ValueError, match="largest"):
            UIDSet(one) - UIDSet(other)


def test_a_star_cannot_be_counted() -> None:
    open_ended = UIDSet("5:*")
    assert open_ended
    assert open_ended.first == 5
    assert open_ended.ranges == ((5, LARGEST_NUMBER),)
    assert 5 in open_ended
    assert 4 not in open_ended
    for act in (len, iter, lambda numbers: numbers.last, lambda numbers: numbers.chunks(1)):
        with pytest.raises(ValueError, match=r"\*|last"):
            act(open_ended)
    for act in (lambda numbers: numbers.first, lambda numbers: numbers.last):
        with pytest.raises(ValueError, match="UIDSet"):
            act(UIDSet())


def test_ranges_are_never_expanded() -> None:
    all_numbers = UIDSet.parse(b"1:4294967295")
    assert len(all_numbers) == LARGEST_NUMBER
    assert list(islice(all_numbers, 3)) == [1, 2, 3]
    assert str(all_numbers - UIDSet(7)) == "1:6,8:4294967295"
    assert [str(chunk) for chunk in islice(all_numbers.chunks(10**9), 2)] == ["1:1000000000", "1000000001:2000000000"]
    assert len(UIDSet.parse_ordered(b"1:4294967295")[0]) == LARGEST_NUMBER
    assert str(UIDSet(range(1, 2**32)) & UIDSet("5,9:12")) == "5,9:12"
    assert str(UIDSet([LARGEST_NUMBER, 1])) == "1,4294967295"


def test_the_order_given_is_kept_where_it_matters() -> None:
    # RFC 4315, section 3: the UIDs of the source in the order of the destination's.
    assert list(chain.from_iterable(UIDSet.parse_ordered(b"304,319:320,7"))) == [304, 319, 320, 7]
    assert list(chain.from_iterable(UIDSet.parse_ordered("4:2"))) == [2, 3, 4]
    with pytest.raises(ValueError, match=r"\*"):
        UIDSet.parse_ordered(b"1:*")


@given(st.lists(st.integers(1, LARGEST_NUMBER), min_size=1, max_size=60), st.integers(21, 80), st.booleans())
@example([1, LARGEST_NUMBER - 1, LARGEST_NUMBER], 21, True)  # as text: 1,4294967294:*
def test_split_by_octets(numbers: list[int], octets: int, star: bool) -> None:
    whole = UIDSet(numbers) | UIDSet("*") if star else UIDSet(numbers)
    pieces = list(whole.split(octets))
    assert all(pieces)
    assert all(len(str(piece)) <= octets for piece in pieces)
    assert reduce(or_, pieces) == whole
    assert [number for piece in pieces for number in chain(*piece.ranges)] == list(chain(*whole.ranges))
    for one, other in pairwise(pieces):  # no piece could have held the next one's first item
        assert len(str(one)) + 1 + len(str(other).partition(",")[0]) > octets


def test_split_needs_room_for_a_range() -> None:
    longest = UIDSet("4294967290:4294967294")
    assert list(longest.split(21)) == [longest]
    with pytest.raises(ValueError, match="21"):
        longest.split(20)
    assert list(UIDSet().split(21)) == []
    assert [str(piece) for piece in UIDSet("1111111111:1111111112,*").split(21)] == ["1111111111:1111111112", "*"]
    assert [str(piece) for piece in UIDSet("3:*").split(21)] == ["3:*"]


@given(NUMBERS, st.integers(1, 12))
def test_chunks_by_count(numbers: set[int], count: int) -> None:
    chunks = list(UIDSet(numbers).chunks(count))
    assert [number for chunk in chunks for number in chunk] == sorted(numbers)
    assert all(len(chunk) == count for chunk in chunks[:-1])
    assert all(1 <= len(chunk) <= count for chunk in chunks)


def test_chunks_of_nothing() -> None:
    assert list(UIDSet().chunks(3)) == []
    with pytest.raises(ValueError, match="at least 1"):
        UIDSet(1).chunks(0)


def test_the_two_kinds_do_not_mix() -> None:
    assert UIDSet(1) != SequenceSet(1)
    assert len({UIDSet(1), SequenceSet(1)}) == 2
    with pytest.raises(TypeError):
        UIDSet(SequenceSet(1))
    for operator in ("__or__", "__and__", "__sub__"):
        assert getattr(UIDSet(1), operator)(SequenceSet(1)) is NotImplemented


def test_for_people() -> None:
    assert repr(UIDSet("1:5,8")) == 'UIDSet("1:5,8")'
    assert repr(SequenceSet("7:*")) == 'SequenceSet("7:*")'
    assert repr(UIDSet()) == "UIDSet()"
    assert repr(UIDSet(range(1, 2001, 2))) == '<UIDSet "1,3,5,7,9,11,..." of 1000 ranges>'


@pytest.mark.parametrize("numbers", [UIDSet("1:5,8,10:*"), SequenceSet(3), UIDSet()])
def test_copies_are_equal(numbers: UIDSet | SequenceSet) -> None:
    assert pickle.loads(pickle.dumps(numbers)) == numbers
    assert copy.deepcopy(numbers) == numbers
    assert type(numbers)(numbers) == numbers


def packed(numbers: set[int]) -> UIDSet:
    """The set as the answer to a large SEARCH gives it, with numbers above UNIVERSE so that it is one."""
    far = range(1000, 1400, 2)
    bounds = chain.from_iterable((number, number) for number in sorted(numbers | {*far}) if number >= 1000)
    return UIDSet.from_bounds(array("I", [*chain.from_iterable(UIDSet(numbers).ranges), *bounds]))


FAR = UIDSet(range(1000, 1400, 2))


@given(NUMBERS, NUMBERS)
def test_the_answer_to_a_large_search(one: set[int], other: set[int]) -> None:
    found, pairs = packed(one), UIDSet(one) | FAR
    assert found == pairs
    assert pairs == found
    assert found == packed(one)
    assert (found == packed(other)) == (one == other)
    assert hash(found) == hash(pairs)
    assert found.ranges == pairs.ranges
    assert (str(found), repr(found), len(found), list(found)) == (str(pairs), repr(pairs), len(pairs), list(pairs))
    assert (found.first, found.last) == (pairs.first, pairs.last)
    assert all((number in found) == (number in pairs) for number in (*range(UNIVERSE + 2), 999, 1000, 1001, 1398, 1399))
    assert (found | UIDSet(other), found & UIDSet(other), found - UIDSet(other)) == (
        pairs | UIDSet(other),
        pairs & UIDSet(other),
        pairs - UIDSet(other),
    )
    assert (packed(other) | found, packed(other) & found, packed(other) - found) == (
        UIDSet(one | other) | FAR,
        UIDSet(one & other) | FAR,
        UIDSet(other - one),
    )
    assert list(found.split(30)) == list(pairs.split(30))
    assert list(found.chunks(7)) == list(pairs.chunks(7))
    assert found.with_largest(1100) == pairs.with_largest(1100)
    assert pickle.loads(pickle.dumps(found)) == found


def test_arguments_of_commands() -> None:
    assert uid_set(5) == UIDSet(5)
    assert uid_set([1, 2]) == UIDSet("1:2")
    assert uid_set("1,*") == UIDSet("1,*")
    assert uid_set(range(1, 4)) == UIDSet("1:3")
    for ready in (UIDSet(3), SequenceSet(3), SAVED):
        assert uid_set(ready) is ready
    assert uid_set("$") is SAVED
    assert str(SAVED) == "$"
    empties: list[Any] = [[], UIDSet(), range(0), (), iter([])]
    for empty in empties:
        assert uid_set(empty) == UIDSet()
    assert uid_set(SequenceSet()) == SequenceSet()
    for wrong in ("", "1 (FLAGS)", "1\r\n", 0, -1):
        with pytest.raises(ValueError, match=r"sequence set|begin at 1"):
            uid_set(wrong)
    for wrong_type in (True, None, 1.5, b"1"):
        with pytest.raises(TypeError):
            uid_set(wrong_type)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_million_numbers() -> None:
    numbers = [number * 7919 % 4294967291 + 1 for number in range(1_000_000)]
    made = UIDSet(numbers)
    assert len(made) == len(set(numbers))
    text = str(made)
    assert UIDSet.parse(text) == made
    assert ",".join(map(str, made.split(8000))) == text


MANY = st.sets(st.integers(1, 400), min_size=60, max_size=300)
FEW = st.sets(st.integers(1, 402), max_size=3)


@given(MANY, FEW)
def test_a_few_numbers_and_many(many: set[int], few: set[int]) -> None:
    large, small = UIDSet(many), UIDSet(few)
    for found, expected in (
        (large | small, many | few),
        (small | large, many | few),
        (large & small, many & few),
        (small & large, many & few),
        (large - small, many - few),
        (small - large, few - many),
    ):
        assert list(found) == sorted(expected)
        assert found == UIDSet(expected)
        assert all(low > high + 1 for (_, high), (low, _) in pairwise(found.ranges))


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(0, 40))
def test_numbers_added_one_by_one(numbers: list[int], read_at: int) -> None:
    made = UIDSet()
    steps = []
    for index, number in enumerate(numbers):
        made |= UIDSet(number)
        steps.append(made)
        if index == read_at:
            assert set(made) == set(numbers[: index + 1])
    assert pickle.loads(pickle.dumps(made)) == made == UIDSet(numbers)
    for index, step in enumerate(steps):  # each stays what it was
        assert set(step) == set(numbers[: index + 1])


@pytest.mark.slow
def test_a_hundred_thousand_added_one_by_one() -> None:
    # At quadratic cost these would take the better part of an hour; pytest's timeout is the judge.
    numbers = range(1, 200_000, 2)
    made = UIDSet()
    for number in numbers:
        made |= UIDSet(number)
    assert copy.deepcopy(made) == made
    assert list(made) == list(numbers)


@given(NUMBERS, st.integers(-UNIVERSE - 2, UNIVERSE + 2))
def test_a_number_by_its_position(numbers: set[int], position: int) -> None:
    ordered, ours = sorted(numbers), UIDSet(numbers)
    if -len(ordered) <= position < len(ordered):
        assert ours[position] == ordered[position]
    else:
        with pytest.raises(IndexError):
            ours[position]


ENDS = st.none() | st.integers(-UNIVERSE - 2, UNIVERSE + 2)


@given(NUMBERS, ENDS, ENDS, st.none() | st.integers(1, 5))
def test_a_slice_is_a_set(numbers: set[int], start: int | None, stop: int | None, step: int | None) -> None:
    found = SequenceSet(numbers)[start:stop:step]
    assert type(found) is SequenceSet
    assert list(found) == sorted(numbers)[start:stop:step]


@given(NUMBERS)
def test_descending(numbers: set[int]) -> None:
    assert list(reversed(UIDSet(numbers))) == sorted(numbers, reverse=True)


def test_positions_of_a_set_that_is_never_expanded() -> None:
    every = UIDSet(range(1, LARGEST_NUMBER + 1)) - UIDSet([7, 9])
    assert (every[5], every[6], every[7], every[-1]) == (6, 8, 10, LARGEST_NUMBER)
    assert str(every[-10:]) == "4294967286:4294967295"
    assert str(every[5:8]) == "6,8,10"
    assert len(every[1:]) == LARGEST_NUMBER - 3
    assert next(reversed(every)) == LARGEST_NUMBER


def test_positions_of_many_ranges() -> None:
    many = UIDSet(range(1, 20_001, 2)) | UIDSet([2])  # packed, and joined when they are asked for
    assert (many[0], many[2], many[3], many[-1]) == (1, 3, 5, 19_999)
    assert list(many[-3:]) == [19_995, 19_997, 19_999]
    assert list(islice(reversed(many), 3)) == [19_999, 19_997, 19_995]


def test_what_has_no_positions() -> None:
    with pytest.raises(ValueError, match="only the server knows"):
        UIDSet("1:*")[0]
    with pytest.raises(ValueError, match="only the server knows"):
        reversed(UIDSet("*"))
    with pytest.raises(ValueError, match=r"reversed\(\)"):
        UIDSet("1:5")[::-1]
    with pytest.raises(IndexError, match="position 5 of 5 numbers"):
        UIDSet("1:5")[5]


def test_numbers_as_text_in_a_list() -> None:
    """As they come out of a file or another library."""
    assert UIDSet(["5", "7:9", 2]) == UIDSet("2,5,7:9")
    assert uid_set(["5"]) == UIDSet(5)
    for wrong in ("", "five", "0", "-1", "1 2", "5,"):
        with pytest.raises(ValueError, match="not a sequence set"):
            UIDSet([wrong])
    with pytest.raises(ValueError, match="one text"):
        UIDSet(["5", "7:*"])
