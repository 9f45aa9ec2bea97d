"""Tags, states, routing, literals, overlapping: by transcripts."""

from __future__ import annotations

import logging
import zlib

import pytest

from fastimap import errors
from fastimap.command import State
from fastimap.commands import Append, Capability, Compress, Fetch, Idle, Login, Noop, Search, Select, Store
from fastimap.limits import Limits
from fastimap.search import all_, sequence
from fastimap.types import Exists, Expunge, UnknownResponse
from tests.protocol.talk import Talk


def test_a_command_and_its_answer() -> None:
    talk = Talk()
    pending = talk.submit(Noop())
    assert not pending.done
    talk.sends("<1> NOOP")
    talk.says("<1> OK done")
    assert pending.done
    assert pending.result() is None


@pytest.mark.parametrize(
    ("greeting", "error", "message"),
    [
        ("* BYE too busy", errors.Disconnected, "too busy"),
        ("220 mail.example.org ESMTP", errors.ProtocolError, "no IMAP server"),
        ("+OK POP3 ready", errors.ProtocolError, "no IMAP server"),
    ],
)
def test_a_greeting_that_is_none(greeting: str, error: type[Exception], message: str) -> None:
    talk = Talk(greeting=greeting)
    with pytest.raises(error, match=message):
        talk.protocol.greeting.result()


def test_no_is_a_typed_error() -> None:
    talk = Talk()
    pending = talk.submit(Select("Missing"))
    talk.sends("<1> SELECT Missing")
    talk.says("<1> NO [NONEXISTENT] no such mailbox")
    with pytest.raises(errors.MailboxNotFound) as caught:
        pending.result()
    assert (caught.value.command, caught.value.status, caught.value.code) == ("SELECT", "NO", "NONEXISTENT")
    assert caught.value.text == "no such mailbox"


def test_unasked_data_never_mixes_with_a_result() -> None:
    talk = Talk(selected=True)
    pending = talk.submit(Fetch(2, "FLAGS", "RFC822.SIZE"))
    talk.sends("<1> UID FETCH 2 (FLAGS RFC822.SIZE)")
    talk.says(
        "* 9 EXISTS",
        "* 1 FETCH (UID 1 FLAGS (\\Seen))",
        "* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 10)",
        "* 7 EXPUNGE",
        "* XNEWS (1 2)",
        "<1> OK done",
    )
    assert [row.uid for row in pending.result()] == [2]
    exists, row, expunge, unknown = talk.events()
    assert exists == Exists(9)
    assert (row.uid, row.flags) == (1, frozenset({"\\Seen"}))
    assert expunge == Expunge(7)
    assert isinstance(unknown, UnknownResponse)
    assert unknown.name == "XNEWS"


def test_an_answer_to_no_command_is_fatal() -> None:
    talk = Talk()
    pending = talk.submit(Noop())
    talk.sent()
    talk.says("T99 OK done")
    with pytest.raises(errors.ProtocolError, match="not sent"):
        pending.result()


def test_tags_can_not_be_foretold() -> None:
    tags = set()
    for _ in range(20):
        talk = Talk()
        talk.submit(Noop())
        talk.sent()
        tags.add(talk.tags[0])
    assert len(tags) == 20


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


def test_fetches_by_uid_overlap() -> None:
    talk = Talk(selected=True)
    pendings = [talk.submit(Fetch(uid, "FLAGS")) for uid in (3, 1, 2)]
    talk.sends("<1> UID FETCH 3 (FLAGS)", "<2> UID FETCH 1 (FLAGS)", "<3> UID FETCH 2 (FLAGS)")
    # Out of order, as a server that runs them in parallel answers.
    talk.says(
        "* 1 FETCH (UID 1 FLAGS (a))",
        "* 2 FETCH (UID 2 FLAGS (b))",
        "<3> OK done",
        "* 3 FETCH (UID 3 FLAGS (c))",
        "<1> OK done",
        "<2> OK done",
    )
    assert [[(row.uid, row.flags) for row in p.result()] for p in pendings] == [
        [(3, {"c"})],
        [(1, {"a"})],
        [(2, {"b"})],
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Fetch("1:5", "FLAGS"), Fetch("5:9", "FLAGS")),
        (Store("1:5", ["\\Seen"]), Fetch("1:5", "FLAGS")),
        (Search(all_), Search(all_)),
        (Fetch(1, "FLAGS"), Select("Other")),
        (Noop(), Select("Other")),
    ],
    ids=["same messages", "store then fetch", "search twice", "select", "noop select"],
)
def test_what_is_ambiguous_is_held_back(first: object, second: object) -> None:
    talk = Talk(selected=True)
    talk.submit(first)  # type: ignore[arg-type]
    talk.submit(second)  # type: ignore[arg-type]
    assert talk.sent().count(b"\r\n") == 1
    talk.says("<1> OK done")
    assert talk.sent().startswith(b"<2> ")


def test_searches_overlap_where_answers_name_their_tag() -> None:
    talk = Talk("IMAP4rev1 ESEARCH", selected=True)
    one, two = talk.submit(Search(all_)), talk.submit(Search(all_))
    assert talk.sent().count(b"\r\n") == 2
    talk.says(b'* ESEARCH (TAG "<2>") UID ALL 4:5', b'* ESEARCH (TAG "<1>") UID ALL 1:2', "<1> OK done", "<2> OK done")
    assert list(one.result().uids) == [1, 2]
    assert list(two.result().uids) == [4, 5]


