"""Octets -> reader -> response, on both twins of the parser."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeAlias

import pytest

from fastimap.types import Response
from fastimap.wire import _searches, _values, decode
from tests.parser.conftest import TWINS, built
from tests.parser.harness import put

Decode: TypeAlias = Callable[..., Response]


@pytest.fixture(params=built())
def decoded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Decode:
    """A function: the octets of one response (without its last CRLF), `utf8` -> the value that they mean."""
    twin = importlib.import_module(TWINS[request.param])
    monkeypatch.setattr(_values, "tokenize", twin.tokenize)
    monkeypatch.setattr(_searches, "number_bounds", twin.number_bounds)

    def one(octets: bytes, *, utf8: bool = False) -> Response:
        reader = twin.ResponseReader()
        put(reader, octets + b"\r\n")
        (fragments,) = reader.responses()
        return decode.response(fragments, utf8=utf8)

    return one
