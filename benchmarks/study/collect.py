"""From the files of a run to the table of outcomes, with the measures of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.study.design import Corpora, TrainingSet
from benchmarks.study.measures import Measures, known_queries, make_sets
from benchmarks.study.questions import question_reach
from benchmarks.study.spelling import Spelling

METRIC: Final = "template_match"
MODEL: Final = "small-gru"
_LEAST: Final = 1e-3
COLUMNS: Final = (
    "model", "predictions", "train", "train_rows", "target", "metric", "before", "after",
    "start", "set", "kind", "seed", "is_tuned", "change", "alignment_ratio", "js_ratio",
    "reach_ratio_sources", "reach_ratio", "reach_ratio_groups", "keyword_ratio", "reverse_ratio",
    "coverage_ratio", "template_coverage", "ngram_coverage", "answers_coverage", "parsed_share",
    "question_reach",
)  # fmt: skip
"""The columns of the committed outcomes: first those that ``calibrate`` reads."""


def set_name(training: TrainingSet) -> str:
    """Return the name of a training set as a corpus."""
    plain = training.name.replace(":", "-").replace("+", ".")
    return f"{plain}.seed{training.seed}"


def read_runs(folder: Path) -> pl.DataFrame:
    """Return the outcomes of all parts of a run, in a fixed order."""
    parts = [pl.read_csv(path) for path in sorted(folder.glob("outcomes-*.csv"))]
    return pl.concat(parts).sort("seed", "base", "stage", "start", "train", "target")


@dataclass(frozen=True)
class Collected:
    """The outcomes of a run.

    Attributes:
        outcomes: A row per outcome, with the columns ``COLUMNS``.
        measures: Their measures.
        answers: The answers of each starting model, by target.
    """

    outcomes: pl.DataFrame
    measures: Measures
    answers: Mapping[str, Mapping[str, list[str | None]]]


def collect(folder: Path, corpora: Corpora) -> Collected:
    """Return the outcomes with their measures.

    The folder keeps those of training sets in ``sets.json``: remove it after a change of measures.
    """
    runs = read_runs(folder)
    sets = [
        TrainingSet(train, kind, seed)
        for train, kind, seed in runs.select("train", "kind", "seed")
        .unique(maintain_order=True)
        .rows()
    ]
    starts = runs["start"].unique(maintain_order=True).to_list()
    answers = {
        name: json.loads((folder / "starts" / f"{name}.json").read_text("utf-8")) for name in starts
    }
    measures = Measures(
        corpora,
        Spelling(known_queries(corpora)),
        make_sets(corpora, sets),
        [some for of_start in answers.values() for some in of_start.values()],
    )
    of_sets = _measure_sets(folder / "sets.json", measures)
    of_answers = pl.DataFrame(
        [
            {
                "start": name,
                "target": target,
                **_named(measures.measure_answers(some, target), "b_"),
            }
            for name, by_target in answers.items()
            for target, some in by_target.items()
        ]
    )
    joined = runs.join(of_sets, on=["train", "seed", "target"], how="left").join(
        of_answers, on=["start", "target"], how="left"
    )
    return Collected(_add_ratios(joined), measures, answers)


def _named(values: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in values.items()}


def _measure_sets(cache: Path, measures: Measures) -> pl.DataFrame:
    known: dict[str, dict[str, dict[str, float]]] = (
        json.loads(cache.read_text("utf-8")) if cache.exists() else {}
    )
    rows = []
    for chosen, of_set in measures.sets.items():
        name = f"{chosen.name} {chosen.seed}"
        if name not in known:
            by_question = question_reach(of_set, dict(measures.corpora.targets))
            known[name] = {
                target: {
                    **measures.measure_set(chosen, target),
                    "question_reach": round(by_question[target], 6),
                }
                for target in measures.corpora.targets
            }
            cache.write_text(json.dumps(known), "utf-8")
        rows += [
            {"train": chosen.name, "seed": chosen.seed, "target": target, **_named(values, "t_")}
            for target, values in known[name].items()
        ]
    return pl.DataFrame(rows)


def _add_ratios(joined: pl.DataFrame) -> pl.DataFrame:
    def ratio(name: str, of_set: str, of_answers: str) -> pl.Expr:
        # Answers may have no template of the target.
        sides = (
            pl.max_horizontal(side, pl.lit(_LEAST)) for side in (f"t_{of_set}", f"b_{of_answers}")
        )
        return (next(sides) / next(sides)).round(4).alias(name)

    corpus = [
        set_name(TrainingSet(name, kind, seed))
        for name, kind, seed in joined.select("train", "kind", "seed").iter_rows()
    ]
    return joined.with_columns(
        pl.lit(MODEL).alias("model"),
        pl.lit(METRIC).alias("metric"),
        pl.format("{}.{}", "start", "target").alias("predictions"),
        pl.col("train").alias("set"),
        pl.Series("train", corpus),
        pl.col("tuned_on").is_not_null().alias("is_tuned"),
        (pl.col("after") - pl.col("before")).round(6).alias("change"),
        ratio("alignment_ratio", "kl_alignment", "kl_alignment"),
        ratio("js_ratio", "js_alignment", "js_alignment"),
        ratio("keyword_ratio", "keyword_alignment", "keyword_alignment"),
        ratio("reverse_ratio", "reverse_alignment", "reverse_alignment"),
        ratio("coverage_ratio", "template_coverage", "template_coverage"),
        ratio("reach_ratio_sources", "reach_sources", "kl_alignment"),
        ratio("reach_ratio", "reach_databases", "kl_alignment"),
        ratio("reach_ratio_groups", "reach_groups", "kl_alignment"),
        *(
            pl.col(f"{side}_{measure}").round(4).alias(name)
            for name, side, measure in (
                ("template_coverage", "t", "template_coverage"),
                ("ngram_coverage", "t", "ngram_coverage"),
                ("answers_coverage", "b", "template_coverage"),
                ("parsed_share", "b", "parsed_share"),
                ("question_reach", "t", "question_reach"),
            )
        ),
    ).select(COLUMNS)
