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
from glob import glob

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


setup(ext_modules=extensions())
