# What a developer does here; `make help` lists it. Needs Python 3.11 or newer, git and make.

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
LOCKED := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:
ITSELF := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
EVENTS ?= 20000
SEEDS ?= 1-1000
CUSTOMERS ?= 300
DAYS ?= 130

.DEFAULT_GOAL := help
.PHONY: help demo install test lint format bench kafka stories simulate reference faults faults-long recovery docs lock clean
.DELETE_ON_ERROR:

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-11s %s\n' "$$name" "$$what"; done

demo: .venv/demo.stamp ## an embedded broker, a simulated bank and its tags on the screen (EVENTS=20000)
	@$(BIN)/tagger demo --events $(EVENTS)

install: .venv/dev.stamp ## the project and its tools into .venv; the command is .venv/bin/tagger
	@echo "installed: $(BIN)/tagger"

test: lint ## lint, every test, then the short fault run, which wants the machine for itself
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile
	$(BIN)/python -m pytest -m faults tests/faults

lint: .venv/dev.stamp ## ruff, mypy --strict, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp ## lay the code out and mend what ruff can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: .venv/dev.stamp ## figures of this machine, into bench/results
	$(BIN)/tagger bench

kafka: .venv/dev.stamp ## a real Kafka in the foreground (KAFKA_PORT=9092 for a fixed port)
	@$(BIN)/python tests/kafka_broker.py

stories: .venv/dev.stamp ## precision and recall of each story of the made-up bank (CUSTOMERS=300 DAYS=130)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		$(BIN)/tagger simulate --customers $(CUSTOMERS) --days $(DAYS) --out "$$folder/bank.jsonl" && \
		$(BIN)/tagger backtest "$$folder/bank.jsonl" --format jsonl --tags "$$folder/tags.jsonl" > /dev/null && \
		$(BIN)/tagger simulate --customers $(CUSTOMERS) --days $(DAYS) --score "$$folder/tags.jsonl"

simulate: .venv/dev.stamp ## the whole pipeline on simulated servers, seed by seed (SEEDS=1-1000)
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --keep-going

reference: .venv/dev.stamp ## the compiled rules against a naive second reading, pack by made-up pack (SEEDS=1-1000)
	$(BIN)/python -m tests.reference --seeds $(SEEDS) --keep-going

FAULTS = $(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(NODES),--nodes $(NODES))
FAULTS_PAGE = --report docs/reliability/$$(date -u +%F)$(if $(filter 3,$(NODES)),-three-nodes).md

faults: .venv/dev.stamp ## twenty kills and as many other faults on real servers, judged (SEED=7 NODES=3 PAGE=yes)
	$(FAULTS) $(if $(PAGE),$(FAULTS_PAGE))

faults-long: .venv/dev.stamp ## two hundred kills over a million events, with a page under docs/reliability (SEED=7 NODES=3)
	$(FAULTS) --kills 200 --events 1000000 $(FAULTS_PAGE)

recovery: .venv/dev.stamp ## forty kills alone, judged by how soon the partitions go on, with a page under docs/reliability
	$(FAULTS) --kills 40 --events 60000 --only-kills $(FAULTS_PAGE)

docs: .venv/dev.stamp ## write the generated pages under docs again
	$(BIN)/python -m tools.docs

lock: .venv/dev.stamp ## choose versions again, after a change of dependencies in pyproject.toml
	tools/lock

clean: ## remove the environment and everything made from the sources
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "expected Python 3.11 or newer, found: $$($(or $(PYTHON),python3) --version 2>&1);" \
			"name one with make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "expected '$(PYTHON) -m venv' to work; on Debian: apt-get install python3-venv" >&2; exit 2; }

.venv/demo.stamp: requirements-demo.lock pyproject.toml | .venv/bin/python
	$(LOCKED) -r requirements-demo.lock
	$(ITSELF)
	@touch $@

.venv/dev.stamp: requirements-dev.lock pyproject.toml | .venv/bin/python
	$(LOCKED) -r requirements-dev.lock
	$(ITSELF)
	@touch $@ .venv/demo.stamp
