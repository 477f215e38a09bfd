"""Calibration: how often the ratios predicted outcomes of real fine-tuning.

An outcome is a model's score before and after it was tuned. It is compared with the Alignment Ratio
that predicted it: by correlations with intervals, counts of right and wrong predictions, the ratio
that would have separated gains from losses best, and a list of the misses.
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import count_noun, suggest
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.decisions.headroom import headroom
from nl2sql_align.tasks.decisions.options import CALIBRATION_REPLICATES, HEADROOM_SPLITS
from nl2sql_align.tasks.ingest.delimited import find_separator
from nl2sql_align.tasks.measures.divergence import alignment, skew_terms
from nl2sql_align.tasks.ngrams.count import ngram_incidence
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.warehouse.addresses import refuse_credentials
from nl2sql_align.tasks.warehouse.folder import digest_file
from nl2sql_align.tasks.warehouse.regular_files import open_regular

if TYPE_CHECKING:
    import duckdb
    import polars as pl

PART_DRAWS: Final = 20
"""The number of random parts of a training set for each size."""

MEASURES: Final = (
    "alignment_ratio",
    "headroom_ratio",
    "train_alignment",
    "predictions_alignment",
    "train_js_nats",
    "predictions_js_nats",
)
"""The measures that are compared with the gain."""

RATIOS: Final = ("alignment_ratio", "headroom_ratio")
"""The measures that predict: above 1 a gain, otherwise none."""

_FEW_STARTING_POINTS: Final = 10
# The columns of outcomes with the names of corpora, called like the roles that these have.
_ROLES: Final = ("predictions", "train", "target")

_OUTCOME_SCHEMA: Final = {
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
    *_OUTCOME_SCHEMA,
    "gain",
    "part",
    "is_tuned",
    "outcome_case",
    *MEASURES,
)
_SUMMARY_SCHEMA: Final = {
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
_PARTS_SCHEMA: Final = {
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

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Outcome(BaseModel):
    """A row of a file of outcomes: a model's scores before and after tuning.

    Attributes:
        model: The model.
        predictions: The corpus of its answers before this tuning.
        train: The corpus that it was tuned on.
        train_rows: The number of rows of it that were used; all if empty.
        target: The corpus whose questions were asked.
        metric: The name of the score. Metrics are evaluated separately.
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
    """Read the outcomes in a CSV file with a header. Additional columns are ignored.

    The separator is recognized as in dumps.

    Raises:
        ConfigurationError: The file cannot be read, lacks a column or rows, contains a row twice,
            or has a wrong value. The message names file, line and column.
    """
    try:
        with (
            open_regular(path) as raw,
            io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file,
        ):
            text = file.read()
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=find_separator(text))
        return list(_parse_outcomes(path, reader))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a CSV file of outcomes") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} is not a CSV file in UTF-8 ({error})") from None


def _parse_outcomes(path: Path, reader: "csv.DictReader[str]") -> Iterator[Outcome]:
    needed = list(Outcome.model_fields)
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigurationError(
            f"{path}, line 1: no column {', '.join(missing)}; the header needs {','.join(needed)}"
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
                "remove one of them"
            )
        lines[key] = reader.line_num
        yield outcome
    if not lines:
        raise ConfigurationError(f"{path} has no outcomes")


