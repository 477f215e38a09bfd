"""Comparing a few files or frames: the numbers of a run, without its set-up."""

import json
import math
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.results import read
from nl2sql_align.tasks.run.given_corpora import list_given, make_entry
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.views.comparison import Comparison, compare
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.usefixtures("one_parser_process")

JOINED = "SELECT a FROM b JOIN c ON d = e WHERE f = {}"
COUNTED = "SELECT count(*) FROM b GROUP BY a HAVING count(*) > {}"
TRAIN = [JOINED.format(i) for i in range(6)] + [COUNTED.format(i) for i in range(4)]
TARGET = [JOINED.format(7), COUNTED.format(8), JOINED.format(9)]
ANSWERS = ["SELECT a FROM b", COUNTED.format(1), ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dumps")
    for name, queries in (("boats", TRAIN), ("dev", TARGET), ("answers", ANSWERS)):
        (folder / f"{name}.sql").write_text("".join(f"{query}\n" for query in queries))
    return folder


@pytest.fixture(scope="module")
def comparison(folder):
    return compare(
        {"boats": folder / "boats.sql", "ports": ["SELECT 1 <b>", "SELECT a FROM b LIMIT 3"]},
        folder / "dev.sql",
        [folder / "answers.sql"],
        dialect="sqlite",
    )


def test_the_numbers_are_those_of_a_run(folder, comparison):
    entry = '[[corpus]]\nname = "{0}"\nrole = "{1}"\nformat = "auto"\ndialect = "sqlite"\n'
    entry += 'path = "{0}.sql"\n'
    file = folder / "corpora.toml"
    file.write_text(
        entry.format("boats", "train")
        + entry.format("dev", "target")
        + entry.format("answers", "predictions")
        + 'target = "dev"\nmodel = "answers"\n'
    )
    made = folder / "warehouse"
    run_locally(load_corpora(file), Warehouse(made))
    expected = read.matrix(made).filter(pl.col("source") == "boats", pl.col("target") == "dev")
    assert comparison.alignment.filter(pl.col("source") == "boats").equals(expected)
    [ratio] = read.ratio(made).to_dicts()
    assert comparison.ratios.filter(pl.col("train") == "boats").to_dicts() == [ratio]


def test_the_closest_training_set_comes_first_with_reasons(comparison):
    assert comparison.alignment["source"].to_list() == ["boats", "ports"]
    assert list(comparison.sentences) == ["boats", "ports"]
    assert comparison.sentences["ports"][0] == (
        "dev uses conditions in 100% of its queries, ports in 0%."
    )
    assert comparison.ratios["predictions"].unique().to_list() == ["answers"]
    assert comparison.set_aside == {}
    assert any(note.startswith("boats: recognized as format 'lines'") for note in comparison.notes)


def test_it_shows_itself(comparison):
    page = comparison.as_html()
    assert comparison._repr_html_() in page
    assert "<h2>boats, ports for dev</h2>" in page
    assert "<td>boats</td>" in page
    assert "Fine-tuning an untuned model at a ratio" in page
    text = comparison.as_markdown()
    assert "| training set | KL-alignment |" in text
    assert json.loads(json.dumps(comparison.as_dict(), default=str))["target"] == "dev"


def test_text_of_dumps_is_escaped():
    frame, columns = pl.DataFrame(), {"source": pl.String, "doubts": pl.List(pl.String)}
    made = Comparison("dev", frame, pl.DataFrame(schema=columns), frame, {}, ["<b>|*\x1b"], {})
    assert "&lt;b&gt;|*" in made.as_html()
    assert "\\<b\\>\\|\\*\N{REPLACEMENT CHARACTER}" in made.as_markdown()


@pytest.mark.parametrize("kind", ["list", "polars", "arrow", "data set"])
def test_data_in_memory_is_written_for_the_program_to_read(tmp_path, kind):
    class DataSet:
        def to_parquet(self, path):
            pl.DataFrame({"query": TRAIN}).write_parquet(path)

    given = {
        "list": TRAIN,
        "polars": pl.DataFrame({"query": TRAIN}),
        "arrow": pa.table({"query": TRAIN}),
        "data set": DataSet(),
    }[kind]
    [(name, one)] = list_given(given, "train").items()
    entry = make_entry(name, one, "train", tmp_path)
    assert (entry.name, entry.path) == ("train", tmp_path / "train.parquet")
    assert pl.read_parquet(entry.path).to_series().to_list() == TRAIN


@pytest.mark.parametrize("kind", ["list", "pandas"])
def test_rows_whose_values_mix_types_are_taken(kind, tmp_path):
    rows = [
        {"query": "SELECT a FROM t", "sql": {"from": ["t", {"b": 1}]}, "note": math.nan},
        {"query": "SELECT b FROM t", "sql": {"from": [5]}, "note": "ü"},
    ]
    if kind == "pandas":
        pandas = pytest.importorskip("pandas", reason="needs pandas, which datasets brings")
    given = pandas.DataFrame(rows) if kind == "pandas" else rows
    [(name, one)] = list_given(given, "train").items()
    entry = make_entry(name, one, "train", tmp_path)
    assert pl.read_ndjson(entry.path).select("query", "note").rows() == [
        ("SELECT a FROM t", None),
        ("SELECT b FROM t", "ü"),
    ]


def test_lists_of_files_are_not_taken_for_queries(folder):
    files = [folder / "boats.sql", folder / "dev.sql"]
    assert list_given(files, "train") == {"boats": files[0], "dev": files[1]}
    texts = list(map(str, files))
    assert list_given(texts, "train") == {"boats": texts[0], "dev": texts[1]}
    assert list_given([*texts, "missing.sql"], "train") == {"train": [*texts, "missing.sql"]}
    assert list_given(["SELECT 1", None], "answers") == {"answers": ["SELECT 1", None]}


def test_files_of_one_name_are_told_apart_by_their_folders():
    given = [Path("spider/train.json"), Path("bird/train.json"), Path("bird/train.json")]
    assert list(list_given(given, "train")) == ["spider-train", "bird-train", "bird-train-2"]
    given = [Path("v1.0/train.json"), Path("v1.1/train.json")]
    assert list(list_given(given, "train")) == ["v1.0-train", "v1.1-train"]
    frame = pl.DataFrame({"query": TRAIN})
    given = [frame, frame, Path("train-2.json")]
    assert list(list_given(given, "train")) == ["train", "train-2", "train-2-2"]


def test_the_same_file_can_be_training_set_and_target(folder):
    made = compare(folder / "dev.sql", folder / "dev.sql", dialect="sqlite")
    assert made.target == "dev-target"
    assert made.alignment["kl_alignment"].to_list() == [1.0]


def test_a_part_that_cannot_be_used_is_named(folder):
    made = compare([folder / "boats.sql", folder / "none.sql"], folder / "dev.sql")
    assert made.alignment["source"].to_list() == ["boats"]
    assert list(made.set_aside) == ["none"]


def test_a_comparison_needs_a_target(folder):
    with pytest.raises(CorpusError, match=r"corpus 'none' \(.*none\.sql\): does not exist; "):
        compare(folder / "boats.sql", folder / "none.sql")
    with pytest.raises(CorpusError, match=r"'dev'.*no query has a template.*inspect"):
        compare(folder / "boats.sql", {"dev": ["no query", "none either"]})
    with pytest.raises(ConfigurationError, match="a comparison has one target, not boats, dev"):
        compare(TRAIN, [folder / "boats.sql", folder / "dev.sql"])


class MixedFrame:
    def __arrow_c_stream__(self, requested_schema=None):
        raise pa.ArrowInvalid("mixed types")


def test_other_data_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="train: cannot take data of type int; pass a"):
        make_entry("train", 5, "train", tmp_path)
    with pytest.raises(ConfigurationError, match="train: item 1 of the list is of type int; a li"):
        make_entry("train", ["SELECT 1", 5], "train", tmp_path)
    with pytest.raises(ConfigurationError, match="the frame cannot be converted to Arrow"):
        make_entry("train", MixedFrame(), "train", tmp_path)
    with pytest.raises(ConfigurationError, match=r"train: choose one of the splits.*: train, dev"):
        make_entry("train", {"train": [], "dev": []}, "train", tmp_path)
    with pytest.raises(ConfigurationError, match="train: no data is given"):
        list_given([], "train")


