"""Reads dumps as their authors publish them and writes their queries, one Parquet file a corpus."""

import glob
import hashlib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import MEMORY_LIMIT_VARIABLE, connected
from nl2sql_align.tasks.base.errors import AlignError, CorpusError
from nl2sql_align.tasks.base.run_sql import (
    declared_parameters,
    list_sql,
    load_sql,
    query_sql,
    run_sql,
)
from nl2sql_align.tasks.ingest.answers import chosen_statements, clean_answer
from nl2sql_align.tasks.ingest.archives import (
    UTF_8,
    Encoding,
    Source,
    copied_plain,
    find_invalid_utf8,
    guess_encoding,
    list_members,
    to_pieces,
    to_utf8,
)
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry
from nl2sql_align.tasks.warehouse.folder import write_atomically

# Changes whenever the same dump would give another file.
INGEST_VERSION: Final = 3

_MAX_COLUMNS_SHOWN: Final = 20
_MAX_NAME_SHOWN: Final = 60
_MAX_NAMES_LENGTH: Final = 400
_MAX_MESSAGE_LENGTH: Final = 200
# Formats that are folders of files by nature, with what is taken there.
_FOLDER_FORMATS: Final = {
    "dbt": ("**/*.sql",),
    "spider2": ("**/*.sql", "**/*.jsonl"),
    "sql_files": ("*.sql",),
}
# What parts the queries of formats that are plain text: DuckDB, which would read such a text as one
# value, gets them as Parquet, one a row.
_SEPARATORS: Final = {"gold_sql": "\n", "lines": "\n", "mysql_slow_log": "\n# Query_time:"}
# Kinds of files that a folder of shards may hold. Data sets come with files that describe them.
_DATA_SUFFIXES: Final = (".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv")
_DESCRIPTIONS: Final = frozenset({"dataset_info.json", "dataset_dict.json", "state.json"})
_SPLIT: Final = re.compile(r"(train|test|dev|val|valid|validation)(?=[-_.]|$)", re.IGNORECASE)
# The rows whose texts are cleaned or split at a time.
_ROWS_AT_A_TIME: Final = 4096


@dataclass(frozen=True)
class IngestReport:
    """What was ingested, and how its texts were encoded."""

    n_queries: int
    encoding: Encoding = UTF_8


