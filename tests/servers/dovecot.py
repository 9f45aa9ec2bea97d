"""A private Dovecot: own configuration, own mail, free loopback ports, gone at the end.

It needs the programs of Debian's dovecot-imapd (or their like) and no rights: started by root it runs as "nobody".
"""

import contextlib
import grp
import itertools
import os
import pwd
import shlex
import shutil
import socket
import string
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.support import Unavailable

START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0


@dataclass(frozen=True)
class Dovecot:
    """A running Dovecot; every user name is valid, with an empty mailbox of its own, and has the one `password`."""

    directory: Path
    """Holds the configuration, the log, the mail."""
    configuration: Path
    ca_file: Path
    """The certificate authority to verify the server against (PEM)."""
    imap_program: Path
    port: int
    """Plain IMAP with STARTTLS, on `host` and on `insecure_host`."""
    tls_port: int
    """IMAP over TLS from the start."""
    version: str
    host: str = "127.0.0.1"
    insecure_host: str = "127.0.0.2"
    """The same server, where it announces LOGINDISABLED until TLS is on."""
    password: str = "secret"
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def new_user(self) -> str:
        """Return the name of a user nobody has used yet: INBOX, Drafts and Trash are there and empty."""
        return f"user{next(self._numbers)}"

    def stream_command(self, user: str) -> str:
        """Return a shell command that speaks IMAP on stdin and stdout, already authenticated as `user`."""
        return shlex.join([str(self.imap_program), "-c", str(self.configuration), "-u", user])

    def log(self) -> str:
        """Return what Dovecot has logged so far."""
        path = self.directory / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"


@contextlib.contextmanager
def running() -> Iterator[Dovecot]:
    """Start Dovecot; stop it and remove everything it wrote when the block ends.

    Raises Unavailable when no Dovecot of a known version is installed, RuntimeError with its log when it doesn't start.
    """
    program = _find_program()
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split()[0]
    template = Path(__file__).with_name(f"dovecot-{'.'.join(version.split('.')[:2])}.conf")
    if not template.exists():
        raise Unavailable(f"Dovecot {version} is installed; the tests have no configuration for that version.")
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())

    # Not below pytest's own temporary directory: that is closed to the unprivileged account.
    with tempfile.TemporaryDirectory(prefix="fastimap-dovecot-") as name:
        directory = Path(name)
        port, tls_port = _free_ports(2)
        _write_certificates(directory)
        configuration = directory / "dovecot.conf"
        configuration.write_text(
            string.Template(template.read_text()).substitute(
                directory=directory,
                user=account.pw_name,
                uid=account.pw_uid,
                group=grp.getgrgid(account.pw_gid).gr_name,
                gid=account.pw_gid,
                port=port,
                tls_port=tls_port,
                password=Dovecot.password,
            )
        )
        if os.geteuid() == 0:
            for path in (directory, *directory.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
        dovecot = Dovecot(
            directory=directory,
            configuration=configuration,
            ca_file=directory / "ca.pem",
            imap_program=_libexec_directory(program, configuration) / "imap",
            port=port,
            tls_port=tls_port,
            version=version,
        )
        with _master(program, dovecot, account):
            yield dovecot


@contextlib.contextmanager
def _master(program: str, dovecot: Dovecot, account: pwd.struct_passwd) -> Iterator[None]:
    command = [program, "-F", "-c", str(dovecot.configuration)]
    if setpriv := shutil.which("setpriv"):
        # The kernel stops Dovecot even when the tests are killed and can't.
        command = [setpriv, "--pdeathsig", "TERM", *command]
    root = os.geteuid() == 0
    with open(dovecot.directory / "stderr", "wb") as stderr:
        master = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            cwd=dovecot.directory,
            user=account.pw_uid if root else None,
            group=account.pw_gid if root else None,
            extra_groups=[] if root else None,
        )
    try:
        _wait_for_greeting(master, dovecot)
        yield
    finally:
        master.terminate()
        try:
            master.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait()


def _wait_for_greeting(master: "subprocess.Popen[bytes]", dovecot: Dovecot) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while master.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection((dovecot.host, dovecot.port), timeout=START_TIMEOUT) as connection:
                if connection.recv(1):
                    return
        except OSError:
            time.sleep(0.05)
    stderr = (dovecot.directory / "stderr").read_text(errors="replace")
    raise RuntimeError(f"Dovecot {dovecot.version} did not start:\n{stderr}{dovecot.log()}")


def _find_program() -> str:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("dovecot", path=path)
    if program is None:
        raise Unavailable(
            "Dovecot is not installed. On Debian: tools/install-test-servers as root, or apt-get install dovecot-imapd."
        )
    return program


def _libexec_directory(program: str, configuration: Path) -> Path:
    doveconf = str(Path(program).parent.parent / "bin" / "doveconf")
    command = [doveconf, "-c", str(configuration), "-h", "libexec_dir"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [s.getsockname()[1] for s in sockets]


def _write_certificates(directory: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    certificate = authority.issue_cert("localhost", Dovecot.host, Dovecot.insecure_host)
    certificate.private_key_and_cert_chain_pem.write_to_path(directory / "certificate.pem")
