"""The Headroom Ratio: whether moving a model's answers towards a training set brings them closer.

A model's predictions answer the target's own questions, and so share what is particular to them;
a training set does not. The Alignment Ratio compares the two all the same. The Headroom Ratio
judges both on databases of the target that neither has seen, and asks not whether the training set
is closer to the target than the answers are, but whether a mixture of both is closer than the
answers alone. ``docs/calibration.md`` has the reasons and what outcomes say of it.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.measures.divergence import add_unshared, alignment, skew_terms
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.units import choose_unit
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from nl2sql_align.tasks.results.database import open_results

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    from scipy.sparse import csr_array

SPLITS: Final = 20
"""How many times the target's databases are split in halves; each half is judged by the other."""

WEIGHTS: Final = tuple(step / 20 for step in range(21))
"""The training set's shares in a mixture that are tried: the divergence is convex in them."""

HEADROOM_TABLE: Final = "headroom_ratio"


def headroom(
    place: Path | str,
    target: str | None = None,
    *,
    pairs: Collection[tuple[str, str]] | None = None,
    splits: int = SPLITS,
    seed: int = 0,
) -> "pl.DataFrame":
    """The Headroom Ratio of each training set for each predictions, recorded in its table.

    For each split of the target's databases into two halves, both ways: the answers to one half's
    questions, mixed with the training set, are compared with the other half's queries.

    Args:
        place: The folder of the results, or their address on a store.
        target: Only this target's; by default all.
        pairs: Only these pairs of training set and predictions.
        splits: How many splits.
        seed: What the splits are hashed from.

    Returns:
        A row per pair: ``train``, ``target``, ``predictions``, ``model``, ``trained_on``,
        ``alignment_ratio``, ``headroom_ratio`` (null where the predictions are not one per
        question, or a half has no templated query), ``best_weight`` (the training set's share in
        the closest mixture), ``gold_gain`` (what mixing does for the target's own queries in the
        answers' place, by which it is divided), ``split_by`` (``databases`` or ``queries``),
        ``n_splits``, ``seed``, ``run_id``.

    Raises:
        WarehouseError: There are no results.
        ConfigurationError: There is no such target, no pair, or no split.
    """
    import polars as pl

    from nl2sql_align.tasks.results.record import last_run, record

    if splits < 1:
        raise ConfigurationError(f"splits: {splits} is no number of splits; take 1 or more")
    with open_results(place) as con:
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
            for row in _of_target(
                con, name, [row for row in wanted if row["target"] == name], splits, seed
            )
        ]
    run_id = last_run(place)
    found = pl.DataFrame(
        [{**row, "n_splits": splits, "seed": str(seed), "run_id": run_id} for row in rows],
        schema=_SCHEMA,
    )
    for (name,), part in found.group_by(["target"], maintain_order=True):
        if pairs is None:
            record(place, HEADROOM_TABLE, part, {"target": name})
    return found


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


@dataclass(frozen=True)
class _Corpus:
    """The templates of some queries: per query its place, its template's row and its frequency."""

    ordinals: Integers
    templates: Integers
    n_occurrences: Integers

    def counts(self, n_templates: int, ordinals: Collection[int] | None = None) -> Integers:
        """How many of the queries, or of those at some places, each template has."""
        kept = np.ones(len(self.ordinals), bool)
        if ordinals is not None:
            kept = np.isin(self.ordinals, np.fromiter(ordinals, np.int64, len(ordinals)))
        weights = self.n_occurrences[kept]
        return np.bincount(self.templates[kept], weights, minlength=n_templates).astype(np.int64)


def _of_target(
    con: "duckdb.DuckDBPyConnection",
    target: str,
    rows: list[dict[str, Any]],
    splits: int,
    seed: int,
) -> list[dict[str, Any]]:
    names = {target, *(row["train"] for row in rows), *(row["predictions"] for row in rows)}
    templates = query_sql(con, "decisions/headroom/templates", corpora=sorted(names)).pl()
    matrix = ngram_incidence(templates["template"]).counts
    place = {template: row for row, template in enumerate(templates["template_id"])}
    corpora: dict[str, _Corpus] = {}
    for name in sorted(names):
        queries = query_sql(con, "decisions/headroom/queries", corpus=name).pl()
        corpora[name] = _Corpus(
            queries["ordinal"].to_numpy().astype(np.int64),
            np.array([place[template] for template in queries["template_id"]], np.int64),
            queries["n_occurrences"].to_numpy().astype(np.int64),
        )
    # A rejected question's database counts too: its answers are judged like the others.
    questions = con.execute(
        "select ordinal, db_id from queries where corpus = ? order by ordinal", [target]
    ).fetchall()
    known = [db_id for _, db_id in questions if db_id is not None]
    is_by_database = choose_unit(len(questions), len(known), len(set(known))) == Unit.DATABASE
    units = {
        ordinal: str(ordinal if db_id is None or not is_by_database else db_id)
        for ordinal, db_id in questions
    }
    halves = [half for split in range(splits) for half in _halves(units, f"{seed}|{split}")]
    trains = {
        name: _probabilities(corpora[name].counts(len(place)), matrix)
        for name in dict.fromkeys(row["train"] for row in rows)
    }
    of_gold = _divergences(corpora[target], corpora[target], halves, trains, matrix)
    of_answers = {
        name: _divergences(corpora[name], corpora[target], halves, trains, matrix)
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


def _halves(units: Mapping[int, str], draw: str) -> list[tuple[list[int], list[int]]]:
    """The places in one half and in the other, and the same the other way round."""
    order = sorted(
        set(units.values()), key=lambda unit: hashlib.sha256(f"{draw}|{unit}".encode()).digest()
    )
    first = set(order[: len(order) // 2])
    one = [ordinal for ordinal, unit in units.items() if unit in first]
    other = [ordinal for ordinal, unit in units.items() if unit not in first]
    return [(one, other), (other, one)]


def _probabilities(counts: Integers, matrix: "csr_array") -> Floats:
    ngrams = counts @ matrix
    return np.asarray(ngrams / max(int(ngrams.sum()), 1), dtype=np.float64)


def _divergences(
    answers: _Corpus,
    target: _Corpus,
    halves: list[tuple[list[int], list[int]]],
    trains: Mapping[str, Floats],
    matrix: "csr_array",
) -> dict[str, Floats | None]:
    """Per training set, the mean divergence of each mixture from the half not answered, in nats.

    None where a half has no n-grams.
    """
    n_templates = matrix.shape[0]
    weights = np.array(WEIGHTS)[:, None]
    sums = {train: np.zeros(len(WEIGHTS)) for train in trains}
    for answered, judged in halves:
        p = _probabilities(answers.counts(n_templates, answered), matrix)
        q = _probabilities(target.counts(n_templates, judged), matrix)
        if not p.any() or not q.any():
            return dict.fromkeys(trains, None)
        # What the judging half lacks costs ln(1/skew) however it is mixed: the rest is looked at.
        held = q > 0
        p, q = p[held], q[held]
        for train, t in trains.items():
            mixed = p + weights * (t[held] - p)
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
