"""The octets of a message, seen as MIME parts (RFC 2045, RFC 2046), each with its exact place in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .envelope import Field, write_envelope
from .grammar import write_nstring, write_string

_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:((?:[^\n]*\n(?=[ \t]))*[^\n]*(?:\n|\Z))", re.MULTILINE)
_EMPTY_LINE = re.compile(rb"^\r?\n", re.MULTILINE)
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_MEDIA_TYPE = re.compile(rb"\s*([^\s/;()\"]+)\s*/\s*([^\s/;()\"]+)")
_DISPOSITION = re.compile(rb"\s*([^\s;()\"]+)")
_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_COMMENT_START = re.compile(rb"(?<!\s)\s+\(")
_BACKSLASH = re.compile(rb"\\(.)", re.DOTALL)

# Parts nested deeper than this are not looked into, so that no message can exhaust Python's stack.
MAX_DEPTH = 64

Parameters = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Part:
    """A body part or a whole message: ``octets[start:body]`` is its header, ``octets[body:end]`` its body."""

    octets: bytes = field(repr=False)
    start: int
    body: int
    end: int
    fields: list[Field]
    type: bytes
    subtype: bytes
    parameters: Parameters
    parts: list[Part]
    """The parts of a multipart."""
    message: Part | None = None
    """What a message/rfc822 part holds."""

    def value(self, name: bytes) -> bytes | None:
        """The value of the first field called `name` (lower case), or None."""
        return next((found.value for found in self.fields if found.name == name), None)

    def header_octets(self) -> bytes:
        return self.octets[self.start : self.body]

    def body_octets(self) -> bytes:
        return self.octets[self.body : self.end]

    def header_subset(self, names: Collection[bytes], *, wanted: bool) -> bytes:
        """The fields with these lower-case `names` (``wanted=False``: the others), and an empty line."""
        chosen = [found.octets for found in self.fields if (found.name in names) is wanted]
        if chosen and not chosen[-1].endswith(b"\n"):
            chosen.append(b"\r\n")
        return b"".join([*chosen, b"\r\n"])

    def find(self, path: Sequence[int]) -> Part | None:
        """The part of this message with the part numbers `path` (RFC 3501, section 6.4.5), or None."""
        part: Part = self
        within: Part | None = self
        for number in path:
            if within is None:
                return None
            if within.parts:
                if number > len(within.parts):
                    return None
                part = within.parts[number - 1]
            elif number == 1:
                part = within
            else:
                return None
            within = part.message or (part if part.parts else None)
        return part


class Content:
    """The octets of a message, and what FETCH reads out of them: worked out once, when first asked for."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    @cached_property
    def root(self) -> Part:
        return _parse(self.octets, 0, len(self.octets), (b"text", b"plain"), 0)

    @cached_property
    def envelope(self) -> bytes:
        """The value of ENVELOPE."""
        return write_envelope(self.root.fields)

    @cached_property
    def body(self) -> bytes:
        """The value of BODY."""
        return _write_body(self.root, extended=False)

    @cached_property
    def body_structure(self) -> bytes:
        """The value of BODYSTRUCTURE."""
        return _write_body(self.root, extended=True)


def _parse(octets: bytes, start: int, end: int, default: tuple[bytes, bytes], depth: int) -> Part:
    """Return the part or message in ``octets[start:end]``; `default` is its type unless it names another."""
    empty_line = _EMPTY_LINE.search(octets, start, end)
    header_end = empty_line.start() if empty_line else end
    body = empty_line.end() if empty_line else end
    fields = [Field(found[1].lower(), found[0]) for found in _FIELD.finditer(octets, start, header_end)]
    part = Part(octets, start, body, end, fields, *default, [], [])
    content_type = part.value(b"content-type")
    if content_type is not None and (media_type := _MEDIA_TYPE.match(content_type)):
        part.type, part.subtype = media_type[1], media_type[2]
        part.parameters = _parameters(content_type)
    elif default == (b"text", b"plain"):
        part.parameters = [(b"charset", b"us-ascii")]
    if depth < MAX_DEPTH:
        _parse_inside(part, depth + 1)
    elif part.type.lower() == b"multipart":
        part.type, part.subtype = b"application", b"octet-stream"
    return part


