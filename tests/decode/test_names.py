"""Where the grammar has a name, any spelling is a name: those of numbers, NIL, flags and dates too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from fastimap.model.sequence_set import UIDSet
from fastimap.types import (
    Acl,
    BadCharset,
    BadEvent,
    ComparatorResponse,
    ESearch,
    InProgress,
    LanguageResponse,
    ListRightsResponse,
    MailboxID,
    MailboxInfo,
    MailboxNamespace,
    MailboxStatus,
    Metadata,
    MyRightsResponse,
    Namespaces,
    NoUpdate,
    Quota,
    QuotaResource,
    QuotaRoots,
    ReadOnlyDict,
    ServerID,
    StatusResponse,
    UndefinedFilter,
    UnknownResponse,
)

from .conftest import Decode

Spell: TypeAlias = Callable[[str], bytes]

NAMES = [
    *("0", "1", "007", "00", "9223372036854775808", "1e3", "-1", "+5", "1:5", "1,3", "$"),
    *("NIL", "nil", "Nil", "NILS", "INBOX.NIL"),
    *("\\Seen", "Seen", "$Junk", "\\*", "FLAGS", "FETCH"),
    *("17-Jul-1996", "01-Jan-1970", "2026-11-28"),
    *("UID", "MESSAGES", "EARLIER", "BODY[]", "[Gmail]", "a]b", "~", "a&b"),
]


@pytest.fixture(params=["atom", "quoted", "literal"])
def spelled(request: pytest.FixtureRequest) -> Spell:
    """A function: a name -> its octets as an atom, a quoted string, a literal."""

    def spell(name: str) -> bytes:
        octets = name.encode()
        if request.param == "literal":
            return b"{%d}\r\n%s" % (len(octets), octets)
        if request.param == "quoted":
            return b'"' + octets.replace(b"\\", rb"\\") + b'"'
        return octets

    return spell


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_names_of_mailboxes(decoded: Decode, spelled: Spell, name: str) -> None:
    octets = name.encode()
    sent = spelled(name)
    for kind in ("LIST", "LSUB", "XLIST"):
        assert decoded(b"* %s () NIL %s" % (kind.encode(), sent)) == MailboxInfo(
            name,
            octets,
            None,
            frozenset(),
            kind,
        )
    assert decoded(b"* LIST () NIL new (OLDNAME (%s))" % sent) == MailboxInfo(
        "new", b"new", None, frozenset(), old_name=name
    )
    assert decoded(b"* STATUS %s (MESSAGES 7)" % sent) == MailboxStatus(name, octets, messages=7)
    assert decoded(b"* ACL %s a lr" % sent) == Acl(name, octets, ReadOnlyDict({"a": "lr"}))
    assert decoded(b"* MYRIGHTS %s lr" % sent) == MyRightsResponse(name, octets, "lr")
    assert decoded(b"* LISTRIGHTS %s a lr" % sent) == ListRightsResponse(name, octets, "a", "lr")
    assert decoded(b"* QUOTAROOT %s root" % sent) == QuotaRoots(name, octets, ("root",))
    assert decoded(b"* METADATA %s (/a b)" % sent) == Metadata(name, octets, ReadOnlyDict({"/a": b"b"}))
    assert decoded(b"* METADATA %s /a" % sent) == Metadata(name, octets, changed=("/a",))
    assert decoded(b'* ESEARCH (TAG "T" MAILBOX %s UIDVALIDITY 1) UID ALL 2' % sent) == ESearch(
        b"T", uid=True, all=UIDSet(2), all_octets=b"2", mailbox=name, mailbox_octets=octets, uid_validity=1
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_names_of_other_things(decoded: Decode, spelled: Spell, name: str) -> None:
    """Identifiers and rights (RFC 4314), roots (RFC 9208), entries (RFC 5464), tags, charsets, ..."""
    octets = name.encode()
    sent = spelled(name)
    assert decoded(b"* ACL INBOX 1 r %s rw" % sent) == Acl(
        "INBOX", b"INBOX", ReadOnlyDict({"1": "r", name: "rw"} if name != "1" else {"1": "rw"})
    )
    assert decoded(b"* ACL INBOX a %s" % sent) == Acl("INBOX", b"INBOX", ReadOnlyDict({"a": name}))
    assert decoded(b"* MYRIGHTS INBOX %s" % sent) == MyRightsResponse("INBOX", b"INBOX", name)
    assert decoded(b"* LISTRIGHTS INBOX %s %s r %s" % (sent, sent, sent)) == ListRightsResponse(
        "INBOX", b"INBOX", name, name, ("r", name)
    )
    assert decoded(b"* QUOTAROOT INBOX 5 %s" % sent) == QuotaRoots("INBOX", b"INBOX", ("5", name))
    assert decoded(b"* QUOTA %s (STORAGE 1 007)" % sent) == Quota(name, (QuotaResource("STORAGE", 1, 7),))
    assert decoded(b"* METADATA INBOX (%s 007)" % sent) == Metadata("INBOX", b"INBOX", ReadOnlyDict({name: b"007"}))
    assert decoded(b"* METADATA INBOX /a %s" % sent) == Metadata("INBOX", b"INBOX", changed=("/a", name))
    assert decoded(b'* ID ("a" "b" %s "c")' % sent) == ServerID(ReadOnlyDict({"a": "b", name.lower(): "c"}))
    assert decoded(b"* LANGUAGE (%s)" % sent) == LanguageResponse((name,))
    assert decoded(b"* COMPARATOR %s (%s)" % (sent, sent)) == ComparatorResponse(name, (name,))
    assert decoded(b"* ESEARCH (TAG %s) COUNT 0" % sent) == ESearch(octets, count=0)
    assert decoded(b'* NAMESPACE (("" "/" X-A %s)) NIL NIL' % sent) == Namespaces(
        (MailboxNamespace("", "/", ReadOnlyDict({"X-A": (name,)})),)
    )


@pytest.mark.parametrize("name", [name for name in NAMES if "]" not in name])
def test_names_in_codes(decoded: Decode, name: str) -> None:
    octets = name.encode()
    for code, expected in (
        (b"NOUPDATE %s", NoUpdate("NOUPDATE", octets, tag=octets)),
        (b"UNDEFINED-FILTER %s", UndefinedFilter("UNDEFINED-FILTER", octets, filter_name=name)),
        (b"MAILBOXID (%s)", MailboxID("MAILBOXID", b"(%s)" % octets, mailbox_id=name)),
        (b"BADCHARSET (%s)", BadCharset("BADCHARSET", b"(%s)" % octets, charsets=(name,))),
        (b"BADEVENT (%s)", BadEvent("BADEVENT", b"(%s)" % octets, events=(name,))),
        (b'INPROGRESS ("%s" 1 NIL)', InProgress("INPROGRESS", b'("%s" 1 NIL)' % octets, tag=octets, done=1)),
    ):
        if b'"' not in code or "\\" not in name:
            assert decoded(b"* OK [%s] x" % (code % octets)) == StatusResponse("OK", expected, "x")
    assert decoded(b"* STATUS a (MAILBOXID (%s))" % octets) == MailboxStatus("a", b"a", mailbox_id=name)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # nstring: an atom NIL is nothing, in quotes it is a string, and any other atom is one.
        (b"* METADATA a (/b NIL)", Metadata("a", b"a", ReadOnlyDict({"/b": None}))),
        (b"* METADATA a (/b nil)", Metadata("a", b"a", ReadOnlyDict({"/b": None}))),
        (b'* METADATA a (/b "NIL")', Metadata("a", b"a", ReadOnlyDict({"/b": b"NIL"}))),
        (b"* METADATA a (/b {3}\r\nNIL)", Metadata("a", b"a", ReadOnlyDict({"/b": b"NIL"}))),
        (b"* METADATA a (/b 001 /c 0)", Metadata("a", b"a", ReadOnlyDict({"/b": b"001", "/c": b"0"}))),
        (b'* ID ("os" NIL "name" "NIL")', ServerID(ReadOnlyDict({"name": "NIL"}))),
        (b"* ID nil", ServerID()),
        (b'* LIST () NIL "NIL"', MailboxInfo("NIL", b"NIL", None, frozenset())),
        (b'* LIST () "N" NIL', MailboxInfo("NIL", b"NIL", "N", frozenset())),
        (
            b"* OK [INPROGRESS (NIL 1 NIL)] x",
            StatusResponse("OK", InProgress("INPROGRESS", b"(NIL 1 NIL)", done=1), "x"),
        ),
        # Numbers may have zeros before them.
        (b"* STATUS a (MESSAGES 007)", MailboxStatus("a", b"a", messages=7)),
        (b"* ESEARCH COUNT 007", ESearch(count=7)),
        # Where nothing is known of a grammar the octets stay.
        (b"* GENURLAUTH 007 NIL", UnknownResponse("GENURLAUTH", (b"* GENURLAUTH 007 NIL",))),
        (
            b'* URLFETCH "imap://x/" {3}\r\nNIL 01',
            UnknownResponse("URLFETCH", (b'* URLFETCH "imap://x/" {3}', b"NIL", b" 01")),
        ),
    ],
)
def test_nil_and_numbers(decoded: Decode, octets: bytes, expected: object) -> None:
    assert decoded(octets) == expected
