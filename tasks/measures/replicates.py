"""The replicates of pairs, and the reach of training sets: how they are made, stored, and read.

They are stored by the content of the corpora, so that only pairs with new content are resampled.
"""

from collections.abc import Iterable, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.base.connections import resources
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.measures.bootstrap import (
    Counts,
    Shared,
    poisson_weights,
    replicates_per_batch,
    skew_divergences,
)
from nl2sql_align.tasks.measures.ceilings import ceiling_row
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.parts import PartsBy
from nl2sql_align.tasks.measures.reach import Reach, find_reach, mixture_counts, weigh_units
from nl2sql_align.tasks.measures.units import (
    Sample,
    SampleKey,
    count_effective,
    fetch_samples,
    find_shared,
    load_sample,
    load_vocabulary,
)
from nl2sql_align.tasks.warehouse.object_store import fetch_missing
from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams

# Corpora of at most this many queries are read concurrently.
_SMALL_CORPUS: Final = 50_000
DATABASE_SHARE: Final = 3 / 8
"""DuckDB's share of the memory. The rest is for arrays."""

# Follows the name of a sample, a digest, if its parts are mixed.
_MIXED: Final = "~mixed"


class Pair(NamedTuple):
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


class Drawn(NamedTuple):
    """The unit that is drawn of a sample, and the number of units, also by weight."""

    unit: Unit
    n_units: int
    n_effective: float


@dataclass
class Replicates:
    """The divergence of a pair in each replicate, and the units drawn of both sides."""

    source: Drawn
    target: Drawn
    kl_nats: Floats


@dataclass(frozen=True)
class Known:
    """Results for pairs of samples, by their keys, and for targets, by the names of their samples.

    Attributes:
        replicates: The replicates of each pair.
        reaches: The best mixtures of the parts of training sets. Those of earlier runs lack their
            weights.
        ceilings: The row of each target.
    """

    replicates: dict[tuple[str, str], Replicates] = field(default_factory=dict)
    reaches: dict[tuple[str, str], Reach] = field(default_factory=dict)
    ceilings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def count_replicates(self, pair: Pair) -> int:
        """Return how many replicates of a pair are known."""
        found = self.replicates.get(pair.key)
        return len(found.kl_nats) if found else 0

    def find_mixed(self, pair: Pair) -> Pair | None:
        """Return the pair of the best mixture; None if it is the training set itself."""
        found = self.reaches.get(pair.key)
        return pair._replace(is_mixed=True) if found and found.is_mixed else None

    def reach_row(self, pair: Pair) -> dict[str, Any]:
        """Return the row of a training set and a target, without the names of the corpora."""
        found = self.reaches[pair.key]
        return {
            "train_sample": pair.source.name,
            "target_sample": pair.target.name,
            "reach": round(alignment(found.nats), 12),
            "is_mixed": found.is_mixed,
            "nats": found.nats,
            "chosen_nats": found.chosen_nats,
            "parted_by": found.parted_by,
            "n_parts": found.n_parts,
        }

    def update(self, other: "Known") -> None:
        """Add the results of another one."""
        self.replicates.update(other.replicates)
        self.reaches.update(other.reaches)
        self.ceilings.update(other.ceilings)


