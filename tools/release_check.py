"""Holds version, changelog, tag and metadata together: python -m tools.release_check [--tag v1.2.3]

Without a tag (of the commit, or given), what only a release needs may be missing: the address of the repository, and a
section of the changelog for the version.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from email import message_from_string
from email.message import Message
from pathlib import Path

from tools.changelog import fragments
from tools.changelog import problems as fit

PROJECT = Path(__file__).resolve().parents[1]
METADATA = (
    "import sys; from setuptools import build_meta; print(build_meta.prepare_metadata_for_build_wheel(sys.argv[1]))"
)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def sections(changelog: str) -> dict[str, str]:
    """Return the sections of a changelog by their headings, newest first."""
    parts = re.split(r"^## (.+)\n", changelog, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def problems(
    version: str,
    changelog: str,
    repository: str,
    metadata: Message,
    tag: str,
    waiting: Mapping[Path, str] | None = None,
) -> list[str]:
    """Return what does not agree, in sentences."""
    found = fit(dict(waiting or {}))
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [f"__version__ is {version!r}: three numbers are expected"]
    parts = sections(changelog)
    released = [heading for heading in parts if heading != "Unreleased"]
    versions = [heading.partition(" ")[0] for heading in released]
    if versions != sorted(versions, key=numbers, reverse=True):
        found.append("CHANGELOG.md: the newest version does not come first")
    if versions and numbers(version) < numbers(versions[0]):
        found.append(f"__version__ is {version}, the changelog has {versions[0]} already")
    if metadata["Version"] != version:
        found.append(f"the metadata says version {metadata['Version']}, __version__ is {version}")
    body = str(metadata.get_payload())
    expected = ("Summary", "Author", "License-Expression", "Requires-Python", "Keywords")
    found += [f"the metadata has no {name}" for name in expected if not metadata[name]]
    found += [
        f"the description has a link that leads nowhere on an index: {target}"
        for target in re.findall(r"\]\(([^)\s]+)\)", body)
        if not re.match(r"https://|#", target)
    ]
    if repository and not re.fullmatch(r"https://[^/]+/[^/]+/[^/]+", repository):
        found.append(f"tool.fastimap.repository in pyproject.toml is {repository!r}: expected https://host/owner/name")
    if bool(repository) != bool(metadata.get_all("Project-URL")):
        found.append("the metadata has addresses, and pyproject.toml no repository, or the reverse")
    if tag:
        if tag != f"v{version}":
            found.append(f"the tag is {tag}, the version {version}")
        if version not in versions:
            found.append(f"CHANGELOG.md has no section ## {version}")
        if parts.get("Unreleased", "").strip():
            found.append("CHANGELOG.md still has what is Unreleased")
        if waiting:
            found.append(f"changes/ still has fragments: python -m tools.changelog {version}")
        if not repository:
            found.append("tool.fastimap.repository in pyproject.toml is not set")
    return found


def built_metadata() -> Message:
    """Return the metadata that a wheel would have."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "FASTIMAP_NO_EXTENSION": "1"}
        command = [sys.executable, "-c", METADATA, directory]
        made = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            sys.exit(f"release-check: no metadata:\n{made.stderr}")
        (file,) = Path(directory).rglob("METADATA")
        return message_from_string(file.read_text("utf-8"))


def tag_here() -> str:
    """Return the tag that a workflow runs for, or that is on this commit, or ""."""
    if os.environ.get("GITHUB_REF_TYPE") == "tag":
        return os.environ["GITHUB_REF_NAME"]
    command = ["git", "describe", "--exact-match", "--tags", "--match", "v[0-9]*"]
    described = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    return described.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tag", help="as if this were the tag of the commit")
    arguments = parser.parse_args()
    tag = tag_here() if arguments.tag is None else arguments.tag
    source = (PROJECT / "src" / "fastimap" / "__init__.py").read_text("utf-8")
    versions = re.findall(r'^__version__ = "(.+)"', source, re.MULTILINE)
    with open(PROJECT / "pyproject.toml", "rb") as file:
        repository = tomllib.load(file)["tool"]["fastimap"]["repository"]
    changelog = (PROJECT / "CHANGELOG.md").read_text("utf-8")
    waiting = fragments(PROJECT / "changes")
    found = problems(versions[0], changelog, repository, built_metadata(), tag, waiting)
    for problem in found:
        print("release-check:", problem, file=sys.stderr)
    if not found:
        print(f"release-check: {versions[0]}, {f'tag {tag}' if tag else 'no tag'}: in agreement")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
