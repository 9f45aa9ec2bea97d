"""follow and AsyncFollow against a real Dovecot: what is done, in vain, parked, lost, deleted, made anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, AsyncFollow, Client, Retry, UIDSet, errors, follow
from fastimap.sessions.cursor import Mark, Place, SQLiteCursor
from fastimap.sessions.follow import Follow, LateMessages, MailboxGone, MailboxReset, Message, MessageParked
from fastimap.sessions.retry import no_waits
from fastimap.testing import IMAPServer
from tests.servers.dovecot import Dovecot
from tests.sessions.test_cursor import Clock
from tests.support.cuts import Cut, proxied

pytestmark = pytest.mark.usefixtures("implementation")

QUICK: dict[str, Any] = {"poll": 0.3, "status_poll": 0.3}


@pytest.fixture
def account(dovecot: Dovecot) -> Account:
    user = dovecot.new_user()
    return Account(
        dovecot.host, dovecot.port, user=user, password=dovecot.password, tls=False, mechanism="LOGIN", timeout=20
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cursor.sqlite"


def send(account: Account, *subjects: str, mailbox: str = "INBOX") -> None:
    with Client(account) as client:
        for subject in subjects:
            client.append(mailbox, f"Subject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nHi\r\n".encode())


def subject(message: Any) -> str:
    return message.envelope.subject or ""


def all_of(account: Account, path: Path | SQLiteCursor, **options: Any) -> list[str]:
    """Do everything that there is; return the subjects."""
    found = []
    with follow(account, cursor=path, **{"start": "all", **options}, once=True) as mail:
        for message in mail:
            found.append(subject(message))
            message.done()
    return found


def test_what_is_done_does_not_come_again(account: Account, path: Path) -> None:
    send(account, "a", "b")
    assert all_of(account, path) == ["a", "b"]
    send(account, "c")
    assert all_of(account, path) == ["c"]
    assert all_of(account, path) == []


def test_where_to_begin(account: Account, tmp_path: Path) -> None:
    send(account, "a")
    assert all_of(account, tmp_path / "new", start="new") == []
    assert all_of(account, tmp_path / "today", start=date.today() - timedelta(1)) == ["a"]
    assert all_of(account, tmp_path / "tomorrow", start=date.today() + timedelta(2)) == []
    send(account, "b")
    for name in ("new", "today", "tomorrow"):
        assert all_of(account, tmp_path / name) == ["b"]


def test_an_exception_gives_the_message_back_and_parks_it_in_the_end(account: Account, path: Path) -> None:
    send(account, "poison", "good")
    done: list[str] = []

    def handle() -> None:
        with follow(account, cursor=path, start="all", once=True, deliveries=3) as mail:
            for message in mail:
                if subject(message) == "poison":
                    raise ZeroDivisionError("no such customer")
                done.append(subject(message))
                message.done()

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            handle()
    handle()
    assert done == ["good"]
    with follow(account, cursor=path, start="all", once=True) as mail:
        (failed,) = mail.parked()
        assert (failed.uid, failed.deliveries, failed.reason) == (1, 3, "ZeroDivisionError: no such customer")
        assert mail.state.parked == 1
        assert mail.retry_parked() == 1
        assert [subject(message) for message in mail] == ["poison"]


def test_reject_parks_and_says_so(account: Account, path: Path) -> None:
    send(account, "spam")
    seen = []
    with follow(account, cursor=path, start="all", once=True) as mail:
        for event in mail.events():
            if isinstance(event, Message):
                event.reject("spam")
            elif isinstance(event, MessageParked):
                seen.append(event)
        assert seen == [MessageParked("INBOX", 1, 1, "spam")]
    assert all_of(account, path) == []


def test_what_a_killed_worker_had_is_not_passed_over_in_silence(
    account: Account, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is leased until its time is over: who does not wait for that is told so."""
    send(account, "a")
    assert all_of(account, path) == ["a"]
    send(account, "b", "c")
    killed = SQLiteCursor(path)
    place = Place(f"{account.user}@{account.host}", "INBOX")
    mark = killed.mark(place)
    assert mark is not None
    assert [lease.uid for lease in killed.lease(place, mark.uid_validity, [2, 3], 2, 300)] == [2, 3]
    killed.close()
    caplog.set_level(logging.INFO, "fastimap")
    with follow(account, cursor=path, start="all", once=True) as mail:
        assert list(mail) == []
        assert mail.lag == 2
    (said,) = [text for record in caplog.records if "delivered later" in (text := record.getMessage())]
    assert said.startswith("2 messages are")
    assert "killed" in said


