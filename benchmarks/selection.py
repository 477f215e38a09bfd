"""The alignment of selections with queries of the target that they were not made for.

Split the queries of the target into halves, at random (by a hash) or without a common database.
Each method selects rows for one half, which are compared with the other half, and the reverse; the
tables show the means. Rows that overlap with either half are excluded.

    python -m benchmarks.selection --warehouse DIR
    python -m benchmarks.selection --warehouse DIR --targets spider-dev --budgets 1000
"""

import argparse
import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from nl2sql_align.tasks.decisions.candidates import Pool, load_pool
from nl2sql_align.tasks.decisions.selection import SelectionOptions, choose
from nl2sql_align.tasks.decisions.selection_methods import divergence
from nl2sql_align.tasks.measures.divergence import alignment, skew_terms
from nl2sql_align.tasks.results.database import open_results

TARGETS: Final = ("spider-dev", "bird-dev", "sede-val")
BUDGETS: Final = (500, 2000, 8000)
METHODS: Final = {
    "random": SelectionOptions(1, "random"),
    "importance": SelectionOptions(1, "importance"),
    "greedy": SelectionOptions(1, "greedy"),
    "direct, target as it is": SelectionOptions(1, "direct", replicates=0),
    "direct": SelectionOptions(1, "direct"),
}


def halves(pool: Pool, by_database: bool) -> list[Any]:
    """Return the weights of the target's queries in each of two halves."""
    target = pool.target
    names = target.db_id if by_database else pl.Series(target.ordinal).cast(pl.String)
    if by_database:
        # In the order of their hashes, each database joins the half with fewer queries.
        counts = dict(names.value_counts().iter_rows())
        first: set[str] = set()
        sizes = [0, 0]
        for name in sorted(counts, key=_hash):
            smaller = int(sizes[1] < sizes[0])
            sizes[smaller] += counts[name]
            if not smaller:
                first.add(name)
        in_first = np.array([name in first for name in names])
    else:
        ordered = sorted(names, key=_hash)
        first = set(ordered[: len(ordered) // 2])
        in_first = np.array([name in first for name in names])
    return [in_first.astype(np.int64), (~in_first).astype(np.int64)]


def _hash(name: str) -> str:
    return hashlib.sha256(f"half {name}".encode()).hexdigest()


def evaluate(
    warehouse: Path, target: str, budgets: list[int], by_database: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row per method and budget, with the alignment with the other half."""
    with open_results(warehouse) as con:
        pool = load_pool(con, warehouse, target, (), "near", 0)
    if by_database and pool.target.unit != "database":
        return
    split = halves(pool, by_database)
    aims = [
        {n: pool.target.as_target(n, 0, of=half, columns=pool.columns) for n in (0, 20)}
        for half in split
    ]
    half_on_half = [_between_halves(pool, split[i], split[1 - i]) for i in (0, 1)]
    common = {"target": target, "halves": "databases" if by_database else "queries"}
    common["half_on_half"] = float(np.mean(half_on_half))

    def row(method: str, budget: int | None, values: list[Any], seconds: float) -> dict[str, Any]:
        own, held_out, templates = (float(np.mean(one)) for one in zip(*values, strict=True))
        return {
            **common,
            "budget": budget,
            "method": method,
            "own_half": own,
            "held_out": held_out,
            "templates": templates,
            "seconds": seconds,
        }

    def score(taken: Any, i: int) -> tuple[float, float, int]:
        own, other = (
            alignment(divergence(pool.cells, taken, aims[half][0])) for half in (i, 1 - i)
        )
        return own, other, int((pool.cells.per_template(taken) > 0).sum())

    cells = pool.cells
    corpora = pool.sources["corpus"].to_list()
    whole = [np.where(cells.source == one, cells.n_rows, 0) for one in range(len(corpora))]
    # Chosen by the known half, as a user would.
    best = [max(range(len(whole)), key=lambda c: score(whole[c], i)[0]) for i in (0, 1)]
    yield row("all candidates", None, [score(cells.n_rows, i) for i in (0, 1)], 0.0)
    names = " / ".join(dict.fromkeys(corpora[one] for one in best))
    yield row(f"best corpus ({names})", None, [score(whole[best[i]], i) for i in (0, 1)], 0.0)
    for budget in budgets:
        for name, options in METHODS.items():
            given = replace(options, budget=budget)
            started = time.perf_counter()
            values = []
            for i in (0, 1):
                choice = choose(pool, aims[i][given.replicates], given, [budget])
                values.append(score(choice.taken[-1], i))
            yield row(name, budget, values, (time.perf_counter() - started) / 2)


def _between_halves(pool: Pool, source: Any, target: Any) -> float:
    """Return the alignment of one half with the other."""
    p, q = pool.target.shares(np.stack([source, target]))
    return alignment(float(skew_terms(p, q).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--warehouse", type=Path, required=True)
    parser.add_argument("--targets", nargs="+", default=list(TARGETS))
    parser.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS))
    arguments = parser.parse_args()
    for by_database in (False, True):
        for target in arguments.targets:
            rows = list(evaluate(arguments.warehouse, target, arguments.budgets, by_database))
            if rows:
                _print(rows, arguments.budgets)


def _print(rows: list[dict[str, Any]], budgets: list[int]) -> None:
    first = rows[0]
    print(
        f"\n{first['target']}, halves of {first['halves']} "
        f"(one aligned with the other: {first['half_on_half']:.3f})\n"
    )
    print(
        "| method | " + " | ".join(f"{budget:,} rows" for budget in budgets) + " | own half | s |"
    )
    print("| --- |" + " ---: |" * (len(budgets) + 2))
    for method in dict.fromkeys(row["method"] for row in rows):
        of_method = {row["budget"]: row for row in rows if row["method"] == method}
        held_out = [of_method.get(b, of_method.get(None)) for b in budgets]
        cells = [f"{one['held_out']:.3f}" for one in held_out]
        last = held_out[-1]
        print(
            f"| {method} | "
            + " | ".join([*cells, f"{last['own_half']:.3f}", f"{last['seconds']:.1f}"])
            + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
