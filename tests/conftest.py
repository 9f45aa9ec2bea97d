"""Fixtures for what comes from outside the project, and a loud word about what is missing."""

import contextlib
import gc
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NoReturn, TypeVar

import pytest

from tests.servers import courier, cyrus
from tests.servers import dovecot as dovecot_server
from tests.servers.courier import Courier
from tests.servers.dovecot import Dovecot
from tests.servers.server import Server
from tests.support import Unavailable, corpora, debian, imapclient
from tests.support.effort import load_profile
from tests.support.sockets import nobody_listens

load_profile()

S = TypeVar("S")
NOT_RUN = pytest.StashKey[dict[str, str]]()
TESTS = Path(__file__).parent
# The real servers, by the fixtures that give them. Dovecot 2.3 starts in a second, so each of pytest's processes may
# have its own; the others are started once, in one process, which gets all their tests.
REAL_SERVERS = {"dovecot", "real_server", "cyrus_3_6", "courier_5_0", "dovecot_2_4", "cyrus_3_10"}
STARTED_ONCE = ("cyrus-3.6", "courier-5.0", "dovecot-2.4", "cyrus-3.10")
MOST_OF_A_NAME = 200
FOLDERS = {"servers": "server", "hostile": "hostile", "foreign": "foreign"}


@pytest.hookimpl(tryfirst=True)  # before xdist's, which reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests by what they need; under xdist, keep those together that share what takes long to make."""
    distributed = config.pluginmanager.hasplugin("xdist")
    folders = {f"{TESTS / folder}{os.sep}": mark for folder, mark in FOLDERS.items()}
    for item in items:
        for folder, mark in folders.items():
            if str(item.path).startswith(folder):
                item.add_marker(mark)
        fixtures = REAL_SERVERS.intersection(getattr(item, "fixturenames", ()))
        if fixtures:
            item.add_marker("server")
        if distributed and (group := _group(item, fixtures)):
            item.add_marker(pytest.mark.xdist_group(group))
    if distributed:
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Long ones go first, the hostile scenarios before all: at the end no process works on while the others wait."""
    if item.get_closest_marker("xdist_group"):
        return 0 if item.get_closest_marker("hostile") else 1
    return 2 if item.get_closest_marker("slow") or item.get_closest_marker("server") else 3


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a test by the beginning of a long value: each process keeps all names, and sends them to the first one."""
    if isinstance(val, str | bytes) and len(val) > MOST_OF_A_NAME:
        beginning = val[:MOST_OF_A_NAME]
        text = beginning if isinstance(beginning, str) else beginning.decode("latin-1")
        return f"{text.encode('unicode_escape').decode('ascii')}...{len(val)}"
    return None


def pytest_collection_finish() -> None:
    """Keep what is there, thousands of tests, out of every later collection, which is ten times as fast so."""
    gc.collect()
    gc.freeze()


def _group(item: pytest.Item, fixtures: set[str]) -> str:
    """Return the name of those that are to run in one process, one after the other."""
    shared = item.get_closest_marker("shares")
    if shared is not None:
        return str(shared.args[0])
    server = item.callspec.params.get("real_server") if hasattr(item, "callspec") else None
    started = [name for name in STARTED_ONCE if name == server or name.replace("-", "_").replace(".", "_") in fixtures]
    return "+".join(started)


@pytest.fixture(scope="session")
def unavailable(request: pytest.FixtureRequest) -> Callable[..., NoReturn]:
    """A function that ends the test because `what` is missing: a failure in CI, else a skip that the summary names.

    In CI, too, it is a skip for what is not `required`.
    """

    def end(what: str, reason: Unavailable, required: bool = True) -> NoReturn:
        if required and os.environ.get("CI"):
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


@contextlib.contextmanager
def started(
    starting: contextlib.AbstractContextManager[S],
    unavailable: Callable[..., NoReturn],
    what: str,
    required: bool = True,
) -> Iterator[S]:
    """Give the server while the block runs, or end the test because it isn't to be had."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(starting)
        except Unavailable as reason:
            unavailable(what, reason, required)
        yield server


@pytest.fixture
def refused_port() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections; no other test is given it meanwhile."""
    with nobody_listens() as port:
        yield port


@pytest.fixture(scope="session")
def dovecot(unavailable: Callable[..., NoReturn]) -> Iterator[Dovecot]:
    """A private Dovecot 2.3 that lives as long as the test session, as do the other servers."""
    with started(dovecot_server.running(), unavailable, "Dovecot 2.3") as server:
        yield server


@pytest.fixture(scope="session")
def cyrus_3_6(unavailable: Callable[..., NoReturn]) -> Iterator[Server]:
    """A private Cyrus IMAP 3.6."""
    with started(cyrus.running("bookworm"), unavailable, "Cyrus 3.6") as server:
        yield server


@pytest.fixture(scope="session")
def courier_5_0(unavailable: Callable[..., NoReturn]) -> Iterator[Courier]:
    """A private Courier IMAP 5.0."""
    with started(courier.running("bookworm"), unavailable, "Courier 5.0") as server:
        yield server


@pytest.fixture(scope="session")
def dovecot_2_4(unavailable: Callable[..., NoReturn]) -> Iterator[Server]:
    """A private Dovecot 2.4, where it is available."""
    with started(dovecot_server.running_in_root("trixie"), unavailable, "Dovecot 2.4", required=False) as server:
        yield server


@pytest.fixture(scope="session")
def cyrus_3_10(unavailable: Callable[..., NoReturn]) -> Iterator[Server]:
    """A private Cyrus IMAP 3.10, where it is available."""
    with started(cyrus.running("trixie"), unavailable, "Cyrus 3.10", required=False) as server:
        yield server


@pytest.fixture(scope="session", params=["dovecot-2.3", "cyrus-3.6", "courier-5.0", "dovecot-2.4", "cyrus-3.10"])
def real_server(request: pytest.FixtureRequest) -> Server:
    """Each of the real servers in turn."""
    fixture = "dovecot" if request.param == "dovecot-2.3" else request.param.replace("-", "_").replace(".", "_")
    server: Server = request.getfixturevalue(fixture)
    return server


@pytest.fixture(scope="session")
def real_messages(unavailable: Callable[..., NoReturn]) -> list[bytes]:
    """Real mail, hundreds of messages: octets with CRLF line ends (see tests/support/corpora.py)."""
    try:
        return corpora.real_messages()
    except Unavailable as reason:
        unavailable("Real mail", reason)


@pytest.fixture(scope="session")
def imapclient_parse(unavailable: Callable[..., NoReturn]) -> imapclient.Parse:
    """IMAPClient's parser, a witness."""
    try:
        return imapclient.parser()
    except Unavailable as reason:
        unavailable("IMAPClient's parser", reason)


@pytest.fixture(scope="session")
def newest_cpython_suite(unavailable: Callable[..., NoReturn]) -> Path:
    """The path of CPython 3.15's test_imaplib.py; its data is beside it."""
    try:
        return debian.cpython_tests() / "test_imaplib.py"
    except Unavailable as reason:
        unavailable("CPython 3.15's test_imaplib", reason)


@pytest.fixture(scope="session")
def newest_imaplib(unavailable: Callable[..., NoReturn]) -> ModuleType:
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
