"""Run all contestants on the same data, and write ``benchmarks/RESULTS.md``.

    python -m benchmarks.run [--quick] [--only SECTION ...] [--repeat N] [--sizes N ...]
                             [--peers PYTHON]

Every contestant runs in its own process. Contestants take turns, so that a slow minute of the
machine affects all of them. Data is generated below ``build/benchmarks`` and reused.
"""

import argparse
import math
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import inputs, peers
from benchmarks.ours import STAGES
from benchmarks.process import Measurement, run_contestant, unwatched
from benchmarks.report import Report, say
from nl2sql_align.tasks.templates.parse_sharing import SHARE_PARSES_VARIABLE

# Most minutes and gigabytes for one corpus, by its number of queries.
_MOST_OF_SIZES = {2_500_000: (10, 6), 10_000_000: (9, 3)}
_NO_SHAPES = {SHARE_PARSES_VARIABLE: "0"}


@dataclass(frozen=True)
class Runs:
    """Repetitions of a contestant with time measured, and one with memory measured."""

    timed: list[Measurement]
    watched: Measurement


@dataclass(frozen=True)
class Session:
    """The settings of one call of the benchmarks."""

    data: Path
    dumps: Path
    scratch: Path
    repeat: int
    sizes: tuple[int, ...]
    many: tuple[int, int, int]
    log: tuple[int, int]
    report: Report
    peers: str | None

    def warehouse(self) -> Path:
        """Return an empty folder."""
        folder = self.scratch / "warehouse"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def in_turns(self, contestants: dict[str, Callable[[], Measurement]]) -> dict[str, Runs]:
        """Run all contestants in turns, repeatedly, and once more to measure memory."""
        timed: dict[str, list[Measurement]] = {name: [] for name in contestants}
        for turn in range(self.repeat):
            for name, contestant in contestants.items():
                with unwatched():
                    measured = contestant()
                timed[name].append(measured)
                say(f"  {turn + 1}/{self.repeat} {name}: {measured.seconds:.2f} s")
        return {name: Runs(timed[name], contestant()) for name, contestant in contestants.items()}


def once(measured: Measurement) -> Runs:
    """Return a run that is not repeated, with both time and memory measured."""
    return Runs([measured], measured)


def median(runs: Runs, key: str = "") -> float:
    """Return the median of the seconds, or of the answers under a key."""
    return statistics.median(float(run.answer[key]) if key else run.seconds for run in runs.timed)


def peak(runs: Runs) -> str:
    return f"{runs.watched.peak_bytes / 1e6:,.0f} MB"


def stage_rows(runs: Runs) -> list[list[str]]:
    """Return a row per stage: seconds, share, peak memory of all processes and of the first."""
    spent = {
        stage: statistics.median(
            run.answer["marks"][stage][1] - run.answer["marks"][stage][0] for run in runs.timed
        )
        for stage in STAGES
    }
    whole = median(runs)
    rows = []
    for stage, value in spent.items():
        peaks = runs.watched.peaks_between(*runs.watched.answer["marks"][stage])
        # A stage may end before its memory is sampled.
        memory = [f"{most / 1e6:,.0f} MB" if most else "" for most in peaks]
        rows.append([stage, f"{value:.2f}", f"{value / whole:.0%}", *memory])
    start = max(0.0, whole - sum(spent.values()))
    _, own = runs.watched.peaks_between(0, math.inf)
    rows.append(["start of Python", f"{start:.2f}", f"{start / whole:.0%}", "", ""])
    rows.append(["**whole**", f"{whole:.2f}", "100%", peak(runs), f"{own / 1e6:,.0f} MB"])
    return rows


def work(measured: Measurement) -> float:
    """Return the seconds of our stages, without the start of Python."""
    return sum(end - start for start, end in measured.answer["marks"].values())


_STAGE_HEADER = ("stage", "seconds", "share", "peak memory", "of it in the run's own process")


def ours(session: Session, corpora: Path, **environment: str) -> Measurement:
    return run_contestant("ours", corpora, session.warehouse(), environment=environment)


def our_measures(session: Session, corpora: Path, **environment: str) -> Measurement:
    return run_contestant("our-measures", corpora, session.warehouse(), environment=environment)


# Sections ----------------------------------------------------------------------------------------


