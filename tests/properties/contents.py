"""Corpora as the matrix reads them, counted by the reference and not by the program."""

import hashlib
import math
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.measures.matrix import Content
from tests import reference

Queries = list[tuple[str, str | None]]
"""The text and template of each query; None if it was rejected."""


def templated(queries: Queries) -> reference.Corpus:
    """Return the templated queries, for the reference."""
    pairs = [(sql, template) for sql, template in queries if template is not None]
    return reference.Corpus([template for _, template in pairs], [sql for sql, _ in pairs])


def write_content(
    folder: Path, name: str, queries: Queries, is_target: bool = False, key: str | None = None
) -> Content:
    """Write the files of one corpus, as its stages do."""
    corpus = templated(queries)
    key = key or hashlib.sha256(repr((name, queries)).encode()).hexdigest()[:32]
    ngrams, templates = folder / f"{name}-{key}.parquet", folder / f"templates-{key}.parquet"
    counts = reference.ngram_counts(corpus.templates)
    pq.write_table(
        pa.table(
            {
                "corpus": pa.array([name] * len(counts), pa.string()),
                "ngram": pa.array(list(counts), pa.string()),
                "ngram_length": pa.array(
                    [len(reference.tokens_of(ngram)) for ngram in counts], pa.int32()
                ),
                "n_occurrences": pa.array(list(counts.values()), pa.int64()),
                "example_ordinal": pa.array([0] * len(counts), pa.int64()),
            }
        ),
        ngrams,
    )
    n_queries = Counter(queries)
    rows = list(dict.fromkeys(queries))
    pq.write_table(
        pa.table(
            {
                "first_ordinal": pa.array(range(len(rows)), pa.int64()),
                "sql": pa.array([sql for sql, _ in rows], pa.string()),
                "n_queries": pa.array([n_queries[row] for row in rows], pa.int64()),
                "template": pa.array([template for _, template in rows], pa.string()),
                "template_id": pa.array([_md5(template, "hex") for _, template in rows]),
                "reject_reason": pa.array(
                    [None if template else "empty" for _, template in rows], pa.string()
                ),
                "comparable_key": pa.array(
                    [None if template is None else _md5(sql) for sql, template in rows],
                    pa.binary(16),
                ),
            }
        ),
        templates,
    )
    return Content(key, name, ngrams, templates, is_target)


def _md5(text: str | None, form: str = "bytes") -> str | bytes | None:
    if text is None:
        return None
    digest = hashlib.md5(text.encode())
    return digest.hexdigest() if form == "hex" else digest.digest()


def rows_of(path: Path) -> list[dict[str, object]]:
    """Return a table's rows, which must be without nulls, NaN and infinities."""
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        for column, value in row.items():
            assert value is not None, column
            assert not isinstance(value, float) or math.isfinite(value), column
    return rows


def bits_of(path: Path) -> list[dict[str, object]]:
    """Return a table's rows with floats in hexadecimal, so that they compare bit for bit."""
    return [
        {
            column: value.hex() if isinstance(value, float) else value
            for column, value in row.items()
        }
        for row in rows_of(path)
    ]
