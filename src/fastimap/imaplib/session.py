"""Commands for the session: greeting, capabilities, login, TLS, logout."""

# ruff: noqa: N802 - the name is the standard library's
from __future__ import annotations

import binascii
from collections.abc import Mapping

from .arguments import Argument, decoded_text, encoded_text
from .costs import asked_by
from .exceptions import Exceptions, InvalidArgument, WrongType, shown
from .names import IMAP4_PORT, IMAP4_SSL_PORT, AllowedVersions, Authobject, Commands, Data, Result
from .sending import Sending, tag_prefixes
from .tls import HAVE_SSL, _client_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket  # noqa: N812
    from ssl import SSLContext
    from typing import Any

# What a greeting that is not IMAP's says about the service at the port.
_OTHER_SERVICES = {
    b"220": "an SMTP or FTP server",
    b"+OK": "a POP3 server",
    b"HTTP/": "a web server",
    b"SSH-": "an SSH server",
}

# Mechanisms in which the client says the secret itself.
_SHOWS_SECRET = ("LOGIN", "OAUTHBEARER", "PLAIN", "XOAUTH2")

# The commands before xatom() has added to them.
_KNOWN = frozenset(Commands)


class SessionCommands(Sending):
    """The beginning and the end of a session, and what holds for the whole of it."""

    def _connect(self) -> None:
        self.tagpre: bytes = tag_prefixes()[0]
        if self.debug >= 1:
            self._mesg(f"new IMAP4 connection, tag={self.tagpre!r}")
        self._greet()
        self._refresh_capabilities(consume=True)
        if self.debug >= 3:
            self._mesg(f"CAPABILITIES: {self.capabilities!r}")
        self._choose_version()

    def _choose_version(self) -> None:
        for version in AllowedVersions:
            if version in self.capabilities:
                self.PROTOCOL_VERSION = version
                return
        raise self.error("server not IMAP4 compliant")

    def _greet(self) -> None:
        """Read the greeting, and enter the state that it says (RFC 9051, section 7.1)."""
        self._asked = asked_by("")
        try:
            self.welcome: bytes | None = self._get_response()
        except self._unexpected:
            raise self._invalid_greeting(self._line) from None
        except TimeoutError as exc:
            raise self._timed_out(
                f"no greeting from {self._peer()} within {self._seconds()} seconds; "
                "a port that begins with TLS needs IMAP4_SSL"
            ) from exc
        except self.abort as exc:
            raise self.abort(f"no greeting from {self._peer()}: {exc}") from exc
        if "PREAUTH" in self.untagged_responses:
            self.state: str = "AUTH"
        elif "OK" in self.untagged_responses:
            self.state = "NONAUTH"
        else:
            raise self._invalid_greeting(self.welcome or self._line)

    def _invalid_greeting(self, line: bytes) -> Exception:
        text = f"invalid greeting: {line.decode('ascii', 'replace')}"
        for start, service in _OTHER_SERVICES.items():
            if line.startswith(start):
                text += f" (this is {service}; IMAP's ports are {IMAP4_PORT}, and {IMAP4_SSL_PORT} with TLS)"
        return self.error(text)

    def authenticate(self, mechanism: Argument, authobject: Authobject) -> Result:
        """Log in by the SASL `mechanism`, such as "PLAIN". RFC 9051, section 6.2.2.

        ``authobject(challenge)`` is called with the octets of each challenge, decoded from base64, and returns the
        response as bytes or str, not encoded; or None, to cancel. An exception of its own cancels too.

        Raises :exc:`error` with the server's text if that refuses; and before anything is sent if the mechanism shows
        the password or token to whoever listens, and the server announces LOGINDISABLED.
        """
        name = decoded_text(self._atom(mechanism)).upper()
        self._check_alive()
        if name in _SHOWS_SECRET and "LOGINDISABLED" in self.capabilities and self._in_clear():
            raise self.error(
                f"{name} would show the password on this connection (LOGINDISABLED): "
                "call starttls() first, or connect by IMAP4_SSL"
            )
        self.literal = _Authenticator(authobject).process
        typ, data = self._simple_command("AUTHENTICATE", name)
        return self._logged_in(typ, data)

    def capability(self) -> Result:
        """Ask for the server's capabilities: [names, separated by spaces]. RFC 9051, section 6.1.1."""
        typ, data = self._simple_command("CAPABILITY")
        return self._untagged_response(typ, data, "CAPABILITY")

    def _mode_ascii(self) -> None:
        self.utf8_enabled: bool = False
        self._encoding = "ascii"

    def _mode_utf8(self) -> None:
        self.utf8_enabled = True
        self._encoding = "utf-8"

    def enable(self, capability: str) -> Result:
        """Enable one or more extensions, separated by spaces. RFC 5161, section 3.1.

        After "UTF8=ACCEPT" (RFC 6855), arguments and mailbox names go in UTF-8.
        """
        self._check_alive()
        if "ENABLE" not in self.capabilities:
            raise self.error("Server does not support ENABLE")
        text = decoded_text(self._encoded(capability))
        names = [self._atom(name) for name in text.split(" ")]
        utf8 = "UTF8=ACCEPT" in text.upper().split(" ")
        typ, data = self._simple_command("ENABLE", *names)
        if typ == "OK" and utf8:
            self._mode_utf8()
        return typ, data

    def id(self, fields: Mapping[str, str | None] | None = None) -> Result:
        """Tell the server who the client is, such as {"name": "x", "version": "1"}; None sends NIL. RFC 2971.

        Returns the server's own fields, as a parenthesised list.
        """
        argument = b"NIL"
        if fields is not None and not isinstance(fields, Mapping):
            raise WrongType(f"the fields of ID are a mapping, or None, not {type(fields).__name__}")
        if fields:
            pairs = (
                self._quote(name) + b" " + (b"NIL" if value is None else self._quote(value))
                for name, value in fields.items()
            )
            argument = b"(" + b" ".join(pairs) + b")"
        typ, data = self._simple_command("ID", argument)
        return self._untagged_response(typ, data, "ID")

    def login(self, user: Argument, password: Argument) -> Result:
        """Log in with a password in the clear. RFC 9051, section 6.2.3.

        Raises :exc:`error`, with the server's text if it refuses; and before anything is sent if the server announces
        LOGINDISABLED.
        """
        self._check_state("LOGIN")
        if "LOGINDISABLED" in self.capabilities:
            raise self.error(
                "LOGIN is disabled on this connection (LOGINDISABLED): "
                "call starttls() first, connect by IMAP4_SSL, or use authenticate()"
            )
        typ, data = self._simple_command("LOGIN", self._astring(user), self._quote(password))
        return self._logged_in(typ, data)

    def login_cram_md5(self, user: Argument, password: Argument) -> Result:
        """Log in by CRAM-MD5 (RFC 2195); raises :exc:`error` if the server refuses."""
        for text in (user, password):
            encoded_text(text)  # what can't be is refused before anything is sent
        self.user: Argument = user
        self.password: Argument = password
        return self.authenticate("CRAM-MD5", self._CRAM_MD5_AUTH)

    def _CRAM_MD5_AUTH(self, challenge: bytes) -> bytes:
        import hmac

        try:
            digest = hmac.HMAC(encoded_text(self.password), challenge, "md5").hexdigest()
        except ValueError:  # a build of OpenSSL may forbid MD5
            raise self.error("CRAM-MD5 authentication is not supported") from None
        return encoded_text(self.user) + b" " + digest.encode("ascii")

    def login_plain(self, user: Argument, password: Argument) -> Result:
        """Log in by PLAIN (RFC 4616), which takes names and passwords in UTF-8; :exc:`error` if the server refuses.

        Raises ValueError where `user` or `password` contains NUL.
        """
        octets = [b"", encoded_text(user), encoded_text(password)]
        if any(b"\0" in part for part in octets):
            raise InvalidArgument("NUL not allowed in user name or password")
        return self.authenticate("PLAIN", lambda challenge: b"\0".join(octets))

    def logout(self) -> Result:
        """Say goodbye, and close the connection. RFC 9051, section 6.1.3.

        Returns ("BYE", [text]). A connection that is dead already is no error: its reason is the text.
        """
        if self._dead:
            return "BYE", [f"connection is dead: {self._dead}".encode()]
        self._check_state("LOGOUT")
        self.state = "LOGOUT"
        try:
            return self._simple_command("LOGOUT")
        finally:
            self.shutdown()

    def noop(self) -> Result:
        """Do nothing, and so give the server the occasion to tell of changes. RFC 9051, section 6.1.2."""
        if self.debug >= 3:
            self._dump_ur(self.untagged_responses)
        return self._simple_command("NOOP")

    def proxyauth(self, user: Argument) -> Result:
        """Go on as `user`, which some servers allow an administrator."""
        return self._simple_command("PROXYAUTH", self._astring(user))

    def starttls(
        self, ssl_context: SSLContext | None = None, *, keyfile: str | None = None, certfile: str | None = None
    ) -> Result:
        """Change to TLS. RFC 9051, section 6.2.1.

        Without `ssl_context`, certificate and host name are verified. `keyfile` and `certfile`, the client's own
        certificate, are deprecated. What the server said before, capabilities included, is forgotten.

        It ends under TLS, or with the connection dead: :exc:`abort` if the server has no STARTTLS or refuses it,
        ssl.SSLError if the two do not get along or the certificate is not good.
        """
        self._check_alive()
        if self._tls_established:
            raise self.abort("TLS session already established")
        try:
            return self._start_tls(ssl_context, keyfile, certfile)
        except BaseException as exc:
            # Whoever asked for TLS must not go on without it.
            self._die(str(exc))
            raise

    def _start_tls(self, ssl_context: SSLContext | None, keyfile: str | None, certfile: str | None) -> Result:
        if not HAVE_SSL:
            raise self.error("SSL support missing")
        if getattr(self, "sock", None) is None:
            raise self.abort("TLS needs a socket connection")
        self._check_state("STARTTLS")
        if "STARTTLS" not in self.capabilities:
            raise self.abort("TLS not supported by server")
        context = _client_context(ssl_context, keyfile, certfile)
        typ, data = self._simple_command("STARTTLS")
        if typ != "OK":
            raise self.abort(f"Couldn't establish TLS session: {data[-1].decode('utf-8', 'replace')}")
        if self._reader is not None and self._reader_sock is self.sock and self._reader.buffered:
            # Whoever sits between the two could have put them there, to be taken for responses sent under TLS.
            raise self.abort(f"{self._reader.buffered} octets follow the answer to STARTTLS, before TLS")
        self._close_imaplib_file()
        self.__dict__.pop("_imaplib_file", None)
        try:
            self.sock: Socket = self._wrap_socket(self.sock, context)
        except BaseException as exc:
            self._die(f"TLS handshake failed: {exc}")
            raise
        self._tls_established = True
        self.untagged_responses: dict[str, Data] = {}
        self.capabilities: tuple[str, ...] = ()
        self._get_capabilities()
        self._choose_version()
        return typ, [None]

    def xatom(self, name: Argument, *args: Argument | None) -> Result:
        """Execute a command that the class does not know, in the present state.

        An argument is quoted where it needs to be: where it has spaces, is empty, or has a quote or a parenthesis that
        is not closed. What has double quotes or parentheses of its own goes as it is, and so do the arguments of
        commands that the class knows, such as UID.
        """
        name = decoded_text(name).upper()
        if name not in _KNOWN:
            args = tuple(self._word(argument) for argument in args if argument is not None)
        if name in Commands:
            return self._simple_command(name, *args)
        Commands[name] = (self.state,)
        try:
            self._atom(name)
            return self._simple_command(name, *args)
        except (TypeError, ValueError):  # and so nothing was sent
            del Commands[name]
            self.literal: Any = None
            raise

    def _logged_in(self, typ: str, data: Data) -> Result:
        if typ != "OK":
            raise self.error(data[-1].decode("utf-8", "replace"))
        self.state = "AUTH"
        self._refresh_capabilities()
        return typ, data

    def _get_capabilities(self) -> None:
        typ, data = self.capability()
        if typ != "OK" or data == [None]:
            raise self.error("no CAPABILITY response from server")
        self._set_capabilities(data)

    def _refresh_capabilities(self, consume: bool = False) -> None:
        """Learn the capabilities from the response that came on its own, or ask for them.

        Unless `consume`, such a response can still be had by response("CAPABILITY").
        """
        data = self.untagged_responses.get("CAPABILITY")
        if data is None:
            self._get_capabilities()
            return
        if consume:
            del self.untagged_responses["CAPABILITY"]
        self._set_capabilities(data)

    def _set_capabilities(self, data: Data) -> None:
        self.capabilities = tuple(data[-1].decode(self._encoding, "replace").upper().split())


class _Authenticator:
    """The base64 around the challenges and responses of AUTHENTICATE."""

    def __init__(self, mechinst: Authobject) -> None:
        self.mech = mechinst

    def process(self, data: bytes | None) -> bytes:
        """Return what to send in answer to the challenge `data`; ``*`` to cancel."""
        response = self.mech(self.decode(data))
        return b"*" if response is None else self.encode(response)

    def encode(self, inp: bytes | str) -> bytes:
        octets = inp.encode("utf-8") if isinstance(inp, str) else inp
        return binascii.b2a_base64(octets, newline=False)

    def decode(self, inp: bytes | None) -> bytes:
        octets = (inp or b"").strip(b" ")
        if len(octets) > 1 and octets[:1] == octets[-1:] == b'"':  # Stalwart's empty challenge
            octets = octets[1:-1]
        if octets == b"=":  # RFC 4959's
            return b""
        try:
            return binascii.a2b_base64(octets, strict_mode=True)
        except binascii.Error as exc:
            raise Exceptions.error(f"a challenge that is not base64 ({exc}): {shown(octets)}") from exc
