"""Choosing rows from a pool, so that their n-grams are distributed like a target's.

Rows with equal templates are interchangeable. So all functions work on *cells*, the rows of one
source with one template, and choose how many rows to take from each. They read and write no files.
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

CHOOSING_VERSION: Final = 3
"""Raise it with every change that can alter a choice."""

_EXCHANGES: Final = 300
_EXCHANGES_ON_THE_WAY: Final = 40
_LEAST_GAIN_NATS: Final = 1e-6
_PRIOR_ROWS: Final = 30.0
_GROWTH: Final = 0.02
_UNLIMITED: Final = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Target:
    """The distribution to match, over the n-grams that the pool also has (columns).

    Attributes:
        shares: The target's n-gram distribution.
        resampled: A row per resample of the target. A choice should be close to all of them.
            Without resampling, one row with ``shares``.
    """

    shares: Floats
    resampled: Floats


@dataclass(frozen=True)
class Cells:
    """The candidates, grouped by template and source.

    Attributes:
        counts: How often each n-gram of the target (column) occurs in each template (row). N-grams
            with equal counts in every template, also those of the target, share a column.
        multiplicity: The number of n-grams that share each column.
        n_ngrams: The number of n-grams of each template, including those that the target lacks.
        template: The template of each cell (a row of ``counts``), ascending.
        source: The number of each cell's source.
        n_rows: The number of rows in each cell.
        limits: The number of rows that may be taken from each source.
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
        """The number of rows that can be taken within the limits of the sources."""
        rows = np.bincount(self.source, weights=self.n_rows, minlength=len(self.limits))
        return int(np.minimum(rows.astype(np.int64), self.limits).sum())

    def per_template(self, taken: Integers) -> Integers:
        """Return the number of rows taken of each template."""
        n_templates = len(self.n_ngrams)
        return np.bincount(self.template, weights=taken, minlength=n_templates).astype(np.int64)

    def left(self, taken: Integers) -> Integers:
        """Return how many more rows may be taken from each source."""
        of_source = np.bincount(self.source, weights=taken, minlength=len(self.limits))
        return self.limits - of_source.astype(np.int64)


def divergence(cells: Cells, taken: Integers, target: Target) -> float:
    """Return the skew divergence of the rows taken from the target, in nats."""
    weights = cells.per_template(taken).astype(np.float64)
    total = float((weights * cells.n_ngrams).sum())
    if total == 0:
        return LARGEST_NATS
    shares = (cells.counts.T @ weights) / total
    nats = float(sum_terms(skew_terms(shares, target.shares), shares, cells.multiplicity))
    return min(max(nats, 0.0), LARGEST_NATS)


# ---- by divergence ------------------------------------------------------------------------------


def choose_directly(
    cells: Cells, target: Target, sizes: Sequence[int], min_templates: int = 0
) -> list[Integers]:
    """Choose rows with the lowest divergence from the target, or nearly, for several sizes.

    The divergence is convex in the distribution of the rows taken, but rows are indivisible. So the
    choice grows by the rows that lower the divergence most, and is then improved by exchanges (the
    exchange algorithm of optimal design; Fedorov 1972). The effect of a move is estimated from the
    slope of each term over one occurrence. Many moves are made at a time and kept only if they
    lower the mean divergence from all resamples of the target. Otherwise half as many are tried,
    down to one.

    Args:
        cells: The candidates.
        target: The distribution to match.
        sizes: The numbers of rows to take, ascending.
        min_templates: The least number of distinct templates in the choice of the last size.

    Returns:
        The number of rows to take from each cell, for each size.
    """
    search = _Search(cells, target)
    choices = []
    for size in sizes:
        is_last = size == sizes[-1]
        search.grow(size)
        search.exchange(size, _EXCHANGES if is_last else _EXCHANGES_ON_THE_WAY)
        if min_templates and is_last:
            effects = search.estimate_effects(1)
            search.taken = ensure_templates(
                cells, search.taken, min_templates, effects[cells.template]
            )
            search.keeps_templates = True
            search.update()
            search.exchange(size, _EXCHANGES)
        choices.append(search.taken.copy())
    return choices