def whole_job(session: Session) -> None:
    """Compare ours with the textbook, and counting with scikit-learn and SQL."""
    corpora = inputs.real_corpora(session.data, session.dumps, inputs.WHOLE_JOB)
    warehouse = session.warehouse()
    run_contestant("ours", corpora, warehouse)
    queries, templates = session.data / "queries.parquet", session.data / "templates.parquet"
    inputs.export(warehouse, queries, templates)
    runs = session.in_turns(
        {
            "textbook": lambda: run_contestant("textbook", queries),
            "textbook, with our templates": lambda: run_contestant("textbook", queries, "ours"),
            "ours": lambda: our_measures(session, corpora),
            "ours, without the cache of shapes": lambda: our_measures(
                session, corpora, **_NO_SHAPES
            ),
            "ours, with intervals and the report": lambda: ours(session, corpora),
            "ours, with these and Prefect": lambda: run_contestant(
                "ours-with-prefect", corpora, session.warehouse()
            ),
        }
    )
    base = median(runs["textbook"])
    session.report.table(
        "Whole job",
        ("contestant", "seconds", "CPU seconds", "textbook / this", "peak memory"),
        [
            [
                name,
                f"{median(measured):.2f}",
                f"{statistics.median(one.cpu_seconds for one in measured.timed):.2f}",
                f"{base / median(measured):.2f}",
                peak(measured),
            ]
            for name, measured in runs.items()
        ],
    )
    ratio = base / median(runs["ours"])
    plain = base / median(runs["ours, without the cache of shapes"])
    complete = median(runs["ours, with intervals and the report"])
    overhead = median(runs["ours, with these and Prefect"]) - complete
    agreement = run_contestant("textbook-agreement", queries).answer
    session.report.note(
        f"*textbook* makes templates with sqlglot alone: parse, remove names and literals from "
        f"the tree, generate SQL, tokenize it; {agreement['n_equal'] / agreement['n']:.1%} "
        f"of the {agreement['n']:,} templates equal ours. *textbook, with our templates* uses our "
        "rules, parses each query on its own in one process, and is plain otherwise. Both compute "
        "the skew divergence alone. *ours* is the job up to the published database with all "
        "measures; intervals and the report have no counterpart in *textbook*. "
        f"Prefect, including its start, adds {overhead:.1f} seconds."
    )
    session.report.bar(
        "whole job against *textbook*",
        "at least 5 times faster",
        f"{ratio:.1f} times; {plain:.1f} without the cache of shapes; {base / complete:.1f} with "
        "intervals and the report; "
        f"{median(runs['textbook, with our templates']) / median(runs['ours']):.1f} against the "
        "textbook that borrows our templates",
        ratio >= 5,
    )
    session.report.table(
        "Whole job by stage, without Prefect",
        _STAGE_HEADER,
        stage_rows(runs["ours, with intervals and the report"]),
    )

    counted = session.in_turns(
        {
            "ours": lambda: run_contestant("our-ngrams", templates),
            "SQL only": lambda: run_contestant("sql-only", templates),
            "scikit-learn": lambda: run_contestant("scikit-learn", templates),
            "scikit-learn, distinct templates": lambda: run_contestant(
                "scikit-learn", templates, "distinct"
            ),
            "textbook": lambda: run_contestant("textbook-ngrams", templates),
        }
    )
    base = median(counted["ours"], "seconds")
    session.report.table(
        "Counting n-grams",
        ("contestant", "seconds", "this / ours", "peak memory", "distinct n-grams", "occurrences"),
        [
            [
                name,
                f"{median(measured, 'seconds'):.3f}",
                f"{median(measured, 'seconds') / base:.1f}",
                peak(measured),
                f"{measured.timed[0].answer['n_distinct']:,}",
                f"{measured.timed[0].answer['n_ngrams']:,}",
            ]
            for name, measured in counted.items()
        ],
    )
    session.report.note(
        "From templates in memory to counts in memory. scikit-learn has no rules for commas and "
        "brackets and counts more n-grams; the counts of the others are equal."
    )
    for name, factor in (("scikit-learn", 15), ("SQL only", 4)):
        ratio = median(counted[name], "seconds") / base
        session.report.bar(
            f"n-gram counting against *{name}*",
            f"at least {factor} times faster",
            f"{ratio:.1f} times",
            ratio >= factor,
        )


