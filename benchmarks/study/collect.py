"""From the files of a run to the table of outcomes, with the measures of each."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.study.design import Corpora, TrainingSet
from benchmarks.study.measures import Measures, known_queries, make_sets
from benchmarks.study.questions import question_reach
from benchmarks.study.spelling import Spelling

METRIC: Final = "template_match"
MODEL: Final = "small-gru"
KEPT: Final = (
    "model", "predictions", "train", "train_rows", "target", "metric", "before", "after",
    "base", "stage", "seed", "tuned_on", "kind", "change", "alignment_ratio", "js_ratio",
    "reach_ratio", "reach_ratio_sources", "reach_ratio_databases", "reach_ratio_clusters",
    "keyword_ratio", "reverse_ratio", "coverage_ratio", "template_coverage", "ngram_coverage",
    "answers_coverage", "parsed_share", "question_reach",
)  # fmt: skip


def predictions_name(start: str, target: str) -> str:
    """Return the name of the corpus of a starting model's answers to a target."""
    return f"{start}.{target}"


def set_name(training: TrainingSet) -> str:
    """Return the name of a training set as a corpus."""
    plain = training.name.replace(":", "-").replace("+", ".")
    return f"{plain}.seed{training.seed}"


def read_runs(folder: Path) -> pl.DataFrame:
    """Return the outcomes of all parts of a run, in a fixed order."""
    parts = [pl.read_csv(path) for path in sorted(folder.glob("outcomes-*.csv"))]
    return pl.concat(parts).sort("seed", "base", "stage", "start", "train", "target")


def collect(folder: Path, corpora: Corpora) -> pl.DataFrame:
    """Return the outcomes with their measures. Those of training sets are kept in the folder."""
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
    return _add_ratios(joined)


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
        # Answers without any right template have a coverage of 0.
        below = pl.max_horizontal(f"b_{of_answers}", pl.lit(1e-3))
        return (pl.max_horizontal(f"t_{of_set}", pl.lit(1e-3)) / below).round(4).alias(name)

    names = pl.struct("train", "seed").map_elements(
        lambda row: set_name(TrainingSet(row["train"], "", row["seed"])), pl.String
    )
    reaches = [
        ratio(f"reach_ratio_{by}", f"reach_{by}", "kl_alignment")
        for by in ("sources", "databases", "clusters")
    ]
    return joined.with_columns(
        pl.lit(MODEL).alias("model"),
        pl.lit(METRIC).alias("metric"),
        (pl.col("after") - pl.col("before")).round(6).alias("change"),
        pl.format("{}.{}", "start", "target").alias("predictions"),
        names.alias("train_corpus"),
        ratio("alignment_ratio", "kl_alignment", "kl_alignment"),
        ratio("js_ratio", "js_alignment", "js_alignment"),
        ratio("keyword_ratio", "keyword_alignment", "keyword_alignment"),
        ratio("reverse_ratio", "reverse_alignment", "reverse_alignment"),
        ratio("coverage_ratio", "template_coverage", "template_coverage"),
        *reaches,
        pl.col("t_template_coverage").round(4).alias("template_coverage"),
        pl.col("t_ngram_coverage").round(4).alias("ngram_coverage"),
        pl.col("b_template_coverage").round(4).alias("answers_coverage"),
        pl.col("b_parsed_share").round(4).alias("parsed_share"),
        pl.col("t_question_reach").round(4).alias("question_reach"),
    )