def _parse_inside(part: Part, depth: int) -> None:
    kind = (part.type.lower(), part.subtype.lower())
    if kind == (b"message", b"rfc822"):
        part.message = _parse(part.octets, part.body, part.end, (b"text", b"plain"), depth)
    elif kind[0] == b"multipart":
        boundary = next((value for name, value in part.parameters if name.lower() == b"boundary"), b"")
        if not boundary:
            # Without a boundary the field is invalid, and the type is the default (RFC 2045, section 5.2).
            part.type, part.subtype, part.parameters = b"text", b"plain", [(b"charset", b"us-ascii")]
            return
        default = (b"message", b"rfc822") if kind[1] == b"digest" else (b"text", b"plain")
        spans = list(_spans(part, boundary)) or [(part.end, part.end)]
        part.parts = [_parse(part.octets, start, end, default, depth) for start, end in spans]


def _spans(part: Part, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each part of a multipart starts and ends (RFC 2046, section 5.1.1)."""
    octets, delimiter = part.octets, b"--" + boundary
    opened = -1
    position = part.body
    while (found := octets.find(delimiter, position, part.end)) != -1:
        position = found + len(delimiter)
        at_line_start = found == part.body or octets[found - 1 : found] == b"\n"
        behind = _AFTER_BOUNDARY.match(octets, position, part.end)
        if not at_line_start or behind is None:
            continue
        if opened != -1:
            # The line end before a delimiter belongs to the delimiter.
            line_end = 2 if octets[found - 2 : found] == b"\r\n" else 1
            yield opened, max(opened, found - line_end)
        if behind[1]:
            return
        opened = position = behind.end()
    if opened != -1:
        yield opened, part.end


def _parameters(value: bytes) -> Parameters:
    found = []
    for match in _PARAMETER.finditer(value):
        text = match[2].strip()
        if text.startswith(b'"') and text.endswith(b'"') and len(text) > 1:
            text = _BACKSLASH.sub(rb"\1", text[1:-1])
        elif text.endswith(b")"):
            text = _COMMENT_START.split(text, maxsplit=1)[0]
        found.append((match[1], text))
    return found


def _write_body(part: Part, *, extended: bool) -> bytes:
    """Return the grammar's `body` for `part` (RFC 3501, section 7.4.2)."""
    if part.parts:
        parts = b"".join(_write_body(inner, extended=extended) for inner in part.parts)
        items = [parts, write_string(part.subtype)]
        if extended:
            items.append(_write_parameters(part.parameters))
    else:
        items = _basic_fields(part)
        if part.message is not None:
            items += [write_envelope(part.message.fields), _write_body(part.message, extended=extended)]
        if part.message is not None or part.type.lower() == b"text":
            items.append(b"%d" % part.octets.count(b"\n", part.body, part.end))
        if extended:
            items.append(write_nstring(part.value(b"content-md5")))
    if extended:
        items += [
            _write_disposition(part.value(b"content-disposition")),
            _write_language(part.value(b"content-language")),
            write_nstring(part.value(b"content-location")),
        ]
    return b"(" + b" ".join(items) + b")"


def _basic_fields(part: Part) -> list[bytes]:
    return [
        write_string(part.type),
        write_string(part.subtype),
        _write_parameters(part.parameters),
        write_nstring(part.value(b"content-id")),
        write_nstring(part.value(b"content-description")),
        write_string(part.value(b"content-transfer-encoding") or b"7bit"),
        b"%d" % (part.end - part.body),
    ]


def _write_parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(" + b" ".join(write_string(item) for parameter in parameters for item in parameter) + b")"


def _write_disposition(value: bytes | None) -> bytes:
    disposition = _DISPOSITION.match(value or b"")
    if value is None or disposition is None:
        return b"NIL"
    return b"(" + write_string(disposition[1]) + b" " + _write_parameters(_parameters(value)) + b")"


def _write_language(value: bytes | None) -> bytes:
    tags = [tag.strip() for tag in (value or b"").split(b",") if tag.strip()]
    if not tags:
        return b"NIL"
    return b"(" + b" ".join(write_string(tag) for tag in tags) + b")"
