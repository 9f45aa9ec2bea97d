"""Names: what a server calls a mailbox or a file is data, kept as sent, and no argument but itself when sent back."""

from typing import Any

from ..scenario import (
    NOOP,
    PREAUTH,
    TYPED,
    Outcome,
    Returned,
    Scenario,
    call,
    fetched,
    gives,
    shown,
)
from ..server import Answer, Expect, Serve

FAMILY = "names"

NAMES = {
    "a path upwards": b"../../etc/passwd",
    "an absolute path": b"/etc/passwd",
    "a path of another system": b"C:\\Windows\\x",
    "a name that ends in a NUL": b"x\0",
    "CR LF and a command": b"x\r\nA1 DELETE secret",
    "LF and a command": b"x\nA1 DELETE secret",
    "quotes and a second argument": b'x" "y',
    "an escape at the end": b"x\\",
    "a literal's announcement": b"{4}",
    "the announcement of a literal that does not wait": b"x{4+}",
    "wildcards": b"*%",
    "parentheses": b"(a b)",
    "NIL": b"NIL",
    "a number": b"007",
    "nothing": b"",
    "a space": b" ",
    "a tilde": b"~root",
    "modified UTF-7 that ends amid a character": b"&AOQ",
    "modified UTF-7 of half a surrogate pair": b"&2D0-",
    "modified UTF-7 with bits left over": b"&AOR-",
    "modified UTF-7 of ASCII": b"&AGEAYg-",
    "modified UTF-7 with a NUL inside": b"&AAA-",
    "modified UTF-7 with CR LF inside": b"&AA0ACg-",
    "modified UTF-7 in a row": b"&AOQ-&AOQ-",
    "UTF-8": "Entwürfe".encode(),
    "octets that are no text": b"\xff\xfe",
    "overlong UTF-8": b"\xc0\xaf",
    "a lone surrogate in UTF-8": b"\xed\xa0\x80",
    "text that runs backwards": "\u202etxt.exe".encode(),
    "5,000 octets": b"x" * 5000,
    "INBOX in small letters": b"inbox",
}


def _listed_and_selected(client: Any) -> Any:
    """Select the mailbox that LIST gives, by its octets: what a program does that walks through an account."""
    [mailbox] = client.list_mailboxes()
    client.delete_mailbox(mailbox.octets)
    return mailbox.octets


def _by_name(client: Any) -> Any:
    [mailbox] = client.list_mailboxes()
    client.delete_mailbox(mailbox.name)
    return mailbox.octets


def _exactly(octets: bytes) -> Any:
    """The call that deletes gives `octets`, or is refused with an argument's error before anything is sent."""

    def demand(outcome: Outcome) -> str:
        attempt = outcome.results[1]
        sent = [line for line in outcome.received if b"DELETE" in line.partition(b" ")[2][:6]]
        if isinstance(attempt, Returned):
            return "" if attempt.value == octets else shown(attempt)
        if isinstance(attempt.exception, (TypeError, ValueError)) and not sent:
            return ""
        return shown(attempt)

    return demand


def _listed(name: bytes) -> Answer:
    octets = name.replace(b"TAG", b"tag")
    return Answer(b'* LIST () "/" {%d}\r\n%s\r\nTAG OK done\r\n' % (len(octets), octets))


SCENARIOS = [
    Scenario(
        FAMILY,
        f"{how} from LIST goes back as it came: {what}",
        (PREAUTH, Expect(b"LIST"), _listed(name), Serve()),
        (call("typed", function), NOOP),
        _exactly(name),
        timeout=3,
        interface=TYPED,
        argument_errors=True,
    )
    for what, name in NAMES.items()
    for how, function in (("a name's octets", _listed_and_selected), ("a name", _by_name))
]
SCENARIOS += [
    Scenario(
        FAMILY,
        f"LIST gives a name as sent: {what}",
        (PREAUTH, Expect(b"LIST"), _listed(name)),
        (call("list"),),
        gives(name),
        timeout=3,
    )
    for what, name in NAMES.items()
    if name
]
SCENARIOS += [
    fetched(
        FAMILY,
        f"a file's name is data: {what}",
        Answer(
            b'* 1 FETCH (BODYSTRUCTURE ("APPLICATION" "PDF" ("NAME" {%d}\r\n%s) NIL NIL "BASE64" 4 NIL '
            b'("ATTACHMENT" ("FILENAME" {%d}\r\n%s)) NIL))\r\nTAG OK done\r\n' % (len(name), name, len(name), name)
        ),
        demand=gives(name),
        parts="(BODYSTRUCTURE)",
    )
    for what, name in NAMES.items()
    if name
]
