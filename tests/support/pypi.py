"""Source distributions of other people's projects, through pip and the index it is configured with."""

import contextlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.support import CACHE, Unavailable


def unpacked_sdist(name: str, version: str) -> Path:
    """Return the directory with the files of that release's source distribution.

    Raises Unavailable when pip can't get it and no earlier download is there.
    """
    directory = CACHE / "pypi" / f"{name}-{version}"
    if not directory.exists():
        (CACHE / "pypi").mkdir(parents=True, exist_ok=True)
        # Several processes of one test run may want it at once: each has a place of its own, the first one's stays.
        with tempfile.TemporaryDirectory(dir=CACHE / "pypi") as download:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-d", download]
            done = subprocess.run([*command, f"{name}=={version}"], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Unavailable(f"pip could not download {name} {version}:\n{done.stderr.strip()}")
            (archive,) = Path(download).glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                tar.extractall(download, filter="data")
            with contextlib.suppress(OSError):
                archive.with_suffix("").with_suffix("").rename(directory)
    return directory
