"""Publishing: a new DuckDB file with all results takes the old one's place in a single step."""

import glob
import json
import math
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connect, resources
from nl2sql_align.tasks.base.errors import DatabaseInUseError
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.base.run_sql import run_sql
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.results.carried_over import read_kept, save_kept, saved_kept
from nl2sql_align.tasks.results.database import (
    NO_LOG,
    attach_results,
    detach_results,
    is_locked,
    open_database,
    quoted,
    quoted_name,
)
from nl2sql_align.tasks.warehouse.count_files import count_files, remove_unused
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import PublicNames, public_names

if TYPE_CHECKING:
    from nl2sql_align.tasks.measures.intervals import IntervalsReport

DRIFT_THRESHOLD: Final = 0.02
"""How far an alignment may move from where it stood before that is called a drift."""


# Files of this version open in DuckDB 1.4 and newer.
_STORAGE_VERSION: Final = "v1.4.0"
# An old database that has so large a share of the queries is changed, not made anew.
_MOSTLY: Final = 0.8
# Queries are sorted, and so held, a batch at a time: so many, or fewer where their texts would take
# more than this part of the memory.
_QUERIES_PER_BATCH: Final = 200_000
_SHARE_OF_A_BATCH: Final = 1 / 16
# DuckDB keeps what it has written as long as it may; the rest is for other libraries.
_DATABASE_SHARE: Final = 5 / 8
_ANY_ORDINAL: Final = 2**62


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


@dataclass(frozen=True)
class AsWritten:
    """Predictions without cleaning: their content keys by name, and their pairs with targets."""

    content_keys: dict[str, str]
    pairs: Path


_GIVEN: Final = pa.schema(
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
        ("ingested_at", pa.timestamp("us", tz="UTC")),
        ("cleaning", pa.string()),
        ("retired_at", pa.timestamp("us", tz="UTC")),
    ]
)
# What says nothing of the results: times, and where files stand on this machine.
_HERE_AND_NOW: Final = ["ingested_at", "retired_at", "queries_file", "templates_file"]
_AS_WRITTEN: Final = pa.schema([("corpus", pa.string()), ("content_key", pa.string())])


@dataclass(frozen=True)
class _New:
    """A database in a file of its own, which ``con`` has attached as ``results`` and uses."""

    path: Path
    con: duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class _Begun:
    """A database without the measures, where it is not the same as the published one, ``old``.

    It ``is_kept`` where it comes from that one.
    """

    new: _New
    is_kept: bool
    old: "_Old"
    names: PublicNames


class Draft:
    """A new database that is made beside other work; there is something to take only once."""

    def __init__(self, warehouse: Warehouse, pool: ThreadPoolExecutor) -> None:
        self._warehouse = warehouse
        self._pool = pool
        self._empty: Future[_New] | None = None
        self._begun: Future[_Begun | None] | None = None
        if not warehouse.database.exists():
            self._empty = pool.submit(_blank, _draft_file(warehouse))

    def fill(self, corpora: list[CountedCorpus], versions: Mapping[str, str]) -> None:
        """Goes on with all that waits for no measure.

        Not where the new queries are many: they take the memory that other work needs.

        Args:
            corpora: In the order of the corpora file.
            versions: Those of ``RunRecord``.
        """
        blank, self._empty = self._empty, None
        self._begun = self._pool.submit(_drafted, self._warehouse, corpora, versions, blank)

    def take(self) -> _Begun | None:
        """What was begun, once it is there; None where there is nothing."""
        begun, self._begun = self._begun, None
        if begun is None:
            return None
        try:
            return begun.result()
        except Exception:  # publishing, which begins anew, meets it again and says so
            return None

    def close(self) -> None:
        """Gives up what was begun."""
        left = self.take()
        if left is not None:
            left.new.con.close()
        if self._empty is not None:
            with suppress(Exception):
                self._empty.result().con.close()