def digest_dump(entry: CorpusEntry) -> str:
    """The SHA-256 of a dump's content, in hexadecimal.

    Of a file it is what ``sha256sum`` prints; of a folder, the SHA-256 of what ``sha256sum`` prints
    for its files, by their names below the folder, in the order of these names.

    Raises:
        CorpusError: The dump is missing, unreadable, empty or a folder without files.
    """
    paths = list_files(entry)
    if paths == [entry.path]:
        return _digest_file(entry, entry.path)
    folder, _ = _place(entry)
    names = [path.relative_to(folder).as_posix() for path in paths]
    lines = [f"{_digest_file(entry, p)}  {n}\n" for p, n in zip(paths, names, strict=True)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def ingest_corpus(entry: CorpusEntry, destination: Path) -> IngestReport:
    """Writes the queries of a dump to a Parquet file, whole or not at all.

    The file holds ``ordinal`` (from 0, in the dump's order, by which it is sorted), ``sql`` (the
    text to template, empty where the dump has none), ``raw_sql``, ``db_id``, ``question`` and
    ``n_occurrences`` (1 where the dump says nothing of frequencies). The same dump gives the same
    bytes.

    Args:
        entry: The corpus; its format is known.
        destination: The file to write.

    Returns:
        The number of queries, and the encoding that texts were in.

    Raises:
        CorpusError: The dump is missing, damaged, empty or not what its entry says.
        AlignError: The file cannot be written.
    """
    sources = list_sources(entry)
    query = _dump_query(entry, sources[0])
    with (
        write_atomically(destination) as temporary,
        _staged(entry, sources, temporary) as staged,
        connected() as con,
    ):
        try:
            report = _read(con, entry, query, sources, staged, temporary, UTF_8)
        except CorpusError as error:
            reread = _recoded(staged, temporary) if _is_of_text(entry, query) else None
            if reread is None:
                raise
            try:
                report = _read(con, entry, query, sources, staged, temporary, reread)
            except CorpusError:
                # In no encoding is it what it should be.
                raise error from None
        if entry.cleans or entry.statements != "reject":
            report = _take_statements(entry, report, temporary)
    return report


def text_settings(entry: CorpusEntry) -> dict[str, Any]:
    """What happens to a corpus's texts on their way into its queries."""
    if not entry.cleans and entry.statements == "reject":
        return {"clean": "none", "statements": "reject"}
    return {
        "clean": "llm" if entry.cleans else "none",
        "statements": entry.statements,
        # How quotes are escaped, and what is preferred among statements.
        "scanned_as": entry.dialect,
        "preferred": sorted(entry.kinds),
    }


def _read(
    con: duckdb.DuckDBPyConnection,
    entry: CorpusEntry,
    query: str,
    sources: list[Source],
    staged: list[Path],
    temporary: Path,
    encoding: Encoding,
) -> IngestReport:
    if entry.format in _SEPARATORS:
        staged = _in_pieces(entry, sources, staged, temporary)
    paths = [str(path) for path in staged]
    list_columns = partial(_list_columns, con, query, paths)
    try:
        parameters = _parameters(entry, query, sources, paths)
        con.execute("drop view if exists dump")
        query_sql(con, query, **parameters).create_view("dump")
        written = {
            "destination": str(temporary),
            "encoding": encoding.name,
            "n_replaced": str(encoding.n_replaced),
        }
        run_sql(con, "ingest/write_queries", **written)
        found = _count(con, temporary)
        if found["n_descents"]:
            unsorted = temporary.rename(temporary.with_name(f"{temporary.name}-unsorted"))
            run_sql(con, "ingest/sort_queries", path=str(unsorted), **written)
            found = _count(con, temporary)
        _check_content(entry, found, list_columns)
    except duckdb.Error as error:
        # Not the dump's fault: all its files have been opened before.
        if re.search("Cannot open file|Could not write", str(error)):
            raise AlignError(f"{temporary} cannot be written: {_in_short(error)}") from None
        # A table without any of the columns that its entry names.
        if isinstance(error, duckdb.BinderException) and not _is_nested(entry):
            _check_columns(entry, _mapping(entry).values(), list_columns)
        raise _damaged(entry, query, dict(zip(staged, sources, strict=True)), error) from None
    return IngestReport(found["n_queries"], encoding)


def _count(con: duckdb.DuckDBPyConnection, queries: Path) -> dict[str, int]:
    counts = query_sql(con, "ingest/count_queries", path=str(queries))
    return dict(zip(counts.columns, counts.fetchall()[0], strict=True))


def _parameters(
    entry: CorpusEntry, query: str, sources: list[Source], paths: list[str]
) -> dict[str, Any]:
    """What the SQL file of a format asks for: all paths, or those of one suffix and their names."""
    columns = entry.columns.model_dump() if entry.columns else {}
    if _is_nested(entry):
        columns = {key: _as_path(value) for key, value in columns.items()}
    parameters: dict[str, Any] = {f"{key}_column": value for key, value in columns.items()}
    parameters["paths"] = paths
    for name in declared_parameters(query):
        suffix, _, what = name.rpartition("_")
        if what in ("paths", "names") and suffix:
            chosen = [n for n, one in enumerate(sources) if one.suffix == f".{suffix}"]
            if not chosen:
                remedy = "let path name the folder that holds them too"
                raise _fault(entry, f"holds no .{suffix} file, which its format needs", remedy)
            parameters[name] = [paths[n] if what == "paths" else sources[n].name for n in chosen]
    return {key: parameters[key] for key in declared_parameters(query)}


def _as_path(name: str | None) -> str | None:
    """The JSON path of a key; a path as it is."""
    return name if name is None or name.startswith("$") else f'$."{name}"'


def _is_nested(entry: CorpusEntry) -> bool:
    return entry.columns is not None and entry.columns.is_nested


def _dump_query(entry: CorpusEntry, source: Source) -> str:
    """The SQL file that reads a dump: the format's own for this kind of file, if it has one."""
    if entry.format == AUTO:
        raise ValueError("the format has to be recognised first")
    if _is_nested(entry):
        return f"dumps/{entry.format}.nested"
    suffix = ".parquet" if source.suffix in (".arrow", ".feather") else source.suffix
    special = f"{entry.format}{suffix}"
    return f"dumps/{special if special in list_sql('dumps') else entry.format}"


def _take_statements(entry: CorpusEntry, report: IngestReport, temporary: Path) -> IngestReport:
    """Writes the file anew, with the statements that are wanted of each text."""
    whole = temporary.with_name(f"{temporary.name}-whole")
    temporary.rename(whole)
    dialect = None if entry.dialect == AUTO else entry.dialect
    n_queries = 0
    try:
        with pq.ParquetFile(whole) as file:
            # Kept as DuckDB has written it, for what it says of the encoding.
            said = file.metadata.metadata or {}
            schema = file.schema_arrow.with_metadata(said)
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                for batch in file.iter_batches(_ROWS_AT_A_TIME):
                    taken = _statements_of(entry, batch, dialect)
                    if entry.statements == "each":
                        last = n_queries + taken.num_rows
                        ordinals = pa.array(range(n_queries, last), pa.int64())
                        taken = taken.set_column(0, "ordinal", ordinals)
                    writer.write_table(taken.cast(schema))
                    n_queries += taken.num_rows
    finally:
        whole.unlink()
    return IngestReport(n_queries, report.encoding)


def _statements_of(entry: CorpusEntry, batch: pa.RecordBatch, dialect: str | None) -> pa.Table:
    rows: list[int] = []
    taken: list[str] = []
    raw: list[str | None] = []
    texts, raw_texts = batch.column("sql").to_pylist(), batch.column("raw_sql").to_pylist()
    for row, (text, raw_text) in enumerate(zip(texts, raw_texts, strict=True)):
        if entry.cleans:
            text = clean_answer(text, dialect, takes_first=entry.statements == "reject")
        statements = chosen_statements(text, entry.statements, entry.kinds, dialect)
        rows += [row] * len(statements)
        taken += statements
        # Of a script taken apart, each statement is a row of its own.
        raw += statements if len(statements) > 1 else [raw_text]
    table = pa.Table.from_batches([batch]).take(pa.array(rows, pa.int64()))
    table = table.set_column(
        table.schema.get_field_index("sql"), "sql", pa.array(taken, pa.string())
    )
    return table.set_column(
        table.schema.get_field_index("raw_sql"), "raw_sql", pa.array(raw, pa.string())
    )


def _mapping(entry: CorpusEntry) -> dict[str, str]:
    """The columns that an entry names."""
    return entry.columns.named if entry.columns else {}


def _place(entry: CorpusEntry) -> tuple[Path, tuple[str, ...]]:
    """A dump's file or folder, and the patterns of what is taken there, if there are any.

    A path that is not there and has signs of a pattern is one, below the folder before them.
    """
    if entry.glob is not None:
        more = _FOLDER_FORMATS.get(entry.format, ())[1:]
        return entry.path, (entry.glob, *more)
    if not entry.path.exists() and (found := re.search(r"[*?\[]", str(entry.path))):
        folder = Path(str(entry.path)[: found.start()] + "x").parent
        return folder, (entry.path.relative_to(folder).as_posix(),)
    return entry.path, () if entry.path.is_file() else _FOLDER_FORMATS.get(entry.format, ())


def list_files(entry: CorpusEntry) -> list[Path]:
    """The files of a dump by name: the one at its path, those that match its glob, or its shards.

    Raises:
        CorpusError: There are none, or it cannot be told which to take.
    """
    try:
        folder, patterns = _place(entry)
        if not folder.exists():
            raise _fault(entry, "is not there", "check path, or fetch the dump")
        if folder.is_file() and (not patterns or folder.suffix.lower() == ".zip"):
            paths = [folder]
        elif patterns and not folder.is_dir():
            raise _fault(entry, "is not a folder", "let path name the folder that holds the files")
        elif patterns:
            paths = list({p: None for pattern in patterns for p in folder.glob(pattern)})
            paths = [path for path in paths if not path.is_dir()]
            if not paths and entry.glob is None and folder != entry.path:
                raise _fault(entry, "is not there", "check path, or fetch the dump")
            if not paths:
                problem = f"holds no file that matches '{patterns[0]}'"
                raise _fault(entry, problem, "check path and glob")
        else:
            paths = _list_shards(entry) if folder.is_dir() else [folder]
        if not any(path.stat().st_size for path in paths):
            raise _fault(entry, "is empty", "fetch it anew")
    except ValueError:
        raise _fault(entry, "is no path", "check path") from None
    except OSError as error:
        raise _unreadable(entry, error, entry.path) from None
    return sorted(paths, key=lambda path: path.relative_to(folder).as_posix())


def _list_shards(entry: CorpusEntry) -> list[Path]:
    """The data files of a folder that are all of one kind and one split."""
    by_kind: dict[str, list[Path]] = {}
    for path in entry.path.iterdir():
        kind = Source(path).suffix
        if path.is_file() and kind in _DATA_SUFFIXES and path.name not in _DESCRIPTIONS:
            by_kind.setdefault(kind, []).append(path)
    kinds = [kind for kind in _DATA_SUFFIXES if kind in by_kind]
    if not kinds:
        folders = sorted(p.name for p in entry.path.iterdir() if p.is_dir())
        remedy = "let path name a file, or add a glob"
        if folders:
            remedy = f"let path name a file or one of its folders ({shown(folders)}), or add a glob"
        raise _fault(entry, "is a folder", remedy)
    if len(kinds) > 1:
        found = ", ".join(f"*{kind}" for kind in kinds)
        raise _fault(entry, f"is a folder of several kinds of files ({found})", "add a glob")
    splits = {m[1].lower() for p in by_kind[kinds[0]] if (m := _SPLIT.match(p.name))}
    if len(splits) > 1:
        problem = f"is a folder of several splits ({', '.join(sorted(splits))})"
        raise _fault(entry, problem, f"add a glob, such as '{min(splits)}-*'")
    return by_kind[kinds[0]]


def list_sources(entry: CorpusEntry) -> list[Source]:
    """The files of a dump, those in zip archives each of its own.

    Raises:
        CorpusError: There are none, or an archive is damaged or names files outside of itself.
    """
    sources: list[Source] = []
    for path in list_files(entry):
        if path.suffix.lower() != ".zip":
            sources.append(Source(path))
            continue
        patterns = [entry.glob] if entry.glob else [*_FOLDER_FORMATS.get(entry.format, (None,))]
        try:
            members = sorted({m for pattern in patterns for m in list_members(path, pattern)})
        except OSError as error:
            raise _unreadable(entry, error, path) from None
        members = [m for m in members if PurePosixPath(m).name not in _DESCRIPTIONS]
        kinds = {Source(path, member).suffix for member in members}
        if not members:
            raise _fault(
                entry, "holds no file to read", "check glob, which files of the archive it names"
            )
        if entry.format not in _FOLDER_FORMATS and len(kinds) > 1:
            names = shown([PurePosixPath(member).name for member in members])
            raise _fault(entry, f"holds several kinds of files ({names})", "add a glob", path)
        sources += [Source(path, member) for member in members]
    return sources


def _digest_file(entry: CorpusEntry, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(entry, error, path) from None


@contextmanager
def _staged(entry: CorpusEntry, sources: list[Source], temporary: Path) -> Iterator[list[Path]]:
    """The files as DuckDB reads them in every format; others may take their places in the list.

    A file that is not so is copied beside ``temporary``; the copies are removed at the end.
    """
    staged: list[Path] = []
    try:
        for source in sources:
            copy = temporary.with_name(f"{temporary.name}-{len(staged)}")
            try:
                staged.append(copy if copied_plain(source, copy) else source.path)
            except OSError as error:
                copy.unlink(missing_ok=True)
                raise _unreadable(entry, error, source.path) from None
        yield staged
    finally:
        for copy in temporary.parent.glob(f"{glob.escape(temporary.name)}-*"):
            copy.unlink()


def _recoded(staged: list[Path], temporary: Path) -> Encoding | None:
    """Puts copies in UTF-8 in the places of texts in other encodings; None where there are none."""
    found: Encoding | None = None
    for number, path in enumerate(staged):
        name = guess_encoding(path)
        if name is None:
            continue
        copy = temporary.with_name(f"{temporary.name}-{number}-utf8")
        encoding = to_utf8(path, copy, name)
        n_replaced = encoding.n_replaced + (found.n_replaced if found else 0)
        found = Encoding(encoding.name, n_replaced)
        staged[number] = copy
    return found


def _in_pieces(
    entry: CorpusEntry, sources: list[Source], staged: list[Path], temporary: Path
) -> list[Path]:
    """Copies of texts as Parquet, a row for each piece."""
    copies = []
    for number, (path, source) in enumerate(zip(staged, sources, strict=True)):
        copy = temporary.with_name(f"{temporary.name}-{number}-pieces")
        try:
            to_pieces(path, copy, _SEPARATORS[entry.format])
        except UnicodeDecodeError:
            raise _no_text(entry, source, find_invalid_utf8(path) or 0) from None
        except OSError as error:
            raise _unreadable(entry, error, source.path) from None
        copies.append(copy)
    return copies


def _is_of_text(entry: CorpusEntry, query: str) -> bool:
    """Whether a dump's files are texts."""
    return entry.format in _SEPARATORS or "read_parquet(" not in load_sql(query)


def _check_content(
    entry: CorpusEntry, found: dict[str, int], list_columns: Callable[[], list[str]]
) -> None:
    """Refuses what was read without an error and still is not the dump that its entry describes."""
    if found["n_queries"] == 0:
        raise _fault(entry, "holds no queries", "fetch it anew, or check path")
    if found["n_repeats"]:
        raise _fault(entry, "numbers some queries twice", "list each of its files as a corpus")
    n_values = {
        "sql": "n_raw_sql",
        "question": "n_questions",
        "db_id": "n_db_ids",
        "frequency": "n_frequencies",
    }
    empty = [column for key, column in _mapping(entry).items() if found[n_values[key]] == 0]
    _check_columns(entry, empty, list_columns)
    if found["n_raw_sql"] == 0:
        problem = f"has no queries where format '{entry.format}' keeps them"
        raise _fault(entry, f"{problem} (it has {shown(list_columns())})", "check format")


def _check_columns(
    entry: CorpusEntry, columns: Iterable[str], list_columns: Callable[[], list[str]]
) -> None:
    """Refuses a dump that lacks one of these columns."""
    for column in columns:
        if column.startswith("$"):
            problem = f"has nothing at '{column}' (it has {shown(list_columns())})"
            raise _fault(entry, problem, "correct columns")
        if column not in (there := list_columns()):
            raise _fault(
                entry, f"has no column '{column}' (it has {shown(there)})", "correct columns"
            )


def _list_columns(con: duckdb.DuckDBPyConnection, query: str, paths: list[str]) -> list[str]:
    """The columns of a table, or the keys of JSON objects; none of a text."""
    if query == "dumps/tsv":
        name = "tsv_columns"
    else:
        readers = {"read_csv(": "csv_columns", "read_parquet(": "parquet_columns"}
        text = load_sql(query)
        if "read_text(" in text or "piece" in text:
            return []
        name = next((name for call, name in readers.items() if call in text), "json_columns")
    return [column for (column,) in query_sql(con, f"ingest/{name}", paths=paths).fetchall()]


def shown(names: list[str]) -> str:
    """The first of some names for a message, long ones cut: they may be whole texts."""
    more = ["..."] if len(names) > _MAX_COLUMNS_SHOWN else []
    told = [n if len(n) <= _MAX_NAME_SHOWN else f"{n[:_MAX_NAME_SHOWN]}..." for n in names]
    listed = ", ".join(told[:_MAX_COLUMNS_SHOWN] + more) or "nothing"
    return textwrap.shorten(listed, _MAX_NAMES_LENGTH, placeholder=" ...")


def _damaged(
    entry: CorpusEntry, query: str, originals: dict[Path, Source], error: duckdb.Error
) -> CorpusError:
    """What is wrong with a dump that DuckDB cannot read."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return _fault(entry, "does not fit in memory", f"raise {MEMORY_LIMIT_VARIABLE}")
    if "read_parquet(" not in load_sql(query):
        for staged, source in originals.items():
            if (offset := find_invalid_utf8(staged)) is not None:
                return _no_text(entry, source, offset)
    message = _in_short(error)
    for staged, original in originals.items():
        message = message.replace(str(staged), original.name)
    if "maximum_object_size" in message:
        return _fault(entry, "has a row of more than 32 MB", "leave it out, or check format")
    if re.search("has duplicate key|keys must be unique", message):
        return _fault(
            entry, f"has a key twice in one object ({message})", "mend it, or leave it out"
        )
    problem = f"is damaged or not in format '{entry.format}' ({message})"
    return _fault(entry, problem, "fetch it anew, or check format")


def _no_text(entry: CorpusEntry, source: Source, offset: int) -> CorpusError:
    return _fault(entry, f"is no text, at byte {offset}", "check path and format", source.path)


def _in_short(error: duckdb.Error) -> str:
    """The first line of what DuckDB says, without its kind of error."""
    line = str(error).splitlines()[0]
    message = re.sub(r"^[\w ]+ Error: ", "", line)
    return textwrap.shorten(message, _MAX_MESSAGE_LENGTH, placeholder=" ...")


def _unreadable(entry: CorpusEntry, error: OSError, path: Path) -> CorpusError:
    problem = f"cannot be read ({error.strerror or error})"
    return _fault(entry, problem, "check that it is whole and that you may read it", path)


def _fault(entry: CorpusEntry, problem: str, remedy: str, path: Path | None = None) -> CorpusError:
    return CorpusError(entry.name, entry.url or path or entry.path, problem, remedy)