def templates(session: Session) -> None:
    """Compare CPU time per distinct query with the parser alone, and two processes with one."""
    queries = session.data / "queries.parquet"
    if not queries.exists():
        warehouse = session.warehouse()
        corpora = inputs.real_corpora(session.data, session.dumps, inputs.WHOLE_JOB)
        run_contestant("ours", corpora, warehouse)
        inputs.export(warehouse, queries, session.data / "templates.parquet")
    runs = session.in_turns(
        {
            "`sqlglot.parse_one`": lambda: run_contestant("parse-one", queries),
            "ours": lambda: run_contestant("our-templates", queries),
            "ours, without the cache of shapes": lambda: run_contestant(
                "our-templates", queries, environment=_NO_SHAPES
            ),
        }
    )
    each = {
        name: statistics.median(
            one.answer["cpu_seconds"] / one.answer["n"] for one in measured.timed
        )
        for name, measured in runs.items()
    }
    base = each["`sqlglot.parse_one`"]
    session.report.table(
        "Templates",
        ("contestant", "CPU microseconds per distinct query", "this / parse_one"),
        [[name, f"{value * 1e6:.0f}", f"{value / base:.2f}"] for name, value in each.items()],
    )
    plain = each["ours, without the cache of shapes"] / base
    session.report.bar(
        "templates: CPU time per distinct query, no cache of shapes",
        "at most 1.5 times `sqlglot.parse_one`",
        f"{plain:.2f} times",
        plain <= 1.5,
    )
    session.report.bar(
        "templates: the same, with the cache",
        "below 1.0 times",
        f"{each['ours'] / base:.2f} times",
        each["ours"] < base,
    )
    size = min(100_000, max(session.sizes))
    corpora = inputs.synthetic(session.data, size)
    warehouse = session.warehouse()
    run_contestant("ours", corpora, warehouse)
    many_queries = session.data / f"queries-{size}.parquet"
    inputs.export(warehouse, many_queries, session.data / f"templates-{size}.parquet")
    folder = session.scratch / "parts"
    folder.mkdir(exist_ok=True)
    runs = session.in_turns(
        {
            f"{name} {n}": lambda call=call, n=n: run_contestant(*call, n)
            for name, call in (
                ("ours", ("our-workers", many_queries, folder)),
                ("the parser alone", ("parse-one-in-parallel", many_queries)),
            )
            for n in (1, 2)
        }
    )
    speedup, possible = (
        median(runs[f"{name} 1"], "seconds") / median(runs[f"{name} 2"], "seconds")
        for name in ("ours", "the parser alone")
    )
    session.report.bar(
        f"templates: 2 processes against one, {size:,} queries",
        "at least 1.6 times as fast",
        f"{speedup:.2f} times; `sqlglot.parse_one` alone, in independent processes with half of "
        f"the queries each, is {possible:.2f} times as fast on this machine",
        speedup >= 1.6,
    )


_STORED = {
    "stages": "stages",
    "counts of n-grams": "ngrams",
    "queries for readers": "queries",
    "database": "alignment.duckdb",
}


def _list_sizes(warehouse: Path) -> list[str]:
    """Return the size of each of ``_STORED``."""
    files = {name: [warehouse / name, *(warehouse / name).rglob("*")] for name in _STORED.values()}
    return [
        f"{sum(file.stat().st_size for file in found if file.is_file()) / 1e6:,.1f} MB"
        for found in files.values()
    ]


