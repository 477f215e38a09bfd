"""Outcomes of fine-tuning compared with the ratios, and the Headroom Ratio."""

import json
from math import exp, log

import numpy as np
import polars as pl
import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.calibration import (
    best_cut,
    calibrate,
    correlations,
    read_outcomes,
)
from nl2sql_align.tasks.decisions.headroom import headroom
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.views.terminal.calibration import print_calibration
from nl2sql_align.tasks.views.terminal.console import Format
from nl2sql_align.tasks.views.terminal.headroom import print_headroom
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests import reference
from tests.unit.results.test_publish import runner

HEADER = "model,predictions,train,train_rows,target,metric,before,after"
A, B, C, D = (
    "SELECT FROM WHERE =",
    "SELECT COUNT ( * ) FROM GROUP BY",
    "SELECT FROM ORDER BY DESC LIMIT",
    "SELECT FROM WHERE IN ( SELECT FROM )",
)
GOLD = [A, B, C, A, B, C, A, B]
DATABASES = ["one", "one", "two", "two", "three", "three", "four", "four"]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, make_corpus):
    warehouse = Warehouse(tmp_path_factory.mktemp("calibrated"))
    answers = {"role": "predictions", "target": "dev", "model": "m"}
    runner(warehouse, make_corpus)(
        ("train", [A, B, C] * 20, {}),
        ("dev", GOLD, {"role": "target", "db_ids": DATABASES}),
        ("bad", [D] * 8, answers),
        ("right", GOLD, answers),
        ("tuned", [A, B, C, A, B, C, A, D], {**answers, "trained_on": "train"}),
        ("short", GOLD[:-1], answers),
    )
    return warehouse


@pytest.fixture
def outcomes(tmp_path):
    def write(*lines, header=HEADER):
        path = tmp_path / "outcomes.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "outcomes.csv has no outcomes"),
        (("m,bad,train,,dev,em,0.1",), "line 2, column after: Input should be a valid number"),
        (("m,bad,train,,dev,em,0.1,0.2", "m,,train,,dev,em,0,0"), "line 3, column predictions:"),
        (("m,bad,train,ten,dev,em,0.1,0.2",), "line 2, column train_rows: .*not 'ten'"),
        (("m,bad,train,,dev,em,0.1,nan",), "line 2, column after: .*shares from 0 to 1"),
        (("m,bad,train,,dev,em,20.9,65.4",), "line 2, column before: .*not '20.9'; .*0 to 1"),
        (("m,bad,train,,dev,em,0,1", "m,bad,train,,dev,em,0,1"), "line 3: the same .* line 2"),
    ],
)
def test_an_error_names_the_line_and_column_of_a_mistake(outcomes, lines, message):
    with pytest.raises(ConfigurationError, match=message):
        read_outcomes(outcomes(*lines))


