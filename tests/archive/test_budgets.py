"""Budgets of 24 hours, kept in the state over restarts, and a provider's pauses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fastimap import Retry, archive
from fastimap.archive import budgets
from fastimap.archive.budgets import PROFILES, Budget, Meter, as_budget
from tests.archive.conftest import Mail, stored

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
