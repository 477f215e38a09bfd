"""The rows to choose from and the target to match, as n-gram counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.decisions.options import Overlap
from nl2sql_align.tasks.decisions.selection_methods import Cells, Target
from nl2sql_align.tasks.ingest.archives import is_archive
from nl2sql_align.tasks.ingest.original_rows import has_original_rows, read_original_rows
from nl2sql_align.tasks.measures.bootstrap import group_ngrams, poisson_weights, unit_keys
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.measures.units import choose_unit
from nl2sql_align.tasks.ngrams.count import Incidence, count_known, ngram_incidence, ngram_keys
from nl2sql_align.tasks.warehouse.addresses import is_address
from nl2sql_align.tasks.warehouse.folder import digest_file
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class TargetQueries:
    """The target's queries with a template.

    Attributes:
        corpus: The target's name.
        templates: Its distinct templates.
        counts: How often each n-gram of the target (column) occurs in each template (row).
        n_ngrams: The number of n-grams of each template.
        template: The template of each query, a row of ``counts``.
        n_occurrences: The frequency of each query.
        ordinal: The ordinal of each query in the dump.
        db_id: The database of each query; null if unknown.
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
        """The unit to resample: databases if several are known, else queries."""
        known = self.db_id.drop_nulls()
        return choose_unit(len(self.db_id), len(known), known.n_unique())

    def units(self) -> pl.Series:
        """Return the unit of each query. A query without a database is its own unit."""
        queries = pl.Series(self.ordinal).cast(pl.String)
        if self.unit == Unit.QUERY:
            return pl.select("query " + queries).to_series()
        return pl.select(
            pl.coalesce("database " + self.db_id, pl.lit("query ") + queries)
        ).to_series()

    def shares(self, weights: Integers | Floats) -> Floats:
        """Return n-gram distributions of the target from weights of its queries.

        Args:
            weights: A row per distribution, a column per query.

        Returns:
            A row per distribution, except those in which no query with an n-gram has a weight.
        """
        n_templates = len(self.n_ngrams)
        of_templates = np.stack(
            [np.bincount(self.template, weights=row, minlength=n_templates) for row in weights]
        )
        totals = (of_templates * self.n_ngrams).sum(axis=1)
        counts = np.ascontiguousarray((self.counts.T @ of_templates.T).T)
        return np.asarray(counts[totals > 0] / totals[totals > 0, None], np.float64)

    def resample(
        self, replicates: int, seed: int, of: Integers | Floats, weights_per_block: int = 10_000_000
    ) -> Floats:
        """Return n-gram distributions of resamples of the target.

        Args:
            replicates: The number of resamples.
            seed: Their seed.
            of: The weight of each query in the set to resample.
            weights_per_block: How many weights of queries to hold at a time. Each resample of a log
                has millions.

        Returns:
            As ``shares``.
        """
        units = self.units()
        names = units.unique().sort()
        keys = unit_keys(self.corpus, names.to_list(), seed)
        place = names.search_sorted(units).to_numpy()
        step = max(1, weights_per_block // max(1, len(place)))
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
        of: Integers | Floats | None = None,
        columns: Integers | None = None,
    ) -> Target:
        """Return the distribution to match.

        Args:
            replicates: The number of resamples to match; 0 for the target alone.
            seed: The seed of the resamples.
            of: The weights of the queries; by default their frequencies.
            columns: The n-grams to use; by default all.

        Raises:
            ConfigurationError: The target has no n-grams.
        """
        weights = self.n_occurrences if of is None else of
        shares = self.shares(weights[None, :])
        if not len(shares):
            raise ConfigurationError(f"the target '{self.corpus}' has no n-grams to match")
        resampled = self.resample(replicates, seed, weights) if replicates else shares
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
            ``n_accidental``, ``n_repeated``.
        cells: The candidates, grouped by template and source.
        templates: The distinct templates, the rows of ``cells.counts``.
        template_ids: Their ids.
        columns: For each column of ``cells.counts``, that of ``target.counts`` with its n-gram, or
            with the first of its n-grams.
        row_cells: The cell of each candidate, in the order of the sources and their dumps.
        noise: A number in (0, 1) for each candidate, which depends only on the seed and the row.
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
    keep_accidental: bool = False,
) -> Pool:
    """Read the candidates, and leave them in the connection's table ``candidates``.

    Args:
        con: A connection to the published results.
        place: The warehouse folder, or its address on an object store.
        target: The corpus to match.
        sources: The corpora to choose from; if empty, all with the role train, those with questions
            first.
        overlap: Which rows are excluded because the target has them too.
        seed: The seed of the rows' noise.
        is_whole: Keep rows that repeat the question and text of another one, and count each as
            often as it occurs in a log. Otherwise each row can be taken once.
        keep_accidental: Keep rows that parse by accident, because a name in them lacks quotes.

    Raises:
        ConfigurationError: A corpus does not exist, or has no candidate.
        WarehouseError: The results are those of an earlier version, or their files are missing.
    """
    given = list_candidates(
        con,
        place,
        target,
        sources,
        overlap,
        seed,
        is_whole=is_whole,
        keep_accidental=keep_accidental,
    )
    return _count_candidates(con, given, _count_target(con, target))


