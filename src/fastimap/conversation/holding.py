"""Who may act on the selected mailbox: the block of ``client.selected(...)`` that holds it, and what was begun there.

Several tasks may share a connection, which has one selected mailbox. A hold is carried by the context
(:mod:`contextvars`): tasks that are begun in the block share it, others do not. A thread has no hold of another's.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from .. import commands
from ..commands.base import SELECTED, Command, Session, State
from ..errors import StateError

if TYPE_CHECKING:
    from .protocol import Protocol

__all__ = ["Hold", "Holding", "holds"]


class Hold:
    """A mailbox that is held, at one client."""

    __slots__ = ("blocks", "holding", "mailbox", "uid_validity", "wanted")

    def __init__(self, holding: Holding, wanted: tuple[Any, ...], mailbox: str) -> None:
        self.holding: Holding = holding
        """That of the client."""
        self.wanted: tuple[Any, ...] = wanted
        """The mailbox and the mode that were asked for (`Select.wanted`)."""
        self.mailbox: str = mailbox
        self.uid_validity: int | None = None
        self.blocks: int = 1
        """How many blocks are in it: one, and those inside it."""

    def entered(self, mailbox: commands.SelectedMailbox) -> None:
        """Note that the mailbox is selected."""
        if self.blocks == 1:
            self.uid_validity = mailbox.uid_validity

    def is_of(self, session: Session) -> bool:
        """Whether the selected mailbox is still the one that is held, and its UIDs mean what they did."""
        return (session.mailbox, session.uid_validity) == (self.mailbox, self.uid_validity)


holds: ContextVar[tuple[Hold, ...]] = ContextVar("fastimap_holds", default=())
"""Of all clients, the innermost last. Those of tasks that outlive their block may have ended."""


class Holding:
    """The hold at one client, whichever its connection is."""

    def __init__(self) -> None:
        self.hold: Hold | None = None

    def join(self, select: commands.Select) -> Hold | None:
        """Return the hold that the caller has already, for one more block; None where it has none.

        Raises StateError where it holds another mailbox, or in another mode: it would wait for itself.
        """
        hold = self._of_caller()
        if hold is None or hold is not self.hold:
            return None
        if hold.wanted != select.wanted:
            raise StateError(
                f"selected() holds {hold.mailbox!r} here: leave its block before another mailbox, or the other mode"
            )
        hold.blocks += 1
        holds.set((*holds.get(), hold))
        return hold

    def begin(self, select: commands.Select) -> Hold:
        """Hold a mailbox, which the caller then selects: nobody else acts on it. Raises StateError if one is held."""
        if self.hold is not None:
            raise StateError(f"{self.hold.mailbox!r} is held by another thread: a thread has to have its own client")
        hold = self.hold = Hold(self, select.wanted, select.mailbox)
        holds.set((*holds.get(), hold))
        return hold

    def leave(self, hold: Hold) -> bool:
        """End a block; return whether the hold is over."""
        mine = list(holds.get())
        if hold in mine:  # not where a generator that holds is closed by another task
            mine.remove(hold)
            holds.set(tuple(mine))
        hold.blocks -= 1
        if hold.blocks:
            return False
        self.hold = None
        return True

    def found(self, protocol: Protocol, select: commands.Select) -> commands.SelectedMailbox | None:
        """Return what is known of the mailbox where it is selected already, as `select` asks for; else None."""
        session = protocol.session
        known: commands.SelectedMailbox | None = session.selected
        if session.state is not State.SELECTED or known is None or protocol.selecting or not select.is_of(session):
            return None
        return known.__replace__(read_only=session.read_only, exists=session.exists or 0)

    def refusal(self, command: Command[Any], session: Session) -> StateError | None:
        """Return the error for a command that would act on a mailbox that is not its caller's."""
        selects = isinstance(command, commands.Select)
        if command.states != SELECTED and not selects:
            return None
        if isinstance(command, commands.Select) and command.keeps_hold:
            return None
        hold = self._of_caller()
        if self.hold is not None and hold is not self.hold:
            return _refused(
                command,
                f"{self.hold.mailbox!r} is held by another task, or thread; selected() waits until it is free",
            )
        if hold is None:
            return None
        if selects:
            if hold is self.hold:
                return _refused(command, f"selected() holds {hold.mailbox!r} here: leave its block first")
            self._forget()  # it has outlived the block, and goes on without
        elif session.mailbox is not None and not hold.is_of(session):
            if hold is self.hold:
                return _refused(command, f"{hold.mailbox!r}, which selected() holds, has another UIDVALIDITY now")
            return _refused(
                command,
                f"the block of selected() that held {hold.mailbox!r} has ended, and {session.mailbox!r} is selected",
            )
        return None

    def _of_caller(self) -> Hold | None:
        """Return the caller's innermost hold at this client, which may have ended."""
        for hold in reversed(holds.get()):
            if hold.holding is self:
                return hold
        return None

    def _forget(self) -> None:
        holds.set(tuple(hold for hold in holds.get() if hold.holding is not self))


def _refused(command: Command[Any], why: str) -> StateError:
    return StateError(f"{command.name} is not allowed now: {why}")
