"""Parquet: mail as typed columns, for pandas, polars, DuckDB and Dask; on a disk, or on S3 and what is like it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from ...model.sequence_set import UIDSet
from .base import Store

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

__all__ = ["Parquet"]


class Parquet(Store):
    """Files of Parquet in hive folders, ``mailbox=INBOX/year=2024``, of all accounts; `fastimap.archive.read` reads it.

    :param root: a directory, or a URI: ``s3://bucket/prefix``, ``gs://...``.
    :param filesystem: of `pyarrow.fs`, where the URI does not say enough; `root` is then a path in it.
    :param headers: names of header fields to keep besides those of the envelope.
    :param text: whether to keep the text of messages, and so to fetch it.
    :param body: whether to keep whole messages, and so to fetch them.

    It needs pyarrow: ``pip install fastimap[parquet]``. A store can be pickled, and be opened on another machine, whose
    credentials are taken there. See `shard` for several workers on one account.
    """

    kind: ClassVar[str] = "parquet"

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        filesystem: FileSystem | None = None,
        headers: Iterable[str] = (),
        text: bool = False,
        body: bool = False,
    ) -> None:
        if isinstance(headers, str):
            raise TypeError("headers is a list of names")
        self.location: str = os.fspath(root)
        self.filesystem = filesystem
        self.headers: tuple[str, ...] = tuple(name.lower() for name in headers)
        self.text = text
        self.body = body
        self.account: str | None = None
        self.mailbox: str | None = None
        self.uids: UIDSet | None = None
        super().__init__("." if filesystem is not None or "://" in self.location else Path(root))

    @property
    def where(self) -> str:
        return self.location if "://" in self.location or self.filesystem is not None else str(self.root)

    def shard(self, account: str, mailbox: str | None = None, uids: UIDSet | range | None = None) -> Self:
        """Return the store as one of several workers has it, which writes this part of it alone.

        :param account: what the account is called in the store: user@host, or the `name` that `pull` is given.
        :param mailbox: one mailbox; None: all. `pull` is to be given the same.
        :param uids: of this mailbox only UIDs in this range; None: all. Ranges of two workers have none in common, and
            are the same in later runs.

        Each shard has a manifest of its own, written when its files are. Two workers on one shard never double a
        message: the files of the one that is late are in no manifest.
        """
        if uids is not None and mailbox is None:
            raise ValueError("a range of UIDs is one of a mailbox: which?")
        if isinstance(uids, range):
            uids = UIDSet([uids])
        if uids is not None and (len(uids.ranges) != 1 or uids.has_star):
            raise ValueError(f"a shard has one range of UIDs, not {uids}")
        made = type(self).__new__(type(self))
        made.__dict__ |= self.__dict__
        made.account, made.mailbox, made.uids = account, mailbox, uids
        return made

    def __repr__(self) -> str:
        part = [f"{name}={value!r}" for name in ("account", "mailbox", "uids") if (value := getattr(self, name))]
        return f"{type(self).__name__}({', '.join([repr(self.where), *part])})"
