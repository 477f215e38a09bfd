"""The steps of a run after parsing: counting, measuring, and bookkeeping.

``job`` runs them in order.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow.compute as pc
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.child_process import call_apart, call_in_share
from nl2sql_align.tasks.base.errors import AlignError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import read_row_counts, text_settings
from nl2sql_align.tasks.ingest.fetch import remove_unused_copies
from nl2sql_align.tasks.ingest.lists import describe_lists
from nl2sql_align.tasks.ingest.questions import digest_questions, recall_questions, write_part
from nl2sql_align.tasks.measures import matrix, slices
from nl2sql_align.tasks.measures.blocks import Block
from nl2sql_align.tasks.measures.divergence import EPSILON, SKEW
from nl2sql_align.tasks.measures.intervals import (
    IntervalsReport,
    compute_intervals,
    has_intervals,
    list_blocks,
)
from nl2sql_align.tasks.measures.matrix import (
    Content,
    MatrixReport,
    PartitionJob,
    compute_matrix,
)
from nl2sql_align.tasks.measures.options import DEFAULT_RESAMPLING, Resampling
from nl2sql_align.tasks.measures.verdicts import CONFIDENCE
from nl2sql_align.tasks.ngrams.corpus_counts import (
    DEFAULT_COUNT_LIMITS,
    CountLimits,
    begin_counting,
    count_divided,
)
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.results.packed_queries import (
    DEFAULT_PACK_LIMITS,
    PackLimits,
    begin_packing,
)
from nl2sql_align.tasks.run.prepare import Prepared, SetAside
from nl2sql_align.tasks.templates.dialect_choice import CLEARLY_MORE, recall_dialect
from nl2sql_align.tasks.templates.fingerprints import FINGERPRINT
from nl2sql_align.tasks.templates.parts import (
    join_part_templates,
    join_templates,
    write_given_templates,
    write_hidden_queries,
)
from nl2sql_align.tasks.templates.rules import (
    DEFAULT_LIMITS,
    MAX_N,
    NGRAM_RULES_VERSION,
    NOT_A_QUERY,
    NOT_TRIED,
    QUERY_SECONDS_VARIABLE,
    TEMPLATE_RULES_VERSION,
    TIMED_OUT,
    TIMEOUT_SECONDS_VARIABLE,
    Limits,
    parser_version,
)
from nl2sql_align.tasks.warehouse.facts import recall, remove_unused_facts
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_if_changed
from nl2sql_align.tasks.warehouse.object_store import fetch_missing
from nl2sql_align.tasks.warehouse.part_files import (
    count_distinct_ngrams,
    find_complete,
    remove_unused,
)

# From this share of a corpus on, a note reports statements that are not queries.
_MANY_COMMANDS: Final = 0.01
_N_SHOWN: Final = 3
# The most queries, counts of n-grams, and pairs with a target, that the process of the run
# resamples.
_QUERIES_HERE: Final = 500_000
_COUNTS_HERE: Final = 4_000_000
_PAIRS_HERE: Final = 5_000

R = TypeVar("R")


def list_parameters(
    entries: Iterable[CorpusEntry] = (),
    limits: Limits = DEFAULT_LIMITS,
    resampling: Resampling = DEFAULT_RESAMPLING,
) -> dict[str, Any]:
    """Return the values that the specification leaves open or makes configurable."""
    return {
        # How the texts of each corpus were extracted and parsed.
        "texts": {
            entry.name: {
                "dialect": entry.dialect,
                **text_settings(entry),
                "kinds": entry.kinds,
                **entry.model_dump(include={"answers", "which", "url"}, exclude_none=True),
            }
            for entry in entries
        },
        "skew": SKEW,
        "epsilon": EPSILON,
        "max_n": MAX_N,
        "max_characters": limits.max_characters,
        "max_brackets": limits.max_brackets,
        "max_nodes": limits.max_nodes,
        "seconds_per_query": limits.seconds_per_query,
        "timeout_seconds": limits.timeout_seconds,
        "confidence": CONFIDENCE,
        "replicates": resampling.replicates,
        "resampled_unit": resampling.unit,
        "seed": resampling.seed,
    }


def count_corpus(
    prepared: Prepared,
    warehouse: Warehouse,
    count_limits: CountLimits = DEFAULT_COUNT_LIMITS,
    pack_limits: PackLimits | None = None,
) -> CountedCorpus:
    """Join the parsed parts of a corpus, count its n-grams, and pack its queries for readers.

    Stage files that exist are reused.

    Returns:
        The corpus. If it is large, its ``division`` holds the steps that count it, and
        ``plan_packing`` returns the steps that pack it.
    """
    as_written = None
    if prepared.as_written is not None:
        as_written = _count_texts(prepared.as_written, warehouse, count_limits)
        if as_written.division is not None:
            count_divided(as_written.division)
            as_written = replace(as_written, division=None)
    started = time.perf_counter()
    corpus = _count_texts(prepared, warehouse, count_limits)
    begin_packing(corpus, warehouse, pack_limits or DEFAULT_PACK_LIMITS)
    return replace(corpus, as_written=as_written, seconds=time.perf_counter() - started)


def _count_texts(
    prepared: Prepared, warehouse: Warehouse, count_limits: CountLimits
) -> CountedCorpus:
    if not prepared.templates.exists():
        texts = list(dict.fromkeys(job.source for job in prepared.jobs))
        join_templates(texts, [job.destination for job in prepared.jobs], prepared.templates)
    if not prepared.entry.keep_sql:
        prepared = _hide_texts(prepared, warehouse)
    ngrams, division = find_complete(prepared.ngrams), None
    if ngrams is None:
        fetch_missing([prepared.templates])
        metadata = {
            "corpus": prepared.entry.name,
            "digest": prepared.digest,
            "dialect": prepared.entry.dialect,
            "template_rules_version": str(TEMPLATE_RULES_VERSION),
            "parser": f"sqlglot {parser_version()}",
        }
        division = begin_counting(
            prepared.entry.name,
            prepared.templates,
            prepared.ngrams,
            warehouse.scratch,
            metadata,
            limits=count_limits,
        )
        ngrams = division.destination if division else prepared.ngrams
    return CountedCorpus(
        prepared.entry,
        prepared.digest,
        prepared.content_key,
        prepared.queries,
        prepared.templates,
        ngrams,
        division=division,
        ingested=prepared.ingested,
        arrangement=prepared.arrangement,
        slices=prepared.slices,
    )


def _hide_texts(prepared: Prepared, warehouse: Warehouse) -> Prepared:
    """Return a corpus with stage files in the warehouse that have templates in place of texts."""
    key = stage_key(hidden=prepared.queries.stem, templates=prepared.templates_key)
    queries, templates = warehouse.queries_file(key), warehouse.templates_file(key)
    write_hidden_queries(prepared.queries, prepared.templates, queries)
    write_given_templates(queries, templates)
    return replace(prepared, queries=queries, templates=templates, ingested=None)


def count_answered_parts(corpora: list[CountedCorpus], warehouse: Warehouse) -> list[CountedCorpus]:
    """Return the corpora; predictions that answer a part of their target have that part.

    The part is counted like a corpus, unless its stage files exist. It is not published: it takes
    the place of the target where these predictions are compared with it.
    """
    targets = {one.entry.name: one for one in corpora if one.entry.role == "target"}
    found = []
    for one in corpora:
        target = targets.get(one.entry.target or "")
        if target is None or one.arrangement is None or not one.arrangement.is_partial:
            found.append(one)
            continue
        answered = _count_answered_part(one, target, warehouse)
        as_written = one.as_written and replace(one.as_written, answered=answered)
        found.append(replace(one, answered=answered, as_written=as_written))
    return found


def _count_answered_part(
    predictions: CountedCorpus, target: CountedCorpus, warehouse: Warehouse
) -> CountedCorpus:
    answered = recall(warehouse, "questions", predictions.queries, digest_questions)
    key = stage_key(target=target.queries.stem, answered=answered)
    queries = warehouse.answered / "queries" / f"{key}.parquet"
    if not queries.exists():
        fetch_missing([predictions.queries, target.queries])
        write_part(predictions.queries, target.queries, queries)
    key = stage_key(target=target.templates.stem, answered=answered)
    templates = warehouse.answered / "templates" / f"{key}.parquet"
    if not templates.exists():
        fetch_missing([queries, target.templates])
        join_part_templates(queries, target.templates, templates)
    content_key = stage_key(templates=key, rules=NGRAM_RULES_VERSION, max_n=MAX_N)
    # No corpus can have this name, and parts with other content have other ones.
    name = f"{target.entry.name}~{content_key[:12]}"
    file = warehouse.answered / "ngrams" / f"{name}.parquet"
    ngrams = find_complete(file)
    if ngrams is None:
        fetch_missing([templates])
        division = begin_counting(name, templates, file, warehouse.scratch, {"corpus": name})
        ngrams = count_divided(division) if division else file
    return replace(
        target,
        entry=target.entry.model_copy(update={"name": name}),
        content_key=content_key,
        queries=queries,
        templates=templates,
        ngrams=ngrams,
    )


def collect_notes(corpora: list[CountedCorpus], warehouse: Warehouse) -> list[str]:
    """Return remarks about the corpora for the user, a line each.

    Texts in other encodings, rows that are left out or damaged, predictions whose number differs
    from the questions of their target, statements that are not queries, and other dialects that
    parse clearly more.
    """
    notes = []
    n_rows = {one.entry.name: recall_questions(one.queries, warehouse) for one in corpora}
    fingerprints = {one.entry.name for one in corpora if one.entry.format == FINGERPRINT}
    for one in corpora:
        entry, name = one.entry, one.entry.name
        metadata = pq.read_metadata(one.queries).metadata or {}
        encoding = metadata.get(b"encoding", b"utf-8").decode()
        n_replaced = int(metadata.get(b"n_replaced", b"0"))
        if encoding != "utf-8" or n_replaced:
            notes.append(
                f"{name}: read as {encoding}; {n_replaced:,} characters could not be decoded"
            )
        notes += [f"{name}: {text}" for text in read_row_counts(one.queries).remarks]
        expected = n_rows.get(entry.target) if entry.target else None
        n_lists = int(metadata.get(b"n_lists", b"0"))
        if n_lists:
            notes.append(f"{name}: {describe_lists(n_lists, entry)}")
        if entry.target in fingerprints:
            notes.append(
                f"{name}: {entry.target} is a fingerprint, which does not say which question an "
                "answer is for: they are resampled on their own"
            )
        elif expected is not None and expected != n_rows[name] and not one.is_joined:
            notes.append(
                f"{name}: {n_rows[name]:,} predictions for the {expected:,} questions of "
                f"{entry.target}: "
                f"{explain_surplus(one.queries, entry.format, n_rows[name] - expected)}"
            )
        counts = _ParseCounts(**recall(warehouse, "n_parsed", one.templates, _count_parsed))
        notes += _describe_timeouts(entry, counts) + _describe_commands(entry, counts)
        notes += _suggest_dialect(one, counts, warehouse)
    return notes


def explain_surplus(queries: Path, format: str, n_surplus: int) -> str:
    """Ask for the reason why there are more or fewer predictions than questions.

    Args:
        queries: The stage file of the predictions.
        format: Their format.
        n_surplus: How many more predictions than questions there are.
    """
    if format == "lines" and n_surplus > 0:
        fetch_missing([queries])
        texts = pq.read_table(queries, columns=["raw_sql"])["raw_sql"]
        n_empty = pc.sum(pc.equal(pc.utf8_trim_whitespace(texts), "")).as_py()
        if n_empty == n_surplus:
            return (
                f"{n_empty:,} of its lines are empty: do they separate interactions? then set "
                "format = 'gold_sql'"
            )
    return "are answers missing, or do some contain line breaks?"


@dataclass
class _ParseCounts:
    """The queries of a corpus, those that do not parse, and the statements that are not queries."""

    n_queries: int = 0
    n_unparsed: int = 0
    n_timed_out: int = 0
    n_not_tried: int = 0
    commands: dict[str, int] = field(default_factory=dict)


def _count_parsed(templates: Path) -> dict[str, Any]:
    """Return the fields of ``_ParseCounts``."""
    counts, commands = _ParseCounts(), Counter[str]()
    with pq.ParquetFile(templates) as file:
        for rows in file.iter_batches(columns=["n_queries", "reject_reason"]):
            counts.n_queries += pc.sum(rows["n_queries"]).as_py()
            rejected = rows.filter(pc.is_valid(rows["reject_reason"]))
            for n_queries, reason in zip(*map(list, rejected.to_pydict().values()), strict=True):
                if reason.startswith(NOT_A_QUERY):
                    commands[reason.removeprefix(NOT_A_QUERY)] += n_queries
                else:
                    counts.n_unparsed += n_queries
                    counts.n_timed_out += n_queries * reason.startswith(TIMED_OUT)
                    counts.n_not_tried += n_queries * reason.startswith(NOT_TRIED)
    return asdict(replace(counts, commands=dict(commands)))


def _describe_timeouts(entry: CorpusEntry, counts: _ParseCounts) -> list[str]:
    """Return a note if queries ran out of time: on another machine, they might not."""
    if not counts.n_timed_out + counts.n_not_tried:
        return []
    return [
        f"{entry.name}: {counts.n_timed_out:,} queries ran out of time, and {counts.n_not_tried:,} "
        f"were not tried because of them: all are rejected; to try them again, raise "
        f"{QUERY_SECONDS_VARIABLE} or {TIMEOUT_SECONDS_VARIABLE}"
    ]


def _describe_commands(entry: CorpusEntry, counts: _ParseCounts) -> list[str]:
    """Return a note if many statements of a data set or a log are not queries.

    A model's answer that is not a query is a failed answer.
    """
    n_commands = sum(counts.commands.values())
    if (
        entry.role == "predictions"
        or not n_commands
        or n_commands < _MANY_COMMANDS * counts.n_queries
    ):
        return []
    ranked = sorted(counts.commands.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in ranked[:_N_SHOWN])
    more = ", ..." if len(ranked) > _N_SHOWN else ""
    return [
        f"{entry.name}: {n_commands:,} of {counts.n_queries:,} statements are not queries ({kinds}"
        f"{more}): they are rejected, and do not count as queries that do not parse"
    ]


def _suggest_dialect(
    corpus: CountedCorpus, counts: _ParseCounts, warehouse: Warehouse
) -> list[str]:
    """Return a note if another dialect parses clearly more than the given one."""
    if counts.n_unparsed < CLEARLY_MORE * (counts.n_queries - sum(counts.commands.values())):
        return []
    entry = corpus.entry
    choice = recall_dialect(warehouse, corpus.queries, [entry.dialect])
    if choice.shares[choice.dialect] < choice.shares[entry.dialect] + CLEARLY_MORE:
        return []
    return [
        f"{entry.name}: dialect '{choice.dialect}' would parse clearly more than "
        f"'{entry.dialect}': {choice.shares[choice.dialect]:.1%} and "
        f"{choice.shares[entry.dialect]:.1%} of {choice.n_sampled} queries"
    ]


def set_aside_empty(corpora: list[CountedCorpus]) -> list[SetAside]:
    """Set aside the corpora without SQL: their counts are published, but not their texts."""
    empty = [corpus.entry for corpus in corpora if not corpus.has_sql]
    faults = [
        CorpusError(
            entry.name,
            entry.place,
            f"no query has a template in dialect '{entry.dialect}', so its text is not published",
            f"check format and dialect; nl2sql-align inspect {entry.place} shows its first texts "
            "and the reasons",
        )
        for entry in empty
    ]
    return [SetAside(fault.corpus, str(fault)) for fault in faults]


def set_aside_failed(entry: CorpusEntry, error: BaseException, warehouse: Warehouse) -> SetAside:
    """Set a corpus aside for an error in one of its steps.

    Raises:
        WarehouseError: The error is one of the disk or the folder.
        BaseException: The error itself, if other corpora would meet it too.
    """
    if isinstance(error, AlignError) or not isinstance(error, Exception):
        raise error
    if (disk_error := warehouse.disk_error(error)) is not None:
        raise disk_error from error
    problem = f"{type(error).__name__}: {error}".splitlines()[0]
    fault = CorpusError(entry.name, entry.place, problem, "check the dump, and run again")
    return SetAside(entry.name, str(fault))


def divide_pairs(corpora: list[CountedCorpus], warehouse: Warehouse) -> list[PartitionJob]:
    """Return the partitions to sum before ``measure_pairs``; an empty list for small corpora."""
    return matrix.divide_pairs(_list_contents(corpora), warehouse.stage("pairs"), warehouse.scratch)


def measure_pairs(
    corpora: list[CountedCorpus],
    warehouse: Warehouse,
    folder: Path | None = None,
    sums: Sequence[Path] = (),
) -> MatrixReport:
    """Measure all ordered pairs of the corpora; pairs of known contents are reused.

    Many pairs, and those with sums, are measured outside of this process, for their memory.

    Args:
        corpora: Corpora without n-grams are left out.
        warehouse: The warehouse.
        folder: Where to store the measures; by default in the warehouse's stages.
        sums: The sums over each partition, if ``sum_partition`` has written them.
    """
    folder = folder or warehouse.stage("pairs")
    contents = _list_contents(corpora)
    if sums or matrix.has_many_pairs(contents, folder):
        return call_in_share(compute_matrix, contents, folder, sums=sums)
    return compute_matrix(contents, folder, sums=sums)


def _list_contents(corpora: list[CountedCorpus]) -> list[Content]:
    # There must be files to read, even if no corpus has n-grams.
    parts = [one.answered for one in corpora if one.answered is not None]
    comparable = [one for one in [*corpora, *parts] if one.has_sql] or corpora
    targets = {one.entry.name for one in corpora if one.entry.role == "target"}
    return [
        Content(
            corpus.content_key,
            corpus.entry.name,
            corpus.ngrams,
            corpus.templates,
            corpus.entry.name in targets,
        )
        for corpus in comparable
    ]


def measure_as_written(corpora: list[CountedCorpus], warehouse: Warehouse) -> Path | None:
    """Measure predictions without cleaning, and their targets.

    Returns:
        The file of the pairs; None if no prediction was cleaned.
    """
    uncleaned = [one.as_written for one in corpora if one.as_written is not None]
    if not uncleaned:
        return None
    names = {one.entry.target for one in uncleaned if one.answered is None}
    targets = [one for one in corpora if one.entry.name in names]
    return measure_pairs([*uncleaned, *targets], warehouse, warehouse.as_written / "pairs").pairs


def resample_pairs(
    corpora: list[CountedCorpus],
    matrix: MatrixReport,
    warehouse: Warehouse,
    resampling: Resampling = DEFAULT_RESAMPLING,
    blocks: Sequence[Block] = (),
    queries_here: int = _QUERIES_HERE,
    counts_here: int = _COUNTS_HERE,
    pairs_here: int = _PAIRS_HERE,
) -> IntervalsReport | None:
    """Compute intervals, verdicts and ceilings; None without replicates.

    Pairs of known contents are reused, and so are blocks of pairs that were resampled before.

    Args:
        corpora: The corpora.
        matrix: The measures of all pairs.
        warehouse: The warehouse.
        resampling: How to resample.
        blocks: The blocks that this run has made.
        queries_here: If there are more queries, another process resamples, for its memory.
        counts_here: The same for counts of n-grams.
        pairs_here: The same for pairs of a corpus and a target.
    """
    if resampling.replicates == 0:
        return None
    is_much = (
        _count_pairs(corpora) > pairs_here
        or sum(pq.read_metadata(one.queries).num_rows for one in corpora) > queries_here
        or sum(count_distinct_ngrams(one.ngrams) for one in corpora) > counts_here
    )
    given = corpora, matrix, warehouse, resampling
    return _call_for_pairs(compute_intervals, given, blocks, is_much=is_much)


def list_blocks_to_resample(
    corpora: list[CountedCorpus],
    matrix: MatrixReport,
    warehouse: Warehouse,
    resampling: Resampling = DEFAULT_RESAMPLING,
    pairs_here: int = _PAIRS_HERE,
) -> list[Block]:
    """Return blocks of pairs to resample before ``resample_pairs``; an empty list for few pairs."""
    if resampling.replicates == 0:
        return []
    given = corpora, matrix, warehouse, resampling
    return _call_for_pairs(list_blocks, given, is_much=_count_pairs(corpora) > pairs_here)


def _count_pairs(corpora: list[CountedCorpus]) -> int:
    """Return the number of pairs with a target."""
    return len(corpora) * sum(one.entry.role == "target" for one in corpora)


def _call_for_pairs(
    function: Callable[..., R],
    given: tuple[list[CountedCorpus], MatrixReport, Warehouse, Resampling],
    *more: Any,
    is_much: bool,
) -> R:
    """Call a function on pairs to resample, in another process if much is left to do."""
    corpora, matrix, warehouse, resampling = given
    arguments = _list_comparable(corpora), matrix.pairs, warehouse.stage("intervals"), resampling
    if is_much and not has_intervals(*arguments):
        return call_apart(function, *arguments, *more)
    return function(*arguments, *more)


def measure_slices(corpora: list[CountedCorpus], warehouse: Warehouse) -> Path | None:
    """Measure the slices of all targets; None if no target has slices."""
    return slices.measure_slices(
        _list_comparable(corpora),
        warehouse.stage("slice_measures"),
        warehouse.scratch,
    )


def _list_comparable(corpora: list[CountedCorpus]) -> list[CountedCorpus]:
    """Return the corpora with n-grams, without answers to questions that have none."""
    return [
        corpus
        for corpus in corpora
        if corpus.has_sql and (corpus.answered is None or corpus.answered.has_sql)
    ]


def write_last_corpora(corpora: list[CountedCorpus], warehouse: Warehouse) -> None:
    """Store the corpora of this run, for a run in which some of their dumps are missing."""
    known = {
        one.entry.name: {
            "entry": one.entry.model_dump(
                mode="json", exclude_defaults=True, exclude={"path", "url"}
            )
            | {"path": str(one.entry.place)},
            "digest": one.digest,
        }
        for one in corpora
    }
    write_if_changed(warehouse.last_corpora_file, json.dumps(known, indent=1, sort_keys=True))


def remove_unused_files(corpora: list[CountedCorpus], warehouse: Warehouse) -> None:
    """Remove the stage files, and the copies of dumps, that no corpus of this run uses.

    Those of corpora without SQL are removed too: their texts are not kept.
    """
    remove_unused_copies({corpus.digest for corpus in corpora}, warehouse)
    with_sql = [one for one in corpora if one.has_sql]
    stages = [*with_sql, *(one.as_written for one in with_sql if one.as_written is not None)]
    stages += [one.answered for one in with_sql if one.answered is not None]
    used = {path for one in stages for path in (one.queries, one.templates, one.ngrams)}
    used |= {path for one in stages for path in (one.ingested, one.slices) if path is not None}
    for stage in ("queries", "templates", "slices"):
        remove_unused(warehouse.stage(stage), used)
    remove_unused_facts(warehouse, used)
    remove_unused(warehouse.as_written / "ngrams", used)
    for stage in ("queries", "templates", "ngrams"):
        remove_unused(warehouse.answered / stage, used)
