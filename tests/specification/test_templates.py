"""Queries and their templates: ``templates.jsonl`` beside this file, grouped by rule.

Each pair follows from section 2 of the specification, and not from the program's output.
"""

import pytest

from nl2sql_align.tasks.templates.rules import Limits
from nl2sql_align.tasks.templates.templatizer import Templatizer
from tests.specification.pairs import PAIRS, templatizer


def name_of(pair: dict[str, str]) -> str:
    return f"{pair['rule']}: {pair['why']} ({pair['dialect']})"


@pytest.mark.parametrize("pair", PAIRS, ids=name_of)
def test_pair(pair):
    templated = templatizer(pair["dialect"])(pair["sql"])
    assert templated.template == pair["template"], templated.reject_reason
    is_rejected = pair["template"] is None
    assert (templated.reject_reason is not None) == is_rejected
    assert (templated.comparable_text is None) == is_rejected


def test_each_pair_names_its_rule_and_its_reason():
    texts = [(pair["dialect"], pair["sql"]) for pair in PAIRS]
    assert len(texts) == len(set(texts)) >= 150
    for pair in PAIRS:
        assert list(pair) == ["rule", "dialect", "sql", "template", "why"]
        assert pair["rule"] and pair["why"]
    dialects = {pair["dialect"] for pair in PAIRS}
    assert dialects >= {
        *("sqlite", "postgres", "mysql", "tsql", "bigquery", "snowflake", "duckdb"),
        *("oracle", "databricks", "redshift", "clickhouse", "presto", "trino", "spark", "hive"),
    }


@pytest.mark.parametrize("dialect", sorted({pair["dialect"] for pair in PAIRS}))
def test_sharing_parses_changes_nothing(dialect):
    queries = [pair["sql"] for pair in PAIRS if pair["dialect"] == dialect]
    for sql in [*queries, *reversed(queries)]:
        assert templatizer(dialect, shares_parses=True)(sql) == templatizer(dialect)(sql)


# Queries that differ in a word that looks like a name.
ALIKE = [
    ("bigquery", "SELECT ANY_VALUE(a HAVING MAX b)", "SELECT ANY_VALUE(a HAVING MIN b)"),
    ("sqlite", 'SELECT a IN ("b", "c") FROM t', "SELECT a IN (`b`, `c`) FROM t"),
    ("postgres", "SELECT INTERVAL '1' DAY", "SELECT INTERVAL '1' d"),
    ("snowflake", "SELECT DATEDIFF(d, a, b)", "SELECT DATEDIFF(x, a, b)"),
    ("redshift", "SELECT t.exclude 'x', t.exclude FROM t", "SELECT t.e 'x', t.e FROM t"),
    # The parser rejects the second query of these.
    ("snowflake", "SELECT a FROM t AT (STREAM => 'x')", "SELECT a FROM t AT (y => 'x')"),
    ("snowflake", "SELECT a FROM t CHANGES (INFORMATION => b)", "SELECT a FROM t CHANGES (c => b)"),
    ("snowflake", "SELECT * FROM SEMANTIC_VIEW(t FACTS a)", "SELECT * FROM SEMANTIC_VIEW(t b a)"),
    ("databricks", "SELECT a FROM t VERSION AS OF 1", "SELECT a FROM t b AS OF 1"),
    ("oracle", "SELECT a FROM t AS OF SCN 5", "SELECT a FROM t AS OF b 5"),
    ("bigquery", "SELECT a FROM t |> EXTEND b AS c", "SELECT a FROM t |> d b AS c"),
    (
        "bigquery",
        "SELECT CAST(a AS STRUCT<b INT64 TITLE 'c'>)",
        "SELECT CAST(a AS STRUCT<b INT64 d 'c'>)",
    ),
    ("doris", "SELECT a FROM t WHERE b MATCH_ALL 'c'", "SELECT a FROM t WHERE b d 'c'"),
    (
        "duckdb",
        "SELECT 1 FROM t JOIN u NEAREST 5 BY DISTANCE a",
        "SELECT 1 FROM t JOIN u NEAREST 5 BY b a",
    ),
    (
        "hive",
        "SELECT TRANSFORM(a) ROW FORMAT SERDE 'x' USING 'b' FROM t",
        "SELECT TRANSFORM(a) ROW FORMAT c 'x' USING 'b' FROM t",
    ),
    ("mysql", "SELECT SQL_BIG_RESULT a b FROM t", "SELECT c a b FROM t"),
    ("teradata", "SELECT TRANSLATE(a USING LATIN_TO_UNICODE)", "SELECT TRANSLATE(a USING b)"),
    ("tsql", "SELECT a FROM t OPTION (LABEL = 'x')", "SELECT a FROM t OPTION (b = 'x')"),
    # The first query of these parses by a rule for unknown syntax.
    ("tsql", 'SELECT a FROM t WITH (INDEX = "b")', "SELECT a FROM t WITH (INDEX = 'b')"),
    ("tsql", "WITH XMLNAMESPACES ('x' AS a) SELECT 1", "WITH b ('x' AS a) SELECT 1"),
    (
        "oracle",
        "SELECT MAX(a) KEEP (DENSE_RANK FIRST ORDER BY b) FROM t",
        "SELECT MAX(a) KEEP (c FIRST ORDER BY b) FROM t",
    ),
    ("oracle", "SELECT XMLELEMENT(NAME a, b) FROM t", "SELECT XMLELEMENT(c a, b) FROM t"),
    (
        "oracle",
        "SELECT a FROM t VERSIONS BETWEEN SCN 1 AND 2",
        "SELECT a FROM t VERSIONS BETWEEN b 1 AND 2",
    ),
    (
        "postgres",
        "SELECT JSON_QUERY(a, 'b' WITH WRAPPER) FROM t",
        "SELECT JSON_QUERY(a, 'b' WITH c) FROM t",
    ),
    (
        "clickhouse",
        "SELECT a FROM t LIMIT 1 BY a LIMIT 2",
        "SELECT a FROM t LIMIT 1 b a LIMIT 2",
    ),
    ("mysql", "SELECT a FROM t INTO OUTFILE 'b'", "SELECT a FROM t INTO c 'b'"),
    ("mysql", "SELECT a FROM t WHERE b IN (...)", "SELECT a FROM t WHERE b IN (. ..)"),
]