def test_retry_comes_again(account: Account, path: Path) -> None:
    send(account, "a")
    with follow(account, cursor=path, start="all", **QUICK) as mail:
        for message in mail:
            if message.deliveries < 3:
                message.retry(after=0.05)
            else:
                message.done()
                mail.stop()
    assert all_of(account, path) == []


def test_a_retry_that_does_not_count_parks_nothing(account: Account, path: Path) -> None:
    send(account, "a")
    times = 0
    with follow(account, cursor=path, start="all", deliveries=1, **QUICK) as mail:
        for message in mail:
            times += 1
            assert message.deliveries == 1
            if times < 3:
                message.retry(after=0.05, counted=False)
            else:
                message.done()
                mail.stop()
        assert mail.parked() == []
    assert all_of(account, path) == []


def test_a_message_that_is_let_go_of_is_given_back(account: Account, path: Path) -> None:
    send(account, "a", "b")
    with follow(account, cursor=path, start="all", once=True) as mail:
        assert [subject(message) for message in mail] == ["a", "b"]
    cursor = SQLiteCursor(path)
    place = Place(f"{account.user}@{account.host}", "INBOX")
    assert cursor.unfinished(place)[0] == 2
    assert cursor.mark(place).done == UIDSet()  # type: ignore[union-attr]
    cursor.close()


def test_a_lease_that_is_lost(account: Account, path: Path) -> None:
    """A program that was stopped for longer than its lease learns it at done(), and its transaction is undone."""
    send(account, "a")
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE tickets (uid INTEGER)")
    with follow(account, cursor=path, start="all", once=True) as mail:
        (message,) = mail
        other = sqlite3.connect(path)
        with other:  # the lease ends, and another worker takes it
            other.execute("UPDATE fastimap_messages SET token = 'theirs'")
        other.close()

        def too_late() -> None:
            with db:
                db.execute("INSERT INTO tickets VALUES (?)", (message.uid,))
                message.done(db)

        with pytest.raises(errors.LeaseLost):
            too_late()
    assert db.execute("SELECT * FROM tickets").fetchall() == []
    db.close()


def test_workers_get_different_messages(account: Account, path: Path) -> None:
    send(account, *map(str, range(40)))
    found: list[str] = []

    def work() -> None:
        with follow(account, cursor=path, start="all", once=True, in_flight=3) as mail:
            for message in mail:
                found.append(subject(message))
                message.done()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found += all_of(account, path)
    assert sorted(found, key=int) == [str(number) for number in range(40)]


def test_done_messages_are_marked_and_moved(account: Account, path: Path) -> None:
    send(account, "a", "b")
    for _ in range(2):  # what a program that ended left in the queue is worked off by the next
        all_of(account, path, mark="\\Flagged", move_to="Trash")
    with Client(account) as client:
        assert client.select("INBOX").exists == 0
        assert client.select("Trash").exists == 2
        assert all("\\Flagged" in (row.flags or ()) for row in client.fetch("1:*", "FLAGS"))


def test_a_mark_that_fails_makes_no_second_ticket(account: Account, path: Path) -> None:
    send(account, "a")
    assert all_of(account, path, mark="\\Odd") == ["a"]  # which Dovecot refuses
    assert all_of(account, path, mark="\\Odd") == []
    assert all_of(account, path, mark="\\Flagged") == []
    with Client(account) as client:
        client.select("INBOX")
        assert [row.flags for row in client.fetch(1, "FLAGS") if "\\Flagged" in (row.flags or ())]


