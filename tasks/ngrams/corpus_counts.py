"""The n-gram counts of a corpus, from its distinct templates to files.

One step counts a small corpus into one file. For a large corpus, each of several steps counts a
part of the templates, and sorts the n-grams into partitions by a hash. Then each of several steps
adds up one partition, and the counts are a folder of partitions. So no step ever holds all n-grams
of a large corpus. The division depends only on the templates: the same corpus gives the same files,
however much memory and however many threads a run has.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import STEPS_SHARE, connected, resources
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.ngrams.count import count_ngrams
from nl2sql_align.tasks.templates.rules import MAX_N, NGRAM_RULES_VERSION
from nl2sql_align.tasks.warehouse.folder import write_atomically
from nl2sql_align.tasks.warehouse.part_files import (
    gather_files,
    part_name,
    parts_folder,
)

# Memory for each character of the templates: 55 to 95 bytes for real corpora, and up to 300 if
# templates share no n-grams. It is three to four times the size of the counts.
_MEMORY_PER_CHARACTER: Final = 100
_MEMORY_PER_BYTE_COUNTED: Final = 4
# The share of the memory for the first batch, which shows how much memory the others need.
_FIRST_BATCH: Final = 1 / 4
# Memory that DuckDB needs for each row of partial counts, to add up and to sort them.
_MEMORY_PER_ROW: Final = 200


@dataclass(frozen=True)
class CountLimits:
    """How a corpus is divided into steps, and steps into batches.

    Attributes:
        part_bytes: Bytes of distinct templates that one step counts. A million generated queries
            have two parts; each published corpus has a tenth of one at most.
        partition_bytes: Bytes of distinct templates for each partition, which then has some hundred
            thousand n-grams, and at worst a million.
        n_parts: The most parts, and the most partitions: enough for the largest cluster.
        templates_at_a_time: Templates in a batch that is read.
        rows_at_a_time: Rows in a row group of counts.
        memory_bytes: The memory of one step, unless its share of the run's is smaller. More saves
            no time.
    """

    part_bytes: int = 1 << 22
    partition_bytes: int = 1 << 20
    n_parts: int = 256
    templates_at_a_time: int = 1 << 10
    rows_at_a_time: int = 1 << 18
    memory_bytes: int = 1 << 28


DEFAULT_COUNT_LIMITS: Final = CountLimits()

_TEMPLATES: Final = pa.schema(
    [("template", pa.string()), ("n_occurrences", pa.int64()), ("example_ordinal", pa.int64())]
)
_PARTIAL_COUNTS: Final = pa.schema(
    [
        ("partition", pa.uint8()),
        ("ngram", pa.string()),
        ("ngram_length", pa.int32()),
        ("n_occurrences", pa.int64()),
        ("example_ordinal", pa.int64()),
    ]
)
COUNTS: Final = pa.schema([("corpus", pa.string()), *list(_PARTIAL_COUNTS)[1:]])
"""The columns of counts."""


@dataclass(frozen=True)
class CountJob:
    """A part of a corpus's distinct templates to count: some row groups of ``source``.

    ``destination`` is a file of partial counts, in which each row group belongs to one partition.
    """

    corpus: str
    source: Path
    row_groups: range
    destination: Path
    n_partitions: int
    max_n: int = MAX_N
    limits: CountLimits = DEFAULT_COUNT_LIMITS


@dataclass(frozen=True)
class AddJob:
    """A partition of a corpus's n-grams to add up over the partial counts of all parts."""

    corpus: str
    parts: tuple[Path, ...]
    partition: int
    destination: Path
    metadata: dict[str, str]
    max_n: int = MAX_N
    limits: CountLimits = DEFAULT_COUNT_LIMITS


@dataclass(frozen=True)
class Division:
    """The steps that count a large corpus.

    First all of ``parts`` are counted, in any order, then all of ``partitions`` are added up. Then
    ``gather_partitions`` moves their files from ``scratch`` to the folder ``destination``.
    """

    parts: tuple[CountJob, ...]
    partitions: tuple[AddJob, ...]
    scratch: Path
    destination: Path


def count_divided(division: Division) -> Path:
    """Count a large corpus, one step after another, and return the folder of its counts."""
    for part in division.parts:
        count_part(part)
    for partition in division.partitions:
        add_partition(partition)
    return gather_partitions(division)


