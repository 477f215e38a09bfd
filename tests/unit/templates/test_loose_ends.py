"""Statements that end early have no template."""

import pytest

from tests.specification.pairs import PAIRS, templatizer

WHOLE = [
    (pair["dialect"], pair["sql"])
    for pair in PAIRS
    if pair["template"] is not None and "(" in pair["sql"]
]


@pytest.mark.parametrize(
    ("dialect", "sql", "after"),
    [
        ("postgres", "SELECT a FROM t GROUP BY", "GROUP BY"),
        ("postgres", "SELECT a FROM t WHERE b IN", "IN"),
        ("postgres", "SELECT a FROM (SELECT b FROM t WHERE c IN) AS u", "IN"),
        ("sqlite", "SELECT a,", ","),
        ("sqlite", "SELECT", "SELECT"),
        ("sqlite", "CREATE TABLE x AS", "AS"),
        ("mysql", "CREATE VIEW v AS", "AS"),
        ("sqlite", "SELECT a FROM t, u WHERE t.i = u.i(+)", "+"),
        ("tsql", "SELECT a FROM t ORDER BY b OFFSET 5 ROWS FETCH", "FETCH"),
    ],
)
def test_a_statement_that_ends_early_says_after_which_word(dialect, sql, after):
    found = templatizer(dialect)(sql)
    assert (found.template, found.reject_reason) == (
        None,
        f"does not parse: incomplete after {after}",
    )


def test_a_query_that_is_cut_off_in_brackets_is_rejected():
    cut = {(dialect, sql[: sql.index("(") + 1]) for dialect, sql in WHOLE}
    cut |= {(dialect, sql[: sql.rindex(")")]) for dialect, sql in WHOLE if ")" in sql}
    # Brackets in comments, strings and templates of tools are none.
    cut = {(dialect, sql) for dialect, sql in cut if not set(sql) & set("'\"`-/#{$")}
    assert len(cut) > 200
    accepted = [one for one in sorted(cut) if templatizer(one[0])(one[1]).template is not None]
    assert accepted == []


@pytest.mark.parametrize(
    ("dialect", "sql", "template"),
    [
        ("oracle", "SELECT a FROM t, u WHERE t.i = u.i(+)", "SELECT FROM , WHERE = (+)"),
        ("postgres", "SELECT a OPERATOR(+) b FROM t", "SELECT OPERATOR ( + ) FROM"),
        ("postgres", "SELECT t.is FROM t ORDER BY t.set", "SELECT FROM ORDER BY"),
        ("snowflake", "SELECT $1 FROM @s/year=", "SELECT FROM"),
        (
            "bigquery",
            "SELECT a FROM UNNEST(b) AS a WITH OFFSET",
            "SELECT FROM UNNEST ( ) WITH OFFSET",
        ),
        ("postgres", "SELECT a FROM t FOR UPDATE", "SELECT FROM FOR UPDATE"),
    ],
)
def test_a_whole_statement_may_end_in_words_that_mostly_need_more(dialect, sql, template):
    found = templatizer(dialect)(sql)
    assert found.template == template, found.reject_reason
