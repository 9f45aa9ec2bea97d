"""Sizes: nothing is allocated from an announced number, and a truncated literal is never returned as data."""

from ..scenario import (
    GREETING,
    KIB,
    MIB,
    NOOP,
    PREAUTH,
    SEARCH,
    SELECT,
    SELECTED,
    Scenario,
    both,
    call,
    dead,
    fetched,
    gives,
    gives_count,
    in_step,
    never_gives,
    refused,
    refused_in_step,
)
from ..server import Answer, Expect, Send

FAMILY = "sizes"

# What no client can want to hold. The drop-in's own limit for a literal is 1 GiB.
TOO_LARGE = {
    "2^31": b"2147483648",
    "2^32": b"4294967296",
    "2^32 + 5": b"4294967301",
    "2^63 - 1": b"9223372036854775807",
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "2^64 + 5": b"18446744073709551621",
    "100 digits": b"9" * 100,
    "5,000 digits": b"9" * 5000,
}
NO_SIZE = {
    "negative": b"-5",
    "with a plus in front": b"+5",
    "hexadecimal": b"0x5",
    "with a space": b" 5",
    "with an underscore": b"1_0",
    "not ASCII (Arabic-Indic five)": "\u0665".encode(),
    "empty": b"",
}

SCENARIOS: list[Scenario] = []

for _name, _size in TOO_LARGE.items():
    # The octets of five are there: who takes the size modulo a power of two returns them.
    _literal = b"{" + _size + b"}\r\nHELLO"
    SCENARIOS += [
        fetched(
            FAMILY,
            f"a literal of {_name} in FETCH",
            Answer(b"* 1 FETCH (BODY[] " + _literal + b")\r\nTAG OK done\r\n"),
            demand=both(dead, never_gives(b"HELLO")),
            ends_in_step=True,
        ),
        fetched(
            FAMILY,
            f"a literal of {_name} in an untagged NO",
            Answer(b"* NO " + _literal + b"\r\nTAG OK done\r\n"),
            demand=dead,
            ends_in_step=True,
        ),
        Scenario(FAMILY, f"a literal of {_name} in the greeting", (Send(b"* OK " + _literal + b"\r\n"),), (), refused),
    ]

for _name, _size in NO_SIZE.items():
    SCENARIOS.append(
        fetched(
            FAMILY,
            f"a literal's size {_name}",
            Answer(b"* 1 FETCH (BODY[] {" + _size + b"}\r\nHELLO)\r\nTAG OK done\r\n"),
            demand=refused_in_step,
            ends_in_step=True,
        )
    )

SCENARIOS += [
    fetched(
        FAMILY,
        "a size with 60 zeros in front is what it says",
        Answer(b"* 1 FETCH (BODY[] {" + b"0" * 60 + b"5}\r\nHELLO)\r\nTAG OK done\r\n"),
        demand=gives(b"HELLO"),
    ),
    fetched(
        FAMILY,
        "a literal of 0",
        Answer(b"* 1 FETCH (BODY[] {0}\r\n)\r\nTAG OK done\r\n"),
        demand=in_step,
        ends_in_step=True,
    ),
    fetched(
        FAMILY,
        "a literal of 1 GiB - 1 announced, ten octets sent, then the end",
        Answer(b"* 1 FETCH (BODY[] {1073741823}\r\n0123456789"),
        demand=both(refused, never_gives(b"0123456789")),
    ),
    fetched(
        FAMILY,
        "20 literals of 900 MiB announced in turn",
        Answer(b"* 1 FETCH (BODY[] {943718400}\r\n" * 20),
        demand=refused,
    ),
    fetched(
        FAMILY,
        "a literal of 1 MiB, all but its last octet, then the end",
        Answer(b"* 1 FETCH (BODY[] {1048576}\r\n"),
        Send(bytes(MIB - 1)),
        demand=refused,
    ),
    fetched(
        FAMILY,
        "a literal, and the end where the response should close",
        Answer(b"* 1 FETCH (BODY[] {5}\r\nHELLO"),
        demand=both(refused, never_gives(b"HELLO")),
    ),
    fetched(
        FAMILY,
        "a literal, and the end before the tagged answer",
        Answer(b"* 1 FETCH (BODY[] {5}\r\nHELLO)\r\n"),
        demand=both(refused, never_gives(b"HELLO")),
    ),
    fetched(
        FAMILY,
        "a truncated literal with the tagged answer inside",
        Answer(b"* 1 FETCH (BODY[] {500}\r\nHELLO)\r\nTAG OK done\r\n"),
        demand=both(refused, never_gives(b"HELLO")),
    ),
    fetched(
        FAMILY,
        "a literal of 64 MiB, honest",
        Answer(b"* 1 FETCH (BODY[] {67108864}\r\n"),
        Send(b"0123456789abcdef" * (4 * KIB), 1024),
        Answer(b")\r\nTAG OK done\r\n"),
        demand=gives_count(4 * MIB, b"0123456789abcdef"),
    ),
    Scenario(
        FAMILY,
        "a truncated literal in an unsolicited response",
        (*SELECTED, Expect(b"NOOP"), Answer(b"* 1 FETCH (BODY[] {100000}\r\nHELLO")),
        (SELECT, NOOP, SEARCH),
        dead,
    ),
    Scenario(
        FAMILY,
        "a truncated literal in LIST",
        (PREAUTH, Expect(b"LIST"), Answer(b'* LIST () "/" {20}\r\nINBOX')),
        (call("list"),),
        both(refused, never_gives(b"INBOX")),
    ),
    Scenario(
        FAMILY,
        "an announced literal in the tagged answer to LOGIN",
        (GREETING, Expect(b"LOGIN"), Answer(b"TAG NO {1000000000}\r\n")),
        (call("login", "user", "secret"), NOOP),
        refused,
    ),
]
