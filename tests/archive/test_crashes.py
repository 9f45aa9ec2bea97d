"""A sample of ``make crash``."""

from __future__ import annotations

import pytest

from fastimap.archive.stores import FORMATS
from tests.archive.crashes import Tally, series
from tests.servers.dovecot import Dovecot


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_whatever_it_dies_of_all_is_there_once(dovecot: Dovecot, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    tally = Tally()
    series(dovecot, kind, 1, tally, messages=60, deaths=3)
    assert tally.failed == []
    assert sum(tally.deaths.values()) == 3
