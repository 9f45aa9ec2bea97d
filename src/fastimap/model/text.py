"""Octets of mail as text: charsets, encoded words (RFC 2047), parameters in pieces (RFC 2231), base64, addresses.

Functions of octets alone. They never raise: what can't be read is U+FFFD, or stays as it was sent. Labels of charsets
mean what the web's encoding standard (https://encoding.spec.whatwg.org) says, since mail is labelled as carelessly as
pages are: ``iso-8859-1`` is windows-1252, ``gb2312`` is gb18030, and so on. Text without a label is UTF-8, and where
it is not, windows-1252.
"""

from __future__ import annotations

import codecs
import re
from binascii import Error, a2b_base64, a2b_qp, b2a_base64
from collections.abc import Callable, Iterator
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

from ._patterns import pattern

__all__ = [
    "address_text",
    "codec_of",
    "decoded_base64",
    "decoded_field",
    "decoded_parameters",
    "decoded_text",
    "display_text",
    "plain_text",
    "unknown_charsets",
    "utf8_words",
]

# -------------------------------------------------------------------------------------------------- charsets

# Python's codecs for charsets. Not those that aren't text, nor what no mail means and takes quadratic time (punycode);
# and as a fixed set, because Python remembers every name that it once looked for in vain.
_CODECS: Final = {
    *aliases.values(),
    "cp737",
    "cp874",
    "koi8_t",
    "koi8_u",
    "mac_croatian",
    "mac_romanian",
    "utf_8_sig",
} - {
    *("base64_codec", "bz2_codec", "hex_codec", "mbcs", "quopri_codec", "rot_13", "uu_codec", "zlib_codec"),
}
# Labels that Python lacks, or reads in another way.
_LABELS: Final = {
    "ansi_x3.110_1983": "latin_1",
    "asmo_708": "iso8859_6",
    "big5_eten": "cp950",
    "cn_big5": "big5hkscs",
    "cn_gb": "gb18030",
    "cp50220": "iso2022_jp",
    "cp50221": "iso2022_jp",
    "cp50222": "iso2022_jp",
    "csbig5": "big5hkscs",
    "cseuckr": "cp949",
    "cseucpkdfmtjapanese": "euc_jp",
    "csgb18030": "gb18030",
    "csisolatin9": "iso8859_15",
    "csmacintosh": "mac_roman",
    "csgb2312": "gb18030",
    "csgbk": "gb18030",
    "csiso2022jp2": "iso2022_jp_2",
    "csksc56011987": "cp949",
    "csunicode": "utf_16_le",
    "csutf8": "utf_8",
    "csutf16": "utf_16_le",
    "cswindows31j": "cp932",
    "gb_2312": "gb18030",
    "gb_2312_80": "gb18030",
    "iso_10646_ucs_2": "utf_16_le",
    "iso_2022_jp_ms": "iso2022_jp",
    "iso_ir_6": "ascii",
    "iso_ir_149": "cp949",
    "iso_latin_1": "latin_1",
    "koi": "koi8_r",
    "koi8": "koi8_r",
    "koi8r": "koi8_r",
    "koi8_ru": "koi8_u",
    "koi8u": "koi8_u",
    "korean": "cp949",
    "ks_c_5601_1989": "cp949",
    "ksc5601_1987": "cp949",
    "ksc_5601": "cp949",
    "logical": "iso8859_8",
    "mac": "mac_roman",
    "mac_ce": "mac_latin2",
    "mac_centraleurroman": "mac_latin2",
    "mac_japanese": "cp932",
    "mac_korean": "cp949",
    "mac_simp_chinese": "gb18030",
    "mac_trad_chinese": "big5hkscs",
    "mac_ukrainian": "mac_cyrillic",
    "ms_kanji": "cp932",
    "sun_eu_greek": "iso8859_7",
    "ucs_2": "utf_16_le",
    "unicode": "utf_16_le",
    "unicode_1_1_utf_7": "utf_7",
    "unicode_1_1_utf_8": "utf_8",
    "unicode11utf8": "utf_8",
    "unicode20utf8": "utf_8",
    "unicodefeff": "utf_16_le",
    "unicodefffe": "utf_16_be",
    "utf8mb4": "utf_8",
    "visual": "iso8859_8",
    "windows_31j": "cp932",
}
# Charsets that are labelled by the name of a narrower one.
_WIDER: Final = {
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "latin_1": "cp1252",
    "shift_jis": "cp932",
    "tis_620": "cp874",
    "utf_16": "utf_16_le",
    "utf_8_sig": "utf_8",
}
_WORD: Final = pattern(r"[a-z0-9.]+")
_ISO_8859: Final = pattern(r"(?:iso_?|csiso|)8859_?([0-9]{1,2})(?:_?[ei]|_[0-9]{4})?")
_CODE_PAGE: Final = pattern(r"(?:cp|cs|dos|ibm|ms|oem|win|windows|cswindows|csibm|csdos|codepage)_?([0-9]{3,5})")
_JAPANESE: Final = frozenset({"euc_jp", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_3", "iso2022_jp_ext"})


@lru_cache(256)
def codec_of(label: str) -> str | None:
    """Return the name of the codec that decoded_text() takes for the charset `label`; None where it is not known."""
    label, _, _ = label.partition("*")  # RFC 2231, section 5: a language may follow
    # As encodings.normalize_encoding(), which differs from one Python to the next in what is no name.
    name = "_".join(_WORD.findall(label.encode("ascii", "ignore").decode("ascii").lower()))
    while True:
        codec = _LABELS.get(name) or aliases.get(name, name)
        if codec in _CODECS:
            return _WIDER.get(codec, codec)
        if found := _ISO_8859.fullmatch(name):
            codec = "latin_1" if int(found[1]) == 1 else f"iso8859_{int(found[1])}"
        elif found := _CODE_PAGE.fullmatch(name):
            codec = aliases.get(found[1], f"cp{found[1]}")
        if codec in _CODECS:
            return _WIDER.get(codec, codec)
        if not name.startswith("x_"):
            return None
        name = name[2:]


def _as_the_web(error: UnicodeError) -> tuple[str, int]:
    """Stand in for what a codec of Python's has no character for."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    octet = error.object[error.start]
    if error.encoding == "charmap" and 0x80 <= octet < 0xA0:
        return chr(octet), error.start + 1
    if error.encoding == "gb18030" and octet == 0x80:
        return "€", error.start + 1
    return "\ufffd", error.end


_ERRORS: Final = "fastimap.model.text"
codecs.register_error(_ERRORS, _as_the_web)

_KOI8_U: Final = str.maketrans("╝╬", "ўЎ")
_JIS_AS_MICROSOFT: Final = str.maketrans("\u301c\u2016\u2212\xa2\xa3\xac", "\uff5e\u2225\uff0d\uffe0\uffe1\uffe2")


def decoded_text(octets: bytes, codec: str) -> str:
    """Return the text that `octets` are in `codec`, a name that codec_of() returned; U+FFFD for what is not in it."""
    if codec == "ascii":
        return plain_text(octets)
    if codec in _JAPANESE:
        return _japanese(octets, codec)
    if codec == "koi8_u":
        return octets.decode(codec, _ERRORS).translate(_KOI8_U)
    if codec in ("utf_16_le", "utf_16_be"):
        if octets.startswith(b"\xfe\xff"):
            codec = "utf_16_be"
        return octets.decode(codec, _ERRORS).removeprefix("\ufeff")  # no part of the text: RFC 2781, section 3.2
    return octets.decode(codec, _ERRORS)


def plain_text(octets: bytes) -> str:
    """Return `octets` without a label as text: UTF-8, and what is no UTF-8 as windows-1252."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1252", _ERRORS)


# Two octets of JIS X 0208 in seven bits; in EUC with the high bit; JIS X 0212, and halves of katakana.
_EUC: Final = pattern(rb"((?:[\xa1-\xfe]{2})+)|\x8e([\xa1-\xdf])|(\x8f[\xa1-\xfe]{2})|([\x00-\x7f]+)|(.)", re.DOTALL)
_ESCAPE: Final = pattern(rb"\x1b(\(B|\(J|\(I|\$@|\$B|\$\(D)")


def _japanese(octets: bytes, codec: str) -> str:
    """Decode EUC-JP or ISO-2022-JP, with the characters of Microsoft's that Python's codecs lack."""
    try:
        return octets.decode(codec).translate(_JIS_AS_MICROSOFT)
    except UnicodeDecodeError:
        return "".join(_euc(octets) if codec == "euc_jp" else _iso_2022(octets))


def _euc(octets: bytes) -> Iterator[str]:
    for pairs, half, other, plain, wrong in _EUC.findall(octets):
        if pairs:
            yield _jis_x_0208(bytes(octet & 0x7F for octet in pairs))
        elif half:
            yield half.decode("cp932")
        elif other:
            yield other.decode("euc_jp", "replace")
        else:
            yield plain.decode("ascii") if plain else "\ufffd" * len(wrong)


def _iso_2022(octets: bytes) -> Iterator[str]:
    charset, position = b"(B", 0
    for escape in (*_ESCAPE.finditer(octets), None):
        run = octets[position : escape.start() if escape else len(octets)]
        if charset in (b"$@", b"$B"):
            for index, line in enumerate(run.split(b"\n")):
                # What forgets to go back to ASCII is back there on the next line (RFC 1468).
                yield _jis_x_0208(line) if not index else "\n" + line.decode("ascii", "replace")
        elif charset == b"(I":
            yield bytes(octet | 0x80 if 0x21 <= octet <= 0x5F else octet for octet in run).decode("cp932", "replace")
        elif charset == b"$(D":
            yield (b"\x1b$(D" + run + b"\x1b(B").decode("iso2022_jp_1", "replace")
        else:
            yield run.decode("ascii", "replace")
        if escape:
            charset, position = escape[1], escape.end()


def _jis_x_0208(pairs: bytes) -> str:
    """Return the text of two octets a character, by way of Shift JIS, which has the same rows and more."""
    shifted = bytearray()
    for row, cell in zip(pairs[::2], pairs[1::2], strict=False):
        if not (0x21 <= row <= 0x7E and 0x21 <= cell <= 0x7E):
            shifted += b"\x80" if row > 0x20 else bytes((row, cell))
            continue
        lead = (row - 0x21) // 2 + 0x81
        shifted.append(lead if lead < 0xA0 else lead + 0x40)
        shifted.append(cell + 0x7E if not row & 1 else cell + 0x1F if cell < 0x60 else cell + 0x20)
    return shifted.decode("cp932", "replace").replace("\x80", "\ufffd") + ("\ufffd" if len(pairs) % 2 else "")


# --------------------------------------------------------------------------------------------- encoded words

_FOLD: Final = pattern(r"\r?\n(?=[ \t])")
# The text of an encoded word may not hold "?" or a space (RFC 2047, section 2), but words with both are about.
_NOT_NEEDED: Final = pattern(r"\?= (?=\s|\Z)")
_ENCODED_WORD: Final = pattern(r"=\?([^?\s]+)\?([BbQq])\?([^?]*+(?:\?(?!=)[^?]*+)*+)\?=")


def decoded_field(octets: bytes | None) -> str | None:
    """Return the text of an unstructured header field, its lines unfolded and its encoded words decoded."""
    if octets is None:
        return None
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("cp1252", _ERRORS)
    if "=?" in text:
        return _decoded_words(text)
    return _FOLD.sub("", text) if "\n" in text else text


def utf8_words(text: str) -> str:
    """Return `text` with its encoded words in UTF-8 and base64, for a reader that knows fewer charsets."""
    if "=?" not in text:
        return text
    # Each word has a space after it, as what follows it in the text may be glued on: one that is not needed would show.
    return _NOT_NEEDED.sub("?=", _decoded_words(text, _utf8_word))


def _utf8_word(text: str) -> str:
    octets = text.encode("utf-8", "replace")
    return f"=?utf-8?B?{b2a_base64(octets, newline=False).decode('ascii')}?= "


def _decoded_words(text: str, shown: Callable[[str], str] | None = None) -> str:
    end = text.rfind("?=") + 2  # what opens after it is no word; so the search takes linear time
    pieces = _ENCODED_WORD.split(text[:end]) if end > 1 else ()
    if len(pieces) < 2:
        return _FOLD.sub("", text)
    found: list[str] = []
    run: list[tuple[str, str, str]] = []  # words of one charset with but space between them: space, encoding, payload
    codec = label = ""
    between = pieces[0]
    for index in range(1, len(pieces), 4):
        its_codec = codec_of(pieces[index])
        if not run:
            found.append(between)
            between = ""
        elif its_codec != codec or (between and not between.isspace()):
            decoded = _decoded_run(run, codec, label)
            found.append(shown(decoded) if shown is not None else decoded)
            if its_codec is None or not between.isspace():
                found.append(between)
            run = []
        if its_codec is None:
            found.append("=?" + "?".join(pieces[index : index + 3]) + "?=")
        else:
            codec, label = its_codec, pieces[index]
            encoding, payload = pieces[index + 1 : index + 3]
            if encoding in "Bb":  # a line of any length is folded where it has to be: base64, too, which has no space
                payload = "".join(payload.split())
            run.append((between, encoding, payload))
        between = pieces[index + 3]
    if run:
        decoded = _decoded_run(run, codec, label)
        found.append(shown(decoded) if shown is not None else decoded)
    found.append(between)
    if end < len(text):
        found.append(text[end:])
    return "".join([_FOLD.sub("", piece) if "\n" in piece else piece for piece in found])


def _decoded_run(run: list[tuple[str, str, str]], codec: str, label: str) -> str:
    """Return the text of words whose octets belong together: the end of a word may cut a character in two."""
    if len(run) > 1:
        for _, encoding, payload in run:
            if len(payload) & 3 and encoding in "Bb":
                run = _mended(run)
                break
    texts: list[str] = []
    pending: list[bytes] = []
    for space, encoding, payload in run:
        octets = a2b_qp(payload.encode(), header=True) if encoding in "Qq" else _base64_word(payload)
        if octets is not None:
            pending.append(octets)
        else:
            texts += (decoded_text(b"".join(pending), codec), f"{space}=?{label}?{encoding}?{payload}?=")
            pending.clear()
    text = decoded_text(pending[0] if len(pending) == 1 else b"".join(pending), codec)
    return "".join(texts) + text if texts else text


def _mended(run: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return `run` with base64 that was encoded as a whole, and then cut into words anywhere, as one word."""
    mended: list[tuple[str, str, str]] = []
    index = 0
    while index < len(run):
        end = index
        while end < len(run) and run[end][1] in "Bb":
            end += 1
        whole = "".join(payload for _, _, payload in run[index:end])
        if end - index > 1 and len(whole) % 4 == 0 and "=" not in whole.rstrip("="):
            mended.append((run[index][0], "B", whole))
        else:
            end = max(end, index + 1)
            mended += run[index:end]
        index = end
    return mended


def _base64_word(payload: str) -> bytes | None:
    """Return what the base64 of a word encodes; None where it makes no sense."""
    try:
        if "=" not in payload[:-2] and not len(payload) & 3:
            return a2b_base64(payload)
        digits = payload.rstrip("= ")
        return a2b_base64(digits + "===="[: -len(digits) % 4]) if "=" not in digits else decoded_base64(digits.encode())
    except (Error, ValueError):
        return None


# ---------------------------------------------------------------------------------------------------- base64

_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_PIECE: Final = pattern(rb"[^=]+=*")


def decoded_base64(octets: bytes) -> bytes:
    """Return what `octets` encode, all of it, with anything strewn in; the same on every Python.

    Padding in the middle: where every piece is whole, they were encoded one by one, and are decoded so. Else padding
    says nothing, as in CPython since 2026 (RFC 4648, section 3.3).
    """
    digits = octets.translate(None, _NOT_BASE64)
    if b"=" in digits.rstrip(b"="):
        pieces = _PIECE.findall(digits)
        if all(len(piece) % 4 == 0 and not piece.endswith(b"===") for piece in pieces):
            return b"".join(map(a2b_base64, pieces))
        digits = digits.replace(b"=", b"")
    digits = digits.rstrip(b"=")
    if len(digits) % 4 == 1:
        digits = digits[:-1]  # a single digit at the end says nothing
    return a2b_base64(digits + b"===="[: -len(digits) % 4])


# ------------------------------------------------------------------------------------------------ parameters

# name, or with RFC 2231: name*, name*0, name*0*
_PARAMETER: Final = pattern(r"([^*]+)(?:\*([0-9]{1,4}))?(\*)?\Z")


def decoded_parameters(parameters: tuple[tuple[str, bytes], ...]) -> dict[str, str]:
    """Return MIME parameters by name, decoded: RFC 2231, and RFC 2047, which does not allow encoded words there."""
    decoded: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, bytes]]] = {}
    for name, value in parameters:
        form = _PARAMETER.match(name) if "*" in name else None
        if form is None or not (form[2] or form[3]):
            decoded.setdefault(name, decoded_field(value) or "")
        else:
            pieces.setdefault(form[1], []).append((int(form[2] or 0), bool(form[3]), value))
    for name, numbered in pieces.items():
        # The extended form is the better one where a message has both (RFC 6266, appendix D).
        decoded[name] = _joined(sorted(numbered, key=lambda piece: piece[0]))
    return decoded


def _joined(pieces: list[tuple[int, bool, bytes]]) -> str:
    """Return the value whose `pieces` are (number, whether it is percent-encoded, octets)."""
    codec = None
    octets: list[bytes] = []
    for index, (_, extended, value) in enumerate(pieces):
        if extended:
            if index == 0 and value.count(b"'") >= 2:
                label, _, value = value.split(b"'", 2)
                codec = codec_of(label.decode("ascii", "replace"))
            from urllib.parse import unquote_to_bytes

            value = unquote_to_bytes(value)
        octets.append(value)
    whole = b"".join(octets)
    if codec is None:
        return _labelled_words(whole) if any(extended for _, extended, _ in pieces) else decoded_field(whole) or ""
    text = decoded_text(whole, codec)
    return _decoded_words(text) if "=?" in text else text  # a name that was encoded twice


def _labelled_words(octets: bytes) -> str:
    """Return percent-encoded octets as text: in no charset, or in one that is not known."""
    text = octets.decode("utf-8", "replace")
    return _decoded_words(text) if "=?" in text else text


# ------------------------------------------------------------------------------------------------- addresses

_CONTROLS: Final = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ATOMS: Final = pattern(r'[^\s()<>\[\]:;@\\,."\x00-\x1f\x7f]+(?:\.[^\s()<>\[\]:;@\\,."\x00-\x1f\x7f]+)*')
_QUOTED: Final = pattern(r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"')
_LITERAL: Final = pattern(r"\[[^\s\[\]\\<>,;\"]*\]")
_PHRASE: Final = pattern(r'[^()<>\[\]:;@\\,."]+')
_ESCAPED: Final = pattern(r'["\\]')


def display_text(text: str) -> str:
    """Return a display name as it stands before an address: in quotes where RFC 5322 wants them, on one line."""
    text = _CONTROLS.sub("\ufffd", text)
    if _PHRASE.fullmatch(text) and text == text.strip(" "):
        return text
    return _quoted(text)


def address_text(mailbox: str, host: str) -> str:
    """Return ``mailbox@host`` as RFC 5322, section 3.4.1, has it; the mailbox alone where the message had no host.

    A local part that needs quotes has them, the empty one too. What no address can hold is U+FFFD, so that a broken one
    is never another person's.
    """
    if not mailbox and not host:
        return ""
    if not _ATOMS.fullmatch(mailbox) and not _QUOTED.fullmatch(mailbox):
        mailbox = _quoted(_CONTROLS.sub("\ufffd", mailbox))
    if not host:
        return mailbox
    if not _ATOMS.fullmatch(host) and not _LITERAL.fullmatch(host):
        host = re.sub(r'[\s()<>\[\]:;@\\,"\x00-\x1f\x7f]', "\ufffd", host)
    return f"{mailbox}@{host}"


def _quoted(text: str) -> str:
    return '"' + _ESCAPED.sub(r"\\\g<0>", text) + '"'


# --------------------------------------------------------------------------------------------------- defects


def unknown_charsets(octets: bytes | None) -> Iterator[str]:
    """Yield the labels of encoded words in a header field that codec_of() does not know."""
    if octets and b"=?" in octets:
        for label in dict.fromkeys(found[1] for found in _ENCODED_WORD.finditer(plain_text(octets))):
            if codec_of(label) is None:
                yield label