def add_directly(cells: Cells, target: Target, taken: Integers, n_rows: int) -> Integers:
    """Add rows to a choice in the order in which they lower the divergence most.

    The order is by the mean divergence from the resamples of the target. Ends after ``n_rows``
    rows, or earlier if more do not lower the divergence from the target itself. Beyond 50 rows, 2%
    are added at a time.

    Args:
        cells: The candidates.
        target: The distribution to match.
        taken: The number of rows of each cell in the choice.
        n_rows: The largest number of rows to add.

    Returns:
        The cell of each row added, in order.
    """
    search = _Search(cells, target, taken)
    added = [np.zeros(0, np.int64)]
    nats = divergence(cells, taken, target)
    while (n := sum(map(len, added))) < n_rows:
        before, nats_before = search.taken.copy(), nats
        search.grow(int(before.sum()) + min(max(1, int(n * _GROWTH)), n_rows - n))
        more = search.taken - before
        nats = divergence(cells, search.taken, target)
        if nats >= nats_before:
            break
        added.append(np.repeat(np.arange(len(more)), more))
    return np.concatenate(added)


class _Search:
    """A choice in progress, with the n-grams of the rows taken."""

    def __init__(self, cells: Cells, target: Target, taken: Integers | None = None) -> None:
        self.cells = cells
        self.by_ngram = cells.counts.T.tocsr()
        self.target = target
        self.taken = np.zeros(len(cells.template), np.int64) if taken is None else taken.copy()
        self.keeps_templates = False
        self.update()

    def update(self) -> None:
        """Compute the state of the rows taken now."""
        weights = self.cells.per_template(self.taken).astype(np.float64)
        total = float((weights * self.cells.n_ngrams).sum())
        p = self.by_ngram @ weights
        if total:
            p /= total
        self.state = _State.of(p, total, self.target.resampled, self.cells.multiplicity)

    @cached_property
    def alone(self) -> Floats:
        """The divergence of each template alone, from the target without resampling."""
        counts = self.cells.counts
        of_each = np.maximum(self.cells.n_ngrams, 1.0)
        p = counts.data / np.repeat(of_each, np.diff(counts.indptr))
        terms = counts.copy()
        terms.data = skew_terms(p, self.target.shares[counts.indices]) - LARGEST_NATS * p
        nats: Floats = np.round(LARGEST_NATS + terms @ self.cells.multiplicity, 12)
        return nats

    def estimate_effects(self, sign: int) -> Floats:
        """Return the approximate change in divergence by one row of each template.

        Args:
            sign: 1 for a row added, -1 for a row removed.
        """
        state, cells = self.state, self.cells
        if not state.total:
            return self.alone
        slope = np.full(len(state.p), -LARGEST_NATS)
        # Only n-grams that were taken can be removed.
        at = np.arange(len(state.p)) if sign > 0 else np.flatnonzero(state.p)
        moved = np.maximum(state.p[at] + sign / state.total, 0.0)
        then = skew_terms(moved, self.target.resampled[:, at])
        slope[at] += (then - state.terms[at]) * (sign * state.total)
        effect = cells.counts @ (slope * cells.multiplicity)
        # Each row added lowers the shares of the others.
        effect += (LARGEST_NATS - state.others) * cells.n_ngrams
        # Rounding makes effects equal that differ only by rounding errors; then order decides.
        effects: Floats = np.round(sign * effect / state.total, 12)
        return effects

    def grow(self, size: int) -> None:
        """Add rows until ``size`` are taken or none is left."""
        while (n := int(self.taken.sum())) < size:
            step = min(max(1, int(n * _GROWTH)), size - n)
            self._add(step, step)
            if self.taken.sum() == n:
                return
            self.update()

    def exchange(self, size: int, n_trials: int) -> None:
        """Replace rows by better ones, in at most ``n_trials`` trials."""
        largest = step = max(1.0, size / 10)
        for _ in range(n_trials):
            n = int(step)
            before = self.taken, self.state
            self.taken = self.taken.copy()
            removed = self._remove(n, max(1, n // 10))
            self.update()
            self._add(removed, max(1, n // 10))
            # The limits of the sources may leave no room for as many as were removed.
            if removed and self.taken.sum() == before[0].sum():
                self.update()
                if self.state.divergence < before[1].divergence - _LEAST_GAIN_NATS:
                    step = min(1.3 * step, largest)
                    continue
            self.taken, self.state = before
            if n == 1:
                break
            step = max(1.0, step / 2)

    def _add(self, n: int, most_per_cell: int) -> None:
        cells = self.cells
        room = np.minimum(cells.n_rows - self.taken, most_per_cell)
        effects = self.estimate_effects(1)[cells.template]
        at, more = _pick_lowest(effects, room, n, cells.source, cells.left(self.taken))
        self.taken[at] += more

    def _remove(self, n: int, most_per_cell: int) -> int:
        cells = self.cells
        room = np.minimum(self.taken, most_per_cell)
        if self.keeps_templates:
            # The first cell of each template taken keeps one row.
            held = np.flatnonzero(self.taken)
            first = held[np.unique(cells.template[held], return_index=True)[1]]
            room[first] = np.minimum(room[first], self.taken[first] - 1)
        unlimited = np.full(len(cells.limits), _UNLIMITED)
        effects = self.estimate_effects(-1)[cells.template]
        at, fewer = _pick_lowest(effects, room, n, cells.source, unlimited)
        self.taken[at] -= fewer
        return int(fewer.sum())


def _pick_lowest(
    effects: Floats, room: Integers, n: int, source: Integers, left: Integers
) -> tuple[Integers, Integers]:
    """Pick ``n`` rows from the cells with the lowest effects; equal effects in order.

    Args:
        effects: The effect of a row of each cell.
        room: How many rows each cell can give.
        n: How many rows to pick.
        source: The source of each cell.
        left: How many rows each source can give.

    Returns:
        The cells, and how many rows to pick from each.
    """
    open_cells = np.flatnonzero((room > 0) & (left[source] > 0))
    is_limited = bool((left < n).any())
    if not is_limited and n < len(open_cells):
        # Each cell gives at least one row, so only the n lowest can be needed.
        highest = np.partition(effects[open_cells], n - 1)[n - 1]
        open_cells = open_cells[effects[open_cells] <= highest]
    order = open_cells[np.argsort(effects[open_cells], kind="stable")]
    most = np.minimum(room[order], n)
    if is_limited:
        most = _limit_by_source(most, source[order], left)
    ends = np.cumsum(most)
    most = np.clip(n - (ends - most), 0, most)
    is_chosen = most > 0
    return order[is_chosen], most[is_chosen]


def _limit_by_source(most: Integers, source: Integers, left: Integers) -> Integers:
    """Reduce the numbers of rows, last ones first, to what each source has left."""
    most = most.copy()
    for one in np.unique(source):
        at = np.flatnonzero(source == one)
        ends = np.cumsum(most[at])
        most[at] = np.clip(left[one] - (ends - most[at]), 0, most[at])
    return most


@dataclass(frozen=True)
class _State:
    """The n-grams of the rows taken, and their divergence from the target.

    Attributes:
        p: The share of each column's n-grams.
        total: The number of n-gram occurrences.
        terms: The term of each column, as a mean over the target's resamples.
        others: How fast the divergence falls, per n-gram added, because all other shares fall.
        divergence: The mean divergence, in nats.
    """

    p: Floats
    total: float
    terms: Floats
    others: float
    divergence: float

    @staticmethod
    def of(p: Floats, total: float, targets: Floats, multiplicity: Floats) -> "_State":
        """Return the state of some shares, compared with the resamples of a target."""
        at = np.flatnonzero(p)
        terms = np.zeros(len(p))
        terms[at], slopes = skew_terms_and_slopes(p[at], targets[:, at])
        weighted = p[at] * multiplicity[at]
        others = LARGEST_NATS + float((weighted * (slopes - LARGEST_NATS)).sum())
        return _State(p, total, terms, others, float(sum_terms(terms, p, multiplicity)))


# ---- by cross-entropy ---------------------------------------------------------------------------


@dataclass(frozen=True)
class GreedyChoice:
    """The choices of cynical selection.

    Attributes:
        choices: The number of rows taken from each cell, for each size.
        best_size: The number of rows after which the cross-entropy was lowest.
        nats: How far the cross-entropy of each size is above that of the pool.
    """

    choices: list[Integers]
    best_size: int
    nats: list[float]


def choose_greedily(cells: Cells, target: Target, sizes: Sequence[int]) -> GreedyChoice:
    """Choose rows that each lower the target's cross-entropy most (arXiv 1709.02279).

    Adding a row with ``m`` n-grams, of which ``s_v`` are n-gram ``v``, changes the cross-entropy by
    ``ln((W + m) / W) - sum_v q_v ln((c_v + s_v) / c_v)``, where ``c_v`` are the counts of the rows
    taken and ``W`` is their sum. Counts start with those of 30 average rows of the pool, so that no
    count is 0 and the first rows need not match the target on their own. N-grams of the target that
    the pool lacks are ignored, because no row changes their part. The sum over ``v`` never grows
    while rows are added, so the last known value of a candidate is a bound. Only the first
    candidate in a heap for each ``m`` needs to be computed again.

    Args:
        cells: The candidates.
        target: The distribution to match.
        sizes: The numbers of rows to take, ascending.
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
    c[c == 0] = 1.0  # has a weight of 0

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

    def find_open_cell(template: int) -> int | None:
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
        cell = find_open_cell(template)
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
    ends = [min(size, len(picked)) for size in sizes]
    choices = [np.bincount(picked[:end], minlength=len(taken)) for end in ends]
    return GreedyChoice(choices, best_size, [float(entropies[end]) for end in ends])


# ---- by noise -----------------------------------------------------------------------------------


def importance_weights(cells: Cells, target: Target) -> Floats:
    """Return the log importance weight of each template's rows (DSIR, arXiv 2302.03169), in nats.

    It is the sum over a row's n-grams of ln(q / p), where p is the pool's share of the n-gram and q
    the target's, smoothed by a little of p as in the skew divergence.
    """
    available = cells.per_template(cells.n_rows).astype(np.float64)
    p = (cells.counts.T @ available) / float((available * cells.n_ngrams).sum())
    in_pool = p > 0
    ratios = skewed_ratios(np.where(in_pool, p, 1.0), np.where(in_pool, target.shares, 0.0))
    of_ngrams = (np.log(ratios) + LARGEST_NATS) * cells.multiplicity
    logs: Floats = cells.counts @ of_ngrams - LARGEST_NATS * cells.n_ngrams
    return logs


def gumbel_noise(uniform: Floats) -> Floats:
    """Return Gumbel noise from uniform noise in (0, 1).

    The rows with the largest sums of log weight and noise are a sample by weight.
    """
    return -np.log(-np.log(uniform))


def choose_by_key(
    cells: Cells, row_cells: Integers, keys: Floats, sizes: Sequence[int]
) -> list[Integers]:
    """Choose the rows with the lowest keys within the limits of the sources, for several sizes.

    Args:
        cells: The candidates.
        row_cells: The cell of each row.
        keys: The key of each row. Rows with equal keys are taken in order.
        sizes: The numbers of rows to take, ascending.

    Returns:
        The number of rows to take from each cell, for each size.
    """
    order = np.argsort(keys, kind="stable")
    ones = np.ones(len(order), np.int64)
    order = order[_limit_by_source(ones, cells.source[row_cells[order]], cells.limits) > 0]
    n_cells = len(cells.template)
    return [np.bincount(row_cells[order[:size]], minlength=n_cells) for size in sizes]


# ---- conditions ---------------------------------------------------------------------------------


def ensure_templates(cells: Cells, taken: Integers, least: int, keys: Floats) -> Integers:
    """Return a choice with at least ``least`` distinct templates, if pool and limits allow.

    One row of each missing template, the lowest keys first, replaces a row of the largest cell.

    Args:
        cells: The candidates.
        taken: The choice.
        least: The least number of distinct templates.
        keys: The key of each cell.
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
        only_source = None if left[source] > 0 else int(source)
        replaced = _find_largest_cell(cells, taken, per_template, only_source)
        if replaced is None:
            continue
        for at, change in ((cell, 1), (replaced, -1)):
            taken[at] += change
            per_template[cells.template[at]] += change
            left[cells.source[at]] -= change
        missing -= 1
    return taken


def _find_largest_cell(
    cells: Cells, taken: Integers, per_template: Integers, source: int | None
) -> int | None:
    """Return the largest cell, of one source or any, whose template has another row."""
    can_give = (taken > 0) & (per_template[cells.template] > 1)
    if source is not None:
        can_give &= cells.source == source
    if not can_give.any():
        return None
    return int(np.argmax(np.where(can_give, taken, -1)))
