"""What an account may do and store: ACL, LISTRIGHTS, MYRIGHTS, QUOTA, QUOTAROOT, METADATA."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..model.responses import (
    Acl,
    ListRightsResponse,
    Metadata,
    MyRightsResponse,
    Quota,
    QuotaResource,
    QuotaRoots,
    ReadOnlyDict,
    Response,
)
from ._values import Data, count_of, nstring_of, text_of

__all__ = ["DECODERS"]


def _quota(data: Data) -> Quota:
    match data.tokens():
        case (root, tuple(items)) if len(items) % 3 == 0:
            resources = [
                QuotaResource(text_of(items[i]).upper(), count_of(items[i + 1]), count_of(items[i + 2]))
                for i in range(0, len(items), 3)
            ]
            return Quota(text_of(root), tuple(resources))
    raise ValueError("not a root and resources of three")


def _quota_roots(data: Data) -> QuotaRoots:
    mailbox, octets, roots = data.after_mailbox()
    return QuotaRoots(mailbox, octets, tuple(map(text_of, roots)))


def _acl(data: Data) -> Acl:
    mailbox, octets, rights = data.after_mailbox()
    if len(rights) % 2:
        raise ValueError("an identifier without rights")
    texts = list(map(text_of, rights))
    return Acl(mailbox, octets, ReadOnlyDict(dict(zip(texts[::2], texts[1::2], strict=True))))


def _list_rights(data: Data) -> ListRightsResponse:
    mailbox, octets, (identifier, required, *optional) = data.after_mailbox()
    return ListRightsResponse(mailbox, octets, text_of(identifier), text_of(required), tuple(map(text_of, optional)))


def _my_rights(data: Data) -> MyRightsResponse:
    mailbox, octets, (rights,) = data.after_mailbox()
    return MyRightsResponse(mailbox, octets, text_of(rights))


def _metadata(data: Data) -> Metadata:
    mailbox, octets, entries = data.after_mailbox()
    match entries:
        case (tuple(items),) if len(items) % 2 == 0:
            values = {text_of(entry): nstring_of(value) for entry, value in zip(items[::2], items[1::2], strict=True)}
            return Metadata(mailbox, octets, entries=ReadOnlyDict(values))
        case (_, *_):
            return Metadata(mailbox, octets, changed=tuple(map(text_of, entries)))
    raise ValueError("not a mailbox and entries")


DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    "ACL": _acl,
    "LISTRIGHTS": _list_rights,
    "METADATA": _metadata,
    "MYRIGHTS": _my_rights,
    "QUOTA": _quota,
    "QUOTAROOT": _quota_roots,
}
