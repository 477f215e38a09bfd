"""Original rows of dumps with all their fields, such as schemas and evidence, for training."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import polars as pl

from nl2sql_align.tasks.base.child_process import ChildDiedError, call_in_child
from nl2sql_align.tasks.base.connections import MEMORY_LIMIT_VARIABLE, connected
from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ingest.archives import (
    Source,
    convert_if_needed,
    convert_to_utf8,
    find_wide_encoding_of_file,
    guess_encoding,
)
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.delimited import (
    choose_preferred,
    drop_lines_above,
    find_separator_of_file,
    repair_table,
)
from nl2sql_align.tasks.ingest.dumps import shorten_names
from nl2sql_align.tasks.warehouse.folder import digest_file

# How to read the formats whose rows have more fields than the ones that are ingested.
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
    "trl": "json",
    "verl": "json",
    "omnisql_sft": "json",
    "bird_critic": "json",
    "text2sql_eval_toolkit": "json",
    "llama_factory_gold": "json",
    "sql_eval": "csv",
    "jsonl": "json",
    "csv": "csv",
    "tsv": "csv",
    "parquet": "parquet",
}
# Rows whose fields an error lists.
_LISTED: Final = 100
_SUFFIXES: Final = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv"}


def read_original_rows(
    con: duckdb.DuckDBPyConnection, sources: pl.DataFrame, rows: pl.DataFrame
) -> pl.Series:
    """Return the row of the dump that each query was read from, as the text of a JSON object.

    The value is null if the dump has no such rows, has changed, or is gone, or if the row does not
    contain the query.

    Args:
        con: A connection that may open files.
        sources: The corpora, with columns ``corpus``, ``format``, ``path`` and ``digest``.
        rows: The queries, with columns ``source``, ``ordinal`` and ``raw_sql``.

    Raises:
        CorpusError: A dump does not fit in memory.
    """
    records: dict[tuple[str, int], str] = {}
    for source in sources.iter_rows(named=True):
        ordinals = rows.filter(pl.col("source") == source["corpus"])["ordinal"].to_list()
        if not ordinals:
            continue
        path = Path(source["path"])
        kind = _choose_kind(source["format"], path)
        if kind is None or not _is_unchanged(path, source["digest"]):
            continue
        try:
            if kind == "csv":
                found = _read_table(con, path, source["format"], ordinals)
            elif kind == "parquet":
                found = call_in_child(_read_parquet, path, ordinals)
            else:
                query = f"ingest/original_rows_{kind}"
                found = query_sql(con, query, paths=[str(path)], ordinals=ordinals).fetchall()
        except duckdb.OutOfMemoryException:
            remedy = f"raise {MEMORY_LIMIT_VARIABLE}"
            raise CorpusError(source["corpus"], path, "does not fit in memory", remedy) from None
        # An archive, or another dump that was converted before it was ingested.
        except (duckdb.Error, OSError, ValueError, ChildDiedError):
            continue
        if _is_unchanged(path, source["digest"]):  # else it changed while it was read
            records.update({(source["corpus"], ordinal): record for ordinal, record in found})
    return pl.Series("record", list(_check_records(rows, records)), dtype=pl.String)


def has_original_rows(format: str) -> bool:
    """Return whether rows of a format have more fields than the ones that are ingested."""
    return format in _KINDS


def write_field_as_part(
    entry: CorpusEntry, digest: str, field: str, queries: Path, destination: Path
) -> None:
    """Write the queries of a dump with a field of their rows as their part.

    Args:
        entry: The corpus.
        digest: The SHA-256 of the dump.
        field: A key, column or JSON path of the dump's rows, or ``db_id``.
        queries: The queries that were read from the dump.
        destination: The file to write.

    Raises:
        CorpusError: The rows of the dump have no fields, or lack this one.
    """
    found = pl.read_parquet(queries, columns=["ordinal", "question_ordinal", "db_id", "raw_sql"])
    if field == "db_id" and found["db_id"].count():
        part = found["db_id"]
    else:
        part = _read_field(entry, digest, field, found)
    found.select("ordinal", "question_ordinal", part=part).write_parquet(destination)


def _read_field(entry: CorpusEntry, digest: str, field: str, queries: pl.DataFrame) -> pl.Series:
    """Return a field of the row that each query was read from; null where the row is unknown."""
    source = {"corpus": entry.name, "format": entry.format, "path": str(entry.path)}
    rows = queries.with_columns(source=pl.lit(entry.name))
    with connected() as con:
        records = read_original_rows(con, pl.DataFrame([source | {"digest": digest}]), rows)
        con.register("records", pl.DataFrame({"record": records}).to_arrow())
        path = field if field.startswith("$") else f'$."{field}"'
        found = con.sql("select record ->> $path as part from records", params={"path": path})
        values: pl.Series = found.pl()["part"]
    if not values.count():
        known = records.drop_nulls().head(_LISTED)
        if known.is_empty():
            raise CorpusError(
                entry.name,
                entry.place,
                f"has no rows with fields for columns.slice = '{field}' (format '{entry.format}')",
                'convert it to JSON lines (format = "jsonl"), or use slice = "db_id" if it has '
                "databases",
            )
        names = {str(name): None for record in known for name in json.loads(record)}
        problem = f"has no value of '{field}' (it has {shorten_names([*names])})"
        raise CorpusError(entry.name, entry.place, problem, "check columns.slice")
    return values


def _read_parquet(path: Path, ordinals: list[int]) -> list[tuple[int, str]]:
    # These are more columns than were read before, and one of them may be damaged.
    with connected() as con:
        query = "ingest/original_rows_parquet"
        return query_sql(con, query, paths=[str(path)], ordinals=ordinals).fetchall()


def _read_table(
    con: duckdb.DuckDBPyConnection, path: Path, format: str, ordinals: list[int]
) -> list[tuple[int, str]]:
    """Return rows of a table of text by ordinal, read as when it was ingested."""
    preferred = choose_preferred(format, Source(path).suffix)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if convert_if_needed(Source(path), folder / "unpacked"):
            path = folder / "unpacked"
        if (encoding := find_wide_encoding_of_file(path)) is not None:
            path = _recode(path, folder / "wide", encoding)

        if drop_lines_above(path, folder / "table"):
            path = folder / "table"

        def read() -> list[tuple[int, str]]:
            return query_sql(
                con,
                "ingest/original_rows_csv",
                paths=[str(path)],
                ordinals=ordinals,
                separator=find_separator_of_file(path, preferred),
            ).fetchall()

        with suppress(duckdb.Error):
            return read()
        if (encoding := guess_encoding(path)) is not None:
            path = _recode(path, folder / "recoded", encoding)
            with suppress(duckdb.Error):
                return read()
        repair_table(path, folder / "repaired", find_separator_of_file(path, preferred))
        path = folder / "repaired"
        return read()


def _recode(path: Path, copy: Path, encoding: str) -> Path:
    convert_to_utf8(path, copy, encoding)
    return copy


def _check_records(rows: pl.DataFrame, records: dict[tuple[str, int], str]) -> Iterator[str | None]:
    """Yield the record of each row, or None if it does not contain the row's query."""
    for source, ordinal, raw_sql in rows.select("source", "ordinal", "raw_sql").iter_rows():
        record = records.get((source, ordinal))
        if record is not None:
            constants: list[str] = []  # NaN and infinities, which JSON does not have
            values = json.loads(record, parse_constant=constants.append)
            if raw_sql is not None and raw_sql not in _list_texts(values):
                record = None
            elif constants:
                record = json.dumps(values, ensure_ascii=False)
        yield record


def _list_texts(value: object) -> Iterator[str]:
    """Yield the texts in a JSON value at any depth: in chats, the query is in one of the turns."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _list_texts(one)


def _choose_kind(format: str, path: Path) -> str | None:
    """Return how to read the rows of a dump, or None if it has no rows with more fields."""
    kind = _KINDS.get(format)
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".zst")]
    return kind and _SUFFIXES.get(suffixes[-1].lower() if suffixes else "", kind)


def _is_unchanged(path: Path, digest: str) -> bool:
    try:
        return digest_file(path) == digest
    except OSError:
        return False
