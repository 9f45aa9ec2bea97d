"""Builds the Cython parser; everything else stands in pyproject.toml.

Switches, all environment variables set to 1:

FASTIMAP_NO_EXTENSION       no extension: a pure-Python wheel
FASTIMAP_REQUIRE_EXTENSION  an extension that does not build is an error (set wherever wheels are built);
                            without it the build goes on, and the pure-Python parser is used
FASTIMAP_DEBUG              no optimisation, debug symbols, C assertions
FASTIMAP_SANITIZE           AddressSanitizer and UndefinedBehaviorSanitizer
FASTIMAP_TRACE              line tracing, for coverage of the Cython code
"""

import os
import re
import tomllib
from glob import glob
from pathlib import Path

from setuptools import Extension, setup


def on(switch: str) -> bool:
    return os.environ.get(f"FASTIMAP_{switch}", "") not in ("", "0")


def extensions() -> list[Extension]:
    if on("NO_EXTENSION"):
        print("fastimap: pure Python, the extension is switched off")
        return []
    from Cython.Build import cythonize

    compile_args, link_args = [], []
    if os.name == "posix":
        compile_args = ["-O0", "-g3", "-UNDEBUG"] if on("DEBUG") else ["-O3"]
        if on("SANITIZE"):
            compile_args += [
                "-g",
                "-fno-omit-frame-pointer",
                "-fsanitize=address,undefined",
                "-fno-sanitize-recover=undefined",
            ]
            link_args += ["-fsanitize=address,undefined"]
    extension = Extension(
        "fastimap._parser",
        ["src/fastimap/_parser.pyx"],
        depends=sorted(glob("src/fastimap/_parser_pyx/*.pxi")),
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=[("CYTHON_TRACE", "1")] if on("TRACE") else [],
        optional=not on("REQUIRE_EXTENSION"),
    )
    print("fastimap: with the extension" + ("" if extension.optional else ", which is required"))
    (built,) = cythonize([extension], build_dir="build", compiler_directives={"linetrace": on("TRACE")})
    built.optional = extension.optional  # cythonize() makes a new object, without it
    return [built]


def repository() -> str:
    """Return the address of the repository, which pyproject.toml has, or "" before there is one."""
    with open("pyproject.toml", "rb") as file:
        address: str = tomllib.load(file)["tool"]["fastimap"]["repository"]
    return address.rstrip("/")


def description(address: str, tag: str) -> str:
    """Return the README as a package index can show it: with links and pictures that lead to the repository.

    Without an address they are left out, the words of the links stay.
    """

    def absolute(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if re.match(r"https?:|mailto:|#", target):
            return found[0]
        if not address:
            return "" if picture else words
        return f"{picture}[{words}]({address}/{'raw' if picture else 'blob'}/{tag}/{target})"

    return re.sub(r"(!?)\[([^]]*)\]\(([^)\s]+)\)", absolute, Path("README.md").read_text("utf-8"))


def urls(address: str, tag: str) -> dict[str, str]:
    if not address:
        return {}
    return {
        "Source": address,
        "Documentation": f"{address}/tree/{tag}/docs",
        "Changelog": f"{address}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{address}/issues",
        "Security": f"{address}/security/policy",
    }


def version() -> str:
    found = re.search(r'^__version__ = "(.+)"', Path("src/fastimap/__init__.py").read_text("utf-8"), re.MULTILINE)
    assert found
    return found[1]


setup(
    ext_modules=extensions(),
    long_description=description(repository(), f"v{version()}"),
    long_description_content_type="text/markdown",
    project_urls=urls(repository(), f"v{version()}"),
)
