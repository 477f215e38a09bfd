"""From a dump to the parts to parse: reuse stage files, ingest, or set the corpus aside.

Imports neither counting nor measuring, so that parsing starts while they are loading.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.base.run_sql import load_sql, query_sql
from nl2sql_align.tasks.ingest.changing_dumps import (
    ChangedDumpError,
    IdentifiedDump,
    identify_dump,
    read_unchanged,
)
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry, is_generic
from nl2sql_align.tasks.ingest.dumps import INGEST_VERSION, ingest_corpus, text_settings
from nl2sql_align.tasks.ingest.fetch import describe_fetched, fetch_dump
from nl2sql_align.tasks.ingest.format_recognition import ROW_NUMBERS
from nl2sql_align.tasks.ingest.questions import (
    ARRANGEMENT_VERSION,
    NUMBERED_FORMATS,
    SLICES_VERSION,
    Arrangement,
    find_arrangement,
    has_frequencies,
    has_ids,
    has_question_ordinals,
    has_question_texts,
    write_arranged,
    write_slices,
)
from nl2sql_align.tasks.ingest.statements import KINDS
from nl2sql_align.tasks.templates.dialect_choice import (
    list_own_dialects,
    recall_dialect,
)
from nl2sql_align.tasks.templates.distinct_queries import (
    SplitLimits,
    Splitting,
    plan_splitting,
)
from nl2sql_align.tasks.templates.fingerprints import FINGERPRINT, read_manifest
from nl2sql_align.tasks.templates.parser_pool import ParseJob, start_worker
from nl2sql_align.tasks.templates.parts import (
    SplitReport,
    split_queries,
    write_given_templates,
)
from nl2sql_align.tasks.templates.rules import (
    CANDIDATES,
    DEFAULT_LIMITS,
    MAX_N,
    NGRAM_RULES_VERSION,
    TEMPLATE_RULES_VERSION,
    Limits,
    parser_version,
)
from nl2sql_align.tasks.warehouse.facts import recall
from nl2sql_align.tasks.warehouse.folder import (
    Warehouse,
    digest_file,
    stage_key,
)
from nl2sql_align.tasks.warehouse.object_store import fetch_missing


@dataclass(frozen=True)
class SetAside:
    """A corpus that this run cannot use."""

    corpus: str
    reason: str

    def as_error(self, entry: CorpusEntry) -> CorpusError:
        """Return the error for a caller that cannot do without the corpus."""
        problem = self.reason.removeprefix(f"corpus '{entry.name}' ({entry.place}): ")
        return CorpusError(entry.name, entry.place, *problem.split("; ", 1))


@dataclass(frozen=True)
class Prepared:
    """An ingested corpus, and the jobs that parse it.

    Attributes:
        entry: The corpus, with a known format and dialect.
        digest: The SHA-256 of its dump.
        templates_key: The key of the templates; corpora with equal texts share it.
        content_key: The key of the n-gram counts.
        queries: The stage file of the queries.
        templates: The stage file of the templates, which may not exist yet.
        ngrams: The stage file of the n-gram counts, which may not exist yet.
        was_ingested: Whether this run read the dump.
        n_distinct: Distinct queries to parse.
        jobs: Parts to parse; empty if an earlier run parsed the same content by the same rules.
        as_written: For predictions whose answers were cleaned: the same corpus without cleaning. It
            is not published, but measured to tell how much cleaning changes a ratio.
        notes: The format and dialect that were chosen for the corpus, and why.
        seconds: The time taken.
        ingested: The stage file of the queries as ingested, if ``queries`` is arranged from it.
        arrangement: How its answers belong to questions, if that is not only by their order.
        asked: The stage file of the target's queries that it is arranged by.
        slices: For a target with slices: the stage file of the slice of each question.
        splitting: For a large corpus that is to be parsed: the steps that find its distinct
            queries, after which ``add_jobs`` adds the jobs.
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
    as_written: "Prepared | None" = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    ingested: Path | None = None
    arrangement: Arrangement | None = None
    asked: Path | None = None
    slices: Path | None = None
    splitting: Splitting | None = None


