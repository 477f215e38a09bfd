"""The decisions as flows: each fills its table, and leaves an artifact of what a command prints."""

import shutil

import pytest

from tests.flows.artifacts import read_artifact
from tests.flows.warehouses import read

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def warehouse(sample_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decisions") / "warehouse"
    return shutil.copytree(sample_run.warehouse, folder)


def printed(key):
    """Return the text of an artifact, a block of code."""
    text = read_artifact(key)
    first, *lines, last = text.splitlines()
    assert (first, last) == ("```text", "```")
    assert "\x1b" not in text
    return "\n".join(lines)


def test_a_mixture_is_recorded(warehouse):
    from nl2sql_align.flows.decisions import mix

    weights = mix(warehouse, "orchard-dev", replicates=20)
    assert sum(weights.values()) == pytest.approx(1)
    assert dict(read(warehouse, "select source, row_weight from mixtures")) == weights
    assert "The best mixture for orchard-dev" in printed("mix-orchard-dev-warehouse")


def test_sample_sizes_are_recommended(warehouse):
    from nl2sql_align.flows.decisions import sample_sizes

    assert "queries of orchard-dev" in sample_sizes(warehouse, "orchard-dev", n_trials=5)
    [(n_trials,)] = read(warehouse, "select distinct n_trials from sample_size")
    assert n_trials == 5
    assert "queries of orchard-dev" in printed("sample-size-orchard-dev-warehouse")
    picture = read_artifact("picture-of-sample-size-orchard-dev-warehouse")
    assert picture.startswith("data:image/svg+xml;base64,")


def test_outcomes_are_compared_with_the_ratios(warehouse, tmp_path):
    from nl2sql_align.flows.decisions import calibrate

    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text(
        "model,predictions,train,train_rows,target,metric,before,after\n"
        "sprig-1b,sprig-1b-base,harbour-train,,orchard-dev,exact,0.2,0.5\n"
        "oak-7b,oak-7b-base,harbour-train,,orchard-dev,exact,0.6,0.5\n"
    )
    assert calibrate(warehouse, outcomes)
    rows = read(warehouse, "select predictions, gain from calibration order by predictions")
    assert [name for name, _ in rows] == ["oak-7b-base", "sprig-1b-base"]
    assert [gain for _, gain in rows] == pytest.approx([-0.1, 0.3])
    assert "do and do not show" in printed("calibrate-warehouse")


def test_headroom_is_recorded(warehouse):
    from nl2sql_align.flows.decisions import headroom_ratios

    n_rows = headroom_ratios(warehouse, "orchard-dev")
    assert read(warehouse, "select count(*) from headroom_ratio") == [(n_rows,)]
    assert n_rows == 9
    assert "harbour-train" in printed("headroom-orchard-dev-warehouse")


def test_a_difference_is_explained_in_sentences(warehouse):
    from nl2sql_align.flows.decisions import explain_pair

    told = explain_pair(warehouse, "synth-train", "orchard-dev")
    assert any("window functions" in sentence for sentence in told)
    assert "window functions" in printed("explain-synth-train-orchard-dev-warehouse")
