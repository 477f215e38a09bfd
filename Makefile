# make help   says what there is to make

PYTHON ?= python3
# Optional parts to install with the program, apart from each other by spaces: dask s3
EXTRAS ?=

VENV := .venv
BIN := $(VENV)/bin
# One empty file for each thing installed: newer than the file that asks for it, or it is installed anew
STAMPS := $(VENV)/installed
# Errors only
INSTALL = -m pip --disable-pip-version-check install --quiet --quiet --progress-bar off

LOCKER := uv==0.13.9
LOCK_VENV := build/lock

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two pips in one environment would disturb each other
.NOTPARALLEL:
.PHONY: help align serve stop test bench docs vega lock clean

help:
	@echo 'make align              set up and compare the sample corpora; results go to warehouse/'
	@echo 'make align EXTRAS=dask  the same, with prefect-dask; s3 reads and writes s3:// addresses'
	@echo 'make serve              set up and start a Prefect server and a worker here, in .prefect/; PORT=4201 for another port'
	@echo 'make stop               end them'
	@echo 'make test               set up and run the linter, the type checker and the tests'
	@echo 'make bench              set up and measure, beside other ways to do it; BENCH=--quick for a look'
	@echo 'make docs               bring the reference and the output shown in docs/ and README.md in line with the program'
	@echo 'make vega               bundle the charting library of the report anew, from the installed vl-convert'
	@echo 'make lock               bring requirements/ in line with pyproject.toml'
	@echo 'make lock UPGRADE=1     the same, with the newest versions'
	@echo 'make clean              remove the environment and all caches, not the results'
	@echo 'PYTHON=python3.12 after any of them chooses another Python than python3.'

align: $(STAMPS)/main $(EXTRAS:%=$(STAMPS)/%) $(STAMPS)/project
	$(BIN)/nl2sql-align run samples/corpora.toml --warehouse warehouse

serve: $(STAMPS)/main $(STAMPS)/project
	@$(BIN)/python -m nl2sql_align.flows.serve start $(if $(PORT),--port $(PORT))

stop:
	@$(BIN)/python -m nl2sql_align.flows.serve stop

test: $(STAMPS)/dev $(STAMPS)/project
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses 2 --dist loadfile

bench: $(STAMPS)/bench $(STAMPS)/project
	$(BIN)/python -m benchmarks.run $(BENCH)

docs: align
	$(BIN)/python docs/generate.py

vega: $(STAMPS)/main $(STAMPS)/project
	$(BIN)/python -m nl2sql_align.tasks.page.bundle

# ---- the environment ------------------------------------------------------------------------------

python_is_new_enough = $(shell $(PYTHON) -c 'import sys; print(1 if sys.version_info >= (3, 11) else "")' 2>/dev/null)

$(STAMPS)/venv:
	$(if $(python_is_new_enough),,$(error nl2sql-align needs Python 3.11 or newer, and $(PYTHON) is not: name one, as in "make align PYTHON=python3.12"))
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# The lock names all there is to install. Were pip to look for what packages ask for (no --no-deps), it would
# find newer ones and refuse them.
$(STAMPS)/%: requirements/%.txt | $(STAMPS)/venv
	@echo 'Installing $<'
	@$(BIN)/python $(INSTALL) --no-deps --require-hashes -r $<
	@touch $@

# What the run-time lock holds stands in these as well: they only add the rest
$(STAMPS)/dev $(STAMPS)/bench $(STAMPS)/dask $(STAMPS)/s3: | $(STAMPS)/main

$(STAMPS)/project: pyproject.toml | $(STAMPS)/main
	@echo 'Installing nl2sql-align'
	@$(BIN)/python $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# ---- versions -------------------------------------------------------------------------------------

# The locks hold for every Python and platform (--universal), each package in one version everywhere
# (fewest): the same inputs are to give the same numbers. setuptools installs the project itself.
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
	@$(compile) - pyproject.toml -o requirements/s3.txt --extra s3 -c requirements/main.txt -c requirements/dev.txt
	@rm -rf $(LOCK_VENV)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
