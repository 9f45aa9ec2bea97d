"""The commands, by family; importing this package registers them all."""

from . import authentication, mailboxes, messages
from .registry import COMMANDS, UID_COMMANDS, Command, Request, State

__all__ = [
    "COMMANDS",
    "UID_COMMANDS",
    "Command",
    "Request",
    "State",
    "authentication",
    "mailboxes",
    "messages",
]
