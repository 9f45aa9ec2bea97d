"""Connecting anew: the same mailbox, and what had been begun before."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import AsyncClient, UIDSet, errors
from fastimap.testing import IMAPServer
from tests.client.interfaces import Interface
from tests.client.peers import in_turn
from tests.client.test_commands import fill
from tests.imaplib.scripted import Peer


def test_reconnect_after_a_loss(interface: Interface, serve: Callable[..., Any]) -> None:
    def dies(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.answer(b"EXAMINE INBOX", b"* OK [UIDVALIDITY 3857529045] noted")

    def lives(peer: Peer) -> None:
        dies(peer)
        peer.answer(b"NOOP")
        peer.log_out()

    def made_again(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.answer(b"EXAMINE INBOX", b"* OK [UIDVALIDITY 3857529046] noted")
        peer.log_out()

    client = interface("127.0.0.1", 143, tls=False, socket=in_turn(map(serve, (dies, lives, made_again))))
    client.select("INBOX", read_only=True)
    with pytest.raises(errors.Disconnected):
        client.noop()
    client.reconnect()
    assert client.session.mailbox == "INBOX"
    assert client.session.read_only is True
    assert client.noop() is None
    client.close()
    with pytest.raises(errors.StateError, match="logged out"):
        client.noop()


def test_a_mailbox_whose_name_is_no_modified_utf7_is_found_again(
    interface: Interface, serve: Callable[..., Any]
) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.answer(b"SELECT R&D")  # as text it is R&-D
        peer.line()

    with interface("127.0.0.1", 143, tls=False, socket=in_turn([serve(script), serve(script)])) as client:
        client.select(b"R&D")
        client.reconnect()
        assert client.session.mailbox == "R&D"


def test_reconnect_notices_another_uidvalidity(interface: Interface, serve: Callable[..., Any]) -> None:
    def script(uid_validity: bytes) -> Callable[[Peer], None]:
        def play(peer: Peer) -> None:
            peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
            peer.answer(b"SELECT INBOX", b"* OK [UIDVALIDITY " + uid_validity + b"] noted")
            peer.line()

        return play

    servers = [serve(script(uid_validity)) for uid_validity in (b"3857529045", b"3857529046")]
    client = interface("127.0.0.1", 143, tls=False, socket=in_turn(servers))
    client.select("INBOX")
    with pytest.raises(errors.StateError, match="3857529045 to 3857529046"):
        client.reconnect()
    assert client.session.mailbox == "INBOX"  # the connection is a good one, for who can do without the UIDs


def test_the_mailbox_is_known_until_a_new_connection_comes_about(interface: Interface, server: IMAPServer) -> None:
    refusals: list[OSError] = []

    def reach(host: str, port: int) -> socket.socket:
        if refusals:
            raise refusals.pop()
        return socket.create_connection((server.host, server.port))

    with interface(
        "imap.example.org", tls=False, user="user", password="password", mechanism="LOGIN", socket=reach
    ) as client:
        client.select("INBOX")
        refusals += [ConnectionRefusedError(), ConnectionRefusedError()]
        for _ in range(2):
            with pytest.raises(errors.ConnectFailed):
                client.reconnect()
        client.reconnect()
        assert client.session.mailbox == "INBOX"


def test_a_stream_of_the_connection_before_ends(server: IMAPServer, client: Any) -> None:
    fill(server, 3)
    client.select("INBOX")
    stream = client.fetch_iter(UIDSet("1:*"), "FLAGS")
    next(stream)
    few = client.fetch_iter(UIDSet(range(1, 4)), "FLAGS", chunk=1, in_flight=1)
    next(few)
    events = client.idle()
    client.reconnect()
    assert len(list(stream)) == 2  # they had arrived
    with pytest.raises(errors.ConnectionLost):
        list(few)
    events.close()
    assert client.noop() is None


@pytest.mark.slow
def test_reconnect_that_is_given_up_amid_its_select(implementation: str, serve: Callable[..., Any]) -> None:
    """The next attempt still knows which mailbox it was, and that its UIDs mean other messages now."""

    asked = threading.Event()

    def script(uid_validity: bytes, answers: bool) -> Callable[[Peer], None]:
        def play(peer: Peer) -> None:
            peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
            if answers:
                peer.answer(b"SELECT INBOX", b"* OK [UIDVALIDITY " + uid_validity + b"] noted")
            else:
                peer.expect(b"SELECT INBOX")
                asked.set()
            while peer.line():
                pass

        return play

    async def main() -> None:
        servers = [serve(script(*arguments)) for arguments in ((b"1", True), (b"2", False), (b"2", True))]
        client = AsyncClient("127.0.0.1", 143, tls=False, socket=in_turn(servers))
        await client.select("INBOX")
        again = asyncio.create_task(client.reconnect())
        assert await asyncio.to_thread(asked.wait, 30)
        again.cancel()
        with pytest.raises(asyncio.CancelledError):
            await again
        with pytest.raises(errors.Disconnected):
            await client.fetch(1, "FLAGS")
        with pytest.raises(errors.StateError, match="from 1 to 2"):
            await client.reconnect()
        await client.close()

    asyncio.run(main())
