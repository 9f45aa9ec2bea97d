"""Many messages, large messages: fetch_iter, fetch_into, and APPEND from a file."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import io
import pickle
import socket
import time
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import SAVED, AsyncClient, Client, Limits, SequenceSet, UIDSet, commands, errors
from fastimap._pace import PAUSE
from fastimap.clients import blocking_wire
from fastimap.conversation.plan import FetchPlan
from fastimap.model.message import FetchedMessage
from fastimap.testing import IMAPServer
from fastimap.types import Exists, FetchResult
from tests.client.interfaces import Interface, passes
from tests.client.peers import DONE, asked_for, converse, flags_row
from tests.client.test_commands import fill
from tests.imaplib.scripted import Peer, Server
from tests.servers.dovecot import Dovecot

# fetch_iter.


def test_chunks_and_order(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        return b"".join(map(flags_row, asked_for(command))) + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        wanted = UIDSet([*range(1, 11), *range(21, 26), 99])
        rows = list(client.fetch_iter(wanted, "FLAGS", chunk=4, in_flight=2))
    assert [row.uid for row in rows] == list(wanted)
    assert commands == [
        b"UID FETCH 1:4 (FLAGS)",
        b"UID FETCH 5:8 (FLAGS)",
        b"UID FETCH 9:10,21:22 (FLAGS)",
        b"UID FETCH 23:25,99 (FLAGS)",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("doubled", [{1}, {7}, {20}, {1, 7, 20}, set(range(1, 21))])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_message_that_is_sent_twice_comes_once(
    scripted: Callable[..., Any], doubled: set[int], backwards: bool
) -> None:
    """The first row counts, and the second is news, wherever in the answer they are."""

    def reply(command: bytes) -> bytes:
        rows = []
        for uid in asked_for(command):
            row = b"* %d FETCH (UID %d BODY[] {%d}\r\n%d)\r\n" % (uid, uid, len(str(uid)), uid)
            again = row.replace(b" BODY[]", b" FLAGS () BODY[]") if uid in doubled else b""
            rows.append(row + again)
        return b"".join(reversed(rows) if backwards else rows) + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        wanted = list(range(1, 21))
        assert sorted(row.uid for row in client.fetch_iter(wanted, "BODY.PEEK[]")) == wanted
        rows = client.fetch(wanted, "BODY.PEEK[]")
    assert sorted((row.uid, row.body, row.flags) for row in rows) == [(uid, b"%d" % uid, None) for uid in wanted]


@pytest.mark.slow
def test_no_command_line_is_longer_than_servers_take(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        if command.startswith(b"SELECT "):
            return b"* 6000 EXISTS\r\n* OK [UIDVALIDITY 1] noted\r\n" + DONE
        commands.append(command)
        uids = asked_for(command)
        return b"".join(b"* %d FETCH (UID %d %s {2}\r\n\r\n)\r\n" % (uid, uid, header) for uid in uids) + DONE

    fields = [f"X-{'field' * 10}-{number}" for number in range(30)]
    header = f"BODY[HEADER.FIELDS ({' '.join(fields)})]".encode()
    with scripted(converse(reply, selects=True)) as client:
        client.select("INBOX")
        wanted = UIDSet(range(1, 12_001, 2))  # no two of them make a range
        item = f"BODY.PEEK[HEADER.FIELDS ({' '.join(fields)})]"
        assert [row.uid for row in client.fetch_iter(wanted, item, chunk=6000)] == list(wanted)
    # RFC 7162, section 4: a command line of 8,192 octets, tag and CRLF included; the longest tag here has 10.
    assert max(map(len, commands)) <= 8192 - len("T123abcdef ") - len("\r\n")
    assert len(commands) < 10


@pytest.mark.slow
def test_so_many_commands_are_under_way_and_no_more(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.select()
        waiting: list[bytes] = []
        for uid in range(1, 8):
            expected = range(uid, min(uid + 3, 8))
            waiting += lines_until_silence(peer, len(expected) - len(waiting))
            assert [int(line.split()[3]) for line in waiting] == list(expected)
            peer.send(flags_row(uid) + waiting.pop(0).split()[0] + b" OK done\r\n")
        peer.log_out()

    with scripted(script) as client:
        client.select("INBOX")
        rows = client.fetch_iter(range(1, 8), "FLAGS", chunk=1, in_flight=3)
        assert [row.uid for row in rows] == list(range(1, 8))


def lines_until_silence(peer: Peer, least: int) -> list[bytes]:
    """What the client says: so many lines, however long they take, and more until it has said nothing for a while."""
    patience, octets = peer.sock.gettimeout(), b""
    while octets.count(b"\n") < least:
        more = peer.sock.recv(65536)
        assert more
        octets += more
    peer.sock.settimeout(0.05)
    with contextlib.suppress(TimeoutError):
        while more := peer.sock.recv(65536):
            octets += more
    peer.sock.settimeout(patience)
    return octets.splitlines()


def test_only_what_has_changed(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        # RFC 7162, section 3.1.4.1: only these, and their MODSEQ though nobody named it.
        return (flags_row(3, b" MODSEQ (65402)") if b"3:4" in command else b"") + DONE

    with scripted(converse(reply, b"IMAP4rev1 CONDSTORE")) as client:
        client.select("INBOX")
        (row,) = client.fetch_iter(range(1, 7), "FLAGS", chunk=2, changed_since=12345)
    assert (row.uid, row.mod_sequence) == (3, 65402)
    assert commands == [
        b"UID FETCH %b (FLAGS) (CHANGEDSINCE 12345)" % messages for messages in (b"1:2", b"3:4", b"5:6")
    ]


def test_a_server_that_stops_at_its_limit_is_asked_for_the_rest(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        # RFC 9738, section 3.1: the highest UIDs first, and the lowest of them in the code.
        commands.append(command)
        uids = asked_for(command)[-4:]
        code = b"[MESSAGELIMIT 4 %d] " % uids[0] if len(asked_for(command)) > 4 else b""
        return b"".join(map(flags_row, uids)) + b"<tag> OK " + code + b"done\r\n"

    with scripted(converse(reply, b"IMAP4rev1 MESSAGELIMIT=4")) as client:
        client.select("INBOX")
        rows = list(client.fetch_iter(range(1, 11), "FLAGS"))
    assert sorted(row.uid for row in rows) == list(range(1, 11))
    assert commands == [b"UID FETCH 1:10 (FLAGS)", b"UID FETCH 1:6 (FLAGS)", b"UID FETCH 1:2 (FLAGS)"]


def test_a_fetch_that_the_server_stops_says_where(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        # RFC 9738, section 3.1: the highest UIDs first, and the lowest of them in the code.
        if b"BODY" in command:
            rows = b'* 5 FETCH (UID 5 BODY[] {2}\r\nhi)\r\n* 4 FETCH (UID 4 BODY[] "ho")\r\n'
        else:
            rows = flags_row(5) + flags_row(4)
        code = b"[MESSAGELIMIT 2 4] " if b"1:5" in command else b""
        return rows + b"<tag> OK " + code + b"done\r\n"

    with scripted(converse(reply, b"IMAP4rev1 MESSAGELIMIT=2")) as client:
        client.select("INBOX")
        rows = client.fetch("1:5", "FLAGS")
        assert [row.uid for row in rows] == [5, 4]
        assert rows.limit == 4
        for same in (copy.copy(rows), pickle.loads(pickle.dumps(rows))):
            assert (type(same), same, same.limit) == (FetchResult, rows, 4)
        assert client.fetch("4:5", "FLAGS").limit is None
        assert client.fetch([], "FLAGS").limit is None
        written = io.BytesIO()
        rows = client.fetch_into("1:5", "BODY.PEEK[]", into=lambda *_: written)
        assert (written.getvalue(), [row.uid for row in rows], rows.limit) == (b"hiho", [5, 4], 4)


@pytest.mark.slow
def test_a_result_shows_itself_in_a_line_however_many_messages_it_has() -> None:
    # asyncio.run(client.fetch(...)) makes a repr of what the main task returned.
    def row(number: int) -> FetchedMessage:
        return FetchedMessage(sequence_number=number, uid=number)

    shown = repr(FetchResult(map(row, range(1, 100_001))))
    assert "UID 1" in shown
    assert "100000 messages" in shown
    assert len(shown) < 200
    assert repr(FetchResult([row(7)])).count("UID") == 1
    assert repr(FetchResult()) == "()"


def test_nothing_wanted(scripted: Callable[..., Any]) -> None:
    with scripted(converse(lambda command: DONE)) as client:
        client.select("INBOX")
        sent = client.counters.commands
        assert list(client.fetch_iter(UIDSet(), "FLAGS")) == []
        assert client.counters.commands == sent


def test_rows_come_while_the_rest_is_under_way(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.select()
        tag = peer.expect(b"UID FETCH 1:3 (FLAGS)")
        peer.send(flags_row(1) + flags_row(2)[:10])
        noop = peer.expect(b"NOOP")  # the client has the first row, and went on to this
        peer.send(flags_row(2)[10:] + flags_row(3) + tag + b" OK done\r\n" + noop + b" OK done\r\n")
        peer.log_out()

    with scripted(script) as client:
        client.select("INBOX")
        rows = client.fetch_iter([1, 2, 3], "FLAGS")
        assert next(rows).uid == 1
        client.noop()
        assert [row.uid for row in rows] == [2, 3]


@pytest.mark.slow
def test_memory_is_bounded(scripted: Callable[..., Any]) -> None:
    row = b"* %d FETCH (UID %d BODY[] {100000}\r\n" + b"x" * 100_000 + b")\r\n"

    def reply(command: bytes) -> bytes:
        if b"RFC822.SIZE" in command:
            sizes = (b"* %d FETCH (UID %d RFC822.SIZE 100000)\r\n" % (uid, uid) for uid in asked_for(command))
            return b"".join(sizes) + DONE
        return b"".join(row % (uid, uid) for uid in asked_for(command)) + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        octets = peak = 0
        tracemalloc.start()
        try:
            for message in client.fetch_iter(range(1, 601), "BODY.PEEK[]", chunk=20):
                octets += len(message.body)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert octets == 60_000_000
    assert peak < 30_000_000  # the peer's own 2 MB a command included


def test_nothing_keeps_what_was_answered(scripted: Callable[..., Any]) -> None:
    """It may be the rows of a whole mailbox, and the next command may come much later."""
    row = b"* %d FETCH (UID %d BODY[] {10000}\r\n" + b"x" * 10_000 + b")\r\n"

    def reply(command: bytes) -> bytes:
        return b"".join(row % (uid, uid) for uid in asked_for(command)) + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        for count in (1, 300):
            command = commands.Fetch(range(1, count + 1), "BODY.PEEK[]")
            assert len(client.run(command)) == count
            kept = weakref.ref(command)
            del command
            gc.collect()
            assert kept() is None


@pytest.mark.slow
def test_who_uses_rows_slowly_holds_the_server_back(scripted: Callable[..., Any]) -> None:
    row = b"* %d FETCH (UID %d BODY[] {100000}\r\n" + b"x" * 100_000 + b")\r\n"

    def reply(command: bytes) -> bytes:
        if b"RFC822.SIZE" in command:
            sizes = (b"* %d FETCH (UID %d RFC822.SIZE 100000)\r\n" % (uid, uid) for uid in asked_for(command))
            return b"".join(sizes) + DONE
        return b"".join(row % (uid, uid) for uid in asked_for(command)) + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        rows = client.fetch_iter(range(1, 301), "BODY.PEEK[]", chunk=100)
        assert next(rows).uid == 1
        passes(client, 0.3)
        assert client.counters.octets_in < 2 << 20  # of 30 MB that the server would like to send
        assert [message.uid for message in rows] == list(range(2, 301))


@pytest.mark.slow
def test_a_message_that_the_server_refuses_costs_the_others_nothing(scripted: Callable[..., Any]) -> None:
    commands = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        uids = asked_for(command)
        if 7 in uids:
            return b"<tag> NO [SERVERBUG] message 7 is damaged\r\n"
        return b"".join(map(flags_row, uids)) + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        rows = {row.uid: row for row in client.fetch_iter(range(1, 41), "FLAGS", chunk=20)}
    assert sorted(rows) == list(range(1, 41))
    assert rows[7].flags is None
    (defect,) = rows[7].defects
    assert "message 7 is damaged" in defect.reason
    assert all(row.flags == {"\\Seen"} and not row.defects for uid, row in rows.items() if uid != 7)
    assert len(commands) < 20  # halving, not one by one


def test_rows_before_a_refusal_count(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        uids = asked_for(command)
        good = b"".join(flags_row(uid) for uid in uids if uid != 7)
        return good + (b"<tag> NO some messages could not be fetched\r\n" if 7 in uids else DONE)

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        rows = list(client.fetch_iter(range(1, 11), "FLAGS"))
    assert sorted(row.uid for row in rows) == list(range(1, 11))  # each once
    assert [row.uid for row in rows if row.defects] == [7]


def test_where_all_is_refused_the_refusal_is_raised(scripted: Callable[..., Any]) -> None:
    commands = []

    def reply(command: bytes) -> bytes:
        if not command.startswith(b"UID"):
            return DONE
        commands.append(command)
        return b"<tag> NO [NOPERM] not for you\r\n"

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        with pytest.raises(errors.NoPermission, match="not for you"):
            list(client.fetch_iter(range(1, 2001), "FLAGS"))
        assert client.noop() is None
    assert len(commands) < 100  # not one by one


def test_throttling_is_raised_and_not_halved(scripted: Callable[..., Any]) -> None:
    commands = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        return b"<tag> NO [UNAVAILABLE] try again in 30 seconds\r\n"

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        with pytest.raises(errors.Unavailable) as caught:
            list(client.fetch_iter(range(1, 11), "FLAGS"))
        assert caught.value.delay == 30
    assert len(commands) == 1


def test_a_store_inside_the_loop(server: IMAPServer, client: Any) -> None:
    fill(server, 30)
    client.select("INBOX")
    for message in client.fetch_iter(range(1, 31), "RFC822.SIZE", chunk=5):
        if message.uid % 10 == 0:
            assert [row.uid for row in client.store(message.uid, "\\Flagged").rows] == [message.uid]
    flagged = [message.uid for message in server.messages("INBOX") if "\\Flagged" in message.flags]
    assert flagged == [10, 20, 30]


def test_leaving_early(server: IMAPServer, client: Any) -> None:
    fill(server, 200)
    client.select("INBOX")
    rows = client.fetch_iter(range(1, 201), "FLAGS", "BODY.PEEK[]", chunk=20)
    assert next(rows).uid == 1
    rows.close()
    assert [row.uid for row in client.fetch([3, 150], "FLAGS")] == [3, 150]
    assert client.mailbox_status("INBOX", "MESSAGES").messages == 200
    assert [row for row in client.take_events() if getattr(row, "body", None)] == []


def test_an_exception_in_the_loop(server: IMAPServer, client: Any) -> None:
    fill(server, 50)
    client.select("INBOX")

    def use() -> None:
        for message in client.fetch_iter(range(1, 51), "FLAGS", chunk=10):
            message.uid / (message.uid - 7)

    with pytest.raises(ZeroDivisionError):
        use()
    assert len(client.fetch(range(1, 51), "FLAGS")) == 50


def test_two_streams_at_once(server: IMAPServer, client: Any) -> None:
    fill(server, 60)
    client.select("INBOX")
    first = client.fetch_iter(range(1, 61), "FLAGS", chunk=7)
    second = client.fetch_iter(range(1, 61), "RFC822.SIZE", chunk=11)
    pairs = list(zip(first, second, strict=True))
    assert [one.uid for one, _ in pairs] == [two.uid for _, two in pairs] == list(range(1, 61))
    assert all(two.size and one.flags is not None for one, two in pairs)


def test_messages_that_are_gone_and_star(server: IMAPServer, client: Any) -> None:
    fill(server, 5)
    server.expunge("INBOX", [2, 3])
    client.select("INBOX")
    assert [row.uid for row in client.fetch_iter(range(1, 6), "FLAGS", chunk=2)] == [1, 4, 5]
    assert [row.uid for row in client.fetch_iter(UIDSet("4:*"), "FLAGS")] == [4, 5]
    assert [row.uid for row in client.fetch_iter(SequenceSet("1:2"), "UID", chunk=1)] == [1, 4]


def test_split_missing_and_foreign_rows(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return (
            b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n"
            b"* 77 FETCH (UID 77 FLAGS (\\Seen) RFC822.SIZE 7)\r\n"  # of nobody's command
            b"* 5 EXISTS\r\n"
            b"* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 20)\r\n"
            b"* 1 FETCH (UID 1 RFC822.SIZE 10)\r\n"
            b"* 3 FETCH (UID 3 FLAGS ())\r\n" + DONE
        )

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        rows = {row.uid: row for row in client.fetch_iter([1, 2, 3], "FLAGS", "RFC822.SIZE")}
        events = client.take_events()
    assert sorted(rows) == [1, 2, 3]
    assert (rows[1].flags, rows[1].size, rows[1].defects) == ({"\\Seen"}, 10, ())
    assert (rows[2].flags, rows[2].size, rows[2].defects) == (frozenset(), 20, ())
    assert rows[3].size is None
    assert [defect.item for defect in rows[3].defects] == ["RFC822.SIZE"]
    assert Exists(5) in events
    assert 77 in [getattr(event, "uid", None) for event in events]


def test_news_of_a_message_that_is_missing_is_no_answer(scripted: Callable[..., Any]) -> None:
    """Another client changes the flags of a message whose body the server then leaves out."""

    def reply(command: bytes) -> bytes:
        return b"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n* 1 FETCH (UID 1 BODY[] {2}\r\nHi)\r\n" + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        result = client.fetch([1, 2], "BODY.PEEK[]")
        events = client.take_events()
    assert [row.uid for row in result] == [1]
    assert result.missing == UIDSet([2])
    assert [(event.uid, event.flags) for event in events] == [(2, {"\\Seen"})]


def test_the_connection_is_lost_amid_the_stream(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes | None:
        uids = asked_for(command)
        return b"".join(map(flags_row, uids)) + DONE if uids[0] == 1 else None

    client = scripted(converse(reply))
    client.select("INBOX")
    rows = client.fetch_iter(range(1, 21), "FLAGS", chunk=10, in_flight=1)
    assert [next(rows).uid for _ in range(10)] == list(range(1, 11))
    with pytest.raises(errors.Disconnected):
        next(rows)


# fetch_into.

OCTETS = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 100_000


def test_into_a_file(server: IMAPServer, client: Any) -> None:
    server.append("INBOX", OCTETS)
    client.select("INBOX")
    file = io.BytesIO()
    told: list[tuple[int, int]] = []
    (message,) = client.fetch_into(1, "BODY.PEEK[]", into=file, progress=lambda done, size: told.append((done, size)))
    assert file.getvalue() == OCTETS
    assert message.streamed == {"BODY[]": len(OCTETS)}
    assert message.uid == 1
    assert told == sorted(told)
    assert told[-1] == (len(OCTETS), len(OCTETS))
    assert client.noop() is None


def test_into_what_a_function_returns(server: IMAPServer, client: Any) -> None:
    server.append("INBOX", b"Subject: one\r\n\r\nbody one\r\n")
    server.append("INBOX", b"Subject: two\r\n\r\nbody two\r\n")
    client.select("INBOX")
    files: dict[tuple[int | None, str], io.BytesIO] = {}
    sizes = []

    def into(number: int | None, item: str, size: int) -> io.BytesIO | None:
        sizes.append(size)
        return files.setdefault((number, item), io.BytesIO()) if item == "BODY[TEXT]" else None

    rows = client.fetch_into(SequenceSet("1:2"), "BODY.PEEK[TEXT]", "BODY.PEEK[HEADER]", into=into)
    assert {key: file.getvalue() for key, file in files.items()} == {
        (1, "BODY[TEXT]"): b"body one\r\n",
        (2, "BODY[TEXT]"): b"body two\r\n",
    }
    assert [row.header_octets for row in rows] == [b"Subject: one\r\n\r\n", b"Subject: two\r\n\r\n"]
    assert sorted(sizes) == [10, 10, 16, 16]


@pytest.mark.parametrize("octets", [b'"short"', b'""', b"{5}\r\nshort", b"{0}\r\n"])
def test_a_section_goes_to_its_file_in_whatever_form_it_comes(scripted: Callable[..., Any], octets: bytes) -> None:
    # RFC 9051, section 9: msg-att-static has an nstring there, which may be a quoted string.
    expected = b"short" if b"short" in octets else b""

    def reply(command: bytes) -> bytes:
        return b"* 1 FETCH (UID 1 BODY[1] " + octets + b' BODY[1.MIME] "kept")\r\n' + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        file = io.BytesIO()
        asked = []

        def into(number: int | None, item: str, size: int) -> io.BytesIO | None:
            asked.append((number, item, size))
            return file if item == "BODY[1]" else None

        (message,) = client.fetch_into(1, "BODY.PEEK[1]", "BODY.PEEK[1.MIME]", into=into)
    assert file.getvalue() == expected
    assert message.streamed == {"BODY[1]": len(expected)}
    assert message.section("1.MIME") == b"kept"
    assert sorted(asked) == [(1, "BODY[1.MIME]", 4), (1, "BODY[1]", len(expected))]


def test_a_message_in_quotes_goes_to_its_file(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return b'* 1 FETCH (UID 1 BODY[] "Subject: short")\r\n* 2 FETCH (UID 2 BODY[] NIL)\r\n' + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        file = io.BytesIO()
        told: list[tuple[int, int]] = []
        one, two = client.fetch_into(
            [1, 2], "BODY.PEEK[]", into=lambda *_: file, progress=lambda done, size: told.append((done, size))
        )
    assert file.getvalue() == b"Subject: short"
    assert (one.body, one.streamed) == (None, {"BODY[]": 14})
    assert (two.body, two.streamed) == (None, {})
    assert told == [(14, 14)]


@pytest.mark.parametrize(
    ("row", "why"), [(b"(UID 1 BODY[5] NIL)", "NIL"), (b'(UID 1 BODY[6] "x")', r"BODY\[5\]: asked for, and not sent")]
)
def test_a_file_for_a_section_that_is_not_there(scripted: Callable[..., Any], row: bytes, why: str) -> None:
    """NIL is what a server says of it (RFC 9051, section 9: msg-att-static has an nstring there), as Cyrus does."""

    def reply(command: bytes) -> bytes:
        return b"* 1 FETCH " + row + b"\r\n" + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        with pytest.raises(errors.MessageNotFound, match=f"nothing to write of message 1: .*{why}"):
            client.fetch_into(1, "BODY.PEEK[5]", into=io.BytesIO())
        # What else is not there is not why.
        with pytest.raises(errors.MessageNotFound, match=rf"nothing to write of message 1: [^;]*{why}\Z"):
            client.fetch_into(1, "FLAGS", "BODY.PEEK[5]", into=io.BytesIO())
        asked: list[str] = []
        (message,) = client.fetch_into(1, "BODY.PEEK[5]", into=lambda uid, item, size: asked.append(item))
        assert (dict(message.items).get("BODY[5]"), message.streamed) == (None, {})
        assert "BODY[5]" not in asked


def test_a_message_too_large_for_memory_goes_to_a_file(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return b"* 1 FETCH (UID 1 BODY[] {100000}\r\n" + b"x" * 100_000 + b")\r\n" + DONE

    client = scripted(converse(reply), limits=Limits(literal=50_000))
    client.select("INBOX")
    file = Counting()
    client.fetch_into(1, "BODY.PEEK[]", into=file)
    assert file.octets == 100_000
    with pytest.raises(errors.LiteralTooLarge):
        client.fetch(1, "BODY.PEEK[]")


class Full(io.RawIOBase):
    def write(self, octets: Any) -> int:
        raise OSError(28, "No space left on device")


def raising(*args: Any) -> Any:
    raise LookupError("no idea where to")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"into": Full()}, OSError),
        ({"into": raising}, LookupError),
        ({"into": io.BytesIO(), "progress": raising}, LookupError),
    ],
)
def test_a_file_that_fails(server: IMAPServer, client: Any, arguments: Any, error: type[Exception]) -> None:
    server.append("INBOX", OCTETS)
    client.select("INBOX")
    with pytest.raises(error, match=r"No space left|no idea"):
        client.fetch_into(1, "BODY.PEEK[]", **arguments)
    (message,) = client.fetch(1, "BODY.PEEK[]")  # the connection is in step
    assert message.body == OCTETS


class Counting(io.RawIOBase):
    octets = 0

    def write(self, octets: Any) -> int:
        self.octets += len(octets)
        return len(octets)


@pytest.mark.slow
def test_64_mib_into_a_file_take_no_memory(scripted: Callable[..., Any]) -> None:
    size, piece = 64 << 20, bytes(1 << 20)

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.select()
        tag = peer.expect(b"UID FETCH 1 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % size)
        for _ in range(64):
            peer.send(piece)
        peer.send(b")\r\n" + tag + b" OK done\r\n")
        peer.log_out()

    with scripted(script) as client:
        client.select("INBOX")
        file = Counting()
        tracemalloc.start()
        try:
            client.fetch_into(1, "BODY.PEEK[]", into=file)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert file.octets == size
    assert peak < 4 << 20


# APPEND from a file.


def test_a_file_that_is_shorter_than_announced(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        assert peer.line().endswith(b" APPEND INBOX {1000}\r\n")
        peer.send(b"+ go on\r\n")
        while peer.sock.recv(4096):
            pass

    client = scripted(script)
    with pytest.raises(Exception, match=r"short|end|1000|octets") as caught:
        client.append("INBOX", io.BytesIO(b"x" * 400), size=1000)
    assert isinstance(caught.value, (errors.FastimapError, ValueError, EOFError))
    with pytest.raises(errors.Disconnected, match="closed"):
        client.noop()


def test_a_file_that_grows_is_sent_as_announced(server: IMAPServer, client: Any) -> None:
    file = io.BytesIO(b"Subject: log\r\n\r\nline\r\n")
    assert client.append("INBOX", file, size=16).uid == 1
    assert server.messages("INBOX")[0].octets == b"Subject: log\r\n\r\n"
    assert file.tell() == 16


def test_append_from_a_file_tells_its_progress(server: IMAPServer, client: Any) -> None:
    file = io.BytesIO(OCTETS)
    told: list[tuple[int, int]] = []
    client.append("INBOX", file, progress=lambda done, size: told.append((done, size)))
    assert server.messages("INBOX")[0].octets == OCTETS
    assert len(told) > 2
    assert told == sorted(told)
    assert told[-1] == (told[-1][1], told[-1][1])


def test_append_refused_before_the_literal(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return b"<tag> NO [TRYCREATE] no such mailbox\r\n" if command.startswith(b"APPEND") else DONE

    with scripted(converse(reply)) as client:
        file = io.BytesIO(OCTETS)
        with pytest.raises(errors.MailboxNotFound):
            client.append("missing", file)
        assert file.tell() == 0  # RFC 9051, section 6.3.12: nothing was sent
        assert client.noop() is None


@pytest.mark.slow
def test_a_large_append_from_a_file_takes_no_memory(scripted: Callable[..., Any]) -> None:
    size = 32 << 20

    class Zeros(io.RawIOBase):
        left = size

        def read(self, most: int = -1) -> bytes:
            most = min(most, self.left) if most >= 0 else self.left
            self.left -= most
            return bytes(most)

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 BINARY LITERAL+] ready\r\n")
        tag, *_ = peer.line().split(b" ")
        left = size + 2
        while left:
            left -= len(peer.octets(min(left, 65536)))
        peer.send(tag + b" OK done\r\n")
        peer.log_out()

    with scripted(script) as client:
        tracemalloc.start()
        try:
            client.append("INBOX", Zeros(), size=size, binary=True)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20


def test_a_refusal_amid_a_literal_leaves_the_connection_in_step(dovecot: Dovecot, interface: Interface) -> None:
    # Dovecot has LITERAL+, and says that the mailbox is not there before it has read the message.
    with interface(
        dovecot.host, dovecot.port, tls=False, user=dovecot.new_user(), password=dovecot.password, mechanism="PLAIN"
    ) as client:
        with pytest.raises(errors.MailboxNotFound):
            client.append("Missing", b"x" * 20_000_000)
        assert client.mailbox_status("INBOX", "MESSAGES").messages == 0
        assert client.append("INBOX", b"Subject: x\r\n\r\n" + b"x" * 1_000_000).uid is not None


@pytest.mark.slow
def test_a_refusal_read_amid_a_literal_is_given_once_the_literal_is_written(scripted: Callable[..., Any]) -> None:
    size = 20_000_000  # more than the sockets hold: the client waits, and reads; the last piece is no full one

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")
        tag, *_ = peer.line().split(b" ")
        peer.send(tag + b" NO [TRYCREATE] no such mailbox\r\n")
        time.sleep(0.2)
        left = size + 2
        while left:
            left -= len(peer.octets(min(left, 65536)))
        if line := peer.line():  # LOGOUT; a client on a busy machine may have waited long enough
            peer.send(line.partition(b" ")[0] + b" OK done\r\n")

    with scripted(script) as client, pytest.raises(errors.MailboxNotFound):
        client.append("missing", b"x" * size)


def test_a_command_that_is_refused_unsent_ends_the_stream(client: Any) -> None:
    with pytest.raises(errors.StateError, match="no mailbox is selected"):
        list(client.fetch_iter(1, "FLAGS"))
    client.select("INBOX")
    with pytest.raises(errors.CapabilityMissing, match="PREVIEW"):
        list(client.fetch_iter(1, "PREVIEW"))


def test_all_messages_of_a_server_that_stops_at_its_limit(scripted: Callable[..., Any]) -> None:
    """RFC 9738, section 3.1: the server begins with the largest number, and tells the last that it has taken."""
    commands = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        if command == b"UID SEARCH UID 2:*":
            return b"* SEARCH 4 5\r\n<tag> OK [MESSAGELIMIT 2 4] done\r\n"
        if command == b"UID SEARCH UID 2:3":
            return b"* SEARCH 2 3\r\n" + DONE
        if b"2:5" in command:
            rows = b"".join(b"* %d FETCH (UID %d FLAGS ())\r\n" % (uid, uid) for uid in (4, 5))
            return rows + b"<tag> OK [MESSAGELIMIT 2 4] done\r\n"
        return b"".join(b"* %d FETCH (UID %d FLAGS ())\r\n" % (uid, uid) for uid in (2, 3)) + DONE

    client = scripted(converse(reply, b"IMAP4rev1 MESSAGELIMIT=2"))
    client.select("INBOX")
    assert [message.uid for message in client.fetch_iter("2:*", "FLAGS")] == [4, 5, 2, 3]
    assert commands == [
        b"UID SEARCH UID 2:*",
        b"UID SEARCH UID 2:3",
        b"UID FETCH 2:5 (FLAGS)",
        b"UID FETCH 2:3 (FLAGS)",
    ]


def test_a_search_whose_limit_never_goes_down(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes | None:
        commands.append(command)
        if len(commands) > 5:
            return None
        return b"* SEARCH 5\r\n<tag> OK [MESSAGELIMIT 1 5] done\r\n"

    client = scripted(converse(reply, b"IMAP4rev1 MESSAGELIMIT=1"))
    client.select("INBOX")
    with pytest.raises(errors.ProtocolError, match="stopped at UID 5"):
        list(client.fetch_iter("1:*", "FLAGS"))
    assert commands == [b"UID SEARCH UID 1:*", b"UID SEARCH UID 1:4"]


def test_sizes_of_a_server_that_stops_before_the_first() -> None:
    """Nothing says how large the messages are: a few are asked for, each alone, as where a server gives no sizes."""
    plan = FetchPlan(UIDSet(range(1, 101)), guess=None, room=8000)
    assert plan.next_window() == UIDSet(range(1, 101))
    plan.sizes([], [], whole=False)
    chunks = []
    while (chunk := plan.next_chunk()) is not None:
        chunks.append(chunk.numbers)
    assert chunks
    assert len(chunks) <= 4
    assert chunks == [UIDSet(uid) for uid in range(1, len(chunks) + 1)]


def test_a_search_that_stops_at_the_first_wanted_message(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        if b"SEARCH" in command:
            return b"* SEARCH 5 6\r\n<tag> OK [MESSAGELIMIT 2 5] done\r\n"
        return b"".join(map(flags_row, asked_for(command))) + DONE

    with scripted(converse(reply, b"IMAP4rev1 MESSAGELIMIT=2")) as client:
        client.select("INBOX")
        assert [row.uid for row in client.fetch_iter("5:*", "FLAGS")] == [5, 6]
    assert commands == [b"UID SEARCH UID 5:*", b"UID FETCH 5:6 (FLAGS)"]


def test_a_set_too_long_for_a_command_is_resolved_by_its_first_and_last_number(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        if b"SEARCH" in command:
            return b"* SEARCH 3 100 200003 201000 999009 2000000\r\n" + DONE
        return b"".join(map(flags_row, asked_for(command))) + DONE

    sparse = [range(low, low + 10) for low in range(1, 1_000_000, 1000)]
    client = scripted(converse(reply))
    client.select("INBOX")
    assert [row.uid for row in client.fetch_iter(UIDSet(sparse), "FLAGS")] == [3, 200003, 999009]
    with_star = ",".join(f"{low}:{low + 10}" for low in range(1, 1_000_000, 1000)) + ",*"
    assert [row.uid for row in client.fetch_iter(with_star, "FLAGS")] == [3, 200003, 999009, 2000000]
    assert commands == [
        b"UID SEARCH UID 1:999010",
        b"UID FETCH 3,200003,999009 (FLAGS)",
        b"UID SEARCH UID 1:*",
        b"UID FETCH 3,200003,999009,2000000 (FLAGS)",
    ]


def test_sizes_of_a_server_that_stops_at_its_limit(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        # RFC 9738, section 3.1: the highest UIDs first, and nothing of those below the one in the code.
        commands.append(command)
        uids = asked_for(command)[-4:]
        code = b"[MESSAGELIMIT 4 %d] " % uids[0] if len(asked_for(command)) > 4 else b""
        item = b"RFC822.SIZE 6000000" if b"SIZE" in command else b"BODY[] {1}\r\nx"
        rows = b"".join(b"* %d FETCH (UID %d %b)\r\n" % (uid, uid, item) for uid in reversed(uids))
        return rows + b"<tag> OK " + code + b"done\r\n"

    with scripted(converse(reply, b"IMAP4rev1 MESSAGELIMIT=4")) as client:
        client.select("INBOX")
        rows = list(client.fetch_iter(range(1, 11), "BODY.PEEK[]"))
    assert sorted(row.uid for row in rows) == list(range(1, 11))
    assert commands[0] == b"UID FETCH 1:10 (RFC822.SIZE)"
    assert sorted(command for command in commands if b"BODY" in command) == sorted(
        b"UID FETCH %d (BODY.PEEK[])" % uid for uid in range(1, 11)
    )


def test_sizes_that_came_in_no_order_and_sets_that_are_cut(scripted: Callable[..., Any]) -> None:
    name = b"BODY[HEADER.FIELDS (%b)]" % b" ".join(b"X-%b-%d" % (b"field" * 10, n) for n in range(130))

    def reply(command: bytes) -> bytes:
        if command.startswith(b"SELECT "):
            return b"* 600 EXISTS\r\n* OK [UIDVALIDITY 1] noted\r\n" + DONE
        sizes = b"RFC822.SIZE" in command
        uids = asked_for(command)
        given = uids[-60:] if sizes else uids  # the highest first: RFC 9738, section 3.1
        code = b"[MESSAGELIMIT 60 %d] " % given[0] if len(given) < len(uids) else b""
        rows = b""
        for uid in given:
            size = b"RFC822.SIZE %d" % (3_000_000 if 1_000_180 < uid < 1_000_221 else 10)
            item = size if sizes else b"BODY[] {1}\r\nx %b {0}\r\n" % name
            rows += b"* %d FETCH (UID %d %b)\r\n" % (uid - 1_000_000, uid, item)
        return rows + b"<tag> OK " + code + b"done\r\n"

    wanted = range(1_000_001, 1_000_601, 2)  # no two of them make a range
    with scripted(converse(reply, b"IMAP4rev1 MESSAGELIMIT=60", selects=True)) as client:
        client.select("INBOX")
        rows = client.fetch_iter(wanted, "BODY.PEEK[]", name.decode().replace("BODY", "BODY.PEEK"), in_flight=1)
        assert sorted(row.uid for row in rows) == list(wanted)


def test_messages_whose_size_the_server_does_not_know_go_alone(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command)
        uids = asked_for(command)
        if b"SIZE" in command:
            rows = b"".join(b"* %d FETCH (UID %d RFC822.SIZE %d)\r\n" % (uid, uid, uid // 3 * 10) for uid in uids)
        else:
            rows = b"".join(b"* %d FETCH (UID %d BODY[] {1}\r\nx)\r\n" % (uid, uid) for uid in uids)
        return rows + DONE

    with scripted(converse(reply)) as client:
        client.select("INBOX")
        assert [row.uid for row in client.fetch_iter(range(1, 6), "BODY.PEEK[]")] == [1, 2, 3, 4, 5]
    assert [command.split()[2] for command in commands] == [b"1:5", b"1", b"2", b"3:5"]


def test_a_server_that_stops_at_its_limit_before_anything_has_changed(scripted: Callable[..., Any]) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        # RFC 9738, section 3.1: the highest UIDs first, and the lowest of them in the code.
        commands.append(command)
        uids = asked_for(command.partition(b" (CHANGEDSINCE")[0])
        code = b"[MESSAGELIMIT 4 %d] " % uids[-4] if len(uids) > 4 else b""
        return (flags_row(2, b" MODSEQ (7)") if uids[-1] == 2 else b"") + b"<tag> OK " + code + b"done\r\n"

    with scripted(converse(reply, b"IMAP4rev1 CONDSTORE MESSAGELIMIT=4")) as client:
        client.select("INBOX")
        rows = list(client.fetch_iter(range(1, 11), "FLAGS", changed_since=5))
    assert [row.uid for row in rows] == [2]
    assert [command.split()[2] for command in commands] == [b"1:10", b"1:6", b"1:2"]


@pytest.mark.parametrize("messages", [SequenceSet("1:100"), SequenceSet("2:*"), SequenceSet("*")], ids=str)
def test_sequence_numbers_beyond_the_last_message(
    dovecot: Dovecot, interface: Interface, messages: SequenceSet
) -> None:
    # A server refuses them (RFC 9051, section 9, seq-number); Dovecot ends a connection that goes on.
    written: list[int | None] = []

    def into(number: int | None, item: str, size: int) -> io.BytesIO:
        written.append(number)
        return io.BytesIO()

    with interface(
        dovecot.host, dovecot.port, tls=False, user=dovecot.new_user(), password=dovecot.password, mechanism="PLAIN"
    ) as client:
        client.select("INBOX")
        assert list(client.fetch_iter(messages, "FLAGS")) == []
        assert list(client.fetch_into(messages, "BODY.PEEK[]", into=into)) == []
        client.append("INBOX", b"Subject: x\r\n\r\n")
        client.noop()
        assert [row.sequence_number for row in client.fetch_iter(messages, "FLAGS")] == [1]
        assert [row.sequence_number for row in client.fetch_into(messages, "BODY.PEEK[]", into=into)] == [1]
    assert written == [1]


def test_a_refusal_of_one_message_among_the_saved_ones_costs_one_file(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        if command == b"UID SEARCH $":
            return b"* SEARCH 3 4 5\r\n" + DONE
        uids = asked_for(command)
        given = [uid for uid in uids if uid < 4 or 4 not in uids]
        rows = b"".join(b"* %d FETCH (UID %d BODY[] {1}\r\nx)\r\n" % (uid, uid) for uid in given)
        return rows + (b"<tag> NO it is broken\r\n" if 4 in uids else DONE)

    files: dict[int | None, io.BytesIO] = {}
    with scripted(converse(reply, b"IMAP4rev1 SEARCHRES")) as client:
        client.select("INBOX")
        rows = client.fetch_into(SAVED, "BODY.PEEK[]", into=lambda uid, *_: files.setdefault(uid, io.BytesIO()))
    assert [(row.uid, bool(row.defects)) for row in rows] == [(3, False), (5, False), (4, True)]
    assert {uid: file.getvalue() for uid, file in files.items()} == {3: b"x", 5: b"x"}


class _Pieces:
    """A socket that has all of an answer, and gives 4 KiB of it at a time."""

    def __init__(self, given: Any) -> None:
        self._given = given
        self._rest = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)

    def recv_into(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._given.recv(1 << 20)  # or nothing is there
            self._given.settimeout(10)
            while not self._rest.endswith(b"OK done\r\n"):
                self._rest += self._given.recv(1 << 20)
            self._given.setblocking(False)
        piece, self._rest = self._rest[:4096], self._rest[4096:]
        buffer[: len(piece)] = piece
        return len(piece)


class _Drip(_Pieces):
    """After each piece there is nothing, until it is waited for."""

    _waited = True

    def recv_into(self, buffer: Any) -> int:
        if not self._waited and self._rest:
            raise BlockingIOError
        self._waited = False
        return super().recv_into(buffer)

    def poll(self, milliseconds: int | None) -> list[int]:
        self._waited = True
        return [1]


class _Clock:
    """The module `time`, but that sleeping is noted and takes no time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.mark.parametrize(("messages", "pauses"), [(40, 0), (150, 750_000 / 4096 - 64)])
