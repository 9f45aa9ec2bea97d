"""SHA-256. Its module loads OpenSSL, and is imported with the first digest: a pull with nothing new makes none."""

from __future__ import annotations

from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["sha256"]


def sha256(octets: bytes) -> bytes:
    """Return the digest of octets."""
    digest: bytes = _algorithm()(octets, usedforsecurity=False).digest()
    return digest


@cache
def _algorithm() -> Callable[..., Any]:
    import hashlib

    return hashlib.sha256