def prepare_corpus(
    entry: CorpusEntry,
    warehouse: Warehouse,
    limits: Limits = DEFAULT_LIMITS,
    target: CorpusEntry | None = None,
    split_limits: SplitLimits | None = None,
) -> Prepared | SetAside:
    """Ingest a corpus, unless its stage file exists, and split its queries into parts to parse.

    Args:
        entry: The corpus.
        warehouse: The warehouse.
        limits: The limits of the parser.
        target: For predictions: the corpus with the questions. Answers with ids are joined to it.
        split_limits: Which corpora have their distinct queries found by steps of their own; by
            default, this step finds those of any corpus.
    """
    started = time.perf_counter()
    texts = warehouse if entry.keep_sql else warehouse.hidden
    try:
        fetched = fetch_dump(entry, texts)

        def prepare(given: CorpusEntry) -> Prepared:
            return _prepare_dump(given, texts, limits, target, split_limits)

        prepared = read_unchanged(fetched, texts.scratch, prepare)
    except CorpusError as error:
        reason = str(error if entry.keep_sql else _hide_detail(error))
        return SetAside(entry.name, reason)
    if not entry.keep_sql:
        prepared = _keep_counts(prepared, warehouse)
    if prepared.entry.path != fetched.path:
        note = f"{entry.name}: it changed while it was read; a copy of it from that time is used"
        prepared = _move_back(replace(prepared, notes=(note, *prepared.notes)), fetched)
    notes = (*describe_fetched(entry, fetched), *prepared.notes)
    return replace(prepared, notes=notes, seconds=time.perf_counter() - started)


def add_jobs(prepared: Prepared, reports: list[SplitReport], limits: Limits) -> Prepared:
    """Return a large corpus with the jobs that parse it, once its distinct queries are written.

    Args:
        prepared: The corpus.
        reports: The reports of the last steps of its ``splitting``.
        limits: The limits of the parser.
    """
    assert prepared.splitting is not None
    files = [job.destination for job in prepared.splitting.texts]
    limits = replace(limits, kinds=prepared.entry.kinds)
    jobs = [
        job
        for texts, report in zip(files, reports, strict=True)
        for job in _list_jobs(texts, report, prepared.entry.dialect, limits)
    ]
    n_distinct = sum(report.n_distinct for report in reports)
    return replace(prepared, n_distinct=n_distinct, jobs=tuple(jobs), splitting=None)


def _list_jobs(
    texts: Path, split: SplitReport, dialect: str, limits: Limits
) -> tuple[ParseJob, ...]:
    return tuple(
        ParseJob(texts, part, texts.with_name(f"{texts.stem}-{part}.parquet"), dialect, limits)
        for part in range(split.n_parts)
    )


def _prepare_dump(
    entry: CorpusEntry,
    warehouse: Warehouse,
    limits: Limits,
    target: CorpusEntry | None,
    split_limits: SplitLimits | None,
) -> Prepared:
    dump = identify_dump(entry)
    prepared = _prepare_texts(dump, warehouse, limits, target, split_limits)
    as_written = _prepare_as_written(prepared, dump, warehouse, limits, target)
    format_notes = (f"{entry.name}: {dump.reason}",) if dump.reason else ()
    return replace(prepared, as_written=as_written, notes=format_notes + prepared.notes)


def _hide_detail(error: CorpusError) -> CorpusError:
    """Return the error without texts in brackets, which may quote the dump."""
    problem = re.sub(r" \(.*\)", "", error.problem, flags=re.DOTALL)
    return CorpusError(error.corpus, error.path, problem, error.remedy)


def _keep_counts(prepared: Prepared, warehouse: Warehouse) -> Prepared:
    """Return a corpus whose texts are not kept, with the place of its counts in the warehouse."""
    as_written = prepared.as_written
    if as_written is not None:
        file = warehouse.as_written / "ngrams" / as_written.ngrams.name
        as_written = replace(as_written, ngrams=file)
    slices = None
    if prepared.slices is not None:
        slices = warehouse.slices_file(prepared.slices.stem)
        slices.parent.mkdir(parents=True, exist_ok=True)
        prepared.slices.replace(slices)
    file = warehouse.ngrams / prepared.ngrams.name
    return replace(prepared, ngrams=file, as_written=as_written, slices=slices)


