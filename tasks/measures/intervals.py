"""Intervals of alignments and ratios, reach, and ceilings (specification, section 5).

The replicates of a pair are stored by the content of its corpora, so that only pairs with new
content are resampled. The replicates of a ratio follow from those of its two alignments, because a
target has the same weights in both.
"""

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.base.connections import connect, resources
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.measures.bootstrap import (
    Counts,
    poisson_weights,
    replicates_per_batch,
    skew_divergences,
)
from nl2sql_align.tasks.measures.ceilings import N_SPLITS, ceiling_row
from nl2sql_align.tasks.measures.divergence import SKEW, alignment, log_alignment
from nl2sql_align.tasks.measures.options import (
    DEFAULT_RESAMPLING,
    INTERVALS_VERSION,
    Resampling,
    Unit,
)
from nl2sql_align.tasks.measures.parts import PARTS_VERSION, PartsBy
from nl2sql_align.tasks.measures.reach import (
    GAP_NATS,
    Reach,
    find_reach,
    mixture_counts,
    weigh_units,
)
from nl2sql_align.tasks.measures.units import (
    MOST_UNITS,
    REACH_SPLITS,
    Sample,
    SampleKey,
    count_effective,
    fetch_samples,
    find_shared,
    load_sample,
    load_vocabulary,
    own_sample_key,
    paired_sample_key,
)
from nl2sql_align.tasks.measures.verdicts import Interval, is_doubtful, student_interval, verdict_of
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.warehouse.count_files import count_distinct_ngrams, remove_unused
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import fetch_missing

# The columns of a ratio that reach has too.
_REACH_COLUMNS: Final = ("ci_low", "ci_high", "verdict", "ln_standard_error")
# DuckDB's share of the memory. The rest is for arrays.
_DATABASE_SHARE: Final = 3 / 8
# Corpora of at most this many queries are read concurrently.
_SMALL_CORPUS: Final = 50_000


@dataclass(frozen=True)
class IntervalsReport:
    """The files of intervals and ceilings.

    Attributes:
        intervals: A row for every corpus with every target of other content.
        ratios: A row for every training set with all predictions.
        reaches: A row for every training set with every target, and with every part of one that
            some predictions answer.
        ceilings: A row for every target.
        n_pairs: The number of pairs of a corpus and a target.
        n_new: For how many of them replicates were made.
    """

    intervals: Path
    ratios: Path
    reaches: Path
    ceilings: Path
    n_pairs: int
    n_new: int


# Follows the name of a sample, a digest, if its parts are mixed.
_MIXED: Final = "~mixed"


class _Pair(NamedTuple):
    """The samples of a source and a target.

    Attributes:
        source: The source.
        target: The target.
        is_mixed: Whether the source is the best mixture of the parts of a training set.
    """

    source: SampleKey
    target: SampleKey
    is_mixed: bool = False

    @property
    def samples(self) -> tuple[SampleKey, SampleKey]:
        """The samples of both sides."""
        return self.source, self.target

    @property
    def key(self) -> tuple[str, str]:
        """The names of both samples, different for mixtures."""
        return self.source.name + (_MIXED if self.is_mixed else ""), self.target.name


class _Drawn(NamedTuple):
    """The unit that is drawn of a sample, and the number of units, also by weight."""

    unit: Unit
    n_units: int
    n_effective: float


@dataclass
class _Replicates:
    """The divergence of a pair in each replicate, and what was drawn of both sides."""

    source: _Drawn
    target: _Drawn
    kl_nats: Floats


_Known = dict[tuple[str, str], _Replicates]
_KnownReaches = dict[tuple[str, str], Reach]
_Row = dict[str, Any]


