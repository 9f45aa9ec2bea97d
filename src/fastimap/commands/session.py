"""CAPABILITY, NOOP, LOGOUT, STARTTLS, COMPRESS (RFC 9051, sections 6.1 and 6.2.1; RFC 4978)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model.responses import Capabilities, Response, Tagged
from ..wire.encode import Part
from .base import ANY, AUTHENTICATED, NOT_AUTHENTICATED, Command, Session, State

__all__ = ["Capability", "Compress", "Logout", "Noop", "StartTLS"]


class Capability(Command[frozenset[str]]):
    """Ask for the server's capabilities; returns their names in upper case (RFC 9051, section 6.1.1).

    ``client.capabilities`` knows them already.
    """

    name = "CAPABILITY"
    repeatable = True
    states = ANY

    def parts(self, session: Session) -> Sequence[Part]:
        return [self.name.encode()]

    def take(self, response: Response) -> bool:
        return isinstance(response, Capabilities)

    def succeed(self, tagged: Tagged, session: Session) -> frozenset[str]:
        return session.capabilities


class Noop(Command[None]):
    """Do nothing; the server uses the occasion to tell what is new (RFC 9051, section 6.1.2)."""

    name = "NOOP"
    repeatable = True
    states = ANY
    kind: str | None = "noop"

    def parts(self, session: Session) -> Sequence[Part]:
        return (b"NOOP",)

    def succeed(self, tagged: Tagged, session: Session) -> None:
        return None


class Logout(Command[None]):
    """Say goodbye (RFC 9051, section 6.1.3); ``client.close()`` does it, and closes the connection."""

    name = "LOGOUT"
    states = ANY

    def parts(self, session: Session) -> Sequence[Part]:
        return [self.name.encode()]

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.state = State.LOGOUT


class StartTLS(Command[None]):
    """Begin TLS (RFC 9051, section 6.2.1); what was learnt before is forgotten."""

    name = "STARTTLS"
    states = NOT_AUTHENTICATED
    ends_encoding = True

    def requires(self, session: Session) -> Iterable[str]:
        return ("STARTTLS",)

    def parts(self, session: Session) -> Sequence[Part]:
        return [self.name.encode()]

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.forget()


class Compress(Command[None]):
    """Compress both directions from here on (COMPRESS=DEFLATE, RFC 4978)."""

    name = "COMPRESS"
    states = AUTHENTICATED
    ends_encoding = True

    def requires(self, session: Session) -> Iterable[str]:
        return ("COMPRESS=DEFLATE",)

    def parts(self, session: Session) -> Sequence[Part]:
        return [b"COMPRESS", b"DEFLATE"]

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.compressed = True
