"""A sample of the series of many accounts of ``make crash``."""

from __future__ import annotations

import pytest

from tests.archive.crash_many import Tally, series
from tests.servers.dovecot import Dovecot


@pytest.mark.slow
def test_workers_that_are_killed(dovecot: Dovecot) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet can't be installed on this Python")
    tally = Tally()
    series(dovecot, "parquet", 2, tally, messages=200, deaths=2)
    assert tally.failed == []
    assert sum(tally.deaths.values()) == 2
