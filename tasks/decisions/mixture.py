"""Weights of whole corpora whose mixture is closest to a target: ``nl2sql-align mix``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from nl2sql_align.tasks.base.arrays import Floats
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.decisions.candidates import (
    Pool,
    list_candidates,
    list_dumps,
    load_pool,
    note_accidental,
    note_missing_fields,
    read_rows,
)
from nl2sql_align.tasks.decisions.options import LEAST_WEIGHT, MIXTURE_REPLICATES, Overlap
from nl2sql_align.tasks.decisions.selection_methods import Target
from nl2sql_align.tasks.decisions.training_files import (
    TrainingFiles,
    TrainingOptions,
    explaining_write_errors,
    write_mixture_files,
)
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.measures.doubts import LEAKED, LEAKING, describe_overlap
from nl2sql_align.tasks.measures.mixtures import (
    Weights,
    mixture_divergence,
    nearest_mixture,
    nearest_mixtures,
)
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.record import last_run_id, record_decision
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.warehouse.folder import stage_key
from nl2sql_align.tasks.warehouse.outputs import (
    find_output_folder,
    replace_files,
    write_manifest,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MANIFEST: Final = "mixture.json"
"""The file beside those of a trainer that says how they are mixed, and lists them."""

MIXTURE_VERSION: Final = 5
"""Raise it with every change that can alter a weight."""


@dataclass(frozen=True)
class Mixture:
    """Weights of corpora, with intervals.

    Attributes:
        mixture: Its name, a digest of dumps, target, sources, seed and replicates.
        target: The target.
        kl_nats: The skew divergence of the mixture from the target.
        kl_alignment: The KL-alignment of the mixture with the target.
        pool_alignment: That of all rows of the corpora together.
        unit: The unit that was resampled: databases of the target, or its queries.
        sources: A row per corpus, as in table ``mixtures``, the largest weight first.
        notes: Warnings and hints for the user.
        selectable: The corpora of the mixture that have rows which ``select`` can take: not
            templates only, and not only rows that the target has, too.
        training: The files for a trainer, if they were asked for.
    """

    mixture: str
    target: str
    kl_nats: float
    kl_alignment: float
    pool_alignment: float
    unit: str
    sources: pl.DataFrame
    notes: tuple[str, ...]
    selectable: tuple[str, ...]
    training: TrainingFiles | None = None


def mix(
    place: Path | str,
    target: str,
    sources: Sequence[str] = (),
    replicates: int = MIXTURE_REPLICATES,
    seed: int = 0,
    keep_accidental: bool = False,
    out: Path | str | None = None,
    training: TrainingOptions | None = None,
) -> Mixture:
    """Find the weights of whole corpora whose mixture has the lowest divergence from a target.

    Records the result in table ``mixtures`` of the published database.

    Args:
        place: The warehouse folder, or its address on an object store.
        target: The corpus to match.
        sources: The corpora to mix; if empty, all with the role train.
        replicates: The number of resamples of the target for the intervals, from 20 to 100,000.
        seed: The seed of the resamples.
        keep_accidental: Keep rows that parse by accident, because a name in them lacks quotes.
        out: The folder for the files of a trainer. It is created if it does not exist. The files of
            an earlier mixture there are replaced.
        training: How to write the rows of the corpora to ``out``, with the settings that mix them.

    Returns:
        The weights, by n-grams and by rows, with 95% percentile intervals of the row weights.

    Raises:
        ConfigurationError: A corpus does not exist, an option is wrong, or the folder has a file of
            such a name that no mixture has written.
        WarehouseError: The results are missing, or another run has locked them for a minute.
        AlignError: The folder cannot be written.
    """
    if (out is None) != (training is None):
        raise ConfigurationError("out: the files of a trainer need both out and training")
    if out is not None:
        out = find_output_folder(out)
    if not 20 <= replicates <= 100_000:
        raise ConfigurationError(f"replicates: {replicates} is not between 20 and 100,000")
    with open_results(place) as con:
        pool = load_pool(
            con,
            place,
            target,
            sources,
            Overlap.NONE,
            seed,
            is_whole=True,
            keep_accidental=keep_accidental,
        )
        run_id = last_run_id(con)
        shares, per_row = _source_shares(pool)
        aim = pool.target.as_target(replicates, seed, columns=pool.columns)
        multiplicity = pool.cells.multiplicity
        best = nearest_mixture(shares, aim.shares, multiplicity)
        is_used = _row_weights(best.weights, per_row) >= LEAST_WEIGHT
        overlaps = _read_overlaps(con, pool)
        if training is not None:
            dumps = list_dumps(con)
            rows = read_rows(con, pool, np.where(is_used[pool.cells.source], pool.cells.n_rows, 0))
        # Last, since it replaces the candidates of the connection.
        selectable = _list_selectable(con, place, pool, is_used, overlaps)
    n_rows = np.bincount(pool.cells.source, weights=pool.cells.n_rows, minlength=len(pool.sources))
    pool_weights = n_rows * per_row
    pool_nats = mixture_divergence(
        pool_weights / pool_weights.sum(), shares, aim.shares, multiplicity
    )
    name = stage_key(
        version=MIXTURE_VERSION,
        target=target,
        sources=pool.sources.select("corpus", "digest").rows(),
        replicates=replicates,
        seed=seed,
        keep_accidental=keep_accidental,
    )[:16]
    table = _weigh_sources(pool, aim, shares, per_row, best).with_columns(
        mixture=pl.lit(name),
        run_id=pl.lit(run_id),
        target=pl.lit(target),
        seed=pl.lit(seed, pl.Int64),
        replicates=pl.lit(replicates, pl.Int64),
        unit=pl.lit(pool.target.unit),
        kl_nats=pl.lit(best.kl_nats),
        kl_alignment=pl.lit(alignment(best.kl_nats)),
        gap_nats=pl.lit(best.gap_nats),
        pool_alignment=pl.lit(alignment(pool_nats)),
        created_at=pl.lit(datetime.now(UTC)),
    )
    table = table.sort("row_weight", descending=True, maintain_order=True)
    notes = [*note_accidental(pool.sources), *_note_overlaps(pool, is_used, overlaps)]
    written = None
    if training is not None and out is not None:
        changed = note_missing_fields(pool.sources, rows)
        notes += _note_repeats(pool, rows) + changed
        weights = dict(table.select("source", "row_weight").iter_rows())
        with (
            explaining_write_errors(out),
            replace_files(out, "mix", MANIFEST, dumps) as temporary,
        ):
            written = write_mixture_files(rows, weights, temporary, training).moved_to(out)
            notes += written.list_notes(not changed)
            _write_manifest(table, notes, temporary)
    record_decision(place, "mixtures", table, {"mixture": name})
    return Mixture(
        name,
        target,
        best.kl_nats,
        alignment(best.kl_nats),
        alignment(pool_nats),
        pool.target.unit,
        table,
        tuple(notes),
        selectable,
        written,
    )


def _read_overlaps(con: duckdb.DuckDBPyConnection, pool: Pool) -> dict[str, float]:
    """Return the share of the target's queries that each source contains, where it is known."""
    found = con.execute(
        "select source, exact_overlap from alignment where target = ?", [pool.target.corpus]
    ).fetchall()
    return {name: overlap for name, overlap in found if overlap is not None}


