"""Versions, limits and dialects of templates and n-grams, without the parser and the counts."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from nl2sql_align.tasks.base.environment import read_seconds
from nl2sql_align.tasks.ingest.statements import KINDS, Kind

TEMPLATE_RULES_VERSION: Final = 5
"""Raise it with every change that can alter a template, so that stored templates are redone."""


@cache  # reading it takes a millisecond, and each corpus asks
def parser_version() -> str:
    """Return the version of sqlglot, on which templates depend."""
    from importlib.metadata import version

    return version("sqlglot")


CANDIDATES: Final = (
    "sqlite",
    "postgres",
    "mysql",
    "tsql",
    "bigquery",
    "snowflake",
    "duckdb",
    "databricks",
    "redshift",
    "oracle",
    "clickhouse",
    "trino",
)
"""Dialects to try. Simple SQL parses in all: of those that parse as much, the first is chosen."""

SEVERAL_STATEMENTS: Final = "more than one statement"
"""The reason why a text of several statements is rejected."""

TOO_MANY_ATTEMPTS: Final = "nested so that the parser tries too many readings"
"""The reason why a text is rejected on which the parser goes back too often."""

NOT_A_QUERY: Final = "not a query, DML or DDL statement: "
"""The start of the reason why a command is rejected; the command follows."""

HIDDEN_WORD: Final = "FUNCTION"
"""The token of a fingerprint in place of a word that the dialect does not know."""

MAX_N: Final = 15
"""The longest n-gram, in tokens."""

NGRAM_RULES_VERSION: Final = 1
"""Raise it with every change that can alter a count or a column of the n-gram files."""


TIMED_OUT: Final = "takes longer than "
"""The start of the reason why a query is rejected that runs out of time."""

NOT_TRIED: Final = "not parsed: "
"""The start of the reason why a query is rejected unparsed because others ran out of time."""

QUERY_SECONDS_VARIABLE: Final = "NL2SQL_ALIGN_QUERY_SECONDS"

TIMEOUT_SECONDS_VARIABLE: Final = "NL2SQL_ALIGN_TIMEOUT_SECONDS"

NODES_PER_TOKEN: Final = 100
"""How many nodes the parser may make for each token of a query."""


@dataclass(frozen=True)
class Limits:
    """Queries to reject: deep ones end the parser's process, and others take too much time.

    Attributes:
        max_characters: The longest text.
        max_brackets: The deepest nesting.
        max_nodes: How many nodes of trees the parser may make, beyond ``NODES_PER_TOKEN`` for each
            token. It makes less than one for each token, unless it tries several readings of a part
            and of the parts within it: each level then doubles their number.
        seconds_per_query: The time after which a query that is still being parsed is rejected.
        timeout_seconds: The seconds that the queries of a corpus that run out of time may take
            together. After half of it, each further query gets one second; after all of it, the
            rest is rejected unparsed.
        kinds: The kinds of statements that get a template.
    """

    max_characters: int = 100_000
    max_brackets: int = 200
    max_nodes: int = 20_000
    seconds_per_query: float = 20.0
    timeout_seconds: float = 300.0
    kinds: tuple[Kind, ...] = KINDS


DEFAULT_LIMITS: Final = Limits()


def read_limits() -> Limits:
    """Return the default limits, with the times that the environment sets.

    Raises:
        ConfigurationError: A time is not a positive number of seconds.
    """
    return Limits(
        seconds_per_query=read_seconds(QUERY_SECONDS_VARIABLE, DEFAULT_LIMITS.seconds_per_query),
        timeout_seconds=read_seconds(TIMEOUT_SECONDS_VARIABLE, DEFAULT_LIMITS.timeout_seconds),
    )
