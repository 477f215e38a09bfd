"""Sample sizes: how many queries of a target rank training sets as all its queries do."""

import glob
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.decisions.options import SAMPLE_TRIALS
from nl2sql_align.tasks.measures.bootstrap import (
    Classes,
    Counts,
    group_ngrams,
    replicate_counts,
    shared_classes,
    skew_divergences,
    uniforms,
    unit_keys,
)
from nl2sql_align.tasks.measures.divergence import (
    EPSILON,
    additive_alone_as_target,
    additive_divergences,
    jensen_shannon_divergences,
)
from nl2sql_align.tasks.measures.options import SEED
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.record import last_run_id, record_decision
from nl2sql_align.tasks.warehouse.object_store import warehouse_at
from nl2sql_align.tasks.warehouse.part_files import is_complete

SMOOTHINGS: Final = ("skew", "additive", "js")
"""The divergences that rank the candidates, the main one first."""

GOOD_TAU: Final = 0.9
"""The mean Kendall tau from which a ranking counts as that of the whole target."""

GOOD_SHARE: Final = 0.95
"""The share of trials from which a winner, or the order of the first two, counts as found."""

MOST_DRAWN: Final = 100_000
"""The largest sample that is tried, besides all queries of the target."""

_SMALLEST_SAMPLE: Final = 10
_STEPS: Final = (1, 1.5, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class _Candidate:
    """A training set.

    Attributes:
        corpus: Its name.
        columns: The columns, among the target's n-grams, of the n-grams that it shares.
        counts: The number of occurrences of each shared n-gram.
        n_ngrams: The number of occurrences of all its n-grams.
        n_distinct_ngrams: The number of its distinct n-grams.
        alone_as_source: What it adds to the additive divergence from a target that shares nothing.
    """

    corpus: str
    columns: Integers
    counts: Integers
    n_ngrams: int
    n_distinct_ngrams: int
    alone_as_source: float


def sample_size(
    place: Path | str,
    target: str,
    candidates: Sequence[str] | None = None,
    n_trials: int = SAMPLE_TRIALS,
    seed: int = SEED,
) -> pl.DataFrame:
    """Compute how stable the ranking of training sets is with fewer queries of a target.

    Each trial draws queries of the target without replacement. Its smaller samples are parts of its
    larger ones. A query that occurs several times in a log can be drawn as often. Records the
    result in table ``sample_size`` of the published database.

    Args:
        place: The warehouse folder, or its address on an object store.
        target: A corpus with the role target.
        candidates: The training sets to rank; by default all.
        n_trials: The number of samples of each size.
        seed: The seed of the samples.

    Returns:
        A row per smoothing and size: the mean ``kendall_tau`` with the ranking by all queries and
        its 2.5% and 97.5% quantiles over the trials, and the shares of trials with the same
        winner and with the same order of the first two.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: The target or a candidate does not exist, there are fewer than two
            candidates, or ``n_trials`` is less than 1.
    """
    if n_trials < 1:
        raise ConfigurationError(f"trials: {n_trials} is less than 1")
    with open_results(place) as con:
        run_id = last_run_id(con)
        queries, sets = _read_sets(con, place, target, candidates)
    distinct = queries["template"].unique().sort()
    incidence = ngram_incidence(distinct)
    classes = group_ngrams(incidence.counts)
    of_query = distinct.search_sorted(queries["template"]).to_numpy().astype(np.int64)
    n_occurrences = queries["n_occurrences"].to_numpy().astype(np.int64)
    training_sets = [_match_ngrams(counts, row, incidence.ngrams) for row, counts in sets]
    n_all = int(n_occurrences.sum())
    sizes = sizes_up_to(n_all)
    drawn = of_query[
        draw_queries(n_occurrences, [0, *sizes][-2], n_trials, f"sample-size {target}", seed)
    ]
    everything = np.bincount(of_query, n_occurrences, len(distinct)).astype(np.float64)
    whole = _divergences(classes, training_sets, everything[None, :])
    names = [one.corpus for one in training_sets]
    rows = []
    weights = np.zeros((n_trials, len(distinct)))
    done = 0
    for size in sizes:
        if size == n_all:
            weights[:] = everything
        else:
            np.add.at(weights, (np.arange(n_trials)[:, None], drawn[:, done:size]), 1.0)
        done = size
        for smoothing, of_sample in _divergences(classes, training_sets, weights).items():
            rows.append(
                {
                    "target": target,
                    "smoothing": smoothing,
                    "n_queries": size,
                    **_stability(whole[smoothing][0], of_sample),
                    "candidates": [names[i] for i in whole[smoothing][0].argsort(kind="stable")],
                    "n_trials": n_trials,
                    "seed": seed,
                    "run_id": run_id,
                }
            )
    result = pl.DataFrame(rows)
    record_decision(place, "sample_size", result, {"target": target})
    return result


def sizes_up_to(n_queries: int) -> list[int]:
    """Return the sizes to try: 10, 15, 20, 30, 40, 60, 80, 100, ... up to 100,000, and all."""
    sizes = (int(step * _SMALLEST_SAMPLE * 10**power) for power in range(5) for step in _STEPS)
    return [*(size for size in sizes if size < n_queries and size <= MOST_DRAWN), n_queries]


def draw_queries(
    n_occurrences: Integers, n_drawn: int, n_trials: int, owner: str, seed: int = SEED
) -> Integers:
    """Draw queries without replacement, in each of several trials.

    Args:
        n_occurrences: The frequency of each query.
        n_drawn: The number of queries to draw, at most all and at most ``MOST_DRAWN``.
        n_trials: The number of trials.
        owner: What the queries are drawn for. Each owner gets its own draws.
        seed: The seed of the draws.

    Returns:
        The position of each query drawn (column), in the order of drawing, for each trial (row).
    """
    ends = np.cumsum(n_occurrences)
    n_all = int(ends[-1])
    is_small = n_all <= 4 * MOST_DRAWN
    # From a large set, a quarter more draws than needed contain enough distinct ones.
    n_keys = n_all if is_small else n_drawn * 5 // 4 + 100
    keys = unit_keys(owner, [str(i) for i in range(n_keys)], seed)
    drawn = np.empty((n_trials, n_drawn), np.int64)
    for trial in range(n_trials):
        [noise] = uniforms(keys, range(trial, trial + 1))
        if is_small:
            places = noise.argsort(kind="stable")
        else:
            places = (noise * n_all).astype(np.int64)
            places = places[np.sort(np.unique(places, return_index=True)[1])]
        drawn[trial] = np.searchsorted(ends, places[:n_drawn], side="right")
    return drawn


def recommend_size(rows: pl.DataFrame) -> str:
    """Return the result of ``sample_size`` by the main divergence in a sentence."""
    rows = rows.filter(pl.col("smoothing") == SMOOTHINGS[0]).sort("n_queries")
    names = rows["candidates"][0].to_list()
    n_all, target = int(rows["n_queries"][-1]), str(rows["target"][0])
    ranked = _smallest(rows, "kendall_tau", GOOD_TAU)
    best = _smallest(rows, "same_winner_share", GOOD_SHARE)
    two = _smallest(rows, "same_first_two_share", GOOD_SHARE)
    sizes = (
        f"By {SMOOTHINGS[0]} divergence, {ranked:,} queries of {target} suffice to rank these "
        f"{len(names)} candidates as all {n_all:,} do (a mean tau of {GOOD_TAU} or more), and "
        f"{best:,} to find the best, {names[0]} (in {GOOD_SHARE:.0%} of the samples or more)"
    )
    first_two = f"the first two, {names[0]} and {names[1]},"
    if two == rows["n_queries"][0]:
        return f"{sizes}; {two:,} tell {first_two} apart."
    fewer = f"all {two:,}" if two == n_all else f"{two:,}"
    return f"{sizes}; {first_two} cannot be told apart with fewer than {fewer}."


def _smallest(rows: pl.DataFrame, column: str, enough: float) -> int:
    """Return the size from which a column is always at least ``enough``."""
    smallest = int(rows["n_queries"][-1])
    for size, value in reversed(list(rows.select("n_queries", column).iter_rows())):
        if value < enough:
            break
        smallest = size
    return smallest


def _read_sets(
    con: duckdb.DuckDBPyConnection,
    place: Path | str,
    target: str,
    candidates: Sequence[str] | None,
) -> tuple[pl.DataFrame, list[tuple[dict[str, Any], pl.DataFrame]]]:
    """Return the target's queries, and each training set with its counts of shared n-grams."""
    roles = dict(con.execute("select corpus, role from corpora").fetchall())
    targets = [name for name, role in roles.items() if role == "target"]
    if target not in targets:
        raise ConfigurationError(f"no target '{target}' in {place}; {suggest(target, targets)}")
    warehouse = warehouse_at(place)
    files = query_sql(con, "decisions/sample_size/ngrams_files", target=target).fetchall()
    checked = [warehouse.stage_file(warehouse.ngrams, file, is_complete) for (file,) in files]
    ngram_files = [glob.escape(file) for file in checked]
    queries: pl.DataFrame = query_sql(con, "decisions/sample_size/queries", target=target).pl()
    sets: pl.DataFrame = query_sql(
        con, "decisions/sample_size/candidates", epsilon=EPSILON, ngram_files=ngram_files
    ).pl()
    shared: pl.DataFrame = query_sql(
        con, "decisions/sample_size/shared_counts", target=target, ngram_files=ngram_files
    ).pl()
    known = sets["corpus"].to_list()
    for name in candidates or ():
        if name not in known:
            raise ConfigurationError(
                f"no training set '{name}' with n-grams in {place}; {suggest(name, known)}"
            )
    wanted = list(dict.fromkeys(candidates or known))
    if len(wanted) < 2 or queries.is_empty():
        problem = "fewer than two training sets to rank" if len(wanted) < 2 else "no templates"
        raise ConfigurationError(f"target '{target}' in {place}: there are {problem}")
    rows = {row["corpus"]: row for row in sets.iter_rows(named=True)}
    return queries, [(rows[name], shared.filter(pl.col("corpus") == name)) for name in wanted]


def _match_ngrams(counts: pl.DataFrame, row: dict[str, Any], ngrams: pl.Series) -> _Candidate:
    """Return a training set, with its counts in the columns of the target's n-grams."""
    columns = pl.DataFrame({"ngram": ngrams}).with_row_index("column")
    found = columns.join(counts, on="ngram", how="inner").sort("column")
    return _Candidate(
        corpus=row["corpus"],
        columns=found["column"].to_numpy().astype(np.int64),
        counts=found["n_occurrences"].to_numpy().astype(np.int64),
        n_ngrams=int(row["n_ngrams"]),
        n_distinct_ngrams=int(row["n_distinct_ngrams"]),
        alone_as_source=row["alone_as_source"],
    )


def _divergences(
    classes: Classes, candidates: list[_Candidate], weights: Floats
) -> dict[str, Floats]:
    """Return the divergences of candidates (columns) from samples (rows) in nats, by smoothing."""
    target = replicate_counts(classes, weights.T)
    n_of_class = np.bincount(classes.of_ngram, minlength=len(target.by_class)).astype(float)
    of_sample = np.ascontiguousarray((target.by_class / target.totals).T)
    alone_as_target = additive_alone_as_target(of_sample, n_of_class)
    n_in_sample = (of_sample > 0) @ n_of_class
    found: dict[str, list[Floats]] = {smoothing: [] for smoothing in SMOOTHINGS}
    for candidate in candidates:
        values, of_value = np.unique(candidate.counts, return_inverse=True)
        shared = shared_classes(of_value, classes.of_ngram[candidate.columns])
        source = Counts(
            np.broadcast_to(values[:, None].astype(float), (len(values), len(weights))),
            np.full(len(weights), float(candidate.n_ngrams)),
        )
        found["skew"].append(skew_divergences(source, target, shared))
        p = values[shared.of_source] / candidate.n_ngrams
        q = of_sample[:, shared.of_target]
        n_ngrams = shared.n_ngrams
        n_union = candidate.n_distinct_ngrams + n_in_sample - (q > 0) @ n_ngrams
        alone = candidate.alone_as_source + alone_as_target
        found["additive"].append(additive_divergences(p, q, n_ngrams, alone, n_union))
        found["js"].append(jensen_shannon_divergences(p, q, n_ngrams))
    return {smoothing: np.stack(columns, axis=1) for smoothing, columns in found.items()}


def kendall_taus(whole: Floats, of_samples: Floats) -> Floats:
    """Return Kendall's tau-b of one ranking with several (rows); 0 if one of the two is all ties.

    SciPy computes one at a time, which would take most of the time of ``sample_size``.
    """
    one, other = np.triu_indices(len(whole), 1)
    expected = np.sign(whole[one] - whole[other])
    found = np.sign(of_samples[:, one] - of_samples[:, other])
    n_untied = np.abs(found).sum(axis=1) * np.abs(expected).sum()
    taus: Floats = (found @ expected) / np.sqrt(np.maximum(n_untied, 1.0))
    return taus


def _stability(whole: Floats, of_samples: Floats) -> dict[str, object]:
    """Return how well samples (rows) rank candidates (columns) as the whole target does."""
    taus = kendall_taus(whole, of_samples)
    first, second = whole.argsort(kind="stable")[:2]
    return {
        "n_candidates": len(whole),
        "kendall_tau": round(math.fsum(taus) / len(taus), 12),
        "tau_low": round(float(np.quantile(taus, 0.025)), 12),
        "tau_high": round(float(np.quantile(taus, 0.975)), 12),
        "same_winner_share": float(np.mean(of_samples.argmin(axis=1) == first)),
        "same_first_two_share": float(np.mean(of_samples[:, first] < of_samples[:, second])),
    }
