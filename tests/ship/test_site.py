"""The site has all pages and all names; links lead somewhere there, too. `make docs` builds it, strictly."""

from __future__ import annotations

import ast
import re
from itertools import pairwise

import pytest

from fastimap import search
from fastimap._homes import HOMES
from tests.support import PROJECT
from tools import site_hooks

NAVIGATION = (PROJECT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
ADDRESS = "https://forge.example/someone/fastimap"


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r"[\w/-]+\.md", NAVIGATION))
    there = {path.relative_to(PROJECT / "docs").as_posix() for path in (PROJECT / "docs").rglob("*.md")}
    assert named - there == set(site_hooks.PAGES.values())
    assert there - named <= set(site_hooks.OPTIONAL)


def test_every_name_at_the_top_has_its_place_in_the_reference() -> None:
    page = site_hooks.with_all_names((PROJECT / "docs" / "reference" / "fastimap.md").read_text("utf-8"))
    for name, home in HOMES.items():
        if home == f".{name}":
            own = PROJECT / "docs" / "reference" / f"{name}.md"
            assert f"::: fastimap{home}\n" in (own.read_text("utf-8") if own.exists() else page)
        else:
            assert f"::: fastimap{home}.{name}\n" in page or f"`{name}`" in page


def test_every_search_key_says_what_it_finds() -> None:
    """The reference shows no constant without a text after it."""
    nodes = ast.parse((PROJECT / "src" / "fastimap" / "search.py").read_text("utf-8")).body
    told = {
        node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node)
    }
    for node, text in pairwise(nodes):
        if isinstance(node, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(node.target, ast.Name):
            told.add(node.target.id)
    assert {*search.__all__} <= told


@pytest.mark.parametrize(
    ("text", "page", "address", "mended"),
    [
        ("[a](guide.md)", "index.md", "", "[a](guide.md)"),
        ("[a](../SECURITY.md#limits)", "hostile.md", "", "[a](security.md#limits)"),
        ("[a](../../SECURITY.md)", "reference/errors.md", "", "[a](../security.md)"),
        ("[a](../src/fastimap/errors.py)", "clients.md", "", "a"),
        ("[a](../src/fastimap/errors.py)", "clients.md", ADDRESS, f"[a]({ADDRESS}/blob/HEAD/src/fastimap/errors.py)"),
        ("[a](https://example.org/x)", "clients.md", ADDRESS, "[a](https://example.org/x)"),
        ("[a](#limits)", "clients.md", ADDRESS, "[a](#limits)"),
    ],
)
def test_links_are_mended_for_the_site(text: str, page: str, address: str, mended: str) -> None:
    assert site_hooks.mended(text, page, address) == mended


def test_a_page_of_the_top_directory_is_read_as_if_it_stood_in_docs() -> None:
    text = "[a](SECURITY.md) ![b](docs/speed.svg) [c](#x) [d](https://example.org)"
    expected = "[a](../SECURITY.md) ![b](speed.svg) [c](#x) [d](https://example.org)"
    assert site_hooks.from_the_top(text) == expected
