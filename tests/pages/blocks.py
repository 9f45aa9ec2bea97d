"""The fenced blocks of a page of docs/, and how each kind is run."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import shlex
import signal
from typing import Any, NamedTuple

from fastimap import cli
from tests.support import PROJECT


class Block(NamedTuple):
    """A block of a page."""

    language: str
    source: str
    output: str | None
    """What the page says that it prints: the next block, if that is one of text."""

    @property
    def commands(self) -> list[str]:
        """Of a block for the shell, the lines that run fastimap."""
        if self.language:
            return []
        return [line for line in self.source.splitlines() if line.startswith("fastimap ")]


def blocks(page: str) -> list[Block]:
    text = (PROJECT / "docs" / page).read_text("utf-8")
    found = list(re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    read = []
    for number, this in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        output = following[2] if following is not None and following[1] == "text" else None
        read.append(Block(this[1], this[2], output))
    return read


def run_python(source: str, names: dict[str, Any]) -> str:
    """Run a block in which `names` are known, `await` at its top level too; return what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = eval(compile(source, "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    return printed.getvalue()


def run_command(line: str) -> str:
    """Run a command line of fastimap's as a shell would, which has to end well; return what it printed."""
    _, *arguments = [os.path.expanduser(word) for word in shlex.split(line, comments=True)]
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with contextlib.redirect_stdout(printed):
            code = cli.main(arguments)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    printed.seek(0)
    text = printed.read()
    assert code == 0, (line, text)
    return text
