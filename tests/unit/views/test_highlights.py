"""What a run ends with: at most three sentences, with the published numbers."""

import polars as pl
import pytest

from nl2sql_align.tasks.views import highlights
from nl2sql_align.tasks.views.highlights import highlights as told_of

PAIR = {"source_role": "train", "target_role": "target", "exact_overlap": 0.0}


def pairs(*rows):
    return pl.DataFrame(
        [
            {**PAIR, "source_parsed_share": 1.0, "source": source, "target": target}
            | {"kl_alignment": alignment, "ci_low": alignment - 0.03, "ci_high": alignment + 0.03}
            | more
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
        return told_of("my w")

    return tell


def test_the_closest_of_each_target_of_which_three_are_named(told):
    rows = [(s, t, a, {}) for t in "wxyz" for s, a in (("near", 0.9), ("far", 0.5))]
    closest, _ = told(pairs(*rows), ratios()).sentences
    assert closest == (
        "Closest training sets: near to w (0.90), near to x (0.90), near to y (0.90), and 1 more."
    )


def test_verdicts_of_untuned_models_with_the_surest_gain(told):
    found = ratios(
        ("wide", "base", None, 1.5, 1.01, 2.0, "gain"),
        ("sure", "base", None, 1.3, 1.2, 1.4, "gain"),
        ("near", "base", None, 1.0, 0.9, 1.1, "undecided"),
        ("near", "tuned", "near", 0.5, 0.4, 0.6, "no gain"),
        ("near", "bare", None, 1.1, None, None, None),
    )
    _, verdicts, _ = told(pairs(("near", "dev", 0.9, {})), found).sentences
    assert verdicts == (
        "Alignment Ratios of untuned models: 2 gain, 1 undecided, 0 no gain; "
        "the surest gain: sure for base, 1.30 (1.20 to 1.40)."
    )


def test_leakage_comes_before_what_does_not_parse(told):
    leak = {"exact_overlap": 0.25, "source_parsed_share": 0.5}
    shown = pairs(("near", "dev", 0.9, leak), ("far", "dev", 0.5, {}))
    _, beware = told(shown, ratios()).sentences
    assert beware.startswith("Beware: near holds 25.0% of the queries of dev; 1 of 2 ")
    _, beware = told(shown.with_columns(exact_overlap=pl.lit(0.0)), ratios()).sentences
    assert beware == "Beware: only 50% of near parses; see nl2sql-align rejects."


def test_that_there_is_nothing_to_beware_of_is_told(told):
    _, beware = told(pairs(("near", "dev", 0.9, {"source_parsed_share": 0.97})), ratios()).sentences
    assert beware == (
        "Nothing to beware of: at least 97% of every corpus parses, and no training set holds "
        "0.5% of a target's queries."
    )


def test_next_steps_name_the_corpora_at_hand(told):
    few = {"source_parsed_share": 0.5}
    found = ratios(("near", "base", None, 1.0, 0.9, 1.1, "undecided"))
    rows = pairs(("far", "dev", 0.5, few), ("near", "dev", 0.9, {}))
    assert [command for command, _ in told(rows, found).next_steps] == [
        "nl2sql-align ratio 'my w'",
        "nl2sql-align matrix 'my w'",
        "nl2sql-align explain 'my w' near dev",
        "nl2sql-align select 'my w' --target dev --budget 500 --out chosen",
        "nl2sql-align rejects 'my w' far",
    ]


def test_no_training_set_and_no_ratio_is_nothing_to_tell(told):
    found = told(pairs(("a", "b", 0.9, {"source_role": "target"})), ratios())
    assert found.sentences == []
    assert [command for command, _ in found.next_steps] == ["nl2sql-align matrix 'my w'"]
