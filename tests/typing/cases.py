"""What a type checker makes of the clients. Checked, and never run: see test_types.py.

A line that ends in ``# error`` must be an error; no other may be one.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import fastimap
from fastimap import UIDSet
from fastimap.commands import (
    AppendResult,
    CopyResult,
    ExpungeResult,
    SearchResult,
    SelectedMailbox,
    SortResult,
    StoreResult,
)
from fastimap.message import Envelope, FetchedMessage
from fastimap.protocol import Event, Pending
from fastimap.search import unseen
from fastimap.types import MailboxInfo, MailboxStatus


def blocking(client: fastimap.Client) -> None:
    assert_type(client.select("INBOX", readonly=True), SelectedMailbox)
    assert_type(client.fetch(1, "FLAGS"), tuple[FetchedMessage, ...])
    assert_type(client.fetch_iter(UIDSet("1:*"), "FLAGS", chunk=10), Iterator[FetchedMessage])
    assert_type(client.fetch_into(1, "BODY[]", into=io.BytesIO()), tuple[FetchedMessage, ...])
    assert_type(client.search(unseen), SearchResult)
    assert_type(client.search(unseen).uids, UIDSet)
    assert_type(client.sort("REVERSE DATE", unseen), SortResult)
    assert_type(client.store([1, 2], "\\Seen", action="remove"), StoreResult)
    assert_type(client.copy(1, "There"), CopyResult)
    assert_type(client.move(1, "There"), CopyResult)
    assert_type(client.append("INBOX", b""), AppendResult)
    assert_type(client.expunge(), ExpungeResult)
    assert_type(client.list(), tuple[MailboxInfo, ...])
    assert_type(client.status("INBOX", "MESSAGES"), MailboxStatus)
    assert_type(client.noop(), None)
    assert_type(client.capability(), frozenset[str])
    assert_type(client.idle(timeout=1), Iterator[Event])
    for message in client.fetch(1, "ENVELOPE"):
        assert_type(message.uid, int | None)
        assert_type(message.envelope, Envelope | None)
    with client as entered:
        assert_type(entered, fastimap.Client)
    with client.pipeline() as pipeline:
        assert_type(pipeline, fastimap.Pipeline)
        assert_type(pipeline.fetch(1, "FLAGS"), Pending[tuple[FetchedMessage, ...]])
        assert_type(pipeline.search(unseen).result(), SearchResult)
        assert_type(pipeline.move(1, "There").result(), CopyResult)
        pipeline.fetch(1, flags=True)  # error
        pipeline.select()  # error
    client.fetch(1, 2)  # error
    client.fetch(1.5, "FLAGS")  # error
    client.select(readonly=True)  # error
    client.select("INBOX", read_only=True)  # error
    client.search("UNSEEN")  # error
    client.store(1, "\\Seen", action="toggle")  # error
    client.append("INBOX", "text")  # error
    client.move(1)  # error
    client.fetch_into(1, "BODY[]")  # error
    client.noop(1)  # error
    client.selekt("INBOX")  # error
    fastimap.Client("imap.example.org", tls="ssl")  # error
    fastimap.Client("imap.example.org", 993, "user")  # error


async def waiting(client: fastimap.AsyncClient) -> None:
    assert_type(await client.select("INBOX"), SelectedMailbox)
    assert_type(await client.fetch(1, "FLAGS"), tuple[FetchedMessage, ...])
    assert_type(client.fetch_iter(1, "FLAGS"), AsyncIterator[FetchedMessage])
    assert_type(await client.search(unseen), SearchResult)
    assert_type(await client.store(1, ["\\Seen"]), StoreResult)
    assert_type(await client.move(1, "There"), CopyResult)
    assert_type(await client.append("INBOX", io.BytesIO()), AppendResult)
    assert_type(await client.list(), tuple[MailboxInfo, ...])
    assert_type(await client.noop(), None)
    assert_type(client.idle(), AsyncIterator[Event])
    async for message in client.fetch_iter([1, 2], "FLAGS"):
        assert_type(message, FetchedMessage)
    async with client as entered, client.pipeline() as pipeline:
        assert_type(entered, fastimap.AsyncClient)
        assert_type(pipeline.status("INBOX", "UIDNEXT").result(), MailboxStatus)
    client.fetch(1, "FLAGS")[0]  # error
    await client.fetch(1, 2)  # error
    await client.search("UNSEEN")  # error
    await client.move(1)  # error
    for _ in client.fetch_iter(1, "FLAGS"):  # error
        pass
    fastimap.AsyncClient("imap.example.org", token=fetch_token)


async def fetch_token() -> str:
    return "token"


fastimap.Client("imap.example.org", token=fetch_token)  # error
