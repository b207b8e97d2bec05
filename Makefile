# Developer commands. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON_FILES := src tests benchmarks scripts

.PHONY: help setup setup-dev demo test faults check reproduce costs bench lab-model lab-roles docs docs-pages lint lock audit clean

help: ## List these commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Set up .venv with the package and the embedded model
	@scripts/setup.sh run

setup-dev:
	@scripts/setup.sh dev

demo: setup ## Improve a real model on examples/sums and show the proof
	@$(BIN)/loopwright improve examples/sums

# Following every line for coverage makes the conformance suite four times as slow and covers nothing that others do not.
CONFORMANCE := tests/checks/test_all_recipes.py

test: setup-dev ## Run the tests; ARGS="-k gate" is handed to pytest
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/python -m pytest -n 2 --cov --cov-report=term --ignore=$(CONFORMANCE)
	@$(BIN)/python -m pytest -n 2 $(CONFORMANCE)
endif

faults: setup-dev ## Attack every promise about faults and print what was seen; ARGS="33 49" for some rows
	@$(BIN)/python scripts/faults.py $(ARGS)

check: setup-dev ## Run the conformance suite on every recipe, or on SLUG=rest-em
	@$(BIN)/loopwright check $(SLUG)

reproduce: setup-dev ## Run the claim of every recipe, or of SLUG=rest-em, into docs/results
	@$(BIN)/loopwright reproduce $(SLUG)

costs: setup-dev ## Measure what every method takes at its defaults on the toy, into docs/results
	@$(BIN)/python -m loopwright.claims.costs docs/results

bench: setup-dev ## Run every benchmark, one at a time; ARGS=--json for machines
	@$(BIN)/python -m benchmarks $(ARGS)

lab-model: setup-dev ## Teach the laboratory's model anew (an hour or more) and measure it
	@$(BIN)/python scripts/lab_model.py --out src/loopwright/worlds/lab/model
	@$(BIN)/python scripts/lab_card.py src/loopwright/worlds/lab/model

lab-roles: setup-dev ## Teach the laboratory's model its role anew (a quarter of an hour) and measure it; ARGS=proposer for another
	@for role in $(or $(ARGS),formaliser); do $(BIN)/python scripts/lab_roles.py $$role; done
	@$(BIN)/python scripts/lab_roles.py --card

docs: setup-dev docs-pages ## Build the documentation into site/, warnings being errors
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "docs: site/index.html"

docs-pages:
	@$(BIN)/python scripts/docs_pages.py

lint: setup-dev ## Ruff, mypy, the import contracts, and test files of one name (pytest takes them for one module)
	@twice=$$(find tests -name 'test_*.py' -exec basename {} \; | sort | uniq -d); \
	  test -z "$$twice" || { echo "several test files are called $$twice; give each a name of its own" >&2; exit 1; }
	@$(BIN)/python -m ruff check $(PYTHON_FILES)
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports

lock: setup ## Write requirements/*.txt, the versions and hashes of what `make demo` installs, anew
	@scripts/pins.sh lock

audit: setup ## Look the pinned packages up for known weaknesses
	@scripts/pins.sh audit

clean: ## Remove what was built; .venv, models and runs stay
	@rm -rf site build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -path ./.venv -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
