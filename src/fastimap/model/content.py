"""What people see of a message: its texts and its attachments, of a body structure or of the octets of the whole.

The functions read attributes of rows and body structures, and know nothing of how those are made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ._elsewhere import named_elsewhere, names_here
from ._patterns import pattern
from ._shown import Value
from .text import codec_of, decoded_text, unknown_charsets

if TYPE_CHECKING:
    from email.message import Message

    from .message import BodyStructure, Defect, Disposition, FetchedMessage

__all__ = [
    "Attachment",
    "attached",
    "attachments",
    "body_text",
    "safe_name",
    "shown_texts",
    "text_defects",
    "text_view",
]


class Attachment(Value, unshown=("content",)):
    """A file, or a message, that is attached to a message."""

    __dir__ = names_here

    name: str
    """A name for a file, made of the one in the message: without separators of paths, control characters and the like,
    at most 200 octets in UTF-8. Never empty; two attachments may have the same."""
    part: str
    """The number of its part: what goes between the brackets of ``BODY[...]``."""
    media_type: str
    """Such as ``"application/pdf"``; what the message says, whatever is in the file."""
    size: int | None
    """Octets as they are transferred: in base64 a third more than the file, whose own are ``len(content)``. None where
    the message was not fetched, and its structure does not say (of a multipart)."""
    content: bytes | None = None
    """The file's octets; None where its part was not fetched."""
    disposition: str | None = None
    """The type of Content-Disposition in lower case: ``"attachment"``, ``"inline"``; None without one (RFC 2183)."""
    content_id: str | None = None
    """The Content-ID with its angle brackets, which a ``cid:`` URL lacks (RFC 2392); None without one."""


named_elsewhere(Attachment, "Attachment")


# ------------------------------------------------------------------------------------------------------ names

