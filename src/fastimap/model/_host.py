"""The name of a host, as the system and TLS take it."""

from __future__ import annotations

__all__ = ["without_idna"]


def without_idna(host: str) -> str | bytes:
    """Return a host's name in ASCII as octets: of a text Python imports the tables of IDNA, to change nothing.

    One that IDNA refuses stays what it is, and is refused.
    """
    if host.isascii() and all(0 < len(label) < 64 for label in host.split(".")):
        return host.encode()
    return host
