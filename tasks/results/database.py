"""Connections to the published database."""

import re
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from nl2sql_align.tasks.base.connections import connect, lock
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.base.run_sql import run_sql
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.object_store import find_published, warehouse_at

NO_LOG: Final = "recovery_mode no_wal_writes"
"""Option to attach a file that is renamed when it is complete, and so needs no write-ahead log."""

PUBLISH_VERSION: Final = 12
"""Increase with every change of the published tables."""

_N_SHOWN: Final = 3
_COUNTS_VIEW: Final = "ngram_counts"
# The definition of the view, which names the files of each run.
_COUNTS_SQL: Final = re.compile(
    r"CREATE VIEW ngram_counts AS SELECT \* FROM read_parquet\(list_value\("
    r"'(?:[^']|'')*'(?:, '(?:[^']|'')*')*\)\);"
)


class Content(NamedTuple):
    """A table, a view or a macro in a database."""

    kind: str
    schema: str
    name: str
    sql: str


def open_results(place: Path | str) -> duckdb.DuckDBPyConnection:
    """Open the published results for reading; use the connection in a ``with``, or close it.

    The connection reads the tables and the files of this warehouse, and no other file. It cannot
    load extensions or change DuckDB's settings. Query an Arrow table or a data frame by the name
    under which ``register`` adds it to the connection.

    Args:
        place: The folder of the results, or their address on a store.

    Raises:
        WarehouseError: The results are missing or unreadable, another version made them, or they
            contain a view, macro or table that this program did not make.
    """
    warehouse = warehouse_at(place)
    found = find_published(warehouse)
    database = found.database
    if not database.is_file():
        raise WarehouseError(
            f"{warehouse.place} contains no results (no {database.name}); "
            f"create them: nl2sql-align run CORPORA.toml --warehouse {warehouse.place}"
        )
    try:
        with ExitStack() as opened:
            con, foreign = open_database(database, list_readable(warehouse))
            opened.enter_context(con)
            found.files.register_with(con)
            made_by = con.execute(
                "select versions ->> 'publish' from runs order by rowid desc limit 1"
            ).fetchall()
            if made_by not in ([], [(None,)], [(str(PUBLISH_VERSION),)]):
                raise WarehouseError(
                    f"{database} was made by another version of nl2sql-align; "
                    f"run it again: nl2sql-align run CORPORA.toml --warehouse {warehouse.place}"
                )
            if foreign:
                raise WarehouseError(describe_foreign(database, foreign))
            opened.pop_all()
            return con
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        remedy = "close it there" if is_locked(error) else "remove it and run again"
        raise WarehouseError(f"{database} cannot be read ({reason}); {remedy}") from None


def list_readable(warehouse: Warehouse) -> list[str]:
    """Return the folders, or the address, of the files that published results name."""
    if warehouse.address is not None:
        return [warehouse.address]
    folders = (warehouse.folder.absolute(), warehouse.folder.resolve())
    return [str(folder / name) for folder in folders for name in ("ngrams", "stages")]


def open_database(
    database: Path, readable: Iterable[str] = ()
) -> tuple[duckdb.DuckDBPyConnection, list[Content]]:
    """Open the current file of a published database, of any version, for reading.

    ``duckdb.connect`` with its path would return an older file that this process still has open.

    Args:
        database: The file.
        readable: Folders and addresses that queries may read.

    Returns:
        A connection, and the contents that this version does not make. Tables of this version's
        names are tables, so reading them executes no code of the file.

    Raises:
        duckdb.Error: The file cannot be opened.
        WarehouseError: It is another program's database, or a view or a macro takes the place of a
            table or a function.
    """
    con = connect()
    try:
        con.execute(f"attach '{escape_text(database)}' as results (read_only)")
        lock(con, readable)
        # Before `use`: a macro of the database would replace a function of the same name.
        contents = sorted(_list(con, "macros", "results") + _list(con, "contents", "results"))
        if not any(one.name == "runs" for one in contents):
            raise WarehouseError(
                f"{database} is another program's database; move it, or choose another --warehouse"
            )
        foreign = [one for one in contents if not _is_own(one)]
        names = {own.name for own in _own_contents() if own.kind == "table"}
        in_place = [
            c for c in foreign if c.kind == "macro" or (c.kind == "view" and c.name in names)
        ]
        if in_place:
            raise WarehouseError(describe_foreign(database, in_place))
        con.execute("use results")
    except BaseException:
        con.close()
        raise
    return con, foreign


def describe_foreign(database: Path, foreign: list[Content]) -> str:
    """Return an error message about contents that this version does not make."""
    shown = ", ".join(f"{one.kind} {one.name!r}" for one in foreign[:_N_SHOWN])
    more = f" and {len(foreign) - _N_SHOWN:,} more" if len(foreign) > _N_SHOWN else ""
    return (
        f"{database} contains objects that this version of nl2sql-align does not make "
        f"({shown}{more}), and is not read; remove it and run again"
    )


def _is_own(content: Content) -> bool:
    is_counts = content.name == _COUNTS_VIEW and bool(_COUNTS_SQL.fullmatch(content.sql))
    return is_counts or content in _own_contents()


def _list(con: duckdb.DuckDBPyConnection, kinds: str, database: str) -> list[Content]:
    rows = run_sql(con, f"results/read/{kinds}", database=database).fetchall()
    return [Content(*row) for row in rows]


@cache
def _own_contents() -> frozenset[Content]:
    """Return the tables and views of a new database of this version."""
    with connect() as con:
        run_sql(con, "results/publish/tables")
        return frozenset(_list(con, "contents", "memory"))


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
