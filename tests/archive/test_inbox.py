"""INBOX is one mailbox in any case (RFC 9051, section 5.1), wherever a user names mailboxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastimap import UIDSet, archive
from fastimap.archive.many import pull_many
from tests.archive.conftest import Mail, message
from tests.archive.test_migrate import other

__all__ = ["other"]

SAME = message(1)


def both(mail: Mail) -> None:
    mail.fill("INBOX", 3)
    mail.fill("Work", 1, create=True)


def counts(mail: Mail) -> dict[str, int]:
    return {name: len(messages) for name, messages in mail.all().items() if messages}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "there"),
    [
        ({"exclude": ["inbox"]}, {"Work": 1}),
        ({"mailboxes": ["Inbox"]}, {"INBOX": 3}),
        ({"rename": {"inbox": "Old"}}, {"Old": 3, "Work": 1}),
        ({"rename": {"Work": "inbox"}}, {"INBOX": 4}),
    ],
)
def test_mail_that_is_sent_on(mail: Mail, other: Mail, tmp_path: Path, options: Any, there: dict[str, int]) -> None:
    both(mail)
    third = other.server.new_user()
    to = Mail(other.server, third, other.client).account
    archive.pull(mail.account, tmp_path / "store")
    for again in (0, 1):
        pushed = archive.push(tmp_path / "store", other.account, **options)
        migrated = archive.migrate(mail.account, to, state=tmp_path / "state", **options)
        assert pushed.complete
        assert migrated.complete
        assert (pushed.written, migrated.written) == (0 if again else sum(there.values()),) * 2
        left_out = {name.upper(): "exclude" for name in options.get("exclude", ())}
        assert (pushed.excluded, migrated.excluded) == (left_out, left_out)
    assert counts(other) == there
    archive.pull(to, tmp_path / "copy")
    assert archive.verify(tmp_path / "copy", to).checked == sum(there.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["INBOX", "inbox"])
def test_a_copy_of_another_mailbox_is_not_taken_for_the_one_of_inbox(
    mail: Mail, other: Mail, tmp_path: Path, name: str
) -> None:
    mail.client.append("INBOX", SAME)
    mail.client.create_mailbox("Work")
    mail.client.append("Work", SAME)

    def migrate() -> archive.Report:
        return archive.migrate(
            mail.account, other.account, state=tmp_path, rename={"Work": name}, deleted="delete", max_delete="100%"
        )

    assert migrate().written == 2
    mail.expunge("INBOX", [1])
    assert migrate().deleted == 1
    assert migrate().complete
    assert counts(other) == {"INBOX": 1}


def test_a_part_of_a_store(mail: Mail, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    both(mail)
    store = archive.Parquet(tmp_path)
    who = f"{mail.user}@{mail.server.host}"
    for written in (3, 0):
        part = store.shard(who, "inbox", UIDSet([range(1, 100)]))
        assert archive.pull(mail.account, part, mailboxes=["inbox"]).written == written
    assert archive.pull(mail.account, store).written == 1
    assert archive.read(store, mailboxes=["Inbox"]).count_rows() == 3
    assert archive.read(store).count_rows() == 4
    assert archive.verify(store, mail.account, mailboxes=["inbox"]).checked == 3


def test_many_accounts(mail: Mail, tmp_path: Path) -> None:
    both(mail)
    (report,) = pull_many([mail.account], tmp_path, exclude=["inbox"])
    assert report.report.excluded == {"INBOX": "exclude"}
    (report,) = pull_many([mail.account], tmp_path, mailboxes=["inbox"])
    assert list(report.report.mailboxes) == ["INBOX"]


def test_two_names_for_one_mailbox(mail: Mail, tmp_path: Path) -> None:
    to, rename = "imaps://ann:secret@example.org", {"inbox": "A", "INBOX": "B"}
    with pytest.raises(ValueError, match="rename has two names for INBOX: A and B"):
        archive.migrate(mail.account, to, state=tmp_path, rename=rename)


def test_what_is_no_name(mail: Mail, tmp_path: Path) -> None:
    names: Any = [5]
    to, said = "imaps://ann:secret@example.org", pytest.raises(TypeError, match="given by its name, a str, not by 5")
    with said:
        archive.pull(mail.account, tmp_path, mailboxes=names)
    with said:
        archive.pull(mail.account, tmp_path, exclude=names)
    with said:
        list(pull_many([mail.account], tmp_path, exclude=names))
    with said:
        archive.push(tmp_path, to, exclude=names)
    with said:
        archive.migrate(mail.account, to, state=tmp_path, rename={"Work": names[0]})
    archive.pull(mail.account, tmp_path)
    with said:
        archive.verify(tmp_path, mailboxes=names)
