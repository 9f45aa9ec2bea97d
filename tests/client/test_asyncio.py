"""What only asyncio has: cancellation, and many tasks on one connection. In asyncio's debug mode."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import random
import select
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from fastimap import AsyncClient, Client, UIDSet, errors
from fastimap.search import subject
from fastimap.testing import IMAPServer
from fastimap.types import Exists
from tests.client.peers import silent
from tests.client.test_commands import MESSAGE
from tests.imaplib.scripted import Peer, Server
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.usefixtures("implementation")

MESSAGES = 40


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` in debug mode; what asyncio would merely log is an error here."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 60  # how fast this machine is is not the question
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        await main
        gc.collect()
        await asyncio.sleep(0)

    asyncio.run(watched(), debug=True)
    gc.collect()
    assert complaints == []


async def outcome(call: Awaitable[object]) -> object:
    """What the call gives, where its annotation says that this is nothing to look at."""
    return await call


def connection(server: IMAPServer) -> AsyncClient:
    return AsyncClient(
        server.host, server.port, tls=False, user="user", password="password", mechanism="LOGIN", timeout=20
    )


def message(number: int) -> bytes:
    return b"Subject: %d\r\n\r\n" % number + b"line\r\n" * 200 * (number % 5)


@pytest.fixture
def filled(server: IMAPServer) -> IMAPServer:
    for number in range(1, MESSAGES + 1):
        server.append("INBOX", message(number))
    server.create("There")
    return server


def operations(client: AsyncClient, uid: int) -> list[Callable[[], Coroutine[Any, Any, Any]]]:
    async def iterate() -> None:
        async with contextlib.aclosing(client.fetch_iter(range(1, MESSAGES + 1), "BODY.PEEK[]", chunk=7)) as rows:
            async for _ in rows:
                await asyncio.sleep(0)

    async def idle() -> None:
        async with contextlib.aclosing(client.idle(timeout=0.05)) as events:
            async for _ in events:
                pass

    async def pipeline() -> None:
        async with client.pipeline() as pipeline:
            for number in range(1, 10):
                pipeline.fetch(number, "FLAGS", "BODY.PEEK[HEADER]")

    def one(call: Callable[[], Any]) -> Callable[[], Coroutine[Any, Any, Any]]:
        async def made_when_run() -> Any:
            return await call()

        return made_when_run

    return [
        iterate,
        idle,
        pipeline,
        one(lambda: client.fetch(UIDSet("1:*"), "ENVELOPE", "BODY.PEEK[]")),
        one(lambda: client.fetch(uid, "FLAGS")),
        one(lambda: client.fetch_into(uid, "BODY.PEEK[]", into=io.BytesIO())),
        one(lambda: client.search(subject("1"))),
        one(lambda: client.store(uid, "\\Flagged")),
        one(lambda: client.append("There", MESSAGE * 50)),
        one(lambda: client.copy(uid, "There")),
        one(lambda: client.append("There", io.BytesIO(MESSAGE * 50), size=len(MESSAGE) * 50)),
        one(lambda: client.list_mailboxes()),
        one(lambda: client.mailbox_status("There", "MESSAGES")),
        one(lambda: client.noop()),
    ]


@pytest.fixture(params=["in memory", "Dovecot"])
def cancelling(request: pytest.FixtureRequest) -> tuple[AsyncClient, int]:
    """A client of a server with `MESSAGES` messages, and how often to cancel there."""
    if request.param == "in memory":
        return connection(request.getfixturevalue("filled")), 1000
    dovecot: Dovecot = request.getfixturevalue("dovecot")
    user = dovecot.new_user()
    arguments: dict[str, Any] = {"tls": False, "user": user, "password": dovecot.password, "mechanism": "PLAIN"}
    with Client(dovecot.host, dovecot.port, **arguments) as client:
        client.create_mailbox("There")
        with client.pipeline() as pipeline:
            for number in range(1, MESSAGES + 1):
                pipeline.append("INBOX", message(number))
    return AsyncClient(dovecot.host, dovecot.port, timeout=20, **arguments), 300


def test_what_progress_raises_ends_the_connection(server: IMAPServer) -> None:
    """Whatever it is: the octets of the next command would be the rest of the message."""

    def cancelled(sent: int, size: int) -> None:
        if sent > 100_000:
            raise asyncio.CancelledError

    async def main() -> None:
        async with connection(server) as client:
            with pytest.raises(asyncio.CancelledError):
                await client.append("INBOX", b"x" * 200_000, progress=cancelled)
            with pytest.raises(errors.Disconnected, match="cut short"):
                await client.noop()

    run(main())


@pytest.mark.slow
def test_a_thousand_cancellations(cancelling: tuple[AsyncClient, int]) -> None:
    chance = random.Random(9051)

    async def main() -> None:
        client, count = cancelling
        cancelled = rounds = 0
        async with client:
            await client.select("INBOX")
            # On a busy machine much is done before it is cancelled: there it takes more rounds.
            while rounds < count or (cancelled <= count // 2 and rounds < 4 * count):
                rounds += 1
                uid = chance.randint(1, MESSAGES)
                task = asyncio.create_task(chance.choice(operations(client, uid))())
                for _ in range(chance.choice((0, 1, 1, 2, 3, 5, 8))):
                    await asyncio.sleep(chance.choice((0, 0, 0, 0.0005)))
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                cancelled += task.cancelled()
                async with asyncio.timeout(20):
                    (row,) = await client.fetch(uid, "UID", "RFC822.SIZE", "BODY.PEEK[HEADER]")
                assert (row.uid, row.header_octets) == (uid, b"Subject: %d\r\n\r\n" % uid)
                client.take_events()
        assert cancelled > count // 2

    run(main())


@pytest.mark.slow
@pytest.mark.parametrize("tls", [False, True, "starttls"])
def test_connecting_is_cancelled_at_any_moment(tls: Any, tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    chance = random.Random(3501)
    ends: set[str] = set()

    async def main(server: IMAPServer) -> None:
        arguments: dict[str, Any] = {"user": "user", "password": "password", "mechanism": "LOGIN", "timeout": 20}
        if tls:
            arguments["ssl_context"] = trusting
        for round_ in range(60):
            client = AsyncClient("localhost", server.port, tls=tls, **arguments)
            task = asyncio.create_task(client.connect())
            for _ in range(1 + round_ // 2):  # from its first step to its end
                await asyncio.sleep(chance.choice((0, 0, 0.0005)))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            ends.add("cancelled" if task.cancelled() else "connected")
            assert await outcome(client.noop()) is None  # it connects anew, where it has to
            await client.close()

    with IMAPServer(
        tls=tls_server if tls is True else None, starttls=tls_server if tls == "starttls" else None
    ) as server:
        run(main(server))
    assert "cancelled" in ends


@pytest.mark.slow
def test_many_tasks_on_one_client(filled: IMAPServer) -> None:
    async def main() -> None:
        async with connection(filled) as client:
            await client.select("INBOX")

            async def work(uid: int) -> None:
                (row,) = await client.fetch(uid, "BODY.PEEK[HEADER]")
                assert row.header_octets == b"Subject: %d\r\n\r\n" % uid
                assert (await client.store(uid, "$Done")).rows[0].uid == uid
                assert uid in (await client.search(subject(str(uid)))).uids
                assert [message.uid async for message in client.fetch_iter(uid, "FLAGS")] == [uid]

            await asyncio.gather(*(work(uid) for uid in range(1, MESSAGES + 1)))
        assert all("$Done" in message.flags for message in filled.messages("INBOX"))

    run(main())


def test_tasks_that_meet_an_unconnected_client(filled: IMAPServer) -> None:
    async def main() -> None:
        client = connection(filled)
        results = await asyncio.gather(*(client.mailbox_status("INBOX", "MESSAGES") for _ in range(10)))
        assert {result.messages for result in results} == {MESSAGES}
        assert client.counters.commands <= 13  # one connection, one login
        await client.close()

    run(main())


def test_a_connection_that_is_cancelled(server: IMAPServer) -> None:
    """Whoever else waits for it connects."""

    async def main() -> None:
        client = connection(server)
        first, second = (asyncio.create_task(client.noop()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert await outcome(second) is None
        assert first.cancelled()
        await client.close()

    run(main())


def test_fetch_iter_is_for_the_mailbox_of_its_call(filled: IMAPServer) -> None:
    async def main() -> None:
        filled.create("Other")
        filled.append("Other", b"Subject: other\r\n\r\n")
        async with connection(filled) as client:
            await client.select("INBOX")
            rows = client.fetch_iter(1, "ENVELOPE")
            await client.select("Other")
            with pytest.raises(errors.StateError):
                await anext(rows)
            with pytest.raises(ValueError, match="data items"):
                client.fetch_iter(1)

    run(main())


def test_all_tasks_hear_of_a_loss(serve: Callable[..., Server]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.line()

    async def main() -> None:
        async with AsyncClient("127.0.0.1", serve(script).port, tls=False) as client:
            results = await asyncio.gather(*(client.noop() for _ in range(20)), return_exceptions=True)
        assert {type(result) for result in results} == {errors.Disconnected}

    run(main())


def test_idle_in_one_task_and_work_in_another(filled: IMAPServer) -> None:
    async def main() -> None:
        async with connection(filled) as client:
            await client.select("INBOX")
            told = asyncio.Event()

            async def watch() -> None:
                async for event in client.idle():
                    if event == Exists(MESSAGES + 1):
                        told.set()

            task = asyncio.create_task(watch())
            for uid in range(1, 11):
                await asyncio.sleep(0.005)
                assert len(await client.fetch(uid, "FLAGS")) == 1
            filled.append("INBOX", MESSAGE)
            async with asyncio.timeout(30):
                await told.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await outcome(client.noop()) is None

    run(main())


def test_a_loop_that_is_left_needs_no_closing(filled: IMAPServer) -> None:
    async def main() -> None:
        async with connection(filled) as client:
            await client.select("INBOX")
            for number in range(20):
                async for row in client.fetch_iter(range(1, MESSAGES + 1), "BODY.PEEK[HEADER]", chunk=3):
                    assert row.uid == 1
                    break
                assert await outcome(client.noop()) is None
                filled.set_flags("INBOX", 9, [f"$Round{number}"])
                async for _ in client.idle():
                    break
                (row,) = await client.fetch(7, "BODY.PEEK[HEADER]")
                assert row.header_octets == b"Subject: 7\r\n\r\n"

    run(main())


@pytest.mark.slow
def test_a_crowd_of_tasks_some_of_which_give_up(filled: IMAPServer) -> None:
    chance = random.Random(5161)

    async def main() -> None:
        async with connection(filled) as client:
            await client.select("INBOX")

            async def fetch() -> None:
                wanted = sorted(chance.sample(range(1, MESSAGES + 1), 5))
                rows = await client.fetch(wanted, "BODY.PEEK[HEADER]")
                assert [(row.uid, row.header_octets) for row in rows] == [
                    (uid, b"Subject: %d\r\n\r\n" % uid) for uid in wanted
                ]

            async def stream() -> None:
                rows = client.fetch_iter(range(1, MESSAGES + 1), "RFC822.SIZE", chunk=9)
                assert [(row.uid, row.size) async for row in rows] == [
                    (number, len(message(number))) for number in range(1, MESSAGES + 1)
                ]

            async def search() -> None:
                uid = chance.randint(10, MESSAGES)
                assert list((await client.search(subject(f"{uid}"))).uids) == [uid]

            async def status() -> None:
                assert (await client.mailbox_status("There", "MESSAGES")).messages == 0

            async def pipeline() -> None:
                uids = chance.sample(range(1, MESSAGES + 1), 10)
                async with client.pipeline() as pipeline:
                    pending = [pipeline.fetch(uid, "RFC822.SIZE") for uid in uids]
                assert [[(row.uid, row.size) for row in p.result()] for p in pending] == [
                    [(uid, len(message(uid)))] for uid in uids
                ]

            async def idle() -> None:
                async for _ in client.idle(timeout=0.02):
                    pass

            for _ in range(8):
                tasks = [
                    asyncio.create_task(chance.choice([fetch, stream, search, status, pipeline, idle])())
                    for _ in range(25)
                ]
                await asyncio.sleep(chance.choice((0, 0.001, 0.005)))
                given_up = chance.sample(tasks, 8)
                for task in given_up:
                    task.cancel()
                async with asyncio.timeout(60):
                    results = await asyncio.gather(*tasks, return_exceptions=True)
                for task, result in zip(tasks, results, strict=True):
                    assert result is None or (task in given_up and isinstance(result, asyncio.CancelledError))

    run(main())


def test_tasks_that_connect_anew_at_once_do_it_once(server: IMAPServer) -> None:
    async def main() -> None:
        async with connection(server) as client:
            await client.select("INBOX")
            await asyncio.gather(*(client.reconnect() for _ in range(5)))
            assert client.session.mailbox == "INBOX"
            commands = client.counters.commands
            await client.noop()
            assert client.counters.commands == commands + 1

    run(main())


def test_a_command_that_comes_while_a_task_connects_anew_finds_the_mailbox_selected(server: IMAPServer) -> None:
    async def main() -> None:
        async with connection(server) as client:
            await client.select("INBOX")
            again = asyncio.create_task(client.reconnect())
            await asyncio.sleep(0)
            await client.noop()
            await again

    run(main())


def test_tasks_that_connect_anew_in_vain_are_all_told(server: IMAPServer) -> None:
    refused = False

    def reach(host: str, port: int) -> socket.socket:
        if refused:
            raise ConnectionRefusedError
        return socket.create_connection((server.host, server.port))

    async def main() -> None:
        nonlocal refused
        async with AsyncClient("imap.example.org", tls=False, socket=reach) as client:
            refused = True
            results = await asyncio.gather(*(client.reconnect() for _ in range(3)), return_exceptions=True)
            assert {type(result) for result in results} == {errors.ConnectFailed}
            refused = False
            await client.reconnect()
            assert await outcome(client.noop()) is None

    run(main())


def test_a_tls_socket_of_the_callers(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async def main() -> None:
        with IMAPServer(tls=tls_server) as server:
            plain = socket.create_connection((server.host, server.port))
            with await asyncio.to_thread(trusting.wrap_socket, plain, server_hostname="localhost") as connection:
                client = AsyncClient("localhost", socket=connection)
                with pytest.raises(ValueError, match="give the plain socket"):  # asyncio's own transports can't
                    await client.connect()

    run(main())


def test_closing_ends_a_task_that_waits_for_the_greeting(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = threading.Event()

    def script(peer: Peer) -> None:
        connected.set()
        silent(peer)

    async def main() -> None:
        client = AsyncClient("127.0.0.1", serve(script).port, tls=False, timeout=600)
        connecting = asyncio.create_task(client.connect())
        assert await asyncio.to_thread(connected.wait, 30)
        async with asyncio.timeout(30):  # shorter than the patience with LOGOUT
            await client.close()
            with pytest.raises(errors.Disconnected, match="logged out"):
                await connecting

    monkeypatch.setattr("fastimap.clients.asyncio._LOGOUT_TIMEOUT", 60)
    run(main())


def test_a_socket_that_is_made_too_late_is_closed(server: IMAPServer) -> None:
    go_on = threading.Event()
    closed = threading.Event()

    class Connection(socket.socket):
        def close(self) -> None:
            super().close()
            closed.set()

    def make(host: str, port: int) -> socket.socket:
        assert go_on.wait(10)
        connection = Connection()
        connection.connect((server.host, server.port))
        return connection

    async def main() -> None:
        client = AsyncClient("localhost", socket=make, tls=False, timeout=0.1)
        try:
            with pytest.raises(errors.Timeout, match="no connection"):
                await client.connect()
        finally:
            go_on.set()
        assert await asyncio.to_thread(closed.wait, 10)

    run(main())


def test_closing_ends_a_task_that_waits_for_an_answer(serve: Callable[..., Server]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        silent(peer)

    async def main() -> None:
        client = AsyncClient("127.0.0.1", serve(script).port, tls=False, timeout=600)
        await client.connect()
        waiting = asyncio.create_task(client.noop())
        await asyncio.sleep(0.05)
        await client.close()
        with pytest.raises(errors.Disconnected, match="logged out"):
            await waiting

    run(main())


def test_what_tls_has_is_read_when_rows_are_asked_for(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """While a row is used the end of the next one arrives, and of the answer: the latter waits in the memory of TLS."""
    bodies = [b"a" * 200_000, b"b" * 100, b"c" * 70_000]
    rows = [b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (n, n, len(body), body) for n, body in enumerate(bodies, 1)]
    in_use = threading.Event()
    sent = threading.Event()

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
        peer.answer(b"SELECT INBOX", b"* 3 EXISTS", b"* OK [UIDVALIDITY 1] x", b"* OK [UIDNEXT 4] x")
        peer.answer(b"UID FETCH 1 (BODY.PEEK[])", rows[0].removesuffix(b"\r\n"))
        peer.answer(b"UID FETCH 2:3 (RFC822.SIZE)", *(b"* %d FETCH (UID %d RFC822.SIZE 100)" % (n, n) for n in (2, 3)))
        tag = peer.expect(b"UID FETCH 2:3 (BODY.PEEK[])")
        peer.send(rows[1] + rows[2][:16_000])  # one record
        assert in_use.wait(30)
        peer.send(rows[2][16_000:] + tag + b" OK done\r\n")
        sent.set()
        peer.log_out()

    async def main() -> None:
        async with AsyncClient("localhost", server.port, ssl_context=trusting, timeout=30) as client:
            await client.select("INBOX")
            received = [message.body for message in await client.fetch(1, "BODY.PEEK[]")]
            async for message in client.fetch_iter(UIDSet("2:3"), "BODY.PEEK[]"):
                received.append(message.body)
                in_use.set()
                assert sent.wait(30)  # so that all of it is received at once
                await asyncio.sleep(0.01)
            assert received == bodies

    with Server(script, tls_server) as server:
        run(main())


def test_octets_in_clear_before_tls(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    """They are in the socket before there is a transport: no greeting, whatever they say."""

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] somebody is in between\r\n")
        with contextlib.suppress(OSError):  # the client goes
            peer.start_tls(tls_server)

    def connected(host: str, port: int) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", port))
        select.select([made], [], [], 30)
        return made

    async def main() -> None:
        client = AsyncClient("localhost", server.port, ssl_context=trusting, socket=connected, timeout=30)
        with pytest.raises(errors.TLSError, match="does not speak TLS from the start"):
            await client.connect()

    with Server(script) as server:
        run(main())


def test_what_was_written_is_not_kept(tls_server: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b'LOGIN user "unlikely words"', status=b"OK [CAPABILITY IMAP4rev1] done")
        peer.log_out()

    async def main() -> None:
        given: dict[str, Any] = {"user": "user", "password": "unlikely words", "mechanism": "LOGIN"}
        async with AsyncClient("localhost", server.port, ssl_context=trusting, timeout=30, **given) as client:
            link = client._link
            assert link is not None
            kept = [value.obj if isinstance(value, memoryview) else value for value in vars(link).values()]
            assert not any(b"unlikely" in value for value in kept if isinstance(value, (bytes, bytearray)))

    with Server(script, tls_server) as server:
        run(main())


@pytest.mark.parametrize("tls", [True, "starttls"])
def test_closed_amid_the_handshake(monkeypatch: pytest.MonkeyPatch, tls: Any) -> None:
    hello = threading.Event()

    def script(peer: Peer) -> None:
        if tls == "starttls":
            peer.greet(b"IMAP4rev1 STARTTLS")
            peer.answer(b"STARTTLS")
        peer.sock.recv(1)
        hello.set()
        silent(peer)

    async def main() -> None:
        client = AsyncClient("localhost", server.port, tls=tls, timeout=60)
        connecting = asyncio.create_task(client.connect())
        await asyncio.to_thread(hello.wait, 30)
        async with asyncio.timeout(30):
            await client.close()  # no LOGOUT, which would wait for the handshake
        with pytest.raises(errors.Disconnected, match="logged out"):
            await connecting

    monkeypatch.setattr("fastimap.clients.asyncio._LOGOUT_TIMEOUT", 60)
    with Server(script) as server:
        run(main())


_LEAVES_ROWS = """
import asyncio, sys
from fastimap import AsyncClient

async def main():
    global rows  # let go at the program's end
    client = AsyncClient(
        "127.0.0.1", int(sys.argv[1]), tls=False, user="user", password="password", mechanism="LOGIN", timeout=10
    )
    await client.connect()
    await client.select("INBOX")
    rows = client.fetch_iter("1:*", "BODY.PEEK[]")
    await anext(rows)
    while not client._linked()._paused:  # it reads no more than is used
        await asyncio.sleep(0.01)

asyncio.run(main())
print("done")
"""


@pytest.mark.slow
def test_rows_that_outlive_their_loop_are_let_go_in_silence(server: IMAPServer) -> None:
    for _ in range(20):
        server.append("INBOX", b"Subject: long\r\n\r\n" + b"x" * 200_000)
    program = [sys.executable, "-c", _LEAVES_ROWS, f"{server.port}"]
    ended = subprocess.run(program, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("done\n", "")
