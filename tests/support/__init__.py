"""What the tests need from outside the project: where it is kept, and what is raised when it can't be had."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".cache"

IMPLEMENTATIONS = ["py"] if os.environ.get("FASTIMAP_NO_EXTENSION", "") not in ("", "0") else ["c", "py"]
"""The implementations of the parser to test; FASTIMAP_NO_EXTENSION says that there is only the Python one."""


READERS = {"c": "fastimap._parser", "py": "fastimap._parser_py"}
"""The module of each implementation."""


class Unavailable(Exception):
    """Something that tests need from outside can't be had here; the text says what, why, and how to get it."""
