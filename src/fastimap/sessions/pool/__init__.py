"""Several connections of one account, lent to whoever needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._lazy import lazy

if TYPE_CHECKING:
    from .asyncio import AsyncPool
    from .blocking import Pool
    from .lending import PoolStats, Result
else:  # a program that blocks does not pay for asyncio
    __getattr__, __dir__ = lazy(
        __name__, {"AsyncPool": ".asyncio", "Pool": ".blocking", "PoolStats": ".lending", "Result": ".lending"}
    )

__all__ = ["AsyncPool", "Pool", "PoolStats", "Result"]
