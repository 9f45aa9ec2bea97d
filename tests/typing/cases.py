"""What a type checker makes of the clients. Checked, and never run: see test_types.py.

A line that ends in ``# error`` must be an error; no other may be one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator, Generator, Sequence
from datetime import date
from email.message import EmailMessage
from pathlib import Path
from typing import SupportsIndex, assert_type

import fastimap
from fastimap import Flag, Retry, SequenceSet, UIDSet, archive, commands
from fastimap.clients.rows import AsyncBatches, AsyncRows, Batches, Rows
from fastimap.commands import AppendMessage, EventGroup, MailboxFilter, Noop, QResync, Session
from fastimap.sasl import Mechanism
from fastimap.search import since, unseen
from fastimap.types import (
    Acl,
    AppendResult,
    BodyStructure,
    ComparatorResponse,
    CopyResult,
    Counters,
    Envelope,
    Event,
    ExpungeResult,
    FetchedMessage,
    FetchResult,
    ListRightsResponse,
    MailboxInfo,
    MailboxQuota,
    MailboxSearchResult,
    MailboxStatus,
    MetadataResult,
    MultiAppendResult,
    MyRightsResponse,
    Namespaces,
    Pending,
    Pipeline,
    Quota,
    ReadOnlyDict,
    SearchResult,
    SelectedMailbox,
    SortResult,
    StoreResult,
    ThreadNode,
)


def blocking(client: fastimap.Client, mechanism: Mechanism) -> None:
    # Any state.
    assert_type(client.capability(), frozenset[str])
    assert_type(client.noop(), None)
    assert_type(client.id({"name": "archiver", "version": None}), ReadOnlyDict[str, str])
    # Authentication.
    assert_type(client.login("user", "password"), None)
    assert_type(client.authenticate(mechanism), None)
    assert_type(client.unauthenticate(), None)
    # Mailboxes.
    assert_type(client.enable("CONDSTORE"), frozenset[str])
    assert_type(client.compress(), None)
    assert_type(client.select("INBOX", read_only=True), SelectedMailbox)
    assert_type(client.run(commands.Examine(b"INBOX", qresync=QResync(67890007, 20050715194045000))), SelectedMailbox)
    assert_type(client.create_mailbox("Archive", special_use="\\Archive"), str | None)
    assert_type(client.delete_mailbox("Archive"), None)
    assert_type(client.rename_mailbox("Archive", "Old"), None)
    assert_type(client.subscribe("Archive"), None)
    assert_type(client.unsubscribe("Archive"), None)
    assert_type(client.list_mailboxes("", ["INBOX", "Work/%"], status=["MESSAGES"]), tuple[MailboxInfo, ...])
    assert_type(client.run(commands.LSub()), tuple[MailboxInfo, ...])
    assert_type(client.run(commands.XList()), tuple[MailboxInfo, ...])
    assert_type(client.namespace(), Namespaces)
    assert_type(client.mailbox_status("INBOX", "MESSAGES"), MailboxStatus)
    # Into mailboxes.
    assert_type(client.append("INBOX", io.BytesIO(), flags=[Flag.SEEN], size=10), AppendResult)
    assert_type(client.append("INBOX", Path("message.eml"), flags="\\Seen"), AppendResult)
    assert_type(client.append("INBOX", b"", retry=Retry()), AppendResult)
    assert_type(client.move(UIDSet(1), "Trash", retry=Retry()), CopyResult)
    assert_type(client.multi_append("INBOX", [AppendMessage(b""), b"", Path("message.eml")]), MultiAppendResult)
    assert_type(client.catenate("INBOX", ["/INBOX/;UID=20", b"text"]), AppendResult)
    assert_type(client.replace(4, "INBOX", EmailMessage()), AppendResult)
    # The selected mailbox.
    assert_type(client.close_mailbox(), None)
    assert_type(client.unselect(), None)
    assert_type(client.run(commands.Check()), None)
    assert_type(client.expunge([1, 2]), ExpungeResult)
    assert_type(client.fetch("1:*", "ENVELOPE", changed_since=12345, vanished=True), FetchResult)
    assert_type(client.fetch_into(1, "BODY[]", into=io.BytesIO()), FetchResult)
    assert_type(client.fetch_text(1, "ENVELOPE", prefer="html"), FetchResult)
    assert_type(client.search(unseen, returns=["COUNT"]), SearchResult)
    assert_type(client.sort(["REVERSE DATE"], unseen), SortResult)
    assert_type(client.thread("REFERENCES", unseen), tuple[ThreadNode, ...])
    assert_type(client.cancel_update(b"B01"), None)
    assert_type(client.store([1, 2], "\\Seen", action="remove"), StoreResult)
    assert_type(client.store_gmail_labels(1, ["label"]), StoreResult)
    assert_type(client.copy(SequenceSet("1:3"), "There"), CopyResult)
    assert_type(client.move(UIDSet("1:3"), "There"), CopyResult)
    # Several mailboxes.
    assert_type(client.multi_search(MailboxFilter("subtree", ("Work",)), unseen), tuple[MailboxSearchResult, ...])
    assert_type(
        client.notify(EventGroup(MailboxFilter("selected"), ("MessageNew", "MessageExpunge"))),
        tuple[MailboxStatus, ...],
    )
    assert_type(client.notify_none(), None)
    # Quota, rights, metadata.
    assert_type(client.get_quota(""), Quota)
    assert_type(client.get_quota_root(), MailboxQuota)
    assert_type(client.set_quota("", {"STORAGE": 512}), Quota | None)
    assert_type(client.get_acl("INBOX"), Acl)
    assert_type(client.set_acl("INBOX", "Fred", "rwipslda", action="add"), None)
    assert_type(client.delete_acl("INBOX", "Fred"), None)
    assert_type(client.list_rights("INBOX", "smith"), ListRightsResponse)
    assert_type(client.my_rights("INBOX"), MyRightsResponse)
    assert_type(client.get_metadata("INBOX", "/private/comment", depth="infinity"), MetadataResult)
    assert_type(client.set_metadata("INBOX", {"/private/comment": None}), None)
    # Language and others.
    assert_type(client.language("de", "fr"), tuple[str, ...])
    assert_type(client.run(commands.Comparator()), ComparatorResponse)
    assert_type(client.get_jmap_access(), str)
    # What the clients do themselves.
    assert_type(client.connect(), None)
    assert_type(client.reconnect(), None)
    assert_type(client.close(), None)
    assert_type(client.run(Noop()), None)
    assert_type(client.session, Session)
    assert_type(client.session.mailbox, str | None)
    assert_type(client.capabilities, frozenset[str])
    assert_type(client.counters, Counters)
    assert_type(client.take_events(), Sequence[Event])
    assert_type(client.fetch_iter(UIDSet("1:*"), "FLAGS", chunk=10), Rows)
    assert_type(client.fetch_batches(UIDSet("1:*"), "FLAGS"), Batches)
    client.fetch_table(UIDSet("1:*"), "FLAGS", text=True)  # pyarrow has no types
    assert_type(client.idle(timeout=1), Generator[Event, None, None])
    with client as entered:
        assert_type(entered, fastimap.Client)
    with client.pipeline() as pipeline:
        assert_type(pipeline, Pipeline)
    with contextlib.closing(client.fetch_iter(1, "ENVELOPE")) as messages:
        for message in messages:
            assert_type(message.uid, int)
            assert_type(message.envelope, Envelope | None)
            assert_type(message.body_structure, BodyStructure | None)
    assert_type(client.fetch(client.search(unseen), "FLAGS"), FetchResult)
    assert_type(client.search(unseen).message_set(), UIDSet | SequenceSet)
    # Errors.
    client.fetch(1, 2)  # error
    client.fetch(1, ["FLAGS"])  # error
    client.fetch_into(1, "BODY[]", into="message.eml")  # error
    client.search(since)  # error
    client.multi_append("INBOX", b"")  # error
    client.fetch(1.5, "FLAGS")  # error
    client.fetch(1, flags=True)  # error
    client.fetch_into(1, "BODY[]")  # error
    client.fetch_iter(1, "FLAGS", chunk="10")  # error
    client.idle(10)  # error
    client.select(readonly=True)  # error
    client.select("INBOX", readonly=True)  # error
    client.search("UNSEEN")  # error
    client.search(unseen & "SEEN")  # error
    client.search(since("1-Nov-2026"))  # error
    client.sort(unseen)  # error
    client.store(1, "\\Seen", action="toggle")  # error
    client.append("INBOX", "text")  # error
    client.append("INBOX", b"", retry=3)  # error
    client.append("INBOX", b"", internal_date="1-Nov-2026")  # error
    client.move(1)  # error
    client.noop(1)  # error
    client.selekt("INBOX")  # error
    client.set_quota("", {"STORAGE": "512"})  # error
    client.session = Session()  # error
    fastimap.Client("imap.example.org", tls="ssl")  # error
    fastimap.Client("imap.example.org", 993, "user")  # error
    fastimap.Client("imap.example.org", token=fetch_token)  # error
    with client.selected("INBOX", read_only=True) as mailbox, client.deadline(5):
        assert_type(mailbox, SelectedMailbox)


def numbers_of_other_libraries(client: fastimap.Client, uid: SupportsIndex, uids: Sequence[SupportsIndex]) -> None:
    """Such as numpy's."""
    assert_type(client.fetch(uid, "FLAGS"), FetchResult)
    assert_type(client.fetch_iter(uids, "FLAGS"), Rows)
    assert_type(client.move(UIDSet(uids), "There"), CopyResult)
    client.fetch(1.0, "FLAGS")  # error
    client.fetch([1.0], "FLAGS")  # error


