"""A first look at a dump: the twin of ``nl2sql-align inspect``."""

import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.archives import Encoding
from nl2sql_align.tasks.ingest.corpora_file import AUTO, ColumnMapping, CorpusEntry
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.templates.dialect_choice import FORMAT_DIALECTS, choose_dialect
from nl2sql_align.tasks.templates.parser_pool import ParseJob, parse_part, stop_workers

_PARSED: Final = 2000
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Inspection:
    """What a dump was taken for, and what its queries are.

    Attributes:
        path: The dump.
        format: Its format.
        format_reason: What that was told by.
        columns: For a generic format: which column holds what.
        dialect: The dialect that parses most of a sample, or the one that was given.
        dialect_shares: The share of the sample that each dialect parses; empty where it was given.
        n_queries: Rows of the dump.
        n_cleaned: Those of which not the text as it stands is taken.
        encoding: How the dump's text was encoded.
        n_parsed: Rows of which templates were made: the first ones.
        reject_reasons: Why some of these have none, by frequency.
        examples: The first queries: ``ordinal``, ``sql``, ``template``, ``reject_reason``.
        entry: The table to paste into a corpora file.
    """

    path: Path
    format: str
    format_reason: str
    columns: dict[str, str]
    dialect: str
    dialect_shares: dict[str, float]
    n_queries: int
    n_cleaned: int
    encoding: Encoding
    n_parsed: int
    reject_reasons: dict[str, int]
    examples: list[dict[str, Any]]
    entry: str

    def as_dict(self) -> dict[str, Any]:
        """The same for programs: nothing but what JSON has."""
        return {**asdict(self), "path": str(self.path)}


def inspect_dump(
    path: Path | str,
    glob: str | None = None,
    dialect: str = AUTO,
    role: str = "train",
    n_examples: int = 5,
) -> Inspection:
    """What a dump is, with its first queries and their templates.

    Args:
        path: The dump: a file, a folder, or a pattern of files.
        glob: Which files to take where it is a folder.
        dialect: Its dialect, by sqlglot's name; by default the one that parses most of a sample.
        role: ``train``, ``target`` or ``predictions``: what it would be listed as.
        n_examples: How many queries to show.

    Raises:
        CorpusError: The dump is missing, damaged, or in no known form.
        ConfigurationError: There is no such dialect or role.
    """
    path = Path(path)
    name = _NO_NAME.sub("-", path.name.split(".")[0]).strip("-.")[:100] or "corpus"
    keys = {"target": "...", "model": "..."} if role == "predictions" else {}
    try:
        given = CorpusEntry.model_validate(
            {
                "name": name,
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
    entry, reason = resolve_format(given)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        queries = folder / "queries.parquet"
        report = ingest_corpus(entry, queries)
        shares: dict[str, float] = {}
        try:
            if entry.dialect == AUTO:
                choice = choose_dialect(queries, folder, [FORMAT_DIALECTS.get(entry.format)])
                entry = entry.model_copy(update={"dialect": choice.dialect})
                shares = choice.shares
            rows = _templated(queries, folder, entry.dialect)
        finally:
            stop_workers()
        table = pq.read_table(queries, columns=["sql", "raw_sql"])
        cleaned = zip(table["sql"].to_pylist(), table["raw_sql"].to_pylist(), strict=True)
        n_cleaned = sum(1 for sql, raw_sql in cleaned if sql != (raw_sql or ""))
    reasons = Counter(
        re.sub(r" \(line \d+, column \d+\)$", "", row["reject_reason"])
        for row in rows
        if row["reject_reason"]
    )
    return Inspection(
        path,
        entry.format,
        reason or "",
        entry.columns.mapping if entry.columns else {},
        entry.dialect,
        shares,
        report.n_queries,
        n_cleaned,
        report.encoding,
        len(rows),
        dict(reasons.most_common()),
        rows[:n_examples],
        toml_entry(entry, path, role),
    )


def _templated(queries: Path, folder: Path, dialect: str) -> list[dict[str, Any]]:
    """The first queries with their templates or reject reasons."""
    batch = next(pq.ParquetFile(queries).iter_batches(_PARSED, columns=["ordinal", "sql"]), None)
    if batch is None:
        return []
    texts = pa.table({"first_ordinal": batch["ordinal"], "sql": batch["sql"]})
    source, destination = folder / "first.parquet", folder / "first-parsed.parquet"
    pq.write_table(texts, source)
    parse_part(ParseJob(source, 0, destination, dialect))
    parsed = pq.read_table(destination).to_pylist()
    return [
        {
            "ordinal": given["first_ordinal"],
            "sql": given["sql"],
            "template": row["template"],
            "reject_reason": row["reject_reason"],
        }
        for given, row in zip(texts.to_pylist(), parsed, strict=True)
    ]


def toml_entry(entry: CorpusEntry, path: Path, role: str) -> str:
    """The ``[[corpus]]`` table of a corpus, as a corpora file has it."""
    lines = ["[[corpus]]", f"name = {_quoted(entry.name)}", f"role = {_quoted(role)}"]
    if role == "predictions":
        lines += ['target = "..."', 'model = "..."']
    lines += [
        f"format = {_quoted(entry.format)}",
        f"dialect = {_quoted(entry.dialect)}",
        f"path = {_quoted(str(path))}",
    ]
    if entry.glob:
        lines.append(f"glob = {_quoted(entry.glob)}")
    if entry.columns:
        named = _columns(entry.columns)
        lines.append(f"columns = {{ {named} }}")
    return "\n".join(lines)


def _columns(columns: ColumnMapping) -> str:
    given = columns.model_dump(exclude_none=True)
    return ", ".join(f"{key} = {_quoted(value)}" for key, value in given.items())


def _quoted(text: str) -> str:
    """A TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
