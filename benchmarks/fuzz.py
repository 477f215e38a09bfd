"""Fuzzing with mutated dumps: ``python -m benchmarks.fuzz --cases 10000``.

Each case is a dump of one of the kinds in ``KINDS``, changed, truncated, reordered or encoded
differently, or read with other keys. It is ingested, parsed and counted in a warehouse of its own.
The result must be templates or a reason in one line, and no file may be written elsewhere. Anything
else is a failure, and its dump is saved.

The cases run in a process that may die, which is then replaced. Its death while it reads a binary
dump is a result, since a run reads such a dump in a process of its own; any other death, and a case
that takes more than five minutes, is a failure.
"""

import argparse
import bz2
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.binary_dumps import make_archive, make_arrow, make_parquet, mutate_bytes
from benchmarks.inputs import DUMPS, ROOT
from benchmarks.report import say
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.ingest import dumps, format_recognition
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, load_corpora
from nl2sql_align.tasks.run.prepare import Prepared, SetAside, SharedParts, prepare_corpus
from nl2sql_align.tasks.run.steps import count_corpus
from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.faults.test_hostile_dumps import KNOWN, MEANING, mutated
from tests.unit.ingest.test_dumps import columns_of, entry

_ROWS = 40
_SECONDS = 300


@dataclass(frozen=True)
class Dump:
    """A dump: its format (``auto`` to recognize it), its file, and further keys of its corpus."""

    format: str
    file: str
    content: bytes
    keys: dict[str, Any] = field(default_factory=dict)


# ---- the kinds of dumps: each function makes one from a generator of random numbers -----------


@cache
def real_dumps() -> list[Dump]:
    """Return the first rows of real dumps."""
    corpora = ROOT / DUMPS
    found = []
    for one in load_corpora(corpora) if corpora.exists() else []:
        path = next(iter(sorted(one.path.glob(one.glob or "*"))), None)
        path = one.path if one.path.is_file() else path
        if path is not None:
            found.append(Dump(one.format, path.name, _start(path)))
    return found


def _start(path: Path) -> bytes:
    if path.suffix == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pq.read_table(path).slice(0, _ROWS), sink)
        return sink.getvalue().to_pybytes()
    content = path.read_bytes()
    if path.suffix == ".bz2":
        return bz2.compress(_first_rows(bz2.decompress(content)))
    return _first_rows(content)


def _first_rows(content: bytes) -> bytes:
    try:
        rows = json.loads(content)
    except ValueError:
        return b"".join(content.splitlines(keepends=True)[:_ROWS])
    some = rows[:_ROWS] if isinstance(rows, list) else dict(list(rows.items())[:_ROWS])
    return json.dumps(some, indent=1).encode()


def mutate_real(rng: random.Random) -> Dump:
    """Mutate a real dump, or a sample without real dumps."""
    real = real_dumps()
    return _mutate_text(rng.choice(real), rng) if real else mutate_sample(rng)


def mutate_sample(rng: random.Random) -> Dump:
    """Mutate a sample of the tests."""
    form, file, content, *_ = rng.choice(list(KNOWN.values()))
    return _mutate_text(Dump(form, file, content), rng)


def _mutate_text(dump: Dump, rng: random.Random) -> Dump:
    is_auto = rng.random() < 0.3
    keys = {} if is_auto else columns_of(dump.format)
    keys |= {key: rng.choice(values) for key, values in MEANING.items()}
    format = "auto" if is_auto else dump.format
    return Dump(format, dump.file, mutated(dump.content, rng), keys)


def mutate_arrow(rng: random.Random) -> Dump:
    """Mutate an Arrow file or stream."""
    suffix = rng.choice(("arrow", "feather"))
    return Dump(_read_as(rng), f"a.{suffix}", mutate_bytes(make_arrow(rng), rng))


def mutate_parquet(rng: random.Random) -> Dump:
    """Mutate a Parquet file."""
    return Dump(_read_as(rng), "a.parquet", mutate_bytes(make_parquet(rng), rng))


