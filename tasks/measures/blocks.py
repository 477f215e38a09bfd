"""Blocks of pairs of samples, each resampled by one step, on any worker.

A block stores its results like an earlier run. So the run reads them, and a block that runs twice
changes nothing. How pairs are divided into blocks changes no bit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

import polars as pl

from nl2sql_align.tasks.base.child_process import call_in_share
from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.measures.options import FEWEST_REPLICATES
from nl2sql_align.tasks.measures.replicates import (
    DATABASE_SHARE,
    SCHEMAS,
    Bootstrap,
    Pair,
    Wanted,
    read_known,
    tabulate_replicates,
)
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically
from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams

# Seconds to weigh or to resample a pair, for each n-gram that both may have.
_SECONDS_PER_NGRAM: Final = 5e-7


@dataclass(frozen=True)
class Storage:
    """The place of results, and the rules that they follow.

    Attributes:
        folder: The folder of their files.
        rules: The part of the files' names that identifies the rules.
        seed: The seed of the replicates, which the rules include.
    """

    folder: Path
    rules: str
    seed: int

    def file(self, kind: str, key: str) -> Path:
        """Return the file of a table."""
        return self.folder / f"{kind}-{self.rules}-{key}.parquet"


@dataclass(frozen=True)
class Block:
    """The pairs that one step resamples, and the place of its results."""

    wanted: Wanted
    storage: Storage

    @property
    def n_pairs(self) -> int:
        """The number of pairs."""
        return len(self.wanted.pairs)


@dataclass(frozen=True)
class BlockLimits:
    """The size of blocks. It changes no bit of the results.

    Attributes:
        seconds: How long a block takes, roughly. It starts a process and reads its corpora, which
            takes some seconds.
        n_targets: The most targets in a block. Each block reads all of its targets.
    """

    seconds: float = 40.0
    n_targets: int = 40


DEFAULT_BLOCK_LIMITS: Final = BlockLimits()


def divide(wanted: Wanted, limits: BlockLimits) -> list[Wanted]:
    """Divide pairs by their sources and targets; return an empty list if they are too few."""
    work = _estimate_seconds(wanted)
    n_blocks = int(sum(work.values()) / limits.seconds)
    if n_blocks < 2:
        return []
    targets = list(dict.fromkeys(target for _, target in work))
    n_ranges = -(-len(targets) // limits.n_targets)
    range_of = {target: i * n_ranges // len(targets) for i, target in enumerate(targets)}
    by_source: dict[str, float] = {}
    for (source, _), seconds in work.items():
        by_source[source] = by_source.get(source, 0.0) + seconds
    total, n_groups = sum(by_source.values()), -(-n_blocks // n_ranges)
    starts = accumulate(by_source.values(), initial=0.0)
    group_of = {
        source: int(start / total * n_groups)
        for source, start in zip(by_source, starts, strict=False)
    }

    parts: dict[tuple[int, int], Wanted] = {}
    of_range: dict[int, Wanted] = {}

    def find_part(pair: Pair) -> Wanted:
        at = group_of[pair.source.name], range_of[pair.target.name]
        part = parts.setdefault(at, Wanted())
        of_range.setdefault(range_of[pair.target.name], part)
        return part

    for pair, n in wanted.pairs.items():
        find_part(pair).pairs[pair] = n
    for pair in wanted.weighed:
        find_part(pair).weighed.append(pair)
    for pair, n in wanted.mixable.items():
        find_part(pair).mixable[pair] = n
    for target in wanted.targets:
        if target.name in range_of:  # a block of these pairs reads the target anyway
            of_range[range_of[target.name]].targets.append(target)
    return list(parts.values())


def _estimate_seconds(wanted: Wanted) -> dict[tuple[str, str], float]:
    """Return how long each pair takes, roughly, by the names of its samples."""
    n_ngrams = {
        sample.ngrams: count_distinct_ngrams(sample.ngrams)
        for sample in {sample for pair in wanted.list_all() for sample in pair.samples}
    }
    seconds: dict[tuple[str, str], float] = {}

    def add(pair: Pair, share: float) -> None:
        key = pair.source.name, pair.target.name
        n_shared = min(n_ngrams[sample.ngrams] for sample in pair.samples)
        seconds[key] = seconds.get(key, 0.0) + share * n_shared * _SECONDS_PER_NGRAM

    for pair, n in [*wanted.pairs.items(), *wanted.mixable.items()]:
        add(pair, n / FEWEST_REPLICATES)
    for pair in wanted.weighed:
        add(pair, 1.0)
    return seconds


def make_block(block: Block) -> None:
    """Resample the pairs of a block, and store the results."""
    call_in_share(_resample, block)


def _resample(block: Block) -> None:
    wanted, storage = block.wanted, block.storage
    keys = wanted.list_keys()
    known = read_known(storage.folder, storage.rules, keys)
    with connect(memory_share=DATABASE_SHARE) as con:
        bootstrap = Bootstrap(con, known, storage.seed)
        bootstrap.make(wanted)
    counts = [wanted.pairs, wanted.mixable]
    key = stage_key(
        pairs=sorted(keys), n=[sorted([*pair.key, n] for pair, n in one.items()) for one in counts]
    )
    tables = {
        "replicates": tabulate_replicates(known, known.replicates),
        "reaches": _tabulate("reaches", (known.reach_row(pair) for pair in wanted.weighed)),
        "ceilings": _tabulate("ceilings", (known.ceilings[one.name] for one in wanted.targets)),
    }
    for kind, table in tables.items():
        with write_atomically(storage.file(kind, key)) as temporary:
            table.write_parquet(temporary)


def _tabulate(kind: str, rows: Iterable[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMAS[kind], orient="row")