def load_pool_with_target(
    con: duckdb.DuckDBPyConnection, place: Path | str, target: str, sources: Sequence[str]
) -> Pool:
    """Read all rows of some corpora and of the target, which is the last source of the pool.

    Each row counts as often as it occurs in a log. Raises the errors of ``load_pool``.
    """
    corpora = _describe_corpora(con, place, [*sources, target])
    _check_sources(corpora, sources, target)
    given = _list_rows(con, corpora, target, [*sources, target], Overlap.NONE, 0, True, True)
    return _count_candidates(con, given, _count_target(con, target))


def list_candidates(
    con: duckdb.DuckDBPyConnection,
    place: Path | str,
    target: str,
    sources: Sequence[str],
    overlap: Overlap,
    seed: int,
    *,
    is_whole: bool = False,
    keep_accidental: bool = False,
) -> pl.DataFrame:
    """Write the candidates to the connection's table ``candidates``, and return their corpora.

    Arguments and errors are those of ``load_pool``, and the columns those of ``Pool.sources``. The
    corpora may have no candidate.
    """
    names = [sources] if isinstance(sources, str) else sources  # a text is a sequence, too
    named = list(dict.fromkeys(names)) or list_training_corpora(con, target)
    corpora = _describe_corpora(con, place, [*named, target])
    _check_sources(corpora, named, target)
    if not is_whole:
        given = corpora.filter(pl.col("corpus").is_in(named))
        with_rows = set(_leave_out_templates(given, bool(sources))["corpus"])
        named = [name for name in named if name in with_rows]
    return _list_rows(con, corpora, target, named, overlap, seed, is_whole, keep_accidental)


def _check_sources(corpora: pl.DataFrame, named: Sequence[str], target: str) -> None:
    """Raise ConfigurationError if rows of these corpora cannot be taken for the target."""
    if target in named:
        raise ConfigurationError(f"'{target}' is the target; leave it out of the sources")
    is_answers = pl.col("corpus").is_in(list(named)) & (pl.col("role") == "predictions")
    answers = corpora.filter(is_answers)["corpus"].to_list()
    if answers:
        raise ConfigurationError(
            f"'{answers[0]}' has the role predictions, and a model's answers are not training "
            "data; leave it out of the sources"
        )


def _list_rows(
    con: duckdb.DuckDBPyConnection,
    corpora: pl.DataFrame,
    target: str,
    named: list[str],
    overlap: Overlap,
    seed: int,
    is_whole: bool,
    keep_accidental: bool,
) -> pl.DataFrame:
    """Write rows of the named corpora to table ``candidates``, and return their sources."""
    position_of = {name: i for i, name in enumerate(named)}
    given = (
        corpora.filter(pl.col("corpus").is_in(named))
        .with_columns(position=pl.col("corpus").replace_strict(position_of))
        .sort("position")
    )
    con.register("given_sources", given.to_arrow())
    [target_file] = corpora.filter(pl.col("corpus") == target)["templates_file"]
    run_sql(con, "decisions/selection/literals")
    run_sql(con, "decisions/selection/target_queries", target=target, templates_file=target_file)
    run_sql(
        con,
        "decisions/selection/candidates",
        overlap=overlap,
        seed=seed,
        is_whole=is_whole,
        keep_accidental=keep_accidental,
        templates_files=sorted(set(given["templates_file"])),
    )
    counted = query_sql(con, "decisions/selection/excluded").pl()
    given = given.join(counted, on="position", how="left", maintain_order="left")
    counts = ("n_candidates", "n_overlapping", "n_accidental", "n_repeated")
    given = given.with_columns(pl.col(*counts).fill_null(0))
    return given


