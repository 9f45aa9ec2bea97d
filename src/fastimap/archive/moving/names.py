"""What a mailbox is called on another server: by a rule that the way back undoes.

The prefix of the personal name space is taken off, the name is split at the delimiter, and put together again with the
prefix and the delimiter of the destination. What would be its delimiter in a level becomes ``%2E`` (``%2F``, ...), and
a ``%2E`` that would look like that becomes ``%252E``; what is so for the source's own delimiter becomes plain. Between
servers with one delimiter names stay as they are. INBOX stays INBOX. Equal names come of equal names alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ...model.mailbox_name import folded

__all__ = ["Shape", "mapped"]

_FLAT = "%2F"
"""Between levels where a server has none."""
_INBOX = re.compile(r"\A%(?:25)*(?:49|69)nbox\Z", re.IGNORECASE)


class Shape(NamedTuple):
    """How a server's names are made: the prefix of the personal name space, and the delimiter."""

    prefix: str = ""
    delimiter: str | None = "/"

    def levels(self, name: str) -> list[str]:
        """Return the levels of a name, whatever stands for them here."""
        levels = name.removeprefix(self.prefix).split(self.delimiter or _FLAT)
        levels = [re.sub(self._code(), _plain, level) for level in levels]
        return [_INBOX.sub(_plain, levels[0])] if len(levels) == 1 and not self.prefix else levels

    def name(self, levels: list[str]) -> str:
        """Return the name of what has these levels."""
        made = [re.sub(self._code(), _escaped, level) for level in levels]
        if self.delimiter:
            made = [level.replace(self.delimiter, f"%{ord(self.delimiter):02X}") for level in made]
        if len(made) == 1 and not self.prefix:
            made = [_INBOX.sub(_escaped, made[0])]
            if folded(made[0]) == "INBOX":
                made = [f"%{ord(made[0][0]):02X}{made[0][1:]}"]
        return self.prefix + (self.delimiter or _FLAT).join(made)

    def _code(self) -> str:
        """Return the pattern of what stands for the delimiter in a level, and of what would look like that."""
        return f"%(?:25)*{ord(self.delimiter):02X}" if self.delimiter else "%(?:25)*2F"


def mapped(name: str, source: Shape, destination: Shape) -> str:
    """Return what a mailbox is called at the destination; from there to the source it is what it was."""
    return name if name == "INBOX" else destination.name(source.levels(name))


def _escaped(found: re.Match[str]) -> str:
    return f"%25{found[0][1:]}"


def _plain(found: re.Match[str]) -> str:
    text = found[0]
    return f"%{text[3:]}" if text.startswith("%25") else chr(int(text[1:3], 16)) + text[3:]
