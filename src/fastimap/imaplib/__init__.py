"""A drop-in for the standard library's :mod:`imaplib`, on fastimap's parser.

The classes, their methods, what these return and what they raise are those of CPython 3.15's module, on every
Python: a command returns ``(type, [data, ...])``, with `type` ``"OK"`` or ``"NO"``, and `data` what the server sent
for it, as bytes, or as ``(line, literal)`` where a literal is part of it. Added to that are what 3.16 brings
(``move``, ``id``, ``login_plain``, ``uid=``, ``params=``, message sets and lists as Python values, search text in a
charset, mailbox names as str) and what the module had in Python 2.5 and lost since.

Arguments become strings, and are quoted where the grammar needs it. One that the caller has quoted, or put in
parentheses, goes as it is. So is a search criterion after a key that takes text, ``search(None, "SUBJECT", "trip
report")``, while a single string may hold a whole search program. Refused, and nothing is sent: NUL, CR and LF in an
argument, ``{n}`` at the end of the last where that can't be quoted, and what a server would read as two arguments where
there is to be one. What is raised is an :exc:`IMAP4.error` as well as the ValueError, TypeError, UnicodeEncodeError or
LookupError that the standard library has.

It differs from the standard library on purpose in these points:

- TLS verifies the server's certificate and host name, unless the caller passes an `ssl_context`; the one of
  :func:`unverified_ssl_context` takes any certificate. The default comes from ``_create_default_ssl_context``, which
  can be replaced.
- A command that ends by a timeout, a lost connection or octets that are not IMAP leaves the connection dead: the
  socket is closed, and each later command raises :exc:`IMAP4.abort` with the first reason.
- A timeout holds for a whole response, however slowly its octets come; each 64 KiB of them begin it anew. Unsolicited
  responses keep a command waiting for ten timeouts at the most.
- ``login()`` refuses to send a password to a server that announces LOGINDISABLED, and ``authenticate()`` refuses the
  mechanisms that show it, unless under TLS.
- ``starttls()`` ends under TLS, or with the connection dead.
- A line may have 16 MiB (``_MAXLINE``), a message 1 GiB, any other literal 1 MiB; what no command asked for is limited
  too (:data:`fastimap.limits.IMAPLIB_LIMITS`).
- An answer that is there before the command was sent, or before its literal, ends the connection.

The exceptions inherit from the standard library's, so that its ``except imaplib.IMAP4.error`` clauses hold.
"""

from __future__ import annotations

import sys
from types import ModuleType

from .arguments import substitute
from .client import IMAP4, IMAP4_SSL
from .connection import warn_deprecated
from .functions import Flags as Flags
from .functions import Int2AP, Internaldate2tuple, ParseFlags, Time2Internaldate
from .functions import InternalDate as InternalDate
from .functions import Mon2num as Mon2num
from .functions import Months as Months
from .idler import Idler as Idler
from .names import _MAXLINE as _MAXLINE
from .names import CRLF as CRLF
from .names import IMAP4_PORT as IMAP4_PORT
from .names import IMAP4_SSL_PORT as IMAP4_SSL_PORT
from .names import AllowedVersions as AllowedVersions
from .names import Commands as Commands
from .names import Continuation as Continuation
from .names import Debug as Debug
from .names import Literal as Literal
from .names import MapCRLF as MapCRLF
from .names import Response_code as Response_code
from .names import Untagged_response as Untagged_response
from .names import Untagged_status as Untagged_status
from .session import _Authenticator as _Authenticator
from .stream import IMAP4_stream
from .tls import HAVE_SSL as HAVE_SSL
from .tls import _create_default_ssl_context as _create_default_ssl_context
from .tls import unverified_ssl_context as unverified_ssl_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_substitute = substitute  # CPython's name

__all__ = [
    "IMAP4",
    "IMAP4_SSL",
    "IMAP4_stream",
    "Int2AP",
    "Internaldate2tuple",
    "ParseFlags",
    "Time2Internaldate",
]


class _Replaceable(ModuleType):
    """The module, each name of which a program may replace: in all the rooms that look it up.

    imap_tools raises ``_MAXLINE``, tests replace ``socket``, ``time`` or ``Commands``: what the standard library keeps
    in one file acts here as it does there.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        for room in _rooms():
            if name in vars(room):
                setattr(room, name, value)
        super().__setattr__(name, value)


def _rooms() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.startswith(f"{__name__}.")]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        warn_deprecated(name, "3.20")
        return "2.60"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# What stands in several is that of the first, and what stands here already is kept.
_found: dict[str, Any] = {}
for _room in reversed(_rooms()):
    _found.update(vars(_room))
globals().update({**_found, **globals()})
sys.modules[__name__].__class__ = _Replaceable
