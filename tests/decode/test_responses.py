"""Every untagged response but FETCH: the examples of the RFCs, and what lies beside them."""

from __future__ import annotations

import pytest

from fastimap.model.sequence_set import SequenceSet, UIDSet
from fastimap.types import (
    Acl,
    Capabilities,
    ComparatorResponse,
    ContextUpdate,
    Enabled,
    ESearch,
    Exists,
    ExpungeResponse,
    Flags,
    JMAPAccess,
    LanguageResponse,
    ListRightsResponse,
    MailboxInfo,
    MailboxNamespace,
    MailboxStatus,
    Metadata,
    MyRightsResponse,
    Namespaces,
    Partial,
    Quota,
    QuotaResource,
    QuotaRoots,
    ReadOnlyDict,
    Recent,
    Response,
    SearchResponse,
    ServerID,
    SortResponse,
    ThreadNode,
    ThreadResponse,
    UnknownResponse,
    Vanished,
)

from .conftest import Decode

NOTHING = frozenset[str]()


def listed(name: str, delimiter: str | None = "/", *attributes: str, **more: object) -> MailboxInfo:
    """A MailboxInfo whose name is ASCII without an ampersand."""
    return MailboxInfo(name, name.encode("ascii"), delimiter, frozenset(attributes), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # RFC 9051, sections 7.2.1 and 7.2.2; RFC 5161, section 3.2
        (
            b"* CAPABILITY STARTTLS AUTH=GSSAPI IMAP4rev2 LOGINDISABLED XPIG-LATIN",
            Capabilities(frozenset({"STARTTLS", "AUTH=GSSAPI", "IMAP4REV2", "LOGINDISABLED", "XPIG-LATIN"})),
        ),
        (b"* ENABLED CONDSTORE QRESYNC", Enabled(frozenset({"CONDSTORE", "QRESYNC"}))),
        (b"* ENABLED", Enabled(NOTHING)),
        # RFC 9051, sections 7.4.1, 7.5.1; RFC 3501, section 7.3.2
        (b"* 23 EXISTS", Exists(23)),
        (b"* 0 exists", Exists(0)),
        (b"* 5 RECENT", Recent(5)),
        (b"* 44 EXPUNGE", ExpungeResponse(44)),
        # RFC 7162, section 3.2.10
        (b"* VANISHED (EARLIER) 41,43:116,118,120:211", Vanished(UIDSet("41,43:116,118,120:211"), earlier=True)),
        (b"* VANISHED 405,407,410,425", Vanished(UIDSet("405,407,410,425"))),
        # RFC 9051, section 7.3.5
        (
            rb"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)",
            Flags(frozenset({r"\Answered", r"\Flagged", r"\Deleted", r"\Seen", r"\Draft"})),
        ),
        (rb"* FLAGS ($Junk \SEEN 12 NIL \XNew)", Flags(frozenset({"$Junk", r"\Seen", "12", "NIL", r"\XNew"}))),
        (b"* FLAGS ()", Flags(NOTHING)),
        # RFC 3501, section 7.2.5; RFC 7162, section 3.1.5; RFC 5256, section 4
        (b"* SEARCH 2 3 6", SearchResponse(SequenceSet((2, 3, 6)))),
        (b"* SEARCH", SearchResponse(SequenceSet())),
        (b"* SEARCH 2 5 6 7 11 12 18 (MODSEQ 917162500)", SearchResponse(SequenceSet("2,5:7,11:12,18"), 917162500)),
        (b"* SORT 5 3 4 1 2", SortResponse((5, 3, 4, 1, 2))),
        (b"* SORT", SortResponse(())),
    ],
)  # fmt: skip
def test_plain(decoded: Decode, octets: bytes, expected: Response) -> None:
    assert decoded(octets) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # RFC 9051, section 6.4.4 and 7.3.4
        (b'* ESEARCH (TAG "A282") MIN 2 COUNT 3', ESearch(b"A282", min=2, count=3)),
        (
            b'* ESEARCH (TAG "A283") ALL 2,10:11',
            ESearch(b"A283", all=SequenceSet("2,10:11"), all_octets=b"2,10:11"),
        ),
        (b'* ESEARCH (TAG "A284")', ESearch(b"A284")),
        (b'* ESEARCH (TAG "A285") ALL 43', ESearch(b"A285", all=SequenceSet(43), all_octets=b"43")),
        (b'* ESEARCH (TAG "A285") UID MIN 7 MAX 3800', ESearch(b"A285", uid=True, min=7, max=3800)),
        (
            b"* ESEARCH UID COUNT 17 ALL 4:18,21,28",
            ESearch(uid=True, count=17, all=UIDSet("4:18,21,28"), all_octets=b"4:18,21,28"),
        ),
        (b"* ESEARCH", ESearch()),
        # RFC 7162, section 3.1.10
        (
            b'* ESEARCH (TAG "a") ALL 1:3,5 MODSEQ 1236',
            ESearch(b"a", all=SequenceSet("1:3,5"), all_octets=b"1:3,5", mod_sequence=1236),
        ),
        # RFC 9394, section 3.1
        (
            b'* ESEARCH (TAG "A01") UID PARTIAL (-1:-100 200:250,252:300)',
            ESearch(b"A01", uid=True, partial=Partial(-1, -100, UIDSet("200:250,252:300"), b"200:250,252:300")),
        ),
        (
            b'* ESEARCH (TAG "A02") UID PARTIAL (23500:24000 67,100:102)',
            ESearch(b"A02", uid=True, partial=Partial(23500, 24000, UIDSet("67,100:102"), b"67,100:102")),
        ),
        (
            b'* ESEARCH (TAG "A04") UID PARTIAL (24001:24500 NIL)',
            ESearch(b"A04", uid=True, partial=Partial(24001, 24500, UIDSet())),
        ),
        # RFC 5267, sections 4.3.3 and 4.3.4
        (
            b'* ESEARCH (TAG "C01") UID ADDTO (1 2733 1 2732) REMOVEFROM (0 32768)',
            ESearch(
                b"C01",
                uid=True,
                updates=(
                    ContextUpdate("ADDTO", 1, UIDSet(2733), b"2733"),
                    ContextUpdate("ADDTO", 1, UIDSet(2732), b"2732"),
                    ContextUpdate("REMOVEFROM", 0, UIDSet(32768), b"32768"),
                ),
            ),
        ),
        # RFC 6203, section 4
        (
            b'* ESEARCH (TAG "B1") ALL 1,5,10 RELEVANCY (4 99 42)',
            ESearch(b"B1", all=SequenceSet("1,5,10"), all_octets=b"1,5,10", relevancy=(4, 99, 42)),
        ),
        # RFC 7377, section 2.1
        (
            b'* ESEARCH (TAG "tag1" MAILBOX "folder2/salmon" UIDVALIDITY 1111) UID ALL 50003,50006',
            ESearch(
                b"tag1",
                uid=True,
                all=UIDSet("50003,50006"),
                all_octets=b"50003,50006",
                mailbox="folder2/salmon",
                mailbox_octets=b"folder2/salmon",
                uid_validity=1111,
            ),
        ),
        # RFC 9051, section 9, tagged-ext: what is not known, or not in its grammar, costs nothing else
        (
            b'* ESEARCH (TAG "a") XNEW (1 (x)) MIN nil COUNT 4',
            ESearch(b"a", count=4, other=ReadOnlyDict({"XNEW": (1, ("x",)), "MIN": None})),
        ),
    ],
)
def test_esearch(decoded: Decode, octets: bytes, expected: ESearch) -> None:
    assert decoded(octets) == expected


