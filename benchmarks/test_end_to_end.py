"""How much CPU does a FETCH take from the client, when the server just sends?"""

from collections.abc import Callable

import pytest

from benchmarks.client import Job
from benchmarks.conftest import client_cpu
from benchmarks.replay import Account
from benchmarks.workloads import WORKLOADS

pytestmark = pytest.mark.benchmark(timer=client_cpu)


@pytest.mark.parametrize("client", ["stdlib", "c", "py"])
@pytest.mark.parametrize("workload", WORKLOADS)
def test_fetch(workload: str, client: str, accounts: tuple[Account, Account], fetch: Callable[[Job], None]) -> None:
    plain, _ = accounts
    fetch(Job(client, workload, plain))


@pytest.mark.parametrize("client", ["stdlib", "c", "py"])
def test_fetch_over_tls(client: str, accounts: tuple[Account, Account], fetch: Callable[[Job], None]) -> None:
    _, tls = accounts
    fetch(Job(client, "d", tls))
