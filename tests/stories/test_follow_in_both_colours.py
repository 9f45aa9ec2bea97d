"""What a program can say of a message, and ask of a follower: with follow and AsyncFollow, and a real Dovecot."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, errors
from fastimap.sessions.cursor import SQLiteCursor
from fastimap.sessions.follow import MailboxReset, MessageParked
from fastimap.sessions.retry import no_waits
from tests.servers.dovecot import Dovecot
from tests.sessions.followers import COLOURS, followed
from tests.sessions.test_cursor import Clock
from tests.sessions.test_follow import account, make_anew, path, send, subject
from tests.support.cuts import Cut, proxied

__all__ = ["account", "path"]

pytestmark = pytest.mark.usefixtures("implementation")

SOON: dict[str, Any] = {"poll": 0.3, "status_poll": 0.3}


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def all_of(colour: str, account: Account, path: Path | SQLiteCursor, **options: Any) -> list[str]:
    """Do everything that there is; return the subjects."""
    found = []
    with followed(colour, account, cursor=path, **{"start": "all", **options}, once=True) as one:
        for message in one.messages():
            found.append(subject(message))
            one.do(message.done())
    return found


def test_batches_with_one_done(account: Account, path: Path, colour: str) -> None:
    send(account, *map(str, range(7)))
    with followed(colour, account, cursor=path, start="all", in_flight=2, once=True) as one:
        first = next(batches := one.batches(3, seconds=60))
        assert (len(first), one.mail.lag) == (3, 7)
        one.do(first.done())
        assert one.mail.lag == 4
        second = next(batches)
        assert [subject(message) for message in second] == ["3", "4", "5"]
        # Not done, and still in hand when the program ends.
    assert all_of(colour, account, path) == ["3", "4", "5", "6"]


def test_a_batch_that_is_not_full_comes_after_its_seconds(account: Account, path: Path, colour: str) -> None:
    send(account, "a", "b")
    with followed(colour, account, cursor=path, start="all", **SOON) as one:
        for batch in one.batches(100, seconds=2):  # the second message has that long to come after the first
            assert [subject(message) for message in batch] == ["a", "b"]
            one.do(batch.done())
            one.mail.stop()
    assert all_of(colour, account, path) == []


def test_what_is_in_vain_is_parked_and_the_others_go_on(account: Account, path: Path, colour: str) -> None:
    send(account, "bad", "worse", "good")
    options: dict[str, Any] = {"cursor": path, "start": "all", "deliveries": 2}
    seen = []
    with followed(colour, account, **options, **SOON) as one:
        for event in one.events():
            if isinstance(event, MessageParked):
                seen.append((event.uid, event.deliveries, event.reason))
                if len(seen) == 2:
                    one.mail.stop()
            elif hasattr(event, "done") and subject(event) == "bad":
                one.do(event.retry(after=0.0, reason="no such customer"))
            elif hasattr(event, "done") and subject(event) == "worse":
                one.do(event.reject("a virus"))
            elif hasattr(event, "done"):
                one.do(event.done())
            del event
        assert one.mail.state.parked == 2
        assert sorted((failed.uid, failed.reason) for failed in one.mail.parked()) == [
            (1, "no such customer"),
            (2, "a virus"),
        ]
    assert one.mail.state.parked == 2  # also when it is closed
    assert sorted(seen) == [(1, 2, "no such customer"), (2, 1, "a virus")]
    assert all_of(colour, account, path) == []
    with followed(colour, account, **options, once=True) as one:
        assert one.mail.retry_parked() == 2
        for message in one.messages():
            one.do(message.done())
        assert one.mail.parked() == []


def test_an_exception_ends_the_loop_and_is_the_reason(account: Account, path: Path, colour: str) -> None:
    send(account, "bad", "good")

    def program() -> None:
        with followed(colour, account, cursor=path, start="all", deliveries=2, once=True) as one:
            for message in one.messages():
                assert subject(message) == "bad"
                raise ZeroDivisionError("no customers")

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            program()
    assert all_of(colour, account, path, deliveries=2) == ["good"]
    with followed(colour, account, cursor=path, start="all") as one:
        (failed,) = one.mail.parked()
        assert "ZeroDivisionError: no customers" in failed.reason


def test_seek(account: Account, path: Path, colour: str) -> None:
    send(account, "a", "b", "c")
    assert all_of(colour, account, path, start="new") == []
    for start, found in ((2, ["b", "c"]), ("new", []), ("all", ["a", "b", "c"])):
        with followed(colour, account, cursor=path, start="new", once=True) as one:
            one.mail.seek(start)
            seen = []
            for message in one.messages():
                seen.append(subject(message))
                one.do(message.done())
            assert seen == found


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("old",), "start is"),
        ((0,), "start is"),
        ((True,), "start is"),
        ((-1,), "start is"),
        (("all", "Work"), "'Work' is not followed"),
    ],
)
def test_seek_to_what_is_not(account: Account, path: Path, colour: str, wrong: Any, said: str) -> None:
    with (
        followed(colour, account, cursor=path, start="new") as one,
        pytest.raises(ValueError, match=said),
    ):
        one.mail.seek(*wrong)


@pytest.mark.parametrize("messages", [1, 2, 3])
def test_stop_lets_the_program_end_its_message_and_gives_it_no_other(
    account: Account, path: Path, colour: str, messages: int
) -> None:
    send(account, *"abcd")
    seen = []
    with followed(colour, account, cursor=path, start="all") as one:
        for message in one.messages():
            seen.append(subject(message))
            if len(seen) == messages:
                one.mail.stop()
            one.work(0.05)  # others may have arrived
            one.do(message.done())
    assert "".join(seen) == "abcd"[:messages]
    assert "".join(all_of(colour, account, path)) == "abcd"[messages:]


def test_items_that_the_server_does_not_know(
    account: Account, path: Path, colour: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is delivered, and that is said; the messages are there when the program is mended."""
    send(account, "a")
    with caplog.at_level(logging.WARNING, "fastimap"):
        assert all_of(colour, account, path, items=("NONSENSE",)) == []
    assert any("UID 1 of 'INBOX' could not be delivered" in line for line in caplog.messages)
    with followed(colour, account, cursor=path, start="all", **SOON) as one:
        for event in one.events():
            if hasattr(event, "lag"):
                assert event.lag <= 1
            if getattr(event, "name", "") == "waiting":
                break
        assert one.mail.lag == 1
        assert one.mail.parked() == []


