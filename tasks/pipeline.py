"""The steps of a run: what to do for each corpus, what to reuse, what to set aside.

``flows.align`` runs them as Prefect tasks.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.config import AUTO, CorpusEntry
from tasks.corpus_stages import IngestedCorpus, count_corpus, join_templates, split_queries
from tasks.dialects import CANDIDATES, CLEARLY_MORE, FORMAT_DIALECTS, choose_dialect
from tasks.engine import connected
from tasks.errors import AlignError, CorpusError
from tasks.ingest import INGEST_VERSION, digest_dump, ingest_corpus, text_settings
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
from tasks.publish import AS_WRITTEN, PUBLISH_VERSION
from tasks.recognise import settled
from tasks.remote import fetched, remove_unused_copies
from tasks.sqlfiles import query_sql
from tasks.template_rules import DEFAULT_LIMITS, TEMPLATE_RULES_VERSION, Limits
from tasks.warehouse import Warehouse, stage_key, write_changed
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
    entries: Iterable[CorpusEntry] = (),
    limits: Limits = DEFAULT_LIMITS,
    resampling: Resampling = DEFAULT_RESAMPLING,
) -> dict[str, Any]:
    """The values that the specification leaves open or makes configurable."""
    return {
        # What became of the texts of each corpus before they were parsed, and how they were parsed.
        "texts": {
            entry.name: {"dialect": entry.dialect, **text_settings(entry), "kinds": entry.kinds}
            for entry in entries
        },
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

    ``jobs`` is empty where an earlier run has parsed this content by the same rules. ``notes`` say
    what was decided for the corpus. The format and dialect of ``entry`` are known.
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
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


def prepare(
    entry: CorpusEntry, warehouse: Warehouse, limits: Limits = DEFAULT_LIMITS
) -> Prepared | SetAside:
    """Ingests a corpus, unless its content is there, and splits what is to be parsed into parts."""
    notes = []
    started = time.perf_counter()
    try:
        if entry.url is not None:
            entry = fetched(entry, warehouse)
        entry, recognised = settled(entry)
        if recognised:
            notes.append(f"{entry.name}: {recognised}")
        digest = entry.digest or digest_dump(entry)
        queries_key = stage_key(
            digest=digest,
            format=entry.format,
            columns=entry.columns.model_dump() if entry.columns else None,
            # A folder's digest knows its files; that of an archive does not know which are taken.
            glob=entry.glob,
            kind=entry.path.suffix,
            texts=text_settings(entry),
            version=INGEST_VERSION,
        )
        limits = replace(limits, kinds=entry.kinds)
        templates_key = _templates_key(entry, queries_key, limits)
        if not warehouse.templates_file(templates_key).exists():
            start_worker()  # ready when the queries are
        queries = warehouse.queries_file(queries_key)
        is_new = not queries.exists()
        if is_new and entry.digest:
            raise CorpusError(
                entry.name,
                entry.place,
                "is not to be read, and what an earlier run made of it is gone",
                "remove keys digest and retired_at, or this corpus",
            )
        if is_new:
            ingest_corpus(entry, queries)
    except CorpusError as error:
        return SetAside(entry.name, str(error))
    entry, chosen = _with_dialect(entry, queries, queries_key, warehouse)
    notes += chosen
    templates_key = _templates_key(entry, queries_key, limits)
    templates = warehouse.templates_file(templates_key)
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
        _ngrams_file(entry, content_key, warehouse),
        is_new,
        n_distinct,
        jobs,
        tuple(notes),
        time.perf_counter() - started,
    )


def _templates_key(entry: CorpusEntry, queries_key: str, limits: Limits) -> str:
    return stage_key(
        queries=queries_key,
        dialect=entry.dialect,
        rules=TEMPLATE_RULES_VERSION,
        parser=version("sqlglot"),
        limits=[limits.max_characters, limits.max_brackets, sorted(limits.kinds)],
    )


def _with_dialect(
    entry: CorpusEntry, queries: Path, queries_key: str, warehouse: Warehouse
) -> tuple[CorpusEntry, list[str]]:
    """The corpus with its dialect, chosen where it is left open, and what to say of that."""
    if entry.dialect != AUTO:
        return entry, []
    choice = choose_dialect(
        queries,
        warehouse.scratch,
        [FORMAT_DIALECTS.get(entry.format)],
        _dialects_file(entry, queries_key, warehouse),
    )
    chosen = entry.model_copy(update={"dialect": choice.dialect})
    return chosen, [f"{entry.name}: {choice.reason}"]


def _dialects_file(entry: CorpusEntry, key: str, warehouse: Warehouse) -> Path:
    """Where it is kept which dialects parse how much of a content."""
    own = FORMAT_DIALECTS.get(entry.format)
    name = stage_key(
        content=key, own=own, given=entry.dialect, candidates=CANDIDATES, parser=version("sqlglot")
    )
    return warehouse.folder / "stages" / "dialects" / f"{name}.json"


def _ngrams_file(entry: CorpusEntry, content_key: str, warehouse: Warehouse) -> Path:
    if entry.name.endswith(AS_WRITTEN):
        return warehouse.folder / "stages" / "as_written" / "ngrams" / f"{content_key}.parquet"
    return warehouse.ngrams_file(entry.name, content_key)


def as_written(prepared: Iterable[Prepared]) -> list[CorpusEntry]:
    """The predictions of which some texts were cleaned, as corpora whose texts are not.

    They are measured too, to tell whether the cleaning changes a ratio, but are not published.
    """
    entries = []
    for one in prepared:
        if one.entry.role == "predictions" and one.entry.cleans and _n_cleaned(one.queries):
            name = one.entry.name + AS_WRITTEN
            entries.append(one.entry.model_copy(update={"name": name, "clean": "none"}))
    return entries


def _n_cleaned(queries: Path) -> int:
    with connected() as con:
        [(n_cleaned,)] = query_sql(con, "ingest/count_cleaned", queries=str(queries)).fetchall()
        return int(n_cleaned)


def observations(corpora: list[IngestedCorpus], warehouse: Warehouse) -> list[str]:
    """What a user should know of the corpora: one line each.

    Other dialects that parse clearly more, texts in other encodings, and predictions that are not
    as many as the questions of their target.
    """
    found = []
    n_rows = {one.entry.name: pq.read_metadata(one.queries).num_rows for one in corpora}
    for one in corpora:
        entry, name = one.entry, one.entry.name
        said = pq.read_metadata(one.queries).metadata or {}
        encoding = said.get(b"encoding", b"utf-8").decode()
        n_replaced = int(said.get(b"n_replaced", b"0"))
        if encoding != "utf-8" or n_replaced:
            found.append(f"{name}: read as {encoding}; {n_replaced:,} characters could not be told")
        expected = n_rows.get(entry.target) if entry.target else None
        if expected is not None and expected != n_rows[name]:
            found.append(
                f"{name}: {n_rows[name]:,} predictions for the {expected:,} questions of "
                f"{entry.target}: are answers missing, or do line breaks stand within some?"
            )
        found += _better_dialect(one, warehouse)
    return found


def _better_dialect(corpus: IngestedCorpus, warehouse: Warehouse) -> list[str]:
    """A warning where another dialect parses clearly more than the one given."""
    counts = pq.read_table(corpus.templates, columns=["n_queries", "template"])
    n_queries = pc.sum(counts["n_queries"]).as_py()
    n_templated = pc.sum(counts.filter(pc.is_valid(counts["template"]))["n_queries"]).as_py() or 0
    if n_queries - n_templated < CLEARLY_MORE * n_queries:
        return []
    entry = corpus.entry
    kept = _dialects_file(entry, corpus.queries.stem, warehouse)
    choice = choose_dialect(corpus.queries, warehouse.scratch, [entry.dialect], kept)
    if choice.shares[choice.dialect] < choice.shares[entry.dialect] + CLEARLY_MORE:
        return []
    return [
        f"{entry.name}: dialect '{choice.dialect}' would parse clearly more than "
        f"'{entry.dialect}': {choice.shares[choice.dialect]:.1%} and "
        f"{choice.shares[entry.dialect]:.1%} of {choice.n_sampled} queries"
    ]


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
    started = time.perf_counter()
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
        time.perf_counter() - started,
    )


def without_ngrams(corpora: list[IngestedCorpus], warehouse: Warehouse) -> list[SetAside]:
    """The corpora that are published, but have no distribution to compare."""
    empty = [corpus.entry for corpus in corpora if not _has_ngrams(corpus)]
    faults = [
        CorpusError(
            entry.name,
            entry.place,
            f"none of its queries has a template in dialect '{entry.dialect}'",
            f"check format and dialect; nl2sql-align rejects {warehouse.folder} {entry.name}",
        )
        for entry in empty
    ]
    return [SetAside(fault.corpus, str(fault)) for fault in faults]


def _has_ngrams(corpus: IngestedCorpus) -> bool:
    n_ngrams: int = pq.read_metadata(corpus.ngrams).num_rows
    return n_ngrams > 0


def measure_as_written(
    written: list[IngestedCorpus], corpora: list[IngestedCorpus], warehouse: Warehouse
) -> Path:
    """Measures predictions as they were written with their targets, into a file of pairs."""
    targets = {one.entry.target for one in written}
    wanted = [*written, *(one for one in corpora if one.entry.name in targets)]
    return measure(wanted, warehouse, warehouse.folder / "stages" / "as_written" / "pairs").pairs


def measure(
    corpora: list[IngestedCorpus], warehouse: Warehouse, folder: Path | None = None
) -> MatrixReport:
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
    return compute_matrix(contents, folder or warehouse.folder / "stages" / "pairs")


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


def blamed(entry: CorpusEntry, error: BaseException, warehouse: Warehouse) -> SetAside:
    """The corpus set aside for an error that is its own.

    Raises:
        WarehouseError: The error is one of the warehouse.
        BaseException: The error itself, where other corpora would meet it too.
    """
    if isinstance(error, AlignError) or not isinstance(error, Exception):
        raise error
    if (trouble := warehouse.trouble(error)) is not None:
        raise trouble from error
    problem = f"{type(error).__name__}: {error}".splitlines()[0]
    fault = CorpusError(entry.name, entry.place, problem, "check the dump, and run again")
    return SetAside(entry.name, str(fault))


def remember(corpora: list[IngestedCorpus], warehouse: Warehouse) -> None:
    """Writes down what was taken, and as what, for runs that lack some of the dumps."""
    cards = {
        one.entry.name: {
            "entry": one.entry.model_dump(
                mode="json", exclude_defaults=True, exclude={"path", "url"}
            )
            | {"path": str(one.entry.place)},
            "digest": one.digest,
        }
        for one in corpora
    }
    write_changed(warehouse.cards, json.dumps(cards, indent=1, sort_keys=True))


def remove_unused_stages(corpora: list[IngestedCorpus], warehouse: Warehouse) -> None:
    """Removes the stage files, and copies of dumps, that this run's corpora do not stand on."""
    remove_unused_copies({corpus.digest for corpus in corpora}, warehouse)
    used = {
        path for corpus in corpora for path in (corpus.queries, corpus.templates, corpus.ngrams)
    }
    for stage in ("queries", "templates", "as_written/ngrams"):
        for file in (warehouse.folder / "stages" / stage).glob("*.parquet"):
            if file not in used:
                file.unlink()
