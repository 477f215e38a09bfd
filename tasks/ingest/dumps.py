"""Readers of dumps in the forms in which their authors publish them, with a Parquet file as result.

The formats are the SQL files in ``sql/dumps``.
"""

import codecs
import errno
import glob
import hashlib
import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.child_process import ChildDiedError, call_in_child
from nl2sql_align.tasks.base.connections import MEMORY_LIMIT_VARIABLE, connected
from nl2sql_align.tasks.base.errors import (
    AlignError,
    CorpusError,
    find_disk_reason,
    full_disk_error,
)
from nl2sql_align.tasks.base.run_sql import (
    declared_parameters,
    list_sql,
    load_sql,
    query_sql,
    run_sql,
)
from nl2sql_align.tasks.ingest.answers import explain_cleaning
from nl2sql_align.tasks.ingest.archives import (
    ARROW,
    ENTRY_OF_PG_LOG,
    UNPACK_LIMITS,
    UTF_8,
    Encoding,
    Source,
    UnpackLimits,
    convert_to_utf8,
    find_invalid_utf8,
    find_wide_encoding_of_file,
    guess_encoding,
    is_archive,
    list_members,
    open_source,
    stage_files,
    write_pieces,
)
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry, is_generic
from nl2sql_align.tasks.ingest.delimited import (
    Damage,
    UnreadableTableError,
    choose_preferred,
    drop_lines_above,
    find_separator_of_file,
    read_header,
    repair_table,
)
from nl2sql_align.tasks.ingest.dialect_names import name_dialect
from nl2sql_align.tasks.ingest.final_answers import Block
from nl2sql_align.tasks.ingest.json_places import correct_place
from nl2sql_align.tasks.ingest.lists import expand_lists
from nl2sql_align.tasks.ingest.statements import choose_statements, list_statements
from nl2sql_align.tasks.ingest.yaml_documents import YAML
from nl2sql_align.tasks.warehouse.folder import digest_file, write_atomically
from nl2sql_align.tasks.warehouse.regular_files import (
    OutsideError,
    check_file,
    check_inside,
    find_files,
    hold_files,
)

# Part of the stage key: raise it when a change makes the same dump give other rows.
INGEST_VERSION: Final = 10

_MAX_COLUMNS_SHOWN: Final = 20
_MAX_NAME_SHOWN: Final = 60
_MAX_NAMES_LENGTH: Final = 400
_MAX_MESSAGE_LENGTH: Final = 200
# The formats that are folders, with the patterns of their files.
_FOLDER_FORMATS: Final = {
    "dbt": ("**/*.sql",),
    "metabase": ("**/*.y*ml",),
    "ehrsql_2024": ("*label.json", "*data.json"),
    "snowflake_semantic_model": ("**/*.y*ml",),
    "spider2": ("**/*.sql", "**/*.jsonl"),
    "sql_files": ("*.sql",),
    "superset": ("**/*.y*ml",),
}
# The separators of queries in plain text formats. DuckDB would read such a file as one value, so it
# is given a Parquet file with a row for each query instead.
_SEPARATORS: Final[dict[str, str | re.Pattern[bytes]]] = {
    "gold_sql": "\n",
    "lines": "\n",
    "mysql_slow_log": "\n# Query_time:",
    "pg_log": ENTRY_OF_PG_LOG,
}
# The logs of PostgreSQL: their formats give the entries of the log, which ingest/pg_statements
# turns into statements.
_PG_LOGS: Final = frozenset({"pg_csvlog", "pg_jsonlog", "pg_log"})
# Formats may read from these views instead of from one type of file. Each view has SQL files
# ingest/VIEW_TYPE, which create it, and ingest/VIEW_macros.
_VIEWS: Final = ("dump_objects", "log_rows")
# The types of files, by suffix.
_TYPES: Final = {
    ".arrow": "parquet",
    ".csv": "csv",
    ".feather": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".tsv": "csv",
}
# The suffixes of Excel workbooks, and the first bytes of new and old ones.
_WORKBOOKS: Final = frozenset({".xls", ".xlsb", ".xlsm", ".xlsx"})
_WORKBOOK_STARTS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SNIFFED_BYTES: Final = 1 << 16
# The suffixes of shards, and the names of files beside them that only describe the data set.
DATA_SUFFIXES: Final = (".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv")
# The formats whose shards may be SQL files, too: those with a query on each line.
_LINE_FORMATS: Final = frozenset({AUTO, "gold_sql", "lines"})
_DESCRIPTIONS: Final = frozenset({"dataset_dict.json", "state.json"})
SCHEMAS: Final = re.compile(r"(.*_)?tables|schema|dataset_infos?")
"""The names, without suffixes, of files that describe tables."""
# The folders in a data set of Hugging Face's cache; files in the first link to ones in the second.
_HUB_SNAPSHOTS: Final = "snapshots"
_HUB_FILES: Final = "blobs"
# A word of a file's name that names its split, with the separators around it.
_SPLIT: Final = re.compile(
    r"(?:^|[-_. ])(train(?:ing)?|test(?:ing)?|dev|val|valid|validation|eval|few[-_ ]?shot)"
    r"(?=[-_. ]|$)[-_. ]?",
    re.IGNORECASE,
)
_ROWS_PER_BATCH: Final = 4096
_SETTINGS: Final = "with DECLARE, SET, or USE"


