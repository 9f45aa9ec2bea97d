"""What a linter of workflows does not ask for: a time limit for every job, and no address of a package index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import PROJECT

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_end_and_actions_are_pinned(path: Path) -> None:
    text = path.read_text("utf-8")
    jobs = re.split(r"^  (?=[\w-]+:\n)", text.partition("\njobs:\n")[2], flags=re.MULTILINE)[1:]
    assert jobs
    for job in jobs:
        assert re.search(r"^    timeout-minutes: \d+$", job, re.MULTILINE), job.partition("\n")[0]
    for used in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", used)
    assert re.search(r"^permissions:", text, re.MULTILINE)


def test_only_the_jobs_that_publish_have_an_identity() -> None:
    for path in WORKFLOWS:
        text = path.read_text("utf-8")
        jobs = re.split(r"^  (?=[\w-]+:\n)", text.partition("\njobs:\n")[2], flags=re.MULTILINE)[1:]
        names = {job.partition(":")[0] for job in jobs if "id-token: write" in job}
        assert names <= {"publish", "rehearse", "deploy"}
        assert "id-token" not in text.partition("\njobs:\n")[0]
