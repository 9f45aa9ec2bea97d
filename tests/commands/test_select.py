"""SELECT and what ends it, EXPUNGE; quick resynchronization: by the examples of the RFCs."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap.commands import (
    Append,
    Check,
    Close,
    Copy,
    Examine,
    Expunge,
    Fetch,
    Move,
    QResync,
    Replace,
    Select,
    Store,
    StoreGmailLabels,
    Unselect,
)
from fastimap.commands.base import Command, State
from fastimap.errors import CapabilityMissing, CommandError, MailboxNotFound, StateError
from fastimap.model.sequence_set import SAVED, SequenceSet, UIDSet
from fastimap.types import Exists, ExpungeResponse, MailboxInfo
from tests.commands.harness import Talk, rev2, sent, server


def test_select(talk: Talk) -> None:  # RFC 3501, section 6.3.1
    session = server(state=State.AUTHENTICATED)
    selected = talk(
        Select("INBOX"),
        session,
        r"""
        C: A1 SELECT INBOX
        S: * 172 EXISTS
        S: * 1 RECENT
        S: * OK [UNSEEN 12] Message 12 is first unseen
        S: * OK [UIDVALIDITY 3857529045] UIDs valid
        S: * OK [UIDNEXT 4392] Predicted next UID
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [PERMANENTFLAGS (\Deleted \Seen \*)] Limited
        S: A1 OK [READ-WRITE] SELECT completed
        """,
    )
    assert (selected.name, selected.read_only) == ("INBOX", False)
    assert (selected.exists, selected.recent, selected.unseen) == (172, 1, 12)
    assert (selected.uid_validity, selected.uid_next) == (3857529045, 4392)
    assert selected.flags == {"\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft"}
    assert selected.permanent_flags == {"\\Deleted", "\\Seen", "\\*"}
    assert selected.highest_mod_sequence is None
    assert talk.left == []
    assert (session.state, session.mailbox, session.read_only) == (State.SELECTED, "INBOX", False)
    assert session.uid_validity == 3857529045


def test_examine(talk: Talk) -> None:  # RFC 9051, section 6.3.3; RFC 8474, section 4.2
    session = rev2()
    for command in (Examine("inbox"), Select("inbox", read_only=True)):
        selected = talk(
            command,
            session,
            r"""
            C: A1 EXAMINE INBOX
            S: * 17 EXISTS
            S: * OK [UIDVALIDITY 3857529045] UIDs valid
            S: * OK [MAILBOXID (F6352ae03-b7f5-463c-896f-d8b48ee3)] Ok
            S: * OK [PERMANENTFLAGS ()] No permanent flags permitted
            S: * LIST () "/" INBOX
            S: * LIST () "/" other
            S: A1 OK [READ-ONLY] EXAMINE completed
            """,
        )
        assert (selected.name, selected.read_only, selected.exists) == ("INBOX", True, 17)
        assert selected.mailbox_id == "F6352ae03-b7f5-463c-896f-d8b48ee3"
        assert selected.permanent_flags == frozenset()
        assert session.read_only is True
        assert [response.name for response in talk.left if isinstance(response, MailboxInfo)] == ["other"]


def test_a_mailbox_that_can_only_be_read(talk: Talk) -> None:
    assert talk(Select("x"), server(), "C: A1 SELECT x\nS: A1 OK [READ-ONLY] done").read_only is True


def test_a_failure_leaves_no_mailbox_selected(talk: Talk) -> None:  # RFC 9051, section 6.3.2
    session = server()
    with pytest.raises(MailboxNotFound) as caught:
        talk(Examine("x"), session, "C: A1 EXAMINE x\nS: A1 NO [NONEXISTENT] there is none")
    assert caught.value.command == "EXAMINE"
    assert (session.state, session.mailbox, session.uid_validity) == (State.AUTHENTICATED, None, None)


def test_what_comes_before_closed_is_about_the_mailbox_before(talk: Talk) -> None:  # RFC 7162, section 3.2.11
    selected = talk(
        Select("new"),
        server(),
        """
        C: A1 SELECT new
        S: * 7 EXPUNGE
        S: * 23 EXISTS
        S: * OK [CLOSED]
        S: * 3 EXISTS
        S: * OK [UIDVALIDITY 5] ok
        S: A1 OK done
        """,
    )
    assert (selected.exists, selected.uid_validity) == (3, 5)
    assert talk.left == [ExpungeResponse(7)]


def test_condstore(talk: Talk) -> None:  # RFC 7162, section 3.1.8
    selected = talk(
        Select("INBOX", condstore=True),
        server("CONDSTORE"),
        """
        C: A1 SELECT INBOX (CONDSTORE)
        S: * 172 EXISTS
        S: * OK [HIGHESTMODSEQ 715194045007]
        S: A1 OK [READ-WRITE] SELECT completed, CONDSTORE is now enabled
        """,
    )
    assert selected.highest_mod_sequence == 715194045007
    assert sent(Select("x", condstore=True), server("QRESYNC")) == [b"A1 SELECT x (CONDSTORE)\r\n"]
    with pytest.raises(CapabilityMissing, match="CONDSTORE"):
        sent(Select("x", condstore=True), server())
    none = talk(
        Select("INBOX"), server(), "C: A1 SELECT INBOX\nS: * OK [NOMODSEQ] Sorry\nS: A1 OK done"
    )  # section 3.1.2.2
    assert none.highest_mod_sequence is None
    assert talk.left == []


def test_qresync(talk: Talk) -> None:  # RFC 7162, section 3.2.5.1
    selected = talk(
        Select("INBOX", qresync=QResync(67890007, 90060115194045000, UIDSet("41:211,214:541"))),
        server("QRESYNC", enabled=["QRESYNC"]),
        r"""
        C: A1 SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541))
        S: * OK [CLOSED]
        S: * 100 EXISTS
        S: * 11 RECENT
        S: * OK [UIDVALIDITY 67890007] UIDVALIDITY
        S: * OK [UIDNEXT 600] Predicted next UID
        S: * OK [HIGHESTMODSEQ 90060115205545359] Highest mailbox mod-sequence
        S: * OK [UNSEEN 7] There are some unseen messages in the mailbox
        S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen)
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Draft \Deleted \Seen \*)] Permanent flags
        S: * VANISHED (EARLIER) 41,43:116,118,120:211,214:540
        S: * 49 FETCH (UID 117 FLAGS (\Seen \Answered) MODSEQ (90060115194045001))
        S: * 50 FETCH (UID 119 FLAGS (\Draft $MDNSent) MODSEQ (90060115194045308))
        S: A1 OK [READ-WRITE] mailbox selected
        """,
    )
    assert selected.vanished == UIDSet("41,43:116,118,120:211,214:540")
    assert [(row.uid, row.mod_sequence) for row in selected.changed] == [
        (117, 90060115194045001),
        (119, 90060115194045308),
    ]
    assert selected.changed[1].flags == {"\\Draft", "$MDNSent"}
    assert talk.left == []


def test_qresync_with_a_sequence_match() -> None:  # RFC 7162, section 3.2.5.2
    match = (SequenceSet("5000,7500,9000,9990:9999"), UIDSet("15000,22500,27000,29970,29973,29976:29982,29985"))
    command = Select("INBOX", qresync=QResync(67890007, 90060115194045000, UIDSet("1:29997"), match))
    assert sent(command, server("QRESYNC", enabled=["QRESYNC"])) == [
        (
            b"A1 SELECT INBOX (QRESYNC (67890007 90060115194045000 1:29997 "
            b"(5000,7500,9000,9990:9999 15000,22500,27000,29970,29973,29976:29982,29985)))\r\n"
        )
    ]
    with pytest.raises(ValueError, match="2 with 1"):
        Select("INBOX", qresync=QResync(67890007, 1, None, (SequenceSet("1:2"), UIDSet("7"))))


def test_qresync_has_to_be_enabled() -> None:
    with pytest.raises(StateError, match="enabled"):
        sent(Select("x", qresync=QResync(1, 1)), server("QRESYNC"))
    with pytest.raises(CapabilityMissing, match="QRESYNC"):
        sent(Select("x", qresync=QResync(1, 1)), server("CONDSTORE"))
    with pytest.raises(ValueError, match=r"\*"):
        Select("x", qresync=QResync(1, 1, UIDSet("5:*")))


def test_rows_without_qresync_are_news(talk: Talk) -> None:
    talk(Select("x"), server(), "C: A1 SELECT x\nS: * 1 FETCH (FLAGS ())\nS: A1 OK done")
    assert len(talk.left) == 1


@pytest.mark.parametrize(("command", "line"), [(Close(), "CLOSE"), (Unselect(), "UNSELECT")])
def test_close_and_unselect(talk: Talk, command: Close | Unselect, line: str) -> None:
    session = server("UNSELECT")
    assert talk(command, session, f"C: A1 {line}\nS: A1 OK completed") is None
    assert (session.state, session.mailbox) == (State.AUTHENTICATED, None)
    with pytest.raises(StateError):
        sent(command, session)


def test_a_close_that_fails_changes_nothing(talk: Talk) -> None:
    session = server()
    with pytest.raises(CommandError):
        talk(Close(), session, "C: A1 CLOSE\nS: A1 NO can't")
    assert (session.state, session.mailbox) == (State.SELECTED, "INBOX")


def test_unselect_needs_the_capability() -> None:
    with pytest.raises(CapabilityMissing):
        sent(Unselect(), server())
    assert sent(Unselect(), rev2()) == [b"A1 UNSELECT\r\n"]


def test_check(talk: Talk) -> None:
    assert talk(Check(), server(), "C: A1 CHECK\nS: * 23 EXISTS\nS: A1 OK CHECK Completed") is None
    assert talk.left == [Exists(23)]


def test_expunge(talk: Talk) -> None:  # RFC 9051, section 6.4.3
    gone = talk(
        Expunge(),
        server(),
        """
        C: A1 EXPUNGE
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: * 5 EXPUNGE
        S: * 8 EXPUNGE
        S: A1 OK EXPUNGE completed
        """,
    )
    assert gone.sequence_numbers == (3, 3, 5, 8)
    assert (gone.uids, gone.highest_mod_sequence, len(gone)) == (UIDSet(), None, 4)


def test_uid_expunge(talk: Talk) -> None:  # RFC 4315, section 2.1; RFC 7162, section 3.2.9
    gone = talk(
        Expunge(UIDSet("3000:3002")),
        server("UIDPLUS"),
        """
        C: A1 UID EXPUNGE 3000:3002
        S: * VANISHED 3001
        S: * VANISHED 3000,3002
        S: A1 OK [HIGHESTMODSEQ 20010715194045319] UID EXPUNGE completed
        """,
    )
    assert (gone.sequence_numbers, gone.uids) == ((), UIDSet("3000:3002"))
    assert gone.highest_mod_sequence == 20010715194045319
    assert sent(Expunge(SAVED), rev2()) == [b"A1 UID EXPUNGE $\r\n"]
    with pytest.raises(CapabilityMissing, match="UIDPLUS"):
        sent(Expunge(5), server())
    with pytest.raises(TypeError, match="UIDs"):
        Expunge(SequenceSet(5))


def test_expunge_that_the_server_cut_short(talk: Talk) -> None:  # RFC 9738, section 3
    gone = talk(
        Expunge(),
        server("MESSAGELIMIT=1000"),
        """
        C: A1 EXPUNGE
        S: * 4306 EXPUNGE
        S: A1 OK [MESSAGELIMIT 1000 23221] partially completed
        """,
    )
    assert gone.limit == 23221


READ_ONLY = "S: A1 OK [READ-ONLY] done"
CHANGES: dict[str, tuple[Command[Any], bytes]] = {
    "MOVE": (Move(1, "x"), b"A1 UID MOVE 1 x\r\n"),
    "EXPUNGE": (Expunge(), b"A1 EXPUNGE\r\n"),
    "UID EXPUNGE": (Expunge(1), b"A1 UID EXPUNGE 1\r\n"),
    "REPLACE": (Replace(1, "x", b""), b"A1 UID REPLACE 1 x {0+}\r\n\r\n"),
    "STORE": (Store(1, "\\Seen"), b"A1 UID STORE 1 +FLAGS (\\Seen)\r\n"),
    "STORE of labels": (StoreGmailLabels(1, "x"), b"A1 UID STORE 1 +X-GM-LABELS (x)\r\n"),
}


@pytest.mark.parametrize(("command", "octets"), CHANGES.values(), ids=CHANGES)
def test_what_was_selected_read_only_is_not_changed(talk: Talk, command: Command[Any], octets: bytes) -> None:
    """Dovecot answers OK to such commands, and does nothing."""
    session = server("MOVE", "UIDPLUS", "REPLACE", "X-GM-EXT-1", "LITERAL+")
    talk(Examine("INBOX"), session, f"C: A1 EXAMINE INBOX\n{READ_ONLY}")
    with pytest.raises(StateError, match="'INBOX' is selected read-only: select it with read_only=False"):
        sent(command, session)
    talk(Select("INBOX"), session, "C: A1 SELECT INBOX\nS: A1 OK [READ-WRITE] done")
    assert sent(command, session) == [octets]


@pytest.mark.parametrize(("command", "octets"), CHANGES.values(), ids=CHANGES)
def test_what_the_server_lets_be_read_only(talk: Talk, command: Command[Any], octets: bytes) -> None:
    """Flags may be each user's own all the same (RFC 9051, section 6.3.2)."""
    session = server("MOVE", "UIDPLUS", "REPLACE", "X-GM-EXT-1", "LITERAL+")
    talk(Select("INBOX"), session, f"C: A1 SELECT INBOX\n{READ_ONLY}")
    if isinstance(command, Store):
        assert sent(command, session) == [octets]
    else:
        with pytest.raises(StateError, match="the server lets 'INBOX' be read only"):
            sent(command, session)


def test_reading_goes_on(talk: Talk) -> None:
    session = server("UNSELECT")
    talk(Examine("INBOX"), session, f"C: A1 EXAMINE INBOX\n{READ_ONLY}")
    for command in (Fetch(1, "FLAGS"), Copy(1, "x"), Append("INBOX", b"", size=0), Close(), Unselect(), Check()):
        assert sent(command, session)
    talk(Close(), session, "C: A1 CLOSE\nS: A1 OK done")
    assert (session.read_only, session.examined) == (False, False)


def test_a_server_that_says_read_only_before_the_end(talk: Talk) -> None:
    session = server()
    selected = talk(Select("x"), session, "C: A1 SELECT x\nS: * OK [READ-ONLY] shared\nS: A1 OK done")
    assert (selected.read_only, session.read_only, session.examined) == (True, True, False)
