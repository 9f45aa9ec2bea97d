"""What verify finds, and repairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastimap import archive
from fastimap.archive.stores import FORMATS, store_at
from tests.archive.conftest import Mail, stored


def differences(result: archive.Verification) -> list[tuple[str, int, str]]:
    return [(each.mailbox, each.uid, each.what) for each in result.differences]


@pytest.mark.usefixtures("implementation")
def test_damage_is_found_and_repaired(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 6)
    archive.pull(mail.account, tmp_path)
    assert archive.verify(tmp_path).good
    files = {int(path.name.partition(".")[0]): path for path in (tmp_path / "INBOX/cur").iterdir()}
    files[2].unlink()
    files[3].write_bytes(files[4].read_bytes())
    files[5].rename(tmp_path / "INBOX/new" / files[5].name)  # that is no damage
    result = archive.verify(tmp_path)
    assert differences(result) == [("INBOX", 2, "missing"), ("INBOX", 3, "octets")]
    assert not result.good
    assert differences(archive.verify(tmp_path, mail.account)) == differences(result)
    repaired = archive.verify(tmp_path, mail.account, repair=True)
    assert repaired.good
    assert all(each.repaired for each in repaired.differences)
    assert archive.verify(tmp_path, mail.account, octets=True).differences == []
    assert stored(tmp_path) == mail.all()


def test_what_the_account_has_else(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 4)
    archive.pull(mail.account, tmp_path)
    mail.fill("INBOX", 1)
    mail.client.select("INBOX")
    mail.client.add_flags(1, "\\Flagged")
    mail.client.unselect()
    mail.expunge("INBOX", [2])
    result = archive.verify(tmp_path, mail.account)
    assert sorted(differences(result)) == [("INBOX", 1, "flags"), ("INBOX", 5, "not pulled")]
    assert (result.checked, result.compared) == (4, 3)


def test_a_sample(mail: Mail, tmp_path: Path) -> None:
    mail.fill("INBOX", 9)
    archive.pull(mail.account, tmp_path)
    result = archive.verify(tmp_path, mail.account, sample=4)
    assert (result.checked, result.compared, result.sampled, result.good) == (4, 4, True, True)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no store"):
        archive.verify(tmp_path)
    with pytest.raises(ValueError, match="needs the account"):
        archive.verify(tmp_path, repair=True)


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_store_is_verified(mail: Mail, tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="there is no pyarrow for this Python")
    mail.fill("INBOX", 3)
    store = store_at(tmp_path / "store", kind)
    archive.pull(mail.account, store)
    assert archive.verify(tmp_path / "store", mail.account, octets=True).good
