"""Many accounts in one Parquet store: large mailboxes are cut, by whoever does the work, and nothing is there twice."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fastimap import Client, UIDSet, archive
from fastimap.archive import pull_many
from tests.archive.crowd import Crowd, crowded
from tests.support.odd import odd

pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet can't be installed on this Python")


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """Two users; the INBOX of the first has UIDs 1 to 25, of which 11 to 20 are gone."""
    with crowded(tmp_path, monkeypatch, users=2, messages=3) as made:
        made.fill("u0", 22, 500, mailboxes=("INBOX",))
        made.expunge("u0", "INBOX", range(11, 21))
        yield made


def rows(store: Any) -> dict[str, Counter[bytes]]:
    """Return the octets of each account's messages, by user."""
    found: dict[str, Counter[bytes]] = {}
    for row in archive.read(store).to_table(columns=["account", "body"]).to_pylist():
        found.setdefault(row["account"].partition("@")[0], Counter())[row["body"]] += 1
    return found


@pytest.fixture(params=["here", "threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param == "here":
        yield None
        return
    spawn = multiprocessing.get_context("spawn")
    with ThreadPoolExecutor(3) if request.param == "threads" else ProcessPoolExecutor(2, spawn) as made:
        yield made


def test_a_large_mailbox_is_cut(crowd: Crowd, tmp_path: Path, executor: Executor | None) -> None:
    store = archive.Parquet(tmp_path / "mail", body=True)
    reports = list(pull_many(crowd.accounts(), store, executor=executor, uids_per_task=10))
    assert sorted(report.account for report in reports) == ["u0@127.0.0.1", "u1@127.0.0.1"]
    assert all(report.complete for report in reports)
    (cut,) = (report for report in reports if report.account.startswith("u0"))
    inbox = cut.report.mailboxes["INBOX"]
    assert (inbox.found, inbox.written, inbox.written_uids) == (15, 15, UIDSet("1:10,21:25"))
    assert (cut.added, cut.report.excluded, sorted(cut.report.mailboxes)) == (18, {}, ["INBOX", "Sent"])
    assert rows(store) == crowd.sent
    # Where there is nothing, there is nothing to do: no task for 11 to 20.
    assert sorted(store.ranges("u0@127.0.0.1")["INBOX"]) == [(1, 10), (21, 30)]
    assert store.ranges("u1@127.0.0.1")["INBOX"] == [(1, None)]

    crowd.fill("u0", 7, 800, mailboxes=("INBOX",))
    crowd.fill("u1", 20, 1800)
    crowd.expunge("u0", "INBOX", range(1, 11))
    # Another size does not change what is cut; what is there as a whole is not cut any more.
    reports = list(pull_many(crowd.accounts(), store, executor=executor, uids_per_task=7))
    assert all(report.complete for report in reports)
    assert {report.account[:2]: report.added for report in reports} == {"u0": 7, "u1": 40}
    assert rows(store) == crowd.sent
    assert sorted(store.ranges("u0@127.0.0.1")["INBOX"]) == [(1, 10), (21, 30), (31, 40)]
    # One account alone, by pull.
    crowd.fill("u0", 1, 900, mailboxes=("INBOX",))
    assert archive.pull(crowd.account("u0"), store).written == 1
    assert [report.added for report in pull_many(crowd.accounts(), store, executor=executor)] == [0, 0]
    assert rows(store) == crowd.sent


@pytest.mark.parametrize("lists", [b" 1", None])
def test_a_search_that_leaves_messages_out_when_a_mailbox_is_cut(
    crowd: Crowd, tmp_path: Path, lists: bytes | None
) -> None:
    """EXISTS says that there are more; the parts, which ask anew, have them wherever they are."""
    logins: list[bytes] = []

    def hears(line: bytes) -> bytes:
        logins.extend([line] * (b" AUTHENTICATE " in line))
        return line

    def says(line: bytes) -> bytes:
        if len(logins) > 1 or not line.startswith((b"* SEARCH", b"* ESEARCH")):
            return line
        return b"" if lists is None else re.sub(rb"(SEARCH|ALL) \d.*\r", rb"\1" + lists + b"\r", line)

    store = archive.Parquet(tmp_path / "mail", body=True)
    with odd(crowd.server, hears=hears, says=says) as port:
        (report,) = pull_many([crowd.account("u0").__replace__(port=port)], store, uids_per_task=10)
    assert (report.complete, report.added) == (True, 18)
    assert rows(store)["u0"] == crowd.sent["u0"]


def test_names_of_mailboxes_and_of_accounts(crowd: Crowd, tmp_path: Path) -> None:
    store = archive.Parquet(tmp_path / "mail", body=True)
    accounts = {"ann/work": crowd.account("u0"), "bob": crowd.account("u1")}
    reports = list(pull_many(accounts, store, uids_per_task=10, mailboxes=["inbox", "None"]))
    assert [(report.account, report.added, report.failure) for report in reports] == [
        ("ann/work", 15, "incomplete"), ("bob", 3, "incomplete"),
    ]  # fmt: skip
    assert "None: there is no such mailbox" in str(reports[0].error)
    (report, _) = pull_many(accounts, store, uids_per_task=10, exclude=["Sent"])
    assert (report.added, report.complete, report.report.excluded) == (0, True, {"Sent": "exclude"})
    assert set(archive.read(store).to_table().column("account").to_pylist()) == {*accounts}


def test_with_a_limit_nothing_is_cut(crowd: Crowd, tmp_path: Path) -> None:
    store = archive.Parquet(tmp_path / "mail")
    report, _ = pull_many(crowd.accounts(), store, uids_per_task=10, limit=2)
    assert report.added == 4
    assert store.ranges("u0@127.0.0.1")["INBOX"] == [(1, None)]


def test_a_part_that_fails(crowd: Crowd, tmp_path: Path) -> None:
    store = archive.Parquet(tmp_path / "mail", body=True)
    with store.shard("u0@127.0.0.1", "INBOX", range(1, 11)).held("u0@127.0.0.1", 0):
        report, other = pull_many(crowd.accounts(), store, uids_per_task=10)
    assert (report.failure, other.error) == ("in use", None)
    assert str(report.error).startswith("INBOX, UIDs 1 to 10: ")
    assert report.added == 8
    assert all(report.complete for report in pull_many(crowd.accounts(), store, uids_per_task=10))
    assert rows(store) == crowd.sent


class Late(Executor):
    """As a pool of processes whose first task is not done before the run is asked to stop."""

    def __init__(self) -> None:
        self.given = 0
        self.asked = threading.Event()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        self.given += 1

        def work() -> None:
            self.asked.wait(30)
            future.set_result(function(*arguments, **more))

        threading.Thread(target=work).start()
        return future

    def stopping(self) -> bool:
        if self.given:
            self.asked.set()
        return self.asked.is_set()


def test_what_was_being_cut_when_it_is_to_stop_is_not_begun(crowd: Crowd, tmp_path: Path) -> None:
    """Another process can't be told to stop: what is given to it is done to the end."""
    store = archive.Parquet(tmp_path / "mail", body=True)
    pool = Late()
    accounts = {"u0": crowd.account("u0")}
    (report,) = pull_many(accounts, store, executor=pool, uids_per_task=10, stopping=pool.stopping)
    assert (pool.given, report.added, report.error, report.report.stopped) == (1, 0, None, "asked to stop")


def test_credentials_of_a_store_stay_here(crowd: Crowd, tmp_path: Path) -> None:
    fs = pytest.importorskip("pyarrow.fs")
    given = fs.S3FileSystem(access_key="x", secret_key="s3cret", region="us-east-1")
    stores = [
        archive.Parquet("bucket/mail", filesystem=given),
        archive.Parquet("mail", filesystem=fs.SubTreeFileSystem("bucket", given)),
        archive.Parquet("s3://x:s3cret@bucket/mail?region=us-east-1"),
    ]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for store in stores:
            with pytest.raises(ValueError, match="credentials of its store can't be sent"):
                pull_many(crowd.accounts(), store, executor=pool)
        local = archive.Parquet(str(tmp_path / "mail"), filesystem=fs.LocalFileSystem(), body=True)
        assert all(report.complete for report in pull_many(crowd.accounts(), local, executor=pool))
    assert rows(local) == crowd.sent


@pytest.mark.slow
def test_a_bucket(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    server_module = pytest.importorskip("moto.server", reason="there is no moto for this Python")
    fs = pytest.importorskip("pyarrow.fs")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {"endpoint_override": f"{host}:{port}", "scheme": "http", "region": "us-east-1"}
        fs.S3FileSystem(**options, allow_bucket_creation=True).create_dir("mail")
        where = "s3://mail/all?" + "&".join(f"{name}={value}" for name, value in options.items())
        store = archive.Parquet(where, body=True)
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            reports = list(pull_many(crowd.accounts(), store, executor=pool, uids_per_task=10))
            assert [report.error for report in reports] == [None, None]
            assert sum(report.added for report in reports) == 24
            assert [report.added for report in pull_many(crowd.accounts(), store, executor=pool)] == [0, 0]
        assert rows(where) == crowd.sent
    finally:
        server.stop()


def test_a_cut_mailbox_that_is_renamed_is_there_once(crowd: Crowd, tmp_path: Path) -> None:
    store = archive.Parquet(tmp_path / "mail", body=True)
    crowd.server.create("Large", user="u0")
    crowd.fill("u0", 12, 600, mailboxes=("Large",))
    list(pull_many(crowd.accounts(), store, uids_per_task=10))
    ranges = store.ranges("u0@127.0.0.1")["Large"]
    with Client(crowd.account("u0")) as client:
        client.rename_mailbox("Large", "Larger")
    report, _ = pull_many(crowd.accounts(), store, uids_per_task=10)
    assert (report.complete, report.added, report.report.mailboxes["Larger"].renamed_from) == (True, 0, "Large")
    assert rows(store) == crowd.sent
    assert store.ranges("u0@127.0.0.1")["Larger"] == ranges
    crowd.fill("u0", 12, 700, mailboxes=("Larger",))  # it is cut again
    report, _ = pull_many(crowd.accounts(), store, uids_per_task=10)
    assert (report.complete, report.added) == (True, 12)
    assert rows(store) == crowd.sent
    assert sorted(store.ranges("u0@127.0.0.1")["Larger"]) == [(1, 10), (11, 20), (21, 30)]
    # Whoever has all of it has one mailbox.
    assert archive.verify(store, octets=False).good
    crowd.fill("u0", 1, 800, mailboxes=("Larger",))
    crowd.expunge("u0", "Larger", [2, 14, 22])
    assert archive.pull(crowd.account("u0"), store).written == 1
    assert rows(store) == crowd.sent
    archive.compact(store, expunged=False)
    assert rows(store) == crowd.sent


def test_what_was_held_back_of_a_mailbox_that_was_made_anew(crowd: Crowd, tmp_path: Path) -> None:
    """Its ranges are gone over later, those too in which the server has nothing any more."""
    store = archive.Parquet(tmp_path / "mail", body=True)
    crowd.server.create("Large", user="u0")
    crowd.fill("u0", 25, 600, mailboxes=("Large",))
    accounts = {"u0": crowd.account("u0")}
    list(pull_many(accounts, store, uids_per_task=10))
    crowd.expunge("u0", "Large", range(1, 26))
    with Client(crowd.account("u0")) as client:
        client.delete_mailbox("Large")
        client.create_mailbox("Large")
    crowd.fill("u0", 3, 700, mailboxes=("Large",))
    with (
        store.shard("u0", "Large", range(11, 21)).held("u0", 0),
        store.shard("u0", "Large", range(21, 31)).held("u0", 0),
    ):
        (report,) = pull_many(accounts, store, uids_per_task=10)
    assert report.failure == "in use"
    (report,) = pull_many(accounts, store, uids_per_task=10, deleted="mark")
    assert "15 of its messages were not recognised" in str(report.report.held_back)
    (report,) = pull_many(accounts, store, uids_per_task=10)
    assert report.complete
    assert rows(store) == {"u0": crowd.sent["u0"]}


def test_parts_of_a_mailbox_that_was_made_anew_and_were_not_seen_to(crowd: Crowd, tmp_path: Path) -> None:
    """A pull of the whole sees to them, whichever of the two it knows by the name."""
    store = archive.Parquet(tmp_path / "mail", body=True)
    names = [f"Large{number}" for number in range(4)]
    account = crowd.account("u1")
    with Client(account) as client, contextlib.ExitStack() as held:
        for name in names:
            client.create_mailbox(name)
        crowd.fill("u1", 15, 5000, mailboxes=names)
        list(pull_many({"u1": account}, store, uids_per_task=10))
        for name in names:
            crowd.expunge("u1", name, range(1, 16))
            client.delete_mailbox(name)
            client.create_mailbox(name)
            held.enter_context(store.shard("u1", name, range(11, 21)).held("u1", 0))
        crowd.fill("u1", 3, 6000, mailboxes=names)
        list(pull_many({"u1": account}, store, uids_per_task=10))
    assert archive.pull(account, store, name="u1").complete
    assert rows(store) == {"u1": crowd.sent["u1"]}


def test_what_may_be_marked_is_counted_in_the_whole_account(crowd: Crowd, tmp_path: Path) -> None:
    """Two messages are gone from each range, and one more may go from none."""
    store = archive.Parquet(tmp_path / "mail", body=True)
    list(pull_many(crowd.accounts(), store, uids_per_task=10))
    before = rows(store)
    crowd.expunge("u0", "INBOX", [1, 2, 21, 22])
    report, _ = pull_many(crowd.accounts(), store, uids_per_task=10, deleted="mark", max_delete=2)
    assert "4 of 18 messages would be gone, more than 2" in str(report.error)
    assert (report.report.deleted, rows(store)) == (0, before)
    report, _ = pull_many(crowd.accounts(), store, uids_per_task=10, deleted="mark", max_delete=4)
    assert (report.complete, report.report.deleted) == (True, 4)
    assert rows(store) == crowd.sent
