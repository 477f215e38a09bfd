"""Runs a contestant in a process of its own and tells what it took."""

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
from typing import Any

_INTERVAL_SECONDS = 0.03
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Taken:
    """What a contestant took, its start included, and what it said of itself.

    ``peak_bytes`` is the largest sum over all its processes at one time, memory that they share
    counted once (PSS); ``samples`` are these sums with their times on ``time.monotonic``.
    ``processes`` are the most resident bytes of each process, with its command line. All three are
    empty where nobody watched.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    said: dict[str, Any]
    samples: list[tuple[float, int]] = field(repr=False, default_factory=list)
    processes: list[tuple[str, int]] = field(repr=False, default_factory=list)

    def peak_between(self, start: float, end: float) -> int:
        """The largest sum in a span of time."""
        inside = [size for at, size in self.samples if start <= at <= end]
        return max(inside, default=0)


_watching: list[bool] = [True]


@contextmanager
def unwatched() -> Iterator[None]:
    """Nobody looks at memory meanwhile: that takes some of a machine all of which is at work."""
    _watching.append(False)
    try:
        yield
    finally:
        _watching.pop()


class ContestantFailed(Exception):
    """A contestant ended with an error."""


def run_contestant(
    name: str, *arguments: object, environment: dict[str, str] | None = None
) -> Taken:
    """Runs ``python -m benchmarks.contestants NAME ARGUMENTS...``, which says a JSON object.

    Python may keep what it compiles, as it does unless told not to: else our modules, and no
    library's, would be compiled anew in each process.

    Raises:
        ContestantFailed: It ended with an error.
    """
    command = [sys.executable, "-m", "benchmarks.contestants", name, *map(str, arguments)]
    variables = {**os.environ, "PYTHONHASHSEED": "0", **(environment or {})}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    start = time.monotonic()
    with (
        # Files, not pipes: nobody reads before the end, and a full pipe would hold up who writes.
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
        samples: list[tuple[float, int]] = []
        processes: dict[str, tuple[str, int]] = {}
        if _watching[-1]:
            _watch(process.pid, samples, processes)
        _, status, usage = os.wait4(process.pid, 0)
        end = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        answer, errors = out.read(), err.read()
    if process.returncode:
        raise ContestantFailed(f"{' '.join(command)}: {errors.decode(errors='replace')[-3000:]}")
    said = json.loads(answer.splitlines()[-1]) if answer.strip() else {}
    return Taken(
        end - start,
        usage.ru_utime + usage.ru_stime,
        max((size for _, size in samples), default=0),
        said,
        samples,
        list(processes.values()),
    )


def _watch(
    pid: int, samples: list[tuple[float, int]], processes: dict[str, tuple[str, int]]
) -> None:
    """Looks at the memory of a session until its first process has ended."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        before = time.monotonic()
        samples.append((before, _session_bytes(pid, processes)))
        # Looking costs the more, the more memory there is: never more than a tenth of one CPU.
        time.sleep(max(_INTERVAL_SECONDS, 10 * (time.monotonic() - before)))


def _session_bytes(session: int, processes: dict[str, tuple[str, int]]) -> int:
    """Memory of all processes of a session, shared pages counted once.

    Notes in ``processes`` what each had at most until now.
    """
    total = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            state, *numbers = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            # One that has ended and was not waited for has no command, and no memory.
            if int(numbers[2]) != session or state == "Z":
                continue
            total += _kilobytes(Path(entry.path, "smaps_rollup"), "Pss:") * 1024
            most = _kilobytes(Path(entry.path, "status"), "VmHWM:") * 1024
            command = Path(entry.path, "cmdline").read_text().replace("\0", " ")
            processes[entry.name] = (command, most)
        except (OSError, ValueError):
            continue
    return total


def _kilobytes(file: Path, field: str) -> int:
    lines = (line for line in file.read_text().splitlines() if line.startswith(field))
    return int(next(lines, "0 0").split()[1])