def test_of_a_long_answer_more_is_waited_for_than_the_next_piece(
    implementation: str,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    messages: int,
    pauses: float,
) -> None:
    body = b"x" * 5000

    def reply(command: bytes) -> bytes:
        rows = (b"* %d FETCH (UID %d BODY[] {5000}\r\n%b)\r\n" % (uid, uid, body) for uid in asked_for(command))
        return b"".join(rows) + DONE

    uids = range(1, messages + 1)
    clock = _Clock()
    with Client("127.0.0.1", serve(converse(reply)).port, tls=False, timeout=10) as client:
        client.select("INBOX")
        client._socket = client._poll = _Drip(client._socket)
        monkeypatch.setattr(blocking_wire, "time", clock)
        assert [row.body for row in client.fetch(uids, "BODY.PEEK[]")] == [body] * messages
        assert [row.body for row in client.fetch_iter(uids[:1], "BODY.PEEK[]")] == [body]  # a short one again
    assert clock.slept == pytest.approx([PAUSE] * len(clock.slept))
    assert len(clock.slept) == pytest.approx(pauses, abs=3)


class _Little(socket.socket):
    """A socket that gives 4 KiB at a time, and after a pause what it is told to.

    Of the answer to come it has all before it gives some, so that no piece is less because the server is slow; but for
    the last octet, for which the loop finds something to read.
    """

    after_pause = 4096
    to_come = False
    _next = 4096
    _held = b""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if self.to_come:
            self.to_come = False
            self._hold()
        size, self._next = min(len(buffer), self._next), 4096
        if not self._held:
            return super().recv_into(buffer, size, flags)
        piece, self._held = self._held[:size], self._held[size:]
        buffer[: len(piece)] = piece
        return len(piece)

    def _hold(self) -> None:
        self.settimeout(30)
        ended = False
        while not ended:
            there = self.recv(1 << 20, socket.MSG_PEEK)
            assert there
            ended = (self._held[-8:] + there).endswith(b"OK done\r\n")
            if taken := len(there) - ended:
                self._held += self.recv(taken)
        self.setblocking(False)

    def paused(self) -> None:
        self._next = self.after_pause