@contextmanager
def drafting(warehouse: Warehouse) -> Iterator[Draft]:
    """Begins a new database beside what the block does.

    Where none is published, it is begun at once, without rows.

    Args:
        warehouse: Whose database it is; locked.
    """
    with ThreadPoolExecutor(1) as pool:
        draft = Draft(warehouse, pool)
        try:
            yield draft
        finally:
            draft.close()


def _drafted(
    warehouse: Warehouse,
    corpora: list[CountedCorpus],
    versions: Mapping[str, str],
    blank: "Future[_New] | None",
) -> _Begun | None:
    with ExitStack() as unused:
        if blank is not None:
            unused.enter_context(closing(blank.result().con))
        old = _read_old(warehouse)  # there may be one by now, fetched from a store
        names = _public_names(warehouse, corpora)
        unknown = [one for one in corpora if names.of(one.ngrams) not in old.n_queries_by_file]
        is_kept = _is_mostly_known(corpora, names, old, versions)
        if not unknown or sum(map(_load, unknown if is_kept else corpora)) > 1:
            return None
        if blank is None or is_kept:
            new = _new(_draft_file(warehouse), warehouse, is_kept)
        else:
            new = blank.result()
            unused.pop_all()
        begun = _begin(new, corpora, names, old, is_kept)
    begun.new.con.execute("checkpoint results")  # else it all waits for the end
    return begun


def _draft_file(warehouse: Warehouse) -> Path:
    return warehouse.scratch / f"{uuid4().hex}.duckdb"


def publish(
    warehouse: Warehouse,
    corpora: list[CountedCorpus],
    pairs: Path,
    contributions: Path,
    record: RunRecord,
    intervals: "IntervalsReport | None" = None,
    as_written: AsWritten | None = None,
    draft: Draft | None = None,
) -> None:
    """Replaces the published database by one with the results of this run.

    Readers that have the old file open keep it, with the n-gram files that it names, until the run
    after this one.

    Args:
        warehouse: Whose database it is.
        corpora: In the order of the corpora file.
        pairs: The measures of all pairs of contents.
        contributions: The n-grams behind them.
        record: What to say of the run; earlier runs' rows are kept.
        intervals: Intervals, verdicts and ceilings; without them, their columns and tables are
            empty.
        as_written: What cleaned predictions would be without that.
        draft: What of the database was made before.
    """
    begun = draft.take() if draft else None
    if begun is not None:
        old, names = begun.old, begun.names
    else:
        old, names = _read_old(warehouse), _public_names(warehouse, corpora)
    results_key = stage_key(
        corpora=_given(corpora, names).drop_columns(_HERE_AND_NOW).to_pylist(),
        retired_at=[str(corpus.entry.retired_at) for corpus in corpora],
        measures=[pairs.name, contributions.name, intervals and intervals.ratios.name],
        as_written=as_written.content_keys if as_written else {},
        versions=record.versions,
    )
    is_same = results_key == old.results_key
    if old.remark is not None:
        announce("publish", old.remark)
    if old.versions is not None and old.versions.get("publish") != record.versions.get("publish"):
        announce("publish", "the results of another version are made anew; its history is kept")
    with (
        write_atomically(warehouse.carried_over_file) as kept,
        write_atomically(warehouse.database) as temporary,
    ):
        if begun is None:
            is_kept = is_same or _is_mostly_known(corpora, names, old, record.versions)
            new = _new(temporary, warehouse, is_kept)
            begun = _begin(new, corpora, names, old, is_kept, is_same)
        with closing(begun.new.con) as con:
            if not is_same:
                _fill_in_measures(con, corpora, pairs, contributions, intervals, as_written)
                if not begun.is_kept:
                    _carry_over(con, old.kept)
            _add_run(con, record, results_key, corpora)
            run_sql(
                con,
                "results/publish/history",
                run_id=record.run_id,
                drift_threshold=record.drift_threshold,
            )
            save_kept(con, kept)
            detach_results(con)
        if begun.new.path != temporary:
            begun.new.path.replace(temporary)
    old_counts = {warehouse.ngrams / Path(file).name for file in old.n_queries_by_file}
    remove_unused(warehouse.ngrams, old_counts | {corpus.ngrams for corpus in corpora})


