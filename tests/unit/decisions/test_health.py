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
    health = check(tmp_path / "corpora.toml", threads=1)
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
