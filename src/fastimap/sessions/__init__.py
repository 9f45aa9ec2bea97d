"""Sessions that outlive a connection."""

from __future__ import annotations

from .._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import resume as resume
    from . import writes as writes
else:  # for what is given a `retry`
    __getattr__, __dir__ = lazy(__name__, {"resume": ".resume", "writes": ".writes"})