@dataclass
class Wanted:
    """Results to make for pairs of samples, and for targets.

    Attributes:
        pairs: The pairs to resample, with how many replicates each needs.
        weighed: Pairs of a training set and a target whose reach is wanted.
        mixable: Those of ``weighed`` whose best mixture is resampled too, with how many replicates
            it needs.
        targets: The targets whose ceilings are wanted.
    """

    pairs: dict[Pair, int] = field(default_factory=dict)
    weighed: list[Pair] = field(default_factory=list)
    mixable: dict[Pair, int] = field(default_factory=dict)
    targets: list[SampleKey] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether anything is wanted."""
        return bool(self.list_all() or self.targets)

    def list_all(self) -> list[Pair]:
        """Return all pairs."""
        return [*self.pairs, *self.weighed, *self.mixable]

    def list_keys(self) -> set[tuple[str, str]]:
        """Return the keys of all pairs, and of the mixtures that may be resampled."""
        mixed = (pair._replace(is_mixed=True) for pair in self.mixable)
        return {pair.key for pair in [*self.list_all(), *mixed]}

    def without(self, known: Known) -> "Wanted":
        """Return the results that are not known, each pair of samples once."""

        def is_short(pair: Pair | None, n: int) -> bool:
            return pair is not None and known.count_replicates(pair) < n

        def count_once(pairs: Iterable[tuple[Pair, int]]) -> dict[Pair, int]:
            # Of pairs with equal content, the last is the one that needs most.
            ascending = sorted(pairs, key=itemgetter(1))
            return dict({pair.key: (pair, n) for pair, n in ascending}.values())

        return Wanted(
            count_once((pair, n) for pair, n in self.pairs.items() if is_short(pair, n)),
            list({one.key: one for one in self.weighed if one.key not in known.reaches}.values()),
            count_once(
                (pair, n)
                for pair, n in self.mixable.items()
                if pair.key not in known.reaches or is_short(known.find_mixed(pair), n)
            ),
            [one for one in dict.fromkeys(self.targets) if one.name not in known.ceilings],
        )


class Bootstrap:
    """Makes the replicates of pairs that are not known yet.

    Attributes:
        known: The results so far, to which new ones are added.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        known: Known,
        seed: int,
    ) -> None:
        """Start without any sample.

        Args:
            con: A connection that can read the corpora's files.
            known: The results so far.
            seed: The seed of the replicates.
        """
        self.known = known
        self._con = con
        self._seed = seed
        self._samples: dict[str, Sample] = {}
        self._shared: dict[tuple[str, str], Shared] = {}
        # The files whose n-grams the samples contain, and those of targets, which must be complete.
        self._covered: set[Path] = set()
        self._complete: set[Path] = set()
        self._vocabulary = load_vocabulary(con, [])

    def make(self, wanted: Wanted) -> None:
        """Make the wanted results that are not known yet, and add them to ``known``."""
        new = wanted.without(self.known).targets
        self._complete |= {one.ngrams for one in new}
        self._weigh_parts(wanted.weighed)
        found = ((self.known.find_mixed(pair), n) for pair, n in wanted.mixable.items())
        mixed = {pair: n for pair, n in found if pair is not None}
        # In one call, so that the weights of their units are drawn once.
        self._extend(wanted.pairs | mixed)
        if new and not self._complete <= self._covered:
            self._load_vocabulary(self._complete)
        for target in new:
            self.known.ceilings[target.name] = ceiling_row(self._load(target), target.name)

    def _load(self, key: SampleKey) -> Sample:
        """Return a corpus for resampling, reading it once."""
        if key.name not in self._samples:
            self._samples[key.name] = load_sample(self._con, key, self._vocabulary, self._seed)
        return self._samples[key.name]

    def _find_shared(self, pair: Pair) -> Shared:
        """Return the n-grams that both samples of a pair have, finding them once."""
        key = pair.source.name, pair.target.name
        if key not in self._shared:
            self._shared[key] = find_shared(self._load(pair.source), self._load(pair.target))
        return self._shared[key]

    def _weigh_parts(self, pairs: Iterable[Pair], with_weights: bool = False) -> None:
        """Find the best mixtures of the parts of training sets that are not known.

        Args:
            pairs: A training set and a target each.
            with_weights: Whether mixtures of earlier runs, whose weights are not stored, count as
                not known.
        """
        missing: dict[tuple[str, str], Pair] = {}
        for pair in (one._replace(is_mixed=False) for one in pairs):
            found = self.known.reaches.get(pair.key)
            if found is None or (with_weights and found.is_mixed and found.weights is None):
                missing[pair.key] = pair
        fetch_samples(key for pair in missing.values() for key in pair.samples)
        self._cover(missing.values())

        def find(pair: Pair) -> Reach:
            samples = self._load(pair.source), self._load(pair.target)
            return find_reach(*samples, self._find_shared(pair))

        with ThreadPoolExecutor(resources().threads) as pool:
            self._read((key for pair in missing.values() for key in pair.samples), pool)
            found_now = pool.map(find, missing.values())
            self.known.reaches.update(zip(missing, found_now, strict=True))

    def _extend(self, pairs: dict[Pair, int]) -> None:
        """Make replicates of pairs until each has as many as it needs."""
        ranges = {pair: range(self.known.count_replicates(pair), n) for pair, n in pairs.items()}
        ends = sorted({end for some in ranges.values() if some for end in (some.start, some.stop)})
        for replicates in map(range, ends, ends[1:]):
            if some := {pair.key: pair for pair in pairs if replicates.start in ranges[pair]}:
                self._resample(some, replicates)

    def _resample(self, pairs: dict[tuple[str, str], Pair], replicates: range) -> None:
        by_source: dict[str, list[Pair]] = {}
        for pair in pairs.values():
            by_source.setdefault(pair.source.name, []).append(pair)
        targets = {pair.target.name: pair.target for pair in pairs.values()}
        nats: dict[tuple[str, str], list[Floats]] = {key: [] for key in pairs}
        fetch_samples(key for pair in pairs.values() for key in pair.samples)
        self._cover(pairs.values())
        self._weigh_parts((pair for pair in pairs.values() if pair.is_mixed), with_weights=True)

        def resample_source(some: list[Pair], batch: range, of_targets: dict[str, Counts]) -> None:
            source = self._load(some[0].source)
            weights = poisson_weights(source.keys, batch).astype(np.float64)
            of_plain = None
            for pair in some:
                if pair.is_mixed:
                    of_source = self._count_mixture(source, pair, weights)
                else:
                    of_source = of_plain = of_plain or source.counts(weights)
                of_both = of_source, of_targets[pair.target.name]
                nats[pair.key].append(skew_divergences(*of_both, self._find_shared(pair)))

        # Each thread computes whole samples, so that no number depends on the number of threads.
        with ThreadPoolExecutor(resources().threads) as pool:
            self._read((key for pair in pairs.values() for key in pair.samples), pool)
            largest = max(self._load(pair.source).n_classes for pair in pairs.values())
            n_classes = sum(self._load(target).n_classes for target in targets.values())
            per_batch = replicates_per_batch(n_classes + resources().threads * largest)
            starts = range(replicates.start, replicates.stop, per_batch)
            n_steps = len(starts) * len(by_source)
            n_done = 0
            for start in starts:
                batch = range(start, min(start + per_batch, replicates.stop))
                counts = pool.map(
                    _count_replicates, map(self._load, targets.values()), repeat(batch)
                )
                of_targets = dict(zip(targets, counts, strict=True))
                for _ in pool.map(
                    resample_source, by_source.values(), repeat(batch), repeat(of_targets)
                ):
                    n_done += 1
                    announce("intervals", "", n_done, n_steps)
        for key, pair in pairs.items():
            source, target = (
                Drawn(sample.unit, len(sample.keys), round(sample.n_effective, 12))
                for sample in map(self._load, pair.samples)
            )
            if pair.is_mixed:
                source = source._replace(n_effective=self._count_effective(pair))
            known = self.known.replicates.get(key)
            before = [known.kl_nats] if known else []
            # To 12 digits, because processors differ in the last bits of a logarithm.
            values = np.concatenate([*before, *nats[key]]).round(12)
            self.known.replicates[key] = Replicates(source, target, values)

    def _count_effective(self, pair: Pair) -> float:
        """Return the number of units of a mixture by weight."""
        train = self._load(pair.source)
        found = self.known.reaches[pair._replace(is_mixed=False).key]
        assert found.weights is not None
        mixed = weigh_units(train, found.weights)
        return round(count_effective(mixed @ train.classes.totals.astype(np.float64)), 12)

    def _count_mixture(self, train: Sample, pair: Pair, weights: Floats) -> Counts:
        found = self.known.reaches[pair._replace(is_mixed=False).key]
        assert found.weights is not None
        return mixture_counts(train, weigh_units(train, found.weights), weights)

    def _cover(self, pairs: Iterable[Pair]) -> None:
        """Choose a vocabulary that has all n-grams that both sides of a pair have.

        Other n-grams count only in totals. The n-grams of all sources do as well as those of all
        targets, so the fewer are chosen: if one corpus is new, its own.
        """
        sides = [(pair.target.ngrams, pair.source.ngrams) for pair in pairs]
        is_covered = all(self._covered.intersection(files) for files in sides)
        if is_covered and self._complete <= self._covered:
            return
        choices = [self._complete.union(files) for files in zip(*sides, strict=True)]
        if choices:
            size = {file: count_distinct_ngrams(file) for file in set().union(*choices)}
            self._load_vocabulary(min(choices, key=lambda files: sum(size[file] for file in files)))

    def _load_vocabulary(self, covered: set[Path]) -> None:
        self._covered = covered
        self._vocabulary = load_vocabulary(self._con, sorted(covered))
        self._samples.clear()
        self._shared.clear()

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
            self._load(key)


