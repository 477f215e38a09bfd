"""How often the prediction is right: outcomes of real fine-tuning beside the ratios.

An outcome says how a model scored before and after it was tuned. Here it meets the Alignment Ratio
that was to foretell it: correlations with intervals, counts of right and wrong predictions, the
ratio that would have separated gains from losses best, and each miss by name.
"""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.decisions.headroom import SPLITS, headroom
from nl2sql_align.tasks.measures.divergence import alignment, skew_terms
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from nl2sql_align.tasks.results.database import open_results

if TYPE_CHECKING:
    import polars as pl

REPLICATES: Final = 1000
"""Bootstrap replicates behind the interval of a cut."""

PART_DRAWS: Final = 20
"""Random parts of a training set that are drawn for each size."""

MEASURES: Final = (
    "alignment_ratio",
    "headroom_ratio",
    "train_alignment",
    "predictions_alignment",
    "train_js_nats",
    "predictions_js_nats",
)
"""What is held against the gain."""

RATIOS: Final = ("alignment_ratio", "headroom_ratio")
"""Measures that predict: above 1 a gain, else none."""

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Outcome(BaseModel):
    """A row of a file of outcomes: a model's scores before and after tuning.

    Attributes:
        model: The model.
        predictions: The corpus of its answers before this tuning.
        train: The corpus that it was tuned on.
        train_rows: On how many rows of it; all where empty.
        target: The corpus whose questions were asked.
        metric: What was scored; rows of different metrics are never mixed.
        before: The score before, a share from 0 to 1.
        after: The score after, a share from 0 to 1.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: _Name
    predictions: _Name
    train: _Name
    train_rows: Annotated[int, Field(gt=0)] | None
    target: _Name
    metric: _Name
    before: _Score
    after: _Score


def read_outcomes(path: Path) -> list[Outcome]:
    """The outcomes of a CSV file with a header; further columns are ignored.

    Raises:
        ConfigurationError: The file cannot be read, lacks a column or rows, holds a row twice, or a
            value is wrong: the message names file, line and column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_outcomes(path, csv.DictReader(file)))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a CSV file of outcomes") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} is no CSV file in UTF-8 ({error})") from None


def _outcomes(path: Path, reader: "csv.DictReader[str]") -> Iterator[Outcome]:
    needed = list(Outcome.model_fields)
    absent = [name for name in needed if name not in (reader.fieldnames or ())]
    if absent:
        raise ConfigurationError(
            f"{path}, line 1: no column {', '.join(absent)}; the header needs {','.join(needed)}"
        )
    lines: dict[tuple[Any, ...], int] = {}
    for row in reader:
        try:
            outcome = Outcome.model_validate(
                {**row, "train_rows": (row["train_rows"] or "").strip() or None}
            )
        except ValidationError as error:
            first = error.errors()[0]
            column = str(first["loc"][0])
            hint = "; scores are shares from 0 to 1" if column in ("before", "after") else ""
            raise ConfigurationError(
                f"{path}, line {reader.line_num}, column {column}: {first['msg']}, "
                f"not {row[column]!r}{hint}"
            ) from None
        key = tuple(outcome.model_dump(exclude={"before", "after"}).values())
        if key in lines:
            raise ConfigurationError(
                f"{path}, line {reader.line_num}: the same outcome as in line {lines[key]}; "
                "keep one of them"
            )
        lines[key] = reader.line_num
        yield outcome
    if not lines:
        raise ConfigurationError(f"{path} holds no outcome")


@dataclass(frozen=True)
class Calibration:
    """Outcomes beside the ratios.

    Attributes:
        rows: The outcomes whose corpora are in the warehouse, each with ``gain`` (after - before),
            ``part`` (``whole``, ``part`` or ``more``: how ``train_rows`` compares with the corpus),
            ``is_tuned`` (the predictions are a tuned model's), ``outcome_case`` (both in words) and
            the measures.
        summary: A row per metric, case and measure: how many rows, starting points and models,
            how many gained; for ratios the counts ``n_true_gain``, ``n_false_gain``,
            ``n_missed_gain``, ``n_true_none`` and the best cut with its interval; Spearman's and
            Pearson's correlation with the gain with 95 % intervals; null where it is not defined.
        misses: Outcomes that went against the Alignment Ratio.
        parts: Random parts of training sets, of the sizes in the outcomes, beside the whole.
        left_out: Corpora that outcomes name and the warehouse has no ratio of, with the number of
            outcomes left out for it.
        tuning: The rows of ``tuning_effect`` for the models in the outcomes.
        remarks: What these outcomes can and cannot say.
    """

    rows: "pl.DataFrame"
    summary: "pl.DataFrame"
    misses: "pl.DataFrame"
    parts: "pl.DataFrame"
    left_out: dict[str, int]
    tuning: "pl.DataFrame"
    remarks: list[str]


