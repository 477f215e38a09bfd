"""The n-gram counts of random corpora match the reference."""

import contextlib
import hashlib
from collections import Counter
from dataclasses import replace

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.ngrams import corpus_counts
from nl2sql_align.tasks.ngrams.corpus_counts import CountLimits
from nl2sql_align.tasks.ngrams.count import (
    count_ngrams,
    ngram_incidence,
    split_template,
)
from nl2sql_align.tasks.warehouse.folder import write_atomically
from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams, find_complete, list_parts
from tests import reference
from tests.conftest import count_corpus
from tests.properties.strategies import some_templates, templates
from tests.unit.ngrams.test_count import COUNTS_SCHEMA


def frame_of(queries):
    """Return the distinct templates of queries, as ``count_ngrams`` takes them."""
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
def test_counts_match_the_reference(queries, max_n):
    counts = count_ngrams(frame_of(queries), max_n)
    assert as_dict(counts) == reference.ngram_counts(queries, max_n)
    assert counts["ngram"].is_duplicated().sum() == 0
    for ngram, length, _, example in counts.iter_rows():
        assert length == len(reference.tokens_of(ngram))
        assert example == next(
            i for i, query in enumerate(queries) if ngram in reference.ngrams_of(query, max_n)
        )


@given(some_templates, st.integers(1, 17))
def test_counts_are_sums_over_the_templates(queries, max_n):
    frame = frame_of(queries)
    incidence = ngram_incidence(frame["template"], max_n)
    counts = count_ngrams(frame, max_n)
    assert incidence.ngrams.to_list() == counts["ngram"].to_list()
    assert (frame["n_occurrences"].to_numpy() @ incidence.counts).tolist() == counts[
        "n_occurrences"
    ].to_list()


@given(templates)
def test_tokens_match_the_reference(template):
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
    """Write the distinct templates of queries to a file, as the stage before does."""
    path = folder / "templates.parquet"
    frame_of(queries).rename(
        {"n_occurrences": "n_queries", "example_ordinal": "first_ordinal"}
    ).write_parquet(path)
    return path


@settings(max_examples=15)
@given(some_templates, st.integers(1, 120))
def test_counting_in_batches_writes_the_same_table(tmp_path_factory, queries, characters):
    folder = tmp_path_factory.mktemp("batches")
    source = write_templates(queries, folder)
    whole, batched = folder / "whole.parquet", folder / "batched.parquet"
    assert count_corpus("corpus", source, whole, folder, {}) == whole
    limits = CountLimits(templates_at_a_time=1, memory_bytes=100 * characters)
    assert count_corpus("corpus", source, batched, folder, {}, limits=limits) == batched
    assert whole.read_bytes() == batched.read_bytes()
    assert pl.read_parquet_schema(whole) == {"corpus": pl.String, **COUNTS_SCHEMA}
    assert sorted(folder.iterdir()) == sorted([source, whole, batched])


def test_n_grams_of_one_length_at_a_time_are_the_same_pages(tmp_path):
    """A page ends with the batch of rows that makes it large enough."""
    templates = [f"a{number:03}{'x' * 1_500} b{number:03}{'x' * 1_500}" for number in range(1_000)]
    source = write_templates(templates, tmp_path)
    files = tmp_path / "whole.parquet", tmp_path / "by-length.parquet"
    for file, memory_bytes in zip(files, (1 << 30, 10_000), strict=True):
        limits = CountLimits(
            part_bytes=1 << 30,
            templates_at_a_time=100,
            rows_at_a_time=2_500,
            memory_bytes=memory_bytes,
        )
        count_corpus("corpus", source, file, tmp_path, {}, limits=limits)
    assert files[0].read_bytes() == files[1].read_bytes()


@settings(max_examples=8)
@given(some_templates, st.integers(1, 4), st.integers(1, 120))
def test_counting_in_partitions_matches_the_reference(
    tmp_path_factory, queries, n_parts, characters
):
    folder = tmp_path_factory.mktemp("partitions")
    source = write_templates(queries, folder)
    n_bytes_of_all = len("".join(set(queries)).encode())
    n_bytes = max(1, n_bytes_of_all // n_parts)
    limits = CountLimits(
        part_bytes=n_bytes, partition_bytes=n_bytes, templates_at_a_time=1, rows_at_a_time=20
    )

    def count(name, memory_bytes):
        return count_corpus(
            "corpus",
            source,
            folder / f"{name}.parquet",
            folder,
            {},
            max_n=4,
            limits=replace(limits, memory_bytes=memory_bytes),
        )

    with bounded(None, None, folder):
        first, again, least = (
            count("first", limits.memory_bytes),
            count("again", 100 * characters),
            count("least", 1),
        )
    files = list_parts(first)
    # The files depend on the templates only, and not on the memory.
    for other in (again, least):
        assert [file.read_bytes() for file in list_parts(other)] == [
            file.read_bytes() for file in files
        ]
    assert first.is_dir() == (n_bytes_of_all > n_bytes)
    assert len(files) >= n_bytes_of_all / n_bytes
    assert find_complete(folder / "first.parquet") == first
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
    assert sorted(folder.iterdir()) == sorted([source, first, again, least])


SMALL_PARTS = CountLimits(part_bytes=5, partition_bytes=5)


def test_a_folder_that_lacks_a_partition_is_counted_again(tmp_path):
    source = write_templates(["SELECT FROM", "SELECT WHERE", "SELECT"], tmp_path)
    file = tmp_path / "counts.parquet"
    assert find_complete(file) is None
    counts = count_corpus("corpus", source, file, tmp_path, {}, limits=SMALL_PARTS)
    before = [path.read_bytes() for path in list_parts(counts)]
    assert len(before) == 8
    for lost in (0, 7):
        list_parts(counts)[lost].unlink()
        assert find_complete(file) is None
        assert count_corpus("corpus", source, file, tmp_path, {}, limits=SMALL_PARTS) == counts
        assert [path.read_bytes() for path in list_parts(counts)] == before


def test_files_of_a_worker_that_died_are_not_partitions(tmp_path):
    source = write_templates(["SELECT FROM", "SELECT WHERE"], tmp_path)
    division = corpus_counts.begin_counting(
        "corpus", source, tmp_path / "counts.parquet", tmp_path, {}, limits=SMALL_PARTS
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
        corpus_counts.add_partition(partition)
    counts = corpus_counts.gather_partitions(division)
    assert sorted(counts.iterdir()) == list_parts(counts)
    assert find_complete(tmp_path / "counts.parquet") == counts
    assert sorted(tmp_path.iterdir()) == sorted([source, counts])
