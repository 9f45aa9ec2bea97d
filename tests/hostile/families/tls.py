"""TLS: verified by default; STARTTLS is all or nothing; no credential in the clear where the server rules that out."""

from ..scenario import (
    GREETING,
    NOOP,
    PREAUTH,
    Call,
    Demand,
    Scenario,
    both,
    call,
    dead,
    gives,
    never_gives,
    never_sends,
    one_connection,
    refused,
    survives,
)
from ..server import Answer, Capabilities, Expect, Send, Serve, StartTLS, Step

FAMILY = "TLS"
SECRET = b"secret"
LOGIN = call("login", "user", "secret")
STARTTLS = call("starttls")
GO_ON = Answer(b"TAG OK begin\r\n")


def implicit(name: str, certificate: str, demand: Demand) -> Scenario:
    return Scenario(FAMILY, name, (StartTLS(certificate), GREETING, Serve()), (LOGIN,), demand, tls=True)


def starttls(name: str, *steps: Step, demand: Demand, calls: tuple[Call, ...] = (STARTTLS, LOGIN)) -> Scenario:
    """Return a scenario in which the `steps` follow the client's STARTTLS."""
    return Scenario(FAMILY, name, (GREETING, Expect(b"STARTTLS"), *steps), calls, demand, timeout=3)


def plain(name: str, *steps: Step, calls: tuple[Call, ...], demand: Demand) -> Scenario:
    return Scenario(FAMILY, name, steps, calls, demand, timeout=3)


