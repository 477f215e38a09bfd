"""The Headroom Ratio: whether moving a model's answers towards a training set brings them closer.

The predictions of a model answer the target's own questions, so they share its particulars; a
training set does not. The Alignment Ratio compares the two all the same. The Headroom Ratio judges
both on databases of the target that neither has seen. It does not ask whether the training set is
closer to the target than the answers are, but whether a mixture of both is closer than the answers
alone. ``docs/calibration.md`` gives the reasons and compares it with outcomes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.decisions.options import HEADROOM_SPLITS
from nl2sql_align.tasks.measures.divergence import add_unshared, alignment, skew_terms
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.units import choose_unit, draw_half
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from nl2sql_align.tasks.results.database import open_results

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    from scipy.sparse import csr_array

WEIGHTS: Final = tuple(step / 20 for step in range(21))
"""The training set's shares in the mixtures that are tried. The divergence is convex in them."""

HEADROOM_TABLE: Final = "headroom_ratio"

_SCHEMA: Final = {
    "train": str,
    "target": str,
    "predictions": str,
    "model": str,
    "trained_on": str,
    "alignment_ratio": float,
    "headroom_ratio": float,
    "best_weight": float,
    "gold_gain": float,
    "split_by": str,
    "n_splits": int,
    "seed": str,
    "run_id": str,
}


def headroom(
    place: Path | str,
    target: str | None = None,
    *,
    pairs: Collection[tuple[str, str]] | None = None,
    splits: int = HEADROOM_SPLITS,
    seed: int = 0,
) -> "pl.DataFrame":
    """Compute the Headroom Ratio of each training set and predictions.

    For each split of the target's databases into two halves, in both directions: the answers to the
    questions of one half, mixed with the training set, are compared with the queries of the other
    half. Records the result in table ``headroom_ratio`` of the published database, unless only some
    ``pairs`` were computed.

    Args:
        place: The warehouse folder, or its address on an object store.
        target: Only this target; by default all.
        pairs: Only these pairs of a training set and predictions.
        splits: The number of splits.
        seed: The seed of the splits.

    Returns:
        A row per pair: ``train``, ``target``, ``predictions``, ``model``, ``trained_on``,
        ``alignment_ratio``, ``headroom_ratio`` (null if there is not one prediction per question,
        or a half has no templated query), ``best_weight`` (the training set's share in the closest
        mixture), ``gold_gain`` (the gain of the target's own queries in place of the answers, by
        which the ratio is divided), ``split_by`` (``databases`` or ``queries``), ``n_splits``,
        ``seed``, ``run_id``.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: The target has no pair, or ``splits`` is less than 1.
    """
    import polars as pl

    from nl2sql_align.tasks.results.record import last_run_id, record_decision

    if splits < 1:
        raise ConfigurationError(f"splits: {splits} is less than 1")
    with open_results(place) as con:
        run_id = last_run_id(con)
        ratios: pl.DataFrame = query_sql(con, "decisions/headroom/ratios").pl()
        wanted = [
            row
            for row in ratios.iter_rows(named=True)
            if target in (None, row["target"])
            and (pairs is None or (row["train"], row["predictions"]) in pairs)
        ]
        if not wanted:
            known = ", ".join(sorted(set(ratios["target"]))) or "none"
            raise ConfigurationError(
                f"no training set and predictions"
                f"{f' for target {target!r}' if target else ''} in {place}; "
                f"targets with predictions: {known}"
            )
        rows = [
            row
            for name in dict.fromkeys(row["target"] for row in wanted)
            for row in _compare_with_target(
                con, name, [row for row in wanted if row["target"] == name], splits, seed
            )
        ]
    found = pl.DataFrame(
        [{**row, "n_splits": splits, "seed": str(seed), "run_id": run_id} for row in rows],
        schema=_SCHEMA,
    )
    for (name,), part in found.group_by(["target"], maintain_order=True):
        if pairs is None:
            record_decision(place, HEADROOM_TABLE, part, {"target": name})
    return found


@dataclass(frozen=True)
class _Corpus:
    """The templated queries of a corpus.

    Attributes:
        ordinals: The ordinal of each query.
        templates: The row of its template.
        n_occurrences: Its frequency.
    """

    ordinals: Integers
    templates: Integers
    n_occurrences: Integers

    def counts(self, n_templates: int, ordinals: Collection[int] | None = None) -> Integers:
        """Return the number of queries with each template, of all or those with some ordinals."""
        is_counted = np.ones(len(self.ordinals), bool)
        if ordinals is not None:
            is_counted = np.isin(self.ordinals, np.fromiter(ordinals, np.int64, len(ordinals)))
        weights = self.n_occurrences[is_counted]
        templates = self.templates[is_counted]
        return np.bincount(templates, weights, minlength=n_templates).astype(np.int64)


