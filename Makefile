# make demo: the main job.    make test: everything CI runs.    make fuzz: twenty minutes more.
# make test-engines: Ray and Dask, in an environment of their own.
# All first create $(VENV), again whenever pyproject.toml or the constraints changed.

PY ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints/dev.txt
PYTEST_ARGS ?=

BIN := $(abspath $(VENV))/bin
STAMP := $(VENV)/.stamp
UV := $(shell command -v uv 2>/dev/null)

# Reaches pip's isolated build environments too, hence an absolute path.
export PIP_CONSTRAINT := $(abspath $(CONSTRAINTS))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := test
.NOTPARALLEL:
.PHONY: demo test lint types contracts examples unit fuzz test-engines

demo: $(STAMP)
	$(BIN)/advaug demo

# unit comes last: its summary is what one looks for.
test: lint types contracts examples unit

ifneq ($(UV),)
# uv does not read pip's configuration.
UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_FIND_LINKS
$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(UV) venv --quiet --allow-existing --python "$(PY)" "$(VENV)"
	$(UV) pip install --quiet --python $(BIN)/python -c $(CONSTRAINTS) -e '.[dev]'
	touch $@
else
$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PY) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@
endif

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/deptry .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

# More threads than cores cost more than they bring; no window opens.
examples unit fuzz test-engines: export OMP_NUM_THREADS := 1
examples unit fuzz test-engines: export MPLBACKEND := Agg

# Each example runs in a temporary folder, which takes what it writes.
examples: $(STAMP)
	@root=$$PWD; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	for example in examples/*.py; do \
		[ -e "$$example" ] || continue; \
		echo "python $$example"; \
		(cd "$$out" && $(BIN)/python "$$root/$$example") || exit 1; \
	done

# One process for each core; the tests of a file stay together, since they share fixtures.
unit: $(STAMP)
	$(BIN)/pytest -n auto --dist loadfile $(PYTEST_ARGS)

# Twenty minutes of random containers, dtypes, targets and estimators, other ones at each run.
fuzz: $(STAMP)
	$(BIN)/pytest tests/test_fuzz.py --hypothesis-profile=long --hypothesis-show-statistics

# Ray and Dask weigh 400 MB, so that they have an environment of their own.
ENGINES_VENV ?= .venv-engines
test-engines:
	$(PY) -m venv $(ENGINES_VENV)
	$(ENGINES_VENV)/bin/python -m pip install --quiet -e '.[dev,dask,ray]'
	$(ENGINES_VENV)/bin/pytest -m engines tests/test_engines.py $(PYTEST_ARGS)
