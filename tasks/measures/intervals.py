"""How sure alignments and ratios are: intervals, verdicts, ceilings (specification, section 5).

What a replicate makes of a pair is kept by the content of its corpora: only pairs with new content
are resampled. A ratio's replicates follow from those of its two alignments, because a target has
the same weights in both.
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
    SEED,
    Counts,
    poisson_weights,
    replicates_at_a_time,
    skew_divergences,
)
from nl2sql_align.tasks.measures.ceilings import N_SPLITS, ceiling_row
from nl2sql_align.tasks.measures.divergence import SKEW, log_alignment
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.units import (
    MOST_UNITS,
    Sample,
    SampleKey,
    load_sample,
    own_sample,
    sample_with,
    shared_by,
    vocabulary_of,
)
from nl2sql_align.tasks.measures.verdicts import Interval, is_doubtful, student_interval, verdict_of
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.warehouse.count_files import count_distinct_ngrams
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically

INTERVALS_VERSION: Final = 3
"""Goes up with every change that can alter an interval, a verdict or a ceiling."""

FIRST_LOOK: Final = 200
MOST_REPLICATES: Final = 2_000
# How many replicates, at each look at the ratios whose verdict they leave open.
_LOOKS: Final = (FIRST_LOOK, 600, MOST_REPLICATES)


# The rest is for the numbers above.
_DATABASE_SHARE: Final = 3 / 8
# In queries.
_SMALL_CORPUS: Final = 50_000


@dataclass(frozen=True)
class Resampling:
    """How a run resamples.

    Attributes:
        replicates: How many; by default 200, and up to 2,000 where a verdict depends on it.
        unit: What is drawn again as a whole. ``database``, where databases are known and there are
            several, else queries; or ``query``, always queries, as if those of one database
            were independent.
        seed: Another seed gives other replicates.
    """

    replicates: int | None = None
    unit: Unit = Unit.DATABASE
    seed: int = SEED

    def looks(self) -> tuple[int, ...]:
        """After how many replicates to see which ratios need more."""
        return _LOOKS if self.replicates is None else (self.replicates,)


DEFAULT_RESAMPLING: Final = Resampling()


@dataclass(frozen=True)
class IntervalsReport:
    """Where intervals and ceilings stand, and for how many pairs they were made anew."""

    intervals: Path
    ratios: Path
    ceilings: Path
    n_pairs: int
    n_new: int


class _Pair(NamedTuple):
    """A source and a target, as they are resampled."""

    source: SampleKey
    target: SampleKey

    @property
    def key(self) -> tuple[str, str]:
        return self.source.name, self.target.name


class _Drawn(NamedTuple):
    """What is drawn again of a sample, and how many of it there are."""

    unit: Unit
    n_units: int


@dataclass
class _Resampled:
    """A pair's divergence in each replicate, and what was drawn of both sides."""

    source: _Drawn
    target: _Drawn
    kl_nats: Floats


_Known = dict[tuple[str, str], _Resampled]


def compute_intervals(
    corpora: Sequence[CountedCorpus],
    pairs: Path,
    folder: Path,
    how: Resampling = DEFAULT_RESAMPLING,
) -> IntervalsReport:
    """Resamples all pairs with a target, and writes intervals, verdicts and ceilings.

    Args:
        corpora: The corpora that have n-grams.
        pairs: The measures of all pairs, from ``tasks.measures.matrix``.
        folder: Where the files of earlier runs stand, and the new ones go; files that are no longer
            needed are removed.
        how: How to resample.

    Returns:
        The files: a row for every corpus with every target of other content, for every training set
        with all predictions, and for every target.
    """
    rules = stage_key(
        version=INTERVALS_VERSION, skew=SKEW, seed=how.seed, most=MOST_UNITS, splits=N_SPLITS
    )[:12]
    name = stage_key(
        corpora=[
            [
                *(corpus.entry.name, corpus.entry.role, corpus.entry.target),
                *(corpus.content_key, corpus.queries.stem, corpus.templates.stem),
            ]
            for corpus in corpora
        ],
        pairs=pairs.name,
        looks=how.looks(),
        unit=how.unit,
    )
    files = {kind: folder / f"{kind}-{rules}-{name}.parquet" for kind in _SCHEMAS}
    sets = _Sets(corpora, how)
    n_new = 0
    if not all(file.exists() for file in files.values()):
        tables, n_new = _resample(sets, _divergences(pairs), folder, rules, how)
        for kind, file in files.items():
            if not file.exists():  # of a run that was killed here, the first ones may be there
                with write_atomically(file) as temporary:
                    tables[kind].write_parquet(temporary)
    for old in folder.glob("*.parquet"):
        if old not in files.values():
            old.unlink()
    return IntervalsReport(
        files["intervals"], files["ratios"], files["ceilings"], len(sets.pairs), n_new
    )