def compute_intervals(
    corpora: Sequence[CountedCorpus],
    pairs: Path,
    folder: Path,
    how: Resampling = DEFAULT_RESAMPLING,
) -> IntervalsReport:
    """Resample all pairs with a target and write intervals, verdicts and ceilings.

    Args:
        corpora: The corpora that have n-grams.
        pairs: The measures of all pairs, from ``tasks.measures.matrix``.
        folder: The folder of this stage's files. Files of earlier runs are reused, then removed.
        how: How to resample.
    """
    rules = stage_key(
        version=INTERVALS_VERSION,
        skew=SKEW,
        seed=how.seed,
        most=MOST_UNITS,
        splits=N_SPLITS,
        reach=[PARTS_VERSION, REACH_SPLITS, GAP_NATS],
    )[:12]
    name = stage_key(
        corpora=[
            [
                *(corpus.entry.name, corpus.entry.role, corpus.entry.target),
                *(corpus.content_key, corpus.queries.stem, corpus.templates.stem),
                *([corpus.answered.content_key] if corpus.answered else []),
            ]
            for corpus in corpora
        ],
        pairs=pairs.name,
        looks=how.checkpoints(),
        unit=how.unit,
    )
    files = {kind: folder / f"{kind}-{rules}-{name}.parquet" for kind in _SCHEMAS}
    plan = _Plan(corpora, how.unit)
    n_new = 0
    if not all(file.exists() for file in files.values()):
        tables, n_new = _compute_tables(plan, pairs, folder, rules, how)
        for kind, file in files.items():
            if not file.exists():  # a run that was killed here may have written the first ones
                with write_atomically(file) as temporary:
                    tables[kind].write_parquet(temporary)
    remove_unused(folder, {*files.values()})
    return IntervalsReport(
        files["intervals"],
        files["ratios"],
        files["reaches"],
        files["ceilings"],
        len(plan.pairs),
        n_new,
    )


class _Plan:
    """The comparisons of a run, by the names of the corpora.

    Attributes:
        corpora: All corpora.
        targets: The sample of each target, and of each part of one that some predictions answer.
        pairs: The samples of each corpus and each target of other content, and of what is compared
            with a part.
        ratios: The training set and predictions of each ratio, and what they are compared with: the
            target, or the part that the predictions answer.
        trains: The sample of each training set.
    """

    def __init__(self, corpora: Sequence[CountedCorpus], unit: Unit) -> None:
        self.corpora = {corpus.entry.name: corpus for corpus in corpora}
        own = {corpus.entry.name: own_sample_key(corpus, unit) for corpus in corpora}
        targets = [corpus for corpus in corpora if corpus.entry.role == "target"]
        self.targets = {target.entry.name: own[target.entry.name] for target in targets}
        self.pairs: dict[tuple[str, str], _Pair] = {}
        for target in targets:
            of_target = own[target.entry.name]
            for source in corpora:
                of_source = own[source.entry.name]
                if source.entry.target == target.entry.name:
                    of_source = paired_sample_key(source, target, unit)
                elif of_source.name == of_target.name:
                    continue  # same content: equal in every replicate
                self.pairs[source.entry.name, target.entry.name] = _Pair(of_source, of_target)
        trains = [corpus.entry.name for corpus in corpora if corpus.entry.role == "train"]
        self.trains = {train: own[train] for train in trains}
        parts = {one.entry.name: one.answered for one in corpora if one.answered is not None}
        for predictions, part in parts.items():
            name = part.entry.name
            self.corpora[name] = part
            self.targets[name] = own_sample_key(part, unit)
            for train in trains:
                if own[train].name != self.targets[name].name:
                    self.pairs[train, name] = _Pair(own[train], self.targets[name])
            of_predictions = paired_sample_key(self.corpora[predictions], part, unit)
            self.pairs[predictions, name] = _Pair(of_predictions, self.targets[name])
        self.ratios = [
            (train, corpus.entry.name, corpus.compared_with)
            for corpus in corpora
            for train in trains
            if corpus.entry.role == "predictions" and corpus.compared_with in self.targets
        ]

    def read_log_alignments(self, pairs: Path) -> dict[tuple[str, str], float]:
        """Return the logarithm of the alignment of each corpus with each target."""
        fetch_missing([pairs])
        columns = ["source_key", "target_key", "kl_nats"]
        rows = pl.read_parquet(pairs, columns=columns, glob=False).iter_rows()
        nats = {(source, target): kl_nats for source, target, kl_nats in rows}
        sides = {*self.pairs, *((one, target) for *both, target in self.ratios for one in both)}
        return {
            (source, target): log_alignment(
                nats[self.corpora[source].content_key, self.corpora[target].content_key]
            )
            for source, target in sides
        }