def test_a_detached_command_is_drained() -> None:
    talk = Talk(selected=True)
    first = talk.submit(Fetch(1, "BODY.PEEK[]"))
    talk.sent()
    first.detach()
    second = talk.submit(Select("Other"))
    assert talk.sent() == b""
    talk.says(b"* 1 FETCH (UID 1 BODY[] {2}", b"hi)", "<1> OK done")
    talk.sends("<2> SELECT Other")
    talk.says("* 4 EXISTS", "<2> OK [READ-WRITE] done")
    assert second.result().exists == 4
    assert talk.events() == []


def test_a_detached_command_that_was_not_begun_is_not_sent() -> None:
    talk = Talk()
    pending = talk.submit(Noop())
    pending.detach()
    assert talk.sent() == b""


def test_missing_capability_is_named_and_nothing_is_sent() -> None:
    talk = Talk()
    pending = talk.submit(Compress())
    assert talk.sent() == b""
    with pytest.raises(errors.CapabilityMissing, match="COMPRESS=DEFLATE"):
        pending.result()


def test_wrong_state_is_told_and_nothing_is_sent() -> None:
    talk = Talk()
    pending = talk.submit(Fetch(1, "FLAGS"))
    assert talk.sent() == b""
    with pytest.raises(errors.StateError, match="no mailbox is selected"):
        pending.result()


def test_idle_ends_for_another_command() -> None:
    talk = Talk("IMAP4rev1 IDLE")
    idle = talk.submit(Idle())
    talk.sends("<1> IDLE")
    noop = talk.submit(Noop())
    assert talk.sent() == b""  # DONE is for when the server has said that it idles
    talk.says("+ idling")
    talk.sends("DONE")
    assert talk.sent() == b""
    talk.says("<1> OK done")
    talk.sends("<2> NOOP")
    talk.says("<2> OK done")
    assert idle.done
    assert noop.done


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


def test_a_compressed_bomb_meets_the_limits() -> None:
    talk = Talk("IMAP4rev1 COMPRESS=DEFLATE", limits=Limits(line=1_000_000))
    talk.submit(Compress())
    talk.sent()
    talk.says("<1> OK done")
    deflate = zlib.compressobj(9, wbits=-15)
    talk.feed(deflate.compress(b"*" * 100_000_000) + deflate.flush())
    assert isinstance(talk.protocol.error, errors.LineTooLong)


def test_unasked_responses_are_bounded() -> None:
    talk = Talk(limits=Limits(unasked=10))
    pending = talk.submit(Noop())
    talk.sent()
    for _ in range(10):
        talk.says("* 1 EXISTS")
    assert not pending.done
    talk.says("* 1 EXISTS")
    with pytest.raises(errors.TooManyUnasked):
        pending.result()


def test_end_of_file_ends_every_command_and_quotes_bye() -> None:
    talk = Talk()
    pending = talk.submit(Noop())
    queued = talk.submit(Select("INBOX"))
    talk.sent()
    talk.says("* BYE shutting down")
    talk.protocol.eof_received()
    for one in (pending, queued):
        with pytest.raises(errors.Disconnected, match="shutting down"):
            one.result()
    assert talk.protocol.session.state is State.LOGOUT
    with pytest.raises(errors.Disconnected):
        talk.submit(Noop())


def test_the_log_hides_secrets(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(logged_in=False)
    with caplog.at_level(logging.DEBUG, "fastimap"):
        talk.submit(Login("fred", "hunter2"))
        talk.sends("<1> LOGIN fred hunter2")
        talk.says("<1> OK done")
        talk.submit(Capability())
        talk.sent()
    assert "fred" in caplog.text
    assert "CAPABILITY" in caplog.text
    assert "hunter2" not in caplog.text


def test_counters() -> None:
    talk = Talk()
    talk.submit(Noop())
    sent = b"".join(map(bytes, talk.protocol.data_to_send()))
    talk.feed(sent.split()[0] + b" OK done\r\n")
    counters = talk.protocol.counters
    assert (counters.commands, counters.responses, counters.round_trips) == (1, 2, 1)
    assert counters.octets_out == len(sent)


@pytest.mark.parametrize("answer", ["* SEARCH 1 x 3", "* ESEARCH UID ALL 1:*", "* SEARCH 4294967296"])
def test_a_search_result_that_can_not_be_read_is_no_empty_result(answer: str) -> None:
    talk = Talk(selected=True)
    pending = talk.submit(Search(all_))
    talk.sends("<1> UID SEARCH ALL")
    talk.says(answer, "<1> OK done")
    with pytest.raises(errors.ParseError, match="SEARCH"):
        pending.result()
    assert talk.protocol.error is None


def test_a_search_by_position_goes_alone() -> None:
    talk = Talk("IMAP4rev1 ESEARCH", selected=True)
    talk.submit(Search(sequence("1:9")))
    talk.submit(Fetch(1, "FLAGS"))
    assert talk.sent().count(b"\r\n") == 1


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