def _new(path: Path, warehouse: Warehouse, is_kept: bool) -> _New:
    """A new database in a new file: without rows, or with those of the published one."""
    if not is_kept:
        return _blank(path)
    shutil.copyfile(warehouse.database, path)
    return _attached(path)


def _blank(path: Path) -> _New:
    new = _attached(path)
    try:
        # Hundreds of small statements, for each of which other threads would be woken.
        new.con.execute("set threads = 1")
        with _at_once(new.con):
            run_sql(new.con, "results/publish/tables")
            run_sql(new.con, "results/publish/comments")
        new.con.execute(f"set threads = {resources().threads}")
    except BaseException:
        new.con.close()
        raise
    return new


def _attached(path: Path) -> _New:
    con = connect(memory_share=_DATABASE_SHARE)
    try:
        attach_results(con, path, f"storage_version '{_STORAGE_VERSION}', {NO_LOG}")
    except BaseException:
        con.close()
        raise
    return _New(path, con)


def _begin(
    new: _New,
    corpora: list[CountedCorpus],
    names: PublicNames,
    old: "_Old",
    is_kept: bool,
    is_same: bool = False,
) -> _Begun:
    """Fills a new database with all that waits for no measure."""
    con = new.con
    try:
        names.files.register_with(con)
        if not is_same:
            con.register("given_corpora", _given(corpora, names))
            if is_kept:
                with _at_once(con):
                    _forget(con)
            _fill_in_corpora(con, corpora, names)
    except BaseException:
        con.close()
        raise
    return _Begun(new, is_kept, old, names)


def _forget(con: duckdb.DuckDBPyConnection) -> None:
    """Leaves in an old database what holds still."""
    run_sql(con, "results/publish/keep")
    gone = con.execute(
        "select distinct corpus from queries where corpus not in (select corpus from known_corpora)"
    ).fetchall()
    if gone:
        run_sql(con, "results/publish/forget", corpora=[corpus for (corpus,) in gone])


def _carry_over(con: duckdb.DuckDBPyConnection, kept: Mapping[str, pa.Table]) -> None:
    """Fills new tables with an old database's rows, as far as another version's have their columns.

    A table that has come to need a column that the rows lack stays empty, and that is said.
    """
    for table, rows in kept.items():
        columns = [name for name in con.table(table).columns if name in rows.column_names]
        con.register("old_rows", rows.select(columns))
        try:
            con.execute(f"insert into {quoted_name(table)} by name from old_rows")
        except (duckdb.ConstraintException, duckdb.ConversionException):
            announce("publish", f"table {table} of an earlier version is left out: it has changed")
        con.unregister("old_rows")


def _is_mostly_known(
    corpora: list[CountedCorpus], names: PublicNames, old: "_Old", versions: Mapping[str, str]
) -> bool:
    """Whether it is cheaper to change the old database than to make a new one."""
    if old.versions != versions:
        return False
    n_queries = {corpus: _n_queries(corpus) for corpus in corpora}
    n_known = sum(
        n for corpus, n in n_queries.items() if names.of(corpus.ngrams) in old.n_queries_by_file
    )
    n_then = sum(old.n_queries_by_file.values())
    return n_known >= _MOSTLY * max(n_then, sum(n_queries.values()))


def _n_queries(corpus: CountedCorpus) -> int:
    n_queries: int = pq.read_metadata(corpus.queries).num_rows
    return n_queries


