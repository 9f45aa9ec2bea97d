"""What is kept of a message beside its octets."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..model import _json as json
from ..model.row import FetchedMessage

if TYPE_CHECKING:
    from ..clients.blocking import Client

__all__ = [
    "ITEMS",
    "LEFT_OUT",
    "date_of",
    "extra_now",
    "extra_of",
    "flags_of",
    "has_condstore",
    "identifiers",
    "items_about",
    "made_extra",
    "split_extra",
]

ITEMS = ("FLAGS", "INTERNALDATE", "BODY.PEEK[]")
LEFT_OUT = "the server leaves it out of its answers"


def has_condstore(client: Client) -> bool:
    """Whether the server has mod-sequences: QRESYNC includes CONDSTORE (RFC 7162, section 3.2.3)."""
    return client.session.has("CONDSTORE") or client.session.has("QRESYNC")


def items_about(client: Client) -> tuple[str, ...]:
    """Return the data items by which this server identifies and labels messages."""
    items = []
    if client.session.has("X-GM-EXT-1"):
        items += ["X-GM-MSGID", "X-GM-LABELS"]
    if client.session.has("OBJECTID"):
        items.append("EMAILID")
    return tuple(items)


def date_of(row: FetchedMessage) -> int | None:
    """Return INTERNALDATE in seconds since 1970."""
    return row._internal_seconds


@functools.lru_cache(maxsize=4096)
def _sorted(flags: frozenset[str]) -> str:
    return " ".join(sorted(flag for flag in flags if flag != "\\Recent")).encode("utf-8", "replace").decode()


def flags_of(row: FetchedMessage) -> str:
    r"""Return the flags as text: sorted, divided by spaces, without \Recent, which is the session's."""
    return _sorted(row.flags) if row.flags else ""


def extra_of(row: FetchedMessage) -> str | None:
    """Return what else there is to keep, as JSON; None where there is nothing."""
    if not row.items:
        return None
    return made_extra(row.gmail_labels, row.gmail_message_id, row.object_id)


def extra_now(row: FetchedMessage, before: str | None) -> str | None:
    """Return what `extra_of` does; what the server leaves out is as it was before."""
    if not row.items:
        return before
    labels, gmail_id, email_id = split_extra(before)
    return made_extra(
        labels if row.gmail_labels is None else row.gmail_labels,
        row.gmail_message_id or gmail_id,
        row.object_id or email_id,
    )


def made_extra(labels: Iterable[str] | None, gmail_id: int | None, email_id: str | None) -> str | None:
    """Return labels and identifiers as JSON; None where there are none."""
    extra: dict[str, Any] = {}
    if labels is not None:
        extra["labels"] = sorted(labels)
    if gmail_id is not None:
        extra["gmail_id"] = str(gmail_id)
    if email_id is not None:
        extra["email_id"] = email_id
    return json.dumps(extra) if extra else None


def split_extra(extra: str | None) -> tuple[list[str] | None, int | None, str | None]:
    """Return what was given to `made_extra`."""
    values = {} if extra is None else json.loads(extra)
    number = values.get("gmail_id")
    return values.get("labels"), None if number is None else int(number), values.get("email_id")


def identifiers(extra: str | None) -> dict[str, str]:
    """Return the server's identifiers of a message."""
    if extra is None:
        return {}
    return {name: value for name, value in json.loads(extra).items() if name != "labels"}
