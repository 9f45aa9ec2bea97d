"""One FETCH response, framed and decoded by a twin, and what is expected of it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from fastimap import _parser_py
from fastimap.model.message import FetchedMessage

from .harness import put

# A quoted string that is not closed may go on after a line break, but not in the answer to a command.
_NEXT = b"A1 OK\r\n"


def fetched(twin: ModuleType, octets: bytes) -> FetchedMessage:
    """Return the row of the first response in `octets`."""
    reader = twin.ResponseReader()
    put(reader, octets + _NEXT)
    row = decode(twin, reader.responses()[0])
    assert row is not None, octets
    assert row == _parser_py.fetch(framed(octets))
    return row


def framed(octets: bytes) -> tuple[bytes, ...]:
    """Return the fragments of the first response in `octets`."""
    reader = _parser_py.ResponseReader()
    put(reader, octets + _NEXT)
    return reader.responses()[0]


def decode(twin: ModuleType, fragments: Any) -> FetchedMessage | None:
    row: FetchedMessage | None = twin.fetch(fragments)
    return row


def values(row: FetchedMessage, **expected: object) -> dict[str, object]:
    """Return of `row` what `expected` names, to be compared with it."""
    return {name: getattr(row, name) for name in expected}


def defective(row: FetchedMessage) -> list[str]:
    """Return the items that have a defect."""
    return [defect.item for defect in row.defects]
