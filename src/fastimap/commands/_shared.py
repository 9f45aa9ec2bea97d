"""What commands of several families have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast

from ..errors import ParseError, StateError
from ..model import mailbox_name
from ..model.response_codes import MessageLimit
from ..model.responses import MailboxInfo, MailboxName, Response, Tagged
from ..model.sequence_set import LARGEST_NUMBER, Messages, SavedResult, SequenceSet, UIDSet
from ..wire import encode
from ..wire.encode import Part
from .base import Command, Scope, Session

__all__ = [
    "Instruction",
    "Question",
    "by",
    "decoded",
    "last_limit",
    "limit",
    "names",
    "one_or_several",
    "parts_of",
    "piece",
    "positional",
    "ranges",
    "refuse_read_only",
    "several",
    "verb",
    "within",
]

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")
C = TypeVar("C", bound=Command[Any])


class _Simple(Command[R]):
    """A command whose arguments do not depend on the session."""

    needs: ClassVar[tuple[str, ...]] = ()
    """The capabilities that it always needs."""

    def __init__(self, *arguments: Part) -> None:
        self._arguments = arguments

    def requires(self, session: Session) -> Iterable[str]:
        return self.needs

    def parts(self, session: Session) -> Sequence[Part]:
        return [self.name.encode("ascii"), *self._arguments]


class Instruction(_Simple[None]):
    """A command that returns nothing."""

    def succeed(self, tagged: Tagged, session: Session) -> None:
        return None


class Question(_Simple[R]):
    """A command that returns the one response it is answered by, or what is worth having of it."""

    answered_by: ClassVar[type[Response]]

    def __init__(self, *arguments: Part) -> None:
        super().__init__(*arguments)
        self._answer: Response | None = None

    def take(self, response: Response) -> bool:
        if not isinstance(response, self.answered_by):
            return False
        self._answer = response
        return True

    def succeed(self, tagged: Tagged, session: Session) -> R:
        return self.result(self._answer) if self._answer is not None else self.missing()

    def result(self, answer: Any) -> R:
        """Return what the command returns of `answer`."""
        return cast(R, answer)

    def missing(self) -> R:
        """Return what the command returns where the server answered OK and nothing else, or raise an error."""
        raise ParseError(f"{self.name}: the server answered OK, but did not send the data")


def verb(name: str, messages: Messages, session: Session) -> tuple[Part, Part]:
    """Return the command's name, with UID before it unless `messages` is a SequenceSet, and the set."""
    return by(name, isinstance(messages, SequenceSet), session), str(messages).encode("ascii")


def by(name: str, sequence: bool, session: Session) -> Part:
    """Return the command's name for sequence numbers, or for UIDs.

    Raises StateError for sequence numbers where they were given up (UIDONLY, RFC 9586, section 3).
    """
    if not sequence:
        return b"UID " + name.encode("ascii")
    if "UIDONLY" in session.enabled:
        raise StateError(f"{name} by sequence numbers is not allowed when UIDONLY is enabled: use UIDs")
    return name.encode("ascii")


def within(scope: Scope, command: C) -> C:
    """Have a command mean messages as they are numbered in `scope`, or not be sent; return it."""
    command.scope = scope
    return command


def refuse_read_only(session: Session, *, flags: bool = False) -> None:
    """Raise StateError for a change in a mailbox that can only be read: servers answer OK to some, and do nothing.

    Where not the client chose so but the server, `flags` may change all the same: those that each user has for himself
    (RFC 9051, section 6.3.2).
    """
    if session.examined:
        raise StateError(f"{session.mailbox!r} is selected read-only: select it with read_only=False")
    if session.read_only and not flags:
        raise StateError(f"the server lets {session.mailbox!r} be read only (READ-ONLY)")


def positional(messages: Messages) -> bool:
    """Whether `messages` mean others after a new connection, in the same mailbox too: sequence numbers and ``$``."""
    return isinstance(messages, (SequenceSet, SavedResult))


def ranges(messages: Messages) -> tuple[tuple[int, int], ...]:
    """Return the ranges of `messages`; all there can be where only the server knows: ``$`` and ``*``."""
    if isinstance(messages, SavedResult) or messages.has_star:
        return ((1, LARGEST_NUMBER),)
    return messages.ranges


def parts_of(messages: Messages, octets: int) -> Sequence[UIDSet | SequenceSet]:
    """Return the parts of `messages` whose text has so many octets at most; () where one is enough."""
    if isinstance(messages, SavedResult) or len(messages.ranges) * _LONGEST_RANGE <= octets:
        return ()
    parts: list[UIDSet | SequenceSet] = [*messages.split(max(octets, _LONGEST_RANGE))]
    return parts if len(parts) > 1 else ()


_LONGEST_RANGE = len("4294967294:4294967295,")


def piece(command: C, messages: UIDSet | SequenceSet) -> C:
    """Return a command like `command`, which was not sent or was refused, for a part of its messages."""
    same = command.copy()
    same.tag = b""
    same.by_sequence = isinstance(messages, SequenceSet)
    same.begin(messages)  # type: ignore[attr-defined]
    return same


def last_limit(results: Iterable[Any]) -> int | None:
    """Return where the server stopped in the last of the results that it did not finish."""
    return next((result.limit for result in reversed([*results]) if result.limit is not None), None)


def limit(tagged: Tagged) -> int | None:
    """Return the lowest UID that was processed, where the server stopped early (MESSAGELIMIT, RFC 9738)."""
    return tagged.response_code.uid if isinstance(tagged.response_code, MessageLimit) else None


def mapping(value: Mapping[K, V]) -> Mapping[K, V]:
    """Return `value`; TypeError where it is no mapping."""
    if not isinstance(value, Mapping):
        raise TypeError(f"not a mapping: {value!r}")
    return value


def several(values: Iterable[str]) -> tuple[str, ...]:
    """Return `values`; TypeError where one str was given instead of several, or one of them is no str."""
    if isinstance(values, str):
        raise TypeError(f"several are given as a list, not as one str: {values!r}")
    return one_or_several(values, "these")


def one_or_several(values: str | Iterable[str], what: str) -> tuple[str, ...]:
    """Return `values` as a tuple, one str as a tuple of it; TypeError for anything else, which says `what` they are."""
    if isinstance(values, str):
        return (values,)
    if isinstance(values, (bytes, bytearray)) or not isinstance(values, Iterable):
        raise TypeError(f"{what} are one str or several, not {values!r:.100}")
    found = tuple(values)
    for value in found:
        if not isinstance(value, str):
            raise TypeError(f"{what} are one str or several, of which none is {value!r:.100}")
    return found


def names(given: tuple[str, ...], what: str) -> tuple[str, ...]:
    """Return names that are arguments of their own (``*items``); TypeError that says so where one is no str."""
    for name in given:
        if not isinstance(name, str):
            raise TypeError(f"{what} are str, each an argument of its own (a list is unpacked by *): {name!r:.100}")
    return given


def decoded(mailbox: MailboxName) -> str:
    """Return the name of a mailbox that was given as str, as a server's octets, or as LIST told of it."""
    if isinstance(mailbox, MailboxInfo):
        return mailbox.name
    if isinstance(mailbox, str):
        return mailbox_name.folded(mailbox)
    if not isinstance(mailbox, bytes):
        encode.mailbox(mailbox)  # refuses it
    try:
        return decoded(mailbox_name.decode(mailbox))
    except ValueError:
        return mailbox.decode("utf-8", "surrogateescape")
