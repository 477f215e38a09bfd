"""The steps of the main job without Prefect, which takes ten seconds to start, as a process to end.

``python -m tests.faults.steps run WAREHOUSE CORPORA.toml ...`` does a run for each corpora file in
turn. ``... cut WAREHOUSE CORPORA.toml`` does one run after another in the same warehouse, each
ended without warning when it has put one or more files in their places, until one comes through.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.results.publish import RunRecord, publish
from nl2sql_align.tasks.results.versions import versions
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.prepare import Prepared, prepare_corpus
from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse


def run(warehouse: Path, corpora: Path) -> None:
    """What ``nl2sql_align.flows.align`` does, in its order."""
    started_at = datetime.now(UTC)
    entries = load_corpora(corpora)
    house = Warehouse(warehouse.resolve())
    with (
        house.explain_disk_errors(),
        house.locked(),
        bounded(None, None, house.scratch),
        ThreadPoolExecutor(2) as pool,
    ):
        house.remove_damaged()
        try:
            outcomes = list(pool.map(lambda entry: prepare_corpus(entry, house), entries))
            prepared = [one for one in outcomes if isinstance(one, Prepared)]
            unique = {one.templates_key: one for one in prepared}.values()
            list(pool.map(parse_part, [job for one in unique for job in one.jobs]))
            done = list(pool.map(lambda one: steps.finish(one, house), prepared))
        finally:
            stop_workers()
        matrix = steps.measure(done, house)
        intervals = steps.resample(done, matrix, house)
        record = RunRecord(f"run at {time.time_ns()}", started_at, {}, versions())
        publish(house, done, matrix.pairs, matrix.contributions, record, intervals)
        steps.remember(done, house)
        steps.remove_unused_stages(done, house)
        house.record_digests()


def cut(warehouse: Path, corpora: Path) -> int:
    """Runs that end before each of their files is in its place; how many it took."""
    for number in range(100):
        if (child := os.fork()) == 0:
            # Ever more: the matrix is two files, intervals are four, and a part of them is none.
            _end_before(file=1 + number // 3)
            run(warehouse, corpora)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return number
        assert os.WIFSIGNALED(status), status
        assert os.WTERMSIG(status) == signal.SIGKILL
    raise AssertionError("no run came through")


def _end_before(file: int) -> None:
    replace: Callable[[Path, Path], Path] = Path.replace
    placed: list[Path] = []

    def replace_or_end(self: Path, target: Path) -> Path:
        if "scratch" not in Path(target).parts:
            if len(placed) == file:
                os.kill(os.getpid(), signal.SIGKILL)
            placed.append(Path(target))
        return replace(self, target)

    Path.replace = replace_or_end  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    command, folder, *files = sys.argv[1:]
    if command == "cut":
        print(cut(Path(folder), Path(files[0])))
    else:
        for file in files:
            run(Path(folder), Path(file))
            print(file, flush=True)
