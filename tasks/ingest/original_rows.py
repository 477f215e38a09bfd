"""Rows of dumps with all their fields: schemas, evidence, whatever else a trainer may use."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from nl2sql_align.tasks.base.run_sql import query_sql

# Formats whose rows are objects: of the others, nothing is left out when they are ingested.
_KINDS: Final = {
    "spider": "json",
    "bird": "json",
    "sede": "json",
    "ehrsql": "json",
    "sql_create_context": "json",
    "gretel": "json",
    "alpaca": "json",
    "chat": "json",
    "bull": "json",
    "mimicsql": "json",
    "nstext2sql": "json",
    "sqale": "json",
    "synsql": "json",
    "sql_eval": "csv",
    "jsonl": "json",
    "csv": "csv",
    "parquet": "parquet",
}
_SUFFIXES: Final = {".parquet": "parquet", ".csv": "csv"}


def original_records(
    con: duckdb.DuckDBPyConnection, sources: pl.DataFrame, rows: pl.DataFrame
) -> pl.Series:
    """The row of its dump that each query was read from, as the text of a JSON object.

    A dump that has no such rows, has changed since, or is no longer there gives null, as does a row
    that does not hold its query.

    Args:
        con: Any connection.
        sources: ``corpus``, ``format``, ``path``, ``digest``.
        rows: ``source``, ``ordinal``, ``raw_sql``.
    """
    records: dict[tuple[str, int], str] = {}
    for source in sources.iter_rows(named=True):
        ordinals = rows.filter(pl.col("source") == source["corpus"])["ordinal"].to_list()
        if not ordinals:
            continue
        path = Path(source["path"])
        kind = _kind(source["format"], path)
        if kind is None or not _is_unchanged(path, source["digest"]):
            continue
        try:
            found = query_sql(
                con,
                f"ingest/original_rows_{kind}",
                paths=[str(path)],
                ordinals=ordinals,
            ).fetchall()
        except duckdb.Error:  # a dump that is read in another way than most, such as with a mark
            continue
        records.update({(source["corpus"], ordinal): record for ordinal, record in found})
    return pl.Series("record", list(_checked(rows, records)), dtype=pl.String)


def _checked(rows: pl.DataFrame, records: dict[tuple[str, int], str]) -> Iterator[str | None]:
    for source, ordinal, raw_sql in rows.select("source", "ordinal", "raw_sql").iter_rows():
        record = records.get((source, ordinal))
        if record is not None:
            record = record if raw_sql in _texts(json.loads(record)) else None
        yield record


def _texts(value: object) -> Iterator[str]:
    """The texts in a JSON value, at any depth: an answer stands among the turns of a chat."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _kind(form: str, path: Path) -> str | None:
    """How the rows of a dump are read."""
    kind = _KINDS.get(form)
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".zst")]
    return kind and _SUFFIXES.get(suffixes[-1].lower() if suffixes else "", kind)


def _is_unchanged(path: Path, digest: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
