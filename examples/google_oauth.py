"""Log in to Gmail with OAuth, and print how much mail there is.

pip install google-auth-oauthlib
python examples/google_oauth.py imaps://me%40gmail.com@imap.gmail.com client.json

client.json is what the Google Cloud console gives for an "OAuth client ID" of the kind "desktop app". The first time a
browser asks for consent; what it gives is kept in token.json, a secret, and makes new tokens from then on.
"""

import json
import sys
from pathlib import Path

from google.auth.transport.requests import Request
from google.oauth2.credentials import Credentials

from fastimap import Account, Client

SCOPES = ["https://mail.google.com/"]
KEPT = Path("token.json")
FIELDS = ("refresh_token", "client_id", "client_secret", "token_uri")


def credentials(client_file: str) -> Credentials:
    if KEPT.exists():
        return Credentials(None, **json.loads(KEPT.read_text()))
    from google_auth_oauthlib.flow import InstalledAppFlow

    made = InstalledAppFlow.from_client_secrets_file(client_file, SCOPES).run_local_server()
    KEPT.touch(mode=0o600)
    KEPT.write_text(json.dumps({name: getattr(made, name) for name in FIELDS}))
    return made


def main(url: str, client_file: str) -> None:
    found = credentials(client_file)

    def token() -> str:  # asked at each connection
        if not found.valid:
            found.refresh(Request())
        return str(found.token)

    with Client(Account.from_url(url, token=token)) as client:
        for mailbox in client.list_mailboxes():
            if mailbox.is_selectable:
                print(mailbox.name, client.mailbox_status(mailbox, "MESSAGES").messages)


if __name__ == "__main__":
    main(*sys.argv[1:])
