"""EXTERNAL (RFC 4422, appendix A)."""

from __future__ import annotations

from ._mechanism import Mechanism, utf8


class External(Mechanism):
    """The server knows the client already, most often by its TLS certificate.

    `authzid`: the identity to act as; empty for the one that the server derives by itself.

    Raises MechanismError for NUL in `authzid`.
    """

    name = "EXTERNAL"
    clear = False
    strength = 100

    def __init__(self, authzid: str = "") -> None:
        super().__init__(authzid)
        self._authzid = utf8(authzid, "the authzid")

    def start(self) -> bytes:
        return self._authzid

    def step(self, challenge: bytes) -> bytes:
        raise self._unexpected()
