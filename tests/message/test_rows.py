"""Rows as values: what may be done with one, the same whichever twin made it."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from fastimap.errors import FastimapError, NotFetched
from fastimap.model.message import PRESENCE, Address, Envelope, FetchedMessage, Streamed
from tests.parser.conftest import TWINS
from tests.parser.fetching import fetched

PLAIN = (
    b'* 7 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 9 INTERNALDATE "17-Jul-1996 02:44:25 -0700" MODSEQ (65) '
    b'ENVELOPE (NIL "s" (("n" NIL "m" "h")) NIL NIL NIL NIL NIL NIL NIL) '
    b'BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 1 1) BODY[] {1}\r\nx BODY[HEADER] NIL X-GM-MSGID 3)\r\n'
)
ODD = b"* 7 FETCH (UID 5 FLAGS  (\\Seen) RFC822.SIZE x X-NEW (1 a))\r\n"
MOVED = b"* 5 UIDFETCH (FLAGS ())\r\n"
SAMPLES = (PLAIN, ODD, MOVED, b"* 7 FETCH ()\r\n", b"* 7 FETCH (BODY[] NIL)\r\n")


@pytest.fixture(params=SAMPLES)
def row(twin: ModuleType, request: pytest.FixtureRequest) -> FetchedMessage:
    return fetched(twin, request.param)


def test_a_row_made_by_hand(twin: ModuleType) -> None:
    by_hand = FetchedMessage(sequence_number=7, uid=5, flags=frozenset({"\\Seen"}), size=9)
    assert by_hand == fetched(twin, b"* 7 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 9)\r\n")
    assert by_hand != fetched(twin, b"* 7 FETCH (UID 5 FLAGS () RFC822.SIZE 9)\r\n")
    assert FetchedMessage(uid=5, body=b"x").body == b"x"
    assert FetchedMessage(present=["BODY[]"]) != FetchedMessage()


def test_a_row_is_no_tuple(row: Any) -> None:
    assert isinstance(row, FetchedMessage)
    assert not isinstance(row, tuple)
    for wrong in ("iter(row)", "len(row)", "row[0]", "row < row", "row + row", "sorted([row, row])", "[*row]"):
        with pytest.raises(TypeError):
            eval(wrong, {"row": row})
    assert row != row._values()
    assert row._values() != row


def test_a_row_does_not_change(row: Any) -> None:
    before = row._values()
    for name in ("uid", "flags", "envelope", "note", "_uid", "_present"):
        with pytest.raises(AttributeError):
            setattr(row, name, 1)
        with pytest.raises(AttributeError):
            delattr(row, name)
    assert row._values() == before
    assert not hasattr(row, "__dict__")


def test_equal_rows(row: FetchedMessage) -> None:
    same = pickle.loads(pickle.dumps(row))
    assert same == row
    assert row == same
    assert hash(row) == hash(same)
    assert len({row, same}) == 1
    other = row.replace(size=10)
    assert other != row
    assert row != other
    assert row != 5
    assert repr(same) == repr(row)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_name_no_implementation(row: FetchedMessage, protocol: int) -> None:
    octets = pickle.dumps(row, protocol)
    assert not any(module.encode() in octets for module in TWINS.values())
    again = pickle.loads(octets)
    assert repr(again._values()) == repr(row._values())  # dates with their zones


def test_pickles_of_what_went_to_a_sink(twin: ModuleType) -> None:
    row = twin.fetch((b"* 1 FETCH (BODY[] {9}", Streamed(9), b" UID 5)"))
    assert pickle.loads(pickle.dumps(row)).streamed == {"BODY[]": 9}
    assert "BODY[]" in row


def test_copies(row: FetchedMessage) -> None:
    assert copy.copy(row) is row
    assert copy.deepcopy(row) is row


def test_presence_by_name(twin: ModuleType) -> None:
    row = fetched(twin, PLAIN)
    assert all(name in row for name in (*PRESENCE, "BODY[HEADER]", "X-GM-MSGID"))
    assert all(name not in row for name in ("BODY[TEXT]", "PREVIEW", "", "uid", 5, None, ("UID", 5)))
    row = fetched(twin, ODD)
    assert "RFC822.SIZE" in row  # what the server spoiled was there
    assert row.size is None
    assert [name for name in PRESENCE if name in row] == ["UID", "FLAGS", "RFC822.SIZE"]
    row = fetched(twin, b"* 7 FETCH (BODY[] NIL)\r\n")
    assert [name for name in PRESENCE if name in row] == ["BODY[]", "RFC822"]
    assert row.body is None


def test_items_by_name(twin: ModuleType) -> None:
    row = fetched(twin, PLAIN)
    date = datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)
    sender = Address(b"n", None, b"m", b"h")
    assert [row.item(name) for name in ("UID", "FLAGS", "RFC822.SIZE", "INTERNALDATE", "MODSEQ", "BODY[]")] == [
        5, {"\\Seen"}, 9, date, 65, b"x"
    ]  # fmt: skip
    assert row.item("ENVELOPE") == Envelope(None, b"s", (sender,), (), (), (), (), (), None, None)
    assert row.item("BODY") is row.item("BODYSTRUCTURE") is row.body_structure
    assert (row.item("X-GM-MSGID"), row.item("BODY[HEADER]", 7), row.item("PREVIEW", 7)) == (3, None, 7)
    assert fetched(twin, MOVED).item("RFC822.SIZE", 7) == 7


def test_a_row_without_uid_says_what_to_ask_for(twin: ModuleType) -> None:
    row = fetched(twin, b"* 7 FETCH (FLAGS ())\r\n")
    assert "UID" not in row
    assert issubclass(NotFetched, FastimapError)
    assert getattr(row, "uid", None) is None
    with pytest.raises(NotFetched, match='no UID: ask for the data item "UID"'):
        row.uid  # noqa: B018
    assert repr(row) == "<FetchedMessage 7: FLAGS ()>"
    assert fetched(twin, MOVED).uid == 5


def test_replace(row: FetchedMessage) -> None:
    flags = frozenset({"a"})
    changed = row.replace(uid=9, flags=flags)
    assert (changed.uid, changed.flags, changed.sequence_number) == (9, flags, row.sequence_number)
    assert changed.replace(uid=row.item("UID"), flags=row.flags).items == row.items
    assert row.replace() == row
    with pytest.raises(TypeError):
        row.replace(subject="s")


def test_repr_has_no_megabytes(twin: ModuleType) -> None:
    row = fetched(twin, b"* 7 FETCH (BODY[] {1000000}\r\n" + bytes(1_000_000) + b" BODY[1] {9}\r\n123456789)\r\n")
    assert repr(row) == "<FetchedMessage 7: BODY[] of 1000000 octets, BODY[1]>"


def test_every_field_is_described() -> None:
    for name, value in vars(FetchedMessage).items():
        if not name.startswith("_"):
            assert value.__doc__, name
