# On a fresh clone, with Python >= 3.11 (venv, pip), make and a C compiler:
#   make demo    learn, evaluate, sample and compress; writes a report to look at
#   make test    the whole suite

PYTHON ?= python3
OUT ?= imprior-demo

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCHMARKS := $(patsubst benchmarks/%.py,bench-%,$(wildcard benchmarks/[a-z]*.py))

.PHONY: demo test slow check format bench install clean
.NOTPARALLEL:

demo: $(INSTALLED)
	$(BIN)/imprior demo --out $(OUT)

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2

# Published figures, hours each; needs the images that IMPRIOR_DATA names.
slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# `make bench-NAME` runs one of them, benchmarks/NAME.py.
bench: $(BENCHMARKS)

bench-%: $(INSTALLED)
	$(BIN)/python -m benchmarks.$*

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Caches, compiled code and the demo; not .venv.
clean:
	rm -rf $(OUT) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests experiments benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