class _Sets:
    """What is compared with what, by the corpora's names."""

    def __init__(self, corpora: Sequence[CountedCorpus], how: Resampling) -> None:
        self.corpora = {corpus.entry.name: corpus for corpus in corpora}
        self.targets = [corpus for corpus in corpora if corpus.entry.role == "target"]
        self.own = {corpus.entry.name: own_sample(corpus, how.unit) for corpus in corpora}
        self.pairs: dict[tuple[str, str], _Pair] = {}
        for target in self.targets:
            of_target = self.own[target.entry.name]
            for source in corpora:
                of_source = self.own[source.entry.name]
                if source.entry.target == target.entry.name:
                    of_source = sample_with(source, target, how.unit)
                elif of_source.name == of_target.name:
                    continue  # the same content: equal in every replicate
                key = (source.entry.name, target.entry.name)
                self.pairs[key] = _Pair(of_source, of_target)
        trains = [corpus.entry.name for corpus in corpora if corpus.entry.role == "train"]
        self.ratios = [
            (train, corpus.entry.name, corpus.entry.target)
            for corpus in corpora
            for train in trains
            if corpus.entry.role == "predictions"
            and corpus.entry.target in {one.entry.name for one in self.targets}
        ]


def _resample(
    sets: _Sets,
    divergences: dict[tuple[str, str], float],
    folder: Path,
    rules: str,
    how: Resampling,
) -> tuple[dict[str, pl.DataFrame], int]:
    """The rows of all tables, and for how many pairs of samples replicates were made."""
    known, old_ceilings = _read_known(folder, rules)
    whole = {
        sample.ngrams
        for sample in (sets.own[target.entry.name] for target in sets.targets)
        if sample.name not in old_ceilings
    }
    with connect(memory_share=_DATABASE_SHARE) as con:
        replicates = _Replicates(whole, known, how, con)
        return _tables(sets, divergences, known, old_ceilings, replicates)


def _tables(
    sets: _Sets,
    divergences: dict[tuple[str, str], float],
    known: _Known,
    old_ceilings: dict[str, dict[str, Any]],
    replicates: "_Replicates",
) -> tuple[dict[str, pl.DataFrame], int]:
    how = replicates.how
    first, *later = how.looks() if sets.pairs else (0,)
    replicates.extend(sets.pairs.values(), first)

    def estimate(source: str, target: str) -> float:
        keys = (sets.corpora[source].content_key, sets.corpora[target].content_key)
        return log_alignment(divergences[keys])

    intervals = [
        _interval_row(source, target, estimate(source, target), known[pair.key], pair, first, how)
        for (source, target), pair in sets.pairs.items()
    ]
    ratios: dict[tuple[str, str, str], dict[str, Any]] = {}
    left = list(sets.ratios)
    for n in (first, *later):
        replicates.extend(
            [sets.pairs[one, s] for t, p, s in left for one in (t, p) if (one, s) in sets.pairs], n
        )
        doubtful = []
        for names in left:
            train, predictions, target = names
            row, is_open = _ratio_row(
                names,
                estimate(train, target) - estimate(predictions, target),
                [sets.pairs.get((one, target)) for one in (train, predictions)],
                known,
                n,
                how,
            )
            ratios[names] = row
            if is_open:
                doubtful.append(names)
        left = doubtful
    ceilings = [
        old_ceilings.get(sample.name) or ceiling_row(replicates.sample(sample), sample.name)
        for sample in (sets.own[target.entry.name] for target in sets.targets)
    ]
    used = {pair.key for pair in sets.pairs.values()}
    rows: dict[str, list[dict[str, Any]]] = {
        "intervals": intervals,
        "ratios": list(ratios.values()),
        "ceilings": [
            {**row, "target": target.entry.name}
            for row, target in zip(ceilings, sets.targets, strict=True)
        ],
    }
    tables = {
        kind: pl.DataFrame(of_kind, schema=_SCHEMAS[kind], orient="row")
        for kind, of_kind in rows.items()
    }
    tables["replicates"] = _replicates_table({key: known[key] for key in sorted(used)})
    return tables, len(replicates.made)


