"""What the README shows is what the program does."""

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


def printed(arguments):
    """The lines that the README shows below a command."""
    shown = f"$ .venv/bin/nl2sql-align {arguments}\n"
    [block] = [block for block in blocks("console") if block.startswith(shown)]
    return block.removeprefix(shown).splitlines()


def test_its_matrix_is_the_one_of_the_samples(con):
    rows = con.execute(
        "select source, format('{:.3f}', kl_alignment) from alignment where target = 'orchard-dev'"
    ).fetchall()
    [(ceiling,)] = con.execute("select format('{:.3f}', ceiling) from ceilings").fetchall()
    shown = {line.split()[0]: line.split()[-1] for line in printed("matrix warehouse")[1:]}
    assert shown.pop("(ceiling)") == ceiling
    assert shown == {source: "99.4%" if source == "orchard-dev" else a for source, a in rows}


def test_its_ratios_are_those_of_the_samples(con):
    rows = con.execute(
        "select train, format('{:.3f}', alignment_ratio) from alignment_ratio "
        "order by target, predictions, alignment_ratio.alignment_ratio desc"
    ).fetchall()
    shown = [line.split() for line in printed("ratio warehouse") if re.search(r"\d\.\d{3} ", line)]
    assert [(line[0], line[2]) for line in shown if line[0] != "its"] == rows


def test_its_explanation_is_the_one_of_the_samples(sample_run, capsys):
    from flows import show
    from tasks.explain import explain

    found = explain(sample_run.warehouse, "synth-train", "orchard-dev", top=1)
    show.print_explanation(found, show.Format.TABLE)
    command = "explain warehouse synth-train orchard-dev --top 1"
    assert capsys.readouterr().out.splitlines() == printed(command)


def test_its_python_names_exist():
    for block in blocks("python"):
        imports = [line for line in block.splitlines() if line.startswith("from ")]
        exec("\n".join(imports), {})
    assert blocks("python")


def test_it_names_every_format_and_command():
    from flows.cli import app
    from tasks.config import formats

    assert [name for name in formats() if f"`{name}`" not in README] == []
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert [name for name in commands if f"nl2sql-align {name}" not in README] == []


def test_the_example_runs_and_finds_the_closest(sample_run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example.py", str(sample_run.warehouse)])
    runpy.run_path(str(ROOT / "docs" / "example.py"))
    printed = capsys.readouterr().out
    assert printed.startswith("orchard-dev: harbour-train is closest, at 0.909\n")
    assert "sprig-1b-base" in printed
    assert printed.splitlines()[-1].startswith("orchard-dev uses ")
