"""How values show themselves: a line without the fields that say nothing."""

from __future__ import annotations

import reprlib
from dataclasses import MISSING, fields

__all__ = ["Shown"]

_brief = reprlib.Repr()
_brief.maxstring = 100
_brief.maxother = 300
_brief.maxtuple = _brief.maxfrozenset = 8


class Shown:
    """Gives a dataclass a repr without the fields that say nothing, and with long values cut."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self._show()

    def _show(self, hidden: tuple[str, ...] = ()) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, field.name)
            factory = field.default_factory
            default = factory() if factory is not MISSING else field.default
            if field.repr and field.name not in hidden and (default is MISSING or value != default):
                shown.append(f"{field.name}={_brief.repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"
