"""A server in a Debian root of its own: the releases, and the packages, that the host doesn't have.

The root is made of unpacked packages (see tests/support/debian.py) and belongs to root, so the server, which runs as
"nobody", doesn't change it: test runs share it. What is mounted and what is running is in namespaces of the one process
that is started here: the kernel ends it all with that process, and that process with the tests.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.servers.server import Server, wait_for_greeting, write_certificates
from tests.support import Unavailable, debian

STOP_TIMEOUT = 10.0

NOBODY = 65534
"""The user and the group that Debian calls nobody and nogroup."""

INSIDE = Path("/srv")
"""What the scratch directory of the server is called in the root."""

TOOLS = ("busybox", "coreutils", "dash")
"""The packages that `SCRIPT` and the configurations need in every root."""

ACCOUNTS = ("nobody", "courier")
"""All are the one unprivileged account, also under the name that a program insists on."""

FILES = {
    "etc/passwd": "".join(
        ["root:x:0:0::/:/bin/sh\n", *(f"{n}:x:{NOBODY}:{NOBODY}::{INSIDE}:/bin/sh\n" for n in ACCOUNTS)]
    ),
    "etc/group": f"root:x:0:\nnogroup:x:{NOBODY}:\nmail:x:8:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
"""Of what the scripts of the packages would have made, what the servers need."""

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")

SCRIPT = f"""
set -e
root=$1 directory=$2
shift 2
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
for device in full null random urandom zero; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --bind "$directory" "$root{INSIDE}"
mount --bind "$directory/run" "$root/run"
chroot "$root" busybox syslogd -O {INSIDE}/syslog
# No exec: who changes its user is no longer killed with its parent, so the first process has to stay what it is.
chroot --userspec={NOBODY}:{NOBODY} "$root" "$@"
exit
"""
"""Runs in the new namespaces with these arguments: the root, the scratch directory, the server's command."""


def root(suite: str, *packages: str, files: Mapping[str, str] | None = None) -> Path:
    """Return a Debian root with `packages` of the release `suite`, and with `files` (texts by their paths in the root).

    Raises Unavailable where nobody can change into such a root, or it can't be had.
    """
    if os.geteuid() != 0:
        raise Unavailable("it runs in a Debian root of its own, and only root can change into one.")
    if not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "chroot"))):
        raise Unavailable("unshare, nsenter, setpriv and chroot are needed (Debian: util-linux, coreutils).")
    tried = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise Unavailable(f"this machine allows no new namespaces: {tried.stderr.strip()}")

    path = debian.unpacked_root(suite, *TOOLS, *packages)
    for name in ("proc", "tmp", "dev", "run", INSIDE.name):
        (path / name).mkdir(exist_ok=True)
    for name, text in {**FILES, **(files or {})}.items():
        _write_at_once(path / name, text)
    return path


@contextlib.contextmanager
def scratch_directory(name: str) -> Iterator[Path]:
    """Give a directory for what one running server needs, with its certificates; it is gone when the block ends."""
    # Not below pytest's own temporary directory: that is closed to the unprivileged account.
    with tempfile.TemporaryDirectory(prefix=f"fastimap-{name}-") as directory:
        path = Path(directory)
        (path / "run").mkdir()
        write_certificates(path)
        yield path


@contextlib.contextmanager
def running(server: Server, root: Path, command: Sequence[str]) -> Iterator[Callable[..., None]]:
    """Run `command` in `root` until the block ends; the server's directory is `INSIDE` there.

    Gives a function that runs another command to its end there, beside the server.
    Raises RuntimeError with the log when the server doesn't start.
    """
    for path in (server.directory, *server.directory.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    with open(server.directory / "stderr", "wb") as stderr:
        process = subprocess.Popen(
            # The kernel ends it even when the tests are killed and can't.
            ["setpriv", "--pdeathsig", "KILL", *NAMESPACES, "sh", "-c", SCRIPT, "sh", root, server.directory, *command],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
        )

    def run(*another: str) -> None:
        (first,) = _children(process)
        entering = ["nsenter", "--target", str(first), "--mount", "--pid"]
        subprocess.run(
            [*entering, "chroot", f"--userspec={NOBODY}:{NOBODY}", str(root), *another],
            check=True,
            capture_output=True,
            env=ENVIRONMENT,
        )

    try:
        wait_for_greeting(process, server)
        yield run
    finally:
        _end(process)


def _children(process: "subprocess.Popen[bytes]") -> list[int]:
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the first process in the namespaces: `unshare` ends when the kernel is through with the others, too."""
    # Nothing is worth an orderly end: what the server wrote is thrown away.
    if process.poll() is None:
        for child in _children(process):
            os.kill(child, signal.SIGKILL)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _write_at_once(path: Path, text: str) -> None:
    """Write a file that another test run may be reading; a script is executable."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o755 if text.startswith("#!") else 0o644)
    os.rename(file.name, path)