def test_stop_wakes_a_loop_that_waits(account: Account, path: Path) -> None:
    with follow(account, cursor=path, start="new") as mail:
        threading.Timer(0.3, mail.stop).start()
        assert list(mail) == []
    assert mail.state.name == "stopped"


def make_anew(account: Account, *subjects: str) -> None:
    with Client(account) as client:
        client.delete_mailbox("Work")
    time.sleep(1.1)  # Dovecot's UIDVALIDITY is a time in seconds
    with Client(account) as client:
        client.create_mailbox("Work")
    send(account, *subjects, mailbox="Work")


def test_a_mailbox_that_is_deleted_and_made_anew_while_it_is_followed(account: Account, path: Path) -> None:
    with Client(account) as client:
        client.create_mailbox("Work")
    send(account, "a", mailbox="Work")
    seen: list[Any] = []
    with no_waits(), follow(account, "Work", cursor=path, start="all", on_reset="all", **QUICK) as mail:
        for event in mail.events():
            if isinstance(event, Message):
                seen.append(subject(event))
                event.done()
                if subject(event) == "a":
                    with Client(account) as client:
                        client.delete_mailbox("Work")
                else:
                    mail.stop()
            elif isinstance(event, MailboxGone):
                seen.append("gone")
                threading.Thread(target=recreate, args=(account,)).start()
            elif isinstance(event, MailboxReset):
                seen.append("reset")
    assert seen == ["a", "gone", "reset", "b"]


def recreate(account: Account) -> None:
    time.sleep(1.1)
    with Client(account) as client:
        client.create_mailbox("Work")
    send(account, "b", mailbox="Work")


def test_a_mailbox_that_never_was_is_an_error(account: Account, path: Path) -> None:
    with pytest.raises(errors.MailboxNotFound):
        all_of(account, path, mailboxes="Missing")


def test_a_mailbox_that_never_was_is_found_before_mail_is_delivered(account: Account, path: Path) -> None:
    send(account, "a", "b")
    with (
        follow(account, ["INBOX", "Missing"], cursor=path, start="all", connections=1, once=True) as mail,
        pytest.raises(errors.MailboxNotFound, match="Missing"),
    ):
        next(iter(mail))
    assert all_of(account, path) == ["a", "b"]


def test_a_refused_password_ends_it_at_once(dovecot: Dovecot, account: Account, path: Path) -> None:
    wrong = Account(account.host, account.port, user=account.user, password="wrong", tls=False, mechanism="LOGIN")
    with follow(wrong, cursor=path, start="all") as mail:
        with pytest.raises(errors.AuthenticationFailed):
            list(mail)
        assert mail.state.name == "failed"
        assert "AuthenticationFailed" in mail.state.error
        assert mail._budget.logins == 1


@pytest.mark.slow
@pytest.mark.parametrize("burst", [100, 1])
def test_an_outage_ends_it_where_the_program_wants_that(path: Path, burst: int) -> None:
    """Also where the next login would not be due for a minute."""
    nobody = Account("127.0.0.1", 1, user="ann", password="x", tls=False, timeout=5)
    with (
        follow(
            nobody, cursor=path, start="all", max_outage=0.3, retry=Retry(first=0.05, longest=0.05, burst=burst)
        ) as mail,
        pytest.raises(errors.FollowOutage, match="max_outage"),
    ):
        list(mail)


def test_a_message_below_the_floor_that_appears_late_is_found_by_count(account: Account, path: Path) -> None:
    send(account, *"abcdef")
    assert all_of(account, path) == list("abcdef")
    cursor = SQLiteCursor(path)
    place = Place(f"{account.user}@{account.host}", "INBOX")
    before = cursor.mark(place)
    assert before is not None
    # As if UID 3 had not been there when the floor rose over it.
    cursor.reset(
        place,
        Mark(before.uid_validity, UIDSet("1:2,4:6"), floor=7, audited=time.time()),
        uid_validity=before.uid_validity,
    )
    cursor.looked(place, Mark(before.uid_validity, UIDSet(), floor=7, below=5, audited=time.time()), floor=7)
    cursor.close()
    seen = []
    with follow(account, cursor=path, start="all", once=True) as mail:
        for event in mail.events():
            if isinstance(event, Message):
                seen.append(subject(event))
                event.done()
            elif isinstance(event, LateMessages):
                seen.append(str(event.uids))
    assert seen == ["(3,)", "c"]


