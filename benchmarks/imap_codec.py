"""The peer in Rust: builds `benchmarks/imap-codec` with cargo, in build/, where cargo can."""

import functools
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("imap-codec")
TARGET = Path(__file__).parent.parent / "build" / "imap-codec"


@functools.cache
def program() -> str:
    """Build it; return the program, "" where that fails: without cargo, or without a way to fetch imap-codec."""
    cargo = shutil.which("cargo")
    if cargo is None:
        return ""
    shutil.copytree(SOURCE, TARGET, dirs_exist_ok=True)
    done = subprocess.run([cargo, "build", "--quiet", "--release"], cwd=TARGET, capture_output=True)
    return "" if done.returncode else str(TARGET / "target" / "release" / "fastimap-benchmark")
