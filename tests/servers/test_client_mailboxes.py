"""The typed client and the mailboxes of real servers: names, attributes, status, quota, rights, metadata."""

from __future__ import annotations

from typing import Any

import pytest

from fastimap import commands
from fastimap.errors import (
    CapabilityMissing,
    CommandError,
    MailboxExists,
    MailboxNotFound,
    NoPermission,
)
from tests.servers.accounts import LETTERS, Account, fill, offered


def names(found: Any) -> set[str]:
    return {info.name for info in found}


def test_create_list_rename_delete(account: Account, client: Any) -> None:
    work, below, play = account.mailbox("Work"), account.mailbox("Work", "Below"), account.mailbox("Play")
    client.create_mailbox(work)
    client.create_mailbox(below)
    drafts, trash = account.mailbox("Drafts"), account.mailbox("Trash")
    found = {info.name: info for info in client.list_mailboxes()}
    assert set(found) == {"INBOX", drafts, trash, work, below}
    assert {info.delimiter for info in found.values()} == {account.delimiter}
    assert found[work].has_children is True
    assert found[below].has_children is False
    assert all(info.is_selectable for info in found.values())
    assert names(client.list_mailboxes("", work)) == {work}
    assert names(client.list_mailboxes("", account.mailbox("W%"))) == {work}

    client.rename_mailbox(work, play)
    assert names(client.list_mailboxes("", account.mailbox("*"))) >= {play, account.mailbox("Play", "Below")}
    assert names(client.list_mailboxes("", work)) == set()
    client.delete_mailbox(account.mailbox("Play", "Below"))
    client.delete_mailbox(play)
    assert names(client.list_mailboxes()) == {"INBOX", drafts, trash}


def test_the_delimiter_alone(account: Account, client: Any) -> None:
    (root,) = client.list_mailboxes("", "")
    assert root.delimiter == account.delimiter
    assert not root.is_selectable


def test_what_is_not_there_and_what_is(account: Account, client: Any) -> None:
    nowhere, work = account.mailbox("Nowhere"), account.mailbox("Work")
    with pytest.raises(MailboxNotFound) as refused:
        client.select(nowhere)
    assert refused.value.status == "NO"
    assert refused.value.command == "SELECT"
    client.create_mailbox(work)
    # Courier does not say why it creates nothing.
    with pytest.raises(CommandError if account.is_courier else MailboxExists):
        client.create_mailbox(work)
    with pytest.raises(MailboxNotFound):
        client.delete_mailbox(nowhere)
    with pytest.raises(MailboxNotFound):
        client.mailbox_status(nowhere, "MESSAGES")
    with pytest.raises(MailboxNotFound) as refused:
        client.append(nowhere, LETTERS[0])
    assert refused.value.code == "TRYCREATE"


def test_subscriptions(account: Account, client: Any) -> None:
    work = account.mailbox("Work")
    client.create_mailbox(work)
    client.subscribe(work)
    assert work in names(client.run(commands.LSub()))
    assert {info.kind for info in client.run(commands.LSub())} == {"LSUB"}
    client.unsubscribe(work)
    assert work not in names(client.run(commands.LSub()))


def test_namespaces(account: Account, client: Any) -> None:
    found = client.namespace()
    (personal,) = found.personal
    assert personal.delimiter == account.delimiter
    assert personal.prefix == ("INBOX." if account.is_courier else "")
    if account.server.name.startswith("cyrus"):
        assert [(n.prefix, n.delimiter) for n in found.other_users] == [("Other Users/", "/")]
        assert [(n.prefix, n.delimiter) for n in found.shared] == [("Shared Folders/", "/")]


