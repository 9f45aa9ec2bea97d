"""Many accounts on a Dask cluster of processes: the cap on a host, killed workers, a scheduler that is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastimap import archive
from fastimap.archive import AccountReport, FromCommand, FromEnvironment, ManyProgress, WorkersLost, pull_many
from tests.archive.crowd import SECRET, Crowd, crowded
from tests.archive.started import Started

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed", reason="the extra dask can't be installed on this Python")

pytestmark = [pytest.mark.shares("dask"), pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE = 250  # seconds: a busy machine starts a worker late


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    # What a killed worker holds of the cap is free after this time; half a minute, if nobody says so.
    config = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.scheduler.locks.lease-timeout": "3s",
        "distributed.scheduler.locks.lease-validation-interval": "250ms",
        # Else a restarted worker is given up after 15 seconds, which a busy machine may take to start it.
        "distributed.deploy.lost-worker-timeout": f"{PATIENCE}s",
    }
    options = {"dashboard_address": ":0", "silence_logs": 50}
    with (
        dask.config.set(config),
        distributed.LocalCluster(n_workers=2, threads_per_worker=3, processes=True, **options) as made,
    ):
        yield made


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as made:
        made.wait_for_workers(2, timeout=PATIENCE)
        yield made


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    with crowded(tmp_path, monkeypatch) as made:
        yield made


def test_all_is_there_once_and_failures_are_of_one_account(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    accounts = crowd.accounts()
    accounts[1] = crowd.account("u1", password=FromEnvironment("FASTIMAP_NOT_SET"))
    reports = {report.account[:2]: report for report in pull_many(accounts, tmp_path / "Mail", executor=client)}
    assert sorted(reports) == crowd.users
    assert [user for user, report in reports.items() if report.error] == ["u1"]
    assert reports["u1"].failure == "credentials"
    assert sum(report.added for report in reports.values()) == 50
    again = list(pull_many(crowd.accounts(), tmp_path / "Mail", executor=client))
    assert all(report.complete for report in again)
    assert sum(report.added for report in again) == 10
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


def test_progress_while_the_workers_work(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    with_inbox = threading.Event()
    crowd.held["Sent"] = with_inbox
    seen: list[ManyProgress] = []

    def progress(now: ManyProgress) -> None:
        seen.append(now)
        if now.messages >= 10:
            with_inbox.set()

    reports = list(pull_many(crowd.accounts()[:2], tmp_path / "Mail", executor=client, progress=progress))
    assert [report.added for report in reports] == [10, 10]
    assert next(each.ended for each in seen if each.messages >= 10) == 0
    assert (seen[-1].messages, seen[-1].ended) == (20, 2)


def test_a_password_does_not_go_to_the_workers(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    with pytest.raises(ValueError, match="FromCommand"):
        pull_many([crowd.account("u0", password=SECRET)], tmp_path, executor=client)


def test_two_programs_of_one_scheduler_keep_the_cap_together(
    crowd: Crowd, tmp_path: Path, client: Any, cluster: Any
) -> None:
    crowd.linger = 0.1
    ended: list[AccountReport] = []

    def other() -> None:
        with distributed.Client(cluster) as own:
            ended.extend(pull_many(crowd.accounts()[3:], tmp_path / "Mail", executor=own, per_host=2))

    thread = threading.Thread(target=other)
    with crowd.together(2):
        thread.start()
        ended += pull_many(crowd.accounts()[:3], tmp_path / "Mail", executor=client, per_host=2)
        thread.join()
    assert [report.error for report in ended] == [None] * 6
    assert crowd.most == 2
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


def busy_worker(client: Any) -> int:
    """Return the process of a worker that has something to do."""
    address = next(address for address, keys in client.processing().items() if keys)
    pid: int = client.run(os.getpid, workers=[address])[address]
    return pid


class Once:
    """Does something as soon as messages are being fetched, when progress is reported."""

    def __init__(self, crowd: Crowd, action: Callable[[], object]) -> None:
        self.crowd = crowd
        self.action = action
        self.done = False

    def __call__(self, now: ManyProgress) -> None:
        if self.crowd.fetching.is_set() and not self.done:
            self.done = True
            self.action()


def test_a_worker_that_is_killed(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    crowd.linger = 0.3
    killed = Once(crowd, lambda: os.kill(busy_worker(client), signal.SIGKILL))
    reports = pull_many(crowd.accounts(), tmp_path / "Mail", executor=client, per_host=2, progress=killed)
    assert [report.error for report in reports] == [None] * 6
    assert killed.done
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


def test_the_scheduler_is_lost(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    crowd.linger = 0.3
    lost = Started()
    try:
        lost.worker()
        with distributed.Client(lost.address, timeout=PATIENCE) as own:
            own.wait_for_workers(1, timeout=PATIENCE)
            reports = pull_many(crowd.accounts(), tmp_path / "Mail", executor=own)
            assert next(reports).complete
            own._timeout = 0.5  # so long it tries to reach it again
            lost.kill()
            with pytest.raises(WorkersLost, match=f"{lost.address}.*run it again"):
                list(reports)
    finally:
        lost.kill()
    crowd.linger = 0
    assert all(report.complete for report in pull_many(crowd.accounts(), tmp_path / "Mail", executor=client))
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


def test_the_scheduler_comes_back(crowd: Crowd, tmp_path: Path) -> None:
    crowd.linger = 0.3
    first = Started()
    second = None
    try:
        first.worker()
        with distributed.Client(first.address, timeout=PATIENCE) as own:
            own.wait_for_workers(1, timeout=PATIENCE)
            reports = pull_many(crowd.accounts(), tmp_path / "Mail", executor=own)
            ended = [next(reports)]
            first.kill()
            second = Started(int(first.address.rpartition(":")[2]))
            second.worker()
            ended += reports
    finally:
        first.kill()
        if second is not None:
            second.kill()
    assert [report.error for report in ended] == [None] * 6
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


def test_ranges_of_a_mailbox_and_a_worker_that_is_killed(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet can't be installed on this Python")
    crowd.fill("u0", 20, 500, mailboxes=("INBOX",))
    crowd.linger = 0.3
    store = archive.Parquet(tmp_path / "mail", body=True)
    killed = Once(crowd, lambda: os.kill(busy_worker(client), signal.SIGKILL))
    reports = list(pull_many(crowd.accounts(), store, executor=client, uids_per_task=5, progress=killed))
    assert [report.error for report in reports] == [None] * 6
    assert killed.done
    found = Counter(archive.read(store).to_table(columns=["body"]).column("body").to_pylist())
    assert found == sum(crowd.sent.values(), Counter())
    assert sorted(store.ranges("u0@127.0.0.1")["INBOX"]) == [(low, low + 4) for low in range(1, 26, 5)]


def test_an_account_that_kills_its_worker(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    crowd.linger = 0.1
    accounts = crowd.accounts()
    accounts[2] = crowd.account("u2", password=FromCommand(["sh", "-c", "kill -9 $PPID"]))
    reports = list(pull_many(accounts, tmp_path / "Mail", executor=client))
    assert [(report.account[:2], report.failure) for report in reports if report.error] == [("u2", "worker")]
    crowd.sent["u2"].clear()
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


def test_the_workers_are_restarted(crowd: Crowd, tmp_path: Path, client: Any) -> None:
    crowd.linger = 0.3
    # Whether all workers come back is Dask's matter; those that do take up what was begun.
    restarted = Once(crowd, lambda: client.restart(wait_for_workers=False))
    reports = pull_many(crowd.accounts(), tmp_path / "Mail", executor=client, progress=restarted)
    assert [report.error for report in reports] == [None] * 6
    assert restarted.done
    assert crowd.stored(tmp_path / "Mail") == crowd.sent
