"""The decisions between runs as flows, to be run on a Prefect server after the main job.

Each puts its rows into its table of the published results, as its command does.
"""

from collections.abc import Sequence
from pathlib import Path

from prefect import flow

from nl2sql_align.flows.running.policy import step
from nl2sql_align.tasks.decisions import calibration, headroom, mixture, sample_size
from nl2sql_align.tasks.views import explain

weigh = step(mixture.mix, "mix", "mix for {target}")
rank = step(sample_size.sample_size, "sample-size", "rank with samples of {target}")
judge = step(calibration.calibrate, "calibrate", "calibrate by {outcomes}")
look_ahead = step(headroom.headroom, "headroom")
compare = step(explain.explain, "explain", "explain {source} and {target}")


@flow(name="mix", description="Weigh whole corpora to be like a target.", persist_result=False)
def mix(
    warehouse: Path | str,
    target: str,
    sources: Sequence[str] = (),
    replicates: int = mixture.REPLICATES,
    seed: int = 0,
) -> dict[str, float]:
    """The share of rows to draw from each corpus; table ``mixtures`` has it with intervals.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: The corpus to be like.
        sources: The corpora to mix; by default all with the role train.
        replicates: How often the target is drawn again for the intervals.
        seed: Another one gives other replicates.
    """
    made = weigh(warehouse, target, tuple(sources), replicates, seed)
    return dict(made.sources.select("source", "row_weight").iter_rows())


@flow(
    name="sample-size",
    description="How many of a target's queries it takes to rank training sets.",
    persist_result=False,
)
def sample_sizes(
    warehouse: Path | str,
    target: str,
    candidates: Sequence[str] = (),
    n_trials: int = sample_size.N_TRIALS,
    seed: int = 0,
) -> str:
    """A recommendation in a sentence; table ``sample_size`` has what it rests on.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: A corpus with that role.
        candidates: The training sets to rank; by default all.
        n_trials: Samples of each size.
        seed: Another one gives other samples.
    """
    rows = rank(warehouse, target, list(candidates) or None, n_trials, seed)
    return sample_size.recommendation(rows)


@flow(
    name="calibrate",
    description="Hold outcomes of fine-tuning against the ratios.",
    persist_result=False,
)
def calibrate(
    warehouse: Path | str,
    outcomes: Path,
    replicates: int = calibration.REPLICATES,
    seed: int = 0,
) -> list[str]:
    """What the outcomes can and cannot say; table ``calibration_summary`` has the numbers.

    Args:
        warehouse: The folder of the results, or their address on a store.
        outcomes: A CSV file: model, predictions, train, train_rows, target, metric, before, after.
        replicates: Bootstrap samples behind the interval of a cut.
        seed: Another one gives other samples, parts and splits.
    """
    return judge(warehouse, outcomes, replicates=replicates, seed=seed).remarks


@flow(
    name="headroom",
    description="A second ratio, judged on databases that no answer has seen.",
    persist_result=False,
)
def headroom_ratios(
    warehouse: Path | str, target: str | None = None, splits: int = headroom.SPLITS, seed: int = 0
) -> int:
    """How many rows table ``headroom_ratio`` was given.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: Only for this one; by default for all.
        splits: How often the target is split into halves.
        seed: Another one gives other halves.
    """
    return len(look_ahead(warehouse, target, splits=splits, seed=seed))


@flow(name="explain", description="Why two corpora differ.", persist_result=False)
def explain_pair(warehouse: Path | str, source: str, target: str, top: int = 10) -> list[str]:
    """The largest structural differences in words, the largest first.

    Args:
        warehouse: The folder of the results, or their address on a store.
        source: A corpus.
        target: The corpus that it is compared with.
        top: How many groups of n-grams to look at in each direction.
    """
    return compare(warehouse, source, target, top).sentences
