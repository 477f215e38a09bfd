"""Corpora as they are resampled: the templates of each unit, and the n-grams of each template."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.arrays import Floats, Integers, Keys
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.measures.bootstrap import (
    Classes,
    Counts,
    Shared,
    class_block,
    join_blocks,
    replicate_counts,
    shared_classes,
    unit_keys,
)
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.ngrams.count import count_known, ngram_keys
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.warehouse.folder import stage_key

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_UNITS: Final = 10_000
"""Of more units than these, random groups are drawn: the spread is known as well, to 1 % or so."""

_KNOWN_SHARE: Final = 0.9
_NGRAMS_AT_A_TIME: Final = 100_000


class SampleKey(NamedTuple):
    """What a sample is made from.

    ``asked`` is the corpus whose queries say which unit each query is of: the target, for
    predictions that are resampled with it, else the corpus itself.
    """

    queries: Path
    templates: Path
    ngrams: Path
    asked: Path
    asked_templates: Path
    unit: Unit

    @property
    def is_paired(self) -> bool:
        """Whether it is drawn together with the questions that it answers."""
        return self.asked != self.queries

    @property
    def name(self) -> str:
        """Equal for samples whose replicates are equal."""
        return _name(self)


@cache  # asked for again for each pair
def _name(key: SampleKey) -> str:
    return stage_key(
        queries=key.queries.stem,
        templates=key.templates.stem,
        asked=key.asked.stem,
        unit=key.unit,
    )


@dataclass(frozen=True)
class Sample:
    """A corpus with its units, and its n-grams as far as they are in a vocabulary.

    Attributes:
        unit: What is drawn again as a whole; ``query`` where databases are not known.
        keys: What stands for each unit; see ``tasks.measures.bootstrap.unit_keys``.
        of_units: How many queries of each unit (row) have each template (column).
        classes: The n-grams of each template.
        ngrams: The numbers of the n-grams in the vocabulary, ascending.
    """

    unit: Unit
    keys: Keys
    of_units: "csr_array"
    classes: Classes
    ngrams: Integers

    @property
    def n_queries(self) -> int:
        """Queries with a template."""
        return int(self.of_units.sum())

    @property
    def n_classes(self) -> int:
        """Classes of n-grams: the numbers that a replicate's counts take."""
        return int(self.classes.counts.shape[1])

    @cached_property
    def class_of(self) -> Integers:
        """The class of each n-gram, by its number; -1 where the sample lacks it.

        The last place stands for all numbers above the sample's highest.
        """
        found = np.full(int(self.ngrams.max(initial=-1)) + 2, -1, np.int64)
        found[self.ngrams] = self.classes.of_ngram
        return found

    def counts(self, weights: Floats) -> Counts:
        """The n-gram counts of replicates in which each unit (column) has a weight."""
        template_weights = np.ascontiguousarray((self.of_units.T @ weights.T).T)
        return replicate_counts(self.classes, template_weights)


def own_sample(corpus: CountedCorpus, unit: Unit) -> SampleKey:
    """A corpus that is resampled on its own."""
    return SampleKey(
        corpus.queries, corpus.templates, corpus.ngrams, corpus.queries, corpus.templates, unit
    )


def sample_with(predictions: CountedCorpus, target: CountedCorpus, unit: Unit) -> SampleKey:
    """Predictions, resampled with the questions that they answer where there is one for each."""
    n_answers, n_questions = (
        pq.read_metadata(corpus.queries).num_rows for corpus in (predictions, target)
    )
    if n_answers != n_questions:
        return own_sample(predictions, unit)
    return SampleKey(
        predictions.queries,
        predictions.templates,
        predictions.ngrams,
        target.queries,
        target.templates,
        unit,
    )


def vocabulary_of(con: duckdb.DuckDBPyConnection, ngram_files: Sequence[Path]) -> pl.DataFrame:
    """The keys of some corpora's n-grams, in the order of these: an n-gram's number is its place.

    Returns:
        See ``tasks.ngrams.count.ngram_keys``.
    """
    no_keys = ngram_keys(pl.Series([], dtype=pl.String))
    if not ngram_files:
        return no_keys
    files = [str(file) for file in ngram_files]
    batches = query_sql(con, "measures/resampling/vocabulary", ngram_files=files).to_arrow_reader(
        _NGRAMS_AT_A_TIME
    )
    return pl.concat([no_keys, *(ngram_keys(pl.Series(batch["ngram"])) for batch in batches)])


def load_sample(
    con: duckdb.DuckDBPyConnection, key: SampleKey, vocabulary: pl.DataFrame, seed: int
) -> Sample:
    """Reads a corpus as it is resampled.

    Args:
        con: Reads the corpus.
        key: Which one.
        vocabulary: The n-grams to take into the sample; see ``vocabulary_of``.
        seed: Of the units' keys.
    """
    from scipy.sparse import coo_array

    unit = _unit(con, key)
    run_sql(
        con,
        "measures/resampling/units",
        queries=str(key.queries),
        templates=str(key.templates),
        asked=str(key.asked),
        by_database=unit == Unit.DATABASE,
        most=MOST_UNITS,
    )
    units: pl.Series = query_sql(con, "measures/resampling/unit_names").pl()["unit"]
    templates: pl.Series = query_sql(con, "measures/resampling/unit_templates").pl()["template"]
    counts = query_sql(con, "measures/resampling/unit_counts").fetchnumpy()
    of_units = coo_array(
        (
            counts["n_queries"].astype(np.float64),
            (counts["unit_number"], counts["template_number"]),
        ),
        shape=(len(units), len(templates)),
    ).tocsr()
    blocks, totals = [], []
    for known in count_known(templates, vocabulary):
        # At once: a class stands for many n-grams, whose counts would take some hundred MB.
        blocks.append(class_block(known.counts, known.first))
        totals.append(known.totals)
    classes, ngrams = join_blocks(blocks, len(vocabulary))
    return Sample(
        unit,
        unit_keys(key.asked.stem, units.to_list(), seed),
        of_units,
        replace(classes, totals=np.concatenate(totals)),
        ngrams,
    )


def shared_by(source: Sample, target: Sample) -> Shared:
    """The n-grams that both samples have."""
    in_target = target.class_of.take(source.ngrams, mode="clip")
    is_shared = in_target >= 0
    return shared_classes(source.classes.of_ngram[is_shared], in_target[is_shared])


def _unit(con: duckdb.DuckDBPyConnection, key: SampleKey) -> Unit:
    """Databases where they are known and there are several, as far as they are wanted."""
    if key.unit == Unit.QUERY or not _has_databases(key.asked):
        return Unit.QUERY
    [(n_queries, n_with_database, n_databases)] = query_sql(
        con,
        "measures/resampling/databases",
        queries=str(key.asked),
        templates=str(key.asked_templates),
    ).fetchall()
    return unit_known(n_queries, n_with_database, n_databases)


def _has_databases(queries: Path) -> bool:
    """Whether the database of some query is known, as far as the file's statistics tell."""
    metadata = pq.read_metadata(queries)
    column = metadata.schema.names.index("db_id")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    statistics = [(group, group.column(column).statistics) for group in groups]
    return any(one is None or one.null_count != group.num_rows for group, one in statistics)


def unit_known(n_queries: int, n_with_database: int, n_databases: int) -> Unit:
    """What can be drawn again of queries: databases where most are known and there are several."""
    is_known = n_databases > 1 and n_with_database >= _KNOWN_SHARE * n_queries
    return Unit.DATABASE if is_known else Unit.QUERY