@pytest.mark.parametrize("way", ["rst", "fin", "kill"])
def test_cuts_while_it_fetches_and_waits(dovecot: Dovecot, account: Account, path: Path, way: Any) -> None:
    send(account, *map(str, range(20)))
    with proxied(account.host, account.port or 0) as proxy, no_waits():
        proxy.cuts.extend([Cut(300, True, way), Cut(2000, True, way), Cut(4000, True, way)])
        there = Account(
            proxy.host,
            proxy.port,
            user=account.user,
            password=account.password,
            tls=False,
            mechanism="LOGIN",
            timeout=20,
        )
        found = []
        with follow(there, cursor=path, start="all", retry=Retry(burst=1000), **QUICK) as mail:
            for message in mail:
                found.append(subject(message))
                message.done()
                if len(found) == 20:
                    send(account, "more")
                if subject(message) == "more":
                    mail.stop()
        assert found == [*map(str, range(20)), "more"]


def renewed(path: Path, clock: Clock, lease: float) -> bool:
    """Return whether all leases were renewed at the present time of a cursor's clock."""
    db = sqlite3.connect(path, timeout=30)
    (ends,) = db.execute("SELECT min(until) FROM fastimap_messages WHERE state = 'leased'").fetchone()
    db.close()
    return float(ends) >= clock.now + lease


def test_a_slow_handler_keeps_its_lease(account: Account, path: Path) -> None:
    """Of three leases' time by the cursors' clock, which goes on where it was renewed: a machine may be slow."""
    send(account, "a")
    clock, lease = Clock(), 0.6
    mine, others = SQLiteCursor(path, clock=clock), SQLiteCursor(path, clock=clock)
    with follow(account, cursor=mine, start="all", lease=lease) as mail:
        for message in mail:
            for _ in range(4):
                clock.now += 0.75 * lease
                end = time.monotonic() + 30
                while not renewed(path, clock, lease) and time.monotonic() < end:
                    time.sleep(0.01)
            assert all_of(account, others) == []  # another worker does not get it
            message.done()
            mail.stop()
    mine.close()
    others.close()


def test_asyncfollow(account: Account, path: Path) -> None:
    send(account, "a", "b", "c", "d")

    async def main() -> list[str]:
        found = []
        async with AsyncFollow(account, cursor=path, start="all", deliveries=2, **QUICK) as mail:
            async for message in mail:
                name = subject(message)
                found.append(name)
                if name == "a" and message.deliveries == 1:
                    await message.retry(after=0.05)
                elif name == "b":
                    await message.reject("no")
                else:
                    await message.done()
                if len(found) == 5:
                    mail.stop()
            assert [failed.uid for failed in mail.parked()] == [2]
        async with AsyncFollow(account, cursor=path, start="all", once=True) as mail:
            assert [message async for message in mail] == []
            assert mail.retry_parked() == 1
        async with AsyncFollow(account, cursor=path, start="all", once=True) as mail:
            async for batch in mail.batches(10, seconds=0.1):
                found += map(subject, batch)
                await batch.done()
        return found

    assert asyncio.run(main()) == ["a", "b", "c", "d", "a", "b"]