@pytest.mark.parametrize("utf8", [False, True], ids=["modified UTF-7", "UTF-8"])
def test_names_in_any_script(account_of_both: Account, utf8: bool) -> None:
    client = account_of_both.client()
    if utf8:
        if "UTF8=ACCEPT" not in client.capabilities:
            assert client.session.utf8 == ("IMAP4REV2" in client.session.enabled)
            return
        assert "UTF8=ACCEPT" in client.enable("UTF8=ACCEPT")
        assert client.session.utf8
        if account_of_both.server.name == "dovecot-2.4":
            # Its support is an experiment, and mailbox names are no part of it yet.
            with pytest.raises(CommandError, match="not valid mUTF-7"):
                client.create_mailbox("日本語")
            return
    given = [account_of_both.mailbox(name) for name in ("Entwürfe & Co", "日本語", "a (b) c")]
    for name in given:
        client.create_mailbox(name)
        client.subscribe(name)
    assert set(given) <= names(client.list_mailboxes())
    assert set(given) <= names(client.run(commands.LSub()))
    for name in given:
        assert client.select(name).name == name
        assert client.session.mailbox == name
        assert client.mailbox_status(name, "MESSAGES").name == name
    octets = {info.name: info.octets for info in client.list_mailboxes()}
    if client.session.utf8:
        assert octets[given[1]].endswith("日本語".encode())
    else:
        assert octets[given[1]].endswith(b"&ZeVnLIqe-")  # an example of RFC 3501, section 5.1.3
    client.unselect() if client.session.has("UNSELECT") else client.close_mailbox()
    client.delete_mailbox(given[0])
    assert names(client.list_mailboxes()).isdisjoint(given[:1])


def test_list_extended(account: Account, client: Any) -> None:
    if client.session.has("LIST-EXTENDED"):
        client.create_mailbox("Work")
        client.create_mailbox("Work/Below")
        client.subscribe("Work/Below")
    with offered(client, "LIST-EXTENDED"):
        found = client.list_mailboxes("", ["INBOX", "Work*"], with_subscribed=True, with_children=True)
        assert {i.name: "\\Subscribed" in i.attributes for i in found} == {
            "INBOX": "\\Subscribed" in _by_name(found, "INBOX").attributes,
            "Work": False,
            "Work/Below": True,
        }
        assert _by_name(found, "Work").has_children is True
        assert _by_name(found, "Work/Below").has_children is False
        subscribed = client.list_mailboxes("", "Work*", subscribed=True)
        assert names(subscribed) == {"Work/Below"}
        if account.server.name != "cyrus-3.10":  # it dies of it: "session ended"
            above = client.list_mailboxes("", "Work", subscribed=True, recursive_match=True)
            assert [(i.name, i.child_info) for i in above] == [("Work", ("SUBSCRIBED",))]
        assert "Work/Below" in names(client.list_mailboxes("", "*", subscribed=True, remote=True))


def _by_name(found: Any, name: str) -> Any:
    (info,) = [info for info in found if info.name == name]
    return info


def test_list_status(account: Account, client: Any) -> None:
    fill(client)
    with offered(client, "LIST-STATUS"):
        found = client.list_mailboxes("", "*", status=["MESSAGES", "UNSEEN", "UIDNEXT"])
        status = _by_name(found, "INBOX").status
        assert (status.messages, status.unseen) == (4, 2)
        assert status.uid_next > 4
        assert _by_name(found, "Trash").status.messages == 0
        if client.session.has("SPECIAL-USE"):
            assert _by_name(found, "Trash").special_use == {"\\Trash"}
        assert _by_name(found, "Trash").has_children is False
    assert client.take_events() == []


def test_list_my_rights(client: Any) -> None:
    with offered(client, "LIST-MYRIGHTS"):
        (inbox,) = client.list_mailboxes("", "INBOX", with_rights=True)
        assert set("lrswi") <= set(inbox.my_rights)


def test_list_metadata(client: Any) -> None:
    if client.session.has("METADATA"):
        client.set_metadata("Trash", {"/private/comment": "what is left"})
    with offered(client, "LIST-METADATA"):
        found = client.list_mailboxes("", "%", metadata=["/private/comment"])
        assert _by_name(found, "Trash").metadata == {"/private/comment": b"what is left"}
        assert not (_by_name(found, "Drafts").metadata or {}).get("/private/comment")


