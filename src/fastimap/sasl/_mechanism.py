"""What every mechanism has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ..errors import MechanismError
from ..model._patterns import pattern

# RFC 4422 and every mechanism of text forbid NUL; a lone surrogate has no UTF-8.
_UNSENDABLE = pattern("[\0\ud800-\udfff]")

CHANNEL_BINDING_TYPES = ("tls-exporter", "tls-unique", "tls-server-end-point")
"""The types of channel binding data (RFC 9266, RFC 5929), the preferred one first."""


class Mechanism(ABC):
    """One authentication exchange (RFC 4422); see :mod:`fastimap.sasl` for how a driver uses it."""

    name: ClassVar[str]
    """The registered name, as in ``AUTHENTICATE`` and the capability ``AUTH=``."""

    clear: ClassVar[bool]
    """Whether the password or token can be read from the wire: only under TLS, unless asked for by name."""

    strength: ClassVar[int]
    """Of two mechanisms for the same credentials the one with the higher number is chosen."""

    error: MechanismError | None = None
    """What the server said of the failure in a challenge; set before its tagged NO."""

    def __init__(self, user: str) -> None:
        self.user = user

    def __repr__(self) -> str:
        return f"<{self.name} user={self.user!r}>"

    @abstractmethod
    def start(self) -> bytes | None:
        """Begin an exchange and return the initial response, None where the server speaks first.

        Raises MechanismError where there is no token or ticket to send; what a token provider raises passes through.
        """

    @abstractmethod
    def step(self, challenge: bytes) -> bytes:
        """Return the response to `challenge`.

        Raises MechanismError when the exchange must be cancelled.
        """

    def finish(self) -> None:  # noqa: B027 - most servers have nothing to prove
        """Hear that the server has said OK.

        Raises MechanismError when the server should have proven who it is, and has not.
        """

    def _unexpected(self) -> MechanismError:
        return MechanismError(f"{self.name}: the server sent a challenge where none may come")


def utf8(text: str, what: str) -> bytes:
    """Return `text` in UTF-8; `what` names it in the error.

    Raises MechanismError for NUL and lone surrogates.
    """
    # Tested beforehand: a UnicodeEncodeError would carry the secret along.
    if _UNSENDABLE.search(text):
        raise MechanismError(f"{what} must not hold NUL or a lone surrogate")
    return text.encode("utf-8")


def nonempty_utf8(text: str, what: str) -> bytes:
    """Return `text` in UTF-8, as :func:`utf8` does; raise MechanismError if it is empty, too."""
    if not text:
        raise MechanismError(f"{what} must not be empty")
    return utf8(text, what)


def saslname(octets: bytes) -> bytes:
    """Return `octets` with "," and "=" escaped, for a GS2 header or a SCRAM message (RFC 5801, section 4)."""
    return octets.replace(b"=", b"=3D").replace(b",", b"=2C")
