"""Somebody pulls a whole mailbox."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import UIDSet, errors
from tests.client.peers import DONE, asked_for, converse, flags_row

MIB = 1024 * 1024


class Mailbox:
    """Messages of given sizes, by UID, behind a scripted server that notes its commands."""

    def __init__(self, sizes: dict[int, int], exists: int | None = None) -> None:
        self.sizes = sizes
        self.exists = len(sizes) if exists is None else exists
        self.commands: list[bytes] = []
        self.refused: set[int] = set()
        self.refusal = b"NO [UNAVAILABLE] not now"
        self.unread = 0

    def reply(self, command: bytes) -> bytes:
        self.commands.append(command)
        if command.startswith(b"EXAMINE"):
            return b"* %d EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n" % self.exists + DONE
        if command.startswith(b"UID SEARCH"):
            return b"* SEARCH " + b" ".join(b"%d" % uid for uid in self.sizes) + b"\r\n" + DONE
        if not command.startswith(b"UID FETCH"):
            return DONE
        uids = [uid for uid in asked_for(command) if uid in self.sizes]
        if b"(RFC822.SIZE)" in command:
            return b"".join(b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (u, u, self.sizes[u]) for u in uids) + DONE
        if self.refused & {*uids}:
            return b"<tag> " + self.refusal + b"\r\n"
        if b"FLAGS" in command:
            return b"".join(map(flags_row, uids)) + DONE
        return (
            b"".join(
                b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (uid, uid, self.sizes[uid], b"x" * self.sizes[uid])
                for uid in uids
            )
            + DONE
        )

    @property
    def asked(self) -> list[list[int]]:
        """The messages whose bodies or flags each command asked for."""
        return [
            asked_for(command)
            for command in self.commands
            if command.startswith(b"UID FETCH") and b"RFC822.SIZE" not in command
        ]


Open = Callable[[Mailbox], Any]


@pytest.fixture
def opened(scripted: Callable[..., Any]) -> Open:
    def start(mailbox: Mailbox) -> Any:
        client = scripted(converse(mailbox.reply))
        client.select("INBOX", read_only=True)
        return client

    return start


@pytest.mark.parametrize("messages", ["1:*", "1:4000000000", range(1, 10**6)], ids=str)
def test_a_mailbox_of_few_messages_by_an_open_or_sparse_set(opened: Open, messages: Any) -> None:
    mailbox = Mailbox(dict.fromkeys([3, 70, 900, 4_000, 50_000, 999_999], 10))
    client = opened(mailbox)
    rows = client.fetch_iter(messages, "BODY.PEEK[]")
    assert [row.uid for row in rows] == list(mailbox.sizes)
    assert len(mailbox.commands) <= 6  # EXAMINE, SEARCH, sizes, and the messages
    assert not rows.missing


def test_an_empty_mailbox(opened: Open) -> None:
    mailbox = Mailbox({})
    assert list(opened(mailbox).fetch_iter("1:*", "BODY.PEEK[]")) == []


@pytest.mark.slow
def test_no_more_than_sixteen_mebibytes_are_under_way(opened: Open) -> None:
    sizes = dict.fromkeys(range(1, 101), MIB // 2)
    mailbox = Mailbox(sizes)
    client = opened(mailbox)
    for number, _ in enumerate(client.fetch_iter("1:*", "BODY.PEEK[]"), 1):
        if number == 5:
            before = client.counters.octets_in
            client.capability()  # waits for all that is under way
            assert client.counters.octets_in - before <= 16.5 * MIB
        asked = sum(map(len, mailbox.asked))
        assert (asked - number) * MIB // 2 <= 16.5 * MIB
    assert number == 100


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [7, 1000])
def test_a_number_of_messages_a_command_is_no_way_around_that(opened: Open, chunk: int) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 101), MIB // 2))
    client = opened(mailbox)
    for number, _ in enumerate(client.fetch_iter("1:*", "BODY.PEEK[]", chunk=chunk, in_flight=50), 1):
        asked = sum(map(len, mailbox.asked))
        assert (asked - number) * MIB // 2 <= 16.5 * MIB
        assert max(map(len, mailbox.asked)) <= chunk
    assert number == 100


def test_leaving_the_loop_drains_no_more_than_that(opened: Open) -> None:
    client = opened(Mailbox(dict.fromkeys(range(1, 101), MIB // 2)))
    for _ in client.fetch_iter("1:*", "BODY.PEEK[]"):
        break
    client.noop()
    assert client.counters.octets_in <= 17 * MIB


def test_a_message_that_is_larger_goes_alone(opened: Open) -> None:
    mailbox = Mailbox({1: 100, 2: 100, 3: 20 * MIB, 4: 100, 5: 100})
    rows = [(row.uid, len(row.body)) for row in opened(mailbox).fetch_iter("1:*", "BODY.PEEK[]")]
    assert sorted(rows) == sorted(mailbox.sizes.items())
    assert [3] in mailbox.asked


@pytest.mark.slow
def test_chunks_grow(opened: Open) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 5001), 2000))
    assert sum(1 for _ in opened(mailbox).fetch_iter("1:*", "BODY.PEEK[]")) == 5000
    counts = [len(uids) for uids in mailbox.asked]
    assert counts[0] <= 32
    assert max(counts) >= 8 * counts[0]


@pytest.mark.slow
@pytest.mark.parametrize("messages", ["1:*", range(1, 41), "1:4000000000", [*range(40, 0, -1)]], ids=str)
@pytest.mark.parametrize("refusal", [b"NO [UNAVAILABLE] not now", b"NO message is damaged", b"BAD what?"])
def test_a_refusal_costs_one_message(opened: Open, messages: Any, refusal: bytes) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 41), 10))
    mailbox.refused = {7}
    mailbox.refusal = refusal
    rows = {row.uid: row for row in opened(mailbox).fetch_iter(messages, "BODY.PEEK[]")}
    assert sorted(rows) == list(range(1, 41))
    assert [uid for uid, row in rows.items() if row.body is None] == [7]
    assert refusal.partition(b" ")[2].decode() in rows[7].defects[0].reason


def test_a_server_that_refuses_for_now_is_not_asked_for_each_message(opened: Open) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 1001), 10))
    mailbox.refused = set(range(500, 1001))
    client = opened(mailbox)
    with pytest.raises(errors.Unavailable):
        list(client.fetch_iter("1:*", "FLAGS"))
    # Of the 501 messages that it refuses, no more are asked for alone than show that it is not about one of them:
    # eight, and what else is under way when the eighth refusal comes: sixteen chunks at most.
    alone = [asked for asked in mailbox.asked if len(asked) == 1 and asked[0] in mailbox.refused]
    assert len(alone) <= 8 + 16


@pytest.mark.slow
@pytest.mark.parametrize("messages", ["1:*", range(1, 41), [*range(40, 0, -1)]], ids=str)
@pytest.mark.parametrize("refusal", [b"NO [UNAVAILABLE] not now", b"NO message is damaged", b"BAD what?"])
def test_a_refusal_costs_one_file(opened: Open, messages: Any, refusal: bytes) -> None:
    mailbox = Mailbox(dict.fromkeys([uid for uid in range(1, 41) if uid != 30], 10), exists=39)
    mailbox.refused = {7}
    mailbox.refusal = refusal
    files: dict[int | None, io.BytesIO] = {}

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        assert uid not in files, "a message that was written is written again"
        files[uid] = io.BytesIO()
        return files[uid]

    rows = opened(mailbox).fetch_into(messages, "BODY.PEEK[]", into=into)
    expected = {*range(1, 41)} - {7, 30}
    assert {uid: file.getvalue() for uid, file in files.items()} == dict.fromkeys(expected, b"x" * 10)
    assert sorted(row.uid for row in rows) == sorted(expected | {7})
    (row,) = (row for row in rows if row.uid == 7)
    assert refusal.partition(b" ")[2].decode() in row.defects[0].reason
    assert not row.streamed
    assert rows.missing == (UIDSet() if messages == "1:*" else UIDSet([30]))


def test_a_server_that_refuses_all_files(opened: Open) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 1001), 10))
    mailbox.refused = set(range(1, 1001))
    client = opened(mailbox)
    with pytest.raises(errors.Unavailable):
        client.fetch_into("1:*", "BODY.PEEK[]", into=lambda uid, item, size: io.BytesIO())
    # What it takes to come down from 1,000 messages to one, eight times, each time from where the last one stood.
    assert len(mailbox.asked) <= 10 + 8 * 4


def test_messages_that_are_gone_are_reported(opened: Open) -> None:
    mailbox = Mailbox(dict.fromkeys([1, 2, 4, 5], 10), exists=5)
    client = opened(mailbox)
    rows = client.fetch_iter(range(1, 6), "BODY.PEEK[]")
    assert [row.uid for row in rows] == [1, 2, 4, 5]
    assert rows.missing == UIDSet([3])


def test_what_is_owed(opened: Open) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 101), 1000))
    client = opened(mailbox)
    rows = client.fetch_iter(range(1, 101), "BODY.PEEK[]")
    seen = [next(rows).uid for _ in range(10)]
    # What has arrived with them may be counted as delivered: it is the list that the loop is in.
    assert not rows.owed & UIDSet(seen)
    assert not rows.owed - UIDSet(range(11, 101))


def test_lists_of_messages(opened: Open) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 1001), 1000))
    batches = list(opened(mailbox).fetch_batches("1:*", "FLAGS"))
    assert all(isinstance(batch, list) and batch for batch in batches)
    assert [row.uid for batch in batches for row in batch] == list(range(1, 1001))
    assert len(batches) < 500


@pytest.mark.slow
def test_small_rows_are_asked_for_without_a_round_trip_a_chunk(opened: Open) -> None:
    mailbox = Mailbox(dict.fromkeys(range(1, 20_001), 10))
    client = opened(mailbox)
    trips = client.counters.round_trips
    assert sum(1 for _ in client.fetch_iter(range(1, 20_001), "UID", "FLAGS")) == 20_000
    assert re.fullmatch(rb"UID FETCH 1:\d+ \(FLAGS\)", mailbox.commands[1])
    assert client.counters.round_trips - trips <= 3


@pytest.mark.slow
def test_other_commands_while_large_messages_go_alone(opened: Open) -> None:
    client = opened(Mailbox(dict.fromkeys(range(1, 4), 17 * MIB)))
    uids = []
    for row in client.fetch_iter("1:*", "BODY.PEEK[]"):
        uids.append(row.uid)
        client.capability()
    assert uids == [1, 2, 3]
