r"""What is done on the server to messages that are done, `mark` and `move_to`, and what a server may refuse of it.

A flag that begins with a backslash is a flag to the grammar (flag-extension), and Dovecot refuses one that it does not
know; a mailbox may be deleted while messages are to be moved there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastimap import Account, Client, UIDSet, errors
from fastimap.commands.search import Search
from fastimap.commands.store import AddFlags
from fastimap.search import uid_sets
from fastimap.sessions.cursor import Place
from fastimap.sessions.follow import ActionDropped, ActionFailed
from fastimap.sessions.follow import body as room
from tests.sessions.followers import COLOURS, followed
from tests.sessions.test_follow import account, make_anew, path, send, subject

__all__ = ["account", "path"]

pytestmark = pytest.mark.usefixtures("implementation")


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def once(colour: str, account: Account, path: Path, **options: Any) -> tuple[list[str], list[Any], int]:
    """Do everything that there is; return the subjects, what was said of actions, and how many are owed one."""
    found, said = [], []
    with followed(colour, account, cursor=path, **{"start": "all", **options}, once=True) as one:
        for event in one.events():
            if hasattr(event, "done"):
                found.append(subject(event))
                one.do(event.done())
            elif isinstance(event, (ActionFailed, ActionDropped)):
                said.append(event)
        return found, said, one.mail.state.owed


def flags(account: Account, mailbox: str = "INBOX") -> dict[int, list[str]]:
    with Client(account) as client:
        client.select(mailbox, read_only=True)
        return {row.uid: sorted((row.flags or frozenset()) - {"\\Recent"}) for row in client.fetch("1:*", "FLAGS")}


def test_a_refused_mark_is_made_as_the_next_run_says(account: Account, path: Path, colour: str) -> None:
    send(account, "a", "b")
    found, said, owed = once(colour, account, path, mark="\\Odd")
    assert (found, owed) == (["a", "b"], 2)
    (failed,) = said
    assert isinstance(failed, ActionFailed)
    assert (failed.mailbox, failed.verb, failed.argument, failed.uids) == ("INBOX", "mark", "\\Odd", (1, 2))
    assert "the server answered" in failed.reason
    send(account, "c")
    assert once(colour, account, path, mark="\\Flagged") == (["c"], [], 0)
    assert flags(account) == {1: ["\\Flagged"], 2: ["\\Flagged"], 3: ["\\Flagged"]}


def test_a_refused_mark_is_dropped_where_none_is_wanted_any_more(account: Account, path: Path, colour: str) -> None:
    send(account, "a")
    once(colour, account, path, mark="\\Odd")
    send(account, "b")
    found, said, owed = once(colour, account, path)
    assert (found, owed) == (["b"], 0)
    (dropped,) = said
    assert isinstance(dropped, ActionDropped)
    assert (dropped.verb, dropped.argument, dropped.uids) == ("mark", "\\Odd", (1,))
    assert once(colour, account, path, mark="\\Flagged") == ([], [], 0)
    assert flags(account) == {1: [], 2: []}


def test_a_refused_mark_does_not_keep_messages_from_being_moved(account: Account, path: Path, colour: str) -> None:
    send(account, "a", "b")
    found, said, owed = once(colour, account, path, mark="\\Odd", move_to="Trash")
    assert found == ["a", "b"]
    assert [(each.verb, each.uids) for each in said] == [("mark", (1, 2))]
    assert owed == 2
    assert sorted(flags(account, "Trash")) == [1, 2]
    assert once(colour, account, path, mark="\\Odd", move_to="Trash") == ([], [], 0)  # they are elsewhere


def test_a_mailbox_that_is_deleted_while_messages_are_to_be_moved_there(
    account: Account, path: Path, colour: str
) -> None:
    with Client(account) as client:
        client.create_mailbox("Done")
    send(account, "a", "b")
    said = []
    with followed(colour, account, cursor=path, start="all", move_to="Done", once=True) as one:
        for event in one.events():
            if hasattr(event, "done"):
                if subject(event) == "a":
                    with Client(account) as client:
                        client.delete_mailbox("Done")
                one.do(event.done())
            elif isinstance(event, ActionFailed):
                said.append((event.verb, event.argument, event.uids))
        assert one.mail.state.owed == 2
    assert said == [("move", "Done", (1, 2))]
    assert once(colour, account, path, move_to="Trash") == ([], [], 0)
    assert flags(account) == {}
    assert sorted(flags(account, "Trash")) == [1, 2]


def test_a_message_is_said_once_though_it_is_tried_at_each_look(account: Account, path: Path, colour: str) -> None:
    send(account, "a")
    said = []
    options: dict[str, Any] = {"mark": "\\Odd", "poll": 0.1}
    with followed(colour, account, cursor=path, start="all", **options) as one:
        for event in one.events():
            if hasattr(event, "done"):
                one.do(event.done())
            elif isinstance(event, ActionFailed):
                said.append(event.uids)
                if event.uids == (1,):
                    send(account, "b")
                else:
                    one.mail.stop()
    assert said == [(1,), (2,)]


def test_arguments_are_checked_before_anything_is_delivered(account: Account, path: Path, colour: str) -> None:
    send(account, "a")
    for wrong in ({"mark": "bad flag"}, {"mark": "Seen"}, {"mark": ""}, {"move_to": "inbox"}):
        with pytest.raises(ValueError, match=r"flag|followed itself"):
            once(colour, account, path, **wrong)
    for mailboxes in ("INBOX", ["INBOX", "Drafts"]):
        with pytest.raises(errors.MailboxNotFound, match="nowhere") as raised:
            once(colour, account, path, mailboxes=mailboxes, move_to="nowhere")
        assert "move_to" in raised.value.__notes__[0]
    assert once(colour, account, path)[0] == ["a"]
    number: Any = 5
    with pytest.raises(TypeError, match="move_to is the name of a mailbox, a str, not 5"):
        once(colour, account, path, move_to=number)


@pytest.mark.slow
def test_what_is_owed_in_a_mailbox_that_was_made_anew_is_dropped(account: Account, path: Path, colour: str) -> None:
    with Client(account) as client:
        client.create_mailbox("Work")
    send(account, "a", mailbox="Work")
    options: dict[str, Any] = {"mailboxes": "Work", "on_reset": "new"}
    assert once(colour, account, path, mark="\\Odd", **options)[2] == 1
    make_anew(account, "other")
    found, said, owed = once(colour, account, path, mark="\\Flagged", **options)
    assert (found, owed) == ([], 0)
    assert [(type(each), each.uids) for each in said] == [(ActionDropped, (1,))]
    assert flags(account, "Work") == {1: []}


class _Found:
    limit = None

    def __init__(self, uids: UIDSet) -> None:
        self.uids = uids


def marked(uids: UIDSet, refuses: UIDSet) -> tuple[UIDSet, UIDSet, int]:
    """Mark messages on a server that answers NO where some are among them; return what was marked, and what is owed.

    No server at hand refuses a mark of one message: the commands are answered here.
    """
    done, commands = UIDSet(), 0
    watch, last = room.Watch(Place("ann@example.org", "INBOX")), UIDSet()
    flow = room._do(None, watch, "mark", "$Done", uids, room._Refused())  # type: ignore[arg-type]
    try:
        step = next(flow)
        while True:
            if isinstance(step, Search):
                last = parts(step)  # which the next command is about
                step = flow.send(_Found(last))
            else:
                assert isinstance(step, AddFlags)
                commands += 1
                if last & refuses:
                    refusal = errors.CommandError("UID STORE", b"a1", "NO", None, "not that one")
                    step = flow.throw(refusal)
                else:
                    done |= last
                    step = flow.send(None)
    except StopIteration as stop:
        return done, stop.value, commands


def parts(search: Search) -> UIDSet:
    (found,) = uid_sets(search._key)
    return found


@pytest.mark.parametrize("refused", ["7", "1", "500", "3,250"])
def test_one_message_that_is_refused_keeps_no_other_from_being_marked(refused: str) -> None:
    refuses = UIDSet(refused)
    done, owed, _ = marked(UIDSet("1:1000"), refuses)
    assert (done, owed) == (UIDSet("1:1000") - refuses, refuses)


def test_where_all_is_refused_not_each_is_tried() -> None:
    done, owed, commands = marked(UIDSet("1:1000"), UIDSet("1:1000"))
    assert (done, owed) == (UIDSet(), UIDSet("1:1000"))
    assert commands < 50
