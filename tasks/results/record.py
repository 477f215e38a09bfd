"""Recording of decisions, which users make between runs, in the published database."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import ConflictError, WarehouseError
from nl2sql_align.tasks.results.backup import write_backup
from nl2sql_align.tasks.results.database import (
    NO_LOG,
    attach_results,
    detach_results,
    open_results,
    quote_name,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse, write_atomically
from nl2sql_align.tasks.warehouse.object_store import pull, push, warehouse_at

if TYPE_CHECKING:
    import polars as pl

_SECONDS_TO_WAIT: Final = 60.0
_TRIES: Final = 3


def last_run_id(place: Path | str) -> str:
    """Return the id of the run that published the results of a warehouse.

    Raises:
        WarehouseError: The results are missing.
    """
    with open_results(place) as con:
        row = con.execute("select run_id from runs order by rowid desc limit 1").fetchone()
    assert row is not None  # every published database has its run
    return str(row[0])


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
    files = [
        file.relative_to(warehouse.folder).as_posix()
        for file in (warehouse.database, warehouse.backup_file)
    ]
    # The folder may contain other files, for example if the database was downloaded.
    with warehouse.locked(_SECONDS_TO_WAIT, force=True) as lock:
        pull(warehouse, *files)
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
            con.register("decision_rows", rows.to_arrow())
            condition = " and ".join(f"{quote_name(name)} is not distinct from ?" for name in key)
            con.execute(f"delete from {quote_name(table)} where {condition}", list(key.values()))
            con.execute(f"insert into {quote_name(table)} by name from decision_rows")
            con.unregister("decision_rows")
            write_backup(con, backup)
            detach_results(con)
            warehouse.record_next_database(temporary)
            lock.check()
        warehouse.record_digests()
        push(warehouse, *files)
