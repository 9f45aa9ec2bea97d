"""Fuzzes the parser twins, guided by the coverage of the C code. tools/fuzz builds what this needs, and runs it.

The arguments are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

from tests.fuzz.invariants import check

if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
