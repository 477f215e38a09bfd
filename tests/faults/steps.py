"""The steps of the main job without Prefect, which takes ten seconds to start, for tests to kill.

``python -m tests.faults.steps run WAREHOUSE CORPORA.toml ...`` runs each corpora file in turn.
``... cut WAREHOUSE CORPORA.toml`` starts runs in the same warehouse and kills each one after it has
renamed some files, until one completes.
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
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.prepare import PendingParts, Prepared, prepare_corpus
from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.warehouse.folder import Warehouse


def run(folder: Path, corpora: Path) -> None:
    """Do the same as ``nl2sql_align.flows.align``, in the same order."""
    started_at = datetime.now(UTC)
    entries = load_corpora(corpora)
    warehouse = Warehouse(folder.resolve())
    with (
        warehouse.explain_disk_errors(),
        warehouse.locked(),
        bounded(None, None, warehouse.scratch),
        ThreadPoolExecutor(2) as pool,
    ):
        warehouse.remove_damaged()
        try:
            targets = {entry.name: entry for entry in entries}
            outcomes = list(
                pool.map(
                    lambda entry: prepare_corpus(
                        entry, warehouse, target=targets.get(entry.target or "")
                    ),
                    entries,
                )
            )
            prepared = [one for one in outcomes if isinstance(one, Prepared)]
            parts = PendingParts()
            list(pool.map(parse_part, [job for one in prepared for job in parts.add(one)]))
            counted = list(pool.map(lambda one: steps.count_corpus(one, warehouse), prepared))
        finally:
            stop_workers()
        counted = steps.count_answered_parts(counted, warehouse)
        matrix = steps.measure_pairs(counted, warehouse)
        publish(
            warehouse,
            counted,
            matrix.pairs,
            matrix.contributions,
            RunRecord(f"run at {time.time_ns()}", started_at, {}, list_versions()),
            steps.resample_pairs(counted, matrix, warehouse),
            steps.measure_as_written(counted, warehouse),
        )
        steps.write_last_corpora(counted, warehouse)
        steps.remove_unused_files(counted, warehouse)
        warehouse.record_digests()


def cut(folder: Path, corpora: Path) -> int:
    """Kill runs before their first, second, ... file is in place, and return how many it took."""
    for number in range(100):
        if (child := os.fork()) == 0:
            # The number grows, since a run that lacks one of several files of a step writes all of
            # them again: the matrix has three, the intervals have four.
            _end_before(file=1 + number // 3)
            run(folder, corpora)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return number
        assert os.WIFSIGNALED(status), status
        assert os.WTERMSIG(status) == signal.SIGKILL
    raise AssertionError("no run completed")


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
    command, place, *files = sys.argv[1:]
    if command == "cut":
        print(cut(Path(place), Path(files[0])))
    else:
        for file in files:
            run(Path(place), Path(file))
            print(file, flush=True)
