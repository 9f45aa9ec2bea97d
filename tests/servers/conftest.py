"""The typed clients at the real servers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from fastimap.commands import fetch
from fastimap.conversation import protocol
from fastimap.wire import _values
from tests.client.conftest import implementation, interface, serve
from tests.client.interfaces import opened
from tests.servers.accounts import Account
from tests.servers.server import Server
from tests.support import IMPLEMENTATIONS, READERS

__all__ = ["implementation", "interface", "serve"]


@pytest.fixture
def account(real_server: Server) -> Iterator[Account]:
    """A new account on each server, for the blocking client."""
    with opened("blocking") as make:
        yield Account(real_server, real_server.new_user(), make)


@pytest.fixture
def client(account: Account) -> Any:
    """A blocking client that is logged in."""
    return account.client()


@pytest.fixture(params=[("blocking", IMPLEMENTATIONS[0]), ("asyncio", IMPLEMENTATIONS[-1])], ids="-".join)
def account_of_both(
    request: pytest.FixtureRequest, real_server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """A new account on each server, for each client; the two have different parsers."""
    name, parser = request.param
    twin = importlib.import_module(READERS[parser])
    monkeypatch.setattr(protocol, "ResponseReader", twin.ResponseReader)
    monkeypatch.setattr(_values, "tokenize", twin.tokenize)
    monkeypatch.setattr(fetch, "split_rows", twin.split_rows)
    monkeypatch.setattr(fetch, "last_ascending", twin.last_ascending)
    with opened(name) as make:
        yield Account(real_server, real_server.new_user(), make)