def test_order_of_esearch(decoded: Decode) -> None:
    """RFC 5267, section 3.2: in the answer to SORT the set is in the order asked for."""
    response = decoded(b'* ESEARCH (TAG "D01") UID ALL 9,3:5,1 PARTIAL (1:2 7,2) ADDTO (2 8,6)')
    assert isinstance(response, ESearch)
    assert list(response.in_order()) == [9, 3, 4, 5, 1]
    assert response.partial is not None
    assert list(response.partial.in_order()) == [7, 2]
    assert list(response.updates[0].in_order()) == [8, 6]
    assert list(ESearch().in_order()) == []


N = ThreadNode


@pytest.mark.parametrize(
    ("octets", "threads"),
    [
        # RFC 5256, section 4
        (
            b"* THREAD (2)(3 6 (4 23)(44 7 96))",
            (N(2), N(3, (N(6, (N(4, (N(23),)), N(44, (N(7, (N(96),)),)))),))),
        ),
        (b"* THREAD ((3)(5))", (N(None, (N(3), N(5))),)),
        (b"* THREAD (166)(167)(194 195)", (N(166), N(167), N(194, (N(195),)))),
        (b"* THREAD", ()),
        (b"* THREAD (1 ((2)(3)))", (N(1, (N(None, (N(2), N(3))),)),)),
    ],
)
def test_thread(decoded: Decode, octets: bytes, threads: tuple[ThreadNode, ...]) -> None:
    assert decoded(octets) == ThreadResponse(threads)


