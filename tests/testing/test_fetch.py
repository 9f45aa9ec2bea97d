"""FETCH: what is said of a message against what the standard library's email package reads in the same octets."""

import email
import email.policy
import email.utils
import imaplib
import random
from email.message import EmailMessage, Message
from typing import cast

import pytest

from fastimap.testing import IMAPServer
from tests.testing.reading import Value, joined, literal, read_items, text, values


def parts(message: Message) -> list[Message]:
    """The parts of a multipart, or the one message in a message/rfc822."""
    payload = message.get_payload()
    assert isinstance(payload, list)
    return cast(list[Message], payload)


def forwarded() -> bytes:
    """A message of every shape at once: alternatives, an inline image, a forwarded message, an attachment."""
    inner = EmailMessage()
    inner["From"] = "Inner <inner@example.org>"
    inner["Subject"] = "inner"
    inner.set_content("Inner text\n")
    inner.add_alternative("<p>Inner</p>\n", subtype="html")
    message = EmailMessage()
    message["From"] = "Jörg Müller <joerg@example.org>, plain@example.org"
    message["Sender"] = "sender@example.org"
    message["To"] = "A group: one@example.org, Two <two@example.org>;, three@example.net"
    message["Cc"] = '"Quoted, \\"name\\"" <four@example.org>'
    message["Subject"] = "Ein Übungstext mit mehr als einer Zeile, damit der Betreff gefaltet werden muss: äöü"
    message["Date"] = "Mon, 05 Feb 2024 10:11:12 +0100"
    message["Message-ID"] = "<1@example.org>"
    message["In-Reply-To"] = "<0@example.org>"
    message.set_content("Text: äöü\n" * 30)
    message.add_alternative("<p>HTML</p>\n" * 30, subtype="html")
    alternative = parts(message)[1]
    assert isinstance(alternative, EmailMessage)
    alternative.add_related(b"\x89PNG" * 100, "image", "png", cid="<image@example.org>")
    message.add_attachment(inner)
    message.add_attachment(random.Random(1).randbytes(5000), "application", "pdf", filename="Größe und Maß.pdf")
    return message.as_bytes(policy=email.policy.SMTP)


MESSAGES = {
    "every shape": forwarded(),
    "plain": b"From: a@b.example\r\nSubject: x\r\n\r\none\r\ntwo\r\nthree",
    "bare LF": b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n\n--b--\n",
    "no body": b"Subject: only a header\r\n\r\n",
    "digest": (
        b"Content-Type: multipart/digest; boundary=b\r\n\r\npreamble\r\n"
        b"--b\r\n\r\nSubject: one\r\n\r\nfirst\r\n--b\r\n\r\nSubject: two\r\n\r\nsecond\r\n--b--\r\nepilogue\r\n"
    ),
    "boundary within a boundary": (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b'Content-Type: multipart/mixed; boundary="bb"\r\n\r\n--bb\r\n\r\ninner\r\n--bb--\r\n'
        b"\r\n--b  \r\n\r\n --b\r\nx--b\r\n--c\r\n--b--\r\n"
    ),
    "unterminated": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo",
    "parameters": (
        b'Content-Type: Text/X-Other; CHARSET="utf-8"; name = "a;b\\"c";\r\n\tformat=flowed (why)\r\n'
        b"Content-Transfer-Encoding: 8BIT\r\nContent-ID: <id>\r\nContent-Description: what it is\r\n\r\n\xc3\xa4\r\n"
    ),
}


@pytest.fixture(params=MESSAGES)
def octets(request: pytest.FixtureRequest) -> bytes:
    return MESSAGES[request.param]


def fetched(client: imaplib.IMAP4, items: str, numbers: str = "1") -> dict[str, Value]:
    typ, data = client.fetch(numbers, items)
    assert typ == "OK"
    return read_items(joined(data))


def one_section(client: imaplib.IMAP4, section: str) -> tuple[bytes, bytes | None]:
    """The item's name in the response, and its octets or None for NIL."""
    data = client.fetch("1", f"(BODY.PEEK{section})")[1]
    if isinstance(data[0], bytes):
        return data[0].partition(b"(")[2].removesuffix(b" NIL)"), None
    assert data[0] is not None
    announced, octets = data[0]
    return announced.partition(b"(")[2].rpartition(b" {")[0], octets