@dataclass(frozen=True)
class Calibration:
    """Outcomes compared with the ratios.

    Attributes:
        rows: The outcomes whose corpora are in the warehouse, each with ``gain`` (after - before),
            ``part`` (``whole``, ``part`` or ``more``: how ``train_rows`` compares with the corpus),
            ``is_tuned`` (the predictions are those of a tuned model), ``outcome_case`` (both in
            words) and the measures.
        summary: A row per metric, case and measure: the numbers of rows, starting points, models
            and gains; for ratios the counts ``n_true_gain``, ``n_false_gain``, ``n_missed_gain``,
            ``n_true_none`` and the best cut with its interval; Spearman's and Pearson's correlation
            with the gain, with 95% intervals; null where undefined.
        misses: The outcomes that contradict the Alignment Ratio.
        parts: The alignments of random parts of training sets, of the sizes in the outcomes, and of
            the whole sets.
        left_out: The number of outcomes left out for each corpus without a ratio in the warehouse;
            an outcome may lack several.
        n_left_out: The number of outcomes left out.
        hints: For each corpus without a ratio, the closest name in the warehouse, or all names.
        tuning: The rows of ``tuning_effect`` for the models in the outcomes.
        remarks: Sentences on the limits of these outcomes.
    """

    rows: "pl.DataFrame"
    summary: "pl.DataFrame"
    misses: "pl.DataFrame"
    parts: "pl.DataFrame"
    left_out: dict[str, int]
    n_left_out: int
    hints: dict[str, str]
    tuning: "pl.DataFrame"
    remarks: list[str]


def calibrate(
    place: Path | str,
    outcomes: Path | str,
    *,
    seed: int = 0,
    replicates: int = CALIBRATION_REPLICATES,
    splits: int = HEADROOM_SPLITS,
) -> Calibration:
    """Compare outcomes of fine-tuning with the ratios.

    Records the result in tables ``calibration``, ``calibration_summary`` and ``calibration_parts``
    of the published database, in place of earlier rows from the same file.

    Args:
        place: The warehouse folder, or its address on an object store.
        outcomes: A CSV file: ``model,predictions,train,train_rows,target,metric,before,after``.
        seed: The seed of bootstrap, random parts and splits.
        replicates: The number of bootstrap replicates.
        splits: The number of splits of the target for the Headroom Ratio.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: The file is wrong, or none of its outcomes has a ratio.
    """
    import polars as pl

    from nl2sql_align.tasks.results.record import last_run_id, record_decision

    refuse_credentials(outcomes)
    path = Path(outcomes)
    given = read_outcomes(path)
    with open_results(place) as con:
        run_id = last_run_id(con)
        ratios = query_sql(con, "decisions/calibration/ratios").pl()
        roles = dict(con.execute("select corpus, role from corpora order by rowid").fetchall())
        effects: pl.DataFrame = query_sql(con, "decisions/calibration/tuning").pl()
    table = pl.DataFrame([one.model_dump() for one in given], schema=_OUTCOME_SCHEMA)
    joined = table.join(
        ratios, on=["train", "target", "predictions"], how="left", maintain_order="left"
    )
    known = joined.filter(pl.col("alignment_ratio").is_not_null())
    left_out = _count_left_out(joined.filter(pl.col("alignment_ratio").is_null()), roles)
    hints = _suggest_names(joined, roles)
    if known.is_empty():
        listed = ", ".join(
            f"{name} ({hints[name]})" if name in hints else name for name in left_out
        )
        raise ConfigurationError(
            f"{path}: no outcome has an Alignment Ratio in {place}; without: {listed}"
        )
    pairs = set(known.select("train", "predictions").iter_rows())
    second = headroom(place, pairs=pairs, splits=splits, seed=seed)
    rows = _add_cases(
        known.join(
            second.select("train", "target", "predictions", "headroom_ratio"),
            on=["train", "target", "predictions"],
            how="left",
            maintain_order="left",
        )
    )
    summary = _summarize(rows, seed, replicates)
    parts = _compare_parts(place, rows, seed)
    source = {"outcomes": str(path.resolve())}
    traced = {
        **source,
        "outcomes_digest": digest_file(path),
        "seed": str(seed),
        "run_id": run_id,
    }
    for name, frame, more in (
        ("calibration", rows.select(_ROW_COLUMNS), {"n_splits": splits}),
        ("calibration_summary", summary, {"n_replicates": replicates}),
        ("calibration_parts", parts, {}),
    ):
        constants = [pl.lit(value).alias(key) for key, value in {**traced, **more}.items()]
        record_decision(place, name, frame.with_columns(constants), source)
    return Calibration(
        rows=rows.select(_ROW_COLUMNS),
        summary=summary,
        misses=rows.filter((pl.col("alignment_ratio") > 1) != (pl.col("gain") > 0)).select(
            _ROW_COLUMNS
        ),
        parts=parts,
        left_out=left_out,
        n_left_out=len(joined) - len(known),
        hints=hints,
        tuning=effects.filter(
            pl.col("model").is_in(rows["model"].unique().implode())
            & pl.col("target").is_in(rows["target"].unique().implode())
        ),
        remarks=_write_remarks(rows, parts),
    )


