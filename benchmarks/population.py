"""Populations of databases and queries with known alignments, from which sets are drawn.

A population has templates from a grammar, whose probabilities fall with a power of their rank. The
queries of a database are alike: its probabilities are drawn from a Dirichlet distribution around
those of the population. A model answers a question with the gold template, or with one of four
wrong templates that belong to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import coo_array

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.measures.bootstrap import Classes, group_ngrams, unit_keys
from nl2sql_align.tasks.measures.divergence import SKEW
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.parts import PartsBy, Rows
from nl2sql_align.tasks.measures.units import Sample
from nl2sql_align.tasks.ngrams.count import Incidence, ngram_incidence

SEED: Final = 20_251_004
_OWN_SHARE: Final = 0.35
_RIGHT_SHARE: Final = 0.6
_HEAD: Final = 3


class Design(NamedTuple):
    """A population, and the sizes of the sets that are drawn from it.

    ``concentration`` is that of the Dirichlet distribution of a database's templates: the lower it
    is, the more alike are the queries of one database. Without it, queries are drawn without
    databases, and each unit is one query.
    """

    name: str
    n_templates: int
    power: float
    concentration: float | None
    n_train_units: int
    train_unit_size: int
    n_target_units: int
    target_unit_size: int
    # Resample queries although databases are known.
    is_by_query: bool = False
    # Add a second source to the training set, with as many units, whose templates are other ones.
    is_mixture: bool = False


@dataclass(frozen=True)
class Population:
    """Templates with their n-grams, and their probabilities in each of the three sets."""

    incidence: Incidence
    train: Floats
    target: Floats
    predictions: Floats
    wrong_answers: Integers
    beside: Floats

    def divergence(self, source: Floats, target: Floats) -> float:
        """Return the skew divergence of two lists of template probabilities, in nats."""
        p, q = (np.asarray(one @ self.incidence.counts) for one in (source, target))
        p, q = p / p.sum(), q / q.sum()
        p, q = p[p > 0], q[p > 0]
        return float((p * np.log(p / ((1 - SKEW) * q + SKEW * p))).sum())


class Sets(NamedTuple):
    """One draw of the three sets, ready to be resampled."""

    train: Sample
    target: Sample
    predictions: Sample


@lru_cache(maxsize=2)
def population(n_templates: int, power: float) -> Population:
    """Return the population with these parameters; it is the same on every call."""
    numbers: dict[str, int] = {}
    lists: dict[str, Floats] = {}
    places: dict[str, list[int]] = {}
    for family in ("common", "train", "target", "model"):
        rng = Random(f"{SEED} {family}")
        found: dict[str, None] = {}
        while len(found) < n_templates:
            found[_template(rng, 0.15 + 0.45 * len(found) / (len(found) + 30))] = None
        places[family] = [numbers.setdefault(template, len(numbers)) for template in found]
        weights = (np.arange(n_templates) + _HEAD) ** -power
        lists[family] = weights / weights.sum()

    def mixed(**shares: float) -> Floats:
        mixture = np.zeros(len(numbers))
        for family, share in shares.items():
            np.add.at(mixture, places[family], share * lists[family])
        return mixture

    target = mixed(common=1 - _OWN_SHARE, target=_OWN_SHARE)
    model = mixed(common=0.3, model=0.7)
    rng = np.random.default_rng(SEED)
    wrong = rng.choice(len(model), size=(len(model), 4), p=model)
    predictions = _RIGHT_SHARE * target
    for column in wrong.T:
        np.add.at(predictions, column, (1 - _RIGHT_SHARE) / 4 * target)
    return Population(
        ngram_incidence(pl.Series(list(numbers))),
        mixed(common=1 - _OWN_SHARE, train=_OWN_SHARE),
        target,
        predictions,
        wrong,
        mixed(common=0.2, model=0.8),
    )


def draw(design: Design, trial: int) -> Sets:
    """Draw the three sets, with random numbers of this trial."""
    people = population(design.n_templates, design.power)
    rng = np.random.default_rng([SEED, trial])
    train = _draw_units(rng, people.train, design.n_train_units, design.train_unit_size, design)
    gold = _draw_units(rng, people.target, design.n_target_units, design.target_unit_size, design)
    answers = []
    for unit in gold:
        wrong = people.wrong_answers[unit, rng.integers(0, 4, len(unit))]
        answers.append(np.where(rng.random(len(unit)) < _RIGHT_SHARE, unit, wrong))
    n_parts = [len(train)]
    if design.is_mixture:
        size = design.train_unit_size
        train += _draw_units(rng, people.beside, design.n_train_units, size, design)
        n_parts.append(design.n_train_units)
    # Predictions share the units of the target, and so its keys.
    owners = (f"train {trial}", f"target {trial}", f"target {trial}")
    return Sets(
        *(
            make_sample(
                people.incidence,
                units,
                owner,
                design.concentration is None or design.is_by_query,
                parts,
            )
            for units, owner, parts in zip(
                (train, gold, answers), owners, (n_parts, [], []), strict=True
            )
        )
    )


def _draw_units(
    rng: np.random.Generator, probabilities: Floats, n_units: int, size: int, design: Design
) -> list[Integers]:
    """Draw the templates of the queries of each unit."""
    possible = np.flatnonzero(probabilities)
    p = probabilities[possible]
    if design.concentration is None:
        return list(rng.choice(possible, size=(n_units, 1), p=p))
    units = []
    for _ in range(n_units):
        taste = rng.gamma(design.concentration * p)
        n_queries = max(3, int(rng.poisson(rng.gamma(2, size / 2))))
        units.append(rng.choice(possible, size=n_queries, p=taste / taste.sum()))
    return units


def make_sample(
    incidence: Incidence,
    units: Sequence[Integers],
    owner: str,
    is_by_query: bool,
    n_parts: Sequence[int] = (),
) -> Sample:
    """Return a set that can be resampled.

    Args:
        incidence: The n-grams of all templates.
        units: The numbers of the templates of the queries of each unit.
        owner: The set that the units are drawn for; sets of one owner have the same weights.
        is_by_query: Whether each query is a unit.
        n_parts: The number of units of each of the set's sources, in turn.
    """
    queries = np.concatenate(units)
    lengths = [len(unit) for unit in units]
    of_query = np.arange(len(queries)) if is_by_query else np.repeat(np.arange(len(units)), lengths)
    templates, column = np.unique(queries, return_inverse=True)
    n_units = len(queries) if is_by_query else len(units)
    counts = coo_array(
        (np.ones(len(queries)), (of_query, column)), shape=(n_units, len(templates))
    ).tocsr()
    rows = incidence.counts[templates]
    totals = np.asarray(rows.sum(axis=1), np.int64)
    columns = rows.tocsc()
    ngrams = np.flatnonzero(np.diff(columns.indptr)).astype(np.int64)
    classes = group_ngrams(columns[:, ngrams].tocsr())
    unit = Unit.QUERY if is_by_query else Unit.DATABASE
    of_unit = np.repeat(np.arange(len(n_parts)), n_parts) if n_parts else np.zeros(len(units), int)
    of_part = np.repeat(of_unit, lengths)
    divided = Rows(of_query, column, np.ones(len(queries)), of_part, PartsBy.SOURCE)
    return Sample(
        unit,
        unit_keys(owner, [str(number) for number in range(n_units)]),
        counts,
        Classes(classes.counts, classes.of_ngram, totals),
        ngrams,
        [str(number) for number in range(n_units)],
        divided,
    )


# The grammar -------------------------------------------------------------------------------------

_CALLS: Final = (
    *("COUNT ( * )", "COUNT ( DISTINCT )", "AVG ( )", "MAX ( )", "SUM ( )", "MIN ( )"),
    *("UPPER ( )", "STRFTIME ( )", "LENGTH ( )", "ROUND ( , )"),
)
_TESTS: Final = (
    *("=", "=", "=", ">", "<", ">=", "LIKE", "BETWEEN AND", "IS NULL", "IS NOT NULL", "IN ( )"),
)


def _template(rng: Random, richness: float) -> str:
    """Return a random template; richer ones are longer and more nested."""
    words: list[str] = []

    def term() -> None:
        roll = rng.random()
        if roll < 0.15:
            words.append(rng.choice(_CALLS))
        elif roll < 0.15 + 0.15 * richness:
            words.append("CASE WHEN = THEN ELSE END")
        elif roll < 0.15 + 0.3 * richness:
            words.append("SUBSTR ( , , )")

    def test(depth: int) -> None:
        term()
        if depth < 2 and rng.random() < 0.03 + 0.1 * richness:
            words.append(rng.choice(("IN (", "NOT IN (", "= (", "> (")))
            select(depth + 1)
            words.append(")")
        else:
            words.append(rng.choice(_TESTS))

    def select(depth: int) -> None:
        words.append("SELECT")
        if rng.random() < 0.12:
            words.append("DISTINCT")
        for item in range(1 if depth else rng.choice((1, 1, 2, 2, 3, 4))):
            if item:
                words.append(",")
            term()
        words.append("FROM")
        while rng.random() < 0.25 + 0.35 * richness:
            words.append(
                rng.choice(("JOIN ON =", "JOIN ON =", "INNER JOIN ON =", "LEFT JOIN ON ="))
            )
        if rng.random() < 0.65:
            words.append("WHERE")
            test(depth)
            while rng.random() < 0.2 + 0.3 * richness:
                words.append(rng.choice(("AND", "AND", "OR")))
                test(depth)
        if rng.random() < 0.25:
            words.append("GROUP BY")
            if rng.random() < 0.3:
                words.append("HAVING")
                term()
                words.append(rng.choice((">", ">=", "<")))
        if not depth and rng.random() < 0.3:
            words.append("ORDER BY")
            term()
            words.append(rng.choice(("DESC", "ASC", "LIMIT", "DESC LIMIT", "DESC LIMIT")))

    select(0)
    if rng.random() < 0.06:
        words.append(rng.choice(("UNION", "EXCEPT", "INTERSECT")))
        select(0)
    return " ".join(words)
