"""STORE, COPY, MOVE, by the examples of the RFCs."""

from __future__ import annotations

import pytest

from fastimap.commands import Copy, Move, Store, StoreGmailLabels
from fastimap.errors import CapabilityMissing, MailboxNotFound, StateError
from fastimap.model.sequence_set import SAVED, SequenceSet, UIDSet
from fastimap.types import ExpungeResponse
from tests.commands.harness import Talk, rev2, sent, server


def test_store(talk: Talk) -> None:  # RFC 9051, section 6.4.6
    stored = talk(
        Store(SequenceSet("2:4"), "\\Deleted"),
        server(),
        r"""
        C: A1 STORE 2:4 +FLAGS (\Deleted)
        S: * 2 FETCH (FLAGS (\Deleted \Seen))
        S: * 3 FETCH (FLAGS (\Deleted))
        S: * 7 FETCH (FLAGS ())
        S: * 4 FETCH (FLAGS (\Deleted \Flagged \Seen))
        S: A1 OK STORE completed
        """,
    )
    assert [(row.sequence_number, row.flags) for row in stored.rows] == [
        (2, {"\\Deleted", "\\Seen"}),
        (3, {"\\Deleted"}),
        (4, {"\\Deleted", "\\Flagged", "\\Seen"}),
    ]
    assert stored.modified is None
    assert len(talk.left) == 1


def test_store_by_uids(talk: Talk) -> None:
    stored = talk(
        Store([7, 9], ["\\Seen", "$Forwarded"], action="remove"),
        server(),
        r"""
        C: A1 UID STORE 7,9 -FLAGS (\Seen $Forwarded)
        S: * 7 FETCH (FLAGS (\Seen))
        S: * 2 FETCH (UID 9 FLAGS ())
        S: * 1 FETCH (FLAGS (\Deleted) UID 7)
        S: A1 OK done
        """,
    )
    assert [(row.uid, row.flags) for row in stored.rows] == [(9, set()), (7, {"\\Deleted"})]
    assert len(talk.left) == 1


def test_a_silent_store_claims_nothing(talk: Talk) -> None:
    stored = talk(
        Store("1:*", [], action="replace", silent=True),
        server(),
        """
        C: A1 UID STORE 1:* FLAGS.SILENT ()
        S: * 1 FETCH (UID 1 FLAGS ())
        S: A1 OK done
        """,
    )
    assert stored.rows == ()
    assert len(talk.left) == 1


def test_conditional_store(talk: Talk) -> None:  # RFC 7162, section 3.1.3, examples 3 to 5
    stored = talk(
        Store(6, "\\Deleted", silent=True, unchanged_since=12121230045),
        server("CONDSTORE"),
        r"""
        C: A1 UID STORE 6 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (UID 6 MODSEQ (12121231000))
        S: A1 OK Conditional Store completed
        """,
    )
    assert [(row.uid, row.mod_sequence) for row in stored.rows] == [(6, 12121231000)]
    failed = talk(
        Store(SequenceSet("7,5,9"), "\\Deleted", silent=True, unchanged_since=320162338),
        server("QRESYNC"),
        r"""
        C: A1 STORE 5,7,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\Deleted)
        S: * 5 FETCH (MODSEQ (320162350))
        S: A1 OK [MODIFIED 7,9] Conditional STORE failed
        """,
    )
    assert failed.modified == SequenceSet("7,9")
    by_uid = talk(
        Store(101, "$Processed", unchanged_since=0),
        server("CONDSTORE"),
        """
        C: A1 UID STORE 101 (UNCHANGEDSINCE 0) +FLAGS ($Processed)
        S: A1 OK [MODIFIED 101] Conditional STORE failed
        """,
    )
    assert by_uid.modified == UIDSet(101)
    with pytest.raises(CapabilityMissing, match="CONDSTORE"):
        sent(Store(1, "\\Seen", unchanged_since=1), server())


def test_store_of_the_saved_result() -> None:  # RFC 5182, section 2.1
    assert sent(Store(SAVED, "\\Deleted", silent=True), rev2()) == [b"A1 UID STORE $ +FLAGS.SILENT (\\Deleted)\r\n"]


def test_store_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="nothing to add"):
        Store(1, [])
    with pytest.raises(ValueError, match="action"):
        Store(1, "\\Seen", action="toggle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Recent"):
        Store(1, "\\Recent")


