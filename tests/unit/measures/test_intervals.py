"""Intervals, verdicts and ceilings, and which of them a later run computes again."""

import math
import pickle
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import coverage, halves
from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.environment import THREADS_VARIABLE
from nl2sql_align.tasks.measures import replicates
from nl2sql_align.tasks.measures.blocks import BlockLimits, make_block
from nl2sql_align.tasks.measures.bootstrap import poisson_weights, uniforms, unit_keys
from nl2sql_align.tasks.measures.intervals import compute_intervals, list_blocks
from nl2sql_align.tasks.measures.matrix import Content, compute_matrix
from nl2sql_align.tasks.measures.options import (
    ALIGNMENT_REPLICATES,
    FEWEST_REPLICATES,
    MOST_REPLICATES,
    Resampling,
    Unit,
)
from nl2sql_align.tasks.measures.units import (
    count_effective,
    load_sample,
    load_vocabulary,
    own_sample_key,
)
from nl2sql_align.tasks.measures.verdicts import Interval, is_doubtful, student_interval, verdict_of
from nl2sql_align.tasks.ngrams.count import ngram_incidence

JOINED = "SELECT FROM JOIN ON = WHERE ="
COUNTED = "SELECT COUNT ( * ) FROM GROUP BY HAVING COUNT ( * ) >"
NESTED = "SELECT FROM WHERE IN ( SELECT FROM WHERE > )"
PLAIN = "SELECT FROM"
ALL = (JOINED, COUNTED, NESTED, PLAIN)
WINDOW = "SELECT RANK ( ) OVER ( ORDER BY ) FROM"


def queries(n, first=0):
    """Return queries of the templates in turn. All texts differ."""
    return [(f"-- {first + i}", ALL[(i * i + first) % 4]) for i in range(n)]


def databases(n, n_databases):
    return [f"db-{i % n_databases}" for i in range(n)]


@pytest.fixture
def resample(tmp_path, make_corpus):
    """Return a function that resamples corpora, given by name, queries and keys.

    It returns the report and the rows of intervals, ratios and ceilings.
    """

    def resample(*given, folder="intervals", run_blocks=None, **how):
        made = [make_corpus(tmp_path, name, some, **keys) for name, some, keys in given]
        contents = [
            Content(c.content_key, c.entry.name, c.ngrams, c.templates, c.entry.role == "target")
            for c in made
        ]
        pairs = compute_matrix(contents, tmp_path / "pairs").pairs
        given = made, pairs, tmp_path / folder, Resampling(**how)
        blocks = []
        while run_blocks and (more := list_blocks(*given, BlockLimits(1e-9, 1))):
            run_blocks(more)
            blocks += more
        report = compute_intervals(*given, blocks)
        files = (report.intervals, report.ratios, report.ceilings)
        return report, *(pl.read_parquet(file).to_dicts() for file in files)

    return resample


TRAIN = ("train", queries(60, 1), {"db_ids": databases(60, 12)})
DEV = ("dev", queries(30), {"role": "target", "db_ids": databases(30, 6)})
BASE = ("base", queries(30, 3), {"role": "predictions", "target": "dev"})
THREE = (TRAIN, DEV, BASE)


# Weights


def test_a_weight_depends_only_on_seed_replicate_set_and_unit():
    keys = unit_keys("set", ["a", "b", "c"])
    weights = poisson_weights(keys, range(300))
    assert (poisson_weights(keys[1:2], range(100, 300)) == weights[100:, 1:2]).all()
    for other in (unit_keys("other", ["a"]), unit_keys("set", ["a"], seed=1)):
        assert (poisson_weights(other, range(300)) != weights[:, :1]).any()


def test_weights_are_poisson_and_independent():
    from scipy import stats

    keys = unit_keys("set", [str(i) for i in range(200)])
    drawn = uniforms(keys, range(500))
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 0.01
    weights = poisson_weights(keys, range(500))
    cumulated = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(19)])
    assert (weights == np.searchsorted(cumulated, drawn, side="right")).all()
    found = np.bincount(weights.ravel(), minlength=8)[:8]
    wanted = stats.poisson.pmf(range(8), 1) * weights.size
    assert found == pytest.approx(wanted, abs=5 * math.sqrt(wanted.max()))
    correlations = np.corrcoef(weights.T)[np.triu_indices(200, 1)]
    assert abs(correlations.mean()) < 0.001
    assert correlations.std() == pytest.approx(1 / math.sqrt(500), rel=0.1)


