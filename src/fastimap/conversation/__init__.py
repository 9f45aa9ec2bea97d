"""The conversation of one connection without I/O."""

from __future__ import annotations

from .._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import operations as operations
    from . import pieces as pieces
    from . import streams as streams
else:  # a program that runs single commands, on lines of a usual length, needs none of them
    __getattr__, __dir__ = lazy(__name__, {"operations": ".operations", "pieces": ".pieces", "streams": ".streams"})