def test_threads_differ() -> None:
    assert N(1, (N(2), N(3))) != N(1, (N(2, (N(3),)),))
    assert N(1, (N(2, (N(3),)), N(4))) != N(1, (N(2), N(4, (N(3),))))
    assert N(1) != 1
    assert hash(N(1, (N(2),))) == hash(N(1, (N(2),)))


def test_thread_walks(decoded: Decode) -> None:
    response = decoded(b"* THREAD (3 6 (4 23)(44 7 96))")
    assert isinstance(response, ThreadResponse)
    (thread,) = response.threads
    assert [(depth, node.number) for depth, node in thread.walk()] == [
        (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96),
    ]  # fmt: skip
    assert list(thread.numbers()) == [3, 6, 4, 23, 44, 7, 96]


@pytest.mark.slow
@pytest.mark.parametrize(
    "octets",
    [b"* THREAD (" + b"1 " * 100_000 + b")", b"* THREAD " + b"(1 " * 100_000 + b")" * 100_000],
    ids=["a long run", "deep parentheses"],
)
def test_threads_deeper_than_python_recurses(decoded: Decode, octets: bytes) -> None:
    response = decoded(octets)
    assert isinstance(response, ThreadResponse)
    assert sum(1 for _ in response.threads[0].numbers()) == 100_000
    assert response == decoded(octets)
    assert hash(response) == hash(decoded(octets))
    assert repr(response) == "ThreadResponse(threads=(<ThreadNode 1: 100000 messages>,))"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # RFC 9051, sections 6.3.9 and 7.3.1
        (rb'* LIST (\Noselect) "/" ~/Mail/foo', listed("~/Mail/foo", "/", r"\Noselect")),
        (rb'* LIST (\Noselect) "/" ""', listed("", "/", r"\Noselect")),
        (
            rb'* LIST (\Marked \NoInferiors) "/" "inbox"',
            MailboxInfo("INBOX", b"inbox", "/", frozenset({r"\Marked", r"\Noinferiors"})),
        ),
        (b"* LIST () NIL INBOX", listed("INBOX", None)),
        (b'* LIST () "" INBOX', listed("INBOX", None)),
        (b'* LIST () "\\\\" {5}\r\na"(b\\', listed('a"(b\\', "\\")),
        (b'* LSUB () "." #news.comp.mail.misc', listed("#news.comp.mail.misc", ".", kind="LSUB")),
        (
            rb'* LIST (\hasnochildren \sent \important) "/" Sent',
            listed("Sent", "/", r"\HasNoChildren", r"\Sent", r"\Important"),
        ),
        (rb'* LIST (\XUnknown) "/" a', listed("a", "/", r"\XUnknown")),
        (
            rb'* LIST (\Subscribed \NonExistent) "/" "Fruit/Peach"',
            listed("Fruit/Peach", "/", r"\Subscribed", r"\NonExistent"),
        ),
        (b'* LIST () "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))', listed("Foo", child_info=("SUBSCRIBED",))),
        (b'* LIST () "/" "NewMailbox" ("OLDNAME" ("OldMailbox"))', listed("NewMailbox", old_name="OldMailbox")),
        (
            b'* LIST () "/" a (x-tra (1 "b") OLDNAME NIL)',
            listed("a", extended=ReadOnlyDict({"X-TRA": (1, b"b"), "OLDNAME": None})),
        ),
        # Atoms that look like something else
        (b'* LIST () "/" 007', listed("007")),
        (b'* LIST () "/" NIL', listed("NIL")),
        (b'* LIST () "/" "NIL"', listed("NIL")),
        (b'* LIST () "/" 99999999999999999999', listed("99999999999999999999")),
        # XLIST, as Gmail sends it
        (
            rb'* XLIST (\HasNoChildren \AllMail) "/" "[Gmail]/All Mail"',
            listed("[Gmail]/All Mail", "/", r"\HasNoChildren", r"\All", kind="XLIST"),
        ),
        (
            rb'* XLIST (\Starred) "/" "[Gmail]/Starred"',
            listed("[Gmail]/Starred", "/", r"\Flagged", kind="XLIST"),
        ),
    ],
)
def test_list(decoded: Decode, octets: bytes, expected: MailboxInfo) -> None:
    assert decoded(octets) == expected


