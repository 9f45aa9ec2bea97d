"""Every scenario holds for each of fastimap's adapters, on both implementations of the parser; see docs/hostile.md."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from tests.support import IMPLEMENTATIONS

from .adapters import OURS
from .families import SCENARIOS
from .growth import MOST
from .run import ROOT, SAFE, Column, Result, run, run_all
from .scenario import Scenario

COLUMNS = [(adapter, implementation) for adapter in OURS for implementation in IMPLEMENTATIONS]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> dict[tuple[Column, str], dict[str, Result]]:
    """What comes of all scenarios that are to be asserted, by column and family: of one run, in a few processes."""
    chosen = [
        (item.callspec.params["column"], item.callspec.params["family"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_no_scenario_does_harm
    ]
    columns = [column for column in COLUMNS if any(column == one for one, _ in chosen)]
    families = {family for _, family in chosen}
    scenarios = [scenario for scenario in SCENARIOS if scenario.family in families]
    table = run_all(columns, [(scenario, scenario.grown is not None) for scenario in scenarios])
    results: dict[tuple[Column, str], dict[str, Result]] = {}
    for column, row in zip(columns, table, strict=True):
        for scenario, result in zip(scenarios, row, strict=True):
            results.setdefault((column, scenario.family), {})[scenario.name] = result
    return results


@pytest.mark.shares("the hostile scenarios")
@pytest.mark.timeout(1800)  # the first test waits for all scenarios, each of which has a limit of its own
@pytest.mark.parametrize("family", dict.fromkeys(scenario.family for scenario in SCENARIOS))
@pytest.mark.parametrize("column", COLUMNS, ids="-".join)
def test_no_scenario_does_harm(
    results: dict[tuple[Column, str], dict[str, Result]], column: Column, family: str
) -> None:
    """A test for a family: thousands of tests would take longer to name, send and report than many scenarios."""
    of_family = results[column, family]
    assert of_family.keys() == {scenario.name for scenario in SCENARIOS if scenario.family == family}
    harm = {name: verdict for name, (verdict, _) in of_family.items() if verdict not in SAFE}
    assert not harm
    # 0.0 where growth was not to be measured.
    growth = {name: growth for name, (_, growth) in of_family.items() if growth > MOST}
    assert not growth


def test_no_scenario_has_the_name_of_another() -> None:
    assert len({str(scenario) for scenario in SCENARIOS}) == len(SCENARIOS)


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
    [(verdict, _)] = run("imaplib", "", [(accepted[0], False)])
    assert "secret" in verdict


def test_the_bed_goes_on_behind_a_scenario_that_does_not_end() -> None:
    # They take the standard library seconds, so that no answer is there in time, however busy the machine is.
    names = ("time: a greeting octet by octet", "time: a tagged answer octet by octet")
    jobs = [(scenario, False) for scenario in SCENARIOS if str(scenario) in names]
    assert run("imaplib", "", jobs, wall_limit=0.001) == [("took more than 0.001 seconds", 0.0)] * 2
