"""The helpers of imap_tools' tests, which its source distribution leaves out: one account, on the tests' server."""

import os
import ssl
import unittest

from imap_tools import MailBox

HOST = os.environ["TEST_HOST"]
PORT = int(os.environ["TEST_PORT"])
USER = os.environ["TEST_USER"]
PASSWORD = os.environ["TEST_PASSWORD"]
CA_FILE = os.environ["TEST_CA_FILE"]
TEST_MAILBOX_NAME_SET = {"DOVECOT"}


def get_test_mailbox_config(name: str) -> dict[str, str]:
    """Return the account as imap_tools' tests know it."""
    return {"mailbox_name": name, "host": HOST, "email": USER, "password": PASSWORD}


def get_test_mailbox(name: str) -> MailBox:
    """Return a session that is logged in, with the names of the mailboxes that the tests use."""
    mailbox = MailBox(HOST, PORT, ssl_context=ssl.create_default_context(cafile=CA_FILE))
    mailbox.login(USER, PASSWORD)
    mailbox.mailbox_name = name
    mailbox.folder_test = "test"
    for part in ("base", "temp1", "temp2", "new", "new1"):
        setattr(mailbox, f"folder_test_{part}", f"test/{part}")
    return mailbox


class MailboxTestCase(unittest.TestCase):
    """A test with a session for each account."""

    def setUp(self) -> None:
        """Log in."""
        self.mailbox_set = {name: get_test_mailbox(name) for name in TEST_MAILBOX_NAME_SET}

    def tearDown(self) -> None:
        """Log out."""
        for mailbox in self.mailbox_set.values():
            mailbox.logout()
