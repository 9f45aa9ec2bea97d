"""A fast IMAP client: ``from fastimap import imaplib`` is the standard library's module on a parser in C."""

from __future__ import annotations

from . import imaplib
from .imaplib import IMAP4, IMAP4_SSL, IMAP4_stream
from .parser import IMPLEMENTATION

__all__ = ["IMAP4", "IMAP4_SSL", "IMPLEMENTATION", "IMAP4_stream", "__version__", "imaplib"]

__version__ = "0.1.0"
