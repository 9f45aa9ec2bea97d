"""Hooks of mkdocs: the pages that lie at the top of the project, links to what is no page, the optional pages.

A page of docs/ links to ../SECURITY.md, as a reader of the repository needs it; on the site that is security.md. A link
to a source leads to the repository, where pyproject.toml has its address, and otherwise is its words alone.
"""

from __future__ import annotations

import logging
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
PAGES = {"ARCHITECTURE.md": "architecture.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "security.md"}
# Pages that may not be there yet, with their place in the navigation.
OPTIONAL: dict[str, str] = {}


def repository() -> str:
    with open(PROJECT / "pyproject.toml", "rb") as file:
        address: str = tomllib.load(file)["tool"]["fastimap"]["repository"]
    return address.rstrip("/")


def mended(text: str, page: str, address: str) -> str:
    """Return a page's text with the links that a reader of the site can follow; `page` is relative to docs/."""

    def mend(found: re.Match[str]) -> str:
        picture, words, target, anchor = found.groups("")
        if not target or re.match(r"https?:|mailto:", target):
            return found[0]
        path = ((PROJECT / "docs" / page).parent / target).resolve()
        if path.is_relative_to(PROJECT / "docs"):
            return found[0]
        name = path.relative_to(PROJECT).as_posix()
        if name in PAGES:
            return f"[{words}]({'../' * page.count('/')}{PAGES[name]}{anchor})"
        return f"{picture}[{words}]({address}/blob/HEAD/{name}{anchor})" if address else words

    return re.sub(r"(!?)\[([^]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)", mend, text)


def with_all_names(text: str) -> str:
    """Return the page of the top-level names, with those at its end that it lacks."""
    homes: dict[str, str] = runpy.run_path(str(PROJECT / "src" / "fastimap" / "_homes.py"))["HOMES"]
    for name, home in homes.items():
        identifier = f"fastimap{home}" if home == f".{name}" else f"fastimap{home}.{name}"
        has_a_page = (PROJECT / "docs" / "reference" / f"{name}.md").exists() and home == f".{name}"
        if not has_a_page and f"::: {identifier}\n" not in text and f"`{name}`" not in text:
            text += f"\n::: {identifier}\n"
    return text


def from_the_top(text: str) -> str:
    """Return the text of a page of the project's top directory as if it stood in docs/."""
    text = re.sub(r"\]\((?!https?:|mailto:|#|docs/)([^)]+)\)", r"](../\1)", text)
    return text.replace("](docs/", "](")


# Expected warnings: fastimap.__all__ is made of a table, which a reader of sources can't see; and the parameters
# of a function that takes **settings are documented by their names.
EXPECTED = ("fastimap.__all__", "does not appear in the function signature", "No matching parameter")


class _Unexpected(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not any(part in record.getMessage() for part in EXPECTED)


def on_startup(**arguments: Any) -> None:
    logging.getLogger("mkdocs.plugins.griffe").addFilter(_Unexpected())


def on_config(config: Any) -> Any:
    for section in config["nav"]:
        if "Use it" in section:
            for page, title in OPTIONAL.items():
                if (PROJECT / "docs" / page).exists():
                    section["Use it"].append({title: page})
    address = repository()
    if address:
        config["repo_url"] = address
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        text = from_the_top((PROJECT / name).read_text("utf-8"))
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    if page.file.src_uri == "reference/fastimap.md":
        markdown = with_all_names(markdown)
    return mended(markdown, page.file.src_uri, repository())


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Leave out what docstrings have for help() and for editors: roles, and the colons before an example."""
    html = re.sub(r":(class|mod|func|meth|exc|attr|data):(?=<)", "", html)
    return re.sub(r"::</p>", ":</p>", html.replace("<p>::</p>", ""))