def test_special_use(client: Any) -> None:
    with offered(client, "SPECIAL-USE"):
        # Cyrus writes \drafts: special uses compare without regard to case.
        found = client.list_mailboxes("", "*", special_use=True)
        assert {info.name: set(info.special_use) for info in found} == {"Drafts": {"\\Drafts"}, "Trash": {"\\Trash"}}
        asked = client.list_mailboxes("", "*", with_special_use=True)
        assert _by_name(asked, "Trash").special_use == {"\\Trash"}
        assert _by_name(asked, "INBOX").special_use == frozenset()


def test_create_special_use(client: Any) -> None:
    with offered(client, "CREATE-SPECIAL-USE"):
        client.create_mailbox("Gone", special_use="\\Sent")
        assert _by_name(client.list_mailboxes("", "*", special_use=True), "Gone").special_use == {"\\Sent"}


def test_xlist(client: Any) -> None:
    with offered(client, "XLIST"):
        found = client.run(commands.XList())
        assert {info.kind for info in found} == {"XLIST"}
        assert _by_name(found, "Drafts").special_use == {"\\Drafts"}


def test_status(account_of_both: Account) -> None:
    client = account_of_both.client()
    drafts = account_of_both.mailbox("Drafts")
    uids = fill(client, drafts)
    status = client.mailbox_status(drafts)
    assert status.name == drafts
    assert (status.messages, status.unseen) == (4, 2)
    assert status.uid_next == uids[-1] + 1
    assert status.uid_validity > 0
    assert status.size is None
    with offered(client, "CONDSTORE"):
        assert client.mailbox_status(drafts, "HIGHESTMODSEQ").highest_mod_sequence > 1
    with offered(client, "OBJECTID"):
        assert client.mailbox_status(drafts, "MAILBOXID").mailbox_id


def test_status_size(client: Any) -> None:
    fill(client)
    with offered(client, "STATUS=SIZE"):
        assert client.mailbox_status("INBOX", "SIZE").size == sum(map(len, LETTERS))


def test_status_deleted(client: Any) -> None:
    client.append("INBOX", LETTERS[0], flags=["\\Deleted"])
    client.append("INBOX", LETTERS[1])
    if client.session.has("IMAP4REV2") or client.session.has("QUOTA=RES-MESSAGE"):
        assert client.mailbox_status("INBOX", "DELETED").deleted == 1
    else:
        with pytest.raises(CapabilityMissing):
            client.mailbox_status("INBOX", "DELETED")
    with offered(client, "QUOTA=RES-STORAGE"):
        assert client.mailbox_status("INBOX", "DELETED-STORAGE").deleted_storage == len(LETTERS[0])


def test_object_id_of_mailboxes(client: Any) -> None:
    with offered(client, "OBJECTID"):
        status = client.mailbox_status("Drafts", "MAILBOXID")
        created = client.create_mailbox("Work")
        assert created
        selected = client.select("Work")
        assert selected.mailbox_id == created != status.mailbox_id
        client.unselect()
        client.rename_mailbox("Work", "Play")
        assert client.mailbox_status("Play", "MAILBOXID").mailbox_id == created


def test_quota(account: Account, client: Any) -> None:
    fill(client)
    with offered(client, "QUOTA"):
        found = client.get_quota_root("INBOX")
        (root,) = found.roots
        (quota,) = found.quotas
        assert quota.root == root
        storage = {resource.name: resource for resource in quota.resources}["STORAGE"]
        assert storage.limit == 1024 * 1024
        assert 0 <= storage.usage < 100
        if account.server.admin is None:
            assert client.get_quota(root) == quota
        with pytest.raises(CommandError) as refused:
            client.set_quota(root, {"STORAGE": 1000})
        assert refused.value.status == "NO"
        if account.server.name != "dovecot-2.3":  # "Quota can be changed only by admin"
            assert isinstance(refused.value, NoPermission)


def test_set_quota(account: Account, client: Any) -> None:
    if account.server.admin is None:
        with pytest.raises(CommandError):
            client.set_quota("", {"STORAGE": 1000})
        return
    assert client.get_quota_root("INBOX").roots  # the mailbox is made at the first use
    admin = account.client(user=account.server.admin[0])
    with offered(admin, "QUOTA"):
        root = f"user/{account.user}"
        assert admin.set_quota(root, {"STORAGE": 5000, "MESSAGE": 77}) is None
        assert {r.name: r.limit for r in admin.get_quota(root).resources} == {"STORAGE": 5000, "MESSAGE": 77}
        assert {r.name: r.limit for r in client.get_quota_root("INBOX").quotas[0].resources}["MESSAGE"] == 77


