"""Real mail for the tests, downloaded, never part of the project."""

import importlib.util
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import debian

PACKAGE = "notmuch"
"""Debian's source package that has two mailing lists (notmuch's, the kernel's) and messages that broke notmuch."""
DIRECTORY = "test/corpora/"
"""Where in that package they are, one message a file."""

HEADER_FIELD = re.compile(rb"\A(?:From |[!-9;-~]+[ \t]*:)")


def real_messages() -> list[bytes]:
    """Return the messages: octets with CRLF line ends, none empty, none twice, always in the same order.

    They are those of CPython's test_email/data and of notmuch. Raises Unavailable when they can't be had.
    """
    messages = [*_cpython_messages(), *_notmuch_messages()]
    return list(dict.fromkeys(map(_with_crlf, messages)))


def _cpython_messages() -> Iterator[bytes]:
    spec = importlib.util.find_spec("test.test_email") if importlib.util.find_spec("test") else None
    if spec is not None and spec.origin is not None:
        data = Path(spec.origin).parent / "data"
    else:
        data = debian.cpython_tests() / "test_email" / "data"
    for path in sorted(data.glob("msg_*.txt")):
        yield path.read_bytes()


def _notmuch_messages() -> Iterator[bytes]:
    with tarfile.open(debian.source_archive(PACKAGE)) as tar:
        members = [member for member in tar if member.isfile() and f"/{DIRECTORY}" in member.name]
        for member in sorted(members, key=lambda member: member.name):
            file = tar.extractfile(member)
            assert file is not None
            octets = file.read()
            if HEADER_FIELD.match(octets):
                yield octets


def _with_crlf(message: bytes) -> bytes:
    """Return the message as an IMAP server keeps it: every line end is CRLF."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", message)
