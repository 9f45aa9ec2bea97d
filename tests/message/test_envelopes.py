"""What is read of an envelope is the same whichever twin made it, and the same as of one that is made by hand."""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType
from typing import Any

import pytest

from fastimap.model.message import Address, Envelope
from fastimap.model.words import MONTHS
from tests.parser.fetching import fetched

READ = ("date", "subject", "in_reply_to", "message_id", "author")
READ_OF_ADDRESSES = ("name", "mailbox", "host", "email")


def nstring(octets: bytes | None) -> bytes:
    return b"NIL" if octets is None else b"{%d}\r\n%b" % (len(octets), octets)


def sent(
    twin: ModuleType,
    date: bytes | None = None,
    subject: bytes | None = None,
    address: tuple[bytes | None, ...] = (None, None, b"m", b"h"),
    message_id: bytes | None = None,
) -> Envelope:
    """The envelope as the parser reads it from what a server sends."""
    octets = b"* 1 FETCH (ENVELOPE (%b %b ((%b)) NIL NIL NIL NIL NIL %b %b))\r\n" % (
        *map(nstring, (date, subject)),
        b" ".join(map(nstring, address)),
        nstring(message_id),
        nstring(message_id),
    )
    row = fetched(twin, octets)
    assert row.defects == ()
    assert row.envelope is not None
    return row.envelope


def by_hand(envelope: Envelope) -> Envelope:
    values: list[Any] = [*envelope]
    values[2:8] = [tuple(Address(*each) for each in group) for group in values[2:8]]
    return Envelope(*values)


def assert_read_alike(envelope: Envelope) -> None:
    expected = by_hand(envelope)
    for name in READ:
        value = getattr(envelope, name)
        assert value == getattr(expected, name), (name, envelope[:2], envelope[8:])
        assert not isinstance(value, datetime) or value.utcoffset() == expected.date.utcoffset()  # type: ignore[union-attr]
    for name in READ_OF_ADDRESSES:
        assert getattr(envelope.from_[0], name) == getattr(expected.from_[0], name), (name, envelope.from_[0][:])
    assert repr(envelope) == repr(expected)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        # RFC 2047, section 8: what is displayed for what is sent.
        (b"(=?UTF-8?Q?a?=)", "(a)"),
        (b"(=?utf-8?Q?a?= b)", "(a b)"),
        (b"(=?utf-8?Q?a?= =?utf-8?Q?b?=)", "(ab)"),
        (b"(=?utf-8?Q?a?=  =?utf-8?Q?b?=)", "(ab)"),
        (b"(=?utf-8?Q?a?=\r\n    =?utf-8?Q?b?=)", "(ab)"),
        (b"(=?utf-8?Q?a_b?=)", "(a b)"),
        (b"(=?utf-8?Q?a?= =?utf-8?Q?_b?=)", "(a b)"),
        # A character in two words, which nobody should send and many do.
        (b"=?utf-8?B?w7w=?= =?utf-8?q?=C3?= =?utf-8?q?=BC?=", "\u00fc\u00fc"),
        (b"=?utf-8?B?R3LDvMOfZQ==?=", "Gr\u00fc\u00dfe"),
        (b"Re: =?utf-8?b?R3LDvMOfZQ==?= from =?utf-8?Q?J=c3=bcrgen?=!", "Re: Gr\u00fc\u00dfe from J\u00fcrgen!"),
        (b"=?utf-8?Q?a?= =?iso-8859-1?Q?=FC?=", "a\u00fc"),
        (b"1 = 2 =? 3", "1 = 2 =? 3"),
        (b"", ""),
        (b"x", "x"),
        ("Gr\u00fc\u00dfe".encode(), "Gr\u00fc\u00dfe"),
        (b"Gr\xfc\xdfe", "Gr\u00fc\u00dfe"),
    ],
)
def test_text(twin: ModuleType, octets: bytes, text: str) -> None:
    envelope = sent(twin, subject=octets, address=(octets, None, b"m", b"h"))
    assert envelope.subject == envelope.from_[0].name == text
    assert_read_alike(envelope)


