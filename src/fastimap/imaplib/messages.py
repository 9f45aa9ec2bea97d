"""Commands on the messages of the selected mailbox."""

from __future__ import annotations

from collections.abc import Sequence

from .arguments import Argument, Arguments, MessageSet, decoded_text, flat, substituted
from .names import Commands, Result
from .sending import Sending

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MessageCommands(Sending):
    """Searching, fetching and changing messages."""

    def check(self) -> Result:
        """Have the server make a checkpoint of the selected mailbox. RFC 3501, section 6.4.1."""
        return self._simple_command("CHECK")

    def copy(self, message_set: MessageSet, new_mailbox: Argument, *, uid: bool = False) -> Result:
        """Copy messages to `new_mailbox`; `uid`: `message_set` holds UIDs. RFC 9051, section 6.4.7."""
        return self._by_number_or_uid(uid, "COPY", self._sequence_set(message_set), self._mailbox(new_mailbox))

    def expunge(self, message_set: MessageSet | None = None, *, uid: bool = False) -> Result:
        r"""Remove the \Deleted messages, or with `uid` those of the UIDs in `message_set`.

        Returns the numbers of the messages removed, in order; each counts with those before it gone.
        RFC 9051, section 6.4.3; RFC 4315, section 2.1.
        """
        if uid and message_set is None:
            raise self.error("UID EXPUNGE needs a message set")
        if not uid and message_set is not None:
            raise self.error("EXPUNGE takes a message set only with uid=True")
        arguments = () if message_set is None else (self._sequence_set(message_set),)
        typ, data = self._by_number_or_uid(uid, "EXPUNGE", *arguments)
        return self._untagged_response(typ, data, "EXPUNGE")

    def fetch(
        self,
        message_set: MessageSet,
        message_parts: Arguments,
        *,
        uid: bool = False,
        params: Sequence[Any] | None = None,
    ) -> Result:
        """Fetch data items of messages; `uid`: `message_set` holds UIDs. RFC 9051, section 6.4.5.

        `message_parts` is such as "(UID BODY.PEEK[TEXT])" or a sequence of items. With `params`, each ``?`` in it
        stands for the next of them: ``fetch("1", "BODY[HEADER.FIELDS ?]", params=[["DATE", "FROM"]])``.

        Returns a line as bytes for each message; where literals are part of it, a (line, literal) for each of them and
        the line that closes the response.
        """
        parts = self._fetch_parts(substituted(message_parts, params))
        typ, data = self._by_number_or_uid(uid, "FETCH", self._sequence_set(message_set), parts)
        return self._untagged_response(typ, data, "FETCH")

    def move(self, message_set: MessageSet, new_mailbox: Argument, *, uid: bool = False) -> Result:
        """Move messages to `new_mailbox`; `uid`: `message_set` holds UIDs. RFC 6851."""
        return self._by_number_or_uid(uid, "MOVE", self._sequence_set(message_set), self._mailbox(new_mailbox))

    def partial(
        self, message_num: Argument | int, message_part: Argument, start: Argument | int, length: Argument | int
    ) -> Result:
        """Fetch `length` octets of a part of one message, from octet `start` on. RFC 1730, section 6.4.6.

        Servers of today have ``fetch("1", "BODY[]<0.2048>")`` instead.
        """
        arguments = (
            self._single(flat(argument) if isinstance(argument, int) else argument)
            for argument in (message_num, message_part, start, length)
        )
        typ, data = self._simple_command("PARTIAL", *arguments)
        return self._untagged_response(typ, data, "FETCH")

    def search(
        self, charset: Argument | None, *criteria: Argument, uid: bool = False, params: Sequence[Any] | None = None
    ) -> Result:
        """Search the selected mailbox: [message numbers, or with `uid` UIDs, separated by spaces].

        The `criteria` are search keys, sent with spaces between them. With a `charset`, those that are str are encoded
        in it; it must be None in UTF-8 mode. With `params`, each ``?`` in them stands for the next value, quoted where
        need be: ``search(None, "FROM ? LARGER ?", params=[sender, 50000])``. RFC 9051, section 6.4.4.
        """
        if charset is not None and self.utf8_enabled:
            raise self.error("Non-None charset not valid in UTF8 mode")
        keys = self._search_keys(charset, criteria, params)
        if charset is not None:
            keys = ("CHARSET", self._astring(charset), *keys)
        typ, data = self._by_number_or_uid(uid, "SEARCH", *keys)
        return self._untagged_response(typ, data, "SEARCH")

    def sort(
        self,
        sort_criteria: Arguments,
        charset: Argument | None,
        *search_criteria: Argument,
        uid: bool = False,
        params: Sequence[Any] | None = None,
    ) -> Result:
        """Search as :meth:`search` does, with the result in the order of `sort_criteria`, such as "REVERSE DATE".

        RFC 5256, section 3.
        """
        arguments = (
            self._set_quote(sort_criteria),
            None if charset is None else self._astring(charset),
            *self._search_keys(charset, search_criteria, params),
        )
        typ, data = self._by_number_or_uid(uid, "SORT", *arguments)
        return self._untagged_response(typ, data, "SORT")

    def store(self, message_set: MessageSet, command: Argument, flags: Arguments, *, uid: bool = False) -> Result:
        r"""Change flags of messages; `uid`: `message_set` holds UIDs. RFC 9051, section 6.4.6.

        `command` is "FLAGS", "+FLAGS" or "-FLAGS", with ".SILENT" after it or not, and a modifier such as
        "(UNCHANGEDSINCE 5)" (RFC 7162) before it or not; `flags` is such as "\Seen" or a
        sequence of those. Returns the FETCH responses that tell of the change.
        """
        arguments = (self._sequence_set(message_set), *self._store_item(command), self._set_quote(flags))
        typ, data = self._by_number_or_uid(uid, "STORE", *arguments)
        return self._untagged_response(typ, data, "FETCH")

    def thread(
        self,
        threading_algorithm: Argument,
        charset: Argument | None,
        *search_criteria: Argument,
        uid: bool = False,
        params: Sequence[Any] | None = None,
    ) -> Result:
        """Search as :meth:`search` does, with the result in threads, by "REFERENCES" or "ORDEREDSUBJECT".

        RFC 5256, section 3.
        """
        arguments = (
            self._atom(threading_algorithm),
            None if charset is None else self._astring(charset),
            *self._search_keys(charset, search_criteria, params),
        )
        typ, data = self._by_number_or_uid(uid, "THREAD", *arguments)
        return self._untagged_response(typ, data, "THREAD")

    def uid(self, command: Argument, *args: Any, params: Sequence[Any] | None = None) -> Result:
        """Execute `command` by UIDs instead of message numbers; `args` and `params` are those of its own method.

        Returns the SEARCH, SORT or THREAD responses for these, the FETCH responses for all others.
        RFC 9051, section 6.4.9.
        """
        given, command = command, decoded_text(command).upper()
        if command not in Commands:
            shown = given.upper() if isinstance(given, (str, bytes)) else given
            raise self.error(f"Unknown IMAP4 UID command: {shown!r}")
        self._check_state(command)
        typ, data = self._simple_command("UID", self._atom(command), *self._uid_arguments(command, args, params))
        name = command if command in ("SEARCH", "SORT", "THREAD") else "FETCH"
        return self._untagged_response(typ, data, name)
