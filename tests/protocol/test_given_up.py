"""Commands that nobody awaits any more, and files of the caller that fail: by transcripts."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable

import pytest

from fastimap import errors
from fastimap.commands import (
    Append,
    Expunge,
    Fetch,
    FetchInto,
    Noop,
    Select,
)
from fastimap.limits import Limits
from fastimap.model.sequence_set import UIDSet
from fastimap.types import Exists, ExpungeResponse, Recent, Vanished
from tests.protocol.talk import Talk


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


@pytest.mark.parametrize("answer", ["OK done", "NO [LIMIT] enough for now", "BAD what"])
@pytest.mark.parametrize("given_up", [True, False])
def test_expunges_that_nobody_gets_as_a_result_are_events_where_they_came(answer: str, given_up: bool) -> None:
    talk = Talk(selected=True)
    talk.says("* 5 EXISTS", "* 0 RECENT")
    pending = talk.submit(Expunge())
    talk.sends("<1> EXPUNGE")
    talk.says("* 3 EXPUNGE", "* 3 FETCH (FLAGS (new))", "* 1 EXPUNGE", "* 4 EXISTS")
    assert talk.protocol.next_event() == Exists(5)
    if given_up:
        pending.detach()
    talk.says("* 2 EXPUNGE", "* VANISHED 7:9", f"<1> {answer}")
    recent, *rest = talk.events()
    assert recent == Recent(0)
    if answer.startswith("OK") and not given_up:
        assert pending.result().sequence_numbers == (3, 1, 2)
        row, *rest = rest
        assert rest == [Exists(4)]
        return
    gone, row, *rest = rest
    assert gone == ExpungeResponse(3)
    assert (row.sequence_number, row.flags) == (3, frozenset({"new"}))
    assert rest == [ExpungeResponse(1), Exists(4), ExpungeResponse(2), Vanished(UIDSet.parse("7:9"))]
    talk.says("* 6 EXISTS")
    assert talk.events() == [Exists(6)]


def test_expunges_that_come_as_events_are_no_more_than_events_may_be() -> None:
    talk = Talk(selected=True, limits=Limits(unsolicited_octets=80))
    talk.submit(Expunge())
    talk.sent()
    talk.says(*["* 1 EXPUNGE"] * 90, "* 2 EXPUNGE", "<1> NO [LIMIT] enough for now")
    events = talk.events()
    assert (len(events), events[-1]) == (6, ExpungeResponse(2))
    assert talk.protocol.counters.events_dropped == 85


@pytest.mark.parametrize("items", [("BODY.PEEK[]",), ("ENVELOPE", "BODY.PEEK[]"), ("FLAGS", "BODY.PEEK[1]")])
def test_a_fetch_that_nobody_awaits_keeps_no_messages(items: tuple[str, ...]) -> None:
    talk = Talk(selected=True)
    pending = talk.submit(Fetch("1:*", *items))
    talk.sent()
    answer = items[-1].replace(".PEEK", "")
    body = b"x" * 100_000

    def says(number: int) -> None:
        talk.says(b"* %d FETCH (UID %d %b {100000}" % (number, number, answer.encode()), body + b")")

    tracemalloc.start()
    try:
        says(1)
        pending.detach()
        for number in range(2, 50):
            says(number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000  # of 4,900,000
    talk.says("* 7 FETCH (UID 7 FLAGS (new))", "* 8 EXISTS", "<1> OK done")
    assert pending.result() == ()
    seen, exists = talk.events()
    assert (seen.uid, seen.flags, exists) == (7, frozenset({"new"}), Exists(8))


def test_files_of_a_fetch_that_nobody_awaits_are_not_asked_for() -> None:
    talk = Talk(selected=True)
    asked: list[str] = []
    pending = talk.submit(FetchInto("1:*", "BODY.PEEK[1]", into=lambda _number, name, _size: asked.append(name)))
    talk.sent()
    pending.detach()
    talk.says("* 1 FETCH (BODY[1] {1}", "x UID 1)", '* 2 FETCH (UID 2 BODY[1] "y")', "<1> OK done")
    assert asked == []
    assert pending.result() == ()


def test_a_detached_command_that_was_not_begun_is_not_sent() -> None:
    talk = Talk()
    pending = talk.submit(Noop())
    pending.detach()
    assert talk.sent() == b""


def test_a_file_gets_nothing_more_when_its_command_is_given_up() -> None:
    talk = Talk(selected=True)
    file = io.BytesIO()
    pending = talk.submit(FetchInto(1, "BODY.PEEK[]", "BODY.PEEK[1]", into=lambda *_: file))
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


@pytest.mark.parametrize("view", [lambda octets: octets, memoryview])
def test_a_buffer_is_read_no_further_when_its_command_is_given_up(view: Callable[[bytearray], object]) -> None:
    talk = Talk()
    message = bytearray(b"x" * 600_000)
    pending = talk.submit(Append("INBOX", view(message)))  # type: ignore[arg-type]
    talk.sends("<1> APPEND INBOX {600000}")
    talk.says("+ go on")
    (piece,) = talk.protocol.data_to_send()
    pending.detach()
    message[:] = b"y" * 600_000
    assert piece == b"x" * 65_536
    assert talk.sent() == b""
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


@pytest.mark.parametrize(("gives", "error"), [("text", TypeError), (b"", EOFError), (None, EOFError)])
def test_a_file_that_gives_no_octets_ends_the_connection(gives: object, error: type[Exception]) -> None:
    class Odd(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return gives if size else b""  # type: ignore[return-value]

    talk = Talk("IMAP4rev1 LITERAL+")
    half_sent = talk.submit(Append("INBOX", Odd(b"four")))
    after = talk.submit(Noop())
    talk.sent()
    with pytest.raises(error):
        half_sent.result()
    with pytest.raises(errors.Disconnected, match="cut short"):
        after.result()
