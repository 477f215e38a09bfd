"""The training sets, targets and tunings of the study, and the half of it that chooses rules.

Everything is drawn by hashes of names, so that a seed means the same everywhere.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np

from benchmarks.study.vocabulary import BATCH

SEEDS: Final = (0, 1, 2)
STAGES: Final = (100, 400)
"""The numbers of steps of a first training after which a model is a starting point."""


_PASSES: Final = 3
_FEWEST_STEPS: Final = 40
_MOST_STEPS: Final = 280

SIZES: Final = (100, 500, 2_000, 6_000)
LARGEST: Final = 6_000
QUESTIONS: Final = 400
NARROW: Final = (1, 5, 10, 40)
NARROW_ROWS: Final = 1_000
CHAIN_ROWS: Final = 2_000

# The split was written down before any outcome was seen.
CHOOSING: Final = (
    "spider-dev",
    "wikisql-part",
    "atis-part",
    "ehrsql-valid",
    "scholar",
    "orchard-dev",
)
"""The targets whose outcomes choose rules. Outcomes with all other targets only show them."""


class Row(NamedTuple):
    """A question with its query."""

    question: str
    template: str
    sql: str
    dialect: str
    db_id: str | None
    source: str


@dataclass(frozen=True)
class Plan:
    """Which corpora the study uses.

    Attributes:
        sources: The name of each source, and of the corpus from which it is taken.
        targets: Likewise.
        parts: The sources of which a random part is a target.
        mixtures: The sources of each mixture, with their rows.
        narrow: The sources of which sets with few templates are made.
    """

    sources: Mapping[str, str]
    targets: Mapping[str, str]
    parts: Sequence[str]
    mixtures: Sequence[Mapping[str, int]]
    narrow: Sequence[str]


REAL: Final = Plan(
    sources={
        "spider": "spider-train-parquet",
        "bird": "bird-train",
        "create-context": "sql-create-context-train",
        "wikisql": "wikisql",
        "atis": "atis",
        "advising": "advising",
    },
    targets={
        "spider-dev": "spider-dev",
        "bird-dev": "bird-dev",
        "ehrsql-valid": "ehrsql-mimic3-valid",
        "geography": "geography",
        "scholar": "scholar",
    },
    parts=("create-context", "wikisql", "atis", "advising"),
    mixtures=(
        {"spider": 2_000, "bird": 2_000},
        {"spider": 2_000, "wikisql": 2_000},
        {"bird": 2_000, "create-context": 2_000},
        {"create-context": 2_000, "advising": 2_000},
        {"spider": 500, "atis": 4_000},
        dict.fromkeys(("spider", "bird", "create-context", "wikisql", "atis", "advising"), 1_000),
    ),
    narrow=("spider", "bird", "create-context"),
)
SAMPLES: Final = Plan(
    sources={"harbour": "harbour-train", "ledger": "ledger-train", "synth": "synth-train"},
    targets={"orchard-dev": "orchard-dev"},
    parts=("harbour", "ledger", "synth"),
    mixtures=({"harbour": 100, "ledger": 100}, {"harbour": 100, "synth": 100}),
    narrow=("harbour", "ledger"),
)


def generator(name: str) -> np.random.Generator:
    """Return a random generator of its own for each name."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()))


@dataclass(frozen=True)
class Corpora:
    """The rows of each source and the questions of each target.

    Sources have at most ``LARGEST`` rows, in random order, without questions of a target.
    """

    plan: Plan
    sources: Mapping[str, list[Row]]
    targets: Mapping[str, list[Row]]


