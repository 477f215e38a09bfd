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
import re
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
from benchmarks.generate import write_corpora_file, write_corpus
from benchmarks.process import run_contestant
from benchmarks.report import say
from nl2sql_align.tasks.base.environment import CACHE_VARIABLE
from nl2sql_align.tasks.ingest.corpora_file import format_corpora, load_corpora
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import matrix

_BUCKET = "benchmark"


class Traffic:
    """The objects that clients of the server have fetched and uploaded, from its log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._n_read = 0

    def since_last(self) -> str:
        """Return the bytes and the number of objects in each direction since the last call."""
        import s3fs

        store = s3fs.S3FileSystem(skip_instance_cache=True)
        text = self._log.read_text(errors="replace")
        new, self._n_read = text[self._n_read :], len(text)
        shown = []
        for method in ("GET", "PUT"):
            objects = re.findall(rf'"{method} /({_BUCKET}/[^? ]+) HTTP/[0-9.]+" 200', new)
            n_bytes = sum(store.info(one)["size"] for one in objects if store.exists(one))
            shown.append(f"{n_bytes / 1e6:.2f} MB in {len(objects)}")
        return " | ".join(shown)


@contextmanager
def s3_server(log: Path) -> Iterator[Traffic]:
    """Start an S3 server with an empty bucket, and set the environment for its clients."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
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
        yield Traffic(log)
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
            disk, store = str(folder / "warehouse"), f"s3://{_BUCKET}/{number}"
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
