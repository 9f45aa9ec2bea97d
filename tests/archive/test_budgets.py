"""Budgets of 24 hours, kept in the state over restarts, and a provider's pauses."""

from __future__ import annotations

import contextlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Retry, archive
from fastimap.archive import budgets
from fastimap.archive.budgets import PROFILES, Budget, Meter, as_budget
from fastimap.archive.stores import FORMATS, store_at
from fastimap.testing import IMAPServer
from tests.archive.conftest import Mail, message, stored
from tests.support.odd import odd

NOW = datetime(2024, 2, 1, 10, 30, tzinfo=UTC)


class Clock:
    now = NOW


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(budgets, "_now", lambda: made.now)
    return made


def test_what_is_older_than_a_day_does_not_count(clock: Clock) -> None:
    meter = Meter(Budget(octets=100), {"2024-01-31T09": 70, "2024-01-31T12": 60})
    assert meter.used_up() is None
    meter.add(39)
    assert meter.used_up() is None
    meter.add(1)
    assert meter.used_up() == datetime(2024, 2, 1, 13, tzinfo=UTC)
    assert meter.take_unsaved() == {"2024-02-01T10": 40}
    assert meter.take_unsaved() == {}
    clock.now = datetime(2024, 2, 1, 13, tzinfo=UTC)
    assert meter.used_up() is None
    meter.add(60)
    assert meter.used_up() == datetime(2024, 2, 2, 11, tzinfo=UTC)


def test_a_clock_that_was_years_ahead_keeps_no_run_away(clock: Clock) -> None:
    meter = Meter(Budget(octets=100), {"2031-05-01T12": 1000, "2024-02-01T12": 60})
    assert meter.used_up() is None
    meter.add(40)  # of hours that are to come today no more is known than that they may have been this one
    assert meter.used_up() == datetime(2024, 2, 2, 11, tzinfo=UTC)


def test_pauses_come_after_so_many_octets_whichever_run_received_them(clock: Clock) -> None:
    meter = Meter(Budget(every=100, pause=7), {"2024-02-01T09": 90})
    assert meter.pause() == 0
    meter.add(10)
    assert (meter.pause(), meter.pause()) == (7, 0)
    meter.add(99)
    assert meter.pause() == 0
    meter.add(201)
    assert (meter.pause(), meter.pause()) == (7, 0)


