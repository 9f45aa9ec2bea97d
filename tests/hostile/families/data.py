"""Data: what a typed client makes of a server's data is what was asked for, costs no more than was sent, and is kept
as ranges where the server sent ranges.
"""

import io
from typing import Any

from fastimap import SequenceSet, UIDSet
from fastimap import search as keys

from ..scenario import (
    GREETING,
    IN_STEP,
    MIB,
    NOOP,
    SEARCH,
    SELECT,
    SELECTED,
    TYPED,
    Demand,
    Outcome,
    Returned,
    Scenario,
    both,
    call,
    dead,
    in_step,
    never_gives,
    refused,
    refused_in_step,
    shown,
    survives,
)
from ..server import Answer, Expect, ReadLine, Send, Serve, Step

FAMILY = "data"

WITH_ESEARCH = Send(b"* PREAUTH [CAPABILITY IMAP4rev1 ESEARCH QRESYNC CONDSTORE ENABLE] ready\r\n")
SELECTED_THERE: tuple[Step, ...] = (
    WITH_ESEARCH,
    Expect(b"SELECT"),
    Answer(b"* 3 EXISTS\r\nTAG OK [READ-WRITE] done\r\n"),
)


def equals(expected: Any) -> Demand:
    """The last call returns `expected`."""

    def demand(outcome: Outcome) -> str:
        last = outcome.results[-1]
        return "" if isinstance(last, Returned) and last.value == expected else shown(last)

    return demand


def second_gives(expected: Any) -> Demand:
    """The call after SELECT returns `expected`."""

    def demand(outcome: Outcome) -> str:
        result = outcome.results[2]
        return "" if isinstance(result, Returned) and result.value == expected else shown(result)

    return demand


def data(
    name: str,
    command: bytes,
    octets: bytes,
    function: Any,
    demand: Demand = survives,
    selected: tuple[Step, ...] = SELECTED,
) -> Scenario:
    """Return a scenario in which `octets` are the answer to `command`, which `function` of the client sends.

    A SEARCH follows, so that the demand can be that all is in step.
    """
    return Scenario(
        FAMILY,
        name,
        (
            *selected,
            Expect(command),
            Answer(octets),
            *(IN_STEP if selected[: len(SELECTED)] == SELECTED else (Serve(),)),
        ),
        (SELECT, call("typed", function), *((SEARCH,) if selected[: len(SELECTED)] == SELECTED else ())),
        demand,
        timeout=10,
        interface=TYPED,
        argument_errors=False,
    )


def by_uid(client: Any) -> list[tuple[int | None, bytes | None]]:
    return [(row.uid, row.body) for row in client.fetch(5, "BODY[]")]


def into_file(client: Any) -> bytes:
    file = io.BytesIO()
    client.fetch_into(5, "BODY.PEEK[]", into=file)
    return file.getvalue()


def into_files(client: Any) -> dict[int | None, list[bytes]]:
    files: dict[int | None, list[io.BytesIO]] = {}

    def into(number: int | None, name: str, size: int) -> io.BytesIO:
        files.setdefault(number, []).append(io.BytesIO())
        return files[number][-1]

    client.fetch_into([5, 7], "ENVELOPE", "BODY.PEEK[]", into=into)
    return {number: [file.getvalue() for file in written] for number, written in files.items()}


def subject(text: bytes) -> bytes:
    return b"ENVELOPE (NIL " + text + b" NIL NIL NIL NIL NIL NIL NIL NIL)"


def iterated(client: Any) -> list[tuple[int | None, bytes | None]]:
    return [(row.uid, row.body) for row in client.fetch_iter([5, 7], "BODY[]")]


def _shown_and_walked(threads: Any) -> list[int]:
    return [number for thread in threads for number in (repr(thread), thread == thread, *thread.numbers())[2:]]


def threads(client: Any) -> int:
    return len(_shown_and_walked(client.thread("REFERENCES", keys.all_, sequence=True)))


def deep_structure(client: Any) -> str:
    [row] = client.fetch(SequenceSet(1), "BODYSTRUCTURE")
    return repr(row) + repr(row.body_structure is not None and [*row.body_structure.walk()])[:10]


def found_ranges(client: Any) -> str:
    return str(client.search(keys.all_).uids)