def _compute_tables(
    plan: _Plan, pairs: Path, folder: Path, rules: str, how: Resampling
) -> tuple[dict[str, pl.DataFrame], int]:
    """Return all tables, and the number of pairs of samples that got new replicates."""
    estimates = plan.read_log_alignments(pairs)
    known, known_ceilings, known_reaches = _read_known(folder, rules)
    new_targets = {
        sample.ngrams for sample in plan.targets.values() if sample.name not in known_ceilings
    }
    with connect(memory_share=_DATABASE_SHARE) as con:
        bootstrap = _Bootstrap(con, known, known_reaches, new_targets, how.seed)
        reaches = _Reaches(plan, estimates, bootstrap)
        checkpoints = how.checkpoints() if plan.pairs else (0,)
        # Mixtures too, so that the weights of their units are drawn once.
        bootstrap.extend([*plan.pairs.values(), *reaches.mixed], checkpoints[0])
        intervals = [
            _interval_row(names, estimates[names], known[pair.key], pair, checkpoints[0])
            for names, pair in plan.pairs.items()
        ]
        ratios = _ratio_rows(plan, estimates, bootstrap, reaches, checkpoints)
        ceilings = []
        for target, sample in plan.targets.items():
            row = known_ceilings.get(sample.name)
            row = row or ceiling_row(bootstrap.load(sample), sample.name)
            ceilings.append({**row, "target": target})
    tables = {
        kind: pl.DataFrame(rows, schema=_SCHEMAS[kind], orient="row")
        for kind, rows in {
            "intervals": intervals,
            "ratios": ratios,
            "reaches": reaches.rows(),
            "ceilings": ceilings,
        }.items()
    }
    for kind in ("intervals", "ratios"):
        tables[kind] = tables[kind].with_columns(seed=pl.lit(how.seed, pl.Int64))
    mixed = [pair._replace(is_mixed=True) for pair in plan.pairs.values()]
    used = sorted({pair.key for pair in [*plan.pairs.values(), *mixed]} & known.keys())
    tables["replicates"] = _replicates_table({key: known[key] for key in used})
    n_new = sum(not source.endswith(_MIXED) for source, _ in bootstrap.extended)
    return tables, n_new


def _ratio_rows(
    plan: _Plan,
    estimates: dict[tuple[str, str], float],
    bootstrap: "_Bootstrap",
    reaches: "_Reaches",
    checkpoints: Sequence[int],
) -> list[_Row]:
    """Return the row of each ratio, with more replicates for doubtful verdicts."""
    rows: dict[tuple[str, str, str], _Row] = {}
    doubtful = list(plan.ratios)
    for n_replicates in checkpoints:
        sides = {
            names: (plan.pairs.get((names[0], names[2])), plan.pairs.get((names[1], names[2])))
            for names in doubtful
        }
        mixed = {names: reaches.find_mixed(names[0], names[2]) for names in doubtful}
        needed = [pair for both in sides.values() for pair in both if pair is not None]
        needed += [pair for pair in mixed.values() if pair is not None]
        bootstrap.extend(needed, n_replicates)
        still_doubtful = []
        for names, both in sides.items():
            train, predictions, target = names
            estimate = estimates[train, target] - estimates[predictions, target]
            known = [None if pair is None else bootstrap.known[pair.key] for pair in both]
            row, is_open = _ratio_row(estimate, known[0], known[1], n_replicates)
            pair, gain = mixed[names], reaches.log_gains(train, target)
            of_reach = known[0] if pair is None else bootstrap.known[pair.key]
            reach_row, _ = _ratio_row(
                estimate + gain.chosen, of_reach, known[1], n_replicates, gain.judged - gain.chosen
            )
            is_paired = both[1] is not None and both[1].source.is_paired
            rows[names] = {
                "train": train,
                "predictions": predictions,
                "target": plan.corpora[predictions].entry.target,
                "compared_with": target,
                **row,
                "is_paired": is_paired,
                "parted_by": reaches.parted_by(train, target),
                "ln_alignment_ratio": estimate,
                "ln_reach_ratio": estimate + gain.judged,
                **{f"reach_{name}": reach_row[name] for name in _REACH_COLUMNS},
            }
            if is_open:
                still_doubtful.append(names)
        doubtful = still_doubtful
    return list(rows.values())


