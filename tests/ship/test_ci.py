"""`.ci/run` runs every step, and what failed stands at the end of what it says."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import PROJECT

RUN = PROJECT / ".ci" / "run"
# What stands for make: `test` fails as pytest does and `fuzz` as a fuzzer, each after more lines than anybody reads.
MAKE = """#!/bin/sh
echo "make $*"
case " $FAILING " in *" $1 "*) ;; *) exit 0 ;; esac
case $1 in
    test) echo "FAILED tests/cli/test_errors.py::test_interrupt - it hangs"; echo "ERROR tests/test_docs.py" >&2 ;;
esac
seq 1000
echo "the last word of $1" >&2
exit 2
"""

pytestmark = pytest.mark.skipif(os.name != "posix" or not RUN.exists(), reason="what runs continuous integration")


def run_with(tmp_path: Path, failing: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / ".ci").mkdir()
    shutil.copy(RUN, tmp_path / ".ci" / "run")
    make = tmp_path / "bin" / "make"
    make.parent.mkdir()
    make.write_text(MAKE)
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{make.parent}:{os.environ['PATH']}", "FAILING": failing}
    return subprocess.run([tmp_path / ".ci" / "run"], capture_output=True, text=True, env=environment)


def test_steps_that_fail_stand_at_the_end(tmp_path: Path) -> None:
    ran = run_with(tmp_path, "test fuzz")
    assert ran.returncode == 1
    shown, _, end = ran.stdout.partition("\nci: minutes: ")
    assert [line.split()[1] for line in shown.splitlines() if line.startswith("make ")] == [
        "lint",
        "release-check",
        "test",
        "test-wheel",
        "test-newest",
        "instructions",
        "fuzz",
    ]
    assert len(end.splitlines()) < 100
    assert end.count("\nthe last word of test\n") == end.count("\nthe last word of fuzz\n") == 1
    assert end.endswith(
        "\nci: test FAILED\n"
        "FAILED tests/cli/test_errors.py::test_interrupt - it hangs\n"
        "ERROR tests/test_docs.py\n"
        "\nci: fuzz FAILED\n"
    )
    log = (tmp_path / "build" / "ci" / "test.log").read_text().splitlines()
    assert log[0] == "make test"
    assert log[-1] == "the last word of test"
    assert len(log) == 1004


def test_all_steps_pass(tmp_path: Path) -> None:
    ran = run_with(tmp_path, "")
    assert ran.returncode == 0
    assert ran.stdout.endswith("\nci: all steps passed\n")
    assert "FAILED" not in ran.stdout
