"""Copy an account to another one, flags and dates included. Run again, it carries over what is new or has changed.

FASTIMAP_PASSWORD=... FASTIMAP_TO_PASSWORD=... python examples/migrate.py \\
    imaps://me@old.example.org imaps://me@new.example.org

Nothing is changed at the source. The same from the shell: `fastimap migrate`, which has a --dry-run.
"""

import os
import sys

from fastimap import Account, archive


def main(source: str, destination: str) -> int:
    old = Account.from_url(source, password=os.environ["FASTIMAP_PASSWORD"])
    new = Account.from_url(destination, password=os.environ["FASTIMAP_TO_PASSWORD"])
    report = archive.migrate(old, new, exclude=["\\Trash", "\\Junk"])
    print(f"{report.found} messages at the source: {report.written} sent, {report.present} there already")
    for name, reason in report.failed.items():
        print(f"failed: {name}: {reason}")
    for name, mailbox in report.mailboxes.items():
        for uid, reason in mailbox.parked.items():
            print(f"not sent: {name}, UID {uid}: {reason}")
    return 0 if report.complete else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