def _move_back(prepared: Prepared, given: CorpusEntry) -> Prepared:
    """Return a corpus that was prepared from a copy of a dump, with the path of the dump."""
    as_written = prepared.as_written and _move_back(prepared.as_written, given)
    entry = prepared.entry.model_copy(update={"path": given.path, "within": given.within})
    return replace(prepared, entry=entry, as_written=as_written)


def _prepare_as_written(
    prepared: Prepared,
    dump: IdentifiedDump,
    warehouse: Warehouse,
    limits: Limits,
    target: CorpusEntry | None,
) -> Prepared | None:
    """Prepare cleaned predictions without cleaning; None if no text was changed by it."""
    entry = prepared.entry
    if entry.role != "predictions" or not entry.is_cleaned:
        return None
    if not recall(warehouse, "n_cleaned", prepared.queries, _count_cleaned):
        return None
    dump = replace(dump, entry=entry.model_copy(update={"clean": "none"}))
    try:
        as_written = _prepare_texts(dump, warehouse, limits, target)
    except ChangedDumpError:
        raise
    except CorpusError:  # the dump is gone, and an earlier run kept the cleaned texts only
        return None
    return replace(as_written, ngrams=warehouse.as_written / "ngrams" / as_written.ngrams.name)


def _prepare_texts(
    dump: IdentifiedDump,
    warehouse: Warehouse,
    limits: Limits,
    target: CorpusEntry | None,
    split_limits: SplitLimits | None = None,
) -> Prepared:
    entry, digest = dump.entry, dump.digest
    limits = replace(limits, kinds=entry.kinds)
    ingested = warehouse.queries_file(_queries_key(entry, digest))
    is_new = not ingested.exists()
    if is_new or not (
        warehouse.templates_file(_templates_key(entry, ingested, limits)).exists()
        or _has_questions(entry, ingested)
    ):
        # It loads the parser while the dump is read.
        start_worker(CANDIDATES if entry.dialect == AUTO else ())
    if is_new:
        _ingest(dump, ingested, warehouse)
    queries, arrangement, asked = _arrange_queries(dump, ingested, target, warehouse)
    if entry.format == FINGERPRINT:
        entry, notes = _take_manifest(entry)
    else:
        entry, notes = _resolve_dialect(entry, queries, warehouse)
    templates_key = _templates_key(entry, queries, limits)
    content_key = stage_key(templates=templates_key, rules=NGRAM_RULES_VERSION, max_n=MAX_N)
    prepared = Prepared(
        entry=entry,
        digest=digest,
        templates_key=templates_key,
        content_key=content_key,
        queries=queries,
        templates=warehouse.templates_file(templates_key),
        ngrams=warehouse.ngrams_file(entry.name, content_key),
        was_ingested=is_new,
        n_distinct=0,
        jobs=(),
        notes=notes + _describe_arrangement(entry, arrangement),
        ingested=ingested,
        arrangement=arrangement,
        asked=asked,
        slices=_find_slices(replace(dump, entry=entry), ingested, warehouse),
    )
    if prepared.templates.exists():
        return prepared
    fetch_missing([queries])
    if entry.format == FINGERPRINT:
        write_given_templates(queries, prepared.templates)
        return prepared
    texts = warehouse.scratch / f"{templates_key}.parquet"
    if split_limits is not None:
        splitting = plan_splitting(queries, texts.with_suffix(""), split_limits)
        if splitting is not None:
            return replace(prepared, splitting=splitting)
    split = split_queries(queries, texts)
    jobs = _list_jobs(texts, split, entry.dialect, limits)
    return replace(prepared, n_distinct=split.n_distinct, jobs=jobs)


def _ingest(dump: IdentifiedDump, destination: Path, warehouse: Warehouse) -> None:
    """Ingest a dump; its queries are stored under its digest if it has not changed meanwhile."""
    entry = dump.entry
    _refuse_gone(entry)
    queries = warehouse.scratch / f"{uuid4().hex}.parquet"
    try:
        with dump.refuse_changes():
            ingest_corpus(entry, queries)
        destination.parent.mkdir(parents=True, exist_ok=True)
        queries.replace(destination)
    finally:
        queries.unlink(missing_ok=True)