def _compare_with_target(
    con: "duckdb.DuckDBPyConnection",
    target: str,
    rows: list[dict[str, Any]],
    splits: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the rows of one target, with their Headroom Ratios."""
    names = {target, *(row["train"] for row in rows), *(row["predictions"] for row in rows)}
    templates = query_sql(con, "decisions/headroom/templates", corpora=sorted(names)).pl()
    matrix = ngram_incidence(templates["template"]).counts
    row_of = {template: row for row, template in enumerate(templates["template_id"])}
    corpora = {name: _read_corpus(con, name, row_of) for name in sorted(names)}
    units, is_by_database = _read_units(con, target)
    halves = [half for split in range(splits) for half in _split(units, f"{seed}|{split}")]
    trains = {
        name: _probabilities(corpora[name].counts(len(templates)), matrix)
        for name in dict.fromkeys(row["train"] for row in rows)
    }
    of_gold = _mean_divergences(corpora[target], corpora[target], halves, trains, matrix)
    of_answers = {
        name: _mean_divergences(corpora[name], corpora[target], halves, trains, matrix)
        for name, is_complete in {
            row["predictions"]: row["n_answers"] == row["n_questions"] for row in rows
        }.items()
        if is_complete
    }
    return [
        {
            **{column: row[column] for column in row if column in _SCHEMA},
            **_ratio(
                of_answers.get(row["predictions"], {}).get(row["train"]), of_gold[row["train"]]
            ),
            "split_by": "databases" if is_by_database else "queries",
        }
        for row in rows
    ]


def _read_corpus(con: "duckdb.DuckDBPyConnection", name: str, row_of: Mapping[str, int]) -> _Corpus:
    queries = query_sql(con, "decisions/headroom/queries", corpus=name).pl()
    return _Corpus(
        queries["ordinal"].to_numpy().astype(np.int64),
        np.array([row_of[template] for template in queries["template_id"]], np.int64),
        queries["n_occurrences"].to_numpy().astype(np.int64),
    )


def _read_units(con: "duckdb.DuckDBPyConnection", target: str) -> tuple[dict[int, str], bool]:
    """Return the unit of each question, by its ordinal, and whether units are databases."""
    # Rejected questions count too, because their answers are judged like the others.
    questions = query_sql(con, "decisions/headroom/questions", target=target).fetchall()
    known = [db_id for _, db_id in questions if db_id is not None]
    is_by_database = choose_unit(len(questions), len(known), len(set(known))) == Unit.DATABASE
    units = {
        ordinal: str(ordinal if db_id is None or not is_by_database else db_id)
        for ordinal, db_id in questions
    }
    return units, is_by_database


def _split(units: Mapping[int, str], name: str) -> list[tuple[list[int], list[int]]]:
    """Return the ordinals in both halves of a random split, and the same two in reverse.

    Args:
        units: The unit of each ordinal.
        name: The name of the split, from which it is hashed.
    """
    first = draw_half(units.values(), name)
    one = [ordinal for ordinal, unit in units.items() if unit in first]
    other = [ordinal for ordinal, unit in units.items() if unit not in first]
    return [(one, other), (other, one)]


def _probabilities(counts: Integers, matrix: "csr_array") -> Floats:
    ngrams = counts @ matrix
    return np.asarray(ngrams / max(int(ngrams.sum()), 1), dtype=np.float64)


def _mean_divergences(
    answers: _Corpus,
    target: _Corpus,
    halves: list[tuple[list[int], list[int]]],
    trains: Mapping[str, Floats],
    matrix: "csr_array",
) -> dict[str, Floats | None]:
    """Return the mean divergence of each mixture from the half not answered.

    Returns:
        Nats, a number per weight, for each training set; None if a half has no n-grams.
    """
    n_templates = matrix.shape[0]
    weights = np.array(WEIGHTS)[:, None]
    sums = {train: np.zeros(len(WEIGHTS)) for train in trains}
    for answered, judged in halves:
        p = _probabilities(answers.counts(n_templates, answered), matrix)
        q = _probabilities(target.counts(n_templates, judged), matrix)
        if not p.any() or not q.any():
            return dict.fromkeys(trains, None)
        in_half = q > 0
        p, q = p[in_half], q[in_half]
        for train, t in trains.items():
            mixed = p + weights * (t[in_half] - p)
            sums[train] += add_unshared(skew_terms(mixed, q).sum(axis=1), mixed.sum(axis=1))
    return {train: total / len(halves) for train, total in sums.items()}


def _ratio(of_answers: Floats | None, of_gold: Floats | None) -> dict[str, float | None]:
    if of_answers is None or of_gold is None:
        return {"headroom_ratio": None, "best_weight": None, "gold_gain": None}
    gain, gold = (alignment(float(d.min() - d[0])) for d in (of_answers, of_gold))
    # To 12 digits, because processors differ in the last bits of a logarithm.
    return {
        "headroom_ratio": round(gain / gold, 12),
        "best_weight": WEIGHTS[int(of_answers.argmin())],
        "gold_gain": round(gold, 12),
    }
