"""Placeholders of query tools: which texts hold them, and what stays of the query as written."""

import pytest

from nl2sql_align.tasks.templates.templatizer import Templatizer
from tests.timing import fastest_seconds


def comparable(sql, dialect="postgres"):
    return Templatizer(dialect)(sql).comparable_text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE b = {{ x }}", "select a from t\nwhere b = {{ X }}"),
        ("SELECT a FROM t [[WHERE b = {{x}}]]", "SELECT a FROM t WHERE b = {{x}}"),
        ("(@p0 int)SELECT @p0", "SELECT @p0"),
        ("{{ config(x='y') }} SELECT a", "SELECT a"),
        ("SELECT a {% if b %}, c {% endif %} FROM t", "SELECT a , c FROM t"),
        ("SELECT a {# b #} FROM t", "SELECT a FROM t -- c"),
    ],
)
def test_texts_that_count_as_the_same(one, other):
    assert comparable(one) == comparable(other) is not None


def test_different_placeholders_differ():
    one, other = "SELECT a FROM t WHERE b = {{ x }}", "SELECT a FROM t WHERE b = {{ y }}"
    assert None is not comparable(one) != comparable(other)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t WHERE b = {{ x }} AND c = '{{ y }}'",
        "SELECT a FROM t WHERE b IN ({{ x }}, 2) [[AND c > {{ d }}]]",
        "SELECT ?, ... FROM t",
    ],
)
def test_a_comparable_text_is_its_own_comparable_text(sql):
    text = comparable(sql, "mysql")
    assert text is not None
    assert comparable(text, "mysql") == text
    assert comparable(f"{sql}\n-- a", "mysql") == text


@pytest.mark.parametrize("dialect", ["mysql", "tsql"])
@pytest.mark.parametrize(
    "piece",
    [
        "{{",
        "{{ x }} ",
        "[[",
        "[[AND {{x}}",
        "'{{ f(",
        "'",
        "?  ,  ",
        "{% if x %}{% else %}",
        "(@x a,",
    ],
)
def test_hostile_texts_take_linear_time(dialect, piece):
    templatizer = Templatizer(dialect)
    short, long = (f"SELECT {piece * (n // len(piece))}" for n in (2_000, 8_000))
    least = fastest_seconds(lambda: templatizer(short))
    assert fastest_seconds(lambda: templatizer(long)) < 10 * max(least, 0.02)
