"""Fuzzes the clients' protocol with commands in flight, guided by the coverage of its code and of the parser's in C.

tools/fuzz builds what this needs, and runs it. The arguments are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["fastimap"], exclude=["fastimap._parser_py", "fastimap.encode"]):
    from tests.fuzz.conversations import check

if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
