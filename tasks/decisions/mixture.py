"""How to mix whole corpora, so that the mixture is as near to a target as it can be.

The Python twin of ``nl2sql-align mix``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.candidates import Pool, load_pool
from nl2sql_align.tasks.decisions.options import Overlap
from nl2sql_align.tasks.measures.divergence import (
    LARGEST_NATS,
    alignment,
    skew_terms_and_slopes,
    sum_terms,
)
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.record import last_run, record
from nl2sql_align.tasks.warehouse.folder import stage_key

MIXTURE_VERSION: Final = 2
"""Goes up with every change that can alter a weight."""

REPLICATES: Final = 200

_GAP_NATS: Final = 1e-5
_SMALLEST: Final = 1e-9
_STEPS: Final = 5000


@dataclass(frozen=True)
class Weights:
    """The weights of a mixture, and how good they are.

    ``gap_nats`` bounds how far the divergence can be above the lowest there is.
    """

    weights: Floats
    kl_nats: float
    gap_nats: float


@dataclass(frozen=True)
class Mixture:
    """Weights of corpora, with intervals.

    Attributes:
        mixture: Its name: a digest of dumps, target, sources, seed and replicates.
        target: The target.
        kl_nats: The skew divergence of the mixture from the target.
        kl_alignment: Its KL-alignment.
        pool_alignment: That of all rows of the corpora together.
        unit: What was drawn again: databases of the target, or its queries.
        sources: A row per corpus, as in table ``mixtures``: the largest weight first.
    """

    mixture: str
    target: str
    kl_nats: float
    kl_alignment: float
    pool_alignment: float
    unit: str
    sources: pl.DataFrame


def mix(
    place: Path | str,
    target: str,
    sources: Sequence[str] = (),
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Mixture:
    """The weights of whole corpora whose mixture has the lowest divergence from a target.

    Args:
        place: The folder of the results, or their address on a store.
        target: The corpus to be like.
        sources: The corpora to mix; by default, where empty, all with the role train.
        replicates: How often the target is drawn again for the intervals; at least 20.
        seed: Of these draws.

    Returns:
        The weights, by n-grams and by rows, with 95 % percentile intervals of the rows' weights;
        table ``mixtures`` of the published database holds them too.

    Raises:
        ConfigurationError: There is no such corpus, or there are too few replicates.
        WarehouseError: There are no results, or another run holds them for a minute.
    """
    if not 20 <= replicates <= 100_000:
        raise ConfigurationError(f"replicates: {replicates} is not from 20 to 100,000")
    with open_results(place) as con:
        pool = load_pool(con, place, target, sources, Overlap.NONE, seed, is_whole=True)
        run_id = last_run(place)
    shares, per_row = _source_shares(pool)
    aim = pool.target.as_target(replicates, seed, columns=pool.columns)
    multiplicity = pool.cells.multiplicity
    best = nearest_mixture(shares, aim.shares, multiplicity)
    drawn = np.stack(
        [
            _row_weights(nearest_mixture(shares, q, multiplicity, best.weights).weights, per_row)
            for q in aim.resampled
        ]
    )
    rows = _row_weights(best.weights, per_row)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    whole = pool.cells.n_rows
    n_rows = np.bincount(pool.cells.source, weights=whole, minlength=len(pool.sources))
    whole_weights = n_rows * per_row
    names = pool.sources["corpus"].to_list()
    name = stage_key(
        version=MIXTURE_VERSION,
        target=target,
        sources=pool.sources.select("corpus", "digest").rows(),
        replicates=replicates,
        seed=seed,
    )[:16]
    pool_nats = mixture_divergence(
        whole_weights / whole_weights.sum(), shares, aim.shares, multiplicity
    )
    alone = [
        mixture_divergence(weights, shares, aim.shares, multiplicity)
        for weights in np.eye(len(names))
    ]
    table = pl.DataFrame(
        {
            "source": names,
            "ngram_weight": best.weights,
            "row_weight": rows,
            "row_weight_low": low,
            "row_weight_high": high,
            "source_alignment": [alignment(nats) for nats in alone],
        }
    ).with_columns(
        mixture=pl.lit(name),
        run_id=pl.lit(run_id),
        target=pl.lit(target),
        seed=pl.lit(seed, pl.Int64),
        replicates=pl.lit(replicates, pl.Int64),
        unit=pl.lit(pool.target.unit),
        kl_nats=pl.lit(best.kl_nats),
        kl_alignment=pl.lit(alignment(best.kl_nats)),
        gap_nats=pl.lit(best.gap_nats),
        pool_alignment=pl.lit(alignment(pool_nats)),
        created_at=pl.lit(datetime.now(UTC)),
    )
    table = table.sort("row_weight", descending=True, maintain_order=True)
    record(place, "mixtures", table, {"mixture": name})
    return Mixture(
        name,
        target,
        best.kl_nats,
        alignment(best.kl_nats),
        alignment(pool_nats),
        pool.target.unit,
        table,
    )


def nearest_mixture(
    shares: Floats, target: Floats, multiplicity: Floats, start: Floats | None = None
) -> Weights:
    """The weights whose mixture has the lowest skew divergence from a target.

    The divergence D(sum_k w_k P_k || Q) is convex in w: p ln(p / ((1 - l) q + l p)) is convex in p,
    and p is linear in w. Exponentiated gradient (Kivinen and Warmuth 1997) with a step that halves
    where it fails and grows where it does not. It ends when the Frank-Wolfe gap, an upper bound of
    how much lower the divergence can get, is at most 1e-5 nats.

    Args:
        shares: The n-gram distribution of each corpus (row), for the n-grams that the target has.
        target: That of the target.
        multiplicity: How many n-grams each column stands for.
        start: Weights to start from.
    """
    n = len(shares)
    weights = np.full(n, 1.0 / n)
    if start is not None:
        weights = 0.99 * start + 0.01 * weights
    step = 1.0
    nats, gradient = _look(weights, shares, target, multiplicity)
    gap = _gap(weights, gradient)
    for _ in range(_STEPS):
        if gap <= _GAP_NATS:
            break
        moved = weights * np.exp(-step * (gradient - gradient.min()))
        # A weight of 0 could never come back.
        moved = np.maximum(moved / moved.sum(), _SMALLEST)
        moved /= moved.sum()
        new, new_gradient = _look(moved, shares, target, multiplicity)
        if new <= nats:
            weights, nats, gradient = moved, new, new_gradient
            gap = _gap(weights, gradient)
            step *= 1.5
        else:
            step /= 2
            if step < 1e-12:
                break
    return Weights(weights, nats, gap)


def mixture_divergence(
    weights: Floats, shares: Floats, target: Floats, multiplicity: Floats
) -> float:
    """The skew divergence of a mixture from a target, in nats (specification, section 4)."""
    return _look(weights, shares, target, multiplicity)[0]


def _look(
    weights: Floats, shares: Floats, target: Floats, multiplicity: Floats
) -> tuple[float, Floats]:
    """The divergence and its gradient."""
    p = (weights[:, None] * shares).sum(axis=0)
    at = np.flatnonzero(p)
    terms, slopes = skew_terms_and_slopes(p[at], target[at])
    nats = sum_terms(terms, p[at], multiplicity[at])
    slopes = (slopes - LARGEST_NATS) * multiplicity[at]
    gradient: Floats = LARGEST_NATS + (shares[:, at] * slopes).sum(axis=1)
    return max(nats, 0.0), gradient


def _gap(weights: Floats, gradient: Floats) -> float:
    return float((weights * gradient).sum() - gradient.min())


def _source_shares(pool: Pool) -> tuple[Floats, Floats]:
    """The n-gram distribution of each source (row), and the n-grams of its average row."""
    cells, n_sources = pool.cells, len(pool.sources)
    shares, per_row = [], []
    for one in range(n_sources):
        rows = np.where(cells.source == one, cells.n_rows, 0)
        weights = cells.per_template(rows).astype(np.float64)
        n_ngrams = float((weights * cells.n_ngrams).sum())
        if not n_ngrams:
            name = pool.sources["corpus"][one]
            raise ConfigurationError(f"'{name}' has no n-grams: leave it out of the mixture")
        shares.append((cells.counts.T @ weights) / n_ngrams)
        per_row.append(n_ngrams / rows.sum())
    return np.stack(shares), np.array(per_row)


def _row_weights(ngram_weights: Floats, per_row: Floats) -> Floats:
    """The shares of rows that give such shares of n-grams."""
    rows = ngram_weights / per_row
    return np.asarray(rows / rows.sum(), np.float64)