def read_rows(con: duckdb.DuckDBPyConnection, pool: Pool, taken: Integers) -> pl.DataFrame:
    """Return candidates with all columns of ``selection.parquet``.

    Args:
        con: The connection that loaded the pool.
        pool: The candidates.
        taken: The number of rows to read of each cell.

    Raises:
        ConfigurationError: A corpus has templates only.
    """
    cells = pool.cells
    chosen = np.flatnonzero(taken)
    wanted = pl.DataFrame(
        {
            "position": cells.source[chosen],
            "template_id": pool.template_ids.gather(cells.template[chosen]),
            "n_taken": taken[chosen],
        }
    )
    _leave_out_templates(pool.sources[wanted["position"].unique().sort()], are_named=True)
    con.register("taken", wanted.to_arrow())
    rows: pl.DataFrame = query_sql(con, "decisions/selection/chosen_rows").pl()
    in_dumps = rows.with_columns(ordinal=pl.col("row_number"))
    with connected() as reading:  # that of the results cannot open files
        records = read_original_rows(reading, pool.sources, in_dumps)
    return rows.drop("row_number").with_columns(records)


def note_missing_fields(sources: pl.DataFrame, rows: pl.DataFrame) -> list[str]:
    """Return a note for each source whose rows cannot be read from their dump once more.

    Args:
        sources: The corpora, with their paths and digests.
        rows: The rows that ``read_rows`` returned.
    """
    without_records = {*rows["source"]} - {*rows.drop_nulls("record")["source"]}
    notes = []
    columns = sources.select("corpus", "format", "path", "digest")
    for name, format, path, digest in columns.rows():
        found = _find_problem(format, path, digest) if name in without_records else None
        if found is not None:
            problem, remedy = found
            notes.append(
                f"the dump of {name} ({path}) {problem}, so that fields of its rows, such as "
                f"schemas, are missing; {remedy}"
            )
    return notes


def _find_problem(format: str, path: str, digest: str) -> tuple[str, str] | None:
    """Return why the rows of a dump cannot be read again, and a remedy; None if they can."""
    file = Path(path)
    if not is_address(path):
        if not file.exists():
            return "is gone", "put it back"
        if file.is_file() and digest_file(file) != digest:
            return "has changed since the run", "run again"
    if not has_original_rows(format):
        return None
    if is_address(path):
        return "is read from an address", "download it, and name the copy"
    if file.is_dir():
        return "is a folder", "join its files into one"
    is_packed = is_archive(file) or file.suffix.lower() == ".bz2"
    return ("is packed", "unpack it into one file") if is_packed else None


def note_accidental(sources: pl.DataFrame) -> list[str]:
    """Return a note if rows of the sources were excluded because they parse by accident."""
    some = sources.filter(pl.col("n_accidental") > 0)
    if not len(some):
        return []
    named = ", ".join(
        f"{n:,} of {name}" for name, n in some.select("corpus", "n_accidental").rows()
    )
    return [
        f"left out rows that parse by accident, because a name in them lacks quotes: {named}; "
        "to keep them, add --keep-accidental"
    ]


def note_repeats(sources: pl.DataFrame, least: int = 5, share: float = 0.05) -> list[str]:
    """Return a note if sources lose many of their rows, or all, as repeats.

    Args:
        sources: The sources of a pool.
        least: The number of rows from which on they are many.
        share: The share of the rows with a template from which on they are many.
    """
    counts = ("n_candidates", "n_overlapping", "n_accidental", "n_repeated")
    n_repeated = pl.col("n_repeated")
    is_much = (n_repeated >= least) & (n_repeated >= share * pl.sum_horizontal(*counts))
    is_all = (n_repeated > 0) & (pl.col("n_candidates") == 0)
    some = sources.filter(is_much | is_all)
    if not len(some):
        return []
    named = ", ".join(
        f"{n:,} of {name}" + (", of which none is left" if not n_left else "")
        for name, n, n_left in some.select("corpus", "n_repeated", "n_candidates").rows()
    )
    return [f"left out rows whose question and text an earlier row of the sources has: {named}"]


