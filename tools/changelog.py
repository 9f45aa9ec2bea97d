"""The changelog's fragments, a file each in changes/: python -m tools.changelog 1.2.0

With a version, a release's section is made of what is Unreleased and of all fragments, which are removed. With
``--since COMMIT``, a change of src/ that has no fragment is a mistake; so is a fragment that is not fit to be printed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
WIDTH = 125


def fragments(directory: Path) -> dict[Path, str]:
    """Return the fragments, by their files, in the order of their names."""
    files = sorted(path for path in directory.glob("*") if path.name != "README.md")
    return {path: path.read_text("utf-8") for path in files}


def problems(found: dict[Path, str]) -> list[str]:
    """Return what keeps fragments from being printed, in sentences."""
    said = []
    for path, text in found.items():
        name = f"changes/{path.name}"
        if not re.fullmatch(r"[a-z0-9-]+\.md", path.name):
            said.append(f"{name}: the name is to be of small letters, digits and -, and end in .md")
        if not text.strip().endswith("."):
            said.append(f"{name}: expected sentences that end")
        if re.match(r"\s*[-*#]", text) or "\n\n" in text.strip():
            said.append(f"{name}: expected one paragraph, without the mark of a list or a heading")
    return said


def assembled(changelog: str, found: dict[Path, str], version: str, today: str) -> str:
    """Return the changelog with a section of a version, made of what is Unreleased and of the fragments."""
    head, unreleased, rest = re.fullmatch(
        r"(.*?)(?:^## Unreleased\n(.*?))?(^## \d.*|\Z)", changelog, re.MULTILINE | re.DOTALL
    ).groups("")  # type: ignore[union-attr]
    entries = [
        textwrap.fill(
            " ".join(text.split()), WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
        for text in found.values()
    ]
    body = "\n".join(filter(None, [unreleased.strip(), *entries]))
    return f"{head.rstrip()}\n\n## {version} ({today})\n\n{body}\n\n{rest}".rstrip() + "\n"


def without_a_word(changed: list[str]) -> bool:
    """Whether these files of a change have the library's sources, and neither a fragment nor the changelog."""
    sources = any(name.startswith("src/") for name in changed)
    return sources and not any(re.match(r"changes/(?!README)|CHANGELOG\.md", name) for name in changed)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("version", nargs="?", help="make its section")
    parser.add_argument("--since", metavar="COMMIT", help="the change that is looked at begins after it")
    arguments = parser.parse_args()
    found = fragments(PROJECT / "changes")
    said = problems(found)
    if arguments.since:
        command = ["git", "diff", "--name-only", f"{arguments.since}...HEAD"]
        changed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
        if without_a_word(changed):
            said.append("src/ is changed: say in a file of changes/ what users see, or that they see nothing")
    for sentence in said:
        print("changelog:", sentence, file=sys.stderr)
    if said:
        return 1
    if arguments.version:
        path = PROJECT / "CHANGELOG.md"
        today = datetime.now(UTC).date().isoformat()
        path.write_text(assembled(path.read_text("utf-8"), found, arguments.version, today), "utf-8")
        for fragment in found:
            fragment.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
