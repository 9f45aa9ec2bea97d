"""Arguments of imaplib's commands: how Python values become IMAP's syntax, and what can be sent."""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

from ..model._patterns import pattern
from .exceptions import InvalidArgument, WrongType, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Argument: TypeAlias = "str | bytes | int | float"  # a number stands for its digits
Arguments: TypeAlias = "Argument | Sequence[Argument]"
_Number: TypeAlias = "int | str"
MessageSet: TypeAlias = "Argument | int | Iterable[int | str | range | tuple[_Number, _Number | None]]"

UNSENDABLE = pattern(rb"[\0\r\n]")
QUOTED = pattern(rb'"(?:[^"\\]|\\.)*+"')
NOT_IN_ATOM = pattern(rb'[^!-~]|[(){%*"\\\]]')
NOT_IN_ASTRING = pattern(rb'[^!-~]|[(){%*"\\]')
ANNOUNCEMENT = pattern(rb"\{\d+[+-]?\}\Z")
NOT_IN_LIST_MAILBOX = pattern(rb'[^!-~]|[(){"\\]')
NOT_IN_WORD = pattern(rb'[\x00- ()"\\\x7f]')
_FLAG = pattern(r'\\?[^(){ %*"\\\x00-\x1f\x7f-\U0010ffff]+')
_QUOTED_TEXT = pattern(r'"(?:[^"\\]|\\.)*+"')
_STRING_ALONE = pattern(r'(?<![^ (])"(?:[^"\\]|\\.)*+"')  # within a word, as in Gmail's subject:"...", a quote is text
_WELL_QUOTED = pattern(r'[^"]*+(?:"(?:[^"\\]|\\.)*+"[^"]*+)*+')
_PARENTHESIS = pattern(r"[()]")
_SPACE_OR_BRACKET = pattern(r"[][() ]")
_SEQUENCE_SET = pattern(r"[0-9:,*]+|\$")
_TEXT_KEYS = frozenset({"BCC", "BODY", "CC", "FROM", "SUBJECT", "TEXT", "TO", "X-GM-RAW"})
_PLACEHOLDER = pattern(r"\?(\?|[fs]\b)?")


class TextLiteral(bytes):
    """Text that can't be quoted, as it has octets over 127: it is sent as a literal."""


def flat(argument: Any) -> str | bytes:
    """Return an argument as text or octets; what is neither is made a string.

    But for numbers, what has no string of its own is no argument (None, a list, a generator, a function, a member of a
    plain Enum): a mailbox that is called as Python shows it was hardly meant.
    """
    if type(argument) is str or isinstance(argument, bytes):
        return argument
    if isinstance(argument, str):
        return "".join(argument)  # members of enumerations, and others, may show themselves as more than what they hold
    if isinstance(argument, (bytearray, memoryview)):
        return bytes(argument)
    if isinstance(argument, (int, float)):
        return str(argument.value if isinstance(argument, Enum) else argument)
    own: object = type(argument).__str__
    if own is object.__str__ or own is Enum.__str__:
        try:
            return bytes(memoryview(argument))
        except TypeError:
            # It is not shown: it may be a password, which a comma at the end of a line makes a tuple.
            raise WrongType(
                f"arguments are str, bytes or numbers, not {type(argument).__name__}; of several, give each on its own"
            ) from None
    return str(argument)


def encoded_text(text: object, encoding: str = "utf-8") -> bytes:
    """Return the octets of an argument; see :func:`flat`."""
    text = flat(text)
    try:
        return text if isinstance(text, bytes) else text.encode(encoding)
    except (UnicodeEncodeError, LookupError) as exc:
        raise refusal(exc) from None


def sequence_set(argument: MessageSet) -> Argument:
    if isinstance(argument, (str, bytes)):
        if _SEQUENCE_SET.fullmatch(argument if isinstance(argument, str) else argument.decode("latin-1")) is None:
            raise InvalidArgument(f"not a message set: {argument!r}")
        return argument
    if isinstance(argument, (bytearray, memoryview)):
        return sequence_set(bytes(argument))
    if isinstance(argument, range):
        argument = (argument,)
    elif not isinstance(argument, Iterable):
        return _sequence_number(argument)
    members = [member for item in argument for member in _sequence_members(item)]
    if not members:
        raise InvalidArgument("empty message set")
    return ",".join(members)


