"""A private Dovecot: own configuration, own mail, free loopback ports, gone at the end.

`running` takes the host's: it needs the programs of Debian's dovecot-imapd (or their like) and no rights; started by
root it runs as "nobody". `running_in_root` takes that of a Debian release in a root of its own.
"""

import base64
import contextlib
import grp
import os
import pwd
import shlex
import shutil
import string
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from tests.servers import chroot
from tests.servers.server import (
    INSECURE_HOST,
    Server,
    free_ports,
    minor_version,
    wait_for_greeting,
    write_certificates,
)
from tests.support import Unavailable, debian

HOST_VERSION = "2.3"
TOKEN_KEY = b"what signs the access tokens of the tests"
STOP_TIMEOUT = 10.0


@dataclass(frozen=True, kw_only=True)
class Dovecot(Server):
    """A running Dovecot whose programs are the host's."""

    configuration: Path
    imap_program: Path
    insecure_host: str = INSECURE_HOST
    restart: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)
    """Ends it, and starts it again with the mail that it has."""

    def stream_command(self, user: str) -> str:
        """Return a shell command that speaks IMAP on stdin and stdout, already authenticated as `user`."""
        return shlex.join([str(self.imap_program), "-c", str(self.configuration), "-u", user])


@contextlib.contextmanager
def running(settings: str = "", environment: Mapping[str, str] = MappingProxyType({})) -> Iterator[Dovecot]:
    """Start the host's Dovecot; stop it and remove everything it wrote when the block ends.

    `settings` are put at the end of its configuration, and `environment` into its environment.

    Raises Unavailable when no Dovecot 2.3 is installed, RuntimeError with its log when it doesn't start.
    """
    program = _find_program()
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split()[0]
    if minor_version(version) != HOST_VERSION:
        raise Unavailable(f"Dovecot {version} is installed; the tests expect the answers of Dovecot {HOST_VERSION}.")
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())

    # Not below pytest's own temporary directory: that is closed to the unprivileged account.
    with tempfile.TemporaryDirectory(prefix="fastimap-dovecot-") as name:
        directory = Path(name)
        port, tls_port = free_ports(2)
        write_certificates(directory)
        configuration = directory / "dovecot.conf"
        group = grp.getgrgid(account.pw_gid).gr_name
        _write_token_key(directory)
        _write_configuration(configuration, version, directory, account.pw_name, group, port, tls_port)
        with open(configuration, "a") as file:
            file.write(settings)
        tokens = string.Template(Path(__file__).with_name("dovecot-2.3-oauth2.conf").read_text())
        (directory / "oauth2.conf").write_text(tokens.substitute(directory=directory))
        if os.geteuid() == 0:
            for path in (directory, *directory.rglob("*")):
                os.chown(path, account.pw_uid, account.pw_gid)
        dovecot = Dovecot(
            name=f"dovecot-{minor_version(version)}",
            version=version,
            directory=directory,
            configuration=configuration,
            ca_file=directory / "ca.pem",
            client_certificate=directory / "client.pem",
            token_key=TOKEN_KEY,
            imap_program=_libexec_directory(program, configuration) / "imap",
            port=port,
            tls_port=tls_port,
        )
        with contextlib.ExitStack() as stack:

            def restart() -> None:
                stack.close()
                _wait_for_the_last(directory)
                stack.enter_context(_master(program, dovecot, account, environment))

            restart()
            yield replace(dovecot, restart=restart)


@contextlib.contextmanager
def running_in_root(suite: str) -> Iterator[Server]:
    """Start the Dovecot of the Debian release `suite`; stop it and remove everything it wrote when the block ends.

    Raises Unavailable where it can't be had, RuntimeError with its log when it doesn't start.
    """
    root = chroot.root(suite, "dovecot-imapd")
    version = debian.version_in_root(root, "dovecot-imapd")
    with chroot.scratch_directory("dovecot") as directory:
        port, tls_port = free_ports(2)
        configuration = directory / "dovecot.conf"
        _write_token_key(directory)
        _write_configuration(configuration, version, chroot.INSIDE, "nobody", "nogroup", port, tls_port)
        server = Server(
            name=f"dovecot-{minor_version(version)}",
            version=version,
            directory=directory,
            ca_file=directory / "ca.pem",
            client_certificate=directory / "client.pem",
            port=port,
            tls_port=tls_port,
            token_key=TOKEN_KEY,
            insecure_host=INSECURE_HOST,
        )
        with chroot.running(server, root, ["dovecot", "-F", "-c", f"{chroot.INSIDE}/dovecot.conf"]):
            yield server


def _write_token_key(directory: Path) -> None:
    """Write the key where Dovecot looks for that of a token without `azp` and `kid`: below the algorithm's name."""
    path = directory / "keys" / "default" / "HS256" / "default"
    path.parent.mkdir(parents=True)
    path.write_bytes(base64.b64encode(TOKEN_KEY))


def _write_configuration(
    path: Path, version: str, directory: Path, user: str, group: str, port: int, tls_port: int
) -> None:
    template = Path(__file__).with_name(f"dovecot-{minor_version(version)}.conf")
    path.write_text(
        string.Template(template.read_text()).substitute(
            version=version,
            directory=directory,
            user=user,
            group=group,
            port=port,
            tls_port=tls_port,
            password=Server.password,
        )
    )


def _wait_for_the_last(directory: Path) -> None:
    """Wait until the processes of a master that has ended are through: they hold locks."""
    until = time.monotonic() + STOP_TIMEOUT
    while time.monotonic() < until:
        left = False
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                left = left or (process.name.isdigit() and os.readlink(process / "cwd").startswith(str(directory)))
        if not left:
            return
        time.sleep(0.02)


@contextlib.contextmanager
def _master(
    program: str, dovecot: Dovecot, account: pwd.struct_passwd, environment: Mapping[str, str]
) -> Iterator[None]:
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
            env={**os.environ, **environment},
            user=account.pw_uid if root else None,
            group=account.pw_gid if root else None,
            extra_groups=[] if root else None,
        )
    try:
        wait_for_greeting(master, dovecot)
        yield
    finally:
        master.terminate()
        try:
            master.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait()


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
