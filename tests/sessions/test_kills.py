"""A sample of `tests.sessions.kills`; ``make kills`` does more."""

from __future__ import annotations

import pytest

from tests.servers.dovecot import Dovecot
from tests.sessions import kills


@pytest.mark.parametrize("workers", [1, 3])
def test_effects_equal_messages(dovecot: Dovecot, workers: int) -> None:
    assert "each handled" in kills.run(dovecot, runs=6, seed=workers, workers=workers)
