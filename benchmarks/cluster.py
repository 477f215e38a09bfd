"""The cost of a Dask cluster, and the memory of counting: ``python -m benchmarks.cluster``.

Run the whole command with each of the given runners, over one generated corpus and the samples:

    python -m benchmarks.cluster --folder FOLDER --queries 1000000 local:1 local:2 dask:1 dask:2

A run is written ``RUNNER:THREADS`` or ``RUNNER:THREADS:MEMORY_LIMIT``. With ``--random``, queries
are sequences of random functions with hardly any n-gram in common. Each query adds 1,100 distinct
n-grams, so that some thousand queries exceed a low memory limit:

    python -m benchmarks.cluster --folder FOLDER --random --queries 10000 \\
        local:2 local:2:400MB dask:2:400MB

With ``--many CORPORA QUERIES TARGETS``, compare many generated corpora instead, the first of them
targets. The warehouse of a run that ends with ``@store``, such as ``dask:2@store``, is on a local
S3 server, which is not measured.

Print a row for each run: seconds, CPU seconds of all processes, their peak memory together (PSS),
and the peak resident memory of the main process, of each worker and of the largest parser. Exit
with an error unless all runs publish the same tables, bit for bit.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random

import duckdb

from benchmarks.generate import write_many
from benchmarks.inputs import samples, synthetic
from benchmarks.process import Measurement, run_contestant
from benchmarks.report import say
from benchmarks.s3_server import BUCKET, s3_server
from nl2sql_align.tasks.base.environment import CACHE_VARIABLE
from nl2sql_align.tasks.results.database import open_results

_SEED = "cluster"
_FUNCTIONS_PER_QUERY = 60
_N_FUNCTIONS = 300
_ON_STORE = "@store"
# Columns with times and places, and tables about runs: these differ between equal runs.
_IGNORED_COLUMNS = {"ingested_at", "ngrams_file", "path", "queries_file", "templates_file"}
_IGNORED_TABLES = ("runs", "_history", "_change")


def random_queries(folder: Path, n_queries: int) -> Path:
    """Return a corpora file with one corpus of random queries; reuse an existing one."""
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
    """Write a corpora file with the corpora of another one and the samples."""
    path = corpora.with_suffix(".samples.toml")
    path.write_text(f"{corpora.read_text('utf-8')}\n{samples()}", encoding="utf-8")
    return path


def measure(corpora: Path, folder: Path, run: str) -> dict[str, object]:
    """Run the whole command, print its row, and return a digest of each published table."""
    settings = run.removesuffix(_ON_STORE)
    runner, threads, *limit = settings.split(":")
    options = ["--runner", runner, "--threads", threads]
    options += ["--memory-limit", *limit] if limit else []
    environment = {"PREFECT_HOME": str(folder / "prefect")}
    with _warehouse(folder, is_on_store=run.endswith(_ON_STORE)) as (warehouse, files):
        measured = run_contestant(
            "ours-with-prefect", corpora, warehouse, *options, environment=environment
        )
        with open_results(warehouse) as con:
            digests = digests_of(con)
        n_files = len(list(files.rglob("ngrams/**/*.parquet")))
    say(row_of(run, measured, n_files))
    return digests


@contextmanager
def _warehouse(folder: Path, is_on_store: bool) -> Iterator[tuple[str, Path]]:
    """Return the place of a new warehouse, and the folder of its files or of its working copy."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        files = Path(name)
        if not is_on_store:
            yield str(files / "warehouse"), files
            return
        os.environ[CACHE_VARIABLE] = str(files / "cache")
        yield f"s3://{BUCKET}/{files.name}", files


def digests_of(con: duckdb.DuckDBPyConnection) -> dict[str, object]:
    """Return the number of rows of each public table, and the sum of the hashes of its rows."""
    names = [name for (name,) in con.execute("show tables").fetchall()]
    columns = f"columns(lambda c: c not in {sorted(_IGNORED_COLUMNS)})"
    return {
        table: con.execute(
            f"select count(*), sum(hash(*{columns})::hugeint) from {table}"
        ).fetchall()
        for table in names
        if not table.endswith(_IGNORED_TABLES)
    }


def row_of(run: str, measured: Measurement, n_files: int) -> str:
    """Return a row of the printed table."""
    main = next(most for command, most in measured.processes if "benchmarks.contestants" in command)
    workers = [most for command, most in measured.processes if "spawn_main" in command]
    parsers = [
        most
        for command, most in measured.processes
        if "nl2sql_align.tasks.templates.parser_process" in command
    ]
    shown = [
        ", ".join(f"{most / 1e6:,.0f}" for most in some) + " MB" if some else "-"
        for some in ([main], sorted(workers), [max(parsers, default=0)])
    ]
    return (
        f"| `{run}` | {measured.seconds:.0f} | {measured.cpu_seconds:.0f} | "
        f"{measured.peak_bytes / 1e6:,.0f} MB | {' | '.join(shown)} | {n_files} |"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("runs", nargs="+", metavar="RUNNER:THREADS[:MEMORY_LIMIT]")
    options.add_argument("--folder", type=Path, required=True, help="for dumps and results")
    options.add_argument("--queries", type=int, default=200_000)
    options.add_argument("--random", action="store_true")
    options.add_argument("--many", nargs=3, type=int, metavar=("CORPORA", "QUERIES", "TARGETS"))
    given = options.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if given.many:
        corpora = write_many(folder, *given.many)
    else:
        made = random_queries if given.random else synthetic
        corpora = with_samples(made(folder, given.queries))
    say(
        "| run | seconds | CPU seconds | peak of all | peak of the run | of each worker "
        "| of a parser | files of counts |\n" + "| --- " * 8 + "|"
    )
    needs_store = any(run.endswith(_ON_STORE) for run in given.runs)
    with s3_server(folder / "server.log") if needs_store else nullcontext():
        digests = [measure(corpora, folder, run) for run in given.runs]
    different = {
        table for other in digests[1:] for table in other if other[table] != digests[0].get(table)
    }
    if different:
        raise SystemExit(f"tables differ between runs: {', '.join(sorted(different))}")
    say("\nAll runs have published the same tables.")


if __name__ == "__main__":
    main()
