"""A sample of ``python -m tests.archive.crash_moves``; `make crash` does more of them."""

from __future__ import annotations

import pytest

from tests.archive import crash_moves
from tests.archive.crashes import Tally
from tests.servers.dovecot import Dovecot


@pytest.mark.slow
@pytest.mark.parametrize("kind", crash_moves.KINDS)
def test_everything_is_there_exactly_once(dovecot: Dovecot, kind: str) -> None:
    tally = Tally()
    crash_moves.series(dovecot, kind, 7, tally, 120, 3)
    assert tally.failed == []
    assert sum(tally.deaths.values()) == 3
