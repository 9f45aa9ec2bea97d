"""Where a fuzzer begins: the octets of real servers, and inputs that coverage has shown to reach further.

``python -m tests.fuzz.seeds DIRECTORY`` writes each to a file of its own, as libFuzzer wants them;
``python -m tests.fuzz.seeds --from DIRECTORY`` adds the short ones of such files (a merged corpus) to seeds.txt.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.parser.harness import quirks

SEEDS = Path(__file__).with_name("seeds.txt")
_SIZE = 80  # octets of the longest input that --from takes


def seeds() -> list[bytes]:
    """The inputs for the fuzzer: those of quirks.txt under both sets of limits, and those of seeds.txt."""
    found = [limits + octets for octets in quirks() for limits in (b"\0", b"\1")]
    found += map(ast.literal_eval, SEEDS.read_text("ascii").splitlines())
    return found


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--from"]:
        inputs = (path.read_bytes() for path in Path(arguments[1]).iterdir())
        kept = sorted({octets for octets in inputs if len(octets) <= _SIZE} - set(seeds()), key=lambda o: (len(o), o))
        with SEEDS.open("a", encoding="ascii") as file:
            file.writelines(f"{octets!r}\n" for octets in kept)
        return
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds()):
        (directory / f"seed-{number:04}").write_bytes(octets)


if __name__ == "__main__":
    main(sys.argv[1:])
