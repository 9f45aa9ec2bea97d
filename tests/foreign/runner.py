"""Run other people's tests with one module in the place of `imaplib`; print each test's outcome as JSON.

A program of its own, because the module must be swapped before anything imports it, and because the interpreter may
be another one than that of the tests:

    python runner.py MODULE cpython [TEST_IMAPLIB_PY]   test.test_imaplib of the interpreter, or the one at the path
    python runner.py MODULE discover DIRECTORY          the package `tests` in the directory
    python runner.py MODULE livetest CONFIGURATION      IMAPClient's tests against a real server
"""

import contextlib
import importlib
import importlib.util
import json
import ssl
import sys
import traceback
import unittest
from collections.abc import Callable, Iterator
from types import ModuleType
from unittest import mock


class Outcomes(unittest.TestResult):
    """The outcome of each test by its name: "ok", "skipped: why", or a traceback (of subtests, the last one)."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: dict[str, str] = {}

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 (unittest's name, as those below)
        """Take the test for good until something else is heard."""
        super().startTest(test)
        self._note(test, "ok")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        """Note a skip."""
        self._note(test, f"skipped: {reason}")

    def addFailure(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802
        """Note a failed assertion."""
        self._note(test, "".join(traceback.format_exception(*err)))  # type: ignore[misc]

    def addError(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802
        """Note an exception."""
        self.addFailure(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:  # noqa: N802
        """Note a failed subtest as the outcome of its test."""
        if err is not None:
            self.addFailure(test, err)

    def addExpectedFailure(self, test: unittest.TestCase, err: object) -> None:  # noqa: N802
        """Leave a test that was expected to fail, and did, as good."""

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        """Note a test that was expected to fail and didn't."""
        self._note(test, "unexpected success")

    def _note(self, test: unittest.TestCase, outcome: str) -> None:
        # Not the class in the id, where two classes that one function made have the same name.
        self.by_name[f"{type(test).__name__}.{test.id().rpartition('.')[2]}"] = outcome


def cpython(path: str | None = None) -> unittest.TestSuite:
    """Return CPython's test_imaplib: the interpreter's own, or the one at `path`, which may be of a newer CPython."""
    from test import support

    support.use_resources = {"cpu": None, "walltime": None}  # but not the network
    support.verbose = False
    name = "test.test_imaplib"
    if path is None:
        return unittest.defaultTestLoader.loadTestsFromName(name)
    _add_newer_support()
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return unittest.defaultTestLoader.loadTestsFromModule(sys.modules[name])


def _add_newer_support() -> None:
    """Give this interpreter's test.support the names that a newer test_imaplib takes from its own."""
    from test import support
    from test.support import hashlib_helper

    if not hasattr(support, "control_characters_c0"):
        support.control_characters_c0 = lambda: [*map(chr, range(0x20)), "\x7f"]
    if not hasattr(hashlib_helper, "block_algorithm"):
        hashlib_helper.block_algorithm = _without_hmac


@contextlib.contextmanager
def _without_hmac(algorithm: str) -> Iterator[None]:
    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise ValueError(f"{algorithm} is blocked")

    with mock.patch("hmac.HMAC", refuse), mock.patch("hmac.digest", refuse):
        yield


def discover(directory: str) -> unittest.TestSuite:
    """Return all tests of the package `tests` in the directory."""
    return unittest.defaultTestLoader.discover(f"{directory}/tests", top_level_dir=directory)


def livetest(configuration: str) -> unittest.TestSuite:
    """Return IMAPClient's tests against the server that the configuration file names."""
    live = importlib.import_module("imapclient.livetest")
    # Its main() makes the test classes, and then would run them.
    with mock.patch("unittest.main"), mock.patch("sys.argv", ["livetest", configuration]):
        live.main()
    return unittest.defaultTestLoader.loadTestsFromModule(sys.modules["livetests"])


SUITES: dict[str, Callable[..., unittest.TestSuite]] = {
    "cpython": cpython,
    "discover": discover,
    "livetest": livetest,
}


def swap_in(name: str) -> ModuleType:
    """Put the module of that name in the place of imaplib, with the stdlib's TLS context; return it."""
    module = importlib.import_module(name)
    if name != "imaplib":
        # CPython's suite is written for the stdlib's default, which verifies nothing.
        module._create_default_ssl_context = ssl._create_stdlib_context  # type: ignore[attr-defined]
        sys.modules["imaplib"] = module
    return module


def main(module: str, suite: str, *arguments: str) -> None:
    """Swap the module in, run the suite, print the outcomes."""
    swap_in(module)
    outcomes = Outcomes()
    with contextlib.redirect_stdout(sys.stderr):
        SUITES[suite](*arguments).run(outcomes)
    json.dump(outcomes.by_name, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
