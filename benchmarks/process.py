"""Running a contestant in its own process, and measuring its time and memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

_INTERVAL_SECONDS = 0.03
_ROOT = Path(__file__).resolve().parents[1]


class Memory(NamedTuple):
    """The memory of a contestant at one time, in bytes; shared pages count once (PSS).

    Attributes:
        at: The time, on the clock of ``time.monotonic``.
        total: The sum over all processes.
        own: The part of the first process, which starts the others.
    """

    at: float
    total: int
    own: int


@dataclass(frozen=True)
class Measurement:
    """The time and memory of a contestant, including its start, and its answer.

    Attributes:
        seconds: Wall-clock time.
        cpu_seconds: CPU time of all processes.
        peak_bytes: The largest sum over all processes at one time, with shared memory counted once
            (PSS); 0 if memory was not watched.
        answer: The JSON object that the contestant printed.
        samples: The memory at some times, in their order.
        processes: The command line of each process, and its peak resident bytes.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    answer: dict[str, Any]
    samples: list[Memory] = field(repr=False, default_factory=list)
    processes: list[tuple[str, int]] = field(repr=False, default_factory=list)

    def peaks_between(self, start: float, end: float) -> tuple[int, int]:
        """Return the most memory in a span of time, in all and in the first process, in bytes."""
        inside = [one for one in self.samples if start <= one.at <= end]
        totals, owns = ([getattr(one, name) for one in inside] for name in ("total", "own"))
        return max(totals, default=0), max(owns, default=0)


_watching: list[bool] = [True]


@contextmanager
def unwatched() -> Iterator[None]:
    """Do not watch memory in the block: watching takes CPU time from the contestant."""
    _watching.append(False)
    try:
        yield
    finally:
        _watching.pop()


class ContestantFailed(Exception):
    """A contestant exited with an error."""


def run_contestant(
    name: str, *arguments: object, environment: dict[str, str] | None = None
) -> Measurement:
    """Run ``python -m benchmarks.contestants NAME ARGUMENTS...``, which prints a JSON object.

    Raises:
        ContestantFailed: The contestant exited with an error.
    """
    command = [sys.executable, "-m", "benchmarks.contestants", name, *map(str, arguments)]
    return run_command(command, environment)


def run_command(
    command: list[str], environment: dict[str, str] | None = None, answers: bool = True
) -> Measurement:
    """Run a command; if it answers, its last line of output is a JSON object.

    Raises:
        ContestantFailed: The command exited with an error.
    """
    variables = {**os.environ, "PYTHONHASHSEED": "0", **(environment or {})}
    # Otherwise our modules, unlike those of libraries, would be compiled in each process.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.monotonic()
    with (
        # Files, not pipes: output is read at the end, and a full pipe would block the contestant.
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        subprocess.Popen(
            command,
            cwd=_ROOT,
            env=variables,
            stdout=out,
            stderr=err,
            start_new_session=True,
        ) as process,
    ):
        samples: list[Memory] = []
        processes: dict[str, tuple[str, int]] = {}
        if _watching[-1]:
            _watch(process.pid, samples, processes)
        _, status, usage = os.wait4(process.pid, 0)
        end = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output, errors = out.read(), err.read()
    if process.returncode:
        raise ContestantFailed(f"{' '.join(command)}: {errors.decode(errors='replace')[-3000:]}")
    answer = json.loads(output.splitlines()[-1]) if answers else {}
    return Measurement(
        end - start,
        usage.ru_utime + usage.ru_stime,
        max((one.total for one in samples), default=0),
        answer,
        samples,
        list(processes.values()),
    )


def _watch(pid: int, samples: list[Memory], processes: dict[str, tuple[str, int]]) -> None:
    """Sample the memory of a session until its first process has ended."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        before = time.monotonic()
        samples.append(Memory(before, *_session_bytes(pid, processes)))
        # Sampling takes longer the more memory is in use: spend at most a tenth of one CPU on it.
        time.sleep(max(_INTERVAL_SECONDS, 10 * (time.monotonic() - before)))


def _session_bytes(session: int, processes: dict[str, tuple[str, int]]) -> tuple[int, int]:
    """Return the memory of all processes of a session, and that of its first process.

    Update ``processes`` with the peak of each process until now.
    """
    total = own = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            state, *numbers = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            command = Path(entry.path, "cmdline").read_text().replace("\0", " ")
            # A process that ends has neither a command line nor memory.
            if int(numbers[2]) != session or state == "Z" or not command:
                continue
            n_bytes = _kilobytes(Path(entry.path, "smaps_rollup"), "Pss:") * 1024
            total += n_bytes
            own += n_bytes if int(entry.name) == session else 0
            most = _kilobytes(Path(entry.path, "status"), "VmHWM:") * 1024
            if most:
                processes[entry.name] = (command, most)
        except (OSError, ValueError):
            continue
    return total, own


def _kilobytes(file: Path, field: str) -> int:
    lines = (line for line in file.read_text().splitlines() if line.startswith(field))
    return int(next(lines, "0 0").split()[1])