def growth(session: Session) -> None:
    """Measure time and memory for one corpus of each size, and their growth."""
    start = statistics.median(
        ours(session, inputs.synthetic(session.data, 10)).seconds for _ in range(session.repeat)
    )
    measured: dict[int, Measurement] = {}
    rows = []
    for size in session.sizes:
        corpora = inputs.synthetic(session.data, size)
        # The largest ones take minutes, over which noise averages out.
        runs = [ours(session, corpora) for _ in range(session.repeat if size <= 100_000 else 1)]
        one = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
        measured[size] = one
        say(f"  {size:,}: {one.seconds:.1f} s, {one.peak_bytes / 1e6:,.0f} MB")
        session.report.table(f"{size:,} queries", _STAGE_HEADER, stage_rows(once(one)))
        rows.append(
            [
                f"{size:,}",
                f"{one.seconds:.1f}",
                f"{one.cpu_seconds:.1f}",
                f"{one.seconds / size * 1e6:.0f}",
                f"{one.peak_bytes / 1e6:,.0f} MB",
                *_list_sizes(session.scratch / "warehouse"),
            ]
        )
    header = ("queries", "seconds", "CPU seconds", "microseconds a query", "peak memory", *_STORED)
    session.report.table("Growth", header, rows)
    session.report.note(f"A run over ten queries, counted as start-up: {start:.2f} s.")
    for size, (minutes, gigabytes) in _MOST_OF_SIZES.items():
        if size in measured:
            one = measured[size]
            session.report.bar(
                f"{size / 1e6:g} million queries",
                f"under {minutes} minutes, under {gigabytes} GB",
                f"{one.seconds / 60:.1f} minutes, {one.peak_bytes / 1e9:.2f} GB",
                one.seconds < 60 * minutes and one.peak_bytes < 1e9 * gigabytes,
            )
    largest = max(session.sizes)
    smallest = min((size for size in session.sizes if size >= 100_000), default=min(session.sizes))
    most_times = {(smallest, largest): 1.05, (1_000_000, 10_000_000): 1.0}
    for (first, last), most_time in most_times.items():
        if first not in measured or last not in measured or first == last:
            continue
        a, b = measured[first], measured[last]
        if min(a.seconds, b.seconds) <= start:
            session.report.note(
                "The growth is not known: other programs slowed the run over ten queries. Repeat "
                "it on a quiet machine."
            )
            continue
        factor = math.log(last / first)
        time = math.log((b.seconds - start) / (a.seconds - start)) / factor
        memory = math.log(b.peak_bytes / a.peak_bytes) / factor
        session.report.bar(
            f"growth from {first:,} to {last:,} queries",
            f"time exponent at most {most_time}, memory exponent at most 0.5",
            f"{time:.3f} and {memory:.3f}",
            time <= most_time and memory <= 0.5,
        )


def memory(session: Session) -> None:
    """Run a million queries with little memory."""
    size = min(1_000_000, max(session.sizes))
    corpora = inputs.synthetic(session.data, size)
    one = ours(session, corpora, NL2SQL_ALIGN_MEMORY_LIMIT="1GB")
    session.report.table(
        f"{size:,} queries with `--memory-limit 1GB`", _STAGE_HEADER, stage_rows(once(one))
    )
    # The limit covers what grows with the data; code and libraries take some 400 MB more.
    session.report.bar(
        f"{size:,} queries with `--memory-limit 1GB`",
        "finishes, within 1.5 GB in all processes together",
        f"{one.seconds:.0f} s, {one.peak_bytes / 1e6:,.0f} MB",
        one.peak_bytes < 1.5e9,
    )


def matrix(session: Session) -> None:
    """Run many corpora: all pairs, then one more corpus, then without any change."""
    n_corpora, n_queries, n_added = session.many
    first, second = inputs.many(session.data, n_corpora, n_queries, n_added)
    warehouse = session.warehouse()
    full = run_contestant("ours", first, warehouse)
    session.report.table(
        f"{n_corpora} corpora of {n_queries:,} queries",
        _STAGE_HEADER,
        stage_rows(once(full)),
    )
    same = run_contestant("ours", first, warehouse)
    added = run_contestant("ours", second, warehouse)
    session.report.table(
        f"One corpus of {n_added:,} queries added", _STAGE_HEADER, stage_rows(once(added))
    )
    session.report.table("Nothing changed", _STAGE_HEADER, stage_rows(once(same)))
    start, end = full.answer["marks"]["matrix"]
    most, _ = full.peaks_between(start, end)
    session.report.bar(
        f"matrix of {n_corpora} corpora of {n_queries:,} queries",
        "under 30 s, under 3 GB",
        f"{end - start:.1f} s, {most / 1e9:.2f} GB",
        end - start < 30 and most < 3e9,
    )
    share = work(added) / work(full)
    session.report.bar(
        f"one corpus of {n_added:,} queries added to {n_corpora}",
        "at most 5% of the full job",
        f"{share:.1%} ({work(added):.2f} s of {work(full):.1f} s)",
        share <= 0.05,
    )
    session.report.bar(
        f"nothing changed, {n_corpora} corpora",
        "under 2 s of work",
        f"{work(same):.2f} s",
        work(same) < 2,
    )


def log(session: Session) -> None:
    """Run a query log that repeats itself, as a target beside the samples."""
    n_rows, n_distinct = session.log
    one = ours(session, inputs.log(session.data, n_rows, n_distinct))
    session.report.table(
        f"A log of {n_rows:,} rows, {n_distinct:,} distinct queries",
        _STAGE_HEADER,
        stage_rows(once(one)),
    )


