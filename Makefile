# Each target does its own set-up: a virtual environment with the locked packages, nothing else on the machine.
# A stamp is written when an install has ended, so an interrupted one is done again and a finished one costs nothing.
PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV   := .venv
BIN    := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Tests start hundreds of processes, each of which would else compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-fast chaos fuzz bench lint format migration lock clean

help:
	@echo "make demo        run the whole service on a sample newsroom, nothing to configure"
	@echo "make test        run all tests; ARGS='-k digest' picks some"
	@echo "make test-fast   in under a minute: on the embedded database alone, without what is slow"
	@echo "make chaos       kill workers, servers and connections for some minutes; SCALE=5 says how much, SEED=1 chooses which"
	@echo "make bench       measure what is promised of speed, side by side; ARGS='--only smtp --scale 0.1' picks some, made smaller"
	@echo "make fuzz        feed the importer with broken documents for some minutes; EXAMPLES=2000 says how many"
	@echo "make lint        check style and types; make format mends what can be mended"
	@echo "make migration   write a revision for changed tables: NAME='adds a colour to lists'"
	@echo "make lock        choose the packages' versions anew"
	@echo "make clean       remove what these targets made"

demo: $(VENV)/.runtime
	$(BIN)/newsletter demo $(ARGS)

# One process per core, each with servers of its own; ARGS="-n 0" for one alone, as a debugger wants it.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test: $(VENV)/.dev
	$(PYTEST) $(ARGS)

test-fast: $(VENV)/.dev
	$(PYTEST) -m "not slow" $(ARGS)

# The same scenarios, but one, run in `make test`, with SCALE=1 and SEED=1.
chaos: $(VENV)/.dev
	NEWSLETTER_TEST_CHAOS_SCALE=$(or $(SCALE),5) NEWSLETTER_TEST_CHAOS_SEED=$(or $(SEED),$(shell date +%s)) \
		$(PYTEST) tests/chaos $(ARGS)

# On a quiet machine; ARGS=--publish puts the table and the picture into docs/performance.md.
bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks $(ARGS)

# Forty examples of each run in `make test`; here as many as fill minutes.
fuzz: $(VENV)/.dev
	NEWSLETTER_TEST_FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest tests/ingest/test_fuzz_readers.py \
		tests/services/test_fuzz_imports.py $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

migration: $(VENV)/.dev
	$(BIN)/python -m newsletter.storage.migrations.new "$(NAME)"
	$(BIN)/ruff check --quiet --fix newsletter/storage/migrations
	$(BIN)/ruff format --quiet newsletter/storage/migrations

# The lock files keep the versions they have unless pyproject.toml asks for others; delete one to choose all anew.
# build: what installing needs, so that nothing unlocked is fetched on the way; dev: all together, in the versions of the other two.
COMPILE := .cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

lock:
	$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(COMPILE) --group build --output-file requirements-build.lock
	$(COMPILE) --group dev --constraint requirements.lock --constraint requirements-build.lock \
		--output-file requirements-dev.lock pyproject.toml

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "this needs Python 3.11; name one: make PYTHON=...")'
	$(PYTHON) -m venv --clear $(VENV)
	touch $@

$(VENV)/.runtime: $(VENV)/.made requirements.lock requirements-build.lock pyproject.toml
	$(INSTALL) --require-hashes -r requirements-build.lock
	$(INSTALL) --require-hashes --no-build-isolation -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	$(INSTALL) --require-hashes --no-build-isolation -r requirements-dev.lock
	touch $@

clean:
	rm -rf $(VENV) .cache dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
