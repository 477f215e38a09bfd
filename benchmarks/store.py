"""The cost of a warehouse on an object store: ``python -m benchmarks.store CORPORA.toml``.

Run the whole command over the corpora with a warehouse on disk, and with one on a local S3 server
(moto, in its own process, which is not measured): a first run, a run without changes and, on the
store, a run without changes and without a working copy. Then read the matrix. Print a row for each,
with the median and the extremes of seconds and of CPU seconds of all processes. Exit with an error
unless all publish the same tables.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cluster import digests_of
from benchmarks.process import run_contestant
from benchmarks.report import say
from nl2sql_align.tasks.base.environment import CACHE_VARIABLE
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import matrix

_BUCKET = "benchmark"


@contextmanager
def s3_server() -> Iterator[None]:
    """Start an S3 server with an empty bucket, and set the environment for its clients."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(_BUCKET)
        yield
    finally:
        server.kill()
        server.wait()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpora", type=Path)
    options.add_argument("--folder", type=Path, required=True, help="for results and copies")
    options.add_argument("--repeat", type=int, default=3)
    given = options.parse_args()
    folder = given.folder.resolve()
    seconds: dict[str, list[tuple[float, float]]] = {}
    digests = {}

    def run(name: str, place: str, cache: str) -> None:
        os.environ[CACHE_VARIABLE] = str(folder / cache)
        environment = {"PREFECT_HOME": str(folder / "prefect")}
        measured = run_contestant(
            "ours-with-prefect", given.corpora, place, environment=environment
        )
        seconds.setdefault(name, []).append((measured.seconds, measured.cpu_seconds))

    def read(name: str, place: str, cache: str) -> None:
        os.environ[CACHE_VARIABLE] = str(folder / cache)
        start, cpu = time.perf_counter(), time.process_time()
        matrix(place)
        elapsed = time.perf_counter() - start, time.process_time() - cpu
        seconds.setdefault(name, []).append(elapsed)
        with open_results(place) as con:
            digests[name] = digests_of(con)

    with s3_server():
        for number in range(given.repeat):
            for name in ("warehouse", "first", "second", "reader"):
                shutil.rmtree(folder / name, ignore_errors=True)
            disk, store = str(folder / "warehouse"), f"s3://{_BUCKET}/{number}"
            run("first run, disk", disk, "first")
            run("first run, store", store, "first")
            run("nothing changed, disk", disk, "first")
            run("nothing changed, store", store, "first")
            run("nothing changed, store, empty copy", store, "second")
            read("matrix, disk", disk, "reader")
            read("matrix, store, not in the cache", store, "reader")
            read("matrix, store, in the cache", store, "reader")
    shutil.rmtree(folder)
    say("| | seconds | CPU seconds |\n| --- | --- | --- |")
    for name, measured in seconds.items():
        shown = (
            f"{statistics.median(some):.2f} ({min(some):.2f} to {max(some):.2f})"
            for some in zip(*measured, strict=True)
        )
        say(f"| {name} | {' | '.join(shown)} |")
    first, *others = digests.values()
    if any(other != first for other in others):
        raise SystemExit("tables differ between runs")
    say("\nAll have published the same tables.")


if __name__ == "__main__":
    main()
