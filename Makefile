# `make demo` and `make test` do all their own setting up.
VENV   ?= .venv
PYTHON ?= python3
DATA   ?= cruw
BIN    := $(VENV)/bin

.PHONY: demo test lint types install clean

demo: install
	@[ -e $(DATA)/sequences ] || $(BIN)/rvsense simulate $(DATA)
	@$(BIN)/rvsense daemon --replay $(DATA)/

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install
	OMP_NUM_THREADS=1 $(BIN)/mypy

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "rvsense needs Python 3.11 or later; try make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
