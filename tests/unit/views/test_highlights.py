"""The main findings of a run: at most three sentences, with the published numbers."""

import duckdb
import polars as pl

from nl2sql_align.tasks.results import read
from nl2sql_align.tasks.views.highlights import describe_results, find_highlights
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.unit.results.test_publish import ALL, runner

PAIR = {"source_role": "train", "target_role": "target", "exact_overlap": 0.0}


def pairs(*rows):
    return pl.DataFrame(
        [
            {**PAIR, "source_parsed_share": 1.0, "source": source, "target": target, "doubts": []}
            | {"kl_alignment": alignment, "ci_low": alignment - 0.03, "ci_high": alignment + 0.03}
            | more
            for source, target, alignment, more in rows
        ],
        schema_overrides={"doubts": pl.List(pl.String)},
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
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        n_answered=pl.lit(200),
        n_questions=pl.lit(1034),
        is_part=pl.col("predictions") == "part",
        doubts=pl.lit([], pl.List(pl.String)),
    )


def describe(some_pairs, some_ratios):
    return describe_results(some_pairs.to_dicts(), some_ratios.to_dicts(), "my w")


def test_the_closest_training_sets_of_three_targets_are_named():
    rows = [(s, t, a, {}) for t in "wxyz" for s, a in (("near", 0.9), ("far", 0.5))]
    closest, _ = describe(pairs(*rows), ratios()).sentences
    assert closest == (
        "Closest training sets: near to w (0.90), near to x (0.90), near to y (0.90), and 1 more."
    )


def test_a_second_opinion_on_the_closest_training_set_follows():
    doubts = [f"by JS alignment, far is closer to {t} than near (0.6 and 0.5)" for t in "xy"]
    known = {"x": doubts[:1], "y": doubts[1:], "z": ["z has 8 queries"]}
    rows = [("near", target, 0.9, {"doubts": some}) for target, some in known.items()]
    closest, *_ = describe(pairs(*rows), ratios()).sentences
    assert closest == (
        "Closest training sets: near to x (0.90), near to y (0.90), near to z (0.90); "
        f"{doubts[0]}, and so for 1 more."
    )


def test_verdicts_of_untuned_models_are_counted_and_the_surest_gain_named():
    found = ratios(
        ("wide", "base", None, 1.5, 1.01, 2.0, "gain"),
        ("sure", "base", None, 1.3, 1.2, 1.4, "gain"),
        ("near", "base", None, 1.0, 0.9, 1.1, "undecided"),
        ("near", "tuned", "near", 0.5, 0.4, 0.6, "no gain"),
        ("near", "bare", None, 1.1, None, None, None),
    )
    _, verdicts, _ = describe(pairs(("near", "dev", 0.9, {})), found).sentences
    assert verdicts == (
        "Alignment Ratios of untuned models: 2 gain, 1 undecided, 0 no gain; "
        "the surest gain: sure for base, 1.30 (1.20 to 1.40)."
    )


def test_a_gain_on_a_part_of_the_target_says_so():
    found = ratios(("sure", "part", None, 1.3, 1.2, 1.4, "gain"))
    _, verdicts, _ = describe(pairs(("near", "dev", 0.9, {})), found).sentences
    assert "the surest gain: sure for part (200 of 1,034 questions), 1.30" in verdicts


def test_leakage_is_a_more_important_warning_than_rejected_queries():
    leak = {"exact_overlap": 0.25, "source_parsed_share": 0.5}
    shown = pairs(("near", "dev", 0.9, leak), ("far", "dev", 0.5, {}))
    found = describe(shown, ratios())
    _, beware = found.sentences
    assert beware == found.warning
    assert beware.startswith("Warning: near contains 25.0% of the queries of dev; 1 of 2 ")
    _, beware = describe(shown.with_columns(exact_overlap=pl.lit(0.0)), ratios()).sentences
    assert beware == "Warning: only 50% of near parses; see nl2sql-align rejects."