def test_a_missing_column_and_an_unreadable_file_are_named(outcomes, tmp_path):
    with pytest.raises(ConfigurationError, match="line 1: no column train_rows, after; the header"):
        read_outcomes(outcomes(header="model,predictions,train,target,metric,before"))
    with pytest.raises(ConfigurationError, match="No such file"):
        read_outcomes(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00model")
    with pytest.raises(ConfigurationError, match="is not a CSV file in UTF-8"):
        read_outcomes(tmp_path / "binary.csv")


def test_a_file_with_semicolons_is_read(outcomes):
    line = "m,bad,train,60,dev,em,0.1,0.6"
    expected = read_outcomes(outcomes(line))
    header = HEADER.replace(",", ";")
    assert read_outcomes(outcomes(line.replace(",", ";"), header=header)) == expected
    with pytest.raises(ConfigurationError, match="line 3, column after: Input should be"):
        read_outcomes(outcomes(line.replace(",", ";"), "m;bad;train;;dev;em;0.1", header=header))


ROWS = (
    "m,bad,train,60,dev,em,0.1,0.6",
    "m,bad,train,10,dev,em,0.1,0.4",
    "m,tuned,train,,dev,em,0.5,0.5",
    "m,right,train,,dev,em,0.9,0.95",
    "m,bad,train,61,dev,ex,0.1,0.6",
    "m,elsewhere,train,,dev,em,0.1,0.6",
)


@pytest.mark.parametrize(
    ("rows", "headline"),
    [
        (["m,bad,train,60,dev,em,0.1,0.6"], "1 outcome agrees with its Alignment Ratio"),
        (
            ["m,bad,train,60,dev,em,0.1,0.6", "m,bad,train,10,dev,em,0.1,0.4"],
            "All 2 outcomes agree with their Alignment Ratio",
        ),
        (["m,bad,train,60,dev,em,0.6,0.1"], "1 of 1 outcome contradicts its Alignment Ratio"),
        (
            ["m,bad,train,60,dev,em,0.1,0.6", "m,bad,trian,,dev,em,0,1", "m,bda,trian,,dev,em,0,1"],
            "1 outcome agrees with its Alignment Ratio; 2 left out, without a ratio",
        ),
    ],
)
def test_the_headline_counts_the_outcomes_and_those_left_out(
    warehouse, outcomes, capsys, rows, headline
):
    found = calibrate(warehouse.folder, outcomes(*rows), replicates=20, splits=2)
    print_calibration(found, Format.TABLE)
    first, *others = capsys.readouterr().out.splitlines()
    assert first == headline
    if found.n_left_out:
        assert "for trian (did you mean 'train'?), bda (did you mean 'bad'?)." in " ".join(
            " ".join(others).split()
        )


def test_outcomes_are_compared_with_their_ratios(warehouse, outcomes):
    found = calibrate(warehouse.folder, outcomes(*ROWS), replicates=50, splits=3)
    rows = {(r["predictions"], r["train_rows"]): r for r in found.rows.iter_rows(named=True)}
    ratio = reference.alignment_ratio(
        *(reference.Corpus(some, some) for some in ([A, B, C] * 20, [D] * 8, GOLD))
    )
    assert rows["bad", 60]["alignment_ratio"] == pytest.approx(ratio)
    assert {key: row["outcome_case"] for key, row in rows.items()} == {
        ("bad", 60): "base model, whole set",
        ("bad", 10): "base model, part of it",
        ("bad", 61): "base model, more rows than it has",
        ("tuned", None): "tuned model, whole set",
        ("right", None): "base model, whole set",
    }
    assert rows["tuned", None]["gain"] == 0
    assert (found.left_out, found.n_left_out) == ({"elsewhere": 1}, 1)
    assert found.hints == {"elsewhere": "use one of bad, right, tuned, short"}
    every = found.summary.row(
        by_predicate=(pl.col("metric") == "em")
        & (pl.col("outcome_case") == "all")
        & (pl.col("measure") == "alignment_ratio"),
        named=True,
    )
    counts = [every[f"n_{name}"] for name in "true_gain false_gain missed_gain true_none".split()]
    # The model whose answers are right still gains, with a ratio below 1; the tuned one does not.
    above = rows["tuned", None]["alignment_ratio"] > 1
    assert counts == [2, int(above), 1, int(not above)]
    assert (every["n_rows"], every["n_starting_points"], every["n_gained"]) == (4, 3, 3)
    named = {(r["predictions"], r["metric"]) for r in found.misses.iter_rows(named=True)}
    assert ("right", "em") in named and ("bad", "em") not in named
    [part] = found.parts.to_dicts()
    [remark] = [one for one in found.remarks if one.startswith("Random parts of")]
    assert f"{part['alignment_mean']:.3f} with a standard deviation" in remark
    assert part["train_rows"] == 10
    assert part["alignment_whole"] == pytest.approx(rows["bad", 10]["train_alignment"], abs=1e-9)
    assert part["alignment_low"] <= part["alignment_mean"] <= part["alignment_high"]
    remarks = " ".join(found.remarks)
    assert "No base model in these outcomes lost" in remarks
    assert "All outcomes have the training set train and the target dev." in remarks


def test_the_result_is_recorded_and_replaces_the_last_one(warehouse, outcomes, capsys):
    path = outcomes(*ROWS)
    first = calibrate(warehouse.folder, path, replicates=20, splits=2)
    again = calibrate(warehouse.folder, path, replicates=20, splits=2)
    assert again.summary.equals(first.summary) and again.parts.equals(first.parts)
    assert not calibrate(warehouse.folder, path, replicates=20, splits=2, seed=1).parts.equals(
        first.parts
    )
    with open_results(warehouse.folder) as con:
        for table, n in (("calibration", 5), ("calibration_parts", 1)):
            recorded = con.execute(
                f"select run_id, seed from {table} where outcomes = ?", [str(path)]
            ).fetchall()
            assert len(recorded) == n
            assert set(recorded) == {("run-1", "1")}
    print_calibration(first, Format.TABLE)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = " ".join(" ".join(lines).split())
    assert "right on train, em: AR" in shown
    parts = ("contradict their", "do and do not show", "with the gain")
    assert [shown.index(part) for part in parts] == sorted(shown.index(part) for part in parts)
    assert "bad to tuned: 0." in shown
    assert "Left out: 1 outcome, because these results have no ratio for elsewhere (use" in shown
    print_calibration(first, Format.JSON)
    assert json.loads(capsys.readouterr().out)["summary"] == first.summary.to_dicts()


def test_outcomes_of_other_corpora_alone_are_an_error(warehouse, outcomes):
    with pytest.raises(ConfigurationError, match="no outcome has an Alignment Ratio in"):
        calibrate(warehouse.folder, outcomes("m,x,y,,z,em,0,1"))


def test_correlations_and_their_intervals_follow_the_definitions():
    x, y = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 2, 5, 4])
    found = correlations(x, y)
    assert found["spearman"] == pytest.approx(0.8) and found["pearson"] == pytest.approx(0.8)
    assert found["pearson_low"] == pytest.approx(-0.2796, abs=1e-3)  # tanh(atanh(.8) - 1.96/sqrt 2)
    assert found["spearman_low"] < found["pearson_low"]  # Bonett and Wright's is wider
    assert correlations(x, x)["spearman_high"] is None
    assert set(correlations(x, np.ones(5)).values()) == {None}
    assert set(correlations(x[:3], y[:3]).values()) == {None}


