"""Has pytest-benchmark time processes, and prints one table of what they took; `--picture FILE` draws it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import picture
from benchmarks.client import Client, Job, Unavailable
from benchmarks.everyday import EverydayJob
from benchmarks.replay import Account, replay_server
from benchmarks.report import number

ROUNDS = 3

_seconds = 0.0
_digests: dict[tuple[str, str], str] = {}


def measured() -> float:
    """The timer: what all rounds of all clients have taken so far, each in its own process, in seconds."""
    return _seconds


@pytest.fixture
def take(benchmark: BenchmarkFixture) -> Callable[..., None]:
    """A function that times a job for a cell of the table, and checks that each client fetched the same octets."""

    def time(
        job: Job | EverydayJob,
        row: str,
        column: str,
        *,
        key: str = "cpu",
        unit: float,
        reference: str = "imaplib",
        rounds: int = ROUNDS,
    ) -> None:
        benchmark.group = row
        benchmark.extra_info.update(column=column, unit=unit, reference=reference)
        with Client(job) as client:

            def run() -> None:
                global _seconds
                sample = client.fetch()
                _seconds += getattr(sample, key)
                if sample.digest:
                    kind = sample.digest.partition(" ")[0]
                    assert sample.digest == _digests.setdefault((row, kind), sample.digest)

            try:
                run()  # the first of a process: all memory comes fresh from the kernel
                pedantic: Callable[..., object] = benchmark.pedantic
                pedantic(run, rounds=rounds)
            except Unavailable as error:
                pytest.skip(str(error))

    return time


@pytest.fixture(scope="session")
def accounts() -> Iterator[tuple[Account, Account]]:
    """The replaying server's account, and the one by TLS."""
    with replay_server() as both:
        yield both


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--picture", type=Path, metavar="FILE", help="draw the workloads there, as SVG")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the medians, and behind each how many times less it is than the reference's, mostly imaplib's."""
    rows: dict[str, dict[str, Any]] = {}
    for each in config._benchmarksession.benchmarks:  # type: ignore[attr-defined]
        rows.setdefault(each.group, {})[each.extra_info["column"]] = each
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    terminalreporter.section(
        "CPU of the client, or wall; (nx): n times less than imaplib, or than the first of the row"
    )
    terminalreporter.line(f"| {'':45} | {' | '.join(f'{column:16}' for column in columns)} |")
    terminalreporter.line(f"|{'-' * 47}|{'|'.join('-' * 18 for _ in columns)}|")
    for row, cells in rows.items():
        terminalreporter.line(f"| {row:45} | {' | '.join(f'{_cell(cells, column):16}' for column in columns)} |")
    if file := config.getoption("--picture"):
        medians = {
            row.partition(" ")[0]: {column: each.stats.median for column, each in cells.items()}
            for row, cells in rows.items()
        }
        file.write_text(picture.draw(medians, f"CPython {platform.python_version()}", ROUNDS), encoding="utf-8")


def _cell(cells: dict[str, Any], column: str) -> str:
    if column not in cells:
        return ""
    each = cells[column]
    text = number(each.stats.median * each.extra_info["unit"])
    reference = cells.get(each.extra_info["reference"])
    if reference in (None, each):
        return text
    return f"{text} ({number(reference.stats.median / each.stats.median)}x)"
