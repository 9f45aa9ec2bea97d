"""Five servers write ENVELOPE and BODYSTRUCTURE of real messages: rows say what email and IMAPClient say of them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from fastimap import imaplib
from fastimap.commands import AppendMessage
from fastimap.model.message import FetchedMessage
from tests.parser.conftest import TWINS, built
from tests.servers.accounts import Account
from tests.servers.connections import plain
from tests.support import witness
from tests.support.imapclient import Parse, differences, in_shape_of_imaplib

DATE = datetime(2024, 1, 25, 10, 20, 30, tzinfo=timezone(timedelta(hours=1)))
FLAGS = ["\\Seen", "$Forwarded"]
ITEMS = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER])"
HEADER_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|[ \t]")
# Courier's own: "8bit" where no encoding is said, sizes that are off by an octet or two, a charset where none is said,
# the end of line that was missing, and multiparts whose boundaries are odd as text.
COURIER = re.compile(r"part [\d.]*: (encoding: '8bit' '7bit'|size: |charset: )|size: |parts: \['text/plain'\]")


def responses(data: Iterable[bytes | tuple[bytes, bytes]]) -> Iterator[tuple[bytes, ...]]:
    """Yield what imaplib's fetch() gives as the fragments of the responses that it came in."""
    fragments: list[bytes] = []
    for part in data:
        if isinstance(part, tuple):
            fragments += part
        else:
            number, _, items = (fragments[0] if fragments else part).partition(b" ")
            line = b"* " + number + b" FETCH " + items
            yield (line, *fragments[1:], part) if fragments else (line,)
            fragments = []


def test_real_messages(account: Account, client: Any, real_messages: list[bytes], imapclient_parse: Parse) -> None:
    # Courier takes its time for one after the other: the odd ones come first. Cyrus takes none whose header is none.
    some = real_messages[:120] if account.is_courier else real_messages
    messages = [message for message in some if is_header(message.partition(b"\r\n\r\n")[0])]
    if client.session.has("MULTIAPPEND"):
        client.multi_append("INBOX", [AppendMessage(message, FLAGS, DATE) for message in messages])
    else:
        with client.pipeline() as pipeline:
            pending = [pipeline.append("INBOX", message, flags=FLAGS, internal_date=DATE) for message in messages]
        assert len([each.result() for each in pending]) == len(messages)
    session = plain(imaplib, account.server, account.user)
    session.select("INBOX")
    typ, data = session.fetch("1:*", ITEMS)
    assert typ == "OK"
    session.logout()

    like_email = like_imapclient = 0
    found = []
    for response, message in zip(responses(data), messages, strict=True):
        rows = [importlib.import_module(TWINS[name]).fetch(response) for name in built()]
        assert all(row == rows[0] for row in rows)
        row: FetchedMessage = rows[0]
        assert row.defects == ()
        assert row.flags is not None
        assert row.flags - {"\\Recent"} == set(FLAGS)
        assert row.internal_date == DATE
        assert row.header_octets is not None
        assert message.startswith(row.header_octets.removesuffix(b"\r\n"))
        if witness.is_sound(message):
            like_email += 1
            told = witness.differences(row, message)
            found += [d for d in told if not (account.is_courier and COURIER.match(d))]
        theirs = imapclient_parse(in_shape_of_imaplib(response))
        if is_plain(theirs[b"BODYSTRUCTURE"]):
            like_imapclient += 1
            found += differences(row, theirs)
    assert found == []
    assert like_email > 0.9 * len(messages) > 100
    assert like_imapclient > 0.9 * len(messages)


def is_header(octets: bytes) -> bool:
    return all(HEADER_FIELD.match(line) for line in octets.split(b"\r\n"))


def is_plain(body: Any) -> bool:
    """Whether all parts of IMAPClient's value have types, and multiparts have parts: the rest are quirks of servers."""
    if isinstance(body[0], list):
        return all(map(is_plain, body[0]))
    return body[0] not in (b"", b"multipart") and body[1] != b""
