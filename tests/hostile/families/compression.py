"""Compression: the limits hold behind it, and nothing but one whole stream is taken (COMPRESS=DEFLATE, RFC 4978)."""

from ..scenario import (
    IN_STEP,
    KIB,
    MIB,
    NOOP,
    SEARCH,
    SELECT,
    TYPED,
    Call,
    Demand,
    Scenario,
    both,
    call,
    dead,
    gives,
    gives_count,
    never_gives,
    refused,
    survives,
    timed_out,
)
from ..server import Answer, Compress, Drip, EndCompression, Expect, Send, Serve, Step, Wait

FAMILY = "compression"

BEGIN: tuple[Step, ...] = (
    Send(b"* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] ready\r\n"),
    Expect(b"COMPRESS"),
    Answer(b"TAG OK begin\r\n"),
)
SELECTED: tuple[Step, ...] = (*BEGIN, Compress(), Expect(b"SELECT"), Answer(b"* 3 EXISTS\r\nTAG OK done\r\n"))
FETCH = call("fetch", "1", "(BODY[])")


def compressed(
    name: str, *steps: Step, calls: tuple[Call, ...], demand: Demand, timeout: float = 5, cuts: bool = False
) -> Scenario:
    """Return a scenario of a client that asks for compression; `steps` are all that the server does."""
    # Five octets are the mark of a sync flush, after the data (RFC 1951, section 3.2.4); how many the data are depends
    # by some on the tags.
    return Scenario(
        FAMILY, name, steps, calls, demand, timeout, interface=TYPED, settings={"compress": True}, cuts=cuts, trailer=10
    )


SCENARIOS = [
    compressed(
        "a session, honest",
        *SELECTED,
        Expect(b"FETCH"),
        Answer(b"* 1 FETCH (BODY[] {5}\r\nHELLO)\r\nTAG OK done\r\n"),
        calls=(SELECT, FETCH),
        demand=gives(b"HELLO"),
    ),
    compressed(
        "a literal of 64 MiB that 64 KiB hold, honest",
        *SELECTED,
        Expect(b"FETCH"),
        Answer(b"* 1 FETCH (BODY[] {67108864}\r\n"),
        Send(b"0123456789abcdef" * (4 * KIB), 1024),
        Answer(b")\r\nTAG OK done\r\n"),
        calls=(SELECT, FETCH),
        demand=gives_count(4 * MIB, b"0123456789abcdef"),
        timeout=30,
    ),
    compressed(
        "a line of 1 GiB that 1 MiB holds",
        *SELECTED,
        Expect(b"FETCH"),
        Send(b"* 1 FETCH (X "),
        Send(b"x" * MIB, 1024),
        calls=(SELECT, FETCH),
        demand=refused,
    ),
    compressed(
        "unsolicited responses without end",
        *SELECTED,
        Expect(b"NOOP"),
        Send(b"* X-UNASKED " + b"x" * MIB + b"\r\n", None),
        calls=(SELECT, NOOP, SEARCH),
        demand=dead,
    ),
    compressed(
        "empty lines without end",
        *SELECTED,
        Expect(b"NOOP"),
        Send(b"\r\n" * MIB, None),
        calls=(SELECT, NOOP, SEARCH),
        demand=dead,
    ),
    compressed(
        "a literal of 2^32 octets announced",
        *SELECTED,
        Expect(b"FETCH"),
        Answer(b"* 1 FETCH (BODY[] {4294967296}\r\nHELLO)\r\nTAG OK done\r\n"),
        *IN_STEP,
        calls=(SELECT, FETCH, SEARCH),
        demand=both(dead, never_gives(b"HELLO")),
    ),
    compressed(
        "octets in the clear after OK",
        *BEGIN,
        Send(b"* 3 EXISTS\r\n"),
        Serve(),
        calls=(SELECT,),
        demand=refused,
    ),
    compressed(
        "garbage after OK",
        *BEGIN,
        Send(bytes(range(255, 0, -1))),
        Serve(),
        calls=(SELECT,),
        demand=refused,
    ),
    compressed(
        "garbage in the middle of the stream",
        *SELECTED,
        Expect(b"SEARCH"),
        Answer(b"* SEARCH 666\r\n"),
        EndCompression(),
        Send(b"\xff\xfe\xfd" * 100),
        calls=(SELECT, SEARCH),
        demand=both(refused, never_gives(b"666")),
    ),
    compressed(
        "the end of the stream before the answer",
        *SELECTED,
        Expect(b"SEARCH"),
        Answer(b"* SEARCH 666\r\n"),
        EndCompression(),
        Answer(b"TAG OK done\r\n"),
        calls=(SELECT, SEARCH),
        demand=both(refused, never_gives(b"666")),
    ),
    compressed(
        "the end of the stream after the answer",
        *SELECTED,
        Expect(b"NOOP"),
        Answer(b"TAG OK done\r\n"),
        EndCompression(),
        Answer(b"* SEARCH 666\r\n"),
        Serve(),
        calls=(SELECT, NOOP, SEARCH),
        demand=both(refused, never_gives(b"666")),
    ),
    compressed("NO to COMPRESS", *BEGIN[:2], Answer(b"TAG NO not today\r\n"), Serve(), calls=(), demand=refused),
    compressed(
        "COMPRESS is not among the capabilities",
        Send(b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n"),
        Serve(),
        calls=(),
        demand=refused,
    ),
    compressed(
        "COMPRESSIONACTIVE",
        *BEGIN[:2],
        Answer(b"TAG NO [COMPRESSIONACTIVE] DEFLATE is active via TLS\r\n"),
        Serve(),
        calls=(),
        demand=refused,
    ),
    compressed(
        "silence after OK",
        *BEGIN,
        Wait(2.5),
        calls=(SELECT,),
        demand=timed_out,
        timeout=0.4,
    ),
    compressed(
        "empty blocks, one after the other",
        *SELECTED,
        Expect(b"NOOP"),
        EndCompression(finish=False),
        Drip(b"\0\0\0\xff\xff" * 20, 0.025),
        calls=(SELECT, NOOP),
        demand=refused,
        timeout=0.4,
    ),
    compressed(
        "empty blocks without end",
        *SELECTED,
        Expect(b"NOOP"),
        EndCompression(finish=False),
        Send(b"\0\0\0\xff\xff" * 10_000, None),
        calls=(SELECT, NOOP),
        demand=refused,
        timeout=1,
    ),
    compressed(
        "the end at every octet of a session",
        *SELECTED,
        Expect(b"FETCH"),
        Answer(b"* 1 FETCH (BODY[] {12}\r\nHELLO\r\nWORLD)\r\nTAG OK done\r\n"),
        Expect(b"SEARCH"),
        Answer(b"* SEARCH 12 345\r\nTAG OK done\r\n"),
        calls=(SELECT, FETCH, SEARCH),
        demand=survives,
        cuts=True,
    ),
]
