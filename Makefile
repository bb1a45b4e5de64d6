# The everyday loop. `make help` lists the targets; all of them install first when there is something to install.

PORT ?= 8000
ARGS ?=
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

BIN := .venv/bin
INSTALLED := .venv/.installed
TYPES := build/types/fairmesh
PACKAGES := catalog api ontologies policies
RULES := tests/unit/test_layout.py tests/unit/test_docs.py tests/unit/test_ontologies.py tests/contract/test_policy_engines.py

.DEFAULT_GOAL := help
.PHONY: help install run test soak check fix bench

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) ## make .venv with the exact versions of constraints.txt

run: $(INSTALLED) ## start the service with a demo mesh on 127.0.0.1:PORT (8000), data in ./data
	@exec $(BIN)/fairmesh serve --demo --data data --port $(PORT)

test: $(INSTALLED) ## run all tests; ARGS="-k word" narrows them
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

soak: $(INSTALLED) ## the law of hiding and its state machine, ten times as long, with what they count
	@FAIRMESH_SOAK=1 $(BIN)/python -m pytest -s tests/properties/test_law.py tests/properties/test_hidden_writes.py $(ARGS)

check: $(INSTALLED) $(TYPES) ## format, lint, types, import rules, pages, rules and their examples, policy tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p fairmesh.catalog -p fairmesh.api
	$(BIN)/fairmesh rules lint ontologies && $(BIN)/fairmesh rules test ontologies
	$(BIN)/python -m pytest -q $(RULES)

fix: $(INSTALLED) ## format, and correct what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## the benchmarks at their small sizes
	@for script in "shacl --rounds 3" registration "search 20000" lineage serving \
		"access --products 5000 --keys 1000 --subjects 20"; do \
		set -- $$script; echo "== $$1"; name=$$1; shift; $(BIN)/python benchmarks/$$name.py "$$@" || exit 1; echo; done

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "fairmesh needs Python 3.11 or later: none was found; name one with PYTHON=" >&2; exit 2; }
	@echo "installing into .venv (once; again only when the dependencies change)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

# mypy reads folders, not install hooks: it finds the packages by links that bear their names.
$(TYPES): Makefile
	@mkdir -p $@
	@for folder in $(PACKAGES); do ln -sfn ../../../$$folder $@/$$folder; done
	@touch $@
