"""A first look at a dump, for ``nl2sql-align inspect``."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.archives import Encoding
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry, format_table
from nl2sql_align.tasks.ingest.dumps import RowCounts, ingest_corpus
from nl2sql_align.tasks.ingest.fetch import fetch_dump
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.ingest.lists import describe_lists
from nl2sql_align.tasks.run.given_corpora import name_corpus
from nl2sql_align.tasks.templates.dialect_choice import choose_dialect, list_own_dialects
from nl2sql_align.tasks.templates.parser_pool import parse_texts, stop_workers
from nl2sql_align.tasks.templates.rules import SEVERAL_STATEMENTS, read_limits
from nl2sql_align.tasks.warehouse.addresses import refuse_credentials
from nl2sql_align.tasks.warehouse.folder import Warehouse

_N_PARSED: Final = 2000
_FEW: Final = 0.05
_IS_WHOLE: Final = pc.field("reject_reason").is_null()


@dataclass(frozen=True)
class Inspection:
    """The recognized format and dialect of a dump, with a sample of its queries.

    Attributes:
        path: The dump: a path, or an address.
        format: Its format.
        format_reason: The evidence for the format.
        columns: For a generic format: the column of each field.
        dialect: The given dialect, the dump's own, or the one that parses most of a sample.
        has_own_dialect: Whether the dump or its format states the chosen dialect.
        dialect_shares: The share of the sample that a dialect parses, without those that cannot
            parse more; empty for a given dialect.
        n_queries: Queries of the dump.
        rows: The rows of the dump by kind.
        lists: How rows of several queries count, as a sentence without its end, or empty.
        n_cleaned: Rows whose query is only a part of the text.
        cleaned_by: The number of texts that each rule of the cleaning changed.
        encoding: The encoding of the dump's text.
        n_parsed: Rows that were parsed: the first ones of the dump.
        reject_reasons: The number of rejected rows by reason, the most frequent first.
        hints: Keys of the corpora file that would take more of the dump, a sentence each.
        examples: The first queries: ``ordinal``, ``sql``, ``template``, ``reject_reason``.
        entry: The ``[[corpus]]`` table for a corpora file.
    """

    path: Path | str
    format: str
    format_reason: str
    columns: dict[str, str]
    dialect: str
    has_own_dialect: bool
    dialect_shares: dict[str, float]
    n_queries: int
    rows: RowCounts
    lists: str
    n_cleaned: int
    cleaned_by: dict[str, int]
    encoding: Encoding
    n_parsed: int
    reject_reasons: dict[str, int]
    hints: list[str]
    examples: list[dict[str, Any]]
    entry: str

    def as_dict(self) -> dict[str, Any]:
        """Return the inspection as values that JSON can hold."""
        return {**asdict(self), "path": str(self.path)}


def inspect_dump(
    path: Path | str,
    glob: str | None = None,
    dialect: str = AUTO,
    role: str = "train",
    n_examples: int = 5,
) -> Inspection:
    """Recognize the format and dialect of a dump, and parse its first queries.

    Args:
        path: The dump: a file, a folder, a pattern of files, or an address.
        glob: The files to use if the dump is a folder.
        dialect: Its dialect, by sqlglot's name; by default the dump's own, or the one that parses
            most of a sample.
        role: ``train``, ``target`` or ``predictions``: the role in ``Inspection.entry``.
        n_examples: How many queries to return.

    Raises:
        CorpusError: The dump is missing, damaged, or in an unknown format.
        ConfigurationError: The dialect or the role does not exist.
    """
    refuse_credentials(path)
    keys = {"target": "...", "model": "..."} if role == "predictions" else {}
    try:
        given = CorpusEntry.model_validate(
            {
                "name": name_corpus(path),
                "role": role,
                "format": AUTO,
                "dialect": dialect,
                "path": path,
                "glob": glob,
                **keys,
            }
        )
    except ValidationError as error:
        raise ConfigurationError(error.errors()[0]["msg"]) from None
    try:
        return inspect_corpus(given, path, n_examples)[1]
    finally:
        stop_workers()


def inspect_corpus(
    given: CorpusEntry, path: Path | str, n_examples: int
) -> tuple[CorpusEntry, Inspection]:
    """Inspect a corpus, and return it with its format and dialect, too.

    The caller stops the parser processes.

    Args:
        given: The corpus.
        path: Its dump, as the table in ``Inspection.entry`` names it.
        n_examples: How many queries to return.

    Raises:
        CorpusError: The dump is missing, damaged, or in an unknown format.
    """
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        fetched = fetch_dump(given, Warehouse(folder / "fetched"))
        path = fetched.url or path
        entry, reason = resolve_format(fetched)
        queries = folder / "queries.parquet"
        report = ingest_corpus(entry, queries)
        shares: dict[str, float] = {}
        has_own_dialect = False
        if entry.dialect == AUTO:
            choice = choose_dialect(queries, list_own_dialects(entry.format, queries))
            entry = entry.model_copy(update={"dialect": choice.dialect})
            shares, has_own_dialect = choice.shares, choice.is_own
        rows = _parse_first(queries, entry.dialect)
        table = pq.read_table(queries, columns=["sql", "raw_sql"], filters=_IS_WHOLE)
    cleaned = zip(table["sql"].to_pylist(), table["raw_sql"].to_pylist(), strict=True)
    reasons = Counter(
        re.sub(r" \(line \d+, column \d+\)$", "", row["reject_reason"])
        for row in rows
        if row["reject_reason"]
    )
    found = entry.model_copy(update={"path": given.path, "within": given.within})
    return found, Inspection(
        path if fetched.url else Path(path),
        entry.format,
        reason or "",
        entry.columns.mapping if entry.columns else {},
        entry.dialect,
        has_own_dialect,
        shares,
        report.n_queries,
        report.rows,
        describe_lists(report.n_lists, entry),
        sum(1 for sql, raw_sql in cleaned if sql != (raw_sql or "")),
        report.cleaned_by,
        report.encoding,
        len(rows),
        dict(reasons.most_common()),
        _list_hints(reasons, len(rows), entry.role),
        rows[:n_examples],
        format_entry(entry, path),
    )


def format_entry(entry: CorpusEntry, path: Path | str) -> str:
    """Return the ``[[corpus]]`` table of a recognized corpus.

    Args:
        entry: The corpus.
        path: Its dump, as the table names it.
    """
    return format_table(
        {
            "name": entry.name,
            "role": entry.role,
            "target": entry.target,
            "model": entry.model,
            "format": entry.format,
            "dialect": entry.dialect,
            "path": path,
            "license": entry.license,
            "glob": entry.glob,
            "columns": entry.columns and entry.columns.model_dump(),
            "clean": entry.clean,
            "statements": None if entry.statements == "reject" else entry.statements,
        }
    )


def _list_hints(reasons: Mapping[str, int], n_rows: int, role: str) -> list[str]:
    """Return what to set if many texts are scripts."""
    n_scripts = reasons.get(SEVERAL_STATEMENTS, 0)
    if n_scripts <= _FEW * n_rows:
        return []
    ways = '"first" or "last"' if role == "predictions" else '"each", "first" or "last"'
    return [
        f"{n_scripts:,} of the first {n_rows:,} texts hold several statements; "
        f"set statements = {ways}"
    ]


def _parse_first(queries: Path, dialect: str) -> list[dict[str, Any]]:
    """Return the first queries with their templates or reject reasons."""
    columns = ["ordinal", "sql", "raw_sql", "reject_reason"]
    batch = next(pq.ParquetFile(queries).iter_batches(_N_PARSED, columns=columns), None)
    if batch is None:
        return []
    rows = batch.to_pylist()
    parsed = parse_texts([row["sql"] for row in rows], dialect, read_limits())
    return [
        {
            "ordinal": given["ordinal"],
            "sql": given["raw_sql"] if given["reject_reason"] else given["sql"],
            "template": template,
            "reject_reason": given["reject_reason"] or reason,
        }
        for given, template, reason in zip(
            rows, parsed.templates, parsed.reject_reasons, strict=True
        )
    ]
