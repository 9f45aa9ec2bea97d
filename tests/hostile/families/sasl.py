"""SASL: bad base64 and challenges without end are refused, and no credential goes where it is not asked for."""

import base64
from collections.abc import Iterator
from itertools import chain

from ..scenario import (
    GREETING,
    MIB,
    NOOP,
    TYPED,
    Call,
    Demand,
    Scenario,
    both,
    call,
    dead,
    gives,
    never_sends,
    refused,
    survives,
)
from ..server import Answer, Challenge, Expect, ReadLine, Send, Serve, Step

FAMILY = "SASL"
CRAM_MD5 = call("login_cram_md5", "user", "secret")
PLAIN = call("login_plain", "user", "secret")
GENERIC = call("authenticate", "PLAIN", lambda challenge: b"\0user\0secret")
SCRAM = call("login_scram", "user", "secret")
CANCELS = call("authenticate", "PLAIN", lambda challenge: None)


def sasl(name: str, *steps: Step, calls: tuple[Call, ...], demand: Demand) -> Scenario:
    """Return a scenario in which the `steps` follow AUTHENTICATE."""
    return Scenario(FAMILY, name, (GREETING, Expect(b"AUTHENTICATE"), *steps, Serve()), calls, demand, timeout=3)


def challenge(name: str, octets: bytes) -> Scenario:
    """Return a scenario with a challenge that is no base64; the exchange is cancelled, or the connection dead."""
    return sasl(
        name,
        Send(b"+ " + octets + b"\r\n"),
        ReadLine(),
        Answer(b"TAG BAD cancelled\r\n"),
        calls=(CRAM_MD5,),
        demand=refused,
    )


def scram(name: str, *challenges: bytes, demand: Demand = refused) -> Scenario:
    """Return a scenario of SCRAM-SHA-256 (RFC 7677) with `challenges`, and OK for what is no cancellation."""
    exchanges: Iterator[tuple[Step, ...]] = ((Challenge(octets), ReadLine()) for octets in challenges)
    return Scenario(
        FAMILY,
        f"SCRAM, {name}",
        (
            Send(b"* OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] ready\r\n"),
            Expect(b"AUTHENTICATE"),
            Send(b"+ \r\n"),
            ReadLine(),
            *chain.from_iterable(exchanges),
            Answer(b"TAG OK done\r\n"),
            Serve(),
        ),
        (SCRAM,),
        demand,
        timeout=5,
        interface=TYPED,
    )


FIRST = b"r=NONCEserver,s=QSXCR+Q6sek8bf92,i=4096"

