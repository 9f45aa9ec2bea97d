"""Tags, states, answers, and what is said unsolicited: by transcripts."""

from __future__ import annotations

import logging
import re

import pytest

from fastimap import errors
from fastimap.commands import (
    ID,
    Capability,
    Compress,
    Fetch,
    GetACL,
    GetQuota,
    GetQuotaRoot,
    Login,
    MyRights,
    Namespace,
    Noop,
    Search,
    Select,
)
from fastimap.commands.base import Command, Session, State
from fastimap.search import all_
from fastimap.types import Exists, ExpungeResponse, Tagged, UnknownResponse
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
        ("220 mail.example.org ESMTP", errors.ConnectFailed, "no IMAP server"),
        ("* 1 FETCH (UID 1 FLAGS ())", errors.ConnectFailed, "no IMAP server"),
        ("+OK POP3 ready", errors.ConnectFailed, "no IMAP server"),
        ("+ go on", errors.ConnectFailed, "no IMAP server"),
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


def test_unsolicited_data_never_mixes_with_a_result() -> None:
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
    assert expunge == ExpungeResponse(7)
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


@pytest.mark.parametrize("answer", ["* SEARCH 1 x 3", "* ESEARCH UID ALL 1:*", "* SEARCH 4294967296"])
def test_a_search_result_that_can_not_be_read_is_no_empty_result(answer: str) -> None:
    talk = Talk(selected=True)
    pending = talk.submit(Search(all_))
    talk.sends("<1> UID SEARCH ALL")
    talk.says(answer, "<1> OK done")
    with pytest.raises(errors.ParseError, match="SEARCH"):
        pending.result()
    assert talk.protocol.error is None


def test_the_log_hides_secrets(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(logged_in=False)
    with caplog.at_level(logging.DEBUG, "fastimap"):
        talk.submit(Login("fred", "hunter2", insecure=True))
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


@pytest.mark.parametrize(
    ("command", "answer", "said"),
    [
        (GetQuotaRoot("INBOX"), '* QUOTAROOT INBOX ""\r\n* QUOTA "" (STORAGE 10 -1)', "QUOTA: not a number: b'-1'"),
        (GetQuotaRoot("INBOX"), '* QUOTAROOT INBOX ("")\r\n* QUOTA "" (STORAGE 10 20)', "QUOTAROOT: a list"),
        (GetQuota(""), '* QUOTA "" (STORAGE 10)', "QUOTA: not a root and resources of three"),
        (GetACL("INBOX"), "* ACL INBOX anyone", "ACL: an identifier without rights"),
        (MyRights("INBOX"), "* MYRIGHTS INBOX lrs wi", "MYRIGHTS: "),
        (Namespace(), "* NAMESPACE NIL NIL", "NAMESPACE: "),
    ],
)
def test_an_answer_that_can_not_be_read_is_told(command: Command[object], answer: str, said: str) -> None:
    talk = Talk("IMAP4rev1 QUOTA ACL NAMESPACE")
    pending = talk.submit(command.copy())
    talk.sent()
    talk.says(answer, "<1> OK done")
    with pytest.raises(errors.ParseError, match=f"can't be read: {re.escape(said)}"):
        pending.result()


def test_an_answer_of_another_name_is_none_and_costs_no_capability() -> None:
    talk = Talk("IMAP4rev1 NAMESPACE IDLE")
    pending = talk.submit(Namespace())
    talk.sends("<1> NAMESPACE")
    talk.says('* CAPABILITY (("" "/")) NIL NIL', "<1> OK done")  # imap.sohu.com (MailKit#2006)
    with pytest.raises(errors.ParseError, match="did not send the data"):
        pending.result()
    assert talk.protocol.session.capabilities == {"IMAP4REV1", "NAMESPACE", "IDLE"}


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        # Exchange 2003 (libetpan#45)
        (Capability(), "* CAPABILITY IMAP4rev1\r\n<1> OK CAPABILITY completed.\r\nCAPABILITY completed."),
        # an early Proton Bridge (Mailspring#429)
        (ID(), '* ID (name ProtonMail)\r\n<1> OK ID completed\r\nID (name ProtonMail vendor "Proton Technologies AG")'),
    ],
)
def test_what_is_said_twice_after_the_answer(command: Command[object], answer: str) -> None:
    talk = Talk("IMAP4rev1 ID")
    pending = talk.submit(command.copy())
    talk.sent()
    talk.says(*answer.split("\r\n"))
    assert pending.result()
    second = talk.submit(Noop())
    talk.sends("<2> NOOP")
    talk.says("<2> OK done")
    assert second.result() is None
    assert [event.fragments for event in talk.events()] == [(answer.split("\r\n")[-1].encode(),)]


def test_a_line_that_is_no_response_before_the_answer() -> None:
    """It may be of a message whose literal is longer than announced: nothing after it can be trusted."""
    talk = Talk(selected=True)
    pending = talk.submit(Noop())
    talk.sent()
    talk.says("the text of a message")
    with pytest.raises(errors.ProtocolError, match="a line that is no response"):
        pending.result()


def test_a_row_that_lacks_a_section_waits_for_it() -> None:
    """RFC 9051, section 7.5.2: what is asked for may come in several responses, and unsolicited items between."""
    talk = Talk("IMAP4rev1 X-GM-EXT-1", selected=True)
    pending = talk.submit(Fetch("1:3", "BODY.PEEK[1]", "BODY.PEEK[2]"))
    talk.sent()
    talk.says(
        "* 2 FETCH (UID 2 X-GM-LABELS (work))",
        '* 1 FETCH (UID 1 BODY[1] "one")',
        '* 1 FETCH (UID 1 BODY[2] "two")',
        '* 2 FETCH (UID 2 BODY[1] "one" BODY[2] "two")',
        "* 1 FETCH (UID 1 X-GM-LABELS (home))",
        '* 3 FETCH (UID 3 BODY[1] "one")',
        "<1> OK done",
    )
    rows = pending.result()
    assert [row.uid for row in rows] == [1, 2, 3]
    assert [row.item("BODY[1]") for row in rows] == [b"one"] * 3
    assert [row.item("BODY[2]") for row in rows] == [b"two", b"two", None]
    assert [[defect.item for defect in row.defects] for row in rows] == [[], [], ["BODY[2]"]]
    assert [(event.uid, event.gmail_labels) for event in talk.events()] == [(1, ("home",))]
