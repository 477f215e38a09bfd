"""This program next to peers: selection by data-selection (DSIR), statistics by NL2SQL360.

The candidates for a target, and one half of its queries, are written as JSON lines. data-selection
reads these files; we run the whole job on them, then ``select``. Each chosen set is compared with
the other half, and the reverse; the tables show means. A section of ``benchmarks.run``. Peers have
an environment of their own:

    python -m venv peers
    peers/bin/pip install data-selection nl2sql360
    python -m benchmarks.run --only peers --peers peers/bin/python
"""

import json
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.process import Measurement, run_command, run_contestant
from benchmarks.report import say
from benchmarks.selection import halves
from nl2sql_align.tasks.base.arrays import Integers
from nl2sql_align.tasks.base.run_sql import run_sql
from nl2sql_align.tasks.decisions.candidates import Pool, load_pool
from nl2sql_align.tasks.decisions.selection_methods import divergence
from nl2sql_align.tasks.ingest.corpora_file import ColumnMapping, CorpusEntry, format_corpora
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.results.database import open_results

TARGETS: Final = ("spider-dev", "bird-dev")
BUDGET: Final = 2000
FEATURES: Final = ("spider-dev", "bird-dev", "sede-val", "tpcds")
SELECTION_HEADER: Final = ("method", "seconds", "peak MB", "templates", "own half", "other half")
FEATURES_HEADER: Final = ("statistic", "ours", "theirs", "equal", "ours is more", "theirs is more")
_PROGRAMS: Final = Path(__file__).with_name("peer_programs.py")


@dataclass(frozen=True)
class Case:
    """A target, its candidates, and the halves of its queries, in memory and in files.

    Attributes:
        pool: The candidates and the target.
        sources: The file of each source: a line per candidate with ``text``, ``template`` and
            ``cell``, its cell in the pool.
        dialects: The dialect of each source, and of the target.
        halves: The files of the halves: ``text`` and ``template``.
        weights: The weights of the target's queries in each half.
    """

    pool: Pool
    sources: dict[str, Path]
    dialects: dict[str, str]
    halves: list[Path]
    weights: list[Integers]

    def score(self, chosen: list[int], half: int) -> float:
        """Return the alignment of chosen candidates, by their cells, with a half."""
        taken = np.bincount(chosen, minlength=len(self.pool.cells.n_rows))
        unseen = self.pool.target.as_target(0, 0, self.weights[half], self.pool.columns)
        return alignment(divergence(self.pool.cells, taken, unseen))


def make_case(warehouse: Path, target: str, folder: Path) -> Case:
    with open_results(warehouse) as con:
        pool = load_pool(con, warehouse, target, (), "near", 0)
        rows = con.sql(
            """
            select corpus, queries.sql as text, template
            from candidates
            join given_sources using (position)
            join queries using (corpus, ordinal)
            join templates on templates.template_id = queries.template_id
            where excluded is null
            order by position, ordinal
            """
        ).pl()
        queries = con.sql(
            """
            select ordinal, sql as text, template
            from queries
            join templates using (template_id)
            where corpus = $target
            """,
            params={"target": target},
        ).pl()
        dialects = dict(con.sql("select corpus, dialect from corpora").fetchall())
    folder.mkdir(parents=True)
    rows = rows.with_columns(pl.Series("cell", pool.row_cells))
    sources = {}
    for (name,), group in rows.group_by("corpus", maintain_order=True):
        sources[str(name)] = folder / f"{name}.jsonl"
        group.drop("corpus").write_ndjson(sources[str(name)])
    weights = halves(pool, by_database=False)
    files = []
    for number, half in enumerate(weights):
        files.append(folder / f"half-{number}.jsonl")
        ordinals = pool.target.ordinal[half > 0].tolist()
        queries.filter(pl.col("ordinal").is_in(ordinals)).drop("ordinal").write_ndjson(files[-1])
    return Case(pool, sources, dialects, files, weights)


@dataclass(frozen=True)
class Choice:
    """The cells of the chosen rows, and the processes that chose them, one after another."""

    cells: list[int]
    processes: list[Measurement]


def choose_ours(case: Case, half: Path, budget: int, folder: Path) -> dict[str, Choice]:
    """Run the whole job, then ``select`` by each method."""
    target = case.pool.target.corpus
    named = [(name, path, "train") for name, path in case.sources.items()]
    entries = [
        CorpusEntry(
            name=name,
            path=path,
            format="jsonl",
            dialect=case.dialects[name],
            role=role,
            columns=ColumnMapping(sql="text"),
        )
        for name, path, role in [*named, (target, half, "target")]
    ]
    corpora = folder / "corpora.toml"
    corpora.write_text(format_corpora(entries), encoding="utf-8")
    warehouse = folder / "warehouse"
    job = run_contestant("our-measures", corpora, warehouse)
    chosen = {}
    for method in ("random", "importance", "direct"):
        command = [str(Path(sys.executable).with_name("nl2sql-align")), "select", str(warehouse)]
        command += ["--target", target, "--budget", str(budget), "--method", method]
        out = folder / method
        measured = run_command([*command, "--out", str(out)], answers=False)
        rows = pl.read_parquet(out / "selection.parquet")
        cells = [json.loads(record)["cell"] for record in rows["record"]]
        chosen[f"ours, {method}"] = Choice(cells, [job, measured])
    return chosen


