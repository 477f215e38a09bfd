"""Weights of questions, and the files with them that are refused."""

import polars as pl
import pytest

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.question_weights import read_weights

WEIGHTS = pl.DataFrame({"id": ["b", "a", "c"], "weight": [0.5, 0.0, 2.0]})
WRITERS = {
    ".csv": WEIGHTS.write_csv,
    ".tsv": lambda path: WEIGHTS.write_csv(path, separator="\t"),
    ".json": WEIGHTS.write_json,
    ".jsonl": WEIGHTS.write_ndjson,
    ".parquet": WEIGHTS.write_parquet,
}


@pytest.fixture(scope="module")
def con():
    """A target whose second question has two queries, and a corpus without ids."""
    with connect() as con:
        con.execute(
            "create table queries as from (values "
            "('dev', 0, 0, 'a'), ('dev', 1, 1, 'b'), ('dev', 2, 1, 'b'), ('dev', 3, 3, 'c'), "
            "('log', 0, 0, null), ('log', 1, 1, null)"
            ") as q(corpus, ordinal, question_ordinal, id)"
        )
        yield con


@pytest.mark.parametrize("suffix", WRITERS)
def test_each_query_has_the_weight_of_its_question(con, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    WRITERS[suffix](path)
    found = read_weights(con, "dev", path)
    assert found.rows() == [(0, 0.0), (1, 0.5), (2, 0.5), (3, 2.0)]


def test_questions_are_named_by_ordinal_too(con, tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text("ordinal,model,weight\n1,m,0.25\n0,m,1\n")
    assert read_weights(con, "log", path).rows() == [(0, 1.0), (1, 0.25)]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_read_as_those_of_dumps(con, tmp_path, separator):
    path = tmp_path / "weights.csv"
    path.write_text("ordinal,weight\n1,0.25\n0,1\n".replace(",", separator))
    assert read_weights(con, "log", path).rows() == [(0, 1.0), (1, 0.25)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id,error\na,1\n", "needs the columns weight, and id or ordinal; it has id, error"),
        ("id,weight\na,1\nb,no\nc,1\n", "row 2 (id b): the weight is not a number from 0 on"),
        ("id,weight\na,1\nb,-1\nc,1\n", "row 2 (id b): the weight is not a number from 0 on"),
        ("id,weight\na,nan\nb,1\nc,1\n", "row 1 (id a): the weight is not a number from 0 on"),
        ("id,weight\na,1\nb,inf\nc,1\n", "row 2 (id b): the weight is not a number from 0 on"),
        ("id,weight\na,\nb,1\nc,1\n", "row 1 (id a): the weight is not a number from 0 on"),
        ("id,weight\na,1\nb,1\nb,2\nc,1\n", "id b has several weights; keep one"),
        ("id,weight\na,1\nc,1\n", "1 question of dev has no weight, such as id b; add"),
        ("id,weight\na,1\nb,1\nc,1\nx,1\n", "1 weight is not for questions of dev, such as id x"),
        ("", "cannot be read (empty"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(con, tmp_path, text, problem):
    path = tmp_path / "weights.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        read_weights(con, "dev", path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert problem in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["weights.csv", "weights.jsonl", "weights.parquet", "weights.txt"])
def test_a_file_that_cannot_be_read_is_refused_in_one_line(con, tmp_path, name):
    with pytest.raises(ConfigurationError, match=r"cannot be read \(.*\); check|is not one of"):
        read_weights(con, "dev", tmp_path / name)
    (tmp_path / name).write_bytes(b'{"id": \xff\x00\n')
    with pytest.raises(ConfigurationError) as error:
        read_weights(con, "dev", tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_target_without_ids_needs_ordinals(con, tmp_path):
    path = tmp_path / "weights.csv"
    path.write_text("id,weight\na,1\n")
    with pytest.raises(ConfigurationError, match="1 weight is not for questions of log"):
        read_weights(con, "log", path)
