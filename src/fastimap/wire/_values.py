"""Parts of responses: what a number, a string, a mailbox name, a set, a list of flags mean (RFC 9051, section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias, TypeVar, cast

from ..model import mailbox_name, words
from ..model.responses import Value
from ..model.sequence_set import SequenceSet, UIDSet
from ..parser import tokenize

__all__ = [
    "MAX_OBJECTS",
    "Data",
    "SetType",
    "capabilities",
    "delimiter_of",
    "flags",
    "for_people",
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


def octets_of(value: Value, line: bytes = b"") -> bytes:
    """Return the octets of a string that the tokenizer read as `value` in `line`.

    An atom such as ``007`` or ``NIL`` is a name where the grammar has a name.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, int):
        spelled = re.search(rb"(?<![^ (])0*%d(?![^ )])" % value, line)
        return spelled[0] if spelled else b"%d" % value
    if value is None:
        return b"NIL"
    raise ValueError("a list where a string must be")


def text_of(value: Value, line: bytes = b"") -> str:
    if isinstance(value, str):
        return value
    return octets_of(value, line).decode("utf-8", "surrogateescape")


def for_people(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def upper(octets: bytes) -> str:
    return octets.upper().decode("utf-8", "surrogateescape")


def number_of(value: Value) -> int:
    """Return a number of at most 63 bits (RFC 9051, section 9, number64)."""
    if isinstance(value, int):
        return value
    if isinstance(value, (bytes, str)):
        text = value if isinstance(value, str) else value.decode("ascii", "replace")
        if len(text) <= 19 and text.isascii() and text.isdigit() and int(text) <= _MAX_NUMBER:
            return int(text)
        if _FLOAT.fullmatch(text) and float(text) <= _MAX_NUMBER:
            return int(float(text))
    raise ValueError(f"not a number: {shown(value)}")


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

    def values(self) -> tuple[Value, ...]:
        return tokenize(self.fragments)

    def octets(self, value: Value) -> bytes:
        return octets_of(value, self.fragments[0])

    def text(self, value: Value) -> str:
        return self.octets(value).decode("utf-8", "surrogateescape")

    def mailbox(self, value: Value) -> tuple[str, bytes]:
        """Return a mailbox's name and its octets."""
        octets = self.octets(value)
        return mailbox(octets, utf8=self.utf8), octets


def pairs(values: tuple[Value, ...]) -> Iterator[tuple[str, Value]]:
    """Yield the (name in upper case, value) of a list in which they alternate."""
    if len(values) % 2:
        raise ValueError("a name without a value")
    for name, value in zip(values[::2], values[1::2], strict=True):
        yield text_of(name).upper(), value


def texts(octets: bytes) -> tuple[str, ...]:
    """Return the strings of a list; the parentheses may be missing, as in an example of RFC 9051, section 6.4.4.4."""
    values = tokens(octets)
    if len(values) == 1 and isinstance(values[0], tuple):
        values = values[0]
    return tuple(map(text_of, values))


def tokens(octets: bytes) -> tuple[Value, ...]:
    return tokenize((octets,))


def one(octets: bytes) -> bytes:
    (value,) = tokens(octets)
    return octets_of(value, octets)


def delimiter_of(value: Value) -> str | None:
    """Return the hierarchy delimiter; NIL and, from some servers, "" mean that there is no hierarchy."""
    return None if value is None else text_of(value) or None
