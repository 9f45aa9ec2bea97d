"""PLAIN (RFC 4616)."""

from __future__ import annotations

from ._mechanism import Mechanism, nonempty_utf8, utf8


class Plain(Mechanism):
    """User and password as they are; the server prepares and compares them.

    `authzid`: the identity to act as, where it is not the user's own.

    Raises MechanismError for an empty user or password, and for NUL in any of the three.
    """

    name = "PLAIN"
    clear = True
    strength = 20

    def __init__(self, user: str, password: str, *, authzid: str = "") -> None:
        super().__init__(user)
        self._message = b"\0".join(
            [utf8(authzid, "the authzid"), nonempty_utf8(user, "the user"), nonempty_utf8(password, "the password")]
        )

    def start(self) -> bytes:
        return self._message

    def step(self, challenge: bytes) -> bytes:
        raise self._unexpected()
