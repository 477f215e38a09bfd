"""Files for trainers: their layouts, prompts and splits, and that our own formats read them."""

import json
import re

import polars as pl
import pytest
import yaml

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.options import TrainingLayout
from nl2sql_align.tasks.decisions.training_files import (
    TrainingOptions,
    read_schemas,
    round_weights,
    write_mixture_files,
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
    folder.mkdir(exist_ok=True)
    return write_training_files(given, folder, TrainingOptions(layout, **options))


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
        assert made.num_rows == {"train": 4, "validation": 2}


def test_llama_factory_finds_its_files(tmp_path):
    write(tmp_path, "alpaca", rows(6, db_id=None), validation_share=0.5)
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert {one["file_name"] for one in info.values()} == {"train.jsonl", "validation.jsonl"}
    assert "dataset: nl2sql_train" in (tmp_path / "training.md").read_text()
    write(tmp_path / "other", "prompt-completion")
    assert not (tmp_path / "other" / "dataset_info.json").exists()


@pytest.mark.parametrize("layout", ["alpaca", "sharegpt", "messages"])
@pytest.mark.parametrize("has_system", [False, True])
def test_llama_factory_looks_for_columns_that_exist(tmp_path, layout, has_system):
    (tmp_path / "system.txt").write_text("You write SQL.")
    system = tmp_path / "system.txt" if has_system else None
    made = write(tmp_path, layout, system=system)
    columns = json.loads((tmp_path / "dataset_info.json").read_text())["nl2sql_train"]["columns"]
    row = read_lines(made.files["train"])[0]
    assert set(columns.values()) == set(row)


def mixed_rows():
    """The rows of two corpora, one of them without databases."""
    return pl.concat([rows(200), rows(300, source="b.2", db_id=None)], how="vertical_relaxed")


def read_block(page, language):
    return re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)[1]


