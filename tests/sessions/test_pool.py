"""Pool and AsyncPool: who gets which connection, limits of the server, and what is given back."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from fastimap import Account, AsyncClient, AsyncPool, Client, Pool, Retry, errors
from fastimap import search as s
from fastimap.sessions.pool import asyncio as pool_of_tasks
from fastimap.sessions.pool import blocking, fetching
from fastimap.sessions.pool.lending import Book, Waiter
from fastimap.sessions.tokens import AsyncTokens, Tokens, expiry
from fastimap.testing import IMAPServer
from tests.client.peers import in_turn
from tests.client.test_commands import fill
from tests.imaplib.scripted import Peer, Server
from tests.sessions.test_retry import Clock
from tests.support.odd import odd

pytestmark = pytest.mark.usefixtures("implementation")

LOGIN: dict[str, Any] = {"tls": False, "user": "user", "password": "password", "mechanism": "LOGIN", "timeout": 10}
RETRY = Retry(attempts=3, first=0.0, longest=0.0, burst=1000)
ASKED: dict[str, Any] = {"tls": False, "mechanism": "PLAIN", "retry": RETRY, "timeout": 10}
STUBBORN = Retry(attempts=1000, within=None, first=0.01, longest=0.02, burst=1000)


@pytest.fixture
def pool(server: IMAPServer) -> Iterator[Pool]:
    with Pool(server.host, server.port, connections=3, retry=RETRY, **LOGIN) as pool:
        yield pool


def run(server: IMAPServer, body: Callable[[AsyncPool], Any], **settings: Any) -> Any:
    async def main() -> Any:
        async with AsyncPool(
            server.host, server.port, **{"connections": 3, "retry": RETRY, **settings, **LOGIN}
        ) as pool:
            return await body(pool)

    return asyncio.run(main())


def test_connections_are_opened_as_needed_and_lent_again(pool: Pool) -> None:
    assert pool.stats().connections == 0
    for _ in range(3):
        with pool.client() as client:
            client.list_mailboxes()
    assert (pool.stats().connections, pool.stats().idle, pool.stats().lent) == (1, 1, 3)
    with pool.client(), pool.client():
        assert pool.stats().connections == 2


def test_a_connection_that_has_the_mailbox_is_preferred(server: IMAPServer, pool: Pool) -> None:
    server.create("a")
    server.create("b")
    with pool.selected("a") as first, pool.selected("b") as second:
        pass
    commands = second.counters.commands
    with pool.selected("b") as again:
        assert again is second
        assert again.session.mailbox == "b"
        assert again.counters.commands <= commands + 1
    with pool.selected("a", read_only=True) as again:
        assert again is first
        assert again.session.examined


def test_who_waits_too_long_is_told(pool: Pool) -> None:
    with pool.client(), pool.client(), pool.client():
        with pytest.raises(errors.PoolTimeout), pool.client(timeout=0.01):
            pass
        assert pool.stats().timeouts == 1
    with pytest.raises(ValueError, match="timeout must be a number of seconds"), pool.client(timeout=float("nan")):
        pass
    with pool.client(), pool.client(), pool.client():
        pass


def test_who_waits_for_ever(pool: Pool) -> None:
    """Infinity is any time too, and more than a lock can wait for."""
    came: list[object] = []

    def ask() -> None:
        try:
            with pool.client(timeout=float("inf")) as client:
                came.append(client)
        except OverflowError as exc:
            came.append(exc)

    pool.resize(1)
    with pool.client() as client:
        thread = threading.Thread(target=ask)
        thread.start()
        while not came and not pool.stats().waiting:
            time.sleep(0.001)
    thread.join()
    assert came == [client]


def test_no_more_than_max_waiting_wait(server: IMAPServer) -> None:
    with (
        Pool(server.host, server.port, connections=1, max_waiting=0, retry=RETRY, **LOGIN) as pool,
        pool.client(),
        pytest.raises(errors.PoolTimeout, match="max_waiting"),
        pool.client(),
    ):
        pass


def test_they_are_served_in_the_order_of_asking() -> None:
    book: Book[Client] = Book(1)
    served: list[int] = []
    waiters: list[Waiter[Client]] = [Waiter(None, lambda number=number: served.append(number)) for number in range(3)]  # type: ignore[misc]
    for waiter in waiters:
        book.ask(waiter, 0.0)
    assert served == [0]
    book.withdraw(waiters[1])
    book.gone(0.0)
    assert served == [0, 2]


def test_threads_share_it(server: IMAPServer, pool: Pool) -> None:
    fill(server, 5)
    found: list[int] = []

    def work() -> None:
        for _ in range(5):
            with pool.selected("INBOX", read_only=True) as client:
                found.append(len(client.search(s.undeleted).uids))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [5] * 40
    assert pool.stats().connections <= 3


def test_what_was_lost_while_idle_is_made_anew(server: IMAPServer, pool: Pool) -> None:
    with pool.client() as client:
        pass
    server.disconnect_all()
    with pool.client() as again:
        assert again is client
        again.list_mailboxes()
    assert pool.stats().connections == 1


def test_an_exception_gives_the_connection_back(pool: Pool) -> None:
    with pytest.raises(ZeroDivisionError), pool.client():
        raise ZeroDivisionError
    assert (pool.stats().connections, pool.stats().idle) == (1, 1)


def test_a_loop_that_is_left_gives_the_connection_back_in_step(server: IMAPServer, pool: Pool) -> None:
    fill(server, 50)
    with pool.selected("INBOX") as client:
        rows = client.fetch_iter(range(1, 51), "BODY.PEEK[]", chunk=5)
        next(rows)
    with pool.selected("INBOX") as again:
        assert again is client
        assert len(again.fetch(range(1, 51), "FLAGS")) == 50
    rows.close()


def test_idle_connections_are_closed(server: IMAPServer) -> None:
    with Pool(server.host, server.port, connections=3, max_idle=0.0, retry=RETRY, **LOGIN) as pool:
        with pool.client(), pool.client():
            pass
        time.sleep(0.01)
        with pool.client():
            assert pool.stats().connections == 1
        assert pool.stats().closed == 2


def says_no_goodbye(peer: Peer) -> None:
    peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
    while peer.line():
        pass


def test_idle_connections_are_closed_for_a_program_that_is_interrupted(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose signal's handler raises, while the server keeps one of them waiting that LOGOUT is answered."""
    closed: list[Client] = []

    def leave(client: Client, patience: float) -> None:
        closed.append(client)
        client._fail(errors.Disconnected("closed"))
        if len(closed) == 1:
            raise KeyboardInterrupt

    servers = in_turn([serve(says_no_goodbye) for _ in range(3)])
    with Pool("127.0.0.1", 143, tls=False, socket=servers, connections=3, max_idle=0.0, retry=RETRY) as pool:
        with pool.client(), pool.client(), pool.client():
            pass
        time.sleep(0.01)
        with monkeypatch.context() as patch:
            patch.setattr(Client, "_leave", leave)
            with pytest.raises(KeyboardInterrupt), pool.client():
                pass
        assert (pool.stats().connections, pool.stats().closed, len(closed)) == (0, 3, 3)


