"""What other libraries call things that have another name here: an AttributeError that says the name.

The names are descriptors of the classes: a __getattr__() would make every use of an attribute slower.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

__all__ = ["ELSEWHERE", "Elsewhere", "named_elsewhere", "names_here"]

_LOGIN = "client.login(...), client.authenticate(...), or user=, password= and token= of the client"
_ENVELOPE = '("ENVELOPE" is the data item to fetch)'

ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "Client": {
        # imaplib and aioimaplib
        "check": "client.noop()",
        "consume_until_tagged_response": "client.run(...)",
        "create": "client.create_mailbox(...)",
        "delete": "client.delete_messages(...) for messages, client.delete_mailbox(...) for a mailbox",
        "deleteacl": "client.delete_acl(...)",
        "examine": "client.select(..., read_only=True)",
        "get_state": "client.session.state",
        "getacl": "client.get_acl(...)",
        "getannotation": "client.get_metadata(...)",
        "getquota": "client.get_quota(...)",
        "getquotaroot": "client.get_quota_root(...)",
        "has_pending_idle": "the loop over client.idle(...)",
        "idle_done": "break, in the loop over client.idle(...)",
        "idle_start": "the loop over client.idle(...)",
        "list": "client.list_mailboxes(...)",
        "login_cram_md5": 'mechanism="CRAM-MD5" of the client, or client.authenticate(...)',
        "logout": "client.close()",
        "lsub": "client.list_mailboxes(..., subscribed=True)",
        "myrights": "client.my_rights(...)",
        "open": "client.connect()",
        "partial": 'client.fetch(..., "BODY.PEEK[]<0.1000>")',
        "proxyauth": "authzid= of the client",
        "readonly": "client.session.read_only",
        "recent": "client.take_events()",
        "rename": "client.rename_mailbox(...)",
        "response": "client.take_events()",
        "setacl": "client.set_acl(...)",
        "setannotation": "client.set_metadata(...)",
        "setquota": "client.set_quota(...)",
        "shutdown": "client.close()",
        "starttls": 'tls="starttls" of the client',
        "status": "client.mailbox_status(...)",
        "stop_wait_server_push": "break, in the loop over client.idle(...)",
        "uid": "client.fetch(...), client.store(...), client.copy(...): numbers are UIDs",
        "uid_search": "client.search(...), which returns UIDs",
        "wait_hello_from_server": "client.connect()",
        "wait_server_push": "the loop over client.idle(...)",
        "welcome": "client.id(), which asks what server it is",
        "xatom": "client.run(...)",
        "xoauth2": "token= of the client",
        # IMAPClient
        "add_gmail_labels": "client.store_gmail_labels(...)",
        "close_folder": "client.close_mailbox()",
        "create_folder": "client.create_mailbox(...)",
        "delete_folder": "client.delete_mailbox(...)",
        "find_special_folder": "client.special_mailbox(...)",
        "folder_exists": 'client.list_mailboxes("", name)',
        "folder_status": "client.mailbox_status(...)",
        "get_flags": 'client.fetch(..., "FLAGS")',
        "get_gmail_labels": 'client.fetch(..., "X-GM-LABELS")',
        "gmail_search": "client.search(gmail_raw(...))",
        "has_capability": "client.session.has(...)",
        "id_": "client.id(...)",
        "idle_check": "the loop over client.idle(timeout=...)",
        "list_folders": "client.list_mailboxes(...)",
        "list_sub_folders": "client.list_mailboxes(..., subscribed=True)",
        "multiappend": "client.multi_append(...)",
        "oauth2_login": "token= of the client",
        "oauthbearer_login": "token= of the client",
        "plain_login": _LOGIN,
        "remove_gmail_labels": "client.store_gmail_labels(...)",
        "rename_folder": "client.rename_mailbox(...)",
        "sasl_login": "client.authenticate(...)",
        "select_folder": "client.select(...)",
        "set_gmail_labels": "client.store_gmail_labels(...)",
        "subscribe_folder": "client.subscribe(...)",
        "uid_expunge": "client.expunge(...)",
        "unselect_folder": "client.unselect()",
        "unsubscribe_folder": "client.unsubscribe(...)",
        "xlist_folders": "client.list_mailboxes(...)",
        # imap_tools
        "flag": "client.add_flags(...) and client.remove_flags(...)",
        "folder": "the client's own methods: client.list_mailboxes(), client.select(...), client.create_mailbox(...)",
        "login_utf8": _LOGIN,
        "numbers": "client.search(..., sequence=True)",
        "numbers_to_uids": 'client.fetch(SequenceSet(...), "UID")',
        "uids": "client.search(...)",
    },
    "FetchedMessage": {
        **{name: f"message.envelope.{name} {_ENVELOPE}" for name in ("subject", "date", "from_", "reply_to")},
        **{name: f"message.envelope.{name} {_ENVELOPE}" for name in ("to", "cc", "bcc", "message_id", "in_reply_to")},
        "bcc_values": f"message.envelope.bcc {_ENVELOPE}",
        "cc_values": f"message.envelope.cc {_ENVELOPE}",
        "date_str": f"message.envelope.date_octets {_ENVELOPE}",
        "from_values": f"message.envelope.author {_ENVELOPE}",
        "obj": "message.email()",
        "reply_to_values": f"message.envelope.reply_to {_ENVELOPE}",
        "sender": f"message.envelope.author, or message.envelope.sender {_ENVELOPE}",
        "size_rfc822": "message.size",
        "to_values": f"message.envelope.to {_ENVELOPE}",
        "get_payload": "message.text, message.attachments, or message.email().get_payload()",
        "walk": "message.email().walk(), or message.body_structure.walk()",
    },
    "Attachment": {
        "content_disposition": "attachment.disposition",
        "content_type": "attachment.media_type",
        "data": "attachment.content",
        "filename": "attachment.name",
        "payload": "attachment.content",
    },
}  # fmt: skip
"""By class: a name that imaplib, aioimaplib, IMAPClient, imap_tools or email have, and what to use."""


class Elsewhere:
    """An attribute that is not there, and what to use."""

    def __init__(self, name: str, instead: str) -> None:
        self._name = name
        self._instead = instead
        self.__doc__ = f"Not here: use {instead}."

    def __get__(self, instance: object, owner: type) -> NoReturn:
        # With an object of its own Python adds no "Did you mean": its guess is another name here.
        text = f"{owner.__name__} has no attribute {self._name!r}: use {self._instead}"
        raise AttributeError(text, name=self._name, obj=None)


def named_elsewhere(cls: Any, row: str) -> None:
    """Have the names of a row of the table in a class."""
    for name, instead in ELSEWHERE[row].items():
        setattr(cls, name, Elsewhere(name, instead))


def names_here(instance: object) -> list[str]:
    """What dir() shows of an object: the names of other libraries are not among them."""
    classes = type(instance).__mro__
    return [
        name
        for name in object.__dir__(instance)
        if not isinstance(next((vars(cls)[name] for cls in classes if name in vars(cls)), None), Elsewhere)
    ]
