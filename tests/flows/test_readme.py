"""What the README shows is what the program does; test_docs.py compares what commands print."""

import re
import runpy
import sys
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.flow
ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def con(sample_run):
    with duckdb.connect(str(sample_run.warehouse / "alignment.duckdb"), read_only=True) as con:
        yield con


@pytest.mark.parametrize("sql", blocks("sql"))
def test_its_queries_run_and_find_something(con, sample_run, sql):
    for statement in con.extract_statements(sql.replace("/new/place", str(sample_run.warehouse))):
        con.execute(statement)
    assert con.fetchall()


def test_its_python_names_exist():
    for block in blocks("python"):
        imports = [line for line in block.splitlines() if line.startswith("from ")]
        exec("\n".join(imports), {})
    assert blocks("python")


def test_it_names_every_format_and_command():
    from nl2sql_align.flows.cli import app
    from nl2sql_align.tasks.ingest.corpora_file import list_formats

    assert [name for name in list_formats() if f"`{name}`" not in README] == []
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert [name for name in commands if f"nl2sql-align {name}" not in README] == []


def test_the_example_runs_and_finds_the_closest(sample_run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example.py", str(sample_run.warehouse)])
    runpy.run_path(str(ROOT / "docs" / "example.py"))
    printed = capsys.readouterr().out
    assert printed.startswith("orchard-dev: harbour-train is closest, at 0.909\n")
    assert "sprig-1b-base" in printed
    assert printed.splitlines()[-1].startswith("orchard-dev uses ")
