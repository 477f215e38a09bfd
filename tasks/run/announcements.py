"""Progress of the main job, as its steps end: for people, and as facts for programs."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nl2sql_align.tasks.base.progress import PART, Progress, announce
from nl2sql_align.tasks.run.prepare import Prepared, SetAside
from nl2sql_align.tasks.templates.parser_pool import ParseReport
from nl2sql_align.tasks.warehouse.part_files import count_distinct_ngrams

if TYPE_CHECKING:
    from nl2sql_align.tasks.measures.intervals import IntervalsReport
    from nl2sql_align.tasks.measures.matrix import MatrixReport
    from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus


def announce_ingested(outcome: Prepared | SetAside, n_done: int, n_corpora: int) -> None:
    """Announce an ingested corpus."""
    if isinstance(outcome, SetAside):
        name = outcome.corpus
        announce("ingest", f"{name}: set aside", n_done, n_corpora, corpus=name)
        return
    name, seconds = outcome.entry.name, outcome.seconds
    facts: dict[str, str | int | float] = {"corpus": name, "seconds": seconds}
    text = "unchanged"
    if outcome.jobs:
        text = f"{outcome.n_distinct:,} distinct queries to parse"
        facts["n_queries"] = outcome.n_distinct
    announce("ingest", f"{name}: {text}, {seconds:.1f} s", n_done, n_corpora, **facts)


class PartsAnnouncer:
    """Announces how much of all parts is parsed, while parsers of this process are at work."""

    def __init__(self, n_corpora: int) -> None:
        """Expect a part of each corpus until its parts are added.

        Args:
            n_corpora: The number of corpora.
        """
        self._n_expected = n_corpora
        self._shares: dict[str, float] = {}

    @property
    def n_done(self) -> int:
        """The parts that have been parsed."""
        return sum(share == 1.0 for share in self._shares.values())

    @property
    def n_parts(self) -> int:
        """The parts of all corpora, as far as they are known."""
        return len(self._shares) + self._n_expected

    def add(self, parts: Iterable[Path]) -> None:
        """Add the parts of a corpus that are to be parsed."""
        self._shares |= {str(part): 0.0 for part in parts}
        self._n_expected -= 1

    def finish(self, part: Path) -> bool:
        """Count a part as parsed, and return whether it has been added."""
        if str(part) not in self._shares:
            return False
        self._shares[str(part)] = 1.0
        return True

    def __call__(self, step: Progress) -> None:
        """Take an announcement about a part: a listener, called in the thread of a parser."""
        part = str(step.facts.get("part"))
        if step.stage == PART and self._shares.get(part, 1.0) < 1.0:
            self._shares[part] = step.done / step.total
            announce("templates", "", sum(list(self._shares.values())), self.n_parts)


def announce_parsed(
    names: list[str], reports: list[ParseReport], n_done: int, n_parts: int
) -> None:
    """Announce a parsed part.

    Args:
        names: The corpora that this part completes; if empty, the announcement has an empty text.
        reports: The reports of all parts that have been parsed of the same texts.
        n_done: Parts of all corpora that have been parsed.
        n_parts: Parts of all corpora.
    """
    corpora = ", ".join(names)
    n_queries = sum(one.n_queries for one in reports)
    n_rejected = sum(one.n_rejected for one in reports)
    seconds = sum(one.seconds for one in reports)
    text = f"{n_queries:,} distinct queries, {n_rejected:,} rejected, {seconds:.1f} s"
    announce(
        "templates",
        f"{corpora}: {text}" if names else "",
        n_done,
        n_parts,
        corpus=corpora,
        n_queries=n_queries,
        n_rejected=n_rejected,
        seconds=seconds,
    )


def announce_counted(
    name: str, outcome: "CountedCorpus | SetAside", n_done: int, n_corpora: int
) -> None:
    """Announce a counted corpus."""
    if isinstance(outcome, SetAside):
        announce("ngrams", f"{name}: set aside", n_done, n_corpora, corpus=name)
        return
    number, seconds = count_distinct_ngrams(outcome.ngrams), outcome.seconds
    announce(
        "ngrams",
        f"{name}: {number:,} distinct n-grams, {seconds:.1f} s",
        n_done,
        n_corpora,
        corpus=name,
        n_ngrams=number,
        seconds=seconds,
    )


def announce_matrix(matrix: "MatrixReport", seconds: float) -> None:
    """Announce the measures of all pairs."""
    announce(
        "matrix",
        f"{matrix.n_pairs:,} pairs, {matrix.n_new:,} of them new, {seconds:.1f} s",
        n_pairs=matrix.n_pairs,
        n_new_pairs=matrix.n_new,
        seconds=seconds,
    )


def announce_intervals(intervals: "IntervalsReport | None", seconds: float) -> None:
    """Announce the intervals, if there are any."""
    if intervals is None:
        return
    announce(
        "intervals",
        f"{intervals.n_new:,} of {intervals.n_pairs:,} pairs resampled, {seconds:.1f} s",
        n_pairs=intervals.n_pairs,
        n_new_pairs=intervals.n_new,
        seconds=seconds,
    )


def announce_slices(slices: Path, seconds: float) -> None:
    """Announce the measures of the slices of targets."""
    # Loads NumPy, whose settings must be in the environment by then.
    import pyarrow.parquet as pq

    rows = pq.read_table(slices, columns=["target", "slice"])
    found = {*zip(*rows.to_pydict().values(), strict=True)}
    counts = Counter(target for target, _ in found)
    named = ", ".join(f"{target} {n:,}" for target, n in sorted(counts.items()))
    announce("slices", f"{named}; {seconds:.1f} s", n_slices=len(found), seconds=seconds)
