# make lab   opens the course         make test    runs every check
# make quick | test-lowest | setup | format | notebooks | exercises | handout | results | peers
# make bench | bench-data | bench-gpu | bench-widgets | speedrun | recipe
# With TORCH=cpu, what is installed leaves out CUDA, which only NVIDIA GPUs need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
ARGS ?=
TORCH ?=
CPU_INDEX := https://download.pytorch.org/whl/cpu
WORKERS ?= 2
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
$(if $(filter-out cpu,$(TORCH)),$(error TORCH is cpu or nothing, not $(TORCH)))
INSTALL_TORCH := $(if $(filter cpu,$(TORCH)),$(INSTALL) --index-url $(CPU_INDEX) torch torchvision)
PYTEST = $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile

.DEFAULT_GOAL := lab
.PHONY: lab test quick test-lowest setup format notebooks exercises handout results peers bench bench-data bench-gpu bench-widgets speedrun recipe

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

test-lowest:
	mkdir -p .venv-lowest
	$(PYTHON) tests/lowest.py > .venv-lowest/constraints.txt
	PIP_CONSTRAINT=.venv-lowest/constraints.txt $(MAKE) quick VENV=.venv-lowest

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

bench-data: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_data.py $(ARGS)

bench-gpu: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_gpu.py $(ARGS)

bench-widgets: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/bench_widgets.py $(ARGS)

speedrun: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/speedrun.py $(ARGS)

recipe: $(VENV)/installed-dev
	$(BIN)/python tests/benchmarks/recipe.py $(ARGS)

# An environment is remade when pyproject.toml changes; what is there already is kept.
$(VENV)/bin-ready:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "detlab needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make lab PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: pyproject.toml | $(VENV)/bin-ready
	$(INSTALL_TORCH)
	$(INSTALL) --editable '.[course]'
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin-ready
	$(INSTALL_TORCH)
	$(INSTALL) --editable '.[dev]'
	touch $@ $(VENV)/installed
