"""What may be received from an account in 24 hours by all runs on a store together: providers lock who takes more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from ..model._shown import Value

__all__ = ["PROFILES", "Budget", "GivenBudget", "Meter", "as_budget"]

_HOUR = "%Y-%m-%dT%H"
_DAY = timedelta(hours=24)


class Budget(Value):
    """Octets that may be received in 24 hours, whatever the clock says, and pauses on the way.

    :ivar octets: in any 24 hours; None: no limit. A run that comes there ends, and says when to go on.
    :ivar every: octets after which a run pauses; 0: none.
    :ivar pause: seconds.
    """

    octets: int | None = None
    every: int = 0
    pause: float = 0.0


PROFILES: Final[Mapping[str, Budget]] = {
    # Google names 2,500 MB a day for downloads by IMAP; who takes more can't log in for up to a day.
    "gmail": Budget(octets=2_500_000_000),
    # Microsoft names no figures, and throttles who is busy for long: the server's own pauses are kept in any case
    # (Retry), these come before it has to ask.
    "microsoft": Budget(every=500_000_000, pause=60.0),
}
GivenBudget: TypeAlias = int | Budget | Literal["gmail", "microsoft"]


def as_budget(given: GivenBudget | None) -> Budget | None:
    """Return the budget that is meant: octets in 24 hours, or a profile's name. Raises ValueError."""
    if given is None or isinstance(given, Budget):
        return given
    if isinstance(given, str):
        if given not in PROFILES:
            raise ValueError(f"budget is a number of octets, or one of {', '.join(PROFILES)}, not {given!r}")
        return PROFILES[given]
    if not isinstance(given, int) or given < 0:
        raise ValueError(f"budget is a number of octets from 0, not {given!r}")
    return Budget(octets=given)


class Meter:
    """What was received, hour by hour.

    :param budget: what it is held to; None: it is counted all the same, for a run that has one.
    :param earlier: the octets of earlier runs, by hour, as the state has them.
    """

    def __init__(self, budget: Budget | None, earlier: Mapping[str, int]) -> None:
        self.budget = budget
        self._hours = dict(earlier)
        self._unsaved: dict[str, int] = {}
        self._paused_at = self._total()

    @staticmethod
    def oldest() -> str:
        """Return the first hour that counts."""
        return (_now() - _DAY).strftime(_HOUR)

    def add(self, octets: int) -> None:
        """Count octets."""
        if octets > 0:
            hour = _now().strftime(_HOUR)
            self._hours[hour] = self._hours.get(hour, 0) + octets
            self._unsaved[hour] = self._unsaved.get(hour, 0) + octets

    def take_unsaved(self) -> dict[str, int]:
        """Return what the state does not have yet; it is taken to have it by now."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def _total(self) -> int:
        return sum(octets for _, octets in self._that_count())

    def _that_count(self) -> list[tuple[str, int]]:
        # Of a clock that was wrong, and goes back, nothing keeps all runs away until it is as late again.
        first, last = self.oldest(), (_now() + _DAY).strftime(_HOUR)
        return [(hour, octets) for hour, octets in sorted(self._hours.items()) if first <= hour <= last]

    def used_up(self) -> datetime | None:
        """Return when to go on, if the budget is used up: when so much is older than 24 hours that it has room."""
        if self.budget is None or self.budget.octets is None:
            return None
        now = _now()
        left = self._total()
        if left < self.budget.octets:
            return None
        for hour, octets in self._that_count():
            left -= octets
            if left < self.budget.octets:
                return datetime.strptime(hour, _HOUR).replace(tzinfo=UTC) + _DAY + timedelta(hours=1)
        return now + _DAY  # a budget of nothing

    def pause(self) -> float:
        """Return the seconds to wait now; 0 where it is not time for a pause."""
        if self.budget is None or not self.budget.every:
            return 0.0
        total = self._total()
        if total // self.budget.every <= self._paused_at // self.budget.every:
            self._paused_at = min(self._paused_at, total)
            return 0.0
        self._paused_at = total
        return self.budget.pause


def _now() -> datetime:
    return datetime.now(UTC)
