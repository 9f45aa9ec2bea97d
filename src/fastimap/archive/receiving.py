"""A mailbox of the store is brought up to date: what is known of its messages is used, the others are fetched."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..clients.blocking import Client
from ..conversation.plan import HOPELESS, throttles
from ..errors import CommandError, Disconnected, FastimapError, ProtocolError, Timeout, UIDValidityChanged
from ..model.row import FetchedMessage, has_uid
from ..model.sequence_set import UIDSet
from .batches import CUTS, TOGETHER, blocks, chunks, gathered
from .compare import Change, Comparison, compare, expunged_of, flag_changes
from .copies import Copies
from .guards import Guards
from .jobs import Gone, Job
from .line import Line
from .matching import Candidates, Match, returned
from .messages import LEFT_OUT, date_of
from .options import Options
from .report import MailboxReport
from .signals import held
from .state import Entry, Place, State
from .stores.base import Message, Store
from .watching import Stop, Watch

if TYPE_CHECKING:
    from .adopt import Adopted, Adoption

__all__ = ["Receiver"]

_EXPUNGED = "expunged meanwhile"
_MADE_ANEW = "the mailbox was made anew meanwhile: the next run sees to it"


class Receiver:
    """What brings one mailbox after another up to date.

    :param name: of the account, in the store.
    """

    def __init__(
        self,
        options: Options,
        state: State,
        name: str,
        *,
        line: Line,
        watch: Watch,
        guards: Guards,
        candidates: Candidates,
        copies: Copies,
        adoption: Adoption | None,
    ) -> None:
        self.options: Options = options
        self.state: State = state
        self.store: Store = options.store
        self.name: str = name
        self.line: Line = line
        self.watch: Watch = watch
        self.guards: Guards = guards
        self.gone: dict[int, Gone] = guards.gone
        self.candidates: Candidates = candidates
        self.copies: Copies = copies
        self.adoption: Adoption | None = adoption
        self.weight: int = 0

    def receive(self, job: Job) -> None:
        """Bring a mailbox up to date, and check the sum; of a dry run, count what would be done."""
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self.line.lent())
            place, found = self._begin(client, job)
            if self.options.dry_run:
                self._match_dry(client, job, found)
                return
            left_out = found.unknown - found.new
            # What was written before a run died, and is left out now, is looked at by none: it may not be durable.
            may_lack = place.dirty and bool(left_out)
            may_lack = may_lack and any(entry.uid in left_out for entry in self.store.unnoted(place))
            parked = self.state.parked(place)
            there = self._prepare(client, job, place, found)
            self.state.unpark(place, [uid for uid in parked if uid not in found.new])
            job.report.excluded = found.excluded
            self.watch.begin(job.name, len(found.new))
            new = found.new - self._adopt(client, job, place, found.new)
            self._follow(client, place, job.report, found)
            if there:  # flags of what was found by names are the reader's, and dates those of who copied the files
                self._set_dates(client, place, there)
                self._follow(client, place, job.report, Comparison(found.selected, unsure=UIDSet(there)))
            items = self.store.items(client)
            one: Client | None = client
            if self.options.connections == 1 or not self.store.together:
                if new:  # Courier makes up a UIDVALIDITY each second for a mailbox that was never opened
                    _examine(client, job.name, place.uid_validity)
            else:
                one = None
                stack.close()
            expunged = UIDSet()
            again = new & UIDSet(parked)  # last, so that they keep no others away
            try:
                for block in itertools.chain(blocks(new - again, self.options.newest_first), again.chunks(1)):
                    expunged |= self._fetch(job, place, block, items, one)
            except FastimapError:
                self.copies.flush()  # what has come is not to become durable with the next change, and be noted later
                raise
            if expunged:
                job.report.excluded[_EXPUNGED] = len(expunged)
                self.state.unpark(place, [uid for uid in parked if uid in expunged])
        self.copies.flush()
        if self.adoption is not None:
            left = list(self.adoption.left())
            job.report.notes += [] if self.options.rules_text() else left  # else they may be what is left out
        self._account(job, place, may_lack)

    # What is new, and what of that the store has.

    def compare(self, client: Client, job: Job) -> Comparison:
        """Compare a mailbox with the one in the store, unless that was done."""
        if job.comparison is None:
            job.comparison = compare(client, job.info, job.place, self.state, self.options, job.status)
        return job.comparison

    def _begin(self, client: Client, job: Job) -> tuple[Place, Comparison]:
        """Return what the mailbox is in the state, and what it has that the state has not."""
        state, report = self.state, job.report
        found = self.compare(client, job)
        uid_validity = found.selected.uid_validity
        if uid_validity is None:
            raise FastimapError("the server gives the mailbox no UIDVALIDITY: its messages can't be told apart")
        before = job.place
        held = before is not None and bool(state.count(before) or state.count(before, gone=True))
        place = state.place(
            self.name,
            job.name,
            uid_validity,
            delimiter=job.info.delimiter,
            mailbox_id=found.selected.mailbox_id,
            on_disk=self.store.on_disk() if before is None and not self.options.dry_run else (),
        )
        if before is not None and before.id != place.id:
            if held:
                report.notes.append(f"a new UIDVALIDITY: {before.uid_validity} before, {uid_validity} now")
            self.gone.setdefault(before.id, Gone(before, state.uids(before), "new UIDVALIDITY", job))
        job.place = place
        report.found, report.excluded, report.present = found.found, found.excluded, found.present
        report.gone = sum(len(gone.uids) for gone in self.gone.values() if gone.job is job)
        # Of the others one was expunged, or a rule leaves it out by now.
        state.unpark(place, [uid for uid in state.parked(place) if uid not in found.new])
        return place, found

    def _prepare(self, client: Client, job: Job, place: Place, found: Comparison) -> dict[int, Entry]:
        """Have what the store has: messages that are back, that a run has not noted, and that are elsewhere in it.

        Return those that were found by the names of their files.
        """
        state, report = self.state, job.report
        state.set_mark(place, None)
        away = self._returned(client, place, found)
        back = self.copies.back(place, away)
        self._recognised(found, back)
        report.present += len(back)
        if len(back) < len(away):  # what is there is not to be believed, whatever its name says
            state.set_dirty(place, True)
            self.candidates.drop(place, {match.uid for match in away})
        there = self.store.begin(place, found.new) if found.new else {}
        if there:
            state.insert((place.id, *entry[:7]) for entry in there.values())
            report.present += len(there)
            found.recognised(UIDSet(there))
            self.candidates.drop(place, there)
            report.notes.append(f"{len(there)} messages were found by their names")
        state.set_dirty(place, True)
        state.commit()
        self._recognise(client, job, place, found)
        return there

    def _match_dry(self, client: Client, job: Job, found: Comparison) -> None:
        """Count what would not be fetched."""
        report, uid_validity = job.report, found.selected.uid_validity or 0
        place = job.place
        away = [] if place is None else self._returned(client, place, found)
        back = [match for match in away if self.store.check(match.source, match.entry) is None]
        self._recognised(found, back)
        if place is not None:
            self.candidates.drop(place, {match.uid for match in away})
        report.present += len(back)
        if self.candidates.count and found.unknown:
            _examine(client, job.name, uid_validity)
            moved = list(self.candidates.matches(client, self._wanted(client, found)))
            self._recognised(found, moved)
            self.guards.recognised |= {(match.source.id, match.entry.uid) for match in moved}
            report.moved = len(moved)
            report.present += len(moved)
        report.excluded = found.excluded
        new, info = found.new, job.info
        report.written = len(new)
        if self.adoption is not None and self.adoption.enter(info.name, info.delimiter, info.octets):
            _examine(client, job.name, uid_validity)
            report.adopted = sum(1 for _ in self.adoption.matches(client, info, uid_validity, new, self.watch.check))
        report.written -= report.adopted
        report.present += report.adopted

    def _returned(self, client: Client, place: Place, found: Comparison) -> list[Match]:
        """Return the messages that the store has as gone from here, and that are here."""
        away = self.state.uids(place, gone=True) & found.unknown
        if not away:
            return []
        _examine(client, place.name, place.uid_validity)
        return returned(client, place, away, self.state)

    def _recognise(self, client: Client, job: Job, place: Place, found: Comparison) -> None:
        """Have those messages here that the store has elsewhere, and that are there no more."""
        report = job.report
        if not self.candidates.count or not found.unknown:
            return
        _examine(client, job.name, place.uid_validity)
        moved: list[Match] = []
        matches = list(self.candidates.matches(client, self._wanted(client, found)))
        for some in chunks(matches, self.store.moves_together):
            moved += self.copies.move(place, some)
        self._recognised(found, moved)
        report.moved = len(moved)
        report.present += len(moved)

    def _wanted(self, client: Client, found: Comparison) -> UIDSet:
        """Return the messages that may be known from elsewhere.

        Those too that a rule leaves out, if they may be what would be deleted.
        """
        left_out = found.unknown - found.new
        if not self.gone or self.options.deleted == "keep" or not left_out:
            return found.new
        gone = {(entry.size, entry.date) for each in self.gone.values() for entry in self.guards.left(each)}
        rows = client.fetch_iter(left_out, "RFC822.SIZE", "INTERNALDATE") if gone else ()
        return found.new | UIDSet(row.uid for row in rows if has_uid(row) and (row.size, date_of(row)) in gone)

    def _recognised(self, found: Comparison, matches: list[Match]) -> None:
        for place in {match.source.id: match.source for match in matches}.values():
            self.candidates.drop(place, [match.entry.uid for match in matches if match.source.id == place.id])
        found.recognised(UIDSet(match.uid for match in matches))

    def _adopt(self, client: Client, job: Job, place: Place, new: UIDSet) -> UIDSet:
        """Have those messages that another program has pulled."""
        info = job.info
        if self.adoption is None or not new or not self.adoption.enter(info.name, info.delimiter, info.octets):
            return UIDSet()
        _examine(client, job.name, place.uid_validity)
        done: list[int] = []
        together: list[Adopted] = []
        octets = 0

        def take() -> None:
            self.copies.adopt(place, together)
            done.extend(each.message.uid for each in together)
            job.report.adopted += len(together)
            job.report.present += len(together)
            together.clear()
            self.watch.check()

        for each in self.adoption.matches(client, info, place.uid_validity, new, self.watch.check):
            together.append(each)
            octets += len(each.message.octets)
            if len(together) >= TOGETHER or octets > self.store.commit_octets:
                take()
                octets = 0
        if together:
            take()
        return UIDSet(done)

    def _follow(self, client: Client, place: Place, report: MailboxReport, found: Comparison) -> None:
        """Have the flags and labels that the server has."""
        changes: Iterable[Change] = found.changes
        if found.unsure:
            _examine(client, place.name, place.uid_validity)
            asked = flag_changes(client, place, found.unsure, self.state, found.since)
            changes = itertools.chain(changes, asked)
        for some in chunks(changes, self.store.flags_together):
            report.flags += self.copies.follow(place, some)

    def _set_dates(self, client: Client, place: Place, there: dict[int, Entry]) -> None:
        """Have the dates of the server."""
        _examine(client, place.name, place.uid_validity)
        changes = []
        for row in client.fetch_iter(UIDSet(there), "INTERNALDATE"):
            date = date_of(row)
            entry = there.get(row.uid)
            if entry is not None and date is not None and date != entry.date:
                changes.append((entry, date))
        self.store.set_dates(place, changes)
        self.state.insert((place.id, *entry._replace(date=date)[:7]) for entry, date in changes)

    # What is fetched.

    def _fetch(self, job: Job, place: Place, block: UIDSet, items: tuple[str, ...], client: Client | None) -> UIDSet:
        """Fetch messages and write them, by one connection or by all; return those that were expunged meanwhile."""
        got: list[int] = []
        report = job.report
        parked = self.state.parked(place)
        batches: Iterable[list[FetchedMessage]]
        if client is None:
            validity = place.uid_validity
            fetched = self.line.pool.fetch_iter(job.name, block, *items, uid_validity=validity, timeout=None)
            batches = ([row] for row in fetched)
        else:
            batches = self.store.fetch(client, block)
        why = LEFT_OUT
        try:
            for rows in gathered(batches, self.options.bwlimit):
                with held():
                    got += self._take(place, report, rows, parked)
                job.refused = 0
                self.watch.tell()
                self.watch.check()
                self._pace()
        except Stop:
            self.line.pool.close()  # else what is in flight would be received first
            raise
        except UIDValidityChanged:
            raise FastimapError(_MADE_ANEW) from None
        except CommandError as exc:
            job.refused += len(block - UIDSet(got) - UIDSet(parked))
            if throttles(exc) or job.refused > HOPELESS:
                raise  # not these messages, but the server
            why = str(exc)
        except (Disconnected, Timeout, ProtocolError) as exc:
            if len(block) > 1:
                return self._fetch_alone(job, place, block - UIDSet(got), items, client)
            if got or job.cuts >= CUTS:
                raise
            job.cuts += 1
            why = f"the connection ends when it is to come: {exc}"
        missing = block - UIDSet(got)
        if not missing:
            return missing
        if client is None:
            self.copies.flush()
            with self.line.pool.selected(job.name, read_only=True, timeout=None) as other:
                _examine(other, job.name, place.uid_validity)
                gone = expunged_of(other, missing)
        else:
            gone = expunged_of(client, missing)
        for uid in missing - gone:
            self.state.park(place, uid, why)
        return gone

    def _fetch_alone(
        self, job: Job, place: Place, uids: UIDSet, items: tuple[str, ...], client: Client | None
    ) -> UIDSet:
        """Fetch one by one what was left when a connection ended: that of them which ends it keeps no others away."""
        expunged = UIDSet()
        with contextlib.ExitStack() as stack:
            one = client or stack.enter_context(self.line.lent())
            for each in uids.chunks(1):
                _examine(one, job.name, place.uid_validity)
                # All attempts have ended at the first. As many again would have no login left for the others.
                with one._trying(1) if uids.first in each else contextlib.nullcontext():
                    expunged |= self._fetch(job, place, each, items, one)
        return expunged

    def _take(
        self, place: Place, report: MailboxReport, rows: list[FetchedMessage], parked: dict[int, str]
    ) -> list[int]:
        """Write messages that have arrived."""
        messages = []
        done = []
        for row in rows:
            uid = row.uid
            message = self.store.message(row)
            if message is None:
                reason = "; ".join(defect.reason for defect in row.defects) or LEFT_OUT
                self.state.park(place, uid, reason)
                done.append(uid)
                continue
            messages.append(message)
            done.append(uid)
        too_much = None if self.options.max_octets is None else self._cut(place, messages, self.options.max_octets)
        if messages:
            octets = self.copies.write(place, messages)
            if parked:
                self.state.unpark(place, [message.uid for message in messages if message.uid in parked])
            count = len(messages)
            report.written += count
            report.written_uids |= UIDSet([message.uid for message in messages])
            report.octets += octets
            self.watch.count(count, octets)
            if self.copies.due(time.monotonic()):
                self.copies.flush()
        if too_much is not None:
            raise Stop(too_much)
        return done

    def _cut(self, place: Place, messages: list[Message], most: int) -> str | None:
        """Leave as many of the messages as this run may still write; return why not all."""
        for index, message in enumerate(messages):
            weight = self.store.weight(message)
            if self.weight + weight > most:
                del messages[index:]
                alone = f"; UID {message.uid} of {place.name} alone takes {weight}: raise the limit"
                return f"it would write more than {most} octets" + (alone if weight > most else "")
            self.weight += weight
        return None

    def _pace(self) -> None:
        """Wait, where more was received than may be by now."""
        if self.options.bwlimit:
            self.watch.wait(self.line.received / self.options.bwlimit - self.watch.elapsed)

    # Whether all is there.

    def _account(self, job: Job, place: Place, may_lack: bool) -> None:
        """Check the sum, and note that the mailbox is done."""
        report = job.report
        report.parked = self.state.parked(place)
        gone = self.gone.get(place.id)
        here = self.state.count(place)
        if gone is not None:
            here -= sum(1 for entry in self.state.some(place, gone.uids) if not entry.gone)
        if report.accounted != report.found or here != report.written + report.present:
            job.done = True
            report.error = (
                f"not all is accounted for: the server has {report.found} messages; {report.written} written, "
                f"{report.present} there, {sum(report.excluded.values())} excluded, {len(report.parked)} parked; "
                f"the state has {here}"
            )
            self.state.commit()
            return
        self.state.set_dirty(place, may_lack)
        job.done = True
        if gone is None:
            self.set_mark(job)
        self.state.commit()

    def set_mark(self, job: Job) -> None:
        """Note what a mailbox was when it was brought up to date, so that the next run begins there."""
        if job.comparison is not None and job.place is not None and job.report.error is None:
            mark = job.comparison.mark
            mark.excluded = {name: count for name, count in job.report.excluded.items() if name != _EXPUNGED}
            mark.exists = job.report.found - job.report.excluded.get(_EXPUNGED, 0) - len(job.report.parked)
            self.state.set_mark(job.place, mark)


def _examine(client: Client, name: str, uid_validity: int) -> None:
    session = client.session
    if session.mailbox != name or not session.examined:
        client.select(name, read_only=True)
    if client.session.uid_validity != uid_validity:
        raise FastimapError(_MADE_ANEW)