def _replicates_table(made: _Known) -> pl.DataFrame:
    """What is kept of replicates; by columns, since there are many."""
    each = made.values()
    ends = np.cumsum([0, *(len(one.kl_nats) for one in each)])
    values = np.concatenate([np.zeros(0), *(one.kl_nats for one in each)])
    columns = {
        "source_sample": [source for source, _ in made],
        "target_sample": [target for _, target in made],
        "source_unit": [one.source.unit for one in each],
        "n_source_units": [one.source.n_units for one in each],
        "target_unit": [one.target.unit for one in each],
        "n_target_units": [one.target.n_units for one in each],
        "kl_nats": pl.Series(pa.LargeListArray.from_arrays(ends, values)),
    }
    return pl.DataFrame(columns, schema=_SCHEMAS["replicates"])


class _Replicates:
    """Makes replicates of pairs, as far as they are not known.

    Args:
        whole: The n-gram counts of corpora whose samples are to hold all their n-grams.
        known: What was made of pairs before; what is made comes to stand there too.
        how: How to resample.
        con: Reads the corpora.
    """

    def __init__(
        self, whole: set[Path], known: _Known, how: Resampling, con: duckdb.DuckDBPyConnection
    ) -> None:
        self.how = how
        self.made: set[tuple[str, str]] = set()
        self._con = con
        self._known = known
        self._whole = whole
        self._samples: dict[str, Sample] = {}
        self._covered = whole
        self._vocabulary = vocabulary_of(con, sorted(whole))

    def _cover(self, pairs: Iterable[_Pair]) -> None:
        """Takes into the samples all n-grams that both sides of a pair have.

        No others count but in totals, so that those of all sources do as well as those of all
        targets: where one corpus is new, its own do.
        """
        sides = [(pair.target.ngrams, pair.source.ngrams) for pair in pairs]
        if all(self._covered.intersection(files) for files in sides):
            return
        choices = [self._whole.union(files) for files in zip(*sides, strict=True)]
        self._covered = min(choices, key=_n_counts)
        self._vocabulary = vocabulary_of(self._con, sorted(self._covered))
        self._samples.clear()

    def sample(self, key: SampleKey) -> Sample:
        """A corpus as it is resampled, read once."""
        if key.name not in self._samples:
            self._samples[key.name] = load_sample(self._con, key, self._vocabulary, self.how.seed)
        return self._samples[key.name]

    def _read_small(self, keys: Iterable[SampleKey], pool: ThreadPoolExecutor) -> None:
        """Reads small corpora side by side; each large one takes memory enough alone."""
        lacking = {key.name: key for key in keys if key.name not in self._samples}
        small = {
            name: key
            for name, key in lacking.items()
            if pq.read_metadata(key.queries).num_rows <= _SMALL_CORPUS
        }
        vocabulary = self._vocabulary

        def read(key: SampleKey) -> Sample:
            with self._con.cursor() as con:
                return load_sample(con, key, vocabulary, self.how.seed)

        self._samples.update(zip(small, pool.map(read, small.values()), strict=True))

    def extend(self, pairs: Iterable[_Pair], n: int) -> None:
        """Makes replicates of these pairs until each has ``n``."""
        lacking: dict[int, dict[tuple[str, str], _Pair]] = {}
        for pair in pairs:
            one = self._known.get(pair.key)
            n_known = len(one.kl_nats) if one else 0
            if n_known < n:
                lacking.setdefault(n_known, {})[pair.key] = pair
        for start, some in sorted(lacking.items()):
            self._make(some, range(start, n))

    def _make(self, pairs: dict[tuple[str, str], _Pair], replicates: range) -> None:
        sources: dict[str, list[_Pair]] = {}
        for pair in pairs.values():
            sources.setdefault(pair.source.name, []).append(pair)
        targets = {pair.target.name: pair.target for pair in pairs.values()}
        made: dict[tuple[str, str], list[Floats]] = {key: [] for key in pairs}
        self._cover(pairs.values())

        def one(some: list[_Pair], block: range, of_targets: dict[str, Counts]) -> None:
            source = self.sample(some[0].source)
            of_source = _counts(source, block)
            for pair in some:
                shared = shared_by(source, self.sample(pair.target))
                of_target = of_targets[pair.target.name]
                made[pair.key].append(skew_divergences(of_source, of_target, shared))

        # Each sample for itself: no number depends on how many are at work.
        with ThreadPoolExecutor(resources().threads) as pool:
            self._read_small((key for pair in pairs.values() for key in pair), pool)
            # Reads the large ones, one after the other.
            largest = max(self.sample(pair.source).n_classes for pair in pairs.values())
            n_classes = sum(self.sample(target).n_classes for target in targets.values())
            at_a_time = replicates_at_a_time(n_classes + resources().threads * largest)
            starts = range(replicates.start, replicates.stop, at_a_time)
            n_steps = len(starts) * len(sources)
            n_done = 0
            for start in starts:
                block = range(start, min(start + at_a_time, replicates.stop))
                counts = pool.map(_counts, map(self.sample, targets.values()), repeat(block))
                of_targets = dict(zip(targets, counts, strict=True))
                for _ in pool.map(one, sources.values(), repeat(block), repeat(of_targets)):
                    n_done += 1
                    announce("intervals", "", n_done, n_steps)
        for key, pair in pairs.items():
            drawn = [_Drawn(sample.unit, len(sample.keys)) for sample in map(self.sample, pair)]
            before = [self._known[key].kl_nats] if key in self._known else []
            # To 12 digits: processors differ in the last bits of a logarithm.
            values = np.concatenate([*before, *made[key]]).round(12)
            self._known[key] = _Resampled(drawn[0], drawn[1], values)
            self.made.add(key)


