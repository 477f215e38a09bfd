"""The n-gram counts of random corpora are those of the reference."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import corpus_stages
from tasks.engine import resources
from tasks.ngrams import COUNTS_SCHEMA, count_ngrams, ngram_incidence, split_template
from tests import reference
from tests.properties.strategies import some_templates, templates


def frame_of(queries):
    """The distinct templates of queries as the program takes them."""
    first = {template: queries.index(template) for template in reversed(queries)}
    rows = [(template, queries.count(template), first[template]) for template in dict(first)]
    schema = {
        "template": pl.String,
        "n_occurrences": pl.Int64,
        "example_ordinal": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def as_dict(counts):
    return dict(counts.select("ngram", "n_occurrences").iter_rows())


@settings(max_examples=200)
@given(some_templates, st.integers(1, 17))
def test_counts_are_those_of_the_reference(queries, max_n):
    counts = count_ngrams(frame_of(queries), max_n)
    assert as_dict(counts) == reference.ngram_counts(queries, max_n)
    assert counts["ngram"].is_duplicated().sum() == 0
    for ngram, length, _, example in counts.iter_rows():
        assert length == len(reference.tokens_of(ngram))
        assert example == next(
            i for i, query in enumerate(queries) if ngram in reference.ngrams_of(query, max_n)
        )


@given(some_templates, st.integers(1, 17))
def test_counts_are_sums_of_what_each_template_holds(queries, max_n):
    frame = frame_of(queries)
    incidence = ngram_incidence(frame["template"], max_n)
    counts = count_ngrams(frame, max_n)
    assert incidence.ngrams.to_list() == counts["ngram"].to_list()
    assert (frame["n_occurrences"].to_numpy() @ incidence.counts).tolist() == counts[
        "n_occurrences"
    ].to_list()


@given(templates)
def test_tokens_are_those_of_the_reference(template):
    assert split_template(template) == reference.tokens_of(template)


@given(some_templates, st.randoms(use_true_random=False))
def test_the_order_of_queries_changes_no_count(queries, random):
    shuffled = random.sample(queries, len(queries))
    columns = ["ngram", "ngram_length", "n_occurrences"]
    counts, again = (count_ngrams(frame_of(some)).select(columns) for some in (queries, shuffled))
    assert counts.equals(again)


@given(some_templates, st.integers(2, 1000))
def test_counts_grow_with_the_frequency_of_queries(queries, times):
    once = count_ngrams(frame_of(queries))
    many = count_ngrams(frame_of(queries).with_columns(pl.col("n_occurrences") * times))
    assert many.equals(once.with_columns(pl.col("n_occurrences") * times))


@given(some_templates, some_templates)
def test_counts_of_two_corpora_add_up(queries, others):
    apart = Counter(as_dict(count_ngrams(frame_of(queries))))
    apart.update(as_dict(count_ngrams(frame_of(others))))
    assert as_dict(count_ngrams(frame_of(queries + others))) == apart


@given(some_templates, st.integers(1, 120))
def test_counting_in_batches_writes_the_same_table(tmp_path_factory, queries, characters):
    folder = tmp_path_factory.mktemp("batches")
    source = folder / "templates.parquet"
    frame_of(queries).rename(
        {"n_occurrences": "n_queries", "example_ordinal": "first_ordinal"}
    ).write_parquet(source)
    whole, batched = folder / "whole.parquet", folder / "batched.parquet"
    n_distinct = corpus_stages.count_corpus("corpus", source, whole, {})
    with pytest.MonkeyPatch.context() as patch:
        memory = resources().memory_bytes // resources().threads
        patch.setattr(corpus_stages, "_MEMORY_PER_CHARACTER", memory // characters)
        patch.setattr(corpus_stages, "_TEMPLATES_AT_A_TIME", 1)
        assert corpus_stages.count_corpus("corpus", source, batched, {}) == n_distinct
    assert pl.read_parquet(whole).equals(pl.read_parquet(batched))
    assert pl.read_parquet_schema(whole) == {"corpus": pl.String, **COUNTS_SCHEMA}
    assert sorted(folder.iterdir()) == sorted([source, whole, batched])
