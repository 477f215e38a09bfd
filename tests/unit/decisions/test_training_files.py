"""Files for trainers: their layouts, prompts and splits, and that our own formats read them."""

import json

import polars as pl
import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.options import TrainingLayout
from nl2sql_align.tasks.decisions.training_files import (
    TrainingOptions,
    read_schemas,
    write_training_files,
)
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.format_recognition import resolve_format

QUERIES = ["SELECT name FROM boat", "SELECT 'it''s' -- a\n, \"b\" FROM t", "SELECT 1 -- é"]
TABLES = [
    {
        "db_id": "harbor",
        "table_names_original": ["boat", "crew member"],
        "column_names_original": [[-1, "*"], [0, "id"], [0, "name"], [1, "boat"], [1, "rank"]],
        "column_types": ["text", "number", "text", "number", "text"],
        "primary_keys": [1, [3, 4]],
        "foreign_keys": [[3, 1]],
    }
]
DDL = """CREATE TABLE boat (
  id number primary key,
  name text
);
CREATE TABLE "crew member" (
  boat number,
  rank text,
  primary key (boat, rank),
  foreign key (boat) references boat (id)
);"""


def rows(n=3, **columns):
    given = {
        "source": "boats",
        "ordinal": range(n),
        "question": [f"Question {i}?" for i in range(n)],
        "db_id": "harbor",
        "sql": [QUERIES[i % 3] for i in range(n)],
        "dialect": "sqlite",
        "record": None,
        **columns,
    }
    return pl.DataFrame(given, schema_overrides={"record": pl.String, "question": pl.String})


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(folder, layout="messages", given=None, **options):
    given = rows() if given is None else given
    return write_training_files(given, folder, TrainingOptions(TrainingLayout(layout), **options))


def test_each_layout_has_the_keys_of_its_trainers(tmp_path):
    (tmp_path / "system.txt").write_text("You write SQL.")
    options = {"system": tmp_path / "system.txt"}
    asked = "Write a SQLite query that answers the question.\n\nQuestion 0?"
    system = {"role": "system", "content": "You write SQL."}
    user = {"role": "user", "content": asked}
    answer = {"role": "assistant", "content": QUERIES[0]}

    def first(layout):
        return read_lines(write(tmp_path / layout, layout, **options).files["train"])[0]

    assert first("messages") == {"messages": [system, user, answer]}
    assert first("prompt-completion") == {"prompt": [system, user], "completion": [answer]}
    assert first("alpaca") == {
        "instruction": asked,
        "input": "",
        "output": QUERIES[0],
        "system": "You write SQL.",
    }
    assert first("sharegpt") == {
        "conversations": [
            {"from": "human", "value": asked},
            {"from": "gpt", "value": QUERIES[0]},
        ],
        "system": "You write SQL.",
    }
    made = pl.read_parquet(write(tmp_path / "verl", "verl", **options).files["train"])
    assert made.row(0, named=True) == {
        "data_source": "boats",
        "prompt": [system, user],
        "ability": "text-to-sql",
        "reward_model": {"style": "rule", "ground_truth": QUERIES[0]},
        "extra_info": {"split": "train", "index": 0, "db_id": "harbor"},
    }


@pytest.mark.parametrize(
    ("layout", "format"),
    [
        ("messages", "chat"),
        ("sharegpt", "chat"),
        ("alpaca", "alpaca"),
        ("prompt-completion", "trl"),
    ],
)
def test_our_own_formats_read_the_same_queries(tmp_path, layout, format):
    path = write(tmp_path, layout).files["train"]
    given = CorpusEntry(name="again", role="train", format="auto", dialect="sqlite", path=path)
    entry, _ = resolve_format(given)
    assert entry.format == format
    ingest_corpus(entry, tmp_path / "queries.parquet")
    assert pl.read_parquet(tmp_path / "queries.parquet")["sql"].to_list() == QUERIES


