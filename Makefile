# Each target works alone on a fresh machine with Python 3.11 or later. With a C compiler the parser is built in C;
# without one the pure-Python parser is used. All but `make wheels` and `make test-wheel` work on src/ as it stands: the
# extension is built in place when its sources changed, and nothing is built for a change of Python code.
#
#   make check       the loop of a minute: ruff, mypy on src, the fast tests on both parsers
#   make test        all tests, against real servers where they are available
#   make test-wheel  the fast tests on what a user installs: the wheel that is built from the sdist
#   make test-newest  the fast tests on the newest CPython that Debian carries
#   make test-elsewhere  what the wheels of every platform are tested with, without poll, fork, memfd_create and Unix sockets
#   make lint        ruff, mypy, pyright, cython-lint, codespell, actionlint, zizmor, the layers
#   make demo        fetch a few thousand messages with the standard library's imaplib and with fastimap
#   make bench       the table of all clients beside imaplib, and the picture of it, in ten minutes
#   make bench-large  all benchmarks: growth, memory, parse alone, migrations, the archive, pools
#   make volume      pulls of 100,000 and of 1,000,000 messages: time and memory
#   make instructions  what the hot paths take, counted: a failure where one grew by more than 8 % since the base
#   make wheels      what is published: the sdist, a wheel for each CPython of this machine, the pure one; each is tested
#   make docs        the site, in build/site; a dead link is an error
#   make docs-test   the site is read in a headless Chromium: no errors, no dead link, the search finds; screenshots to look at
#   make release-check  version, changelog, tag and metadata agree
#   make fuzz        atheris on a sanitizer build of the parser, 200,000 runs
#   make kills       follow in programs that are killed while mail arrives, 500 times, by one worker and by three
#   make oddities    follow on a mailbox about which the server is wrong in many ways, 10,000 rounds
#   make cuts        connections to a real Dovecot and a Cyrus that are cut anywhere, 1,000 runs of each kind
#   make crash       pulls, pushes and migrations that are killed anywhere: is everything there exactly once?
#   make coverage    the line coverage of the Cython code, from a traced build
#   make clean       remove what the other targets made and downloaded
#
#   PYTEST_ARGS="-k reader"       handed on to pytest
#   WORKERS=2                     pytest's processes; 0: one after the other, in this one
#   HYPOTHESIS_PROFILE=release    dev, ci or release: how long the property tests go on (tests/support/effort.py)
#   RUNS=1000000 SEED=1           of make fuzz, cuts, crash, kills, oddities

# The tests start thousands of processes of Python, each of which would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
EXTENSION := setup.py $(shell find src \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' \))
SOURCES := setup.py pyproject.toml MANIFEST.in README.md $(EXTENSION) $(shell find src -name '*.py')
CORES := $(shell getconf _NPROCESSORS_ONLN)
# All the tests together wait about as long as they work; the fast ones work.
WORKERS ?= $(shell echo $$((2 * $(CORES))))
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder
ALONE := not server and not hostile and not foreign
FAST := not slow and $(ALONE)

.PHONY: check test test-wheel test-newest test-elsewhere lint demo bench bench-large instructions volume wheels docs docs-test release-check fuzz cuts crash kills oddities coverage clean
.DELETE_ON_ERROR:

check: $(VENV)/dev.stamp $(VENV)/extension.stamp
	$(BIN)/ruff check -q .
	$(BIN)/ruff format --check -q .
	$(BIN)/python tools/generate_methods.py --check
	$(BIN)/mypy --strict src
	@$(parsers); HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-dev} $(PYTEST) -n $(CORES) -q -m '$(FAST)' \
	    --ignore tests/hostile --ignore tests/servers --ignore tests/foreign $(PYTEST_ARGS)

# The hostile scenarios begin at once, in one of pytest's processes, which starts workers of its own.
test: $(VENV)/dev.stamp $(VENV)/extension.stamp
	tools/install-test-servers
	@$(parsers); HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(PYTEST) $(PYTEST_ARGS)

