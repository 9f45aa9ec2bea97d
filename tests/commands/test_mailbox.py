"""LIST and the other commands on mailboxes, by the examples of the RFCs."""

from __future__ import annotations

import pytest

from fastimap.commands import (
    Create,
    Delete,
    List,
    LSub,
    Namespace,
    Rename,
    Status,
    Subscribe,
    Unsubscribe,
    XList,
)
from fastimap.errors import CapabilityMissing, CommandError, FastimapError, MailboxNotFound, NoPermission
from fastimap.types import MailboxNamespace
from tests.commands.harness import Talk, rev2, sent, server


def test_list(talk: Talk) -> None:  # RFC 3501, section 6.3.8
    found = talk(
        List("~/Mail/", "%"),
        server(),
        r"""
        C: A1 LIST ~/Mail/ %
        S: * LIST (\Noselect) "/" ~/Mail/foo
        S: * LIST () "/" ~/Mail/meetings
        S: A1 OK LIST completed
        """,
    )
    assert [info.name for info in found] == ["~/Mail/foo", "~/Mail/meetings"]
    assert [info.delimiter for info in found] == ["/", "/"]
    assert [info.is_selectable for info in found] == [False, True]
    assert talk.left == []


def test_a_mailbox_is_listed_once(talk: Talk) -> None:  # as Cyrus 3.10 answers after CREATE
    found = talk(
        List(),
        server(),
        r"""
        C: A1 LIST "" *
        S: * LIST () "/" Work
        S: * LIST () "/" INBOX
        S: * LIST (\HasNoChildren) "/" Work
        S: A1 OK Completed
        """,
    )
    assert [(info.name, info.has_children) for info in found] == [("Work", False), ("INBOX", None)]


def test_no_mailbox_vanishes_from_a_list(talk: Talk) -> None:
    """Names that a careless server does not quote, or encode, and lines that can't be read."""
    found = talk(
        List(),
        server("LIST-STATUS"),
        r"""
        C: A1 LIST "" *
        S: * LIST () "/" INBOX
        S: * LIST () "/" folderB/TESTfolder(S)C
        S: * LIST () "/" Old Clients
        S: * LIST () "/" "R&D"
        S: * LIST () "/" "R&-D"
        S: * LIST (\HasChildren "/" x
        S: * LIST (\HasChildren "/" y
        S: * LIST () "/" inbox
        S: A1 OK LIST completed
        """,
    )
    assert [(info.name, info.octets, info.is_selectable) for info in found] == [
        ("INBOX", b"inbox", True),
        ("folderB/TESTfolder(S)C", b"folderB/TESTfolder(S)C", True),
        ("Old Clients", b"Old Clients", True),
        ("R&D", b"R&D", True),
        ("R&D", b"R&-D", True),
        ("", b"", False),
        ("", b"", False),
    ]
    assert [info.defect is None for info in found] == [True, False, False, True, True, False, False]
    assert talk.left == []


def test_list_of_the_delimiter(talk: Talk) -> None:
    (root,) = talk(
        List(pattern=""),
        server(),
        r"""
        C: A1 LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: A1 OK LIST Completed
        """,
    )
    assert (root.name, root.delimiter) == ("", "/")


def test_list_sends_names_in_the_encoding_of_the_connection(talk: Talk) -> None:
    assert sent(List("", "Entwürfe/*"), server()) == [b'A1 LIST "" Entw&APw-rfe/*\r\n']
    utf8 = server(enabled=["UTF8=ACCEPT"])
    assert sent(List("", "Entwürfe/*"), utf8) == ['A1 LIST "" "Entwürfe/*"\r\n'.encode()]


def test_list_extended(talk: Talk) -> None:  # RFC 5258, section 5, examples 3 and 9
    found = talk(
        List("", "%", subscribed=True, recursive_match=True, with_children=True),
        server("LIST-EXTENDED"),
        r"""
        C: A1 LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (CHILDREN)
        S: * LIST (\HasChildren) "/" "foo" ("CHILDINFO" ("SUBSCRIBED"))
        S: * LIST (\Subscribed \NonExistent) "/" "Foo/Baz"
        S: A1 OK done
        """,
    )
    assert found[0].child_info == ("SUBSCRIBED",)
    assert found[0].has_children is True
    assert found[1].attributes == {"\\Subscribed", "\\NonExistent"}


