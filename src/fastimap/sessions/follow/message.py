"""A message in the program's hands, and what the program can say of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from ...model._elsewhere import named_elsewhere, names_here
from ...model.content import Attachment
from ...model.headers import Headers
from ...model.message import Defect, Envelope, FetchedMessage
from ..cursor import Lease

if TYPE_CHECKING:
    from ._base import BaseFollow

__all__ = ["AsyncBatch", "AsyncMessage", "Batch", "Message", "Received"]


class Received:
    """What both kinds of messages have in common."""

    def __init__(self, follow: BaseFollow, lease: Lease, row: FetchedMessage) -> None:
        self._follow = follow
        self._lease = lease
        self.row = row
        """What was fetched, with all that a row can say."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.mailbox!r} UID {self.uid}>"

    def __dir__(self) -> list[str]:
        return names_here(self)

    @property
    def mailbox(self) -> str:
        return self._lease.place.mailbox

    @property
    def uid(self) -> int:
        return self._lease.uid

    @property
    def uid_validity(self) -> int:
        """Of the mailbox: with the UID it names the message for ever."""
        return self._lease.uid_validity

    @property
    def deliveries(self) -> int:
        """How often the message was delivered, this time included."""
        return self._lease.deliveries

    @property
    def envelope(self) -> Envelope | None:
        return self.row.envelope

    @property
    def body(self) -> bytes | None:
        """The whole message (``BODY.PEEK[]``)."""
        return self.row.body

    @property
    def flags(self) -> frozenset[str] | None:
        return self.row.flags

    @property
    def size(self) -> int | None:
        return self.row.size

    @property
    def internal_date(self) -> datetime | None:
        return self.row.internal_date

    @property
    def text(self) -> str | None:
        return self.row.text

    @property
    def html(self) -> str | None:
        return self.row.html

    @property
    def headers(self) -> Headers:
        """The fields of the header, of those that were fetched; see `FetchedMessage.headers`."""
        return self.row.headers

    @property
    def defects(self) -> tuple[Defect, ...]:
        """What was wrong with what the server sent: such an item is None."""
        return self.row.defects

    @property
    def attachments(self) -> tuple[Attachment, ...] | None:
        return self.row.attachments

    def email(self) -> EmailMessage:
        """The message as the standard library's :mod:`email` has it; see `FetchedMessage.email`."""
        return self.row.email()


named_elsewhere(Received, "FetchedMessage")


class Message(Received):
    """A message that is this program's alone until it is done, given back or rejected.

    One that the program lets go of (the loop goes on, and nothing refers to it) was in vain: it is delivered again
    after some time, as is the one at which an exception ended the loop. Its lease is renewed meanwhile, for a day at
    most. The methods raise LeaseLost where somebody else has the message by now, and CursorFailed.
    """

    def done(self, db: Any = None) -> None:
        """Take note that the message was handled; it does not come again.

        :param db: a `sqlite3.Connection` to the cursor's database: the note is part of its transaction, which LeaseLost
            must undo. So the effects in that database are exactly once.
        """
        self._follow._done([self._lease], db)

    def retry(
        self, after: float = 60.0, reason: str = "the program wants to try again", *, counted: bool = True
    ) -> None:
        """Have the message again, so many seconds from now; after too many deliveries it is parked.

        :param counted: whether this was in vain because of the message; False where it was not, for instance because
            a database is away: then it comes again as often as it has to.
        """
        self._follow._again(self._lease, after, reason, counted)

    def reject(self, reason: str) -> None:
        """Park the message: it does not come again until `retry_parked`."""
        self._follow._reject(self._lease, reason)

    def extend(self, seconds: float) -> None:
        """Have the lease end so many seconds from now, even if the program does not live that long."""
        self._follow._extend(self._lease, seconds)


class AsyncMessage(Received):
    """`Message` under asyncio: the same, awaited."""

    async def done(self, db: Any = None) -> None:
        """See `Message.done`. With `db` it runs in the caller's thread, as SQLite wants it."""
        if db is not None:
            self._follow._done([self._lease], db)
        else:
            await self._follow._apart(self._follow._done, [self._lease], None)

    async def retry(
        self, after: float = 60.0, reason: str = "the program wants to try again", *, counted: bool = True
    ) -> None:
        """See `Message.retry`."""
        await self._follow._apart(self._follow._again, self._lease, after, reason, counted)

    async def reject(self, reason: str) -> None:
        """See `Message.reject`."""
        await self._follow._apart(self._follow._reject, self._lease, reason)

    async def extend(self, seconds: float) -> None:
        """See `Message.extend`."""
        await self._follow._apart(self._follow._extend, self._lease, seconds)


class Batch(Sequence[Message]):
    """Messages that are done together."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: Any) -> Any:
        return self._messages[index]

    def done(self, db: Any = None) -> None:
        """Take note that all were handled, or none (LeaseLost); see `Message.done`."""
        if self._messages:
            self._messages[0]._follow._done([message._lease for message in self._messages], db)


class AsyncBatch(Sequence[AsyncMessage]):
    """`Batch` under asyncio."""

    def __init__(self, messages: list[AsyncMessage]) -> None:
        self._messages = messages

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: Any) -> Any:
        return self._messages[index]

    async def done(self, db: Any = None) -> None:
        """See `Batch.done`."""
        if not self._messages:
            return
        leases = [message._lease for message in self._messages]
        follow = self._messages[0]._follow
        if db is not None:
            follow._done(leases, db)
        else:
            await follow._apart(follow._done, leases, None)
