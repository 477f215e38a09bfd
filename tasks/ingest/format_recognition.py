"""Recognition of a dump's format from its first rows, for ``format = "auto"`` and ``inspect``."""

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.base.run_sql import list_sql, load_sql
from nl2sql_align.tasks.ingest.archives import (
    ARROW,
    Source,
    convert_if_needed,
    guess_start_encoding,
    open_source,
)
from nl2sql_align.tasks.ingest.corpora_file import AUTO, ColumnMapping, CorpusEntry
from nl2sql_align.tasks.ingest.dumps import list_sources, shorten_names
from nl2sql_align.tasks.ingest.statements import classify_statement, find_first_word

_PEEKED_BYTES: Final = 1 << 18
_PEEKED_ROWS: Final = 50

# The keys or columns of each format's rows, most specific first. They are in lower case, because
# databases export names in either.
_SIGNATURES: Final[tuple[tuple[str, frozenset[str]], ...]] = tuple(
    (format, frozenset(keys.split()))
    for format, keys in (
        ("sparc", "interaction database_id"),
        ("text2sql_data", "sentences sql"),
        ("chat", "messages"),
        ("chat", "conversations"),
        ("sql_eval", "query query_category db_name"),
        ("pg_stat_statements", "query calls"),
        ("bigquery_jobs", "query job_type"),
        ("bigquery_jobs", "query statement_type"),
        ("bigquery_jobs", "query job_id"),
        ("snowflake_history", "query_text"),
        ("ehrsql", "query db_id para_type"),
        ("ehrsql", "query db_id department"),
        ("spider", "query db_id"),
        ("bull", "sql_query db_name"),
        ("mimicsql", "sql question_refine"),
        ("sqale", "schema_id sql"),
        ("synsql", "sql sql_complexity"),
        ("gretel", "sql sql_prompt"),
        ("sql_create_context", "answer context question"),
        ("sede", "querybody"),
        ("nstext2sql", "instruction output source"),
        ("alpaca", "instruction output"),
    )
)
_EXACT_SIGNATURES: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("bird", frozenset({"SQL", "db_id"})),
    ("din_sql", frozenset({"PREDICTED SQL"})),
)
_NAMES: Final = {
    "question": "question nl_question utterance nlq prompt sql_prompt".split(),
    "db_id": "db_id database db_name database_name database_id db datname schema_id".split(),
    "frequency": "calls frequency n_occurrences executions occurrences count".split(),
    # Batch services add an id of their own to each answer, so that "id" comes last.
    "id": "custom_id question_id instance_id doc_id sample_id task_id id".split(),
}
_ANSWERS: Final = re.compile(r"pred|generated|answer|response|output|completion", re.IGNORECASE)
_LOG_LINE: Final = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,\d]* [\w+:-]+,("?)\w*\1,')
_GOLD_LINE: Final = re.compile(r"\t[ \t]*[\w.-]+[ \t]*\Z")
_SLOW_LOG: Final = re.compile(r"^# Query_time: ", re.MULTILINE)


@dataclass(frozen=True)
class Recognition:
    """The recognized format of a dump.

    Attributes:
        format: The format's name.
        columns: For a generic format: the columns to read.
        reason: The evidence for the format.
    """

    format: str
    columns: ColumnMapping | None
    reason: str


def resolve_format(entry: CorpusEntry) -> tuple[CorpusEntry, str | None]:
    """Return the corpus with a known format, and a note on how an open format was recognized.

    Raises:
        CorpusError: The dump is missing, damaged, or in no known format.
    """
    if entry.format != AUTO:
        return entry, None
    found = recognize_format(entry)
    resolved = entry.model_copy(update={"format": found.format, "columns": found.columns})
    return resolved, f"recognized as format '{found.format}': {found.reason}"


def recognize_format(entry: CorpusEntry) -> Recognition:
    """Recognize the format of a corpus's dump.

    Raises:
        CorpusError: The dump is missing, damaged, or in no known format.
    """
    if entry.path.is_dir() and (found := _recognize_folder(entry.path, entry.glob)):
        return found
    source = list_sources(entry)[0]
    try:
        is_table = source.suffix == ".parquet" or source.suffix in ARROW
        if is_table or _read_start(source, 4) == b"PAR1":
            names, rows = _read_table(source)
            return _recognize_rows(entry, "parquet", names, rows)
        text = _read_text(source).lstrip("\ufeff")
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        problem = f"cannot be read ({str(error).splitlines()[0] if str(error) else error!r})"
        raise CorpusError(
            entry.name, entry.url or source.path, problem, "check that it is complete"
        ) from None
    return _recognize_text(entry, source, text.replace("\r\n", "\n"))


def _recognize_folder(folder: Path, glob: str | None) -> Recognition | None:
    scripts = sum(1 for _ in folder.glob(glob or "**/*.sql"))
    if not scripts or (glob is not None and not glob.endswith(".sql")):
        return None
    for path in sorted(folder.glob("**/*.jsonl")):
        rows, _ = _parse_json_rows(_read_text(Source(path)))
        if rows and "instance_id" in rows[0]:
            reason = f"SQL files, and rows with an instance_id in {path.name}"
            return Recognition("spider2", None, reason)
    if "compiled" in folder.parts:
        return Recognition("dbt", None, "SQL files in a folder named compiled")
    if glob is not None or any(folder.glob("*.sql")):
        return Recognition("sql_files", None, "SQL files in one folder")
    return Recognition("dbt", None, "SQL files in subfolders")


def _read_start(source: Source, size: int) -> bytes:
    with open_source(source) as file:
        return file.read(size)


def _read_text(source: Source) -> str:
    start = _read_start(source, _PEEKED_BYTES)
    return start.decode(guess_start_encoding(start), "replace")


def _read_table(source: Source) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and first rows of a Parquet or Arrow file."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy.parquet")
        path = copy if convert_if_needed(source, copy) else source.path
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(_PEEKED_ROWS), None)
            return file.schema_arrow.names, batch.to_pylist() if batch is not None else []


