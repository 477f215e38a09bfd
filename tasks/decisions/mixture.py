"""Weights of whole corpora whose mixture is closest to a target: ``nl2sql-align mix``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.candidates import Pool, load_pool, note_accidental
from nl2sql_align.tasks.decisions.options import Overlap
from nl2sql_align.tasks.decisions.selection_methods import Target
from nl2sql_align.tasks.measures.divergence import (
    LARGEST_NATS,
    alignment,
    skew_terms_and_slopes,
    sum_terms,
)
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.record import last_run_id, record_decision
from nl2sql_align.tasks.warehouse.folder import stage_key

MIXTURE_VERSION: Final = 3
"""Goes up with every change that can alter a weight."""

REPLICATES: Final = 200
"""The default number of resamples of the target."""

_GAP_NATS: Final = 1e-5
_LEAST_WEIGHT: Final = 1e-9
_STEPS: Final = 5000


@dataclass(frozen=True)
class Weights:
    """The weights of a mixture.

    Attributes:
        weights: The share of n-grams from each corpus.
        kl_nats: The skew divergence of the mixture from the target.
        gap_nats: A bound for how far the divergence is above the lowest possible.
    """

    weights: Floats
    kl_nats: float
    gap_nats: float


@dataclass(frozen=True)
class Mixture:
    """Weights of corpora, with intervals.

    Attributes:
        mixture: Its name, a digest of dumps, target, sources, seed and replicates.
        target: The target.
        kl_nats: The skew divergence of the mixture from the target.
        kl_alignment: The KL-alignment of the mixture with the target.
        pool_alignment: That of all rows of the corpora together.
        unit: The unit that was resampled: databases of the target, or its queries.
        sources: A row per corpus, as in table ``mixtures``, the largest weight first.
        notes: Warnings and hints for the user.
    """

    mixture: str
    target: str
    kl_nats: float
    kl_alignment: float
    pool_alignment: float
    unit: str
    sources: pl.DataFrame
    notes: tuple[str, ...]


def mix(
    place: Path | str,
    target: str,
    sources: Sequence[str] = (),
    replicates: int = REPLICATES,
    seed: int = 0,
    keep_accidental: bool = False,
) -> Mixture:
    """Find the weights of whole corpora whose mixture has the lowest divergence from a target.

    Records the result in table ``mixtures`` of the published database.

    Args:
        place: The warehouse folder, or its address on an object store.
        target: The corpus to match.
        sources: The corpora to mix; if empty, all with the role train.
        replicates: The number of resamples of the target for the intervals, from 20 to 100,000.
        seed: The seed of the resamples.
        keep_accidental: Keep rows that parse by accident, because a name in them lacks quotes.

    Returns:
        The weights, by n-grams and by rows, with 95% percentile intervals of the row weights.

    Raises:
        ConfigurationError: A corpus does not exist, or ``replicates`` is out of range.
        WarehouseError: The results are missing, or another run has locked them for a minute.
    """
    if not 20 <= replicates <= 100_000:
        raise ConfigurationError(f"replicates: {replicates} is not between 20 and 100,000")
    with open_results(place) as con:
        pool = load_pool(
            con,
            place,
            target,
            sources,
            Overlap.NONE,
            seed,
            is_whole=True,
            keep_accidental=keep_accidental,
        )
        run_id = last_run_id(place)
    shares, per_row = _source_shares(pool)
    aim = pool.target.as_target(replicates, seed, columns=pool.columns)
    multiplicity = pool.cells.multiplicity
    best = nearest_mixture(shares, aim.shares, multiplicity)
    n_rows = np.bincount(pool.cells.source, weights=pool.cells.n_rows, minlength=len(pool.sources))
    pool_weights = n_rows * per_row
    pool_nats = mixture_divergence(
        pool_weights / pool_weights.sum(), shares, aim.shares, multiplicity
    )
    name = stage_key(
        version=MIXTURE_VERSION,
        target=target,
        sources=pool.sources.select("corpus", "digest").rows(),
        replicates=replicates,
        seed=seed,
        keep_accidental=keep_accidental,
    )[:16]
    table = _weigh_sources(pool, aim, shares, per_row, best).with_columns(
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
    record_decision(place, "mixtures", table, {"mixture": name})
    return Mixture(
        name,
        target,
        best.kl_nats,
        alignment(best.kl_nats),
        alignment(pool_nats),
        pool.target.unit,
        table,
        tuple(note_accidental(pool.sources)),
    )


def _weigh_sources(
    pool: Pool, target: Target, shares: Floats, per_row: Floats, best: Weights
) -> pl.DataFrame:
    """Return the weights of each source, with intervals and its alignment alone."""
    multiplicity = pool.cells.multiplicity
    resampled = np.stack(
        [
            _row_weights(nearest_mixture(shares, q, multiplicity, best.weights).weights, per_row)
            for q in target.resampled
        ]
    )
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    alone = [
        mixture_divergence(weights, shares, target.shares, multiplicity)
        for weights in np.eye(len(shares))
    ]
    return pl.DataFrame(
        {
            "source": pool.sources["corpus"],
            "ngram_weight": best.weights,
            "row_weight": _row_weights(best.weights, per_row),
            "row_weight_low": low,
            "row_weight_high": high,
            "source_alignment": [alignment(nats) for nats in alone],
        }
    )


def nearest_mixture(
    shares: Floats, target: Floats, multiplicity: Floats, start: Floats | None = None
) -> Weights:
    """Find the weights whose mixture has the lowest skew divergence from a target.

    The divergence D(sum_k w_k P_k || Q) is convex in w, because its terms are convex in p and p is
    linear in w. This is exponentiated gradient descent (Kivinen and Warmuth 1997), with a step that
    halves when it fails and grows when it succeeds. It ends when the Frank-Wolfe gap, an upper
    bound of how much lower the divergence can get, is at most 1e-5 nats.

    Args:
        shares: The n-gram distribution of each corpus (row), over the n-grams that the target has.
        target: The n-gram distribution of the target.
        multiplicity: The number of n-grams that share each column.
        start: Weights to start from.
    """
    n = len(shares)
    weights = np.full(n, 1.0 / n)
    if start is not None:
        weights = 0.99 * start + 0.01 * weights
    step = 1.0
    nats, gradient = _divergence_and_gradient(weights, shares, target, multiplicity)
    gap = _gap(weights, gradient)
    for _ in range(_STEPS):
        if gap <= _GAP_NATS:
            break
        moved = weights * np.exp(-step * (gradient - gradient.min()))
        # A weight of 0 could never grow again.
        moved = np.maximum(moved / moved.sum(), _LEAST_WEIGHT)
        moved /= moved.sum()
        new, new_gradient = _divergence_and_gradient(moved, shares, target, multiplicity)
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
    """Return the skew divergence of a mixture from a target, in nats."""
    return _divergence_and_gradient(weights, shares, target, multiplicity)[0]


def _divergence_and_gradient(
    weights: Floats, shares: Floats, target: Floats, multiplicity: Floats
) -> tuple[float, Floats]:
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
    """Return the n-gram distribution of each source (row), and the n-grams in its average row."""
    cells, n_sources = pool.cells, len(pool.sources)
    shares, per_row = [], []
    for one in range(n_sources):
        rows = np.where(cells.source == one, cells.n_rows, 0)
        weights = cells.per_template(rows).astype(np.float64)
        n_ngrams = float((weights * cells.n_ngrams).sum())
        if not n_ngrams:
            name = pool.sources["corpus"][one]
            raise ConfigurationError(f"'{name}' has no n-grams; leave it out of the sources")
        shares.append((cells.counts.T @ weights) / n_ngrams)
        per_row.append(n_ngrams / rows.sum())
    return np.stack(shares), np.array(per_row)


def _row_weights(ngram_weights: Floats, per_row: Floats) -> Floats:
    """Return the shares of rows that result in these shares of n-grams."""
    rows = ngram_weights / per_row
    return np.asarray(rows / rows.sum(), np.float64)
