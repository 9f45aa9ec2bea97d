"""The Python interpreters of this machine that come with CPython's test suite."""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support import Unavailable, debian

VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
PROBE = (
    "import importlib.util as u, sys;"
    "print('%d.%d' % sys.version_info[:2] if u.find_spec('test') and u.find_spec('test.test_imaplib') else '')"
)


@functools.cache
def at_hand() -> dict[str, str]:
    """Return one interpreter (its path) for each of `VERSIONS` found here; the running one comes first.

    Looks at the running interpreter, FASTIMAP_PYTHONS (paths, separated as in PATH), PATH, pyenv's versions, and has
    of what Debian sid has the others.
    """
    found: dict[str, str] = {}
    for path in _candidates():
        if (version := _version(path)) in VERSIONS:
            found.setdefault(version, path)
    for version in VERSIONS:
        if version not in found:
            with contextlib.suppress(Unavailable):
                found[version] = str(debian.python(version))
    return found


def _candidates() -> Iterator[str]:
    yield sys.executable
    yield from filter(None, os.environ.get("FASTIMAP_PYTHONS", "").split(os.pathsep))
    yield from filter(None, (shutil.which(f"python{version}") for version in VERSIONS))
    for version in VERSIONS:
        yield from map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")))


def _version(path: str) -> str:
    # -P and an empty PYTHONPATH: nothing of this project may be taken for the interpreter's own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [path, "-P", "-c", PROBE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
