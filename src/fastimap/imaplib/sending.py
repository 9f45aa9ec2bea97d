"""Commands out, with their literals and SASL exchanges."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from .._errors import TooManyChallenges
from ..limits import IMAPLIB_LIMITS as LIMITS
from .arguments import ANNOUNCEMENT, NOT_IN_WORD, Argument, TextLiteral, encoded_text
from .costs import ASKED, asked_by
from .exceptions import InvalidArgument, shown
from .names import CRLF, Commands, Result
from .quoting import Quoting
from .responses import Responses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A literal of at most this size is sent in one piece with the CRLF after it: one segment instead of two.
_JOINED_LITERAL = 64 * 1024

_NAMES = {name: name.encode("ascii") for name in Commands}

# Tags whose letters are drawn at a time.
_TAGS = 64
_LETTERS = bytes.maketrans(b"0123456789abcdef", b"ABCDEFGHIJKLMNOP")


class Sending(Quoting, Responses):
    """A command's way to the server."""

    _tag_prefixes: list[bytes] | tuple[()] = ()

    def _simple_command(self, name: str, *args: Argument | None) -> Result:
        return self._command_complete(name, self._command(name, *args))

    def _check_state(self, name: str) -> None:
        self._check_alive()
        if self.state not in Commands[name]:
            raise self.error(
                f"command {name} illegal in state {self.state}, only allowed in states {', '.join(Commands[name])}"
            )

    def _command(self, name: str, *args: Argument | None) -> bytes:
        """Send the command, with the literal if one is set; return its tag.

        Nothing is sent, and nothing changed, if the arguments are no good.
        """
        # Programs send command after command: what can be seen here at once is not asked for by a call.
        literal = self.literal
        self.literal: Any = None
        if self._dead or self.state not in Commands[name]:
            self._check_state(name)
        encoding = self._encoding
        parts = [_NAMES.get(name) or encoded_text(name, encoding)]
        if args:
            parts += [
                argument
                if type(argument) is bytes
                else argument.encode("ascii")
                if type(argument) is str and argument.isascii()
                else encoded_text(argument, encoding)
                for argument in args
                if argument is not None
            ]
        end = CRLF
        if literal is not None and not callable(literal):
            size = memoryview(literal).nbytes
            if self.utf8_enabled and name == "APPEND":
                parts.append(b"UTF8 (~{%d}" % size)  # RFC 6855, section 4
                end = b")" + CRLF
            else:
                parts.append(b"{%d}" % size)
        elif parts[-1].endswith(b"}") and ANNOUNCEMENT.search(parts[-1]):
            # The server would take what comes next, the next command included, for a part of this one.
            if len(parts) == 1 or NOT_IN_WORD.search(parts[-1]):
                raise InvalidArgument("a command cannot end like the announcement of a literal")
            parts[-1] = self._quote(parts[-1])
        line = b" ".join(parts)
        if 10 in line or 13 in line or 0 in line:  # as numbers, for which bytes are searched at once
            raise InvalidArgument("NUL, CR and LF not allowed in commands")
        pieces = _pieces(parts) if args and TextLiteral in map(type, parts) else (line,)
        if self._put_back or self._idle_capture or (self._reader is not None and self._reader.buffered):
            self._check_arrived(name)
        if responses := self.untagged_responses:
            if "BYE" in responses:
                self._check_arrived(name)
            for status in ("OK", "NO", "BAD"):
                if status in responses:
                    del responses[status]
            if "READ-ONLY" in responses and not self.is_readonly and name != "LOGOUT":
                raise self.readonly("mailbox status changed to READ-ONLY")

        tag = self._new_tag()
        self._asked = ASKED.get(name) or asked_by(name, *args[:1])
        line = b"%b %b" % (tag, pieces[0])
        self._trace(">", line)
        try:
            self.send(line + CRLF)
        except BaseException as exc:
            self._fail(name, exc)
        for piece in pieces[1:]:
            try:
                if not self._send_literal(tag, piece, CRLF):
                    return tag
            except BaseException as exc:
                self._fail(name, exc)
        if callable(literal):
            self._exchange(name, tag, literal)
        elif literal is not None:
            with self._in_command(name):
                self._send_literal(tag, literal, end)
        return tag

    def _check_arrived(self, name: str) -> None:
        """Take what arrived before the command `name` was sent."""
        if self._put_back or (self._reader is not None and self._reader.buffered):
            with self._in_command(name):
                self._take_arrived()
        if name != "LOGOUT":
            self._check_bye()

    def _send_literal(self, tag: bytes, literal: Any, end: bytes) -> bool:
        """Send `literal`, and `end` after it, once the server asks for it; False if it refuses the command."""
        if self._continued(tag):
            self._take_arrived()
            if self.tagged_commands[tag] is not None:
                raise self.abort(f"the server asked for a literal, and answered before it: {shown(self._line)}")
        else:
            result = self.tagged_commands[tag]
            if result is not None and result[0] == "OK":
                raise self.abort(f"the server did not ask for the literal, and yet says {shown(self._line)}")
            return False
        if self.debug >= 4:
            self._mesg(f"write literal size {len(literal)}")
        if len(literal) <= _JOINED_LITERAL:
            self.send(b"".join((literal, end)))
        else:
            self.send(literal)
            self.send(end)
        return True

    def _exchange(self, name: str, tag: bytes, process: Callable[[Any], bytes]) -> None:
        """Answer challenges by `process` until the command is complete."""
        cancelled = False
        challenges = 0
        while True:
            with self._in_command(name):
                challenged = self._continued(tag)
                if challenged:
                    self._take_arrived()
                result = self.tagged_commands[tag]
                if result is not None:
                    if result[0] == "OK" and (challenged or cancelled):
                        raise self.abort(f"OK to {name}, although that was {'cancelled' if cancelled else 'not over'}")
                    return
                challenges += 1
                if challenges > LIMITS.challenges:
                    self._refuse(TooManyChallenges(f"more than {LIMITS.challenges} SASL challenges"))
            octets = self._answer(name, tag, process)
            cancelled = octets == b"*"
            if self.debug >= 4:
                self._mesg(f"write literal size {len(octets)}")
            with self._in_command(name):
                self.send(octets + CRLF)

    def _continued(self, tag: bytes) -> bool:
        """Wait for the continuation request; False if the command is complete without one."""
        with self._patience:
            while self._get_response() is not None:
                if self.tagged_commands[tag] is not None:
                    return False
                self._check_bye()
                self._check_unsolicited()
        return True

    def _answer(self, name: str, tag: bytes, process: Callable[[Any], bytes]) -> bytes:
        try:
            return process(self.continuation_response)
        except Exception as exc:
            # The server waits: with the exchange cancelled (RFC 9051, section 6.2.2), the two are in step again.
            with self._in_command(name):
                self.send(b"*" + CRLF)
                if self._get_tagged_response(tag)[0] == "OK":
                    raise self.abort(f"OK to {name}, although that was cancelled") from exc
            raise
        except BaseException as exc:  # no time for that
            self._fail(name, exc)

    def _command_complete(self, name: str, tag: bytes) -> Result:
        """Return the tagged response to the command `name`; for LOGOUT, the BYE before it."""
        logout = name == "LOGOUT"
        if not logout and (self._idle_capture or "BYE" in self.untagged_responses):
            self._check_bye()
        if not self._asked:
            self._asked = asked_by(name)  # of a command that the caller has sent by send()
        try:
            typ, data = self._get_tagged_response(tag, expect_bye=logout)
        except BaseException as exc:
            self._fail(name, exc)
        if not logout and (self._idle_capture or "BYE" in self.untagged_responses):
            self._check_bye()
        if typ == "BAD":
            raise self.error(f"{name} command error: {typ} {data!r}")
        return typ, data

    def _new_tag(self) -> bytes:
        # Nobody can guess a tag, not from the ones before either: no octets put into a message's text can pass for a
        # tagged response, and no response for the answer to a command that is yet to be sent.
        if self.tagnum:
            if not self._tag_prefixes:
                self._tag_prefixes = tag_prefixes()
            self.tagpre: bytes = self._tag_prefixes.pop()
        tag = self.tagpre + b"%d" % self.tagnum
        self.tagnum: int = self.tagnum + 1
        self.tagged_commands[tag] = None
        self._asked = frozenset()
        self._unsolicited = self._unsolicited_octets = 0
        if self._received > LIMITS.unsolicited_octets:
            self._forget_untaken()
        return tag

    def _by_number_or_uid(self, uid: bool, name: str, *arguments: Argument | None) -> Result:
        if uid:
            self._check_state(name)
            return self._simple_command("UID", name, *arguments)
        return self._simple_command(name, *arguments)


def _pieces(parts: Iterable[bytes]) -> list[bytes]:
    """Return a command's line up to its first literal, and each literal with what follows it."""
    pieces = [b""]
    for part in parts:
        space = b" " if pieces[-1] else b""
        if type(part) is TextLiteral:
            pieces[-1] += space + b"{%d}" % len(part)
            pieces.append(bytes(part))
        else:
            pieces[-1] += space + part
    return pieces


def tag_prefixes() -> list[bytes]:
    """Return the first parts of the next tags, six letters each, which nobody can guess."""
    letters = os.urandom(3 * _TAGS).hex().encode("ascii").translate(_LETTERS)
    return [letters[start : start + 6] for start in range(0, len(letters), 6)]
