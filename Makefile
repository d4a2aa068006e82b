# Every target sets up what it needs: a fresh clone with Python 3.11 or newer and pip is enough.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed
ADAPTERS_VENV := .venv-adapters
ADAPTERS_STAMP := $(ADAPTERS_VENV)/.installed
ADAPTERS_LIST := tests/support/adapters-requirements.txt
LOCK_VENV := .venv-lock
# Chosen by hand: figures and speeds in the documentation were measured with it.
TORCH := torch==2.13.0

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The theme's word on what may follow it, said with every build.
export NO_MKDOCS_2_WARNING := 1

.PHONY: help setup align test check bench adapters lock docs clean python browser database

help:
	@echo 'make setup   install the project and its tools into $(VENV), from requirements.lock'
	@echo 'make align   align the default model four ways and write the report'
	@echo 'make test    run the tests'
	@echo 'make check   linters, types, import layers, strict docs, tests'
	@echo 'make bench   run the benchmarks in $(BENCH_VENV)'
	@echo 'make adapters  run the tests of tasks of other packages, with those packages, in $(ADAPTERS_VENV)'
	@echo 'make docs    build the documentation into site/'
	@echo 'make lock    write requirements.lock anew with the newest versions'
	@echo 'make clean   remove environments, caches and built files (runs are kept)'

python:
	@command -v $(PYTHON) > /dev/null || { \
	  echo "$(PYTHON): not found; install Python 3.11 or newer, or name one: make setup PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), but Python 3.11 or newer is needed;" \
	    "name one: make setup PYTHON=python3.12" >&2; exit 2; }

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml | python
	@echo "==> 1/3 environment in $(VENV)"
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@echo "==> 2/3 installing $$(grep -c '==' requirements.lock) packages from requirements.lock (a minute or two, PyTorch first)"
	$(BIN)/python -m pip install --progress-bar off $(TORCH)
	$(BIN)/python -m pip install --progress-bar off -r requirements.lock
	@echo "==> 3/3 installing truing itself"
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
	@echo "==> ready: $(BIN)/truing --help"

align: setup
	$(BIN)/truing align

# Browser tests use the system's Chromium. Without one they skip and say so.
browser:
	@if ! command -v chromium chromium-browser google-chrome > /dev/null; then \
	  if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "==> installing chromium for the browser tests"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium > /dev/null; } \
	      || echo "==> chromium could not be installed; the browser tests will skip"; \
	  else echo "==> no chromium here; the browser tests will skip"; fi; fi

# Tests of the store run on PostgreSQL too, on a server that they start themselves.
database:
	@if ! ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1; then \
	  if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	    echo "==> installing postgresql for the tests of the store"; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql > /dev/null; } \
	      || echo "==> postgresql could not be installed; its tests will skip"; \
	  else echo "==> no postgresql here; its tests will skip"; fi; fi

test: setup browser database
	$(BIN)/python -m pytest

check: setup browser database
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest

docs: setup
	$(BIN)/mkdocs build --strict

bench: $(BENCH_STAMP)
	@shopt -s nullglob; scripts=(benchmarks/[!_]*.py); \
	if [ $${#scripts[@]} = 0 ]; then echo "benchmarks/: no scripts to run" >&2; exit 2; fi; \
	for script in "$${scripts[@]}"; do echo "==> $$script"; $(BENCH_VENV)/bin/python "$$script"; done

$(BENCH_STAMP): benchmarks/requirements.txt pyproject.toml | python
	@echo "==> 1/2 environment in $(BENCH_VENV)"
	@$(BENCH_VENV)/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(BENCH_VENV)
	@echo "==> 2/2 installing truing and benchmarks/requirements.txt"
	$(BENCH_VENV)/bin/python -m pip install --progress-bar off $(TORCH)
	$(BENCH_VENV)/bin/python -m pip install --progress-bar off -e . -r benchmarks/requirements.txt
	@touch $@

adapters: $(ADAPTERS_STAMP)
	$(ADAPTERS_VENV)/bin/python -m pytest -n0 -m adapters tests/tasks/adapters

$(ADAPTERS_STAMP): $(ADAPTERS_LIST) pyproject.toml | python
	@echo "==> 1/2 environment in $(ADAPTERS_VENV)"
	@$(ADAPTERS_VENV)/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(ADAPTERS_VENV)
	@echo "==> 2/2 installing truing and $(ADAPTERS_LIST)"
	$(ADAPTERS_VENV)/bin/python -m pip install --progress-bar off $(TORCH)
	$(ADAPTERS_VENV)/bin/python -m pip install --progress-bar off -e . -r $(ADAPTERS_LIST)
	@touch $@

# Local version suffixes and packages that only some machines need are left out, so that the same
# lock installs everywhere; pip still adds what a machine's own build of PyTorch asks for.
lock: python
	rm -rf $(LOCK_VENV)
	$(PYTHON) -m venv $(LOCK_VENV)
	$(LOCK_VENV)/bin/python -m pip install --progress-bar off $(TORCH)
	$(LOCK_VENV)/bin/python -m pip install --progress-bar off -e '.[dev]'
	{ echo '# Written by `make lock`: exact versions of everything, development tools included.'; \
	  $(LOCK_VENV)/bin/python -m pip list --format=freeze --exclude pip --exclude truing \
	  | sed -E 's/\+[A-Za-z0-9.]+$$//' | { grep -Eiv '^(nvidia|cuda|triton)' || true; } \
	  | LC_ALL=C sort -f; } > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -rf $(LOCK_VENV)

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(ADAPTERS_VENV) $(LOCK_VENV) build dist site src/*.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2> /dev/null || true
