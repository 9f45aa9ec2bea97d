"""Messages to the server: APPEND, MULTIAPPEND, CATENATE, REPLACE (RFC 9051, section 6.3.12)."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from io import SEEK_END, BytesIO, TextIOBase
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeAlias, TypeVar

from ..errors import StateError
from ..model import words
from ..model._shown import Value
from ..model.response_codes import AppendUID
from ..model.responses import MailboxName, Response, StatusResponse, Tagged
from ..model.sequence_set import MessageSet, SavedResult, UIDSet, uid_set
from ..wire import encode
from ..wire.encode import Literal, Part, Readable
from ._shared import one_or_several, refuse_read_only, verb
from .base import SELECTED, Command, Session

if TYPE_CHECKING:
    from email.message import Message

    from typing_extensions import TypeIs

__all__ = [
    "Append",
    "AppendMessage",
    "AppendResult",
    "Catenate",
    "MessageData",
    "MultiAppend",
    "MultiAppendResult",
    "Replace",
]

R = TypeVar("R")
_KNOWN_FLAGS = frozenset(map(str.lower, words.SYSTEM_FLAGS))

if TYPE_CHECKING:
    _Email: TypeAlias = Message
else:

    class _Email(Protocol):
        """A message of the package `email`, which is slow to import: whoever has one has imported it."""

        def as_bytes(self) -> bytes: ...


MessageData: TypeAlias = bytes | bytearray | memoryview | BinaryIO | _Email | os.PathLike[str]
"""A message: octets, which are sent as they are, line ends too (RFC 5322 has CRLF); a binary file, which is read from
where it stands; a `pathlib.Path`, whose file is read; or an `email.message.EmailMessage`, which is sent as its policy
writes it, with CRLF. Memory that can be written to (a bytearray, or a view of one) is read while it is sent, like a
file, where it has more than 64 KiB: it must not change until then."""


class AppendResult(Value):
    """Where an appended message is; None where the server does not say (UIDPLUS, RFC 4315)."""

    uid_validity: int | None = None
    uid: int | None = None


class MultiAppendResult(Value):
    """Where appended messages are; None where the server does not say (UIDPLUS, RFC 4315)."""

    uid_validity: int | None = None
    uids: UIDSet | None = None
    """In ascending order they are the messages in the order given (RFC 4315, section 3)."""


class AppendMessage(Value):
    """A message to be appended, with what the mailbox keeps beside it: the arguments of `append`."""

    message: MessageData
    flags: str | Iterable[str] = ()
    internal_date: datetime | None = None
    size: int | None = None
    binary: bool = False
    utf8: bool = False


class _Appending(Command[R]):
    """A command that sends messages; they are checked when it is made."""

    def __init__(self, messages: Iterable[AppendMessage]) -> None:
        self._literals: list[Literal] = []
        self._messages: list[Part] = []
        self._utf8 = False
        for message in messages:
            literal = _literal(message)
            attributes, waits = _attributes(message.flags, message.internal_date)
            if message.utf8:
                # Dovecot 2.4 announces UTF8=ACCEPT and does not know this: it does not ask for the literal, and would
                # take a message that came unsolicited for commands. Courier 5.0 knows it after flags or a date alone,
                # so there are flags, if none.
                literal = literal.__replace__(waits=True)
                self._messages += [*(attributes or [()]), b"UTF8", (literal,)]
            elif waits:
                literal = literal.__replace__(waits=True)
                self._messages += [*attributes, literal]
            else:
                self._messages += [*attributes, literal]
            self._literals.append(literal)
            self._utf8 = self._utf8 or message.utf8

    def watch(self, progress: Callable[[int, int], object]) -> None:
        """Call `progress` while the messages are sent, with the octets sent and their whole number."""
        progress = functools.partial(self.tell, progress)
        watched = _Progress(sum(literal.size for literal in self._literals), progress)
        replaced = {id(literal): watched.literal(literal) for literal in self._literals}
        self._literals = list(replaced.values())
        self._messages = [_replaced(part, replaced) for part in self._messages]

    def requires(self, session: Session) -> Iterable[str]:
        if self._utf8:
            yield "UTF8=ACCEPT"
        elif any(literal.binary for literal in self._literals):
            yield "BINARY"

    def messages(self, session: Session) -> list[Part]:
        """Return the parts of the messages, if this connection takes them."""
        if self._utf8 and not session.utf8:
            raise StateError("utf8=True needs UTF8=ACCEPT to be enabled first (RFC 6855, section 3)")
        for literal in self._literals:
            _check_size(literal.size, session)
        return self._messages


class Append(_Appending[AppendResult]):
    r"""Append a message to a mailbox; return where it is.

    :param mailbox: the name of the mailbox.
    :param message: octets, sent as they are (bare LF too: RFC 5322 has CRLF); a binary file, or a `pathlib.Path`,
        read while the message is sent; or an `EmailMessage`.
    :param flags: the flags and keywords that it gets: one, or several.
    :param internal_date: when it was received; an aware datetime. None for now.
    :param size: octets to read from a file; None for all up to its end, for which it must be seekable.
    :param binary: send it as a literal8, which may hold NUL (BINARY, RFC 3516, section 4.4).
    :param utf8: its header has UTF-8 in it (UTF8=ACCEPT, RFC 6855, section 4; it has to be enabled first: StateError).
    :param progress: called with the octets sent so far and their whole number, once for each 64 KiB.

    Raises ValueError, before anything is sent, for a message larger than the server takes (APPENDLIMIT, RFC 7889)
    and for NUL without `binary`; MailboxNotFound, NoPermission, OverQuota. What goes wrong while a file is read (it
    ends early, its read() or `progress` raises) ends the connection: the message is half sent. (RFC 9051, section
    6.3.12)
    """

    name = "APPEND"
    kind: str | None = "append"

    def __init__(
        self,
        mailbox: MailboxName,
        message: MessageData,
        *,
        flags: str | Iterable[str] = (),
        internal_date: datetime | None = None,
        size: int | None = None,
        binary: bool = False,
        utf8: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        super().__init__([AppendMessage(message, flags, internal_date, size, binary, utf8)])
        if progress is not None:
            self.watch(progress)
        self._mailbox = encode.mailbox(mailbox)

    def parts(self, session: Session) -> Sequence[Part]:
        return [b"APPEND", self._mailbox, *self.messages(session)]

    def succeed(self, tagged: Tagged, session: Session) -> AppendResult:
        return _appended(tagged)


class MultiAppend(_Appending[MultiAppendResult]):
    """Append messages to a mailbox, all of them or none.

    :param mailbox: the name of the mailbox.
    :param messages: the messages, as for `append`; in an `AppendMessage` those with flags or an internal date.

    Raises as `append` does. (MULTIAPPEND, RFC 3502)
    """

    name = "APPEND"
    kind: str | None = "append"

    def __init__(self, mailbox: MailboxName, messages: Iterable[AppendMessage | MessageData]) -> None:
        # Many a single message can be iterated, by octets or lines.
        if (
            _is_email(messages)
            or isinstance(messages, (str, bytes, bytearray, memoryview, AppendMessage))
            or (hasattr(messages, "read") or not isinstance(messages, Iterable))
        ):
            raise TypeError(f"messages are given as a list, not as one: {messages!r:.100}")
        super().__init__(
            message if isinstance(message, AppendMessage) else AppendMessage(message) for message in messages
        )
        if not self._messages:
            raise ValueError("no messages: APPEND needs at least one")
        self._mailbox = encode.mailbox(mailbox)

    def requires(self, session: Session) -> Iterable[str]:
        if len(self._literals) > 1:
            yield "MULTIAPPEND"
        yield from super().requires(session)

    def parts(self, session: Session) -> Sequence[Part]:
        return [b"APPEND", self._mailbox, *self.messages(session)]

    def succeed(self, tagged: Tagged, session: Session) -> MultiAppendResult:
        code = tagged.response_code
        return MultiAppendResult(code.uid_validity, code.uids) if isinstance(code, AppendUID) else MultiAppendResult()


class Catenate(Command[AppendResult]):
    """Append a message that the server puts together, from parts that it has and parts that are sent.

    :param mailbox: the name of the mailbox.
    :param parts: in their order: an IMAP URL as str, such as ``"/INBOX/;UID=20/;SECTION=1"``; or octets.
    :param flags: as for `append`.
    :param internal_date: as for `append`.

    Raises CommandError with code BADURL or TOOBIG, and what `append` raises. (CATENATE, RFC 4469)
    """

    name = "APPEND"
    kind: str | None = "append"

    def __init__(
        self,
        mailbox: MailboxName,
        parts: Iterable[str | bytes],
        *,
        flags: str | Iterable[str] = (),
        internal_date: datetime | None = None,
    ) -> None:
        attributes, waits = _attributes(flags, internal_date)
        catenated: list[Part] = []
        self._size = 0
        for part in parts:
            if isinstance(part, str):
                catenated += [b"URL", encode.astring(part)]
            elif not isinstance(part, bytes):
                raise TypeError(f"a part is octets, or an IMAP URL as str: {part!r:.100}")
            else:
                catenated += [b"TEXT", Literal(part, waits=waits)]
                self._size += len(part)
        if not catenated:
            raise ValueError("no parts: CATENATE needs at least one")
        self._arguments = [encode.mailbox(mailbox), *attributes, b"CATENATE", tuple(catenated)]

    def requires(self, session: Session) -> Iterable[str]:
        return ("CATENATE",)

    def parts(self, session: Session) -> Sequence[Part]:
        _check_size(self._size, session)
        return [b"APPEND", *self._arguments]

    def succeed(self, tagged: Tagged, session: Session) -> AppendResult:
        return _appended(tagged)


class Replace(_Appending[AppendResult]):
    """Append a message to a mailbox and remove the one that it replaces, in one step; return where it is.

    :param replaced: the message to remove from the selected mailbox: its UID; or a `SequenceSet` of one number.
    :param mailbox: the name of the mailbox where the new message goes; it need not be the selected one.
    :param message: the new message, as for `append`.
    :param flags: as for `append`; those of the old message are not taken over.
    :param internal_date: as for `append`.
    :param size: as for `append`.
    :param binary: as for `append`.
    :param utf8: as for `append`.

    That the old message is gone comes as an event, as when anybody removes it. Raises what `append` does, and
    StateError where the mailbox was selected with ``read_only=True``. (REPLACE, RFC 8508)
    """

    name = "REPLACE"
    states = SELECTED
    claims_news = True

    def __init__(
        self,
        replaced: MessageSet,
        mailbox: MailboxName,
        message: MessageData,
        *,
        flags: str | Iterable[str] = (),
        internal_date: datetime | None = None,
        size: int | None = None,
        binary: bool = False,
        utf8: bool = False,
    ) -> None:
        super().__init__([AppendMessage(message, flags, internal_date, size, binary, utf8)])
        self._replaced = uid_set(replaced)
        # "*" is a seq-number too, but which message that is may change on the way to the server.
        if isinstance(self._replaced, SavedResult) or self._replaced.has_star or len(self._replaced) != 1:
            raise ValueError(f"REPLACE replaces one message, not {self._replaced!r}")
        self._mailbox = encode.mailbox(mailbox)
        self._code: AppendUID | None = None

    def requires(self, session: Session) -> Iterable[str]:
        yield "REPLACE"
        yield from super().requires(session)

    def parts(self, session: Session) -> Sequence[Part]:
        refuse_read_only(session)
        return [*verb(self.name, self._replaced, session), self._mailbox, *self.messages(session)]

    def take(self, response: Response) -> bool:
        # The code comes before the EXPUNGE response, not with the tagged OK (RFC 8508, section 3.4).
        if not (isinstance(response, StatusResponse) and isinstance(response.response_code, AppendUID)):
            return False
        self._code = response.response_code
        return True

    def succeed(self, tagged: Tagged, session: Session) -> AppendResult:
        return _appended(tagged, self._code)


def _appended(tagged: Tagged, earlier: AppendUID | None = None) -> AppendResult:
    code = tagged.response_code if isinstance(tagged.response_code, AppendUID) else earlier
    if code is None:
        return AppendResult()
    return AppendResult(code.uid_validity, code.uids.first if code.uids.ranges else None)


def _attributes(flags: str | Iterable[str], internal_date: datetime | None) -> tuple[list[Part], bool]:
    """Return what stands between the mailbox and the message, and whether the message is to wait until it is asked for.

    Dovecot refuses flags such as ``\\Foo``, and takes a message that came with them unsolicited for commands.
    """
    given = one_or_several(flags, "flags")
    encoded = encode.flags(given)
    parts: list[Part] = [encoded] if encoded else []
    if internal_date is not None:
        parts.append(encode.date_time(internal_date))
    return parts, any(flag.startswith("\\") and flag.lower() not in _KNOWN_FLAGS for flag in given)


class _Progress:
    """Counts the octets that are read of literals."""

    def __init__(self, size: int, told: Callable[[int, int], object]) -> None:
        self._size = size
        self._sent = 0
        self._told = told

    def literal(self, literal: Literal) -> Literal:
        data = literal.data
        file = BytesIO(data) if isinstance(data, (bytes, bytearray, memoryview)) else data
        return literal.__replace__(data=_Watched(file, self))

    def add(self, octets: int) -> None:
        self._sent += octets
        self._told(self._sent, self._size)


def _is_email(data: object) -> TypeIs[Message]:
    """Whether `data` is a message of the package `email`: whoever has one has imported it."""
    loaded = sys.modules.get("email.message")
    return loaded is not None and isinstance(data, loaded.Message)


class _Watched:
    def __init__(self, file: Readable, progress: _Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int, /) -> bytes:
        octets = self._file.read(size)
        if size:
            self._progress.add(len(octets))
        return octets


def _replaced(part: Part, literals: dict[int, Literal]) -> Part:
    if isinstance(part, Literal):
        return literals[id(part)]
    return tuple(_replaced(each, literals) for each in part) if isinstance(part, tuple) else part


def _literal(message: AppendMessage) -> Literal:
    data, binary = message.message, message.binary or message.utf8
    if _is_email(data):
        return Literal(data.as_bytes(policy=data.policy.clone(linesep="\r\n")), binary=binary)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return Literal(data, binary=binary)
    if isinstance(data, os.PathLike):
        file = _FileAt(data, message.size)
        return Literal(file, file.size, binary)
    if isinstance(data, str):
        raise TypeError("a message is octets, not str: .encode() it; or, for the name of a file, pass a pathlib.Path")
    if not hasattr(data, "read"):
        raise TypeError(f"a message is octets, a binary file, a pathlib.Path or an EmailMessage, not {data!r:.100}")
    if isinstance(data, TextIOBase):
        raise TypeError('the file is open in text mode: a message is octets, so open it with mode "rb"')
    size = message.size
    if size is None:
        # An mmap can seek, but before Python 3.13 it does not say so.
        if not getattr(data, "seekable", lambda: hasattr(data, "seek"))():
            raise ValueError("a message from a file that can't seek needs its size")
        start = data.tell()
        data.seek(0, SEEK_END)
        size = data.tell() - start
        data.seek(start)
    return Literal(data, size, binary)


class _FileAt:
    """The file at a path: open from its first octet to its last, as many may wait in a pipeline."""

    def __init__(self, path: os.PathLike[str], size: int | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{os.fspath(path)!r} is not a regular file: a pipe is opened, and its size given")
        open(path, "rb").close()  # whether it can be read shows now, when nothing has been sent
        self._whole = status.st_size
        self.size = self._left = self._whole if size is None else size
        if self.size > self._whole:
            raise ValueError(f"{os.fspath(path)!r} has {self._whole} octets, and not {size}")

    def read(self, size: int, /) -> bytes:
        if not size:
            return b""
        if self._file is None:
            self._file = open(self._path, "rb")  # noqa: SIM115  closed after its last octet
            if os.fstat(self._file.fileno()).st_size != self._whole:
                raise ValueError(f"{os.fspath(self._path)!r} has changed since it was to be sent")
        octets = self._file.read(size)
        self._left -= len(octets)
        if not self._left or not octets:
            self._file.close()
        return octets

    def __del__(self) -> None:
        if self._file is not None:  # of a command that was not sent to its end
            self._file.close()


def _check_size(size: int, session: Session) -> None:
    """Raise ValueError for a message of `size` octets if the server is known not to take it (RFC 7889, section 2)."""
    for capability in session.capabilities:
        name, _, limit = capability.partition("=")
        if name == "APPENDLIMIT" and limit.isascii() and limit.isdigit() and size > int(limit):
            raise ValueError(f"the message has {size} octets, and the server takes at most {limit} (APPENDLIMIT)")
