"""IMAPClient and imap_tools, unchanged, on top of fastimap.imaplib: their own tests, and sessions with a real server.

Whatever passes on top of the stdlib's imaplib must pass on top of fastimap's.
"""

import imaplib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest
import trustme

from tests.foreign import harness
from tests.servers.dovecot import Dovecot
from tests.support import IMPLEMENTATIONS, Unavailable, pypi

LEFT_OUT = Path(__file__).with_name("left_out")
"""Helpers of the tests that the source distributions leave out."""


@pytest.fixture
def imapclient(unavailable: Callable[[str, Unavailable], NoReturn], tmp_path: Path) -> Path:
    """A directory with IMAPClient's package and tests."""
    try:
        sdist = pypi.unpacked_sdist("imapclient", "4.1.0")
    except Unavailable as reason:
        unavailable("IMAPClient's tests", reason)
    directory = tmp_path / "imapclient"
    shutil.copytree(sdist, directory)
    tests = directory / "tests"
    (tests / "__init__.py").touch()
    shutil.copy(LEFT_OUT / "imapclient_base.py", tests / "imapclient_test.py")
    certificates = tests / "certs"
    certificates.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(certificates / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(certificates / "server.key")
    certificate.cert_chain_pems[0].write_to_path(certificates / "server.pem")
    return directory


@pytest.fixture
def imap_tools(unavailable: Callable[[str, Unavailable], NoReturn], tmp_path: Path) -> Path:
    """A directory with imap_tools' package and tests."""
    try:
        sdist = pypi.unpacked_sdist("imap_tools", "1.16.0")
    except Unavailable as reason:
        unavailable("imap_tools' tests", reason)
    directory = tmp_path / "imap_tools"
    shutil.copytree(sdist, directory)
    (directory / "tests" / "__init__.py").touch()
    shutil.copy(LEFT_OUT / "imap_tools_utils.py", directory / "tests" / "utils.py")
    return directory


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_imapclient_unit_tests(imapclient: Path, implementation: str) -> None:
    suite = ("discover", str(imapclient))
    reference = harness.run("imaplib", *suite, directory=imapclient)
    assert list(reference.values()).count("ok") > 250, harness.report(reference)
    outcomes = harness.run("fastimap.imaplib", *suite, directory=imapclient, implementation=implementation)
    bad = harness.worse(outcomes, reference)
    assert not bad, harness.report(bad)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_imapclient_live_tests(imapclient: Path, implementation: str, dovecot: Dovecot) -> None:
    def run(module: str, implementation: str = "") -> dict[str, str]:
        configuration = imapclient / f"livetest-{module}.ini"
        configuration.write_text(
            "[DEFAULT]\n"
            f"host = {dovecot.host}\nport = {dovecot.tls_port}\nssl = true\nssl_ca_file = {dovecot.ca_file}\n"
            f"username = {dovecot.new_user()}\npassword = {dovecot.password}\ntimeout = 30\n"
        )
        suite = ("livetest", str(configuration))
        outcomes = harness.run(module, *suite, directory=imapclient, implementation=implementation)
        # TestSocketTimeout wants a millisecond to be too short for this server, which depends on the day.
        return {name: outcome for name, outcome in outcomes.items() if not name.startswith("TestSocketTimeout.")}

    with ThreadPoolExecutor() as executor:  # they wait more than they work
        outcomes = executor.submit(run, "fastimap.imaplib", implementation)
        reference = run("imaplib")
    assert list(reference.values()).count("ok") > 40, harness.report(reference)
    bad = harness.worse(outcomes.result(), reference)
    assert not bad, harness.report(bad)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_imap_tools_tests(imap_tools: Path, implementation: str, dovecot: Dovecot, real_messages: list[bytes]) -> None:
    def run(module: str, implementation: str = "") -> dict[str, str]:
        user = dovecot.new_user()
        _fill(dovecot, user, real_messages)
        return harness.run(
            module,
            "discover",
            str(imap_tools),
            directory=imap_tools,
            implementation=implementation,
            TEST_HOST=dovecot.host,
            TEST_PORT=str(dovecot.tls_port),
            TEST_USER=user,
            TEST_PASSWORD=dovecot.password,
            TEST_CA_FILE=str(dovecot.ca_file),
        )

    reference = run("imaplib")
    failed = {name for name, outcome in reference.items() if outcome != "ok"}
    # It wants port 993.
    assert failed == {"ConnectionTest.test_connection"}, harness.report(reference)
    bad = harness.worse(run("fastimap.imaplib", implementation), reference)
    assert not bad, harness.report(bad)


def _fill(dovecot: Dovecot, user: str, messages: list[bytes]) -> None:
    """Make what imap_tools' tests expect: mailboxes, a message in INBOX, six in one, one answered and flagged."""
    with imaplib.IMAP4(dovecot.host, dovecot.port) as client:
        client.login(user, dovecot.password)
        for name in ("test", "test/base", "test/temp1", "test/temp2"):
            assert client.create(name)[0] == "OK"
        for number, message in enumerate(messages[-6:]):
            flags = r"(\Answered \Flagged)" if number == 0 else ""
            assert client.append("test/base", flags, None, message)[0] == "OK"
        assert client.append("INBOX", None, None, messages[-1])[0] == "OK"