def _recognize_text(entry: CorpusEntry, source: Source, text: str) -> Recognition:
    stripped = text.lstrip()
    if stripped.startswith(("{", "[")):
        rows, shape = _parse_json_rows(stripped)
        if rows:
            return _recognize_json(entry, rows, shape)
    if _SLOW_LOG.search(text):
        return Recognition("mysql_slow_log", None, "lines that start with '# Query_time:'")
    if _LOG_LINE.match(text):
        return Recognition("pg_csvlog", None, "lines that start with a time, a user and a database")
    lines = text.split("\n")
    header = lines[0]
    for kind, mark in (("tsv", "\t"), ("csv", ",")):
        if source.suffix == f".{kind}" or (
            source.suffix not in (".sql", ".txt") and mark in header
        ):
            reader = csv.reader(io.StringIO(text), delimiter=mark)
            try:
                names, *values = [row for row, _ in zip(reader, range(_PEEKED_ROWS), strict=False)]
            except (csv.Error, ValueError):
                continue
            table = [dict(zip(names, row, strict=False)) for row in values]
            if not any(classify_statement(name) == "query" and " " in name for name in names):
                return _recognize_rows(entry, kind, names, table)
    return _recognize_lines(entry, lines)


def _recognize_lines(entry: CorpusEntry, lines: list[str]) -> Recognition:
    # Drop the last line, which may be incomplete.
    complete = [line for line in (lines[:-1] or lines) if line.strip()][:1000]
    statements = [line for line in complete if classify_statement(line)]
    if not complete or not statements:
        raise _unknown_error(entry, "its first lines are not SQL, JSON or a table")
    if sum(1 for line in complete if _GOLD_LINE.search(line)) >= 0.8 * len(complete):
        return Recognition("gold_sql", None, "lines of SQL followed by a tab and a name")
    if entry.role == "predictions" or len(statements) >= 0.8 * len(complete):
        return Recognition("lines", None, "lines that start like SQL statements")
    return Recognition("sql_files", None, "SQL statements of several lines")


def _parse_json_rows(text: str) -> tuple[list[dict[str, Any]], str]:
    """Return the first objects of a text, and their layout: ``list``, ``lines`` or ``object``."""
    decoder = json.JSONDecoder()
    rows: list[dict[str, Any]] = []
    is_list = text.startswith("[")
    position = 1 if is_list else 0
    separators = " \t\r\n," if is_list else " \t\r\n"
    while len(rows) < _PEEKED_ROWS:
        while position < len(text) and text[position] in separators:
            position += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            break
        if not isinstance(value, dict):
            break
        rows.append(value)
    return rows, "list" if is_list else "lines" if len(rows) != 1 else "object"


