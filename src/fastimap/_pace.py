"""Of a long answer whose server is slower than this client, more is waited for than the next piece.

To wake up and go on for each takes longer than to parse it.
"""

from __future__ import annotations

__all__ = ["LONG", "PAUSE", "SMALL"]

LONG = 256 * 1024
"""So many octets make it long,"""
SMALL = 1024
"""fewer are an answer of its own,"""
PAUSE = 0.0005
"""and so many seconds are waited."""
