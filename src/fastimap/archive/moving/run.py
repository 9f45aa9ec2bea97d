"""One run of a push or a migration: mailbox by mailbox, exactly once, every message accounted for."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ...clients.blocking import Client
from ...commands.append import AppendMessage
from ...commands.select import SelectedMailbox
from ...errors import CommandError, ConnectionLost, FastimapError, MailboxExists, OverQuota, ProtocolError
from ...model.headers import Headers
from ...model.responses import MailboxInfo
from ...model.sequence_set import UIDSet
from ...sessions.alike import digest, message_id
from ...sessions.retry import Attempts, Retry, seconds_to_sleep
from ...settings import Account
from ...wire import encode
from ..errors import ArchiveError
from ..options import most_deleted
from ..report import MailboxReport, Progress, Report
from .ledger import Intent, Ledger, Pair
from .matching import Destined, paired
from .names import Shape, mapped
from .sources import About, Box, Rules, Source, Taken, shape_of

__all__ = ["BUDGETS", "Options", "Run"]

BUDGETS = {"imap.gmail.com": 500_000_000, "imap.googlemail.com": 500_000_000}
"""Octets that providers let be uploaded a day, by host, less than which is sent unless a budget is given."""
_APART = 5.0
"""Seconds between the two looks at a destination that does not have what was sent."""
_GROUP = 200
_GROUP_OCTETS = 4 * 1024 * 1024
_BLOCK = 5000
_HOPELESS = 10
"""Messages in a row that are refused, and not one taken: it is not the messages."""
_GONE = "gone meanwhile"


class _Stop(Exception):
    """A limit is reached, or somebody asked to stop."""

    def __init__(self, reason: str, go_on_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.go_on_at = go_on_at


class _NotNow(Exception):
    """The first connections did not come about; nothing is to be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parameters of `push` and `migrate`, checked."""

    mailboxes: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    deleted: Literal["keep", "delete"] = "keep"
    max_delete: str | int | None = None
    on_doubt: Literal["report", "send"] = "report"
    subscribe: bool = True
    dry_run: bool = False
    budget: int | None = None
    retry: Retry = field(default_factory=Retry)
    progress: Callable[[Progress], object] | None = None
    stopping: Callable[[], bool] | None = None

    def __post_init__(self) -> None:
        if self.deleted not in ("keep", "delete"):
            raise ValueError(f"deleted is keep or delete, not {self.deleted!r}")
        if self.on_doubt not in ("report", "send"):
            raise ValueError(f"on_doubt is report or send, not {self.on_doubt!r}")
        if isinstance(self.mailboxes, str) or isinstance(self.exclude, str):
            raise TypeError("mailboxes and exclude are lists of names")
        for name, value in (("budget", self.budget), ("max_size", self.rules.max_size)):
            if value is not None and (not isinstance(value, int) or value < 0):
                raise ValueError(f"{name} is a number from 0, not {value!r}")
        most_deleted(self.max_delete, 0)


@dataclass(slots=True)
class _Job:
    """A mailbox of this run."""

    box: Box
    name: str
    """At the destination."""
    there: MailboxInfo | None
    report: MailboxReport
    pair: Pair | None = None
    selected: SelectedMailbox | None = None
    uid_next: int = 1
    gone: UIDSet = field(default_factory=UIDSet)
    left_out: Counter[str] = field(default_factory=Counter)
    mended: int = 0
    sent: list[int] = field(default_factory=list)
    """UIDs that the report does not have yet."""
    refused: int = 0
    """In a row."""


class Run:
    """Carry what a source has to an account."""

    def __init__(self, account: Account, options: Options, ledger: Ledger, name: str) -> None:
        self.options = options
        self.ledger = ledger
        self.name = name
        """Of the destination."""
        self.report: Report = Report(store=name, dry_run=options.dry_run)
        self.connected: bool = False
        self.began: float = time.monotonic()
        self.current: tuple[str, int, int, int] = ("", 0, 0, 0)
        self.done: int = 0
        self.octets: int = 0
        self.sleep: Callable[[float], object] = options.retry.sleep or time.sleep
        self.retry: Retry = replace(options.retry, sleep=self._sleep)
        self.client: Client = Client(account, retry=self.retry)
        self.budget: int | None = options.budget if options.budget is not None else BUDGETS.get(account.host.lower())
        self.most: int = min(_GROUP_OCTETS, max(self.budget // 10, 1)) if self.budget else _GROUP_OCTETS
        self.limit: int | None = None
        self.lost: ConnectionLost | None = None

    # The whole.

    def run(self, source: Source, connect: Callable[[], object] = lambda: None) -> Report:
        report = self.report
        report.account = source.name
        try:
            try:
                connect()
                self.client.connect()
                self.connected = True
                self._check()
                jobs = self._plan(source)
                for job in jobs:
                    self._attempt(source, job)
                if self.options.dry_run:
                    self._fits(jobs)
                else:
                    self._dispose(source, jobs)
            except _NotNow as exc:
                raise (exc.__context__ or exc) from None
            except _Stop as stop:
                report.stopped = str(stop)
                report.go_on_at = stop.go_on_at
            finally:
                if self.options.dry_run:
                    self.ledger.rollback()
                else:
                    self.ledger.commit()
        finally:
            self.client.close()
        return report

    def _sleep(self, seconds: float) -> None:
        if not self.connected:
            raise _NotNow
        self._tell(f"waiting {seconds:.0f} s")
        until = time.monotonic() + seconds_to_sleep(seconds)
        while (left := until - time.monotonic()) > 0:
            self._check()
            self.sleep(min(left, 0.5))

    def _check(self) -> None:
        if self.options.stopping is not None and self.options.stopping():
            raise _Stop("asked to stop")

    def _tell(self, waiting: str | None = None) -> None:
        if self.options.progress is not None:
            self.options.progress(
                Progress(*self.current, self.done, self.octets, time.monotonic() - self.began, waiting)
            )

    # Which mailboxes, and what they are called.

    def _plan(self, source: Source) -> list[_Job]:
        client = self.client
        boxes = source.boxes()
        shape, _ = shape_of(client)
        infos = {info.name: info for info in client.list_mailboxes()}
        uses: dict[str, MailboxInfo] = {}
        for info in infos.values():
            if info.is_selectable:
                for use in info.special_use:
                    uses.setdefault(use, info)
        for capability in client.capabilities:
            name, _, value = capability.partition("=")
            if name == "APPENDLIMIT" and value.isdigit():
                self.limit = int(value)
        chosen = self._chosen(boxes)
        self.report.excluded |= {box.name: "exclude" for box in boxes if box not in chosen}
        jobs = []
        taken: dict[str, str] = {}
        for box in sorted(chosen, key=lambda box: (box.name != "INBOX", box.name)):
            name = self._name(box, source.shape, shape, uses)
            report = self.report.mailboxes[box.name] = MailboxReport(box.name)
            if name in taken:
                report.notes.append(f"into {name}, as {taken[name]} is")
            elif name != box.name:
                report.notes.append(f"into {name}")
            taken.setdefault(name, box.name)
            found = infos.get(name)
            jobs.append(_Job(box, name, found if found is not None and found.is_selectable else None, report))
        return jobs

    def _chosen(self, boxes: list[Box]) -> list[Box]:
        def named(box: Box, names: Iterable[str]) -> bool:
            return any(name in box.special_use or name == box.name for name in names)

        options = self.options
        for name in options.mailboxes or ():
            if not any(named(box, [name]) for box in boxes):
                self.report.mailboxes[name] = MailboxReport(name, error="there is no such mailbox")
        chosen = boxes if options.mailboxes is None else [box for box in boxes if named(box, options.mailboxes)]
        return [box for box in chosen if not named(box, options.exclude)]

    def _name(self, box: Box, source: Shape, destination: Shape, uses: dict[str, MailboxInfo]) -> str:
        if box.name in self.options.rename:
            return self.options.rename[box.name]
        for use in sorted(box.special_use):
            if use in uses:
                return uses.pop(use).name
        return mapped(box.name, box.shape or source, destination)

    # A mailbox.

    def _attempt(self, source: Source, job: _Job) -> None:
        if self.lost is not None:
            job.report.error = f"not looked at: {self.lost}"
            return
        self._check()
        self.current = (job.box.name, 0, 0, 0)
        self._tell()
        try:
            self._mailbox(source, job)
        except ArchiveError:
            raise
        except FastimapError as exc:
            job.report.error = f"{exc}"
            if isinstance(exc, ConnectionLost):
                self.lost = exc
        finally:
            self._note(job)

    def _note(self, job: _Job) -> None:
        for flag, count in sorted(job.left_out.items()):
            job.report.notes.append(f"{flag}: not taken by the destination, left out of {count}")
        if job.mended:
            job.report.notes.append(f"{job.mended} dates were not taken by the destination, and left out")
        if job.pair is not None:
            job.report.parked = self.ledger.parked(job.pair)

    def _mailbox(self, source: Source, job: _Job) -> None:
        ledger, report, options = self.ledger, job.report, self.options
        validity = source.begin(job.box)
        uids = source.uids()
        report.found = len(uids)
        if not self._open(job):
            assert options.dry_run
            self._would(source, job, source.wanted(uids, options.rules, report.excluded))
            return
        assert job.selected is not None
        job.pair = pair = ledger.pair(
            source.name, job.box.name, validity, self.name, job.name, job.selected.uid_validity or 0
        )
        known = ledger.uids(pair)
        known &= uids
        report.present = len(known)
        if parked := ledger.parked(pair):
            ledger.unpark(pair, UIDSet(parked) - uids)
        todo = source.wanted(uids - known, options.rules, report.excluded)
        matched = self._match(source, job, todo, uids)
        todo -= matched
        job.gone = ledger.uids(pair) - uids
        report.gone = len(job.gone)
        if options.dry_run:
            self._would(source, job, todo)
            return
        self.current = (job.box.name, 0, len(todo), 0)
        self._follow(source, job, known, pair.mod_sequence)
        self._follow(source, job, matched & ledger.uids(pair), None)
        got: set[int] = set()
        for block in todo.chunks(_BLOCK):
            for group in _groups(source.messages(block), self.most):
                self._carry(job, group)
                got.update(taken.uid for taken in group)
                self._tell()
                self._check()
        if len(got) != len(todo):
            missing = todo - UIDSet(got)
            there = source.uids() & missing
            for uid in there:
                ledger.park(pair, uid, "the source leaves it out of its answers")
            if gone := len(missing) - len(there):
                report.excluded[_GONE] = gone
        ledger.set_mod_sequence(pair, source.mod_sequence)
        ledger.commit()
        report.parked = ledger.parked(pair)
        if report.accounted != report.found:
            report.error = (
                f"not all is accounted for: the source has {report.found} messages; {report.written} sent, "
                f"{report.present} there, {sum(report.excluded.values())} excluded, {len(report.parked)} parked"
            )

    def _open(self, job: _Job) -> bool:
        """Select the mailbox at the destination, made if it is not there; whether there is one."""
        client = self.client
        if job.there is None and job.name != "INBOX":
            if self.options.dry_run:
                job.report.notes.append(f"{job.name} would be made")
                return False
            uses = sorted(job.box.special_use) if client.session.has("CREATE-SPECIAL-USE") else []
            self._again(lambda: self._make(job, uses))
        if self.options.subscribe and job.box.subscribed and not self.options.dry_run:
            with suppress(CommandError):
                self._again(lambda: client.subscribe(job.name))
        job.selected = client.select(job.name)
        if job.selected.uid_validity is None:
            raise FastimapError("the destination gives the mailbox no UIDVALIDITY: it could not be found again")
        if job.selected.read_only:
            raise FastimapError("the destination lets the mailbox be read only")
        job.uid_next = job.selected.uid_next or 1
        return True

    def _make(self, job: _Job, uses: list[str]) -> None:
        with suppress(MailboxExists):
            try:
                self.client.create_mailbox(job.name, special_use=uses)
            except MailboxExists:
                raise
            except CommandError:
                if not uses:
                    raise
                self.client.create_mailbox(job.name)

    def _again(self, do: Callable[[], object]) -> None:
        """Do what changes nothing the second time, until it was answered."""
        attempts = Attempts(self.retry)
        while True:
            try:
                do()
            except (ConnectionLost, ProtocolError) as exc:
                self._sleep(attempts.failed(exc))
            else:
                return

    # What is there already.

    def _match(self, source: Source, job: _Job, todo: UIDSet, uids: UIDSet) -> UIDSet:
        """Find those messages that the destination has, of this or of another program; return those that are done."""
        ledger, pair, report = self.ledger, job.pair, job.report
        assert pair is not None
        intents = ledger.intents(pair)
        unplaced = ledger.unplaced(pair)
        wanted = todo | (unplaced & uids)
        # What was being sent, and is gone at the source by now, is known by what was noted of it.
        noted = {uid: intent for uid, intent in intents.items() if uid not in uids}
        done = UIDSet()

        def digest_of(uid: int) -> bytes | None:
            if uid in noted:
                return noted[uid].digest
            octets = source.octets(uid)
            return None if octets is None else digest([octets])

        for look in (1, 2):
            unknown = self._there(job) - ledger.known(self.name, pair)
            if unknown and (wanted or noted):
                there = Destined(self.client, unknown)
                former = [About(uid, intent.size, intent.message_id) for uid, intent in noted.items()]
                pairs, others = paired(itertools.chain(source.about(wanted), former), there, digest_of)
                ledger.insert(pair, [(uid, pairs[uid], "") for uid in noted if uid in pairs])
                noted = {uid: intent for uid, intent in noted.items() if uid not in pairs}
                ledger.place(pair, {uid: at for uid, at in pairs.items() if uid in unplaced})
                new = [uid for uid in pairs if uid in todo and uid not in unplaced]
                ledger.insert(pair, [(uid, pairs[uid], "") for uid in new])  # flags follow
                report.present += len(new)
                report.moved += len(new)
                done |= UIDSet(new)
                wanted -= UIDSet(pairs)
            else:
                there, others = None, {}
            left = wanted & UIDSet(intents)
            if not left and not noted:
                break
            if look == 1:
                self._pause()
                continue
            if there is not None:
                done |= self._doubtful(job, {uid: others[uid] for uid in left if uid in others}, there, intents)
        if not self.options.dry_run:
            ledger.forget_intents(pair, intents)
            ledger.commit()
        return done

    def _there(self, job: _Job) -> UIDSet:
        client = self.client
        client.noop()
        return client.search().uids if client.session.exists else UIDSet()

    def _pause(self) -> None:
        if not self.options.dry_run:
            self._sleep(_APART)

    def _doubtful(self, job: _Job, abouts: dict[int, About], there: Destined, intents: Mapping[int, Intent]) -> UIDSet:
        """Park those that may have been sent, and are not there as they were; return these."""
        assert job.pair is not None
        doubtful = []
        for uid, about in abouts.items():
            like = there.like(about.message_id, intents[uid].uid_next)
            if like and self.options.on_doubt == "report":
                reason = f"perhaps it is there as UID {like[0]}, changed by the server: a run was cut as it was sent"
                self.ledger.park(job.pair, uid, reason)
                doubtful.append(uid)
        return UIDSet(doubtful)

    # Sending.

    def _carry(self, job: _Job, group: list[Taken]) -> None:
        """Send messages, and note where they are."""
        ledger, pair, report = self.ledger, job.pair, job.report
        assert pair is not None
        ready: dict[int, Taken] = {}
        for taken in group:
            if taken.octets is None:
                ledger.park(pair, taken.uid, taken.reason)
            elif self.limit is not None and len(taken.octets) > self.limit:
                ledger.park(pair, taken.uid, f"{len(taken.octets)} octets: the destination takes {self.limit} at most")
            elif b"\0" in taken.octets and not self.client.session.has("BINARY"):
                ledger.park(pair, taken.uid, "it holds NUL, and the destination takes none (BINARY)")
            else:
                ready[taken.uid] = taken
        octets = sum(len(taken.octets or b"") for taken in ready.values())
        self._spend(octets)
        since = job.uid_next
        ledger.intend(pair, [_intent(taken, since) for taken in ready.values()])
        attempts = Attempts(self.retry)
        while ready:
            try:
                self._send(job, ready)
            except (ConnectionLost, ProtocolError) as exc:
                self._sleep(attempts.failed(exc))
                self._found(job, ready, since)
        report.octets += octets
        report.written_uids |= UIDSet(job.sent)
        job.sent = []
        ledger.commit()

    def _spend(self, octets: int) -> None:
        if not self.budget:
            return
        today = datetime.now(UTC).date().isoformat()
        spent = self.ledger.spent(self.name, today)
        if spent and spent + octets > self.budget:  # a larger message has a day of its own
            tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            raise _Stop(f"the budget of {self.budget} octets a day is used up", tomorrow)
        self.ledger.spend(self.name, today, octets)

    def _send(self, job: _Job, ready: dict[int, Taken]) -> None:
        """Send messages once, and take out of `ready` what has been answered. Raises where answers were lost."""
        client = self.client
        messages = list(ready.values())
        if len(messages) > 1 and client.session.has("MULTIAPPEND"):
            try:
                result = client.multi_append(job.name, [self._made(job, taken) for taken in messages])
            except OverQuota:
                pass  # one by one, as many as there is room for
            except CommandError:
                pass  # all or none: which of them it is shows one by one
            else:
                uids = (
                    list(result.uids) if result.uids is not None and result.uid_validity == self._validity(job) else []
                )
                if len(uids) != len(messages):
                    uids = []
                for number, taken in enumerate(messages):
                    self._sent(job, ready, taken, uids[number] if uids else None)
                return
        refused: list[tuple[Taken, CommandError]] = []
        pending: list[tuple[Taken, Any]] = []
        try:
            with client.pipeline() as pipeline:
                for taken in messages:
                    made = self._made(job, taken)
                    pending.append((taken, pipeline.append(job.name, **_arguments(made))))
        finally:
            for taken, answer in pending:
                if answer.done:
                    try:
                        result = answer.result()
                    except CommandError as exc:
                        refused.append((taken, exc))
                    except FastimapError:
                        pass
                    else:
                        ours = result.uid_validity == self._validity(job)
                        self._sent(job, ready, taken, result.uid if ours else None)
        for taken, refusal in refused:
            self._refused(job, ready, taken, refusal)
        if any(taken.uid in ready for taken in messages):
            for _, answer in pending:
                answer.result()  # raises what was lost

    def _validity(self, job: _Job) -> int:
        assert job.pair is not None
        return job.pair.uid_validity

    def _made(self, job: _Job, taken: Taken, *, keywords: bool = True, date: bool = True) -> AppendMessage:
        flags = self._allowed(job, taken.flags.split(), keywords=keywords)
        octets = taken.octets or b""
        return AppendMessage(octets, flags, taken.date if date else None, binary=b"\0" in octets)

    def _allowed(self, job: _Job, flags: Iterable[str], *, keywords: bool = True) -> list[str]:
        """Return the flags that the destination's mailbox keeps."""
        assert job.selected is not None
        permanent = job.selected.permanent_flags
        kept = None if permanent is None else {flag.lower() for flag in permanent}
        allowed = []
        for flag in flags:
            new = not flag.startswith("\\")
            if kept is not None and flag.lower() not in kept and not (new and "\\*" in kept):
                continue
            if new and not keywords:
                continue
            try:
                encode.flag(flag)
            except (ValueError, TypeError):
                continue
            allowed.append(flag)
        return allowed

    def _sent(
        self, job: _Job, ready: dict[int, Taken], taken: Taken, there: int | None, *, flags: list[str] | None = None
    ) -> None:
        """Note a message that is there."""
        assert job.pair is not None
        del ready[taken.uid]
        allowed = self._allowed(job, taken.flags.split()) if flags is None else flags
        for flag in set(taken.flags.split()) - set(allowed):
            job.left_out[flag] += 1
        self.ledger.insert(job.pair, [(taken.uid, there, taken.flags)])
        job.refused = 0
        job.report.written += 1
        job.sent.append(taken.uid)
        if there is not None:
            job.uid_next = max(job.uid_next, there + 1)
        size = len(taken.octets or b"")
        self.done += 1
        self.octets += size
        name, done, total, octets = self.current
        self.current = (name, done + 1, total, octets + size)

    def _refused(self, job: _Job, ready: dict[int, Taken], taken: Taken, error: CommandError) -> None:
        """Send a message that was refused with less beside it; park it, if that is refused too."""
        assert job.pair is not None
        if isinstance(error, OverQuota):
            self._full(job, ready, error)
        kinds = [(False, True)] if any(not flag.startswith("\\") for flag in taken.flags.split()) else []
        kinds += [(True, False), (False, False)] if taken.date is not None else []
        for keywords, date in kinds:
            made = self._made(job, taken, keywords=keywords, date=date)
            try:
                result = self.client.append(job.name, **_arguments(made))
            except OverQuota as full:
                self._full(job, ready, full)
            except CommandError:
                continue
            there = result.uid if result.uid_validity == self._validity(job) else None
            self._sent(job, ready, taken, there, flags=list(made.flags))
            job.mended += not date
            return
        del ready[taken.uid]
        self.ledger.park(job.pair, taken.uid, f"the destination refuses it: {error}")
        job.refused += 1
        if job.refused >= _HOPELESS and not job.report.written:
            raise error

    def _full(self, job: _Job, ready: dict[int, Taken], error: OverQuota) -> None:
        assert job.pair is not None
        self.ledger.forget_intents(job.pair, ready)
        raise _Stop(f"the destination is full: {error}")

    def _found(self, job: _Job, ready: dict[int, Taken], since: int) -> None:
        """Look at the destination for messages whose answers were lost; twice, as the server may still commit."""
        pair = job.pair
        assert pair is not None
        self.ledger.commit()
        for look in (1, 2):
            if look == 2:
                self._sleep(_APART)
            unknown = self._there(job) - self.ledger.known(self.name, pair)
            there = Destined(self.client, UIDSet([range(since, 2**32 - 1)]) & unknown)
            intents = {uid: _intent(taken, since) for uid, taken in ready.items()}
            abouts = [About(uid, intent.size, intent.message_id) for uid, intent in intents.items()]
            pairs, others = paired(abouts, there, {uid: each.digest for uid, each in intents.items()}.get)
            for uid, at in pairs.items():
                self._sent(job, ready, ready[uid], at)
            if not ready:
                return
        doubtful = self._doubtful(job, others, there, intents)
        for uid in doubtful:
            del ready[uid]

    # What has changed since.

    def _follow(self, source: Source, job: _Job, known: UIDSet, since: int | None) -> None:
        """Have the flags that have changed at the source; those that the destination has changed itself stay."""
        ledger, pair = self.ledger, job.pair
        assert pair is not None
        for block in known.chunks(_BLOCK):
            before = {uid: (there, flags) for uid, there, flags in ledger.some(pair, block)}
            changes: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
            noted: list[tuple[str, int]] = []
            for uid, flags in source.flags(block, since):
                there, old = before.get(uid, (None, ""))
                if flags == old:
                    continue
                noted.append((flags, uid))
                if there is None:
                    continue
                now, then = set(flags.split()), set(old.split())
                for action, which in (("add", now - then), ("remove", then - now)):
                    if allowed := tuple(sorted(self._allowed(job, which))):
                        changes[action, allowed].append(there)
                job.report.flags += 1
            for (action, some), uids in changes.items():
                self.client.store(UIDSet(uids), some, action=action, silent=True)  # type: ignore[arg-type]
            ledger.set_flags(pair, noted)
            ledger.commit()

    def _dispose(self, source: Source, jobs: list[_Job]) -> None:
        """Delete what the source has no more, if that is asked for; the guard looks at the whole."""
        gone = [job for job in jobs if job.gone and job.report.error is None]
        if self.options.deleted != "delete" or not gone:
            return
        count = sum(len(job.gone) for job in gone)
        total = self.ledger.total(source.name, self.name)
        most = most_deleted(self.options.max_delete, total)
        if count > most:
            self.report.held_back = (
                f"nothing was deleted: {count} of {total} messages would be gone, more than {most} (max_delete)"
            )
            return
        for job in gone:
            assert job.pair is not None
            self.client.select(job.name)
            if self.client.session.uid_validity != job.pair.uid_validity:
                continue
            there = {uid: at for uid, at, _ in self.ledger.some(job.pair, job.gone) if at is not None}
            self.client.delete_messages(UIDSet(there.values()))
            self.ledger.remove(job.pair, there)
            self.report.deleted += len(there)
            self.ledger.commit()

    # What would be done.

    def _would(self, source: Source, job: _Job, todo: UIDSet) -> None:
        """Say what would be sent, and what would not fit."""
        report = job.report
        if job.selected is None:
            job.selected = self.client.select("INBOX")
        too_big = 0
        for about in source.about(todo):
            if self.limit is not None and about.size > self.limit:
                too_big += 1
                continue
            report.written += 1
            report.octets += about.size
            for flag in set(about.flags.split()) - set(self._allowed(job, about.flags.split())):
                job.left_out[flag] += 1
        if too_big:
            report.notes.append(f"{too_big} have more octets than the destination takes: {self.limit}")
            report.excluded["too large"] = too_big

    def _fits(self, jobs: list[_Job]) -> None:
        """Say whether there is room for what would be sent."""
        octets = sum(job.report.octets for job in jobs)
        if self.client.session.has("QUOTA"):
            with suppress(CommandError):
                for quota in self.client.get_quota_root("INBOX").quotas:
                    for resource in quota.resources:
                        free = (resource.limit - resource.usage) * 1024
                        if resource.name == "STORAGE" and octets > free:
                            self.report.notes.append(
                                f"{octets} octets would be sent, and the destination has room for {max(free, 0)}"
                            )
        if self.budget and octets > self.budget:
            self.report.notes.append(f"it would take {-(-octets // self.budget)} days, with {self.budget} octets a day")


def _arguments(made: AppendMessage) -> dict[str, Any]:
    return {
        "message": made.message,
        "flags": made.flags,
        "internal_date": made.internal_date,
        "binary": made.binary,
    }


def _groups(batches: Iterator[list[Taken]], most: int) -> Iterator[list[Taken]]:
    """Yield messages that are sent together, of so many octets at most."""
    group: list[Taken] = []
    octets = 0
    for batch in batches:
        for taken in batch:
            size = len(taken.octets or b"")
            if group and (len(group) >= _GROUP or octets + size > most):
                yield group
                group, octets = [], 0
            group.append(taken)
            octets += size
    if group:
        yield group


def _intent(taken: Taken, uid_next: int) -> Intent:
    octets = taken.octets or b""
    bare = octets.count(b"\n") - octets.count(b"\r\n")  # servers store CRLF
    name = message_id(Headers(octets[: 256 * 1024]))
    return Intent(taken.uid, uid_next, len(octets) + bare, name, digest([octets]))
