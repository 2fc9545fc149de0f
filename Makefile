# make lab    opens JupyterLab on the triage notebook       make test   runs the tests
# make triage runs the main job without a browser           make help   lists the rest
#
# Needed beforehand: Python 3.11 or newer, make, and a package index that pip reaches. Everything else goes to .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PINS := requirements/constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint $(PINS)

LAB_ARGS ?=
PYTEST_ARGS ?=
JOBS ?= auto
# In a container one is often root, which JupyterLab wants to hear confirmed.
AS_ROOT := $(shell [ "$$(id -u)" != 0 ] || echo --allow-root)
# JupyterLab's own news and update questions would open over the notebook, and ask the network.
NO_NEWS := {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings
# A file's tests share its servers and data, so they stay on one worker; the browser's, slowest, come first and start first.
DIST := --dist loadfile --no-loadscope-reorder
OUT ?= out/incident

# The first interpreter that starts, is new enough and can make an environment. `make lab PYTHON=/path/to/python` overrides it.
FIND_PYTHON := for p in python3 python3.13 python3.12 python3.11 python; do \
	if "$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$p"; exit 0; fi; done

.PHONY: help lab triage test test-deep test-packaging coverage check format bench lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)$$/make \1\t\2/' | expand -t 22

lab: $(VENV)/.stamp-lab ## JupyterLab on the triage notebook (LAB_ARGS="--no-browser" passes options on)
	$(BIN)/jupyter lab $(AS_ROOT) --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/triage.ipynb $(LAB_ARGS)

triage: $(VENV)/.stamp-runtime ## the main job without a browser: verdicts, and the incident bundle in out/incident
	$(BIN)/fbkit demo --out $(OUT)

test: $(VENV)/.stamp-dev ## every test that guards correctness (PYTEST_ARGS="-k lag" selects)
	$(BIN)/python -m pytest -n $(JOBS) $(DIST) $(PYTEST_ARGS)

test-deep: $(VENV)/.stamp-dev ## the same with the full fuzz and simulation budgets
	FBKIT_PROFILE=deep $(BIN)/python -m pytest -n $(JOBS) $(DIST) -m "not packaging" $(PYTEST_ARGS)

test-packaging: $(VENV)/.stamp-dev ## the wheel in clean environments: newest and lowest allowed versions, every Python found
	$(BIN)/python -m pytest -m packaging $(PYTEST_ARGS)

coverage: $(VENV)/.stamp-dev ## branch coverage of the analysis layers by the unit tests, at least 95 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/unit fbkit $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --fail-under 95 \
		--include "fbkit/schema/*,fbkit/load/*,fbkit/join/*,fbkit/ledger/*,fbkit/measure/*,fbkit/diagnose/*"

check: $(VENV)/.stamp-dev ## what we agreed on, in seconds: style, layers, budgets, types
	$(BIN)/ruff format --check --quiet --output-format concise . || { echo "run: make format"; exit 1; }
	$(BIN)/ruff check --quiet --output-format concise .
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q -p no:cacheprovider --no-header tests/test_budgets.py
	$(BIN)/basedpyright

format: $(VENV)/.stamp-dev ## format the code and apply the safe repairs
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .

bench: $(VENV)/.stamp-dev ## benchmarks: imports, measures, joins, explorers, chargebacks and verdicts of known truth (seeds from the commit)
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/measures.py
	$(BIN)/python benchmarks/join.py --rows 10000000
	$(BIN)/python benchmarks/join_fallback.py
	$(BIN)/python benchmarks/chargeback.py --from-commit
	$(BIN)/python benchmarks/explorers/run.py
	$(BIN)/python benchmarks/triage.py --seeds 3 --from-commit --jobs 2

lock: $(VENV)/.stamp-dev ## choose all pins anew, newest first, and the Binder pins with them
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--extra lab --extra dev pyproject.toml --output-file $(PINS)
	$(BIN)/python requirements/binder_pins.py

clean: ## remove the environment and everything generated
	rm -rf $(VENV) out build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment, filled as far as asked for; a second call finds the stamp and does nothing.
$(BIN)/python:
	@python="$${PYTHON:-$$($(FIND_PYTHON))}"; \
	if [ -z "$$python" ]; then \
		echo "fbkit needs Python 3.11 or newer with its venv module (Debian, Ubuntu: apt-get install python3-venv)." >&2; \
		echo "If you have one under another name: make PYTHON=/path/to/python3.11 ..." >&2; \
		exit 2; \
	fi; \
	echo "creating $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)

$(VENV)/.stamp-runtime: pyproject.toml $(PINS) | $(BIN)/python
	@echo "installing fbkit into $(VENV) (once)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.stamp-lab: pyproject.toml $(PINS) | $(BIN)/python
	@echo "installing fbkit and JupyterLab into $(VENV) (once)"
	@$(PIP) --editable ".[lab]"
	@mkdir -p $(LAB_SETTINGS) && echo '$(NO_NEWS)' > $(LAB_SETTINGS)/overrides.json
	@touch $(VENV)/.stamp-runtime $@

$(VENV)/.stamp-dev: pyproject.toml $(PINS) | $(BIN)/python
	@echo "installing fbkit, JupyterLab and the test tools into $(VENV) (once)"
	@$(PIP) --editable ".[lab,dev]"
	@mkdir -p $(LAB_SETTINGS) && echo '$(NO_NEWS)' > $(LAB_SETTINGS)/overrides.json
	@touch $(VENV)/.stamp-runtime $(VENV)/.stamp-lab $@
