"""Arguments of imaplib's commands: how Python values become IMAP's syntax, and what can be sent."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

Argument: TypeAlias = str | bytes
Arguments: TypeAlias = Argument | Sequence[Argument]
_Number: TypeAlias = int | str
MessageSet: TypeAlias = Argument | int | Iterable[int | str | range | tuple[_Number, _Number | None]]

UNSENDABLE = re.compile(rb"[\0\r\n]")
QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"')
NOT_IN_ATOM = re.compile(rb'[^!-~]|[(){%*"\\\]]')
NOT_IN_ASTRING = re.compile(rb'[^!-~]|[(){%*"\\]')
ANNOUNCEMENT = re.compile(rb"\{\d+[+-]?\}\Z")
NOT_IN_LIST_MAILBOX = re.compile(rb'[^!-~]|[(){"\\]')
NOT_IN_WORD = re.compile(rb'[\x00- ()"\\\x7f]')
_FLAG = re.compile(r'\\?[^(){ %*"\\\x00-\x1f\x7f-\U0010ffff]+')
_QUOTED_TEXT = re.compile(r'"(?:[^"\\]|\\.)*+"')
_WELL_QUOTED = re.compile(r'[^"]*+(?:"(?:[^"\\]|\\.)*+"[^"]*+)*+')
_PARENTHESIS = re.compile(r"[()]")
_SPACE_OR_BRACKET = re.compile(r"[][() ]")
_SEQUENCE_SET = re.compile(r"[0-9:,*]+|\$")
_PLACEHOLDER = re.compile(r"\?(\?|[fs]\b)?")


def encoded_text(text: Argument, encoding: str = "utf-8") -> bytes:
    return text.encode(encoding) if isinstance(text, str) else text


def sequence_set(argument: MessageSet) -> Argument:
    if isinstance(argument, (str, bytes)):
        if _SEQUENCE_SET.fullmatch(argument if isinstance(argument, str) else argument.decode("latin-1")) is None:
            raise ValueError(f"not a message set: {argument!r}")
        return argument
    if isinstance(argument, range):
        argument = (argument,)
    elif not isinstance(argument, Iterable):
        return _sequence_number(argument)
    members = [member for item in argument for member in _sequence_members(item)]
    if not members:
        raise ValueError("empty message set")
    return ",".join(members)


def _sequence_number(number: Any) -> str:
    if number == "*":
        return "*"
    if operator.index(number) < 1:
        raise ValueError(f"message numbers begin at 1: {number}")
    return str(operator.index(number))


def _sequence_members(item: Any) -> Iterator[str]:
    """Yield what `item` of a message set is in a sequence set."""
    if isinstance(item, range):
        if item.step != 1:
            yield from map(_sequence_number, item)
        elif item:
            yield f"{_sequence_number(item[0])}:{item[-1]}"
    elif isinstance(item, tuple):
        if len(item) != 2:
            raise ValueError(f"a range of messages is a pair, not {item!r}")
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


def joined(items: Iterable[Argument]) -> str:
    return " ".join(item if isinstance(item, str) else item.decode("ascii") for item in items)


def substituted(argument: Arguments, params: Sequence[Any] | None) -> Arguments:
    if params is None:
        return argument
    return substitute(joined((argument,) if isinstance(argument, (str, bytes)) else argument), params)


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
            raise TypeError(f"more placeholders than params ({len(params)}) in {template!r}") from None
        if kind == "f":
            return _flags(param)
        if kind == "s":
            return _message_set(param)
        return _param(param)

    text = _PLACEHOLDER.sub(value, template)
    if left := len(list(values)):
        raise TypeError(f"{left} of {len(params)} params have no placeholder in {template!r}")
    return text


def _param(param: Any) -> str:
    if isinstance(param, (list, tuple)):
        return f"({' '.join(map(_param, param))})"
    if isinstance(param, bytes):
        param = param.decode("ascii")
    if isinstance(param, int) and not isinstance(param, bool):
        return str(param)
    if not isinstance(param, str):
        raise TypeError(f"params are str, bytes, int, or lists of these, not {type(param).__name__}: {param!r}")
    octets = param.encode("utf-8")
    if UNSENDABLE.search(octets):
        raise ValueError("NUL, CR and LF not allowed in commands")
    if octets and NOT_IN_ASTRING.search(octets) is None:
        return param
    return '"' + param.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _message_set(param: Any) -> str:
    return joined((sequence_set(param),))


def _flags(param: Any) -> str:
    if isinstance(param, (list, tuple)):
        return f"({' '.join(map(_flags, param))})"
    if not isinstance(param, str) or _FLAG.fullmatch(param) is None:
        raise ValueError(f"not a flag: {param!r}")
    return param