def _sequence_number(number: Any) -> str:
    if number == "*":
        return "*"
    try:
        index = operator.index(number)
    except TypeError as exc:
        raise refusal(exc) from None
    if index < 1:
        raise InvalidArgument(f"message numbers begin at 1: {number}")
    return str(index)


def _sequence_members(item: Any) -> Iterator[str]:
    """Yield what `item` of a message set is in a sequence set."""
    if isinstance(item, range):
        if item.step != 1:
            yield from map(_sequence_number, item)
        elif item:
            yield f"{_sequence_number(item[0])}:{item[-1]}"
    elif isinstance(item, tuple):
        if len(item) != 2:
            raise InvalidArgument(f"a range of messages is a pair, not {item!r}")
        first, last = item
        yield f"{_sequence_number(first)}:{'*' if last is None else _sequence_number(last)}"
    else:
        yield _sequence_number(item)


def reaches_out(item: str) -> bool:
    """Whether `item` is nothing, or what is around it in a list would be part of it, or it of that."""
    rest = _without_strings(item)
    if not item or rest is None:
        return True
    depth = 0
    for parenthesis in _PARENTHESIS.findall(rest):
        depth += 1 if parenthesis == "(" else -1
        if depth < 0:
            return True
    return depth > 0


def _without_strings(text: str) -> str | None:
    """Return `text` with an x for each quoted string; None where a quote is not closed."""
    # Looked at once from the left: a search for strings would begin anew at each quote that nothing closes.
    found = _WELL_QUOTED.match(text)
    return _QUOTED_TEXT.sub("x", text) if found is not None and found.end() == len(text) else None


def is_single(argument: str) -> bool:
    """Whether a server reads one argument, be it a word, a quoted string, a list, or a data item with its section."""
    rest = _without_strings(argument)
    if not argument or rest is None:
        return False
    depth = 0
    for character in _SPACE_OR_BRACKET.findall(rest):
        if character == " ":
            if not depth:
                return False
        else:
            depth += 1 if character in "([" else -1
            if depth < 0:
                return False
    return depth == 0


def decoded_text(argument: object) -> str:
    """Return an argument as text: octets have to be ASCII; see :func:`flat`."""
    text = flat(argument)
    try:
        return text if isinstance(text, str) else text.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidArgument(f"not ASCII: {text!r}") from None


def joined(items: Iterable[Argument]) -> str:
    return " ".join(map(decoded_text, items))


def one_list(text: str) -> str:
    """Return `text` in parentheses, which it may have already.

    Raises:
        InvalidArgument: A server would read more than one list.
    """
    text = decoded_text(text)
    inside = text[1:-1] if text[:1] == "(" and text[-1:] == ")" else text
    if inside and reaches_out(inside):
        raise InvalidArgument(f"not one list: {text!r}")
    return f"({inside})"


@functools.lru_cache(maxsize=64)  # programs ask for the same, message after message
def fetch_items(text: str) -> str:
    """Return the data items of FETCH as a list, with their modifiers after it; the macros, for whole lists, alone."""
    if text.upper() in ("ALL", "FAST", "FULL"):
        return text
    items, modifiers = _split_modifiers(text)
    return f"{fetch_items(items)} {one_list(modifiers)}" if modifiers else one_list(text)


def _split_modifiers(parts: str) -> tuple[str, str]:
    """Return the data items of FETCH, and what follows them: "" or the modifiers in parentheses (RFC 4466)."""
    rest = _without_strings(parts)
    if rest is None or len(rest) != len(parts) or not parts.endswith(")"):
        return parts, ""
    depth = 0
    for index in range(len(parts) - 1, 0, -1):
        if parts[index] in ")]":
            depth += 1
        elif parts[index] in "([":
            depth -= 1
            if not depth:
                items = parts[:index].rstrip(" ")
                return (items, parts[index:]) if items and parts[index - 1] == " " else (parts, "")
    return parts, ""


