# `make demo` and `make test` do all their own setting up.
VENV   ?= .venv
PYTHON ?= python3
DATA   ?= cruw
BIN    := $(VENV)/bin

.PHONY: demo test lint types bench chaos fuzz soak dist install python clean

demo: install
	@[ -e $(DATA)/sequences ] || $(BIN)/rvsense simulate $(DATA)
	@$(BIN)/rvsense daemon --replay $(DATA)/

# What starts daemons has the machine to itself; the rest does not need it.
test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not process"
	OMP_NUM_THREADS=1 $(BIN)/pytest -m process

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install
	OMP_NUM_THREADS=1 $(BIN)/mypy

# One table of all comparisons; `make bench ARGS=--quick` for less than a minute each.
bench: install
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	OMP_NUM_THREADS=1 $(BIN)/python -m bench $(ARGS)

# The whole daemon under a virtual clock: 10,000 seeds of faults, an hour (docs/simulation.md). Then
# the real one, its learner, its disk and its files, for some hours (docs/reliability.md).
chaos: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulate --seeds 0-9999 --seen
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos all

# Input that nobody meant, a million and a half pieces of it, to everything that reads or listens: an
# hour. `make fuzz ARGS=--seed=1` for others.
fuzz: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz all $(ARGS)

# A day by that clock, in minutes; then the real thing for 20 of them.
soak: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.simulate --day
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos soak

# The source distribution and, made of it, the wheel: in dist/. To pack takes none of the gigabytes
# that to run does, so the tools for it have an environment of their own.
dist: python
	$(PYTHON) -m venv .tools/dist
	.tools/dist/bin/pip install --quiet --disable-pip-version-check 'build>=1.2,<2'
	.tools/dist/bin/python -m build

install: $(VENV)/.installed

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "rvsense needs Python 3.11 or later; try make PYTHON=python3.11"; exit 2; }

$(VENV)/.installed: pyproject.toml constraints.txt | python
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
