"""The parser in pure Python: the readable specification of its twin, the extension ``_parser``.

Both have the same parts with the same names in the same order, and give equal output, or an equal exception, for any
octets however they are cut. The interface is documented in :mod:`fastimap.parser`.
"""

from .fetch import fetch, mail_seconds
from .reader import ResponseReader
from .rows import last_ascending, split_rows
from .tokens import number_bounds, tokenize

__all__ = [
    "ResponseReader",
    "fetch",
    "last_ascending",
    "mail_seconds",
    "number_bounds",
    "split_rows",
    "tokenize",
]
