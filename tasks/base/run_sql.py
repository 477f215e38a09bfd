"""Runs the SQL files of package ``sql``.

A file starts with comment lines that say what it is for and which named parameters it takes::

    -- Sum of p ln(p/q) for every pair of corpora.
    -- parameters: smoothing, source
    select ...

or ``-- parameters: none``. A call that does not match what is declared, and a file whose statements
do not use exactly what it declares, are refused before anything runs. Files to read are given by
their names, a folder for the Parquet files in it; what DuckDB would take for a pattern in them is
escaped here.
"""

import glob
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import takewhile
from pathlib import Path

import duckdb

_PARAMETERS = re.compile(r"--\s*parameters:(.*)")
_FILES_READ = re.compile(r"\bread_\w+\(\s*\$(\w+)")


@cache
def load_sql(name: str) -> str:
    """The text of a SQL file.

    Args:
        name: The file's path below ``sql``, without ``.sql``: ``measures/matrix/pair_sums``.

    Raises:
        ValueError: There is no such file.
    """
    try:
        return files("nl2sql_align.sql").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"there is no SQL file sql/{name}.sql") from None


@cache
def list_sql(folder: str) -> tuple[str, ...]:
    """The names, sorted and without ``.sql``, of the SQL files directly in a folder of ``sql``."""
    entries = files("nl2sql_align.sql").joinpath(folder).iterdir()
    return tuple(sorted(e.name.removesuffix(".sql") for e in entries if e.name.endswith(".sql")))


@cache
def declared_parameters(name: str) -> frozenset[str]:
    """The parameters that a SQL file's header declares.

    Raises:
        ValueError: There is no such file, or its header has no line of parameters, or several.
    """
    header = takewhile(lambda line: line.startswith("--"), load_sql(name).splitlines())
    found = [match[1].strip() for line in header if (match := _PARAMETERS.fullmatch(line))]
    if len(found) != 1:
        raise ValueError(
            f"sql/{name}.sql: the header needs one line '-- parameters: a, b' or 'none'"
        )
    return frozenset() if found[0] == "none" else frozenset(re.split(r",\s*", found[0]))


def run_sql(
    con: duckdb.DuckDBPyConnection, name: str, /, **parameters: object
) -> duckdb.DuckDBPyConnection:
    """Executes the statements of a SQL file in their order, each with the parameters that it names.

    Args:
        con: Where they run.
        name: The file, as for ``load_sql``.
        parameters: A value for each declared parameter.

    Returns:
        ``con``, from which the last statement's result can be fetched.

    Raises:
        ValueError: The parameters given, declared and used are not the same.
    """
    statements = list(_bound(con, name, parameters))
    if parameters:
        for statement, values in statements:
            con.execute(statement, values)
    else:  # at once: hundreds of small ones would each wait for other threads of Python
        con.execute(load_sql(name))
    return con


def query_sql(
    con: duckdb.DuckDBPyConnection, name: str, /, **parameters: object
) -> duckdb.DuckDBPyRelation:
    """The query of a SQL file with one statement, as a relation: it runs when read, each time anew.

    Args:
        con: Where it runs.
        name: The file, as for ``load_sql``.
        parameters: A value for each declared parameter.

    Raises:
        ValueError: The parameters given, declared and used are not the same, or the file does not
            hold exactly one statement.
    """
    statements = list(_bound(con, name, parameters))
    if len(statements) != 1:
        raise ValueError(f"sql/{name}.sql holds {len(statements)} statements where one is needed")
    statement, values = statements[0]
    return con.sql(statement, params=values)


def _bound(
    con: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, object]
) -> Iterator[tuple[duckdb.Statement, dict[str, object]]]:
    """The statements of a file, each with the values of the parameters that it names."""
    statements = con.extract_statements(load_sql(name))
    declared = declared_parameters(name)
    used = frozenset[str]().union(*(statement.named_parameters for statement in statements))
    if used != declared:
        raise ValueError(f"sql/{name}.sql declares {_names(declared)} but uses {_names(used)}")
    if parameters.keys() != declared:
        raise ValueError(f"sql/{name}.sql takes {_names(declared)}, not {_names(parameters)}")
    of_files = set(_FILES_READ.findall(load_sql(name)))
    values = {key: _named(v) if key in of_files else v for key, v in parameters.items()}
    for statement in statements:
        yield statement, {key: values[key] for key in statement.named_parameters}


def _named(files: object) -> object:
    """The pattern that only a file's name matches, or a folder's files; of each of several."""
    if isinstance(files, list):
        return [_named(str(file)) for file in files]
    if not isinstance(files, str):
        return files
    return glob.escape(files) + ("/[!.]*.parquet" if Path(files).is_dir() else "")


def _names(parameters: "frozenset[str] | dict[str, object]") -> str:
    return ", ".join(sorted(parameters)) or "no parameters"
