"""A plugin for pytest by which asyncio's loops are uvloop's: ``-p tests.support.on_uvloop``."""

import asyncio
from typing import Any

import uvloop


class Runner(asyncio.Runner):  # type: ignore[misc]
    def __init__(self, *, debug: bool | None = None, loop_factory: Any = None) -> None:
        super().__init__(debug=debug, loop_factory=loop_factory or uvloop.new_event_loop)


async def _begin() -> None:
    """Have libuv open what it keeps open from its first thread on."""
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 1)


asyncio.Runner = asyncio.runners.Runner = Runner  # type: ignore[misc]
asyncio.new_event_loop = uvloop.new_event_loop
uvloop.run(_begin())
