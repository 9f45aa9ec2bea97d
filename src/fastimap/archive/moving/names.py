"""What a mailbox is called on another server: by a rule that can be undone.

The prefix of the personal name space is taken off, the name is split at the delimiter, and put together again with the
prefix and the delimiter of the destination. What would be its delimiter in a level becomes ``%2E`` (``%2F``, ...), and
a ``%`` that would look like that becomes ``%25``. INBOX stays INBOX. Equal names come of equal names alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ...model.mailbox_name import folded

__all__ = ["Shape", "back", "mapped"]

_HEX = "[0-9A-Fa-f]{2}"
_FLAT = "%2F"
"""Between levels where a server has none."""


class Shape(NamedTuple):
    """How a server's names are made: the prefix of the personal name space, and the delimiter."""

    prefix: str = ""
    delimiter: str | None = "/"

    def levels(self, name: str) -> list[str]:
        """Return the levels of a name, as they are spelt on this server."""
        rest = name.removeprefix(self.prefix)
        return rest.split(self.delimiter or _FLAT)

    def name(self, levels: list[str]) -> str:
        return self.prefix + (self.delimiter or _FLAT).join(levels)


def mapped(name: str, source: Shape, destination: Shape) -> str:
    """Return what a mailbox is called at the destination."""
    if name == "INBOX":
        return name
    rest = name.removeprefix(source.prefix)
    levels = rest.split(source.delimiter) if source.delimiter else [rest]
    return destination.name(_escaped(levels, destination))


def back(name: str, source: Shape, destination: Shape) -> str:
    """Return of which name of the source a name at the destination has come."""
    if name == "INBOX":
        return name
    levels = [_plain(level, destination) for level in destination.levels(name)]
    if len(levels) == 1 and re.fullmatch("%(49|69)nbox", levels[0], re.IGNORECASE):
        levels = [("I" if levels[0][1] == "4" else "i") + levels[0][3:]]
    return source.prefix + (source.delimiter or "").join(levels)


def _escaped(levels: list[str], destination: Shape) -> list[str]:
    made = [re.sub(f"%(?={_HEX})", "%25", level) for level in levels]
    if destination.delimiter:
        made = [level.replace(destination.delimiter, _code(destination.delimiter)) for level in made]
    if len(made) == 1 and not destination.prefix and folded(made[0]) == "INBOX":
        made = [_code(made[0][0]) + made[0][1:]]
    return made


def _plain(level: str, destination: Shape) -> str:
    special = destination.delimiter
    code = _code(special) if special else "%25"

    def plain(found: re.Match[str]) -> str:
        return special if special and found[0] == code else "%"

    return re.sub(f"%25(?={_HEX})|{code}" if special else f"%25(?={_HEX})", plain, level)


def _code(character: str) -> str:
    return f"%{ord(character):02X}"
