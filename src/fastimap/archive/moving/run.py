"""One run of a push or a migration: mailbox by mailbox, exactly once, every message accounted for."""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from ...clients.blocking import Client
from ...conversation.plan import HOPELESS
from ...errors import (
    CommandError,
    ConnectionLost,
    Disconnected,
    FastimapError,
    MailboxExists,
    NoPermission,
    OverQuota,
    ProtocolError,
    Timeout,
)
from ...model.responses import MailboxInfo
from ...model.sequence_set import UIDSet
from ...sessions.alike import ID, digest, message_id
from ...sessions.retry import Attempts
from ...settings import Account
from ..compare import newest
from ..errors import ArchiveError, StoreError
from ..messages import LEFT_OUT
from ..options import most_deleted
from ..report import MailboxReport, Report
from ..watching import NotNow, Stop, Watch
from .besides import annotated, granted
from .jobs import Job
from .ledger import IN_DOUBT, Ledger, Pair
from .matching import Destined, paired
from .names import Shape, mapped
from .options import Options
from .sending import APART, Sender
from .sources import About, Box, Source, Taken, shape_of

__all__ = ["Run"]

_BLOCK = 5000
_GONE = "gone meanwhile"
_NEWEST = 10
_ANOTHER = "its UIDs mean other messages than before, as after a backup: it was matched anew"


class _Alike(NamedTuple):
    """In what a message of the source is like the one at the destination."""

    message_id: bool
    date: bool


@contextlib.contextmanager
def _noted(whose: str) -> Iterator[None]:
    """Have an error say which of the two accounts it is about."""
    try:
        yield
    except FastimapError as exc:
        exc.add_note(whose)
        raise


