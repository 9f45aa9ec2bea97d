"""ID, ENABLE, LANGUAGE, COMPARATOR, UNAUTHENTICATE, GETJMAPACCESS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ..model.responses import (
    ComparatorResponse,
    Enabled,
    JMAPAccess,
    LanguageResponse,
    ReadOnlyDict,
    Response,
    ServerID,
    Tagged,
)
from ..wire import encode
from ._shared import Instruction, Question, mapping, names
from .base import ANY, Session, State

__all__ = ["ID", "Comparator", "Enable", "GetJMAPAccess", "Language", "Unauthenticate"]


class ID(Question[ReadOnlyDict[str, str]]):
    """Tell the server who is there, and return what it says about itself, names in lower case.

    :param fields: what to tell, such as ``{"name": "Archiver", "version": "2.1"}``: at most 30 fields, names of at
        most 30 octets, values of at most 1024. None to tell nothing.

    For statistics and for people that hunt bugs; some servers (163.com) refuse SELECT to who does not tell a name.
    (RFC 2971)
    """

    name = "ID"
    repeatable = True
    states = ANY
    needs: ClassVar[tuple[str, ...]] = ("ID",)
    answered_by: ClassVar[type[Response]] = ServerID

    def __init__(self, fields: Mapping[str, str | None] | None = None) -> None:
        if fields is not None and not isinstance(fields, Mapping):
            raise TypeError(f'fields are a mapping, such as {{"name": "Archiver"}}, not {fields!r:.100}')
        if not fields:
            super().__init__(b"NIL")
            return
        if len(mapping(fields)) > 30:
            raise ValueError(f"at most 30 fields, not {len(fields)} (RFC 2971, section 3.3)")
        for name, value in fields.items():
            if len(encode.text(name).encode()) > 30 or len(encode.text(value or "").encode()) > 1024:
                raise ValueError(f"a name of over 30 octets, or a value of over 1024, at {name[:40]!r}")
        pairs = (part for name, value in fields.items() for part in (encode.string(name), encode.nstring(value)))
        super().__init__(tuple(pairs))

    def result(self, answer: ServerID) -> ReadOnlyDict[str, str]:
        return answer.fields

    def missing(self) -> ReadOnlyDict[str, str]:
        return ReadOnlyDict()


class Enable(Question[frozenset[str]]):
    """Switch extensions on; return the names of those that are on by it, in upper case.

    :param capabilities: such as ``"QRESYNC"``, ``"UTF8=ACCEPT"``, ``"IMAP4rev2"``.

    What the server does not know, it leaves out. Raises StateError while a mailbox is selected. (RFC 9051, section
    6.3.1)
    """

    name = "ENABLE"
    repeatable = True
    states: ClassVar[frozenset[State]] = frozenset({State.AUTHENTICATED})
    needs: ClassVar[tuple[str, ...]] = ("ENABLE",)
    answered_by: ClassVar[type[Response]] = Enabled

    def __init__(self, *capabilities: str) -> None:
        if not capabilities:
            raise ValueError("no capabilities: ENABLE needs at least one")
        super().__init__(*map(encode.capability, names(capabilities, "capabilities")))

    def succeed(self, tagged: Tagged, session: Session) -> frozenset[str]:
        # Only now: names that a server sends unsolicited would add up for as long as the connection lasts.
        enabled = super().succeed(tagged, session)
        session.enabled |= enabled
        return enabled

    def result(self, answer: Enabled) -> frozenset[str]:
        return answer.capabilities

    def missing(self) -> frozenset[str]:
        return frozenset()


class Language(Question[tuple[str, ...]]):
    """Choose the language of the texts for people; return the one that is used then.

    :param tags: language tags (RFC 4646) such as ``"de"``, the best first; ``"default"``, the server's own. None
        given: nothing changes, and all those that there are are returned.

    The names in a namespace may change with it: then a `Namespaces` event comes too. (LANGUAGE: RFC 5255, section 3)
    """

    name = "LANGUAGE"
    repeatable = True
    states = ANY
    needs: ClassVar[tuple[str, ...]] = ("LANGUAGE",)
    answered_by: ClassVar[type[Response]] = LanguageResponse

    def __init__(self, *tags: str) -> None:
        super().__init__(*map(encode.astring, names(tags, "language tags")))

    def result(self, answer: LanguageResponse) -> tuple[str, ...]:
        return answer.tags


class Comparator(Question[ComparatorResponse]):
    """Choose how strings are compared when messages are searched and sorted; return what is used then.

    :param orders: names or patterns of collations such as ``"i;unicode-casemap"`` or ``"cz;*"``, the best first
        (RFC 4790). None given: nothing changes.

    Raises CommandError with code BADCOMPARATOR. (I18NLEVEL=2: RFC 5255, section 4.7)
    """

    name = "COMPARATOR"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("I18NLEVEL=2",)
    answered_by: ClassVar[type[Response]] = ComparatorResponse

    def __init__(self, *orders: str) -> None:
        super().__init__(*map(encode.string, names(orders, "collations")))


class Unauthenticate(Instruction):
    """Log out, and keep the connection for somebody else to log in. All that was enabled is off again.

    (UNAUTHENTICATE: RFC 8437)
    """

    name = "UNAUTHENTICATE"
    changes_capabilities = True
    needs: ClassVar[tuple[str, ...]] = ("UNAUTHENTICATE",)

    def __init__(self) -> None:
        super().__init__()

    def succeed(self, tagged: Tagged, session: Session) -> None:
        session.deselect(State.NOT_AUTHENTICATED)
        session.enabled = frozenset()


class GetJMAPAccess(Question[str]):
    """Return the URL of the JMAP session resource through which the account can be reached too.

    (JMAPACCESS: RFC 9698, section 4)
    """

    name = "GETJMAPACCESS"
    repeatable = True
    needs: ClassVar[tuple[str, ...]] = ("JMAPACCESS",)
    answered_by: ClassVar[type[Response]] = JMAPAccess

    def __init__(self) -> None:
        super().__init__()

    def result(self, answer: JMAPAccess) -> str:
        return answer.url
