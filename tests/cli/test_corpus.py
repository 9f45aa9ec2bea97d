"""The synthetic mail: always the same, well-formed, and of the sizes that it promises."""

import email
import statistics

import pytest

from fastimap.demo import corpus

MESSAGES = list(corpus.messages(400))


def test_it_is_the_same_each_time() -> None:
    assert list(corpus.messages(40)) == MESSAGES[:40]


def test_sizes() -> None:
    sizes = [len(octets) for octets in MESSAGES]
    assert min(sizes) >= corpus.MIN_SIZE
    # What surrounds an attachment comes on top.
    assert max(sizes) < corpus.MAX_SIZE * 1.02
    assert 4_000 < statistics.median(sizes) < 20_000
    assert statistics.mean(sizes) > 3 * statistics.median(sizes)


@pytest.mark.slow
def test_every_message_is_well_formed() -> None:
    types = set()
    for octets in MESSAGES:
        assert octets.count(b"\n") == octets.count(b"\r") == octets.count(b"\r\n")
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        for part in email.message_from_bytes(octets).walk():
            assert part.defects == []
            types.add(part.get_content_type())
    assert {"multipart/mixed", "multipart/alternative", "multipart/related", "message/rfc822"} <= types
