"""The n-gram counts of corpora, from their distinct templates to files.

A corpus is counted by one step, into one file. Of one with much text in its templates, steps each
count a part of the templates, and sort what they find into partitions by a hash of the n-gram; then
steps each add up one partition, and the counts are a folder of these. So no step ever holds all
n-grams of a large corpus. How a corpus is divided depends on its templates alone: the same corpus
gives the same files, whatever the memory and the threads.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
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
from nl2sql_align.tasks.warehouse.count_files import partition_name, partitions_folder
from nl2sql_align.tasks.warehouse.folder import write_atomically

# Bytes of distinct templates in a part: a million generated queries have two, the published corpora
# a tenth of one at most.
_LARGEST_PART: Final = 1 << 22
# Bytes of distinct templates for each partition: some hundred thousand n-grams, a million at worst.
_PER_PARTITION: Final = 1 << 20
# So many of each are enough for the largest cluster, and few enough to be files.
_MOST_PARTS: Final = 256
# Counting takes 55 to 95 bytes of memory for each character of the templates of real corpora, and
# up to 300 where they share no n-grams: three to four times what the counts take.
_MEMORY_PER_CHARACTER: Final = 100
_MEMORY_PER_BYTE_COUNTED: Final = 4
# What the first batch takes tells what the others will.
_FIRST_BATCH: Final = 1 / 4
# What DuckDB takes to add up partial counts and to sort them.
_MEMORY_PER_ROW: Final = 200
_TEMPLATES_AT_A_TIME: Final = 1 << 10
_ROWS_AT_A_TIME: Final = 1 << 18

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
_COUNTS: Final = pa.schema([("corpus", pa.string()), *list(_PARTIAL_COUNTS)[1:]])


@dataclass(frozen=True)
class CountJob:
    """A part of a corpus's distinct templates to count: some row groups of ``source``.

    ``destination`` is a file of partial counts, in which each row group is of one partition.
    """

    corpus: str
    source: Path
    row_groups: range
    destination: Path
    n_partitions: int
    max_n: int = MAX_N


@dataclass(frozen=True)
class AddJob:
    """A partition of a corpus's n-grams to add up, over the partial counts of all parts."""

    corpus: str
    parts: tuple[Path, ...]
    partition: int
    destination: Path
    metadata: dict[str, str]
    max_n: int = MAX_N


@dataclass(frozen=True)
class Division:
    """How the counting of a large corpus is shared out.

    First all of ``parts`` are counted, in any order, then all of ``partitions`` added up; what
    these write below ``scratch`` becomes the folder ``destination``.
    """

    parts: tuple[CountJob, ...]
    partitions: tuple[AddJob, ...]
    scratch: Path
    destination: Path


def count_divided(division: Division) -> Path:
    """Counts a large corpus, one step after the other; the folder of its counts."""
    for part in division.parts:
        count_part(part)
    for partition in division.partitions:
        add_up(partition)
    return gather(division)


def begin_counting(
    corpus: str,
    templates: Path,
    destination: Path,
    scratch: Path,
    metadata: dict[str, str],
    max_n: int = MAX_N,
) -> Division | None:
    """Writes the n-gram counts of a corpus, or tells what steps it takes to count a large one.

    Finding the distinct templates is this one step's work, by DuckDB, which goes to disk where they
    do not fit.

    Args:
        corpus: The corpus's name.
        templates: Its distinct queries with their templates.
        destination: ``corpus``, ``ngram``, ``ngram_length`` (tokens), ``n_occurrences``,
            ``example_ordinal`` (a query whose template holds the n-gram).
        scratch: A folder for what is worth nothing afterwards, on the same disk.
        metadata: What to say in the file about its origin.
        max_n: The longest n-gram, in tokens.

    Returns:
        None where the counts are in ``destination``; else the steps, which put a folder in its
        place.
    """
    said = {**metadata, "ngram_rules_version": str(NGRAM_RULES_VERSION), "max_n": str(max_n)}
    with connected() as con:
        distinct = query_sql(con, "ngrams/distinct_templates", templates=str(templates))
        reader = distinct.to_arrow_reader(_TEMPLATES_AT_A_TIME)
        read: list[pa.RecordBatch] = []
        n_bytes = 0
        for some in reader:
            read.append(some)
            n_bytes += _n_bytes(some)
            if n_bytes > _LARGEST_PART:
                return _divided(
                    corpus, chain(read, reader), reader.schema, destination, scratch, said, max_n
                )
        with write_atomically(destination) as temporary:
            _count_whole(con, corpus, _counted(read, max_n), temporary, said, max_n)
    return None


