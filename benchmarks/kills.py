"""What is lost when runs and parsers are killed at any moment: ``python -m benchmarks.kills``.

Run after run over the samples, in two states of them in turn, is ended by SIGKILL, or one of its
parsing processes is, while a reader opens the results again and again: whole commands, with Prefect
and its server. Then one run goes undisturbed, and its tables are held against those of a warehouse
where nothing was ever killed.
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
            counts[kill_a_worker(process, moments)] += 1
        else:
            # Prefect takes most of the time to start: two moments in three are for the steps.
            if is_at_work := moments.random() < 2 / 3:
                wait_for_work(process)
            time.sleep(moments.uniform(0, min(at_work if is_at_work else to_start)))
            process.send_signal(signal.SIGKILL)
            if process.wait() != -signal.SIGKILL:
                counts["run over before the kill"] += 1
            else:
                counts[f"run killed {'at work' if is_at_work else 'before its steps'}"] += 1
        n_left += len(left())
        number += 1
        print(number, dict(counts), flush=True)
    check_completed(begin(disturbed, files[0]))
    reader.stop()

    n_left += len(left())
    are_same = tables(disturbed) == tables(undisturbed)
    print("\n| what | |\n| --- | --- |")
    for what, n in sorted(counts.items()):
        print(f"| {what} | {n} |")
    print(f"| reads of the results meanwhile | {reader.n_reads} |")
    print(f"| states seen, each whole | {len(reader.states)} |")
    print(f"| reads that failed or saw a mixture | {len(reader.errors)} |")
    print(f"| tables equal those of undisturbed runs, to the last bit | {are_same} |")
    print(f"| temporary files left | {len(leftovers(disturbed))} |")
    print(f"| processes left: servers, parsers | {n_left} |")
    if reader.errors or not are_same or leftovers(disturbed) or n_left:
        print(*reader.errors[:5], *leftovers(disturbed), sep="\n")
        sys.exit(1)


def begin(warehouse: Path, corpora: Path) -> "subprocess.Popen[str]":
    """A run in a process group of its own; all its processes have a mark."""
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
    """Waits until a run tells of its first step."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if line.startswith("ingest"):
            return
        said.append(line)
    raise AssertionError(f"a run has ended before its first step: {said}")


def check_completed(process: "subprocess.Popen[str]") -> None:
    """Waits for a run that is to complete, and says what it said where it does not."""
    _, said = process.communicate()
    assert process.returncode == 0, said[-2000:]


def kill_a_worker(process: "subprocess.Popen[str]", moments: random.Random) -> str:
    """Kills a parser, or what forks them, some moment after there is one; the run goes on."""
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


def left() -> list[str]:
    """The processes of a run that is over, when they have had their time to end."""
    until = time.monotonic() + _SECONDS_TO_END
    while (found := marked(_MARK)) and time.monotonic() < until:
        time.sleep(0.05)
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
