"""Fuzzing with mutated dumps: ``python -m benchmarks.fuzz --cases 10000``.

Each case is a dump, real or a sample of the tests, that is changed, truncated, reordered or encoded
differently, or read with other keys. It is ingested, parsed and counted in a warehouse of its own.
The result must be templates or a reason in one line, and no file may be written elsewhere. Anything
else is a failure, and its dump is saved. A case that takes more than five minutes ends the
campaign.
"""

import argparse
import bz2
import faulthandler
import io
import json
import os
import random
import re
import shutil
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.inputs import DUMPS, ROOT
from benchmarks.report import say
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, load_corpora
from nl2sql_align.tasks.run.prepare import PendingParts, Prepared, SetAside, prepare_corpus
from nl2sql_align.tasks.run.steps import count_corpus
from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.faults.test_hostile_dumps import KNOWN, MEANING, mutated
from tests.unit.ingest.test_dumps import columns_of, entry

_ROWS = 40
_SECONDS = 300
Dump = tuple[str, str, bytes]


def real_dumps(corpora: Path) -> list[Dump]:
    """Return the first rows of real dumps, each with its format and the name of its file."""
    found = []
    for one in load_corpora(corpora) if corpora.exists() else []:
        path = next(iter(sorted(one.path.glob(one.glob or "*"))), None)
        path = one.path if one.path.is_file() else path
        if path is not None:
            found.append((one.format, path.name, _start(path)))
    return found


def _start(path: Path) -> bytes:
    if path.suffix == ".parquet":
        sink = io.BytesIO()
        pq.write_table(pq.read_table(path).slice(0, _ROWS), sink)
        return sink.getvalue()
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


def outcome(corpus: CorpusEntry, warehouse: Warehouse) -> tuple[str, int, int]:
    """Return ``taken`` or a reason, and the numbers of distinct queries parsed and rejected."""
    found = prepare_corpus(corpus, warehouse)
    if isinstance(found, SetAside):
        assert found.reason.isprintable(), found.reason
        return found.reason, 0, 0
    assert isinstance(found, Prepared)
    reports = [parse_part(job) for job in PendingParts().add(found)]
    count_corpus(found, warehouse)
    n_rejected = sum(report.n_rejected for report in reports)
    return "taken", sum(report.n_queries for report in reports), n_rejected


def kind_of(reason: str) -> str:
    """Return a reason without details of a single file."""
    reason = re.sub(r"found no SQL in .*;", "found no SQL;", reason.partition("): ")[2])
    reason = re.sub(r"'[^']*'|\d+", "...", reason.partition(" (")[0].partition(";")[0])
    return textwrap.shorten(reason, 80)


def campaign(n_cases: int, seed: int, minutes: float, folder: Path) -> bool:
    """Run the cases within the time limit, print a summary, and return whether all succeeded."""
    dumps, elsewhere = folder / "dumps", folder / "elsewhere"
    for place in (dumps, elsewhere):
        place.mkdir(parents=True)
    real = real_dumps(ROOT / DUMPS)
    os.environ |= {"HOME": str(elsewhere), "TMPDIR": str(elsewhere)}
    tempfile.tempdir = str(elsewhere)
    os.chdir(elsewhere)
    samples: list[Dump] = [(form, file, content) for form, file, content, *_ in KNOWN.values()]
    counts: Counter[str] = Counter()
    failures: list[str] = []
    n_parsed = n_rejected = n_real = 0
    n_run = 0
    slowest = 0.0
    end = time.monotonic() + 60 * minutes
    warehouse = Warehouse(folder / "warehouse")
    with bounded(None, None, warehouse.scratch):
        for case in range(n_cases):
            if time.monotonic() > end:
                break
            n_run += 1
            rng = random.Random(f"{seed} {case}")
            is_real = bool(real) and rng.random() < 0.5
            form, file, content = rng.choice(real if is_real else samples)
            n_real += is_real
            path = dumps / file
            path.write_bytes(mutated(content, rng))
            is_auto = rng.random() < 0.3
            keys = {} if is_auto else columns_of(form)
            keys |= {key: rng.choice(values) for key, values in MEANING.items()}
            faulthandler.dump_traceback_later(_SECONDS, exit=True)
            started = time.monotonic()
            try:
                corpus = entry(path, "auto" if is_auto else form, **keys)
                result, n, rejected = outcome(corpus, warehouse)
                n_parsed, n_rejected = n_parsed + n, n_rejected + rejected
                counts[result if result == "taken" else kind_of(result)] += 1
            except Exception as error:  # a bug that the campaign has found
                problem = (
                    error if isinstance(error, AlignError) else f"{type(error).__name__}: {error}"
                )
                failures.append(f"case {case}, {form}: {problem}")
                shutil.copyfile(path, folder.with_name(f"fuzz-{seed}-{case}-{file}"))
                say(failures[-1])
            slowest = max(slowest, time.monotonic() - started)
            faulthandler.cancel_dump_traceback_later()
            path.unlink(missing_ok=True)
            for place, allowed in (
                (folder, {"dumps", "elsewhere", "warehouse"}),
                (elsewhere, set()),
            ):
                if others := {p.name for p in place.iterdir()} - allowed:
                    failures.append(f"case {case}, {form}: wrote {others}")
            shutil.rmtree(warehouse.folder, ignore_errors=True)
            if case % 500 == 499:
                say(f"{case + 1} cases, {counts['taken']} taken, {len(failures)} failures")
    stop_workers()
    print("| result | cases |\n| --- | --- |")
    for reason, n in counts.most_common():
        print(f"| {reason} | {n:,} |")
    print(f"| **failures** | {len(failures)} |")
    print(
        f"\n{n_run:,} cases, {n_real:,} of them of {len(real)} real dumps; {n_parsed:,} distinct "
        f"queries parsed, {n_rejected:,} of them rejected; the slowest case took {slowest:.1f} s."
    )
    return not failures


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=600.0, help="a time limit")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        is_clean = campaign(given.cases, given.seed, given.minutes, Path(folder) / "campaign")
    sys.exit(0 if is_clean else 1)


if __name__ == "__main__":
    main()
