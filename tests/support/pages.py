"""The tables in the project's documents."""

from __future__ import annotations

import re

from tests.support import PROJECT

SERVERS = ("dovecot-2.3", "dovecot-2.4", "cyrus-3.6", "cyrus-3.10", "courier-5.0")
"""The columns of docs/commands.md that are about servers, by the names that the tests have for these."""


def table_rows(page: str) -> list[list[str]]:
    """Return the cells of every row of every table of docs/`page`, but for the heads."""
    lines = (PROJECT / "docs" / page).read_text("utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line, below in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("| ") and not below.startswith("|--")
    ]


def section(page: str, title: str) -> str:
    """Return the text of docs/`page` below a heading, up to the next one."""
    text = (PROJECT / "docs" / page).read_text("utf-8")
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
