"""Read a warehouse from outside: its tables to compare, its files to see which were rewritten."""

from pathlib import Path

import duckdb

from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.part_files import is_complete

TABLES = (
    "corpora",
    "queries",
    "templates",
    "ngram_counts",
    "alignment",
    "alignment_ratio",
    "alignment_by_slice",
    "tuning_effect",
    "ngram_contributions",
    "structural_features",
    "answer_errors",
    "alignment_intervals",
    "ceilings",
)
"""The public tables and views that every run fills, without the history."""

# Columns that differ between equal results: times, and paths.
_ASIDE = {"ingested_at", "ngrams_file", "path", "queries_file", "templates_file"}


def read(folder, query, *parameters):
    """Return the rows of a query on the published results."""
    with duckdb.connect(str(Warehouse(Path(folder)).database), read_only=True) as con:
        return con.execute(query, list(parameters)).fetchall()


def tables(place, aside=_ASIDE):
    """Return all rows of the public tables, sorted, with numbers to the last bit."""
    found = {}
    with open_results(place) as con:
        for table in TABLES:
            relation = con.table(table)
            columns = [column for column in relation.columns if column not in aside]
            rows = relation.project(", ".join(columns)).fetchall()
            found[table] = sorted(
                (tuple(v.hex() if isinstance(v, float) else v for v in row) for row in rows),
                key=repr,
            )
            may_be_empty = (
                *("tuning_effect", "alignment_ratio"),
                *("alignment_by_slice", "answer_errors"),
            )
            assert rows or table in may_be_empty, f"{table} is empty"
    return found


def stage_files(folder):
    """Return the inode, time and size of each stage file; they change when it is rewritten."""
    warehouse = Warehouse(Path(folder))
    paths = [*warehouse.ngrams.iterdir(), *(warehouse.folder / "stages").rglob("*.*")]
    # Each run adds itself to the history, and so to its backup, its digest, and its time.
    of_run = (warehouse.backup_file, warehouse.digests_file, warehouse.inputs_file)
    stats = {path: path.stat() for path in paths if path not in of_run}
    return {
        path.relative_to(warehouse.folder).as_posix(): (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        for path, stat in stats.items()
    }


def count_rewritten(before, after):
    """Return how many files each stage wrote between two calls of ``stage_files``."""
    counts = dict.fromkeys(("queries", "templates", "ngrams", "pairs", "intervals"), 0)
    for name, stat in after.items():
        # Shares of parsed queries by dialect are not a stage, but cached for a note.
        # Packed queries follow from those of the dump and from the templates.
        is_stage = not name.endswith(".json") and not name.startswith("queries/")
        if before.get(name) != stat and is_stage:
            # These two stages write several files together.
            is_counted = not Path(name).name.startswith(
                ("contributions-", "values-", "intervals-", "ratios-", "reaches-", "ceilings-")
            )
            counts[Path(name).parent.name] += is_counted
    return counts


def leftovers(folder):
    """Return the files that exist only during a run."""
    warehouse = Warehouse(Path(folder))
    names = [
        path.relative_to(warehouse.folder).as_posix()
        for path in warehouse.folder.rglob("*")
        if not (path.is_dir() and is_complete(path))
    ]
    return [
        name
        for name in names
        if "tmp" in name
        or "scratch" in name
        or name.endswith((".part", ".wal", ".lock-holder"))
        or (
            not name.endswith((".lock", ".duckdb", ".parquet", "report.html"))
            and name not in ("ngrams", "queries")
            and not name.startswith("stages")
        )
    ]
