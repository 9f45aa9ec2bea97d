"""GSSAPI: Kerberos 5 (RFC 4752), by the package gssapi (the extra ``fastimap[gssapi]``)."""

from __future__ import annotations

from enum import Enum, auto
from importlib import import_module
from typing import Any

from ..errors import MechanismError
from ._mechanism import Mechanism, utf8

_NO_SECURITY_LAYER = 1


class _Awaiting(Enum):
    NOTHING = auto()
    CONTEXT_TOKEN = auto()
    SECURITY_LAYERS = auto()


class GSSAPI(Mechanism):
    """A Kerberos ticket of the caller's credential cache for the service ``imap`` on `host`.

    No security layer is negotiated: TLS is there for that.

    `host`: the server's name as its principal has it.
    `authzid`: the identity to act as; empty for the one that belongs to the ticket.

    Raises MechanismError when the package gssapi is missing.
    """

    name = "GSSAPI"
    clear = False
    strength = 90

    def __init__(self, host: str, *, authzid: str = "", service: str = "imap") -> None:
        super().__init__(authzid)
        if not host:
            raise MechanismError("GSSAPI needs the server's host name")
        self._service = f"{service}@{host}"
        self._authzid = utf8(authzid, "the authzid")
        try:
            self._gssapi: Any = import_module("gssapi")
        except ImportError:
            raise MechanismError("GSSAPI needs the package gssapi: pip install fastimap[gssapi]") from None
        self._awaiting = _Awaiting.NOTHING
        self._done = False

    def start(self) -> bytes:
        gssapi = self._gssapi
        self._done = False
        self._awaiting = _Awaiting.NOTHING
        try:
            self._context = gssapi.SecurityContext(
                name=gssapi.Name(self._service, gssapi.NameType.hostbased_service),
                mech=gssapi.MechType.kerberos,
                flags=[gssapi.RequirementFlag.mutual_authentication],
                usage="initiate",
            )
        except gssapi.exceptions.GSSError as exc:
            raise MechanismError(f"GSSAPI: {exc}") from exc
        return self._token(None)

    def step(self, challenge: bytes) -> bytes:
        # Nothing is awaited any more should this step raise.
        awaiting, self._awaiting = self._awaiting, _Awaiting.NOTHING
        if awaiting is _Awaiting.CONTEXT_TOKEN:
            return self._token(challenge)
        if awaiting is _Awaiting.SECURITY_LAYERS:
            return self._choose_security_layer(challenge)
        raise self._unexpected()

    def finish(self) -> None:
        if not self._done:
            raise MechanismError("GSSAPI: the server said OK before the exchange was complete")

    def _token(self, challenge: bytes | None) -> bytes:
        """Return the context's next token; empty when it is complete and has none (RFC 4752, section 3.1)."""
        try:
            token: bytes | None = self._context.step(challenge)
        except self._gssapi.exceptions.GSSError as exc:
            raise MechanismError(f"GSSAPI: {exc}") from exc
        if not self._context.complete:
            self._awaiting = _Awaiting.CONTEXT_TOKEN
        elif self._gssapi.RequirementFlag.mutual_authentication in self._context.actual_flags:
            self._awaiting = _Awaiting.SECURITY_LAYERS
        else:
            raise MechanismError("GSSAPI: the server has not proven who it is")
        return token or b""

    def _choose_security_layer(self, challenge: bytes) -> bytes:
        try:
            offer: bytes = self._context.unwrap(challenge).message
        except self._gssapi.exceptions.GSSError as exc:
            raise MechanismError(f"GSSAPI: {exc}") from exc
        if len(offer) != 4:
            raise MechanismError("GSSAPI: the server's offer of security layers is malformed")
        # Its other three octets are the size of the server's buffer for a security layer. RFC 4752, section 3.1, wants
        # zero where no layer is offered; Dovecot says ff ff ff all the same. Without a layer the size has no use.
        if not offer[0] & _NO_SECURITY_LAYER:
            raise MechanismError("GSSAPI: the server insists on a security layer; this client relies on TLS")
        choice = bytes([_NO_SECURITY_LAYER, 0, 0, 0]) + self._authzid
        try:
            response: bytes = self._context.wrap(choice, False).message
        except self._gssapi.exceptions.GSSError as exc:
            raise MechanismError(f"GSSAPI: {exc}") from exc
        self._done = True
        return response
