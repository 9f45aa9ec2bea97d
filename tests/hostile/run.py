"""Has workers run scenarios, with a limit of time for each, and a new worker where one came to harm."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TypeAlias

import fastimap

from .scenario import Scenario

ROOT = Path(__file__).parents[2]

Job: TypeAlias = tuple[Scenario, bool]
"""A scenario, and whether it is to be measured how its processor time grows; else it is run at its own size."""

Column: TypeAlias = tuple[str, str]
"""A name in adapters.ADAPTERS, and the parser that fastimap is to run on ("" where it is not the library)."""

Result: TypeAlias = tuple[str, float]
"""Verdict ("ok", "n/a", or what happened), and time(2n) / time(n) where that was measured."""

SAFE = ("ok", "n/a")

# Seconds that a job may take; one of quadratic time on 8 MiB takes hours.
WALL_LIMIT = 60

# They wait about as long as they work.
WORKERS = 2 * (os.cpu_count() or 1)
PARTS = 4


def run_all(
    columns: Sequence[Column], jobs: Sequence[Job], wall_limit: float = WALL_LIMIT, rounds: int = 3
) -> list[list[Result]]:
    """Return the results of all `jobs` for each of `columns`.

    Several workers share them. What does not hold among all the others is run with nothing beside it, up to `rounds`
    times in all: on a machine that is busy an answer can come late. What does not hold then does not hold.
    """
    with ThreadPoolExecutor(WORKERS) as executor:
        pending = {
            column: [executor.submit(run, *column, jobs[part::PARTS], wall_limit) for part in range(PARTS)]
            for column in sorted(columns, key=lambda column: column[1], reverse=True)  # what takes longest goes first
        }
        tables = {column: [future.result() for future in futures] for column, futures in pending.items()}
    results = []
    for column in columns:
        parts = tables[column]
        row = [parts[index % PARTS][index // PARTS] for index in range(len(jobs))]
        for _ in range(rounds - 1):
            open_questions = [index for index, (verdict, _) in enumerate(row) if verdict not in SAFE]
            again = run(*column, [jobs[index] for index in open_questions], wall_limit)
            for index, result in zip(open_questions, again, strict=True):
                row[index] = result
        results.append(row)
    return results


def run(library: str, implementation: str, jobs: Sequence[Job], wall_limit: float = WALL_LIMIT) -> list[Result]:
    """Return the result of each of `jobs`, one after the other.

    `library` is a name in adapters.ADAPTERS, `implementation` the parser that fastimap is to run on ("" where it is not
    the library).
    """
    results: list[Result] = []
    while len(results) < len(jobs):
        results += _run_worker(library, implementation, jobs[len(results) :], wall_limit)
    return results


def _run_worker(library: str, implementation: str, jobs: Sequence[Job], wall_limit: float) -> Iterator[Result]:
    """Yield the results of one worker; the last may be that it came to harm."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(fastimap.__file__).parents[1]))),
        "FASTIMAP_IMPL": implementation,
        "MALLOC_ARENA_MAX": "1",  # else each thread reserves much of the address space that there is
    }
    with tempfile.TemporaryDirectory() as directory:  # a worker that is ended leaves its files there
        yield from _results_of(library, jobs, wall_limit, environment | {"TMPDIR": directory})


def _results_of(
    library: str, jobs: Sequence[Job], wall_limit: float, environment: Mapping[str, str]
) -> Iterator[Result]:
    worker = subprocess.Popen(
        [sys.executable, "-B", "-m", "tests.hostile.worker", library],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stderr is not None
    lines: queue.Queue[str] = queue.Queue()
    complaints: queue.Queue[str] = queue.Queue()
    readers = [
        threading.Thread(target=_forward, args=(worker.stdout, lines), daemon=True),
        threading.Thread(target=_forward, args=(worker.stderr, complaints), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        for scenario, growing in jobs:
            try:
                worker.stdin.write(json.dumps([str(scenario), growing]) + "\n")
                worker.stdin.flush()
                line = lines.get(timeout=wall_limit)
            except queue.Empty:
                yield f"took more than {wall_limit} seconds", 0.0
                return
            except BrokenPipeError:
                line = ""
            if not line:
                status = worker.wait()
                last = [*iter(complaints.get, "")][-1:]
                yield f"the process ended with status {status}: {''.join(last).strip()}", 0.0
                return
            verdict, growth = json.loads(line)
            yield verdict, growth
    finally:
        worker.kill()
        worker.wait()
        for reader in readers:
            reader.join()
        for pipe in (worker.stdin, worker.stdout, worker.stderr):
            pipe.close()


def _forward(pipe: IO[str], lines: queue.Queue[str]) -> None:
    """Put the lines of `pipe` into `lines`, and "" at its end."""
    for line in pipe:
        lines.put(line)
    lines.put("")