def _count_left_out(rows: "pl.DataFrame", roles: Mapping[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows.iter_rows(named=True):
        names = [row[key] for key in _ROLES]
        missing = [name for name in names if name not in roles] or [" with ".join(names)]
        for name in missing:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _suggest_names(rows: "pl.DataFrame", roles: Mapping[str, str]) -> dict[str, str]:
    """Return a hint for each name that is not among the corpora."""
    return {
        name: suggest(name, (one for one, its_role in roles.items() if its_role == role))
        for role in _ROLES
        for name in rows[role].unique(maintain_order=True)
        if name not in roles
    }


def _add_cases(rows: "pl.DataFrame") -> "pl.DataFrame":
    """Return the outcomes with the gain and the case of each."""
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
    # Scores have few digits; rounding removes what the subtraction adds.
    gain = (pl.col("after") - pl.col("before")).round(9)
    return rows.with_columns(gain.alias("gain"), part.alias("part")).with_columns(
        case.alias("outcome_case")
    )


def _summarize(rows: "pl.DataFrame", seed: int, replicates: int) -> "pl.DataFrame":
    import polars as pl

    found: list[dict[str, Any]] = []
    for (metric,), of_metric in rows.group_by(["metric"], maintain_order=True):
        cases = [(str(case), part) for (case,), part in of_metric.group_by("outcome_case")]
        for case, part in [("all", of_metric), *sorted(cases, key=lambda pair: pair[0])]:
            for measure in MEASURES:
                measured = part.filter(pl.col(measure).is_not_null())
                x, gain = measured[measure].to_numpy(), measured["gain"].to_numpy()
                row: dict[str, Any] = {
                    "metric": metric,
                    "outcome_case": case,
                    "measure": measure,
                    "n_rows": len(measured),
                    "n_starting_points": measured["predictions"].n_unique(),
                    "n_models": measured["model"].n_unique(),
                    "n_gained": int((gain > 0).sum()),
                    **correlations(x, gain),
                }
                if measure in RATIOS:
                    row.update(_count_predictions(x, gain))
                    starts = measured["predictions"].to_list()
                    name = f"{seed}|{metric}|{case}|{measure}"
                    row.update(best_cut(x, gain, starts, name, replicates))
                found.append(row)
    return pl.DataFrame(found, schema=_SUMMARY_SCHEMA)


def _count_predictions(ratio: Floats, gain: Floats) -> dict[str, int]:
    predicted, gained = ratio > 1, gain > 0
    return {
        "n_true_gain": int((predicted & gained).sum()),
        "n_false_gain": int((predicted & ~gained).sum()),
        "n_missed_gain": int((~predicted & gained).sum()),
        "n_true_none": int((~predicted & ~gained).sum()),
    }


def correlations(x: Floats, y: Floats) -> dict[str, float | None]:
    """Return Spearman's and Pearson's correlation, each with a 95% interval.

    Intervals are by Fisher's z; for Spearman with the standard error ``sqrt((1 + r^2 / 2) / (n -
    3))`` of Bonett and Wright (Psychometrika 65, 2000). A correlation of 1 has no interval.
    Intervals assume independent rows. They are too narrow for several outcomes of one model.

    Returns:
        ``spearman``, ``pearson`` and their ``_low`` and ``_high``; None if there are fewer than 4
        rows, or one side does not vary.
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
    name: str,
    replicates: int = CALIBRATION_REPLICATES,
) -> dict[str, float | None]:
    """Find the ratio that best separates gains from other outcomes, with an interval.

    The cut puts the fewest outcomes on the wrong side. Of several such cuts, it is the middle of
    the widest gap between neighboring ratios. The interval contains the middle 95% of the cuts of
    bootstrap samples that have outcomes of both kinds. Starting points are drawn with all their
    outcomes, which are not independent because they share a ratio's denominator.

    Args:
        ratio: The ratio of each outcome.
        gain: Its gain.
        starts: The predictions that it started from.
        name: The name of the random draws, from which they are hashed.
        replicates: The number of bootstrap samples.

    Returns:
        ``cut``, ``cut_low``, ``cut_high``; None if all outcomes are of one kind, and no interval
        for a single starting point.
    """
    cut = _find_cut(ratio, gain > 0)
    if cut is None:
        return {"cut": None, "cut_low": None, "cut_high": None}
    _, start = np.unique(starts, return_inverse=True)
    rows_of = [np.flatnonzero(start == number) for number in range(start.max() + 1)]
    cuts = []
    for replicate in range(replicates if len(rows_of) > 1 else 0):
        drawn = _generator(f"{name}|{replicate}").integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[number] for number in drawn])
        if (found := _find_cut(ratio[rows], gain[rows] > 0)) is not None:
            cuts.append(found)
    low, high = np.quantile(cuts, [0.025, 0.975]) if cuts else (None, None)
    return {
        "cut": cut,
        "cut_low": None if low is None else float(low),
        "cut_high": None if high is None else float(high),
    }


def _find_cut(ratio: Floats, gained: npt.NDArray[np.bool_]) -> float | None:
    if gained.all() or not gained.any():
        return None
    values = np.unique(ratio)
    if len(values) == 1:
        return None
    wrong = [
        int((gained & (ratio <= value)).sum() + (~gained & (ratio > value)).sum())
        for value in values[:-1]
    ]
    gaps = np.diff(values)
    best = max(
        (index for index, count in enumerate(wrong) if count == min(wrong)),
        key=lambda index: (gaps[index], -index),
    )
    return float((values[best] + values[best + 1]) / 2)


def _generator(name: str) -> np.random.Generator:
    """Return a separate random generator for each use, so that no draw depends on earlier ones."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()))


def _compare_parts(place: Path | str, rows: "pl.DataFrame", seed: int) -> "pl.DataFrame":
    """Return the alignments of random parts of the training sets, of the sizes in the outcomes."""
    import polars as pl

    found: list[dict[str, Any]] = []
    sizes = rows.filter(pl.col("part") == "part").select("train", "target", "train_rows").unique()
    with open_results(place) as con:
        for (train, target), part in sizes.sort(sizes.columns).group_by(
            ["train", "target"], maintain_order=True
        ):
            names = [str(train), str(target)]
            templates = query_sql(con, "decisions/headroom/templates", corpora=names).pl()
            matrix = ngram_incidence(templates["template"]).counts
            weights, of_target = (
                _read_weights(con, name, templates["template_id"]) for name in names
            )
            target_counts = of_target @ matrix
            q = target_counts / target_counts.sum()
            queries = np.repeat(np.arange(len(weights)), weights)
            for n_rows in part["train_rows"]:
                drawn = []
                for draw in range(PART_DRAWS):
                    generator = _generator(f"{seed}|part|{train}|{n_rows}|{draw}")
                    some = np.bincount(
                        generator.permutation(queries)[:n_rows], minlength=len(weights)
                    )
                    drawn.append(_alignment(some @ matrix, q))
                found.append(
                    {
                        "train": train,
                        "target": target,
                        "train_rows": n_rows,
                        "n_draws": PART_DRAWS,
                        "alignment_whole": _alignment(weights @ matrix, q),
                        "alignment_mean": round(float(np.mean(drawn)), 12),
                        "alignment_sd": round(float(np.std(drawn, ddof=1)), 12),
                        "alignment_low": min(drawn),
                        "alignment_high": max(drawn),
                    }
                )
    return pl.DataFrame(found, schema=_PARTS_SCHEMA)


def _read_weights(
    con: "duckdb.DuckDBPyConnection", corpus: str, template_ids: "pl.Series"
) -> Integers:
    """Return the number of queries of a corpus with each template."""
    counts = dict(query_sql(con, "decisions/calibration/templates", corpus=corpus).fetchall())
    return np.array([counts.get(template, 0) for template in template_ids], np.int64)


def _alignment(ngrams: Integers, q: Floats) -> float:
    occurs = ngrams > 0
    p, q = ngrams[occurs] / ngrams.sum(), q[occurs]
    # To 12 digits, because processors differ in the last bits of a logarithm.
    return round(alignment(float(skew_terms(p, q).sum())), 12)


def _write_remarks(rows: "pl.DataFrame", parts: "pl.DataFrame") -> list[str]:
    """Return sentences on what outcomes like these can and cannot show."""
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
                f"No {name} in these outcomes lost, so they do not show how well losses are "
                "predicted."
            )
        elif n_starts < _FEW_STARTING_POINTS:
            said.append(
                f"Losses of a {name}: {len(lost):,}, from "
                f"{count_noun(n_starts, 'starting point')}. These are too few to judge how well "
                "losses are predicted."
            )
    if rows.select("train", "target").n_unique() == 1:
        said.append(
            f"All outcomes have the training set {rows['train'][0]} and the target "
            f"{rows['target'][0]}. The alignment of these is the same in every row, so a "
            "correlation with the ratio is one with the alignment of the predictions alone. These "
            "outcomes do not show whether the ratio chooses well between training sets."
        )
    elif rows["train"].n_unique() == 1:
        said.append(
            "All outcomes have one training set, so they do not show how well the ratio chooses."
        )
    if rows["predictions"].n_unique() < len(rows):
        said.append(
            f"{len(rows):,} outcomes start from "
            f"{count_noun(rows['predictions'].n_unique(), 'set')} of predictions by "
            f"{count_noun(rows['model'].n_unique(), 'model')}. They are not independent, so the "
            "intervals are too narrow."
        )
    return [*said, *_describe_parts(rows, parts)]


def _describe_parts(rows: "pl.DataFrame", parts: "pl.DataFrame") -> list[str]:
    """Return sentences on how far random parts are from the whole, and how ratios would change."""
    import polars as pl

    said: list[str] = []
    differ = (pl.col("alignment_mean") - pl.col("alignment_whole")).abs()
    for (train, target), sizes in parts.group_by(["train", "target"], maintain_order=True):
        farthest = sizes.sort(differ, "train_rows", descending=[True, False]).row(0, named=True)
        own = rows.join(sizes, on=["train", "target", "train_rows"], how="inner")
        by_part = own["alignment_ratio"] * own["alignment_mean"] / own["alignment_whole"]
        n_crossed = int(((by_part > 1) != (own["alignment_ratio"] > 1)).sum())
        said.append(
            f"Random parts of {train} differ from the whole in their alignment with {target} by "
            f"at most {abs(farthest['alignment_mean'] - farthest['alignment_whole']):.3f} "
            f"({farthest['train_rows']:,} rows: {farthest['alignment_mean']:.3f} with a standard "
            f"deviation of {farthest['alignment_sd']:.3f}; the whole: "
            f"{farthest['alignment_whole']:.3f}). With the alignments of the parts, "
            f"{n_crossed:,} of {count_noun(len(own), 'outcome')} would have a ratio on the other "
            "side of 1."
        )
    return said
