"""A static check that the tables and columns of a query exist in its schema. It executes nothing.

It reports only definite faults: a name that exists nowhere in the schema, or not in its table. A
query with sources of unknown columns is not checked for columns.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.qualify import qualify

Schema = Mapping[str, frozenset[str] | None]
"""The columns of each table, in lower case; None where they are unknown, as for a view."""

# Names that databases have without a declaration.
_SYSTEM_TABLES: Final = re.compile(r"sqlite_\w+|pg_\w+|dual|information_schema")
_SYSTEM_COLUMNS: Final = frozenset({"rowid", "oid", "_rowid_", "ctid", "rownum", "level"})
_UNKNOWN_COLUMN: Final = re.compile(r"Unknown column: (.+)")
# Sources whose columns the schema does not list.
_OTHER_SOURCES: Final = (exp.Lateral, exp.Unnest, exp.TableFromRows, exp.Pivot, exp.Values)
# The qualifier takes more than linear time, and a stack for nested brackets.
_LONGEST: Final = 10_000
_DEEPEST: Final = 50


class Missing(NamedTuple):
    """A name that the schema lacks: ``kind`` is ``table`` or ``column``."""

    kind: str
    name: str


def read_ddl(text: str, dialect: str) -> dict[str, frozenset[str] | None]:
    """Return the tables that a script creates; empty if it cannot be parsed."""
    tables: dict[str, frozenset[str] | None] = {}
    try:
        statements = sqlglot.parse(text, dialect=dialect)
    except (SqlglotError, RecursionError):
        return {}
    for statement in statements:
        if not isinstance(statement, exp.Create) or statement.kind not in ("TABLE", "VIEW"):
            continue
        declared = statement.this
        if isinstance(declared, exp.Schema) and not statement.expression:
            columns = frozenset(
                one.name.lower() for one in declared.expressions if isinstance(one, exp.ColumnDef)
            )
            tables[declared.this.name.lower()] = columns or None
        else:
            table = declared.find(exp.Table)
            if table is not None:
                tables[table.name.lower()] = None
    return tables


def find_missing(sql: str, dialect: str, schema: Schema) -> Missing | None:
    """Return the first table or column of a query that its schema lacks.

    Letter case does not count. In SQLite, a name in double quotes is a string if no column has it.

    Args:
        sql: The query.
        dialect: Its dialect.
        schema: The tables of its database.

    Raises:
        ValueError: The query cannot be checked.
    """
    if len(sql) > _LONGEST or _measure_depth(sql) > _DEEPEST:
        raise ValueError("too long, or nested too deep")
    try:
        tree = sqlglot.parse_one(sql, dialect=dialect)
        return _find_missing(tree, sql, dialect, schema)
    except (SqlglotError, RecursionError) as error:
        raise ValueError(str(error).partition("\n")[0]) from None


def _measure_depth(sql: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[()]", sql):
        depth += 1 if bracket == "(" else -1
        deepest = max(deepest, depth)
    return deepest


def _find_missing(tree: exp.Expr, sql: str, dialect: str, schema: Schema) -> Missing | None:
    if isinstance(tree, exp.Create | exp.Drop | exp.Alter):
        return None
    columns = list(tree.find_all(exp.Column))
    _replace_strings(columns, sql, dialect, schema)
    for one in tree.find_all(exp.Identifier):
        one.set("this", one.name.lower())
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    tables = [one for one in tree.find_all(exp.Table) if isinstance(one.this, exp.Identifier)]
    for table in tables:
        if not (
            table.name in schema
            or table.name in ctes
            or any(_SYSTEM_TABLES.fullmatch(part.name) for part in table.parts)
        ):
            return Missing("table", table.name)
    known = {table.name: schema.get(table.name) for table in tables if table.name not in ctes}
    if (
        not isinstance(tree, exp.Query)
        or None in known.values()
        or any(tree.find(one) for one in _OTHER_SOURCES)
        or any(isinstance(one.this, exp.Func) for one in tree.find_all(exp.Table))
    ):
        return None
    return _find_missing_column(tree, dialect, known)


def _find_missing_column(
    tree: exp.Query, dialect: str, known: Mapping[str, frozenset[str] | None]
) -> Missing | None:
    declared = {column for columns in known.values() for column in columns or ()}
    aliases = {one.alias for one in tree.find_all(exp.Alias, exp.TableAlias)}
    aliases |= {one.name for alias in tree.find_all(exp.TableAlias) for one in alias.columns}
    somewhere = declared | aliases | _SYSTEM_COLUMNS
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier) and column.name not in somewhere:
            if not column.table and column.name in known:
                continue  # a whole row
            return Missing("column", column.name)
    mapping: dict[str, object] = {
        table: dict.fromkeys(columns or (), "text") for table, columns in known.items()
    }
    try:
        qualify(
            tree,
            dialect=dialect,
            schema=mapping,
            expand_stars=False,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
    except OptimizeError as error:
        found = _UNKNOWN_COLUMN.fullmatch(str(error))
        if found and found[1].lower() not in _SYSTEM_COLUMNS:
            return Missing("column", found[1].lower())
    return None


def _replace_strings(columns: Iterable[exp.Column], sql: str, dialect: str, schema: Schema) -> None:
    """Replace names in double quotes by strings if no table has such a column, as SQLite does."""
    if dialect != "sqlite":
        return
    declared = {column for names in schema.values() for column in names or ()}
    for column in columns:
        start = column.this.meta.get("start") if isinstance(column.this, exp.Identifier) else None
        is_quoted = start is not None and sql[start : start + 1] == '"'
        if is_quoted and not column.table and column.name.lower() not in declared:
            column.replace(exp.Literal.string(column.name))
