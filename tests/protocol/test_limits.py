"""What a server says unasked is bounded: by transcripts."""

from __future__ import annotations

import pytest

from fastimap import errors
from fastimap.commands import (
    Noop,
)
from fastimap.limits import Limits
from tests.protocol.talk import Talk


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
