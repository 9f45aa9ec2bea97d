"""Literals: when they are sent, and when not (RFC 9051, section 4.3; RFC 7888): by transcripts."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from fastimap import errors
from fastimap.commands import (
    Append,
    AppendMessage,
    MultiAppend,
    Noop,
)
from tests.protocol.talk import Talk


def test_a_synchronizing_literal_waits() -> None:
    talk = Talk()
    pending = talk.submit(Append("INBOX", b"A: b\r\n\r\nc"))
    talk.sends("<1> APPEND INBOX {9}")
    assert talk.sent() == b""
    talk.says("+ go on")
    assert talk.sent() == b"A: b\r\n\r\nc\r\n"
    talk.says("<1> OK [APPENDUID 5 7] done")
    assert (pending.result().uid_validity, pending.result().uid) == (5, 7)


def test_a_refused_literal_is_not_sent() -> None:
    talk = Talk()
    pending = talk.submit(Append("INBOX", b"A: b\r\n\r\nc"))
    after = talk.submit(Noop())
    talk.sent()
    talk.says("<1> NO [OVERQUOTA] full")
    with pytest.raises(errors.OverQuota):
        pending.result()
    talk.sends("<2> NOOP")
    talk.says("<2> OK done")
    assert after.result() is None


def test_ok_before_the_literal_was_sent_is_fatal() -> None:
    talk = Talk()
    pending = talk.submit(Append("INBOX", b"A: b\r\n\r\nc"))
    talk.sent()
    talk.says("<1> OK done")
    with pytest.raises(errors.ProtocolError, match="before it was sent"):
        pending.result()


def test_literal_plus_goes_at_once() -> None:
    talk = Talk("IMAP4rev1 LITERAL+")
    talk.submit(Append("INBOX", b"A: b\r\n\r\nc"))
    assert talk.sent() == b"<1> APPEND INBOX {9+}\r\nA: b\r\n\r\nc\r\n"


def test_a_refusal_amid_a_literal_counts_when_the_literal_is_sent() -> None:
    # RFC 7888, section 4: "the server ... will read and discard the literal". Dovecot says its NO at once.
    file = io.BytesIO(b"y" * 600_000)
    talk = Talk("IMAP4rev1 LITERAL+")
    refused = talk.submit(Append("Missing", file))
    after = talk.submit(Noop())
    begun = talk.sent()
    talk.says("<1> NO [TRYCREATE] no such mailbox")
    rest = b""
    while more := talk.sent():
        assert not after.done
        rest += more
    assert begun + rest == b"<1> APPEND Missing {600000+}\r\n" + b"y" * 600_000 + b"\r\n<2> NOOP\r\n"
    with pytest.raises(errors.MailboxNotFound):
        refused.result()
    talk.says("<2> OK done")
    assert after.result() is None


def test_a_refusal_between_two_literals_keeps_the_second_one_back() -> None:
    talk = Talk("IMAP4rev1 MULTIAPPEND")
    pending = talk.submit(MultiAppend("INBOX", [AppendMessage(io.BytesIO(b"x" * 300_000)), AppendMessage(b"two")]))
    after = talk.submit(Noop())
    talk.sends("<1> APPEND INBOX {300000}")
    talk.says("+ go on")
    begun = talk.sent()
    assert len(begun) < 300_000
    talk.says("<1> NO [OVERQUOTA] full")
    rest = b"".join(iter(talk.sent, b""))
    assert (begun + rest).startswith(b"x" * 300_000 + b" {3}\r\n")
    with pytest.raises(errors.OverQuota):
        pending.result()
    talk.says("<2> OK done")
    assert after.result() is None


def test_append_tells_its_progress() -> None:
    told: list[tuple[int, int]] = []
    message = b"A: b\r\n\r\n" + b"x" * 600_000
    talk = Talk("IMAP4rev1 LITERAL+")
    talk.submit(Append("INBOX", message, progress=lambda sent, size: told.append((sent, size))))
    sent = b""
    while octets := talk.sent():
        sent += octets
    assert sent == b"<1> APPEND INBOX {%d+}\r\n" % len(message) + message + b"\r\n"
    assert told[-1] == (len(message), len(message))
    assert [size for size, _ in told] == sorted({size for size, _ in told})


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_a_large_literal_is_handed_over_in_pieces(kind: Callable[[bytes], Any]) -> None:
    """Each piece that is taken begins the deadline anew: of a slow link, and not of the whole message."""
    octets = bytes(range(1, 251)) * 2048
    talk = Talk()
    talk.submit(Append("INBOX", kind(octets)))
    talk.sends("<1> APPEND INBOX {512000}")
    talk.says("+ go on")
    pieces = [b"".join(map(bytes, out)) for out in iter(talk.protocol.data_to_send, [])]
    assert max(map(len, pieces)) == 64 * 1024
    assert b"".join(pieces) == octets + b"\r\n"
