"""The steps of a run from parsed parts on: counting, measuring, and what to know of the corpora.

``flows.align`` runs them as Prefect tasks.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.errors import AlignError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import text_settings
from nl2sql_align.tasks.ingest.fetch import remove_unused_copies
from nl2sql_align.tasks.measures.divergence import EPSILON, SKEW
from nl2sql_align.tasks.measures.intervals import (
    DEFAULT_RESAMPLING,
    IntervalsReport,
    Resampling,
    compute_intervals,
)
from nl2sql_align.tasks.measures.matrix import Content, MatrixReport, compute_matrix
from nl2sql_align.tasks.measures.verdicts import CONFIDENCE
from nl2sql_align.tasks.ngrams.corpus_counts import (
    DEFAULT_COUNT_LIMITS,
    CountLimits,
    begin_counting,
)
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.run.prepare import Prepared, SetAside, dialects_file
from nl2sql_align.tasks.templates.dialect_choice import CLEARLY_MORE, choose_dialect
from nl2sql_align.tasks.templates.parts import join_templates
from nl2sql_align.tasks.templates.rules import (
    DEFAULT_LIMITS,
    MAX_N,
    TEMPLATE_RULES_VERSION,
    Limits,
    parser_version,
)
from nl2sql_align.tasks.warehouse.count_files import (
    count_distinct_ngrams,
    find_counts,
    remove_unused,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse, write_if_changed


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


def observations(corpora: list[CountedCorpus], warehouse: Warehouse) -> list[str]:
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


def _better_dialect(corpus: CountedCorpus, warehouse: Warehouse) -> list[str]:
    """A warning where another dialect parses clearly more than the one given."""
    n_queries = n_templated = 0
    with pq.ParquetFile(corpus.templates) as file:
        for rows in file.iter_batches(columns=["n_queries", "template"]):
            has_template = pc.is_valid(rows["template"])
            n_queries += pc.sum(rows["n_queries"]).as_py()
            n_templated += pc.sum(rows.filter(has_template)["n_queries"]).as_py() or 0
    if n_queries - n_templated < CLEARLY_MORE * n_queries:
        return []
    entry = corpus.entry
    kept = dialects_file(entry, corpus.queries.stem, warehouse)
    choice = choose_dialect(corpus.queries, warehouse.scratch, [entry.dialect], kept)
    if choice.shares[choice.dialect] < choice.shares[entry.dialect] + CLEARLY_MORE:
        return []
    return [
        f"{entry.name}: dialect '{choice.dialect}' would parse clearly more than "
        f"'{entry.dialect}': {choice.shares[choice.dialect]:.1%} and "
        f"{choice.shares[entry.dialect]:.1%} of {choice.n_sampled} queries"
    ]


def finish(
    prepared: Prepared, warehouse: Warehouse, count_limits: CountLimits = DEFAULT_COUNT_LIMITS
) -> CountedCorpus:
    """Puts the parsed parts of a corpus together and counts its n-grams, unless both are there.

    Of a large corpus, ``division`` says by which steps it is counted.
    """
    started = time.perf_counter()
    if not prepared.templates.exists():
        texts = prepared.jobs[0].source
        join_templates(texts, [job.destination for job in prepared.jobs], prepared.templates)
    ngrams, division = find_counts(prepared.ngrams), None
    if ngrams is None:
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
        time.perf_counter() - started,
        division,
    )


def without_ngrams(corpora: list[CountedCorpus], warehouse: Warehouse) -> list[SetAside]:
    """The corpora that are published, but have no distribution to compare."""
    empty = [corpus.entry for corpus in corpora if not count_distinct_ngrams(corpus.ngrams)]
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


def measure_as_written(
    written: list[CountedCorpus], corpora: list[CountedCorpus], warehouse: Warehouse
) -> Path:
    """Measures predictions as they were written with their targets, into a file of pairs."""
    targets = {one.entry.target for one in written}
    wanted = [*written, *(one for one in corpora if one.entry.name in targets)]
    return measure(wanted, warehouse, warehouse.folder / "stages" / "as_written" / "pairs").pairs


def measure(
    corpora: list[CountedCorpus], warehouse: Warehouse, folder: Path | None = None
) -> MatrixReport:
    """Measures all pairs of the corpora; those of known content are taken from the last run."""
    # Where no corpus can be compared, all are given: there must be files to read.
    comparable = [corpus for corpus in corpora if count_distinct_ngrams(corpus.ngrams)] or corpora
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
    corpora: list[CountedCorpus],
    matrix: MatrixReport,
    warehouse: Warehouse,
    how: Resampling = DEFAULT_RESAMPLING,
) -> IntervalsReport | None:
    """Intervals, verdicts and ceilings; None where no replicates are wanted.

    Pairs of known content are taken from the last run.
    """
    if how.replicates == 0:
        return None
    comparable = [corpus for corpus in corpora if count_distinct_ngrams(corpus.ngrams)]
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
    if (trouble := warehouse.disk_error(error)) is not None:
        raise trouble from error
    problem = f"{type(error).__name__}: {error}".splitlines()[0]
    fault = CorpusError(entry.name, entry.place, problem, "check the dump, and run again")
    return SetAside(entry.name, str(fault))


def remember(corpora: list[CountedCorpus], warehouse: Warehouse) -> None:
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
    write_if_changed(warehouse.last_corpora_file, json.dumps(cards, indent=1, sort_keys=True))


def remove_unused_stages(corpora: list[CountedCorpus], warehouse: Warehouse) -> None:
    """Removes the stage files, and copies of dumps, that this run's corpora do not stand on."""
    remove_unused_copies({corpus.digest for corpus in corpora}, warehouse)
    used = {
        path for corpus in corpora for path in (corpus.queries, corpus.templates, corpus.ngrams)
    }
    for stage in ("queries", "templates", "as_written/ngrams"):
        remove_unused(warehouse.folder / "stages" / stage, used)