def read_corpora(database: Path, plan: Plan, questions: int = QUESTIONS) -> Corpora:
    """Read the corpora of a plan from the results of a run."""
    with duckdb.connect(database, read_only=True) as con:

        def read(name: str, corpus: str) -> list[Row]:
            rows = con.execute(
                "select question, template, sql, dialect, db_id from queries "
                "join corpora using (corpus) join templates using (template_id) "
                "where corpus = ? and trim(question) != '' order by ordinal",
                [corpus],
            ).fetchall()
            order = generator(f"order of {name}").permutation(len(rows))
            return [Row(*rows[place], name) for place in order]

        sources = {name: read(name, corpus) for name, corpus in plan.sources.items()}
        targets = {name: read(name, corpus)[:questions] for name, corpus in plan.targets.items()}
    for name in plan.parts:
        size = min(questions, len(sources[name]) // 4)
        targets[f"{name}-part"] = sources[name][:size]
    asked = {row.question.casefold() for rows in targets.values() for row in rows}
    return Corpora(
        plan,
        {
            name: [row for row in rows if row.question.casefold() not in asked][:LARGEST]
            for name, rows in sources.items()
        },
        targets,
    )


class TrainingSet(NamedTuple):
    """A training set by its name and kind: single, mixture, narrow or random."""

    name: str
    kind: str
    seed: int


def list_singles(corpora: Corpora, seed: int) -> list[TrainingSet]:
    """Return the parts of single sources, of all sizes."""
    return [
        TrainingSet(f"{source}:{min(size, len(rows))}", "single", seed)
        for source, rows in corpora.sources.items()
        for size in SIZES
        if size < 2 * len(rows)
    ]


def list_mixtures(corpora: Corpora, seed: int) -> list[TrainingSet]:
    """Return the mixtures of several sources."""
    return [
        TrainingSet("+".join(f"{name}:{n}" for name, n in mixture.items()), "mixture", seed)
        for mixture in corpora.plan.mixtures
    ]


def list_narrow(corpora: Corpora, seed: int) -> list[TrainingSet]:
    """Return sets with few templates and, for comparison, random rows of as many."""
    return [
        TrainingSet(f"{source}:{kind}", "random" if kind == "random" else "narrow", seed)
        for source in corpora.plan.narrow
        for kind in (*(f"{n}-templates" for n in NARROW), "random")
    ]


def rows_of(corpora: Corpora, chosen: TrainingSet) -> list[Row]:
    """Return the rows of a training set. Smaller parts of one source are parts of larger ones."""
    found: list[Row] = []
    for part in chosen.name.split("+"):
        source, kind = part.split(":")
        rows = corpora.sources[source]
        if kind.endswith("-templates"):
            found += _narrow_rows(rows, int(kind.split("-")[0]), f"{part} {chosen.seed}")
        else:
            n = min(NARROW_ROWS, len(rows)) if kind == "random" else int(kind)
            name = f"{source} {kind == 'random'} {chosen.seed}"
            found += [rows[place] for place in generator(name).permutation(len(rows))[:n]]
    return found


def _narrow_rows(rows: list[Row], n_templates: int, name: str) -> list[Row]:
    """Return rows of some templates, which are drawn by their frequency; rows may recur."""
    draws = generator(name)
    counts = Counter(row.template for row in rows)
    names = sorted(counts)
    shares = np.array([counts[template] for template in names]) / len(rows)
    drawn = draws.choice(len(names), min(n_templates, len(names)), replace=False, p=shares)
    wanted = {names[place] for place in drawn}
    some = [row for row in rows if row.template in wanted]
    return [some[place] for place in draws.choice(len(some), NARROW_ROWS)]


def count_steps(n_rows: int) -> int:
    """Return the number of batches that a model is tuned for."""
    return int(np.clip(-(-_PASSES * n_rows // BATCH), _FEWEST_STEPS, _MOST_STEPS))


LINK: Final = "-then-"
"""Joins the name of a model and the set on which it was tuned."""


class Start(NamedTuple):
    """A model before tuning: its first corpus, its steps, and the set of an earlier tuning."""

    base: str
    stage: int
    seed: int
    tuned_on: str | None = None

    @property
    def name(self) -> str:
        """A name for corpora and files."""
        plain = f"{self.base}-{self.stage}-seed{self.seed}"
        return f"{plain}{LINK}{self.tuned_on.replace(':', '-')}" if self.tuned_on else plain


class Job(NamedTuple):
    """One tuning: a starting model and a training set. ``round`` orders all of them."""

    round: int
    start: Start
    training: TrainingSet


def list_jobs(corpora: Corpora, seeds: Sequence[int] = SEEDS) -> list[Job]:
    """Return all tunings, in rounds.

    Round 0 makes the models that are tuned twice, each from the next source of the list. Round 1
    tunes every starting model on a mixture, on a part of it, and on a narrow set.
    """
    bases = list(corpora.sources)
    jobs: list[Job] = []
    for seed in seeds:
        singles = list_singles(corpora, seed)
        mixtures, narrow = list_mixtures(corpora, seed), list_narrow(corpora, seed)
        for base in bases:
            following = bases[(bases.index(base) + 1) % len(bases)]
            n = min(CHAIN_ROWS, len(corpora.sources[following]))
            link = TrainingSet(f"{following}:{n}", "single", seed)
            last = Start(base, STAGES[-1], seed)
            jobs.append(Job(0, last, link))
            starts = [Start(base, stage, seed) for stage in STAGES]
            for start in (*starts, last._replace(tuned_on=link.name)):
                jobs += _vary_kinds(start, singles, mixtures, narrow)
    # The same tuning may be in several rounds.
    first = {job[1:]: job for job in sorted(jobs, key=lambda job: -job.round)}
    return sorted((job for job in jobs if first[job[1:]] is job), key=lambda job: job.round)


def _vary_kinds(
    start: Start,
    singles: list[TrainingSet],
    mixtures: list[TrainingSet],
    narrow: list[TrainingSet],
) -> list[Job]:
    draws = generator(f"jobs of {start.name}")
    # The first draw is not used; leaving it out would change the others.
    _, mixture, narrow_set = (
        some[int(draws.permutation(len(some))[0])] for some in (singles, mixtures, narrow)
    )
    parts = mixture.name.split("+")
    part = TrainingSet(parts[int(draws.integers(len(parts)))], "single", start.seed)
    return [Job(1, start, chosen) for chosen in (mixture, part, narrow_set)]
