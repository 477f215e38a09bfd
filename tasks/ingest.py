"""Reads dumps as their authors publish them and writes their queries, one Parquet file a corpus."""

import codecs
import glob
import hashlib
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from tasks.config import CorpusEntry
from tasks.engine import MEMORY_LIMIT_VARIABLE, connected
from tasks.errors import AlignError, CorpusError
from tasks.sqlfiles import list_sql, query_sql, run_sql
from tasks.warehouse import written_whole

# Changes whenever the same dump would give another file.
INGEST_VERSION: Final = 1

_COMPRESSED: Final = frozenset({".bz2", ".gz", ".zst"})
_MAX_COLUMNS_SHOWN: Final = 20
_MAX_MESSAGE_LENGTH: Final = 200


@dataclass(frozen=True)
class IngestReport:
    """What was ingested."""

    n_queries: int


def digest_dump(entry: CorpusEntry) -> str:
    """The SHA-256 of a dump's content, in hexadecimal.

    Of a file it is what ``sha256sum`` prints; of a folder, the SHA-256 of what ``sha256sum`` prints
    for its files, by their names below the folder, in the order of these names.

    Raises:
        CorpusError: The dump is missing, unreadable, empty or a folder without files.
    """
    paths = _list_files(entry)
    if paths == [entry.path]:
        return _digest_file(entry, entry.path)
    names = [path.relative_to(entry.path).as_posix() for path in paths]
    lines = [f"{_digest_file(entry, p)}  {n}\n" for p, n in zip(paths, names, strict=True)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def ingest_corpus(entry: CorpusEntry, destination: Path) -> IngestReport:
    """Writes the queries of a dump to a Parquet file, whole or not at all.

    The file holds ``ordinal`` (from 0, in the dump's order, by which it is sorted), ``sql`` (the
    text to template, empty where the dump has none), ``raw_sql``, ``db_id`` and ``question``. The
    same dump gives the same bytes.

    Args:
        entry: The corpus.
        destination: The file to write.

    Returns:
        The number of queries.

    Raises:
        CorpusError: The dump is missing, damaged, empty or not what its entry says.
        AlignError: The file cannot be written.
    """
    paths = _list_files(entry)
    query = _dump_query(entry, paths[0])
    with (
        written_whole(destination) as temporary,
        _staged(entry, paths, temporary) as staged,
        connected() as con,
    ):
        # The name of a file is taken as it is, not as a pattern.
        patterns = [glob.escape(str(path)) for path in staged]
        columns = entry.columns.model_dump() if entry.columns else {}
        parameters = {f"{key}_column": column for key, column in columns.items()}
        list_columns = partial(_list_columns, con, query, patterns)
        try:
            query_sql(con, query, paths=patterns, **parameters).create_view("dump")
            run_sql(con, "ingest/write_queries", destination=str(temporary))
            counts = query_sql(con, "ingest/count_queries", path=glob.escape(str(temporary)))
            found = dict(zip(counts.columns, counts.fetchall()[0], strict=True))
            _check_content(entry, found, list_columns)
        except duckdb.Error as error:
            # Not the dump's fault: all its files have been opened before.
            if re.search("Cannot open file|Could not write", str(error)):
                raise AlignError(f"{destination} cannot be written: {_in_short(error)}") from None
            # A table without any of the columns that its entry names.
            if isinstance(error, duckdb.BinderException):
                _check_columns(entry, _mapping(entry).values(), list_columns)
            raise _damaged(entry, query, dict(zip(staged, paths, strict=True)), error) from None
    return IngestReport(n_queries=found["n_queries"])


def _dump_query(entry: CorpusEntry, path: Path) -> str:
    """The SQL file that reads a dump: the format's own for this kind of file, if it has one."""
    plain = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
    special = f"{entry.format}{plain.suffix.lower()}"
    return f"dumps/{special if special in list_sql('dumps') else entry.format}"


def _mapping(entry: CorpusEntry) -> dict[str, str]:
    """The columns that an entry names."""
    return entry.columns.model_dump(exclude_none=True) if entry.columns else {}


def _list_files(entry: CorpusEntry) -> list[Path]:
    """The files of a dump: the one at its path, or those below it that match its glob, by name."""
    pattern = entry.glob or ("*.sql" if entry.format == "sql_files" else None)
    try:
        if not entry.path.exists():
            raise _fault(entry, "is not there", "check path, or fetch the dump")
        if pattern is None and entry.path.is_dir():
            raise _fault(entry, "is a folder", "let path name a file, or add a glob")
        if pattern is not None and not entry.path.is_dir():
            raise _fault(entry, "is not a folder", "let path name the folder that holds the files")
        matches = [entry.path] if pattern is None else entry.path.glob(pattern)
        paths = [path for path in matches if not path.is_dir()]
        if not paths:
            raise _fault(entry, f"holds no file that matches '{pattern}'", "check path and glob")
        if not any(path.stat().st_size for path in paths):
            raise _fault(entry, "is empty", "fetch it anew")
    except OSError as error:
        raise _unreadable(entry, error, entry.path) from None
    return sorted(paths, key=lambda path: path.relative_to(entry.path).as_posix())


def _digest_file(entry: CorpusEntry, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(entry, error, path) from None


@contextmanager
def _staged(entry: CorpusEntry, paths: list[Path], temporary: Path) -> Iterator[list[Path]]:
    """The files as DuckDB reads them in every format: plain, and without a byte order mark.

    A file that is not so is copied beside ``temporary``; the copies are removed at the end.
    """
    staged: list[Path] = []
    try:
        for path in paths:
            copy = temporary.with_name(f"{temporary.name}-{len(staged)}")
            try:
                staged.append(copy if _copy_plain(path, copy) else path)
            except OSError as error:
                copy.unlink(missing_ok=True)
                raise _unreadable(entry, error, path) from None
        yield staged
    finally:
        for path in set(staged) - set(paths):
            path.unlink()


def _copy_plain(path: Path, copy: Path) -> bool:
    """Copies a file that is compressed or starts with a byte order mark; tells whether it is."""
    is_compressed = path.suffix.lower() in _COMPRESSED
    with pa.input_stream(path, compression="detect" if is_compressed else None) as source:
        start = source.read(len(codecs.BOM_UTF8))
        if not is_compressed and start != codecs.BOM_UTF8:
            return False
        with copy.open("wb") as target:
            target.write(start.removeprefix(codecs.BOM_UTF8))
            shutil.copyfileobj(source, target)
    return True


def _check_content(
    entry: CorpusEntry, found: dict[str, int], list_columns: Callable[[], list[str]]
) -> None:
    """Refuses what was read without an error and still is not the dump that its entry describes."""
    if found["n_queries"] == 0:
        raise _fault(entry, "holds no queries", "fetch it anew, or check path")
    if found["n_ordinals"] < found["n_queries"]:
        raise _fault(entry, "numbers some queries twice", "list each of its files as a corpus")
    n_values = {"sql": "n_raw_sql", "question": "n_questions", "db_id": "n_db_ids"}
    empty = [column for key, column in _mapping(entry).items() if found[n_values[key]] == 0]
    _check_columns(entry, empty, list_columns)
    if found["n_raw_sql"] == 0:
        problem = f"has no queries where format '{entry.format}' keeps them"
        raise _fault(entry, f"{problem} (it has {_show(list_columns())})", "check format")


def _check_columns(
    entry: CorpusEntry, columns: Iterable[str], list_columns: Callable[[], list[str]]
) -> None:
    """Refuses a dump that lacks one of these columns."""
    for column in columns:
        if column not in (there := list_columns()):
            raise _fault(
                entry, f"has no column '{column}' (it has {_show(there)})", "correct columns"
            )


def _list_columns(con: duckdb.DuckDBPyConnection, query: str, patterns: list[str]) -> list[str]:
    """The columns of a table, or the keys of JSON objects."""
    kind = query.replace(".", "/").rpartition("/")[2]
    name = f"{kind}_columns" if f"{kind}_columns" in list_sql("ingest") else "json_columns"
    return [column for (column,) in query_sql(con, f"ingest/{name}", paths=patterns).fetchall()]


def _show(columns: list[str]) -> str:
    more = ["..."] if len(columns) > _MAX_COLUMNS_SHOWN else []
    return ", ".join(columns[:_MAX_COLUMNS_SHOWN] + more) or "nothing"


def _damaged(
    entry: CorpusEntry, query: str, originals: dict[Path, Path], error: duckdb.Error
) -> CorpusError:
    """What is wrong with a dump that DuckDB cannot read."""
    if isinstance(error, duckdb.OutOfMemoryException):
        return _fault(entry, "does not fit in memory", f"raise {MEMORY_LIMIT_VARIABLE}")
    if not query.endswith("parquet"):
        for staged, original in originals.items():
            if (offset := _find_invalid_utf8(staged)) is not None:
                problem = f"is not UTF-8 text, at byte {offset}"
                return _fault(entry, problem, "save it as UTF-8, or check format", original)
    message = _in_short(error)
    for staged, original in originals.items():
        message = message.replace(str(staged), original.name)
    problem = f"is damaged or not in format '{entry.format}' ({message})"
    return _fault(entry, problem, "fetch it anew, or check format")


def _find_invalid_utf8(path: Path) -> int | None:
    """Where a file stops being UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(1 << 20)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # What the decoder kept of the chunk before is the start of what it looked at.
                return position - (len(error.object) - len(chunk)) + error.start
            if not chunk:
                return None
            position += len(chunk)


def _in_short(error: duckdb.Error) -> str:
    """The first line of what DuckDB says, without its kind of error."""
    line = str(error).splitlines()[0]
    message = re.sub(r"^[\w ]+ Error: ", "", line)
    return textwrap.shorten(message, _MAX_MESSAGE_LENGTH, placeholder=" ...")


def _unreadable(entry: CorpusEntry, error: OSError, path: Path) -> CorpusError:
    problem = f"cannot be read ({error.strerror or error})"
    return _fault(entry, problem, "check that it is whole and that you may read it", path)


def _fault(entry: CorpusEntry, problem: str, remedy: str, path: Path | None = None) -> CorpusError:
    return CorpusError(entry.name, path or entry.path, problem, remedy)
