"""Which messages of a source are at the destination already, as a multiset: each counts once.

Size and Message-ID together identify a message where it is the only one of its kind on both sides; the octets decide
where it is not, or has no Message-ID.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from ...clients.blocking import Client
from ...model.row import FetchedMessage, has_uid
from ...model.sequence_set import UIDSet
from ...sessions.alike import ID, Kind, digest, message_id
from .sources import About

__all__ = ["Destined", "paired"]


class Destined:
    """Messages of the destination's mailbox, which is selected, of which nobody knows where they are from."""

    def __init__(self, client: Client, uids: UIDSet) -> None:
        self._client = client
        self.kinds: dict[Kind, list[int]] = defaultdict(list)
        self.sizes: set[int] = set()
        if uids:
            for row in client.fetch_iter(uids, "RFC822.SIZE", ID):
                self._add(row)

    def _add(self, row: FetchedMessage) -> None:
        if has_uid(row) and row.size is not None:
            self.kinds[Kind(row.size, message_id(row.headers))].append(row.uid)

    def __len__(self) -> int:
        return sum(map(len, self.kinds.values()))

    def like(self, name: bytes | None, since: int) -> list[int]:
        """Return those with a Message-ID, whatever their size, that have come since."""
        if name is None:
            return []
        return [uid for kind, uids in self.kinds.items() if kind.message_id == name for uid in uids if uid >= since]

    def digest(self, uid: int) -> bytes | None:
        row = self._client.fetch_one(uid, "BODY.PEEK[]")
        return None if row is None or row.body is None else digest([row.body])


def paired(
    abouts: Iterable[About], there: Destined, digest_of: Callable[[int], bytes | None]
) -> tuple[dict[int, int], dict[int, About]]:
    """Return which messages are at the destination (UID, UID there), and what there is to know of the others.

    :param digest_of: gives that of a message of the source; None where it is not there any more.

    Those that are found are taken out of `there`.
    """
    kinds: dict[Kind, list[About]] = defaultdict(list)
    others: dict[int, About] = {}
    for about in abouts:
        kind = Kind(about.size, about.message_id)
        if kind in there.kinds:
            kinds[kind].append(about)
        else:
            others[about.uid] = about
    pairs: dict[int, int] = {}
    for kind, ours in kinds.items():
        theirs = sorted(there.kinds[kind])
        if kind.message_id is not None and len(ours) == len(theirs) == 1:
            pairs[ours[0].uid] = theirs.pop()
        else:
            by_digest: dict[bytes | None, list[int]] = defaultdict(list)
            for uid in theirs:
                by_digest[there.digest(uid)].append(uid)
            for about in sorted(ours, key=lambda about: about.uid):
                ours_is = digest_of(about.uid)
                same = by_digest.get(ours_is) if ours_is is not None else None
                if same:
                    pairs[about.uid] = same.pop(0)
                    theirs.remove(pairs[about.uid])
                else:
                    others[about.uid] = about
        if theirs:
            there.kinds[kind] = theirs
        else:
            del there.kinds[kind]
    return pairs, others