def count_part(job: CountJob) -> float:
    """Counts a part of a corpus's templates; the seconds that it took."""
    started = time.perf_counter()
    with (
        connected() as con,
        pq.ParquetFile(job.source) as file,
        write_atomically(job.destination) as temporary,
    ):
        templates = file.iter_batches(_TEMPLATES_AT_A_TIME, row_groups=job.row_groups)
        _write_partial(con, _counted(templates, job.max_n), temporary, job.n_partitions)
    return time.perf_counter() - started


def add_up(job: AddJob) -> float:
    """Adds up a partition of a corpus's n-grams; the seconds that it took."""
    started = time.perf_counter()
    with connected() as con, write_atomically(job.destination) as temporary:
        _add_up(con, job.corpus, job.parts, job.partition, temporary, job.metadata, job.max_n)
    return time.perf_counter() - started


def gather(division: Division) -> Path:
    """Puts a corpus's partitions, when all are added up, where its counts belong."""
    folder = division.partitions[0].destination.parent
    wanted = {job.destination for job in division.partitions}
    for file in folder.iterdir():
        if file not in wanted:  # of a worker that died
            file.unlink()
    # What is there lacks a partition: else nothing would have been counted.
    shutil.rmtree(division.destination, ignore_errors=True)
    division.destination.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(division.destination)
    shutil.rmtree(division.scratch, ignore_errors=True)
    return division.destination


