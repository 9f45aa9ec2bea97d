"""Instructions a message, parse alone: the same on every run, however busy the machine.

valgrind counts a process that fetches `MESSAGES` messages and one that fetches half of them; the difference is
the messages' own, without start-up. What the kernel does is not counted.
"""

import functools
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.client import Job, Unavailable, last_line
from benchmarks.workloads import record

MESSAGES = 2000


def _count(job: Job) -> int:
    command, environment = job.command()
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(valgrind + command, env=environment, capture_output=True, text=True)
    total = re.search(r"I +refs: +([0-9,]+)", done.stderr)
    if done.returncode or total is None:
        raise Unavailable(f"{job.client}: {last_line(done.stderr)}")
    return int(total[1].replace(",", ""))


@functools.cache
def per_message(client: str, workload: str) -> int:
    """Count the instructions that one message of the workload takes.

    Raises:
        Unavailable: valgrind is not installed, or the client failed.
    """
    if not shutil.which("valgrind"):
        raise Unavailable("valgrind is not installed")
    with tempfile.TemporaryDirectory() as folder:
        jobs = []
        for messages in (MESSAGES, MESSAGES // 2):
            recording = Path(folder, str(messages))
            recording.write_bytes(record(f"{workload}/{messages}"))
            jobs.append(Job(client, f"{workload}/{messages}", recording=str(recording), counted=True))
        with ThreadPoolExecutor() as pool:  # counts do not mind the company
            total, half = pool.map(_count, jobs)
    return (total - half) // (MESSAGES - MESSAGES // 2)
