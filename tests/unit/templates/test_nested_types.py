"""Functions named like types within each other, on which the parser goes back at each level."""

import itertools

import pytest

from nl2sql_align.tasks.templates import templatizer
from nl2sql_align.tasks.templates.nested_types import mark_functions
from nl2sql_align.tasks.templates.rules import TOO_MANY_ATTEMPTS, Limits
from nl2sql_align.tasks.templates.templatizer import Templatizer

DIALECTS = ["sqlite", "postgres", "mysql", "tsql", "bigquery", "snowflake", "clickhouse", "athena"]


def nested(functions, inner="x", bracket="()"):
    opened = "".join(f"{function}{bracket[0]}" for function in functions)
    return f"SELECT {opened}{inner}{bracket[1] * len(functions)} FROM b"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("function", ["DATE", "CHAR", "DECIMAL", "STRUCT"])
def test_deeply_nested_functions_have_a_template(dialect, function):
    templated = Templatizer(dialect)(nested([function] * 24))
    assert templated.template == f"SELECT {f'{function} ( ' * 24}{') ' * 24}FROM"


@pytest.mark.parametrize("dialect", ["sqlite", "bigquery", "clickhouse"])
def test_showing_functions_as_functions_changes_no_template(dialect, monkeypatch):
    """The innermost function, and the type in a cast, are types for the parser first."""
    words = ["DATE", "CHAR", "JSON", "YEAR"]
    queries = [
        nested(chosen, inner)
        for chosen in itertools.permutations(words, 3)
        for inner in ("x", "a.b + 1", "CAST(x AS DECIMAL(10, 2))", "x, y", "(SELECT 1)")
    ]
    expected = [Templatizer(dialect)(query) for query in queries]
    monkeypatch.setattr(templatizer, "MOST_LEVELS", 0)
    monkeypatch.setattr(
        templatizer, "mark_functions", lambda tokens, types: mark_functions(tokens, types, 1)
    )
    assert [Templatizer(dialect)(query) for query in queries] == expected


@pytest.mark.parametrize(
    "query",
    [
        nested(["ARRAY"] * 24, bracket="[]"),
        nested(["DATE"] * 24, bracket="[]"),
        nested(["NULL"] * 24),
        "SELECT 1 FROM a" + " JOIN a" * 60,
        "SELECT {{ x }} FROM a" + " JOIN a" * 60 + " -- b",
        "INSERT INTO c SELECT 1 FROM a" + " JOIN a" * 60,
    ],
)
@pytest.mark.parametrize("dialect", ["postgres", "athena"])
def test_queries_that_the_parser_would_read_too_often_are_rejected(query, dialect):
    assert Templatizer(dialect)(query).reject_reason == TOO_MANY_ATTEMPTS


def test_few_levels_are_read_as_before():
    for query in (nested(["ARRAY"] * 6, "1", "[]"), "SELECT 1 FROM a" + " JOIN a" * 12):
        assert Templatizer("postgres")(query).template is not None


def test_the_number_of_attempts_is_a_limit():
    query = "SELECT 1 FROM a" + " JOIN a" * 12
    assert Templatizer("sqlite", Limits(max_nodes=1000))(query).reject_reason == TOO_MANY_ATTEMPTS
    assert Templatizer("sqlite", Limits(max_nodes=5000))(query).template is not None


def test_a_query_of_a_form_that_was_given_up_is_not_parsed(monkeypatch):
    shared = Templatizer("sqlite", shares_parses=True)
    query = "SELECT 1 FROM a" + " JOIN a" * 60
    assert shared(query).reject_reason == TOO_MANY_ATTEMPTS
    monkeypatch.setattr(shared, "_parser", None)
    assert shared(query.replace("a", "b")).reject_reason == TOO_MANY_ATTEMPTS
