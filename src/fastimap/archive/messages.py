"""What is kept of a message beside its octets."""

from __future__ import annotations

import functools
import json
from typing import Any

from ..clients.blocking import Client
from ..model.message import FetchedMessage

__all__ = ["ITEMS", "extra_of", "flags_of", "identifiers", "items_about"]

ITEMS = ("FLAGS", "INTERNALDATE", "BODY.PEEK[]")


def items_about(client: Client) -> tuple[str, ...]:
    """Return the data items by which this server identifies and labels messages."""
    items = []
    if client.session.has("X-GM-EXT-1"):
        items += ["X-GM-MSGID", "X-GM-LABELS"]
    if client.session.has("OBJECTID"):
        items.append("EMAILID")
    return tuple(items)


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
    extra: dict[str, Any] = {}
    if (labels := row.gmail_labels) is not None:
        extra["labels"] = sorted(labels)
    if (number := row.gmail_message_id) is not None:
        extra["gmail_id"] = str(number)
    if (name := row.object_id) is not None:
        extra["email_id"] = name
    return json.dumps(extra) if extra else None


def identifiers(extra: str | None) -> dict[str, str]:
    """Return the server's identifiers of a message."""
    if extra is None:
        return {}
    return {name: value for name, value in json.loads(extra).items() if name != "labels"}
