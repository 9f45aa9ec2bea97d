"""Nothing that an argument holds can end a command or begin another; and what each class says of itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap import commands, search
from fastimap.commands.base import Command, Session, State
from fastimap.wire.encode import Encoding, encode
from tests.commands.harness import TAG

# Each argument of each command that takes text, in the place of the parameter.
CASES: dict[str, Callable[[str], Command[Any]]] = {
    "append mailbox": lambda text: commands.Append(text, b""),
    "append flag": lambda text: commands.Append("x", b"", flags=[text]),
    "multiappend mailbox": lambda text: commands.MultiAppend(text, [commands.AppendMessage(b"")]),
    "multiappend flag": lambda text: commands.MultiAppend("x", [commands.AppendMessage(b"", [text])]),
    "catenate mailbox": lambda text: commands.Catenate(text, ["/x"]),
    "catenate URL": lambda text: commands.Catenate("x", [text]),
    "catenate flag": lambda text: commands.Catenate("x", ["/x"], flags=[text]),
    "replace message": lambda text: commands.Replace(text, "x", b""),
    "replace mailbox": lambda text: commands.Replace(1, text, b""),
    "replace flag": lambda text: commands.Replace(1, "x", b"", flags=[text]),
    "list reference": lambda text: commands.List(text),
    "list pattern": lambda text: commands.List("", text),
    "list patterns": lambda text: commands.List("", ["x", text]),
    "list status": lambda text: commands.List(status=[text]),
    "list metadata": lambda text: commands.List(metadata=[text]),
    "lsub reference": lambda text: commands.LSub(text),
    "lsub pattern": lambda text: commands.LSub("", text),
    "xlist reference": lambda text: commands.XList(text),
    "xlist pattern": lambda text: commands.XList("", text),
    "status mailbox": lambda text: commands.Status(text, "MESSAGES"),
    "status item": lambda text: commands.Status("x", text),
    "create mailbox": lambda text: commands.Create(text),
    "create special use": lambda text: commands.Create("x", special_use=text),
    "delete mailbox": lambda text: commands.Delete(text),
    "rename mailbox": lambda text: commands.Rename(text, "x"),
    "rename new name": lambda text: commands.Rename("x", text),
    "subscribe mailbox": lambda text: commands.Subscribe(text),
    "unsubscribe mailbox": lambda text: commands.Unsubscribe(text),
    "select mailbox": lambda text: commands.Select(text),
    "examine mailbox": lambda text: commands.Examine(text),
    "expunge messages": lambda text: commands.Expunge(text),
    "store messages": lambda text: commands.Store(text, "\\Seen"),
    "store flag": lambda text: commands.Store(1, text),
    "store label": lambda text: commands.StoreGmailLabels(1, text),
    "copy messages": lambda text: commands.Copy(text, "x"),
    "copy mailbox": lambda text: commands.Copy(1, text),
    "move messages": lambda text: commands.Move(text, "x"),
    "move mailbox": lambda text: commands.Move(1, text),
    "search key": lambda text: commands.Search(search.subject(text)),
    "search returns": lambda text: commands.Search(search.unseen, returns=[text]),
    "search charset": lambda text: commands.Search(search.subject("é"), charset=text),
    "sort criterion": lambda text: commands.Sort([text], search.all_),
    "sort key": lambda text: commands.Sort(["DATE"], search.from_(text)),
    "sort charset": lambda text: commands.Sort(["DATE"], search.all_, charset=text),
    "thread algorithm": lambda text: commands.Thread(text, search.all_),
    "thread charset": lambda text: commands.Thread("REFERENCES", search.all_, charset=text),
    "multisearch mailbox": lambda text: commands.MultiSearch(commands.MailboxFilter("mailboxes", (text,)), search.all_),
    "cancelupdate tag": lambda text: commands.CancelUpdate(text.encode()),
    "getquota root": lambda text: commands.GetQuota(text),
    "getquotaroot mailbox": lambda text: commands.GetQuotaRoot(text),
    "setquota root": lambda text: commands.SetQuota(text, {}),
    "setquota resource": lambda text: commands.SetQuota("", {text: 1}),
    "getacl mailbox": lambda text: commands.GetACL(text),
    "setacl mailbox": lambda text: commands.SetACL(text, "x", "l"),
    "setacl identifier": lambda text: commands.SetACL("x", text, "l"),
    "setacl rights": lambda text: commands.SetACL("x", "x", text),
    "deleteacl mailbox": lambda text: commands.DeleteACL(text, "x"),
    "deleteacl identifier": lambda text: commands.DeleteACL("x", text),
    "listrights mailbox": lambda text: commands.ListRights(text, "x"),
    "listrights identifier": lambda text: commands.ListRights("x", text),
    "myrights mailbox": lambda text: commands.MyRights(text),
    "getmetadata mailbox": lambda text: commands.GetMetadata(text, "/private/comment"),
    "getmetadata entry": lambda text: commands.GetMetadata("", "/private/" + text),
    "setmetadata mailbox": lambda text: commands.SetMetadata(text, {"/private/comment": None}),
    "setmetadata entry": lambda text: commands.SetMetadata("", {"/private/" + text: None}),
    "notify mailbox": lambda text: commands.Notify(commands.EventGroup(commands.MailboxFilter("subtree", (text,)))),
    "notify event": lambda text: commands.Notify(
        commands.EventGroup(commands.MailboxFilter("personal"), (text,))  # type: ignore[arg-type]
    ),
    "notify item": lambda text: commands.Notify(
        commands.EventGroup(commands.MailboxFilter("selected"), ("MessageNew", "MessageExpunge"), (text,))
    ),
    "id field": lambda text: commands.ID({text: "x"}),
    "id value": lambda text: commands.ID({"name": text}),
    "enable capability": lambda text: commands.Enable(text),
    "language tag": lambda text: commands.Language(text),
    "comparator order": lambda text: commands.Comparator(text),
}
# Values of METADATA and messages may hold anything: they are literals where they have to be.
SESSIONS = [
    Session(state=State.SELECTED, capabilities=frozenset({"IMAP4REV1", "LITERAL+"})),
    Session(state=State.SELECTED, capabilities=frozenset({"IMAP4REV2"})),
]


def octets(command: Command[Any], session: Session) -> bytes:
    encoding = Encoding(utf8=session.utf8, literal_plus=True)
    return b"".join(
        fragment for fragment in encode(TAG, command.parts(session), encoding) if isinstance(fragment, bytes)
    )


@pytest.mark.slow
@pytest.mark.parametrize("session", SESSIONS, ids=["rev1", "rev2"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("evil", ["a\r\nA2 DELETE x", "a\nb", "a\rb", "a\0b", "\r\n", "\n"])
def test_cr_lf_and_nul_are_refused(case: Callable[[str], Command[Any]], evil: str, session: Session) -> None:
    with pytest.raises((ValueError, LookupError)):
        octets(case(evil), session)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@given(st.text(st.sampled_from('a é"\\(){}%*]~{5}+\r\n\0&-1,:$'), max_size=12))
def test_an_argument_stays_one_command(case: Callable[[str], Command[Any]], text: str) -> None:
    for session in SESSIONS:
        try:
            sent = octets(case(text), session)
        except (ValueError, LookupError):
            continue
        assert _lines(sent) == 1


def _lines(sent: bytes) -> int:
    """Return how many commands a server reads: it skips the literals, which the end of a line announces."""
    count = position = 0
    while position < len(sent):
        end = sent.index(b"\r\n", position)
        announced = re.search(rb"\{([0-9]+)\+?\}\Z", sent[position:end])
        count += announced is None
        position = end + 2 + (int(announced[1]) if announced else 0)
    assert position == len(sent)
    return count


CLASSES = [
    value
    for name in commands.__all__
    if inspect.isclass(value := getattr(commands, name)) and issubclass(value, Command) and value is not Command
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_command_documents_its_arguments(cls: type[Command[Any]]) -> None:
    assert cls.__doc__
    assert cls.name
    if cls.__module__.rpartition(".")[2] in ("auth", "session", "idle", "fetch"):
        return
    assert "RFC" in cls.__doc__ or "Gmail" in cls.__doc__
    for name in inspect.signature(cls).parameters:
        assert f":param {name}:" in cls.__doc__, name
