"""What the user sees meanwhile, on standard error, and the result, on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..archive.report import Progress
from ..model import _json as json
from .exits import readable, say

if TYPE_CHECKING:
    from ..archive.many.report import ManyProgress

__all__ = ["Show", "octets"]

_EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


def octets(number: float) -> str:
    """Return a number of octets for people."""
    for unit in ("octets", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:,.0f} {unit}" if unit == "octets" else f"{number:,.1f} {unit}"
        number /= 1024
    raise AssertionError


class Show:
    """Progress: a bar on a terminal, lines elsewhere, JSON for machines, or nothing.

    :param as_json: print lines of JSON on standard output, each with a ``message_type``.
    :param quiet: show no progress.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._said = time.monotonic()
        self._mailbox = ""
        if not as_json and not quiet and sys.stderr.isatty():
            self._bar = _bar()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def line(self, kind: str, **values: Any) -> None:
        """Print a line of JSON."""
        print(json.dumps({"message_type": kind, **values}), flush=True)

    def progress(self, now: Progress) -> None:
        """Show how far it is."""
        if self._bar is not None:
            self._move(now)
            return
        if not self._due(at_once=bool(now.waiting)):
            return
        if self.as_json:
            self.line(
                "status",
                mailbox=now.mailbox,
                done=now.done,
                total=now.total,
                octets=now.octets,
                all_done=now.all_done,
                all_octets=now.all_octets,
                seconds=round(now.seconds, 3),
                waiting=now.waiting,
            )
            return
        rate = now.all_done / now.seconds if now.seconds else 0
        left = f", {(now.total - now.done) / rate:.0f} s left" if rate and now.total > now.done else ""
        what = now.waiting or f"{now.done:,} of {now.total:,} messages, {octets(now.octets)}, {rate:,.0f}/s{left}"
        say(f"{now.mailbox}: {what}")

    def accounts_of(self, before: int, total: int) -> Callable[[ManyProgress], None]:
        """Return what shows how far many accounts are, of which so many had ended before."""

        def progress(now: ManyProgress) -> None:
            ended = before + now.ended
            size = octets(now.octets)
            if self._bar is not None:
                if self._task is None:
                    self._task = self._bar.add_task("accounts", total=total, octets="", rate="")
                failed = f", {now.failed} failed" if now.failed else ""
                self._bar.update(
                    self._task, completed=ended, octets=f"{now.messages:,} messages, {size}{failed}", rate=""
                )
            elif self._due():
                if self.as_json:
                    values = {"accounts": total, "ended": ended, "failed": now.failed, "messages": now.messages}
                    self.line("status", **values, octets=now.octets, seconds=round(now.seconds, 3))
                else:
                    text = f"{ended} of {total} accounts, {now.failed} failed; {now.messages:,} messages, {size}"
                    say(text)

        return progress

    def _due(self, at_once: bool = False) -> bool:
        """Whether it is time for a line, where there is no terminal."""
        due = at_once or time.monotonic() - self._said >= (1.0 if self.as_json else _EVERY)
        if self.quiet or not due:
            return False
        self._said = time.monotonic()
        return True

    def _move(self, now: Progress) -> None:
        if now.mailbox != self._mailbox or self._task is None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._mailbox = now.mailbox
            self._task = self._bar.add_task("", total=None, octets="", rate="")
        self._bar.update(
            self._task,
            completed=now.done,
            total=now.total or None,
            description=readable(now.mailbox)[:40],
            octets=now.waiting or octets(now.octets),
            rate=f"{now.all_done / now.seconds:,.0f}/s" if now.seconds else "",
        )


def _bar() -> Any:
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return None

    class Description(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Any:
            from rich.text import Text

            return Text(task.description)

    return progress.Progress(
        Description(),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[octets]} {task.fields[rate]}", markup=False),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