def test_list_of_several_patterns(talk: Talk) -> None:  # RFC 5258, section 5, example 7
    command = List("", ("INBOX", "Drafts", "Sent/%"), with_subscribed=True, with_special_use=True)
    assert sent(command, server("LIST-EXTENDED", "SPECIAL-USE")) == [
        b'A1 LIST "" (INBOX Drafts Sent/%) RETURN (SUBSCRIBED SPECIAL-USE)\r\n'
    ]
    with pytest.raises(CapabilityMissing, match="LIST-EXTENDED"):
        sent(command, server("SPECIAL-USE"))


def test_list_of_special_uses(talk: Talk) -> None:  # RFC 6154, section 5.2
    found = talk(
        List("", "*", special_use=True, remote=True),
        server("SPECIAL-USE", "LIST-EXTENDED"),
        r"""
        C: A1 LIST (REMOTE SPECIAL-USE) "" *
        S: * LIST (\Marked \Drafts) "/" MyDrafts
        S: * LIST (\Trash) "/" Trash
        S: A1 OK done
        """,
    )
    assert [info.special_use for info in found] == [{"\\Drafts"}, {"\\Trash"}]


def test_list_with_status(talk: Talk) -> None:  # RFC 5819, section 4
    inbox, foo, bar = talk(
        List("", "%", status=["MESSAGES", "unseen"]),
        server("LIST-STATUS", "LIST-EXTENDED"),
        r"""
        C: A1 LIST "" % RETURN (STATUS (MESSAGES UNSEEN))
        S: * LIST () "."  "INBOX"
        S: * STATUS "INBOX" (MESSAGES 17 UNSEEN 16)
        S: * LIST () "." "foo"
        S: * STATUS "foo" (MESSAGES 30 UNSEEN 29)
        S: * LIST (\NoSelect) "." "bar"
        S: A1 OK List completed.
        """,
    )
    assert (inbox.status.messages, inbox.status.unseen) == (17, 16)
    assert (foo.status.messages, foo.status.unseen) == (30, 29)
    assert bar.status is None
    assert talk.left == []


@pytest.mark.parametrize(
    ("command", "octets"),
    [
        (List(), b'A1 LIST "" *\r\n'),
        (LSub(), b'A1 LSUB "" *\r\n'),
        (List(status=["MESSAGES"]), b'A1 LIST "" * RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES))\r\n'),
        (List(subscribed=True), b'A1 LIST (SUBSCRIBED) "" * RETURN (CHILDREN SPECIAL-USE)\r\n'),
        (List("", ["a", "b"]), b'A1 LIST "" (a b) RETURN (CHILDREN SPECIAL-USE)\r\n'),
        (List(special_use=True), b'A1 LIST (SPECIAL-USE) "" * RETURN (CHILDREN)\r\n'),
        (List(with_special_use=True), b'A1 LIST "" * RETURN (CHILDREN SPECIAL-USE)\r\n'),
        (List(with_children=True), b'A1 LIST "" * RETURN (SPECIAL-USE CHILDREN)\r\n'),
    ],
)
def test_what_list_tells_by_itself_is_asked_for_in_its_extended_form(command: List, octets: bytes) -> None:
    for session in (server("LIST-EXTENDED", "LIST-STATUS", "CHILDREN", "SPECIAL-USE"), rev2()):
        assert sent(command, session) == [octets]


def test_list_with_rights_and_metadata(talk: Talk) -> None:  # RFC 8440, section 4; RFC 9590, section 4
    inbox, shared = talk(
        List("", "%", with_rights=True, metadata=["/shared/vendor/cmu/cyrus-imapd/color", "/private/comment"]),
        server("LIST-EXTENDED", "LIST-MYRIGHTS", "LIST-METADATA"),
        """
        C: A1 LIST "" % RETURN (MYRIGHTS METADATA (/shared/vendor/cmu/cyrus-imapd/color /private/comment))
        S: * LIST () "." "INBOX"
        S: * MYRIGHTS "INBOX" lrswipkxtecda
        S: * METADATA "INBOX" ("/shared/vendor/cmu/cyrus-imapd/color" "#b71c1c")
        S: * METADATA "INBOX" ("/private/comment" NIL)
        S: * LIST () "." "foo"
        S: * MYRIGHTS "foo" lrs
        S: A1 OK List completed.
        """,
    )
    assert (inbox.my_rights, shared.my_rights) == ("lrswipkxtecda", "lrs")
    assert inbox.metadata == {"/shared/vendor/cmu/cyrus-imapd/color": b"#b71c1c", "/private/comment": None}
    assert shared.metadata is None


