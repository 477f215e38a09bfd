"""Connections to the published database."""

from pathlib import Path
from typing import Final

import duckdb

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.warehouse.object_store import find_published, warehouse_at

NO_LOG: Final = "recovery_mode no_wal_writes"
"""Option to attach a file that is renamed when it is complete, and so needs no write-ahead log."""

PUBLISH_VERSION: Final = 11
"""Increase with every change of the published tables."""


def open_results(place: Path | str) -> duckdb.DuckDBPyConnection:
    """Open the published results for reading; use the connection in a ``with``, or close it.

    Args:
        place: The folder of the results, or their address on a store.

    Raises:
        WarehouseError: The results are missing or unreadable, or another version made them.
    """
    found = find_published(warehouse_at(place))
    database = found.database
    if not database.is_file():
        raise WarehouseError(
            f"{place} holds no results (no {database.name}); "
            f"create them: nl2sql-align run CORPORA.toml --warehouse {place}"
        )
    try:
        con = open_database(database)
        found.files.register_with(con)
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
            f"run it again: nl2sql-align run CORPORA.toml --warehouse {place}"
        )
    return con


def open_database(database: Path) -> duckdb.DuckDBPyConnection:
    """Open the current file of a published database for reading.

    ``duckdb.connect`` with its path would return an older file that this process still has open.

    Raises:
        duckdb.Error: The file cannot be opened, or it is another program's database.
    """
    con = connect()
    try:
        attach_results(con, database, "read_only")
        con.table("corpora")  # raises for another program's database
    except duckdb.Error:
        con.close()
        raise
    return con


def attach_results(con: duckdb.DuckDBPyConnection, database: Path, options: str) -> None:
    """Attach a database as ``results``, with options of DuckDB's ``attach``, and use it."""
    con.execute(f"attach '{escape_text(database)}' as results ({options})")
    con.execute("use results")


def detach_results(con: duckdb.DuckDBPyConnection) -> None:
    """Detach ``results``, which completes its file."""
    con.execute("use memory")
    con.execute("detach results")  # checkpoints


def is_locked(error: duckdb.Error) -> bool:
    """Whether an error says that another process has the database open for writing."""
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)


def escape_text(path: Path | str) -> str:
    """Escape a path for a SQL string literal, for statements that take no parameters."""
    return str(path).replace("'", "''")


def quote_name(name: str) -> str:
    """Quote the name of a table or column."""
    return '"' + name.replace('"', '""') + '"'
