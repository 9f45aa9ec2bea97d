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
from ._values import Data, is_nil, number_of, octets_of, text_of

__all__ = ["DECODERS"]


def _quota(data: Data) -> Quota:
    match data.tokens():
        case (root, tuple(items)) if len(items) % 3 == 0:
            resources = [
                QuotaResource(text_of(items[i]).upper(), number_of(items[i + 1]), number_of(items[i + 2]))
                for i in range(0, len(items), 3)
            ]
            return Quota(text_of(root), tuple(resources))
    raise ValueError("not a root and resources of three")


def _quota_roots(data: Data) -> QuotaRoots:
    name, *roots = data.tokens()
    return QuotaRoots(*data.mailbox(name), tuple(map(text_of, roots)))


def _acl(data: Data) -> Acl:
    name, *rights = data.tokens()
    if len(rights) % 2:
        raise ValueError("an identifier without rights")
    texts = list(map(text_of, rights))
    return Acl(*data.mailbox(name), ReadOnlyDict(dict(zip(texts[::2], texts[1::2], strict=True))))


def _list_rights(data: Data) -> ListRightsResponse:
    name, identifier, required, *optional = data.tokens()
    return ListRightsResponse(
        *data.mailbox(name), text_of(identifier), text_of(required), tuple(map(text_of, optional))
    )


def _my_rights(data: Data) -> MyRightsResponse:
    name, rights = data.tokens()
    return MyRightsResponse(*data.mailbox(name), text_of(rights))


def _metadata(data: Data) -> Metadata:
    match data.tokens():
        case (name, tuple(items)) if len(items) % 2 == 0:
            entries = {
                text_of(entry): None if is_nil(value) else octets_of(value)
                for entry, value in zip(items[::2], items[1::2], strict=True)
            }
            return Metadata(*data.mailbox(name), entries=ReadOnlyDict(entries))
        case (name, first, *others):
            return Metadata(*data.mailbox(name), changed=tuple(map(text_of, (first, *others))))
    raise ValueError("not a mailbox and entries")


DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    "ACL": _acl,
    "LISTRIGHTS": _list_rights,
    "METADATA": _metadata,
    "MYRIGHTS": _my_rights,
    "QUOTA": _quota,
    "QUOTAROOT": _quota_roots,
}
