"""Which columns there are: one place for `fetch_table` and for the files of the archive.

A column is called as the attribute of `FetchedMessage`, or of its envelope, that it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ADDRESSES", "Columns", "column_of_header", "pyarrow"]

ADDRESSES: Final = ("from_", "sender", "reply_to", "to", "cc", "bcc")
_ENVELOPE: Final = ("date", "subject", *ADDRESSES, "message_id", "in_reply_to")
_OF_ITEM: Final[dict[str, tuple[str, ...]]] = {
    "UID": (),
    "FLAGS": ("flags",),
    "INTERNALDATE": ("internal_date",),
    "RFC822.SIZE": ("size",),
    "MODSEQ": ("mod_sequence",),
    "ENVELOPE": _ENVELOPE,
    "BODYSTRUCTURE": ("media_type", "attachments"),
    "BODY": ("media_type", "attachments"),
    "BODY[]": ("body", "digest"),
    "RFC822": ("body", "digest"),
    "EMAILID": ("object_id",),
    "THREADID": ("thread_id",),
    "X-GM-MSGID": ("gmail_message_id",),
    "X-GM-THRID": ("gmail_thread_id",),
    "X-GM-LABELS": ("gmail_labels",),
    "PREVIEW": ("preview",),
    "SAVEDATE": ("save_date",),
}
"""By the names of data items in responses."""
_ORDER: Final = (
    *("uid", "flags", "gmail_labels", "internal_date", "save_date", "size", "mod_sequence"),
    *_ENVELOPE,
    *("object_id", "thread_id", "gmail_message_id", "gmail_thread_id"),
    *("media_type", "attachments", "preview", "text", "html", "body", "digest"),
)
_HEADERS: Final = re.compile(r"BODY\[HEADER\.FIELDS \((.*)\)\]", re.DOTALL)
_SECTION: Final = re.compile(r"(?:BODY|BINARY)\[.*\](?:<\d+>)?|RFC822\.(?:HEADER|TEXT)", re.DOTALL)
_ODD: Final = re.compile(r"[^a-z0-9]+")


def pyarrow() -> Any:
    """Return pyarrow. Raises ImportError, which says how to have it."""
    try:
        return import_module("pyarrow")
    except ImportError:
        raise ImportError("tables need pyarrow: pip install fastimap[parquet]") from None


def column_of_header(name: str) -> str:
    """Return the column of a header field: ``header_list_id`` of ``List-Id``."""
    return "header_" + _ODD.sub("_", name.lower())


class Columns:
    """The columns of rows that have certain data items.

    :param items: the names of data items, as responses have them.
    :param text: whether there is the text too.
    :param html: whether there is the HTML of messages that have no text.

    Raises ValueError for an item that there is no column for.
    """

    def __init__(self, items: Iterable[str], *, text: bool = False, html: bool = False) -> None:
        names: set[str] = set()
        self.headers: dict[str, str] = {}
        """Names of header fields, by column."""
        self.sections: dict[str, str] = {}
        """Items whose octets are kept as they are, by column."""
        for item in items:
            if (known := _OF_ITEM.get(item)) is not None:
                names.update(known)
            elif (found := _HEADERS.fullmatch(item)) is not None:
                fields = [field.strip('"').lower() for field in found[1].split()]
                self.headers |= {column_of_header(field): field for field in fields}
            elif _SECTION.fullmatch(item) is not None:
                self.sections[item] = item
            else:
                raise ValueError(f"there is no column for {item}")
        if text:
            names.add("text")
        if html:
            names.add("html")
        self.names: tuple[str, ...] = (
            "uid",
            *(name for name in _ORDER if name in names),
            *self.headers,
            *self.sections,
            "defects",
        )

    def schema(self) -> pa.Schema:
        """Return names and types."""
        arrow = pyarrow()
        made: pa.Schema = arrow.schema([(name, self.type_of(name)) for name in self.names])
        return made

    def type_of(self, name: str) -> Any:
        """Return the type of a column."""
        pa = pyarrow()
        if name in self.sections or name in ("body", "digest"):
            return pa.large_binary() if name != "digest" else pa.binary()
        if name in ("uid", "size", "mod_sequence"):
            return pa.int64()
        if name in ("gmail_message_id", "gmail_thread_id"):
            return pa.uint64()
        if name in ("internal_date", "date", "save_date"):
            return pa.timestamp("us", tz="UTC")
        if name in ("flags", "gmail_labels"):
            return pa.list_(pa.string())
        if name in ADDRESSES:
            return pa.list_(address_type())
        if name == "attachments":
            return pa.list_(
                pa.struct([("name", pa.string()), ("type", pa.string()), ("size", pa.int64()), ("part", pa.string())])
            )
        if name == "defects":
            return pa.list_(pa.struct([("item", pa.string()), ("reason", pa.string())]))
        return pa.large_string() if name in ("text", "html") else pa.string()


def address_type() -> Any:
    """Return the type of an address."""
    pa = pyarrow()
    return pa.struct([(name, pa.string()) for name in ("name", "mailbox", "host", "email")])
