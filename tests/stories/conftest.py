"""Programs as users write them, on both clients and both parsers."""

from __future__ import annotations

from tests.client.conftest import client, implementation, interface, nothing_left_open, scripted, serve, server

__all__ = ["client", "implementation", "interface", "nothing_left_open", "scripted", "serve", "server"]
