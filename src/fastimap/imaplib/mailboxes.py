"""Commands on mailboxes."""

from __future__ import annotations

import time
from datetime import datetime

from .arguments import Argument, Arguments
from .exceptions import WrongType
from .functions import Time2Internaldate
from .names import CRLF, Data, MapCRLF, Result
from .sending import Sending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MailboxCommands(Sending):
    """Opening, listing and changing mailboxes, their rights, quotas and annotations."""

    def append(
        self,
        mailbox: Argument | None,
        flags: Arguments | None,
        date_time: float | tuple[int, ...] | time.struct_time | datetime | str | None,
        message: bytes,
        *,
        translate_line_endings: bool = True,
    ) -> Result:
        r"""Append a message to `mailbox` (None: INBOX). RFC 9051, section 6.3.12; RFC 6855, section 4.

        `flags` is such as "\Seen" or a sequence of those, `date_time` as for :func:`Time2Internaldate`; each may be
        None. CR and LF alone become CRLF in the octets of `message`, unless `translate_line_endings` is False.
        """
        arguments = (
            self._mailbox(mailbox or "INBOX"),
            self._set_quote(flags) if flags else None,
            Time2Internaldate(date_time) if date_time else None,
        )
        try:
            memoryview(message)
        except TypeError:
            kind = type(message).__name__
            raise WrongType(f"a message is a bytes-like object, not {kind}: {repr(message)[:40]}") from None
        self.literal: Any = MapCRLF.sub(CRLF, message) if translate_line_endings else message
        return self._simple_command("APPEND", *arguments)

    def close(self) -> Result:
        r"""Leave the selected mailbox, and remove its \Deleted messages. RFC 9051, section 6.4.1."""
        return self._leave_mailbox("CLOSE")

    def create(self, mailbox: Argument) -> Result:
        """Create `mailbox`. RFC 9051, section 6.3.4."""
        return self._simple_command("CREATE", self._mailbox(mailbox))

    def delete(self, mailbox: Argument) -> Result:
        """Delete `mailbox` with all that is in it. RFC 9051, section 6.3.5."""
        return self._simple_command("DELETE", self._mailbox(mailbox))

    def deleteacl(self, mailbox: Argument, who: Argument) -> Result:
        """Take away all rights that the identifier `who` has been given on `mailbox`. RFC 4314, section 3.2."""
        return self._simple_command("DELETEACL", self._mailbox(mailbox), self._astring(who))

    def getacl(self, mailbox: Argument) -> Result:
        """Return the rights given on `mailbox`. RFC 4314, section 3.3."""
        typ, data = self._simple_command("GETACL", self._mailbox(mailbox))
        return self._untagged_response(typ, data, "ACL")

    def getannotation(self, mailbox: Argument, entry: Argument, attribute: Argument) -> Result:
        """Return annotations of `mailbox`. draft-daboo-imap-annotatemore-08, section 4.2.

        `entry` and `attribute` go as they are: quote them, or put lists in parentheses.
        """
        arguments = (self._mailbox(mailbox), self._single(entry), self._single(attribute))
        typ, data = self._simple_command("GETANNOTATION", *arguments)
        return self._untagged_response(typ, data, "ANNOTATION")

    def getquota(self, root: Argument) -> Result:
        """Return use and limits of the quota root. RFC 9208, section 4.1.1."""
        typ, data = self._simple_command("GETQUOTA", self._astring(root))
        return self._untagged_response(typ, data, "QUOTA")

    def getquotaroot(self, mailbox: Argument) -> Result:
        """Return [QUOTAROOT responses, QUOTA responses] for `mailbox`. RFC 9208, section 4.1.2."""
        typ, data = self._simple_command("GETQUOTAROOT", self._mailbox(mailbox))
        _, quotaroot = self._untagged_response(typ, data, "QUOTAROOT")
        _, quota = self._untagged_response(typ, data, "QUOTA")
        return typ, [quotaroot, quota]

    def list(self, directory: Argument = "", pattern: Argument = "*") -> Result:
        """List the mailboxes below `directory` that match `pattern`: * any characters, % the same within one level.

        Returns (attributes) delimiter name, a line or a (line, literal) each. RFC 9051, section 6.3.9.
        """
        return self._list("LIST", directory, pattern)

    def lsub(self, directory: Argument = "", pattern: Argument = "*") -> Result:
        """List the subscribed mailboxes; as :meth:`list`. RFC 3501, section 6.3.9."""
        return self._list("LSUB", directory, pattern)

    def myrights(self, mailbox: Argument) -> Result:
        """Return the rights of the logged-in user on `mailbox`. RFC 4314, section 3.5."""
        typ, data = self._simple_command("MYRIGHTS", self._mailbox(mailbox))
        return self._untagged_response(typ, data, "MYRIGHTS")

    def namespace(self) -> Result:
        """Return the namespaces: personal, of other users, shared. RFC 2342."""
        typ, data = self._simple_command("NAMESPACE")
        return self._untagged_response(typ, data, "NAMESPACE")

    def rename(self, oldmailbox: Argument, newmailbox: Argument) -> Result:
        """Rename a mailbox, and those below it. RFC 9051, section 6.3.6."""
        return self._simple_command("RENAME", self._mailbox(oldmailbox), self._mailbox(newmailbox))

    def select(self, mailbox: Argument = "INBOX", readonly: bool = False) -> Result:
        """Open `mailbox`, for reading alone if `readonly` (EXAMINE). RFC 9051, sections 6.3.2 and 6.3.3.

        Returns [number of messages]; :meth:`response` has the rest. Forgets all responses received before. Raises
        :exc:`readonly` if the server opens for reading alone what was to be written.
        """
        name = "EXAMINE" if readonly else "SELECT"
        argument = self._mailbox(mailbox)
        self._check_state(name)
        with self._in_command(name):
            self._take_arrived()  # of the mailbox selected before
        self.untagged_responses: dict[str, Data] = {}
        self.is_readonly = readonly
        typ, data = self._simple_command(name, argument)
        if typ != "OK":
            self.state: str = "AUTH"  # the mailbox selected before is not selected any more
            return typ, data
        self.state = "SELECTED"
        if "READ-ONLY" in self.untagged_responses and not readonly:
            if self.debug >= 1:
                self._dump_ur(self.untagged_responses)
            raise self.readonly(f"{mailbox!r} is not writable")
        return typ, self.untagged_responses.get("EXISTS", [None])

    def setacl(self, mailbox: Argument, who: Argument, what: Argument) -> Result:
        """Give the identifier `who` the rights `what` (such as "lr" or "+lr") on `mailbox`. RFC 4314, section 3.1."""
        return self._simple_command("SETACL", self._mailbox(mailbox), self._astring(who), self._astring(what))

    def setannotation(self, mailbox: Argument, *args: Argument) -> Result:
        """Set annotations of `mailbox`. draft-daboo-imap-annotatemore-08, section 4.3.

        The `args` are entries and lists of attributes in turn, and go as they are.
        """
        typ, data = self._simple_command("SETANNOTATION", self._mailbox(mailbox), *map(self._single, args))
        return self._untagged_response(typ, data, "ANNOTATION")

    def setquota(self, root: Argument, limits: Arguments) -> Result:
        """Set the limits of the quota root, such as "(STORAGE 512)". RFC 9208, section 4.1.3."""
        typ, data = self._simple_command("SETQUOTA", self._astring(root), self._set_quote(limits))
        return self._untagged_response(typ, data, "QUOTA")

    def status(self, mailbox: Argument, names: Arguments) -> Result:
        """Return the status items `names`, such as "(MESSAGES UNSEEN)", of `mailbox`. RFC 9051, section 6.3.11."""
        typ, data = self._simple_command("STATUS", self._mailbox(mailbox), self._set_quote(names))
        return self._untagged_response(typ, data, "STATUS")

    def subscribe(self, mailbox: Argument) -> Result:
        """Add `mailbox` to the subscribed ones. RFC 9051, section 6.3.7."""
        return self._simple_command("SUBSCRIBE", self._mailbox(mailbox))

    def unselect(self) -> Result:
        r"""Leave the selected mailbox, and leave its \Deleted messages in it. RFC 9051, section 6.4.2."""
        return self._leave_mailbox("UNSELECT")

    def unsubscribe(self, mailbox: Argument) -> Result:
        """Take `mailbox` out of the subscribed ones. RFC 9051, section 6.3.8."""
        return self._simple_command("UNSUBSCRIBE", self._mailbox(mailbox))

    def _leave_mailbox(self, name: str) -> Result:
        self._check_state(name)
        try:
            return self._simple_command(name)
        finally:
            if not self._dead:
                self.state = "AUTH"

    def _list(self, name: str, directory: Argument, pattern: Argument) -> Result:
        typ, data = self._simple_command(name, self._mailbox(directory), self._list_mailbox(pattern))
        return self._untagged_response(typ, data, name)
