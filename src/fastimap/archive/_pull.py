"""Pull: a copy of an account's mail into a store, exactly once, and every message accounted for."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import commands
from ..clients.blocking import Client
from ..commands.base import Flow
from ..errors import CommandError, ConnectionLost, Disconnected, FastimapError, Timeout
from ..model.responses import MailboxInfo, MailboxStatus
from ..model.sequence_set import UIDSet
from ..search import SearchKey
from ..sessions.pool import Pool
from ..sessions.retry import Retry
from ..settings import Account, account_name
from .batches import chunks
from .budgets import GivenBudget, Meter, as_budget
from .choosing import Scope, chosen
from .copies import Copies
from .errors import ArchiveError, StoreError
from .guards import Guards
from .identity import as_account, check_server, fits, unchanged
from .jobs import Gone, Job
from .line import Line
from .messages import has_condstore
from .opening import opened
from .options import Options, as_names
from .report import MailboxReport, Progress, Report
from .state import Entry, Place, State
from .stores import store_at
from .stores.base import Store
from .stores.maildir import Maildir
from .watching import NotNow, Stop, Watch

if TYPE_CHECKING:
    from .adopt import Adoption
    from .matching import Candidates
    from .receiving import Receiver

__all__ = ["pull"]

_STATUS = ("MESSAGES", "UIDNEXT", "UIDVALIDITY")
_KNOWN = 20
"""Mailboxes that are asked for one by one; of more LIST-STATUS says the same in fewer octets."""
_COUNTED = 100_000
"""Messages of a mailbox that are counted ahead: while more are, the server's answer would wait for long."""


def pull(
    account: Account | str,
    store: Store | str | os.PathLike[str],
    *,
    mailboxes: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    since: date | None = None,
    before: date | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    search: SearchKey | str | None = None,
    limit: int | None = None,
    newest_first: bool = True,
    connections: int = 1,
    deleted: Literal["keep", "mark", "delete"] = "keep",
    max_delete: str | int | None = None,
    resume: bool = True,
    dry_run: bool = False,
    wait: float | None = 0,
    bwlimit: int | None = None,
    budget: GivenBudget | None = None,
    max_octets: int | None = None,
    adopt: bool | str | os.PathLike[str] = False,
    name: str | None = None,
    retry: Retry | None = None,
    progress: Callable[[Progress], object] | None = None,
    stopping: Callable[[], bool] | None = None,
) -> Report:
    """Copy the mail of an account into a store; again: only what is new. Return what came of it.

    Nothing is changed on the server. What was cut short goes on with the next call, and no message is there twice.

    :param account: whose mail; or a URL, as `Account.from_url` takes it.
    :param store: where to; or a directory: the store that is there, else a `Maildir`.
    :param mailboxes: names, or special uses such as ``"\\\\Sent"``; None: all.
    :param exclude: names, or special uses, of those to leave out.
    :param since: only messages that came on this day or later (INTERNALDATE).
    :param before: only messages that came before this day.
    :param min_size: only messages of so many octets at least.
    :param max_size: only messages of so many octets at most.
    :param search: only messages that this key of `fastimap.search`, or search program, finds.
    :param limit: of each mailbox only the newest so many.
    :param newest_first: fetch the newest messages first; else the oldest.
    :param connections: how many to use at once.
    :param deleted: what becomes of messages that the server has no more: ``"keep"`` them, ``"mark"`` them (the flag
        \\\\Deleted in a Maildir), or ``"delete"`` them.
    :param max_delete: messages that a run may mark or delete at most, a number or ``"10%"``; unless given, the larger
        of 100 and 10 %. Beyond that none is, and `Report.held_back` says why.
    :param resume: begin where the last run ended; False: compare everything anew.
    :param dry_run: say what would be done, and do nothing.
    :param wait: seconds to wait for another run on the store to end; None: any time.
    :param bwlimit: octets a second to receive at most.
    :param budget: octets to receive in 24 hours at most, by all runs on the store together; or a provider's profile,
        ``"gmail"`` or ``"microsoft"``; or a `Budget`. A run that used it up ends, and `Report.go_on_at` says till when.
    :param max_octets: octets to write at most in this run.
    :param adopt: match messages that mbsync or OfflineIMAP has pulled, instead of fetching them: True: the store's
        directory is theirs, and becomes this store; or their directory, which stays as it is.
    :param name: what the account is called in the store; user@host unless given.
    :param retry: how to go on after a lost connection.
    :param progress: called now and then.
    :param stopping: asked now and then; True stops the run, and what was done stays done.

    Raises ValueError and TypeError for what makes no sense, StoreInUse, StoreError, OSError (a full disk), and errors
    of the connection, where nothing can be done at all. A mailbox that fails does not stop the others: `Report.failed`.
    """
    account = as_account(account)
    made = store if isinstance(store, Store) else store_at(store)
    whence = None
    if adopt is not False:
        from .adopt import directory_to_adopt  # few need it, and it is not small

        whence = directory_to_adopt(adopt, made)
    if isinstance(made, Maildir) and whence == made.root and not made.state_path.exists() and (whence / "cur").is_dir():
        made.plus_plus = True
    if whence != made.root and not made.exists() and (file := made.foreign()) is not None:
        raise StoreError(
            f"{file} is mail of another program: adopt=True (--adopt) takes over what that has pulled; "
            "else pull into another directory"
        )
    options = Options(
        store=made,
        mailboxes=None if mailboxes is None else as_names(mailboxes),
        exclude=as_names(exclude),
        since=since,
        before=before,
        min_size=min_size,
        max_size=max_size,
        search=search,
        limit=limit,
        newest_first=newest_first,
        connections=connections,
        deleted=deleted,
        max_delete=max_delete,
        resume=resume,
        dry_run=dry_run,
        wait=wait,
        bwlimit=bwlimit,
        budget=budget,
        max_octets=max_octets,
        adopt=whence,
        name=name,
        retry=retry or Retry(),
        progress=progress,
        stopping=stopping,
    )
    with opened(options.store, name or account_name(account), wait=wait, dry_run=dry_run) as state:
        try:
            return _Pull(account, options, state).run()
        except StoreError:
            if whence is not None and not dry_run and state.path is not None and not state.places(former=True):
                with contextlib.suppress(OSError):  # else it would be a store, and what others have there no surprise
                    state.path.unlink()
            raise


