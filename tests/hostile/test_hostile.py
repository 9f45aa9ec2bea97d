"""Every scenario holds for the drop-in, on both implementations of the parser; see docs/hostile.md."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.parser.conftest import built

from .families import SCENARIOS
from .run import run
from .scenario import Scenario

Verdicts = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> Verdicts:
    """The verdicts of the scenarios to be asserted, by implementation and name: all of one run in a few processes."""
    chosen: dict[str, list[Scenario]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.function is test_is_safe:
            parameters: dict[str, Any] = item.callspec.params
            chosen.setdefault(parameters["implementation"], []).append(parameters["scenario"])
    with ThreadPoolExecutor() as executor:  # what most scenarios cost is waiting
        pending = {
            implementation: executor.submit(
                run, "fastimap", implementation, [(scenario, None) for scenario in scenarios]
            )
            for implementation, scenarios in chosen.items()
        }
    return {
        (implementation, str(scenario)): verdict
        for implementation, scenarios in chosen.items()
        for scenario, (verdict, _) in zip(scenarios, pending[implementation].result(), strict=True)
    }


@pytest.mark.timeout(1800)  # the first test waits for all scenarios, each of which has a limit of its own
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
@pytest.mark.parametrize("implementation", built())
def test_is_safe(verdicts: Verdicts, implementation: str, scenario: Scenario) -> None:
    assert verdicts[implementation, str(scenario)] == "ok"


def test_the_bed_notices() -> None:
    """The standard library's IMAP4_SSL takes any certificate."""
    accepted = [scenario for scenario in SCENARIOS if str(scenario) == "TLS: a certificate of an unknown authority"]
    [(verdict, _)] = run("imaplib", "", [(accepted[0], None)])
    assert "secret" in verdict


def test_the_bed_goes_on_behind_a_scenario_that_does_not_end() -> None:
    jobs = [(scenario, None) for scenario in SCENARIOS[:2]]
    assert run("imaplib", "", jobs, wall_limit=0.001) == [("took more than 0.001 seconds", 0.001)] * 2