@dataclass(frozen=True)
class RowCounts:
    """Counts of the rows of a dump by their use, and notes on how a table of text was read.

    Attributes:
        left_out: The number of rows that are not queries to read, by reason: a phrase that follows
            a number, such as ``archived``.
        dialects: The number of queries of each dialect that the dump states.
        separator: The separator of a table of text.
        reading: How a table of text was read, as a sentence without its end: its separator, unless
            it is the usual one, and its damaged rows. It may be empty.
        n_odd_frequencies: The number of queries whose frequency is not a number.
    """

    left_out: dict[str, int] = field(default_factory=dict)
    dialects: dict[str, int] = field(default_factory=dict)
    separator: str = ","
    reading: str = ""
    n_odd_frequencies: int = 0

    @property
    def text(self) -> str:
        """The rows that are left out, as a sentence without its end, or an empty text."""
        if not self.left_out:
            return ""
        reasons = ", ".join(f"{n_rows:,} {reason}" for reason, n_rows in self.left_out.items())
        n_rows = sum(self.left_out.values())
        return f"{n_rows:,} {'rows are' if n_rows != 1 else 'row is'} left out: {reasons}"

    @property
    def mixture(self) -> str:
        """The dialects, if there are several, as a sentence without its end; else empty."""
        if len(self.dialects) < 2:
            return ""
        counts = ", ".join(f"{name} {n_rows:,}" for name, n_rows in self.dialects.items())
        return f"its queries are of several dialects ({counts}), and are parsed as one"

    @property
    def odd_frequencies(self) -> str:
        """The frequencies that are not numbers, as a sentence without its end, or an empty text."""
        if not self.n_odd_frequencies:
            return ""
        n_odd = self.n_odd_frequencies
        rest = "frequency is not a number, and counts"
        if n_odd != 1:
            rest = "frequencies are not numbers, and count"
        return f"{n_odd:,} {rest} once"

    @property
    def remarks(self) -> list[str]:
        """All that is to be reported of the rows, as sentences without their ends."""
        texts = (self.text, self.odd_frequencies, self.reading, self.mixture)
        return [text for text in texts if text]


@dataclass(frozen=True)
class IngestReport:
    """Counts over the queries of an ingested dump.

    Attributes:
        n_queries: The number of its queries.
        encoding: The encoding of its texts.
        rows: Its rows by kind.
        n_lists: The number of rows with several queries.
        cleaned_by: The number of texts that each rule of the cleaning changed, the most frequent
            rule first. Several rules may change one text.
    """

    n_queries: int
    encoding: Encoding = UTF_8
    rows: RowCounts = field(default_factory=RowCounts)
    n_lists: int = 0
    cleaned_by: dict[str, int] = field(default_factory=dict)


def read_row_counts(queries: Path) -> RowCounts:
    """Return the counts of rows that were stored with an ingested dump."""
    metadata = pq.read_metadata(queries).metadata or {}
    left_out, dialects, reading = (
        json.loads(metadata.get(key, b"{}")) for key in (b"left_out", b"dialects", b"reading")
    )
    return RowCounts(left_out, dialects, **reading)