def mutate_archive(rng: random.Random) -> Dump:
    """Mutate a zip or tar archive of texts or of binary files, or write one with odd members."""
    file, content = make_archive(rng)
    return Dump(_read_as(rng), file, mutate_bytes(content, rng) if rng.random() < 0.8 else content)


def _read_as(rng: random.Random) -> str:
    return rng.choice(("auto", "spider"))


KINDS: dict[str, Callable[[random.Random], Dump]] = {
    "real": mutate_real,
    "sample": mutate_sample,
    "arrow": mutate_arrow,
    "parquet": mutate_parquet,
    "archive": mutate_archive,
}


# ---- the process that runs the cases ------------------------------------------------------------


def outcome(corpus: CorpusEntry, warehouse: Warehouse) -> tuple[str, int, int]:
    """Return ``taken`` or a reason, and the numbers of distinct queries parsed and rejected."""
    found = prepare_corpus(corpus, warehouse)
    if isinstance(found, SetAside):
        assert found.reason.isprintable(), found.reason
        return found.reason, 0, 0
    assert isinstance(found, Prepared)
    reports = [parse_part(job) for job in SharedParts().add(found)]
    count_corpus(found, warehouse)
    n_rejected = sum(report.n_rejected for report in reports)
    return "taken", sum(report.n_queries for report in reports), n_rejected


def kind_of(reason: str) -> str:
    """Return a reason without details of a single file."""
    reason = re.sub(r"found no SQL in .*;", "found no SQL;", reason.partition("): ")[2])
    reason = re.sub(r"'[^']*'|\d+", "...", reason.partition(" (")[0].partition(";")[0])
    return textwrap.shorten(reason, 80)


def run_cases(cases: range, seed: int, kinds: list[str], folder: Path) -> None:
    """Run cases one after another, and print a line of JSON for each."""
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def write(**values: Any) -> None:
        report.write(json.dumps(values) + "\n")
        report.flush()

    def call_here(function: Callable[..., Any], *given: Any) -> Any:
        write(reads_binary=True)
        result = function(*given)
        write(reads_binary=False)
        return result

    # One process for each case would take most of the time.
    dumps.call_in_child = call_here
    format_recognition.call_in_child = call_here
    places = folder / "dumps", folder / "elsewhere"
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    if "real" in kinds:
        real_dumps()
    os.environ |= {"HOME": str(places[1]), "TMPDIR": str(places[1])}
    tempfile.tempdir = str(places[1])
    os.chdir(places[1])
    warehouse = Warehouse(folder / "warehouse")
    with bounded(None, None, warehouse.scratch):
        for case in cases:
            rng = random.Random(f"{seed} {case}")
            kind = rng.choice(kinds)
            dump = KINDS[kind](rng)
            path = places[0] / dump.file
            path.write_bytes(dump.content)
            write(case=case, kind=kind, format=dump.format, file=str(path))
            started = time.monotonic()
            result, n, rejected, problems = "", 0, 0, []
            try:
                result, n, rejected = outcome(entry(path, dump.format, **dump.keys), warehouse)
            except Exception as error:  # a bug that the campaign has found
                is_ours = isinstance(error, AlignError)
                problems.append(f"{error}" if is_ours else f"{type(error).__name__}: {error}")
            seconds = time.monotonic() - started
            for place, allowed in (
                (folder, {"dumps", "elsewhere", "warehouse"}),
                (places[1], set()),
            ):
                if others := {p.name for p in place.iterdir()} - allowed:
                    problems.append(f"wrote {others}")
            write(result=result, n=n, rejected=rejected, problems=problems, seconds=seconds)
            path.unlink(missing_ok=True)
            shutil.rmtree(warehouse.folder, ignore_errors=True)
    stop_workers()


# ---- the campaign -------------------------------------------------------------------------------


@dataclass
class Tally:
    """Counts of a campaign."""

    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    n_run: int = 0
    n_parsed: int = 0
    n_rejected: int = 0
    slowest: float = 0.0


