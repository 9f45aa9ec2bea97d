"""A sample of `tests.sessions.oddities`; ``make oddities`` does more."""

from __future__ import annotations

import pytest

from tests.sessions import oddities

pytestmark = pytest.mark.usefixtures("implementation")


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_handled_twice() -> None:
    assert "none lost, none handled twice" in oddities.run(runs=60, seed=7)
