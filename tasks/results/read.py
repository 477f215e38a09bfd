"""Functions that read published results, each for the command of the same name."""

import re
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from nl2sql_align.tasks.base.connections import connect, lock
from nl2sql_align.tasks.base.environment import read_seconds
from nl2sql_align.tasks.base.errors import ConfigurationError, RequirementError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.options import Metric

if TYPE_CHECKING:
    import polars as pl

REQUIRE_SECONDS_VARIABLE: Final = "NL2SQL_ALIGN_REQUIRE_SECONDS"
_REQUIRE_SECONDS: Final = 30.0
_UNKNOWN_COLUMN: Final = re.compile(r'Referenced column "(.+?)" not found')
_KEY_COLUMNS: Final = {"source", "target", "slice", "train", "predictions", "model"}


def matrix(
    place: Path | str,
    require: str | None = None,
    *,
    targets: Sequence[str] = (),
    models: Sequence[str] = (),
    trains: Sequence[str] = (),
    top: int | None = None,
    metric: str = Metric.KL_ALIGNMENT,
) -> "pl.DataFrame":
    """Return the alignment of every ordered pair of corpora.

    Args:
        place: The folder of the results, or their address on a store.
        require: A SQL condition on the columns that every row must satisfy.
        targets: Return the pairs with these targets only.
        models: Return the pairs of the answers of these models; a set of answers can be named, too.
        trains: Return the pairs of these training sets. With ``models``, the pairs of both are
            returned.
        top: Return this many training sets for each target, the closest first; with ``models`` and
            no ``trains``, this many of their answers.
        metric: The measure by which pairs are close.

    Returns:
        The rows of table ``alignment`` in the order of the corpora file, with ``source_role``,
        ``target_role`` and ``source_model``; for pairs with a target also ``ci_low`` and
        ``ci_high``, the 95% interval of ``kl_alignment``, ``reach`` of training sets, and
        ``target_ceiling``.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: ``require`` is not a condition on the columns, or a name is unknown.
        RequirementError: A row does not satisfy the condition.
    """
    import polars as pl

    rows = _read(place, "results/read/matrix")
    given = pl.lit(not trains and not models)
    if trains:
        _check_names("training set", trains, rows.filter(source_role="train")["source"])
        given |= pl.col("source").is_in(trains)
    if models:
        answers = rows.filter(source_role="predictions")
        given |= _select_models(answers, "source", "source_model", models)
    if targets:
        _check_names("target", targets, rows["target"])
        given &= pl.col("target").is_in(targets)
    rows = rows.filter(given)
    if top is not None:
        rows = rank_pairs(rows, metric).filter(pl.int_range(pl.len()).over("target") < top)
    return _require(rows, require)


def ratio(
    place: Path | str,
    require: str | None = None,
    *,
    targets: Sequence[str] = (),
    models: Sequence[str] = (),
    trains: Sequence[str] = (),
    top: int | None = None,
) -> "pl.DataFrame":
    """Return the Alignment Ratio of every training set, for all predictions on all targets.

    Args:
        place: The folder of the results, or their address on a store.
        require: A SQL condition on the columns that every row must satisfy.
        targets: Return the ratios for these targets only.
        models: Return the ratios of these models only; a set of answers can be named, too.
        trains: Return the ratios of these training sets only.
        top: Return the ratios of this many training sets for each set of answers, the closest.

    Returns:
        The rows of table ``alignment_ratio``; for each set of predictions, the closest training set
        comes first.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: ``require`` is not a condition on the columns, or a name is unknown.
        RequirementError: A row does not satisfy the condition.
    """
    import polars as pl

    rows = _choose_rows(_read(place, "results/read/ratio"), targets, models, trains)
    if top is not None:
        rows = rows.filter(pl.int_range(pl.len()).over("predictions") < top)
    return _require(rows, require)


def slices(
    place: Path | str,
    require: str | None = None,
    *,
    targets: Sequence[str] = (),
    models: Sequence[str] = (),
    trains: Sequence[str] = (),
) -> "pl.DataFrame":
    """Return the measures of every training set, and of all predictions, on slices of targets.

    Args:
        place: The folder of the results, or their address on a store.
        require: A SQL condition on the columns that every row must satisfy.
        targets: Return the slices of these targets only.
        models: Return the rows of these models only; a set of answers can be named, too.
        trains: Return the rows of these training sets only.

    Returns:
        The rows of table ``alignment_by_slice``; for each set of predictions and slice, the closest
        training set comes first. Empty if no target has slices.

    Raises:
        WarehouseError: The results are missing.
        ConfigurationError: ``require`` is not a condition on the columns, or a name is unknown.
        RequirementError: A row does not satisfy the condition.
    """
    rows = _choose_rows(_read(place, "results/read/slices"), targets, models, trains)
    return _require(rows, require)


