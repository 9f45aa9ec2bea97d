"""What a follower says of itself while it is not well: outages, mailboxes that are gone; and what is no failure."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client
from fastimap.sessions.cursor import SQLiteCursor
from fastimap.sessions.follow import FollowState, MailboxGone, MessageParked
from fastimap.sessions.retry import no_waits
from tests.servers.dovecot import Dovecot
from tests.sessions.followers import COLOURS, followed
from tests.sessions.test_follow import account, path, send, subject
from tests.support.cuts import Cut, proxied

__all__ = ["account", "path"]

pytestmark = pytest.mark.usefixtures("implementation")


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_first_failure_is_a_state_with_its_reason(account: Account, path: Path, colour: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]  # which nobody listens on afterwards
    away = replace(account, host="127.0.0.1", port=port)
    states: list[FollowState] = []
    with followed(colour, away, cursor=path, start="new") as one:
        for event in one.events():
            states.append(event)
            if event.error:
                assert one.mail.state.error == event.error
                one.mail.stop()
    assert states[-1].name == "connecting"
    assert f"port {port}" in states[-1].error
    assert [state.error for state in states[:-1]] == [""] * (len(states) - 1)


def test_a_lost_connection_is_a_state_with_its_reason_until_there_is_one(
    dovecot: Dovecot, account: Account, path: Path, colour: str
) -> None:
    with proxied(dovecot.host, dovecot.port) as proxy, no_waits():
        proxy.cuts.append(Cut(0, False, "fin", b" IDLE"))
        through = replace(account, host=proxy.host, port=proxy.port)
        seen: list[tuple[str, bool]] = []
        with followed(colour, through, cursor=path, start="new", poll=3600.0) as one:
            for event in one.events():
                if isinstance(event, FollowState):
                    seen.append((event.name, bool(event.error)))
                    if event.name == "waiting" and ("connecting", True) in seen:
                        one.mail.stop()
            assert one.mail.state.error == ""
    assert seen[-1] == ("waiting", False)


@pytest.mark.slow
def test_a_mailbox_that_is_gone_is_part_of_the_state(account: Account, path: Path, colour: str) -> None:
    with Client(account) as client:
        client.create_mailbox("Work")
    send(account, "a", mailbox="Work")
    seen: list[Any] = []
    with (
        no_waits(),
        followed(colour, account, ["Work", "INBOX"], cursor=path, start="all", poll=0.3, status_poll=0.3) as one,
    ):
        for event in one.events():
            if hasattr(event, "done"):
                one.do(event.done())
                with Client(account) as client:
                    client.rename_mailbox("Work", "Elsewhere")
            elif isinstance(event, MailboxGone):
                seen.append(event.mailbox)
            elif isinstance(event, FollowState) and event.gone and ("Work",) not in seen:
                seen.append(event.gone)
                assert one.mail.state.gone == ("Work",)
                with Client(account) as client:
                    client.rename_mailbox("Elsewhere", "Work")
            elif isinstance(event, FollowState) and not event.gone and ("Work",) in seen:
                seen.append(event.gone)
                one.mail.stop()
            del event
    assert set(seen) == {"Work", ("Work",), ()}


@pytest.mark.slow
def test_a_mailbox_of_several_that_is_deleted_is_told_at_once(account: Account, path: Path, colour: str) -> None:
    """By NOTIFY (RFC 5465, section 5.4), though none is looked at for an hour."""
    with Client(account) as client:
        client.create_mailbox("Work")
    seen: list[str] = []
    with followed(colour, account, ["Work", "INBOX"], cursor=path, start="new", poll=3600.0, status_poll=3600.0) as one:
        for event in one.events():
            if isinstance(event, FollowState) and event.name == "waiting" and not seen:
                seen.append("waiting")
                with Client(account) as client:
                    client.create_mailbox("Another")
                    client.delete_mailbox("Work")
            elif isinstance(event, MailboxGone):
                seen.append(event.mailbox)
                one.mail.stop()
    assert seen == ["waiting", "Work"]


@pytest.mark.parametrize("ended", [KeyboardInterrupt, SystemExit, type("Ended", (BaseException,), {})])
def test_what_ends_the_program_from_outside_is_no_delivery(
    account: Account, path: Path, colour: str, ended: type[BaseException]
) -> None:
    send(account, "a", "b")

    def program() -> None:
        with followed(colour, account, cursor=path, start="all", once=True, deliveries=2) as one:
            for message in one.messages():
                assert (subject(message), message.deliveries) == ("a", 1)
                raise ended

    for _ in range(3):
        with pytest.raises(ended):
            program()
    found = []
    with followed(colour, account, cursor=path, start="all", once=True, deliveries=2) as one:
        for message in one.messages():
            found.append((subject(message), message.deliveries))
            one.do(message.done())
    assert found == [("a", 1), ("b", 1)]


def test_what_is_parked_is_not_to_be_done_any_more(account: Account, path: Path, colour: str) -> None:
    send(account, "a", "b")
    lags = []
    with followed(colour, account, cursor=path, start="all", once=True) as one:
        for event in one.events():
            if hasattr(event, "done"):
                one.do(event.reject("no"))
            elif isinstance(event, MessageParked):
                lags.append(one.mail.lag)
        assert (one.mail.lag, one.mail.state.parked) == (0, 2)
    assert lags[-1] == 0


def seen_by(colour: str, account: Account, path: Path, *mailboxes: str) -> list[tuple[str, str]]:
    found = []
    with followed(colour, account, mailboxes, cursor=path, start="all", once=True) as one:
        for message in one.messages():
            found.append((message.mailbox, subject(message)))
            one.do(message.done())
    return found


def test_inbox_is_one_mailbox_in_any_case(account: Account, path: Path, colour: str) -> None:
    """RFC 9051, section 5.1."""
    send(account, "a")
    assert seen_by(colour, account, path, "inbox", "INBOX", "Inbox") == [("INBOX", "a")]
    assert seen_by(colour, account, path, "INBOX") == []
    assert seen_by(colour, account, path, "iNBOX") == []
    with followed(colour, account, "inbox", cursor=path, start="all", once=True) as one:
        one.mail.seek("all", "inbox")
        assert [subject(message) for message in one.messages()] == ["a"]


def test_a_cursor_that_knows_inbox_by_another_name(
    account: Account, path: Path, colour: str, sql: Callable[..., None]
) -> None:
    send(account, "a")
    assert seen_by(colour, account, path, "INBOX") == [("INBOX", "a")]
    sql("UPDATE fastimap_mailboxes SET mailbox = 'Inbox'")
    send(account, "b")
    assert seen_by(colour, account, path, "INBOX") == [("INBOX", "b")]


@pytest.fixture
def sql(path: Path) -> Callable[..., None]:
    """A function that changes the cursor's database."""

    def sql(statement: str) -> None:
        cursor = SQLiteCursor(path)
        with cursor._transaction() as db:
            db.execute(statement)
        cursor.close()

    return sql
