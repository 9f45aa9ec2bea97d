"""Arguments of a connection's commands: their octets depend on whether UTF-8 is enabled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..model import mailbox_name
from .arguments import (
    NOT_IN_ASTRING,
    NOT_IN_ATOM,
    NOT_IN_LIST_MAILBOX,
    QUOTED,
    UNSENDABLE,
    Argument,
    Arguments,
    MessageSet,
    decoded_text,
    encoded_text,
    fetch_items,
    flat,
    is_single,
    joined,
    one_list,
    quoted_values,
    reaches_out,
    sequence_set,
    substitute,
    substituted,
)
from .exceptions import InvalidArgument, WrongType, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How many arguments each command takes at least after UID.
_UID_ARGUMENTS = {"COPY": 2, "EXPUNGE": 1, "FETCH": 2, "MOVE": 2, "SORT": 2, "STORE": 3, "THREAD": 2}


class Quoting:
    """The quoting of arguments. It needs no connection: ``IMAP4.__new__(IMAP4)`` can do it."""

    _encoding = "ascii"

    def _encoded(self, argument: Argument) -> bytes:
        """Return the octets of `argument`; ValueError for those that end a line or a string."""
        octets = encoded_text(argument, self._encoding)
        if UNSENDABLE.search(octets):
            raise InvalidArgument("NUL, CR and LF not allowed in commands")
        return octets

    def _atom(self, argument: Argument) -> str | bytes:
        """Return `argument` as it is, which an overridden _simple_command() gets to see."""
        octets = encoded_text(argument, self._encoding)
        if not octets or NOT_IN_ATOM.search(octets):
            raise InvalidArgument(f"not an atom: {argument!r}")
        return argument if isinstance(argument, str) else octets

    def _astring(self, argument: Argument) -> bytes:
        return self._quoted_unless_safe(encoded_text(argument, self._encoding), NOT_IN_ASTRING)

    def _list_mailbox(self, argument: Argument) -> bytes:
        return self._quoted_unless_safe(self._mailbox_octets(argument), NOT_IN_LIST_MAILBOX)

    def _mailbox(self, argument: Argument) -> bytes:
        return self._quoted_unless_safe(self._mailbox_octets(argument), NOT_IN_ASTRING)

    def _mailbox_octets(self, name: Argument) -> bytes:
        """Return `name` in modified UTF-7, unless it is that already (as LIST gives it) or goes in UTF-8."""
        if not isinstance(name, str) or self._encoding != "ascii":
            return encoded_text(name, self._encoding)
        if name.isascii() and ("&" not in name or mailbox_name.is_encoded(name)):
            return name.encode("ascii")
        if UNSENDABLE.search(name.encode("utf-8", "surrogatepass")):
            raise InvalidArgument("NUL, CR and LF not allowed in commands")
        try:
            return mailbox_name.encode(name)
        except UnicodeEncodeError as exc:
            raise refusal(exc) from None

    def _quoted_unless_safe(self, octets: bytes, unsafe: re.Pattern[bytes]) -> bytes:
        if (octets and unsafe.search(octets) is None) or QUOTED.fullmatch(octets):
            return octets
        return self._quote(octets)

    def _quote(self, argument: Argument) -> bytes:
        return b'"' + encoded_text(argument, self._encoding).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'

    def _set_quote(self, argument: Arguments) -> Argument:
        """Return `argument` in parentheses; a sequence becomes a list."""
        if isinstance(argument, str):
            return one_list(argument)
        if isinstance(argument, (bytes, bytearray, memoryview)):
            return one_list(bytes(argument).decode("latin-1")).encode("latin-1")
        if not isinstance(argument, Iterable):
            argument = (argument,)
        items = [decoded_text(item) for item in argument]
        if any(map(reaches_out, items)):
            raise InvalidArgument(f"not the items of a list: {argument!r}")
        return f"({' '.join(items)})"

    def _single(self, argument: Argument) -> str | bytes:
        """Return `argument`, which goes as it is; ValueError where a server would read more arguments than one."""
        octets = self._encoded(argument)
        if not is_single(octets.decode("latin-1")):
            raise InvalidArgument(f"not one argument: {argument!r}")
        return argument if isinstance(argument, str) else octets

    def _store_item(self, argument: Argument) -> Sequence[str | bytes]:
        """Return the data item of STORE, and the modifiers that may come before it (RFC 7162, section 3.1.3)."""
        modifiers, _, name = decoded_text(argument).rpartition(" ")
        if modifiers[:1] == "(":
            return self._single(modifiers), self._atom(self._single(name))
        return (self._atom(self._single(argument)),)

    def _word(self, argument: Argument) -> Argument:
        """Return `argument` of a command that the class does not know, quoted where it is text with spaces.

        What has quoted strings or lists in it, all of them closed, is the caller's own syntax.
        """
        octets = self._encoded(argument)
        text = octets.decode("latin-1")
        if is_single(text) or (not reaches_out(text) and ('"' in text or "(" in text)):
            return octets
        return self._quote(octets)

    def _fetch_parts(self, argument: Arguments) -> Argument:
        if isinstance(argument, str):
            return fetch_items(argument)
        if isinstance(argument, (bytes, bytearray, memoryview)):
            return fetch_items(bytes(argument).decode("latin-1")).encode("latin-1")
        return self._set_quote(argument)

    def _sequence_set(self, argument: MessageSet) -> Argument:
        """Return a sequence set, such as "1,3:5,8:*". RFC 9051, section 9, sequence-set.

        str and bytes have to be one already. Else it is a number or a sequence of numbers, ranges, and pairs of first
        and last, where the last may be "*" or None for the end of the mailbox.
        """
        return sequence_set(argument)

    def _encode_criteria(self, charset: Argument | None, criteria: Sequence[Argument]) -> tuple[Argument, ...]:
        """Return search keys with those that are str encoded in `charset`; LookupError where Python lacks it."""
        if charset is None:
            return tuple(criteria)
        codec = decoded_text(charset)
        return tuple(encoded_text(key, codec) if isinstance(key, str) else key for key in criteria)

    def _search_keys(
        self, charset: Argument | None, criteria: Sequence[Argument], params: Sequence[Any] | None
    ) -> tuple[Argument, ...]:
        if params is not None:
            criteria = (substitute(joined(criteria), params),)
        criteria = [flat(key) for key in criteria if key is not None]
        if not all(isinstance(key, str) and key.isascii() for key in criteria):
            # Those that are ASCII are the same in every charset, also in those that Python does not know.
            criteria = self._encode_criteria(charset, criteria)
        return tuple(quoted_values(criteria))

    def _uid_arguments(
        self, command: str, args: tuple[Any, ...], params: Sequence[Any] | None
    ) -> Sequence[Argument | None]:
        """Return `args` as the method of `command` would send them; more than these, and all others, as they are.

        None is left out; in the place of a charset it is none.
        """
        if command not in ("SORT", "THREAD"):
            args = tuple(argument for argument in args if argument is not None)
        if len(args) < _UID_ARGUMENTS.get(command, 0):
            raise InvalidArgument(f"UID {command} takes at least {_UID_ARGUMENTS[command]} arguments, not {len(args)}")
        if params is not None and command not in ("FETCH", "SEARCH", "SORT", "THREAD"):
            raise WrongType(f"UID {command} takes no params")
        if command in ("COPY", "MOVE"):
            message_set, mailbox, *rest = args
            return self._sequence_set(message_set), self._mailbox(mailbox), *map(self._single, rest)
        if command == "EXPUNGE":
            message_set, *rest = args
            return self._sequence_set(message_set), *map(self._single, rest)
        if command == "FETCH":
            message_set, parts, *rest = args
            parts = self._fetch_parts(substituted(parts, params))
            return self._sequence_set(message_set), parts, *map(self._single, rest)
        if command == "STORE":
            message_set, *modifiers, item, flags = args
            item = (*map(self._single, modifiers), *self._store_item(item))
            return self._sequence_set(message_set), *item, self._set_quote(flags)
        if command == "SEARCH":
            return self._search_keys(None, args, params)
        if command in ("SORT", "THREAD"):
            first, charset, *keys = args
            return (
                self._set_quote(first) if command == "SORT" else self._atom(first),
                None if charset is None else self._astring(charset),
                *self._search_keys(charset, keys, params),
            )
        return args
