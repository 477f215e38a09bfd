"""What is lost when runs and parsers are killed at any moment: ``python -m benchmarks.kills``.

Run after run over the samples, in two states of them in turn, is ended by SIGKILL, or one of its
parsers is, while a reader opens the results again and again. Then one run goes undisturbed, and its
tables are held against those of a warehouse where nothing was ever killed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import duckdb

from tests.faults.test_interruptions import changed_samples, start, workers_of
from tests.faults.test_readers import look
from tests.flows.warehouses import leftovers, tables

COMMAND = "import sys; from flows.cli import main; sys.argv[0] = 'nl2sql-align'; main()"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--prefect", action="store_true", help="whole commands, with their server")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        campaign(Path(folder), given.kills, given.seed, given.prefect)


def campaign(folder: Path, n_kills: int, seed: int, with_prefect: bool) -> None:
    files = changed_samples(folder)
    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    seconds = []
    for file in (*files, files[0]):
        began = time.monotonic()
        assert begin(undisturbed, file, with_prefect).wait() == 0
        seconds.append(time.monotonic() - began)
    assert begin(disturbed, files[0], with_prefect).wait() == 0

    reader = Reader(disturbed)
    reader.start()
    moments = random.Random(seed)
    counts: Counter[str] = Counter()
    number = 0
    while counts["run killed"] + counts["parser killed, run completed"] < n_kills:
        process = begin(disturbed, files[(number + 1) % 2], with_prefect)
        if number % 3 == 2:
            counts[kill_a_worker(process, moments)] += 1
        else:
            time.sleep(moments.uniform(0.05, 0.8) * min(seconds))
            process.send_signal(signal.SIGKILL)
            was_killed = process.wait() == -signal.SIGKILL
            counts["run killed" if was_killed else "run over before the kill"] += 1
        number += 1
        print(number, dict(counts), flush=True)
    assert begin(disturbed, files[0], with_prefect).wait() == 0
    reader.stop()

    are_same = tables(disturbed) == tables(undisturbed)
    print("\n| what | |\n| --- | --- |")
    for what, n in sorted(counts.items()):
        print(f"| {what} | {n} |")
    print(f"| reads of the results meanwhile | {reader.n_reads} |")
    print(f"| states seen, each whole | {len(reader.states)} |")
    print(f"| reads that failed or saw a mixture | {len(reader.errors)} |")
    print(f"| tables equal those of undisturbed runs, to the last bit | {are_same} |")
    print(f"| temporary files left | {len(leftovers(disturbed))} |")
    print(f"| parsing processes left | {len(orphans())} |")
    if reader.errors or not are_same or leftovers(disturbed) or orphans():
        print(*reader.errors[:5], *leftovers(disturbed), sep="\n")
        sys.exit(1)


def begin(warehouse: Path, corpora: Path, with_prefect: bool) -> "subprocess.Popen[str]":
    """A run in a process group of its own."""
    if not with_prefect:
        return start("run", warehouse, corpora, stdout=subprocess.DEVNULL)
    arguments = [sys.executable, "-c", COMMAND, "run", corpora, "--warehouse", warehouse]
    return subprocess.Popen(
        list(map(str, arguments)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def kill_a_worker(process: "subprocess.Popen[str]", moments: random.Random) -> str:
    """Kills one of a run's parsers, some moment after there is one; the run goes on."""
    pause, killed = moments.uniform(0, 0.5), False
    while process.poll() is None and not killed:
        if workers_of(process.pid):
            time.sleep(pause)
            for worker in workers_of(process.pid)[:1]:
                os.kill(worker, signal.SIGKILL)
                killed = True
        time.sleep(0.002)
    assert process.wait() == 0, "a run did not survive the loss of a parser"
    return "parser killed, run completed" if killed else "run over before a parser was killed"


def orphans() -> list[int]:
    """Parsing processes whose run is gone."""
    time.sleep(1)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if b"tasks.parse_worker" in arguments and parent == "1":
            found.append(int(folder.name))
    return found


class Reader(threading.Thread):
    """Opens the results, looks whether they are whole, and closes them, all the time."""

    def __init__(self, warehouse: Path) -> None:
        super().__init__(daemon=True)
        self._warehouse = warehouse
        self._ends = threading.Event()
        self.n_reads = 0
        self.states: set[object] = set()
        self.errors: list[str] = []

    def run(self) -> None:
        while not self._ends.is_set():
            try:
                self.states.add(look(self._warehouse))
            except (AssertionError, duckdb.Error) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            self.n_reads += 1
            time.sleep(0.01)

    def stop(self) -> None:
        self._ends.set()
        self.join()


if __name__ == "__main__":
    main()
