"""The tests of AsyncClient, with uvloop's loop in place of asyncio's."""

import os
import subprocess
import sys

import pytest

from tests.support import PROJECT


@pytest.mark.slow
def test_on_uvloop() -> None:
    pytest.importorskip("uvloop", reason="there is no uvloop on this platform")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.support.on_uvloop"]
    command += ["-m", "not server", "tests/client/test_asyncio.py"]
    ended = subprocess.run(command, cwd=PROJECT, env=os.environ, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout
