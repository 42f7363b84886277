# `make` or `make help` lists the targets; each does all its own set-up.
# PYTHON is the Python that .venv is made with: make up PYTHON=python3.13
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help up test lint fmt bench lock screenshots another-python

help: ## list what make can do
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo "  With another Python than python3 (3.11 or newer): make up PYTHON=python3.13"

up: $(STAMP) ## start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/encola up

test: $(STAMP) ## run the whole test suite
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP) ## check style and types
	@$(BIN)/ruff check src tests bench
	@$(BIN)/ruff format --check src tests bench
	@$(BIN)/mypy

fmt: $(STAMP) ## put the code into its form
	@$(BIN)/ruff check --fix -q src tests bench
	@$(BIN)/ruff format -q src tests bench

screenshots: $(STAMP) ## take pictures of every screen of the dashboard, in build/screenshots
	@PYTHONPATH=src:tests $(BIN)/python tests/browser/screenshots.py

bench: $(STAMP) ## measure, beside the peers; several minutes
	@for each in bench/*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

lock: $(STAMP) ## lock the newest admitted versions, with hashes
	@$(BIN)/python -m pip install -q uv
	@$(BIN)/uv pip compile -q pyproject.toml --all-extras --group dev --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header -o requirements.lock

# `make PYTHON=python3.13 …`: where .venv was made with another one, it is made anew.
VERSION_OF = $(shell $(1) -c 'import sys; print(sys.version)' 2>/dev/null)
ifneq ($(origin PYTHON),file)
ifneq ($(call VERSION_OF,$(PYTHON)),$(call VERSION_OF,$(BIN)/python))
CLEAR := --clear
$(STAMP): another-python
endif
endif

another-python:

# Made anew when the lock or the package's description changes.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "encola needs Python 3.11 or newer; $(PYTHON) is older or not there. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python -a -z "$(CLEAR)" || { echo "Making the virtual environment in $(VENV) …"; $(PYTHON) -m venv $(CLEAR) $(VENV); }
	@echo "Installing the locked versions; this takes a minute the first time …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