def test_list_leaves_what_it_did_not_ask_for(talk: Talk) -> None:
    found = talk(
        List(),
        server(),
        """
        C: A1 LIST "" *
        S: * STATUS other (MESSAGES 1)
        S: * LSUB () "/" other
        S: * 3 EXISTS
        S: A1 OK done
        """,
    )
    assert found == ()
    assert len(talk.left) == 3


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"with_children": True}, "LIST-EXTENDED"),
        ({"special_use": True}, "SPECIAL-USE"),
        ({"with_rights": True}, "LIST-MYRIGHTS"),
        ({"metadata": ["/private/comment"]}, "LIST-METADATA"),
        ({"status": ["MESSAGES"]}, "LIST-STATUS"),
        ({"status": ["SIZE"]}, "STATUS=SIZE"),
    ],
)
def test_list_needs_capabilities(options: dict[str, object], missing: str) -> None:
    others = {"LIST-EXTENDED", "SPECIAL-USE", "LIST-MYRIGHTS", "LIST-METADATA", "LIST-STATUS", "STATUS=SIZE"} - {
        missing
    }
    with pytest.raises(CapabilityMissing, match=missing):
        sent(List(**options), server(*others))  # type: ignore[arg-type]


def test_list_refuses_what_the_grammar_has_not() -> None:
    with pytest.raises(ValueError, match="recursive_match"):
        List(recursive_match=True, remote=True)
    with pytest.raises(ValueError, match="pattern"):
        List(pattern=())
    with pytest.raises(TypeError, match="list"):
        List(status="MESSAGES")


def test_lsub(talk: Talk) -> None:  # RFC 3501, section 6.3.9
    found = talk(
        LSub("#news.", "comp.mail.*"),
        server(),
        """
        C: A1 LSUB #news. comp.mail.*
        S: * LSUB () "." #news.comp.mail.mime
        S: * LIST () "." INBOX
        S: * LSUB () "." #news.comp.mail.misc
        S: A1 OK LSUB completed
        """,
    )
    assert [info.name for info in found] == ["#news.comp.mail.mime", "#news.comp.mail.misc"]
    assert len(talk.left) == 1


def test_xlist(talk: Talk) -> None:
    (found,) = talk(
        XList("", "%"),
        server("XLIST"),
        r"""
        C: A1 XLIST "" %
        S: * XLIST (\HasNoChildren \Sent) "/" "[Gmail]/Sent Mail"
        S: A1 OK Success
        """,
    )
    assert (found.name, found.special_use) == ("[Gmail]/Sent Mail", {"\\Sent"})
    with pytest.raises(CapabilityMissing):
        sent(XList(), server())


def test_status(talk: Talk) -> None:  # RFC 9051, section 6.3.11
    status = talk(
        Status("blurdybloop", "UIDNEXT", "MESSAGES"),
        server(),
        """
        C: A1 STATUS blurdybloop (UIDNEXT MESSAGES)
        S: * STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)
        S: A1 OK STATUS completed
        """,
    )
    assert (status.messages, status.uid_next, status.unseen) == (231, 44292, None)


def test_status_asks_for_what_the_server_has() -> None:
    assert sent(Status("x"), server()) == [b"A1 STATUS x (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)\r\n"]
    assert sent(Status("x"), rev2()) == [b"A1 STATUS x (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n"]
    assert sent(Status("x"), server("CONDSTORE", "OBJECTID", "APPENDLIMIT", "STATUS=SIZE")) == [
        b"A1 STATUS x (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT HIGHESTMODSEQ APPENDLIMIT)\r\n"
    ]
    assert sent(Status("x", "SIZE", "DELETED"), rev2()) == [b"A1 STATUS x (SIZE DELETED)\r\n"]
    with pytest.raises(CapabilityMissing, match="STATUS=SIZE"):
        sent(Status("x", "SIZE"), server())


def test_status_of_a_mailbox_that_is_not_there(talk: Talk) -> None:
    with pytest.raises(MailboxNotFound) as caught:
        talk(
            Status("x", "MESSAGES"),
            server(),
            """
            C: A1 STATUS x (MESSAGES)
            S: A1 NO [NONEXISTENT] no such mailbox
            """,
        )
    assert (caught.value.command, caught.value.code) == ("STATUS", "NONEXISTENT")


def test_the_status_of_another_mailbox_is_news(talk: Talk) -> None:  # RFC 5465, section 5
    status = talk(
        Status("inbox", "MESSAGES"),
        server(),
        """
        C: A1 STATUS INBOX (MESSAGES)
        S: * STATUS Lists (MESSAGES 4)
        S: * STATUS Inbox (MESSAGES 7)
        S: * STATUS Lists (MESSAGES 5)
        S: A1 OK done
        """,
    )
    assert (status.name, status.messages) == ("INBOX", 7)
    assert len(talk.left) == 2


