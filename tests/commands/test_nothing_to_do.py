"""Commands about no messages: what a search found may be nothing, and the RFC has no empty set to say so."""

from __future__ import annotations

import io
from typing import Any

import pytest

from fastimap.commands import (
    Copy,
    CopyResult,
    Expunge,
    ExpungeResult,
    Fetch,
    FetchInto,
    Move,
    Noop,
    Replace,
    SearchResult,
    Store,
    StoreGmailLabels,
    StoreResult,
)
from fastimap.commands.base import Command
from fastimap.errors import CapabilityMissing, StateError
from fastimap.model.sequence_set import SequenceSet, UIDSet
from tests.protocol.talk import Talk

EVERYTHING = "IMAP4rev1 UIDPLUS MOVE CONDSTORE X-GM-EXT-1"


def about(messages: Any) -> list[tuple[Command[Any], object]]:
    """Commands about `messages`, and their results where these are none."""
    return [
        (Fetch(messages, "FLAGS"), ()),
        (FetchInto(messages, "BODY.PEEK[]", into=lambda *_: io.BytesIO()), ()),
        (Store(messages, "\\Seen"), StoreResult()),
        (StoreGmailLabels(messages, "x"), StoreResult()),
        (Copy(messages, "There"), CopyResult()),
        (Move(messages, "There"), CopyResult()),
        *([(Expunge(messages), ExpungeResult())] if not isinstance(messages, SequenceSet) else []),
    ]


@pytest.mark.parametrize(
    "nothing", [[], (), range(0), UIDSet(), SequenceSet(), SearchResult(), SearchResult(sequence=True)], ids=repr
)
def test_nothing_is_sent(nothing: Any) -> None:
    talk = Talk(EVERYTHING, selected=True)
    if isinstance(nothing, SearchResult) and nothing.sequence:
        nothing = nothing.message_set()
    pendings = [(talk.submit(command), result) for command, result in about(nothing)]
    assert talk.sent() == b""
    for pending, result in pendings:
        assert pending.done
        assert pending.result() == result
    after = talk.submit(Noop())
    talk.sends("<1> NOOP")
    talk.says("<1> OK done")
    assert after.done


def test_the_others_go_their_way() -> None:
    talk = Talk(EVERYTHING, selected=True)
    first, nothing, last = talk.submit(Fetch(1, "UID")), talk.submit(Fetch([], "UID")), talk.submit(Fetch(2, "UID"))
    talk.sends("<1> UID FETCH 1 (UID)", "<2> UID FETCH 2 (UID)")
    assert (first.done, nothing.done, last.done) == (False, True, False)


def test_a_mistake_shows_on_a_quiet_day_too() -> None:
    talk = Talk("IMAP4rev1")
    unselected = talk.submit(Fetch([], "FLAGS"))
    talk.sent()
    with pytest.raises(StateError, match="no mailbox is selected"):
        unselected.result()
    talk = Talk("IMAP4rev1", selected=True)
    talk.protocol.session.read_only = talk.protocol.session.examined = True
    lacking, refused = talk.submit(Move([], "There")), talk.submit(Store([], "\\Seen"))
    talk.sent()
    with pytest.raises(CapabilityMissing, match="MOVE"):
        lacking.result()
    with pytest.raises(StateError, match="read-only"):
        refused.result()


def test_text_is_never_nothing() -> None:
    for wrong in ("", " ", ","):
        for make in (lambda text: Fetch(text, "FLAGS"), lambda text: Store(text, "\\Seen"), Expunge):
            with pytest.raises(ValueError, match="not a sequence set"):
                make(wrong)
    with pytest.raises(ValueError, match="one message"):
        Replace([], "x", b"")
