# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-cpu.txt
# A shared machine with more threads than cores must not spin (see docs/explanation/reproducibility.md).
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test test-fast lint types docs record bench wheelhouse wheelhouse-check container-check clean

$(VENV)/.core: pyproject.toml constraints-cpu.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[learn]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints-cpu.txt $(VENV)/.core
	$(PIP) -e '.[dev,xcheck]'
	@# a referee of our networks; without what it declares, for its torchvision needs a CUDA torch
	$(PIP) --no-deps 'timm>=1.0.20'
	@touch $@

$(VENV)/.bench: pyproject.toml constraints-cpu.txt $(VENV)/.dev
	$(PIP) -e '.[dev,bench]'
	@touch $@

demo: $(VENV)/.core  ## make the demo study in demo/ and run it whole
	$(BIN)/metastra demo demo

test: lint types $(VENV)/.dev  ## install with the test tools and run every test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-fast: $(VENV)/.dev  ## the tests that take seconds
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m 'not slow'

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev  ## rewrite the pages that are printed from the code
	$(BIN)/python docs/print_pages.py

bench: $(VENV)/.bench  ## every comparison, a process a pair; rewrites the tables of docs/benchmarks.md (GROUPS=, WHY=)
	$(BIN)/python -m benchmarks $(GROUPS) --write --why "$(WHY)"

record: $(VENV)/.dev  ## the long checks whose results are committed in docs/records/
	$(BIN)/python -m benchmarks.record
	$(BIN)/python -m benchmarks.recovery
	$(BIN)/python -m benchmarks.own_encoder --record

# what an offline installation brings besides the core; packages whose unlisted licence you have read
EXTRAS ?= learn,xlsx
ACCEPT ?=

wheelhouse: $(VENV)/.core  ## an installation for machines without a network, in wheelhouse/
	$(BIN)/python -m offline --out wheelhouse --extras '$(EXTRAS)' --accept '$(ACCEPT)'

wheelhouse-check:  ## install it and run the demo with the network off, as an ordinary user
	offline/try_offline.sh wheelhouse README.md

container-check:  ## as root: build the image on BASE (image or root file system) and run it read-only
	offline/try_container.sh wheelhouse '$(BASE)'

clean:
	rm -rf wheelhouse $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache
