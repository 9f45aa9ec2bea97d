"""Retry, Attempts and Budget by a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fastimap import errors
from fastimap.errors import Advice
from fastimap.sessions.retry import Attempts, Budget, Retry, helps


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def refusal(kind: type[errors.CommandError], text: str = "no", delay: float | None = None) -> errors.CommandError:
    return kind("FETCH", b"T1", "NO", None, text, delay=delay)


CUT = errors.Disconnected("cut")


def test_the_wait_doubles_to_the_longest_and_is_a_random_part_of_that() -> None:
    whole = Retry(first=1.0, longest=10.0, random=lambda: 1.0)
    assert [whole.backoff(failures) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    half = Retry(first=1.0, longest=10.0, random=lambda: 0.5)
    assert [half.backoff(failures) for failures in range(1, 7)] == [0.5, 1, 2, 4, 5, 5]
    assert whole.backoff(10_000) == 10


def test_so_many_failures_without_progress_end_it() -> None:
    attempts = Attempts(Retry(attempts=3, random=lambda: 0.0))
    attempts.failed(CUT)
    attempts.failed(CUT)
    attempts.progress()
    attempts.failed(CUT)
    attempts.failed(CUT)
    with pytest.raises(errors.Disconnected) as given_up:
        attempts.failed(errors.Disconnected("the third"))
    assert "3 attempts" in given_up.value.__notes__[0]


def test_no_wait_goes_beyond_the_time_given() -> None:
    clock = Clock()
    attempts = Attempts(Retry(within=100.0, clock=clock, random=lambda: 0.0))
    assert attempts.failed(refusal(errors.Unavailable, delay=60.0)) == 60.0
    clock.now += 60.0
    assert attempts.failed(refusal(errors.Unavailable, delay=40.0)) == 40.0
    clock.now += 40.0
    with pytest.raises(errors.Unavailable):
        attempts.failed(refusal(errors.Unavailable, delay=1.0))


def test_the_servers_word_is_the_least() -> None:
    attempts = Attempts(Retry(first=2.0, longest=5.0, random=lambda: 1.0))
    assert attempts.failed(refusal(errors.Unavailable, delay=92.0)) >= 92.0


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (CUT, True),
        (errors.Timeout("late"), True),
        (errors.ConnectFailed("refused"), True),
        (errors.ConnectFailed("no IMAP server", Advice.FIX), False),
        (errors.TLSError("a certificate"), False),
        (errors.ProtocolError("out of step"), True),
        (errors.LiteralTooLarge("large"), False),
        (errors.StateError("not now"), False),
        (errors.CapabilityMissing("MOVE", "MOVE"), False),
        (errors.ParseError("odd"), False),
        (refusal(errors.CommandError), False),
        (refusal(errors.MailboxNotFound), False),
        (refusal(errors.AuthenticationFailed), False),
        (refusal(errors.Unavailable), True),
        (refusal(errors.OverQuota, "Account exceeded command or bandwidth limits"), True),
        (refusal(errors.CommandError, "User is authenticated but not connected."), True),
        (ValueError("wrong"), False),
    ],
    ids=str,
)
def test_what_helps(error: Exception, again: bool) -> None:
    assert helps(error) is again


def test_a_refused_password_ends_it_at_once() -> None:
    with pytest.raises(errors.AuthenticationFailed):
        Attempts(Retry()).failed(refusal(errors.AuthenticationFailed))


def test_a_refused_token_is_renewed_once() -> None:
    attempts = Attempts(Retry(random=lambda: 0.0))
    attempts.failed(errors.OAuthError("invalid_token", None, None), renewable=True)
    with pytest.raises(errors.OAuthError):
        attempts.failed(errors.OAuthError("invalid_token", None, None), renewable=True)


def test_logins_are_one_a_minute_beyond_the_burst() -> None:
    clock = Clock()
    budget = Budget(Retry(burst=3, clock=clock))
    assert [budget.login() for _ in range(4)] == [0, 0, 0, 60]
    assert [budget.until_login(), budget.until_login()] == [120, 120]  # to ask takes none
    assert budget.login() == 120
    clock.now += 120.0
    assert budget.login() == 60  # the two that waited have had their turn
    clock.now += 10_000.0
    assert [budget.login() for _ in range(4)] == [0, 0, 0, 60]


def test_a_server_that_is_down_is_down_for_all_connections() -> None:
    clock = Clock()
    budget = Budget(Retry(clock=clock, first=2.0, random=lambda: 1.0))
    budget.failed(errors.ConnectFailed("refused"))
    assert budget.login() == 2.0
    budget.failed(refusal(errors.Unavailable, "too many connections", delay=30.0))
    assert budget.login() == 34.0
    budget.succeeded()
    assert budget.login() == 0.0


def test_who_knows_that_it_may_work_now_waits_for_what_the_server_asked_for_alone() -> None:
    clock = Clock()
    budget = Budget(Retry(clock=clock, first=2.0, random=lambda: 1.0, burst=3))
    budget.failed(errors.ConnectFailed("no route"))
    budget.hurry()
    assert budget.login() == 0.0
    budget.failed(refusal(errors.Unavailable, "too many connections", delay=30.0))
    budget.hurry()
    assert budget.login() == 30.0
    clock.now += 10.0
    budget.hurry()
    assert budget.until_login() == 20.0
    budget.succeeded()
    assert [budget.login(), budget.login()] == [0.0, 50.0]  # the burst holds all the same


def test_a_refused_password_is_not_tried_by_another_connection() -> None:
    budget = Budget(Retry())
    budget.refused(refusal(errors.AuthenticationFailed))
    with pytest.raises(errors.AuthenticationFailed):
        budget.login()


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"within": 0}, {"first": 5, "longest": 4}, {"burst": 0}])
def test_wrong_arguments(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Retry(**wrong)  # type: ignore[arg-type]
