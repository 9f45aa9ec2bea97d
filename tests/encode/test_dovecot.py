"""Programs of search keys, run by a Dovecot: it finds what the keys mean."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastimap import search as keys
from fastimap._search_program import encode_search
from fastimap.search import SearchKey, all_of, any_of
from fastimap.wire.encode import Encoding, encode
from tests.servers.dovecot import Dovecot

from .test_search import SETS, Largest, Message, Test, day, flag_pairs, joined, of, set_pairs
from .wire import sent

FLAGS = {"seen": "\\Seen", "flagged": "\\Flagged", "draft": "\\Draft", "k": "k"}
WORDS = ["alpha", "beta gamma", "nil"]
COUNT = 24
LARGEST = Largest(COUNT, COUNT)


def octets(number: int) -> bytes:
    fields = [f"Subject: {' '.join(word for bit, word in enumerate(WORDS) if number >> bit & 1)}"]
    fields.append(f"Date: {number % 4 + 1} Jan 2024 12:00:00 +0000")  # servers differ where there is none
    return "\r\n".join([*fields, "", "x" * (number % 5), ""]).encode()


def message(number: int) -> Message:
    return Message(
        number,
        number,
        frozenset(name for bit, name in enumerate(FLAGS) if number * 7 >> bit & 1),
        False,
        len(octets(number)),
        number % 5 + 1,
        number % 4 + 1,
        frozenset(word for bit, word in enumerate(WORDS) if number >> bit & 1),
        None,
    )


MESSAGES = [message(number) for number in range(1, COUNT + 1)]


def leaves() -> Iterator[tuple[SearchKey, Test]]:
    for key, test in flag_pairs():
        if key not in (keys.recent, keys.new, keys.old):
            yield key, test
    for word in WORDS:
        yield keys.subject(word), of(word, lambda word, message: word in message.words)
    for size in sorted({message.size for message in MESSAGES})[::5]:
        yield keys.larger(size), of(size, lambda size, message: message.size > size)
        yield keys.smaller(size), of(size, lambda size, message: message.size < size)
    for number in (2, 4):
        yield keys.before(day(number)), of(number, lambda number, message: message.day < number)
        yield keys.on(day(number)), of(number, lambda number, message: message.day == number)
        yield keys.since(day(number)), of(number, lambda number, message: message.day >= number)
        yield keys.sent_before(day(number)), of(number, lambda number, message: (message.sent_day or 0) < number)
        yield keys.sent_on(day(number)), of(number, lambda number, message: message.sent_day == number)
        yield keys.sent_since(day(number)), of(number, lambda number, message: (message.sent_day or 0) >= number)


def turned(pair: tuple[SearchKey, Test]) -> tuple[SearchKey, Test]:
    key, test = pair
    return ~key, lambda *facts: not test(*facts)


PAIRS: st.SearchStrategy[tuple[SearchKey, Test]] = st.recursive(
    st.one_of(st.sampled_from(list(leaves())), SETS.flatmap(set_pairs)),
    lambda pairs: st.one_of(st.lists(pairs, min_size=2, max_size=4).flatmap(joined), pairs.map(turned)),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def connection(dovecot: Dovecot) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4(dovecot.host, dovecot.port, timeout=60) as connection:
        connection.login(dovecot.new_user(), dovecot.password)
        for found in MESSAGES:
            flags = f"({' '.join(FLAGS[name] for name in sorted(found.flags))})"
            arrival = datetime(2024, 1, found.day, 12, tzinfo=UTC)
            connection.append("INBOX", flags, imaplib.Time2Internaldate(arrival), octets(found.number))
        connection.select()
        yield connection


def found(connection: imaplib.IMAP4, key: SearchKey) -> list[int]:
    connection.send(sent(encode(b"T1", [b"SEARCH", *encode_search(key)], Encoding(literal_plus=True))))
    numbers: list[int] = []
    while not (line := connection.readline()).startswith(b"T1"):
        if line.startswith(b"* SEARCH"):
            numbers = [int(number) for number in line.split()[2:]]
    assert line.startswith(b"T1 OK"), line
    return numbers


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=PAIRS)
def test_a_server_finds_what_the_keys_mean(connection: imaplib.IMAP4, pair: tuple[SearchKey, Test]) -> None:
    key, test = pair
    assert found(connection, key) == [message.number for message in MESSAGES if test(message, LARGEST)], key


def test_a_server_takes_what_is_unusual(connection: imaplib.IMAP4) -> None:
    everything = [message.number for message in MESSAGES]
    assert found(connection, any_of([])) == []
    assert found(connection, all_of([])) == everything
    assert found(connection, any_of(keys.subject(f"{word} ") for word in range(300)) | keys.all_) == everything
    assert found(connection, any_of(keys.subject(f"no {word}") for word in range(300)) | keys.uid(3)) == [3]
    assert found(connection, keys.subject("ü") | keys.raw("OR 1 (2)")) == [1, 2]
    assert found(connection, keys.header("Date") & keys.sequence("22:*")) == [22, 23, 24]
    assert found(connection, ~keys.fuzzy(keys.subject("alpha") | keys.all_)) == []
