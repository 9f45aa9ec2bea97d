"""How a follower stays alive: a clock that jumps, a program that wakes it, leases that it extends, the daily audit."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastimap import Account, AsyncFollow, Client, Retry, UIDSet, follow
from fastimap.sessions.cursor import Mark, Place, SQLiteCursor
from fastimap.sessions.follow import LateMessages, MailboxGone, Message, body
from fastimap.sessions.retry import no_waits
from fastimap.testing import IMAPServer
from fastimap.types import Reconnected
from tests.sessions.test_cursor import Clock
from tests.sessions.test_follow import account, all_of, make_anew, path, send, subject
from tests.support.cuts import Cut, proxied

__all__ = ["account", "path"]

pytestmark = pytest.mark.usefixtures("implementation")

FOR_EVER: dict[str, Any] = {"poll": 86_400.0, "status_poll": 86_400.0}


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the wall clock of followers jump; they look at it every moment."""
    wall = SimpleNamespace(ahead=0.0)
    monkeypatch.setattr(body, "time", SimpleNamespace(time=lambda: time.time() + wall.ahead))
    monkeypatch.setattr(body, "_LOOK_AT_CLOCK", 0.05)
    return wall


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_jump_of_the_wall_clock_means_reconnect_now(account: Account, path: Path, jump: Any, seconds: float) -> None:
    """As a laptop's that slept: its link may be dead and not look so. Nothing else would be looked at for a day."""
    seen: list[Any] = []

    def act() -> None:
        while mail.state.name != "waiting":
            time.sleep(0.01)
        jump.ahead = seconds

    with no_waits(), follow(account, cursor=path, start="new", **FOR_EVER) as mail:
        threading.Thread(target=act).start()
        for event in mail.events():
            if isinstance(event, Reconnected):
                seen.append("reconnected")
                send(account, "after")
            elif isinstance(event, Message):
                seen.append(subject(event))
                event.done()
                mail.stop()
    assert seen == ["reconnected", "after"]


def test_a_jump_of_the_wall_clock_under_asyncio(account: Account, path: Path, jump: Any) -> None:
    async def main() -> list[str]:
        seen = []
        with no_waits():
            async with AsyncFollow(account, cursor=path, start="new", **FOR_EVER) as mail:
                async for event in mail.events():
                    if getattr(event, "name", "") == "waiting" and not jump.ahead:
                        jump.ahead = 3600.0
                    if isinstance(event, Reconnected):
                        seen.append("reconnected")
                        mail.stop()
        return seen

    assert asyncio.run(main()) == ["reconnected"]


def test_a_clock_that_is_set_a_little_means_nothing(account: Account, path: Path, jump: Any) -> None:
    seen = []

    def act() -> None:
        while mail.state.name != "waiting":
            time.sleep(0.01)
        jump.ahead = 10.0
        time.sleep(0.3)  # it looks six times
        send(account, "told")

    with follow(account, cursor=path, start="new", **FOR_EVER) as mail:
        threading.Thread(target=act).start()
        for event in mail.events():
            assert not isinstance(event, Reconnected)
            if isinstance(event, Message):
                seen.append(subject(event))
                event.done()
                mail.stop()
    assert seen == ["told"]


