"""The parser: octets of a server in, responses out.

Two implementations hold the same names and behave the same: ``fastimap._parser`` (Cython) and
``fastimap._parser_py`` (Python). The first is taken where it was built; the environment variable
``FASTIMAP_IMPL`` (``c`` or ``py``) demands one, and a demand that cannot be met is an ImportError.

:data:`IMPLEMENTATION` says which one runs: ``"c"`` or ``"py"``.

**ResponseReader(limits=READER_LIMITS)** frames the octets of one connection. It never waits and knows no
socket; the names of its first two methods are those of :class:`asyncio.BufferedProtocol`.

===========================  ===================================================================================
``get_buffer(size_hint=-1)`` Writable memory for the next octets, as a memoryview of at least one octet. While a
                             literal larger than 64 KiB arrives, this is the literal's own final memory, which
                             grows with what arrives, never at once to the announced size.
``buffer_updated(n)``        `n` octets were written to that memory. ValueError unless 1 <= n <= its length.
``responses()``              The complete responses received, as a list of tuples of bytes: a line, then in turn a
                             literal and the line after it. Lines come without CRLF (or bare LF); a line before
                             a literal keeps its announcement ``{n}``. Empty lines between responses, and after
                             a literal inside an open parenthesis, are skipped. [] until a response is complete.
``batch(most=0)``            The same with FETCH responses decoded: each run of them is one list of
                             :class:`~fastimap.message.FetchedMessage`, any other response a tuple as above. At most
                             `most` responses where that is not 0.
``set_sink(sink)``           Literals of the FETCH responses that ``batch()`` gives may go to the caller; see below.
``set_tags(tags)``           The tags of the commands in flight, anything that knows ``in``; without it a line that
                             looks like an answer is one. Only damaged FETCH responses need it; see below.
``drain(untagged, limit=0)`` As ``responses()``, in the shape of :mod:`imaplib`: appends each untagged data response
                             to the list ``untagged[type]``, as bytes, or with literals as (line, literal) tuples and
                             the closing line. Returns None when it needs more octets; or the raw line of the first
                             response that is not untagged data (tagged, continuation request, OK / NO / BAD /
                             BYE / PREAUTH, anything odd or empty), CRLF included, literals unread, for the caller.
``readline(limit=0)``        One line with its end, or None until it is complete.
``read(size)``               `size` octets, or None until they are all there.
``take_rest()``              What was received and not taken; for the end of the connection.
``buffered``                 Number of octets received and not taken.
``in_response``              Whether a response with literals is half framed.
===========================  ===================================================================================

`limit` is the longest line to accept, in octets, where it is to differ from ``limits.line``.

A literal is ``{n}``, ``{n+}`` or ``~{n}`` at the end of a line of an untagged response (RFC 9051, section 4.3;
RFC 7888; RFC 3516), but for OK, NO, BAD, BYE and PREAUTH, which end in text. What goes over a limit raises the
:class:`~fastimap.errors.LimitError` of that limit, before memory is taken for it. After an error of ``responses()``,
``batch()`` or ``drain()`` the reader is closed for good and raises it again; a batch that ends in an error is handed
over first. ``readline()`` and ``read()`` take nothing when they refuse.

**Damage.** After a literal, a line that begins with ``* `` or answers a command is another response, also where
parentheses of the first are open. A quoted string of a FETCH response may hold line breaks: ``responses()`` and
``batch()`` look for its end in the lines that follow (64 KiB at most), up to an answer to a command, and take them for
its own where the response ends with one of them. So nothing in the string passes for a response; and an item that has a
string in which a line begins with ``* `` is None, with a defect, as that string may as well not have been closed.

**tokenize(fragments, depth=256)** cuts one response of ``responses()`` into tokens, which keep their octets:
parenthesised lists become tuples, quoted strings and literals bytes, and atoms :class:`Atom`, a kind of bytes. The
grammar of each response says what of these is a number, NIL or a name; :func:`plain` makes values of data of which no
grammar is known. Sections such as ``BODY[HEADER.FIELDS (DATE)]<0>`` are one atom. Raises
:class:`~fastimap.errors.ParseError`, or :class:`~fastimap.errors.NestingTooDeep` beyond `depth` parentheses.

**A sink** takes the octets of a literal as they arrive, so that it is never in memory as a whole, and may have any
size. ``sink(sequence_number, uid, name, size)`` is asked for each literal that is a part of the message itself
(``BODY[...]``, ``BINARY[...]``, ``RFC822`` and the like, by its name in rows) as it is announced. `uid` is None where
the response has not said it yet; `sequence_number` is None in a UIDFETCH response (RFC 9586). It returns None for a
literal that is to stay in memory, or ``write(octets)``, which is called with read-only memoryviews of the receive
buffer. They are valid during the call alone; write() has to take all of each. In the literal's place stands its size,
a :class:`~fastimap.message.Streamed`. Where the sink or write() raises an Exception, the rest of the literal is thrown
away and the exception is ``Streamed.error``: the connection stays in step. Any other
BaseException (KeyboardInterrupt) goes through, and closes the reader for good. Neither may call the reader.

**fetch(fragments, depth=256)** decodes one response of ``responses()`` to a
:class:`~fastimap.message.FetchedMessage`; None where it is no FETCH response. It never raises: what can't be understood
is a defect of the row, what is nested deeper than `depth` parentheses too; ``batch()`` goes by ``limits.depth``.

**split_rows(rows, by_uid, ranges, need)** parts the rows of ``batch()`` in those that a command claims and all others,
each in order. Claimed are rows whose UID (sequence number without `by_uid`) lies in one of `ranges`, sorted and
disjoint pairs (low, high), and that have all data items of the mask `need` (``PRESENT_...`` of
:mod:`fastimap.message`).

**last_ascending(rows, by_uid, after)** returns the last UID of such rows (sequence number without `by_uid`) where each
is greater than the one before it, and the first than `after`, which it returns for no rows; else None.

**mail_seconds(dates)** returns of Date fields, as envelopes have them, the seconds since 1970, in a list. None where a
field is no octets, or not written as in nearly all mail (RFC 5322, section 3.3, without rare forms):
:attr:`Envelope.date <fastimap.message.Envelope.date>` reads the others too.

**number_bounds(octets)** returns what a SEARCH response lists, decimal numbers and spaces, as an array of the ranges'
bounds: low, high, low, high, ascending and disjoint, both ends included. ValueError where there is anything else, or a
number that is not in 1..4294967295.

A reader is not meant for several threads at once; shared between threads by mistake, it gives wrong results at
worst, and memory stays sound, on free-threaded builds too.
"""

