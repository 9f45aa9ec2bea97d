"""SEARCH: every key of RFC 3501, section 6.4.4, on messages that differ in what the keys ask."""

import imaplib
from datetime import UTC, datetime

import pytest

from fastimap.testing import IMAPServer

MESSAGES: list[tuple[list[bytes], list[str], datetime]] = [
    (
        [
            b"From: Ann <ann@example.org>",
            b"To: bob@example.org",
            b"Subject: Lunch?",
            b"Date: Mon, 01 Jan 2024 23:30:00 -0500",
            b"",
            b"At noon.",
        ],
        ["\\Seen", "\\Answered", "$Work"],
        datetime(2024, 1, 1, 12, tzinfo=UTC),
    ),
    (
        [
            b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.org>",
            b"Cc: carl@example.org",
            b"Subject: =?iso-8859-1?q?Gr=F6=DFe?=",
            b"Date: Tue, 02 Jan 2024 10:00:00 +0000",
            b"Content-Type: text/plain; charset=iso-8859-1",
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            b"Die Gr=F6=DFe z=",
            b"=E4hlt.",
        ],
        ["\\Flagged", "\\Draft"],
        datetime(2024, 1, 2, 23, 59, 59, tzinfo=UTC),
    ),
    (
        [
            b"Bcc: dora@example.org",
            b"Subject: =?x-unheard-of?q?odd?=",
            b"X-Spam: yes",
            b"Date: Fri, 31 Feb 2024 10:00:00 +0000",
            b"Content-Type: multipart/mixed; boundary=b",
            b"",
            b"preamble",
            b"--b",
            b"Content-Type: text/html; charset=x-unheard-of",
            b"Content-Transfer-Encoding: base64",
            b"",
            b"PHA+Tm9vbjwvcD4=",
            b"--b",
            b"Content-Type: application/pdf",
            b"",
            b"noon",
            b"--b--",
        ],
        ["\\Deleted"],
        datetime(2024, 1, 3, tzinfo=UTC),
    ),
]
OCTETS = [b"\r\n".join(lines) + b"\r\n" for lines, _, _ in MESSAGES]


@pytest.fixture
def mailbox(server: IMAPServer, client: imaplib.IMAP4) -> imaplib.IMAP4:
    """The messages with UIDs 2 to 4, of which the last one is recent."""
    server.append("INBOX", b"gone")
    server.expunge("INBOX", [1])
    for octets, (_, flags, internal_date) in zip(OCTETS, MESSAGES, strict=True):
        if octets is OCTETS[-1]:
            client.select()
            client.unselect()
        server.append("INBOX", octets, flags, internal_date)
    client.select()
    return client


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("ALL", [1, 2, 3]),
        ("ANSWERED", [1]),
        ("UNANSWERED", [2, 3]),
        ("DELETED", [3]),
        ("UNDELETED", [1, 2]),
        ("DRAFT", [2]),
        ("UNDRAFT", [1, 3]),
        ("FLAGGED", [2]),
        ("UNFLAGGED", [1, 3]),
        ("SEEN", [1]),
        ("UNSEEN", [2, 3]),
        ("RECENT", [3]),
        ("OLD", [1, 2]),
        ("NEW", [3]),
        ("KEYWORD $Work", [1]),
        ("UNKEYWORD $Work", [2, 3]),
        ("KEYWORD $Other", []),
        ("BEFORE 2-Jan-2024", [1]),
        ("ON 2-Jan-2024", [2]),
        ('SINCE "02-Jan-2024"', [2, 3]),
        ("SUBJECT x-unheard-of", [3]),
        # The day as the Date field writes it, whatever its zone; an unreadable one matches nothing.
        ("SENTBEFORE 2-Jan-2024", [1]),
        ("SENTON 1-Jan-2024", [1]),
        ("SENTSINCE 1-Jan-2024", [1, 2]),
        ("FROM ANN", [1]),
        ("FROM nobody", []),
        ("TO bob", [1]),
        ("CC carl", [2]),
        ("BCC dora", [3]),
        ('SUBJECT "lunch?"', [1]),
        ("HEADER X-Spam YES", [3]),
        ('HEADER x-spam ""', [3]),
        ("BODY noon", [1, 3]),
        ("BODY ann", []),
        ("TEXT ann", [1]),
        ("TEXT noon", [1, 3]),
        (f"LARGER {len(OCTETS[1]) - 1}", [2, 3]),
        (f"LARGER {len(OCTETS[2])}", []),
        (f"SMALLER {len(OCTETS[1])}", [1]),
        ("UID 1:3", [1, 2]),
        ("UID 1", []),
        ("2:*", [2, 3]),
        ("1,3", [1, 3]),
        ("NOT SEEN", [2, 3]),
        ("OR SEEN DELETED", [1, 3]),
        ("NOT (OR SEEN DELETED)", [2]),
        ("UNSEEN UNDELETED", [2]),
        ("(UNSEEN (NOT DELETED)) FLAGGED", [2]),
        ("CHARSET US-ASCII SEEN", [1]),
    ],
)
def test_keys(mailbox: imaplib.IMAP4, keys: str, expected: list[int]) -> None:
    typ, data = mailbox.search(None, keys)
    assert typ == "OK"
    assert [int(number) for number in data[0].split()] == expected


@pytest.mark.parametrize("key", ["SUBJECT", "BODY", "TEXT", "HEADER Subject"])
@pytest.mark.parametrize("text", ["Größe", "GRÖSSE"])
def test_text_beyond_ascii_is_compared_decoded_and_without_case(mailbox: imaplib.IMAP4, key: str, text: str) -> None:
    mailbox.literal = text.encode()  # type: ignore[assignment]  # its stub says str
    assert mailbox.uid("SEARCH", "CHARSET", "UTF-8", key) == ("OK", [b"3"])


def test_text_that_is_not_in_its_charset(mailbox: imaplib.IMAP4) -> None:
    for charset in ((), ("CHARSET", "UTF-8")):
        mailbox.literal = b"Gr\xf6\xdfe"  # type: ignore[assignment]
        with pytest.raises(imaplib.IMAP4.error, match="A search text is not"):
            mailbox.uid("SEARCH", *charset, "SUBJECT")


def test_unknown_charset(mailbox: imaplib.IMAP4) -> None:
    typ, data = mailbox.search("KOI8-R", "ALL")
    assert typ == "NO"
    assert data[0].startswith(b"[BADCHARSET (US-ASCII UTF-8)]")


def test_uid_search_answers_uids(mailbox: imaplib.IMAP4) -> None:
    assert mailbox.uid("SEARCH", "UNSEEN") == ("OK", [b"3 4"])
