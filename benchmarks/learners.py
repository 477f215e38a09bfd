"""The study: small models are tuned on one corpus after another, and scored before and after.

    python -m benchmarks.learners --folder FOLDER

Train small models (``benchmarks.study.model``) on one corpus, tune them on others, ask them the
questions of several targets before and after, and write ``outcomes.csv`` with the changes and the
measures. ``docs/study.md`` describes it. The real dumps are used if they exist, and the samples
otherwise. A run that was interrupted continues.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks import ours
from benchmarks.inputs import DUMPS, real_corpora
from benchmarks.study.collect import collect
from benchmarks.study.design import (
    REAL,
    SAMPLES,
    SEEDS,
    Corpora,
    Plan,
    read_corpora,
)
from benchmarks.study.dumps import write_dumps


def load(folder: Path, dumps: Path) -> Corpora:
    """Read the corpora of the study, from a warehouse in its folder."""
    plan: Plan = REAL if dumps.exists() else SAMPLES
    database = folder / "warehouse" / "alignment.duckdb"
    if not database.exists():
        names = {*plan.sources.values(), *plan.targets.values()}
        place = real_corpora(folder, dumps, names)
        ours.run(place, folder / "warehouse", ours.MEASURES)
    return read_corpora(database, plan)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--dumps", type=Path, default=DUMPS, help="the real corpora file")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--write-dumps",
        action="store_true",
        help="also write dumps and outcomes, for runs and calibrate",
    )
    parser.add_argument("--part", type=int, help="run one part only: for the program's own use")
    arguments = parser.parse_args()
    corpora = load(arguments.folder, arguments.dumps)
    if arguments.part is not None:
        from benchmarks.study.run import Chosen, run_part, use_one_thread

        use_one_thread()
        chosen = Chosen(arguments.seeds, arguments.part, arguments.processes)
        run_part(arguments.folder, corpora, chosen)
        return
    parts = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.learners", *sys.argv[1:], "--part", str(part)]
        )
        for part in range(arguments.processes)
    ]
    if any(part.wait() for part in parts):
        sys.exit("a part of the study failed; its message is above")
    collected = collect(arguments.folder, corpora)
    collected.outcomes.write_csv(arguments.folder / "outcomes.csv")
    if arguments.write_dumps:
        for target in corpora.targets:
            write_dumps(arguments.folder / "dumps", target, collected)


if __name__ == "__main__":
    main()