def calibrate(
    place: Path | str,
    outcomes: Path | str,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
    splits: int = SPLITS,
) -> Calibration:
    """Holds outcomes of fine-tuning against the ratios, and records the result.

    The tables ``calibration``, ``calibration_summary`` and ``calibration_parts`` then hold it, in
    place of what the same file gave before.

    Args:
        place: The folder of the results, or their address on a store.
        outcomes: A CSV file: ``model,predictions,train,train_rows,target,metric,before,after``.
        seed: What bootstrap, random parts and splits are hashed from.
        replicates: Of the bootstrap.
        splits: Of the target, for the Headroom Ratio.

    Raises:
        WarehouseError: There are no results.
        ConfigurationError: Something is wrong with the file, or none of its outcomes has a ratio.
    """
    import polars as pl

    from nl2sql_align.tasks.results.record import last_run, record

    path = Path(outcomes)
    given = read_outcomes(path)
    with open_results(place) as con:
        ratios = query_sql(con, "decisions/calibration/ratios").pl()
        corpora = {name for (name,) in con.execute("select corpus from corpora").fetchall()}
        effects: pl.DataFrame = query_sql(con, "decisions/calibration/tuning").pl()
    table = pl.DataFrame([one.model_dump() for one in given], schema=_OUTCOMES)
    joined = table.join(
        ratios, on=["train", "target", "predictions"], how="left", maintain_order="left"
    )
    known = joined.filter(pl.col("alignment_ratio").is_not_null())
    left_out = _left_out(joined.filter(pl.col("alignment_ratio").is_null()), corpora)
    if known.is_empty():
        raise ConfigurationError(
            f"{path}: no outcome has an Alignment Ratio in {place}; without: {', '.join(left_out)}"
        )
    pairs = set(known.select("train", "predictions").iter_rows())
    second = headroom(place, pairs=pairs, splits=splits, seed=seed)
    rows = _with_cases(
        known.join(
            second.select("train", "target", "predictions", "headroom_ratio"),
            on=["train", "target", "predictions"],
            how="left",
            maintain_order="left",
        )
    )
    summary = _summary(rows, seed, replicates)
    parts = _parts(place, rows, seed)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    source = {"outcomes": str(path.resolve())}
    traced = {**source, "outcomes_digest": digest, "seed": str(seed), "run_id": last_run(place)}
    for name, frame, more in (
        ("calibration", rows.select(_ROW_COLUMNS), {"n_splits": splits}),
        ("calibration_summary", summary, {"n_replicates": replicates}),
        ("calibration_parts", parts, {}),
    ):
        constants = [pl.lit(value).alias(key) for key, value in {**traced, **more}.items()]
        record(place, name, frame.with_columns(constants), source)
    return Calibration(
        rows=rows.select(_ROW_COLUMNS),
        summary=summary,
        misses=rows.filter((pl.col("alignment_ratio") > 1) != (pl.col("gain") > 0)).select(
            _ROW_COLUMNS
        ),
        parts=parts,
        left_out=left_out,
        tuning=effects.filter(
            pl.col("model").is_in(rows["model"].unique().implode())
            & pl.col("target").is_in(rows["target"].unique().implode())
        ),
        remarks=remarks(rows, parts),
    )


_OUTCOMES: Final = {
    "model": str,
    "predictions": str,
    "train": str,
    "train_rows": int,
    "target": str,
    "metric": str,
    "before": float,
    "after": float,
}
_ROW_COLUMNS: Final = (
    *_OUTCOMES,
    "gain",
    "part",
    "is_tuned",
    "outcome_case",
    *MEASURES,
)


