"""Coverage of the intervals, in simulations with known truth and on halves of real corpora.

    python -m benchmarks.coverage [--trials 400] [--output docs/coverage.md]

Draw training sets, targets and predictions repeatedly from known populations (``population.py``).
Compute intervals by several methods from the same replicates, and count how many hold

* the value *at the sets' sizes*: the mean over all draws of sets of these sizes, and
* the value *of the populations*: that of infinitely large sets.

The halves (``halves.py``) are those of the corpora in ``../shared``; without these, they are left
out. Equal arguments give equal tables.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import numpy as np

from benchmarks import halves
from benchmarks.population import Design, Sets, draw, population
from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.measures.bootstrap import poisson_weights, skew_divergences
from nl2sql_align.tasks.measures.ceilings import split_divergences
from nl2sql_align.tasks.measures.divergence import SKEW
from nl2sql_align.tasks.measures.reach import find_reach, mixture_counts, weigh_units
from nl2sql_align.tasks.measures.units import Sample, find_shared
from nl2sql_align.tasks.measures.verdicts import CONFIDENCE, student_interval

DESIGNS: Final = (
    Design("100 templates; 40 databases", 100, 1.1, 200, 140, 60, 40, 50),
    Design("100 templates; 11 databases", 100, 1.1, 200, 69, 130, 11, 140),
    Design("100 templates; 800 queries", 100, 1.1, None, 5000, 1, 800, 1),
    Design("1,200 templates; 60 databases", 1200, 1.3, 30, 140, 60, 60, 20),
    Design("1,200 templates; 20 databases", 1200, 1.3, 30, 140, 60, 20, 50),
    Design("the same, queries resampled", 1200, 1.3, 30, 140, 60, 20, 50, is_by_query=True),
    Design("1,200 templates; 11 databases", 1200, 1.3, 100, 69, 130, 11, 140),
    Design("1,200 templates; 800 queries", 1200, 1.3, None, 5000, 1, 800, 1),
)
MIXTURES: Final = (
    Design("100 templates; 40 databases", 100, 1.1, 200, 70, 60, 40, 50, is_mixture=True),
    Design("1,200 templates; 20 databases", 1200, 1.3, 30, 70, 60, 20, 50, is_mixture=True),
    Design("1,200 templates; 800 queries", 1200, 1.3, None, 2500, 1, 800, 1, is_mixture=True),
)
REPLICATES: Final = 200
METHODS: Final = ("percentile", "basic", "BCa", "t", "shipped")
QUANTITIES: Final = ("A(T, S)", "A(B, S)", "AR")
_MOST_LEFT_OUT: Final = 100
_SCALE: Final = math.log(1 / SKEW)
_TAIL: Final = (1 - CONFIDENCE) / 2

Ends = tuple[float, float]


class Quantity(NamedTuple):
    """An estimate with its replicates, and its jackknife values for each set."""

    estimate: float
    replicates: Floats
    left_out: Sequence[Floats]


def percentile(of: Quantity) -> Ends:
    low, high = np.quantile(of.replicates, [_TAIL, 1 - _TAIL])
    return float(low), float(high)


def basic(of: Quantity) -> Ends:
    low, high = percentile(of)
    return 2 * of.estimate - high, 2 * of.estimate - low


def bca(of: Quantity) -> Ends:
    """Bias-corrected and accelerated. Source: Efron 1987, doi 10.1080/01621459.1987.10478410."""
    from scipy.special import ndtr, ndtri

    below = np.mean(of.replicates < of.estimate) + np.mean(of.replicates <= of.estimate)
    n = len(of.replicates)
    bias = ndtri(min(max(below / 2, 0.5 / n), 1 - 0.5 / n))
    influences = [(len(one) - 1) * (one.mean() - one) for one in of.left_out]
    cubes = sum((u**3).sum() / len(u) ** 3 for u in influences)
    squares = sum((u**2).sum() / len(u) ** 2 for u in influences)
    acceleration = cubes / (6 * squares**1.5) if squares else 0.0
    shifted = bias + ndtri([_TAIL, 1 - _TAIL])
    low, high = np.quantile(of.replicates, ndtr(bias + shifted / (1 - acceleration * shifted)))
    return float(low), float(high)


def student(of: Quantity, n_units: float) -> Ends:
    """Return a t interval around the estimate, from the standard deviation of the replicates."""
    from scipy.special import stdtrit

    reach = float(stdtrit(n_units - 1, 1 - _TAIL) * of.replicates.std(ddof=1))
    return of.estimate - reach, of.estimate + reach


def shipped(of: Quantity, n_units: float) -> Ends:
    interval = student_interval(of.estimate, of.replicates, n_units)
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def logs(source: Sample, target: Sample, of_source: Floats, of_target: Floats) -> Floats:
    """Return the logarithm of the alignment for each pair of rows of unit weights."""
    shared = find_shared(source, target)
    counts = source.counts(of_source), target.counts(of_target)
    return -skew_divergences(*counts, shared, SKEW) / _SCALE


def quantities(sets: Sets) -> dict[str, Quantity]:
    """Return the estimates from one draw."""
    n_train, n_target = len(sets.train.keys), len(sets.target.keys)

    def all_of(of_train: Floats, of_target: Floats) -> dict[str, Floats]:
        alignment = logs(sets.train, sets.target, of_train, of_target)
        predictions = logs(sets.predictions, sets.target, of_target, of_target)
        return {"A(T, S)": alignment, "A(B, S)": predictions, "AR": alignment - predictions}

    looks = range(REPLICATES)
    plain = all_of(np.ones((1, n_train)), np.ones((1, n_target)))
    drawn = all_of(
        *(poisson_weights(one.keys, looks).astype(float) for one in (sets.train, sets.target))
    )
    without_train, without_target = without_one(n_train), without_one(n_target)
    left_out = [
        all_of(without_train, np.ones((len(without_train), n_target))),
        all_of(np.ones((len(without_target), n_train)), without_target),
    ]
    return {
        name: Quantity(float(plain[name][0]), drawn[name], [one[name] for one in left_out])
        for name in plain
    }


def reach_interval(sets: Sets) -> tuple[float, float, Ends]:
    """Return the logarithms of the Alignment Ratio and of the reach ratio, and its interval."""
    looks = range(REPLICATES)
    everything, drawn = (
        [weigh(one) for one in (sets.train, sets.target)]
        for weigh in (
            lambda one: np.ones((1, len(one.keys))),
            lambda one: poisson_weights(one.keys, looks).astype(float),
        )
    )
    ratio, answered = (
        float(logs(source, sets.target, of_source, everything[1])[0])
        for source, of_source in ((sets.train, everything[0]), (sets.predictions, everything[1]))
    )
    found = find_reach(sets.train, sets.target)
    chosen, judged = -found.chosen_nats / _SCALE, -found.nats / _SCALE
    of_train = sets.train.counts(drawn[0])
    if found.weights is not None:
        of_train = mixture_counts(sets.train, weigh_units(sets.train, found.weights), drawn[0])
    shared = find_shared(sets.train, sets.target)
    nats = skew_divergences(of_train, sets.target.counts(drawn[1]), shared, SKEW)
    replicates = -nats / _SCALE - logs(sets.predictions, sets.target, drawn[1], drawn[1])
    n_units = min(sets.train.n_effective, sets.target.n_effective)
    interval = student_interval(chosen - answered, replicates, n_units).shifted(judged - chosen)
    assert interval.low is not None
    assert interval.high is not None
    return ratio - answered, judged - answered, (interval.low, interval.high)


def reach_row(design: Design, n_trials: int) -> list[str]:
    """Return the reach ratio of a mixture of two sources, and the coverage of its intervals."""
    found = [reach_interval(draw(design, trial)) for trial in range(n_trials)]
    ratios, estimates, ends = (np.array(column) for column in zip(*found, strict=True))
    alone = design._replace(is_mixture=False)
    of_source = [reach_interval(draw(alone, trial))[0] for trial in range(n_trials)]
    width = float((ends @ [-1, 1]).mean()) / float(estimates.std(ddof=1))
    return [
        design.name,
        f"{math.exp(float(ratios.mean())):.3f}",
        f"{math.exp(float(np.mean(of_source))):.3f}",
        f"{math.exp(float(estimates.mean())):.3f}",
        f"{100 * coverage(ends, float(estimates.mean())):.0f}",
        f"{100 * coverage(ends, float(np.mean(of_source))):.0f}",
        f"{width:.1f}",
    ]


def without_one(n_units: int) -> Floats:
    """Return jackknife weights: each row leaves out one unit, or a hundredth of many units."""
    group = np.arange(n_units) % _MOST_LEFT_OUT
    return (group != np.arange(min(n_units, _MOST_LEFT_OUT))[:, None]).astype(float)


class Outcome(NamedTuple):
    """The results of a design, by quantity, with an entry for each trial."""

    design: Design
    truths: dict[str, float]
    estimates: dict[str, Floats]
    intervals: dict[str, dict[str, Floats]]
    ceilings: Floats
    between_draws: Floats


def run_design(design: Design, n_trials: int) -> Outcome:
    """Run all trials of a design."""
    people = population(design.n_templates, design.power)
    alignments = [
        -people.divergence(source, people.target) / _SCALE
        for source in (people.train, people.predictions)
    ]
    truths = dict(zip(QUANTITIES, (*alignments, alignments[0] - alignments[1]), strict=True))
    estimates: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    intervals: dict[str, dict[str, list[Ends]]] = {
        name: {method: [] for method in METHODS} for name in QUANTITIES
    }
    ceilings, between = [], []
    before: Sample | None = None
    for trial in range(n_trials):
        sets = draw(design, trial)
        n_units = min(sets.train.n_effective, sets.target.n_effective)
        for name, of in quantities(sets).items():
            estimates[name].append(of.estimate)
            ends = (percentile(of), basic(of), bca(of), student(of, n_units), shipped(of, n_units))
            for method, one in zip(METHODS, ends, strict=True):
                intervals[name][method].append(one)
        half, quarter = (float(split_divergences(sets.target, parts).mean()) for parts in (2, 4))
        ceilings.append(math.exp(-half * min(1.0, half / quarter) / _SCALE))
        if before is not None:
            ones = (np.ones((1, len(one.keys))) for one in (before, sets.target))
            between.append(float(logs(before, sets.target, *ones)[0]))
        before = sets.target
    return Outcome(
        design,
        truths,
        {name: np.array(some) for name, some in estimates.items()},
        {
            name: {method: np.array(some) for method, some in by_method.items()}
            for name, by_method in intervals.items()
        },
        np.array(ceilings),
        np.array(between),
    )


def coverage(intervals: Floats, truth: float) -> float:
    """Return the share of intervals (rows of two ends) that contain a value."""
    return float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])).mean())


def coverage_rows(outcome: Outcome) -> list[list[str]]:
    """Return a row per quantity, with the coverage of both truths by each method."""
    rows = []
    for name in QUANTITIES:
        found = outcome.estimates[name]
        at_size, in_population = float(found.mean()), outcome.truths[name]
        spread = float(found.std(ddof=1))
        row = [
            outcome.design.name,
            name,
            f"{math.exp(at_size):.3f}",
            f"{math.exp(in_population):.3f}",
            f"{(at_size - in_population) / spread:+.1f}",
        ]
        for method in METHODS:
            ends = outcome.intervals[name][method]
            row.append(
                f"{100 * coverage(ends, at_size):.0f} / {100 * coverage(ends, in_population):.0f}"
            )
        width = float((outcome.intervals[name]["shipped"] @ [-1, 1]).mean()) / spread
        rows.append([*row, f"{width:.1f}"])
    return rows


def ceiling_row(outcome: Outcome) -> list[str]:
    """Return the true ceiling of a design, and the mean and spread of its estimates."""
    truth = math.exp(float(outcome.between_draws.mean()))
    low, high = np.quantile(outcome.ceilings, [_TAIL, 1 - _TAIL])
    mean = float(outcome.ceilings.mean())
    return [outcome.design.name, f"{truth:.3f}", f"{mean:.3f}", f"{low:.3f} to {high:.3f}"]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


_PAGE: Final = """\
# Coverage of the intervals