async def waiting(client: fastimap.AsyncClient, mechanism: Mechanism) -> None:
    # Any state.
    assert_type(await client.capability(), frozenset[str])
    assert_type(await client.noop(), None)
    assert_type(await client.id({"name": "archiver", "version": None}), ReadOnlyDict[str, str])
    # Authentication.
    assert_type(await client.login("user", "password"), None)
    assert_type(await client.authenticate(mechanism), None)
    assert_type(await client.unauthenticate(), None)
    # Mailboxes.
    assert_type(await client.enable("CONDSTORE"), frozenset[str])
    assert_type(await client.compress(), None)
    assert_type(await client.select("INBOX", read_only=True), SelectedMailbox)
    assert_type(
        await client.run(commands.Examine(b"INBOX", qresync=QResync(67890007, 20050715194045000))), SelectedMailbox
    )
    assert_type(await client.create_mailbox("Archive", special_use="\\Archive"), str | None)
    assert_type(await client.delete_mailbox("Archive"), None)
    assert_type(await client.rename_mailbox("Archive", "Old"), None)
    assert_type(await client.subscribe("Archive"), None)
    assert_type(await client.unsubscribe("Archive"), None)
    assert_type(await client.list_mailboxes("", ["INBOX", "Work/%"], status=["MESSAGES"]), tuple[MailboxInfo, ...])
    assert_type(await client.run(commands.LSub()), tuple[MailboxInfo, ...])
    assert_type(await client.run(commands.XList()), tuple[MailboxInfo, ...])
    assert_type(await client.namespace(), Namespaces)
    assert_type(await client.mailbox_status("INBOX", "MESSAGES"), MailboxStatus)
    # Into mailboxes.
    assert_type(await client.append("INBOX", io.BytesIO(), flags=[Flag.SEEN], size=10), AppendResult)
    assert_type(await client.multi_append("INBOX", [AppendMessage(b"")]), MultiAppendResult)
    assert_type(await client.catenate("INBOX", ["/INBOX/;UID=20", b"text"]), AppendResult)
    assert_type(await client.replace(4, "INBOX", EmailMessage()), AppendResult)
    # The selected mailbox.
    assert_type(await client.close_mailbox(), None)
    assert_type(await client.unselect(), None)
    assert_type(await client.run(commands.Check()), None)
    assert_type(await client.expunge([1, 2]), ExpungeResult)
    assert_type(await client.fetch("1:*", "ENVELOPE", changed_since=12345, vanished=True), FetchResult)
    assert_type(await client.fetch_into(1, "BODY[]", into=io.BytesIO()), FetchResult)
    assert_type(await client.fetch_text(1), FetchResult)
    assert_type(await client.search(unseen, returns=["COUNT"]), SearchResult)
    assert_type(await client.sort(["REVERSE DATE"], unseen), SortResult)
    assert_type(await client.thread("REFERENCES", unseen), tuple[ThreadNode, ...])
    assert_type(await client.cancel_update(b"B01"), None)
    assert_type(await client.store([1, 2], "\\Seen", action="remove"), StoreResult)
    assert_type(await client.store_gmail_labels(1, ["label"]), StoreResult)
    assert_type(await client.copy(SequenceSet("1:3"), "There"), CopyResult)
    assert_type(await client.move(UIDSet("1:3"), "There"), CopyResult)
    # Several mailboxes.
    assert_type(await client.multi_search(MailboxFilter("subtree", ("Work",)), unseen), tuple[MailboxSearchResult, ...])
    assert_type(
        await client.notify(EventGroup(MailboxFilter("selected"), ("MessageNew", "MessageExpunge"))),
        tuple[MailboxStatus, ...],
    )
    assert_type(await client.notify_none(), None)
    # Quota, rights, metadata.
    assert_type(await client.get_quota(""), Quota)
    assert_type(await client.get_quota_root(), MailboxQuota)
    assert_type(await client.set_quota("", {"STORAGE": 512}), Quota | None)
    assert_type(await client.get_acl("INBOX"), Acl)
    assert_type(await client.set_acl("INBOX", "Fred", "rwipslda", action="add"), None)
    assert_type(await client.delete_acl("INBOX", "Fred"), None)
    assert_type(await client.list_rights("INBOX", "smith"), ListRightsResponse)
    assert_type(await client.my_rights("INBOX"), MyRightsResponse)
    assert_type(await client.get_metadata("INBOX", "/private/comment", depth="infinity"), MetadataResult)
    assert_type(await client.set_metadata("INBOX", {"/private/comment": None}), None)
    # Language and others.
    assert_type(await client.language("de", "fr"), tuple[str, ...])
    assert_type(await client.run(commands.Comparator()), ComparatorResponse)
    assert_type(await client.get_jmap_access(), str)
    # What the clients do themselves.
    assert_type(await client.connect(), None)
    assert_type(await client.reconnect(), None)
    assert_type(await client.close(), None)
    assert_type(await client.run(Noop()), None)
    assert_type(client.session, Session)
    assert_type(client.capabilities, frozenset[str])
    assert_type(client.counters, Counters)
    assert_type(client.take_events(), Sequence[Event])
    assert_type(client.fetch_iter([1, 2], "FLAGS"), AsyncRows)
    assert_type(client.fetch_batches([1, 2], "FLAGS"), AsyncBatches)
    await client.fetch_table([1, 2], "FLAGS", changed_since=5)
    assert_type(client.idle(), AsyncGenerator[Event, None])
    async with client as entered, client.pipeline() as pipeline:
        assert_type(entered, fastimap.AsyncClient)
        assert_type(pipeline, Pipeline)
    async with contextlib.aclosing(client.fetch_iter(1, "FLAGS")) as messages:
        async for message in messages:
            assert_type(message, FetchedMessage)
    task = asyncio.create_task(client.search(unseen))
    assert_type(await task, SearchResult)
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(client.noop()), asyncio.Task[None])
    both = await asyncio.gather(client.fetch(1, "FLAGS"), client.search(unseen))
    assert_type(both, tuple[FetchResult, SearchResult])
    fastimap.AsyncClient("imap.example.org", token=fetch_token)
    # Errors.
    client.fetch(1, "FLAGS")[0]  # error
    await client.fetch(1, 2)  # error
    await client.search("UNSEEN")  # error
    await client.move(1)  # error
    await client.fetch_iter(1, "FLAGS")  # error
    for _ in client.fetch_iter(1, "FLAGS"):  # error
        pass
    with client.pipeline():  # error
        pass
    async with client.selected("INBOX", read_only=True) as mailbox, client.deadline(5):
        assert_type(mailbox, SelectedMailbox)


