"""The distinct queries of a large corpus: many steps find what one step finds."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.templates.distinct_queries import (
    SplitLimits,
    find_distinct,
    find_firsts,
    plan_splitting,
    write_texts,
)
from nl2sql_align.tasks.templates.parts import split_queries

# Texts of a log: some once, some often, with quotes and letters of all kinds, one empty.
DRAWN = random.Random(1)
TEXTS = ["", *(f"select '{chr(200 + i)}' from boats where n = {i}" for i in range(300))]
QUERIES = [TEXTS[int(len(TEXTS) * DRAWN.random() ** 3)] for _ in range(2000)]


def write_queries(path, rows_per_group=100, first=0):
    numbers = range(first, first + len(QUERIES))
    columns = {
        "sql": pa.array(QUERIES),
        "ordinal": pa.array(numbers, pa.int64()),
        "n_occurrences": pa.array([1 + i % 3 for i in numbers], pa.int64()),
    }
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return path


def split(queries, folder, limits):
    splitting = plan_splitting(queries, folder, limits)
    # Steps of a phase may run in any order, and again.
    for job in (*reversed(splitting.ranges), splitting.ranges[0]):
        find_distinct(job)
    for job in (*reversed(splitting.partitions), splitting.partitions[0]):
        find_firsts(job)
    reports = [write_texts(job) for job in splitting.texts]
    return splitting, reports, [pq.read_table(job.destination) for job in splitting.texts]


@pytest.mark.parametrize(
    ("limits", "n_ranges", "n_partitions"),
    [
        (SplitLimits(0, 100), 20, 16),
        (SplitLimits(0, 101), 10, 8),
        (SplitLimits(0, 1, 3), 3, 2),
        (SplitLimits(0, 1999), 2, 2),
    ],
)
@pytest.mark.parametrize("first", [0, 7])
def test_many_steps_find_what_one_finds(tmp_path, limits, n_ranges, n_partitions, first):
    if limits.rows_per_range == 1999:
        queries = write_queries(tmp_path / "queries.parquet", 1999, first)
    else:
        queries = write_queries(tmp_path / "queries.parquet", first=first)
    whole = tmp_path / "whole.parquet"
    report = split_queries(queries, whole)
    splitting, reports, texts = split(queries, tmp_path / "it's [1] *", limits)
    assert (len(splitting.ranges), len(splitting.partitions)) == (n_ranges, n_partitions)
    assert pa.concat_tables(texts).equals(pq.read_table(whole))
    assert sum(one.n_distinct for one in reports) == report.n_distinct == len({*QUERIES})


def test_memory_and_threads_change_nothing(tmp_path):
    queries = write_queries(tmp_path / "queries.parquet")
    limits = SplitLimits(0, 300)
    found = []
    for threads, memory in ((1, "50MB"), (4, "4GB")):
        with bounded(threads, memory, tmp_path):
            splitting, *_ = split(queries, tmp_path / str(threads), limits)
        found.append([job.destination.read_bytes() for job in splitting.texts])
    assert found[0] == found[1]


def test_a_small_corpus_is_split_by_one_step(tmp_path):
    queries = write_queries(tmp_path / "queries.parquet")
    assert plan_splitting(queries, tmp_path, SplitLimits(2000, 100)) is None
    assert plan_splitting(queries, tmp_path) is None