def _n_counts(files: Iterable[Path]) -> int:
    return sum(map(count_distinct_ngrams, files))


def _counts(sample: Sample, replicates: range) -> Counts:
    return sample.counts(poisson_weights(sample.keys, replicates).astype(np.float64))


def _interval_row(
    source: str, target: str, estimate: float, one: _Resampled, pair: _Pair, n: int, how: Resampling
) -> dict[str, Any]:
    n_units = min(one.source.n_units, one.target.n_units)
    interval = student_interval(estimate, log_alignment(one.kl_nats[:n]), n_units)
    low, high = _ends(interval)
    return {
        "source": source,
        "target": target,
        # An alignment is never outside of these.
        "ci_low": None if low is None else max(low, math.exp(-1)),
        "ci_high": None if high is None else min(high, 1.0),
        "ln_standard_error": interval.standard_error,
        "ln_bias": interval.bias,
        "source_unit": one.source.unit,
        "n_source_units": one.source.n_units,
        "target_unit": one.target.unit,
        "n_target_units": one.target.n_units,
        "is_paired": pair.source.is_paired,
        "n_replicates": n,
        "seed": how.seed,
    }


def _ratio_row(
    names: tuple[str, str, str],
    estimate: float,
    pairs: list[_Pair | None],
    known: _Known,
    n: int,
    how: Resampling,
) -> tuple[dict[str, Any], bool]:
    """A ratio's row, and whether more replicates could change its verdict."""
    of_train, of_predictions = (known[pair.key] if pair else None for pair in pairs)
    # A corpus of the target's own content is aligned with it at 1 in every replicate.
    logs = [
        np.zeros(n) if one is None else log_alignment(one.kl_nats[:n])
        for one in (of_train, of_predictions)
    ]
    target = next((one.target for one in (of_train, of_predictions) if one), _Drawn(Unit.QUERY, 0))
    train = of_train.source if of_train else target
    predictions = of_predictions.source if of_predictions else target
    n_units = min(train.n_units, predictions.n_units, target.n_units)
    interval = student_interval(estimate, logs[0] - logs[1], n_units)
    low, high = _ends(interval)
    row = {
        "train": names[0],
        "predictions": names[1],
        "target": names[2],
        "ci_low": low,
        "ci_high": high,
        "verdict": verdict_of(interval),
        "ln_standard_error": interval.standard_error,
        "ln_bias": interval.bias,
        "train_unit": train.unit,
        "n_train_units": train.n_units,
        "target_unit": target.unit,
        "n_target_units": target.n_units,
        "predictions_unit": predictions.unit,
        "n_predictions_units": predictions.n_units,
        "is_paired": bool(pairs[1] and pairs[1].source.is_paired),
        "n_replicates": n,
        "seed": how.seed,
    }
    return row, is_doubtful(interval, n, n_units)