from __future__ import annotations

import os

from .model.tokens import Atom, Sink, Token, Write, plain

TYPE_CHECKING = False

__all__ = [
    "IMPLEMENTATION",
    "Atom",
    "ResponseReader",
    "Sink",
    "Token",
    "Write",
    "fetch",
    "last_ascending",
    "mail_seconds",
    "number_bounds",
    "plain",
    "split_rows",
    "tokenize",
]

_demanded = os.environ.get("FASTIMAP_IMPL", "")
if _demanded not in ("", "c", "py"):
    raise ImportError(f"FASTIMAP_IMPL={_demanded!r}: the implementations are 'c' and 'py'")

IMPLEMENTATION: str
"""The implementation that runs: ``"c"`` or ``"py"``."""

if TYPE_CHECKING or _demanded == "py":
    from ._parser_py import ResponseReader, fetch, last_ascending, mail_seconds, number_bounds, split_rows, tokenize

    IMPLEMENTATION = "py"
else:
    try:
        from ._parser import ResponseReader, fetch, last_ascending, mail_seconds, number_bounds, split_rows, tokenize

        IMPLEMENTATION = "c"
    except ImportError as exc:
        if _demanded:
            raise ImportError(
                "FASTIMAP_IMPL=c, but the extension fastimap._parser is not there: "
                "build it with a C compiler (pip install --force-reinstall --no-binary fastimap fastimap)"
            ) from exc
        from ._parser_py import ResponseReader, fetch, last_ascending, mail_seconds, number_bounds, split_rows, tokenize

        IMPLEMENTATION = "py"