def _interval_row(
    names: tuple[str, str], estimate: float, replicates: _Replicates, pair: _Pair, n: int
) -> _Row:
    source, target = replicates.source, replicates.target
    n_units = min(source.n_effective, target.n_effective)
    interval = student_interval(estimate, log_alignment(replicates.kl_nats[:n]), n_units)
    low, high = _ends(interval)
    return {
        "source": names[0],
        "target": names[1],
        # An alignment is always between 1/e and 1.
        "ci_low": None if low is None else max(low, math.exp(-1)),
        "ci_high": None if high is None else min(high, 1.0),
        "ln_standard_error": interval.standard_error,
        "ln_bias": interval.bias,
        "source_unit": source.unit,
        "n_source_units": source.n_units,
        "target_unit": target.unit,
        "n_target_units": target.n_units,
        "is_paired": pair.source.is_paired,
        "n_replicates": n,
    }


def _ratio_row(
    estimate: float,
    of_train: _Replicates | None,
    of_predictions: _Replicates | None,
    n: int,
    shift: float = 0.0,
) -> tuple[_Row, bool]:
    """Return a ratio's row, and whether more replicates could change its verdict.

    Args:
        estimate: The logarithm of the ratio.
        of_train: The replicates of the training set; None if its content is that of the target,
            with which it is then aligned at 1 in every replicate.
        of_predictions: Those of the predictions, likewise.
        n: The number of replicates to use.
        shift: The number to add to the ends of the interval.
    """
    train_logs, predictions_logs = (
        np.zeros(n) if one is None else log_alignment(one.kl_nats[:n])
        for one in (of_train, of_predictions)
    )
    nothing = _Drawn(Unit.QUERY, 0, 0.0)
    target = next((one.target for one in (of_train, of_predictions) if one), nothing)
    train = of_train.source if of_train else target
    predictions = of_predictions.source if of_predictions else target
    n_units = min(one.n_effective for one in (train, predictions, target))
    interval = student_interval(estimate, train_logs - predictions_logs, n_units).shifted(shift)
    low, high = _ends(interval)
    row = {
        "ci_low": low,
        "ci_high": high,
        "verdict": verdict_of(interval),
        "ln_standard_error": interval.standard_error,
        "ln_bias": interval.bias,
        "train_unit": train.unit,
        "n_train_units": train.n_units,
        "n_effective_train_units": round(train.n_effective, 12),
        "target_unit": target.unit,
        "n_target_units": target.n_units,
        "n_effective_target_units": round(target.n_effective, 12),
        "predictions_unit": predictions.unit,
        "n_predictions_units": predictions.n_units,
        "n_replicates": n,
    }
    return row, is_doubtful(interval, n, n_units)


class _Gains(NamedTuple):
    """How much closer the best mixture of parts is than the training set, as logarithms.

    Attributes:
        chosen: On the queries that chose its weights.
        judged: On others.
    """

    chosen: float
    judged: float


