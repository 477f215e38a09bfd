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
from nl2sql_align.tasks.templates.parser_pool import ParseJob, parse_part
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
    "bigquery_jobs": "bigquery",
    "mysql_slow_log": "mysql",
    "pg_csvlog": "postgres",
    "pg_stat_statements": "postgres",
    "sede": "tsql",
    "snowflake_history": "snowflake",
    "sql_eval": "postgres",
}
"""The dialects of formats that have one, which are tried first."""

CLEARLY_MORE: Final = 0.05
"""The share of a sample that another dialect has to parse in addition to be suggested."""

_SAMPLED: Final = 200
_LONGEST: Final = 20_000
_SECONDS_PER_QUERY: Final = 2.0


@dataclass(frozen=True)
class DialectChoice:
    """The dialect that parses most of a sample, and the share that each dialect parses."""

    dialect: str
    shares: dict[str, float]
    n_sampled: int

    @property
    def reason(self) -> str:
        """The reason for the choice, as a sentence."""
        ranked = sorted(self.shares.items(), key=lambda pair: (-pair[1], pair[0] != self.dialect))
        shown = ", ".join(f"{name} {share:.1%}" for name, share in ranked[:4])
        return f"dialect '{self.dialect}' parses most of {self.n_sampled} queries ({shown})"


def choose_dialect(
    queries: Path, scratch: Path, first: Iterable[str | None] = (), cache: Path | None = None
) -> DialectChoice:
    """Return the dialect that parses most of a sample of a corpus.

    Args:
        queries: The corpus's queries, as ingested.
        scratch: A folder for temporary files.
        first: Dialects to try first: of two that parse as much, the earlier is chosen.
        cache: A file with the choice of an earlier call; if it is missing, this choice is written
            to it.
    """
    if cache is not None and cache.exists():
        return DialectChoice(**json.loads(cache.read_text(encoding="utf-8")))
    candidates = tuple(dict.fromkeys([*filter(None, first), *CANDIDATES]))
    shares, n_sampled = _measure_shares(queries, scratch, candidates)
    best = max(candidates, key=lambda name: shares[name])
    choice = DialectChoice(best, shares, n_sampled)
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
        shares = dict.fromkeys(dialects, 0.0)
        for dialect in dialects if n_sampled else ():
            job = ParseJob(source, 0, destination, dialect)
            report = parse_part(job, _SECONDS_PER_QUERY)
            shares[dialect] = (report.n_queries - report.n_rejected) / n_sampled
            # A query that ends one dialect's parser mostly ends the others', so try it only once.
            if report.crashed:
                left = [row for row in range(sample.num_rows) if row not in report.crashed]
                if not left:
                    break
                sample = sample.take(left)
                pq.write_table(sample, source)
        return shares, n_sampled
    finally:
        source.unlink(missing_ok=True)
        destination.unlink(missing_ok=True)
