"""What servers send against the grammar, and what is made of it: nothing vanishes, nothing is cut in silence."""

from __future__ import annotations

import pytest

from fastimap.model.sequence_set import SequenceSet, UIDSet
from fastimap.types import (
    Acl,
    Capabilities,
    ContinuationRequest,
    ESearch,
    MailboxID,
    MailboxInfo,
    MailboxNamespace,
    MailboxStatus,
    Metadata,
    MyRightsResponse,
    Namespaces,
    QuotaRoots,
    ReadOnlyDict,
    Response,
    ResponseCode,
    SearchResponse,
    SortResponse,
    StatusResponse,
    UnknownResponse,
    Vanished,
)
from fastimap.wire.decode import response
from fastimap.wire.tolerant import QUIRKS

from .conftest import Decode


@pytest.mark.parametrize("kind", ["LIST", "LSUB", "XLIST"])
@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"Root/Folder/Subfolder()", "Root/Folder/Subfolder()"),
        (b"folderB/TESTfolder(S)C", "folderB/TESTfolder(S)C"),
        (b"a)b", "a)b"),
        (b"a(b", "a(b"),
        (b"(a)", "(a)"),
        (b"Old Clients", "Old Clients"),
        (b"Old (2019)", "Old (2019)"),
        (b"Old (copy 2)", "Old (copy 2)"),
        (b"Old(1) and new(2)", "Old(1) and new(2)"),
        (b"R&D (x) ", "R&D (x)"),
        (b"Entw&APw-rfe (alt)", "Entw\u00fcrfe (alt)"),
        (b'"not closed', "not closed"),
        (b'"My "own" folder"', 'My "own" folder'),
        (b"BODY[ a", "BODY[ a"),
    ],
)
def test_names_without_quotes(decoded: Decode, kind: str, octets: bytes, name: str) -> None:
    found = decoded(b'* %s (\\HasNoChildren) "/" %s' % (kind.encode(), octets))
    assert isinstance(found, MailboxInfo)
    assert (found.name, found.delimiter, found.kind) == (name, "/", kind)
    assert found.attributes == {"\\HasNoChildren"}
    assert found.is_selectable
    assert found.defect


@pytest.mark.parametrize(
    ("octets", "name", "delimiter"),
    [
        # What a careless server says that can be said so is no defect.
        (rb'"\\" Folder\Subfolder', "Folder\\Subfolder", "\\"),
        (b'"." a.[b49c20cf', "a.[b49c20cf", "."),
        (b'"/" don"t', 'don"t', "/"),
        (b'"/" {5}x', "{5}x", "/"),
        (b'"/" 200', "200", "/"),
        (b'"/" a ', "a", "/"),
        (b'"/" BODY[]', "BODY[]", "/"),
        (rb'"/" "My \"own\" "folder"', 'My "own" "folder', "/"),
    ],
)
def test_odd_names_that_are_whole(decoded: Decode, octets: bytes, name: str, delimiter: str) -> None:
    assert decoded(b"* LIST () " + octets) == MailboxInfo(name, name.encode(), delimiter, frozenset())


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"", ""),
        (b'"/" a', ""),
        (b'() "/"', ""),
        (b'() NIL', ""),
        (b'(((()) "/" a', ""),
        (b'((a)) "/" a', ""),
        (b'\\A "/" {5}\r\nhello', "hello"),
        (b'() "/" x {5}\r\nhello', "hello"),
        (b'() a', "a"),
        (b'() / a b', "a b"),
    ],
)  # fmt: skip
def test_a_mailbox_does_not_vanish(decoded: Decode, octets: bytes, name: str) -> None:
    found = decoded(b"* LIST " + octets)
    assert isinstance(found, MailboxInfo)
    assert found.name == name
    assert found.is_selectable is bool(name)
    assert found.defect


def test_extended_data_costs_no_name(decoded: Decode) -> None:
    found = decoded(b'* LIST () "/" "a" (OLDNAME)')
    assert isinstance(found, MailboxInfo)
    assert (found.name, found.old_name, found.extended) == ("a", None, ReadOnlyDict())
    assert found.defect


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # The name goes on to the next space.
        (b"* STATUS a(b)c (MESSAGES 1)", MailboxStatus("a(b)c", b"a(b)c", messages=1)),
        (b"* QUOTAROOT a(b)c ROOT", QuotaRoots("a(b)c", b"a(b)c", ("ROOT",))),
        (b"* ACL a(b) me lr", Acl("a(b)", b"a(b)", ReadOnlyDict({"me": "lr"}))),
        (b"* MYRIGHTS a( lr", MyRightsResponse("a(", b"a(", "lr")),
        (b"* METADATA a() (/b c)", Metadata("a()", b"a()", ReadOnlyDict({"/b": b"c"}))),
        # STATUS ends in its list.
        (b"* STATUS Old Clients (MESSAGES 1)", MailboxStatus("Old Clients", b"Old Clients", messages=1)),
        (
            b"* STATUS Old (x) y (MAILBOXID (F2) MESSAGES 1)",
            MailboxStatus("Old (x) y", b"Old (x) y", messages=1, mailbox_id="F2"),
        ),
        (b'* STATUS "a (MESSAGES 1)', MailboxStatus("a", b"a", messages=1)),
        (
            b"* STATUS a (MESSAGES 5 UIDNEXT)",
            MailboxStatus("a", b"a", messages=5, other=ReadOnlyDict({"UIDNEXT": None})),
        ),
        # Nothing.
        (b"* VANISHED (EARLIER) ", Vanished(UIDSet(), earlier=True)),
        (b"* VANISHED (EARLIER)", Vanished(UIDSet(), earlier=True)),
        (b"* VANISHED ", Vanished(UIDSet())),
        (b"* VANISHED 0:1", Vanished(UIDSet(1))),
        (b"* VANISHED 5,0:3,10:12", Vanished(UIDSet("1:3,5,10:12"))),
        (b'* ESEARCH (TAG "a") UID MIN 0 MAX 0 COUNT 0', ESearch(b"a", uid=True, count=0)),
        (b'* ESEARCH (TAG "a") UID ALL ""', ESearch(b"a", uid=True)),
        (b'* NAMESPACE ((NIL "/")) NIL NIL', Namespaces((MailboxNamespace("", "/"),))),
        # A mod-sequence anywhere.
        (b"* SEARCH 1 2 (modseq 9) 3 4", SearchResponse(SequenceSet("1:4"), 9)),
        (b"* SEARCH (MODSEQ 9) 3", SearchResponse(SequenceSet("3"), 9)),
        (b"* SORT 3(MODSEQ 9)1(MODSEQ 7)", SortResponse((3, 1), 9)),
        # An empty challenge is one for the mechanisms to know.
        (b'+ ""', ContinuationRequest(b'""')),
    ],
)  # fmt: skip
def test_what_was_meant(decoded: Decode, octets: bytes, expected: Response) -> None:
    assert decoded(octets) == expected


