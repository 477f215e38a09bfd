"""The stages of one corpus between its queries and its n-gram counts, from files to a file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.config import CorpusEntry
from tasks.engine import connected, resources
from tasks.ngrams import count_ngrams
from tasks.sqlfiles import query_sql
from tasks.template_rules import MAX_N, NGRAM_RULES_VERSION
from tasks.warehouse import written_whole

# Counting takes 55 to 85 bytes of memory for each character of the templates of real corpora, the
# more, the fewer n-grams they share.
_MEMORY_PER_CHARACTER: Final = 100


@dataclass(frozen=True)
class IngestedCorpus:
    """A corpus all of whose stages are done."""

    entry: CorpusEntry
    digest: str
    content_key: str
    queries: Path
    templates: Path
    ngrams: Path
    seconds: float = field(default=0.0, compare=False)


def join_templates(texts: Path, parts: list[Path], destination: Path) -> None:
    """Writes one row per distinct query of a corpus, with its template or reject reason.

    Args:
        texts: The distinct queries, as split.
        parts: What the parser made of each part.
        destination: ``first_ordinal``, ``sql``, ``n_queries``, ``template``, ``template_id``,
            ``reject_reason``, ``comparable_key``.
    """
    with connected() as con, written_whole(destination) as temporary:
        query_sql(
            con,
            "templates/templates_of_queries",
            texts=str(texts),
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
    with connected() as con, written_whole(destination) as temporary:
        distinct = query_sql(con, "ngrams/distinct_templates", templates=str(templates))
        batches = _batches(distinct.to_arrow_reader(_TEMPLATES_AT_A_TIME))
        first, second = next(batches), next(batches, None)
        if second is None:
            counts = count_ngrams(first, max_n).with_columns(corpus=pl.lit(corpus))
            return _write_counts(counts.iter_slices(_ROWS_AT_A_TIME), temporary, said)
        parts: list[Path] = []
        try:
            for batch in chain([first, second], batches):
                parts.append(temporary.with_name(f"{temporary.name}-{len(parts)}"))
                count_ngrams(batch, max_n).write_parquet(parts[-1], compression="lz4")
            merged = query_sql(
                con, "ngrams/merge_counts", corpus=corpus, parts=[str(part) for part in parts]
            )
            return _write_counts(merged.to_arrow_reader(_ROWS_AT_A_TIME), temporary, said)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)


def _batches(templates: pa.RecordBatchReader) -> Iterator[pl.DataFrame]:
    """The templates in tables that can be counted in the memory there is; at least one table."""
    limit = max(1, resources().memory_bytes // resources().threads // _MEMORY_PER_CHARACTER)
    held: list[pa.RecordBatch] = []
    size = n_tables = 0
    for some in templates:
        if held and size + some["template"].nbytes > limit:
            yield pl.DataFrame(pa.Table.from_batches(held))
            held, size, n_tables = [], 0, n_tables + 1
        held.append(some)
        size += some["template"].nbytes
    if held or not n_tables:
        yield pl.DataFrame(pa.Table.from_batches(held, templates.schema))


_TEMPLATES_AT_A_TIME: Final = 1 << 12
_ROWS_AT_A_TIME: Final = 1 << 18
_COUNTS: Final = pa.schema(
    [
        ("corpus", pa.string()),
        ("ngram", pa.string()),
        ("ngram_length", pa.int32()),
        ("n_occurrences", pa.int64()),
        ("example_ordinal", pa.int64()),
    ]
)


def _write_counts(parts: Iterable[Any], path: Path, metadata: dict[str, str]) -> int:
    """Writes tables one after the other, each a row group, and gives the number of rows."""
    n_rows = 0
    schema = _COUNTS.with_metadata(metadata)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["corpus"]) as writer:
        for part in parts:
            writer.write_table(pa.table(part).select(schema.names).cast(schema))
            n_rows += len(part)
    return n_rows
