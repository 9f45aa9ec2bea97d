"""Somebody reads mail: texts, without its attachments, and what is attached."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest

from fastimap import SequenceSet, UIDSet, errors
from fastimap.testing import IMAPServer
from tests.client.peers import DONE, converse


def mail(text: str, html: str = "", pdf: bytes = b"") -> bytes:
    message = EmailMessage()
    message["Subject"] = "s"
    message.set_content(text, cte="base64")
    if html:
        message.add_alternative(html, subtype="html")
    if pdf:
        message.add_attachment(pdf, maintype="application", subtype="pdf", filename="in/voice.pdf")
    return message.as_bytes()


@pytest.fixture
def mailbox(server: IMAPServer, client: Any) -> Any:
    html_alone = EmailMessage()
    html_alone.set_content("<p>alone</p>\n", subtype="html")
    letters = (
        mail("Grüße\n"),
        mail("plain\n", "<p>html</p>\n", b"%PDF"),
        html_alone.as_bytes(),
        mail("one\n", pdf=b"x"),
    )
    for letter in letters:
        server.append("INBOX", letter)
    client.select("INBOX")
    return client


def test_the_texts_of_new_mail(mailbox: Any) -> None:
    for message in mailbox.fetch_text("1:*", "ENVELOPE"):
        assert message.envelope is not None
        print(message.uid, message.envelope.subject, message.text or message.html)
    rows = mailbox.fetch_text("1:*")
    assert [(row.uid, row.text, row.html) for row in rows] == [
        (1, "Grüße\n", ""),
        (2, "plain\n", None),
        (3, "", "<p>alone</p>\n"),
        (4, "one\n", ""),
    ]
    assert [[each.name for each in row.attachments or ()] for row in rows] == [
        [],
        ["in_voice.pdf"],
        [],
        ["in_voice.pdf"],
    ]
    assert not any("\\Seen" in (row.flags or ()) for row in mailbox.fetch("1:*", "FLAGS"))


def test_the_other_form(mailbox: Any) -> None:
    rows = mailbox.fetch_text(SequenceSet("1:*"), prefer="html")
    assert [(row.text, row.html) for row in rows][:2] == [("Grüße\n", ""), (None, "<p>html</p>\n")]
    (row,) = mailbox.fetch_text(2, prefer="both")
    assert (row.text, row.html) == ("plain\n", "<p>html</p>\n")
    assert mailbox.fetch_text([]) == ()
    with pytest.raises(ValueError, match="plain, html or both"):
        mailbox.fetch_text(1, prefer="text/plain")


def test_whole_messages_and_one_attachment(mailbox: Any) -> None:
    (row,) = mailbox.fetch(2, "BODY.PEEK[]")
    assert (row.text, row.html) == ("plain\n", "<p>html</p>\n")
    (attachment,) = row.attachments
    assert (attachment.name, attachment.media_type, attachment.content) == ("in_voice.pdf", "application/pdf", b"%PDF")
    (row,) = mailbox.fetch(2, "BODYSTRUCTURE")
    (attachment,) = row.attachments
    assert attachment.content is None
    (row,) = mailbox.fetch(2, "BODYSTRUCTURE", f"BODY.PEEK[{attachment.part}]")
    assert row.attachments[0].content == b"%PDF"


PART = b'("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 5 1 NIL NIL NIL NIL)'
ALTERNATIVE = b'(%s("text" "html" NIL NIL NIL "7bit" 9 1 NIL NIL NIL NIL) "alternative" NIL NIL NIL NIL)' % PART


def test_commands_are_one_for_each_place(scripted: Callable[..., Any]) -> None:
    sent: list[bytes] = []

    def reply(command: bytes) -> bytes:
        if not command.startswith(b"UID FETCH"):
            return b"* 5 EXISTS\r\n" + DONE if command.startswith(b"SELECT") else DONE
        sent.append(command)
        if b"BODYSTRUCTURE" in command:
            image = b'("image" "png" NIL NIL NIL "base64" 5 NIL NIL NIL NIL)'
            mixed = b'(%s%s "mixed" NIL NIL NIL NIL)' % (ALTERNATIVE, image)
            trees = (PART, ALTERNATIVE, PART, image, mixed)
            return (
                b"".join(b"* %d FETCH (UID %d BODYSTRUCTURE %s)\r\n" % (n, n, tree) for n, tree in enumerate(trees, 1))
                + DONE
            )
        uids = UIDSet.parse(command.split()[2])
        part = re.search(rb"\[([0-9.]+)\]", command)
        assert part
        return b"".join(b"* %d FETCH (UID %d BODY[%s] {2}\r\nhi)\r\n" % (uid, uid, part[1]) for uid in uids) + DONE

    client = scripted(converse(reply))
    client.select("INBOX")
    rows = client.fetch_text("1:5")
    assert [row.text for row in rows] == ["hi", "hi", "hi", "", "hi"]
    # The plain text of an alternative is part 1 as well.
    texts = [b"1:3 (BODY.PEEK[1])", b"5 (BODY.PEEK[1.1])"]
    assert [command.split(b" ", 2)[2] for command in sent] == [b"1:5 (BODYSTRUCTURE)", *texts]


@pytest.mark.parametrize("refusal", [b"NO [UNAVAILABLE] not now", b"BAD what"])
def test_a_refusal_costs_one_message(scripted: Callable[..., Any], refusal: bytes) -> None:
    def reply(command: bytes) -> bytes:
        if not command.startswith(b"UID FETCH"):
            return b"* 3 EXISTS\r\n" + DONE if command.startswith(b"SELECT") else DONE
        uids = UIDSet.parse(command.split()[2])
        if b"BODYSTRUCTURE" in command:
            return b"".join(b"* %d FETCH (UID %d BODYSTRUCTURE %s)\r\n" % (uid, uid, PART) for uid in uids) + DONE
        if 2 in uids:
            return b"<tag> " + refusal + b"\r\n"
        return b"".join(b"* %d FETCH (UID %d BODY[1] {2}\r\nhi)\r\n" % (uid, uid) for uid in uids) + DONE

    client = scripted(converse(reply))
    client.select("INBOX")
    if refusal.startswith(b"BAD"):
        with pytest.raises(errors.CommandError):
            client.fetch_text("1:3")
        return
    rows = client.fetch_text("1:3")
    assert [row.text for row in rows] == ["hi", None, "hi"]
    assert [[defect.item for defect in row.defects] for row in rows] == [[], ["FETCH"], []]
