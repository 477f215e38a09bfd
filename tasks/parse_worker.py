"""The process that parses: it may crash or hang on a query, and is then replaced.

Run as ``python -m tasks.parse_worker PROGRESS_FD``. Reads jobs as JSON lines from standard input
and answers each with a JSON line. Before each query it writes that query's row into the shared
progress file, so that whoever started it knows which query it died of. Imports neither Prefect nor
DuckDB.
"""

import gc
import hashlib
import json
import mmap
import resource
import sys
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.templates import Limits, Templatizer

PROGRESS_BYTES: Final = 8
_COLLECT_EVERY: Final = 512

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
            reasons by row, for queries that ended earlier workers).
        templatizer: For the corpus's dialect and limits.
        progress: Where the row at work is written.

    Returns:
        ``n_queries``, ``n_rejected`` and ``peak_bytes`` of this process.
    """
    table = pq.ParquetFile(job["source"]).read_row_group(
        job["row_group"], columns=["first_ordinal", "sql"]
    )
    skip = {int(row): reason for row, reason in job["skip"].items()}
    templates: list[str | None] = []
    reasons: list[str | None] = []
    keys: list[bytes | None] = []
    for row, sql in enumerate(table["sql"].to_pylist()):
        progress[:] = row.to_bytes(PROGRESS_BYTES, "little")
        if row in skip:
            template, reason, text = None, skip[row], None
        else:
            template, reason, text = templatizer(sql)
        templates.append(template)
        reasons.append(reason)
        keys.append(None if text is None else hashlib.md5(text.encode("utf-8", "replace")).digest())
        if row % _COLLECT_EVERY == 0:
            gc.collect()
    result = pa.table([table["first_ordinal"], templates, reasons, keys], schema=SCHEMA)
    temporary = Path(job["destination"] + ".part")
    pq.write_table(result, temporary, compression="zstd")
    temporary.replace(job["destination"])
    return {
        "n_queries": len(templates),
        "n_rejected": templates.count(None),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """Serves jobs until standard input ends."""
    # Parse trees are cycles, thousands a second. Collecting them in batches, not at every 700th
    # object, takes a quarter off the time of a query.
    gc.disable()
    progress = mmap.mmap(int(sys.argv[1]), PROGRESS_BYTES)
    templatizers: dict[tuple[str, int, int], Templatizer] = {}
    for line in sys.stdin:
        job = json.loads(line)
        key = (job["dialect"], job["max_characters"], job["max_brackets"])
        if key not in templatizers:
            templatizers[key] = Templatizer(key[0], Limits(*key[1:]))
        print(json.dumps(parse_part(job, templatizers[key], progress)), flush=True)


if __name__ == "__main__":
    main()
