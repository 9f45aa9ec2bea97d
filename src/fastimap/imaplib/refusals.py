"""What Python itself raises for an argument, as errors of :class:`fastimap.imaplib.IMAP4`."""

from __future__ import annotations

from .exceptions import Exceptions, InvalidArgument, WrongType


class NotEncodable(Exceptions.error, UnicodeEncodeError):
    """Text that has no octets in the connection's encoding or in the charset; nothing was sent."""


class NoHostName(Exceptions.error, UnicodeError):
    """A host that no name can be."""


class OutOfRange(Exceptions.error, OverflowError):
    """A number that is too large for what it is to stand for; nothing was sent."""


class UnknownCharset(Exceptions.error, LookupError):
    """A charset that Python does not know; nothing was sent."""


def refused(exc: Exception) -> Exceptions.error:
    """Return what `exc` is as an error of the module."""
    if isinstance(exc, UnicodeEncodeError):
        return NotEncodable(*exc.args)
    for kind, own in _KINDS:
        if isinstance(exc, kind):
            return own(*exc.args)
    return Exceptions.error(*exc.args)


_KINDS: tuple[tuple[type[Exception], type[Exceptions.error]], ...] = (
    (UnicodeError, NoHostName),
    (ValueError, InvalidArgument),
    (TypeError, WrongType),
    (OverflowError, OutOfRange),
    (LookupError, UnknownCharset),
)
