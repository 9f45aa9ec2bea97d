"""Operations of several commands, as flows (see :mod:`.prepare`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..commands._shared import refuse_read_only
from ..commands.base import Command, Flow, Scope
from ..commands.search import Search, SearchResult
from ..commands.select import Expunge
from ..commands.store import Copy, CopyResult, Move, Store
from ..errors import CapabilityMissing, CommandError
from ..model.response_codes import BadCharset
from ..model.sequence_set import MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..search import SearchKey, saved, uid
from .protocol import Protocol

__all__ = ["move", "search"]

R = TypeVar("R")


def search(
    protocol: Protocol,
    /,
    key: SearchKey,
    *,
    returns: Iterable[str] = ("ALL",),
    partial: tuple[int, int] | None = None,
    sequence: bool = False,
    charset: str | None = None,
) -> Flow[SearchResult]:
    """Search; see the command. Where the server does not know UTF-8, it is asked again in a charset that it names."""

    scope = protocol.session.scope(by_uid=not sequence)

    def command(charset: str) -> Search:
        return Search(key, returns=returns, partial=partial, sequence=sequence, charset=charset)

    try:
        found: SearchResult = yield command("UTF-8" if charset is None else charset)
    except CommandError as exc:
        if charset is not None or not isinstance(exc.response_code, BadCharset):
            raise
        for known in exc.response_code.charsets:
            try:
                again = command(known)
            except (ValueError, LookupError):  # it lacks a character, Python lacks it, or it is no charset's name
                continue
            found = yield _within(scope, again)
            break
        else:
            raise
    return found


search.__doc__ = Search.__doc__


def move(protocol: Protocol, /, messages: MessageSet, mailbox: str | bytes) -> Flow[CopyResult]:
    """Move messages to `mailbox` (MOVE, RFC 6851; else COPY, STORE, UID EXPUNGE).

    :param messages: UIDs, or a `SequenceSet`.
    :param mailbox: where to.

    No messages at all are nothing to do. Raises MailboxNotFound, NoPermission, OverQuota; StateError where the mailbox
    was selected with ``read_only=True``. Without MOVE and without UIDPLUS it is refused with `CapabilityMissing`, and
    nothing is done: an EXPUNGE would take messages with it that somebody else has marked. That the messages are gone
    from the selected mailbox comes as events, as when anybody removes messages.
    """
    session = protocol.session
    wanted = uid_set(messages)
    if session.has("MOVE"):
        moved: CopyResult = yield Move(wanted, mailbox)
        return moved
    if not session.has("UIDPLUS") or isinstance(wanted, SequenceSet):
        raise CapabilityMissing("MOVE", "MOVE")
    refuse_read_only(session)  # before there are copies
    scope = session.scope(by_uid=True)
    if not isinstance(wanted, UIDSet) or wanted.has_star:
        # What `*` and `$` stand for may change between the commands.
        found: SearchResult = yield _within(scope, Search(saved if isinstance(wanted, SavedResult) else uid(wanted)))
        wanted = found.uids
    copied: CopyResult = yield _within(scope, Copy(wanted, mailbox))
    if copied.codes:
        wanted &= copied.source  # messages that were not copied are not to be lost
    elif copied.limit is not None:
        wanted = UIDSet(range(copied.limit, 2**32)) & wanted
    yield _within(scope, Store(wanted, "\\Deleted", silent=True))
    expunge = Expunge(wanted)
    expunge.as_events = True  # as by MOVE
    yield _within(scope, expunge)
    return copied


def _within(scope: Scope, command: Command[R]) -> Command[R]:
    command.scope = scope
    return command
