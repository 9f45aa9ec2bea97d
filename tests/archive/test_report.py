"""What a run returns: plain records, which programs change, copy, pickle and take apart."""

import copy
import dataclasses
import inspect
import pickle

import pytest

from fastimap.archive import MailboxReport, Progress, Report


def test_records_are_like_dataclasses() -> None:
    one, other = MailboxReport("INBOX"), MailboxReport("INBOX", found=1)
    one.found += 1
    assert one == other
    one.parked[7] = "it is not there"
    assert other.parked == {}  # each has its own
    assert one != other
    assert dataclasses.replace(other, found=3) == MailboxReport("INBOX", found=3)
    assert dataclasses.asdict(Report(account="me", mailboxes={"INBOX": one}))["mailboxes"]["INBOX"]["parked"] == {
        7: "it is not there"
    }
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == one
    assert repr(one) == "MailboxReport(name='INBOX', found=1, parked={7: 'it is not there'})"
    assert str(inspect.signature(MailboxReport)).startswith("(name: 'str', found: 'int' = 0,")
    with pytest.raises(TypeError):
        hash(one)
    with pytest.raises(TypeError, match="lacks arguments: name"):
        MailboxReport()  # type: ignore[call-arg]


def test_progress_is_a_value() -> None:
    now = Progress("INBOX", 1, 2, 3, 4, 5, 6.0)
    assert {now: 1}[Progress("INBOX", 1, 2, 3, 4, 5, 6.0, waiting=None)]
    with pytest.raises(AttributeError):
        now.done = 2  # type: ignore[misc]
