"""Train, tune and score the models of the study. A run that ends early continues there."""

import csv
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from benchmarks.study.design import (
    STAGES,
    Corpora,
    Job,
    Row,
    Start,
    TrainingSet,
    count_steps,
    generator,
    list_jobs,
    rows_of,
)
from benchmarks.study.model import Parameters, answer, start_parameters, train
from benchmarks.study.vocabulary import Numbers, Vocabulary, share_right

FIRST_RATE: Final = 2e-3
TUNING_RATE: Final = 2e-3
COLUMNS: Final = (
    "start", "base", "stage", "seed", "tuned_on", "train", "kind", "train_rows", "n_steps",
    "target", "n_questions", "before", "after", "loss", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Exam:
    """The questions of all targets as numbers, and their templates."""

    vocabulary: Vocabulary
    questions: dict[str, Numbers]
    templates: dict[str, list[str]]

    def take(self, parameters: Parameters) -> dict[str, list[str | None]]:
        """Return a model's answers to each target."""
        return {
            name: self.vocabulary.write_templates(answer(parameters, questions))
            for name, questions in self.questions.items()
        }

    def mark(self, answers: dict[str, list[str | None]]) -> dict[str, float]:
        """Return the share of right answers for each target."""
        return {name: share_right(some, self.templates[name]) for name, some in answers.items()}


def set_exam(corpora: Corpora) -> Exam:
    """Return the questions of the targets, in the vocabulary of the sources."""
    rows = [row for some in corpora.sources.values() for row in some]
    vocabulary = Vocabulary.collect([r.question for r in rows], [r.template for r in rows])
    return Exam(
        vocabulary,
        {
            name: vocabulary.read_questions([row.question for row in some])
            for name, some in corpora.targets.items()
        },
        {name: [row.template for row in some] for name, some in corpora.targets.items()},
    )


def seed_of(name: str) -> int:
    """Return a seed for a name."""
    return int(generator(name).integers(2**31))


@dataclass(frozen=True)
class Runner:
    """Runs tunings, and keeps starting models and outcomes in a folder."""

    folder: Path
    corpora: Corpora
    exam: Exam

    def run(self, jobs: Sequence[Job], outcomes: Path) -> None:
        """Run tunings whose outcomes are not in the file, and append them."""
        done = set()
        if outcomes.exists():
            with outcomes.open(encoding="utf-8", newline="") as file:
                done = {(row["start"], row["train"]) for row in csv.DictReader(file)}
        for job in jobs:
            if (job.start.name, job.training.name) not in done:
                self._tune(job, outcomes)

    def _tune(self, job: Job, outcomes: Path) -> None:
        parameters, before = self._begin(job.start)
        began = time.process_time()
        rows = rows_of(self.corpora, job.training)
        tuned, loss = self._train(
            parameters, rows, count_steps(len(rows)), f"{job.start.name} {job.training.name}"
        )
        answers = self.exam.take(tuned)
        after = self.exam.mark(answers)
        if job.round == 0:
            self._keep(job.start._replace(tuned_on=job.training.name), tuned, answers)
        start = job.start
        is_new = not outcomes.exists()
        with outcomes.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(COLUMNS)
            writer.writerows(
                (
                    start.name, start.base, start.stage, start.seed, start.tuned_on or "",
                    job.training.name, job.training.kind, len(rows), count_steps(len(rows)),
                    target, len(answers[target]), round(before[target], 6),
                    round(after[target], 6), round(loss, 6),
                    round(time.process_time() - began, 1),
                )
                for target in after
            )  # fmt: skip

    def _train(
        self, parameters: Parameters, rows: list[Row], n_steps: int, name: str
    ) -> tuple[Parameters, float]:
        questions, templates = self._read(rows)
        tuned, _, loss = train(
            parameters, questions, templates, n_steps, seed_of(name), TUNING_RATE
        )
        return tuned, loss

    def _read(self, rows: list[Row]) -> tuple[Numbers, Numbers]:
        vocabulary = self.exam.vocabulary
        return (
            vocabulary.read_questions([row.question for row in rows]),
            vocabulary.read_templates([row.template for row in rows]),
        )

    def _begin(self, start: Start) -> tuple[Parameters, dict[str, float]]:
        """Return a starting model and its scores; train it first if it does not exist."""
        if not self._place(start, "npz").exists():
            if start.tuned_on:
                link = TrainingSet(start.tuned_on, "single", start.seed)
                first = start._replace(tuned_on=None)
                raise LookupError(f"{first.name} was not tuned on {link.name} yet")
            self._train_first(start.base, start.seed)
        with np.load(self._place(start, "npz")) as file:
            parameters = {name: file[name] for name in file.files}
        answers = json.loads(self._place(start, "json").read_text("utf-8"))
        return parameters, self.exam.mark(answers)

    def _train_first(self, base: str, seed: int) -> None:
        questions, templates = self._read(self.corpora.sources[base])
        _, kept, _ = train(
            start_parameters(seed_of(f"start {seed}"), self.exam.vocabulary),
            questions,
            templates,
            STAGES[-1],
            seed_of(f"{base} {seed}"),
            FIRST_RATE,
            STAGES,
        )
        for stage, parameters in kept.items():
            self._keep(Start(base, stage, seed), parameters, self.exam.take(parameters))

    def _keep(
        self, start: Start, parameters: Parameters, answers: dict[str, list[str | None]]
    ) -> None:
        self._place(start, "json").write_text(json.dumps(answers), "utf-8")
        # Written last: a model without answers does not exist.
        temporary = self._place(start, "tmp.npz")
        np.savez(temporary, **{name: np.asarray(value) for name, value in parameters.items()})
        temporary.rename(self._place(start, "npz"))

    def _place(self, start: Start, ending: str) -> Path:
        return self.folder / "starts" / f"{start.name}.{ending}"


class Chosen(NamedTuple):
    """The seeds of a run, and which of its parts to run."""

    seeds: Sequence[int]
    part: int
    n_parts: int


def run_part(folder: Path, corpora: Corpora, chosen: Chosen) -> None:
    """Run one of several parts of the study, each in a process of its own."""
    (folder / "starts").mkdir(parents=True, exist_ok=True)
    bases = list(corpora.sources)
    mine = [
        job
        for job in list_jobs(corpora, chosen.seeds)
        if (bases.index(job.start.base) + job.start.seed) % chosen.n_parts == chosen.part
    ]
    Runner(folder, corpora, set_exam(corpora)).run(mine, folder / f"outcomes-{chosen.part}.csv")


def use_one_thread() -> None:
    """Have JAX use one thread, so that processes beside each other do not share processors."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
