"""A Dask cluster whose scheduler and workers are processes of their own, so that each can be killed."""

from __future__ import annotations

import re
import subprocess
import sys
import threading

__all__ = ["Started"]


class Started:
    """A scheduler and workers in processes of their own, as on machines of their own."""

    def __init__(self, port: int = 0) -> None:
        self.processes: list[subprocess.Popen[str]] = []
        self.drains: list[threading.Thread] = []
        scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        assert scheduler.stderr is not None
        for line in scheduler.stderr:
            if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
                self.address = found[1]
                break
        self._drain(scheduler)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        made = subprocess.Popen([sys.executable, "-m", "dask", *arguments], stderr=subprocess.PIPE, text=True)
        self.processes.append(made)
        return made

    def worker(self) -> None:
        self._drain(self._start("worker", self.address, "--nthreads", "2", "--no-dashboard", "--no-nanny"))

    def _drain(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.drains.append(threading.Thread(target=process.stderr.read))
        self.drains[-1].start()

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for thread, process in zip(self.drains, self.processes, strict=False):
            thread.join()
            assert process.stderr is not None
            process.stderr.close()
