"""Files from Debian's archive, through a private configuration of apt: nothing on the host changes.

The mirror is the host's own; the signatures of the archive are verified with the host's Debian keyring.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support import CACHE, Unavailable

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ROOTS = CACHE / "debian" / "roots"
SUITE = "sid"
CPYTHON = "3.15"


def unpacked_package(name: str) -> Path:
    """Return the directory that holds the files of Debian sid's newest binary package `name`, unpacked.

    Raises Unavailable where this isn't Debian, or the mirror can't be reached and no earlier download is there.
    """
    root = CACHE / "debian" / name
    with _locked():
        if not root.exists():
            download = _empty_directory(CACHE / "debian" / "download")
            _apt(SUITE, "download", name, cwd=download)
            (package,) = download.glob("*.deb")
            partial = _empty_directory(root.with_suffix(".partial"))
            _run("dpkg", "-x", str(package), str(partial), cwd=download)
            shutil.rmtree(download)
            partial.rename(root)
    return root


def unpacked_root(suite: str, *packages: str) -> Path:
    """Return a directory to chroot into: `packages` of the Debian release `suite`, and what they depend on, unpacked.

    No script of a package ever runs, so what one would have made (accounts, a configuration) isn't there. The file
    "packages" lists the packages. Raises Unavailable as `unpacked_package` does.
    """
    root = ROOTS / "+".join((suite, *packages))
    with _locked():
        if not root.exists():
            download = _empty_directory(CACHE / "debian" / "download")
            (download / "partial").mkdir()
            archives = ("-o", f"Dir::Cache::archives={download}")
            _apt(
                suite, "install", "--download-only", "--no-install-recommends", "-y", *archives, *packages, cwd=download
            )
            partial = _empty_directory(root.with_name(root.name + ".partial"))
            _unpack_into_root(sorted(download.glob("*.deb")), partial)
            shutil.rmtree(download)
            partial.rename(root)
    return root


def python(version: str) -> Path:
    """Return a program that is Debian sid's Python `version` ("3.15") with CPython's test suite, newer than the host.

    It brings its own C library along, so it needs no chroot. Raises Unavailable as `unpacked_package` does.
    """
    root = unpacked_root(SUITE, f"python{version}", f"libpython{version}-testsuite")
    program = root / f"python{version}"
    (loader,) = (path for path in root.glob("usr/lib*/ld-linux-*.so.*") if path.exists())
    (libraries,) = root.glob("usr/lib/*-linux-gnu")
    partial = program.with_name(f"{program.name}.{os.getpid()}")
    partial.write_text(
        "#!/bin/sh\n"
        f'PYTHONHOME="{root}/usr" exec "{loader}" --argv0 "$0" --library-path "{libraries}" '
        f'"{root}/usr/bin/python{version}" "$@"\n'
    )
    partial.chmod(0o755)
    partial.replace(program)
    return program


def version_in_root(root: Path, package: str) -> str:
    """Return the upstream version of `package` in an unpacked root: "3.6.1"."""
    for name in (root / "packages").read_text().splitlines():
        if name.startswith(f"{package}_"):
            version = name.split("_")[1].split("%3a")[-1]
            return version.split("-")[0].split("+")[0]
    raise KeyError(package)


def _unpack_into_root(packages: list[Path], root: Path) -> None:
    # Some packages of bookworm still have files in /lib. `dpkg -x` would put a directory in the place of the link.
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    unread = " ".join(f"--exclude=./usr/share/{name}" for name in ("doc", "locale", "man"))
    script = f'dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink {unread} -C "$2"'
    for package in packages:
        _run("sh", "-c", script, "sh", str(package), str(root), cwd=root)
    # Whatever the umask is: a server runs as somebody else.
    for directory in (root, root / "usr", *(root / "usr").iterdir()):
        directory.chmod(0o755)
    (root / "packages").write_text("".join(f"{package.name}\n" for package in packages))


def cpython_tests() -> Path:
    """Return the directory of the package `test` of CPython 3.15; raises Unavailable."""
    return unpacked_package(f"libpython{CPYTHON}-testsuite") / f"usr/lib/python{CPYTHON}/test"


def cpython_imaplib() -> Path:
    """Return the path of CPython 3.15's imaplib.py; raises Unavailable."""
    return unpacked_package(f"libpython{CPYTHON}-stdlib") / f"usr/lib/python{CPYTHON}/imaplib.py"


def source_archive(name: str) -> Path:
    """Return the upstream archive (`*.orig.tar.*`) of Debian sid's newest source package `name`.

    Raises Unavailable as `unpacked_package` does.
    """
    directory = CACHE / "debian" / f"{name}-source"
    with _locked():
        if not directory.exists():
            partial = _empty_directory(directory.with_suffix(".partial"))
            _apt(SUITE, "source", "--download-only", "--tar-only", name, cwd=partial)
            partial.rename(directory)
    (archive,) = (path for path in directory.glob("*.orig.tar.*") if path.suffix != ".asc")
    return archive


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Let one test run at a time change what is in the cache."""
    (CACHE / "debian").mkdir(parents=True, exist_ok=True)
    with open(CACHE / "debian" / "lock", "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _apt(suite: str, *arguments: str, cwd: Path) -> None:
    configuration = _configuration(suite)
    environment = os.environ | {"APT_CONFIG": str(configuration)}
    _run("apt-get", "-q", "update", cwd=cwd, environment=environment)
    _run("apt-get", "-q", *arguments, cwd=cwd, environment=environment)


def _configuration(suite: str) -> Path:
    """Write the private configuration of apt for the Debian release `suite` below the cache; return its path."""
    if not KEYRING.exists() or not shutil.which("apt-get"):
        raise Unavailable("this is not a Debian system (no apt-get, or no Debian archive keyring).")
    directory = CACHE / "debian" / f"apt-{suite}"
    for name in ("lists/partial", "archives/partial", "none"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    sources = directory / "sources.list"
    mirror = _mirror()
    sources.write_text("".join(f"{kind} [signed-by={KEYRING}] {mirror} {suite} main\n" for kind in ("deb", "deb-src")))
    configuration = directory / "apt.conf"
    configuration.write_text(
        f'Dir::State "{directory}";\n'
        f'Dir::State::lists "{directory}/lists";\n'
        'Dir::State::status "/dev/null";\n'
        f'Dir::Cache "{directory}";\n'
        f'Dir::Etc::sourcelist "{sources}";\n'
        f'Dir::Etc::sourceparts "{directory}/none";\n'
        'Acquire::Languages "none";\n'
        # The account that apt otherwise drops to can't write below a private directory.
        'APT::Sandbox::User "root";\n'
    )
    return configuration


def _mirror() -> str:
    """Return the address of the mirror of Debian's main archive that this machine uses."""
    listing = _run(
        "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian", cwd=CACHE
    )
    if not listing.split():
        raise Unavailable("apt has no Debian mirror configured (or its lists are empty: apt-get update).")
    return listing.split()[0]


def _run(*command: str, cwd: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
    return done.stdout


def _empty_directory(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
