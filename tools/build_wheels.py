"""Builds what is published, without docker, and tests each wheel as a user gets it: python -m tools.build_wheels

The sdist; from it a wheel for every CPython of this machine that fastimap supports, repaired by auditwheel, and the
pure-Python one. Each is installed into a fresh environment where no compiler can be found, and tested there.
A CPython counts that is on PATH as python3.N or installed by pyenv; ``--pythons`` names others.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ASKED = "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"


def run(*command: str | Path, **environment: str) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, cwd=PROJECT, env={**os.environ, **environment}, check=True)


def pythons(names: list[str]) -> list[Path]:
    """Return one interpreter for each version that can be built for."""
    oldest = 11
    candidates = [Path(sys.executable)] if not names else []
    for minor in range(oldest, oldest + 10):
        for name in (f"python3.{minor}", f"python3.{minor}t"):
            candidates += [Path(found) for found in [shutil.which(name)] if found]
            candidates += sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/{name}"))
    found: dict[tuple[int, ...], Path] = {}
    for candidate in [Path(name) for name in names] or candidates:
        asked = subprocess.run([candidate, "-c", ASKED], capture_output=True, text=True, check=False)
        if asked.returncode != 0:  # one of pyenv's shims, whose version is not switched on
            continue
        version = tuple(int(part) for part in asked.stdout.split())
        if version >= (3, oldest, 0):
            found.setdefault(version, candidate)
    return [found[version] for version in sorted(found)]


def build(output: Path, interpreters: list[Path]) -> None:
    """Build the sdist, and all wheels from it."""
    tool = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as directory:
        built = Path(directory)
        run(sys.executable, "-m", "build", "--sdist", "--outdir", output)
        (sdist,) = output.glob("*.tar.gz")
        pip = ("-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps", "--no-cache-dir")
        for interpreter in interpreters:
            run(interpreter, *pip, "--wheel-dir", built, sdist, FASTIMAP_REQUIRE_EXTENSION="1")
        for wheel in sorted(built.glob("*.whl")):
            if sys.platform == "linux":
                path = os.pathsep.join([str(tool), os.environ["PATH"]])  # of patchelf
                run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", output, wheel, PATH=path)
            else:
                shutil.copy(wheel, output)
        run(sys.executable, *pip, "--wheel-dir", output, sdist, FASTIMAP_NO_EXTENSION="1")


def check(output: Path) -> None:
    """Check the files as a package index does, and what is in the wheels."""
    files = sorted(output.iterdir())
    run(sys.executable, "-m", "twine", "check", "--strict", *files)
    run(sys.executable, "-m", "check_wheel_contents", *(file for file in files if file.suffix == ".whl"))


def test(wheel: Path, interpreter: Path, requirements: list[str], arguments: list[str]) -> None:
    """Install a wheel into a fresh environment, without a compiler, and run the suites there."""
    with tempfile.TemporaryDirectory() as directory:
        run(interpreter, "-m", "venv", directory)
        binaries = Path(directory) / ("Scripts" if os.name == "nt" else "bin")
        python = binaries / "python"
        without = {"PATH": str(binaries), "CC": "no-compiler", "PYTHONPATH": ""}
        pip = ("-m", "pip", "--disable-pip-version-check", "install", "-q", "--only-binary", ":all:")
        run(python, *pip, wheel, *requirements, **without)
        implementation = "py" if "-none-any" in wheel.name else "c"
        run(python, "tools/test_installed.py", implementation, *arguments, **without)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=PROJECT / "dist")
    parser.add_argument(
        "--pythons", nargs="*", default=[], help="interpreters to build for, instead of all that are found"
    )
    parser.add_argument("--suites", default="parser", help="what is tested: folders of tests/")
    arguments = parser.parse_args()
    interpreters = pythons(arguments.pythons)
    print("wheels for:", *interpreters, flush=True)
    shutil.rmtree(arguments.output, ignore_errors=True)
    arguments.output.mkdir(parents=True)
    build(arguments.output, interpreters)
    check(arguments.output)
    with open(PROJECT / "pyproject.toml", "rb") as file:
        requirements = tomllib.load(file)["project"]["optional-dependencies"]["wheel-test"]
    suites = ["--suites", arguments.suites]
    for interpreter in interpreters:
        asked = subprocess.run([interpreter, "-c", ASKED], capture_output=True, text=True, check=True)
        major, minor, free_threaded = asked.stdout.split()
        tag = f"-cp{major}{minor}{'t' if free_threaded == '1' else ''}-"
        (wheel,) = (found for found in arguments.output.glob("*.whl") if tag in found.name)
        test(wheel, interpreter, requirements, suites)
    (pure,) = arguments.output.glob("*-none-any.whl")
    test(pure, interpreters[0], requirements, suites)
    print("built and tested:", *sorted(file.name for file in arguments.output.iterdir()), sep="\n  ")


if __name__ == "__main__":
    main()
