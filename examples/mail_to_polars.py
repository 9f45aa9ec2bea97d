"""Pull an account into Parquet, and ask polars who writes, when and how much. Again: only what is new is fetched.

FASTIMAP_PASSWORD=... python examples/mail_to_polars.py imaps://me@imap.example.org ~/mail.parquet

A bucket will do as well: s3://bucket/mail, with credentials where AWS's own tools look for them.
It needs: pip install "fastimap[parquet]" polars
"""

import os
import sys

import polars

from fastimap import Account, archive


def main(url: str, where: str) -> int:
    account = Account.from_url(url, password=os.environ["FASTIMAP_PASSWORD"])
    store = archive.Parquet(where, text=True, headers=["List-Id"])
    report = archive.pull(account, store, exclude=["\\Trash", "\\Junk"])
    print(f"{report.found} messages on the server: {report.written} written, {report.present} there already")
    for name, reason in report.failed.items():
        print(f"failed: {name}: {reason}")

    mail = polars.scan_pyarrow_dataset(archive.read(store))
    senders = (
        mail.select(
            polars.col("from_").list.first().struct.field("email").str.to_lowercase().alias("sender"),
            polars.col("size"),
            polars.col("attachments").list.len().alias("files"),
        )
        .group_by("sender")
        .agg(polars.len().alias("messages"), polars.col("size", "files").sum())
        .sort("messages", "sender", descending=[True, False])
    )
    for sender, messages, size, files in senders.head(10).collect().iter_rows():
        print(f"{messages:>7} {size:>12} octets {files:>5} files  {sender or '?'}")

    lists = mail.filter(polars.col("header_list_id").is_not_null())
    words = mail.filter(polars.col("text").str.contains("(?i)invoice"))
    print(f"{lists.collect().height} by mailing lists; {words.collect().height} speak of an invoice")
    return 0 if report.complete else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
