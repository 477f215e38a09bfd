"""What can be trained on, beside what it is to be like: candidates and target as n-gram counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.decisions.options import Overlap
from nl2sql_align.tasks.decisions.selection_methods import Cells, Target
from nl2sql_align.tasks.measures.bootstrap import group_ngrams, poisson_weights, unit_keys
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.units import choose_unit
from nl2sql_align.tasks.ngrams.count import Incidence, count_known, ngram_incidence, ngram_keys
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_WEIGHTS_AT_A_TIME: Final = 10_000_000


@dataclass(frozen=True)
class TargetQueries:
    """The target's queries with a template.

    Attributes:
        corpus: The target's name.
        templates: Its distinct templates.
        counts: How often each distinct template has each n-gram: a column per n-gram of the target.
        n_ngrams: How many n-grams each template has.
        template: The template of each query, a row of ``counts``.
        n_occurrences: How often each query counts.
        ordinal: Each query's place in the dump.
        db_id: Each query's database, null where it is not known.
    """

    corpus: str
    templates: pl.Series
    counts: "csr_array"
    n_ngrams: Floats
    template: Integers
    n_occurrences: Integers
    ordinal: Integers
    db_id: pl.Series

    @property
    def unit(self) -> Unit:
        """What is drawn again as a whole: databases where they are known and there are several."""
        known = self.db_id.drop_nulls()
        return choose_unit(len(self.db_id), len(known), known.n_unique())

    def units(self) -> pl.Series:
        """The name of the unit that each query is of; one without a database is its own."""
        queries = pl.Series(self.ordinal).cast(pl.String)
        if self.unit == Unit.QUERY:
            return pl.select("query " + queries).to_series()
        return pl.select(
            pl.coalesce("database " + self.db_id, pl.lit("query ") + queries)
        ).to_series()

    def shares(self, weights: Integers) -> Floats:
        """The n-gram distributions of the target with such weights of its queries.

        Args:
            weights: A row per distribution, a column per query.

        Returns:
            A row per distribution; rows in which no query with an n-gram has a weight are left out.
        """
        n_templates = len(self.n_ngrams)
        of_templates = np.stack(
            [np.bincount(self.template, weights=row, minlength=n_templates) for row in weights]
        )
        totals = (of_templates * self.n_ngrams).sum(axis=1)
        counted = np.ascontiguousarray((self.counts.T @ of_templates.T).T)
        return np.asarray(counted[totals > 0] / totals[totals > 0, None], np.float64)

    def resampled(self, replicates: int, seed: int, of: Integers) -> Floats:
        """The n-gram distributions of the target, drawn again.

        Args:
            replicates: How often.
            seed: Another seed gives other replicates.
            of: The weights of the queries in what is drawn from.

        Returns:
            As ``shares``.
        """
        units = self.units()
        names = units.unique().sort()
        keys = unit_keys(self.corpus, names.to_list(), seed)
        place = names.search_sorted(units).to_numpy()
        # Some replicates at a time: of a log, each has millions of weights.
        step = max(1, _WEIGHTS_AT_A_TIME // max(1, len(place)))
        blocks = [
            range(first, min(first + step, replicates)) for first in range(0, replicates, step)
        ]
        return np.concatenate(
            [self.shares(poisson_weights(keys, block)[:, place] * of) for block in blocks]
        )

    def as_target(
        self,
        replicates: int,
        seed: int,
        of: Integers | None = None,
        columns: Integers | None = None,
    ) -> Target:
        """What a choice is to be like.

        Args:
            replicates: On how many resamples the choice is to do well; 0 for the target alone.
            seed: Of the resamples.
            of: The weights of the queries; by default how often each counts.
            columns: The n-grams to look at; by default all.
        """
        weights = self.n_occurrences if of is None else of
        shares = self.shares(weights[None, :])
        if not len(shares):
            raise ConfigurationError(f"the target '{self.corpus}' has no n-grams to be like")
        resampled = self.resampled(replicates, seed, weights) if replicates else shares
        if not len(resampled):
            resampled = shares
        if columns is not None:
            shares, resampled = shares[:, columns], resampled[:, columns]
        return Target(shares[0], resampled)


@dataclass(frozen=True)
class Pool:
    """The candidates of some corpora, and the target.

    Attributes:
        sources: The corpora, in the order given: ``corpus``, ``role``, ``dialect``, ``license``,
            ``digest``, ``n_queries``, ``n_rejected``, ``n_candidates``, ``n_overlapping``,
            ``n_repeated``.
        cells: What there is to choose from.
        templates: The distinct templates, the rows of ``cells.counts``.
        template_ids: Their ids.
        columns: For each column of ``cells.counts`` that of ``target.counts`` with its n-gram, or
            the first of its n-grams.
        row_cells: The cell of each candidate, in the order of the sources and their dumps.
        noise: A number in (0, 1) for each candidate, a function of the seed and the row alone.
        target: The target.
    """

    sources: pl.DataFrame
    cells: Cells
    templates: pl.Series
    template_ids: pl.Series
    columns: Integers
    row_cells: Integers
    noise: Floats
    target: TargetQueries


def load_pool(
    con: duckdb.DuckDBPyConnection,
    place: Path | str,
    target: str,
    sources: Sequence[str],
    overlap: Overlap,
    seed: int,
    is_whole: bool = False,
) -> Pool:
    """Reads the candidates; they stay in the connection's table ``candidates``.

    Args:
        con: A connection to the published results.
        place: Their folder, or address.
        target: The corpus to be like.
        sources: The corpora to choose from; by default, where empty, all with the role train, those
            with questions first.
        overlap: Which rows are no candidates for being in the target too.
        seed: Of the rows' noise.
        is_whole: Keep rows that repeat another one's question and text, and count each as often as
            it occurs in a log; else a row is there to be taken once.

    Raises:
        ConfigurationError: There is no such corpus, or nothing to choose from.
        WarehouseError: The results were made by an earlier version, or their files are gone.
    """
    named = list(dict.fromkeys(sources)) or _training_corpora(con, target)
    corpora = _describe(con, place, [*named, target])
    given = corpora.filter(pl.col("corpus") != target)
    if target in named:
        raise ConfigurationError(f"'{target}' is the target: it cannot be chosen from as well")
    answers = given.filter(pl.col("role") == "predictions")["corpus"].to_list()
    if answers:
        raise ConfigurationError(
            f"'{answers[0]}' has the role predictions: a model's answers are nothing to train on; "
            "leave it out of the sources"
        )
    position_of = {name: i for i, name in enumerate(named)}
    given = given.with_columns(position=pl.col("corpus").replace_strict(position_of)).sort(
        "position"
    )
    con.register("given_sources", given.to_arrow())
    [target_file] = corpora.filter(pl.col("corpus") == target)["templates_file"]
    run_sql(con, "decisions/selection/target_queries", target=target, templates_file=target_file)
    files = sorted(set(given["templates_file"]))
    run_sql(
        con,
        "decisions/selection/candidates",
        overlap=overlap,
        seed=seed,
        is_whole=is_whole,
        templates_files=files,
    )
    counted = query_sql(con, "decisions/selection/excluded").pl()
    given = given.join(counted, on="position", how="left", maintain_order="left")
    counts = ("n_candidates", "n_overlapping", "n_repeated")
    given = given.with_columns(pl.col(*counts).fill_null(0))
    if not given["n_candidates"].sum():
        raise ConfigurationError(f"{', '.join(named)}: no query with a template is left to choose")
    return _count(con, target, given)


def _training_corpora(con: duckdb.DuckDBPyConnection, target: str) -> list[str]:
    names = query_sql(con, "decisions/selection/training_corpora", target=target).fetchall()
    return [name for (name,) in names]


def _describe(con: duckdb.DuckDBPyConnection, place: Path | str, names: list[str]) -> pl.DataFrame:
    """What there is to say of the corpora, and where their templates stand."""
    warehouse = warehouse_at(place)
    corpora = query_sql(con, "decisions/selection/templates_files", names=names).pl()
    known = set(corpora["corpus"])
    for name in names:
        if name not in known:
            there = con.execute("select corpus from corpora order by rowid").fetchall()
            raise ConfigurationError(
                f"no corpus '{name}' in {place}; there are: " + ", ".join(one for (one,) in there)
            )
    files = [warehouse.stage_file(warehouse.templates, file) for file in corpora["templates_file"]]
    described: pl.DataFrame = corpora.with_columns(templates_file=pl.Series(files))
    return described


def _count(con: duckdb.DuckDBPyConnection, target: str, sources: pl.DataFrame) -> Pool:
    from scipy.sparse import vstack

    asked = con.sql(
        "select ordinal, db_id, template, n_occurrences from target_queries "
        "join templates using (template_id) order by ordinal"
    ).pl()
    target_templates = asked["template"].unique().sort()
    incidence = ngram_incidence(target_templates)
    target_queries = TargetQueries(
        target,
        target_templates,
        incidence.counts.astype(np.float64),
        np.asarray(incidence.counts.sum(axis=1), np.float64).reshape(-1),
        target_templates.search_sorted(asked["template"]).to_numpy().astype(np.int64),
        asked["n_occurrences"].to_numpy().astype(np.int64),
        asked["ordinal"].to_numpy().astype(np.int64),
        asked["db_id"].cast(pl.String),
    )
    cells = query_sql(con, "decisions/selection/cells").pl()
    texts = cells.unique("template_id", keep="first", maintain_order=True)
    templates = texts["template"]
    known = list(count_known(templates, ngram_keys(incidence.ngrams)))
    counts = vstack([some.counts for some in known]).tocsr()
    columns, multiplicity = _distinct_columns(counts, incidence)
    ids = {one: i for i, one in enumerate(texts["template_id"])}
    numbered = cells.select("template_id", "position").with_row_index("cell")
    noise = query_sql(con, "decisions/selection/noise").pl()
    noise = noise.join(numbered, on=["template_id", "position"], maintain_order="left")
    # The 53 bits of a fraction, in the middle of their interval: never 0 and never 1.
    fractions = ((noise["noise"].to_numpy() >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return Pool(
        sources,
        Cells(
            counts.tocsc()[:, columns].tocsr().astype(np.float64),
            multiplicity,
            np.concatenate([some.totals for some in known]).astype(np.float64),
            cells["template_id"].replace_strict(ids, return_dtype=pl.Int64).to_numpy(),
            cells["position"].to_numpy().astype(np.int64),
            cells["n_rows"].to_numpy().astype(np.int64),
            sources["n_candidates"].to_numpy().astype(np.int64),
        ),
        templates,
        texts["template_id"],
        columns,
        noise["cell"].to_numpy().astype(np.int64),
        fractions,
        target_queries,
    )


def _distinct_columns(pool: "csr_array", target: Incidence) -> tuple[Integers, Floats]:
    """The first of each n-grams with equal counts everywhere, and how many there are of each.

    N-grams that the pool lacks are left out.
    """
    from scipy.sparse import vstack

    present = np.flatnonzero(np.diff(pool.tocsc().indptr))
    counts = vstack([pool, target.counts]).tocsc()[:, present].tocsr()
    classes = group_ngrams(counts)
    _, first, n_equal = np.unique(classes.of_ngram, return_index=True, return_counts=True)
    order = np.argsort(first)
    return present[first[order]].astype(np.int64), n_equal[order].astype(np.float64)
