"""Independent halves of real corpora: does the interval of one half contain the value of the other?

Each split draws half of the databases (of the queries, where databases are unknown) of the training
set and half of those of the target, with the answers to them. The remaining halves are a second
draw of the same size. If an interval holds 95% of all values at the sets' sizes, it holds 83% of
the other half's, which has noise of its own; an interval that is longer by the square root of 2,
for the noise of two draws, holds 95%.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from benchmarks.inputs import DUMPS
from benchmarks.population import SEED, make_sample
from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.measures.bootstrap import poisson_weights, skew_divergences
from nl2sql_align.tasks.measures.divergence import log_alignment
from nl2sql_align.tasks.measures.options import FEWEST_REPLICATES
from nl2sql_align.tasks.measures.units import Sample, find_shared
from nl2sql_align.tasks.measures.verdicts import student_interval
from nl2sql_align.tasks.ngrams.count import Incidence, ngram_incidence
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.views.terminal.ratios import FEW_DATABASES
from nl2sql_align.tasks.warehouse.folder import Warehouse

N_SPLITS: Final = 62
_TWO_DRAWS: Final = math.sqrt(2)
_NO_QUERIES: Final = np.zeros(0, np.int64)


class Halved(NamedTuple):
    """A training set, a target and, for a ratio, answers to its questions, by their names."""

    train: str
    target: str
    predictions: str | None = None


DESIGNS: Final = (
    Halved("spider-train", "spider-dev"),
    Halved("spider-train", "spider-test"),
    Halved("spider-train", "bird-dev"),
    Halved("spider-train", "bird-train"),
    Halved("bird-train", "bird-dev"),
    Halved("bird-train", "spider-dev"),
    Halved("sql-create-context-train", "spider-train"),
    Halved("spider-train", "spider-dev", "codellama-7b-base"),
    Halved("bird-train", "spider-dev", "llama2-7b-base"),
    Halved("bird-train", "bird-dev", "chatgpt-plain"),
)

_NAMES: Final = sorted({name for design in DESIGNS for name in design if name is not None})

_QUERIES: Final = """
    with databases as (
        select corpus, question_ordinal, any_value(db_id) as db_id
        from queries
        group by corpus, question_ordinal
    )

    select
        queries.corpus,
        template,
        coalesce(databases.db_id, 'query ' || queries.question_ordinal) as unit
    from queries
    join corpora using (corpus)
    join databases
        on coalesce(corpora.target, corpora.corpus) = databases.corpus
        and queries.question_ordinal = databases.question_ordinal
    left join templates using (template_id)
    where list_contains($corpora, queries.corpus)
    order by queries.corpus, queries.ordinal
