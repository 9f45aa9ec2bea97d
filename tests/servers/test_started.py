"""Every real server that the tests start: it is what its fixture says, and an independent client gets along with it."""

import imaplib
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import courier, cyrus
from tests.servers.server import CERTIFIED_USER, HOST, Server
from tests.support import PROJECT, debian

MESSAGE = (
    b"From: a@example.org\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\n" + bytes(range(1, 10)) + b"\x7f\x80\xff\r\n.\r\n"
)

CAPABILITIES = {
    "dovecot-2.3": """
        ACL BINARY CATENATE COMPRESS=DEFLATE CONDSTORE ENABLE ESEARCH ESORT ID IDLE LIST-EXTENDED LIST-STATUS LITERAL+
        METADATA MOVE MULTIAPPEND NAMESPACE NOTIFY PREVIEW QRESYNC QUOTA RIGHTS=texk SASL-IR SAVEDATE SEARCHRES SORT
        SORT=DISPLAY SPECIAL-USE STATUS=SIZE THREAD=REFERENCES THREAD=ORDEREDSUBJECT UIDPLUS UNSELECT URL-PARTIAL WITHIN
    """,
    "cyrus-3.6": """
        ACL ANNOTATE-EXPERIMENT-1 BINARY CATENATE COMPRESS=DEFLATE CONDSTORE CREATE-SPECIAL-USE ENABLE ESEARCH ESORT ID
        IDLE LIST-EXTENDED LIST-METADATA LIST-MYRIGHTS LIST-STATUS LITERAL+ METADATA MOVE MULTIAPPEND NAMESPACE OBJECTID
        PREVIEW QRESYNC QUOTA RIGHTS=kxten SAVEDATE SEARCH=FUZZY SORT SORT=DISPLAY SPECIAL-USE STATUS=SIZE
        THREAD=REFERENCES THREAD=ORDEREDSUBJECT UIDPLUS UNSELECT URLAUTH WITHIN
    """,
    "courier-5.0": """
        ACL ACL2=UNION CHILDREN ENABLE IDLE NAMESPACE QUOTA SORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES UIDPLUS
        UTF8=ACCEPT
    """,
    "dovecot-2.4": """
        ACL BINARY CATENATE COMPRESS=DEFLATE CONDSTORE ENABLE ESEARCH ESORT ID IDLE INPROGRESS LIST-EXTENDED LIST-STATUS
        LITERAL- METADATA MOVE MULTIAPPEND NAMESPACE NOTIFY PREVIEW QRESYNC QUOTA REPLACE RIGHTS=texk SASL-IR SAVEDATE
        SEARCHRES SORT SORT=DISPLAY SPECIAL-USE STATUS=SIZE THREAD=REFERENCES THREAD=ORDEREDSUBJECT UIDPLUS UNSELECT
        URL-PARTIAL UTF8=ACCEPT WITHIN
    """,
    "cyrus-3.10": """
        ACL ANNOTATE-EXPERIMENT-1 BINARY CATENATE COMPRESS=DEFLATE CONDSTORE CREATE-SPECIAL-USE ENABLE ESEARCH ESORT ID
        IDLE IMAP4rev2 LIST-EXTENDED LIST-METADATA LIST-MYRIGHTS LIST-STATUS LITERAL+ METADATA MOVE MULTIAPPEND
        MULTISEARCH NAMESPACE NOTIFY OBJECTID PREVIEW QRESYNC QUOTA QUOTA=RES-STORAGE QUOTASET REPLACE RIGHTS=kxten
        SAVEDATE SEARCH=FUZZY SEARCHRES SORT SORT=DISPLAY SPECIAL-USE STATUS=SIZE THREAD=REFERENCES
        THREAD=ORDEREDSUBJECT UIDONLY UIDPLUS UNSELECT URL-PARTIAL URLAUTH WITHIN
    """,
}
"""What each has to announce to a user who has logged in; IMAP4rev1 goes without saying."""

IN_A_ROOT = {"cyrus-3.6": cyrus, "courier-5.0": courier}
"""What starts them in a Debian root of their own. The two are unlike: Cyrus has one first process, Courier has two."""


def only(*names: str) -> pytest.MarkDecorator:
    """Mark a test that is about what these servers alone have."""
    return pytest.mark.parametrize("real_server", names, indirect=True)


def connected(server: Server) -> imaplib.IMAP4:
    return imaplib.IMAP4(server.host, server.port, timeout=30)


def tls_context(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca_file)


def test_name_and_greeting(request: pytest.FixtureRequest, real_server: Server) -> None:
    assert real_server.name == request.node.callspec.params["real_server"]
    assert real_server.version.startswith(real_server.name.partition("-")[2] + ".")
    with connected(real_server) as client:
        assert client.welcome.startswith(b"* OK ")
        assert real_server.name.partition("-")[0] in client.welcome.decode().lower()


