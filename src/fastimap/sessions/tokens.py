"""The access tokens of an account: asked for once for all of its connections, and kept until they expire."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["AsyncTokens", "Tokens", "expiry"]

_OPAQUE = 300.0
"""Seconds for which a token is kept that does not say when it expires."""
_EARLY = 60.0
"""Seconds before its expiry at which a token is not used any more."""


def expiry(token: Any) -> float | None:
    """Return when a token expires, in seconds since 1970, where it is a JWT that says so (RFC 7519, section 4.1.4)."""
    parts = token.split(".") if isinstance(token, str) else ()
    if len(parts) != 3:
        return None
    import base64
    import json

    with contextlib.suppress(ValueError):
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        found = claims.get("exp") if isinstance(claims, dict) else None
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            return float(found)
    return None


class _Kept:
    """A token, and until when it is used."""

    def __init__(self, provider: Callable[[], Any]) -> None:
        self._provider = provider
        self._token: Any = None
        self._until = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def forget(self) -> None:
        """Ask for another one the next time: the server refused this one."""
        self._until = 0.0

    def _keep(self, token: Any) -> Any:
        now = time.time()
        ends = expiry(token)
        self._until = now + _OPAQUE if ends is None else ends - _EARLY
        self._token = token
        return token

    @property
    def _good(self) -> bool:
        # A clock that was set back must not keep a token for ever.
        return time.time() < self._until


class Tokens(_Kept):
    """What a blocking pool's clients ask for a token, instead of the program's function."""

    def __call__(self) -> Any:
        with self._lock:
            return self._token if self._good else self._keep(self._provider())


class AsyncTokens(_Kept):
    """The same for clients under asyncio; the function may be a coroutine function."""

    _asking: Any = None

    async def __call__(self) -> Any:
        import asyncio

        if self._good:
            return self._token
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        # One task that is cancelled must not take the token from the others.
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Any:
        token = self._provider()
        return self._keep(await token if isinstance(token, Awaitable) else token)
