"""A program written for the standard library's imaplib, with the import changed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fastimap import imaplib
from tests.servers.dovecot import Dovecot


def test_the_modules_own_session(dovecot: Dovecot) -> None:
    """``python -m fastimap.imaplib -s command`` exercises the commands on a real server."""
    command = dovecot.stream_command("swap")
    done = subprocess.run(
        [sys.executable, "-m", "fastimap.imaplib", "-s", command], capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("All tests OK\n"), done.stdout + done.stderr
    assert "IMAP4 test" in done.stdout
    assert "Deleted" in done.stdout
    assert not done.returncode


def test_nobody_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastimap.imaplib", "-d1", "-s", "true"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Tests failed" in done.stdout


SUBJECTS = ["trip report", "report", "what for?", "n\u00e4chste Reise"]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_search_for_a_subject(dovecot: Dovecot, subject: str) -> None:
    """The text of the user, as it is."""
    M = imaplib.IMAP4_stream(dovecot.stream_command(f"swap-{SUBJECTS.index(subject)}"))  # noqa: N806 - as the documentation calls it
    M.append("INBOX", None, None, f"Subject: A {subject} of 2024\r\n\r\n.\r\n".encode())
    M.append("INBOX", None, None, b"Subject: Something else\r\n\r\n.\r\n")
    M.select()
    typ, data = M.search("UTF-8", "SUBJECT", subject, "LARGER", 10)
    assert (typ, data) == ("OK", [b"1"])
    M.logout()
