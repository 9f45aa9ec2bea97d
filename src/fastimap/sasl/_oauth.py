"""What the two OAuth mechanisms share: the token, and the server's account of a failure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from ..errors import MechanismError, OAuthError
from ..model._patterns import pattern
from ._mechanism import Mechanism

Token: TypeAlias = str | Callable[[], str]
"""An access token, or a function that is asked for one at each start()."""

# RFC 6750 allows fewer characters; no issuer's token may break the message's framing by ^A, SP or CR LF.
_TOKEN = pattern(r"[!-~]+")


class OAuth(Mechanism):
    """Base of OAUTHBEARER and XOAUTH2: all of the client's message in the initial response."""

    clear = True
    _acknowledgement: ClassVar[bytes]
    """The answer to an error challenge, after which the server sends its tagged NO."""

    def __init__(self, user: str, token: Token) -> None:
        super().__init__(user)
        self._token = token

    def start(self) -> bytes:
        self.error: OAuthError | None = None
        credential = self._credential()
        if credential is None:
            raise MechanismError("the token must be a str of printable ASCII characters, and not empty")
        return self._message(credential)

    def _credential(self) -> bytes | None:
        """Return the token as it is sent, None where it cannot be.

        Raises only what a token provider raises, so that no traceback holds the token.
        """
        token = self._token if isinstance(self._token, str) else self._token()
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            return None
        return b"auth=Bearer " + token.encode("ascii") + b"\1\1"

    @abstractmethod
    def _message(self, credential: bytes) -> bytes:
        """Return the client's message, which ends with `credential`."""

    def step(self, challenge: bytes) -> bytes:
        if self.error is not None:
            raise self._unexpected()
        self.error = _error(challenge)
        return self._acknowledgement

    def finish(self) -> None:
        if self.error is not None:
            raise self.error


def _error(challenge: bytes) -> OAuthError:
    """Read the JSON of an error challenge. Unreadable JSON is an error without details, not another error."""
    import json

    try:
        details = json.loads(challenge.decode("utf-8"))
    except (ValueError, RecursionError):
        details = None
    if not isinstance(details, dict):
        details = {}

    def text(key: str) -> str | None:
        value = details.get(key)
        if isinstance(value, str):
            return value
        return str(value) if type(value) is int else None

    return OAuthError(text("status"), text("scope"), text("openid-configuration"))
