"""Clients with retry=: what is done again after a cut, what is not, and what is restored."""

from __future__ import annotations

import io
import logging
import re
import socket
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import SAVED, SequenceSet, UIDSet, errors
from fastimap import search as s
from fastimap.commands import EventGroup, MailboxFilter
from fastimap.commands.base import State
from fastimap.conversation.events import Reconnected
from fastimap.sessions.retry import Retry
from fastimap.testing import IMAPServer
from tests.client.interfaces import Interface
from tests.client.peers import in_turn
from tests.client.test_commands import fill
from tests.imaplib.scripted import Peer

Serve = Callable[..., Any]
Script = Callable[[Peer], None]


class Waits(list[float]):
    """Notes for how long a client would have slept; its clock goes on by that."""

    def sleep(self, seconds: float) -> None:
        self.append(seconds)

    def clock(self) -> float:
        return sum(self)

    def retry(self, **settings: Any) -> Retry:
        given: dict[str, Any] = {"clock": self.clock, "sleep": self.sleep, "random": lambda: 1.0, **settings}
        return Retry(**given)


@pytest.fixture
def waits() -> Waits:
    return Waits()


GREETING = (
    b"* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS MOVE ENABLE IDLE NOTIFY CONDSTORE SEARCHRES COMPRESS=DEFLATE] ready\r\n"
)


def select(peer: Peer, uid_validity: int = 7) -> None:
    peer.answer(b"SELECT INBOX", b"* 3 EXISTS", b"* OK [UIDVALIDITY %d] noted" % uid_validity)


def dying(*steps: Callable[[Peer], object], selected: bool = True) -> Script:
    """A script: the client is logged in, selects INBOX, does `steps`; then the connection is cut."""

    def script(peer: Peer) -> None:
        peer.send(GREETING)
        if selected:
            select(peer)
        for step in steps:
            step(peer)

    return script


def living(*steps: Callable[[Peer], object], selected: bool = True) -> Script:
    def script(peer: Peer) -> None:
        dying(*steps, selected=selected)(peer)
        peer.log_out()

    return script


def expect(command: bytes) -> Callable[[Peer], object]:
    return lambda peer: peer.expect(command)


def answer(command: bytes, *untagged: bytes, status: bytes = b"OK done") -> Callable[[Peer], object]:
    return lambda peer: peer.answer(command, *untagged, status=status)


@pytest.fixture
def persistent(interface: Interface, serve: Serve, waits: Waits) -> Callable[..., Any]:
    """A function that makes a client of scripts, one a connection."""

    def make(*scripts: Script, **settings: Any) -> Any:
        retry = waits.retry(**settings)
        return interface("127.0.0.1", 143, tls=False, retry=retry, timeout=10, socket=in_turn(map(serve, scripts)))

    return make


def test_off_by_default(interface: Interface, serve: Serve) -> None:
    client = interface("127.0.0.1", 143, tls=False, socket=in_turn([serve(dying())]))
    client.select("INBOX")
    with pytest.raises(errors.Disconnected):
        client.noop()


