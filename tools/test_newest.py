"""Runs the fast tests on the newest CPython of Debian, the extension built for it: python -m tools.test_newest

Nothing is installed: the interpreter and its headers are unpacked below .cache, and so is what the tests need. The
extension is compiled from the C that `make check` has made. Arguments are handed on to pytest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from tests.support import CACHE, Unavailable, debian

PROJECT = Path(__file__).resolve().parents[1]
FAST = "not slow and not server and not hostile and not foreign"
APART = ("tests/hostile", "tests/servers", "tests/foreign", "tests/ship")


def packages(version: str) -> Path:
    """Return the directory of what the tests need, for that Python."""
    with open(PROJECT / "pyproject.toml", "rb") as file:
        wanted = tomllib.load(file)["project"]["optional-dependencies"]["wheel-test"]
    directory = CACHE / f"packages-{version}"
    if not directory.exists():
        partial = directory.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        abi = f"cp{version.replace('.', '')}"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--target",
            str(partial),
        ]
        kind = ["--python-version", version, "--abi", abi, "--abi", "abi3", "--abi", "none", "--only-binary", ":all:"]
        done = subprocess.run([*pip, *kind, *wanted, "pytest-xdist>=3.6"], check=False)
        if done.returncode != 0:
            raise Unavailable(f"pip could not get what the tests need for Python {version}")
        partial.rename(directory)
    return directory


def build(python: Path, version: str) -> None:
    """Compile the extension into src/, beside that of the Python that runs."""
    source = PROJECT / "build" / "src" / "fastimap" / "_parser.c"
    include = debian.unpacked_package(f"libpython{version}-dev") / "usr" / "include"
    asked = "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"
    suffix = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    target = PROJECT / "src" / "fastimap" / f"_parser{suffix}"
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return
    architecture = sysconfig.get_config_var("MULTIARCH")
    headers = [include / f"python{version}", include, include / architecture]
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    options = ["-O2", "-fwrapv", "-DNDEBUG", "-shared", "-fPIC", *(f"-I{path}" for path in headers)]
    subprocess.run([*compiler, *options, "-o", target, source], check=True)


def main() -> int:
    version = debian.CPYTHON
    try:
        python = debian.python(version)
        places = [PROJECT / "src", PROJECT, packages(version)]
        build(python, version)
    except Unavailable as reason:
        print(f"the newest CPython is not to be had: {reason}", file=sys.stderr)
        return 1
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places)), "HYPOTHESIS_PROFILE": "dev"}
    asked = "import fastimap, sys; print('CPython', sys.version.split()[0], 'parser', fastimap.IMPLEMENTATION)"
    subprocess.run([python, "-c", asked], env=environment | {"FASTIMAP_IMPL": "c"}, check=True)
    ignored = [word for path in APART for word in ("--ignore", path)]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", FAST, *ignored, *sys.argv[1:]]
    return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
