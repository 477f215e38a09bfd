"""The SQL dialect of a corpus, chosen by how many of its queries each dialect parses."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ingest.dumps import read_row_counts
from nl2sql_align.tasks.templates.parser_pool import parse_texts
from nl2sql_align.tasks.templates.rules import CANDIDATES, Limits, parser_version
from nl2sql_align.tasks.warehouse.facts import recall
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key

DIALECT_CHOICE_VERSION: Final = 4
"""Raise it with every change that can alter the choice of a dialect."""

FORMAT_DIALECTS: Final = {
    "athena_history": "trino",
    "bigquery_jobs": "bigquery",
    "clickhouse_query_log": "clickhouse",
    "databricks_history": "databricks",
    "genie": "databricks",
    "mysql_digests": "mysql",
    "mysql_slow_log": "mysql",
    "oracle_sql": "oracle",
    "oracle_sqltext": "oracle",
    "pg_csvlog": "postgres",
    "pg_jsonlog": "postgres",
    "pg_log": "postgres",
    "pg_stat_statements": "postgres",
    "redshift_history": "redshift",
    "redshift_text": "redshift",
    "sede": "tsql",
    "snowflake_history": "snowflake",
    "snowflake_semantic_model": "snowflake",
    "sql_eval": "postgres",
    "sqlserver_query_store": "tsql",
    "trino_history": "trino",
}
"""The dialects of formats that have one."""

CLEARLY_MORE: Final = 0.05
"""The share of a sample that another dialect has to parse in addition to be suggested."""

# These read ``a[1]`` as a column with the alias ``1``, and a list as one name.
_QUOTING_BY_BRACKETS: Final = frozenset({"fabric", "sqlite", "tsql"})
_STRING: Final = r"'(?:[^']|'')*'"
_SUBSCRIPT_OR_LIST: Final = re.compile(
    rf"""
    {_STRING} | "[^"]*" | `[^`]*`
    | (?P<subscript> (?<=[\w)\]]) \[ \s* (?: -?\d+ | {_STRING} | "[^"]*" \s* \]
                                               | \w+\( | [^\[\]]* : ) )
    | (?P<variable_subscript> (?<=\w) (?<! \bAS ) (?<! \bBY ) (?<! \bFROM ) (?<! \bJOIN )
                              (?<! \bSELECT ) \[ \w+ \] )
    | (?P<list> \[ \s* (?: -?\d[\d.]* \s* , | {_STRING} \s* [,\]] ) )
    | (?P<names> (?: \( \s* | \bARRAY \s* ) \[ \s* \w+ \s* , )
    | (?P<comprehension> \[ [^\[\]]* \s FOR \s+ \w+ \s+ IN \s )
    """,
    re.VERBOSE | re.IGNORECASE,
)

# Words that other dialects take for an alias or for a name, with the dialects that know them.
_FOREIGN_WORDS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), frozenset(dialects.split()))
    for pattern, dialects in (
        (r"\bFROM\s+[\w.]+(?:\s+(?:AS\s+)?\w+)?\s+FINAL\b", "clickhouse"),
        (r"\b(?:ANY|GLOBAL|ARRAY)\s+(?:(?:LEFT|RIGHT|INNER|FULL)\s+)?JOIN\b", "clickhouse"),
        (r"\bSELECT\s+(?:SQL_CALC_FOUND_ROWS|SQL_NO_CACHE|HIGH_PRIORITY|DISTINCTROW)\b", "mysql"),
        (r"\(\s*(?:NOLOCK|READUNCOMMITTED|READPAST)\s*\)", "tsql"),
        (r"\bOPTION\s*\(\s*(?:RECOMPILE|MAXDOP|MAXRECURSION|OPTIMIZE\s+FOR)\b", "tsql"),
        (r"\bSYSDATE\b(?!\s*\()", "oracle redshift"),
    )
)

_SAMPLED: Final = 200
_LONGEST: Final = 20_000
_LIMITS: Final = Limits(seconds_per_query=2.0, timeout_seconds=20.0)


@dataclass(frozen=True)
class DialectChoice:
    """The dialect chosen for a corpus, and the share of a sample that dialects parse.

    Attributes:
        dialect: The dialect.
        shares: The share of the sample that a dialect parses, without those that cannot parse more
            than another one here.
        n_sampled: The number of queries in the sample.
        is_own: Whether the dump or its format states this dialect.
    """

    dialect: str
    shares: dict[str, float]
    n_sampled: int
    is_own: bool = False

    @property
    def reason(self) -> str:
        """The reason for the choice, as a sentence."""
        ranked = sorted(self.shares.items(), key=lambda pair: (pair[0] != self.dialect, -pair[1]))
        shown = ", ".join(f"{name} {share:.1%}" for name, share in ranked[:4])
        if not any(self.shares.values()):
            return f"dialect '{self.dialect}': no dialect parses any of {self.n_sampled} queries"
        why = "is the dump's own, and parses enough" if self.is_own else "parses most"
        return (
            f"dialect '{self.dialect}' {why} of {self.n_sampled} queries ({shown}; no other parses "
            "more)"
        )


def list_own_dialects(format: str, queries: Path) -> list[str]:
    """Return the dialects that an ingested dump or its format states, the most frequent first."""
    stated = read_row_counts(queries).dialects
    return [name for name in [*stated, FORMAT_DIALECTS.get(format)] if name is not None]


def recall_dialect(warehouse: Warehouse, queries: Path, own: Iterable[str]) -> DialectChoice:
    """Return the choice of ``choose_dialect`` for a stage file of queries, made once."""
    own = list(own)
    key = stage_key(
        own=own, candidates=CANDIDATES, parser=parser_version(), version=DIALECT_CHOICE_VERSION
    )
    choice = recall(
        warehouse, f"dialect-{key}", queries, lambda file: asdict(choose_dialect(file, own))
    )
    return DialectChoice(**choice)


def choose_dialect(queries: Path, own: Iterable[str] = ()) -> DialectChoice:
    """Return the dump's own dialect, or the one that parses most of a sample of a corpus.

    Args:
        queries: The corpus's queries, as ingested.
        own: Dialects that the dump states: the first of them is chosen unless another dialect
            parses clearly more. Of two other dialects that parse as much, the earlier is chosen.
    """
    own = list(own)
    shares, n_sampled = _measure_shares(queries, list(dict.fromkeys([*own, *CANDIDATES])))
    best = max(shares, key=lambda name: shares[name])
    is_own = bool(own) and shares[own[0]] >= shares[best] - CLEARLY_MORE
    return DialectChoice(own[0] if is_own else best, shares, n_sampled, is_own)


def _measure_shares(queries: Path, dialects: list[str]) -> tuple[dict[str, float], int]:
    """Return the share of a sample that the first dialect parses, and those of better ones.

    The queries that the first dialect rejects bound the number that another one can parse: a
    dialect is measured on the others only if it can parse more than the best one before it.
    """
    with connected() as con:
        sample = query_sql(
            con, "ingest/sample_queries", queries=str(queries), n=_SAMPLED, longest=_LONGEST
        ).fetchall()
    first, *others = dialects
    tried = _parse_sample([text for (text,) in sample], first)
    n_templated = {first: len(tried.templated)}
    # Statements that no dialect takes for a query say nothing about dialects.
    n_commands, rejected, most = tried.n_commands, tried.rejected, len(tried.templated)
    for dialect in others:
        if not rejected:
            break
        retried = _parse_sample(rejected, dialect)
        # A query that ends one dialect's parser mostly ends the others', so try it only once.
        rejected = retried.templated + retried.rejected
        n_commands = min(n_commands, retried.n_commands)
        if len(tried.templated) + len(retried.templated) > most:
            n_others = len(_parse_sample(tried.templated, dialect).templated)
            n_templated[dialect] = len(retried.templated) + n_others
            most = max(most, n_templated[dialect])
    n_queries = len(sample) - n_commands
    return {name: n / max(1, n_queries) for name, n in n_templated.items()}, n_queries


class _ParsedSample(NamedTuple):
    """The texts of a sample with a template, and those without; neither has those that crashed."""

    templated: list[str]
    rejected: list[str]
    n_commands: int


def _parse_sample(sample: list[str], dialect: str) -> _ParsedSample:
    parsed = parse_texts(sample, dialect, _LIMITS)
    is_templated = [
        template is not None and not _is_misread(text, dialect)
        for text, template in zip(sample, parsed.templates, strict=True)
    ]
    rejected = {row for row, is_one in enumerate(is_templated) if not is_one} - {*parsed.crashed}
    return _ParsedSample(
        [text for text, is_one in zip(sample, is_templated, strict=True) if is_one],
        [sample[row] for row in sorted(rejected)],
        parsed.n_commands,
    )


def _is_misread(sql: str, dialect: str) -> bool:
    """Return whether a text has signs or words that a dialect takes for something else."""
    if dialect in _QUOTING_BY_BRACKETS and _has_subscript(sql):
        return True
    return any(
        dialect not in dialects and pattern.search(sql) for pattern, dialects in _FOREIGN_WORDS
    )


def _has_subscript(sql: str) -> bool:
    """Return whether a text has a subscript, a list, or a comprehension in square brackets."""
    return "[" in sql and any(match.lastgroup for match in _SUBSCRIPT_OR_LIST.finditer(sql))
