"""What arguments are read as, and those that the configuration gives where the command line does not."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from ..model._patterns import pattern
from .exits import UsageError

__all__ = [
    "budget",
    "choice",
    "daily",
    "day",
    "merged",
    "names",
    "number",
    "patience",
    "seconds",
    "shown",
    "size",
    "some",
    "switch",
    "text",
]

_SIZE = pattern(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)


def size(text: str | int) -> int:
    """Return the octets that ``20M`` stands for: K, M, G and T are powers of 1024."""
    found = _SIZE.fullmatch(str(text).strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500K, 20M or 2G")
    octets = float(found[1]) * 1024 ** " kmgt".index(found[2].lower() or " ")
    if octets >= 1 << 63:  # more than SQLite and servers can count
        raise argparse.ArgumentTypeError("a size is less than 8,000,000T")
    return int(octets)


def some(text: str | int) -> int:
    """Return a size over 0."""
    return _some(text, size(text))


def _some(text: str | int, octets: int) -> int:
    if not octets:  # what is limited to nothing never comes to its end
        raise argparse.ArgumentTypeError(f"{text!r} is nothing: leave it out for no limit")
    return octets


def daily(text: str | int) -> int:
    """Return the octets of ``2500M/day``."""
    return size(re.sub(r"\s*/\s*day\Z", "", str(text)))


def budget(text: str | int) -> Any:
    """Return the octets of ``2500M/day``, of which there are some, or the name of a profile."""
    if isinstance(text, str) and text.isalpha():
        from ..archive.budgets import PROFILES

        if text not in PROFILES:
            raise argparse.ArgumentTypeError(f"{text!r} is no size, and no profile: {', '.join(PROFILES)}")
        return text
    return _some(text, daily(text))


def day(text: str | date) -> date:
    """Return a date."""
    try:
        return text if isinstance(text, date) else date.fromisoformat(text)
    except (ValueError, TypeError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2024-01-31") from None


def number(text: str | int) -> int:
    """Return a number from 1."""
    if not str(text).isascii() or not str(text).isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def text(value: Any) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise argparse.ArgumentTypeError(f"{value!r} is not a text")
    return value


def names(value: Any) -> list[str]:
    """Return a list of names."""
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise argparse.ArgumentTypeError(f"{value!r} is not a list of names")
    return value


def choice(*words: str) -> Callable[[Any], str]:
    """Return what reads one of some words."""

    def read(value: Any) -> str:
        if value not in words:
            raise argparse.ArgumentTypeError(f"{value!r} is none of {', '.join(words)}")
        return str(value)

    return read


def switch(value: Any) -> bool:
    """Return whether the configuration says yes."""
    if not isinstance(value, bool):
        raise argparse.ArgumentTypeError(f"{value!r} is neither true nor false")
    return value


def seconds(text: str | float) -> float:
    """Return a number of seconds over 0."""
    try:
        found = float(text)
    except (ValueError, TypeError):
        found = 0.0
    if not 0 < found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds over 0")
    return found


def patience(text: str) -> float:
    """Return a number of seconds from 0."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0")
    return found


def shown(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that reports."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="print lines of JSON, each with a message_type")
    group.add_argument("-q", "--quiet", action="store_true", help="show no progress, and no result where all is well")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more; twice: the conversation too")


def merged(
    options: argparse.Namespace,
    configured: Mapping[str, Any],
    readers: Mapping[str, Callable[[Any], Any] | None],
    where: str,
) -> dict[str, Any]:
    """Return the options that were given, on the command line or else in the configuration.

    :param configured: the configuration's.
    :param readers: by the name of each option: what makes a value of what the configuration holds; None: nothing.
    :param where: what the configuration's table is called, for messages.
    """
    unknown = sorted(set(configured) - set(readers))
    if unknown:
        raise UsageError(f"{where}: {unknown[0]!r} is not known; known are {', '.join(sorted(readers))}")
    found = {}
    for name, reader in readers.items():
        value = getattr(options, name)
        if value in (None, False) and name in configured:
            value = configured[name]
            try:
                value = value if reader is None else reader(value)
            except argparse.ArgumentTypeError as exc:
                raise UsageError(f"{where}: {name}: {exc}") from None
        if value is not None:
            found[name] = value
    return found
