"""What tokens mean where a grammar has a number, a string, a mailbox, a set, a list of flags (RFC 9051, section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias, TypeVar, cast

from ..model import mailbox_name, words
from ..model._patterns import pattern
from ..model.sequence_set import SequenceSet, UIDSet
from ..parser import Atom, Token, tokenize

__all__ = [
    "MAX_OBJECTS",
    "Data",
    "SetType",
    "capabilities",
    "count_of",
    "delimiter_of",
    "flags",
    "for_people",
    "is_nil",
    "mailbox",
    "nstring_of",
    "number_of",
    "number_set",
    "object_id",
    "octets_of",
    "one",
    "pairs",
    "shown",
    "text_of",
    "texts",
    "tokens",
    "upper",
]

_ODD_NAME: Final = pattern(rb'[^ "(){][^ ()]*+[()][^ ]*+')
"""A mailbox name with parentheses and without quotes, at the beginning of what follows a response's name.

It goes on to the next space: in the grammar an atom is never next to a parenthesis there.
"""
MAX_OBJECTS: Final = 100_000
"""Of what takes 50 times as much memory as octets, and of which no server has thousands."""

SetType: TypeAlias = type[UIDSet] | type[SequenceSet]

_FLOAT = pattern(rb"[0-9](?:\.[0-9]{1,18})?e\+?[0-9]{1,2}", re.IGNORECASE)
_MAX_NUMBER = 2**63 - 1
_SYSTEM_FLAGS: Final = {flag.upper(): flag for flag in words.SYSTEM_FLAGS}
# A flag, in whose brackets may be spaces: Gmail makes keywords of labels.
_FLAG = pattern(rb"(?:[^ \[]|\[[^\]]*+\]|\[)++")

_S = TypeVar("_S", bound=UIDSet | SequenceSet)


class Data:
    """An untagged response: its name, and what is before and after it."""

    __slots__ = ("depth", "fragments", "name", "octets_of_number", "utf8")

    def __init__(self, name: str, number: bytes | None, fragments: tuple[bytes, ...], utf8: bool, depth: int) -> None:
        self.name = name
        self.octets_of_number = number
        self.fragments = fragments
        """What follows the name."""
        self.utf8 = utf8
        self.depth = depth

    @property
    def number(self) -> bytes:
        """The number before the name."""
        if self.octets_of_number is None:
            raise ValueError("no number before it")
        return self.octets_of_number

    @property
    def line(self) -> bytes:
        """What follows the name, where the grammar has no literal."""
        if len(self.fragments) > 1:
            raise ValueError("a literal where none can be")
        return self.fragments[0]

    def tokens(self) -> tuple[Token, ...]:
        """Return all that follows the name."""
        return tokenize(self.fragments, self.depth)

    def escape_backslashes(self, begin: int = 0) -> None:
        """Escape what a server escapes in no quoted string, from `begin` on in the first line, where one begins."""
        line = self.fragments[0]
        count = -1 if line.count(b'"', begin) > 2 else 1  # the second string may be an atom, where nothing is escaped
        self.fragments = (line[:begin] + line[begin:].replace(b"\\", b"\\\\", count), *self.fragments[1:])

    def after_mailbox(self) -> tuple[str, bytes, tuple[Token, ...]]:
        """Return the name of the mailbox that comes first, its octets, and the tokens after it.

        A name with parentheses and without quotes goes on to the next space (see :mod:`.tolerant`).
        """
        name: Token
        if odd := _ODD_NAME.match(self.fragments[0]):
            name = odd[0]
            rest = tokenize((self.fragments[0][odd.end() :], *self.fragments[1:]), self.depth)
        else:
            name, *following = self.tokens()
            rest = tuple(following)
        return *self.mailbox(name), rest

    def mailbox(self, token: Token) -> tuple[str, bytes]:
        """Return a mailbox's name and its octets."""
        octets = octets_of(token)
        return mailbox(octets, utf8=self.utf8), octets


def tokens(octets: bytes) -> tuple[Token, ...]:
    """Return the tokens of octets that hold no literal."""
    return tokenize((octets,))


def is_nil(token: Token) -> bool:
    """Whether a token is NIL, where the grammar has nil: in quotes it is a string, as a name it is a name."""
    return isinstance(token, Atom) and token.is_nil


