"""Verify: does a store hold what its state says, and does that equal what the account has?"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..clients.blocking import Client
from ..errors import FastimapError
from ..model._digest import sha256
from ..model.row import FetchedMessage
from ..model.sequence_set import UIDSet
from ..sessions.retry import Retry
from ..settings import Account, account_name
from .budgets import Meter
from .choosing import chosen
from .compare import Change, expunged_of, listed
from .copies import Copies
from .errors import ArchiveError, StoreError, StoreInUse
from .identity import as_account
from .messages import LEFT_OUT, date_of, extra_now, extra_of, flags_of, items_about, split_extra
from .opening import opened
from .options import Options, as_names, check_number
from .report import Report
from .state import Entry, Place, State
from .stores import store_at
from .stores.base import Store
from .watching import Stop

__all__ = ["Difference", "Verification", "verify"]

_CHUNK = 2000
_UNNAMED = (
    "mail that the store does not have, as after a run that was killed, or if a manifest was lost: put that back, or "
    "pull again; what the account has no more is in this file alone then"
)
_AT_WORK = (
    "files with mail that the store does not have were not looked for: another run writes into it; verify it again then"
)
_DAMAGED = ("missing", "octets")
_FOLLOWED = ("flags", "labels")
"""Differences that are no reason to write a message anew."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A message that is not as it should be."""

    mailbox: str
    uid: int
    """0: it is about the mailbox, or a file of it."""
    what: str
    """``"missing"`` in the store, ``"octets"`` (they differ), ``"size"``, ``"flags"``, ``"labels"``, ``"date"``,
    ``"not pulled"``, ``"not compared"`` (the server does not send what was to be)."""
    detail: str = ""
    repaired: bool = False


