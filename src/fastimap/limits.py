"""What a server may cost the client at most."""

from __future__ import annotations

from .model._shown import Value

__all__ = ["CLIENT_LIMITS", "IMAPLIB_LIMITS", "READER_LIMITS", "Limits"]

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB


class Limits(Value):
    """Upper bounds on what a server may send; going over one raises its own :class:`LimitError`.

    The numbers are octets unless said otherwise.
    """

    line: int = 16 * _MIB
    """One line without its literals (`LineTooLong`). A SEARCH response of 1,000,000 numbers has 8 MB;
    imap_tools sets imaplib's limit to 20 MB, MailKit has none."""

    literal: int = 256 * _MIB
    """The announced size of one literal (`LiteralTooLarge`). Gmail and Outlook stop at 150 MB, Cyrus and Dovecot
    themselves at 2 or 4 GiB. Does not hold for a literal that is streamed to a file."""

    other_literal: int = _MIB
    """The same for literals that are no body section of a FETCH response: mailbox names, header fields in an
    ENVELOPE, annotations. Never more than `literal`. Dovecot takes 64 KiB itself in an argument."""

    response: int = 2 * _GIB
    """All lines and literals of one response together (`ResponseTooLarge`). Literals for a sink do not count."""

    literals: int = 100_000
    """Number of literals in one response (`TooManyLiterals`). Servers send a handful."""

    depth: int = 256
    """Nesting of parentheses, those of a response itself counted. Dovecot stops MIME nesting at 100 parts, and a body
    structure takes a level a part. What is deeper costs no more than its own item of a FETCH response, or its own
    response: it is None with a defect, or an `UnknownResponse` (`NestingTooDeep` where `tokenize()` is called)."""

    unsolicited: int = 1_000_000
    """Number of responses during one command that no command claims (`TooManyUnsolicited`). A mailbox of that many
    messages may send an EXPUNGE for each."""

    unsolicited_octets: int = 64 * _MIB
    """The octets of those responses together (`TooManyUnsolicited`)."""

    answers: int = 1_000_000
    """Number of responses that answer one command, other than FETCH responses to a FETCH (`TooManyAnswers`). Large
    accounts have some 200,000 mailboxes, and an EXPUNGE says one for each message."""

    answers_octets: int = 64 * _MIB
    """The octets of those responses together (`TooManyAnswers`). A SEARCH that finds 1,000,000 messages has 8 MB."""

    challenges: int = 16
    """Number of SASL challenges in one authentication (`TooManyChallenges`). GSSAPI and SCRAM take up to 4."""

    def __post_init__(self) -> None:
        for name in self._positional:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"Limits.{name} must be a whole number, not {value!r:.100}")
            if value < 1:
                raise ValueError(f"Limits.{name} must be at least 1")


READER_LIMITS = Limits(literal=_GIB, other_literal=_GIB)
"""Of the bare reader, which does not know what a literal is for."""

IMAPLIB_LIMITS = Limits(literal=_GIB)
"""Of the drop-in: a message of any size that servers take, and of other literals what the typed clients take."""

CLIENT_LIMITS = Limits()
"""Of the typed clients."""
