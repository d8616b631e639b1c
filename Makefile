# make demo: the main job.    make test: all checks and tests.    make docs: the site.
# make package: the built package, installed elsewhere.    make ci: everything CI runs.
# make test-oldest: tests on the oldest dependencies.    make fuzz: twenty minutes more.
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
.PHONY: demo test ci lint types contracts examples docs pictures unit fuzz
.PHONY: package test-oldest test-engines

demo: $(STAMP)
	$(BIN)/advaug demo

# unit comes last: its summary is what one looks for.
test: lint types contracts examples unit

# The build of the site runs the examples.
ci: lint types contracts docs package unit

ifneq ($(UV),)
# uv does not read pip's configuration.
UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_FIND_LINKS
$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(UV) venv --quiet --allow-existing --python "$(PY)" "$(VENV)"
	$(UV) pip install --quiet --python $(BIN)/python -c $(CONSTRAINTS) -e '.[dev]'
	touch $@
$(STAMP)-docs: $(STAMP)
	$(UV) pip install --quiet --python $(BIN)/python -c $(CONSTRAINTS) -e '.[docs]'
	touch $@
else
$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PY) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@
$(STAMP)-docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@
endif

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/vulture
	$(BIN)/deptry .
	$(BIN)/python docs/check_docstrings.py

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

# More threads than cores cost more than they bring; no window opens.
examples docs unit fuzz package test-engines: export OMP_NUM_THREADS := 1
examples docs unit fuzz test-engines: export MPLBACKEND := Agg

# Each example runs in a temporary folder, which takes what it writes.
examples: $(STAMP)
	@root=$$PWD; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	for example in examples/*.py; do \
		[ -e "$$example" ] || continue; \
		echo "python $$example"; \
		(cd "$$out" && $(BIN)/python "$$root/$$example") || exit 1; \
	done

# The site, in docs/build/html: a warning is an error, each example runs, nothing is downloaded.
docs: $(STAMP)-docs
	$(BIN)/sphinx-build -q -W -n --keep-going docs docs/build/html
	$(BIN)/python docs/check_site.py docs/build/html

# The pictures that Markdown pages show are those of the gallery.
GALLERY := docs/generated/gallery/images/sphx_glr_
pictures: docs
	cp $(GALLERY)before_and_after_001.png docs/pictures/before_and_after.png
	cp $(GALLERY)attack_families_001.png docs/pictures/attack_families.png
	cp $(GALLERY)shared_attacks_001.png docs/pictures/shared_attacks.png
	cp $(GALLERY)signals_002.png docs/pictures/ecg_fgsm.png
	$(BIN)/python docs/pictures/draw_house.py

# One process for each core; the tests of a file stay together, since they share fixtures.
unit: $(STAMP)
	$(BIN)/pytest -n auto --dist loadfile -m "not package" $(PYTEST_ARGS)

# Source distribution, wheel and editable install: what they hold, whether they work, their types.
package: $(STAMP)
	$(BIN)/pytest tests/test_package.py -v --durations=0

# The examples of all docstrings and the tests of containers, on the oldest versions allowed, in an
# environment of their own.
OLDEST := advaug tests/test_public.py tests/test_containers.py tests/test_cases_containers.py
test-oldest:
	$(MAKE) unit VENV=$(VENV)-oldest CONSTRAINTS=constraints/oldest.txt PYTEST_ARGS="$(OLDEST)"

# Twenty minutes of random containers, dtypes, targets and estimators, other ones at each run.
fuzz: $(STAMP)
	$(BIN)/pytest tests/test_fuzz.py --hypothesis-profile=long --hypothesis-show-statistics

# Ray and Dask weigh 400 MB, so that they have an environment of their own.
ENGINES_VENV ?= .venv-engines
test-engines:
	$(PY) -m venv $(ENGINES_VENV)
	$(ENGINES_VENV)/bin/python -m pip install --quiet -e '.[dev,dask,ray]'
	$(ENGINES_VENV)/bin/pytest -m engines tests/test_engines.py $(PYTEST_ARGS)
