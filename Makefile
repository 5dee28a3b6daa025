# filterd: install, run, check. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install venv run check test nightly mutants bench chaos lint lock clean

# Where it is set, pytest would compile every plugin anew in every process: seconds each.
unexport PYTHONDONTWRITEBYTECODE

# Tiers of ops/install/debian-packages.txt: `make install TIERS=run` leaves the test servers out.
TIERS ?= run test
# Arguments for `filterd demo`, for pytest: make run ARGS='...'   make check ARGS='-k dmarc'
ARGS ?=
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Test processes at once, at most.
JOBS ?= 4
SPREAD := -n auto --maxprocesses $(JOBS) --dist worksteal
# Each process has servers of its own, in folders and on ports of its own; the tests of a file share them.
SERVERS := -n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder
# Both halves of `make test` write here what they ran; the last one prints the sum.
RECORD := .venv/.filterd/test-run

help: ## this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/p' Makefile | expand -t 16

install: ## everything needed, from a fresh clone on Debian 12 (root or sudo, when packages are missing)
	@ops/install/debian.sh $(TIERS)
	@ops/install/venv.sh
	@ops/install/other-mtas.sh $(TIERS)

venv: ## .venv alone, without Debian packages and without root
	@ops/install/venv.sh

run: install ## the demo, on loopback
	$(BIN)/filterd demo $(ARGS)

lint: venv ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint ## before every commit: lint and the tests that need no server; no root, under 90 s
	$(PYTEST) $(SPREAD) -m 'not (server or database or slow or nightly)' $(ARGS)

test: install lint ## everything but nightly, with real servers; at most 15 min
	@rm -f $(RECORD)
	@status=0; export FILTERD_TEST_RECORD=$(RECORD); \
	export FILTERD_ORACLE_EXAMPLES=60; \
	echo "== tests without servers"; \
	$(PYTEST) $(SPREAD) -m 'not (server or nightly)' $(ARGS) || status=$$?; \
	echo "== tests with servers"; \
	$(PYTEST) $(SERVERS) -m 'server and not nightly' $(ARGS) || status=$$?; \
	exit $$status

nightly: test ## the long runs too
	$(PYTEST) --timeout 7200 -m nightly $(ARGS)
	FILTERD_ORACLE_EXAMPLES=1500 $(PYTEST) --timeout 7200 tests/agreement/test_ladder_oracle.py $(ARGS)
	FILTERD_FUZZ_EXAMPLES=100000 $(PYTEST) $(SPREAD) --timeout 14400 tests/fuzz $(ARGS)
	$(BIN)/python -m tests.mutation
	$(BIN)/python -m tests.corpora --write
	$(BIN)/python -m tests.bench

mutants: venv ## would a test notice? branch coverage and mutation score of the agreement; an hour; ARGS='--help' says more
	$(BIN)/python -m tests.mutation $(ARGS)

bench: install ## measure; prints numbers, judges nothing
	$(BIN)/python -m tests.bench $(ARGS)

chaos: install ## the kill campaign: 20,000 mails, 520 kills, both stores; ARGS='--help' says more
	$(BIN)/python -m tests.chaos $(ARGS)

lock: venv ## resolve again what pyproject.toml asks for (UPGRADE=1: newest versions)
	@compile() { $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --system-certs \
	    --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade) "$$@"; }; \
	compile --output-file requirements.lock pyproject.toml; \
	compile --output-file requirements-dev.lock --constraint requirements.lock --group dev pyproject.toml; \
	compile --output-file requirements-build.lock --constraint requirements-dev.lock --group build
	@$(MAKE) --no-print-directory venv

clean: ## remove what building and testing left behind; .venv stays
	rm -rf build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