def _list_selectable(
    con: duckdb.DuckDBPyConnection,
    place: Path | str,
    pool: Pool,
    is_used: npt.NDArray[np.bool_],
    overlaps: Mapping[str, float],
) -> tuple[str, ...]:
    used = pool.sources.filter(pl.Series(is_used) & pl.col("keeps_sql"))["corpus"].to_list()
    copies = [name for name in used if overlaps.get(name, 0.0) >= LEAKED]
    target = pool.target.corpus
    without_rows = {
        name
        for name in copies
        if not list_candidates(con, place, target, [name], Overlap.NEAR, 0)["n_candidates"].sum()
    }
    return tuple(name for name in used if name not in without_rows)


def _note_overlaps(
    pool: Pool, is_used: npt.NDArray[np.bool_], overlaps: Mapping[str, float]
) -> list[str]:
    """Return a note for each corpus of the mixture that contains queries of the target."""
    target = pool.target.corpus
    return [
        f"{describe_overlap(name, target, overlaps[name])}, and its weight counts them; select "
        "leaves them out"
        for name in pool.sources["corpus"].filter(pl.Series(is_used))
        if overlaps.get(name, 0.0) >= LEAKING
    ]


def _write_manifest(table: pl.DataFrame, notes: list[str], folder: Path) -> None:
    of_mixture = ("mixture", "target", "run_id", "kl_nats", "kl_alignment", "created_at")
    summary = {
        **table.select(of_mixture).row(0, named=True),
        "sources": table.select(
            "source", "row_weight", "row_weight_low", "row_weight_high", "source_alignment"
        ).to_dicts(),
        "versions": {**list_versions(), "mixture": str(MIXTURE_VERSION)},
        "notes": notes,
    }
    write_manifest(folder, "mix", MANIFEST, summary)


