"""From a dump to the parts of it that are to be parsed: what to reuse, what to set aside.

Loads neither what counts nor what compares, so that parsing begins while these are still loading.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ingest.corpora_file import AS_WRITTEN, AUTO, CorpusEntry
from nl2sql_align.tasks.ingest.dumps import (
    INGEST_VERSION,
    digest_dump,
    ingest_corpus,
    text_settings,
)
from nl2sql_align.tasks.ingest.fetch import fetch_dump
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.templates.dialect_choice import CANDIDATES, FORMAT_DIALECTS, choose_dialect
from nl2sql_align.tasks.templates.parser_pool import ParseJob, start_worker
from nl2sql_align.tasks.templates.parts import split_queries
from nl2sql_align.tasks.templates.rules import (
    DEFAULT_LIMITS,
    MAX_N,
    NGRAM_RULES_VERSION,
    TEMPLATE_RULES_VERSION,
    Limits,
    parser_version,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key


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


def prepare_corpus(
    entry: CorpusEntry, warehouse: Warehouse, limits: Limits = DEFAULT_LIMITS
) -> Prepared | SetAside:
    """Ingests a corpus, unless its content is there, and splits what is to be parsed into parts."""
    notes = []
    started = time.perf_counter()
    try:
        if entry.url is not None:
            entry = fetch_dump(entry, warehouse)
        entry, recognised = resolve_format(entry)
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
        parser=parser_version(),
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
        dialects_file(entry, queries_key, warehouse),
    )
    chosen = entry.model_copy(update={"dialect": choice.dialect})
    return chosen, [f"{entry.name}: {choice.reason}"]


def dialects_file(entry: CorpusEntry, key: str, warehouse: Warehouse) -> Path:
    """Where it is kept which dialects parse how much of a content."""
    own = FORMAT_DIALECTS.get(entry.format)
    name = stage_key(
        content=key, own=own, given=entry.dialect, candidates=CANDIDATES, parser=parser_version()
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
        if one.entry.role == "predictions" and one.entry.is_cleaned and _n_cleaned(one.queries):
            name = one.entry.name + AS_WRITTEN
            entries.append(one.entry.model_copy(update={"name": name, "clean": "none"}))
    return entries


def _n_cleaned(queries: Path) -> int:
    with connected() as con:
        [(n_cleaned,)] = query_sql(con, "ingest/count_cleaned", queries=str(queries)).fetchall()
        return int(n_cleaned)


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