def test_stores_by_uids_know_what_must_not_overlap() -> None:
    assert Store("3:5,9", "\\Seen").kind == "store"
    assert Store("3:5,9", "\\Seen").ranges(server()) == ((3, 5), (9, 9))
    assert Store("7:*", "\\Seen").ranges(server()) == Store(SAVED, "\\Seen").ranges(server()) == ((1, 4294967295),)
    assert Store(SequenceSet(1), "\\Seen").kind is None


def test_sequence_numbers_are_refused_under_uidonly() -> None:  # RFC 9586, section 3
    session = server("MOVE", enabled=["UIDONLY"])
    for command in (Store(SequenceSet(1), "\\Seen"), Copy(SequenceSet(1), "x"), Move(SequenceSet(1), "x")):
        with pytest.raises(StateError, match="UIDONLY"):
            sent(command, session)
    assert sent(Move(1, "x"), session) == [b"A1 UID MOVE 1 x\r\n"]


def test_gmail_labels(talk: Talk) -> None:
    stored = talk(
        StoreGmailLabels(5, ["Rechnungen", "\\Important", "Entwürfe", "two words"]),
        server("X-GM-EXT-1"),
        r"""
        C: A1 UID STORE 5 +X-GM-LABELS (Rechnungen \Important Entw&APw-rfe "two words")
        S: * 1 FETCH (X-GM-LABELS ("\\Inbox" "\\Important" Rechnungen) UID 5)
        S: A1 OK Success
        """,
    )
    assert [row.gmail_labels for row in stored.rows] == [("\\Inbox", "\\Important", "Rechnungen")]
    with pytest.raises(CapabilityMissing):
        sent(StoreGmailLabels(5, "x"), server())


def test_copy(talk: Talk) -> None:  # RFC 4315, section 3
    copied = talk(
        Copy(SequenceSet("2:4"), "meeting"),
        server("UIDPLUS"),
        """
        C: A1 COPY 2:4 meeting
        S: A1 OK [COPYUID 38505 304,319:320 3956:3958] Done
        """,
    )
    assert (copied.uid_validity, copied.source, copied.destination) == (
        38505,
        UIDSet("304,319:320"),
        UIDSet("3956:3958"),
    )
    assert list(copied.pairs()) == [(304, 3956), (319, 3957), (320, 3958)]
    silent = talk(Copy(5, "meeting"), server(), "C: A1 UID COPY 5 meeting\nS: A1 OK done")
    assert (silent.uid_validity, silent.source, list(silent.pairs())) == (None, UIDSet(), [])


def test_copy_to_a_mailbox_that_is_not_there(talk: Talk) -> None:
    with pytest.raises(MailboxNotFound) as caught:
        talk(Copy(5, "MEETING"), server(), 'C: A1 UID COPY 5 MEETING\nS: A1 NO [TRYCREATE] No such mailbox "MEETING"')
    assert caught.value.code == "TRYCREATE"


def test_move(talk: Talk) -> None:  # RFC 6851, section 4.3
    moved = talk(
        Move(UIDSet("42:69"), "foo"),
        server("MOVE"),
        """
        C: A1 UID MOVE 42:69 foo
        S: * OK [COPYUID 432432 42:69 1202:1229]
        S: * 22 EXPUNGE
        S: A1 OK Done
        """,
    )
    assert (moved.uid_validity, len(moved.source), moved.destination) == (432432, 28, UIDSet("1202:1229"))
    assert talk.left == [ExpungeResponse(22)]
    with pytest.raises(CapabilityMissing, match="MOVE"):
        sent(Move(1, "x"), server())


def test_a_move_in_several_steps(talk: Talk) -> None:
    moved = talk(
        Move([7, 9], "foo"),
        server("MOVE"),
        """
        C: A1 UID MOVE 7,9 foo
        S: * OK [COPYUID 5 9 1]
        S: * 2 EXPUNGE
        S: * OK [COPYUID 5 7 2]
        S: * 1 EXPUNGE
        S: A1 OK Done
        """,
    )
    assert list(moved.pairs()) == [(9, 1), (7, 2)]
    assert (moved.source, moved.destination) == (UIDSet("7,9"), UIDSet("1:2"))


def test_a_copy_that_the_server_cut_short(talk: Talk) -> None:  # RFC 9738, section 3
    copied = talk(
        Copy(UIDSet("18000:21000"), "Trash"),
        server("MESSAGELIMIT=1000", "UIDPLUS"),
        """
        C: A1 UID COPY 18000:21000 Trash
        S: A1 OK [MESSAGELIMIT 1000 20001] partially
        """,
    )
    assert copied.limit == 20001