test-wheel: $(VENV)/wheel.stamp
	HYPOTHESIS_PROFILE=dev $(VENV)/wheel/bin/python -m pytest -n $(WORKERS) --dist loadgroup -q -m '$(ALONE)' \
	    --ignore tests/hostile --ignore tests/servers --ignore tests/foreign $(PYTEST_ARGS)

test-newest: $(VENV)/dev.stamp $(VENV)/extension.stamp
	$(BIN)/python -m tools.test_newest -n $(CORES) --dist loadgroup $(PYTEST_ARGS)

test-elsewhere: $(VENV)/dev.stamp $(VENV)/extension.stamp
	HYPOTHESIS_PROFILE=dev $(PYTEST) -q -p tests.support.elsewhere -m 'not slow and not server' \
	    $(addprefix tests/,parser decode encode message sasl commands protocol imaplib client) $(PYTEST_ARGS)

lint: $(VENV)/dev.stamp $(VENV)/extension.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/generate_methods.py --check
	$(BIN)/mypy --strict src tests benchmarks tools examples
	$(BIN)/mypy --strict --platform win32 src
	$(BIN)/mypy --strict --platform darwin src
	$(BIN)/python tools/check_types.py
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint src/fastimap/_parser.pyx src/fastimap/_parser_pyx
	$(BIN)/codespell src tests benchmarks tools docs examples .github *.md
	$(BIN)/python tools/check_workflows.py
	$(BIN)/python -m pytest -q tests/test_layering.py

demo: what-demo-does $(VENV)/dev.stamp $(VENV)/extension.stamp
	$(BIN)/python -m fastimap demo

.PHONY: what-demo-does
what-demo-does:
	@echo 'demo: the same 2,000 messages, fetched by the standard library and by fastimap from a server on this machine.'
	@echo 'demo: then all of them are pulled into a Maildir, by a run that is interrupted half way and one that goes on.'
	@echo 'demo: nothing leaves this machine. The first time, an environment and the parser are built before, which takes a minute or two.'

bench: $(VENV)/dev.stamp $(VENV)/bench.stamp $(VENV)/extension.stamp
	tools/install-test-servers
	$(BIN)/python -m pytest -q benchmarks --benchmark-quiet --picture docs/speed.svg $(PYTEST_ARGS)

bench-large: $(VENV)/dev.stamp $(VENV)/bench.stamp $(VENV)/extension.stamp
	tools/install-test-servers
	tools/install-valgrind
	$(BIN)/python -m benchmarks

volume: $(VENV)/dev.stamp $(VENV)/extension.stamp
	$(BIN)/python -m benchmarks.volume

instructions: $(VENV)/dev.stamp $(VENV)/extension.stamp
	tools/install-valgrind
	$(BIN)/python -m benchmarks.instructions --most 1.08 --client drop-in --client Client \
	    --client "drop-in, Python" --client "Client, Python" \
	    --only noop --only message --only "noop, TLS" --only "message, TLS" --only a --only b --only d

# For CPythons that are not on this machine, and other platforms: `python -m cibuildwheel`, which needs docker.
wheels: $(VENV)/release.stamp
	$(BIN)/python -m tools.build_wheels --output dist

docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'docs: build/site/index.html'

docs-test: docs
	tools/install-chromium
	$(BIN)/python -m tools.browse_site

release-check: $(VENV)/dev.stamp
	$(BIN)/python -m tools.release_check

fuzz:
	tools/fuzz

cuts: $(VENV)/dev.stamp $(VENV)/extension.stamp
	tools/install-test-servers
	$(BIN)/python -m tests.sessions.cuts --runs $(or $(RUNS),1000) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.sessions.cut_writes --runs $(or $(RUNS),1000) --seed $(or $(SEED),1)

crash: $(VENV)/dev.stamp $(VENV)/extension.stamp
	tools/install-test-servers
	$(BIN)/python -m tests.archive.crashes --runs $(or $(RUNS),600) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.archive.crash_moves --runs $(or $(RUNS),400) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.archive.crash_many --runs $(or $(RUNS),60) --seed $(or $(SEED),1)

