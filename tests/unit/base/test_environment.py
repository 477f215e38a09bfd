"""Environment variables of numerical libraries: set by programs, not by imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nl2sql_align.tasks.base.environment import THREADS_VARIABLE, set_library_defaults

TASKS = Path(__file__).parents[3] / "tasks"
VARIABLES = ("POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL")

IMPORT_ALL = """
import os, sys
from importlib import import_module

import polars  # sets a variable for its allocator

before = dict(os.environ)
for name in sys.argv[1:]:
    import_module(name)
    if dict(os.environ) != before:
        sys.exit(f"{name} changes the environment: {set(os.environ.items()) ^ set(before.items())}")
"""
RUN_COMMAND = """
import os, sys
from nl2sql_align.flows.cli import main

loaded = {"numpy", "polars", "pyarrow"} & sys.modules.keys()
sys.argv[1:] = ["--help"]
try:
    main()
except SystemExit:
    print(*loaded, os.environ["OPENBLAS_NUM_THREADS"])
"""


def run_python(code, *arguments):
    environ = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )


@pytest.fixture
def unset(monkeypatch):
    # Set first, so that each variable is removed again after the test.
    for name in (*VARIABLES, THREADS_VARIABLE):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_no_module_changes_the_environment_when_it_is_imported():
    paths = [path.relative_to(TASKS.parent).with_suffix("") for path in TASKS.rglob("*.py")]
    names = sorted(".".join(("nl2sql_align", *path.parts)) for path in paths)
    assert len(names) > 50
    ended = run_python(IMPORT_ALL, *names)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_command_line_sets_the_variables_before_a_library_reads_them():
    ended = run_python(RUN_COMMAND)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "1")


@pytest.mark.parametrize(
    ("threads", "variable", "expected"),
    [(None, None, None), (None, "3", "3"), (None, "all", None), (None, "0", None), (2, "3", "2")],
)
def test_threads_are_those_given_or_those_of_the_environment(
    unset, monkeypatch, threads, variable, expected
):
    if variable is not None:
        monkeypatch.setenv(THREADS_VARIABLE, variable)
    set_library_defaults(threads)
    assert os.environ.get("POLARS_MAX_THREADS") == expected
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["ARROW_DEFAULT_MEMORY_POOL"] == "system"


def test_variables_of_the_user_are_kept(unset, monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "7")
    set_library_defaults(2)
    assert [os.environ[name] for name in VARIABLES] == ["7", "7", "7"]