@pytest.fixture(params=["NOTIFY", "IDLE", "STATUS"])
def told_by(request: pytest.FixtureRequest, dovecot: Dovecot, server: IMAPServer) -> tuple[Account, dict[str, Any]]:
    """How news of several mailboxes comes: with the options by which it would not come in time otherwise."""
    if request.param == "NOTIFY":  # one connection of a Dovecot, which has it
        user = dovecot.new_user()
        account = Account(
            dovecot.host, dovecot.port, user=user, password=dovecot.password, tls=False, mechanism="LOGIN", timeout=20
        )
        return account, {"connections": 1, "poll": 3600.0, "status_poll": 3600.0}
    account = Account(server.host, server.port, user="user", password="password", tls=False, mechanism="LOGIN")
    if request.param == "IDLE":  # a connection for each mailbox
        return account, {"connections": 3, "poll": 3600.0, "status_poll": 3600.0}
    return account, {"connections": 1, "poll": 3600.0, "status_poll": 0.2}


def mailboxes_of(account: Account) -> list[str]:
    with Client(account) as client:
        for name in ("Sales", "Support"):
            client.create_mailbox(name)
    return ["INBOX", "Sales", "Support"]


def test_several_mailboxes(told_by: tuple[Account, dict[str, Any]], path: Path) -> None:
    account, options = told_by
    names = mailboxes_of(account)
    expected = {(name, f"{name} {turn}") for name in names for turn in range(3)}
    found: list[tuple[str, str]] = []
    for name in names:
        send(account, f"{name} 0", mailbox=name)
    with follow(account, names, cursor=path, start="all", **options) as mail:
        alarm = threading.Timer(60, mail.stop)
        alarm.start()
        for message in mail:
            name, said = message.mailbox, subject(message)
            found.append((name, said))
            message.done()
            turn = int(said.split()[1])
            if turn < 2:
                send(account, f"{name} {turn + 1}", mailbox=name)
            if len(found) == len(expected):
                mail.stop()
        alarm.cancel()
    assert sorted(found) == sorted(expected)


def test_several_mailboxes_under_asyncio(told_by: tuple[Account, dict[str, Any]], path: Path) -> None:
    account, options = told_by
    names = mailboxes_of(account)
    expected = {(name, f"{name} {turn}") for name in names for turn in range(3)}
    found: list[tuple[str, str]] = []
    for name in names:
        send(account, f"{name} 0", mailbox=name)

    async def main() -> None:
        async with AsyncFollow(account, names, cursor=path, start="all", **options) as mail, asyncio.timeout(60):
            async for message in mail:
                name, said = message.mailbox, subject(message)
                found.append((name, said))
                await message.done()
                turn = int(said.split()[1])
                if turn < 2:
                    await asyncio.to_thread(send, account, f"{name} {turn + 1}", mailbox=name)
                if len(found) == len(expected):
                    mail.stop()

    asyncio.run(main())
    assert sorted(found) == sorted(expected)


def test_asyncfollow_that_is_cancelled_gives_all_back(account: Account, path: Path) -> None:
    send(account, "a", "b")

    async def main() -> None:
        at_work = asyncio.Event()

        async def work() -> None:
            async with AsyncFollow(account, cursor=path, start="all") as mail:
                async for message in mail:
                    at_work.set()
                    await asyncio.sleep(60)
                    await message.done()

        task = asyncio.ensure_future(work())
        await asyncio.wait_for(at_work.wait(), 30)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert all_of(account, path) == ["a", "b"]


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"start": "old"}, ValueError),
        ({"mailboxes": []}, ValueError),
        ({"mailboxes": [b"INBOX"]}, TypeError),
        ({"items": "ENVELOPE"}, TypeError),
        ({"mark": ["\\Seen"]}, TypeError),
        ({"mark": b"\\Seen"}, TypeError),
        ({"on_reset": "go on"}, ValueError),
        ({"lease": 0}, ValueError),
        ({"deliveries": 0}, ValueError),
        ({"account": "imap.example.org"}, TypeError),
    ],
)
def test_wrong_arguments(path: Path, wrong: dict[str, Any], error: type[Exception]) -> None:
    given = {"account": Account("imap.example.org"), "start": "all", "cursor": path, **wrong}
    with pytest.raises(error):
        Follow(given.pop("account"), **given)
    assert not path.exists()
