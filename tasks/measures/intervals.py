"""Intervals of alignments and ratios, reach, and ceilings (specification, section 5).

The replicates of a pair are stored by the content of its corpora, so that only pairs with new
content are resampled. The replicates of a ratio follow from those of its two alignments, because a
target has the same weights in both.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.measures.blocks import (
    DEFAULT_BLOCK_LIMITS,
    Block,
    BlockLimits,
    Storage,
    divide,
)
from nl2sql_align.tasks.measures.ceilings import N_SPLITS
from nl2sql_align.tasks.measures.divergence import SKEW, log_alignment
from nl2sql_align.tasks.measures.matrix import read_measure
from nl2sql_align.tasks.measures.options import (
    DEFAULT_RESAMPLING,
    INTERVALS_VERSION,
    Resampling,
    Unit,
)
from nl2sql_align.tasks.measures.parts import PARTS_VERSION, PartsBy
from nl2sql_align.tasks.measures.reach import GAP_NATS
from nl2sql_align.tasks.measures.replicates import (
    DATABASE_SHARE,
    SCHEMAS,
    Bootstrap,
    Drawn,
    Known,
    Pair,
    Replicates,
    Wanted,
    read_known,
    tabulate_replicates,
)
from nl2sql_align.tasks.measures.units import (
    MOST_UNITS,
    REACH_SPLITS,
    fetch_samples,
    own_sample_key,
    paired_sample_key,
)
from nl2sql_align.tasks.measures.verdicts import Interval, is_doubtful, student_interval, verdict_of
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically
from nl2sql_align.tasks.warehouse.part_files import remove_unused

# The columns of a ratio that reach has too.
_REACH_COLUMNS: Final = ("ci_low", "ci_high", "verdict", "ln_standard_error")


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


_Row = dict[str, Any]


def compute_intervals(
    corpora: Sequence[CountedCorpus],
    pairs: Path,
    folder: Path,
    how: Resampling = DEFAULT_RESAMPLING,
    blocks: Sequence[Block] = (),
) -> IntervalsReport:
    """Resample all pairs with a target and write intervals, verdicts and ceilings.

    Args:
        corpora: The corpora that have n-grams.
        pairs: The measures of all pairs, from ``tasks.measures.matrix``.
        folder: The folder of this stage's files. Files of earlier runs are reused, then removed.
        how: How to resample.
        blocks: The blocks that this run has made.
    """
    storage, files = _name_files(corpora, pairs, folder, how)
    plan = _Plan(corpora, how.unit)
    n_new = 0
    if not all(file.exists() for file in files.values()):
        known = read_known(folder, storage.rules)
        before = {key: len(one.kl_nats) for key, one in known.replicates.items()}
        with connect(memory_share=DATABASE_SHARE) as con:
            bootstrap = Bootstrap(con, known, how.seed)
            tables: dict[str, pl.DataFrame] = {}
            for wanted in _fill_tables(tables, plan, pairs, known, how):
                bootstrap.make(wanted)
        for kind, file in files.items():
            if not file.exists():  # a run that was killed here may have written the first ones
                with write_atomically(file) as temporary:
                    tables[kind].write_parquet(temporary)
        in_blocks = {pair.key for block in blocks for pair in block.wanted.pairs}
        n_new = sum(
            key in in_blocks or len(known.replicates[key].kl_nats) > before.get(key, 0)
            for key in {pair.key for pair in plan.pairs.values()}
        )
    remove_unused(folder, {*files.values()})
    return IntervalsReport(
        files["intervals"],
        files["ratios"],
        files["reaches"],
        files["ceilings"],
        len(plan.pairs),
        n_new,
    )


def list_blocks(
    corpora: Sequence[CountedCorpus],
    pairs: Path,
    folder: Path,
    how: Resampling = DEFAULT_RESAMPLING,
    limits: BlockLimits = DEFAULT_BLOCK_LIMITS,
) -> list[Block]:
    """Return blocks of the pairs that are to be resampled next, if these are many.

    Once they are made, there may be more, because doubtful verdicts get more replicates.

    Args:
        corpora: As for ``compute_intervals``, which reads the results of the blocks.
        pairs: As for ``compute_intervals``.
        folder: As for ``compute_intervals``.
        how: As for ``compute_intervals``.
        limits: The size of blocks.
    """
    if has_intervals(corpora, pairs, folder, how):
        return []
    storage, _ = _name_files(corpora, pairs, folder, how)
    plan, known = _Plan(corpora, how.unit), read_known(folder, storage.rules)
    for wanted in _fill_tables({}, plan, pairs, known, how):
        missing = wanted.without(known)
        if missing:
            blocks = [Block(one, storage) for one in divide(missing, limits)]
            if blocks:  # each would fetch its samples, some of which are those of others
                fetch_samples(key for pair in missing.list_all() for key in pair.samples)
            return blocks
    return []


def has_intervals(
    corpora: Sequence[CountedCorpus],
    pairs: Path,
    folder: Path,
    how: Resampling = DEFAULT_RESAMPLING,
) -> bool:
    """Return whether ``compute_intervals`` has run with the same arguments."""
    _, files = _name_files(corpora, pairs, folder, how)
    return all(file.exists() for file in files.values())


def _name_files(
    corpora: Sequence[CountedCorpus], pairs: Path, folder: Path, how: Resampling
) -> tuple[Storage, dict[str, Path]]:
    """Return where blocks store results, and the file of each table."""
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
        n_replicates=[how.of_alignments, *how.checkpoints()],
        unit=how.unit,
    )
    storage = Storage(folder, rules, how.seed)
    return storage, {kind: storage.file(kind, name) for kind in _SCHEMAS}


class _Plan:
    """The comparisons of a run, by the names of the corpora.

    Attributes:
        corpora: All corpora.
        targets: The sample of each target, and of each part of one that some predictions answer.
        pairs: The samples of each corpus and each target of other content, and of what is compared
            with a part.
        ratios: The training set, the predictions and the counterpart of each ratio: the target, or
            the part of it that the predictions answer.
        trains: The sample of each training set.
    """

    def __init__(self, corpora: Sequence[CountedCorpus], unit: Unit) -> None:
        self.corpora = {corpus.entry.name: corpus for corpus in corpora}
        own = {corpus.entry.name: own_sample_key(corpus, unit) for corpus in corpora}
        targets = [corpus for corpus in corpora if corpus.entry.role == "target"]
        self.targets = {target.entry.name: own[target.entry.name] for target in targets}
        self.pairs: dict[tuple[str, str], Pair] = {}
        for target in targets:
            of_target = own[target.entry.name]
            for source in corpora:
                of_source = own[source.entry.name]
                if source.entry.target == target.entry.name:
                    of_source = paired_sample_key(source, target, unit)
                elif of_source.name == of_target.name:
                    continue  # same content: equal in every replicate
                self.pairs[source.entry.name, target.entry.name] = Pair(of_source, of_target)
        trains = [corpus.entry.name for corpus in corpora if corpus.entry.role == "train"]
        self.trains = {train: own[train] for train in trains}
        parts = {one.entry.name: one.answered for one in corpora if one.answered is not None}
        for predictions, part in parts.items():
            name = part.entry.name
            self.corpora[name] = part
            self.targets[name] = own_sample_key(part, unit)
            for train in trains:
                if own[train].name != self.targets[name].name:
                    self.pairs[train, name] = Pair(own[train], self.targets[name])
            of_predictions = paired_sample_key(self.corpora[predictions], part, unit)
            self.pairs[predictions, name] = Pair(of_predictions, self.targets[name])
        self.ratios = [
            (train, corpus.entry.name, corpus.compared_with)
            for corpus in corpora
            for train in trains
            if corpus.entry.role == "predictions" and corpus.compared_with in self.targets
        ]

    @property
    def pairs_of_trains(self) -> dict[tuple[str, str], Pair]:
        """The pairs of a training set and a target."""
        return {
            names: pair
            for names, pair in self.pairs.items()
            if names[0] in self.trains and names[1] in self.targets
        }

    def list_wanted(self, of_alignments: int, of_ratios: int) -> Wanted:
        """Return the results that every run needs: replicates, reach of all pairs, and ceilings.

        Includes the mixtures of ratios, so that the weights of their units are drawn once.

        Args:
            of_alignments: The number of replicates of a pair that no ratio needs.
            of_ratios: The number of replicates of the others.
        """
        weighed = self.pairs_of_trains
        mixable = {(train, target) for train, _, target in self.ratios}
        in_ratios = mixable | {(answers, target) for _, answers, target in self.ratios}
        return Wanted(
            dict.fromkeys(self.pairs.values(), of_alignments)
            | {pair: of_ratios for names, pair in self.pairs.items() if names in in_ratios},
            list(weighed.values()),
            {pair: of_ratios for names, pair in weighed.items() if names in mixable},
            list(self.targets.values()),
        )

    def read_log_alignments(self, pairs: Path) -> dict[tuple[str, str], float]:
        """Return the logarithm of the alignment of each corpus with each target."""
        sides = {*self.pairs, *((one, target) for *both, target in self.ratios for one in both)}
        targets = {self.corpora[target].content_key for _, target in sides}
        nats = read_measure(pairs, "kl_nats", targets)
        return {
            (source, target): log_alignment(
                nats[self.corpora[source].content_key, self.corpora[target].content_key]
            )
            for source, target in sides
        }


def _fill_tables(
    tables: dict[str, pl.DataFrame], plan: _Plan, pairs: Path, known: Known, how: Resampling
) -> Iterator[Wanted]:
    """Compute all tables.

    Args:
        tables: Receives the tables by kind.
        plan: The comparisons of the run.
        pairs: The measures of all pairs.
        known: The results of earlier runs.
        how: How to resample.

    Yields:
        The results to make before the next step.
    """
    estimates = plan.read_log_alignments(pairs)
    checkpoints = how.checkpoints() if plan.pairs else (0,)
    yield plan.list_wanted(how.of_alignments, checkpoints[0])
    reaches = _Reaches(plan, estimates, known)
    ratios = yield from _list_ratio_rows(plan, estimates, known, reaches, checkpoints)
    intervals = [
        _interval_row(names, estimates[names], known.replicates[pair.key], pair, how.of_alignments)
        for names, pair in plan.pairs.items()
    ]
    ceilings = [
        {**known.ceilings[sample.name], "target": target} for target, sample in plan.targets.items()
    ]
    rows = {
        "intervals": intervals,
        "ratios": ratios,
        "reaches": reaches.rows(),
        "ceilings": ceilings,
    }
    for kind, some in rows.items():
        tables[kind] = pl.DataFrame(some, schema=_SCHEMAS[kind], orient="row")
    for kind in ("intervals", "ratios"):
        tables[kind] = tables[kind].with_columns(seed=pl.lit(how.seed, pl.Int64))
    mixed = [pair._replace(is_mixed=True) for pair in plan.pairs.values()]
    used = (pair.key for pair in [*plan.pairs.values(), *mixed])
    tables["replicates"] = tabulate_replicates(known, used)


def _list_ratio_rows(
    plan: _Plan,
    estimates: dict[tuple[str, str], float],
    known: Known,
    reaches: "_Reaches",
    checkpoints: Sequence[int],
) -> Generator[Wanted, None, list[_Row]]:
    """Return the row of each ratio, with more replicates for doubtful verdicts.

    Yields:
        The results to make before the next step.
    """
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
        yield Wanted(dict.fromkeys(needed, n_replicates))
        still_doubtful = []
        for names, both in sides.items():
            train, predictions, target = names
            estimate = estimates[train, target] - estimates[predictions, target]
            of_train, of_predictions = (
                None if pair is None else known.replicates[pair.key] for pair in both
            )
            row, is_open = _ratio_row(estimate, of_train, of_predictions, n_replicates)
            pair, gain = mixed[names], reaches.log_gains(train, target)
            of_reach = of_train if pair is None else known.replicates[pair.key]
            reach_row, _ = _ratio_row(
                estimate + gain.chosen,
                of_reach,
                of_predictions,
                n_replicates,
                gain.judged - gain.chosen,
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
    names: tuple[str, str], estimate: float, replicates: Replicates, pair: Pair, n: int
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
    of_train: Replicates | None,
    of_predictions: Replicates | None,
    n: int,
    shift: float = 0.0,
) -> tuple[_Row, bool]:
    """Return a ratio's row, and whether more replicates could change its verdict.

    Args:
        estimate: The logarithm of the ratio.
        of_train: The replicates of the training set; None if its content is that of the target,
            with which it is then aligned at 1 in every replicate.
        of_predictions: Those of the predictions; None in the same case.
        n: The number of replicates to use.
        shift: The number to add to the ends of the interval.
    """
    train_logs, predictions_logs = (
        np.zeros(n) if one is None else log_alignment(one.kl_nats[:n])
        for one in (of_train, of_predictions)
    )
    nothing = Drawn(Unit.QUERY, 0, 0.0)
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
    """The reach of each training set with each target."""

    def __init__(self, plan: _Plan, estimates: dict[tuple[str, str], float], known: Known) -> None:
        """Look up the mixtures of all training sets.

        Args:
            plan: The comparisons of the run.
            estimates: The logarithm of the alignment of each corpus with each target.
            known: The mixtures, among other things.
        """
        self._estimates = estimates
        self._known = known
        self._pairs = plan.pairs_of_trains
        self._found = {names: known.reaches[pair.key] for names, pair in self._pairs.items()}

    def find_mixed(self, train: str, target: str) -> Pair | None:
        """Return the pair of the best mixture; None if it is the training set itself."""
        pair = self._pairs.get((train, target))
        return None if pair is None else self._known.find_mixed(pair)

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
            {"train": train, "target": target, **self._known.reach_row(pair)}
            for (train, target), pair in self._pairs.items()
        ]


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    if interval.low is None or interval.high is None:
        return None, None
    return round(math.exp(interval.low), 12), round(math.exp(interval.high), 12)


_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    **SCHEMAS,
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
}
