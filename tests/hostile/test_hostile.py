"""Every scenario holds for each of fastimap's adapters, on both implementations of the parser; see docs/hostile.md."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tests.support import IMPLEMENTATIONS

from .adapters import OURS
from .families import SCENARIOS
from .growth import LARGE, growths
from .run import ROOT, Column, run, run_all
from .scenario import Scenario

COLUMNS = [(adapter, implementation) for adapter in OURS for implementation in IMPLEMENTATIONS]
GROWING = [scenario for scenario in SCENARIOS if scenario.grown is not None]

# time(2n) / time(n): linear is 2, n log n is 2.1, quadratic is 4.
MOST = 2.5


def _chosen(request: pytest.FixtureRequest, function: object) -> tuple[list[Column], list[Scenario]]:
    """Return the columns and scenarios of the tests that are to be run."""
    parameters = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is function
    ]
    columns = [column for column in COLUMNS if any(chosen["column"] == column for chosen in parameters)]
    names = {str(chosen["scenario"]) for chosen in parameters}
    return columns, [scenario for scenario in SCENARIOS if str(scenario) in names]


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> dict[tuple[Column, str], str]:
    """The verdicts of the scenarios to be asserted: all of one run in a few processes."""
    columns, scenarios = _chosen(request, test_is_safe)
    table = run_all(columns, [(scenario, None) for scenario in scenarios])
    return {
        (column, str(scenario)): verdict
        for column, results in zip(columns, table, strict=True)
        for scenario, (verdict, _) in zip(scenarios, results, strict=True)
    }


@pytest.fixture(scope="module")
def ratios(request: pytest.FixtureRequest) -> dict[tuple[Column, str], float | str]:
    """How processor time grows when the octets double, or what happened."""
    columns, scenarios = _chosen(request, test_takes_linear_time)
    table = growths(columns, scenarios, MOST)
    return {
        (column, str(scenario)): ratio
        for column, results in zip(columns, table, strict=True)
        for scenario, ratio in zip(scenarios, results, strict=True)
    }


def _named(value: object) -> str:
    return "-".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.shares("the verdicts of the hostile scenarios")
@pytest.mark.timeout(1800)  # the first test waits for all scenarios, each of which has a limit of its own
@pytest.mark.parametrize("scenario", [scenario for scenario in SCENARIOS if scenario.grown is None], ids=str)
@pytest.mark.parametrize("column", COLUMNS, ids=_named)
def test_is_safe(verdicts: dict[tuple[Column, str], str], column: Column, scenario: Scenario) -> None:
    verdict = verdicts[column, str(scenario)]
    assert verdict in ("ok", "n/a")


@pytest.mark.shares("the growth of the hostile scenarios")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", GROWING, ids=str)
@pytest.mark.parametrize("column", COLUMNS, ids=_named)
def test_takes_linear_time(ratios: dict[tuple[Column, str], float | str], column: Column, scenario: Scenario) -> None:
    ratio = ratios[column, str(scenario)]
    assert ratio == "n/a" or (isinstance(ratio, float) and ratio <= MOST), f"{scenario} at {LARGE} octets: {ratio}"


@pytest.mark.parametrize("adapter", OURS)
def test_every_adapter_has_200_scenarios(adapter: str) -> None:
    assert len(applicable(adapter)) >= 200


def test_the_page_has_them_all() -> None:
    page = (ROOT / "docs" / "hostile.md").read_text("utf-8")
    assert f"The {len(SCENARIOS)} scenarios" in page
    families = [scenario.family for scenario in SCENARIOS]
    held = dict(re.findall(r"^\| ([\w ]+) \| [^|]+ \| (\d+) / \d+ \|", page, re.MULTILINE))  # of the typed clients
    assert held.keys() == set(families)
    for family, count in held.items():
        assert 0 < int(count) <= families.count(family)


def applicable(adapter: str) -> Sequence[Scenario]:
    """Return the scenarios that are not another interface's."""
    interface = "imaplib" if "imaplib" in adapter else "typed"
    return [scenario for scenario in SCENARIOS if scenario.interface in ("", interface)]


def test_the_bed_notices() -> None:
    """The standard library's IMAP4_SSL takes any certificate."""
    accepted = [scenario for scenario in SCENARIOS if str(scenario) == "TLS: a certificate of an unknown authority"]
    [(verdict, _)] = run("imaplib", "", [(accepted[0], None)])
    assert "secret" in verdict


def test_the_bed_goes_on_behind_a_scenario_that_does_not_end() -> None:
    jobs = [(scenario, None) for scenario in SCENARIOS[:2]]
    assert run("imaplib", "", jobs, wall_limit=0.001) == [("took more than 0.001 seconds", 0.001)] * 2