def test_wake_looks_now(server: IMAPServer, path: Path) -> None:
    """Of several mailboxes on one connection only the last is selected, and STATUS of the others is due in a day."""
    account = Account(server.host, server.port, user="user", password="password", tls=False, mechanism="LOGIN")
    with Client(account) as client:
        client.create_mailbox("Support")
    seen = []

    def act() -> None:
        while mail.state.name != "waiting":
            time.sleep(0.01)
        send(account, "a", mailbox="Support")
        time.sleep(0.3)
        seen.append("wake")
        mail.wake()

    with follow(account, ["Support", "INBOX"], cursor=path, start="new", connections=1, **FOR_EVER) as mail:
        threading.Thread(target=act).start()
        for message in mail:
            seen.append(subject(message))
            message.done()
            mail.stop()
    assert seen == ["wake", "a"]


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
def test_a_wake_that_comes_as_the_wait_begins(
    server: IMAPServer, path: Path, monkeypatch: pytest.MonkeyPatch, colour: str
) -> None:
    """All has been looked at, and nothing is waited for yet: it counts as one that comes a moment later."""
    account = Account(server.host, server.port, user="user", password="password", tls=False, mechanism="LOGIN")
    with Client(account) as client:
        client.create_mailbox("Support")
    seen: list[str] = []

    def woken(mail: Any) -> Any:
        note = mail.at

        def at(connection: Any, name: Any, until: float | None = None) -> None:
            note(connection, name, until)
            if name == "waiting" and not seen:
                seen.append("wake")
                send(account, "a", mailbox="Support")
                mail.wake()

        monkeypatch.setattr(mail, "at", at)
        return mail

    options: dict[str, Any] = {"cursor": path, "start": "new", "connections": 1, **FOR_EVER}

    async def main() -> None:
        async with asyncio.timeout(60), AsyncFollow(account, ["Support", "INBOX"], **options) as mail:
            async for message in woken(mail):
                seen.append(subject(message))
                await message.done()
                mail.stop()

    if colour == "asyncio":
        asyncio.run(main())
    else:
        with follow(account, ["Support", "INBOX"], **options) as mail:
            overdue = threading.Timer(60, mail.stop)
            overdue.start()
            for message in woken(mail):
                seen.append(subject(message))
                message.done()
                mail.stop()
            overdue.cancel()
    assert seen == ["wake", "a"]


@pytest.mark.slow
@pytest.mark.parametrize("connections", [pytest.param(3, id="under way"), pytest.param(2, id="of long ago")])
@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
def test_a_wake_while_a_connection_is_tried_shortens_the_wait_after_it(
    server: IMAPServer, path: Path, monkeypatch: pytest.MonkeyPatch, colour: str, connections: int
) -> None:
    """Another network is there, and what was tried on the one before fails later: nobody waits an hour then.

    A wake that was before all that means nothing any more.
    """
    hour = Retry(first=3600.0, longest=3600.0, random=lambda: 0.0 if proxy.connections == 1 else 1.0)
    options: dict[str, Any] = {"cursor": path, "start": "new", "retry": hour, **FOR_EVER}
    seen: list[Any] = []

    def end(mail: Any) -> None:
        seen.append(proxy.connections)
        mail.stop()

    def woken(mail: Any) -> Any:
        note = mail.at

        def at(connection: Any, name: Any, until: float | None = None) -> None:
            note(connection, name, until)
            if connections == 3 and name == "connecting" and until is None and proxy.connections == 1:
                mail.wake()
            if connections == 2 and name == "waiting" and not mail.wakes:
                mail.wake()
            if connections == 2 and name == "connecting" and until is not None:
                threading.Timer(0.5, end, [mail]).start()

        monkeypatch.setattr(mail, "at", at)
        return mail

    def take(mail: Any, event: Any) -> None:
        if isinstance(event, Reconnected):
            end(mail)

    async def main(account: Account) -> None:
        async with asyncio.timeout(60), AsyncFollow(account, **options) as mail:
            async for event in woken(mail).events():
                take(mail, event)

    with proxied(server.host, server.port) as proxy:
        proxy.cuts += [Cut(0, False, "rst", b"IDLE"), Cut(0, True, "rst")]
        account = Account(proxy.host, proxy.port, user="user", password="password", tls=False, mechanism="LOGIN")
        if colour == "asyncio":
            asyncio.run(main(account))
        else:
            with follow(account, **options) as mail:
                overdue = threading.Timer(60, mail.stop)
                overdue.start()
                for event in woken(mail).events():
                    take(mail, event)
                overdue.cancel()
    assert seen == [connections]


def test_an_extended_lease_outlives_the_program(account: Account, path: Path) -> None:
    """Two messages of a program that died: the one that it extended is its own longer than the other."""
    send(account, "kept", "lost")
    clock = Clock()
    dead = follow(account, cursor=SQLiteCursor(path, clock=clock), start="all", lease=300.0)
    taken = iter(dead)
    kept, lost = next(taken), next(taken)
    assert (subject(kept), subject(lost)) == ("kept", "lost")
    kept.extend(2000.0)

    def others() -> list[str]:
        cursor = SQLiteCursor(path, clock=clock)
        found = []
        with follow(account, cursor=cursor, start="all", once=True) as mail:
            for message in mail:
                found.append(subject(message))
                message.done()
        return found

    clock.now += 200.0
    assert others() == []
    clock.now += 200.0
    assert others() == ["lost"]
    clock.now += 1700.0
    assert others() == ["kept"]
    dead.close()


