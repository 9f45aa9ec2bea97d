"""A program that saves a mailbox, over a link that breaks."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastimap import AsyncClient, Client, Retry, Timeouts
from fastimap.sessions.retry import no_waits
from fastimap.types import Reconnected
from tests.servers.dovecot import Dovecot
from tests.sessions.cuts import filled
from tests.support.cuts import Cut, proxied

CUTS = [Cut(200_000, True, "rst"), Cut(900, True, "fin"), Cut(300_000, True, "silence"), Cut(60, False, "rst")]
# One connection falls silent, after it stood. A server that is slow is not to be taken for that: the cuts are counted.
TIMEOUTS = Timeouts(connect=30, response=3)


def test_every_message_is_saved_once(dovecot: Dovecot, tmp_path: Path) -> None:
    with filled(dovecot) as mailbox, proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.cuts.extend(CUTS)
        host, port, user, password = proxy.host, proxy.port, mailbox.user, dovecot.password

        with Client(
            host, port, user=user, password=password, tls=False, mechanism="LOGIN", timeout=TIMEOUTS, retry=Retry()
        ) as client:
            client.select("INBOX", read_only=True)
            for message in client.fetch_iter(list(mailbox.messages), "BODY.PEEK[]"):
                with (tmp_path / f"{message.uid}.eml").open("xb") as file:
                    file.write(message.body or b"")
            events = client.take_events()

        assert {int(path.stem): path.read_bytes() for path in tmp_path.iterdir()} == mailbox.messages
        # Two of the cuts were of connections that did not stand yet.
        assert sum(isinstance(event, Reconnected) for event in events) == 2


def test_the_same_awaited(dovecot: Dovecot) -> None:
    with filled(dovecot) as mailbox, proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.cuts.extend(CUTS)
        saved: list[tuple[int | None, bytes | None]] = []

        async def main() -> None:
            async with AsyncClient(
                proxy.host,
                proxy.port,
                user=mailbox.user,
                password=dovecot.password,
                tls=False,
                mechanism="LOGIN",
                timeout=TIMEOUTS,
                retry=Retry(),
            ) as client:
                await client.select("INBOX", read_only=True)
                messages = client.fetch_iter(list(mailbox.messages), "BODY.PEEK[]")
                saved.extend([(message.uid, message.body) async for message in messages])

        asyncio.run(main())
        assert len(saved) == len(mailbox.messages)
        assert dict(saved) == mailbox.messages
        assert len(proxy.done) == len(CUTS)
