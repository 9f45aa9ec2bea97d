"""Tagged and untagged status responses, continuation requests, and the response codes in them."""

from __future__ import annotations

import pytest

from fastimap.model.sequence_set import SequenceSet, UIDSet
from fastimap.types import (
    AppendUID,
    BadCharset,
    BadEvent,
    BadURL,
    CapabilityCode,
    Code,
    ContinuationRequest,
    CopyUID,
    HighestModSeq,
    InProgress,
    MailboxID,
    MaxConvert,
    MessageLimit,
    MetadataCode,
    Modified,
    NoUpdate,
    PermanentFlags,
    Referral,
    Response,
    ResponseCode,
    StatusResponse,
    Tagged,
    UIDNext,
    UIDValidity,
    UndefinedFilter,
    UnknownResponse,
    Unseen,
    URLMech,
)
from fastimap.wire.decode import response

from .conftest import Decode


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # RFC 9051, sections 6.1.1, 6.1.3, 6.2.3, 7.1
        (b"abcd OK CAPABILITY completed", Tagged(b"abcd", "OK", None, "CAPABILITY completed")),
        (b"A023 ok LOGOUT completed", Tagged(b"A023", "OK", None, "LOGOUT completed")),
        (b"A222 NO COPY failed: disk is full", Tagged(b"A222", "NO", None, "COPY failed: disk is full")),
        (b"* OK IMAP4rev2 server ready", StatusResponse("OK", None, "IMAP4rev2 server ready")),
        (
            b"* PREAUTH IMAP4rev2 server logged in as Smith",
            StatusResponse("PREAUTH", None, "IMAP4rev2 server logged in as Smith"),
        ),
        (
            b"* BYE Autologout; idle for too long",
            StatusResponse("BYE", None, "Autologout; idle for too long"),
        ),
        (
            b"* BAD Disk crash, attempting salvage to a new disk!",
            StatusResponse("BAD", None, "Disk crash, attempting salvage to a new disk!"),
        ),
        (
            b"A142 OK [READ-WRITE] SELECT completed",
            Tagged(b"A142", "OK", ResponseCode("READ-WRITE"), "SELECT completed"),
        ),
        (b"* OK [read-only]", StatusResponse("OK", ResponseCode(Code.READ_ONLY), "")),
        # Text in brackets is text when it is not in front.
        (b"* OK [ALERT] [b] c", StatusResponse("OK", ResponseCode("ALERT"), "[b] c")),
        (b"* OK a [ALERT]", StatusResponse("OK", None, "a [ALERT]")),
        (b"* OK [ALERT no end", StatusResponse("OK", None, "[ALERT no end")),
        (b"* OK [] x", StatusResponse("OK", None, "[] x")),
        (b"* OK [ALERT]", StatusResponse("OK", ResponseCode("ALERT"), "")),
        (b"* OK \xff\xc3\xa9", StatusResponse("OK", None, "\ufffd\u00e9")),
        # RFC 9051, section 6.2.2, and what needs a continuation
        (b"+ ", ContinuationRequest(b"")),
        (b"+", ContinuationRequest(b"")),
        (b"+ YGgGCSqGSIb3EgECAgIAb1kwV6A", ContinuationRequest(b"YGgGCSqGSIb3EgECAgIAb1kwV6A")),
        (b"+ Ready for literal data", ContinuationRequest(b"Ready for literal data")),
        (b"+ [ALERT] go on", ContinuationRequest(b"[ALERT] go on", ResponseCode("ALERT"))),
        # What servers leave out
        (b"+go on", ContinuationRequest(b"go on")),
        (b"+OK POP3 server ready", ContinuationRequest(b"OK POP3 server ready")),
        (b"* OK[UIDNEXT 5]x", StatusResponse("OK", UIDNext("UIDNEXT", b"5", uid=5), "x")),
        (b"* preauth[ALERT] x", StatusResponse("PREAUTH", ResponseCode("ALERT"), "x")),
        (b"A1 NO[TRYCREATE] x", Tagged(b"A1", "NO", ResponseCode("TRYCREATE"), "x")),
    ],
)
def test_status(decoded: Decode, octets: bytes, expected: Response) -> None:
    assert decoded(octets) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # RFC 9051, section 7.1 and the examples of section 6.3.2
        (
            b"CAPABILITY IMAP4rev2 STARTTLS AUTH=GSSAPI",
            CapabilityCode(
                "CAPABILITY",
                b"IMAP4rev2 STARTTLS AUTH=GSSAPI",
                capabilities=frozenset({"IMAP4REV2", "STARTTLS", "AUTH=GSSAPI"}),
            ),
        ),
        (b"UIDVALIDITY 3857529045", UIDValidity("UIDVALIDITY", b"3857529045", uid_validity=3857529045)),
        (b"UIDNEXT 4392", UIDNext("UIDNEXT", b"4392", uid=4392)),
        (b"UNSEEN 12", Unseen("UNSEEN", b"12", number=12)),
        (
            rb"PERMANENTFLAGS (\deleted \Seen Junk \*)",
            PermanentFlags(
                "PERMANENTFLAGS",
                rb"(\deleted \Seen Junk \*)",
                flags=frozenset({r"\Deleted", r"\Seen", "Junk", r"\*"}),
            ),
        ),
        (b"PERMANENTFLAGS ()", PermanentFlags("PERMANENTFLAGS", b"()", flags=frozenset())),
        # Gmail's keywords hold brackets; numbers and NIL are keywords too.
        (
            rb"PERMANENTFLAGS (OIB-Seen-[Gmail]/All NIL 007 \*)",
            PermanentFlags(
                "PERMANENTFLAGS",
                rb"(OIB-Seen-[Gmail]/All NIL 007 \*)",
                flags=frozenset({"OIB-Seen-[Gmail]/All", "NIL", "007", r"\*"}),
            ),
        ),
        (b"BADCHARSET", BadCharset("BADCHARSET", b"")),
        # RFC 9051, section 6.4.4.4, against its own grammar
        (b"BADCHARSET UTF-8", BadCharset("BADCHARSET", b"UTF-8", charsets=("UTF-8",))),
        (b"BADCHARSET ((a))", ResponseCode("BADCHARSET", b"((a))")),
        (
            b'BADCHARSET (US-ASCII "UTF-8")',
            BadCharset("BADCHARSET", b'(US-ASCII "UTF-8")', charsets=("US-ASCII", "UTF-8")),
        ),
        # RFC 7162, sections 3.1.2.1 and 3.1.3
        (b"HIGHESTMODSEQ 715194045007", HighestModSeq("HIGHESTMODSEQ", b"715194045007", mod_sequence=715194045007)),
        (b"MODIFIED 7,9", Modified("MODIFIED", b"7,9", numbers=SequenceSet("7,9"))),
        # RFC 4315, section 3
        (b"APPENDUID 38505 3955", AppendUID("APPENDUID", b"38505 3955", uid_validity=38505, uids=UIDSet(3955))),
        (
            b"COPYUID 38505 304,319:320 3956:3958",
            CopyUID(
                "COPYUID",
                b"38505 304,319:320 3956:3958",
                uid_validity=38505,
                source=UIDSet("304,319:320"),
                destination=UIDSet("3956:3958"),
            ),
        ),
        (b"UIDNOTSTICKY", ResponseCode("UIDNOTSTICKY")),
        # RFC 5267, section 4.3.1
        (b'NOUPDATE "B02"', NoUpdate("NOUPDATE", b'"B02"', tag=b"B02")),
        (b'NOUPDATE "B]2"', NoUpdate("NOUPDATE", b'"B]2"', tag=b"B]2")),
        # RFC 8474, section 4
        (
            b"MAILBOXID (F2212ea87-6097-4256-9d51-71338625)",
            MailboxID(
                "MAILBOXID",
                b"(F2212ea87-6097-4256-9d51-71338625)",
                mailbox_id="F2212ea87-6097-4256-9d51-71338625",
            ),
        ),
        (b"MAILBOXID (007)", MailboxID("MAILBOXID", b"(007)", mailbox_id="007")),
        # RFC 5464, sections 4.2.1 and 4.3
        (
            b"METADATA LONGENTRIES 2199",
            MetadataCode("METADATA", b"LONGENTRIES 2199", reason="LONGENTRIES", size=2199),
        ),
        (b"METADATA MAXSIZE 1024", MetadataCode("METADATA", b"MAXSIZE 1024", reason="MAXSIZE", size=1024)),
        (b"METADATA TOOMANY", MetadataCode("METADATA", b"TOOMANY", reason="TOOMANY")),
        (b"METADATA NOPRIVATE", MetadataCode("METADATA", b"NOPRIVATE", reason="NOPRIVATE")),
        # RFC 4469, section 4.1
        (b'BADURL "/INBOX/;UID=99"', BadURL("BADURL", b'"/INBOX/;UID=99"', url="/INBOX/;UID=99")),
        (b"BADURL /INBOX/;UID=99", BadURL("BADURL", b"/INBOX/;UID=99", url="/INBOX/;UID=99")),
        # RFC 2193, section 3
        (
            b"REFERRAL IMAP://MIKE@SERVER2/ IMAP://SERVER3/",
            Referral(
                "REFERRAL", b"IMAP://MIKE@SERVER2/ IMAP://SERVER3/", urls=("IMAP://MIKE@SERVER2/", "IMAP://SERVER3/")
            ),
        ),
        # RFC 4467
        (b"URLMECH INTERNAL XSAMPLE", URLMech("URLMECH", b"INTERNAL XSAMPLE", mechanisms=("INTERNAL", "XSAMPLE"))),
        # RFC 5466
        (
            b"UNDEFINED-FILTER on-the-road",
            UndefinedFilter("UNDEFINED-FILTER", b"on-the-road", filter_name="on-the-road"),
        ),
        # RFC 9585
        (
            b'INPROGRESS ("A001" 454 1000)',
            InProgress("INPROGRESS", b'("A001" 454 1000)', tag=b"A001", done=454, total=1000),
        ),
        (
            b'INPROGRESS ("A001" 454 NIL)',
            InProgress("INPROGRESS", b'("A001" 454 NIL)', tag=b"A001", done=454),
        ),
        (b"INPROGRESS", InProgress("INPROGRESS", b"")),
        # RFC 9738
        (b"MESSAGELIMIT 1000 23221", MessageLimit("MESSAGELIMIT", b"1000 23221", limit=1000, uid=23221)),
        (b"MESSAGELIMIT 1000", MessageLimit("MESSAGELIMIT", b"1000", limit=1000)),
        # RFC 5259, RFC 5465
        (b"MAXCONVERTPARTS 10", MaxConvert("MAXCONVERTPARTS", b"10", limit=10)),
        (
            b"BADEVENT (FlagChange MessageNew)",
            BadEvent("BADEVENT", b"(FlagChange MessageNew)", events=("FlagChange", "MessageNew")),
        ),
        # Codes that nobody knows
        (b"XSOMETHING a (b) c", ResponseCode("XSOMETHING", b"a (b) c")),
        # Codes that are not in their grammar
        (b"UIDNEXT", ResponseCode("UIDNEXT", b"")),
        (b"UIDNEXT -1", ResponseCode("UIDNEXT", b"-1")),
        (b"UIDNEXT 99999999999999999999", ResponseCode("UIDNEXT", b"99999999999999999999")),
        (b"UIDVALIDITY 1 2", ResponseCode("UIDVALIDITY", b"1 2")),
        (b"COPYUID 1 1:2 1:3", ResponseCode("COPYUID", b"1 1:2 1:3")),
        (b"COPYUID 1 1:* 1:*", ResponseCode("COPYUID", b"1 1:* 1:*")),
        (b"APPENDUID 1 0", ResponseCode("APPENDUID", b"1 0")),
        (b"MODIFIED", ResponseCode("MODIFIED", b"")),
        (b"MESSAGELIMIT", ResponseCode("MESSAGELIMIT", b"")),
        (b"METADATA", ResponseCode("METADATA", b"")),
        (b"INPROGRESS (1)", ResponseCode("INPROGRESS", b"(1)")),
        (b"PERMANENTFLAGS x", ResponseCode("PERMANENTFLAGS", b"x")),
        (b"MAILBOXID ()", ResponseCode("MAILBOXID", b"()")),
    ],
)
def test_code(decoded: Decode, code: bytes, expected: ResponseCode) -> None:
    assert decoded(b"* OK [" + code + b"] the text") == StatusResponse("OK", expected, "the text")
    assert decoded(b"A1 NO [" + code + b"]") == Tagged(b"A1", "NO", expected, "")


