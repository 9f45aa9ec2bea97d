"""The base class of IMAPClient's unit tests, which its source distribution leaves out."""

import unittest

from imapclient.testable_imapclient import TestableIMAPClient


class IMAPClientTest(unittest.TestCase):
    """A test with a client that talks to a mock."""

    def setUp(self) -> None:
        """Make the client."""
        self.client = TestableIMAPClient()
