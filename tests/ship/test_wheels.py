"""Which wheels the workflow makes, as cibuildwheel itself reads the configuration."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import PROJECT

PYTHONS = ["cp311", "cp312", "cp313", "cp314", "cp314t", "cp315", "cp315t"]
PLATFORMS = {
    "linux": ["manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64"],
    "macos": ["macosx_x86_64", "macosx_arm64"],
    "windows": ["win_amd64", "win_arm64"],
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_wheels_of_a_platform(platform: str) -> None:
    pytest.importorskip("cibuildwheel", reason="it comes with the extra lint")
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", platform]
    printed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
    assert sorted(printed) == sorted(f"{python}-{kind}" for python in PYTHONS for kind in PLATFORMS[platform])
