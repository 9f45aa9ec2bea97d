"""Responses as octets -> values of :mod:`fastimap.types`; all but FETCH, which the parser decodes itself.

Nothing here raises for what a server sends. A response that is not in its grammar becomes an UnknownResponse that
says what is wrong, a response code that is not becomes a plain ResponseCode, and a bad item in STATUS or ESEARCH is
put under `other`, so that it does not cost the rest. What servers send against the RFCs and is taken all the same
stands in :mod:`.tolerant`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal, cast

from ..errors import ParseError
from ..limits import READER_LIMITS
from ..model._patterns import pattern
from ..model.responses import ContinuationRequest, Response, StatusResponse, Tagged, UnknownResponse
from . import _mailboxes, _messages, _rights, _searches, _server
from ._codes import CODES, one_line, resp_text
from ._values import Data, mailbox, upper

__all__ = ["mailbox", "response"]

_HEAD = pattern(rb"\* +(?:([0-9][0-9.]*(?:e\+?[0-9]+)?) +)?([^ ][^ \[]*) *", re.IGNORECASE)
_TAGGED = pattern(rb"([^ +*]+) +(OK|NO|BAD|BYE)(?:(?: +|(?=\[))(.*))?\Z", re.IGNORECASE | re.DOTALL)
_STATUSES: Final = frozenset(("OK", "NO", "BAD", "BYE", "PREAUTH"))
_DECODERS: Final[dict[str, Callable[[Data], Response]]] = {
    **_mailboxes.DECODERS,
    **_messages.DECODERS,
    **_rights.DECODERS,
    **_searches.DECODERS,
    **_server.DECODERS,
}


def response(fragments: tuple[bytes, ...], *, utf8: bool = False, depth: int = READER_LIMITS.depth) -> Response:
    """Return what one response of :meth:`ResponseReader.responses` says; never raises, takes linear time.

    `fragments` are a line, a literal, a line, and so on, without line ends. `utf8` says that mailbox names are UTF-8,
    as they are once UTF8=ACCEPT or IMAP4rev2 is enabled (RFC 6855, section 3; RFC 9051, appendix A). A response with
    parentheses nested deeper than `depth` is an UnknownResponse.
    """
    line = fragments[0].lstrip(b"\0") if fragments else b""
    head = _HEAD.match(line)
    if head is None or head[2].startswith(b"["):
        return _other_than_data(fragments, line)
    name = upper(head[2])
    if name in _STATUSES:
        status = cast('Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]', name)
        return StatusResponse(status, *resp_text(one_line((line[head.end() :], *fragments[1:]))))
    decoder = _DECODERS.get(name)
    if decoder is None:
        return UnknownResponse(name, fragments)
    try:
        return decoder(Data(name, head[1], (line[head.end() :], *fragments[1:]), utf8, depth))
    except (ParseError, ValueError) as exc:
        return UnknownResponse(name, fragments, str(exc))


def _other_than_data(fragments: tuple[bytes, ...], line: bytes) -> Response:
    if line.startswith(b"+"):
        text = line[1:].removeprefix(b" ")
        return ContinuationRequest(text, resp_text(text)[0])
    text = one_line((line, *fragments[1:]))
    if tagged := _TAGGED.match(text):
        status = upper(tagged[2])
        code, words = resp_text(tagged[3] or b"")
        if status == "BYE":
            return StatusResponse("BYE", code, words)
        return Tagged(tagged[1], cast('Literal["OK", "NO", "BAD"]', status), code, words)
    code, words = resp_text(text.removeprefix(b"*").lstrip(b" "))
    if code is not None and code.name in CODES:
        return StatusResponse("OK", code, words)
    return UnknownResponse("", fragments, "neither a tag nor '*' or '+' begins it")


# ---------------------------------------------------------------------------------------- response codes and text
