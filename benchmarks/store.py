"""The cost of a warehouse on an object store: ``python -m benchmarks.store CORPORA.toml``.

Run the whole command over the corpora with a warehouse on disk, and with one on a local S3 server
(moto, in its own process, which is not measured): a first run, a run without changes, and one with
one more training set, of 1,000 generated queries; on the store, the last two without a working
copy. Then read the matrix. Print a row for each, with the median and the extremes of seconds and of
CPU seconds of all processes, and what was fetched and uploaded in the last of the repetitions. Exit
with an error unless all publish the same tables.
"""

import argparse
import os
import shutil
import statistics
import time
from pathlib import Path

from benchmarks.cluster import digests_of
from benchmarks.generate import write_corpora_file, write_corpus
from benchmarks.process import run_contestant
from benchmarks.report import say
from benchmarks.s3_server import BUCKET, s3_server
from nl2sql_align.tasks.base.environment import CACHE_VARIABLE
from nl2sql_align.tasks.ingest.corpora_file import format_corpora, load_corpora
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import matrix


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpora", type=Path)
    options.add_argument("--folder", type=Path, required=True, help="for results and copies")
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    folder = given.folder.resolve()
    seconds: dict[str, list[tuple[float, float]]] = {}
    digests: dict[str, object] = {}
    traffic: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    write_corpus(folder / "added.parquet", 1_000, "added")
    added = load_corpora(write_corpora_file(folder / "added.toml", ["added"], 0))
    one_more = folder / "one-more.toml"
    one_more.write_text(format_corpora([*load_corpora(given.corpora), *added]), encoding="utf-8")

    def run(name: str, place: str, cache: str, corpora: Path = given.corpora) -> None:
        os.environ[CACHE_VARIABLE] = str(folder / cache)
        environment = {"PREFECT_HOME": str(folder / "prefect")}
        measured = run_contestant("ours-with-prefect", corpora, place, environment=environment)
        traffic[name] = server.since_last()
        seconds.setdefault(name, []).append((measured.seconds, measured.cpu_seconds))

    def read(name: str, place: str, cache: str) -> None:
        os.environ[CACHE_VARIABLE] = str(folder / cache)
        start, cpu = time.perf_counter(), time.process_time()
        matrix(place)
        elapsed = time.perf_counter() - start, time.process_time() - cpu
        seconds.setdefault(name, []).append(elapsed)
        traffic[name] = server.since_last()
        with open_results(place) as con:
            digests[name] = digests_of(con)
        server.since_last()

    with s3_server(folder / "server.log") as server:
        for number in range(given.repeat):
            for name in ("warehouse", "first", "second", "third", "reader"):
                shutil.rmtree(folder / name, ignore_errors=True)
            disk, store = str(folder / "warehouse"), f"s3://{BUCKET}/{number}"
            run("first run, disk", disk, "first")
            run("first run, store", store, "first")
            run("nothing changed, disk", disk, "first")
            run("nothing changed, store", store, "first")
            run("nothing changed, store, empty copy", store, "second")
            run("one corpus more, disk", disk, "first", one_more)
            run("one corpus more, store, empty copy", store, "third", one_more)
            read("matrix, disk", disk, "reader")
            read("matrix, store, not in the cache", store, "reader")
            read("matrix, store, in the cache", store, "reader")
    shutil.rmtree(folder)
    say("| | seconds | CPU seconds | fetched | uploaded |\n| --- | --- | --- | --- | --- |")
    for name, measured in seconds.items():
        shown = (
            f"{statistics.median(some):.2f} ({min(some):.2f} to {max(some):.2f})"
            for some in zip(*measured, strict=True)
        )
        say(f"| {name} | {' | '.join(shown)} | {traffic[name]} |")
    first, *others = digests.values()
    if any(other != first for other in others):
        raise SystemExit("tables differ between runs")
    say("\nAll have published the same tables.")


if __name__ == "__main__":
    main()
