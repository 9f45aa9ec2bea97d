"""Names of the module that programs read, and some of which they replace; the lines of a server."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..model._patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

CRLF = b"\r\n"
Debug = 0
IMAP4_PORT = 143
IMAP4_SSL_PORT = 993
AllowedVersions: tuple[str, ...] = ("IMAP4REV1", "IMAP4")  # the first that the server has is PROTOCOL_VERSION

# Octets in a line. The SEARCH response for a million messages has 8 MB, and imap_tools raises the standard library's
# 1 MB to 20 MB. Looked up whenever a line is read.
_MAXLINE = 16 * 1024 * 1024

# The states in which each command is allowed.
Commands: dict[str, tuple[str, ...]] = {
    name: states
    for names, states in (
        (("CAPABILITY", "LOGOUT", "NOOP"), ("NONAUTH", "AUTH", "SELECTED", "LOGOUT")),
        (("ID",), ("NONAUTH", "AUTH", "SELECTED")),
        (("AUTHENTICATE", "LOGIN", "STARTTLS"), ("NONAUTH",)),
        (("ENABLE", "PROXYAUTH"), ("AUTH",)),
        (("APPEND", "CREATE", "DELETE", "EXAMINE", "IDLE", "LIST", "LSUB", "NAMESPACE"), ("AUTH", "SELECTED")),
        (("RENAME", "SELECT", "STATUS", "SUBSCRIBE", "UNSUBSCRIBE"), ("AUTH", "SELECTED")),
        (("DELETEACL", "GETACL", "MYRIGHTS", "SETACL"), ("AUTH", "SELECTED")),
        (("GETANNOTATION", "GETQUOTA", "GETQUOTAROOT", "SETANNOTATION", "SETQUOTA"), ("AUTH", "SELECTED")),
        (("CHECK", "CLOSE", "COPY", "EXPUNGE", "FETCH", "MOVE", "PARTIAL"), ("SELECTED",)),
        (("SEARCH", "SORT", "STORE", "THREAD", "UID", "UNSELECT"), ("SELECTED",)),
    )
    for name in names
}

# The lines of a server. Servers are known that write a response's type in lower case, or two spaces before it
# (DavMail), so both are taken, and so is no space before a response code, or before the text of a continuation request.
# These are compiled at once, as programs give them to functions of `re`, which take none that are compiled when they
# are used.
Continuation: re.Pattern[bytes] = re.compile(rb"\+((?: |(?=.))(?P<data>.*))?")
Untagged_response: re.Pattern[bytes] = re.compile(rb"\* +(?P<type>[A-Z-]+)(?:(?: |(?=\[))(?P<data>.*))?", re.IGNORECASE)
Untagged_status: re.Pattern[bytes] = re.compile(
    rb"\* +(?P<data>\d+) +(?P<type>[A-Z-]+)(?: (?P<data2>.*))?", re.IGNORECASE
)
Literal: re.Pattern[bytes] = re.compile(rb".*\{(?P<size>\d+)\+?\}$")
# The data ends at the last bracket of the line: flags with a bracket in them are common, against the grammar.
Response_code: re.Pattern[bytes] = re.compile(rb"\[(?P<type>[A-Z-]+)(?: (?P<data>.*))?\]", re.IGNORECASE)
# A response code without the "* OK" that belongs before it (Exchange, home.pl).
_Bare_response_code = pattern(rb"(?:\* +)?(?P<data>\[[A-Z-]+(?: .*)?\].*)", re.IGNORECASE)

MapCRLF: re.Pattern[bytes] = re.compile(rb"\r\n|\r|\n")

Data: TypeAlias = "list[Any]"
Result: TypeAlias = "tuple[str, list[Any]]"
Authobject: TypeAlias = "Callable[[bytes], bytes | str | None]"
