"""Programs that use one connection for several mailboxes, in several tasks, with a real Dovecot."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fastimap import AsyncClient, Client, Retry, errors
from fastimap.conversation.protocol import Pending
from fastimap.sessions.retry import no_waits
from tests.client.interfaces import Interface
from tests.servers.dovecot import Dovecot
from tests.sessions.cuts import filled
from tests.support.cuts import Cut, proxied

SUBJECTS = {"INBOX": ["to me", "to me too"], "Drafts": ["by me", "by me too"]}
"""Of messages with the same UIDs, so that nothing but the text says whose they are."""
ALL = "1:2"
ROUNDS = 50

Main = Callable[[AsyncClient], Coroutine[Any, Any, None]]


def fill(server: Dovecot) -> dict[str, Any]:
    """Return what a client needs to log in, as a new user with these messages."""
    given: dict[str, Any] = {"user": server.new_user(), "password": server.password, "mechanism": "PLAIN", "tls": False}
    with Client(server.host, server.port, **given) as client:
        for mailbox, subjects in SUBJECTS.items():
            for subject in subjects:
                client.append(mailbox, f"Subject: {subject}\r\n\r\n{subject}\r\n".encode())
    return given


@pytest.fixture
def account(dovecot: Dovecot) -> dict[str, Any]:
    return fill(dovecot)


@pytest.fixture
def client(interface: Interface, dovecot: Dovecot, account: dict[str, Any]) -> Any:
    return interface(dovecot.host, dovecot.port, **account)


@pytest.fixture
def run(dovecot: Dovecot, account: dict[str, Any], implementation: str) -> Callable[[Main], None]:
    """A function that runs a program with an AsyncClient."""

    def run(main: Main) -> None:
        async def program() -> None:
            async with AsyncClient(dovecot.host, dovecot.port, timeout=30, **account) as client:
                await asyncio.wait_for(main(client), 60)

        asyncio.run(program())

    return run


def subjects(rows: Any) -> list[str]:
    return [row.envelope.subject for row in rows]


async def read(client: AsyncClient) -> list[str]:
    return subjects(await client.fetch(ALL, "ENVELOPE"))


# Tasks.


def test_each_task_reads_its_own_mailbox(run: Callable[[Main], None]) -> None:
    async def reader(client: AsyncClient, mailbox: str) -> None:
        for number in range(ROUNDS):
            async with client.selected(mailbox, read_only=True) as selected:
                assert (selected.name, selected.exists) == (mailbox, 2)
                if number % 2:
                    found = await read(client)
                else:
                    found = subjects([row async for row in client.fetch_iter(ALL, "ENVELOPE", chunk=1)])
                assert found == SUBJECTS[mailbox]

    async def main(client: AsyncClient) -> None:
        async with asyncio.TaskGroup() as tasks:
            for mailbox in SUBJECTS:
                tasks.create_task(reader(client, mailbox))

    run(main)


def test_what_others_would_do_to_a_mailbox_that_is_held_is_refused(run: Callable[[Main], None]) -> None:
    async def other(client: AsyncClient) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: client.fetch(ALL, "FLAGS"),
            lambda: client.fetch_one(1, "FLAGS"),
            lambda: client.search(),
            lambda: client.store(1, "\\Deleted"),
            lambda: client.add_flags(1, "\\Deleted"),
            lambda: client.delete_messages(1),
            lambda: client.copy(1, "Trash"),
            lambda: client.move(1, "Trash"),
            lambda: client.expunge(),
            lambda: client.select("Drafts"),
            lambda: client.select("INBOX"),
            lambda: client.unselect(),
            lambda: client.close_mailbox(),
            lambda: anext(client.fetch_iter(ALL, "FLAGS")),
        ]
        for call in calls:
            with pytest.raises(errors.StateError, match=r"'INBOX' is held by another task.*selected\(\)"):
                await call()
        async with client.pipeline() as pipeline:
            refused: list[Pending[Any]] = [pipeline.fetch(1, "FLAGS"), pipeline.select("Drafts")]
            status = pipeline.mailbox_status("Drafts")
        for pending in refused:
            with pytest.raises(errors.StateError, match="'INBOX' is held"):
                pending.result()
        assert status.result().messages == 2

    async def harmless(client: AsyncClient) -> None:
        await client.noop()
        await client.append("Trash", b"Subject: x\r\n\r\n")
        await client.create_mailbox("New")
        assert "New" in [found.name for found in await client.list_mailboxes()]
        assert (await client.mailbox_status("Trash")).messages == 1

    async def main(client: AsyncClient) -> None:
        held, done = asyncio.Event(), asyncio.Event()

        async def holder() -> None:
            async with client.selected():
                held.set()
                await done.wait()
                assert await read(client) == SUBJECTS["INBOX"]
                assert [row.flags for row in await client.fetch(ALL, "FLAGS")] == [frozenset({"\\Recent"})] * 2

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(holder())
            await held.wait()
            await other(client)
            await harmless(client)
            done.set()
        await client.select("Drafts")  # nobody holds it any more
        assert await read(client) == SUBJECTS["Drafts"]

    run(main)


def test_tasks_that_are_begun_in_the_block_share_it(run: Callable[[Main], None]) -> None:
    async def main(client: AsyncClient) -> None:
        async def nested() -> list[str]:
            async with client.selected("Drafts"):
                return await read(client)

        async with client.selected("Drafts"):
            found = await asyncio.gather(read(client), nested(), read(client), nested())
            assert list(found) == [SUBJECTS["Drafts"]] * 4
            with pytest.raises(errors.StateError, match="'Drafts'"):
                await asyncio.create_task(_hold(client, "INBOX"))  # it would wait for the block that waits for it

    run(main)


async def _hold(client: AsyncClient, mailbox: str) -> list[str]:
    async with client.selected(mailbox):
        return await read(client)


def test_a_task_that_outlives_the_block_does_not_read_another_mailbox(run: Callable[[Main], None]) -> None:
    async def main(client: AsyncClient) -> None:
        free = asyncio.Event()

        async def late() -> None:
            await free.wait()
            with pytest.raises(errors.StateError, match=r"'INBOX' has ended, and 'Drafts' is selected"):
                await read(client)
            assert await _hold(client, "INBOX") == SUBJECTS["INBOX"]
            await client.select("Drafts")
            assert await read(client) == SUBJECTS["Drafts"]

        async with client.selected("INBOX"):
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        async with client.selected("Drafts"):
            pass
        free.set()
        await task

    run(main)


def test_the_hold_lasts_as_long_as_a_block_inside(run: Callable[[Main], None]) -> None:
    async def main(client: AsyncClient) -> None:
        inside, leave = asyncio.Event(), asyncio.Event()

        async def nested() -> None:
            async with client.selected("INBOX"):
                inside.set()
                await leave.wait()
                assert await read(client) == SUBJECTS["INBOX"]

        async with client.selected("INBOX"):
            task = asyncio.create_task(nested())
            await inside.wait()
        with pytest.raises(errors.StateError, match="held"):
            await client.select("Drafts")
        waiting = asyncio.create_task(_hold(client, "Drafts"))
        await asyncio.sleep(0)
        leave.set()
        await task
        assert await waiting == SUBJECTS["Drafts"]

    run(main)


def test_who_waits_first_has_it_first_and_who_is_cancelled_leaves_nothing(run: Callable[[Main], None]) -> None:
    async def main(client: AsyncClient) -> None:
        order = []
        leave = asyncio.Event()

        async def holder() -> None:
            async with client.selected("INBOX"):
                await leave.wait()

        async def waiter(number: int) -> None:
            async with client.selected("Drafts" if number % 2 else "INBOX"):
                order.append(number)
                await client.noop()

        holding = asyncio.create_task(holder())
        waiting = [asyncio.create_task(waiter(number)) for number in range(6)]
        await client.noop()
        assert order == []
        waiting[0].cancel()
        waiting[3].cancel()
        leave.set()
        await holding
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in done] == [n in (0, 3) for n in range(6)]
        assert order == [1, 2, 4, 5]
        assert await _hold(client, "INBOX") == SUBJECTS["INBOX"]

    run(main)


def test_cancelled_while_it_selects(run: Callable[[Main], None]) -> None:
    async def main(client: AsyncClient) -> None:
        await client.select("Drafts")
        task = asyncio.create_task(_hold(client, "INBOX"))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await _hold(client, "Drafts") == SUBJECTS["Drafts"]

    run(main)


def test_a_select_that_is_under_way_comes_before(run: Callable[[Main], None]) -> None:
    async def main(client: AsyncClient) -> None:
        await client.select("INBOX")
        task = asyncio.create_task(client.select("Drafts"))
        await asyncio.sleep(0)
        async with client.selected("INBOX"):
            assert await read(client) == SUBJECTS["INBOX"]
        await task

    run(main)


def test_two_accounts_at_once(dovecot: Dovecot, account: dict[str, Any], implementation: str) -> None:
    async def main() -> None:
        other = fill(dovecot)
        async with (
            AsyncClient(dovecot.host, dovecot.port, **account) as source,
            AsyncClient(dovecot.host, dovecot.port, **other) as target,
            source.selected("INBOX", read_only=True),
            target.selected("Drafts"),
        ):
            found = await asyncio.gather(read(source), read(target))
            assert list(found) == [SUBJECTS["INBOX"], SUBJECTS["Drafts"]]

    asyncio.run(main())


# One after the other.


def test_a_mailbox_is_selected_for_a_block(client: Any) -> None:
    with client.selected("Drafts", read_only=True) as mailbox:
        assert (mailbox.name, mailbox.exists, mailbox.read_only) == ("Drafts", 2, True)
        assert mailbox.uid_next == 3
        assert subjects(client.fetch_iter(ALL, "ENVELOPE")) == SUBJECTS["Drafts"]
        with pytest.raises(errors.StateError):
            client.store(1, "\\Seen")
    with client.selected() as mailbox:
        assert (mailbox.name, mailbox.exists, mailbox.read_only) == ("INBOX", 2, False)
        assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["INBOX"]
    with client.selected("INBOX", read_only=True):
        assert client.session.examined


def test_a_mailbox_that_is_selected_costs_nothing(client: Any) -> None:
    with client.selected("INBOX") as first:
        pass
    assert client.session.mailbox == "INBOX"
    client.append("INBOX", b"Subject: new\r\n\r\n")
    client.noop()
    before = client.counters.commands
    with client.selected("inbox") as mailbox:
        assert client.counters.commands == before
        assert (mailbox.exists, mailbox.uid_validity, mailbox.flags) == (3, first.uid_validity, first.flags)
        assert mailbox.uid_next is None  # it was 3, and is not any more
    (info,) = [found for found in client.list_mailboxes() if found.name == "Drafts"]
    with client.selected(info), client.selected("Drafts"):
        assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["Drafts"]


def test_a_block_inside_a_block(client: Any) -> None:
    with client.selected("INBOX"):
        for mailbox, read_only in (("Drafts", False), ("INBOX", True)):
            with (
                pytest.raises(errors.StateError, match="'INBOX' here"),
                client.selected(mailbox, read_only=read_only),
            ):
                pass
        with client.selected("INBOX"):
            pass
        for call in (client.select, lambda: client.select("Drafts")):
            with pytest.raises(errors.StateError, match="'INBOX' here"):
                call()
        assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["INBOX"]
        client.unselect()
        with pytest.raises(errors.StateError):
            client.fetch(ALL, "FLAGS")
        with client.selected("INBOX"):
            assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["INBOX"]
    client.select("Drafts")
    assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["Drafts"]


def test_a_block_that_ends_by_an_error(client: Any) -> None:
    with pytest.raises(errors.MailboxNotFound), client.selected("Nowhere"):
        pass
    with pytest.raises(KeyError), client.selected("INBOX"):
        raise KeyError
    with pytest.raises(TypeError), client.selected(7):
        pass
    client.select("Drafts")
    with client.selected("INBOX"):
        assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["INBOX"]


def test_messages_of_a_block_that_are_read_after_another(client: Any) -> None:
    for _ in range(3):
        client.append("INBOX", b"Subject: more\r\n\r\n")
    with client.selected("INBOX"):
        rows = client.fetch_iter("1:5", "ENVELOPE", chunk=1, in_flight=1)
        assert next(rows).envelope.subject == SUBJECTS["INBOX"][0]
    with client.selected("Drafts"), pytest.raises(errors.StateError):
        list(rows)


def test_a_new_connection_in_the_block(client: Any) -> None:
    with client.selected("Drafts", read_only=True):
        client.reconnect()
        assert client.session.examined
        assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["Drafts"]
        with pytest.raises(errors.StateError, match="'Drafts' here"):
            client.select("INBOX")
    client.select("INBOX")


def test_a_mailbox_that_was_made_anew_meanwhile(client: Any, dovecot: Dovecot, account: dict[str, Any]) -> None:
    client.create_mailbox("Work")
    client.append("Work", b"Subject: old\r\n\r\n")
    with client.selected("Work"):
        with Client(dovecot.host, dovecot.port, **account) as other:
            other.delete_mailbox("Work")
            other.create_mailbox("Work")
            other.append("Work", b"Subject: another\r\n\r\n")
        with pytest.raises(errors.StateError, match="UIDVALIDITY"):
            client.reconnect()
        with pytest.raises(errors.StateError, match="UIDVALIDITY"):
            client.fetch(1, "ENVELOPE")
    with client.selected("Work"):
        assert subjects(client.fetch(1, "ENVELOPE")) == ["another"]


def test_a_connection_that_is_cut_in_the_block(dovecot: Dovecot, interface: Interface) -> None:
    with filled(dovecot) as mailbox, proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.cuts.extend([Cut(50_000, True, "rst")])
        given: dict[str, Any] = {"user": mailbox.user, "password": dovecot.password, "tls": False, "mechanism": "LOGIN"}
        client = interface(proxy.host, proxy.port, retry=Retry(), **given)
        with client.selected("INBOX", read_only=True):
            saved = {row.uid: row.body for row in client.fetch_iter("1:*", "BODY.PEEK[]")}
            with pytest.raises(errors.StateError, match="'INBOX' here"):
                client.select("Drafts")
        assert client.counters.reconnects == 1
        assert saved == mailbox.messages


def test_another_thread_does_not_act_on_a_mailbox_that_is_held(
    dovecot: Dovecot, account: dict[str, Any], implementation: str
) -> None:
    refused: list[Exception] = []

    def other(client: Client) -> None:
        for call in (lambda: client.fetch(1, "FLAGS"), lambda: client.selected("Drafts").__enter__()):
            try:
                call()
            except errors.StateError as exc:
                refused.append(exc)
        assert client.mailbox_status("Drafts").messages == 2

    with Client(dovecot.host, dovecot.port, **account) as client:
        with client.selected("INBOX"):
            thread = threading.Thread(target=other, args=(client,))
            thread.start()
            thread.join()
            assert subjects(client.fetch(ALL, "ENVELOPE")) == SUBJECTS["INBOX"]
        assert ["'INBOX' is held" in str(exc) for exc in refused] == [True, True]
