"""The published queries of a corpus: Parquet files with their texts and templates.

The view ``queries`` of the published database reads these files, so that the database itself stays
small. Most corpora have one file. A large corpus has a folder of files, each of which one step
writes.
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.templates.parts import divide_rows
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import fetch_missing
from nl2sql_align.tasks.warehouse.part_files import (
    find_complete,
    gather_files,
    part_name,
    parts_folder,
)

PACKING_VERSION: Final = 1
"""Raise it with every change that can alter the packed queries of the same stage files."""


@dataclass(frozen=True)
class PackLimits:
    """How the queries of a corpus are divided into files, and files into row groups.

    Attributes:
        rows_per_part: The queries that one step packs, rounded up to row groups as ingested. A
            corpus with at most this many has one file.
        n_parts: The most files of a corpus.
        rows_per_group: The most queries in a row group, whose texts a lookup decompresses. Eight
            of them are one of DuckDB, which writes the ingested queries.
        repeated_rows_per_group: The same for a corpus whose texts repeat themselves: its row groups
            store each of their texts once.
        bytes_per_group: Row groups, which are in memory while they are written, have at most this
            many bytes on average.
    """

    rows_per_part: int = 1 << 18
    n_parts: int = 256
    rows_per_group: int = 15_360
    repeated_rows_per_group: int = 122_880
    bytes_per_group: int = 1 << 25


DEFAULT_PACK_LIMITS: Final = PackLimits()

# Texts repeat themselves if each occurs this many times on average.
_MANY_TIMES: Final = 4

SCHEMA: Final = pa.schema(
    [
        pa.field("corpus", pa.string(), nullable=False),
        pa.field("ordinal", pa.int64(), nullable=False),
        pa.field("sql", pa.string(), nullable=False),
        ("raw_sql", pa.string()),
        ("db_id", pa.string()),
        ("question", pa.string()),
        pa.field("n_occurrences", pa.int64(), nullable=False),
        ("template_id", pa.string()),
        ("reject_reason", pa.string()),
        ("id", pa.string()),
        pa.field("question_ordinal", pa.int64(), nullable=False),
        ("part", pa.string()),
    ]
)
"""The columns of the packed queries."""

# In most corpora, most of these texts differ from each other: neither a dictionary nor the range of
# a row group helps to find one.
_TEXTS: Final = ("sql", "raw_sql", "question", "id")


@dataclass(frozen=True)
class PackJob:
    """Some of a corpus's queries to pack: some row groups of ``queries`` into ``destination``.

    Attributes:
        corpus: The corpus's name.
        queries: Its queries, as ingested.
        templates: Its distinct queries with their templates.
        repeated: Those of several queries, as ``begin_packing`` wrote them for a large corpus, or
            ``templates``.
        row_groups: The row groups.
        destination: The file to write.
        has_sql: Whether the corpus has SQL. If not, its texts are left out.
        limits: The sizes of row groups.
    """

    corpus: str
    queries: Path
    templates: Path
    repeated: Path
    row_groups: range
    destination: Path
    has_sql: bool
    limits: PackLimits = DEFAULT_PACK_LIMITS


@dataclass(frozen=True)
class Packing:
    """The steps that pack the queries of a corpus, in any order.

    Attributes:
        parts: The steps; an empty tuple if the queries are packed.
        destination: The file; for several steps, the folder to which ``gather_packed`` moves their
            files.
        scratch: A folder for the files until then.
    """

    parts: tuple[PackJob, ...]
    destination: Path
    scratch: Path


def pack_queries(
    corpus: CountedCorpus, warehouse: Warehouse, limits: PackLimits = DEFAULT_PACK_LIMITS
) -> Path:
    """Write the queries of a corpus with their templates or reject reasons, unless they exist.

    Row groups are read, joined and written one after another, so that texts of one only are in
    memory.

    Args:
        corpus: The corpus; its counts may still be missing if it is divided.
        warehouse: The warehouse.
        limits: The sizes of files and row groups.

    Returns:
        The file or the folder of files, with the columns of the view ``queries``, in the order of
        the ordinals.
    """
    packing = begin_packing(corpus, warehouse, limits)
    if packing.parts:
        for part in packing.parts:
            pack_part(part)
        gather_packed(packing)
    return packing.destination


def begin_packing(
    corpus: CountedCorpus, warehouse: Warehouse, limits: PackLimits = DEFAULT_PACK_LIMITS
) -> Packing:
    """Pack the queries of a small corpus, or write the data that the parts of a large one share.

    Returns:
        The steps that are left, for a large corpus.
    """
    packing = plan_packing(corpus, warehouse, limits)
    if packing.parts:
        fetch_missing([corpus.queries, corpus.templates])
    if len(packing.parts) == 1:
        pack_part(packing.parts[0])
        return replace(packing, parts=())
    if packing.parts:
        with connected() as con, write_atomically(packing.parts[0].repeated) as temporary:
            repeated = _find_repeated(con, corpus.templates)
            repeated.write_parquet(str(temporary), compression="lz4")
    return packing


def plan_packing(
    corpus: CountedCorpus, warehouse: Warehouse, limits: PackLimits = DEFAULT_PACK_LIMITS
) -> Packing:
    """Return the steps that pack a corpus; an empty list of steps if it is packed."""
    file = _name_file(corpus, warehouse)
    scratch = warehouse.scratch / f"{file.stem}-queries"
    if (packed := find_complete(file)) is not None:
        return Packing((), packed, scratch)
    parts = divide_rows(pq.read_metadata(corpus.queries), limits.rows_per_part, limits.n_parts)
    if len(parts) > 1:
        names = [part_name(number, len(parts)) for number in range(len(parts))]
        files, destination = [scratch / "parts" / name for name in names], parts_folder(file)
        repeated = scratch / "repeated.parquet"
    else:
        files, destination, repeated = [file], file, corpus.templates
    jobs = tuple(
        PackJob(
            corpus.entry.name,
            corpus.queries,
            corpus.templates,
            repeated,
            groups,
            file,
            corpus.has_sql,
            limits,
        )
        for file, groups in zip(files, parts, strict=True)
    )
    return Packing(jobs, destination, scratch)


def pack_part(job: PackJob) -> float:
    """Pack some of a corpus's queries, and return the seconds that it took."""
    started = time.perf_counter()
    is_repeated = _are_repeated(job)
    schema = _find_schema(is_repeated)
    # A row group of texts that repeat themselves keeps its dictionary: texts are never copied.
    dictionaries = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    with connected() as con, pq.ParquetFile(job.queries, read_dictionary=dictionaries) as file:
        outcomes = _find_outcomes(con, job, file)
        size = _size_group(file.metadata, job.limits, is_repeated)
        with (
            write_atomically(job.destination) as temporary,
            _open_writer(temporary, schema, job.limits, is_repeated) as writer,
        ):
            n_rows = 0
            for batch in file.iter_batches(size, row_groups=job.row_groups):
                of_batch = outcomes.slice(n_rows, batch.num_rows)
                writer.write_table(_join_columns(job, batch, of_batch, schema))
                n_rows += batch.num_rows
    pa.default_memory_pool().release_unused()  # freed memory that the allocator keeps
    return time.perf_counter() - started


