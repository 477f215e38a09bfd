"""Reading published results: the Python twins of the commands that only read."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from nl2sql_align.tasks.base.errors import ConfigurationError, RequirementError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.results.database import open_results

if TYPE_CHECKING:
    import polars as pl


def matrix(place: Path | str, require: str | None = None) -> "pl.DataFrame":
    """The alignment of every ordered pair of corpora.

    Args:
        place: The folder of the results, or their address on a store.
        require: A condition on the columns, in SQL, that every row has to meet.

    Returns:
        The rows of table ``alignment`` in the order of the corpora file, with the roles of both
        corpora; ``ci_low``, ``ci_high`` (the 95 % interval of ``kl_alignment``) and
        ``target_ceiling`` for pairs with a target.

    Raises:
        WarehouseError: There are no results.
        RequirementError: A row does not meet the condition.
    """
    return _read(place, "results/read/matrix", require)


def ratio(place: Path | str, require: str | None = None) -> "pl.DataFrame":
    """The Alignment Ratio of every training set, for all predictions on all targets.

    Args:
        place: The folder of the results, or their address on a store.
        require: A condition on the columns, in SQL, that every row has to meet.

    Returns:
        The rows of table ``alignment_ratio``, with ``target_ceiling``; per predictions, the closest
        training set comes first.

    Raises:
        WarehouseError: There are no results.
        RequirementError: A row does not meet the condition.
    """
    return _read(place, "results/read/ratio", require)


def rejects(place: Path | str, corpus: str) -> "pl.DataFrame":
    """The queries of a corpus that have no template: ``ordinal``, ``reject_reason``, ``raw_sql``.

    Raises:
        WarehouseError: There are no results.
        ConfigurationError: There is no such corpus in them.
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
            _check(con, name, require)
        return rows


def _check(con: duckdb.DuckDBPyConnection, name: str, require: str) -> None:
    """Raises if some row of the query does not meet the condition, or there is no row."""
    relation = query_sql(con, name)
    columns = relation.columns
    try:
        duckdb.SQLExpression(require)  # one expression, all of it: "a) or (b" would mean another
        failed = relation.filter(f"({require}\n) is not true").pl()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"--require: {reason}; the columns are: {', '.join(columns)}"
        ) from None
    n_rows = len(relation.pl())
    if n_rows and failed.is_empty():
        return
    told = f"it fails for {len(failed):,} of {n_rows:,} rows" if n_rows else "there are no rows"
    if len(failed):
        names = [column for column in columns if column in _IDENTIFYING]
        told += f", the first: {', '.join(failed.select(names).row(0))}"
    raise RequirementError(f"required: {require}; {told}")


_IDENTIFYING: Final = {"source", "target", "train", "predictions", "model"}
