"""Every command and every option is documented, and has a help of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fastimap import archive, cli
from fastimap.archive.stores import FORMATS
from fastimap.cli import exits

PAGE = Path(__file__).parents[2].joinpath("docs/archive.md").read_text("utf-8")


def options(command: str) -> list[argparse.Action]:
    whole = cli.parser(command)
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    return [action for action in commands.choices[command]._actions if action.dest != "help"]


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "demo"])
def test_every_option_is_documented(command: str) -> None:
    assert f"fastimap {command}" in PAGE
    for action in options(command):
        assert action.help, action
        for name in action.option_strings:
            assert f"`{name}`" in PAGE, name


def test_every_exit_code_is_documented() -> None:
    for name, code in vars(exits).items():
        if name.isupper():
            assert f"| {code} |" in PAGE or f"{code}, " in PAGE or f", {code} " in PAGE, name


def test_every_format_is_documented() -> None:
    for kind, (_, name) in FORMATS.items():
        assert f"| `{kind}` | `{name}` |" in PAGE
        assert hasattr(archive, name)
