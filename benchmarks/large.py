"""Dumps that are larger than memory: ``python -m benchmarks.large --folder FOLDER``.

Write a dump of each format and run the whole command over it and the samples, with a memory limit.
Print the peak memory of all processes together (PSS), including Prefect's server, and the same for
a dump of a hundredth of the size. Like logs, dumps repeat some hundred thousand distinct queries.
"""

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.generate import Mixture, rows
from benchmarks.inputs import samples
from benchmarks.process import Measurement, run_contestant
from benchmarks.report import say

N_DISTINCT = 200_000
_ROWS_PER_GROUP = 20_000

Row = dict[str, Any]


def records(n_distinct: int) -> Iterator[Row]:
    """Yield an endless sequence of rows like those of data sets, with schema and question."""
    drawn = [(text, home) for text, _, home in rows(n_distinct, "large", Mixture())]
    for number, (text, home) in enumerate(cycle(drawn)):
        yield {
            "id": number,
            "db_id": home.name,
            "question": f"Question {number} about {home.name}?",
            "context": home.context,
            "query": text,
        }


def _as_jsonl(row: Row) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _as_line(row: Row) -> bytes:
    return row["query"].encode() + b"\n"


def _as_gold(row: Row) -> bytes:
    return f"{row['query']}\t{row['db_id']}\n".encode()


def _as_slow_log(row: Row) -> bytes:
    return (
        "# Time: 2026-01-01T10:00:00.000000Z\n# User@Host: app[app] @ localhost []  Id:     8\n"
        f"# Query_time: 2.5  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 0\nuse {row['db_id']};\n"
        f"SET timestamp=1767261600;\n{row['query']};\n"
    ).encode()


def _as_csv(row: Row) -> bytes:
    cells = ['"{}"'.format(str(value).replace('"', '""')) for value in row.values()]
    return ",".join(cells).encode() + b"\n"


def _write_parquet(file: BinaryIO, source: Iterator[Row], n_bytes: int) -> None:
    writer = None
    while file.tell() < n_bytes:
        group = pa.Table.from_pylist([next(source) for _ in range(_ROWS_PER_GROUP)])
        writer = writer or pq.ParquetWriter(file, group.schema, compression="none")
        writer.write_table(group)
    if writer is not None:
        writer.close()


_HEADERS = {"csv": b"id,db_id,question,context,query\n"}
_LINES: dict[str, Callable[[Row], bytes]] = {
    "jsonl": _as_jsonl,
    "csv": _as_csv,
    "lines": _as_line,
    "gold_sql": _as_gold,
    "mysql_slow_log": _as_slow_log,
}
FORMATS = (*_LINES, "parquet")
_MAPPED = 'columns = { sql = "query", question = "question", db_id = "db_id" }\n'


def write_dump(path: Path, form: str, n_bytes: int) -> None:
    """Write a dump of a given size, unless it exists."""
    if path.exists():
        return
    temporary = path.with_name(f"{path.name}.part")
    source = records(min(N_DISTINCT, max(1000, n_bytes // 5000)))
    with temporary.open("wb") as file:
        if form == "parquet":
            _write_parquet(file, source, n_bytes)
        else:
            file.write(_HEADERS.get(form, b""))
            for row in source:
                if file.tell() >= n_bytes:
                    break
                file.write(_LINES[form](row))
    temporary.replace(path)


def corpora_file(dump: Path, form: str) -> Path:
    """Write a corpora file with the dump and the samples."""
    mapped = _MAPPED if form in ("jsonl", "csv", "parquet") else ""
    path = dump.with_name(f"{dump.name}.toml")
    path.write_text(
        f'[[corpus]]\nname = "large"\nrole = "train"\nformat = "{form}"\ndialect = "sqlite"\n'
        f'path = "{dump.name}"\n{mapped}\n{samples()}',
        encoding="utf-8",
    )
    return path


def measure(folder: Path, form: str, n_bytes: int, memory_limit: str) -> Measurement:
    """Run the whole command over a dump."""
    dump = folder / f"{form}-{n_bytes}"
    write_dump(dump, form, n_bytes)
    warehouse = folder / "warehouse"
    shutil.rmtree(warehouse, ignore_errors=True)
    environment = {
        "NL2SQL_ALIGN_MEMORY_LIMIT": memory_limit,
        "PREFECT_HOME": str(folder / "prefect"),
    }
    measured = run_contestant(
        "ours-with-prefect", corpora_file(dump, form), warehouse, environment=environment
    )
    shutil.rmtree(warehouse)
    return measured


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folder", type=Path, required=True, help="for dumps and results")
    options.add_argument("--megabytes", type=int, default=1000)
    options.add_argument("--memory-limit", default="1GB")
    options.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    say("| dump | size | seconds | CPU seconds | peak memory |\n| --- | --- | --- | --- | --- |")
    for form in given.formats:
        for megabytes in (given.megabytes // 100, given.megabytes):
            measured = measure(
                given.folder.resolve(), form, megabytes * 1_000_000, given.memory_limit
            )
            say(
                f"| `{form}` | {megabytes:,} MB | {measured.seconds:.0f} "
                f"| {measured.cpu_seconds:.0f} | {measured.peak_bytes / 1e6:,.0f} MB |"
            )


if __name__ == "__main__":
    main()