def _recognize_json(entry: CorpusEntry, rows: list[dict[str, Any]], shape: str) -> Recognition:
    [first, *_] = rows
    if shape == "object":
        texts = [value for value in first.values() if isinstance(value, str)]
        if texts and all(key.isdigit() for key in first):
            return Recognition("bird_predictions", None, "a JSON object whose keys are numbers")
        for key, value in first.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                found = _recognize_rows(
                    entry, "jsonl", list(value[0]), value[:_PEEKED_ROWS], is_exact=False
                )
                assert found.columns is not None
                if not key or '"' in key:
                    continue
                columns = found.columns.model_copy(update={"rows": f'$."{key}"'})
                return Recognition("jsonl", columns, f"{found.reason}, in the list {key!r}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _recognize_rows(entry, "jsonl", names, rows)


def _can_read(format: str, kind: str) -> bool:
    """Tell whether a format can be read from files of a kind: ``jsonl``, ``csv`` or ``parquet``."""
    if kind == "jsonl":
        return "read_json(" in load_sql(f"dumps/{format}")
    return f"{format}.{kind}" in list_sql("dumps") or (
        kind == "csv" and "read_csv(" in load_sql(f"dumps/{format}")
    )


def _recognize_rows(
    entry: CorpusEntry,
    kind: str,
    names: list[str],
    rows: list[dict[str, Any]],
    *,
    is_exact: bool = True,
) -> Recognition:
    lower = {name.lower() for name in names}
    known = [(f, keys) for f, keys in _EXACT_SIGNATURES if keys <= set(names)]
    known += [(f, keys) for f, keys in _SIGNATURES if keys <= lower]
    # A model's answers may be in a column beside the data set's own ones with the gold queries.
    answers = (
        [name for name in names if _ANSWERS.search(name)] if entry.role == "predictions" else []
    )
    for format, keys in known if is_exact and not answers else []:
        if _can_read(format, kind):
            noun = "columns" if kind != "jsonl" else "keys"
            return Recognition(format, None, f"{noun} {', '.join(sorted(keys))}")
    sql = _find_sql_column(rows, names, answers)
    if sql is None:
        raise _unknown_error(entry, f"found no SQL in {shorten_names(names)}")
    others = {
        key: next((name for wanted in choices for name in names if name.lower() == wanted), None)
        for key, choices in _NAMES.items()
    }
    mapping = ColumnMapping(sql=sql, **{k: v for k, v in others.items() if v not in (None, sql)})
    return Recognition(kind, mapping, f"SQL in {sql!r}")


def _find_sql_column(
    rows: list[dict[str, Any]], names: list[str], preferred: list[str]
) -> str | None:
    """Return the column, or the path of a key one level down, that most often contains SQL."""
    shares: dict[str, float] = {}
    candidates: list[tuple[str, ...]] = [
        (name,) for name in names if name and not name.startswith("$")
    ]
    for name in names:
        inner: dict[str, Any] = next((r[name] for r in rows if isinstance(r.get(name), dict)), {})
        candidates += [(name, key) for key in inner if name and key and '"' not in f"{name}{key}"]
    for keys in candidates:
        texts = [text for row in rows if isinstance(text := _get_value(row, keys), str) and text]
        if texts:
            name = keys[0] if len(keys) == 1 else "$" + "".join(f'."{key}"' for key in keys)
            shares[name] = sum(1 for text in texts if _is_sql(text)) / len(texts)
    good = [name for name, share in shares.items() if share >= 0.5]
    best = [name for name in good if name in preferred]
    best += sorted(good, key=lambda name: ("$" in name, -shares[name], "gold" in name.lower()))
    return best[0] if best else None


def _get_value(row: dict[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_sql(text: str) -> bool:
    return (
        classify_statement(text) is not None
        and len(text.split()) > 1
        and find_first_word(text) != "COMMENT"
    )


def _unknown_error(entry: CorpusEntry, why: str) -> CorpusError:
    return CorpusError(
        entry.name,
        entry.place,
        f"has an unknown format: {why}",
        "set format, and columns if the format is generic",
    )
