"""Killing runs and parser processes at random moments: ``python -m benchmarks.kills``.

Run whole commands, with Prefect and its server, over two versions of the samples in turn, and kill
each run or one of its parser processes by SIGKILL, while a reader opens the results continuously.
Then complete one run, and compare its tables with those of a warehouse without kills.
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

from tests.faults.test_interruptions import changed_samples, parsing_processes
from tests.faults.test_readers import look
from tests.flows.warehouses import leftovers, tables
from tests.unit.test_cli import COMMAND, marked

_MARK = f"kills-{os.getpid()}"
_SECONDS_TO_END = 10.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        campaign(Path(folder), given.kills, given.seed)


def campaign(folder: Path, n_kills: int, seed: int) -> None:
    files = changed_samples(folder)
    undisturbed, disturbed = folder / "undisturbed", folder / "disturbed"
    to_start, at_work = [], []
    for file in (*files, files[0]):
        began = time.monotonic()
        process = begin(undisturbed, file)
        wait_for_work(process)
        started = time.monotonic()
        check_completed(process)
        to_start.append(started - began)
        at_work.append(time.monotonic() - started)
    check_completed(begin(disturbed, files[0]))

    reader = Reader(disturbed)
    reader.start()
    moments = random.Random(seed)
    counts: Counter[str] = Counter()
    n_left = number = 0
    while counts.total() - counts["run over before the kill"] < n_kills:
        process = begin(disturbed, files[(number + 1) % 2])
        if number % 3 == 2:
            counts[kill_a_parser(process, moments)] += 1
        else:
            # Starting Prefect takes most of the time, so aim two kills of three at the steps.
            if is_at_work := moments.random() < 2 / 3:
                wait_for_work(process)
            time.sleep(moments.uniform(0, min(at_work if is_at_work else to_start)))
            process.send_signal(signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                counts["run over before the kill"] += 1
            else:
                counts[f"run killed {'at work' if is_at_work else 'before its steps'}"] += 1
        n_left += len(remaining_processes())
        number += 1
        print(number, dict(counts), flush=True)
    check_completed(begin(disturbed, files[0]))
    reader.stop()

    n_left += len(remaining_processes())
    are_same = tables(disturbed) == tables(undisturbed)
    print("\n| event or check | |\n| --- | --- |")
    for what, n in sorted(counts.items()):
        print(f"| {what} | {n} |")
    print(f"| reads of the results meanwhile | {reader.n_reads} |")
    print(f"| consistent states seen | {len(reader.states)} |")
    print(f"| reads that failed or were inconsistent | {len(reader.errors)} |")
    print(f"| tables equal those of undisturbed runs, bit for bit | {are_same} |")
    print(f"| temporary files left | {len(leftovers(disturbed))} |")
    print(f"| processes left: servers, parsers | {n_left} |")
    if reader.errors or not are_same or leftovers(disturbed) or n_left:
        print(*reader.errors[:5], *leftovers(disturbed), sep="\n")
        sys.exit(1)


def begin(warehouse: Path, corpora: Path) -> "subprocess.Popen[str]":
    """Start a run in its own process group, with a mark in the environment of its processes."""
    home = warehouse.with_name("prefect")
    return subprocess.Popen(
        [COMMAND, "run", str(corpora), "--warehouse", str(warehouse)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PREFECT_HOME": str(home), "NL2SQL_ALIGN_TEST": _MARK},
        start_new_session=True,
        text=True,
    )


def wait_for_work(process: "subprocess.Popen[str]") -> None:
    """Wait until a run reports its first step."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        if line.startswith("ingest"):
            return
        lines.append(line)
    raise AssertionError(f"a run has ended before its first step: {lines}")


def check_completed(process: "subprocess.Popen[str]") -> None:
    """Wait for a run, and check that it succeeds."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors[-2000:]


def kill_a_parser(process: "subprocess.Popen[str]", moments: random.Random) -> str:
    """Kill a parser process, or the process that forks them, and check that the run succeeds."""
    pause, killed = moments.uniform(0, 0.5), False
    while process.poll() is None and not killed:
        if parsing_processes(process.pid):
            time.sleep(pause)
            if found := sorted(parsing_processes(process.pid)):
                os.kill(moments.choice(found), signal.SIGKILL)
                killed = True
        time.sleep(0.002)
    check_completed(process)
    return "parser killed, run completed" if killed else "run over before the kill"


def remaining_processes() -> list[str]:
    """Return the processes of a finished run that do not end in time."""
    until = time.monotonic() + _SECONDS_TO_END
    while (found := marked(_MARK)) and time.monotonic() < until:
        time.sleep(0.05)
    return found


class Reader(threading.Thread):
    """Opens the results, checks that they are consistent, and closes them, in a loop."""

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