@pytest.mark.parametrize(
    ("octets", "name", "utf8_name"),
    [
        # RFC 3501, section 5.1.3
        (
            b"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
            "~peter/mail/\u53f0\u5317/\u65e5\u672c\u8a9e",
            "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
        ),
        (b"a&-b", "a&b", "a&-b"),
        # Not modified UTF-7: UTF-8, or octets as surrogates
        (b"a&b", "a&b", "a&b"),
        (b"&AAAA", "&AAAA", "&AAAA"),
        ("Entw\u00fcrfe".encode(), "Entw\u00fcrfe", "Entw\u00fcrfe"),
        (b"Entw\xfcrfe", "Entw\udcfcrfe", "Entw\udcfcrfe"),
        (b"Inbox", "INBOX", "INBOX"),
        (b"Inbox/x", "Inbox/x", "Inbox/x"),
    ],
)
def test_mailbox_names(decoded: Decode, octets: bytes, name: str, utf8_name: str) -> None:
    assert decoded(b'* LIST () "/" "' + octets + b'"') == MailboxInfo(name, octets, "/", NOTHING)
    assert decoded(b'* LIST () "/" ' + octets) == MailboxInfo(name, octets, "/", NOTHING)
    assert decoded(b'* LIST () "/" "' + octets + b'"', utf8=True) == MailboxInfo(utf8_name, octets, "/", NOTHING)
    assert decoded(b'* STATUS "' + octets + b'" ()') == MailboxStatus(name, octets)
    assert decoded(b'* MYRIGHTS "' + octets + b'" lr') == MyRightsResponse(name, octets, "lr")
    assert decoded(b'* QUOTAROOT "' + octets + b'"') == QuotaRoots(name, octets)


