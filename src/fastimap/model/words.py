"""Words that the RFCs fix, each once: flags, months, macros of FETCH, attributes of mailboxes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

__all__ = ["FETCH_MACROS", "MAILBOX_ATTRIBUTES", "MONTHS", "SPECIAL_USES", "SYSTEM_FLAGS"]

SYSTEM_FLAGS: Final = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\Recent")
r"""RFC 9051, section 2.3.2; ``\Recent`` is of RFC 3501."""

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""RFC 9051, section 9, date-month."""

FETCH_MACROS: Final[dict[str, tuple[str, ...]]] = {
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
"""What the macros of FETCH stand for (RFC 9051, section 6.4.5)."""

SPECIAL_USES: Final = (
    *("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Memos", "\\Scheduled", "\\Sent"),
    *("\\Snoozed", "\\Trash"),
)
"""Attributes of mailboxes with a special use (RFC 6154; RFC 8457; IANA's registry)."""

MAILBOX_ATTRIBUTES: Final = (
    *("\\Noinferiors", "\\Noselect", "\\Marked", "\\Unmarked", "\\HasChildren", "\\HasNoChildren", "\\NonExistent"),
    *("\\Subscribed", "\\Remote"),
    *SPECIAL_USES,
)
"""All attributes of mailboxes (RFC 9051, section 7.3.1; RFC 3501, section 7.2.2; RFC 3348)."""
