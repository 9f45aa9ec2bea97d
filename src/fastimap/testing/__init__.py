"""An IMAP4rev1 server in memory, for tests of programs that speak IMAP.

:class:`IMAPServer` runs in threads of this process, :class:`IMAPServerProcess` in a process of its own, and
``python -m fastimap.testing`` from a shell; the pytest fixture ``imap_server`` gives each test a fresh one.

It knows all of RFC 3501 and LITERAL+ (RFC 7888), SASL-IR (4959), ID (2971), ENABLE (5161), IDLE (2177),
NAMESPACE (2342), CHILDREN (3348), UIDPLUS (4315), MOVE (6851) and UNSELECT (3691). Messages are octets,
given back exactly as they were appended. It shares no code with fastimap's parser and clients, so that in a
test against it no parser vouches for itself.

It is not for the open network: it listens on loopback, and keeps all in memory, passwords too.

Nothing is sent that the RFCs do not allow; to test a client against a server that misbehaves, use another.
"""

from ..sessions.retry import no_waits
from .process import IMAPServerProcess
from .server import IMAPServer, StoredMessage

__all__ = ["IMAPServer", "IMAPServerProcess", "StoredMessage", "no_waits"]
