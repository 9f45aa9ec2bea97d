"""Somebody sends many commands, and uses results while others are under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import AsyncClient, Client, Timeouts, errors
from fastimap.testing import IMAPServer
from tests.client.peers import DONE, converse, flags_row


def arguments(server: IMAPServer) -> dict[str, Any]:
    return {"port": server.port, "tls": False, "user": "user", "password": "password", "mechanism": "LOGIN"}


def test_commands_are_sent_as_they_are_asked_for(server: IMAPServer) -> None:
    with Client(server.host, **arguments(server)) as client:
        before = client.counters.octets_out
        with client.pipeline() as pipeline:
            pipeline.append("INBOX", b"Subject: one\r\n\r\n")
            assert client.counters.octets_out > before
            assert pipeline.append("INBOX", b"Subject: two\r\n\r\n").result() is not None
            (count,) = [pipeline.mailbox_status("INBOX", "MESSAGES").result().messages]
        assert count == 2


def test_results_can_be_awaited_in_the_block(server: IMAPServer) -> None:
    async def program() -> None:
        async with AsyncClient(server.host, **arguments(server)) as client, client.pipeline() as pipeline:
            one = pipeline.append("INBOX", b"Subject: one\r\n\r\n")
            two = pipeline.append("INBOX", b"Subject: two\r\n\r\n")
            await asyncio.gather(asyncio.ensure_future(waited(one)), asyncio.ensure_future(waited(one)))
            assert (await pipeline.mailbox_status("INBOX", "MESSAGES")).messages == 2
            assert two.done

    async def waited(pending: Any) -> Any:
        return await pending

    asyncio.run(program())


def test_the_error_of_one_command(server: IMAPServer) -> None:
    with Client(server.host, **arguments(server)) as client, client.pipeline() as pipeline:
        with pytest.raises(errors.MailboxNotFound):
            pipeline.mailbox_status("nowhere", "MESSAGES").result()
        assert pipeline.noop().result() is None


@pytest.mark.slow
def test_a_search_that_reports_how_far_it_is(scripted: Callable[..., Any]) -> None:
    """Unsolicited lines are life; ten times the response timeout they keep a command waiting, and no longer."""

    def script(peer: Any) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.select()
        tag = peer.expect(b"UID FETCH 1 (FLAGS)")
        for _ in range(5):
            time.sleep(0.5)
            peer.send(b"* OK Searched 39% of the mailbox\r\n")
        peer.send(flags_row(1) + tag + b" OK done\r\n")
        peer.expect(b"UID FETCH 2 (FLAGS)")
        peer.expect_end()

    client = scripted(script, timeout=Timeouts(connect=30, response=2))
    client.select("INBOX")
    assert client.fetch(1, "FLAGS")[0].uid == 1  # after 2.5 s
    with pytest.raises(errors.Timeout, match=r"no answer within 2 s .*; nothing had arrived"):
        client.fetch(2, "FLAGS")


@pytest.mark.slow
def test_what_had_arrived(scripted: Callable[..., Any]) -> None:
    script = converse(lambda command: flags_row(1) + flags_row(2) if b"FETCH" in command else DONE)
    client = scripted(script, timeout=Timeouts(connect=30, response=2))
    client.select("INBOX")
    with pytest.raises(errors.Timeout, match=r"2 responses \(\d+ octets\) had arrived"):
        client.fetch("1:3", "FLAGS")


@pytest.mark.slow
def test_events_after_the_first_are_not_lost(scripted: Callable[..., Any]) -> None:
    def script(peer: Any) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        peer.select()
        tag = peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 4 EXISTS\r\n* 2 EXPUNGE\r\n* 1 EXPUNGE\r\n* 3 EXISTS\r\n")
        assert peer.line() == b"DONE\r\n"
        peer.send(tag + b" OK done\r\n")
        while peer.line():  # LOGOUT, where the answer came before the client left
            pass

    with scripted(script) as client:
        client.select("INBOX")
        client.take_events()
        for event in client.idle():
            assert event.count == 4
            break
        assert len(client.take_events()) == 3
