"""Print the newest mail of each mailbox of an account, 200 of them or more, by asyncio on 8 connections.

FASTIMAP_PASSWORD=... python examples/many_mailboxes.py imaps://me@imap.example.org
"""

import asyncio
import os
import sys

from fastimap import Account, AsyncClient, AsyncPool


async def newest(client: AsyncClient) -> str:
    """The pool has selected the mailbox for us, on a connection that no other task uses meanwhile."""
    (message,) = await client.fetch("*", "ENVELOPE")  # * is the newest
    return (message.envelope and message.envelope.subject) or "(no subject)"


async def main(url: str) -> None:
    account = Account.from_url(url, password=os.environ["FASTIMAP_PASSWORD"])
    async with AsyncPool(account, connections=8) as pool:
        async with pool.client() as client:
            listed = await client.list_mailboxes()
            names = [mailbox.name for mailbox in listed if mailbox.is_selectable]
            # All questions are sent at once, on one connection.
            statuses = await asyncio.gather(*(client.mailbox_status(name, "MESSAGES") for name in names))
        filled = [name for name, status in zip(names, statuses, strict=True) if status.messages]
        print(f"{len(names)} mailboxes, {len(filled)} with mail")
        async for name, result in pool.map(filled, newest):  # as they come
            print(f"{name}: {result.error or result.get()}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
