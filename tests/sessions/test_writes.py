"""append, copy and move with retry=: what is looked for, what is done again, what is not known."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastimap import Client, SequenceSet, UIDSet, errors
from fastimap.sessions.retry import Retry, no_waits
from tests.client.interfaces import Interface, opened
from tests.client.peers import DONE, converse, in_turn
from tests.imaplib.scripted import Script
from tests.servers.dovecot import Dovecot
from tests.sessions import cut_writes
from tests.sessions.cuts import Tally, login, message
from tests.sessions.test_resume import Waits
from tests.support.cuts import Cut, Proxy, proxied

RUNS = 8
MESSAGE = b"Message-ID: <1@example.org>\r\nSubject: x\r\n\r\n" + b"text\r\n" * 400


@pytest.fixture
def waits() -> Waits:
    return Waits()


# Dovecot, cut at places that are known.


def appended(
    make: Interface, server: Dovecot, user: str, proxy: Proxy, data: Any, **more: Any
) -> tuple[Any, list[int]]:
    """Append by a client without retry of its own; return the result, and the octets to the server before and after."""
    with make(proxy.host, proxy.port, **login(server, user)) as client:
        client.select("Drafts")
        before = proxy.octets[0]
        result = client.append("INBOX", data, **more)
        octets = [before, *proxy.octets]
        assert client.session.mailbox == "Drafts"
        client.noop()
        return result, octets


@pytest.fixture(params=["blocking", "asyncio"])
def make(request: pytest.FixtureRequest) -> Iterator[Interface]:
    """One client and then the other; the parser is of no matter here."""
    with opened(request.param) as make:
        yield make


@pytest.fixture
def lengths(dovecot: Dovecot) -> list[int]:
    """The octets to the server before and after the append of a session that is not cut, and to the client after it."""
    with proxied(dovecot.host, dovecot.port) as proxy:
        _, octets = appended(Client, dovecot, dovecot.new_user(), proxy, MESSAGE, retry=Retry())
    return octets


@pytest.mark.parametrize("cut", ["before it is sent", "amid the literal", "after the literal"])
@pytest.mark.parametrize(("kind", "way"), [("octets", "fin"), ("file", "rst"), ("path", "rst")])
def test_one_copy_in_the_mailbox(
    make: Interface, dovecot: Dovecot, tmp_path: Path, lengths: list[int], cut: str, way: Any, kind: str
) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(MESSAGE)
    where = {
        "before it is sent": Cut(lengths[0] + 20, False, way),
        "amid the literal": Cut(lengths[1] - len(MESSAGE) // 2, False, way),
        "after the literal": Cut(lengths[2] - 40, True, way),
    }[cut]
    user = dovecot.new_user()
    with proxied(dovecot.host, dovecot.port) as proxy, no_waits(), path.open("rb") as file:
        proxy.cuts.append(where)
        data = {"octets": MESSAGE, "file": file, "path": path}[kind]
        result, _ = appended(make, dovecot, user, proxy, data, flags="\\Flagged", retry=Retry())
        assert len(proxy.done) == 1
        sent_twice = proxy.octets[0] > lengths[1] + len(MESSAGE) // 3
        looked = proxy.connections - 2  # the client's two
    assert cut_writes.held(dovecot, user, "INBOX") == {result.uid: MESSAGE}
    assert result.uid_validity is not None
    assert sent_twice == (cut == "amid the literal")
    assert looked == {"before it is sent": 0, "amid the literal": 2, "after the literal": 1}[cut]


def test_without_retry_a_lost_answer_is_an_error(make: Interface, dovecot: Dovecot, lengths: list[int]) -> None:
    with proxied(dovecot.host, dovecot.port) as proxy:
        proxy.cuts.append(Cut(lengths[1] - 100, False, "rst"))
        with pytest.raises(errors.ConnectionLost):
            appended(make, dovecot, dovecot.new_user(), proxy, MESSAGE)


def test_equal_messages_are_all_there(dovecot: Dovecot, lengths: list[int], make: Interface) -> None:
    """One that is there already, and one that another client appends meanwhile, are not taken for this one."""
    user = dovecot.new_user()
    other = message(5)
    with Client(dovecot.host, dovecot.port, **login(dovecot, user)) as client:
        client.append("INBOX", MESSAGE)
    with proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.cuts.append(Cut(lengths[1] - 100, False, "rst"))

        def meanwhile(seconds: float) -> None:
            with Client(dovecot.host, dovecot.port, **login(dovecot, user)) as client:
                client.append("INBOX", other)

        appended(make, dovecot, user, proxy, MESSAGE, retry=Retry(sleep=meanwhile))
    held = list(cut_writes.held(dovecot, user, "INBOX").values())
    assert held.count(MESSAGE) == 2
    assert set(held) == {MESSAGE, other}


@pytest.mark.parametrize("octets", [b"no field\n\nbare line feeds\n" * 9, b"Subject: x\r\n\r\nno Message-ID\r\n" * 9])
def test_what_has_no_message_id_is_known_by_its_octets(dovecot: Dovecot, make: Interface, octets: bytes) -> None:
    with proxied(dovecot.host, dovecot.port) as proxy:
        _, (_, _, length) = appended(Client, dovecot, dovecot.new_user(), proxy, octets, retry=Retry())
    user = dovecot.new_user()
    with proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.cuts.append(Cut(length - 40, True, "rst"))
        result, _ = appended(make, dovecot, user, proxy, octets, retry=Retry())
    assert [*cut_writes.held(dovecot, user, "INBOX")] == [result.uid]


@pytest.mark.parametrize("kind", cut_writes.KINDS)
def test_cut_anywhere(dovecot: Dovecot, kind: str) -> None:
    """A sample of ``python -m tests.sessions.cut_writes``; `make cuts` does them all."""
    tally = Tally()
    octets = cut_writes.measured(dovecot, kind)
    for seed in range(RUNS):
        cut_writes.run(dovecot, kind, seed, octets, tally)
    assert tally.failed == []
    assert tally.cuts > RUNS


def test_a_server_that_does_it_late(dovecot: Dovecot) -> None:
    """It was stopped with the whole message in its hands, and stores it between the two looks."""
    tally = Tally()
    cut_writes.run(dovecot, "append", 636, cut_writes.measured(dovecot, "append"), tally)
    assert tally.failed == []
    assert tally.cuts


# What only a scripted server does.

ID = b"Message-ID: <1@example.org>\r\n\r\n"
Rows = list[tuple[int, int, bytes]]


def row(uid: int, size: int = len(MESSAGE), header: bytes = ID) -> tuple[int, int, bytes]:
    return uid, size, header


class Destination:
    """A mailbox as a server tells of it, of which each look is another; and what was sent to it."""

    def __init__(self, *looks: Rows, uid_validity: bytes = b"7", status: bytes = b"MESSAGES 3 UIDNEXT 4 UIDVALIDITY 7"):
        self.looks = list(looks)
        self.uid_validity = uid_validity
        self.status = status
        self.appended = 0
        self.exists = 3
        self.answers: list[bytes | None] = [None]

    def reply(self, command: bytes) -> bytes | None:
        name = command.split()[0]
        if name == b"STATUS":
            return b"* STATUS INBOX (" + self.status + b")\r\n" + DONE
        if name == b"APPEND":
            self.appended += 1
            return self.answers.pop(0) if self.answers else b"<tag> OK [APPENDUID 7 9] done\r\n"
        if name == b"EXAMINE":
            rows = self.looks[0]
            return (
                b"* %d EXISTS\r\n* OK [UIDVALIDITY %s] noted\r\n" % (self.exists + len(rows), self.uid_validity) + DONE
            )
        if command.endswith(b"(BODY.PEEK[])"):
            return b"* 4 FETCH (UID 4 BODY[] {5}\r\nother)\r\n" + DONE
        assert command.startswith(b"UID FETCH"), command
        rows = self.looks.pop(0)
        return (
            b"".join(
                b"* %d FETCH (UID %d RFC822.SIZE %d BODY[HEADER.FIELDS (MESSAGE-ID)] {%d}\r\n%s)\r\n"
                % (number, uid, size, len(header), header)
                for number, (uid, size, header) in enumerate(rows, 4)
            )
            + DONE
        )


@pytest.fixture
def client(interface: Interface, serve: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    def make(destination: Destination, connections: int = 5) -> Any:
        script: Script = converse(destination.reply, b"IMAP4rev1 LITERAL+ UIDPLUS MOVE")
        servers = [serve(script) for _ in range(connections)]
        return interface("127.0.0.1", 143, tls=False, timeout=10, socket=in_turn(servers))

    return make


def test_a_server_that_commits_late_is_looked_at_twice(client: Callable[..., Any], waits: Waits) -> None:
    destination = Destination([], [row(4)])
    with client(destination) as connected:
        result = connected.append("INBOX", MESSAGE, retry=waits.retry())
    assert (result.uid_validity, result.uid, destination.appended) == (7, 4, 1)
    assert 5.0 in waits


def test_what_is_not_there_is_sent_again(client: Callable[..., Any], waits: Waits) -> None:
    destination = Destination([row(3)], [row(3)])  # `4:*` has the last message, whatever its UID
    with client(destination) as connected:
        destination.exists = 2
        assert connected.append("INBOX", MESSAGE, retry=waits.retry()).uid == 9
    assert destination.appended == 2


@pytest.mark.parametrize(
    ("rows", "more", "why"),
    [
        ([row(4, len(MESSAGE) + 40)], {}, "same Message-ID"),
        ([], {"uid_validity": b"8"}, "UIDVALIDITY"),
        ([row(2)], {}, "UIDNEXT"),
        ([], {"status": b"MESSAGES 3"}, "UIDNEXT"),
    ],
    ids=["a server that rewrites mail", "made anew", "a UIDNEXT that ran ahead", "no UIDNEXT"],
)
def test_what_can_not_be_known_is_an_error_that_says_so(
    client: Callable[..., Any], waits: Waits, rows: Rows, more: dict[str, bytes], why: str
) -> None:
    destination = Destination(rows, **more)
    with client(destination) as connected, pytest.raises(errors.Disconnected) as raised:
        connected.append("INBOX", MESSAGE, retry=waits.retry())
    assert destination.appended == 1
    (note,) = raised.value.__notes__
    assert re.search(f"not known.*{why}", note), note


def test_a_refusal_is_an_answer(client: Callable[..., Any], waits: Waits) -> None:
    destination = Destination()
    destination.answers = [b"<tag> NO [OVERQUOTA] full\r\n"]
    with client(destination, 1) as connected, pytest.raises(errors.OverQuota):
        connected.append("INBOX", MESSAGE, retry=waits.retry(attempts=1))
    assert destination.appended == 1


def test_a_server_that_can_not_now_is_asked_again(client: Callable[..., Any], waits: Waits) -> None:
    destination = Destination()
    destination.answers = [b"<tag> NO [UNAVAILABLE] later\r\n"]
    with client(destination, 1) as connected:
        assert connected.append("INBOX", MESSAGE, retry=waits.retry()).uid == 9
    assert destination.appended == 2


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_a_file_that_can_not_seek_is_not_sent_again(client: Callable[..., Any], waits: Waits) -> None:
    destination = Destination([])
    with client(destination) as connected, pytest.raises(errors.Disconnected) as raised:
        connected.append("INBOX", Pipe(MESSAGE), size=len(MESSAGE), retry=waits.retry())
    assert destination.appended == 1
    assert "can't seek" in raised.value.__notes__[0]


def test_a_part_of_a_file_is_sent_whole_again(client: Callable[..., Any], waits: Waits) -> None:
    destination = Destination([row(3)], [row(3)])
    destination.exists = 2
    file = io.BytesIO(b"before" + MESSAGE + b"after")
    file.seek(6)
    sent: list[bytes] = []
    before = destination.reply

    def reply(command: bytes) -> bytes | None:
        if command.startswith(b"APPEND"):
            sent.append(command.partition(b"}\r\n")[2])
        return before(command)

    destination.reply = reply  # type: ignore[method-assign]
    with client(destination) as connected:
        connected.append("INBOX", file, size=len(MESSAGE), retry=waits.retry())
    assert sent == [MESSAGE, MESSAGE]


def test_arguments(interface: Interface) -> None:
    client = interface("127.0.0.1", 9, tls=False)
    with pytest.raises(TypeError, match=r"Retry\(\)"):
        client.append("INBOX", MESSAGE, retry=3)
    with pytest.raises(TypeError, match="by their UIDs"):
        client.copy(SequenceSet("1:3"), "INBOX", retry=Retry())
    with pytest.raises(ValueError, match="NUL"):
        client.append("INBOX", b"\0", retry=Retry())


def test_a_move_that_was_stopped_between_copy_and_expunge_is_ended(
    interface: Interface, serve: Callable[..., Any], waits: Waits
) -> None:
    """The copies are not made again, and the messages are removed."""
    size = len(MESSAGE)
    state: dict[str, Any] = {"moved": 0, "flagged": b"", "expunged": b""}

    def reply(command: bytes) -> bytes | None:
        if command.startswith(b"UID FETCH 1:3 "):
            rows = [(uid, size, b"Message-ID: <%d@x>\r\n\r\n" % uid) for uid in (1, 2, 3)]
        elif command.startswith(b"UID FETCH 4:* "):
            rows = [(uid, size, b"Message-ID: <%d@x>\r\n\r\n" % (uid - 3)) for uid in (4, 5, 6)]
        elif command.startswith(b"STATUS"):
            return b"* STATUS Trash (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 9)\r\n" + DONE
        elif command.startswith(b"EXAMINE"):
            return b"* 6 EXISTS\r\n* OK [UIDVALIDITY 9] noted\r\n" + DONE
        elif command.startswith(b"UID SEARCH"):
            return b"* SEARCH 2 3\r\n" + DONE
        elif command.startswith(b"UID STORE"):
            state["flagged"] = command
            return DONE
        elif command.startswith(b"UID EXPUNGE"):
            state["expunged"] = command
            return DONE
        else:
            assert command.startswith(b"UID MOVE"), command
            state["moved"] += 1
            return None
        return (
            b"".join(
                b"* %d FETCH (UID %d RFC822.SIZE %d BODY[HEADER.FIELDS (MESSAGE-ID)] {%d}\r\n%s)\r\n"
                % (number, uid, size, len(header), header)
                for number, (uid, size, header) in enumerate(rows, 1)
            )
            + DONE
        )

    servers = [serve(converse(reply)) for _ in range(3)]
    with interface("127.0.0.1", 143, tls=False, timeout=10, socket=in_turn(servers)) as client:
        client.select("INBOX")
        result = client.move(UIDSet("1:3"), "Trash", retry=waits.retry())
    assert list(result.pairs()) == [(1, 4), (2, 5), (3, 6)]
    assert state["moved"] == 1
    assert state["expunged"] == b"UID EXPUNGE 2:3"
    assert state["flagged"] == b"UID STORE 2:3 +FLAGS.SILENT (\\Deleted)"


@pytest.mark.parametrize(
    ("said", "marked"),
    [
        (b"OK [COPYUID 9 2:3 4:5] done", b"2:3"),
        (b"OK [MESSAGELIMIT 2 2] done", b"2:3"),  # RFC 9738, section 3.1: nothing below was copied
        (b"OK done", b"1:3"),
    ],
)
def test_a_move_without_move_removes_what_was_copied_alone(
    interface: Interface, serve: Callable[..., Any], waits: Waits, said: bytes, marked: bytes
) -> None:
    removing: list[bytes] = []

    def reply(command: bytes) -> bytes:
        if command.startswith(b"STATUS"):
            return b"* STATUS Trash (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 9)\r\n" + DONE
        if command.startswith(b"UID COPY"):
            return b"<tag> " + said + b"\r\n"
        removing.append(command)
        return DONE

    script: Script = converse(reply, b"IMAP4rev1 UIDPLUS")
    with interface("127.0.0.1", 143, tls=False, timeout=10, socket=in_turn([serve(script)])) as client:
        client.select("INBOX")
        client.move(UIDSet("1:3"), "Trash", retry=waits.retry())
    assert removing == [b"UID STORE " + marked + b" +FLAGS.SILENT (\\Deleted)", b"UID EXPUNGE " + marked]


def test_a_move_without_move_from_a_mailbox_that_is_only_read_copies_nothing(
    interface: Interface, serve: Callable[..., Any], waits: Waits
) -> None:
    commands: list[bytes] = []

    def reply(command: bytes) -> bytes:
        commands.append(command.split()[0])
        if command.startswith(b"STATUS"):
            return b"* STATUS Trash (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 9)\r\n" + DONE
        return b"* 3 EXISTS\r\n* OK [UIDVALIDITY 1] noted\r\n<tag> OK [READ-ONLY] done\r\n"

    script: Script = converse(reply, b"IMAP4rev1 UIDPLUS")
    with interface("127.0.0.1", 143, tls=False, timeout=10, socket=in_turn([serve(script)])) as client:
        client.select("INBOX", read_only=True)
        with pytest.raises(errors.StateError, match="read_only"):
            client.move(UIDSet("1:3"), "Trash", retry=waits.retry())
    assert commands == [b"EXAMINE"]


@pytest.mark.parametrize("gone", [b"* 1 FETCH (UID 1 BODY[] NIL)\r\n", b""], ids=["NIL", "no row"])
def test_messages_that_the_server_moves_while_they_are_looked_for(
    interface: Interface, serve: Callable[..., Any], waits: Waits, gone: bytes
) -> None:
    """Two without Message-ID, of one size: SEARCH still finds both, then the first is gone, and both are copied."""
    bodies = {1: b"\r\nfirst one.\r\n", 2: b"\r\nsecond one\r\n"}
    copies = {4: bodies[2], 5: bodies[1]}
    searches = [b"* SEARCH 1 2\r\n", b"* SEARCH\r\n"]

    def about(uids: Iterable[int]) -> bytes:
        return b"".join(
            b"* %d FETCH (UID %d RFC822.SIZE 14 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n)\r\n" % (number, uid)
            for number, uid in enumerate(uids, 1)
        )

    def reply(command: bytes) -> bytes | None:
        verb, _, rest = command.removeprefix(b"UID ").partition(b" ")
        if verb == b"FETCH" and b"BODY.PEEK[]" in rest:
            uid = int(rest.split()[0])
            octets = bodies.get(uid) or copies[uid]
            row = b"* 1 FETCH (UID %d BODY[] {14}\r\n%s)\r\n" % (uid, octets)
            return (gone if uid == 1 else row) + DONE
        if verb == b"FETCH":
            return about(copies if rest.startswith(b"4:*") else bodies) + DONE
        answers = {
            b"STATUS": b"* STATUS Trash (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 9)\r\n",
            b"EXAMINE": b"* 5 EXISTS\r\n* OK [UIDVALIDITY 9] noted\r\n",
            b"STORE": b"",
            b"EXPUNGE": b"",
        }
        if verb == b"SEARCH":
            return searches.pop(0) + DONE
        return None if verb == b"MOVE" else answers[verb] + DONE

    servers = [serve(converse(reply)) for _ in range(4)]
    with interface("127.0.0.1", 143, tls=False, timeout=10, socket=in_turn(servers)) as client:
        client.select("INBOX")
        result = client.move(UIDSet("1:2"), "Trash", retry=waits.retry())
    assert list(result.pairs()) == [(1, 5), (2, 4)]