def test_a_search_is_done_again(persistent: Callable[..., Any], waits: Waits, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fastimap")
    search = b"UID SEARCH UNSEEN"
    with persistent(dying(expect(search)), living(answer(search, b"* SEARCH 4 5"))) as client:
        client.select("INBOX")
        assert client.search(s.unseen).uids == UIDSet("4:5")
        (event,) = client.take_events()
        assert isinstance(event, Reconnected)
        assert event.mailbox == "INBOX"
        assert client.counters.reconnects == 1
    assert waits == [0.5, 0.0] or waits == [0.5]
    assert any("connected anew" in record.getMessage() for record in caplog.records)


def test_a_server_that_is_away_for_a_while(interface: Interface, server: IMAPServer, waits: Waits) -> None:
    refusals: list[OSError] = []

    def reach(host: str, port: int) -> socket.socket:
        if refusals:
            raise refusals.pop()
        return socket.create_connection((server.host, server.port))

    arguments: dict[str, Any] = {"tls": False, "user": "user", "password": "password", "mechanism": "LOGIN"}
    with interface("imap.example.org", **arguments, socket=reach, retry=waits.retry()) as client:
        fill(server, 3)
        client.select("INBOX")
        server.disconnect_all()
        refusals += [ConnectionRefusedError()] * 4
        assert [row.uid for row in client.fetch(UIDSet("1:*"), "FLAGS")] == [1, 2, 3]
        assert client.counters.reconnects == 1
    assert len([seconds for seconds in waits if seconds]) >= 4


def test_attempts_are_counted(interface: Interface, waits: Waits) -> None:
    tried: list[int] = []

    def reach(host: str, port: int) -> socket.socket:
        tried.append(port)
        raise ConnectionRefusedError

    client = interface("imap.example.org", tls=False, socket=reach, retry=waits.retry(attempts=5, first=1.0))
    with pytest.raises(errors.ConnectFailed) as given_up:
        client.connect()
    assert len(tried) == 5
    assert "5 attempts" in given_up.value.__notes__[0]
    assert sum(waits) >= 1 + 2 + 4 + 8


def test_a_refused_password_ends_it_at_once(interface: Interface, serve: Serve, waits: Waits) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b"LOGIN user secret", status=b"NO [AUTHENTICATIONFAILED] wrong")
        peer.expect_end()

    def reach(host: str, port: int, servers: list[Any] = []) -> socket.socket:  # noqa: B006
        assert not servers, "the password was tried again"
        servers.append(serve(script))
        return socket.create_connection(("127.0.0.1", servers[0].port))

    client = interface(
        "127.0.0.1",
        143,
        tls=False,
        user="user",
        password="secret",
        mechanism="LOGIN",
        socket=reach,
        retry=waits.retry(),
    )
    for _ in range(2):
        with pytest.raises(errors.AuthenticationFailed):
            client.noop()


def test_a_token_is_asked_for_anew(interface: Interface, serve: Serve, waits: Waits) -> None:
    def script(status: bytes) -> Script:
        def play(peer: Peer) -> None:
            peer.greet(b"IMAP4rev1 SASL-IR AUTH=XOAUTH2")
            line = peer.line()
            tag = line.partition(b" ")[0]
            peer.send(tag + b" " + status + b"\r\n")
            if status.startswith(b"OK"):
                peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1")
                peer.log_out()
            else:
                peer.line()

        return play

    tokens = iter(["old", "new"])
    servers = [serve(script(status)) for status in (b"NO [AUTHENTICATIONFAILED] expired", b"OK done")]
    with interface(
        "127.0.0.1",
        143,
        tls=False,
        user="user",
        token=lambda: next(tokens),
        mechanism="XOAUTH2",
        socket=in_turn(servers),
        retry=waits.retry(),
    ) as client:
        assert client.session.state is State.AUTHENTICATED
    assert next(tokens, None) is None


def test_it_waits_as_long_as_the_server_says(persistent: Callable[..., Any], waits: Waits) -> None:
    search = b"UID SEARCH UNSEEN"
    throttled = b"NO [UNAVAILABLE] Request is throttled. Suggested Backoff Time: 92415 milliseconds"
    with persistent(living(answer(search, status=throttled), answer(search, b"* SEARCH 4"))) as client:
        client.select("INBOX")
        assert client.search(s.unseen).uids == UIDSet(4)
        assert client.counters.reconnects == 0
    assert 92.4 <= max(waits) < 94


def test_it_does_not_wait_beyond_its_time(persistent: Callable[..., Any], waits: Waits) -> None:
    throttled = b"NO [UNAVAILABLE] throttled, back off 700 seconds"
    with persistent(living(answer(b"UID SEARCH UNSEEN", status=throttled))) as client:
        client.select("INBOX")
        with pytest.raises(errors.Unavailable):
            client.search(s.unseen)
    assert sum(waits) == 0


def test_authenticated_but_not_connected(persistent: Callable[..., Any]) -> None:
    """Exchange says so while a mailbox is moved between its servers."""
    half = answer(b"SELECT INBOX", status=b"BAD User is authenticated but not connected.")
    with persistent(dying(half, selected=False), living()) as client:
        assert client.select("INBOX").exists == 3


def test_another_uidvalidity_ends_it(persistent: Callable[..., Any]) -> None:
    def renumbered(peer: Peer) -> None:
        peer.send(GREETING)
        select(peer, uid_validity=8)
        peer.log_out()

    with persistent(dying(expect(b"UID FETCH 4 (FLAGS)")), renumbered) as client:
        client.select("INBOX")
        with pytest.raises(errors.UIDValidityChanged, match="from 7 to 8") as changed:
            client.fetch(4, "FLAGS")
        assert (changed.value.mailbox, changed.value.before, changed.value.now) == ("INBOX", 7, 8)