class _Reaches:
    """The reach of each training set with each target.

    Attributes:
        mixed: The pairs of the mixtures that ratios need.
    """

    def __init__(
        self,
        plan: _Plan,
        estimates: dict[tuple[str, str], float],
        bootstrap: "_Bootstrap",
    ) -> None:
        """Weigh the parts of all training sets, unless earlier runs did.

        Args:
            plan: The comparisons of the run.
            estimates: The logarithm of the alignment of each corpus with each target.
            bootstrap: The samples, and the results of earlier runs.
        """
        self._estimates = estimates
        self._pairs = {
            names: pair
            for names, pair in plan.pairs.items()
            if names[0] in plan.trains and names[1] in plan.targets
        }
        bootstrap.weigh_parts(self._pairs.values())
        self._found = {names: bootstrap.reaches[pair.key] for names, pair in self._pairs.items()}
        names = dict.fromkeys((train, target) for train, _, target in plan.ratios)
        mixed = (self.find_mixed(*both) for both in names)
        self.mixed = [pair for pair in mixed if pair is not None]

    def find_mixed(self, train: str, target: str) -> _Pair | None:
        """Return the pair of the best mixture; None if it is the training set itself."""
        pair = self._pairs.get((train, target))
        is_mixed = pair is not None and self._found[train, target].is_mixed
        return pair._replace(is_mixed=True) if pair is not None and is_mixed else None

    def log_gains(self, train: str, target: str) -> _Gains:
        """Return how much closer the mixture is than the training set."""
        found = self._found.get((train, target))
        if found is None or not found.is_mixed:
            return _Gains(0.0, 0.0)
        plain = self._estimates[train, target]
        return _Gains(log_alignment(found.chosen_nats) - plain, log_alignment(found.nats) - plain)

    def parted_by(self, train: str, target: str) -> PartsBy:
        """Return how the training set was divided into parts."""
        found = self._found.get((train, target))
        return found.parted_by if found else PartsBy.NONE

    def rows(self) -> list[_Row]:
        """Return a row for each training set and target of other content."""
        return [
            {
                "train": train,
                "target": target,
                "train_sample": pair.source.name,
                "target_sample": pair.target.name,
                "reach": round(alignment(found.nats), 12),
                "is_mixed": found.is_mixed,
                "nats": found.nats,
                "chosen_nats": found.chosen_nats,
                "parted_by": found.parted_by,
                "n_parts": found.n_parts,
            }
            for (train, target), pair in self._pairs.items()
            for found in [self._found[train, target]]
        ]


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    if interval.low is None or interval.high is None:
        return None, None
    return round(math.exp(interval.low), 12), round(math.exp(interval.high), 12)


