"""A private Kerberos realm: its KDC on a free loopback port, its principals, and the package gssapi built for it.

It takes MIT's programs (Debian's krb5-kdc, krb5-admin-server, libkrb5-dev: tools/install-test-servers), no rights, and
nothing of the host's configuration.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import CACHE, Unavailable

from .server import HOST, START_TIMEOUT, free_ports

REALM = "FASTIMAP.TEST"
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_KRB5_CONF = """
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  {realm} = {{
    kdc = {host}:{port}
  }}
[domain_realm]
  localhost = {realm}
"""
_KDC_CONF = """
[kdcdefaults]
  kdc_listen = {host}:{port}
  kdc_tcp_listen = {host}:{port}
[realms]
  {realm} = {{
    database_name = {directory}/principals
    key_stash_file = {directory}/stash
    acl_file = {directory}/acl
  }}
"""


@dataclass(frozen=True)
class Realm:
    """A running realm."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which Kerberos' programs and libraries know this realm alone."""
        return {
            **os.environ,
            "PATH": _PATH,
            "KRB5_CONFIG": str(self.directory / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.directory / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.directory}/tickets",
        }

    def keytab(self, principal: str) -> Path:
        """Make `principal` with a random key; return the file that holds the key."""
        path = self.directory / (principal.partition("/")[0] + ".keytab")
        self._administer(f"addprinc -randkey {principal}")
        self._administer(f"ktadd -k {path} {principal}")
        path.chmod(0o644)
        return path

    def log_in(self, user: str) -> None:
        """Make the user and get its ticket, for `environment`."""
        self.run("kinit", "-k", "-t", str(self.keytab(user)), user)

    def run(self, *command: str) -> str:
        """Run a program in the realm; return what it printed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def _administer(self, query: str) -> None:
        self.run("kadmin.local", "-q", query)


@contextlib.contextmanager
def running() -> Iterator[Realm]:
    """Start a realm; stop it and remove everything it wrote when the block ends.

    Raises Unavailable where MIT Kerberos is not installed.
    """
    for program in ("krb5kdc", "kadmin.local", "kdb5_util", "kinit"):
        if shutil.which(program, path=_PATH) is None:
            raise Unavailable(
                f"{program} is not installed. On Debian: tools/install-test-servers as root, or apt-get install "
                "krb5-kdc krb5-admin-server krb5-user."
            )
    with tempfile.TemporaryDirectory(prefix="fastimap-kerberos-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # the server that uses the keytab may be another account's
        (port,) = free_ports(1)
        known = {"realm": REALM, "host": HOST, "port": port, "directory": directory}
        (directory / "krb5.conf").write_text(_KRB5_CONF.format(**known))
        (directory / "kdc.conf").write_text(_KDC_CONF.format(**known))
        realm = Realm(directory)
        realm.run("kdb5_util", "create", "-s", "-P", "the master key of a test", "-r", REALM)
        with open(directory / "log", "wb") as log:
            kdc = subprocess.Popen(["krb5kdc", "-n"], env=realm.environment, stdout=log, stderr=log)
        try:
            _wait(kdc, port, directory / "log")
            yield realm
        finally:
            kdc.terminate()
            kdc.wait()


def package() -> Path:
    """Return the directory that holds the package gssapi, built for this Python.

    Raises Unavailable where it can't be downloaded or built.
    """
    directory = CACHE / f"gssapi-{sys.version_info[0]}.{sys.version_info[1]}"
    if not directory.exists():
        partial = directory.with_suffix(f".{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(partial), "gssapi>=1.8"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(partial, ignore_errors=True)
            raise Unavailable(f"the package gssapi does not build (Debian: libkrb5-dev): {done.stderr[-300:]}")
        with contextlib.suppress(OSError):  # another run was first
            partial.rename(directory)
    return directory


def _wait(kdc: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT
    while True:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        if kdc.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the KDC does not start: {log.read_text()}")
        time.sleep(0.05)
