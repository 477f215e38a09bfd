# make help   lists the targets

PYTHON ?= python3
# Extras to install with the program, separated by spaces: dask s3
EXTRAS ?=

VENV := .venv
BIN := $(VENV)/bin
# One empty file per installed set of packages; make reinstalls a set whose requirements are newer
STAMPS := $(VENV)/installed
SQLGLOT_SOURCES := $(VENV)/sqlglot-sources
# Prints errors only
INSTALL = -m pip --disable-pip-version-check install --quiet --quiet --progress-bar off

LOCKER := uv==0.13.9
LOCK_VENV := build/lock
RELEASE_TOOLS := build==1.3.0 twine==6.2.0
RELEASE_VENV := build/release

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips must not run in one environment at the same time
.NOTPARALLEL:
.PHONY: help align serve stop test bench docs site vega lock release clean

help:
	@echo 'make align              set up, and compare the sample corpora; writes the results to warehouse/'
	@echo 'make align EXTRAS=dask  the same with the extra dask (prefect-dask); s3 and hf are for addresses of these stores'
	@echo 'make serve              set up, and start a Prefect server and a worker in .prefect/; PORT=4201 uses another port'
	@echo 'make stop               stop the server and the worker'
	@echo 'make test               set up, and run the linter, the type checker and the tests'
	@echo 'make bench              set up, and run the benchmarks; BENCH=--quick for a short version'
	@echo 'make docs               regenerate the reference, and the output shown in docs/ and README.md'
	@echo 'make site               build the documentation site into build/site/'
	@echo 'make vega               rebuild the charting library of the report from the installed vl-convert'
	@echo 'make lock               update requirements/ from pyproject.toml'
	@echo 'make lock UPGRADE=1     the same with the newest versions'
	@echo 'make release            build the wheel and the sdist into dist/, and check them'
	@echo 'make clean              remove the environment and all caches; keeps the results'
	@echo 'Add PYTHON=python3.12 to any of them to use another Python than python3.'

align: $(STAMPS)/main $(EXTRAS:%=$(STAMPS)/%) $(STAMPS)/project
	$(BIN)/nl2sql-align run samples/corpora.toml --warehouse warehouse

serve: $(STAMPS)/main $(STAMPS)/project
	@$(BIN)/python -m nl2sql_align.flows.serve start $(if $(PORT),--port $(PORT))

stop:
	@$(BIN)/python -m nl2sql_align.flows.serve stop

test: $(STAMPS)/dev $(STAMPS)/project $(SQLGLOT_SOURCES)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@# The type checker takes one core for half a minute, and so runs beside the tests.
	$(BIN)/mypy & types=$$!; \
	SQLGLOT_FIXTURES=$(abspath $(SQLGLOT_SOURCES))/tests \
		$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder; tests=$$?; \
	wait $$types || { echo 'mypy has found errors: see above'; exit 1; }; exit $$tests

bench: $(STAMPS)/bench $(STAMPS)/project
	$(BIN)/python -m benchmarks.run $(BENCH)

docs: align
	$(BIN)/python docs/generate.py

site: $(STAMPS)/dev $(STAMPS)/project
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

vega: $(STAMPS)/main $(STAMPS)/project
	$(BIN)/python -m nl2sql_align.tasks.views.page.bundle

# ---- the environment ------------------------------------------------------------------------------

python_is_new_enough = $(shell $(PYTHON) -c 'import sys; print(1 if sys.version_info >= (3, 11) else "")' 2>/dev/null)

$(STAMPS)/venv:
	$(if $(python_is_new_enough),,$(error nl2sql-align needs Python 3.11 or newer, which $(PYTHON) is not; choose another, as in "make align PYTHON=python3.12"))
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# Only the source distribution has sqlglot's own tests, whose statements one test reads. If the index does not have it,
# that test is skipped.
$(SQLGLOT_SOURCES): $(STAMPS)/dev
	@echo 'Fetching the sources of sqlglot'
	@rm -rf $@ && mkdir $@
	-@$(BIN)/pip download --quiet --quiet --no-binary :all: --no-deps --dest $@ \
		$$($(BIN)/python -c 'from importlib.metadata import version; print("sqlglot==" + version("sqlglot"))') \
		&& tar -xzf $@/*.tar.gz -C $@ --strip-components 1

# The lock lists every package. Without --no-deps, pip would resolve dependencies to newer versions, and then
# refuse them because they have no hash.
$(STAMPS)/%: requirements/%.txt | $(STAMPS)/venv
	@echo 'Installing $<'
	@$(BIN)/python $(INSTALL) --no-deps --require-hashes -r $<
	@touch $@

# These locks contain the run-time lock, so that they only add packages
$(STAMPS)/dev $(STAMPS)/bench $(STAMPS)/dask $(STAMPS)/hf $(STAMPS)/ray $(STAMPS)/s3: | $(STAMPS)/main

$(STAMPS)/project: pyproject.toml | $(STAMPS)/main
	@echo 'Installing nl2sql-align'
	@$(BIN)/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# ---- versions -------------------------------------------------------------------------------------

# One version of each package for every Python and platform (--universal, fewest), so that the same inputs
# give the same numbers everywhere. setuptools is locked too, as it builds the project.
compile = printf 'setuptools\n' | $(LOCK_VENV)/bin/uv pip compile --quiet --no-config \
	--universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-strip-extras --annotation-style line --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

lock:
	@rm -rf $(LOCK_VENV)
	@$(PYTHON) -m venv $(LOCK_VENV)
	@$(LOCK_VENV)/bin/python $(INSTALL) $(LOCKER)
	@$(compile) - pyproject.toml -o requirements/main.txt
	@$(compile) - pyproject.toml -o requirements/dev.txt --extra dev -c requirements/main.txt
	@$(compile) - pyproject.toml -o requirements/bench.txt --extra bench -c requirements/main.txt -c requirements/dev.txt
	@$(compile) - pyproject.toml -o requirements/dask.txt --extra dask -c requirements/main.txt -c requirements/dev.txt
	@$(compile) - pyproject.toml -o requirements/hf.txt --extra hf -c requirements/main.txt -c requirements/dev.txt
	@$(compile) - pyproject.toml -o requirements/ray.txt --extra ray -c requirements/main.txt -c requirements/dev.txt
	@$(compile) - pyproject.toml -o requirements/s3.txt --extra s3 -c requirements/main.txt -c requirements/dev.txt
	@rm -rf $(LOCK_VENV)

# ---- a release ------------------------------------------------------------------------------------

release:
	@rm -rf dist $(RELEASE_VENV)
	@$(PYTHON) -m venv $(RELEASE_VENV)
	@$(RELEASE_VENV)/bin/python $(INSTALL) $(RELEASE_TOOLS)
	@$(RELEASE_VENV)/bin/python -m build --outdir dist .
	@$(RELEASE_VENV)/bin/python -m twine check --strict dist/*
	@rm -rf $(RELEASE_VENV)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
