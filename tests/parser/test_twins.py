"""The twins give equal values, or equal exceptions, on the octets of real servers and on mutations of them."""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastimap import _parser_py as python
from fastimap._parser_py import memory
from fastimap._parser_py.fetch import _Decoder
from fastimap.limits import Limits
from tests.support.effort import effort

from .conftest import TWINS, built
from .harness import batched, drained, framed, quirks, single, splits, tokenized, whole

pytestmark = pytest.mark.skipif(built() == ["py"], reason="FASTIMAP_NO_EXTENSION: there is one twin only")
if built() != ["py"]:
    cython = importlib.import_module(TWINS["c"])

MUTATIONS = effort(100_000)
ROWS = [
    (
        b'* 7 FETCH (UID 9 FLAGS (\\Seen $Junk) INTERNALDATE " 7-Feb-2024 00:00:00 +0000" RFC822.SIZE 7 MODSEQ (65) '
        b'ENVELOPE ("date" "a\\"b" (("n" NIL "m" "h")("x" NIL "y" "z")) (("n" NIL "m" "h")("x" NIL "y" "z")) NIL '
        b'((NIL NIL "group" NIL)(NIL NIL NIL NIL)) NIL NIL NIL {4}\r\n<id>))\r\n'
    ),
    (
        b'* 8 FETCH (UID 9 BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 12 1)("message" "rfc822" '
        b'NIL NIL NIL "7bit" 300 (NIL "s" NIL NIL NIL NIL NIL NIL NIL "<m>") (("text" "x" NIL NIL NIL "7bit" 1 1 NIL '
        b'("attachment" ("filename" "a)b.txt")) ("en" "de") "loc")("image" "png" ("name" "x.png") "<id>" "d" "base64" '
        b'99 "md5" NIL "en" NIL) "mixed") 20 NIL NIL NIL NIL) "mixed" ("boundary" "b)") NIL NIL))\r\n'
    ),
    (
        b"* 9 FETCH (X-GM-MSGID 1278455344230334865 BODY[HEADER.FIELDS (DATE FROM)] {4}\r\na\r\nb "
        b'BODY[1.2.MIME]<0> "x" RFC822.TEXT NIL BODY[] ~{3}\r\nabc X-GM-LABELS (\\Inbox "a b") PREVIEW "p")\r\n'
    ),
    b'* 11 FETCH (UID 3 ENVELOPE (NIL "a\r\n b" c" (("C:\\" NIL "m" "h")) NIL NIL NIL NIL NIL NIL "i"))\r\n',
    (
        b'* 12 FETCH (ENVELOPE (NIL "a\n* 2 FETCH (UID 4)\r\nA1 OK x\r\n" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b"BODY[1] {1}\r\nx)\r\n"
    ),
    b"* 13 FETCH (BODY[HEADER.FIELDS ({2}\r\nTo A)] {3}\r\na\r\n BODY[1] {1}\r\nx\r\n* 14 FETCH (UID 4)\r\n",
    b"* 10 UIDFETCH (FLAGS () BINARY[1] {1}\r\n\0 BINARY.SIZE[1] 1 EMAILID (M1) THREADID NIL SAVEDATE NIL)\r\n",
]
LIMITS = Limits(line=400, literal=5_000, response=9_000, literals=5, depth=8)
TOKENS = [
    b"{", b"}", b"{0}\r\n", b"{1}\r\n", b"{3}\r\n", b"{12+}\r\n", b"~{2}\r\n", b"{99999999999999999999}\r\n",
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"  ", b"(", b")", b"((", b"))", b'"', b'\\"', b"\\", b"[", b"]",
    b"* ", b"* 1 FETCH (", b"+ ", b"A1 OK ", b"NIL", b"BODY[", b"BODY[]<0>", b"BINARY.SIZE[1]", b"\xff",
    b"9223372036854775807", b"9223372036854775808", b"* OK [", b"* BYE ", b"* LIST () \"/\" {2}\r\nab\r\n",
]  # fmt: skip


@pytest.fixture
def cheaper(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Any, Any]]:
    """What the Python twin decodes from the same fragments more than once, for itself and for what C hands over, it
    decodes once; its buffers are small. The rows that are known, which the test may forget."""
    known: dict[Any, Any] = {}
    asked = 0
    decode = _Decoder.from_fragments

    def from_fragments(self: _Decoder, fragments: Sequence[bytes]) -> Any:
        nonlocal asked
        asked += 1
        key = self.depth, tuple(fragments)
        if key not in known:
            known[key] = decode(self, fragments)
        return known[key]

    monkeypatch.setattr(_Decoder, "from_fragments", from_fragments)
    monkeypatch.setattr(memory, "_BUFFER_SIZE", 16 * 1024)
    yield known
    assert asked