def _fill_in_corpora(
    con: duckdb.DuckDBPyConnection, corpora: list[CountedCorpus], names: PublicNames
) -> None:
    """Fills the tables on single corpora."""
    # A view cannot take parameters: file names are quoted into its text.
    counts = [names.of(file) for corpus in corpora for file in count_files(corpus.ngrams)]
    files = ", ".join(f"'{quoted(glob.escape(name))}'" for name in counts)
    con.execute(f"create or replace view ngram_counts as from read_parquet([{files}])")
    with _at_once(con):
        run_sql(con, "results/publish/view_comments")
    known = {name for (name,) in con.execute("select corpus from known_corpora").fetchall()}
    unknown = [corpus for corpus in corpora if corpus.entry.name not in known]
    for some, first, last in _batches(unknown):
        run_sql(
            con,
            "results/publish/queries",
            corpora=[corpus.entry.name for corpus in some],
            queries_files=sorted({str(corpus.queries) for corpus in some}),
            templates_files=sorted({str(corpus.templates) for corpus in some}),
            first_ordinal=first,
            last_ordinal=last,
        )
    if unknown:
        templates = sorted({str(corpus.templates) for corpus in unknown})
        run_sql(con, "results/publish/templates", templates_files=templates)
    new = [corpus.entry.name for corpus in unknown]
    run_sql(
        con,
        "results/publish/corpora",
        new_corpora=new,
        # Where all are known, nothing is taken from the file.
        ngram_files=[str(corpus.ngrams) for corpus in unknown or corpora[:1]],
        queries_files=sorted({str(corpus.queries) for corpus in corpora}),
    )
    run_sql(con, "results/publish/structural_features", new_corpora=new)


def _fill_in_measures(
    con: duckdb.DuckDBPyConnection,
    corpora: list[CountedCorpus],
    pairs: Path,
    contributions: Path,
    intervals: "IntervalsReport | None",
    as_written: AsWritten | None,
) -> None:
    """Fills the tables on pairs of corpora, and on ratios."""
    run_sql(con, "results/publish/alignment", pairs=str(pairs))
    keys = as_written.content_keys if as_written else {}
    rows = [{"corpus": corpus, "content_key": key} for corpus, key in keys.items()]
    con.register("given_as_written", pa.Table.from_pylist(rows, schema=_AS_WRITTEN))
    pairs_as_written = as_written.pairs if as_written else pairs
    run_sql(con, "results/publish/alignment_ratio", pairs_as_written=str(pairs_as_written))
    con.unregister("given_as_written")
    if intervals is not None:
        run_sql(
            con,
            "results/publish/intervals",
            intervals=str(intervals.intervals),
            ratios=str(intervals.ratios),
            ceilings=str(intervals.ceilings),
        )
    run_sql(con, "results/publish/tuning_effect")
    run_sql(con, "results/publish/named_contributions", contributions=str(contributions))
    sides = con.execute("select distinct side from named_contributions").fetchall()
    files = [str(corpus.ngrams) for corpus in corpora if (corpus.entry.name,) in sides]
    if files:
        run_sql(con, "results/publish/ngram_contributions", ngram_files=files)
    con.unregister("given_corpora")


