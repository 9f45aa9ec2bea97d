"""Whatever a server answers, a command returns or raises a FastimapError, and takes no memory by announcement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastimap import commands, search
from fastimap.commands.base import Command, Session, State
from fastimap.errors import FastimapError
from fastimap.model.sequence_set import SequenceSet
from tests.commands.harness import Talk, sent, server

COMMANDS: dict[str, Callable[[], Command[Any]]] = {
    "list": lambda: commands.List(status=["MESSAGES"], with_rights=True, metadata=["/private/comment"]),
    "status": lambda: commands.Status("x"),
    "create": lambda: commands.Create("x"),
    "namespace": commands.Namespace,
    "select": lambda: commands.Select("x"),
    "qresync": lambda: commands.Select("x", qresync=commands.QResync(1, 1)),
    "expunge": commands.Expunge,
    "search": lambda: commands.Search(search.all_),
    "search numbers": lambda: commands.Search(search.all_, sequence=True),
    "sort": lambda: commands.Sort(["DATE"], search.all_),
    "thread": lambda: commands.Thread("REFERENCES", search.all_),
    "multisearch": lambda: commands.MultiSearch(commands.MailboxFilter("personal"), search.all_),
    "store": lambda: commands.Store("1:*", "\\Seen", unchanged_since=1),
    "store numbers": lambda: commands.Store(SequenceSet("1:9"), "\\Seen"),
    "copy": lambda: commands.Copy(1, "x"),
    "move": lambda: commands.Move(1, "x"),
    "append": lambda: commands.Append("x", b""),
    "multiappend": lambda: commands.MultiAppend("x", [commands.AppendMessage(b"")]),
    "replace": lambda: commands.Replace(1, "x", b""),
    "getquotaroot": commands.GetQuotaRoot,
    "getacl": lambda: commands.GetACL("x"),
    "getmetadata": lambda: commands.GetMetadata("x", "/private/comment"),
    "id": commands.ID,
    "enable": lambda: commands.Enable("QRESYNC"),
}
CODES = [
    "APPENDUID 1 *",
    "APPENDUID 1 5:*",
    "APPENDUID 1 1:4294967295",
    "APPENDUID 1 0",
    "COPYUID 1 * *",
    "COPYUID 1 1:4294967295 1:4294967295",
    "COPYUID 1 1:2 3",
    "MODIFIED *",
    "MODIFIED 7:5,*",
    "MODIFIED x",
    "UIDVALIDITY 0",
    "UIDNEXT 99999999999",
    "HIGHESTMODSEQ 0",
    "MESSAGELIMIT 1",
    "MESSAGELIMIT",
    "METADATA LONGENTRIES",
    "MAILBOXID ()",
    "CLOSED",
    "READ-ONLY",
    "PERMANENTFLAGS (",
]
LINES = [
    "* ESEARCH",
    '* ESEARCH (TAG "A1") ALL *',
    '* ESEARCH (TAG "A1") UID ALL 1:*',
    '* ESEARCH (TAG "A1") UID ALL 1:4294967295',
    '* ESEARCH (TAG "A1") ALL 4294967295:1',
    '* ESEARCH (TAG "A1") ALL 0',
    '* ESEARCH (TAG "A1") UID PARTIAL (1:4294967295 1:4294967295)',
    '* ESEARCH (TAG "A1") UID PARTIAL (1:9 *)',
    '* ESEARCH (TAG "A1") UID PARTIAL (1:9 NIL) COUNT 0',
    '* ESEARCH (TAG "A1" MAILBOX x UIDVALIDITY 1) UID ALL 1:*',
    '* ESEARCH (TAG "A1" MAILBOX x) UID ALL 7',
    "* SEARCH 0",
    "* SEARCH 4294967295 1 1 1 (MODSEQ 1)",
    "* SORT 3 3 3",
    "* THREAD (1)((2)(3 4))",
    "* THREAD ()",
    "* VANISHED *",
    "* VANISHED (EARLIER) 1:4294967295",
    "* VANISHED 1:*",
    "* 0 EXPUNGE",
    "* 4294967295 EXPUNGE",
    "* 99999999999 EXISTS",
    "* STATUS x (MESSAGES -1 UIDNEXT x)",
    "* STATUS x",
    '* LIST () NIL ""',
    r'* LIST (\Noselect) "" x ("CHILDINFO" ())',
    "* MYRIGHTS x",
    "* MYRIGHTS x lr",
    '* METADATA x ("/private/comment" NIL)',
    "* METADATA x ()",
    "* NAMESPACE NIL NIL NIL",
    "* NAMESPACE ((",
    '* QUOTA "" (STORAGE -1 x)',
    '* QUOTAROOT x "" ""',
    "* ACL x y",
    "* ID (NIL NIL)",
    "* ENABLED",
    "* 1 FETCH (UID 1 FLAGS () MODSEQ (1))",
    "* 4294967295 FETCH (UID 0 FLAGS NIL)",
    "* 1 FETCH ()",
    "* FLAGS NIL",
]
REPLIES = [f"* OK [{code}] x" for code in CODES] + LINES
CAPABILITIES = [
    "APPENDLIMIT",
    "CONDSTORE",
    "QRESYNC",
    "LITERAL+",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "LIST-MYRIGHTS",
    "LIST-METADATA",
    "NAMESPACE",
    "MOVE",
    "MULTIAPPEND",
    "MULTISEARCH",
    "REPLACE",
    "SORT",
    "THREAD=REFERENCES",
    "QUOTA",
    "ACL",
    "METADATA",
    "ID",
    "ENABLE",
]


def session(command: Command[Any]) -> Session:
    state = State.SELECTED if State.SELECTED in command.states else State.AUTHENTICATED
    return server(*CAPABILITIES, enabled=["QRESYNC"], state=state)


@pytest.mark.slow
@pytest.mark.parametrize("make", COMMANDS.values(), ids=COMMANDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(replies=st.lists(st.sampled_from(REPLIES), max_size=4), code=st.sampled_from(["", *(f"[{c}] " for c in CODES)]))
def test_any_answer_is_a_result_or_an_error(
    talk: Talk, make: Callable[[], Command[Any]], replies: list[str], code: str
) -> None:
    command = make()
    (line,) = sent(command, session(command))
    said = "\n".join(f"S: {reply}" for reply in [*replies, f"A1 OK {code}done"])
    client = "\n".join(f"C: {part}" for part in line.decode().removesuffix("\r\n").split("\r\n"))
    try:
        result = talk(command, session(command), f"{client}\n{said}")
    except FastimapError:
        return
    assert len(repr(result)) < 100_000


def test_a_sorted_answer_that_is_too_large(talk: Talk) -> None:
    for data in ("ALL 1:4294967295", "PARTIAL (1:9 1:4294967295)"):
        with pytest.raises(FastimapError, match="too large"):
            talk(
                commands.Sort(["DATE"], search.all_, returns=["ALL", "COUNT"]),
                server("SORT", "ESORT"),
                f"""
                C: A1 UID SORT RETURN (ALL COUNT) (DATE) UTF-8 ALL
                S: * ESEARCH (TAG "A1") UID {data}
                S: A1 OK done
                """,
            )
