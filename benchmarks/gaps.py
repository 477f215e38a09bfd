"""The alignment with unseen queries of a target, after adding rows to a training set.

Split the queries of the target into halves, at random (by a hash) or without a common database. Add
rows to a training set by the queries of one half, and compare with the other half, and the reverse;
the table shows the means. The rows added are those that ``gaps`` proposes, rows with the most
frequent templates of the half (as many templates and rows), queries of the half drawn at random,
and rows of the other training sets drawn at random.

With ``--reach``, rows are also proposed by reach: the parts of the training set have the weights of
the mixture that is closest to the half. Both proposals are compared by alignment; by the reach of
the parts, if the new rows count as many as they are; and by the reach of the parts and the new rows
as one more part, whose weight is shown.

    python -m benchmarks.gaps --warehouse DIR --pairs spider-train:bird-dev --budgets 200
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import polars as pl
from scipy.sparse import coo_array, csr_array, vstack

from benchmarks.selection import halves
from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.decisions.candidates import (
    Pool,
    list_training_corpora,
    load_pool_with_target,
)
from nl2sql_align.tasks.decisions.gaps import REPLICATES, propose_rows
from nl2sql_align.tasks.decisions.selection_methods import Target, divergence
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.measures.mixtures import mixture_divergence, nearest_mixture
from nl2sql_align.tasks.measures.parts import divide_rows
from nl2sql_align.tasks.results.database import open_results

PAIRS: Final = ("bird-train:spider-dev", "spider-train:bird-dev", "spider-train:sede-val")
BUDGETS: Final = (100, 500)
DRAWS: Final = 10
_GAP_NATS: Final = 0.002
_ROWS_OF_PARTS: Final = """
    select
        0 as unit_number,
        template,
        db_id,
        part,
        sum(n_occurrences)::bigint as n_queries
    from queries
    join templates using (template_id)
    where corpus = $corpus
    group by all
    order by all
"""


class Reach:
    """The reach of the parts of a training set, with rows that are added to it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, source: str, pool: Pool) -> None:
        self.cells = pool.cells
        number_of = {text: i for i, text in enumerate(pool.templates)}
        rows = con.sql(_ROWS_OF_PARTS, params={"corpus": source}).pl()
        numbers = pl.Series([number_of[text] for text in rows["template"]], dtype=pl.Int64)
        parts = divide_rows(rows.with_columns(template_number=numbers), pool.templates)
        shape = parts.n_parts, len(pool.templates)
        places = parts.parts, parts.templates
        self.of_parts = coo_array((parts.n_queries, places), shape=shape).tocsr()
        self.shares = self._share(self.of_parts)

    def _share(self, of_templates: csr_array) -> csr_array:
        totals = of_templates @ self.cells.n_ngrams
        return (of_templates.multiply(1 / totals[:, None]) @ self.cells.counts).tocsr()

    def weigh(self, aim: Target) -> Integers:
        """Return the rows of each template in the mixture closest to a target, in all as many."""
        weights = self._find_weights(self.shares, aim) / (self.of_parts @ self.cells.n_ngrams)
        mixed = weights @ self.of_parts
        return np.rint(mixed / mixed.sum() * self.of_parts.sum()).astype(np.int64)

    def score(self, rows: Integers, aim: Target, unseen: Target) -> tuple[float, float, float]:
        """Return the reach with new rows as they are, that with rows at any weight, and the weight.

        Args:
            rows: The template of each row.
            aim: The target that chooses the weights.
            unseen: The target that the reach is measured with.
        """
        n_ngrams = self.cells.n_ngrams
        added = np.bincount(rows, minlength=len(n_ngrams)).astype(np.float64)
        new = self._share(csr_array(added[None, :]))
        share = added @ n_ngrams / (added @ n_ngrams + self.of_parts.sum(axis=0) @ n_ngrams)
        # The new rows are in each part in equal shares.
        column = csr_array(np.ones((self.shares.shape[0], 1)))
        as_they_are = (self.shares * (1 - share) + column @ (new * share)).tocsr()
        at_any_weight = vstack([self.shares, new]).tocsr()
        found = []
        for shares in (as_they_are, at_any_weight):
            weights = self._find_weights(shares, aim)
            nats = mixture_divergence(weights, shares, unseen.shares, self.cells.multiplicity)
            found.append(alignment(nats))
        return found[0], found[1], float(weights[-1])

    def _find_weights(self, shares: csr_array, aim: Target) -> Floats:
        given = shares, aim.shares, self.cells.multiplicity
        return nearest_mixture(*given, gap_nats=_GAP_NATS).weights


def evaluate(
    warehouse: Path,
    source: str,
    target: str,
    budgets: list[int],
    by_database: bool,
    with_reach: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield a row per budget, with the alignment with the other half after each way to add rows."""
    with open_results(warehouse) as con:
        others = [one for one in list_training_corpora(con, target) if one != source]
        pool = load_pool_with_target(con, warehouse, target, [source, *others])
        reach = Reach(con, source, pool) if with_reach else None
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
            if reach is not None:
                weighed = np.zeros_like(own)
                weighed[cell_of] = reach.weigh(aim)
                by_reach = propose_rows(cells, aim, weighed, of_half, budget)
                found[-1] |= {"gaps by reach": score(by_reach, unseen)}
                for name, rows in (("gaps", proposed), ("gaps by reach", by_reach)):
                    scores = reach.score(rows, aim, unseen)
                    names = ("reach", "reach at any weight", "weight")
                    found[-1] |= {
                        f"{one} of {name}": value for one, value in zip(names, scores, strict=True)
                    }
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
    parser.add_argument("--reach", action="store_true")
    given = parser.parse_args()
    rows = [
        row
        for pair in given.pairs
        for by_database in (False, True)
        for row in evaluate(
            given.warehouse, *pair.split(":"), given.budgets, by_database, given.reach
        )
    ]
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, float_precision=3):
        print(pl.DataFrame(rows))


if __name__ == "__main__":
    main()
