"""The command line in a process of its own, as its user meets it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]
_PROGRESS = re.compile(r"^(.*: )?[0-9,]+ of [0-9,]+ (messages|accounts), .*\n", re.MULTILINE)


def complaints(said: str) -> str:
    """Return what is on standard error besides progress, of which a slow machine shows a line each ten seconds."""
    return _PROGRESS.sub("", said)


@pytest.fixture
def run() -> Run:
    """A function that runs ``python -m fastimap`` with arguments, and variables as keywords."""

    def run(*arguments: str, **variables: str) -> Ended:
        return subprocess.run(
            [sys.executable, "-m", "fastimap", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            env=os.environ | variables,
        )

    return run