def payload(part: Message) -> bytes:
    body = part.get_payload()
    assert isinstance(body, str)
    return body.encode("utf-8", "surrogateescape")


def compare(structure: Value, part: Message, *, extended: bool) -> None:
    """Compare a BODY or BODYSTRUCTURE with what email has read, part by part."""
    assert isinstance(structure, list)
    if part.is_multipart() and part.get_content_type() != "message/rfc822":
        inside = parts(part)
        for inner, expected in zip(structure, inside, strict=False):
            compare(inner, expected, extended=extended)
        assert text(structure[len(inside)]).lower() == part.get_content_subtype()
        assert len(structure) == len(inside) + (5 if extended else 1)
        return
    kind, subtype, parameters, content_id, description, encoding, size, *rest = structure
    assert f"{text(kind)}/{text(subtype)}".lower() == part.get_content_type()
    names = [text(name).lower() for name in values(parameters or [])[::2]]
    if part["Content-Type"] is not None:
        assert names == [name.lower() for name, _ in part.get_params([])[1:]]
    assert text(content_id or b"") == part.get("Content-ID", "")
    assert text(description or b"") == part.get("Content-Description", "")
    assert text(encoding).lower() == part.get("Content-Transfer-Encoding", "7bit").lower()
    if part.get_content_type() == "message/rfc822":
        message = parts(part)[0]
        compare(rest[1], message, extended=extended)
        assert values(rest[0])[1] == message["Subject"].encode()
        assert len(rest) == (7 if extended else 3)
        return
    assert size == len(payload(part))
    if part.get_content_maintype() == "text":
        assert rest.pop(0) == payload(part).count(b"\n")
    assert len(rest) == (4 if extended else 0)
    if extended:
        disposition = rest[1]
        assert (disposition and text(values(disposition)[0])) == part.get_content_disposition()


def test_body_and_bodystructure(server: IMAPServer, client: imaplib.IMAP4, octets: bytes) -> None:
    server.append("INBOX", octets)
    client.select()
    expected = email.message_from_bytes(octets)
    items = fetched(client, "(BODY BODYSTRUCTURE RFC822.SIZE)")
    compare(items["BODY"], expected, extended=False)
    compare(items["BODYSTRUCTURE"], expected, extended=True)
    assert items["RFC822.SIZE"] == len(octets)


def test_parameters_keep_their_value(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", MESSAGES["parameters"])
    client.select()
    structure = fetched(client, "BODYSTRUCTURE")["BODYSTRUCTURE"]
    assert isinstance(structure, list)
    assert structure[2] == [b"CHARSET", b"utf-8", b"name", b'a;b"c', b"format", b"flowed"]


def test_envelope(server: IMAPServer, client: imaplib.IMAP4) -> None:
    octets = forwarded()
    parsed = email.message_from_bytes(octets)
    server.append("INBOX", octets)
    client.select()
    envelope = fetched(client, "ENVELOPE")["ENVELOPE"]
    assert isinstance(envelope, list)
    date, subject, from_, sender, reply_to, to, cc, bcc, in_reply_to, message_id = envelope
    assert date == b"Mon, 05 Feb 2024 10:11:12 +0100"
    assert subject == parsed["Subject"].replace("\r\n", "").encode()
    pairs = email.utils.getaddresses([parsed["From"]])
    assert from_ == [[name.encode() or None, None, *(address.encode().split(b"@"))] for name, address in pairs]
    assert reply_to == from_
    assert sender == [[None, None, b"sender", b"example.org"]]
    assert to == [
        [None, None, b"A group", None],
        [None, None, b"one", b"example.org"],
        [b"Two", None, b"two", b"example.org"],
        [None, None, None, None],
        [None, None, b"three", b"example.net"],
    ]
    assert cc == [[b'Quoted, "name"', None, b"four", b"example.org"]]
    assert bcc is None
    assert in_reply_to == b"<0@example.org>"
    assert message_id == b"<1@example.org>"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # RFC 5322, appendix A.
        (b"John Doe <jdoe@machine.example>", [[b"John Doe", None, b"jdoe", b"machine.example"]]),
        (b'"Joe Q. Public" <john.q.public@example.com>', [[b"Joe Q. Public", None, b"john.q.public", b"example.com"]]),
        (b"Who? <one@y.test>", [[b"Who?", None, b"one", b"y.test"]]),
        (b"<boss@nil.test>", [[None, None, b"boss", b"nil.test"]]),
        (b"Undisclosed recipients:;", [[None, None, b"Undisclosed recipients", None], [None] * 4]),
        (b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", [[b"Pete", None, b"pete", b"silly.test"]]),
        (b"Joe Q. Public <john.q.public@example.com>", [[b"Joe Q. Public", None, b"john.q.public", b"example.com"]]),
        (b"Mary <@node.test,@b.test:mary@example.net>", [[b"Mary", b"@node.test,@b.test", b"mary", b"example.net"]]),
        (b"1 @ one.test, , two@[192.0.2.1]", [[None, None, b"1", b"one.test"], [None, None, b"two", b"[192.0.2.1]"]]),
        # Older and broken forms.
        (b"user@example.org (Full (nested) Name)", [[b"Full (nested) Name", None, b"user", b"example.org"]]),
        (b"root", [[None, None, b"root", b""]]),
        (b"Open <open@example.org", [[b"Open", None, b"open", b"example.org"]]),
        (b'"unclosed', [[None, None, b"unclosed", b""]]),
        (b"(only a comment", None),
        (b", ;", None),
    ],
)  # fmt: skip
def test_addresses(server: IMAPServer, client: imaplib.IMAP4, header: bytes, expected: Value) -> None:
    server.append("INBOX", b"To: " + header + b"\r\n\r\n")
    client.select()
    envelope = fetched(client, "ENVELOPE")["ENVELOPE"]
    assert isinstance(envelope, list)
    assert envelope[5] == expected


