"""Runs other people's tests with fastimap in the place of imaplib, in a process of their own (runner.py)."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import fastimap

RUNNER = Path(__file__).with_name("runner.py")


def run(
    module: str,
    *suite: str,
    directory: Path,
    python: str = sys.executable,
    implementation: str = "",
    **variables: str,
) -> dict[str, str]:
    """Return the outcome of each test by its name ("Class.method"): "ok", "skipped: why", or a traceback.

    `module` is put in the place of imaplib and `suite` run (see runner.py) by `python`, with the parser
    `implementation` unless that is empty. The only additions to the module search path are `directory`, which
    the tests may write to, and a link to the package fastimap in there. `variables` are set in the environment.
    """
    link = directory / "fastimap"
    with contextlib.suppress(FileExistsError):
        link.symlink_to(Path(fastimap.__file__).parent, target_is_directory=True)
    environment = os.environ | {"PYTHONPATH": str(directory), "FASTIMAP_IMPL": implementation} | variables
    if not implementation:
        del environment["FASTIMAP_IMPL"]
    command = [python, "-B", str(RUNNER), module, *suite]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, str] = json.loads(done.stdout)
    return outcomes


def report(outcomes: dict[str, str]) -> str:
    """Return names and outcomes as one text, for the message of a failed assertion."""
    return "\n".join(f"{name}: {outcome}" for name, outcome in sorted(outcomes.items()))


def worse(outcomes: dict[str, str], reference: dict[str, str]) -> dict[str, str]:
    """Return those of `outcomes` that are not "ok" and were in `reference`, or are missing."""
    passed = [name for name, outcome in reference.items() if outcome == "ok"]
    return {name: outcomes.get(name, "did not run") for name in passed if outcomes.get(name) != "ok"}
