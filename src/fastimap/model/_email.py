"""Messages and dates by the standard library's :mod:`email`, which takes long to import: when they are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import parsedate_to_datetime
from typing import Any, Final

from .text import plain_text, utf8_words

__all__ = ["parsed_date", "parsed_mail"]


def parsed_date(octets: bytes) -> datetime | None:
    """Return the date of a Date field, aware; None where it is no date. Without a usable zone it is taken as UTC."""
    try:
        date = parsedate_to_datetime(octets.decode("ascii", "replace"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def parsed_mail(octets: bytes) -> EmailMessage:
    """Return a message; one that is nested deeper than Python recurses as its header, and all after it in one piece."""
    parser: Any = BytesParser(policy=_LENIENT)
    message: EmailMessage
    try:
        message = parser.parsebytes(octets)
    except RecursionError:
        message = parser.parsebytes(octets, headersonly=True)
    return message


class _Lenient(policy.EmailPolicy):
    """The standard library's default policy, for mail from anybody: it fails at ``Content-Type: ; boundary*``."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        if not hasattr(value, "name"):
            octets = value.encode("utf-8", "surrogateescape")  # parsed octets: what is no US-ASCII is a surrogate
            value = utf8_words(value if octets.isascii() else plain_text(octets))
        try:
            return super().header_fetch_parse(name, value)
        except RecursionError:
            if value.count("(") < _COMMENTS:
                raise  # not this field is nested, but the message
        except Exception:  # it is a program of thousands of lines, and raises what it happens to stumble over
            pass
        return self.header_factory(name, "")


_COMMENTS: Final = 64
_LENIENT: Final = _Lenient()
