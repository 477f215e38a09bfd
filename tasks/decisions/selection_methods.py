"""Which rows to take from a pool, so that they are distributed as a target is.

Rows with equal templates are exchangeable: everything here works on *cells*, the rows of one source
that have one template, and chooses how many rows to take from each. Nothing is read or written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.measures.divergence import (
    LARGEST_NATS,
    skew_terms,
    skew_terms_and_slopes,
    skewed_ratios,
    sum_terms,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

CHOOSING_VERSION: Final = 2
"""Goes up with every change that can alter a choice."""

_EXCHANGES: Final = 300
_EXCHANGES_ON_THE_WAY: Final = 40
_LEAST_GAIN: Final = 1e-6
_PRIOR_ROWS: Final = 30.0
_GROWTH: Final = 0.02
_UNLIMITED: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Target:
    """What to be like: shares of n-grams, one column per n-gram that the pool has as well.

    Attributes:
        shares: The target's n-gram distribution.
        resampled: A row for each of some resamples of the target, of which a choice is to be close
            to all; one row, ``shares``, where nothing is resampled.
    """

    shares: Floats
    resampled: Floats


@dataclass(frozen=True)
class Cells:
    """What there is to choose from.

    Attributes:
        counts: How often each template has each of the target's n-grams; n-grams that occur
            equally often in every template, of the target too, share a column.
        multiplicity: How many n-grams share each column.
        n_ngrams: How many n-grams each template has, the target's and others.
        template: The template of each cell (a row of ``counts``); cells stand in its order.
        source: The source of each cell, from 0.
        n_rows: How many rows each cell has.
        limits: How many rows may be taken from each source.
    """

    counts: "csr_array"
    multiplicity: Floats
    n_ngrams: Floats
    template: Integers
    source: Integers
    n_rows: Integers
    limits: Integers

    @property
    def n_available(self) -> int:
        """How many rows can be taken within the sources' limits."""
        rows = np.bincount(self.source, weights=self.n_rows, minlength=len(self.limits))
        return int(np.minimum(rows.astype(np.int64), self.limits).sum())

    def per_template(self, taken: Integers) -> Integers:
        """How many rows of each template are taken."""
        n_templates = len(self.n_ngrams)
        return np.bincount(self.template, weights=taken, minlength=n_templates).astype(np.int64)

    def left(self, taken: Integers) -> Integers:
        """How many more rows each source may give."""
        of_source = np.bincount(self.source, weights=taken, minlength=len(self.limits))
        return self.limits - of_source.astype(np.int64)


def divergence(cells: Cells, taken: Integers, target: Target) -> float:
    """The skew divergence of the rows taken from the target, in nats (specification, section 4)."""
    weights = cells.per_template(taken).astype(np.float64)
    total = float((weights * cells.n_ngrams).sum())
    if total == 0:
        return LARGEST_NATS
    shares = (cells.counts.T @ weights) / total
    nats = sum_terms(skew_terms(shares, target.shares), shares, cells.multiplicity)
    return min(max(nats, 0.0), LARGEST_NATS)


# ---- by divergence ------------------------------------------------------------------------------


def choose_directly(
    cells: Cells, target: Target, sizes: Sequence[int], min_templates: int = 0
) -> list[Integers]:
    """Rows whose divergence from the target is lowest, or nearly, for each of some sizes.

    The divergence is convex in the distribution of what is taken, but rows are whole: so the choice
    grows by rows that lower it most, and is then put right by exchanges (the exchange algorithm of
    optimal design; Fedorov 1972). A move's effect is taken from the slope of each term over one
    occurrence, many moves are made at a time, and they stand only if they lower the mean divergence
    from all resamples of the target; else half as many are tried, down to a single one.

    Args:
        cells: What there is to choose from.
        target: What to be like.
        sizes: How many rows to take, in rising order.
        min_templates: How many distinct templates to take at least, of the last size.

    Returns:
        How many rows to take from each cell, for each size.
    """
    search = _Search(cells, target)
    choices = []
    for size in sizes:
        is_last = size == sizes[-1]
        search.grow(size)
        search.exchange(size, _EXCHANGES if is_last else _EXCHANGES_ON_THE_WAY)
        if min_templates and is_last:
            search.taken = with_templates(
                cells, search.taken, min_templates, search.effects(1)[cells.template]
            )
            search.keeps_templates = True
            search.now = search.look()
            search.exchange(size, _EXCHANGES)
        choices.append(search.taken.copy())
    return choices


