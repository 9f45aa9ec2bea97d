"""FETCH: message data items, read from the command and written into the response.

RFC 3501, sections 6.4.5 and 7.4.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .content import Part
from .grammar import Arguments, Bad, write_date_time, write_string
from .mailbox import Message, View

_ITEM_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9.]*")
_PART_NUMBERS = re.compile(rb"[1-9]\d{0,8}(?:\.[1-9]\d{0,8})*(?=[.\]])")
_PARTIAL = re.compile(rb"<(\d{1,10})\.([1-9]\d{0,9})>")

_MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}

Write = Callable[[View, Message], tuple[bytes, ...]]
"""Writes the value of an item, as pieces that are sent in a row."""


class Item(NamedTuple):
    """One message data item that the client asked for."""

    label: bytes
    """The item as the response names it."""
    write: Write
    sets_seen: bool = False
    """Whether fetching it sets ``\\Seen``."""


def _octets(octets: bytes) -> tuple[bytes, ...]:
    """`octets` as a literal, without a copy of them."""
    return b"{%d}\r\n" % len(octets), octets


_SIMPLE_ITEMS: dict[str, Item] = {
    "FLAGS": Item(b"FLAGS", lambda view, message: (view.flags(message),)),
    "UID": Item(b"UID", lambda view, message: (b"%d" % message.uid,)),
    "INTERNALDATE": Item(b"INTERNALDATE", lambda view, message: (write_date_time(message.internal_date),)),
    "RFC822.SIZE": Item(b"RFC822.SIZE", lambda view, message: (b"%d" % len(message.content.octets),)),
    "ENVELOPE": Item(b"ENVELOPE", lambda view, message: (message.content.envelope,)),
    "BODY": Item(b"BODY", lambda view, message: (message.content.body,)),
    "BODYSTRUCTURE": Item(b"BODYSTRUCTURE", lambda view, message: (message.content.body_structure,)),
    "RFC822": Item(b"RFC822", lambda view, message: _octets(message.content.octets), sets_seen=True),
    "RFC822.HEADER": Item(b"RFC822.HEADER", lambda view, message: _octets(message.content.root.header_octets())),
    "RFC822.TEXT": Item(
        b"RFC822.TEXT", lambda view, message: _octets(message.content.root.body_octets()), sets_seen=True
    ),
}

FLAGS = _SIMPLE_ITEMS["FLAGS"]
UID = _SIMPLE_ITEMS["UID"]


def read_items(arguments: Arguments) -> list[Item]:
    """Read what the client wants of each message: a macro, one item, or a list of them."""
    if not arguments.take(b"("):
        name = _item_name(arguments)
        if name in _MACROS:
            return [_SIMPLE_ITEMS[item] for item in _MACROS[name]]
        return [_read_item(arguments, name)]
    items = [_read_item(arguments, _item_name(arguments))]
    while not arguments.take(b")"):
        arguments.space()
        items.append(_read_item(arguments, _item_name(arguments)))
    return items


def write_response(view: View, number: int, message: Message, items: Iterable[Item]) -> Iterator[bytes]:
    """Yield the pieces of the untagged FETCH response for the message with this sequence number."""
    yield b"* %d FETCH (" % number
    separator = b""
    for item in items:
        yield b"%b%b " % (separator, item.label)
        yield from item.write(view, message)
        separator = b" "
    yield b")\r\n"


def _item_name(arguments: Arguments) -> str:
    return arguments.match(_ITEM_NAME, "a message data item")[0].decode().upper()


def _read_item(arguments: Arguments, name: str) -> Item:
    if name in ("BODY", "BODY.PEEK") and arguments.take(b"["):
        return _read_section(arguments, sets_seen=name == "BODY")
    try:
        return _SIMPLE_ITEMS[name]
    except KeyError:
        raise Bad(f"FETCH has no item {name}") from None


def _read_section(arguments: Arguments, *, sets_seen: bool) -> Item:
    """Read the rest of ``BODY[section]<origin.length>``, from after the bracket."""
    path: list[int] = []
    label = b""
    if arguments.next_is(b"123456789"):
        label = arguments.match(_PART_NUMBERS, "part numbers")[0]
        path = [int(number) for number in label.split(b".")]
    if path and arguments.take(b"."):
        label += b"."
        text, extract = _read_section_text(arguments, mime_allowed=True)
    elif arguments.next_is(b"]"):
        text, extract = b"", _whole_part if path else _whole_message
    else:
        text, extract = _read_section_text(arguments, mime_allowed=False)
    arguments.expect(b"]")
    label = b"BODY[%b%b]" % (label, text)
    origin, end = 0, None
    if arguments.next_is(b"<"):
        partial = arguments.match(_PARTIAL, "a partial")
        origin = int(partial[1])
        end = origin + int(partial[2])
        label += b"<%d>" % origin

    def write(view: View, message: Message) -> tuple[bytes, ...]:
        part = message.content.root.find(path)
        octets = None if part is None else extract(part, bool(path))
        return (b"NIL",) if octets is None else _octets(octets[origin:end])

    return Item(label, write, sets_seen)


Extract = Callable[[Part, bool], bytes | None]
"""Takes a section out of a part; the bool says whether part numbers led to it. None: no such section."""


def _whole_message(part: Part, numbered: bool) -> bytes | None:
    return part.octets


def _whole_part(part: Part, numbered: bool) -> bytes | None:
    return part.body_octets()


def _message_of(part: Part, numbered: bool) -> Part | None:
    """The message that HEADER and TEXT are about: after part numbers, the one that the part holds."""
    return part.message if numbered else part


def _header(part: Part, numbered: bool) -> bytes | None:
    message = _message_of(part, numbered)
    return None if message is None else message.header_octets()


def _text(part: Part, numbered: bool) -> bytes | None:
    message = _message_of(part, numbered)
    return None if message is None else message.body_octets()


def _mime(part: Part, numbered: bool) -> bytes | None:
    return part.header_octets()


def _read_section_text(arguments: Arguments, *, mime_allowed: bool) -> tuple[bytes, Extract]:
    """Read HEADER, TEXT or their like; return it as the response writes it, and how to take it out."""
    name = _item_name(arguments)
    if name in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
        arguments.space()
        names = _read_field_names(arguments)
        wanted = name == "HEADER.FIELDS"
        chosen = {field.lower() for field in names}

        def fields(part: Part, numbered: bool) -> bytes | None:
            message = _message_of(part, numbered)
            return None if message is None else message.header_subset(chosen, wanted=wanted)

        return b"%b (%b)" % (name.encode(), b" ".join(_write_field_name(field) for field in names)), fields
    if name == "MIME" and not mime_allowed:
        raise Bad("MIME needs a part number")
    extracts: dict[str, Extract] = {"HEADER": _header, "TEXT": _text, "MIME": _mime}
    if name not in extracts:
        raise Bad(f"A section has no {name}")
    return name.encode(), extracts[name]


def _read_field_names(arguments: Arguments) -> list[bytes]:
    arguments.expect(b"(")
    names = [arguments.astring()]
    while not arguments.take(b")"):
        arguments.space()
        names.append(arguments.astring())
    return names


def _write_field_name(name: bytes) -> bytes:
    return name if re.fullmatch(rb"[A-Za-z0-9_-]+", name) else write_string(name)
