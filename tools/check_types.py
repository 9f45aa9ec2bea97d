"""Holds how much of what users can reach has a type that every checker reads alike: python tools/check_types.py

By ``pyright --verifytypes``. What it calls ambiguous are attributes whose type another checker could infer otherwise:
those of a class below that assigns what a class above declares, without a type of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def main() -> int:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    command += ["--verifytypes", "fastimap", "--ignoreexternal", "--outputjson"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    try:
        found = json.loads(ended.stdout)["typeCompleteness"]
        score: float = found["completenessScore"]
        unknown: int = found["exportedSymbolCounts"]["withUnknownType"]
    except (ValueError, KeyError):
        print(f"types: pyright says {ended.stdout[-500:]} {ended.stderr[-500:]}", file=sys.stderr)
        return 1
    print(f"types: {score:.1%} are known, {unknown} unknown")
    if score < 1:
        print("types: which, says pyright --verifytypes fastimap --ignoreexternal", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
