"""Header fields as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ._patterns import pattern
from .text import decoded_field

__all__ = ["Headers"]

_FIELD: Final = pattern(rb"([!-9;-~]+)[ \t]*:(.*(?:\r?\n[ \t].*)*)")


class Headers(Mapping[str, str]):
    """The fields of a header: names in any case, values unfolded and decoded (RFC 2047).

    As a mapping it has the first field of each name; `get_all` has every one. Octets that no charset is named for are
    UTF-8, and where they are not, windows-1252.
    """

    __slots__ = ("_fields",)

    def __init__(self, octets: bytes) -> None:
        end = re.search(rb"(?:\A|\n)\r?\n", octets)
        found = _FIELD.finditer(octets[: end.start() + 1] if end else octets)
        self._fields = tuple((field[1].decode("ascii"), field[2].strip(b" \t\r\n")) for field in found)

    def get_all(self, name: str) -> list[str]:
        """Return the values of every field called `name`, in their order."""
        name = name.lower()
        return [decoded_field(value) or "" for known, value in self._fields if known.lower() == name]

    def octets(self, name: str) -> list[bytes]:
        """Return the values of every field called `name` as they were sent, folds included."""
        name = name.lower()
        return [value for known, value in self._fields if known.lower() == name]

    def __getitem__(self, name: str) -> str:
        found = self.get_all(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        """Yield the names, each once, as the first field spells it."""
        names: dict[str, str] = {}
        for name, _ in self._fields:
            names.setdefault(name.lower(), name)
        return iter(names.values())

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._fields})

    def __repr__(self) -> str:
        return f"<Headers: {', '.join([*self][:8])}>"
