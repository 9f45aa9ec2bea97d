"""Whether a command may be sent now, and the octets that it becomes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..commands.base import Command, Scope, Session, State
from ..errors import CapabilityMissing, StateError
from ..wire.encode import Encoded, Encoding, encode, encoded_line
from .log import is_logged, logger
from .pending import Pending
from .sending import tags

__all__ = ["Encoder"]


class Encoder:
    """Names the commands of one connection, and encodes them as its server takes them now."""

    def __init__(self, session: Session) -> None:
        self.tags: Iterator[bytes] = tags()
        self._session = session
        self._takes_for: tuple[frozenset[str], frozenset[str]] | None = None
        self._takes = Encoding()

    def encoded(self, pending: Pending[Any]) -> Encoded | bytes | None:
        """Return what is to be sent, octets where that is one line, None where there is nothing to do.

        Raises:
            ValueError: The command was sent before, or has an argument that cannot be sent.
            StateError: It is not allowed in this state, or its numbers mean other messages now.
            CapabilityMissing: The server lacks what it needs.
        """
        command = pending.command
        session = self._session
        if command.tag:
            raise ValueError(f"this {command.name} was sent before, and holds its result: make a new one")
        if session.state not in command.states:
            raise StateError(f"{command.name} is not allowed now: {_hint(command, session.state)}")
        if command.scope is not None and not session.within(command.scope):
            raise StateError(
                f"{command.name} was not sent: since its messages were numbered "
                + _change(command.scope, session)
                + ", and the numbers mean others now"
            )
        if command.positional and session.renumbered:
            raise StateError(
                f"{command.name} was not sent: the connection was made anew, and sequence numbers and $ are of the one "
                "before: take the event Reconnected (take_events()) or select the mailbox, and number the messages anew"
            )
        command.sent_in = session.selections, session.expunges if command.positional else None
        for capability in command.requires(session):
            if not session.has(capability):
                raise CapabilityMissing(command.name, capability)
        parts = command.parts(session)
        if command.nothing_to_do:
            pending.finish(command.empty(), None)
            return None
        command.tag = tag = next(self.tags)
        logged = is_logged()
        if not logged and (line := encoded_line(tag, parts)) is not None:
            return line
        encoded = encode(tag, parts, self.takes())
        if logged:
            logger().debug("C: %s", encoded.log_form)
        return encoded.line or encoded

    def takes(self) -> Encoding:
        """Return what the server takes now; made anew where that may have changed."""
        session = self._session
        capabilities = session.capabilities
        if self._takes_for is None or not (
            self._takes_for[0] is capabilities and self._takes_for[1] is session.enabled
        ):
            self._takes_for = (capabilities, session.enabled)
            self._takes = Encoding(
                utf8=session.utf8,
                literal_plus="LITERAL+" in capabilities,
                literal_minus="LITERAL-" in capabilities or session.rev2,
            )
        return self._takes


def _change(scope: Scope, session: Session) -> str:
    if scope[0] != session.selections:
        return "another mailbox, or none, was selected (`selected()` holds one for a block)"
    return "the connection was made anew" if session.renumbered else "messages were expunged"


def _hint(command: Command[Any], state: State) -> str:
    """Return why `command` is not allowed in `state`, and what to do."""
    if state is State.NOT_AUTHENTICATED:
        return "nobody is logged in: give the client user= and password= or token=, or call login()"
    if state is State.AUTHENTICATED and State.SELECTED in command.states:
        return "no mailbox is selected: call select()"
    if state is State.SELECTED and State.AUTHENTICATED in command.states:
        return "a mailbox is selected: call unselect() or close_mailbox()"
    return "somebody is logged in already"
