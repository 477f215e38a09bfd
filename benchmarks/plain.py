"""The plain path, for comparison with ours: every query on its own, without sharing or caching."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contestants import slices, tokens_of
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.measures.matrix import Content, compute_matrix
from nl2sql_align.tasks.run.prepare import Prepared, prepare_corpus
from nl2sql_align.tasks.templates.templatizer import Templated, Templatizer
from nl2sql_align.tasks.warehouse.folder import Warehouse


def differences(corpora: Path, place: Path, folder: Path) -> dict[str, Any]:
    """Compute the tables of a finished run again, on the plain path, and compare them.

    Args:
        corpora: The corpora file.
        place: The warehouse of the run.
        folder: The folder for files of the plain path.

    Returns:
        The numbers of corpora, queries, n-grams and pairs compared, and the names of the tables
        that differ.
    """
    warehouse = Warehouse(place.resolve())
    entries = {entry.name: entry for entry in load_corpora(corpora)}
    prepared = [
        prepare_corpus(entry, warehouse, target=entries.get(entry.target or ""))
        for entry in entries.values()
    ]
    different: list[str] = []
    contents, plain_contents = [], []
    n_queries = n_ngrams = 0
    for one in prepared:
        if not isinstance(one, Prepared):
            continue
        name = one.entry.name
        templates, ngrams = plain_tables(one, folder / name)
        n_queries += pq.read_metadata(one.queries).num_rows
        n_ngrams += ngrams.num_rows
        pairs = ((templates, one.templates, "templates"), (ngrams, one.ngrams, "n-grams"))
        for table, path, kind in pairs:
            theirs = pq.read_table(path, partitioning=None).select(table.column_names)
            if not theirs.cast(table.schema).equals(table):
                different.append(f"{kind} of {name}")
        is_target = one.entry.role == "target"
        if ngrams.num_rows:
            contents.append(Content(one.content_key, name, one.ngrams, one.templates, is_target))
            plain_contents.append(
                Content(
                    one.content_key,
                    name,
                    folder / name / "ngrams.parquet",
                    folder / name / "templates.parquet",
                    is_target,
                )
            )
    ours = compute_matrix(contents, folder / "matrix-ours")
    plain = compute_matrix(plain_contents, folder / "matrix-plain")
    for kind in ("pairs", "contributions"):
        a, b = pq.read_table(getattr(ours, kind)), pq.read_table(getattr(plain, kind))
        if not a.equals(b):
            different.append(kind)
    return {
        "n_corpora": len(prepared),
        "n_queries": n_queries,
        "n_ngrams": n_ngrams,
        "n_pairs": plain.n_pairs,
        "different": different,
    }


def plain_tables(one: Prepared, folder: Path) -> tuple[pa.Table, pa.Table]:
    """Write the templates and n-gram counts of one corpus, each query on its own."""
    folder.mkdir(parents=True, exist_ok=True)
    templatize = Templatizer(one.entry.dialect)
    found: dict[str, list[Any]] = {}
    counts: Counter[str] = Counter()
    examples: dict[str, int] = {}
    lengths: dict[str, int] = {}
    columns = ["ordinal", "sql", "n_occurrences", "reject_reason"]
    for query in pq.read_table(one.queries, columns=columns).to_pylist():
        if query["reject_reason"] is not None:  # rejected before it could be parsed
            continue
        ordinal, sql, n = query["ordinal"], query["sql"], query["n_occurrences"]
        result: Templated = templatize(sql)
        if sql in found:
            found[sql][1] += n
        else:
            found[sql] = [ordinal, n, result]
        if not result.template:
            continue
        for ngram in slices(result.template):
            counts[ngram] += n
            if ngram not in examples:
                examples[ngram] = ordinal
                lengths[ngram] = len(tokens_of(ngram))
    rows = [
        {
            "first_ordinal": ordinal,
            "sql": sql,
            "n_queries": n,
            "template": result.template,
            "template_id": _md5(result.template).hex() if result.template is not None else None,
            "reject_reason": result.reject_reason,
            "comparable_key": (
                _md5(result.comparable_text) if result.comparable_text is not None else None
            ),
        }
        for sql, (ordinal, n, result) in found.items()
    ]
    templates = pa.Table.from_pylist(rows, schema=_TEMPLATES)
    name = one.entry.name
    order = sorted(counts, key=lambda ngram: (lengths[ngram], ngram.encode()))
    ngrams = pa.table(
        [
            [name] * len(order),
            order,
            [lengths[ngram] for ngram in order],
            [counts[ngram] for ngram in order],
            [examples[ngram] for ngram in order],
        ],
        schema=_NGRAMS,
    )
    pq.write_table(templates, folder / "templates.parquet")
    pq.write_table(ngrams, folder / "ngrams.parquet")
    return templates, ngrams


def _md5(text: str) -> bytes:
    return hashlib.md5(text.encode("utf-8", "replace")).digest()


_TEMPLATES = pa.schema(
    [
        ("first_ordinal", pa.int64()),
        ("sql", pa.string()),
        ("n_queries", pa.int64()),
        ("template", pa.string()),
        ("template_id", pa.string()),
        ("reject_reason", pa.string()),
        ("comparable_key", pa.binary()),
    ]
)
_NGRAMS = pa.schema(
    [
        ("corpus", pa.string()),
        ("ngram", pa.string()),
        ("ngram_length", pa.int32()),
        ("n_occurrences", pa.int64()),
        ("example_ordinal", pa.int64()),
    ]
)
