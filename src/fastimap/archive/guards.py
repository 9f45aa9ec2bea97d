"""Messages that the server has no more, and what holds their deletion back."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.sequence_set import UIDSet
from .jobs import Gone, Job
from .options import Options
from .report import Report
from .state import Entry, State

__all__ = ["Guards"]


class Guards:
    """What one run found gone, looked at as a whole before the first deletion.

    :ivar gone: by the number of the mailbox in the state.
    :ivar recognised: mailbox and UID of messages that a dry run would move.
    """

    def __init__(self, options: Options, state: State, account: str) -> None:
        self.gone: dict[int, Gone] = {}
        self.recognised: set[tuple[int, int]] = set()
        self._options = options
        self._state = state
        self._account = account

    def look(self, report: Report, jobs: Sequence[Job]) -> tuple[int, str | None]:
        """Return how many messages of the store are gone, and why none of them is to be deleted or marked.

        :param jobs: the mailboxes that the server has, and this run looks at.
        """
        odd: list[str] = []
        count = 0
        for gone in self.gone.values():
            if gone.job is not None and gone.job.report.error is not None:
                gone.uids = UIDSet()
            here = len(self.left(gone))
            count += here
            if here and gone.why == "new UIDVALIDITY":
                odd.append(f"{gone.place.name} has a new UIDVALIDITY, and {here} of its messages were not recognised")
            elif here and here == self._would_be(gone):
                odd.append(f"{gone.place.name} had {here} messages, and is empty or gone now")
        options = self._options
        if not count or options.deleted == "keep":
            return count, None
        places = self._state.places(self._account, former=True)
        total = sum(self._state.count(place) for place in places if place.current or place.id in self.gone)
        if options.dry_run:
            total += sum(each.written + each.adopted for each in report.mailboxes.values())
        most = options.most_deleted(total)
        if count > most:
            odd.insert(0, f"{count} of {total} messages would be gone, more than {most} (max_delete)")
        unseen = self._unseen(jobs)
        if unseen or (odd and (options.max_delete is None or count > most)):
            return count, "nothing was deleted: " + "; ".join([*unseen, *odd])
        return count, None

    def _unseen(self, jobs: Sequence[Job]) -> list[str]:
        """Return where messages may be by now that are gone from where they were."""
        found = [f"{job.name} failed" for job in jobs if job.report.error is not None]
        places = [job.place for job in jobs if job.place is not None]
        found += [f"messages of {place.name} could not be fetched" for place in places if self._state.parked(place)]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return [f"{found[0]}{more}, and what is gone may be there"] if found else []

    def _would_be(self, gone: Gone) -> int:
        """Return how many messages the mailbox has now, or would have after what a dry run would do."""
        count = self._state.count(gone.place)
        if self._options.dry_run:
            count -= sum(1 for mailbox, _ in self.recognised if mailbox == gone.place.id)
            if gone.job is not None and gone.job.place is not None and gone.job.place.id == gone.place.id:
                report = gone.job.report
                count += report.written + report.moved + report.adopted
        return count

    def left(self, gone: Gone) -> list[Entry]:
        """Return the messages that are gone, and did not turn up elsewhere."""
        return [
            entry
            for entry in self._state.some(gone.place, gone.uids)
            if not entry.gone and (gone.place.id, entry.uid) not in self.recognised
        ]