def _left_out(rows: "pl.DataFrame", corpora: set[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows.iter_rows(named=True):
        names = [row[key] for key in ("predictions", "train", "target")]
        absent = [name for name in names if name not in corpora] or [" with ".join(names)]
        for name in absent:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _with_cases(rows: "pl.DataFrame") -> "pl.DataFrame":
    """The outcomes with their gain and the case that each belongs to."""
    import polars as pl

    n = pl.col("train_rows")
    part = (
        pl.when(n < pl.col("n_train_templated"))
        .then(pl.lit("part"))
        .when(n > pl.col("n_train_queries"))
        .then(pl.lit("more"))
        .otherwise(pl.lit("whole"))
    )
    start = pl.when("is_tuned").then(pl.lit("tuned model")).otherwise(pl.lit("base model"))
    case = pl.concat_str(
        start,
        pl.lit(", "),
        pl.col("part").replace_strict(
            {"whole": "whole set", "part": "part of it", "more": "more rows than it has"}
        ),
    )
    # Scores have few digits: what the subtraction adds is no gain.
    gain = (pl.col("after") - pl.col("before")).round(9)
    return rows.with_columns(gain.alias("gain"), part.alias("part")).with_columns(
        case.alias("outcome_case")
    )


def _summary(rows: "pl.DataFrame", seed: int, replicates: int) -> "pl.DataFrame":
    import polars as pl

    found: list[dict[str, Any]] = []
    for (metric,), of_metric in rows.group_by(["metric"], maintain_order=True):
        cases = [(str(case), part) for (case,), part in of_metric.group_by("outcome_case")]
        for case, part in [("all", of_metric), *sorted(cases, key=lambda pair: pair[0])]:
            for measure in MEASURES:
                kept = part.filter(pl.col(measure).is_not_null())
                x, gain = kept[measure].to_numpy(), kept["gain"].to_numpy()
                row: dict[str, Any] = {
                    "metric": metric,
                    "outcome_case": case,
                    "measure": measure,
                    "n_rows": len(kept),
                    "n_starting_points": kept["predictions"].n_unique(),
                    "n_models": kept["model"].n_unique(),
                    "n_gained": int((gain > 0).sum()),
                    **correlations(x, gain),
                }
                if measure in RATIOS:
                    row.update(_counts(x, gain))
                    starts = kept["predictions"].to_list()
                    of = f"{seed}|{metric}|{case}|{measure}"
                    row.update(best_cut(x, gain, starts, of, replicates))
                found.append(row)
    return pl.DataFrame(found, schema=_SUMMARY)


_SUMMARY: Final = {
    "metric": str,
    "outcome_case": str,
    "measure": str,
    "n_rows": int,
    "n_starting_points": int,
    "n_models": int,
    "n_gained": int,
    "spearman": float,
    "spearman_low": float,
    "spearman_high": float,
    "pearson": float,
    "pearson_low": float,
    "pearson_high": float,
    "n_true_gain": int,
    "n_false_gain": int,
    "n_missed_gain": int,
    "n_true_none": int,
    "cut": float,
    "cut_low": float,
    "cut_high": float,
}


def _counts(ratio: Floats, gain: Floats) -> dict[str, int]:
    promised, came = ratio > 1, gain > 0
    return {
        "n_true_gain": int((promised & came).sum()),
        "n_false_gain": int((promised & ~came).sum()),
        "n_missed_gain": int((~promised & came).sum()),
        "n_true_none": int((~promised & ~came).sum()),
    }


def correlations(x: Floats, y: Floats) -> dict[str, float | None]:
    """Spearman's and Pearson's correlation, each with a 95 % interval.

    Intervals are by Fisher's z; for Spearman with the standard error ``sqrt((1 + r^2 / 2) / (n -
    3))`` of Bonett and Wright (Psychometrika 65, 2000). A correlation of 1 has none. They take rows
    as independent, which several outcomes of one model are not: they are too narrow then.

    Returns:
        ``spearman``, ``pearson`` and their ``_low`` and ``_high``; None with fewer than 4 rows, or
        where one side does not vary.
    """
    names = ("spearman", "pearson")
    found: dict[str, float | None] = {
        f"{name}{end}": None for name in names for end in ("", "_low", "_high")
    }
    # Equal alignments may differ in the last bit.
    if len(x) < 4 or np.ptp(x) < 1e-12 or np.ptp(y) < 1e-12:
        return found
    from scipy.stats import norm, pearsonr, spearmanr

    n = len(x)
    rank, linear = float(spearmanr(x, y).statistic), float(pearsonr(x, y).statistic)
    for name, r, error in (
        ("spearman", rank, np.sqrt((1 + rank**2 / 2) / (n - 3))),
        ("pearson", linear, np.sqrt(1 / (n - 3))),
    ):
        found[name] = r
        if abs(r) < 1 - 1e-12:
            low, high = np.tanh(np.arctanh(r) + np.array([-1, 1]) * norm.ppf(0.975) * error)
            found.update({f"{name}_low": float(low), f"{name}_high": float(high)})
    return found


def best_cut(
    ratio: Floats,
    gain: Floats,
    starts: Sequence[str],
    seed: str,
    replicates: int = REPLICATES,
) -> dict[str, float | None]:
    """The ratio that best separates gains from none, with its uncertainty.

    The cut that puts the fewest outcomes on the wrong side: the middle of the widest gap between
    neighbouring ratios that does. The interval holds the middle 95 % of the cuts of bootstrap
    samples that have outcomes of both kinds. Starting points are drawn, each with all its outcomes:
    those of one share a ratio's denominator, and are no independent evidence.

    Args:
        ratio: Of each outcome.
        gain: What came of it.
        starts: From which predictions it started.
        seed: What the samples are drawn by.
        replicates: How many samples.

    Returns:
        ``cut``, ``cut_low``, ``cut_high``; None where all outcomes are of one kind, so that there
        is nothing to separate.
    """
    cut = _cut(ratio, gain > 0)
    if cut is None:
        return {"cut": None, "cut_low": None, "cut_high": None}
    _, start = np.unique(starts, return_inverse=True)
    rows_of = [np.flatnonzero(start == number) for number in range(start.max() + 1)]
    cuts = []
    for replicate in range(replicates):
        drawn = _random(f"{seed}|{replicate}").integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[number] for number in drawn])
        if (found := _cut(ratio[rows], gain[rows] > 0)) is not None:
            cuts.append(found)
    low, high = np.quantile(cuts, [0.025, 0.975]) if cuts else (None, None)
    return {
        "cut": cut,
        "cut_low": None if low is None else float(low),
        "cut_high": None if high is None else float(high),
    }


