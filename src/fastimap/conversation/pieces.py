"""A command whose message set is too long for one line, sent in several commands with one result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ..commands.base import Command, Session
from .pending import Pending

__all__ = ["send_in_pieces", "send_shorter"]

_SHORTEST_LINE = 1024


def send_in_pieces(
    pending: Pending[Any],
    pieces: Iterable[Command[Any]],
    session: Session,
    queue: deque[Pending[Any]],
    failed: Callable[[], object] = lambda: None,
) -> None:
    """Queue `pieces` before all else; `pending` ends with their joined result, or with the first error.

    What reads goes out at once; of what changes something the next piece is sent when the one before has succeeded, so
    that the error's `done` is all that was done.

    :param failed: called where not one of them succeeded.
    """
    command = pending.command
    left = deque(Pending(piece) for piece in pieces)
    by_uid = not left[0].command.by_sequence
    sent: list[Pending[Any]] = []
    scope = command.scope or session.scope(by_uid=by_uid)
    command.sent_in = scope
    at_once = command.kind in ("fetch", "fetch-by-number", "search")
    unanswered = len(left) if at_once else 1

    def send() -> None:
        part = left.popleft()
        part.command.scope = scope
        part.on_done = answered
        sent.append(part)

    def answered() -> None:
        nonlocal unanswered
        unanswered -= 1
        if not at_once and left and sent[-1].error is None and not command.abandoned:
            unanswered = 1
            send()
            queue.appendleft(sent[-1])
        if unanswered:
            return
        values = [part.value for part in sent if part.done and part.error is None]
        error = next((part.error for part in sent if part.error is not None), None)
        if not values:
            failed()
        try:
            joined = command.join(values)
        except Exception as exc:
            joined, error = None, error or exc
        if error is None:
            pending.finish(joined, None)
        else:
            if values:
                error.done = joined  # type: ignore[attr-defined]
            pending.finish(None, error)

    def detached() -> None:
        for part in sent:
            part.command.abandoned = True

    pending.on_detach = detached
    send()
    while at_once and left:
        send()
    queue.extendleft(reversed(sent))


def send_shorter(pending: Pending[Any], session: Session, queue: deque[Pending[Any]]) -> bool:
    """Whether a command that the server calls BAD may have been too long, and is sent in two parts.

    The limit that is learnt in this way is kept, unless the parts are BAD too.
    """
    limit = session.line_limit
    if pieces := pending.command.pieces(limit):  # another command has taught it meanwhile
        send_in_pieces(pending, pieces, session, queue)
        return True
    shorter = limit // 2
    while shorter >= _SHORTEST_LINE and not (pieces := pending.command.pieces(shorter)):
        shorter //= 2
    if shorter < _SHORTEST_LINE:
        return False
    session.line_limit = shorter

    def failed() -> None:
        session.line_limit = limit

    send_in_pieces(pending, pieces, session, queue, failed)
    return True
