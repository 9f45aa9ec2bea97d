"""The twins give equal values, or equal exceptions, on the octets of real servers and on mutations of them."""

from __future__ import annotations

import importlib
import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastimap import _parser_py as python
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


def test_quirks_in_every_cut() -> None:
    samples = quirks()
    assert len(samples) > 100
    for octets in samples:
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


@pytest.mark.timeout(300 + MUTATIONS // 200)
def test_mutated_quirks() -> None:
    rng = random.Random(20261123)
    samples = quirks() + 8 * ROWS
    for _ in range(MUTATIONS):
        octets = mutated(rng, samples)
        at = sorted(rng.randrange(len(octets) + 1) for _ in range(rng.randint(0, 3)))
        cut = [octets[i:j] for i, j in zip([0, *at], [*at, len(octets)], strict=True)]
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


def public_names(source: Path) -> list[str]:
    """The public functions, and the public methods of the reader."""
    found: list[str] = []
    room = ""
    for kind, name in re.findall(r"^(?:cdef )?(class|    def|def) (\w+)", source.read_text("utf-8"), re.MULTILINE):
        if kind == "class":
            room = name
        elif not name.startswith("_") and (kind == "def" or room == "ResponseReader"):
            found.append(name)
    return [name for name in found if name not in ("plain", "section_name")]  # which both take from Python


@pytest.mark.parametrize("part", ["tokens", "fetch", "reader"])
def test_the_same_names_in_the_same_order(part: str) -> None:
    package = Path(__file__).parents[2] / "src" / "fastimap"
    assert public_names(package / "_parser_pyx" / f"{part}.pxi") == public_names(package / "_parser_py" / f"{part}.py")
    assert set(cython.__all__) == set(python.__all__) - {"Atom", "Sink", "Token", "Write", "plain"}
