"""Fixtures for what comes from outside the project, and a loud word about what is missing."""

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

import pytest

from tests.servers import dovecot as dovecot_server
from tests.servers.dovecot import Dovecot
from tests.support import Unavailable, corpora, debian

R = TypeVar("R")
NOT_RUN = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def unavailable(request: pytest.FixtureRequest) -> Callable[[str, Unavailable], NoReturn]:
    """A function that ends the test because `what` is missing: a failure in CI, else a skip that the summary names."""

    def end(what: str, reason: Unavailable) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(f"{what}: {reason}", pytrace=False)
        request.config.stash.setdefault(NOT_RUN, {})[what] = str(reason)
        pytest.skip(f"{what}: {reason}")

    return end


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    not_run = config.stash.get(NOT_RUN, {})
    if not_run:
        terminalreporter.section("TESTS THAT DID NOT RUN", red=True, bold=True)
        for what, reason in not_run.items():
            terminalreporter.line(f"{what}: {reason}", red=True)


@pytest.fixture(scope="session")
def dovecot(unavailable: Callable[[str, Unavailable], NoReturn]) -> Iterator[Dovecot]:
    """A private Dovecot that lives as long as the test session."""
    try:
        with dovecot_server.running() as server:
            yield server
    except Unavailable as reason:
        unavailable("Dovecot", reason)


@pytest.fixture(scope="session")
def real_messages(unavailable: Callable[[str, Unavailable], NoReturn]) -> list[bytes]:
    """Real mail, hundreds of messages: octets with CRLF line ends (see tests/support/corpora.py)."""
    try:
        return corpora.real_messages()
    except Unavailable as reason:
        unavailable("Real mail", reason)


@pytest.fixture(scope="session")
def newest_cpython_suite(unavailable: Callable[[str, Unavailable], NoReturn]) -> Path:
    """The path of CPython 3.15's test_imaplib.py; its data is beside it."""
    try:
        return debian.cpython_tests() / "test_imaplib.py"
    except Unavailable as reason:
        unavailable("CPython 3.15's test_imaplib", reason)


@pytest.fixture(scope="session")
def newest_imaplib(unavailable: Callable[[str, Unavailable], NoReturn]) -> ModuleType:
    """CPython 3.15's imaplib, whatever the running Python is: the reference for what fastimap.imaplib does."""
    try:
        path = debian.cpython_imaplib()
    except Unavailable as reason:
        unavailable("CPython 3.15's imaplib", reason)
    spec = importlib.util.spec_from_file_location("imaplib_3_15", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
