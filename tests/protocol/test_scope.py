"""What sends several commands stops when the numbers of its messages have lost their meaning: by transcripts."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import SequenceSet, UIDSet, errors
from fastimap.commands import Close, Expunge, Noop, Select, Unauthenticate
from fastimap.commands.base import Command
from fastimap.conversation import operations
from fastimap.conversation.streams import FetchStream
from tests.protocol.talk import Talk


def row(number: int) -> str:
    return f"* {number} FETCH (UID {number} FLAGS ())"


def stream(talk: Talk, messages: UIDSet | SequenceSet) -> FetchStream:
    return FetchStream(talk.protocol, messages, ("UID", "FLAGS"), chunk=2, in_flight=1)


@pytest.mark.parametrize(
    ("leaving", "lines", "answers"),
    [
        (Select("Other"), "SELECT Other", ["<2> OK [READ-WRITE] done"]),
        (Close(), "CLOSE", ["<2> OK done"]),
        (Unauthenticate(), "UNAUTHENTICATE", ["<2> OK [CAPABILITY IMAP4rev1] done"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_message_of_another_mailbox(leaving: Command[Any], lines: str, answers: list[str]) -> None:
    talk = Talk("IMAP4rev1 UNAUTHENTICATE", selected=True)
    fetching = stream(talk, UIDSet.parse("1:4"))
    assert fetching.take() == []
    left = talk.submit(leaving)
    talk.sends("<1> UID FETCH 1:2 (FLAGS)")
    talk.says(row(1), row(2), "<1> OK done")
    assert [message.uid for message in fetching.take()] == [1, 2]
    talk.sends(f"<2> {lines}")
    talk.says(*answers)
    left.result()
    assert talk.sent() == b""
    with pytest.raises(errors.StateError):
        fetching.take()


def test_the_same_mailbox_selected_again_is_another_selection() -> None:
    talk = Talk(selected=True)
    fetching = stream(talk, UIDSet.parse("1:4"))
    fetching.take()
    talk.sends("<1> UID FETCH 1:2 (FLAGS)")
    again = talk.submit(Select("INBOX"))
    talk.says(row(1), row(2), "<1> OK done")
    talk.sends("<2> SELECT INBOX")
    talk.says("<2> OK [READ-WRITE] done")
    assert again.result().name == "INBOX"
    assert len(fetching.take()) == 2
    assert talk.sent() == b""
    with pytest.raises(errors.StateError, match="another mailbox, or none, was selected"):
        fetching.take()


def test_sequence_numbers_end_with_an_expunge() -> None:
    talk = Talk(selected=True)
    fetching = stream(talk, SequenceSet.parse("1:4"))
    fetching.take()
    talk.sends("<1> FETCH 1:2 (UID FLAGS)")
    talk.says(row(1), row(2), "<1> OK done")
    noop = talk.submit(Noop())
    talk.sends("<2> NOOP")
    talk.says("* 1 EXPUNGE", "<2> OK done")
    noop.result()
    assert len(fetching.take()) == 2
    assert talk.sent() == b""
    with pytest.raises(errors.StateError, match="messages were expunged"):
        fetching.take()


@pytest.mark.parametrize("said", ["* 1 EXPUNGE", "* VANISHED 1"])
def test_uids_outlast_an_expunge(said: str) -> None:
    talk = Talk(selected=True)
    fetching = stream(talk, UIDSet.parse("1:4"))
    fetching.take()
    talk.sends("<1> UID FETCH 1:2 (FLAGS)")
    talk.says(row(1), row(2), said, "<1> OK done")
    assert len(fetching.take()) == 2
    talk.sends("<2> UID FETCH 3:4 (FLAGS)")


def test_vanished_earlier_renumbers_nothing() -> None:
    talk = Talk(selected=True)
    fetching = stream(talk, SequenceSet.parse("1:4"))
    fetching.take()
    talk.sends("<1> FETCH 1:2 (UID FLAGS)")
    talk.says("* VANISHED (EARLIER) 7", row(1), row(2), "<1> OK done")
    assert len(fetching.take()) == 2
    talk.sends("<2> FETCH 3:4 (UID FLAGS)")


def test_a_move_in_three_steps_marks_nothing_in_another_mailbox() -> None:
    talk = Talk("IMAP4rev1 UIDPLUS", selected=True)
    move = operations.move(talk.protocol, UIDSet.parse("5"), "Archive")
    copy = talk.submit(next(move))  # type: ignore[arg-type]
    talk.sends("<1> UID COPY 5 Archive")
    talk.says("<1> OK [COPYUID 9 5 1] done")
    other = talk.submit(Select("Other"))
    talk.sends("<2> SELECT Other")
    talk.says("<2> OK [READ-WRITE] done")
    other.result()
    store = talk.submit(move.send(copy.result()))  # type: ignore[arg-type]
    assert talk.sent() == b""
    with pytest.raises(errors.StateError):
        store.result()


def test_a_single_command_is_for_the_mailbox_of_the_moment() -> None:
    talk = Talk("IMAP4rev1 UIDPLUS", selected=True)
    talk.submit(Select("Other"))
    expunge = talk.submit(Expunge(UIDSet.parse("5")))
    talk.sends("<1> SELECT Other")
    talk.says("<1> OK [READ-WRITE] done")
    talk.sends("<2> UID EXPUNGE 5")
    talk.says("<2> OK done")
    expunge.result()