@dataclass(slots=True)
class Verification:
    """What came of a verification."""

    store: str
    account: str | None = None
    checked: int = 0
    """Messages that were looked at in the store."""
    compared: int = 0
    """Messages that were compared with the account's."""
    differences: list[Difference] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Mailboxes that could not be compared, and why."""
    not_in_store: list[str] = field(default_factory=list)
    """Mailboxes of the account that the store does not have, where none were named: left out of its pulls, or new."""
    sampled: bool = False
    stopped: str | None = None
    """Why it ended before its end."""
    notes: list[str] = field(default_factory=list)
    """What a person should know, in sentences."""

    @property
    def good(self) -> bool:
        """Whether all was looked at, and nothing is missing or different, or all of that was repaired."""
        return self.stopped is None and not self.failed and all(each.repaired for each in self.differences)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "store": self.store,
            "account": self.account,
            "good": self.good,
            "checked": self.checked,
            "compared": self.compared,
            "sampled": self.sampled,
            "stopped": self.stopped,
            "notes": self.notes,
            "failed": self.failed,
            "not_in_store": self.not_in_store,
            "differences": [
                {
                    "mailbox": each.mailbox,
                    "uid": each.uid,
                    "what": each.what,
                    "detail": each.detail,
                    "repaired": each.repaired,
                }
                for each in self.differences
            ],
        }


def verify(
    store: Store | str | os.PathLike[str],
    account: Account | str | None = None,
    *,
    mailboxes: Iterable[str] | None = None,
    octets: bool = False,
    repair: bool = False,
    sample: int | None = None,
    wait: float | None = 0,
    name: str | None = None,
    retry: Retry | None = None,
    progress: Callable[[str, int], object] | None = None,
    stopping: Callable[[], bool] | None = None,
) -> Verification:
    """Check that each message of a store is there and has the octets that were pulled; return what is not so.

    :param store: the store, or where it is.
    :param account: compare with what this account has now, by UID, size, flags, labels and INTERNALDATE; None: no
        account.
    :param mailboxes: only these; with the account also special uses, as for `pull`.
    :param octets: also fetch every message from the account, which it needs, and compare its octets.
    :param repair: fetch what is missing or different, and write it anew. It needs the account. What was not pulled is
        fetched where the last pull came to its end and had no rules; else a pull is to do it.
    :param sample: look at so many messages of each mailbox, chosen at random.
    :param wait: seconds to wait for another run on the store to end; None: any time.
    :param name: what the account is called in the store. Without `account`, its mail alone is checked.
    :param retry: how to go on after a lost connection.
    :param progress: called with a mailbox and the number of messages that were looked at.
    :param stopping: asked now and then; True ends it, and `Verification.stopped` says so.

    Messages that the account has no more are checked against their digests alone. Flags are those that were pulled:
    what a mail reader has changed in a Maildir since is the reader's. Raises as `pull` does, StoreError where there is
    no store, and ValueError where it has nothing of the account, or nothing at all.
    """
    account = None if account is None else as_account(account)
    for asked, what in ((repair, "repair"), (octets, "octets")):
        if asked and account is None:
            raise ValueError(f"{what} needs the account")
    if sample is not None:
        check_number("sample", sample, least=1)  # nothing is found in a sample of none
    made = store if isinstance(store, Store) else store_at(store)
    if not made.exists():
        raise StoreError(f"{made.where} is no store of fastimap")
    options = Options(store=made, mailboxes=None if mailboxes is None else as_names(mailboxes))
    whose = name or (None if account is None else account_name(account))
    if made.shared and whose is not None and not made.ranges(whose) and not _unnamed(made, whose):
        # To hold it would make a place for it.
        with contextlib.closing(made.look()) as state:
            _of(whose, state.places(former=True))
    with opened(made, whose, wait=wait, reads=not repair) as state:
        result = Verification(made.where, None if account is None else whose)
        if options.mailboxes is None:
            found = _unnamed(made, whose)
            result.differences += found or ()
            result.notes += [_AT_WORK] if found is None else ()
            if account is None:
                left = [name for user, name in state.to_come() if whose in (None, user)]
                result.notes += [f"{name}: nothing of it has been pulled yet: pull again" for name in left]
        run = _Verify(made, state, result, octets, repair, sample, progress, stopping)
        places = state.places(former=True)
        if result.differences:  # all manifests may be lost
            places = [place for place in places if whose in (None, place.account)]
        else:
            places = _of(whose, places)
        try:
            if account is None:
                run.offline(run.chosen(None, places, options))
            else:
                run.online(account, retry or Retry(), places, options)
        except Stop as stop:
            run.result.stopped = str(stop)
        for found in run.bad.values():  # of mailboxes that were not compared
            run.result.differences += found
    return run.result


def _unnamed(store: Store, whose: str | None) -> list[Difference] | None:
    """Return the files of mail that the store does not have; None while a worker writes such."""
    try:
        return [Difference(name, 0, "missing", f"{file}: {_UNNAMED}") for name, file in store.unnamed(whose)]
    except StoreInUse:
        return None


def _of(whose: str | None, places: list[Place]) -> list[Place]:
    """Return the mailboxes of an account, or of all. Raises ValueError where there are none."""
    if not places:
        raise ValueError("nothing was ever pulled into the store")
    found = [place for place in places if whose in (None, place.account)]
    if not found:
        others = sorted({place.account for place in places})
        there = f"it has mail of {', '.join(others)} (name= says what an account is called in it)"
        raise ValueError(f"the store has nothing of {whose}; {there}")
    return found


@dataclass
class _Verify:
    store: Store
    state: State
    result: Verification
    octets: bool
    repair: bool
    sample: int | None
    progress: Callable[[str, int], object] | None
    stopping: Callable[[], bool] | None
    bad: dict[int, list[Difference]] = field(default_factory=dict)
    """What is not as it should be by the store alone, of mailboxes that are to be compared, by their numbers."""
    mended: set[int] = field(default_factory=set)
    """Mailboxes that do without a part by now."""

    def check(self) -> None:
        """Raise Stop where `stopping` says so."""
        if self.stopping is not None and self.stopping():
            raise Stop("asked to stop")

    def online(self, account: Account, retry: Retry, places: list[Place], options: Options) -> None:
        """Check digests, and compare with the account."""
        with Client(account, retry=retry) as client:
            places = self.chosen(client, places, options)
        self.offline(places)  # which may take longer than a server waits
        with Client(account, retry=retry) as client:
            for place in places:
                if place.current:
                    self.compare(client, place)

    def chosen(self, client: Client | None, places: list[Place], options: Options) -> list[Place]:
        """Return the mailboxes that this is about; note those that are not in the store, or nowhere."""
        known = {place.name for place in places}
        if client is not None:
            nowhere = Report()
            found = {info.name for info in chosen(client, client.list_mailboxes(), options, nowhere)}
            current = {place.name for place in places if place.current}
            if options.mailboxes is None:
                self.result.not_in_store = sorted(found - current)
                return places
            again = sorted((found & known) - current)
            self.result.failed |= dict.fromkeys(again, "the server has it again, and it was not pulled since")
            found |= {*nowhere.mailboxes}  # the store may have it still
        elif options.mailboxes is None:
            return places
        else:
            found = {*options.mailboxes}
        self.result.failed |= dict.fromkeys(sorted(found - known), "the store has no such mailbox")
        return [place for place in places if place.name in found]

    def offline(self, places: list[Place]) -> None:
        """Check digests; note what is bad, by mailbox."""
        self.result.sampled = self.sample is not None
        for place in places:
            self._damage(place, [*self.store.damage(place)])
        for place in places if self.result.account is None else ():
            if place.current and not self.state.has_ended(place):
                self.result.notes.append(f"{place.name}: the last pull did not come to its end: pull again")
            if parked := self.state.parked(place):
                many = "1 message is" if len(parked) == 1 else f"{len(parked)} messages are"
                self.result.notes.append(f"{place.name}: {many} parked, and not in the store")
        for place in places:
            for number, entry in enumerate(self._chosen(place), 1):
                self.check()
                self.result.checked += 1
                if self.progress is not None and number % 100 == 0:
                    self.progress(place.name, number)
                what = self.store.check(place, entry)
                if what is None:
                    continue
                found = Difference(place.name, entry.uid, *what)
                if self.result.account is None or entry.gone or not place.current:
                    self.result.differences.append(found)
                else:
                    self.bad.setdefault(place.id, []).append(found)
            if self.repair and (lost := [*self.store.unreadable(place)]):
                self._damage(place, lost)
                left = self.state.noted(place)  # of what it does without the account may have some
                self.bad[place.id] = [each for each in self.bad.pop(place.id, ()) if each.uid in left]

    def _damage(self, place: Place, damage: Sequence[tuple[str, str]]) -> None:
        """Note what of a mailbox can't be read at all; with `repair` the store does without it."""
        for _, what in damage:
            detail = f"{what}: it is given up, with what the account has no more" if self.repair else what
            self.result.differences.append(Difference(place.name, 0, "missing", detail))
            self.mended |= {place.id} if self.repair else set()
        if damage and self.repair:
            mark = place.mark
            self.state.set_mark(place, None)  # until all is mended the next pull is to compare all
            self.store.do_without(place)
            self.state.commit()
            place.mark = mark

    def _chosen(self, place: Place) -> Iterator[Entry]:
        if self.sample is None:
            return self.state.entries(place, gone=None)
        uids = [*self.state.uids(place), *self.state.uids(place, gone=True)]
        return self.state.some(place, UIDSet(random.sample(uids, min(self.sample, len(uids)))))

    def compare(self, client: Client, place: Place) -> None:
        """Compare a mailbox with the account's, and repair it."""
        found = self.bad.pop(place.id, [])
        followed: dict[int, Change] = {}
        try:
            there = self._compare(client, place, found, followed)
            if self.repair:
                self._mend(client, place, there, found, followed)
                if place.id in self.mended:
                    whole = self.sample is None and all(each.repaired for each in found)
                    self.state.set_mark(place, place.mark if whole else None)
                    self.state.commit()
        except ArchiveError:
            raise
        except FastimapError as exc:
            self.result.failed[place.name] = str(exc)
        finally:
            self.result.differences += found

    def _compare(self, client: Client, place: Place, found: list[Difference], followed: dict[int, Change]) -> UIDSet:
        """Note what is different; return the messages that the account has."""
        selected = client.select(place.name, read_only=True)
        known = self.state.uids(place)
        if selected.uid_validity != place.uid_validity:
            if not known and not selected.exists:  # Courier gives an empty mailbox another one each second
                return UIDSet()
            raise FastimapError("it has a new UIDVALIDITY: pull first")
        there = listed(client, selected.exists)
        wanted = (known & there) - UIDSet(each.uid for each in found)
        found += self._not_pulled(place, there - known)
        if self.sample is not None:
            wanted = UIDSet(random.sample([*wanted], min(self.sample, len(wanted))))
        items = ["FLAGS", "INTERNALDATE", "RFC822.SIZE", *items_about(client)]
        if self.octets:
            items.append("BODY.PEEK[]")
        left = UIDSet()
        sizes = without = 0
        for chunk in wanted.chunks(_CHUNK):
            entries = {entry.uid: entry for entry in self.state.some(place, chunk)}
            for row in client.fetch_iter(chunk, *items):
                self.check()
                entry = entries.pop(row.uid or 0, None)
                if entry is None:
                    continue
                lacks = _lacks(row, entry, items)
                self.result.compared += not lacks
                without += self.octets and not entry.digest
                for what, detail in _differences(row, entry, lacks):
                    if what == "size" and row.body is not None and entry.digest:
                        sizes += 1
                        continue
                    found.append(Difference(place.name, entry.uid, what, detail))
                    if what in _FOLLOWED:
                        flags = entry.flags if row.flags is None else flags_of(row)
                        followed[entry.uid] = Change(entry.uid, flags, extra_now(row, entry.extra))
            left |= UIDSet(entries)
        self._note_sizes(place, sizes)
        if without:
            self.result.notes.append(
                f"{place.name}: the store does not have {without} messages whole: no octets to compare"
            )
        if left:
            still = left - expunged_of(client, left)
            found += [Difference(place.name, uid, "not compared", LEFT_OUT) for uid in still]
        return there

    def _not_pulled(self, place: Place, missing: UIDSet) -> Iterator[Difference]:
        """Yield what the account has and the store has not, but for what the rules of the last pull left out."""
        mark, parked = place.mark, self.state.parked(place)
        why = ""
        if mark is None:
            why = "the last pull did not come to its end: pull again"
        elif mark.rules:
            why = "it came after the last pull, whose rules may leave it out: pull again"
            judged = UIDSet() if mark.uid_next is None else missing & UIDSet([range(1, mark.uid_next)])
            judged -= UIDSet(parked)
            missing -= judged
            left_out = sum(mark.excluded.values())
            if len(judged) > left_out and not self.store.shared:  # a range of UIDs has a mark of its own
                detail = f"{len(judged)} messages are not here, and the last pull left out {left_out}: pull again"
                yield Difference(place.name, 0, "not pulled", detail)
        for uid in missing:
            yield Difference(place.name, uid, "not pulled", parked.get(uid, why))

    def _note_sizes(self, place: Place, wrong: int) -> None:
        if wrong:
            self.result.notes.append(
                f"{place.name}: the server's RFC822.SIZE is wrong for {wrong} messages, whose octets are the same"
            )

    def _mend(
        self, client: Client, place: Place, there: UIDSet, found: list[Difference], followed: dict[int, Change]
    ) -> None:
        """Have what the account has; note of the differences which are no more."""
        if followed:
            mark = place.mark
            self.state.set_mark(place, None)  # should this die, the next pull is to compare all
            Copies(self.store, self.state, Meter(None, {}), place.account, None).follow(place, followed.values())
            self.state.set_mark(place, mark)
            self.state.commit()
        anew: set[int] = set()
        same: set[int] = set()
        wanted = [each for each in found if self._by_fetching(place, each)]
        sizes = UIDSet(each.uid for each in wanted) - UIDSet(each.uid for each in wanted if each.what != "size")
        try:
            self._fetch(client, place, UIDSet(each.uid for each in wanted) & there, sizes, anew, same)
        finally:
            self._note_sizes(place, len(same))
            if self.store.only_grows and any(each.uid in anew and each.what in _DAMAGED for each in wanted):
                self.result.notes.append(
                    f"{place.name}: what was damaged stays in its file, beside what was fetched again, for those "
                    "who read it without the state; a pull into another directory makes a file without it"
                )
            found[:] = [
                replace(each, repaired=each.what in _FOLLOWED or (each.uid in anew and self._by_fetching(place, each)))
                for each in found
                if each.what != "size" or each.uid not in same
            ]

    def _by_fetching(self, place: Place, found: Difference) -> bool:
        """Whether what is different is repaired by writing the message anew."""
        if found.what == "not pulled":
            return place.mark is not None and not place.mark.rules
        if found.what == "date":
            return self.store.replaces
        return found.what not in (*_FOLLOWED, "not compared")

    def _fetch(self, client: Client, place: Place, uids: UIDSet, sizes: UIDSet, anew: set[int], same: set[int]) -> None:
        """Fetch messages anew; note those that are good now.

        :param sizes: those that are different by the server's RFC822.SIZE alone: where the octets are the same, nothing
            is written.
        """
        if not uids:
            return
        digests = {entry.uid: entry.digest for entry in self.state.some(place, sizes)}
        # What is there is not to be kept, whatever its name says: what is written takes its place.
        was_dirty = place.dirty
        self.state.set_dirty(place, True)
        self.state.commit()
        self.store.begin(place, uids)
        copies = Copies(self.store, self.state, Meter(None, {}), place.account, None)
        try:
            for row in (row for rows in self.store.fetch(client, uids) for row in rows):
                self.check()
                message = self.store.message(row)
                if message is None:
                    continue
                if message.digest and message.digest == digests.get(message.uid):
                    same.add(message.uid)
                    continue
                copies.write(place, [message])
                self.state.unpark(place, [message.uid])
                anew.add(message.uid)
                if copies.due(time.monotonic()):
                    copies.flush()
        except (FastimapError, Stop):  # what has come is kept
            self._keep(copies, place, dirty=was_dirty)
            raise
        self._keep(copies, place, dirty=was_dirty)

    def _keep(self, copies: Copies, place: Place, *, dirty: bool) -> None:
        """Have what was written durable, and then noted."""
        self.state.set_dirty(place, dirty)
        copies.flush()


