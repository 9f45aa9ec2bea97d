"""SASL: bad base64 and challenges without end are refused, and no credential goes where it is not asked for."""

import base64

from ..scenario import (
    GREETING,
    MIB,
    NOOP,
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
from ..server import Answer, Expect, ReadLine, Send, Serve, Step

FAMILY = "SASL"
CRAM_MD5 = call("login_cram_md5", "user", "secret")
PLAIN = call("login_plain", "user", "secret")
GENERIC = call("authenticate", "PLAIN", lambda challenge: b"\0user\0secret")
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
        "17 challenges ahead of OK",
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
        "NO ahead of the response",
        Answer(b"TAG NO no\r\n"),
        calls=(PLAIN,),
        demand=both(refused, never_sends(b"AHVzZXIAc2VjcmV0")),
    ),
    sasl("OK ahead of the response", Answer(b"TAG OK who cares\r\n"), calls=(PLAIN,), demand=survives),
    sasl(
        "BYE ahead of the response",
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
        "OK behind a cancelled exchange",
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
]
