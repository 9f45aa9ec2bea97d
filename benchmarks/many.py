"""Many accounts of a real Dovecot into Maildirs on tmpfs: `pull_many` by one worker process, and by two.

::

    python -m benchmarks.many                  # 50 accounts of 200 messages; --rounds, --accounts, --messages

The workers are those of a pool of processes, and of a Dask cluster; they are running when the clock starts. Where the
server has cores of its own, two take half the time of one. Here it shares them: through 20 ms of delay the workers
wait, as they do over a network; without, they and the server want all the cores that there are.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.archive import BARE_SETTINGS, ROUND_TRIP, TMPFS, fill
from benchmarks.delay import delayed
from benchmarks.replay import Account as Where
from fastimap import Account
from fastimap.archive import FromEnvironment, pull_many
from tests.servers import dovecot

__all__ = ["main"]

_PASSWORD = "FASTIMAP_BENCHMARK_PASSWORD"


@contextlib.contextmanager
def _processes(count: int) -> Iterator[Any]:
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_ready, range(2 * count)))
        yield pool


@contextlib.contextmanager
def _dask(count: int) -> Iterator[Any]:
    import distributed

    options: dict[str, Any] = {"processes": True, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(n_workers=count, **options) as cluster, distributed.Client(cluster) as client:
        client.run(_ready, 0)
        yield client


def _ready(number: int) -> None:
    import fastimap.archive.stores.maildir  # noqa: F401

    time.sleep(0.2)  # so that each process gets one of these


def _run(where: Where, users: list[str], executor: Any, messages: int) -> float:
    """Return the seconds that one run takes."""
    accounts = [
        Account(
            where.host, where.port, user=user, password=FromEnvironment(_PASSWORD), tls=False, mechanism="LOGIN"
        )
        for user in users
    ]  # fmt: skip
    directory = Path(tempfile.mkdtemp(prefix="fastimap-", dir=TMPFS if TMPFS.is_dir() else None))
    try:
        began = time.perf_counter()
        reports = list(pull_many(accounts, directory, executor=executor, per_host=50))
        took = time.perf_counter() - began
    finally:
        shutil.rmtree(directory)
    if [report.added for report in reports] != [messages] * len(users):
        raise RuntimeError(f"not all was pulled: {[report.error for report in reports if report.error]}")
    return took


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=50)
    parser.add_argument("--messages", type=int, default=200, help="of each account")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    kinds: dict[str, Callable[[int], contextlib.AbstractContextManager[Any]]] = {"pool": _processes, "Dask": _dask}
    with dovecot.running(BARE_SETTINGS) as server:
        os.environ[_PASSWORD] = server.password
        users = [server.new_user() for _ in range(options.accounts)]
        near = Where(server.port, host="127.0.0.1", password=server.password)
        for user in users:
            fill(Where(server.port, host="127.0.0.1", user=user, password=server.password), "INBOX", options.messages)
        print(f"{options.accounts} accounts of {options.messages} messages; median of {options.rounds}; goal: 1.2")
        print("| | one process | two | two / (one / 2) |\n|---|---|---|---|")
        with delayed(near, ROUND_TRIP) as far:
            for title, where in ((f"{1000 * ROUND_TRIP:.0f} ms", far), ("loopback", near)):
                for kind, workers in kinds.items():
                    taken: dict[int, list[float]] = {1: [], 2: []}
                    for _ in range(options.rounds):
                        for count, times in taken.items():
                            with workers(count) as executor:
                                times.append(_run(where, users, executor, options.messages))
                    one, two = (statistics.median(times) for times in taken.values())
                    print(f"| {kind}, {title} | {one:.2f} s | {two:.2f} s | {2 * two / one:.2f} |", flush=True)


if __name__ == "__main__":
    main()
