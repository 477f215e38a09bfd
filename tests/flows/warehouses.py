"""Looking at a warehouse from outside: its tables to compare, its files to tell what was redone."""

from pathlib import Path

import duckdb

from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.warehouse.count_files import are_complete
from nl2sql_align.tasks.warehouse.folder import Warehouse

TABLES = (
    "corpora",
    "queries",
    "templates",
    "ngram_counts",
    "alignment",
    "alignment_ratio",
    "tuning_effect",
    "ngram_contributions",
    "structural_features",
    "alignment_intervals",
    "ceilings",
)
"""The public tables and views, but for ``runs``."""

# When and where, not what.
_ASIDE = {"ingested_at", "ngrams_file", "path", "templates_file"}


def read(warehouse, query, *parameters):
    """The rows of a query on the published results."""
    with duckdb.connect(str(Warehouse(Path(warehouse)).database), read_only=True) as con:
        return con.execute(query, list(parameters)).fetchall()


def tables(warehouse, aside=_ASIDE):
    """All rows of the public tables, sorted, numbers to the last bit."""
    found = {}
    with open_results(warehouse) as con:
        for table in TABLES:
            relation = con.table(table)
            columns = [column for column in relation.columns if column not in aside]
            rows = relation.project(", ".join(columns)).fetchall()
            found[table] = sorted(
                (tuple(v.hex() if isinstance(v, float) else v for v in row) for row in rows),
                key=repr,
            )
            assert rows or table in ("tuning_effect", "alignment_ratio"), f"{table} is empty"
    return found


def stage_files(warehouse):
    """Each stage file with what changes when it is written again."""
    house = Warehouse(Path(warehouse))
    paths = [*house.ngrams.iterdir(), *(house.folder / "stages").rglob("*.*")]
    # Each run adds itself to the history, of which a copy is kept.
    stats = {path: path.stat() for path in paths if path != house.backup_file}
    return {
        path.relative_to(house.folder).as_posix(): (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        for path, stat in stats.items()
    }


def redone(before, after):
    """How many files each stage has written between two looks at the stage files."""
    counts = dict.fromkeys(("queries", "templates", "ngrams", "pairs", "intervals"), 0)
    for name, stat in after.items():
        # Which dialects parse how much is no stage: it is kept to spare a note its work.
        if before.get(name) != stat and not name.endswith(".json"):
            # These two stages write several files together.
            is_counted = not Path(name).name.startswith(
                ("contributions-", "values-", "intervals-", "ratios-", "ceilings-")
            )
            counts[Path(name).parent.name] += is_counted
    return counts


def leftovers(warehouse):
    """Files that only a run at work may have."""
    house = Warehouse(Path(warehouse))
    paths = [path for path in house.folder.rglob("*") if not (path.is_dir() and are_complete(path))]
    files = [path.relative_to(house.folder).as_posix() for path in paths]
    return [
        name
        for name in files
        if "tmp" in name
        or "scratch" in name
        or name.endswith((".part", ".wal", ".lock-holder"))
        or (
            not name.endswith((".lock", ".duckdb", ".parquet", "ngrams", "report.html"))
            and not name.startswith("stages")
        )
    ]