def test_the_cut_puts_the_fewest_outcomes_on_the_wrong_side():
    ratio, gain = np.array([0.8, 0.9, 1.1, 1.2]), np.array([-1.0, -1, 1, 1])
    starts = ["a", "b", "c", "d"]
    found = best_cut(ratio, gain, starts, "seed", 200)
    assert found["cut"] == pytest.approx(1.0)
    assert 0.8 < found["cut_low"] < found["cut"] < found["cut_high"] < 1.2
    assert best_cut(ratio, gain, starts, "seed", 200) == found
    alone = best_cut(ratio, gain, [starts[0]] * 4, "seed", 200)
    assert alone == {"cut": found["cut"], "cut_low": None, "cut_high": None}
    assert best_cut(ratio, np.ones(4), starts, "seed")["cut"] is None
    assert best_cut(np.ones(4), gain, starts, "seed")["cut"] is None


def test_outcomes_of_one_starting_point_are_drawn_together():
    ratio, gain = np.array([0.8, 0.9, 1.1, 1.2]), np.array([-1.0, -1, 1, 1])
    # With two starting points, each sample with both kinds contains all outcomes.
    found = best_cut(ratio, gain, ["a", "b", "a", "b"], "seed", 200)
    assert found["cut_low"] < 1 < found["cut_high"]
    both = best_cut(ratio, gain, ["none", "none", "gain", "gain"], "seed", 200)
    assert both["cut_low"] == both["cut"] == both["cut_high"]


# The Headroom Ratio


def test_answers_unlike_the_target_have_headroom_and_right_ones_have_none(warehouse):
    rows = {r["predictions"]: r for r in headroom(warehouse.folder, "dev").iter_rows(named=True)}
    assert rows["bad"]["headroom_ratio"] > 1.2
    assert rows["bad"]["best_weight"] == 1
    # The answers equal the target's own queries, by whose gain the ratio is divided.
    assert rows["right"]["headroom_ratio"] == 1
    assert 1 < rows["tuned"]["headroom_ratio"] < rows["bad"]["headroom_ratio"]
    assert rows["short"]["headroom_ratio"] is None  # it is unknown which question was left out
    assert {row["split_by"] for row in rows.values()} == {"databases"}
    with open_results(warehouse.folder) as con:
        recorded = con.execute("select predictions, headroom_ratio from headroom_ratio").fetchall()
    assert dict(recorded) == {name: row["headroom_ratio"] for name, row in rows.items()}
    print_headroom(headroom(warehouse.folder), warehouse.folder)


def test_one_split_follows_the_definition(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path)
    gold, answers, train = [A, B], [A, D], [B, C]
    keys = {"role": "predictions", "target": "dev"}
    runner(warehouse, make_corpus)(
        ("train", train, {}),
        ("dev", gold, {"role": "target", "db_ids": ["one", "two"]}),
        ("base", answers, keys),
    )
    [found] = headroom(warehouse.folder, "dev", splits=1).to_dicts()

    def divergence(one, weight):
        total = 0.0
        for answered, judged in ((0, 1), (1, 0)):
            p, t = (
                reference.distribution(reference.ngram_counts(some))
                for some in ([one[answered]], train)
            )
            mixed = {n: (1 - weight) * p.get(n, 0) + weight * t.get(n, 0) for n in {*p, *t}}
            q = reference.distribution(reference.ngram_counts([gold[judged]]))
            total += reference.skew_divergence({n: v for n, v in mixed.items() if v > 0}, q) / 2
        return total

    gains = []
    for one in (answers, gold):
        steps = [divergence(one, step / 20) for step in range(21)]
        gains.append(exp((steps[0] - min(steps)) / log(100)))
    assert found["headroom_ratio"] == pytest.approx(gains[0] / gains[1])
    assert found["gold_gain"] == pytest.approx(gains[1])


def test_a_target_without_predictions_is_an_error(warehouse):
    with pytest.raises(ConfigurationError, match="targets with predictions: dev"):
        headroom(warehouse.folder, "train")


@pytest.mark.shared
def test_real_outcomes_are_read(shared_folder):
    assert len(read_outcomes(shared_folder / "outcomes.csv")) == 73


def test_headroom_needs_a_split(tmp_path):
    with pytest.raises(ConfigurationError, match="splits: 0"):
        headroom(tmp_path, splits=0)
