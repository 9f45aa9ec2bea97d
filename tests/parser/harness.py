"""Feeds octets to a reader in any cut and writes down all that comes out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fastimap.errors import ParseError, ProtocolError
from fastimap.limits import READER_LIMITS, Limits

CORPUS = Path(__file__).parent.parent / "corpus"


def put(reader: Any, octets: bytes) -> None:
    """Hand `octets` to the reader, as a driver does."""
    while octets:
        room = reader.get_buffer()
        size = min(len(room), len(octets))
        room[:size] = octets[:size]
        room.release()
        reader.buffer_updated(size)
        octets = octets[size:]


def whole(octets: bytes) -> list[bytes]:
    return [octets]


def single(octets: bytes) -> list[bytes]:
    return [octets[i : i + 1] for i in range(len(octets))]


def splits(octets: bytes) -> Iterator[list[bytes]]:
    for i in range(1, len(octets)):
        yield [octets[:i], octets[i:]]


def outcome(exc: BaseException) -> tuple[str, str]:
    return type(exc).__name__, str(exc)


def framed(twin: Any, chunks: Iterable[bytes], limits: Limits = READER_LIMITS) -> list[Any]:
    """What responses() gives for `chunks`: responses, then the error if any, then the rest."""
    reader = twin.ResponseReader(limits)
    seen: list[Any] = []
    try:
        for chunk in chunks:
            put(reader, chunk)
            while batch := reader.responses():
                seen += batch
    except ProtocolError as exc:
        return [*seen, outcome(exc)]
    return [*seen, reader.in_response, reader.take_rest()]


def batched(twin: Any, chunks: Iterable[bytes], limits: Limits = READER_LIMITS) -> list[Any]:
    """What batch() gives, the rows one by one; then the error if any, or the rest."""
    reader = twin.ResponseReader(limits)
    seen: list[Any] = []
    try:
        for chunk in chunks:
            put(reader, chunk)
            while batch := reader.batch():
                for response in batch:
                    seen += response if isinstance(response, list) else [response]
    except ProtocolError as exc:
        return [*seen, outcome(exc)]
    return [*seen, reader.in_response, reader.take_rest()]


def drained(twin: Any, chunks: Iterable[bytes], limits: Limits = READER_LIMITS) -> list[Any]:
    """What drain() gives: the dictionary, the lines it leaves to its caller, then the error or the rest."""
    reader = twin.ResponseReader(limits)
    untagged: dict[str, list[Any]] = {}
    lines: list[Any] = []
    try:
        for chunk in chunks:
            put(reader, chunk)
            while (line := reader.drain(untagged)) is not None:
                lines.append(line)
    except ProtocolError as exc:
        return [untagged, lines, outcome(exc)]
    return [untagged, lines, reader.in_response, reader.take_rest()]


def tokenized(twin: Any, fragments: tuple[bytes, ...]) -> Any:
    try:
        return kinds(twin.tokenize(fragments))
    except ParseError as exc:
        return outcome(exc)


def kinds(token: Any) -> list[Any]:
    """The token's parts in their order, each after its class: an atom is equal to a string of the same octets."""
    seen: list[Any] = []
    rest = [token]
    while rest:  # not recursive, and flat: lists nest deep
        part = rest.pop()
        kind = type(part)
        seen.append(kind)
        if kind is tuple:
            seen.append(len(part))
            rest += part[::-1]
        else:
            seen.append(part)
    return seen


def quirks() -> list[bytes]:
    """The octets of tests/corpus/quirks.txt, made whole: a fragment becomes the value of a FETCH item."""
    samples = []
    for line in (CORPUS / "quirks.txt").read_text("utf-8").splitlines():
        if not line.startswith("b"):
            continue
        literal, _, note = line.partition("  # [")
        octets = ast.literal_eval(literal)
        if note.startswith("frag:") and not octets.startswith(b"* "):
            item = note.removeprefix("frag:").partition("]")[0].encode()
            octets = b"* 1 FETCH (" + item + b" " + octets.removesuffix(b"\r\n") + b")\r\n"
        samples.append(octets)
    return samples
