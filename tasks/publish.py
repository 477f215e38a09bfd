"""Publishing: one new DuckDB file with all results, put in the place of the old one in a single step."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from tasks.config import CorpusEntry
from tasks.engine import connect
from tasks.sqlfiles import run_sql
from tasks.warehouse import Warehouse, written_whole

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

    Readers that have the old file open keep it, with the n-gram files that it names, until the run after
    this one.

    Args:
        warehouse: Whose database it is.
        corpora: In the order of the corpora file.
        pairs: The measures of all pairs of contents.
        contributions: The n-grams behind them.
        record: What to say of the run; earlier runs' rows are kept.
    """
    named_before = ngram_files_of(warehouse.database)
    with written_whole(warehouse.database) as temporary:
        temporary.unlink(missing_ok=True)
        with connect() as con:
            con.execute(
                f"attach '{_quoted(temporary)}' as results (storage_version '{_STORAGE_VERSION}')"
            )
            con.execute("use results")
            _fill(con, corpora, pairs, contributions)
            _add_runs(con, warehouse.database, record, corpora)
            run_sql(con, "publish/comments")
            con.execute("use memory")
            con.execute("detach results")  # checkpoints: no .wal stays beside the file
    _remove_unnamed(warehouse, named_before | {str(corpus.ngrams) for corpus in corpora})


def _fill(
    con: duckdb.DuckDBPyConnection, corpora: list[IngestedCorpus], pairs: Path, contributions: Path
) -> None:
    run_sql(con, "publish/tables")
    con.register("given_corpora", pa.Table.from_pylist(_given(corpora), schema=_GIVEN))
    # A view cannot take parameters: file names are quoted into its text.
    files = ", ".join(f"'{_quoted(corpus.ngrams)}'" for corpus in corpora)
    con.execute(f"create view ngram_counts as from read_parquet([{files}])")
    for corpus in corpora:
        run_sql(
            con,
            "publish/queries",
            corpus=corpus.entry.name,
            queries=str(corpus.queries),
            templates=str(corpus.templates),
        )
    run_sql(con, "publish/templates", templates_files=[str(corpus.templates) for corpus in corpora])
    run_sql(con, "publish/corpora")
    run_sql(con, "publish/alignment", pairs=str(pairs))
    run_sql(con, "publish/alignment_ratio")
    run_sql(con, "publish/tuning_effect")
    run_sql(con, "publish/ngram_contributions", contributions=str(contributions))
    con.unregister("given_corpora")


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
            "ngrams_file": str(corpus.ngrams),
            "ingested_at": datetime.fromtimestamp(corpus.queries.stat().st_mtime, UTC),
        }
        for position, corpus in enumerate(corpora)
    ]


def _add_runs(
    con: duckdb.DuckDBPyConnection, old: Path, record: RunRecord, corpora: list[IngestedCorpus]
) -> None:
    if old.exists():
        con.execute(f"attach '{_quoted(old)}' as old (read_only)")
        con.execute("insert into runs by name from old.runs order by started_at")
        con.execute("detach old")
    con.execute(
        "insert into runs values (?, ?, ?, ?, ?, ?, ?)",
        [
            record.run_id,
            record.started_at,
            datetime.now(UTC),
            _json(record.parameters),
            _json(record.versions),
            _json({corpus.entry.name: corpus.digest for corpus in corpora}),
            _json(record.set_aside),
        ],
    )


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def ngram_files_of(database: Path) -> set[str]:
    """The n-gram files that a published database is a view over; none where there is no database."""
    if not database.exists():
        return set()
    with connect(database, read_only=True) as con:
        try:
            rows = con.execute("select ngrams_file from corpora").fetchall()
        except duckdb.Error:
            return set()
    return {filename for (filename,) in rows}


def _remove_unnamed(warehouse: Warehouse, named: set[str]) -> None:
    for file in warehouse.ngrams.glob("*.parquet"):
        if str(file) not in named:
            file.unlink()
