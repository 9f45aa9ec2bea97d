"""Tests the fastimap that is installed, not the one in src/: python tools/test_installed.py c|py

The suites that need no server, shell or compiler: what every platform's wheel is tested with. It runs by itself on
Windows, macOS and Linux, from any directory. With ``--elsewhere`` the tests run without what not every platform has
(poll, fork, memfd_create, Unix sockets); with ``--no-pytest`` a short conversation is all. What follows is for pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
SUITES = ("parser", "decode", "encode", "message", "sasl", "commands", "protocol", "imaplib", "client")
CONVERSATION = """
import fastimap
from fastimap.testing import IMAPServer

with IMAPServer() as server:
    server.append("INBOX", b"Subject: hello\\r\\n\\r\\nworld\\r\\n")
    account = {"user": "user", "password": "password", "tls": False, "mechanism": "PLAIN"}
    with fastimap.Client(server.host, server.port, **account) as client:
        client.select("INBOX")
        (message,) = client.fetch("1:*", "ENVELOPE", "BODY.PEEK[]")
    assert message.envelope.subject == "hello"
    with fastimap.IMAP4(server.host, server.port) as drop_in:
        drop_in.login("user", "password")
        assert drop_in.select("INBOX") == ("OK", [b"1"])
print("a message was fetched with", fastimap.IMPLEMENTATION)
"""
WHERE = "import fastimap; print(fastimap.__file__); print(fastimap.IMPLEMENTATION)"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("implementation", choices=["c", "py"], help="of the parser, which must be there")
    parser.add_argument("--elsewhere", action="store_true")
    parser.add_argument("--no-pytest", action="store_true")
    parser.add_argument("--suites", default=" ".join(SUITES), help="folders of tests/")
    arguments, rest = parser.parse_known_args()
    environment = {**os.environ, "FASTIMAP_IMPL": arguments.implementation, "HYPOTHESIS_PROFILE": "dev"}
    environment.pop("PYTHONPATH", None)
    if arguments.implementation == "py":
        environment["FASTIMAP_NO_EXTENSION"] = "1"  # to the tests: there is one parser to test
    # Not from the project's directory, where `src` could be found, nor one that has modules of its own.
    away = Path(sys.executable).parent
    found = subprocess.run([sys.executable, "-c", WHERE], env=environment, cwd=away, capture_output=True)
    if found.returncode != 0:
        sys.stderr.write(found.stderr.decode(errors="replace"))
        return 1
    where, implementation = found.stdout.decode().split("\n")[:2]
    if Path(where.strip()).is_relative_to(PROJECT / "src") or implementation.strip() != arguments.implementation:
        print(f"not the installed fastimap on {arguments.implementation}: {where}, {implementation}", file=sys.stderr)
        return 1
    print(f"testing {where.strip()} on {implementation.strip()}, Python {sys.version.partition(' ')[0]}", flush=True)
    if arguments.no_pytest:
        return subprocess.run([sys.executable, "-c", CONVERSATION], env=environment, check=False).returncode
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not server"]
    if arguments.elsewhere:
        command += ["-p", "tests.support.elsewhere"]
    command += [*rest, *(f"tests/{suite}" for suite in arguments.suites.split())]
    # -m pytest puts the working directory on the path, from which `tests` is imported; `src` is no part of it.
    return subprocess.run(command, env=environment, cwd=PROJECT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
