"""Running the SQL files of package ``sql``.

A file starts with comment lines that give its purpose and its named parameters::

    -- Sum of p ln(p/q) for every pair of corpora.
    -- parameters: smoothing, source
    select ...

or ``-- parameters: none``. A call whose arguments differ from the declared parameters is refused,
and so is a file that does not use exactly what it declares; nothing has run by then. Arguments of
DuckDB's ``read_...`` functions are names of files, or folders of Parquet files, not patterns.
"""

import glob
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

# Commands that run no SQL start sooner without DuckDB.
if TYPE_CHECKING:
    import duckdb

_PARAMETERS = re.compile(r"--\s*parameters:(.*)")
_READ_FILES = re.compile(r"\bread_\w+\(\s*\$(\w+)")


@cache
def load_sql(name: str | Path) -> str:
    """Return the text of a SQL file.

    Args:
        name: The file's path below ``sql`` without its suffix, such as
            ``measures/matrix/pair_sums``; or, as a ``Path``, any file without its suffix.

    Raises:
        ValueError: The file does not exist.
    """
    try:
        return _locate(name, ".sql").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"SQL file {_shown(name)} does not exist") from None


@cache
def list_sql(folder: str | Path) -> tuple[str, ...]:
    """Return the sorted names, without ``.sql``, of the SQL files directly in a folder of ``sql``.

    Args:
        folder: As ``name`` of ``load_sql``.
    """
    names = [entry.name for entry in _locate(folder).iterdir()]
    return tuple(sorted(name.removesuffix(".sql") for name in names if name.endswith(".sql")))


@cache
def declared_parameters(name: str | Path) -> frozenset[str]:
    """Return the parameters that the header of a SQL file declares.

    Raises:
        ValueError: The file does not exist, or its header does not have exactly one line of
            parameters.
    """
    header = takewhile(lambda line: line.startswith("--"), load_sql(name).splitlines())
    found = [match[1].strip() for line in header if (match := _PARAMETERS.fullmatch(line))]
    if len(found) != 1:
        raise ValueError(
            f"{_shown(name)}: the header needs one line '-- parameters: a, b' or 'none'"
        )
    return frozenset() if found[0] == "none" else frozenset(re.split(r",\s*", found[0]))


def run_sql(
    con: "duckdb.DuckDBPyConnection", name: str | Path, /, **parameters: object
) -> "duckdb.DuckDBPyConnection":
    """Execute the statements of a SQL file in order, each with the parameters that it uses.

    Args:
        con: The connection.
        name: The file, as for ``load_sql``.
        parameters: A value for each declared parameter.

    Returns:
        ``con``, from which the result of the last statement can be fetched.

    Raises:
        ValueError: The given, declared and used parameters differ.
    """
    statements = list(_bind(con, name, parameters))
    if parameters:
        for statement, values in statements:
            con.execute(statement, values)
    else:  # One call: each call of hundreds would wait for Python's other threads.
        con.execute(load_sql(name))
    return con


def query_sql(
    con: "duckdb.DuckDBPyConnection", name: str | Path, /, **parameters: object
) -> "duckdb.DuckDBPyRelation":
    """Return the single statement of a SQL file as a relation, which runs each time it is read.

    Args:
        con: The connection.
        name: The file, as for ``load_sql``.
        parameters: A value for each declared parameter.

    Raises:
        ValueError: The given, declared and used parameters differ, or the file does not hold
            exactly one statement.
    """
    statements = list(_bind(con, name, parameters))
    if len(statements) != 1:
        raise ValueError(f"{_shown(name)} holds {len(statements)} statements where one is needed")
    statement, values = statements[0]
    return con.sql(statement, params=values)


def _locate(name: str | Path, suffix: str = "") -> Traversable:
    if isinstance(name, Path):
        return name.with_name(name.name + suffix)
    return files("nl2sql_align.sql").joinpath(name + suffix)


def _shown(name: str | Path) -> str:
    return f"sql/{name}.sql" if isinstance(name, str) else f"{name}.sql"


def _bind(
    con: "duckdb.DuckDBPyConnection", name: str | Path, parameters: dict[str, object]
) -> "Iterator[tuple[duckdb.Statement, dict[str, object]]]":
    """Yield the statements of a file, each with the values of the parameters that it uses."""
    statements = con.extract_statements(load_sql(name))
    declared = declared_parameters(name)
    used = frozenset[str]().union(*(statement.named_parameters for statement in statements))
    if used != declared:
        raise ValueError(f"{_shown(name)} declares {_list(declared)} but uses {_list(used)}")
    if parameters.keys() != declared:
        raise ValueError(f"{_shown(name)} takes {_list(declared)}, not {_list(parameters)}")
    read = set(_READ_FILES.findall(load_sql(name)))
    values = {key: _escape(v) if key in read else v for key, v in parameters.items()}
    for statement in statements:
        yield statement, {key: values[key] for key in statement.named_parameters}


def _escape(files: object) -> object:
    """Return a pattern that matches only the given file, or the Parquet files of a folder."""
    if isinstance(files, list):
        return [_escape(str(file)) for file in files]
    if not isinstance(files, str):
        return files
    return glob.escape(files) + ("/[!.]*.parquet" if Path(files).is_dir() else "")


def _list(parameters: "frozenset[str] | dict[str, object]") -> str:
    return ", ".join(sorted(parameters)) or "no parameters"
