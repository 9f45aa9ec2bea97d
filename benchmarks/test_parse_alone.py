"""How much CPU does the parsing itself take, with the responses in memory?"""

from collections.abc import Callable

import pytest

from benchmarks.client import Job
from benchmarks.conftest import client_cpu

pytestmark = pytest.mark.benchmark(timer=client_cpu)


@pytest.mark.parametrize("client", ["stdlib", "c", "py", "c reader", "py reader"])
@pytest.mark.parametrize("workload", "abcd")
def test_parse(workload: str, client: str, recording: Callable[[str], str], fetch: Callable[[Job], None]) -> None:
    fetch(Job(client, workload, recording=recording(workload)))


@pytest.mark.parametrize(
    "client", ["c typed", "py typed", "c typed, streamed", "py typed, streamed", "IMAPClient parser"]
)
@pytest.mark.parametrize("workload", "abcd")
def test_typed(workload: str, client: str, recording: Callable[[str], str], fetch: Callable[..., None]) -> None:
    pytest.importorskip("imapclient")
    fetch(Job(client, workload, recording=recording(workload)), like="IMAPClient parser")