@pytest.mark.slow
def test_connections_are_closed_for_a_task_that_is_cancelled(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_of_tasks, "FAREWELL", 1.0)
    servers = in_turn([serve(says_no_goodbye) for _ in range(3)])

    async def main() -> None:
        async with AsyncPool(
            "127.0.0.1", 143, tls=False, socket=servers, connections=3, max_idle=0.0, retry=RETRY
        ) as pool:
            async with pool.client(), pool.client(), pool.client():
                pass
            await asyncio.sleep(0.01)
            closing = asyncio.create_task(pool.resize(1))
            await asyncio.sleep(0.1)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert (pool.stats().connections, pool.stats().closed) == (1, 2)

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_who_asks_for_a_connection_does_not_wait_for_the_end_of_idle_ones(
    serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Of many the link is dead by then, as routers forget what is idle; each would take the time for a LOGOUT."""
    for module in (blocking, pool_of_tasks):
        monkeypatch.setattr(module, "FAREWELL", 1.0)
    servers = [serve(says_no_goodbye) for _ in range(4)]
    settings: dict[str, Any] = {
        "tls": False, "socket": in_turn(servers), "connections": 3, "max_idle": 0.0, "retry": RETRY,
    }  # fmt: skip

    async def main() -> None:
        async with AsyncPool("127.0.0.1", 143, **settings) as pool:
            async with pool.client(), pool.client(), pool.client():
                pass
            await asyncio.sleep(0.01)
            async with pool.client(timeout=2):
                assert (pool.stats().connections, pool.stats().closed) == (1, 3)

    if kind == "asyncio":
        asyncio.run(main())
        return
    with Pool("127.0.0.1", 143, **settings) as pool:
        with pool.client(), pool.client(), pool.client():
            pass
        time.sleep(0.01)
        with pool.client(timeout=2):
            assert (pool.stats().connections, pool.stats().closed) == (1, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["blocking", "asyncio"])
def test_connections_whose_link_is_dead_share_the_time_for_a_farewell(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Each is told of LOGOUT; what the first has waited for its answer is not waited by the others again."""
    patiences: list[float] = []
    heard: list[bytes] = []

    def hears(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        while line := peer.line():
            heard.append(line.split()[1])

    def noted(leave: Callable[..., Any]) -> Callable[..., Any]:
        def noting(client: Any, patience: float) -> Any:
            patiences.append(patience)
            return leave(client, patience)

        return noting

    for module, client in ((blocking, Client), (pool_of_tasks, AsyncClient)):
        monkeypatch.setattr(module, "FAREWELL", 0.3, raising=False)
        monkeypatch.setattr(client, "_leave", noted(client._leave))
    settings: dict[str, Any] = {"tls": False, "connections": 3, "retry": RETRY}

    async def main(pool: AsyncPool) -> None:
        async with pool.client(), pool.client(), pool.client():
            pass
        await pool.close()

    with ExitStack() as stack:
        settings["socket"] = in_turn([stack.enter_context(Server(hears)) for _ in range(3)])
        if kind == "asyncio":
            asyncio.run(main(AsyncPool("127.0.0.1", 143, **settings)))
        else:
            pool = Pool("127.0.0.1", 143, **settings)
            with pool.client(), pool.client(), pool.client():
                pass
            pool.close()
    assert 0.0 < patiences[0] <= 0.3
    assert patiences[1:] == [0.0, 0.0]
    assert heard == [b"LOGOUT"] * 3


def test_resize(pool: Pool) -> None:
    with pool.client(), pool.client(), pool.client():
        pass
    pool.resize(1)
    assert (pool.stats().connections, pool.stats().idle) == (1, 1)
    pool.resize(2)
    with pool.client(), pool.client():
        pass


def test_a_closed_pool_lends_nothing(pool: Pool) -> None:
    with pool.client():
        pool.close()
    assert pool.stats().connections == 0
    with pytest.raises(errors.StateError, match="closed"), pool.client():
        pass


def test_a_server_that_takes_fewer(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool goes on with what it has."""

    def takes(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        while line := peer.line():
            peer.send(line.partition(b" ")[0] + b" OK done\r\n")

    def refuses(peer: Peer) -> None:
        peer.send(b"* BYE Too many connections from your address\r\n")

    servers = in_turn([serve(takes), serve(refuses), serve(takes)])
    with Pool("127.0.0.1", 143, tls=False, socket=servers, connections=4, retry=RETRY) as pool:
        # Who was refused a connection waits for the other one until his time is over: here that is at once.
        late = SimpleNamespace(monotonic=lambda: time.monotonic() + (60.0 if pool.stats().refused else 0.0))
        monkeypatch.setattr(blocking, "time", late)
        with pool.client() as client:
            with pytest.raises(errors.PoolTimeout, match="all are lent"), pool.client():
                pass
            assert (pool.stats().limit, pool.stats().refused, pool.stats().connections) == (1, 1, 1)
        with pool.client() as again:
            assert again is client
        pool._book.raise_at = 0.0  # five minutes later
        with pool.client(), pool.client():
            assert pool.stats().limit == 2


def test_what_there_is_to_do_is_done_while_the_server_logs_in(serve: Callable[..., Any]) -> None:
    """Piece by piece, for the first connection alone, and no more of it once the server has answered."""
    asked, answers, answered = threading.Event(), threading.Event(), threading.Event()
    done: list[str] = []

    def pieces() -> Iterator[object]:
        while not asked.is_set():
            yield "the server has not read the command yet"
        done.append("while it logs in")
        answers.set()
        assert answered.wait(10)
        yield "there is something to read"
        done.append("later")

    def slow(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n")
        while line := peer.line():
            asked.set()
            assert answers.wait(10)
            peer.send(line.partition(b" ")[0] + b" OK [CAPABILITY IMAP4rev1] done\r\n")
            answered.set()

    servers = in_turn([serve(slow), serve(slow)])
    with Pool("127.0.0.1", 143, user="ann", password="secret", connections=2, **{**ASKED, "socket": servers}) as pool:
        pool._meanwhile = pieces()
        with pool.client() as one, pool.client() as other:
            assert done == ["while it logs in"]
            assert (one._meanwhile is None, other._meanwhile) == (False, None)


def test_a_piece_that_fails_leaves_no_connection(serve: Callable[..., Any]) -> None:
    gone = threading.Event()

    def silent(peer: Peer) -> None:
        assert not peer.line()
        gone.set()

    def pieces() -> Iterator[object]:
        yield "one"
        raise LookupError("what was looked for is not there")

    with Pool("127.0.0.1", 143, user="ann", password="secret", **{**ASKED, "socket": in_turn([serve(silent)])}) as pool:
        pool._meanwhile = pieces()
        with pytest.raises(LookupError), pool.client():
            pass
        assert gone.wait(10)
        assert pool.stats().connections == 0


@pytest.mark.slow
def test_a_silent_server_is_given_up_whatever_there_is_to_do_meanwhile(serve: Callable[..., Any]) -> None:
    def silent(peer: Peer) -> None:
        peer.line()

    def pieces() -> Iterator[object]:
        for _ in range(500):
            time.sleep(0.01)
            yield "one of many"
        raise AssertionError("it is waited for a server that is to be given up after 0.2 s")

    given = {**ASKED, "socket": in_turn([serve(silent), serve(silent)]), "timeout": 0.2, "retry": Retry(attempts=1)}
    with Pool("127.0.0.1", 143, user="ann", password="secret", **given) as pool:
        pool._meanwhile = pieces()
        with pytest.raises(errors.Timeout), pool.client():
            pass


def test_a_refused_password_is_not_tried_by_each_connection(server: IMAPServer) -> None:
    wrong = {**LOGIN, "password": "wrong"}
    with Pool(server.host, server.port, connections=3, retry=RETRY, **wrong) as pool:
        for _ in range(3):
            with pytest.raises(errors.AuthenticationFailed), pool.client():
                pass
        assert pool.stats().logins == 1
        assert pool.stats().connections == 0


def test_fetch_iter_by_all_connections(server: IMAPServer, pool: Pool) -> None:
    fill(server, 450)
    rows = list(pool.fetch_iter("INBOX", "1:*", "BODY.PEEK[]"))
    assert sorted(row.uid or 0 for row in rows) == list(range(1, 451))
    assert pool.stats().connections == 3
    assert pool.stats().idle == 3
    assert [row.uid for row in pool.fetch_iter("INBOX", 7, "FLAGS")] == [7]
    assert list(pool.fetch_iter("INBOX", [], "FLAGS")) == []


def test_fetch_iter_by_all_connections_however_inbox_is_written(
    server: IMAPServer, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, 450)
    lanes: list[int] = []
    fetch = fetching.fetch

    def noted(pool: Any, its: Any, *rest: Any) -> Any:
        lanes.append(len(its))
        return fetch(pool, its, *rest)

    monkeypatch.setattr(fetching, "fetch", noted)
    assert len(list(pool.fetch_iter("inbox", "1:*", "FLAGS"))) == 450
    assert lanes == [3]


@pytest.mark.parametrize("kind", ["Pool", "AsyncPool"])
def test_fetch_iter_waits_by_the_programs_own_sleep(server: IMAPServer, kind: str) -> None:
    fill(server, 450)
    slept: list[float] = []
    retry = Retry(first=30.0, longest=30.0, random=lambda: 1.0, burst=1000, sleep=slept.append)

    def hears(line: bytes) -> bytes:
        if b" FETCH " in line and not slept:
            raise ConnectionResetError
        return line

    def by_pool(port: int) -> list[Any]:
        with Pool(server.host, port, connections=2, retry=retry, **LOGIN) as pool:
            return list(pool.fetch_iter("INBOX", range(1, 451), "FLAGS"))

    async def by_tasks(port: int) -> list[Any]:
        async with AsyncPool(server.host, port, connections=2, retry=retry, **LOGIN) as pool:
            return [row async for row in pool.fetch_iter("INBOX", range(1, 451), "FLAGS")]

    with odd(server, hears=hears) as port:
        rows = by_pool(port) if kind == "Pool" else asyncio.run(by_tasks(port))
    assert sorted(row.uid for row in rows) == list(range(1, 451))
    assert 0 < len(slept) <= 4
    assert slept[0] > 25


def test_octets_of_all_connections_are_counted(server: IMAPServer) -> None:
    """Of those too that were closed, or connected anew."""
    fill(server, 450)
    sent: list[int] = []

    def says(line: bytes) -> bytes:
        sent.append(len(line))
        return line

    async def by_tasks(port: int) -> None:
        async with AsyncPool(server.host, port, connections=3, retry=RETRY, **LOGIN) as pool:
            assert len([row async for row in pool.fetch_iter("INBOX", "1:*", "FLAGS")]) == 450
            received = pool.stats().octets_in
            assert received == sum(sent)
        assert received < pool.stats().octets_in <= sum(sent)

    with odd(server, says=says) as port:
        with Pool(server.host, port, connections=3, retry=RETRY, **LOGIN) as pool:
            assert len(list(pool.fetch_iter("INBOX", "1:*", "FLAGS"))) == 450
            received = pool.stats().octets_in
            assert received == sum(sent)
            server.disconnect_all()
            assert len(list(pool.fetch_iter("INBOX", "1:*", "FLAGS"))) == 450
            assert received < pool.stats().octets_in <= sum(sent)
            received = pool.stats().octets_in
        assert pool.stats().connections == 0
        assert received < pool.stats().octets_in <= sum(sent)  # LOGOUT is answered too
        sent.clear()
        asyncio.run(by_tasks(port))


def test_leaving_fetch_iter_gives_all_back(server: IMAPServer, pool: Pool) -> None:
    fill(server, 450)
    rows = pool.fetch_iter("INBOX", "1:*", "BODY.PEEK[]")
    next(rows)
    assert pool.stats().idle == 0
    rows.close()
    assert pool.stats().idle == 3
    assert len(list(pool.fetch_iter("INBOX", "1:*", "FLAGS"))) == 450


@pytest.mark.parametrize("when", ["before", "another connection", "connected anew"])
@pytest.mark.parametrize("kind", ["Pool", "AsyncPool"])
def test_fetch_iter_of_a_mailbox_that_is_made_anew(server: IMAPServer, kind: str, when: str) -> None:
    """Its UIDs are those of one UIDVALIDITY, by whichever connection the messages come."""
    fill(server, 450)
    selected: list[bytes] = []
    cut: list[bytes] = []

    def hears(line: bytes) -> bytes:
        if b" FETCH " in line and when == "connected anew" and not cut:
            cut.append(line)
            raise ConnectionResetError
        return line

    def says(line: bytes) -> bytes:
        if b"[UIDVALIDITY" not in line:
            return line
        selected.append(line)
        anew = when == "before" or bool(cut) or (when == "another connection" and len(selected) > 1)
        return re.sub(rb"UIDVALIDITY \d+", b"UIDVALIDITY 9" if anew else b"UIDVALIDITY 7", line)

    def by_pool(port: int) -> list[Any]:
        with Pool(server.host, port, connections=2, retry=RETRY, **LOGIN) as pool:
            return list(pool.fetch_iter("INBOX", range(1, 451), "FLAGS", uid_validity=7))

    async def by_tasks(port: int) -> list[Any]:
        async with AsyncPool(server.host, port, connections=2, retry=RETRY, **LOGIN) as pool:
            return [row async for row in pool.fetch_iter("INBOX", range(1, 451), "FLAGS", uid_validity=7)]

    with odd(server, says=says, hears=hears) as port, pytest.raises(errors.UIDValidityChanged) as raised:
        by_pool(port) if kind == "Pool" else asyncio.run(by_tasks(port))
    assert (raised.value.mailbox, raised.value.before, raised.value.now) == ("INBOX", 7, 9)
    with odd(server, says=lambda line: line.replace(selected[0].split(b"]")[0], b"* OK [UIDVALIDITY 7")) as port:
        assert len(by_pool(port) if kind == "Pool" else asyncio.run(by_tasks(port))) == 450


def test_map_goes_on_after_a_mailbox_that_fails(server: IMAPServer, pool: Pool) -> None:
    names = [f"box{number}" for number in range(20)]
    for name in names[:-1]:
        server.create(name)

    def job(client: Client) -> str:
        assert client.session.mailbox is not None
        if client.session.mailbox == "box3":
            raise ZeroDivisionError
        return client.session.mailbox

    results = dict(pool.map(names, job))
    assert set(results) == set(names)
    assert isinstance(results["box3"].error, ZeroDivisionError)
    with pytest.raises(errors.MailboxNotFound):
        results["box19"].get()
    assert [results[name].get() for name in names if name not in ("box3", "box19")] == [
        name for name in names if name not in ("box3", "box19")
    ]
    assert pool.stats().idle == pool.stats().connections


def test_asyncpool(server: IMAPServer) -> None:
    fill(server, 450)

    async def body(pool: AsyncPool) -> None:
        async with pool.client() as client:
            await client.list_mailboxes()
        rows = [row async for row in pool.fetch_iter("INBOX", "1:*", "BODY.PEEK[]")]
        assert sorted(row.uid or 0 for row in rows) == list(range(1, 451))
        assert (pool.stats().connections, pool.stats().idle) == (3, 3)
        server.disconnect_all()
        async with pool.selected("INBOX") as client:
            assert len(await client.fetch("1:*", "FLAGS")) == 450

        async def job(client: Any) -> int:
            return len((await client.search(s.undeleted)).uids)

        results = {name: result async for name, result in pool.map(["INBOX", "none"], job)}
        assert results["INBOX"].get() == 450
        assert isinstance(results["none"].error, errors.MailboxNotFound)

    run(server, body)


def test_asyncpool_a_task_that_is_cancelled_gives_its_connection_back(server: IMAPServer) -> None:
    async def body(pool: AsyncPool) -> None:
        held = asyncio.Semaphore(0)

        async def hold() -> None:
            async with pool.client():
                held.release()
                await asyncio.sleep(60)

        holding = [asyncio.ensure_future(hold()) for _ in range(5)]
        for _ in range(3):
            await held.acquire()
        assert (pool.stats().connections, pool.stats().waiting) == (3, 2)
        for task in holding:
            task.cancel()
        await asyncio.gather(*holding, return_exceptions=True)
        assert (pool.stats().connections, pool.stats().idle, pool.stats().waiting) == (3, 3, 0)
        async with pool.client() as client:
            await client.list_mailboxes()

    run(server, body)


def test_asyncpool_who_waits_too_long_is_told(server: IMAPServer) -> None:
    async def body(pool: AsyncPool) -> None:
        async with pool.client():
            with pytest.raises(errors.PoolTimeout):
                async with pool.client(timeout=0.01):
                    pass
        with pytest.raises(ValueError, match="timeout must be a number of seconds"):
            async with pool.client(timeout=float("nan")):
                pass
        async with pool.client():
            pass

    run(server, body, connections=1)


def test_asyncpool_leaving_fetch_iter_gives_all_back(server: IMAPServer) -> None:
    fill(server, 450)

    async def body(pool: AsyncPool) -> None:
        rows: AsyncIterator[Any] = pool.fetch_iter("INBOX", "1:*", "BODY.PEEK[]")
        await anext(rows)
        await rows.aclose()  # type: ignore[attr-defined]
        assert pool.stats().idle == pool.stats().connections
        assert len([row async for row in pool.fetch_iter("INBOX", "1:*", "FLAGS")]) == 450

    run(server, body)


def test_wrong_arguments(server: IMAPServer) -> None:
    with pytest.raises(ValueError, match="connections"):
        Pool("imap.example.org", connections=0)
    with pytest.raises(ValueError, match="host"):
        Pool("")
    with pytest.raises(TypeError, match="hots"):
        Pool("imap.example.org", hots=1)
    with Pool(server.host, server.port, **LOGIN) as pool, pytest.raises(ValueError, match="by UID"):
        list(pool.fetch_iter("INBOX", "$", "FLAGS"))


def test_an_account_says_all(server: IMAPServer) -> None:
    account = Account(server.host, server.port, **LOGIN)
    with Pool(account, connections=2, retry=RETRY) as pool, pool.client() as client:
        client.list_mailboxes()

    async def main() -> None:
        async with AsyncPool(account, connections=2, retry=RETRY) as pool, pool.client() as client:
            await client.list_mailboxes()

    asyncio.run(main())
    with pytest.raises(TypeError, match="Account"):
        Pool(account, user="ann")


def test_min_size_stays_open(server: IMAPServer) -> None:
    with Pool(server.host, server.port, connections=3, min_size=1, max_idle=0.0, retry=RETRY, **LOGIN) as pool:
        with pool.client(), pool.client():
            pass
        time.sleep(0.01)
        with pool.client():
            assert pool.stats().connections == 1
        assert pool.stats().closed == 1
    with pytest.raises(ValueError, match="min_size"):
        Pool(server.host, min_size=5)


def jwt(expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{claims}.x"


def test_a_token_is_asked_for_once_until_it_expires() -> None:
    asked: list[str] = []

    def provider() -> str:
        asked.append(jwt(time.time() + (30 if len(asked) == 0 else 3600)))  # the first is about to expire
        return asked[-1]

    tokens = Tokens(provider)
    assert tokens() == asked[0]
    assert [tokens(), tokens()] == [asked[1], asked[1]]
    assert len(asked) == 2
    tokens.forget()
    assert tokens() == asked[2]


def test_tasks_ask_for_a_token_together() -> None:
    asked = 0

    async def provider() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return "opaque"

    async def main() -> None:
        tokens = AsyncTokens(provider)
        first, *others = [asyncio.ensure_future(tokens()) for _ in range(4)]
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.gather(*others) == ["opaque"] * 3
        assert asked == 1

    asyncio.run(main())


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "..", jwt(0).replace("e30.", ""), "e30.e30.x", "e30.W10.x"])
def test_tokens_that_do_not_say_when_they_expire(token: str) -> None:
    assert expiry(token) is None


def test_a_pool_asks_once_and_anew_after_a_refusal(serve: Callable[..., Any]) -> None:
    """RFC 7628: the token goes with AUTHENTICATE; a refused one is asked for anew, once."""
    seen: list[bytes] = []

    def server(peer: Peer) -> None:
        peer.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] ready\r\n")
        while line := peer.line():
            tag, _, rest = line.partition(b" ")
            if rest.upper().startswith(b"AUTHENTICATE"):
                seen.append(base64.b64decode(rest.split()[2]))
                if b"old" in seen[-1]:
                    peer.send(tag + b" NO [AUTHENTICATIONFAILED] expired\r\n")
                    continue
            if rest.upper().startswith(b"CAPABILITY"):
                peer.send(b"* CAPABILITY IMAP4rev1\r\n")
            peer.send(tag + b" OK done\r\n")

    given = iter(["old", "new", "never"])
    servers = in_turn([serve(server) for _ in range(3)])
    with Pool(
        "127.0.0.1", 143, tls=False, user="ann", token=lambda: next(given), mechanism="OAUTHBEARER", socket=servers,
        connections=2, retry=RETRY,
    ) as pool, pool.client(), pool.client():  # fmt: skip
        pass
    assert [b"old" in one for one in seen] == [True, False, False]


SCARCE = Retry(burst=2)
"""Two logins at once, then one a minute."""


def test_who_would_wait_for_a_login_takes_what_is_given_back(server: IMAPServer) -> None:
    with Pool(server.host, server.port, connections=5, retry=SCARCE, **LOGIN) as pool:
        found: list[int] = []

        def work() -> None:
            with pool.selected("INBOX", timeout=20) as client:
                found.append(len(client.list_mailboxes()))

        with pool.client(), pool.client():
            with pytest.raises(errors.PoolTimeout, match="all are lent"), pool.client(timeout=0.05):
                pass
            threads = [threading.Thread(target=work) for _ in range(5)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(20)
        assert len(found) == 5
        assert (pool.stats().logins, pool.stats().connections) == (2, 2)

    async def body(pool: AsyncPool) -> None:
        async def work() -> int:
            async with pool.selected("INBOX", timeout=20) as client:
                return len(await client.list_mailboxes())

        async with pool.client(), pool.client():
            with pytest.raises(errors.PoolTimeout, match="all are lent"):
                async with pool.client(timeout=0.05):
                    pass
            tasks = [asyncio.ensure_future(work()) for _ in range(5)]
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == found
        assert (pool.stats().logins, pool.stats().connections) == (2, 2)

    run(server, body, connections=5, retry=SCARCE)


def test_the_login_that_is_due_serves_who_waits(server: IMAPServer) -> None:
    """The others keep their connections."""
    clock = Clock()
    retry = Retry(burst=1, clock=clock)
    with Pool(server.host, server.port, connections=2, retry=retry, **LOGIN) as pool, pool.client():
        threading.Timer(0.1, lambda: setattr(clock, "now", clock.now + 60.0)).start()
        pool._book.until_login = lambda: min(pool._budget.until_login(), 0.01)  # not to wait for a minute in truth
        with pool.client(timeout=20) as other:
            other.list_mailboxes()
        assert pool.stats().logins == 2


def test_no_login_is_due_in_time(server: IMAPServer) -> None:
    """Nobody has a connection, so that there is nothing else to wait for."""
    retry = Retry(burst=1, sleep=lambda seconds: pytest.fail(f"it sleeps for {seconds} s"))
    with Pool(server.host, server.port, max_lifetime=0.0, retry=retry, **LOGIN) as pool:
        with pool.client():
            pass
        with pytest.raises(errors.PoolTimeout, match="the next attempt is due in"), pool.client(timeout=30):
            pass
        assert (pool.stats().connections, pool.stats().timeouts) == (0, 1)

    async def body(pool: AsyncPool) -> None:
        async with pool.client():
            pass
        with pytest.raises(errors.PoolTimeout, match="the next attempt is due in"):
            async with pool.client(timeout=30):
                pass
        assert (pool.stats().connections, pool.stats().timeouts) == (0, 1)

    run(server, body, max_lifetime=0.0, retry=retry)


@pytest.mark.parametrize("turns", range(0, 24, 2))
def test_asyncpool_a_task_that_is_cancelled_amid_a_command_leaves_it_in_step(server: IMAPServer, turns: int) -> None:
    """Wherever that is: the next one reads its own answers, by the same connection or a new one."""
    fill(server, 60)

    async def body(pool: AsyncPool) -> None:
        async def work() -> None:
            async with pool.selected("INBOX") as client:
                await client.fetch("1:*", "BODY.PEEK[]")

        task = asyncio.ensure_future(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # it may be done
        async with pool.client(timeout=20) as client:
            assert [row.name for row in await client.list_mailboxes()] == ["INBOX"]
            assert client.take_events() == []
        assert (pool.stats().connections, pool.stats().idle) == (1, 1)

    run(server, body, connections=1)


@pytest.fixture(params=["down", "silent"])
def unreachable(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port on which nobody listens, or on which connections are taken and nothing is said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "silent":
            listener.listen()
        yield listener.getsockname()[1]


def test_who_asks_for_a_connection_to_a_server_that_is_down_waits_no_longer_than_said(unreachable: int) -> None:
    with Pool("127.0.0.1", unreachable, retry=STUBBORN, **LOGIN) as pool:
        for _ in range(2):
            with pytest.raises(errors.PoolTimeout, match="opened in time"), pool.client(timeout=0.1):
                pass
        with pytest.raises(errors.PoolTimeout, match="opened in time"):
            list(pool.fetch_iter("INBOX", "1:*", timeout=0.1))
        assert (pool.stats().connections, pool.stats().timeouts) == (0, 3)


def test_asyncpool_who_asks_for_a_connection_to_a_server_that_is_down_waits_no_longer_than_said(
    unreachable: int,
) -> None:
    async def main() -> None:
        async with AsyncPool("127.0.0.1", unreachable, retry=STUBBORN, **LOGIN) as pool:
            for _ in range(2):
                with pytest.raises(errors.PoolTimeout, match="opened in time"):
                    async with pool.client(timeout=0.1):
                        pass
            with pytest.raises(errors.PoolTimeout, match="opened in time"):
                [row async for row in pool.fetch_iter("INBOX", "1:*", timeout=0.1)]
            assert (pool.stats().connections, pool.stats().timeouts) == (0, 3)

    asyncio.run(main())


def test_what_was_lost_while_idle_is_made_anew_within_the_time(server: IMAPServer) -> None:
    made: list[socket.socket] = []

    def once(host: str, port: int) -> socket.socket:
        if made:
            raise ConnectionRefusedError("down")
        made.append(socket.create_connection((host, port)))
        return made[0]

    with Pool(server.host, server.port, socket=once, retry=STUBBORN, **LOGIN) as pool:
        with pool.client() as client:
            client.list_mailboxes()
        server.disconnect_all()
        client._fail(errors.Disconnected("cut"))
        with pytest.raises(errors.PoolTimeout, match="opened in time"), pool.client(timeout=0.1):
            pass
        assert pool.stats().connections == 0


def test_what_a_pool_says_of_a_server_that_was_down_just_now(unreachable: int) -> None:
    # An attempt ends long before the caller's time: one that ended by that would tell nothing of the server. The next
    # is due in a minute, which is too late; nobody waits for it in truth.
    slept: list[float] = []
    retry = Retry(attempts=2, first=60.0, longest=60.0, random=lambda: 1.0, sleep=slept.append)
    with Pool("127.0.0.1", unreachable, retry=retry, **{**LOGIN, "timeout": 0.1}) as pool:
        for said in ("opened in time", "was not reached.* next attempt is due in"):
            with pytest.raises(errors.PoolTimeout, match=said), pool.client(timeout=30):
                pass
    (seconds,) = slept
    assert seconds <= 30