@pytest.mark.parametrize("layout", TrainingLayout)
def test_hugging_face_mixes_corpora_by_their_weights(tmp_path, monkeypatch, layout):
    datasets = pytest.importorskip("datasets", reason="needs the package datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    weights = {"b.2": 0.8, "boats": 0.2, "none": 0.0004}
    write_mixture_files(mixed_rows(), weights, tmp_path, TrainingOptions(layout))
    page = (tmp_path / "training.md").read_text()
    monkeypatch.chdir(tmp_path)
    run = {}
    exec(read_block(page, "python"), run)
    # Rows end when b.2 has no more, after about 300 / 0.8.
    assert "after about 375 rows" in page
    assert len(run["data"]) == pytest.approx(375, rel=0.1)
    assert run["data"][:]  # the rows of both have one type
    for step in set(re.findall(r"`(data\.to_\w+\(.*?\))`", page)):
        exec(step, run)
        name = "mixture.parquet" if layout is TrainingLayout.VERL else "mixture.jsonl"
        read = pl.read_parquet if layout is TrainingLayout.VERL else pl.read_ndjson
        assert len(read(name)) == len(run["data"])
        assert name in page.split(step)[1]


def test_llama_factory_mixes_corpora_by_their_weights(tmp_path):
    weights = {"b.2": 0.7, "boats": 0.3}
    options = TrainingOptions(TrainingLayout.SHAREGPT)
    made = write_mixture_files(mixed_rows(), weights, tmp_path, options)
    assert made.n_rows == {"b.2": 300, "boats": 200}
    settings = yaml.safe_load(read_block((tmp_path / "training.md").read_text(), "yaml"))
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    files = [info[name]["file_name"] for name in settings["dataset"].split(",")]
    probabilities = map(float, settings["interleave_probs"].split(","))
    assert dict(zip(files, probabilities, strict=True)) == {"b.2.jsonl": 0.7, "boats.jsonl": 0.3}
    assert settings["mix_strategy"] == "interleave_under"
    # One corpus: the probabilities stay a text.
    write_mixture_files(mixed_rows(), {"boats": 1.0}, tmp_path, options)
    settings = yaml.safe_load(read_block((tmp_path / "training.md").read_text(), "yaml"))
    assert settings["interleave_probs"] == "1.0"


@pytest.mark.parametrize(
    ("weights", "rounded"),
    [
        ([1 / 3] * 3, [0.3333, 0.3334, 0.3333]),
        ([0.9996, 0.0004], [1.0]),
        ([0.99903, 0.00052, 0.00045], [0.9995, 0.0005]),
        ([0.00052] * 1923, None),
    ],
)
def test_weights_are_rounded_so_that_they_sum_to_one(weights, rounded):
    made = list(round_weights(dict(enumerate(weights))).values())
    assert rounded is None or made == rounded
    assert sum(made) == pytest.approx(1, abs=1e-12)
    assert min(made) > 0


def test_a_mixture_without_the_rows_of_a_corpus_is_refused(tmp_path):
    given = mixed_rows().with_columns(
        question=pl.when(pl.col("source") != "boats").then(pl.col("question"))
    )
    options = TrainingOptions(TrainingLayout.ALPACA)
    with pytest.raises(ConfigurationError, match=r"no row of 'boats' can be .*: they have no ques"):
        write_mixture_files(given, {"b.2": 0.7, "boats": 0.3}, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()
    options = TrainingOptions(TrainingLayout.ALPACA, validation_share=0.1)
    with pytest.raises(ConfigurationError, match="validation share: a mixture is not split"):
        write_mixture_files(given, {"b.2": 1.0}, tmp_path, options)


def test_the_schema_comes_from_the_row_or_from_a_file(tmp_path):
    (tmp_path / "tables.json").write_text(json.dumps(TABLES))
    assert read_schemas(tmp_path / "tables.json") == {"harbor": DDL}
    records = [json.dumps({"sql_context": "CREATE TABLE own (a int)", "evidence": "a is b"}), None]
    given = rows(2, record=records)
    made = write(tmp_path, given=given, schemas=tmp_path / "tables.json")
    prompts = [one["messages"][0]["content"] for one in read_lines(made.files["train"])]
    assert prompts[0].endswith("\n\nCREATE TABLE own (a int)\n\na is b\n\nQuestion 0?")
    assert prompts[1].endswith(f"\n\n{DDL}\n\nQuestion 1?")
    assert made.list_notes() == []
    made = write(tmp_path, given=given)
    assert made.list_notes() == [
        "1 of 2 prompts have no schema; --schemas tables.json adds those of Spider or BIRD"
    ]
    assert made.list_notes(are_dumps_current=False) == ["1 of 2 prompts have no schema"]


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
    assert made.list_notes()[0].startswith("1 row left out of the training files: they have no sch")
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


@pytest.mark.parametrize("has_databases", [True, False])
def test_a_database_or_query_of_two_sources_is_held_out_of_both(tmp_path, has_databases):
    n = len(QUERIES)
    names = [f"db{i}" for i in range(n)] if has_databases else [None] * n
    given = rows(2 * n, source=["a"] * n + ["b"] * n, sql=QUERIES * 2, db_id=names * 2)
    made = write(tmp_path, "alpaca", given=given, validation_share=1 / n)
    texts = [{row["output"] for row in read_lines(file)} for file in made.files.values()]
    assert texts[0].isdisjoint(texts[1])
    assert made.n_rows == {"train": 2 * n - 2, "validation": 2}


@pytest.mark.parametrize(
    ("record", "is_shortened"),
    [
        ({"messages": [{"role": "user"}, {"role": "assistant"}]}, False),
        ({"messages": [{"role": "system"}, {"role": "user"}, {"role": "assistant"}]}, True),
        ({"conversations": [{"from": "human"}, {"from": "gpt"}] * 2}, True),
        ({"prompt": [{"role": "user"}], "completion": [{"role": "assistant"}]}, False),
        ({"prompt": [{"role": "developer"}, {"role": "user"}]}, True),
        ({"instruction": "?", "system": "You write SQL."}, True),
        ({"instruction": "?", "history": [["a", "b"]]}, True),
        ({"prompt": "?"}, False),
    ],
)
def test_rows_whose_chats_are_not_written_whole_are_counted(tmp_path, record, is_shortened):
    given = rows(3, record=json.dumps({"schema": "CREATE TABLE boat (id int)", **record}))
    note = (
        "3 rows of the training files had a system prompt or earlier turns in the dump, which may "
        "contain schemas: these are left out; --system FILE adds a system prompt"
    )
    assert write(tmp_path, given=given).list_notes() == [note] * is_shortened


@pytest.mark.parametrize("field", ["{question:d}", "{question!r}", "{question:{schema}}"])
def test_a_field_of_a_prompt_has_no_form(tmp_path, field):
    prompt = tmp_path / "prompt.txt"
    prompt.write_text(f"Q: {field}")
    with pytest.raises(ConfigurationError, match=r"gives its field question a form .+ alone"):
        write(tmp_path / "out", prompt=prompt)


@pytest.mark.parametrize(
    ("databases", "share", "note"),
    [
        ([10] * 10, 0.25, []),
        (
            [None] * 10,
            0.01,
            [
                "3 of 10 rows are held out for validation, not 0.01 of them: rows of one query "
                "stay together, and nothing smaller is left"
            ],
        ),
        (
            [50, 50],
            0.05,
            [
                "50 of 100 rows are held out for validation, not 0.05 of them: databases are held "
                "out whole, and nothing smaller is left"
            ],
        ),
        (
            [10, 90],
            0.5,
            [
                "10 of 100 rows are held out for validation, not 0.5 of them: databases are held "
                "out whole, and nothing else fits"
            ],
        ),
        (
            [100],
            0.1,
            [
                "nothing is held out for validation: all rows are of one database, and databases "
                "are held out whole"
            ],
        ),
        ([100], 0.0, []),
    ],
)
def test_a_share_for_validation_that_databases_do_not_allow_is_told(
    tmp_path, databases, share, note
):
    ids = [name for i, n in enumerate(databases) for name in ([f"db{i}"] * n if n else [None])]
    given = rows(len(ids), db_id=ids, record=json.dumps({"schema": "CREATE TABLE boat (id int)"}))
    assert write(tmp_path, given=given, validation_share=share).list_notes() == note


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


def test_a_layout_may_be_given_by_its_name(tmp_path):
    for layout in TrainingLayout:
        by_name = write(tmp_path / "name", layout=layout.value)
        for name, file in write(tmp_path / "member", layout=layout).files.items():
            assert by_name.files[name].read_bytes() == file.read_bytes()


def test_wrong_options_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="layout: 'csv' is not one of messages, prompt-"):
        write(tmp_path, layout="csv")
    with pytest.raises(ConfigurationError, match="validation share: 1 is not between 0 and 1"):
        write(tmp_path, validation_share=1)
    with pytest.raises(ConfigurationError, match=r"none\.txt: cannot be read"):
        write(tmp_path, system=str(tmp_path / "none.txt"))
    (tmp_path / "tables.json").write_text('[{"db_id": 1}]')
    with pytest.raises(ConfigurationError, match=r"not have the layout of Spider's tables\.json"):
        write(tmp_path, schemas=tmp_path / "tables.json")
