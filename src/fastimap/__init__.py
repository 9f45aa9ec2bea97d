"""A fast IMAP client: ``fastimap.Client``, ``fastimap.AsyncClient``, and ``from fastimap import imaplib``.

The last is the standard library's module on a parser in C; the first two are typed, pipelined and streaming.
``fastimap.Account`` says how to reach a server, once for all of them; ``fastimap.Retry`` and ``fastimap.Pool`` go on
over lost connections, and ``fastimap.follow`` yields mail as it comes.

Search keys are in ``fastimap.search``; what the methods return and servers say in ``fastimap.types``; the commands, and
the values that some of them take, in ``fastimap.commands``; SASL mechanisms in ``fastimap.sasl``; errors in
``fastimap.errors``; copies of whole accounts in ``fastimap.archive``.
"""

from __future__ import annotations

from ._homes import HOMES
from ._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:  # tools/generate_methods.py makes _homes.py of these lines
    from . import archive as archive
    from . import commands as commands
    from . import errors as errors
    from . import imaplib as imaplib
    from . import sasl as sasl
    from . import search as search
    from . import types as types
    from .clients.asyncio import AsyncClient as AsyncClient
    from .clients.blocking import Client as Client
    from .errors import FastimapError as FastimapError
    from .imaplib import IMAP4 as IMAP4
    from .imaplib import IMAP4_SSL as IMAP4_SSL
    from .imaplib import IMAP4_stream as IMAP4_stream
    from .limits import Limits as Limits
    from .model.message import Flag as Flag
    from .model.sequence_set import SAVED as SAVED
    from .model.sequence_set import SequenceSet as SequenceSet
    from .model.sequence_set import UIDSet as UIDSet
    from .parser import IMPLEMENTATION as IMPLEMENTATION
    from .sessions.follow import AsyncFollow as AsyncFollow
    from .sessions.follow import follow as follow
    from .sessions.pool import AsyncPool as AsyncPool
    from .sessions.pool import Pool as Pool
    from .sessions.retry import Retry as Retry
    from .settings import Account as Account
    from .settings import Timeouts as Timeouts
else:
    __all__ = [*HOMES, "__version__"]
    # A program that uses the drop-in alone does not pay for the clients, nor for asyncio.
    __getattr__, __dir__ = lazy(__name__, HOMES)


__version__ = "0.2.0"
