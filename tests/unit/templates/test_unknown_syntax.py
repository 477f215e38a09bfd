"""Rules for syntax that the parser does not know: tight, and quick for any text."""

import pytest

from nl2sql_align.tasks.templates.rules import Limits
from nl2sql_align.tasks.templates.templatizer import Templatizer
from tests.timing import fastest_seconds


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("tsql", "Update the top (5) boats"),
        ("mysql", "Insert coin"),
        ("tsql", "DELETE FROM t OUTPUT"),
        ("tsql", "Insert the top (5) with (great) care"),
        ("mysql", "Replace the lamp"),
        ("mysql", "SELECT a FROM t INTO"),
        ("mysql", "SELECT a NULL ON EMPTY FROM t"),
        ("oracle", "Log errors into the book"),
        ("postgres", "SELECT f(a WITH WRAPPER) FROM t"),
        ("clickhouse", "SELECT a FROM t LIMIT 1 LIMIT 2"),
        ("bigquery", "Take the boats |> SET sails |> DROP anchor"),
        ("sqlite", "SELECT a FROM t LIMIT 2 BY a LIMIT 3"),
    ],
)
def test_invalid_text_stays_rejected(dialect, sql):
    assert Templatizer(dialect)(sql).template is None


def test_a_reason_is_that_of_the_text_as_written():
    found = Templatizer("tsql")("UPDATE TOP (5) t SET a = 1 WHERE (b")
    assert found.reject_reason == (
        "does not parse: Invalid expression / Unexpected token (line 1, column 16)"
    )


@pytest.mark.parametrize(
    ("dialect", "kinds", "is_taken"),
    [
        ("mysql", ("dml",), True),
        ("mysql", ("query",), False),
    ],
)
def test_replace_is_dml(dialect, kinds, is_taken):
    limited = Templatizer(dialect, Limits(kinds=kinds))
    found = limited("REPLACE INTO t VALUES (1)")
    assert (found.template is not None) == is_taken
    if not is_taken:
        assert found.reject_reason == "left out by kinds: dml"


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("mysql", "/* a */ REPLACE /* b */ INTO t (a) -- c\nVALUES (1);"),
        ("tsql", "UPDATE /* a */ TOP (5) /* b */ t SET a = 1 -- c"),
        ("bigquery", "FROM t -- a\n|> SET b = 1 /* c */ |> LIMIT 3;"),
    ],
)
def test_comments_may_be_between_the_words(dialect, sql):
    assert Templatizer(dialect)(sql).template is not None


@pytest.mark.parametrize("statement", ["REPLACE INTO t VALUES ('a", "REPLACE INTO t VALUES ("])
def test_a_broken_replace_is_rejected(statement):
    assert Templatizer("sqlite")(statement).template is None


def test_a_replace_may_not_nest_deeper():
    sql = f"REPLACE INTO t VALUES ({'(' * 300}1{')' * 300})"
    assert Templatizer("mysql")(sql).reject_reason == "nested deeper than 200 brackets"


@pytest.mark.parametrize(
    ("dialect", "piece"),
    [
        ("tsql", "DELETE OUTPUT "),
        ("oracle", "MERGE UPDATE SET WHERE "),
        ("clickhouse", "LIMIT 1 BY "),
        ("mysql", "INTO @"),
        ("mysql", "INTO a, "),
    ],
)
def test_hostile_texts_take_linear_time(dialect, piece):
    templatizer = Templatizer(dialect)
    short, long = (piece * (n_characters // len(piece)) for n_characters in (2_000, 8_000))
    assert templatizer(long).template is None
    least = fastest_seconds(lambda: templatizer(short))
    assert fastest_seconds(lambda: templatizer(long)) < 10 * max(least, 0.02)