def octets_of(token: Token) -> bytes:
    """Return the octets of an atom or a string, as plain bytes: whatever it spells (astring)."""
    if isinstance(token, tuple):
        raise ValueError("a list where a string must be")
    return bytes(token)


def nstring_of(token: Token) -> bytes | None:
    """Return the octets of a string, None for NIL."""
    return None if is_nil(token) else octets_of(token)


def text_of(token: Token) -> str:
    """Return an atom or a string as text; octets that are not UTF-8 become lone surrogates."""
    if isinstance(token, tuple):
        raise ValueError("a list where a string must be")
    return token.decode("utf-8", "surrogateescape")


def for_people(octets: bytes) -> str:
    """Return text that nothing but people reads."""
    return octets.decode("utf-8", "replace")


def upper(octets: bytes) -> str:
    """Return a word of the protocol, in upper case."""
    return octets.upper().decode("utf-8", "surrogateescape")


def shown(value: object) -> str:
    """Return what stands in a text about a defect."""
    text = repr(bytes(value) if isinstance(value, Atom) else value)
    return text if len(text) <= 80 else text[:77] + "..."


def number_of(token: Token) -> int:
    """Return a number of at most 63 bits (RFC 9051, section 9, number64)."""
    if not isinstance(token, tuple) and len(token) <= 19 and token.isdigit() and (number := int(token)) <= _MAX_NUMBER:
        return number
    raise ValueError(f"not a number: {shown(token)}")


def count_of(token: Token) -> int:
    """Return how many there are. mail.ru rounds, which is of use for a count alone: not for what means one thing."""
    if not isinstance(token, tuple) and _FLOAT.fullmatch(token) and (rounded := float(token)) <= _MAX_NUMBER:
        return int(rounded)
    return number_of(token)


def number_set(kind: type[_S], octets: bytes) -> _S:
    """Return the set that a server sent; "*" has no meaning there."""
    numbers: Any = kind.parse(octets)  # a union of classes as the bound hides that it is an _S
    if numbers.has_star:
        raise ValueError('"*" in a set from the server')
    return cast(_S, numbers)


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


def delimiter_of(token: Token) -> str | None:
    """Return the hierarchy delimiter; NIL and, from some servers, "" mean that there is no hierarchy."""
    return None if is_nil(token) else text_of(token) or None


def object_id(found: tuple[Token, ...]) -> str:
    """Return an object identifier (RFC 8474), in parentheses or without."""
    (token,) = found
    if is_nil(token):
        raise ValueError("no identifier")
    return text_of(one(token) if isinstance(token, tuple) else token)


def capabilities(octets: bytes) -> frozenset[str]:
    """Return the words of a line, in upper case."""
    if b" (" in b" " + octets:  # imap.sohu.com answers NAMESPACE so (MailKit#2006)
        raise ValueError("a list among the words")
    return frozenset(map(upper, octets.split()))


def flags(octets: bytes) -> frozenset[str]:
    """Return the flags of a list in parentheses, system flags in the RFC's spelling."""
    octets = octets.strip(b" ")
    if not (octets.startswith(b"(") and octets.endswith(b")")) or b"(" in octets[1:] or b")" in octets[:-1]:
        raise ValueError("not a list of flags")
    return frozenset(_SYSTEM_FLAGS.get(flag.upper(), flag) for flag in map(text_of, _FLAG.findall(octets[1:-1])))


def texts(found: tuple[Token, ...]) -> tuple[str, ...]:
    """Return the strings of a list; the parentheses may be missing, as in an example of RFC 9051, section 6.4.4.4."""
    if len(found) == 1 and isinstance(found[0], tuple):
        found = found[0]
    return tuple(map(text_of, found))


def one(found: tuple[Token, ...]) -> bytes:
    """Return the only string."""
    (token,) = found
    return octets_of(token)


def pairs(members: tuple[Token, ...]) -> Iterator[tuple[str, Token]]:
    """Yield the (name in upper case, value) of a list in which they alternate."""
    if len(members) % 2:
        raise ValueError("a name without a value")
    for name, value in zip(members[::2], members[1::2], strict=True):
        yield text_of(name).upper(), value
