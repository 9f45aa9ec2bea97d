"""The drivers: the only code that waits for a network."""

from __future__ import annotations

from .._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import pipeline as pipeline
    from . import rows as rows
else:
    __getattr__, __dir__ = lazy(__name__, {"pipeline": ".pipeline", "rows": ".rows"})
