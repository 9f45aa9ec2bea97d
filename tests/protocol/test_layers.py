"""STARTTLS and COMPRESS: what stands after their OK, and what was learnt before: by transcripts."""

from __future__ import annotations

import zlib

import pytest

from fastimap import errors
from fastimap.commands import (
    Compress,
    Fetch,
    Noop,
)
from fastimap.commands.session import StartTLS
from fastimap.limits import Limits
from fastimap.types import Exists
from tests.protocol.talk import Talk


def test_nothing_that_was_said_before_tls_is_kept() -> None:
    talk = Talk("IMAP4rev1 STARTTLS", logged_in=False)
    pending = talk.submit(StartTLS())
    talk.sent()
    talk.says(
        "* CAPABILITY IMAP4rev1 AUTH=PLAIN", "* ENABLED UTF8=ACCEPT", "* NO [ALERT] call this number", "<1> OK begin"
    )
    assert pending.result() is None
    session = talk.protocol.session
    assert (session.capabilities, session.enabled, talk.events()) == (frozenset(), frozenset(), [])


def test_compressed_both_ways() -> None:
    talk = Talk("IMAP4rev1 COMPRESS=DEFLATE")
    talk.submit(Compress())
    talk.sends("<1> COMPRESS DEFLATE")
    deflate = zlib.compressobj(wbits=-15)
    tag = talk.tags[0]
    # The first compressed octets may come with the OK.
    early = deflate.compress(b"* 3 EXISTS\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
    talk.feed(tag + b" OK done\r\n" + early)
    assert talk.events() == [Exists(3)]
    pending = talk.submit(Noop())
    sent = b"".join(map(bytes, talk.protocol.data_to_send()))
    plain = zlib.decompressobj(-15).decompress(sent)
    assert plain.endswith(b" NOOP\r\n")
    talk.feed(deflate.compress(plain.split()[0] + b" OK done\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH))
    assert pending.done


def test_garbage_behind_the_ok_of_compress_ends_it() -> None:
    talk = Talk("IMAP4rev1 COMPRESS=DEFLATE")
    pending = talk.submit(Compress())
    talk.sent()
    talk.feed(talk.tags[0] + b" OK begin\r\n\xff\xff\xff\xff")
    with pytest.raises(errors.ProtocolError, match="compressed stream is broken"):
        pending.result()
    assert talk.protocol.error is not None


def test_the_end_of_the_compressed_stream_is_the_end_of_the_connection() -> None:
    talk = Talk("IMAP4rev1 COMPRESS=DEFLATE")
    talk.submit(Compress())
    talk.sent()
    talk.says("<1> OK begin")
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    pending = talk.submit(Fetch(1, "FLAGS"))
    talk.feed(deflate.compress(b"* 3 EXISTS\r\n") + deflate.flush(zlib.Z_FINISH) + b"* 4 EXISTS\r\n")
    assert [event.count for event in talk.events()] == [3]
    with pytest.raises(errors.Disconnected):
        pending.result()


@pytest.mark.slow
def test_a_compressed_bomb_meets_the_limits() -> None:
    talk = Talk("IMAP4rev1 COMPRESS=DEFLATE", limits=Limits(line=1_000_000))
    talk.submit(Compress())
    talk.sent()
    talk.says("<1> OK done")
    deflate = zlib.compressobj(9, wbits=-15)
    talk.feed(deflate.compress(b"*" * 100_000_000) + deflate.flush())
    assert isinstance(talk.protocol.error, errors.LineTooLong)
