"""The README does what it shows; test_docs.py compares the output that it shows."""

import json
import re
import runpy
import shlex
import shutil
import sys
from contextlib import chdir
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

pytestmark = pytest.mark.flow
ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


COMMANDS = re.findall(r"^\$ (.*)$", "".join(blocks("console")), re.MULTILINE)


@pytest.fixture(scope="module")
def project(sample_run, tmp_path_factory):
    """A folder like the project's after ``make align``, where commands may write."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(sample_run.warehouse, folder / "warehouse")
    (folder / "samples").symlink_to(SAMPLES)
    with chdir(folder):
        yield folder


def test_it_is_one_page_and_shows_the_two_commands_to_start_with():
    assert len(README.splitlines()) <= 140
    assert COMMANDS.index("make align") < COMMANDS.index(".venv/bin/nl2sql-align ratio warehouse")
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"align", "test"} <= set(re.findall(r"(?:`|\$ )make (\w+)", README)) <= set(targets)


@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.startswith("make ")])
def test_its_commands_succeed(project, command):
    from nl2sql_align.flows.cli import app

    program, *arguments = shlex.split(command)
    assert program == ".venv/bin/nl2sql-align"
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.output
    if "--out" in arguments:
        folder = Path(arguments[arguments.index("--out") + 1])
        rows = (folder / "selection.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(rows) == int(arguments[arguments.index("--budget") + 1])


@pytest.mark.parametrize("code", blocks("python"))
def test_its_python_runs(project, code):
    names = {}
    exec(code, names)
    assert not names["load"]("warehouse").ratios.is_empty()
    assert blocks("python")


@pytest.mark.parametrize("sql", blocks("sql"))
def test_its_queries_run_and_find_something(project, sql):
    with duckdb.connect("warehouse/alignment.duckdb", read_only=True) as con:
        assert con.execute(sql).fetchall()


def test_its_corpora_file_can_be_run(job, tmp_path):
    [text] = blocks("toml")
    (tmp_path / "my.toml").write_text(text, encoding="utf-8")
    for folder in ("spider", "logs", "answers"):
        (tmp_path / folder).mkdir()
    shutil.copy(SAMPLES / "harbour-train.json", tmp_path / "spider" / "train.json")
    shutil.copy(SAMPLES / "predictions" / "sprig-1b-base.sql", tmp_path / "answers" / "base.sql")
    rows = json.loads((SAMPLES / "orchard-dev.json").read_text(encoding="utf-8"))
    lines = [json.dumps({"statement": row["query"], "database": row["db_id"]}) for row in rows]
    (tmp_path / "logs" / "queries.jsonl").write_text("\n".join(lines), encoding="utf-8")
    summary = job(tmp_path / "my.toml", tmp_path / "my-results")
    assert summary.corpora == ("my-train", "my-workload", "my-model-base")
    assert summary.set_aside == {}
    with duckdb.connect(str(tmp_path / "my-results" / "alignment.duckdb"), read_only=True) as con:
        ratios = con.execute("select train, predictions, verdict from alignment_ratio").fetchall()
    assert ratios == [("my-train", "my-model-base", "gain")]


def test_the_example_runs_and_finds_the_closest(sample_run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["example.py", str(sample_run.warehouse)])
    runpy.run_path(str(ROOT / "docs" / "example.py"))
    printed = capsys.readouterr().out
    assert printed.startswith("orchard-dev: harbour-train is closest, at 0.909\n")
    assert "sprig-1b-base" in printed
    assert printed.splitlines()[-1].startswith("orchard-dev uses ")
