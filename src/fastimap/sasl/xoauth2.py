"""XOAUTH2: Google's forerunner of OAUTHBEARER, and the only one that Microsoft offers."""

from __future__ import annotations

from ..errors import MechanismError
from ._mechanism import nonempty_utf8
from ._oauth import OAuth, Token


class XOAuth2(OAuth):
    """A bearer token for `user` (developers.google.com/gmail/imap/xoauth2-protocol).

    `token`: the access token, or a function that is asked for it at each start.

    Raises MechanismError for an empty user or one with control characters.
    """

    name = "XOAUTH2"
    strength = 10
    _acknowledgement = b""

    def __init__(self, user: str, token: Token) -> None:
        super().__init__(user, token)
        self._user = nonempty_utf8(user, "the user")
        if b"\1" in self._user:
            raise MechanismError("the user must not hold ^A")

    def _message(self, credential: bytes) -> bytes:
        return b"user=" + self._user + b"\1" + credential