SCENARIOS = [
    challenge("a challenge in the clear", b"<1896.697170952@mail.example>"),
    challenge("a challenge of a wrong length", b"AAAAA"),
    challenge("a challenge with wrong padding", b"AA=A"),
    challenge("a challenge with a letter of another alphabet", b"AA__"),
    challenge("a challenge with octets that are no text", b"\xff\xfe\x80\x81"),
    sasl(
        "1,000 challenges",
        *(Send(b"+ AAAA\r\n"), ReadLine()) * 1000,
        Answer(b"TAG OK done\r\n"),
        calls=(GENERIC,),
        demand=refused,
    ),
    sasl(
        "17 challenges before OK",
        *(Send(b"+ AAAA\r\n"), ReadLine()) * 17,
        Answer(b"TAG OK done\r\n"),
        calls=(GENERIC,),
        demand=refused,
    ),
    sasl(
        "3 challenges, honest",
        *(Send(b"+ AAAA\r\n"), ReadLine()) * 3,
        Answer(b"TAG OK done\r\n"),
        calls=(GENERIC,),
        demand=gives(b"done"),
    ),
    sasl(
        "a challenge of 1 MiB is refused or answered",
        Send(b"+ " + base64.b64encode(bytes(MIB)) + b"\r\n"),
        ReadLine(),
        Answer(b"TAG OK done\r\n"),
        calls=(CRAM_MD5,),
        demand=survives,
    ),
    sasl(
        "NO before the response",
        Answer(b"TAG NO no\r\n"),
        calls=(PLAIN,),
        demand=both(refused, never_sends(b"AHVzZXIAc2VjcmV0")),
    ),
    sasl("OK before the response", Answer(b"TAG OK who cares\r\n"), calls=(PLAIN,), demand=survives),
    sasl(
        "BYE before the response",
        Answer(b"* BYE bye\r\n"),
        calls=(PLAIN, NOOP),
        demand=both(dead, never_sends(b"AHVzZXIAc2VjcmV0")),
    ),
    sasl(
        "the answer to another command",
        Answer(b"NEXT OK done\r\n"),
        calls=(PLAIN, NOOP),
        demand=both(dead, never_sends(b"AHVzZXIAc2VjcmV0")),
    ),
    sasl(
        "a challenge that is not asked for, to cancel",
        Send(b"+ AAAA\r\n"),
        ReadLine(),
        Answer(b"TAG OK done\r\n"),
        calls=(CANCELS,),
        demand=survives,
    ),
    sasl(
        "OK after a cancelled exchange",
        Send(b"+ AAAA\r\n"),
        ReadLine(),
        Answer(b"TAG OK done\r\n"),
        calls=(CRAM_MD5, NOOP),
        demand=survives,
    ),
    sasl(
        "a tagged answer that is none",
        Send(b"+ \r\n"),
        ReadLine(),
        Answer(b"TAG FINE done\r\n"),
        calls=(PLAIN,),
        demand=refused,
    ),
    sasl(
        "NO that is no text",
        Send(b"+ \r\n"),
        ReadLine(),
        Answer(b"TAG NO \xff\xfe\r\n"),
        calls=(PLAIN,),
        demand=refused,
    ),
    Scenario(
        FAMILY,
        "LOGIN is asked to go on",
        (GREETING, Expect(b"LOGIN"), Send(b"+ AAAA\r\n"), Answer(b"TAG NO no\r\n"), Serve()),
        (call("login", "user", "secret"),),
        refused,
    ),
    # A server that does not know the password, and wants it to be said, or to be believed (RFC 5802, section 9).
    scram("OK without a word"),
    scram("OK without a signature", FIRST),
    scram("a signature that is wrong", FIRST, b"v=" + base64.b64encode(bytes(32))),
    scram("a signature that is too short", FIRST, b"v="),
    scram("a signature that is no base64", FIRST, b"v=!"),
    scram("something else than a signature", FIRST, b"x=y"),
    scram("the first message again for a signature", FIRST, FIRST),
    scram("a nonce of its own", FIRST.replace(b"NONCE", b"fyko+d2lbbFgONRv9qkxdawL")),
    scram("the client's nonce alone", FIRST.replace(b"NONCEserver", b"NONCE")),
    scram("no nonce", b"s=QSXCR+Q6sek8bf92,i=4096"),
    scram("no salt", b"r=NONCEserver,i=4096"),
    scram("a salt that is no base64", b"r=NONCEserver,s=!,i=4096"),
    scram("one iteration", FIRST.replace(b"4096", b"1")),
    scram("4,095 iterations", FIRST.replace(b"4096", b"4095")),
    scram("1,000,001 iterations", FIRST.replace(b"4096", b"1000001")),
    scram("2^63 iterations", FIRST.replace(b"4096", b"9223372036854775808")),
    scram("iterations of 100,000 digits", FIRST.replace(b"4096", b"9" * 100_000)),
    scram("iterations that are no number", FIRST.replace(b"4096", b"-4096")),
    scram("iterations in other digits", FIRST.replace(b"4096", "٤٠٩٦".encode())),
    scram("an extension that must be understood", b"m=x," + FIRST),
    scram("its own error", FIRST, b"e=invalid-proof"),
    scram("100,000 attributes", FIRST + b",x=y" * 100_000),
    scram("octets that are no text", b"r=NONCE\xff\xfe,s=QSXCR+Q6sek8bf92,i=4096"),
]