@pytest.mark.parametrize("way", ["rst", "silence"])
@pytest.mark.parametrize("word", [b" STORE ", b" MOVE "])
def test_marks_that_are_cut_are_made_later(
    dovecot: Dovecot, account: Account, path: Path, colour: str, word: bytes, way: Any
) -> None:
    """A mark that fails makes no second ticket."""
    send(account, "a", "b")
    with proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.once = Cut(0, False, way, word)  # on a busy machine a connection may be too slow before it comes to that
        through = Account(
            proxy.host,
            proxy.port,
            user=account.user,
            password=account.password,
            tls=False,
            mechanism="LOGIN",
            timeout=1,
        )
        seen = []
        options: dict[str, Any] = {"mark": "\\Flagged", "move_to": "Trash"}
        with followed(colour, through, cursor=path, start="all", **options, once=True) as one:
            for event in one.events():
                if hasattr(event, "done"):
                    seen.append(subject(event))
                    one.do(event.done())
        assert proxy.done
    assert seen == ["a", "b"]
    with Client(account) as client:
        assert client.select("INBOX").exists == 0
        assert client.select("Trash").exists == 2
        assert all("\\Flagged" in (row.flags or ()) for row in client.fetch("1:*", "FLAGS"))


@pytest.mark.parametrize(
    ("on_reset", "expected"), [("stop", None), ("new", []), ("all", ["a", "b", "c"]), ("match", ["b", "c"])]
)
def test_a_mailbox_that_was_made_anew(
    account: Account, path: Path, colour: str, on_reset: Any, expected: list[str] | None
) -> None:
    with Client(account) as client:
        client.create_mailbox("Work")
    send(account, "a", mailbox="Work")
    options: dict[str, Any] = {"mailboxes": "Work", "on_reset": on_reset}
    assert all_of(colour, account, path, **options) == ["a"]
    make_anew(account, "a", "b", "c")
    if expected is None:
        with pytest.raises(errors.UIDValidityChanged, match="Work"):
            all_of(colour, account, path, **options)
        return
    seen: list[Any] = []
    with followed(colour, account, cursor=path, start="all", **options, once=True) as one:
        for event in one.events():
            if isinstance(event, MailboxReset):
                seen.append("reset")
            elif hasattr(event, "done"):
                seen.append(subject(event))
                one.do(event.done())
    assert seen == ["reset", *expected]
    send(account, "d", mailbox="Work")
    assert all_of(colour, account, path, **options) == ["d"]


@pytest.mark.parametrize("on_reset", ["stop", "new", "all", "match"])
def test_a_cursor_that_is_gone(account: Account, path: Path, colour: str, on_reset: Any) -> None:
    """Nothing is replayed in silence: only who asks for all gets all."""
    send(account, "a", "b")
    assert all_of(colour, account, path) == ["a", "b"]
    for file in path.parent.glob("cursor.sqlite*"):
        if file.suffix in (".sqlite", ".sqlite-wal", ".sqlite-shm"):
            file.unlink()
    if on_reset in ("stop", "match"):
        with pytest.raises(errors.CursorFailed, match="gone"):
            all_of(colour, account, path, on_reset=on_reset)
        return
    assert all_of(colour, account, path, on_reset=on_reset) == (["a", "b"] if on_reset == "all" else [])
    send(account, "c")
    assert all_of(colour, account, path) == ["c"]


def test_two_on_one_cursor(account: Account, path: Path, colour: str) -> None:
    """Each message is one's alone; a lease that somebody else has taken over can't be done any more."""
    send(account, "a", "b")
    clock = Clock()
    its, others = SQLiteCursor(path, clock=clock), SQLiteCursor(path, clock=clock)
    with followed(colour, account, cursor=its, start="all", in_flight=1, lease=300, once=True) as slow:
        mine = next(messages := slow.messages())
        assert subject(mine) == "a"
        slow.mail._renew = lambda: None  # as in a process that is stopped
        clock.now += 400
        assert sorted(all_of(colour, account, others)) == ["a", "b"]
        with pytest.raises(errors.LeaseLost):
            slow.do(mine.done())
        del mine, messages
        gc.collect()
    its.close()
    others.close()
    assert all_of(colour, account, path) == []
