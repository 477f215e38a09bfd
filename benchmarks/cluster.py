"""What a cluster costs, and what memory counting takes: ``python -m benchmarks.cluster``.

Runs the whole command with each runner that is named, over one generated corpus and the samples:

    python -m benchmarks.cluster --folder FOLDER --queries 1000000 local:1 local:2 dask:1 dask:2

A run is named ``RUNNER:THREADS`` or ``RUNNER:THREADS:MEMORY_LIMIT``. With ``--random`` the queries
are runs of random functions, which share next to no n-grams: 1,100 new ones each, so that some
thousand queries have a dictionary that is larger than a low memory limit:

    python -m benchmarks.cluster --folder FOLDER --random --queries 10000 \\
        local:2 local:2:400MB dask:2:400MB

Prints a row for each run: seconds, CPU seconds of all processes, what they took at most together
(PSS), and the most resident bytes of the run's own process and of each worker of the cluster. Ends
with an error where not all runs publish the same tables, to the last bit.
"""

import argparse
import shutil
from pathlib import Path
from random import Random

import duckdb

from benchmarks.inputs import samples, synthetic
from benchmarks.process import Taken, run_contestant
from benchmarks.report import say

_SEED = "cluster"
_FUNCTIONS_PER_QUERY = 60
_N_FUNCTIONS = 300
# When and where, not what.
_ASIDE = {"ingested_at", "ngrams_file", "path", "templates_file"}
_OF_RUNS = ("runs", "_history", "_change")


def random_queries(folder: Path, n_queries: int) -> Path:
    """A corpora file with one corpus of random queries, made if it is not there."""
    name = f"random-{n_queries}"
    dump, path = folder / f"{name}.sql", folder / f"{name}.toml"
    if not path.exists():
        random = Random(_SEED)
        with dump.open("w", encoding="utf-8") as file:
            for _ in range(n_queries):
                terms = [f"f{random.randrange(_N_FUNCTIONS)}(a)"]
                for _ in range(_FUNCTIONS_PER_QUERY - 1):
                    terms += [random.choice("+-*/"), f"f{random.randrange(_N_FUNCTIONS)}(a)"]
                file.write(f"SELECT {' '.join(terms)} FROM t\n")
        path.write_text(
            f'[[corpus]]\nname = "{name}"\nrole = "train"\nformat = "lines"\n'
            f'dialect = "sqlite"\npath = "{dump.name}"\n',
            encoding="utf-8",
        )
    return path


def with_samples(corpora: Path) -> Path:
    """The corpora of a file, and the samples."""
    path = corpora.with_suffix(".samples.toml")
    path.write_text(f"{corpora.read_text('utf-8')}\n{samples()}", encoding="utf-8")
    return path


def take(corpora: Path, folder: Path, run: str) -> dict[str, object]:
    """Runs the whole command, says what it took, and gives a digest of each published table."""
    runner, threads, *limit = run.split(":")
    warehouse = folder / "warehouse"
    shutil.rmtree(warehouse, ignore_errors=True)
    options = ["--runner", runner, "--threads", threads]
    options += ["--memory-limit", *limit] if limit else []
    environment = {"PREFECT_HOME": str(folder / "prefect")}
    taken = run_contestant(
        "ours-with-prefect", corpora, warehouse, *options, environment=environment
    )
    with duckdb.connect(warehouse / "alignment.duckdb", read_only=True) as con:
        digests = digests_of(con)
    n_files = len(list((warehouse / "ngrams").rglob("*.parquet")))
    say(row_of(run, taken, n_files))
    shutil.rmtree(warehouse)
    return digests


def digests_of(con: duckdb.DuckDBPyConnection) -> dict[str, object]:
    """Of each public table, how many rows it has and the sum of their hashes, in any order."""
    names = [name for (name,) in con.execute("show tables").fetchall()]
    return {
        table: con.execute(
            "select count(*), "
            f"sum(hash(*columns(lambda c: c not in {sorted(_ASIDE)}))::hugeint) from {table}"
        ).fetchall()
        for table in names
        if not table.endswith(_OF_RUNS)
    }


def row_of(run: str, taken: Taken, n_files: int) -> str:
    """A row of the printed table."""
    main = next(most for command, most in taken.processes if "benchmarks.contestants" in command)
    workers = [most for command, most in taken.processes if "spawn_main" in command]
    parsers = [
        most
        for command, most in taken.processes
        if "nl2sql_align.tasks.templates.parser_process" in command
    ]
    shown = [
        ", ".join(f"{most / 1e6:,.0f}" for most in some) + " MB" if some else "-"
        for some in ([main], sorted(workers), [max(parsers, default=0)])
    ]
    return (
        f"| `{run}` | {taken.seconds:.0f} | {taken.cpu_seconds:.0f} | "
        f"{taken.peak_bytes / 1e6:,.0f} MB | {' | '.join(shown)} | {n_files} |"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("runs", nargs="+", metavar="RUNNER:THREADS[:MEMORY_LIMIT]")
    options.add_argument("--folder", type=Path, required=True, help="for dumps and results")
    options.add_argument("--queries", type=int, default=200_000)
    options.add_argument("--random", action="store_true")
    given = options.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    corpora = with_samples((random_queries if given.random else synthetic)(folder, given.queries))
    say(
        "| run | seconds | CPU seconds | peak of all | peak of the run | of each worker "
        "| of a parser | files of counts |\n" + "| --- " * 8 + "|"
    )
    digests = [take(corpora, folder, run) for run in given.runs]
    different = {
        table for other in digests[1:] for table in other if other[table] != digests[0].get(table)
    }
    if different:
        raise SystemExit(f"not the same in all runs: {', '.join(sorted(different))}")
    say("\nAll runs have published the same tables.")


if __name__ == "__main__":
    main()
