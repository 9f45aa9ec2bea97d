"""JSON for those who seldom need it: a run that finds nothing new does without, and it takes a while to import."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dumps", "loads"]


def dumps(value: Any) -> str:
    """As `json.dumps`."""
    import json

    return json.dumps(value)


def loads(text: str) -> Any:
    """As `json.loads`."""
    import json

    return json.loads(text)
