"""OAUTHBEARER (RFC 7628)."""

from __future__ import annotations

from ..errors import MechanismError
from ._mechanism import saslname, utf8
from ._oauth import OAuth, Token


class OAuthBearer(OAuth):
    """A bearer token (RFC 6750) for `user`, which may be empty where the token alone says who it is.

    `token`: the access token, or a function that is asked for it at each start.
    `host`, `port`: the server that the client connected to; sent where they are not empty or 0.

    Raises MechanismError for control characters in the user or host, and for a port that is none.
    """

    name = "OAUTHBEARER"
    strength = 20
    _acknowledgement = b"\1"

    def __init__(self, user: str, token: Token, *, host: str = "", port: int = 0) -> None:
        super().__init__(user, token)
        authzid = b"a=" + saslname(utf8(user, "the user")) if user else b""
        pairs = [b"n," + authzid + b","]
        if host:
            pairs.append(b"host=" + utf8(host, "the host"))
        if port:
            pairs.append(b"port=%d" % port)
        if any(b"\1" in pair for pair in pairs):
            raise MechanismError("the user and the host must not hold ^A")
        if not 0 <= port <= 65535:
            raise MechanismError(f"{port} is not a port")
        self._head = b"\1".join(pairs) + b"\1"

    def _message(self, credential: bytes) -> bytes:
        return self._head + credential
