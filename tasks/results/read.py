"""Reading published results: the Python twins of the commands that only read."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.warehouse.object_store import published, warehouse_at

if TYPE_CHECKING:
    import polars as pl

METRICS: Final = (
    "kl_alignment",
    "kl_nats",
    "reverse_kl_nats",
    "additive_kl_nats",
    "additive_kl_alignment",
    "js_nats",
    "js_alignment",
    "ngram_coverage",
    "template_coverage",
    "exact_overlap",
)
"""The measures of a pair, by their columns in table ``alignment``."""

NO_LOG: Final = "recovery_mode no_wal_writes"
"""How to attach a file that no one sees until it is whole: a log would only be written as well."""

PUBLISH_VERSION: Final = 9
"""Goes up with every change of the published tables."""


def open_results(warehouse: Path | str) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the published results; close it, or use it in a ``with``.

    Raises:
        WarehouseError: There are none, they cannot be read, or another version made them.
    """
    found = published(warehouse_at(warehouse))
    database = found.database
    if not database.is_file():
        raise WarehouseError(
            f"{warehouse} holds no results (no {database.name}); "
            f"make some: nl2sql-align run CORPORA.toml --warehouse {warehouse}"
        )
    try:
        con = open_database(database)
        found.served.to(con)
        made_by = con.execute(
            "select versions ->> 'publish' from runs order by rowid desc limit 1"
        ).fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        remedy = "close it there" if is_locked(error) else "remove it and run again"
        raise WarehouseError(f"{database} cannot be read ({reason}); {remedy}") from None
    if made_by not in ([], [(None,)], [(str(PUBLISH_VERSION),)]):
        con.close()
        raise WarehouseError(
            f"{database} was made by another version of nl2sql-align; "
            f"run it again: nl2sql-align run CORPORA.toml --warehouse {warehouse}"
        )
    return con


def open_database(database: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a published database as it is now.

    Connecting to its path would give what this process may still have open there: an older one.

    Raises:
        duckdb.Error: It cannot be opened.
    """
    con = connect()
    try:
        attach_results(con, database, "read_only")
        con.table("corpora")  # raises where the file is a database of something else
    except duckdb.Error:
        con.close()
        raise
    return con


def attach_results(con: duckdb.DuckDBPyConnection, database: Path, options: str) -> None:
    """Lets a connection use a database as ``results``, with the options of DuckDB's ``attach``."""
    con.execute(f"attach '{quoted(database)}' as results ({options})")
    con.execute("use results")


def detach_results(con: duckdb.DuckDBPyConnection) -> None:
    """Has a connection let go of that database, which is whole then."""
    con.execute("use memory")
    con.execute("detach results")  # checkpoints


def is_locked(error: duckdb.Error) -> bool:
    """Whether a database cannot be opened because another process has it open for writing."""
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)


def quoted(path: Path | str) -> str:
    """A path for a SQL string literal, where no parameter can stand."""
    return str(path).replace("'", "''")


def quoted_name(name: str) -> str:
    """A name of a table or column, for where no parameter can stand."""
    return '"' + name.replace('"', '""') + '"'


def matrix(warehouse: Path | str, require: str | None = None) -> "pl.DataFrame":
    """The alignment of every ordered pair of corpora.

    Args:
        warehouse: The folder of the results, or their address on a store.
        require: A condition on the columns, in SQL, that every row has to meet.

    Returns:
        The rows of table ``alignment`` in the order of the corpora file, with the roles of both
        corpora; ``ci_low``, ``ci_high`` (the 95 % interval of ``kl_alignment``) and
        ``target_ceiling`` for pairs with a target.

    Raises:
        WarehouseError: There are no results.
        RequirementError: A row does not meet the condition.
    """
    return _read(warehouse, "results/read/matrix", require)


def ratio(warehouse: Path | str, require: str | None = None) -> "pl.DataFrame":
    """The Alignment Ratio of every training set, for all predictions on all targets.

    Args:
        warehouse: The folder of the results, or their address on a store.
        require: A condition on the columns, in SQL, that every row has to meet.

    Returns:
        The rows of table ``alignment_ratio``, with ``target_ceiling``; per predictions, the closest
        training set comes first.

    Raises:
        WarehouseError: There are no results.
        RequirementError: A row does not meet the condition.
    """
    return _read(warehouse, "results/read/ratio", require)


def rejects(warehouse: Path | str, corpus: str) -> "pl.DataFrame":
    """The queries of a corpus that have no template: ``ordinal``, ``reject_reason``, ``raw_sql``.

    Raises:
        WarehouseError: There are no results.
        ConfigurationError: There is no such corpus in them.
    """
    with open_results(warehouse) as con:
        known = [name for (name,) in con.execute("select corpus from corpora").fetchall()]
        if corpus not in known:
            raise ConfigurationError(
                f"no corpus '{corpus}' in {warehouse}; there are: {', '.join(known)}"
            )
        rejected: pl.DataFrame = query_sql(con, "results/read/rejects", corpus=corpus).pl()
        return rejected


class RequirementError(ConfigurationError):
    """A row of the results does not meet the condition that the caller set."""

    exit_code = 4


def _read(warehouse: Path | str, name: str, require: str | None) -> "pl.DataFrame":
    with open_results(warehouse) as con:
        rows: pl.DataFrame = query_sql(con, name).pl()
        if require is not None:
            _check(con, name, require)
        return rows


def _check(con: duckdb.DuckDBPyConnection, name: str, require: str) -> None:
    """Raises if some row of the query does not meet the condition, or there is no row."""
    relation = query_sql(con, name)
    columns = relation.columns
    try:
        duckdb.SQLExpression(require)  # one expression, all of it: "a) or (b" would mean another
        failed = relation.filter(f"({require}\n) is not true").pl()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"--require: {reason}; the columns are: {', '.join(columns)}"
        ) from None
    n_rows = len(relation.pl())
    if n_rows and failed.is_empty():
        return
    told = f"it fails for {len(failed):,} of {n_rows:,} rows" if n_rows else "there are no rows"
    if len(failed):
        names = [column for column in columns if column in _IDENTIFYING]
        told += f", the first: {', '.join(failed.select(names).row(0))}"
    raise RequirementError(f"required: {require}; {told}")


_IDENTIFYING: Final = {"source", "target", "train", "predictions", "model"}
