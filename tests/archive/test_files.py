"""Files are written whole, or not at all: in C and in Python alike."""

from __future__ import annotations

import errno
import importlib.util
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastimap import IMPLEMENTATION
from fastimap.archive import files

from ..parser.conftest import built

Write = Callable[[int, int, Iterable[tuple[bytes, bytes, bytes, "int | None"]]], None]


@pytest.fixture(params=built())
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Write:
    """The function, in C or in Python."""
    if request.param == "c":
        from fastimap.archive import _files  # type: ignore[attr-defined]

        in_c: Write = _files.write_files
        return in_c
    monkeypatch.setattr("fastimap.parser.IMPLEMENTATION", "py")
    spec = importlib.util.spec_from_file_location("fastimap.archive.files_in_python", files.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    in_python: Write = module.write_files
    return in_python


@pytest.fixture
def first(tmp_path: Path) -> Iterator[int]:
    yield from opened(tmp_path / "first")


@pytest.fixture
def last(tmp_path: Path) -> Iterator[int]:
    yield from opened(tmp_path / "last")


def opened(path: Path) -> Iterator[int]:
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def there(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.iterdir()}


def test_the_one_in_c_is_taken() -> None:
    assert (files.write_files.__module__ == "fastimap.archive._files") is (IMPLEMENTATION == "c")


def test_files_are_written_and_moved(write: Write, first: int, last: int, tmp_path: Path) -> None:
    large = bytes(range(256)) * 20_000
    (tmp_path / "first" / "a.tmp").write_bytes(b"left by a run that died, and longer")
    (tmp_path / "first" / "a.tmp").chmod(0o600)
    (tmp_path / "last" / "b").write_bytes(b"before")
    wanted = [
        (b"a.tmp", b"a", b"octets\0\r\n", 1_700_000_000),
        (b"b.tmp", b"b", b"", -86_400),
        (b"c", b"c", large, None),
    ]
    write(first, last, wanted)
    assert there(tmp_path / "last") == {"a": b"octets\0\r\n", "b": b"", "c": large}
    assert there(tmp_path / "first") == {}
    told = [os.stat(tmp_path / "last" / name) for name in "abc"]
    assert [stat.S_IMODE(each.st_mode) for each in told] == [0o600] * 3
    assert [each.st_mtime_ns for each in told[:2]] == [1_700_000_000 * 10**9, -86_400 * 10**9]
    assert told[2].st_mtime >= (tmp_path / "last").stat().st_mtime - 60


def test_a_link_is_not_followed(write: Write, first: int, last: int, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"another's")
    (tmp_path / "first" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="a") as refused:
        write(first, last, [(b"a", b"a", b"octets", 0)])
    assert refused.value.errno == errno.ELOOP
    assert (tmp_path / "elsewhere").read_bytes() == b"another's"


def test_one_that_can_not_be_moved_leaves_nothing(write: Write, first: int, last: int, tmp_path: Path) -> None:
    (tmp_path / "last" / "b" / "in").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as refused:
        write(first, last, [(b"a", b"a", b"1", 0), (b"b", b"b", b"2", 0), (b"c", b"c", b"3", 0)])
    assert refused.value.filename == "b"
    assert refused.value.strerror == os.strerror(errno.EISDIR)
    assert there(tmp_path / "first") == {}
    assert sorted(os.listdir(tmp_path / "last")) == ["a", "b"]


def test_no_descriptor(write: Write, first: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="a") as refused:
        write(-1, first, [(b"a", b"a", b"1", 0)])
    assert refused.value.errno == errno.EBADF


def test_a_directory_that_is_gone(write: Write, first: int, last: int, tmp_path: Path) -> None:
    (tmp_path / "last").rmdir()
    with pytest.raises(FileNotFoundError):
        write(first, last, [(b"a", b"a", b"1", 0)])
    assert there(tmp_path / "first") == {}


def test_a_null_byte(write: Write, first: int, last: int, tmp_path: Path) -> None:
    for names in (b"a\0b", b"b"), (b"a", b"b\0c"):
        with pytest.raises(ValueError, match="embedded null"):
            write(first, last, [(*names, b"1", 0)])
    assert there(tmp_path / "first") == there(tmp_path / "last") == {}


def test_no_octets(write: Write, first: int, last: int, tmp_path: Path) -> None:
    nothing: Any = None
    for names in (nothing, b"b", b"1"), (b"a", nothing, b"1"), (b"a", b"b", nothing):
        with pytest.raises(TypeError):
            write(first, last, [(*names, 0)])
    assert there(tmp_path / "first") == there(tmp_path / "last") == {}


def test_a_time_that_no_system_has(write: Write, first: int, last: int, tmp_path: Path) -> None:
    with pytest.raises(OverflowError):
        write(first, last, [(b"a", b"a", b"1", 2**80)])
    assert there(tmp_path / "first") == there(tmp_path / "last") == {}


def test_a_file_that_does_not_fit(write: Write, first: int, last: int, tmp_path: Path) -> None:
    """The limit on a file's size lets a part of it be written first, as a disk does that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="b") as refused:
            write(first, last, [(b"a", b"a", b"1" * 10_000, 0), (b"b", b"b", b"2" * 10_001, 0)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.errno == errno.EFBIG
    assert there(tmp_path / "first") == {}
    assert there(tmp_path / "last") == {"a": b"1" * 10_000}


def test_a_run_with_nothing_to_write_does_without() -> None:
    asked = "import sys, fastimap.archive.stores.maildir; print('fastimap.archive.files' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
