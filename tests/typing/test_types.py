"""Type checkers see the exact results of every interface, and a wrong argument is an error."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from fastimap import AsyncClient, Client
from fastimap.types import Pipeline
from tests.support import PROJECT, Unavailable

CASES = Path(__file__).with_name("cases.py")
SOURCE = CASES.read_text(encoding="utf-8")
PATIENCE = 250  # seconds; the first run of a checker reads the standard library's types


def expected() -> set[int]:
    return {number for number, line in enumerate(SOURCE.splitlines(), 1) if line.endswith("# error")}


def check(found: dict[int, str]) -> None:
    wrong = {number: text for number, text in found.items() if number not in expected()}
    assert wrong == {}
    assert set(found) == expected()


def run(tool: str, arguments: list[str], folder: Path, unavailable: Callable[..., NoReturn]) -> str:
    """What the type checker `tool` prints; it has found nothing, or errors, and has not failed itself."""
    if importlib.util.find_spec(tool) is None:
        unavailable(tool, Unavailable(f"it is not installed: pip install '{EXTRA[tool]}'"))
    environment = {**os.environ, "MYPYPATH": str(PROJECT / "src"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=PATIENCE,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


EXTRA = {"mypy": "mypy", "pyright": "pyright[nodejs]"}


@pytest.mark.slow
def test_mypy(tmp_path: Path, unavailable: Callable[..., NoReturn]) -> None:
    arguments = ["--strict", "--hide-error-context", "--no-error-summary", "--config-file", ""]
    arguments += ["--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent", str(CASES)]
    printed = run("mypy", arguments, tmp_path, unavailable)
    check({int(number): text for number, text in re.findall(r"cases\.py:(\d+): error: (.*)", printed)})


@pytest.mark.slow
def test_pyright(tmp_path: Path, unavailable: Callable[..., NoReturn]) -> None:
    # A copy, as pyright takes no path from outside its configuration's folder.
    (tmp_path / CASES.name).write_text(SOURCE, encoding="utf-8")
    settings = {"include": [CASES.name], "extraPaths": [str(PROJECT / "src")], "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    report = json.loads(run("pyright", ["--outputjson"], tmp_path, unavailable))
    assert report["summary"]["filesAnalyzed"] == 1
    check({found["range"]["start"]["line"] + 1: found["message"] for found in report["generalDiagnostics"]})


@pytest.mark.slow
@pytest.mark.parametrize(("interface", "name"), [(Client, "client"), (AsyncClient, "client"), (Pipeline, "pipeline")])
def test_every_name_has_a_case(interface: type, name: str) -> None:
    begin = re.search(rf"\b{name}: (fastimap\.)?{interface.__name__}\b", SOURCE).start()  # type: ignore[union-attr]
    body = SOURCE[begin : SOURCE.find("\n\n\n", begin)]
    names = {name for name in vars(interface) if not name.startswith("_")}
    assert names <= set(re.findall(rf"\b{name}\.(\w+)", body))
