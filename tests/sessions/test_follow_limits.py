"""No state of a follower lasts without a limit, and what it says of itself is so. Both colours, a real Dovecot."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, Timeouts, UIDSet, errors
from fastimap.search import all_, uid
from fastimap.sessions.cursor import SQLiteCursor
from fastimap.sessions.follow import FollowState, Message, _base, blocking, body
from fastimap.sessions.follow import asyncio as by_asyncio
from fastimap.sessions.follow.message import AsyncMessage
from fastimap.sessions.retry import no_waits
from fastimap.testing import IMAPServer
from fastimap.types import Reconnected, SearchResult
from tests.imaplib.scripted import Peer, Server
from tests.servers.dovecot import Dovecot
from tests.sessions.followers import COLOURS, followed
from tests.sessions.test_cursor import Clock
from tests.sessions.test_follow import account, path, renewed, send, subject
from tests.support.cuts import Cut, Proxy, proxied

__all__ = ["account", "path"]

pytestmark = pytest.mark.usefixtures("implementation")

FOR_EVER: dict[str, Any] = {"poll": 86_400.0, "status_poll": 86_400.0, "max_outage": None}


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have what takes minutes or a day take so many seconds."""

    def set_to(**constants: float) -> None:
        for module in (_base, blocking, by_asyncio):
            for name, seconds in constants.items():
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, seconds)

    return set_to


def is_message(event: Any) -> bool:
    return isinstance(event, (Message, AsyncMessage))


def through(proxy: Proxy, account: Account, **more: Any) -> Account:
    return replace(account, host=proxy.host, port=proxy.port, **more)