def test_what_attributes_say() -> None:
    """RFC 9051, section 7.3.1."""
    plain = listed("a")
    assert plain.is_selectable
    assert plain.has_children is None
    assert plain.special_use == NOTHING
    assert not listed("a", "/", r"\Noselect").is_selectable
    assert not listed("a", "/", r"\NonExistent").is_selectable
    assert listed("a", "/", r"\HasChildren").has_children is True
    assert listed("a", "/", r"\HasNoChildren").has_children is False
    assert listed("a", "/", r"\Noinferiors").has_children is False
    assert listed("a", "/", r"\HasNoChildren", r"\Sent", r"\Trash").special_use == {r"\Sent", r"\Trash"}


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # RFC 9051, section 7.3.3
        (
            b"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)",
            MailboxStatus("blurdybloop", b"blurdybloop", messages=231, uid_next=44292),
        ),
        (
            b"* STATUS {1}\r\na (messages 1 UNSEEN 2 RECENT 3 UIDVALIDITY 4 SIZE 9223372036854775807 DELETED 5)",
            MailboxStatus(
                "a",
                b"a",
                messages=1,
                unseen=2,
                recent=3,
                uid_validity=4,
                size=2**63 - 1,
                deleted=5,
            ),
        ),
        # RFC 9208, section 4.1.4; RFC 7162, section 3.1.7; RFC 7889, section 4
        (
            b"* STATUS a (DELETED-STORAGE 6 HIGHESTMODSEQ 7011231777 APPENDLIMIT 257890)",
            MailboxStatus("a", b"a", deleted_storage=6, highest_mod_sequence=7011231777, append_limit=257890),
        ),
        (b"* STATUS a (APPENDLIMIT NIL)", MailboxStatus("a", b"a")),
        # RFC 8474, section 4.3
        (
            b"* STATUS foo (MAILBOXID (F2212ea87-6097-4256-9d51-71338625))",
            MailboxStatus("foo", b"foo", mailbox_id="F2212ea87-6097-4256-9d51-71338625"),
        ),
        (b"* STATUS 007 (MAILBOXID (0042) MESSAGES 42)", MailboxStatus("007", b"007", mailbox_id="0042", messages=42)),
        # A bad item costs nothing else
        (
            b"* STATUS a (MESSAGES -1 UNSEEN 2 X-NEW (1 2) MAILBOXID () UIDNEXT NIL)",
            MailboxStatus(
                "a",
                b"a",
                unseen=2,
                other=ReadOnlyDict({"MESSAGES": "-1", "X-NEW": (1, 2), "MAILBOXID": (), "UIDNEXT": None}),
            ),
        ),
    ],
)
def test_status(decoded: Decode, octets: bytes, expected: MailboxStatus) -> None:
    assert decoded(octets) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        # RFC 9051, section 6.3.10
        (b'* NAMESPACE (("" "/")) NIL NIL', Namespaces((MailboxNamespace("", "/"),))),
        (b'* NAMESPACE NIL NIL (("" "."))', Namespaces(shared=(MailboxNamespace("", "."),))),
        (
            b'* NAMESPACE (("" "/")) (("~" "/")) (("#shared/" "/")("#public/" "/")("#news." "."))',
            Namespaces(
                (MailboxNamespace("", "/"),),
                (MailboxNamespace("~", "/"),),
                (MailboxNamespace("#shared/", "/"), MailboxNamespace("#public/", "/"), MailboxNamespace("#news.", ".")),
            ),
        ),
        (
            b'* NAMESPACE (("" "/")("#mh/" "/" "X-PARAM" ("FLAG1" "FLAG2"))) NIL NIL',
            Namespaces(
                (
                    MailboxNamespace("", "/"),
                    MailboxNamespace("#mh/", "/", ReadOnlyDict({"X-PARAM": ("FLAG1", "FLAG2")})),
                )
            ),
        ),
        (b'* NAMESPACE (("INBOX" NIL)) NIL NIL', Namespaces((MailboxNamespace("INBOX", None),))),
        # RFC 9208, sections 4.2.1 and 4.2.2
        (b'* QUOTA "" (STORAGE 10 512)', Quota("", (QuotaResource("STORAGE", 10, 512),))),
        (
            b'* QUOTA "!partition/sda4" (STORAGE 104 10923847 message 4 9)',
            Quota("!partition/sda4", (QuotaResource("STORAGE", 104, 10923847), QuotaResource("MESSAGE", 4, 9))),
        ),
        (b"* QUOTA 007 ()", Quota("007")),
        (b'* QUOTAROOT INBOX ""', QuotaRoots("INBOX", b"INBOX", ("",))),
        (b"* QUOTAROOT comp.mail.mime", QuotaRoots("comp.mail.mime", b"comp.mail.mime")),
        (
            b'* QUOTAROOT INBOX "#user/alice" "!partition/sda4"',
            QuotaRoots("INBOX", b"INBOX", ("#user/alice", "!partition/sda4")),
        ),
        # RFC 4314, sections 3.6, 3.7, 3.8
        (
            b"* ACL INBOX Fred rwipsldexta -John w 12 01",
            Acl("INBOX", b"INBOX", ReadOnlyDict({"Fred": "rwipsldexta", "-John": "w", "12": "01"})),
        ),
        (b"* ACL INBOX", Acl("INBOX", b"INBOX", ReadOnlyDict())),
        (
            b"* LISTRIGHTS ~/Mail/saved smith la r swicdkxte",
            ListRightsResponse("~/Mail/saved", b"~/Mail/saved", "smith", "la", ("r", "swicdkxte")),
        ),
        (
            b'* LISTRIGHTS archive.imap anyone "" l r s w',
            ListRightsResponse("archive.imap", b"archive.imap", "anyone", "", ("l", "r", "s", "w")),
        ),
        (b"* MYRIGHTS INBOX rwiptsldaex", MyRightsResponse("INBOX", b"INBOX", "rwiptsldaex")),
        # RFC 5464, sections 4.2 and 4.4
        (
            b'* METADATA "" (/shared/comment "Shared comment")',
            Metadata("", b"", ReadOnlyDict({"/shared/comment": b"Shared comment"})),
        ),
        (
            b'* METADATA "INBOX" (/private/comment {3}\r\na\nb /private/filters/values/small NIL)',
            Metadata(
                "INBOX",
                b"INBOX",
                ReadOnlyDict({"/private/comment": b"a\nb", "/private/filters/values/small": None}),
            ),
        ),
        (
            b'* METADATA "INBOX" /shared/comment /private/comment',
            Metadata("INBOX", b"INBOX", changed=("/shared/comment", "/private/comment")),
        ),
        # RFC 2971, section 3.2
        (
            b'* ID ("name" "Cyrus" "Version" "1.5" "os" NIL "support-url" "mailto:cyrus-bugs+@andrew.cmu.edu")',
            ServerID(
                ReadOnlyDict({"name": "Cyrus", "version": "1.5", "support-url": "mailto:cyrus-bugs+@andrew.cmu.edu"})
            ),
        ),
        (b"* ID NIL", ServerID()),
        # RFC 5255, sections 3.3 and 4.8
        (b"* LANGUAGE (DE)", LanguageResponse(("DE",))),
        (b"* LANGUAGE (EN DE IT i-default)", LanguageResponse(("EN", "DE", "IT", "i-default"))),
        (b"* COMPARATOR i;unicode-casemap", ComparatorResponse("i;unicode-casemap")),
        (
            b'* COMPARATOR "i;basic" ("i;basic" "i;octet")',
            ComparatorResponse("i;basic", ("i;basic", "i;octet")),
        ),
        # RFC 9698
        (
            b'* JMAPACCESS "https://example.com/.well-known/jmap"',
            JMAPAccess("https://example.com/.well-known/jmap"),
        ),
    ],
)
def test_extensions(decoded: Decode, octets: bytes, expected: Response) -> None:
    assert decoded(octets) == expected


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b'* LIST (\\HasNoChildren) "/" 007', listed("007", "/", r"\HasNoChildren")),
        (b'* LIST (\\HasNoChildren) "/" "a\\"b"', listed('a"b', "/", r"\HasNoChildren")),
        (
            rb'* LIST (\HasNoChildren) "/" "Entw&APw-rfe/tief (x)"',
            MailboxInfo("Entw\u00fcrfe/tief (x)", b"Entw&APw-rfe/tief (x)", "/", frozenset({r"\HasNoChildren"})),
        ),
        (
            b'* ESEARCH (TAG "A23") UID MIN 1 MAX 4 ALL 1:4 COUNT 4',
            ESearch(b"A23", uid=True, min=1, max=4, count=4, all=UIDSet("1:4"), all_octets=b"1:4"),
        ),
        (b"* SEARCH 1 2 3 4 (MODSEQ 5)", SearchResponse(SequenceSet("1:4"), 5)),
        (b"* THREAD (1 (2)(3))(4)", ThreadResponse((ThreadNode(1, (ThreadNode(2), ThreadNode(3))), ThreadNode(4)))),
        (b"* VANISHED 1", Vanished(UIDSet(1))),
        (b'* QUOTAROOT INBOX "User quota"', QuotaRoots("INBOX", b"INBOX", ("User quota",))),
        (b'* QUOTA "User quota" (STORAGE 1 1048576)', Quota("User quota", (QuotaResource("STORAGE", 1, 1048576),))),
        (b'* METADATA "" (/shared/comment NIL)', Metadata("", b"", ReadOnlyDict({"/shared/comment": None}))),
    ],
)
def test_recorded_from_dovecot(decoded: Decode, octets: bytes, expected: Response) -> None:
    """Recorded from Dovecot 2.3.19; the names are those that its mailboxes were created with."""
    assert decoded(octets) == expected


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"* NOOP", "NOOP"),
        (b"* 99 noop", "NOOP"),
        (b"* XNEW (((", "XNEW"),
        (b"* 12", "12"),
        (b"*  x", "X"),
        (b"* 1 FETCH (UID 1)", "FETCH"),
    ],
)
def test_unknown_kinds_have_no_defect(decoded: Decode, octets: bytes, name: str) -> None:
    assert decoded(octets) == UnknownResponse(name, (octets,))


