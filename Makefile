# Two commands are always true on a fresh machine with Python 3.11+, make and a network: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BROWSER := $(VENV)/.browser
PORT ?= 8501
ONCE ?=
TESTS ?= tests
JOBS ?= 2

.PHONY: help setup demo test check lint types format pages screenshots bench clean

help:  ## says what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("runvitals needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --progress-bar on -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(BROWSER): $(INSTALLED) scripts/find_browser.py
	$(BIN)/python scripts/find_browser.py --install
	@touch $@

setup: $(INSTALLED)  ## installs runvitals and all it needs into .venv

demo: $(INSTALLED)  ## real tiny runs, healthy and sick, live in the dashboard (ONCE=1: to the end, then a verdict)
	$(BIN)/runvitals demo --port $(PORT) $(if $(ONCE),--once)

test: $(INSTALLED) $(BROWSER)  ## every test, browser and PostgreSQL included (JOBS=4: in so many processes)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)

check: lint types  ## linters and types

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy -p runvitals

format: $(INSTALLED)  ## formats the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pages: $(INSTALLED)  ## writes the generated docs pages anew
	$(BIN)/python scripts/write_rules_page.py
	$(BIN)/python scripts/write_signals_page.py

screenshots: $(INSTALLED) $(BROWSER)  ## takes the pictures of docs/screenshots from a real demo
	$(BIN)/python scripts/take_screenshots.py

clean:  ## removes what make made
	rm -rf $(VENV) .demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
