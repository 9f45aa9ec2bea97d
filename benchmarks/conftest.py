"""What the pytest-benchmark files share: they time the same processes as the report does."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.client import Client, Job, Unavailable
from benchmarks.replay import Account, replay_server
from benchmarks.workloads import record

ROUNDS = 5

_client_seconds = 0.0


def client_cpu() -> float:
    """The timer: CPU seconds that the FETCHes of all clients have taken so far, each in its own process."""
    return _client_seconds


@functools.cache
def _digest(client: str, workload: str, account: Account | None, recording: str) -> str:
    with Client(Job(client, workload, account, recording)) as running:
        return running.fetch().digest


@pytest.fixture
def fetch(benchmark: BenchmarkFixture) -> Callable[..., None]:
    """A function that times a job, and checks that the client fetched what another does, else stdlib imaplib."""

    def timed(job: Job, like: str = "stdlib") -> None:
        tls = job.account and job.account.cafile
        benchmark.group = f"{job.workload}, {'parse alone' if job.recording else 'over TLS' if tls else 'end to end'}"
        with Client(job) as client:
            try:
                first = client.fetch()
            except Unavailable as error:
                pytest.skip(str(error))
            benchmark.extra_info["memory"] = first.memory

            def run() -> None:
                global _client_seconds
                _client_seconds += client.fetch().cpu

            pedantic: Callable[..., object] = benchmark.pedantic
            pedantic(run, rounds=ROUNDS)
        if first.digest:
            assert first.digest == _digest(like, job.workload, job.account, job.recording)

    return timed


@pytest.fixture(scope="session")
def accounts() -> Iterator[tuple[Account, Account]]:
    """The replaying server's account, and the one by TLS."""
    with replay_server() as both:
        yield both


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A function that writes the recording of a workload to a file."""

    @functools.cache
    def write(workload: str) -> str:
        path: Path = tmp_path_factory.mktemp("recording") / workload
        path.write_bytes(record(workload))
        return str(path)

    return write
