"""A program that works on one account by several connections."""

from __future__ import annotations

import asyncio

from fastimap import AsyncPool, Client, Pool, search
from fastimap.sessions.retry import no_waits
from tests.servers.dovecot import Dovecot
from tests.sessions.cuts import filled
from tests.support.cuts import Cut, proxied


def test_a_mailbox_by_four_connections_one_of_which_is_cut(dovecot: Dovecot) -> None:
    with filled(dovecot) as mailbox, proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.cuts.extend([None, Cut(50_000, True, "rst")])
        user, password = mailbox.user, dovecot.password

        saved = {}
        with Pool(
            proxy.host, proxy.port, user=user, password=password, tls=False, mechanism="LOGIN", connections=4
        ) as pool:
            for message in pool.fetch_iter("INBOX", "1:*", "BODY.PEEK[]"):
                assert message.uid not in saved
                saved[message.uid] = message.body

        assert saved == mailbox.messages


def test_many_mailboxes(dovecot: Dovecot) -> None:
    with filled(dovecot) as mailbox:

        def count(client: Client) -> int:
            return len(client.search(search.undeleted).uids)

        with Pool(
            dovecot.host,
            dovecot.port,
            user=mailbox.user,
            password=dovecot.password,
            tls=False,
            mechanism="LOGIN",
            connections=4,
        ) as pool:
            with pool.client(timeout=30) as client:
                names = [found.name for found in client.list_mailboxes()]
            counts = {name: result.get() for name, result in pool.map(names, count)}

        assert counts == {"INBOX": len(mailbox.messages), "Drafts": 0, "Trash": 0}


def test_the_same_awaited(dovecot: Dovecot) -> None:
    with filled(dovecot) as mailbox:

        async def main() -> dict[int | None, bytes | None]:
            async with AsyncPool(
                dovecot.host,
                dovecot.port,
                user=mailbox.user,
                password=dovecot.password,
                tls=False,
                mechanism="LOGIN",
                connections=4,
            ) as pool:
                return {row.uid: row.body async for row in pool.fetch_iter("INBOX", "1:*", "BODY.PEEK[]")}

        assert asyncio.run(main()) == mailbox.messages