kills: $(VENV)/dev.stamp $(VENV)/extension.stamp
	tools/install-test-servers
	$(BIN)/python -m tests.sessions.kills --runs $(or $(RUNS),500) --seed $(or $(SEED),1)
	$(BIN)/python -m tests.sessions.kills --runs $(or $(RUNS),500) --seed $(or $(SEED),1) --workers 3

oddities: $(VENV)/dev.stamp $(VENV)/extension.stamp
	$(BIN)/python -m tests.sessions.oddities --runs $(or $(RUNS),10000) --seed $(or $(SEED),1)

coverage: $(VENV)/dev.stamp
	$(BIN)/python tools/cython_coverage.py

clean:
	rm -rf $(VENV) .cache build dist src/*.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find src tests benchmarks tools \( -name __pycache__ -o -name '*.so' \) -prune -exec rm -rf {} +

# Which parsers there are to test. One that is missing is a failure in CI.
define parsers
if $(BIN)/python -c 'import fastimap._parser' 2>/dev/null; then \
    echo 'parsers to test: c, py'; \
elif [ -n "$$CI" ] && [ -z "$$FASTIMAP_NO_EXTENSION" ]; then \
    echo 'the extension was not built: in CI that is a failure' >&2; exit 1; \
else \
    echo 'parsers to test: py ALONE, the extension was not built (is there a C compiler, are there the headers of Python?)' >&2; \
    export FASTIMAP_NO_EXTENSION=1; \
fi
endef

# `make PYTHON=...` after another Python makes the environment anew.
ifeq ($(origin PYTHON),command line)
wanted := $(shell $(PYTHON) -c 'import sys; print(sys.version)')
ifneq ($(wanted),)
ifneq ($(wanted),$(shell [ ! -x $(BIN)/python ] || $(BIN)/python -c 'import sys; print(sys.version)'))
$(shell rm -rf $(VENV))
endif
endif
endif

$(BIN)/python:
	@echo 'fastimap: making an environment for Python in $(VENV)'
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# The package as it stands in src/, with what develops it.
$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	@echo 'installing what develops and tests fastimap into $(VENV) ...'
	$(PIP) install -q build 'cython>=3.1' 'setuptools>=77'
	FASTIMAP_NO_EXTENSION=1 $(PIP) install -q --no-build-isolation -e '.[test,lint,demo,peers,oauth]'
	touch $@

$(VENV)/docs.stamp: $(VENV)/dev.stamp
	FASTIMAP_NO_EXTENSION=1 $(PIP) install -q --no-build-isolation -e '.[docs]'
	touch $@

$(VENV)/release.stamp: $(VENV)/dev.stamp
	FASTIMAP_NO_EXTENSION=1 $(PIP) install -q --no-build-isolation -e '.[release]'
	touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	FASTIMAP_NO_EXTENSION=1 $(PIP) install -q --no-build-isolation -e '.[bench]'
	touch $@

$(VENV)/extension.stamp: $(EXTENSION) | $(VENV)/dev.stamp
	@echo 'building the extension in place ...'
	@$(BIN)/python setup.py -q build_ext --inplace >$(VENV)/build.log 2>&1 || { cat $(VENV)/build.log >&2; exit 1; }
	touch $@

$(VENV)/wheel.stamp: $(VENV)/dev.stamp $(SOURCES)
	@echo 'building the sdist, and the wheel from it ...'
	rm -rf $(VENV)/dist
	$(BIN)/python -m build --outdir $(VENV)/dist >$(VENV)/wheel.log 2>&1 || { cat $(VENV)/wheel.log >&2; exit 1; }
	[ -x $(VENV)/wheel/bin/python ] || $(PYTHON) -m venv $(VENV)/wheel
	wheel=$$(echo $(VENV)/dist/*.whl) && $(VENV)/wheel/bin/python -m pip --disable-pip-version-check install -q "$$wheel[test]"
	$(VENV)/wheel/bin/python -m pip --disable-pip-version-check install -q --force-reinstall --no-deps $(VENV)/dist/*.whl
	touch $@