def _ends(interval: Interval) -> tuple[float | None, float | None]:
    if interval.low is None or interval.high is None:
        return None, None
    return round(math.exp(interval.low), 12), round(math.exp(interval.high), 12)


def _divergences(pairs: Path) -> dict[tuple[str, str], float]:
    columns = ["source_key", "target_key", "kl_nats"]
    rows = pl.read_parquet(pairs, columns=columns, glob=False).iter_rows()
    return {(source, target): kl_nats for source, target, kl_nats in rows}


def _read_known(folder: Path, rules: str) -> tuple[_Known, dict[str, dict[str, Any]]]:
    """What earlier runs made by the same rules."""
    known: _Known = {}
    ceilings: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.glob(f"replicates-{rules}-*.parquet")):
        table = pl.read_parquet(file, glob=False)
        values = table["kl_nats"].explode(empty_as_null=False).to_numpy()
        table = table.with_columns(n=pl.col("kl_nats").list.len()).drop("kl_nats")
        end = 0
        for row in table.iter_rows(named=True):
            start, end = end, end + row["n"]
            known[row["source_sample"], row["target_sample"]] = _Resampled(
                _Drawn(Unit(row["source_unit"]), row["n_source_units"]),
                _Drawn(Unit(row["target_unit"]), row["n_target_units"]),
                values[start:end],
            )
    for file in sorted(folder.glob(f"ceilings-{rules}-*.parquet")):
        for row in pl.read_parquet(file, glob=False).iter_rows(named=True):
            ceilings[row["target_sample"]] = row
    return known, ceilings


_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "replicates": {
        "source_sample": pl.String,
        "target_sample": pl.String,
        "source_unit": pl.String,
        "n_source_units": pl.Int64,
        "target_unit": pl.String,
        "n_target_units": pl.Int64,
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
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "verdict": pl.String,
        "ln_standard_error": pl.Float64,
        "ln_bias": pl.Float64,
        "train_unit": pl.String,
        "n_train_units": pl.Int64,
        "target_unit": pl.String,
        "n_target_units": pl.Int64,
        "predictions_unit": pl.String,
        "n_predictions_units": pl.Int64,
        "is_paired": pl.Boolean,
        "n_replicates": pl.Int64,
        "seed": pl.Int64,
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
