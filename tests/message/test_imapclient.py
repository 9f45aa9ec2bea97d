"""IMAPClient's parser and ours read the same octets alike."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from random import Random
from types import ModuleType
from typing import Any, NoReturn

import pytest

from fastimap import _parser_py
from fastimap.message import BodyStructure, FetchedMessage
from fastimap.testing.content import Content
from tests.parser.harness import framed
from tests.support import Unavailable, pypi

Parse = Callable[[list[Any]], dict[bytes, Any]]


@pytest.fixture
def parse(unavailable: Callable[[str, Unavailable], NoReturn], monkeypatch: pytest.MonkeyPatch) -> Parse:
    """IMAPClient's reading of one response in imaplib's shape: {item: value}."""
    try:
        sdist = pypi.unpacked_sdist("imapclient", "4.1.0")
    except Unavailable as reason:
        unavailable("IMAPClient's parser", reason)
    monkeypatch.syspath_prepend(sdist)
    parser = importlib.import_module("imapclient.response_parser")

    def parse(data: list[Any]) -> dict[bytes, Any]:
        # Not its default: dates in the local zone, without saying so.
        ((_, items),) = parser.parse_fetch_response(data, normalise_times=False, uid_is_key=False).items()
        return dict(items)

    return parse


def in_shape_of_imaplib(response: tuple[bytes, ...]) -> list[Any]:
    first = response[0].removeprefix(b"* ").replace(b" FETCH ", b" ", 1)
    lines = (first, *response[1:])
    return [*zip(lines[:-1:2], lines[1::2], strict=True), lines[-1]]


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


def differences(row: FetchedMessage, theirs: dict[bytes, Any]) -> Iterator[str]:
    """What both parsers say must be equal; where IMAPClient decodes further than the octets, so do we here."""
    envelope, body_structure = theirs.get(b"ENVELOPE"), theirs.get(b"BODYSTRUCTURE")
    pairs = [
        (row.sequence_number, theirs[b"SEQ"]),
        (row.uid, theirs.get(b"UID")),
        (row.size, theirs.get(b"RFC822.SIZE")),
        (row.internal_date, theirs.get(b"INTERNALDATE")),
        (row.mod_sequence, theirs[b"MODSEQ"][0] if b"MODSEQ" in theirs else None),
        (row.body, theirs.get(b"BODY[]")),
        (row.section("1.2"), theirs.get(b"BODY[1.2]")),
        (row.flags, frozenset(flag.decode() for flag in theirs[b"FLAGS"]) if b"FLAGS" in theirs else None),
    ]
    if envelope is not None:
        assert row.envelope is not None
        pairs += [
            (row.envelope.subject_octets, envelope.subject),
            (row.envelope.in_reply_to_octets, envelope.in_reply_to),
            (row.envelope.message_id_octets, envelope.message_id),
        ]
        pairs += [
            (getattr(row.envelope, name), tuple(map(astuple, getattr(envelope, name) or ())))
            for name in ("from_", "sender", "reply_to", "to", "cc", "bcc")
        ]
    if body_structure is not None:
        assert row.body_structure is not None
        pairs.append((as_values(row.body_structure), lowered(body_structure)))
    return (f"{ours!r} {other!r}" for ours, other in pairs if ours != other)


def as_values(part: BodyStructure) -> tuple[Any, ...]:
    """A part as the list that came from the server, in lower case, up to the encoding; of messages, their parts too."""
    parameters = tuple(octet for name, value in part.parameters for octet in (name.encode(), value.lower()))
    if part.type == "multipart":
        return [*map(as_values, part.parts)], part.subtype.encode(), parameters or None
    fields = part.content_id_octets, part.description_octets, part.encoding.encode()
    return (
        part.type.encode(),
        part.subtype.encode(),
        parameters or None,
        *map(lower, fields),
        part.size,
        *map(as_values, part.parts),
    )


def lowered(value: Any) -> tuple[Any, ...]:
    """IMAPClient's value of a body structure, likewise."""
    parameters = (tuple(map(lower, value[2])) if value[2] else None) if len(value) > 2 else None
    if isinstance(value[0], (list, tuple)):
        parts = value[0] if isinstance(value[0], list) else [part for part in value if isinstance(part, tuple)]
        return [*map(lowered, parts)], lower(value[1]), parameters
    inner = (lowered(body(value[8])),) if lower(value[1]) == b"rfc822" and lower(value[0]) == b"message" else ()
    return (lower(value[0]), lower(value[1]), parameters, *map(lower, value[3:7]), *inner)


def lower(field: Any) -> Any:
    return field.lower() if isinstance(field, bytes) else field


def body(value: Any) -> Any:
    """IMAPClient leaves the body of an attached message as it came; give it the shape of the others."""
    return importlib.import_module("imapclient.response_types").BodyData.create(value)


def test_real_mail(twin: ModuleType, parse: Parse, real_messages: list[bytes]) -> None:
    compare(twin, parse, rows_of_real_mail(real_messages))


def test_made_rows(twin: ModuleType, parse: Parse) -> None:
    compare(twin, parse, made_rows(2_000))


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