def _refuse_gone(entry: CorpusEntry) -> None:
    """Raise CorpusError if a dump is gone, and only an earlier run has read it."""
    if entry.digest:
        raise CorpusError(
            entry.name,
            entry.place,
            "cannot be reused: the stage files of an earlier run are missing",
            "remove the keys digest and retired_at, or this corpus",
        )


def _find_slices(dump: IdentifiedDump, ingested: Path, warehouse: Warehouse) -> Path | None:
    """Return the slices of the questions of a target, read now unless an earlier run did.

    Args:
        dump: The dump.
        ingested: Its queries.
        warehouse: The warehouse.

    Returns:
        The stage file; None if the corpus has no slices.
    """
    entry = dump.entry
    columns = entry.columns.of_slices if entry.columns else None
    if columns is None:
        return None
    key = stage_key(
        queries=ingested.stem,
        slices=columns.part,
        version=SLICES_VERSION,
        **({} if entry.keep_sql else {"keep_sql": False}),
    )
    slices = warehouse.slices_file(key)
    if not slices.exists():
        read = warehouse.scratch / f"{uuid4().hex}.parquet"
        if is_generic(entry.format):
            with_slices = entry.model_copy(update={"columns": columns})
            _ingest(replace(dump, entry=with_slices), read, warehouse)
        else:
            from nl2sql_align.tasks.ingest.original_rows import write_field_as_part

            _refuse_gone(entry)
            fetch_missing([ingested])
            with dump.refuse_changes():
                write_field_as_part(entry, dump.digest, str(columns.part), ingested, read)
        write_slices(read, slices, shows_names=entry.keep_sql)
        read.unlink()
    return slices


def _has_questions(entry: CorpusEntry, ingested: Path) -> bool:
    """Return whether several queries may have one question, or a question of another corpus."""
    if has_question_ordinals(ingested):
        return True
    may_name = has_ids(ingested) or has_question_texts(ingested)
    return entry.role == "predictions" and may_name


def _may_have_frequencies(entry: CorpusEntry) -> bool:
    """Return whether the queries of a dump may have frequencies, by its format and columns."""
    if is_generic(entry.format) and entry.columns is not None:
        return entry.columns.frequency is not None
    return entry.format == AUTO or "n_occurrences" in load_sql(f"dumps/{entry.format}")


def _name_row_numbers(dump: IdentifiedDump) -> str | None:
    """Return the name of the ids that were recognized by a name that often just counts rows."""
    columns = dump.entry.columns
    if dump.reason is None or columns is None or columns.id is None:
        return None
    name = re.split(r"[.\[\]\"]+", columns.id.rstrip('"'))[-1].lower()
    return name if name in ROW_NUMBERS else None


def _arrange_queries(
    dump: IdentifiedDump, ingested: Path, target: CorpusEntry | None, warehouse: Warehouse
) -> tuple[Path, Arrangement | None, Path | None]:
    """Put answers into the order of the target's questions, and weigh several to one question.

    Returns:
        The file of the arranged queries, how they are arranged, and the target's queries that give
        the order; the ingested file and twice None if each query has a question of its own, in
        order. The file is named by its content, so that the order of the dump's rows leaves no
        trace.
    """
    entry, asked, counts_rows = dump.entry, None, False
    keeps_sql = entry.keep_sql and (target is None or target.keep_sql)
    if entry.role == "predictions" and target is not None:
        may_differ = target.which == "each" or _may_have_frequencies(target)
        if not _has_questions(entry, ingested) and not may_differ:
            return ingested, None, None
        asked, row_numbers = _find_queries(target, warehouse)
        # Equal numbers of rows are equal questions only if both files got them from one source.
        counts_rows = row_numbers != _name_row_numbers(dump)
    is_weighted = asked is not None and has_frequencies(asked)
    is_grouped = asked is not None and has_question_ordinals(asked)
    if not (_has_questions(entry, ingested) or is_weighted or is_grouped):
        return ingested, None, None
    key = stage_key(
        target=asked.stem if asked else None,
        answers=entry.answers,
        name=entry.target,
        version=ARRANGEMENT_VERSION,
        **({"counts_rows": True} if counts_rows else {}),
        **({} if keeps_sql else {"keep_sql": False}),
    )

    def arrange(ingested: Path) -> dict[str, Any]:
        fetch_missing([] if asked is None else [asked])
        arrangement = Arrangement("rows")
        if entry.role == "predictions":
            are_numbers = entry.format in NUMBERED_FORMATS
            arrangement = find_arrangement(
                ingested,
                asked,
                entry.target or "",
                are_numbers,
                counts_rows=counts_rows,
                shows_ids=keeps_sql,
                is_weighted=is_weighted,
            )
        queries = ingested
        if arrangement.way != "rows" or has_question_ordinals(ingested):
            arranged = warehouse.scratch / f"{uuid4().hex}.parquet"
            arranged.parent.mkdir(parents=True, exist_ok=True)
            write_arranged(ingested, asked, arrangement, arranged, entry.answers == "first")
            queries = warehouse.queries_file(stage_key(arranged=digest_file(arranged)))
            arranged.replace(queries)
        return {"queries": queries.stem, "arrangement": arrangement.as_dict()}

    known = recall(
        warehouse,
        f"arrangement-{key}",
        ingested,
        arrange,
        holds=lambda known: warehouse.queries_file(known["queries"]).exists(),
    )
    queries = warehouse.queries_file(known["queries"])
    return queries, Arrangement.from_dict(known["arrangement"]), asked