def _leave_out_templates(given: pl.DataFrame, are_named: bool) -> pl.DataFrame:
    """Return the corpora that have rows to train on."""
    with_rows = given.filter(pl.col("keeps_sql"))
    left_out = sorted({*given["corpus"]} - {*with_rows["corpus"]})
    if left_out and (are_named or not len(with_rows)):
        raise ConfigurationError(
            f"'{left_out[0]}' has templates only, and no rows to train on; name corpora with SQL "
            "in the sources"
        )
    return with_rows


def list_training_corpora(con: duckdb.DuckDBPyConnection, target: str) -> list[str]:
    """Return the names of the training corpora, those with questions first."""
    names = query_sql(con, "decisions/selection/training_corpora", target=target).fetchall()
    return [name for (name,) in names]


def list_dumps(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the paths of the dumps that the results were made from."""
    return [path for (path,) in con.execute("select path from corpora").fetchall()]


def _describe_corpora(
    con: duckdb.DuckDBPyConnection, place: Path | str, names: list[str]
) -> pl.DataFrame:
    """Return a row for each corpus, with the path of its file of templates."""
    warehouse = warehouse_at(place)
    corpora = query_sql(con, "decisions/selection/templates_files", names=names).pl()
    known = set(corpora["corpus"])
    for name in names:
        if name not in known:
            published = con.execute("select corpus from corpora order by rowid").fetchall()
            raise ConfigurationError(
                f"no corpus '{name}' in {place}; " + suggest(name, (one for (one,) in published))
            )
    files = [
        warehouse.stage_file(warehouse.stage("templates"), file)
        for file in corpora["templates_file"]
    ]
    described: pl.DataFrame = corpora.with_columns(templates_file=pl.Series(files))
    return described


def _count_target(con: duckdb.DuckDBPyConnection, target: str) -> tuple[TargetQueries, Incidence]:
    """Return the target's queries, and the n-grams of its templates."""
    asked = query_sql(con, "decisions/selection/target_templates").pl()
    templates = asked["template"].unique().sort()
    incidence = ngram_incidence(templates)
    queries = TargetQueries(
        target,
        templates,
        incidence.counts.astype(np.float64),
        np.asarray(incidence.counts.sum(axis=1), np.float64).reshape(-1),
        templates.search_sorted(asked["template"]).to_numpy().astype(np.int64),
        asked["n_occurrences"].to_numpy().astype(np.int64),
        asked["ordinal"].to_numpy().astype(np.int64),
        asked["db_id"].cast(pl.String),
    )
    return queries, incidence


def _count_candidates(
    con: duckdb.DuckDBPyConnection, sources: pl.DataFrame, target: tuple[TargetQueries, Incidence]
) -> Pool:
    from scipy.sparse import vstack

    if not sources["n_candidates"].sum():
        named = ", ".join(sources["corpus"])
        raise ConfigurationError(f"{named}: no query with a template is left to choose")
    target_queries, incidence = target
    cells = query_sql(con, "decisions/selection/cells").pl()
    texts = cells.unique("template_id", keep="first", maintain_order=True)
    templates = texts["template"]
    known = list(count_known(templates, ngram_keys(incidence.ngrams)))
    counts = vstack([some.counts for some in known]).tocsr()
    columns, multiplicity = _find_distinct_columns(counts, incidence)
    ids = {one: i for i, one in enumerate(texts["template_id"])}
    numbered = cells.select("template_id", "position").with_row_index("cell")
    noise = query_sql(con, "decisions/selection/noise").pl()
    noise = noise.join(numbered, on=["template_id", "position"], maintain_order="left")
    # Use 53 bits, in the middle of their interval, so that the result is never 0 or 1.
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


def _find_distinct_columns(pool: "csr_array", target: Incidence) -> tuple[Integers, Floats]:
    """Return the first n-gram of each class of equal counts everywhere, and the size of each class.

    N-grams that the pool lacks are omitted.
    """
    from scipy.sparse import vstack

    present = np.flatnonzero(np.diff(pool.tocsc().indptr))
    counts = vstack([pool, target.counts]).tocsc()[:, present].tocsr()
    classes = group_ngrams(counts)
    _, first, n_equal = np.unique(classes.of_ngram, return_index=True, return_counts=True)
    order = np.argsort(first)
    return present[first[order]].astype(np.int64), n_equal[order].astype(np.float64)
