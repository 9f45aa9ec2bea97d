"""Real Dovecots with mail in them, near and far; and what one process does there, once for each line of its input."""

import contextlib
import gc
import json
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

import fastimap
from benchmarks.client import Sample, Unavailable, resident
from benchmarks.delay import delayed
from benchmarks.replay import Account
from benchmarks.workloads import KIB, message
from tests.servers import dovecot
from tests.servers.server import Server
from tests.support import Unavailable as Missing

LINKS = ("plain", "TLS", "20 ms")
_TOGETHER = 500


@dataclass(frozen=True)
class Task:
    """What one process does.

    Attributes:
        client: Who does it.
        module: Whose `main` it is.
        what: Which thing.
        accounts: Where; two for what goes from one to the other.
        times: How many messages, mailboxes or connections.
        result: What it is to come to; 0: nobody knows.
    """

    client: str
    module: str
    what: str
    accounts: list[Account]
    times: int
    result: int = 0
    workload: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The process to start, and its environment."""
        environment = {**os.environ, "FASTIMAP_IMPL": "c", **self.environment}
        return [sys.executable, "-m", f"benchmarks.{self.module}", json.dumps(asdict(self))], environment


def serve(runs: Callable[[Task], Callable[[], int | None]]) -> None:
    """Do the task of the command line once for each line of standard input; print each sample as JSON."""
    fields = json.loads(sys.argv[1])
    task = Task(**{**fields, "accounts": [Account(**account) for account in fields["accounts"]]})
    run = runs(task)
    for _ in sys.stdin:
        gc.collect()
        before, wall, cpu = resident("VmRSS"), time.perf_counter(), time.process_time()
        result = run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if task.result and result != task.result:
            raise SystemExit(f"{task.client}: {result} instead of {task.result}")
        print(json.dumps(asdict(Sample(cpu, wall, resident("VmHWM") - before, ""))), flush=True)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A private Dovecot.

    Raises:
        Unavailable: there is none on this machine.
    """
    try:
        with dovecot.running() as server:
            yield server
    except Missing as error:
        raise Unavailable(f"Dovecot: {error}") from None


@contextlib.contextmanager
def linked(server: Server, user: str, link: str) -> Iterator[Account]:
    """The account of a user behind a link."""
    plain = Account(server.port, host=server.host, user=user, password=server.password, mailbox="INBOX")
    if link == "TLS":
        yield Account(server.tls_port, str(server.ca_file), "localhost", user, server.password, "INBOX")
    elif link == "20 ms":
        with delayed(plain, 0.020) as account:
            yield account
    else:
        yield plain


def of(account: Account) -> fastimap.Account:
    """The same for fastimap."""
    given: dict[str, Any] = {"tls": False}
    if account.cafile:
        given = {"ssl_context": ssl.create_default_context(cafile=account.cafile)}
    return fastimap.Account(
        account.host, account.port, user=account.user, password=account.password, mechanism="LOGIN", **given
    )


def fill(server: Server, user: str, messages: int, *, mailboxes: int = 1) -> None:
    """Put so many messages of 2 to 8 KiB into INBOX, or spread them over m0, m1, ...; the server parses each once."""
    random = Random(7)
    texts = [message(random, random.randint(2 * KIB, 8 * KIB)) for _ in range(_TOGETHER)]
    names = ["INBOX"] if mailboxes == 1 else [f"m{number}" for number in range(mailboxes)]
    share = messages // len(names)
    with fastimap.Client(of(Account(server.port, host=server.host, user=user, password=server.password))) as client:
        for name in names:
            if name != "INBOX":
                client.create_mailbox(name)
            for start in range(0, share, _TOGETHER):
                numbers = range(start, min(start + _TOGETHER, share))
                client.multi_append(name, [b"X-Number: %d\r\n%b" % (n, texts[n % _TOGETHER]) for n in numbers])
            client.select(name)
            client.fetch("1:*", "ENVELOPE", "RFC822.SIZE")
            client.unselect()
