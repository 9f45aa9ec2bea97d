"""CRAM-MD5 (RFC 2195)."""

from __future__ import annotations

from contextlib import suppress

from ..errors import MechanismError
from ._mechanism import Mechanism, nonempty_utf8


class CramMD5(Mechanism):
    """A keyed MD5 digest of the server's challenge: old, and the server proves nothing.

    Raises MechanismError for an empty user or password, and for NUL in either.
    """

    name = "CRAM-MD5"
    clear = False
    strength = 30

    def __init__(self, user: str, password: str) -> None:
        super().__init__(user)
        self._user = nonempty_utf8(user, "the user")
        self._password = nonempty_utf8(password, "the password")
        self._answered = False

    def start(self) -> None:
        self._answered = False

    def step(self, challenge: bytes) -> bytes:
        if self._answered:
            raise self._unexpected()
        self._answered = True
        if not challenge:
            raise MechanismError("CRAM-MD5: the server's challenge is empty")
        import hmac

        digest = None
        with suppress(ValueError):  # an OpenSSL in FIPS mode; that error's frames would hold the password
            digest = hmac.new(self._password, challenge, "md5").hexdigest()
        if digest is None:
            raise MechanismError("CRAM-MD5: this Python's cryptography refuses MD5")
        return self._user + b" " + digest.encode("ascii")
