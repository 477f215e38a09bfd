"""The distinct queries of a large corpus, found by many steps.

One step finds those of each range of the queries, and sorts them into partitions by a hash. Then
one step for each partition finds where in the corpus each of its texts occurs first. Then one step
for each range writes the texts that occur there first, for the parsers. So no step holds more texts
than those of a range or of a partition. The division depends only on the corpus: memory and threads
change nothing, and the texts are those that one step would find, in the same order.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.templates.parts import SplitReport, divide_rows, write_parts
from nl2sql_align.tasks.warehouse.folder import write_atomically


@dataclass(frozen=True)
class SplitLimits:
    """How the queries of a corpus are divided.

    Attributes:
        rows_at_once: One step finds the distinct queries of a corpus with at most this many rows,
            in half of the CPU time that several take.
        rows_per_range: The queries of a range, rounded up to row groups.
        n_ranges: The most ranges, and the most partitions.
    """

    rows_at_once: int = 1 << 22
    rows_per_range: int = 1 << 18
    n_ranges: int = 256


DEFAULT_SPLIT_LIMITS: Final = SplitLimits()

# DuckDB's smallest row group. If each holds few partitions, a step reads little of the others.
_SMALLEST_GROUP: Final = 2048


@dataclass(frozen=True)
class QueryRange:
    """The queries of a corpus from one ordinal to another, both included."""

    queries: Path
    first_ordinal: int
    last_ordinal: int


@dataclass(frozen=True)
class RangeJob:
    """A range of a corpus whose distinct texts are to be found."""

    range: QueryRange
    n_partitions: int
    destination: Path


@dataclass(frozen=True)
class PartitionJob:
    """A partition of the texts of all ranges whose first occurrences are to be found."""

    ranges: tuple[Path, ...]
    partition: int
    destination: Path


@dataclass(frozen=True)
class TextsJob:
    """A range of a corpus; the texts that occur there first are to be written."""

    range: QueryRange
    firsts: tuple[Path, ...]
    destination: Path


@dataclass(frozen=True)
class Splitting:
    """The steps that find the distinct queries of a large corpus.

    First all of ``ranges``, in any order, then all of ``partitions``, then all of ``texts``.
    """

    ranges: tuple[RangeJob, ...]
    partitions: tuple[PartitionJob, ...]
    texts: tuple[TextsJob, ...]


def plan_splitting(
    queries: Path, folder: Path, limits: SplitLimits = DEFAULT_SPLIT_LIMITS
) -> Splitting | None:
    """Return the steps that find the distinct queries of a large corpus; None for a small one.

    Args:
        queries: The corpus's queries, as ingested.
        folder: A folder for the files of the steps.
        limits: The sizes of ranges.
    """
    ranges = _find_ranges(queries, limits)
    if len(ranges) < 2:
        return None
    n_partitions = 1 << (len(ranges).bit_length() - 1)
    of_ranges = tuple(
        RangeJob(one, n_partitions, folder / f"distinct-{number:03}.parquet")
        for number, one in enumerate(ranges)
    )
    partitions = tuple(
        PartitionJob(
            tuple(job.destination for job in of_ranges),
            partition,
            folder / f"firsts-{partition:03}.parquet",
        )
        for partition in range(n_partitions)
    )
    texts = tuple(
        TextsJob(
            one,
            tuple(job.destination for job in partitions),
            folder / f"texts-{number:03}.parquet",
        )
        for number, one in enumerate(ranges)
    )
    return Splitting(of_ranges, partitions, texts)


def find_distinct(job: RangeJob) -> float:
    """Write the distinct texts of a range, and return the seconds that it took."""
    started = time.perf_counter()
    given = job.range
    rows = (given.last_ordinal - given.first_ordinal + 1) // job.n_partitions
    with connected() as con, write_atomically(job.destination) as temporary:
        query_sql(
            con,
            "templates/distinct_of_range",
            queries=str(given.queries),
            first_ordinal=given.first_ordinal,
            last_ordinal=given.last_ordinal,
            n_partitions=job.n_partitions,
        ).write_parquet(
            str(temporary), compression="lz4", row_group_size=max(_SMALLEST_GROUP, rows)
        )
    return time.perf_counter() - started


def find_firsts(job: PartitionJob) -> float:
    """Write where the texts of a partition occur first, and return the seconds that it took."""
    started = time.perf_counter()
    ranges = [str(one) for one in job.ranges]
    with connected() as con, write_atomically(job.destination) as temporary:
        query_sql(
            con, "templates/first_occurrences", ranges=ranges, partition=job.partition
        ).write_parquet(str(temporary), compression="lz4")
    return time.perf_counter() - started


def write_texts(job: TextsJob) -> SplitReport:
    """Write the texts that occur first in a range, in their order; each row group is a part."""
    given = job.range
    with connected() as con:
        texts = query_sql(
            con,
            "templates/first_texts",
            queries=str(given.queries),
            firsts=[str(one) for one in job.firsts],
            first_ordinal=given.first_ordinal,
            last_ordinal=given.last_ordinal,
        )
        return write_parts(texts, job.destination)


def _find_ranges(queries: Path, limits: SplitLimits) -> list[QueryRange]:
    """Return the ranges of a corpus, whose queries are sorted by ordinal."""
    metadata = pq.read_metadata(queries)
    if metadata.num_rows <= limits.rows_at_once:
        return []
    column = metadata.schema.to_arrow_schema().get_field_index("ordinal")
    ranges = []
    for groups in divide_rows(metadata, limits.rows_per_range, limits.n_ranges):
        first, last = (
            metadata.row_group(group).column(column).statistics for group in (groups[0], groups[-1])
        )
        ranges.append(QueryRange(queries, first.min, last.max))
    return ranges
