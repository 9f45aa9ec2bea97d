"""The exceptions of :class:`fastimap.imaplib.IMAP4`.

They inherit from the standard library's, so that its ``except imaplib.IMAP4.error`` clauses hold. Their names, and
those in a pickle, are ``fastimap.imaplib.IMAP4.error`` and so on.
"""

# ruff: noqa: N801 - the names are the standard library's
from __future__ import annotations

import imaplib as _stdlib


class Exceptions:
    """The exceptions as attributes of the connection's class."""

    class error(_stdlib.IMAP4.error):
        """The server refused a command, or the caller asked for what cannot be."""

        __module__ = "fastimap.imaplib"
        __qualname__ = "IMAP4.error"

    class abort(error, _stdlib.IMAP4.abort):
        """The connection is of no more use: connect again, and repeat the command if it can be repeated."""

        __module__ = "fastimap.imaplib"
        __qualname__ = "IMAP4.abort"

    class readonly(abort, _stdlib.IMAP4.readonly):
        """The selected mailbox cannot be written, although it was selected for that."""

        __module__ = "fastimap.imaplib"
        __qualname__ = "IMAP4.readonly"

    class _timed_out(abort, TimeoutError):
        """The server did not answer a command in time."""

        __module__ = "fastimap.imaplib"
        __qualname__ = "IMAP4._timed_out"

    class _unexpected(abort):
        """The server sent a line that is no response."""

        __module__ = "fastimap.imaplib"
        __qualname__ = "IMAP4._unexpected"

    class _responsetimeout(TimeoutError):
        """No response began in time (while idling)."""

        __module__ = "fastimap.imaplib"
        __qualname__ = "IMAP4._responsetimeout"


class InvalidArgument(Exceptions.error, ValueError):
    """An argument that cannot be sent, or would not be read as what it is meant to be; nothing was sent."""


class WrongType(Exceptions.error, TypeError):
    """An argument of a type that stands for nothing here; nothing was sent."""


def refusal(exc: Exception) -> Exceptions.error:
    """Return what `exc`, which Python raised for an argument, is as an error of this module: both kinds in one."""
    from .refusals import refused  # most programs never need it

    return refused(exc)


def shown(octets: bytes, most: int = 80) -> str:
    """Return `octets` for a message to people."""
    return repr(octets) if len(octets) <= most else f"{octets[:most]!r}..."
