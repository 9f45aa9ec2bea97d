"""A sample of the runs of `tests.sessions.cuts`; ``make cuts`` does them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastimap.sessions.retry import no_waits
from tests.servers.dovecot import Dovecot
from tests.servers.server import Server
from tests.sessions import cuts

RUNS = 16


@pytest.fixture(scope="module")
def mailbox(dovecot: Dovecot) -> Iterator[cuts.Mailbox]:
    with cuts.filled(dovecot) as mailbox:
        yield mailbox


def test_at_cyrus(cyrus_3_6: Server) -> None:
    tally = cuts.Tally()
    with cuts.filled(cyrus_3_6) as mailbox, no_waits():
        for kind in cuts.KINDS.values():
            cuts.measure(kind, mailbox)
            cuts.run(kind, mailbox, 6, tally)
            cuts.run(kind, mailbox, 7, tally)
    assert tally.failed == []
    assert tally.cuts > 0


@pytest.mark.parametrize("name", cuts.KINDS)
def test_what_comes_out_is_what_is_in_the_mailbox(mailbox: cuts.Mailbox, name: str) -> None:
    tally = cuts.Tally()
    cuts.measure(cuts.KINDS[name], mailbox)
    with no_waits():
        for seed in range(RUNS):
            cuts.run(cuts.KINDS[name], mailbox, seed, tally)
    assert tally.failed == []
    assert tally.cuts > RUNS
    assert tally.reconnects > 0