def quoted_values(criteria: Sequence[Argument]) -> list[Argument]:
    """Return search keys with the values that follow a key which takes text quoted where need be.

    A value in double quotes or in parentheses, or one with a quoted string among its words, is the caller's own, and so
    is a single string with a whole search program. What has octets over 127 becomes a literal.
    """
    if len(criteria) < 2:
        return [*criteria]
    result: list[Argument] = []
    texts = 0  # how many of the next are text
    for criterion in criteria:
        if not texts:
            result.append(criterion)
            texts = _texts_after(criterion)
            continue
        octets = criterion if isinstance(criterion, bytes) else None
        text = octets.decode("latin-1") if octets is not None else str(criterion)
        if _STRING_ALONE.search(text) or (text[:1] == "(" and text[-1:] == ")"):
            texts = 0
            result.append(criterion)
            continue
        texts -= 1
        if UNSENDABLE.search(encoded_text(text)):
            raise InvalidArgument("NUL, CR and LF not allowed in commands")
        if octets is not None and not octets.isascii():
            result.append(TextLiteral(octets))
        elif text and NOT_IN_ASTRING.search(encoded_text(text)) is None:
            result.append(criterion)
        else:
            result.append('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return result


def _texts_after(criterion: object) -> int:
    """Return how many of the criteria that follow are values of a key at the end of this one."""
    text = criterion.decode("latin-1") if isinstance(criterion, bytes) else str(criterion)
    words = text.upper().replace("(", " ").split()
    if words[-1:] == ["HEADER"]:
        return 2
    return int((words[-1:] and words[-1] in _TEXT_KEYS) or words[-2:-1] == ["HEADER"])


def substituted(argument: Arguments, params: Sequence[Any] | None) -> Arguments:
    if params is None:
        return argument
    return substitute(joined(argument if isinstance(argument, (list, tuple)) else (argument,)), params)


def substitute(template: str, params: Sequence[Any]) -> str:
    """Return `template` with each placeholder replaced by the next of `params`.

    ``?`` stands for a string (quoted where need be), a number, or a list of those; ``?f`` for a flag or a list of
    flags; ``?s`` for a message set; ``??`` is a question mark.
    """
    values = iter(params)

    def value(placeholder: re.Match[str]) -> str:
        kind = placeholder[1]
        if kind == "?":
            return "?"
        try:
            param = next(values)
        except StopIteration:
            raise WrongType(f"more placeholders than params ({len(params)}) in {template!r}") from None
        if kind == "f":
            return _flags(param)
        if kind == "s":
            return _message_set(param)
        return _param(param)

    text = _PLACEHOLDER.sub(value, template)
    if left := len(list(values)):
        raise WrongType(f"{left} of {len(params)} params have no placeholder in {template!r}")
    return text


def _param(param: Any) -> str:
    if isinstance(param, (list, tuple)):
        return f"({' '.join(map(_param, param))})"
    if isinstance(param, (str, bytes, int)) and not isinstance(param, bool):
        param = decoded_text(param)
    if not isinstance(param, str):
        raise WrongType(f"params are str, bytes, int, or lists of these, not {type(param).__name__}: {param!r}")
    octets = param.encode("utf-8")
    if UNSENDABLE.search(octets):
        raise InvalidArgument("NUL, CR and LF not allowed in commands")
    if octets and NOT_IN_ASTRING.search(octets) is None:
        return param
    return '"' + param.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _message_set(param: Any) -> str:
    return decoded_text(sequence_set(param))


def _flags(param: Any) -> str:
    if isinstance(param, (list, tuple)):
        return f"({' '.join(map(_flags, param))})"
    if not isinstance(param, str) or _FLAG.fullmatch(param) is None:
        raise InvalidArgument(f"not a flag: {param!r}")
    return param