@contextmanager
def _at_once(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """One transaction for many small statements, each of which would be committed for itself."""
    con.begin()
    try:
        yield
    except BaseException:
        con.rollback()
        raise
    con.commit()


def _batches(
    corpora: list[CountedCorpus],
) -> Iterator[tuple[list[CountedCorpus], int, int]]:
    """Some corpora together, with all their ordinals, or one that is large by ranges of these.

    An insert for each corpus takes several times as long; one insert for all of them sorts, and so
    holds, all texts at once.
    """
    some: list[CountedCorpus] = []
    total = 0.0
    for corpus in corpora:
        n_queries, load = _n_queries(corpus), _load(corpus)
        if some and total + load > 1:
            yield some, 0, _ANY_ORDINAL
            some, total = [], 0.0
        if load > 1:
            step = math.ceil(n_queries / load)
            for first in range(0, n_queries, step):
                after = first + step
                yield [corpus], first, after - 1 if after < n_queries else _ANY_ORDINAL
        else:
            some.append(corpus)
            total += load
    if some:
        yield some, 0, _ANY_ORDINAL


def _load(corpus: CountedCorpus) -> float:
    """The queries of a corpus as a part of what a batch may hold."""
    metadata = pq.read_metadata(corpus.queries)
    n_bytes: int = sum(
        metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
    )
    allowed = resources().memory_bytes * _SHARE_OF_A_BATCH
    n_queries: int = metadata.num_rows
    return max(n_queries / _QUERIES_PER_BATCH, n_bytes / allowed)


def _public_names(warehouse: Warehouse, corpora: list[CountedCorpus]) -> PublicNames:
    return public_names(
        warehouse, [file for one in corpora for file in (one.ngrams, one.templates)]
    )


def _given(corpora: list[CountedCorpus], names: PublicNames) -> pa.Table:
    """What the corpora file and the stages say of the corpora."""
    rows = [
        {
            "position": position,
            "corpus": corpus.entry.name,
            **corpus.entry.model_dump(
                include={"role", "format", "dialect", "license", "model", "trained_on", "target"}
            ),
            "path": str(corpus.entry.place),
            "retired_at": corpus.entry.retired_at,
            "cleaning": "llm" if corpus.entry.is_cleaned else "none",
            "digest": corpus.digest,
            "content_key": corpus.content_key,
            "queries_file": str(corpus.queries),
            "templates_file": str(corpus.templates),
            "public_templates_file": names.of(corpus.templates),
            "ngrams_file": names.of(corpus.ngrams),
            "ingested_at": datetime.fromtimestamp(corpus.queries.stat().st_mtime, UTC),
        }
        for position, corpus in enumerate(corpora)
    ]
    return pa.Table.from_pylist(rows, schema=_GIVEN)


def _add_run(
    con: duckdb.DuckDBPyConnection,
    record: RunRecord,
    results_key: str,
    corpora: list[CountedCorpus],
) -> None:
    con.execute(
        "insert into runs values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            record.run_id,
            record.started_at,
            datetime.now(UTC),
            _json(record.parameters),
            _json(record.versions),
            _json({corpus.entry.name: corpus.digest for corpus in corpora}),
            _json(record.set_aside),
            results_key,
            _json(record.notes),
        ],
    )


def _json(value: dict[str, Any] | list[str]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class _Old:
    """What the database in place says: nothing, where there is none or it cannot be read.

    ``remark`` tells what is wrong with it.
    """

    results_key: str | None = None
    kept: Mapping[str, pa.Table] = field(default_factory=dict)
    versions: Mapping[str, str] | None = None
    n_queries_by_file: Mapping[str, int] = field(default_factory=dict)
    remark: str | None = None


def _read_old(warehouse: Warehouse) -> _Old:
    database = warehouse.database
    try:
        if not database.exists():
            return _restored(warehouse, "is gone")
        with open_database(database) as con:
            kept = read_kept(con)
            files = con.execute("select ngrams_file, n_rows from corpora").fetchall()
        keys = kept["runs"].column("results_key").to_pylist()
        versions = kept["runs"].column("versions").to_pylist()
    except (duckdb.Error, KeyError) as error:
        if isinstance(error, duckdb.Error) and is_locked(error):
            raise DatabaseInUseError(
                f"{database} is open for writing in another process; close it there and run again"
            ) from None
        # Another version's tables, or a damaged file.
        return _restored(warehouse, f"cannot be read ({str(error).splitlines()[0]})")
    if not keys:
        return _Old()
    return _Old(keys[-1], kept, json.loads(versions[-1]), dict(files))


def _restored(warehouse: Warehouse, why: str) -> _Old:
    """What is left of a database that is not there to be read: its history, and decisions."""
    kept = saved_kept(warehouse)
    n_runs = kept["runs"].num_rows if "runs" in kept else 0
    if n_runs:
        words = f"with the history of {n_runs:,} runs that was kept beside it"
    elif not warehouse.database.exists():
        return _Old()
    else:
        words = "without its history"
    return _Old(kept=kept, remark=f"{warehouse.database} {why}: made anew, {words}")
