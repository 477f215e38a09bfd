"""Functions that read published results, each for the command of the same name."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from nl2sql_align.tasks.base.errors import ConfigurationError, RequirementError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.results.database import open_results

if TYPE_CHECKING:
    import polars as pl

_KEY_COLUMNS: Final = {"source", "target", "train", "predictions", "model"}


def matrix(place: Path | str, require: str | None = None) -> "pl.DataFrame":
    """Return the alignment of every ordered pair of corpora.

    Args:
        place: The folder of the results, or their address on a store.
        require: A SQL condition on the columns that every row must satisfy.

    Returns:
        The rows of table ``alignment`` in the order of the corpora file, with ``source_role`` and
        ``target_role``; for pairs with a target also ``ci_low`` and ``ci_high``, the 95% interval
        of ``kl_alignment``, and ``target_ceiling``.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: ``require`` is not a condition on the columns.
        RequirementError: A row does not satisfy the condition.
    """
    return _read(place, "results/read/matrix", require)


def ratio(place: Path | str, require: str | None = None) -> "pl.DataFrame":
    """Return the Alignment Ratio of every training set, for all predictions on all targets.

    Args:
        place: The folder of the results, or their address on a store.
        require: A SQL condition on the columns that every row must satisfy.

    Returns:
        The rows of table ``alignment_ratio``; for each set of predictions, the closest training set
        comes first.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: ``require`` is not a condition on the columns.
        RequirementError: A row does not satisfy the condition.
    """
    return _read(place, "results/read/ratio", require)


def rejects(place: Path | str, corpus: str) -> "pl.DataFrame":
    """Return the queries of a corpus that have no template.

    Args:
        place: The folder of the results, or their address on a store.
        corpus: The name of the corpus.

    Returns:
        A row per query: ``ordinal``, ``reject_reason``, ``raw_sql``, ``n_occurrences``.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: The results have no such corpus.
    """
    with open_results(place) as con:
        known = [name for (name,) in con.execute("select corpus from corpora").fetchall()]
        if corpus not in known:
            raise ConfigurationError(
                f"no corpus '{corpus}' in {place}; there are: {', '.join(known)}"
            )
        rejected: pl.DataFrame = query_sql(con, "results/read/rejects", corpus=corpus).pl()
        return rejected


def _read(place: Path | str, name: str, require: str | None) -> "pl.DataFrame":
    with open_results(place) as con:
        rows: pl.DataFrame = query_sql(con, name).pl()
        if require is not None:
            _check_condition(con, name, require)
        return rows


def _check_condition(con: duckdb.DuckDBPyConnection, name: str, require: str) -> None:
    """Raise an error unless the query has rows and all of them satisfy the condition."""
    relation = query_sql(con, name)
    columns = relation.columns
    try:
        duckdb.SQLExpression(require)  # rejects texts such as "a) or (b"
        failed = relation.filter(f"({require}\n) is not true").pl()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"--require: {reason}; the columns are: {', '.join(columns)}"
        ) from None
    n_rows = len(relation.pl())
    if n_rows and failed.is_empty():
        return
    reason = f"it fails for {len(failed):,} of {n_rows:,} rows" if n_rows else "there are no rows"
    if len(failed):
        names = [column for column in columns if column in _KEY_COLUMNS]
        reason += f", the first: {', '.join(failed.select(names).row(0))}"
    raise RequirementError(f"required: {require}; {reason}")