class Run:
    """Carry what a source has to an account."""

    client: Client
    """To the destination, of this thread."""

    def __init__(self, account: Account, options: Options, ledger: Ledger, name: str) -> None:
        self.options = options
        self.ledger = ledger
        self.name = name
        """Of the destination."""
        self.watch: Watch = Watch(options.retry, options.progress, options.stopping)
        self.sender: Sender = Sender(account, options, ledger, name, self.watch)
        self.report: Report = Report(store=name, dry_run=options.dry_run)
        self.lost: ConnectionLost | None = None
        self.cut: bool = False
        """Whether a connection was lost once: a second time ends the run."""
        self.seen: set[str] = set()
        """Mailboxes that the source has, those too that are left out."""
        self.former: list[str] = []
        """Mailboxes that the source had, and has no more."""

    # The whole.

    def run(self, source: Source) -> Report:
        report = self.report
        report.account = source.name
        with contextlib.ExitStack() as stack:
            try:
                with _noted(f"the account is {source.name}, the source"):
                    source.connect()
                with _noted(f"the account is {self.name}, the destination"):
                    self.client = stack.enter_context(self.sender.client())
                self.watch.connected = True
                self.watch.check()
                jobs = self._plan(source)
                for job in jobs:
                    self._attempt(source, job)
                if self.options.dry_run:
                    self._fits(jobs)
                self._dispose(source, jobs)
            except NotNow as exc:
                raise (exc.__context__ or exc) from None
            except Stop as stop:
                report.stopped = str(stop)
                report.go_on_at = stop.go_on_at
            finally:
                if self.options.dry_run:
                    self.ledger.rollback()
                else:
                    self.ledger.commit()
        return report

    # Which mailboxes, and what they are called.

    def _plan(self, source: Source) -> list[Job]:
        client = self.client
        boxes = source.boxes()
        before = self.ledger.mailboxes(source.name, self.name)
        if not boxes and not source.may_be_empty:
            had = f", and had {len(before)}" if before else ""
            raise StoreError(f"the source lists no mailbox at all{had}: nothing was done")
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
                self.sender.limit = int(value)
        chosen = self._chosen(boxes)
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
            jobs.append(Job(box, name, found if found is not None and found.is_selectable else None, report))
        here = self.seen = {box.name for box in boxes}
        for former, name in sorted(before.items()):
            if former in here:
                continue
            if name in infos:
                self.report.notes.append(f"the source has {former} no more; {name} stays at the destination")
            named = self.options.mailboxes is None or former in self.options.mailboxes
            if named and former not in self.options.exclude:
                self.former.append(former)
        return jobs

    def _chosen(self, boxes: list[Box]) -> list[Box]:
        def named(box: Box, names: Iterable[str]) -> bool:
            return any(name in box.special_use or name == box.name for name in names)

        options = self.options
        for name in options.mailboxes or ():
            if not any(named(box, [name]) for box in boxes):
                self.report.mailboxes[name] = MailboxReport(name, error="there is no such mailbox")
        for option, names in (("exclude", options.exclude), ("rename", options.renamed)):
            for name in names:
                known = [box for box in boxes if name == box.name or (option == "exclude" and name in box.special_use)]
                if not known:
                    self.report.notes.append(f"{option}: there is no mailbox {name}")
        wanted = boxes if options.mailboxes is None else [box for box in boxes if named(box, options.mailboxes)]
        self.report.excluded |= {box.name: "exclude" for box in wanted if named(box, options.exclude)}
        return [box for box in wanted if not named(box, options.exclude)]

    def _name(self, box: Box, source: Shape, destination: Shape, uses: dict[str, MailboxInfo]) -> str:
        if box.name in self.options.renamed:
            return self.options.renamed[box.name]
        for use in sorted(box.special_use):
            if use in uses:
                return uses.pop(use).name
        return mapped(box.name, source, destination)

    # A mailbox.

    def _attempt(self, source: Source, job: Job) -> None:
        if self.lost is not None:
            job.report.error = f"not looked at: {self.lost}"
            return
        self.watch.check()
        self.watch.begin(job.box.name, 0)
        try:
            self._mailbox(source, job)
        except ArchiveError:
            raise
        except FastimapError as exc:
            job.report.error = f"{exc}"
            if isinstance(exc, ConnectionLost):
                if self.cut or not isinstance(exc, Disconnected | Timeout):
                    self.lost = exc
                self.cut = True
        finally:
            job.note()
            if job.pair is not None and not self.options.dry_run:
                job.report.parked = self.ledger.parked(job.pair)

    def _mailbox(self, source: Source, job: Job) -> None:
        ledger, report, options = self.ledger, job.report, self.options
        validity = source.begin(job.box)
        uids = source.uids()
        job.uids, report.found = uids, len(uids)
        report.error = source.damage()
        if not self._open(job):
            assert options.dry_run
            self._would(source, job, source.wanted(uids, options.rules, report.excluded))
            self._besides(source, job)
            return
        assert job.selected is not None
        names = (source.name, job.box.name, validity, self.name, job.name, job.selected.uid_validity or 0)
        for other in ledger.on_other_ports(*names):
            if self._is_the_same(source, job, other):
                ledger.call(other, source.name, self.name)
                break
        job.pair = pair = ledger.pair(*names)
        if self._is_another(source, job):
            ledger.set_aside(pair)
            former, job.pair = pair, ledger.pair(*names)
            pair = job.pair
            self._keep(source, job, former)
            report.notes.append(_ANOTHER)
        known = ledger.uids(pair)
        known &= uids
        report.present = len(known)
        todo = source.wanted(uids - known, options.rules, report.excluded)
        if parked := ledger.parked(pair):
            ledger.unpark(pair, UIDSet(parked) - todo)
        matched = self._match(source, job, todo, uids)
        todo -= matched
        job.gone = ledger.uids(pair) - uids
        report.gone = len(job.gone)
        self._note_what_stays(job)
        if options.dry_run:
            self._would(source, job, todo)
            self._besides(source, job)
            return
        self.watch.begin(job.box.name, len(todo))
        self._follow(source, job, known, pair.mod_sequence)
        self._follow(source, job, ledger.in_doubt(pair) & uids, None)
        got: set[int] = set()

        def batches() -> Generator[list[Taken], None, None]:
            again = todo & UIDSet(parked)  # last, so that they keep no others away
            for block in itertools.chain((todo - again).chunks(_BLOCK), again.chunks(HOPELESS)):
                with contextlib.closing(source.messages(block)) as messages:
                    for batch in messages:
                        got.update(taken.uid for taken in batch)
                        yield batch

        with contextlib.closing(batches()) as waiting:
            self.sender.carry(self.client, job, waiting)
        if len(got) != len(todo):
            missing = todo - UIDSet(got)
            there = source.uids() & missing
            for uid in there:
                ledger.park(pair, uid, LEFT_OUT)
            if gone := len(missing) - len(there):
                report.excluded[_GONE] = gone
        ledger.set_mod_sequence(pair, source.mod_sequence)
        ledger.commit()
        self._besides(source, job)
        report.parked = ledger.parked(pair)
        if report.accounted != report.found:
            report.error = (
                f"not all is accounted for: the source has {report.found} messages; {report.written} sent, "
                f"{report.present} there, {sum(report.excluded.values())} excluded, {len(report.parked)} parked"
            )

    def _open(self, job: Job) -> bool:
        """Select the mailbox at the destination, made if it is not there; whether there is one."""
        client = self.client
        if job.there is None and job.name != "INBOX":
            if self.options.dry_run:
                job.report.notes.append(f"{job.name} would be made")
                return False
            uses = sorted(job.box.special_use) if client.session.has("CREATE-SPECIAL-USE") else []
            try:
                self._again(lambda: self._make(job, uses))
            except (NoPermission, OverQuota):
                raise
            except CommandError as exc:  # most often for its name
                raise FastimapError(f"{exc} (rename can give it another name there)") from None
        if job.box.subscribed and not self.options.dry_run:
            try:
                self._again(lambda: client.subscribe(job.name))
            except CommandError as exc:
                job.report.notes.append(f"not subscribed: {exc}")
        job.selected = client.select(job.name)
        if job.selected.uid_validity is None:
            raise FastimapError("the destination gives the mailbox no UIDVALIDITY: it could not be found again")
        if job.selected.read_only:
            raise FastimapError("the destination lets the mailbox be read only")
        job.uid_next = job.selected.uid_next or 1
        return True

    def _make(self, job: Job, uses: list[str]) -> None:
        with contextlib.suppress(MailboxExists):
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
        attempts = Attempts(self.sender.retry)
        while True:
            try:
                do()
            except (ConnectionLost, ProtocolError) as exc:
                self.watch.sleep(attempts.failed(exc))
            else:
                return

    # What is there already.

    def _is_another(self, source: Source, job: Job) -> bool:
        """Whether UIDs mean other messages than those that are known, at either side."""
        ledger, pair, selected = self.ledger, job.known, job.selected
        assert selected is not None
        nexts = (source.uid_next, selected.uid_next)
        if any(next_ is not None and last >= next_ for last, next_ in zip(ledger.last(pair), nexts, strict=True)):
            return True
        # Where they were given again, the newest that both have differ.
        some = newest(ledger.uids(pair) & job.uids, _NEWEST)
        at = {uid: there for uid, there, _ in ledger.some(pair, some) if there is not None}
        both = self._alike(source, at)
        if not both:
            return False
        # A server may change the Message-ID of what it is sent, and then it is the same message all the same.
        return any(not any(both[uid]) for uid in (max(both), max(both, key=at.__getitem__)))

    def _is_the_same(self, source: Source, job: Job, other: Pair) -> bool:
        """Whether what is known by other ports, as of tunnels that were made anew, is so of these servers."""
        some = newest(self.ledger.uids(other) & job.uids, _NEWEST)
        at = {uid: there for uid, there, _ in self.ledger.some(other, some) if there is not None}
        both = self._alike(source, at).values()
        return bool(both) and all(alike.message_id for alike in both)

    def _keep(self, source: Source, job: Job, former: Pair) -> None:
        """Keep what is known of messages that are what they were; a server may have changed their size."""
        self.ledger.hand_on(former, job.known)
        for block in (self.ledger.uids(former) & job.uids).chunks(_BLOCK):
            rows = [row for row in self.ledger.some(former, block) if row[1] is not None]
            both = self._alike(source, {uid: there for uid, there, _ in rows if there is not None})
            self.ledger.insert(job.known, [row for row in rows if row[0] in both and all(both[row[0]])])

    def _alike(self, source: Source, at: Mapping[int, int]) -> dict[int, _Alike]:
        """Return of messages, by their UIDs, in what they are alike at both sides.

        :param at: where they should be at the destination. Those that have a Message-ID at each side are compared.
        """
        if not at:
            return {}
        theirs = {row.uid: row for row in self.client.fetch_iter(UIDSet(at.values()), "INTERNALDATE", ID)}
        found = {}
        for about in source.about(UIDSet(at)):
            row = theirs.get(at.get(about.uid, 0))
            there = None if row is None else message_id(row.headers)
            if row is not None and about.message_id and there:
                dated = about.date is not None and about.date == row.internal_date
                found[about.uid] = _Alike(about.message_id == there, dated)
        return found

    def _match(self, source: Source, job: Job, todo: UIDSet, uids: UIDSet) -> UIDSet:
        """Find those messages that the destination has, of this or of another program; return those that are done."""
        ledger, pair, report = self.ledger, job.pair, job.report
        assert pair is not None
        intents = ledger.intents(pair)
        unplaced = ledger.unplaced(pair)
        wanted = todo | (unplaced & uids)
        # What was being sent, and is gone at the source by now, is known by what was noted of it.
        noted = {uid: intent for uid, intent in intents.items() if uid not in uids}
        done = doubtful = UIDSet()

        def digest_of(uid: int) -> bytes | None:
            if uid in noted:
                return noted[uid].digest
            octets = source.octets(uid)
            return None if octets is None else digest([octets])

        for look in (1, 2):
            unknown = job.uids_there(self.client) - ledger.known(self.name, pair)
            if unknown and (wanted or noted):
                there = Destined(self.client, unknown)
                former = [About(uid, intent.size, intent.message_id) for uid, intent in noted.items()]
                pairs, others = paired(itertools.chain(source.about(wanted), former), there, digest_of)
                ledger.insert(pair, [(uid, pairs[uid], "") for uid in noted if uid in pairs])
                noted = {uid: intent for uid, intent in noted.items() if uid not in pairs}
                ledger.place(pair, {uid: at for uid, at in pairs.items() if uid in unplaced})
                new = [uid for uid in pairs if uid in todo and uid not in unplaced]
                # Flags follow, from those on with which we sent it; those that others gave it stay.
                flags = {uid: _in_doubt((), intent.flags.split()) for uid, intent in intents.items()}
                ledger.insert(pair, [(uid, pairs[uid], flags.get(uid, IN_DOUBT)) for uid in new])
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
                if not self.options.dry_run:
                    self.watch.sleep(APART)
                continue
            if there is not None:
                # What can't be had now is known by what was noted of it, too.
                sent = {uid: About(uid, intents[uid].size, intents[uid].message_id) for uid in left}
                like = {uid: others.get(uid, about) for uid, about in sent.items()}
                doubtful = self.sender.doubtful(job, like, there, intents)
                done |= doubtful
        if not self.options.dry_run:
            # What a rule leaves out now was not looked for, and what is in doubt still is.
            ledger.forget_intents(pair, UIDSet(intents) - (uids - todo) - doubtful)
            ledger.commit()
        return done

    def _note_what_stays(self, job: Job) -> None:
        """Note that messages are not deleted which were copied before the source's mailbox was made anew."""
        former = self.ledger.formerly(job.known) if self.options.deleted == "delete" else UIDSet()
        if former and (left := (former - self.ledger.known(self.name, job.known)) & job.uids_there(self.client)):
            job.report.notes.append(f"{len(left)} copied before it was made anew (UIDVALIDITY) stay at the destination")

    # What has changed since.

    def _follow(self, source: Source, job: Job, known: UIDSet, since: int | None) -> None:
        """Have the flags that have changed at the source; those that the destination has changed itself stay."""
        ledger, pair = self.ledger, job.pair
        assert pair is not None
        for block in known.chunks(_BLOCK):
            before = {uid: (there, flags) for uid, there, flags in ledger.some(pair, block)}
            changes: dict[tuple[Literal["add", "remove"], tuple[str, ...]], list[int]] = defaultdict(list)
            noted: list[tuple[str, int]] = []
            doubted: list[tuple[str, int]] = []
            for uid, flags in source.flags(block, since):
                there, old = before.get(uid, (None, ""))
                if flags == old:
                    continue
                now = set(flags.split())
                then, perhaps = _told(old)
                doubt = _in_doubt(then & now, (then | perhaps | now) - (then & now))
                if there is None:  # where it is, a later run may know
                    noted.append((doubt, uid))
                    continue
                noted.append((flags, uid))
                if added := tuple(sorted(job.allowed(now - then))):
                    changes["add", added].append(there)
                if removed := tuple(sorted(job.allowed((then | perhaps) - now))):
                    changes["remove", removed].append(there)
                if added or removed:
                    doubted.append((doubt, uid))
                    job.report.flags += 1
            if changes:
                # Should this run die of it, nobody knows what the destination has; the source may take it back.
                ledger.set_flags(pair, doubted)
                ledger.commit()
            for (action, some), uids in changes.items():
                self.client.store(UIDSet(uids), some, action=action, silent=True)
            ledger.set_flags(pair, noted)
            ledger.commit()

    def _dispose(self, source: Source, jobs: list[Job]) -> None:
        """Delete what the source has no more, if that is asked for; the guard looks at the whole."""
        report = self.report
        gone = [job for job in jobs if job.gone]
        if self.options.deleted != "delete" or not gone:
            return
        report.held_back = self._held_back(source, jobs, gone)
        if report.held_back is not None:
            return
        for job in gone:
            try:
                self._delete(job)
            except FastimapError as exc:
                job.report.error = f"not deleted there: {exc}"
                if isinstance(exc, ConnectionLost):
                    return
        self.ledger.leave(source.name, self.name, self.former)

    def _delete(self, job: Job) -> None:
        assert job.pair is not None
        there = {uid: at for uid, at, _ in self.ledger.some(job.pair, job.gone) if at is not None}
        if not self.options.dry_run:
            self.client.select(job.name)
            if self.client.session.uid_validity != job.pair.uid_validity:
                return
            self.client.delete_messages(UIDSet(there.values()))
            self.ledger.remove(job.pair, there)
            self.ledger.commit()
        self.report.deleted += len(there)

    def _held_back(self, source: Source, jobs: list[Job], gone: list[Job]) -> str | None:
        """Return why nothing is to be deleted; None: it may be."""
        # What is gone in one mailbox may be in another by now: until it was sent from there, its old copy is the only
        # one.
        moved = "nothing was deleted, as what is gone may have moved to where it was not copied from"
        undone = [
            f"{name} {'failed' if each.error is not None else f'has {len(each.parked)} messages that were not sent'}"
            for name, each in self.report.mailboxes.items()
            if each.error is not None or each.parked
        ]
        if undone:
            return f"{moved}: {undone[0]}" + (f" (and {len(undone) - 1} more)" if len(undone) > 1 else "")
        odd = [f"{job.box.name} had {len(job.gone)} messages, and is empty now" for job in gone if not job.report.found]
        odd += [f"{name} is gone" for name in self.former]
        count = sum(len(job.gone) for job in gone)
        total = self.ledger.total(source.name, self.name)
        most = most_deleted(self.options.max_delete, total)
        if count > most:
            odd.insert(0, f"{count} of {total} messages would be gone, more than {most} (max_delete)")
        if odd and (self.options.max_delete is None or count > most):
            return "nothing was deleted: " + "; ".join(odd)
        for box in source.boxes() if self.options.mailboxes is None else ():
            if box.name not in (*self.seen, *self.options.exclude):
                return f"{moved}: {box.name} is new; the next run sees to it"
        for job in jobs:
            if not self._is_as_seen(source, job):
                return f"{moved}: {job.box.name} has others since it was looked at; the next run sees to it"
        return None

    def _is_as_seen(self, source: Source, job: Job) -> bool:
        """Whether nothing has come into a mailbox since it was looked at."""
        try:
            source.begin(job.box)
            return not source.uids() - job.uids
        except FastimapError:
            return False

    def _besides(self, source: Source, job: Job) -> None:
        """Carry over what is asked for beside the messages."""
        notes, dry_run = job.report.notes, self.options.dry_run
        if self.options.acl:
            self._again(lambda: notes.extend(granted(source, self.client, job, dry_run=dry_run)))
        if self.options.metadata:
            self._again(lambda: notes.extend(annotated(source, self.client, job, dry_run=dry_run)))

    # What would be done.

    def _would(self, source: Source, job: Job, todo: UIDSet) -> None:
        """Say what would be sent, and what would not fit."""
        report = job.report
        if job.selected is None:
            job.selected = self.client.select("INBOX")
        report.parked = {} if job.pair is None else self.ledger.parked(job.pair)
        for about in source.about(todo - UIDSet(report.parked)):
            reason = about.reason or self.sender.too_large(about.size)
            if reason:
                report.parked[about.uid] = reason
                continue
            report.written += 1
            report.octets += about.size
            for flag in set(about.flags.split()) - set(job.allowed(about.flags.split())):
                job.left_out[flag] += 1

    def _fits(self, jobs: list[Job]) -> None:
        """Say whether there is room for what would be sent."""
        octets = sum(job.report.octets for job in jobs)
        if self.client.session.has("QUOTA"):
            with contextlib.suppress(CommandError):
                for quota in self.client.get_quota_root("INBOX").quotas:
                    for resource in quota.resources:
                        free = (resource.limit - resource.usage) * 1024
                        if resource.name == "STORAGE" and octets > free:
                            self.report.notes.append(
                                f"{octets} octets would be sent, and the destination has room for {max(free, 0)}"
                            )
        if self.sender.budget and octets > self.sender.budget:
            self.report.notes.append(
                f"it would take {-(-octets // self.sender.budget)} days, with {self.sender.budget} octets a day"
            )


def _in_doubt(there: Iterable[str], perhaps: Iterable[str]) -> str:
    """Return, for the ledger, the flags that a message has at the destination, and those that it may have."""
    return " ".join([*sorted(there), IN_DOUBT, *sorted(perhaps)])


def _told(flags: str) -> tuple[set[str], set[str]]:
    """Return what `_in_doubt` was given."""
    words = flags.split()
    end = words.index(IN_DOUBT) if IN_DOUBT in words else len(words)
    return set(words[:end]), set(words[end + 1 :])
