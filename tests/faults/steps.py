"""The steps of the main job without Prefect, which takes ten seconds to start, for tests to kill.

``python -m tests.faults.steps run WAREHOUSE CORPORA.toml ...`` runs each corpora file in turn.
``... cut WAREHOUSE CORPORA.toml`` starts runs in the same warehouse and kills each one after it has
renamed some files, until one completes.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nl2sql_align.tasks.base.environment import hide_pandas
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.run.summary import RunSummary
from nl2sql_align.tasks.warehouse.folder import Warehouse


def run(folder: Path, corpora: Path, **options: Any) -> RunSummary:
    """Run the main job."""
    warehouse = Warehouse(folder.resolve())
    return run_locally(
        load_corpora(corpora), warehouse, JobSettings(corpora, has_comments=False), **options
    )


def cut(folder: Path, corpora: Path) -> int:
    """Kill runs before their first, second, ... file is in place, and return how many it took."""
    for number in range(100):
        if (child := os.fork()) == 0:
            # The number grows, since a run that lacks one of several files of a step writes all of
            # them again: the matrix has three, the intervals have four.
            _end_before(file=1 + number // 2)
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
    hide_pandas()  # like the command line
    command, place, *files = sys.argv[1:]
    if command == "cut":
        print(cut(Path(place), Path(files[0])))
    else:
        for file in files:
            run(Path(place), Path(file))
            print(file, flush=True)