@pytest.mark.parametrize(("dialect", "one", "other"), ALIKE)
def test_queries_that_look_alike_share_no_parse(dialect, one, other):
    assert templatizer(dialect)(one).template is not None
    for queries in ((one, other), (other, one)):
        shared = Templatizer(dialect, shares_parses=True)
        for sql in queries:
            assert shared(sql) == templatizer(dialect)(sql)


@pytest.mark.parametrize(
    ("limits", "accepted", "rejected", "reason"),
    [
        pytest.param(
            Limits(),
            f"SELECT {'a' * 99_986} FROM t",
            f"SELECT {'a' * 99_987} FROM t",
            "longer than 100,000 characters",
            id="length",
        ),
        pytest.param(
            Limits(),
            f"SELECT {'(1) + ' * 300}{'(' * 200}1{')' * 200}",
            f"SELECT {'(' * 201}1{')' * 201}",
            "nested deeper than 200 brackets",
            id="depth, not number",
        ),
        pytest.param(
            Limits(max_characters=10),
            "SELECT 123",
            "SELECT 1234",
            "longer than 10 characters",
            id="another length",
        ),
        pytest.param(
            Limits(max_brackets=1),
            "SELECT (1), '((('",
            "SELECT ((1))",
            "nested deeper than 1 brackets",
            id="another depth, not of brackets in strings",
        ),
    ],
)
def test_limits(limits, accepted, rejected, reason):
    limited = Templatizer("sqlite", limits)
    assert limited(accepted).reject_reason is None
    assert limited(rejected) == (None, reason, None)


@pytest.mark.parametrize(
    ("dialect", "sql", "reason"),
    [
        ("sqlite", "", "empty"),
        ("sqlite", " -- nothing\n ;", "empty"),
        ("sqlite", "SELECT 1; SELECT 2", "more than one statement"),
        ("sqlite", "PRAGMA x", "not a query, DML or DDL statement: Pragma"),
        ("mysql", "EXPLAIN SELECT 1", "not a query, DML or DDL statement: Describe"),
        ("sqlite", "SELECT 'a", "does not tokenize"),
        ("sqlite", "SELECT a\nFROM (t", "does not parse: Expecting ) (line 2, column 7)"),
    ],
)
def test_a_reason_says_what_and_where(dialect, sql, reason):
    assert templatizer(dialect)(sql) == (None, reason, None)


def test_a_reason_does_not_quote_the_query():
    templated = templatizer("sqlite")("SELECT secret_name FROM t WHERE (")
    assert templated.reject_reason is not None
    assert "secret_name" not in templated.reject_reason
