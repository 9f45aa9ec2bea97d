"""What the framing of responses asks about lines; the twin of ``_parser_pyx/outline.pxi``."""

from __future__ import annotations

import re
from collections.abc import Container

from ..model._patterns import pattern
from ..model.tokens import MAX_SIZE
from .tokens import _SECTION, _before_announcement, _end_of_atom, _end_of_string

__all__: list[str] = []

_SECTION_ROOM = 8 * 1024  # of the name of a section that is cut by literals

_FETCH = re.compile(rb"\* +([0-9]+) +(UID)?FETCH *\(", re.IGNORECASE)
_STATUS = pattern(rb"\* +(?:OK|NO|BAD|BYE|PREAUTH)(?:[ \[]|\Z)", re.IGNORECASE)
_TAGGED = pattern(rb"([^ +*(){%\"\\\r\n]+) (?:OK|NO|BAD)(?=[ \[\r\n]|\Z)", re.IGNORECASE)
# An item whose value is a part of the message itself.
_PART = pattern(
    rb"(?:BODY|BINARY)(?:\.PEEK)?\[[^\]]*\](?:<[0-9.]*>)?|RFC822(?:\[\]|\.HEADER|\.TEXT)?", re.IGNORECASE | re.DOTALL
)
_LITERAL = pattern(rb"\{([0-9]+)\+?\}\Z")


class _Outline:
    """What the lines of a response come to so far: open parentheses, an open quoted string; and of a FETCH response
    the message, and the item whose value comes next."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.depth = 0
        self.quoted = False  # whether a quoted string is open at the end of the last line
        self.section: bytes | None = None  # the beginning of a section that is open there
        self.name = b""  # the atom at the end of the last line
        self.number = 0  # the one before FETCH
        self.uid: int | None = None
        self.by_uid = False  # UIDFETCH (RFC 9586)

    def begin(self, text: bytes) -> bool:
        """Take a response's first line, without its end; whether it is a FETCH response."""
        self.reset()
        head = _FETCH.match(text)
        if head is None:
            return False
        self.depth = 1
        self.number = int(head[1]) if len(head[1]) <= 10 else 0
        self.by_uid = head[2] is not None
        self.feed(text, head.end())
        return True

    def feed(self, text: bytes, position: int = 0) -> None:
        """Take a line without its end: the one after a literal, or after a line break inside a quoted string."""
        if not (self.quoted or text.endswith(b"}") or self.section is not None) and _is_closed(text):
            return  # no literal follows, and no string is open: the response ends here, and needs no outline
        length = _before_announcement(text)
        if length >= 0:
            text = text[:length]
        before = self.depth, self.quoted, self.section, self.uid
        self._scan(text, position, False)
        # A string that nothing closes, though a quote after a backslash might: some servers escape no backslash.
        if self.quoted and b'\\"' in text:
            after = self.depth, self.section, self.uid
            self.depth, self.quoted, self.section, self.uid = before
            self._scan(text, position, True)
            if self.quoted or not (self.depth == 0 or (self.depth == 1 and self.is_part)):
                self.quoted = True
                self.depth, self.section, self.uid = after
                self.name = b""

    def add_literal(self, octets: bytes) -> None:
        """Take the literal after the line: header fields in the name of a section may be literals."""
        if self.section is not None and len(self.section) + len(octets) <= _SECTION_ROOM:
            self.section += b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    def _scan(self, text: bytes, position: int, lone_backslash: bool) -> None:
        uid_is_next = False
        self.name = b""
        if self.section is not None:
            position = text.find(b"]") + 1
            if not position:
                if len(self.section) <= _SECTION_ROOM:
                    self.section += text
                return
            position = _end_of_atom(text, position - 1)
            self.name, self.section = self.section + text[:position], None
        while position < len(text):
            octet = text[position]
            if self.quoted or octet == 0x22:
                stop = _end_of_string(text, position + (not self.quoted), lone_backslash)
                self.quoted = stop < 0
                self.name = b""
                uid_is_next = False
                if self.quoted:
                    return
                position = stop
            elif octet == 0x20:
                position += 1
            elif octet in b"()":
                self.depth += 1 if octet == 0x28 else -1
                self.name = b""
                uid_is_next = False
                position += 1
            else:
                stop = _end_of_atom(text, position)
                if octet in b"Bb" and _SECTION.match(text, position):
                    bracket = text.find(b"]", position)
                    if bracket < 0:
                        self.section = text[position:]
                        self.name = b""
                        return
                    stop = _end_of_atom(text, bracket)
                self.name = text[position:stop]
                if uid_is_next and self.uid is None and self.name.isdigit() and stop - position <= 10:
                    self.uid = int(self.name)
                uid_is_next = self.depth == 1 and self.name.upper() == b"UID"
                position = stop

    def copy(self) -> _Outline:
        other = _Outline()
        vars(other).update(vars(self))
        return other

    @property
    def is_part(self) -> bool:
        """Whether the item at the end of the last line is a part of the message itself, as against ENVELOPE, say."""
        return _PART.fullmatch(self.name) is not None


def _is_closed(text: bytes) -> bool:
    """Whether no quoted string is open after `text`, for sure: if one was, its last quote closed it, and opens none."""
    quote = text.rfind(b'"')
    if quote <= 0:
        return quote < 0
    return text[quote - 1] not in b" ()\\" and (quote + 1 == len(text) or text[quote + 1] in b" ()")


def _announced(text: bytes) -> int:
    """Return the size that a literal's announcement at the end of `text` gives, or -1; not exact above MAX_SIZE."""
    found = _LITERAL.search(text, max(0, text.rfind(b"{")))
    if found is None:
        return -1
    digits = found[1].lstrip(b"0")
    return int(digits or b"0") if len(digits) <= 19 else MAX_SIZE + 1


def _is_tagged(line: bytes, tags: Container[bytes] | None) -> bool:
    """Whether `line` answers a command: by its tag where those in flight are known, else by its status."""
    tagged = _TAGGED.match(line)
    return tagged is not None and (tags is None or tagged[1] in tags)


def _is_status_line(text: bytes) -> bool:
    """Whether it is OK, NO, BAD, BYE or PREAUTH, untagged: no literal ends these."""
    return _STATUS.match(text) is not None