@pytest.mark.parametrize(
    ("octets", "date"),
    [
        (b"Fri, 21 Jun 2024 09:55:06 +0200", datetime(2024, 6, 21, 9, 55, 6, tzinfo=timezone(timedelta(hours=2)))),
        (b"1 Mar 2023 00:00:00 -0330", datetime(2023, 3, 1, tzinfo=timezone(-timedelta(hours=3, minutes=30)))),
        (b"Thu,29 Feb 2024 23:59:59 +0000", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        (b"29 Feb 2023 23:59:59 +0000", None),
        (b"29 Feb 1900 23:59:59 +0000", None),
        (b"31 Apr 2023 23:59:59 +0000", None),
        (b"00 Apr 2023 23:59:59 +0000", None),
        (b"Fri, 21 Jun 2024 09:55:06 GMT", datetime(2024, 6, 21, 9, 55, 6, tzinfo=UTC)),
        (b"Fri, 21 Jun 2024 09:55:06 +0200 (CEST)", datetime(2024, 6, 21, 7, 55, 6, tzinfo=UTC)),
    ],
)
def test_dates(twin: ModuleType, octets: bytes, date: datetime | None) -> None:
    envelope = sent(twin, date=octets)
    assert envelope.date == date
    assert_read_alike(envelope)


@pytest.mark.parametrize(
    ("mailbox", "host", "email"),
    [
        (b"a.b", b"example.org", "a.b@example.org"),
        (b"a..b", b"h", '"a..b"@h'),
        (b".a", b"h", '".a"@h'),
        (b"a b", b"h", '"a b"@h'),
        (b"a", b"h.", None),
        (b"a", b"h_1-x", "a@h_1-x"),
        (b"<a", b"h>", "a@h"),  # Gmail, of "<<a@h>>"
        (b"<a", b"h", '"<a"@h'),
        ("j\u00fcrgen".encode(), b"h", "j\u00fcrgen@h"),
        (b"a", "m\u00fcnchen.example".encode(), "a@m\u00fcnchen.example"),
        (b"", b"h", '""@h'),
        (b"a", b"", "a"),
        (b"group", None, ""),
        (None, None, ""),
        (None, b"h", ""),
        (b"a" * 510, b"h", "a" * 510 + "@h"),
        (b"a" * 511, b"h", "a" * 511 + "@h"),
    ],
)
def test_addresses(twin: ModuleType, mailbox: bytes | None, host: bytes | None, email: str | None) -> None:
    envelope = sent(twin, address=(None, None, mailbox, host))
    assert email is None or envelope.from_[0].email == email
    assert_read_alike(envelope)


def test_any_octets_are_read_alike(twin: ModuleType) -> None:
    chance = random.Random(2047)
    for _ in range(3000):
        parts = (b"".join(pieces(chance)) for _ in range(5))
        date = "".join(
            (
                chance.choice(["Mon, ", "Tue,", "", "mon, ", "M\u00fc, "]),
                chance.choice(["0", "1", "01", "29", "30", "31", "32", " 1"]),
                chance.choice([" ", "  ", "-"]),
                chance.choice([*MONTHS, "feb", "Foo", "Zzz"]),
                chance.choice([" 1970", " 2023", " 2024", " 99", " 0999", " 1000", " 9999", " 20x4"]),
                chance.choice([" 00", " 9", " 23", " 24"]),
                chance.choice([":00", ":59", ":60"]),
                chance.choice([":00", ":59", ":60", "", ":1"]),
                chance.choice([" +0000", " -0000", " +0100", " -0530", " +1459", " +1500", " GMT", " +01:00", " 0160"]),
                chance.choice(["", "", "", " (UTC)", "x", " "]),
            )
        )
        assert_read_alike(
            sent(twin, date.encode(), next(parts), (next(parts), None, next(parts), next(parts)), next(parts))
        )


PIECES = [
    *(
        b"=?utf-8?q?",
        b"=?UTF-8?Q?",
        b"=?utf-8?B?",
        b"=?utf8?q?",
        b"=?us-ascii?q?",
        b"=?",
        b"?=",
        b"?",
        b"=",
        b"=C3=BC",
        b"=c3",
    ),
    *(
        b"=BC",
        b"=E2=82=AC",
        b"=0A ",
        b"=5",
        b"_",
        b"w7w=",
        b"R3LD",
        b"YWI=",
        b"YQ==",
        b"=YQ=",
        b"YQ",
        b" ",
        b"  ",
        b"\t",
    ),
    *(
        b"\r\n ",
        b"\n",
        b"a",
        b"bc",
        b".",
        b"@",
        b"<",
        b">",
        b'"',
        b"\xc3\xbc",
        b"\xfc",
        b"\x00",
        b"\x7f",
        b"%b" % (b"x" * 200),
    ),
]


def pieces(chance: random.Random) -> Iterator[bytes]:
    """Whole words mostly, and what else may stand in a field, in any order."""
    for _ in range(chance.randrange(6)):
        if chance.random() < 0.6:
            encoding, payloads = chance.choice([(b"q", PIECES[9:20]), (b"B", PIECES[16:21])])
            payload = b"".join(chance.choices(payloads, k=chance.randrange(1, 4)))
            yield b"=?utf-8?%b?%b?=" % (encoding, payload) + chance.choice([b" ", b" ", b"  ", b"", b"x", b"\t"])
        else:
            yield chance.choice(PIECES)


def test_envelopes_are_values(twin: ModuleType) -> None:
    envelope = sent(twin, b"1 Mar 2023 00:00:00 -0330", b"=?utf-8?q?=C3=BC?=")
    expected = by_hand(envelope)
    assert envelope == expected
    assert hash(envelope) == hash(expected)
    assert isinstance(envelope, Envelope)
    assert isinstance(envelope.from_[0], Address)
    assert type(envelope).__name__ == "Envelope"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        octets = pickle.dumps(envelope, protocol)
        assert b"_parser" not in octets  # so that it is read where the other twin is
        again = pickle.loads(octets)
        assert again == envelope
        assert type(again) is Envelope
    for again in (
        copy.copy(envelope),
        copy.deepcopy(envelope),
        envelope._replace(subject_octets=b"=?utf-8?q?=C3=BC?="),
    ):
        assert again == envelope
        assert again.subject == "\u00fc"
    assert envelope._replace(subject_octets=None).subject is None
    anything: Any = envelope
    assert anything._replace(subject_octets=bytearray(b"x")).subject == "x"
    with pytest.raises(AttributeError):
        anything.subject = "x"


def test_what_is_made_of_the_class_of_an_envelope(twin: ModuleType) -> None:
    """A subclass, and tuples that are too short, of which nothing is read that they do not have."""
    envelope = sent(twin)
    kind = type(envelope.from_[0])
    made = type("Made", (kind,), {})(b"n", None, b"<m", b"a b>")
    plain = Address(*made)
    assert [getattr(made, name) for name in READ_OF_ADDRESSES] == [getattr(plain, name) for name in READ_OF_ADDRESSES]
    for short, names in ((type(envelope), READ[:-1]), (kind, READ_OF_ADDRESSES)):
        for name in names:
            with pytest.raises(IndexError):
                getattr(tuple.__new__(short, ()), name)


def test_threads_that_read_the_first_envelopes() -> None:
    program = """if True:
        import sys, threading
        from fastimap import parser
        octets = b"* 1 FETCH (ENVELOPE (NIL NIL ((NIL NIL NIL NIL)) NIL NIL NIL NIL NIL NIL NIL))\\r\\n"
        start, found = threading.Barrier(8), []
        def read():
            start.wait()
            found.append(parser.fetch((octets,)).envelope)
        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len({type(each) for each in found}), len({type(each.from_[0]) for each in found}))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]
