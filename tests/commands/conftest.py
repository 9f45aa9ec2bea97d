"""Both parsers for every test that talks."""

from __future__ import annotations

import importlib

import pytest

from fastimap import parser
from fastimap.wire import _values
from tests.commands.harness import Talk
from tests.support import IMPLEMENTATIONS, READERS


@pytest.fixture(params=IMPLEMENTATIONS)
def talk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """A Talk with one parser and then the other; one that was not built is a failure."""
    twin = importlib.import_module(READERS[request.param])
    monkeypatch.setattr(_values, "tokenize", twin.tokenize)
    monkeypatch.setattr(parser, "split_rows", twin.split_rows)
    return Talk(twin)
