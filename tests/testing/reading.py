"""A small reader of IMAP's parenthesised values, written for these tests alone."""

import re

_TOKEN = re.compile(rb'\s*(?:(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<atom>[^\s()"{]+))')
_LITERAL = re.compile(rb"\s*\{(\d+)\}\r\n")

Value = bytes | int | list["Value"] | None


def joined(data: list[bytes | tuple[bytes, bytes]]) -> bytes:
    """The octets of one FETCH response, put together again from imaplib's pieces."""
    return b"".join(b"\r\n".join(piece) if isinstance(piece, tuple) else piece for piece in data)


def read_items(response: bytes) -> dict[str, Value]:
    """The items of a FETCH response (from its sequence number on): name to value."""
    values = read_values(response.partition(b" ")[2])[0]
    assert isinstance(values, list)
    names = [name.decode() for name in values[::2] if isinstance(name, bytes)]
    return dict(zip(names, values[1::2], strict=True))


def read_values(octets: bytes) -> list[Value]:
    """Nested lists of octets, numbers and None. A section's brackets must hold no space or parenthesis."""
    stack: list[list[Value]] = [[]]
    position = 0
    while position < len(octets):
        if literal := _LITERAL.match(octets, position):
            position = literal.end() + int(literal[1])
            stack[-1].append(octets[literal.end() : position])
            continue
        token = _TOKEN.match(octets, position)
        assert token, octets[position : position + 40]
        position = token.end()
        if token["open"]:
            stack.append([])
        elif token["close"]:
            finished = stack.pop()
            stack[-1].append(finished)
        elif token["quoted"] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", token["quoted"]))
        else:
            atom = token["atom"]
            stack[-1].append(None if atom == b"NIL" else int(atom) if atom.isdigit() else atom)
    assert len(stack) == 1
    return stack[0]
