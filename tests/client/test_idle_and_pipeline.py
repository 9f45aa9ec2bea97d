"""IDLE, polling, and many commands at once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import Client, errors
from fastimap.commands import EventGroup, MailboxFilter
from fastimap.testing import IMAPServer
from fastimap.types import Exists, ExpungeResponse, MailboxStatus, Recent
from tests.client.peers import DONE, converse, flags_row
from tests.client.test_commands import MESSAGE, fill
from tests.imaplib.scripted import Peer, Server


def test_idle_tells_what_is_new(server: IMAPServer, client: Any) -> None:
    fill(server, 2)
    client.select("INBOX")
    events = client.idle(timeout=10)
    server.append("INBOX", MESSAGE)
    assert next(event for event in events if isinstance(event, Exists)) == Exists(3)
    server.expunge("INBOX", [1])
    assert next(event for event in events if isinstance(event, ExpungeResponse)) == ExpungeResponse(1)
    events.close()
    assert client.noop() is None


def test_events_that_come_while_one_is_looked_at(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        tag = peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 1 EXISTS\r\n")
        assert peer.line() == b"DONE\r\n"
        peer.send(tag + b" OK IDLE terminated\r\n")
        peer.answer(b"NOOP", b"* 2 EXISTS")
        peer.log_out()

    with scripted(script) as client:
        events = client.idle()
        assert next(events) == Exists(1)
        client.noop()
        assert next(events) == Exists(2)  # without another word from the server
        events.close()


@pytest.mark.slow
def test_idle_ends_by_itself(client: Any) -> None:
    client.select("INBOX")
    assert [event for event in client.idle(timeout=0.2) if not isinstance(event, Recent)] == []
    assert client.noop() is None


def test_other_commands_in_between(server: IMAPServer, client: Any) -> None:
    fill(server, 1)
    client.select("INBOX")
    seen = []
    server.append("INBOX", MESSAGE)
    for event in client.idle(timeout=10):
        if not isinstance(event, Exists):
            continue
        (row,) = client.fetch(event.count, "RFC822.SIZE")
        seen.append((row.uid, row.size))
        if len(seen) == 3:
            break
        server.append("INBOX", MESSAGE)
    assert seen == [(uid, len(MESSAGE)) for uid in (2, 3, 4)]
    assert client.noop() is None


def test_what_came_before_idle_is_told_too(server: IMAPServer, client: Any) -> None:
    client.select("INBOX")
    server.append("INBOX", MESSAGE)
    client.noop()
    assert Exists(1) in list(client.idle(timeout=0.1))


@pytest.mark.slow
def test_renewal(scripted: Callable[..., Any]) -> None:
    lines: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        number = 0
        while (line := peer.line()).endswith(b" IDLE\r\n"):
            number += 1
            peer.send(b"+ idling\r\n* %d EXISTS\r\n" % number)
            lines.append(peer.line())
            peer.send(line.split()[0] + b" OK IDLE terminated\r\n")
        assert line.endswith(b" NOOP\r\n")
        peer.send(line.split()[0] + b" OK done\r\n")
        peer.log_out()

    with scripted(script) as client:
        events = client.idle(renew=0.1)
        assert [next(events) for _ in range(3)] == [Exists(1), Exists(2), Exists(3)]
        events.close()
        client.noop()  # after the end of IDLE
    assert len(lines) >= 3
    assert set(lines) == {b"DONE\r\n"}  # RFC 2177, section 3


def test_polling_where_there_is_no_idle(scripted: Callable[..., Any]) -> None:
    count = 0

    def reply(command: bytes) -> bytes:
        nonlocal count
        assert command == b"NOOP"
        count += 1
        return b"* %d EXISTS\r\n" % count + DONE

    with scripted(converse(reply, b"IMAP4rev1")) as client:
        events = client.idle(poll=0.05)
        assert [next(events) for _ in range(3)] == [Exists(1), Exists(2), Exists(3)]
        events.close()
        assert client.noop() is None


def test_polling_where_idle_is_refused(scripted: Callable[..., Any]) -> None:
    def reply(command: bytes) -> bytes:
        return b"<tag> NO not today\r\n" if command == b"IDLE" else b"* 7 EXISTS\r\n" + DONE

    with scripted(converse(reply)) as client:
        events = client.idle(poll=0.05)
        assert next(events) == Exists(7)
        events.close()


def test_a_bye_amid_idle(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        peer.line()
        peer.send(b"+ idling\r\n* 3 EXISTS\r\n* BYE idle for too long\r\n")

    client = scripted(script)
    events = client.idle()
    assert next(events) == Exists(3)
    with pytest.raises(errors.Disconnected, match="idle for too long"):
        list(events)


# NOTIFY.


def test_notify_tells_of_other_mailboxes(scripted: Callable[..., Any]) -> None:
    # The conversation of RFC 5465, section 5.3, without its message numbers; IDLE is its frequent companion.
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 NOTIFY IDLE] ready\r\n")
        peer.answer(
            b"NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge)) "
            b"(subtree Lists (MessageNew MessageExpunge))",
            b"* STATUS Lists/Lemonade (UIDVALIDITY 4 UIDNEXT 9999 MESSAGES 500)",
        )
        tag = peer.expect(b"IDLE")
        peer.send(
            b"+ idling\r\n* STATUS Lists/Lemonade (UIDNEXT 10002 MESSAGES 503)\r\n"
            b"* 127 EXISTS\r\n* 127 FETCH (UID 127001 FLAGS (\\Flagged))\r\n"
        )
        assert peer.line() == b"DONE\r\n"
        peer.send(tag + b" OK done\r\n")
        peer.answer(b"NOTIFY NONE")
        peer.log_out()

    with scripted(script) as client:
        (status,) = client.notify(
            EventGroup(MailboxFilter("selected"), ("MessageNew", "MessageExpunge"), ("UID", "FLAGS")),
            EventGroup(MailboxFilter("subtree", ("Lists",)), ("MessageNew", "MessageExpunge")),
            status=True,
        )
        assert (status.name, status.uid_validity, status.uid_next, status.messages) == (
            "Lists/Lemonade",
            4,
            9999,
            500,
        )
        events = client.idle()
        other, exists, row = (next(events) for _ in range(3))
        events.close()
        assert isinstance(other, MailboxStatus)
        assert (other.name, other.uid_next, other.messages) == ("Lists/Lemonade", 10002, 503)
        assert exists == Exists(127)
        assert (row.sequence_number, row.uid, row.flags) == (127, 127001, {"\\Flagged"})
        client.notify_none()


# Pipelines.


def test_answers_that_come_in_another_order(scripted: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        peer.select()
        lines = [peer.line().split() for _ in range(50)]  # all are sent before one is answered
        for tag, _, _, uid, *_ in reversed(lines):
            peer.send(flags_row(int(uid)) + tag + b" OK done\r\n")
        peer.log_out()

    with scripted(script) as client:
        client.select("INBOX")
        with client.pipeline() as pipeline:
            pending = [pipeline.fetch(uid, "FLAGS") for uid in range(1, 51)]
        assert [[row.uid for row in p.result()] for p in pending] == [[uid] for uid in range(1, 51)]


def test_other_calls_inside_the_block(server: IMAPServer, client: Any) -> None:
    fill(server, 5)
    client.select("INBOX")
    with client.pipeline() as pipeline:
        first = pipeline.fetch(1, "FLAGS")
        assert [row.uid for row in client.fetch(2, "FLAGS")] == [2]
        assert first.result()[0].uid == 1  # sent before it, and answered
        second = pipeline.fetch(3, "FLAGS")
        assert [row.uid for row in client.fetch_iter([4, 5], "FLAGS")] == [4, 5]
    assert second.result()[0].uid == 3


@pytest.mark.slow
def test_500_fetches(server: IMAPServer, client: Any) -> None:
    fill(server, 500)
    client.select("INBOX")
    before = client.counters.round_trips
    with client.pipeline() as pipeline:
        pending = [pipeline.fetch(uid, "FLAGS", "BODY.PEEK[]") for uid in range(1, 501)]
    assert [p.result()[0].uid for p in pending] == list(range(1, 501))
    assert [p.result()[0].body for p in pending[:3]] == [b"Subject: %d\r\n\r\nbody\r\n" % n for n in (1, 2, 3)]
    assert client.counters.round_trips - before < 100


def test_errors_are_each_commands_own(server: IMAPServer, client: Any) -> None:
    fill(server, 3)
    client.select("INBOX")
    with client.pipeline() as pipeline:
        good = pipeline.fetch(1, "FLAGS")
        missing = pipeline.mailbox_status("missing", "MESSAGES")
        lacking = pipeline.get_quota("")
        stored = pipeline.store(2, "\\Seen")
        again = pipeline.fetch(2, "FLAGS")
    assert good.result()[0].uid == 1
    with pytest.raises(errors.CommandError, match="STATUS"):
        missing.result()
    with pytest.raises(errors.CapabilityMissing):
        lacking.result()
    assert stored.result().rows[0].flags >= {"\\Seen"}
    assert again.result()[0].flags >= {"\\Seen"}  # what must not overlap is held back: RFC 9051, section 5.5


def test_statuses_of_several_mailboxes_go_together(scripted: Callable[..., Any]) -> None:
    """Each answer names its mailbox; RFC 9051, section 5.5, has no ambiguity there. Nor has LIST beside them."""

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        asked = [peer.line().split() for _ in range(4)]  # all are there before the first is answered
        assert [words[1:3] for words in asked] == [
            [b"STATUS", b"one"],
            [b"STATUS", b"two"],
            [b"STATUS", b"three"],
            [b"LIST", b'""'],
        ]
        peer.send(b'* LIST () "/" one\r\n%b OK done\r\n' % asked[3][0])
        for number in (2, 1):
            peer.send(b"* STATUS %b (MESSAGES %d)\r\n" % (asked[number][2], number))
        for number in (2, 1):
            peer.send(b"%b OK done\r\n" % asked[number][0])
        peer.send(b"%b NO there is no such mailbox\r\n" % asked[0][0])
        tag = peer.line().split()[0]
        peer.send(b"* BYE see you\r\n%b OK done\r\n" % tag)

    client = scripted(script)
    with client.pipeline() as pipeline:
        one, two, three = (pipeline.mailbox_status(name, "MESSAGES") for name in ("one", "two", "three"))
        listed = pipeline.list_mailboxes()
    assert [info.name for info in listed.result()] == ["one"]
    assert (two.result().messages, three.result().messages) == (1, 2)
    with pytest.raises(errors.CommandError):
        one.result()
    client.close()


def test_a_wrong_argument_raises_at_once(server: IMAPServer, client: Any) -> None:
    fill(server, 1)
    client.select("INBOX")

    def use() -> None:
        with client.pipeline() as pipeline:
            pipeline.noop()
            pipeline.fetch(1)

    with pytest.raises(ValueError, match="data items"):
        use()
    assert len(client.fetch(1, "FLAGS")) == 1


def test_a_pipeline_that_has_ended_takes_nothing(server: IMAPServer, client: Any) -> None:
    with client.pipeline() as pipeline:
        pipeline.noop()
    with pytest.raises(errors.StateError, match="nobody would send NOOP"):
        pipeline.noop()
    assert len(pipeline.pending) == 1


def test_an_exception_inside_the_block(server: IMAPServer, client: Any) -> None:
    fill(server, 20)
    client.select("INBOX")

    def use() -> None:
        with client.pipeline() as pipeline:
            for uid in range(1, 21):
                pipeline.fetch(uid, "FLAGS")
            raise LookupError("of the caller's")

    with pytest.raises(LookupError):
        use()
    assert len(client.fetch(range(1, 21), "FLAGS")) == 20


def test_the_connection_is_lost_amid_a_pipeline(scripted: Callable[..., Any]) -> None:
    commands = []

    def reply(command: bytes) -> bytes | None:
        commands.append(command)
        return None if len(commands) > 2 else flags_row(len(commands)) + DONE

    client = scripted(converse(reply))
    client.select("INBOX")
    with client.pipeline() as pipeline:
        pending = [pipeline.fetch(uid, "FLAGS") for uid in range(1, 6)]
    assert [p.result()[0].uid for p in pending[:2]] == [1, 2]
    for p in pending[2:]:
        with pytest.raises(errors.Disconnected):
            p.result()


def test_an_answer_that_is_asked_for_too_early(client: Any) -> None:
    with client.pipeline() as pipeline:
        pending = pipeline.noop()
        if isinstance(client, Client):
            assert pending.result() is None
        else:
            with pytest.raises(errors.StateError, match="NOOP has not been answered yet"):
                pending.result()
    assert pending.result() is None


def test_an_error_that_nobody_asks_for_is_logged(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    with client.pipeline() as pipeline:
        pipeline.mailbox_status("missing", "MESSAGES")
        asked = pipeline.mailbox_status("missing too", "MESSAGES")
    with pytest.raises(errors.CommandError):
        asked.result()
    del pipeline, asked
    gc.collect()
    (record,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "STATUS: the server answered NO" in record.getMessage()


@pytest.mark.parametrize("asks", [False, True])
def test_the_end_of_a_connection_is_logged_once_unless_it_is_met(
    scripted: Callable[..., Any], caplog: pytest.LogCaptureFixture, asks: bool
) -> None:
    client = scripted(converse(lambda command: None))
    client.connect()
    with client.pipeline() as pipeline:
        pending = [pipeline.mailbox_status(name, "MESSAGES") for name in ("a", "b", "c", "d")]
    if asks:
        with pytest.raises(errors.Disconnected):
            pending[1].result()
    del pipeline, pending
    gc.collect()
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["server closed the connection" in text for text in told] == ([] if asks else [True])


def test_pending_results_tell_their_state(client: Any) -> None:
    with client.pipeline() as pipeline:
        pending = pipeline.noop()
        missing = pipeline.mailbox_status("missing", "MESSAGES")
        assert repr(pending) == "<Pending NOOP: in flight>"
    assert repr(pending) == "<Pending NOOP: done>"
    assert repr(missing).startswith("<Pending STATUS: failed: STATUS: the server answered NO")
    with pytest.raises(errors.CommandError):
        missing.result()


def test_a_command_that_is_refused_at_its_turn_does_not_wait_for_the_next(
    implementation: str, serve: Callable[..., Server]
) -> None:
    asked = threading.Event()

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 UNSELECT] hello\r\n")
        for answer in (b"* 1 EXISTS\r\n", b"* 1 FETCH (UID 1 FLAGS ())\r\n", b""):
            peer.send(answer + peer.line().split()[0] + b" OK done\r\n")
        tag = peer.line().split()[0]
        asked.wait(30)
        peer.send(tag + b" OK done\r\n")
        peer.log_out()

    with Client("127.0.0.1", serve(script).port, tls=False, timeout=10) as client:
        client.select("INBOX")
        with client.pipeline() as pipeline:
            first = pipeline.fetch([1], "FLAGS")
            pipeline.close_mailbox()
            refused = pipeline.fetch([1], "FLAGS")
            slow = pipeline.noop()
            first.result()
            with pytest.raises(errors.StateError):
                refused.result()
            assert not slow.done
            asked.set()


def test_a_pipeline_that_is_interrupted_sends_no_more(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., Any]
) -> None:
    commands: list[bytes] = []
    interrupted = threading.Event()

    def reply(command: bytes) -> bytes:
        commands.append(command)
        assert interrupted.wait(30)  # so that the client waits
        return DONE

    client = Client("127.0.0.1", serve(converse(reply)).port, tls=False, timeout=10)
    client.select("INBOX")

    def interrupt(*args: Any) -> None:
        monkeypatch.undo()
        interrupted.set()
        raise KeyboardInterrupt

    def use() -> None:
        with client.pipeline() as pipeline:
            pipeline.copy(1, "There")
            pipeline.expunge()
            monkeypatch.setattr(client, "_wait", interrupt)

    with pytest.raises(KeyboardInterrupt):
        use()
    client.noop()
    client.close()
    assert commands == [b"UID COPY 1 There", b"NOOP"]


@pytest.mark.parametrize("timeout", [None, 5])
def test_idle_where_nobody_is_logged_in(scripted: Callable[..., Any], timeout: float | None) -> None:
    def script(peer: Peer) -> None:
        peer.greet(b"IMAP4rev1 IDLE")
        peer.log_out()

    with scripted(script) as client, pytest.raises(errors.StateError, match="nobody is logged in"):
        next(client.idle(timeout=timeout))
