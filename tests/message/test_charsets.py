"""Labels of charsets as the web's encoding standard maps them, and what octets mean in them."""

from __future__ import annotations

from base64 import b64encode

import pytest

from fastimap.model.message import Address, BodyStructure, Envelope
from fastimap.model.text import codec_of, decoded_field, decoded_text

PART = BodyStructure("1", "text", "plain", (), None, None, "7bit", 0, 0, None, (), None, None, (), None, ())

# https://encoding.spec.whatwg.org/#names-and-labels, by the codec of Python's that has the same characters, or more.
LABELS = {
    "utf_8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859_2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859_3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859_4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859_5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859_6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e"
    " iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859_7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7"
    " iso_8859-7:1987 sun_eu_greek",
    "iso8859_8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8"
    " iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859_10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859_13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859_14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859_15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859_16": "iso-8859-16",
    "koi8_r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8_u": "koi8-ru koi8-u",
    "mac_roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1"
    " latin1 windows-1252 x-cp1252",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5"
    " windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601"
    " windows-949",
    "utf_16_be": "unicodefffe utf-16be",
    "utf_16_le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    # US-ASCII is windows-1252 there; here it is UTF-8 first, as where there is no label.
    "ascii": "ansi_x3.4-1968 ascii us-ascii",
    # Mail has these, pages do not.
    "iso2022_kr": "iso-2022-kr csiso2022kr",
    "hz": "hz-gb-2312 hz",
    "utf_7": "utf-7 unicode-1-1-utf-7",
    "cp850": "cp850 cp-850 ibm850 ibm-850 850",
}


@pytest.mark.parametrize(
    ("label", "codec"), [(label, codec) for codec, labels in LABELS.items() for label in labels.split()]
)
def test_labels(label: str, codec: str) -> None:
    for spelled in (label, label.upper(), f" {label} ", f'"{label}"', f"{label}*en"):
        assert codec_of(spelled) == codec


@pytest.mark.parametrize(
    "label",
    ["", "x-nobody-knows", "unknown-8bit", "base64", "rot13", "idna", "punycode", "hex", "iso-8859-99", "x-", "mbcs"],
)
def test_labels_of_nothing(label: str) -> None:
    assert codec_of(label) is None


@pytest.mark.parametrize(
    ("label", "octets", "text"),
    [
        # Characters that the label's own charset lacks.
        ("iso-8859-1", b"\x80 5 \x93x\x94 \x81", "€ 5 “x” \x81"),
        ("iso-8859-9", b"\x80\xfd\xfe", "€ış"),
        ("tis-620", b"\x80\xe4\xb7\xc2", "€ไทย"),
        ("gb2312", "镕喆 €".encode("gb18030"), "镕喆 €"),
        ("gb2312", b"\x80", "€"),
        ("gbk", "𠀀".encode("gb18030"), "𠀀"),
        ("ks_c_5601-1987", "똠방각하".encode("cp949"), "똠방각하"),
        ("euc-kr", "햏".encode("cp949"), "햏"),
        ("shift_jis", "①髙Ⅲ".encode("cp932"), "①髙Ⅲ"),
        ("big5", "㗎碁".encode("big5hkscs"), "㗎碁"),
        ("euc-jp", b"\xad\xa1\xa4\xa2\x8e\xb1\xfc\xe2a", "①あｱ髙a"),
        ("iso-2022-jp", b'\x1b$B-!$"\x1b(Ba\x1b(I1\x1b(B', "①あaｱ"),
        ("iso-2022-jp", b"\x1b$B4A;z\x1b(B", "漢字"),
        ("euc-jp", b"\xa1\xc1\xa1\xdd", "\uff5e\uff0d"),
        ("koi8-u", b"\xa4\xb4\xae\xbe", "єЄўЎ"),
        ("koi8u", b"\xa4\xb4\xae\xbe", "єЄўЎ"),
        ("koi8r", b"\xf0\xd2", "Пр"),
        ("iso-latin-1", b"\xfc", "ü"),
        ("cp50220", b"\x1b$BF|K\\-!\x1b(B", "日本①"),  # Microsoft's: with the characters of NEC
        ("iso-2022-jp-ms", b"\x1b$BF|K\\-!\x1b(B", "日本①"),
        ("koi8-r", b"\xf0\xd2", "Пр"),
        ("windows-1255", b"\x81\xd9\xe0", "\x81\ufffdא"),
        ("iso-8859-8-i", b"\xf9\xec\xe5\xed", "שלום"),
        ("x-mac-roman", b"caf\x8e", "café"),
        ("utf-16", b"\xfe\xff\x00H", "H"),
        ("utf-16", b"\xff\xfeH\x00", "H"),
        ("utf-16", b"H\x00", "H"),
        ("utf-16be", b"\xfe\xff\x00H", "H"),
        ("utf-16be", b"\x00H", "H"),
        ("utf-7", b"+AOQ-", "ä"),
    ],
)
def test_octets(label: str, octets: bytes, text: str) -> None:
    codec = codec_of(label)
    assert codec is not None
    assert decoded_text(octets, codec) == text
    assert PART._replace(parameters=(("charset", label.encode()),)).decode_text(octets) == text
    word = b"=?%s?B?%s?=" % (label.encode(), b64encode(octets))
    assert decoded_field(word) == text
    escaped = b"".join(b"%%%02x" % octet for octet in octets)
    part = PART._replace(parameters=(("name*", b"%s''%s" % (label.encode(), escaped)),))
    assert part.params == {"name": text}


