"""What all values have in common: immutable, compared by what is in them, copied, pickled, and with a signature."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from fastimap import types
from fastimap.model.sequence_set import UIDSet
from fastimap.types import CopyUID, Exists, MailboxInfo, MetadataCode, Partial, ResponseCode, UIDNext

INFO = MailboxInfo("INBOX", b"INBOX", "/", frozenset({"\\HasChildren"}))


def test_fields_and_defaults() -> None:
    assert (INFO.name, INFO.kind, INFO.status) == ("INBOX", "LIST", None)
    assert Exists(count=3) == Exists(3) != Exists(4)
    code = MetadataCode("METADATA", b"MAXSIZE 9", reason="MAXSIZE", size=9)
    assert (code.name, code.octets, code.reason, code.size) == ("METADATA", b"MAXSIZE 9", "MAXSIZE", 9)
    assert ResponseCode("ALERT") != UIDNext("ALERT", uid=1)
    assert hash(Exists(3)) == hash(Exists(3))
    assert len({Exists(3), Exists(3), types.Recent(3)}) == 2


def test_they_can_not_be_changed() -> None:
    anything: Any = INFO
    with pytest.raises(AttributeError, match="MailboxInfo can't be changed"):
        anything.name = "x"
    with pytest.raises(AttributeError, match="MailboxInfo can't be changed"):
        del anything.name


@pytest.mark.parametrize(
    ("args", "fields"),
    [((), {}), ((1, 2), {}), ((1,), {"count": 1}), ((), {"number": 1}), ((), {"count": 1, "x": 2})],
)
def test_wrong_arguments(args: tuple[Any, ...], fields: dict[str, Any]) -> None:
    make: Any = Exists
    with pytest.raises(TypeError, match=r"Exists\(\)"):
        make(*args, **fields)
    with pytest.raises(TypeError, match=r"UIDNext\(\)"):
        types.UIDNext("UIDNEXT", b"", 5)  # type: ignore[call-arg]  # by name alone


@pytest.mark.parametrize(
    "value",
    [
        INFO,
        Partial(1, 2, UIDSet("1:2")),
        CopyUID("COPYUID", b"1 1 2", uid_validity=1, source=UIDSet(1), destination=UIDSet(2)),
        types.ThreadNode(1, (types.ThreadNode(2),)),
    ],
)
def test_copies(value: Any) -> None:
    for again in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), value.__replace__()):
        assert again == value
        assert hash(again) == hash(value)
        assert repr(again) == repr(value)


def test_some_fields_changed() -> None:
    assert INFO.__replace__(my_rights="lrs").my_rights == "lrs"
    with pytest.raises(TypeError):
        INFO.__replace__(colour="red")


def test_patterns_and_signatures() -> None:
    match Exists(7):
        case Exists(count):
            assert count == 7
    assert str(inspect.signature(Exists)) == "(count: 'int')"
    signature = inspect.signature(MetadataCode)
    assert [*signature.parameters] == ["name", "octets", "reason", "size"]
    assert signature.parameters["reason"].kind is inspect.Parameter.KEYWORD_ONLY
    assert signature.parameters["size"].default is None
