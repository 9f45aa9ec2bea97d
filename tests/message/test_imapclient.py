"""IMAPClient's parser and ours read the same octets alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from types import ModuleType

import pytest

from fastimap import _parser_py
from fastimap.testing.content import Content
from tests.parser.harness import framed
from tests.support.imapclient import Parse, differences, in_shape_of_imaplib


def rows_of_real_mail(messages: list[bytes]) -> Iterator[bytes]:
    for number, message in enumerate(messages, 1):
        content = Content(message)
        yield (
            b"* %d FETCH (UID %d ENVELOPE %s BODYSTRUCTURE %s BODY[HEADER.FIELDS (DATE)] {3}\r\nx\r\n "
            b"RFC822.SIZE %d BODY[] {%d}\r\n%s)\r\n"
        ) % (number, number, content.envelope, content.body_structure, len(message), len(message), message)


FLAGS = [b"\\Seen", b"\\Answered", b"\\Flagged", b"$Forwarded", b"NonJunk", b"$label1", b"\\Draft"]
STRINGS = [b"NIL", b'""', b'"a"', b'"\\"q\\" \\\\"', b'"=?utf-8?Q?a?="', b'{3}\r\n\xff"(', b'"{3}"', b'"NIL"', b'"a)("']
ZONES = [b"+0000", b"-0730", b"+0545"]


def made_rows(count: int) -> Iterator[bytes]:
    """Rows of any items in any order, with strings of every form in every place."""
    rng = Random(3501)
    for number in range(1, count + 1):
        date = datetime(2000, 1, 1) + timedelta(seconds=rng.randrange(10**9))
        envelope = [b"NIL", string(rng), *(addresses(rng) for _ in range(6)), string(rng), string(rng)]
        items = [
            b"UID %d" % rng.randrange(1, 2**32),
            b"FLAGS (%s)" % b" ".join(rng.sample(FLAGS, rng.randrange(5))),
            f'INTERNALDATE "{date.day:2}{date:-%b-%Y %H:%M:%S} '.encode() + rng.choice(ZONES) + b'"',
            b"RFC822.SIZE %d" % rng.choice([0, 1, 4096, 2**32, 2**62]),
            b"MODSEQ (%d)" % rng.randrange(1, 2**62),
            b"ENVELOPE (%s)" % b" ".join(envelope),
            b"BODY[1.2] %s" % string(rng),
        ]
        rng.shuffle(items)
        yield b"* %d FETCH (%s)\r\n" % (number, b" ".join(items[: rng.randrange(1, len(items) + 1)]))


def string(rng: Random) -> bytes:
    return rng.choice(STRINGS)


def addresses(rng: Random) -> bytes:
    found = [b"(%s NIL %s %s)" % (string(rng), string(rng), string(rng)) for _ in range(rng.randrange(3))]
    return b"(%s)" % b"".join(found) if found else b"NIL"


@pytest.mark.slow
def test_real_mail(twin: ModuleType, imapclient_parse: Parse, real_messages: list[bytes]) -> None:
    compare(twin, imapclient_parse, rows_of_real_mail(real_messages))


@pytest.mark.slow
def test_made_rows(twin: ModuleType, imapclient_parse: Parse) -> None:
    compare(twin, imapclient_parse, made_rows(2_000))


def compare(twin: ModuleType, parse: Parse, rows: Iterator[bytes]) -> None:
    for octets in rows:
        response = framed(_parser_py, [octets])[0]
        row = twin.fetch(response)
        assert row is not None
        assert row.defects == ()
        assert list(differences(row, parse(in_shape_of_imaplib(response)))) == [], octets[:500]


def test_dates_are_aware(twin: ModuleType) -> None:
    row = twin.fetch((b'* 1 FETCH (INTERNALDATE "01-Jan-2000 00:00:00 +0000")',))
    assert row.internal_date == datetime(2000, 1, 1, tzinfo=UTC)
