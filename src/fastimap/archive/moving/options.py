"""What a push or a migration is to do, checked before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from ...sessions.retry import Retry
from ..names import as_name
from ..options import as_day, as_names, check_choice, check_number, most_deleted
from ..report import Progress
from .sources import Rules

__all__ = ["Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parameters of `push` and `migrate` that both have, checked."""

    mailboxes: Iterable[str] | None = None
    exclude: Iterable[str] = ()
    rename: Mapping[str, str] | None = None
    since: date | None = None
    before: date | None = None
    max_size: int | None = None
    deleted: Literal["keep", "delete"] = "keep"
    max_delete: str | int | None = None
    on_doubt: Literal["report", "send"] = "report"
    acl: bool = False
    metadata: bool = False
    connections: int = 1
    dry_run: bool = False
    budget: int | None = None
    retry: Retry | None = None
    progress: Callable[[Progress], object] | None = None
    stopping: Callable[[], bool] | None = None
    rules: Rules = field(init=False)
    renamed: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("mailboxes", "exclude"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else as_names(given))  # it may be gone through once
        check_choice(self.mailboxes, self.exclude, self.since, self.before)
        object.__setattr__(self, "renamed", {})
        for old, new in ((as_name(old), as_name(new)) for old, new in dict(self.rename or {}).items()):
            if self.renamed.setdefault(old, new) != new:
                raise ValueError(f"rename has two names for {old}: {self.renamed[old]} and {new}")
        object.__setattr__(self, "rules", Rules(as_day(self.since), as_day(self.before), self.max_size))
        if self.deleted not in ("keep", "delete"):
            raise ValueError(f"deleted is keep or delete, not {self.deleted!r}")
        if self.on_doubt not in ("report", "send"):
            raise ValueError(f"on_doubt is report or send, not {self.on_doubt!r}")
        for name in ("budget", "max_size"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value)
        check_number("connections", self.connections, least=1)
        most_deleted(self.max_delete, 0)
