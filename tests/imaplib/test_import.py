"""What importing the drop-in imports: a short program pays for it at each start."""

from __future__ import annotations

import subprocess
import sys

from fastimap import IMPLEMENTATION

# Of what it needs only sometimes, or not at all.
LEFT_OUT = {"asyncio", "dataclasses", "email", "hmac", "inspect", "logging", "fastimap.clients", "fastimap.errors"}
# What the parser in Python needs at once.
OF_THE_EXTENSION = {"typing", "fastimap.model.message"}


def imported_by(program: str) -> set[str]:
    # -S: what the site's packages import is not the drop-in's.
    path = [entry for entry in sys.path if entry]
    program = (
        f"import sys; sys.path[:] = {path!r}; before = set(sys.modules); {program}; print(*{{*sys.modules}} - before)"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_it_imports_little_beside_what_imaplib_does() -> None:
    imported = imported_by("import fastimap.imaplib") - imported_by("import imaplib")
    assert "fastimap.imaplib" in imported
    left_out = LEFT_OUT | OF_THE_EXTENSION if IMPLEMENTATION == "c" else LEFT_OUT
    assert not left_out & imported


def test_the_types_of_envelopes_come_with_the_first_row() -> None:
    program = (
        "from fastimap.parser import fetch; "
        "row = fetch([b'* 1 FETCH (ENVELOPE (NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL))']); "
        "assert row.envelope.subject == 'x', row"
    )
    assert "fastimap.model.message" in imported_by(program)


def test_errors_are_found_where_all_of_them_are() -> None:
    import pickle

    from fastimap import errors

    for name in errors.__all__:
        kind = getattr(errors, name)
        assert kind.__module__ == "fastimap.errors", name
        assert pickle.loads(pickle.dumps(kind)) is kind