@pytest.mark.parametrize("due", [True, False])
def test_the_daily_audit(account: Account, path: Path, due: bool) -> None:
    """A message that appeared late, where another one went at the same time: the count does not show it."""
    send(account, *"abcdef")
    assert all_of(account, path) == list("abcdef")
    cursor = SQLiteCursor(path)
    place = Place(f"{account.user}@{account.host}", "INBOX")
    before = cursor.mark(place)
    assert before is not None
    # As if UID 3 had not been there when the floor rose over it, and UID 0, say, had.
    audited = time.time() - (90_000 if due else 80_000)
    done = Mark(before.uid_validity, UIDSet("1:2,4:6"), floor=7, audited=audited)
    cursor.reset(place, done, uid_validity=before.uid_validity)
    cursor.looked(place, Mark(before.uid_validity, UIDSet(), floor=7, below=6, audited=audited), floor=7)
    cursor.close()
    seen: list[Any] = []
    with follow(account, cursor=path, start="all", once=True) as mail:
        for event in mail.events():
            if isinstance(event, Message):
                seen.append(subject(event))
                event.done()
            elif isinstance(event, LateMessages):
                seen.append(event.uids)
    assert seen == ([(3,), "c"] if due else [])
    assert all_of(account, path) == []


def test_messages_are_known_again_by_emailid(cyrus_3_6: Any, path: Path) -> None:
    """A mailbox made anew on a server that has OBJECTID: of two equal messages each counts once."""
    user = cyrus_3_6.new_user()
    login: dict[str, Any] = {"user": user, "password": cyrus_3_6.password, "tls": False, "mechanism": "LOGIN"}
    account = Account(cyrus_3_6.host, cyrus_3_6.port, **login, timeout=20)
    with Client(account) as client:
        assert client.session.has("OBJECTID")
        client.create_mailbox("Work")
    options: dict[str, Any] = {"mailboxes": "Work", "on_reset": "match"}
    send(account, "a", "b", "b", mailbox="Work")
    assert all_of(account, path, **options) == ["a", "b", "b"]
    cursor = SQLiteCursor(path)
    known = cursor.identities(Place(f"{user}@{account.host}", "Work"))
    cursor.close()
    assert all(identity.startswith(b"id ") for identity in known)
    assert sorted(known.values()) == [1, 2]
    make_anew(account, "b", "c", "b", "b", "a")
    assert sorted(all_of(account, path, **options)) == ["b", "c"]
    assert all_of(account, path, **options) == []


def test_lag_counts_what_waits(account: Account, path: Path) -> None:
    send(account, "a", "b", "c")
    lags = []
    with follow(account, cursor=path, start="all", once=True) as mail:
        for message in mail:
            lags.append(mail.lag)
            message.done()
        assert mail.lag == 0
        assert 0 <= mail.state.age < 60
    assert lags == [3, 2, 1]


def test_a_mailbox_that_is_renamed_while_it_is_followed(account: Account, path: Path) -> None:
    """It is gone, and comes back by its name: what was done in it is not done again."""
    with Client(account) as client:
        client.create_mailbox("Work")
    send(account, "a", mailbox="Work")
    seen: list[Any] = []
    with no_waits(), follow(account, "Work", cursor=path, start="all", poll=0.3, status_poll=0.3) as mail:
        for event in mail.events():
            if isinstance(event, Message):
                seen.append(subject(event))
                event.done()
                if subject(event) == "b":
                    mail.stop()
                else:
                    with Client(account) as client:
                        client.rename_mailbox("Work", "Elsewhere")
            elif isinstance(event, MailboxGone):
                seen.append("gone")
                with Client(account) as client:
                    client.rename_mailbox("Elsewhere", "Work")
                send(account, "b", mailbox="Work")
    assert seen == ["a", "gone", "b"]
