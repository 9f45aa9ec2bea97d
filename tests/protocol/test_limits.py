"""What a server says unsolicited is bounded: by transcripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fastimap import errors
from fastimap.commands import Fetch, Noop, QResync, Select, Store
from fastimap.commands.base import Command
from fastimap.limits import Limits
from fastimap.types import Exists, ResponseCode, StatusResponse
from tests.protocol.talk import Talk


def test_unsolicited_responses_are_bounded() -> None:
    talk = Talk(limits=Limits(unsolicited=10))
    pending = talk.submit(Noop())
    talk.sent()
    for _ in range(10):
        talk.says("* 1 EXISTS")
    assert not pending.done
    talk.says("* 1 EXISTS")
    with pytest.raises(errors.TooManyUnsolicited):
        pending.result()


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
    talk = Talk(selected=True, limits=Limits(unsolicited_octets=20_000))
    talk.submit(Noop())
    talk.sent()
    for _ in range(3):
        talk.says(row % ("x" * 5000))
    assert talk.protocol.error is None
    for _ in range(3):
        talk.says(row % ("x" * 5000))
    assert isinstance(talk.protocol.error, errors.TooManyUnsolicited)


ROW = "* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (7) BODY[] {4000}\r\n%s)" % ("x" * 4000)
OTHERS: dict[str, Callable[[], Command[Any]]] = {
    "STORE": lambda: Store("1:*", "\\Seen"),
    "STORE of one": lambda: Store(1, "\\Seen"),
    "SELECT": lambda: Select("INBOX", qresync=QResync(67890007, 20050715194045000)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_rows_that_answer_another_command_than_fetch_are_bounded(name: str) -> None:
    few = "* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (7))"
    for row, limits, most in (
        (ROW, Limits(answers=100, answers_octets=10_000), 2),
        (few, Limits(answers=100, answers_octets=10_000), 100),
    ):
        talk = Talk("IMAP4rev1 QRESYNC", selected=True, limits=limits)
        talk.protocol.session.enabled = frozenset({"QRESYNC"})
        talk.submit(OTHERS[name]())
        talk.sent()
        for _ in range(most):
            talk.says(row)
        assert talk.protocol.error is None
        talk.says(row)
        assert isinstance(talk.protocol.error, errors.TooManyAnswers)


def test_rows_that_answer_a_fetch_are_not() -> None:
    talk = Talk(selected=True, limits=Limits(answers=100, answers_octets=10_000))
    pending = talk.submit(Fetch("1:*", "BODY.PEEK[]"))
    talk.sent()
    for number in range(1, 201):
        talk.says(ROW.replace("UID 1", f"UID {number}"))
    talk.says("<1> OK done")
    assert len(pending.result()) == 200


def test_events_that_nobody_collects_are_bounded_in_octets() -> None:
    talk = Talk(selected=True, limits=Limits(unsolicited_octets=20_000))
    for _ in range(10):
        talk.submit(Noop())
        talk.sent()
        talk.says("* 1 FETCH (UID 1 BODY[1] {9000}\r\n%s)" % ("x" * 9000), f"<{len(talk.tags)}> OK done")
    assert talk.protocol.error is None
    assert len(talk.events()) == 2
    assert talk.protocol.counters.events_dropped == 8


def test_conditions_are_counted_and_come_as_events_in_their_order() -> None:
    talk = Talk(limits=Limits(unsolicited=5))
    pending = talk.submit(Noop())
    talk.sent()
    talk.says("* OK Searched 39%", "* 3 EXISTS", "* NO disk is nearly full", "* OK [ALERT] x", "* BAD what?")
    assert list(iter(talk.protocol.next_event, None)) == [
        StatusResponse("OK", None, "Searched 39%"),
        Exists(3),
        StatusResponse("NO", None, "disk is nearly full"),
        StatusResponse("OK", ResponseCode("ALERT"), "x"),
        StatusResponse("BAD", None, "what?"),
    ]
    assert not pending.done
    talk.says("* OK Searched 40%")
    with pytest.raises(errors.TooManyUnsolicited):
        pending.result()


@pytest.mark.parametrize("command", [Noop, lambda: Fetch("1:*", "FLAGS")])
def test_continuation_requests_that_no_command_asked_for_are_few(command: Callable[[], Command[Any]]) -> None:
    talk = Talk(selected=True)
    first = talk.submit(command())
    (line,) = talk.sent().splitlines()
    talk.says(*["+ go on"] * 1000)
    talk.says(line.split()[0].decode() + " OK done")  # an answer begins anew
    first.result()
    second = talk.submit(command())
    talk.sent()
    talk.says(*["+ go on"] * 1000)
    assert not second.done
    talk.says("+ go on")
    with pytest.raises(errors.TooManyUnsolicited, match="1000 continuation requests"):
        second.result()
