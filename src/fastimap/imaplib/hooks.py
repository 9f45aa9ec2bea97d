"""One response at a time, one line at a time: the slow road, each step of which a program may replace."""

from __future__ import annotations

import re

from .._errors import LiteralTooLarge, ResponseTooLarge, TooManyLiterals, TooManyUnsolicited
from ..limits import IMAPLIB_LIMITS as LIMITS
from .connection import Connection
from .costs import cost
from .exceptions import shown
from .names import CRLF, Continuation, Data, Response_code, Untagged_response, _Bare_response_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Responses that end in text for people, which may end in braces: no literal follows.
_OF_TEXT = frozenset({"OK", "NO", "BAD", "BYE", "PREAUTH"})
# Those that may hold a part of a message, which may be larger than other literals.
_ROWS = frozenset({"FETCH", "UIDFETCH"})


class Hooks(Connection):
    """What becomes of a line from the server."""

    def _get_response(self, start_timeout: float | bool | None = False) -> bytes | None:
        """Read one response, and store it; return its first line, or None for a continuation request.

        `start_timeout` is False, or the seconds (None: without end) within which the response must begin; else it is
        a _responsetimeout. An OSError before the first line is complete leaves all as it was; one after it, the
        connection dead.
        """
        if not self._patience.waiting:
            self._unsolicited = self._unsolicited_octets = 0  # whoever reads one by one minds them himself
        with self._patience:
            if start_timeout is False or not self.sock:
                return self._take_response(self._first_line())
            try:
                with self._patience.silence(self.sock, start_timeout):
                    line = self._first_line()
            except TimeoutError as exc:
                if self._patience.ran_out:
                    self._fail("", exc)
                raise self._responsetimeout from exc
            return self._take_response(line)

    def _first_line(self) -> bytes:
        """Return the next line of some content: servers send empty lines between responses, and NULs before them."""
        if self._put_back:
            return self._taken_back()
        empty = 0
        while not (line := self._get_line().lstrip(b"\0")):
            empty += 1
            self._unsolicited += 1
            if empty > LIMITS.unsolicited:
                self._refuse(TooManyUnsolicited(f"more than {LIMITS.unsolicited} empty lines"))
        return line

    def _get_line(self) -> bytes:
        """Return a line without its CRLF."""
        if self._put_back:
            return self._taken_back()
        line = self.readline()
        if not line:
            raise self.abort("socket error: EOF")
        return self._checked(line)

    def _taken_back(self) -> bytes:
        """Return the line that turned out to begin a response of its own."""
        line, self._put_back = self._put_back, b""
        return line

    def _checked(self, line: bytes) -> bytes:
        if not line.endswith(CRLF):
            raise self.abort(f"socket error: unterminated line: {shown(line)}")
        line = line[:-2]
        self._trace("<", line)
        return line

    def _take_response(self, line: bytes) -> bytes | None:
        """Store the response that begins with `line`; return `line`, or None for a continuation request."""
        self._line = line
        if line.startswith(b"+"):
            self._match(Continuation, line)
            self.continuation_response: Any = self.mo["data"]
            self._unsolicited += 1
            return None
        if not line.startswith(b"*") and self._match(self.tagre, line):
            tag = self.mo["tag"]
            if tag not in self.tagged_commands:
                raise self._unexpected(f"unexpected tagged response: {shown(line)}")
            typ = self.mo["type"].decode("ascii").upper()
            data = self.mo["data"] or b""
            self.tagged_commands[tag] = (typ, [data])
            answers = True
        else:
            if self._match(Untagged_response, line):
                typ = self.mo["type"].decode("ascii").upper()
                data = self.mo["data"] or b""
            elif self._match(self.Untagged_status, line):
                typ = self.mo["type"].decode("ascii").upper()
                data = self.mo["data"] + (b" " + self.mo["data2"] if self.mo["data2"] else b"")
            elif self._match(_Bare_response_code, line):
                typ = "OK"
                data = self.mo["data"]
            else:
                raise self._unexpected(f"unexpected response: {shown(line)}")
            fragments = self._fragments(typ, data)
            for fragment in fragments:
                self._append_untagged(typ, fragment)
                data = fragment
            answers = not self._asked or typ in self._asked
            if typ not in self._asked:
                self._count_unsolicited(fragments)

        if typ in ("OK", "NO", "BAD") and self._match(Response_code, data):
            self._append_untagged(self.mo["type"].decode("ascii").upper(), self.mo["data"])
        if self.debug >= 1 and typ in ("NO", "BAD", "BYE"):
            self._mesg(f"{typ} response: {data!r}")
        if answers:
            self._patience.progress()
        else:
            self._patience.heard(getattr(self, "sock", None))
        self._in_hand = 0
        return line

    def _fragments(self, typ: str, data: bytes) -> Data:
        """Return the (line, literal) pairs and the closing line of the response that `data` begins."""
        if typ in _OF_TEXT or not self._match(self.Literal, data):
            return [data]
        from .._parser_py.outline import _is_tagged, _Outline  # for programs that replace what is underneath

        fragments: Data = []
        outline = _Outline()
        outline.feed(data)
        octets = len(data)
        with self._in_command(""):
            while self._match(self.Literal, data):
                size = int(self.mo["size"].lstrip(b"0")[:20] or b"0")  # what has more digits is refused as well
                if self.debug >= 4:
                    self._mesg(f"read literal size {size}")
                octets += size
                self._check_literal(size, typ in _ROWS and outline.is_part)
                if len(fragments) == LIMITS.literals:
                    self._refuse(TooManyLiterals(f"response with more than {LIMITS.literals} literals"))
                if octets > LIMITS.response:
                    self._refuse(ResponseTooLarge(f"response of more than {LIMITS.response} octets"))
                if octets > LIMITS.unsolicited_octets and self._asked and typ not in self._asked:
                    self._refuse(TooManyUnsolicited(f"more than {LIMITS.unsolicited_octets} unsolicited octets"))
                literal = self.read(size)
                if len(literal) < size:
                    raise self.abort(f"socket error: EOF after {len(literal)} of {size} octets of a literal")
                fragments.append((data, literal))
                if outline.section is not None:
                    outline.add_literal(literal)
                data = self._get_line()
                while not data and outline.depth > 0:
                    self._unsolicited += 1
                    self._check_unsolicited()
                    data = self._get_line()  # some servers send an empty line after a literal
                octets += len(data)
                if data.startswith(b"* ") or _is_tagged(data, None):
                    self._put_back, data = data.lstrip(b"\0"), b""  # the rest was left out: this is another response
                outline.feed(data)
        fragments.append(data)
        return fragments

    def _check_literal(self, size: int, of_message: bool) -> None:
        exact = size < 2**63  # what is more is too much for any literal
        most = LIMITS.literal if of_message or not exact else LIMITS.other_literal
        if size > most:
            announced = str(size) if exact else "2**63 or more"
            self._refuse(LiteralTooLarge(f"literal of {announced} octets, more than {most}"))

    def _append_untagged(self, typ: str, data: Any) -> None:
        if data is None:
            data = b""
        if self._idle_capture:
            # A response with literals comes in several fragments, and its last is the first that is no tuple.
            if self._idle_responses and isinstance(self._idle_responses[-1][1][-1], tuple):
                self._idle_responses[-1][1].append(data)
            else:
                self._idle_responses.append((typ, [data]))
            if self.debug >= 5:
                self._mesg(f"idle: queue untagged {typ} {data!r}")
            return
        responses = self.untagged_responses
        if self.debug >= 5:
            self._mesg(f'untagged_responses[{typ}] {len(responses.get(typ, ""))} += ["{data!r}"]')
        responses.setdefault(typ, []).append(data)

    def _match(self, pattern: re.Pattern[bytes], octets: bytes) -> bool:
        self.mo: Any = pattern.match(octets)
        if self.mo is not None and self.debug >= 5:
            self._mesg(f"\tmatched {pattern.pattern!r} => {self.mo.groups()!r}")
        return self.mo is not None

    def _count_unsolicited(self, fragments: Data) -> None:
        responses, octets = cost(fragments)
        self._unsolicited += responses
        self._unsolicited_octets += octets

    def _check_unsolicited(self) -> None:
        if self._unsolicited > LIMITS.unsolicited or self._unsolicited_octets > LIMITS.unsolicited_octets:
            self._refuse(
                TooManyUnsolicited(
                    f"more than {LIMITS.unsolicited} responses, or {LIMITS.unsolicited_octets} octets of them, "
                    "that no command asked for"
                )
            )
