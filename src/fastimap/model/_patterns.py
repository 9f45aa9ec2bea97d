"""Regular expressions that are compiled when they are first used.

There are a hundred of them, and most programs use a few: to compile them all was a third of the import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from re import compile as pattern
    from typing import Any
else:
    import re

    class _Pattern:
        """A compiled pattern, as far as anybody can see: its methods are those of `re.Pattern`."""

        def __init__(self, text: str | bytes, flags: int = 0) -> None:
            self.pattern = text
            self._given = flags

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            compiled = re.compile(self.pattern, self._given)
            # From here on they are found at once.
            self.__dict__.update({each: getattr(compiled, each) for each in dir(compiled) if not each.startswith("_")})
            return getattr(compiled, name)

        def __repr__(self) -> str:
            return f"pattern({self.pattern!r})"

    pattern = _Pattern


__all__ = ["pattern"]