def test_pairs_of_copyuid_keep_the_order(decoded: Decode) -> None:
    """RFC 4315, section 3: the sets correspond in order, and each range ascends, however it is written."""
    tagged = decoded(b"A004 OK [copyUID 9999 20:19,500:495 92:97,101:100] Done")
    assert isinstance(tagged, Tagged)
    assert isinstance(tagged.response_code, CopyUID)
    expected = {19: 92, 20: 93, 495: 94, 496: 95, 497: 96, 498: 97, 499: 100, 500: 101}
    assert list(tagged.response_code.pairs()) == list(expected.items())
    assert tagged.response_code.mapping() == expected


def test_huge_copyuid_costs_nothing(decoded: Decode) -> None:
    tagged = decoded(b"A004 OK [COPYUID 1 1:4294967295 1:4294967295] Done")
    assert isinstance(tagged, Tagged)
    assert isinstance(tagged.response_code, CopyUID)
    assert next(tagged.response_code.pairs()) == (1, 1)


def test_modified_may_be_uids(decoded: Decode) -> None:
    tagged = decoded(b"d105 OK [MODIFIED 7,9] Conditional STORE failed")
    assert isinstance(tagged, Tagged)
    assert isinstance(tagged.response_code, Modified)
    assert tagged.response_code.uids == UIDSet([7, 9])


