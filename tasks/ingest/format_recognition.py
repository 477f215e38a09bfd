"""What a dump is, told from its first rows: for ``format = "auto"`` and ``inspect``."""

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
from nl2sql_align.tasks.ingest.answers import first_word, kind_of
from nl2sql_align.tasks.ingest.archives import ARROW, Source, copied_plain, opened
from nl2sql_align.tasks.ingest.corpora_file import AUTO, ColumnMapping, CorpusEntry
from nl2sql_align.tasks.ingest.dumps import list_sources, shown

_PEEKED_BYTES: Final = 1 << 18
_PEEKED_ROWS: Final = 50

# The keys or columns that a format's rows have, the most particular first, in lower case: tables
# are exported in either.
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
_CASE_MATTERS: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("bird", frozenset({"SQL", "db_id"})),
    ("din_sql", frozenset({"PREDICTED SQL"})),
)
_NAMES: Final = {
    "question": "question nl_question utterance nlq prompt sql_prompt".split(),
    "db_id": "db_id database db_name database_name database_id db datname schema_id".split(),
    "frequency": "calls frequency n_occurrences executions occurrences count".split(),
}
_ANSWERS: Final = re.compile(r"pred|generated|answer|response|output|completion", re.IGNORECASE)
_LOG_LINE: Final = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,\d]* [\w+:-]+,("?)\w*\1,')
_GOLD_LINE: Final = re.compile(r"\t[ \t]*[\w.-]+[ \t]*\Z")
_SLOW_LOG: Final = re.compile(r"^# Query_time: ", re.MULTILINE)


@dataclass(frozen=True)
class Recognition:
    """What a dump was taken for.

    Attributes:
        format: The format's name.
        columns: For a generic format: which column holds what.
        reason: What it was told by.
    """

    format: str
    columns: ColumnMapping | None
    reason: str


def settled(entry: CorpusEntry) -> tuple[CorpusEntry, str | None]:
    """The corpus with its format, recognised where it is left open; and what it was told by.

    Raises:
        CorpusError: The dump is missing, damaged, or in no known form.
    """
    if entry.format != AUTO:
        return entry, None
    found = recognise(entry)
    settled = entry.model_copy(update={"format": found.format, "columns": found.columns})
    return settled, f"taken for format '{found.format}': {found.reason}"


def recognise(entry: CorpusEntry) -> Recognition:
    """What the dump of a corpus is.

    Raises:
        CorpusError: It is missing, damaged, or in no known form.
    """
    if entry.path.is_dir() and (found := _recognise_folder(entry.path, entry.glob)):
        return found
    source = list_sources(entry)[0]
    try:
        if source.suffix == ".parquet" or source.suffix in ARROW or _start(source, 4) == b"PAR1":
            names, rows = _table(source)
            return _of_rows(entry, "parquet", names, rows)
        text = _start(source, _PEEKED_BYTES).decode("utf-8", "replace").lstrip("\ufeff")
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        problem = f"cannot be read ({str(error).splitlines()[0] if str(error) else error!r})"
        raise CorpusError(
            entry.name, entry.url or source.path, problem, "check that it is whole"
        ) from None
    return _of_text(entry, source, text.replace("\r\n", "\n"))


def _recognise_folder(folder: Path, glob: str | None) -> Recognition | None:
    scripts = sum(1 for _ in folder.glob(glob or "**/*.sql"))
    if not scripts or (glob is not None and not glob.endswith(".sql")):
        return None
    for path in sorted(folder.glob("**/*.jsonl")):
        rows = _json_rows(_start(Source(path), _PEEKED_BYTES).decode("utf-8", "replace"))[0]
        if rows and "instance_id" in rows[0]:
            reason = f"SQL files, and instances with an instance_id in {path.name}"
            return Recognition("spider2", None, reason)
    if "compiled" in folder.parts:
        return Recognition("dbt", None, "SQL files in a folder compiled/")
    if glob is not None or any(folder.glob("*.sql")):
        return Recognition("sql_files", None, "a folder of SQL files")
    return Recognition("dbt", None, "SQL files in folders below it")


def _start(source: Source, size: int) -> bytes:
    with opened(source) as file:
        return file.read(size)


def _table(source: Source) -> tuple[list[str], list[dict[str, Any]]]:
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy.parquet")
        path = copy if copied_plain(source, copy) else source.path
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(_PEEKED_ROWS), None)
            return file.schema_arrow.names, batch.to_pylist() if batch is not None else []


def _of_text(entry: CorpusEntry, source: Source, text: str) -> Recognition:
    stripped = text.lstrip()
    if stripped.startswith(("{", "[")):
        rows, shape = _json_rows(stripped)
        if rows:
            return _of_json(entry, rows, shape)
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
            read = csv.reader(io.StringIO(text), delimiter=mark)
            try:
                names, *values = [row for row, _ in zip(read, range(_PEEKED_ROWS), strict=False)]
            except (csv.Error, ValueError):
                continue
            table = [dict(zip(names, row, strict=False)) for row in values]
            if not any(kind_of(name) == "query" and " " in name for name in names):
                return _of_rows(entry, kind, names, table)
    return _of_lines(entry, lines)


