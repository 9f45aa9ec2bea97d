"""Write the tables of docs/command-line.md, of what ``--help`` says.

::

    python -m tools.write_help            # write them
    python -m tools.write_help --check    # fail where they are not what would be written
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from fastimap import cli

__all__ = ["PAGE", "written"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "command-line.md"
_MADE = re.compile(r"<!-- help: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)


def actions(command: str) -> list[argparse.Action]:
    """Return what a command takes."""
    return [each for each in cli.command_parser(command)._actions if each.dest != "help"]


def table(command: str) -> str:
    """Return the table of what a command takes: options, and what stands without one."""
    rows = [f"| {_name(each)} | {_plain(each.help or '')} |" for each in actions(command)]
    return "\n".join(["| | |", "|---|---|", *rows])


def _name(action: argparse.Action) -> str:
    value = str(action.metavar) if action.metavar is not None else ""
    if not value and action.choices is not None:
        value = ", ".join(map(str, action.choices))
    names = [f"`{name}`" for name in action.option_strings]
    if not names:
        return f"`{value or action.dest}`"
    return ", ".join(names) + (f" {value}" if value and action.nargs != 0 else "")


def _plain(text: str) -> str:
    return text.replace("%%", "%").replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def written(text: str) -> str:
    """Return the page with its tables as they should be."""

    def made(found: re.Match[str]) -> str:
        return f"<!-- help: {found[1]} -->\n{table(found[1])}\n<!-- end -->\n"

    return _MADE.sub(made, text)


def main() -> int:
    """Write the page, or check it."""
    text = PAGE.read_text("utf-8")
    if "--check" in sys.argv:
        if text != written(text):
            print(f"{PAGE} is not what the help says: python -m tools.write_help", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(written(text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
