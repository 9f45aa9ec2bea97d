"""docs/commands.md: the marks agree with what the running servers announce, and their tests run there."""

from __future__ import annotations

import importlib
import inspect
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastimap import Client
from tests.servers.server import Server
from tests.support.pages import SERVERS, section, table_rows

ROWS = table_rows("commands.md")
ON_EACH_SERVER = {"real_server", "account", "account_of_both", "client", "uids"}
"""The fixtures of tests that run on each server."""
WITH_A_VALUE = {"APPENDLIMIT", "MESSAGELIMIT"}
"""Capabilities that are announced with a number."""


@pytest.fixture(scope="module")
def announced(real_server: Server) -> set[str]:
    """What the server announces to anybody: without TLS and with it, to strangers, users and administrators."""
    tls = ssl.create_default_context(cafile=real_server.ca_file)
    certified = ssl.create_default_context(cafile=real_server.ca_file)
    if real_server.client_certificate is not None:
        certified.load_cert_chain(real_server.client_certificate)
    user: dict[str, Any] = {"password": real_server.password, "mechanism": "PLAIN", "tls": False}
    ways: list[dict[str, Any]] = [{"ssl_context": tls}, {"ssl_context": certified}, {"tls": False}]
    ways.append({"user": real_server.new_user(), **user})
    if real_server.admin is not None:
        ways.append({"user": real_server.admin[0], **user})
    found: set[str] = set()
    for settings in ways:
        port = real_server.port if settings.get("tls") is False else real_server.tls_port
        with Client(real_server.host, port, **settings) as client:
            found |= client.capabilities
    # What it says of a number is no matter here.
    return {c.partition("=")[0] if c.partition("=")[0] in WITH_A_VALUE else c for c in found}


def mechanisms() -> set[str]:
    """Return the SASL mechanisms that the page has rows for."""
    return {
        line.split("|")[1].strip() for line in section("commands.md", "SASL mechanisms").splitlines() if "|" in line
    }


def capability(row: list[str]) -> str:
    return f"AUTH={row[0]}" if row[0] in mechanisms() else row[0].upper()


def test_marks(real_server: Server, announced: set[str]) -> None:
    marks = {capability(row): row[3 + SERVERS.index(real_server.name)] for row in ROWS if len(row) > 5}
    assert {name: mark != "-" for name, mark in marks.items()} == {name: name in announced for name in marks}


def test_what_is_not_used_is_named(real_server: Server, announced: set[str]) -> None:
    """Everything that a server announces has a row, or stands among what is not used."""
    used = {capability(row) for row in ROWS} | {"IMAP4REV1", "LOGINDISABLED"}
    assert announced - used - unused() == set()


def unused() -> set[str]:
    text = section("commands.md", "Announced by these servers, and not used")
    return {word for word in text.split() if word.isupper()}


def test_what_is_not_used_has_no_row() -> None:
    assert unused() & {capability(row) for row in ROWS} == set()


def test_what_a_server_lacks_is_refused_in_a_test() -> None:
    """Unless the client does without: automatically, or in another way."""
    sources: dict[str, str] = {}
    for name, test in all_of_this_folder():
        sources[name] = sources.get(name, "") + inspect.getsource(test)
    for row in ROWS:
        marks, method, tests = row[3:-2], row[2], row[-2]
        if "-" in marks and tests and method.endswith("`"):
            text = "".join(sources[name] for name in tests.split(" · "))
            assert re.search(r"offered\(|CapabilityMissing|NotOffered|does not offer", text), row[0]


def all_of_this_folder() -> Iterator[tuple[str, Callable[..., None]]]:
    for path in Path(__file__).parent.glob("test_*.py"):
        module = importlib.import_module(f"tests.servers.{path.stem}")
        yield from ((name, value) for name, value in vars(module).items() if name.startswith("test_"))


def test_one_test_of_each_row_runs_on_each_server() -> None:
    on_each = {name for name, test in all_of_this_folder() if ON_EACH_SERVER & set(inspect.signature(test).parameters)}
    for row in ROWS:
        assert not row[-2] or row[-2].split(" · ")[0] in on_each, row[0]
