"""What may be in flight at once, and what is held back (RFC 9051, section 5.5): by transcripts."""

from __future__ import annotations

import pytest

from fastimap.commands import (
    Fetch,
    Idle,
    Noop,
    Search,
    Select,
    Store,
)
from fastimap.search import all_, sequence
from tests.protocol.talk import Talk


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
        [(3, frozenset({"c"}))],
        [(1, frozenset({"a"}))],
        [(2, frozenset({"b"}))],
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


def test_a_search_by_position_goes_alone() -> None:
    talk = Talk("IMAP4rev1 ESEARCH", selected=True)
    talk.submit(Search(sequence("1:9")))
    talk.submit(Fetch(1, "FLAGS"))
    assert talk.sent().count(b"\r\n") == 1


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