def _find_queries(target: CorpusEntry, warehouse: Warehouse) -> tuple[Path | None, str | None]:
    """Return the queries of a target, and the name of its ids if these may just count rows.

    They are ingested now if the target's own step has not done so. Those of a fingerprint, which
    are not in the order of any questions, and of an unreadable target are None.
    """
    warehouse = warehouse if target.keep_sql else warehouse.hidden

    def find(given: CorpusEntry) -> tuple[Path | None, str | None]:
        dump = identify_dump(given)
        if dump.entry.format == FINGERPRINT:
            return None, None
        ingested = warehouse.queries_file(_queries_key(dump.entry, dump.digest))
        if not ingested.exists():
            _ingest(dump, ingested, warehouse)
        return _arrange_queries(dump, ingested, None, warehouse)[0], _name_row_numbers(dump)

    try:
        return read_unchanged(fetch_dump(target, warehouse), warehouse.scratch, find)
    except CorpusError:  # the step of the target sets it aside
        return None, None


def check_targets(outcomes: Mapping[str, Prepared | SetAside]) -> dict[str, Prepared | SetAside]:
    """Set predictions aside whose target has changed between their step and its own.

    Args:
        outcomes: The outcome of each corpus, by its name.
    """
    checked = dict(outcomes)
    for name, one in outcomes.items():
        if isinstance(one, Prepared) and one.asked is not None:
            target = outcomes.get(one.entry.target or "")
            if isinstance(target, Prepared) and target.queries.name != one.asked.name:
                problem = f"its target '{target.entry.name}' changed while both were read"
                fault = CorpusError(name, one.entry.place, problem, "run again")
                checked[name] = SetAside(name, str(fault))
    return checked


def _describe_arrangement(entry: CorpusEntry, arrangement: Arrangement | None) -> tuple[str, ...]:
    return tuple(f"{entry.name}: {note}" for note in (arrangement.notes if arrangement else ()))


def _queries_key(entry: CorpusEntry, digest: str) -> str:
    return stage_key(
        digest=digest,
        format=entry.format,
        columns=entry.columns.model_dump(exclude={"slice"})
        if entry.columns and is_generic(entry.format)
        else None,
        # The digest of a folder covers the names of its files; that of an archive does not.
        glob=entry.glob,
        kind=entry.path.suffix,
        texts=text_settings(entry),
        takes_each=entry.takes_each,
        version=INGEST_VERSION,
    )


def _templates_key(entry: CorpusEntry, queries: Path, limits: Limits) -> str:
    return stage_key(
        queries=queries.stem,
        dialect=entry.dialect,
        rules=TEMPLATE_RULES_VERSION,
        parser=parser_version(),
        limits={**asdict(limits), "kinds": sorted(limits.kinds)},
        **({} if entry.keep_sql else {"keep_sql": False}),
    )


