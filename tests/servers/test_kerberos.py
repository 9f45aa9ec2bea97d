"""GSSAPI (RFC 4752) with a real KDC and a real Dovecot, which offers no layer, and a buffer for one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

import fastimap
from tests.conftest import started
from tests.servers import dovecot, kerberos
from tests.servers.dovecot import Dovecot
from tests.servers.kerberos import Realm
from tests.support import IMPLEMENTATIONS, Unavailable

CONFIGURATION = """
auth_mechanisms = plain gssapi
auth_gssapi_hostname = localhost
auth_krb5_keytab = {keytab}
auth_default_realm = localhost
import_environment = KRB5_CONFIG
"""
BLOCKING = """
import sys, fastimap
host, port, ca_file = sys.argv[1:]
given = {"user": "ann", "mechanism": "GSSAPI", "tls": "starttls", "ssl_context": context(ca_file)}
with fastimap.Client(host, int(port), **given) as c:
    print(c.select("INBOX").exists)
"""
ASYNCIO = """
import asyncio, sys, fastimap
host, port, ca_file = sys.argv[1:]
async def main():
    given = {"user": "ann", "mechanism": "GSSAPI", "tls": "starttls", "ssl_context": context(ca_file)}
    async with fastimap.AsyncClient(host, int(port), **given) as c:
        print((await c.select("INBOX")).exists)
asyncio.run(main())
"""
DROP_IN = """
import sys
from fastimap import imaplib, sasl
host, port, ca_file = sys.argv[1:]
with imaplib.IMAP4(host, int(port)) as c:
    c.starttls(context(ca_file))
    mechanism = sasl.GSSAPI("localhost")
    c.authenticate("GSSAPI", lambda challenge: mechanism.step(challenge) if challenge else mechanism.start())
    print(c.select("INBOX")[1][0].decode())
"""
CONTEXT = """
import ssl
def context(ca_file):
    return ssl.create_default_context(cafile=ca_file)
"""


@pytest.fixture(scope="module")
def realm(unavailable: Callable[..., NoReturn]) -> Iterator[Realm]:
    """A realm in which ann has a ticket."""
    with started(kerberos.running(), unavailable, "Kerberos") as realm:
        realm.log_in("ann")
        yield realm


@pytest.fixture(scope="module")
def kerberized(realm: Realm, unavailable: Callable[..., NoReturn]) -> Iterator[Dovecot]:
    """A Dovecot that is a service of the realm."""
    configuration = CONFIGURATION.format(keytab=realm.keytab("imap/localhost"))
    starting = dovecot.running(configuration, {"KRB5_CONFIG": realm.environment["KRB5_CONFIG"]})
    with started(starting, unavailable, "Dovecot 2.3 with GSSAPI") as server:
        yield server


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("program", [BLOCKING, ASYNCIO, DROP_IN], ids=["Client", "AsyncClient", "imaplib"])
def test_login_by_ticket(
    program: str, implementation: str, realm: Realm, kerberized: Dovecot, unavailable: Callable[..., NoReturn]
) -> None:
    try:
        package = kerberos.package()
    except Unavailable as reason:
        unavailable("GSSAPI", reason)
    paths = f"{Path(fastimap.__file__).parents[1]}:{package}"
    environment = {**realm.environment, "PYTHONPATH": paths, "FASTIMAP_IMPL": implementation}
    command = [sys.executable, "-c", CONTEXT + program, "localhost", str(kerberized.port), str(kerberized.ca_file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("0\n", "")
