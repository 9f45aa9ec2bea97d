"""Where a fuzzer begins: the octets of real servers, and inputs that coverage has shown to reach further.

``python -m tests.fuzz.seeds TARGET DIRECTORY`` writes each to a file of its own, as libFuzzer wants them, for the
target ``parser`` or ``client``; ``python -m tests.fuzz.seeds TARGET --from DIRECTORY`` adds the short ones of such
files (a merged corpus) to the target's file here.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.parser.harness import quirks

_SIZE = 80  # octets of the longest input that --from takes


def kept(target: str) -> Path:
    """The file with inputs that were found by fuzzing `target`."""
    return Path(__file__).with_name({"parser": "seeds.txt", "client": "client_seeds.txt"}[target])


def seeds(target: str) -> list[bytes]:
    """The inputs for the fuzzer: those of quirks.txt under both sets of limits, answers to commands, and those kept."""
    if target == "client":
        from . import answers

        found = answers.seeds()
        found += [bytes([number % len(answers.ANSWERS)]) + octets for number, octets in enumerate(quirks())]
    else:
        found = [limits + octets for octets in quirks() for limits in (b"\0", b"\1")]
    found += map(ast.literal_eval, kept(target).read_text("ascii").splitlines())
    return found


def main(arguments: list[str]) -> None:
    target = arguments[0]
    if arguments[1] == "--from":
        inputs = (path.read_bytes() for path in Path(arguments[2]).iterdir())
        new = {octets for octets in inputs if len(octets) <= _SIZE} - set(seeds(target))
        with kept(target).open("a", encoding="ascii") as file:
            file.writelines(f"{octets!r}\n" for octets in sorted(new, key=lambda octets: (len(octets), octets)))
        return
    directory = Path(arguments[1])
    directory.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds(target)):
        (directory / f"seed-{number:04}").write_bytes(octets)


if __name__ == "__main__":
    main(sys.argv[1:])