def _resolve_dialect(
    entry: CorpusEntry, queries: Path, warehouse: Warehouse
) -> tuple[CorpusEntry, tuple[str, ...]]:
    """Return the corpus with its dialect, and a note if the dialect was chosen here."""
    if entry.dialect != AUTO:
        return entry, ()
    choice = recall_dialect(warehouse, queries, list_own_dialects(entry.format, queries))
    chosen = entry.model_copy(update={"dialect": choice.dialect})
    return chosen, (f"{entry.name}: {choice.reason}",)


def _take_manifest(entry: CorpusEntry) -> tuple[CorpusEntry, tuple[str, ...]]:
    """Return a fingerprint with its dialect, and notes on its gaps."""
    if entry.digest:  # reused from an earlier run, which has reported the notes
        return entry, ()
    try:
        manifest = read_manifest(entry.path)
    except ConfigurationError:
        problem = "is not a fingerprint as nl2sql-align fingerprint writes it, or is packed"
        raise CorpusError(entry.name, entry.place, problem, "unpack it, or check path") from None
    if entry.role == "predictions":
        problem = "is a fingerprint, which cannot say which question an answer is for"
        remedy = "compare the answers themselves"
    elif entry.statements != "reject" or entry.clean or {*entry.kinds} != {*KINDS}:
        problem = "is a fingerprint, whose templates exist already"
        remedy = "remove clean, statements and kinds"
    elif entry.dialect not in (AUTO, manifest.dialect):
        problem = f"is a fingerprint of dialect '{manifest.dialect}', not '{entry.dialect}'"
        remedy = "remove dialect"
    elif manifest.template_rules != TEMPLATE_RULES_VERSION:
        problem = (
            f"has templates by version {manifest.template_rules} of their rules, which differ from "
            f"version {TEMPLATE_RULES_VERSION}"
        )
        remedy = "write it again from the log with this version of nl2sql-align"
    else:
        found = entry.model_copy(update={"dialect": manifest.dialect})
        return found, tuple(f"{entry.name}: {text}" for text in manifest.describe_gaps())
    raise CorpusError(entry.name, entry.place, problem, remedy)


def _count_cleaned(queries: Path) -> int:
    with connected() as con:
        [(n_cleaned,)] = query_sql(con, "ingest/count_cleaned", queries=str(queries)).fetchall()
        return int(n_cleaned)


class SharedParts:
    """The parts to parse of several corpora; corpora with equal texts share them."""

    def __init__(self) -> None:
        self._corpora: dict[str, list[str]] = {}
        self._jobs: dict[str, tuple[ParseJob, ...]] = {}
        self._keys: dict[Path, str] = {}

    def add(self, prepared: Prepared) -> list[ParseJob]:
        """Add a corpus, and return the parts to parse that no earlier corpus has added."""
        self._corpora.setdefault(prepared.templates_key, []).append(prepared.entry.name)
        jobs: list[ParseJob] = []
        for texts in list_texts(prepared):
            if texts.templates_key not in self._jobs:
                self._jobs[texts.templates_key] = texts.jobs
                self._keys |= {job.destination: texts.templates_key for job in texts.jobs}
                jobs += texts.jobs
        return jobs

    def list_jobs(self, prepared: Prepared) -> list[ParseJob]:
        """Return the parts of a corpus, whichever corpus has added them."""
        return [job for texts in list_texts(prepared) for job in self._jobs[texts.templates_key]]

    def find_texts(self, job: ParseJob) -> str:
        """Return the key of the templates that a part belongs to."""
        return self._keys[job.destination]

    def count_jobs(self, key: str) -> int:
        """Return the number of parts of some texts."""
        return len(self._jobs[key])

    def list_corpora(self, key: str) -> list[str]:
        """Return the names of the corpora, of those added so far, that publish some texts.

        The list is empty for the texts of predictions without cleaning.
        """
        return self._corpora.get(key, [])


def list_texts(prepared: Prepared) -> list[Prepared]:
    """Return a corpus, and the same corpus without cleaning if it has been cleaned."""
    return [prepared] if prepared.as_written is None else [prepared, prepared.as_written]
