"""What both clients share of `fetch_table`."""

from __future__ import annotations

from collections.abc import Iterator

from ..columns import Builder, Columns
from ..commands.fetch import answers_of
from ..model.sequence_set import MessageSet, SavedResult, SequenceSet, UIDSet, uid_set
from ..search import SearchKey, sequence, uid

__all__ = ["Run"]

_TEXTS = 500
"""Messages whose texts are fetched together."""


class Run(Builder):
    """One call of it."""

    def __init__(self, messages: MessageSet, items: tuple[str, ...], text: bool, changed_since: int | None) -> None:
        wanted = uid_set(messages)
        by_uid = not isinstance(wanted, SequenceSet)
        answers = answers_of(items) if items else ()
        whole = "BODY[]" in answers or "RFC822" in answers
        self.by_text: bool = text and not whole
        self.items: tuple[str, ...] = items if by_uid and items else ("UID", *items)
        if self.by_text:
            if changed_since is not None:
                raise ValueError("changed_since does not go with text")
            answers += ("BODYSTRUCTURE",)
            if isinstance(wanted, SavedResult):
                raise TypeError("text needs UIDs or a SequenceSet, not SAVED")
            self.key: SearchKey = uid(wanted) if isinstance(wanted, UIDSet) else sequence(wanted)
        super().__init__(Columns(answers, text=text, html=text))

    @staticmethod
    def chunks(uids: UIDSet) -> Iterator[UIDSet]:
        """Yield the messages by some hundreds."""
        return uids.chunks(_TEXTS)
