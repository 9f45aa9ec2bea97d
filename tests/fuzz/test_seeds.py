"""What the fuzzer begins with holds in every test run, without the fuzzer and its build."""

from __future__ import annotations

import pytest

from tests.parser.conftest import built

from .seeds import seeds

pytestmark = pytest.mark.skipif(built() == ["py"], reason="FASTIMAP_NO_EXTENSION: there is one twin only")


@pytest.mark.slow
def test_seeds() -> None:
    from .invariants import check

    inputs = seeds("parser")
    assert len(inputs) > 200
    for data in inputs:
        check(data)