def _count_replicates(sample: Sample, replicates: range) -> Counts:
    return sample.counts(poisson_weights(sample.keys, replicates).astype(np.float64))


def tabulate_replicates(known: Known, keys: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """Return the table of the replicates of some pairs; built by columns, because there are many.

    Args:
        known: The results so far.
        keys: The pairs, in any order. Those without replicates are left out.
    """
    used = sorted({*keys} & known.replicates.keys())
    each = [known.replicates[key] for key in used]
    ends = np.cumsum([0, *(len(one.kl_nats) for one in each)])
    values = np.concatenate([np.zeros(0), *(one.kl_nats for one in each)])
    columns = {
        "source_sample": [source for source, _ in used],
        "target_sample": [target for _, target in used],
        "source_unit": [one.source.unit for one in each],
        "n_source_units": [one.source.n_units for one in each],
        "n_effective_source_units": [one.source.n_effective for one in each],
        "target_unit": [one.target.unit for one in each],
        "n_target_units": [one.target.n_units for one in each],
        "n_effective_target_units": [one.target.n_effective for one in each],
        "kl_nats": pl.Series(pa.LargeListArray.from_arrays(ends, values)),
    }
    return pl.DataFrame(columns, schema=SCHEMAS["replicates"])


def read_known(folder: Path, rules: str, keys: Set[tuple[str, str]] | None = None) -> Known:
    """Return the results of earlier runs, and of blocks of this run, by the same rules.

    Args:
        folder: The folder with their files.
        rules: The part of the files' names that identifies the rules.
        keys: The pairs whose replicates to read; by default all.
    """
    kinds = ("replicates", "ceilings", "reaches")
    fetch_missing(file for kind in kinds for file in folder.glob(f"{kind}-{rules}-*.parquet"))
    known = Known()
    for file in sorted(folder.glob(f"replicates-{rules}-*.parquet")):
        _read_replicates(file, keys, known)
    for file in sorted(folder.glob(f"ceilings-{rules}-*.parquet")):
        for row in pl.read_parquet(file, glob=False).iter_rows(named=True):
            known.ceilings[row["target_sample"]] = row
    for file in sorted(folder.glob(f"reaches-{rules}-*.parquet")):
        for row in pl.read_parquet(file, glob=False).iter_rows(named=True):
            known.reaches[row["train_sample"], row["target_sample"]] = Reach(
                row["nats"],
                row["chosen_nats"],
                PartsBy(row["parted_by"]),
                row["n_parts"],
                row["is_mixed"],
            )
    return known


def _read_replicates(file: Path, keys: Set[tuple[str, str]] | None, known: Known) -> None:
    """Add the replicates of a file. Of two files with a pair, the one with more is right."""
    rows = pl.scan_parquet(file, glob=False)
    if keys is not None:
        columns = ["source_sample", "target_sample"]
        wanted = pl.LazyFrame(list(keys), schema=dict.fromkeys(columns, pl.String), orient="row")
        rows = rows.join(wanted, on=columns, how="semi")
    table = rows.collect()
    values = table["kl_nats"].explode(empty_as_null=False).to_numpy()
    table = table.with_columns(n=pl.col("kl_nats").list.len()).drop("kl_nats")
    end = 0
    for row in table.iter_rows(named=True):
        start, end = end, end + row["n"]
        source, target = (
            Drawn(
                Unit(row[f"{side}_unit"]),
                row[f"n_{side}_units"],
                row[f"n_effective_{side}_units"],
            )
            for side in ("source", "target")
        )
        key = row["source_sample"], row["target_sample"]
        before = known.replicates.get(key)
        if before is None or len(before.kl_nats) < row["n"]:
            known.replicates[key] = Replicates(source, target, values[start:end])


SCHEMAS: Final[dict[str, dict[str, Any]]] = {
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
"""The columns of each table that later runs read."""
