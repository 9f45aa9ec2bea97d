"""Both clients, both parsers, and servers."""

from __future__ import annotations

from tests.client.conftest import client, implementation, interface, nothing_left_open, serve, server

__all__ = ["client", "implementation", "interface", "nothing_left_open", "serve", "server"]
