"""Print what is unread in a mailbox; nothing is changed on the server.

FASTIMAP_PASSWORD=... python examples/read_mailbox.py imaps://me@imap.example.org [MAILBOX]
"""

import os
import sys

import fastimap
from fastimap.search import unseen


def main(url: str, mailbox: str = "INBOX") -> None:
    account = fastimap.Account.from_url(url, password=os.environ["FASTIMAP_PASSWORD"])
    with fastimap.Client(account, retry=fastimap.Retry()) as client:
        client.select(mailbox, read_only=True)
        found = client.search(unseen)
        print(f"{mailbox}: {len(found)} unread")
        for message in client.fetch_iter(found, "ENVELOPE", "BODY.PEEK[]"):
            if message.envelope is None:  # the server sent what can't be read; the other items are there
                print(message.uid, *message.defects)
                continue
            sender = message.envelope.author or "nobody"
            print(f"{message.uid:6} {message.envelope.date} {sender}: {message.envelope.subject}")
            first_line = (message.text or "").strip().partition("\n")[0]
            print(f"       {first_line}")
            for attachment in message.attachments or ():
                print(f"       {attachment.name} ({attachment.media_type}, {len(attachment.content or b'')} octets)")


if __name__ == "__main__":
    main(*sys.argv[1:])
