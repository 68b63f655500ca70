# `make` alone lists what there is: the words after ## in this file.

PYTHON ?= python3
PORT ?= 8501
ADDRESS ?= 127.0.0.1
NAMES ?=
JOBS ?= 2
ARGS ?= -m "not slow"
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip install --disable-pip-version-check
UV := "uv>=0.9,<1"

# CPU=1 installs PyTorch without CUDA. An environment made so stays so, without saying it again.
CPU ?= $(wildcard $(VENV)/.cpu)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

help:
	@echo "make TARGET"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "CPU=1 leaves out CUDA, JOBS=4 tests in four processes, ARGS=\"tests/data -x\" chooses what pytest runs."

app: $(VENV)/.installed  ## install what is needed and open the dashboard on http://127.0.0.1:8501 (PORT=...)
	@$(BIN)/python -m kdcore app --port $(PORT)

class: $(VENV)/.installed  ## the dashboard for a class that signs in (ADDRESS=0.0.0.0 NAMES=lab.example.org, see docs/class.md)
	@$(BIN)/python -m kdcore serve --class --address $(ADDRESS) --port $(PORT) $(addprefix --host ,$(NAMES))

quickstart: $(VENV)/.installed  ## the first experiment without a browser: progress, then the table
	$(BIN)/python -m kdcore run quickstart

test: $(VENV)/.installed-dev  ## set up and run the tests (some minutes)
	$(BIN)/python -m pytest $(ARGS) -n $(JOBS) --dist worksteal

test-slow: $(VENV)/.installed-dev  ## the tests that take minutes each
	$(BIN)/python -m pytest -m slow

test-avx2: $(VENV)/.installed-dev  ## the tests as on an x86 processor with AVX2 alone
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell PYTHONPATH=$(CURDIR)/tests/avx2 \
	  $(BIN)/python -m pytest $(ARGS) -n $(JOBS) --dist worksteal

test-newest: RESOLUTION := highest  ## the tests on the newest versions that pyproject.toml allows
test-oldest: RESOLUTION := lowest-direct  ## the tests on the oldest versions that pyproject.toml allows

test-newest test-oldest: test-%: .venv-%/bin/python
	.venv-$*/bin/python $(PIP) --quiet $(UV)
	.venv-$*/bin/uv pip compile pyproject.toml --extra dev --resolution $(RESOLUTION) --upgrade --quiet \
	  --python .venv-$*/bin/python --output-file .venv-$*/resolved.txt
	.venv-$*/bin/uv pip install --python .venv-$*/bin/python -r .venv-$*/resolved.txt
	.venv-$*/bin/python -m pytest $(ARGS) -n $(JOBS) --dist worksteal

upgrade: $(VENV)/bin/python  ## renew the lock: the newest versions that pyproject.toml allows
	$(BIN)/python $(PIP) --quiet $(UV)
	$(LOCK) --upgrade --output-file requirements.txt
	$(LOCK) --upgrade --output-file requirements-dev.txt --constraints requirements.txt --extra dev

# One lock for every supported Python and system.
LOCK = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest \
  --generate-hashes --quiet --custom-compile-command "make upgrade"

lint: $(VENV)/.installed-dev  ## style, formatting and types; changes nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed-dev  ## put imports in order and format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(VENV)/.installed-dev  ## run the notebooks of docs/ and take its screenshots anew (needs Chromium)
	$(BIN)/python -m tests.notebooks
	$(BIN)/python docs/screenshots.py

%/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $* || \
	  { rm -rf $*; echo "No virtual environment could be made. On Debian: apt install python3-venv" >&2; exit 1; }

# Stamps: pip is asked again only when the lock has changed.
$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(call install,$<)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt | $(VENV)/bin/python
	$(call install,$<)
	@touch $@ $(VENV)/.installed

# The lock is complete, so pip need not resolve. PyTorch's index for CPUs has files, and so hashes, of its own.
install = $(if $(CPU),$(call install-cpu,$(1)),$(BIN)/python $(PIP) --no-deps --require-hashes -r $(1))
define install-cpu
@touch $(VENV)/.cpu
$(BIN)/python $(PIP) --no-deps --index-url $(TORCH_INDEX) $$(awk '/^torch(vision)?==/ { print $$1 }' $(1))
awk '/^[a-z]/ { cuda = /^(torch|torchvision|triton)==|^(cuda|nvidia)-/ } !cuda' $(1) > $(VENV)/cpu.txt
$(BIN)/python $(PIP) --no-deps --require-hashes -r $(VENV)/cpu.txt
endef

.PHONY: help app class quickstart test test-slow test-avx2 test-newest test-oldest upgrade lint format docs
