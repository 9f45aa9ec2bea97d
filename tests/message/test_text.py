"""From a body structure to the text that a reader sees: which part it is, and what its octets mean."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap.model.message import BodyStructure
from fastimap.testing.content import Content
from tests.message.test_real_mail import fetched, mails
from tests.support import witness

LEAF = BodyStructure("1", "text", "plain", (), None, None, "7bit", 0, 0, None, (), None, None, (), None, ())


def leaf(media_type: str, disposition: str | None = None, content_id: bytes | None = None) -> BodyStructure:
    kind, _, subtype = media_type.partition("/")
    return LEAF._replace(
        type=kind,
        subtype=subtype,
        disposition=None if disposition is None else (disposition, ()),
        content_id_octets=content_id,
    )


def multipart(subtype: str, *parts: BodyStructure, start: bytes | None = None) -> BodyStructure:
    parameters = () if start is None else (("start", start),)
    return LEAF._replace(type="multipart", subtype=subtype, encoding="", parts=parts, parameters=parameters)


def attached(message: BodyStructure) -> BodyStructure:
    return LEAF._replace(type="message", subtype="rfc822", parts=(message,))


def numbered(part: BodyStructure, number: str = "") -> BodyStructure:
    """The same tree with numbers that tell the parts apart."""
    inner = tuple(numbered(each, f"{number}.{index}".strip(".")) for index, each in enumerate(part.parts, 1))
    return part._replace(part=number or ("" if part.parts else "1"), parts=inner)


PLAIN, HTML, PNG, LOG = leaf("text/plain"), leaf("text/html"), leaf("image/png"), leaf("text/plain", "attachment")


@pytest.mark.parametrize(
    ("tree", "plain", "html"),
    [
        (PLAIN, "1", "1"),
        (HTML, "1", "1"),
        (PNG, None, None),
        (LOG, None, None),
        (leaf("text/plain", "inline"), "1", "1"),
        (multipart("alternative", PLAIN, HTML), "1", "2"),
        (multipart("alternative", HTML, PLAIN), "2", "1"),
        (multipart("alternative", HTML), "1", "1"),
        (multipart("alternative", leaf("text/calendar"), PNG), "1", "1"),
        (multipart("alternative", PLAIN, leaf("text/x-amp-html"), HTML), "1", "3"),
        (multipart("alternative", PLAIN, multipart("related", HTML, PNG)), "1", "2.1"),
        # Where the only plain text is an attachment, or of another message, or comes after the text.
        (multipart("mixed", HTML, LOG), "1", "1"),
        (multipart("mixed", HTML, attached(PLAIN)), "1", "1"),
        (multipart("mixed", attached(multipart("alternative", PLAIN, HTML)), HTML), "2", "2"),
        (multipart("mixed", LOG, HTML), "2", "2"),
        (multipart("mixed", HTML, PLAIN), "1", "1"),
        (multipart("mixed", PNG, PLAIN, HTML), "2", "2"),
        (multipart("mixed", multipart("alternative", PLAIN, HTML), HTML), "1.1", "1.2"),
        (multipart("mixed", multipart("mixed", PNG), multipart("alternative", HTML, PLAIN)), "2.2", "2.1"),
        (multipart("alternative", PLAIN, multipart("mixed", HTML, PNG, HTML)), "1", "2.1"),
        (multipart("signed", PLAIN, leaf("application/pgp-signature")), "1", "1"),
        (multipart("report", PLAIN, leaf("message/delivery-status"), leaf("text/rfc822-headers")), "1", "1"),
        (multipart("digest", attached(PLAIN), attached(HTML)), None, None),
        (multipart("mixed", LOG._replace(type="multipart", subtype="mixed", parts=(PLAIN,))), None, None),
        (multipart("related", PNG, HTML), None, None),
        (multipart("related", PNG, leaf("text/html", None, b"<root>"), start=b"<root>"), "2", "2"),
        (multipart("related", multipart("alternative", PLAIN, HTML), HTML, start=b"<lost>"), "1.1", "1.2"),
        (multipart("related"), None, None),
        (multipart("alternative"), None, None),
        (multipart("mixed"), None, None),
    ],
    ids=lambda value: None if isinstance(value, str) or value is None else repr(value),
)
def test_the_text_that_a_reader_sees(tree: BodyStructure, plain: str | None, html: str | None) -> None:
    tree = numbered(tree)
    found = tree.text_part(), tree.text_part("html")
    assert [part.part if part is not None else None for part in found] == [plain, html]


def test_text_part_knows_two_forms() -> None:
    with pytest.raises(ValueError, match="plain or html"):
        PLAIN.text_part("text/plain")  # type: ignore[arg-type]


def test_find_takes_a_wildcard() -> None:
    tree = numbered(multipart("mixed", HTML, PNG, LOG))
    assert [part.part for part in tree.find_all("text/*")] == ["1", "3"]
    assert [part.part for part in tree.find_all("Multipart/*")] == [""]
    assert tree.find("video/*") is None
    for wrong in ("text", "text/", "/plain", "", "*"):
        with pytest.raises(ValueError, match=r"like text/plain or text/\*"):
            tree.find(wrong)
        with pytest.raises(ValueError, match=r"like text/plain or text/\*"):
            tree.find_all(wrong)


@pytest.mark.parametrize(
    ("encoding", "octets", "content"),
    [
        ("7bit", b"Hello\r\n", b"Hello\r\n"),
        ("8bit", "Grüße".encode(), "Grüße".encode()),
        ("binary", b"\0\xff", b"\0\xff"),
        ("", b"--x\r\n", b"--x\r\n"),
        ("x-unknown", b"SGVsbG8=", b"SGVsbG8="),
        ("base64", b"SGVsbG8=\r\n", b"Hello"),
        ("base64", b"SGVs\r\nbG8=", b"Hello"),
        ("base64", b"SGVs bG8", b"Hello"),
        ("base64", b"SGVsb", b"Hel"),
        ("base64", b"S", b""),
        # As CPython since 2026 (gh-145264): padding that is not at the end says nothing.
        ("base64", b"ab==cd", b"i\xb7\x1d"),
        ("base64", b"ab==c=", b"i\xb7"),
        ("base64", b"abc=d", b"i\xb7\x1d"),
        ("base64", b"YW==Jj", b"abc"),
        ("base64", b"YWJ=j", b"abc"),
        ("base64", b"=aa==", b"i"),
        ("base64", b"abcd====", b"i\xb7\x1d"),
        ("base64", b"====", b""),
        # Pieces that were encoded one by one.
        ("base64", b"UEsDBBQAAAAIAA==\r\nemVkIGZpbGUgY29udGVudA==\r\n", b"PK\3\4\x14\0\0\0\x08\0zed file content"),
        ("base64", b"SGVsbG8=\r\nSGVsbG8=\r\n", b"HelloHello"),
        ("base64", b"\xff\0SG!Vs\xfebG8=", b"Hello"),
        ("base64", b"", b""),
        ("quoted-printable", b"Gr=C3=BC=C3=9Fe=\r\n!\r\n", "Grüße!\r\n".encode()),
        ("quoted-printable", b"=ZZ = =4", b"=ZZ = =4"),
        ("quoted-printable", b"a=", b"a"),
    ],
)
def test_decode(encoding: str, octets: bytes, content: bytes) -> None:
    assert LEAF._replace(encoding=encoding).decode(octets) == content


@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        (None, b"plain", "plain"),
        (None, "Grüße".encode(), "Grüße"),
        (b"us-ascii", b"Gr\xfc\xdfe", "Grüße"),
        (b"UTF-8", "Grüße".encode(), "Grüße"),
        (b"utf-8", b"Gr\xfc\xdfe", "Gr��e"),
        (b"ISO-8859-1", b"Gr\xfc\xdfe", "Grüße"),
        (b'"windows-1252"', b"\x80 5", "€ 5"),
        (b"koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"),
        (b"iso-2022-jp", b"\x1b$B4A;z\x1b(B", "漢字"),
        (b"x-nobody-knows", "Grüße".encode(), "Grüße"),
        (b"x-nobody-knows", b"Gr\xfc\xdfe", "Gr\ufffd\ufffde"),
        (b"rot13", b"abc", "abc"),
        (b"base64", b"abc", "abc"),
        (b"\xff\0", b"abc", "abc"),
    ],
)
def test_decode_text(charset: bytes | None, octets: bytes, text: str) -> None:
    part = LEAF._replace(parameters=() if charset is None else (("charset", charset),))
    assert part.decode_text(octets) == text


def test_both_encodings_of_a_text() -> None:
    part = LEAF._replace(encoding="base64", parameters=(("charset", b"utf-16"),))
    assert part.decode_text(b"//5IAGkA") == "Hi"


@given(
    st.sampled_from(["7bit", "base64", "quoted-printable", "", "x-junk"]),
    st.one_of(st.none(), st.binary(max_size=12), st.sampled_from([b"utf-7", b"utf-16", b"gb18030", b"hz", b"idna"])),
    st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda octets: octets.hex().encode() + b"=" * 3)),
)
def test_junk_is_text_too(encoding: str, charset: bytes | None, octets: bytes) -> None:
    parameters = () if charset is None else (("charset", charset),)
    part = LEAF._replace(encoding=encoding, parameters=parameters)
    assert isinstance(part.decode(octets), bytes)
    assert isinstance(part.decode_text(octets), str)


@pytest.mark.slow
@pytest.mark.parametrize("octets", [b"A" * 4_000_001, b"=" * 4_000_000, b"A=" * 2_000_000, b"\xff" * 4_000_000])
def test_decoding_takes_linear_time(octets: bytes) -> None:
    for encoding in ("base64", "quoted-printable"):
        LEAF._replace(encoding=encoding).decode(octets)


# The standard library's email as the witness.


def leaves(message: EmailMessage) -> Iterator[EmailMessage]:
    """The parts that IMAP opens no further; email opens other types of message/* too."""
    if message.get_content_maintype() == "multipart" or message.get_content_type() == "message/rfc822":
        for part in message.get_payload():
            assert isinstance(part, EmailMessage)
            yield from leaves(part)
    else:
        yield message


@pytest.mark.slow
def test_contents_of_real_mail(twin: ModuleType, real_messages: list[bytes]) -> None:
    compared = 0
    for octets in filter(witness.is_sound, [*real_messages, *mails().values()]):
        structure = fetched(twin, octets).body_structure
        assert structure is not None
        message = message_from_bytes(octets, policy=policy.default)
        assert isinstance(message, EmailMessage)
        ours = [part for part in structure.walk() if not part.parts]
        theirs = list(leaves(message))
        content = Content(octets)
        for part, its_witness in zip(ours, theirs, strict=True):
            place = content.root.find([int(number) for number in part.part.split(".")])
            assert place is not None
            if not its_witness.is_multipart():
                assert part.decode(place.body_octets()) == its_witness.get_payload(decode=True)
                compared += 1
    assert compared > 300


@pytest.mark.slow
def test_the_text_of_real_mail(twin: ModuleType, real_messages: list[bytes]) -> None:
    """email's get_body() would also take a plain text that stands after the text; of these messages none has one."""
    compared = 0
    for octets in filter(witness.is_sound, [*real_messages, *mails().values()]):
        structure = fetched(twin, octets).body_structure
        assert structure is not None
        message = message_from_bytes(octets, policy=policy.default)
        assert isinstance(message, EmailMessage)
        body = message.get_body(("plain", "html"))
        part = structure.text_part()
        found = None if part is None else part.media_type
        assert found == (None if body is None else body.get_content_type()), octets[:300]
        compared += 1
    assert compared > 300