Generated by `python -m benchmarks.coverage --trials {n_trials}`. [How sure is the
ratio?](how-sure.md) explains the results.

The cells show the percentage of {n_trials} intervals, of {n_replicates} replicates each, that
contain the value at the sets' sizes / of the populations. 95 is wanted. T is the training set, S
the target, B the predictions. *At size* is the mean over the draws; *endless* is the value of the
populations; *bias* is the logarithm of the first minus that of the second; *sd* is the estimate's
standard deviation over the draws; *width* is that of the shipped interval (3.9 sd if it is exact
and there is no bias).

{coverages}

## Reach

Training sets of two sources, one of which has mostly other templates than the target. *AR* is that
of the whole set, *AR of the source* that of the other source alone. The percentages are those of
the intervals of the reach ratio that contain its mean over the draws, and the AR of the source.

{reaches}

{halves}## Ceilings

The true alignment of two fresh sets of the target's size, and the ceilings that are computed from
such sets.

{ceilings}
"""


_HALVES: Final = """\
## Halves of real corpora

{n_splits} times, the databases of a training set and of a target were divided at random into two
halves (the queries of `sql-create-context-train`, whose databases are unknown), and both alignments
computed, or, with answers, both ratios. *Held* is how often the interval of one half contains the
value of the other, in percent: 83 is wanted, because that value has noise of its own. *Corrected*
is the same for intervals longer by the square root of 2, for the noise of two draws: 95 is wanted.
*Warned of* are intervals from fewer than {few} units by weight, which `ratio` calls rough, and the
last column has the corrected share of all others.

