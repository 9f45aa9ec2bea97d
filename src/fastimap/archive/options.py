"""What a run is to do, checked before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from .. import search
from ..model._patterns import pattern
from ..model._shown import Value
from ..search import SearchKey
from ..sessions.retry import Retry
from .budgets import GivenBudget, as_budget
from .names import as_name
from .report import Progress
from .stores.base import Store

__all__ = ["Deleted", "Options", "Rule", "as_day", "as_names", "check_choice", "check_number", "most_deleted"]

Deleted = Literal["keep", "mark", "delete"]
_RETRY = Retry()
_MAX_DELETE = pattern(r"([0-9]+)(%?)")


class Rule(Value):
    """A rule by which messages are left out: those that the key does not find."""

    name: str
    key: SearchKey
    text: str


class Options(Value, kw_only=True):
    """The parameters of `pull`, checked."""

    store: Store
    mailboxes: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    since: date | None = None
    before: date | None = None
    min_size: int | None = None
    max_size: int | None = None
    search: SearchKey | str | None = None
    limit: int | None = None
    newest_first: bool = True
    connections: int = 1
    deleted: Deleted = "keep"
    max_delete: str | int | None = None
    resume: bool = True
    dry_run: bool = False
    wait: float | None = 0
    bwlimit: int | None = None
    budget: GivenBudget | None = None
    max_octets: int | None = None
    adopt: Path | None = None
    name: str | None = None
    retry: Retry = _RETRY
    progress: Callable[[Progress], object] | None = None
    stopping: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        if self.deleted not in ("keep", "mark", "delete"):
            raise ValueError(f"deleted is keep, mark or delete, not {self.deleted!r}")
        if self.deleted == "delete" and not self.store.removes:
            raise ValueError(f"deleted='delete': nothing is taken out of a store of kind {self.store.kind}")
        if self.adopt is not None and not self.store.adopts:
            raise ValueError(f"adopt: a store of kind {self.store.kind} takes nothing that other programs have pulled")
        for name in ("min_size", "max_size", "limit", "bwlimit", "max_octets"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value)
        check_choice(self.mailboxes, self.exclude, self.since, self.before)
        if None not in (self.min_size, self.max_size) and (self.min_size or 0) > (self.max_size or 0):
            raise ValueError(f"no message has {self.min_size} octets at least and {self.max_size} at most")
        check_number("connections", self.connections, least=1)
        self.most_deleted(0)
        as_budget(self.budget)

    def rules(self) -> list[Rule]:
        """Return the rules by which messages are left out, but for `limit`."""
        rules = []
        for name in ("since", "before"):
            day = as_day(getattr(self, name))
            if day is not None:
                rules.append(Rule(name, getattr(search, name)(day), f"{name} {day.isoformat()}"))
        if self.min_size:
            rules.append(Rule("min-size", search.larger(self.min_size - 1), f"min-size {self.min_size}"))
        if self.max_size is not None:
            rules.append(Rule("max-size", search.smaller(self.max_size + 1), f"max-size {self.max_size}"))
        if self.search is not None:
            key = search.raw(self.search) if isinstance(self.search, str) else self.search
            rules.append(Rule("search", key, f"search {key!r}"))
        return rules

    def rules_text(self) -> str:
        """Return what tells these rules from others."""
        texts = [rule.text for rule in self.rules()]
        if self.limit is not None:
            texts.append(f"limit {self.limit}")
        return "; ".join(texts)

    def most_deleted(self, messages: int) -> int:
        """Return how many messages of so many may be deleted in a run."""
        return most_deleted(self.max_delete, messages)


def most_deleted(max_delete: str | int | None, messages: int) -> int:
    """Return how many messages of so many may be deleted in a run. Raises ValueError."""
    if max_delete is None:
        return max(100, messages // 10)
    found = _MAX_DELETE.fullmatch(str(max_delete))
    if found is None:
        raise ValueError(f"max_delete is a number, or a percentage such as 10%, not {max_delete!r}")
    return int(found[1]) * messages // 100 if found[2] else int(found[1])


def check_number(name: str, value: object, *, least: int = 0) -> None:
    """Raise ValueError for what is no number, or less than `least`."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is a number from {least}, not {value!r}")


def check_choice(
    mailboxes: Iterable[str] | None, exclude: Iterable[str], since: date | None, before: date | None
) -> None:
    """Raise ValueError where nothing can be chosen: a copy of nothing would be complete, and never what was meant."""
    if mailboxes is not None and not {*mailboxes} - {*exclude}:
        raise ValueError("no mailbox is left: none is named, or those that are named are excluded, too")
    first, end = as_day(since), as_day(before)
    if first is not None and end is not None and first >= end:
        raise ValueError(f"no message came since {since} and before {before}")


def as_day(day: date | None) -> date | None:
    """Return the day of a date: a datetime is one, but can't be compared with others."""
    return day.date() if isinstance(day, datetime) else day


def as_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of mailboxes that a user gives as `Options` has them. Raises TypeError, for no list too."""
    if isinstance(names, str):
        raise TypeError("mailboxes and exclude are lists of names")
    return tuple(map(as_name, names))
