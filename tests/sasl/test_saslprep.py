"""SASLprep (RFC 4013)."""

from __future__ import annotations

import pytest

from fastimap.sasl import MechanismError
from fastimap.sasl._saslprep import saslprep


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        # The examples of RFC 4013, section 3.
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # Section 2.1: non-ASCII spaces become a space; U+200B is in that table (C.1.2) and in B.1.
        ("a\u00a0b\u3000c\u200bd", "a b c d"),
        # RFC 3454, section 6: right-to-left text, digits inside are allowed.
        ("\u0627\u0031\u0628", "\u0627\u0031\u0628"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_known_answers(text: str, prepared: str, stored: bool) -> None:
    assert saslprep(text, "it", stored=stored) == prepared.encode("utf-8")


@pytest.mark.parametrize("stored", [True, False])
def test_ascii_that_can_be_printed_is_left_as_it_is(stored: bool) -> None:
    """SCRAM relies on it, and does without the tables for such users and passwords."""
    for character in map(chr, range(0x20, 0x7F)):
        assert saslprep(f"a{character}b", "it", stored=stored) == f"a{character}b".encode()
        assert saslprep(character, "it", stored=stored) == character.encode()


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "\u0007",  # the example of RFC 4013, section 3
        "\u0627\u0031",  # the same: must end with a right-to-left character
        "\u0627a\u0628",
        "",
        "\u00ad",
        "\0",
        "\x7f",
        "\x85",
        "\ue000",
        "\ufdd0",
        "\U0001fffe",
        "\ud800",
        "\ufffc",
        "\u2ff0",
        "\u200e",
        "\U000e0001",
    ],
)
def test_prohibited(text: str, stored: bool) -> None:
    with pytest.raises(MechanismError, match=r"^it cannot be prepared by SASLprep"):
        saslprep(text, "it", stored=stored)


def test_code_points_that_unicode_3_2_does_not_have() -> None:
    """RFC 3454, appendix A.1 lists U+0221; section 7 lets a query hold it, and not a stored string."""
    assert saslprep("a\u0221", "it", stored=False) == "a\u0221".encode()
    with pytest.raises(MechanismError, match=r"Unicode 3\.2"):
        saslprep("a\u0221", "it", stored=True)
