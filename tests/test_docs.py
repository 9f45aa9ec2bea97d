"""What the documents name is there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fastimap import AsyncClient, Client, commands, imaplib, search
from fastimap.types import Pipeline
from tests.imaplib.test_commands import CASES
from tests.servers.test_side_by_side import STEPS
from tests.support import PROJECT
from tests.support.pages import SERVERS, table_rows

IMAPLIB = table_rows("imaplib.md")
COMMANDS = table_rows("commands.md")
OCTETS = ("client", "commands", "decode", "encode", "parser", "protocol", "sasl")
"""The folders of tests where octets are sent and received without a real server."""
NO_COMMANDS = {"connect", "deadline", "reconnect", "run", "selected", "take_events", "pipeline"}
"""The methods of a client that are not about a command of IMAP's."""
BY_RUN = {"Check", "Comparator", "Examine", "LSub", "XList"}
"""Commands that have no method, for ``client.run(...)``."""
CLIENTS_ONLY = {
    "close",
    "delete_messages",
    "fetch_batches",
    "fetch_iter",
    "fetch_one",
    "fetch_table",
    "fetch_text",
    "idle",
}
CLIENTS_ONLY |= {"special_mailbox"}


def functions(*folders: str) -> set[str]:
    """Return the names of the tests in these folders."""
    return {
        name
        for folder in folders
        for path in (PROJECT / "tests" / folder).glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }


FUNCTIONS = {folder: functions(folder) for folder in ("servers", "imaplib")}
BY_OCTETS = functions(*OCTETS)


ALIKE = {"cli", "commands", "demo", "imaplib", "sasl", "stores", "testing", "wire"}
"""Folders of rooms that are alike, so that ARCHITECTURE.md says what each room of them is, and names few."""


def test_the_architecture_names_each_room() -> None:
    named = set(re.findall(r"\w+", (PROJECT / "ARCHITECTURE.md").read_text("utf-8")))
    rooms = [path.relative_to(PROJECT / "src" / "fastimap") for path in (PROJECT / "src" / "fastimap").rglob("*.py")]
    others = {room for room in rooms if not ALIKE & {*room.parts} and not room.stem.endswith(("_methods", "_homes"))}
    assert len(others) > 100
    unnamed = {room for room in others if not {room.stem, room.stem.strip("_")} & named and room.stem != "__init__"}
    assert not unnamed


@pytest.mark.parametrize("row", IMAPLIB, ids=lambda row: row[0])
def test_the_tests_of_each_name_exist(row: list[str]) -> None:
    *_, on_dovecot, by_octets = row
    assert by_octets
    known = {"servers": {step.name for step in STEPS}, "imaplib": set(CASES)}
    for folder, cell in (("servers", on_dovecot), ("imaplib", by_octets)):
        for test in cell.split(" · ") if cell else []:
            if test.startswith("`"):
                assert test.strip("`") in known[folder]
            else:
                assert test in FUNCTIONS[folder]


def public(*classes: type) -> set[str]:
    return {
        name
        for cls in classes
        for name, value in inspect.getmembers(cls)
        if not name.startswith("_") and callable(value) and not isinstance(value, type)
    }


def test_every_method_has_a_row() -> None:
    methods = public(imaplib.IMAP4, imaplib.IMAP4_SSL, imaplib.IMAP4_stream)
    assert methods == {row[0] for row in IMAPLIB if len(row) == 5}


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row[0])
def test_the_tests_of_each_command_exist(row: list[str]) -> None:
    _, rfc, _, *marks, on_servers, by_octets = row
    assert re.fullmatch(r"(\d{4})?", rfc)
    assert set(filter(None, on_servers.split(" · "))) <= FUNCTIONS["servers"]
    assert set(filter(None, by_octets.split(" · "))) <= BY_OCTETS
    assert len(marks) in (0, len(SERVERS))
    assert set(marks) <= {"✓", "○", "-"}
    if "✓" in marks or not marks:
        assert on_servers
    else:
        assert by_octets


def calls(cells: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what is called, and with which arguments: ``fetch(changed_since=)``."""
    for cell in cells:
        for call in re.findall(r"`([^`]+)`", cell):
            name, _, arguments = call.rstrip(")").partition("(")
            yield name, re.findall(r"(\w+)=", arguments)


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row[0])
def test_the_methods_of_each_command_exist(row: list[str]) -> None:
    assert row[2]
    for name, arguments in calls([row[2]]):
        if name.startswith("s."):
            assert hasattr(search, name.removeprefix("s."))
            continue
        if name in BY_RUN:
            assert set(arguments) <= set(inspect.signature(getattr(commands, name)).parameters)
            continue
        for cls in (Client, AsyncClient, Pipeline):
            if name == "Client":
                parameters = inspect.signature(Client if cls is Pipeline else cls).parameters
            elif cls is Pipeline and name in CLIENTS_ONLY:
                continue
            else:
                parameters = inspect.signature(getattr(cls, name)).parameters
            assert set(arguments) <= set(parameters), (cls, name)


def test_every_command_has_a_row() -> None:
    named = {name for name, _ in calls(row[2] for row in COMMANDS) if name != "Client" and not name.startswith("s.")}
    assert named >= BY_RUN
    named -= BY_RUN
    assert named == public(Client) - NO_COMMANDS
    assert named - public(Pipeline) == CLIENTS_ONLY


PAGES = [
    *PROJECT.glob("*.md"),
    *PROJECT.glob("docs/**/*.md"),
    *PROJECT.glob("examples/*.md"),
    *PROJECT.glob("changes/*.md"),
]


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_stays_short() -> None:
    assert len((PROJECT / "README.md").read_text("utf-8").splitlines()) < 110
