"""SASLprep (RFC 4013): the one form of user names and passwords that looks or is typed alike."""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0  # RFC 3454 is written for Unicode 3.2

from ..errors import MechanismError

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, what: str, *, stored: bool) -> bytes:
    """Return `text` prepared, in UTF-8; `what` names it in the error.

    `stored`: prepare a "stored string", which must not hold code points unassigned in Unicode 3.2, else a
    "query" (RFC 3454, section 7). RFC 5802 wants the first for passwords and the second for user names.

    Raises MechanismError when `text` holds what RFC 4013 prohibits, or nothing remains of it.
    """
    # U+200B is in both tables; the RFC names the mapping to space first.
    mapped = "".join(" " if stringprep.in_table_c12(char) else char for char in text if not _maps_to_nothing(char))
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    problem = _problem(prepared, stored)
    if problem:
        raise MechanismError(f"{what} cannot be prepared by SASLprep (RFC 4013): {problem}")
    return prepared.encode("utf-8")


def _maps_to_nothing(char: str) -> bool:
    return stringprep.in_table_b1(char) and not stringprep.in_table_c12(char)


def _problem(prepared: str, stored: bool) -> str | None:
    """Say what is wrong, without a word of the text itself."""
    if not prepared:
        return "nothing remains of it"
    for char in prepared:
        if any(prohibits(char) for prohibits in _PROHIBITED):
            return "it holds a prohibited character"
        if stored and stringprep.in_table_a1(char):
            return "it holds a character that Unicode 3.2 does not have"
    if any(map(stringprep.in_table_d1, prepared)):
        if any(map(stringprep.in_table_d2, prepared)):
            return "it mixes writing directions"
        if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
            return "right-to-left text must begin and end with a right-to-left character"
    return None
