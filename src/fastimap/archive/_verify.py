"""Verify: does a store hold what its state says, and does that equal what the account has?"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ..clients.blocking import Client
from ..errors import FastimapError
from ..model.message import FetchedMessage
from ..model.sequence_set import UIDSet
from ..sessions.retry import Retry
from ..settings import Account
from ._pull import account_name
from .budgets import Meter
from .choosing import chosen, folded
from .compare import Change
from .copies import Copies
from .errors import ArchiveError
from .messages import extra_of, flags_of, items_about, split_extra
from .opening import opened
from .options import Options, as_names
from .report import Report
from .state import Entry, Place, State
from .stores import store_at
from .stores.base import Store

__all__ = ["Difference", "Verification", "verify"]

_CHUNK = 2000
_FOLLOWED = ("flags", "labels")
"""Differences that are no reason to write a message anew."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A message that is not as it should be."""

    mailbox: str
    uid: int
    what: str
    """``"missing"`` in the store, ``"octets"`` (they differ), ``"size"``, ``"flags"``, ``"labels"``, ``"date"``,
    ``"not pulled"``."""
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

    @property
    def good(self) -> bool:
        """Whether nothing is missing or different, or all of it was repaired."""
        return not self.failed and all(each.repaired for each in self.differences)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "store": self.store,
            "account": self.account,
            "good": self.good,
            "checked": self.checked,
            "compared": self.compared,
            "sampled": self.sampled,
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
    :param octets: also fetch every message from the account, and compare its octets.
    :param repair: fetch what is missing or different, and write it anew. It needs the account.
    :param sample: look at so many messages of each mailbox, chosen at random.
    :param wait: seconds to wait for another run on the store to end; None: any time.
    :param name: what the account is called in the store.
    :param retry: how to go on after a lost connection.
    :param progress: called with a mailbox and the number of messages that were looked at.
    :param stopping: asked now and then; True ends it.

    Messages that the account has no more are checked against their digests alone. Flags are those that were pulled:
    what a mail reader has changed in a Maildir since is the reader's. Raises as `pull` does, and ValueError where the
    store has nothing of the account.
    """
    if isinstance(account, str):
        account = Account.from_url(account)
    if repair and account is None:
        raise ValueError("repair needs the account")
    made = store if isinstance(store, Store) else store_at(store)
    if not made.exists():
        raise ValueError(f"{made.where} is no store of fastimap")
    options = Options(store=made, mailboxes=None if mailboxes is None else as_names(mailboxes))
    whose = None if account is None else name or account_name(account)
    with opened(made, whose, wait=wait, reads=not repair) as state:
        run = _Verify(made, state, Verification(made.where, whose), octets, repair, sample, progress, stopping)
        run.result.differences += [Difference(mailbox, 0, "missing", detail) for mailbox, detail in made.damage()]
        places = state.places(former=True)
        if account is None:
            run.offline(run.chosen(None, places, options))
            return run.result
        places = _of(whose, places)
        with Client(account, retry=retry or Retry()) as client:
            places = run.chosen(client, places, options)
        run.offline(places)  # which may take longer than a server waits
        with Client(account, retry=retry or Retry()) as client:
            for place in places:
                if place.current:
                    run.compare(client, place)
    return run.result


def _of(whose: str | None, places: list[Place]) -> list[Place]:
    """Return the mailboxes of an account. Raises ValueError where there are none."""
    found = [place for place in places if place.account == whose]
    if not found:
        others = sorted({place.account for place in places})
        there = f"; it has mail of {', '.join(others)} (name= says what an account is called in it)" if others else ""
        raise ValueError(f"the store has nothing of {whose}{there}")
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
    bad: dict[int, set[int]] = field(default_factory=dict)

    def chosen(self, client: Client | None, places: list[Place], options: Options) -> list[Place]:
        """Return the mailboxes that this is about; note those that are not in the store, or nowhere."""
        known = {place.name for place in places}
        if client is not None:
            nowhere = Report()
            found = {info.name for info in chosen(client, client.list_mailboxes(), options, nowhere)}
            if options.mailboxes is None:
                self.result.not_in_store = sorted(found - known)
                return places
            found |= {folded(name) for name in nowhere.mailboxes}  # the store may have it still
        elif options.mailboxes is None:
            return places
        else:
            found = {folded(name) for name in options.mailboxes}
        self.result.failed |= dict.fromkeys(sorted(found - known), "the store has no such mailbox")
        return [place for place in places if place.name in found]

    def offline(self, places: list[Place]) -> None:
        """Check digests; note what is bad, by mailbox."""
        self.result.sampled = self.sample is not None
        for place in places:
            for number, entry in enumerate(self._chosen(place), 1):
                if self.stopping is not None and self.stopping():
                    return
                self.result.checked += 1
                if self.progress is not None and number % 100 == 0:
                    self.progress(place.name, number)
                what = self.store.check(place, entry)
                if what is None:
                    continue
                self.bad.setdefault(place.id, set()).add(entry.uid)
                if self.result.account is None or entry.gone or not place.current:
                    self.result.differences.append(Difference(place.name, entry.uid, *what))

    def _chosen(self, place: Place) -> Iterator[Entry]:
        if self.sample is None:
            return self.state.entries(place, gone=None)
        uids = [*self.state.uids(place), *self.state.uids(place, gone=True)]
        return self.state.some(place, UIDSet(random.sample(uids, min(self.sample, len(uids)))))

    def compare(self, client: Client, place: Place) -> None:
        """Compare a mailbox with the account's, and repair it."""
        try:
            self._compare(client, place)
        except ArchiveError:
            raise
        except FastimapError as exc:
            self.result.failed[place.name] = str(exc)

    def _compare(self, client: Client, place: Place) -> None:
        selected = client.select(place.name, read_only=True)
        if selected.uid_validity != place.uid_validity:
            raise FastimapError("it has a new UIDVALIDITY: pull first")
        there = client.search().uids if selected.exists else UIDSet()
        known = self.state.uids(place)
        found: list[Difference] = [
            Difference(place.name, uid, *(self.store.check(place, entry) or ("missing", "")))
            for uid in sorted(self.bad.get(place.id, ()))
            for entry in self.state.some(place, UIDSet(uid))
            if not entry.gone
        ]
        excluded = place.mark is not None and bool(place.mark.rules)
        if not excluded:
            found += [Difference(place.name, uid, "not pulled") for uid in there - known]
        bad = self.bad.get(place.id, set())
        wanted = known & there
        if self.sample is not None:
            wanted = UIDSet(random.sample([*wanted], min(self.sample, len(wanted))))
        items = ["FLAGS", "INTERNALDATE", "RFC822.SIZE", *items_about(client)]
        if self.octets:
            items.append("BODY.PEEK[]")
        followed: dict[int, Change] = {}
        for chunk in wanted.chunks(_CHUNK):
            entries = {entry.uid: entry for entry in self.state.some(place, chunk)}
            for row in client.fetch_iter(chunk, *items):
                if self.stopping is not None and self.stopping():
                    return
                entry = entries.get(row.uid or 0)
                if entry is None or entry.uid in bad:
                    continue
                self.result.compared += 1
                date = None if row.internal_date is None else int(row.internal_date.timestamp())
                if (
                    row.body is not None
                    and entry.digest
                    and sha256(row.body, usedforsecurity=False).digest() != entry.digest
                ):
                    found.append(Difference(place.name, entry.uid, "octets", "the account has others"))
                    continue
                if row.size is not None and row.size != entry.size:
                    detail = f"the account says {row.size} octets, the store has {entry.size}"
                    found.append(Difference(place.name, entry.uid, "size", detail))
                    continue
                if date is not None and date != entry.date:
                    found.append(Difference(place.name, entry.uid, "date", f"{date}, {entry.date} here"))
                if (changed := _changed(row, entry)) is not None:
                    found.append(Difference(place.name, entry.uid, *changed))
                    flags = entry.flags if row.flags is None else flags_of(row)
                    followed[entry.uid] = Change(entry.uid, flags, extra_of(row) or entry.extra)
        anew: set[int] = set()
        if self.repair:
            if followed:
                Copies(self.store, self.state, Meter(None, {}), place.account, None).follow(place, followed.values())
            anew = self._fetch(client, place, UIDSet(each.uid for each in found if self._by_fetching(each)) & there)
        for each in found:
            done = each.uid in anew if self._by_fetching(each) else self.repair and each.what in _FOLLOWED
            self.result.differences.append(Difference(each.mailbox, each.uid, each.what, each.detail, done))

    def _by_fetching(self, found: Difference) -> bool:
        """Whether what is different is repaired by writing the message anew."""
        return found.what not in _FOLLOWED and (found.what != "date" or self.store.replaces)

    def _fetch(self, client: Client, place: Place, uids: UIDSet) -> set[int]:
        """Fetch messages anew; return those that are good now."""
        done: set[int] = set()
        if not uids:
            return done
        # What is there is not to be kept, whatever its name says: what is written takes its place.
        was_dirty = place.dirty
        self.state.set_dirty(place, True)
        self.state.commit()
        self.store.begin(place, uids)
        try:
            for row in (row for rows in self.store.fetch(client, uids) for row in rows):
                message = self.store.message(row)
                if message is None:
                    continue
                (where,) = self.store.write(place, [message])
                uid, _, date, flags, digest, extra, _ = message
                self.state.insert([(place.id, uid, message.size, date, flags, digest, where, extra)])
                self.state.unpark(place, [uid])
                done.add(uid)
        except FastimapError:  # what has come is kept
            self._keep(place, dirty=was_dirty)
            raise
        self._keep(place, dirty=was_dirty)
        return done

    def _keep(self, place: Place, *, dirty: bool) -> None:
        """Have what was written durable, and then noted."""
        self.store.sync()
        self.state.set_dirty(place, dirty)
        self.state.commit()
        self.store.committed()


def _changed(row: FetchedMessage, entry: Entry) -> tuple[str, str] | None:
    """Return which of flags and labels the account has others of, and what; None: the same."""
    if row.flags is not None and flags_of(row) != entry.flags:
        return "flags", f"{flags_of(row)!r}, {entry.flags!r} here"
    theirs, ours = split_extra(extra_of(row))[0], split_extra(entry.extra)[0]
    if theirs is not None and theirs != (ours or []):
        return "labels", f"{theirs}, {ours or []} here"
    return None
