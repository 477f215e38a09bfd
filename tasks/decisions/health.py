"""The health of data sets: repeated rows, leaks, contradictions, rejects, and missing tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import polars as pl

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.errors import ConfigurationError, RequirementError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.decisions.training_files import SCHEMA_KEYS, read_databases
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.ingest.original_rows import read_original_rows
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.warehouse.addresses import expand_home
from nl2sql_align.tasks.warehouse.folder import Warehouse

_WAYS: Final = ("pair", "sql", "question", "near-pair", "near-sql", "near-question")
KINDS: Final = (
    *(f"{relation}-{way}" for relation in ("duplicate", "shared", "leak") for way in _WAYS),
    "contradiction",
    "reject",
    "missing-table",
    "missing-column",
)
"""The kinds of findings. The part before the first dash means all kinds that begin with it."""

_FINDINGS: Final = {
    "kind": pl.String,
    "corpus": pl.String,
    "ordinal": pl.Int64,
    "other_corpus": pl.String,
    "other_ordinal": pl.Int64,
    "detail": pl.String,
}


@dataclass(frozen=True)
class Health:
    """The faults of some data sets.

    Attributes:
        findings: A row per finding: ``kind``, ``corpus`` and ``ordinal`` of the query,
            ``other_corpus`` and ``other_ordinal`` of the query that it repeats or contradicts, and
            ``detail``: the reason of a reject, or the missing name.
        checked: A row per corpus: ``corpus``, ``n_queries``, and ``n_checked``, the queries whose
            tables and columns were checked against a schema.
        set_aside: The reason for each corpus that could not be used.
    """

    findings: pl.DataFrame
    checked: pl.DataFrame
    set_aside: dict[str, str]

    def require_none(self, kinds: Sequence[str]) -> None:
        """Raise RequirementError if there is a finding of these kinds.

        Raises:
            ConfigurationError: A kind is unknown.
            RequirementError: There is such a finding.
        """
        wanted = expand_kinds(kinds)
        found = self.findings.filter(pl.col("kind").is_in(wanted))
        if len(found):
            kind, corpus, ordinal = found.select("kind", "corpus", "ordinal").row(0)
            raise RequirementError(
                f"--fail-on {','.join(kinds)}: {len(found):,} of the findings, the first: {kind}, "
                f"row {ordinal} of {corpus}; repair these rows, or leave them out"
            )


def expand_kinds(kinds: Sequence[str]) -> list[str]:
    """Return the kinds that are named, or that begin with a name.

    Raises:
        ConfigurationError: A name is neither.
    """
    found = []
    for name in kinds:
        named = [kind for kind in KINDS if kind == name or kind.startswith(f"{name}-")]
        if not named:
            raise ConfigurationError(f"no kind of findings is '{name}'; {suggest(name, KINDS)}")
        found += named
    return found


def check(
    corpora: Path | str,
    schemas: Sequence[Path | str] = (),
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
) -> Health:
    """Check the health of the data sets in a corpora file. Nothing is executed or kept.

    Args:
        corpora: The corpora file.
        schemas: Files as ``tables.json`` of Spider or BIRD. A ``*tables.json`` beside a dump, and
            the schema in a row itself, are used without being named.
        threads: Number of processes and threads; by default NL2SQL_ALIGN_THREADS, else one per CPU.
        memory_limit: DuckDB's memory limit, such as 4GB.

    Raises:
        ConfigurationError: The corpora file or a schema cannot be read.
    """
    entries = load_corpora(corpora)
    given = [_read_schemas(expand_home(path)) for path in schemas]
    with TemporaryDirectory(prefix="nl2sql-align-") as temporary:
        warehouse = Warehouse(Path(temporary) / "warehouse")
        settings = JobSettings(resampling=Resampling(replicates=0))
        summary = run_locally(
            entries, warehouse, settings, threads=threads, memory_limit=memory_limit
        )
        found, checked = pl.DataFrame(schema=_FINDINGS), pl.DataFrame()
        if summary.corpora:
            with open_results(warehouse.folder) as con:
                found = _find_repeats(con, warehouse)
                missing, checked = _find_missing_names(con, given)
            found = pl.concat([found, missing]).sort("corpus", "kind", "ordinal")
    return Health(found, checked, dict(summary.set_aside))


def _find_repeats(con: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> pl.DataFrame:
    files = con.execute("select distinct templates_file from corpora order by 1").fetchall()
    paths = {
        name: str(warehouse.stage_file(warehouse.stage("templates"), name)) for (name,) in files
    }
    con.register(
        "template_paths",
        pl.DataFrame(
            {"templates_file": list(paths), "templates_path": list(paths.values())}
        ).to_arrow(),
    )
    run_sql(con, "decisions/selection/literals")
    found: pl.DataFrame = query_sql(
        con, "decisions/health/findings", templates_files=list(paths.values())
    ).pl()
    return found.cast(_FINDINGS)  # type: ignore[arg-type]


def _find_missing_names(
    con: duckdb.DuckDBPyConnection, given: Sequence[Mapping[str, Any]]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    from nl2sql_align.tasks.templates.schema_check import find_missing

    findings, checked = [], []
    sources = con.sql("select * from corpora order by rowid").pl()
    for source in sources.iter_rows(named=True):
        rows = query_sql(con, "decisions/health/checked_rows", corpus=source["corpus"]).pl()
        schemas = _SchemasOf(
            sources.filter(corpus=source["corpus"]),
            rows,
            [*_find_schemas(sources, source["corpus"], source["target"]), *given],
        )
        n_checked = 0
        for index, row in enumerate(rows.iter_rows(named=True)):
            schema = schemas.find(index, row["db_id"], source["dialect"])
            if not schema:
                continue
            try:
                missing = find_missing(row["sql"], source["dialect"], schema)
            except ValueError:
                continue
            n_checked += 1
            if missing is not None:
                kind = f"missing-{missing.kind}"
                findings.append((kind, source["corpus"], row["ordinal"], None, None, missing.name))
        checked.append((source["corpus"], source["n_queries"], n_checked))
    return (
        pl.DataFrame(findings, schema=_FINDINGS, orient="row"),
        pl.DataFrame(checked, schema=["corpus", "n_queries", "n_checked"], orient="row"),
    )


def _find_schemas(sources: pl.DataFrame, *names: str | None) -> list[Mapping[str, Any]]:
    """Return the schemas in each ``*tables.json`` beside the dumps of some corpora."""
    paths = map(Path, sources.filter(pl.col("corpus").is_in(names))["path"])
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in paths)
    return [_read_schemas(one) for folder in folders for one in sorted(folder.glob("*tables.json"))]


class _SchemasOf:
    """The schemas of the rows of one corpus."""

    def __init__(
        self, source: pl.DataFrame, rows: pl.DataFrame, known: Sequence[Mapping[str, Any]]
    ) -> None:
        self._by_database = {name: one for file in known for name, one in file.items()}
        with connected() as reading:  # that of the results cannot open files
            self._records = read_original_rows(reading, source, rows)
        self._by_text: dict[str, Any] = {}

    def find(self, index: int, db_id: str | None, dialect: str) -> Any:
        """Return the schema in the row itself, else that of its database; None if unknown."""
        from nl2sql_align.tasks.templates.schema_check import read_ddl

        record = self._records[index]
        fields = json.loads(record) if record else {}
        for key in SCHEMA_KEYS:
            text = fields.get(key)
            if isinstance(text, str) and "create" in text.lower():
                if text not in self._by_text:
                    self._by_text[text] = read_ddl(text, dialect)
                return self._by_text[text]
        return self._by_database.get(db_id or "")


def _read_schemas(path: Path) -> dict[str, dict[str, frozenset[str]]]:
    """Return the tables of each database of a ``tables.json``, with their columns in lower case."""
    return read_databases(path, _list_columns)


def _list_columns(database: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    return {
        table.lower(): frozenset(
            column.lower()
            for of_table, column in database["column_names_original"]
            if of_table == index
        )
        for index, table in enumerate(database["table_names_original"])
    }
