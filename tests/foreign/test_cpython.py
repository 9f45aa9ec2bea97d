"""CPython's own test_imaplib against fastimap.imaplib: the suites of the interpreters at hand, and the newest one.

The reference is CPython 3.15: all its tests pass. Of the older suites everything passes but what 3.15 itself changed.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.foreign import harness
from tests.support import IMPLEMENTATIONS, interpreters

pytestmark = [pytest.mark.timeout(600), pytest.mark.shares("the suites of CPython")]

CHANGED_IN_3_15 = {
    "test_enable_UTF8_True_append": (
        "before 3.15, `UTF8 (` and `)` are sent inside the literal; now around it, as RFC 6855 section 4 says"
    ),
    "test_certfile_arg_warn": "in 3.11 certfile= warns and works; from 3.12 on the stdlib has no such argument",
    "test_file_property_should_not_be_accessed": "3.14 warns about the attribute `file`, which real subclasses set",
}
"""The tests of older suites that may fail, by name, and the reason."""


NEWEST = "newest"
Suites: TypeAlias = "dict[tuple[str, str], Future[dict[str, str]]]"


@pytest.fixture(scope="module")
def suites(newest_cpython_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suites]:
    """The outcomes to come, by suite and parser: all run at a time, for they wait more than they work."""
    pythons = interpreters.at_hand()

    def run(suite: str, implementation: str, directory: Path) -> dict[str, str]:
        return harness.run(
            "fastimap.imaplib",
            "cpython",
            *([str(newest_cpython_suite)] if suite == NEWEST else []),
            directory=directory,
            python=pythons.get(suite, sys.executable),
            implementation=implementation,
        )

    wanted = [(NEWEST, implementation) for implementation in IMPLEMENTATIONS]
    wanted += [(version, implementation_of(python)) for version, python in pythons.items()]
    with ThreadPoolExecutor(len(wanted)) as executor:
        yield {key: executor.submit(run, *key, tmp_path_factory.mktemp("suite")) for key in wanted}


def implementation_of(python: str) -> str:
    """Return the parser for an interpreter: the extension is built for the running one alone."""
    return IMPLEMENTATIONS[0] if python == sys.executable else "py"


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_newest_suite(suites: Suites, implementation: str) -> None:
    outcomes = suites[NEWEST, implementation].result()
    bad = {name: outcome for name, outcome in outcomes.items() if outcome != "ok"}
    assert not bad, harness.report(bad)
    assert len(outcomes) >= 239


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_suite_of_interpreter(suites: Suites, version: str) -> None:
    python = interpreters.at_hand().get(version)
    if python is None:
        pytest.skip(f"no Python {version} with CPython's test suite here (FASTIMAP_PYTHONS can name one)")
    outcomes = suites[version, implementation_of(python)].result()
    # RemoteIMAP…: against a server of Carnegie Mellon's on the open network; skipped by CPython too.
    outcomes = {name: outcome for name, outcome in outcomes.items() if not name.startswith("RemoteIMAP")}
    bad = {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome != "ok" and name.split(".")[-1] not in CHANGED_IN_3_15
    }
    assert not bad, harness.report(bad)
    assert len(outcomes) > 80
