"""From dumps to counts, with a few corpora under way at a time.

Each corpus goes through all of its steps soon after its first one. So a run that is killed has
finished most of the corpora that it has begun, and few files of unfinished ones are on disk.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from nl2sql_align.tasks.base.connections import resources
from nl2sql_align.tasks.base.errors import LostFileError
from nl2sql_align.tasks.base.progress import listening
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.announcements import (
    PartsAnnouncer,
    announce_counted,
    announce_ingested,
    announce_parsed,
)
from nl2sql_align.tasks.run.executor import Pending, Steps
from nl2sql_align.tasks.run.prepare import (
    Prepared,
    SetAside,
    SharedParts,
    add_jobs,
    check_targets,
    list_texts,
    prepare_corpus,
)
from nl2sql_align.tasks.templates.distinct_queries import (
    SplitLimits,
    find_distinct,
    find_firsts,
    write_texts,
)
from nl2sql_align.tasks.templates.parser_pool import ParseJob, ParseReport, parse_part
from nl2sql_align.tasks.templates.rules import Limits
from nl2sql_align.tasks.warehouse.folder import Warehouse

if TYPE_CHECKING:
    from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
    from nl2sql_align.tasks.results.packed_queries import PackLimits

# Slow to import, and needed only once the first dumps are read.
_LATER_MODULES: Final = (
    "nl2sql_align.tasks.results.publish",
    "nl2sql_align.tasks.run.steps",
    "scipy.sparse",
)
# When a step ends, that of another corpus is waiting for its place.
_CORPORA_PER_STEP: Final = 2
# A run that is killed leaves the stage files of this time without digests.
_SECONDS_BETWEEN_RECORDS: Final = 30.0

R = TypeVar("R")
Course = Generator[Sequence[Pending[Any]], None, R]
"""Work that yields the steps that it waits for."""


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
class Work:
    """Counts of a job's work, including that of attempts before a restart.

    Attributes:
        n_ingested: Corpora whose dumps were read.
        n_parsed: Distinct queries parsed, without those of texts as written.
        n_crashed: Queries that crashed the parser.
    """

    n_ingested: int = 0
    n_parsed: int = 0
    n_crashed: int = 0


@dataclass(frozen=True)
class CountingLimits:
    """Limits of the steps up to the counts.

    Attributes:
        queries: The limits of the parser.
        split: Which corpora have their distinct queries found by many steps.
        pack: Which corpora have their queries packed by many steps; None for the defaults.
    """

    queries: Limits
    split: SplitLimits
    pack: "PackLimits | None" = None


class CorporaWindow:
    """The corpora of a job, a few of which are under way."""

    def __init__(
        self,
        entries: Sequence[CorpusEntry],
        warehouse: Warehouse,
        steps: Steps,
        limits: CountingLimits,
        work: Work,
        end_stage: Callable[[str], object],
    ) -> None:
        """Prepare to count corpora.

        Args:
            entries: The corpora.
            warehouse: The warehouse, locked.
            steps: Takes the steps.
            limits: The limits of the steps.
            work: To which the work is added.
            end_stage: Called with ``ingest``, ``templates`` and ``ngrams`` once all corpora are
                through this stage.
        """
        self._entries = entries
        self._targets = {entry.name: entry for entry in entries}
        self._warehouse = warehouse
        self._steps = steps
        self._limits = limits
        self._work = work
        self._end_stage = end_stage
        self._n_through: Counter[str] = Counter()
        self._prepared: dict[str, Prepared | SetAside] = {}
        self._under_way: dict[str, tuple[Course[CountedCorpus | SetAside], set[Pending[Any]]]] = {}
        self._parts = SharedParts()
        self._parsing: dict[Path, Pending[ParseReport]] = {}
        self._reports: dict[str, list[ParseReport]] = {}
        self._announcer = PartsAnnouncer(len(entries))
        self._losses: list[LostFileError] = []
        self._recorded_at = time.monotonic()

    def count(self, n_at_once: int | None = None) -> CountedCorpora:
        """Ingest, parse and count the corpora.

        Args:
            n_at_once: How many steps run at a time; by default one more than the run has threads.

        Raises:
            WarehouseError: The published database is not one of this program.
            DatabaseInUseError: Another process has it open for writing.
        """
        n_steps = resources().steps_at_a_time if n_at_once is None else n_at_once
        with listening(self._announcer):
            try:
                outcomes = self._take_all(_CORPORA_PER_STEP * max(1, n_steps))
            finally:
                self._work.n_parsed += sum(
                    report.n_queries
                    for key, reports in self._reports.items()
                    if self._parts.list_corpora(key)
                    for report in reports
                )
        return self._collect(outcomes)

    def _collect(self, outcomes: "dict[str, CountedCorpus | SetAside]") -> CountedCorpora:
        from nl2sql_align.tasks.run.steps import collect_notes, set_aside_empty

        checked = check_targets(self._prepared)
        outcomes |= {name: one for name, one in checked.items() if isinstance(one, SetAside)}
        in_order = [outcomes[entry.name] for entry in self._entries]
        prepared = [checked[entry.name] for entry in self._entries]
        counted = [one for one in in_order if not isinstance(one, SetAside)]
        set_aside = [one for one in in_order if isinstance(one, SetAside)]
        notes = [note for one in prepared if isinstance(one, Prepared) for note in one.notes]
        return CountedCorpora(
            counted,
            set_aside + set_aside_empty(counted),
            notes + collect_notes(counted, self._warehouse),
        )

    def _take_all(self, most: int) -> "dict[str, CountedCorpus | SetAside]":
        """Take all corpora through their steps, and return what became of each.

        If one needs a file that the store has lost, the others that are under way end first: the
        next attempt reuses their files.
        """
        outcomes: dict[str, CountedCorpus | SetAside] = {}
        waiting, is_loaded = deque(self._entries), False
        while self._under_way or (waiting and not self._losses):
            while waiting and len(self._under_way) < most and not self._losses:
                entry = waiting.popleft()
                self._advance(entry.name, self._take(entry), outcomes)
            if not is_loaded:
                self._load_modules()
                is_loaded = True
            step = self._steps.wait_for_one()
            for name, (course, missing) in list(self._under_way.items()):
                missing.discard(step)
                if not missing:
                    self._advance(name, course, outcomes)
            self._record_digests()
        if self._losses:
            raise self._losses[0]
        return outcomes

    def _load_modules(self) -> None:
        """Load the modules of later steps while the first dumps are read."""
        for module in _LATER_MODULES:
            import_module(module)
        from nl2sql_align.tasks.results.publish import check_published

        check_published(self._warehouse)  # now rather than at the end of the work

    def _advance(
        self,
        name: str,
        course: "Course[CountedCorpus | SetAside]",
        outcomes: "dict[str, CountedCorpus | SetAside]",
    ) -> None:
        """Continue with a corpus until it waits for steps that have not ended, or is counted."""
        try:
            while not (missing := self._steps.find_open(next(course))):
                pass
        except StopIteration as end:
            del self._under_way[name]
            outcomes[name] = end.value
        except LostFileError as error:
            del self._under_way[name]
            self._losses.append(error)
        else:
            self._under_way[name] = course, missing

    def _record_digests(self) -> None:
        """Record the digests of the stage files now and then, for the run after one that is killed.

        It then need not read these files to their end.
        """
        now = time.monotonic()
        if now - self._recorded_at >= _SECONDS_BETWEEN_RECORDS:
            self._warehouse.record_stages()
            self._recorded_at = now

    def _take(self, entry: CorpusEntry) -> "Course[CountedCorpus | SetAside]":
        """Take a corpus through its steps."""
        prepared = yield from self._prepare(entry)
        self._prepared[entry.name] = prepared
        n_through = self._count_through("ingest")
        announce_ingested(prepared, n_through, len(self._entries))
        if isinstance(prepared, SetAside):
            self._announcer.add(())
            self._count_through("templates")
            self._count_through("ngrams")
            return prepared
        self._work.n_ingested += prepared.was_ingested
        yield from self._parse(prepared)
        self._count_through("templates")
        outcome = yield from self._count(prepared)
        self._remove_texts(prepared)
        n_through = self._count_through("ngrams")
        announce_counted(entry.name, outcome, n_through, len(self._entries))
        return outcome

    def _count_through(self, stage: str) -> int:
        """Count a corpus that is through a stage, and return their number."""
        self._n_through[stage] += 1
        if self._n_through[stage] == len(self._entries):
            self._end_stage(stage)
        return self._n_through[stage]

    def _prepare(self, entry: CorpusEntry) -> Course[Prepared | SetAside]:
        """Ingest a corpus, and find its distinct queries."""
        submit, limits = self._steps.submit, self._limits
        try:
            step = submit(
                prepare_corpus,
                entry,
                self._warehouse,
                limits.queries,
                target=self._targets.get(entry.target or ""),
                split_limits=limits.split,
            )
            [prepared] = yield from _wait([step])
            if isinstance(prepared, Prepared) and (splitting := prepared.splitting):
                yield from _wait([submit(find_distinct, job) for job in splitting.ranges])
                yield from _wait([submit(find_firsts, job) for job in splitting.partitions])
                reports = yield from _wait([submit(write_texts, job) for job in splitting.texts])
                prepared = add_jobs(prepared, reports, limits.queries)
        except Exception as error:
            return self._set_aside(entry, error)
        return prepared

    def _parse(self, prepared: Prepared) -> Course[None]:
        """Parse the texts of a corpus, except for those that another corpus has under way."""
        new = self._parts.add(prepared)
        for job in new:
            self._parsing[job.destination] = self._steps.submit(parse_part, job)
        self._announcer.add(
            job.destination for job in new if self._parts.list_corpora(self._parts.find_texts(job))
        )
        for job in new:
            [report] = yield from _wait([self._parsing[job.destination]])
            self._take_report(job, report)
        yield [self._parsing[job.destination] for job in self._parts.list_jobs(prepared)]

    def _take_report(self, job: ParseJob, report: ParseReport) -> None:
        self._work.n_crashed += report.n_crashed
        key = self._parts.find_texts(job)
        reports = self._reports.setdefault(key, [])
        reports.append(report)
        if self._announcer.finish(job.destination):
            is_last = len(reports) == self._parts.count_jobs(key)
            announce_parsed(
                self._parts.list_corpora(key) if is_last else [],
                reports,
                self._announcer.n_done,
                self._announcer.n_parts,
            )

    def _count(self, prepared: Prepared) -> "Course[CountedCorpus | SetAside]":
        """Count the n-grams of a parsed corpus, and pack its queries."""
        from nl2sql_align.tasks.ngrams.corpus_counts import (
            add_partition,
            count_part,
            gather_partitions,
        )
        from nl2sql_align.tasks.results.packed_queries import (
            DEFAULT_PACK_LIMITS,
            gather_packed,
            pack_part,
            plan_packing,
        )
        from nl2sql_align.tasks.run.steps import count_corpus

        submit, limits = self._steps.submit, self._limits.pack or DEFAULT_PACK_LIMITS
        try:
            step = submit(count_corpus, prepared, self._warehouse, pack_limits=limits)
            [corpus] = yield from _wait([step])
            division, packing = corpus.division, plan_packing(corpus, self._warehouse, limits)
            parts = [submit(count_part, job) for job in division.parts] if division else []
            parts += [submit(pack_part, job) for job in packing.parts]
            seconds = sum((yield from _wait(parts)), corpus.seconds)
            if division:
                added = [submit(add_partition, job) for job in division.partitions]
                seconds = sum((yield from _wait(added)), seconds)
                gather_partitions(division)
            if packing.parts:
                gather_packed(packing)
        except Exception as error:
            return self._set_aside(prepared.entry, error)
        return replace(corpus, seconds=seconds, division=None)

    def _remove_texts(self, prepared: Prepared) -> None:
        """Remove the parts of a corpus that is counted, unless another one needs them."""
        others = [self._prepared.get(name) for name in self._under_way]
        needed = {
            texts.templates_key
            for one in others
            if isinstance(one, Prepared) and one is not prepared
            for texts in list_texts(one)
        }
        for texts in list_texts(prepared):
            if texts.templates_key not in needed and texts.templates.exists():
                for file in {file for job in texts.jobs for file in (job.source, job.destination)}:
                    file.unlink(missing_ok=True)

    def _set_aside(self, entry: CorpusEntry, error: Exception) -> SetAside:
        """Set a corpus aside for the error of a step, unless others meet the error too."""
        from nl2sql_align.tasks.run.steps import set_aside_failed

        return set_aside_failed(entry, error, self._warehouse)


def _wait(steps: Sequence[Pending[R]]) -> Course[list[R]]:
    """Wait for steps, and return their results."""
    yield steps
    return [step.result() for step in steps]