STAGES = {
    "greeting": Cut(0, True, "silence"),
    "login": Cut(0, False, "silence", b" AUTHENTICATE "),
    "select": Cut(0, False, "silence", b" EXAMINE "),
    "search": Cut(0, False, "silence", b" SEARCH "),
    "sizes and rows": Cut(0, True, "silence", b" FETCH ("),
    "idle": Cut(0, False, "silence", b" IDLE"),
    "renewal of idle": Cut(0, False, "silence", b"DONE"),
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_falls_silent(
    dovecot: Dovecot, account: Account, path: Path, colour: str, soon: Callable[..., None], stage: str
) -> None:
    """Whenever that is, and though the account has no deadlines: it is found out, and the mail comes."""
    soon(RENEW=0.6)
    send(account, "before")
    seen, states = [], []
    with proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.once = STAGES[stage]  # on a busy machine a connection may be too slow before it comes to that
        silent = through(proxy, account, timeout=None)
        with followed(colour, silent, cursor=path, start="all", **FOR_EVER) as one:
            for event in one.events():
                if isinstance(event, FollowState):
                    states.append(event.name)
                if is_message(event):
                    seen.append(subject(event))
                    one.do(event.done())
                    if len(seen) == 2:
                        one.mail.stop()
                    else:
                        send(account, "after")
        assert proxy.done
        assert proxy.connections >= 2
    assert seen == ["before", "after"]
    assert "catching up" in states


@pytest.mark.parametrize("timeout", [None, 20, 7200, Timeouts(None, None, None), Timeouts(1, 3600, None)])
def test_nobody_is_blind_for_more_than_twice_the_time_of_an_idle(account: Account, path: Path, timeout: Any) -> None:
    """An IDLE is renewed after 9 minutes; its end, as every answer, is awaited for no longer than that."""
    with followed("blocking", replace(account, timeout=timeout), cursor=path, start="new") as one:
        client, _ = one.mail._client()
        given = client._settings.timeouts
        assert given.connect is not None
        assert given.response is not None
        assert max(given.connect, given.response) <= _base.RENEW == 540
        if timeout == 20:
            assert (given.connect, given.response) == (20, 20)
        client.close()


def test_the_age_is_that_of_the_servers_last_word(
    dovecot: Dovecot, account: Account, path: Path, colour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at the clock, or at the cursor, is no sign of life of the server."""
    from fastimap.sessions.follow import body

    monkeypatch.setattr(body, "_LOOK_AT_CLOCK", 0.02)
    ages: list[float] = []

    def watch(mail: Any) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until and (not ages or ages[-1] < 1.0):
            time.sleep(0.05)
            ages.append(mail.state.age)
        mail.stop()

    with proxied(dovecot.host, dovecot.port) as proxy:
        proxy.cuts.append(STAGES["idle"])
        with followed(colour, through(proxy, account), cursor=path, start="all", **FOR_EVER) as one:
            thread = threading.Thread(target=watch, args=(one.mail,))
            thread.start()
            for _ in one.events():
                pass
            thread.join()
    assert ages[-1] >= 1.0


def test_of_several_connections_the_one_that_is_worst_off_counts(account: Account, path: Path) -> None:
    with followed("blocking", account, ["INBOX", "Drafts"], cursor=path, start="new") as one:
        mail = one.mail
        (first, its), (second, other) = mail._client(), mail._client()
        for connection in (its, other):
            mail.at(connection, "waiting")
        assert mail.state.name == "waiting"
        mail.at(other, "throttled", 1e10)
        mail.at(its, "catching up")
        assert (mail.state.name, mail.state.until) == ("throttled", 1e10)
        mail.at(its, "waiting")
        mail.at(other, "connecting")
        assert (mail.state.name, mail.state.until) == ("connecting", None)
        mail.at(other, "catching up")
        assert mail.state.name == "catching up"
        mail._going[its].alive_at -= 100.0
        assert mail.state.age >= 100.0
        first.close()
        second.close()


def test_a_server_that_asks_to_wait(account: Account, path: Path, colour: str, serve: Callable[..., Server]) -> None:
    """Until when stands in the state; what is longer than the longest outage ends it."""

    def script(peer: Peer) -> None:
        peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
        tag = peer.line().split(b" ")[0]
        peer.send(tag + b" NO [UNAVAILABLE] Request is throttled. Suggested Backoff Time: 300000 milliseconds\r\n")
        peer.line()

    server = serve(script)
    throttled = Account("127.0.0.1", server.port, tls=False)
    with followed(colour, throttled, cursor=path, start="new", max_outage=None) as one:
        before = time.time()
        for event in one.events():
            if getattr(event, "name", "") == "throttled":
                assert before + 300 <= event.until <= time.time() + 301
                one.mail.stop()
    again = replace(throttled, port=serve(script).port)
    with (
        followed(colour, again, cursor=path, start="new", max_outage=60) as one,
        pytest.raises(errors.FollowOutage, match="throttled"),
    ):
        for _ in one.events():
            pass
    assert one.mail.state.name == "failed"


def test_messages_that_are_never_let_go_of(
    account: Account, path: Path, colour: str, soon: Callable[..., None]
) -> None:
    """A program that has its hands full gets no more; after a day what it has does not count."""
    soon(_LONGEST=0.3, _KEEP=0.05)
    send(account, "a", "b", "c")
    kept = []
    with followed(colour, account, cursor=path, start="all", in_flight=2, **FOR_EVER) as one:
        for event in one.events():
            if is_message(event):
                kept.append(event)
                if len(kept) == 3:
                    for message in kept:  # nobody else took them meanwhile
                        one.do(message.done())
                    one.mail.stop()
    assert sorted(map(subject, kept)) == ["a", "b", "c"]


@pytest.mark.parametrize("messages", [1, 3])
def test_a_handler_of_an_hour_costs_neither_link_nor_lease(
    dovecot: Dovecot, account: Account, path: Path, colour: str, soon: Callable[..., None], messages: int
) -> None:
    """Something is said on the connection, though its next messages wait, so that nobody on the way forgets it."""
    soon(_KEEP=0.05, QUIET=0.1)
    send(account, *("abc"[:messages]))
    clock, lease = Clock(), 0.6
    clock.now = time.time()  # it goes on where the leases were renewed: on a busy machine that may be late
    cursor = SQLiteCursor(path, clock=clock)
    with proxied(dovecot.host, dovecot.port) as proxy:
        seen: list[str] = []
        with followed(colour, through(proxy, account), cursor=cursor, start="all", lease=lease, **FOR_EVER) as one:
            for event in one.events():
                assert not isinstance(event, Reconnected)
                if is_message(event):
                    if not seen:
                        one.work(0.3)  # all that was asked for has arrived
                        for _ in range(4):
                            before = proxy.octets[0]
                            clock.now += 0.75 * lease
                            end = time.monotonic() + 30
                            while not (renewed(path, clock, lease) and proxy.octets[0] > before):
                                assert time.monotonic() < end
                                one.work(0.05)
                    seen.append(subject(event))
                    one.do(event.done())  # LeaseLost otherwise
                    if len(seen) == messages:
                        one.mail.stop()
        assert proxy.connections == 1
    cursor.close()
    assert len(seen) == messages


def test_a_server_that_goes_away_during_a_handler_keeps_nobody_from_leaving(
    path: Path, colour: str, soon: Callable[..., None]
) -> None:
    soon(_KEEP=0.05, QUIET=0.1)
    with IMAPServer() as server:
        account = Account(server.host, server.port, user="user", password="password", tls=False, mechanism="LOGIN")
        with Client(account) as client:
            client.append("INBOX", b"Subject: a\r\n\r\n")
        with followed(colour, account, cursor=path, start="all", **FOR_EVER) as one:
            for event in one.events():
                if is_message(event):
                    server.close()
                    one.work(0.5)
                    one.do(event.done())
                    break
    assert one.mail.state.name == "stopped"


def test_a_search_whose_limit_never_goes_down() -> None:
    """RFC 9738, section 3.1: the limit is the lowest UID that was searched; what is below it is asked for once."""
    steps = body._search(all_)
    stopped = SearchResult(uids=UIDSet(5), limit=5)
    next(steps)
    again = steps.send(stopped)
    with pytest.raises(errors.ProtocolError, match="stopped at UID 5"):
        steps.send(stopped)
    assert again._key == all_ & uid(range(1, 5))