def test_octets_that_no_quoted_string_can_hold(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", b'Subject: caf\xe9 "q" \\\r\nMessage-ID: a\rb\r\n\r\n')
    client.select()
    envelope = fetched(client, "ENVELOPE")["ENVELOPE"]
    assert isinstance(envelope, list)
    assert envelope[1] == b'caf\xe9 "q" \\'
    assert envelope[9] == b"a\rb"


def test_whole_messages_are_given_back_octet_for_octet(server: IMAPServer, client: imaplib.IMAP4) -> None:
    randomness = random.Random(7)
    messages = [*MESSAGES.values(), randomness.randbytes(300_000), b"\0", b"\r\n", bytes(range(256))]
    for octets in messages:
        server.append("INBOX", octets)
    client.select()
    for item in ("BODY.PEEK[]", "BODY[]", "RFC822"):
        data = client.fetch("1:*", f"({item})")[1]
        assert [piece[1] for piece in data if isinstance(piece, tuple)] == messages


def test_fetch_of_a_whole_message_sets_seen(server: IMAPServer, client: imaplib.IMAP4) -> None:
    for _ in range(2):
        server.append("INBOX", MESSAGES["plain"])
    client.select()
    client.fetch("1", "(BODY.PEEK[] RFC822.HEADER BODYSTRUCTURE)")
    assert not server.messages("INBOX")[0].flags
    assert client.fetch("1", "(BODY[TEXT])")[1][-1] == b" FLAGS (\\Recent \\Seen))"
    assert server.messages("INBOX")[0].flags == {"\\Seen"}
    assert client.fetch("1", "(BODY[TEXT])")[1][-1] == b")"
    client.fetch("2", "(RFC822.TEXT)")
    assert server.messages("INBOX")[1].flags == {"\\Seen"}


def test_sections(server: IMAPServer, client: imaplib.IMAP4) -> None:
    octets = forwarded()
    parsed = email.message_from_bytes(octets)
    alternative, attached, document = parts(parsed)
    server.append("INBOX", octets)
    client.select()
    header, _, body = octets.partition(b"\r\n\r\n")
    header += b"\r\n\r\n"
    # The forwarded message ends with its own closing delimiter.
    inner_end = octets.index(b"--\r\n", octets.index(b"<p>Inner</p>")) + 4
    inner = octets[octets.index(b"From: Inner") : inner_end]
    inner_header, _, inner_text = inner.partition(b"\r\n\r\n")
    assert one_section(client, "[HEADER]") == (b"BODY[HEADER]", header)
    assert one_section(client, "[TEXT]") == (b"BODY[TEXT]", body)
    assert one_section(client, "[1.1]")[1] == payload(parts(alternative)[0])
    assert one_section(client, "[1.2.2]")[1] == payload(parts(parts(alternative)[1])[1])
    assert (one_section(client, "[1.2.2.MIME]")[1] or b"").startswith(b"Content-Type: image/png\r\n")
    assert one_section(client, "[2]")[1] == inner
    assert one_section(client, "[2.HEADER]")[1] == inner_header + b"\r\n\r\n"
    assert one_section(client, "[2.TEXT]") == (b"BODY[2.TEXT]", inner_text)
    assert one_section(client, "[2.2]")[1] == payload(parts(parts(attached)[0])[1])
    assert (one_section(client, "[2.1.MIME]")[1] or b"").endswith(b"\r\n\r\n")
    assert one_section(client, "[3]")[1] == payload(document)
    for missing in ("[4]", "[1.3]", "[3.1]", "[3.HEADER]", "[1.1.1]", "[2.3]"):
        assert one_section(client, missing) == (b"BODY" + missing.encode(), None)


def test_part_numbers_of_a_message_that_is_not_multipart(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", MESSAGES["plain"])
    server.append("INBOX", b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext")
    client.select()
    assert one_section(client, "[1]") == (b"BODY[1]", b"one\r\ntwo\r\nthree")
    assert one_section(client, "[1.1]")[1] is None
    assert literal(client.fetch("2", "BODY[1.1]")[1]) == b"text"
    assert literal(client.fetch("2", "BODY[1.HEADER]")[1]) == b"Subject: in\r\n\r\n"


def test_header_fields(server: IMAPServer, client: imaplib.IMAP4) -> None:
    header = b"A: 1\r\nB: 2\r\n folded\r\na: 3\r\nC: 4\r\n"
    server.append("INBOX", header + b"\r\nA: body\r\n")
    server.append("INBOX", b"A: 1\r\nB: no line end")
    client.select()
    assert one_section(client, "[HEADER.FIELDS (a x-none)]") == (
        b"BODY[HEADER.FIELDS (a x-none)]",
        b"A: 1\r\na: 3\r\n\r\n",
    )
    assert one_section(client, '[HEADER.FIELDS.NOT ("A" C)]') == (
        b"BODY[HEADER.FIELDS.NOT (A C)]",
        b"B: 2\r\n folded\r\n\r\n",
    )
    assert literal(client.fetch("2", "BODY[HEADER.FIELDS (B)]")[1]) == b"B: no line end\r\n\r\n"


@pytest.mark.parametrize(
    ("partial", "expected"),
    [("<0.4>", b"one\r"), ("<4.4>", b"\ntwo"), ("<13.100>", b"ee"), ("<15.1>", b""), ("<4000000000.1>", b"")],
)
def test_partial(server: IMAPServer, client: imaplib.IMAP4, partial: str, expected: bytes) -> None:
    server.append("INBOX", MESSAGES["plain"])
    client.select()
    label = f"BODY[TEXT]<{partial[1:].partition('.')[0]}>".encode()
    assert one_section(client, f"[TEXT]{partial}") == (label, expected)


@pytest.mark.parametrize(
    ("macro", "names"),
    [
        ("ALL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"}),
        ("fast", {"FLAGS", "INTERNALDATE", "RFC822.SIZE"}),
        ("FULL", {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"}),
    ],
)
def test_macros(server: IMAPServer, client: imaplib.IMAP4, macro: str, names: set[str]) -> None:
    server.append("INBOX", MESSAGES["plain"])
    client.select()
    assert set(fetched(client, macro)) == names


def test_multipart_that_is_none(server: IMAPServer, client: imaplib.IMAP4) -> None:
    server.append("INBOX", b"Content-Type: multipart/mixed\r\n\r\nno boundary\r\n")
    server.append("INBOX", b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno delimiter\r\n")
    client.select()
    assert values(fetched(client, "BODY")["BODY"])[:2] == [b"text", b"plain"]
    body = fetched(client, "BODY", "2")["BODY"]
    assert body == [[b"text", b"plain", [b"charset", b"us-ascii"], None, None, b"7bit", 0, 0], b"mixed"]


def test_nesting_without_end(server: IMAPServer, client: imaplib.IMAP4) -> None:
    octets = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(5000)
    )
    server.append("INBOX", octets)
    server.append("INBOX", b"Content-Type: message/rfc822\r\n\r\n" * 5000)
    client.select()
    assert client.fetch("1:2", "(BODYSTRUCTURE)")[0] == "OK"
    assert client.fetch("1:2", "(BODY.PEEK[1.1.1.1.1])")[0] == "OK"