def test_profiles() -> None:
    assert as_budget("gmail") == Budget(octets=2_500_000_000)
    microsoft = as_budget("microsoft")
    assert microsoft is PROFILES["microsoft"]
    assert (microsoft.octets, microsoft.pause > 0, microsoft.every > 0) == (None, True, True)
    assert as_budget(5) == Budget(octets=5)
    for wrong in ("yahoo", -1, 1.5):
        with pytest.raises(ValueError, match="budget"):
            as_budget(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("connections", [1, 2])
def test_a_budget_over_restarts(mail: Mail, tmp_path: Path, clock: Clock, connections: int) -> None:
    mail.fill("INBOX", 150)
    mail.fill("a", 20, create=True)
    octets = sum(len(message) for messages in mail.all().values() for _, message, *_ in messages)
    budget = octets // 2
    report = archive.pull(mail.account, tmp_path, budget=budget, connections=connections)
    assert (report.stopped, report.go_on_at) == (
        "the budget of 24 hours is used up",
        datetime(2024, 2, 2, 11, tzinfo=UTC),
    )
    assert 0 < report.written < 170
    clock.now += timedelta(hours=20)
    assert archive.pull(mail.account, tmp_path, budget=budget, connections=connections).written == 0
    clock.now += timedelta(hours=5)
    report = archive.pull(mail.account, tmp_path, budget=10 * octets, connections=connections)
    assert report.complete
    assert stored(tmp_path) == mail.all()


def test_octets_count_without_a_budget_too(mail: Mail, tmp_path: Path, clock: Clock) -> None:
    mail.fill("INBOX", 30)
    report = archive.pull(mail.account, tmp_path)
    assert report.octets_received > report.octets
    report = archive.pull(mail.account, tmp_path, budget=report.octets)
    assert report.stopped is not None


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("columns", [None, {}, {"text": True}, {"body": True}])
def test_what_the_connections_received_counts(
    mail: Mail, tmp_path: Path, columns: dict[str, Any] | None, connections: int
) -> None:
    """Whatever the store keeps of it; the server says itself how many octets it has sent."""
    mail.fill("INBOX", 350)
    store = archive.Maildir(tmp_path) if columns is None else archive.Parquet(tmp_path, **columns)
    sent = 0

    def says(line: bytes) -> bytes:
        nonlocal sent
        sent += len(line)
        return line

    server: Any = mail.server  # it has a host and a port
    with odd(server, says=says) as port:
        account = mail.account.__replace__(port=port)
        report = archive.pull(account, store, connections=connections, mailboxes=["INBOX"])
    assert report.complete
    assert 0.99 * sent < report.octets_received <= sent  # but for the answers to LOGOUT
    name = f"{mail.user}@{mail.server.host}"
    with contextlib.closing(store_at(tmp_path).look()) as state:
        assert sum(state.spent(name, Meter.oldest()).values()) == report.octets_received


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_what_was_received_for_nothing_counts_too(tmp_path: Path, kind: str) -> None:
    """A server without CONDSTORE sends the flags of all messages each time."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")

    def says(line: bytes) -> bytes:
        return re.sub(rb" (CONDSTORE|QRESYNC)(?=[] ])", b"", line)

    with IMAPServer(users={"me": "secret"}) as server, odd(server, says=says) as port:
        for number in range(1, 1801):
            server.append("INBOX", message(number))
        account = Account("127.0.0.1", port, user="me", password="secret", tls=False, mechanism="PLAIN")
        received = 0
        for written in (1800, 0, 0):
            report = archive.pull(account, store_at(tmp_path, kind))
            assert (report.complete, report.written) == (True, written)
            assert report.octets_received > 70_000
            received += report.octets_received
        with contextlib.closing(store_at(tmp_path).look()) as state:
            assert sum(state.spent("me@127.0.0.1", Meter.oldest()).values()) == received
        stopped = archive.pull(account, store_at(tmp_path, kind), budget=received).stopped
        assert stopped == "the budget of 24 hours is used up"


@pytest.mark.parametrize("columns", [{}, {"text": True}])
def test_a_budget_of_what_is_received_for_columns_alone(mail: Mail, tmp_path: Path, columns: dict[str, Any]) -> None:
    mail.fill("INBOX", 350)
    store = archive.Parquet(tmp_path, **columns)
    report = archive.pull(mail.account, store, connections=2, budget=20_000, mailboxes=["INBOX"])
    assert report.stopped == "the budget of 24 hours is used up"
    assert 0 < report.written < 350


def test_pauses_are_taken(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 200)
    waits: list[float] = []
    said: list[str | None] = []
    archive.pull(
        mail.account,
        tmp_path,
        budget=Budget(every=60_000, pause=0.02),
        retry=Retry(sleep=waits.append),
        progress=lambda now: said.append(now.waiting),
    )
    assert waits
    assert "waiting 0 s for the server" in said


def test_json_says_when_to_go_on(mail: Mail, tmp_path: Path, clock: Clock) -> None:
    mail.fill("INBOX", 2)
    report = archive.pull(mail.account, tmp_path, budget=0)
    assert json.loads(json.dumps(report.as_dict()))["go_on_at"] == "2024-02-02T10:30:00+00:00"


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 3])
def test_what_is_on_its_way_when_a_run_stops_is_not_received(tmp_path: Path, connections: int) -> None:
    octets = 100 * 200_000
    with IMAPServer(users={"me": "secret"}) as server:
        for number in range(100):
            server.append("INBOX", message(number, 200_000))
        account = Account("127.0.0.1", server.port, user="me", password="secret", tls=False, mechanism="PLAIN")
        report = archive.pull(account, tmp_path, budget=100_000, connections=connections)
        assert report.stopped == "the budget of 24 hours is used up"
        assert 0 < report.written < 50
        assert report.octets_received < octets / 2
        assert archive.pull(account, tmp_path, connections=connections).complete
    assert len(stored(tmp_path)["INBOX"]) == 100
