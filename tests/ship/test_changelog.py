"""Fragments become a section of the changelog; one that can't is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import PROJECT
from tools import changelog

OLD = "# Changelog\n\n## Unreleased\n\n- one\n  and more\n\n## 1.0.0\n\nFirst.\n"
FOUND = {Path("changes/a.md"): "A thing\nis new.\n", Path("changes/b.md"): "word " * 40 + "end.\n"}


def test_fragments_become_a_section() -> None:
    made = changelog.assembled(OLD, FOUND, "1.1.0", "2026-11-28")
    head = "# Changelog\n\n## 1.1.0 (2026-11-28)\n\n- one\n  and more\n- A thing is new.\n- word "
    assert made.startswith(head)
    assert made.endswith(
        "  word word word word word word word word word word word word word word word word end.\n\n## 1.0.0\n\nFirst.\n"
    )
    assert "Unreleased" not in made


def test_without_what_is_unreleased() -> None:
    made = changelog.assembled("# Changelog\n\n## 1.0.0\n\nFirst.\n", {Path("a.md"): "New."}, "1.1.0", "2026-11-28")
    assert made == "# Changelog\n\n## 1.1.0 (2026-11-28)\n\n- New.\n\n## 1.0.0\n\nFirst.\n"
    first = changelog.assembled("# Changelog\n", {Path("a.md"): "New."}, "1.1.0", "2026-11-28")
    assert first == "# Changelog\n\n## 1.1.0 (2026-11-28)\n\n- New.\n"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("Some Words.md", "New.", "the name"),
        ("a.txt", "New.", "the name"),
        ("a.md", "New", "sentences"),
        ("a.md", "", "sentences"),
        ("a.md", "- New.", "one paragraph"),
        ("a.md", "New.\n\nNewer.", "one paragraph"),
    ],
)
def test_what_is_not_fit_is_named(name: str, text: str, problem: str) -> None:
    (said,) = changelog.problems({Path(name): text})
    assert problem in said


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["src/fastimap/limits.py"], True),
        (["src/fastimap/limits.py", "changes/README.md"], True),
        (["src/fastimap/limits.py", "changes/limits.md"], False),
        (["src/fastimap/limits.py", "CHANGELOG.md"], False),
        (["docs/limits.md"], False),
    ],
)
def test_a_change_of_the_library_says_so(changed: list[str], expected: bool) -> None:
    assert changelog.without_a_word(changed) is expected


def test_the_fragments_here_are_fit() -> None:
    assert changelog.problems(changelog.fragments(PROJECT / "changes")) == []
