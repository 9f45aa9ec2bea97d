"""Measure the line coverage of the Cython code by the parser's tests: build it with line tracing, run, report.

The traced build goes to a directory of its own; run with the Python of an environment that has the extra `test`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
# Neither Cython (from Python 3.13 on) nor coverage may use sys.monitoring: coverage's plugins know only the older way.
SWITCHES = {
    "FASTIMAP_TRACE": "1",
    "HYPOTHESIS_PROFILE": "dev",
    "FASTIMAP_REQUIRE_EXTENSION": "1",
    "CFLAGS": f"{os.environ.get('CFLAGS', '')} -DCYTHON_USE_SYS_MONITORING=0",
}
CONFIGURATION = """\
[run]
plugins = Cython.Coverage
core = ctrace
data_file = {directory}/coverage
include =
    {source}/_parser.pyx
    {source}/_parser_pyx/*.pxi
[report]
show_missing = true
"""


def build(directory: Path) -> Path:
    """Copy the project's sources to the directory and build them there, traced; return the directory of packages."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, directory)
    source = directory / "src"
    shutil.copytree(PROJECT / "src", source, ignore=shutil.ignore_patterns("*.so", "*.egg-info", "__pycache__"))
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    subprocess.run(command, cwd=directory, env=os.environ | SWITCHES, check=True)
    # The plugin looks for the C code beside the Cython code.
    shutil.move(directory / "build/src/fastimap/_parser.c", source / "fastimap")
    return source


def main(*pytest_arguments: str) -> int:
    """Build, run the tests, print the report; return the exit status of the tests, or else of the report."""
    with tempfile.TemporaryDirectory(prefix="fastimap-coverage-") as name:
        directory = Path(name)
        source = build(directory)
        rcfile = directory / "coveragerc"
        rcfile.write_text(CONFIGURATION.format(directory=directory, source=source / "fastimap"))
        coverage = [sys.executable, "-m", "coverage"]
        # Run where it was built: the traced code knows its file by the path relative to there.
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(PROJECT / "pyproject.toml")]
        pytest += ["-o", "timeout=0"]  # traced code is slow
        tests = [*pytest, *(pytest_arguments or [str(PROJECT / "tests/parser")])]
        environment = os.environ | {"PYTHONPATH": str(source)}
        ran = subprocess.run([*coverage, "run", f"--rcfile={rcfile}", *tests], cwd=directory, env=environment)
        reported = subprocess.run([*coverage, "report", f"--rcfile={rcfile}"], cwd=directory, env=environment)
        return ran.returncode or reported.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
