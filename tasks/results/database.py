"""The published database: how it is opened, attached and locked."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.warehouse.object_store import find_published, warehouse_at

if TYPE_CHECKING:
    pass


NO_LOG: Final = "recovery_mode no_wal_writes"
"""How to attach a file that no one sees until it is whole: a log would only be written as well."""


PUBLISH_VERSION: Final = 9
"""Goes up with every change of the published tables."""


def open_results(place: Path | str) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the published results; close it, or use it in a ``with``.

    Raises:
        WarehouseError: There are none, they cannot be read, or another version made them.
    """
    found = find_published(warehouse_at(place))
    database = found.database
    if not database.is_file():
        raise WarehouseError(
            f"{place} holds no results (no {database.name}); "
            f"make some: nl2sql-align run CORPORA.toml --warehouse {place}"
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
