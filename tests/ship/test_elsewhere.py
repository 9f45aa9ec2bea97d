"""A sample of what each wheel is tested with, without what not every platform has: `make test-elsewhere`."""

import os
import subprocess
import sys

import pytest

from tests.support import PROJECT

SAMPLE = (
    "tests/parser/test_stream.py",
    "tests/protocol",
    "tests/imaplib/test_idle.py",
    "tests/imaplib/test_stream.py",
    "tests/client/test_idle_and_pipeline.py",
    "tests/client/test_reconnect.py",
)


@pytest.mark.slow
def test_a_sample() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.support.elsewhere"]
    ended = subprocess.run(
        [*command, "-m", "not slow and not server", *SAMPLE],
        cwd=PROJECT,
        env={**os.environ, "HYPOTHESIS_PROFILE": "dev"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout
