"""The stages of one corpus between its queries and its n-gram counts, from files to a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.engine import connect
from tasks.ngrams import MAX_N, NGRAM_RULES_VERSION, count_ngrams
from tasks.sqlfiles import query_sql
from tasks.warehouse import written_whole

# About half a second of parsing: enough to share out, and little to repeat when a worker is lost.
_QUERIES_PER_PART: Final = 4096
_MAX_PARTS: Final = 256
# Bounds the memory of counting: some 120 bytes a token and n-gram length.
_CHARACTERS_PER_COUNT: Final = 16_000_000


@dataclass(frozen=True)
class SplitReport:
    """The distinct queries of a corpus, in how many parts."""

    n_distinct: int
    n_parts: int


def split_queries(queries: Path, destination: Path) -> SplitReport:
    """Writes the distinct queries of a corpus into one Parquet file; each row group is a part.

    Args:
        queries: The corpus's queries, as ingested.
        destination: Where the parts go: ``first_ordinal``, ``sql``.
    """
    with connect() as con, written_whole(destination) as temporary:
        texts = query_sql(con, "templates/distinct_queries", queries=str(queries)).to_arrow_table()
        rows = max(_QUERIES_PER_PART, -(-texts.num_rows // _MAX_PARTS))
        pq.write_table(texts, temporary, row_group_size=rows, compression="lz4")
        return SplitReport(texts.num_rows, -(-texts.num_rows // rows))


def join_templates(queries: Path, parts: list[Path], destination: Path) -> None:
    """Writes one row per distinct query of a corpus, with its template or reject reason.

    Args:
        queries: The corpus's queries, as ingested.
        parts: What the parser made of each part.
        destination: ``first_ordinal``, ``sql``, ``n_queries``, ``template``, ``template_id``,
            ``reject_reason``, ``comparable_key``.
    """
    with connect() as con, written_whole(destination) as temporary:
        query_sql(
            con,
            "templates/templates_of_queries",
            queries=str(queries),
            parts=[str(part) for part in parts],
        ).write_parquet(str(temporary), compression="zstd")


def count_corpus(
    corpus: str, templates: Path, destination: Path, metadata: dict[str, str], max_n: int = MAX_N
) -> int:
    """Writes the n-gram counts of a corpus.

    Args:
        corpus: The corpus's name.
        templates: Its distinct queries with their templates.
        destination: ``corpus``, ``ngram``, ``ngram_length`` (tokens), ``n_occurrences``,
            ``example_ordinal`` (a query whose template holds the n-gram).
        metadata: What to say in the file about its origin.
        max_n: The longest n-gram, in tokens.

    Returns:
        The number of distinct n-grams.
    """
    said = {**metadata, "ngram_rules_version": str(NGRAM_RULES_VERSION), "max_n": str(max_n)}
    with connect() as con, written_whole(destination) as temporary:
        distinct = query_sql(con, "ngrams/distinct_templates", templates=str(templates)).pl()
        size = pl.col("template").str.len_bytes().cum_sum() // _CHARACTERS_PER_COUNT
        batches = distinct.with_columns(batch=size).partition_by("batch", maintain_order=True)
        if len(batches) <= 1:
            counts = count_ngrams(distinct, max_n).select(pl.lit(corpus).alias("corpus"), pl.all())
            table = counts.to_arrow()
        else:
            parts = [temporary.with_name(f"{temporary.name}-{i}") for i in range(len(batches))]
            try:
                for batch, part in zip(batches, parts, strict=True):
                    count_ngrams(batch, max_n).write_parquet(part, compression="lz4")
                table = query_sql(
                    con, "ngrams/merge_counts", corpus=corpus, parts=[str(part) for part in parts]
                ).to_arrow_table()
            finally:
                for part in parts:
                    part.unlink(missing_ok=True)
        _write_counts(table, temporary, said)
        return int(table.num_rows)


_COUNTS: Final = pa.schema(
    [
        ("corpus", pa.string()),
        ("ngram", pa.string()),
        ("ngram_length", pa.int32()),
        ("n_occurrences", pa.int64()),
        ("example_ordinal", pa.int64()),
    ]
)


def _write_counts(table: Any, path: Path, metadata: dict[str, str]) -> None:
    table = table.select(_COUNTS.names).cast(_COUNTS.with_metadata(metadata))
    pq.write_table(table, path, compression="zstd", use_dictionary=["corpus"])