{table}

"""


def page(
    outcomes: Sequence[Outcome],
    reaches: Sequence[Sequence[str]],
    n_trials: int,
    of_halves: Sequence[Sequence[str]],
) -> str:
    """Return the results as a Markdown page; without rows of halves, their section is left out."""
    header = ("sets", "of", "at size", "endless", "bias / sd", *METHODS, "width / sd")
    rows = [row for outcome in outcomes for row in coverage_rows(outcome)]
    ceilings = [ceiling_row(outcome) for outcome in outcomes]
    return _PAGE.format(
        n_trials=n_trials,
        n_replicates=REPLICATES,
        coverages=table(header, rows),
        halves=_HALVES.format(
            n_splits=halves.N_SPLITS,
            few=halves.FEW_DATABASES,
            table=table(
                (
                    "sets",
                    "value",
                    "units by weight",
                    "held",
                    "corrected",
                    "warned of",
                    "corrected, others",
                ),
                of_halves,
            ),
        )
        if of_halves
        else "",
        reaches=table(
            (
                "sets",
                "AR",
                "AR of the source",
                "reach ratio",
                "contain its mean, %",
                "contain the AR of the source, %",
                "width / sd",
            ),
            reaches,
        ),
        ceilings=table(("target", "of two draws", "ceiling, mean", "95% of ceilings"), ceilings),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--only", type=int, nargs="+", help="numbers of designs to run, from 0")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    designs = [DESIGNS[i] for i in arguments.only or range(len(DESIGNS))]
    # A forked process would inherit the locks of libraries' threads.
    spawned = get_context("spawn")
    with TemporaryDirectory() as temporary, ProcessPoolExecutor(mp_context=spawned) as pool:
        of_halves: list[list[str]] = []
        if halves.has_dumps():
            warehouse = Path(temporary)
            halves.publish_dumps(warehouse)
            rows = pool.map(partial(halves.halves_row, folder=warehouse), halves.DESIGNS)
            of_halves = list(rows)
        outcomes = list(pool.map(run_design, designs, [arguments.trials] * len(designs)))
        reaches = list(pool.map(reach_row, MIXTURES, [arguments.trials] * len(MIXTURES)))
    text = page(outcomes, reaches, arguments.trials, of_halves)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