def choose_by_dsir(
    python: str, case: Case, half: Path, budget: int, folder: Path
) -> dict[str, Choice]:
    """Run data-selection on the texts of queries, and on templates."""
    chosen = {}
    for column in ("text", "template"):
        pool, target = folder / f"pool-{column}.jsonl", folder / f"target-{column}.jsonl"
        _write_as_text(column, [*case.sources.values()], pool)
        _write_as_text(column, [half], target)
        out = folder / f"dsir-{column}"
        command = [python, str(_PROGRAMS), "dsir", str(pool), str(target), str(out), str(budget)]
        measured = run_command(command)
        cells = pl.concat(map(pl.read_ndjson, sorted(out.glob("*.jsonl"))))["cell"].to_list()
        chosen[f"data-selection, {column}s"] = Choice(cells, [measured])
    return chosen


def _write_as_text(column: str, files: list[Path], destination: Path) -> None:
    rows = pl.concat(map(pl.read_ndjson, files))
    kept = [pl.col(column).alias("text"), *(["cell"] if "cell" in rows.columns else [])]
    rows.select(kept).write_ndjson(destination)


def compare_selections(
    warehouse: Path, python: str, target: str, budget: int, folder: Path
) -> list[list[str]]:
    """Return a row per method: seconds, memory, templates, and alignments with both halves."""
    case = make_case(warehouse, target, folder / "case")
    results: dict[str, list[tuple[float, ...]]] = {}
    for number, half in enumerate(case.halves):
        place = folder / f"chosen-{number}"
        place.mkdir()
        choices = choose_ours(case, half, budget, place)
        choices |= choose_by_dsir(python, case, half, budget, place)
        for name, choice in choices.items():
            own, unseen = (case.score(choice.cells, half) for half in (number, 1 - number))
            say(f"  {name}: {unseen:.3f}")
            results.setdefault(name, []).append(
                (
                    *(choice.processes[part].seconds for part in (0, -1)),
                    max(one.peak_bytes for one in choice.processes),
                    len(set(case.pool.cells.template[choice.cells])),
                    own,
                    unseen,
                )
            )
    rows = []
    for name, both in results.items():
        first, last, peak, templates, own, unseen = (
            statistics.mean(values) for values in zip(*both, strict=True)
        )
        seconds = f"{first:.1f} + {last:.1f}" if name.startswith("ours") else f"{last:.1f}"
        measures = [f"{peak / 1e6:,.0f}", f"{templates:,.0f}", f"{own:.3f}", f"{unseen:.3f}"]
        rows.append([name, seconds, *measures])
    return rows


def compare_features(warehouse: Path, python: str, folder: Path) -> tuple[list[list[str]], str]:
    """Return a row per statistic of queries, and a sentence on time."""
    with open_results(warehouse) as con:
        run_sql(con, "results/publish/template_features", corpora=list(FEATURES))
        queries = con.sql(
            """
            select sql as text, corpora.dialect, features.*
            from queries
            join corpora using (corpus)
            join template_features as features using (template_id)
            where queries.corpus in $names
            order by corpora.corpus, ordinal
            """,
            params={"names": list(FEATURES)},
        ).pl()
    path = folder / "queries.jsonl"
    queries.select("text", "dialect").write_ndjson(path)
    measured = run_command([python, str(_PROGRAMS), "features", str(path)])
    found: list[dict[str, int] | None] = measured.answer["features"]
    parsed = [number for number, one in enumerate(found) if one is not None]
    rows = []
    for name in found[parsed[0]] or {}:
        theirs = [(found[number] or {})[name] for number in parsed]
        ours = queries[name].gather(parsed).to_list()
        pairs = Counter(zip(ours, theirs, strict=True))
        n_equal = sum(n for (one, other), n in pairs.items() if one == other)
        n_more = sum(n for (one, other), n in pairs.items() if one > other)
        rows.append(
            [
                name,
                f"{sum(ours):,}",
                f"{sum(theirs):,}",
                f"{n_equal / len(parsed):.1%}",
                f"{n_more:,}",
                f"{len(parsed) - n_equal - n_more:,}",
            ]
        )
    sentence = (
        f"{len(queries):,} queries; NL2SQL360 parses {len(parsed):,} of them, in "
        f"{measured.seconds:.1f} s and {measured.peak_bytes / 1e6:,.0f} MB."
    )
    return rows, sentence
