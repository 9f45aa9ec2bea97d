"""SCRAM (RFC 5802) with SHA-1, SHA-256 (RFC 7677) and SHA-512, each with and without channel binding (-PLUS).

The attributes' letters, for the reader: n user, r nonce, s salt, i iteration count, c channel binding, p client
proof, v server signature, e server error, a authzid, m mandatory extension.
"""

from __future__ import annotations

import os
import re
from binascii import a2b_base64, b2a_base64
from enum import Enum, auto
from typing import ClassVar

from ..errors import MechanismError
from ..model._patterns import pattern
from ._mechanism import CHANNEL_BINDING_TYPES, Mechanism, saslname, utf8

MIN_ITERATIONS = 4_096
"""The least that RFC 7677, section 4, lets a server use; fewer would help it to guess the password offline."""

MAX_ITERATIONS = 1_000_000
"""More would let a server keep the client computing: this many take about a second."""

_NONCE = pattern(r"[!-+\--~]+")
_ATTRIBUTE = pattern(r"([A-Za-z])=([^\0,]+)")
_RESERVED = frozenset("aceimnprsv")


class _Awaiting(Enum):
    NOTHING = auto()
    SERVER_FIRST_MESSAGE = auto()
    SERVER_FINAL_MESSAGE = auto()


def _prepared(text: str, what: str, *, stored: bool) -> bytes:
    if text and text.isascii() and text.isprintable():  # SASLprep leaves it as it is, and its tables are big
        return text.encode("ascii")
    from ._saslprep import saslprep

    return saslprep(text, what, stored=stored)


