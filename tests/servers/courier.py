"""A private Courier IMAP in a Debian root of its own."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers import chroot
from tests.servers.server import Server, free_ports, minor_version
from tests.support import debian

PACKAGES = ("courier-imap", "courier-authdaemon", "courier-authlib-pipe")

QUOTA = 1 << 30
"""What a user may store, in octets."""

MAILBOXES = ("", ".Drafts", ".Trash")
"""The Maildirs of a new user, below the INBOX."""


@dataclass(frozen=True, kw_only=True)
class Courier(Server):
    """A running Courier IMAP; it wants the mailboxes of a user to be there before the first login."""

    def new_user(self) -> str:
        """Return the name of a user nobody has used yet: INBOX, INBOX.Drafts and INBOX.Trash are there and empty."""
        user = super().new_user()
        home = self.directory / "mail" / user
        for mailbox in MAILBOXES:
            for name in ("cur", "new", "tmp"):
                (home / "Maildir" / mailbox / name).mkdir(parents=True)
        (home / "Maildir" / "maildirsize").write_text(f"{QUOTA}S\n")
        for path in (home, *home.rglob("*")):
            os.chown(path, chroot.NOBODY, chroot.NOBODY)
        return user


@contextlib.contextmanager
def running(suite: str) -> Iterator[Courier]:
    """Start the Courier of the Debian release `suite`; stop it and remove everything it wrote when the block ends.

    Raises Unavailable where it can't be had, RuntimeError with its log when it doesn't start.
    """
    files = {
        "etc/courier/authdaemonrc": 'authmodulelist="authpipe"\ndaemons=2\n',
        "etc/courier/authProg": Path(__file__).with_name("courier-password").read_text(),
    }
    root = chroot.root(suite, *PACKAGES, files=files)
    version = debian.version_in_root(root, "courier-imap")
    with chroot.scratch_directory("courier") as directory:
        port, tls_port = free_ports(2)
        (directory / "mail").mkdir()
        (directory / "password").write_text(f"{Courier.password}\n")
        (directory / "start").write_text(Path(__file__).with_name("courier-start").read_text())
        server = Courier(
            name=f"courier-{minor_version(version)}",
            version=version,
            directory=directory,
            ca_file=directory / "ca.pem",
            port=port,
            tls_port=tls_port,
        )
        with chroot.running(server, root, ["sh", f"{chroot.INSIDE}/start", str(port), str(tls_port)]):
            yield server