def test_access_control(account_of_both: Account) -> None:
    client = account_of_both.client()
    other = account_of_both.server.new_user()
    account_of_both.client(user=other)  # some servers know those alone who were there
    with offered(client, "ACL"):
        mailbox = account_of_both.mailbox("Work")
        client.create_mailbox(mailbox)
        mine = client.my_rights(mailbox)
        assert mine.mailbox == mailbox
        assert set("lrswia") <= set(mine.rights)
        identifier = other
        client.set_acl(mailbox, identifier, "lr")
        assert set(client.get_acl(mailbox).rights[identifier]) == {"l", "r"}
        client.set_acl(mailbox, identifier, "s", action="add")
        assert set(client.get_acl(mailbox).rights[identifier]) == {"l", "r", "s"}
        client.set_acl(mailbox, identifier, "r", action="remove")
        assert set(client.get_acl(mailbox).rights[identifier]) == {"l", "s"}
        rights = client.list_rights(mailbox, identifier)
        assert (rights.mailbox, rights.identifier) == (mailbox, identifier)
        assert {"l", "r", "s"} <= set(rights.required).union(*rights.optional)
        client.delete_acl(mailbox, identifier)
        assert identifier not in client.get_acl(mailbox).rights


def test_no_permission(account: Account, client: Any) -> None:
    if not account.server.name.startswith("cyrus"):
        return
    other = account.server.new_user()
    theirs = account.client(user=other)
    theirs.create_mailbox("Shown")
    theirs.set_acl("Shown", account.user, "lr")
    with pytest.raises(NoPermission):
        client.delete_mailbox(f"Other Users/{other}/Shown")
    with pytest.raises(NoPermission):
        client.append(f"Other Users/{other}/Shown", LETTERS[0])


def test_metadata(account_of_both: Account) -> None:
    client = account_of_both.client()
    with offered(client, "METADATA"):
        client.set_metadata("INBOX", {"/private/comment": "Grüße", "/private/vendor/fastimap/a": b"line\r\nline"})
        found = client.get_metadata("INBOX", "/private/comment", "/private/vendor/fastimap/a")
        assert found.mailbox == "INBOX"
        assert dict(found.entries) == {
            "/private/comment": "Grüße".encode(),
            "/private/vendor/fastimap/a": b"line\r\nline",
        }
        deep = client.get_metadata("INBOX", "/private/vendor", depth="infinity")
        assert deep.entries["/private/vendor/fastimap/a"] == b"line\r\nline"
        limited = client.get_metadata("INBOX", "/private/vendor/fastimap/a", max_size=5)
        assert not limited.entries.get("/private/vendor/fastimap/a")
        assert limited.longest == len(b"line\r\nline")
        # The grammar has NUL; nobody here takes it, and none of it becomes a command.
        with pytest.raises(CommandError):
            client.set_metadata("INBOX", {"/private/comment": b"\0\r\na CREATE Evil\r\n"})
        assert names(client.list_mailboxes()) == {"INBOX", "Drafts", "Trash"}
        client.set_metadata("INBOX", {"/private/comment": None})
        assert not client.get_metadata("INBOX", "/private/comment").entries.get("/private/comment")


def test_metadata_of_the_server(account: Account, client: Any) -> None:
    with offered(client, "METADATA"):
        found = client.get_metadata("", "/shared/comment")
        assert found.mailbox == ""
        assert set(found.entries) <= {"/shared/comment"}
        assert not any(found.entries.values())


def test_what_no_server_here_has(client: Any) -> None:
    for command, capability, arguments in (
        ("language", "LANGUAGE", ("de",)),
        ("language", "LANGUAGE", ()),
        ("get_jmap_access", "JMAPACCESS", ()),
        ("store_gmail_labels", "X-GM-EXT-1", (1, "Invoices")),
    ):
        client.select("INBOX")
        with offered(client, capability):
            getattr(client, command)(*arguments)
