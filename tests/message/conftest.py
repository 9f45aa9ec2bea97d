"""Rows come from either twin; see tests/parser/conftest.py."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from tests.parser.conftest import TWINS, built


@pytest.fixture(params=built())
def twin(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(TWINS[request.param])
