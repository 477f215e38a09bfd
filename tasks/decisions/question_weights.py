"""Weights of a target's questions, such as the error rates of a model in an evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import duckdb
import polars as pl

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ingest.delimited import find_separator_of_file

_READERS: Final[dict[str, Callable[[Path], pl.DataFrame]]] = {
    ".csv": lambda path: pl.read_csv(
        path, separator=find_separator_of_file(path), infer_schema=False
    ),
    ".json": pl.read_json,
    ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".parquet": lambda path: pl.read_parquet(path, glob=False),
    ".tsv": lambda path: pl.read_csv(path, separator="\t", infer_schema=False),
}
_KEYS: Final = {"id": "id", "ordinal": "question_ordinal"}


def read_weights(con: duckdb.DuckDBPyConnection, target: str, file: Path) -> pl.DataFrame:
    """Read the weight of each question of a target.

    Args:
        con: A connection to the published results.
        target: The target.
        file: A table (.csv, .tsv, .json, .jsonl or .parquet) with a column ``weight``, and a column
            ``id`` or ``ordinal`` (from 0) of the question.

    Returns:
        ``ordinal`` and ``weight`` of each query of the target.

    Raises:
        ConfigurationError: The file cannot be read, a weight is not a number from 0 on, or the file
            does not have one weight for each question.
    """
    given = _read_table(file)
    key = next((key for key in _KEYS if key in given.columns), None)
    if key is None or "weight" not in given.columns:
        found = ", ".join(given.columns[:10]) or "nothing"
        raise ConfigurationError(
            f"{file}: needs the columns weight, and id or ordinal; it has {found}"
        )
    weights = given.select(
        key=pl.col(key).cast(pl.String, strict=False).str.strip_chars(),
        weight=pl.col("weight").cast(pl.Float64, strict=False),
    )
    for number, (name, weight) in enumerate(weights.iter_rows(), 1):
        if weight is None or not 0 <= weight < float("inf"):
            raise ConfigurationError(
                f"{file}: row {number} ({key} {name}): the weight is not a number from 0 on"
            )
    questions: pl.DataFrame = query_sql(con, "decisions/selection/questions", target=target).pl()
    questions = questions.with_columns(key=pl.col(_KEYS[key]).cast(pl.String))
    _check_keys(file, target, key, weights["key"], questions["key"])
    return questions.join(weights, on="key", how="left", maintain_order="left").select(
        "ordinal", "weight"
    )


def _read_table(file: Path) -> pl.DataFrame:
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise ConfigurationError(f"{file}: is not one of {', '.join(_READERS)}; convert it")
    try:
        return reader(file)
    except OSError as error:
        problem: Any = error.strerror or error
    except pl.exceptions.PolarsError as error:
        problem = str(error).splitlines()[0]
    raise ConfigurationError(f"{file}: cannot be read ({problem}); check the file")


def _check_keys(file: Path, target: str, key: str, given: pl.Series, known: pl.Series) -> None:
    """Raise unless each question has one weight, and each weight is for a question."""
    repeated = given.filter(given.is_duplicated())
    if len(repeated):
        raise ConfigurationError(f"{file}: {key} {repeated[0]} has several weights; keep one")
    foreign = given.filter(~given.is_in(known.drop_nulls().implode()) | given.is_null())
    if len(foreign):
        raise ConfigurationError(
            f"{file}: {count_noun(len(foreign), 'weight is', 'weights are')} not for questions of "
            f"{target}, such as {key} {foreign[0]}; check the column {key}"
        )
    missing = known.filter(~known.is_in(given.implode()) | known.is_null())
    if len(missing):
        raise ConfigurationError(
            f"{file}: {count_noun(missing.n_unique(), 'question')} of {target} "
            f"{'has' if missing.n_unique() == 1 else 'have'} no weight, such as {key} "
            f"{missing[0]}; add what is missing"
        )
