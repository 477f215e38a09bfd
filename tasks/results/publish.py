"""Publishing: write all results to a new DuckDB file, then rename it over the old one."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import DatabaseInUseError, WarehouseError
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.ingest.questions import recall_questions
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.results.backup import read_backed_up_tables, read_backup, write_backup
from nl2sql_align.tasks.results.database import (
    NO_LOG,
    PUBLISH_VERSION,
    SMALL_BLOCKS,
    attach_results,
    create_view,
    describe_foreign,
    detach_results,
    is_locked,
    open_database,
    quote_name,
)
from nl2sql_align.tasks.results.options import DRIFT_THRESHOLD
from nl2sql_align.tasks.results.packed_queries import find_packed, pack_queries
from nl2sql_align.tasks.templates.fingerprints import FINGERPRINT
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import PublicNames, fetch_missing, public_names
from nl2sql_align.tasks.warehouse.part_files import list_parts, remove_unused

if TYPE_CHECKING:
    from nl2sql_align.tasks.measures.intervals import IntervalsReport

KNOWN_SHARE: Final = 0.8
"""A database that already has this share of the queries is changed; otherwise a new one is made."""

# Files of this version open in DuckDB 1.4 and newer.
_STORAGE_VERSION: Final = "v1.4.0"
# DuckDB holds written blocks up to its memory limit; the rest is for other libraries.
_DATABASE_MEMORY_SHARE: Final = 5 / 8
# More would only keep more written blocks, and temporary tables that can go to disk.
_MOST_DATABASE_BYTES: Final = 1 << 29
# N-grams of pairs that are published at a time. Each takes some 3 kB of memory.
_CONTRIBUTIONS_AT_A_TIME: Final = 50_000


@dataclass(frozen=True)
class RunRecord:
    """A row of table ``runs``."""

    run_id: str
    started_at: datetime
    parameters: dict[str, Any]
    versions: dict[str, str]
    set_aside: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    drift_threshold: float = DRIFT_THRESHOLD


_GIVEN_CORPORA: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("corpus", pa.string()),
        ("role", pa.string()),
        ("format", pa.string()),
        ("dialect", pa.string()),
        ("path", pa.string()),
        ("digest", pa.string()),
        ("license", pa.string()),
        ("model", pa.string()),
        ("trained_on", pa.string()),
        ("target", pa.string()),
        ("content_key", pa.string()),
        ("queries_file", pa.string()),
        ("templates_file", pa.string()),
        ("public_templates_file", pa.string()),
        ("ngrams_file", pa.string()),
        ("public_queries_file", pa.string()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
        ("cleaning", pa.string()),
        ("retired_at", pa.timestamp("us", tz="UTC")),
        ("has_sql", pa.bool_()),
        ("keeps_sql", pa.bool_()),
        ("n_questions", pa.int64()),
        ("n_distinct_queries", pa.int64()),
    ]
)
# Columns that say nothing more about the results: times, paths on this machine, and what follows
# from contents.
_NOT_RESULTS: Final = [
    *("ingested_at", "retired_at", "queries_file", "templates_file"),
    *("n_questions", "n_distinct_queries"),
]
_AS_WRITTEN: Final = pa.schema([("corpus", pa.string()), ("content_key", pa.string())])
_DOUBTS: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("train", "target", "predictions")),
        ("doubts", pa.list_(pa.string())),
    ]
)
_PAIRED: Final = pa.schema([("corpus", pa.string()), ("target", pa.string())])
_COMPARED: Final = pa.schema(
    [("corpus", pa.string()), ("compared_with", pa.string()), ("content_key", pa.string())]
)


def fill_database(
    warehouse: Warehouse,
    corpora: list[CountedCorpus],
    versions: Mapping[str, str],
    known_share: float = KNOWN_SHARE,
    *,
    has_comments: bool = True,
) -> Path | None:
    """Fill the tables on single corpora of a new database, while the pairs are still measured.

    Args:
        warehouse: The warehouse, locked.
        corpora: In the order of the corpora file.
        versions: The versions of the run's record.
        known_share: As for ``publish``.
        has_comments: Whether the tables and their columns get comments, for people who read them.

    Returns:
        A file for ``publish`` to complete. None if ``publish`` will change a copy of the old
        database instead.
    """
    old, names = _read_old_database(warehouse), _name_files(warehouse, corpora)
    if _is_mostly_known(corpora, names, old, versions, known_share):
        return None
    return _fill_new_database(warehouse, corpora, names, old, has_comments=has_comments)


def publish(
    warehouse: Warehouse,
    corpora: list[CountedCorpus],
    pairs: Path,
    contributions: Path,
    record: RunRecord,
    intervals: "IntervalsReport | None" = None,
    pairs_as_written: Path | None = None,
    filled: Path | None = None,
    slices: Path | None = None,
    known_share: float = KNOWN_SHARE,
) -> None:
    """Replace the published database with one that holds the results of this run.

    Readers that have the old file open keep it. The files of queries and n-grams that it names are
    removed by the run after this one.

    Args:
        warehouse: The warehouse, locked.
        corpora: In the order of the corpora file.
        pairs: The measures of all pairs of contents.
        contributions: The n-grams behind them.
        record: The row of this run in table ``runs``; earlier rows are carried over.
        intervals: Intervals, verdicts and ceilings; without them, their columns and tables are
            empty.
        pairs_as_written: The measures of predictions without cleaning, and their targets; required
            if some corpora have a part ``as_written``.
        filled: The result of ``fill_database``; without it, a new database is filled here.
        slices: The measures of the slices of targets; None if no target has slices.
        known_share: Change a copy of the old database if it has at least this share of the queries.

    Raises:
        DatabaseInUseError: Another process has the database open for writing.
    """
    old = _read_old_database(warehouse)
    names = _name_files(warehouse, corpora)
    described = _describe_corpora(corpora, warehouse, names)
    results_key = stage_key(
        corpora=described.drop_columns(_NOT_RESULTS).to_pylist(),
        retired_at=[str(corpus.entry.retired_at) for corpus in corpora],
        measures=[
            *(pairs.name, contributions.name, intervals and intervals.ratios.name),
            slices and slices.name,
        ],
        as_written={row["corpus"]: row["content_key"] for row in _list_as_written(corpora)},
        compared=_list_compared(corpora),
        styles={one.entry.name: one.entry.style for one in corpora if one.entry.style},
        versions=record.versions,
    )
    is_same = results_key == old.results_key
    is_copy = is_same or _is_mostly_known(corpora, names, old, record.versions, known_share)
    if old.warning is not None:
        announce("publish", old.warning)
    if old.versions is not None and old.versions.get("publish") != record.versions.get("publish"):
        announce(
            "publish", "rebuilding the results of another version; its history is carried over"
        )
    with (
        write_atomically(warehouse.backup_file) as backup,
        write_atomically(warehouse.database) as temporary,
    ):
        if is_copy:
            shutil.copyfile(warehouse.database, temporary)
        else:
            if filled is None or not filled.exists():  # a failed attempt has used it
                filled = _fill_new_database(warehouse, corpora, names, old)
            filled.replace(temporary)
        with _open_for_writing(temporary, names) as con:
            if not is_same:
                con.register("given_corpora", described)
                if is_copy:
                    _insert_corpora(con, corpora, warehouse, names, is_copy=True)
                _insert_pairs(
                    con, corpora, warehouse, pairs, contributions, intervals, pairs_as_written
                )
                if slices is not None:
                    _insert_slices(con, slices)
                con.unregister("given_corpora")
            _insert_run(con, record, results_key, corpora)
            write_backup(con, backup)
            detach_results(con)
        warehouse.record_next_database(temporary)
    _remove_unused_files(warehouse, corpora, old)


def _remove_unused_files(
    warehouse: Warehouse, corpora: list[CountedCorpus], old: "_OldDatabase"
) -> None:
    """Remove the public files that neither the new database nor the one before it names.

    If a corpus does not keep its SQL, texts that only the old database names are removed, too: they
    may be texts of that corpus.
    """
    old_counts = {warehouse.ngrams / Path(file).name for file in old.n_queries_by_file}
    remove_unused(warehouse.ngrams, old_counts | {corpus.ngrams for corpus in corpora})
    used = {find_packed(corpus, warehouse) for corpus in corpora}
    if _keep_sql(corpora):
        used |= {warehouse.packed_queries / Path(file).name for file in old.queries_files}
    remove_unused(warehouse.packed_queries, used)


def _fill_new_database(
    warehouse: Warehouse,
    corpora: list[CountedCorpus],
    names: PublicNames,
    old: "_OldDatabase",
    *,
    has_comments: bool = True,
) -> Path:
    warehouse.scratch.mkdir(parents=True, exist_ok=True)
    filled = warehouse.scratch / f"{uuid4().hex}.duckdb"
    with _open_for_writing(filled, names, f", {SMALL_BLOCKS}") as con:
        _create_tables(con, old.backed_up, has_comments=has_comments)
        con.execute("create temp table known_answer_errors as from answer_errors")
        con.register("given_corpora", _describe_corpora(corpora, warehouse, names))
        _insert_corpora(con, corpora, warehouse, names, is_copy=False)
        con.unregister("given_corpora")
        detach_results(con)
    return filled


@contextmanager
def _open_for_writing(
    database: Path, names: PublicNames, options: str = ""
) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(memory_share=_DATABASE_MEMORY_SHARE, most_bytes=_MOST_DATABASE_BYTES) as con:
        attach_results(con, database, f"storage_version '{_STORAGE_VERSION}', {NO_LOG}{options}")
        names.files.register_with(con)
        yield con


def _create_tables(
    con: duckdb.DuckDBPyConnection, backed_up: Mapping[str, pa.Table], *, has_comments: bool
) -> None:
    """Create the public tables, and fill those that runs carry over.

    Another version's rows are inserted by column name. A table that needs a column that they lack
    stays empty, with a message.
    """
    con.begin()  # one commit for hundreds of small statements
    run_sql(con, "results/publish/tables")
    if has_comments:
        run_sql(con, "results/publish/comments")
    con.commit()
    for table, rows in backed_up.items():
        columns = [name for name in con.table(table).columns if name in rows.column_names]
        con.register("old_rows", rows.select(columns))
        try:
            con.execute(f"insert into {quote_name(table)} by name from old_rows")
        except (duckdb.ConstraintException, duckdb.ConversionException):
            announce("publish", f"dropping table {table} of an earlier version: its columns differ")
        con.unregister("old_rows")


def _insert_corpora(
    con: duckdb.DuckDBPyConnection,
    corpora: list[CountedCorpus],
    warehouse: Warehouse,
    names: PublicNames,
    *,
    is_copy: bool,
) -> None:
    """Fill the tables on single corpora, or change them in a copy of the old database."""
    has_outdated = is_copy and _delete_outdated(con)
    counts = [names.of(file) for corpus in corpora for file in list_parts(corpus.ngrams)]
    packed = [find_packed(corpus, warehouse) for corpus in corpora]
    queries = [names.of(file) for place in packed for file in list_parts(place)]
    create_view(con, "ngram_counts", counts)
    create_view(con, "queries", queries)
    run_sql(con, "results/publish/view_comments")
    if has_outdated:
        _delete_unused_templates(con, corpora)
    known = {name for (name,) in con.execute("select corpus from known_corpora").fetchall()}
    new = [corpus for corpus in corpora if corpus.entry.name not in known]
    new_names = [corpus.entry.name for corpus in new]
    if new:
        templates = sorted({corpus.templates for corpus in new})
        fetch_missing(templates)
        run_sql(con, "results/publish/templates", templates_files=[*map(str, templates)])
    # There must be files to read; if no corpus is new, or has no SQL, their rows are ignored.
    smallest = min(corpora, key=lambda one: one.queries.stat().st_size)
    counts_read = [corpus.ngrams for corpus in new] or [smallest.ngrams]
    hidden = [one.queries for one in new if not one.has_sql] or [(new or [smallest])[0].queries]
    fetch_missing([*counts_read, *hidden, *_list_packed(new, new_names, warehouse)])
    run_sql(
        con,
        "results/publish/corpora",
        new_corpora=new_names,
        ngram_files=[*map(str, counts_read)],
        queries_files=sorted({str(corpus.queries) for corpus in corpora}),
        hidden_files=sorted({*map(str, hidden)}),
    )
    _insert_structures(con, corpora, new_names, warehouse)


def _list_packed(
    corpora: list[CountedCorpus], names: Iterable[str], warehouse: Warehouse
) -> list[Path]:
    """Return the files of the view ``queries`` for corpora by their names."""
    wanted = set(names)
    return [find_packed(one, warehouse) for one in corpora if one.entry.name in wanted]


def _delete_outdated(con: duckdb.DuckDBPyConnection) -> bool:
    """Delete the rows of an earlier run that are out of date.

    Returns:
        Whether a content of that run is gone.
    """
    count = "select count(*) from {}"
    [(n_before,)] = con.execute(count.format("corpora")).fetchall()
    run_sql(con, "results/publish/delete_outdated")
    con.execute("checkpoint results")  # frees their space for new rows
    [(n_known,)] = con.execute(count.format("known_corpora")).fetchall()
    return bool(n_known < n_before)


def _delete_unused_templates(con: duckdb.DuckDBPyConnection, corpora: list[CountedCorpus]) -> None:
    templates = sorted({corpus.templates for corpus in corpora})
    fetch_missing(templates)
    run_sql(con, "results/publish/delete_unused_templates", templates_files=[*map(str, templates)])


def _list_doubts(con: duckdb.DuckDBPyConnection, pairs: Path) -> pa.Table:
    from nl2sql_align.tasks.measures.doubts import list_doubts

    facts = query_sql(con, "results/publish/doubt_facts", pairs=str(pairs)).to_arrow_table()
    found = [
        {**row, "doubts": doubts}
        for batch in facts.to_batches()
        for row in batch.to_pylist()
        if (doubts := list_doubts(row))
    ]
    return pa.Table.from_pylist(found, schema=_DOUBTS)


def _insert_pairs(
    con: duckdb.DuckDBPyConnection,
    corpora: list[CountedCorpus],
    warehouse: Warehouse,
    pairs: Path,
    contributions: Path,
    intervals: "IntervalsReport | None",
    pairs_as_written: Path | None,
) -> None:
    """Fill the tables on pairs of corpora and on ratios."""
    measured = [pairs, contributions, *([] if pairs_as_written is None else [pairs_as_written])]
    if intervals is not None:
        measured += [intervals.intervals, intervals.ratios, intervals.reaches, intervals.ceilings]
    fetch_missing(measured)
    as_written = pa.Table.from_pylist(_list_as_written(corpora), schema=_AS_WRITTEN)
    con.register("given_as_written", as_written)
    compared = pa.Table.from_pylist(_list_compared(corpora), schema=_COMPARED)
    con.register("given_compared", compared)
    run_sql(
        con,
        "results/publish/alignment_ratio",
        pairs=str(pairs),
        pairs_as_written=str(pairs_as_written or pairs),
    )
    con.unregister("given_as_written")
    con.register("given_doubts", _list_doubts(con, pairs))
    run_sql(con, "results/publish/alignment", pairs=str(pairs))
    run_sql(con, "results/publish/ratio_doubts")
    con.unregister("given_doubts")
    if intervals is not None:
        from nl2sql_align.tasks.measures.ratio_verdicts import judge_ratios

        shares = dict(query_sql(con, "results/publish/right_shares").fetchall())
        verdicts = judge_ratios(corpora, pairs, intervals, shares)
        con.register("given_verdicts", verdicts.to_arrow())
        run_sql(
            con,
            "results/publish/intervals",
            intervals=str(intervals.intervals),
            ratios=str(intervals.ratios),
            reaches=str(intervals.reaches),
            ceilings=str(intervals.ceilings),
        )
        con.unregister("given_verdicts")
    run_sql(con, "results/publish/tuning_effect", pairs=str(pairs))
    con.unregister("given_compared")
    run_sql(con, "results/publish/named_contributions", contributions=str(contributions))
    _insert_contributions(con, corpora, warehouse)


def _insert_contributions(
    con: duckdb.DuckDBPyConnection, corpora: list[CountedCorpus], warehouse: Warehouse
) -> None:
    """Fill the table on the n-grams behind divergences, for a range of sources at a time."""
    ranges = query_sql(con, "results/publish/contribution_ranges", n_rows=_CONTRIBUTIONS_AT_A_TIME)
    con.begin()  # each commit would write the last rows again
    for first, last, sides in ranges.fetchall():
        files = [corpus.ngrams for corpus in corpora if corpus.entry.name in sides]
        packed = _list_packed(corpora, sides, warehouse)
        fetch_missing([*files, *packed])
        run_sql(
            con,
            "results/publish/ngram_contributions",
            ngram_files=[*map(str, files)],
            queries_files=[*map(str, packed)],
            first=first,
            last=last,
        )
    con.commit()


def _insert_slices(con: duckdb.DuckDBPyConnection, slices: Path) -> None:
    """Fill the table on the slices of targets."""
    from nl2sql_align.tasks.measures.doubts import list_slice_doubts

    fetch_missing([slices])
    measures = pq.read_table(slices)
    doubts = [list_slice_doubts(row) for row in measures.to_pylist()]
    con.register(
        "given_slices", measures.append_column("doubts", pa.array(doubts, pa.list_(pa.string())))
    )
    run_sql(con, "results/publish/alignment_by_slice")
    con.unregister("given_slices")


def _insert_structures(
    con: duckdb.DuckDBPyConnection,
    corpora: list[CountedCorpus],
    new_names: list[str],
    warehouse: Warehouse,
) -> None:
    """Count the structures of new corpora.

    Compare the answers whose questions are known with the queries of their questions.
    """
    of_name = {one.entry.name: one for one in corpora}
    paired = [
        (one.entry.name, target.entry.name)
        for one in corpora
        if (target := of_name.get(one.entry.target or "")) is not None
        and one.answers_questions_of(one.answered or target)
    ]
    known = set(con.execute("select predictions, target from known_answer_errors").fetchall())
    new = [pair for pair in paired if pair not in known]
    compared = sorted({*chain(*new)})
    fetch_missing(_list_packed(corpora, compared, warehouse))
    run_sql(con, "results/publish/template_features", corpora=[*{*new_names, *compared}])
    run_sql(con, "results/publish/structural_features", new_corpora=new_names)
    if paired:
        con.register("given_paired", _table_of_pairs(new))
        con.register("known_pairs", _table_of_pairs(pair for pair in paired if pair in known))
        run_sql(con, "results/publish/answer_errors", compared=compared)
        con.unregister("given_paired")
        con.unregister("known_pairs")


def _table_of_pairs(pairs: Iterable[tuple[str, str]]) -> pa.Table:
    rows = [dict(zip(_PAIRED.names, pair, strict=True)) for pair in pairs]
    return pa.Table.from_pylist(rows, schema=_PAIRED)


def _insert_run(
    con: duckdb.DuckDBPyConnection,
    record: RunRecord,
    results_key: str,
    corpora: list[CountedCorpus],
) -> None:
    """Add the run and its findings to the history.

    Replace its rows if it has published before, and started again because a file was lost.
    """
    for table in ("runs", "alignment_history", "alignment_ratio_history"):
        con.execute(f"delete from {table} where run_id = ?", [record.run_id])
    con.execute(
        "insert into runs values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            record.run_id,
            record.started_at,
            datetime.now(UTC),
            _to_json(record.parameters),
            _to_json(record.versions),
            _to_json({corpus.entry.name: corpus.digest for corpus in corpora}),
            _to_json(record.set_aside),
            results_key,
            _to_json(record.notes),
        ],
    )
    run_sql(
        con,
        "results/publish/history",
        run_id=record.run_id,
        drift_threshold=record.drift_threshold,
    )


def _count_queries(corpus: CountedCorpus) -> int:
    n_queries: int = pq.read_metadata(corpus.queries).num_rows
    return n_queries


def _name_files(warehouse: Warehouse, corpora: list[CountedCorpus]) -> PublicNames:
    """Name the files of the corpora for readers; pack the queries of those that are not packed."""
    packed = [pack_queries(one, warehouse) for one in corpora]
    counted = [file for one in corpora for file in (one.ngrams, one.templates)]
    return public_names(warehouse, [*counted, *packed])


def _describe_corpora(
    corpora: list[CountedCorpus], warehouse: Warehouse, names: PublicNames
) -> pa.Table:
    """Return a row for each corpus, with its keys in the corpora file and its stage files."""
    rows = [
        {
            "position": position,
            "corpus": corpus.entry.name,
            **corpus.entry.model_dump(
                include={"role", "format", "dialect", "license", "model", "trained_on", "target"}
            ),
            "path": str(corpus.entry.place),
            "retired_at": corpus.entry.retired_at,
            "cleaning": corpus.entry.cleaning,
            "digest": corpus.digest,
            "content_key": corpus.content_key,
            "queries_file": str(corpus.queries),
            "templates_file": str(corpus.templates),
            "public_templates_file": names.of(corpus.templates),
            "ngrams_file": names.of(corpus.ngrams),
            "public_queries_file": names.of(find_packed(corpus, warehouse)),
            "has_sql": corpus.has_sql,
            "keeps_sql": corpus.entry.keep_sql and corpus.entry.format != FINGERPRINT,
            "n_questions": recall_questions(corpus.queries, warehouse),
            # Templates have a row for each distinct query.
            "n_distinct_queries": pq.read_metadata(corpus.templates).num_rows,
            "ingested_at": datetime.fromtimestamp(corpus.queries.stat().st_mtime, UTC),
        }
        for position, corpus in enumerate(corpora)
    ]
    return pa.Table.from_pylist(rows, schema=_GIVEN_CORPORA)


def _list_as_written(corpora: list[CountedCorpus]) -> list[dict[str, str]]:
    """Return the content keys of predictions without cleaning, by corpus."""
    return [
        {"corpus": corpus.entry.name, "content_key": corpus.as_written.content_key}
        for corpus in corpora
        if corpus.as_written is not None
    ]


def _list_compared(corpora: list[CountedCorpus]) -> list[dict[str, str]]:
    """Return for all predictions the name and the content key of their target or its part."""
    contents = {one.entry.name: one.content_key for one in corpora}
    parts = [one.answered for one in corpora if one.answered is not None]
    contents |= {part.entry.name: part.content_key for part in parts}
    return [
        {"corpus": one.entry.name, "compared_with": name, "content_key": contents[name]}
        for one in corpora
        if (name := one.compared_with) is not None and name in contents
    ]


def _to_json(value: dict[str, Any] | list[str]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class _OldDatabase:
    """The contents of the published database that a run uses; empty if it cannot be read.

    ``warning`` says why it cannot be read.
    """

    results_key: str | None = None
    backed_up: Mapping[str, pa.Table] = field(default_factory=dict)
    versions: Mapping[str, str] | None = None
    n_queries_by_file: Mapping[str, int] = field(default_factory=dict)
    queries_files: Sequence[str] = ()
    warning: str | None = None


def check_published(warehouse: Warehouse) -> None:
    """Check that the published database, if there is one, is a database of this program.

    Raises:
        WarehouseError: It is another program's, or has contents that this program does not make.
        DatabaseInUseError: Another process has it open for writing.
    """
    _read_old_database(warehouse)


def _read_old_database(warehouse: Warehouse) -> _OldDatabase:
    database = warehouse.database
    try:
        if not database.exists():
            return _read_backup_instead(warehouse, "is missing")
        con, foreign = open_database(database)
        with con:
            backed_up = read_backed_up_tables(con)
            corpora = con.table("corpora").to_arrow_table().to_pydict()
        if not warehouse.is_database_intact():
            return _read_backup_instead(warehouse, "is not as it was published")
        keys = backed_up["runs"].column("results_key").to_pylist()
        versions = backed_up["runs"].column("versions").to_pylist()
    except (duckdb.Error, KeyError) as error:
        if isinstance(error, duckdb.Error) and is_locked(error):
            raise DatabaseInUseError(
                f"{database} is open for writing in another process; close it there and run again"
            ) from None
        # Another version's tables, or a damaged file.
        return _read_backup_instead(warehouse, f"cannot be read ({str(error).splitlines()[0]})")
    if not keys:
        return _OldDatabase()
    made_by = json.loads(versions[-1])
    # Other versions of DuckDB may print the same view differently; their files are not copied.
    is_current = {"publish": str(PUBLISH_VERSION), "duckdb": duckdb.__version__}.items()
    if foreign and is_current <= made_by.items():
        raise WarehouseError(describe_foreign(database, foreign))
    return _OldDatabase(
        keys[-1],
        backed_up,
        made_by,
        dict(zip(corpora["ngrams_file"], corpora["n_rows"], strict=True)),
        corpora.get("queries_file", ()),  # earlier versions have no such files
    )


def _read_backup_instead(warehouse: Warehouse, why: str) -> _OldDatabase:
    backed_up = read_backup(warehouse)
    n_runs = backed_up["runs"].num_rows if "runs" in backed_up else 0
    if n_runs:
        history = f"with the history of {n_runs:,} runs from its backup"
    elif not warehouse.database.exists():
        return _OldDatabase()
    else:
        history = "without its history"
    warning = f"{warehouse.database} {why}; publishing a new one {history}"
    return _OldDatabase(backed_up=backed_up, warning=warning)


def _is_mostly_known(
    corpora: list[CountedCorpus],
    names: PublicNames,
    old: _OldDatabase,
    versions: Mapping[str, str],
    known_share: float,
) -> bool:
    """Return whether changing a copy of the old database is cheaper than making a new one.

    A copy may have texts in its free space that the corpora no longer keep.
    """
    if old.versions != versions or not _keep_sql(corpora):
        return False
    n_queries = {corpus: _count_queries(corpus) for corpus in corpora}
    n_known = sum(
        n for corpus, n in n_queries.items() if names.of(corpus.ngrams) in old.n_queries_by_file
    )
    n_old = sum(old.n_queries_by_file.values())
    return n_known >= known_share * max(n_old, sum(n_queries.values()))


def _keep_sql(corpora: list[CountedCorpus]) -> bool:
    """Return whether the texts of all corpora are kept."""
    return all(corpus.entry.keep_sql for corpus in corpora)
