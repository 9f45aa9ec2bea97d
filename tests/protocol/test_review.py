"""What a hostile server, an impatient caller or a file of his may do to a conversation: by transcripts."""

from __future__ import annotations

import io
import zlib

import pytest

from fastimap import errors
from fastimap.command import Session
from fastimap.commands import Append, AppendMessage, Compress, Fetch, FetchInto, MultiAppend, Noop
from fastimap.commands.session import StartTLSCommand
from fastimap.limits import Limits
from fastimap.types import Tagged
from tests.protocol.talk import Talk

# Whoever waits gets an end.


def test_an_error_of_the_caller_s_file_is_the_command_s_alone() -> None:
    class Full(io.BytesIO):
        def write(self, octets: object) -> int:
            raise OSError("disk full")

    talk = Talk(selected=True)
    pending = talk.submit(FetchInto(1, "BODY.PEEK[]", into=Full()))
    talk.sent()
    after = talk.submit(Noop())
    talk.says("* 1 FETCH (UID 1 BODY[] {3}", "abc)", "<1> OK done")
    with pytest.raises(OSError, match="disk full"):
        pending.result()
    talk.sends("<2> NOOP")
    talk.says("<2> OK done")
    assert after.result() is None


def test_a_bug_in_a_command_ends_it_and_costs_the_others_nothing() -> None:
    class Broken(Noop):
        def succeed(self, tagged: Tagged, session: Session) -> None:
            raise KeyError("bug")

    talk = Talk()
    broken, whole = talk.submit(Broken()), talk.submit(Noop())
    talk.sends("<1> NOOP", "<2> NOOP")
    talk.feed(talk.tags[0] + b" OK done\r\n" + talk.tags[1] + b" OK done\r\n")
    with pytest.raises(KeyError):
        broken.result()
    assert whole.result() is None


def test_garbage_behind_the_ok_of_compress_ends_it() -> None:
    talk = Talk("IMAP4rev1 COMPRESS=DEFLATE")
    pending = talk.submit(Compress())
    talk.sent()
    talk.feed(talk.tags[0] + b" OK begin\r\n\xff\xff\xff\xff")
    with pytest.raises(errors.ProtocolError, match="compressed stream is broken"):
        pending.result()
    assert talk.protocol.error is not None


def test_octets_behind_the_end_of_a_compressed_stream_are_refused() -> None:
    talk = Talk("IMAP4rev1 COMPRESS=DEFLATE")
    talk.submit(Compress())
    talk.sent()
    talk.says("<1> OK begin")
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    pending = talk.submit(Fetch(1, "FLAGS"))
    talk.feed(deflate.compress(b"* 3 EXISTS\r\n") + deflate.flush(zlib.Z_FINISH))
    assert talk.protocol.error is None
    talk.feed(b"* 4 EXISTS\r\n")
    assert isinstance(talk.protocol.error, errors.ProtocolError)
    with pytest.raises(errors.ProtocolError, match="end of the compressed stream"):
        pending.result()


# Answers that come early.


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
    assert (begun + talk.sent()).startswith(b"x" * 300_000 + b" {3}\r\n")
    with pytest.raises(errors.OverQuota):
        pending.result()
    talk.says("<2> OK done")
    assert after.result() is None


# What was said in clear.


def test_nothing_that_was_said_before_tls_is_kept() -> None:
    talk = Talk("IMAP4rev1 STARTTLS", logged_in=False)
    pending = talk.submit(StartTLSCommand())
    talk.sent()
    talk.says(
        "* CAPABILITY IMAP4rev1 AUTH=PLAIN", "* ENABLED UTF8=ACCEPT", "* NO [ALERT] call this number", "<1> OK begin"
    )
    assert pending.result() is None
    session = talk.protocol.session
    assert (session.capabilities, session.enabled, talk.events()) == (frozenset(), frozenset(), [])


# Given up in the middle.