def both_agree(octets: bytes, cut: list[bytes], limits: Limits) -> None:
    seen = framed(python, cut, limits)
    assert framed(cython, cut, limits) == seen
    assert drained(cython, cut, limits) == drained(python, cut, limits)
    assert batched(cython, cut, limits) == batched(python, cut, limits)
    for response in seen:
        if isinstance(response, tuple) and all(isinstance(part, bytes) for part in response):
            assert tokenized(cython, response) == tokenized(python, response)
            assert cython.fetch(response) == python.fetch(response)
    assert tokenized(cython, (octets,)) == tokenized(python, (octets,))


@pytest.mark.slow
def test_quirks_in_every_cut(cheaper: dict[Any, Any]) -> None:
    samples = quirks()
    assert len(samples) > 100
    for octets in samples[:: -(-len(samples) // effort(len(samples)))]:
        expected = framed(python, whole(octets)), drained(python, whole(octets)), batched(python, whole(octets))
        for cut in (whole(octets), single(octets), *splits(octets)):
            for twin in (python, cython):
                assert (framed(twin, cut), drained(twin, cut), batched(twin, cut)) == expected
        both_agree(octets, whole(octets), Limits())


def mutated(rng: random.Random, samples: list[bytes]) -> bytes:
    octets = bytearray(rng.choice(samples))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(octets) + 1)
        kind = rng.randrange(6)
        if kind == 0 and octets:
            octets[at - 1] = rng.randrange(256)
        elif kind == 1:
            del octets[at : at + rng.randint(1, 20)]
        elif kind == 2:
            octets[at:at] = rng.choice(TOKENS)
        elif kind == 3:
            octets[at:at] = octets[rng.randrange(len(octets) + 1) :][: rng.randint(1, 40)]
        elif kind == 4:
            octets += rng.choice(samples)
        else:
            octets[at:] = b"\r\n"
    return bytes(octets)


@pytest.mark.slow
@pytest.mark.timeout(300 + MUTATIONS // 200)
def test_mutated_quirks(cheaper: dict[Any, Any]) -> None:
    rng = random.Random(20261123)
    samples = quirks() + 8 * ROWS
    for _ in range(MUTATIONS):
        octets = mutated(rng, samples)
        at = sorted(rng.randrange(len(octets) + 1) for _ in range(rng.randint(0, 3)))
        cut = [octets[i:j] for i, j in zip([0, *at], [*at, len(octets)], strict=True)]
        cheaper.clear()
        both_agree(octets, cut, LIMITS)


strings = st.binary(max_size=12)
quoted = strings.map(lambda s: b'"' + s.replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"')
literals = st.builds(lambda s, form: form % (len(s), s), strings, st.sampled_from([b"{%d}\r\n%s", b"~{%d+}\r\n%s"]))
atoms = st.sampled_from(
    [b"NIL", b"UID", b"FLAGS", b"BODY[HEADER.FIELDS (A)]", b"12", b"0", b"18446744073709551615", b"\\Seen"]
)
values = st.recursive(
    st.one_of(atoms, quoted, literals),
    lambda inner: st.lists(inner, max_size=4).map(lambda items: b"(" + b" ".join(items) + b")"),
    max_leaves=12,
)
responses = st.builds(
    lambda head, body, end: head + b" ".join(body) + end,
    st.sampled_from([b"* 1 FETCH ", b"* LIST ", b"* ", b"A1 OK ", b"* OK ", b"+ ", b""]),
    st.lists(values, max_size=4),
    st.sampled_from([b"\r\n", b"\r\n\r\n", b"\n", b""]),
)


@settings(max_examples=effort(1_000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(responses, max_size=4).map(b"".join), st.lists(st.integers(0, 400), max_size=4))
def test_structured_responses(octets: bytes, cuts: list[int]) -> None:
    at = sorted(min(cut, len(octets)) for cut in cuts)
    cut = [octets[i:j] for i, j in zip([0, *at], [*at, len(octets)], strict=True)]
    both_agree(octets, cut, Limits())
    for twin in (python, cython):
        assert framed(twin, cut) == framed(twin, whole(octets))
        assert drained(twin, cut) == drained(twin, whole(octets))


# What one twin has alone, and why.
ALONE = {
    ("c", "memory"): {
        "_Memory _Memory.grow": "Python has memory that grows in bytearray and io.BytesIO",
        "_Buffer._check_positions": "pointers are checked before use; Python checks its slices itself",
        "_Cache _Cache.get _Cache.put _slot": "octets are looked up before they are an object",
        "_item _added _set": "tuples are made by hand, out of the garbage collector's sight",
    },
    ("py", "memory"): {},
    ("c", "tokens"): {
        "_Odd _Scanner._find_escape _Scanner._next_is _Scanner._expect _Scanner._escaped": "C reads what is plain and "
        "leaves the rest to Python",
        "_Scanner._push _Scanner._pop": "tuples of a size that is not known yet",
        "_string _is_escape _is_section _begins_with _closes": "regular expressions, spelled out",
        "_Ranges _Ranges.append _Ranges.join _by_low": "arrays and sorted(), spelled out",
    },
    ("py", "tokens"): {
        "_Scanner.open _Scanner.has_token _Scanner.token _Scanner.atom": "C has tokenize() and the decoder, each with "
        "a loop of its own, over the same functions",
    },
    ("c", "outline"): {"_has_lone_backslash _small_number _after_spaces": "find(), int() and strip(), spelled out"},
    ("py", "outline"): {"_is_closed": "C scans every line: that costs it less than the question"},
    ("c", "rows"): {
        "_Values _Row _Row.sequence_number _Row.uid _Row.flags _Row.size _Row.internal_date _Row.mod_sequence "
        "_Row._read_uid _Row._read_internal_date _Row.envelope _Row.body_structure _Row.body _Row.items _Row.defects "
        "_Row._sequence_number _Row._uid _Row._size _Row._present _Row._internal_seconds "
        "_Row._values _moment _seconds": "Python's row stands with the "
        "face of both, in model/row.py, as users make rows too",
    },
    ("py", "rows"): {},
    ("c", "structures"): {
        "_load_types": "the drop-in, which decodes no row, does without the types",
        "_read_in_c _reduced _add_field _plain_value _is_ascii _ascii_text _field_at _plain_field _text_field "
        "_usual_words _is_utf_8 _decode_q _hexadecimal _decode_base64 _date_field _mailbox_field _email_field "
        "_is_dotted _fill_tables": "Python's envelopes and addresses, in model/message.py, read what they hold",
        "_Structures._repeats _Structures._tag": "octets are compared before they are an object",
    },
    ("py", "structures"): {
        "_Structures.note _Structures._size _Part _Part.take_number_and_open _Part.build _Part._read "
        "_Part._read_multipart _Part._read_single _Part._read_extension_data _integer _list _is_nil _is_string _text "
        "_media_type _has_encoding _has_lines _has_message _is_disposition": "what servers get wrong; C hands it over",
    },
    ("c", "fetch"): {
        "_Decoder.decode": "from the receive buffer, before there are fragments",
        "_Decoder._once _Decoder._whole _Decoder._with_other _Decoder._other": "the items of a plain row, one by one",
        "_tolerant": "what is odd is handed to Python",
        "_fill_months _month _is_day _three _two_digits _flags_of _is_plain_flag _canonical_name _usual_date "
        "_is_upper _is_lower": "regular expressions and tables",
    },
    ("py", "fetch"): {
        "_Decoder._clear _Decoder._at_end _Decoder._has_value _Decoder._item _Decoder._value _Decoder._state "
        "_Decoder._restore _Decoder._keep _Decoder._section_with_literals _Decoder.quoted": "what servers get wrong",
        "_Decoder._uid _Decoder._mod_sequence _Decoder._atoms _Decoder._labels _Decoder._object_id _Decoder._preview "
        "_Decoder._save_date _Decoder._as_it_is _label _decoder": "the table of items; C has the common ones in line",
    },
    ("c", "reader"): {
        "ResponseReader._whole_row _append_pairs": "what is whole in the buffer, without a copy",
        "ResponseReader._append_fragments _is_status _is_condition _joined": "slices, sets and +, spelled out",
    },
    ("py", "reader"): {"ResponseReader._next_response": "what is whole in the buffer is framed at once, and copied"},
}
PARTS = ["memory", "tokens", "outline", "rows", "structures", "fetch", "reader"]
_DEFINITION = re.compile(
    r"^(?:(?:cdef )?class (?P<cls>\w+)"
    r"|(?P<indent>    )?(?:def|cdef(?! (?:class|enum|struct|extern)) [^=(#\n]*?) ?(?P<name>\w+)\()",
    re.MULTILINE,
)


def names(source: Path, alone: dict[str, str]) -> list[str]:
    """All classes, functions and methods that both twins have: what C can't be asked for is not marked as private."""
    found = []
    cls = ""
    for definition in _DEFINITION.finditer(source.read_text("utf-8")):
        cls = definition["cls"] or cls
        name = definition["name"] or ""
        if not name.startswith("__"):
            found.append(definition["cls"] or (f"{cls}.{name}" if definition["indent"] else name))
    listed = " ".join(alone).split()
    assert {*listed} <= {*found}, "listed, and not there"
    return list(dict.fromkeys(name.replace("._", ".").lstrip("_") for name in found if name not in listed))


@pytest.mark.parametrize("part", PARTS)
def test_the_same_names_in_the_same_order(part: str) -> None:
    package = Path(__file__).parents[2] / "src" / "fastimap"
    in_c = names(package / "_parser_pyx" / f"{part}.pxi", ALONE["c", part])
    in_python = names(package / "_parser_py" / f"{part}.py", ALONE["py", part])
    assert in_c == in_python
    assert in_c


def test_the_same_parts() -> None:
    package = Path(__file__).parents[2] / "src" / "fastimap"
    assert {path.stem for path in (package / "_parser_pyx").iterdir()} == {*PARTS}
    assert {path.stem for path in (package / "_parser_py").glob("[!_]*.py")} == {*PARTS}
    assert set(cython.__all__) == set(python.__all__)