@pytest.mark.parametrize("codec", [codec for codec in LABELS if codec != "utf_7"])
def test_no_octets_are_too_odd(codec: str) -> None:
    for octets in (bytes(range(256)), bytes(range(255, -1, -1)), b"\x1b$B\x1b$", b"\x8f\xa1", b"\xff", b"\x1b$B4A;"):
        assert isinstance(decoded_text(octets, codec), str)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"J\xc3\xbcrgen", "Jürgen"),
        (b"command n\xb0 193", "command n° 193"),
        (b"\x93quoted\x94", "“quoted”"),
    ],
)
def test_octets_without_a_label(octets: bytes, text: str) -> None:
    assert decoded_field(octets) == text
    assert Address(octets, None, b"a", b"b").name == text
    assert Envelope(None, octets, (), (), (), (), (), (), None, None).subject == text
    assert PART.decode_text(octets) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        # base64 that was cut where a word was full, whatever that is in the midst of
        (b"=?utf-8?B?R3LDvMOf?=\r\n =?utf-8?B?ZQ==?=", "Grüße"),
        (b"=?utf-8?B?R3LDv?= =?utf-8?B?MOfZQ==?=", "Grüße"),
        (b"=?utf-8?B?R3LDvM?= =?utf-8?B?OfZ?= =?utf-8?B?Q==?=", "Grüße"),
        # words of their own, without their padding
        (b"=?utf-8?B?R3LDvA?= =?utf-8?B?w59l?=", "Grüße"),
        # base64 in a line that was folded anywhere, and unfolded by the server
        *[(b"=?utf-8?B?R3LDv" + fold + b"MOfZQ==?=", "Grüße") for fold in (b" ", b"\t", b"\r\n ", b"\n\t")],
        (b"=?utf-8?B?R3L DvMOfZQ?= =?utf-8?B?PT0 =?=", "Grüße=="),
        # a character in halves
        (b"=?utf-8?Q?Gr=C3?= =?UTF8?B?vMOfZQ?=", "Grüße"),
        (b"=?iso-2022-jp?B?GyRCNEE=?= =?iso-2022-jp?B?O3obKEI=?=", "漢字"),
        (b"=?gb2312?B?xOM=?= =?gbk?B?usM=?=", "你好"),
        # what stands between
        (b"=?utf-8?Q?a?= =?koi8-r?Q?b?= c =?utf-8?Q?d?=  =?x-no?Q?e?=  =?utf-8?Q?f?=", "ab c d  =?x-no?Q?e?=  f"),
        (b"a =?utf-8?Q?b?=\r\n\tc", "a b\tc"),
    ],
)
def test_words_in_pieces(octets: bytes, text: str) -> None:
    assert decoded_field(octets) == text


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ((("name*0", b"=?utf-8?B?R3LD"), ("name*1", b"vMOfZQ==?=")), "Grüße"),
        ((("name*0", b"=?utf-8?Q?Gr=C3=BC?="), ("name*1", b" =?utf-8?Q?=C3=9Fe?=")), "Grüße"),
        ((("name*", b"utf-8''=%3Futf-8%3FQ%3FGr=C3=BC%3F="),), "Grü"),
        ((("name*", b"x-no''Gr%fc"),), "Gr\ufffd"),
        ((("name*0*", b"gb2312''%c4%e3"), ("name*1*", b"%ba%c3.txt")), "你好.txt"),
        ((("name*0*", b"utf-8''%e2%82"), ("name*1*", b"%ac"), ("name*2", b".txt")), "€.txt"),
        ((("name", b"=?iso-8859-1?Q?=80?="),), "€"),
    ],
)
def test_parameters_in_pieces(parameters: tuple[tuple[str, bytes], ...], name: str) -> None:
    assert PART._replace(parameters=parameters).params == {"name": name}