def test_a_file_gets_nothing_more_when_its_command_is_given_up() -> None:
    talk = Talk(selected=True)
    file = io.BytesIO()
    pending = talk.submit(FetchInto(1, "BODY.PEEK[]", "BODY.PEEK[1]", into=file))
    after = talk.submit(Noop())
    talk.sent()
    talk.feed(b"* 1 FETCH (UID 1 BODY[] {6}\r\nabc")
    written = file.getvalue()
    pending.detach()
    talk.feed(b"def BODY[1] {3}\r\nghi)\r\n")
    assert b"abc".startswith(written)
    assert file.getvalue() == written
    talk.says("<1> OK done")
    talk.sends("<2> NOOP")
    talk.says("<2> OK done")
    assert after.result() is None


def test_a_file_is_read_no_further_when_its_command_is_given_up() -> None:
    talk = Talk()
    file = io.BytesIO(b"x" * 600_000)
    pending = talk.submit(Append("INBOX", file))
    talk.sends("<1> APPEND INBOX {600000}")
    talk.says("+ go on")
    talk.sent()
    read = file.tell()
    assert 0 < read < 600_000
    pending.detach()
    assert talk.sent() == b""
    assert file.tell() == read
    assert isinstance(talk.protocol.error, errors.Disconnected)


def test_octets_in_memory_are_sent_to_their_end_though_nobody_waits() -> None:
    talk = Talk()
    pending = talk.submit(Append("INBOX", b"x" * 600_000))
    after = talk.submit(Noop())
    talk.sends("<1> APPEND INBOX {600000}")
    pending.detach()
    talk.says("+ go on")
    octets = b""
    while more := talk.sent():
        octets += more
    assert octets == b"x" * 600_000 + b"\r\n"
    talk.says("<1> OK done")
    talk.sends("<2> NOOP")
    talk.says("<2> OK done")
    assert after.result() is None


def test_a_command_is_for_one_use() -> None:
    talk = Talk(selected=True)
    command = Fetch(1, "FLAGS")
    talk.submit(command)
    talk.sent()
    talk.says("* 1 FETCH (UID 1 FLAGS ())", "<1> OK done")
    again = talk.submit(command)
    assert talk.sent() == b""
    with pytest.raises(ValueError, match="make a new one"):
        again.result()


# Memory.


@pytest.mark.parametrize(
    "row",
    [
        "* 1 FETCH (UID 1 BODY[1] {5000}\r\n%s)",
        '* 1 FETCH (UID 1 ENVELOPE (NIL "%s" NIL NIL NIL NIL NIL NIL NIL NIL))',
        '* 1 FETCH (UID 1 BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL "%s" "7BIT" 5 1))',
        "* 1 FETCH (UID 1 FLAGS (%s))",
    ],
)
def test_rows_that_nobody_asked_for_are_measured_whole(row: str) -> None:
    talk = Talk(selected=True, limits=Limits(unasked_octets=20_000))
    talk.submit(Noop())
    talk.sent()
    for _ in range(3):
        talk.says(row % ("x" * 5000))
    assert talk.protocol.error is None
    for _ in range(3):
        talk.says(row % ("x" * 5000))
    assert isinstance(talk.protocol.error, errors.TooManyUnasked)


def test_events_that_nobody_collects_are_bounded_in_octets() -> None:
    talk = Talk(selected=True, limits=Limits(unasked_octets=20_000))
    for _ in range(10):
        talk.submit(Noop())
        talk.sent()
        talk.says("* 1 FETCH (UID 1 BODY[1] {9000}\r\n%s)" % ("x" * 9000), f"<{len(talk.tags)}> OK done")
    assert talk.protocol.error is None
    assert len(talk.events()) == 2
    assert talk.protocol.counters.events_dropped == 8


def test_a_greeting_is_no_row() -> None:
    talk = Talk(greeting="* 1 FETCH (UID 1 FLAGS ())")
    with pytest.raises(errors.ProtocolError, match="no IMAP server"):
        talk.protocol.greeting.result()
