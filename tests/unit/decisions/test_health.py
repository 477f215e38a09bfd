"""The faults of data sets, from two small ones."""

import json

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError, RequirementError
from nl2sql_align.tasks.decisions.health import check

CREW = "CREATE TABLE crew (age int, name text)"
TRAIN = [
    ("How old?", "SELECT age FROM crew WHERE name = 'Ann'", CREW),
    ("How old?", "select age  from crew WHERE name = 'Ann'", CREW),
    ("how old", "SELECT age FROM crew AS c WHERE c.name = 'Ann'", CREW),
    ("How old?", "SELECT max(age) FROM crew", CREW),
    ("Which ships?", "SELECT ship FROM ships", CREW),
    ("Broken", "not a query", CREW),
]


def write(path, rows):
    lines = [json.dumps({"question": q, "sql": s, "context": c}) for q, s, c in rows]
    path.write_text("\n".join(lines))


def test_findings_name_their_rows(tmp_path):
    write(tmp_path / "train.jsonl", TRAIN)
    write(tmp_path / "dev.jsonl", [("Who?", "SELECT  max(age) FROM crew", CREW)])
    entries = "".join(
        f'[[corpus]]\nname = "{name}"\nrole = "{role}"\nformat = "jsonl"\ndialect = "sqlite"\n'
        f'path = "{name}.jsonl"\ncolumns = {{ sql = "sql", question = "question" }}\n'
        for name, role in (("train", "train"), ("dev", "target"))
    )
    (tmp_path / "corpora.toml").write_text(entries)
    health = check(str(tmp_path / "corpora.toml"), threads=1)
    found = {(kind, *row) for kind, *row in health.findings.drop("detail").rows()}
    assert found == {
        ("duplicate-pair", "train", 1, "train", 0),
        ("duplicate-near-pair", "train", 2, "train", 0),
        ("duplicate-question", "train", 3, "train", 0),
        ("contradiction", "train", 3, "train", 0),
        ("leak-sql", "train", 3, "dev", 0),
        ("missing-table", "train", 4, None, None),
        ("reject", "train", 5, None, None),
    }
    assert health.checked.rows() == [("train", 6, 5), ("dev", 1, 1)]
    health.require_none(["shared"])
    with pytest.raises(RequirementError, match="leak-sql, row 3 of train"):
        health.require_none(["leak"])
    with pytest.raises(ConfigurationError, match="no kind of findings is 'typo'"):
        health.require_none(["typo"])


def test_blank_questions_are_not_the_same_question(tmp_path):
    write(tmp_path / "train.jsonl", [(" ", "SELECT age FROM crew", ""), ("", "SELECT 1", "")])
    write(tmp_path / "dev.jsonl", [("", "SELECT max(age) FROM crew", "")])
    entries = "".join(
        f'[[corpus]]\nname = "{name}"\nrole = "{role}"\nformat = "jsonl"\ndialect = "sqlite"\n'
        f'path = "{name}.jsonl"\ncolumns = {{ sql = "sql", question = "question" }}\n'
        for name, role in (("train", "train"), ("dev", "target"))
    )
    (tmp_path / "corpora.toml").write_text(entries)
    assert check(str(tmp_path / "corpora.toml"), threads=1).findings.rows() == []


def write_corpora(folder, **corpora):
    """Write a corpora file of gold SQL or lines, with the keys given for each corpus."""
    entries = "".join(
        f'[[corpus]]\nname = "{name}"\ndialect = "sqlite"\npath = "{name}.sql"\n'
        + "".join(f'{key} = "{value}"\n' for key, value in keys.items())
        for name, keys in corpora.items()
    )
    (folder / "corpora.toml").write_text(entries)
    return folder / "corpora.toml"


def test_near_repeats_have_the_same_tables_and_telling_values(tmp_path):
    queries = [
        "SELECT age FROM crew WHERE name = 'Ann'",
        'SELECT berth FROM Crew AS c WHERE c.name = "ann"',  # near: another column
        "SELECT size FROM boats WHERE harbor = 'Ann'",  # other tables
        "SELECT age FROM crew WHERE name = 'var0'",
        "SELECT berth FROM crew WHERE name = 'var0'",  # a placeholder is not a value
        "SELECT berth FROM crew WHERE port = 12",  # nor is a short number telling
        "SELECT age FROM crew WHERE deck = 12",
    ]
    (tmp_path / "train.sql").write_text("\n".join(f"{sql}\tfleet" for sql in queries))
    file = write_corpora(tmp_path, train={"role": "train", "format": "gold_sql"})
    found = check(file, threads=1).findings.drop("detail", "other_corpus").rows()
    assert found == [("duplicate-near-sql", "train", 1, 0)]


def test_names_in_answers_are_checked_with_the_database_of_their_question(tmp_path):
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "dev.sql").write_text("SELECT age FROM crew\tfleet\nSELECT a FROM b\tx\n")
    (tmp_path / "answers.sql").write_text("SELECT rank FROM crew\nSELECT c FROM d\n")
    (tmp_path / "few.sql").write_text("SELECT rank FROM crew\n")
    schema = {
        "db_id": "fleet",
        "table_names_original": ["crew"],
        "column_names_original": [[-1, "*"], [0, "age"]],
    }
    (tmp_path / "gold" / "tables.json").write_text(json.dumps([schema]))
    answers = {"role": "predictions", "format": "lines", "target": "dev", "model": "m"}
    file = write_corpora(
        tmp_path,
        dev={"role": "target", "format": "gold_sql"},
        answers=answers,
        few=answers,  # which questions it answers is not known
    )
    file.write_text(file.read_text().replace('"dev.sql"', '"gold/dev.sql"'))
    health = check(file, threads=1)
    assert health.findings.select("kind", "corpus", "ordinal", "detail").rows() == [
        ("missing-column", "answers", 0, "rank")
    ]
    assert health.checked["n_checked"].to_list() == [1, 1, 0]
