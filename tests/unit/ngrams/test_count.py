"""Runs of tokens that count as n-grams, by hand (specification, section 3)."""

import polars as pl
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.ngrams.count import count_ngrams, split_template

COUNTS_SCHEMA = {
    "ngram": pl.String,
    "ngram_length": pl.Int32,
    "n_occurrences": pl.Int64,
    "example_ordinal": pl.Int64,
}


def frame(*templates, weights=None, ordinals=None):
    return pl.DataFrame(
        {
            "template": list(templates),
            "n_occurrences": weights or [1] * len(templates),
            "example_ordinal": ordinals or list(range(len(templates))),
        },
        schema={
            "template": pl.String,
            "n_occurrences": pl.Int64,
            "example_ordinal": pl.Int64,
        },
    )


def counts(*templates, max_n=15, **keys):
    rows = count_ngrams(frame(*templates, **keys), max_n)
    return dict(rows.select("ngram", "n_occurrences").iter_rows())


@pytest.mark.parametrize(
    ("template", "ngrams"),
    [
        ("SELECT FROM", {"SELECT", "FROM", "SELECT FROM"}),
        ("* = 1", set()),
        ("_ROWID = 5", {"_ROWID", "_ROWID =", "_ROWID = 5"}),
        ("ÉTÉ *", {"ÉTÉ", "ÉTÉ *"}),
        ("1A", set()),
    ],
    ids=["words", "no word", "underscore", "any script", "digit first"],
)
def test_a_run_needs_a_word(template, ngrams):
    assert set(counts(template)) == ngrams


def test_a_run_neither_starts_nor_ends_with_a_comma():
    assert counts("A , B") == {"A": 1, "B": 1, "A , B": 1}
    assert counts(", A ,") == {"A": 1}
    assert counts(",") == {}


@pytest.mark.parametrize(
    ("template", "ngrams"),
    [
        ("COUNT ( * )", {"COUNT", "COUNT ( * )"}),
        ("A ) ( B", {"A", "B"}),
        ("( A ) B )", {"A", "B", "( A )", "( A ) B"}),
        ("( ( A )", {"A", "( A )"}),
        (
            "A ( B ( ) ) C",
            {"A", "B", "C", "B ( )", "( B ( ) )", "A ( B ( ) )"} | {"A ( B ( ) ) C", "( B ( ) ) C"},
        ),
        ("ARRAY [ 1", {"ARRAY", "ARRAY [", "ARRAY [ 1"}),
    ],
    ids=["call", "closed before opened", "one too many", "one too few", "nested", "other brackets"],
)
def test_parentheses_match_within_a_run(template, ngrams):
    assert set(counts(template)) == ngrams


def test_keywords_of_two_words_are_one_token():
    rows = count_ngrams(frame("A ORDER BY GROUP BY PARTITION BY"))
    lengths = dict(rows.select("ngram", "ngram_length").iter_rows())
    assert lengths["ORDER BY"] == 1
    assert lengths["ORDER BY GROUP BY"] == 2
    assert lengths["A ORDER BY GROUP BY PARTITION BY"] == 4
    assert not lengths.keys() & {"ORDER", "BY", "BY GROUP BY", "A ORDER"}


@pytest.mark.parametrize(
    ("template", "tokens"),
    [
        ("", []),
        ("SELECT", ["SELECT"]),
        ("SELECT ORDER BY DESC", ["SELECT", "ORDER BY", "DESC"]),
        ("GROUP BY ORDER BY", ["GROUP BY", "ORDER BY"]),
        ("LIMIT BY", ["LIMIT", "BY"]),
        ("REORDER BY", ["REORDER", "BY"]),
        ("GROUP BYTES", ["GROUP", "BYTES"]),
    ],
)
def test_tokens_of_a_template(template, tokens):
    assert split_template(template) == tokens
    assert " ".join(tokens) == template
    lengths = count_ngrams(frame(template))["ngram_length"]
    assert (max(lengths) if len(lengths) else 0) == len(tokens)


def test_a_run_counts_each_time_it_occurs_in_a_template():
    assert counts("A A A") == {"A": 3, "A A": 2, "A A A": 1}


def test_a_template_counts_once_per_query():
    assert counts("A B", "A", weights=[3, 4]) == {"A": 7, "B": 3, "A B": 3}


def test_runs_are_at_most_fifteen_tokens_long():
    words = [f"W{i}" for i in range(20)]
    rows = count_ngrams(frame(" ".join(words)))
    assert rows["ngram_length"].max() == 15
    assert len(rows) == sum(20 - n + 1 for n in range(1, 16))
    assert len(count_ngrams(frame(" ".join(words)), max_n=2)) == 20 + 19
    assert counts("A B", max_n=1) == {"A": 1, "B": 1}


def test_runs_do_not_cross_templates():
    assert counts("A", "B") == {"A": 1, "B": 1}


def test_rows_are_sorted_by_length_and_text_with_the_first_example():
    rows = count_ngrams(frame("B A", "A", "é", ordinals=[7, 3, 5]))
    assert rows.rows() == [("A", 1, 2, 3), ("B", 1, 1, 7), ("é", 1, 1, 5), ("B A", 2, 1, 7)]
    assert rows.schema == pl.Schema(COUNTS_SCHEMA)


@pytest.mark.parametrize("templates", [(), ("",), ("* ( ) =",)], ids=["none", "empty", "no word"])
def test_templates_without_ngrams_give_an_empty_table(templates):
    rows = count_ngrams(frame(*templates))
    assert rows.is_empty()
    assert rows.schema == pl.Schema(COUNTS_SCHEMA)


def test_counts_too_large_for_single_precision_are_exact():
    weights = [2**40 + 1, 2**40 + 2]
    assert counts("A B", "A", weights=weights)["A"] == sum(weights)


def test_the_file_of_a_corpus_records_its_origin(tmp_path, make_corpus):
    corpus = make_corpus(tmp_path, "one", ["SELECT FROM", "SELECT FROM", None])
    schema = pq.read_schema(corpus.ngrams)
    assert schema.names == ["corpus", "ngram", "ngram_length", "n_occurrences", "example_ordinal"]
    assert schema.metadata[b"corpus"] == b"one"
    assert schema.metadata[b"max_n"] == b"15"
    assert pq.read_table(corpus.ngrams).to_pylist() == [
        {
            "corpus": "one",
            "ngram": ngram,
            "ngram_length": length,
            "n_occurrences": 2,
            "example_ordinal": 0,
        }
        for ngram, length in (("FROM", 1), ("SELECT", 1), ("SELECT FROM", 2))
    ]


def test_the_file_of_a_corpus_without_ngrams_is_empty(tmp_path, make_corpus):
    corpus = make_corpus(tmp_path, "none", [None, "*"])
    table = pq.read_table(corpus.ngrams)
    assert table.num_rows == 0
    assert table.schema.names == ["corpus", *COUNTS_SCHEMA]
