"""SASL mechanisms (RFC 4422): one file each, octets in, octets out; they know no client and no socket.

How a driver uses a mechanism::

    mechanism = choose(offered, Credentials(user=user, password=password), tls=True)
    initial = mechanism.start()          # None: the server speaks first
    ... send AUTHENTICATE with mechanism.name; with SASL-IR (RFC 4959) also `initial`, in base64 and "=" if empty
    ... without SASL-IR the server's first challenge is empty, and `initial` is the answer to it
    for each challenge: send mechanism.step(challenge)
    at the tagged OK:   mechanism.finish()
    at the tagged NO:   mechanism.error, where it is not None, is the server's own account of the failure

Challenges and responses are octets, already out of and not yet in base64. `step` and `finish` raise MechanismError
and nothing else. After an error of `step` the driver cancels the exchange with "*" (RFC 3501, section 6.2.2); after
one of `finish` the server has not proven who it is, so the driver closes the connection. `start` begins anew
each time, so one mechanism serves a reconnection too.

Data for ``tls-unique`` exists up to TLS 1.2 only, and few servers know ``tls-server-end-point``: a driver gives
`choose` no channel binding data that the server may be unable to check: after a refused -PLUS nothing weaker is tried.

SCRAM and GSSAPI compute (up to a second) or wait (for a ticket) in `start` and `step`: an event loop calls them
in a thread.

No secret stands in a repr, in an exception or in a local variable of a frame that a server's misconduct can
put into a traceback. What `start` and `step` return can be a secret: drivers keep it out of logs.
"""

from __future__ import annotations

from .._lazy import lazy
from ..errors import MechanismError, NotOffered, OAuthError
from ._homes import HOMES
from ._mechanism import CHANNEL_BINDING_TYPES, Mechanism
from ._oauth import Token
from .choose import Credentials, choose

TYPE_CHECKING = False
if TYPE_CHECKING:  # tools/generate_methods.py makes _homes.py of these lines
    from .anonymous import Anonymous
    from .cram_md5 import CramMD5
    from .external import External
    from .gssapi import GSSAPI
    from .login import Login
    from .oauthbearer import OAuthBearer
    from .plain import Plain
    from .scram import (
        MAX_ITERATIONS,
        MIN_ITERATIONS,
        ScramSHA1,
        ScramSHA1Plus,
        ScramSHA256,
        ScramSHA256Plus,
        ScramSHA512,
        ScramSHA512Plus,
    )
    from .xoauth2 import XOAuth2
else:  # a login needs one mechanism
    __getattr__, __dir__ = lazy(__name__, HOMES)

__all__ = [
    "CHANNEL_BINDING_TYPES",
    "GSSAPI",
    "MAX_ITERATIONS",
    "MIN_ITERATIONS",
    "Anonymous",
    "CramMD5",
    "Credentials",
    "External",
    "Login",
    "Mechanism",
    "MechanismError",
    "NotOffered",
    "OAuthBearer",
    "OAuthError",
    "Plain",
    "ScramSHA1",
    "ScramSHA1Plus",
    "ScramSHA256",
    "ScramSHA256Plus",
    "ScramSHA512",
    "ScramSHA512Plus",
    "Token",
    "XOAuth2",
    "choose",
]
