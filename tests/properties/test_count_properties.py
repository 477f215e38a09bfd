"""The n-gram counts of random corpora are those of the reference."""

import contextlib
import hashlib
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.base.connections import bounded, resources
from nl2sql_align.tasks.ngrams import corpus_counts
from nl2sql_align.tasks.ngrams.count import (
    COUNTS_SCHEMA,
    count_ngrams,
    ngram_incidence,
    split_template,
)
from nl2sql_align.tasks.warehouse.count_files import count_distinct_ngrams, count_files, find_counts
from nl2sql_align.tasks.warehouse.folder import write_atomically
from tests import reference
from tests.conftest import count_corpus
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


def write_templates(queries, folder):
    """The distinct templates of queries, in a file as the stage before writes it."""
    path = folder / "templates.parquet"
    frame_of(queries).rename(
        {"n_occurrences": "n_queries", "example_ordinal": "first_ordinal"}
    ).write_parquet(path)
    return path


@given(some_templates, st.integers(1, 120))
def test_counting_in_batches_writes_the_same_table(tmp_path_factory, queries, characters):
    folder = tmp_path_factory.mktemp("batches")
    source = write_templates(queries, folder)
    whole, batched = folder / "whole.parquet", folder / "batched.parquet"
    assert count_corpus("corpus", source, whole, folder, {}) == whole
    with pytest.MonkeyPatch.context() as patch:
        memory = resources().memory_bytes // resources().threads
        patch.setattr(corpus_counts, "_MEMORY_PER_CHARACTER", memory // characters)
        patch.setattr(corpus_counts, "_TEMPLATES_AT_A_TIME", 1)
        assert count_corpus("corpus", source, batched, folder, {}) == batched
    assert pl.read_parquet(whole).equals(pl.read_parquet(batched))
    assert pl.read_parquet_schema(whole) == {"corpus": pl.String, **COUNTS_SCHEMA}
    assert sorted(folder.iterdir()) == sorted([source, whole, batched])


@settings(max_examples=12)
@given(some_templates, st.integers(1, 4), st.integers(1, 120))
def test_counting_in_partitions_gives_the_counts_of_the_reference(
    tmp_path_factory, queries, n_parts, characters
):
    folder = tmp_path_factory.mktemp("partitions")
    source = write_templates(queries, folder)
    n_bytes_of_all = len("".join(set(queries)).encode())
    n_bytes = max(1, n_bytes_of_all // n_parts)
    with pytest.MonkeyPatch.context() as patch, bounded(None, None, folder):
        patch.setattr(corpus_counts, "_LARGEST_PART", n_bytes)
        patch.setattr(corpus_counts, "_PER_PARTITION", n_bytes)
        patch.setattr(corpus_counts, "_TEMPLATES_AT_A_TIME", 1)
        patch.setattr(corpus_counts, "_ROWS_AT_A_TIME", 20)
        first = count_corpus("corpus", source, folder / "first.parquet", folder, {}, max_n=4)
        memory = resources().memory_bytes // resources().threads
        patch.setattr(corpus_counts, "_MEMORY_PER_CHARACTER", memory // characters)
        patch.setattr(corpus_counts, "_MEMORY_PER_ROW", memory)
        again = count_corpus("corpus", source, folder / "again.parquet", folder, {}, max_n=4)
    files = count_files(first)
    # However much memory there is: the same bytes, in as many files as the templates ask for.
    assert [file.read_bytes() for file in count_files(again)] == [
        file.read_bytes() for file in files
    ]
    assert first.is_dir() == (n_bytes_of_all > n_bytes)
    assert len(files) >= n_bytes_of_all / n_bytes
    assert find_counts(folder / "first.parquet") == first
    tables = [pl.read_parquet(file) for file in files]
    whole = count_ngrams(frame_of(queries), 4).with_columns(corpus=pl.lit("corpus"))
    order = ["ngram_length", "ngram"]
    assert all(table.equals(table.sort(order)) for table in tables)
    assert pl.concat(tables).sort(order).equals(whole.select(tables[0].columns))
    assert sum(table.height for table in tables) == count_distinct_ngrams(first)
    assert as_dict(whole) == reference.ngram_counts(queries, 4)
    for place, table in enumerate(tables):
        for ngram in table["ngram"]:
            digest = hashlib.md5(ngram.encode()).hexdigest()
            assert int(digest[:4], 16) % len(tables) == place
    assert sorted(folder.iterdir()) == sorted([source, first, again])


def test_a_folder_that_lacks_a_partition_is_counted_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_counts, "_LARGEST_PART", 5)
    monkeypatch.setattr(corpus_counts, "_PER_PARTITION", 5)
    source = write_templates(["SELECT FROM", "SELECT WHERE", "SELECT"], tmp_path)
    file = tmp_path / "counts.parquet"
    assert find_counts(file) is None
    counts = count_corpus("corpus", source, file, tmp_path, {})
    before = [path.read_bytes() for path in count_files(counts)]
    assert len(before) == 8
    for lost in (0, 7):
        count_files(counts)[lost].unlink()
        assert find_counts(file) is None
        assert count_corpus("corpus", source, file, tmp_path, {}) == counts
        assert [path.read_bytes() for path in count_files(counts)] == before


def test_what_a_worker_left_that_died_is_no_partition(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_counts, "_LARGEST_PART", 5)
    monkeypatch.setattr(corpus_counts, "_PER_PARTITION", 5)
    source = write_templates(["SELECT FROM", "SELECT WHERE"], tmp_path)
    division = corpus_counts.begin_counting(
        "corpus", source, tmp_path / "counts.parquet", tmp_path, {}
    )
    for part in division.parts:
        corpus_counts.count_part(part)
        corpus_counts.count_part(part)
    for partition in division.partitions:
        with (
            contextlib.suppress(RuntimeError),
            write_atomically(partition.destination) as temporary,
        ):
            temporary.write_bytes(b"half a file")
            (temporary.parent / f"{temporary.name}.parquet").write_bytes(b"of one killed")
            raise RuntimeError
        corpus_counts.add_up(partition)
    counts = corpus_counts.gather(division)
    assert sorted(counts.iterdir()) == count_files(counts)
    assert find_counts(tmp_path / "counts.parquet") == counts
    assert sorted(tmp_path.iterdir()) == sorted([source, counts])