"""


class Units(NamedTuple):
    """The units of a corpus, with the number of the template of each query."""

    names: list[str]
    templates: list[Integers]


class Corpora(NamedTuple):
    """The n-grams of all templates, and the units of each corpus by its name."""

    incidence: Incidence
    units: dict[str, Units]


def has_dumps() -> bool:
    """Return whether the real corpora are on this machine."""
    return DUMPS.exists()


def publish_dumps(folder: Path) -> None:
    """Run the main job on the real corpora that the designs need."""
    entries = [entry for entry in load_corpora(DUMPS) if entry.name in _NAMES]
    run_locally(entries, Warehouse(folder))


@lru_cache(maxsize=1)
def read_corpora(folder: Path) -> Corpora:
    """Read the corpora of the designs from a warehouse, and divide them into databases.

    Where databases are unknown, each query is a unit. Answers take the units of their questions.
    """
    with open_results(folder) as con:
        rows: pl.DataFrame = con.sql(_QUERIES, params={"corpora": _NAMES}).pl()
    templates = rows["template"].drop_nulls().unique().sort()
    rows = rows.join(
        pl.DataFrame({"template": templates}).with_row_index("number"),
        on="template",
        how="left",
        maintain_order="left",
    )
    units = {}
    for (corpus,), group in rows.group_by("corpus", maintain_order=True):
        parsed = group.drop_nulls("number")
        by_unit = parsed.group_by("unit", maintain_order=True).agg("number")
        units[str(corpus)] = Units(
            by_unit["unit"].to_list(), [one.to_numpy() for one in by_unit["number"]]
        )
    return Corpora(ngram_incidence(templates), units)


class Half(NamedTuple):
    """The result of one half: the logarithm of the value, its interval, and its number of units."""

    estimate: float
    low: float
    high: float
    n_units: float


def split_design(design: Halved, folder: Path, n_splits: int = N_SPLITS) -> list[list[Half]]:
    """Return both halves of each split of a design."""
    corpora = read_corpora(folder)
    rng = np.random.default_rng([SEED, DESIGNS.index(design)])
    of_train, of_target = corpora.units[design.train], corpora.units[design.target]
    found = []
    for split in range(n_splits):
        trains, targets = (
            np.array_split(rng.permutation(len(one.names)), 2) for one in (of_train, of_target)
        )
        found.append(
            [
                _measure(corpora, design, (train, target), f"{split} {side}")
                for side, (train, target) in enumerate(zip(trains, targets, strict=True))
            ]
        )
    return found


def _measure(
    corpora: Corpora, design: Halved, drawn: tuple[Integers, Integers], owner: str
) -> Half:
    of_train, of_target = corpora.units[design.train], corpora.units[design.target]
    train = make_sample(
        corpora.incidence, [of_train.templates[unit] for unit in drawn[0]], f"train {owner}", False
    )
    target = make_sample(
        corpora.incidence,
        [of_target.templates[unit] for unit in drawn[1]],
        f"target {owner}",
        False,
    )
    n_units = min(train.n_effective, target.n_effective)
    estimate, replicates = _log_alignments(train, target)
    if design.predictions is not None:
        of_answers = corpora.units[design.predictions]
        answers_of = dict(zip(of_answers.names, of_answers.templates, strict=True))
        answers = make_sample(
            corpora.incidence,
            [answers_of.get(of_target.names[unit], _NO_QUERIES) for unit in drawn[1]],
            f"target {owner}",
            False,
        )
        n_units = min(n_units, answers.n_effective)
        of_predictions = _log_alignments(answers, target)
        estimate, replicates = estimate - of_predictions[0], replicates - of_predictions[1]
    interval = student_interval(estimate, replicates, n_units)
    assert interval.low is not None
    assert interval.high is not None
    return Half(estimate, interval.low, interval.high, n_units)


def _log_alignments(source: Sample, target: Sample) -> tuple[float, Floats]:
    """Return the logarithm of an alignment, and its replicates."""
    shared = find_shared(source, target)
    whole, drawn = (
        log_alignment(skew_divergences(source.counts(of_source), target.counts(of_target), shared))
        for of_source, of_target in (
            (np.ones((1, len(source.keys))), np.ones((1, len(target.keys)))),
            (_weigh(source), _weigh(target)),
        )
    )
    return float(whole[0]), drawn


def _weigh(sample: Sample) -> Floats:
    return poisson_weights(sample.keys, range(FEWEST_REPLICATES)).astype(float)


def halves_row(design: Halved, folder: Path, n_splits: int = N_SPLITS) -> list[str]:
    """Return how often the interval of one half contains the value of the other, in percent."""
    cases = [
        (one, other)
        for pair in split_design(design, folder, n_splits)
        for one, other in (pair, pair[::-1])
    ]
    held = np.array([holds(*case) for case in cases])
    held_longer = np.array([holds(*case, _TWO_DRAWS) for case in cases])
    is_warned = np.array([one.n_units < FEW_DATABASES for one, _ in cases])
    quiet = held_longer[~is_warned]
    answers = f" / {design.predictions}" if design.predictions else ""
    return [
        f"{design.train} to {design.target}{answers}",
        f"{math.exp(float(np.mean([one.estimate for one, _ in cases]))):.3f}",
        f"{float(np.mean([one.n_units for one, _ in cases])):.0f}",
        *(f"{100 * share.mean():.0f}" for share in (held, held_longer, is_warned)),
        f"{100 * quiet.mean():.0f}" if len(quiet) else "",
    ]


def holds(one: Half, other: Half, stretch: float = 1.0) -> bool:
    """Return whether the interval of one half, made longer, contains the value of the other."""
    away = other.estimate - one.estimate
    return stretch * (one.low - one.estimate) <= away <= stretch * (one.high - one.estimate)