class _Slow(_Little):
    """After each piece nothing is there, for once."""

    _given = False

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        self._given = not self._given
        if not self._given and self._held:
            raise BlockingIOError
        return super().recv_into(buffer, nbytes, flags)


class _Transport:
    """A transport that counts how often it is to pause."""

    def __init__(self, given: Any, connection: _Little) -> None:
        self._given = given
        self._connection = connection
        self.pauses = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)

    def pause_reading(self) -> None:
        self.pauses += 1
        self._connection.paused()
        self._given.pause_reading()


@pytest.mark.parametrize(
    ("messages", "after_pause", "pauses"),
    [
        pytest.param(40, 65536, range(1), id="a short answer"),
        # 256 KiB at first; then 4 KiB that are waited after, and 16 KiB to 64 KiB, as there is room.
        pytest.param(150, 65536, range(494 // 68, 494 // 20), id="more has come"),
        pytest.param(150, 4096, range(1, 2), id="no more has come"),
    ],
)
def test_asyncio_waits_for_more_than_the_next_piece(
    implementation: str, serve: Callable[..., Server], messages: int, after_pause: int, pauses: range
) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:  # it reads by recv_into()
        assert runner.run(_fetched(serve, _Slow(), messages, after_pause))[0] in pauses


def test_asyncio_looks_at_once_at_all_that_has_come(implementation: str, serve: Callable[..., Server]) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        pauses, taken = runner.run(_fetched(serve, _Little(), 150, 4096))
    assert pauses == 0
    assert 750_000 < sum(taken) < 770_000
    # 4 KiB each while the answer may be a short one, then as much as there is room for.
    assert len(taken) < 65536 // 4096 + 770_000 // 65536 + 5


class _Cut(_Little):
    """After so many octets the connection is reset, which a socket says once; then it is at its end."""

    _told = False

    def __init__(self, octets: int) -> None:
        super().__init__()
        self._left = octets

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if self._left > 0:
            size = super().recv_into(buffer, nbytes, flags)
            self._left -= size if self._held else 0
            return size
        if self._told:
            return 0
        self._told = True
        raise ConnectionResetError("reset by the server")


@pytest.mark.parametrize("octets", [190_000, 200_000, 210_000])
def test_why_a_connection_ended_is_told_though_more_had_come(
    implementation: str, serve: Callable[..., Server], octets: int
) -> None:
    selecting = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
    with selecting as runner, pytest.raises(errors.Disconnected, match="reset by the server"):
        runner.run(_fetched(serve, _Cut(octets), 150, 4096))
    connection = _Cut(octets)

    def connected(host: str, port: int) -> _Cut:
        connection.connect((host, port))
        return connection

    port = serve(converse(lambda command: b"".join(map(_large_row, asked_for(command))) + DONE)).port
    with Client("127.0.0.1", port, tls=False, socket=connected) as client:
        client.select("INBOX")
        connection.to_come = True
        with pytest.raises(errors.Disconnected, match="reset by the server"):
            client.fetch(range(1, 151), "BODY.PEEK[]")


def _large_row(uid: int) -> bytes:
    return b"* %d FETCH (UID %d BODY[] {5000}\r\n%b)\r\n" % (uid, uid, b"x" * 5000)


async def _fetched(
    serve: Callable[..., Server], connection: _Little, messages: int, after_pause: int
) -> tuple[int, list[int]]:
    """Fetch messages of 5000 octets through `connection`.

    Return how often reading was paused, and what the protocol was given at a time.
    """
    connection.after_pause = after_pause
    taken: list[int] = []

    def reply(command: bytes) -> bytes:
        return b"".join(map(_large_row, asked_for(command))) + DONE

    def connected(host: str, port: int) -> _Little:
        connection.connect((host, port))
        return connection

    port = serve(converse(reply)).port
    async with AsyncClient("127.0.0.1", port, tls=False, socket=connected, timeout=10) as client:
        await client.select("INBOX")
        assert client._link is not None
        client._link.transport = transport = _Transport(client._link.transport, connection)
        take = client._protocol.buffer_updated

        def counted(size: int) -> None:
            taken.append(size)
            take(size)

        client._protocol.buffer_updated = counted  # type: ignore[assignment, method-assign]
        connection.to_come = True
        rows = await client.fetch(range(1, messages + 1), "BODY.PEEK[]")
        assert [row.body for row in rows] == [b"x" * 5000] * messages
        return transport.pauses, taken


def test_all_that_a_slow_link_has_brought_is_looked_at_once(
    implementation: str, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"x" * 5000

    def reply(command: bytes) -> bytes:
        return (
            b"".join(b"* %d FETCH (UID %d BODY[] {5000}\r\n%b)\r\n" % (uid, uid, body) for uid in range(1, 101)) + DONE
        )

    taken: list[int] = []
    with Client("127.0.0.1", serve(converse(reply)).port, tls=False, timeout=10) as client:
        client.select("INBOX")
        client._socket = _Pieces(client._socket)
        take = client._protocol.buffer_updated

        def counted(size: int) -> None:
            taken.append(size)
            take(size)

        monkeypatch.setattr(client._protocol, "buffer_updated", counted)
        assert [row.body for row in client.fetch(range(1, 101), "BODY.PEEK[]")] == [body] * 100
    assert 500_000 < sum(taken) < 520_000
    assert len(taken) < 12  # of 64 KiB, and not of 4
