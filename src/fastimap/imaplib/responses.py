"""Responses in: all that has arrived at a time, where nobody looks at single ones."""

from __future__ import annotations

from .._errors import ProtocolError, TooManyUnsolicited
from ..limits import IMAPLIB_LIMITS as LIMITS
from ..parser import ResponseReader
from .costs import cost
from .exceptions import shown
from .hooks import Hooks
from .names import _MAXLINE, CRLF, Data, Response_code, Result


class Responses(Hooks):
    """The wait for a command's tagged response."""

    def _get_tagged_response(self, tag: bytes, expect_bye: bool = False) -> Result:
        drains = self._can_drain()
        requests = 0
        with self._patience:
            while True:
                result = self.tagged_commands[tag]
                if result is not None:
                    del self.tagged_commands[tag]
                    return result
                if self._idle_capture or "BYE" in self.untagged_responses:
                    if expect_bye and "BYE" in self.untagged_responses:
                        return "BYE", self.untagged_responses.pop("BYE")
                    self._check_bye()
                try:
                    if (self._drain(tag) if drains else self._get_response()) is None:
                        requests += 1
                        if requests > LIMITS.challenges:
                            self._refuse(
                                TooManyUnsolicited(f"more than {LIMITS.challenges} unsolicited requests to go on")
                            )
                    if self._unsolicited or self._unsolicited_octets:
                        self._check_unsolicited()
                except self.abort:
                    if self.debug >= 1:
                        self.print_log()
                    raise

    def _can_drain(self) -> bool:
        """Whether no hook looks at single responses or carries octets in its own way."""
        return (
            not (self.debug and self._prints())
            and not self._idle_capture
            and type(self.untagged_responses) is dict
            and not self._is_watched()
        )

    def _is_watched(self) -> bool:
        # Written out: this is asked for each command.
        cls = type(self)
        methods = (
            cls._append_untagged,
            cls._get_line,
            cls._get_response,
            cls._log,
            cls._match,
            cls.read,
            cls.readline,
        )
        return methods != _HOOKS or not self.__dict__.keys().isdisjoint(_HOOK_NAMES)

    def _drain(self, tag: bytes) -> bytes | None:
        """Do the work of _get_response() for all untagged data up to the next line of another kind, and for that."""
        if self._put_back:
            return self._take_response(self._taken_back())
        reader = self._reader
        if self._dead or reader is None or self._reader_sock is not self.sock:
            reader = self._current_reader()
        try:
            line = self._drained(reader) if reader.buffered else None
            while line is None:
                if not self._receive(reader):
                    raise self._end_of_file(reader)
                line = self._drained(reader)
        except ProtocolError as exc:
            self._refuse(exc)
        if not line.startswith(tag + b" OK ") or not line.endswith(CRLF):
            return self._take_line(line)
        # As _take_response() does it, for the line that nearly every command ends by.
        self._line = line = line[:-2]
        self._trace("<", line)
        data = line[len(tag) + 4 :]
        self.tagged_commands[tag] = ("OK", [data])
        if data.startswith(b"[") and (code := Response_code.match(data)) is not None:
            self._append_untagged(code["type"].decode("ascii").upper(), code["data"])
        self._in_hand = 0
        return line

    def _drained(self, reader: ResponseReader) -> bytes | None:
        """Store the untagged data that has arrived, up to the next line of another kind, which is returned."""
        arrived: dict[str, Data] = {}
        try:
            line = reader.drain(arrived, _MAXLINE)
        finally:
            if arrived:
                self._take_drained(arrived)
        if self._in_hand > LIMITS.unsolicited_octets and "FETCH" not in self._asked:
            self._refuse(
                TooManyUnsolicited(f"more than {LIMITS.unsolicited_octets} octets in a response, asked for or not")
            )
        return line

    def _take_drained(self, arrived: dict[str, Data]) -> None:
        responses, asked = self.untagged_responses, self._asked
        self._in_hand = 0
        unsolicited = False
        for typ, data in arrived.items():
            known = responses.get(typ)
            if known is None:
                responses[typ] = data
            else:
                known.extend(data)
            if typ not in asked:
                unsolicited = True
                self._count_unsolicited(data)
        if not unsolicited or not asked or not asked.isdisjoint(arrived):
            self._patience.progress()
        else:
            self._patience.heard(self.sock)
        if unsolicited:
            self._check_unsolicited()

    def _take_line(self, line: bytes) -> bytes | None:
        line = self._checked(line).lstrip(b"\0")
        if line:
            return self._take_response(line)
        self._unsolicited += 1
        return line

    def _take_arrived(self) -> None:
        """Take the responses that are there already: they answer no command that is yet to be sent.

        So a tagged one among them breaks the connection off. Somebody who watches single responses will see them when
        the next command reads them.
        """
        if self._put_back and not self._is_watched():
            self._take_response(self._taken_back())
        reader = self._reader
        if reader is None or self._reader_sock is not self.sock or not reader.buffered or self._is_watched():
            return
        drains = self._can_drain()
        self._unsolicited = self._unsolicited_octets = 0
        try:
            with self._patience:
                while True:
                    line = self._drained(reader) if drains else reader.readline(_MAXLINE)
                    if line is not None:
                        self._take_line(line)
                        self._check_unsolicited()
                    elif not reader.in_response:
                        return
                    elif not self._receive(reader):
                        raise self._end_of_file(reader)
        except ProtocolError as exc:
            self._refuse(exc)

    def _end_of_file(self, reader: ResponseReader) -> Exception:
        if reader.in_response:
            return self.abort(
                f"socket error: EOF in the middle of a response with literals, {reader.buffered} octets "
                "into the next of its literals and lines"
            )
        rest = reader.take_rest()
        return self.abort(f"socket error: unterminated line: {shown(rest)}" if rest else "socket error: EOF")

    def _check_bye(self) -> None:
        bye = self.untagged_responses.get("BYE")
        if bye is None and self._idle_capture and self._idle_responses:
            typ, data = self._idle_responses[-1]  # this is asked after each response
            bye = data if typ == "BYE" else None
        if bye:
            text = bye[-1].decode(self._encoding, "replace")
            self._die(f"the server said BYE {text}".rstrip())
            raise self.abort(text)

    def _untagged_response(self, typ: str, data: Data, name: str) -> Result:
        """Take the responses of type `name`: (typ, [data, ...]), or (typ, [None]); `data` itself if `typ` is NO."""
        if typ == "NO":
            return typ, data
        if name not in self.untagged_responses:
            return typ, [None]
        data = self.untagged_responses.pop(name)
        if self.debug >= 5:
            self._mesg(f"untagged_responses[{name}] => {data!r}")
        return typ, data

    def _forget_untaken(self) -> None:
        """Forget what earlier commands brought and nobody took, where it has become too much to be kept.

        Each command may bring up to a limit, and a connection may have any number of commands.
        """
        self._received = 0
        responses = self.untagged_responses
        if sum(cost(data)[1] for data in responses.values()) > LIMITS.unsolicited_octets:
            for typ in [typ for typ in responses if typ != "READ-ONLY"]:
                del responses[typ]


# Whoever replaces one of these, in a subclass, on the class or on the instance, gets to see every line.
_HOOK_NAMES = ("_append_untagged", "_get_line", "_get_response", "_log", "_match", "read", "readline")
_HOOKS = tuple(getattr(Responses, name) for name in _HOOK_NAMES)
