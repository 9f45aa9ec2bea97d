"""Type checkers see the exact results of every door, and a wrong argument is an error."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tests.support import PROJECT, Unavailable

CASES = Path(__file__).with_name("cases.py")
_LINE = re.compile(r"cases\.py:(\d+):(?:\d+:| -)? error: (.*)")


def expected() -> set[int]:
    lines = CASES.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# error")}


def errors(output: str) -> dict[int, str]:
    return {int(number): text for number, text in _LINE.findall(output)}


def check(found: dict[int, str]) -> None:
    wrong = {number: text for number, text in found.items() if number not in expected()}
    assert wrong == {}
    assert set(found) == expected()


def test_mypy(tmp_path: Path, unavailable: Callable[..., NoReturn]) -> None:
    if importlib.util.find_spec("mypy") is None:
        unavailable("mypy", Unavailable("it is not installed: pip install mypy"), required=False)
    command = [sys.executable, "-m", "mypy", "--strict", "--hide-error-context", "--no-error-summary"]
    command += ["--config-file", "", "--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent", str(CASES)]
    environment = {"MYPYPATH": str(PROJECT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=250)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    check(errors(done.stdout))


def test_pyright(tmp_path: Path, unavailable: Callable[..., NoReturn]) -> None:
    pyright = shutil.which("pyright")
    if pyright is None:
        unavailable("pyright", Unavailable("it is not on the PATH: pip install pyright"), required=False)
    config = tmp_path / "pyrightconfig.json"
    config.write_text(f'{{"extraPaths": ["{PROJECT / "src"}"], "include": ["{CASES}"], "pythonVersion": "3.11"}}')
    done = subprocess.run([pyright, "-p", str(config)], capture_output=True, text=True, cwd=tmp_path, timeout=250)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    check(errors(re.sub(r"(cases\.py:\d+):\d+ - ", r"\1: ", done.stdout)))
