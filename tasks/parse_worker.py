"""The process that parses: it may crash or hang on a query, and is then replaced.

Run as ``python -m tasks.parse_worker PROGRESS_FD``. Reads jobs as JSON lines from standard input
and answers each with a JSON line; ends when standard input does. Before each query it writes that
query's row into the shared progress file, so that whoever started it knows which query it died of.
Imports neither Prefect nor DuckDB.
"""

import gc
import hashlib
import json
import mmap
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.templates import Limits, Templatizer

PROGRESS_BYTES: Final = 8
NO_ROW: Final = 2 ** (8 * PROGRESS_BYTES) - 1
"""What stands in the progress file outside of any query."""

# Parse trees are cycles: collected at every 700th object, as is Python's habit, they cost time; not
# collected within a query, one at which the parser tries again and again takes gigabytes.
_OBJECTS_PER_COLLECTION: Final = 10_000

SCHEMA: Final = pa.schema(
    [
        ("first_ordinal", pa.int64()),
        ("template", pa.string()),
        ("reject_reason", pa.string()),
        ("comparable_key", pa.binary(16)),
    ]
)


def parse_part(
    job: dict[str, Any], templatizer: Templatizer, progress: mmap.mmap
) -> dict[str, int]:
    """Templatizes one part of a corpus.

    Args:
        job: ``source`` and ``row_group`` (a Parquet file of distinct queries, and which part of
            it), ``destination`` (a Parquet file with the columns of ``SCHEMA``), ``skip`` (reject
            reasons by row, for queries that ended earlier workers), ``seconds_per_query``.
        templatizer: For the corpus's dialect and limits.
        progress: Where the row at work is written.

    Returns:
        ``n_queries``, ``n_rejected`` and the ``resident_bytes`` of this process.
    """
    table = pq.ParquetFile(job["source"]).read_row_group(
        job["row_group"], columns=["first_ordinal", "sql"]
    )
    skip = {int(row): reason for row, reason in job["skip"].items()}
    # Whoever started this process ends it sooner; where that one is gone, the system does.
    seconds = 3 * job["seconds_per_query"]
    templates: list[str | None] = []
    reasons: list[str | None] = []
    keys: list[bytes | None] = []
    for row, sql in enumerate(table["sql"].to_pylist()):
        progress[:] = row.to_bytes(PROGRESS_BYTES, "little")
        signal.setitimer(signal.ITIMER_REAL, seconds)
        template, reason, text = None, skip.get(row), None
        if reason is None:
            try:
                template, reason, text = templatizer(sql)
            except Exception as error:
                reason = f"fails in the parser: {type(error).__name__}"
        templates.append(template)
        reasons.append(reason)
        keys.append(None if text is None else hashlib.md5(text.encode("utf-8", "replace")).digest())
    progress[:] = NO_ROW.to_bytes(PROGRESS_BYTES, "little")
    signal.setitimer(signal.ITIMER_REAL, 0)
    result = pa.table([table["first_ordinal"], templates, reasons, keys], schema=SCHEMA)
    # Of a name of its own: the worker of a run that was killed may still be at the same part.
    temporary = Path(f"{job['destination']}.{os.getpid()}.part")
    pq.write_table(result, temporary, compression="zstd")
    temporary.replace(job["destination"])
    return {
        "n_queries": len(templates),
        "n_rejected": templates.count(None),
        "resident_bytes": _resident_bytes(),
    }


def _resident_bytes() -> int:
    """The memory that this process takes now; 0 where the system does not say.

    Its peak (``ru_maxrss``) would not do: it starts at that of the process that started this one.
    """
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def main() -> None:
    """Serves jobs until standard input ends."""
    # Ctrl-C reaches all processes of a terminal; whoever started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    progress = mmap.mmap(int(sys.argv[1]), PROGRESS_BYTES)
    templatizers: dict[tuple[str, int, int], Templatizer] = {}
    for line in sys.stdin:
        job = json.loads(line)
        key = (job["dialect"], job["max_characters"], job["max_brackets"])
        if key not in templatizers:
            templatizers[key] = Templatizer(key[0], Limits(*key[1:]), shares_parses=True)
        print(json.dumps(parse_part(job, templatizers[key], progress)), flush=True)


if __name__ == "__main__":
    main()
