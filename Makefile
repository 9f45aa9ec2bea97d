# Each target works alone on a fresh machine with Python 3.11 or later. With a C compiler the parser is built in C;
# without one the pure-Python parser is installed.
#
#   make test      the tests, against real servers where they can be had (PYTEST_ARGS="-k reader" is handed on)
#   make demo      fetch a few thousand messages with the standard library's imaplib and with fastimap
#   make lint      ruff, mypy, cython-lint, the layers
#   make bench     the benchmarks
#   make wheels    what is published: the sdist and the wheels
#   make fuzz      atheris on a sanitizer build of the parser, 200,000 runs (RUNS=... for more)
#   make cuts      connections to a real Dovecot that are cut anywhere, 1,000 runs of each kind (RUNS=... SEED=...)
#   make coverage  the line coverage of the Cython code, from a traced build
#   make clean     remove what the other targets made and downloaded

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := $(wildcard setup.py pyproject.toml MANIFEST.in README.md) $(shell find src \( -name '*.py' -o -name '*.pyx' -o -name '*.pxi' \))

.PHONY: test demo lint bench wheels fuzz cuts coverage clean
.DELETE_ON_ERROR:

test: $(VENV)/test.stamp
	tools/install-test-servers
	@if $(BIN)/python -c 'import fastimap._parser' 2>/dev/null; then \
	    echo 'parsers to test: c, py'; \
	elif [ -n "$$CI" ] && [ -z "$$FASTIMAP_NO_EXTENSION" ]; then \
	    echo 'the extension was not built: in CI that is a failure' >&2; exit 1; \
	else \
	    echo 'parsers to test: py ALONE, the extension was not built (is there a C compiler, are there the headers of Python?)' >&2; \
	    export FASTIMAP_NO_EXTENSION=1; \
	fi; \
	$(BIN)/python -m pytest $(PYTEST_ARGS)

demo: $(VENV)/demo.stamp
	$(BIN)/python -m fastimap demo

lint: $(VENV)/lint.stamp $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=src $(BIN)/python tools/generate_methods.py --check
	$(BIN)/mypy --strict src tests benchmarks tools
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint src/fastimap/_parser.pyx src/fastimap/_parser_pyx
	$(BIN)/python -m pytest -q tests/test_layering.py

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks --picture docs/speed.svg

wheels: $(VENV)/build.stamp
	rm -rf dist
	@if docker info >/dev/null 2>&1; then \
	    echo 'wheels: docker is here: cibuildwheel builds for every supported Python'; \
	    $(PIP) install -q cibuildwheel && $(BIN)/python -m build --sdist --outdir dist && \
	    $(BIN)/python -m cibuildwheel --platform linux --output-dir dist dist/*.tar.gz; \
	else \
	    echo 'wheels: no docker: the sdist, and a wheel for this Python on this machine'; \
	    FASTIMAP_REQUIRE_EXTENSION=1 $(BIN)/python -m build --outdir dist; \
	fi
	@echo 'wheels: the pure-Python wheel'
	FASTIMAP_NO_EXTENSION=1 $(BIN)/python -m build --wheel --outdir dist
	@ls -l dist

fuzz:
	tools/fuzz

cuts: $(VENV)/test.stamp
	tools/install-test-servers
	$(BIN)/python -m tests.sessions.cuts --runs $(or $(RUNS),1000) --seed $(or $(SEED),1)

coverage: $(VENV)/test.stamp
	$(BIN)/python tools/cython_coverage.py

clean:
	rm -rf $(VENV) .cache build dist src/*.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find src tests benchmarks tools \( -name __pycache__ -o -name '*.so' \) -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/build.stamp: $(BIN)/python
	$(PIP) install -q build
	touch $@

# The tests run on what a user installs: the wheel that is built from the sdist.
$(VENV)/wheel.stamp: $(VENV)/build.stamp $(SOURCES)
	rm -rf $(VENV)/dist
	$(BIN)/python -m build --outdir $(VENV)/dist >$(VENV)/build.log 2>&1 || { cat $(VENV)/build.log >&2; exit 1; }
	$(PIP) install -q --force-reinstall --no-deps $(VENV)/dist/*.whl
	touch $@

$(VENV)/%.stamp: $(VENV)/wheel.stamp
	wheel=$$(echo $(VENV)/dist/*.whl) && $(PIP) install -q "$$wheel[$*]"
	touch $@
