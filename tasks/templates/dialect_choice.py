"""The SQL dialect of a corpus, chosen by how many of its queries each dialect parses."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.ingest.dumps import read_row_counts
from nl2sql_align.tasks.templates.parser_pool import ParseJob, parse_part
from nl2sql_align.tasks.templates.rules import Limits
from nl2sql_align.tasks.warehouse.folder import write_atomically

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

_SAMPLED: Final = 200
_LONGEST: Final = 20_000
_SECONDS_PER_QUERY: Final = 2.0
_TIMEOUT_SECONDS: Final = 20.0


@dataclass(frozen=True)
class DialectChoice:
    """The dialect chosen for a corpus, and the share of a sample that each dialect parses.

    Attributes:
        dialect: The dialect.
        shares: The share of the sample that each dialect parses.
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
        why = "is the dump's own, and parses enough" if self.is_own else "parses most"
        return f"dialect '{self.dialect}' {why} of {self.n_sampled} queries ({shown})"


def list_own_dialects(format: str, queries: Path) -> list[str]:
    """Return the dialects that an ingested dump or its format states, the most frequent first."""
    stated = read_row_counts(queries).dialects
    return [name for name in [*stated, FORMAT_DIALECTS.get(format)] if name is not None]


def choose_dialect(
    queries: Path, scratch: Path, own: Iterable[str] = (), cache: Path | None = None
) -> DialectChoice:
    """Return the dump's own dialect, or the one that parses most of a sample of a corpus.

    Args:
        queries: The corpus's queries, as ingested.
        scratch: A folder for temporary files.
        own: Dialects that the dump states: the first of them is chosen unless another dialect
            parses clearly more. Of two other dialects that parse as much, the earlier is chosen.
        cache: A file with the choice of an earlier call; if it is missing, this choice is written
            to it.
    """
    if cache is not None and cache.exists():
        return DialectChoice(**json.loads(cache.read_text(encoding="utf-8")))
    own = list(own)
    candidates = tuple(dict.fromkeys([*own, *CANDIDATES]))
    shares, n_sampled = _measure_shares(queries, scratch, candidates)
    best = max(candidates, key=lambda name: shares[name])
    is_own = bool(own) and shares[own[0]] >= shares[best] - CLEARLY_MORE
    choice = DialectChoice(own[0] if is_own else best, shares, n_sampled, is_own)
    if cache is not None:
        with write_atomically(cache) as temporary:
            temporary.write_text(json.dumps(choice.__dict__), encoding="utf-8")
    return choice


def _measure_shares(
    queries: Path, scratch: Path, dialects: tuple[str, ...]
) -> tuple[dict[str, float], int]:
    scratch.mkdir(parents=True, exist_ok=True)
    name = f"dialects-{uuid4().hex[:12]}"
    source, destination = scratch / f"{name}.parquet", scratch / f"{name}-parsed.parquet"
    try:
        with connected() as con:
            sample = query_sql(
                con, "ingest/sample_queries", queries=str(queries), n=_SAMPLED, longest=_LONGEST
            ).to_arrow_table()
        n_sampled = sample.num_rows
        # The sample is small enough for one row group, which is one part.
        pq.write_table(sample, source)
        n_templated = dict.fromkeys(dialects, 0)
        # Statements that no dialect takes for a query say nothing about dialects.
        n_commands = n_sampled
        limits = Limits(seconds_per_query=_SECONDS_PER_QUERY, timeout_seconds=_TIMEOUT_SECONDS)
        for dialect in dialects if n_sampled else ():
            report = parse_part(ParseJob(source, 0, destination, dialect, limits))
            n_templated[dialect] = report.n_queries - report.n_rejected
            n_commands = min(n_commands, report.n_commands)
            # A query that ends one dialect's parser mostly ends the others', so try it only once.
            if report.crashed:
                left = [row for row in range(sample.num_rows) if row not in report.crashed]
                if not left:
                    break
                sample = sample.take(left)
                pq.write_table(sample, source)
        n_queries = n_sampled - n_commands
        return {name: n / max(1, n_queries) for name, n in n_templated.items()}, n_queries
    finally:
        source.unlink(missing_ok=True)
        destination.unlink(missing_ok=True)