def _choose_rows(
    rows: "pl.DataFrame", targets: Sequence[str], models: Sequence[str], trains: Sequence[str]
) -> "pl.DataFrame":
    """Return the rows on some targets, models and training sets; on all if none is named."""
    import polars as pl

    given = pl.lit(True)
    for noun, column, names in (("target", "target", targets), ("training set", "train", trains)):
        if names:
            _check_names(noun, names, rows[column])
            given &= pl.col(column).is_in(names)
    if models:
        given &= _select_models(rows, "predictions", "model", models)
    return rows.filter(given)


def _select_models(
    rows: "pl.DataFrame", answers: str, model: str, names: Sequence[str]
) -> "pl.Expr":
    """Return the condition that a row is about answers of some models.

    Args:
        rows: Rows about answers.
        answers: The column with the names of the answers.
        model: The column with the names of their models.
        names: Names of models, or of answers.

    Raises:
        ConfigurationError: A name is neither.
    """
    import polars as pl

    _check_names("model", names, [*rows[model].drop_nulls(), *rows[answers].drop_nulls()])
    named = rows.filter(pl.col(model).is_in(names) | pl.col(answers).is_in(names))
    return pl.col(answers).is_in(named[answers].unique().to_list())


def rank_pairs(rows: "pl.DataFrame", metric: str) -> "pl.DataFrame":
    """Return the pairs of training sets (without these, of all sources), the closest first."""
    others = rows.filter(rows["source"] != rows["target"])
    trains = others.filter(others["source_role"] == "train")
    is_distance = metric.endswith("_nats")
    return (trains if len(trains) else others).sort(
        metric, descending=not is_distance, maintain_order=True
    )


def _check_names(noun: str, names: Iterable[str], known: Iterable[str]) -> None:
    known = list(dict.fromkeys(known))
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"no {noun} '{name}' among these results; {suggest(name, known)}"
            )


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
            raise ConfigurationError(f"no corpus '{corpus}' in {place}; {suggest(corpus, known)}")
        rejected: pl.DataFrame = query_sql(con, "results/read/rejects", corpus=corpus).pl()
        return rejected


def _read(place: Path | str, name: str) -> "pl.DataFrame":
    with open_results(place) as con:
        rows: pl.DataFrame = query_sql(con, name).pl()
    return rows


def _require(rows: "pl.DataFrame", require: str | None) -> "pl.DataFrame":
    if require is not None:
        check_condition(rows, require)
    return rows


def check_condition(rows: "pl.DataFrame", require: str) -> None:
    """Check that there are rows and that all of them satisfy a condition.

    Args:
        rows: The rows.
        require: A SQL condition on their columns.

    Raises:
        ConfigurationError: ``require`` is not a condition on the columns, or takes too long.
        RequirementError: The table is empty, or a row does not satisfy the condition.
    """
    try:
        failed = _select_failed(rows, require)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if unknown := _UNKNOWN_COLUMN.search(reason):
            raise ConfigurationError(
                f"--require: no column '{unknown[1]}'; {suggest(unknown[1], rows.columns)}"
            ) from None
        raise ConfigurationError(
            f"--require: {reason}; the columns are: {', '.join(rows.columns)}"
        ) from None
    if len(rows) and failed.is_empty():
        return
    reason = (
        f"it fails for {len(failed):,} of {len(rows):,} rows" if len(rows) else "there are no rows"
    )
    if len(failed):
        names = [column for column in rows.columns if column in _KEY_COLUMNS]
        reason += f", the first: {', '.join(filter(None, failed.select(names).row(0)))}"
    raise RequirementError(f"required: {require}; {reason}")


def _select_failed(rows: "pl.DataFrame", require: str) -> "pl.DataFrame":
    """Return the rows that do not satisfy a condition, evaluated where it can read nothing else.

    Raises:
        ConfigurationError: The condition takes too long, or the limit is not valid.
        duckdb.Error: The condition cannot be evaluated.
    """
    seconds = read_seconds(REQUIRE_SECONDS_VARIABLE, _REQUIRE_SECONDS)
    with connect() as con:
        con.register("given", rows.to_arrow())
        con.execute("create table rows as from given")
        con.unregister("given")
        lock(con)
        duckdb.SQLExpression(require)  # rejects texts such as "a) or (b"
        alarm = threading.Timer(seconds, con.interrupt)
        alarm.start()
        try:
            failed: pl.DataFrame = con.table("rows").filter(f"({require}\n) is not true").pl()
        except duckdb.InterruptException:
            raise ConfigurationError(
                f"--require: not evaluated within {seconds:g} s; simplify the condition, or "
                f"set {REQUIRE_SECONDS_VARIABLE}"
            ) from None
        finally:
            alarm.cancel()
            alarm.join()  # so that it interrupts nothing else
        return failed