# Separators, what Windows refuses, controls, and what turns or hides a name's letters: directions, joiners, tags.
_UNSAFE: Final = pattern(
    '[/\\\\<>:"|?*\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff'
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_RESERVED: Final = pattern(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE)
_LONGEST_NAME: Final = 200


def safe_name(name: str) -> str:
    """Return `name` as the name of a file on any system; "" where nothing is left of it."""
    name = _UNSAFE.sub("_", name).strip(" .")
    if not name.strip("_"):
        return ""
    if _RESERVED.match(name):
        name = f"_{name}"
    if len(name.encode()) > _LONGEST_NAME:
        stem, dot, extension = name.rpartition(".")
        if not dot or len(extension.encode()) > 16:
            stem, dot, extension = name, "", ""
        room = _LONGEST_NAME - len(f"{dot}{extension}".encode())
        name = stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + dot + extension
    return name


def _name(part: BodyStructure) -> str:
    name = safe_name(part.filename or "")
    if name:
        return name
    if part.type == "message" and part.subtype in ("rfc822", "global"):
        subject = part.envelope.subject if part.envelope is not None else None
        return f"{safe_name(subject or '') or 'message'}.eml"
    return f"part {part.part or '1'}"


# ------------------------------------------------------------------------------------------------ which parts


def shown_texts(root: BodyStructure, subtype: str) -> list[BodyStructure]:
    """Return the parts that make up the text of a message in one form, ``"plain"`` or ``"html"``, in order."""
    attached_parts = {id(part) for part in attachments(root)}
    return [part for part, _ in root._texts() if part.subtype == subtype and id(part) not in attached_parts]


def attachments(root: BodyStructure) -> list[BodyStructure]:
    """Return the parts that a person calls attachments, in order; an attached message is one, whatever is in it."""
    found = []
    # With each part: what it is in, and whether it is one of the forms of a multipart/alternative.
    stack: list[tuple[BodyStructure, BodyStructure | None, bool]] = [(root, None, False)]
    seen_text = False
    while stack:
        part, parent, is_form = stack.pop()
        disposition = part.disposition[0] if part.disposition is not None else None
        if disposition == "attachment":
            found.append(part)
        elif part.type == "multipart":
            forms = is_form or part.subtype == "alternative"
            stack.extend((inner, part, forms) for inner in reversed(part.parts))
        elif _is_body(part, parent, is_form, seen_text):
            seen_text = seen_text or part.type == "text"
        elif disposition is None or (disposition == "inline" and part.filename) or part.type == "message":
            found.append(part)
    return found


def _is_body(part: BodyStructure, parent: BodyStructure | None, is_form: bool, seen_text: bool) -> bool:
    """Whether a part without the disposition "attachment" belongs to what is shown, or to how it is transferred."""
    if part.type == "text" and part.subtype in ("plain", "html"):
        return is_form or not seen_text or not part.filename
    if is_form and part.type == "text":
        return True  # a calendar, enriched text
    if parent is None or (part.type == "message" and part.subtype in ("rfc822", "global")):
        return False
    if parent.subtype == "related" and part.type != "message":
        # A picture in the text; a file that only stands there has neither a Content-ID nor a place in the text.
        return part.content_id is not None or part is parent.parts[0]
    if parent.subtype == "report":
        return part.type in ("message", "text") and not part.filename
    if parent.subtype in ("signed", "encrypted"):
        return part.media_type in _OF_SECURITY
    return False


_OF_SECURITY: Final = frozenset(
    {
        "application/pgp-encrypted",
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
    }
)


# ------------------------------------------------------------------------------------------------- their octets


def text_view(row: FetchedMessage, subtype: str) -> str | None:
    """Return the text of a message in one form, lines ending in LF; "" where it has none, None where it is not here."""
    view = _View(row)
    if view.root is None:
        return None
    pieces = []
    for part in shown_texts(view.root, subtype):
        content = view.content(part)
        if content is None:
            return None
        pieces.append(body_text(content, part.params.get("charset")).replace("\r\n", "\n"))
    return "".join(piece if piece.endswith("\n") else f"{piece}\n" for piece in pieces[:-1]) + "".join(pieces[-1:])


def attached(row: FetchedMessage) -> tuple[Attachment, ...] | None:
    """Return the attachments of a message; None where the row has neither its octets nor its body structure."""
    view = _View(row)
    if view.root is None:
        return None
    return tuple(
        Attachment(
            _name(part),
            part.part or "1",
            part.media_type,
            view.size(part),
            view.content(part),
            part.disposition[0] if part.disposition is not None else None,
            part.content_id,
        )
        for part in attachments(view.root)
    )


def body_text(content: bytes, label: str | None) -> str:
    """Return a part's `content`, its transfer encoding undone, as text in the charset that `label` names.

    Without a label it is UTF-8, and what is not, windows-1252. Of an unknown charset what is no UTF-8 is U+FFFD.
    """
    label = (label or "").strip(' "')
    codec = codec_of(label) if label else "ascii"
    text = decoded_text(content, codec) if codec is not None else content.decode("utf-8", "replace")
    return text.removeprefix("\ufeff")


class _View:
    """A message as far as a row holds it: its structure, and the octets of its parts."""

    def __init__(self, row: FetchedMessage) -> None:
        self._row = row
        self._leaves: dict[int, Message] | None = None
        whole = row.body
        if whole is None:
            header, text = row.header_octets, row.section("TEXT")
            whole = header + text if header is not None and text is not None else None
        if whole is None:
            self.root = row.body_structure
        else:
            self._leaves = {}
            self.root = _parsed(whole, self._leaves)

    def content(self, part: BodyStructure) -> bytes | None:
        """Return the octets of a part, its transfer encoding undone; None where they are not there."""
        if self._leaves is not None:
            leaf = self._leaves.get(id(part))
            return part.decode(_octets(leaf)) if leaf is not None else None
        number = part.part or "1"
        content = self._row.binary(number)
        if content is not None:
            return content
        octets = self._row.section(number)
        if octets is None and number == "1" and part is self.root:
            octets = self._row.section("TEXT")
        return part.decode(octets) if octets is not None else None

    def size(self, part: BodyStructure) -> int | None:
        """Return how many octets of a part are transferred."""
        leaf = self._leaves.get(id(part)) if self._leaves is not None else None
        return part.size if leaf is None else len(_octets(leaf))


def _parsed(octets: bytes, leaves: dict[int, Message]) -> BodyStructure:
    """Return the structure of a message; fill `leaves` with its parts, by the identity of their structures."""
    from email.parser import BytesParser
    from email.policy import Compat32

    class Raw(Compat32):
        """Header fields as they stand."""

        def header_fetch_parse(self, name: str, value: str) -> str:
            return value

    parser = BytesParser(policy=Raw())
    try:
        return _structure(parser.parsebytes(octets), "", leaves)
    except RecursionError:  # nested deeper than Python recurses: its header, and all after it in one piece
        leaves.clear()
        return _structure(parser.parsebytes(octets, headersonly=True), "", leaves)


def _structure(message: Any, number: str, leaves: dict[int, Message]) -> BodyStructure:
    from .message import BodyStructure

    kind, _, subtype = message.get_content_type().partition("/")
    parameters, (disposition, its_parameters) = (
        _fields(message, "content-type")[1],
        _fields(message, "content-disposition"),
    )
    parts: tuple[BodyStructure, ...] = ()
    size = None
    if kind == "multipart" and message.is_multipart():
        numbers = (f"{number}.{index}".lstrip(".") for index in range(1, len(message.get_payload()) + 1))
        parts = tuple(_structure(part, its, leaves) for part, its in zip(message.get_payload(), numbers, strict=True))
    elif kind == "multipart":
        kind, subtype = "text", "plain"  # there is nothing that would part it
    number = number if kind == "multipart" else number or "1"
    if subtype in ("rfc822", "global") and message.is_multipart():
        inner = message.get_payload(0)
        parts = (_structure(inner, number if inner.get_content_maintype() == "multipart" else f"{number}.1", leaves),)
    encoding = str(message.get("content-transfer-encoding", "7bit")).strip().lower()
    made = BodyStructure(
        number,
        kind,
        subtype,
        parameters,
        _raw(message.get("content-id")),
        _raw(message.get("content-description")),
        "" if kind == "multipart" else encoding,
        size,
        None,
        None,
        parts,
        None,
        (disposition, its_parameters) if disposition else None,
        (),
        None,
        (),
    )
    leaves[id(made)] = message
    return made


def _fields(message: Any, name: str) -> Disposition:
    """Return the value of a header field in lower case, and its parameters as octets."""
    try:
        found = message.get_params(header=name)
    except Exception:  # it is a program of many branches, and raises what it happens to stumble over
        return "", ()
    if not found:
        return "", ()
    from urllib.parse import quote_from_bytes

    parameters: list[tuple[str, bytes]] = []
    for key, value in found[1:]:
        if isinstance(value, tuple):
            charset, _, text = value
            octets = quote_from_bytes(text.encode("latin-1", "replace"))
            parameters.append((f"{key.lower()}*", f"{charset or ''}''{octets}".encode("ascii", "replace")))
        else:
            parameters.append((key.lower(), _raw(value) or b""))
    return str(found[0][0]).lower(), tuple(parameters)


def _raw(value: str | None) -> bytes | None:
    return None if value is None else value.encode("utf-8", "surrogateescape")


def _octets(message: Any) -> bytes:
    """Return what is in a part as it is transferred."""
    if message.is_multipart():
        from email.policy import compat32

        lines = compat32.clone(linesep="\r\n", max_line_length=None)
        if message.get_content_maintype() == "multipart":
            octets = message.as_bytes(policy=lines)
            return octets.partition(b"\r\n\r\n")[2] if isinstance(octets, bytes) else b""
        return b"".join(part.as_bytes(policy=lines) for part in message.get_payload())
    # Without these email would undo the transfer encoding, and look for the charset.
    del message["content-transfer-encoding"], message["content-type"]
    octets = message.get_payload(decode=True)
    return octets if isinstance(octets, bytes) else b""


# --------------------------------------------------------------------------------------------------- defects


def text_defects(row: FetchedMessage) -> Iterator[Defect]:
    """Yield what can't be read as text in a row: charsets that are not known, in header fields and in parts."""
    from .message import Defect

    def unknown(item: str, octets: bytes | None, of: str = "") -> Iterator[Defect]:
        for label in unknown_charsets(octets):
            yield Defect(item, f"{of}the charset {label[:60]!r} is not known", (octets or b"")[:80])

    envelope = row.envelope
    if envelope is not None:
        yield from unknown("ENVELOPE", envelope.subject_octets)
        addresses = (envelope.from_, envelope.sender, envelope.reply_to, envelope.to, envelope.cc, envelope.bcc)
        for address in {address: None for each in addresses for address in each}:
            yield from unknown("ENVELOPE", address.name_octets)
    view = _View(row)
    if view.root is None:
        return
    item = "BODYSTRUCTURE" if row.body is None else "BODY[]"
    for part in view.root.walk():
        of = f"part {part.part or '1'}: "
        label = part.params.get("charset", "").strip(' "')
        if label and part.type == "text" and codec_of(label) is None:
            yield Defect(item, f"{of}the charset {label[:60]!r} is not known", label.encode("utf-8", "replace")[:80])
        yield from unknown(item, part.description_octets, of)
        for _, value in (*part.parameters, *(part.disposition[1] if part.disposition else ())):
            yield from unknown(item, value, of)
