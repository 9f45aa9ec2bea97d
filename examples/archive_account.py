"""Copy every mailbox of an account into a Maildir, then check what is there. Run again, it fetches only what is new.

FASTIMAP_PASSWORD=... python examples/archive_account.py imaps://me@imap.example.org ~/Mail

Interrupt it whenever you like: the next run goes on, and no message is there twice. The same from the shell:
`fastimap pull imaps://me@imap.example.org ~/Mail`.
"""

import os
import sys

from fastimap import Account, archive


def main(url: str, store: str) -> int:
    account = Account.from_url(url, password=os.environ["FASTIMAP_PASSWORD"])
    report = archive.pull(account, store, exclude=["\\Trash", "\\Junk"], connections=2)
    print(f"{report.found} messages on the server: {report.written} written, {report.present} there already")
    for name, reason in report.excluded.items():
        print(f"left out: {name} ({reason})")
    for name, reason in report.failed.items():
        print(f"failed: {name}: {reason}")
    for name, mailbox in report.mailboxes.items():
        for uid, reason in mailbox.parked.items():  # the server could not give it; the next run tries again
            print(f"missing: {name}, UID {uid}: {reason}")
    checked = archive.verify(store)
    print(f"{checked.checked} messages looked at: {'all as they came' if checked.good else 'NOT as they came'}")
    for difference in checked.differences:
        print(f"{difference.mailbox}, UID {difference.uid}: {difference.what}")
    return 0 if report.complete and checked.good else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