def test_rows_that_came_are_not_fetched_again(persistent: Callable[..., Any]) -> None:
    def half(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4:7 (BODY.PEEK[])")
        peer.send(
            b"* 1 FETCH (UID 4 BODY[] {3}\r\nabc)\r\n* 2 FETCH (UID 5 BODY[] {3}\r\ndef)\r\n"
            b"* 3 FETCH (UID 6 BODY[] {3}\r\ng"
        )

    rest = answer(
        b"UID FETCH 6:7 (BODY.PEEK[])", b"* 3 FETCH (UID 6 BODY[] {3}\r\nghi)", b"* 4 FETCH (UID 7 BODY[] {0}\r\n)"
    )
    with persistent(dying(half), living(rest)) as client:
        client.select("INBOX")
        rows = client.fetch(range(4, 8), "BODY.PEEK[]")
        assert [(row.uid, row.body) for row in rows] == [(4, b"abc"), (5, b"def"), (6, b"ghi"), (7, b"")]


def test_flags_by_uid_are_stored_again(persistent: Callable[..., Any]) -> None:
    store = rb"UID STORE 4 +FLAGS.SILENT (\Seen)"
    with persistent(dying(expect(store)), living(answer(store))) as client:
        client.select("INBOX")
        client.store(4, "\\Seen", silent=True)


def test_uid_expunge_is_done_again(persistent: Callable[..., Any]) -> None:
    with persistent(dying(expect(b"UID EXPUNGE 4")), living(answer(b"UID EXPUNGE 4"))) as client:
        client.select("INBOX")
        client.expunge(4)


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        (lambda client: client.expunge(), b"EXPUNGE"),
        (lambda client: client.copy(4, "Archive"), b"UID COPY 4 Archive"),
        (lambda client: client.move(4, "Archive"), b"UID MOVE 4 Archive"),
        (lambda client: client.store(4, "a", unchanged_since=9), b"UID STORE 4 (UNCHANGEDSINCE 9) +FLAGS (a)"),
        (lambda client: client.create_mailbox("new"), b"CREATE new"),
        (lambda client: client.rename_mailbox("new", "old"), b"RENAME new old"),
        (lambda client: client.delete_mailbox("new"), b"DELETE new"),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_what_may_have_been_done_is_not_done_again(
    persistent: Callable[..., Any], call: Callable[[Any], object], sent: bytes
) -> None:
    with persistent(dying(expect(sent)), living(answer(b"NOOP"))) as client:
        client.select("INBOX")
        with pytest.raises(errors.Disconnected):
            call(client)
        client.noop()  # and the next command has a connection again
        assert client.session.mailbox == "INBOX"


def test_a_long_copy_in_several_commands_is_not_done_again(persistent: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        tag = peer.line().partition(b" ")[0]
        peer.send(tag + b" OK done\r\n")
        assert b" UID COPY " in peer.line()

    with persistent(dying(script), living()) as client:
        client.select("INBOX")
        with pytest.raises(errors.Disconnected):
            client.copy(range(1, 8000, 2), "Archive")
        client.connect()


def test_append_is_not_done_again(persistent: Callable[..., Any]) -> None:
    def script(peer: Peer) -> None:
        assert b" APPEND INBOX {3}" in peer.line()
        peer.send(b"+ go on\r\n")
        assert peer.line() == b"abc\r\n"

    with persistent(dying(script), living()) as client:
        client.select("INBOX")
        with pytest.raises(errors.Disconnected):
            client.append("INBOX", b"abc")
        client.connect()


def test_sequence_numbers_are_not_what_they_were(persistent: Callable[..., Any]) -> None:
    with persistent(
        dying(expect(b"FETCH 2 (FLAGS)")), living(answer(b"FETCH 2 (FLAGS)", b"* 2 FETCH (FLAGS ())"))
    ) as client:
        client.select("INBOX")
        with pytest.raises(errors.StateError, match="numbers mean others"):
            client.fetch(SequenceSet(2), "FLAGS")
        with pytest.raises(errors.StateError, match="Reconnected"):
            client.fetch(SequenceSet(2), "FLAGS")
        with pytest.raises(errors.StateError, match="Reconnected"):
            client.fetch(SAVED, "FLAGS")
        assert any(isinstance(event, Reconnected) for event in client.take_events())
        client.fetch(SequenceSet(2), "FLAGS")


def test_what_was_switched_on_is_restored(persistent: Callable[..., Any]) -> None:
    group = EventGroup(MailboxFilter("personal"), ("MessageNew", "MessageExpunge"))
    enable = answer(b"ENABLE CONDSTORE", b"* ENABLED CONDSTORE")
    notify = answer(b"NOTIFY SET (personal (MessageNew MessageExpunge))")
    examine = answer(b"EXAMINE INBOX", b"* OK [UIDVALIDITY 7] noted")

    first = dying(enable, notify, examine, expect(b"NOOP"), selected=False)
    second = living(enable, notify, examine, answer(b"NOOP"), selected=False)
    with persistent(first, second) as client:
        client.enable("CONDSTORE")
        client.notify(group)
        client.select("INBOX", read_only=True)
        client.noop()
        assert client.session.enabled == {"CONDSTORE"}
        assert client.session.examined


def test_a_cut_amid_the_restoring(persistent: Callable[..., Any]) -> None:
    def cut(peer: Peer) -> None:
        peer.send(GREETING)
        peer.expect(b"SELECT INBOX")

    with persistent(dying(expect(b"NOOP")), cut, living(answer(b"NOOP"))) as client:
        client.select("INBOX")
        client.noop()
        assert client.session.mailbox == "INBOX"
        assert client.counters.reconnects == 1


def test_idle_goes_on(persistent: Callable[..., Any]) -> None:
    def idles(peer: Peer) -> None:
        peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 4 EXISTS\r\n")

    def idles_again(peer: Peer) -> None:
        tag = peer.expect(b"IDLE")
        peer.send(b"+ idling\r\n* 5 EXISTS\r\n")
        assert peer.line() == b"DONE\r\n"
        peer.send(tag + b" OK done\r\n")

    with persistent(dying(idles), dying(idles_again)) as client:
        client.select("INBOX")
        events = client.idle()
        assert next(events).count == 4
        assert isinstance(next(events), Reconnected)
        assert next(events).count == 5
        events.close()


def test_a_file_is_cut_to_where_the_message_began(persistent: Callable[..., Any]) -> None:
    def half(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (UID 4 BODY[] {9}\r\nabcdef")

    rest = answer(b"UID FETCH 4 (BODY.PEEK[])", b"* 1 FETCH (UID 4 BODY[] {9}\r\nabcdefghi)")
    file = io.BytesIO(b"before:")
    file.seek(7)
    with persistent(dying(half), living(rest)) as client:
        client.select("INBOX")
        (row,) = client.fetch_into(4, "BODY.PEEK[]", into=file)
        assert row.streamed == {"BODY[]": 9}
    assert file.getvalue() == b"before:abcdefghi"


def test_a_file_for_a_section_that_is_not_there_as_was_said_before_a_cut(persistent: Callable[..., Any]) -> None:
    def nothing(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4 (BODY.PEEK[5])")
        peer.send(b"* 1 FETCH (UID 4 BODY[5] NIL)\r\n")

    with persistent(dying(nothing), living(lambda peer: None)) as client:
        client.select("INBOX")
        with pytest.raises(errors.MessageNotFound, match="NIL"):
            client.fetch_into(4, "BODY.PEEK[5]", into=io.BytesIO())


def test_files_of_several_messages(persistent: Callable[..., Any]) -> None:
    def half(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4:6 (BODY.PEEK[])")
        peer.send(
            b'* 1 FETCH (UID 4 BODY[] {3}\r\nabc)\r\n* 2 FETCH (UID 5 BODY[] "q")\r\n* 3 FETCH (UID 6 BODY[] {9}\r\nghi'
        )

    rest = answer(b"UID FETCH 6 (BODY.PEEK[])", b"* 3 FETCH (UID 6 BODY[] {9}\r\nghijklmno)")
    files: dict[int | None, io.BytesIO] = {}

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        assert uid not in files
        return files.setdefault(uid, io.BytesIO())

    with persistent(dying(half), living(rest)) as client:
        client.select("INBOX")
        rows = client.fetch_into(range(4, 7), "BODY.PEEK[]", into=into)
        assert [row.uid for row in rows] == [4, 5, 6]
    assert {uid: file.getvalue() for uid, file in files.items()} == {4: b"abc", 5: b"q", 6: b"ghijklmno"}


def test_a_file_of_a_message_that_came_at_the_second_attempt_stays(persistent: Callable[..., Any]) -> None:
    def first(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4:5 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (UID 4 BODY[] {3}\r\na")

    def second(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4:5 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (UID 4 BODY[] {3}\r\nabc)\r\n* 2 FETCH (UID 5 BODY[] {3}\r\nd")

    def third(peer: Peer) -> None:
        peer.expect(b"UID FETCH 5 (BODY.PEEK[])")
        peer.send(b"* 2 FETCH (UID 5 BODY[] {3}\r\nde")

    rest = answer(b"UID FETCH 5 (BODY.PEEK[])", b"* 2 FETCH (UID 5 BODY[] {3}\r\ndef)")
    files: dict[int | None, io.BytesIO] = {}

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        assert uid not in files
        return files.setdefault(uid, io.BytesIO())

    with persistent(dying(first), dying(second), dying(third), living(rest)) as client:
        client.select("INBOX")
        assert [row.uid for row in client.fetch_into([4, 5], "BODY.PEEK[]", into=into)] == [4, 5]
    assert {uid: file.getvalue() for uid, file in files.items()} == {4: b"abc", 5: b"def"}


@pytest.mark.parametrize("cut", [False, True], ids=["one connection", "after a cut"])
def test_what_came_before_a_refusal_is_not_lost(persistent: Callable[..., Any], cut: bool) -> None:
    first = b"* 1 FETCH (UID 4 BODY[] {3}\r\nabc)"

    def half(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4:6 (BODY.PEEK[])")
        peer.send(first + b"\r\n")

    def refused(peer: Peer) -> None:
        if cut:
            peer.answer(b"UID FETCH 5:6 (BODY.PEEK[])", status=b"NO it is broken")
        else:
            peer.answer(b"UID FETCH 4:6 (BODY.PEEK[])", first, status=b"NO it is broken")
        peer.answer(b"UID FETCH 6 (BODY.PEEK[])", b"* 3 FETCH (UID 6 BODY[] {3}\r\nghi)")
        peer.answer(b"UID FETCH 5 (BODY.PEEK[])", status=b"NO it is broken")

    files: dict[int | None, io.BytesIO] = {}

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        assert uid not in files
        return files.setdefault(uid, io.BytesIO())

    with persistent(*([dying(half)] if cut else []), living(refused)) as client:
        client.select("INBOX")
        rows = client.fetch_into(range(4, 7), "BODY.PEEK[]", into=into)
    assert [(row.uid, bool(row.defects)) for row in rows] == [(4, False), (6, False), (5, True)]
    assert {uid: file.getvalue() for uid, file in files.items()} == {4: b"abc", 6: b"ghi"}


def test_files_of_messages_that_came_before_a_refusal_and_a_cut_stay(persistent: Callable[..., Any]) -> None:
    def half(peer: Peer) -> None:
        peer.answer(b"UID FETCH 4:6 (BODY.PEEK[])", b"* 1 FETCH (UID 4 BODY[] {3}\r\nabc)", status=b"NO it is broken")
        peer.expect(b"UID FETCH 6 (BODY.PEEK[])")
        peer.send(b"* 3 FETCH (UID 6 BODY[] {3}\r\ng")

    def rest(peer: Peer) -> None:
        peer.answer(b"UID FETCH 6 (BODY.PEEK[])", b"* 3 FETCH (UID 6 BODY[] {3}\r\nghi)")
        peer.answer(b"UID FETCH 5 (BODY.PEEK[])", b"* 2 FETCH (UID 5 BODY[] {3}\r\ndef)")

    files: dict[int | None, io.BytesIO] = {}

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        assert uid not in files
        return files.setdefault(uid, io.BytesIO())

    with persistent(dying(half), living(rest)) as client:
        client.select("INBOX")
        assert [row.uid for row in client.fetch_into(range(4, 7), "BODY.PEEK[]", into=into)] == [4, 6, 5]
    assert {uid: file.getvalue() for uid, file in files.items()} == {4: b"abc", 5: b"def", 6: b"ghi"}


def test_files_of_whole_messages_are_not_kept(persistent: Callable[..., Any]) -> None:
    """Many programs leave it to Python to close what `into` opens: it closes a file that nothing has any more."""

    def rows(peer: Peer) -> None:
        row = b"* %d FETCH (UID %d BODY[] {5000}\r\n" + b"x" * 5000 + b")"
        peer.answer(b"UID FETCH 1:300 (BODY.PEEK[])", *(row % (uid, uid) for uid in range(1, 301)))

    files: weakref.WeakSet[io.BytesIO] = weakref.WeakSet()
    most = 0

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        nonlocal most
        file = io.BytesIO()
        files.add(file)
        most = max(most, len(files))
        return file

    with persistent(living(rows)) as client:
        client.select("INBOX")
        assert len(client.fetch_into(range(1, 301), "BODY.PEEK[]", into=into)) == 300
    assert most < 200  # an AsyncClient has up to a hundred, and those of one buffer, that threads are still to write


def test_what_came_before_a_token_expired_is_not_written_again(
    interface: Interface, serve: Serve, waits: Waits
) -> None:
    def expired(peer: Peer) -> None:
        first = b"* 1 FETCH (UID 4 BODY[] {3}\r\nabc)"
        peer.answer(b"UID FETCH 4:5 (BODY.PEEK[])", first, status=b"NO [EXPIRED] the token")
        peer.answer(b"UID FETCH 5 (BODY.PEEK[])", b"* 2 FETCH (UID 5 BODY[] {3}\r\ndef)")

    files: dict[int | None, io.BytesIO] = {}

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        assert uid not in files
        return files.setdefault(uid, io.BytesIO())

    sockets = in_turn([serve(living(expired))])
    with interface(
        "127.0.0.1", 143, tls=False, retry=waits.retry(), timeout=10, socket=sockets, user="joe", token=lambda: "x"
    ) as client:
        client.select("INBOX")
        assert [row.uid for row in client.fetch_into(range(4, 6), "BODY.PEEK[]", into=into)] == [4, 5]
    assert {uid: file.getvalue() for uid, file in files.items()} == {4: b"abc", 5: b"def"}


def test_a_mailbox_that_is_gone_after_a_cut_is_no_refusal_of_a_message(persistent: Callable[..., Any]) -> None:
    def half(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4:5 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (UID 4 BODY[] {3}\r\nabc)\r\n")

    gone = answer(b"SELECT INBOX", status=b"NO [NONEXISTENT] gone")

    with persistent(dying(half), living(gone, selected=False)) as client:
        client.select("INBOX")
        with pytest.raises(errors.MailboxNotFound):
            client.fetch_into(range(4, 6), "BODY.PEEK[]", into=lambda *_: io.BytesIO())


def test_files_of_messages_whose_uid_comes_after_them(persistent: Callable[..., Any]) -> None:
    def half(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4:6 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (BODY[] {3}\r\nabc UID 4)\r\n* 2 FETCH (BODY[] {3}\r\ndef UID 5)\r\n")

    def second(peer: Peer) -> None:
        peer.expect(b"UID FETCH 6 (BODY.PEEK[])")
        peer.send(b"* 3 FETCH (BODY[] {3}\r\ng")

    rest = answer(b"UID FETCH 6 (BODY.PEEK[])", b"* 3 FETCH (BODY[] {3}\r\nghi UID 6)")
    files: list[io.BytesIO] = []

    def into(uid: int | None, item: str, size: int) -> io.BytesIO:
        assert uid is None
        files.append(io.BytesIO())
        return files[-1]

    with persistent(dying(half), dying(second), living(rest)) as client:
        client.select("INBOX")
        assert [row.uid for row in client.fetch_into(range(4, 7), "BODY.PEEK[]", into=into)] == [4, 5, 6]
    assert [file.getvalue() for file in files] == [b"abc", b"def", b"", b"ghi"]


class Pipe(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, octets: Any) -> int:
        return len(octets)


def test_a_file_that_cannot_seek_raises(persistent: Callable[..., Any]) -> None:
    def half(peer: Peer) -> None:
        peer.expect(b"UID FETCH 4 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (UID 4 BODY[] {9}\r\nabcdef")

    with persistent(dying(half), living()) as client:
        client.select("INBOX")
        with pytest.raises(errors.Disconnected) as cut:
            client.fetch_into(4, "BODY.PEEK[]", into=Pipe())
        assert "can't be taken back" in cut.value.__notes__[0]
        client.connect()


def test_fetch_iter_takes_up_its_plan(persistent: Callable[..., Any]) -> None:
    sizes = [b"* %d FETCH (UID %d RFC822.SIZE 3)" % (uid - 3, uid) for uid in range(4, 8)]

    def half(peer: Peer) -> None:
        peer.answer(b"UID FETCH 4:7 (RFC822.SIZE)", *sizes)
        peer.expect(b"UID FETCH 4:5 (BODY.PEEK[])")
        peer.expect(b"UID FETCH 6:7 (BODY.PEEK[])")
        peer.send(b"* 1 FETCH (UID 4 BODY[] {3}\r\nabc)\r\n* 2 FETCH (UID 5 BODY[] {3}\r\nd")

    def rest(peer: Peer) -> None:
        tag = peer.expect(b"UID FETCH 5 (BODY.PEEK[])")
        second = peer.expect(b"UID FETCH 6:7 (BODY.PEEK[])")
        peer.send(b"* 2 FETCH (UID 5 BODY[] {3}\r\ndef)\r\n" + tag + b" OK done\r\n")
        peer.send(
            b"* 3 FETCH (UID 6 BODY[] {0}\r\n)\r\n* 4 FETCH (UID 7 BODY[] {1}\r\n7)\r\n" + second + b" OK done\r\n"
        )

    with persistent(dying(half), living(rest)) as client:
        client.select("INBOX")
        rows = list(client.fetch_iter(range(4, 8), "BODY.PEEK[]", chunk=2, in_flight=2))
        assert [(row.uid, row.body) for row in rows] == [(4, b"abc"), (5, b"def"), (6, b""), (7, b"7")]


def test_fetch_iter_ends_where_the_uidvalidity_changed(persistent: Callable[..., Any]) -> None:
    def renumbered(peer: Peer) -> None:
        peer.send(GREETING)
        select(peer, uid_validity=8)
        peer.log_out()

    with persistent(dying(expect(b"UID FETCH 4:5 (FLAGS)")), renumbered) as client:
        client.select("INBOX")
        with pytest.raises(errors.UIDValidityChanged):
            list(client.fetch_iter(range(4, 6), "FLAGS"))


def test_who_logged_in_by_hand_is_told(interface: Interface, serve: Serve, waits: Waits) -> None:
    def script(peer: Peer) -> None:
        peer.greet()
        peer.answer(b"LOGIN user secret", b"* CAPABILITY IMAP4rev1")

    def again(peer: Peer) -> None:
        peer.greet()
        peer.log_out()

    servers = in_turn([serve(script), serve(again)])
    with interface("127.0.0.1", 143, tls=False, retry=waits.retry(), socket=servers) as client:
        client.login("user", "secret", insecure=True)
        with pytest.raises(errors.StateError, match="by hand"):
            client.noop()


def test_a_client_that_was_closed_stays_closed(persistent: Callable[..., Any]) -> None:
    client = persistent(living())
    client.select("INBOX")
    client.close()
    with pytest.raises(errors.StateError, match="logged out"):
        client.noop()


def test_a_server_that_hangs_up_after_each_answer_makes_no_storm(persistent: Callable[..., Any], waits: Waits) -> None:
    scripts = [dying(answer(b"NOOP")) for _ in range(6)]
    client = persistent(*scripts, burst=3, within=None)
    client.select("INBOX")
    for _ in range(6):
        client.noop()
    # Three logins at once; the next three come a minute apart.
    assert sum(waits) >= 3 * 60


def test_a_login_is_not_waited_for_longer_than_within(persistent: Callable[..., Any], waits: Waits) -> None:
    client = persistent(*[dying(answer(b"NOOP")) for _ in range(2)], burst=2, within=30.0)
    client.select("INBOX")
    client.noop()
    client.noop()
    with pytest.raises(errors.ConnectionLost) as caught:
        client.noop()
    told = "".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert re.search(r"(another attempt in|the next attempt is due in) (59.5|60) s.* over 30 s", told)
    assert sum(waits) < 30