@pytest.mark.parametrize(
    "octets",
    [
        b"* ESEARCH ALL 0",
        b"* ESEARCH UID ALL 1:*",
        b"* ESEARCH PARTIAL 1:2",
        b"* ESEARCH ADDTO (1)",
        b"* EXISTS",
        b"* 1. EXISTS",
        b"* 99999999999999999999 EXISTS",
        b"* 0 EXPUNGE",
        b"* SEARCH 1 2x",
        b"* SEARCH 0",
        b"* SEARCH -1",
        b"* SEARCH 1_0",
        b"* SEARCH 4294967296",
        b"* SEARCH 1 (MODSEQ x)",
        b"* SEARCH " + b"9" * 5000,
        b"* SORT {1}\r\n1",
        b"* THREAD (1",
        b"* THREAD 1)",
        b"* THREAD 1",
        b"* THREAD ()",
        b"* THREAD (1 (2) 3)",
        b"* THREAD (1 x)",
        b"* FLAGS",
        b"* FLAGS x",
        b"* FLAGS ((a))",
        b"* VANISHED 0",
        b"* STATUS",
        b"* STATUS a",
        b"* STATUS a (MESSAGES 1",
        b"* STATUS a " + b"(" * 300 + b")" * 300,
        b"* ESEARCH MIN",
        b"* ESEARCH (TAG)",
        b"* NAMESPACE NIL NIL",
        b"* NAMESPACE x NIL NIL",
        b"* NAMESPACE (()) NIL NIL",
        b"* QUOTA",
        b'* QUOTA "" (STORAGE 10)',
        b'* QUOTA "" (STORAGE 10 x)',
        b"* QUOTAROOT",
        b"* ACL",
        b"* ACL a b",
        b"* ACL a (b) c",
        b"* LISTRIGHTS a b",
        b"* MYRIGHTS a",
        b"* METADATA",
        b"* METADATA a",
        b"* METADATA a (b)",
        b"* METADATA a (b (c))",
        b"* ID x",
        b'* ID ("a")',
        b"* LANGUAGE ((x))",
        b"* COMPARATOR",
        b"* JMAPACCESS",
    ],
)  # fmt: skip
def test_what_is_not_in_its_grammar_says_so(decoded: Decode, octets: bytes) -> None:
    response = decoded(octets)
    assert isinstance(response, UnknownResponse)
    assert b"".join(response.fragments) == octets.replace(b"\r\n", b"")
    assert response.defect
    assert response.name in octets.decode().split()


