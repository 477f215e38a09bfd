"""The measures of each slice of a target: of the questions of one difficulty, database or customer.

A slice is compared like a target of its own. Its numbers have no intervals: ``doubts`` marks slices
with few queries.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import polars as pl

from nl2sql_align.tasks.base.connections import connect, resources
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.bootstrap import Counts, Shared, skew_divergences
from nl2sql_align.tasks.measures.divergence import SKEW, alignment
from nl2sql_align.tasks.measures.options import SEED, Unit
from nl2sql_align.tasks.measures.parts import PARTS_VERSION
from nl2sql_align.tasks.measures.reach import GAP_NATS, find_reach
from nl2sql_align.tasks.measures.units import (
    REACH_SPLITS,
    Sample,
    SampleKey,
    choose_unit,
    find_shared,
    load_sample,
    load_vocabulary,
    own_sample_key,
    paired_sample_key,
)
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import fetch_missing
from nl2sql_align.tasks.warehouse.part_files import remove_unused

SLICE_MEASURES_VERSION: Final = 1
"""Raise it with every change that can alter a measure of a slice."""

MOST_SLICES: Final = 200
"""If a target has more slices, the smallest ones are joined."""

NO_VALUE: Final = "(no value)"
"""The slice of the questions without a value."""

OTHERS: Final = "(others)"
"""The slice that joins the smallest slices."""

_SCHEMA: Final[dict[str, Any]] = {
    "train": pl.String,
    "target": pl.String,
    "slice": pl.String,
    "predictions": pl.String,
    "n_queries": pl.Int64,
    "n_templated": pl.Int64,
    "train_alignment": pl.Float64,
    "reach": pl.Float64,
    "predictions_alignment": pl.Float64,
    "predictions_parsed_share": pl.Float64,
    "alignment_ratio": pl.Float64,
    "reach_ratio": pl.Float64,
    "are_questions_known": pl.Boolean,
    "train_key": pl.String,
    "slice_key": pl.String,
}

# The alignment and the reach of a training set, for each slice.
_Measured = tuple[float | None, float | None]
_Measures = dict[str, _Measured]


@dataclass(frozen=True)
class _Slice:
    """A slice of a target, or the answers to one.

    Attributes:
        n_queries: The number of its queries, as often as they occur.
        n_templated: The number of those with a template.
        counts: The counts of its n-grams.
        sample: Its queries.
    """

    n_queries: int
    n_templated: int
    counts: Counts
    sample: Sample


@dataclass(frozen=True)
class _Answers:
    """The answers to the questions of a slice.

    Attributes:
        alignment: Their alignment with the slice; None if either has no n-gram.
        parsed_share: The share of them that has a template.
    """

    alignment: float | None
    parsed_share: float


@dataclass(frozen=True)
class _Sliced:
    """A target, or the part of one that some predictions answer, with its slices.

    Attributes:
        corpus: The target or the part.
        target: The name of the target.
        slices: The stage file of the slice of each question.
        predictions: The predictions to compare with it.
    """

    corpus: CountedCorpus
    target: str
    slices: Path
    predictions: tuple[CountedCorpus, ...]

    @cached_property
    def key(self) -> str:
        """A digest of everything that its slices depend on."""
        own = own_sample_key(self.corpus, Unit.QUERY)
        return stage_key(sample=own.name, slices=self.slices.stem)


def measure_slices(
    corpora: Sequence[CountedCorpus], folder: Path, scratch: Path, most_slices: int = MOST_SLICES
) -> Path | None:
    """Measure all training sets, and all predictions, on each slice of their targets.

    Args:
        corpora: The corpora that have n-grams.
        folder: The folder of this stage's files. Those of earlier runs are reused, then removed.
        scratch: A folder for temporary files.
        most_slices: The largest number of slices of a target, before the smallest are joined.

    Returns:
        A file with a row for each training set, slice, and predictions on the target; with null
        ``predictions`` if the target has none. None if no target has slices.
    """
    rules = stage_key(
        version=SLICE_MEASURES_VERSION,
        skew=SKEW,
        reach=[PARTS_VERSION, REACH_SPLITS, GAP_NATS],
        most=most_slices,
    )[:12]
    sliced = list(_list_sliced(corpora))
    trains = [one for one in corpora if one.entry.role == "train"]
    if not sliced or not trains:
        remove_unused(folder, frozenset())
        return None
    name = stage_key(
        trains=[[one.entry.name, own_sample_key(one, Unit.QUERY).name] for one in trains],
        sliced=[
            [one.target, one.key, [[p.entry.name, _answers_key(p, one)] for p in one.predictions]]
            for one in sliced
        ],
    )
    file = folder / f"measures-{rules}-{name}.parquet"
    if not file.exists():
        known = _read_known(folder, rules)
        rows: list[dict[str, Any]] = []
        for one in sliced:
            rows += _measure_sliced(one, trains, known, scratch, most_slices)
        with write_atomically(file) as temporary:
            pl.DataFrame(rows, schema=_SCHEMA, orient="row").write_parquet(temporary)
    remove_unused(folder, {file})
    return file


def _list_sliced(corpora: Sequence[CountedCorpus]) -> Iterator[_Sliced]:
    """Yield the targets with slices, and the parts of them that some predictions answer."""
    for target in corpora:
        if target.slices is None:
            continue
        name = target.entry.name
        answers = [one for one in corpora if one.entry.target == name]
        whole = tuple(one for one in answers if one.answered is None)
        if whole or not answers:
            yield _Sliced(target, name, target.slices, whole)
        for one in answers:
            if one.answered is not None:
                yield _Sliced(one.answered, name, target.slices, (one,))


def _answers_key(predictions: CountedCorpus, sliced: _Sliced) -> str:
    return paired_sample_key(predictions, sliced.corpus, Unit.QUERY).name


def _read_known(folder: Path, rules: str) -> dict[tuple[str, str], _Measures]:
    """Return the measures of training sets that earlier runs made by the same rules."""
    known: dict[tuple[str, str], _Measures] = {}
    files = sorted(folder.glob(f"measures-{rules}-*.parquet"))
    fetch_missing(files)
    for file in files:
        for row in pl.read_parquet(file, glob=False).iter_rows(named=True):
            of_pair = known.setdefault((row["train_key"], row["slice_key"]), {})
            of_pair[row["slice"]] = row["train_alignment"], row["reach"]
    return known


def _measure_sliced(
    sliced: _Sliced,
    trains: Sequence[CountedCorpus],
    known: dict[tuple[str, str], _Measures],
    scratch: Path,
    most_slices: int,
) -> list[dict[str, Any]]:
    """Return the rows of a target, or of the part of one that some predictions answer."""
    with connect() as con:
        vocabulary = load_vocabulary(con, [sliced.corpus.ngrams])
        own = own_sample_key(sliced.corpus, Unit.QUERY)
        target, slices = _divide(con, own, sliced.slices, vocabulary, scratch, most_slices)
        of_trains: dict[str, tuple[str, _Measures]] = {}
        for train in trains:
            key = own_sample_key(train, Unit.QUERY)
            measures = known.get((key.name, sliced.key), {})
            if measures.keys() != slices.keys():
                sample = load_sample(con, key, vocabulary, SEED)
                measures = _measure_train(sample, target, slices)
            of_trains[train.entry.name] = key.name, measures
        of_answers: dict[str | None, dict[str, _Answers]] = {}
        for one in sliced.predictions:
            answers: dict[str, _Answers] = {}
            if one.answers_questions_of(sliced.corpus):
                key = paired_sample_key(one, sliced.corpus, Unit.QUERY)
                sample, answered = _divide(
                    con, key, sliced.slices, vocabulary, scratch, most_slices
                )
                answers = _measure_answers(sample, answered, target, slices)
            of_answers[one.entry.name] = answers
    return [
        _describe(sliced, slices[name], name, train, predictions, measures[name], answers.get(name))
        | {"train_key": key}
        for predictions, answers in (of_answers or {None: {}}).items()
        for name in slices
        for train, (key, measures) in of_trains.items()
    ]


def _describe(
    sliced: _Sliced,
    slice: _Slice,
    name: str,
    train: str,
    predictions: str | None,
    measures: _Measured,
    answers: _Answers | None,
) -> dict[str, Any]:
    """Return a row of the table."""
    of_answers = answers.alignment if answers else None
    ratios = [one / of_answers if one and of_answers else None for one in measures]
    return {
        "train": train,
        "target": sliced.target,
        "slice": name,
        "predictions": predictions,
        "n_queries": slice.n_queries,
        "n_templated": slice.n_templated,
        "train_alignment": measures[0],
        "reach": measures[1],
        "predictions_alignment": of_answers,
        "predictions_parsed_share": answers.parsed_share if answers else None,
        "alignment_ratio": ratios[0],
        "reach_ratio": ratios[1],
        "are_questions_known": None if predictions is None else answers is not None,
        "slice_key": sliced.key,
    }


def _divide(
    con: duckdb.DuckDBPyConnection,
    key: SampleKey,
    slices: Path,
    vocabulary: pl.DataFrame,
    scratch: Path,
    most_slices: int,
) -> tuple[Sample, dict[str, _Slice]]:
    """Return a target, or answers to it, and its slices by name, the largest first."""
    fetch_missing([key.queries, slices])
    scratch.mkdir(parents=True, exist_ok=True)
    queries = scratch / f"sliced-{key.name}.parquet"
    query_sql(
        con,
        "measures/slices/sliced_queries",
        queries=str(key.queries),
        slices=str(slices),
        most_slices=most_slices,
        no_value=NO_VALUE,
        others=OTHERS,
    ).write_parquet(str(queries))
    try:
        sliced = replace(key, queries=queries)
        sample = load_sample(con, sliced, vocabulary, SEED, keeps_units=True)
        sizes = query_sql(con, "measures/slices/sizes", queries=str(queries)).fetchall()
        rows = query_sql(con, "measures/resampling/unit_counts").pl()
    finally:
        queries.unlink()
    found = {}
    for name, n_queries in sizes:
        part = _take_rows(sample, rows.filter(pl.col("part") == name))
        found[name] = _Slice(n_queries, part.n_queries, part.whole, part)
    return sample, found


def _take_rows(sample: Sample, rows: pl.DataFrame) -> Sample:
    """Return the sample of some of its rows, with the units of these rows."""
    from scipy.sparse import coo_array

    n_queries = rows["n_queries"]
    known = rows.filter(pl.col("db_id").is_not_null())
    unit = choose_unit(
        int(n_queries.sum()), int(known["n_queries"].sum()), known["db_id"].n_unique()
    )
    names = pl.Series(sample.unit_names, dtype=pl.String)[rows["unit_number"].cast(pl.Int64)]
    if unit == Unit.DATABASE:
        names = pl.select(pl.coalesce("database " + rows["db_id"], names)).to_series()
    units = names.unique().sort()
    places = (units.search_sorted(names).to_numpy(), rows["template_number"].to_numpy())
    of_units = coo_array(
        (n_queries.to_numpy().astype(np.float64), places),
        shape=(len(units), sample.of_units.shape[1]),
    ).tocsr()
    keys = np.zeros(len(units), np.uint64)  # nothing is drawn
    return replace(
        sample, unit=unit, keys=keys, of_units=of_units, unit_names=units.to_list(), rows=None
    )


def _measure_train(train: Sample, target: Sample, slices: dict[str, _Slice]) -> _Measures:
    """Return the alignment and the reach of a training set for each slice."""
    shared = find_shared(train, target)

    def measure(slice: _Slice) -> _Measured:
        plain = _align(train.whole, slice.counts, shared)
        if plain is None:
            return None, None
        return plain, alignment(find_reach(train, slice.sample, shared).nats)

    with ThreadPoolExecutor(resources().threads) as pool:
        return dict(zip(slices, pool.map(measure, slices.values()), strict=True))


def _measure_answers(
    answers: Sample, of_answers: dict[str, _Slice], target: Sample, slices: dict[str, _Slice]
) -> dict[str, _Answers]:
    """Return for each slice the answers to its questions."""
    shared = find_shared(answers, target)
    return {
        name: _Answers(
            _align(answered.counts, slices[name].counts, shared),
            answered.n_templated / answered.n_queries,
        )
        for name, answered in of_answers.items()
        if name in slices
    }


def _align(source: Counts, target: Counts, shared: Shared) -> float | None:
    """Return an alignment; None if either side has no n-gram."""
    nats = float(skew_divergences(source, target, shared)[0])
    # To 12 digits, because processors differ in the last bits of a logarithm.
    return None if math.isnan(nats) else alignment(round(nats, 12))
