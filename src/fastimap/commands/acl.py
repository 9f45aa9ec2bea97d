"""Access control: GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (ACL, RFC 4314)."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..model._patterns import pattern
from ..model.responses import Acl, ListRightsResponse, MailboxName, MyRightsResponse, Response
from ..wire import encode
from ._shared import Instruction, Question

__all__ = ["DeleteACL", "GetACL", "ListRights", "MyRights", "SetACL"]

_RIGHTS = pattern(r"[a-z0-9]*")
_SIGNS = {"replace": "", "add": "+", "remove": "-"}


class GetACL(Question[Acl]):
    """Return who may do what with a mailbox.

    :param mailbox: name of the mailbox.

    Raises NoPermission where the account may not administer it (right ``a``). (ACL: RFC 4314, section 3.3)
    """

    name = "GETACL"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("ACL",)
    answered_by: ClassVar[type[Response]] = Acl
    answers: ClassVar[frozenset[str]] = frozenset({"ACL"})

    def __init__(self, mailbox: MailboxName) -> None:
        super().__init__(encode.mailbox(mailbox))


class SetACL(Instruction):
    """Give somebody rights on a mailbox, or take them away.

    :param mailbox: name of the mailbox.
    :param identifier: who: a user or a group in the server's own terms, ``"anyone"``; with ``-`` before it,
        the rights are those that it is denied.
    :param rights: letters such as ``"lrs"`` (RFC 4314, section 2.1); ``""`` with ``action="replace"`` for none.
    :param action: what becomes of the rights that were there.

    Raises NoPermission. (ACL: RFC 4314, section 3.1)
    """

    name = "SETACL"
    needs: ClassVar[tuple[str, ...]] = ("ACL",)

    def __init__(
        self,
        mailbox: MailboxName,
        identifier: str,
        rights: str,
        *,
        action: Literal["replace", "add", "remove"] = "replace",
    ) -> None:
        if action not in _SIGNS:
            raise ValueError(f"action is one of {', '.join(_SIGNS)}, not {action!r}")
        if not _RIGHTS.fullmatch(rights):
            raise ValueError(f"rights are lower-case letters and digits: {rights!r}")
        changed = encode.astring(_SIGNS[action] + rights)
        super().__init__(encode.mailbox(mailbox), encode.astring(identifier), changed)


class DeleteACL(Instruction):
    """Remove all that is said of somebody in a mailbox's access control list.

    :param mailbox: name of the mailbox.
    :param identifier: as for `set_acl`.

    Raises NoPermission. (ACL: RFC 4314, section 3.2)
    """

    name = "DELETEACL"
    needs: ClassVar[tuple[str, ...]] = ("ACL",)

    def __init__(self, mailbox: MailboxName, identifier: str) -> None:
        super().__init__(encode.mailbox(mailbox), encode.astring(identifier))


class ListRights(Question[ListRightsResponse]):
    """Return which rights somebody always has on a mailbox, and which can be given to them.

    :param mailbox: name of the mailbox.
    :param identifier: as for `set_acl`.

    Raises NoPermission. (ACL: RFC 4314, section 3.4)
    """

    name = "LISTRIGHTS"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("ACL",)
    answered_by: ClassVar[type[Response]] = ListRightsResponse
    answers: ClassVar[frozenset[str]] = frozenset({"LISTRIGHTS"})

    def __init__(self, mailbox: MailboxName, identifier: str) -> None:
        super().__init__(encode.mailbox(mailbox), encode.astring(identifier))


class MyRights(Question[MyRightsResponse]):
    """Return what this account may do with a mailbox.

    :param mailbox: name of the mailbox.

    Raises MailboxNotFound. (ACL: RFC 4314, section 3.5)
    """

    name = "MYRIGHTS"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("ACL",)
    answered_by: ClassVar[type[Response]] = MyRightsResponse
    answers: ClassVar[frozenset[str]] = frozenset({"MYRIGHTS"})

    def __init__(self, mailbox: MailboxName) -> None:
        super().__init__(encode.mailbox(mailbox))