# What an atom is, is for the grammar of each response to say: where it has an astring, these are names as they stand.
LOOK_ALIKES = ["1", "01", "007", "0", "nil", "NIL", "Nil", "18446744073709551616", "\\Seen", "1-Jan-2024", "1:4", "-1"]


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_names_that_look_like_something_else(decoded: Decode, name: str) -> None:
    octets = name.encode()
    assert decoded(b"* ACL INBOX 1 r %s rw" % octets if name != "1" else b"* ACL INBOX 01 r 1 rw") == Acl(
        "INBOX", b"INBOX", ReadOnlyDict({("01" if name == "1" else "1"): "r", name: "rw"})
    )
    assert decoded(b"* ACL %s a %s" % (octets, octets)) == Acl(name, octets, ReadOnlyDict({"a": name}))
    assert decoded(b"* QUOTAROOT 5 %s 5" % octets) == QuotaRoots("5", b"5", (name, "5"))
    assert decoded(b"* QUOTA %s (STORAGE 010 0512)" % octets) == Quota(name, (QuotaResource("STORAGE", 10, 512),))
    assert decoded(b"* LISTRIGHTS %s 1 01 001 %s" % (octets, octets)) == ListRightsResponse(
        name, octets, "1", "01", ("001", name)
    )
    assert decoded(b"* MYRIGHTS 1 %s" % octets) == MyRightsResponse("1", b"1", name)
    assert decoded(b'* METADATA %s (/a "007" /b %s)' % (octets, octets)) == Metadata(
        name, octets, ReadOnlyDict({"/a": b"007", "/b": None if name.upper() == "NIL" else octets})
    )
    assert decoded(b'* LIST () "/" %s (OLDNAME (%s))' % (octets, octets)) == listed(name, old_name=name)
    assert decoded(b"* STATUS %s (MAILBOXID (%s))" % (octets, octets)) == MailboxStatus(name, octets, mailbox_id=name)
