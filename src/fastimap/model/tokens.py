"""What both parsers give and take beside rows: atoms, tokens, and the sinks of literals."""

from __future__ import annotations

from collections.abc import Callable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, TypeAlias

    from .responses import Value

__all__ = ["MAX_SIZE", "Atom", "Sink", "Token", "Write", "plain"]

MAX_SIZE: Final = 2**63 - 1
"""The largest number of a grammar that says no less (RFC 9051, section 9, number64)."""


class Atom(bytes):
    """An atom's octets, as they were sent; strings, quoted and literal, are bytes themselves.

    What an atom is, a number, NIL or a name, is for the grammar of the response to say.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({super().__repr__()})"

    __str__ = __repr__

    @property
    def is_nil(self) -> bool:
        """Whether it spells NIL, in any case."""
        return len(self) == 3 and self.upper() == b"NIL"


Token: TypeAlias = "Atom | bytes | tuple[Token, ...]"

Write: TypeAlias = "Callable[[memoryview], object]"
Sink: TypeAlias = "Callable[[int | None, int | None, str, int], Write | None]"


def plain(token: Token) -> Value:
    """Return data of which no grammar is known as plain values.

    Lists become tuples, strings stay bytes; of the atoms NIL becomes None, a number as it is written canonically
    (``7``, not ``007``) int, where it has 63 bits at most, and all others str (UTF-8, other octets as surrogates).
    """
    if isinstance(token, tuple):
        # Not recursive: lists nest as deep as the limit allows.
        outer: list[tuple[list[Value], Iterator[Token]]] = [([], iter(token))]
        while True:
            values, rest = outer[-1]
            for inner in rest:
                if isinstance(inner, tuple):
                    outer.append(([], iter(inner)))
                    break
                values.append(plain(inner))
            else:
                outer.pop()
                if not outer:
                    return tuple(values)
                outer[-1][0].append(tuple(values))
    if not isinstance(token, Atom):
        return token
    if token.is_nil:
        return None
    if token.isdigit() and (token[0] != 0x30 or len(token) == 1) and len(token) <= 19 and int(token) <= MAX_SIZE:
        return int(token)
    return token.decode("utf-8", "surrogateescape")
