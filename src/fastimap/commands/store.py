"""Flags and places of messages: STORE, COPY, MOVE (RFC 9051, sections 6.4.6 to 6.4.9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, ClassVar, Literal, TypeAlias

from .. import parser
from ..model._shown import Value
from ..model.response_codes import CopyUID, Modified
from ..model.responses import MailboxName, Response, StatusResponse, Tagged
from ..model.row import PRESENT_FLAGS, PRESENT_MODSEQ, PRESENT_OTHER, PRESENT_UID, FetchedMessage
from ..model.sequence_set import Messages, MessageSet, SequenceSet, UIDSet, uid_set
from ..wire import encode
from ..wire.encode import Part
from ._shared import last_limit, limit, one_or_several, parts_of, piece, positional, ranges, refuse_read_only, verb
from .base import SELECTED, Command, Session

__all__ = [
    "Action",
    "AddFlags",
    "Copy",
    "CopyResult",
    "Move",
    "RemoveFlags",
    "SetFlags",
    "Store",
    "StoreGmailLabels",
    "StoreResult",
    "were_copied",
]

Action: TypeAlias = Literal["add", "remove", "replace"]
"""What becomes of the flags that are there."""

# Octets of a line besides the set: the tag, UID COPY, a mailbox's name in modified UTF-7.
_AROUND = 1500

_SIGNS = {"add": b"+", "remove": b"-", "replace": b""}


class StoreResult(Value):
    """What STORE did."""

    rows: tuple[FetchedMessage, ...] = ()
    """The messages as they are now, in the server's order: their flags, unless `silent` was asked for, and with
    `unchanged_since` their mod-sequences."""
    modified: UIDSet | SequenceSet | None = None
    """With `unchanged_since`: the messages that were left alone because somebody else has changed them."""
    limit: int | None = None
    """The lowest UID that was processed, where the server stopped early (MESSAGELIMIT, RFC 9738)."""


class Store(Command[StoreResult]):
    r"""Change the flags of messages.

    :param messages: a UID, UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param flags: flags such as ``"\\Seen"`` and keywords such as ``"$Forwarded"``: one, or several.
    :param action: whether to add them, to remove them, or to have these flags and no others.
    :param silent: do not return the flags that the messages have then.
    :param unchanged_since: leave messages alone that have a greater mod-sequence than this (CONDSTORE, RFC 7162,
        section 3.1.3); 0 for those whose flags nobody has ever changed.

    A message that does not exist is left out; no messages at all are nothing to do. System flags begin with a
    backslash: ``"Seen"`` would be a keyword, which nothing looks at and which the mailbox keeps for ever, so it is a
    ValueError. Raises StateError where the mailbox was selected with ``read_only=True``. (RFC 9051, section 6.4.6)
    """

    name = "STORE"
    states = SELECTED
    item: ClassVar[bytes] = b"FLAGS"
    answered_by: ClassVar[int] = PRESENT_FLAGS

    def __init__(
        self,
        messages: MessageSet,
        flags: str | Iterable[str],
        *,
        action: Action = "add",
        silent: bool = False,
        unchanged_since: int | None = None,
    ) -> None:
        if action not in _SIGNS:
            raise ValueError(f"action is one of {', '.join(_SIGNS)}, not {action!r}")
        self._values = tuple(map(self.value, one_or_several(flags, "the values to store")))
        if not self._values and action != "replace":
            raise ValueError(f"nothing to {action}")
        self._item = _SIGNS[action] + self.item + (b".SILENT" if silent else b"")
        self._since = None if unchanged_since is None else encode.mod_sequence(unchanged_since, zero=True)
        self._need = 0 if silent else self.answered_by
        if self._since is not None:
            self._need |= PRESENT_MODSEQ
        self.begin(uid_set(messages))

    def begin(self, messages: Messages) -> None:
        """Be about `messages`."""
        self._messages = messages
        self.nothing_to_do: bool = not messages
        self._by_uid = not isinstance(messages, SequenceSet)
        if self._need and self._by_uid:
            self._need |= PRESENT_UID
        self._ranges = ranges(messages)
        self.positional: bool = positional(messages)
        self.repeatable: bool = self._since is None  # the second time it changes nothing
        self._rows: list[FetchedMessage] = []
        self.kind = "store" if self._by_uid else None

    def pieces(self, octets: int) -> Sequence[Store]:
        room = octets - 100 - sum(len(value) for value in self._values if isinstance(value, bytes))
        return [piece(self, part) for part in parts_of(self._messages, max(room, 1000))]

    def join(self, results: Sequence[StoreResult]) -> StoreResult:
        modified: Any = None
        for result in results:
            if result.modified is not None:
                modified = result.modified if modified is None else modified | result.modified
        rows = tuple(row for result in results for row in result.rows)
        return StoreResult(rows, modified, last_limit(results))

    @staticmethod
    def value(flag: str) -> Part:
        """Return one of the values to store."""
        return encode.flag(flag)

    def requires(self, session: Session) -> Iterable[str]:
        return ("CONDSTORE",) if self._since is not None and not session.has("QRESYNC") else ()

    def parts(self, session: Session) -> Sequence[Part]:
        refuse_read_only(session, flags=True)
        since: list[Part] = [] if self._since is None else [(b"UNCHANGEDSINCE", self._since)]
        return [*verb(self.name, self._messages, session), *since, self._item, self._values]

    def ranges(self, session: Session) -> tuple[tuple[int, int], ...]:
        return self._ranges

    def take_rows(self, rows: list[FetchedMessage]) -> list[FetchedMessage]:
        if not self._need:
            return rows
        claimed, others = parser.split_rows(rows, self._by_uid, self._ranges, self._need)
        self._rows += claimed
        return others

    def empty(self) -> StoreResult:
        return StoreResult()

    def succeed(self, tagged: Tagged, session: Session) -> StoreResult:
        modified: UIDSet | SequenceSet | None = None
        if isinstance(tagged.response_code, Modified):
            modified = tagged.response_code.uids if self._by_uid else tagged.response_code.numbers
        return StoreResult(tuple(self._rows), modified, limit(tagged))


class AddFlags(Store):
    r"""Add flags to messages; `store` with ``action="add"``.

    :param messages: a UID, UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param flags: flags such as ``"\\Seen"`` and keywords such as ``"$Forwarded"``: one, or several.
    :param silent: do not return the flags that the messages have then.

    (RFC 9051, section 6.4.6)
    """

    def __init__(self, messages: MessageSet, flags: str | Iterable[str], *, silent: bool = False) -> None:
        super().__init__(messages, flags, action="add", silent=silent)


class RemoveFlags(Store):
    r"""Remove flags from messages; `store` with ``action="remove"``.

    :param messages: a UID, UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param flags: flags such as ``"\\Seen"`` and keywords such as ``"$Forwarded"``: one, or several.
    :param silent: do not return the flags that the messages have then.

    (RFC 9051, section 6.4.6)
    """

    def __init__(self, messages: MessageSet, flags: str | Iterable[str], *, silent: bool = False) -> None:
        super().__init__(messages, flags, action="remove", silent=silent)


class SetFlags(Store):
    r"""Give messages these flags and no others; `store` with ``action="replace"``.

    :param messages: a UID, UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param flags: flags such as ``"\\Seen"`` and keywords such as ``"$Forwarded"``: one, or several; none to remove all.
    :param silent: do not return the flags that the messages have then.

    (RFC 9051, section 6.4.6)
    """

    def __init__(self, messages: MessageSet, flags: str | Iterable[str], *, silent: bool = False) -> None:
        super().__init__(messages, flags, action="replace", silent=silent)


class StoreGmailLabels(Store):
    r"""Change the labels of messages at Gmail.

    :param messages: as for `store`.
    :param labels: labels such as ``"Invoices"`` and ``"\\Important"``: one, or several.
    :param action: as for `store`.
    :param silent: do not return the labels that the messages have then.

    (X-GM-EXT-1, Gmail's own extension)
    """

    item = b"X-GM-LABELS"
    answered_by = PRESENT_OTHER

    def __init__(
        self,
        messages: MessageSet,
        labels: str | Iterable[str],
        *,
        action: Action = "add",
        silent: bool = False,
    ) -> None:
        super().__init__(messages, labels, action=action, silent=silent)

    @staticmethod
    def value(flag: str) -> Part:
        # Labels are spelt like mailbox names, but for the system's own, which look like flags.
        return encode.flag(flag) if encode.text(flag).startswith("\\") else encode.mailbox(flag)

    def requires(self, session: Session) -> Iterable[str]:
        return ("X-GM-EXT-1",)


class CopyResult(Value):
    """What COPY or MOVE did."""

    codes: tuple[CopyUID, ...] = ()
    """What the server said of it; nothing where it lacks UIDPLUS, or there was no such message."""
    limit: int | None = None
    """The lowest UID that was processed, where the server stopped early (MESSAGELIMIT, RFC 9738)."""

    @property
    def uid_validity(self) -> int | None:
        """The UIDVALIDITY of the destination."""
        return self.codes[0].uid_validity if self.codes else None

    @property
    def source(self) -> UIDSet:
        """The UIDs of the messages that were copied."""
        return UIDSet(range(low, high + 1) for code in self.codes for low, high in code.source.ranges)

    @property
    def destination(self) -> UIDSet:
        """The UIDs that the copies have."""
        return UIDSet(range(low, high + 1) for code in self.codes for low, high in code.destination.ranges)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield (UID, UID of the copy) of each message, in the server's order."""
        return chain.from_iterable(code.pairs() for code in self.codes)


def were_copied(messages: UIDSet, result: CopyResult) -> UIDSet:
    """Return those of the messages that COPY has copied: the others must not be removed after it."""
    if result.codes:
        return messages & result.source
    if result.limit is not None:  # RFC 9738, section 3.1: nothing below was copied
        return messages & UIDSet(range(result.limit, 2**32))
    return messages


class Copy(Command[CopyResult]):
    """Copy messages to the end of a mailbox, with flags and internal dates.

    :param messages: a UID, UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param mailbox: the name of the destination.

    Either all are copied or none, unless their set is so long that it takes several commands: then `done` of an error
    is the `CopyResult` of those that were copied. No messages at all are nothing to do. Raises MailboxNotFound,
    NoPermission, OverQuota. (RFC 9051, section 6.4.7)
    """

    name = "COPY"
    states = SELECTED
    claims_news = True

    def __init__(self, messages: MessageSet, mailbox: MailboxName) -> None:
        self._mailbox = encode.mailbox(mailbox)
        self.begin(uid_set(messages))

    def begin(self, messages: Messages) -> None:
        """Be about `messages`."""
        self._messages = messages
        self.nothing_to_do: bool = not messages
        self.positional: bool = positional(messages)
        self._codes: list[CopyUID] = []

    def pieces(self, octets: int) -> Sequence[Copy]:
        return [piece(self, part) for part in parts_of(self._messages, octets - _AROUND)]

    def join(self, results: Sequence[CopyResult]) -> CopyResult:
        return CopyResult(tuple(code for result in results for code in result.codes), last_limit(results))

    def parts(self, session: Session) -> Sequence[Part]:
        return [*verb(self.name, self._messages, session), self._mailbox]

    def take(self, response: Response) -> bool:
        # MOVE's code comes before the EXPUNGE responses, not with the tagged OK (RFC 6851, section 4.3).
        if not (isinstance(response, StatusResponse) and isinstance(response.response_code, CopyUID)):
            return False
        self._codes.append(response.response_code)
        return True

    def empty(self) -> CopyResult:
        return CopyResult()

    def succeed(self, tagged: Tagged, session: Session) -> CopyResult:
        if isinstance(tagged.response_code, CopyUID) and tagged.response_code not in self._codes:
            self._codes.append(tagged.response_code)
        return CopyResult(tuple(self._codes), limit(tagged))


class Move(Copy):
    """Move messages to the end of a mailbox, with flags and internal dates.

    :param messages: a UID, UIDs, a `UIDSet`; or a `SequenceSet` for message sequence numbers.
    :param mailbox: the name of the destination.

    That they are gone from the selected mailbox comes as events, as when anybody removes messages. No messages at all
    are nothing to do. Raises MailboxNotFound, NoPermission, OverQuota; StateError where the mailbox was selected with
    ``read_only=True``. (RFC 9051, section 6.4.8; MOVE, RFC 6851)
    """

    name = "MOVE"

    def pieces(self, octets: int) -> Sequence[Copy]:
        # The first piece would shift the sequence numbers of the next.
        return () if isinstance(self._messages, SequenceSet) else super().pieces(octets)

    def requires(self, session: Session) -> Iterable[str]:
        return ("MOVE",)

    def parts(self, session: Session) -> Sequence[Part]:
        refuse_read_only(session)
        return super().parts(session)