def test_session(real_server: Server) -> None:
    with connected(real_server) as client:
        assert client.login(real_server.new_user(), real_server.password)[0] == "OK"
        assert client.select() == ("OK", [b"0"])
        assert client.append("INBOX", None, None, MESSAGE)[0] == "OK"
        assert client.noop()[0] == "OK"
        typ, data = client.fetch("1", "(BODY.PEEK[])")
        assert typ == "OK"
        assert [item[1] for item in data if isinstance(item, tuple)] == [MESSAGE]
        assert client.logout()[0] == "BYE"


def test_each_user_is_alone(real_server: Server) -> None:
    users = [real_server.new_user() for _ in range(2)]
    with connected(real_server) as first, connected(real_server) as second:
        first.login(users[0], real_server.password)
        first.append("INBOX", None, None, MESSAGE)
        second.login(users[1], real_server.password)
        assert first.select() == ("OK", [b"1"])
        assert second.select() == ("OK", [b"0"])


@only("dovecot-2.3", "cyrus-3.6", "dovecot-2.4", "cyrus-3.10")  # Courier takes five seconds for it
def test_wrong_password(real_server: Server) -> None:
    with connected(real_server) as client, pytest.raises(imaplib.IMAP4.error):
        client.login(real_server.new_user(), "wrong")


def test_capabilities(real_server: Server) -> None:
    with connected(real_server) as client:
        client.login(real_server.new_user(), real_server.password)
        announced = client.capability()[1][-1].decode().split()
    assert "IMAP4rev1" in announced
    assert sorted(set(CAPABILITIES[real_server.name].split()) - set(announced)) == []


def test_starttls(real_server: Server) -> None:
    with connected(real_server) as client:
        assert client.starttls(tls_context(real_server))[0] == "OK"
        assert client.login(real_server.new_user(), real_server.password)[0] == "OK"


def test_tls(real_server: Server) -> None:
    context = tls_context(real_server)
    with imaplib.IMAP4_SSL("localhost", real_server.tls_port, ssl_context=context, timeout=30) as client:
        assert client.login(real_server.new_user(), real_server.password)[0] == "OK"


@only("dovecot-2.3", "cyrus-3.6", "dovecot-2.4", "cyrus-3.10")
def test_client_certificate(real_server: Server) -> None:
    context = tls_context(real_server)
    assert real_server.client_certificate is not None
    context.load_cert_chain(real_server.client_certificate)
    with imaplib.IMAP4_SSL("localhost", real_server.tls_port, ssl_context=context, timeout=30) as client:
        assert client.authenticate("EXTERNAL", lambda challenge: CERTIFIED_USER.encode())[0] == "OK"


@only("dovecot-2.3", "dovecot-2.4")
def test_insecure_host(real_server: Server) -> None:
    assert real_server.insecure_host is not None
    with imaplib.IMAP4(real_server.insecure_host, real_server.port, timeout=30) as client:
        assert "LOGINDISABLED" in client.capabilities


@only("cyrus-3.6", "cyrus-3.10")
def test_admin(real_server: Server) -> None:
    assert real_server.admin is not None
    user = real_server.new_user()
    with connected(real_server) as client:
        client.login(user, real_server.password)
    with connected(real_server) as client:
        client.login(*real_server.admin)
        assert client.setquota(f"user/{user}", "(STORAGE 512)")[0] == "OK"
        assert client.getquota(f"user/{user}") == ("OK", [f"user/{user} (STORAGE 0 512)".encode()])


def listening(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=30).close()
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:  # it ends just now
        return True
    return True


@only(*IN_A_ROOT)
def test_gone_at_the_end(real_server: Server) -> None:
    # The fixture's server goes on; this is about a second one.
    with IN_A_ROOT[real_server.name].running("bookworm") as server:
        assert listening(server.port)
    assert not listening(server.port)
    assert not server.directory.exists()
    assert str(debian.ROOTS) not in Path("/proc/mounts").read_text()


@only(*IN_A_ROOT)
def test_gone_with_killed_tests(real_server: Server) -> None:
    module = IN_A_ROOT[real_server.name].__name__
    program = f"""
from {module} import running
with running("bookworm") as server:
    print(server.port, server.directory, flush=True)
    input()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        port, directory = tests.stdout.readline().split()
        assert listening(int(port))
        tests.kill()
    # The kernel ends the server in its own time; pytest's time limit ends a vain wait.
    while listening(int(port)):
        time.sleep(0.05)
    shutil.rmtree(directory)
    assert str(debian.ROOTS) not in Path("/proc/mounts").read_text()
