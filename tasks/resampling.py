"""Replicates of a corpus: what its n-gram counts are when its databases or queries are drawn again.

A replicate gives each unit (a database, or a query) a weight: how often it was drawn. The weight is
a function of the seed, the replicate's number, the set and the unit alone, so that replicates can
be added, made in any order and with any number of threads, and sets that share their units are
weighed alike. Weights are Poisson(1) counts: the Poisson bootstrap (Hanley and MacGibbon 2006,
doi 10.1016/j.cmpb.2006.04.006).

Counts of replicates are exact: sums of products of whole numbers below 2**53. N-grams that occur
equally often in every template of a corpus are counted once for all of them, as a class: Spider's
training set has 11,916 n-grams in 2,603 classes.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from tasks.ngrams import Incidence

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SEED: Final = 0
"""The seed of published intervals."""

# The probability of drawing a unit at most 0, 1, 2, ... times.
_POISSON: Final = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(19)])
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_NUMBERS_PER_BLOCK: Final = 2_000_000


def unit_keys(owner: str, units: Sequence[str], seed: int = SEED) -> npt.NDArray[np.uint64]:
    """A number for each unit of a set that stands for it in all replicates.

    Args:
        owner: The set that the units are drawn for: equal names in two sets are two units.
        units: The units' names.
        seed: Another seed gives other replicates.
    """
    start = hashlib.sha256(f"{seed}\x1f{owner}\x1f".encode())

    def digest(unit: str) -> int:
        state = start.copy()
        state.update(unit.encode())
        return int.from_bytes(state.digest()[:8], "big")

    return np.fromiter(map(digest, units), np.uint64, len(units))


def uniforms(keys: npt.NDArray[np.uint64], replicates: range) -> Floats:
    """A number in [0, 1) for each replicate (row) and unit (column): splitmix64 of the unit's key.

    Source: Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195.
    """
    steps = np.arange(replicates.start + 1, replicates.stop + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = keys[None, :] + steps[:, None] * _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    result: Floats = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return result


def poisson_weights(keys: npt.NDArray[np.uint64], replicates: range) -> Integers:
    """How often each unit (column) is drawn in each replicate (row)."""
    return np.searchsorted(_POISSON, uniforms(keys, replicates), side="right").astype(np.int64)


@dataclass(frozen=True)
class Classes:
    """The n-grams of a corpus, those with equal counts in every template taken together.

    ``counts`` has a row per template and a column per class: how often each n-gram of the class
    occurs in the template. ``of_ngram`` holds the class of each n-gram, ``totals`` the number of
    n-grams of each template.
    """

    counts: "csr_array"
    of_ngram: Integers
    totals: Integers


def ngram_classes(incidence: Incidence) -> Classes:
    """Takes n-grams together that occur equally often in every template."""
    columns = incidence.counts.tocsc()
    totals = np.asarray(incidence.counts.sum(axis=1), np.int64).reshape(-1)
    if not columns.shape[1]:
        return Classes(incidence.counts, np.zeros(0, np.int64), totals)
    # Equal columns have equal sums of their counts times the templates' 128-bit keys; columns that
    # differ have the same sum with a probability of 2**-128.
    sums = []
    for part in ("low", "high"):
        keys = unit_keys(part, [str(row) for row in range(columns.shape[0])])
        sums.append(np.concatenate([_weighted_sums(keys, block) for block in _blocks(columns)]))
    order = np.lexsort(sums)
    starts = np.zeros(len(order), bool)
    starts[:1] = True
    for one in sums:
        starts[1:] |= one[order][1:] != one[order][:-1]
    of_ngram = np.empty(len(order), np.int64)
    of_ngram[order] = np.cumsum(starts) - 1
    return Classes(columns[:, order[starts]].tocsr(), of_ngram, totals)


def _blocks(columns: "csc_array") -> "Iterator[csc_array]":
    """A matrix in blocks of columns, so that sums over it take little memory."""
    step = max(1, _NUMBERS_PER_BLOCK * columns.shape[1] // max(1, columns.nnz))
    for start in range(0, columns.shape[1], step):
        yield columns[:, start : start + step]


def _weighted_sums(keys: npt.NDArray[np.uint64], columns: "csc_array") -> npt.NDArray[np.uint64]:
    """Each column's sum of its counts times its rows' keys, modulo 2**64."""
    with np.errstate(over="ignore"):
        terms = keys[columns.indices] * columns.data.astype(np.uint64)
        return np.add.reduceat(terms, columns.indptr[:-1])


@dataclass(frozen=True)
class Counts:
    """The n-gram counts of the replicates (rows) of one corpus, by class (columns).

    ``totals`` holds the number of n-gram occurrences of each replicate.
    """

    by_class: Floats
    totals: Floats


def replicate_counts(classes: Classes, template_weights: Floats) -> Counts:
    """Counts from how often each template (column) occurs in each replicate (row)."""
    # Sparse times dense runs on one thread, in a fixed order.
    by_class = np.ascontiguousarray((classes.counts.T @ template_weights.T).T, dtype=np.float64)
    return Counts(by_class, template_weights @ classes.totals.astype(np.float64))


@dataclass(frozen=True)
class Shared:
    """What two corpora share: pairs of a class of each, and for how many n-grams each stands."""

    of_source: Integers
    of_target: Integers
    n_ngrams: Floats


def shared_classes(source: Integers, target: Integers) -> Shared:
    """Takes the n-grams together that are of equal class in both corpora.

    Args:
        source: The class in the source of each n-gram that both corpora have.
        target: Its class in the target.
    """
    n_classes = int(target.max(initial=0)) + 1
    pairs, n_ngrams = np.unique(source * n_classes + target, return_counts=True)
    return Shared(pairs // n_classes, pairs % n_classes, n_ngrams.astype(np.float64))


def skew_divergences(source: Counts, target: Counts, shared: Shared, skew: float) -> Floats:
    """The skew divergence of each replicate of a source from the same replicate of a target.

    What only the source has is in closed form: see ``sql/matrix/divergences.sql``.

    Returns:
        Nats; NaN where a replicate has drawn no query with an n-gram.
    """
    result = np.empty(len(source.totals))
    # Bounds the memory; rows are independent, so that it changes no bit.
    step = max(1, 2_000_000 // max(1, len(shared.n_ngrams)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, len(result), step):
            rows = slice(start, start + step)
            p = source.by_class[rows][:, shared.of_source] / source.totals[rows, None]
            q = target.by_class[rows][:, shared.of_target] / target.totals[rows, None]
            terms = p * np.log((1 - skew) * (q / p) + skew)
            terms[p == 0] = 0.0
            in_source = (p * shared.n_ngrams).sum(axis=1)
            result[rows] = -math.log(skew) * (1 - in_source) - (terms * shared.n_ngrams).sum(axis=1)
    result[~((source.totals > 0) & (target.totals > 0))] = np.nan
    return np.clip(result, 0.0, math.log(1 / skew))
