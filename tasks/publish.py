"""Publishing: a new DuckDB file with all results takes the old one's place in a single step."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from tasks.config import CorpusEntry
from tasks.decisions import DECISION_TABLES
from tasks.engine import connect
from tasks.errors import WarehouseError
from tasks.results import is_locked, open_database, quoted, quoted_name
from tasks.sqlfiles import run_sql
from tasks.warehouse import Warehouse, stage_key, written_whole

PUBLISH_VERSION: Final = 1
"""Goes up with every change of the published tables."""

# Files of this version open in DuckDB 1.4 and newer.
_STORAGE_VERSION: Final = "v1.4.0"


@dataclass(frozen=True)
class IngestedCorpus:
    """A corpus all of whose stages are done."""

    entry: CorpusEntry
    digest: str
    content_key: str
    queries: Path
    templates: Path
    ngrams: Path


@dataclass(frozen=True)
class RunRecord:
    """A row of table ``runs``."""

    run_id: str
    started_at: datetime
    parameters: dict[str, Any]
    versions: dict[str, str]
    set_aside: dict[str, str] = field(default_factory=dict)


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
        ("ngrams_file", pa.string()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
    ]
)


def publish(
    warehouse: Warehouse,
    corpora: list[IngestedCorpus],
    pairs: Path,
    contributions: Path,
    record: RunRecord,
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
    """
    old = _read_old(warehouse.database)
    given = pa.Table.from_pylist(_given(corpora), schema=_GIVEN)
    results_key = stage_key(
        version=PUBLISH_VERSION,
        corpora=given.drop_columns("ingested_at").to_pylist(),
        measures=[pairs.name, contributions.name],
        versions=record.versions,
    )
    with written_whole(warehouse.database) as temporary, connect() as con:
        is_same = results_key == old.results_key
        if is_same:
            shutil.copyfile(warehouse.database, temporary)
        con.execute(
            f"attach '{quoted(temporary)}' as results (storage_version '{_STORAGE_VERSION}')"
        )
        con.execute("use results")
        if not is_same:
            con.register("given_corpora", given)
            _fill(con, corpora, pairs, contributions)
            con.unregister("given_corpora")
            for table, rows in old.kept.items():
                if con.table(table).columns == rows.column_names:  # else another version's
                    con.register("old_rows", rows)
                    con.execute(f"insert into {quoted_name(table)} from old_rows")
                    con.unregister("old_rows")
        _add_run(con, record, results_key, corpora)
        con.execute("use memory")
        con.execute("detach results")  # checkpoints: no .wal stays beside the file
    _remove_unnamed(warehouse, old.ngram_files | {str(corpus.ngrams) for corpus in corpora})


def _fill(
    con: duckdb.DuckDBPyConnection, corpora: list[IngestedCorpus], pairs: Path, contributions: Path
) -> None:
    run_sql(con, "publish/tables")
    # A view cannot take parameters: file names are quoted into its text.
    files = ", ".join(f"'{quoted(corpus.ngrams)}'" for corpus in corpora)
    con.execute(f"create view ngram_counts as from read_parquet([{files}])")
    queries = sorted({str(corpus.queries) for corpus in corpora})
    templates = sorted({str(corpus.templates) for corpus in corpora})
    run_sql(con, "publish/queries", queries_files=queries, templates_files=templates)
    run_sql(con, "publish/templates", templates_files=templates)
    run_sql(con, "publish/corpora")
    run_sql(con, "publish/alignment", pairs=str(pairs))
    run_sql(con, "publish/alignment_ratio")
    run_sql(con, "publish/tuning_effect")
    run_sql(con, "publish/ngram_contributions", contributions=str(contributions))
    run_sql(con, "publish/comments")


def _given(corpora: list[IngestedCorpus]) -> list[dict[str, Any]]:
    return [
        {
            "position": position,
            "corpus": corpus.entry.name,
            **corpus.entry.model_dump(
                include={"role", "format", "dialect", "license", "model", "trained_on", "target"}
            ),
            "path": str(corpus.entry.path),
            "digest": corpus.digest,
            "content_key": corpus.content_key,
            "queries_file": str(corpus.queries),
            "templates_file": str(corpus.templates),
            "ngrams_file": str(corpus.ngrams),
            "ingested_at": datetime.fromtimestamp(corpus.queries.stat().st_mtime, UTC),
        }
        for position, corpus in enumerate(corpora)
    ]


def _add_run(
    con: duckdb.DuckDBPyConnection,
    record: RunRecord,
    results_key: str,
    corpora: list[IngestedCorpus],
) -> None:
    con.execute(
        "insert into runs values (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            record.run_id,
            record.started_at,
            datetime.now(UTC),
            _json(record.parameters),
            _json(record.versions),
            _json({corpus.entry.name: corpus.digest for corpus in corpora}),
            _json(record.set_aside),
            results_key,
        ],
    )


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class _Old:
    """What the database in place says: nothing, where there is none or it cannot be read."""

    results_key: str | None = None
    kept: Mapping[str, pa.Table] = field(default_factory=dict)
    ngram_files: frozenset[str] = frozenset()


def _read_old(database: Path) -> _Old:
    if not database.exists():
        return _Old()
    try:
        with open_database(database) as con:
            tables = {name for (name,) in con.execute("show tables").fetchall()}
            kept = {
                table: con.table(table).to_arrow_table()
                for table in ("runs", *DECISION_TABLES)
                if table in tables
            }
            files = con.execute("select ngrams_file from corpora").fetchall()
        keys = kept["runs"].column("results_key").to_pylist()
    except (duckdb.Error, KeyError) as error:
        if isinstance(error, duckdb.Error) and is_locked(error):
            raise WarehouseError(
                f"{database} is open for writing in another process; close it there and run again"
            ) from None
        return _Old()  # another version's tables: made anew, without its runs
    return _Old(keys[-1] if keys else None, kept, frozenset(name for (name,) in files))


def _remove_unnamed(warehouse: Warehouse, named: frozenset[str]) -> None:
    for file in warehouse.ngrams.glob("*.parquet"):
        if str(file) not in named:
            file.unlink()