NO_LOGIN = Send(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready\r\n")
LEAKS_NOTHING = both(dead, never_sends(SECRET))

SCENARIOS = [
    implicit("a good certificate", "good", gives(b"done")),
    implicit("a certificate for another host", "wrong host", both(refused, never_sends(SECRET))),
    implicit("a certificate of an unknown authority", "untrusted", both(refused, never_sends(SECRET))),
    implicit("a certificate that has expired", "expired", both(refused, never_sends(SECRET))),
    Scenario(
        FAMILY,
        "no TLS on the port",
        (GREETING, Serve()),
        (LOGIN,),
        both(refused, never_sends(SECRET)),
        timeout=3,
        tls=True,
    ),
    Scenario(
        FAMILY,
        "garbage in the handshake",
        (Send(bytes(range(256)) * 100), Serve()),
        (LOGIN,),
        refused,
        timeout=3,
        tls=True,
    ),
    Scenario(
        FAMILY,
        "octets in the clear after the greeting",
        (StartTLS(), GREETING, Expect(b"LOGIN"), Answer(b"TAG OK x\r\n")),
        (LOGIN, NOOP),
        refused,
        tls=True,
    ),
    starttls("a good certificate, by STARTTLS", GO_ON, StartTLS(), Serve(), demand=gives(b"done")),
    starttls(
        "a certificate for another host, by STARTTLS", GO_ON, StartTLS("wrong host"), Serve(), demand=LEAKS_NOTHING
    ),
    starttls(
        "a certificate of an unknown authority, by STARTTLS",
        GO_ON,
        StartTLS("untrusted"),
        Serve(),
        demand=LEAKS_NOTHING,
    ),
    starttls("a certificate that has expired, by STARTTLS", GO_ON, StartTLS("expired"), Serve(), demand=LEAKS_NOTHING),
    starttls(
        "a response after the OK to STARTTLS",
        Answer(b"TAG OK begin\r\n* CAPABILITY IMAP4rev1 EVIL\r\n"),
        StartTLS(),
        Serve(),
        demand=both(dead, never_sends(SECRET), never_gives(b"EVIL")),
    ),
    starttls(
        "half a response after the OK to STARTTLS",
        Answer(b"TAG OK begin\r\n* O"),
        StartTLS(),
        Serve(),
        demand=LEAKS_NOTHING,
    ),
    starttls(
        "the answer to the next command after the OK to STARTTLS",
        Answer(b"TAG OK begin\r\nNEXT OK done\r\n"),
        StartTLS(),
        Serve(),
        demand=LEAKS_NOTHING,
    ),
    starttls(
        "an empty line after the OK to STARTTLS",
        Answer(b"TAG OK begin\r\n\r\n"),
        StartTLS(),
        Serve(),
        demand=LEAKS_NOTHING,
    ),
    starttls(
        "text in place of the handshake", GO_ON, Send(b"* OK still in the clear\r\n"), Serve(), demand=LEAKS_NOTHING
    ),
    starttls("the end in place of the handshake", GO_ON, demand=LEAKS_NOTHING),
    starttls("NO to STARTTLS, and LOGIN all the same", Answer(b"TAG NO not today\r\n"), Serve(), demand=LEAKS_NOTHING),
    starttls("BAD to STARTTLS, and LOGIN all the same", Answer(b"TAG BAD what\r\n"), Serve(), demand=LEAKS_NOTHING),
    starttls("a continuation request to STARTTLS", Send(b"+ go on\r\n"), GO_ON, StartTLS(), Serve(), demand=survives),
    starttls(
        "what was learnt before TLS is forgotten",
        Answer(b"* X-INJECTED evil\r\nTAG OK begin\r\n"),
        StartTLS(),
        Serve(),
        demand=never_gives(b"evil"),
        calls=(STARTTLS, call("response", "X-INJECTED")),
    ),
    starttls(
        "capabilities in the OK to STARTTLS are forgotten",
        Answer(b"TAG OK [CAPABILITY IMAP4rev1 LOGINDISABLED] begin\r\n"),
        StartTLS(),
        Serve(),
        demand=gives(b"done"),
    ),
    starttls(
        "LOGINDISABLED after TLS holds",
        GO_ON,
        StartTLS(),
        Capabilities(b"IMAP4rev1 LOGINDISABLED"),
        Serve(),
        demand=both(refused, never_sends(SECRET)),
    ),
    starttls("STARTTLS twice", GO_ON, StartTLS(), Serve(), demand=refused, calls=(STARTTLS, STARTTLS)),
    plain(
        "PREAUTH before STARTTLS",
        Send(b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] x\r\n"),
        Serve(),
        calls=(STARTTLS, call("create", "secret")),
        demand=LEAKS_NOTHING,
    ),
    plain(
        "STARTTLS is not among the capabilities",
        Send(b"* OK [CAPABILITY IMAP4rev1] x\r\n"),
        Capabilities(b"IMAP4rev1"),
        Serve(),
        calls=(STARTTLS, LOGIN),
        demand=LEAKS_NOTHING,
    ),
    plain(
        "LOGINDISABLED in the greeting",
        NO_LOGIN,
        Capabilities(b"IMAP4rev1 LOGINDISABLED"),
        Serve(),
        calls=(LOGIN,),
        demand=both(refused, never_sends(SECRET)),
    ),
    plain(
        "LOGINDISABLED to CAPABILITY",
        Send(b"* OK x\r\n"),
        Capabilities(b"IMAP4rev1 LOGINDISABLED"),
        Serve(),
        calls=(LOGIN,),
        demand=both(refused, never_sends(SECRET)),
    ),
    plain(
        "LOGINDISABLED in small letters",
        Send(b"* OK [CAPABILITY imap4rev1 logindisabled] x\r\n"),
        Capabilities(b"IMAP4rev1 logindisabled"),
        Serve(),
        calls=(LOGIN,),
        demand=both(refused, never_sends(SECRET)),
    ),
    plain(
        "PLAIN under LOGINDISABLED, not offered",
        NO_LOGIN,
        Expect(b"AUTHENTICATE"),
        Send(b"+ \r\n"),
        Serve(),
        calls=(call("login_plain", "user", "secret"),),
        demand=both(refused, never_sends(b"AHVzZXIAc2VjcmV0")),
    ),
    plain(
        "a referral in NO to LOGIN",
        GREETING,
        Expect(b"LOGIN"),
        Answer(b"TAG NO [REFERRAL imap://localhost/] try there\r\n"),
        Serve(),
        calls=(LOGIN,),
        demand=both(refused, one_connection),
    ),
    plain(
        "a referral in BYE",
        Send(b"* BYE [REFERRAL imap://localhost/] try there\r\n"),
        calls=(),
        demand=both(refused, one_connection),
    ),
    plain(
        "a referral to SELECT",
        PREAUTH,
        Expect(b"SELECT"),
        Answer(b"TAG NO [REFERRAL imap://localhost/x] try there\r\n"),
        Serve(),
        calls=(call("select", "x"), NOOP),
        demand=both(gives(b"done"), one_connection),
    ),
]
