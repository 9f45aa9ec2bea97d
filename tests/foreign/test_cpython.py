"""CPython's own test_imaplib against fastimap.imaplib: the suites of the interpreters at hand, and the newest one.

The reference is CPython 3.15: all its tests pass. Of the older suites everything passes but what 3.15 itself changed.
"""

import sys
from pathlib import Path

import pytest

from tests.foreign import harness
from tests.support import IMPLEMENTATIONS, interpreters

pytestmark = pytest.mark.timeout(600)

CHANGED_IN_3_15 = {
    "test_enable_UTF8_True_append": (
        "before 3.15, `UTF8 (` and `)` are sent inside the literal; now around it, as RFC 6855 section 4 says"
    ),
    "test_certfile_arg_warn": "in 3.11 certfile= warns and works; from 3.12 on the stdlib has no such argument",
    "test_file_property_should_not_be_accessed": "3.14 warns about the attribute `file`, which real subclasses set",
}
"""The tests of older suites that may fail, by name, and the reason."""


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_newest_suite(newest_cpython_suite: Path, implementation: str, tmp_path: Path) -> None:
    outcomes = harness.run(
        "fastimap.imaplib",
        "cpython",
        str(newest_cpython_suite),
        directory=tmp_path,
        implementation=implementation,
    )
    bad = {name: outcome for name, outcome in outcomes.items() if outcome != "ok"}
    assert not bad, harness.report(bad)
    assert len(outcomes) >= 239


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_suite_of_interpreter(version: str, tmp_path: Path) -> None:
    python = interpreters.at_hand().get(version)
    if python is None:
        pytest.skip(f"no Python {version} with CPython's test suite here (FASTIMAP_PYTHONS can name one)")
    # The extension is built for the running interpreter only.
    implementation = IMPLEMENTATIONS[0] if python == sys.executable else "py"
    outcomes = harness.run(
        "fastimap.imaplib", "cpython", directory=tmp_path, python=python, implementation=implementation
    )
    # RemoteIMAP…: against a server of Carnegie Mellon's on the open network; skipped by CPython too.
    outcomes = {name: outcome for name, outcome in outcomes.items() if not name.startswith("RemoteIMAP")}
    bad = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome != "ok" and name.split(".")[-1] not in CHANGED_IN_3_15
    }
    assert not bad, harness.report(bad)
    assert len(outcomes) > 80
