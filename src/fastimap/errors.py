"""Every exception that fastimap's parser raises, and what each means for the caller.

The drop-in (:mod:`fastimap.imaplib`) turns them into ``IMAP4.error`` or ``IMAP4.abort``,
with the exception of this module as ``__cause__``.
"""

from __future__ import annotations

__all__ = [
    "FastimapError",
    "LimitError",
    "LineTooLong",
    "LiteralTooLarge",
    "NestingTooDeep",
    "ParseError",
    "ProtocolError",
    "ResponseTooLarge",
    "TooManyLiterals",
]


class FastimapError(Exception):
    """Base of every exception that fastimap defines."""


class ProtocolError(FastimapError):
    """The server sent octets that cannot be framed: reconnect, the stream has lost its step."""


class ParseError(FastimapError):
    """One response is not in IMAP's grammar; the stream itself is still in step."""


class LimitError(ProtocolError):
    """The server went over a limit of :class:`fastimap.limits.Limits`: reconnect, or raise the limit."""

    limit: str
    """Name of the field of :class:`~fastimap.limits.Limits`."""


class LineTooLong(LimitError):
    """A line, or the part of a response between two literals, is longer than ``Limits.line``."""

    limit = "line"


class LiteralTooLarge(LimitError):
    """A literal announces more octets than ``Limits.literal``; nothing was allocated for it."""

    limit = "literal"


class ResponseTooLarge(LimitError):
    """The lines and literals of one response add up to more octets than ``Limits.response``."""

    limit = "response"


class TooManyLiterals(LimitError):
    """One response holds more literals than ``Limits.literals``."""

    limit = "literals"


class NestingTooDeep(LimitError, ParseError):
    """Parenthesised lists are nested deeper than ``Limits.depth``."""

    limit = "depth"
