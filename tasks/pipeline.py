"""The steps of a run: what to do for each corpus, what to reuse, what to set aside.

``flows.align`` runs them as Prefect tasks.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq

from tasks.config import CorpusEntry
from tasks.corpus_stages import count_corpus, join_templates, split_queries
from tasks.errors import CorpusError
from tasks.ingest import INGEST_VERSION, digest_dump, ingest_corpus
from tasks.intervals import (
    CONFIDENCE,
    DEFAULT_RESAMPLING,
    INTERVALS_VERSION,
    IntervalsReport,
    Resampling,
    compute_intervals,
)
from tasks.matrix import EPSILON, MATRIX_VERSION, SKEW, Content, MatrixReport, compute_matrix
from tasks.ngrams import MAX_N, NGRAM_RULES_VERSION
from tasks.publish import PUBLISH_VERSION, IngestedCorpus
from tasks.template_rules import DEFAULT_LIMITS, TEMPLATE_RULES_VERSION, Limits
from tasks.warehouse import Warehouse, stage_key
from tasks.workers import ParseJob, start_worker

_PACKAGES = ("nl2sql-align", "sqlglot", "duckdb", "polars", "pyarrow", "numpy", "scipy", "prefect")


def versions() -> dict[str, str]:
    """Versions of everything that can change a number."""
    return {
        **{package: version(package) for package in _PACKAGES},
        "python": ".".join(map(str, sys.version_info[:3])),
        "ingest": str(INGEST_VERSION),
        "template_rules": str(TEMPLATE_RULES_VERSION),
        "ngram_rules": str(NGRAM_RULES_VERSION),
        "matrix": str(MATRIX_VERSION),
        "intervals": str(INTERVALS_VERSION),
        "publish": str(PUBLISH_VERSION),
    }


def parameters(
    limits: Limits = DEFAULT_LIMITS, resampling: Resampling = DEFAULT_RESAMPLING
) -> dict[str, float | str | None]:
    """The values that the specification leaves open or makes configurable."""
    return {
        "skew": SKEW,
        "epsilon": EPSILON,
        "max_n": MAX_N,
        "max_characters": limits.max_characters,
        "max_brackets": limits.max_brackets,
        "confidence": CONFIDENCE,
        "replicates": resampling.replicates,
        "resampled_unit": resampling.unit,
        "seed": resampling.seed,
    }


@dataclass(frozen=True)
class SetAside:
    """A corpus that this run cannot take."""

    corpus: str
    reason: str


@dataclass(frozen=True)
class Prepared:
    """An ingested corpus, and what is still to be parsed of it.

    ``jobs`` is empty where an earlier run has parsed this content by the same rules.
    """

    entry: CorpusEntry
    digest: str
    templates_key: str
    content_key: str
    queries: Path
    templates: Path
    ngrams: Path
    was_ingested: bool
    n_distinct: int
    jobs: tuple[ParseJob, ...]


def prepare(
    entry: CorpusEntry, warehouse: Warehouse, limits: Limits = DEFAULT_LIMITS
) -> Prepared | SetAside:
    """Ingests a corpus, unless its content is there, and splits what is to be parsed into parts."""
    try:
        digest = digest_dump(entry)
        queries_key = stage_key(
            digest=digest,
            format=entry.format,
            columns=entry.columns.model_dump() if entry.columns else None,
            version=INGEST_VERSION,
        )
        templates_key = stage_key(
            queries=queries_key,
            dialect=entry.dialect,
            rules=TEMPLATE_RULES_VERSION,
            parser=version("sqlglot"),
            limits=[limits.max_characters, limits.max_brackets],
        )
        templates = warehouse.templates_file(templates_key)
        if not templates.exists():
            start_worker()  # ready when the queries are
        queries = warehouse.queries_file(queries_key)
        is_new = not queries.exists()
        if is_new:
            ingest_corpus(entry, queries)
    except CorpusError as error:
        return SetAside(entry.name, str(error))
    content_key = stage_key(templates=templates_key, rules=NGRAM_RULES_VERSION, max_n=MAX_N)
    n_distinct = 0
    jobs: tuple[ParseJob, ...] = ()
    if not templates.exists():
        source = warehouse.scratch / f"{templates_key}-texts.parquet"
        split = split_queries(queries, source)
        n_distinct = split.n_distinct
        jobs = tuple(
            ParseJob(source, part, _part(warehouse, templates_key, part), entry.dialect, limits)
            for part in range(split.n_parts)
        )
    return Prepared(
        entry,
        digest,
        templates_key,
        content_key,
        queries,
        templates,
        warehouse.ngrams_file(entry.name, content_key),
        is_new,
        n_distinct,
        jobs,
    )


class Parts:
    """Which corpora wait for which parts to be parsed; contents that corpora share, once."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Prepared]] = {}
        self._open: dict[Path, str] = {}
        self._n_open: Counter[str] = Counter()

    def add(self, prepared: Prepared) -> tuple[ParseJob, ...]:
        """What is to be parsed for one more corpus."""
        key = prepared.templates_key
        waiting = self._waiting.setdefault(key, [])
        waiting.append(prepared)
        if len(waiting) > 1:
            return ()
        self._open |= {job.destination: key for job in prepared.jobs}
        self._n_open[key] = len(prepared.jobs)
        return prepared.jobs

    def parsed(self) -> list[Prepared]:
        """The corpora of which nothing was to be parsed; to be asked when all are added."""
        return [one for key, n in self._n_open.items() if n == 0 for one in self._waiting[key]]

    def done(self, job: ParseJob) -> list[Prepared]:
        """The corpora that a part completes; to be told when all are added."""
        key = self._open[job.destination]
        self._n_open[key] -= 1
        return self._waiting[key] if self._n_open[key] == 0 else []


