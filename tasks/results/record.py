"""Changes of the published database between runs: decisions of users, and places of files."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import ConfigurationError, ConflictError, WarehouseError
from nl2sql_align.tasks.base.run_sql import run_sql
from nl2sql_align.tasks.results.backup import write_backup
from nl2sql_align.tasks.results.database import (
    NO_LOG,
    attach_results,
    create_view,
    detach_results,
    find_elsewhere,
    open_results,
    quote_name,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse, write_atomically
from nl2sql_align.tasks.warehouse.folder_lock import FolderLock
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at

if TYPE_CHECKING:
    import polars as pl

_SECONDS_TO_WAIT: Final = 60.0
_TRIES: Final = 3


def last_run_id(con: duckdb.DuckDBPyConnection) -> str:
    """Return the id of the run that published the results of a connection."""
    # Every published database has its run.
    [(run_id,)] = con.execute("select run_id from runs order by rowid desc limit 1").fetchall()
    return str(run_id)


def record_decision(
    place: Path | str, table: str, rows: "pl.DataFrame", key: Mapping[str, Any]
) -> None:
    """Write the rows of a decision to its table of the published database.

    Readers see the database without these rows or with all of them.

    Args:
        place: The folder of the results, or their address on a store.
        table: One of ``tasks.results.backup.DECISION_TABLES``.
        rows: The rows, with the table's columns in any order.
        key: Values of at least one column; rows with all of these values are replaced.

    Raises:
        WarehouseError: The results are missing, or a run has locked the warehouse for a minute.
        ConflictError: Other processes keep publishing to the same store.
    """
    warehouse = warehouse_at(place)
    for _ in range(_TRIES - 1):
        with suppress(ConflictError):
            _write_rows(warehouse, table, rows, key)
            return
    _write_rows(warehouse, table, rows, key)


def _write_rows(
    warehouse: Warehouse, table: str, rows: "pl.DataFrame", key: Mapping[str, Any]
) -> None:
    files = [warehouse.name_of(file) for file in (warehouse.database, warehouse.backup_file)]
    # The folder may contain other files, for example if the database was downloaded.
    with warehouse.locked(_SECONDS_TO_WAIT, force=True) as lock:
        pull(warehouse, *files)
        with _changing(warehouse, lock) as con:
            con.register("decision_rows", rows.to_arrow())
            condition = " and ".join(f"{quote_name(name)} is not distinct from ?" for name in key)
            con.execute(f"delete from {quote_name(table)} where {condition}", list(key.values()))
            con.execute(f"insert into {quote_name(table)} by name from decision_rows")
            con.unregister("decision_rows")
        push(warehouse, *files)


@contextmanager
def _changing(warehouse: Warehouse, lock: FolderLock) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection to a copy of the published database, which then replaces it.

    Raises:
        WarehouseError: The results are missing, of another version, or not as they were published.
    """
    open_results(warehouse.folder).close()  # checks that there are results of this version
    if not warehouse.is_database_intact():
        raise WarehouseError(
            f"{warehouse.database} is not as it was published; run again with the same "
            "--warehouse, which makes it again"
        )
    with (
        write_atomically(warehouse.backup_file) as backup,
        write_atomically(warehouse.database) as temporary,
        connect() as con,
    ):
        shutil.copyfile(warehouse.database, temporary)
        attach_results(con, temporary, NO_LOG)
        yield con
        write_backup(con, backup)
        detach_results(con)
        warehouse.record_next_database(temporary)
        lock.check()
    warehouse.record_digests()


def relocate(place: Path | str) -> int:
    """Point the views of a moved or copied warehouse to the files in its folder.

    The functions and commands of this program read the files there in any case; other programs
    read those that the views name.

    Args:
        place: The folder of the results.

    Returns:
        The number of files that the changed views name; 0 if all views are already right.

    Raises:
        ConfigurationError: The results are on a store.
        WarehouseError: The results, or files of the views, are missing; or the warehouse is in use.
    """
    warehouse = warehouse_at(place).resolved
    if warehouse.address is not None:
        raise ConfigurationError(
            f"{warehouse.address}: only a warehouse in a folder can be relocated; after copying "
            "one on a store, run again with the new address"
        )
    if not _find_moved(warehouse):
        return 0
    with warehouse.locked(_SECONDS_TO_WAIT, force=True) as lock:
        moved = _find_moved(warehouse)
        with _changing(warehouse, lock) as con:
            for view, files in moved.items():
                create_view(con, view, map(str, files))
            run_sql(con, "results/publish/view_comments")
            run_sql(con, "results/publish/relocate", folder=str(warehouse.folder))
    return sum(map(len, moved.values()))


def _find_moved(warehouse: Warehouse) -> dict[str, list[Path]]:
    """Return the files in the folder for each view that names them elsewhere.

    Raises:
        WarehouseError: The results, or one of these files, are missing.
    """
    with open_results(warehouse.folder) as con:
        moved = find_elsewhere(con, warehouse)
    for file in chain(*moved.values()):
        if not file.is_file():
            raise WarehouseError(
                f"{file} is missing: copy it there from the folder in which the results were made, "
                f"or run again: nl2sql-align run CORPORA.toml --warehouse {warehouse.folder}"
            )
    return moved
