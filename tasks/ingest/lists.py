"""Rows with several queries: a list of accepted queries, or of a model's answers, in one value."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry

_ROWS_PER_BATCH: Final = 4096
# Longer texts are not parsed, because Python's parser takes a hundred times their size.
_LONGEST_LIST: Final = 1_000_000


def parse_list(text: str | None) -> list[str] | None:
    """Return the texts of a list that is written as JSON or as Python writes it.

    Returns:
        The texts, those of inner lists too, with an empty one for a null; None if the text is not a
        list of texts.
    """
    if text is None or not text.lstrip().startswith("[") or len(text) > _LONGEST_LIST:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        texts = [*_flatten(found)]
        is_list = all(isinstance(one, str | None) for one in texts)
        return [str(one or "") for one in texts] if is_list else None
    return None


def _flatten(value: object) -> Iterator[object]:
    """Yield the items of a list and of the lists in it."""
    if not isinstance(value, list):
        yield value
        return
    for one in value:
        yield from _flatten(one)


def describe_lists(n_lists: int, entry: CorpusEntry) -> str:
    """Describe how the lists of a dump count, as a sentence without its end; "" without lists."""
    if not n_lists:
        return ""
    taken = "each counts, as one of k" if entry.takes_each else "the first counts"
    key = "answers" if entry.role == "predictions" else "which"
    noun = "rows have" if n_lists != 1 else "row has"
    return f"{n_lists:,} {noun} several queries, of which {taken} (key {key})"


def expand_lists(queries: Path, takes_each: bool) -> tuple[int, int]:
    """Rewrite an ingested file with the queries of each list, or with the first of them.

    Several queries of one list get the ordinal of the first one as their ``question_ordinal``. An
    empty list is an empty query.

    Args:
        queries: The file, in which the value of a list is its text.
        takes_each: Whether each query of a list becomes a row.

    Returns:
        The number of rows, and the number of lists with several queries, which is also in the
        file's metadata.
    """
    whole = queries.with_name(f"{queries.name}-lists")
    queries.rename(whole)
    n_rows = n_lists = 0
    try:
        with pq.ParquetFile(whole) as file:
            schema = file.schema_arrow.with_metadata(file.metadata.metadata or {})
            with pq.ParquetWriter(queries, schema, compression="zstd") as writer:
                for batch in file.iter_batches(_ROWS_PER_BATCH):
                    expanded, n_several = _expand_batch(batch, n_rows, takes_each)
                    writer.write_table(expanded.cast(schema))
                    n_rows += expanded.num_rows
                    n_lists += n_several
                writer.add_key_value_metadata({"n_lists": str(n_lists)})
    finally:
        whole.unlink()
    return n_rows, n_lists


def _expand_batch(batch: pa.RecordBatch, n_before: int, takes_each: bool) -> tuple[pa.Table, int]:
    rows: list[int] = []
    texts: list[str] = []
    raw: list[str | None] = []
    questions: list[int | None] = []
    n_several = 0
    given = zip(batch.column("sql").to_pylist(), batch.column("raw_sql").to_pylist(), strict=True)
    for row, (text, raw_text) in enumerate(given):
        found = parse_list(raw_text)
        if found is None:
            taken, raw_taken = [text], [raw_text]
        else:
            taken = (found or [""]) if takes_each else (found or [""])[:1]
            raw_taken = [*taken]
            n_several += len(found) > 1
        first = n_before + len(rows)
        rows += [row] * len(taken)
        texts += taken
        raw += raw_taken
        questions += [first if len(taken) > 1 else None] * len(taken)
    table = pa.Table.from_batches([batch]).take(pa.array(rows, pa.int64()))
    values = {"sql": pa.array(texts, pa.string()), "raw_sql": pa.array(raw, pa.string())}
    if takes_each:
        ordinals = range(n_before, n_before + len(rows))
        values["ordinal"] = pa.array(ordinals, pa.int64())
        values["question_ordinal"] = pa.array(questions, pa.int64())
    for name, array in values.items():
        table = table.set_column(table.schema.get_field_index(name), name, array)
    return table, n_several