def vanished(client: Any) -> list[str]:
    client.noop()
    return [str(event.uids) for event in client.take_events() if hasattr(event, "uids")]


IN_PLACE = both(in_step, second_gives([(5, b"HELLO")]))
NOTHING = both(in_step, second_gives([]))

SCENARIOS = [
    # rows of other messages
    data(
        "a row of a message that was not asked for",
        b"UID",
        b"* 1 FETCH (UID 6 BODY[] {5}\r\nWORLD)\r\n* 2 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        by_uid,
        IN_PLACE,
    ),
    data("a row without a UID", b"UID", b"* 5 FETCH (BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n", by_uid, NOTHING),
    data(
        "a message sent twice, and different",
        b"UID",
        b"* 1 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\n* 1 FETCH (UID 5 BODY[] {5}\r\nWORLD)\r\nTAG OK done\r\n",
        by_uid,
        IN_PLACE,
    ),
    data("UID 0", b"UID", b"* 1 FETCH (UID 0 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n", by_uid, NOTHING),
    data(
        "UID 2^32 + 5",
        b"UID",
        b"* 1 FETCH (UID 4294967301 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        by_uid,
        NOTHING,
    ),
    data(
        "UID 2^64 + 5",
        b"UID",
        b"* 1 FETCH (UID 18446744073709551621 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        by_uid,
        NOTHING,
    ),
    data("UID -5", b"UID", b"* 1 FETCH (UID -5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n", by_uid, NOTHING),
    data(
        "two UIDs in a row",
        b"UID",
        b"* 1 FETCH (UID 6 BODY[] {5}\r\nHELLO UID 5)\r\nTAG OK done\r\n",
        by_uid,
        in_step,
    ),
    data(
        "a partial section for a whole one",
        b"UID",
        b"* 1 FETCH (UID 5 BODY[]<0> {5}\r\nHELLO)\r\nTAG OK done\r\n",
        by_uid,
        both(in_step, second_gives([(5, None)])),
    ),
    data(
        "message number 0 with a literal",
        b"UID",
        b"* 0 FETCH (BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        by_uid,
        NOTHING,
    ),
    data(
        "a row without end of pieces",
        b"UID",
        b"".join(b"* 1 FETCH (UID 5 X%d 1)\r\n" % n for n in range(30_000)) + b"TAG OK done\r\n",
        by_uid,
        in_step,
    ),
    data(
        "a row without end of defects",
        b"UID",
        b"* 1 FETCH (UID 5 RFC822.SIZE x RFC822.SIZE y FLAGS 1)\r\n" * 15_000 + b"TAG OK done\r\n",
        by_uid,
        in_step,
    ),
    Scenario(
        FAMILY,
        "one message again and again",
        (
            *SELECTED,
            Expect(b"UID"),
            Send(b"* 1 FETCH (UID 5 BODY[] {1048576}\r\n" + b"x" * MIB + b")\r\n", None),
        ),
        (SELECT, call("typed", by_uid), SEARCH),
        dead,
        timeout=10,
        interface=TYPED,
    ),
    # files
    data(
        "a file gets its message",
        b"UID",
        b"* 1 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_file,
        both(in_step, second_gives(b"HELLO")),
    ),
    data(
        "a file gets nothing of another message",
        b"UID",
        b"* 1 FETCH (UID 6 BODY[] {5}\r\nWORLD)\r\n* 2 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_file,
        both(in_step, second_gives(b"HELLO")),
    ),
    data(
        "a file and a message whose UID comes after, and is another's",
        b"UID",
        b"* 1 FETCH (BODY[] {5}\r\nWORLD UID 6)\r\nTAG OK done\r\n",
        into_file,
        both(in_step, never_gives(b"WORLD")),
    ),
    data(
        "a file gets nothing of a section that was not asked for",
        b"UID",
        b"* 1 FETCH (UID 5 BODY[2] {5}\r\nWORLD BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_file,
        both(in_step, never_gives(b"WORLD")),
    ),
    data(
        "a file gets its message once",
        b"UID",
        b"* 1 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\n* 1 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_file,
        both(in_step, never_gives(b"HELLOHELLO")),
    ),
    data(
        "a file, and the end amid its literal",
        b"UID",
        b"* 1 FETCH (UID 5 BODY[] {500}\r\nHELLO",
        into_file,
        both(dead, never_gives(b"HELLO")),
    ),
    # streams
    data(
        "a stream gives no message that was not asked for",
        b"UID",
        b"* 1 FETCH (UID 6 BODY[] {5}\r\nWORLD)\r\n* 2 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        iterated,
        IN_PLACE,
        (
            *SELECTED,
            Expect(b"UID"),
            Answer(b"* 2 FETCH (UID 5 RFC822.SIZE 5)\r\n* 3 FETCH (UID 7 RFC822.SIZE 5)\r\nTAG OK done\r\n"),
        ),
    ),
    data("a stream, and BYE", b"UID", b"* BYE bye\r\n", iterated, dead),
    # ranges
    data(
        "ESEARCH of all numbers stays one range",
        b"UID",
        b'* ESEARCH (TAG "TAG") UID ALL 1:4294967295\r\nTAG OK done\r\n',
        found_ranges,
        equals("1:4294967295"),
        SELECTED_THERE,
    ),
    data(
        "ESEARCH with the tag of another command",
        b"UID",
        b'* ESEARCH (TAG "XXXX") UID ALL 666\r\n* ESEARCH (TAG "TAG") UID ALL 7\r\nTAG OK done\r\n',
        found_ranges,
        equals("7"),
        SELECTED_THERE,
    ),
    data(
        "ESEARCH of 100,000 ranges of 10,000 numbers each",
        b"UID",
        b'* ESEARCH (TAG "TAG") UID ALL '
        + b",".join(b"%d:%d" % (n * 20_000 + 1, n * 20_000 + 10_000) for n in range(100_000))
        + b"\r\nTAG OK done\r\n",
        lambda client: len(client.search(keys.all_).uids),
        equals(1_000_000_000),
        SELECTED_THERE,
    ),
    data(
        "ESEARCH with *",
        b"UID",
        b'* ESEARCH (TAG "TAG") UID ALL 1:*\r\nTAG OK done\r\n',
        found_ranges,
        refused,
        SELECTED_THERE,
    ),
    data(
        "ESEARCH of 2^32",
        b"UID",
        b'* ESEARCH (TAG "TAG") UID ALL 4294967296\r\nTAG OK done\r\n',
        found_ranges,
        refused,
        SELECTED_THERE,
    ),
    data(
        "ESEARCH of 0",
        b"UID",
        b'* ESEARCH (TAG "TAG") UID ALL 0:5\r\nTAG OK done\r\n',
        found_ranges,
        refused,
        SELECTED_THERE,
    ),
    data(
        "VANISHED of all numbers stays one range",
        b"NOOP",
        b"* VANISHED 1:4294967295\r\nTAG OK done\r\n",
        vanished,
        both(in_step, second_gives(["1:4294967295"])),
    ),
    data(
        "COPYUID of all numbers stays one range",
        b"UID",
        b"TAG OK [COPYUID 1 1:4294967295 1:4294967295] done\r\n",
        lambda client: client.copy(UIDSet("1:*"), "x"),
        in_step,
    ),
    data(
        "COPYUID of more messages than were copied",
        b"UID",
        b"TAG OK [COPYUID 1 5 1:4294967295] done\r\n",
        lambda client: client.copy(5, "x"),
        in_step,
    ),
    data(
        "APPENDUID of all numbers",
        b"APPEND",
        b"TAG NO [APPENDUID 1 1:4294967295] done\r\n",
        lambda client: client.append("x", b"y"),
        in_step,
    ),
    data("SEARCH of 0 and 2^64", b"SEARCH", b"* SEARCH 0 18446744073709551616\r\nTAG OK done\r\n", lambda c: None),
    # depth
    data(
        "100,000 answers to answers, each in parentheses",
        b"THREAD",
        b"* THREAD " + b"(1 " * 100_000 + b"(2)" + b")" * 100_000 + b"\r\nTAG OK done\r\n",
        threads,
        in_step,
    ),
    data(
        "100,000 answers to answers, in a row",
        b"THREAD",
        b"* THREAD (" + b"1 " * 100_000 + b"2)\r\nTAG OK done\r\n",
        threads,
        both(in_step, second_gives(100_001)),
    ),
    data(
        "BODYSTRUCTURE of 100,000 parentheses",
        b"FETCH",
        b"* 1 FETCH (BODYSTRUCTURE " + b"(" * 100_000 + b")" * 100_000 + b")\r\nTAG OK done\r\n",
        deep_structure,
        in_step,
    ),
    data(
        "BODYSTRUCTURE of multiparts, 200 deep",
        b"FETCH",
        b"* 1 FETCH (BODYSTRUCTURE "
        + b"(" * 200
        + b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)'
        + b' "MIXED")' * 200
        + b")\r\nTAG OK done\r\n",
        deep_structure,
        in_step,
    ),
    data(
        "BODYSTRUCTURE of messages in messages, 100 deep",
        b"FETCH",
        b"* 1 FETCH (BODYSTRUCTURE "
        + b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 1 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ' * 100
        + b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)'
        + b" 1)" * 100
        + b")\r\nTAG OK done\r\n",
        deep_structure,
        in_step,
    ),
    data(
        "100,000 parts",
        b"FETCH",
        b"* 1 FETCH (BODYSTRUCTURE ("
        + b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)' * 100_000
        + b' "MIXED"))\r\nTAG OK done\r\n',
        deep_structure,
        in_step,
    ),
    data(
        "ENVELOPE with 100,000 addresses",
        b"FETCH",
        b"* 1 FETCH (ENVELOPE (NIL NIL ("
        + b'(NIL NIL "a" "b")' * 100_000
        + b") NIL NIL NIL NIL NIL NIL NIL))\r\nTAG OK done\r\n",
        lambda client: len(client.fetch(SequenceSet(1), "ENVELOPE")[0].envelope.from_),
        both(in_step, second_gives(100_000)),
    ),
    # news
    data(
        "200,000 messages expunged",
        b"UID",
        b"* 1 EXPUNGE\r\n" * 200_000 + b"TAG OK done\r\n",
        lambda client: client.expunge(UIDSet("1:*")) and None,
        in_step,
    ),
    data("EXISTS of 2^63", b"NOOP", b"* 9223372036854775808 EXISTS\r\nTAG OK done\r\n", lambda c: c.noop(), in_step),
    data("EXPUNGE of 0", b"NOOP", b"* 0 EXPUNGE\r\nTAG OK done\r\n", lambda c: c.noop(), in_step),
    data("EXPUNGE of 2^32", b"NOOP", b"* 4294967296 EXPUNGE\r\nTAG OK done\r\n", lambda c: c.noop(), in_step),
    data(
        "100,000 alerts",
        b"NOOP",
        b"* OK [ALERT] give us your password\r\n" * 100_000 + b"TAG OK done\r\n",
        lambda client: client.noop(),
        in_step,
    ),
    data(
        "100,000 words on the progress of another command",
        b"NOOP",
        b'* OK [INPROGRESS ("XXXX" 1 99999999999999999999)] x\r\n' * 100_000 + b"TAG OK done\r\n",
        lambda client: client.noop(),
        in_step,
    ),
    # files of messages whose senders put into them what looks like another message's number
    data(
        "a file is not for the message that a subject names",
        b"UID",
        b"* 1 FETCH (" + subject(b'"hi UID 7 (there"') + b" UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_files,
        both(in_step, second_gives({5: [b"HELLO"]})),
    ),
    data(
        "a file is not for the message that a subject names, with the UID after the literal",
        b"UID",
        b"* 1 FETCH (" + subject(b'"\\" UID 7 "') + b" BODY[] {5}\r\nHELLO UID 5)\r\nTAG OK done\r\n",
        into_files,
        both(in_step, second_gives({None: [b"HELLO"]})),
    ),
    data(
        "a file is not for the message that a name in a list says",
        b"UID",
        b"* 1 FETCH (FLAGS (UID 7 x) UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_files,
        both(in_step, second_gives({5: [b"HELLO"]})),
    ),
    data(
        "a file is for the message of its UID, whatever a long subject says",
        b"UID",
        b"* 1 FETCH (X {1}\r\nx "
        + subject(b'"%s" ((NIL NIL {1}\r\nx "x"))' % (b"x" * 1010 + b" UID 7 " * 20))
        + b" UID 5 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_files,
        both(in_step, second_gives({5: [b"HELLO"]})),
    ),
    data(
        "a file gets nothing of a message whose subject names the one that was asked for",
        b"UID",
        b"* 1 FETCH (" + subject(b'"UID 5 UID 5 "') + b" UID 9 BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_file,
        both(in_step, never_gives(b"HELLO")),
    ),
    data(
        "a file of a message that has two UIDs",
        b"UID",
        b"* 1 FETCH (UID 5 BODY[] {5}\r\nHELLO UID 7)\r\nTAG OK done\r\n",
        into_files,
        both(in_step, lambda outcome: "" if second_gives({7: [b"HELLO"]})(outcome) else shown(outcome.results[2])),
    ),
    data(
        "a file of a message in a UIDFETCH response",
        b"UID",
        b"* 5 UIDFETCH (BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n",
        into_file,
        both(in_step, second_gives(b"HELLO")),
    ),
    # what the server says of itself
    data(
        "names of extensions that nobody enabled are not kept",
        b"NOOP",
        b"* ENABLED UTF8=ACCEPT X-666\r\n" * 3 + b"TAG OK done\r\n",
        lambda client: client.noop() or sorted(client.session.enabled),
        both(in_step, second_gives([])),
    ),
    data(
        "extensions that nobody enabled",
        b"NOOP",
        b"* ENABLED UTF8=ACCEPT IMAP4rev2 UIDONLY QRESYNC\r\nTAG OK done\r\n",
        lambda client: client.noop(),
        in_step,
    ),
    data(
        "capabilities that are gone",
        b"NOOP",
        b"* CAPABILITY\r\nTAG OK [CAPABILITY ] done\r\n",
        lambda client: client.noop(),
        in_step,
    ),
    data(
        "charsets that are none",
        b"SEARCH",
        b'TAG NO [BADCHARSET ("utf 8" {5}\r\na\r\nb" "rot13" "unicode_escape" "utf-16" "idna")] no\r\n',
        lambda client: client.search(keys.subject("\u00e9"), sequence=True),
        refused_in_step,
    ),
    data(
        "the status of another mailbox",
        b"STATUS",
        b"* STATUS other (MESSAGES 666)\r\nTAG OK done\r\n",
        lambda client: client.mailbox_status("x", "MESSAGES"),
        both(in_step, never_gives(b"666")),
    ),
    data(
        "STATUS with numbers that no machine has",
        b"STATUS",
        b"* STATUS x (MESSAGES 99999999999999999999999 UIDNEXT -1 UIDVALIDITY 1e9)\r\nTAG OK done\r\n",
        lambda client: client.mailbox_status("x", "MESSAGES"),
        in_step,
    ),
    data(
        "mailboxes in answer to STATUS",
        b"STATUS",
        b'* LIST () "/" other666\r\nTAG OK done\r\n',
        lambda client: client.mailbox_status("x", "MESSAGES"),
        both(in_step, never_gives(b"666")),
    ),
    # answers out of place
    Scenario(
        FAMILY,
        "a response from before the command is not its answer",
        (*SELECTED, Expect(b"NOOP"), Answer(b"TAG OK done\r\n* SEARCH 666\r\n"), *IN_STEP),
        (SELECT, NOOP, call("typed", lambda client: client.take_events() and None), SEARCH),
        survives,
        timeout=3,
        interface=TYPED,
    ),
    Scenario(
        FAMILY,
        "answers in the wrong order reach their own commands",
        (
            *SELECTED,
            ReadLine(),
            ReadLine(),
            Send(b"* 1 FETCH (UID 7 BODY[] {5}\r\nWORLD)\r\n* 2 FETCH (UID 5 BODY[] {5}\r\nHELLO)\r\n"),
            Serve(),
        ),
        (SELECT, call("typed", lambda client: _pipelined(client))),
        refused,
        timeout=1,
        interface=TYPED,
    ),
    # a server that asks for credentials where the client is to prepare by itself
    Scenario(
        FAMILY,
        "one octet of garbage before the greeting",
        (Send(b"\0"), GREETING, Serve()),
        (NOOP,),
        survives,
        timeout=3,
        interface=TYPED,
    ),
]


def _pipelined(client: Any) -> list[Any]:
    with client.pipeline() as pipeline:
        pending = [pipeline.fetch(uid, "BODY[]") for uid in (5, 7)]
    return [[row.body for row in answer.result()] for answer in pending]
