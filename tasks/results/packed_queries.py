"""The published queries of a corpus: a Parquet file with their texts and templates.

The view ``queries`` of the published database reads these files, so that the database itself stays
small.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically

PACKING_VERSION: Final = 1
"""Goes up with every change that can alter the packed queries of the same stage files."""

ROWS_PER_GROUP: Final = 15_360
"""The most queries in a row group, whose texts a lookup decompresses. Eight of them are one of
DuckDB, which writes the ingested queries."""

# Row groups, which are in memory while they are written, have at most this many bytes on average.
_BYTES_PER_GROUP: Final = 1 << 25

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

# Most of these texts differ from each other: neither a dictionary nor the range of a row group
# helps to find one.
_TEXTS: Final = ("sql", "raw_sql", "question", "id")


def pack_queries(
    corpus: CountedCorpus, warehouse: Warehouse, rows_per_group: int = ROWS_PER_GROUP
) -> Path:
    """Write the queries of a corpus with their templates or reject reasons, unless they exist.

    Row groups are read, joined and written one after another, so that texts of one only are in
    memory.

    Args:
        corpus: The corpus; its counts may still be missing if it is divided.
        warehouse: The warehouse.
        rows_per_group: The most queries in a row group.

    Returns:
        The file, with the columns of the view ``queries``, in the order of the ordinals.
    """
    destination = find_packed(corpus, warehouse)
    if destination.exists():
        return destination
    templates = str(corpus.templates)
    with (
        connected() as con,
        pq.ParquetFile(corpus.queries) as file,
        write_atomically(destination) as temporary,
        _open_writer(temporary) as writer,
    ):
        run_sql(
            con,
            "results/publish/repeated_queries",
            queries=str(corpus.queries),
            templates=templates,
        )
        for batch in file.iter_batches(_size_group(file.metadata, rows_per_group)):
            con.register("ingested", pa.table(batch.select(["ordinal", "reject_reason"])))
            ordinals = pc.min_max(batch["ordinal"])
            outcomes = query_sql(
                con,
                "results/publish/query_outcomes",
                templates=templates,
                first_ordinal=ordinals["min"].as_py(),
                last_ordinal=ordinals["max"].as_py(),
            ).to_arrow_table()
            con.unregister("ingested")
            writer.write_table(_join_columns(corpus, batch, outcomes))
    return destination


def _size_group(ingested: pq.FileMetaData, rows_per_group: int) -> int:
    """Return the number of queries in a row group; fewer if they are long."""
    groups = map(ingested.row_group, range(ingested.num_row_groups))
    n_bytes: int = sum(group.total_byte_size for group in groups)
    n_rows: int = ingested.num_rows
    return max(1, min(rows_per_group, n_rows * _BYTES_PER_GROUP // max(1, n_bytes)))


def _join_columns(corpus: CountedCorpus, ingested: pa.RecordBatch, outcomes: pa.Table) -> pa.Table:
    """Return packed queries; without texts if the corpus has no SQL: no query has a template."""
    n_rows = ingested.num_rows
    columns = dict(zip(ingested.schema.names, ingested.columns, strict=True))
    columns |= dict(zip(outcomes.schema.names, outcomes.columns, strict=True))
    columns["corpus"] = pa.repeat(corpus.entry.name, n_rows)
    columns["question_ordinal"] = pc.coalesce(ingested["question_ordinal"], ingested["ordinal"])
    if not corpus.has_sql:
        columns |= {name: pa.nulls(n_rows) for name in ("raw_sql", "db_id", "question", "id")}
        columns["sql"] = pa.repeat("", n_rows)
    return pa.table({name: columns[name] for name in SCHEMA.names}).cast(SCHEMA)


def _open_writer(file: Path) -> pq.ParquetWriter:
    others = [name for name in SCHEMA.names if name not in _TEXTS]
    return pq.ParquetWriter(
        file,
        SCHEMA,
        compression="zstd",
        compression_level=3,
        use_dictionary=others,
        write_statistics=others,
        store_schema=False,
    )


def find_packed(corpus: CountedCorpus, warehouse: Warehouse) -> Path:
    """Return where the published queries of a corpus are stored, or will be."""
    key = stage_key(
        queries=corpus.queries.stem,
        templates=corpus.templates.stem,
        has_sql=corpus.has_sql,
        version=PACKING_VERSION,
    )
    return warehouse.packed_file(corpus.entry.name, key)
