"""The alignment with unseen queries of a target, after adding rows to a training set.

Split the queries of the target into halves, at random (by a hash) or without a common database. Add
rows to a training set by the queries of one half, and compare with the other half, and the reverse;
the table shows the means. The rows added are those that ``gaps`` proposes, rows with the most
frequent templates of the half (as many templates and rows), queries of the half drawn at random,
and rows of the other training sets drawn at random.

    python -m benchmarks.gaps --warehouse DIR --pairs spider-train:bird-dev --budgets 200
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from benchmarks.selection import halves
from nl2sql_align.tasks.base.arrays import Integers
from nl2sql_align.tasks.decisions.candidates import list_training_corpora, load_pool_with_target
from nl2sql_align.tasks.decisions.gaps import REPLICATES, propose_rows
from nl2sql_align.tasks.decisions.selection_methods import Target, divergence
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.results.database import open_results

PAIRS: Final = ("bird-train:spider-dev", "spider-train:bird-dev", "spider-train:sede-val")
BUDGETS: Final = (100, 500)
DRAWS: Final = 10


def evaluate(
    warehouse: Path, source: str, target: str, budgets: list[int], by_database: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row per budget, with the alignment with the other half after each way to add rows."""
    with open_results(warehouse) as con:
        others = [one for one in list_training_corpora(con, target) if one != source]
        pool = load_pool_with_target(con, warehouse, target, [source, *others])
    if by_database and pool.target.unit != "database":
        return
    cells = pool.cells
    own = np.where(cells.source == 0, cells.n_rows, 0)
    is_other = (cells.source > 0) & (cells.source < cells.source.max())
    pool_rows = cells.per_template(np.where(is_other, cells.n_rows, 0))
    # Any cell of a template represents its rows.
    cell_of = np.searchsorted(cells.template, np.arange(len(cells.n_ngrams)))
    place_of = {text: i for i, text in enumerate(pool.templates)}
    places = np.array([place_of[text] for text in pool.target.templates])[pool.target.template]
    split = halves(pool, by_database)
    rng = np.random.default_rng(0)

    def score(rows: Integers, unseen: Target) -> float:
        added = np.zeros_like(own)
        np.add.at(added, cell_of[rows], 1)
        return alignment(divergence(cells, own + added, unseen))

    def mean(n: int, weights: Integers, unseen: Target) -> float:
        """Return the mean score of rows whose templates are drawn by weight."""
        p = weights / weights.sum()
        draws = [rng.choice(len(p), n, p=p) for _ in range(DRAWS)]
        return float(np.mean([score(rows, unseen) for rows in draws]))

    for budget in budgets:
        found = []
        for half, other in (split, split[::-1]):
            weights = half * pool.target.n_occurrences
            of_half = np.bincount(places, weights, len(cells.n_ngrams)).astype(np.int64)
            aim = pool.target.as_target(REPLICATES, 0, weights, pool.columns)
            unseen = pool.target.as_target(0, 0, other * pool.target.n_occurrences, pool.columns)
            proposed = propose_rows(cells, aim, own, of_half, budget)
            n, n_templates = len(proposed), len(set(proposed.tolist()))
            frequent = np.zeros_like(of_half)
            most = np.argsort(-of_half, kind="stable")[:n_templates]
            frequent[most] = of_half[most]
            found.append(
                {
                    "rows": float(n),
                    "templates": float(n_templates),
                    "as it is": score(proposed[:0], unseen),
                    "gaps": score(proposed, unseen),
                    "frequent templates": mean(n, frequent, unseen),
                    "queries of the half": mean(n, of_half, unseen),
                    "rows of the pool": mean(n, pool_rows, unseen),
                }
            )
        yield {
            "source": source,
            "target": target,
            "halves": "databases" if by_database else "queries",
            "budget": budget,
            **{name: float(np.mean([one[name] for one in found])) for name in found[0]},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warehouse", type=Path, required=True)
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), metavar="SOURCE:TARGET")
    parser.add_argument("--budgets", nargs="+", type=int, default=list(BUDGETS))
    given = parser.parse_args()
    rows = [
        row
        for pair in given.pairs
        for by_database in (False, True)
        for row in evaluate(given.warehouse, *pair.split(":"), given.budgets, by_database)
    ]
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=3):
        print(pl.DataFrame(rows))


if __name__ == "__main__":
    main()
