"""The parts of a corpus: distinct queries are split for the parser, and joined once parsed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.warehouse.folder import write_atomically


def join_templates(texts: list[Path], parts: list[Path], destination: Path) -> None:
    """Write each distinct query of a corpus with its template or reject reason.

    Args:
        texts: The files of the distinct queries, in their order.
        parts: The parsed parts, in their order.
        destination: The file to write: ``first_ordinal``, ``sql``, ``n_queries``, ``template``,
            ``template_id``, ``reject_reason``, ``comparable_key``.
    """
    with connected() as con, write_atomically(destination) as temporary:
        query_sql(
            con,
            "templates/templates_of_queries",
            texts=[str(file) for file in texts],
            parts=[str(part) for part in parts],
        ).write_parquet(str(temporary), compression="zstd")


def write_given_templates(queries: Path, destination: Path) -> None:
    """Write the templates of a corpus whose texts are templates already, unless they are rejected.

    Args:
        queries: The corpus's queries, as ingested.
        destination: The file to write, with the columns of ``join_templates``.
    """
    with connected() as con, write_atomically(destination) as temporary:
        query_sql(con, "templates/given_templates", queries=str(queries)).write_parquet(
            str(temporary), compression="zstd"
        )


def write_hidden_queries(queries: Path, templates: Path, destination: Path) -> None:
    """Write the queries of a corpus with their templates in place of all texts.

    Args:
        queries: The corpus's queries, as ingested.
        templates: Their templates.
        destination: The file to write, with the columns and the metadata of ``queries``.
    """
    paths = {"queries": str(queries), "templates": str(templates)}
    with connected() as con, write_atomically(destination) as temporary:
        counts = query_sql(con, "templates/hidden_counts", queries=str(queries))
        metadata = pq.read_metadata(queries).metadata or {}
        for name, count in zip(counts.columns, counts.fetchall()[0], strict=True):
            metadata[name.encode()] = str(count).encode()
        run_sql(con, "templates/hide_reason")
        hidden = query_sql(con, "templates/hidden_queries", **paths).to_arrow_reader(_LARGEST_PART)
        schema = hidden.schema.with_metadata(metadata)
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for batch in hidden:
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))


def join_part_templates(queries: Path, templates: Path, destination: Path) -> None:
    """Write each distinct query of a part of a corpus with the template it has in the corpus.

    Args:
        queries: The queries of the part.
        templates: The templates of the whole corpus.
        destination: The file to write, with the columns of ``templates``.
    """
    with connected() as con, write_atomically(destination) as temporary:
        query_sql(
            con, "templates/templates_of_part", queries=str(queries), templates=str(templates)
        ).write_parquet(str(temporary), compression="zstd")


# Queries in a part, which takes about a second to parse: parts for all workers even of a small
# corpus, and little to repeat if a worker is lost.
_LARGEST_PART: Final = 8192
_SMALLEST_PART: Final = 1024


@dataclass(frozen=True)
class SplitReport:
    """Counts of a corpus's distinct queries and of their parts."""

    n_distinct: int
    n_parts: int


def split_queries(queries: Path, destination: Path) -> SplitReport:
    """Write the distinct queries of a corpus into one Parquet file; each row group is a part.

    Args:
        queries: The corpus's queries, as ingested.
        destination: The file to write: ``first_ordinal``, ``sql``, ``n_queries``.
    """
    n_queries = pq.read_metadata(queries).num_rows
    rows = min(_LARGEST_PART, max(_SMALLEST_PART, n_queries // 16))
    with connected() as con:
        texts = query_sql(con, "templates/distinct_queries", queries=str(queries))
        return write_parts(texts, destination, rows)


def write_parts(
    texts: duckdb.DuckDBPyRelation, destination: Path, rows: int = _LARGEST_PART
) -> SplitReport:
    """Write distinct queries, with a row group for each part.

    Args:
        texts: The queries.
        destination: The file to write.
        rows: The queries of a part, except for the last.
    """
    n_distinct = n_parts = 0
    with write_atomically(destination) as temporary:
        reader = texts.to_arrow_reader(rows)
        with pq.ParquetWriter(temporary, reader.schema, compression="lz4") as writer:
            for batch in reader:
                writer.write_batch(batch, row_group_size=batch.num_rows)
                n_distinct += batch.num_rows
                n_parts += 1
    return SplitReport(n_distinct, n_parts)


def divide_rows(file: pq.FileMetaData, n_rows: int, most: int) -> list[range]:
    """Return ranges of row groups.

    Args:
        file: The metadata of a Parquet file.
        n_rows: The fewest rows of a range, except for the last one.
        most: The most ranges; with more rows, the ranges are larger.
    """
    n_rows = max(n_rows, -(-file.num_rows // most))
    ranges: list[range] = []
    first = held = 0
    for group in range(file.num_row_groups):
        held += file.row_group(group).num_rows
        if held >= n_rows or group == file.num_row_groups - 1:
            ranges.append(range(first, group + 1))
            first, held = group + 1, 0
    return ranges
