"""Dovecot writes ENVELOPE and BODYSTRUCTURE of real messages; the rows say what email says of the same octets."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from fastimap import imaplib
from fastimap.message import FetchedMessage
from tests.parser.conftest import TWINS, built
from tests.servers.connections import plain
from tests.servers.dovecot import Dovecot
from tests.support import witness

DATE = datetime(2024, 1, 25, 10, 20, 30, tzinfo=timezone(timedelta(hours=1)))
ITEMS = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER])"


def responses(data: Iterable[bytes | tuple[bytes, bytes]]) -> list[tuple[bytes, ...]]:
    """Return what imaplib's fetch() gives as the fragments of the responses that it came in."""
    found = []
    fragments: list[bytes] = []
    for part in data:
        if isinstance(part, tuple):
            fragments += part
        else:
            number, _, items = (fragments[0] if fragments else part).partition(b" ")
            line = b"* " + number + b" FETCH " + items
            found.append((line, *fragments[1:], part) if fragments else (line,))
            fragments = []
    return found


def test_real_messages(dovecot: Dovecot, real_messages: list[bytes]) -> None:
    client = plain(imaplib, dovecot, dovecot.new_user())
    for message in real_messages:
        typ, _ = client.append("INBOX", "(\\Seen $Forwarded)", imaplib.Time2Internaldate(DATE), message)
        assert typ == "OK"
    client.select("INBOX")
    typ, data = client.fetch("1:*", ITEMS)
    assert typ == "OK"
    client.logout()

    compared = 0
    found = []
    for response, message in zip(responses(data), real_messages, strict=True):
        rows = [importlib.import_module(TWINS[name]).fetch(response) for name in built()]
        assert all(row == rows[0] for row in rows)
        row: FetchedMessage = rows[0]
        assert row.defects == ()
        assert row.flags is not None
        assert row.flags - {"\\Recent"} == {"\\Seen", "$Forwarded"}
        assert row.internal_date == DATE
        assert row.header is not None
        assert message.startswith(row.header.removesuffix(b"\r\n"))
        if witness.is_sound(message):
            compared += 1
            found += witness.differences(row, message)
    assert found == []
    assert compared > 300
