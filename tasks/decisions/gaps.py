"""Gaps: the templates of a target whose rows would raise the alignment of a training set most."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import polars as pl

from nl2sql_align.tasks.base.arrays import Integers
from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError, find_disk_reason
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.decisions.candidates import (
    Pool,
    list_candidates,
    list_dumps,
    list_training_corpora,
    load_pool_with_target,
)
from nl2sql_align.tasks.decisions.options import GAPS_BUDGET, Overlap
from nl2sql_align.tasks.decisions.selection_methods import (
    Cells,
    Target,
    add_directly,
    divergence,
)
from nl2sql_align.tasks.measures.divergence import alignment
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.features import describe_templates
from nl2sql_align.tasks.results.record import last_run_id, record_decision
from nl2sql_align.tasks.templates.fingerprints import FINGERPRINT
from nl2sql_align.tasks.warehouse.folder import write_atomically
from nl2sql_align.tasks.warehouse.outputs import find_output, refuse_dumps

REPLICATES: Final = 20
"""The number of resamples of the target that the added rows should suit."""

# Keys of each line of a file of gaps, by which it is recognized.
_KEYS: Final = frozenset({"template", "structure", "n_in_source", "n_in_target", "n_rows_so_far"})


@dataclass(frozen=True)
class Gaps:
    """The templates that a training set lacks rows of, and the effect of adding rows.

    Attributes:
        source: The training set.
        target: The target.
        source_alignment: The KL-alignment of the training set as it is.
        kl_alignment: That with all proposed rows added.
        n_rows: The number of proposed rows.
        templates: A row per template, as in table ``gaps``, in the order in which rows of the
            templates raise the alignment.
        notes: The limits of the result, a line each.
    """

    source: str
    target: str
    source_alignment: float
    kl_alignment: float
    n_rows: int
    templates: pl.DataFrame
    notes: tuple[str, ...]


def gaps(
    place: Path | str,
    source: str,
    target: str,
    pool: Sequence[str] = (),
    budget: int = GAPS_BUDGET,
    out: Path | str | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Gaps:
    """Find the templates of a target that a training set lacks most rows of.

    Starts from all rows of the training set, and adds rows with templates of the target, each time
    those that lower the divergence most. Records the result in table ``gaps``.

    Args:
        place: The warehouse folder, or its address on an object store.
        source: The training set to complete.
        target: The corpus that it should resemble.
        pool: The other corpora in which to look for such rows; by default all with the role train.
        budget: The largest number of rows to add.
        out: A file to write the templates to, a JSON object a line.
        replicates: The number of resamples of the target that the rows should suit, so that they
            suit other queries like the target's too; 0 for the target alone.
        seed: The seed of the resamples.

    Raises:
        ConfigurationError: A corpus or the folder of the file does not exist, a corpus has no
            template, the file exists and is not a list of gaps, or an option is wrong.
        WarehouseError: The results are missing, or another run has locked them for a minute.
        AlignError: The file cannot be written.
    """
    if out is not None:
        out = find_output(out, "a list of gaps", _is_list_of_gaps)
    if budget < 1:
        raise ConfigurationError(f"budget: {budget} is less than 1")
    if not 0 <= replicates <= 1000:
        raise ConfigurationError(f"replicates: {replicates} is not between 0 and 1000")
    if source in pool:
        raise ConfigurationError(f"'{source}' is the training set; leave it out of the pool")
    with open_results(place) as con:
        if out is not None:
            refuse_dumps([out], list_dumps(con))
        run_id = last_run_id(con)
        whole = load_pool_with_target(con, place, target, [source])
        aim = whole.target.as_target(replicates, seed, columns=whole.columns)
        table = _propose_templates(whole, aim, budget)
        table = _add_pool(con, place, source, target, pool, table)
    start = alignment(divergence(whole.cells, _rows_of_source(whole.cells), aim))
    table = table.with_columns(
        run_id=pl.lit(run_id),
        source=pl.lit(source),
        target=pl.lit(target),
        structure=pl.Series(describe_templates(table["template"].to_list()), dtype=pl.String),
        source_alignment=pl.lit(start),
        budget=pl.lit(budget, pl.Int64),
        replicates=pl.lit(replicates, pl.Int64),
        seed=pl.lit(seed, pl.Int64),
        created_at=pl.lit(datetime.now(UTC)),
    )
    n_rows = int(table["n_rows"].sum())
    made = Gaps(
        source,
        target,
        start,
        table["kl_alignment"][-1] if n_rows else start,
        n_rows,
        table,
        _note_limits(n_rows, budget),
    )
    if out is not None:
        _write_seeds(out, table)
    record_decision(place, "gaps", table, {"source": source, "target": target})
    return made


def propose_rows(
    cells: Cells, target: Target, taken: Integers, n_in_target: Integers, budget: int
) -> Integers:
    """Return the template of each row to add, in the order in which they lower the divergence.

    Only templates that are less frequent than in the target are added, and only up to its share:
    otherwise copies of a few long queries would fill the budget.

    Args:
        cells: The candidates.
        target: The distribution to match.
        taken: The number of rows of each cell in the training set.
        n_in_target: How often each template occurs in the target.
        budget: The largest number of rows to add.
    """
    templates = np.arange(len(cells.n_ngrams))
    own = cells.per_template(taken)
    shares = n_in_target / n_in_target.sum()
    wanted = np.ceil(shares * (own.sum() + budget)).astype(np.int64) - own
    is_less_frequent = own < shares * own.sum()
    # The first source is the training set, the second one gives the rows to add.
    both = Cells(
        cells.counts,
        cells.multiplicity,
        cells.n_ngrams,
        np.repeat(templates, 2),
        np.tile([0, 1], len(templates)),
        np.stack([own, np.where(is_less_frequent, wanted, 0)], axis=1).reshape(-1),
        np.array([own.sum(), budget], np.int64),
    )
    start = np.stack([own, np.zeros_like(own)], axis=1).reshape(-1)
    return add_directly(both, target, start, budget) // 2


def _rows_of_source(cells: Cells) -> Integers:
    """Return the number of rows of each cell in the training set, the first source."""
    return np.where(cells.source == 0, cells.n_rows, 0)


def _propose_templates(whole: Pool, aim: Target, budget: int) -> pl.DataFrame:
    """Return a row per template to add, with its numbers of rows and the alignment after it."""
    cells = whole.cells
    taken = _rows_of_source(cells)
    of_source = cells.per_template(taken)
    of_target = cells.per_template(cells.n_rows - taken)
    rows = propose_rows(cells, aim, taken, of_target, budget)
    proposed = list(dict.fromkeys(rows.tolist()))
    cell_of = {cells.template[i]: i for i in np.flatnonzero(cells.source == 1)}
    n_rows = [int((rows == template).sum()) for template in proposed]
    alignments = []
    for template, n in zip(proposed, n_rows, strict=True):
        taken[cell_of[template]] += n
        alignments.append(alignment(divergence(cells, taken, aim)))
    return pl.DataFrame(
        {
            "rank": pl.Series(range(1, len(proposed) + 1), dtype=pl.Int64),
            "template": whole.templates.gather(proposed),
            "n_rows": pl.Series(n_rows, dtype=pl.Int64),
            "n_rows_so_far": pl.Series(np.cumsum(n_rows), dtype=pl.Int64),
            "kl_alignment": pl.Series(alignments, dtype=pl.Float64),
            "n_in_target": of_target[proposed],
            "share_in_target": of_target[proposed] / of_target.sum(),
            "n_in_source": of_source[proposed],
        }
    )


def _add_pool(
    con: duckdb.DuckDBPyConnection,
    place: Path | str,
    source: str,
    target: str,
    pool: Sequence[str],
    table: pl.DataFrame,
) -> pl.DataFrame:
    """Add the number of rows of each template in the pool, and an example from it or the target."""
    own = query_sql(con, "decisions/gaps/target_examples", target=target).pl()
    table = table.join(own, on="template", how="left", maintain_order="left")
    others = list(pool) or _list_other_corpora(con, source, target)
    if others:
        list_candidates(con, place, target, others, Overlap.NEAR, 0)
        found = query_sql(con, "decisions/gaps/pool_rows").pl()
        table = table.join(
            found, on="template", how="left", maintain_order="left", suffix="_of_pool"
        )
    else:
        table = table.with_columns(
            n_in_pool=None, example_corpus_of_pool=None, example_ordinal_of_pool=None
        )
    table = table.with_columns(
        pl.col("n_in_pool").fill_null(0).cast(pl.Int64),
        pl.coalesce("example_corpus_of_pool", "example_corpus").alias("example_corpus"),
        pl.coalesce("example_ordinal_of_pool", "example_ordinal").alias("example_ordinal"),
    ).drop("example_corpus_of_pool", "example_ordinal_of_pool")
    key = ["example_corpus", "example_ordinal"]
    con.register("examples", table.select(key).to_arrow())
    texts = query_sql(con, "decisions/gaps/example_texts").pl().unique(key)
    return table.join(texts, on=key, how="left", maintain_order="left")


def _list_other_corpora(con: duckdb.DuckDBPyConnection, source: str, target: str) -> list[str]:
    """Return the other training corpora that have rows and not only templates."""
    rows = con.execute("select corpus from corpora where format != ?", [FINGERPRINT]).fetchall()
    with_rows = {name for (name,) in rows} - {source}
    return [name for name in list_training_corpora(con, target) if name in with_rows]


def _note_limits(n_rows: int, budget: int) -> tuple[str, ...]:
    if not n_rows:
        return ("no row with a template of the target would raise the alignment",)
    if n_rows < budget:
        return (f"more than {n_rows:,} rows do not raise the alignment",)
    return ()


def _is_list_of_gaps(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as lines:
            row = json.loads(lines.readline())
    except (OSError, ValueError):
        return False
    return isinstance(row, dict) and row.keys() >= _KEYS


def _write_seeds(out: Path, table: pl.DataFrame) -> None:
    names = [name for name in table.columns if name not in ("run_id", "created_at")]
    lines = [json.dumps(row, ensure_ascii=False) for row in table.select(names).to_dicts()]
    try:
        with write_atomically(out) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        reason = find_disk_reason(error) or error.strerror or error
        raise AlignError(f"{out} cannot be written ({reason}); choose another -o") from None
