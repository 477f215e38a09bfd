"""The Poisson bootstrap of n-gram counts.

A replicate gives each unit (a database or a query) a weight: the number of times it was drawn.
A weight depends only on the seed, the replicate's number, the set and the unit. So replicates can
be added later and computed in any order, with any number of threads, and sets that share units get
the same weights. Weights follow a Poisson(1) distribution (Hanley and MacGibbon 2006,
doi 10.1016/j.cmpb.2006.04.006).

Counts of replicates are exact: they are sums of products of integers below 2**53. N-grams that
occur equally often in every template of a corpus form a class and are counted once. Spider's
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
from nl2sql_align.tasks.measures.options import SEED

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array


# The probabilities of drawing a unit at most 0, 1, 2, ... times.
_CUMULATIVE_POISSON: Final = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(19)])
# The same in units of 2**-53, in which numbers are drawn.
_POISSON_LIMITS: Final = np.ceil(_CUMULATIVE_POISSON * 2.0**53).astype(np.uint64)
_GOLDEN_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
# The starting points of the two halves of templates' keys.
_KEY_STARTS: Final = np.array([0x5EED0F7E3A1CE501, 0x1B873593CC9E2D51], np.uint64)


def unit_keys(owner: str, units: Sequence[str], seed: int = SEED) -> Keys:
    """Return the key of each unit of a set, from which its weights are computed.

    Args:
        owner: The set that the units are drawn for. Units of the same name in two sets differ.
        units: The names of the units.
        seed: The seed of the replicates.
    """
    start = hashlib.sha256(f"{seed}\x1f{owner}\x1f".encode())

    def digest(unit: str) -> int:
        state = start.copy()
        state.update(unit.encode())
        return int.from_bytes(state.digest()[:8], "big")

    return np.fromiter(map(digest, units), np.uint64, len(units))


def uniforms(keys: Keys, replicates: range) -> Floats:
    """Return a number in [0, 1) for each replicate (row) and unit (column).

    Source: splitmix64, from Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195.
    """
    result: Floats = (_splitmix(keys, replicates) >> np.uint64(11)).astype(np.float64)
    result *= 2.0**-53
    return result


def _splitmix(keys: Keys, steps: range) -> Keys:
    """Return the output of splitmix64 at some steps (rows), starting from each key (column)."""
    rows = np.arange(steps.start + 1, steps.stop + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = keys[None, :] + rows[:, None] * _GOLDEN_GAMMA
        mixed ^= mixed >> np.uint64(30)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def poisson_weights(keys: Keys, replicates: range, numbers_per_block: int = 20_000) -> Integers:
    """Return the number of times each unit (column) is drawn in each replicate (row).

    Args:
        keys: The keys of the units.
        replicates: The numbers of the replicates.
        numbers_per_block: How many weights to draw at a time. Blocks that fit into the processor's
            cache take a third of the time.
    """
    weights = np.empty((len(replicates), len(keys)), np.int64)
    step = max(1, numbers_per_block // max(1, len(keys)))
    for start in range(0, len(replicates), step):
        drawn = _splitmix(keys, replicates[start : start + step])
        drawn >>= np.uint64(11)
        n_drawn = np.zeros(drawn.shape, np.uint8)
        # Same result as np.searchsorted in a third of its time: few numbers exceed many limits.
        n_exceeded = np.searchsorted(_POISSON_LIMITS, drawn.max(initial=0), side="right")
        for limit in _POISSON_LIMITS[:n_exceeded]:
            n_drawn += (drawn >= limit).view(np.uint8)
        weights[start : start + step] = n_drawn
    return weights


@dataclass(frozen=True)
class Classes:
    """The n-grams of a corpus, grouped into classes of equal counts in every template.

    Attributes:
        counts: How often each n-gram of a class (column) occurs in each template (row).
        of_ngram: The class of each n-gram.
        totals: The number of n-gram occurrences in each template.
    """

    counts: "csr_array"
    of_ngram: Integers
    totals: Integers


@dataclass(frozen=True)
class ClassBlock:
    """The classes of n-grams in a block of templates.

    Attributes:
        ngrams: The numbers of the n-grams that occur in these templates, ascending.
        of_ngram: The class of each of these n-grams.
        counts: How often each n-gram of a class (column) occurs in each template (row).
        sums: For both halves of the templates' 128-bit keys, the sum over templates of each class's
            counts times the keys.
        totals: The number of n-gram occurrences in each template.
    """

    ngrams: Integers
    of_ngram: Integers
    counts: "csc_array"
    sums: tuple[Keys, Keys]
    totals: Integers


def group_block(counts: "csr_array", first_row: int) -> ClassBlock:
    """Group the n-grams that occur equally often in each template of a block.

    Each column is identified by the sum of its counts times the templates' keys. Different columns
    have the same sum with a probability of 2**-128.

    Args:
        counts: How often each n-gram (column) occurs in each template (row).
        first_row: The number of the block's first template in the corpus.
    """
    columns = counts.tocsc()
    ngrams = np.flatnonzero(np.diff(columns.indptr))
    rows = range(first_row, first_row + counts.shape[0])
    sums = []
    for keys in _splitmix(_KEY_STARTS, rows).T:
        terms = keys[columns.indices] * columns.data.astype(np.uint64)
        sums.append(
            np.add.reduceat(terms, columns.indptr[ngrams])
            if len(ngrams)
            else np.zeros(0, np.uint64)
        )
    of_ngram, first = _number_by_sums(sums)
    return ClassBlock(
        # Half the size: all blocks of a large corpus take hundreds of MB.
        ngrams.astype(np.int32),
        of_ngram.astype(np.int32),
        columns[:, ngrams[first]],
        (sums[0][first], sums[1][first]),
        np.asarray(counts.sum(axis=1), np.int64).reshape(-1),
    )


def join_blocks(blocks: Sequence[ClassBlock], n_ngrams: int) -> tuple[Classes, Integers]:
    """Group the n-grams of a corpus from the classes in its blocks of templates.

    Args:
        blocks: All blocks of the corpus, in order.
        n_ngrams: The size of the vocabulary.

    Returns:
        The classes, and the numbers of the corpus's n-grams, ascending.
    """
    from scipy.sparse import coo_array, vstack

    sums = [np.zeros(n_ngrams, np.uint64) for _ in range(2)]
    occurs = np.zeros(n_ngrams, bool)
    for block in blocks:
        occurs[block.ngrams] = True
        for of_corpus, of_block in zip(sums, block.sums, strict=True):
            of_corpus[block.ngrams] += of_block[block.of_ngram]
    ngrams = np.flatnonzero(occurs)
    of_ngram, first = _number_by_sums([of_corpus[ngrams] for of_corpus in sums])
    examples = ngrams[first]
    parts = []
    for block in blocks:
        # The classes whose example n-gram occurs in the block.
        of_class = np.flatnonzero(np.isin(examples, block.ngrams, assume_unique=True))
        place = np.searchsorted(block.ngrams, examples[of_class])
        part = block.counts[:, block.of_ngram[place]].tocoo()
        shape = (part.shape[0], len(examples))
        at = part.row, of_class.astype(np.int32)[part.col]
        parts.append(coo_array((part.data, at), shape=shape).tocsr())
    totals = np.concatenate([block.totals for block in blocks])
    return Classes(vstack(parts).tocsr(), of_ngram, totals), ngrams


def _number_by_sums(sums: Sequence[Keys]) -> tuple[Integers, Integers]:
    """Give n-grams with equal sums the same number.

    Returns:
        The number of each n-gram, and the first n-gram with each number.
    """
    order = np.lexsort(sums)
    starts = np.zeros(len(order), bool)
    starts[:1] = True
    for one in sums:
        starts[1:] |= one[order][1:] != one[order][:-1]
    of_ngram = np.empty(len(order), np.int64)
    of_ngram[order] = np.cumsum(starts) - 1
    return of_ngram, order[starts]


def group_ngrams(counts: "csr_array", rows_per_block: int = 20_000) -> Classes:
    """Group the n-grams that occur equally often in every template.

    Args:
        counts: How often each n-gram (column) occurs in each template (row). No column is empty.
        rows_per_block: How many templates to process at a time. Limits memory.
    """
    starts = range(0, max(1, counts.shape[0]), rows_per_block)
    blocks = [group_block(counts[start : start + rows_per_block], start) for start in starts]
    return join_blocks(blocks, counts.shape[1])[0]


# In place of a count of 0, whose term is 0. The term of this one is too small to change a sum, and
# takes a fifth of the time of a condition.
_NO_COUNT: Final = 1e-200


@dataclass(frozen=True)
class Counts:
    """The n-gram counts of the replicates of one corpus.

    Attributes:
        by_class: The count of each n-gram of a class (row) in each replicate (column).
        totals: The number of n-gram occurrences in each replicate.
    """

    by_class: Floats
    totals: Floats


def replicate_counts(classes: Classes, template_weights: Floats) -> Counts:
    """Return counts from the weights of the templates (rows) in each replicate (column)."""
    from scipy.sparse import csr_array

    # A sparse times a dense matrix sums on one thread, in a fixed order.
    totals = csr_array(classes.totals[None].astype(np.float64)) @ template_weights
    return Counts(classes.counts.T @ template_weights, totals[0])


@dataclass(frozen=True)
class Shared:
    """The n-grams that two corpora share, as pairs of classes.

    Attributes:
        of_source: The class in the source, for each pair.
        of_target: The class in the target.
        n_ngrams: The number of n-grams in both classes.
    """

    of_source: Integers
    of_target: Integers
    n_ngrams: Floats


def shared_classes(source: Integers, target: Integers) -> Shared:
    """Group the n-grams that two corpora share by their classes in both.

    Args:
        source: The class in the source of each n-gram that both corpora have.
        target: Its class in the target.
    """
    n_classes = int(target.max(initial=0)) + 1
    pairs, n_ngrams = np.unique(source * n_classes + target, return_counts=True)
    # Half the memory: a block keeps the classes of all its pairs.
    of_source, of_target = (one.astype(np.int32) for one in np.divmod(pairs, n_classes))
    return Shared(of_source, of_target, n_ngrams.astype(np.float64))


def skew_divergences(
    source: Counts,
    target: Counts,
    shared: Shared,
    skew: float = SKEW,
    rows_per_block: int = 256,
) -> Floats:
    """Return the skew divergence of each replicate of a source from that of a target.

    Args:
        source: The counts of the source.
        target: The counts of the target, with as many replicates.
        shared: The n-grams that both have.
        skew: The share of the source that is mixed into the target.
        rows_per_block: How many pairs of classes to process at a time. Blocks that fit into the
            processor's cache take half the time. Changes the last bits.

    Returns:
        Nats, one number per replicate; NaN where a replicate has no n-gram.
    """
    nats, in_shared = np.zeros_like(source.totals), np.zeros_like(source.totals)
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, len(shared.n_ngrams), rows_per_block):
            rows = slice(start, start + rows_per_block)
            a = source.by_class.take(shared.of_source[rows], axis=0)
            np.maximum(a, _NO_COUNT, out=a)
            terms = target.by_class.take(shared.of_target[rows], axis=0)
            skewed_ratios(a, terms, source.totals, target.totals, skew, out=terms)
            np.log(terms, out=terms)
            a *= shared.n_ngrams[rows, None]
            terms *= a
            nats -= _sum_rows(terms)
            in_shared += _sum_rows(a)
        result = add_unshared(nats / source.totals, in_shared / source.totals, skew)
    result[~((source.totals > 0) & (target.totals > 0))] = np.nan
    return np.clip(result, 0.0, largest_nats(skew))


def _sum_rows(values: Floats) -> Floats:
    """Sum the rows in their order, whatever the number of columns."""
    if values.shape[1] == 1:  # NumPy would sum a single column in another order
        values = np.add.accumulate(values)[-1:]
    sums: Floats = values.sum(axis=0)
    return sums


# About ten arrays of 8 bytes a number exist at a time, in part of the available memory.
_BYTES_PER_NUMBER: Final = 256


def replicates_per_batch(n_classes: int) -> int:
    """Return how many replicates of this many classes fit into memory at a time."""
    return max(1, resources().memory_bytes // _BYTES_PER_NUMBER // max(1, n_classes))
