"""The dialects of sqlglot, and the names of databases in dbt, Metabase and SQLAlchemy for them."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.base.names import suggest

# Names that start with a dialect's own name, as presto-jdbc and snowflake do, need no entry.
_DIALECTS: Final = {
    "awsathena": "athena",
    "clickhousedb": "clickhouse",
    "cockroachdb": "postgres",
    "fabricspark": "spark",
    "glue": "spark",
    "greenplum": "postgres",
    "h2": "postgres",
    "impala": "hive",
    "mariadb": "mysql",
    "mssql": "tsql",
    "oceanbase": "mysql",
    "postgresql": "postgres",
    "sparksql": "spark",
    "sqlserver": "tsql",
    "starburst": "trino",
    "synapse": "tsql",
    "teradatasql": "teradata",
    "tidb": "mysql",
}
# Names that people, but no tools, use; and of a database without a dialect that resembles one.
_OTHER_NAMES: Final = {
    "mssqlserver": "tsql",
    "pg": "postgres",
    "pgsql": "postgres",
    "plpgsql": "postgres",
    "plsql": "oracle",
    "psql": "postgres",
    "transactsql": "tsql",
}
_WITHOUT_DIALECT: Final = frozenset({"hana", "saphana"})


@cache
def list_dialects() -> frozenset[str]:
    """Return the dialects of sqlglot by their modules, without loading the parser."""
    found = find_spec("sqlglot")
    folders = (found and found.submodule_search_locations) or []
    modules = [file.stem for folder in folders for file in Path(folder, "dialects").glob("*.py")]
    return frozenset(modules) - {"__init__", "dialect"}


def suggest_dialect(unknown: str) -> str:
    """Return a remedy for an unknown dialect: the one of that database, the closest, or all."""
    word = re.sub(r"[\W_]+", "", unknown.lower())
    if word in _WITHOUT_DIALECT:
        return suggest("", sorted(list_dialects()))
    known = _OTHER_NAMES.get(word) or name_dialect(word) or unknown
    return suggest(known, sorted(list_dialects()))


def name_dialect(stated: str) -> str | None:
    """Return sqlglot's name of a dbt adapter, Metabase engine or SQLAlchemy driver, if it has one.

    Only the first word counts: ``bigquery`` of ``bigquery-cloud-sdk``, ``postgresql`` of
    ``postgresql+psycopg2``.
    """
    words = re.findall(r"\w+", stated.lower())
    name = _DIALECTS.get(words[0], words[0]) if words else ""
    return name if name in list_dialects() else None
