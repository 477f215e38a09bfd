"""The main job, from corpora to published results. An executor decides where its steps run.

Counting and measuring are imported while the first dumps are read.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from nl2sql_align.tasks.base.errors import LostFileError
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.announcements import (
    announce_intervals,
    announce_matrix,
    announce_slices,
)
from nl2sql_align.tasks.run.corpora_window import (
    CorporaWindow,
    CountedCorpora,
    CountingLimits,
    Work,
)
from nl2sql_align.tasks.run.executor import Executor, Steps
from nl2sql_align.tasks.run.options import DEFAULT_SETTINGS, JobSettings
from nl2sql_align.tasks.run.summary import RunSummary
from nl2sql_align.tasks.templates.distinct_queries import DEFAULT_SPLIT_LIMITS, SplitLimits
from nl2sql_align.tasks.templates.parser_pool import stop_workers
from nl2sql_align.tasks.templates.rules import read_limits
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.folder_lock import FolderLock

if TYPE_CHECKING:
    from nl2sql_align.tasks.measures.blocks import Block
    from nl2sql_align.tasks.measures.matrix import MatrixReport
    from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
    from nl2sql_align.tasks.results.packed_queries import PackLimits


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
        self._work = Work()
        self._warehouse = warehouse
        self._lock = lock
        self._executor = executor
        self._steps = Steps(executor)
        self._limits = CountingLimits(read_limits(), split_limits, pack_limits)

    def run(
        self,
        entries: list[CorpusEntry],
        settings: JobSettings = DEFAULT_SETTINGS,
        submitting: Callable[[], AbstractContextManager[int | None]] = nullcontext,
        report: Callable[[], object] | None = None,
    ) -> tuple[CountedCorpora, RunSummary]:
        """Count corpora and publish the results.

        If a file is needed that the store has lost, start again, and make it: the published results
        name it.

        Args:
            entries: The corpora.
            settings: The settings.
            submitting: Returns a block in which the executor takes steps. It yields how many of
                them run at a time, as for ``count``.
            report: Writes the report of the published results.
        """
        while True:  # ends because each file is lost only once
            with suppress(LostFileError):
                with submitting() as n_at_once, self._finishing():
                    counted = self.count(entries, n_at_once)
                    stop_workers()  # for their memory
                    summary = self.publish(counted, settings)
                if report is not None and counted.corpora:
                    report()
                    self.clock.lap("report")
                return counted, summary

    @contextmanager
    def _finishing(self) -> Iterator[None]:
        """If a file is lost, wait for the other steps: the next attempt looks for their files."""
        try:
            yield
        except LostFileError:
            self._steps.finish()
            raise

    def count(self, entries: list[CorpusEntry], n_at_once: int | None = None) -> CountedCorpora:
        """Ingest, parse and count corpora.

        Args:
            entries: The corpora.
            n_at_once: How many steps run at a time; by default one more than the run has threads.

        Raises:
            WarehouseError: The published database is not one of this program.
            DatabaseInUseError: Another process has it open for writing.
        """
        window = CorporaWindow(
            entries, self._warehouse, self._steps, self._limits, self._work, self.clock.lap
        )
        return window.count(n_at_once)

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

        warehouse, submit, lap = self._warehouse, self._steps.submit, self.clock.lap
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
                    (one.entry for one in corpora), self._limits.queries, resampling=resampling
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
        warehouse.record_stages()  # before readers can see the database that names these files
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

        submit, warehouse = self._steps.submit, self._warehouse
        jobs = steps.divide_pairs(corpora, warehouse)
        sums = [step.result() for step in [submit(sum_partition, job) for job in jobs]]
        return submit(steps.measure_pairs, corpora, warehouse, sums=sums).result()

    def _make_blocks(self, blocks: "Sequence[Block]") -> None:
        """Resample blocks of pairs, each by a step."""
        from nl2sql_align.tasks.measures.blocks import make_block

        pending = [self._steps.submit(make_block, block) for block in blocks]
        for n_done, step in enumerate(self._steps.as_completed(pending), 1):
            step.result()
            announce("intervals", "", n_done, len(pending))
