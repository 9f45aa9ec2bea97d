"""Many accounts: here, by threads, by processes, and what may and may not go to another process."""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
import pickle
import signal
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, archive
from fastimap.archive import (
    AccountReport,
    FromCommand,
    FromEnvironment,
    FromFile,
    Maildir,
    ManyProgress,
    SQLite,
    WorkersLost,
    pull_many,
)
from fastimap.archive.locks import locked
from fastimap.archive.many.pulling import PullOptions
from tests.archive.crowd import SECRET, Crowd, crowded


@pytest.fixture
def crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    with crowded(tmp_path, monkeypatch) as made:
        yield made


class Post(Executor):
    """Does what it is given at once, as another process would: from octets to octets, which it keeps."""

    def __init__(self) -> None:
        self.octets: list[bytes] = []

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        sent = pickle.dumps((function, arguments, more))
        function, arguments, more = pickle.loads(sent)
        received = pickle.dumps(function(*arguments, **more))
        self.octets += [sent, received]
        future.set_result(pickle.loads(received))
        return future


def processes(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def by(reports: list[AccountReport]) -> dict[str, AccountReport]:
    assert len({each.account for each in reports}) == len(reports)
    return {each.account.partition("@")[0]: each for each in reports}


@pytest.fixture(params=["here", "threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if request.param == "here":
        yield None
        return
    with ThreadPoolExecutor(3) if request.param == "threads" else processes(2) as made:
        yield made


def test_all_is_there_once_and_one_that_fails_stops_no_other(
    crowd: Crowd, tmp_path: Path, executor: Executor | None, refused_port: int
) -> None:
    (tmp_path / "wrong").write_text("wrong\n")
    accounts = crowd.accounts()
    accounts[1] = crowd.account("u1", password=FromFile(tmp_path / "wrong"))
    accounts[2] = Account(
        "127.0.0.1", refused_port, user="u2", password=FromFile(crowd.file), tls=False, mechanism="PLAIN"
    )
    accounts[3] = crowd.account("u3", password=FromEnvironment("FASTIMAP_NOT_SET"))
    busy = tmp_path / "Mail" / "u4@127.0.0.1"
    busy.mkdir(parents=True)
    with locked(busy):
        reports = by(list(pull_many(accounts, tmp_path / "Mail", executor=executor)))
    failures = {"u1": "credentials", "u2": "connection", "u3": "credentials", "u4": "in use"}
    assert {user: report.failure for user, report in reports.items() if report.failure} == failures
    assert all((report.error is not None) == (user in failures) for user, report in reports.items())
    assert "FASTIMAP_NOT_SET" in str(reports["u3"].error)
    assert {user: report.added for user, report in reports.items()} == {
        "u0": 10, "u1": 0, "u2": 0, "u3": 0, "u4": 0, "u5": 10,
    }  # fmt: skip
    assert reports["u0"].complete
    assert SECRET not in repr(reports)

    crowd.fill("u5", 1, 9000)
    again = by(list(pull_many(crowd.accounts(), tmp_path / "Mail", executor=executor)))
    assert all(report.complete for report in again.values())
    assert [again[user].added for user in crowd.users] == [0, 10, 10, 10, 10, 2]
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


@pytest.mark.parametrize(("connections", "per_host", "most"), [(1, 3, 3), (1, 1, 1), (2, 5, 4)])
@pytest.mark.slow
def test_the_cap_on_a_host(crowd: Crowd, tmp_path: Path, connections: int, per_host: int, most: int) -> None:
    crowd.linger = 0.05
    with ThreadPoolExecutor(8) as executor, crowd.together(most if connections == 1 else 2):
        reports = pull_many(
            crowd.accounts(), tmp_path / "Mail", executor=executor, per_host=per_host, connections=connections
        )
        assert all(report.complete for report in reports)
    # A second connection of an account is made where there is something for it to do.
    assert crowd.most == most if connections == 1 else 2 <= crowd.most <= most


def test_names_are_directories(crowd: Crowd, tmp_path: Path) -> None:
    accounts = {"../ann": crowd.account("u0"), "bob/work": crowd.account("u1"), "CON": crowd.account("u2")}
    reports = list(pull_many(accounts, Maildir(tmp_path / "Mail", plus_plus=True)))
    assert [report.account for report in reports] == list(accounts)
    assert len({report.store for report in reports}) == 3
    for report in reports:
        assert Path(report.store).parent == tmp_path / "Mail"
        assert (Path(report.store) / ".Sent" / "cur").is_dir()
    assert len(list((tmp_path / "Mail").iterdir())) == 3
    # It is the store that a pull of this account alone goes on with.
    assert archive.pull(crowd.account("u1"), reports[1].store).written == 0


def test_other_stores(crowd: Crowd, tmp_path: Path) -> None:
    accounts = crowd.accounts()[:2]
    assert all(report.complete for report in pull_many(accounts, SQLite(tmp_path / "one" / "all.sqlite")))
    assert (tmp_path / "one" / "u1@127.0.0.1" / "all.sqlite").exists()
    made = pull_many(accounts, lambda name: archive.EmlDirectory(tmp_path / "eml" / name.partition("@")[0]))
    assert all(report.complete for report in made)
    assert len([*(tmp_path / "eml" / "u0").rglob("*.eml")]) == 10


@pytest.mark.parametrize("below", ["", "x"])
def test_two_ways_to_one_store(crowd: Crowd, tmp_path: Path, below: str) -> None:
    ways = {name: tmp_path / name / below for name in ("here", "link", "other")}
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("here")
    account = crowd.account("u0")
    with pytest.raises(ValueError, match=f"here and link would have one store, {ways['link']}"):
        pull_many({"here": account, "link": account}, lambda name: Maildir(ways[name]))
    reports = pull_many({"link": account, "other": account}, lambda name: Maildir(ways[name]))
    assert all(report.complete for report in reports)


def test_what_makes_no_sense_is_said_at_once(crowd: Crowd, tmp_path: Path) -> None:
    accounts = crowd.accounts()
    many: Any = pull_many
    cases: list[tuple[type[Exception], str, Any, dict[str, Any]]] = [
        (ValueError, "two accounts are called u0@", ([accounts[0], accounts[0]], tmp_path), {}),
        (ValueError, "would have one store", ({"Ann": accounts[0], "ann": accounts[1]}, tmp_path), {}),
        (ValueError, "would have one store", (accounts, lambda name: Maildir(tmp_path / "x")), {}),
        (TypeError, "accounts are several", ("imaps://ann@example.org", tmp_path), {}),
        (TypeError, "not int", ([1], tmp_path), {}),
        (TypeError, "executor is", (accounts, tmp_path), {"executor": "tcp://localhost:8786"}),
        (ValueError, "per_host", (accounts, tmp_path), {"per_host": 0}),
        (ValueError, "per_host", (accounts, tmp_path), {"connections": 11}),
        (ValueError, "deleted", (accounts, tmp_path), {"deleted": "burn"}),
        (TypeError, "'name'", (accounts, tmp_path), {"name": "x"}),
        (TypeError, "adopt", (accounts, tmp_path), {"adopt": "/elsewhere"}),
        (ValueError, "not the URL", (["pop://ann@example.org"], tmp_path), {}),
    ]
    for error, text, arguments, options in cases:
        with pytest.raises(error, match=text):
            many(*arguments, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["password"]
    archive.pull(accounts[0], tmp_path / "one")
    with pytest.raises(ValueError, match="store of one account"):
        pull_many(accounts, tmp_path / "one")
    assert list(pull_many([], tmp_path / "none")) == []


def test_no_secret_and_no_mail_go_through_the_executor(
    crowd: Crowd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_U1", SECRET)
    accounts = [
        crowd.account("u0"),
        crowd.account("u1", password=FromEnvironment("SECRET_OF_U1")),
        crowd.account("u2", password=FromCommand(["cat", str(crowd.file)])),
        crowd.account("u3", password=functools.partial(of_the_vault, str(crowd.file))),
    ]
    post = Post()
    assert [report.added for report in pull_many(accounts, tmp_path / "Mail", executor=post)] == [10] * 4
    sent = b"".join(post.octets)
    assert SECRET.encode() not in sent
    assert b"Message-ID" not in sent
    assert b"message 1\r\n" not in sent
    assert max(map(len, post.octets)) < 4000


def of_the_vault(path: str) -> str:
    return Path(path).read_text().strip()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"password": SECRET}, "FromCommand"),
        ({"password": None, "token": SECRET}, "its token can't be sent"),
        ({"password": lambda: SECRET}, "its function for the password can't be sent"),
        ({"tls": True, "ssl_context": ssl.create_default_context()}, "SSL_CERT_FILE"),
        ({"proxy": f"socks5://ann:{SECRET}@localhost:1080"}, "proxy"),
    ],
)
def test_what_can_not_be_sent(crowd: Crowd, tmp_path: Path, more: dict[str, Any], said: str) -> None:
    post = Post()
    with pytest.raises(ValueError, match=said) as caught:
        pull_many([crowd.account("u0"), crowd.account("u1", **more)], tmp_path / "Mail", executor=post)
    assert "u1@127.0.0.1" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert not post.octets
    assert not (tmp_path / "Mail").exists()


def test_in_this_process_a_password_is_a_password(crowd: Crowd, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        (report,) = pull_many([crowd.account("u0", password=SECRET)], tmp_path, executor=executor)
    assert report.added == 10


def test_leaving_the_loop_cancels_what_has_not_begun(crowd: Crowd, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        reports = pull_many(crowd.accounts(), tmp_path / "Mail", executor=executor)
        assert next(reports).complete
        reports.close()
    assert len(list((tmp_path / "Mail").iterdir())) <= 2
    assert all(report.error is None for report in pull_many(crowd.accounts(), tmp_path / "Mail"))
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


@pytest.mark.parametrize("threads", [0, 2])
def test_stopping(crowd: Crowd, tmp_path: Path, threads: int) -> None:
    seen: list[AccountReport] = []
    with ThreadPoolExecutor(threads or 1) as pool:
        for report in pull_many(
            crowd.accounts(), tmp_path / "Mail", executor=pool if threads else None, stopping=lambda: bool(seen)
        ):
            seen.append(report)  # noqa: PERF402
    assert sorted(by(seen)) == crowd.users
    stopped = [report for report in seen if report.report.stopped]
    assert 3 <= len(stopped) < 6
    assert all(report.error is None and not report.complete for report in stopped)


def test_progress(crowd: Crowd, tmp_path: Path) -> None:
    accounts = [*crowd.accounts(), crowd.account("nobody")]
    seen: list[ManyProgress] = []
    list(pull_many(accounts, tmp_path, progress=seen.append))
    assert (seen[0].accounts, seen[0].ended, seen[0].messages) == (7, 0, 0)
    assert (seen[-1].ended, seen[-1].failed, seen[-1].messages) == (7, 1, 60)
    assert [each.messages for each in seen] == sorted(each.messages for each in seen)
    assert seen[-1].octets == sum(len(octets) for sent in crowd.sent.values() for octets in sent)


def test_progress_of_other_processes_while_they_work(
    crowd: Crowd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server holds Sent back until it is seen that INBOX is there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "progress"))
    (tmp_path / "progress").mkdir()
    with_inbox = threading.Event()
    crowd.held["Sent"] = with_inbox
    seen: list[ManyProgress] = []

    def progress(now: ManyProgress) -> None:
        seen.append(now)
        if now.messages >= 10:
            with_inbox.set()

    with processes(2) as pool:
        reports = list(pull_many(crowd.accounts()[:2], tmp_path / "Mail", executor=pool, progress=progress))
    assert [report.added for report in reports] == [10, 10]
    assert next(each.ended for each in seen if each.messages >= 10) == 0
    assert (seen[-1].messages, seen[-1].ended) == (20, 2)
    assert [each.messages for each in seen] == sorted(each.messages for each in seen)
    assert [*(tmp_path / "progress").iterdir()] == []  # nothing is left of what they noted


@pytest.mark.slow
def test_a_process_that_is_killed(crowd: Crowd, tmp_path: Path) -> None:
    crowd.linger = 0.3
    # The last account is not done before the process is killed, however long that takes.
    killed = crowd.held["Held"] = threading.Event()
    crowd.server.create("Held", user="u5")
    crowd.fill("u5", 1, 9000, mailboxes=("Held",))
    with processes(2) as pool:
        reports = pull_many(crowd.accounts(), tmp_path / "Mail", executor=pool)
        next(reports)
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
        killed.set()
        with pytest.raises(WorkersLost, match="run it again"):
            list(reports)
    crowd.linger = 0
    with processes(2) as pool:
        assert all(report.complete for report in pull_many(crowd.accounts(), tmp_path / "Mail", executor=pool))
    assert crowd.stored(tmp_path / "Mail") == crowd.sent


class Dying(SpawnContext):
    """The first process of a pool is killed while the second is being started; CPython 3.11 sees that meanwhile."""

    pool: Any = None

    def Process(self, *arguments: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        for first in [*self.pool._processes.values()]:
            first.kill()
            until = time.monotonic() + 1.0
            while not self.pool._broken and time.monotonic() < until:
                time.sleep(0.001)
        return SpawnProcess(*arguments, **options)


@pytest.mark.slow
def test_a_process_that_is_killed_while_another_is_started(crowd: Crowd, tmp_path: Path) -> None:
    """CPython 3.11 forgets the other one, and would wait for its end as long as it lives."""
    context = Dying()
    with ProcessPoolExecutor(2, context) as context.pool, pytest.raises(WorkersLost, match="run it again"):
        list(pull_many(crowd.accounts(), tmp_path / "Mail", executor=context.pool))


class Silent(Executor):
    """As a pool that breaks while it is given something: CPython never says what came of that."""

    _broken: Any = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        self._broken = "A child process terminated abruptly"
        return Future()


def test_a_pool_that_breaks_while_it_is_given_something(crowd: Crowd, tmp_path: Path) -> None:
    with pytest.raises(WorkersLost, match="run it again"):
        list(pull_many(crowd.accounts(), tmp_path / "Mail", executor=Silent()))


def test_the_options_are_those_of_pull() -> None:
    pull = inspect.signature(archive.pull).parameters
    # Those of one account alone, and those that pull_many has itself.
    assert {*PullOptions.__annotations__} == {*pull} - {"account", "store", "name", "progress", "stopping"}
    for name in PullOptions.__annotations__.keys() - {"adopt", "deleted"}:  # written in another way there
        assert PullOptions.__annotations__[name].__forward_arg__ == pull[name].annotation, name


class TestCredentials:
    def test_a_command(self, tmp_path: Path) -> None:
        (tmp_path / "p").write_text("first\nsecond\n")
        assert FromCommand(f"cat '{tmp_path}/p'")() == "first"
        assert pickle.loads(pickle.dumps(FromCommand(["cat", str(tmp_path / "p")])))() == "first"
        assert "p" not in repr(FromCommand(["cat", "/p"])).removeprefix("FromCommand")
        for command, said in [("false", "ended with 1"), ("true", "printed no"), ("/no/such", "No such file")]:
            with pytest.raises(archive.SecretError, match=said):
                FromCommand(command)()
        with pytest.raises(archive.SecretError, match="did not end within"):
            FromCommand("sleep 30", timeout=0.05)()
        with pytest.raises(ValueError, match="empty"):
            FromCommand("")

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "p").write_text("first\r\nsecond\n")
        assert FromFile(tmp_path / "p")() == "first"
        (tmp_path / "p").write_text("\n")
        for path in (tmp_path / "p", tmp_path / "q"):
            with pytest.raises(archive.SecretError):
                FromFile(path)()