def test_the_absence_of_warnings_is_reported():
    found = describe(pairs(("near", "dev", 0.9, {"source_parsed_share": 0.979})), ratios())
    _, beware = found.sentences
    assert found.warning == ""
    assert beware == (
        "No warnings: at least 97% of every corpus parses, and no training set contains 0.5% or "
        "more of a target's queries."
    )


def test_corpora_that_parse_as_a_whole_are_said_to():
    _, health = describe(pairs(("near", "dev", 0.9, {})), ratios()).sentences
    assert health.startswith("No warnings: every query of every corpus parses, and no training set")


def test_an_overlap_that_is_unknown_without_texts_is_no_absence_of_overlap():
    shown = pairs(("a", "dev", 0.8, {}), ("b", "dev", 0.7, {"exact_overlap": None}))
    _, health = describe(shown, ratios()).sentences
    assert health.endswith("queries, as far as texts are kept (1 of 2 pairs are unknown).")
    _, health = describe(shown.filter(source="b"), ratios()).sentences
    assert health.endswith("; whether training sets contain queries of a target is unknown.")
    leak = pairs(("a", "dev", 0.8, {"exact_overlap": 0.25}))
    _, beware = describe(pl.concat([shown.filter(source="b"), leak]), ratios()).sentences
    assert beware.startswith("Warning: a contains 25.0% of the queries of dev;")


def test_next_steps_name_these_corpora():
    few = {"source_parsed_share": 0.5}
    found = ratios(("near", "base", None, 1.0, 0.9, 1.1, "undecided"))
    rows = pairs(("far", "dev", 0.5, few), ("near", "dev", 0.9, {}))
    assert [command for command, _ in describe(rows, found).next_steps] == [
        "nl2sql-align ratio 'my w'",
        "nl2sql-align matrix 'my w'",
        "nl2sql-align explain 'my w' near dev",
        "nl2sql-align select 'my w' --target dev --budget 500 --out chosen",
        "nl2sql-align rejects 'my w' far",
    ]


def test_next_steps_are_not_about_a_copy_of_the_target():
    copy = {"exact_overlap": 1.0}
    rows = pairs(("copy", "dev", 1.0, copy), ("near", "dev", 0.9, {}))
    commands = [command for command, _ in describe(rows, ratios()).next_steps]
    assert commands[1] == "nl2sql-align explain 'my w' near dev"
    commands = [command for command, _ in describe(rows[:1], ratios()).next_steps]
    assert commands == ["nl2sql-align matrix 'my w'"]


def test_without_training_sets_and_ratios_there_are_no_sentences():
    found = describe(pairs(("a", "b", 0.9, {"source_role": "target"})), ratios())
    assert found.sentences == []
    assert [command for command, _ in found.next_steps] == ["nl2sql-align matrix 'my w'"]


def test_the_doubt_about_most_numbers_is_named():
    few, copied = "dev has 8 queries", "base copies the target"
    shown = pairs(("near", "dev", 0.9, {"doubts": [few]}), ("far", "dev", 0.5, {"doubts": [few]}))
    found = ratios(("near", "base", None, 1.0, 0.9, 1.1, "undecided"))
    _, _, beware = describe(shown, found).sentences
    assert beware == "Doubtful: dev has 8 queries."
    found = found.with_columns(doubts=pl.lit([copied]))
    _, _, beware = describe(shown, found).sentences
    assert beware == "Doubtful: dev has 8 queries; 1 more in the notes of matrix and ratio."


def test_highlights_of_a_warehouse_are_about_all_of_its_results(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "w")
    runner(warehouse, make_corpus)(*ALL)
    with duckdb.connect(str(warehouse.database)) as con:
        con.execute("update alignment set exact_overlap = 0, doubts = []")
        con.execute("update alignment set source_parsed_share = 0.5 where source = 'base'")
    found = find_highlights(warehouse.folder)
    assert "Warning: only 50% of base parses; see nl2sql-align rejects." in found.warning
    results = [rows(warehouse.folder).to_dicts() for rows in (read.matrix, read.ratio)]
    assert found == describe_results(*results, warehouse.folder, found.notes)