def test_new_keywords(decoded: Decode) -> None:
    for octets, expected in ((rb"(\Seen \*)", True), (rb"(\Seen)", False)):
        status = decoded(b"* OK [PERMANENTFLAGS " + octets + b"] Limited")
        assert isinstance(status, StatusResponse)
        assert isinstance(status.response_code, PermanentFlags)
        assert status.response_code.new_keywords is expected


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"*",
        b"* ",
        b"220 example.com ESMTP",
        b"Server Unavailable. 15",
        b"A1 PREAUTH no",
        b"A1 OKAY",
        b"A1 OK(x)",
        b"A1",
        b"* [XUNKNOWN 1] text",
        b"[ALERT] text",
    ],
)
def test_neither_tagged_nor_untagged(octets: bytes) -> None:
    result = response((octets,))
    assert isinstance(result, UnknownResponse)
    assert result.fragments == (octets,)
    assert result.name == ""
    assert result.defect


def test_every_registered_code_is_known_by_name(decoded: Decode) -> None:
    """IANA's registry of response codes, and RFC 9051, section 7.1."""
    registered = """
        ALERT ALREADYEXISTS ANNOTATE ANNOTATIONS APPENDUID AUTHENTICATIONFAILED AUTHORIZATIONFAILED BADCHARSET
        BADCOMPARATOR BADEVENT BADURL CANNOT CAPABILITY CLIENTBUG CLOSED COMPRESSIONACTIVE CONTACTADMIN COPYUID
        CORRUPTION EXPIRED EXPUNGEISSUED HASCHILDREN HIGHESTMODSEQ INPROGRESS INUSE LIMIT MAILBOXID
        MAXCONVERTMESSAGES MAXCONVERTPARTS MESSAGELIMIT METADATA MODIFIED NEWNAME NOMODSEQ NONEXISTENT NOPERM
        NOTIFICATIONOVERFLOW NOTSAVED NOUPDATE OVERQUOTA PARSE PERMANENTFLAGS PRIVACYREQUIRED READ-ONLY READ-WRITE
        REFERRAL SERVERBUG TEMPFAIL TOOBIG TRYCREATE UIDNEXT UIDNOTSTICKY UIDREQUIRED UIDVALIDITY UNAVAILABLE
        UNDEFINED-FILTER UNKNOWN-CTE UNSEEN URLMECH USEATTR"""
    assert {str(code) for code in Code} == set(registered.split())
    tagged = decoded(b"A1 NO [nonexistent] no such mailbox")
    assert isinstance(tagged, Tagged)
    assert tagged.response_code is not None
    assert tagged.response_code.name == Code.NONEXISTENT
