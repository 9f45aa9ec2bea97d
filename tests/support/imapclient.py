"""What IMAPClient reads out of FETCH responses, to be compared with what fastimap does."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import Any

from fastimap.model.message import BodyStructure, FetchedMessage
from tests.support import pypi

Parse = Callable[[list[Any]], dict[bytes, Any]]
"""IMAPClient's reading of one response in imaplib's shape: {item: value}."""


def parser() -> Parse:
    """Return IMAPClient's parser. Raises Unavailable where it can't be had."""
    sys.path.insert(0, str(pypi.unpacked_sdist("imapclient", "4.1.0")))
    try:
        module = importlib.import_module("imapclient.response_parser")
    finally:
        del sys.path[0]

    def parse(data: list[Any]) -> dict[bytes, Any]:
        # Not its default: dates in the local zone, without saying so.
        ((_, items),) = module.parse_fetch_response(data, normalise_times=False, uid_is_key=False).items()
        return dict(items)

    return parse


def in_shape_of_imaplib(response: tuple[bytes, ...]) -> list[Any]:
    first = response[0].removeprefix(b"* ").replace(b" FETCH ", b" ", 1)
    lines = (first, *response[1:])
    return [*zip(lines[:-1:2], lines[1::2], strict=True), lines[-1]]


def differences(row: FetchedMessage, theirs: dict[bytes, Any]) -> Iterator[str]:
    """What both parsers say must be equal; where IMAPClient decodes further than the octets, so do we here."""
    envelope, body_structure = theirs.get(b"ENVELOPE"), theirs.get(b"BODYSTRUCTURE")
    pairs: list[tuple[Any, Any]] = [
        (row.sequence_number, theirs[b"SEQ"]),
        (row.item("UID"), theirs.get(b"UID")),
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
