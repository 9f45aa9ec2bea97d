"""What one response of a server may cost the client at most."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "Limits"]

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds on what a server may send; going over one raises its own :class:`LimitError`.

    The numbers are octets unless said otherwise.
    """

    line: int = 16 * _MIB
    """One line without its literals (`LineTooLong`). A SEARCH response of 1,000,000 numbers has 8 MB;
    imap_tools sets imaplib's limit to 20 MB, MailKit has none."""

    literal: int = _GIB
    """The announced size of one literal (`LiteralTooLarge`). Mail servers refuse messages over some 150 MB;
    Cyrus and Dovecot themselves stop at 2 or 4 GiB."""

    response: int = 2 * _GIB
    """All lines and literals of one response together (`ResponseTooLarge`)."""

    literals: int = 100_000
    """Number of literals in one response (`TooManyLiterals`). Servers send a handful."""

    depth: int = 256
    """Nesting of parentheses (`NestingTooDeep`). Dovecot stops MIME nesting at 100 parts, and a body
    structure takes two levels a part."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"Limits.{name} must be at least 1")


DEFAULT_LIMITS = Limits()
