# `make` alone lists what there is: the words after ## in this file.

PYTHON ?= python3
PORT ?= 8501
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin

help:
	@echo "make TARGET"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

app: $(VENV)/.installed  ## install what is needed and open the dashboard on http://127.0.0.1:8501 (PORT=...)
	@echo "The dashboard is on http://127.0.0.1:$(PORT); Ctrl-C ends it, runs go on."
	@$(BIN)/streamlit run app.py --server.address 127.0.0.1 --server.port $(PORT)

quickstart: $(VENV)/.installed  ## the first experiment without a browser: progress, then the table
	$(BIN)/python -m kdcore run quickstart

test: $(VENV)/.installed-dev  ## set up and pass the tests (some minutes; JOBS=... processes)
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS)

test-slow: $(VENV)/.installed-dev  ## the tests that take minutes each
	$(BIN)/python -m pytest -m slow

test-avx2: $(VENV)/.installed-dev  ## the tests as on an x86 processor with AVX2 alone
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell PYTHONPATH=$(CURDIR)/tests/avx2 \
	  $(BIN)/python -m pytest -m "not slow" -n $(JOBS)

lint: $(VENV)/.installed-dev  ## style, formatting and types; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## put imports in order and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.installed-dev  ## take the screenshots in docs/screenshots anew (needs Chromium)
	$(BIN)/python docs/screenshots.py

$(VENV)/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "No virtual environment could be made. On Debian: apt install python3-venv" >&2; exit 1; }

# Stamps: pip is asked again only when the requirements have changed.
$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.installed

.PHONY: help app quickstart test test-slow lint format docs