def test_the_command_prints_the_comparison(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    files = [str(folder / name) for name in ("boats.sql", "dev.sql")]
    line = ["compare", *files, "--dialect", "sqlite"]
    assert invoke([*line, "--require", "kl_alignment > 0.9999"]) == 4
    failed = "required: kl_alignment > 0.9999; it fails for 1 of 1 rows"
    assert failed in capsys.readouterr().err
    assert invoke([*line, "--require", "kl_alignment > 0.5"]) == 0
    printed = capsys.readouterr()
    assert "KL-alignment with dev" in printed.out
    assert "boats" in printed.out
    assert "boats: recognized as format 'lines'" in printed.err
    answers = ["--answers", str(folder / "answers.sql"), "--format", "json"]
    assert invoke(["compare", *files, str(folder / "dev.sql"), *answers]) == 0
    made = json.loads(capsys.readouterr().out)
    assert {row["train"] for row in made["ratios"]} == {"boats", "dev"}
    assert invoke(["compare", files[0], str(folder / "none.sql")]) == 3
    assert invoke(["compare", files[0]]) == 2
    assert "Invalid value for TARGET" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["{boats}", "{dev}", "--answers", "{answers}", "{other}"],
        ["{boats}", "{dev}", "--answers={answers}", "{other}", "--format", "json"],
        ["{boats}", "--answers", "{answers}", "{dev}"],
    ],
)
def test_files_behind_the_answers_are_not_taken_for_the_target(folder, capsys, arguments):
    names = {name: str(folder / f"{name}.sql") for name in ("boats", "dev", "answers", "other")}
    assert invoke(["compare", *(one.format(**names) for one in arguments)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--answers takes one file, and other files follow it; repeat it for each file" in line


def test_answers_may_precede_all_files(folder, capsys):
    boats, dev, answers = (str(folder / f"{name}.sql") for name in ("boats", "dev", "answers"))
    assert invoke(["compare", "--format", "json", "--answers", answers, boats, dev]) == 0
    made = json.loads(capsys.readouterr().out)
    assert {row["train"] for row in made["ratios"]} == {"boats"}


def test_a_comparison_does_not_import_prefect(folder):
    script = """
import sys
from nl2sql_align.flows.cli import invoke
invoke(["compare", *sys.argv[1:], "--format", "md"])
print(*sys.modules)
"""
    files = [str(folder / name) for name in ("boats.sql", "dev.sql")]
    ended = subprocess.run(
        [sys.executable, "-c", script, *files], capture_output=True, text=True, check=True
    )
    assert "## boats for dev" in ended.stdout
    assert "prefect" not in ended.stdout.splitlines()[-1].split()
