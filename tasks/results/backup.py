"""Backup of the tables that no run can rebuild: the history of runs, and decisions.

They are part of the published database. A copy is stored beside the stage files, and a run reads
it if the published database is lost or damaged.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from nl2sql_align.tasks.results.database import (
    NO_LOG,
    SMALL_BLOCKS,
    escape_text,
    open_database,
    quote_name,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

HISTORY_TABLES: Final = ("runs", "alignment_history", "alignment_ratio_history")
"""Tables to which every run adds rows."""

DECISION_TABLES: Final[tuple[str, ...]] = (
    "headroom_ratio",
    "calibration",
    "calibration_summary",
    "calibration_parts",
    "sample_size",
    "selections",
    "selection_curves",
    "mixtures",
    "gaps",
)
"""Tables that commands fill between runs, and that later runs carry over."""


def read_backed_up_tables(con: duckdb.DuckDBPyConnection) -> dict[str, "pa.Table"]:
    """Return the rows of these tables by name; databases of other versions may lack some."""
    return {table: con.table(table).to_arrow_table() for table in _list_tables(con)}


def write_backup(con: duckdb.DuckDBPyConnection, destination: Path) -> None:
    """Copy these tables from the database in use by a connection into a new file."""
    con.execute(f"attach '{escape_text(destination)}' as backup ({NO_LOG}, {SMALL_BLOCKS})")
    for table in map(quote_name, _list_tables(con)):
        con.execute(f"create table backup.{table} as from {table}")
    con.execute("detach backup")  # checkpoints


def read_backup(warehouse: Warehouse) -> dict[str, "pa.Table"]:
    """Return the rows in the backup by table; empty if it is missing or cannot be read.

    Raises:
        WarehouseError: Reading it would execute SQL that is stored in it.
    """
    if not warehouse.backup_file.exists():
        return {}
    try:
        con, _ = open_database(warehouse.backup_file)
        with con:
            return read_backed_up_tables(con)
    except duckdb.Error:
        return {}


def _list_tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    existing = {name for (name,) in con.execute("show tables").fetchall()}
    return [table for table in (*HISTORY_TABLES, *DECISION_TABLES) if table in existing]