# Intervals


def test_an_interval_reaches_a_t_quantile_beyond_the_estimate_and_the_corrected_one():
    from scipy import stats

    replicates = np.array([-0.3, -0.1, -0.2, np.nan])
    interval = student_interval(-0.1, replicates, n_units=5)
    reach = stats.t.ppf(0.975, 4) * 0.1
    assert interval.bias == pytest.approx(-0.1)
    assert interval.standard_error == pytest.approx(0.1)
    assert interval.low == pytest.approx(-0.1 - reach)
    assert interval.high == pytest.approx(0.0 + reach)
    other = student_interval(-0.3, replicates, n_units=5)
    assert (other.low, other.high) == pytest.approx((-0.4 - reach, -0.3 + reach))


def test_a_single_unit_gives_no_interval():
    assert student_interval(-0.1, np.array([-0.1, -0.2]), n_units=1) == Interval()
    assert verdict_of(Interval()) == "undecided"


def test_verdicts():
    assert verdict_of(Interval(0.01, 0.2, 0.1, 0.0)) == "gain"
    assert verdict_of(Interval(-0.2, -0.01, 0.1, 0.0)) == "no gain"
    assert verdict_of(Interval(-0.1, 0.2, 0.1, 0.0)) == "undecided"


def test_an_end_near_a_ratio_of_1_is_doubtful_until_there_are_enough_replicates():
    near = Interval(0.01, 0.4, 0.1, 0.0)
    assert is_doubtful(near, 200, 20)
    assert not is_doubtful(near, 200_000, 20)
    assert not is_doubtful(Interval(0.2, 0.6, 0.1, 0.0), 200, 20)


def test_the_compared_methods_equal_those_of_scipy():
    from scipy import stats

    data = np.random.default_rng(0).gamma(0.7, size=25)
    drawn = np.random.default_rng(1).choice(data, size=(500, 25)).mean(axis=1)
    of = coverage.Quantity(
        data.mean(), drawn, [np.array([np.delete(data, i).mean() for i in range(25)])]
    )
    for method, ours in (
        ("percentile", coverage.percentile),
        ("basic", coverage.basic),
        ("BCa", coverage.bca),
    ):
        result = stats.bootstrap(
            (data,),
            np.mean,
            n_resamples=0,
            method=method,
            bootstrap_result=type("Drawn", (), {"bootstrap_distribution": drawn})(),
        )
        assert ours(of) == pytest.approx(tuple(result.confidence_interval), rel=1e-9), method


def test_intervals_contain_the_truth_where_percentile_intervals_do_not():
    design = coverage.Design("small", 40, 1.1, 200, 40, 30, 30, 20)
    outcome = coverage.run_design(design, 60)
    for name in ("A(T, S)", "AR"):
        at_size, endless = outcome.estimates[name].mean(), outcome.truths[name]
        shipped = outcome.intervals[name]["shipped"]
        assert coverage.coverage(shipped, at_size) >= 0.9
        assert coverage.coverage(shipped, endless) >= 0.85
    percentiles = outcome.intervals["A(T, S)"]["percentile"]
    assert coverage.coverage(percentiles, outcome.truths["A(T, S)"]) < 0.5


def test_the_interval_of_a_half_is_held_against_the_value_of_the_other():
    one, other = halves.Half(0.0, -0.2, 0.1, 9.0), halves.Half(-0.25, -0.3, -0.2, 9.0)
    assert not halves.holds(one, other)
    assert halves.holds(one, other, 1.3)
    assert not halves.holds(other, one, 2.0)