def test_ok_without_the_data_is_an_error(talk: Talk) -> None:
    with pytest.raises(FastimapError, match="STATUS"):
        talk(Status("x", "MESSAGES"), server(), "C: A1 STATUS x (MESSAGES)\nS: A1 OK done")


def test_create(talk: Talk) -> None:  # RFC 9051, section 6.3.4; RFC 8474, section 4.1
    assert talk(Create("owatagusiam/"), server(), "C: A1 CREATE owatagusiam/\nS: A1 OK CREATE completed") is None
    created = "C: A1 CREATE foo\nS: A1 OK [MAILBOXID (F2212ea87-6097-4256-9d51-71338625)] Completed"
    assert talk(Create("foo"), server("OBJECTID"), created) == "F2212ea87-6097-4256-9d51-71338625"


def test_create_with_a_special_use(talk: Talk) -> None:  # RFC 6154, section 5.3
    capable = server("CREATE-SPECIAL-USE")
    talk(
        Create("MySpecial", special_use=["\\Drafts", "\\Sent"]),
        capable,
        r"""
        C: A1 CREATE MySpecial (USE (\Drafts \Sent))
        S: A1 OK MySpecial created
        """,
    )
    assert sent(Create("x", special_use="\\Sent"), capable) == [b"A1 CREATE x (USE (\\Sent))\r\n"]
    with pytest.raises(CommandError) as caught:
        talk(
            Create("Everything", special_use="\\All"),
            capable,
            r"""
            C: A1 CREATE Everything (USE (\All))
            S: A1 NO [USEATTR] \All not supported
            """,
        )
    assert caught.value.code == "USEATTR"
    with pytest.raises(CapabilityMissing):
        sent(Create("x", special_use="\\Sent"), server())


def test_delete_rename_subscribe_unsubscribe(talk: Talk) -> None:
    for command, line in (
        (Delete("blurdy bloop"), 'DELETE "blurdy bloop"'),
        (Rename("inbox", "old-mail"), "RENAME INBOX old-mail"),
        (Subscribe("#news.comp.mail.mime"), "SUBSCRIBE #news.comp.mail.mime"),
        (Unsubscribe("Café"), "UNSUBSCRIBE Caf&AOk-"),
    ):
        assert talk(command, server(), f"C: A1 {line}\nS: A1 OK completed") is None


def test_delete_without_the_right_to(talk: Talk) -> None:
    with pytest.raises(NoPermission):
        talk(Delete("x"), server(), "C: A1 DELETE x\nS: A1 NO [NOPERM] Access denied")


def test_names_as_octets_are_sent_as_they_are() -> None:
    assert sent(Delete(b"Entw&APw-rfe"), server()) == [b"A1 DELETE Entw&APw-rfe\r\n"]
    assert sent(Delete(b"caf\xe9"), server()) == [b"A1 DELETE {4}\r\n", b"caf\xe9\r\n"]


def test_namespace(talk: Talk) -> None:  # RFC 2342, section 5, example 5.5
    spaces = talk(
        Namespace(),
        server("NAMESPACE"),
        """
        C: A1 NAMESPACE
        S: * NAMESPACE (("" "/")) (("~" "/")) (("#shared/" "/") ("#public/" "/"))
        S: A1 OK NAMESPACE command completed
        """,
    )
    assert spaces.personal == (MailboxNamespace("", "/"),)
    assert spaces.other_users == (MailboxNamespace("~", "/"),)
    assert spaces.shared == (MailboxNamespace("#shared/", "/"), MailboxNamespace("#public/", "/"))
    with pytest.raises(CapabilityMissing):
        sent(Namespace(), server())
    assert sent(Namespace(), rev2()) == [b"A1 NAMESPACE\r\n"]


def test_what_may_overlap() -> None:  # RFC 9051, section 5.5
    assert (Status("one").kind, List().kind) == ("status", "list")
    for mixed in (List(status=["MESSAGES"]), List(metadata=["/shared/comment"]), List(with_rights=True)):
        assert mixed.kind is None  # the answers of others would look like its own
    one, two = Status("one").ranges(server()), Status("two").ranges(server())
    assert one == Status("one", "UIDNEXT").ranges(server()) != two
    assert Status("inbox").ranges(server()) == Status("INBOX").ranges(server())
