"""Whatever the octets: fetch() raises nothing, the twins give the same row, and its properties raise nothing either."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastimap import _parser_py
from fastimap.model.message import Address, BodyStructure, Envelope, FetchedMessage
from tests.support.effort import effort

from .conftest import TWINS, built
from .harness import framed, quirks

DECODERS = [importlib.import_module(TWINS[name]).fetch for name in built()]

WELL_FORMED = [
    (
        b'* 12 FETCH (UID 4711 FLAGS (\\Seen $Forwarded nonjunk) INTERNALDATE "17-Jul-1996 02:44:25 -0700" '
        b"RFC822.SIZE 4286 MODSEQ (12111230047))\r\n"
    ),
    (
        b'* 1 FETCH (ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700" "=?utf-8?Q?a=C3=BC?=" (("A" NIL "a" "b")) NIL NIL '
        b'((NIL NIL "g" NIL)(NIL NIL "c" {2}\r\nd\xff)(NIL NIL NIL NIL)) NIL NIL "<i>" {3}\r\n<m>))\r\n'
    ),
    (
        b'* 1 FETCH (BODYSTRUCTURE ((("TEXT" "PLAIN" ("CHARSET" "UTF-8") NIL NIL "7BIT" 2 1 NIL ("inline" NIL) "en")'
        b'("TEXT" "HTML" NIL "<i>" "d" "BASE64" 2 1) "ALTERNATIVE" ("BOUNDARY" "x") NIL ("en" "de") "loc" 7)'
        b'("MESSAGE" "RFC822" NIL NIL NIL "8BIT" 9 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("APPLICATION" "PDF" ("NAME*0*" "utf-8\'\'%41") NIL NIL "BASE64" 5) 3 "md5" ("attachment" ("FILENAME" "f"))) '
        b'"MIXED"))\r\n'
    ),
    b'* 3 FETCH (BODY[HEADER.FIELDS (DATE)] {9}\r\nDate: x\r\n BODY[1.2]<0> "q\\"" BODY[] {4}\r\na\r\nb UID 3)\r\n',
    (
        b'* 3 FETCH (X-GM-MSGID 1278455344230334865 X-GM-LABELS (\\Inbox "a b" &AOk-) EMAILID (M1) THREADID NIL '
        b'PREVIEW "p" SAVEDATE NIL BINARY.SIZE[1] 7 BINARY[1] ~{2}\r\n\x00\x01 X-NEW (a (1 NIL) "b"))\r\n'
    ),
    b"* 25996 UIDFETCH (FLAGS (\\Seen) RFC822.HEADER {0}\r\n RFC822.TEXT NIL)\r\n",
]
TOKENS = [
    b"(", b")", b"((", b"))", b" ", b"  ", b'"', b'\\"', b"\\", b"[", b"]", b"<0>", b"NIL", b"-1", b"0", b"()",
    b"4294967296", b"9223372036854775808", b"\xff", b"\x00", b"UID ", b"BODY[", b"BODY[]", b"FLAGS", b"ENVELOPE ",
    b"BODYSTRUCTURE (", b'"MIXED"', b"(" * 260,
]  # fmt: skip


@cache
def samples() -> list[tuple[bytes, ...]]:
    """The fragments of every FETCH response among the quirks, and of the well-formed ones."""
    return [
        response
        for octets in [*quirks(), *WELL_FORMED * 10]
        for response in framed(_parser_py, [octets])
        if isinstance(response, tuple) and _parser_py.fetch(response) is not None
    ]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[bytes, ...]:
    fragments = list(draw(st.sampled_from(samples())))
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(fragments) - 1))
        octets = fragments[index]
        start = draw(st.integers(0, len(octets)))
        stop = draw(st.integers(start, min(start + 30, len(octets))))
        kind = draw(st.sampled_from(["cut", "token", "octets", "repeat", "end", "drop"]))
        if kind == "cut":
            octets = octets[:start] + octets[stop:]
        elif kind == "token":
            octets = octets[:start] + draw(st.sampled_from(TOKENS)) + octets[start:]
        elif kind == "octets":
            octets = octets[:start] + draw(st.binary(max_size=4)) + octets[stop:]
        elif kind == "repeat":
            octets = octets[:stop] + octets[start:]
        elif kind == "end":
            octets = octets[:start]
        elif len(fragments) > 1:
            del fragments[index]
            continue
        fragments[index] = octets
    return tuple(fragments)


def touch(value: Any) -> None:
    """Read every property of a row and of what is in it."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, (FetchedMessage, Envelope, Address, BodyStructure)):
            repr(value), str(value), hash(value)
            for name in dir(value):
                if not callable(getattr(type(value), name, None)) and name not in ("uid", "_uid"):
                    getattr(value, name)
        if isinstance(value, BodyStructure):
            value.attachments()
        if isinstance(value, FetchedMessage):
            value = value._values()
        if isinstance(value, tuple):
            stack.extend(value)


@settings(max_examples=effort(4_000), deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_mutated(fragments: tuple[bytes, ...]) -> None:
    rows = [decode(fragments) for decode in DECODERS]
    assert all(row == rows[0] for row in rows)
    if rows[0] is not None:
        # Dates of one moment are equal in any zone, so this says more.
        assert all(repr(row._values()) == repr(rows[0]._values()) for row in rows if row)
        for row in rows:
            touch(row)


@pytest.mark.parametrize("octets", WELL_FORMED)
def test_well_formed(octets: bytes) -> None:
    """The samples above are what they are called."""
    (fragments,) = (response for response in framed(_parser_py, [octets]) if isinstance(response, tuple))
    rows = [decode(fragments) for decode in DECODERS]
    assert rows[0] is not None
    assert rows[0].defects == ()
    assert all(row == rows[0] for row in rows)
