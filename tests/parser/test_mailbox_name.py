"""Modified UTF-7 (RFC 3501, section 5.1.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap.model import mailbox_name


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("INBOX", b"INBOX"),
        ("", b""),
        ("A&B", b"A&-B"),
        # The example of RFC 3501.
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("a\x01b", b"a&AAE-b"),
        ("&ü", b"&-&APw-"),
        ("\U0001f4ec", b"&2D3c7A-"),
    ],
)
def test_known_names(name: str, encoded: bytes) -> None:
    assert mailbox_name.encode(name) == encoded
    assert mailbox_name.decode(encoded) == name
    assert mailbox_name.is_encoded(encoded.decode("ascii"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_round_trip(name: str) -> None:
    encoded = mailbox_name.encode(name)
    assert mailbox_name.decode(encoded) == name
    assert all(0x20 <= octet < 0x7F for octet in encoded)


@pytest.mark.parametrize(
    "octets",
    [
        b"A&B",
        b"&",
        b"&AP",
        b"&APx-",
        b"&APw=-",
        b"&AP/-",
        b"\xc3\xbc",
        b"a\x01b",
        b"&2D0-",
        b"&A-",
        b"&APw&-",
        b"\x7f",
    ],
)
def test_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="not modified UTF-7"):
        mailbox_name.decode(octets)
    assert not mailbox_name.is_encoded(octets.decode("latin-1"))


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("inbox", "INBOX"),
        ("InBoX", "INBOX"),
        ("\u0131nbox", "\u0131nbox"),
        ("\u0130nbox", "\u0130nbox"),
        ("inbox/a", "inbox/a"),
    ],
)
def test_inbox_in_any_case(name: str, folded: str) -> None:
    """ABNF compares octets of US-ASCII (RFC 5234, section 2.3): other letters are none of them, whatever their case."""
    assert mailbox_name.folded(name) == folded


def test_lone_surrogate() -> None:
    with pytest.raises(UnicodeEncodeError):
        mailbox_name.encode("\ud800")
