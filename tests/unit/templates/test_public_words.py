"""The words that fingerprints may show: those that a dialect knows, and no others."""

import pytest

from nl2sql_align.tasks.ingest.dialect_names import list_dialects
from nl2sql_align.tasks.templates.public_words import PublicWords
from nl2sql_align.tasks.templates.templatizer import Templatizer

# The word is in each place of a query where a text of its owner may be.
QUERIES = (
    "select zeb_a from zeb_b where zeb_c = 'zeb@example.org' -- zeb",
    'select "zeb d" as zeb_e /* zeb */ from zeb_f.zeb_g join zeb_h on zeb_i > 7 limit 41',
    "select zeb_fn(a), zeb_s.zeb_fn2(b, 'zeb'), COUNT(ZEB_FN3(c)) from t",
    "with zeb_j as (select 1 as zeb_k) select * from zeb_j where zeb_k in ('zeb', 'zeb2')",
    "select cast(a as zeb_type) from t window zeb_w as (partition by zeb_l)",
    "insert into zeb_m (zeb_n) values ('zeb'), ('zeb')",
    "create table zeb_o (zeb_p int default 'zeb', constraint zeb_q unique (zeb_p))",
    "update zeb_r set zeb_s = zeb_t(1) where zeb_u = :zeb_v",
    "select * from zeb_w where zeb_x = {{ zeb_y }} and a = ${zeb_z}",
    "select zeb one zeb(two) from zeb three",
)


@pytest.mark.parametrize("dialect", sorted(list_dialects() - {"dax", "prql"}))  # not SQL
def test_no_word_of_a_query_is_shown(dialect):
    templatizer, words = Templatizer(dialect), PublicWords(dialect)
    templates = [templatizer(sql).template for sql in QUERIES]
    assert sum(template is not None for template in templates) >= 5
    for template in filter(None, templates):
        assert "ZEB" not in words.hide_others(template).upper()


@pytest.mark.parametrize(
    ("dialect", "sql", "shown"),
    [
        ("sqlite", "select max(a), f(b) from t", "SELECT MAX ( ) , FUNCTION ( ) FROM"),
        (
            "sqlite",
            "select strftime('%Y', a) from t group by b order by c",
            "SELECT STRFTIME ( , ) FROM GROUP BY ORDER BY",
        ),
        (
            "postgres",
            "select date_trunc('day', a) from t where b ->> 'c' !~* 'd'",
            "SELECT DATE_TRUNC ( , ) FROM WHERE ->> !~*",
        ),
        ("tsql", "select getdate(), dbo.rank_of(a)", "SELECT GETDATE ( ) , FUNCTION ( )"),
        ("mysql", "select größe(a) from t", "SELECT FUNCTION ( ) FROM"),
        (
            "bigquery",
            "select timestamp_diff(a, b, hour), current_date from t",
            "SELECT TIMESTAMP_DIFF ( , , HOUR ) , CURRENT_DATE FROM",
        ),
    ],
)
def test_known_functions_keywords_and_signs_are_shown(dialect, sql, shown):
    template = Templatizer(dialect)(sql).template
    assert template is not None
    assert PublicWords(dialect).hide_others(template) == shown


def test_a_sign_that_is_not_punctuation_is_hidden():
    assert PublicWords("sqlite").hide_others("SELECT ⚓ + 1A") == "SELECT FUNCTION + FUNCTION"
