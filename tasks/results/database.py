"""Connections to the published database."""

import glob
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
from nl2sql_align.tasks.warehouse.ownership import check_owner
from nl2sql_align.tasks.warehouse.part_files import name_below

NO_LOG: Final = "recovery_mode no_wal_writes"
"""Option to attach a file that is renamed when it is complete, and so needs no write-ahead log."""

SMALL_BLOCKS: Final = "block_size 16384"
"""Option to attach a new file, which has many small tables: each takes a block of it at least."""

PUBLISH_VERSION: Final = 14
"""Raise it with every change of the published tables."""

_N_SHOWN: Final = 3
# The views over files, with the folders of the files.
_FOLDERS: Final = {"ngram_counts": "ngrams", "queries": "queries"}
_TEXT: Final = r"'(?:[^']|'')*'"
_VIEW_SQL: Final = re.compile(
    r"CREATE VIEW (\w+) AS SELECT \* FROM read_parquet\(list_value\("
    rf"({_TEXT}(?:, {_TEXT})*)\)\);"
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
        raise WarehouseError(_describe_missing(warehouse, database.name))
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
            _read_files_here(con, warehouse)
            opened.pop_all()
            return con
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        remedy = "close it there" if is_locked(error) else "remove it and run again"
        raise WarehouseError(f"{database} cannot be read ({reason}); {remedy}") from None


def _describe_missing(warehouse: Warehouse, database: str) -> str:
    """Return an error message about a warehouse without results, with a command that can work."""
    place, create = warehouse.place, "nl2sql-align run CORPORA.toml --warehouse"
    if warehouse.address is None:
        if not warehouse.folder.exists():
            return f"{place} does not exist; check the name, or create results: {create} {place}"
        try:
            check_owner(warehouse.folder)
            is_usable = warehouse.folder.is_dir()
        except (WarehouseError, OSError):
            is_usable = False
        if not is_usable:
            return (
                f"{place} is not a warehouse (no {database}); name the folder of the results, or "
                f"create them in another folder: {create} DIR"
            )
    return f"{place} contains no results (no {database}); create them: {create} {place}"


def _read_files_here(con: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> None:
    """Let a connection to a moved or copied warehouse read the files in its folder."""
    if warehouse.address is None:
        for view, files in find_elsewhere(con, warehouse).items():
            if all(file.is_file() for file in files):
                create_view(con, view, map(str, files), temporary=True)


def list_readable(warehouse: Warehouse) -> list[str]:
    """Return the folders, or the address, of the files that published results name."""
    if warehouse.address is not None:
        return [warehouse.address]
    folders = (warehouse.folder.absolute(), warehouse.folder.resolve())
    return [str(folder / name) for folder in folders for name in (*_FOLDERS.values(), "stages")]


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
    return content in _own_contents() or bool(list_named_files(content))


def list_named_files(content: Content) -> list[str]:
    """Return the files that a view names; an empty list if it is not a view over our files."""
    view = _VIEW_SQL.fullmatch(content.sql)
    if content.name not in _FOLDERS or view is None or view[1] != content.name:
        return []
    patterns = (text[1:-1].replace("''", "'") for text in re.findall(_TEXT, view[2]))
    return [re.sub(r"\[([*?[])\]", r"\1", pattern) for pattern in patterns]


def create_view(
    con: duckdb.DuckDBPyConnection, name: str, files: Iterable[str], *, temporary: bool = False
) -> None:
    """Create, or replace, a view over Parquet files.

    Args:
        con: A connection that uses the database.
        name: The name of the view.
        files: The paths or addresses of the files, which must exist.
        temporary: Whether the view belongs to the connection, where it hides that of the database.
    """
    # A view takes no parameters.
    patterns = ", ".join(f"'{escape_text(glob.escape(file))}'" for file in files)
    kind = "temp view" if temporary else "view"
    con.execute(f"create or replace {kind} {name} as from read_parquet([{patterns}])")


def find_elsewhere(con: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> dict[str, list[Path]]:
    """Return the places in the warehouse's folder of files that are named elsewhere.

    Args:
        con: A connection to the published database, attached as ``results``.
        warehouse: The warehouse, in a folder.

    Returns:
        For each view that names a file outside of the folder: the place in the folder that each of
        its files has, if it was moved or copied with the database.
    """
    found = {}
    for view in _list(con, "contents", "results"):
        if names := list_named_files(view):
            below = [f"{_FOLDERS[view.name]}/{name_below(name)}" for name in names]
            folder, real = warehouse.folder.absolute(), warehouse.folder.resolve()
            if names not in ([str(one / file) for file in below] for one in (folder, real)):
                found[view.name] = [folder / file for file in below]
    return found


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
    """Return whether an error says that another process has the database open for writing."""
    return isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)


def escape_text(path: Path | str) -> str:
    """Escape a path for a SQL string literal, for statements that take no parameters."""
    return str(path).replace("'", "''")


def quote_name(name: str) -> str:
    """Quote the name of a table or column."""
    return '"' + name.replace('"', '""') + '"'