def _watch(command: list[str], tally: Tally, end: float, saved: Path) -> int | None:
    """Run cases in a process, count their results, and return the case at which it died, if any."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    lines: queue.Queue[str] = queue.Queue()

    def read(stream: Iterator[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    case: dict[str, Any] = {}
    reads_binary = False
    is_late = False
    while True:
        try:
            line = lines.get(timeout=_SECONDS)
        except queue.Empty:
            is_late = True
            line = ""
        if not line:
            break
        found = json.loads(line)
        if "case" in found:
            case, reads_binary = found, False
        elif "reads_binary" in found:
            reads_binary = found["reads_binary"]
        else:
            _count(case, found, tally, saved)
            case = {}
            if time.monotonic() > end:
                break
    is_over = time.monotonic() > end
    # The session contains the parsers, too.
    if process.poll() is None and (is_late or is_over):
        os.killpg(process.pid, signal.SIGKILL)
    status = process.wait()
    if not case:
        if not is_over and (is_late or status):
            tally.failures.append(f"the process of the cases ends between two of them: {status}")
            say(tally.failures[-1])
        return None
    if is_late:
        death = f"takes more than {_SECONDS} s"
    else:
        death = f"dies of {signal.Signals(-status).name if status < 0 else f'status {status}'}"
    is_allowed = reads_binary and not is_late
    problems = [] if is_allowed else [death]
    result = f"ends the process that reads it: {death}" if is_allowed else ""
    found = {"result": result, "n": 0, "rejected": 0, "problems": problems, "seconds": 0.0}
    _count(case, found, tally, saved)
    return int(case["case"])


def _count(case: dict[str, Any], found: dict[str, Any], tally: Tally, saved: Path) -> None:
    tally.n_run += 1
    tally.n_parsed += found["n"]
    tally.n_rejected += found["rejected"]
    tally.slowest = max(tally.slowest, found["seconds"])
    if result := found["result"]:
        is_plain = result == "taken" or result.startswith("ends the process")
        tally.results[case["kind"], result if is_plain else kind_of(result)] += 1
    path = Path(case["file"])
    for problem in found["problems"]:
        tally.failures.append(f"case {case['case']}, {case['kind']}, {case['format']}: {problem}")
        say(tally.failures[-1])
    is_death = result.startswith("ends the process")
    if (found["problems"] or is_death) and path.exists():
        shutil.copyfile(path, saved / f"fuzz-{case['case']}-{path.name}")
    if tally.n_run % 500 == 0:
        say(f"{tally.n_run} cases, {len(tally.failures)} failures")


def campaign(cases: range, seed: int, minutes: float, kinds: list[str], saved: Path) -> bool:
    """Run the cases within the time limit, print a summary, and return whether all succeeded."""
    tally = Tally()
    end = time.monotonic() + 60 * minutes
    first: int | None = cases.start
    while first is not None and first < cases.stop and time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.fuzz", "--worker", f"{folder}/campaign"]
            command += ["--first", f"{first}", "--cases", f"{cases.stop}", "--seed", f"{seed}"]
            died_at = _watch([*command, "--kinds", *kinds], tally, end, saved)
            first = None if died_at is None else died_at + 1
    print("| kind | result | cases |\n| --- | --- | --- |")
    for (kind, reason), n in sorted(tally.results.items(), key=lambda one: (one[0][0], -one[1])):
        print(f"| {kind} | {reason} | {n:,} |")
    print(f"| | **failures** | {len(tally.failures)} |")
    print(
        f"\n{tally.n_run:,} cases; {tally.n_parsed:,} distinct queries parsed, "
        f"{tally.n_rejected:,} of them rejected; the slowest case took {tally.slowest:.1f} s."
    )
    return not tally.failures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=10_000, help="the number after the last case")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=600.0, help="a time limit")
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options.add_argument("--saved", type=Path, default=Path(tempfile.gettempdir()))
    options.add_argument("--first", type=int, default=0, help="the first case to run")
    options.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    cases = range(given.first, given.cases)
    if given.worker:
        run_cases(cases, given.seed, given.kinds, given.worker)
        return
    is_clean = campaign(cases, given.seed, given.minutes, given.kinds, given.saved)
    sys.exit(0 if is_clean else 1)


if __name__ == "__main__":
    main()
