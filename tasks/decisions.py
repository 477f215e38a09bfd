"""Decisions that users ask for between runs, kept beside the results that they were made from."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tasks.engine import connect
from tasks.kept import save_kept
from tasks.results import open_results, quoted, quoted_name
from tasks.warehouse import Warehouse, written_whole

if TYPE_CHECKING:
    import polars as pl

_SECONDS_TO_WAIT: Final = 60.0


def last_run(warehouse: Path) -> str:
    """The id of the run that made the results of a warehouse.

    Raises:
        WarehouseError: There are none.
    """
    with open_results(warehouse) as con:
        row = con.execute("select run_id from runs order by rowid desc limit 1").fetchone()
    assert row is not None  # a published database has the run that made it
    return str(row[0])


def record(warehouse: Path, table: str, rows: "pl.DataFrame", key: Mapping[str, Any]) -> None:
    """Puts a decision's rows into its table of the published database.

    Readers see the database without them or with all of them.

    Args:
        warehouse: The folder of the results.
        table: One of ``tasks.kept.DECISION_TABLES``.
        rows: The rows, with the table's columns, in any order.
        key: Values of at least one column; earlier rows that have them all are replaced.

    Raises:
        WarehouseError: There are no results, or a run has been writing them for a minute.
    """
    house = Warehouse(warehouse)
    with house.locked(_SECONDS_TO_WAIT), open_results(warehouse):
        with written_whole(house.database) as temporary, connect() as con:
            shutil.copyfile(house.database, temporary)
            con.execute(f"attach '{quoted(temporary)}' as results")
            con.execute("use results")
            con.register("decision_rows", rows.to_arrow())
            met = " and ".join(f"{quoted_name(column)} is not distinct from ?" for column in key)
            con.execute(f"delete from {quoted_name(table)} where {met}", list(key.values()))
            con.execute(f"insert into {quoted_name(table)} by name from decision_rows")
            con.unregister("decision_rows")
            con.execute("use memory")
            con.execute("detach results")  # checkpoints: no .wal stays beside the file
        save_kept(house)
