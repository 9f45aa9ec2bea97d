"""What a connection in clear does without: ssl and hashlib load OpenSSL, a good part of a program's start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.dovecot import Dovecot

OF_OPENSSL = {"ssl", "_ssl", "hashlib", "_hashlib"}
CLIENT = """
import json, sys
from fastimap import Client
host, port, user, password = json.loads(sys.argv[1])
with Client(host, port, user=user, password=password, mechanism="PLAIN", tls=False) as client:
    client.append("INBOX", b"Subject: one\\r\\n\\r\\nbody\\r\\n")
    client.select("INBOX")
    subjects = [row.envelope.subject for row in client.fetch_iter("1:*", "ENVELOPE", "BODY.PEEK[]")]
print(json.dumps([subjects, [*sys.modules]]))
"""
PULL = """
import json, sys
from fastimap.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, [*sys.modules]]))
"""


def said(program: str, *arguments: str) -> tuple[object, set[str]]:
    """What a program says at its end, and which modules a process has that it ran in."""
    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    result, modules = json.loads(ended.stdout.splitlines()[-1])
    return result, set(modules)


@pytest.mark.slow
def test_a_connection_in_clear_does_not_pay_for_tls(dovecot: Dovecot) -> None:
    account = json.dumps(["localhost", dovecot.port, dovecot.new_user(), dovecot.password])
    subjects, modules = said(CLIENT, account)
    assert subjects == ["one"]
    assert not modules & OF_OPENSSL


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["maildir", "eml", "jsonl", "mbox", "sqlite"])
def test_a_pull_of_nothing_new_hashes_nothing(dovecot: Dovecot, tmp_path: Path, kind: str) -> None:
    user = dovecot.new_user()
    said(CLIENT, json.dumps(["localhost", dovecot.port, user, dovecot.password]))
    secret = tmp_path / "password"
    secret.write_text(dovecot.password)
    arguments = ["pull", f"imap://{user}@localhost:{dovecot.port}", str(tmp_path / "store"), "--insecure"]
    arguments += ["--password-file", os.fspath(secret), "--format", kind]
    code, modules = said(PULL, *arguments)
    assert code == 0
    assert "hashlib" in modules  # what was written has a digest
    code, modules = said(PULL, *arguments)
    assert code == 0
    assert not modules & OF_OPENSSL
