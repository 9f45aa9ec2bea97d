"""Every command and every option is documented, and has a help of its own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from fastimap import archive, cli
from fastimap.archive.stores import FORMATS
from fastimap.cli import exits
from tools import write_help

PAGE = write_help.PAGE.read_text("utf-8")
ARCHIVE = write_help.PAGE.with_name("archive.md").read_text("utf-8")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_a_section_with_what_its_help_says(command: str) -> None:
    _, heading, section = PAGE.partition(f"\n## fastimap {command}\n")
    assert heading
    section = section.partition("\n## ")[0]
    assert f"<!-- help: {command} -->\n{write_help.table(command)}\n<!-- end -->" in section
    prose = section.partition("<!-- ")[0]
    assert len(prose.split()) > 10
    for action in write_help.actions(command):
        assert action.help, action


def test_every_option_that_the_page_speaks_of_is_there() -> None:
    known = {name for command in cli.COMMANDS for each in write_help.actions(command) for name in each.option_strings}
    spoken = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) | set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ARCHIVE))
    assert spoken - known <= {"--help"}


def test_the_help_of_a_command_imports_no_other() -> None:
    program = (
        "import sys; from fastimap import cli; cli.command_parser('status'); print('fastimap.cli.pull' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["--unknown"], []])
def test_what_is_about_no_command_imports_none(arguments: list[str]) -> None:
    program = (
        "import contextlib, sys; from fastimap import cli\n"
        f"with contextlib.suppress(SystemExit): cli.main({arguments!r})\n"
        "print(*(name for name in cli.COMMANDS if f'fastimap.cli.{name}' in sys.modules), 'and no more')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "and no more"


def test_what_a_pull_does_not_need_is_not_imported() -> None:
    """A run with nothing new is the start of Python, and these are a sixth of it."""
    program = "import sys, fastimap.cli.pull, fastimap.archive._pull; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {*ended.stdout.split()}.isdisjoint(
        {"ctypes", "tomllib", "getpass", "asyncio", "logging", "random", "secrets", "ssl", "hashlib"}
        | {"fastimap.archive.adopt", "fastimap.model.message"}
    )


def test_every_exit_code_is_documented() -> None:
    for name, code in vars(exits).items():
        if name.isupper():
            assert f"| {code} |" in PAGE or f"{code}, " in PAGE or f", {code} " in PAGE, name


def test_every_format_is_documented() -> None:
    for kind, (_, name) in FORMATS.items():
        assert f"| `{kind}` | `{name}` |" in ARCHIVE
        assert hasattr(archive, name)
