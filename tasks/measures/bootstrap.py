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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats, Integers, Keys
from nl2sql_align.tasks.base.connections import resources
from nl2sql_align.tasks.measures.divergence import SKEW, add_unshared, largest_nats, skewed_ratios

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array


SEED: Final = 0
"""The seed of published intervals."""

# The probability of drawing a unit at most 0, 1, 2, ... times.
_POISSON: Final = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(19)])
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
# From where the two halves of templates' keys start.
_HALVES: Final = np.array([0x5EED0F7E3A1CE501, 0x1B873593CC9E2D51], np.uint64)
_ROWS_AT_A_TIME: Final = 20_000
_NUMBERS_AT_A_TIME: Final = 100_000


def unit_keys(owner: str, units: Sequence[str], seed: int = SEED) -> Keys:
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


def uniforms(keys: Keys, replicates: range) -> Floats:
    """A number in [0, 1) for each replicate (row) and unit (column): splitmix64 of the unit's key.

    Source: Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195.
    """
    result: Floats = (_splitmix(keys, replicates) >> np.uint64(11)).astype(np.float64)
    result *= 2.0**-53
    return result


def _splitmix(keys: Keys, steps: range) -> Keys:
    """The numbers that splitmix64 gives at some steps (rows) from each key (column) on."""
    rows = np.arange(steps.start + 1, steps.stop + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = keys[None, :] + rows[:, None] * _GOLDEN
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def poisson_weights(keys: Keys, replicates: range) -> Integers:
    """How often each unit (column) is drawn in each replicate (row)."""
    drawn = uniforms(keys, replicates)
    weights = np.zeros(drawn.shape, np.uint8)
    # What np.searchsorted finds, in a third of its time: a number rarely passes many of these.
    n_passed = np.searchsorted(_POISSON, drawn.max(initial=0.0), side="right")
    for probability in _POISSON[:n_passed]:
        weights += (drawn >= probability).view(np.uint8)
    return weights.astype(np.int64)


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


@dataclass(frozen=True)
class ClassBlock:
    """The classes of n-grams among some of the templates.

    ``ngrams`` are the numbers of the n-grams that these templates have, ascending; ``of_ngram``
    and ``counts`` are as in ``Classes``. ``sums`` holds, for both halves of the templates' 128-bit
    keys, the sum of each class's counts times these.
    """

    ngrams: Integers
    of_ngram: Integers
    counts: "csc_array"
    sums: tuple[Keys, Keys]
    totals: Integers


def class_block(counts: "csr_array", first_row: int) -> ClassBlock:
    """Takes n-grams together that occur equally often in each of some templates.

    Equal columns have equal sums of their counts times the templates' keys; columns that differ
    have the same sum with a probability of 2**-128.

    Args:
        counts: How often each template (row) has each n-gram (column).
        first_row: The number of the first of these templates among all of the corpus.
    """
    columns = counts.tocsc()
    ngrams = np.flatnonzero(np.diff(columns.indptr))
    rows = range(first_row, first_row + counts.shape[0])
    sums = []
    for keys in _splitmix(_HALVES, rows).T:
        terms = keys[columns.indices] * columns.data.astype(np.uint64)
        sums.append(
            np.add.reduceat(terms, columns.indptr[ngrams])
            if len(ngrams)
            else np.zeros(0, np.uint64)
        )
    of_ngram, first = _equal(sums)
    return ClassBlock(
        ngrams,
        of_ngram,
        columns[:, ngrams[first]],
        (sums[0][first], sums[1][first]),
        np.asarray(counts.sum(axis=1), np.int64).reshape(-1),
    )


def join_blocks(blocks: Sequence[ClassBlock], n_ngrams: int) -> tuple[Classes, Integers]:
    """The classes of n-grams among all templates of a corpus.

    Args:
        blocks: Its templates, in their order.
        n_ngrams: How many numbers of n-grams there are.

    Returns:
        The classes, and the numbers of the n-grams that they are of, ascending.
    """
    from scipy.sparse import coo_array, vstack

    sums = [np.zeros(n_ngrams, np.uint64) for _ in range(2)]
    is_there = np.zeros(n_ngrams, bool)
    for block in blocks:
        is_there[block.ngrams] = True
        for of_all, of_block in zip(sums, block.sums, strict=True):
            of_all[block.ngrams] += of_block[block.of_ngram]
    ngrams = np.flatnonzero(is_there)
    of_ngram, first = _equal([of_all[ngrams] for of_all in sums])
    examples = ngrams[first]
    parts = []
    for block in blocks:
        # Where the block has the n-gram by which a class is known.
        of_class = np.flatnonzero(np.isin(examples, block.ngrams, assume_unique=True))
        place = np.searchsorted(block.ngrams, examples[of_class])
        part = block.counts[:, block.of_ngram[place]].tocoo()
        shape = (part.shape[0], len(examples))
        parts.append(coo_array((part.data, (part.row, of_class[part.col])), shape=shape).tocsr())
    totals = np.concatenate([block.totals for block in blocks])
    return Classes(vstack(parts).tocsr(), of_ngram, totals), ngrams


def _equal(sums: Sequence[Keys]) -> tuple[Integers, Integers]:
    """Numbers n-grams of equal sums alike: the number of each, and the first with each number."""
    order = np.lexsort(sums)
    starts = np.zeros(len(order), bool)
    starts[:1] = True
    for one in sums:
        starts[1:] |= one[order][1:] != one[order][:-1]
    of_ngram = np.empty(len(order), np.int64)
    of_ngram[order] = np.cumsum(starts) - 1
    return of_ngram, order[starts]


def ngram_classes(counts: "csr_array") -> Classes:
    """Takes n-grams together that occur equally often in every template.

    Args:
        counts: How often each template (row) has each n-gram (column), of which none is empty.
    """
    # In blocks, since sums over one take little memory.
    starts = range(0, max(1, counts.shape[0]), _ROWS_AT_A_TIME)
    blocks = [class_block(counts[at : at + _ROWS_AT_A_TIME], at) for at in starts]
    return join_blocks(blocks, counts.shape[1])[0]


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


def skew_divergences(source: Counts, target: Counts, shared: Shared, skew: float = SKEW) -> Floats:
    """The skew divergence of each replicate of a source from the same replicate of a target.

    What only the source has is in closed form: see ``sql/measures/matrix/divergences.sql``.

    Returns:
        Nats; NaN where a replicate has drawn no query with an n-gram.
    """
    result = np.empty(len(source.totals))
    # Few rows at a time, in place: what stays in the processor's cache takes half the time. It
    # changes no bit, for rows are independent.
    step = max(1, _NUMBERS_AT_A_TIME // max(1, len(shared.n_ngrams)))
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, len(result), step):
            rows = slice(start, start + step)
            a = source.by_class[rows].take(shared.of_source, axis=1)
            terms = target.by_class[rows].take(shared.of_target, axis=1)
            n_source, n_target = source.totals[rows], target.totals[rows]
            skewed_ratios(a, terms, n_source[:, None], n_target[:, None], skew, out=terms)
            np.log(terms, out=terms)
            a *= shared.n_ngrams
            terms *= a
            np.putmask(terms, a == 0, 0.0)
            shared_nats = -terms.sum(axis=1) / n_source
            result[rows] = add_unshared(shared_nats, a.sum(axis=1) / n_source, skew)
    result[~((source.totals > 0) & (target.totals > 0))] = np.nan
    return np.clip(result, 0.0, largest_nats(skew))


# Some ten arrays of 8 bytes a number stand side by side, in a part of the memory that may be used.
BYTES_PER_NUMBER: Final = 256


def replicates_at_a_time(n_classes: int) -> int:
    """How many replicates of so many classes to hold at once: it changes no bit of any."""
    return max(1, resources().memory_bytes // BYTES_PER_NUMBER // max(1, n_classes))
