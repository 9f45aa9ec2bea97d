"""The house's layers: a module imports from floors below its own, and only the top floors wait for the network."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tools import draw_house

PACKAGE = Path(__file__).parent.parent / "src" / "fastimap"

# The floors, from the ground up: each with what it is about, and its rooms. A folder stands for all of its modules.
# tools/draw_house.py draws them for ARCHITECTURE.md.
FLOORS = {
    "values: what is said": ["_errors", "_lazy", "errors", "limits", "model", "sasl"],
    "parser: octets, framed and cut": ["_pace", "_tls", "_parser", "_parser_pyx", "_parser_py", "parser"],
    "wire: responses, arguments": ["wire", "search", "_search_program", "settings", "imaplib", "columns"],
    "commands: one body each": ["commands"],
    "conversation: still no I/O": ["conversation"],
    "clients: the code that waits": ["clients", "sessions"],
    "names that users type": ["__init__", "_homes", "types"],
    "programs": ["archive", "cli", "demo", "testing", "__main__"],
}
WAITING = {"asyncio", "select", "selectors", "socket", "socketserver", "ssl", "subprocess"}
SESSIONS_THAT_WAIT = (
    "sessions/pool/",
    "sessions/tokens.py",
    "sessions/follow/blocking.py",
    "sessions/follow/asyncio.py",
)
MAY_WAIT = {"_tls", "imaplib", "clients", "testing", "demo", "archive", "cli", "__main__"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].partition(".")[0]


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS.values()) if name in rooms)


def imports(path: Path) -> list[str]:
    """The modules that `path` imports, absolute; a Cython file is read line by line."""
    package = ["fastimap", *path.relative_to(PACKAGE).parts[:-1]]
    text = path.read_text("utf-8")
    found = []
    if path.suffix in (".pyx", ".pxi"):
        for dots, module, names in re.findall(r"^from (\.*)([\w.]*) import ([\w, ]*)", text, re.MULTILINE):
            base = [*package[: len(package) - len(dots) + 1]] if dots else []
            found += [".".join([*base, name]) for name in ([module] if module else names.split(", "))]
        return found
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not _for_types_alone(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [module] if module != "fastimap" else [f"fastimap.{alias.name}" for alias in node.names]
    return found


def _for_types_alone(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


MODULES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx"), *PACKAGE.rglob("*.pxi")])


def test_every_module_has_a_floor() -> None:
    assert {room(path) for path in MODULES} == {name for rooms in FLOORS.values() for name in rooms}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down_only(path: Path) -> None:
    for module in imports(path):
        if module.startswith("fastimap."):
            below = module.split(".")[1]
            if (PACKAGE / below).exists() or list(PACKAGE.glob(f"{below}.*")):
                assert floor(below) <= floor(room(path)), f"{path.name} imports {module}, which is above it"
        elif module.split(".")[0] in WAITING:
            where = path.relative_to(PACKAGE).as_posix()
            assert room(path) in MAY_WAIT or where.startswith(SESSIONS_THAT_WAIT), (
                f"{path.name} imports {module}, but only the top floors wait"
            )


def test_the_picture_shows_this_house() -> None:
    assert draw_house.PICTURE.read_text("utf-8") == draw_house.drawn(FLOORS, MAY_WAIT)
