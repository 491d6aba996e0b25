# `make demo` and `make test` need nothing but Python 3.11: each does its own set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check lint types imports generated versions proto fuzz mutants lock bench clean help

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## a real fault on this machine, from detection to the terminal (ARGS=--live runs the approved plan)
	$(BIN)/sentinel demo $(ARGS)

test: $(VENV)/.dev ## the whole test suite, without a network where the kernel allows (ARGS=... goes to pytest)
	$(if $(ARGS),,tests/halves) tests/offline $(BIN)/python -m pytest $(ARGS)

check: test lint types imports generated ## everything that CI runs

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.dev ## which room may import which
	$(BIN)/lint-imports

generated: $(VENV)/.dev ## what is generated is what is checked in
	$(MAKE) --no-print-directory proto
	$(BIN)/python -m tests.generated --check
	git diff --exit-code -- sentinel/pb README.md DESIGN.md docs

versions: $(VENV)/.dev ## the terminal's tests against the oldest Textual that pyproject.toml allows
	PYTHON=$(BIN)/python tests/versions

proto: $(VENV)/.dev ## the generated protobuf code
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=. --pyi_out=. proto/sentinel/pb/*.proto

bench: $(VENV)/.dev ## every measurement, as ratios against a named peer or floor
	$(BIN)/python -m bench

fuzz: $(VENV)/.dev ## coverage-guided fuzzing of the verdict (ARGS=-max_total_time=600; wants atheris in the environment)
	$(BIN)/python -m tests.fuzz.judge $(ARGS)

mutants: $(VENV)/.dev ## mutation testing of sentinel/policy (ARGS="--each 60 --minutes 30")
	$(BIN)/python -m tests.mutation.run $(ARGS)

lock: $(VENV)/.dev ## new lock files from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra postgres --extra build -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra dev -o requirements-dev.lock
	sed -n 's/.*"textual>=\([0-9.]*\),.*/textual==\1/p' pyproject.toml | $(BIN)/uv pip compile - --quiet --no-deps --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 -o requirements-oldest.lock

clean: ## remove what the targets above made
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sentinel needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

# Tests start hundreds of programs: none need compile ours anew where Python may write no bytecode.
$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q sentinel
	touch $@ $(VENV)/.runtime
