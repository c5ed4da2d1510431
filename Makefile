# make demo    everything for a first look: environment, the embedded sweep, its report
# make test    everything for a developer: environment, all tests that can run here but those of cluster-test
# make faults  what may happen to a sweep happens to one: a table of what came of it; half an hour
# make cluster-test   a sweep on several hosts made on this machine; needs root, sshd, rsync, tmux
# make bench   what is fast and how fast, measured against fastai and plain Ray: 35 to 55 minutes
# make lint check coverage clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test faults cluster-test lint check coverage bench clean

demo: $(VENV)/.installed
	$(BIN)/sweep run sweeps/specs/demo.yaml

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not cluster and not faults" -n 2 --dist loadgroup

faults: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/faults

cluster-test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/cluster -m cluster

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

check: lint test

coverage: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not ray and not slow" \
		--cov=ulm --cov=sweeps --cov-report=term-missing:skip-covered

bench: $(VENV)/.installed
	$(BIN)/python benchmarks/bench.py

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
		f"Python 3.11 or later is needed, found {sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable ".[dev]"
	touch $@
