"""Run a command for each new mail, with sender and subject as its last arguments.

FASTIMAP_PASSWORD=... python examples/notify.py imaps://me@imap.example.org notify-send

The server reports new mail at once (IDLE); the connection is made anew when it breaks. What came while the program
did not run is reported when it starts, as the cursor in ~/.cache/fastimap-notify.sqlite knows where it stopped.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from fastimap import Account, follow


def main(url: str, *command: str) -> None:
    account = Account.from_url(url, password=os.environ["FASTIMAP_PASSWORD"])
    cursor = Path("~/.cache/fastimap-notify.sqlite").expanduser()
    cursor.parent.mkdir(exist_ok=True)
    with follow(account, "INBOX", cursor=cursor, start="new", items=("ENVELOPE",)) as mail:
        signal.signal(signal.SIGTERM, lambda number, frame: mail.stop())
        print("waiting for mail", flush=True)
        for message in mail:
            envelope = message.envelope
            sender = str(envelope.author) if envelope and envelope.author else "somebody"
            subject = (envelope and envelope.subject) or "(no subject)"
            subprocess.run([*command, sender, subject], check=False)
            message.done()


if __name__ == "__main__":
    main(*sys.argv[1:])