def _note_repeats(pool: Pool, rows: pl.DataFrame) -> list[str]:
    """Return a note on corpora whose rows occur several times in a log."""
    n_rows = dict(rows["source"].value_counts().iter_rows())
    n_occurrences = np.bincount(pool.cells.source, pool.cells.n_rows, len(pool.sources))
    repeated = [
        name
        for name, n in zip(pool.sources["corpus"], n_occurrences, strict=True)
        if n > n_rows.get(name, n)
    ]
    if not repeated:
        return []
    return [
        f"each row of {', '.join(repeated)} is written once, however often it occurs; the weights "
        "count each occurrence"
    ]


def _weigh_sources(
    pool: Pool, target: Target, shares: "csr_array", per_row: Floats, best: Weights
) -> pl.DataFrame:
    """Return the weights of each source, with intervals and its alignment alone."""
    multiplicity = pool.cells.multiplicity
    found = nearest_mixtures(shares, target.resampled, multiplicity, best.weights)
    resampled = np.stack([_row_weights(one.weights, per_row) for one in found])
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    row_weights = _row_weights(best.weights, per_row)
    alone = [
        mixture_divergence(weights, shares, target.shares, multiplicity)
        for weights in np.eye(shares.shape[0])
    ]
    return pl.DataFrame(
        {
            "source": pool.sources["corpus"],
            "ngram_weight": best.weights,
            "row_weight": row_weights,
            # A weight at the edge may lie outside, because the search ends near the optimum.
            "row_weight_low": np.minimum(low, row_weights),
            "row_weight_high": np.maximum(high, row_weights),
            "source_alignment": [alignment(nats) for nats in alone],
        }
    )


def _source_shares(pool: Pool) -> "tuple[csr_array, Floats]":
    """Return the n-gram distribution of each source (row), and the n-grams in its average row."""
    from scipy.sparse import csr_array

    cells, n_sources = pool.cells, len(pool.sources)
    shares, per_row = [], []
    for one in range(n_sources):
        rows = np.where(cells.source == one, cells.n_rows, 0)
        weights = cells.per_template(rows).astype(np.float64)
        n_ngrams = float((weights * cells.n_ngrams).sum())
        if not n_ngrams:
            name = pool.sources["corpus"][one]
            raise ConfigurationError(f"'{name}' has no n-grams; leave it out of the sources")
        shares.append((cells.counts.T @ weights) / n_ngrams)
        per_row.append(n_ngrams / rows.sum())
    return csr_array(np.stack(shares)), np.array(per_row)


def _row_weights(ngram_weights: Floats, per_row: Floats) -> Floats:
    """Return the shares of rows that result in these shares of n-grams."""
    rows = ngram_weights / per_row
    return np.asarray(rows / rows.sum(), np.float64)
