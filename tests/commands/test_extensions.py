"""QUOTA, ACL, METADATA, NOTIFY, ID, ENABLE and the small ones, by the examples of the RFCs."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap.commands import (
    ID,
    Comparator,
    DeleteACL,
    Enable,
    EventGroup,
    GetACL,
    GetJMAPAccess,
    GetMetadata,
    GetQuota,
    GetQuotaRoot,
    Language,
    ListRights,
    MailboxFilter,
    MyRights,
    Notify,
    NotifyNone,
    SetACL,
    SetMetadata,
    SetQuota,
    Unauthenticate,
)
from fastimap.commands.base import Command, State
from fastimap.errors import CapabilityMissing, CommandError, NoPermission, StateError
from fastimap.types import Metadata, QuotaResource
from tests.commands.harness import Talk, rev2, sent, server


def test_get_quota(talk: Talk) -> None:  # RFC 9208, section 4.1.1
    quota = talk(
        GetQuota("!partition/sda4"),
        server("QUOTA"),
        """
        C: A1 GETQUOTA !partition/sda4
        S: * QUOTA "!partition/sda4" (STORAGE 104 10923847)
        S: A1 OK Getquota completed
        """,
    )
    assert (quota.root, quota.resources) == ("!partition/sda4", (QuotaResource("STORAGE", 104, 10923847),))
    assert sent(GetQuota(""), server("QUOTA")) == [b'A1 GETQUOTA ""\r\n']


def test_get_quota_root(talk: Talk) -> None:  # RFC 9208, section 4.1.2
    limits = talk(
        GetQuotaRoot("INBOX"),
        server("QUOTA"),
        """
        C: A1 GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX "#user/alice" "!partition/sda4"
        S: * QUOTA "#user/alice" (MESSAGE 42 1000)
        S: * QUOTA "!partition/sda4" (STORAGE 104 10923847)
        S: A1 OK Getquotaroot completed
        """,
    )
    assert (limits.mailbox, limits.roots) == ("INBOX", ("#user/alice", "!partition/sda4"))
    assert [quota.resources for quota in limits.quotas] == [
        (QuotaResource("MESSAGE", 42, 1000),),
        (QuotaResource("STORAGE", 104, 10923847),),
    ]


def test_set_quota(talk: Talk) -> None:  # RFC 9208, section 4.1.3
    quota = talk(
        SetQuota("#user/alice", {"STORAGE": 510, "MESSAGE": 0}),
        server("QUOTA", "QUOTASET"),
        """
        C: A1 SETQUOTA #user/alice (STORAGE 510 MESSAGE 0)
        S: * QUOTA "#user/alice" (STORAGE 58 512)
        S: A1 OK Rounded quota
        """,
    )
    assert quota.resources == (QuotaResource("STORAGE", 58, 512),)
    assert sent(SetQuota("x", {}), server("QUOTA")) == [b"A1 SETQUOTA x ()\r\n"]


def test_get_acl(talk: Talk) -> None:  # RFC 4314, section 3.3
    acl = talk(
        GetACL("INBOX"),
        server("ACL"),
        """
        C: A1 GETACL INBOX
        S: * ACL INBOX Fred rwipsldexta -Fred wetd
        S: A1 OK Getacl complete
        """,
    )
    assert acl.rights == {"Fred": "rwipsldexta", "-Fred": "wetd"}


def test_set_and_delete_acl(talk: Talk) -> None:  # RFC 4314, sections 3.1, 3.2
    for command, line in (
        (SetACL("INBOX/Drafts", "David", "lrswida"), "SETACL INBOX/Drafts David lrswida"),
        (
            SetACL("INBOX/Drafts", "John", "lrQswicda".replace("Q", ""), action="add"),
            "SETACL INBOX/Drafts John +lrswicda",
        ),
        (SetACL("x", "-anyone", "", action="replace"), 'SETACL x -anyone ""'),
        (SetACL("x", "a b", "r", action="remove"), 'SETACL x "a b" -r'),
        (DeleteACL("x", "Fred"), "DELETEACL x Fred"),
    ):
        assert talk(command, server("ACL"), f"C: A1 {line}\nS: A1 OK done") is None
    with pytest.raises(ValueError, match="rights"):
        SetACL("x", "Fred", "lr S")
    with pytest.raises(ValueError, match="action"):
        SetACL("x", "Fred", "lr", action="set")  # type: ignore[arg-type]


def test_list_rights_and_my_rights(talk: Talk) -> None:  # RFC 4314, sections 3.4, 3.5
    rights = talk(
        ListRights("~/Mail/saved", "smith"),
        server("ACL"),
        """
        C: A1 LISTRIGHTS ~/Mail/saved smith
        S: * LISTRIGHTS ~/Mail/saved smith la r swicdkxte
        S: A1 OK Listrights completed
        """,
    )
    assert (rights.identifier, rights.required, rights.optional) == ("smith", "la", ("r", "swicdkxte"))
    mine = talk(
        MyRights("INBOX"), server("ACL"), "C: A1 MYRIGHTS INBOX\nS: * MYRIGHTS INBOX rwiptsldaex\nS: A1 OK complete"
    )
    assert mine.rights == "rwiptsldaex"
    with pytest.raises(NoPermission):
        talk(MyRights("x"), server("ACL"), "C: A1 MYRIGHTS x\nS: A1 NO [NOPERM] no")


def test_get_metadata(talk: Talk) -> None:  # RFC 5464, section 4.2
    one = talk(
        GetMetadata("", "/shared/comment"),
        server("METADATA-SERVER"),
        """
        C: A1 GETMETADATA "" /shared/comment
        S: * METADATA "" (/shared/comment "Shared comment")
        S: A1 OK GETMETADATA complete
        """,
    )
    assert (one.mailbox, one.entries, one.longest) == ("", {"/shared/comment": b"Shared comment"}, None)
    two = talk(
        GetMetadata("inbox", "/shared/comment", "/private/comment"),
        server("METADATA"),
        """
        C: A1 GETMETADATA INBOX (/shared/comment /private/comment)
        S: * METADATA "INBOX" (/shared/comment "Shared comment")
        S: * METADATA "INBOX" /private/filters
        S: * METADATA "INBOX" (/private/comment NIL)
        S: A1 OK GETMETADATA complete
        """,
    )
    assert (two.mailbox, two.entries) == ("INBOX", {"/shared/comment": b"Shared comment", "/private/comment": None})
    assert [response.changed for response in talk.left if isinstance(response, Metadata)] == [("/private/filters",)]


def test_get_metadata_with_options(talk: Talk) -> None:  # RFC 5464, sections 4.2.1, 4.2.2
    result = talk(
        GetMetadata("INBOX", "/private/filters/values", max_size=1024, depth=1),
        server("METADATA"),
        """
        C: A1 GETMETADATA (MAXSIZE 1024 DEPTH 1) INBOX /private/filters/values
        S: * METADATA "INBOX" (/private/filters/values/small "SMALLER 5000")
        S: A1 OK [METADATA LONGENTRIES 2199] GETMETADATA complete
        """,
    )
    assert (dict(result.entries), result.longest) == ({"/private/filters/values/small": b"SMALLER 5000"}, 2199)
    everything = GetMetadata("INBOX", "/private/filters", depth="infinity")
    assert sent(everything, server("METADATA")) == [b"A1 GETMETADATA (DEPTH infinity) INBOX /private/filters\r\n"]
    with pytest.raises(CapabilityMissing, match="METADATA"):
        sent(everything, server("METADATA-SERVER"))
    for wrong in ("comment", "/private/", "/a//b", "/private/*"):
        with pytest.raises(ValueError, match="entry"):
            GetMetadata("", wrong)
    with pytest.raises(ValueError, match="depth"):
        GetMetadata("", "/private/comment", depth=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="names such as"):
        GetMetadata("")


def test_set_metadata(talk: Talk) -> None:  # RFC 5464, section 4.3
    talk(
        SetMetadata("INBOX", {"/private/comment": b"My comment\r\nis long", "/shared/x": None, "/shared/y": "z 1"}),
        server("METADATA"),
        """
        C: A1 SETMETADATA INBOX (/private/comment {19}
        S: + ready for data
        C: My comment
        C: is long /shared/x NIL /shared/y "z 1")
        S: A1 OK SETMETADATA complete
        """,
    )
    binary = SetMetadata("", {"/private/icon": b"\0\1"})
    # To a server that does not know the literal8, it would be a command.
    assert sent(binary, server("METADATA-SERVER", "LITERAL+")) == [
        b'A1 SETMETADATA "" (/private/icon ~{2}\r\n',
        b"\0\1)\r\n",
    ]
    with pytest.raises(CommandError) as caught:
        talk(
            SetMetadata("INBOX", {"/private/comment": "x"}),
            server("METADATA"),
            """
            C: A1 SETMETADATA INBOX (/private/comment "x")
            S: A1 NO [METADATA TOOMANY] SETMETADATA failed
            """,
        )
    assert caught.value.code == "METADATA"
    with pytest.raises(ValueError, match="at least one"):
        SetMetadata("INBOX", {})


def test_notify(talk: Talk) -> None:  # RFC 5465, section 3.1
    found = talk(
        Notify(
            EventGroup(
                MailboxFilter("selected"),
                ("MessageNew", "MessageExpunge"),
                ("UID", "BODY.PEEK[HEADER.FIELDS (From To Subject)]"),
            ),
            EventGroup(MailboxFilter("subtree", ("Lists",)), ("MessageNew", "MessageExpunge")),
            EventGroup(MailboxFilter("mailboxes", ("misc", "two words")), ()),
            EventGroup(MailboxFilter("personal"), ("MailboxName", "SubscriptionChange")),
            status=True,
        ),
        server("NOTIFY"),
        """
        C: A1 NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT)]) MessageExpunge))\
 (subtree Lists (MessageNew MessageExpunge)) (mailboxes (misc "two words") NONE)\
 (personal (MailboxName SubscriptionChange))
        S: * STATUS Lists/Lemonade (UIDVALIDITY 4 UIDNEXT 9999 MESSAGES 2)
        S: A1 OK done
        """,
    )
    assert [(status.name, status.uid_next) for status in found] == [("Lists/Lemonade", 9999)]
    talk(NotifyNone(), server("NOTIFY"), "C: A1 NOTIFY NONE\nS: * STATUS x (MESSAGES 1)\nS: A1 OK done")
    assert len(talk.left) == 1
    with pytest.raises(CapabilityMissing):
        sent(NotifyNone(), server())


def test_notify_refuses_what_the_rfc_forbids() -> None:  # RFC 5465, sections 5 and 6
    personal, selected = MailboxFilter("personal"), MailboxFilter("selected")
    with pytest.raises(ValueError, match="together"):
        EventGroup(personal, ("MessageNew",))
    with pytest.raises(ValueError, match="together"):
        EventGroup(personal, ("FlagChange",))
    with pytest.raises(ValueError, match="selected"):
        EventGroup(selected, ("MailboxName",))
    with pytest.raises(ValueError, match="items"):
        EventGroup(personal, ("MessageNew", "MessageExpunge"), ("UID",))
    with pytest.raises(ValueError, match="not an event"):
        EventGroup(personal, ("NewMail",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="subtree-one"):
        EventGroup(MailboxFilter("subtree-one", ("x",)))
    with pytest.raises(ValueError, match="with names"):
        MailboxFilter("subtree")
    with pytest.raises(ValueError, match="without names"):
        MailboxFilter("personal", ("x",))
    with pytest.raises(TypeError, match="tuple"):
        MailboxFilter("subtree", "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choice"):
        MailboxFilter("everything")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="notify_none"):
        Notify()


def test_id(talk: Talk) -> None:  # RFC 2971, section 3.1
    fields = talk(
        ID({"name": "sodr", "version": "19.34", "vendor": None}),
        server("ID", state=State.NOT_AUTHENTICATED),
        """
        C: A1 ID ("name" "sodr" "version" "19.34" "vendor" NIL)
        S: * ID ("name" "Cyrus" "version" "1.5" "os" "sunos")
        S: A1 OK ID command completed
        """,
    )
    assert fields == {"name": "Cyrus", "version": "1.5", "os": "sunos"}
    assert talk(ID(), server("ID"), "C: A1 ID NIL\nS: * ID NIL\nS: A1 OK done") == {}
    assert talk(ID(), server("ID"), "C: A1 ID NIL\nS: A1 OK done") == {}
    with pytest.raises(ValueError, match="30 fields"):
        ID({f"x{number}": "y" for number in range(31)})
    with pytest.raises(ValueError, match="1024"):
        ID({"name": "y" * 1025})


def test_enable(talk: Talk) -> None:  # RFC 5161, section 3.1
    session = server("ENABLE", state=State.AUTHENTICATED)
    enabled = talk(
        Enable("condstore", "X-GOOD-IDEA"),
        session,
        """
        C: A1 ENABLE CONDSTORE X-GOOD-IDEA
        S: * ENABLED X-GOOD-IDEA
        S: A1 OK foo
        """,
    )
    assert enabled == {"X-GOOD-IDEA"}
    with pytest.raises(StateError):
        sent(Enable("QRESYNC"), server("ENABLE"))
    with pytest.raises(ValueError, match="at least one"):
        Enable()


def test_language(talk: Talk) -> None:  # RFC 5255, section 3.2
    tags = talk(
        Language("fr", "de-CH"),
        server("LANGUAGE"),
        """
        C: A1 LANGUAGE fr de-CH
        S: * LANGUAGE (FR)
        S: * NAMESPACE (("" "/")) NIL NIL
        S: A1 OK La commande a été exécutée avec succès
        """,
    )
    assert tags == ("FR",)
    assert len(talk.left) == 1
    assert talk(Language(), server("LANGUAGE"), "C: A1 LANGUAGE\nS: * LANGUAGE (EN DE IT i-default)\nS: A1 OK") == (
        "EN",
        "DE",
        "IT",
        "i-default",
    )


def test_comparator(talk: Talk) -> None:  # RFC 5255, section 4.7
    comparator = talk(
        Comparator("cz;*", "i;basic"),
        server("I18NLEVEL=2"),
        """
        C: A1 COMPARATOR "cz;*" "i;basic"
        S: * COMPARATOR i;basic
        S: A1 OK Will use i;basic for collation
        """,
    )
    assert comparator.name == "i;basic"
    with pytest.raises(CapabilityMissing, match="I18NLEVEL=2"):
        sent(Comparator(), server("I18NLEVEL=1"))


def test_unauthenticate(talk: Talk) -> None:  # RFC 8437, section 2
    session = server("UNAUTHENTICATE", enabled=["UTF8=ACCEPT"])
    talk(Unauthenticate(), session, "C: A1 UNAUTHENTICATE\nS: A1 OK done")
    assert (session.state, session.mailbox, session.enabled) == (State.NOT_AUTHENTICATED, None, frozenset())


def test_jmap_access(talk: Talk) -> None:  # RFC 9698, section 5 and its erratum 8635
    url = talk(
        GetJMAPAccess(),
        server("JMAPACCESS"),
        """
        C: A1 GETJMAPACCESS
        S: * JMAPACCESS "https://example.com/.s/[jmap]"
        S: A1 OK done
        """,
    )
    assert url == "https://example.com/.s/[jmap]"


@pytest.mark.parametrize(
    ("command", "capability"),
    [
        (GetQuota(""), "QUOTA"),
        (GetQuotaRoot(), "QUOTA"),
        (SetQuota("", {}), "QUOTA"),
        (GetACL("x"), "ACL"),
        (DeleteACL("x", "y"), "ACL"),
        (ID(), "ID"),
        (Language(), "LANGUAGE"),
        (Notify(EventGroup(MailboxFilter("personal"))), "NOTIFY"),
        (Unauthenticate(), "UNAUTHENTICATE"),
        (GetJMAPAccess(), "JMAPACCESS"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_nothing_is_sent_to_a_server_without_the_capability(command: Command[Any], capability: str) -> None:
    for session in (server(), rev2()):
        with pytest.raises(CapabilityMissing) as caught:
            sent(command, session)
        assert caught.value.capability == capability
