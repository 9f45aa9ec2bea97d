"""Parts of responses: what a number, a string, a mailbox name, a set, a list of flags mean (RFC 9051, section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias, TypeVar, cast

from ..model import mailbox_name, words
from ..model.sequence_set import SequenceSet, UIDSet
from ..parser import Atom, Token, tokenize

__all__ = [
    "MAX_OBJECTS",
    "Data",
    "SetType",
    "capabilities",
    "delimiter_of",
    "flags",
    "for_people",
    "is_nil",
    "mailbox",
    "number_of",
    "number_set",
    "octets_of",
    "one",
    "pairs",
    "shown",
    "text_of",
    "texts",
    "tokens",
    "upper",
]

_FLOAT = re.compile(r"[0-9](?:\.[0-9]{1,18})?e\+?[0-9]{1,2}", re.IGNORECASE)
_MAX_NUMBER = 2**63 - 1

# Of what takes 50 times as much memory as octets, and of which no server has thousands.
MAX_OBJECTS = 100_000

S = TypeVar("S", bound=UIDSet | SequenceSet)


def number_set(kind: type[S], octets: bytes) -> S:
    """Return the set that a server sent; "*" has no meaning there."""
    numbers: Any = kind.parse(octets)  # a union of classes as the bound hides that it is an S
    if numbers.has_star:
        raise ValueError('"*" in a set from the server')
    return cast(S, numbers)


SetType: TypeAlias = type[UIDSet] | type[SequenceSet]


def mailbox(octets: bytes, *, utf8: bool = False) -> str:
    """Return the mailbox name that `octets` are: modified UTF-7, or UTF-8 where it is not that or `utf8` is set.

    Octets that are neither become lone surrogates. ``INBOX`` in any case is ``INBOX`` (RFC 9051, section 5.1).
    """
    if len(octets) == 5 and octets.upper() == b"INBOX":
        return "INBOX"
    if b"&" in octets and not utf8:
        try:
            return mailbox_name.decode(octets)
        except ValueError:
            pass
    return octets.decode("utf-8", "surrogateescape")


def is_nil(token: Token) -> bool:
    return isinstance(token, Atom) and token.is_nil


def octets_of(token: Token) -> bytes:
    """Return the octets of a string or an atom; ``007`` and ``NIL`` are names where the grammar has a name."""
    if isinstance(token, bytes):
        return bytes(token)
    raise ValueError("a list where a string must be")


def text_of(token: Token) -> str:
    return octets_of(token).decode("utf-8", "surrogateescape")


def for_people(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def upper(octets: bytes) -> str:
    return octets.upper().decode("utf-8", "surrogateescape")


def number_of(token: Token) -> int:
    """Return a number of at most 63 bits (RFC 9051, section 9, number64)."""
    if isinstance(token, bytes):
        text = token.decode("ascii", "replace")
        digits = text.lstrip("0") or "0"
        if len(digits) <= 19 and token.isdigit() and int(digits) <= _MAX_NUMBER:
            return int(digits)
        if _FLOAT.fullmatch(text) and float(text) <= _MAX_NUMBER:
            return int(float(text))
    raise ValueError(f"not a number: {shown(token)}")


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def capabilities(octets: bytes) -> frozenset[str]:
    return frozenset(map(upper, octets.split()))


_SYSTEM_FLAGS: Final = {flag.upper(): flag for flag in words.SYSTEM_FLAGS}


def flags(octets: bytes) -> frozenset[str]:
    """Return the flags of a parenthesised list; not by the tokenizer, as ``123`` and ``NIL`` are keywords too."""
    octets = octets.strip(b" ")
    if not (octets.startswith(b"(") and octets.endswith(b")")) or b"(" in octets[1:] or b")" in octets[:-1]:
        raise ValueError("not a list of flags")
    return frozenset(_SYSTEM_FLAGS.get(flag.upper(), flag) for flag in map(text_of, octets[1:-1].split()))


class Data:
    """An untagged response: what stands around its name."""

    __slots__ = ("fragments", "name", "octets_of_number", "utf8")

    def __init__(self, name: str, number: bytes | None, fragments: tuple[bytes, ...], utf8: bool) -> None:
        self.name = name
        self.octets_of_number = number
        self.fragments = fragments
        """What follows the name."""
        self.utf8 = utf8

    @property
    def number(self) -> int:
        """The number in front of the name."""
        if self.octets_of_number is None:
            raise ValueError("no number in front of it")
        return number_of(self.octets_of_number)

    @property
    def line(self) -> bytes:
        """What follows the name, where the grammar has no literal."""
        if len(self.fragments) > 1:
            raise ValueError("a literal where none can be")
        return self.fragments[0]

    def tokens(self) -> tuple[Token, ...]:
        return tokenize(self.fragments)

    def mailbox(self, token: Token) -> tuple[str, bytes]:
        """Return a mailbox's name and its octets."""
        octets = octets_of(token)
        return mailbox(octets, utf8=self.utf8), octets


def pairs(tokens: tuple[Token, ...]) -> Iterator[tuple[str, Token]]:
    """Yield the (name in upper case, value) of a list in which they alternate."""
    if len(tokens) % 2:
        raise ValueError("a name without a value")
    for name, value in zip(tokens[::2], tokens[1::2], strict=True):
        yield text_of(name).upper(), value


def texts(octets: bytes) -> tuple[str, ...]:
    """Return the strings of a list; the parentheses may be missing, as in an example of RFC 9051, section 6.4.4.4."""
    values = tokens(octets)
    if len(values) == 1 and isinstance(values[0], tuple):
        values = values[0]
    return tuple(map(text_of, values))


def tokens(octets: bytes) -> tuple[Token, ...]:
    return tokenize((octets,))


def one(octets: bytes) -> bytes:
    (token,) = tokens(octets)
    return octets_of(token)


def delimiter_of(token: Token) -> str | None:
    """Return the hierarchy delimiter; NIL and, from some servers, "" mean that there is no hierarchy."""
    if isinstance(token, Atom) and token.isdigit():
        raise ValueError("a number where a delimiter must be")
    return None if is_nil(token) else text_of(token) or None
