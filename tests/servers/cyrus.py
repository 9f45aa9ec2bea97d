"""A private Cyrus IMAP in a Debian root of its own."""

import contextlib
import dataclasses
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers import chroot
from tests.servers.server import Server, free_ports, minor_version
from tests.support import debian

PACKAGES = ("cyrus-imapd", "libsasl2-modules", "libsasl2-modules-sql")

DIRECTORIES = ("mail", "search", *(f"configuration/{name}" for name in ("db", "lock", "log", "msg", "proc", "socket")))

ADMIN = "cyrus"

PROGRAMS = "/usr/lib/cyrus/bin"


@dataclass(frozen=True, kw_only=True)
class Cyrus(Server):
    """A running Cyrus IMAP."""

    run: Callable[..., None]
    """Runs a program beside it."""

    def processes(self) -> list[int]:
        """Return those that have connections: no others are begun after some that died before they had one."""
        at_work = {path.name for path in (self.directory / "configuration" / "proc").iterdir()}
        found = []
        for path in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                ours = (path / "comm").read_text() == "imapd\n" and str(self.directory) in (
                    path / "mountinfo"
                ).read_text()
                if ours and (path / "status").read_text().partition("NSpid:")[2].split("\n")[0].split()[-1] in at_work:
                    found.append(int(path.name))
        return found

    def index(self, user: str) -> None:
        """Have SEARCH=FUZZY find what is in the mailboxes of `user` now."""
        self.run(f"{PROGRAMS}/squatter", "-C", f"{chroot.INSIDE}/imapd.conf", "-u", user)


@contextlib.contextmanager
def running(suite: str) -> Iterator[Cyrus]:
    """Start the Cyrus of the Debian release `suite`; stop it and remove everything it wrote when the block ends.

    Raises Unavailable where it can't be had, RuntimeError with its log when it doesn't start.
    """
    root = chroot.root(suite, *PACKAGES)
    version = debian.version_in_root(root, "cyrus-imapd")
    with chroot.scratch_directory("cyrus") as directory:
        port, tls_port = free_ports(2)
        for name in DIRECTORIES:
            (directory / name).mkdir(parents=True)
        for name in ("imapd.conf", "cyrus.conf"):
            template = string.Template(Path(__file__).with_name(f"cyrus-{name}").read_text())
            (directory / name).write_text(
                template.substitute(
                    directory=chroot.INSIDE,
                    programs=PROGRAMS,
                    port=port,
                    tls_port=tls_port,
                    password=Server.password,
                    admin=ADMIN,
                )
            )
        server = Cyrus(
            name=f"cyrus-{minor_version(version)}",
            version=version,
            directory=directory,
            ca_file=directory / "ca.pem",
            client_certificate=directory / "client.pem",
            port=port,
            tls_port=tls_port,
            admin=(ADMIN, Server.password),
            run=_not_yet,
        )
        inside = chroot.INSIDE
        command = [
            "cyrmaster",
            "-C",
            f"{inside}/imapd.conf",
            "-M",
            f"{inside}/cyrus.conf",
            "-p",
            f"{inside}/master.pid",
        ]
        with chroot.running(server, root, command) as run:
            yield dataclasses.replace(server, run=run)


def _not_yet(*command: str) -> None:
    raise RuntimeError("the server has not been started")
