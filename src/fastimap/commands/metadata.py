"""Annotations of mailboxes and of the server: GETMETADATA, SETMETADATA (METADATA, RFC 5464)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ..model._shown import Value
from ..model.response_codes import MetadataCode
from ..model.responses import MailboxName, Metadata, ReadOnlyDict, Response, Tagged
from ..wire import encode
from ..wire.encode import Part
from ._shared import Instruction, decoded, mapping, names
from .base import Command, Session

__all__ = ["GetMetadata", "MetadataResult", "SetMetadata"]

_DEPTHS: dict[object, bytes] = {0: b"0", 1: b"1", "infinity": b"infinity"}


class MetadataResult(Value):
    """The result of GETMETADATA."""

    mailbox: str
    """Name of the mailbox; ``""`` for the server."""
    entries: ReadOnlyDict[str, bytes | None]
    """The value of each entry; None where it has none."""
    longest: int | None = None
    """Octets of the longest value that was left out for `max_size`."""


class GetMetadata(Command[MetadataResult]):
    """Return annotations of a mailbox, or of the server.

    :param mailbox: name of the mailbox; ``""`` for the server.
    :param entries: names such as ``"/private/comment"``.
    :param max_size: leave values of more octets out.
    :param depth: also the entries below those named: 0 for none, 1 for those right below, ``"infinity"`` for all.

    Raises MailboxNotFound. (METADATA or METADATA-SERVER: RFC 5464, section 4.2)
    """

    name = "GETMETADATA"
    repeatable = True

    def __init__(
        self,
        mailbox: MailboxName,
        *entries: str,
        max_size: int | None = None,
        depth: Literal[0, 1, "infinity"] = 0,
    ) -> None:
        if not entries:
            raise ValueError('no entries: GETMETADATA needs names such as "/private/comment"')
        if depth not in _DEPTHS:
            raise ValueError(f"depth is one of {tuple(_DEPTHS)}, not {depth!r}")
        self._mailbox = mailbox
        options: list[Part] = []
        if max_size is not None:
            options += [b"MAXSIZE", encode.number(max_size)]
        if depth:
            options += [b"DEPTH", _DEPTHS[depth]]
        asked = tuple(map(_entry, names(entries, "entries")))
        # The grammar has the options before the mailbox; the examples of the RFC, after it, are erroneous.
        self._arguments: list[Part] = [tuple(options)] if options else []
        self._arguments += [encode.mailbox(mailbox), asked if len(asked) > 1 else asked[0]]
        self._entries: dict[str, bytes | None] = {}

    def requires(self, session: Session) -> Iterable[str]:
        return _requires(self._mailbox, session)

    def parts(self, session: Session) -> Sequence[Part]:
        return [encode.atom(self.name), *self._arguments]

    def take(self, response: Response) -> bool:
        # Names without values are news of changes (RFC 5464, section 4.4.2), and no answer.
        if not isinstance(response, Metadata) or response.changed:
            return False
        self._entries.update(response.entries)
        return True

    def succeed(self, tagged: Tagged, session: Session) -> MetadataResult:
        code = tagged.response_code
        longest = code.size if isinstance(code, MetadataCode) and code.reason == "LONGENTRIES" else None
        return MetadataResult(decoded(self._mailbox), ReadOnlyDict(self._entries), longest)


class SetMetadata(Instruction):
    """Set annotations of a mailbox, or of the server.

    :param mailbox: name of the mailbox; ``""`` for the server.
    :param entries: the new value of each entry, by names such as ``"/private/comment"``; None removes it. A str is
        sent in UTF-8.

    Raises CommandError with code METADATA where a value is too long, or there are too many. (METADATA or
    METADATA-SERVER: RFC 5464, section 4.3)
    """

    name = "SETMETADATA"

    def __init__(self, mailbox: MailboxName, entries: Mapping[str, str | bytes | None]) -> None:
        if not isinstance(entries, Mapping):
            raise TypeError(f'entries are a mapping, such as {{"/private/comment": "x"}}, not {entries!r:.100}')
        if not entries:
            raise ValueError("no entries: SETMETADATA needs at least one")
        pairs = tuple(part for name, value in mapping(entries).items() for part in (_entry(name), _value(value)))
        super().__init__(encode.mailbox(mailbox), pairs)
        self._mailbox = mailbox

    def requires(self, session: Session) -> Iterable[str]:
        return _requires(self._mailbox, session)


def _requires(mailbox: MailboxName, session: Session) -> Iterable[str]:
    if not mailbox and session.has("METADATA-SERVER"):
        return ()
    return ("METADATA",)


def _entry(name: str) -> Part:
    if not encode.text(name).startswith("/") or name.endswith("/") or "//" in name or "*" in name or "%" in name:
        raise ValueError(f"not the name of an entry, such as /private/comment: {name!r}")
    return encode.astring(name)


def _value(value: str | bytes | None) -> Part:
    """Return a value as the grammar has it: nstring or literal8; a value may hold anything."""
    octets = value.encode("utf-8") if isinstance(value, str) else value
    if octets is not None and (b"\0" in octets or b"\r" in octets or b"\n" in octets):
        # Few servers take NUL. Who does not know the literal8 must not get it unsolicited, and take it for a command.
        binary = b"\0" in octets
        return encode.Literal(octets, binary=binary, waits=binary)
    return encode.nstring(value)
