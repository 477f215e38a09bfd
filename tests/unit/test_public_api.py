"""The public API: what ``import nl2sql_align`` offers, and what it leaves unloaded."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nl2sql_align

SOURCE = Path(nl2sql_align.__file__)

SPECIFIED = """
    align nightly select mix sample_sizes calibrate headroom explain plot report load template_of
    inspect_dump open_results __version__
""".split()


def run_python(script):
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return ended.stdout.split()


def declared_for_type_checkers():
    """The names that a type checker sees, and the module and name that each comes from."""
    found = {}
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("nl2sql_align."):
            for alias in node.names:
                module = node.module.removeprefix("nl2sql_align.")
                found[alias.asname or alias.name] = f"{module}:{alias.name}"
    return found


def test_it_has_the_specified_names():
    assert set(SPECIFIED) <= set(nl2sql_align.__all__)
    assert set(nl2sql_align.__all__) <= set(dir(nl2sql_align))


def test_type_checkers_see_the_names_that_are_imported():
    assert declared_for_type_checkers() == nl2sql_align._SOURCES
    assert {*nl2sql_align._SOURCES, "__version__"} == set(nl2sql_align.__all__)


@pytest.mark.parametrize("name", sorted(set(nl2sql_align.__all__) - {"align", "nightly"}))
def test_each_name_can_be_imported(name):
    value = getattr(nl2sql_align, name)
    assert value.__doc__


def test_the_flows_can_be_imported():
    script = "from nl2sql_align import align, nightly; print(align.name, nightly.name)"
    assert run_python(script) == ["align", "nightly"]


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nl2sql_align.nothing


def test_the_import_loads_no_large_library():
    script = "import sys, nl2sql_align; nl2sql_align.__version__; print(*sys.modules)"
    loaded = set(run_python(script))
    assert "nl2sql_align" in loaded
    assert loaded.isdisjoint({"prefect", "duckdb", "polars", "pyarrow", "numpy", "scipy"})


def test_the_imports_leave_the_process_as_it_was():
    # Libraries start native threads when they are loaded, and Polars sets a variable of its own.
    script = """
import os, sys
import duckdb, numpy, polars, pyarrow, scipy.linalg
before = dict(os.environ), len(os.listdir("/proc/self/task"))
import nl2sql_align
for name in sorted({*nl2sql_align.__all__} - {"align", "nightly"}):
    getattr(nl2sql_align, name)
after = dict(os.environ), len(os.listdir("/proc/self/task"))
sys.exit(f"{before}, {after}" if before != after else 0)
"""
    ended = subprocess.run(
        [sys.executable, "-W", "default", "-c", script], capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_exceptions_are_one_tree():
    errors = [name for name in nl2sql_align.__all__ if name.endswith("Error")]
    assert len(errors) > 5
    for name in errors:
        assert issubclass(getattr(nl2sql_align, name), nl2sql_align.AlignError)
