"""Programs of others, unchanged, on imaplib and with fastimap.imaplib in its place: CPU of the whole process.

    python -m benchmarks.programs [--rounds 7] [--messages 1 10 100 1000]

Each is installed by `pip install imap_tools imapclient imapdedup getmail6 mailsuite django-mailbox django`; what is
missing is left out. isbg is not among them: what it takes is SpamAssassin's time. A private Dovecot has the mailboxes,
of messages of 2 to 8 KiB. The figure counts from the start of Python to its end, imports included.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace

from benchmarks import processors
from benchmarks.real_server import filled
from benchmarks.replay import Account
from tests.servers import dovecot
from tests.support import Unavailable

SWAP = "import sys, fastimap.imaplib; sys.modules['imaplib'] = fastimap.imaplib"
ACCOUNT = """
import os, sys
host, port, user, password, mailbox, folder = sys.argv[1:]
port = int(port)
"""
PROGRAMS = {
    "IMAPClient": """
import imapclient
with imapclient.IMAPClient(host, port, ssl=False) as client:
    client.login(user, password)
    client.select_folder(mailbox, readonly=True)
    client.fetch(client.search(), ["BODY.PEEK[]"])
""",
    "imap_tools": """
import imap_tools
with imap_tools.MailBoxUnencrypted(host, port).login(user, password, mailbox) as client:
    for message in client.fetch(mark_seen=False):
        message.subject, message.from_, message.text
""",
    "imapdedup": """
import imapdedup
sys.argv[1:] = ["-n", "-s", host, "-p", str(port), "-u", user, "-w", password, mailbox]
imapdedup.main()
""",
    "getmail6": """
import pathlib, runpy, shutil
home = pathlib.Path(folder)
for name in ("cur", "new", "tmp"):
    (home / "mail" / name).mkdir(parents=True)
(home / "getmailrc").write_text(
    f"[retriever]\\ntype = SimpleIMAPRetriever\\nserver = {host}\\nport = {port}\\nusername = {user}\\n"
    f"password = {password}\\nmailboxes = ('{mailbox}',)\\n"
    f"[destination]\\ntype = Maildir\\npath = {home}/mail/\\n[options]\\nread_all = true\\nverbose = 0\\n"
)
sys.argv[1:] = ["--getmaildir", folder, "--quiet"]
os.geteuid = os.getegid = lambda: os.getuid() or 65534  # as root it delivers nothing
runpy.run_path(shutil.which("getmail", path=os.path.dirname(sys.executable)), run_name="__main__")
""",
    "mailsuite": """
import mailsuite.imap
client = mailsuite.imap.IMAPClient(host, user, password, port, ssl=False, starttls=False, initial_folder=mailbox)
for uid in client.search():
    client.fetch_message(uid)
""",
    "django-mailbox": """
import django.conf
django.conf.settings.configure()
from django_mailbox.transports.imap import ImapTransport
transport = ImapTransport(host, port, folder=mailbox)
transport.connect(user, password)
for message in transport.get_message(lambda message: False):  # what is taken would be deleted
    pass
""",
}


def cpu(program: str, account: Account, *, swapped: bool) -> float:
    """Run a program in a process of its own; return the seconds of CPU that it took.

    Raises:
        Unavailable: It is not installed, or failed.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"FASTIMAP_IMPL": "c", "SSL_CERT_FILE": account.cafile}  # for those that take up STARTTLS
    source = (SWAP if swapped else "import imaplib") + ACCOUNT + PROGRAMS[program]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        arguments = [account.host, str(account.port), account.user, account.password, account.mailbox, folder]
        process = subprocess.Popen(
            [sys.executable, "-c", source, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode:
            raise Unavailable(f"{program}: {said.read().decode(errors='replace').strip().rpartition(chr(10))[2]}")
    return usage.ru_utime + usage.ru_stime


def compare(account: Account, messages: int, rounds: int, programs: list[str]) -> None:
    """Let the programs take turns, on imaplib (twice: the difference is the noise) and swapped; print a row each."""
    for program in programs:
        ways = {"imaplib": False, "again": False, "swapped": True}
        taken: dict[str, list[float]] = {way: [] for way in ways}
        with contextlib.suppress(Unavailable):
            cpu(program, account, swapped=True)  # compiles what is imported
        try:
            for _ in range(rounds):
                for way, swapped in ways.items():
                    taken[way].append(cpu(program, account, swapped=swapped))
        except Unavailable as error:
            print(f"not measured: {error}")
            continue
        found = {way: statistics.median(seconds) * 1000 for way, seconds in taken.items()}
        changes = [f"{(found[way] / found['imaplib'] - 1) * 100:+8.1f} %" for way in ("again", "swapped")]
        print(f"{program:15} {messages:6}", *(f"{ms:8.1f}" for ms in found.values()), *changes, flush=True)


def main() -> None:
    """Fill the mailboxes, and compare on each."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.programs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--only", action="append", choices=PROGRAMS, help="one program alone; may be repeated")
    options = parser.parse_args()
    print(f"{'CPU, ms':15} {'number':>6}", *(f"{way:>8}" for way in ("imaplib", "again", "swapped")))
    try:
        with contextlib.ExitStack() as apart:
            with processors.for_the_server():
                server = apart.enter_context(dovecot.running())
            processors.for_the_client()
            for messages in options.messages:
                user = server.new_user()
                account = Account(server.port, "", "localhost", user, server.password, f"of-{messages}")
                with filled(account, messages):
                    account = replace(account, cafile=str(server.ca_file))
                    compare(account, messages, options.rounds, options.only or [*PROGRAMS])
    except Unavailable as error:
        sys.exit(f"Dovecot: {error}")


if __name__ == "__main__":
    main()