def gather_packed(packing: Packing) -> Path:
    """Move the files of a corpus to their destination, once all are written."""
    gather_files([part.destination for part in packing.parts], packing.destination)
    shutil.rmtree(packing.scratch, ignore_errors=True)
    return packing.destination


def find_packed(corpus: CountedCorpus, warehouse: Warehouse) -> Path:
    """Return where the packed queries of a corpus are stored: a file, or a folder of files."""
    packed = find_complete(_name_file(corpus, warehouse))
    assert packed is not None, f"the queries of {corpus.entry.name} are not packed"
    return packed


def _name_file(corpus: CountedCorpus, warehouse: Warehouse) -> Path:
    """Return the file of the packed queries, which a folder replaces if the corpus is large."""
    key = stage_key(
        queries=corpus.queries.stem,
        templates=corpus.templates.stem,
        has_sql=corpus.has_sql,
        version=PACKING_VERSION,
    )
    return warehouse.packed_file(corpus.entry.name, key)


def _find_repeated(con: duckdb.DuckDBPyConnection, templates: Path) -> duckdb.DuckDBPyRelation:
    return query_sql(con, "results/publish/repeated_texts", templates=str(templates))


def _find_outcomes(con: duckdb.DuckDBPyConnection, job: PackJob, file: pq.ParquetFile) -> pa.Table:
    """Return the template or the reject reason of each query of a part, in their order."""
    _find_repeated(con, job.repeated).create_view("repeated_texts")
    ordinals = pc.min_max(file.read_row_groups(job.row_groups, columns=["ordinal"])["ordinal"])
    return query_sql(
        con,
        "results/publish/query_outcomes",
        queries=str(job.queries),
        templates=str(job.templates),
        first_ordinal=ordinals["min"].as_py(),
        last_ordinal=ordinals["max"].as_py(),
    ).to_arrow_table()


def _are_repeated(job: PackJob) -> bool:
    """Return whether the texts of a corpus repeat themselves."""
    n_texts, n_queries = (pq.read_metadata(one).num_rows for one in (job.templates, job.queries))
    return bool(n_texts * _MANY_TIMES <= n_queries)


def _size_group(ingested: pq.FileMetaData, limits: PackLimits, is_repeated: bool) -> int:
    """Return the number of queries in a row group; fewer if they are long."""
    most = limits.repeated_rows_per_group if is_repeated else limits.rows_per_group
    groups = map(ingested.row_group, range(ingested.num_row_groups))
    n_bytes: int = sum(group.total_byte_size for group in groups)
    n_rows: int = ingested.num_rows
    return max(1, min(most, n_rows * limits.bytes_per_group // max(1, n_bytes)))


def _find_schema(is_repeated: bool) -> pa.Schema:
    """Return the columns of a file in memory, where texts that repeat themselves are dictionaries.

    The file on disk has the types of ``SCHEMA`` in any case.
    """
    if not is_repeated:
        return SCHEMA
    texts = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([one.with_type(texts) if one.name in _TEXTS else one for one in SCHEMA])


def _join_columns(
    job: PackJob, ingested: pa.RecordBatch, outcomes: pa.Table, schema: pa.Schema
) -> pa.Table:
    """Return packed queries; without texts if the corpus has no SQL: no query has a template."""
    n_rows = ingested.num_rows
    columns = dict(zip(ingested.schema.names, ingested.columns, strict=True))
    columns |= dict(zip(outcomes.schema.names, outcomes.columns, strict=True))
    columns["corpus"] = pa.repeat(job.corpus, n_rows)
    columns["question_ordinal"] = pc.coalesce(ingested["question_ordinal"], ingested["ordinal"])
    if not job.has_sql:
        columns |= {name: pa.nulls(n_rows) for name in ("raw_sql", "db_id", "question", "id")}
        columns["sql"] = pa.repeat("", n_rows)
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def _open_writer(
    file: Path, schema: pa.Schema, limits: PackLimits, is_repeated: bool
) -> pq.ParquetWriter:
    others = [name for name in SCHEMA.names if name not in _TEXTS]
    return pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=SCHEMA.names if is_repeated else others,
        dictionary_pagesize_limit=limits.bytes_per_group,
        write_statistics=others,
        store_schema=False,
    )
