"""What the user sees: a bar while the demo works (on a terminal, with rich), and the table at its end."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastimap import parser

if TYPE_CHECKING:
    from .comparison import Comparison, Measure

_IMPLEMENTATIONS = {"c": "c (the extension in C)", "py": "py (pure Python)"}


class Progress:
    """A bar on standard error for each task, where that is a terminal and rich is installed; otherwise nothing."""

    def __init__(self) -> None:
        self._bars: Any = None
        if sys.stderr.isatty():
            try:
                from rich import progress
                from rich.console import Console
            except ImportError:
                return
            self._bars = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.TaskProgressColumn(),
                console=Console(stderr=True),
                transient=True,
            )

    def __enter__(self) -> Progress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar while the block runs; yields the function that moves it on by so many of `total`."""
        if self._bars is None:
            yield lambda done: None
            return
        task = self._bars.add_task(description, total=total)
        try:
            yield lambda done: self._bars.advance(task, done)
        finally:
            self._bars.remove_task(task)


def environment() -> str:
    """A line that names the interpreter and the parser's implementation."""
    implementation = _IMPLEMENTATIONS[parser.IMPLEMENTATION]
    return f"{platform.python_implementation()} {platform.python_version()}, parser implementation: {implementation}"


def table(measures: Mapping[str, Measure]) -> str:
    """`measures` as text: a row for each library, and how many times better the second one is."""
    rows: list[tuple[str, ...]] = [("", "messages/s", "MB/s", "client CPU s", "peak memory MiB")]
    for library, measure in measures.items():
        rows.append((library, *_cells(measure)))
    rows.append(("ratio", *_ratios(measures)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[1]))
    return "\n".join(line.rstrip() for line in lines)


def _cells(measure: Measure) -> Iterator[str]:
    yield f"{measure.messages_per_second:,.0f}"
    yield f"{measure.octets_per_second / 1e6:,.1f}"
    yield f"{measure.cpu_seconds:.4f}"
    yield f"{measure.peak_memory / 2**20:,.1f}" if measure.peak_memory else "unknown"


def _ratios(measures: Mapping[str, Measure]) -> Iterator[str]:
    """How many times faster, or frugal, the second library is than the first."""
    one, other = measures.values()
    yield f"{other.messages_per_second / one.messages_per_second:.2f}"
    yield f"{other.octets_per_second / one.octets_per_second:.2f}"
    yield f"{one.cpu_seconds / other.cpu_seconds:.2f}"
    yield f"{one.peak_memory / other.peak_memory:.2f}" if other.peak_memory else "unknown"


def summary(comparison: Comparison) -> str:
    """A line that says what was compared, and that the octets are equal."""
    rounds = f"medians of {comparison.rounds} rounds" if comparison.rounds > 1 else "one round"
    return (
        f"{comparison.messages:,} messages, {comparison.octets / 1e6:,.1f} MB, {rounds}. "
        "Both libraries got equal octets for every message."
    )