def _lacks(row: FetchedMessage, entry: Entry, items: Iterable[str]) -> list[str]:
    """Return the data items that are not there to be compared."""
    octets = row.body is not None and bool(entry.digest)
    has = {
        "FLAGS": row.flags is not None,
        "INTERNALDATE": row.internal_date is not None or entry.date is None,
        "RFC822.SIZE": row.size is not None or octets,
        "X-GM-LABELS": row.gmail_labels is not None,
        "BODY.PEEK[]": octets or not entry.digest,
    }
    return [name for name in items if not has.get(name, True)]


def _differences(row: FetchedMessage, entry: Entry, lacks: list[str]) -> Iterator[tuple[str, str]]:
    """Yield in what a message of the account is unlike the one in the store, and what of it can't be told."""
    if row.body is not None and entry.digest and sha256(row.body) != entry.digest:
        yield "octets", "the account has others"
        return
    if row.size is not None and row.size != entry.size:
        yield "size", f"the account says {row.size} octets, the store has {entry.size}"
    date = date_of(row)
    if date is not None and date != entry.date:
        yield "date", f"{date}, {entry.date} here"
    theirs, ours = split_extra(extra_of(row))[0], split_extra(entry.extra)[0]
    if row.flags is not None and flags_of(row) != entry.flags:
        yield "flags", f"{flags_of(row)!r}, {entry.flags!r} here"
    elif theirs is not None and theirs != (ours or []):
        yield "labels", f"{theirs}, {ours or []} here"
    if lacks:
        reasons = "; ".join(dict.fromkeys(defect.reason for defect in row.defects))
        yield "not compared", f"{', '.join(lacks)}: {reasons or LEFT_OUT}".replace(".PEEK", "")
