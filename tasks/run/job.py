"""The main job, from corpora to published results. An executor decides where its steps run.

Counting and measuring are imported while the first dumps are read.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import as_completed as completed_futures
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, cast
from uuid import uuid4

from nl2sql_align.tasks.base.errors import LostFileError
from nl2sql_align.tasks.base.progress import announce, listening
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.announcements import (
    PartsAnnouncer,
    announce_counted,
    announce_ingested,
    announce_intervals,
    announce_matrix,
    announce_parsed,
    announce_slices,
)
from nl2sql_align.tasks.run.options import DEFAULT_SETTINGS, JobSettings
from nl2sql_align.tasks.run.prepare import (
    PendingParts,
    Prepared,
    SetAside,
    add_jobs,
    check_targets,
    prepare_corpus,
)
from nl2sql_align.tasks.run.summary import RunSummary
from nl2sql_align.tasks.templates.distinct_queries import (
    DEFAULT_SPLIT_LIMITS,
    SplitLimits,
    find_distinct,
    find_firsts,
    write_texts,
)
from nl2sql_align.tasks.templates.parser_pool import (
    ParseJob,
    ParseReport,
    parse_part,
    stop_workers,
)
from nl2sql_align.tasks.templates.rules import read_limits
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.folder_lock import FolderLock

if TYPE_CHECKING:
    from nl2sql_align.tasks.measures.blocks import Block
    from nl2sql_align.tasks.measures.matrix import MatrixReport
    from nl2sql_align.tasks.ngrams.corpus_counts import Division
    from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
    from nl2sql_align.tasks.results.packed_queries import Packing, PackLimits

# Slow to import, and needed only once the dumps are read.
_LATER_MODULES: Final = (
    "nl2sql_align.tasks.results.publish",
    "nl2sql_align.tasks.run.steps",
    "scipy.sparse",
)

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Pending(Protocol[R_co]):
    """The result of a step that may still be running."""

    def result(self) -> R_co:
        """Wait for the step, and return its result or raise its error."""
        ...


class Executor(Protocol):
    """Where the steps of a job run."""

    def submit(self, step: Callable[..., R], *args: Any, **options: Any) -> Pending[R]:
        """Start a step."""
        ...

    def as_completed(self, pending: list[Pending[R]]) -> Iterator[Pending[R]]:
        """Yield steps as they end."""
        ...

    def call(self, step: Callable[..., R], *args: Any, **options: Any) -> R:
        """Run a step that the whole job waits for."""
        ...


class LocalExecutor:
    """Runs steps in the threads of this process."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def submit(self, step: Callable[..., R], *args: Any, **options: Any) -> Pending[R]:
        """Start a step."""
        return self._pool.submit(step, *args, **options)

    def as_completed(self, pending: list[Pending[R]]) -> Iterator[Pending[R]]:
        """Yield steps as they end."""
        return completed_futures(cast("list[Future[R]]", pending))

    def call(self, step: Callable[..., R], *args: Any, **options: Any) -> R:
        """Run a step in this thread."""
        return step(*args, **options)


class Clock:
    """A stopwatch for consecutive laps.

    Attributes:
        laps: The seconds of each lap by its name.
        started_at: When the clock was started.
    """

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.started_at = datetime.now(UTC)
        self._last = time.perf_counter()

    def lap(self, name: str) -> float:
        """End a lap, and return its seconds."""
        now = time.perf_counter()
        seconds = self.laps[name] = now - self._last
        self._last = now
        return seconds


@dataclass(frozen=True)
class CountedCorpora:
    """The corpora of a job whose n-grams are counted, and those that cannot be used.

    Attributes:
        corpora: The counted corpora, in the order of their entries.
        set_aside: The corpora that cannot be compared.
        notes: Notes on the corpora, a line each.
    """

    corpora: "list[CountedCorpus]"
    set_aside: list[SetAside]
    notes: list[str]


