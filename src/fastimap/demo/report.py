"""What the user sees at the end: the tables."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

from fastimap import parser

from .comparison import Comparison, Measure
from .pulling import Pulled

_IMPLEMENTATIONS = {"c": "c (the extension in C)", "py": "py (pure Python)"}


def environment() -> str:
    """A line that names the interpreter and the parser's implementation."""
    implementation = _IMPLEMENTATIONS[parser.IMPLEMENTATION]
    return f"{platform.python_implementation()} {platform.python_version()}, parser implementation: {implementation}"


def table(measures: Mapping[str, Measure]) -> str:
    """`measures` as text: a row for each library; CPU also as so many times less than the first one's."""
    rows: list[tuple[str, ...]] = [("", "messages/s", "client CPU s", "times less CPU", "peak memory MiB")]
    first = next(iter(measures.values()))
    for library, measure in measures.items():
        rows.append((library, *_cells(measure, first)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[1]))
    return "\n".join(lines)


def _cells(measure: Measure, first: Measure) -> Iterator[str]:
    yield f"{measure.messages_per_second:,.0f}"
    yield f"{measure.cpu_seconds:.4f}"
    yield f"{first.cpu_seconds / measure.cpu_seconds:.1f}"
    yield f"{measure.peak_memory / 2**20:,.1f}" if measure.peak_memory else "unknown"


def summary(comparison: Comparison) -> str:
    """What was compared, and that the octets are equal."""
    rounds = f"medians of {comparison.rounds} rounds" if comparison.rounds > 1 else "one round"
    return (
        f"{comparison.messages:,} messages, {comparison.octets / 1e6:,.1f} MB, {rounds}. "
        "Every message came with the same octets through each.\n"
        "imaplib and fastimap.imaplib return lines; fastimap.Client builds typed values of them."
    )


def story(pulled: Pulled) -> str:
    """What came of the pull that was interrupted, and of the one after it."""
    if pulled.stopped_at is None:
        first = "fastimap pull, into a Maildir: it had ended before it could be interrupted."
    else:
        first = f"fastimap pull, into a Maildir: interrupted when {pulled.stopped_at:,} messages were there."
    return (
        f"{first}\n"
        f"The same command again: {pulled.present:,} were there, {pulled.written:,} were fetched. "
        "Now each message is there once, octet by octet."
    )
