"""Rows of real messages, written by two independent hands, say what the standard library's email says of the messages.

One writer is the test server (fastimap.testing), which reads MIME without the parser; Dovecot is in tests/servers.
"""

from __future__ import annotations

from email.message import EmailMessage
from types import ModuleType

import pytest

from fastimap.model.message import FetchedMessage
from fastimap.testing.content import Content
from tests.parser.harness import put
from tests.support import witness


def fetched(twin: ModuleType, message: bytes) -> FetchedMessage:
    """Return the row of a FETCH response as the test server writes it."""
    content = Content(message)
    reader = twin.ResponseReader()
    items = b"RFC822.SIZE %d ENVELOPE %s BODYSTRUCTURE %s BODY[] {%d}" % (
        len(message),
        content.envelope,
        content.body_structure,
        len(message),
    )
    put(reader, b"* 1 FETCH (UID 1 " + items + b"\r\n" + message + b")\r\n")
    (response,) = reader.responses()
    row: FetchedMessage = twin.fetch(response)
    return row


@pytest.mark.slow
def test_real_messages(twin: ModuleType, real_messages: list[bytes]) -> None:
    compared = 0
    for message in real_messages:
        row = fetched(twin, message)
        assert row.defects == ()
        assert row.body == message
        if witness.is_sound(message):
            compared += 1
            assert witness.differences(row, message) == [], message[:200]
    assert compared > 300


def mails() -> dict[str, bytes]:
    """Mail of the shapes that programs send, put together by email itself."""
    plain = EmailMessage()
    plain["From"] = "Grüße GmbH <info@example.org>"
    plain["To"] = '"Doe, J." <j@example.org>, ünï <u@example.org>, plain@example.com'
    plain["Subject"] = "Ein Betreff, der so lang ist, daß er gefaltet wird: äöüß und € und 漢字, und noch mehr davon"
    plain["Date"] = "Fri, 21 Jun 2024 09:55:06 +0200"
    plain["Message-ID"] = "<1@example.org>"
    plain.set_content("Grüße\n" * 10)

    alternative = EmailMessage()
    alternative["From"] = "a@example.org"
    alternative["Subject"] = "two forms and a picture"
    alternative["In-Reply-To"] = "<1@example.org>"
    alternative.set_content("text\n")
    alternative.add_alternative("<p>html</p>\n", subtype="html")
    *_, html = alternative.iter_parts()
    html.add_related(b"\x89PNG" * 50, "image", "png", cid="<picture@example.org>", filename="Bild ü.png")

    attachments = EmailMessage()
    attachments["From"] = "b@example.org"
    attachments["Subject"] = "attachments"
    attachments.set_content("text\n")
    attachments.add_attachment(b"%PDF" * 100, "application", "pdf", filename="Rechnung für März.pdf")
    attachments.add_attachment("a;b\r\n", subtype="csv", filename="a" * 120 + ".csv")
    attachments.add_attachment(alternative)

    return {
        name: message.as_bytes(policy=message.policy.clone(linesep="\r\n", max_line_length=78))
        for name, message in {"plain": plain, "alternative": alternative, "attachments": attachments}.items()
    }


@pytest.mark.parametrize("name", ["plain", "alternative", "attachments"])
def test_made_messages(twin: ModuleType, name: str) -> None:
    message = mails()[name]
    assert witness.is_sound(message)
    assert witness.differences(fetched(twin, message), message) == []


def test_what_the_reader_of_a_mail_wants(twin: ModuleType) -> None:
    row = fetched(twin, mails()["attachments"])
    assert row.body_structure is not None
    assert [part.filename for part in row.body_structure.attachments()] == [
        "Rechnung für März.pdf",
        "a" * 120 + ".csv",
        None,
    ]
    picture = row.body_structure.find("image/png")
    assert picture is not None
    assert (picture.part, picture.filename, picture.content_id) == ("4.2.2", "Bild ü.png", "<picture@example.org>")
    assert row.email()["subject"] == "attachments"