def test_every_layout_is_loaded_by_hugging_face(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets", reason="needs the package datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for layout in TrainingLayout:
        files = write(
            tmp_path / layout, layout, validation_share=0.5, given=rows(6, db_id=None)
        ).files
        kind = "parquet" if layout is TrainingLayout.VERL else "json"
        names = {name: str(path) for name, path in files.items()}
        made = datasets.load_dataset(kind, data_files=names, cache_dir=str(tmp_path / "cache"))
        assert made.num_rows == {"train": 3, "validation": 3}


def test_llama_factory_finds_its_files(tmp_path):
    write(tmp_path, "alpaca", rows(6, db_id=None), validation_share=0.5)
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert {one["file_name"] for one in info.values()} == {"train.jsonl", "validation.jsonl"}
    assert "dataset: nl2sql_train" in (tmp_path / "training.md").read_text()
    write(tmp_path, "prompt-completion")
    assert not (tmp_path / "dataset_info.json").exists()


def test_the_schema_comes_from_the_row_or_from_a_file(tmp_path):
    (tmp_path / "tables.json").write_text(json.dumps(TABLES))
    assert read_schemas(tmp_path / "tables.json") == {"harbor": DDL}
    records = [json.dumps({"sql_context": "CREATE TABLE own (a int)", "evidence": "a is b"}), None]
    given = rows(2, record=records)
    made = write(tmp_path, given=given, schemas=tmp_path / "tables.json")
    prompts = [one["messages"][0]["content"] for one in read_lines(made.files["train"])]
    assert prompts[0].endswith("\n\nCREATE TABLE own (a int)\n\na is b\n\nQuestion 0?")
    assert prompts[1].endswith(f"\n\n{DDL}\n\nQuestion 1?")
    assert made.notes == []
    made = write(tmp_path, given=given)
    assert made.notes == [
        "1 of 2 prompts have no schema; --schemas tables.json adds those of Spider or BIRD"
    ]


def test_rows_that_a_trainer_cannot_use_are_left_out(tmp_path):
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("{{x}} {schema} Q: {question}")
    records = [json.dumps({"context": "DDL {a}"}), None, None]
    given = rows(3, question=["Which {b}?", "Which?", " "], record=records)
    made = write(tmp_path, given=given, prompt=prompt)
    [one] = read_lines(made.files["train"])
    assert one["messages"][0]["content"] == "{x} DDL {a} Q: Which {b}?"
    assert made.left_out == {
        "they have no schema, which the prompt needs": 1,
        "they have no question": 1,
    }
    assert made.notes[0].startswith("1 rows are left out of the training files: they have no sch")
    with pytest.raises(ConfigurationError, match="no row can be written for a trainer: they have"):
        write(tmp_path, given=given[1:], prompt=prompt)


def test_validation_holds_out_whole_databases(tmp_path):
    given = rows(100, db_id=[f"db{i % 10}" for i in range(100)])

    def questions(split, **options):
        made = write(tmp_path, given=given, **options)
        lines = read_lines(made.files[split])
        return {one["messages"][0]["content"].rsplit(" ", 1)[1] for one in lines}

    held_out = questions("validation", validation_share=0.25)
    assert held_out == questions("validation", validation_share=0.25)
    assert len(held_out) == 20
    assert len({int(text.rstrip("?")) % 10 for text in held_out}) == 2
    assert held_out.isdisjoint(questions("train", validation_share=0.25))
    # A share smaller than any database holds out the smallest one, rather than nothing.
    assert len(questions("validation", validation_share=0.01)) == 10


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("{question} {table}", "unknown fields: table; there are: question, schema,"),
        ("{question", "is not valid"),
        ("SELECT", r"has no \{question\}"),
    ],
)
def test_a_wrong_prompt_is_refused(tmp_path, prompt, message):
    (tmp_path / "prompt.txt").write_text(prompt)
    with pytest.raises(ConfigurationError, match=message):
        write(tmp_path, prompt=tmp_path / "prompt.txt")


def test_wrong_options_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="validation share: 1 is not between 0 and 1"):
        write(tmp_path, validation_share=1)
    with pytest.raises(ConfigurationError, match=r"none\.txt: cannot be read"):
        write(tmp_path, system=tmp_path / "none.txt")
    (tmp_path / "tables.json").write_text('[{"db_id": 1}]')
    with pytest.raises(ConfigurationError, match=r"not have the layout of Spider's tables\.json"):
        write(tmp_path, schemas=tmp_path / "tables.json")
