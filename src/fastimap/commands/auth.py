"""LOGIN and AUTHENTICATE (RFC 9051, sections 6.2.2 and 6.2.3; SASL-IR, RFC 4959)."""

from __future__ import annotations

import contextlib
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterable, Sequence

from ..errors import (
    AuthenticationFailed,
    CommandError,
    FastimapError,
    MechanismError,
    ProtocolError,
    Unavailable,
)
from ..model.responses import ContinuationRequest, Tagged
from ..sasl import Mechanism
from ..wire import encode
from ..wire.encode import Part
from .base import NOT_AUTHENTICATED, Command, Session, State
from .refusals import refusal

__all__ = ["Authenticate", "Login"]


_NO_MATTER_OF_CREDENTIALS = frozenset({"CONTACTADMIN", "CORRUPTION", "PRIVACYREQUIRED", "SERVERBUG"})


def _failure(error: CommandError) -> CommandError:
    """Return `error`, as AuthenticationFailed where the server's NO has no code that says otherwise."""
    if error.status != "NO" or isinstance(error, Unavailable) or error.code in _NO_MATTER_OF_CREDENTIALS:
        return error
    if error.code is not None and type(error) is not CommandError:
        return error
    return AuthenticationFailed(error.command, error.tag, error.status, error.response_code, error.text)


class Login(Command[None]):
    """Log in with a password in clear (RFC 9051, section 6.2.3).

    :param user: the account.
    :param password: its password, sent in clear text.
    :param insecure: allow that without TLS, where anybody on the way can read it.

    Raises MechanismError without TLS, and under LOGINDISABLED; then nothing is sent.
    """

    name = "LOGIN"
    states = NOT_AUTHENTICATED
    changes_capabilities = True

    def __init__(self, user: str, password: str, *, insecure: bool = False) -> None:
        self._user = user
        self._password = password
        self._insecure = insecure

    def parts(self, session: Session) -> Sequence[Part]:
        if "LOGINDISABLED" in session.capabilities:
            raise MechanismError(f"the server refuses LOGIN (LOGINDISABLED){'' if session.tls else ': use TLS'}")
        if not (session.tls or self._insecure):
            raise MechanismError("without TLS a listener could read the password (insecure=True allows that)")
        if not isinstance(self._password, (str, bytes)):
            raise TypeError("the password must be str or bytes")
        password = self._encoded_password()
        if password is None:
            raise ValueError("the password must not hold NUL, CR, LF or a lone surrogate")
        return [b"LOGIN", encode.astring(self._user), encode.Secret(password)]

    def _encoded_password(self) -> Part | None:
        """Return the password as it is sent, None where it can't be. Raises nothing: no traceback holds it."""
        with contextlib.suppress(ValueError):
            return encode.astring(self._password)
        return None

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.state = State.AUTHENTICATED

    def fail(self, tagged: Tagged, session: Session) -> Exception:
        return _failure(refusal(self.name, tagged))


class Authenticate(Command[None]):
    """Authenticate with a SASL mechanism (RFC 9051, section 6.2.2).

    :param mechanism: see :mod:`fastimap.sasl`.
    """

    name = "AUTHENTICATE"
    states = NOT_AUTHENTICATED
    changes_capabilities = True

    def __init__(self, mechanism: Mechanism) -> None:
        if not isinstance(mechanism, Mechanism):
            raise TypeError(f"not a SASL mechanism: {mechanism!r}")
        self._mechanism = mechanism
        self._initial: bytes | None = None
        self._refused: Exception | None = None

    def requires(self, session: Session) -> Iterable[str]:
        return (f"AUTH={self._mechanism.name}",)

    def parts(self, session: Session) -> Sequence[Part]:
        if self._mechanism.clear and not session.tls and "LOGINDISABLED" in session.capabilities:
            raise MechanismError(f"the server refuses {self._mechanism.name} without TLS (LOGINDISABLED): use TLS")
        parts: list[Part] = [b"AUTHENTICATE", encode.atom(self._mechanism.name)]
        initial = self._mechanism.start()
        if initial is not None and session.has("SASL-IR"):
            parts.append(encode.Secret(b2a_base64(initial, newline=False) or b"="))
        else:
            self._initial = initial
        return parts

    def answer(self, request: ContinuationRequest) -> bytes | None:
        if self._refused is not None:
            raise ProtocolError("the server goes on with an authentication that was cancelled")
        try:
            if self._initial is not None:
                initial, self._initial = self._initial, None
                if _decoded(request.octets):
                    raise ProtocolError("the server spoke first where the client has to")
                return b2a_base64(initial, newline=False)
            return b2a_base64(self._mechanism.step(_decoded(request.octets)), newline=False)
        except FastimapError as exc:
            self._refused = exc
            return b"*"

    def succeed(self, tagged: Tagged, session: Session) -> None:
        if self._refused is not None:
            raise ProtocolError(f"the server accepts what was cancelled: {self._refused}")
        try:
            self._mechanism.finish()
        except FastimapError as exc:
            # Somebody who could not prove that he is the server said OK.
            raise ProtocolError(str(exc)) from exc
        session.state = State.AUTHENTICATED

    def fail(self, tagged: Tagged, session: Session) -> Exception:
        if self._refused is not None:
            return self._refused
        error = _failure(refusal(f"{self.name} {self._mechanism.name}", tagged))
        error.__cause__ = self._mechanism.error
        return error


def _decoded(text: bytes) -> bytes:
    """Return a challenge, in quotes or without: an empty one is ``""`` for Stalwart, and ``=`` as in RFC 4959."""
    text = text.strip()
    if len(text) > 1 and text[:1] == text[-1:] == b'"':
        text = text[1:-1]
    if text == b"=":
        return b""
    try:
        return a2b_base64(text, strict_mode=True)
    except Error:
        raise ProtocolError("a SASL challenge that is not base64") from None