def begin_counting(
    corpus: str,
    templates: Path,
    destination: Path,
    scratch: Path,
    metadata: dict[str, str],
    max_n: int = MAX_N,
    limits: CountLimits = DEFAULT_COUNT_LIMITS,
) -> Division | None:
    """Count the n-grams of a small corpus, or return the steps that count a large one.

    This finds the distinct templates. DuckDB does so on disk if they do not fit in memory.

    Args:
        corpus: The corpus's name.
        templates: Its distinct queries with their templates.
        destination: The file to write: ``corpus``, ``ngram``, ``ngram_length`` (tokens),
            ``n_occurrences``, ``example_ordinal`` (a query whose template holds the n-gram).
        scratch: A folder for temporary files, on the same disk.
        metadata: The file's origin, to store in it.
        max_n: The longest n-gram, in tokens.
        limits: The sizes of parts, partitions and batches.

    Returns:
        None if the counts are in ``destination``. Otherwise the steps, which write a folder instead
        of the file.
    """
    metadata = {**metadata, "ngram_rules_version": str(NGRAM_RULES_VERSION), "max_n": str(max_n)}
    with connected() as con:
        distinct = query_sql(con, "ngrams/distinct_templates", templates=str(templates))
        reader = distinct.to_arrow_reader(limits.templates_at_a_time)
        read: list[pa.RecordBatch] = []
        n_bytes = 0
        for batch in reader:
            read.append(batch)
            n_bytes += _n_bytes(batch)
            if n_bytes > limits.part_bytes:
                source = scratch / f"{corpus}-{destination.stem}" / "templates.parquet"
                n_bytes, n_groups = _write_templates(chain(read, reader), reader.schema, source)
                return _divide(
                    corpus, source, n_bytes, n_groups, destination, metadata, max_n, limits
                )
        with write_atomically(destination) as temporary:
            counted = _count_batches(read, max_n, limits)
            _write_whole(con, corpus, counted, temporary, metadata, max_n, limits)
    return None


def count_part(job: CountJob) -> float:
    """Count a part of a corpus's templates, and return the seconds that it took."""
    started = time.perf_counter()
    with (
        connected() as con,
        pq.ParquetFile(job.source) as file,
        write_atomically(job.destination) as temporary,
    ):
        templates = file.iter_batches(job.limits.templates_at_a_time, row_groups=job.row_groups)
        counted = _count_batches(templates, job.max_n, job.limits)
        _write_partial(con, counted, temporary, job.n_partitions)
    return time.perf_counter() - started


def add_partition(job: AddJob) -> float:
    """Add up a partition of a corpus's n-grams, and return the seconds that it took."""
    started = time.perf_counter()
    with connected() as con, write_atomically(job.destination) as temporary:
        _add_up(con, job, temporary)
    return time.perf_counter() - started


def gather_partitions(division: Division) -> Path:
    """Move a corpus's partitions to their destination, once all are added up."""
    gather_files((job.destination for job in division.partitions), division.destination)
    shutil.rmtree(division.scratch, ignore_errors=True)
    return division.destination


def _write_templates(
    templates: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path
) -> tuple[int, int]:
    """Write each batch as a row group, and return the bytes of all templates and the groups."""
    n_bytes = n_groups = 0
    with (
        write_atomically(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="lz4") as writer,
    ):
        for batch in templates:
            writer.write_batch(batch, row_group_size=max(1, batch.num_rows))
            n_bytes += _n_bytes(batch)
            n_groups += 1
    return n_bytes, n_groups


