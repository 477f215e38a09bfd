"""Corpora prepared for resampling: the templates of each unit, and the n-grams of each template."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats, Integers, Keys
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.ingest.questions import has_databases, has_question_ordinals
from nl2sql_align.tasks.measures.bootstrap import (
    Classes,
    Counts,
    Shared,
    group_block,
    join_blocks,
    replicate_counts,
    shared_classes,
    unit_keys,
)
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.parts import Rows, divide_rows
from nl2sql_align.tasks.ngrams.count import count_known, ngram_keys
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.warehouse.folder import stage_key
from nl2sql_align.tasks.warehouse.object_store import fetch_missing

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

MOST_UNITS: Final = 10_000
"""Above this number of units, random groups of them are drawn. Errors change by about 1%."""

REACH_SPLITS: Final = 4
"""How often reach splits a target in halves; each half judges the weights of the other."""

_KNOWN_SHARE: Final = 0.9
_NGRAMS_PER_BATCH: Final = 100_000


@dataclass(frozen=True)
class SampleKey:
    """The files and the unit that a sample is made from.

    Attributes:
        queries: The corpus's queries.
        templates: Its templates.
        ngrams: Its n-gram counts.
        asked: The queries that determine the unit of each query: those of the target for
            predictions that are resampled with it, otherwise the corpus's own.
        asked_templates: The templates of these queries.
        unit: The unit to draw, as far as it is known.
    """

    queries: Path
    templates: Path
    ngrams: Path
    asked: Path
    asked_templates: Path
    unit: Unit

    @property
    def owner(self) -> str:
        """A digest of the templates for which weights are drawn.

        Texts that change no count change no interval.
        """
        return digest_templates(self.asked_templates)

    @property
    def is_paired(self) -> bool:
        """Whether it is resampled together with the questions that it answers."""
        return self.asked != self.queries

    @cached_property  # needed again for each pair
    def name(self) -> str:
        """A digest, equal for samples with equal replicates."""
        # The owner follows from asked_templates, which a run without changes need not read.
        return stage_key(
            queries=self.queries.stem,
            templates=self.templates.stem,
            asked=self.asked.stem,
            asked_templates=self.asked_templates.stem,
            unit=self.unit,
        )


@dataclass(frozen=True)
class Sample:
    """A corpus with its units, and those of its n-grams that are in a vocabulary.

    Attributes:
        unit: The unit that is drawn: ``query`` if databases are unknown.
        keys: The key of each unit; see ``tasks.measures.bootstrap.unit_keys``.
        of_units: The number of queries of each unit (row) with each template (column).
        classes: The n-grams of each template.
        ngrams: The numbers of the n-grams in the vocabulary, ascending.
        unit_names: The name of each unit, such as ``database harbour``.
        rows: The queries of ``of_units``, divided into parts.
    """

    unit: Unit
    keys: Keys
    of_units: "csr_array"
    classes: Classes
    ngrams: Integers
    unit_names: Sequence[str] = ()
    rows: Rows | None = None

    @property
    def n_queries(self) -> int:
        """The number of queries with a template."""
        return int(self.of_units.sum())

    @property
    def n_effective(self) -> float:
        """The number of units by weight, as of ``count_effective``."""
        return count_effective(self.of_units @ self.classes.totals.astype(np.float64))

    @property
    def n_classes(self) -> int:
        """The number of classes of n-grams, and so of counts in a replicate."""
        return int(self.classes.counts.shape[1])

    @cached_property
    def class_of(self) -> Integers:
        """The class of each n-gram by its number, or -1 if the sample does not have it.

        The last element serves all numbers above the sample's highest.
        """
        found = np.full(int(self.ngrams.max(initial=-1)) + 2, -1, np.int64)
        found[self.ngrams] = self.classes.of_ngram
        return found

    @cached_property
    def whole(self) -> Counts:
        """The n-gram counts of the whole sample."""
        return self.counts(np.ones((1, len(self.keys))))

    @cached_property
    def halves(self) -> Counts:
        """The n-gram counts of both halves of each of ``REACH_SPLITS`` random splits, in turn."""
        weights = []
        for split in range(REACH_SPLITS):
            first = draw_half(self.unit_names, f"reach {split}")
            is_first = np.array([name in first for name in self.unit_names], np.float64)
            weights += [is_first, 1 - is_first]
        return self.counts(np.stack(weights))

    @cached_property
    def part_totals(self) -> Floats:
        """The number of n-gram occurrences in each part."""
        totals: Floats = self._of_parts @ self.classes.totals.astype(np.float64)
        return totals

    @cached_property
    def part_shares(self) -> "csc_array":
        """The distribution of each part that has n-grams (row) over the classes (column)."""
        used = np.flatnonzero(self.part_totals)
        counts = (self._of_parts @ self.classes.counts)[used]
        return counts.multiply(1 / self.part_totals[used, None]).tocsc()

    @property
    def _of_parts(self) -> "csr_array":
        """The number of queries of each part (row) with each template (column)."""
        from scipy.sparse import coo_array

        assert self.rows is not None
        rows = self.rows
        return coo_array(
            (rows.n_queries, (rows.parts, rows.templates)),
            shape=(rows.n_parts, self.of_units.shape[1]),
        ).tocsr()

    def counts(self, weights: Floats) -> Counts:
        """Return n-gram counts from the weights of units (columns) in each replicate (row)."""
        return replicate_counts(self.classes, self.of_units.T @ weights.T)


@cache  # files never change once they are written
def digest_templates(templates: Path) -> str:
    """Return a digest of the templates of a corpus, each with the number of its queries."""
    counted = (
        pl.scan_parquet(templates, glob=False)
        .filter(pl.col("template").is_not_null())
        .group_by("template")
        .agg(pl.col("n_queries").sum())
        .sort("template")
        .collect()
    )
    digest = hashlib.sha256()
    for template, n_queries in counted.iter_rows():
        digest.update(f"{n_queries} {template}\n".encode())
    return digest.hexdigest()


def own_sample_key(corpus: CountedCorpus, unit: Unit) -> SampleKey:
    """Return the key of a corpus that is resampled on its own."""
    return SampleKey(
        corpus.queries,
        corpus.templates,
        corpus.ngrams,
        corpus.queries,
        corpus.templates,
        unit,
    )


def paired_sample_key(predictions: CountedCorpus, target: CountedCorpus, unit: Unit) -> SampleKey:
    """Return the key of predictions that are resampled with the questions that they answer.

    They are resampled on their own if their number differs from that of the questions, unless they
    are joined to the questions by ids, and if the target is a fingerprint, which has no questions.

    Args:
        predictions: The predictions.
        target: Their target, or the part of it that they answer.
        unit: The unit to draw, as far as it is known.
    """
    if not predictions.answers_questions_of(target):
        return own_sample_key(predictions, unit)
    return SampleKey(
        predictions.queries,
        predictions.templates,
        predictions.ngrams,
        target.queries,
        target.templates,
        unit,
    )


def load_vocabulary(con: duckdb.DuckDBPyConnection, ngram_files: Sequence[Path]) -> pl.DataFrame:
    """Read the distinct n-grams of some corpora.

    Returns:
        The keys of the n-grams (see ``tasks.ngrams.count.ngram_keys``) in the order of their texts.
        A row's position is the n-gram's number.
    """
    no_keys = ngram_keys(pl.Series([], dtype=pl.String))
    if not ngram_files:
        return no_keys
    fetch_missing(ngram_files)
    files = [str(file) for file in ngram_files]
    batches = query_sql(con, "measures/resampling/vocabulary", ngram_files=files).to_arrow_reader(
        _NGRAMS_PER_BATCH
    )
    return pl.concat([no_keys, *(ngram_keys(pl.Series(batch["ngram"])) for batch in batches)])


def fetch_samples(keys: Iterable[SampleKey]) -> None:
    """Fetch the files of samples that are on the store only, all at a time."""
    fetch_missing(
        {
            file
            for key in keys
            for file in (key.queries, key.templates, key.asked, key.asked_templates)
        }
    )


def load_sample(
    con: duckdb.DuckDBPyConnection,
    key: SampleKey,
    vocabulary: pl.DataFrame,
    seed: int,
    templates_per_block: int = 4_000,
    *,
    keeps_units: bool = False,
) -> Sample:
    """Read a corpus for resampling.

    Args:
        con: A connection that can read the corpus's files.
        key: The files and the unit.
        vocabulary: The n-grams to count; see ``load_vocabulary``.
        seed: The seed of the units' keys.
        templates_per_block: How many templates to count at a time. Limits memory.
        keeps_units: Whether the connection keeps table ``sample_units``, which takes memory.
    """
    from scipy.sparse import coo_array

    fetch_samples([key])
    unit = _find_unit(con, key)
    run_sql(
        con,
        "measures/resampling/units",
        queries=str(key.queries),
        templates=str(key.templates),
        asked=str(key.asked),
        is_grouped=has_question_ordinals(key.asked),
        by_database=unit == Unit.DATABASE,
        most_units=MOST_UNITS,
    )
    units: pl.Series = query_sql(con, "measures/resampling/unit_names").pl()["unit"]
    templates: pl.Series = query_sql(con, "measures/resampling/unit_templates").pl()["template"]
    counts = query_sql(con, "measures/resampling/unit_counts").pl()
    if not keeps_units:
        con.execute("drop table sample_units")
    rows = divide_rows(counts, templates)
    del counts
    of_units = coo_array(
        (rows.n_queries, (rows.units, rows.templates)), shape=(len(units), len(templates))
    ).tocsr()
    blocks, totals = [], []
    for known in count_known(templates, vocabulary, templates_per_block):
        # Group each block immediately: the counts of all n-grams would take hundreds of MB.
        blocks.append(group_block(known.counts, known.first))
        totals.append(known.totals)
    classes, ngrams = join_blocks(blocks, len(vocabulary))
    return Sample(
        unit,
        unit_keys(key.owner, units.to_list(), seed),
        of_units,
        replace(classes, totals=np.concatenate(totals)),
        ngrams,
        units.to_list(),
        rows,
    )


def count_effective(weights: Floats) -> float:
    """Return how many equal weights vary as much: ``(sum w)^2 / sum w^2`` (Kish 1965)."""
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def find_shared(source: Sample, target: Sample) -> Shared:
    """Return the n-grams that both samples have."""
    in_target = target.class_of.take(source.ngrams, mode="clip")
    is_shared = in_target >= 0
    return shared_classes(source.classes.of_ngram[is_shared], in_target[is_shared])


def draw_half(units: Iterable[str], name: str) -> set[str]:
    """Return half of some units, drawn at random.

    Args:
        units: The names of the units.
        name: The name of the split, from which it is hashed.
    """
    order = sorted(set(units), key=lambda unit: hashlib.sha256(f"{name}|{unit}".encode()).digest())
    return set(order[: len(order) // 2])


def _find_unit(con: duckdb.DuckDBPyConnection, key: SampleKey) -> Unit:
    if key.unit == Unit.QUERY or not has_databases(key.asked):
        return Unit.QUERY
    [(n_queries, n_with_database, n_databases)] = query_sql(
        con,
        "measures/resampling/databases",
        queries=str(key.asked),
        templates=str(key.asked_templates),
    ).fetchall()
    return choose_unit(n_queries, n_with_database, n_databases)


def choose_unit(n_queries: int, n_with_database: int, n_databases: int) -> Unit:
    """Return databases if most queries have a known one and there are several, else queries."""
    is_known = n_databases > 1 and n_with_database >= _KNOWN_SHARE * n_queries
    return Unit.DATABASE if is_known else Unit.QUERY
