"""The names of databases in dbt, Metabase and SQLAlchemy, as dialects of sqlglot."""

import re
from typing import Final

from nl2sql_align.tasks.ingest.corpora_file import list_dialects

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


def name_dialect(stated: str) -> str | None:
    """Return sqlglot's name of a dbt adapter, Metabase engine or SQLAlchemy driver, if it has one.

    Only the first word counts: ``bigquery`` of ``bigquery-cloud-sdk``, ``postgresql`` of
    ``postgresql+psycopg2``.
    """
    words = re.findall(r"\w+", stated.lower())
    name = _DIALECTS.get(words[0], words[0]) if words else ""
    return name if name in list_dialects() else None
