"""In step: after anything odd the connection is in step, or it is closed and marked dead.

Most scenarios end with a SEARCH: it gives its own answer, or it is refused.
"""

from ..scenario import (
    IN_STEP,
    MARK,
    NOOP,
    PREAUTH,
    SEARCH,
    SELECT,
    SELECTED,
    Demand,
    Outcome,
    Scenario,
    both,
    call,
    dead,
    fetched,
    gives,
    in_step,
    never_gives,
    never_sends,
    refused,
    refused_in_step,
    survives,
)
from ..server import Answer, Expect, ReadLine, ReadOctets, Reset, Send, Serve, Step, Wait

FAMILY = "in step"


def odd(name: str, octets: bytes, demand: Demand = in_step, typed: Demand | None = None) -> Scenario:
    """Return a scenario in which `octets` (with TAG and NEXT) are the answer to NOOP, and SEARCH follows."""
    script = (*SELECTED, Expect(b"NOOP"), Answer(octets), *IN_STEP)
    return Scenario(FAMILY, name, script, (SELECT, NOOP, SEARCH), demand, timeout=2, typed=typed)


def append(name: str, *steps: Step, demand: Demand) -> Scenario:
    """Return a scenario in which the `steps` follow an APPEND that has announced its literal."""
    return Scenario(
        FAMILY,
        name,
        (*SELECTED, Expect(b"APPEND"), *steps, *IN_STEP),
        (SELECT, call("append", "INBOX", None, None, b"message\r\n"), SEARCH),
        demand,
        timeout=2,
    )


def append_refused(outcome: Outcome) -> str:
    """The call that is to append raises: the server did not get the message."""
    return refused(Outcome(outcome.results[:3]))


def idle(name: str, *steps: Step, demand: Demand = in_step, typed: Demand | None = None) -> Scenario:
    script = (*SELECTED, Expect(b"IDLE"), *steps, *IN_STEP)
    return Scenario(FAMILY, name, script, (SELECT, call("idle", 0.2), SEARCH), demand, timeout=1, typed=typed)


def different_tags(outcome: Outcome) -> str:
    """Each of three connections begins with a tag of its own."""
    tags = {line.partition(b" ")[0] for line in outcome.received if line.endswith(b"CAPABILITY")}
    return "" if len(tags) == 3 else f"the tags of three connections are {tags}"


MESSAGE = b"Subject: x\r\n\r\n* SEARCH 666\r\nABCDE2 OK done\r\n+ go on\r\n* BYE\r\n"

