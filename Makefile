# make lab   opens the course         make test    runs every check
# make quick | setup | format | notebooks | exercises | handout | results | peers
# make bench | bench-gpu | bench-widgets

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
ARGS ?=
WORKERS ?= 2
PYTEST = $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile

.DEFAULT_GOAL := lab
.PHONY: lab test quick setup format notebooks exercises handout results peers bench bench-gpu bench-widgets

lab: $(VENV)/installed
	$(BIN)/detlab lab -- $(ARGS)

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "slow or not slow" $(ARGS)
	$(PYTEST) --nbval --override-ini addopts= notebooks

quick: $(VENV)/installed-dev
	$(PYTEST) $(ARGS)

setup: $(VENV)/installed-dev

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

notebooks: $(VENV)/installed-dev
	$(BIN)/python notebooks/build.py $(ARGS)

exercises: $(VENV)/installed-dev
	$(BIN)/python tests/course/exercises/proof.py

handout: $(VENV)/installed-dev
	$(BIN)/python notebooks/handout.py $(ARGS)

results: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/results.py $(ARGS)

peers: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/photo_peers.py $(ARGS)

bench: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench.py $(ARGS)

bench-gpu: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_gpu.py $(ARGS)

bench-widgets: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_widgets.py $(ARGS)

# An environment is remade when pyproject.toml changes; what is there already is kept.
$(VENV)/bin-ready:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "detlab needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make lab PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: pyproject.toml | $(VENV)/bin-ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin-ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/installed
