"""Which SQL dialect a corpus is written in, told by what its queries parse in."""

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
"""What is tried. Of those that parse as much, the first is taken: simple SQL parses in all."""

FORMAT_DIALECTS: Final = {
    "bigquery_jobs": "bigquery",
    "mysql_slow_log": "mysql",
    "pg_csvlog": "postgres",
    "pg_stat_statements": "postgres",
    "sede": "tsql",
    "snowflake_history": "snowflake",
    "sql_eval": "postgres",
}
"""The dialects of formats that have one: tried first."""

CLEARLY_MORE: Final = 0.05
"""How much more of a sample another dialect has to parse to be told of."""

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
        """What the choice was made by, in words."""
        ranked = sorted(self.shares.items(), key=lambda pair: (-pair[1], pair[0] != self.dialect))
        shown = ", ".join(f"{name} {share:.1%}" for name, share in ranked[:4])
        return f"dialect '{self.dialect}' parses most of {self.n_sampled} queries ({shown})"


def choose_dialect(
    queries: Path, scratch: Path, first: Iterable[str | None] = (), kept: Path | None = None
) -> DialectChoice:
    """The dialect that parses most of a sample of a corpus.

    Args:
        queries: The corpus's queries, as ingested.
        scratch: A folder for files that are worth nothing afterwards.
        first: Dialects that are tried first: of two that parse as much, the earlier is taken.
        kept: A file that holds the choice of an earlier call, or is to hold this one's.
    """
    if kept is not None and kept.exists():
        return DialectChoice(**json.loads(kept.read_text(encoding="utf-8")))
    candidates = tuple(dict.fromkeys([*filter(None, first), *CANDIDATES]))
    shares, n_sampled = _parsed_shares(queries, scratch, candidates)
    best = max(candidates, key=lambda name: shares[name])
    choice = DialectChoice(best, shares, n_sampled)
    if kept is not None:
        with write_atomically(kept) as temporary:
            temporary.write_text(json.dumps(choice.__dict__), encoding="utf-8")
    return choice


def _parsed_shares(
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
        # One part: the limit keeps it within one row group.
        pq.write_table(sample, source)
        shares = dict.fromkeys(dialects, 0.0)
        for dialect in dialects if n_sampled else ():
            job = ParseJob(source, 0, destination, dialect)
            report = parse_part(job, _SECONDS_PER_QUERY)
            shares[dialect] = (report.n_queries - report.n_rejected) / n_sampled
            if report.crashed:  # what ends one dialect's parser mostly ends the others': tried once
                left = [row for row in range(sample.num_rows) if row not in report.crashed]
                if not left:
                    break
                sample = sample.take(left)
                pq.write_table(sample, source)
        return shares, n_sampled
    finally:
        source.unlink(missing_ok=True)
        destination.unlink(missing_ok=True)