def test_halves_of_alike_databases_hold_each_other_and_an_odd_database_is_missed(monkeypatch):
    rng = np.random.default_rng(1)
    alike = [rng.integers(0, 3, 20) for _ in range(40)]
    odd = [*alike[:-1], np.full(400, 3)]
    templates = pl.Series(["SELECT FROM", "SELECT COUNT ( )", "SELECT WHERE =", "DELETE FROM"])
    design = halves.Halved("spider-train", "spider-dev", "codellama-7b-base")
    shares = []
    for of_train in (alike, odd):
        names = [f"database {n}" for n in range(40)]
        units = {
            "spider-train": halves.Units(names, of_train),
            "spider-dev": halves.Units(names, alike),
            "codellama-7b-base": halves.Units(names[1:], [unit // 2 for unit in alike[1:]]),
        }
        corpora = halves.Corpora(ngram_incidence(templates), units)
        monkeypatch.setattr(halves, "read_corpora", lambda folder, found=corpora: found)
        row = halves.halves_row(design, Path(), 10)
        assert row[0] == "spider-train to spider-dev / codellama-7b-base"
        shares.append([float(cell or "nan") for cell in row[3:]])
    assert shares[0][1] >= 80
    assert shares[1][1] <= 60
    assert shares[1][2] == 100  # fewer than 30 databases in each half


# Resampling corpora


def test_known_databases_are_drawn(resample):
    _, [of_train, of_base], [ratio], [ceiling] = resample(*THREE, replicates=50)
    assert (of_train["source_unit"], of_train["n_source_units"]) == ("database", 12)
    assert (of_train["target_unit"], of_train["n_target_units"]) == ("database", 6)
    assert (of_base["source_unit"], of_base["n_source_units"]) == ("database", 6)
    assert of_base["is_paired"]
    assert (ratio["train_unit"], ratio["predictions_unit"]) == ("database", "database")
    assert ratio["is_paired"]
    assert (ceiling["unit"], ceiling["n_units"], ceiling["n_queries"]) == ("database", 6, 30)


def test_queries_are_drawn_on_request_or_if_databases_are_unknown(resample):
    _, [of_train, _], [ratio], [ceiling] = resample(*THREE, replicates=50, unit=Unit.QUERY)
    assert (of_train["source_unit"], of_train["n_target_units"]) == ("query", 30)
    assert (ratio["n_train_units"], ratio["predictions_unit"]) == (60, "query")
    assert ceiling["unit"] == "query"
    one = ("dev", queries(30), {"role": "target", "db_ids": databases(30, 1)})
    some = ["a", "b"] * 13 + [None] * 4
    half_known = ("train", queries(30, 1), {"db_ids": some})
    _, [of_train], _, [ceiling] = resample(half_known, one, replicates=50)
    assert (of_train["source_unit"], of_train["n_source_units"]) == ("query", 30)
    assert (of_train["target_unit"], ceiling["unit"]) == ("query", "query")


def test_predictions_without_one_for_each_question_are_drawn_alone(resample):
    base = ("base", queries(29, 3), BASE[2])
    _, [_, of_base], [ratio], _ = resample(TRAIN, DEV, base, replicates=50)
    assert not of_base["is_paired"]
    assert (of_base["source_unit"], of_base["n_source_units"]) == ("query", 29)
    assert not ratio["is_paired"]


def test_predictions_that_equal_the_target_are_aligned_with_it_in_every_replicate(resample):
    base = ("base", [(f"-- again {i}", t) for i, (_, t) in enumerate(DEV[1])], BASE[2])
    _, [_, of_base], _, _ = resample(TRAIN, DEV, base, replicates=50)
    assert (of_base["ci_low"], of_base["ci_high"]) == (1, 1)
    assert (of_base["ln_standard_error"], of_base["ln_bias"]) == (0, 0)


def test_a_copy_of_the_target_has_a_ratio_but_no_interval(resample):
    copy = ("copy", DEV[1], {"db_ids": DEV[2]["db_ids"]})
    _, found, ratios, _ = resample(copy, DEV, BASE, replicates=50)
    assert [row["source"] for row in found] == ["base"]
    assert [row["train"] for row in ratios] == ["copy"]
    assert ratios[0]["ci_low"] < 1 / math.exp(0) * 1.5
    assert ratios[0]["ci_low"] is not None


def mixed(name, n_windows):
    rows = [
        (f"-- {name} {i}", WINDOW if i < n_windows else ALL[(i * i + 3) % 4]) for i in range(60)
    ]
    return name, rows, {"db_ids": databases(60, 12)}


def test_more_replicates_are_made_where_a_verdict_needs_them(resample):
    # The upper end of a ratio's interval is far from 1, or near it.
    sets = (mixed("clear", 60), mixed("open", 38), DEV, BASE)
    _, _, ratios, _ = resample(*sets)
    distances = {row["train"]: abs(math.log(row["ci_high"])) for row in ratios}
    assert distances["open"] < 0.02 < 0.06 < distances["clear"]
    assert {row["train"]: row["n_replicates"] for row in ratios} == {
        "clear": FEWEST_REPLICATES,
        "open": MOST_REPLICATES,
    }
    _, _, exactly, _ = resample(*sets, replicates=MOST_REPLICATES, folder="exactly")
    assert [row for row in exactly if row["train"] == "open"] == [
        row for row in ratios if row["train"] == "open"
    ]


def test_a_ceiling_is_between_that_of_halves_and_1(resample):
    *_, [ceiling] = resample(TRAIN, DEV)
    assert ceiling["quarter_alignment"] < ceiling["half_alignment"] < ceiling["ceiling"] < 1
    assert ceiling["half_low"] < ceiling["half_alignment"] < ceiling["half_high"]
    few = ("dev", queries(30), {"role": "target", "db_ids": databases(30, 3)})
    *_, [ceiling] = resample(TRAIN, few)
    assert ceiling["ceiling"] is None
    assert ceiling["half_alignment"] is not None


# What a later run computes


def test_only_new_pairs_are_resampled_with_the_result_of_resampling_all(resample):
    report, *_ = resample(*THREE, replicates=90)
    assert (report.n_pairs, report.n_new) == (2, 2)
    report, *_ = resample(*THREE, replicates=90)
    assert (report.n_pairs, report.n_new) == (2, 0)
    other = ("other", queries(20, 2), {})
    report, *grown = resample(*THREE, other, replicates=90)
    assert (report.n_pairs, report.n_new) == (3, 1)
    _, *scratch = resample(*THREE, other, folder="scratch", replicates=90)
    assert grown == scratch


@pytest.mark.parametrize("n_templates", [1, 40])
def test_counting_the_ngrams_of_a_new_source_or_of_its_target_changes_no_bit(resample, n_templates):
    """The program counts the fewer: those of a small source, or those of the target."""
    long = [" ".join([f"W{i}_{k}" for k in range(8)]) for i in range(n_templates)]
    new = [(f"-- {template}", template) for template in (WINDOW, *long)]
    some = (*THREE, ("new", [("-- plain", PLAIN), *new], {}))
    resample(*THREE, folder="grown")
    _, *grown = resample(*some, folder="grown")
    _, *scratch = resample(*some, folder="scratch")
    assert grown == scratch


def test_other_texts_with_the_same_templates_change_no_interval(resample):
    _, *given = resample(*THREE, replicates=40, folder="given")
    name, some, keys = DEV
    reworded = (name, [(f"{sql} again", template) for sql, template in some], keys)
    _, *found = resample(TRAIN, reworded, BASE, replicates=40, folder="reworded")
    samples = {"target_sample"}
    for before, after in zip(given, found, strict=True):
        assert [{k: v for k, v in row.items() if k not in samples} for row in after] == [
            {k: v for k, v in row.items() if k not in samples} for row in before
        ]


def test_units_count_by_weight():
    assert count_effective(np.array([5.0, 5.0, 5.0])) == pytest.approx(3)
    assert count_effective(np.array([9.0, 1.0])) == pytest.approx(100 / 82)
    assert count_effective(np.zeros(2)) == 0


def test_replicates_of_a_longer_run_change_nothing(resample):
    _, *first = resample(*THREE, replicates=40, folder="first")
    resample(*THREE, replicates=90)
    _, *again = resample(*THREE, replicates=40)
    assert again == first


def test_answers_that_are_added_change_no_interval_of_an_alignment(resample):
    report, [alone], ratios, _ = resample(TRAIN, DEV)
    assert ratios == []
    assert alone["n_replicates"] == ALIGNMENT_REPLICATES
    report, found, [ratio], _ = resample(*THREE)
    assert [row for row in found if row["source"] == "train"] == [alone]
    assert ratio["n_replicates"] >= FEWEST_REPLICATES
    assert (report.n_pairs, report.n_new) == (2, 2)  # the pair of a ratio needs more replicates
    _, *scratch = resample(*THREE, folder="scratch")
    assert [found, [ratio]] == scratch[:2]


def test_a_run_that_was_killed_between_its_files_is_completed(resample):
    report, *first = resample(*THREE)
    report.ratios.unlink()
    report.ceilings.unlink()
    again, *tables = resample(*THREE)
    assert tables == first
    assert again.n_new == 0


@pytest.mark.parametrize("threads", ["1", "4"])
def test_threads_and_order_change_no_bit(resample, monkeypatch, threads):
    _, *first = resample(*THREE, folder="first")
    monkeypatch.setenv(THREADS_VARIABLE, threads)
    _, *second = resample(*THREE[::-1], folder="second")
    for one, other in zip(first, second, strict=True):
        assert sorted(map(repr, one)) == sorted(map(repr, other))


def test_large_corpora_are_read_one_after_the_other(resample, monkeypatch):
    _, *first = resample(*THREE, folder="first")
    monkeypatch.setenv(THREADS_VARIABLE, "4")
    monkeypatch.setattr(replicates, "_SMALL_CORPUS", 0)
    running = threading.Lock()

    def load_alone(*given):
        assert running.acquire(blocking=False), "another corpus is read at the same time"
        time.sleep(0.01)
        try:
            return load_sample(*given)
        finally:
            running.release()

    monkeypatch.setattr(replicates, "load_sample", load_alone)
    other = ("other", queries(60, 2), {"db_ids": databases(60, 10)})
    _, *second = resample(*THREE, other, folder="second")
    for one, of_both in zip(first, second, strict=True):
        assert {*map(repr, one)} <= {*map(repr, of_both)}


def test_blocks_of_pairs_change_no_bit_though_some_run_twice(resample, monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "1")  # blocks run in this process
    sets = (mixed("clear", 60), mixed("open", 38), DEV, BASE)
    whole, *_ = resample(*sets, folder="whole")
    rounds = []

    def run_blocks(blocks):
        rounds.append(len(blocks))
        for block in [*reversed(blocks), blocks[0]]:
            make_block(pickle.loads(pickle.dumps(block)))

    # Without predictions, no mixture is resampled: of this pair, only that is new.
    resample(*sets[1:3], folder="blocks")
    divided, *_ = resample(*sets, folder="blocks", run_blocks=run_blocks)
    assert rounds == [3, 2]  # a block for each pair, then those of the doubtful ratio
    assert (divided.n_pairs, divided.n_new) == (3, 3)
    folders = [report.intervals.parent for report in (whole, divided)]
    files = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert files[0] == files[1]


def test_counting_templates_in_blocks_changes_no_bit(tmp_path, make_corpus):
    name, some, keys = TRAIN
    corpus = make_corpus(tmp_path, name, some, **keys)
    key = own_sample_key(corpus, Unit.DATABASE)
    weights = np.arange(24.0).reshape(2, 12)
    with connect() as con:
        vocabulary = load_vocabulary(con, [corpus.ngrams])
        samples = [load_sample(con, key, vocabulary, 0, templates_per_block=n) for n in (4_000, 1)]
    counts = [sample.counts(weights) for sample in samples]
    assert counts[0].totals.tobytes() == counts[1].totals.tobytes()
    assert samples[0].ngrams.tolist() == samples[1].ngrams.tolist()
    by_ngram = [
        some.by_class[sample.classes.of_ngram] for some, sample in zip(counts, samples, strict=True)
    ]
    assert by_ngram[0].tobytes() == by_ngram[1].tobytes()


def test_another_seed_gives_other_replicates(resample):
    _, first, *_ = resample(*THREE, replicates=50)
    _, second, *_ = resample(*THREE, replicates=50, seed=1, folder="other")
    assert [row["ci_low"] for row in first] != [row["ci_low"] for row in second]
