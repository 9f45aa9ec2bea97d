"""Several connections of one account, lent to whoever needs one."""

from __future__ import annotations

from .asyncio import AsyncPool
from .blocking import Pool
from .lending import PoolStats, Result

__all__ = ["AsyncPool", "Pool", "PoolStats", "Result"]
