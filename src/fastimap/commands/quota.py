"""Quotas: GETQUOTA, GETQUOTAROOT, SETQUOTA (QUOTA, RFC 9208)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from ..model._shown import Value
from ..model.responses import MailboxName, Quota, QuotaRoots, Response, Tagged
from ..wire import encode
from ..wire.encode import Part
from ._shared import Question, decoded, mapping
from .base import Command, Session

__all__ = ["GetQuota", "GetQuotaRoot", "MailboxQuota", "SetQuota"]


class GetQuota(Question[Quota]):
    """Return the usage and the limits of one quota root.

    :param root: a quota root, as `get_quota_root` names it; ``""`` is one that many servers have.

    Raises CommandError where there is no such quota root. (QUOTA: RFC 9208, section 4.1.1)
    """

    name = "GETQUOTA"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("QUOTA",)
    answered_by: ClassVar[type[Response]] = Quota
    answers: ClassVar[frozenset[str]] = frozenset({"QUOTA"})

    def __init__(self, root: str) -> None:
        super().__init__(encode.astring(root))


class MailboxQuota(Value):
    """What limits a mailbox: the result of GETQUOTAROOT."""

    mailbox: str
    roots: tuple[str, ...]
    """The quota roots of the mailbox; none where nothing limits it."""
    quotas: tuple[Quota, ...]
    """Usage and limits of each of them."""


class GetQuotaRoot(Command[MailboxQuota]):
    """Return the quota roots of a mailbox, and the usage and limits of each.

    :param mailbox: name of the mailbox.

    Raises MailboxNotFound and NoPermission. (QUOTA: RFC 9208, section 4.1.2)
    """

    name = "GETQUOTAROOT"
    repeatable = True
    answers: ClassVar[frozenset[str]] = frozenset({"QUOTAROOT", "QUOTA"})

    def __init__(self, mailbox: MailboxName = "INBOX") -> None:
        self._mailbox = mailbox
        self._name = encode.mailbox(mailbox)
        self._roots: tuple[str, ...] = ()
        self._quotas: list[Quota] = []

    def requires(self, session: Session) -> Iterable[str]:
        return ("QUOTA",)

    def parts(self, session: Session) -> Sequence[Part]:
        return [encode.atom(self.name), self._name]

    def take(self, response: Response) -> bool:
        if isinstance(response, Quota):
            self._quotas.append(response)
        elif isinstance(response, QuotaRoots):
            self._roots = response.roots
        else:
            return False
        return True

    def succeed(self, tagged: Tagged, session: Session) -> MailboxQuota:
        return MailboxQuota(decoded(self._mailbox), self._roots, tuple(self._quotas))


class SetQuota(Question[Quota | None]):
    """Set the limits of a quota root; return what the server makes of them, or None where it does not say (Cyrus).

    :param root: a quota root.
    :param limits: the new limit of each resource: ``"STORAGE"`` in units of 1024 octets, ``"MESSAGE"`` and
        ``"MAILBOX"`` in numbers of them. A resource that is not named has no limit afterwards.

    Raises NoPermission: most accounts may not. (QUOTASET: RFC 9208, section 4.1.3)
    """

    name = "SETQUOTA"
    # QUOTASET is younger than the command: a server of RFC 2087 does not say so.
    needs: ClassVar[tuple[str, ...]] = ("QUOTA",)
    answered_by: ClassVar[type[Response]] = Quota

    def __init__(self, root: str, limits: Mapping[str, int]) -> None:
        resources = (
            part for name, limit in mapping(limits).items() for part in (encode.atom(name), encode.number64(limit))
        )
        super().__init__(encode.astring(root), tuple(resources))

    def succeed(self, tagged: Tagged, session: Session) -> Quota | None:
        return super().succeed(tagged, session) if self._answer is not None else None