SCENARIOS = [
    # answers to what was not asked
    odd("an answer to a tag never used", b"XXXX9 OK done\r\nTAG OK done\r\n", refused_in_step),
    odd("two answers to one command", b"TAG OK done\r\nTAG OK done\r\n"),
    odd("a second answer with data", b"TAG OK done\r\n* SEARCH 666\r\nTAG OK done\r\n", never_gives(b"666 4711")),
    odd(
        "the answer to the next command before it",
        b"TAG OK done\r\n* SEARCH 666\r\nNEXT OK done\r\n",
        both(refused, never_gives(b"666")),
    ),
    odd("the answer to the next command in place of its own", b"NEXT OK done\r\nTAG OK done\r\n", refused_in_step),
    Scenario(
        FAMILY,
        "OK to LOGIN before it",
        (
            Send(b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
            Expect(b"NOOP"),
            Answer(b"TAG OK done\r\nNEXT OK [CAPABILITY IMAP4rev1] done\r\n"),
            Serve(),
        ),
        (NOOP, call("login", "user", "secret")),
        refused,
    ),
    Scenario(FAMILY, "tagged answers in the greeting", (Send(b"ABCDE0 OK hello\r\n"),), (), refused),
    Scenario(
        FAMILY,
        "tagged answers after the greeting",
        (Send(b"* OK [CAPABILITY IMAP4rev1] x\r\nABCDE0 OK x\r\n"), Serve()),
        (NOOP,),
        refused,
    ),
    odd("a tag in the wrong case", b"tag OK done\r\nTAG OK done\r\n", refused_in_step),
    odd("a tagged answer that is none of OK, NO, BAD", b"TAG FINE done\r\n", in_step),
    odd("a tagged answer without a word", b"TAG\r\nTAG OK done\r\n", refused_in_step),
    odd("a tagged answer with a number", b"TAG 200 done\r\nTAG OK done\r\n", refused_in_step),
    odd("a tagged PREAUTH", b"TAG PREAUTH done\r\n", in_step),
    odd("a tagged BYE", b"TAG BYE done\r\n", in_step),
    odd("a continuation request that nothing asks for", b"+ go on\r\nTAG OK done\r\n"),
    odd("a continuation request after the answer", b"TAG OK done\r\n+ go on\r\n"),
    # The typed clients give an answer that came after BYE, and send nothing more.
    odd("BYE, and the answer all the same", b"* BYE bye\r\nTAG OK done\r\n", dead, typed=refused),
    odd("BYE after the answer", b"TAG OK done\r\n* BYE bye\r\n", refused),
    # odd lines
    odd("an empty line", b"\r\n\r\nTAG OK done\r\n"),
    odd("a bare LF in a line", b"* OK x\n* OK y\r\nTAG OK done\r\n"),
    odd("a tagged answer that ends in a bare LF", b"TAG OK done\n"),
    odd("a bare CR in a line", b"* OK x\rTAG OK y\r\nTAG OK done\r\n"),
    odd("a tagged answer after a bare CR", b"* OK x\rTAG OK y\r\nTAG NO done\r\n"),
    odd("a tagged answer after a NUL", b"\0TAG OK done\r\n"),
    odd("a NUL in a line", b"* OK x\0y\r\nTAG OK done\r\n"),
    odd("text of a web server", b"HTTP/1.1 400 Bad Request\r\n\r\nTAG OK done\r\n", refused_in_step),
    # To the typed clients, untagged data that they don't understand are news.
    odd("a star alone", b"*\r\nTAG OK done\r\n", refused_in_step, typed=in_step),
    odd("a star and a space", b"* \r\nTAG OK done\r\n", refused_in_step, typed=in_step),
    odd("a number alone", b"* 5\r\nTAG OK done\r\n", refused_in_step, typed=in_step),
    odd("octets that are no text", bytes(range(128, 256)) + b"\r\nTAG OK done\r\n", refused_in_step),
    # literals
    fetched(
        FAMILY,
        "a message that contains responses is data",
        Answer(b"* 1 FETCH (BODY[] {%d}\r\n" % len(MESSAGE) + MESSAGE + b")\r\nTAG OK done\r\n"),
        demand=both(in_step, gives(MARK)),
        ends_in_step=True,
    ),
    fetched(
        FAMILY,
        "a message that contains responses comes out whole",
        Answer(b"* 1 FETCH (BODY[] {%d}\r\n" % len(MESSAGE) + MESSAGE + b")\r\nTAG OK done\r\n"),
        demand=gives(MESSAGE),
    ),
    fetched(
        FAMILY,
        "a literal with more octets than announced",
        Answer(b"* 1 FETCH (BODY[] {5}\r\nHELLO, WORLD)\r\nTAG OK done\r\n"),
        demand=in_step,
        ends_in_step=True,
    ),
    fetched(
        FAMILY,
        "a literal with more lines than announced",
        Answer(b"* 1 FETCH (BODY[] {5}\r\nHELLO\r\n* SEARCH 666\r\n)\r\nTAG OK done\r\n"),
        demand=in_step,
        ends_in_step=True,
    ),
    fetched(
        FAMILY,
        "a literal with a forged tagged answer behind it",
        Answer(b"* 1 FETCH (BODY[] {5}\r\nHELLO\r\nTAG OK forged\r\n* SEARCH 666\r\n)\r\nTAG OK done\r\n"),
        demand=in_step,
        ends_in_step=True,
    ),
    fetched(
        FAMILY,
        "a literal with fewer octets than announced",
        Answer(b"* 1 FETCH (BODY[] {50}\r\nHELLO)\r\nTAG OK done\r\n"),
        Wait(5),
        demand=in_step,
        ends_in_step=True,
        timeout=0.4,
    ),
    fetched(
        FAMILY,
        "an announcement inside a quoted string",
        Answer(b'* 1 FETCH (ENVELOPE (NIL "{5}" NIL))\r\nTAG OK done\r\n'),
        demand=both(in_step, gives(MARK)),
        ends_in_step=True,
    ),
    fetched(
        FAMILY,
        "a line that ends in an announcement inside a quoted string",
        Answer(b'* 1 FETCH (X "{5}\r\nHELLO)\r\nTAG OK done\r\n'),
        demand=in_step,
        ends_in_step=True,
    ),
    # the late answer
    Scenario(
        FAMILY,
        "a late answer",
        (*SELECTED, Expect(b"SEARCH"), Wait(1), Answer(b"* SEARCH 666\r\nTAG OK done\r\n"), Serve()),
        (SELECT, SEARCH, NOOP, SEARCH),
        both(dead, never_gives(b"666")),
        timeout=0.4,
    ),
    Scenario(
        FAMILY,
        "the second half of an answer, late",
        (*SELECTED, Expect(b"SEARCH"), Answer(b"* SEARCH 66"), Wait(1), Answer(b"6\r\nTAG OK done\r\n"), Serve()),
        (SELECT, SEARCH, NOOP, SEARCH),
        both(dead, never_gives(b"66")),
        timeout=0.4,
    ),
    Scenario(
        FAMILY,
        "the second half of a literal, late",
        (
            *SELECTED,
            Expect(b"FETCH"),
            Answer(b"* 1 FETCH (BODY[] {10}\r\nHELLO"),
            Wait(1),
            Answer(b"WORLD)\r\nTAG OK done\r\n"),
            Serve(),
        ),
        (SELECT, call("fetch", "1", "(BODY[])"), NOOP, SEARCH),
        both(dead, never_gives(b"HELLO")),
        timeout=0.4,
    ),
    Scenario(
        FAMILY,
        "nothing is sent on a connection that timed out",
        (*SELECTED, Expect(b"NOOP"), Wait(1), Serve()),
        (SELECT, NOOP, call("create", "secret")),
        both(dead, never_sends(b"secret")),
        timeout=0.4,
    ),
    Scenario(
        FAMILY,
        "a late BYE",
        (*SELECTED, Expect(b"SEARCH"), Answer(b"* SEARCH 666\r\n* BYE bye\r\nTAG OK done\r\n"), Serve()),
        (SELECT, SEARCH, SEARCH),
        dead,
        typed=refused,
    ),
    # literals of the client's
    append("OK to APPEND before the message", Answer(b"TAG OK done\r\n"), demand=append_refused),
    append(
        "NO to APPEND before the message",
        Answer(b"TAG NO over quota\r\n"),
        demand=both(in_step, gives(MARK), never_sends(b"message")),
    ),
    append(
        "NO to APPEND, and a continuation request",
        Answer(b"TAG NO over quota\r\n+ go on\r\n"),
        demand=both(in_step, never_sends(b"message")),
    ),
    append("BYE to APPEND", Answer(b"* BYE over quota\r\n"), demand=both(dead, never_sends(b"message"))),
    append(
        "NO to another tag, to APPEND", Answer(b"NEXT NO no\r\n"), demand=both(refused_in_step, never_sends(b"message"))
    ),
    append(
        "a literal before the continuation request",
        Answer(b"* LIST () NIL {5}\r\nHELLO\r\n+ go on\r\n"),
        ReadOctets(9),
        ReadLine(),
        Answer(b"TAG OK done\r\n"),
        demand=both(in_step, gives(MARK)),
    ),
    append("a reset in the middle of the message", Reset(), demand=dead),
    # SELECT
    Scenario(
        FAMILY,
        "NO to SELECT",
        (*SELECTED, Expect(b"SELECT"), Answer(b"* 7 EXISTS\r\nTAG NO done\r\n"), Serve()),
        (SELECT, call("select", "other"), SEARCH),
        refused,
    ),
    Scenario(
        FAMILY,
        "READ-ONLY to SELECT",
        (PREAUTH, Expect(b"SELECT"), Answer(b"TAG OK [READ-ONLY] done\r\n"), Serve()),
        (SELECT,),
        refused,
        typed=gives(b"INBOX"),  # which says that it is read-only
    ),
    # IDLE
    idle("OK to IDLE before DONE", Send(b"+ idling\r\n"), Answer(b"TAG OK done\r\n")),
    idle("OK to IDLE in place of the continuation request", Answer(b"TAG OK done\r\n")),
    # The typed clients then ask by NOOP, which this server does not expect.
    idle("NO to IDLE", Answer(b"TAG NO not now\r\n"), demand=both(in_step, gives(MARK)), typed=in_step),
    idle("BYE in IDLE", Send(b"+ idling\r\n* BYE bye\r\n"), ReadLine(), Answer(b"TAG OK done\r\n")),
    idle("an odd line in IDLE", Send(b"+ idling\r\nhello\r\n"), ReadLine(), Answer(b"TAG OK done\r\n"), demand=dead),
    idle(
        "an answer to another command in IDLE",
        Send(b"+ idling\r\n"),
        Answer(b"NEXT OK done\r\n"),
        ReadLine(),
        Answer(b"TAG OK done\r\n"),
        demand=dead,
    ),
    idle(
        "half a line at the end of IDLE",
        Send(b"+ idling\r\n* 5 EXI"),
        ReadLine(),
        Answer(b"STS\r\nTAG OK done\r\n"),
        demand=both(in_step, gives(MARK)),
    ),
    idle(
        "half a literal at the end of IDLE",
        Send(b"+ idling\r\n* 5 FETCH (BODY[] {10}\r\nHELLO"),
        demand=dead,
        typed=refused,  # to end IDLE they wait for nothing
    ),
    idle(
        "a second continuation request in IDLE",
        Send(b"+ idling\r\n+ idling\r\n"),
        ReadLine(),
        Answer(b"TAG OK done\r\n"),
    ),
    idle("the end of the connection in IDLE", Send(b"+ idling\r\n* 5 EXISTS\r\n"), Reset(), demand=dead),
    # LOGOUT
    Scenario(
        FAMILY,
        "OK to LOGOUT without BYE",
        (PREAUTH, Expect(b"LOGOUT"), Answer(b"TAG OK done\r\n")),
        (call("logout"),),
        survives,
    ),
    Scenario(
        FAMILY,
        "NO to LOGOUT",
        (PREAUTH, Expect(b"LOGOUT"), Answer(b"TAG NO stay\r\n"), Serve()),
        (call("logout"), NOOP),
        refused,
    ),
    Scenario(
        FAMILY, "the end of the connection in place of BYE", (PREAUTH, Expect(b"LOGOUT")), (call("logout"),), survives
    ),
    # tags
    Scenario(
        FAMILY,
        "tags cannot be told from those of another connection",
        (Send(b"* OK x\r\n"), Serve()),
        (call("connect_again"), call("connect_again")),
        different_tags,
    ),
]