@dataclass
class _Work:
    """Counts of a job's work, including that of attempts before a restart.

    Attributes:
        n_ingested: Corpora whose dumps were read.
        n_parsed: Distinct queries parsed, without those of texts as written.
        n_crashed: Queries that crashed the parser.
    """

    n_ingested: int = 0
    n_parsed: int = 0
    n_crashed: int = 0


class Job:
    """A run of the main job in a locked warehouse.

    Attributes:
        clock: The times of its stages.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        lock: FolderLock,
        executor: Executor,
        clock: Clock | None = None,
        split_limits: SplitLimits = DEFAULT_SPLIT_LIMITS,
        pack_limits: "PackLimits | None" = None,
    ) -> None:
        """Prepare a job.

        Args:
            warehouse: The warehouse.
            lock: Its lock.
            executor: Where the steps run.
            clock: A clock that has been started.
            split_limits: Which corpora have their distinct queries found by many steps.
            pack_limits: Which corpora have their queries packed by many steps.

        Raises:
            ConfigurationError: The environment sets a limit to an invalid value.
        """
        self.clock = clock or Clock()
        self._run_id = str(uuid4())
        self._work = _Work()
        self._pending: list[Pending[Any]] = []
        self._warehouse = warehouse
        self._lock = lock
        self._executor = executor
        self._limits = read_limits()
        self._split_limits = split_limits
        self._pack_limits = pack_limits

    def run(
        self,
        entries: list[CorpusEntry],
        settings: JobSettings = DEFAULT_SETTINGS,
        submitting: Callable[[], AbstractContextManager[None]] = nullcontext,
        report: Callable[[], object] | None = None,
    ) -> tuple[CountedCorpora, RunSummary]:
        """Count corpora and publish the results.

        If a file is needed that the store has lost, start again, and make it: the published results
        name it.

        Args:
            entries: The corpora.
            settings: The settings.
            submitting: Returns a block in which the executor takes steps.
            report: Writes the report of the published results.
        """
        while True:  # ends because each file is lost only once
            with suppress(LostFileError):
                with submitting(), self._finishing():
                    counted = self.count(entries)
                    stop_workers()  # for their memory
                    summary = self.publish(counted, settings)
                if report is not None and counted.corpora:
                    report()
                    self.clock.lap("report")
                return counted, summary

    @contextmanager
    def _finishing(self) -> Iterator[None]:
        """If a file is lost, wait for the other steps: the next attempt looks for their files."""
        self._pending.clear()
        try:
            yield
        except LostFileError:
            for step in self._pending:
                with suppress(Exception):
                    step.result()
            raise

    def _submit(self, step: Callable[..., R], *args: Any, **options: Any) -> Pending[R]:
        pending = self._executor.submit(step, *args, **options)
        self._pending.append(pending)
        return pending

    def count(self, entries: list[CorpusEntry]) -> CountedCorpora:
        """Ingest, parse and count corpora.

        Raises:
            WarehouseError: The published database is not one of this program.
            DatabaseInUseError: Another process has it open for writing.
        """
        self._parts, self._announcer = PendingParts(), PartsAnnouncer()
        with listening(self._announcer):
            return self._count_all(entries)

    def _count_all(self, entries: list[CorpusEntry]) -> CountedCorpora:
        prepared, set_aside, parsing = self._ingest(entries)
        self.clock.lap("ingest")
        from nl2sql_align.tasks.results.publish import check_published
        from nl2sql_align.tasks.run import steps

        check_published(self._warehouse)  # now rather than at the end of the work
        counting = self._parse(parsing)
        self.clock.lap("templates")
        counted, failed = self._count(prepared, counting)
        set_aside += [*failed, *steps.set_aside_empty(counted, self._warehouse)]
        self.clock.lap("ngrams")
        notes = [note for one in prepared for note in one.notes]
        return CountedCorpora(
            counted,
            set_aside,
            notes + steps.collect_notes(counted, self._warehouse),
        )

    def publish(
        self, counted: CountedCorpora, settings: JobSettings = DEFAULT_SETTINGS
    ) -> RunSummary:
        """Measure counted corpora and publish the results, if there is any corpus."""
        summary = RunSummary(
            run_id=self._run_id,
            warehouse=self._warehouse.place,
            corpora=tuple(corpus.entry.name for corpus in counted.corpora),
            set_aside={one.corpus: one.reason for one in counted.set_aside},
            n_ingested=self._work.n_ingested,
            n_parsed=self._work.n_parsed,
            n_crashed=self._work.n_crashed,
            n_pairs=0,
            n_new_pairs=0,
            notes=tuple(counted.notes),
        )
        if counted.corpora:
            summary = self._publish(counted.corpora, summary, settings)
        return replace(summary, seconds=self.clock.laps)

    def _publish(
        self, corpora: "list[CountedCorpus]", summary: RunSummary, settings: JobSettings
    ) -> RunSummary:
        from nl2sql_align.tasks.results.publish import (
            RunRecord,
            fill_database,
            publish,
        )
        from nl2sql_align.tasks.results.versions import list_versions
        from nl2sql_align.tasks.run import steps

        warehouse, submit, lap = self._warehouse, self._submit, self.clock.lap
        corpora = steps.count_answered_parts(corpora, warehouse)
        versions = list_versions()
        filling = submit(
            fill_database, warehouse, corpora, versions, has_comments=settings.has_comments
        )
        matrix = self._measure_pairs(corpora)
        announce_matrix(matrix, lap("matrix"))
        measuring = submit(steps.measure_as_written, corpora, warehouse)
        resampling = settings.resampling
        of_pairs = corpora, matrix, warehouse, resampling
        blocks: list[Block] = []
        while more := steps.list_blocks_to_resample(*of_pairs):
            self._make_blocks(more)
            blocks += more
        intervals = submit(steps.resample_pairs, *of_pairs, blocks).result()
        announce_intervals(intervals, lap("intervals"))
        slices = submit(steps.measure_slices, corpora, warehouse).result()
        if slices is not None:
            announce_slices(slices, lap("slices"))
        record = RunRecord(
            summary.run_id,
            self.clock.started_at,
            {
                **steps.list_parameters(
                    (one.entry for one in corpora), self._limits, resampling=resampling
                ),
                "drift_threshold": settings.drift_threshold,
                "corpora": str(settings.corpora_file or ""),
            },
            versions,
            summary.set_aside,
            list(summary.notes),
            drift_threshold=settings.drift_threshold,
        )
        self._lock.check()
        # If the run ends here, the results do not belong to the inputs of the last run.
        warehouse.inputs_file.unlink(missing_ok=True)
        warehouse.record_digests()  # before readers can see the database that names these files
        self._executor.call(
            publish,
            warehouse,
            corpora,
            matrix.pairs,
            matrix.contributions,
            record,
            intervals,
            measuring.result(),
            filling.result(),
            slices,
        )
        steps.write_last_corpora(corpora, warehouse)
        steps.remove_unused_files(corpora, warehouse)
        warehouse.record_digests()
        lap("publish")
        return replace(summary, n_pairs=matrix.n_pairs, n_new_pairs=matrix.n_new)

    def _measure_pairs(self, corpora: "list[CountedCorpus]") -> "MatrixReport":
        """Measure all pairs. If many rows are new, a step per partition sums them first."""
        from nl2sql_align.tasks.measures.matrix import sum_partition
        from nl2sql_align.tasks.run import steps

        submit, warehouse = self._submit, self._warehouse
        jobs = steps.divide_pairs(corpora, warehouse)
        sums = [step.result() for step in [submit(sum_partition, job) for job in jobs]]
        return submit(steps.measure_pairs, corpora, warehouse, sums=sums).result()

    def _make_blocks(self, blocks: "Sequence[Block]") -> None:
        """Resample blocks of pairs, each by a step."""
        from nl2sql_align.tasks.measures.blocks import make_block

        pending = [self._submit(make_block, block) for block in blocks]
        for n_done, step in enumerate(self._executor.as_completed(pending), 1):
            step.result()
            announce("intervals", "", n_done, len(pending))

    def _ingest(
        self, entries: list[CorpusEntry]
    ) -> "tuple[list[Prepared], list[SetAside], dict[Pending[ParseReport], ParseJob]]":
        """Ingest the corpora, and submit the parts of each to the parsers once it is ready."""
        targets = {entry.name: entry for entry in entries}
        pending: dict[Pending[Prepared | SetAside], CorpusEntry] = {}
        for entry in entries:
            target = targets.get(entry.target or "")
            step = self._submit(
                prepare_corpus,
                entry,
                self._warehouse,
                self._limits,
                target=target,
                split_limits=self._split_limits,
            )
            pending[step] = entry
        parsing: dict[Pending[ParseReport], ParseJob] = {}
        outcomes: dict[str, Prepared | SetAside] = {}
        for module in _LATER_MODULES:  # while the first dumps are read
            import_module(module)
        for name, outcome in self._await_prepared(pending):
            outcomes[name] = outcome
            announce_ingested(outcome, len(outcomes), len(pending))
            if isinstance(outcome, Prepared):
                self._work.n_ingested += outcome.was_ingested
                for job in self._parts.add(outcome):
                    if self._parts.list_corpora(job):
                        self._announcer.add(job.destination)
                    parsing[self._submit(parse_part, job)] = job
        outcomes = check_targets(outcomes)
        in_order = [outcomes[entry.name] for entry in entries]
        prepared = [one for one in in_order if isinstance(one, Prepared)]
        return prepared, [one for one in in_order if isinstance(one, SetAside)], parsing

    def _await_prepared(
        self, pending: "dict[Pending[Prepared | SetAside], CorpusEntry]"
    ) -> Iterator[tuple[str, Prepared | SetAside]]:
        """Yield the corpora by name as they are ready to be parsed, with large ones last."""
        large: list[Prepared] = []
        for step in self._executor.as_completed(list(pending)):
            outcome = self._await_outcome(step, pending[step])
            if isinstance(outcome, Prepared) and outcome.splitting is not None:
                large.append(outcome)
            else:
                yield pending[step].name, outcome
        for prepared in large:
            yield prepared.entry.name, self._split(prepared)

    def _split(self, prepared: Prepared) -> Prepared | SetAside:
        """Find the distinct queries of a large corpus."""
        from nl2sql_align.tasks.run.steps import set_aside_failed

        splitting = prepared.splitting
        assert splitting is not None
        try:
            for found in [self._submit(find_distinct, job) for job in splitting.ranges]:
                found.result()
            for found in [self._submit(find_firsts, job) for job in splitting.partitions]:
                found.result()
            written = [self._submit(write_texts, job) for job in splitting.texts]
            return add_jobs(prepared, [one.result() for one in written], self._limits)
        except Exception as error:
            return set_aside_failed(prepared.entry, error, self._warehouse)

    def _parse(
        self, parsing: "dict[Pending[ParseReport], ParseJob]"
    ) -> "dict[str, Pending[CountedCorpus]]":
        """Wait for the parsers, and submit each corpus for counting as soon as it is parsed.

        Returns:
            The steps that count, by corpus.
        """
        from nl2sql_align.tasks.run.steps import count_corpus

        parts = self._parts
        counting: dict[str, Pending[CountedCorpus]] = {}

        def submit_parsed() -> None:
            for one in parts.take_parsed():
                counting[one.entry.name] = self._submit(
                    count_corpus, one, self._warehouse, pack_limits=self._pack_limits
                )

        submit_parsed()
        reports: dict[str, list[ParseReport]] = {}
        n_jobs = sum(1 for job in parsing.values() if parts.list_corpora(job))
        n_done = 0
        for step in self._executor.as_completed(list(parsing)):
            job, parsed = parsing[step], step.result()
            self._work.n_crashed += parsed.n_crashed
            is_last = parts.mark_parsed(job)
            if names := parts.list_corpora(job):
                n_done += 1
                self._announcer.finish(job.destination)
                self._work.n_parsed += parsed.n_queries
                of_texts = reports.setdefault(parts.find_texts(job), [])
                of_texts.append(parsed)
                announce_parsed(names if is_last else [], of_texts, n_done, n_jobs)
            submit_parsed()
        return counting

    def _count(
        self, prepared: list[Prepared], counting: "dict[str, Pending[CountedCorpus]]"
    ) -> "tuple[list[CountedCorpus], list[SetAside]]":
        """Wait until all corpora are counted."""
        outcomes: dict[str, CountedCorpus | SetAside] = {}
        for name, outcome in self._await_counted(prepared, counting):
            outcomes[name] = outcome
            announce_counted(name, outcome, len(outcomes), len(prepared))
        in_order = [outcomes[one.entry.name] for one in prepared]
        failed = [one for one in in_order if isinstance(one, SetAside)]
        return [one for one in in_order if not isinstance(one, SetAside)], failed

    def _await_counted(
        self, prepared: list[Prepared], counting: "dict[str, Pending[CountedCorpus]]"
    ) -> "Iterator[tuple[str, CountedCorpus | SetAside]]":
        """Yield the corpora by name as they are counted, with large ones last."""
        from nl2sql_align.tasks.results.packed_queries import DEFAULT_PACK_LIMITS, plan_packing

        pack_limits = self._pack_limits or DEFAULT_PACK_LIMITS

        pending = {counting[one.entry.name]: one.entry for one in prepared}
        large: list[tuple[CountedCorpus, Packing, list[Pending[float]]]] = []
        for step in self._executor.as_completed(list(pending)):
            entry = pending[step]
            outcome = self._await_outcome(step, entry)
            if isinstance(outcome, SetAside):
                yield entry.name, outcome
                continue
            packing = plan_packing(outcome, self._warehouse, pack_limits)
            if outcome.division or packing.parts:
                large.append((outcome, packing, self._submit_parts(outcome.division, packing)))
            else:
                yield entry.name, outcome
        for corpus, packing, parts in large:
            yield corpus.entry.name, self._gather(corpus, packing, parts)

    def _submit_parts(
        self, division: "Division | None", packing: "Packing"
    ) -> list[Pending[float]]:
        """Submit the parts of a large corpus to be counted and packed."""
        from nl2sql_align.tasks.ngrams.corpus_counts import count_part
        from nl2sql_align.tasks.results.packed_queries import pack_part

        parts: list[Pending[float]] = []
        if division is not None:
            parts += [self._submit(count_part, job) for job in division.parts]
        return parts + [self._submit(pack_part, job) for job in packing.parts]

    def _gather(
        self, corpus: "CountedCorpus", packing: "Packing", parts: list[Pending[float]]
    ) -> "CountedCorpus | SetAside":
        """Wait for the parts of a large corpus, and add up its partitions."""
        from nl2sql_align.tasks.ngrams.corpus_counts import add_partition, gather_partitions
        from nl2sql_align.tasks.results.packed_queries import gather_packed
        from nl2sql_align.tasks.run.steps import set_aside_failed

        try:
            seconds = sum(part.result() for part in parts)
            if (division := corpus.division) is not None:
                added = [self._submit(add_partition, job) for job in division.partitions]
                seconds += sum(partition.result() for partition in added)
                gather_partitions(division)
            if packing.parts:
                gather_packed(packing)
        except Exception as error:
            return set_aside_failed(corpus.entry, error, self._warehouse)
        return replace(corpus, seconds=corpus.seconds + seconds, division=None)

    def _await_outcome(self, step: Pending[R], entry: CorpusEntry) -> R | SetAside:
        """Return the result of a step; its error sets the corpus aside, unless others meet it."""
        from nl2sql_align.tasks.run.steps import set_aside_failed

        try:
            return step.result()
        except Exception as error:
            return set_aside_failed(entry, error, self._warehouse)