def test_text_that_ends_as_a_literal_is_announced() -> None:
    for text in ("see rule {5}", "{5}", "~{5+}"):
        assert response((b"* OK " + text.encode(),)) == StatusResponse("OK", None, text)


@pytest.mark.parametrize("octets", [b"* VANISHED 0", b"* VANISHED 1:0", b"* STATUS a", b"* STATUS (MESSAGES 1)"])
def test_what_can_mean_nothing(decoded: Decode, octets: bytes) -> None:
    assert isinstance(decoded(octets), UnknownResponse)


def test_the_table_of_quirks() -> None:
    assert all(quirk.source and quirk.sends and quirk.taken_as for quirk in QUIRKS)
    assert len({quirk.sends for quirk in QUIRKS}) == len(QUIRKS)


@pytest.mark.parametrize("octets", [b'() "\\" INBOX\\Sub', b'() "\\" "INBOX\\Sub"', b'()  "\\" {9}\r\nINBOX\\Sub'])
def test_a_delimiter_that_is_a_backslash_and_not_escaped(decoded: Decode, octets: bytes) -> None:
    assert decoded(b"* LIST " + octets) == MailboxInfo("INBOX\\Sub", b"INBOX\\Sub", "\\", frozenset())


def test_namespaces_whose_backslashes_are_not_escaped(decoded: Decode) -> None:
    assert decoded(b'* NAMESPACE (("" "\\")) (("Other\\" "\\")) NIL') == Namespaces(
        (MailboxNamespace("", "\\"),), (MailboxNamespace("Other\\", "\\"),)
    )


@pytest.mark.parametrize("identifier", [b"F1", b'"F1"', b'("F1")'])
def test_an_object_identifier_with_and_without_parentheses(decoded: Decode, identifier: bytes) -> None:
    status = decoded(b"* STATUS a (MAILBOXID %s MESSAGES 1)" % identifier)
    assert status == MailboxStatus("a", b"a", messages=1, mailbox_id="F1")
    selected = decoded(b"* OK [MAILBOXID %s] done" % identifier)
    assert isinstance(selected, StatusResponse)
    assert isinstance(selected.response_code, MailboxID)
    assert selected.response_code.mailbox_id == "F1"


def test_a_rounded_number_is_a_count_and_names_nothing(decoded: Decode) -> None:
    assert decoded(b"* STATUS a (MESSAGES 1.2e+06 UIDNEXT 9.3736e+06 UIDVALIDITY 1e9)") == MailboxStatus(
        "a", b"a", messages=1_200_000, other=ReadOnlyDict({"UIDNEXT": "9.3736e+06", "UIDVALIDITY": "1e9"})
    )
    for code in (b"UIDNEXT 9.3736e+06", b"UIDVALIDITY 1.6e+09", b"HIGHESTMODSEQ 7.15194e+11", b"APPENDUID 1.5e+09 6"):
        found = decoded(b"* OK [%s] done" % code)
        assert isinstance(found, StatusResponse)
        name, _, octets = code.partition(b" ")
        assert found.response_code == ResponseCode(name.decode(), octets)
    assert isinstance(decoded(b"* 9.3736e+06 EXPUNGE"), UnknownResponse)


@pytest.mark.parametrize(
    "octets",
    [
        b'* CAPABILITY (("" "/")) NIL NIL',  # imap.sohu.com, for NAMESPACE (MailKit#2006)
        b'* ESEARCH (TAG "a") UID ALL 1 2 3',  # half of it would pass for all
        b"* THREAD (0)",
        b"* THREAD (4294967296)",
    ],
)
def test_what_would_be_wrong_in_silence(decoded: Decode, octets: bytes) -> None:
    found = decoded(octets)
    assert isinstance(found, UnknownResponse)
    assert found.defect


def test_an_odd_capability_costs_no_other(decoded: Decode) -> None:
    found = decoded(b"* CAPABILITY IMAP4rev1 X-ODD(1) IDLE")
    assert isinstance(found, Capabilities)
    assert found.names == {"IMAP4REV1", "X-ODD(1)", "IDLE"}