class _Pull:
    """One run."""

    def __init__(self, account: Account, options: Options, state: State) -> None:
        self.account = account
        self.options = options
        self.state = state
        self.store = options.store
        self.name = options.name or account_name(account)
        self.report = Report(account=self.name, store=self.store.where, dry_run=options.dry_run)
        self.rules = options.rules_text()
        self.lost: ConnectionLost | None = None
        self.cut: bool = False
        """Whether a connection was lost once: a second time ends the run."""
        self.meter = Meter(as_budget(options.budget), state.spent(self.name, Meter.oldest()))
        self.watch = Watch(options.retry, options.progress, options.stopping, self._limits)
        retry = options.retry.__replace__(sleep=self.watch.sleep)
        self.line = Line(Pool(account, connections=options.connections, retry=retry), self.meter)
        self.ahead = self.line.pool._meanwhile = self._ahead()
        self.counts: dict[int, int] = {}
        """Messages in mailboxes, by their numbers in the state: those that were counted ahead."""
        self.guards = Guards(options, state, self.name)
        self.gone = self.guards.gone
        self.adoption = _adoption(options, state, self.report)
        self.copies = Copies(self.store, state, self.meter, self.name, self.adoption)

    # A run that finds nothing new does without the next two.

    @functools.cached_property
    def candidates(self) -> Candidates:
        """What may turn up in another mailbox."""
        from .matching import Candidates

        return Candidates(self.state, self.store)

    @functools.cached_property
    def receiver(self) -> Receiver:
        """What brings a mailbox up to date."""
        from .receiving import Receiver

        return Receiver(
            self.options,
            self.state,
            self.name,
            line=self.line,
            watch=self.watch,
            guards=self.guards,
            candidates=self.candidates,
            copies=self.copies,
            adoption=self.adoption,
        )

    def _ahead(self) -> Generator[object, None, None]:
        """Do what is needed after the login while the server is at it: a piece each time."""
        yield commands.List, commands.Status  # which imports them
        if self.store.shared:  # whose state is read from its files, which may be far
            return
        only = self.options.mailboxes
        for place in self.state.places(self.name):
            if place.mark is not None and place.mark.exists <= _COUNTED and (only is None or place.name in only):
                self.counts[place.id] = self.state.count(place)
                yield place

    # The whole.

    def run(self) -> Report:
        report = self.report
        with self.line.pool:
            try:
                self.watch.check()
                if not self.options.dry_run:
                    self.copies.finish()
                jobs = self._plan()
                self._look(jobs)
                for job in jobs:
                    if not job.done:
                        self._attempt(job)
                self._dispose(jobs)
                if not self.options.dry_run and self.adoption is not None and report.complete and self._is_of_all():
                    self.state.set_about("adopt", None)
            except NotNow as exc:
                raise (exc.__context__ or exc) from None
            except Stop as stop:
                report.stopped = str(stop)
                report.go_on_at = stop.go_on_at
            finally:
                self.line.count()
                if self.options.dry_run:
                    self.state.rollback()
                else:
                    self.copies.flush()
        report.octets_received = self.line.received
        return report

    def _is_of_all(self) -> bool:
        """Whether this run is about the whole account."""
        return self.options.mailboxes is None and not self.options.exclude and not self.rules

    def _limits(self) -> None:
        """Stop where the budget is used up; pause where its provider wants that."""
        self.line.count()
        go_on_at = self.meter.used_up()
        if go_on_at is not None:
            raise Stop("the budget of 24 hours is used up", go_on_at)
        pause = self.meter.pause()
        if pause:
            self.watch.sleep(pause)

    # Which mailboxes.

    def _plan(self) -> list[Job]:
        known = {place.name: place for place in self.state.places(self.name)}
        former = {
            (place.name, place.uid_validity): place
            for place in self.state.places(self.name, former=True)
            if not place.current
        }
        back = {name for name, _ in former}
        with self.line.lent() as client:
            self.watch.connected = True
            status_items = (*_STATUS, "HIGHESTMODSEQ") if has_condstore(client) else _STATUS
            infos, status_of = self._listed(client, known, status_items)
            wanted = chosen(client, infos, self.options, self.report)
            if self.adoption is not None:
                self._begin_adoption(self.adoption, infos)
            self.scope = Scope(client, infos, wanted, self.options)
            self.listed = {info.name for info in infos if info.is_selectable}
            jobs = [
                Job(
                    info.name,
                    info,
                    MailboxReport(info.name),
                    known.get(info.name),
                    status_of.get(info.name, info.status),
                )
                for info in wanted
            ]
            sure = self.options.name is not None
            check_server(client, self.name, self.account.port, infos, self.state, sure=sure)
            self.report.mailboxes |= {job.name: job.report for job in jobs}
            lost = [place for name, place in known.items() if name not in {info.name for info in infos}]
            ask = [job for job in jobs if job.status is None and (job.place is not None or lost or job.name in back)]
            if ask:
                with client.pipeline() as pipeline:
                    pending = [(job, pipeline.mailbox_status(job.info, *status_items)) for job in ask]
                for job, answer in pending:
                    with contextlib.suppress(CommandError):
                        job.status = answer.result()
            for job in jobs:
                again = None if job.status is None else former.get((job.name, job.status.uid_validity or 0))
                if again is not None:
                    if job.place is not None:
                        job.report.notes.append(f"UIDVALIDITY is {again.uid_validity} again")
                        self.gone[job.place.id] = Gone(job.place, self.state.uids(job.place), "new UIDVALIDITY", job)
                    job.place = again
            left_out = [info for info in infos if info.is_selectable and info not in wanted]
            if self.listed and not self.options.dry_run:  # before a mailbox that was noted once gets another name
                self.state.set_to_come(self.name, [job.name for job in jobs if job.place is None])
                self.state.commit()
            for place in lost:
                self._lost(client, place, jobs, left_out)
            if self.adoption is not None and self._is_of_all():
                self.report.notes += self.adoption.notes(wanted)
        if not any(info.is_selectable for info in infos):  # each account has an INBOX
            had = f", and the store has {len(known)}" if known else ""
            raise StoreError(f"the server lists no mailbox at all{had}: nothing was done")
        return jobs

    def _listed(
        self, client: Client, known: Mapping[str, Place], items: tuple[str, ...]
    ) -> tuple[Sequence[MailboxInfo], dict[str, MailboxStatus]]:
        """Return all mailboxes, and the status of those that are known; of many of these with LIST-STATUS alone.

        In one round trip. The list comes last: a Dovecot that opens the INBOX after it waits for a lock of its own.
        """
        only = self.options.mailboxes
        names = [name for name in known if (only is None or name in only) and name not in self.options.exclude]
        if 0 < len(names) <= _KNOWN:
            try:
                *found, infos = client.run(_asked(names, items))
                return infos, dict(zip(names, found, strict=True))
            except ConnectionLost:
                raise
            except (FastimapError, ValueError):  # one is gone, is named otherwise now, or can be sent only as it came
                pass
        at_once = bool(known) and client.session.has("LIST-STATUS")
        return client.list_mailboxes(status=items if at_once else ()), {}

    def _begin_adoption(self, adoption: Adoption, infos: Sequence[MailboxInfo]) -> None:
        """See that there is something to adopt."""
        state = self.state
        is_new = not state.places(former=True)
        if self.options.adopt is not None and (is_new or not adoption.own):
            try:
                adoption.check(infos)
            except StoreError:
                if not self.options.dry_run:
                    state.set_about("adopt", None)
                    state.commit()
                raise
        if adoption.own and not self.options.dry_run:
            adoption.shut_mbsync_out()

    def _lost(self, client: Client, place: Place, jobs: list[Job], left_out: list[MailboxInfo]) -> None:
        """Find a mailbox under its new name, if exactly one fits; else its messages are gone.

        Not where this run is not about it, or leaves out what it is called now: who names one mailbox, or leaves one
        out, has nothing deleted of others. Nor where one that it may be can't be looked at.
        """
        new = [job for job in jobs if job.place is None]
        try:
            self.store.check_whole(place)
        except FastimapError as exc:
            self._refuse_lost(place, new, exc)
            return
        unclear = [job.name for job in new if job.status is None]
        fitting: list[Job] = []
        for job in new:
            try:
                if job.status is not None and fits(client, place, job.info, job.status, self.state):
                    fitting.append(job)
            except CommandError:
                unclear.append(job.name)
        if len(fitting) == 1:
            self._renamed(place, fitting[0])
            return
        if place.name not in self.scope:
            if self.scope.unclear:
                self.report.notes.append(
                    f"{place.name} is left as it is: a special use is excluded that no mailbox has"
                )
            return
        report = self.report.mailboxes.setdefault(place.name, MailboxReport(place.name))
        for info in left_out:
            try:
                status = client.mailbox_status(info, *_STATUS)
                if fits(client, place, info, status, self.state):
                    report.notes.append(f"the server has it as {info.name}, which this run leaves out")
                    return
            except CommandError:
                unclear.append(info.name)
        if unclear:
            report.notes.append(f"it may be {' or '.join(unclear)}, which can't be looked at")
            return
        report.notes.append("the server has this mailbox no more")
        uids = self.state.uids(place)
        report.gone = len(uids)
        self.gone[place.id] = Gone(place, uids, "no such mailbox")

    def _refuse_lost(self, place: Place, new: list[Job], why: FastimapError) -> None:
        """Leave a mailbox as it is that the server has no more under its name, and each that may be it."""
        for job in new:
            if job.status is None or job.status.uid_validity == place.uid_validity:
                job.report.error = f"it may be {place.name}: {why}"
                job.done = True
        if place.name in self.scope:
            self.report.mailboxes[place.name] = MailboxReport(place.name, error=f"{why}")

    def _renamed(self, place: Place, job: Job) -> None:
        job.report.renamed_from = place.name
        job.place = place
        path = self.state.path_for(self.name, job.name, job.info.delimiter)
        if self.options.dry_run:
            self.state.rename(place, job.name, place.path, place.key)
        else:
            self.copies.rename(place, job.name, path)

    def _look(self, jobs: list[Job]) -> None:
        """Compare the mailboxes that are known, so that what has moved between them is seen before it is fetched."""
        self.ahead.close()  # from here on what it counts would change
        state = self.state
        restored = [] if self.options.dry_run else self.copies.restore()
        self._compare(jobs, skip=True)
        for place, entries in restored:
            self._keep(place, entries, jobs)
        here = {job.place.id for job in jobs if job.place is not None}
        places = state.places(self.name, former=True)
        now = {job.name: job.status.uid_validity for job in jobs if job.status is not None}
        for place in places:  # where a worker did not see to its part, that is still current
            former = not place.current or now.get(place.name, place.uid_validity) != place.uid_validity
            if former and place.id not in (*self.gone, *here) and state.count(place) and place.name in self.scope:
                self.gone[place.id] = Gone(place, state.uids(place), "new UIDVALIDITY")
        self._leave_damaged()
        if self.gone and self.options.deleted != "keep":  # it may be among what a rule leaves out
            unsure = [job for job in jobs if job.done and job.report.excluded]
            for job in unsure:
                job.done = False
            self._compare(unsure, skip=False)
        if not all(job.done for job in jobs):
            for place in places:
                self.candidates.add(place, state.missing(place))
            for gone in self.gone.values():
                self.candidates.add(gone.place, state.some(gone.place, gone.uids))

    def _leave_damaged(self) -> None:
        """Leave mailboxes as they are of which not all can be read: what of them is gone can't be told."""
        for gone in [*self.gone.values()]:
            try:
                self.store.check_whole(gone.place)
            except FastimapError as exc:
                del self.gone[gone.place.id]
                if gone.job is None:
                    self.report.notes.append(f"{gone.place.name} before its new UIDVALIDITY: {exc}")
                else:
                    gone.job.report.error = f"{exc}"
                    gone.job.done = True

    def _compare(self, jobs: list[Job], *, skip: bool) -> None:
        """Compare mailboxes that are known; with `skip` not those whose counters are what they were."""
        state = self.state
        for job in jobs:
            place = job.place
            if place is None or job.status is None:
                continue
            # What a search finds may depend on the time, and on more that no status tells.
            whole = self.options.resume and self.options.search is None and self.store.uids is None and not place.dirty
            if skip and whole and unchanged(place, job.status, state, self.rules, self.counts.get(place.id)):
                assert place.mark is not None
                job.report.found = place.mark.exists
                job.report.excluded = dict(place.mark.excluded)
                job.report.present = place.mark.exists - sum(place.mark.excluded.values())
                job.done = True
            elif job.status.uid_validity != place.uid_validity:
                self.gone[place.id] = Gone(place, state.uids(place), "new UIDVALIDITY", job)
            elif self.lost is None:  # else `_attempt` says that it was not looked at
                with self._attempting(job), self.line.lent() as client:
                    found = self.receiver.compare(client, job)
                    if found.gone:
                        self.gone[place.id] = Gone(place, found.gone, "expunged", job)

    def _keep(self, place: Place, entries: list[Entry], jobs: list[Job]) -> None:
        """Note what a run that did not end has written and the server has no more, as a message that is gone."""
        gone = self.gone.get(place.id)
        for job in jobs:
            if job.place is not None and job.place.id == place.id and (found := job.comparison) is not None:
                unknown = found.unknown  # what a rule leaves out is there as well
                entries = [entry for entry in entries if entry.uid not in unknown]
                gone = gone or Gone(place, UIDSet(), "expunged", job)
        if gone is None:
            if place.current:  # it is not looked at in this run
                return
            gone = Gone(place, UIDSet(), "new UIDVALIDITY")
        if entries:
            gone.uids |= UIDSet(entry.uid for entry in entries)
            self.gone[place.id] = gone
        if not place.current:
            self.state.set_dirty(place, False)
        self.copies.keep(place, entries)

    @contextlib.contextmanager
    def _attempting(self, job: Job) -> Iterator[None]:
        """Note an error of one mailbox, which does not stop the others."""
        try:
            yield
        except ArchiveError:
            raise
        except FastimapError as exc:
            job.report.error = f"{exc}"
            job.report.parked = {} if job.place is None else self.state.parked(job.place)
            job.done = True
            if isinstance(exc, ConnectionLost):
                if self.cut or not isinstance(exc, Disconnected | Timeout):
                    self.lost = exc
                self.cut = True

    def _attempt(self, job: Job) -> None:
        if self.lost is not None:
            job.report.error = f"not looked at: {self.lost}"
            return
        self.watch.begin(job.name, 0)
        self.watch.check()
        with self._attempting(job):
            self.receiver.receive(job)

    # What the server has no more.

    def _dispose(self, jobs: list[Job]) -> None:
        """Deal with messages that are gone, all together: the guards look at the whole."""
        report, wanted = self.report, self.options.deleted
        count, why = self.guards.look(report, jobs)
        if why is None and count and wanted != "keep":
            why = self._grown(jobs)
        if why is not None:
            report.held_back = why
            return
        if self.options.dry_run:
            report.deleted = count * (wanted != "keep")
            return
        for gone in self.gone.values():
            for entries in chunks(self.guards.left(gone), 1000):
                self.copies.away(gone.place, entries, wanted)
                report.deleted += len(entries) * (wanted != "keep")
            if gone.why == "no such mailbox":
                self.state.leave(gone.place)
            elif gone.why == "expunged" and gone.job is not None and gone.job.report.error is None:
                self.receiver.set_mark(gone.job)
        self.state.commit()

    def _grown(self, jobs: list[Job]) -> str | None:
        """Return why nothing is to be deleted where a mailbox has others since it was looked at; None: none has."""
        grown: str | None = None
        with self.line.lent() as client:
            infos = [info for info in client.list_mailboxes() if info.is_selectable]
            with client.pipeline() as pipeline:
                pending = [(job, pipeline.mailbox_status(job.info, "UIDNEXT")) for job in jobs]
            for info in infos:
                if info.name not in self.listed and (self.scope.unclear or info.name in self.scope):
                    grown = info.name
            for job, answer in pending:
                seen = None if job.comparison is None else job.comparison.selected.uid_next
                if seen is None and job.status is not None:
                    seen = job.status.uid_next
                try:
                    now = answer.result().uid_next
                except CommandError:
                    grown = grown if job.status is None and job.name in {info.name for info in infos} else job.name
                else:
                    grown = job.name if seen is not None and now is not None and now > seen else grown
        if grown is None:
            return None
        return (
            f"nothing was deleted: {grown} is new, or has others since it was looked at, and what is gone may be "
            "there; the next run sees to it"
        )


def _asked(names: Sequence[str], items: tuple[str, ...]) -> Flow[list[Any]]:
    answers: list[Any] = yield (*(commands.Status(name, *items) for name in names), commands.List())
    return answers


def _adoption(options: Options, state: State, report: Report) -> Adoption | None:
    """Return what is to be adopted, of this run or of one before that was not about all mail, or did not end."""
    root = options.adopt
    kept: int | str | bytes | None = None
    if root is None and (kept := state.about("adopt")) is None:
        return None
    home = options.store.state_path.parent
    if root is None:
        root = home if kept is None or isinstance(kept, int) else Path(os.fsdecode(kept))
        if not root.is_dir():
            report.notes.append(f"adopt: {root} is not there any more, so its messages are fetched")
            return None
    from .adopt import Adoption, is_same

    own = is_same(root, home)
    if not options.dry_run:
        state.set_about("adopt", 1 if own else os.fsencode(root))
        state.commit()
    return Adoption(home if own else root, own=own)
