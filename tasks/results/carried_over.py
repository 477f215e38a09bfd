"""What no dump holds and no run can make anew: the history of runs, and decisions.

It stands in the published database, and once more in a small one beside the stage files: where the
published one is lost or damaged, a run takes it from there.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.results.database import NO_LOG, quoted, quoted_name
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
)
"""Tables of the published database that commands fill, and that later runs carry over."""


def read_kept(con: duckdb.DuckDBPyConnection) -> dict[str, "pa.Table"]:
    """The rows of these tables, of those that a database has; in any version."""
    return {table: con.table(table).to_arrow_table() for table in _tables(con)}


def save_kept(con: duckdb.DuckDBPyConnection, destination: Path) -> None:
    """Copies these tables of the database that a connection uses into a new one."""
    con.execute(f"attach '{quoted(destination)}' as kept ({NO_LOG})")
    for table in map(quoted_name, _tables(con)):
        con.execute(f"create table kept.{table} as from {table}")
    con.execute("detach kept")  # checkpoints


def _tables(con: duckdb.DuckDBPyConnection) -> list[str]:
    there = {name for (name,) in con.execute("show tables").fetchall()}
    return [table for table in (*HISTORY_TABLES, *DECISION_TABLES) if table in there]


def saved_kept(warehouse: Warehouse) -> dict[str, "pa.Table"]:
    """The copy; empty where there is none, or where it cannot be read either."""
    if not warehouse.carried_over_file.exists():
        return {}
    try:
        with connect() as con:
            con.execute(f"attach '{quoted(warehouse.carried_over_file)}' as kept (read_only)")
            con.execute("use kept")
            return read_kept(con)
    except duckdb.Error:
        return {}
