"""What a package index shows, and what keeps a release from being made of parts that do not agree."""

from __future__ import annotations

import re
import runpy
import sys
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from tests.support import PROJECT
from tools import build_wheels, release_check

ADDRESS = "https://forge.example/someone/fastimap"
CHANGELOG = "# Changelog\n\n## 1.2.0\n\n- new\n\n## 1.1.0 (2026-01-02)\n\n- old\n"


def metadata(version: str = "1.2.0", body: str = "Words.", url: str = f"Source, {ADDRESS}") -> Message:
    made = Message()
    made["Version"] = version
    for name in ("Summary", "Author", "License-Expression", "Requires-Python", "Keywords"):
        made[name] = "x"
    if url:
        made["Project-URL"] = url
    made.set_payload(body)
    return made


def test_a_release_that_agrees_is_let_through() -> None:
    assert release_check.problems("1.2.0", CHANGELOG, ADDRESS, metadata(), "v1.2.0") == []


@pytest.mark.parametrize("tag", ["", "v1.2.0"])
def test_an_unset_address_keeps_a_tag_alone_from_being_released(tag: str) -> None:
    found = release_check.problems("1.2.0", CHANGELOG, "", metadata(url=""), tag)
    assert len(found) == (1 if tag else 0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tag": "v1.2.1"}, "the tag is v1.2.1"),
        ({"version": "1.3.0", "metadata": metadata("1.3.0"), "tag": "v1.3.0"}, "no section ## 1.3.0"),
        ({"version": "1.1.0", "metadata": metadata("1.1.0"), "tag": ""}, "has 1.2.0 already"),
        ({"metadata": metadata("1.1.9")}, "says version 1.1.9"),
        ({"changelog": CHANGELOG.replace("## 1.2.0", "## Unreleased\n\n- newer\n\n## 1.2.0")}, "Unreleased"),
        ({"waiting": {Path("changes/a.md"): "New."}}, "changes/ still has fragments"),
        ({"waiting": {Path("changes/a.md"): "New"}, "tag": ""}, "expected sentences"),
        ({"changelog": CHANGELOG.replace("1.1.0", "1.10.0"), "tag": ""}, "the newest version does not come first"),
        ({"metadata": metadata(body="[a page](docs/guide.md)")}, "leads nowhere on an index: docs/guide.md"),
        ({"repository": "forge.example/fastimap"}, "expected https://host/owner/name"),
        ({"metadata": metadata(url="")}, "the metadata has addresses"),
        ({"version": "1.2.0rc1"}, "three numbers are expected"),
    ],
)
def test_what_does_not_agree_is_named(change: dict[str, Any], problem: str) -> None:
    given = {"version": "1.2.0", "changelog": CHANGELOG, "repository": ADDRESS, "metadata": metadata(), "tag": "v1.2.0"}
    found = release_check.problems(**{**given, **change})
    assert any(problem in sentence for sentence in found), found


@pytest.mark.slow
def test_this_checkout_agrees() -> None:
    source = (PROJECT / "src" / "fastimap" / "__init__.py").read_text("utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"', source, re.MULTILINE)
    made = release_check.built_metadata()
    changelog = (PROJECT / "CHANGELOG.md").read_text("utf-8")
    repository = ADDRESS if made.get_all("Project-URL") else ""
    assert release_check.problems(version, changelog, repository, made, "") == []


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions of setup.py, which builds nothing here."""
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("FASTIMAP_NO_EXTENSION", "1")
    monkeypatch.setattr("setuptools.setup", lambda **arguments: None)
    return runpy.run_path("setup.py")


def test_links_and_pictures_of_the_description_lead_to_the_repository(set_up: dict[str, Any]) -> None:
    shown = set_up["description"](ADDRESS, "v1.2.0")
    targets = re.findall(r"\]\(([^)]+)\)", shown)
    assert f"{ADDRESS}/raw/v1.2.0/docs/speed.svg" in targets
    assert f"{ADDRESS}/blob/v1.2.0/CHANGELOG.md" in targets
    assert all(target.startswith("https://") for target in targets)
    for target in targets:
        if target.startswith(ADDRESS):
            assert (PROJECT / target.split("/v1.2.0/")[1]).exists()


def test_without_an_address_the_words_of_the_links_stay(set_up: dict[str, Any]) -> None:
    shown = set_up["description"]("", "v1.2.0")
    assert "](" not in shown.replace("](https://", "")
    assert "architecture, contributing, changelog" in shown
    assert set_up["urls"]("", "v1.2.0") == {}


def test_each_version_of_python_is_built_for_once(tmp_path: Path) -> None:
    link = tmp_path / "python-by-another-name"
    link.symlink_to(sys.executable)
    assert build_wheels.pythons([sys.executable, str(link)]) == [Path(sys.executable)]