def _divide(
    corpus: str,
    source: Path,
    n_bytes: int,
    n_groups: int,
    destination: Path,
    metadata: dict[str, str],
    max_n: int,
    limits: CountLimits,
) -> Division:
    """Return the steps that count the templates in ``source``."""
    folder = source.parent
    n_parts = min(limits.n_parts, n_groups, -(-n_bytes // limits.part_bytes))
    n_partitions = min(limits.n_parts, -(-n_bytes // limits.partition_bytes))
    n_partitions = 1 << (n_partitions - 1).bit_length()
    parts = tuple(
        CountJob(
            corpus,
            source,
            range(part * n_groups // n_parts, (part + 1) * n_groups // n_parts),
            folder / f"part-{part}.parquet",
            n_partitions,
            max_n,
            limits,
        )
        for part in range(n_parts)
    )
    partitions = tuple(
        AddJob(
            corpus,
            tuple(part.destination for part in parts),
            partition,
            folder / "counts" / part_name(partition, n_partitions),
            metadata,
            max_n,
            limits,
        )
        for partition in range(n_partitions)
    )
    return Division(parts, partitions, folder, parts_folder(destination))


def _n_bytes(templates: pa.RecordBatch) -> int:
    """Return the size of the templates' texts."""
    n_bytes: int = pc.sum(pc.binary_length(templates["template"])).as_py() or 0
    return n_bytes


def _count_batches(
    templates: Iterable[pa.RecordBatch], max_n: int, limits: CountLimits
) -> Iterator[pl.DataFrame]:
    """Count the n-grams of batches as large as the memory allows; yield at least one table."""
    memory = min(limits.memory_bytes, resources().memory_bytes // resources().threads)
    limit = max(1.0, _FIRST_BATCH * memory / _MEMORY_PER_CHARACTER)
    per_character = float(_MEMORY_PER_CHARACTER)
    held: list[pa.RecordBatch] = []
    size = n_tables = 0
    for batch in templates:
        if held and size + batch["template"].nbytes > limit:
            counts = count_ngrams(pl.DataFrame(pa.Table.from_batches(held)), max_n)
            needed = _MEMORY_PER_BYTE_COUNTED * counts.estimated_size() / max(1, size)
            per_character = max(per_character, needed)
            limit = max(1.0, memory / per_character)
            yield counts
            held, size, n_tables = [], 0, n_tables + 1
        held.append(batch)
        size += batch["template"].nbytes
    if held or not n_tables:
        yield count_ngrams(pl.DataFrame(pa.Table.from_batches(held, _TEMPLATES)), max_n)


def _write_whole(
    con: duckdb.DuckDBPyConnection,
    corpus: str,
    counted: Iterator[pl.DataFrame],
    path: Path,
    metadata: dict[str, str],
    max_n: int,
    limits: CountLimits,
) -> None:
    """Write the sums of some counts as one file."""
    first, second = next(counted), next(counted, None)
    if second is None:
        counts = first.with_columns(corpus=pl.lit(corpus))
        _write_counts(counts.iter_slices(limits.rows_at_a_time), path, metadata)
        return
    partial = path.with_name(f"{path.name}-partial")
    try:
        _write_partial(con, chain([first, second], counted), partial, n_partitions=1)
        _add_up(con, AddJob(corpus, (partial,), 0, path, metadata, max_n, limits), path)
    finally:
        partial.unlink(missing_ok=True)


def _write_partial(
    con: duckdb.DuckDBPyConnection,
    counted: Iterable[pl.DataFrame],
    path: Path,
    n_partitions: int,
) -> None:
    """Write the counts of each batch, with a row group for each partition."""
    run_sql(con, "ngrams/partition_of")
    with pq.ParquetWriter(path, _PARTIAL_COUNTS, compression="lz4") as writer:
        for counts in counted:
            con.register("counted", counts.select("ngram").to_arrow())
            found = query_sql(con, "ngrams/partitions", n_partitions=n_partitions)
            partition = pl.Series(found.to_arrow_table()["partition"])
            con.unregister("counted")
            for number in range(n_partitions):
                rows = counts.filter(partition == number)
                rows = rows.with_columns(partition=pl.lit(number, pl.UInt8))
                table = pa.table(rows).select(_PARTIAL_COUNTS.names).cast(_PARTIAL_COUNTS)
                writer.write_table(table, row_group_size=max(1, len(rows)))


def _add_up(con: duckdb.DuckDBPyConnection, job: AddJob, path: Path) -> None:
    """Add up a partition; if it does not fit in memory, the n-grams of one length at a time."""
    share = resources().memory_bytes * STEPS_SHARE / resources().threads
    memory = min(job.limits.memory_bytes, share)
    fits = _n_rows(job.parts, job.partition) * _MEMORY_PER_ROW <= memory
    lengths = [(1, job.max_n)] if fits else [(n, n) for n in range(1, job.max_n + 1)]
    n_rows = job.limits.rows_at_a_time
    merged = (
        query_sql(
            con,
            "ngrams/merge_counts",
            corpus=job.corpus,
            parts=[str(part) for part in job.parts],
            partition=job.partition,
            shortest=shortest,
            longest=longest,
        ).to_arrow_reader(n_rows)
        for shortest, longest in lengths
    )
    _write_counts(_regroup(chain.from_iterable(merged), n_rows), path, job.metadata)


def _n_rows(parts: Iterable[Path], partition: int) -> int:
    """Return the number of partial counts of a partition, over all parts."""
    n_rows = 0
    for part in parts:
        metadata = pq.read_metadata(part)
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            statistics = group.column(0).statistics
            if statistics is not None and statistics.min == partition:
                n_rows += group.num_rows
    return n_rows


def _regroup(batches: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[pa.Table]:
    """Yield the same rows in tables of ``n_rows`` each, except for the last."""
    held: list[pa.RecordBatch] = []
    n_held = 0
    for batch in batches:
        held.append(batch)
        n_held += batch.num_rows
        if n_held >= n_rows:
            table = pa.Table.from_batches(held)
            yield table.slice(0, n_rows)
            held = table.slice(n_rows).to_batches()
            n_held -= n_rows
    if n_held:
        yield pa.Table.from_batches(held)


def _write_counts(tables: Iterable[Any], path: Path, metadata: dict[str, str]) -> None:
    """Write each table as a row group."""
    schema = COUNTS.with_metadata(metadata)
    options: dict[str, Any] = {
        "compression": "zstd",
        "use_dictionary": ["corpus"],
        # Stores all lengths before all texts, which is read in 3/4 of the time of plain values.
        "column_encoding": {"ngram": "DELTA_LENGTH_BYTE_ARRAY"},
    }
    with pq.ParquetWriter(path, schema, **options) as writer:
        for table in tables:
            # The bounds of chunks, which depend on the memory, would be those of pages.
            rows = pa.table(table).select(schema.names).combine_chunks()
            writer.write_table(rows.cast(schema))
