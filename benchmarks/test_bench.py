"""What `make bench` shows: how long each client takes, in a process of its own, from the same server.

The rows are a FETCH of each workload, plain and over TLS, what an ordinary program feels, and a FETCH for each message
over a link of 20 ms.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import pytest

from benchmarks import everyday
from benchmarks.client import Job, Unavailable
from benchmarks.conftest import measured
from benchmarks.delay import delayed
from benchmarks.replay import Account
from benchmarks.report import LONG_ROUND_TRIP, PEER, ROUND_TRIP
from benchmarks.workloads import WORKLOADS

Time = Callable[..., None]
pytestmark = pytest.mark.benchmark(timer=measured)

IMAPLIB = "imaplib"
# The columns of the table, by what the client is called where it fetches.
COLUMNS = {"stdlib": IMAPLIB, "c": "drop-in", PEER: "IMAPClient"}
FETCHING = ("stdlib", "c", "Client", "Client, streamed", "AsyncClient", PEER)


@pytest.mark.parametrize("client", FETCHING)
@pytest.mark.parametrize("workload", [*WORKLOADS, "i"])
def test_fetch(workload: str, client: str, accounts: tuple[Account, Account], take: Time) -> None:
    plain, tls = accounts
    job = Job(client, "d", tls) if workload == "i" else Job(client, workload, plain)
    title = "d over TLS" if workload == "i" else WORKLOADS[workload].title
    take(job, f"{workload} {title}, ms", COLUMNS.get(client, client), unit=1e3)


@pytest.mark.parametrize(
    ("row", "client"),
    [(row, client) for row in everyday.ROWS.values() for client in row.clients if client != everyday.AGAIN],
    ids=lambda value: value if isinstance(value, str) else value.title,
)
def test_everyday(
    row: everyday.Row, client: str, accounts: tuple[Account, Account], dovecot: Account | None, take: Time
) -> None:
    plain, tls = accounts
    with contextlib.ExitStack() as stack:
        account = tls if row.link == "tls" else plain
        if row.link == "100 ms":
            account = stack.enter_context(delayed(plain, LONG_ROUND_TRIP))
        if row.link == "dovecot":
            if dovecot is None:
                pytest.skip("there is no Dovecot")
            account = dovecot
        account = dataclasses.replace(account, mailbox=row.mailbox or account.mailbox)
        job = everyday.EverydayJob(client, row.title, account)
        take(job, row.title, client, key=row.key, unit=row.unit / row.times, reference=row.reference)


@pytest.mark.parametrize("client", ["stdlib, one by one", "Client, one by one"])
def test_one_by_one(client: str, accounts: tuple[Account, Account], take: Time) -> None:
    plain, _ = accounts
    with delayed(plain, ROUND_TRIP) as account:
        column = IMAPLIB if client.startswith("stdlib") else "Client"
        row = "200 messages at 20 ms, one by one, wall, ms"
        take(Job(client, "d/200", account), row, column, key="wall", unit=1e3, rounds=1)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Account | None]:
    """A real Dovecot, over TLS; None where there is none."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(everyday.dovecot(5000))
        except Unavailable:
            yield None