def _cut(ratio: Floats, came: npt.NDArray[np.bool_]) -> float | None:
    if came.all() or not came.any():
        return None
    values = np.unique(ratio)
    if len(values) == 1:
        return None
    wrong = [
        int((came & (ratio <= value)).sum() + (~came & (ratio > value)).sum())
        for value in values[:-1]
    ]
    gaps = np.diff(values)
    best = max(
        (index for index, count in enumerate(wrong) if count == min(wrong)),
        key=lambda index: (gaps[index], -index),
    )
    return float((values[best] + values[best + 1]) / 2)


def _random(seed: str) -> np.random.Generator:
    """A generator of its own for each use, so that none depends on what was drawn before."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()))


def _parts(place: Path | str, rows: "pl.DataFrame", seed: int) -> "pl.DataFrame":
    """How well random parts of the training sets are aligned, of the sizes in the outcomes."""
    import polars as pl

    found: list[dict[str, Any]] = []
    sizes = rows.filter(pl.col("part") == "part").select("train", "target", "train_rows").unique()
    with open_results(place) as con:
        for (train, target), part in sizes.sort(sizes.columns).group_by(
            ["train", "target"], maintain_order=True
        ):
            counts = {
                name: dict(
                    query_sql(con, "decisions/calibration/templates", corpus=name).fetchall()
                )
                for name in (train, target)
            }
            names = [str(train), str(target)]
            templates = query_sql(con, "decisions/headroom/templates", corpora=names).pl()
            matrix = ngram_incidence(templates["template"]).counts
            of_target = _weights(templates["template_id"], counts[target]) @ matrix
            q = of_target / of_target.sum()
            weights = _weights(templates["template_id"], counts[train])
            queries = np.repeat(np.arange(len(weights)), weights)
            for n_rows in part["train_rows"]:
                drawn = [
                    _alignment(
                        np.bincount(
                            _random(f"{seed}|part|{train}|{n_rows}|{draw}").permutation(queries)[
                                :n_rows
                            ],
                            minlength=len(weights),
                        )
                        @ matrix,
                        q,
                    )
                    for draw in range(PART_DRAWS)
                ]
                mean = float(np.mean(drawn))
                found.append(
                    {
                        "train": train,
                        "target": target,
                        "train_rows": n_rows,
                        "n_draws": PART_DRAWS,
                        "alignment_whole": _alignment(weights @ matrix, q),
                        "alignment_mean": round(mean, 12),
                        "alignment_sd": round(float(np.std(drawn, ddof=1)), 12),
                        "alignment_low": min(drawn),
                        "alignment_high": max(drawn),
                    }
                )
    return pl.DataFrame(found, schema=_PARTS)


_PARTS: Final = {
    "train": str,
    "target": str,
    "train_rows": int,
    "n_draws": int,
    "alignment_whole": float,
    "alignment_mean": float,
    "alignment_sd": float,
    "alignment_low": float,
    "alignment_high": float,
}


def _weights(template_ids: "pl.Series", counts: dict[str, int]) -> Integers:
    return np.array([counts.get(template, 0) for template in template_ids], np.int64)


def _alignment(ngrams: Integers, q: Floats) -> float:
    held = ngrams > 0
    p, q = ngrams[held] / ngrams.sum(), q[held]
    # To 12 digits, because processors differ in the last bits of a logarithm.
    return round(alignment(float(skew_terms(p, q).sum())), 12)


def remarks(rows: "pl.DataFrame", parts: "pl.DataFrame") -> list[str]:
    """What outcomes like these can and cannot say, in sentences."""
    import polars as pl

    base, tuned = rows.filter(~pl.col("is_tuned")), rows.filter(pl.col("is_tuned"))
    said: list[str] = []
    for frame, name in ((base, "base model"), (tuned, "tuned model")):
        if frame.is_empty():
            continue
        lost = frame.filter(pl.col("gain") < 0)
        n_starts = lost["predictions"].n_unique()
        if not n_starts:
            said.append(
                f"No {name} in these outcomes lost: how well losses are foreseen cannot be "
                "estimated from them."
            )
        elif n_starts < _ENOUGH:
            said.append(
                f"Losses of a {name}: {len(lost):,}, from {_number(n_starts, 'starting point')}: "
                "too few to say how well losses are foreseen."
            )
    if rows.select("train", "target").n_unique() == 1:
        said.append(
            f"All outcomes are of one training set ({rows['train'][0]}) and one target "
            f"({rows['target'][0]}): its alignment is the same in every row, and a correlation "
            "with the ratio is one with the alignment of the predictions alone. Whether the ratio "
            "chooses well between training sets cannot be seen from them."
        )
    elif rows["train"].n_unique() == 1:
        said.append("All outcomes are of one training set: none tells how the ratio chooses.")
    if rows["predictions"].n_unique() < len(rows):
        said.append(
            f"{len(rows):,} outcomes start from "
            f"{_number(rows['predictions'].n_unique(), 'set')} of predictions by "
            f"{_number(rows['model'].n_unique(), 'model')}: they are not independent, and the "
            "intervals are narrower than they should be."
        )
    return [*said, *_parts_in_words(rows, parts)]


def _parts_in_words(rows: "pl.DataFrame", parts: "pl.DataFrame") -> list[str]:
    """How far random parts are from the whole, and whether a ratio would tell otherwise by them."""
    import polars as pl

    said: list[str] = []
    differ = (pl.col("alignment_mean") - pl.col("alignment_whole")).abs()
    for (train, target), sizes in parts.group_by(["train", "target"], maintain_order=True):
        farthest = sizes.sort(differ, "train_rows", descending=[True, False]).row(0, named=True)
        own = rows.join(sizes, on=["train", "target", "train_rows"], how="inner")
        by_part = own["alignment_ratio"] * own["alignment_mean"] / own["alignment_whole"]
        n_crossed = int(((by_part > 1) != (own["alignment_ratio"] > 1)).sum())
        said.append(
            f"Random parts of {train} are aligned with {target} like the whole to within "
            f"{abs(farthest['alignment_mean'] - farthest['alignment_whole']):.3f} (farthest: "
            f"{farthest['train_rows']:,} rows, {farthest['alignment_mean']:.3f} with a standard "
            f"deviation of {farthest['alignment_sd']:.3f}, against "
            f"{farthest['alignment_whole']:.3f}); with its part's alignment, {n_crossed:,} of "
            f"{_number(len(own), 'outcome')} would have a ratio on the other side of 1."
        )
    return said


# Losses from fewer starting points than these decide nothing.
_ENOUGH: Final = 10


def _number(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