def exact(session: Session) -> None:
    """Compare our tables with those of the plain path, on every corpus."""
    corpora = inputs.real_corpora(session.data, session.dumps)
    warehouse = session.warehouse()
    run_contestant("ours", corpora, warehouse)
    answer = run_contestant("exact", corpora, warehouse, session.scratch / "plain").answer
    different = ", ".join(answer["different"]) or "all equal"
    session.report.bar(
        "exactness: templates, counts and measures equal those of the plain path, bit for bit",
        "on every real corpus",
        f"{answer['n_corpora']} corpora, {answer['n_queries']:,} queries, "
        f"{answer['n_ngrams']:,} counts, {answer['n_pairs']:,} pairs: {different}",
        not answer["different"],
    )


def beside_peers(session: Session) -> None:
    """Compare with programs that do a part of the work, on the real corpora."""
    if session.peers is None:
        say("  skipped: name the Python that has the peers with --peers")
        return
    if not session.dumps.exists():
        say(f"  skipped: {session.dumps} does not exist")
        return
    corpora = inputs.real_corpora(session.data, session.dumps)
    warehouse = session.warehouse()
    run_contestant("ours", corpora, warehouse)
    for target in peers.TARGETS:
        rows = peers.compare_selections(
            warehouse, session.peers, target, peers.BUDGET, session.scratch / target
        )
        session.report.table(
            f"{peers.BUDGET:,} rows selected for {target}", peers.SELECTION_HEADER, rows
        )
    session.report.note(
        "KL-alignments of the rows with the half of the target that they were selected for, and "
        "with the other half; means of both directions, one run each. Seconds of *ours* are those "
        "of the whole job up to the published database, without intervals, plus those of "
        "`select`. *data-selection* is DSIR with hashed n-grams of one and two words, on the "
        "texts of queries or on our templates, with its defaults but for the least length (100 "
        "tokens), which is lowered to 0. All choose from the same candidates."
    )
    rows, sentence = peers.compare_features(warehouse, session.peers, session.scratch)
    session.report.table("Statistics of queries, with NL2SQL360", peers.FEATURES_HEADER, rows)
    session.report.note(
        f"{sentence} Sums over all queries, the share of queries with equal numbers, and the "
        "number of queries where one program finds more."
    )


SECTIONS = {
    "whole-job": whole_job,
    "templates": templates,
    "growth": growth,
    "memory": memory,
    "matrix": matrix,
    "log": log,
    "exact": exact,
    "peers": beside_peers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one repetition: two minutes"
    )
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, help="sections to run; by default all"
    )
    parser.add_argument("--repeat", type=int, help="repetitions; 5, or 1 with --quick")
    parser.add_argument("--sizes", nargs="+", type=int, help="queries of the synthetic corpora")
    parser.add_argument("--many", nargs=3, type=int, metavar=("CORPORA", "QUERIES", "ADDED"))
    parser.add_argument("--log", nargs=2, type=int, metavar=("ROWS", "DISTINCT"))
    parser.add_argument("--data", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--dumps", type=Path, default=inputs.ROOT / inputs.DUMPS)
    parser.add_argument("--peers", help="the Python of an environment with the peers")
    parser.add_argument("--output", type=Path, default=inputs.ROOT / "benchmarks" / "RESULTS.md")
    arguments = parser.parse_args()
    sections = arguments.only or [
        name for name in SECTIONS if not (arguments.quick and name in ("memory", "exact"))
    ]
    sizes = (2_000, 10_000) if arguments.quick else (10_000, 100_000, 1_000_000, 2_500_000)
    arguments.data.mkdir(parents=True, exist_ok=True)
    report = Report()
    # Places on this machine say nothing.
    places = {arguments.peers: "PYTHON", str(arguments.data): "FOLDER"}
    shown = (places.get(one, one) for one in sys.argv[1:])
    command = " ".join(["python -m benchmarks.run", *shown])
    with tempfile.TemporaryDirectory(dir=arguments.data) as scratch:
        session = Session(
            arguments.data.resolve(),
            arguments.dumps.resolve(),
            Path(scratch).resolve(),
            arguments.repeat or (1 if arguments.quick else 5),
            tuple(sorted(arguments.sizes or sizes)),
            tuple(arguments.many or ((20, 500, 100) if arguments.quick else (200, 5000, 1000))),
            tuple(arguments.log or ((100_000, 1_000) if arguments.quick else (10_000_000, 50_000))),
            report,
            arguments.peers,
        )
        for name in sections:
            say(name)
            SECTIONS[name](session)
            # After each section: a later one may fail, and all take half an hour.
            report.write(arguments.output, command)
    say(f"Results: {arguments.output}")


if __name__ == "__main__":
    main()
