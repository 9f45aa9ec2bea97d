"""The SQLite cursor: leases, several workers, SIGKILL, a full disk."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastimap import UIDSet
from fastimap.errors import CursorFailed, LeaseLost
from fastimap.sessions.cursor import SCHEMA, Lease, Mark, Place, SQLiteCursor
from tests.sessions.worker import PLACE, VALIDITY

KILLS = int(os.environ.get("FASTIMAP_KILLS", "6"))
OTHER = Place("ann@imap.example.org", "Support")


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickets.sqlite"


@pytest.fixture
def cursor(path: Path, clock: Clock) -> Iterator[SQLiteCursor]:
    made = SQLiteCursor(path, clock=clock)
    made.begin(PLACE, Mark(VALIDITY, UIDSet("1:10")))
    yield made
    made.close()


def uids(leases: list[Lease]) -> list[int]:
    return [lease.uid for lease in leases]


def test_it_is_there_again_after_it_was_closed(cursor: SQLiteCursor, path: Path) -> None:
    (lease,) = cursor.lease(PLACE, VALIDITY, [12], 5, 60)
    cursor.done([lease])
    cursor.close()
    with contextlib.closing(SQLiteCursor(path)) as again:
        assert again.mark(PLACE) == Mark(VALIDITY, UIDSet("1:10,12"))
    assert cursor.mark(OTHER) is None


def test_what_is_done_is_not_leased_again(cursor: SQLiteCursor) -> None:
    leases = cursor.lease(PLACE, VALIDITY, range(1, 100), 3, 60)
    assert uids(leases) == [11, 12, 13]
    cursor.done(leases[1:])
    assert uids(cursor.lease(PLACE, VALIDITY, range(1, 100), 3, 60)) == [14, 15, 16]
    assert cursor.mark(PLACE) == Mark(VALIDITY, UIDSet("1:10,12:13"))
    assert cursor.unfinished(PLACE)[0] == 4


def test_a_lease_that_ended_goes_to_somebody_else(cursor: SQLiteCursor, clock: Clock) -> None:
    (mine,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    assert not cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    clock.now += 61
    (theirs,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    for late in (cursor.delivering, lambda lease: cursor.extend(lease, 5), lambda lease: cursor.done([lease])):
        with pytest.raises(LeaseLost):
            late(mine)
    cursor.done([theirs])
    with pytest.raises(LeaseLost):
        cursor.done([theirs])


def test_a_lease_that_nobody_took_holds_though_it_ended(cursor: SQLiteCursor, clock: Clock) -> None:
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    clock.now += 3600
    cursor.done([lease])
    assert 11 in cursor.mark(PLACE).done  # type: ignore[union-attr]


def test_a_lease_can_be_extended(cursor: SQLiteCursor, clock: Clock) -> None:
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    cursor.extend(lease, 300)
    clock.now += 299
    assert not cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    clock.now += 2
    assert cursor.lease(PLACE, VALIDITY, [11], 1, 60)


def test_deliveries_are_counted_over_leases(cursor: SQLiteCursor, clock: Clock) -> None:
    for expected in (1, 2, 3):
        (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
        assert cursor.delivering(lease) == expected
        clock.now += 61


def test_a_message_given_back_comes_later(cursor: SQLiteCursor, clock: Clock) -> None:
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    cursor.again(lease, 30, "the database was locked")
    assert not cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    clock.now += 31
    assert cursor.lease(PLACE, VALIDITY, [11], 1, 60)


def test_a_delivery_that_does_not_count(cursor: SQLiteCursor, clock: Clock) -> None:
    for counted, expected in ((False, 1), (False, 1), (True, 1), (True, 2), (False, 3), (True, 3)):
        (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
        assert cursor.delivering(lease) == expected
        cursor.again(lease, 30, "the database was locked", counted=counted)
        clock.now += 31


def test_what_was_not_delivered_is_released_at_once(cursor: SQLiteCursor) -> None:
    leases = cursor.lease(PLACE, VALIDITY, [11, 12], 2, 60)
    cursor.delivering(leases[0])
    cursor.done(leases[:1])
    cursor.release(leases)
    assert uids(cursor.lease(PLACE, VALIDITY, [11, 12], 2, 60)) == [12]


def test_parked_messages_are_listed_and_come_again_when_asked(cursor: SQLiteCursor, clock: Clock) -> None:
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    cursor.delivering(lease)
    cursor.park(lease, "no such customer")
    clock.now += 10_000
    assert not cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    assert cursor.unfinished(PLACE) == (0, None)
    (failed,) = cursor.parked()
    assert (failed.place, failed.uid, failed.deliveries, failed.reason) == (PLACE, 11, 1, "no such customer")
    assert cursor.parked(OTHER) == []
    assert cursor.unpark(OTHER) == 0
    assert cursor.unpark(PLACE) == 1
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    assert lease.deliveries == 0


def test_a_new_uidvalidity_voids_leases(cursor: SQLiteCursor) -> None:
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    assert cursor.reset(PLACE, Mark(8, UIDSet("1:3")), uid_validity=VALIDITY)
    assert not cursor.reset(PLACE, Mark(8, UIDSet("1:5")), uid_validity=VALIDITY)  # another worker was first
    with pytest.raises(LeaseLost):
        cursor.done([lease])
    with pytest.raises(LeaseLost):
        cursor.lease(PLACE, VALIDITY, [12], 1, 60)
    assert cursor.mark(PLACE) == Mark(8, UIDSet("1:3"))


def test_messages_that_are_gone_are_forgotten_unless_somebody_has_them(cursor: SQLiteCursor, clock: Clock) -> None:
    (waiting, mine, parked) = cursor.lease(PLACE, VALIDITY, [11, 12, 13], 3, 60)
    cursor.again(waiting, 0, "")
    cursor.park(parked, "")
    clock.now += 1
    cursor.absent(PLACE, VALIDITY, 1, UIDSet("1:10"))
    assert cursor.unfinished(PLACE)[0] == 1
    assert [one.uid for one in cursor.parked()] == [13]
    assert cursor.mark(PLACE) == Mark(VALIDITY, UIDSet("1:10"), parked=UIDSet("13"))
    cursor.done([mine])


def test_the_floor_stays_below_what_somebody_is_at_work_on(cursor: SQLiteCursor) -> None:
    cursor.lease(PLACE, VALIDITY, [15], 1, 60)
    seen = Mark(VALIDITY, UIDSet(), floor=30, below=20, top=40, top_at=5.0, audited=6.0)
    assert cursor.looked(PLACE, seen, floor=1)
    assert cursor.mark(PLACE) == replace(seen, floor=15, below=None, done=UIDSet("1:10"))
    assert not cursor.looked(PLACE, seen, floor=1)  # another worker was first
    cursor.late(PLACE, VALIDITY, 11)
    cursor.late(PLACE, VALIDITY, 12)
    assert cursor.mark(PLACE).floor == 11  # type: ignore[union-attr]


def test_parked_messages_below_the_floor_lower_it_when_they_come_again(cursor: SQLiteCursor) -> None:
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    cursor.park(lease, "no")
    assert cursor.looked(PLACE, Mark(VALIDITY, UIDSet(), floor=30), floor=1)
    assert cursor.mark(PLACE).floor == 30  # type: ignore[union-attr]
    cursor.unpark()
    assert cursor.mark(PLACE).floor == 11  # type: ignore[union-attr]


def test_leases_are_renewed_and_never_shortened(cursor: SQLiteCursor, clock: Clock) -> None:
    leases = cursor.lease(PLACE, VALIDITY, [11, 12], 2, 60)
    cursor.extend(leases[0], 600)
    cursor.renew(leases, 120)
    clock.now += 119
    assert not cursor.lease(PLACE, VALIDITY, [11, 12], 2, 60)
    clock.now += 2
    assert uids(cursor.lease(PLACE, VALIDITY, [11, 12], 2, 60)) == [12]


def test_what_done_messages_are_known_by(cursor: SQLiteCursor) -> None:
    leases = cursor.lease(PLACE, VALIDITY, [11, 12, 13], 3, 60)
    for lease, identity in zip(leases, (b"a", b"a", None), strict=True):
        cursor.delivering(lease, identity)
    cursor.done(leases)
    assert cursor.identities(PLACE) == {b"a": 2}
    cursor.reset(PLACE, Mark(8, UIDSet("1:2")), uid_validity=VALIDITY, identities=[b"a", b"b"])
    assert cursor.identities(PLACE) == {b"a": 1, b"b": 1}


def test_a_cursor_that_was_there_and_is_gone(cursor: SQLiteCursor, path: Path) -> None:
    cursor.close()
    for file in path.parent.glob(f"{path.name}*"):
        if not file.name.endswith("-began"):
            file.unlink()
    with pytest.raises(CursorFailed, match="is gone"):
        SQLiteCursor(path)
    again = SQLiteCursor(path, again=True)
    assert again.lost
    again.close()
    with contextlib.closing(SQLiteCursor(path)) as third:
        assert not third.lost


def test_actions_are_kept_until_they_are_done(cursor: SQLiteCursor) -> None:
    leases = cursor.lease(PLACE, VALIDITY, [11, 12], 2, 60)
    cursor.done(leases, [("mark", "\\Seen")])
    assert cursor.actions(OTHER, 10) == []
    first, second = cursor.actions(PLACE, 10)
    assert [(a.uid, a.verb, a.argument) for a in (first, second)] == [(11, "mark", "\\Seen"), (12, "mark", "\\Seen")]
    cursor.acted([first])
    assert cursor.actions(PLACE, 10) == [second]


def test_done_in_the_programs_own_transaction(cursor: SQLiteCursor, path: Path, clock: Clock) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE tickets (uid INTEGER)")
    (lease, lost) = cursor.lease(PLACE, VALIDITY, [11, 12], 2, 60)
    with db:
        db.execute("INSERT INTO tickets VALUES (11)")
        cursor.done([lease], db=db)
    clock.now += 61
    cursor.lease(PLACE, VALIDITY, [12], 1, 60)

    def too_late() -> None:
        with db:
            db.execute("INSERT INTO tickets VALUES (12)")
            cursor.done([lost], db=db)

    with pytest.raises(LeaseLost):
        too_late()
    assert db.execute("SELECT uid FROM tickets").fetchall() == [(11,)]
    assert cursor.mark(PLACE) == Mark(VALIDITY, UIDSet("1:11"))
    elsewhere = sqlite3.connect(":memory:")
    with pytest.raises(ValueError, match="another database"):
        cursor.done([lost], db=elsewhere)
    db.close()
    elsewhere.close()


def test_the_programs_rollback_takes_done_back(cursor: SQLiteCursor, path: Path) -> None:
    db = sqlite3.connect(path)
    (lease,) = cursor.lease(PLACE, VALIDITY, [11], 1, 60)

    def fails() -> None:
        with db:
            cursor.done([lease], db=db)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert cursor.mark(PLACE) == Mark(VALIDITY, UIDSet("1:10"))
    cursor.done([lease])
    db.close()


def test_a_file_that_is_gone_or_another_is_said(cursor: SQLiteCursor, path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    with pytest.raises(CursorFailed, match="gone"):
        cursor.lease(PLACE, VALIDITY, [11], 1, 60)
    SQLiteCursor(path, again=True).close()
    with pytest.raises(CursorFailed, match="replaced"):
        cursor.mark(PLACE)


def test_a_version_of_tomorrow_is_refused(cursor: SQLiteCursor, path: Path) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE fastimap_cursor SET version = 2")
    db.close()
    with pytest.raises(CursorFailed, match="version 2"):
        SQLiteCursor(path)


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"From ann@example.org\n" * 100)
    with pytest.raises(CursorFailed, match="not a database"):
        SQLiteCursor(path)


def test_a_full_disk_is_said_and_nothing_is_lost(path: Path) -> None:
    cursor = SQLiteCursor(path)
    cursor.begin(PLACE, Mark(VALIDITY, UIDSet()))
    db = cursor._open()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 1}")
    done = 0

    def fill() -> None:
        nonlocal done
        for uid in range(1, 10_000, 2):
            (lease,) = cursor.lease(PLACE, VALIDITY, [uid], 1, 60)
            cursor.done([lease], [("move", "x" * 100)])
            done += 1

    with pytest.raises(CursorFailed, match="full"):
        fill()
    assert done
    db.execute(f"PRAGMA max_page_count = {pages + 1000}")
    mark = cursor.mark(PLACE)
    assert mark is not None
    assert len(mark.done) == done
    assert len(cursor.actions(PLACE, 10_000)) == done
    cursor.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # pytest's own processes have threads
def test_a_child_of_fork_has_a_connection_of_its_own(cursor: SQLiteCursor) -> None:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            cursor.done(cursor.lease(PLACE, VALIDITY, [11], 1, 60))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0
    cursor.done(cursor.lease(PLACE, VALIDITY, [12], 1, 60))
    assert cursor.mark(PLACE) == Mark(VALIDITY, UIDSet("1:12"))


def test_the_schema_is_in_the_file_with_its_comments(cursor: SQLiteCursor, path: Path) -> None:
    db = sqlite3.connect(path)
    tables = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE name LIKE 'fastimap%'"))
    db.close()
    assert len(tables) == 6
    assert all(text.strip() in SCHEMA for text in tables.values())


@pytest.mark.slow
@settings(max_examples=25)
@given(st.lists(st.integers(1, 60), unique=True))
def test_ranges_are_the_set(order: list[int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        _insert(SQLiteCursor(Path(directory, "cursor")), order)


def _insert(cursor: SQLiteCursor, order: list[int]) -> None:
    cursor.begin(PLACE, Mark(VALIDITY, UIDSet()))
    for uid in order:
        cursor.done(cursor.lease(PLACE, VALIDITY, [uid], 1, 60))
    mark = cursor.mark(PLACE)
    assert mark is not None
    assert set(mark.done) == set(order)
    db = cursor._open()
    assert db.execute("SELECT count(*) FROM fastimap_done").fetchone()[0] == len(UIDSet(order).ranges)
    cursor.close()


def _begin(path: Path) -> None:
    with SQLiteCursor(path)._transaction() as db:
        db.execute("CREATE TABLE effects (uid INTEGER)")
    SQLiteCursor(path).begin(PLACE, Mark(VALIDITY, UIDSet()))


def _work(path: Path, effects: Path, messages: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sessions.worker", path, effects, str(messages)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_programs_that_are_killed(path: Path, workers: int) -> None:
    """With effects in the cursor's database: each message has exactly one, whenever the program is killed."""
    messages = 400
    _begin(path)
    chance = random.Random(workers)
    running = [_work(path, path, messages) for _ in range(workers)]
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 0.4))
        victim = chance.randrange(workers)
        running[victim].kill()
        running[victim].communicate()
        running[victim] = _work(path, path, messages)
    for worker in running:
        assert worker.wait(60) == 0
        worker.communicate()
    db = sqlite3.connect(path)
    found = collections.Counter(uid for (uid,) in db.execute("SELECT uid FROM effects"))
    db.close()
    assert found == dict.fromkeys(range(1, messages + 1), 1)


@pytest.mark.slow
def test_effects_elsewhere_are_at_least_once(path: Path, tmp_path: Path) -> None:
    """Without a shared transaction an effect may repeat, but not after its done() was durable."""
    messages = 200
    elsewhere = tmp_path / "effects"
    _begin(path)
    db = sqlite3.connect(elsewhere)
    with db:
        db.execute("CREATE TABLE effects (uid INTEGER)")
    chance = random.Random(2)
    durable: list[int] = []
    for _ in range(KILLS):
        worker = _work(path, elsewhere, messages)
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.1))
        worker.kill()
        durable += map(int, worker.communicate()[0].split())
    worker = _work(path, elsewhere, messages)
    durable += map(int, worker.communicate()[0].split()[2:])
    found = collections.Counter(uid for (uid,) in db.execute("SELECT uid FROM effects"))
    db.close()
    assert set(found) == set(range(1, messages + 1))
    assert len(durable) == len(set(durable))