def _part(warehouse: Warehouse, templates_key: str, part: int) -> Path:
    return warehouse.scratch / f"{templates_key}-{part}.parquet"


def finish(prepared: Prepared) -> IngestedCorpus:
    """Puts the parsed parts of a corpus together and counts its n-grams, unless both are there."""
    if not prepared.templates.exists():
        texts = prepared.jobs[0].source
        join_templates(texts, [job.destination for job in prepared.jobs], prepared.templates)
    if not prepared.ngrams.exists():
        metadata = {
            "corpus": prepared.entry.name,
            "digest": prepared.digest,
            "dialect": prepared.entry.dialect,
            "template_rules_version": str(TEMPLATE_RULES_VERSION),
            "parser": f"sqlglot {version('sqlglot')}",
        }
        count_corpus(prepared.entry.name, prepared.templates, prepared.ngrams, metadata)
    return IngestedCorpus(
        prepared.entry,
        prepared.digest,
        prepared.content_key,
        prepared.queries,
        prepared.templates,
        prepared.ngrams,
    )


def without_ngrams(corpora: list[IngestedCorpus], warehouse: Warehouse) -> list[SetAside]:
    """The corpora that are published, but have no distribution to compare."""
    empty = [corpus.entry for corpus in corpora if not _has_ngrams(corpus)]
    faults = [
        CorpusError(
            entry.name,
            entry.path,
            f"none of its queries has a template in dialect '{entry.dialect}'",
            f"check format and dialect; nl2sql-align rejects {warehouse.folder} {entry.name}",
        )
        for entry in empty
    ]
    return [SetAside(fault.corpus, str(fault)) for fault in faults]


def _has_ngrams(corpus: IngestedCorpus) -> bool:
    n_ngrams: int = pq.read_metadata(corpus.ngrams).num_rows
    return n_ngrams > 0


def measure(corpora: list[IngestedCorpus], warehouse: Warehouse) -> MatrixReport:
    """Measures all pairs of the corpora; those of known content are taken from the last run."""
    # Where no corpus can be compared, all are given: there must be files to read.
    comparable = list(filter(_has_ngrams, corpora)) or corpora
    contents = [
        Content(
            corpus.content_key,
            corpus.entry.name,
            corpus.ngrams,
            corpus.templates,
            corpus.entry.role == "target",
        )
        for corpus in comparable
    ]
    return compute_matrix(contents, warehouse.folder / "stages" / "pairs")


def resample(
    corpora: list[IngestedCorpus],
    matrix: MatrixReport,
    warehouse: Warehouse,
    how: Resampling = DEFAULT_RESAMPLING,
) -> IntervalsReport | None:
    """Intervals, verdicts and ceilings; None where no replicates are wanted.

    Pairs of known content are taken from the last run.
    """
    if how.replicates == 0:
        return None
    comparable = list(filter(_has_ngrams, corpora))
    folder = warehouse.folder / "stages" / "intervals"
    return compute_intervals(comparable, matrix.pairs, folder, how)


def remove_unused_stages(corpora: list[IngestedCorpus], warehouse: Warehouse) -> None:
    """Removes the stage files that this run's corpora do not stand on."""
    used = {path for corpus in corpora for path in (corpus.queries, corpus.templates)}
    for stage in ("queries", "templates"):
        for file in (warehouse.folder / "stages" / stage).glob("*.parquet"):
            if file not in used:
                file.unlink()