def _divided(
    corpus: str,
    templates: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    destination: Path,
    scratch: Path,
    metadata: dict[str, str],
    max_n: int,
) -> Division:
    folder = scratch / f"{corpus}-{destination.stem}"
    source = folder / "templates.parquet"
    n_bytes = n_groups = 0
    with (
        write_atomically(source) as temporary,
        pq.ParquetWriter(temporary, schema, compression="lz4") as writer,
    ):
        for some in templates:
            writer.write_batch(some, row_group_size=max(1, some.num_rows))
            n_bytes += _n_bytes(some)
            n_groups += 1
    n_parts = min(_MOST_PARTS, n_groups, -(-n_bytes // _LARGEST_PART))
    n_partitions = 1 << (min(_MOST_PARTS, -(-n_bytes // _PER_PARTITION)) - 1).bit_length()
    parts = tuple(
        CountJob(
            corpus,
            source,
            range(part * n_groups // n_parts, (part + 1) * n_groups // n_parts),
            folder / f"part-{part}.parquet",
            n_partitions,
            max_n,
        )
        for part in range(n_parts)
    )
    partitions = tuple(
        AddJob(
            corpus,
            tuple(part.destination for part in parts),
            partition,
            folder / "counts" / partition_name(partition, n_partitions),
            metadata,
            max_n,
        )
        for partition in range(n_partitions)
    )
    return Division(parts, partitions, folder, partitions_folder(destination))


def _n_bytes(templates: pa.RecordBatch) -> int:
    """The bytes of some templates' texts."""
    n_bytes: int = pc.sum(pc.binary_length(templates["template"])).as_py() or 0
    return n_bytes


def _counted(templates: Iterable[pa.RecordBatch], max_n: int) -> Iterator[pl.DataFrame]:
    """The counts of batches of templates, as large as the memory allows; at least one table."""
    memory = resources().memory_bytes // resources().threads
    limit = max(1.0, _FIRST_BATCH * memory / _MEMORY_PER_CHARACTER)
    per_character = float(_MEMORY_PER_CHARACTER)
    held: list[pa.RecordBatch] = []
    size = n_tables = 0
    for some in templates:
        if held and size + some["template"].nbytes > limit:
            counts = count_ngrams(pl.DataFrame(pa.Table.from_batches(held)), max_n)
            taken = _MEMORY_PER_BYTE_COUNTED * counts.estimated_size() / max(1, size)
            per_character = max(per_character, taken)
            limit = max(1.0, memory / per_character)
            yield counts
            held, size, n_tables = [], 0, n_tables + 1
        held.append(some)
        size += some["template"].nbytes
    if held or not n_tables:
        yield count_ngrams(pl.DataFrame(pa.Table.from_batches(held, _TEMPLATES)), max_n)


def _count_whole(
    con: duckdb.DuckDBPyConnection,
    corpus: str,
    counted: Iterator[pl.DataFrame],
    path: Path,
    metadata: dict[str, str],
    max_n: int,
) -> None:
    first, second = next(counted), next(counted, None)
    if second is None:
        counts = first.with_columns(corpus=pl.lit(corpus))
        _write_counts(counts.iter_slices(_ROWS_AT_A_TIME), path, metadata)
        return
    partial = path.with_name(f"{path.name}-partial")
    try:
        _write_partial(con, chain([first, second], counted), partial, 1)
        _add_up(con, corpus, [partial], 0, path, metadata, max_n)
    finally:
        partial.unlink(missing_ok=True)


def _write_partial(
    con: duckdb.DuckDBPyConnection,
    counted: Iterable[pl.DataFrame],
    path: Path,
    n_partitions: int,
) -> None:
    """Writes the counts of each batch, a row group for each partition."""
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


def _add_up(
    con: duckdb.DuckDBPyConnection,
    corpus: str,
    parts: Sequence[Path],
    partition: int,
    path: Path,
    metadata: dict[str, str],
    max_n: int,
) -> None:
    """Adds up a partition; where it does not fit in memory, the n-grams of each length alone."""
    memory = resources().memory_bytes * STEPS_SHARE / resources().threads
    fits = _n_rows(parts, partition) * _MEMORY_PER_ROW <= memory
    lengths = [(1, max_n)] if fits else [(n, n) for n in range(1, max_n + 1)]
    merged = (
        query_sql(
            con,
            "ngrams/merge_counts",
            corpus=corpus,
            parts=[str(part) for part in parts],
            partition=partition,
            shortest=shortest,
            longest=longest,
        ).to_arrow_reader(_ROWS_AT_A_TIME)
        for shortest, longest in lengths
    )
    _write_counts(_of_one_size(chain.from_iterable(merged)), path, metadata)


def _n_rows(parts: Iterable[Path], partition: int) -> int:
    """The partial counts of a partition in all parts."""
    n_rows = 0
    for part in parts:
        metadata = pq.read_metadata(part)
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            statistics = group.column(0).statistics
            if statistics is not None and statistics.min == partition:
                n_rows += group.num_rows
    return n_rows


def _of_one_size(tables: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of ``_ROWS_AT_A_TIME``, but for the last."""
    held: list[pa.RecordBatch] = []
    n_rows = 0
    for some in tables:
        held.append(some)
        n_rows += some.num_rows
        if n_rows >= _ROWS_AT_A_TIME:
            table = pa.Table.from_batches(held)
            yield table.slice(0, _ROWS_AT_A_TIME)
            held = table.slice(_ROWS_AT_A_TIME).to_batches()
            n_rows -= _ROWS_AT_A_TIME
    if n_rows:
        yield pa.Table.from_batches(held)


def _write_counts(parts: Iterable[Any], path: Path, metadata: dict[str, str]) -> None:
    """Writes tables one after the other, each a row group."""
    schema = _COUNTS.with_metadata(metadata)
    options: dict[str, Any] = {
        "compression": "zstd",
        "use_dictionary": ["corpus"],
        # Lengths, then all texts: read in three quarters of the time that plain values take.
        "column_encoding": {"ngram": "DELTA_LENGTH_BYTE_ARRAY"},
    }
    with pq.ParquetWriter(path, schema, **options) as writer:
        for part in parts:
            writer.write_table(pa.table(part).select(schema.names).cast(schema))
