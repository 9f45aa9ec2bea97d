"""Every test that asks for `twin` runs on both implementations; a missing extension is a failure, not a skip."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

TWINS = {"c": "fastimap._parser", "py": "fastimap._parser_py"}


def built() -> list[str]:
    """Both twins, or the Python one alone where FASTIMAP_NO_EXTENSION says that there is no other."""
    return ["py"] if os.environ.get("FASTIMAP_NO_EXTENSION", "") not in ("", "0") else ["c", "py"]


@pytest.fixture(params=built())
def twin(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(TWINS[request.param])
