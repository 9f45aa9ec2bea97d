"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastimap import imaplib
from tests.imaplib.test_commands import CASES
from tests.servers.test_side_by_side import STEPS

PROJECT = Path(__file__).parent.parent
TABLE = (PROJECT / "docs" / "imaplib.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.splitlines()
    if re.match(r"\| (?!(method|name) |-)", line)
]
FUNCTIONS = {
    folder: {
        name
        for path in (PROJECT / "tests" / folder).glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    for folder in ("servers", "imaplib")
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_tests_of_each_name_exist(row: list[str]) -> None:
    *_, on_dovecot, by_octets = row
    assert by_octets
    known = {"servers": {step.name for step in STEPS}, "imaplib": set(CASES)}
    for folder, cell in (("servers", on_dovecot), ("imaplib", by_octets)):
        for test in cell.split(" · ") if cell else []:
            if test.startswith("`"):
                assert test.strip("`") in known[folder]
            else:
                assert test in FUNCTIONS[folder]


def test_every_method_has_a_row() -> None:
    methods = {
        name
        for cls in (imaplib.IMAP4, imaplib.IMAP4_SSL, imaplib.IMAP4_stream)
        for name, value in vars(cls).items()
        if not name.startswith("_") and callable(value) and not isinstance(value, type)
    }
    assert methods == {row[0] for row in ROWS if len(row) == 5}


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (PROJECT / page).read_text("utf-8")):
        assert (PROJECT / target).exists(), target
