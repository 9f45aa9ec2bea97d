"""Messages on their way to the destination, by several connections at once, each of them exactly once.

What is about to be sent is noted before. Where answers were lost, the destination is looked at; nobody else sends then,
so that what is found there can't be what another connection is sending, and has no answer to yet.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ...clients.blocking import Client
from ...commands.append import AppendMessage
from ...errors import CommandError, ConnectionLost, FastimapError, OverQuota, PoolTimeout, ProtocolError
from ...model.sequence_set import UIDSet
from ...sessions.alike import digest, message_id_of
from ...sessions.pool import Pool
from ...sessions.retry import Attempts, Retry
from ...settings import Account
from ..watching import Stop, Watch
from .jobs import Job
from .ledger import Intent, Ledger
from .matching import Destined, paired
from .options import Options
from .sources import About, Taken, compressed

__all__ = ["APART", "BUDGETS", "Sender"]

BUDGETS = {"imap.gmail.com": 500_000_000, "imap.googlemail.com": 500_000_000}
"""Octets that providers let be uploaded a day, by host, less than which is sent unless a budget is given."""
APART = 5.0
"""Seconds between the two looks at a destination that does not have what was sent."""
_GROUP = 500
_GROUP_OCTETS = 4 * 1024 * 1024
_AHEAD = 2 * _GROUP_OCTETS
"""Octets that may wait to be sent; one message more than that does, where it is larger."""
_PIECE = 0.5
_HOPELESS = 10
"""Messages in a row that are refused, and not one taken: it is not the messages."""


class Gate:
    """Many may send together; who looks at what came of it is alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sending = 0
        self._looking = 0
        self._one = threading.Lock()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._looking)
            self._sending += 1
        try:
            yield
        finally:
            with self._changed:
                self._sending -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._looking += 1  # from now on nobody begins to send
        try:
            with self._one:
                with self._changed:
                    self._changed.wait_for(lambda: not self._sending)
                yield
        finally:
            with self._changed:
                self._looking -= 1
                self._changed.notify_all()


