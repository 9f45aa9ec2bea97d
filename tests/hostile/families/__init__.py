"""The scenarios, a module for each family of promises."""

from ..scenario import Scenario
from . import cut, errors, injection, limits, linear_time, sasl, sizes, step, time, tls

SCENARIOS: list[Scenario] = [
    scenario
    for family in (sizes, limits, linear_time, step, time, cut, tls, injection, sasl, errors)
    for scenario in family.SCENARIOS
]
