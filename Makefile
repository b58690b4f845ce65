# psystrata: `make demo` and `make test` do all the set-up; `make help` lists the rest.
# Needs Python 3.11 or newer, git and make.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

# Nothing is sent anywhere, and text sorts the same on every machine.
export DVC_NO_ANALYTICS := 1
export ITERATIVE_DO_NOT_TRACK := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export NO_ALBUMENTATIONS_UPDATE := 1
export PYTHONHASHSEED := 0
export LC_ALL := C.UTF-8
export TZ := UTC

STUDY ?= demo
INSTALLED := .venv/.installed

.PHONY: help setup demo test lint repro study results ui check benchmark validity lock clean

help: ## list what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(INSTALLED) ## install the pinned dependencies and the project into .venv
	@test -e .git || test -e .dvc/config.local || .venv/bin/dvc config --local core.no_scm true

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "psystrata needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up .venv (about two minutes, once) ..."
	@rm -f $@; test -x .venv/bin/python || "$(PYTHON)" -m venv .venv
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@.venv/bin/python -m compileall -q features models experiments pipeline
	@touch $@

demo: setup ## run the whole pipeline on the simulated cohort and print the results
	@psystrata use demo
	@dvc repro
	@psystrata results

study: setup ## make a study the active one: make study STUDY=cnp
	@psystrata use $(STUDY)

repro: setup ## run what has changed in the active study
	@dvc repro

results: setup ## print the active study's table of learners
	@psystrata results

ui: setup ## open MLflow on this machine, filled from the result files
	@psystrata ui

check: setup ## list every problem of a study's files: make check STUDY=mine
	@psystrata check $(STUDY)

lint: setup ## style, types and import contracts
	@ruff check . && ruff format --check . && mypy && lint-imports

test: lint ## lint, then every quick test
	@pytest -n 2 -q

benchmark: setup ## figures of speed, side by side in one run
	@python -m tests.benchmarks

validity: setup ## slow validity studies, resumable; figures go into docs/validity.md
	@psystrata validity all

lock: setup ## resolve the dependencies anew; needs uv
	@uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements.lock

clean: ## remove results, caches and the virtual environment; data/ stays
	@rm -rf artifacts .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
