"""Files that are put whole or not at all: on a disk, or wherever `pyarrow.fs` reaches."""

from __future__ import annotations

import contextlib
import math
import os
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

from ..columns import pyarrow
from .errors import StoreError
from .system import O_BINARY, O_CLOEXEC

__all__ = ["Files"]

_OBJECTS = ("s3", "gcs", "abfs")
"""Kinds of file systems where a file is there when it is written whole, and not before; they have no folders."""


class Files:
    """The files below a root, which are never changed in place.

    :param location: a directory, a URI, or a path in `filesystem`.
    :param filesystem: of `pyarrow.fs`; None: the URI says which.
    """

    def __init__(self, location: str, filesystem: Any = None) -> None:
        pyarrow()
        try:
            location.encode()
        except UnicodeEncodeError:
            raise StoreError(f"{location!r}: the name of a Parquet store's directory is to be UTF-8") from None
        fs = import_module("pyarrow.fs")
        if filesystem is None and "://" in location:
            filesystem, location = fs.FileSystem.from_uri(location)
        elif filesystem is not None and "://" in location:
            location = location.partition("://")[2]
        self.local: Path | None = None
        """The root, where it is on a disk."""
        if filesystem is None or filesystem.type_name == "local":
            self.local = Path(location).expanduser().absolute()
            location = str(self.local)
            filesystem = fs.LocalFileSystem()
        self.filesystem: Any = filesystem
        self.root: str = location.rstrip("/")
        self._selector: Any = fs.FileSelector
        self._base = filesystem
        while self._base.type_name == "subtree":
            self._base = self._base.base_fs

    def path(self, name: str) -> str:
        """Return the path in the file system."""
        return f"{self.root}/{name}"

    def read(self, name: str) -> bytes:
        """Return a file's octets. Raises FileNotFoundError."""
        if self.local is not None:
            return (self.local / name).read_bytes()
        with self.filesystem.open_input_stream(self.path(name), compression=None) as file:
            octets: bytes = file.read()
        return octets

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        if self.local is not None:
            return (self.local / name).is_file()
        (info,) = self.filesystem.get_file_info([self.path(name)])
        return bool(info.is_file)

    def modified(self, name: str) -> float:
        """Return when a file was written, in seconds since 1970; infinity where that is not known."""
        (info,) = self.filesystem.get_file_info([self.path(name)])
        return math.inf if info.mtime_ns is None else float(info.mtime_ns) / 1e9

    def names(self, folder: str, suffix: str) -> list[str]:
        """Return the files in a folder, and below it, that end so; in order."""
        selector = self._selector(self.path(folder), allow_not_found=True, recursive=True)
        # Of a root that is the file system's, paths begin with no slash; of fsspec's in memory with one in any case.
        start = len(self.root.lstrip("/"))
        return sorted(
            info.path.lstrip("/")[start:].lstrip("/")
            for info in self.filesystem.get_file_info(selector)
            if info.is_file and info.path.endswith(suffix)
        )

    def put(self, name: str, octets: Any) -> None:
        """Write a file, whole and durable, in the place of one of its name. Raises OSError."""
        if self.local is not None:
            self._put_locally(self.local / name, octets)
            return
        path = self.path(name)
        if self._base.type_name in _OBJECTS:
            with self.filesystem.open_output_stream(path, compression=None) as file:
                file.write(octets)
            return
        self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        part = f"{path}.{uuid.uuid4().hex}.part"
        with self.filesystem.open_output_stream(part, compression=None) as file:
            file.write(octets)
        self.filesystem.move(part, path)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            if self.local is not None:
                (self.local / name).unlink()
            else:
                self.filesystem.delete_file(self.path(name))

    def _put_locally(self, path: Path, octets: Any) -> None:
        missing = [path.parent]
        while not missing[-1].parent.is_dir():
            missing.append(missing[-1].parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.part")
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | O_CLOEXEC | O_BINARY, 0o600)
        try:
            try:
                view = memoryview(octets)
                while view:
                    view = view[os.write(file, view) :]
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        for directory in (path.parent, *(each.parent for each in missing)):
            _sync(directory)


def _sync(directory: Path) -> None:
    if os.name == "nt":
        return  # a directory can't be opened there
    file = os.open(directory, os.O_RDONLY | O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
