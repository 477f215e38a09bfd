"""What a run ends with: at most three sentences, with the published numbers."""

import polars as pl
import pytest

from tasks import highlights
from tasks.highlights import highlights as told_of

PAIR = {"source_role": "train", "target_role": "target", "exact_overlap": 0.0}


def pairs(*rows):
    return pl.DataFrame(
        [
            {**PAIR, "source_parsed_share": 1.0, "source": source, "target": target}
            | {"kl_alignment": alignment, **more}
            for source, target, alignment, more in rows
        ]
    )


def ratios(*rows):
    schema = {
        "train": pl.String,
        "predictions": pl.String,
        "trained_on": pl.String,
        "alignment_ratio": pl.Float64,
        "ci_low": pl.Float64,
        "ci_high": pl.Float64,
        "verdict": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.fixture
def told(monkeypatch):
    def tell(some_pairs, some_ratios):
        monkeypatch.setattr(highlights, "matrix", lambda _: some_pairs)
        monkeypatch.setattr(highlights, "ratio", lambda _: some_ratios)
        return told_of("w")

    return tell


def test_the_closest_of_each_target_of_which_three_are_named(told):
    rows = [(s, t, a, {}) for t in "wxyz" for s, a in (("near", 0.9), ("far", 0.5))]
    assert told(pairs(*rows), ratios()) == [
        "Closest training sets: near to w (0.900), near to x (0.900), near to y (0.900), "
        "and 1 more."
    ]


def test_verdicts_of_untuned_models_with_the_surest_gain(told):
    found = ratios(
        ("wide", "base", None, 1.5, 1.01, 2.0, "gain"),
        ("sure", "base", None, 1.3, 1.2, 1.4, "gain"),
        ("near", "base", None, 1.0, 0.9, 1.1, "undecided"),
        ("near", "tuned", "near", 0.5, 0.4, 0.6, "no gain"),
        ("near", "bare", None, 1.1, None, None, None),
    )
    [_, verdicts] = told(pairs(("near", "dev", 0.9, {})), found)
    assert verdicts == (
        "Alignment Ratios of untuned models: 2 gain, 1 undecided, 0 no gain; "
        "the surest gain: sure for base, 1.30 (1.20 to 1.40)."
    )


def test_leakage_comes_before_what_does_not_parse(told):
    leak = {"exact_overlap": 0.25, "source_parsed_share": 0.5}
    shown = pairs(("near", "dev", 0.9, leak), ("far", "dev", 0.5, {}))
    [_, beware] = told(shown, ratios())
    assert beware.startswith("Beware: near holds 25.0% of the queries of dev; 1 of 2 ")
    [_, beware] = told(shown.with_columns(exact_overlap=pl.lit(0.0)), ratios())
    assert beware == "Beware: only 50% of near parses; see nl2sql-align rejects."


def test_no_training_set_and_no_ratio_is_nothing_to_tell(told):
    assert told(pairs(("a", "b", 0.9, {"source_role": "target"})), ratios()) == []