class Sender:
    """What sends to a destination.

    :param watch: of the run.
    """

    def __init__(self, account: Account, options: Options, ledger: Ledger, name: str, watch: Watch) -> None:
        self.name = name
        """Of the destination."""
        self.host: str = account.host
        self.options = options
        self.ledger = ledger
        self.watch = watch
        self.retry: Retry = replace(options.retry or Retry(), sleep=watch.sleep)
        self.pool: Pool = Pool(account, connections=options.connections, retry=self.retry)
        self.budget: int | None = options.budget if options.budget is not None else BUDGETS.get(account.host.lower())
        self.limit: int | None = None
        """Octets of a message that the destination takes at most."""
        self._most: int = min(_GROUP_OCTETS, max(self.budget // 10, 1)) if self.budget else _GROUP_OCTETS
        self._lock = threading.RLock()  # of the ledger, the reports and the progress
        self._gate = Gate()

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """Lend the connection of the caller's thread, which lasts as long as the run."""
        try:
            with self.pool.client(timeout=None) as client:
                compressed(client, self.host)
                yield client
        finally:
            self.pool.close()

    def too_large(self, octets: int) -> str | None:
        """Return why a message of so many octets can't be sent; None: it can."""
        if self.limit is None or octets <= self.limit:
            return None
        return f"{octets} octets: the destination takes {self.limit} at most"

    # By several connections.

    def carry(self, client: Client, job: Job, batches: Iterable[list[Taken]]) -> None:
        """Send messages, and note where they are.

        :param client: a connection that has the mailbox selected; others are opened as there is work for them.
        :param batches: read in this thread, while those before are sent.
        """
        crew = _Crew(self, client, job)
        try:
            try:
                for group in _groups(batches, self._most):
                    crew.put(group)
            except FastimapError:  # where the source fails, what it gave before is sent
                crew.finish()
                raise
            crew.finish()
        finally:
            crew.end()

    def send(self, client: Client, job: Job, group: list[Taken]) -> None:
        """Send messages by one connection, until all have been answered."""
        since = job.uid_next
        intents = {taken.uid: _intent(taken, since) for taken in group if taken.octets is not None}
        with self._lock:
            ready = self._ready(client, job, group)
            octets = sum(len(taken.octets or b"") for taken in ready.values())
            self._spend(octets)
            self.ledger.intend(job.known, [intents[uid] for uid in ready])
        sent: list[int] = []
        attempts = Attempts(self.retry)
        while ready:
            before = len(ready)
            refused: list[tuple[Taken, CommandError]] = []
            try:
                with self._gate.together():
                    self._send(client, job, ready, sent, refused)
                if refused:
                    with self._gate.alone():
                        for taken, refusal in refused:
                            self._refused(client, job, ready, sent, taken, refusal)
            except (ConnectionLost, ProtocolError) as exc:
                if len(ready) < before:
                    attempts.progress()
                self.watch.sleep(attempts.failed(exc))
                with self._gate.alone():
                    self._found(client, job, ready, sent, {uid: intents[uid] for uid in ready}, since)
            finally:
                with self._lock:
                    job.report.written_uids |= UIDSet(sent)
                    sent.clear()
        with self._lock:
            job.report.octets += octets
            self.ledger.commit()

    def _ready(self, client: Client, job: Job, group: list[Taken]) -> dict[int, Taken]:
        """Return those that can be sent; park the others."""
        ready: dict[int, Taken] = {}
        for taken in group:
            if taken.octets is None:
                reason: str | None = taken.reason
            elif b"\0" in taken.octets and not client.session.has("BINARY"):
                reason = "it holds NUL, and the destination takes none (BINARY)"
            else:
                reason = self.too_large(len(taken.octets))
            if reason is None:
                ready[taken.uid] = taken
            else:
                self.ledger.park(job.known, taken.uid, reason)
        return ready

    def _spend(self, octets: int) -> None:
        if not self.budget:
            return
        today = datetime.now(UTC).date().isoformat()
        spent = self.ledger.spent(self.name, today)
        if spent and spent + octets > self.budget:  # a larger message has a day of its own
            tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            raise Stop(f"the budget of {self.budget} octets a day is used up", tomorrow)
        self.ledger.spend(self.name, today, octets)

    def _send(
        self,
        client: Client,
        job: Job,
        ready: dict[int, Taken],
        sent: list[int],
        refused: list[tuple[Taken, CommandError]],
    ) -> None:
        """Send messages once, and take out of `ready` what has been answered. Raises where answers were lost."""
        messages = list(ready.values())
        if len(messages) > 1 and client.session.has("MULTIAPPEND"):
            try:
                result = client.multi_append(job.name, [_made(job, taken) for taken in messages])
            except CommandError:
                pass  # all or none: which of them it is, or how many there is room for, shows one by one
            else:
                ours = result.uids is not None and result.uid_validity == job.known.uid_validity
                uids = list(result.uids or ()) if ours else []
                if len(uids) != len(messages):
                    uids = []
                self._sent(job, ready, sent, [(taken, uids[n] if uids else None) for n, taken in enumerate(messages)])
                return
        pending: list[tuple[Taken, Any]] = []
        try:
            with client.pipeline() as pipeline:
                pending.extend(
                    (taken, pipeline.append(job.name, **_arguments(_made(job, taken)))) for taken in messages
                )
        finally:
            answered = []
            for taken, answer in pending:
                if answer.done:
                    try:
                        result = answer.result()
                    except CommandError as exc:
                        refused.append((taken, exc))
                    except FastimapError:
                        pass
                    else:
                        ours = result.uid_validity == job.known.uid_validity
                        answered.append((taken, result.uid if ours else None))
            self._sent(job, ready, sent, answered)
        if len(ready) > len(refused):
            for _, answer in pending:
                answer.result()  # raises what was lost

    def _sent(
        self,
        job: Job,
        ready: dict[int, Taken],
        sent: list[int],
        there: Iterable[tuple[Taken, int | None]],
        flags: list[str] | None = None,
    ) -> None:
        """Note messages that are there."""
        there = list(there)
        with self._lock:
            self.ledger.insert(job.known, [(taken.uid, at, taken.flags) for taken, at in there])
            for taken, at in there:
                del ready[taken.uid]
                named = taken.flags.split()
                for flag in set(named) - set(job.allowed(named) if flags is None else flags):
                    job.left_out[flag] += 1
                job.refused = 0
                job.report.written += 1
                sent.append(taken.uid)
                if at is not None:
                    job.uid_next = max(job.uid_next, at + 1)
                self.watch.count(1, len(taken.octets or b""))

    def _refused(
        self, client: Client, job: Job, ready: dict[int, Taken], sent: list[int], taken: Taken, error: CommandError
    ) -> None:
        """Send a message that was refused with less beside it; park it, if that is refused too."""
        if isinstance(error, OverQuota):
            self._full(job, ready, error)
        kinds = [(False, True)] if any(not flag.startswith("\\") for flag in taken.flags.split()) else []
        kinds += [(True, False), (False, False)] if taken.date is not None else []
        for keywords, date in kinds:
            made = _made(job, taken, keywords=keywords, date=date)
            try:
                result = client.append(job.name, **_arguments(made))
            except OverQuota as full:
                self._full(job, ready, full)
            except CommandError:
                continue
            there = result.uid if result.uid_validity == job.known.uid_validity else None
            self._sent(job, ready, sent, [(taken, there)], list(made.flags))
            job.mended += not date
            return
        del ready[taken.uid]
        with self._lock:
            self.ledger.park(job.known, taken.uid, f"the destination refuses it: {error}")
            job.refused += 1
            if job.refused >= _HOPELESS and not job.report.written:
                raise error

    def _full(self, job: Job, ready: dict[int, Taken], error: OverQuota) -> None:
        with self._lock:
            self.ledger.forget_intents(job.known, ready)
        raise Stop(f"the destination is full: {error}")

    # Looked for.

    def _found(
        self,
        client: Client,
        job: Job,
        ready: dict[int, Taken],
        sent: list[int],
        intents: dict[int, Intent],
        since: int,
    ) -> None:
        """Look at the destination for messages whose answers were lost; twice, as the server may still commit."""
        with self._lock:
            self.ledger.commit()
        for look in (1, 2):
            if look == 2:
                self.watch.sleep(APART)
            present = job.uids_there(client)
            with self._lock:
                unknown = present - self.ledger.known(self.name, job.known)
            there = Destined(client, UIDSet([range(since, 2**32 - 1)]) & unknown)
            abouts = [About(uid, intents[uid].size, intents[uid].message_id) for uid in ready]
            pairs, others = paired(abouts, there, {uid: each.digest for uid, each in intents.items()}.get)
            self._sent(job, ready, sent, [(ready[uid], at) for uid, at in pairs.items()])
            if not ready:
                return
        with self._lock:
            for uid in self.doubtful(job, others, there, intents):
                del ready[uid]

    def doubtful(self, job: Job, abouts: Mapping[int, About], there: Destined, intents: Mapping[int, Intent]) -> UIDSet:
        """Park those that may have been sent, and are not there as they were; return these."""
        doubtful = []
        for uid, about in abouts.items():
            like = there.like(about.message_id, intents[uid].uid_next)
            if like and self.options.on_doubt == "report":
                reason = f"perhaps it is there as UID {like[0]}, changed by the server: a run was cut as it was sent"
                self.ledger.park(job.known, uid, reason, doubtful=True)
                doubtful.append(uid)
        return UIDSet(doubtful)


class _Crew:
    """The threads that send the messages of one mailbox, each by a connection of its own."""

    def __init__(self, sender: Sender, client: Client, job: Job) -> None:
        self._sender = sender
        self._client = client
        self._job = job
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._waiting: deque[list[Taken]] = deque()
        self._octets = 0
        self._closed = False
        self._error: BaseException | None = None

    def put(self, group: list[Taken]) -> None:
        """Have messages sent, as soon as there is room for them. Raises what another group failed of."""
        octets = _octets(group)
        with self._changed:
            self._hire()
        while True:
            with self._changed:
                if self._error is None and (not self._waiting or self._octets + octets <= _AHEAD):
                    self._waiting.append(group)
                    self._octets += octets
                    self._changed.notify()
                    break
                self._look()
        self._tell()

    def finish(self) -> None:
        """Wait until all are sent. Raises what one failed of."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        while True:
            with self._changed:
                if not any(thread.is_alive() for thread in self._threads):
                    break
                self._look()
            self._tell()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Have the threads end, after the messages that they are sending."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        watch = self._sender.watch
        watch.over = True
        try:
            for thread in self._threads:
                thread.join()
        finally:
            watch.over = False

    def _look(self) -> None:
        if self._error is not None:
            raise self._error
        self._changed.wait(_PIECE)

    def _tell(self) -> None:
        self._sender.watch.tell()
        self._sender.watch.check()

    def _hire(self) -> None:
        """Begin another thread, if there is more to do than those do that there are."""
        if not self._threads or (self._waiting and len(self._threads) < self._sender.options.connections):
            work = self._beside if self._threads else self._first
            thread = threading.Thread(target=self._guarded, args=(work,), name="fastimap-send", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except BaseException as exc:
            with self._changed:
                if self._error is None:
                    self._error = exc
                self._waiting.clear()
        finally:
            with self._changed:
                self._changed.notify_all()

    def _first(self) -> None:
        self._serve(self._client)

    def _beside(self) -> None:
        """Send by another connection, if there may be one."""
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    client = stack.enter_context(self._sender.pool.client(timeout=_PIECE))
                    break
                except PoolTimeout:
                    if self._closed:
                        return
                except (FastimapError, OSError) as exc:  # those that there are do it
                    with self._changed:
                        self._job.report.notes.append(f"with fewer connections: {exc}")
                    return
            compressed(client, self._sender.host)
            self._serve(client)

    def _serve(self, client: Client) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                group = self._waiting.popleft()
                self._octets -= _octets(group)
                self._changed.notify_all()
            self._sender.send(client, self._job, group)


def _octets(group: list[Taken]) -> int:
    return sum(len(taken.octets or b"") for taken in group)


def _made(job: Job, taken: Taken, *, keywords: bool = True, date: bool = True) -> AppendMessage:
    flags = job.allowed(taken.flags.split(), keywords=keywords)
    octets = taken.octets or b""
    return AppendMessage(octets, flags, taken.date if date else None, binary=b"\0" in octets)


def _arguments(made: AppendMessage) -> dict[str, Any]:
    return {
        "message": made.message,
        "flags": made.flags,
        "internal_date": made.internal_date,
        "binary": made.binary,
    }


def _groups(batches: Iterable[list[Taken]], most: int) -> Iterator[list[Taken]]:
    """Yield messages that are sent together, of so many octets at most; an error comes after what was before it."""
    group: list[Taken] = []
    octets = 0
    try:
        for batch in batches:
            for taken in batch:
                size = len(taken.octets or b"")
                if group and (len(group) >= _GROUP or octets + size > most):
                    yield group
                    group, octets = [], 0
                group.append(taken)
                octets += size
    except FastimapError:
        if group:
            yield group
        raise
    if group:
        yield group


def _intent(taken: Taken, uid_next: int) -> Intent:
    octets = taken.octets or b""
    bare = octets.count(b"\n") - octets.count(b"\r\n")  # servers store CRLF
    return Intent(taken.uid, uid_next, len(octets) + bare, message_id_of(octets), digest([octets]), taken.flags)
