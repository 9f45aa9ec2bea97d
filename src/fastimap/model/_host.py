"""The name of a host, as the system and TLS take it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

__all__ = ["as_taken"]


def as_taken(host: str, function: Any, module: ModuleType) -> str | bytes:
    """Return a host's name, in ASCII, as octets: of a text Python imports the tables of IDNA, to change nothing.

    One that IDNA refuses stays what it is, and is refused. So does any where a program has put something in the place
    of `module`'s own `function`: that may look at it, and expects text.
    """
    own = getattr(function, "__globals__", None) is vars(module)  # unlike __module__, functools.wraps does not copy it
    if own and host.isascii() and all(0 < len(label) < 64 for label in host.split(".")):
        return host.encode()
    return host
