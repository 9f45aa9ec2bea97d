"""Programs as users write them, on both clients and both parsers."""

from __future__ import annotations

from tests.client.conftest import client, door, implementation, nothing_left_open, scripted, serve, server, settled

__all__ = ["client", "door", "implementation", "nothing_left_open", "scripted", "serve", "server", "settled"]