class Scram(Mechanism):
    """Proof of the password without sending it; the server proves in turn that it knows the password's verifier.

    `gs2_flag`, `binding`: what is said of channel binding, and its data (RFC 5802, section 6).
    `nonce`: for test vectors only; else each start makes its own.
    """

    clear = False
    _hash: ClassVar[str]

    def __init__(
        self, user: str, password: str, *, authzid: str, gs2_flag: str, binding: bytes, nonce: str | None
    ) -> None:
        super().__init__(user)
        if nonce is not None and not _NONCE.fullmatch(nonce):
            raise MechanismError("the nonce must be of printable ASCII characters, without a comma")
        self._user = saslname(_prepared(user, "the user", stored=False))
        self._password = _prepared(password, "the password", stored=True)
        authorization = b"a=" + saslname(utf8(authzid, "the authzid")) if authzid else b""
        self._gs2_header = gs2_flag.encode("ascii") + b"," + authorization + b","
        self._binding = binding
        self._fixed_nonce = nonce
        self._reset()

    def _reset(self) -> None:
        self._nonce = ""
        self._server_signature = b""
        self._verified = False
        self._awaiting = _Awaiting.NOTHING

    def start(self) -> bytes:
        self._reset()
        self._nonce = self._fixed_nonce or b2a_base64(os.urandom(24), newline=False).decode("ascii")
        self._awaiting = _Awaiting.SERVER_FIRST_MESSAGE
        return self._gs2_header + self._client_first_message_bare()

    def _client_first_message_bare(self) -> bytes:
        return b"n=" + self._user + b",r=" + self._nonce.encode("ascii")

    def step(self, challenge: bytes) -> bytes:
        # Nothing is awaited any more should this step raise.
        awaiting, self._awaiting = self._awaiting, _Awaiting.NOTHING
        if awaiting is _Awaiting.SERVER_FIRST_MESSAGE:
            response = self._client_final_message(challenge)
            self._awaiting = _Awaiting.SERVER_FINAL_MESSAGE
            return response
        if awaiting is _Awaiting.SERVER_FINAL_MESSAGE:
            self._verify(challenge)
            return b""
        raise self._unexpected()

    def finish(self) -> None:
        if not self._verified:
            raise MechanismError(f"{self.name}: the server said OK without having proven that it knows the password")

    def _client_final_message(self, server_first_message: bytes) -> bytes:
        attributes = self._attributes(server_first_message, "rsi")
        nonce = attributes["r"]
        if not (_NONCE.fullmatch(nonce) and nonce.startswith(self._nonce) and len(nonce) > len(self._nonce)):
            raise MechanismError(f"{self.name}: the server's nonce does not continue the client's")
        salt = self._base64(attributes["s"])
        iterations = self._iterations(attributes["i"])

        channel_binding = b2a_base64(self._gs2_header + self._binding, newline=False)
        without_proof = b"c=" + channel_binding + b",r=" + nonce.encode("ascii")
        auth_message = b",".join([self._client_first_message_bare(), server_first_message, without_proof])
        proof, self._server_signature = self._proof_and_signature(salt, iterations, auth_message)
        return without_proof + b",p=" + b2a_base64(proof, newline=False)

    def _proof_and_signature(self, salt: bytes, iterations: int, auth_message: bytes) -> tuple[bytes, bytes]:
        """RFC 5802, section 3. Raises nothing, so that no traceback holds the keys."""
        import hashlib
        import hmac

        salted_password = hashlib.pbkdf2_hmac(self._hash, self._password, salt, iterations)
        client_key = hmac.digest(salted_password, b"Client Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        client_signature = hmac.digest(stored_key, auth_message, self._hash)
        server_key = hmac.digest(salted_password, b"Server Key", self._hash)
        proof = bytes(key ^ signature for key, signature in zip(client_key, client_signature, strict=True))
        return proof, hmac.digest(server_key, auth_message, self._hash)

    def _verify(self, server_final_message: bytes) -> None:
        import hmac

        attributes = self._attributes(server_final_message, "v")
        if not hmac.compare_digest(self._base64(attributes["v"]), self._server_signature):
            raise MechanismError(f"{self.name}: the server's signature is wrong: it does not know the password")
        self._verified = True

    def _attributes(self, message: bytes, expected: str) -> dict[str, str]:
        """Return the attributes of `message`: those of the letters `expected`, in this order, then extensions."""
        try:
            parts = [_ATTRIBUTE.fullmatch(part) for part in message.decode("utf-8").split(",")]
        except UnicodeDecodeError:
            raise MechanismError(f"{self.name}: the server's message is not UTF-8") from None
        attributes: dict[str, str] = {}
        for part in parts:
            if part is None or part[1] in attributes:
                raise MechanismError(f"{self.name}: the server's message is malformed")
            attributes[part[1]] = part[2]
        if "m" in attributes:
            raise MechanismError(f"{self.name}: the server demands an extension that this client does not know")
        if "e" in attributes:
            raise MechanismError(f"{self.name}: the server refused: {attributes['e'][:100]!r}")
        letters = list(attributes)
        if letters[: len(expected)] != list(expected) or _RESERVED.intersection(letters[len(expected) :]):
            raise MechanismError(f"{self.name}: the server's message has attributes out of place")
        return attributes

    def _base64(self, value: str) -> bytes:
        try:
            return a2b_base64(value, strict_mode=True)
        except ValueError:
            raise MechanismError(f"{self.name}: the server's message holds something else than base64") from None

    def _iterations(self, value: str) -> int:
        # The length first: int() refuses very long numerals with an error of its own.
        digits = re.fullmatch(r"[1-9][0-9]{0,9}", value)
        if digits is None or not MIN_ITERATIONS <= int(value) <= MAX_ITERATIONS:
            raise MechanismError(
                f"{self.name}: the server wants {value[:20]!r} iterations;"
                f" this client accepts {MIN_ITERATIONS} to {MAX_ITERATIONS}"
            )
        return int(value)


class ScramUnbound(Scram):
    """SCRAM without channel binding.

    `authzid`: the identity to act as, where it is not the user's own.
    `could_bind`: this client has channel binding data, and the server offers no -PLUS mechanism. A server that
    does offer one then knows that somebody took it out of the list, and refuses (RFC 5802, section 6).
    `nonce`: for test vectors only; else each start makes its own.

    Raises MechanismError for a user or password that SASLprep (RFC 4013) refuses.
    """

    def __init__(
        self, user: str, password: str, *, authzid: str = "", could_bind: bool = False, nonce: str | None = None
    ) -> None:
        gs2_flag = "y" if could_bind else "n"
        super().__init__(user, password, authzid=authzid, gs2_flag=gs2_flag, binding=b"", nonce=nonce)


class ScramPlus(Scram):
    """SCRAM bound to the TLS connection: nobody in between can relay it.

    `channel_binding`: one of CHANNEL_BINDING_TYPES, and the octets of this connection that belong to it.
    `authzid`, `nonce`: as for ScramUnbound.

    Raises MechanismError as ScramUnbound does, for another type of channel binding, and for empty octets.
    """

    def __init__(
        self,
        user: str,
        password: str,
        *,
        channel_binding: tuple[str, bytes],
        authzid: str = "",
        nonce: str | None = None,
    ) -> None:
        kind, octets = channel_binding
        if kind not in CHANNEL_BINDING_TYPES or not octets:
            raise MechanismError(f"{self.name} needs channel binding data: {', '.join(CHANNEL_BINDING_TYPES)}")
        super().__init__(user, password, authzid=authzid, gs2_flag=f"p={kind}", binding=octets, nonce=nonce)


class ScramSHA1(ScramUnbound):
    """SCRAM-SHA-1 (RFC 5802)."""

    name = "SCRAM-SHA-1"
    strength = 40
    _hash = "sha1"


class ScramSHA256(ScramUnbound):
    """SCRAM-SHA-256 (RFC 7677)."""

    name = "SCRAM-SHA-256"
    strength = 50
    _hash = "sha256"


class ScramSHA512(ScramUnbound):
    """SCRAM-SHA-512 (draft-melnikov-scram-sha-512)."""

    name = "SCRAM-SHA-512"
    strength = 60
    _hash = "sha512"


# All above the mechanisms without: a server that offers one refuses a client that could bind and does not.
class ScramSHA1Plus(ScramPlus):
    """SCRAM-SHA-1-PLUS (RFC 5802): bound to the TLS connection."""

    name = "SCRAM-SHA-1-PLUS"
    strength = 70
    _hash = "sha1"


class ScramSHA256Plus(ScramPlus):
    """SCRAM-SHA-256-PLUS (RFC 7677): bound to the TLS connection."""

    name = "SCRAM-SHA-256-PLUS"
    strength = 80
    _hash = "sha256"


class ScramSHA512Plus(ScramPlus):
    """SCRAM-SHA-512-PLUS (draft-melnikov-scram-sha-512): bound to the TLS connection."""

    name = "SCRAM-SHA-512-PLUS"
    strength = 90
    _hash = "sha512"
