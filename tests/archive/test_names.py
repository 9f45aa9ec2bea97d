"""Names that come from a server: safe on any file system, and never two for one."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastimap.archive.names import file_key, levels_of, path_key, path_of

NASTY = st.text(st.sampled_from("./\\ aA%~:*CONcurn\0\n\u202e\u00e9e\u0301ßẞ"), min_size=1, max_size=12) | st.text(
    min_size=1
)


def test_plain_names_stay_as_they_are() -> None:
    assert levels_of("Lists/python dev", "/") == ("Lists", "python dev")
    assert levels_of("Größe.2024", ".") == ("Größe", "2024")
    assert levels_of("a/b", None) == ("a%2Fb",)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("..", "%2E%2E"),
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd"),
        ("cur", "%63ur"),
        ("con.txt", "%63on.txt"),
        ("a\\b", "a%5Cb"),
        ("x.", "x%2E"),
        ("-rf", "%2Drf"),
    ],
)
def test_odd_names(name: str, path: str) -> None:
    assert "/".join(levels_of(name, "/")) == path


@given(st.lists(NASTY, unique=True, max_size=20), st.sampled_from(["/", ".", None]))
def test_paths_are_safe_and_different(names: list[str], delimiter: str | None) -> None:
    taken: dict[str, str] = {}
    for name in names:
        path = path_of(name, delimiter, taken)
        key = path_key(path)
        assert key not in taken, (name, taken[key])
        taken[key] = name
        for level in path:
            assert level not in ("", ".", "..", "cur", "new", "tmp")
            assert not set(level) & set('/\\:*?"<>|\0\n')
            assert len(level.encode()) <= 200
            assert level[0] not in ". "
            assert level[-1] not in ". "


@given(NASTY, st.sampled_from(["/", ".", None]))
def test_a_path_is_found_again(name: str, delimiter: str | None) -> None:
    path = path_of(name, delimiter, {path_key(levels_of(name, delimiter))})
    assert path_of(name, delimiter, (), {"/".join(path)}) == path


def test_keys_are_hexadecimal_and_differ() -> None:
    keys = {
        file_key("a@h", "INBOX", 1),
        file_key("a@h", "INBOX", 2),
        file_key("b@h", "INBOX", 1),
        file_key("a@h", "a", 1),
    }
    assert len(keys) == 4
    assert all(len(key) == 16 and set(key) <= set(string.hexdigits) for key in keys)
