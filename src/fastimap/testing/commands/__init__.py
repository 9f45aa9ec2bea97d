"""The commands, by family; importing this package registers them all."""

from . import authentication, mailboxes, messages
from .registry import COMMANDS, Request, carry_out

__all__ = ["COMMANDS", "Request", "authentication", "carry_out", "mailboxes", "messages"]
