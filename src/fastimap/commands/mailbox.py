"""Mailboxes: LIST, LSUB, XLIST, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, NAMESPACE.

RFC 9051, sections 6.3.4 to 6.3.11, and the extensions of LIST. Mailbox names are str; as bytes they are sent as they
are, for a name that a server gave (`MailboxInfo.octets`) and that can't be decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from ..model.response_codes import MailboxID
from ..model.responses import (
    MailboxInfo,
    MailboxName,
    MailboxStatus,
    Metadata,
    MyRightsResponse,
    Namespaces,
    ReadOnlyDict,
    Response,
    Tagged,
)
from ..wire import encode
from ..wire.encode import Part
from ._shared import Instruction, Question, decoded, names, one_or_several, several
from .base import Command, Session

__all__ = [
    "Create",
    "Delete",
    "LSub",
    "List",
    "Namespace",
    "Rename",
    "Status",
    "Subscribe",
    "Unsubscribe",
    "XList",
]

# What a server must have one of to be asked for an item of STATUS.
_STATUS_ITEMS: dict[str, tuple[str, ...]] = {
    "MESSAGES": (),
    "UIDNEXT": (),
    "UIDVALIDITY": (),
    "UNSEEN": (),
    "RECENT": (),
    "SIZE": ("STATUS=SIZE",),
    "HIGHESTMODSEQ": ("CONDSTORE", "QRESYNC"),
    "MAILBOXID": ("OBJECTID",),
    "APPENDLIMIT": ("APPENDLIMIT",),
    "DELETED": ("QUOTA=RES-MESSAGE", "IMAP4REV2"),
    "DELETED-STORAGE": ("QUOTA=RES-STORAGE",),
}
# Nobody gets these without asking. The first three make some servers read every message; MAILBOXID is what Cyrus 3.10
# answers with octets of its freed memory, unless it is the only item.
_BY_NAME_ALONE = frozenset({"SIZE", "DELETED", "DELETED-STORAGE", "MAILBOXID"})


class List(Command[tuple[MailboxInfo, ...]]):
    """Return the mailboxes whose names match a pattern, with what else is asked for.

    Without options this is the LIST that every server knows; each option needs its capability. Children and special
    uses are told with any options, where the server can.

    :param reference: where the pattern begins, such as a prefix of `namespace`; usually ``""``.
    :param pattern: a mailbox name with the wildcards ``*`` (anything) and ``%`` (anything but the hierarchy
        delimiter); several of them with LIST-EXTENDED. ``""`` alone returns the hierarchy delimiter.
    :param subscribed: only mailboxes that are subscribed, existing or not (LIST-EXTENDED, RFC 5258).
    :param remote: remote mailboxes too (LIST-EXTENDED).
    :param recursive_match: with another selection, also the parents of what matches (LIST-EXTENDED).
    :param special_use: only mailboxes with a special use (SPECIAL-USE, RFC 6154).
    :param with_subscribed: tell which are subscribed (LIST-EXTENDED).
    :param with_children: tell which have children (LIST-EXTENDED).
    :param with_special_use: tell the special uses (SPECIAL-USE); many servers do so unsolicited.
    :param with_rights: what this account may do with each, in `MailboxInfo.my_rights` (LIST-MYRIGHTS, RFC 8440).
    :param status: items as for `mailbox_status`, in `MailboxInfo.status` (LIST-STATUS, RFC 5819).
    :param metadata: entries as for `get_metadata`, in `MailboxInfo.metadata` (LIST-METADATA, RFC 9590).

    (RFC 9051, section 6.3.9)
    """

    name: ClassVar[str] = "LIST"
    repeatable = True

    def __init__(
        self,
        reference: str = "",
        pattern: str | Iterable[str] = "*",
        *,
        subscribed: bool = False,
        remote: bool = False,
        recursive_match: bool = False,
        special_use: bool = False,
        with_subscribed: bool = False,
        with_children: bool = False,
        with_special_use: bool = False,
        with_rights: bool = False,
        status: Iterable[str] = (),
        metadata: Iterable[str] = (),
    ) -> None:
        if recursive_match and not (subscribed or special_use):
            raise ValueError("recursive_match= goes with subscribed= or special_use= (RFC 5258, section 3.5)")
        self._reference = encode.mailbox(reference)
        self._patterns = tuple(map(encode.list_mailbox, one_or_several(pattern, "patterns")))
        if not self._patterns:
            raise ValueError("no pattern: LIST needs at least one")
        self._status = _status_items(status)
        self._metadata = tuple(map(encode.astring, several(metadata)))
        self._selection = tuple(
            name
            for name, chosen in (
                (b"SUBSCRIBED", subscribed),
                (b"REMOTE", remote),
                (b"RECURSIVEMATCH", recursive_match),
                (b"SPECIAL-USE", special_use),
            )
            if chosen
        )
        options: list[Part] = [
            name
            for name, chosen in (
                (b"SUBSCRIBED", with_subscribed),
                (b"CHILDREN", with_children),
                (b"SPECIAL-USE", with_special_use),
                (b"MYRIGHTS", with_rights),
            )
            if chosen
        ]
        if self._status:
            options += [b"STATUS", tuple(map(encode.atom, self._status))]
        if self._metadata:
            options += [b"METADATA", self._metadata]
        self._return = tuple(options)
        self.kind: str | None = None if self._status or self._metadata or with_rights else "list"
        self._found: list[MailboxInfo] = []
        self._more: list[Response] = []

    def requires(self, session: Session) -> Iterable[str]:
        options = {*self._selection, *(option for option in self._return if isinstance(option, bytes))}
        if options & {b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"CHILDREN"} or len(self._patterns) > 1:
            yield "LIST-EXTENDED"
        if b"SPECIAL-USE" in options:
            yield "SPECIAL-USE"
        if b"MYRIGHTS" in options:
            yield "LIST-MYRIGHTS"
        if self._status:
            yield "LIST-STATUS"
            yield from _status_requires(self._status, session)
        if self._metadata:
            yield "LIST-METADATA"

    def parts(self, session: Session) -> Sequence[Part]:
        parts: list[Part] = [encode.atom(self.name)]
        if self._selection:
            parts.append(self._selection)
        parts.append(self._reference)
        parts.append(self._patterns[0] if len(self._patterns) == 1 else self._patterns)
        options = self._return
        if options or self._selection or len(self._patterns) > 1:
            # The extended form of LIST has to be asked for what the plain one reports automatically (RFC 5258, section
            # 3.2; Dovecot then leaves out all that is not asked for).
            asked = {*self._selection, *(option for option in options if isinstance(option, bytes))}
            can = [option for option in (b"CHILDREN", b"SPECIAL-USE") if session.has(option.decode("ascii"))]
            options = (*(option for option in can if option not in asked), *options)
        if options:
            parts += [b"RETURN", options]
        return parts

    def take(self, response: Response) -> bool:
        if isinstance(response, MailboxInfo):
            if response.kind != self.name:
                return False
            self._found.append(response)
            return True
        # Only what was asked for: STATUS and METADATA responses may come unsolicited too (NOTIFY).
        if (
            (isinstance(response, MailboxStatus) and self._status)
            or (isinstance(response, MyRightsResponse) and b"MYRIGHTS" in self._return)
            or (isinstance(response, Metadata) and self._metadata and not response.changed)
        ):
            self._more.append(response)
            return True
        return False

    def succeed(self, tagged: Tagged, session: Session) -> tuple[MailboxInfo, ...]:
        more: dict[bytes, dict[str, Any]] = {}
        for response in self._more:
            if isinstance(response, MailboxStatus):
                more.setdefault(_key(response.name, response.octets), {})["status"] = response
            elif isinstance(response, MyRightsResponse):
                more.setdefault(_key(response.mailbox, response.mailbox_octets), {})["my_rights"] = response.rights
            elif isinstance(response, Metadata):
                fields = more.setdefault(_key(response.mailbox, response.mailbox_octets), {})
                fields["metadata"] = ReadOnlyDict({**fields.get("metadata", {}), **response.entries})
        # Cyrus 3.10 reports a new mailbox before it answers: that says less, and is no answer.
        # Of one without a name nothing is known but its defect.
        found = {(_key(info.name, info.octets), info.name or info.defect): info for info in self._found}
        return tuple(info.__replace__(**more.get(key, {})) for (key, _), info in found.items())


def _key(name: str, octets: bytes) -> bytes:
    """Return what distinguishes mailboxes: the octets, as a careless server has ``R&D`` and ``R&-D``."""
    return b"INBOX" if name == "INBOX" else octets


class LSub(List):
    """Return the mailboxes that are subscribed and whose names match a pattern.

    :param reference: as for `list_mailboxes`.
    :param pattern: as for `list_mailboxes`, but one only.

    A mailbox that is not subscribed itself and has subscribed children comes with ``\\Noselect`` where the pattern
    ends in ``%``. ``list_mailboxes(subscribed=True)`` is the modern way. (RFC 3501, section 6.3.9)
    """

    name = "LSUB"

    def __init__(self, reference: str = "", pattern: str = "*") -> None:
        super().__init__(reference, encode.text(pattern))


class XList(List):
    """Return the mailboxes whose names match a pattern, with their special uses, as Gmail had it before SPECIAL-USE.

    :param reference: as for `list_mailboxes`.
    :param pattern: as for `list_mailboxes`, but one only.

    (XLIST, an extension of Gmail's that others took up)
    """

    name = "XLIST"

    def __init__(self, reference: str = "", pattern: str = "*") -> None:
        super().__init__(reference, encode.text(pattern))

    def requires(self, session: Session) -> Iterable[str]:
        return ("XLIST",)


class Status(Question[MailboxStatus]):
    """Return numbers about a mailbox without selecting it.

    :param mailbox: name of the mailbox; better not the selected one, whose numbers are known already.
    :param items: any of ``"MESSAGES"``, ``"UIDNEXT"``, ``"UIDVALIDITY"``, ``"UNSEEN"``, ``"RECENT"``, ``"SIZE"``
        (octets), ``"HIGHESTMODSEQ"``, ``"MAILBOXID"``, ``"APPENDLIMIT"`` (octets), ``"DELETED"``,
        ``"DELETED-STORAGE"`` (octets). None
        given: all that the server has, but for SIZE and the last two, which can take it long, and for MAILBOXID.

    What the server does not send is None. Raises MailboxNotFound. (RFC 9051, section 6.3.11)
    """

    name = "STATUS"
    kind: str | None = "status"
    repeatable = True
    answered_by: ClassVar[type[Response]] = MailboxStatus

    def __init__(self, mailbox: MailboxName, *items: str) -> None:
        super().__init__(encode.mailbox(mailbox))
        self._mailbox = decoded(mailbox)
        self._items = _status_items(names(items, "items of STATUS"))

    def requires(self, session: Session) -> Iterable[str]:
        return _status_requires(self._items, session)

    def parts(self, session: Session) -> Sequence[Part]:
        items = self._items or tuple(
            item
            for item, capabilities in _STATUS_ITEMS.items()
            if item not in _BY_NAME_ALONE
            and (not capabilities or any(map(session.has, capabilities)))
            and not (item == "RECENT" and session.rev2)  # IMAP4rev2 has done away with it
        )
        return [*super().parts(session), tuple(map(encode.atom, items))]

    def ranges(self, session: Session) -> tuple[tuple[int, int], ...]:
        number = hash(self._mailbox)  # whose answer an answer is, is told by the mailbox alone
        return ((number, number),)

    def take(self, response: Response) -> bool:
        # The status of another mailbox is news (NOTIFY).
        return isinstance(response, MailboxStatus) and response.name == self._mailbox and super().take(response)


class Create(Command[str | None]):
    """Create a mailbox; return its mailbox ID where the server has such (OBJECTID, RFC 8474), else None.

    :param mailbox: its name. One that ends in the hierarchy delimiter says that mailboxes will be created below it.
    :param special_use: attributes of its special use, such as ``"\\Sent"`` (CREATE-SPECIAL-USE, RFC 6154, section 3).

    Raises MailboxExists, NoPermission, OverQuota. (RFC 9051, section 6.3.4)
    """

    name = "CREATE"

    def __init__(self, mailbox: MailboxName, *, special_use: str | Iterable[str] = ()) -> None:
        self._mailbox = encode.mailbox(mailbox)
        self._uses = encode.flags(one_or_several(special_use, "special uses"))

    def requires(self, session: Session) -> Iterable[str]:
        return ("CREATE-SPECIAL-USE",) if self._uses else ()

    def parts(self, session: Session) -> Sequence[Part]:
        uses: list[Part] = [(b"USE", self._uses)] if self._uses else []
        return [encode.atom(self.name), self._mailbox, *uses]

    def succeed(self, tagged: Tagged, session: Session) -> str | None:
        return tagged.response_code.mailbox_id if isinstance(tagged.response_code, MailboxID) else None


class Delete(Instruction):
    """Delete a mailbox with all messages in it; mailboxes below it stay.

    :param mailbox: its name.

    Raises MailboxNotFound, NoPermission. (RFC 9051, section 6.3.5)
    """

    name = "DELETE"

    def __init__(self, mailbox: MailboxName) -> None:
        super().__init__(encode.mailbox(mailbox))


class Rename(Instruction):
    """Rename a mailbox, and those below it.

    :param mailbox: its name. INBOX stays, empty: its messages move to the new mailbox.
    :param new_name: the name that it gets.

    Raises MailboxNotFound, MailboxExists, NoPermission. (RFC 9051, section 6.3.6)
    """

    name = "RENAME"

    def __init__(self, mailbox: MailboxName, new_name: str | bytes) -> None:
        super().__init__(encode.mailbox(mailbox), encode.mailbox(new_name))


class Subscribe(Instruction):
    """Add a mailbox to those that are subscribed.

    :param mailbox: its name.

    (RFC 9051, section 6.3.7)
    """

    name = "SUBSCRIBE"

    def __init__(self, mailbox: MailboxName) -> None:
        super().__init__(encode.mailbox(mailbox))


class Unsubscribe(Instruction):
    """Remove a mailbox from those that are subscribed.

    :param mailbox: its name; it need not exist any more.

    (RFC 9051, section 6.3.8)
    """

    name = "UNSUBSCRIBE"

    def __init__(self, mailbox: MailboxName) -> None:
        super().__init__(encode.mailbox(mailbox))


class Namespace(Question[Namespaces]):
    """Return the prefixes and hierarchy delimiters of personal, other users' and shared mailboxes.

    (RFC 9051, section 6.3.10; NAMESPACE, RFC 2342)
    """

    name = "NAMESPACE"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("NAMESPACE",)
    answered_by: ClassVar[type[Response]] = Namespaces
    answers: ClassVar[frozenset[str]] = frozenset({"NAMESPACE"})

    def __init__(self) -> None:
        super().__init__()


def _status_items(items: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(item.upper() for item in several(items)))
    for item in wanted:
        encode.atom(item)
    return wanted


def _status_requires(items: Iterable[str], session: Session) -> Iterable[str]:
    """Yield the capabilities that `session` lacks for `items`; items nobody knows are the server's to judge."""
    for item in items:
        capabilities = _STATUS_ITEMS.get(item, ())
        if capabilities and not any(map(session.has, capabilities)):
            yield capabilities[0]
