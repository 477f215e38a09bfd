"""Corpora that a caller hands over: paths of dumps, lists of queries or rows, and frames."""

import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import AUTO, LONGEST_NAME, CorpusEntry, make_name
from nl2sql_align.tasks.warehouse.addresses import is_address

if TYPE_CHECKING:
    import pyarrow as pa


def name_corpus(path: Path | str) -> str:
    """Return the name of a corpus for a dump: that of its file, without suffixes and revision."""
    return make_name(Path(path).name.split(".")[0].split("@")[0])


def make_unique(name: str, taken: Collection[str]) -> str:
    """Return the name of a corpus, with a number at its end if the name is taken."""
    number, unique = 2, name
    while unique in taken:
        ending = f"-{number}"
        unique = f"{name[: LONGEST_NAME - len(ending)]}{ending}"
        number += 1
    return unique


def list_given(given: object, name: str) -> dict[str, object]:
    """Return the corpora of an argument by name.

    Args:
        given: A path or an address, a list of queries or of rows, a frame; or several of these, as
            a list of paths or frames, or as a mapping from names.
        name: The name of a corpus that has no file.

    Raises:
        ConfigurationError: Nothing is given.
    """
    if isinstance(given, list | tuple | Mapping) and not given:
        raise ConfigurationError(f"{name}: no data is given; pass a path, queries or a frame")
    if isinstance(given, Mapping):
        found = {str(key): value for key, value in given.items()}
    elif isinstance(given, str | Path):
        found = {name_corpus(given): given}
    elif isinstance(given, list | tuple) and _holds_corpora(given):
        found = dict(zip(_name_all(given, name), given, strict=True))
    else:
        found = {name: given}
    return found


def _holds_corpora(given: Sequence[object]) -> bool:
    """Return whether the items of a list are corpora rather than queries or rows.

    A list of strings contains queries, unless each string names an existing file or is an address.
    """
    if _holds_rows(given):
        return False
    texts = [one for one in given if isinstance(one, str)]
    if len(texts) == len(given):
        return all(is_address(one) or _exists(one) for one in texts)
    return any(one is not None and not isinstance(one, str) for one in given)


def _holds_rows(given: object) -> bool:
    """Return whether a list contains rows, as those of a JSON file, and no frames."""
    return (
        isinstance(given, list | tuple)
        and len(given) > 0
        and all(
            isinstance(one, Mapping) and not any(_is_frame(value) for value in one.values())
            for one in given
        )
    )


def _is_frame(given: object) -> bool:
    return hasattr(given, "__arrow_c_stream__") or hasattr(given, "to_parquet")


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False


def _name_all(given: Sequence[object], name: str) -> list[str]:
    """Name corpora by their files, with the name of the folder if two files have one name."""
    paths = [Path(one) if isinstance(one, str | Path) else None for one in given]
    names = [name_corpus(path) if path else name for path in paths]
    shared = {one for one, count in Counter(names).items() if count > 1}
    for index, path in enumerate(paths):
        if path is not None and names[index] in shared and path.parent.name:
            names[index] = make_name(f"{path.parent.name}-{names[index]}")
    unique: list[str] = []
    for one in names:
        unique.append(make_unique(one, unique))
    return unique


def make_entry(name: str, given: object, role: str, folder: Path, **keys: Any) -> CorpusEntry:
    """Return the entry of a given corpus; one that is not a file becomes one.

    Args:
        name: The name of the corpus.
        given: A path or an address of a dump, a list of queries or of rows, or a frame: of Polars,
            pandas or Arrow, or a Hugging Face data set.
        role: ``train``, ``target`` or ``predictions``.
        folder: A folder for files.
        **keys: More keys of the entry.

    Raises:
        ConfigurationError: The data cannot be taken, or a key is wrong.
    """
    entry = {"name": name, "role": role, "format": AUTO, "dialect": AUTO, **keys}
    if isinstance(given, str | Path):
        entry["path"] = given
    elif _holds_rows(given):
        entry["path"] = _write_rows(given, folder / f"{name}.jsonl", name)
    else:
        if isinstance(given, list | tuple):
            entry |= {"format": "parquet", "columns": {"sql": "sql"}}
        entry["path"] = _write_frame(given, folder / f"{name}.parquet", name)
    try:
        return CorpusEntry.model_validate(entry)
    except ValidationError as error:
        raise ConfigurationError(f"{name}: {error.errors()[0]['msg']}") from None


def _write_rows(rows: Any, path: Path, name: str) -> Path:
    try:
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                # Frames mark missing values by NaN, which JSON does not have.
                known = {key: None if _is_nan(value) else value for key, value in row.items()}
                file.write(f"{json.dumps(known, default=str, allow_nan=False)}\n")
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name}: a row cannot be written as JSON ({error})") from None
    return path


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _write_frame(given: Any, path: Path, name: str) -> Path:
    """Write a frame to a Parquet file, or to JSON lines if a column mixes types, and return it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if hasattr(given, "__arrow_c_stream__") or isinstance(given, list | tuple):
        try:
            pq.write_table(_make_table(given, name), path)
        except pa.ArrowException as error:
            if not hasattr(given, "iterrows"):  # not of pandas
                problem = f"{name}: the frame cannot be converted to Arrow ({error})"
                raise ConfigurationError(problem) from None
            return _write_rows(given.to_dict("records"), path.with_suffix(".jsonl"), name)
    elif hasattr(given, "to_parquet"):  # a Hugging Face data set
        given.to_parquet(str(path))
    elif isinstance(given, Mapping):
        splits = ", ".join(map(str, given))
        raise ConfigurationError(f"{name}: choose one of the splits, as in data['train']: {splits}")
    else:
        raise ConfigurationError(
            f"{name}: cannot take data of type {type(given).__name__}; pass a path, a list of "
            "queries or rows, or a frame of Polars, pandas, Arrow or Hugging Face"
        )
    return path


def _make_table(given: Any, name: str) -> "pa.Table":
    import pyarrow as pa

    if not isinstance(given, list | tuple):
        return pa.table(given)
    for index, one in enumerate(given):
        if one is not None and not isinstance(one, str):
            raise ConfigurationError(
                f"{name}: item {index} of the list is of type {type(one).__name__}; a list "
                "contains queries as str, with None for a missing answer, or rows as dict"
            )
    return pa.table({"sql": pa.array(given, pa.string())})
