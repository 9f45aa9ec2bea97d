"""Which commands there are, in which states each may be given, and which function carries it out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from ..grammar import Arguments, Bad
from ..session import Session, State

ANY = State.NOT_AUTHENTICATED | State.AUTHENTICATED | State.SELECTED
AUTHENTICATED = State.AUTHENTICATED | State.SELECTED


@dataclass(frozen=True, slots=True)
class Request:
    """One command as the client gave it."""

    name: str
    """In upper case, without ``UID``."""
    arguments: Arguments
    uid: bool
    """Whether ``UID`` stood in front: numbers in a sequence set are UIDs."""


Handler = Callable[[Session, Request], str | None]
"""Carries a command out. Returns the text of the OK that completes it; None for a plain one."""


class Command(NamedTuple):
    states: State
    handler: Handler
    locked: bool
    """Whether the server's lock is held throughout; otherwise the handler takes it where it needs it."""


COMMANDS: dict[str, Command] = {}
UID_COMMANDS: set[str] = set()


def command(name: str, states: State, *, uid: bool = False, locked: bool = True) -> Callable[[Handler], Handler]:
    """Register the decorated handler for the command `name`; ``uid=True`` if it may also follow ``UID``."""

    def register(handler: Handler) -> Handler:
        COMMANDS[name] = Command(states, handler, locked)
        if uid:
            UID_COMMANDS.add(name)
        return handler

    return register


def carry_out(session: Session, arguments: Arguments) -> str:
    """Carry out the command whose name comes next; return the text of its completion."""
    arguments.space()
    name = arguments.keyword()
    uid = name == "UID"
    if uid:
        arguments.space()
        name = arguments.keyword()
    command = COMMANDS.get(name)
    if command is None or (uid and name not in UID_COMMANDS):
        raise Bad(f"No such command: {'UID ' if uid else ''}{name}")
    if session.state not in command.states:
        raise Bad(f"{name} can't be given in this state")
    with session.store.lock if command.locked else nullcontext():
        text = command.handler(session, Request(name, arguments, uid))
    with session.store.lock:
        # Sequence numbers must not shift under these commands (RFC 3501, section 7.4.1); UIDs can't.
        session.sync(expunge=uid or name not in ("FETCH", "STORE", "SEARCH"))
    return text or f"{name} completed"
