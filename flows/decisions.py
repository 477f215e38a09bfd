"""The decisions between runs as flows, to run on a Prefect server after the main job.

Each flow fills its table of the published results, like the command of the same name, and leaves
what the command prints as an artifact and in its log.
"""

from collections.abc import Sequence
from pathlib import Path

from nl2sql_align.flows.running.artifacts import report_decision
from nl2sql_align.flows.running.policy import step
from nl2sql_align.flows.running.protected_flow import protected_flow
from nl2sql_align.tasks.decisions import calibration, headroom, mixture, sample_size
from nl2sql_align.tasks.decisions.options import (
    CALIBRATION_REPLICATES,
    HEADROOM_SPLITS,
    MIXTURE_REPLICATES,
    SAMPLE_TRIALS,
)
from nl2sql_align.tasks.views import explain
from nl2sql_align.tasks.views.options import Picture
from nl2sql_align.tasks.views.terminal.calibration import print_calibration
from nl2sql_align.tasks.views.terminal.console import Format
from nl2sql_align.tasks.views.terminal.decisions import print_mixture, print_sample_sizes
from nl2sql_align.tasks.views.terminal.explanation import print_explanation
from nl2sql_align.tasks.views.terminal.headroom import print_headroom

mix_corpora = step(mixture.mix, "mix", "mix for {target}")
rank_with_samples = step(sample_size.sample_size, "sample-size", "rank with samples of {target}")
calibrate_ratios = step(calibration.calibrate, "calibrate", "calibrate by {outcomes}")
compute_headroom = step(headroom.headroom, "headroom")
explain_corpora = step(explain.explain, "explain", "explain {source} and {target}")


@protected_flow(
    name="mix", description="Weigh whole corpora to resemble a target.", persist_result=False
)
def mix(
    warehouse: Path | str,
    target: str,
    sources: Sequence[str] = (),
    replicates: int = MIXTURE_REPLICATES,
    seed: int = 0,
) -> dict[str, float]:
    """Weigh corpora so that their mixture resembles a target.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: The corpus that the mixture should resemble.
        sources: The corpora to mix; by default all training sets.
        replicates: Bootstrap replicates of the target, for the intervals.
        seed: The seed of the replicates.

    Returns:
        The share of rows to draw from each corpus; table ``mixtures`` has the intervals.
    """
    made = mix_corpora(warehouse, target, tuple(sources), replicates, seed)
    report_decision("mix", warehouse, lambda: print_mixture(made, warehouse), target=target)
    return dict(made.sources.select("source", "row_weight").iter_rows())


@protected_flow(
    name="sample-size",
    description="Estimate how many queries of a target suffice to rank training sets.",
    persist_result=False,
)
def sample_sizes(
    warehouse: Path | str,
    target: str,
    candidates: Sequence[str] = (),
    n_trials: int = SAMPLE_TRIALS,
    seed: int = 0,
) -> str:
    """Estimate how many queries of a target suffice to rank training sets.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: A corpus with the role target.
        candidates: The training sets to rank; by default all.
        n_trials: Samples of each size.
        seed: The seed of the samples.

    Returns:
        A recommendation in one sentence; table ``sample_size`` has the numbers behind it.
    """
    rows = rank_with_samples(warehouse, target, list(candidates) or None, n_trials, seed)
    recommendation = sample_size.recommend_size(rows)
    report_decision(
        "sample-size",
        warehouse,
        lambda: print_sample_sizes(rows, recommendation),
        Picture.SAMPLE_SIZE,
        target=target,
    )
    return recommendation


@protected_flow(
    name="calibrate",
    description="Compare outcomes of fine-tuning with the ratios.",
    persist_result=False,
)
def calibrate(
    warehouse: Path | str,
    outcomes: Path,
    replicates: int = CALIBRATION_REPLICATES,
    seed: int = 0,
) -> list[str]:
    """Compare outcomes of fine-tuning with the ratios.

    Args:
        warehouse: The folder of the results, or their address on a store.
        outcomes: A CSV file: model, predictions, train, train_rows, target, metric, before, after.
        replicates: Bootstrap samples behind the interval of a cut.
        seed: The seed of samples, parts and splits.

    Returns:
        What the outcomes can and cannot show, in sentences; table ``calibration_summary`` has the
        numbers.
    """
    made = calibrate_ratios(warehouse, outcomes, replicates=replicates, seed=seed)
    report_decision("calibrate", warehouse, lambda: print_calibration(made, Format.TABLE))
    return made.remarks


@protected_flow(
    name="headroom",
    description="Compute a second ratio on databases that the answers have not seen.",
    persist_result=False,
)
def headroom_ratios(
    warehouse: Path | str, target: str | None = None, splits: int = HEADROOM_SPLITS, seed: int = 0
) -> int:
    """Compute the Headroom Ratio of every training set and set of predictions.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: A target; by default all.
        splits: How often to split the target into halves.
        seed: The seed of the splits.

    Returns:
        The number of rows written to table ``headroom_ratio``.
    """
    rows = compute_headroom(warehouse, target, splits=splits, seed=seed)
    report_decision("headroom", warehouse, lambda: print_headroom(rows, warehouse), target=target)
    return len(rows)


@protected_flow(name="explain", description="Explain why two corpora differ.", persist_result=False)
def explain_pair(warehouse: Path | str, source: str, target: str, top: int = 10) -> list[str]:
    """Explain why two corpora differ.

    Args:
        warehouse: The folder of the results, or their address on a store.
        source: A corpus.
        target: The corpus to compare it with.
        top: Groups of n-grams to consider in each direction.

    Returns:
        The structural differences in sentences, the largest first.
    """
    made = explain_corpora(warehouse, source, target, top)
    report_decision(
        "explain",
        warehouse,
        lambda: print_explanation(made, Format.TABLE),
        Picture.DIFFERENCES,
        target=target,
        source=source,
    )
    return made.sentences