class _Bootstrap:
    """Makes the replicates of pairs that are not known yet.

    Attributes:
        known: The replicates of each pair of samples; new ones are added.
        reaches: The best mixtures of the parts of training sets; new ones are added.
        extended: The pairs that got new replicates.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        known: _Known,
        reaches: _KnownReaches,
        new_targets: set[Path],
        seed: int,
    ) -> None:
        """Start without any sample.

        Args:
            con: A connection that can read the corpora's files.
            known: The replicates that earlier runs made.
            reaches: The mixtures that earlier runs found, without their weights.
            new_targets: The n-gram counts of corpora whose samples must contain all their n-grams.
            seed: The seed of the replicates.
        """
        self.known = known
        self.reaches = reaches
        self.extended: set[tuple[str, str]] = set()
        self._con = con
        self._seed = seed
        self._new_targets = new_targets
        self._samples: dict[str, Sample] = {}
        self._covered = new_targets
        self._vocabulary = load_vocabulary(con, sorted(new_targets))

    def load(self, key: SampleKey) -> Sample:
        """Return a corpus for resampling, reading it once."""
        if key.name not in self._samples:
            self._samples[key.name] = load_sample(self._con, key, self._vocabulary, self._seed)
        return self._samples[key.name]

    def weigh_parts(self, pairs: Iterable[_Pair], with_weights: bool = False) -> None:
        """Find the best mixtures of the parts of training sets that are not known.

        Args:
            pairs: A training set and a target each.
            with_weights: Whether mixtures of earlier runs, whose weights are not stored, count as
                not known.
        """
        missing: dict[tuple[str, str], _Pair] = {}
        for pair in (one._replace(is_mixed=False) for one in pairs):
            found = self.reaches.get(pair.key)
            if found is None or (with_weights and found.is_mixed and found.weights is None):
                missing[pair.key] = pair
        fetch_samples(key for pair in missing.values() for key in pair.samples)
        self._cover(missing.values())

        def find(pair: _Pair) -> Reach:
            return find_reach(self.load(pair.source), self.load(pair.target))

        with ThreadPoolExecutor(resources().threads) as pool:
            self._read((key for pair in missing.values() for key in pair.samples), pool)
            self.reaches |= zip(missing, pool.map(find, missing.values()), strict=True)

    def extend(self, pairs: Iterable[_Pair], n: int) -> None:
        """Make replicates of these pairs until each has ``n``."""
        by_known: dict[int, dict[tuple[str, str], _Pair]] = {}
        for pair in pairs:
            known = self.known.get(pair.key)
            n_known = len(known.kl_nats) if known else 0
            if n_known < n:
                by_known.setdefault(n_known, {})[pair.key] = pair
        for n_known, some in sorted(by_known.items()):
            self._resample(some, range(n_known, n))

    def _resample(self, pairs: dict[tuple[str, str], _Pair], replicates: range) -> None:
        by_source: dict[str, list[_Pair]] = {}
        for pair in pairs.values():
            by_source.setdefault(pair.source.name, []).append(pair)
        targets = {pair.target.name: pair.target for pair in pairs.values()}
        nats: dict[tuple[str, str], list[Floats]] = {key: [] for key in pairs}
        fetch_samples(key for pair in pairs.values() for key in pair.samples)
        self._cover(pairs.values())

        self.weigh_parts((pair for pair in pairs.values() if pair.is_mixed), with_weights=True)

        def resample_source(some: list[_Pair], batch: range, of_targets: dict[str, Counts]) -> None:
            source = self.load(some[0].source)
            weights = poisson_weights(source.keys, batch).astype(np.float64)
            of_plain = None
            for pair in some:
                if pair.is_mixed:
                    of_source = self._count_mixture(source, pair, weights)
                else:
                    of_source = of_plain = of_plain or source.counts(weights)
                shared = find_shared(source, self.load(pair.target))
                of_target = of_targets[pair.target.name]
                nats[pair.key].append(skew_divergences(of_source, of_target, shared))

        # Each thread computes whole samples, so that no number depends on the number of threads.
        with ThreadPoolExecutor(resources().threads) as pool:
            self._read((key for pair in pairs.values() for key in pair.samples), pool)
            largest = max(self.load(pair.source).n_classes for pair in pairs.values())
            n_classes = sum(self.load(target).n_classes for target in targets.values())
            per_batch = replicates_per_batch(n_classes + resources().threads * largest)
            starts = range(replicates.start, replicates.stop, per_batch)
            n_steps = len(starts) * len(by_source)
            n_done = 0
            for start in starts:
                batch = range(start, min(start + per_batch, replicates.stop))
                counts = pool.map(
                    _count_replicates, map(self.load, targets.values()), repeat(batch)
                )
                of_targets = dict(zip(targets, counts, strict=True))
                for _ in pool.map(
                    resample_source, by_source.values(), repeat(batch), repeat(of_targets)
                ):
                    n_done += 1
                    announce("intervals", "", n_done, n_steps)
        for key, pair in pairs.items():
            source, target = (
                _Drawn(sample.unit, len(sample.keys), round(sample.n_effective, 12))
                for sample in map(self.load, pair.samples)
            )
            if pair.is_mixed:
                source = source._replace(n_effective=self._count_effective(pair))
            before = [self.known[key].kl_nats] if key in self.known else []
            # To 12 digits, because processors differ in the last bits of a logarithm.
            values = np.concatenate([*before, *nats[key]]).round(12)
            self.known[key] = _Replicates(source, target, values)
            self.extended.add(key)

    def _count_effective(self, pair: _Pair) -> float:
        """Return the number of units of a mixture by weight."""
        train = self.load(pair.source)
        found = self.reaches[pair._replace(is_mixed=False).key]
        assert found.weights is not None
        mixed = weigh_units(train, found.weights)
        return round(count_effective(mixed @ train.classes.totals.astype(np.float64)), 12)

    def _count_mixture(self, train: Sample, pair: _Pair, weights: Floats) -> Counts:
        found = self.reaches[pair._replace(is_mixed=False).key]
        assert found.weights is not None
        return mixture_counts(train, weigh_units(train, found.weights), weights)

    def _cover(self, pairs: Iterable[_Pair]) -> None:
        """Choose a vocabulary that has all n-grams that both sides of a pair have.

        Other n-grams count only in totals. The n-grams of all sources do as well as those of all
        targets, so the fewer are chosen: if one corpus is new, its own.
        """
        sides = [(pair.target.ngrams, pair.source.ngrams) for pair in pairs]
        if all(self._covered.intersection(files) for files in sides):
            return
        choices = [self._new_targets.union(files) for files in zip(*sides, strict=True)]
        self._covered = min(choices, key=lambda files: sum(map(count_distinct_ngrams, files)))
        self._vocabulary = load_vocabulary(self._con, sorted(self._covered))
        self._samples.clear()

    def _read(self, keys: Iterable[SampleKey], pool: ThreadPoolExecutor) -> None:
        """Read small corpora concurrently, then large ones: each alone takes enough memory."""
        missing = {key.name: key for key in keys if key.name not in self._samples}
        small = {
            name: key
            for name, key in missing.items()
            if pq.read_metadata(key.queries).num_rows <= _SMALL_CORPUS
        }
        vocabulary = self._vocabulary

        def read(key: SampleKey) -> Sample:
            with self._con.cursor() as con:
                return load_sample(con, key, vocabulary, self._seed)

        self._samples.update(zip(small, pool.map(read, small.values()), strict=True))
        for key in missing.values():
            self.load(key)


def _count_replicates(sample: Sample, replicates: range) -> Counts:
    return sample.counts(poisson_weights(sample.keys, replicates).astype(np.float64))


def _replicates_table(known: _Known) -> pl.DataFrame:
    """Return the table of replicates; built by columns, because there are many."""
    each = known.values()
    ends = np.cumsum([0, *(len(one.kl_nats) for one in each)])
    values = np.concatenate([np.zeros(0), *(one.kl_nats for one in each)])
    columns = {
        "source_sample": [source for source, _ in known],
        "target_sample": [target for _, target in known],
        "source_unit": [one.source.unit for one in each],
        "n_source_units": [one.source.n_units for one in each],
        "n_effective_source_units": [one.source.n_effective for one in each],
        "target_unit": [one.target.unit for one in each],
        "n_target_units": [one.target.n_units for one in each],
        "n_effective_target_units": [one.target.n_effective for one in each],
        "kl_nats": pl.Series(pa.LargeListArray.from_arrays(ends, values)),
    }
    return pl.DataFrame(columns, schema=_SCHEMAS["replicates"])


def _read_known(folder: Path, rules: str) -> tuple[_Known, dict[str, _Row], _KnownReaches]:
    """Return replicates, ceilings and reaches that earlier runs made by the same rules."""
    kinds = ("replicates", "ceilings", "reaches")
    fetch_missing(file for kind in kinds for file in folder.glob(f"{kind}-{rules}-*.parquet"))
    known: _Known = {}
    ceilings: dict[str, _Row] = {}
    for file in sorted(folder.glob(f"replicates-{rules}-*.parquet")):
        table = pl.read_parquet(file, glob=False)
        values = table["kl_nats"].explode(empty_as_null=False).to_numpy()
        table = table.with_columns(n=pl.col("kl_nats").list.len()).drop("kl_nats")
        end = 0
        for row in table.iter_rows(named=True):
            start, end = end, end + row["n"]
            source, target = (
                _Drawn(
                    Unit(row[f"{side}_unit"]),
                    row[f"n_{side}_units"],
                    row[f"n_effective_{side}_units"],
                )
                for side in ("source", "target")
            )
            known[row["source_sample"], row["target_sample"]] = _Replicates(
                source, target, values[start:end]
            )
    for file in sorted(folder.glob(f"ceilings-{rules}-*.parquet")):
        for row in pl.read_parquet(file, glob=False).iter_rows(named=True):
            ceilings[row["target_sample"]] = row
    reaches: _KnownReaches = {}
    for file in sorted(folder.glob(f"reaches-{rules}-*.parquet")):
        for row in pl.read_parquet(file, glob=False).iter_rows(named=True):
            reaches[row["train_sample"], row["target_sample"]] = Reach(
                row["nats"],
                row["chosen_nats"],
                PartsBy(row["parted_by"]),
                row["n_parts"],
                row["is_mixed"],
            )
    return known, ceilings, reaches


_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "replicates": {
        "source_sample": pl.String,
        "target_sample": pl.String,
        "source_unit": pl.String,
        "n_source_units": pl.Int64,
        "n_effective_source_units": pl.Float64,
        "target_unit": pl.String,
        "n_target_units": pl.Int64,
        "n_effective_target_units": pl.Float64,
        "kl_nats": pl.List(pl.Float64),
    },
    "intervals": {
        "source": pl.String,
        "target": pl.String,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "ln_standard_error": pl.Float64,
        "ln_bias": pl.Float64,
        "source_unit": pl.String,
        "n_source_units": pl.Int64,
        "target_unit": pl.String,
        "n_target_units": pl.Int64,
        "is_paired": pl.Boolean,
        "n_replicates": pl.Int64,
        "seed": pl.Int64,
    },
    "ratios": {
        "train": pl.String,
        "predictions": pl.String,
        "target": pl.String,
        "compared_with": pl.String,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "verdict": pl.String,
        "ln_standard_error": pl.Float64,
        "ln_bias": pl.Float64,
        "train_unit": pl.String,
        "n_train_units": pl.Int64,
        "n_effective_train_units": pl.Float64,
        "target_unit": pl.String,
        "n_target_units": pl.Int64,
        "n_effective_target_units": pl.Float64,
        "predictions_unit": pl.String,
        "n_predictions_units": pl.Int64,
        "is_paired": pl.Boolean,
        "parted_by": pl.String,
        "ln_alignment_ratio": pl.Float64,
        "ln_reach_ratio": pl.Float64,
        "reach_ci_low": pl.Float64,
        "reach_ci_high": pl.Float64,
        "reach_verdict": pl.String,
        "reach_ln_standard_error": pl.Float64,
        "n_replicates": pl.Int64,
        "seed": pl.Int64,
    },
    "reaches": {
        "train": pl.String,
        "target": pl.String,
        "train_sample": pl.String,
        "target_sample": pl.String,
        "reach": pl.Float64,
        "is_mixed": pl.Boolean,
        "nats": pl.Float64,
        "chosen_nats": pl.Float64,
        "parted_by": pl.String,
        "n_parts": pl.Int64,
    },
    "ceilings": {
        "target": pl.String,
        "target_sample": pl.String,
        "ceiling": pl.Float64,
        "half_alignment": pl.Float64,
        "half_low": pl.Float64,
        "half_high": pl.Float64,
        "quarter_alignment": pl.Float64,
        "unit": pl.String,
        "n_units": pl.Int64,
        "n_queries": pl.Int64,
        "n_splits": pl.Int64,
    },
}