def digest_dump(entry: CorpusEntry) -> str:
    """Return the SHA-256 of a dump's content in hexadecimal.

    For a file, this is the digest that ``sha256sum`` prints. For a folder, it is the SHA-256 of the
    lines that ``sha256sum`` prints for its files, with names relative to the folder and sorted.

    Raises:
        CorpusError: The dump is missing, unreadable or empty, or a folder without files.
    """
    paths = list_files(entry)
    if paths == [entry.path]:
        return _digest_file(entry, entry.path)
    folder, _ = _resolve_path(entry)
    names = [path.relative_to(folder).as_posix() for path in paths]
    lines = [f"{_digest_file(entry, p)}  {n}\n" for p, n in zip(paths, names, strict=True)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def ingest_corpus(
    entry: CorpusEntry, destination: Path, limits: UnpackLimits = UNPACK_LIMITS
) -> IngestReport:
    """Write the queries of a dump to a Parquet file, either completely or not at all.

    The columns are ``ordinal`` (from 0, in the dump's order; the file is sorted by it), ``sql``
    (the text to template, empty for a row without one), ``raw_sql``, ``db_id``, ``question``,
    ``n_occurrences`` (1 if the dump has no frequencies), ``id``, ``question_ordinal`` (null) and
    ``part``. The same dump gives the same bytes.

    Args:
        entry: The corpus. Its format must be known.
        destination: The file to write.
        limits: How far a compressed file may expand.

    Raises:
        CorpusError: The dump is missing, damaged or empty, or does not match its entry.
        AlignError: The file cannot be written.
    """
    sources = list_sources(entry)
    query = _choose_query(entry, sources[0])
    reader = _choose_reader(entry, query, sources[0])
    with write_atomically(destination) as temporary:
        dump = _Dump(entry, query, reader, sources, [], temporary)
        try:
            if not dump.is_binary:
                return _read_dump(dump, limits)
            return call_in_child(_read_dump, dump, limits)
        except ChildDiedError as death:
            raise describe_death(entry, death) from None
        finally:
            for copy in temporary.parent.glob(f"{glob.escape(temporary.name)}-*"):
                copy.unlink()


def describe_death(entry: CorpusEntry, death: ChildDiedError) -> CorpusError:
    """Return the error for a dump that ended the process that read it."""
    remedy = f"it is damaged: {advise_renewal(entry)}"
    if str(death) == "SIGKILL":
        remedy = "check free memory"
    return _error(entry, f"ends the process that reads it ({death})", remedy)


def no_query_error(entry: CorpusEntry) -> CorpusError:
    """Return the error for a dump without a row."""
    return _error(entry, "contains no query", f"check path, or {advise_renewal(entry)}")


def advise_renewal(entry: CorpusEntry) -> str:
    """Return how to get a dump once more: a model's answers are not downloaded."""
    return "write the answers again" if entry.role == "predictions" else "download it again"


def _read_dump(dump: "_Dump", limits: UnpackLimits) -> IngestReport:
    """Write the queries of a dump to its temporary file. Copies stay beside that file."""
    entry, temporary = dump.entry, dump.temporary
    with _hold_sources(entry, dump.sources, temporary) as held, connected() as con:
        _stage_files(dump, held, limits)
        # Without a byte order mark, such files are also valid UTF-8.
        wide = _recode_files(dump, find_wide_encoding_of_file) if dump.is_text else None
        try:
            report = _write_readable(con, dump, wide or UTF_8)
        except CorpusError as error:
            encoding = _recode_files(dump, guess_encoding) if dump.is_text else None
            if encoding is None:
                raise
            try:
                report = _write_readable(con, dump, encoding)
            except CorpusError:
                # The encoding was not the problem: report the first error.
                raise error from None
        if report.n_lists and entry.format not in _SEPARATORS:
            n_queries, n_lists = expand_lists(temporary, entry.takes_each)
            report = replace(report, n_queries=n_queries, n_lists=n_lists)
        if entry.is_cleaned or entry.statements != "reject":
            report = _rewrite_texts(entry, report, temporary)
    return report


def text_settings(entry: CorpusEntry) -> dict[str, Any]:
    """Return the settings that decide which text of a dump becomes a query; part of a stage key."""
    if not entry.is_cleaned and entry.statements == "reject":
        return {"clean": "none", "statements": "reject"}
    return {
        "clean": entry.cleaning,
        "statements": entry.statements,
        # The dialect decides how quotes are escaped; kinds, which statement is preferred.
        "scanned_as": entry.dialect,
        "preferred": sorted(entry.kinds),
    }


@dataclass(frozen=True)
class _Dump:
    """A dump that is being read.

    Attributes:
        entry: The corpus.
        query: The SQL file of its format.
        reader: The SQL file that reads its files: ``query``, or the one of the view behind it.
        sources: Its files.
        staged: Their paths, or those of copies that DuckDB can read; copies may replace copies.
        temporary: The file to write. Copies are beside it.
    """

    entry: CorpusEntry
    query: str
    reader: str
    sources: list[Source]
    staged: list[Path]
    temporary: Path

    @property
    def is_text(self) -> bool:
        """Whether its files are text, in some encoding."""
        return self.entry.format in _SEPARATORS or "read_parquet(" not in load_sql(self.reader)

    @property
    def is_binary(self) -> bool:
        """Whether native code reads its files, which a damaged file may crash."""
        return not self.is_text or any(source.suffix in ARROW for source in self.sources)

    def place_copy(self, number: int, purpose: str) -> Path:
        """Return where a copy of a file can be written for some purpose."""
        return self.temporary.with_name(f"{self.temporary.name}-{number}-{purpose}")


class _DamagedError(CorpusError):
    """DuckDB refuses a file for its content."""


def _write_readable(
    con: duckdb.DuckDBPyConnection, dump: _Dump, encoding: Encoding
) -> IngestReport:
    """Write the queries of the staged files, or of the rows that can be read of damaged tables."""
    entry, sources, staged = dump.entry, dump.sources, dump.staged
    write = partial(_write_queries, con, dump, encoding)
    if "read_csv(" not in load_sql(dump.reader):
        if entry.format not in _SEPARATORS and "read_parquet(" in load_sql(dump.reader):
            _check_header(dump, _read_parquet_header)
        return write(",", "")
    n_lines_above = [0] * len(staged)
    for number, path in enumerate(staged):
        copy = dump.place_copy(number, "table")
        if n_lines := drop_lines_above(path, copy):
            staged[number], n_lines_above[number] = copy, n_lines
    preferred = choose_preferred(entry.format, sources[0].suffix)
    separators = [find_separator_of_file(path, preferred) for path in staged]
    name = "tabs" if separators[0] == "\t" else f"'{separators[0]}'"
    reading = [f"its values are separated by {name}"] if separators[0] != preferred else []
    try:
        if len({*separators}) > 1:
            raise _error(entry, "has files with different separators", "list each as a corpus")
        if "header = true" in load_sql(dump.reader):
            _check_header(dump, partial(read_header, separator=separators[0]))
        return write(separators[0], "".join(reading))
    except _DamagedError as error:
        if any(map(guess_encoding, staged)):
            raise
        damage = Damage()
        for number, (path, source) in enumerate(zip(staged, sources, strict=True)):
            copy = dump.place_copy(number, "repaired")
            has_header = "header = true" in load_sql(dump.reader)
            try:
                found = repair_table(
                    path,
                    copy,
                    separators[0],
                    has_header=has_header,
                    n_lines_above=n_lines_above[number],
                )
            except UnicodeDecodeError:  # binary data
                raise error from None
            except UnreadableTableError as problem:
                raise _error(
                    entry,
                    f"is damaged or not in format '{entry.format}' ({problem})",
                    f"{advise_renewal(entry)}, or check format",
                    source.path,
                ) from None
            damage += found.of_file(source.name) if len(staged) > 1 else found
            staged[number] = copy
        try:
            return write(separators[0], "; ".join(filter(None, (*reading, damage.text))))
        except _DamagedError:
            raise error from None


def _read_parquet_header(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file; none if it is damaged."""
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []


def _check_header(dump: _Dump, read: Callable[[Path], list[str]]) -> None:
    """Raise if several columns of a table have the name of one to read, given how to read them."""
    entry = dump.entry
    # The named formats read names in either case.
    spell = str if is_generic(entry.format) else str.lower
    for path, source in zip(dump.staged, dump.sources, strict=True):
        names = [spell(name) for name in read(path)]
        for name in dict.fromkeys(names):
            places = [n for n, other in enumerate(names, start=1) if other == name]
            if len(places) > 1 and _reads_column(dump, name):
                problem = f"has {len(places)} columns called '{shorten_names([name])}'"
                where = f"columns {', '.join(map(str, places))}"
                remedy = "rename or remove all but one of them"
                raise _error(entry, f"{problem} ({where})", remedy, source.path)


def _reads_column(dump: _Dump, name: str) -> bool:
    """Return whether the format, or the entry, names a column of a table."""
    if is_generic(dump.entry.format):
        return name in _get_mapping(dump.entry).values()
    words = re.sub(r"--[^\n]*", "", load_sql(dump.query)).lower()
    return bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words) is not None


def _write_queries(
    con: duckdb.DuckDBPyConnection,
    dump: _Dump,
    encoding: Encoding,
    separator: str,
    reading: str,
) -> IngestReport:
    """Write the queries of the staged files, and check that they match the entry."""
    entry, query, temporary = dump.entry, dump.query, dump.temporary
    staged = _split_files(dump) if entry.format in _SEPARATORS else dump.staged
    paths = [str(path) for path in staged]
    list_columns = partial(_list_columns, con, dump.reader, paths, separator)
    try:
        run_sql(con, "ingest/number_macros")
        parameters = _collect_parameters(entry, query, dump.sources, paths, separator)
        if view := find_view(query):
            given = _collect_parameters(entry, dump.reader, dump.sources, paths, separator)
            run_sql(con, f"ingest/{view}_macros")
            query_sql(con, dump.reader, **given).create_view(view, replace=True)
        if entry.format in _PG_LOGS:
            query_sql(con, query, **parameters).create_view("log_entries", replace=True)
            query, parameters = "ingest/pg_statements", {}
        has_frequencies = "frequency" in _get_mapping(entry)
        rows = _create_dump_view(con, query, parameters, has_frequencies)
        rows = replace(rows, separator=separator, reading=reading)
        output = {
            "destination": str(temporary),
            "encoding": encoding.name,
            "n_replaced": str(encoding.n_replaced),
            "left_out": json.dumps(rows.left_out),
            "dialects": json.dumps(rows.dialects),
            "reading": json.dumps(
                {
                    "separator": rows.separator,
                    "reading": rows.reading,
                    "n_odd_frequencies": rows.n_odd_frequencies,
                }
            ),
        }
        run_sql(con, "ingest/write_queries", **output)
        found = _count_queries(con, temporary)
        if found["n_descents"]:
            unsorted = temporary.rename(temporary.with_name(f"{temporary.name}-unsorted"))
            run_sql(con, "ingest/sort_queries", path=str(unsorted), **output)
            found = _count_queries(con, temporary)
        _check_content(entry, found, rows, list_columns)
    except duckdb.Error as error:
        # All files of the dump were opened before, so the output file must be at fault.
        if re.search("Cannot open file|Could not write", str(error)):
            reason = find_disk_reason(error) or _shorten_error(error)
            raise AlignError(f"{temporary} cannot be written ({reason}); check the disk") from None
        # DuckDB raises this if the table has none of the columns that the entry names.
        if isinstance(error, duckdb.BinderException) and not _is_nested(entry):
            _check_columns(entry, _get_mapping(entry).values(), list_columns)
        originals = dict(zip(staged, dump.sources, strict=True))
        raise _damage_error(entry, dump.reader, originals, error) from None
    return IngestReport(found["n_queries"], encoding, rows, found["n_lists"])


def _create_dump_view(
    con: duckdb.DuckDBPyConnection,
    query: str,
    parameters: dict[str, Any],
    has_frequencies: bool,
) -> RowCounts:
    """Create view dump with the queries of a format, and count the rows of the dump."""
    for view in ("dump", "all_rows"):
        con.execute(f"drop view if exists {view}")
    all_rows = query_sql(con, query, **parameters)
    all_rows.create_view("all_rows")
    if "left_out" in all_rows.columns:
        run_sql(con, "ingest/keep_queries")
    else:
        con.execute("create view dump as from all_rows")
    if not has_frequencies and not {"left_out", "dialect"} & set(all_rows.columns):
        return RowCounts()  # without a second scan
    counts = query_sql(con, "ingest/count_rows").fetchall()
    return RowCounts(
        {reason: n_rows for reason, _, n_rows, _ in counts if reason is not None},
        _count_dialects((left_out, dialect, n_rows) for left_out, dialect, n_rows, _ in counts),
        n_odd_frequencies=sum(n_odd for *_, n_odd in counts),
    )


def _count_dialects(counts: Iterable[tuple[str | None, str | None, int]]) -> dict[str, int]:
    """Return the number of queries of each dialect, the most frequent first."""
    dialects: dict[str, int] = {}
    for _, stated, n_rows in counts:
        if stated and (name := name_dialect(stated)):
            dialects[name] = dialects.get(name, 0) + n_rows
    return dict(sorted(dialects.items(), key=lambda item: (-item[1], item[0])))


def _count_queries(con: duckdb.DuckDBPyConnection, queries: Path) -> dict[str, int]:
    counts = query_sql(con, "ingest/count_queries", path=str(queries))
    return dict(zip(counts.columns, counts.fetchall()[0], strict=True))


def _collect_parameters(
    entry: CorpusEntry, query: str, sources: list[Source], paths: list[str], separator: str
) -> dict[str, Any]:
    """Return the parameters of a format's SQL file.

    ``paths`` and ``names`` list all files. Parameters such as ``jsonl_paths`` and ``sql_names``
    list the paths and the names of the files with that suffix.
    """
    columns = entry.columns.model_dump() if entry.columns else {}
    if _is_nested(entry):
        columns = {key: _to_json_path(value) for key, value in columns.items()}
    parameters: dict[str, Any] = {f"{key}_column": value for key, value in columns.items()}
    names = [one.name for one in sources]
    parameters |= {"paths": paths, "names": names, "separator": separator}
    for name in declared_parameters(query):
        suffix, _, noun = name.rpartition("_")
        if noun in ("paths", "names") and suffix:
            chosen = [n for n, one in enumerate(sources) if one.suffix == f".{suffix}"]
            if not chosen:
                problem = f"contains no .{suffix} file, which format '{entry.format}' needs"
                raise _error(entry, problem, "set path to the folder that contains all files")
            parameters[name] = [(paths if noun == "paths" else names)[n] for n in chosen]
    return {key: parameters[key] for key in declared_parameters(query)}


def _to_json_path(name: str | None) -> str | None:
    """Return the JSON path of a key, or the text itself if it is a path."""
    return name if name is None or name.startswith("$") else f'$."{name}"'


def _is_nested(entry: CorpusEntry) -> bool:
    return entry.columns is not None and entry.columns.is_nested


def _choose_query(entry: CorpusEntry, source: Source) -> str:
    """Return the SQL file that reads a dump, which may be one for this kind of file."""
    if entry.format == AUTO:
        raise ValueError("the format is 'auto'; recognize it first")
    if _is_nested(entry):
        return "ingest/nested_rows"
    special = f"{entry.format}.{_TYPES.get(source.suffix)}"
    return f"dumps/{special if special in list_sql('dumps') else entry.format}"


def _choose_reader(entry: CorpusEntry, query: str, source: Source) -> str:
    """Return the SQL file that reads the files of a dump: that of its format, or of its view."""
    view = find_view(query)
    if view is None:
        return query
    type = _TYPES.get(source.suffix) or _sniff_type(entry, source)
    # DuckDB reports a table of text that is read as JSON.
    is_readable = f"{view}_{type}" in list_sql("ingest")
    return f"ingest/{view}_{type if is_readable else 'json'}"


def _sniff_type(entry: CorpusEntry, source: Source) -> str:
    """Return the type of a file, a value of ``_TYPES``, by its first bytes."""
    try:
        with open_source(source) as file:
            start = file.read(_SNIFFED_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
    except OSError as error:
        raise _unreadable_error(entry, error, source.path) from None
    if start.startswith((b"{", b"[")):
        return "json"
    return "parquet" if start.startswith(b"PAR1") else "csv"


def find_view(query: str) -> str | None:
    """Return the view of any type of file that a SQL file of a format reads, if it reads one.

    ``log_rows`` has the rows of a table, as maps from names in lower case to texts.
    ``dump_objects`` has JSON objects.
    """
    return next((view for view in _VIEWS if f"from {view}" in load_sql(query)), None)


def _rewrite_texts(entry: CorpusEntry, report: IngestReport, temporary: Path) -> IngestReport:
    """Rewrite the file with the chosen statements of each text."""
    whole = temporary.with_name(f"{temporary.name}-whole")
    temporary.rename(whole)
    dialect = None if entry.dialect == AUTO else entry.dialect
    n_queries = 0
    rules: Counter[str] = Counter()
    left_out = Counter(report.rows.left_out)
    try:
        with pq.ParquetFile(whole) as file:
            # DuckDB's metadata records the encoding. The rows that are left out get more here.
            metadata = {**(file.metadata.metadata or {})}
            metadata.pop(b"left_out", None)
            schema = file.schema_arrow.with_metadata(metadata)
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                for batch in file.iter_batches(_ROWS_PER_BATCH):
                    taken = _take_statements(entry, batch, dialect, rules, left_out)
                    if entry.statements == "each":
                        last = n_queries + taken.num_rows
                        ordinals = pa.array(range(n_queries, last), pa.int64())
                        taken = taken.set_column(0, "ordinal", ordinals)
                    writer.write_table(taken.cast(schema))
                    n_queries += taken.num_rows
                cleaned_by = dict(sorted(rules.items(), key=lambda rule: (-rule[1], rule[0])))
                found = {"cleaned_by": cleaned_by, "left_out": left_out}
                writer.add_key_value_metadata({key: json.dumps(n) for key, n in found.items()})
    finally:
        whole.unlink()
    rows = replace(report.rows, left_out=dict(left_out))
    return replace(report, n_queries=n_queries, rows=rows, cleaned_by=cleaned_by)


def _take_statements(
    entry: CorpusEntry,
    batch: pa.RecordBatch,
    dialect: str | None,
    rules: Counter[str],
    left_out: Counter[str],
) -> pa.Table:
    """Return a batch with the chosen statements.

    Counts the rules that cleaned its texts, and the statements that are left out of scripts.
    """
    block: Block = "first" if entry.cleaning == "first" else "last"
    rows: list[int] = []
    taken: list[str] = []
    raw: list[str | None] = []
    texts, raw_texts = batch.column("sql").to_pylist(), batch.column("raw_sql").to_pylist()
    for row, (text, raw_text) in enumerate(zip(texts, raw_texts, strict=True)):
        if entry.is_cleaned:
            text, found = explain_cleaning(
                text, dialect, takes_first=entry.statements == "reject", block=block
            )
            rules.update(found)
        if entry.statements == "each":
            statements, n_settings = list_statements(text, dialect)
            if n_settings:
                left_out[_SETTINGS] += n_settings
        else:
            statements = choose_statements(text, entry.statements, entry.kinds, dialect)
        rows += [row] * len(statements)
        taken += statements
        # If a script is split, each row has its own statement as its raw text.
        raw += statements if len(statements) > 1 else [raw_text]
    table = pa.Table.from_batches([batch]).take(pa.array(rows, pa.int64()))
    table = table.set_column(
        table.schema.get_field_index("sql"), "sql", pa.array(taken, pa.string())
    )
    return table.set_column(
        table.schema.get_field_index("raw_sql"), "raw_sql", pa.array(raw, pa.string())
    )


def _get_mapping(entry: CorpusEntry) -> dict[str, str]:
    """Return the columns that an entry names, by role."""
    return entry.columns.mapping if entry.columns else {}


def _resolve_path(entry: CorpusEntry) -> tuple[Path, tuple[str, ...]]:
    """Return a dump's file or folder, and the patterns of the files to read there.

    A path that does not exist and contains wildcards is a pattern below the folder before them.
    """
    if entry.glob is not None:
        more = _FOLDER_FORMATS.get(entry.format, ())[1:]
        return entry.path, (entry.glob, *more)
    if not entry.path.exists() and (found := re.search(r"[*?\[]", str(entry.path))):
        folder = Path(str(entry.path)[: found.start()] + "x").parent
        return folder, (entry.path.relative_to(folder).as_posix(),)
    if entry.format == "dbt" and (inner := find_compiled(entry.path)):
        return entry.path, (f"{inner}/**/*.sql",)
    return entry.path, () if entry.path.is_file() else _FOLDER_FORMATS.get(entry.format, ())


def find_compiled(folder: Path) -> str | None:
    """Return where the compiled files are in a dbt project or its target folder, if it is one.

    Beside them are the same models in Jinja and, in ``run/``, once more inside of their DDL.
    """
    return next((one for one in ("compiled", "target/compiled") if (folder / one).is_dir()), None)


def find_bounds(entry: CorpusEntry) -> tuple[Path, ...]:
    """Return the folders that the files of a dump must be in; empty for a file named by a user.

    These are the entry's, or the dump's own folder. In the cache of a data hub, whose files are
    links, it is the folder of the whole data set.

    Raises:
        CorpusError: The dump is outside of the entry's folders.
    """
    if entry.within:
        try:
            folder, _ = _resolve_path(entry)
            check_inside(os.path.realpath(folder), entry.within, entry.path)
        except OSError as error:
            raise _unreadable_error(entry, error, entry.path) from None
        except ValueError:
            raise _error(entry, "is not a valid path", "check path") from None
        return entry.within
    folder, _ = _resolve_path(entry)
    if not folder.is_dir():
        return ()
    own = Path(os.path.realpath(folder))
    for parent in own.parents:
        if parent.name == _HUB_SNAPSHOTS and (parent.parent / _HUB_FILES).is_dir():
            return (parent.parent,)
    return (own,)


def list_files(entry: CorpusEntry) -> list[Path]:
    """Return the files of a dump, sorted by name: its path, the matches of its glob, or its shards.

    Raises:
        CorpusError: The dump has no files, it is not clear which to read, or one of them is not a
            regular file or outside of where the dump must be.
    """
    path: Path | None = None
    try:
        within = find_bounds(entry)
        folder, patterns = _resolve_path(entry)
        folder.stat()
        if folder.is_file() and (not patterns or is_archive(folder)):
            paths = [folder]
        elif patterns and not folder.is_dir():
            remedy = "set path to the folder that contains the files"
            raise _error(entry, "is not a folder", remedy)
        elif patterns:
            found = {p: None for pattern in patterns for p in find_files(folder, pattern, within)}
            paths = list(found)
            if not paths and entry.glob is None and folder != entry.path:
                raise _error(entry, "does not exist", "check path, or download the dump")
            if not paths:
                problem = f"contains no file that matches '{patterns[0]}'"
                raise _error(entry, problem, "check path and glob")
        else:
            paths = _list_shards(entry) if folder.is_dir() else [folder]
        for path in paths:
            check_file(path, within)
        if not any(path.stat().st_size for path in paths):
            raise _error(entry, "is empty", f"check path, or {advise_renewal(entry)}")
    except ValueError:
        raise _error(entry, "is not a valid path", "check path") from None
    except OSError as error:
        raise _unreadable_error(entry, error, path or error.filename or entry.path) from None
    return sorted(paths, key=lambda path: path.relative_to(folder).as_posix())


def _list_shards(entry: CorpusEntry) -> list[Path]:
    """Return the data files of a folder, which must be of one kind and one split."""
    by_kind: dict[str, list[Path]] = {}
    for path in entry.path.iterdir():
        if _is_shard(entry, Source(path)) and not path.is_dir():
            by_kind.setdefault(Source(path).suffix, []).append(path)
    if entry.format == AUTO:
        # SQL files may belong to Spider 2's rows: their format is to be recognized first.
        by_kind.pop(".sql", None)
    kinds = [kind for kind in (*DATA_SUFFIXES, ".sql") if kind in by_kind]
    if not kinds:
        folders = sorted(p.name for p in entry.path.iterdir() if p.is_dir())
        remedy = "set path to a file, or add a glob"
        if folders:
            names = shorten_names(folders)
            remedy = f"set path to a file or one of its folders ({names}), or add a glob"
        raise _error(entry, "is a folder", remedy)
    if len(kinds) > 1:
        found = ", ".join(f"*{kind}" for kind in kinds)
        problem = f"contains several kinds of files ({found})"
        raise _error(entry, problem, f"choose one kind with a glob, such as '*{kinds[0]}'")
    _check_splits(entry, [path.name for path in by_kind[kinds[0]]])
    return by_kind[kinds[0]]


def _is_shard(entry: CorpusEntry, source: Source) -> bool:
    """Return whether a file in a folder or an archive may hold rows, by its name."""
    if source.name in _DESCRIPTIONS or SCHEMAS.fullmatch(source.name.partition(".")[0]):
        return False
    is_script = source.suffix == ".sql" and entry.format in _LINE_FORMATS
    return is_script or source.suffix in DATA_SUFFIXES


def _check_splits(entry: CorpusEntry, names: list[str], path: Path | None = None) -> None:
    """Raise if the names of files are those of different splits of a data set."""
    patterns: dict[str, str] = {}
    without: list[str] = []
    for name in sorted(names):
        words = list(_SPLIT.finditer(name))
        if not words:
            without.append(name)
            continue
        # In train-0-of-2-test.json, the first word is the split; in boats_test.json, the last one.
        word = words[0] if words[0].start() == 0 else words[-1]
        split = re.sub(r"[-_ ]", "", word[1]).lower()
        pattern = f"{word[0]}*" if word.start() == 0 else f"*{word[0]}*"
        patterns.setdefault(split, pattern)
    if not patterns or len(patterns) + bool(without) == 1:
        return
    splits = [*sorted(patterns), *([f"{without[0]} without one"] if without else [])]
    problem = f"contains several splits ({', '.join(splits)})"
    remedy = f"choose one split with a glob, such as '{patterns[min(patterns)]}'"
    raise _error(entry, problem, remedy, path)


def list_sources(entry: CorpusEntry) -> list[Source]:
    """Return the files of a dump, with the members of archives as files of their own.

    Raises:
        CorpusError: The dump has no files, or an archive is damaged or names files outside of
            itself.
    """
    sources: list[Source] = []
    for path in list_files(entry):
        if not is_archive(path):
            _refuse_workbook(entry, path)
            sources.append(Source(path))
            continue
        patterns = [entry.glob] if entry.glob else [*_FOLDER_FORMATS.get(entry.format, (None,))]
        try:
            members = sorted({m for pattern in patterns for m in list_members(path, pattern)})
        except OSError as error:
            raise _unreadable_error(entry, error, path) from None
        if entry.glob is None and entry.format not in _FOLDER_FORMATS:
            members = [m for m in members if _is_shard(entry, Source(path, m))] or members
        kinds = {Source(path, member).suffix for member in members}
        if entry.glob is None and kinds & YAML and not kinds & {*DATA_SUFFIXES, ".sql"}:
            # Exports hold a log or a description, too.
            members = [member for member in members if Source(path, member).suffix in YAML]
            kinds &= YAML
        if not members:
            raise _error(entry, "contains no file to read", "check the archive and glob", path)
        if entry.format not in _FOLDER_FORMATS and len(kinds) > 1:
            names = shorten_names([PurePosixPath(member).name for member in members])
            problem = f"contains several kinds of files ({names})"
            raise _error(entry, problem, "choose one kind with a glob", path)
        if entry.glob is None and entry.format not in _FOLDER_FORMATS and not kinds & YAML:
            _check_splits(entry, [PurePosixPath(member).name for member in members], path)
        sources += [Source(path, member) for member in members]
    return sources


def _refuse_workbook(entry: CorpusEntry, path: Path) -> None:
    """Raise if a file is a workbook; texts often have its suffix, too."""
    if path.suffix.lower() not in _WORKBOOKS:
        return
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise _unreadable_error(entry, error, path) from None
    if start.startswith(_WORKBOOK_STARTS):
        raise _error(entry, "is an Excel workbook", "save its sheet as CSV", path)


def _digest_file(entry: CorpusEntry, path: Path) -> str:
    try:
        return digest_file(path)
    except OSError as error:
        raise _unreadable_error(entry, error, path) from None


def _stage_files(dump: _Dump, held: dict[Path, Path], limits: UnpackLimits) -> None:
    """Provide the opened files of a dump in forms that DuckDB reads."""
    sources = [replace(source, path=held[source.path]) for source in dump.sources]
    try:
        for path in stage_files(sources, dump.temporary, limits):
            dump.staged.append(path)
    except OSError as error:
        raise _unreadable_error(dump.entry, error, dump.sources[len(dump.staged)].path) from None


@contextmanager
def _hold_sources(
    entry: CorpusEntry, sources: list[Source], temporary: Path
) -> Iterator[dict[Path, Path]]:
    """Open the files of a dump, so that the checked files are read; see ``hold_files``."""
    prefix = temporary.with_name(f"{temporary.name}-held")
    try:
        opened = ExitStack()
        held = opened.enter_context(
            hold_files((source.path for source in sources), find_bounds(entry), prefix)
        )
    except OSError as error:
        raise _unreadable_error(entry, error, entry.path) from None
    with opened:
        yield held


def _recode_files(dump: _Dump, guess: Callable[[Path], str | None]) -> Encoding | None:
    """Replace texts in other encodings by copies in UTF-8, and return their encoding, if any."""
    found: Encoding | None = None
    for number, path in enumerate(dump.staged):
        name = guess(path)
        if name is None:
            continue
        copy = dump.place_copy(number, "utf8")
        encoding = convert_to_utf8(path, copy, name)
        n_replaced = encoding.n_replaced + (found.n_replaced if found else 0)
        found = Encoding(encoding.name, n_replaced)
        dump.staged[number] = copy
    return found


def _split_files(dump: _Dump) -> list[Path]:
    """Copy texts as Parquet files with a row for each piece, and return the copies."""
    entry, copies = dump.entry, []
    for number, (path, source) in enumerate(zip(dump.staged, dump.sources, strict=True)):
        copy = dump.place_copy(number, "pieces")
        try:
            write_pieces(path, copy, _SEPARATORS[entry.format])
        except UnicodeDecodeError:
            raise _not_text_error(entry, source, find_invalid_utf8(path) or 0) from None
        except OSError as error:
            raise _unreadable_error(entry, error, source.path) from None
        copies.append(copy)
    return copies


def _check_content(
    entry: CorpusEntry,
    found: dict[str, int],
    rows: RowCounts,
    list_columns: Callable[[], list[str]],
) -> None:
    """Raise if a dump was read without an error but does not match its entry."""
    if found["n_queries"] == 0 and set(rows.left_out) == {"without a text"}:
        raise _no_texts_error(entry, list_columns())
    if found["n_queries"] == 0:
        if rows.text:
            remedy = "check the dump, or name its columns in one of the formats for any rows"
            raise _error(entry, f"contains no query: {rows.text}", remedy)
        raise no_query_error(entry)
    if found["n_repeats"]:
        remedy = "list each of its files as a separate corpus"
        raise _error(entry, "uses some query numbers twice", remedy)
    n_values = {
        "sql": "n_raw_sql",
        "question": "n_questions",
        "db_id": "n_db_ids",
        "frequency": "n_frequencies",
        "id": "n_ids",
        "part": "n_parts",
    }
    empty = [column for key, column in _get_mapping(entry).items() if found[n_values[key]] == 0]
    _check_columns(entry, empty, list_columns)
    if found["n_raw_sql"] == 0:
        raise _no_texts_error(entry, list_columns())


def _no_texts_error(entry: CorpusEntry, columns: list[str]) -> CorpusError:
    problem = f"has no queries where format '{entry.format}' stores them"
    return _error(entry, f"{problem} (it has {shorten_names(columns)})", "check format")


def _check_columns(
    entry: CorpusEntry, columns: Iterable[str], list_columns: Callable[[], list[str]]
) -> None:
    """Raise if a dump lacks one of these columns."""
    for column in columns:
        if column.startswith("$") or column not in list_columns():
            lacks = "nothing at" if column.startswith("$") else "no column"
            problem = f"has {lacks} '{column}' (it has {shorten_names(list_columns())})"
            raise _error(entry, problem, "check columns")


def _list_columns(
    con: duckdb.DuckDBPyConnection, query: str, paths: list[str], separator: str
) -> list[str]:
    """Return the columns of a table or the keys of JSON objects; a plain text lacks them."""
    readers = {"read_csv(": "csv_columns", "read_parquet(": "parquet_columns"}
    text = load_sql(query)
    if "read_text(" in text or "piece" in text:
        return []
    name = next((name for call, name in readers.items() if call in text), "json_columns")
    table = {"separator": separator} if name == "csv_columns" else {}
    columns = query_sql(con, f"ingest/{name}", paths=paths, **table)
    return [column for (column,) in columns.fetchall()]


def shorten_names(
    names: list[str],
    max_name_length: int = _MAX_NAME_SHOWN,
    max_length: int = _MAX_NAMES_LENGTH,
) -> str:
    """List the first names for a message; long names, which may be whole texts, are cut."""
    more = ["..."] if len(names) > _MAX_COLUMNS_SHOWN else []
    short = [n if len(n) <= max_name_length else f"{n[:max_name_length]}..." for n in names]
    listed = ", ".join(short[:_MAX_COLUMNS_SHOWN] + more) or "nothing"
    return textwrap.shorten(listed, max_length, placeholder=" ...")


def _damage_error(
    entry: CorpusEntry, query: str, originals: dict[Path, Source], error: duckdb.Error
) -> CorpusError:
    if isinstance(error, duckdb.OutOfMemoryException):
        return _error(entry, "does not fit in memory", f"raise {MEMORY_LIMIT_VARIABLE}")
    if "read_parquet(" not in load_sql(query):
        for staged, source in originals.items():
            if (offset := find_invalid_utf8(staged)) is not None:
                return _not_text_error(entry, source, offset)
    text = str(error)
    for staged, original in originals.items():
        if str(staged) in text:
            text = correct_place(text, staged).replace(str(staged), original.name)
    message = _shorten_error(text)
    if "maximum_object_size" in message:
        return _error(entry, "has a row of more than 32 MB", "remove it, or check format")
    if re.search("has duplicate key|keys must be unique", message):
        problem = f"has an object with a duplicate key ({message})"
        return _error(entry, problem, "correct or remove that object")
    return _DamagedError(
        entry.name,
        entry.url or entry.path,
        f"is damaged or not in format '{entry.format}' ({message})",
        f"{advise_renewal(entry)}, or check format",
    )


def _not_text_error(entry: CorpusEntry, source: Source, offset: int) -> CorpusError:
    problem = f"is not text (invalid UTF-8 at byte {offset})"
    return _error(entry, problem, "check path and format", source.path)


def _shorten_error(error: duckdb.Error | str) -> str:
    """Return the first line of a DuckDB error, without its kind."""
    line = str(error).splitlines()[0]
    message = re.sub(r"^[\w ]+ Error: ", "", line)
    return textwrap.shorten(message, _MAX_MESSAGE_LENGTH, placeholder=" ...")


def _unreadable_error(entry: CorpusEntry, error: OSError, path: Path | str) -> AlignError:
    if reason := find_disk_reason(error, only_if_full=True):
        return full_disk_error(reason)  # a copy of the dump could not be written
    path = Path(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR) and path == entry.path:
        return _error(entry, "does not exist", "check path, or download the dump")
    if isinstance(error, OutsideError):
        return outside_error(entry, error)
    problem = f"cannot be read ({error.strerror or error})"
    return _error(entry, problem, "check that it is complete and that you may read it", path)


def outside_error(entry: CorpusEntry, error: OutsideError) -> CorpusError:
    """Return the error of a dump whose path, or a link in it, leads out of its folders."""
    remedy = "copy it there, or allow where it leads: key within, or nightly --allow"
    return _error(entry, str(error.strerror), remedy, Path(error.filename))


def _error(entry: CorpusEntry, problem: str, remedy: str, path: Path | None = None) -> CorpusError:
    return CorpusError(entry.name, entry.url or path or entry.path, problem, remedy)