def _of_lines(entry: CorpusEntry, lines: list[str]) -> Recognition:
    # The last line may be cut.
    whole = [line for line in (lines[:-1] or lines) if line.strip()][:1000]
    starting = [line for line in whole if kind_of(line)]
    if not whole or not starting:
        raise _unknown(entry, "its first lines are no SQL, JSON or table")
    if sum(1 for line in whole if _GOLD_LINE.search(line)) >= 0.8 * len(whole):
        return Recognition("gold_sql", None, "lines of SQL, a tab and a name")
    if entry.role == "predictions" or len(starting) >= 0.8 * len(whole):
        return Recognition("lines", None, "lines that each start with a word of SQL")
    return Recognition("sql_files", None, "SQL over several lines")


def _json_rows(text: str) -> tuple[list[dict[str, Any]], str]:
    """The first objects of a text, and how they stand there: list, lines, object."""
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


def _of_json(entry: CorpusEntry, rows: list[dict[str, Any]], shape: str) -> Recognition:
    [first, *_] = rows
    if shape == "object":
        texts = [value for value in first.values() if isinstance(value, str)]
        if texts and all(key.isdigit() for key in first):
            return Recognition("bird_predictions", None, "one JSON object whose keys are numbers")
        for key, value in first.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                found = _of_rows(
                    entry, "jsonl", list(value[0]), value[:_PEEKED_ROWS], is_exact=False
                )
                assert found.columns is not None
                if not key or '"' in key:
                    continue
                columns = found.columns.model_copy(update={"rows": f'$."{key}"'})
                return Recognition("jsonl", columns, f"{found.reason}, in the list {key!r}")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _of_rows(entry, "jsonl", names, rows)


def _reads(format: str, kind: str) -> bool:
    """Whether a format can be read from files of a kind: jsonl, csv or parquet."""
    if kind == "jsonl":
        return "read_json(" in load_sql(f"dumps/{format}")
    return f"{format}.{kind}" in list_sql("dumps") or (
        kind == "csv" and "read_csv(" in load_sql(f"dumps/{format}")
    )


def _of_rows(
    entry: CorpusEntry,
    kind: str,
    names: list[str],
    rows: list[dict[str, Any]],
    *,
    is_exact: bool = True,
) -> Recognition:
    lower = {name.lower() for name in names}
    known = [(f, keys) for f, keys in _CASE_MATTERS if keys <= set(names)]
    known += [(f, keys) for f, keys in _SIGNATURES if keys <= lower]
    # Answers of a model stand beside gold queries under the keys of the data set.
    answers = (
        [name for name in names if _ANSWERS.search(name)] if entry.role == "predictions" else []
    )
    for format, keys in known if is_exact and not answers else []:
        if _reads(format, kind):
            what = "columns" if kind != "jsonl" else "keys"
            return Recognition(format, None, f"{what} {', '.join(sorted(keys))}")
    sql = _sql_column(rows, names, answers)
    if sql is None:
        raise _unknown(entry, f"none of {shown(names)} holds SQL")
    others = {
        key: next((name for wanted in choices for name in names if name.lower() == wanted), None)
        for key, choices in _NAMES.items()
    }
    mapping = ColumnMapping(sql=sql, **{k: v for k, v in others.items() if v not in (None, sql)})
    return Recognition(kind, mapping, f"SQL in {sql!r}")


def _sql_column(rows: list[dict[str, Any]], names: list[str], preferred: list[str]) -> str | None:
    """The column, or the path of a key one level down, that holds SQL most often."""
    shares: dict[str, float] = {}
    candidates: list[tuple[str, ...]] = [
        (name,) for name in names if name and not name.startswith("$")
    ]
    for name in names:
        inner: dict[str, Any] = next((r[name] for r in rows if isinstance(r.get(name), dict)), {})
        candidates += [(name, key) for key in inner if name and key and '"' not in f"{name}{key}"]
    for keys in candidates:
        texts = [text for row in rows if isinstance(text := _at(row, keys), str) and text]
        if texts:
            name = keys[0] if len(keys) == 1 else "$" + "".join(f'."{key}"' for key in keys)
            shares[name] = sum(1 for text in texts if _is_sql(text)) / len(texts)
    good = [name for name, share in shares.items() if share >= 0.5]
    best = [name for name in good if name in preferred]
    best += sorted(good, key=lambda name: ("$" in name, -shares[name], "gold" in name.lower()))
    return best[0] if best else None


def _at(row: dict[str, Any], keys: tuple[str, ...]) -> Any:
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_sql(text: str) -> bool:
    return kind_of(text) is not None and len(text.split()) > 1 and first_word(text) != "COMMENT"


def _unknown(entry: CorpusEntry, why: str) -> CorpusError:
    return CorpusError(
        entry.name,
        entry.place,
        f"is in no form that is known: {why}",
        "name its format, and columns",
    )