class _Search:
    """A choice on its way, with the n-grams of what is taken."""

    def __init__(self, cells: Cells, target: Target) -> None:
        self.cells = cells
        self.by_ngram = cells.counts.T.tocsr()
        self.target = target
        self.taken = np.zeros(len(cells.template), np.int64)
        self.keeps_templates = False
        self.now = self.look()

    def look(self) -> "_State":
        """The n-grams of what is taken now, and what they say of the divergence."""
        weights = self.cells.per_template(self.taken).astype(np.float64)
        total = float((weights * self.cells.n_ngrams).sum())
        p = self.by_ngram @ weights
        if total:
            p /= total
        return _State.of(p, total, self.target.resampled, self.cells.multiplicity)

    @cached_property
    def alone(self) -> Floats:
        """The divergence of each template on its own, from the target as it is."""
        counts = self.cells.counts
        of_each = np.maximum(self.cells.n_ngrams, 1.0)
        p = counts.data / np.repeat(of_each, np.diff(counts.indptr))
        terms = counts.copy()
        terms.data = skew_terms(p, self.target.shares[counts.indices]) - LARGEST_NATS * p
        nats: Floats = np.round(LARGEST_NATS + terms @ self.cells.multiplicity, 12)
        return nats

    def effects(self, sign: int) -> Floats:
        """What one row more (1) or less (-1) of each template does to the divergence, about."""
        now, cells = self.now, self.cells
        if not now.total:
            return self.alone
        slope = np.full(len(now.p), -LARGEST_NATS)
        # Nothing can be removed where nothing is.
        at = np.arange(len(now.p)) if sign > 0 else np.flatnonzero(now.p)
        moved = np.maximum(now.p[at] + sign / now.total, 0.0)
        then = skew_terms(moved, self.target.resampled[:, at])
        slope[at] += (then - now.terms[at]) * (sign * now.total)
        effect = cells.counts @ (slope * cells.multiplicity)
        # Every row more makes the others' shares smaller.
        effect += (LARGEST_NATS - now.others) * cells.n_ngrams
        # What differs by rounding alone counts as equal, and goes by order.
        effects: Floats = np.round(sign * effect / now.total, 12)
        return effects

    def grow(self, size: int) -> None:
        while (n := int(self.taken.sum())) < size:
            step = min(max(1, int(n * _GROWTH)), size - n)
            self._add(step, step)
            if self.taken.sum() == n:  # the pool, or what its sources may give, is used up
                return
            self.now = self.look()

    def exchange(self, size: int, most: int) -> None:
        largest = step = max(1.0, size / 10)
        for _ in range(most):
            n = int(step)
            before = self.taken, self.now
            self.taken = self.taken.copy()
            removed = self._remove(n, max(1, n // 10))
            self.now = self.look()
            self._add(removed, max(1, n // 10))
            # Sources' limits may leave less room than was made.
            if removed and self.taken.sum() == before[0].sum():
                self.now = self.look()
                if self.now.divergence < before[1].divergence - _LEAST_GAIN:
                    step = min(1.3 * step, largest)
                    continue
            self.taken, self.now = before
            if n == 1:
                break
            step = max(1.0, step / 2)

    def _add(self, n: int, most: int) -> None:
        room = np.minimum(self.cells.n_rows - self.taken, most)
        cells = self.cells
        at, more = _first(
            self.effects(1)[cells.template], room, n, cells.source, cells.left(self.taken)
        )
        self.taken[at] += more

    def _remove(self, n: int, most: int) -> int:
        cells = self.cells
        room = np.minimum(self.taken, most)
        if self.keeps_templates:
            # The first cell of each template that has any keeps one row.
            held = np.flatnonzero(self.taken)
            first = held[np.unique(cells.template[held], return_index=True)[1]]
            room[first] = np.minimum(room[first], self.taken[first] - 1)
        unlimited = np.full(len(cells.limits), _UNLIMITED)
        at, less = _first(self.effects(-1)[cells.template], room, n, cells.source, unlimited)
        self.taken[at] -= less
        return int(less.sum())


def _first(
    effects: Floats, room: Integers, n: int, source: Integers, left: Integers
) -> tuple[Integers, Integers]:
    """The cells with the lowest effects, and how many rows of each, ``n`` in all.

    Equal ones go by order; no source gives more than it has left.
    """
    open_cells = np.flatnonzero((room > 0) & (left[source] > 0))
    is_limited = bool((left < n).any())
    if not is_limited and n < len(open_cells):
        # Each gives at least one row: only the n lowest can be needed.
        highest = np.partition(effects[open_cells], n - 1)[n - 1]
        open_cells = open_cells[effects[open_cells] <= highest]
    order = open_cells[np.argsort(effects[open_cells], kind="stable")]
    most = np.minimum(room[order], n)
    if is_limited:
        most = _within(most, source[order], left)
    ends = np.cumsum(most)
    most = np.clip(n - (ends - most), 0, most)
    chosen = most > 0
    return order[chosen], most[chosen]


def _within(most: Integers, source: Integers, left: Integers) -> Integers:
    """No more from each source, in the order given, than it has left."""
    most = most.copy()
    for one in np.unique(source):
        at = np.flatnonzero(source == one)
        ends = np.cumsum(most[at])
        most[at] = np.clip(left[one] - (ends - most[at]), 0, most[at])
    return most


@dataclass(frozen=True)
class _State:
    """The n-grams of what is taken, and what they say of the divergence.

    ``p`` are their shares, ``total`` is how many there are, ``terms`` are the divergence's for each
    column, the mean over the target's resamples, and ``others`` is how fast it falls, per n-gram
    added, because all shares get smaller.
    """

    p: Floats
    total: float
    terms: Floats
    others: float
    divergence: float

    @staticmethod
    def of(p: Floats, total: float, targets: Floats, multiplicity: Floats) -> "_State":
        at = np.flatnonzero(p)
        terms = np.zeros(len(p))
        terms[at], slopes = skew_terms_and_slopes(p[at], targets[:, at])
        weighted = p[at] * multiplicity[at]
        others = LARGEST_NATS + float((weighted * (slopes - LARGEST_NATS)).sum())
        return _State(p, total, terms, others, sum_terms(terms, p, multiplicity))


# ---- by cross-entropy ---------------------------------------------------------------------------


@dataclass(frozen=True)
class GreedyChoice:
    """What cynical selection took, for each size, and how many rows are best.

    ``best_size`` is the number of rows after which the cross-entropy was lowest, ``nats`` how far
    that of each size is above that of the pool (below, where negative).
    """

    choices: list[Integers]
    best_size: int
    nats: list[float]


def choose_greedily(
    cells: Cells, target: Target, sizes: Sequence[int], is_to_stop: bool = False
) -> GreedyChoice:
    """Rows that each lower the target's cross-entropy under what is taken most (arXiv 1709.02279).

    One row more with ``m`` n-grams, ``s_v`` of n-gram ``v``, changes the cross-entropy by
    ``ln((W + m) / W) - sum_v q_v ln((c_v + s_v) / c_v)``, where ``c_v`` are the counts of what is
    taken and ``W`` their sum. Counts start with those of thirty average rows of the pool, so that
    none is 0 and the first rows need not be like the target each on its own; the target's n-grams
    that the pool lacks are left out, since nothing changes their part.
    The sum never grows while rows are added, so that a candidate's last known value bounds it: in a
    heap for each ``m`` only the first has to be looked at again.

    Args:
        cells: What there is to choose from.
        target: What to be like.
        sizes: How many rows to take, in rising order.
        is_to_stop: Take no more rows than ``best_size``.
    """
    counts = cells.counts
    starts, columns, occurrences = counts.indptr, counts.indices, counts.data
    available = cells.per_template(cells.n_rows).astype(np.float64)
    total_rows = float(available.sum())
    pool = (counts.T @ available) / total_rows
    q = np.where(pool > 0, target.shares * cells.multiplicity, 0.0)
    q = q / q.sum() if q.sum() else q
    c = _PRIOR_ROWS * pool
    total = _PRIOR_ROWS * float((available * cells.n_ngrams).sum()) / total_rows
    c[c == 0] = 1.0  # of weight 0

    def gain(template: int) -> float:
        part = slice(starts[template], starts[template + 1])
        at = columns[part]
        return float((q[at] * np.log1p(occurrences[part] / c[at])).sum())

    bounds = counts.copy()
    bounds.data = q[columns] * np.log1p(occurrences / c[columns])
    first = np.asarray(bounds.sum(axis=1)).ravel()
    heaps: dict[int, list[tuple[float, int]]] = {}
    for template in np.flatnonzero(available).tolist():
        heaps.setdefault(int(cells.n_ngrams[template]), []).append(
            (-float(first[template]), int(template))
        )
    lengths = np.array(sorted(heaps), np.float64)
    ordered = [heaps[int(length)] for length in lengths]
    for heap in ordered:
        heapify(heap)
    tops = np.array([heap[0][0] for heap in ordered])
    taken = np.zeros(len(cells.template), np.int64)
    left = cells.left(taken)
    cell_starts = np.searchsorted(cells.template, np.arange(len(cells.n_ngrams) + 1))
    picked: list[int] = []
    changes: list[float] = []

    def open_cell(template: int) -> int | None:
        for cell in range(cell_starts[template], cell_starts[template + 1]):
            if taken[cell] < cells.n_rows[cell] and left[cells.source[cell]] > 0:
                return cell
        return None

    while len(picked) < sizes[-1] and np.isfinite(tops).any():
        best = int(np.argmin(np.log1p(lengths / total) + tops))
        heap = ordered[best]
        bound, template = heap[0]
        value = -gain(template)
        if value > bound + 1e-15:
            heapreplace(heap, (value, template))
            tops[best] = heap[0][0]
            continue
        cell = open_cell(template)
        if cell is None:
            heappop(heap)
            tops[best] = heap[0][0] if heap else np.inf
            continue
        taken[cell] += 1
        left[cells.source[cell]] -= 1
        picked.append(cell)
        changes.append(float(np.log1p(lengths[best] / total)) + value)
        part = slice(starts[template], starts[template + 1])
        c[columns[part]] += occurrences[part]
        total += lengths[best]
    entropies = np.cumsum([0.0, *changes])
    best_size = int(np.argmin(entropies[1:])) + 1
    ends = [min(size, best_size if is_to_stop else size, len(picked)) for size in sizes]
    choices = [np.bincount(picked[:end], minlength=len(taken)) for end in ends]
    return GreedyChoice(choices, best_size, [float(entropies[end]) for end in ends])


# ---- by noise -----------------------------------------------------------------------------------


def importance(cells: Cells, target: Target) -> Floats:
    """The log importance weight of each template's rows (DSIR, arXiv 2302.03169), in nats.

    The sum over a row's n-grams of ln(q / p), with p the pool's share of the n-gram and q the
    target's, smoothed by a little of p as in the skew divergence.
    """
    available = cells.per_template(cells.n_rows).astype(np.float64)
    p = (cells.counts.T @ available) / float((available * cells.n_ngrams).sum())
    in_pool = p > 0
    ratios = skewed_ratios(np.where(in_pool, p, 1.0), np.where(in_pool, target.shares, 0.0))
    of_ngrams = (np.log(ratios) + LARGEST_NATS) * cells.multiplicity
    logs: Floats = cells.counts @ of_ngrams - LARGEST_NATS * cells.n_ngrams
    return logs


def gumbel(uniform: Floats) -> Floats:
    """Gumbel noise from uniform noise in (0, 1): the largest sums with log weights are a sample."""
    return -np.log(-np.log(uniform))


def choose_by_key(
    cells: Cells, row_cells: Integers, keys: Floats, sizes: Sequence[int]
) -> list[Integers]:
    """The rows with the lowest keys, for each size, within the sources' limits.

    Args:
        cells: What there is to choose from.
        row_cells: The cell of each row.
        keys: The key of each row; equal ones go by order.
        sizes: How many rows to take, in rising order.
    """
    order = np.argsort(keys, kind="stable")
    ones = np.ones(len(order), np.int64)
    order = order[_within(ones, cells.source[row_cells[order]], cells.limits) > 0]
    n_cells = len(cells.template)
    return [np.bincount(row_cells[order[:size]], minlength=n_cells) for size in sizes]


# ---- conditions ---------------------------------------------------------------------------------


def with_templates(cells: Cells, taken: Integers, least: int, keys: Floats) -> Integers:
    """The choice with at least that many distinct templates, if the pool and its limits allow.

    One row each of the templates left out with the lowest keys takes the place of a row of those
    that are there most often.

    Args:
        cells: What there is to choose from.
        taken: The choice.
        least: How many distinct templates there are to be.
        keys: What to prefer: a key for each cell.
    """
    taken = taken.copy()
    per_template = cells.per_template(taken)
    missing = least - int((per_template > 0).sum())
    if missing <= 0:
        return taken
    left = cells.left(taken)
    for cell in np.argsort(keys, kind="stable"):
        template, source = cells.template[cell], cells.source[cell]
        if missing == 0:
            break
        if per_template[template] or cells.n_rows[cell] == 0:
            continue
        frees = _most_often(cells, taken, per_template, None if left[source] > 0 else int(source))
        if frees is None:
            continue
        for at, change in ((cell, 1), (frees, -1)):
            taken[at] += change
            per_template[cells.template[at]] += change
            left[cells.source[at]] -= change
        missing -= 1
    return taken


def _most_often(
    cells: Cells, taken: Integers, per_template: Integers, source: int | None
) -> int | None:
    """The largest cell whose template stays when it gives a row, of one source or of any."""
    can_give = (taken > 0) & (per_template[cells.template] > 1)
    if source is not None:
        can_give &= cells.source == source
    if not can_give.any():
        return None
    return int(np.argmax(np.where(can_give, taken, -1)))
