"""The errors of the parser, and their base: what the drop-in needs. :mod:`fastimap.errors` has every one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .errors import Advice

__all__ = [
    "FastimapError",
    "LimitError",
    "LineTooLong",
    "LiteralTooLarge",
    "NestingTooDeep",
    "ParseError",
    "ProtocolError",
    "ResponseTooLarge",
    "TooManyAnswers",
    "TooManyChallenges",
    "TooManyLiterals",
    "TooManyUnsolicited",
]


class _Advised:
    """An advice by its name: the drop-in does without the enumeration."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type | None = None) -> Advice:
        from .errors import Advice

        return Advice[self.name]


class FastimapError(Exception):
    """Base of every exception that fastimap defines."""

    __module__ = "fastimap.errors"

    advice: Advice = _Advised("FIX")  # type: ignore[assignment]
    done: Any = None
    """What was done before the error, as the call would have returned it, where a call takes several commands: the
    messages that were fetched, or copied (`CopyResult`)."""


class ProtocolError(FastimapError):
    """The server sent octets that cannot be framed: reconnect, the stream has lost its step."""

    __module__ = "fastimap.errors"

    advice: Advice = _Advised("RECONNECT")  # type: ignore[assignment]


class ParseError(FastimapError):
    """One response is not in IMAP's grammar; the stream itself is still in step."""

    __module__ = "fastimap.errors"


class LimitError(ProtocolError):
    """The server went over a limit of :class:`fastimap.limits.Limits`: reconnect, or raise the limit."""

    __module__ = "fastimap.errors"

    limit: str
    """Name of the field of :class:`~fastimap.limits.Limits`."""


class LineTooLong(LimitError):
    """A line, or the part of a response between two literals, is longer than ``Limits.line``."""

    __module__ = "fastimap.errors"

    limit = "line"


class LiteralTooLarge(LimitError):
    """A literal announces more octets than ``Limits.literal``; nothing was allocated for it."""

    __module__ = "fastimap.errors"

    limit = "literal"


class ResponseTooLarge(LimitError):
    """The lines and literals of one response add up to more octets than ``Limits.response``."""

    __module__ = "fastimap.errors"

    limit = "response"


class TooManyLiterals(LimitError):
    """One response holds more literals than ``Limits.literals``."""

    __module__ = "fastimap.errors"

    limit = "literals"


class NestingTooDeep(LimitError, ParseError):
    """Parenthesised lists are nested deeper than ``Limits.depth``."""

    __module__ = "fastimap.errors"

    limit = "depth"


class TooManyUnsolicited(LimitError):
    """During one command the server sent more unsolicited responses, or stray ``+``, than ``Limits`` allow."""

    __module__ = "fastimap.errors"

    limit = "unsolicited"


class TooManyAnswers(LimitError):
    """To one command the server gave more answers than ``Limits.answers`` or ``Limits.answers_octets`` allow."""

    __module__ = "fastimap.errors"

    limit = "answers"


class TooManyChallenges(LimitError):
    """The server sent more SASL challenges than ``Limits.challenges``."""

    __module__ = "fastimap.errors"

    limit = "challenges"