def piped(pipeline: Pipeline, mechanism: Mechanism) -> None:
    # Any state.
    assert_type(pipeline.capability(), Pending[frozenset[str]])
    assert_type(pipeline.noop(), Pending[None])
    assert_type(pipeline.id({"name": "archiver", "version": None}), Pending[ReadOnlyDict[str, str]])
    # Authentication.
    assert_type(pipeline.login("user", "password"), Pending[None])
    assert_type(pipeline.authenticate(mechanism), Pending[None])
    assert_type(pipeline.unauthenticate(), Pending[None])
    # Mailboxes.
    assert_type(pipeline.enable("CONDSTORE"), Pending[frozenset[str]])
    assert_type(pipeline.compress(), Pending[None])
    assert_type(pipeline.select("INBOX", read_only=True), Pending[SelectedMailbox])
    assert_type(
        pipeline.run(commands.Examine(b"INBOX", qresync=QResync(67890007, 20050715194045000))), Pending[SelectedMailbox]
    )
    assert_type(pipeline.create_mailbox("Archive", special_use="\\Archive"), Pending[str | None])
    assert_type(pipeline.delete_mailbox("Archive"), Pending[None])
    assert_type(pipeline.rename_mailbox("Archive", "Old"), Pending[None])
    assert_type(pipeline.subscribe("Archive"), Pending[None])
    assert_type(pipeline.unsubscribe("Archive"), Pending[None])
    assert_type(pipeline.list_mailboxes("", ["INBOX", "Work/%"], status=["MESSAGES"]), Pending[tuple[MailboxInfo, ...]])
    assert_type(pipeline.run(commands.LSub()), Pending[tuple[MailboxInfo, ...]])
    assert_type(pipeline.run(commands.XList()), Pending[tuple[MailboxInfo, ...]])
    assert_type(pipeline.namespace(), Pending[Namespaces])
    assert_type(pipeline.mailbox_status("INBOX", "MESSAGES"), Pending[MailboxStatus])
    # Into mailboxes.
    assert_type(pipeline.append("INBOX", io.BytesIO(), flags=[Flag.SEEN], size=10), Pending[AppendResult])
    assert_type(pipeline.multi_append("INBOX", [AppendMessage(b"")]), Pending[MultiAppendResult])
    assert_type(pipeline.catenate("INBOX", ["/INBOX/;UID=20", b"text"]), Pending[AppendResult])
    assert_type(pipeline.replace(4, "INBOX", EmailMessage()), Pending[AppendResult])
    # The selected mailbox.
    assert_type(pipeline.close_mailbox(), Pending[None])
    assert_type(pipeline.unselect(), Pending[None])
    assert_type(pipeline.run(commands.Check()), Pending[None])
    assert_type(pipeline.expunge([1, 2]), Pending[ExpungeResult])
    assert_type(pipeline.fetch("1:*", "ENVELOPE", changed_since=12345, vanished=True), Pending[FetchResult])
    assert_type(pipeline.fetch_into(1, "BODY[]", into=io.BytesIO()), Pending[FetchResult])
    assert_type(pipeline.search(unseen, returns=["COUNT"]), Pending[SearchResult])
    assert_type(pipeline.sort(["REVERSE DATE"], unseen), Pending[SortResult])
    assert_type(pipeline.thread("REFERENCES", unseen), Pending[tuple[ThreadNode, ...]])
    assert_type(pipeline.cancel_update(b"B01"), Pending[None])
    assert_type(pipeline.store([1, 2], "\\Seen", action="remove"), Pending[StoreResult])
    assert_type(pipeline.store_gmail_labels(1, ["label"]), Pending[StoreResult])
    assert_type(pipeline.copy(SequenceSet("1:3"), "There"), Pending[CopyResult])
    assert_type(pipeline.move(UIDSet("1:3"), "There"), Pending[CopyResult])
    # Several mailboxes.
    assert_type(
        pipeline.multi_search(MailboxFilter("subtree", ("Work",)), unseen), Pending[tuple[MailboxSearchResult, ...]]
    )
    assert_type(
        pipeline.notify(EventGroup(MailboxFilter("selected"), ("MessageNew", "MessageExpunge"))),
        Pending[tuple[MailboxStatus, ...]],
    )
    assert_type(pipeline.notify_none(), Pending[None])
    # Quota, rights, metadata.
    assert_type(pipeline.get_quota(""), Pending[Quota])
    assert_type(pipeline.get_quota_root(), Pending[MailboxQuota])
    assert_type(pipeline.set_quota("", {"STORAGE": 512}), Pending[Quota | None])
    assert_type(pipeline.get_acl("INBOX"), Pending[Acl])
    assert_type(pipeline.set_acl("INBOX", "Fred", "rwipslda", action="add"), Pending[None])
    assert_type(pipeline.delete_acl("INBOX", "Fred"), Pending[None])
    assert_type(pipeline.list_rights("INBOX", "smith"), Pending[ListRightsResponse])
    assert_type(pipeline.my_rights("INBOX"), Pending[MyRightsResponse])
    assert_type(pipeline.get_metadata("INBOX", "/private/comment", depth="infinity"), Pending[MetadataResult])
    assert_type(pipeline.set_metadata("INBOX", {"/private/comment": None}), Pending[None])
    # Language and others.
    assert_type(pipeline.language("de", "fr"), Pending[tuple[str, ...]])
    assert_type(pipeline.run(commands.Comparator()), Pending[ComparatorResponse])
    assert_type(pipeline.get_jmap_access(), Pending[str])
    # The answers.
    assert_type(pipeline.search(unseen).result(), SearchResult)
    assert_type(pipeline.search(unseen).done, bool)
    for pending in [pipeline.fetch(uid, "FLAGS") for uid in (1, 2)]:
        assert_type(pending.result()[0], FetchedMessage)
    # Errors.
    pipeline.fetch(1, flags=True)  # error
    pipeline.select(1)  # error
    pipeline.search("UNSEEN")  # error
    pipeline.fetch(1, "FLAGS")[0]  # error
    pipeline.fetch_iter(1, "FLAGS")  # error


async def archived(account: fastimap.Account, path: Path) -> None:
    assert_type(archive.pull(account, path), archive.Report)
    assert_type(await archive.aio.pull(account, path, since=date(2024, 1, 31)), archive.Report)
    assert_type(await archive.aio.push(path, account), archive.Report)
    assert_type(await archive.aio.migrate(account, "imaps://ann@imap.example.org"), archive.Report)
    assert_type(await archive.aio.verify(path), archive.Verification)
    await archive.aio.pull(account, path, after=date(2024, 1, 31))  # error
    await archive.aio.verify(path, repair="yes")  # error


async def fetch_token() -> str:
    return "token"
