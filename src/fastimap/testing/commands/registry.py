"""Which commands there are, in which states each may be given, and which function carries it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..grammar import Arguments
    from ..session import Session


class State(Flag):
    """The states of RFC 3501, section 3."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()
    LOGOUT = auto()


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


Handler = Callable[["Session", Request], str | None]
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
